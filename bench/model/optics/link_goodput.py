"""What the losses of a link cost: the share of the payload rate that arrives, and the round trip it depends on."""

from typing import Final

from bench.model.degraded import EMULATED_RTT_S
from bench.model.framing import Transport
from bench.model.latency import MOST_HOST_HOP_S
from bench.model.optics.built_link import BuiltLink
from bench.model.optics.entry import Entry, exactly
from bench.model.optics.link_fec import LinkFec
from bench.model.optics.link_latency import LinkLatency
from bench.model.optics.recovery import Recovery, congestion_control, goodput_interval

LEAST_COST: Final = 5e-5
"""A smaller share of the rate changes none of the four digits that predictions are printed with."""

HOURS_PER_YEAR: Final = 365.25 * 24

RARE_S: Final = 3600.0
"""A port that at full rate loses less than one packet in an hour shows none in a run of some minutes. The formulas of TCP,
which take losses to come so often that the window settles, do not hold there."""


def round_trip(link: BuiltLink, latency: LinkLatency) -> Entry:
    """As given, else at least this link there and back, at most two of the longest hops between hosts, and its glass.

    The longest published hop is that of RDMA (`bench.model.latency`); with TCP a packet may wait for a time slice of the
    kernel (`bench.model.degraded`). No queues: those of the flow itself are in the model of what loss costs.
    """
    if link.round_trip_s is not None:
        return exactly(link.round_trip_s, "given: link.rtt_us")
    if link.is_emulated:
        return Entry(basis=_why_emulated())
    low_s = 2 * latency.low_s
    glass_s = latency.parts[0].high_s if link.length_m is not None else 0.0
    if glass_s is None:
        return Entry(low=low_s, basis="this link twice; the delay of its medium is not known")
    if any((module.kind or "").startswith("coherent") for module in link.modules):
        return Entry(low=low_s, basis="this link twice; what coherent modules add is not published")
    if {Transport.tcp, Transport.unknown} & set(link.transports):
        most_s, why = EMULATED_RTT_S[1], "a time slice of the kernel"
    else:
        most_s, why = 2 * MOST_HOST_HOP_S, "two of the longest published hops"
    return Entry(low=low_s, high=most_s + 2 * glass_s, basis=f"this link twice, to {why}; without queues (D)")


def goodput_fraction(
    link: BuiltLink, run: LinkFec | None, packets: Entry, round_trip: Entry, latency: LinkLatency
) -> Entry:
    """Share of the payload rate that arrives: all of it where FEC corrects what there is, else `goodput_interval`.

    ``packets``: share lost. Where that is a lower bound, so is the cost. A link with PLR sends again over itself; the
    round trip is then its own.
    """
    rate_bytes_per_s = link.payload_bytes_per_s
    if link.is_emulated:
        return Entry(basis=_why_emulated())
    if rate_bytes_per_s is None:
        return Entry(basis="no port is known that it crosses")
    if packets.low is None:
        return Entry(basis=packets.basis)
    condition = ", if errors are random" if packets.high is None else ""
    lost_per_s = packets.low * rate_bytes_per_s / link.packet.payload_bytes
    if lost_per_s * RARE_S < 1:
        return exactly(
            1.0, f"corrected errors cost no bandwidth; at full rate {_often(lost_per_s)}{condition}"
        )
    if packets.low >= 1:
        return exactly(0.0, f"no packet of {link.packet.payload_bytes} bytes is without a lost codeword")
    is_retry = link.loss_ratio is None and run is not None and run.has_plr
    if is_retry:
        most_s = max(latency.low_s, MOST_HOST_HOP_S if latency.high_s is None else latency.high_s)
        rtt_s = (2 * latency.low_s, 2 * most_s)
    elif round_trip.low is None or round_trip.high is None:
        return Entry(basis="packets are lost; give link.rtt_us to have what that costs")
    else:
        rtt_s = (round_trip.low, round_trip.high)
    found = [
        goodput_interval(
            transport,
            rate_bytes_per_s,
            packets.low,
            rtt_s,
            link.mtu_bytes,
            congestion_control(link.congestion_control),
            recovery=Recovery.link_retry if is_retry else None,
        )
        for transport in link.transports
    ]
    low = min(each.low_bytes_per_s for each in found) / rate_bytes_per_s
    if low > 1 - LEAST_COST:
        return exactly(
            1.0, f"corrected errors cost no bandwidth, lost packets less than {LEAST_COST:g}{condition}"
        )
    high = max(each.high_bytes_per_s for each in found) / rate_bytes_per_s
    basis = "; or ".join(dict.fromkeys(each.basis for each in found))
    return Entry(low=low, high=high, basis=f"{basis}{condition}")


def _why_emulated() -> str:
    return "emulated links lose nothing for it; emulation.faults has kind=loss"


def _often(lost_per_s: float) -> str:
    """Beyond a year nobody has watched a link."""
    if lost_per_s == 0:
        return "no packet is lost"
    hours = 1 / (lost_per_s * 3600)
    if hours >= HOURS_PER_YEAR:
        return "less than one packet is lost in a year"
    return (
        f"one packet is lost in {hours / 24:.2g} days"
        if hours >= 24
        else f"one packet is lost in {hours:.2g} hours"
    )
