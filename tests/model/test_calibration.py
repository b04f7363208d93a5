"""Calibration: what one system's run says about other optics, where it says nothing, and what its errors rest on."""

import math
from dataclasses import replace

import pytest

from bench.model.fit.calibration import Calibration, calibrated, why_not_calibrated
from bench.model.fit.series_fit import MeasuredSize, Series, fit_series

SERIES = Series(
    collective="all_reduce",
    algorithm="native",
    dtype="float32",
    reduce_op="sum",
    placement="in_place",
    measure_pass="latency",
    group="world",
    num_ranks=16,
    num_hosts=2,
    backend="nccl",
    fabric="dgx_h100",
)
SIZES = [2**i for i in range(14, 32, 2)]
LATENCY_S = 50e-6
LINK_S_PER_BYTE = 5e-12
EFFICIENCY = 0.8


def real(latency_s: float = LATENCY_S, efficiency: float = EFFICIENCY) -> list[MeasuredSize]:
    return [
        MeasuredSize(
            message_bytes=size,
            measured_s=latency_s + size * LINK_S_PER_BYTE / efficiency,
            low_s=0.99 * (latency_s + size * LINK_S_PER_BYTE / efficiency),
            high_s=1.01 * (latency_s + size * LINK_S_PER_BYTE / efficiency),
            predicted_s=size * LINK_S_PER_BYTE,
            ceiling_s=size * LINK_S_PER_BYTE,
        )
        for size in SIZES
    ]


def emulated() -> list[MeasuredSize]:
    """2 ms inside the bucket of 250,000 bytes of message; beyond it the link at 0.9, with half a bucket of head start."""
    bucket, link_s_per_byte = 250_000, 2e-8

    def time_s(size: int) -> float:
        return 2e-3 if size <= bucket else (size - bucket / 2) * link_s_per_byte / 0.9

    return [
        MeasuredSize(
            message_bytes=size,
            measured_s=time_s(size),
            low_s=None,
            high_s=None,
            predicted_s=None,
            ceiling_s=max(0.0, (size - bucket) * link_s_per_byte),
        )
        for size in [2**i for i in range(10, 25)]
    ]


def calibration_of(sizes: list[MeasuredSize], *, has_bucket: bool = False) -> Calibration:
    return Calibration(
        run_id="r1",
        started_utc="2026-01-01T00:00:00+00:00",
        transceiver="400g-osfp-dr4",
        fabric=SERIES.fabric,
        time_scale=1000.0 if has_bucket else None,
        series=(fit_series(SERIES, sizes, has_bucket=has_bucket),),
    )


def test_latency_and_efficiency_come_back() -> None:
    (segment,) = calibration_of(real()).series[0].curve.segments
    efficiency = segment.efficiency()
    assert efficiency is not None and efficiency.low is not None and efficiency.high is not None
    assert segment.line.latency_s == pytest.approx(LATENCY_S, rel=1e-3)
    assert efficiency.value == pytest.approx(EFFICIENCY, rel=1e-3)
    assert efficiency.low <= efficiency.value <= efficiency.high


@pytest.mark.parametrize("size", SIZES)
def test_on_its_own_links_a_system_takes_what_it_took(size: int) -> None:
    found = calibrated(calibration_of(real()), SERIES, message_bytes=size, link_time_s=size * LINK_S_PER_BYTE)
    own = calibrated(calibration_of(real()), SERIES, message_bytes=size)
    assert found is not None and own is not None and not found.is_extrapolated
    assert found.time_s == pytest.approx(LATENCY_S + size * LINK_S_PER_BYTE / EFFICIENCY, rel=1e-3)
    assert (own.time_s, own.low_s, own.high_s) == pytest.approx((found.time_s, found.low_s, found.high_s))


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 8.0])
@pytest.mark.parametrize("size", SIZES[::4])
def test_other_optics_change_the_time_of_the_link_and_leave_the_latency(size: int, speed: float) -> None:
    """T = latency + link / efficiency; the interval also holds latency + link + what came on top of it before."""
    link_s = size * LINK_S_PER_BYTE / speed
    found = calibrated(calibration_of(real()), SERIES, message_bytes=size, link_time_s=link_s)
    assert found is not None and found.low_s is not None and found.high_s is not None
    assert found.time_s == pytest.approx(LATENCY_S + link_s / EFFICIENCY, rel=1e-3)
    on_top_s = LATENCY_S + link_s + size * LINK_S_PER_BYTE * (1 / EFFICIENCY - 1)
    assert found.low_s <= min(found.time_s, on_top_s) * 1.001
    assert found.high_s >= max(found.time_s, on_top_s) * 0.999


def test_no_time_is_below_what_the_link_needs() -> None:
    """A run that beat its ceiling (a wrong description of the hardware) does not make the next one beat its own."""
    fast = calibration_of(real(latency_s=0.0, efficiency=1.2))
    found = calibrated(fast, SERIES, message_bytes=SIZES[-1], link_time_s=1.0)
    assert found is not None and found.low_s is not None
    assert found.time_s == 1.0 and found.low_s == 1.0


def test_an_efficient_system_is_transferred_more_surely_than_a_wasteful_one() -> None:
    """What is lost may stay or grow with the link's time; where nothing is lost, both are the same."""
    widths = []
    for efficiency in (1.0, 0.5):
        found = calibrated(
            calibration_of(real(efficiency=efficiency)), SERIES, message_bytes=SIZES[-1], link_time_s=1.0
        )
        assert found is not None and found.low_s is not None and found.high_s is not None
        widths.append(found.high_s / found.low_s)
    assert widths[0] < widths[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"collective": "all_gather"},
        {"algorithm": "pairwise"},
        {"dtype": "bfloat16"},
        {"placement": "out_of_place"},
        {"measure_pass": "bandwidth"},
        {"group": "rail/0"},
        {"num_ranks": 32, "num_hosts": 4},
        {"backend": "gloo"},
        {"fabric": "emulated"},
    ],
)
def test_another_series_gets_nothing_and_a_reason(changes: dict[str, object]) -> None:
    other = replace(SERIES, **changes)  # type: ignore[arg-type]
    assert calibrated(calibration_of(real()), other, message_bytes=SIZES[0]) is None
    reason = why_not_calibrated(calibration_of(real()), other, message_bytes=SIZES[0])
    assert reason is not None and "r1" in reason and other.collective in reason


def test_beyond_an_unsaturated_run_nothing_is_said() -> None:
    short = calibration_of(real()[:4])
    larger = SIZES[-1]
    for link_s in (None, larger * LINK_S_PER_BYTE):
        assert calibrated(short, SERIES, message_bytes=larger, link_time_s=link_s) is None
        reason = why_not_calibrated(short, SERIES, message_bytes=larger, link_time_s=link_s)
        assert reason is not None and "plateau" in reason
    found = calibrated(calibration_of(real()), SERIES, message_bytes=larger * 4, link_time_s=1.0)
    assert found is not None and found.is_extrapolated


def test_a_run_without_optics_says_nothing_about_others() -> None:
    loopback = [replace(size, predicted_s=None, ceiling_s=None) for size in real()]
    calibration = calibration_of(loopback)
    assert calibrated(calibration, SERIES, message_bytes=SIZES[2]) is not None
    assert calibrated(calibration, SERIES, message_bytes=SIZES[2], link_time_s=1.0) is None
    reason = why_not_calibrated(calibration, SERIES, message_bytes=SIZES[2], link_time_s=1.0)
    assert reason is not None and "its own links" in reason


def test_the_bucket_is_read_from_the_ceilings() -> None:
    curve = calibration_of(emulated(), has_bucket=True).series[0].curve
    assert curve.unshaped_bytes == pytest.approx(250_000)
    inside, beyond = curve.segments[0], curve.segments[-1]
    assert inside.link_s_per_byte is None and inside.last_bytes == 131072
    assert beyond.link_s_per_byte == pytest.approx(2e-8) and beyond.first_bytes == 262144
    efficiency = beyond.efficiency()
    assert efficiency is not None and efficiency.value == pytest.approx(0.9, rel=1e-2)


def test_what_passes_the_bucket_does_not_feel_the_optics() -> None:
    calibration = calibration_of(emulated(), has_bucket=True)
    for link_s in (1e-5, 1e-3):
        found = calibrated(calibration, SERIES, message_bytes=65536, link_time_s=link_s, bucket_time_s=7.5e-3)
        assert found is not None and found.time_s == pytest.approx(2e-3, rel=1e-3)
    # The same message on a link so slow that it fills the bucket: the head start stays, the rest takes its time.
    slow = calibrated(calibration, SERIES, message_bytes=131072, link_time_s=20e-3, bucket_time_s=5e-3)
    assert slow is not None
    assert slow.time_s == pytest.approx((20e-3 - 131072 / 131072 * 125_000 * 2e-8) / 0.9, rel=0.05)


def test_without_a_size_inside_the_bucket_none_is_predicted_there() -> None:
    calibration = calibration_of(emulated()[-5:], has_bucket=True)
    asked = {"message_bytes": 2048, "link_time_s": 1e-4, "bucket_time_s": 7.5e-3}
    assert calibrated(calibration, SERIES, **asked) is None  # type: ignore[arg-type]
    reason = why_not_calibrated(calibration, SERIES, **asked)  # type: ignore[arg-type]
    assert reason is not None and "token bucket" in reason


def test_a_run_inside_the_bucket_alone_says_nothing_about_the_link() -> None:
    calibration = calibration_of(emulated()[:5], has_bucket=True)
    curve = calibration.series[0].curve
    assert curve.unshaped_bytes == curve.last_bytes
    assert calibrated(calibration, SERIES, message_bytes=2**24, link_time_s=1.0, bucket_time_s=7.5e-3) is None


def test_held_out_errors_are_those_of_sizes_that_took_no_part() -> None:
    sizes = real()
    odd = replace(sizes[4], measured_s=sizes[4].measured_s * 2, low_s=None, high_s=None)
    fit = fit_series(SERIES, [*sizes[:4], odd, *sizes[5:]])
    error = fit.sizes[4].held_out_error
    assert error is not None and error == pytest.approx(-0.5, abs=0.01), "the others say half of it"
    assert fit.largest_error == pytest.approx(0.5, abs=0.01)
    assert fit.sizes[4].predicted_error == pytest.approx(SIZES[4] * LINK_S_PER_BYTE / odd.measured_s - 1), (
        "without calibration the latency is missing"
    )


def test_two_sizes_are_too_few() -> None:
    with pytest.raises(ValueError, match="3 at least"):
        fit_series(SERIES, real()[:2])


def test_protocols_known_from_a_log_are_kept_apart() -> None:
    """Two lines with the same kink that three sizes each could not show by themselves."""
    fit = fit_series(SERIES, real(), breaks_bytes=[math.sqrt(SIZES[2] * SIZES[3])])
    assert [segment.last_bytes for segment in fit.curve.segments] == [SIZES[2], SIZES[-1]]
