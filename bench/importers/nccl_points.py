"""Rows of one table as points: units, statistics, and what contradicts itself.

algbw = size / time and busbw = factor x algbw hold before rounding, so the printed numbers must allow them; where they do not, the
reading says so. Exceptions: hypercube divides the (n - 1) / n of its size that is moved, and alltoallv the most that one rank
moves, which its row does not tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from bench import reported
from bench.importers.foreign import ForeignPoint, Printed, Reading
from bench.importers.nccl_names import FACTORS, REDUCING, Ratio, torch_type
from bench.importers.nccl_rows import Columns, Row
from bench.importers.rounding import can_be_equal, printed

ITERATIONS_MAXIMUM: Final = "iterations of the maximum over processes"
CPU_TIME: Final = "CPU time of the calls on the first process, loop mean"
"""-C 1: ``cputimeSec`` of src/common.cu, which is not reduced over processes."""

_GIGA: Final = 9
_AVERAGES: Final = (
    reported.LOOP_MEAN_RANK_0,
    reported.LOOP_MEAN_RANK_MEAN,
    reported.LOOP_MEAN_RANK_MIN,
    reported.LOOP_MEAN_RANK_MAX,
)
"""By -a 0 to 3 (src/common.cu, ``average``)."""

_STATISTICS: Final = {
    "i_min": "min_s", "i_max": "max_s", "i_p99": "p99_s", "i_p95": "p95_s", "i_p50": "p50_s", "i_avg": "mean_s",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a table knows of all its rows. ``num_ranks``: of the group that a row is about."""

    columns: Columns
    collective: str
    num_ranks: int | None
    statistic: str
    num_iterations: int | None
    measure_pass: str


def statistic_of(columns: Columns, settings: Mapping[str, object]) -> str:
    """What the column of times holds."""
    if columns.time_word == "cputime":
        return CPU_TIME
    if columns.is_nccom:
        name = columns.time_word.partition(":")[2]
        return "mean over iterations" if name == "avg" else f"{(name or 'p50').upper()} over iterations"
    average = settings.get("average", 1)
    return (
        _AVERAGES[average] if isinstance(average, int) and 0 <= average <= 3 else reported.LOOP_MEAN_RANK_MEAN
    )


def iterations_of(settings: Mapping[str, object]) -> int | None:
    """Calls that one time rests on: the loop, times the calls in one group, times the launches of a graph."""
    product = settings.get("iterations")
    for name in ("aggregated_iterations", "graph"):
        factor = settings.get(name)
        if isinstance(product, int) and isinstance(factor, int):
            product *= max(1, factor)
    return product if isinstance(product, int) and product > 0 else None


def bandwidth(token: str, columns: Columns) -> Printed | None:
    """In bytes per second. "GB/s" are 10**9, except in nccom-test's tables with a column ``time(us)``."""
    if columns.is_binary:
        return printed(token, factor=2**30)
    return printed(token, exponent=_GIGA)


def ratios_of(rows: tuple[Row, ...], columns: Columns) -> Iterator[Ratio]:
    """busbw / algbw of every half that tells one, largest size first."""
    for row in sorted(rows, key=lambda row: -row.num_bytes):
        for _, half in row.halves:
            algbw, busbw = bandwidth(half["algbw"], columns), bandwidth(half["busbw"], columns)
            if algbw is not None and busbw is not None and algbw.low > 0:
                yield Ratio(busbw.low / algbw.high, busbw.high / algbw.low)


def point_of(row: Row, context: Context) -> ForeignPoint:
    redop = row.redop if row.redop not in (None, "", "none") else None
    is_reducing = context.collective in REDUCING or context.collective not in FACTORS
    return ForeignPoint(
        line=row.line,
        collective=context.collective,
        printed_bytes=row.num_bytes,
        message_bytes=row.num_bytes,
        count=row.count,
        dtype=None if row.dtype is None else torch_type(row.dtype),
        reduce_op=redop if is_reducing else None,
        root=row.root,
        measure_pass=context.measure_pass,
        readings=tuple(_reading(row, placement, half, context) for placement, half in row.halves),
    )


def _reading(row: Row, placement: str, half: Mapping[str, str], context: Context) -> Reading:
    columns, notes = context.columns, [] if row.cut is None else [row.cut]
    time = printed(half["time"], exponent=columns.time_exponent)
    if time is None or time.value <= 0:
        notes.append(f"the time is {half['time']}, which is no duration")
        time = None
    algbw, busbw = bandwidth(half["algbw"], columns), bandwidth(half["busbw"], columns)
    for name, number in (("algbw", algbw), ("busbw", busbw)):
        if number is None or number.value < 0:
            notes.append(f"{name} is {half[name]}, which is no bandwidth")
    algbw = None if algbw is None or algbw.value < 0 else algbw
    busbw = None if busbw is None or busbw.value < 0 else busbw
    notes += contradictions(row.num_bytes, time, algbw, busbw, context)
    factor = FACTORS.get(context.collective)
    if context.num_ranks == 1 and (factor is None or factor(1) == 0):
        busbw = None
    statistics = dict(_statistics(half, columns))
    return Reading(
        placement=placement,
        time_s=time,
        statistic=context.statistic,
        algbw_bytes_per_s=algbw,
        busbw_bytes_per_s=busbw,
        num_wrong_elements=_whole(half.get("wrong", "N/A")),
        statistics=statistics,
        statistics_of=_statistics_of(statistics, columns),
        num_iterations=context.num_iterations,
        notes=tuple(notes),
    )


def _statistics(half: Mapping[str, str], columns: Columns) -> Iterator[tuple[str, float]]:
    """Further columns: the per-iteration report, nccom-test's percentiles, the residual before 2022, copybw."""
    for name, token in half.items():
        kind, _, which = name.partition(":")
        if kind == "time" and which:
            name = f"i_{which}"
        if name in _STATISTICS or (kind == "time" and which):
            number = printed(token, exponent=columns.time_exponent)
            key = _STATISTICS.get(name, f"{which}_s")
        elif name == "i_cv":
            number, key = printed(token, exponent=-2), "cv"
        elif name == "error":
            number, key = printed(token.rstrip("*")), "largest_error"
        elif name == "copybw":
            number, key = printed(token, exponent=_GIGA), "copybw_bytes_per_s"
        else:
            continue
        if number is not None:
            yield key, number.value


def _statistics_of(statistics: Mapping[str, float], columns: Columns) -> str | None:
    if not any(name.endswith("_s") and "bytes" not in name for name in statistics):
        return None
    return "iterations" if columns.is_nccom else ITERATIONS_MAXIMUM


def _whole(token: str) -> int | None:
    """``%g`` of a count: "0", "12", "1.5e+07"; None for N/A."""
    try:
        number = Decimal(token.rstrip("*"))
        return int(number) if number.is_finite() and abs(number.adjusted()) < 30 else None
    except InvalidOperation:
        return None


def agrees(row: Row, columns: Columns, collective: str) -> bool:
    """Whether size, time and algbw of each half can be those of one measurement: a test of a row that was put together."""
    context = Context(
        columns=columns,
        collective=collective,
        num_ranks=None,
        statistic=CPU_TIME if columns.time_word == "cputime" else "",
        num_iterations=None,
        measure_pass="",
    )
    for _, half in row.halves:
        time = printed(half["time"], exponent=columns.time_exponent)
        if any(contradictions(row.num_bytes, time, bandwidth(half["algbw"], columns), None, context)):
            return False
    return True


def contradictions(
    num_bytes: int, time: Printed | None, algbw: Printed | None, busbw: Printed | None, context: Context
) -> Iterator[str]:
    """Where the printed numbers cannot come from one measurement."""
    moved: float | None = num_bytes
    if context.collective == "hypercube":
        moved = None if context.num_ranks is None else num_bytes * (context.num_ranks - 1) / context.num_ranks
    elif context.collective == "all_to_allv":
        moved = None
    is_elapsed = context.statistic != CPU_TIME
    if moved and time is not None and algbw is not None and is_elapsed and time.low > 0:
        expected = (moved / time.high, moved / time.low)
        if not can_be_equal(expected, (algbw.low, algbw.high)):
            yield (
                f"algbw is {algbw.value / 1e9:.4g} GB/s, where size / time is {_span(expected)} GB/s: "
                "one of the three is wrong"
            )
    factor = FACTORS.get(context.collective)
    if algbw is not None and busbw is not None and factor is not None and context.num_ranks is not None:
        share = factor(context.num_ranks)
        expected = (algbw.low * share, algbw.high * share)
        if not can_be_equal(expected, (busbw.low, busbw.high)):
            yield (
                f"busbw is {busbw.value / 1e9:.4g} GB/s, where {share:.4g} x algbw is {_span(expected)} GB/s for "
                f"{context.num_ranks} ranks"
            )


def _span(ends: tuple[float, float]) -> str:
    low, high = (f"{end / 1e9:.4g}" for end in ends)
    return low if low == high else f"{low} to {high}"
