"""Who was late and who was slow: what the full matrix of one point, rank by iteration, says of its ranks.

Ranks leave a barrier before each call. A rank that comes late to the call then shows the shortest time, for all others
wait for it; a rank that is slow comes with the others and ends after them; a slow link in a ring slows everyone.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.model.units import format_seconds

Matrix = npt.NDArray[np.float64]
"""Shape (num_ranks, num_samples), seconds."""

MIN_SAMPLES: Final = 6
"""From here on the median has an interval of 95 % (`bench.model.statistics`); fewer samples prove no habit."""

MIN_SHARE: Final = 0.1
"""What costs less than a tenth of the point's time is not reported: the bounds between the verdicts on a point (0.8 and
0.9 of its ceiling, `bench.model.verdict`) lie that far apart."""

APART: Final = 5.0
"""A rank is off if its median is so many times the point's own noise (see `_behind`). Gloo on 2 processors that others used
too: without a fault starts were off by 0.5 times at most with 4 ranks and 2.6 with 2, ends by 3.1 and 3.5; with one rank
late by 50 ms starts were off by 10 times at least."""

NEARLY_ALWAYS: Final = 0.8
"""Share of calls in which a rank must be off by half of its median at least; in half of them it is by definition."""

REACHED: Final = 0.75
"""Share of what the links allow below which a point is slow. In a collection of 168 published measurements, labelled by
hand, nine in ten healthy ones over several nodes reached 0.79 of the ceiling of their payload, and nine in ten pathological
ones stayed below 0.72: 0.75 separates that sample, by construction and not by proof."""

STALL_APART: Final = 6.0
"""A stall stands out by so many times the point's own noise (see `_stall`). There the worst call of a point without a fault
stood out by more than 2.4, 3 and 3.8 times at 6, 2 and 0.3 % of 600 points, and by 6 only where other programs had
stopped it for 85 ms and more; a stall of 300 ms by 6 to 330 times, unless another one hit the same point."""

FEW: Final = 0.1
"""A stall hits one call, or neighbours that are at most a tenth of all: what is more frequent belongs to the noise."""


class Kind(Enum):
    """What `classify` tells apart."""

    late_rank = "late rank"
    slow_rank = "slow rank"
    everyone_slow = "everyone slow"
    single_stall = "single stall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """How the ranks came to the calls of one point, in seconds.

    Attributes:
        skew_median_s, skew_max_s: latest start minus earliest start, over iterations.
        transfer_s: per iteration, last end minus last start: the time it took once all had come.
        transfer_median_s: its median.
        lateness_s: per rank, median over iterations of its start minus the median start of the others. One rank: 0.
    """

    skew_median_s: float
    skew_max_s: float
    transfer_s: tuple[float, ...]
    transfer_median_s: float
    lateness_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one point.

    Attributes:
        ranks: the late or the slow ones, in order; none for the other kinds.
        iteration, at_s: of a stall: the worst call, and its start, counted from the first start of the point.
        excess_s: how much later the ranks come or end than all others, how much longer everyone takes than the links
            allow, or how much longer the stalled call took than the median: medians over iterations but for a stall.
        share: ``excess_s`` over the point's median time; for a stall, times the median that it took in excess.
    """

    kind: Kind
    ranks: tuple[int, ...] = ()
    iteration: int | None = None
    at_s: float | None = None
    excess_s: float
    share: float

    def __str__(self) -> str:
        """One clause, without a full stop."""
        who = f"rank{'s' if len(self.ranks) > 1 else ''} {', '.join(map(str, self.ranks))}"
        excess, share = format_seconds(self.excess_s), f"{self.share:.0%} of the time"
        match self.kind:
            case Kind.late_rank:
                return f"late {who}: {excess} after the others, {share}"
            case Kind.slow_rank:
                return f"slow {who}: ends {excess} after the others, {share}"
            case Kind.everyone_slow:
                return f"everyone slow: {excess} more than the links need, {share}"
            case Kind.single_stall:
                at = format_seconds(self.at_s or 0.0)
                return f"single stall at {at}: call {self.iteration} took {excess} longer"


def arrivals(start_s: Matrix, duration_s: Matrix) -> Arrivals:
    """How the ranks came, and how long it took from the last of them on.

    Shape: both (num_ranks, num_samples), starts on one time axis. Units: seconds.
    Raises:
        ValueError: the matrices differ in shape, are empty, or hold what is no time.
    """
    start_s, duration_s = _checked(start_s, duration_s)
    skew_s = np.ptp(start_s, axis=0)
    transfer_s = (start_s + duration_s).max(axis=0) - start_s.max(axis=0)
    lateness_s = np.median(start_s - _median_of_others(start_s), axis=1)
    return Arrivals(
        skew_median_s=float(np.median(skew_s)),
        skew_max_s=float(skew_s.max()),
        transfer_s=tuple(transfer_s.tolist()),
        transfer_median_s=float(np.median(transfer_s)),
        lateness_s=tuple(lateness_s.tolist()),
    )


def classify(
    start_s: Matrix,
    duration_s: Matrix,
    *,
    ends_together: bool,
    clock_uncertainty_s: float = 0.0,
    barrier_s: float = 0.0,
    predicted_s: float | None = None,
    is_limited_by_links: bool = False,
) -> Finding | None:
    """The one thing that is clearly wrong with a point, or None.

    What lasts goes before what happened once, since the headline (median over iterations of the slowest rank) holds
    the former and not the latter. A late rank goes first, since all others wait for it, and their times and ends follow
    from its. Everyone slow goes before a slow rank, since it is only said where even the rank that ends first is slow;
    that others end still later follows from their places in the ring.

    Where ranks need not end together (broadcast, gather, scatter, reduce, ping_pong, a ring of send_recv), a short time and
    a late end may be the operation's own. A short time then says nothing, and a late end only where that rank takes longer
    than the links allow to the whole operation.

    Where they do end together, no rank can end before all have come. Starts that say so are on clocks that are off by as
    much, whatever ``clock_uncertainty_s`` says. And where clocks are worth nothing, short times show the late rank.

    Args:
        clock_uncertainty_s: by how much the starts of two ranks may be apart on the common axis without meaning anything.
        barrier_s: how far apart ranks may leave one barrier: the time of a barrier, or of the fastest point of the run. Ranks
            that are apart by less are not late, even if they are so in every call. 0: not known.
        predicted_s: what the links allow; None: not known, 0: they do not limit it.
        is_limited_by_links: nothing but the links is known to limit the point: neither latency nor the backend.
    Shape: both matrices (num_ranks, num_samples), starts on one time axis. Units: seconds.
    Raises:
        ValueError: as `arrivals`, or an uncertainty or a barrier below 0.
    """
    start_s, duration_s = _checked(start_s, duration_s)
    for key, value in (("clock_uncertainty_s", clock_uncertainty_s), ("barrier_s", barrier_s)):
        if not value >= 0:
            raise ValueError(f"{key} is {value}; it is a duration in seconds, not below 0")
    headline_s = float(np.median(duration_s.max(axis=0)))
    if start_s.shape[1] < MIN_SAMPLES or headline_s == 0:
        return None
    end_s = start_s + duration_s
    unsure_s = clock_uncertainty_s
    if ends_together:
        unsure_s = max(unsure_s, float(np.median(start_s.max(axis=0) - end_s.min(axis=0))))
    late = _behind(start_s, headline_s, unsure_s)
    if late is None and ends_together and unsure_s > 0 and len(start_s) > 2:
        late = _behind(-duration_s, headline_s, 0.0)  # starts on an axis on which all end at 0
    if late is not None and late[1] > barrier_s:
        return Finding(kind=Kind.late_rank, ranks=late[0], excess_s=late[1], share=late[1] / headline_s)
    allowed_s = predicted_s / REACHED if predicted_s and is_limited_by_links else np.inf
    after_s = np.median(end_s - start_s.max(axis=0), axis=1) - unsure_s  # from when the last has come
    if predicted_s is not None and after_s.min() > allowed_s:
        excess_s = float(after_s.min()) - predicted_s
        return Finding(kind=Kind.everyone_slow, excess_s=excess_s, share=excess_s / headline_s)
    slow = _behind(end_s, headline_s, unsure_s) if ends_together or after_s.max() > allowed_s else None
    if slow is not None:
        return Finding(kind=Kind.slow_rank, ranks=slow[0], excess_s=slow[1], share=slow[1] / headline_s)
    return _stall(start_s, duration_s, headline_s)


def _behind(when_s: Matrix, headline_s: float, unsure_s: float) -> tuple[tuple[int, ...], float] | None:
    """The ranks, at most half of them, that come clearly after all others to nearly every call, and by how much.

    They are those above the widest gap between the ranks' medians. What counts is, per call, the first of them against
    the last of the others. Its median, less what clocks may be off, must be `MIN_SHARE` of the headline and `APART` times
    the noise: how far the others lie apart in the median call, or how far its own quartiles do.
    """
    num_ranks = len(when_s)
    if num_ranks < 2:
        return None
    habit_s = np.median(when_s - np.median(when_s, axis=0), axis=1)
    order = np.argsort(habit_s, kind="stable")
    least = (num_ranks + 1) // 2
    num_others = least + int(np.argmax(np.diff(habit_s[order])[least - 1 :]))
    others, behind = order[:num_others], order[num_others:]
    gap_s = when_s[behind].min(axis=0) - when_s[others].max(axis=0)
    median_s = float(np.median(gap_s))
    noise_s = max(
        float(np.median(np.ptp(when_s[others], axis=0))),
        float(np.subtract(*np.quantile(gap_s, (0.75, 0.25)))),
    )
    is_apart = median_s - unsure_s >= max(MIN_SHARE * headline_s, APART * noise_s)
    if not is_apart or np.mean(gap_s >= median_s / 2) < NEARLY_ALWAYS:
        return None
    return tuple(sorted(int(rank) for rank in behind)), median_s


def _stall(start_s: Matrix, duration_s: Matrix, headline_s: float) -> Finding | None:
    """One call, or few neighbours, that took far longer than all others did.

    The worst is slow against the median as a point is against its links (`REACHED`), and it adds `STALL_APART` times what
    the worst call outside the stretch adds, and what the ranks lay apart there: processors that come late to a barrier
    also come late to their part of a call. Ranks that are habitually late do not count as apart.
    """
    slowest_s = duration_s.max(axis=0)
    excess_s = slowest_s - headline_s
    worst = int(np.argmax(excess_s))
    hit = np.flatnonzero(excess_s >= excess_s[worst] / 2)
    is_outside = np.ones(len(slowest_s), dtype=bool)
    is_outside[hit[0] : hit[-1] + 1] = False
    if np.count_nonzero(~is_outside) > max(1, int(FEW * len(slowest_s))):
        return None
    unusual_s = start_s - np.median(start_s - np.median(start_s, axis=0), axis=1, keepdims=True)
    noise_s = max(float(excess_s[is_outside].max()), float(np.ptp(unusual_s[:, is_outside], axis=0).max()))
    if headline_s > REACHED * slowest_s[worst] or excess_s[worst] < STALL_APART * noise_s:
        return None
    first_s = start_s.min(axis=0)
    return Finding(
        kind=Kind.single_stall,
        iteration=worst,
        at_s=float(first_s[worst] - first_s.min()),
        excess_s=float(excess_s[worst]),
        share=float(excess_s[worst]) / headline_s,
    )


def _median_of_others(when_s: Matrix) -> Matrix:
    """For each rank and iteration the median of the other ranks; with one rank, its own value. Shape as given.

    Ordered once: without the value in place p, place k of the rest is place k of all, or k + 1 from p on.
    """
    num_others = len(when_s) - 1
    if num_others == 0:
        return when_s
    ordered = np.sort(when_s, axis=0)
    place = np.argsort(np.argsort(when_s, axis=0, kind="stable"), axis=0, kind="stable")
    columns = np.arange(when_s.shape[1])

    def of_rest(k: int) -> Matrix:
        return ordered[np.where(k < place, k, k + 1), columns]

    return (of_rest((num_others - 1) // 2) + of_rest(num_others // 2)) / 2


def _checked(start_s: Matrix, duration_s: Matrix) -> tuple[Matrix, Matrix]:
    start_s, duration_s = np.asarray(start_s, dtype=np.float64), np.asarray(duration_s, dtype=np.float64)
    if start_s.ndim != 2 or start_s.shape != duration_s.shape or start_s.size == 0:
        raise ValueError(
            f"start_s has shape {start_s.shape} and duration_s {duration_s.shape}; both are (num_ranks, num_samples), "
            "with at least one of each"
        )
    if not (np.isfinite(start_s).all() and np.isfinite(duration_s).all() and (duration_s >= 0).all()):
        raise ValueError("start_s and duration_s hold seconds: finite, and durations not below 0")
    return start_s, duration_s
