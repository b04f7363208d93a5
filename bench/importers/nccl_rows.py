"""Rows of nccl-tests and its relatives: which columns a header announces, and what a row holds.

Everything is read by token, never by column, since widths are minimum widths. A header is a common part, one or two halves that
begin with a time, and perhaps a time stamp of two tokens, so that each layout since 2017 is one case:

    9   size count type redop root, time algbw busbw #wrong             -O 0 of rccl-tests
    11, 12, 13   size count type [redop] [root], and two halves         2017 to 2022, by test
    13  the same five, and two halves                                   since August 2022; 15 with -S, 21 with -I, 23 with both
    14, 15  with one or two columns ``copybw``                          a branch of 2024 and 2025
    6 and more   size(B) count(elems) type time(us) algbw busbw         AWS nccom-test
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.importers.rounding import is_number

OUT_OF_PLACE: Final = "out_of_place"
IN_PLACE: Final = "in_place"

_SYNONYMS: Final = {
    "bytes": "size", "n": "count", "op": "redop", "cputime": "time", "res": "error", "#wrong": "wrong", "i_cv%": "i_cv",
    "count": "count",
}  # fmt: skip
_UNIT: Final = re.compile(r"([^()]+)\(([^()]*)\)")
_PLACEMENT: Final = re.compile(r"out-of-place|in-place")
_INTEGER: Final = re.compile(r"-?\d{1,20}")
_NO_NUMBER: Final = frozenset({"N/A", "n/a", "nan", "-nan", "inf", "-inf"})
_TIME_EXPONENTS: Final = {"s": 0, "ms": -3, "us": -6, "ns": -9}
_MAX_COLUMNS: Final = 64
"""nccom-test prints a column per percentile; no header has nearly as many."""

_EMPTY_HALF: Final = 32
"""Blanks in place of the half that was not measured (``writeBenchMarkLineNullBody`` in src/util.cu)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a header announces.

    Attributes:
        names: of every column, in this importer's spelling.
        starts: where each half begins; ``end`` is where the last one ends.
        placements: of the halves.
        time_exponent: of the unit of times, to seconds: -6 for us.
        is_cpu_time: whether "time" is the CPU time of the calls (-C 1).
        has_stamp: whether a row ends with date and time.
        is_nccom: whether it is AWS nccom-test's.
        is_binary: whether its "GB/s" are 2**30 byte/s, as nccom-test's were when its column was called ``time(us)``.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    end: int
    placements: tuple[str, ...]
    time_exponent: int
    is_cpu_time: bool
    has_stamp: bool
    is_nccom: bool
    is_binary: bool

    @property
    def num_tokens(self) -> int:
        return len(self.names) + self.has_stamp

    @property
    def num_common(self) -> int:
        return self.starts[0]

    def half(self, index: int) -> tuple[int, int]:
        ends = (*self.starts[1:], self.end)
        return self.starts[index], ends[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row, checked but not converted. ``halves``: placement, and tokens by column name.

    ``cut``: why a half is missing, for the reading; None for a whole row. ``stamp``: date and time as printed.
    """

    line: int
    num_bytes: int
    count: int | None
    dtype: str | None
    redop: str | None
    root: int | None
    halves: tuple[tuple[str, dict[str, str]], ...]
    stamp: str | None = None
    cut: str | None = None


def placements_of(title: str) -> tuple[str, ...]:
    """Of the line above the header: ``out-of-place (+ per-iteration)   in-place``."""
    return tuple(found.replace("-", "_") for found in _PLACEMENT.findall(title))


def columns_of(text: str, placements: Sequence[str]) -> Columns | None:
    """The columns of a header line; None where ``text`` is none. ``placements``: of the title above it."""
    words = text.replace("#", " ", 1).split() if text.lstrip().startswith("#") else text.split()
    if not 4 <= len(words) <= _MAX_COLUMNS:
        return None
    names, units = [], []
    for word in words:
        found = _UNIT.fullmatch(word)
        name = (found[1] if found else word).lower()
        units.append(found[2] if found else "")
        names.append(_SYNONYMS.get(name, name))
    if names[0] != "size" or not {"algbw", "busbw"} <= set(names):
        return None
    is_nccom = units[0] != ""
    times = [index for index, name in enumerate(names) if name == "time" or name.startswith("time:")]
    if is_nccom:
        times = times[:1]  # further ones are percentiles of the same half
    if not times or times[0] == 0:
        return None
    is_binary = is_nccom and names[times[0]] == "time"
    statistic = names[times[0]]
    has_stamp = names[-1] == "timestamp"
    known = tuple(placements) if len(placements) == len(times) else (OUT_OF_PLACE, IN_PLACE)[: len(times)]
    if len(known) != len(times):
        return None
    exponent = -3 if words[0].lower() == "bytes" else -6
    return Columns(
        names=tuple("time" if index in times else name for index, name in enumerate(names))
        if not is_nccom
        else tuple(names),
        starts=tuple(times),
        end=len(names) - has_stamp,
        placements=known,
        time_exponent=_TIME_EXPONENTS.get(units[times[0]], exponent),
        is_cpu_time="cputime" in (word.lower() for word in words) and statistic == "time",
        has_stamp=has_stamp,
        is_nccom=is_nccom,
        is_binary=is_binary,
    )


def is_integer(token: str) -> bool:
    return _INTEGER.fullmatch(token) is not None


def is_value(token: str) -> bool:
    """Whether ``token`` can stand in a column of numbers."""
    return is_number(token.rstrip("*")) or token in _NO_NUMBER


def begins_like_row(tokens: Sequence[str]) -> bool:
    return len(tokens) >= 2 and tokens[0].isdecimal() and tokens[1].isdecimal() and len(tokens[0]) <= 20


def expected_tokens(tokens: Sequence[str], columns: Columns) -> int:
    """How many tokens a row has that begins so: one fewer where the field of the operator is empty (hypercube)."""
    return columns.num_tokens - _has_empty_operator(tokens, columns)


def read_row(line: int, text: str, tokens: list[str], columns: Columns) -> Row | str:
    """The row, or why it is none. A row with one half is taken where the other one's place was left blank on purpose."""
    if _has_empty_operator(tokens, columns):
        at = columns.names.index("redop")
        tokens = [*tokens[:at], "", *tokens[at:]]
    if len(tokens) == columns.num_tokens:
        return _row(line, tokens, columns, range(len(columns.starts)), None)
    begin, end = columns.half(0)
    if len(columns.starts) == 2 and len(tokens) == columns.num_tokens - (end - begin):
        gap = re.match(rf"\s*(?:\S+\s+){{{begin - 1}}}\S+(\s+)", text)
        if gap and len(gap[1]) >= _EMPTY_HALF:
            return _row(line, [*tokens[:begin], *tokens[begin - end :]], columns, (1,), None)
    return f"{len(tokens)} tokens, where the header above it announces {columns.num_tokens}"


def read_first_half(line: int, tokens: list[str], columns: Columns) -> Row | str:
    """The half that a cut row still holds; its reading says so."""
    if _has_empty_operator(tokens, columns):
        at = columns.names.index("redop")
        tokens = [*tokens[:at], "", *tokens[at:]]
    begin, end = columns.half(0)
    if len(columns.starts) < 2 or len(tokens) < end:
        return "the row is cut"
    return _row(line, tokens[:end], columns, (0,), "the other half of the row is cut off in the file")


def _has_empty_operator(tokens: Sequence[str], columns: Columns) -> bool:
    if "redop" not in columns.names or "root" not in columns.names:
        return False
    at = columns.names.index("redop")
    return len(tokens) > at + 1 and is_integer(tokens[at]) and not is_integer(tokens[at + 1])


def _row(
    line: int, tokens: list[str], columns: Columns, kept: Sequence[int], cut: str | None
) -> Row | str:
    """``tokens``: the common part, then the kept halves one after the other, then the stamp."""
    common = dict(zip(columns.names[: columns.num_common], tokens, strict=False))
    for name in ("size", "count", "root"):
        if name in common and not is_integer(common[name]):
            return f"{name} is {common[name][:24]!r}, which is no integer"
    if is_value(common.get("type", "float")):
        return f"type is {common['type'][:24]!r}, which is a number"
    if int(common["size"]) < 0 or int(common.get("count", "0")) < 0:
        return "size or count is negative"
    halves, at = [], columns.num_common
    for index in kept:
        begin, end = columns.half(index)
        half = dict(zip(columns.names[begin:end], tokens[at : at + end - begin], strict=True))
        for name, token in half.items():
            if not is_value(token) and name != "algorithm":
                return f"{name} is {token[:24]!r}, which is no number"
        halves.append((columns.placements[index], half))
        at += end - begin
    stamp = " ".join(tokens[at:]) if columns.has_stamp and len(tokens) > at else None
    return Row(
        line=line,
        num_bytes=int(common["size"]),
        count=int(common["count"]) if "count" in common else None,
        dtype=common.get("type"),
        redop=common.get("redop"),
        root=int(common["root"]) if "root" in common else None,
        halves=tuple(halves),
        stamp=stamp,
        cut=cut,
    )
