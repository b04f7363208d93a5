"""`Load`: what one resource has to carry in one call, and how long that takes at its payload capacity."""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Network
from bench.model.flow.ecmp import SlowestFlow, slowest_at_leaf
from bench.model.schedule import Schedule, demand
from bench.model.transfer import (
    host_egress_bytes,
    largest_arrival_bytes,
    leaf_egress_bytes,
    leaf_rail_bytes,
    rank_link_bytes,
    rank_pxn_bytes,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Payload over capacity.

    Attributes:
        resource: ``optics nic pcie`` of one port, ``spine`` (the uplinks of a leaf), ``nvlink``.
        payload_bytes: per port, per uplink that belongs to a port, or per rank.
        is_reduced_inside: nvlink only: the switches reduce and multicast (NVLS).
        mean_share, worst_share: of the capacity, where flows are hashed and collide, and where packets are sent again; 1 where
            neither happens, or nobody says so. loss_share: the part of worst_share that is loss.
    """

    resource: str
    payload_bytes: float
    capacity_bytes_per_s: float
    is_reduced_inside: bool = False
    mean_share: float = 1.0
    worst_share: float = 1.0
    loss_share: float = 1.0

    @property
    def duration_s(self) -> float:
        return self.payload_bytes / self.capacity_bytes_per_s

    @property
    def is_outside(self) -> bool:
        """Whether it is on the way between hosts."""
        return self.resource != "nvlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Every loaded resource, slowest first, the optics before others that take as long; bytes of one port; steps.

    ``is_inside_unknown``: bytes move between ranks of a host over links whose rate nobody has given.
    """

    loads: tuple[Load, ...]
    per_port_bytes: float
    host_steps: float
    inside_steps: float
    num_messages: float
    is_inside_unknown: bool


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
        arriving = network.goodput_low / network.goodput_high
        for resource, capacity in network.port_bytes_per_s.items():
            found.append(
                Load(
                    resource=resource,
                    payload_bytes=per_port_bytes,
                    capacity_bytes_per_s=capacity * network.goodput_high,
                    worst_share=arriving,
                    loss_share=arriving,
                )
            )
        if network.spine_bytes_per_s is not None:
            found.append(
                _spine_load(spec, network, schedule, moved.leaf_bytes, per_port_bytes, ports, arriving)
            )
    inside_bytes_per_s = _inside_bytes_per_s(spec, network)
    if inside_bytes_per_s is not None:
        for num_bytes, is_reduced in ((moved.inside_bytes, False), (moved.nvls_bytes, True)):
            if num_bytes:
                found.append(
                    Load(
                        resource="nvlink",
                        payload_bytes=num_bytes,
                        capacity_bytes_per_s=inside_bytes_per_s,
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
        is_inside_unknown=inside_bytes_per_s is None and moved.inside_bytes + moved.nvls_bytes > 0,
    )


def _inside_bytes_per_s(spec: CollectiveSpec, network: Network) -> float | None:
    """What the links of one rank to others of its host carry together; in a mesh one link for each of them."""
    rate, gpu = network.nvlink_bytes_per_s, network.gpu
    if rate is None or gpu is None or gpu.link_gbytes_per_s is None:
        return rate
    is_one_peer = spec.collective in (Collective.send_recv, Collective.ping_pong)
    return min(rate, gpu.mesh_bytes_per_s(2 if is_one_peer else network.ranks_per_host))


def _spine_load(
    spec: CollectiveSpec,
    network: Network,
    schedule: Schedule | None,
    leaf_bytes: float,
    per_port_bytes: float,
    ports: int,
    arriving: float,
) -> Load:
    """The uplinks of a leaf. Sprayed: all of them together, as many as its hosts have ports, carry what leaves it.

    Hashed: every flow has one uplink, and a ring in rank order sends those of one host alone, each with all the bytes of its
    port.
    """
    assert network.spine_bytes_per_s is not None
    hosts_per_leaf = min(network.hosts_per_leaf or network.num_hosts, network.num_hosts)
    capacity = network.spine_bytes_per_s * network.goodput_high
    payload_bytes = leaf_bytes / (hosts_per_leaf * ports)
    if network.ecmp_uplinks is None or leaf_bytes == 0:
        return Load(
            resource="spine",
            payload_bytes=payload_bytes,
            capacity_bytes_per_s=capacity,
            worst_share=arriving,
            loss_share=arriving,
        )
    hosts = 1 if _is_ring(spec, schedule) else hosts_per_leaf
    uplink_over_port = (
        hosts_per_leaf * network.ports_per_host / (network.oversubscription * network.ecmp_uplinks)
    )
    slowest = _slowest(
        hosts * network.ports_per_host,
        network.ecmp_uplinks,
        -(-network.num_hosts // hosts_per_leaf),
        uplink_over_port,
    )
    if hosts == 1:
        # Without collisions each flow has its port's rate, or an even share of all uplinks where those are slower together.
        payload_bytes = per_port_bytes
        capacity *= min(network.oversubscription, hosts_per_leaf)
    return Load(
        resource="spine",
        payload_bytes=payload_bytes,
        capacity_bytes_per_s=capacity,
        mean_share=slowest.mean,
        worst_share=slowest.low * arriving,
        loss_share=arriving,
    )


@lru_cache(maxsize=256)
def _slowest(num_flows: int, num_uplinks: int, num_leaves: int, uplink_over_port: float) -> SlowestFlow:
    return slowest_at_leaf(num_flows, num_uplinks, num_leaves=num_leaves, uplink_over_port=uplink_over_port)


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
            inside_bytes=rank_pxn_bytes(spec, network.ranks_per_host)
            if schedule is Schedule.p2p_pxn
            else least.inside_bytes,
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
