"""What loss costs: published formulas and their values, limits that hold for every transport, simulations."""

import itertools
import math
import random

import pytest

from bench.model.framing import Transport
from bench.model.optics.recovery import (
    CongestionControl,
    GoodputInterval,
    Recovery,
    congestion_control,
    go_back_n_fraction,
    goodput_interval,
)
from bench.model.optics.tcp_window import (
    CUBIC_DECREASE,
    CUBIC_RANDOM,
    RENO_DECREASE,
    aimd_window_packets,
    cubic_window_packets,
    mathis_bytes_per_s,
    padhye_s_per_packet,
)

RATE = 4.9e10
LOSSES = (0.0, 1e-12, 1e-8, 1e-6, 1e-4, 1e-3, 0.009, 0.01, 0.011, 0.03, 0.1, 0.2, 0.21, 0.5, 0.99)
ROUND_TRIPS_S = (0.0, 1e-6, 1e-5, 1e-3, 0.02, 0.1, 1.0)
TCP = [(Transport.tcp, control, None) for control in CongestionControl]
RDMA = [
    (transport, None, recovery)
    for transport in (Transport.roce_v2, Transport.infiniband)
    for recovery in (*Recovery, None)
]
EVERY_WAY = pytest.mark.parametrize(
    ("transport", "control", "recovery"), [*TCP, *RDMA, (Transport.unknown, None, None)]
)
LOSS_BASED = pytest.mark.parametrize("control", [CongestionControl.reno, CongestionControl.cubic])


def _goodput(
    loss_ratio: float,
    rtt_s: float | tuple[float, float] = 1e-5,
    transport: Transport = Transport.roce_v2,
    control: CongestionControl | None = None,
    recovery: Recovery | None = None,
    *,
    rate_bytes_per_s: float = RATE,
    mtu_bytes: int = 4096,
    num_flows: int = 1,
    burst_bytes: int = 0,
    message_bytes: int | None = None,
    timeout_s: float | None = None,
    is_bidirectional: bool = False,
) -> GoodputInterval:
    return goodput_interval(
        transport,
        rate_bytes_per_s,
        loss_ratio,
        rtt_s,
        mtu_bytes,
        control,
        recovery=recovery,
        num_flows=num_flows,
        burst_bytes=burst_bytes,
        message_bytes=message_bytes,
        timeout_s=timeout_s,
        is_bidirectional=is_bidirectional,
    )


# Formulas


def test_mathis_at_1460_bytes_100_ms_and_1_in_1000() -> None:
    """14600 B/s x 38.73 = 565.5 kB/s."""
    assert mathis_bytes_per_s(1460, 0.1, 1e-3) == pytest.approx(565_456, rel=1e-5)


@pytest.mark.parametrize("loss_ratio", [1e-8, 1e-4, 1e-2])
def test_mathis_falls_with_the_root_of_loss(loss_ratio: float) -> None:
    at = mathis_bytes_per_s(1460, 0.1, loss_ratio)
    assert mathis_bytes_per_s(1460, 0.1, 4 * loss_ratio) == pytest.approx(at / 2)
    assert mathis_bytes_per_s(1460, 0.2, loss_ratio) == pytest.approx(at / 2)


def test_random_losses_leave_reno_a_window_of_1_31() -> None:
    """1.3098 / sqrt(p), as Ott, Kemperman and Mathis found; Mathis et al. print 1.31."""
    assert aimd_window_packets(1.0, RENO_DECREASE) == pytest.approx(1.3098, abs=5e-5)
    assert aimd_window_packets(1e-4, RENO_DECREASE) == pytest.approx(130.98, abs=5e-3)


@pytest.mark.parametrize(
    ("loss_ratio", "rtt_s", "packets"),
    [(1e-4, 0.1, 187), (1e-5, 0.1, 1054), (1e-8, 0.1, 187_400), (1e-7, 0.01, 5926), (1e-8, 0.01, 33_325)],
)
def test_cubic_windows_of_the_standard(loss_ratio: float, rtt_s: float, packets: float) -> None:
    """RFC 9438, tables 1 and 2, column C = 0.4, where it is above reno's."""
    assert cubic_window_packets(loss_ratio, rtt_s) == pytest.approx(packets, rel=3e-3)


def test_padhye_without_timeouts_and_delayed_acknowledgements_is_mathis() -> None:
    avoidance_s, waiting_s = padhye_s_per_packet(1e-3, 0.1, 0.0, packets_per_ack=1)
    assert waiting_s == 0
    assert 1460 / avoidance_s == pytest.approx(mathis_bytes_per_s(1460, 0.1, 1e-3))


def test_padhye_by_hand() -> None:
    """p 0.02, R 0.1 s, T0 0.4 s, b 2: 0.1 sqrt(0.08/3) = 16.33 ms; 0.4 x 3 sqrt(0.015) x 0.02 x 1.0128."""
    avoidance_s, waiting_s = padhye_s_per_packet(0.02, 0.1, 0.4)
    assert avoidance_s == pytest.approx(16.330e-3, rel=1e-4)
    assert waiting_s == pytest.approx(0.4 * 0.36742 * 0.02 * 1.0128, rel=1e-4)
    assert padhye_s_per_packet(0.5, 0.0, 1.0)[1] == pytest.approx(0.5 * 9), "all losses end in a timeout"


@pytest.mark.parametrize(
    ("loss_ratio", "window_packets", "fraction"),
    [(0.0, 100, 1.0), (0.01, 1, 0.99), (0.01, 100, 0.99 / 1.99), (1e-3, 123, 0.999 / 1.122), (0.5, 3, 0.25)],
)
def test_go_back_n(loss_ratio: float, window_packets: float, fraction: float) -> None:
    assert go_back_n_fraction(loss_ratio, window_packets) == pytest.approx(fraction)


def test_go_back_n_simulated() -> None:
    """Each loss wastes the lost packet and those behind it, each delivered packet takes one slot."""
    chance, delivered, slots, window = random.Random(1), 0, 0, 20
    while delivered < 50_000:
        is_lost = chance.random() < 0.02
        slots += window if is_lost else 1
        delivered += not is_lost
    assert delivered / slots == pytest.approx(go_back_n_fraction(0.02, window), rel=0.02)


@pytest.mark.parametrize("decrease", [RENO_DECREASE, CUBIC_DECREASE])
def test_mean_window_under_random_losses_simulated(decrease: float) -> None:
    """Packets between losses over round trips between losses: the window grows by one per round trip."""
    chance, loss_ratio, window = random.Random(2), 1e-4, 100.0
    num_losses, round_trips = 40_000, 0.0
    for _ in range(num_losses):
        packets = chance.expovariate(loss_ratio)
        grown = math.sqrt(window**2 + 2 * packets)
        round_trips += grown - window
        window = grown * decrease
    simulated = num_losses / loss_ratio / round_trips
    assert simulated == pytest.approx(aimd_window_packets(loss_ratio, decrease), rel=0.02)


def test_mean_window_of_cubic_under_random_losses_simulated() -> None:
    """W(t) = 0.4 (t - K)^3 + W_max after each loss, in steps of a round trip, far above reno's window."""
    chance, loss_ratio, rtt_s = random.Random(3), 1e-6, 0.1
    peak, num_losses, elapsed_s = 5000.0, 3000, 0.0
    for _ in range(num_losses):
        packets, time_s = chance.expovariate(loss_ratio), 0.0
        start_s = math.cbrt(peak * (1 - CUBIC_DECREASE) / 0.4)
        window = peak * CUBIC_DECREASE
        while packets > window:
            packets -= window
            time_s += rtt_s
            window = 0.4 * (time_s - start_s) ** 3 + peak
        elapsed_s += time_s + rtt_s * packets / window
        peak = window
    simulated = num_losses / loss_ratio / elapsed_s * rtt_s
    assert simulated == pytest.approx(CUBIC_RANDOM * (rtt_s / loss_ratio) ** 0.75, rel=0.04)
    assert simulated > cubic_window_packets(loss_ratio, rtt_s)


# Laws of every transport


@EVERY_WAY
@pytest.mark.parametrize("rtt_s", ROUND_TRIPS_S)
def test_nothing_lost_is_the_rate(
    transport: Transport, control: CongestionControl | None, recovery: Recovery | None, rtt_s: float
) -> None:
    found = _goodput(0.0, rtt_s, transport, control, recovery)
    assert found.low_bytes_per_s == found.high_bytes_per_s == RATE


@EVERY_WAY
@pytest.mark.parametrize("rtt_s", ROUND_TRIPS_S)
def test_more_loss_never_helps(
    transport: Transport, control: CongestionControl | None, recovery: Recovery | None, rtt_s: float
) -> None:
    found = [_goodput(loss, rtt_s, transport, control, recovery) for loss in LOSSES]
    for less, more in itertools.pairwise(found):
        assert more.low_bytes_per_s <= less.low_bytes_per_s * (1 + 1e-12)
        assert more.high_bytes_per_s <= less.high_bytes_per_s * (1 + 1e-12)


@EVERY_WAY
@pytest.mark.parametrize("loss_ratio", LOSSES)
def test_a_longer_round_trip_never_helps(
    transport: Transport, control: CongestionControl | None, recovery: Recovery | None, loss_ratio: float
) -> None:
    found = [_goodput(loss_ratio, rtt_s, transport, control, recovery) for rtt_s in ROUND_TRIPS_S]
    for shorter, longer in itertools.pairwise(found):
        assert longer.low_bytes_per_s <= shorter.low_bytes_per_s * (1 + 1e-12)
        assert longer.high_bytes_per_s <= shorter.high_bytes_per_s * (1 + 1e-12)


@EVERY_WAY
@pytest.mark.parametrize("loss_ratio", LOSSES)
def test_limits_are_in_order_and_below_the_rate(
    transport: Transport, control: CongestionControl | None, recovery: Recovery | None, loss_ratio: float
) -> None:
    for rtt_s, flows, burst_bytes in itertools.product(ROUND_TRIPS_S, (1, 8), (0, 65536)):
        found = _goodput(
            loss_ratio, rtt_s, transport, control, recovery, num_flows=flows, burst_bytes=burst_bytes
        )
        assert 0 < found.low_bytes_per_s <= found.high_bytes_per_s <= RATE


@EVERY_WAY
def test_little_loss_costs_little(
    transport: Transport, control: CongestionControl | None, recovery: Recovery | None
) -> None:
    """The frame loss that 400GBASE-R allows, 1.7e-12, costs nothing over 10 us, however it is recovered."""
    found = _goodput(1.7e-12, 1e-5, transport, control, recovery)
    assert found.low_bytes_per_s > 0.999 * RATE


@EVERY_WAY
def test_a_wide_round_trip_contains_every_narrow_one(
    transport: Transport, control: CongestionControl | None, recovery: Recovery | None
) -> None:
    wide = _goodput(1e-3, (1e-5, 1e-2), transport, control, recovery)
    assert (wide.rtt_low_s, wide.rtt_high_s) == (1e-5, 1e-2)
    for rtt_s in (1e-5, 1e-4, 1e-2):
        narrow = _goodput(1e-3, rtt_s, transport, control, recovery)
        assert wide.low_bytes_per_s <= narrow.low_bytes_per_s
        assert narrow.high_bytes_per_s <= wide.high_bytes_per_s


@pytest.mark.parametrize("loss_ratio", LOSSES)
def test_what_is_not_known_contains_what_is(loss_ratio: float) -> None:
    everything = _goodput(loss_ratio, 1e-4, Transport.unknown)
    for transport, members in ((Transport.tcp, TCP), (Transport.roce_v2, RDMA[:2])):
        widest = _goodput(loss_ratio, 1e-4, transport)
        for _, control, recovery in members:
            found = _goodput(loss_ratio, 1e-4, transport, control, recovery)
            assert widest.low_bytes_per_s <= found.low_bytes_per_s
            assert found.high_bytes_per_s <= widest.high_bytes_per_s
        assert everything.low_bytes_per_s <= widest.low_bytes_per_s
        assert widest.high_bytes_per_s <= everything.high_bytes_per_s


# RDMA


def test_go_back_n_between_the_formula_and_timeouts() -> None:
    """10 us at 49 GB/s hold 119.6 packets of 4096 bytes: at 1e-3 the formula leaves 0.893 of the rate."""
    found = _goodput(1e-3, recovery=Recovery.go_back_n, timeout_s=0.0)
    expected = go_back_n_fraction(1e-3, 1 + 1e-5 * RATE / 4096) * RATE
    assert found.low_bytes_per_s == found.high_bytes_per_s == pytest.approx(expected)
    assert expected == pytest.approx(0.893 * RATE, rel=1e-3)
    waiting = _goodput(1e-3, recovery=Recovery.go_back_n)
    assert waiting.high_bytes_per_s == pytest.approx(expected)
    assert waiting.low_bytes_per_s < 0.02 * RATE, "lost repetitions wait 4.3 s"


def test_selective_repeat_loses_the_lost_packets_alone() -> None:
    found = _goodput(1e-3, recovery=Recovery.selective_repeat, timeout_s=0.0)
    assert found.high_bytes_per_s == pytest.approx(0.999 * RATE)
    stalled = _goodput(1e-3, recovery=Recovery.go_back_n, timeout_s=0.0)
    assert found.low_bytes_per_s == pytest.approx(stalled.low_bytes_per_s)


def test_link_retry_has_no_timeout_and_the_round_trip_of_a_link() -> None:
    """A link of 30 m: 0.3 us there and back, 3.6 packets; 1 % of its packets damaged cost at most 4.4 %."""
    found = _goodput(0.01, 3e-7, Transport.infiniband, recovery=Recovery.link_retry)
    assert found.high_bytes_per_s == RATE
    assert found.low_bytes_per_s == pytest.approx(go_back_n_fraction(0.01, 1 + 3e-7 * RATE / 4096) * RATE)
    assert found.low_bytes_per_s > 0.95 * RATE


def test_a_message_that_waits_for_the_one_before_loses_its_tail() -> None:
    streamed = _goodput(1e-6, recovery=Recovery.selective_repeat, timeout_s=1e-3)
    single = _goodput(1e-6, recovery=Recovery.selective_repeat, timeout_s=1e-3, message_bytes=65536)
    packet_s, lost = 4096 / RATE, 1e-6 / (1 - 1e-6)
    extra_s = 4096 / single.low_bytes_per_s - 4096 / streamed.low_bytes_per_s
    assert extra_s == pytest.approx(lost * 1e-3 / 16)
    assert single.high_bytes_per_s == streamed.high_bytes_per_s
    assert extra_s < packet_s


# TCP


@LOSS_BASED
@pytest.mark.parametrize("loss_ratio", [1e-4, 1e-3, 1e-2])
def test_loss_based_control_contains_mathis(control: CongestionControl, loss_ratio: float) -> None:
    """100 ms and packets of 1460 bytes (and 52 of headers): far below the link."""
    found = _goodput(loss_ratio, 0.1, Transport.tcp, control, mtu_bytes=1512)
    mathis = mathis_bytes_per_s(1460, 0.1, loss_ratio)
    assert found.low_bytes_per_s < mathis < found.high_bytes_per_s
    assert found.high_bytes_per_s < 2 * mathis
    assert found.low_bytes_per_s > mathis / 3


def test_bbr_ignores_loss_up_to_a_threshold() -> None:
    reno = _goodput(0.01, 0.1, Transport.tcp, CongestionControl.reno)
    at = _goodput(0.01, 0.1, Transport.tcp, CongestionControl.bbr)
    above = _goodput(0.02, 0.1, Transport.tcp, CongestionControl.bbr)
    assert at.high_bytes_per_s == pytest.approx(0.99 * RATE)
    assert above.high_bytes_per_s == pytest.approx(0.98 * RATE)
    assert above.low_bytes_per_s < 1e-3 * RATE < at.low_bytes_per_s
    assert reno.high_bytes_per_s < at.low_bytes_per_s


def test_cubic_is_above_reno_over_long_round_trips_only() -> None:
    for rtt_s, is_cubic in ((0.1, True), (1e-3, False)):
        reno, cubic = (
            _goodput(1e-6, rtt_s, Transport.tcp, control, rate_bytes_per_s=1e12).high_bytes_per_s
            for control in (CongestionControl.reno, CongestionControl.cubic)
        )
        ratio = aimd_window_packets(1, CUBIC_DECREASE) / aimd_window_packets(1, RENO_DECREASE)
        assert (cubic / reno > 1.01 * ratio) == is_cubic


@LOSS_BASED
def test_flows_add_up_until_the_link_is_full(control: CongestionControl) -> None:
    one = _goodput(1e-3, 0.1, Transport.tcp, control)
    eight = _goodput(1e-3, 0.1, Transport.tcp, control, num_flows=8)
    assert eight.high_bytes_per_s == pytest.approx(8 * one.high_bytes_per_s)
    assert eight.low_bytes_per_s == pytest.approx(8 * one.low_bytes_per_s, rel=1e-3)
    many = _goodput(1e-3, 0.1, Transport.tcp, control, num_flows=10**7)
    assert many.high_bytes_per_s == pytest.approx(0.999 * RATE)


@LOSS_BASED
def test_losses_in_bursts_raise_the_upper_limit_only(control: CongestionControl) -> None:
    """64 KiB are 7.3 packets of 8948 bytes: the window of reno grows with the root of it."""
    alone = _goodput(1e-3, 0.1, Transport.tcp, control, mtu_bytes=9000)
    burst = _goodput(1e-3, 0.1, Transport.tcp, control, mtu_bytes=9000, burst_bytes=65536)
    assert burst.low_bytes_per_s == alone.low_bytes_per_s
    if control is CongestionControl.reno:
        assert burst.high_bytes_per_s / alone.high_bytes_per_s == pytest.approx(math.sqrt(65536 / 8948))
    else:
        assert burst.high_bytes_per_s > alone.high_bytes_per_s


EMULATED_RATE = 4e8 / 8 * 8948 / 9014
"""Payload of 400 Mb/s at MTU 9000, as the token bucket counts it."""


def _emulated(loss_ratio: float, *, is_bidirectional: bool) -> GoodputInterval:
    return _goodput(
        loss_ratio,
        (0.0, 1e-3),
        Transport.tcp,
        CongestionControl.reno,
        rate_bytes_per_s=EMULATED_RATE,
        mtu_bytes=9000,
        burst_bytes=65536,
        is_bidirectional=is_bidirectional,
    )


def test_a_link_without_delay_keeps_its_queue_filled() -> None:
    """The round trip is the flow's own queue: a smaller window makes it shorter and the link no slower."""
    one_way = _emulated(1e-3, is_bidirectional=False)
    assert one_way.high_bytes_per_s == pytest.approx(0.999 * EMULATED_RATE)
    assert one_way.low_bytes_per_s > 0.7 * EMULATED_RATE
    both_ways = _emulated(1e-3, is_bidirectional=True)
    assert both_ways.high_bytes_per_s == one_way.high_bytes_per_s
    assert 0.4 * EMULATED_RATE < both_ways.low_bytes_per_s < 0.5 * EMULATED_RATE


@pytest.mark.parametrize("loss_ratio", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("rtt_s", [0.0, 1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("per_ack", [1, 2])
def test_reno_simulated_over_a_link_with_a_queue(loss_ratio: float, rtt_s: float, per_ack: int) -> None:
    """Window against packets: a packet takes the larger of t and R / W; random losses halve the window.

    dW/dn = 1 / (b W), so from window W1 to W2 there are b (W2^2 - W1^2) / 2 packets, and they take
    b R (W2 - W1) where the window does not fill the link. No timeouts, as with selective acknowledgements.
    """
    chance, packet_s, window = random.Random(4), 8948 / EMULATED_RATE, 1 / math.sqrt(loss_ratio)
    filled = rtt_s / packet_s  # window that keeps the link busy without a queue
    elapsed_s, sent, num_losses = 0.0, 0.0, 20_000
    for _ in range(num_losses):
        packets = chance.expovariate(loss_ratio)
        end = math.sqrt(window**2 + 2 * packets / per_ack)
        starved = min(end, max(window, filled))
        elapsed_s += per_ack * rtt_s * (starved - window)
        elapsed_s += packet_s * per_ack * (end**2 - starved**2) / 2
        sent += packets
        window = end / 2
    goodput = sent * (1 - loss_ratio) * 8948 / elapsed_s
    reno = CongestionControl.reno
    limits = _goodput(loss_ratio, rtt_s, Transport.tcp, reno, rate_bytes_per_s=EMULATED_RATE, mtu_bytes=9000)
    noise = 3 / math.sqrt(num_losses)
    assert limits.low_bytes_per_s < goodput < limits.high_bytes_per_s * (1 + noise)


# What is asked and recorded


def test_the_interval_says_what_it_rests_on() -> None:
    reno = _goodput(1e-3, (1e-5, 2e-5), Transport.tcp, CongestionControl.reno)
    assert "Mathis" in reno.basis and "Padhye" in reno.basis and "1e-05" in reno.basis
    assert (reno.congestion_control, reno.recovery) == (CongestionControl.reno, None)
    assert _goodput(1e-3, transport=Transport.tcp).congestion_control is CongestionControl.unknown
    roce = _goodput(1e-3, recovery=Recovery.go_back_n)
    assert (roce.congestion_control, roce.recovery) == (None, Recovery.go_back_n)
    assert "go-back-N" in roce.basis and "4.29 s" in roce.basis
    assert _goodput(0.0).basis == "nothing is lost"
    assert _goodput(1e-3, transport=Transport.unknown).basis.count("; or ") == 2


def test_congestion_control_as_the_kernel_names_it() -> None:
    assert congestion_control("reno") is CongestionControl.reno
    assert congestion_control("cubic") is CongestionControl.cubic
    for name in ("htcp", "", None, "unknown"):
        assert congestion_control(name) is CongestionControl.unknown


@pytest.mark.parametrize("loss_ratio", [-1e-9, 1.0, 2.0, math.nan])
def test_loss_is_a_share(loss_ratio: float) -> None:
    with pytest.raises(ValueError, match="loss_ratio"):
        _goodput(loss_ratio)


@pytest.mark.parametrize("rtt_s", [-1.0, math.inf, math.nan, (2e-5, 1e-5)])
def test_a_round_trip_is_a_time(rtt_s: float | tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="rtt_s"):
        _goodput(1e-3, rtt_s)


def test_other_numbers_out_of_range() -> None:
    with pytest.raises(ValueError, match="rate_bytes_per_s is 0"):
        _goodput(1e-3, rate_bytes_per_s=0)
    with pytest.raises(ValueError, match="num_flows is 0"):
        _goodput(1e-3, num_flows=0)
    with pytest.raises(ValueError, match="burst_bytes is -1"):
        _goodput(1e-3, burst_bytes=-1)
    with pytest.raises(ValueError, match="message_bytes is 0"):
        _goodput(1e-3, message_bytes=0)
    with pytest.raises(ValueError, match="timeout_s is -1"):
        _goodput(1e-3, timeout_s=-1.0)
    with pytest.raises(ValueError, match="one of 256, 512"):
        _goodput(1e-3, mtu_bytes=9000)
