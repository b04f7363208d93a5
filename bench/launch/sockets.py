"""How many sockets the groups of a run will open, and whether this machine allows so many."""

import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.config import BenchConfig
from bench.model.grouping import WORLD, groups_of

RESERVE: Final = 128
"""Descriptors of a rank that are no connections: libraries, logs, the rendezvous. A fresh rank has about 40 open."""

PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")

NCCL_PER_NODE: Final = 145
NCCL_FIXED: Final = 683
"""TCP sockets that one all_to_all communicator of NCCL opens on each node of K: 145 K + 683, a fit.
Source: AMD-AIG-AIMA/Primus, docs/preflight.md."""


def check_sockets(config: BenchConfig, hosts: Sequence[str]) -> None:
    """Refuse groups that would run out of descriptors or ports in the middle of a run, after hours perhaps.

    gloo connects every pair of ranks of a group. One kind of groups is open at a time, beside the whole.

    Raises:
        ValueError: how many are needed, how many are allowed, and what to set.
    """
    if config.backend == "mpi":
        return  # MPI connects ranks when they first talk, by means of its own
    largest = (
        max(len(groups_of(kind, hosts)[0].ranks) for kind in config.groups if kind != WORLD)
        if (any(kind != WORLD for kind in config.groups))
        else 1
    )
    if config.backend == "gloo":
        per_rank = (len(hosts) - 1) + (largest - 1)
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed != resource.RLIM_INFINITY and per_rank + RESERVE > allowed:
            raise ValueError(
                f"gloo needs {per_rank} connections for each of {len(hosts)} ranks, and this process may have {allowed} "
                f"open files: raise the limit (ulimit -n {per_rank + RESERVE}), or start fewer ranks"
            )
        per_host = per_rank * max(hosts.count(host) for host in set(hosts))
    else:
        per_host = NCCL_PER_NODE * len(set(hosts)) + NCCL_FIXED if "all_to_all" in config.collectives else 0
    ports = _num_ports()
    if len(set(hosts)) > 1 and ports is not None and per_host > ports:
        raise ValueError(
            f"{len(hosts)} ranks on {len(set(hosts))} hosts need about {per_host} TCP connections on each host, and {ports} "
            "ports are free for them: widen net.ipv4.ip_local_port_range, or start fewer ranks"
        )


def _num_ports() -> int | None:
    try:
        first, last = map(int, PORTS.read_text().split())
    except (OSError, ValueError):
        return None
    return last - first + 1
