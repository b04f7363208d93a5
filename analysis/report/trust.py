"""`trust`: what speaks for and against the numbers of a run: ranks, stalls, noise, the width of intervals, checked data."""

from collections.abc import Sequence
from typing import Final

from analysis.report.points import Point, largest_of_series
from analysis.report.words import counted, listed, upper
from bench.model import units
from bench.record import RunManifest

WIDE: Final = 0.10
"""An interval of the median wider than this share of it cannot tell 0.9 of a ceiling from 0.8, the bounds between the verdicts
on a point (`bench.model.verdict`)."""


def trust(manifest: RunManifest, points: Sequence[Point]) -> str:
    """Stragglers, stalls, noise and the width of intervals; that data were checked."""
    parts = [*_ranks(points), *_noise(points)]
    if manifest.imported is None and not any(point.is_wrong for point in points):
        with_data = [point for point in points if point.is_valid and point.message_bytes > 0]
        if with_data and all(point.num_wrong_elements == 0 for point in with_data):
            parts.append("every element of every timed call was checked and was right")
    return f"{upper('; '.join(parts))}." if parts else ""


def _ranks(points: Sequence[Point]) -> list[str]:
    found: dict[str, list[Point]] = {}
    for point in points:
        if point.finding is not None:
            found.setdefault(point.finding.split(" at ")[0], []).append(point)
    stalled = [point for point in points if point.has("stall") and point.finding is None]
    if stalled:
        found.setdefault("stalls", []).extend(stalled)
    parts = []
    for what, of in found.items():
        where = of[0].label if len(of) == 1 else f"{len(of)} of {len(points)} points"
        parts.append(f"{what} at {where}")
    return [f"standing out: {listed(parts)}"] if parts else []


def _noise(points: Sequence[Point]) -> list[str]:
    parts = []
    noisy = [point for point in points if point.has("noisy_host")]
    if noisy:
        most = max((point.steal_share or 0.0) for point in noisy)
        took = f", up to {most:.0%} of it" if most > 0 else ""
        parts.append(
            f"{len(noisy)} of {len(points)} points ran while other machines took processor time from this one{took}"
        )
    few = [point for point in points if point.has("few_samples")]
    if few:
        parts.append(f"{len(few)} of {len(points)} points have too few samples for an interval")
    wide = [
        point for point in largest_of_series([one for one in points if one.is_valid]) if width(point) > WIDE
    ]
    if wide:
        worst = max(wide, key=width)
        parts.append(
            f"at the largest messages the 95 % interval of {counted(len(wide), 'time')} is wider than {WIDE:.0%} of it "
            f"({worst.label}: {units.format_seconds(worst.low_s or 0.0)} to {units.format_seconds(worst.high_s or 0.0)})"
        )
    return parts


def width(point: Point) -> float:
    """Width of the interval of the time as a share of the time; 0 where there is none, or it is mere rounding."""
    if point.is_imported or point.low_s is None or point.high_s is None or not point.time_s:
        return 0.0
    return (point.high_s - point.low_s) / point.time_s
