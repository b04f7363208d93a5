"""`read_chunks`: one row group of samples, reduced to the slowest rank of each iteration of each point in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.sample_files import SampleFile, parquet_file
from bench.model.collective import Collective

BATCH_ROWS: Final = 1 << 20
"""Rows of a piece. pyarrow puts as many into a row group unless told otherwise, so that few are cut in two."""

_SPAN: Final = 4
"""Iterations are counted up by one, so they are places in an array. Where it would be longer than so many times the rows
(numbers of a damaged file), the numbers that occur are sorted instead."""

_PAIR: Final = f"{Collective.ping_pong.value}."

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Piece = tuple[Integers, Floats, Floats]
"""Iterations, ascending; of each the longest duration in seconds (NaN: one of them is none), and how many there are."""


def is_pair(point_id: str) -> bool:
    """Whether two ranks are timed, the first and the last, while the others stand by (`bench.describe`)."""
    return point_id.startswith(_PAIR)


@dataclass(slots=True, kw_only=True)
class Chunk:
    """What one piece of rows says of one point. ``pieces``: by rank where two are timed, else all together under 0."""

    point_id: str
    ranks: set[int]
    num_rows: int
    num_bad: int
    pieces: dict[int, Piece]


def names_in(source: SampleFile, group: int) -> tuple[tuple[str, ...], bool]:
    """The points of a row group in the order in which they first occur, and whether rows lack one."""
    names: dict[str, None] = {}
    has_nameless = False
    for batch in _batches(source, group, ["point_id"]):
        codes, known = _names_of(batch)
        found = [known[code] if code >= 0 else None for code in _in_order(codes)]
        has_nameless |= None in found
        names |= {name: None for name in found if name is not None}
    return tuple(names), has_nameless


def read_chunks(source: SampleFile, group: int, only: str | None) -> list[Chunk]:
    """All rows of a row group, by point. ``only``: the one point that they are of, where that is known already."""
    columns = [] if only else ["point_id"]
    found: list[Chunk] = []
    for batch in _batches(source, group, [*columns, "rank", "iteration", "duration_s"]):
        found += _chunks(batch, only)
    return found


def _batches(source: SampleFile, group: int, columns: Sequence[str]) -> Iterator[Any]:
    file = parquet_file(source.path, metadata=source.metadata, read_dictionary=["point_id"])
    wanted = [name for name in columns if name in source.columns]
    for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=wanted, use_threads=False):
        if batch.num_rows:
            yield batch


def _names_of(batch: Any) -> tuple[NDArray[Any], list[str | None]]:
    """Of each row the place of its point in a list of names; -1 for none."""
    names = batch.column("point_id")
    if not pa.types.is_dictionary(names.type):
        names = pc.dictionary_encode(names.cast(pa.string()))
    return _numbers(names.indices, -1), names.dictionary.cast(pa.string()).to_pylist()


def _in_order(codes: NDArray[Any]) -> list[int]:
    return list(dict.fromkeys(codes[_starts(codes)].tolist()))


def _chunks(batch: Any, only: str | None) -> Iterator[Chunk]:
    """Rows of each point. A duration that is none becomes NaN."""
    iterations = _numbers(batch.column("iteration"), -1)
    durations_s = _numbers(batch.column("duration_s"), np.nan)
    ranks = _numbers(batch.column("rank"), -1) if "rank" in batch.schema.names else np.zeros_like(iterations)
    is_good = (durations_s > 0) & (durations_s < np.inf)
    if not is_good.all():
        durations_s = np.where(is_good, durations_s, np.nan)
    if only is not None:
        yield _chunk(only, ranks, iterations, durations_s)
        return
    codes, known = _names_of(batch)
    for code, rows in _rows_of(codes):
        name = known[code] if code >= 0 else None
        if name is not None:
            yield _chunk(name, ranks[rows], iterations[rows], durations_s[rows])


def _numbers(column: Any, missing: float) -> NDArray[Any]:
    """A column as an array of float64, int32 or int64."""
    if column.null_count:
        column = column.fill_null(missing)
    if pa.types.is_integer(column.type) and missing == -1:
        is_short = column.type.bit_width <= 32 and column.type != pa.uint32()
        return np.asarray(column.cast(pa.int32() if is_short else pa.int64()))
    return np.asarray(column.cast(pa.int64() if missing == -1 else pa.float64()))


def _starts(values: NDArray[Any]) -> NDArray[np.int64]:
    """Where a value begins that differs from the one before."""
    return np.append(0, np.flatnonzero(values[1:] != values[:-1]) + 1)


def _rows_of(codes: NDArray[Any]) -> Iterator[tuple[int, Any]]:
    """Each value and its rows: a slice where they stand together, which is the rule; else their numbers."""
    starts = _starts(codes)
    order = None
    if len(starts) > len(np.unique(codes[starts])):
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        starts = _starts(codes)
    for start, end in pairwise([*starts.tolist(), len(codes)]):
        yield int(codes[start]), slice(start, end) if order is None else order[start:end]


def _chunk(point_id: str, ranks: Integers, iterations: Integers, durations_s: Floats) -> Chunk:
    num_rows = len(ranks)
    num_bad = int(np.count_nonzero(np.isnan(durations_s)))
    if min(ranks.min(), iterations.min()) < 0:  # of no rank, or no iteration
        is_placed = (ranks >= 0) & (iterations >= 0)
        num_bad += int(np.count_nonzero(~is_placed & ~np.isnan(durations_s)))
        ranks, iterations, durations_s = ranks[is_placed], iterations[is_placed], durations_s[is_placed]
    if not len(ranks):
        return Chunk(point_id=point_id, ranks=set(), num_rows=num_rows, num_bad=num_bad, pieces={})
    found = set(np.unique(ranks[_starts(ranks)]).tolist())
    if is_pair(point_id):
        masks = {rank: ranks == rank for rank in (min(found), max(found))}
        pieces = {rank: _reduced(iterations[mask], durations_s[mask]) for rank, mask in masks.items()}
    else:
        pieces = {0: _by_rank(iterations, durations_s)}
    return Chunk(point_id=point_id, ranks=found, num_rows=num_rows, num_bad=num_bad, pieces=pieces)


def _by_rank(iterations: Integers, durations_s: Floats) -> Piece:
    """`_reduced`, four times as fast where rows are the same iterations again and again, as linerate writes its ranks."""
    starts = [0, *(np.flatnonzero(iterations[1:] <= iterations[:-1]) + 1).tolist(), len(iterations)]
    if len(starts) < 10:  # of so few ranks those that are cut in two cost as much as it saves
        return _reduced(iterations, durations_s)
    length = starts[2] - starts[1]
    # A rank may have begun in the piece before, and may end in the next.
    first = 0 if starts[1] == length else starts[1]
    last = starts[-1] if starts[-1] - starts[-2] == length else starts[-2]
    num_again = (last - first) // length
    if num_again * length != last - first:
        return _reduced(iterations, durations_s)
    if not (iterations[first:last].reshape(-1, length) == iterations[first : first + length]).all():
        return _reduced(iterations, durations_s)
    slowest_s = durations_s[first:last].reshape(-1, length).max(axis=0)
    numbers = iterations[first : first + length].astype(np.int64)
    pieces: list[Piece] = [(numbers, slowest_s, np.full(length, float(num_again)))]
    cut = [slice(0, first), slice(last, starts[-1])]
    pieces += [_reduced(iterations[rows], durations_s[rows]) for rows in cut if rows.start < rows.stop]
    return joined(pieces)


def joined(pieces: Sequence[Piece]) -> Piece:
    """Several pieces of one point as one."""
    if not pieces:
        return np.empty(0, np.int64), np.empty(0), np.empty(0)
    if len(pieces) == 1:
        return pieces[0]
    iterations, slowest_s, counts = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return _reduced(iterations, slowest_s, counts)


def _reduced(iterations: Integers, durations_s: Floats, counts: Floats | None = None) -> Piece:
    """The longest duration of each iteration, NaN where one of them is NaN, and how many there are."""
    first = int(iterations.min())
    num_places = int(iterations.max()) - first + 1
    numbers = None
    if num_places <= _SPAN * len(iterations):
        places = np.subtract(iterations, first, dtype=np.int64)
    else:
        numbers, places = np.unique(iterations, return_inverse=True)
        num_places = len(numbers)
    slowest_s = np.full(num_places, -np.inf)
    with np.errstate(invalid="ignore"):  # a NaN wins, as it shall
        np.maximum.at(slowest_s, places, durations_s)
    seen = np.bincount(places, weights=counts, minlength=num_places).astype(np.float64, copy=False)
    if numbers is not None:
        return numbers, slowest_s, seen
    present = np.flatnonzero(seen)
    if len(present) == num_places:
        return present + first, slowest_s, seen
    return present + first, slowest_s[present], seen[present]
