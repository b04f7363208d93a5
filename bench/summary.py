"""`SummaryRow`: one line of summary.csv, recomputed from records. An export, never a source."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model import units
from bench.model.collective import TRAITS, Collective, bus_factor
from bench.model.grouping import WORLD
from bench.model.overlap import overlap_fraction
from bench.model.statistics import summarise
from bench.model.verdict import MeasuredPoint, best_other_efficiency, bound_by
from bench.point_warnings import everyone_slow, point_warnings
from bench.record import Record
from bench.reported import LOOP_MEAN_RANK_MEAN

TIME_STATISTIC: Final = "median over iterations of the slowest rank"
"""What time_s is of a point that linerate measured; of an imported one it is what that program prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """The columns of summary.csv, in order. None is written as an empty cell: not known, never zero.

    docs/measuring.md explains every one of them.

    ``measure_pass`` is written as ``pass``, which Python keeps for itself.
    """

    point_id: str
    attempt: int
    status: str
    collective: str
    algorithm: str
    algorithm_source: str
    backend: str
    dtype: str
    reduce_op: str | None
    placement: str
    measure_pass: str
    group: str
    num_ranks: int | None
    num_hosts: int | None
    message_bytes: int
    time_s: float | None
    time_low_s: float | None
    time_high_s: float | None
    time_mean_rank_mean_s: float | None
    time_p95_s: float | None
    time_p99_s: float | None
    time_max_s: float | None
    num_samples: int
    algbw_gbytes_per_s: float | None
    bus_factor: float | None
    busbw_gbytes_per_s: float | None
    fabric_bytes_per_rank: float | None
    predicted_time_s: float | None
    predicted_busbw_gbytes_per_s: float | None
    ceiling_busbw_gbytes_per_s: float | None
    efficiency: float | None
    bound_by: str
    num_wrong_elements: int | None
    warnings: str
    calls_per_sample: int
    stop_reason: str | None
    num_rejected: int | None
    first_call_s: float | None
    time_mean_s: float | None
    time_min_s: float | None
    time_cv: float | None
    num_effective_samples: float | None
    arrival_skew_s: float | None
    transfer_s: float | None
    finding: str | None
    counted_fabric_bytes_per_rank: float | None
    load_imbalance: float | None
    communication_time_s: float | None
    compute_time_s: float | None
    overlap_fraction: float | None
    predicted_low_busbw_gbytes_per_s: float | None
    predicted_high_busbw_gbytes_per_s: float | None
    predicted_schedule: str | None
    schedule_source: str | None
    calibrated_time_s: float | None
    calibrated_low_s: float | None
    calibrated_high_s: float | None
    repeat: int
    time_statistic: str
    time_rounding_low_s: float | None
    time_rounding_high_s: float | None


COLUMNS: Final = tuple(
    "pass" if field.name == "measure_pass" else field.name for field in dataclasses.fields(SummaryRow)
)


def summary_rows(records: Sequence[Record]) -> list[SummaryRow]:
    """One row per record. ``bound_by`` looks at all of them, since evidence against the backend lies in other points."""
    measured = [_measured_point(record) for record in records]
    by_series: dict[tuple[object, ...], list[MeasuredPoint]] = {}
    best: dict[tuple[object, ...], MeasuredPoint] = {}
    for point in measured:
        if point is None:
            continue
        by_series.setdefault(point.series, []).append(point)
        key = (point.series[:2], point.predicted_bound, point.group)
        if point.efficiency is not None and point.efficiency > (
            best[key].efficiency or 0.0 if key in best else 0.0
        ):
            best[key] = point
    rows = []
    for record, point in zip(records, measured, strict=True):
        # Of other series only the best speak; an imported log may hold ten thousand points.
        evidence = [] if point is None else [*by_series[point.series], *best.values()]
        verdict = "unknown" if point is None else bound_by(point, evidence)
        other = 0.0 if point is None else best_other_efficiency(point, evidence)
        rows.append(_row(record, verdict, other))
    return rows


def series_name(
    *, collective: str, algorithm: str, placement: str, measure_pass: str, group: str, backend: str
) -> str:
    """How points that differ in size alone are called: the collective, and what is not the usual form of it."""
    extras = [] if algorithm == "native" else [algorithm]
    # What other programs measured is in the bandwidth pass, and they have every call in both forms.
    is_only_form = collective in IN_PLACE_IN_TORCH and backend != "mpi" and measure_pass == "latency"
    if placement == "in_place" and not is_only_form:
        extras.append("in place")
    if measure_pass != "latency":
        extras.append(measure_pass)
    if group != WORLD:
        extras.append(group)
    return f"{collective} ({', '.join(extras)})" if extras else collective


IN_PLACE_IN_TORCH: Final = tuple(
    collective.value for collective in (Collective.all_reduce, Collective.broadcast, Collective.reduce)
)
"""torch.distributed has these in place only, so that it need not be said."""


def summary_csv(records: Sequence[Record]) -> str:
    """The text of summary.csv: a header and one line per record; numbers in full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in summary_rows(records):
        cells = (getattr(row, field.name) for field in dataclasses.fields(SummaryRow))
        writer.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def efficiency(record: Record, time_s: float) -> float | None:
    """busbw over the ceiling, which is the ceiling's time over the measured one. None where no ceiling can be stated."""
    if record.ceiling_time_s is None or record.ceiling_time_s <= 0 or record.is_bucket_dominated:
        return None
    return record.ceiling_time_s / time_s


def headline_s(record: Record) -> float | None:
    """``time_s`` of a point, whatever its data were: the median of its samples, else what another program printed."""
    if record.durations_s:
        return summarise(record.durations_s).median_s
    return record.reported.time_s if record.reported else None


def is_valid(record: Record) -> bool:
    """Whether a point has a time and nothing speaks against its data."""
    time_s = headline_s(record)
    return time_s is not None and time_s > 0 and not record.num_wrong_elements and not record.num_bad


def factor_of(record: Record) -> float | None:
    """busbw over size / time. None where there is no message, or no number of ranks that says it.

    A collective that linerate does not know (hypercube) has the factor that the log's own busbw implies, if it printed one.
    """
    if record.message_bytes <= 0:
        return None
    known = record.collective in {collective.value for collective in Collective}
    if known and (record.num_ranks is not None or TRAITS[Collective(record.collective)].factor is None):
        return bus_factor(Collective(record.collective), record.num_ranks or 1)
    reported = record.reported
    if reported is None or not reported.busbw_bytes_per_s or not reported.time_s:
        return None
    return reported.busbw_bytes_per_s * reported.time_s / record.message_bytes


def _measured_point(record: Record) -> MeasuredPoint | None:
    time_s = headline_s(record)
    if time_s is None or not is_valid(record):
        return None
    return MeasuredPoint(
        series=(
            record.collective,
            record.algorithm,
            record.dtype,
            record.placement,
            record.measure_pass,
            record.group,
            str(record.num_ranks),
            str(record.repeat),
        ),
        message_bytes=record.message_bytes,
        time_s=time_s,
        efficiency=efficiency(record, time_s),
        predicted_bound=record.predicted_bound,
        is_over_fabric=record.predicted_bound is not None,
        group=record.group,
    )


def _row(record: Record, verdict: str, other_efficiency: float) -> SummaryRow:
    # A barrier moves nothing, so it has no bandwidth; nor has a call that shares its time with a computation.
    has_bandwidth = record.message_bytes > 0 and record.measure_pass != "overlap"
    factor = factor_of(record)
    statistics = summarise(record.durations_s) if record.durations_s else None
    reported = record.reported
    # Wrong data gets no bandwidth: a fast wrong answer is not a measurement.
    time_s = headline_s(record) if is_valid(record) else None
    algbw = None if time_s is None or not has_bandwidth else record.message_bytes / time_s

    def busbw(duration_s: float | None) -> float | None:
        if duration_s is None or duration_s <= 0 or not factor or not has_bandwidth:
            return None
        return units.gbytes_per_s(factor * record.message_bytes / duration_s)

    share = None if time_s is None else efficiency(record, time_s)
    everyone = everyone_slow(record, verdict, other_efficiency, time_s)
    return SummaryRow(
        point_id=record.point_id,
        attempt=record.attempt,
        status=record.status,
        collective=record.collective,
        algorithm=record.algorithm,
        algorithm_source=record.algorithm_source,
        backend=record.backend,
        dtype=record.dtype,
        reduce_op=record.reduce_op,
        placement=record.placement,
        measure_pass=record.measure_pass,
        group=record.group,
        num_ranks=record.num_ranks,
        num_hosts=record.num_hosts,
        message_bytes=record.message_bytes,
        time_s=headline_s(record),
        time_low_s=statistics.low_s if statistics else None,
        time_high_s=statistics.high_s if statistics else None,
        time_mean_rank_mean_s=_mean_rank_mean_s(record),
        time_p95_s=statistics.p95_s if statistics else None,
        time_p99_s=statistics.p99_s if statistics else None,
        time_max_s=statistics.max_s if statistics else None,
        num_samples=len(record.durations_s),
        algbw_gbytes_per_s=None if algbw is None else units.gbytes_per_s(algbw),
        bus_factor=factor,
        busbw_gbytes_per_s=busbw(time_s) if time_s is not None else _rate_alone(record),
        fabric_bytes_per_rank=record.fabric_bytes_per_rank,
        predicted_time_s=record.predicted_time_s,
        predicted_busbw_gbytes_per_s=busbw(record.predicted_time_s),
        ceiling_busbw_gbytes_per_s=busbw(record.ceiling_time_s),
        efficiency=share,
        bound_by=verdict,
        num_wrong_elements=record.num_wrong_elements,
        warnings="; ".join(
            text.replace("; ", ", ")
            for text in point_warnings(record, verdict, share, other_efficiency, everyone)
        ),
        calls_per_sample=record.calls_per_sample,
        stop_reason=record.stop_reason,
        num_rejected=record.num_rejected,
        first_call_s=record.first_call_s,
        time_mean_s=statistics.mean_s if statistics else None,
        time_min_s=statistics.min_s if statistics else None,
        time_cv=statistics.cv if statistics else None,
        num_effective_samples=statistics.num_effective if statistics else None,
        arrival_skew_s=record.arrival_skew_s,
        transfer_s=record.transfer_s,
        finding=everyone.kind.value if everyone else record.finding,
        counted_fabric_bytes_per_rank=record.counted_bytes_per_rank,
        load_imbalance=record.load_imbalance,
        communication_time_s=_median(record.communication_s) or _reported(record, "pure_comm_s"),
        compute_time_s=_median(record.compute_s) or _reported(record, "compute_s"),
        overlap_fraction=_overlap_fraction(record),
        predicted_low_busbw_gbytes_per_s=busbw(record.predicted_high_s),
        predicted_high_busbw_gbytes_per_s=busbw(record.predicted_low_s),
        predicted_schedule=record.predicted_schedule,
        schedule_source=record.schedule_source,
        calibrated_time_s=record.calibrated_time_s,
        calibrated_low_s=record.calibrated_low_s,
        calibrated_high_s=record.calibrated_high_s,
        repeat=record.repeat,
        time_statistic=reported.statistic if reported and statistics is None else TIME_STATISTIC,
        time_rounding_low_s=reported.time_low_s if reported and statistics is None else None,
        time_rounding_high_s=reported.time_high_s if reported and statistics is None else None,
    )


def _rate_alone(record: Record) -> float | None:
    """The bandwidth of a program that prints no time (OSU's bandwidth tests)."""
    reported = record.reported
    if record.status != "complete" or reported is None or reported.busbw_bytes_per_s is None:
        return None
    return units.gbytes_per_s(reported.busbw_bytes_per_s)


def _mean_rank_mean_s(record: Record) -> float | None:
    if record.rank_mean_s:
        return sum(record.rank_mean_s) / len(record.rank_mean_s)
    reported = record.reported
    return reported.time_s if reported and reported.statistic == LOOP_MEAN_RANK_MEAN else None


def _reported(record: Record, name: str) -> float | None:
    return record.reported.statistics.get(name) if record.reported else None


def _median(durations_s: Sequence[float]) -> float | None:
    return summarise(durations_s).median_s if durations_s else None


def _overlap_fraction(record: Record) -> float | None:
    """Median over samples of the share of the communication that was hidden behind the computation."""
    if record.reported is not None:
        return _reported(record, "overlap")
    if not record.communication_s or not is_valid(record):
        return None
    fractions = [
        overlap_fraction(communication_s=alone, compute_s=compute, both_s=both)
        for alone, compute, both in zip(
            record.communication_s, record.compute_s, record.durations_s, strict=True
        )
    ]
    return float(np.median(fractions))
