"""`Gate`: whether a system keeps its floors, from one run or several."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.model.comparison.floor import Floor


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedPoint:
    """One floor and what the runs did.

    Attributes:
        times_s: one per run; None: the point is missing in that run.
        num_misses: runs that took longer than the floor or do not have the point (unless it may be missing).
    """

    floor: Floor
    times_s: tuple[float | None, ...]
    num_misses: int
    has_failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All floors. ungated: keys that some run has and no floor is for."""

    points: tuple[GatedPoint, ...]
    least_misses: int
    num_runs: int
    ungated: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        return any(point.has_failed for point in self.points)


def gate(
    floors: Sequence[Floor],
    runs_s: Sequence[Mapping[str, float | None]],
    *,
    least_misses: int | None = None,
    may_miss: Collection[str] = (),
) -> Gate:
    """A point fails where at least ``least_misses`` of the runs miss its floor; None: m // 2 + 1, a majority."""
    raise NotImplementedError
