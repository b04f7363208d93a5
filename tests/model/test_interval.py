"""The interval of the median: exact ranks, invariances, and coverage by simulation with room for its
error."""

import math
import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from bench.model.interval import (
    CONFIDENCE,
    MIN_EFFECTIVE,
    Series,
    effective_rank,
    is_narrow_enough,
    lag1_autocorrelation,
    median_interval,
    median_interval_rank,
    variance_inflation,
)


def autoregressive(seed: int, num_series: int, length: int, phi: float) -> Series:
    """Stationary AR(1) with standard normal values, one series per row."""
    series = np.random.default_rng(seed).standard_normal((num_series, length))
    for step in range(1, length):
        series[:, step] = phi * series[:, step - 1] + math.sqrt(1 - phi**2) * series[:, step]
    return series


@pytest.mark.parametrize(
    ("num_samples", "rank"),
    [(0, 0), (1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (21, 6), (50, 18), (100, 40)],
)
def test_rank_of_the_median_interval(num_samples: int, rank: int) -> None:
    """Known values, as tables of the sign test print them."""
    assert median_interval_rank(num_samples) == rank


def _coverage(num_samples: int, rank: int) -> Fraction:
    """Chance that the median lies in [x_(k), x_(n+1-k)]: neither fewer than k samples below it nor above
    it."""
    outside = sum(math.comb(num_samples, i) for i in range(rank))
    return 1 - 2 * Fraction(outside, 2**num_samples)


@pytest.mark.parametrize("percent", [50, 95, 99])
@pytest.mark.parametrize("num_samples", [*range(1, 120), 500, 1000])
def test_interval_covers_the_median_and_the_next_narrower_one_does_not(
    num_samples: int, percent: int
) -> None:
    rank = median_interval_rank(num_samples, percent / 100)
    if rank:
        assert _coverage(num_samples, rank) >= Fraction(percent, 100)
    assert 2 * rank <= num_samples
    if 2 * (rank + 1) <= num_samples:
        assert _coverage(num_samples, rank + 1) < Fraction(percent, 100)


def test_more_confidence_is_wider() -> None:
    assert CONFIDENCE == 0.95
    assert median_interval_rank(100, 0.5) > median_interval_rank(100) > median_interval_rank(100, 0.999)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95])
def test_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        median_interval([1.0] * 10, confidence)


@pytest.mark.parametrize("num_samples", [8, 50, 51, 1000])
def test_fewer_effective_samples_are_wider(num_samples: int) -> None:
    """From the rank of independent samples down to the first one, without a jump at the top."""
    shares = np.linspace(1, 1 / num_samples, 60)
    ranks = [effective_rank(num_samples, num_samples * share) for share in shares]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] == median_interval_rank(num_samples)
    assert ranks[0] - effective_rank(num_samples, 0.9999 * num_samples) <= 1
    assert min(ranks) >= 1


@pytest.mark.parametrize("num_effective", [10, 25, 50, 100])
def test_effective_samples_keep_their_share_of_the_ranks(num_effective: int) -> None:
    """1000 samples that are worth n_e take the quantile at which n_e independent ones have their rank."""
    share = effective_rank(10_000, num_effective) / 10_001
    rank = median_interval_rank(num_effective)
    assert rank <= share * (num_effective + 1) + 0.05 < rank + 1.05


@pytest.mark.parametrize("num_samples", range(6))
def test_below_six_samples_there_is_no_interval(num_samples: int) -> None:
    assert median_interval([1.0] * num_samples) is None


def test_six_samples_give_their_range() -> None:
    interval = median_interval([4.0, 1.0, 6.0, 2.0, 5.0, 3.0])
    assert interval is not None
    assert (interval.low_s, interval.median_s, interval.high_s) == (1.0, 3.5, 6.0)
    assert interval.relative_width == pytest.approx(5 / 3.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_by_its_place(bad: float) -> None:
    with pytest.raises(ValueError, match="sample 2 "):
        median_interval([1.0, 1.0, bad, 1.0])


def test_equal_samples_have_no_width_and_no_autocorrelation() -> None:
    interval = median_interval([0.25] * 100)
    assert interval is not None
    assert (interval.low_s, interval.high_s, interval.relative_width) == (0.25, 0.25, 0)
    assert interval.num_effective == 100
    assert variance_inflation(np.ones(100)) == 1
    assert lag1_autocorrelation(np.ones(100)) == 0


def test_a_median_of_zero_has_no_relative_width() -> None:
    interval = median_interval([0.0] * 10)
    assert interval is not None
    assert interval.relative_width == math.inf
    assert not is_narrow_enough([0.0] * 1000, 0.5)


@pytest.mark.parametrize("length", [6, 21, 101])
@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.95])
def test_any_growing_function_of_the_samples_maps_the_interval(length: int, phi: float) -> None:
    """Only order counts, so log-normal samples have the exponentials of the normal ones' interval."""
    series = autoregressive(length, 1, length, phi)[0]
    plain, mapped = median_interval(series), median_interval(np.exp(series))
    assert plain is not None
    assert mapped is not None
    assert mapped.low_s == pytest.approx(math.exp(plain.low_s))
    assert mapped.high_s == pytest.approx(math.exp(plain.high_s))
    assert mapped.num_effective == pytest.approx(plain.num_effective)


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_time_may_run_backwards(phi: float) -> None:
    series = autoregressive(3, 1, 200, phi)[0]
    assert median_interval(series) == median_interval(series[::-1].copy())


@pytest.mark.parametrize("phi", [-0.9, -0.5, 0.0, 0.5, 0.99])
@pytest.mark.parametrize("length", [6, 8, 21, 50, 200])
def test_never_narrower_than_for_independent_samples(length: int, phi: float) -> None:
    for series in autoregressive(length, 20, length, phi):
        interval = median_interval(series)
        ordered, rank = np.sort(series), median_interval_rank(length)
        assert interval is not None
        assert interval.low_s <= ordered[rank - 1]
        assert interval.high_s >= ordered[-rank]
        assert 1 <= interval.num_effective <= length


@pytest.mark.parametrize("times", [2, 4, 8])
def test_samples_that_are_repeated_count_once(times: int) -> None:
    """The sum of m copies of each value has m times the variance of as many independent ones."""
    values = autoregressive(5, 100, 400, 0)
    found = [median_interval(np.repeat(one, times)) for one in values]
    effective = np.mean([interval.num_effective for interval in found if interval])
    assert effective == pytest.approx(400, rel=0.15)


@pytest.mark.parametrize("phi", [0.3, 0.5, 0.8])
def test_inflation_of_an_ar1_is_that_of_its_formula(phi: float) -> None:
    """(1 + phi) / (1 - phi) for the values themselves; signs correlate by (2 / pi) asin(phi**k)."""
    series = autoregressive(7, 100, 2000, phi)
    values = np.mean([variance_inflation(one) for one in series])
    assert values == pytest.approx((1 + phi) / (1 - phi), rel=0.1)
    signs = 1 + 2 * sum(2 / math.pi * math.asin(phi**lag) for lag in range(1, 500))
    assert np.mean([variance_inflation(np.sign(one)) for one in series]) == pytest.approx(signs, rel=0.1)


@pytest.mark.parametrize("length", [50, 200])
@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_lag1_autocorrelation_is_unbiased(length: int, phi: float) -> None:
    """Of signs, (2 / pi) asin(phi). Its standard error over 500 series of 50 is 0.006; uncorrected, it is
    0.02 to 0.05 off."""
    found = [median_interval(one) for one in autoregressive(length, 500, length, phi)]
    mean = np.mean([interval.lag1_autocorrelation for interval in found if interval])
    assert mean == pytest.approx(2 / math.pi * math.asin(phi), abs=0.018)


def _identity(series: Series) -> Series:
    return series


@pytest.mark.parametrize("length", [50, 200])
@pytest.mark.parametrize(
    ("phi", "mapped", "median"),
    [(0.0, _identity, 0.0), (0.3, np.exp, 1.0), (0.5, _identity, 0.0)],
    ids=["independent", "AR(1) 0.3, log-normal", "AR(1) 0.5"],
)
def test_coverage_is_at_least_93_percent(
    length: int, phi: float, mapped: Callable[[Series], Series], median: float
) -> None:
    """As far as 600 series can tell: three standard errors of 0.93 below it. Ranks of independent samples
    cover 0.84 of AR(1) 0.5, far below that."""
    found = [median_interval(one) for one in mapped(autoregressive(length + 1, 600, length, phi))]
    covered = np.mean([one.low_s <= median <= one.high_s for one in found if one])
    assert covered >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 600)


def test_samples_of_a_coarse_clock_are_covered() -> None:
    """Rounded to one standard deviation, most samples are equal, and the median is one of few readings."""
    found = [median_interval(np.round(one)) for one in autoregressive(2, 300, 50, 0.5)]
    assert np.mean([one.low_s <= 0 <= one.high_s for one in found if one]) >= 0.93


def test_narrow_enough_needs_a_narrow_interval_and_enough_samples() -> None:
    samples_s = [1 + 0.01 * random.Random(i).random() for i in range(400)]
    assert is_narrow_enough(samples_s, 0.01)
    assert not is_narrow_enough(samples_s, 0.0001)
    assert not is_narrow_enough(samples_s[: MIN_EFFECTIVE - 1], 0.5)
    assert not is_narrow_enough([], 0.5)


def test_narrow_enough_counts_effective_samples() -> None:
    """50 values, each four times: 200 samples, narrow, but worth 50."""
    repeated = np.repeat(1 + 0.01 * autoregressive(1, 1, 50, 0)[0], 4)
    assert len(repeated) > MIN_EFFECTIVE
    assert not is_narrow_enough(repeated, 0.5)


def test_a_bad_sample_never_stops_sampling() -> None:
    assert is_narrow_enough([1.0] * 200, 0.1)
    assert not is_narrow_enough([*[1.0] * 200, math.nan], 0.1)


@pytest.mark.parametrize("target", [0, -0.1, math.nan])
def test_a_target_is_above_zero(target: float) -> None:
    with pytest.raises(ValueError, match="target_relative_width"):
        is_narrow_enough([1.0] * 200, target)


def test_stopping_at_a_narrow_interval_leaves_it_covering() -> None:
    """AR(1) of 0.5, 200 runs, each stopped at the first look that is narrow enough; three standard errors of
    room."""
    covered = []
    for series in 1 + 0.1 * autoregressive(11, 200, 600, 0.5):
        length = 21
        while length < 480 and not is_narrow_enough(series[:length], 0.075):
            length = math.ceil(1.25 * length)
        interval = median_interval(series[:length])
        covered.append(interval is not None and interval.low_s <= 1 <= interval.high_s)
    assert np.mean(covered) >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 200)
