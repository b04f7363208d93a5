"""`Floor`: the longest time that a point may take, and where that number comes from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model.comparison.power import ERROR_RATE

MIN_STARTS: Final = 3
"""Of a prediction bound. Two starts have one degree of freedom: among 21 points the bound is then 160
standard deviations away, which is a bound in name only; with 3 it is 17, with 5 it is 6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The lowest busbw of one point, kept as the longest time, which points without a bandwidth have too.

    Attributes:
        key: of the point; the same text in a run means the same point.
        longest_s: the longest median time of one call that passes.
        provenance: what it was derived from, for the reader.
        bus_bytes: bus factor x message bytes; None for a barrier.

    Raises:
        ValueError: a time or bytes that are not positive and finite, or no provenance.
    """

    key: str
    longest_s: float
    provenance: str
    bus_bytes: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.longest_s < math.inf:
            raise ValueError(
                f"floor of {self.key}: longest_s is {self.longest_s}; it is a time in seconds above 0"
            )
        if self.bus_bytes is not None and not 0 < self.bus_bytes < math.inf:
            raise ValueError(
                f"floor of {self.key}: bus_bytes is {self.bus_bytes}; it is the bus factor times the message, above 0, or None "
                "where there is no bandwidth"
            )
        if not self.provenance.strip():
            raise ValueError(f"floor of {self.key} has no provenance; say what the number was derived from")

    @property
    def busbw_bytes_per_s(self) -> float | None:
        """None for a point without a bandwidth."""
        return None if self.bus_bytes is None else self.bus_bytes / self.longest_s


def floors_from_baseline(
    baseline_s: Mapping[str, Sequence[float]],
    *,
    bus_bytes: Mapping[str, float] | None = None,
    error_rate: float = ERROR_RATE,
) -> tuple[Floor, ...]:
    """What the next start of the same system stays below at all points in 1 - ``error_rate`` of all runs.

    With x = ln(median of a start), m starts, their mean and standard deviation s, and a = error_rate / number
    of points:

        ln longest_s = mean + t(1 - a, m - 1 degrees of freedom) s sqrt(1 + 1 / m),

    the one-sided prediction bound of one more value; busbw is the reciprocal of time, so this is its lower
    bound. The tolerance is thus what the system itself does from start to start, and tightens with more
    starts.

    Shape: key to one median time per start of the processes, in seconds; at least `MIN_STARTS` of each.
    Raises:
        ValueError: no points, one with too few starts or the same time in all of them, a time that is none;
            names the points.
    Source:
        Hahn 1970, Journal of Quality Technology 2(3) and 2(4), prediction intervals of a normal distribution.
    """
    from scipy.special import stdtrit

    if not baseline_s:
        raise ValueError("baseline_s holds no point; a floor needs runs of the system as it should be")
    if not 0 < error_rate < 1:
        raise ValueError(f"error_rate is {error_rate}; allowed is above 0 and below 1, such as 0.05")
    few = [key for key, times_s in baseline_s.items() if len(times_s) < MIN_STARTS]
    if few:
        raise ValueError(
            f"{_listed(few)} of the base: {len(baseline_s[few[0]])} starts of the processes, and a prediction bound needs "
            f"{MIN_STARTS}, better 5; repeat the run, leave these points out, or give a tolerance of your own"
        )
    each = error_rate / len(baseline_s)
    floors = []
    for key, times_s in baseline_s.items():
        logs = np.log(_durations(key, times_s))
        number, spread = len(logs), float(logs.std(ddof=1))
        if min(times_s) == max(times_s):
            raise ValueError(
                f"{key} of the base: {number} starts with the same time to the last digit, as copies of one run have; take runs "
                "of their own, or give a tolerance of your own"
            )
        reach = float(stdtrit(number - 1, 1 - each)) * spread * math.sqrt(1 + 1 / number)
        longest_s = math.exp(min(float(logs.mean()) + reach, math.log(np.finfo(np.float64).max)))
        provenance = (
            f"{number} starts of the base, {math.exp(float(logs.mean())):.6g} s with a spread of {spread:.2%}: the next start is "
            f"faster with {1 - each:.2%} ({1 - error_rate:.0%} for all {len(baseline_s)} points)"
        )
        size = None if bus_bytes is None else bus_bytes.get(key)
        floors.append(Floor(key=key, longest_s=longest_s, provenance=provenance, bus_bytes=size))
    return tuple(floors)


def floor_from_tolerance(
    key: str, baseline_s: Sequence[float], *, tolerance: float, bus_bytes: float | None = None
) -> Floor:
    """busbw of the median start less a share that the user names: longest_s = median / (1 - tolerance).

    One start is enough, and then nothing is known of what the next one does.

    Raises:
        ValueError: no start, a time that is none, a tolerance outside [0, 1).
    """
    if not 0 <= tolerance < 1:
        raise ValueError(
            f"tolerance is {tolerance}; it is the share of busbw that may be lost, from 0 to below 1 (0.05: 5 %)"
        )
    times_s = _durations(key, baseline_s)
    starts = "1 start" if len(times_s) == 1 else f"the median of {len(times_s)} starts"
    middle_s = float(np.median(times_s))
    return Floor(
        key=key,
        longest_s=middle_s / (1 - tolerance),
        provenance=f"{starts} of the base, {middle_s:.6g} s, less the given tolerance of {tolerance:.4g} of busbw",
        bus_bytes=bus_bytes,
    )


def floor_from_ceiling(
    key: str, ceiling_s: float, *, share: float, ceiling: str, bus_bytes: float | None = None
) -> Floor:
    """A share, which the user names, of the derived ceiling of busbw: longest_s = ceiling_s / share.

    Args:
        ceiling_s: the shortest time that optics and fabric allow.
        ceiling: what makes it, for the provenance, such as "optics".

    Raises:
        ValueError: a share above 1, which nothing can reach, or not above 0; a time that is none.
    """
    if not 0 < share <= 1:
        raise ValueError(
            f"share is {share}; a floor is a share of the ceiling above 0 and at most 1, for nothing passes a floor above it"
        )
    shortest_s = float(_durations(key, [ceiling_s])[0])
    what = f"{shortest_s:.6g} s" if bus_bytes is None else f"{bus_bytes / shortest_s / 1e9:.4g} GB/s"
    return Floor(
        key=key,
        longest_s=shortest_s / share,
        provenance=f"{share:.4g} x ceiling of {what} ({ceiling})",
        bus_bytes=bus_bytes,
    )


def require_reachable(floors: Sequence[Floor], ceilings_s: Mapping[str, float]) -> None:
    """Refuse floors above their ceiling, whatever they were derived from.

    ``ceilings_s``: the shortest time that optics and fabric allow, by key; points without one are not
    checked.

    Raises:
        ValueError: a floor that asks for less time than that; names the points.
    """
    beyond = [floor for floor in floors if floor.longest_s < ceilings_s.get(floor.key, 0.0)]
    if beyond:
        first = beyond[0]
        raise ValueError(
            f"floor of {_listed([floor.key for floor in beyond])}: {first.longest_s:.6g} s ({first.provenance}) is less than the "
            f"{ceilings_s[first.key]:.6g} s that optics and fabric allow, so nothing could pass; correct the floor, or what was "
            "said about the optics"
        )


def _durations(key: str, times_s: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    durations = np.array([*times_s], dtype=np.float64)
    if len(durations) == 0:
        raise ValueError(f"{key}: no time to derive a floor from")
    bad = [float(time_s) for time_s in durations if not 0 < time_s < math.inf]
    if bad:
        raise ValueError(f"{key}: {bad[0]} s is no duration; times are positive and finite")
    return durations


def _listed(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more points"
