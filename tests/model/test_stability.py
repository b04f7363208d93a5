"""Facts about one point: each is found where it was put in, and seldom elsewhere."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from bench.model.interval import Series
from bench.model.stability import stability_facts


def normal(seed: int, length: int, phi: float = 0.0) -> Series:
    """Stationary AR(1) with standard normal values."""
    series = np.random.default_rng(seed).standard_normal(length)
    for step in range(1, length):
        series[step] = phi * series[step - 1] + math.sqrt(1 - phi**2) * series[step]
    return series


def steady(seed: int, length: int) -> Series:
    """About 1 ms, 5 % of noise."""
    return 1e-3 * np.exp(0.05 * normal(seed, length))


def names(durations_s: Series, clock_resolution_s: float | None = None) -> list[str]:
    found = stability_facts(durations_s.tolist(), clock_resolution_s=clock_resolution_s)
    return [fact.name for fact in found]


def text(durations_s: Series, name: str, clock_resolution_s: float | None = None) -> str:
    """What the fact of that name says; there is exactly one."""
    found = stability_facts(durations_s.tolist(), clock_resolution_s=clock_resolution_s)
    (said,) = [fact.text for fact in found if fact.name == name]
    return said


def test_nothing_is_said_of_a_steady_point() -> None:
    assert names(steady(1, 200), 1e-9) == []


@pytest.mark.parametrize("length", [100, 1000])
def test_nothing_is_said_of_equal_samples(length: int) -> None:
    assert names(np.full(length, 1e-3), 1e-9) == []


def test_nothing_is_said_of_nothing() -> None:
    assert names(np.array([])) == []


@pytest.mark.parametrize(
    "mapped",
    [
        lambda seed, length: np.exp(normal(seed, length)),
        lambda seed, length: 1 + np.random.default_rng(seed).exponential(1, length),
        lambda seed, length: np.random.default_rng(seed).uniform(1, 2, length),
        lambda seed, length: np.round(1 + 0.05 * normal(seed, length), 1),
        lambda seed, length: np.exp(0.05 * normal(seed, length, 0.5)),
    ],
    ids=["log-normal", "floor and exponential", "uniform", "coarse", "AR(1) 0.5"],
)
def test_steady_points_are_seldom_flagged(mapped: Callable[[int, int], Series]) -> None:
    """At 1 of 1000 each, 120 series give more than 2 of a kind once in 4000 times.

    A test of drift that takes the AR(1) for independent samples flags 6 of them.
    """
    found = [name for seed in range(120) for name in names(mapped(seed, (21, 50, 200)[seed % 3]))]
    assert found.count("drift") <= 2
    assert found.count("bimodal") <= 2


def test_independent_samples_are_seldom_called_alike() -> None:
    found = [name for seed in range(120) for name in names(steady(seed, 100))]
    assert found.count("autocorrelated") <= 2


def test_a_step_is_named_with_its_place_and_size() -> None:
    slower = np.where(np.arange(200) >= 120, 1.2, 1.0)
    said = text(steady(2, 200) * slower, "drift")
    assert "first 120 samples is 1 ms" in said
    assert "the other 80 1.2 ms (+19.3%)" in said


@pytest.mark.parametrize(
    "shape",
    [
        lambda times: 0.2 * times,
        lambda times: 0.2 * (times > 0.5),
        lambda times: 0.4 * (times > 0.8),
        lambda times: -0.2 * (times > 0.3),
    ],
    ids=["trend", "step", "late step", "fall"],
)
def test_drift_is_found_in_noise(shape: Callable[[Series], Series]) -> None:
    """4 standard deviations of noise, 8 for the late step; where neighbours are alike, at least mostly."""
    added = shape(np.linspace(0, 1, 200))
    for seed in range(10):
        assert "drift" in names(np.exp(0.05 * normal(seed, 200) + added))
    found = ["drift" in names(np.exp(0.05 * normal(seed, 200, 0.3) + added)) for seed in range(10)]
    assert sum(found) >= 7


def test_drift_survives_heavy_tails() -> None:
    """Noise without a mean: ranks do not care."""
    noise = np.exp(np.random.default_rng(4).standard_cauchy(300).clip(-20, 20))
    assert "drift" not in names(noise)
    assert "drift" in names(noise * np.where(np.arange(300) >= 150, 30, 1))


def test_two_modes_are_named_with_their_places_and_shares() -> None:
    is_slow = np.arange(200) % 5 == 0
    said = text(steady(3, 200) * np.where(is_slow, 2, 1), "bimodal")
    assert "160 samples lie around 1 ms and 40 around 2" in said


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_two_modes_are_found_ten_deviations_apart(share: float) -> None:
    for seed in range(10):
        is_slow = np.random.default_rng(seed).random(200) < share
        assert "bimodal" in names(steady(seed, 200) * np.where(is_slow, math.exp(0.5), 1))


@pytest.mark.parametrize(("apart", "is_bimodal"), [(2.5, False), (3.0, False), (5.0, True)])
def test_modes_are_separate_where_the_valley_is_below_half(apart: float, is_bimodal: bool) -> None:
    """2 exp(-d**2 / 8) of the lower mode is 0.92, 0.65 and 0.09; 5000 samples know that well."""
    upper = np.random.default_rng(8).random(5000) < 0.5
    samples_s = np.exp(0.05 * (normal(9, 5000) + apart * upper))
    assert ("bimodal" in names(samples_s)) is is_bimodal


def test_a_tail_is_no_mode() -> None:
    """1 in 20 samples is twice as long."""
    is_slow = np.arange(400) % 20 == 0
    assert "bimodal" not in names(steady(3, 400) * np.where(is_slow, 2, 1))


def test_two_readings_of_a_coarse_clock_are_no_modes() -> None:
    """Durations spread evenly over one step of the clock: 7 or 8 steps, nothing between."""
    steps = np.round(np.random.default_rng(1).uniform(7, 8, 400))
    assert set(steps) == {7.0, 8.0}
    assert names(1e-6 * steps) == []
    assert names(1e-6 * steps, 1e-6) == ["coarse_clock"]
    assert "bimodal" in names(1e-6 * np.where(steps == 7, 7, 80), 1e-6)
    assert "bimodal" in names(1e-6 * steps, 1e-9)


def test_neighbours_that_are_alike_are_named_with_what_they_are_worth() -> None:
    said = text(np.exp(0.05 * normal(5, 400, 0.6)), "autocorrelated")
    assert "400 of them place the median like " in said


def test_a_step_alone_is_no_autocorrelation() -> None:
    for seed in range(10):
        slower = np.where(np.arange(200) >= 100, 1.5, 1.0)
        assert names(steady(seed, 200) * slower)[0] == "drift"
        assert "autocorrelated" not in names(steady(seed, 200) * slower)


@pytest.mark.parametrize("length", range(1, 6))
def test_few_samples_have_no_interval(length: int) -> None:
    assert names(steady(1, length)) == ["few_samples", "percentiles"]
    assert f"{length} samples" in text(steady(1, length), "few_samples")


@pytest.mark.parametrize(
    ("length", "withheld"),
    [(6, ["p95", "p99"]), (19, ["p95", "p99"]), (20, ["p99"]), (99, ["p99"]), (100, []), (1000, [])],
)
def test_percentiles_that_are_withheld_are_named(length: int, withheld: list[str]) -> None:
    steady_s = steady(1, length)
    assert "few_samples" not in names(steady_s)
    if not withheld:
        assert "percentiles" not in names(steady_s)
        return
    said = text(steady_s, "percentiles")
    assert [name for name in ("p95", "p99") if name in said] == withheld
    assert "from 100 samples" in said


@pytest.mark.parametrize(("share", "is_coarse"), [(0.009, False), (0.011, True)])
def test_a_clock_is_coarse_above_1_percent_of_the_median(share: float, is_coarse: bool) -> None:
    constant = np.full(100, 1e-3)
    assert ("coarse_clock" in names(constant, share * 1e-3)) is is_coarse


@pytest.mark.parametrize(
    ("median_s", "longest_s", "is_stall"),
    [(1e-3, 0.101, True), (1e-3, 0.099, False), (0.02, 0.21, True), (0.02, 0.19, False)],
)
def test_a_stall_is_above_ten_medians_and_100_ms(median_s: float, longest_s: float, is_stall: bool) -> None:
    durations_s = np.full(50, median_s)
    durations_s[17] = longest_s
    assert ("stall" in names(durations_s)) is is_stall


def test_a_stall_is_named_with_its_sample_and_duration() -> None:
    durations_s = np.full(50, 1e-3)
    durations_s[17], durations_s[40] = 0.3, 2.0
    said = text(durations_s, "stall")
    assert "300 ms at sample 17" in said
    assert "2 s at sample 40" in said


def test_many_stalls_are_counted() -> None:
    durations_s = np.full(50, 1e-3)
    durations_s[::6] = 0.3
    assert "and 4 more" in text(durations_s, "stall")


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1e-3])
def test_bad_samples_are_counted_and_left_out(bad: float) -> None:
    """A stall after one keeps its place in the whole series."""
    durations_s = np.full(200, 1e-3)
    durations_s[3], durations_s[17] = bad, 0.3
    assert names(durations_s, 1e-9) == ["bad_sample", "stall"]
    assert text(durations_s, "bad_sample").startswith("1 of 200 samples")
    assert "300 ms at sample 17" in text(durations_s, "stall")


def test_a_point_of_bad_samples_alone_says_so() -> None:
    assert names(np.full(5, math.nan)) == ["bad_sample", "few_samples", "percentiles"]


def test_every_fact_ends_with_what_to_do() -> None:
    """One sentence: what was found, a semicolon, an instruction."""
    durations_s = np.concatenate([steady(1, 100), 3 * steady(2, 100), [math.nan, 0.5]])
    found = stability_facts(durations_s.tolist(), clock_resolution_s=1e-4)
    assert [fact.name for fact in found][:4] == ["bad_sample", "coarse_clock", "stall", "drift"]
    for fact in found:
        assert "; " in fact.text
        assert not fact.text.endswith(".")
