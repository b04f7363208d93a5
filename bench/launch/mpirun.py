"""`launcher=local backend=mpi`: the ranks of this machine, started by the mpirun that belongs to their MPI.

mpirun starts one `bench.launch.holder` per rank, and the holders start the ranks, so that they are watched, told to end
and reported on in the same way as those of the other launchers.
"""

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from bench import exits
from bench.config import BenchConfig
from bench.launch.held import HeldRank
from bench.launch.holder import MESSAGE_BYTES, is_ours, order
from bench.launch.local import LOOPBACK, free_port
from bench.launch.supervise import (
    GRACE_S,
    POLL_S,
    RANK_COMMAND,
    Outcome,
    Placement,
    end,
    noted_signals,
    rank_environment,
    watch,
)

LOG: Final = "mpirun.log"

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)

_BATCH_PREFIXES: Final = ("SLURM_", "PBS_", "LSB_", "SGE_", "PE_", "LOADL_", "COBALT_", "FLUX_")
"""By these variables mpirun finds the nodes of a batch job, on which it would start ranks; ours stay on this one.

Source: Open MPI, MCA framework ras of PRRTE; MPICH, src/pm/hydra/lib/tools/bootstrap/external."""


def run_mpi(
    config: BenchConfig,
    num_ranks: int,
    extra: dict[str, str],
    log_folder: Path,
    *,
    command: Sequence[str] = RANK_COMMAND,
) -> Outcome:
    """Start ``num_ranks`` ranks through mpirun, each of which executes ``command``, and wait for them.

    Raises:
        ValueError: there is no mpirun, no mpi4py, or an mpirun that does not run; says what to install.
    """
    mpirun = find_mpirun()
    options = mpirun_options(mpirun, num_ranks)
    given = mpirun_environment(os.environ, num_ranks)
    master = ("127.0.0.1", free_port())
    orders = []
    for rank in range(num_ranks):
        placement = Placement(local_rank=rank, enter=None, interface=LOOPBACK)
        wanted = rank_environment(
            config, rank=rank, num_ranks=num_ranks, placement=placement, master=master, extra=extra
        )
        # What mpirun adds or changes stays as it is; of ours, a rank gets what mpirun was not given.
        orders.append(
            order(command, {key: value for key, value in wanted.items() if given.get(key) != value})
        )
    name = f"linerate-{os.getpid()}-{os.urandom(8).hex()}"
    with noted_signals() as signals, _listening(name, num_ranks) as listener:
        holder = [sys.executable, "-P", "-m", "bench.launch.holder", name]
        started = _start([mpirun, *options, *holder], given, log_folder)
        lines: dict[int, socket.socket] = {}
        ranks: list[HeldRank] = []
        try:
            problem = _seat(listener, started, orders, log_folder, lines, signals, config.timing.timeout_s)
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


def find_mpirun() -> str:
    """The mpirun beside this Python, where packages put the MPI that mpi4py loads first; else that on PATH.

    Raises:
        ValueError: mpirun or mpi4py is not there; says what to install.
    """
    remedy = "install both with `pip install 'linerate[mpi]'`, or the MPI of the system and mpi4py"
    if importlib.util.find_spec("mpi4py") is None:
        raise ValueError(f"backend=mpi needs mpi4py, which this Python ({sys.executable}) lacks; {remedy}")
    folders = [str(Path(sys.prefix) / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    found = shutil.which("mpirun", path=os.pathsep.join(folders))
    if found is None:
        raise ValueError(
            f"launcher=local backend=mpi needs mpirun, and there is none in {folders[0]} or on PATH; {remedy}"
        )
    return found


def mpirun_options(mpirun: str, num_ranks: int) -> list[str]:
    """Options for ``num_ranks`` ranks on this machine, more than it has cores if need be.

    Open MPI refuses to be run by root, and to start more ranks than cores, unless it is told; MPICH and those that
    come from it do neither, and know no such options.

    Raises:
        ValueError: ``mpirun --version`` fails.
    """
    asked = subprocess.run(
        [mpirun, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise ValueError(
            f"{mpirun} --version ended with status {asked.returncode}: {_shortened(asked.stderr or asked.stdout)}; "
            "mend that MPI, or install another with `pip install 'linerate[mpi]'`"
        )
    if "Open MPI" not in asked.stdout:
        return ["-hosts", "localhost", "-n", str(num_ranks)]
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    crowded = ["--oversubscribe"] if num_ranks > num_cores() else []  # it unbinds ranks from their cores, too
    return [*as_root, "--host", f"localhost:{num_ranks}", *crowded, "-n", str(num_ranks)]


def mpirun_environment(environ: Mapping[str, str], num_ranks: int) -> dict[str, str]:
    """Variables of mpirun: without those of a batch job; waiting ranks of Open MPI yield where there are more of them
    than cores, unless the user says otherwise. Where each has a core, yielding would cost a small call about 1 us."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_BATCH_PREFIXES)}
    return ({"OMPI_MCA_mpi_yield_when_idle": "1"} if num_ranks > num_cores() else {}) | kept


def num_cores() -> int:
    """Cores that ranks can be bound to: no more than this process may use, and not counting threads of one core."""
    usable = len(os.sched_getaffinity(0))
    return min(usable, psutil.cpu_count(logical=False) or usable)


def _start(
    command: Sequence[str], environment: Mapping[str, str], log_folder: Path
) -> "subprocess.Popen[bytes]":
    parent = os.getpid()
    with (log_folder / LOG).open("wb") as log:
        return subprocess.Popen(
            command,
            env=environment,
            preexec_fn=lambda: _end_with(parent),  # noqa: PLW1509 - the supervisor has a single thread
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


def _listening(name: str, num_ranks: int) -> socket.socket:
    """A socket with an abstract address: it has no file that could be left behind or have too long a path."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind("\0" + name)
    listener.listen(num_ranks)
    listener.settimeout(POLL_S)
    return listener


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
    said = _shortened((log_folder / LOG).read_text(errors="replace"))
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return Outcome(
        exit_status=exits.RANK_DIED, reason=f"mpirun {how} before its ranks{': ' + said if said else ''}"
    )


def _shortened(text: str) -> str:
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
