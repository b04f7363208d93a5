"""Which method is taken, what is refused, and what a point without chance says."""

import math

import numpy as np
import pytest

from bench.model.comparison.arm import Arm
from bench.model.comparison.point import Method, compare_point


def arm(*lengths: int, seed: int = 0) -> Arm:
    """Starts of so many samples each, none like the other."""
    generator = np.random.default_rng([seed, *lengths])
    return Arm(starts_s=tuple(np.exp(0.03 * generator.standard_normal(length)) for length in lengths))


@pytest.mark.parametrize(
    ("base", "new", "is_paired", "method"),
    [
        ((21,), (21,), False, Method.iterations),
        ((21,), (21,), True, Method.iterations),
        ((6,), (200,), False, Method.iterations),
        ((5,), (200,), False, Method.rounding),
        ((1,), (200,), False, Method.rounding),
        ((21, 21), (21, 21), False, Method.starts),
        ((21, 21), (21, 21), True, Method.paired_starts),
        ((1, 1, 1), (21, 21), False, Method.starts),
        ((21, 21, 21), (1,), False, Method.one_start_of_many),
        ((21,), (21, 21), False, Method.one_start_of_many),
    ],
)
def test_starts_come_before_iterations_and_these_before_nothing(
    base: tuple[int, ...], new: tuple[int, ...], is_paired: bool, method: Method
) -> None:
    """Sides by the numbers of samples of their starts."""
    found = compare_point(arm(*base), arm(*new, seed=1), is_paired=is_paired)
    assert found.method is method
    assert found.includes_starts == ("starts" in method.name or method is Method.one_start_of_many)
    assert (found.p_value is None) == (method is Method.rounding)
    assert (found.why_not is None) == (found.p_value is not None)
    assert (found.num_base_starts, found.num_new_starts) == (len(base), len(new))


def test_one_number_of_each_side_has_the_interval_of_rounding_alone() -> None:
    base = Arm(starts_s=(np.array([100.0]),), rounding_s=((99.5, 100.5),))
    new = Arm(starts_s=(np.array([110.0]),), rounding_s=((105.0, 115.0),))
    found = compare_point(base, new)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.1, 105 / 100.5, 115 / 99.5))
    assert found.p_value is None
    unknown = compare_point(Arm(starts_s=base.starts_s), Arm(starts_s=new.starts_s))
    assert (unknown.low, unknown.high) == (None, None)


def test_the_same_twice_gives_the_same() -> None:
    """Nothing is drawn."""
    for sides in ((arm(21), arm(50)), (arm(21, 21), arm(30, 40))):
        assert compare_point(*sides) == compare_point(*sides)


def test_pairs_need_as_many_starts() -> None:
    with pytest.raises(ValueError, match="3 starts of the base and 2 of the new side make no pairs"):
        compare_point(arm(5, 5, 5), arm(5, 5), is_paired=True)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence is"):
        compare_point(arm(21), arm(21), confidence=confidence)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_durations_are_positive_and_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="sample 1 of start 1 "):
        Arm(starts_s=(np.ones(3), np.array([1.0, bad])))


def test_an_arm_has_starts_and_starts_have_samples() -> None:
    with pytest.raises(ValueError, match="starts_s is empty"):
        Arm(starts_s=())
    with pytest.raises(ValueError, match="start 1 has shape"):
        Arm(starts_s=(np.ones(2), np.array([])))


@pytest.mark.parametrize("rounding", [(2.0, 3.0), (0.0, 1.5), (1.5, 0.5)])
def test_rounding_holds_the_value(rounding: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="rounding_s: start 0 lies at"):
        Arm(starts_s=(np.array([1.0]),), rounding_s=(rounding,))
    with pytest.raises(ValueError, match="rounding_s has 2 entries for 1 starts"):
        Arm(starts_s=(np.array([1.0]),), rounding_s=((0.9, 1.1), (0.9, 1.1)))
