"""`PointComparison`: how much slower one point became, and how likely chance alone does that."""

from dataclasses import dataclass
from enum import Enum

from bench.model.comparison.arm import Arm
from bench.model.interval import CONFIDENCE


class Method(Enum):
    """Where the uncertainty comes from. ``value`` is a phrase for a table."""

    starts = "spread between process starts"
    paired_starts = "spread of ratios of paired process starts"
    one_start_of_many = "spread between process starts of one side"
    iterations = "iterations within one process start of each side"
    rounding = "rounding of what was printed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointComparison:
    """One point of two runs.

    Attributes:
        ratio: time of the new one over that of the base; above 1 is slower.
        low, high: interval of ratio at the confidence asked for, of this point alone; None: nothing can be said.
        p_value: two-sided, of no difference; None: nothing can be said about chance.
        method: what low, high and p_value rest on.
        num_base_starts, num_new_starts: process starts of each side.
        why_not: why p_value is None, and what to do; None where it is there.
    """

    ratio: float
    low: float | None
    high: float | None
    p_value: float | None
    method: Method
    num_base_starts: int
    num_new_starts: int
    why_not: str | None = None

    @property
    def includes_starts(self) -> bool:
        """Whether what differs from start to start of the processes (placement, ports, memory) is in the interval."""
        return self.method not in (Method.iterations, Method.rounding)


def compare_point(
    base: Arm, new: Arm, *, is_paired: bool = False, confidence: float = CONFIDENCE
) -> PointComparison:
    """Deterministic: no seed. ``is_paired``: the i-th starts of both sides ran side by side (ABBA)."""
    raise NotImplementedError
