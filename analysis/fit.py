"""`fit_frame`, `curve_frame`: the curve of every series of a summary, as numbers and as points to draw. Frame in, frame out."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from bench.model.fit.curve import Curve
from bench.model.fit.run_fit import FitPoint, RunFit, fit_points, why_unusable
from bench.model.fit.series_fit import MeasuredSize, Series
from bench.model.fit.table import FitRow, fit_rows
from bench.model.units import gbytes_per_s
from bench.point_key import ASKED

EMULATED: Final = "emulated"
"""The fabric whose links have a token bucket."""

FIT_COLUMNS: Final = tuple(
    "pass" if field.name == "measure_pass" else field.name for field in dataclasses.fields(FitRow)
)

CURVE_NUMBERS: Final = (
    "message_bytes",
    "time_s",
    "low_s",
    "high_s",
    "busbw_gbytes_per_s",
    "busbw_low_gbytes_per_s",
    "busbw_high_gbytes_per_s",
)

CURVE_COLUMNS: Final = (
    *("pass" if field.name == "measure_pass" else field.name for field in dataclasses.fields(Series)),
    "segment",
    *CURVE_NUMBERS,
    "is_extrapolated",
)

POINTS_PER_DOUBLING: Final = 8
"""A curve drawn through so many points shows no corner of a polygon in any figure of usual size."""


def fit_frame(summary: pd.DataFrame, *, fabric: str = "unknown") -> pd.DataFrame:
    """Latency and bandwidth of every line of every series with 95 % intervals, and the verdict on its plateau.

    One row per series and line; a series that cannot be fitted has one row with the reason in ``left_out``. The columns are
    those of `bench.model.fit.table.FitRow`, ``measure_pass`` written as ``pass``. Sizes are not held out here, so
    ``median_error`` is empty; `linerate fit` does that.

    Points that another program measured have no 95 % interval: they weigh alike (apart from their rounding),
    ``has_point_intervals`` is False, and the intervals come from their scatter about the line alone.

    Args:
        summary: the columns of summary.csv, one row per point.
        fabric: as the manifest names it; on ``emulated`` links sizes that pass the token bucket have lines of their own.
    Raises:
        ValueError: a column that is not there.
    """
    found = _fitted(summary, fabric)
    rows = [dataclasses.astuple(row) for row in fit_rows(found.fits, found.left_out)]
    return _typed(pd.DataFrame(rows, columns=list(FIT_COLUMNS)), FitRow)


def curve_frame(
    summary: pd.DataFrame, *, fabric: str = "unknown", points_per_doubling: int = POINTS_PER_DOUBLING
) -> pd.DataFrame:
    """The fitted curve of every series as points close together, from the smallest size to the largest of which it speaks.

    The band from ``low_s`` to ``high_s`` is that of a further measurement. Beyond the largest measured size there are points
    only where the plateau is in the data, as far as it was seen before (``is_extrapolated``); below the smallest there are
    none. Series that cannot be fitted have no rows, and busbw is empty where no bus factor is known.

    Args:
        summary, fabric: as for `fit_frame`.
        points_per_doubling: of the size.
    Raises:
        ValueError: a column that is not there, or fewer than one point per doubling.
    """
    if points_per_doubling < 1:
        raise ValueError(f"points_per_doubling is {points_per_doubling}; at least 1 is needed")
    rows: list[tuple[Any, ...]] = []
    for fit in _fitted(summary, fabric).fits:
        curve, series = fit.curve, dataclasses.astuple(fit.series)
        for size in _sizes_bytes(curve, points_per_doubling):
            time = curve.time(size)
            moved = None if fit.bus_factor is None else gbytes_per_s(fit.bus_factor * size)
            rates = [
                None if moved is None or not time_s else moved / time_s
                for time_s in (time.value, time.high, time.low)
            ]
            at = curve.segments.index(curve.segment(size)) + 1
            rows.append(
                (*series, at, size, time.value, time.low, time.high, *rates, curve.is_extrapolation(size))
            )
    frame = _typed(pd.DataFrame(rows, columns=list(CURVE_COLUMNS)), Series)
    return frame.astype({name: "float64" for name in CURVE_NUMBERS})


def _typed(frame: pd.DataFrame, of: type[FitRow] | type[Series]) -> pd.DataFrame:
    """Numbers as numbers, although every cell may be empty."""
    kinds = {
        "pass" if field.name == "measure_pass" else field.name: field.type for field in dataclasses.fields(of)
    }
    optional = [name for name, kind in kinds.items() if kind in (float | None, int | None)]
    return frame.astype({name: "float64" for name in optional if frame.empty or frame[name].isna().any()})


def _fitted(summary: pd.DataFrame, fabric: str) -> RunFit:
    return fit_points(_points(summary, fabric), has_bucket=fabric == EMULATED, are_held_out=False)


def _sizes_bytes(curve: Curve, points_per_doubling: int) -> list[float]:
    """Evenly in the logarithm, the ends of every segment among them. Shape: (num_points,)."""
    last = float(curve.last_bytes)
    ends = {float(end) for segment in curve.segments for end in (segment.first_bytes, segment.last_bytes)}
    furthest = curve.saturation.furthest_bytes if curve.saturation else last
    for first, stop in ((float(curve.first_bytes), last), (last, furthest)):
        steps = math.ceil(math.log2(stop / first) * points_per_doubling)
        # geomspace may end a rounding error beyond the last size.
        ends |= {min(stop, float(size)) for size in np.geomspace(first, stop, steps + 1)}
    return sorted(ends)


def _points(summary: pd.DataFrame, fabric: str) -> Iterator[FitPoint]:
    needed = ["collective", "algorithm", "dtype", "reduce_op", "placement", "pass", "group", "num_ranks"]
    needed += ["num_hosts", "backend", "status", "message_bytes", "time_s", "time_low_s", "time_high_s"]
    needed += [
        "num_wrong_elements",
        "bus_factor",
        "predicted_time_s",
        "ceiling_busbw_gbytes_per_s",
        "warnings",
    ]
    missing = [column for column in needed if column not in summary.columns]
    if missing:
        raise ValueError(
            f"the summary has no column {', '.join(missing)}; analysis.load.load_run gives one that has"
        )
    for row in summary.to_dict("records"):
        algorithm = str(row["algorithm"])
        series = Series(
            collective=str(row["collective"]),
            algorithm=algorithm if algorithm in ASKED else "native",
            dtype=str(row["dtype"]),
            reduce_op=None if pd.isna(row["reduce_op"]) else str(row["reduce_op"]),
            placement=str(row["placement"]),
            measure_pass=str(row["pass"]),
            group=str(row["group"]),
            num_ranks=_whole(row["num_ranks"]),
            num_hosts=_whole(row["num_hosts"]),
            backend=str(row["backend"]),
            fabric=fabric,
        )
        time_s, size = _number(row["time_s"]), _whole(row["message_bytes"]) or 0
        unusable = why_unusable(
            status=str(row["status"]),
            time_s=time_s,
            message_bytes=size,
            measure_pass=series.measure_pass,
            num_wrong_elements=_number(row["num_wrong_elements"]),
        )
        yield FitPoint(
            series=series,
            algorithm=algorithm,
            repeat=_whole(row.get("repeat")) or 1,
            bus_factor=_number(row["bus_factor"]),
            measured=None if unusable or time_s is None else _measured(row, size, time_s, fabric),
            unusable=unusable,
        )


def _measured(row: dict[Any, Any], size: int, time_s: float, fabric: str) -> MeasuredSize:
    low_s, high_s = _number(row.get("time_rounding_low_s")), _number(row.get("time_rounding_high_s"))
    return MeasuredSize(
        message_bytes=size,
        measured_s=time_s,
        low_s=_number(row["time_low_s"]),
        high_s=_number(row["time_high_s"]),
        predicted_s=_number(row["predicted_time_s"]),
        ceiling_s=_ceiling_s(row, size, fabric),
        rounding_s=0.0 if low_s is None or high_s is None else max(0.0, high_s - low_s),
    )


def _ceiling_s(row: dict[Any, Any], size: int, fabric: str) -> float | None:
    """The ceiling's time from its busbw. Below the token bucket nothing limits a message, which has no busbw to be written."""
    ceiling, factor = _number(row["ceiling_busbw_gbytes_per_s"]), _number(row["bus_factor"])
    if ceiling and factor:
        return gbytes_per_s(factor * size) / ceiling
    return 0.0 if fabric == EMULATED and "emulation_bucket" in str(row["warnings"]) else None


def _number(value: Any) -> float | None:
    """None for an empty cell, and for what is no finite number."""
    if value is None or value is pd.NA:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
