"""The histogram of a real link, tails of which the truth is known, and the evidence that a loss rests on."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.model.optics.fec import HAMMING, KP4, LL271, codeword_error_ratio, frame_loss_ratio, frames_lost
from bench.model.optics.fec_histogram import (
    CONFIDENCE,
    FecHistogram,
    Tail,
    extrapolate,
    ratio_interval,
)
from bench.model.optics.frame_loss import Basis, FrameLoss, frame_loss, worst_lane_ber

REAL = FecHistogram(
    code=KP4,
    codewords=(22858119037881, 65755507, 7970, 177, 64, 2, 1, 1, 3, *(0,) * 7),
    uncorrectable=0,
    duration_s=4876.6 * 60,
    mac_rate_bytes_per_s=50e9,
)
"""400GBASE-DR4, 81 hours. Source: github:yuuki/mlxlink_exporter@f2364a1,
internal/mlxlink/testdata/mlxlink/mft-4.34.1-400g-fec-serdes.json (B)."""


def _histogram(counts: NDArray[Any]) -> FecHistogram:
    """``counts`` by number of bad symbols, those beyond 15 together."""
    whole = [int(count) for count in counts]
    return dataclasses.replace(REAL, codewords=tuple(whole[:16]), uncorrectable=sum(whole[16:]))


def _tail(histogram: FecHistogram) -> Tail:
    tail = extrapolate(histogram)
    assert tail is not None
    return tail


def test_codewords_of_the_real_link_fill_its_line() -> None:
    """78.122 against 78.125 million per second: rate, time and codeword size are read in the right units."""
    assert REAL.num_codewords == 22858184801606
    assert REAL.num_codewords / REAL.duration_s == pytest.approx(78.122e6, abs=0.0005e6)
    assert REAL.expected_codewords is not None
    assert REAL.expected_codewords / REAL.duration_s == pytest.approx(78.125e6, rel=1e-12)
    assert REAL.codeword_count_error is not None
    assert f"{100 * REAL.codeword_count_error:.3f}" == "-0.004"


def test_a_misread_unit_shows() -> None:
    """Minutes taken for seconds, or the rate of one lane for that of the port."""
    for wrong in (
        dataclasses.replace(REAL, duration_s=4876.6),
        dataclasses.replace(REAL, mac_rate_bytes_per_s=12.5e9),
    ):
        assert wrong.codeword_count_error is not None
        assert abs(wrong.codeword_count_error) > 1


def test_bit_errors_of_the_real_link() -> None:
    assert REAL.num_bad_symbols == 65772281
    assert f"{REAL.mean_ber:.3e}" == "5.289e-10"
    bits = REAL.num_codewords * 5440
    assert 65772270 / bits == pytest.approx(REAL.mean_ber, rel=1e-6)  # its counter of bit errors


def test_random_errors_would_look_otherwise() -> None:
    random = REAL.random_codewords()
    assert f"{random[1]:.3g}" == "6.58e+07"
    assert f"{random[2]:.1f}" == "94.6"
    expected = ["9e-05", "7e-11", "4e-17", "2e-23", "7e-30", "3e-36"]
    assert [f"{count:.0e}" for count in random[3:9]] == expected
    assert random.sum() == pytest.approx(REAL.num_codewords, rel=1e-12)


def test_an_unresolved_line_rate_expects_nothing() -> None:
    odd = FecHistogram(
        code=LL271, codewords=(9, *(0,) * 7), uncorrectable=0, duration_s=1, mac_rate_bytes_per_s=12.5e9
    )
    assert odd.expected_codewords is None
    assert odd.codeword_count_error is None


def test_nothing_seen_is_a_bound() -> None:
    """3 / N, for which (1 - 3 / N)^N is 5 %."""
    num_codewords = REAL.num_codewords
    assert ratio_interval(0, num_codewords) == (0, 3 / num_codewords)
    still_unseen = (1 - 3 / 1e6) ** 1e6
    assert still_unseen == pytest.approx(1 - CONFIDENCE, rel=0.01)
    assert ratio_interval(0, 2) == (0, 1)


@pytest.mark.parametrize(
    ("events", "low", "high"), [(1, 0.0253, 5.572), (3, 0.6187, 8.767), (10, 4.795, 18.39)]
)
def test_interval_of_rare_events(events: int, low: float, high: float) -> None:
    """Exact limits of a Poisson mean as tables of epidemiology and particle physics print them."""
    assert ratio_interval(events, 1e12) == pytest.approx((low / 1e12, high / 1e12), rel=1e-3, abs=0)


def test_the_tail_of_the_real_link() -> None:
    """Far above the binomial of the mean BER, within limits that do not hide how little is known."""
    tail = _tail(REAL)
    _, bound = ratio_interval(0, REAL.num_codewords)
    assert tail.first_bin == 5  # 2, 1, 1, 3: 7 codewords that took 12 steps
    assert tail.ratio == pytest.approx(7 / REAL.num_codewords * (12 / 19) ** 11, rel=1e-12, abs=0)
    assert tail.low < tail.ratio < tail.high
    assert tail.ratio < bound
    assert tail.ratio > 1e80 * codeword_error_ratio(KP4, REAL.mean_ber)
    assert tail.high / tail.low > 1e3


@pytest.mark.parametrize(
    ("codewords", "step_ratio"), [(1e3, 0.1), (1e5, 0.1), (1e3, 0.3), (50, 0.5), (1e7, 0.05)]
)
def test_a_straight_tail_is_covered(codewords: float, step_ratio: float) -> None:
    """Poisson draws of a geometric tail: at least 95 % of the intervals hold the truth."""
    bad = np.arange(60)
    mean = codewords * (1 - step_ratio) * step_ratio ** (bad - 1.0)
    mean[0] = 1e12
    truth = mean[16:].sum() / mean.sum()
    generator = np.random.default_rng(1)
    num_covered = num_drawn = 0
    for _ in range(200):
        tail = _tail(_histogram(generator.poisson(mean)))
        num_drawn += 1
        num_covered += tail.low <= truth <= tail.high
    assert num_covered / num_drawn >= CONFIDENCE


@pytest.mark.parametrize("ber", [1e-5, 1e-4, 2.4e-4])
def test_random_errors_are_not_underestimated(ber: float) -> None:
    """Their counts fall ever faster, so that the straight line lies above them."""
    n, _, symbol_bits = KP4.block()
    ser = 1 - (1 - ber) ** symbol_bits
    share = [math.comb(n, i) * ser**i * (1 - ser) ** (n - i) for i in range(17)]
    histogram = _histogram(np.random.default_rng(2).poisson(1e10 * np.array(share)))
    assert histogram.uncorrectable == 0
    assert _tail(histogram).ratio > codeword_error_ratio(KP4, ber)


@pytest.mark.parametrize("above", [(), (500,), (10**6, 30), (10**7, 500, 40, 40, 40, 40, 40)])
def test_no_line_is_laid_where_none_fits(above: tuple[int, ...]) -> None:
    """Fewer than three occupied bins, or a shelf with an edge, which is no line from anywhere."""
    counts = np.array([10**12, *above, *(0,) * (15 - len(above)), 0], dtype=np.float64)
    histogram = _histogram(counts)
    assert extrapolate(histogram) is None
    assert frame_loss(KP4, 2, histogram=histogram).basis is Basis.bounded


def test_counts_win_over_formulas() -> None:
    """The same link with a BER given too: the histogram is used, and says so."""
    loss = frame_loss(KP4, 2, histogram=REAL, measured_floor_ber=1e-4, computed_ber=2e-4)
    tail = _tail(REAL)
    bound = frames_lost(KP4, ratio_interval(0, REAL.num_codewords)[1], 2)
    assert loss == FrameLoss(
        ratio=frames_lost(KP4, tail.ratio, 2),
        low=frames_lost(KP4, tail.low, 2),
        high=bound,
        bound=bound,
        basis=Basis.extrapolated,
    )


def test_uncorrectable_codewords_are_counted_not_extrapolated() -> None:
    lossy = dataclasses.replace(REAL, uncorrectable=10)
    loss = frame_loss(KP4, 2, histogram=lossy)
    assert loss.basis is Basis.counted
    assert loss.ratio == frames_lost(KP4, 10 / lossy.num_codewords, 2)
    assert loss.high is not None
    assert loss.low < loss.ratio < loss.high


def test_a_clean_link_has_a_bound_and_no_estimate() -> None:
    clean = dataclasses.replace(REAL, codewords=(10**12, *(0,) * 15))
    loss = frame_loss(KP4, 1, histogram=clean)
    assert (loss.ratio, loss.low, loss.basis) == (None, 0, Basis.bounded)
    assert loss.high == loss.bound == frames_lost(KP4, 3e-12, 1)
    assert clean.mean_ber == 0


def test_a_bit_error_ratio_is_a_lower_bound() -> None:
    """The larger of measured floor and computed BER counts; nothing limits the loss from above."""
    measured = frame_loss(KP4, 2, measured_floor_ber=1e-5, computed_ber=1e-9)
    computed = frame_loss(KP4, 2, measured_floor_ber=1e-9, computed_ber=1e-5)
    assert measured.ratio == measured.low == computed.ratio == frame_loss_ratio(KP4, 1e-5, 2)
    assert (measured.basis, computed.basis) == (Basis.measured_floor, Basis.computed_ber)
    assert (measured.high, measured.bound) == (None, None)


def test_the_worst_lane_governs() -> None:
    """Three clean lanes do not make up for a fourth; the mean would lose a hundred times less."""
    lanes = [1e-9, 1e-9, 2.4e-4, 1e-9]
    assert worst_lane_ber(lanes) == 2.4e-4
    loss = frame_loss(KP4, 2, computed_ber=lanes)
    assert loss == frame_loss(KP4, 2, computed_ber=2.4e-4)
    assert loss.ratio is not None
    assert loss.ratio > 100 * frame_loss_ratio(KP4, float(np.mean(lanes)), 2)


def test_what_is_no_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="none was given"):
        frame_loss(KP4, 2)
    with pytest.raises(ValueError, match="at most 3 / N"):
        frame_loss(KP4, 2, measured_floor_ber=0.0)
    with pytest.raises(ValueError, match="the link runs"):
        frame_loss(LL271, 1, histogram=REAL)
    with pytest.raises(ValueError, match="empty"):
        worst_lane_ber([])
    with pytest.raises(ValueError, match="trials above 0"):
        ratio_interval(0, 0)


def test_what_is_no_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="has 16, one for each"):
        dataclasses.replace(REAL, codewords=REAL.codewords[:8])
    with pytest.raises(ValueError, match="at least 0"):
        dataclasses.replace(REAL, uncorrectable=-1)
    with pytest.raises(ValueError, match="not all 0"):
        dataclasses.replace(REAL, codewords=(0,) * 16)
    with pytest.raises(ValueError, match="duration_s 0"):
        dataclasses.replace(REAL, duration_s=0)
    with pytest.raises(ValueError, match="soft decisions"):
        dataclasses.replace(REAL, code=HAMMING)
