"""`predict`: the ceiling and the expected time of one collective on one network, and what binds."""

from dataclasses import dataclass
from typing import Final

from bench.model.collective import Collective, CollectiveSpec, bus_factor
from bench.model.fabric import Network
from bench.model.transfer import (
    KNOWN_SCHEDULES,
    host_egress_bytes,
    largest_arrival_bytes,
    leaf_egress_bytes,
    num_crossings,
    rank_link_bytes,
)

TIE_TOLERANCE: Final = 0.01
"""Resources within this share of the slowest bind together; then the optics are named first and the others beside."""

MIN_BUCKETS: Final = 8
"""Below this many token buckets per link and call the emulated link passes so much unshaped that its rate says nothing
(a ring of send_recv with 64 KiB messages and a bucket of 256 KiB ran at 2.3 times the rate)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one resource has to carry in one call, and how long that takes at its payload capacity."""

    resource: str
    payload_bytes: float
    capacity_bytes_per_s: float

    @property
    def duration_s(self) -> float:
        return self.payload_bytes / self.capacity_bytes_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the network allows for one call.

    Attributes:
        loads: every resource on the path, slowest first.
        ceiling_s: shortest possible duration: the slowest resource, less what a token bucket lets through unshaped.
        duration_s: expected duration: the slowest resource at its rate plus known delays. None where the emulated
            link cannot tell, because most of the message passes its bucket, and where the backend's schedule is not
            known. Software time is in neither.
        bound_by: the resource of least capacity on the path; None where no resource is loaded.
        also_bound_by: resources within 1 % of it.
    """

    spec: CollectiveSpec
    loads: tuple[Load, ...]
    ceiling_s: float
    duration_s: float | None
    bound_by: str | None
    also_bound_by: tuple[str, ...]
    is_bucket_dominated: bool

    @property
    def ceiling_busbw_bytes_per_s(self) -> float | None:
        """The busbw that no measurement can exceed; None where nothing limits the call."""
        return _busbw(self.spec, self.ceiling_s)

    @property
    def busbw_bytes_per_s(self) -> float | None:
        return None if self.duration_s is None else _busbw(self.spec, self.duration_s)


def _busbw(spec: CollectiveSpec, duration_s: float) -> float | None:
    factor = bus_factor(spec.collective, spec.num_ranks)
    bus_bytes = factor * spec.message_bytes
    return bus_bytes / duration_s if duration_s > 0 and bus_bytes > 0 else None


def predict(spec: CollectiveSpec, network: Network) -> Prediction:
    """Duration and ceiling: T_load = max over resources of load / capacity.

    The loads are those of a ring in rank order or of a direct exchange, or what any schedule must move; see
    `host_egress_bytes`, `largest_arrival_bytes`, `leaf_egress_bytes` and `rank_link_bytes`. A token bucket of b bytes
    gives T >= max(0, V - b) / rate; the delays of the links on the longest chain bound it as well, and may hide behind
    transfers. The expected duration is their sum with T_load; what software adds is not known beforehand, so small
    messages take longer.

    Raises:
        ValueError: the ranks of ``spec`` are not those of ``network``.
    Source:
        The bound is that of a perfectly pipelined schedule: load over capacity of the slowest resource. Token bucket:
        RFC 2697 (burst size) and Linux sch_tbf.
    """
    if spec.num_ranks != network.num_ranks:
        raise ValueError(f"{spec.num_ranks} ranks on a network of {network.num_ranks}")
    egress_bytes = host_egress_bytes(spec, network.ranks_per_host)
    # Collectives that ring through every rank leave a host by all of its ports in turn; single messages by one rank's.
    # Unequal shares leave by all ports at best, and enter by those of their receiver.
    ports, ports_of_rank = network.ports_per_host, max(1, network.ports_per_host // network.ranks_per_host)
    if spec.collective in (Collective.send_recv, Collective.ping_pong):
        ports = ports_of_rank
    per_port_bytes = egress_bytes / ports
    if spec.collective is Collective.all_to_allv:
        arrival_bytes = largest_arrival_bytes(spec, network.ranks_per_host)
        per_port_bytes = max(per_port_bytes, arrival_bytes / ports_of_rank)
    loads = []
    if egress_bytes:
        for resource, capacity in network.port_bytes_per_s.items():
            loads.append(Load(resource=resource, payload_bytes=per_port_bytes, capacity_bytes_per_s=capacity))
        hosts_per_leaf = network.hosts_per_leaf or network.num_hosts
        if network.spine_bytes_per_s is not None:
            # All uplinks of a leaf together, as many as its hosts have ports, carry what leaves it.
            leaf_bytes = leaf_egress_bytes(spec, hosts_per_leaf * network.ranks_per_host)
            loads.append(
                Load(
                    resource="spine",
                    payload_bytes=leaf_bytes / (hosts_per_leaf * ports),
                    capacity_bytes_per_s=network.spine_bytes_per_s,
                )
            )
    inside_bytes = rank_link_bytes(spec, network.ranks_per_host)
    if inside_bytes and network.nvlink_bytes_per_s is not None:
        loads.append(
            Load(
                resource="nvlink",
                payload_bytes=inside_bytes,
                capacity_bytes_per_s=network.nvlink_bytes_per_s,
            )
        )
    loads.sort(key=lambda load: (-load.duration_s, load.resource != "optics"))
    slowest_s = loads[0].duration_s if loads else 0.0
    tied = [load.resource for load in loads if load.duration_s >= slowest_s * (1 - TIE_TOLERANCE)]
    bound_by = "optics" if "optics" in tied else (tied[0] if tied else None)
    bucket_s = network.bucket_bytes / min(network.port_bytes_per_s.values())
    is_bucket_dominated = 0 < per_port_bytes < MIN_BUCKETS * network.bucket_bytes
    delay_s = num_crossings(spec, network.ranks_per_host) * network.delay_s
    is_known = spec.collective in KNOWN_SCHEDULES
    has_duration = is_known and bool(loads) and slowest_s > 0 and not is_bucket_dominated
    return Prediction(
        spec=spec,
        loads=tuple(loads),
        ceiling_s=max(0.0, slowest_s - bucket_s, delay_s),
        duration_s=slowest_s + delay_s if has_duration else None,
        bound_by=bound_by,
        also_bound_by=tuple(resource for resource in tied if resource != bound_by),
        is_bucket_dominated=is_bucket_dominated,
    )
