"""Several runs on one page: an overview, the same points side by side, and two of them compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.figures.drawn import Drawn
from analysis.figures.series import series_of
from analysis.load import Run
from analysis.report.blocks import Column, Group, Picture, Table, number, table
from analysis.report.pictures import picture
from analysis.report.points import Point
from analysis.report.setting import path_of
from analysis.report.words import NOTHING, percent, seconds
from analysis.report.words import rate as rate_text
from bench.model import units

MOST_ROWS: Final = 600
"""Of the comparison; `linerate compare --out FILE.csv` has every row."""

VERDICTS: Final = {
    "slower": "slower",
    "faster": "faster",
    "no_difference_found": "no difference found",
    "cannot_tell": "cannot tell",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs. ``why_not``: they measured different things; then there is nothing else."""

    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    table: Table | None = None
    picture: Picture | None = None
    why_not: str = ""


def overview(runs: Sequence[Run], points: Sequence[Sequence[Point]]) -> Table:
    """One row per run; what it was, and how far it came. No number stands for a run as a whole."""
    columns = (
        *("run", "started", "path", "ranks and hosts", "library"),
        *(number("valid points"), number("warned points"), "state"),
    )
    rows = []
    for run, mine in zip(runs, points, strict=True):
        manifest = run.manifest
        valid = sum(point.is_valid for point in mine)
        warned = sum(bool(point.warnings) for point in mine)
        state = "partial" if run.is_partial else manifest.status
        if any(point.is_wrong for point in mine):
            state = f"wrong data, {state}"
        cells = [
            manifest.run_id,
            manifest.started_utc,
            path_of(manifest),
            manifest.ranks_on_hosts,
            manifest.backend,
        ]
        rows.append([*cells, f"{valid} of {manifest.num_points_planned}", str(warned), state])
    return table("The runs of this page", columns, rows)


def side_by_side(runs: Sequence[Run], points: Sequence[Sequence[Point]]) -> Table | None:
    """Series that two runs or more have, at the largest message that all of these have. None without any."""
    by_run = [
        {(point.series, point.message_bytes): point for point in reversed(mine) if point.is_valid}
        for mine in points
    ]
    names = list(dict.fromkeys(point.series for mine in points for point in mine))
    rows = []
    for name in names:
        having = [{size for series, size in mine if series == name and size > 0} for mine in by_run]
        present = [sizes for sizes in having if sizes]
        common = set.intersection(*present) if len(present) > 1 else set()
        if not common:
            continue
        size = max(common)
        cells = [name, units.format_bytes(size)]
        for mine in by_run:
            point = mine.get((name, size))
            share = percent(point.efficiency) if point else NOTHING
            told = _rate(point)
            cells.append(f"{told} ({share})" if share else told)
        rows.append(cells)
    if not rows:
        return None
    columns: list[str | Column] = ["series", number("size"), *(number(run.manifest.run_id) for run in runs)]
    note = "busbw of each run at the largest message that the runs with this series share; in brackets of its own ceiling."
    return table("Side by side at the largest common message", columns, rows, note)


def _rate(point: Point | None) -> str:
    if point is None or point.busbw_gbytes_per_s is None:
        return NOTHING
    is_slow = point.busbw_gbytes_per_s < 1
    return f"{rate_text(point.busbw_gbytes_per_s, 1e3 if is_slow else 1.0)} {'MB/s' if is_slow else 'GB/s'}"


def compared(base: Run, new: Run) -> Comparison:
    """BASE against NEW, as `linerate compare` does it; refused for the same reasons."""
    from analysis.compare import compare_runs
    from analysis.compare_view import sentences

    try:
        found = compare_runs([base], [new])
    except ValueError as error:
        told = "The two runs measured different things and are not compared; the keys stand below."
        reason = f"{' '.join(str(error).split())} (an option of `linerate compare`)."
        return Comparison(sentences=(told,), why_not=reason)
    frame = found.frame
    notes = [f"What else differs, BASE | NEW: {'; '.join(map(str, found.changed))}."] if found.changed else []
    for side, labels in (("BASE", found.only_base), ("NEW", found.only_new)):
        if labels:
            notes.append(f"Only in {side}, so not compared: {', '.join(labels[:24])}{_more(labels, 24)}.")
    if len(frame) > MOST_ROWS:
        notes.append(f"{len(frame) - MOST_ROWS} more rows: linerate compare --out FILE.csv.")

    def draw() -> Drawn:
        from analysis.figures import comparison

        return comparison.draw(frame, title=f"{new.manifest.run_id} against {base.manifest.run_id}")

    both = f"BASE is run {base.manifest.run_id}, NEW is run {new.manifest.run_id}."
    return Comparison(
        sentences=(both, *sentences(found)),
        notes=tuple(notes),
        table=_ratios(frame.head(MOST_ROWS)),
        picture=picture("NEW against BASE", draw, "compare"),
    )


def _ratios(frame: pd.DataFrame) -> Table:
    """Every point that both sides have, series by series."""
    groups = []
    for series in series_of(frame.assign(is_there=1.0), value="is_there"):
        rows = []
        for row in series.points.to_dict("records"):
            least = float(row["min_detectable_ratio"])
            rows.append(
                (
                    units.format_bytes(int(row["message_bytes"])),
                    seconds(float(row["base_time_s"])),
                    seconds(float(row["new_time_s"])),
                    f"{float(row['ratio']):.3f}",
                    _between(float(row["ratio_low"]), float(row["ratio_high"])),
                    NOTHING if math.isnan(least) else f"{least:.3f}",
                    VERDICTS.get(str(row["verdict"]), str(row["verdict"])),
                )
            )
        groups.append(Group(heading=series.name, rows=tuple(rows)))
    numbers = ("size", "BASE", "NEW", "NEW / BASE", "95 % interval", "would be found from")
    return Table(
        caption="Time of NEW over time of BASE, point by point; above 1 is slower",
        columns=(*map(number, numbers), Column(name="verdict")),
        groups=tuple(groups),
    )


def _between(low: float, high: float) -> str:
    return NOTHING if math.isnan(low) or math.isnan(high) else f"{low:.3f} to {high:.3f}"


def _more(labels: Sequence[str], most: int) -> str:
    return f" and {len(labels) - most} more" if len(labels) > most else ""
