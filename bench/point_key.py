"""`PointKey`: which points of two runs are the same measurement."""

from dataclasses import dataclass
from typing import Final

from bench.model import units
from bench.record import Record
from bench.summary import series_name

ASKED: Final = frozenset({"native", "persistent", "pairwise", "chunked"})
"""Algorithms that are asked for by these names; any other name is what the library took when asked for its own."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PointKey:
    """What was asked of a point. What the library then chose (``ring/ll128``) is a result, and not part of it."""

    collective: str
    asked_algorithm: str
    dtype: str
    reduce_op: str | None
    placement: str
    measure_pass: str
    group: str
    num_ranks: int | None
    root: int | None
    message_bytes: int

    @property
    def text(self) -> str:
        """Stable text for files: ``all_reduce.native.float32.sum.in_place.latency.world.n8.1048576``."""
        parts = [self.collective, self.asked_algorithm, self.dtype, self.reduce_op or "none", self.placement]
        parts += [self.measure_pass, self.group, f"n{'?' if self.num_ranks is None else self.num_ranks}"]
        if self.root is not None and self.root > 0:
            parts.append(f"root{self.root}")
        return ".".join([*parts, str(self.message_bytes)])

    @property
    def label(self) -> str:
        """For sentences: ``all_reduce (pairwise) of 1 MiB``; what is not the usual form is named."""
        name = series_name(
            collective=self.collective,
            algorithm=self.asked_algorithm,
            placement=self.placement,
            measure_pass=self.measure_pass,
            group=self.group,
            backend="",
        )
        return f"{name} of {units.format_bytes(self.message_bytes)}"


def point_key(record: Record) -> PointKey:
    """The key of a record; repeats and attempts of one point share it."""
    root = record.reported.root if record.reported else None
    return PointKey(
        collective=record.collective,
        asked_algorithm=record.algorithm if record.algorithm in ASKED else "native",
        dtype=record.dtype,
        reduce_op=record.reduce_op,
        placement=record.placement,
        measure_pass=record.measure_pass,
        group=record.group,
        num_ranks=record.num_ranks,
        root=root if root is not None and root > 0 else None,
        message_bytes=record.message_bytes,
    )
