"""`python -P -m bench.launch.holder SOCKET`: what mpirun starts; it holds one rank for our own supervisor.

mpirun kills every rank as soon as one has failed, keeps their ends to itself or tells them in words of its own, takes
signals as a wish to abort, and puts itself between rank 0 and the terminal. So each rank gets this small parent. It
asks the supervisor what to start, passes signals on, and reports the rank's end. The rank never outlives it, and it
never outlives the supervisor: the socket closes, however either of them ends.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from bench.launch import kernel
from bench.launch.identity import mpi_rank

MESSAGE_BYTES: Final = 2**18
"""Room for any message. Linux sends no larger one with its default buffers (net.core.wmem_default is 208 KiB)."""


def hold(address: str) -> None:
    """Be the parent of one rank, until the supervisor closes the socket with this address (see `reachable`).

    Messages: our rank; `order`, with the rank's outputs as descriptors; then numbers of signals from the supervisor
    and one wait status from us.
    """
    # mpirun tells us to end when a rank calls MPI_Abort. What ends when is the supervisor's affair. A handler, since an
    # ignored signal would stay ignored in the rank.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    number = mpi_rank(os.environ)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        with reachable(address) as name:
            line.connect(name)
        if not is_ours(line):
            raise ValueError("the supervisor is gone, and another user has taken its address")
        line.send(str(number).encode())
        said, outputs, _, _ = socket.recv_fds(line, MESSAGE_BYTES, 2, socket.MSG_CMSG_CLOEXEC)
        if not said:
            return
        command, variables = json.loads(said)
        parent = os.getpid()
        rank = subprocess.Popen(
            command,
            env=os.environ | variables,
            preexec_fn=lambda: kernel.die_with_parent(parent),  # noqa: PLW1509 - a single thread, still
            stdin=subprocess.DEVNULL,
            stdout=outputs[0],
            stderr=outputs[1],
            close_fds=False,  # MPICH's ranks talk to mpirun through a descriptor that they inherit
            process_group=0,  # mpirun signals our group
        )
        listener = threading.Thread(target=_obey, args=(line, rank))
        listener.start()
        line.send(str(rank.wait()).encode())
        listener.join()


@contextmanager
def reachable(address: str) -> Iterator[str]:
    """What to bind or to connect to: ``@name`` is an abstract address, which has no file and belongs to one network
    namespace; anything else is a path, which may be longer than the 107 bytes that an address holds.

    Source: unix(7).
    """
    if address.startswith("@"):
        yield "\0" + address[1:]
        return
    folder, _, name = address.rpartition("/")
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def is_ours(line: socket.socket) -> bool:
    """Whether our own user is at the other end: any user of this machine may use an abstract address.

    Source: unix(7), SO_PEERCRED: process, user, group.
    """
    credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[1] == os.getuid())


def order(command: Sequence[str], variables: Mapping[str, str]) -> bytes:
    """What a rank executes, and the variables it gets beside those of mpirun."""
    return json.dumps([list(command), dict(variables)]).encode()


def _obey(line: socket.socket, rank: "subprocess.Popen[bytes]") -> None:
    while said := _received(line):
        rank.send_signal(int(said))
    rank.kill()


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(MESSAGE_BYTES)
    except ConnectionError:
        return b""


if __name__ == "__main__":
    try:
        hold(sys.argv[1])
    except ConnectionError:
        sys.exit("the supervisor is gone")
    except (ValueError, OSError) as error:
        sys.exit(str(error))
