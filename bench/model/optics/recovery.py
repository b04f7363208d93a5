"""What loss costs once FEC does not correct everything: goodput as an interval, by transport.

Everywhere t is the time of one packet on the link, p the share of packets lost, R the round trip. Losses are
independent, or come in bursts (``burst_bytes``); the rate is what the same transport carries without loss.
Each formula is a model of an endless stream, and its inputs are seldom all known, so the result is an
interval with its reasons, never a point. What congestion control does on its own (DCQCN, pauses, slow start)
is not in it.

RDMA. A lost packet costs its own time and, with go-back-N, everything that was sent until the sender heard of
it:

    time per packet delivered = t + p/(1-p) (t + R)        goodput / rate = (1-p) / (1-p+Wp),  W = 1 + R/t

Selective repeat costs t alone, or (t + R) as well if its window is one bandwidth-delay product and stands
still. A receiver asks for a packet once: where the repetition or the request is lost too, or nothing follows
the lost packet, the sender waits for its timeout. A link that repeats by itself (PLR) has a round trip of one
link and no timeout; the size of what it repeats is not public, so it costs something between nothing and
go-back-N.

TCP. Loss lowers the window, and a packet takes R / window, or t where the link is slower: at least the larger
of their means, at most their sum. See `aimd_window_packets`, `cubic_window_packets`, `padhye_s_per_packet`.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bench.model.framing import Transport, framing
from bench.model.optics.tcp_window import (
    CUBIC_DECREASE,
    CUBIC_RANDOM,
    RENO_DECREASE,
    aimd_window_packets,
    padhye_s_per_packet,
)

BBR_TOLERATED: Final = 0.01
"""Share of packets that every version of bbr loses without slowing down. Versions 2 and 3 stop probing at 2 %
of one round trip, chosen so that 1 % still leaves full throughput (Cardwell, bbr-dev list, 2 April 2025; on
wide-area links); version 1 bears up to 20 % in theory, from 1.25 (1 - p) >= 1 (Cardwell, same list)."""

TCP_TIMEOUT_S: Final = 0.2
"""Least retransmission timeout of Linux on top of the round trip: TCP_RTO_MIN, include/net/tcp.h (B)."""

RDMA_TIMEOUT_S: Final = 4.096e-6 * 2**20
"""4.29 s: local ACK timeout 4.096 us x 2^20, default of NCCL_IB_TIMEOUT since 2.23 (NVIDIA/nccl, net_ib: 20;
18 and 14 before) (B). Adapters may be set to shorter ones (NVIDIA, Adaptive Retransmission) and may take up
to 4 times as long (InfiniBand specification, M)."""


class CongestionControl(Enum):
    """What sets the window of TCP, as /proc/sys/net/ipv4/tcp_congestion_control names it."""

    reno = "reno"
    cubic = "cubic"
    bbr = "bbr"
    unknown = "unknown"


class Recovery(Enum):
    """How a lost RDMA packet is replaced."""

    go_back_n = "go_back_n"
    selective_repeat = "selective_repeat"
    link_retry = "link_retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodputInterval:
    """Payload per second in one direction, and what it depends on.

    Attributes:
        basis: formulas and assumptions of both limits, in words.
        rtt_low_s, rtt_high_s: round trip it was computed for, without what the flow itself queues.
        congestion_control: of TCP; recovery: of RDMA, None where it is not known or does not apply.
    """

    low_bytes_per_s: float
    high_bytes_per_s: float
    basis: str
    rtt_low_s: float
    rtt_high_s: float
    congestion_control: CongestionControl | None = None
    recovery: Recovery | None = None


def congestion_control(name: str | None) -> CongestionControl:
    """Read what the kernel prints; any algorithm without a formula here, and None, is ``unknown``."""
    known = {member.value: member for member in CongestionControl}
    return known.get(name or "", CongestionControl.unknown)


def go_back_n_fraction(loss_ratio: float, window_packets: float) -> float:
    """Share of the rate that go-back-N delivers: (1-p) / (1-p+Wp).

    W counts the packets sent from the lost one, included, until the sender hears of it: 1 + R/t.

    Source:
        Lin and Costello, Error Control Coding, chapter on ARQ; as the "well-known formula" also in The
        throughput efficiency of the go-back-N ARQ scheme under Markov and related error structures
        (scilit.com). RoCE: Mittal et al., Revisiting Network Support for RDMA, SIGCOMM 2018, section 2.
    """
    return (1 - loss_ratio) / (1 - loss_ratio + window_packets * loss_ratio)


def goodput_interval(
    transport: Transport,
    rate_bytes_per_s: float,
    loss_ratio: float,
    rtt_s: float | tuple[float, float],
    mtu_bytes: int,
    congestion_control: CongestionControl | None = None,
    *,
    recovery: Recovery | None = None,
    num_flows: int = 1,
    burst_bytes: int = 0,
    message_bytes: int | None = None,
    timeout_s: float | None = None,
    is_bidirectional: bool = False,
) -> GoodputInterval:
    """Goodput between its limits, for a share of packets lost; the rate itself where nothing is lost.

    Args:
        rate_bytes_per_s: payload per second of all flows without loss.
        rtt_s: round trip without what these flows queue, or its lowest and highest value. Their own queue is
            in the model: it makes the round trip longer and the link no slower. With link retry it is one
            link's.
        mtu_bytes: as in `framing`: RDMA path MTU, or the interface's MTU.
        congestion_control: of TCP; None and ``unknown`` take the widest limits of all.
        recovery: of RDMA; None: not known. RoCE then has go-back-N to selective repeat, InfiniBand go-back-N
            to link retry.
        num_flows: flows (queue pairs) that share the rate equally.
        burst_bytes: bytes that one loss may take at once: 65536 where an offloaded TCP segment is dropped
            whole. ``loss_ratio`` stays the share of packets; fewer and larger losses raise the upper limit.
        message_bytes: RDMA messages of this size, each sent when the one before has arrived: nothing follows
            a last packet that is lost. None: messages follow each other.
        timeout_s: None: `RDMA_TIMEOUT_S`; of TCP the larger of R + `TCP_TIMEOUT_S` and 4 R (RFC 5348, section
            4.3).
        is_bidirectional: acknowledgements wait behind the data of an equal flow in the other direction. The
            two windows are alike, so the larger fills its link in at least half of the time; a packet takes
            at most one t more.

    Raises:
        ValueError: a number outside its range, or an MTU that the transport does not have.
    """
    path = _Path(
        loss_ratio=loss_ratio,
        rtt_s=rtt_s if isinstance(rtt_s, tuple) else (rtt_s, rtt_s),
        rate_bytes_per_s=rate_bytes_per_s,
        num_flows=num_flows,
        burst_bytes=burst_bytes,
        message_bytes=message_bytes,
        timeout_s=timeout_s,
        is_bidirectional=is_bidirectional,
    )
    control = congestion_control or CongestionControl.unknown
    kinds = _KNOWN if transport is Transport.unknown else (transport,)
    low_bytes_per_s, high_bytes_per_s, reasons = math.inf, 0.0, []
    for kind in kinds:
        payload_bytes = framing(kind, mtu_bytes).payload_bytes
        if loss_ratio == 0:
            low_bytes_per_s = high_bytes_per_s = rate_bytes_per_s
            reasons = ["nothing is lost"]
            continue
        if kind is Transport.tcp:
            slow_s, fast_s, reason = _tcp(path, payload_bytes, control)
        else:
            slow_s, fast_s, reason = _rdma(path, payload_bytes, kind, recovery)
        low_bytes_per_s = min(low_bytes_per_s, payload_bytes * num_flows / slow_s)
        high_bytes_per_s = max(high_bytes_per_s, payload_bytes * num_flows / fast_s)
        reasons.append(reason)
    return GoodputInterval(
        # Equal limits differ by rounding, as sums in another order do.
        low_bytes_per_s=min(low_bytes_per_s, high_bytes_per_s, rate_bytes_per_s),
        high_bytes_per_s=min(high_bytes_per_s, rate_bytes_per_s),
        basis="; or ".join(reasons),
        rtt_low_s=path.rtt_s[0],
        rtt_high_s=path.rtt_s[1],
        congestion_control=control if Transport.tcp in kinds else None,
        recovery=None if transport is Transport.tcp else recovery,
    )


_KNOWN: Final = (Transport.roce_v2, Transport.infiniband, Transport.tcp)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """Arguments of `goodput_interval`, checked."""

    loss_ratio: float
    rtt_s: tuple[float, float]
    rate_bytes_per_s: float
    num_flows: int
    burst_bytes: int
    message_bytes: int | None
    timeout_s: float | None
    is_bidirectional: bool

    def __post_init__(self) -> None:
        if not 0 <= self.loss_ratio < 1:
            raise ValueError(
                f"loss_ratio is {self.loss_ratio}; it is a share of packets, at least 0 and below 1"
            )
        if not 0 <= self.rtt_s[0] <= self.rtt_s[1] < math.inf:
            raise ValueError(f"rtt_s is {self.rtt_s}; give seconds, or (lowest, highest), 0 or more")
        if not 0 < self.rate_bytes_per_s < math.inf:
            raise ValueError(f"rate_bytes_per_s is {self.rate_bytes_per_s}; a rate without loss is above 0")
        for key, least in (("num_flows", 1), ("burst_bytes", 0), ("message_bytes", 1), ("timeout_s", 0)):
            value = getattr(self, key)
            if value is not None and value < least:
                raise ValueError(f"{key} is {value}; it is at least {least}")

    def packet_s(self, payload_bytes: int) -> float:
        """t: what one packet of one flow takes on the link, which all flows share."""
        return payload_bytes * self.num_flows / self.rate_bytes_per_s

    def packets_per_loss(self, payload_bytes: int) -> float:
        return max(1.0, self.burst_bytes / payload_bytes)


def _rdma(
    path: _Path, payload_bytes: int, transport: Transport, recovery: Recovery | None
) -> tuple[float, float, str]:
    """Most and least seconds per packet delivered, and why. Every loss is independent at worst, in bursts at
    best."""
    p, packet_s, (rtt_low_s, rtt_high_s) = path.loss_ratio, path.packet_s(payload_bytes), path.rtt_s
    lost = p / (1 - p)  # packets lost per packet delivered
    window_s = packet_s + lost * (packet_s + rtt_high_s)
    is_last = 0.0 if path.message_bytes is None else min(1.0, payload_bytes / path.message_bytes)
    timeout_s = RDMA_TIMEOUT_S if path.timeout_s is None else path.timeout_s
    # The repetition is lost with p, the request for it with p, or nothing comes after the lost packet.
    slowest_s = window_s + lost * min(1.0, 2 * p + is_last) * timeout_s
    waits = f"round trips up to {rtt_high_s:.3g} s and timeouts of {timeout_s:.3g} s"
    match recovery:
        case Recovery.go_back_n:
            rtt_per_lost_s = rtt_low_s / path.packets_per_loss(payload_bytes)
            fastest_s = packet_s + lost * (packet_s + rtt_per_lost_s)
            return slowest_s, fastest_s, f"go-back-N, (1-p)/(1-p+Wp); at worst with {waits}"
        case Recovery.selective_repeat:
            reason = (
                f"selective repeat, 1-p at best; at worst a window that stands still after each loss, {waits}"
            )
            return slowest_s, packet_s * (1 + lost), reason
        case Recovery.link_retry:
            reason = (
                "link retry: between nothing and go-back-N over one link's round trip of "
                f"{rtt_high_s:.3g} s, because what it repeats is not public"
            )
            return window_s, packet_s, reason
    if transport is Transport.infiniband:
        return slowest_s, packet_s, f"InfiniBand, link retry at best, go-back-N at worst with {waits}"
    return (
        slowest_s,
        packet_s * (1 + lost),
        f"RoCE, selective repeat at best, go-back-N at worst with {waits}",
    )


def _tcp(path: _Path, payload_bytes: int, control: CongestionControl) -> tuple[float, float, str]:
    """Most and least seconds per packet delivered, and why. The link takes t / (1-p), lost packets
    included."""
    p, packet_s, (rtt_low_s, rtt_high_s) = path.loss_ratio, path.packet_s(payload_bytes), path.rtt_s
    link_s = packet_s / (1 - p)
    behind_s = packet_s if path.is_bidirectional else 0.0
    timeout_s = path.timeout_s
    if timeout_s is None:
        timeout_s = max(rtt_high_s + TCP_TIMEOUT_S, 4 * rtt_high_s)
    avoidance_s, waiting_s = padhye_s_per_packet(p, rtt_high_s, timeout_s)
    slowest_s = link_s + avoidance_s + behind_s + waiting_s
    at_worst = f"at worst Padhye et al. 1998, R {rtt_high_s:.3g} s, timeouts of {timeout_s:.3g} s"
    if control is CongestionControl.unknown:
        return slowest_s, link_s, f"TCP, congestion control not known: at best bbr, 1-p; {at_worst}"
    if control is CongestionControl.bbr:
        if p <= BBR_TOLERATED:  # it waits only where a repetition is lost too
            slowest_s = link_s + behind_s + p * p * timeout_s
            at_worst = f"lost repetitions wait {timeout_s:.3g} s"
        return slowest_s, link_s, f"TCP bbr: 1-p at best; {at_worst}"
    events = p / path.packets_per_loss(payload_bytes)
    window = aimd_window_packets(events, RENO_DECREASE)
    at_best = "random losses, Ott et al. 1996 (Mathis et al. 1997 with 1.31)"
    if control is CongestionControl.cubic:
        window = aimd_window_packets(events, CUBIC_DECREASE)
        window = max(window, CUBIC_RANDOM * (rtt_low_s / events) ** 0.75)
        at_best = "random losses, RFC 9438 with Poojary and Sharma 2015, or its reno-friendly region"
    fastest_s = max(link_s, rtt_low_s / window)
    return slowest_s, fastest_s, f"TCP {control.value}: at best {at_best}, R {rtt_low_s:.3g} s; {at_worst}"
