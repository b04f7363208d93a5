"""`SummaryRow`: one line of summary.csv, recomputed from records. An export, never a source."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.model import units
from bench.model.collective import Collective, bus_factor
from bench.model.statistics import summarise
from bench.model.verdict import MeasuredPoint, best_other_efficiency, bound_by
from bench.record import Record

STEAL_WARNING_SHARE: Final = 0.05
"""Above this share of processor time taken by others on the same hardware a point says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """The columns of summary.csv, in order. None is written as an empty cell: not known, never zero.

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
    bus_factor: float
    busbw_gbytes_per_s: float | None
    fabric_bytes_per_rank: float | None
    predicted_time_s: float | None
    predicted_busbw_gbytes_per_s: float | None
    ceiling_busbw_gbytes_per_s: float | None
    efficiency: float | None
    bound_by: str
    num_wrong_elements: int | None
    warnings: str


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
    return bool(record.durations_s) and not record.num_wrong_elements


def _measured_point(record: Record) -> MeasuredPoint | None:
    if not _is_valid(record):
        return None
    time_s = summarise(record.durations_s).median_s
    return MeasuredPoint(
        series=(record.collective, record.algorithm, record.dtype, record.placement, record.measure_pass),
        message_bytes=record.message_bytes,
        time_s=time_s,
        efficiency=efficiency(record, time_s),
        predicted_bound=record.predicted_bound,
        is_over_fabric=record.predicted_bound is not None,
    )


def _row(record: Record, verdict: str, other_efficiency: float) -> SummaryRow:
    factor = bus_factor(Collective(record.collective), record.num_ranks)
    statistics = summarise(record.durations_s) if record.durations_s else None
    # Wrong data gets no bandwidth: a fast wrong answer is not a measurement.
    time_s = statistics.median_s if statistics and _is_valid(record) else None
    algbw = None if time_s is None else record.message_bytes / time_s
    has_busbw = factor > 0

    def busbw(duration_s: float | None) -> float | None:
        if duration_s is None or duration_s <= 0 or not has_busbw:
            return None
        return units.gbytes_per_s(factor * record.message_bytes / duration_s)

    share = None if time_s is None else efficiency(record, time_s)
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
        warnings="; ".join(_warnings(record, verdict, share, other_efficiency)),
    )


def _warnings(record: Record, verdict: str, share: float | None, other_efficiency: float) -> list[str]:
    found = list(record.warnings)
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
    if record.status == "complete" and 0 < len(record.durations_s) < 6:
        found.append("few_samples: an interval of the median needs 6; raise timing.num_iterations")
    return found
