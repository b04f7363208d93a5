"""`Floor`: the longest time that a point may take, and where that number comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The lowest busbw of one point, kept as the longest time, which points without a bandwidth have too.

    Attributes:
        key: of the point; the same text in a run means the same point.
        longest_s: the longest median time of one call that passes.
        provenance: what it was derived from, for the reader: "5 starts of the base, 99.8 % prediction bound of the next".
        bus_bytes: bus factor x message bytes; None for a barrier.
    """

    key: str
    longest_s: float
    provenance: str
    bus_bytes: float | None = None

    @property
    def busbw_bytes_per_s(self) -> float | None:
        return None if self.bus_bytes is None else self.bus_bytes / self.longest_s


def floors_from_baseline(
    baseline_s: Mapping[str, Sequence[float]],
    *,
    bus_bytes: Mapping[str, float] | None = None,
    error_rate: float = 0.05,
) -> tuple[Floor, ...]:
    """key -> one median per process start (at least 3). Bound of the next start, all points together at error_rate."""
    raise NotImplementedError


def floor_from_tolerance(
    key: str, baseline_s: Sequence[float], *, tolerance: float, bus_bytes: float | None = None
) -> Floor:
    """busbw (1 - tolerance) of the median start; the tolerance is the user's."""
    raise NotImplementedError


def floor_from_ceiling(
    key: str, ceiling_s: float, *, share: float, ceiling: str, bus_bytes: float | None = None
) -> Floor:
    """share of a derived ceiling (its time); ``ceiling``: its name for the provenance, such as "optics"."""
    raise NotImplementedError
