"""`Load`: what one resource has to carry in one call, and how long that takes at its payload capacity."""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

from bench.model.collective import Collective, CollectiveSpec
from bench.model.ecmp import SlowestFlow, slowest_at_leaf
from bench.model.fabric import Network
from bench.model.schedule import Schedule, demand
from bench.model.transfer import (
    host_egress_bytes,
    largest_arrival_bytes,
    leaf_egress_bytes,
    leaf_rail_bytes,
    rank_link_bytes,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Payload over capacity.

    Attributes:
        resource: ``optics nic pcie`` of one port, ``spine`` (the uplinks of a leaf), ``nvlink``.
        payload_bytes: per port, per uplink that belongs to a port, or per rank.
        is_reduced_inside: nvlink only: the switches reduce and multicast (NVLS).
        collisions: spine only: what hashed flows leave of its rate; None where they are sprayed, or nobody says.
    """

    resource: str
    payload_bytes: float
    capacity_bytes_per_s: float
    is_reduced_inside: bool = False
    collisions: SlowestFlow | None = None

    @property
    def duration_s(self) -> float:
        return self.payload_bytes / self.capacity_bytes_per_s

    @property
    def is_outside(self) -> bool:
        """Whether it is on the way between hosts."""
        return self.resource != "nvlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Every loaded resource, slowest first, the optics before others that take as long; bytes of one port; steps."""

    loads: tuple[Load, ...]
    per_port_bytes: float
    host_steps: float
    inside_steps: float
    num_messages: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    host_bytes: float
    inside_bytes: float
    nvls_bytes: float
    leaf_bytes: float
    host_steps: float = 0.0
    inside_steps: float = 0.0
    num_messages: float = 0.0


def loads_of(spec: CollectiveSpec, network: Network, schedule: Schedule | None) -> Loads:
    """The loads of a schedule; without one, those of a ring in rank order or a direct exchange, or what any must move.

    Ports: collectives that ring through every rank leave a host by all of its ports in turn (`Network.num_rings`), single
    messages by one rank's. Unequal shares leave by all ports at best, and enter by those of their receiver.

    Raises:
        ValueError: the ranks of ``spec`` are not those of ``network``, or the collective has no such schedule.
    """
    if spec.num_ranks != network.num_ranks:
        raise ValueError(f"{spec.num_ranks} ranks on a network of {network.num_ranks}")
    # Uplinks belong to ports: those of hosts that take no part are not counted.
    hosts_per_leaf = min(network.hosts_per_leaf or network.num_hosts, network.num_hosts)
    moved = _moved(spec, network, hosts_per_leaf, schedule)
    ports = network.ports_per_host
    ports_of_rank = max(1, ports // network.ranks_per_host)
    if spec.collective in (Collective.send_recv, Collective.ping_pong):
        ports = ports_of_rank
    elif network.num_rings is not None and _is_ring(spec, schedule):
        ports = min(ports, network.num_rings)
    per_port_bytes = moved.host_bytes / ports
    if spec.collective is Collective.all_to_allv:
        arrival_bytes = largest_arrival_bytes(spec, network.ranks_per_host)
        per_port_bytes = max(per_port_bytes, arrival_bytes / ports_of_rank)
    found = []
    if moved.host_bytes:
        for resource, capacity in network.port_bytes_per_s.items():
            found.append(Load(resource=resource, payload_bytes=per_port_bytes, capacity_bytes_per_s=capacity))
        if network.spine_bytes_per_s is not None:
            # All uplinks of a leaf together, as many as its hosts have ports, carry what leaves it.
            found.append(
                Load(
                    resource="spine",
                    payload_bytes=moved.leaf_bytes / (hosts_per_leaf * ports),
                    capacity_bytes_per_s=network.spine_bytes_per_s * network.goodput_high,
                    collisions=_collisions(spec, network, schedule, hosts_per_leaf),
                )
            )
    if network.nvlink_bytes_per_s is not None:
        for num_bytes, is_reduced in ((moved.inside_bytes, False), (moved.nvls_bytes, True)):
            if num_bytes:
                found.append(
                    Load(
                        resource="nvlink",
                        payload_bytes=num_bytes,
                        capacity_bytes_per_s=network.nvlink_bytes_per_s,
                        is_reduced_inside=is_reduced,
                    )
                )
    found.sort(key=lambda load: (-load.duration_s, load.resource != "optics"))
    return Loads(
        loads=tuple(found),
        per_port_bytes=per_port_bytes,
        host_steps=moved.host_steps,
        inside_steps=moved.inside_steps,
        num_messages=moved.num_messages,
    )


def _collisions(
    spec: CollectiveSpec, network: Network, schedule: Schedule | None, hosts_per_leaf: int
) -> SlowestFlow | None:
    """One flow at a time on each port that sends to other leaves: those of one host for a ring in rank order, else of all."""
    if network.ecmp_uplinks is None or network.num_hosts <= hosts_per_leaf:
        return None
    hosts = 1 if _is_ring(spec, schedule) else hosts_per_leaf
    num_leaves = -(-network.num_hosts // hosts_per_leaf)
    return _slowest(hosts * network.ports_per_host, network.ecmp_uplinks, num_leaves)


@lru_cache(maxsize=256)
def _slowest(num_flows: int, num_uplinks: int, num_leaves: int) -> SlowestFlow:
    return slowest_at_leaf(num_flows, num_uplinks, num_leaves=num_leaves)


def _is_ring(spec: CollectiveSpec, schedule: Schedule | None) -> bool:
    vectors = (Collective.all_reduce, Collective.all_gather, Collective.reduce_scatter)
    return schedule is Schedule.ring or (schedule is None and spec.collective in vectors)


def _moved(spec: CollectiveSpec, network: Network, hosts_per_leaf: int, schedule: Schedule | None) -> _Moved:
    least = _Moved(
        host_bytes=host_egress_bytes(spec, network.ranks_per_host),
        inside_bytes=rank_link_bytes(spec, network.ranks_per_host),
        nvls_bytes=0.0,
        leaf_bytes=leaf_egress_bytes(spec, hosts_per_leaf * network.ranks_per_host),
    )
    if schedule is None:
        return least
    needs = demand(
        spec.collective,
        schedule,
        network.num_hosts,
        network.ranks_per_host,
        hosts_per_leaf,
        network.is_rail_optimised,
    )
    if spec.split_bytes is not None:
        # Uneven shares: bytes by the matrix, steps and messages by the schedule.
        on_rails = network.is_rail_optimised and schedule is not Schedule.p2p_pxn
        return dataclasses.replace(
            least,
            leaf_bytes=leaf_rail_bytes(spec, network.ranks_per_host, hosts_per_leaf)
            if on_rails
            else least.leaf_bytes,
            host_steps=float(needs.host_steps),
            inside_steps=float(needs.inside_steps),
            num_messages=float(needs.num_messages),
        )
    size = spec.message_bytes
    return _Moved(
        host_bytes=float(needs.host_bytes) * size,
        inside_bytes=float(needs.inside_bytes) * size,
        nvls_bytes=float(needs.nvls_bytes) * size,
        leaf_bytes=float(needs.leaf_bytes) * size,
        host_steps=float(needs.host_steps),
        inside_steps=float(needs.inside_steps),
        num_messages=float(needs.num_messages),
    )
