"""`HeldRank`: a rank below a `bench.launch.holder`, as its supervisor sees it; `run_held`: all ranks of one mpirun."""

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import exits
from bench.launch.holder import MESSAGE_BYTES, is_ours, reachable
from bench.launch.supervise import GRACE_S, POLL_S, Outcome, end, noted_signals, watch

LOG: Final = "mpirun.log"

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)


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


def run_held(
    mpirun: Sequence[str],
    given: Mapping[str, str],
    rank_orders: Sequence[bytes],
    address: str,
    log_folder: Path,
    *,
    limit_s: float,
    enter: Callable[[], None] | None = None,
) -> Outcome:
    """Have ``mpirun`` (with its options) start one holder for each of ``rank_orders``, and supervise the ranks below them.

    ``address`` is where the holders find us (`bench.launch.holder`), ``given`` what mpirun's environment is, and ``enter`` is
    called in its process before it becomes mpirun (namespaces).
    """
    with noted_signals() as signals, _listening(address, len(rank_orders)) as listener:
        holder = [sys.executable, "-P", "-m", "bench.launch.holder", address]
        started = _start([*mpirun, *holder], given, log_folder, enter)
        lines: dict[int, socket.socket] = {}
        ranks: list[HeldRank] = []
        try:
            problem = _seat(listener, started, rank_orders, log_folder, lines, signals, limit_s)
            ranks = [HeldRank(lines[rank], started) for rank in sorted(lines)]
            if problem is not None:
                return problem
            outcome = watch(ranks, signals, log_folder)
            has_cause = any(rank.returncode and not rank.is_lost for rank in ranks)
            if started.poll() is not None and outcome.exit_status == exits.RANK_DIED and not has_cause:
                return _ended_early(started, log_folder)
            return outcome
        finally:
            end(ranks, signal.SIGKILL)
            for line in lines.values():
                line.close()  # the holders leave, and mpirun after them
            _finish(started)


def _start(
    command: Sequence[str], environment: Mapping[str, str], log_folder: Path, enter: Callable[[], None] | None
) -> "subprocess.Popen[bytes]":
    parent = os.getpid()

    def prepare() -> None:
        _end_with(parent)
        if enter is not None:
            enter()

    with (log_folder / LOG).open("wb") as log:
        return subprocess.Popen(
            command,
            env=environment,
            preexec_fn=prepare,  # noqa: PLW1509 - the supervisor has a single thread
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C reaches the supervisor alone, which tells rank 0
        )


def _end_with(parent: int) -> None:
    """Have this process told to end when its parent has ended. Not killed, as ranks are: Open MPI has files in /tmp and
    /dev/shm to take away, and when the holders see that the supervisor is gone, mpirun has nothing left to do."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


@contextlib.contextmanager
def _listening(address: str, num_ranks: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        with reachable(address) as name:
            listener.bind(name)
        listener.listen(num_ranks)
        listener.settimeout(POLL_S)
        yield listener


def _seat(
    listener: socket.socket,
    mpirun: "subprocess.Popen[bytes]",
    orders: Sequence[bytes],
    log_folder: Path,
    lines: dict[int, socket.socket],
    signals: Sequence[int],
    limit_s: float,
) -> Outcome | None:
    """Have every holder start its rank, and put its line under the number of the rank; the reason if that fails."""
    deadline_s = time.monotonic() + limit_s
    while len(lines) < len(orders):
        if signals:
            return Outcome(exit_status=exits.INTERRUPTED, reason=signal.Signals(signals[0]).name)
        if mpirun.poll() is not None:
            return _ended_early(mpirun, log_folder)
        if time.monotonic() > deadline_s:
            here = f"{len(lines)} of {len(orders)} ranks are there"
            return Outcome(
                exit_status=exits.RANK_DIED,
                reason=f"mpirun has not started all ranks within {limit_s:g} s (timing.timeout_s): {here}",
            )
        try:
            line, _ = listener.accept()
        except TimeoutError:
            continue
        if not is_ours(line):
            line.close()
            continue
        line.setblocking(True)
        said = line.recv(MESSAGE_BYTES)
        if not said:  # the holder is gone, and mpirun will say why
            line.close()
            continue
        rank = int(said)
        if rank not in range(len(orders)) or rank in lines:
            line.close()
            return Outcome(
                exit_status=exits.RANK_DIED, reason=f"mpirun started a rank {rank}, which is none of ours"
            )
        lines[rank] = line
        with (log_folder / f"rank{rank}.log").open("wb") as log, contextlib.suppress(ConnectionError):
            outputs = [1, 2] if rank == 0 else [log.fileno()] * 2  # rank 0 has the terminal
            socket.send_fds(line, [orders[rank]], outputs)
    return None


def _ended_early(mpirun: "subprocess.Popen[bytes]", log_folder: Path) -> Outcome:
    status = mpirun.returncode
    said = shortened((log_folder / LOG).read_text(errors="replace"))
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return Outcome(
        exit_status=exits.RANK_DIED, reason=f"mpirun {how} before its ranks{': ' + said if said else ''}"
    )


def shortened(text: str) -> str:
    """The first 300 characters in one line, without the rules that Open MPI draws."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip(" -"))[:300]


def _finish(mpirun: "subprocess.Popen[bytes]") -> None:
    """Let mpirun clear up after itself; its own way is orderly, ours leaves its files in /tmp and /dev/shm behind."""
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            mpirun.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            mpirun.wait(timeout=GRACE_S)
            return
    mpirun.wait()
