"""`row_of`: one point of a comparison as a row of its frame."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from analysis.compare_points import algorithms_of
from bench.model import units
from bench.model.comparison.arm import Arm
from bench.model.comparison.judgement import Judgement
from bench.model.comparison.point import PointComparison, compare_point
from bench.model.comparison.power import num_starts_for, start_spread
from bench.point_key import PointKey
from bench.record import Record
from bench.summary import factor_of, headline_s

COLUMNS: Final = (
    *(
        "collective",
        "algorithm",
        "dtype",
        "reduce_op",
        "placement",
        "pass",
        "group",
        "num_ranks",
        "message_bytes",
    ),
    *("ratio", "ratio_low", "ratio_high", "p_adjusted", "verdict", "min_detectable_ratio", "method"),
    *(
        "num_base_starts",
        "num_new_starts",
        "num_base_samples",
        "num_new_samples",
        "base_time_s",
        "new_time_s",
    ),
    *(
        "base_busbw_gbytes_per_s",
        "new_busbw_gbytes_per_s",
        "base_algorithm",
        "new_algorithm",
        "starts_for_target",
        "why_not",
    ),
)
"""One row per point of `Compared.frame`. ratio: time of NEW over time of BASE, above 1 is slower; its interval holds for the
point alone, the verdict for all points together."""


TARGET_RATIO: Final = 1.05
"""starts_for_target: process starts of each side that would find a slow-down of 5 %, which is what SuperBench fails a node for
(microsoft/superbenchmark, docs/user-tutorial/data-diagnosis.md)."""


def _arm(records: Sequence[Record]) -> Arm:
    samples = [np.asarray(r.durations_s or _told_s(r), dtype=np.float64) for r in records]
    if all(r.durations_s for r in records):
        return Arm(starts_s=tuple(samples))
    rounding = []
    for record, values in zip(records, samples, strict=True):
        told, value = record.reported, float(values[0])
        is_told = told is not None and not record.durations_s
        low = told.time_low_s if is_told and told is not None else None
        high = told.time_high_s if is_told and told is not None else None
        rounding.append((low if low is not None else value, high if high is not None else value))
    return Arm(starts_s=tuple(samples), rounding_s=tuple(rounding))


def compared_point(base: Sequence[Record], new: Sequence[Record], is_paired: bool) -> PointComparison:
    return compare_point(_arm(base), _arm(new), is_paired=is_paired and len(base) > 1)


def row_of(
    key: PointKey,
    base: Sequence[Record],
    new: Sequence[Record],
    judgement: Judgement,
    num_starts_needed: int | None,
) -> dict[str, Any]:
    comparison = judgement.comparison
    old, other = base, new
    base_s, new_s = _middle_s(old), _middle_s(other)
    return {
        "collective": key.collective,
        "algorithm": key.asked_algorithm,
        "dtype": key.dtype,
        "reduce_op": key.reduce_op,
        "placement": key.placement,
        "pass": key.measure_pass,
        "group": key.group,
        "num_ranks": key.num_ranks,
        "message_bytes": key.message_bytes,
        "ratio": comparison.ratio,
        "ratio_low": comparison.low,
        "ratio_high": comparison.high,
        "p_adjusted": judgement.adjusted_p,
        "verdict": judgement.verdict.name,
        "min_detectable_ratio": judgement.min_detectable_ratio,
        "method": comparison.method.value,
        "num_base_starts": comparison.num_base_starts,
        "num_new_starts": comparison.num_new_starts,
        "num_base_samples": sum(len(record.durations_s) for record in old),
        "num_new_samples": sum(len(record.durations_s) for record in other),
        "base_time_s": base_s,
        "new_time_s": new_s,
        "base_busbw_gbytes_per_s": _busbw(old[0], base_s),
        "new_busbw_gbytes_per_s": _busbw(other[0], new_s),
        "base_algorithm": algorithms_of(old),
        "new_algorithm": algorithms_of(other),
        "starts_for_target": num_starts_needed,
        "why_not": judgement.why_not,
    }


def starts_for_target(
    base: Sequence[Record], new: Sequence[Record], is_paired: bool, num_points: int
) -> int | None:
    """Starts that would find `TARGET_RATIO`; None where no spread between starts is known, or too many are needed."""
    old, other = _arm(base), _arm(new)
    pairs_up = is_paired and old.num_starts > 1
    if pairs_up:
        spread: float | None = float(np.std(np.log(other.values_s / old.values_s), ddof=1))
    else:
        spread = start_spread([old, other])
    if not spread:
        return None
    try:
        return num_starts_for(TARGET_RATIO, spread=spread, num_points=num_points, is_paired=pairs_up)
    except ValueError:
        return None


def _told_s(record: Record) -> list[float]:
    time_s = headline_s(record)
    return [] if time_s is None else [time_s]


def _middle_s(records: Sequence[Record]) -> float:
    """The headline time; of several starts its geometric mean, of which the ratio is that of the means."""
    times_s = [time_s for record in records if (time_s := headline_s(record)) is not None]
    return times_s[0] if len(times_s) == 1 else float(np.exp(np.log(times_s).mean()))


def _busbw(record: Record, time_s: float) -> float | None:
    factor = factor_of(record)
    if not factor or record.measure_pass == "overlap":
        return None
    return units.gbytes_per_s(factor * record.message_bytes / time_s)
