"""Floors and gates: the bound of the next start, provenance, k of m, and what is missing."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.model.comparison.floor import (
    Floor,
    floor_from_ceiling,
    floor_from_tolerance,
    floors_from_baseline,
    require_reachable,
)
from bench.model.comparison.gate import gate

FIVE = (1.00, 1.03, 0.98, 1.01, 1.02)


def floor(key: str = "a", longest_s: float = 1.0) -> Floor:
    return Floor(key=key, longest_s=longest_s, provenance="by hand", bus_bytes=100.0)


def test_a_baseline_of_one_point_bounds_the_next_start() -> None:
    """mean + t s sqrt(1 + 1/m) of the logarithms."""
    (found,) = floors_from_baseline({"a": FIVE}, bus_bytes={"a": 8.0}, error_rate=0.05)
    logs = np.log(FIVE)
    reach = float(stats.t.ppf(0.95, 4)) * float(logs.std(ddof=1)) * math.sqrt(1.2)
    assert found.longest_s == pytest.approx(math.exp(float(logs.mean()) + reach))
    assert found.busbw_bytes_per_s == pytest.approx(8.0 / found.longest_s)
    assert "5 starts of the base" in found.provenance


def test_more_points_need_lower_floors_and_more_starts_higher_ones() -> None:
    (alone,) = floors_from_baseline({"a": FIVE})
    among = floors_from_baseline({f"{number}": FIVE for number in range(21)})[0]
    (many,) = floors_from_baseline({"a": FIVE * 4})
    assert many.longest_s < alone.longest_s < among.longest_s


def test_a_sound_system_keeps_its_own_floors() -> None:
    """Of 300 baselines of 5 starts and 7 points at 5 %: 15 fail at the next start, 27 once in 1000 times."""
    generator = np.random.default_rng(1)
    failed = 0
    for _ in range(300):
        logs = 0.02 * generator.standard_normal((7, 6))
        times_s = {str(place): np.exp(row).tolist() for place, row in enumerate(logs)}
        floors = floors_from_baseline({key: row[:5] for key, row in times_s.items()}, error_rate=0.05)
        failed += gate(floors, [{key: row[5] for key, row in times_s.items()}]).has_failed
    assert 4 <= failed < 27


def test_a_baseline_needs_three_starts_that_are_none_of_them_copies() -> None:
    with pytest.raises(
        ValueError, match=r"b and 1 more points of the base: 2 starts .* give a tolerance of your own"
    ):
        floors_from_baseline({"a": FIVE, "b": (1.0, 1.1), "c": (1.0,)})
    with pytest.raises(ValueError, match="a of the base: 3 starts with the same time"):
        floors_from_baseline({"a": (1.0, 1.0, 1.0)})
    with pytest.raises(ValueError, match="no point"):
        floors_from_baseline({})
    with pytest.raises(ValueError, match="a: nan s is no duration"):
        floors_from_baseline({"a": (1.0, 1.1, math.nan)})
    with pytest.raises(ValueError, match="error_rate is 5"):
        floors_from_baseline({"a": FIVE}, error_rate=5)


def test_a_tolerance_is_a_share_of_busbw() -> None:
    found = floor_from_tolerance("a", (1.0, 4.0, 2.0), tolerance=0.2, bus_bytes=10.0)
    assert found.busbw_bytes_per_s == pytest.approx(0.8 * 10.0 / 2.0)
    assert "given tolerance" in found.provenance
    assert floor_from_tolerance("a", (1.0,), tolerance=0).longest_s == 1.0
    for bad in (-0.1, 1.0, 5.0, math.nan):
        with pytest.raises(ValueError, match="tolerance is"):
            floor_from_tolerance("a", (1.0,), tolerance=bad)


def test_a_ceiling_gives_a_share_of_itself() -> None:
    found = floor_from_ceiling("a", 2.0, share=0.9, ceiling="optics", bus_bytes=97.8e9)
    assert found.busbw_bytes_per_s == pytest.approx(0.9 * 48.9e9)
    assert found.provenance == "0.9 x ceiling of 48.9 GB/s (optics)"
    assert floor_from_ceiling("barrier", 2.0, share=0.5, ceiling="latency").busbw_bytes_per_s is None


@pytest.mark.parametrize("share", [0.0, 1.01, 90.0, math.nan])
def test_no_floor_lies_above_its_ceiling(share: float) -> None:
    with pytest.raises(ValueError, match="share is"):
        floor_from_ceiling("a", 2.0, share=share, ceiling="optics")


def test_floors_of_any_origin_are_held_against_ceilings() -> None:
    floors = [floor("a", 1.0), floor("b", 2.0), floor("c", 3.0)]
    require_reachable(floors, {"a": 1.0, "b": 1.9})
    with pytest.raises(
        ValueError, match=r"floor of a and 1 more points: 1 s \(by hand\) is less than the 1.1 s"
    ):
        require_reachable(floors, {"a": 1.1, "b": 2.1})


def test_a_floor_says_where_it_comes_from() -> None:
    with pytest.raises(ValueError, match="no provenance"):
        Floor(key="a", longest_s=1.0, provenance=" ")
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="longest_s is"):
            Floor(key="a", longest_s=bad, provenance="by hand")
        with pytest.raises(ValueError, match="bus_bytes is"):
            Floor(key="a", longest_s=1.0, provenance="by hand", bus_bytes=bad)


@pytest.mark.parametrize(("num_runs", "least"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_majority_of_misses_fails(num_runs: int, least: int) -> None:
    for misses in range(num_runs + 1):
        runs_s = [{"a": 1.1 if place < misses else 1.0} for place in range(num_runs)]
        found = gate([floor()], runs_s)
        assert found.least_misses == least
        assert found.points[0].num_misses == misses
        assert found.has_failed == (misses >= least)


def test_any_run_or_all_of_them_may_be_asked_for() -> None:
    runs_s = [{"a": 1.1}, {"a": 0.9}, {"a": 0.9}]
    assert gate([floor()], runs_s, least_misses=1).has_failed
    assert not gate([floor()], [{"a": 1.1}, {"a": 1.1}, {"a": 0.9}], least_misses=3).has_failed
    for bad in (0, 4):
        with pytest.raises(ValueError, match=f"least_misses is {bad} with 3 runs"):
            gate([floor()], runs_s, least_misses=bad)


def test_a_fast_point_does_not_make_up_for_a_slow_one() -> None:
    found = gate([floor("a"), floor("b")], [{"a": 1e-9, "b": 1.01}])
    assert [point.has_failed for point in found.points] == [False, True]
    assert found.has_failed


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, 0.0])
def test_what_was_not_measured_has_not_passed(missing: float | None) -> None:
    for run_s in ({"a": missing}, {}):
        found = gate([floor()], [run_s])
        assert found.has_failed
        assert found.points[0].times_s == (None,)
        assert found.points[0].num_missing == 1
        assert not gate([floor()], [run_s], may_miss=["a"]).has_failed
    assert gate([floor()], [{"a": 2.0}], may_miss=["a"]).has_failed


def test_points_without_a_floor_are_named() -> None:
    assert gate([floor()], [{"a": 1.0, "x": 1.0}, {"y": 1.0, "x": 2.0}]).ungated == ("x", "y")


def test_a_gate_needs_floors_and_runs_and_one_floor_per_point() -> None:
    with pytest.raises(ValueError, match="no floors"):
        gate([], [{}])
    with pytest.raises(ValueError, match="no run"):
        gate([floor()], [])
    with pytest.raises(ValueError, match="a has 2 floors"):
        gate([floor(), floor()], [{}])
