"""Several starts: the textbook tests, what rounding adds, and what cannot be said."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.model.comparison.arm import Arm
from bench.model.comparison.point import Method, PointComparison, compare_point
from bench.model.interval import Series


def starts(*values_s: float, rounding: float = 0.0) -> Arm:
    """One number per start, printed in steps of ``rounding``."""
    around = tuple((value - rounding / 2, value + rounding / 2) for value in values_s) if rounding else ()
    return Arm(starts_s=tuple(np.array([value]) for value in values_s), rounding_s=around)


def series(seed: int, length: int) -> Series:
    return np.asarray(np.exp(0.03 * np.random.default_rng(seed).standard_normal(length)))


def ends(found: PointComparison) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


BASE = (1.00, 1.03, 0.98, 1.01, 1.02)
NEW = (1.05, 1.08, 1.10, 1.04, 1.07)


def test_as_many_starts_on_both_sides_are_welchs_test() -> None:
    found = compare_point(starts(*BASE), starts(*NEW))
    known = stats.ttest_ind(np.log(NEW), np.log(BASE), equal_var=False)
    assert found.p_value == pytest.approx(known.pvalue)
    interval = known.confidence_interval(0.95)
    assert ends(found) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert found.ratio == pytest.approx(float(stats.gmean(NEW) / stats.gmean(BASE)))
    assert found.method is Method.starts
    assert found.includes_starts


@pytest.mark.parametrize(("num_base", "num_new"), [(2, 5), (5, 2), (3, 4)])
def test_of_student_and_welch_the_more_cautious_counts(num_base: int, num_new: int) -> None:
    base, new = BASE[:num_base], NEW[:num_new]
    both = [stats.ttest_ind(np.log(new), np.log(base), equal_var=equal) for equal in (True, False)]
    found = compare_point(starts(*base), starts(*new))
    assert found.p_value == pytest.approx(max(one.pvalue for one in both))
    low, high = ends(found)
    assert low == pytest.approx(min(math.exp(one.confidence_interval(0.95).low) for one in both))
    assert high == pytest.approx(max(math.exp(one.confidence_interval(0.95).high) for one in both))


def test_pairs_are_students_test_of_their_ratios() -> None:
    found = compare_point(starts(*BASE), starts(*NEW), is_paired=True)
    known = stats.ttest_rel(np.log(NEW), np.log(BASE))
    assert found.p_value == pytest.approx(known.pvalue)
    interval = known.confidence_interval(0.95)
    assert ends(found) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert found.method is Method.paired_starts


def test_what_a_pair_has_in_common_cancels() -> None:
    """Each pair in another unit: the ratios are what they were."""
    units = np.array([1.0, 10.0, 0.1, 5.0, 2.0])
    plain = compare_point(starts(*BASE), starts(*NEW), is_paired=True)
    scaled = compare_point(starts(*(units * BASE)), starts(*(units * NEW)), is_paired=True)
    assert ends(scaled) == pytest.approx(ends(plain))
    assert scaled.p_value == pytest.approx(plain.p_value)


def test_one_start_is_held_against_the_prediction_of_several() -> None:
    """At the end of the 95 % prediction interval of the next value p is 5 %."""
    logs = np.log(BASE)
    reach = float(stats.t.ppf(0.975, 4)) * float(logs.std(ddof=1)) * math.sqrt(1 + 1 / 5)
    end = math.exp(float(logs.mean()) + reach)
    found = compare_point(starts(*BASE), starts(end))
    assert found.p_value == pytest.approx(0.05)
    assert ends(found)[0] == pytest.approx(1.0)
    assert found.method is Method.one_start_of_many
    mirrored = compare_point(starts(end), starts(*BASE))
    assert mirrored.p_value == pytest.approx(0.05)


def test_a_start_counts_once_whatever_its_samples() -> None:
    arms = [
        Arm(
            starts_s=tuple(
                value * series(10 * side + place, 10 + 90 * place) for place, value in enumerate(values)
            )
        )
        for side, values in enumerate((BASE, NEW))
    ]
    medians = [starts(*arm.values_s) for arm in arms]
    assert compare_point(*arms).p_value == pytest.approx(compare_point(*medians).p_value)


def test_rounding_widens_the_interval_by_both_halves() -> None:
    step = 1e-9  # too little for the spread to change
    exact, rounded = compare_point(starts(*BASE), starts(*NEW)), None
    rounded = compare_point(starts(*BASE, rounding=step), starts(*NEW, rounding=step))
    moved = np.mean(np.log1p(step / 2 / np.array(BASE))) + np.mean(np.log1p(step / 2 / np.array(NEW)))
    assert math.log(ends(rounded)[1] / ends(exact)[1]) == pytest.approx(float(moved), rel=1e-3)
    assert rounded.p_value is not None
    assert exact.p_value is not None
    assert rounded.p_value > exact.p_value


def test_numbers_rounded_to_one_value_still_scatter() -> None:
    """Three starts printed as 1.0 and three as 1.1, in steps of 0.1: nothing is proven."""
    found = compare_point(starts(1.0, 1.0, 1.0, rounding=0.1), starts(1.1, 1.1, 1.1, rounding=0.1))
    assert found.p_value is not None
    assert found.p_value > 0.05
    low, high = ends(found)
    assert low < 1.0
    assert high > 1.2


def test_a_coarse_clock_is_rounding_too() -> None:
    """Medians on the same tick of a clock: samples repeat, so their step stands for the spread."""
    ticks = np.array([1.0, 1.0, 1.0, 1.1, 1.0])
    found = compare_point(Arm(starts_s=(ticks,) * 3), Arm(starts_s=(1.1 * ticks,) * 3))
    assert found.p_value is not None
    assert found.p_value > 1e-3


@pytest.mark.parametrize("is_paired", [False, True])
def test_copies_of_one_run_are_no_starts(is_paired: bool) -> None:
    one, other = series(1, 30), 1.5 * series(2, 30)
    found = compare_point(Arm(starts_s=(one,) * 3), Arm(starts_s=(other,) * 3), is_paired=is_paired)
    assert found.p_value is None
    assert found.why_not is not None
    assert "copies" in found.why_not
    assert found.ratio == pytest.approx(float(np.median(other) / np.median(one)))


@pytest.mark.parametrize(("num_base", "num_new"), [(2, 2), (3, 3), (5, 5), (10, 10), (2, 8), (1, 5)])
def test_equal_starts_are_seldom_called_different(num_base: int, num_new: int) -> None:
    """At 5 % at most 5 % of 400; 32 would be seen once in 100 times."""
    generator = np.random.default_rng([num_base, num_new])
    alarms = 0
    for _ in range(400):
        base, new = (np.exp(0.02 * generator.standard_normal(number)) for number in (num_base, num_new))
        p_value = compare_point(starts(*base), starts(*new)).p_value
        alarms += p_value is not None and p_value < 0.05
    assert alarms < 32
