"""`RankIdentity`: which rank this process is, from the variables of whoever started it."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OWN_PREFIX: Final = "LINERATE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankIdentity:
    """One rank among ``size``. ``source``: linerate, torchrun, openmpi, mpich, slurm, or environment (RANK, WORLD_SIZE).

    ``local_size`` and the master are None where the launcher does not say; MPI ranks agree on a master by broadcast.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int | None
    source: str
    master_address: str | None
    master_port: int | None


@dataclass(frozen=True, slots=True)
class _Variables:
    source: str
    rank: str
    size: str
    local_rank: str | None
    local_size: str | None


_SETS: Final = (
    _Variables("environment", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    _Variables(
        "openmpi",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    _Variables("mpich", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    _Variables(
        "mvapich",
        "MV2_COMM_WORLD_RANK",
        "MV2_COMM_WORLD_SIZE",
        "MV2_COMM_WORLD_LOCAL_RANK",
        "MV2_COMM_WORLD_LOCAL_SIZE",
    ),
    _Variables("slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
)
_MPI_SOURCES: Final = ("openmpi", "mpich", "mvapich")


def discover(environ: Mapping[str, str]) -> RankIdentity | None:
    """Who this process is; None where nobody has started ranks.

    torchrun's variables win (an mpirun or srun around it has only started the node). SLURM counts only inside a step of
    several tasks. Otherwise all sets that are present must agree.

    Raises:
        ValueError: a set that is incomplete or impossible, or two that disagree; the variables are named.
    """
    if f"{OWN_PREFIX}RANK" in environ:
        own = {key[len(OWN_PREFIX) :]: value for key, value in environ.items() if key.startswith(OWN_PREFIX)}
        return _identity(_SETS[0], own, "linerate", own)
    if "TORCHELASTIC_RUN_ID" in environ:
        return _identity(_SETS[0], environ, "torchrun", environ)
    present = [variables for variables in _SETS if _is_present(variables, environ)]
    found = [_identity(variables, environ, variables.source, environ) for variables in present]
    if not found:
        return None
    for variables, identity in zip(present[1:], found[1:], strict=True):
        first = found[0]
        if (identity.rank, identity.size) != (first.rank, first.size):
            raise ValueError(
                f"{present[0].rank}={first.rank} of {present[0].size}={first.size} and {variables.rank}={identity.rank} of "
                f"{variables.size}={identity.size} disagree about which rank this is; unset the set that is left "
                "over from an outer job"
            )
    # The last in the order of _SETS gives the name: a bare RANK only repeats what the launcher said, and a SLURM step
    # needs no MPI to agree on a master.
    return found[-1]


def is_mpi(identity: RankIdentity) -> bool:
    """Whether an MPI launcher started this rank, so that ranks can agree on a master through it."""
    return identity.source in _MPI_SOURCES


def mpi_rank(environ: Mapping[str, str]) -> int:
    """Rank of this process as mpirun numbers it.

    Raises:
        ValueError: no mpirun that we know has started it.
    """
    for variables in _SETS:
        if variables.source in _MPI_SOURCES and variables.rank in environ:
            return _number(variables.rank, environ, variables.source)
    names = ", ".join(variables.rank for variables in _SETS if variables.source in _MPI_SOURCES)
    raise ValueError(f"this mpirun has set none of {names}; use that of Open MPI, MPICH or MVAPICH")


def slurm_master(environ: Mapping[str, str]) -> tuple[str, int]:
    """First host of the step, and a port derived from the job so that two jobs on a host do not meet.

    Raises:
        ValueError: the step's host list is not there.
    """
    hosts = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST")
    if not hosts:
        raise ValueError("SLURM_STEP_NODELIST is not set; set MASTER_ADDR and MASTER_PORT yourself")
    job = int(re.sub(r"\D", "", environ.get("SLURM_JOB_ID", "0")) or 0)
    step = int(re.sub(r"\D", "", environ.get("SLURM_STEP_ID", "0")) or 0)
    return first_host(hosts), 20000 + (job * 7 + step) % 40000


def first_host(nodelist: str) -> str:
    """First name of a SLURM host list such as ``gpu[003-007,012],login1``."""
    scontrol = shutil.which("scontrol")
    if scontrol:
        listed = subprocess.run(
            [scontrol, "show", "hostnames", nodelist], capture_output=True, text=True, check=False
        )
        if listed.returncode == 0 and listed.stdout.strip():
            return listed.stdout.split()[0]
    match = re.match(r"([^,\[]+)(?:\[([^\],-]+)[^\]]*\])?([^,\[]*)", nodelist)
    return "".join(part or "" for part in match.groups()) if match else nodelist


def _is_present(variables: _Variables, environ: Mapping[str, str]) -> bool:
    if variables.source == "slurm":
        return int(environ.get(variables.size, "0") or 0) > 1 and variables.rank in environ
    return variables.rank in environ or (variables.source != "environment" and variables.size in environ)


def _identity(
    variables: _Variables, values: Mapping[str, str], source: str, master: Mapping[str, str]
) -> RankIdentity:
    rank = _number(variables.rank, values, source)
    size = _number(variables.size, values, source)
    if not 0 <= rank < size:
        raise ValueError(f"{variables.rank}={rank} is not a rank among {variables.size}={size}")
    local = values.get(variables.local_rank or "")
    local_size = values.get(variables.local_size or "", "")
    if variables.source == "slurm":
        local_size = _tasks_here(local_size, values.get("SLURM_NODEID", ""))
    port = master.get("MASTER_PORT")
    if port is not None and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"MASTER_PORT is {port!r}; a port is a number from 1 to 65535")
    return RankIdentity(
        rank=rank,
        size=size,
        local_rank=int(local) if local and local.isdigit() else rank,
        local_size=int(local_size) if local_size.isdigit() else None,
        source=source,
        master_address=master.get("MASTER_ADDR"),
        master_port=None if port is None else int(port),
    )


def _tasks_here(tasks_per_node: str, node: str) -> str:
    """Tasks of ``node`` in SLURM's shorthand: ``8(x2),4`` is 8 on nodes 0 and 1, 4 on node 2. Empty where it is unclear."""
    counts: list[str] = []
    for entry in tasks_per_node.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", entry)
        if match is None:
            return ""
        counts += [match[1]] * int(match[2] or 1)
    if len(set(counts)) == 1:
        return counts[0]
    return counts[int(node)] if node.isdigit() and int(node) < len(counts) else ""


def _number(name: str, values: Mapping[str, str], source: str) -> int:
    text = values.get(name)
    if text is None:
        raise ValueError(
            f"{name} is not set, though other variables of {source} are; unset them, or start under {source}"
        )
    if not re.fullmatch(r"-?\d+", text):
        raise ValueError(f"{name} is {text!r}; it must be a whole number")
    return int(text)
