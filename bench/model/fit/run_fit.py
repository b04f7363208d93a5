"""`fit_points`: from the measured points of a run to one `SeriesFit` per series, and to those that cannot be fitted."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.model.fit.series_fit import MIN_SIZES, MeasuredSize, Series, SeriesFit, fit_series

LEAST_S: Final = 1e-12
"""In a picosecond light goes 0.3 mm: no call is as short, and a number as small in a file is a mistake."""
MOST_S: Final = 1e9
"""30 years."""
MOST_BYTES: Final = 2**63
"""What the sizes of every library end at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitPoint:
    """One measurement of one size, whoever made it.

    Attributes:
        algorithm: as recorded: where the library says that it took another one, a new line may begin.
        repeat: which of several measurements of the same size; of several attempts at one, the last counts.
        measured: None where ``unusable`` says why.
    """

    series: Series
    algorithm: str
    repeat: int
    bus_factor: float | None
    measured: MeasuredSize | None
    unusable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A series that is not fitted: how many usable sizes it has, and why they are not enough."""

    series: Series
    num_sizes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFit:
    """All series of one run, in order of appearance."""

    fits: tuple[SeriesFit, ...]
    left_out: tuple[LeftOut, ...]


def fit_points(points: Iterable[FitPoint], *, has_bucket: bool = False, are_held_out: bool = True) -> RunFit:
    """Fit every series that has `MIN_SIZES` usable sizes.

    A size that was measured several times has the median of these times, and an interval that holds theirs.

    Args:
        has_bucket: whether the links are emulated.
        are_held_out: whether to fit again without each size, which takes most of the time.
    """
    by_series: dict[Series, list[FitPoint]] = {}
    for point in points:
        by_series.setdefault(point.series, []).append(point)
    fits, left_out = [], []
    for series, found in by_series.items():
        by_size: dict[int, dict[int, FitPoint]] = {}
        for point in found:
            if point.measured is not None:
                by_size.setdefault(point.measured.message_bytes, {})[point.repeat] = point
        if len(by_size) < MIN_SIZES:
            reason = _too_few(len(by_size), found)
            left_out.append(LeftOut(series=series, num_sizes=len(by_size), reason=reason))
            continue
        ordered = [list(by_size[size].values()) for size in sorted(by_size)]
        fits.append(
            fit_series(
                series,
                [_combined([each.measured for each in same if each.measured]) for same in ordered],
                breaks_bytes=_breaks([same[-1] for same in ordered]),
                has_bucket=has_bucket,
                bus_factor=next(
                    (point.bus_factor for same in ordered for point in same if point.bus_factor), None
                ),
                is_held_out=are_held_out,
            )
        )
    return RunFit(fits=tuple(fits), left_out=tuple(left_out))


def why_unusable(
    *,
    status: str,
    time_s: float | None,
    message_bytes: float,
    measure_pass: str,
    num_wrong_elements: float | None,
    num_bad: int | None = None,
) -> str | None:
    """Why a point takes no part in a fit; None where it does. Its data are right, it has an end, and it moved something."""
    if message_bytes <= 0:
        return "no message"
    if measure_pass == "overlap":
        return "shares its time with a computation"
    if num_wrong_elements:
        return "wrong data"
    if num_bad:
        return "samples that are no times"
    if status != "complete":
        return f"status {status}"
    if time_s is None or not LEAST_S <= time_s <= MOST_S:
        return "no time of a call"
    if message_bytes > MOST_BYTES:
        return "no size of a message"
    return None


def _too_few(num_sizes: int, found: Sequence[FitPoint]) -> str:
    counted = Counter(point.unusable for point in found if point.unusable)
    without = ", ".join(f"{count} x {reason}" for reason, count in counted.items())
    text = f"{num_sizes} size{'' if num_sizes == 1 else 's'} of the {MIN_SIZES} that a fit needs"
    return f"{text} ({without})" if without else text


def _combined(same: Sequence[MeasuredSize]) -> MeasuredSize:
    """Several measurements of one size as one."""
    if len(same) == 1:
        return same[0]
    lows = [size.low_s for size in same if size.low_s is not None]
    highs = [size.high_s for size in same if size.high_s is not None]
    is_known = len(lows) == len(highs) == len(same)
    return MeasuredSize(
        message_bytes=same[-1].message_bytes,
        measured_s=median(size.measured_s for size in same),
        low_s=min(lows) if is_known else None,
        high_s=max(highs) if is_known else None,
        predicted_s=same[-1].predicted_s,
        ceiling_s=same[-1].ceiling_s,
        rounding_s=max(size.rounding_s for size in same),
    )


def _breaks(ordered: Sequence[FitPoint]) -> list[float]:
    """Between sizes for which the library's log names different algorithms or protocols: halfway, in the logarithm."""
    found = []
    for first, second in itertools.pairwise(ordered):
        if first.algorithm != second.algorithm and first.measured and second.measured:
            found.append(math.sqrt(first.measured.message_bytes * second.measured.message_bytes))
    return found
