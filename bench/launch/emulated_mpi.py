"""`launcher=emulated backend=mpi`: Open MPI's mpirun on the first host, its daemons on the others, ranks below holders.

mpirun reaches the other hosts through `bench.launch.remote`, which stands in for ssh. Its daemons, and so the holders and the
ranks, are in the hosts' network and UTS namespaces: between hosts there is nothing but the link, which carries mpirun's own
traffic too (a few KiB while ranks start and end). Ranks of one host share memory.
"""

import ctypes
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.config import BenchConfig
from bench.launch import remote
from bench.launch.held import run_held
from bench.launch.mpirun import find_mpirun, forced_environment, is_open_mpi, mpirun_environment, orders
from bench.launch.remote import MpiHost
from bench.launch.supervise import RANK_COMMAND, Outcome

_REMOTE: Final = "linerate-remote"
_INTERFACE: Final = "OMPI_MCA_btl_tcp_if_include"

SETTINGS: Final = {
    "OMPI_MCA_btl_tcp_rdma_pipeline_frag_size": "65536",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}
"""Unless the environment says otherwise.

Pieces of one offloaded segment: Open MPI hands the rest of a long message to TCP at once, and a pair of ranks has one
connection, so the few bytes with which a receiver asks for the message of the other direction queue behind it, and ranks that
exchange messages take turns. Exchanges of 2 MiB at 400 Mb/s took 47 and 107 ms in turn; in pieces 43 (42.3 is the link's own
time). Where nothing is slowed, that wait is shorter by the time scale.

Yielding: the processors carry the fabric as well as ranks, so no rank has one to itself.
"""

_MS_NOSUID_NODEV: Final = 0x2 | 0x4
_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedMpi:
    """What was found out before anything was built: the mpirun, and the variables that its ranks need on the fabric."""

    mpirun: str
    variables: Mapping[str, str]
    ranks_per_host: int
    limit_s: float

    def run(
        self,
        hosts: Sequence[MpiHost],
        environments: Sequence[Mapping[str, str]],
        interfaces: Sequence[str],
        log_folder: Path,
        *,
        command: Sequence[str] = RANK_COMMAND,
    ) -> Outcome:
        """Run every rank to its end. To be called by the process that has built the fabric, as root of its user namespace.

        ``environments``: of every rank, those of one host side by side; ``interfaces``: the link that each one talks over.
        """
        folder = _scratch(log_folder)
        _write_command(folder, hosts)
        num_ranks = len(environments)
        given = mpirun_environment(os.environ, num_ranks) | {
            "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "TMPDIR": str(folder),
            "PRTE_MCA_plm_ssh_agent": _REMOTE,
        }
        options = ["--allow-run-as-root", "-n", str(num_ranks)]
        options += ["--host", ",".join(f"{host.address}:{self.ranks_per_host}" for host in hosts)]
        # By slot, neighbouring ranks share a host, as the fabric's description says. All hosts have the same processors:
        # bound, the first ranks of every host would share one.
        options += ["--map-by", "slot", "--bind-to", "none"]
        options += ["--prtemca", "prte_if_include", interfaces[0]]
        variables = [
            {
                **environment,
                **self.variables,
                _INTERFACE: interface,
                "OMPI_MCA_btl_sm_backing_directory": str(folder),
            }
            for environment, interface in zip(environments, interfaces, strict=True)
        ]
        return run_held(
            [self.mpirun, *options],
            given,
            orders(command, variables, given),
            str(folder / "line"),
            log_folder,
            limit_s=self.limit_s,
            enter=lambda: remote.enter(hosts[0]),
        )


def prepare(config: BenchConfig) -> EmulatedMpi:
    """Find mpirun, and check what is asked of it.

    Raises:
        ValueError: there is no Open MPI, or it has not the algorithm that mpi.algorithm asks for.
    """
    mpirun = find_mpirun()
    if not is_open_mpi(mpirun):
        raise ValueError(
            f"launcher=emulated backend=mpi needs Open MPI, and {mpirun} is another; install it with "
            "`pip install 'linerate[mpi]'`"
        )
    # Whatever the environment says for a cluster: the links carry TCP, and nothing else may join the hosts.
    shares_memory = config.emulation.ranks_per_host > 1
    settings = {name: os.environ.get(name, value) for name, value in SETTINGS.items()}
    transports = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,sm,tcp" if shares_memory else "self,tcp"}
    return EmulatedMpi(
        mpirun=mpirun,
        variables=transports | settings | forced_environment(config, mpirun, os.environ),
        ranks_per_host=config.emulation.ranks_per_host,
        limit_s=config.timing.timeout_s,
    )


def _scratch(log_folder: Path) -> Path:
    """A folder for what Open MPI leaves behind when it is killed: memory of this mount namespace, if the kernel allows."""
    folder = log_folder / "mpi"
    folder.mkdir()
    _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", _MS_NOSUID_NODEV, b"mode=0700")
    return folder


def _write_command(folder: Path, hosts: Sequence[MpiHost]) -> None:
    known = folder / "hosts.json"
    known.write_text(remote.known_hosts(hosts))
    command = shlex.join([sys.executable, "-P", "-m", "bench.launch.remote", str(known)])
    script = folder / _REMOTE
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)


def network_path(descriptor: int) -> str:
    """A path that stands for an open namespace as long as this process exists.

    /proc may be that of an outer PID namespace, in which this process has another number than it knows of.
    """
    me = Path("/proc/self").readlink()
    return f"/proc/{me}/fd/{descriptor}"
