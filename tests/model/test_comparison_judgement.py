"""All points at once: correction, verdicts, whole runs, and how many starts a difference takes."""

import math

import numpy as np
import pytest

from bench.model.comparison.arm import Arm
from bench.model.comparison.correction import corrected
from bench.model.comparison.judgement import Judgement, Verdict, judge
from bench.model.comparison.point import compare_point
from bench.model.comparison.power import num_starts_for, start_spread

FOUND = (Verdict.slower, Verdict.faster)


def run(
    generator: np.random.Generator,
    times_s: list[float],
    *,
    num_starts: int = 1,
    noise: float = 0.03,
    spread: float = 0.0,
) -> list[Arm]:
    """An arm per point; 24 samples for the slow half of the points, 60 for the others."""
    arms = []
    for place, time_s in enumerate(times_s):
        length = 24 if place % 2 else 60
        shifts = spread * generator.standard_normal(num_starts)
        logs = noise * generator.standard_normal((num_starts, length)) + shifts[:, None]
        arms.append(Arm(starts_s=tuple(time_s * np.exp(logs))))
    return arms


def judged(base: list[Arm], new: list[Arm]) -> tuple[Judgement, ...]:
    return judge([compare_point(old, other) for old, other in zip(base, new, strict=True)])


def test_holm_by_hand() -> None:
    """3 x 0.01; 2 x 0.02, not below the one before; 1 x 0.04, not below 0.04."""
    assert corrected([0.04, 0.01, 0.02]) == pytest.approx((0.04, 0.03, 0.04))
    assert corrected([0.5, 0.9]) == pytest.approx((1.0, 1.0))
    assert corrected([]) == ()


def test_holm_lies_between_none_and_bonferroni() -> None:
    p_values = np.random.default_rng(1).random(30) ** 3
    adjusted = np.array(corrected(p_values.tolist()))
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, 30 * p_values) + 1e-15).all()
    assert (np.diff(adjusted[p_values.argsort()]) >= 0).all()


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_a_p_value_lies_between_0_and_1(bad: float) -> None:
    with pytest.raises(ValueError, match="number 1 is"):
        corrected([0.5, bad])


def test_slower_faster_the_same_and_unknown() -> None:
    generator = np.random.default_rng(1)
    base, new = run(generator, [1.0] * 4), run(generator, [1.2, 0.8, 1.0, 1.0])
    new[3] = Arm(starts_s=(np.array([2.0]),))
    found = judged(base, new)
    assert [one.verdict for one in found] == [
        Verdict.slower,
        Verdict.faster,
        Verdict.no_difference_found,
        Verdict.cannot_tell,
    ]
    assert (found[3].adjusted_p, found[3].min_detectable_ratio) == (None, None)
    assert found[3].why_not is not None
    for one in found[:3]:
        assert one.why_not is None
        assert one.min_detectable_ratio is not None
        assert one.min_detectable_ratio > 1


def test_a_point_that_says_nothing_costs_the_others_nothing() -> None:
    generator = np.random.default_rng(2)
    base, new = run(generator, [1.0, 1.0]), run(generator, [1.0, 1.0])
    number = Arm(starts_s=(np.array([1.0]),))
    alone, beside = judged(base, new), judged([*base, number], [*new, number])
    assert [one.adjusted_p for one in beside[:2]] == [one.adjusted_p for one in alone]
    assert [one.min_detectable_ratio for one in beside[:2]] == [one.min_detectable_ratio for one in alone]


def test_more_points_hide_more() -> None:
    generator = np.random.default_rng(3)
    one = compare_point(run(generator, [1.0])[0], run(generator, [1.0])[0])
    ratios = [judge([one] * number)[0].min_detectable_ratio or math.inf for number in (1, 21, 200)]
    assert ratios == sorted(ratios)
    assert ratios[0] < ratios[2]


def test_no_comparison_no_judgement() -> None:
    assert judge([]) == ()
    with pytest.raises(ValueError, match="error_rate is 5"):
        judge([], error_rate=5)


def test_of_30_pairs_of_equal_runs_hardly_any_is_flagged() -> None:
    """14 points each. At most 3 % in the long run, and 5 of 30 would then be seen once in 500 times."""
    generator = np.random.default_rng(4)
    flagged = 0
    for _ in range(30):
        base, new = run(generator, [1.0] * 14), run(generator, [1.0] * 14)
        flagged += any(one.verdict in FOUND for one in judged(base, new))
    assert flagged < 5


def test_of_200_pairs_of_equal_runs_with_5_starts_at_most_10_are_flagged() -> None:
    generator = np.random.default_rng(5)
    flagged = 0
    for _ in range(200):
        base, new = (run(generator, [1.0] * 8, num_starts=5, spread=0.02) for _ in range(2))
        flagged += any(one.verdict in FOUND for one in judged(base, new))
    assert flagged <= 10


def test_a_link_5_percent_slower_is_found() -> None:
    """All of 14 points, 3 % of noise: in every run at least one, and 9 of 10 points with 60 samples."""
    generator = np.random.default_rng(6)
    found = []
    for _ in range(10):
        base, new = run(generator, [1.0] * 14), run(generator, [1.05] * 14)
        found.append([one.verdict is Verdict.slower for one in judged(base, new)])
    assert all(any(one) for one in found)
    assert np.mean([one[::2] for one in found]) >= 0.9


@pytest.mark.parametrize("is_paired", [False, True])
def test_the_starts_that_are_asked_for_find_the_ratio(is_paired: bool) -> None:
    """In 90 % of 200, less 3 standard errors; with two starts fewer, in less."""
    spread, ratio = 0.02, 1.05
    of_pairs = spread * math.sqrt(2) if is_paired else spread
    needed = num_starts_for(ratio, spread=of_pairs, num_points=7, is_paired=is_paired)
    generator = np.random.default_rng(7)

    def share(number: int) -> float:
        found = 0
        for _ in range(200):
            base, new = np.exp(spread * generator.standard_normal((2, number)))
            arms = [Arm(starts_s=tuple(values[:, None])) for values in (base, ratio * new)]
            p_value = compare_point(*arms, is_paired=is_paired).p_value
            found += p_value is not None and p_value <= 0.03 / 7
        return found / 200

    assert share(needed) > 0.9 - 3 * 0.0212
    assert share(needed - 2) < 0.9


def test_a_larger_difference_takes_fewer_starts() -> None:
    counts = [num_starts_for(ratio, spread=0.02, num_points=21) for ratio in (1.02, 1.05, 1.2)]
    assert counts == sorted(counts, reverse=True)
    assert num_starts_for(1 / 1.05, spread=0.02, num_points=21) == counts[1]
    assert num_starts_for(1.05, spread=0.0, num_points=21) == 2


def test_starts_that_cannot_be_counted() -> None:
    with pytest.raises(ValueError, match="more than 1000 process starts"):
        num_starts_for(1.0001, spread=0.05, num_points=1)
    for bad in (1.0, 0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="target_ratio is"):
            num_starts_for(bad, spread=0.02, num_points=1)
    with pytest.raises(ValueError, match="spread is"):
        num_starts_for(1.05, spread=-0.02, num_points=1)
    with pytest.raises(ValueError, match="num_points is 0"):
        num_starts_for(1.05, spread=0.02, num_points=0)


def test_the_spread_is_pooled_over_sides() -> None:
    base, new = (1.0, 1.1, 1.2), (2.0, 2.1)
    sides = [Arm(starts_s=tuple(np.array([value]) for value in values)) for values in (base, new)]
    variances = 2 * np.log(base).var(ddof=1) + np.log(new).var(ddof=1)
    assert start_spread(sides) == pytest.approx(math.sqrt(variances / 3))
    assert start_spread([Arm(starts_s=(np.ones(5),))]) is None


@pytest.mark.parametrize("number", [3, 8])
def test_the_detectable_ratio_over_starts_is_found_in_90_percent(number: int) -> None:
    """Of 300 repetitions, within 3 standard errors."""
    generator = np.random.default_rng([8, number])
    found = 0
    for first, second, base, new in np.exp(0.02 * generator.standard_normal((300, 4, number))):
        noise = compare_point(*(Arm(starts_s=tuple(one[:, None])) for one in (first, second))).noise
        assert noise is not None
        ratio = noise.detectable_ratio(0.03 / 21, 0.9)
        assert ratio is not None
        repeated = compare_point(*(Arm(starts_s=tuple(one[:, None])) for one in (base, ratio * new)))
        found += repeated.p_value is not None and repeated.p_value <= 0.03 / 21
    assert found / 300 == pytest.approx(0.9, abs=3 * 0.0173)
