"""`fit_curve`: a `Curve` through measured sizes; sizes held out decide how many lines it has."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.model.fit.curve import Curve, Segment
from bench.model.fit.line import MIN_POINTS, REPEATABILITY, TOLERANCE, Line, fit_constant, fit_line

MOST_SEGMENTS: Final = 3
"""NCCL has three protocols (LL, LL128, Simple); three lines describe 110 published sweeps to 2.4 % in the median, one line
to 15.8 % (derived from published nccl-tests logs, so grade D)."""

POINTS_PER_SEGMENT: Final = 3
"""A line through two points fits whatever they are; the third tests it."""

MIN_POINTS_EXPONENT: Final = 8
"""The exponent is a third number for one knee; it is fitted to no fewer sizes."""

EXPONENTS: Final = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""At the knee T is 2**(1/p) times either term: 1.59, 1.41, 1.26, 1.19, 1.12, 1.09, 1.06 and 1.04. Finer steps, or a larger p,
differ by less than a system repeats itself. (1 is the line itself. A published job of 1024 ranks had 3 to 6: grade D.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One measured size. ``relative_sd``: standard deviation of the time as a share of it; None where unknown."""

    message_bytes: int
    time_s: float
    relative_sd: float | None


@dataclass(frozen=True, slots=True)
class _Form:
    """What a part may look like: how many lines, and which exponents they may have; none: a constant."""

    num_lines: int
    exponents: tuple[float, ...]

    @property
    def least_points(self) -> int:
        if len(self.exponents) > 1:
            return MIN_POINTS_EXPONENT
        is_line = self.num_lines == 1 and bool(self.exponents)
        return MIN_POINTS if is_line else POINTS_PER_SEGMENT * self.num_lines


_LINE: Final = _Form(1, (1.0,))
_FORMS: Final = (
    _Form(1, ()),
    _LINE,
    _Form(1, EXPONENTS),
    *(_Form(count, (1.0,)) for count in range(2, MOST_SEGMENTS + 1)),
)
"""By how many numbers they fit."""

_Part = tuple[tuple[int, float, float], ...]
"""Neighbouring points as (message_bytes, time_s, relative_sd)."""

Table = NDArray[np.float64]


def fit_curve(
    points: Sequence[CurvePoint], *, breaks_bytes: Sequence[float] = (), unshaped_bytes: float = 0.0
) -> Curve:
    """The curve through points, in parts between known breaks.

    Within a part it is a constant, one line, one power sum from `MIN_POINTS_EXPONENT` sizes on, or up to `MOST_SEGMENTS`
    lines of at least `POINTS_PER_SEGMENT` sizes each, whose breaks are where the squares of the residuals are least. Which
    of these: each size is left out in turn, everything is fitted to the others, and the mean of |log(measured / predicted)|
    over sizes decides, the simplest form within one standard error of the best. A part of one size joins its neighbour.

    Args:
        breaks_bytes: sizes up to which one protocol, and above which another is known to be used.
        unshaped_bytes: see `Curve`; also such a break, where it is above 0.
    Raises:
        ValueError: fewer than two sizes, one twice, or a time that is not positive and finite.
    Source:
        Rule of one standard error: Breiman, Friedman, Olshen and Stone 1984, section 3.4.3; Hastie, Tibshirani and Friedman,
        The Elements of Statistical Learning, section 7.10.
    """
    ordered = _complete(points)
    ends = sorted({*breaks_bytes, unshaped_bytes})
    segments: list[Segment] = []
    for part in _parts(ordered, ends):
        head_start_bytes = unshaped_bytes if part[0][0] > unshaped_bytes else 0.0
        form = _chosen_form(part, head_start_bytes)
        segments += _segments(part, form, POINTS_PER_SEGMENT, head_start_bytes)
    closed = [
        segment if following is None else replace(segment, to_bytes=_break_bytes(segment, following, ends))
        for segment, following in itertools.zip_longest(segments, segments[1:])
    ]
    return Curve(
        segments=tuple(closed),
        unshaped_bytes=unshaped_bytes,
        plateau_ratio=_plateau_ratio(ordered, unshaped_bytes),
    )


def held_out_times_s(
    points: Sequence[CurvePoint], *, breaks_bytes: Sequence[float] = (), unshaped_bytes: float = 0.0
) -> tuple[float | None, ...]:
    """What the curve through all other sizes says at each size; its form, too, is chosen without that size.

    The smallest and the largest size are extrapolated to, saturated or not. None where the others cannot say: fewer than
    two, or none that passes the token bucket.

    Shape: (num_points,), in the order of ``points``; in seconds.
    """
    found: list[float | None] = []
    for place, point in enumerate(points):
        rest = [*points[:place], *points[place + 1 :]]
        if len(rest) < MIN_POINTS:
            found.append(None)
            continue
        curve = fit_curve(rest, breaks_bytes=breaks_bytes, unshaped_bytes=unshaped_bytes)
        is_said = not curve.is_without_unshaped(point.message_bytes)
        found.append(curve.segment(point.message_bytes).line.time_s(point.message_bytes) if is_said else None)
    return tuple(found)


def _complete(points: Sequence[CurvePoint]) -> _Part:
    """In the order of sizes; an unknown deviation is taken to be as large as any that is known."""
    ordered = sorted(points, key=lambda point: point.message_bytes)
    for first, second in itertools.pairwise(ordered):
        if first.message_bytes == second.message_bytes:
            raise ValueError(
                f"{first.message_bytes} bytes are there twice; a curve has one time for each size"
            )
    largest = max((point.relative_sd for point in ordered if point.relative_sd is not None), default=0.0)
    return tuple(
        (p.message_bytes, p.time_s, largest if p.relative_sd is None else p.relative_sd) for p in ordered
    )


def _parts(points: _Part, ends: Sequence[float]) -> list[_Part]:
    """Points between breaks; a single one joins those after it, the last one those before."""
    parts = [
        tuple(part) for _, part in itertools.groupby(points, lambda point: sum(point[0] > e for e in ends))
    ]
    while (
        len(parts) > 1
        and (lone := next((i for i, part in enumerate(parts) if len(part) == 1), None)) is not None
    ):
        first = min(lone, len(parts) - 2)
        parts[first : first + 2] = [parts[first] + parts[first + 1]]
    return parts


def _chosen_form(part: _Part, head_start_bytes: float) -> _Form:
    """The simplest form whose error over held-out sizes is within one standard error of the least."""
    n = len(part)
    possible = [form for form in _FORMS if form.least_points <= n]
    if len(possible) < 2:
        return _LINE
    errors = [_held_out_errors(part, form, head_start_bytes) for form in possible]
    means = [sum(of_form) / n for of_form in errors]
    best = min(range(len(possible)), key=means.__getitem__)
    square = sum((error - means[best]) ** 2 for error in errors[best])
    # Errors below the tolerance of the fit are the same.
    most = means[best] + max(TOLERANCE, math.sqrt(square / (n - 1) / n))
    return next(form for form, mean in zip(possible, means, strict=True) if mean <= most)


def _held_out_errors(part: _Part, form: _Form, head_start_bytes: float) -> list[float]:
    """|log(predicted / measured)| of each size by the form fitted to the others; the exponent is that of all of them."""
    if len(form.exponents) > 1:
        form = _Form(1, (_line(part, form.exponents, head_start_bytes).exponent,))
    found = []
    for place, (size, time_s, _) in enumerate(part):
        rest = part[:place] + part[place + 1 :]
        segments = _segments(rest, form, POINTS_PER_SEGMENT - 1, head_start_bytes)
        line = next(
            (s.line for s, after in itertools.pairwise(segments) if size <= _break_bytes(s, after, ())),
            segments[-1].line,
        )
        found.append(abs(math.log(line.time_s(size) / time_s)))
    return found


def _segments(part: _Part, form: _Form, fewest: int, head_start_bytes: float) -> list[Segment]:
    """The part in ``form.num_lines`` runs of ``fewest`` points at least; the ends are left open."""
    starts = [0]
    if form.num_lines > 1:
        starts = _run_starts(part, form.num_lines, fewest, head_start_bytes)
    found = []
    for start, stop in itertools.pairwise([*starts, len(part)]):
        run = part[start:stop]
        line = _line(run, form.exponents, head_start_bytes)
        found.append(Segment(line=line, first_bytes=run[0][0], last_bytes=run[-1][0], to_bytes=None))
    return found


def _run_starts(part: _Part, count: int, fewest: int, head_start_bytes: float) -> list[int]:
    """Where each of ``count`` runs begins, so that the squares of their relative residuals have the least sum.

    By dynamic programming over the table of all runs: the best division of points up to j into k runs is the best one up
    to some i into k - 1, and the run after it.
    """
    squares = _squares_of_runs(part, head_start_bytes)
    n = len(part)
    start, stop = np.indices((n, n))
    squares[stop - start + 1 < fewest] = np.inf
    least, choices = squares[0], []
    for _ in range(count - 1):
        before = np.concatenate([[np.inf], least[:-1]])  # of the points in front of each start
        total = before[:, None] + squares
        choices.append(total.argmin(axis=0))
        least = total.min(axis=0)
    starts, last = [], n - 1
    for choice in reversed(choices):
        first = int(choice[last])
        starts.append(first)
        last = first - 1
    return [0, *reversed(starts)]


def _squares_of_runs(part: _Part, head_start_bytes: float) -> Table:
    """Weighted sum of squared relative residuals of the best line through the points i to j, for all i <= j at once.

    Weights as in `fit_line`, residuals over the measured time instead of logarithms, so that each sum has a closed form.

    Shape: (num_points, num_points), [i, j]; infinite below the diagonal.
    """
    sizes, times, sds = np.array(part, dtype=np.float64).T
    weights = 1 / ((sds**2 + REPEATABILITY**2) * times**2)
    x, y = (sizes - head_start_bytes) / sizes.mean(), times
    from_start = np.triu(np.ones((len(part), len(part))))
    s, sx, sxx, sy, sxy, syy = (
        np.cumsum(from_start * (weights * each), axis=1) for each in (x**0, x, x * x, y, x * y, y * y)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = s * sxx - sx * sx
        u, v = (sxx * sy - sx * sxy) / determinant, (s * sxy - sx * sy) / determinant
        free = syy - u * sy - v * sxy
        flat, steep = syy - sy * sy / s, syy - sxy * sxy / sxx
    is_free = (determinant > 0) & (u >= 0) & (v >= 0)
    return np.where(from_start > 0, np.where(is_free, free, np.minimum(flat, steep)), np.inf)


@functools.lru_cache(maxsize=2**14)
def _line(run: _Part, exponents: tuple[float, ...], head_start_bytes: float) -> Line:
    """The line of the best exponent, or the constant."""
    sizes, times_s, sds = zip(*run, strict=True)

    def square(line: Line) -> float:
        return sum(
            math.log(time_s / line.time_s(size)) ** 2 / (sd * sd + REPEATABILITY**2)
            for size, time_s, sd in run
        )

    if not exponents:
        return fit_constant(sizes, times_s, sds)
    lines = [fit_line(sizes, times_s, sds, p, head_start_bytes if p == 1 else 0.0) for p in exponents]
    return lines[0] if len(lines) == 1 else min(lines, key=square)


def _break_bytes(segment: Segment, after: Segment, ends: Sequence[float]) -> float:
    """Where one segment ends: at a known break, where the lines cross, or halfway (in the logarithm) between their sizes."""
    low, high = segment.last_bytes, after.first_bytes
    known = [end for end in ends if low <= end < high]
    if known:
        return known[0]
    middle = math.sqrt(low * high)
    gains = [segment.line.time_s(size) - after.line.time_s(size) for size in (low, high)]
    if gains[0] * gains[1] >= 0:
        return middle
    if segment.line.exponent == after.line.exponent == 1:
        return low + (high - low) * gains[0] / (gains[0] - gains[1])
    return middle


def _plateau_ratio(points: _Part, unshaped_bytes: float) -> float | None:
    if len(points) < 2:
        return None
    (size, time_s, _), (last_bytes, last_s, _) = points[-2:]
    if size <= unshaped_bytes or last_s <= time_s:
        return None
    return (last_bytes - size) / (last_s - time_s) / (last_bytes / last_s)
