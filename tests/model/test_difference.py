"""Ratios of medians: symmetry, known answers, and how seldom identical runs are called different."""

import math

import numpy as np
import pytest

from bench.model.difference import RatioInterval, is_different, median_ratio, paired_median_ratio
from bench.model.interval import median_interval


def log_normal(seed: int, length: int, *, sigma: float = 0.05) -> list[float]:
    """exp(sigma z), z standard normal."""
    noise = np.random.default_rng(seed).standard_normal(length)
    return [float(value) for value in np.exp(sigma * noise)]


def ends(interval: RatioInterval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


@pytest.mark.parametrize("length", [6, 21, 200])
def test_the_other_way_round_is_the_reciprocal(length: int) -> None:
    base_s, new_s = log_normal(1, length), log_normal(2, length, sigma=0.3)
    forth, back = median_ratio(base_s, new_s), median_ratio(new_s, base_s)
    assert forth.ratio == pytest.approx(1 / back.ratio)
    low, high = ends(forth)
    assert ends(back) == pytest.approx((1 / high, 1 / low))
    assert low <= forth.ratio <= high


def test_units_cancel_and_a_factor_passes_through() -> None:
    base_s, new_s = log_normal(1, 50), log_normal(2, 60)
    plain = median_ratio(base_s, new_s)
    scaled = median_ratio([1000 * value for value in base_s], [3000 * value for value in new_s])
    assert scaled.ratio == pytest.approx(3 * plain.ratio)
    assert ends(scaled) == pytest.approx(tuple(3 * end for end in ends(plain)))


def test_a_base_without_spread_leaves_the_interval_of_the_new_median() -> None:
    new_s = log_normal(2, 60)
    interval = median_interval(new_s)
    assert interval is not None
    assert ends(median_ratio([2.0] * 60, new_s)) == pytest.approx((interval.low_s / 2, interval.high_s / 2))


def test_two_equal_spreads_add_like_orthogonal_sides() -> None:
    """Against itself the ends lie at 1 by the root of both squared distances, as logarithms."""
    samples_s = log_normal(3, 99)
    interval = median_interval(samples_s)
    assert interval is not None
    up = math.log(interval.high_s / interval.median_s)
    down = math.log(interval.median_s / interval.low_s)
    low, high = ends(median_ratio(samples_s, samples_s))
    assert math.log(high) == pytest.approx(math.hypot(up, down))
    assert math.log(low) == pytest.approx(-math.hypot(up, down))


def test_more_confidence_is_wider() -> None:
    base_s, new_s = log_normal(1, 100), log_normal(2, 100)
    (low, high), (lower, higher) = (ends(median_ratio(base_s, new_s, share)) for share in (0.95, 0.99))
    assert lower < low < high < higher


@pytest.mark.parametrize("length", [21, 50, 200])
@pytest.mark.parametrize(
    ("sigma", "phi"), [(0.05, 0.0), (1.0, 0.0), (0.05, 0.5), (1.0, 0.5)], ids=["quiet", "heavy", "AR", "both"]
)
def test_at_most_10_of_200_identical_pairs_are_called_different(
    length: int, sigma: float, phi: float
) -> None:
    """The long-run rate is at most 2 of 100, and 11 of 200 would then be seen once in 1000 times."""
    noise = np.random.default_rng(length).standard_normal((200, 2, length))
    for step in range(1, length):
        noise[..., step] = phi * noise[..., step - 1] + math.sqrt(1 - phi**2) * noise[..., step]
    assert sum(is_different(base, new) for base, new in np.exp(sigma * noise).tolist()) <= 10


@pytest.mark.parametrize("factor", [1.1, 1 / 1.1])
def test_a_tenth_is_seen_through_5_percent_of_noise(factor: float) -> None:
    for seed in range(20):
        new_s = [factor * value for value in log_normal(2 * seed + 1, 50)]
        assert is_different(log_normal(2 * seed, 50), new_s)


def test_too_few_samples_cannot_tell() -> None:
    assert median_ratio([1.0] * 5, [2.0] * 50) == RatioInterval(ratio=2.0, low=None, high=None)
    assert not is_different([1.0] * 7, [2.0] * 7)
    assert is_different([1.0] * 8, [2.0] * 8)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_durations_are_positive_and_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="new_s: number 1 "):
        median_ratio([1.0], [1.0, bad])
    with pytest.raises(ValueError, match="base of the pairs: number 0 "):
        paired_median_ratio([(bad, 1.0)])


def test_both_sides_have_samples() -> None:
    with pytest.raises(ValueError, match="base_s is empty"):
        median_ratio([], [1.0])
    with pytest.raises(ValueError, match="empty"):
        paired_median_ratio([])


def test_pairs_of_six_blocks_give_their_range() -> None:
    """What is common to both halves of a block cancels, however large it is."""
    ratios = [1.02, 0.99, 1.01, 1.05, 0.97, 1.00]
    pairs = [(10.0**block, ratio * 10.0**block) for block, ratio in enumerate(ratios)]
    found = paired_median_ratio(pairs)
    assert found.ratio == pytest.approx(1.005)
    assert ends(found) == pytest.approx((0.97, 1.05))
    assert paired_median_ratio(pairs[:5]).low is None


def test_pairs_of_twenty_blocks_give_the_sixth_from_each_end() -> None:
    pairs = [(1.0, 1 + block / 100) for block in range(20)]
    assert ends(paired_median_ratio(pairs)) == pytest.approx((1.05, 1.14))
