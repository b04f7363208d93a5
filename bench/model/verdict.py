"""`bound_by`: which resource limits a measured point, decided only on evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BACKEND_BELOW: Final = 0.8
BACKEND_EVIDENCE: Final = 0.9
"""A point below 0.8 of its ceiling is called bound by the backend only if another collective or algorithm of the same
run reached 0.9 over the same links."""

LATENCY_TIME_RATIO: Final = 2.0
LATENCY_SIZE_RATIO: Final = 4.0
"""A point is bound by latency when its message is at least 4 times the smallest one's, or is the smallest, and yet takes
less than twice as long: its time hardly depends on its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPoint:
    """What the verdict needs of one point.

    Attributes:
        series: collective and algorithm; points of one series differ in size only.
        efficiency: measured over ceiling; None where there is no ceiling, or it says nothing.
        predicted_bound: the resource of least capacity on the path; None without a prediction.
        is_over_fabric: whether traffic crossed the links of the prediction at all.
    """

    series: tuple[str, ...]
    message_bytes: int
    time_s: float
    efficiency: float | None
    predicted_bound: str | None
    is_over_fabric: bool


def bound_by(point: MeasuredPoint, points: Sequence[MeasuredPoint]) -> str:
    """Name what binds ``point``, given all points of its run: a resource, ``latency``, ``backend`` or ``unknown``."""
    if _is_latency_bound(point, points):
        return "latency"
    if point.efficiency is None or not point.is_over_fabric:
        return "unknown"
    if point.efficiency >= BACKEND_BELOW:
        return point.predicted_bound or "unknown"
    if best_other_efficiency(point, points) >= BACKEND_EVIDENCE:
        return "backend"
    return "unknown"


def best_other_efficiency(point: MeasuredPoint, points: Sequence[MeasuredPoint]) -> float:
    """The best efficiency that another collective or algorithm of the run reached; 0 where there is none."""
    return max(
        (
            other.efficiency
            for other in points
            if other.efficiency is not None and other.is_over_fabric and other.series != point.series
        ),
        default=0.0,
    )


def _is_latency_bound(point: MeasuredPoint, points: Sequence[MeasuredPoint]) -> bool:
    if point.efficiency is not None and point.efficiency >= BACKEND_BELOW:
        return False
    series = sorted(
        (other for other in points if other.series == point.series), key=lambda p: p.message_bytes
    )
    smallest = series[0]
    if smallest.message_bytes == 0:
        return point.message_bytes == 0
    far = [p for p in series if p.message_bytes >= LATENCY_SIZE_RATIO * smallest.message_bytes]
    flat = [p for p in far if p.time_s < LATENCY_TIME_RATIO * smallest.time_s]
    if point.message_bytes >= LATENCY_SIZE_RATIO * smallest.message_bytes:
        return point in flat
    # The smallest points are latency-bound if four times their bytes still take less than twice their time.
    return bool(far) and far[0] in flat
