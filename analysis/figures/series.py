"""`Series`: the points of a summary that differ in size alone, with a name of their own; numbers out of its columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from analysis.figures import words
from analysis.figures.style import Floats
from bench.summary import series_name

_KEYS: Final = (
    "collective",
    "algorithm",
    "placement",
    "pass",
    "group",
    "backend",
    "dtype",
    "reduce_op",
    "num_ranks",
    "num_hosts",
)

_NAMED_LATER: Final = ("backend", "dtype", "reduce_op", "num_ranks", "num_hosts")
"""Enter the name only where it would be that of another series otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """``points``: rows of the summary, smallest message first; a size that was measured several times has several."""

    name: str
    collective: str
    points: pd.DataFrame

    @property
    def sizes_bytes(self) -> Floats:
        """Shape: (num_points,)."""
        return numbers(self.points, "message_bytes")


def series_of(summary: pd.DataFrame, *, value: str = "busbw_gbytes_per_s") -> list[Series]:
    """In order of appearance, those of the points that have ``value`` as a positive number."""
    if value not in summary.columns:
        return []
    valid = summary[np.nan_to_num(numbers(summary, value)) > 0]
    keys = [key for key in _KEYS if key in valid.columns]
    found = []
    for values, points in valid.groupby(keys, sort=False, dropna=False):
        known = dict(zip(keys, values, strict=True))
        found.append((_name(known), known, points.sort_values("message_bytes", kind="stable")))
    named: list[Series] = []
    for name, known, points in found:
        alike = [other for other_name, other, _ in found if other_name == name]
        extras = [
            _extra(key, known[key])
            for key in _NAMED_LATER
            if key in known and len({str(other[key]) for other in alike}) > 1
        ]
        full = f"{name} [{', '.join(extras)}]" if extras else name
        named.append(
            Series(name=words.shown(full), collective=words.shown(known["collective"]), points=points)
        )
    return named


def numbers(frame: pd.DataFrame, column: str) -> Floats:
    """A column as numbers, NaN where it has none, is infinite, or is not there at all. Shape: (num_rows,)."""
    if column not in frame.columns:
        return np.full(len(frame), np.nan)
    found = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan).copy()
    found[~np.isfinite(found)] = np.nan
    return found


def time_interval_s(points: pd.DataFrame) -> tuple[Floats, Floats]:
    """Low and high of the time: the 95 % interval of the median, or of an imported point the times that print alike."""
    ends = []
    for end in ("low", "high"):
        median, rounding = numbers(points, f"time_{end}_s"), numbers(points, f"time_rounding_{end}_s")
        found = np.where(np.isnan(median), rounding, median)
        ends.append(np.where(found > 0, found, np.nan))
    return ends[0], ends[1]


def busbw_interval(points: pd.DataFrame) -> tuple[Floats, Floats]:
    """The interval of the time as busbw in GB/s: the long time is the low rate. busbw itself where there is none."""
    busbw, time_s = numbers(points, "busbw_gbytes_per_s"), numbers(points, "time_s")
    short_s, long_s = time_interval_s(points)
    low: Floats = np.fmin(busbw * time_s / long_s, busbw)
    high: Floats = np.fmax(busbw * time_s / short_s, busbw)
    return low, high


def by_size(sizes_bytes: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Sizes that occur, and the median of the values of each: one line through points that were measured several times."""
    is_known = np.isfinite(values)
    medians = pd.Series(values[is_known]).groupby(sizes_bytes[is_known]).median()
    return np.asarray(medians.index, dtype=np.float64), np.asarray(medians, dtype=np.float64)


def spread(series: Sequence[Series], most: int) -> list[Series]:
    """At most ``most`` of them, in their order: the first of every collective before the second of any."""
    seen: dict[str, int] = {}
    turns = []
    for place, one in enumerate(series):
        seen[one.collective] = seen.get(one.collective, 0) + 1
        turns.append((seen[one.collective], place))
    return [series[place] for place in sorted(place for _, place in sorted(turns)[:most])]


def panels_of(series: Sequence[Series], most: int) -> list[list[Series]]:
    """As few parts as hold ``most`` each, and as even as can be; order is kept."""
    parts = np.array_split(np.arange(len(series)), -(-len(series) // most))
    return [[series[place] for place in part] for part in parts]


def _name(known: dict[str, object]) -> str:
    texts = {key: str(known.get(key, "")) for key in ("algorithm", "placement", "pass", "group", "backend")}
    collective = str(known["collective"])
    try:
        return series_name(
            collective=collective,
            algorithm=texts["algorithm"],
            placement=texts["placement"],
            measure_pass=texts["pass"],
            group=texts["group"],
            backend=texts["backend"],
        )
    except ValueError:  # another program's own collective
        extras = [text for text in (texts["algorithm"], texts["placement"], texts["group"]) if text]
        return f"{collective} ({', '.join(extras)})" if extras else collective


def _extra(key: str, value: object) -> str:
    return f"{value} {key.removeprefix('num_')}" if key.startswith("num_") else str(value)
