"""Made-up published rows: clusters whose resources reach a share that is known."""

from collections.abc import Iterable

from bench.model.attained import MTU_BYTES, Published
from bench.model.collective import Collective
from bench.model.framing import Transport, framing
from bench.model.schedule import Schedule

NVLINK_A100_BYTES_PER_S = 300e9


def network_row(
    cluster: str,
    share: float,
    *,
    nic_gbytes_per_s: float = 50.0,
    num_hosts: int = 4,
    transport: Transport = Transport.unknown,
    name: str = "",
    classification: str = "healthy",
) -> Published:
    """A ring over hosts of eight H100, bound by the network, of whose payload rate it reaches ``share``."""
    payload = framing(transport, MTU_BYTES).payload_fraction
    return Published(
        name=name or cluster,
        cluster=cluster,
        gpu="H100",
        num_hosts=num_hosts,
        ranks_per_host=8,
        nic_bytes_per_s=nic_gbytes_per_s * 1e9,
        collective=Collective.all_reduce,
        schedule=Schedule.ring,
        busbw_bytes_per_s=share * 8 * nic_gbytes_per_s * 1e9 * payload,
        transport=transport,
        classification=classification,
    )


def nvlink_row(cluster: str, share: float, *, name: str = "", classification: str = "healthy") -> Published:
    """A ring on one host of eight A100, which reaches ``share`` of NVLink."""
    return Published(
        name=name or cluster,
        cluster=cluster,
        gpu="A100",
        num_hosts=1,
        ranks_per_host=8,
        nic_bytes_per_s=None,
        collective=Collective.all_reduce,
        schedule=Schedule.ring,
        busbw_bytes_per_s=share * NVLINK_A100_BYTES_PER_S,
        classification=classification,
    )


def nvls_row(cluster: str, share: float, *, num_hosts: int = 1, name: str = "") -> Published:
    """Hosts of eight H100 whose switches reduce, at ``share`` of NVLink: 2 (N - 1) / N x 450 x g / (g + 1) GB/s on any number."""
    ranks = 8 * num_hosts
    return Published(
        name=name or cluster,
        cluster=cluster,
        gpu="H100",
        num_hosts=num_hosts,
        ranks_per_host=8,
        nic_bytes_per_s=None if num_hosts == 1 else 50e9,
        collective=Collective.all_reduce,
        schedule=Schedule.nvls if num_hosts == 1 else Schedule.nvlstree,
        busbw_bytes_per_s=share * 2 * (ranks - 1) / ranks * 450e9 * 8 / 9,
    )


def clusters(network: Iterable[float] = (), nvlink: Iterable[float] = ()) -> tuple[Published, ...]:
    """One row each, of clusters that have nothing else."""
    outside = (network_row(f"network-{number}", share) for number, share in enumerate(network))
    inside = (nvlink_row(f"nvlink-{number}", share) for number, share in enumerate(nvlink))
    return (*outside, *inside)
