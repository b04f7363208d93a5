"""`launcher=local backend=mpi`: the ranks of this machine, started by the mpirun that belongs to their MPI.

mpirun starts one `bench.launch.holder` per rank, and the holders start the ranks, so that they are watched, told to end
and reported on in the same way as those of the other launchers. `bench.launch.emulated_mpi` does so on the emulated fabric.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from bench.config import BenchConfig
from bench.launch.held import run_held, shortened
from bench.launch.holder import order
from bench.launch.local import LOOPBACK, free_port
from bench.launch.supervise import RANK_COMMAND, Outcome, Placement, rank_environment
from bench.mpi_algorithms import check_known

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
    forced = forced_environment(config, mpirun, os.environ)
    given = mpirun_environment(os.environ, num_ranks)
    master = ("127.0.0.1", free_port())
    variables = []
    for rank in range(num_ranks):
        placement = Placement(local_rank=rank, enter=None, interface=LOOPBACK)
        wanted = rank_environment(
            config, rank=rank, num_ranks=num_ranks, placement=placement, master=master, extra=extra
        )
        variables.append(wanted | forced)
    # An abstract address: it has no file that could be left behind or have too long a path.
    address = f"@linerate-{os.getpid()}-{os.urandom(8).hex()}"
    return run_held(
        [mpirun, *options],
        given,
        orders(command, variables, given),
        address,
        log_folder,
        limit_s=config.timing.timeout_s,
    )


def orders(
    command: Sequence[str], variables: Sequence[Mapping[str, str]], given: Mapping[str, str]
) -> list[bytes]:
    """What each rank is told to start. What mpirun adds or changes stays as it is; of ours, a rank gets what mpirun was not
    given."""
    return [
        order(command, {key: value for key, value in wanted.items() if given.get(key) != value})
        for wanted in variables
    ]


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
    if not is_open_mpi(mpirun):
        return ["-hosts", "localhost", "-n", str(num_ranks)]
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    crowded = ["--oversubscribe"] if num_ranks > num_cores() else []  # it unbinds ranks from their cores, too
    return [*as_root, "--host", f"localhost:{num_ranks}", *crowded, "-n", str(num_ranks)]


def is_open_mpi(mpirun: str) -> bool:
    """Whether this mpirun is Open MPI's.

    Raises:
        ValueError: ``mpirun --version`` fails.
    """
    asked = subprocess.run(
        [mpirun, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise ValueError(
            f"{mpirun} --version ended with status {asked.returncode}: {shortened(asked.stderr or asked.stdout)}; "
            "mend that MPI, or install another with `pip install 'linerate[mpi]'`"
        )
    return "Open MPI" in asked.stdout


def mpirun_environment(environ: Mapping[str, str], num_ranks: int) -> dict[str, str]:
    """Variables of mpirun: without those of a batch job; waiting ranks of Open MPI yield where there are more of them
    than cores, unless the user says otherwise. Where each has a core, yielding would cost a small call about 1 us."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_BATCH_PREFIXES)}
    return ({"OMPI_MCA_mpi_yield_when_idle": "1"} if num_ranks > num_cores() else {}) | kept


def num_cores() -> int:
    """Cores that ranks can be bound to: no more than this process may use, and not counting threads of one core."""
    usable = len(os.sched_getaffinity(0))
    return min(usable, psutil.cpu_count(logical=False) or usable)


def forced_environment(config: BenchConfig, mpirun: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that make the ranks of this mpirun take mpi.algorithm; none where it is null.

    Raises:
        ValueError: the MPI is not Open MPI, or one without that algorithm; the environment asks for something else.
    """
    forced = config.mpi.environment(config.collectives)
    if not forced:
        return {}
    if not is_open_mpi(mpirun):
        raise ValueError(
            f"mpi.algorithm is {config.mpi.algorithm!r}, and {mpirun} is not Open MPI's; how another MPI is told is not known "
            "here: leave it out, or install Open MPI with `pip install 'linerate[mpi]'`"
        )
    refuse_other_values(environ, forced, "mpi.algorithm")
    lister = Path(mpirun).with_name("ompi_info")
    if not lister.exists():
        raise ValueError(
            f"mpi.algorithm: there is no ompi_info beside {mpirun}, which would say whether it has {config.mpi.algorithm!r}; "
            "install Open MPI with `pip install 'linerate[mpi]'`"
        )
    command = [str(lister), "--param", "coll", "tuned", "--level", "9", "--parsable"]
    listed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check_known(forced, listed.stdout)
    return forced


def refuse_other_values(environ: Mapping[str, str], wanted: Mapping[str, str], whose: str) -> None:
    """Raise ValueError where the user's environment has another value for one of ``wanted``."""
    for name, value in wanted.items():
        if environ.get(name, value) != value:
            raise ValueError(
                f"{name} is {environ[name]!r} in the environment, and {whose} needs {value!r}; unset it"
            )
