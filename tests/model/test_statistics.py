"""Order statistics: exact ranks, their coverage by an exact sum, and indifference to the order of the samples."""

import math
import random
from fractions import Fraction

import pytest

from bench.model.statistics import CONFIDENCE, Summary, median_interval_rank, summarise


@pytest.mark.parametrize(
    ("num_samples", "rank"),
    [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (21, 6), (50, 18), (100, 40)],
)
def test_rank_of_the_median_interval(num_samples: int, rank: int) -> None:
    """Known values, as tables of the sign test print them."""
    assert median_interval_rank(num_samples) == rank


def _coverage(num_samples: int, rank: int) -> Fraction:
    """Chance that the median lies in [x_(k), x_(n+1-k)]: neither fewer than k samples below it nor above it."""
    outside = sum(math.comb(num_samples, i) for i in range(rank))
    return 1 - 2 * Fraction(outside, 2**num_samples)


@pytest.mark.parametrize("num_samples", range(1, 301))
def test_interval_covers_the_median_and_the_next_narrower_one_does_not(num_samples: int) -> None:
    rank = median_interval_rank(num_samples)
    if rank:
        assert _coverage(num_samples, rank) >= Fraction(95, 100)
    assert 2 * rank <= num_samples
    if 2 * (rank + 1) <= num_samples:
        assert _coverage(num_samples, rank + 1) < Fraction(95, 100)


def test_more_confidence_is_wider() -> None:
    assert CONFIDENCE == 0.95
    assert median_interval_rank(100, 0.5) > median_interval_rank(100) > median_interval_rank(100, 0.999)


def test_a_known_sample() -> None:
    assert summarise([7, 1, 3, 2, 6, 5, 4, 10, 9, 8]) == Summary(
        num_samples=10, median_s=5.5, low_s=2, high_s=9, p95_s=None, p99_s=None, max_s=10
    )


def test_too_few_samples_have_no_interval() -> None:
    summary = summarise([3.0, 1.0, 2.0])
    assert (summary.median_s, summary.low_s, summary.high_s, summary.max_s) == (2.0, None, None, 3.0)
    with pytest.raises(ValueError, match="no samples"):
        summarise([])


@pytest.mark.parametrize("num_samples", [19, 20, 99, 100, 101, 199, 200, 1000, 1001])
def test_quantiles_are_nearest_rank(num_samples: int) -> None:
    """The smallest sample with at least the given share at or below it; none where that is as good as the maximum."""
    summary = summarise([float(i) for i in range(1, num_samples + 1)])
    assert summary.p95_s == (math.ceil(Fraction(95 * num_samples, 100)) if num_samples >= 20 else None)
    assert summary.p99_s == (math.ceil(Fraction(99 * num_samples, 100)) if num_samples >= 100 else None)


@pytest.mark.parametrize("num_samples", [1, 2, 6, 21, 100, 137])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_samples_does_not_matter(num_samples: int, seed: int) -> None:
    generator = random.Random(seed)
    samples_s = [generator.lognormvariate(0, 1) for _ in range(num_samples)]
    shuffled = generator.sample(samples_s, k=num_samples)
    assert summarise(shuffled) == summarise(samples_s)


@pytest.mark.parametrize("num_samples", [6, 21, 100, 137])
def test_quantities_are_in_order_and_quantiles_were_observed(num_samples: int) -> None:
    generator = random.Random(num_samples)
    samples_s = [generator.expovariate(1) for _ in range(num_samples)]
    summary = summarise(samples_s)
    known = [
        value
        for value in (
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
    for key in ("median_s", "low_s", "high_s", "p95_s", "p99_s", "max_s"):
        assert getattr(scaled, key) == pytest.approx(factor * getattr(one, key))


def test_equal_samples_have_an_interval_without_width() -> None:
    summary = summarise([0.25] * 100)
    assert {summary.median_s, summary.low_s, summary.high_s, summary.p95_s, summary.p99_s, summary.max_s} == {
        0.25
    }
