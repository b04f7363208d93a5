"""`bound_by`: which resource limits a measured point, decided only on evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BACKEND_BELOW: Final = 0.8
BACKEND_EVIDENCE: Final = 0.9
"""A point below 0.8 of its ceiling is called bound by the backend only if another collective or algorithm of the same
run reached 0.9 over the same links."""

LATENCY_ELASTICITY: Final = 0.5
"""A point is bound by latency where its time grows with less than the square root of its bytes. For a time a + S / b the
exponent is the share of the second term, so below one half the constant term is the larger one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPoint:
    """What the verdict needs of one point.

    Attributes:
        series: collective, algorithm, and what else tells points apart; those of one series differ in size only.
        group: the links of one group are not those of another.
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
    group: str = "world"


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
            if other.efficiency is not None
            and other.is_over_fabric
            and other.predicted_bound == point.predicted_bound
            and other.series[:2] != point.series[:2]
            and other.group == point.group
        ),
        default=0.0,
    )


def _is_latency_bound(point: MeasuredPoint, points: Sequence[MeasuredPoint]) -> bool:
    """Compare with the next smaller message of the series; the smallest with the next larger."""
    if point.efficiency is not None and point.efficiency >= BACKEND_BELOW:
        return False
    series = [other for other in points if other.series == point.series]
    smaller = [other for other in series if 0 < other.message_bytes < point.message_bytes]
    larger = [other for other in series if other.message_bytes > point.message_bytes > 0]
    if smaller:
        # A step of 4 rides over the noise of one neighbour better than a step of 2.
        far = [p for p in smaller if p.message_bytes * 4 <= point.message_bytes] or smaller
        return _elasticity(max(far, key=lambda p: p.message_bytes), point) < LATENCY_ELASTICITY
    if larger:
        return _elasticity(point, min(larger, key=lambda p: p.message_bytes)) < LATENCY_ELASTICITY
    return False


def _elasticity(small: MeasuredPoint, large: MeasuredPoint) -> float:
    """Exponent of time over size between two points: log of the ratio of times over log of the ratio of sizes."""
    return math.log(large.time_s / small.time_s) / math.log(large.message_bytes / small.message_bytes)
