"""`PointComparison`: how much slower one point became, and how likely chance alone does that."""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np

from bench.model.comparison.arm import Arm
from bench.model.comparison.iterations import MIN_SAMPLES, compare_iterations
from bench.model.comparison.starts import compare_starts
from bench.model.interval import CONFIDENCE


class Method(Enum):
    """Where the uncertainty comes from. ``value`` is a phrase for a table."""

    starts = "spread between process starts"
    paired_starts = "spread of ratios of paired process starts"
    one_start_of_many = "spread between process starts of one side"
    iterations = "iterations within one process start of each side"
    rounding = "rounding of what was printed"


class Noise(Protocol):
    """What a repetition of the same plan would scatter by."""

    def detectable_ratio(self, significance: float, power: float) -> float | None:
        """The ratio above 1 that a two-sided test at ``significance`` finds with ``power``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PointComparison:
    """One point of two runs.

    Attributes:
        ratio: time of the new one over that of the base; above 1 is slower. Of one start each: the median
            over all pairs of samples, which is near the ratio of the medians. Of several: of the geometric
            means of the start medians.
        low, high: interval of ratio at the confidence asked for, of this point alone; None: nothing can be
            said.
        p_value: two-sided, of no difference; None: nothing can be said about chance.
        method: what low, high and p_value rest on.
        num_base_starts, num_new_starts: process starts of each side.
        noise: for `bench.model.comparison.judgement.judge`; None with p_value.
        why_not: why p_value is None, and what to do; None where it is there.
    """

    ratio: float
    low: float | None
    high: float | None
    p_value: float | None
    method: Method
    num_base_starts: int
    num_new_starts: int
    noise: Noise | None = field(default=None, repr=False, compare=False)
    why_not: str | None = None

    @property
    def includes_starts(self) -> bool:
        """Whether the interval holds what differs from start to start: placement, ports, memory."""
        return self.method not in (Method.iterations, Method.rounding)


def compare_point(
    base: Arm, new: Arm, *, is_paired: bool = False, confidence: float = CONFIDENCE
) -> PointComparison:
    """One point of two runs.

    Over process starts where a side has several, else over iterations, else over nothing but rounding.
    Deterministic: nothing is drawn. What the methods keep of their promises: docs/measured/comparison.md.

    Args:
        is_paired: the i-th starts of both sides ran side by side (ABBA): what changes in hours cancels.

    Raises:
        ValueError: a confidence outside (0, 1), or pairs of sides with different numbers of starts.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; allowed is above 0 and below 1, such as 0.95")
    if is_paired and base.num_starts != new.num_starts:
        raise ValueError(
            f"is_paired: {base.num_starts} starts of the base and {new.num_starts} of the new side make no pairs; repeat the "
            "missing ones, or compare without pairs"
        )
    if base.num_starts == new.num_starts == 1:
        return _of_one_start(base, new, confidence)
    if is_paired:
        method = Method.paired_starts
    else:
        method = Method.one_start_of_many if 1 in (base.num_starts, new.num_starts) else Method.starts
    found = compare_starts(base, new, confidence, is_paired=is_paired)
    if found is None:
        return PointComparison(
            ratio=math.exp(float(np.log(new.values_s).mean() - np.log(base.values_s).mean())),
            low=None,
            high=None,
            p_value=None,
            method=method,
            num_base_starts=base.num_starts,
            num_new_starts=new.num_starts,
            why_not="the process starts of a side agree to the last digit, as copies of one run do; leave out copies, and say "
            "how numbers were rounded",
        )
    return PointComparison(
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        method=method,
        num_base_starts=base.num_starts,
        num_new_starts=new.num_starts,
        noise=found.noise,
    )


def _of_one_start(base: Arm, new: Arm, confidence: float) -> PointComparison:
    base_s, new_s = base.starts_s[0], new.starts_s[0]
    if min(len(base_s), len(new_s)) >= MIN_SAMPLES:
        found = compare_iterations(base_s, new_s, confidence)
        return PointComparison(
            ratio=found.ratio,
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            method=Method.iterations,
            num_base_starts=1,
            num_new_starts=1,
            noise=found.noise,
        )
    d = math.log(float(new.values_s[0]) / float(base.values_s[0]))
    is_rounded = bool(base.rounding_s or new.rounding_s)
    (base_down, base_up), (new_down, new_up) = base.rounding(), new.rounding()
    return PointComparison(
        ratio=math.exp(d),
        low=math.exp(d - new_down - base_up) if is_rounded else None,
        high=math.exp(d + new_up + base_down) if is_rounded else None,
        p_value=None,
        method=Method.rounding,
        num_base_starts=1,
        num_new_starts=1,
        why_not=_why_not(len(base_s), len(new_s)),
    )


def _why_not(num_base: int, num_new: int) -> str:
    if 1 in (num_base, num_new):
        return (
            "one number of one process start says nothing about chance; repeat the program, at least 5 times on one side, and "
            "compare folders of runs"
        )
    return (
        f"{min(num_base, num_new)} samples say too little about chance, {MIN_SAMPLES} are needed on each side; raise "
        "timing.min_iterations"
    )
