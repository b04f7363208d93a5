"""`summary_of_samples`: statistics of every point from its samples, and whether they say what the records say."""

from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from analysis.frames import clean
from analysis.sample_files import SampleFile
from analysis.samples import PointSamples, point_samples
from bench.model.statistics import summarise
from bench.record import Record

COUNTS: Final = ("num_ranks", "num_samples", "num_left_out", "num_bad_rows")
TIMES: Final = (
    *("time_s", "time_low_s", "time_high_s", "time_p95_s", "time_p99_s", "time_max_s", "time_min_s"),
    *("time_mean_s", "time_cv", "num_effective_samples"),
)
FROM_SAMPLES: Final = ("point_id", *COUNTS, *TIMES)
"""Columns. Those that summary.csv has too mean the same; num_ranks are the ranks whose samples are there."""

AGREEMENT: Final = 1e-6
"""Relative difference up to which samples and records agree: samples that somebody stored in single precision are off by 6e-8."""

_COMPARED: Final = ("time_s", "time_low_s", "time_high_s", "time_max_s", "time_min_s", "time_mean_s")


def summary_of_samples(files: Sequence[SampleFile], problems: list[str]) -> pd.DataFrame:
    """One row per point: what `summarise` says of its slowest ranks; NaN where there are too few samples to say it.

    Iterations of which not every rank has one positive, finite duration are left out and counted. ``problems`` gets a
    sentence for each point that has such iterations, and for each part of a file that cannot be read.
    """
    rows = []
    for found in point_samples(files, problems):
        rows.append((found.point_id, *_row(found)))
        if found.num_left_out:
            bad = f", {found.num_bad_rows} durations being no time at all" if found.num_bad_rows else ""
            problems.append(
                f"samples of {found.point_id}: {found.num_left_out} iterations are left out, since not every rank has one good "
                f"duration there{bad}"
            )
    frame = pd.DataFrame(rows, columns=list(FROM_SAMPLES))
    return frame.astype(dict.fromkeys(COUNTS, "int64") | dict.fromkeys(TIMES, "float64"))


def disagreements(records: Sequence[Record], summary: pd.DataFrame, sampled: pd.DataFrame) -> list[str]:
    """A sentence for each point that records and samples do not both have, or of which they say different things.

    ``summary`` is that of the records, ``sampled`` that of the samples. What another program measured need not agree: it may
    have rounded its iterations and its processes differently.
    """
    measured = {clean(record.point_id): record for record in records if record.durations_s}
    known = {clean(record.point_id) for record in records}
    from_samples = _by_point(sampled)
    from_records = _by_point(summary)
    found = [
        f"samples of {point_id}: there is no record" for point_id in from_samples if point_id not in known
    ]
    lacking = [point_id for point_id in measured if point_id not in from_samples]
    if lacking and not from_samples:
        found.append("there are no samples; statistics follow from the records alone")
    elif lacking:
        found.append(f"{len(lacking)} of {len(measured)} points have a record and no samples ({lacking[0]})")
    for point_id, record in measured.items():
        if record.reported is None and point_id in from_samples and point_id in from_records:
            ours, theirs = from_samples[point_id], from_records[point_id]
            if not _is_same(ours, theirs):
                found.append(
                    f"samples of {point_id} contradict its record: {_told(ours)}, against {_told(theirs)} in the record"
                )
    return found


def _row(found: PointSamples) -> tuple[Any, ...]:
    counts = (found.num_ranks, len(found.slowest_s), found.num_left_out, found.num_bad_rows)
    if not len(found.slowest_s):
        return (*counts, *(None for _ in TIMES))
    told = summarise(cast(Sequence[float], found.slowest_s))
    times = (told.median_s, told.low_s, told.high_s, told.p95_s, told.p99_s, told.max_s, told.min_s)
    return (*counts, *times, told.mean_s, told.cv, told.num_effective)


def _by_point(frame: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    return {str(row["point_id"]): row for row in frame.to_dict("records")}


def _is_same(ours: dict[Any, Any], theirs: dict[Any, Any]) -> bool:
    mine, other = ([float(row[name]) for name in _COMPARED] for row in (ours, theirs))
    is_close = np.allclose(mine, other, rtol=AGREEMENT, atol=0, equal_nan=True)
    return bool(is_close) and ours["num_samples"] == theirs["num_samples"]


def _told(row: dict[Any, Any]) -> str:
    return f"{row['num_samples']} iterations with a median of {row['time_s']:.6g} s"
