"""`point_samples`: files of samples to the slowest rank of every iteration. Rows pass by in pieces and are never held."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from analysis.sample_chunks import (
    BATCH_ROWS,
    Chunk,
    Floats,
    Integers,
    Piece,
    is_pair,
    joined,
    names_in,
    read_chunks,
)
from analysis.sample_files import READ_ERRORS, SampleFile, sentence

NUM_WORKERS: Final = min(4, os.cpu_count() or 1)
"""Row groups that are read at once, each in some 50 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSamples:
    """The slowest rank of every iteration of one point.

    Attributes:
        slowest_s: in the order of measurement, seconds; without the iterations that are left out.
        num_ranks: whose samples are there.
        num_bad_rows: samples that are no positive, finite time.
        num_left_out: iterations of which not every rank has one good sample, so that the slowest is not known.
    """

    point_id: str
    iterations: Integers
    slowest_s: Floats
    num_ranks: int
    num_rows: int
    num_bad_rows: int
    num_left_out: int


def point_samples(
    files: Sequence[SampleFile], problems: list[str], point_id: str | None = None
) -> Iterator[PointSamples]:
    """Points in the order of the files, each as soon as no later row can belong to it.

    First the names of all row groups are read, then `NUM_WORKERS` row groups at a time, each reduced to one number per
    iteration. So memory grows with the iterations of a point, not with its ranks, and with the number of points only where
    their rows are mixed.

    ``problems`` gets a sentence for each row group that cannot be read; its points are left out. ``point_id``: that one only.
    """
    tasks = [_Task(file=file, group=group) for file in files for group in range(file.metadata.num_row_groups)]
    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        list(pool.map(_Task.read_names, tasks))
        if point_id is not None:
            tasks = [task for task in tasks if task.may_hold(point_id)]
        last = {name: number for number, task in enumerate(tasks) for name in task.names}
        failed: list[_Task] = []
        gathered: dict[str, _Gathering] = {}
        for number, (task, chunks) in enumerate(_read_ahead(pool, tasks)):
            if isinstance(chunks, Exception):
                failed.append(task)
                problems.append(f"{task.where} cannot be read ({sentence(chunks)}); its points are left out")
            else:
                for chunk in chunks:
                    if point_id in (None, chunk.point_id):
                        gathered.setdefault(chunk.point_id, _Gathering(chunk.point_id)).add(chunk)
            for name in [name for name in task.names if name in gathered and last[name] == number]:
                found = gathered.pop(name)
                if not any(broken.may_hold(name) for broken in failed):
                    yield found.samples()


@dataclass(slots=True, kw_only=True, eq=False)
class _Task:
    """One row group. ``names``: of the points in it, in order; ``error``: why they cannot be read."""

    file: SampleFile
    group: int
    names: tuple[str, ...] = ()
    has_nameless: bool = False
    error: Exception | None = None

    @property
    def where(self) -> str:
        return f"{self.file.path}, row group {self.group + 1} of {self.file.metadata.num_row_groups}"

    def read_names(self) -> None:
        # Not from the statistics in the footer: pyarrow 26 ends the process over damaged ones.
        try:
            self.names, self.has_nameless = names_in(self.file, self.group)
        except READ_ERRORS as error:
            self.error = error

    def may_hold(self, point_id: str) -> bool:
        return self.error is not None or point_id in self.names

    def read(self) -> list[Chunk] | Exception:
        try:
            only = self.names[0] if len(self.names) == 1 and not self.has_nameless else None
            return self.error or read_chunks(self.file, self.group, only)
        except READ_ERRORS as error:
            return error


def _read_ahead(
    pool: ThreadPoolExecutor, tasks: Sequence[_Task]
) -> Iterator[tuple[_Task, list[Chunk] | Exception]]:
    """Row groups in order, some of them under way while others are taken; few enough to bound the memory."""
    waiting: deque[tuple[_Task, Future[list[Chunk] | Exception]]] = deque()
    try:
        for task in tasks:
            waiting.append((task, pool.submit(task.read)))
            if len(waiting) == 2 * NUM_WORKERS:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


@dataclass(slots=True)
class _Gathering:
    """A point of which rows may still come."""

    point_id: str
    ranks: set[int] = field(default_factory=set)
    num_rows: int = 0
    num_bad: int = 0
    pieces: dict[int, list[Piece]] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        self.ranks |= chunk.ranks
        self.num_rows += chunk.num_rows
        self.num_bad += chunk.num_bad
        for key, piece in chunk.pieces.items():
            pieces = self.pieces.setdefault(key, [])
            pieces.append(piece)
            # Joined whenever they have doubled: however many there are, an entry is moved a few times only.
            if sum(len(p[0]) for p in pieces[1:]) > max(BATCH_ROWS, len(pieces[0][0])):
                self.pieces[key] = [joined(pieces)]
        if is_pair(self.point_id) and self.ranks:
            ends = {min(self.ranks), max(self.ranks)}
            self.pieces = {rank: pieces for rank, pieces in self.pieces.items() if rank in ends}

    def samples(self) -> PointSamples:
        num_timed = len(self.pieces) if is_pair(self.point_id) else len(self.ranks)
        iterations, slowest_s, counts = joined([piece for pieces in self.pieces.values() for piece in pieces])
        is_whole = (counts == num_timed) & ~np.isnan(slowest_s)
        num_left_out = len(is_whole) - int(np.count_nonzero(is_whole))
        return PointSamples(
            point_id=self.point_id,
            iterations=iterations[is_whole] if num_left_out else iterations,
            slowest_s=slowest_s[is_whole] if num_left_out else slowest_s,
            num_ranks=len(self.ranks),
            num_rows=self.num_rows,
            num_bad_rows=self.num_bad,
            num_left_out=num_left_out,
        )
