"""Order statistics and moments: known answers, laws of scale and order, and when nothing is said."""

import dataclasses
import math
import random
import statistics
from fractions import Fraction

import pytest

from bench.model.interval import median_interval
from bench.model.statistics import Summary, summarise


def test_a_known_sample() -> None:
    """Signs + - - - + - - + + + : r_1 = 0.1, so v = (2 * 1.1 - 1) / (1 - 2 / 10) = 1.5 and n_e = 20 / 3; that
    leaves rank 1."""
    summary = summarise([7, 1, 3, 2, 6, 5, 4, 10, 9, 8])
    expected = Summary(
        num_samples=10,
        median_s=5.5,
        low_s=1,
        high_s=10,
        p95_s=None,
        p99_s=None,
        max_s=10,
        mean_s=5.5,
        min_s=1,
        cv=math.sqrt(82.5 / 9) / 5.5,
        num_effective=20 / 3,
    )
    assert dataclasses.asdict(summary) == pytest.approx(dataclasses.asdict(expected))


def test_too_few_samples_have_no_interval() -> None:
    summary = summarise([3.0, 1.0, 2.0])
    assert (summary.median_s, summary.low_s, summary.high_s, summary.max_s) == (2.0, None, None, 3.0)
    assert summary.num_effective is None
    with pytest.raises(ValueError, match="no samples"):
        summarise([])


def test_one_sample_does_not_vary_as_far_as_one_can_tell() -> None:
    summary = summarise([0.5])
    assert (summary.median_s, summary.mean_s, summary.min_s, summary.max_s) == (0.5, 0.5, 0.5, 0.5)
    assert summary.cv is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_refused_by_its_place(bad: float) -> None:
    with pytest.raises(ValueError, match="sample 1 "):
        summarise([1.0, bad])


@pytest.mark.parametrize("num_samples", [2, 21, 200])
def test_moments_are_those_of_the_standard_library(num_samples: int) -> None:
    generator = random.Random(num_samples)
    samples_s = [generator.lognormvariate(0, 1) for _ in range(num_samples)]
    summary = summarise(samples_s)
    assert summary.mean_s == pytest.approx(statistics.fmean(samples_s))
    assert summary.median_s == pytest.approx(statistics.median(samples_s))
    assert summary.cv == pytest.approx(statistics.stdev(samples_s) / statistics.fmean(samples_s))


@pytest.mark.parametrize("num_samples", [6, 21, 200])
def test_the_interval_is_that_of_the_median(num_samples: int) -> None:
    generator = random.Random(num_samples)
    samples_s = [generator.random() for _ in range(num_samples)]
    summary, interval = summarise(samples_s), median_interval(samples_s)
    assert interval is not None
    assert (summary.low_s, summary.high_s) == (interval.low_s, interval.high_s)
    assert summary.num_effective == interval.num_effective


@pytest.mark.parametrize("num_samples", [19, 20, 99, 100, 101, 199, 200, 1000, 1001])
def test_quantiles_are_nearest_rank(num_samples: int) -> None:
    """The smallest sample with at least the given share at or below it; none where that is as good as the
    maximum."""
    summary = summarise([float(i) for i in range(1, num_samples + 1)])
    assert summary.p95_s == (math.ceil(Fraction(95 * num_samples, 100)) if num_samples >= 20 else None)
    assert summary.p99_s == (math.ceil(Fraction(99 * num_samples, 100)) if num_samples >= 100 else None)


@pytest.mark.parametrize("num_samples", [1, 2, 6, 21, 100, 137])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_samples_matters_to_nothing_but_the_interval(num_samples: int, seed: int) -> None:
    generator = random.Random(seed)
    samples_s = [generator.lognormvariate(0, 1) for _ in range(num_samples)]
    one, shuffled = summarise(samples_s), summarise(generator.sample(samples_s, k=num_samples))
    for key in ("num_samples", "median_s", "p95_s", "p99_s", "max_s", "min_s"):
        assert getattr(shuffled, key) == getattr(one, key)
    assert shuffled.mean_s == pytest.approx(one.mean_s)
    assert shuffled.cv == (None if one.cv is None else pytest.approx(one.cv))


def test_samples_in_order_of_size_place_the_median_worse_than_shuffled_ones() -> None:
    samples_s = [random.Random(i).random() for i in range(200)]
    shuffled, ascending = summarise(samples_s), summarise(sorted(samples_s))
    assert shuffled.low_s is not None
    assert ascending.low_s is not None
    assert ascending.low_s < shuffled.low_s
    assert ascending.num_effective is not None
    assert ascending.num_effective < 10


@pytest.mark.parametrize("num_samples", [6, 21, 100, 137])
def test_quantities_are_in_order_and_quantiles_were_observed(num_samples: int) -> None:
    generator = random.Random(num_samples)
    samples_s = [generator.expovariate(1) for _ in range(num_samples)]
    summary = summarise(samples_s)
    known = [
        value
        for value in (
            summary.min_s,
            summary.low_s,
            summary.median_s,
            summary.high_s,
            summary.p95_s,
            summary.p99_s,
            summary.max_s,
        )
        if value is not None
    ]
    assert known == sorted(known)
    observed = (summary.low_s, summary.high_s, summary.p95_s, summary.p99_s, summary.max_s)
    assert all(value is None or value in samples_s for value in observed)


@pytest.mark.parametrize("factor", [0.5, 1000.0])
def test_another_unit_of_time_scales_everything(factor: float) -> None:
    generator = random.Random(1)
    samples_s = [generator.uniform(1, 2) for _ in range(120)]
    one, scaled = summarise(samples_s), summarise([factor * sample for sample in samples_s])
    for key in ("median_s", "low_s", "high_s", "p95_s", "p99_s", "max_s", "mean_s", "min_s"):
        assert getattr(scaled, key) == pytest.approx(factor * getattr(one, key))
    assert scaled.cv == pytest.approx(one.cv)
    assert scaled.num_effective == pytest.approx(one.num_effective)


def test_equal_samples_have_an_interval_without_width() -> None:
    summary = summarise([0.25] * 100)
    assert {summary.median_s, summary.low_s, summary.high_s, summary.p95_s, summary.p99_s, summary.max_s} == {
        0.25
    }
