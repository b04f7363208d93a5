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
}  # fmt: skip
_UNIT: Final = re.compile(r"([^()]+)\(([^()]*)\)")
_PLACEMENT: Final = re.compile(r"out-of-place|in-place")
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_NO_NUMBER: Final = frozenset({"N/A", "n/a", "nan", "-nan", "inf", "-inf"})
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_CLOCK: Final = re.compile(r"\d\d:\d\d:\d\d")
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
        time_word: what the header calls the time: ``time``, ``cputime`` (-C 1), ``time:avg`` or ``time:p50`` (nccom-test).
        has_stamp: whether a row ends with date and time.
        is_nccom: whether it is AWS nccom-test's.
        is_binary: whether its "GB/s" are 2**30 byte/s, as nccom-test's were when its column was called ``time(us)``.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    end: int
    placements: tuple[str, ...]
    time_exponent: int
    time_word: str
    has_stamp: bool
    is_nccom: bool
    is_binary: bool

    @property
    def num_tokens(self) -> int:
        return len(self.names) + self.has_stamp

    @property
    def fields(self) -> tuple[str, ...]:
        """The name of each token."""
        return (*self.names[: self.end], "date", "clock") if self.has_stamp else self.names

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
    matches = [_UNIT.fullmatch(word) for word in words]
    units = [found[2] if found else "" for found in matches]
    raw = [(found[1] if found else word).lower() for word, found in zip(words, matches, strict=True)]
    names = [_SYNONYMS.get(name, name) for name in raw]
    is_nccom = units[0] != ""
    if is_nccom:  # further times are percentiles of the same half
        times = [index for index, name in enumerate(names) if name.partition(":")[0] == "time"][:1]
    else:
        times = [index for index, name in enumerate(names) if name == "time"]
    if names[0] != "size" or not {"algbw", "busbw"} <= set(names) or not times or times[0] < 2:
        return None
    if len(placements) != len(times):
        placements = (OUT_OF_PLACE, IN_PLACE)[: len(times)]
    if len(placements) != len(times):
        return None
    first, has_stamp = times[0], names[-1] == "timestamp"
    names[first] = "time"
    columns = Columns(
        names=tuple(names),
        starts=tuple(times),
        end=len(names) - has_stamp,
        placements=tuple(placements),
        time_exponent=_TIME_EXPONENTS.get(units[first], -3 if raw[0] == "bytes" else -6),
        time_word=raw[first],
        has_stamp=has_stamp,
        is_nccom=is_nccom,
        is_binary=is_nccom and raw[first] == "time",
    )
    halves = [columns.names[slice(*columns.half(index))] for index in range(len(times))]
    is_whole = all({"algbw", "busbw"} <= set(half) and len(set(half)) == len(half) for half in halves)
    return columns if is_whole and len(set(names[:first])) == first else None


def is_value(token: str) -> bool:
    """Whether ``token`` can stand in a column of numbers."""
    return is_number(token.rstrip("*")) or token in _NO_NUMBER


def begins_like_row(tokens: Sequence[str]) -> bool:
    """Size and count. nccom-test prints a size alone where it fails."""
    return len(tokens) >= 2 and all(_is_count(token) for token in tokens[:2])


def expected_tokens(tokens: Sequence[str], columns: Columns) -> int:
    """How many tokens a row has that begins so: one fewer where the field of the operator is empty (hypercube)."""
    return columns.num_tokens - _has_empty_operator(tokens, columns)


def is_beginning(tokens: Sequence[str], columns: Columns) -> bool:
    """Whether a row can begin with these tokens, and lacks some."""
    missing = expected_tokens(tokens, columns) - len(tokens)
    return missing > 0 and _fault(_filled(tokens, columns), columns.fields) is None


def are_values(tokens: Sequence[str], columns: Columns) -> bool:
    """Whether tokens can continue a row: numbers, and where rows have one, the time stamp at their end."""
    if columns.has_stamp and len(tokens) > 1 and _DATE.fullmatch(tokens[-2]) and _CLOCK.fullmatch(tokens[-1]):
        tokens = tokens[:-2]
    return all(map(is_value, tokens))


def ends_a_half(tokens: Sequence[str], columns: Columns) -> bool:
    """Whether a row that is told up to here has its common part, a half of it or all, and nothing begun."""
    return len(_filled(tokens, columns)) in {*columns.starts, columns.end, columns.num_tokens}


def read_row(line: int, text: str, tokens: Sequence[str], columns: Columns) -> Row | str:
    """The row, or why it is none. A row with one half is taken where the other one's place was left blank on purpose."""
    tokens = _filled(tokens, columns)
    if len(tokens) == columns.num_tokens:
        return _row(line, tokens, columns, range(len(columns.starts)), None)
    begin, end = columns.half(0)
    if len(columns.starts) == 2 and len(tokens) == columns.num_tokens - (end - begin):
        gap = re.match(rf"\s*(?:\S+\s+){{{begin - 1}}}\S+(\s+)", text)
        if gap and len(gap[1]) >= _EMPTY_HALF:
            return _row(line, tokens, columns, (1,), None)
    return f"{len(tokens)} tokens, where the header above it announces {columns.num_tokens}"


def read_first_half(line: int, tokens: Sequence[str], columns: Columns) -> Row | str:
    """The half that a cut row still holds; its reading says so. A row that lacks its time stamp alone has both."""
    tokens = _filled(tokens, columns)
    if columns.has_stamp and len(tokens) >= columns.end:
        return _row(line, tokens[: columns.end], columns, range(len(columns.starts)), None)
    _, end = columns.half(0)
    if len(columns.starts) < 2 or len(tokens) < end:
        return "the row is cut"
    return _row(line, tokens[:end], columns, (0,), "the other half of this row is cut off in the file")


def _has_empty_operator(tokens: Sequence[str], columns: Columns) -> bool:
    """A root where the operator should be."""
    if "redop" not in columns.names or "root" not in columns.names:
        return False
    at = columns.names.index("redop")
    return len(tokens) > at and _is_integer(tokens[at])


def _filled(tokens: Sequence[str], columns: Columns) -> Sequence[str]:
    if not _has_empty_operator(tokens, columns):
        return tokens
    at = columns.names.index("redop")
    return [*tokens[:at], "", *tokens[at:]]


def _is_count(token: str) -> bool:
    return _is_integer(token) and token[0] != "-"


def _is_integer(token: str) -> bool:
    return _INTEGER.fullmatch(token) is not None


def _fault(tokens: Sequence[str], fields: Sequence[str]) -> str | None:
    """The first token that cannot stand in its column. Either may be longer."""
    for name, token in zip(fields, tokens, strict=False):
        if name in ("size", "count"):
            is_good = _is_count(token)
        elif name == "root":
            is_good = _is_integer(token)
        elif name == "type":
            is_good = not is_value(token)
        elif name == "date":
            is_good = _DATE.fullmatch(token) is not None
        else:
            is_good = name in ("redop", "algorithm", "clock") or is_value(token)
        if not is_good:
            return f"{name} cannot be {token[:8]!r}"
    return None


def _row(
    line: int, tokens: Sequence[str], columns: Columns, kept: Sequence[int], cut: str | None
) -> Row | str:
    """``tokens``: the common part, then the kept halves one after the other, then the stamp."""
    bounds = [columns.half(index) for index in kept]
    fields = [*columns.names[: columns.num_common]]
    for begin, end in bounds:
        fields += columns.names[begin:end]
    fields += columns.fields[columns.end :]
    fault = _fault(tokens, fields)
    if fault is not None:
        return fault
    common = dict(zip(fields[: columns.num_common], tokens, strict=False))
    halves, at = [], columns.num_common
    for index, (begin, end) in zip(kept, bounds, strict=True):
        half = dict(zip(columns.names[begin:end], tokens[at : at + end - begin], strict=True))
        halves.append((columns.placements[index], half))
        at += end - begin
    return Row(
        line=line,
        num_bytes=int(common["size"]),
        count=int(common["count"]) if "count" in common else None,
        dtype=common.get("type"),
        redop=common.get("redop"),
        root=int(common["root"]) if "root" in common else None,
        halves=tuple(halves),
        stamp=" ".join(tokens[at:]) or None,
        cut=cut,
    )
