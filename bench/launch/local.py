"""`launcher=local`: ranks on this machine, over loopback on the CPU, or one per GPU."""

import socket
from pathlib import Path

from bench.config import BenchConfig
from bench.launch.supervise import Outcome, Placement, rank_environment, supervise

LOOPBACK: str = "lo"


def run_local(config: BenchConfig, num_ranks: int, extra: dict[str, str], log_folder: Path) -> Outcome:
    """Start ``num_ranks`` ranks here and wait for them."""
    placements = [Placement(local_rank=rank, enter=None, interface=LOOPBACK) for rank in range(num_ranks)]
    master = ("127.0.0.1", free_port())
    environments = [
        rank_environment(
            config, rank=rank, num_ranks=num_ranks, placement=placement, master=master, extra=extra
        )
        for rank, placement in enumerate(placements)
    ]
    return supervise(environments, placements, log_folder)


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
