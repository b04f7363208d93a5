"""`Point`: one row of a summary, typed, with the name of its series and its warnings apart."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from analysis.figures.series import series_of
from analysis.load import Run
from bench.model import units
from bench.summary import TIME_STATISTIC

OTHER: Final = "other"
"""Name of a warning that has none; a file that was written by hand may hold such."""

_WARNING: Final = re.compile(r"([a-z][a-z0-9_]*): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """One warning of one point: ``name`` of its kind, ``text`` what was found."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured point. None: not known. Names are those of summary.csv, units too."""

    series: str
    point_id: str
    repeat: int
    status: str
    collective: str
    backend: str
    dtype: str
    measure_pass: str
    group: str
    num_ranks: int | None
    message_bytes: int
    time_s: float | None
    low_s: float | None
    high_s: float | None
    p99_s: float | None
    num_samples: int
    stop_reason: str | None
    first_call_s: float | None
    statistic: str
    bus_factor: float | None
    busbw_gbytes_per_s: float | None
    ceiling_gbytes_per_s: float | None
    predicted_gbytes_per_s: float | None
    predicted_low_gbytes_per_s: float | None
    predicted_high_gbytes_per_s: float | None
    efficiency: float | None
    bound_by: str
    num_wrong_elements: int | None
    finding: str | None
    overlap_fraction: float | None
    warnings: tuple[Warned, ...]
    steal_share: float | None

    @property
    def is_wrong(self) -> bool:
        return bool(self.num_wrong_elements)

    @property
    def is_valid(self) -> bool:
        """Whether there is a time, and nothing speaks against what was sent."""
        return self.time_s is not None and self.status == "complete" and not self.is_wrong

    @property
    def is_imported(self) -> bool:
        return self.statistic != TIME_STATISTIC

    @property
    def label(self) -> str:
        """``all_reduce of 2 MiB``."""
        times = f", measurement {self.repeat}" if self.repeat > 1 else ""
        return f"{self.series} of {units.format_bytes(self.message_bytes)}{times}"

    def has(self, warning: str) -> bool:
        return any(one.name == warning for one in self.warnings)


def points_of(run: Run) -> list[Point]:
    """Every point of a run, series by series in order of appearance, smallest message first."""
    steal = {(one.point_id, one.attempt, one.repeat): one.steal_share for one in run.records}
    summary = run.summary.reset_index(drop=True)
    rows = summary.to_dict("records")
    found = []
    for series in series_of(summary.assign(is_there=1.0), value="is_there"):
        for place in series.points.index:
            row = rows[place]
            key = (str(row["point_id"]), int(row["attempt"]), int(row["repeat"]))
            found.append(_point(series.name, row, steal.get(key)))
    return found


def without_path(run: Run, text: str) -> str:
    """A sentence about files of a run without the place where the folder lies on somebody's machine."""
    return text.replace(f"{run.path}/", "")


def largest_of_series(points: list[Point]) -> list[Point]:
    """Of each series the point with the largest message; of several measurements of it the first."""
    largest: dict[str, Point] = {}
    for point in points:
        known = largest.get(point.series)
        if known is None or point.message_bytes > known.message_bytes:
            largest[point.series] = point
    return list(largest.values())


def _point(series: str, row: Mapping[Any, Any], steal_share: float | None) -> Point:
    return Point(
        series=series,
        point_id=str(row["point_id"]),
        repeat=int(row["repeat"]),
        status=str(row["status"]),
        collective=str(row["collective"]),
        backend=str(row["backend"]),
        dtype=str(row["dtype"]),
        measure_pass=str(row["pass"]),
        group=str(row["group"]),
        num_ranks=_whole(row["num_ranks"]),
        message_bytes=int(row["message_bytes"]),
        time_s=_number(row["time_s"]),
        low_s=_first(row["time_low_s"], row["time_rounding_low_s"]),
        high_s=_first(row["time_high_s"], row["time_rounding_high_s"]),
        p99_s=_number(row["time_p99_s"]),
        num_samples=int(row["num_samples"]),
        stop_reason=_text(row["stop_reason"]),
        first_call_s=_number(row["first_call_s"]),
        statistic=str(row["time_statistic"]),
        bus_factor=_number(row["bus_factor"]),
        busbw_gbytes_per_s=_number(row["busbw_gbytes_per_s"]),
        ceiling_gbytes_per_s=_number(row["ceiling_busbw_gbytes_per_s"]),
        predicted_gbytes_per_s=_number(row["predicted_busbw_gbytes_per_s"]),
        predicted_low_gbytes_per_s=_number(row["predicted_low_busbw_gbytes_per_s"]),
        predicted_high_gbytes_per_s=_number(row["predicted_high_busbw_gbytes_per_s"]),
        efficiency=_number(row["efficiency"]),
        bound_by=str(row["bound_by"]),
        num_wrong_elements=_whole(row["num_wrong_elements"]),
        finding=_text(row["finding"]),
        overlap_fraction=_number(row["overlap_fraction"]),
        warnings=_warnings(_text(row["warnings"])),
        steal_share=steal_share,
    )


def _warnings(cell: str | None) -> tuple[Warned, ...]:
    """The cell holds sentences apart by ``; ``, each with a name and a colon in front (`bench.summary`)."""
    found = []
    for sentence in (cell or "").split("; "):
        match = _WARNING.fullmatch(sentence.strip())
        if match:
            found.append(Warned(name=match[1], text=match[2]))
        elif sentence.strip():
            found.append(Warned(name=OTHER, text=sentence.strip()))
    return tuple(found)


def _number(cell: Any) -> float | None:
    return None if cell is None or pd.isna(cell) else float(cell)


def _first(*cells: Any) -> float | None:
    return next((value for cell in cells if (value := _number(cell)) is not None), None)


def _whole(cell: Any) -> int | None:
    value = _number(cell)
    return None if value is None else int(value)


def _text(cell: Any) -> str | None:
    return None if cell is None or pd.isna(cell) or cell == "" else str(cell)
