"""`BuiltLink`: one link as it was built and as it reports itself, from a port of a host to what it is plugged into.

What its modules are made of is theirs; what was measured on it is here. None: not known.
"""

import re
from dataclasses import dataclass

from bench.model.framing import Framing, Transport
from bench.model.optics import medium as media
from bench.model.optics.energy import LinkEnergy, link_energy
from bench.model.optics.entry import Entry, exactly
from bench.model.optics.fec import group_time_s
from bench.model.optics.link_budget import has_oma, is_bound_to_host
from bench.model.optics.link_fec import LinkFec, interleave_depth, link_fec
from bench.model.optics.link_latency import LatencyPart, LinkLatency, link_latency
from bench.model.optics.medium import LIGHT_M_PER_S, Medium
from bench.model.transceiver import Transceiver


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLink:
    """One link.

    Attributes:
        near_ports, far_ports: links that a twin-port module serves at either end; 1 of any other.
        medium: None also where nothing is known of it, such as multimode fibre of a grade that nobody has named.
        fec: the code that runs, in the words of the tool that reports it.
        loss_ratio, round_trip_s, congestion_control: of packets on it, as they were measured or are set.
        transports: what it may speak; several where nobody said.
        packet, mtu_bytes: one full packet.
        payload_bytes_per_s: what one port carries without loss. None: the fabric is not known, or nothing leaves the host.
        is_emulated: packets pass an emulated link in its place, which loses none for what this one does.
    """

    near: Transceiver
    far: Transceiver
    near_ports: int = 1
    far_ports: int = 1
    medium: Medium | None = None
    length_m: float | None = None
    fec: str | None = None
    pre_fec_ber: float | None = None
    margin_db: float | None = None
    error_floor_ber: float | None = None
    loss_ratio: float | None = None
    round_trip_s: float | None = None
    congestion_control: str | None = None
    transports: tuple[Transport, ...] = (Transport.unknown,)
    packet: Framing
    mtu_bytes: int
    payload_bytes_per_s: float | None = None
    is_emulated: bool = False

    @property
    def energy(self) -> LinkEnergy:
        """Power of both ends."""
        return link_energy(
            self.near,
            self.far,
            near_ports_per_module=self.near_ports,
            far_ports_per_module=self.far_ports,
        )

    @property
    def mac_bytes_per_s(self) -> float:
        """Of the slower end, per port and direction."""
        return self.energy.rate_bytes_per_s

    @property
    def modules(self) -> tuple[Transceiver, ...]:
        """Its kinds of modules, one or two."""
        return (self.near,) if self.near == self.far else (self.near, self.far)


def decodes_itself(module: Transceiver) -> bool:
    """Whether the module corrects what the fibre does: then neither the host's code nor its counters are about the fibre."""
    where = module.fec.terminated if module.fec is not None else None
    return re.match(r"inside the module|module DSP to module DSP", where or "") is not None


def why_no_ber_of_its_own(link: BuiltLink) -> str | None:
    """Why neither margin nor bit errors can be computed from data sheets; None where they can."""
    for module in link.modules:
        if is_bound_to_host(module):
            return f"{module.name} is not retimed: host, module and fibre make errors together"
        if module.optical is None:
            return "copper carries no light"
        if not has_oma(module):
            return "coherent light has no OMA, on which budgets rest"
    return None


def code_on_the_medium(link: BuiltLink) -> tuple[LinkFec | None, str]:
    """The code as far as it was read, and what is known of it in words. None: not read, or not the one on the fibre.

    Raises:
        ValueError: ``fec`` names no code.
    """
    module = link.near
    own = None if module.fec is None else module.fec.code
    if link.fec is None:
        on_ethernet = "" if own is None else f"on Ethernet this PMD uses {own}; "
        return None, f"{on_ethernet}on InfiniBand it is read, never inferred (link.fec)"
    try:
        run = link_fec(link.fec, None if module.host is None else module.host.modulation)
    except ValueError as error:
        raise ValueError(f"link.fec: {error}") from None
    if decodes_itself(module) and own is not None and run.code != link_fec(own).code:
        return None, f"{link.fec} is the host's and ends in the module, which runs {own} on the fibre"
    return run, f"reported by the link: {link.fec}"


def group_time(link: BuiltLink, run: LinkFec | None) -> Entry:
    """Seconds of one group of interleaved codewords, a floor of the latency."""
    if run is None or run.code is None:
        return Entry(basis="no FEC" if run is not None else why_no_code(link))
    if run.code.is_soft_decision:
        return Entry(basis=f"no number is published for {run.code.name}")
    depth = interleave_depth(run, link.mac_bytes_per_s)
    group_s = None if depth is None else group_time_s(run.code, link.mac_bytes_per_s, depth)
    if group_s is None:
        return Entry(basis=f"how {run.code.name} is interleaved, or its line rate, is not published")
    return exactly(group_s, f"{depth} x {run.code.n} symbols over the line rate (D)")


def why_no_code(link: BuiltLink) -> str:
    """What to do where `code_on_the_medium` has none."""
    return "give link.fec" if link.fec is None else "the module decodes, and the host does not see it"


def latency(link: BuiltLink, run: LinkFec | None) -> LinkLatency:
    """`bench.model.optics.link_latency`; of glass of unknown length or kind no more than the speed of light is known.

    A soft-decision code is part of the module that decodes it, of which no number is published.
    """
    has_hop = run is None or (run.code is not None and not run.code.is_soft_decision)
    group_s = group_time(link, run).low if has_hop else 0.0
    length_m = link.length_m or 0.0
    found = link_latency(link.near, link.far, link.medium or media.SMF, length_m, group_s)
    if link.length_m is not None and link.medium is not None:
        return found
    missing = "length not given" if link.length_m is None else "delay of this medium not known"
    glass = LatencyPart(
        name="medium", low_s=length_m / LIGHT_M_PER_S, high_s=None, grade=None, source=missing
    )
    return LinkLatency(parts=(glass, *found.parts[1:]))
