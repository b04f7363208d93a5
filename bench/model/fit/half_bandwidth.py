"""`size_at_share`: the message size at which a share of the plateau's bandwidth is reached, with its interval."""

import itertools
import math
from typing import Final

from bench.model.fit.curve import Curve
from bench.model.fit.curve_fit import EXPONENTS
from bench.model.fit.line import Estimate, Line
from bench.model.fit.ratio import ratio_interval

HALF: Final = 0.5
"""Hockney's n_1/2: below it the latency counts for more than the bandwidth, above it for less."""
MOST: Final = 0.9
"""What users ask for beside it: how large must messages be to get nearly all of the bandwidth."""


def size_at_share(curve: Curve, share: float) -> Estimate | None:
    """The smallest size whose S/T is ``share`` of the plateau, 1 / ``s_per_byte`` of the last segment; in bytes.

    The interval holds all sizes of which the fit cannot say whether they reach it: from the first that may, to the first
    that surely does. Between two segments it is not known where one ends, so either may hold there. ``low`` 0: all measured
    sizes may reach it, and the value is the smallest of them, an upper bound. ``high`` None: no size surely does. Both None:
    too few sizes for an interval.

    None where the last segment has no slope. Whether there is a plateau in the data is not asked here: see
    `plateau_size`.

    Source:
        On one line with p = 1 the value is latency / s_per_byte x share / (1 - share); for one half this is n_1/2 of Hockney
        1994, Parallel Computing 20(3). Intervals: `bench.model.fit.ratio`.
    """
    value = curve.size_at_share_bytes(share)
    if value is None:
        return None
    last = curve.segments[-1].line
    if any(segment.line.variances is None for segment in curve.segments):
        return Estimate(value=value, low=None, high=None)
    ends = [_ends(segment.line, last, share) for segment in curve.segments]
    low = min(value, _first(curve, [low for low, _ in ends], is_sure=False))
    high = max(value, _first(curve, [math.inf if high is None else high for _, high in ends], is_sure=True))
    return Estimate(
        value=value,
        low=0.0 if low <= curve.first_bytes else low,
        high=None if high == math.inf else high,
    )


def plateau_size(curve: Curve, share: float) -> Estimate | None:
    """`size_at_share`, where the plateau is in the data; None elsewhere: it would be a share of nobody knows what."""
    return size_at_share(curve, share) if curve.is_saturated else None


def _ends(line: Line, last: Line, share: float) -> tuple[float, float | None]:
    """From which size on a message on ``line`` may, and surely does, reach the share of the bandwidth of ``last``.

    In the terms of the line T**p = u + x v, and the share is reached where T <= S s_per_byte / share, so where u <= x c with
    c = w - v, w = (s_per_byte x reference_bytes / reference_s / share)**p. On the last line itself c = v (share**-p - 1).
    Terms of different lines come from different points, so their variances add.
    """
    assert line.variances is not None and last.variances is not None
    p = line.exponent
    u, v = line.terms()
    var_u, var_v, covariance = line.variances
    if line is last:
        factor = share**-p - 1
        c, quantile = v * factor, line.quantile()
        variances = (var_u, var_v * factor * factor, covariance * factor)
    else:
        w = (last.s_per_byte * line.reference_bytes / line.reference_s / share) ** p
        _, of_last = last.terms()
        relative = p / last.exponent / of_last
        c, quantile = w - v, max(line.quantile(), last.quantile())
        variances = (var_u, var_v + (w * relative) ** 2 * last.variances[1], -covariance)
    low, high = ratio_interval(u, c, variances, quantile)
    if c < 0 and high is not None:
        return math.inf, None  # the line is slower than that, however large the message

    doubt = _doubt_of_exponent(p, share) if line is last else (1.0, 1.0)

    def size(ratio: float) -> float:
        return line.reference_bytes * float(max(0.0, ratio) ** (1 / p))

    return size(low) * doubt[0], None if high is None else size(high) * doubt[1]


def _doubt_of_exponent(exponent: float, share: float) -> tuple[float, float]:
    """By which factors the size would be another if the exponent were the next smaller or larger one that is tried.

    The exponent is found from the same points, to no better than such a step; ``variances`` take it as known.
    """
    if exponent == 1:
        return 1.0, 1.0
    tried = (1.0, *EXPONENTS)
    place = tried.index(exponent) if exponent in tried else len(tried) - 1
    sizes = [(share**-p - 1) ** (-1 / p) for p in tried[max(0, place - 1) : place + 2]]
    own = (share**-exponent - 1) ** (-1 / exponent)
    return min(sizes) / own, max(sizes) / own


def _first(curve: Curve, from_bytes: list[float], *, is_sure: bool) -> float:
    """The smallest size that is at or beyond ``from_bytes`` of a segment and on it; infinite where there is none.

    ``is_sure``: a segment ends at its largest size and the next begins at its smallest; else each reaches to the other.
    """
    segments = curve.segments
    start = float(curve.first_bytes) if is_sure else 0.0
    for (segment, least), after in itertools.zip_longest(
        zip(segments, from_bytes, strict=True), segments[1:]
    ):
        stop, following = math.inf, math.inf
        if after is not None:
            is_bucket = curve.is_unshaped(segment) and not curve.is_unshaped(after)
            if is_bucket and segment.to_bytes is not None:
                stop = following = segment.to_bytes
            elif is_sure:
                stop, following = segment.last_bytes, after.first_bytes
            else:
                stop, following = after.first_bytes, segment.last_bytes
        if max(start, least) <= stop:
            return max(start, least)
        start = following
    return math.inf
