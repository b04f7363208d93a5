"""One start against another: known answers, symmetries, and how seldom equal runs are called different."""

import math

import numpy as np
import pytest

from bench.model.comparison import iterations
from bench.model.comparison.iterations import compare_iterations
from bench.model.interval import Series

AMONG_21 = 0.03 / 21


def noise(seed: int, *shape: int, phi: float = 0.0, sigma: float = 0.03) -> Series:
    """exp(sigma z), z stationary AR(1) along the last axis."""
    z = np.random.default_rng(seed).standard_normal(shape)
    for step in range(1, shape[-1]):
        z[..., step] = phi * z[..., step - 1] + math.sqrt(1 - phi**2) * z[..., step]
    return np.asarray(np.exp(sigma * z))


@pytest.mark.parametrize(("num_base", "num_new"), [(6, 6), (21, 50), (200, 31)])
def test_the_ratio_is_the_median_over_all_pairs(num_base: int, num_new: int) -> None:
    base, new = noise(1, num_base), noise(2, num_new)
    pairs = np.log(new)[:, None] - np.log(base)[None, :]
    found = compare_iterations(base, new, 0.95)
    assert math.log(found.ratio) == pytest.approx(float(np.median(pairs)), abs=1e-8)
    assert found.low < found.ratio < found.high


@pytest.mark.parametrize("length", [6, 21, 200])
def test_the_other_way_round_is_the_reciprocal(length: int) -> None:
    base, new = noise(1, length), noise(2, length, sigma=0.1)
    forth, back = compare_iterations(base, new, 0.95), compare_iterations(new, base, 0.95)
    assert (forth.ratio, forth.low, forth.high) == pytest.approx(
        (1 / back.ratio, 1 / back.high, 1 / back.low)
    )
    assert forth.p_value == pytest.approx(back.p_value)


def test_units_cancel_and_a_factor_passes_through() -> None:
    base, new = noise(1, 50), noise(2, 60)
    plain, scaled = compare_iterations(base, new, 0.95), compare_iterations(1000 * base, 3000 * new, 0.95)
    assert (scaled.ratio, scaled.low, scaled.high) == pytest.approx(
        (3 * plain.ratio, 3 * plain.low, 3 * plain.high)
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_leaves_out_1_where_the_p_value_is_small(seed: int) -> None:
    base, new = noise(seed, 21), (1 + 0.004 * seed) * noise(100 + seed, 40)
    for confidence in (0.5, 0.95, 0.999):
        found = compare_iterations(base, new, confidence)
        assert (found.low > 1 or found.high < 1) == (found.p_value < 1 - confidence)


def test_more_confidence_is_wider() -> None:
    narrow, wide = (compare_iterations(noise(1, 50), noise(2, 50), share) for share in (0.95, 0.999))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_neighbours_that_are_alike_count_for_less() -> None:
    """The same samples, sorted into two halves of a wave: the ratio stays, the interval widens."""
    base, new = noise(1, 100), noise(2, 100)
    waves = np.sort(base), np.sort(new)[::-1]
    plain, alike = compare_iterations(base, new, 0.95), compare_iterations(*waves, 0.95)
    assert alike.ratio == pytest.approx(plain.ratio)
    assert alike.high / alike.low > 2 * plain.high / plain.low - 1


def test_two_modes_in_other_shares_by_chance_are_no_difference() -> None:
    """9 and 12 slow calls of 21: the medians differ by 30 %, the runs do not."""
    jitter = noise(3, 2, 21, sigma=0.001)
    turns = np.random.default_rng(4).permuted(np.arange(21))
    base, new = jitter[0] * np.where(turns < 9, 1.3, 1.0), jitter[1] * np.where(turns < 12, 1.3, 1.0)
    assert np.median(new) / np.median(base) == pytest.approx(1.3, abs=0.01)
    found = compare_iterations(base, new, 0.95)
    assert found.ratio == pytest.approx(1.0, abs=0.01)
    assert found.p_value > 0.2


@pytest.mark.parametrize("phi", [0.0, 0.5], ids=["independent", "AR(1) 0.5"])
@pytest.mark.parametrize("length", [21, 100])
def test_equal_points_are_seldom_called_different(length: int, phi: float) -> None:
    """At most 5 % of 150 at 5 %, where 15 would be seen once in 100 times; among 21 hardly any."""
    p_values = [
        compare_iterations(base, new, 0.95).p_value for base, new in noise(length, 150, 2, length, phi=phi)
    ]
    assert sum(p_value < 0.05 for p_value in p_values) < 15
    assert sum(p_value < AMONG_21 for p_value in p_values) <= 2


@pytest.mark.parametrize("factor", [2.0, 0.5])
@pytest.mark.parametrize("length", [12, 21])
def test_twice_the_time_is_seen_from_a_dozen_samples(length: int, factor: float) -> None:
    base, new = noise(1, length), factor * noise(2, length)
    assert compare_iterations(base, new, 0.95).p_value < AMONG_21


def test_the_detectable_ratio_is_found_in_90_percent() -> None:
    """Of 120: less than 97 or more than 117 would be seen once in 300 times each."""
    found = 0
    for first, second, base, new in noise(7, 120, 4, 50):
        ratio = compare_iterations(first, second, 0.95).noise.detectable_ratio(AMONG_21, 0.9)
        assert ratio is not None
        found += compare_iterations(base, ratio * new, 0.95).p_value <= AMONG_21
    assert 97 <= found <= 117


def test_a_long_series_gives_what_all_its_pairs_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantiles and batches against the whole, within a twentieth of the interval."""
    base, new = noise(1, 20_000), 1.01 * noise(2, 20_000)
    short = compare_iterations(base, new, 0.95)
    monkeypatch.setattr(iterations, "MOST_QUANTILES", 10**9)
    monkeypatch.setattr(iterations, "MOST_BATCHES", 10**9)
    whole = compare_iterations(base, new, 0.95)
    width = whole.high - whole.low
    assert (short.ratio, short.low, short.high) == pytest.approx(
        (whole.ratio, whole.low, whole.high), abs=width / 20
    )


def test_samples_that_never_vary_do_not_prove_everything() -> None:
    """On a coarse clock: p is that of complete separation, and the interval holds the ratio."""
    found = compare_iterations(np.full(21, 1.0), np.full(21, 2.0), 0.95)
    assert found.low <= 2.0 <= found.high
    assert 1e-9 < found.p_value < AMONG_21
    assert compare_iterations(np.full(21, 1.0), np.full(21, 1.0), 0.95).p_value == 1.0


def test_an_interval_of_ticks_holds_the_tick() -> None:
    """Both sides alternate between the same two readings of the clock."""
    ticks = np.random.default_rng(5).integers(1, 3, (50, 2, 21)).astype(np.float64)
    covered = [found.low <= 1 <= found.high for found in (compare_iterations(a, b, 0.95) for a, b in ticks)]
    assert sum(covered) >= 47
