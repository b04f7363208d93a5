"""`degraded`: a network with the faults of its links in it, so that what they cost can be said before they
are injected.

Faults of ranks (late_rank, stall) are not of the network and change nothing here.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.model.collective import Collective
from bench.model.fabric import Network
from bench.model.fault import Fault, loss_ratios, rate_fractions
from bench.model.framing import Transport
from bench.model.grouping import WORLD
from bench.model.optics.recovery import CongestionControl, goodput_interval

EMULATED_RTT_S: Final = (0.0, 3e-3)
"""Round trip between emulated hosts, without what flows queue and without fibre: a packet is handled at once,
or after a time slice of another process. TCP_INFO showed 5 to 25 us at the least, and 0.1 to 0.25 ms smoothed
on connections that carried nothing (2-core VM, Linux 6.18); slices are 0.7 ms x (1 + log2 of the processors,
at most 8), which is 2.8 ms (Linux, kernel/sched/fair.c, sysctl_sched_base_slice)."""

_RINGS: Final = frozenset({Collective.all_reduce, Collective.all_gather, Collective.send_recv})
"""Collectives that run as one ring in rank order where there is one ring (gloo:
docs/measured/emulated-fabric.md). For the others every port is taken to be used, which is what a direct
exchange does and never too few."""

Port = tuple[int, int]
"""Host and rail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """A network with faults in it, as slow as they may make it and as fast; the same where nothing is lost.

    ``basis`` says what the two limits depend on; None where nothing is lost.
    """

    worst: Network
    best: Network
    basis: str | None = None


def rail_of(local_rank: int, ranks_per_host: int, ports_per_host: int) -> int:
    """The rail that a rank uses: ranks of a host share its ports evenly, in order."""
    return local_rank * ports_per_host // ranks_per_host


def degraded(
    network: Network,
    faults: Sequence[Fault],
    collective: Collective,
    *,
    mtu_bytes: int,
    kind: str = WORLD,
    group: int = 0,
    congestion_control: CongestionControl = CongestionControl.reno,
    rtt_s: tuple[float, float] = EMULATED_RTT_S,
) -> Degraded:
    """``network`` as ``faults`` leave it to one group that carries out ``collective``.

    Every host and every port of `ports_used` carries the same, and a collective is over when its last rank
    is: so the rate of each port becomes the least over these ports (unequal rails: the minimum over rails),
    and where packets are lost its goodput at the greatest loss among these hosts, between the limits of
    `goodput_interval`. Lost acknowledgements are left out: the next ones make them good. Spine and NVLink
    stay as they are.

    ``network`` is that of all ranks; what remains for a group is up to the caller, as without faults.

    Args:
        mtu_bytes: of the links; matters where packets are lost.
        kind, group: which group, as in `groups_of`.
        rtt_s: least and greatest round trip without what the flows queue.

    Raises:
        ValueError: groups whose ports depend on where their ranks lie.
    """
    ports = ports_used(network, collective, kind=kind, group=group)
    fractions = rate_fractions(faults, network.num_hosts, network.ports_per_host)
    slowest = _slowed(network, min((fractions.get(port, 1.0) for port in ports), default=1.0))
    losses = loss_ratios(faults, network.num_hosts)
    loss_ratio = max((losses.get(host, 0.0) for host, _ in ports), default=0.0)
    if not loss_ratio:
        return Degraded(worst=slowest, best=slowest)
    rate_bytes_per_s = min(slowest.port_bytes_per_s.values())
    delay_s = 2 * network.delay_s
    goodput = goodput_interval(
        Transport.tcp,
        rate_bytes_per_s,
        loss_ratio,
        (rtt_s[0] + delay_s, rtt_s[1] + delay_s),
        mtu_bytes,
        congestion_control,
        # Acknowledgements share the link with the data that their host sends; in a ping_pong one of the two
        # is idle.
        is_bidirectional=collective is not Collective.ping_pong,
    )
    return Degraded(
        worst=_with_payload_share(slowest, goodput.low_bytes_per_s / rate_bytes_per_s),
        best=_with_payload_share(slowest, goodput.high_bytes_per_s / rate_bytes_per_s),
        basis=goodput.basis,
    )


def ports_used(
    network: Network, collective: Collective, *, kind: str = WORLD, group: int = 0
) -> frozenset[Port]:
    """The ports that a collective of one group crosses, on a network whose ranks share ports as `rail_of`
    says.

    world   all of them where every rank sends to every other, or each port has a ring. A single ring
            (``num_rings`` 1) joins the last rank of each host with the first of the next over the last rail,
            and the two ends over rail 0. The two ranks of a ping_pong are the first and the last: rail 0 of
            the hosts they are on.
    rail    the rail of that group, on every host; of a ping_pong on the first and the last.
    host    none.

    A connection crosses one rail in both directions, that of its rank on the lower host (see
    `bench.launch.layout`).

    Raises:
        ValueError: another kind of groups.
    """
    hosts = range(network.num_hosts)
    ends = (0, network.num_hosts - 1)
    is_ping_pong = collective is Collective.ping_pong
    match kind:
        case "host":
            return frozenset()
        case "rail":
            rail = rail_of(group, network.ranks_per_host, network.ports_per_host)
            return frozenset((host, rail) for host in (ends if is_ping_pong else hosts))
        case "world":
            if is_ping_pong:
                return frozenset((host, 0) for host in ends)
            if network.num_rings == 1 and collective in _RINGS:
                last = network.ports_per_host - 1
                return frozenset((host, last) for host in hosts) | {(host, 0) for host in ends}
            return frozenset((host, rail) for host in hosts for rail in range(network.ports_per_host))
    raise ValueError(
        f"groups {kind}: which ports they cross depends on where their ranks lie; faults are predicted for world, rail and host"
    )


def _slowed(network: Network, fraction: float) -> Network:
    """Links that run at ``fraction`` of their rate, as those do that came up with some of their lanes."""
    return dataclasses.replace(
        _with_payload_share(network, fraction),
        glass_bytes_per_s=None if network.glass_bytes_per_s is None else network.glass_bytes_per_s * fraction,
        mac_bytes_per_s=None if network.mac_bytes_per_s is None else network.mac_bytes_per_s * fraction,
    )


def _with_payload_share(network: Network, share: float) -> Network:
    """Links that carry ``share`` of the payload at the same rate."""
    ports = {name: rate * share for name, rate in network.port_bytes_per_s.items()}
    return dataclasses.replace(network, port_bytes_per_s=ports)
