"""`Judgement`: the verdict on one point among all points of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bench.model.comparison.correction import corrected
from bench.model.comparison.point import Method, PointComparison
from bench.model.comparison.power import ERROR_RATE, POWER


class Verdict(Enum):
    slower = "slower"
    faster = "faster"
    no_difference_found = "no difference found"
    cannot_tell = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One point, judged among all.

    Attributes:
        adjusted_p: p-value corrected for the number of points; None where there is none.
        min_detectable_ratio: the smallest true ratio above 1 that these numbers of samples and starts, this
            noise and this number of points would find in 90 % of repetitions if no other point differed; None
            with cannot_tell.
        why_not: of cannot_tell: the reason, and what to do.
    """

    comparison: PointComparison
    verdict: Verdict
    adjusted_p: float | None
    min_detectable_ratio: float | None
    why_not: str | None = None


def judge(comparisons: Sequence[PointComparison], *, error_rate: float = ERROR_RATE) -> tuple[Judgement, ...]:
    """A verdict for each point, in the order given.

    p-values are corrected by Holm for the points that have one: two equal systems differ at any point at all
    in at most ``error_rate`` of all comparisons. Points without a p-value, and those where no difference,
    however large, would be found, are `cannot_tell`.

    Raises:
        ValueError: an error_rate outside (0, 1).
    """
    if not 0 < error_rate < 1:
        raise ValueError(f"error_rate is {error_rate}; allowed is above 0 and below 1, such as 0.05")
    p_values = [comparison.p_value for comparison in comparisons]
    adjusted = iter(corrected([p_value for p_value in p_values if p_value is not None]))
    num_points = sum(p_value is not None for p_value in p_values)
    return tuple(
        _unknown(comparison)
        if comparison.p_value is None
        else _judged(comparison, next(adjusted), error_rate, num_points)
        for comparison in comparisons
    )


def _unknown(comparison: PointComparison) -> Judgement:
    return Judgement(
        comparison=comparison,
        verdict=Verdict.cannot_tell,
        adjusted_p=None,
        min_detectable_ratio=None,
        why_not=comparison.why_not,
    )


def _judged(comparison: PointComparison, adjusted_p: float, error_rate: float, num_points: int) -> Judgement:
    noise = comparison.noise
    detectable = None if noise is None else noise.detectable_ratio(error_rate / num_points, POWER)
    why_not = None
    if adjusted_p <= error_rate:
        verdict = Verdict.slower if comparison.ratio > 1 else Verdict.faster
    elif detectable is not None:
        verdict = Verdict.no_difference_found
    else:
        verdict = Verdict.cannot_tell
        what = (
            "samples (timing.min_iterations)" if comparison.method is Method.iterations else "process starts"
        )
        why_not = f"no difference, however large, would stand out among {num_points} points; take more {what}"
    return Judgement(
        comparison=comparison,
        verdict=verdict,
        adjusted_p=adjusted_p,
        min_detectable_ratio=detectable,
        why_not=why_not,
    )
