"""`RatioInterval`: how much slower one series is than another, and whether that is more than chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model.interval import CONFIDENCE, median_interval, median_interval_rank

DIFFERENT_CONFIDENCE: Final = 0.99
"""Of `is_different`. A sweep compares dozens of points with an earlier one: at 95 % one of 20 may differ
without a reason, which is some in every sweep; at 99 % most sweeps of an unchanged system show none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioInterval:
    """Median of the new durations over that of the base. None: too few samples or blocks for an interval."""

    ratio: float
    low: float | None
    high: float | None


def median_ratio(
    base_s: Sequence[float], new_s: Sequence[float], confidence: float = CONFIDENCE
) -> RatioInterval:
    """The ratio of two medians with an interval made of theirs; each series in the order of measurement.

    With m the logarithm of a median and l, u those of the ends of its interval,

        log low  = m_new - m_base - sqrt((m_new - l_new)**2 + (u_base - m_base)**2)
        log high = m_new - m_base + sqrt((u_new - m_new)**2 + (m_base - l_base)**2).

    What differs from start to start of the processes, such as placement, is not in it: for that, repeat both
    in turns and use `paired_median_ratio`.

    Shape: (num_base,), (num_new,) to one interval. Units: seconds in, a pure number out.
    Raises:
        ValueError: no samples, or one that is not positive and finite.
    Source:
        Donner and Zou 2012, Statistical Methods in Medical Research 21(4); Zou and Donner 2008, Statistics in
        Medicine 27(10), for the recovery of variances from intervals.
    """
    _require_durations("base_s", base_s)
    _require_durations("new_s", new_s)
    ratio = float(np.median(new_s)) / float(np.median(base_s))
    base, new = median_interval(base_s, confidence), median_interval(new_s, confidence)
    if base is None or new is None:
        return RatioInterval(ratio=ratio, low=None, high=None)
    down = math.hypot(math.log(new.median_s / new.low_s), math.log(base.high_s / base.median_s))
    up = math.hypot(math.log(new.high_s / new.median_s), math.log(base.median_s / base.low_s))
    return RatioInterval(ratio=ratio, low=ratio * math.exp(-down), high=ratio * math.exp(up))


def is_different(base_s: Sequence[float], new_s: Sequence[float]) -> bool:
    """Whether the 99 % interval of the ratio of medians leaves out 1; never below 8 samples, which cannot
    tell.

    Raises:
        ValueError: as `median_ratio`.
    """
    interval = median_ratio(base_s, new_s, DIFFERENT_CONFIDENCE)
    return interval.low is not None and interval.high is not None and not interval.low <= 1 <= interval.high


def paired_median_ratio(
    pairs: Sequence[tuple[float, float]], confidence: float = CONFIDENCE
) -> RatioInterval:
    """The median of new / base over blocks that ran side by side, with its order-statistic interval.

    A pair holds the median of the base and of the new samples of one block (two halves of ABBA, or one start
    of the processes), in seconds. Blocks count as independent; what is common to both halves of a block
    cancels. An interval of 95 % needs 6 blocks.

    Shape: (num_blocks, 2) to one interval.
    Raises:
        ValueError: no blocks, or a median that is not positive and finite.
    Source:
        David and Nagaraja, Order Statistics, section 7.1.
    """
    _require_durations("base of the pairs", [base_s for base_s, _ in pairs])
    _require_durations("new of the pairs", [new_s for _, new_s in pairs])
    ratios = sorted(new_s / base_s for base_s, new_s in pairs)
    rank = median_interval_rank(len(ratios), confidence)
    return RatioInterval(
        ratio=float(np.median(ratios)),
        low=ratios[rank - 1] if rank else None,
        high=ratios[-rank] if rank else None,
    )


def _require_durations(name: str, durations_s: Sequence[float]) -> None:
    if len(durations_s) == 0:
        raise ValueError(f"{name} is empty; a ratio needs durations on both sides")
    for place, duration_s in enumerate(durations_s):
        if not 0 < duration_s < math.inf:
            raise ValueError(
                f"{name}: number {place} is {duration_s}; durations are positive and finite. Reject and "
                "count such samples before comparing"
            )
