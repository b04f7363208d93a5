"""`HeldRank`: a rank below a `bench.launch.holder`, as its supervisor sees it."""

import contextlib
import select
import signal
import socket
import subprocess
import time

from bench.launch.holder import MESSAGE_BYTES
from bench.launch.supervise import POLL_S


class HeldRank:
    """A rank below a holder, in the manner of `subprocess.Popen`.

    Attributes:
        is_lost: mpirun or the holder ended first, and the rank was killed for that.
    """

    def __init__(self, line: socket.socket, mpirun: "subprocess.Popen[bytes]") -> None:
        self._line = line
        self._mpirun = mpirun
        self.returncode: int | None = None
        self.is_lost = False

    def poll(self) -> int | None:
        if self.returncode is None:
            # Asked first: what holders say, they say before mpirun ends.
            is_abandoned = self._mpirun.poll() is not None
            try:
                said = self._line.recv(MESSAGE_BYTES, socket.MSG_DONTWAIT)
                self._end(int(said) if said else None)
            except BlockingIOError:
                if is_abandoned:
                    self.is_lost = True
                    self.kill()
            except ConnectionError:
                self._end(None)
        return self.returncode

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            with contextlib.suppress(ConnectionError):
                self._line.send(str(int(sig)).encode())

    def kill(self) -> None:
        with contextlib.suppress(ConnectionError):
            self._line.send(str(int(signal.SIGKILL)).encode())

    def wait(self, timeout: float | None = None) -> int:
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline_s is not None and time.monotonic() >= deadline_s:
                raise subprocess.TimeoutExpired("rank", timeout or 0.0)
            select.select([self._line], [], [], POLL_S)
        return status

    def _end(self, status: int | None) -> None:
        self.is_lost = self.is_lost or status is None
        self.returncode = -signal.SIGKILL if status is None else status
