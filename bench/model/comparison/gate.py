"""`Gate`: whether a system keeps its floors, from one run or several."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.model.comparison.floor import Floor


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedPoint:
    """One floor and what the runs did.

    Attributes:
        times_s: one per run; None: the run does not have the point.
        num_misses: runs that took longer than the floor allows, or do not have the point although they
            should.
    """

    floor: Floor
    times_s: tuple[float | None, ...]
    num_misses: int
    has_failed: bool

    @property
    def num_missing(self) -> int:
        return self.times_s.count(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """All floors, each for itself: nothing is averaged over points.

    Attributes:
        least_misses: so many of num_runs fail a point.
        ungated: keys that some run has and no floor is for, in the order of the runs.
    """

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
    """Hold every run against every floor; a point fails where at least k of the m runs miss its floor.

    A run misses a floor with a time above it, and without a (positive, finite) time: what was not measured
    has not passed.

    k is m // 2 + 1 unless told otherwise, a majority: one odd run of three, which a neighbour's job can
    cause, does not fail a sound system, and a system that misses its floor in most runs does not pass because
    one of them was lucky, as it does where any run may pass. If a sound system misses a floor in a share q of
    its runs, it fails in at most m q / k of all gates (Markov's inequality; less than 2 q for a majority),
    however the runs depend on one another, and in about 3 q**2 for 2 of 3 independent ones.

    Args:
        runs_s: for each run the median time of each point, in seconds, by key.
        least_misses: k.
        may_miss: keys that a run need not have.

    Raises:
        ValueError: no floors, no runs, two floors of one point, or a k that m runs cannot have.
    """
    num_runs = len(runs_s)
    if not floors:
        raise ValueError(
            "there are no floors to hold runs against; derive some from runs of your own or from a ceiling"
        )
    if num_runs == 0:
        raise ValueError("there is no run to hold against the floors; name at least one")
    twice = [key for key, number in Counter(floor.key for floor in floors).items() if number > 1]
    if twice:
        raise ValueError(f"{twice[0]} has {sum(f.key == twice[0] for f in floors)} floors; keep one")
    needed = num_runs // 2 + 1 if least_misses is None else least_misses
    if not 1 <= needed <= num_runs:
        raise ValueError(
            f"least_misses is {needed} with {num_runs} runs; it is a number of runs from 1 to {num_runs}, or None for a majority"
        )
    points = []
    for floor in floors:
        times_s = tuple(_time_s(run_s.get(floor.key)) for run_s in runs_s)
        misses = sum(
            floor.key not in may_miss if time_s is None else time_s > floor.longest_s for time_s in times_s
        )
        points.append(
            GatedPoint(floor=floor, times_s=times_s, num_misses=misses, has_failed=misses >= needed)
        )
    known = {floor.key for floor in floors}
    ungated = dict.fromkeys(key for run_s in runs_s for key in run_s if key not in known)
    return Gate(points=tuple(points), least_misses=needed, num_runs=num_runs, ungated=tuple(ungated))


def _time_s(time_s: float | None) -> float | None:
    return time_s if time_s is not None and 0 < time_s < math.inf else None
