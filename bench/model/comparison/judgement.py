"""`Judgement`: the verdict on one point among all points of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bench.model.comparison.point import PointComparison


class Verdict(Enum):
    slower = "slower"
    faster = "faster"
    no_difference_found = "no difference found"
    cannot_tell = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One point, judged among all.

    Attributes:
        adjusted_p: p-value corrected for the number of points; None with cannot_tell.
        min_detectable_ratio: the smallest true ratio above 1 that these numbers of samples and starts, this noise and this
            number of points would find in 90 % of repetitions; None with cannot_tell.
        why_not: of cannot_tell: the reason, and what to do.
    """

    comparison: PointComparison
    verdict: Verdict
    adjusted_p: float | None
    min_detectable_ratio: float | None
    why_not: str | None = None


def judge(comparisons: Sequence[PointComparison], *, error_rate: float = 0.05) -> tuple[Judgement, ...]:
    """In the order given. With error_rate at most, any point of two equal systems is called slower or faster."""
    raise NotImplementedError
