"""Columns and rows of OSU micro-benchmarks: which columns a header announces, and what a row holds.

Every number but sizes and counts has two decimals (``FLOAT_PRECISION`` in c/util/osu_util.h), so a time of 0.00 us is below 5 ns.
Avg is the mean over ranks of each rank's mean, Min and Max are the extreme ranks' means. Overlap is a share of the call that the
computation hid. Bandwidths are in 10**6 byte/s. Source: OSU micro-benchmarks 7.4, c/util/osu_util_mpi.c.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.importers.foreign import ForeignPoint, Printed, Reading
from bench.importers.osu_titles import Operation
from bench.importers.rounding import printed

SIZE: Final = "size"
TIME: Final = "time_s"
BANDWIDTH: Final = "bandwidth_bytes_per_s"
OVERALL: Final = "overall_s"
_TRANSMITTED: Final = "transmitted_bytes"
_ITERATIONS: Final = "iterations"
_VALIDATION: Final = "validation"
_UNREAD: Final = "unread"

_US: Final = r"\s*\(us\)"
_MBS: Final = r"\s*\(MB/s(?:ec)?\)"
_COLUMNS: Final = (
    (r"Size(?:\s*\((?:B|bytes)\))?", SIZE),
    (rf"(?:Avg\s+)?Latency{_US}", TIME),
    (rf"Min\s+Latency{_US}", "rank_min_s"),
    (rf"Max\s+Latency{_US}", "rank_max_s"),
    (rf"Overall{_US}", OVERALL),
    (rf"Compute{_US}", "compute_s"),
    (rf"Coll\.\s+Init{_US}", "init_s"),
    (rf"MPI_Test{_US}", "test_s"),
    (rf"MPI_Wait{_US}", "wait_s"),
    (rf"Pure\s+Comm\.{_US}", "pure_comm_s"),
    (rf"Min\s+Comm\.{_US}", "pure_comm_rank_min_s"),
    (rf"Max\s+Comm\.{_US}", "pure_comm_rank_max_s"),
    (r"Overlap\s*\(%\)", "overlap"),
    (rf"Bandwidth{_MBS}", BANDWIDTH),
    (r"MB/s(?:ec)?", BANDWIDTH),
    (r"Messages/s(?:ec)?", "messages_per_s"),
    (r"Iterations", _ITERATIONS),
    (r"Validation", _VALIDATION),
    (rf"P(?P<latency>\d{{1,3}})\s+Tail\s+Lat{_US}", "p{}_s"),
    (rf"P(?P<bandwidth>\d{{1,3}})\s+Tail\s+BW{_MBS}", "p{}_bytes_per_s"),
    (r"Transmit\s+Size", _TRANSMITTED),
    (r"[^\s\d]\S*(?: \S+)*", _UNREAD),
)
_TITLES: Final = tuple(
    (re.compile(rf"\s*{pattern}(?=\s|$)", re.IGNORECASE), name) for pattern, name in _COLUMNS
)
_MEASURED: Final = frozenset({TIME, BANDWIDTH, OVERALL})
_EXPONENTS: Final = {"overlap": -2, "messages_per_s": 0}
"""Of the unit of a column, to SI; -6 for the times, 6 for the bandwidths."""

_DTYPES: Final = {
    "MPI_CHAR": "int8",
    "MPI_BYTE": "uint8",
    "MPI_INT": "int32",
    "MPI_FLOAT": "float32",
    "MPI_DOUBLE": "float64",
}
_WHOLE: Final = re.compile(r"\d{1,18}")
_DECIMAL: Final = re.compile(r"-?\d{1,24}\.(\d{1,9})|-?nan|-?inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: what it holds, and its title as printed."""

    name: str
    title: str


def read_header(line: str) -> tuple[Column, ...] | None:
    """The columns that a line announces; None where it is no header. Without a ``#`` every column has to be a known one."""
    text = line.strip()
    has_sign = text.startswith("#")
    text = text.lstrip("#")
    columns: list[Column] = []
    at = 0
    while at < len(text.rstrip()):
        found, name = next(
            ((f, name) for pattern, name in _TITLES if (f := pattern.match(text, at))), (None, "")
        )
        if found is None:
            return None
        which = next((number for number in found.groups() if number is not None), "")
        columns.append(Column(name=name.format(which), title=found[0].strip()))
        at = found.end()
    names = [column.name for column in columns]
    if _MEASURED.isdisjoint(names) or (SIZE in names and names[0] != SIZE):
        return None
    if not has_sign and (_UNREAD in names or len(names) < 2):
        return None
    return tuple(columns)


def dtype_of(name: str) -> str | None:
    """torch's name of an MPI data type; the MPI name where there is none."""
    return _DTYPES.get(name, name[:40]) or None


def begins_like_row(tokens: Sequence[str], columns: Sequence[Column]) -> bool:
    pattern = _WHOLE if columns[0].name == SIZE else _DECIMAL
    return bool(tokens) and pattern.fullmatch(tokens[0]) is not None


def read_row(
    line: int,
    tokens: Sequence[str],
    columns: Sequence[Column],
    operation: Operation,
    dtype: str | None,
    decimals: int,
) -> ForeignPoint | str:
    """The point, or why the line is none. ``message_bytes`` is that of one peer: `with_ranks` makes it the message.

    ``decimals``: that numbers have in this table, so that one that was cut off is told from a short one.
    """
    if len(tokens) != len(columns):
        return f"{len(tokens)} values, where the header announces {len(columns)} columns"
    values: dict[str, str] = {}
    for column, token in zip(columns, tokens, strict=True):
        if column.name in (SIZE, _ITERATIONS, _TRANSMITTED):
            if _WHOLE.fullmatch(token) is None:
                return f"{column.title} is {token[:24]!r}, which is no count"
        elif column.name not in (_VALIDATION, _UNREAD):
            found = _DECIMAL.fullmatch(token)
            if found is None:
                return f"{column.title} is {token[:24]!r}, which is no number"
            if found[1] is not None and len(found[1]) != decimals:
                return f"{column.title} is {token[:24]!r}, which has not {decimals} decimals: cut off?"
        values[column.name] = token
    size = int(values.get(SIZE, "0"))
    notes = [f"column {column.title[:40]!r} is not read" for column in columns if column.name == _UNREAD]
    transmitted = int(values.get(_TRANSMITTED, size))
    if transmitted != size:
        notes.append(f"a derived data type of {size} B, of which {transmitted} B are transmitted")
    if operation.is_neighbour:
        notes.append("the size is that of each neighbour")
    return ForeignPoint(
        line=line,
        collective=operation.collective,
        printed_bytes=size,
        message_bytes=transmitted,
        count=None,
        dtype=dtype,
        reduce_op=operation.reduce_op,
        root=None,
        measure_pass=operation.measure_pass,
        readings=(_reading(values, operation, notes),),
    )


def decimals_of(tokens: Sequence[str]) -> int | None:
    """How many decimals the numbers of a row have; None where it has none that tells."""
    found = [len(match[1]) for token in tokens if (match := _DECIMAL.fullmatch(token)) and match[1]]
    return max(found, default=None)


def _reading(values: Mapping[str, str], operation: Operation, notes: list[str]) -> Reading:
    time = _positive(values.get(TIME, values.get(OVERALL)), "s", "the time", notes)
    bandwidth = _positive(values.get(BANDWIDTH), "bytes_per_s", "the bandwidth", notes)
    statistics: dict[str, float] = {}
    for name, token in values.items():
        if name in (SIZE, TIME, BANDWIDTH, _ITERATIONS, _VALIDATION, _TRANSMITTED, _UNREAD):
            continue
        number = printed(token, exponent=_exponent(name))
        if number is None:
            notes.append(f"{name} is {token[:24]}, which is no finite number")
        else:
            statistics[name] = number.value
    wrong = None
    if (verdict := values.get(_VALIDATION)) is not None:
        wrong = {"pass": 0, "fail": 1}.get(verdict.casefold())
        if wrong:
            notes.append("the check failed; how many elements are wrong is not told, so they count as 1")
        elif wrong is None:
            notes.append(f"the check says {verdict[:24]!r}, which is neither Pass nor Fail")
    has_percentile = any(re.fullmatch(r"p\d+_\w+", name) for name in statistics)
    iterations = int(values.get(_ITERATIONS, "0"))
    return Reading(
        placement="out_of_place",
        time_s=time,
        statistic=operation.statistic,
        busbw_bytes_per_s=bandwidth,
        num_wrong_elements=wrong,
        statistics=statistics,
        statistics_of=operation.statistics_of if has_percentile else None,
        num_iterations=iterations or None,
        notes=tuple(notes),
    )


def _exponent(name: str) -> int:
    return _EXPONENTS.get(name, 6 if name.endswith("bytes_per_s") else -6)


def _positive(token: str | None, name: str, what: str, notes: list[str]) -> Printed | None:
    if token is None:
        return None
    number = printed(token, exponent=_exponent(name))
    if number is not None and number.value > 0:
        return number
    is_zero = number is not None and number.value == 0
    notes.append(
        f"{what} is {token}: too small to be printed"
        if is_zero
        else f"{what} is {token}, which is no positive, finite number"
    )
    return None
