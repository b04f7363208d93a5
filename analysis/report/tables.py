"""The points of a run, one table per collective, one group of rows per series."""

from collections.abc import Callable, Sequence
from typing import Final

from analysis.report.blocks import Column, Group, Table, number
from analysis.report.points import Point
from analysis.report.setting import is_emulated, unit_of
from analysis.report.words import NOTHING, counted, percent, rate, seconds
from bench.model import units
from bench.record import RunManifest

MOST_OPEN_ROWS: Final = 200
"""Up to here all tables stand open; of more, each is folded below a line that sums it up. A printed page holds about 50."""

MOST_ROWS: Final = 600
"""Of one table: about 0.3 MB of HTML, so that twelve collectives stay within what a browser and a mail take."""


def point_tables(manifest: RunManifest, points: Sequence[Point]) -> list[Table]:
    """One table for each collective, in order of appearance."""
    is_folded = len(points) > MOST_OPEN_ROWS
    by_collective: dict[str, list[Point]] = {}
    for point in points:
        by_collective.setdefault(point.collective, []).append(point)
    return [_table(manifest, name, mine, is_folded) for name, mine in by_collective.items()]


def _table(manifest: RunManifest, collective: str, points: Sequence[Point], is_folded: bool) -> Table:
    unit, factor = unit_of(manifest)
    shown = points[:MOST_ROWS]
    columns = _columns(manifest, shown)
    series: dict[str, list[Point]] = {}
    for point in shown:
        series.setdefault(point.series, []).append(point)
    groups = []
    for name, mine in series.items():
        rows = tuple(tuple(write(point) for _, write in columns) for point in mine)
        groups.append(Group(heading=name if len(series) > 1 or name != collective else "", rows=rows))
    notes = []
    if any(point.has("emulation_bucket") for point in shown):
        notes.append(
            "Messages below 8 token buckets pass the link unshaped, so no ceiling stands beside them."
        )
    if not any(point.p99_s is not None or point.is_imported for point in shown):
        notes.append("No p99: it needs 100 samples.")
    left_out = len(points) - len(shown)
    if left_out:
        notes.append(
            f"{left_out} of {len(points)} points are left out here; summary.csv in the run folder has them all."
        )
    return Table(
        caption=f"{collective}, {counted(len(points), 'point')}",
        columns=tuple(column for column, _ in columns),
        groups=tuple(groups),
        note=" ".join(notes),
        summary=_summary(collective, points, unit, factor) if is_folded else "",
    )


def _columns(manifest: RunManifest, points: Sequence[Point]) -> list[tuple[Column, Callable[[Point], str]]]:
    """Columns with what stands in them; one that is empty at every point is left out."""
    unit, factor = unit_of(manifest)
    scale = manifest.time_scale or 1.0
    is_imported = any(point.is_imported for point in points)
    between = "prints alike from, to" if is_imported else "95 % interval"
    found: list[tuple[Column, Callable[[Point], str]]] = [
        (number("size"), _size),
        (number("time"), lambda point: seconds(point.time_s)),
        (number(between), interval),
        (number(f"busbw, {unit}"), lambda point: rate(point.busbw_gbytes_per_s, factor)),
        (number(f"ceiling, {unit}"), lambda point: rate(_ceiling(point), factor)),
        (number("efficiency"), lambda point: percent(point.efficiency)),
        (number(f"predicted, {unit}"), lambda point: _predicted(point, factor)),
        (Column(name="bound by"), _bound),
        (number("p99"), lambda point: seconds(point.p99_s)),
        (number("overlap"), lambda point: percent(point.overlap_fraction)),
        (number("samples"), lambda point: str(point.num_samples or NOTHING)),
        (Column(name="warnings"), lambda point: ", ".join(dict.fromkeys(one.name for one in point.warnings))),
    ]
    if is_emulated(manifest):
        full = (number("at full speed, GB/s"), lambda point: rate(point.busbw_gbytes_per_s, scale))
        found.insert(4, full)
        if scale == factor:  # the digits are the same
            del found[4]
            found[3] = (number(f"busbw, {unit}; at full speed, GB/s"), found[3][1])
    return [pair for pair in found if any(pair[1](point) for point in points)]


def _size(point: Point) -> str:
    times = f" ({point.repeat}.)" if point.repeat > 1 else ""
    return f"{units.format_bytes(point.message_bytes)}{times}"


def _ceiling(point: Point) -> float | None:
    return None if point.efficiency is None else point.ceiling_gbytes_per_s


def interval(point: Point) -> str:
    """``61.2 ms to 64 ms``; empty where there is none."""
    if point.low_s is None or point.high_s is None:
        return NOTHING
    if point.is_imported:  # rounding shows in the last digits that were printed
        return f"{point.low_s / 1e-6:.7g} to {point.high_s / 1e-6:.7g} us"
    low, high = units.format_seconds(point.low_s), units.format_seconds(point.high_s)
    number_, _, unit = low.rpartition(" ")
    return f"{number_} to {high}" if high.endswith(f" {unit}") else f"{low} to {high}"


def _predicted(point: Point, factor: float) -> str:
    told = rate(point.predicted_gbytes_per_s, factor)
    low, high = point.predicted_low_gbytes_per_s, point.predicted_high_gbytes_per_s
    if not told or high is None:
        return told
    return f"{told} ({rate(low or 0.0, factor)} to {rate(high, factor)})"


def _bound(point: Point) -> str:
    if point.is_wrong:
        return "wrong data"
    return point.bound_by if point.status == "complete" else point.status.replace("_", " ")


def _summary(collective: str, points: Sequence[Point], unit: str, factor: float) -> str:
    """What a folded table says: how many points, and between which bandwidths; the range, never a mean."""
    rates = [point.busbw_gbytes_per_s for point in points if point.busbw_gbytes_per_s is not None]
    told = f"{collective}: {counted(len(points), 'point')}"
    if rates:
        told += f", busbw {rate(min(rates), factor)} to {rate(max(rates), factor)} {unit}"
    bad = sum(not point.is_valid for point in points)
    return f"{told}, {bad} not valid" if bad else told
