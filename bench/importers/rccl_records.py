"""Records of rccl-tests' CSV and JSON as tables: both placements of a size become one point."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from bench.importers.foreign import ForeignPoint, ForeignTable, Printed, Reading
from bench.importers.nccl_names import FACTORS, REDUCING
from bench.importers.program_names import collective_of, dtype_of, reduce_op_of
from bench.importers.rounding import printed
from bench.importers.stored import contradiction, ranks_of_points
from bench.reported import LOOP_MEAN_RANK_MEAN

KEYS: Final = frozenset(
    {"numcycle", "name", "collective", "nodes", "ranks", "rankspernode", "gpusperrank", "gpus"}
    | {"size", "type", "redop", "inplace", "time", "algbw", "busbw", "wrong"}
)
_NEEDED: Final = ("size", "inplace", "time", "algbw", "busbw")
_MICROS: Final = -6
_GIGA: Final = 9

_RECEIVED: Final = ("reduce_scatter", "scatter")
"""Where the receive buffer, which ``size`` was up to 2024, is one rank's share of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One placement of one size. ``processes``: of the run; ``group``: of the group it was measured in; ``gpus``: of a process."""

    line: int | None
    cycle: int
    collective: str
    processes: int
    group: int
    gpus: int
    num_bytes: int
    dtype: str | None
    reduce_op: str | None
    placement: str
    time: str
    algbw: str
    busbw: str
    wrong: str

    @property
    def run(self) -> tuple[str, int, int, int]:
        """What one start of the program has in common."""
        return self.collective, self.processes, self.group, self.gpus

    @property
    def size(self) -> tuple[int, int, str | None, str | None]:
        """What the two placements of a row have in common."""
        return self.cycle, self.num_bytes, self.dtype, self.reduce_op


def as_record(pairs: Mapping[str, str], *, line: int | None) -> Record | str:
    """A record from its values by name, or why it is none."""
    values = {key.casefold().lstrip("#"): value.strip().strip('"').strip() for key, value in pairs.items()}
    for key in _NEEDED:
        if key not in values:
            return f"no {key}"
    whole = {}
    for key in ("size", "inplace", "numcycle", "ranks", "rankspernode", "gpusperrank", "gpus"):
        value = values.get(key)
        if value is None:
            continue
        if not value.isascii() or not value.isdecimal() or len(value) > 18:
            return f"{key} is {value[:24]!r}, which is no count"
        whole[key] = int(value)
    if whole["inplace"] > 1:
        return f"inplace is {whole['inplace']}, which is neither 0 nor 1"
    processes = whole.get("ranks", 1)
    return Record(
        line=line,
        cycle=whole.get("numcycle", 0),
        collective=collective_of(values.get("name", values.get("collective", ""))),
        processes=processes,
        group=whole.get("rankspernode", processes),
        gpus=whole.get("gpusperrank", whole.get("gpus", 0)),
        num_bytes=whole["size"],
        dtype=dtype_of(values.get("type", "")),
        reduce_op=reduce_op_of(values.get("redop", "")),
        placement="in_place" if whole["inplace"] else "out_of_place",
        time=values["time"],
        algbw=values["algbw"],
        busbw=values["busbw"],
        wrong=values.get("wrong", "N/A"),
    )


def tables_of(
    records: Iterable[Record], layout: str, *, why_partial: str | None = None
) -> Iterator[ForeignTable]:
    """One table for each run of records of one collective and one number of ranks."""
    for _, run in groupby(records, key=lambda record: record.run):
        yield _table(list(run), layout, why_partial)


def _table(records: Sequence[Record], layout: str, why_partial: str | None) -> ForeignTable:
    first = records[0]
    points = tuple(_points(records, None))
    told = first.processes * first.gpus or None
    group = first.group * first.gpus or None
    inferred = ranks_of_points(points)
    num_ranks = told or inferred
    is_split = told is not None and group is not None and group < told and inferred != told
    points = tuple(_points(records, group if is_split else num_ranks))
    settings: dict[str, int | float | str] = {}
    if len(cycles := {record.cycle for record in records}) > 1:
        settings["cycles"] = len(cycles)
    return ForeignTable(
        program=first.collective,
        family="rccl-tests",
        layout=layout,
        library="rccl",
        points=points,
        num_ranks=num_ranks,
        num_ranks_source="columns" if told else "inferred" if inferred else None,
        group_ranks=group if is_split else None,
        settings=settings,
        is_complete=why_partial is None,
        why_partial=why_partial,
    )


def _points(records: Sequence[Record], num_ranks: int | None) -> Iterator[ForeignPoint]:
    """Records of one size that follow each other are one point, each placement once."""
    pending: list[Record] = []
    for record in records:
        is_next = pending and (
            record.size != pending[0].size or record.placement in {other.placement for other in pending}
        )
        if is_next:
            yield _point(pending, num_ranks)
            pending = []
        pending.append(record)
    if pending:
        yield _point(pending, num_ranks)


def _point(records: Sequence[Record], num_ranks: int | None) -> ForeignPoint:
    first = records[0]
    message_bytes = first.num_bytes
    if num_ranks is not None and first.collective in _RECEIVED:
        shares = {_is_share(record, num_ranks) for record in records}
        message_bytes *= num_ranks if shares == {True} else 1
    is_reducing = first.collective in REDUCING or first.collective not in FACTORS
    return ForeignPoint(
        line=first.line,
        collective=first.collective,
        printed_bytes=first.num_bytes,
        message_bytes=message_bytes,
        count=None,
        dtype=first.dtype,
        reduce_op=first.reduce_op if is_reducing else None,
        root=None,
        measure_pass="bandwidth",
        readings=tuple(_reading(record, message_bytes, num_ranks) for record in records),
    )


def _is_share(record: Record, num_ranks: int) -> bool:
    """Whether size / time contradicts algbw as it stands, and fits it as one rank's share."""
    time = printed(record.time, exponent=_MICROS)
    algbw = printed(record.algbw, exponent=_GIGA)
    sizes = (record.num_bytes, record.num_bytes * num_ranks)
    as_is, as_share = (contradiction(record.collective, size, num_ranks, time, algbw) for size in sizes)
    return as_is is not None and as_share is None


def _reading(record: Record, message_bytes: int, num_ranks: int | None) -> Reading:
    notes: list[str] = []
    time = _positive(record.time, _MICROS, "the time", notes)
    algbw = _bandwidth(record.algbw, "algbw", notes)
    busbw = _bandwidth(record.busbw, "busbw", notes)
    if (text := contradiction(record.collective, message_bytes, num_ranks, time, algbw)) is not None:
        notes.append(text)
    if message_bytes != record.num_bytes:
        notes.append(f"size is one rank's share of the message, {record.num_bytes} of {message_bytes} B")
    wrong = record.wrong
    is_count = wrong.isascii() and wrong.isdecimal() and len(wrong) <= 18
    if not is_count and wrong not in ("N/A", ""):
        notes.append(f"wrong is {wrong[:24]!r}, which is no count")
    return Reading(
        placement=record.placement,
        time_s=time,
        statistic=LOOP_MEAN_RANK_MEAN,
        algbw_bytes_per_s=algbw,
        busbw_bytes_per_s=busbw,
        num_wrong_elements=int(wrong) if is_count else None,
        notes=tuple(notes),
    )


def _bandwidth(token: str, what: str, notes: list[str]) -> Printed | None:
    """0 is what one rank and size 0 have, and says nothing."""
    number = printed(token, exponent=_GIGA)
    return None if number is not None and number.value == 0 else _positive(token, _GIGA, what, notes)


def _positive(token: str, exponent: int, what: str, notes: list[str]) -> Printed | None:
    number = printed(token, exponent=exponent)
    if number is None or number.value <= 0:
        notes.append(f"{what} is {token[:24]!r}, which is no positive, finite number")
        return None
    return number
