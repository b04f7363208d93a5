"""`SummaryRow`: one line of summary.csv, recomputed from records. An export, never a source."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model import units
from bench.model.collective import Collective, bus_factor
from bench.model.grouping import WORLD
from bench.model.overlap import overlap_fraction
from bench.model.stability import stability_facts
from bench.model.statistics import summarise
from bench.model.straggler import REACHED, Finding, Kind
from bench.model.verdict import BACKEND_EVIDENCE, MeasuredPoint, best_other_efficiency, bound_by
from bench.record import Record

STEAL_WARNING_SHARE: Final = 0.05
"""Above this share of processor time taken by others on the same hardware a point says so."""


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
    num_ranks: int
    num_hosts: int
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


COLUMNS: Final = tuple(
    "pass" if field.name == "measure_pass" else field.name for field in dataclasses.fields(SummaryRow)
)


def summary_rows(records: Sequence[Record]) -> list[SummaryRow]:
    """One row per record. ``bound_by`` looks at all of them, since evidence against the backend lies in other points."""
    measured = [_measured_point(record) for record in records]
    evidence = [point for point in measured if point is not None]
    rows = []
    for record, point in zip(records, measured, strict=True):
        verdict = "unknown" if point is None else bound_by(point, evidence)
        other = 0.0 if point is None else best_other_efficiency(point, evidence)
        rows.append(_row(record, verdict, other))
    return rows


def series_name(
    *, collective: str, algorithm: str, placement: str, measure_pass: str, group: str, backend: str
) -> str:
    """How points that differ in size alone are called: the collective, and what is not the usual form of it."""
    extras = [] if algorithm == "native" else [algorithm]
    has_choice = backend == "mpi" or Collective(collective) not in IN_PLACE_IN_TORCH
    if placement == "in_place" and has_choice:
        extras.append("in place")
    if measure_pass != "latency":
        extras.append(measure_pass)
    if group != WORLD:
        extras.append(group)
    return f"{collective} ({', '.join(extras)})" if extras else collective


IN_PLACE_IN_TORCH: Final = (Collective.all_reduce, Collective.broadcast, Collective.reduce)
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


def _is_valid(record: Record) -> bool:
    return bool(record.durations_s) and not record.num_wrong_elements and not record.num_bad


def _measured_point(record: Record) -> MeasuredPoint | None:
    if not _is_valid(record):
        return None
    time_s = summarise(record.durations_s).median_s
    return MeasuredPoint(
        series=(
            record.collective,
            record.algorithm,
            record.dtype,
            record.placement,
            record.measure_pass,
            record.group,
        ),
        message_bytes=record.message_bytes,
        time_s=time_s,
        efficiency=efficiency(record, time_s),
        predicted_bound=record.predicted_bound,
        is_over_fabric=record.predicted_bound is not None,
        group=record.group,
    )


def _everyone_slow(record: Record, verdict: str, other_efficiency: float) -> Finding | None:
    """Whether all ranks together are far below what the links allow, and neither latency nor the backend explains it."""
    if verdict in ("latency", "backend") or record.predicted_time_s is None:
        return None
    if record.finding is not None:
        # On a slow ring some ranks end a little before the others, and yet all are slow.
        is_all = min(record.rank_mean_s) * REACHED > record.predicted_time_s
        if record.finding.startswith(Kind.late_rank.value) or not is_all:
            return None
    if not _is_valid(record) or record.is_bucket_dominated or other_efficiency >= BACKEND_EVIDENCE:
        return None
    time_s, predicted_s = summarise(record.durations_s).median_s, record.predicted_time_s
    if predicted_s >= REACHED * time_s:
        return None
    excess_s = time_s - predicted_s
    return Finding(kind=Kind.everyone_slow, excess_s=excess_s, share=excess_s / time_s)


def _row(record: Record, verdict: str, other_efficiency: float) -> SummaryRow:
    # A barrier moves nothing, so it has no bandwidth; nor has a call that shares its time with a computation.
    has_message = record.message_bytes > 0
    has_bandwidth = has_message and record.measure_pass != "overlap"
    factor = bus_factor(Collective(record.collective), record.num_ranks) if has_message else None
    statistics = summarise(record.durations_s) if record.durations_s else None
    # Wrong data gets no bandwidth: a fast wrong answer is not a measurement.
    time_s = statistics.median_s if statistics and _is_valid(record) else None
    algbw = None if time_s is None or not has_bandwidth else record.message_bytes / time_s

    def busbw(duration_s: float | None) -> float | None:
        if duration_s is None or duration_s <= 0 or not factor or not has_bandwidth:
            return None
        return units.gbytes_per_s(factor * record.message_bytes / duration_s)

    share = None if time_s is None else efficiency(record, time_s)
    everyone = _everyone_slow(record, verdict, other_efficiency)
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
        time_s=statistics.median_s if statistics else None,
        time_low_s=statistics.low_s if statistics else None,
        time_high_s=statistics.high_s if statistics else None,
        time_mean_rank_mean_s=sum(record.rank_mean_s) / len(record.rank_mean_s)
        if record.rank_mean_s
        else None,
        time_p95_s=statistics.p95_s if statistics else None,
        time_p99_s=statistics.p99_s if statistics else None,
        time_max_s=statistics.max_s if statistics else None,
        num_samples=len(record.durations_s),
        algbw_gbytes_per_s=None if algbw is None else units.gbytes_per_s(algbw),
        bus_factor=factor,
        busbw_gbytes_per_s=busbw(time_s),
        fabric_bytes_per_rank=record.fabric_bytes_per_rank,
        predicted_time_s=record.predicted_time_s,
        predicted_busbw_gbytes_per_s=busbw(record.predicted_time_s),
        ceiling_busbw_gbytes_per_s=busbw(record.ceiling_time_s),
        efficiency=share,
        bound_by=verdict,
        num_wrong_elements=record.num_wrong_elements,
        warnings="; ".join(
            text.replace("; ", ", ") for text in _warnings(record, verdict, share, other_efficiency, everyone)
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
        communication_time_s=_median(record.communication_s),
        compute_time_s=_median(record.compute_s),
        overlap_fraction=_overlap_fraction(record),
        predicted_low_busbw_gbytes_per_s=busbw(record.predicted_high_s),
        predicted_high_busbw_gbytes_per_s=busbw(record.predicted_low_s),
        predicted_schedule=record.predicted_schedule,
        schedule_source=record.schedule_source,
        calibrated_time_s=record.calibrated_time_s,
        calibrated_low_s=record.calibrated_low_s,
        calibrated_high_s=record.calibrated_high_s,
    )


def _median(durations_s: Sequence[float]) -> float | None:
    return summarise(durations_s).median_s if durations_s else None


def _overlap_fraction(record: Record) -> float | None:
    """Median over samples of the share of the communication that was hidden behind the computation."""
    if not record.communication_s or not _is_valid(record):
        return None
    fractions = [
        overlap_fraction(communication_s=alone, compute_s=compute, both_s=both)
        for alone, compute, both in zip(
            record.communication_s, record.compute_s, record.durations_s, strict=True
        )
    ]
    return float(np.median(fractions))


def _warnings(
    record: Record, verdict: str, share: float | None, other_efficiency: float, everyone: Finding | None
) -> list[str]:
    found = list(record.warnings)
    text = str(everyone) if everyone else record.finding_text
    if text:
        found.append(f"straggler: {text}")
    if record.num_wrong_elements:
        found.append(f"wrong_data: {record.num_wrong_elements} elements; no bandwidth is given")
    if record.is_bucket_dominated:
        found.append(
            "emulation_bucket: the message is below 8 token buckets, so the link's rate does not show"
        )
    if record.also_bound_by and verdict == record.predicted_bound:
        found.append(f"tie: {', '.join(record.also_bound_by)} within 1 % of {verdict}")
    if verdict == "backend" and share is not None:
        found.append(
            f"backend: {share:.0%} of the ceiling here, {other_efficiency:.0%} elsewhere in this run over the same links"
        )
    if record.steal_share is not None and record.steal_share > STEAL_WARNING_SHARE:
        found.append(
            f"noisy_host: {record.steal_share:.0%} of processor time went to other machines; repeat when quiet"
        )
    if record.load_imbalance is not None and record.load_imbalance > 1:
        found.append(f"imbalance: the busiest rank moves {record.load_imbalance:.2f} times the mean")
    if record.status == "complete":
        resolution_s = record.clock_resolution_s
        if resolution_s is not None:
            resolution_s /= record.calls_per_sample  # durations are those of one call
        facts = stability_facts(record.durations_s, clock_resolution_s=resolution_s)
        # A percentile that is withheld is an empty cell, which says it already.
        found += [f"{fact.name}: {fact.text}" for fact in facts if fact.name != "percentiles"]
    return found
