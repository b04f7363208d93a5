"""`Fault`: one thing that is made to go wrong on the emulated fabric, so that a run shows what it looks like."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final

_KEYS: Final = {
    "late_rank": ("rank", "delay_s"),
    "slow_link": ("host", "rate_fraction"),
    "stall": ("rank", "iteration", "duration_s"),
}
"""What each kind of fault needs; all other keys stay null."""


@dataclass(kw_only=True)
class Fault:
    """One fault. Each kind needs its own keys and takes no others.

    late_rank: ``rank`` comes ``delay_s`` after the barrier to every call, as one does whose computation is slow.
    slow_link: both directions of the link of ``host`` run at ``rate_fraction`` of their rate, as a link does that came
        up with half its lanes.
    stall: ``rank`` stands still for ``duration_s`` within one call, the one number ``iteration`` of every point.

    Attributes:
        rank, host, iteration: count from 0; warm-ups are no iterations.
        delay_s, duration_s: seconds, above 0.
        rate_fraction: above 0, below 1.
    """

    kind: str
    rank: int | None = None
    host: int | None = None
    delay_s: float | None = None
    rate_fraction: float | None = None
    iteration: int | None = None
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KEYS:
            raise ValueError(
                f"emulation.faults: kind {self.kind!r} is not known; allowed: {', '.join(_KEYS)}"
            )
        for key in (field.name for field in fields(self) if field.name != "kind"):
            value = getattr(self, key)
            if key in _KEYS[self.kind]:
                self._check(key, value)
            elif value is not None:
                raise ValueError(f"{self._says(key)}, which it does not take; {self._needs()}")

    def _check(self, key: str, value: float | None) -> None:
        if value is None:
            raise ValueError(f"emulation.faults: {self.kind} has no {key}; {self._needs()}")
        match key:
            case "rank" | "host" | "iteration":
                if value < 0:
                    raise ValueError(f"{self._says(key)}; it counts from 0")
            case "rate_fraction":
                if not 0 < value < 1:
                    raise ValueError(f"{self._says(key)}; it is a share of the rate, above 0 and below 1")
            case _:
                if not 0 < value < math.inf:
                    raise ValueError(f"{self._says(key)}; it is a duration in seconds, above 0")

    def _says(self, key: str) -> str:
        return f"emulation.faults: {self.kind} has {key} {getattr(self, key)}"

    def _needs(self) -> str:
        return f"{self.kind} takes {', '.join(_KEYS[self.kind])}"


def check_faults(faults: Sequence[Fault], num_hosts: int, num_ranks: int) -> None:
    """Refuse faults of hosts and ranks that the run does not have, and two rates for one link.

    Raises:
        ValueError: which fault, by its place in the list, and what there is.
    """
    slowed: set[int] = set()
    for number, fault in enumerate(faults):
        where = f"emulation.faults[{number}]: {fault.kind}"
        if fault.host is not None and fault.host >= num_hosts:
            raise ValueError(f"{where} names host {fault.host}; there are hosts 0 to {num_hosts - 1}")
        if fault.rank is not None and fault.rank >= num_ranks:
            raise ValueError(f"{where} names rank {fault.rank}; there are ranks 0 to {num_ranks - 1}")
        if fault.host is not None:
            if fault.host in slowed:
                raise ValueError(
                    f"{where} names host {fault.host} a second time; a link has one rate_fraction"
                )
            slowed.add(fault.host)


def rate_fractions(faults: Iterable[Fault]) -> dict[int, float]:
    """Host to share of the link rate; hosts that keep their whole rate are left out."""
    return {
        fault.host: fault.rate_fraction
        for fault in faults
        if fault.host is not None and fault.rate_fraction is not None
    }


class RankFaults:
    """The faults of one rank, as its measuring loop asks for them; several of one kind add up."""

    def __init__(self, faults: Iterable[Fault], rank: int) -> None:
        self._late_s = 0.0
        self._stalls_s: dict[int, float] = {}
        for fault in faults:
            if fault.rank != rank:
                continue
            if fault.delay_s is not None:
                self._late_s += fault.delay_s
            if fault.iteration is not None and fault.duration_s is not None:
                self._stalls_s[fault.iteration] = self._stalls_s.get(fault.iteration, 0.0) + fault.duration_s

    def before_call(self, iteration: int) -> float:
        """Seconds to sleep between the barrier and the start of the clock.

        ``iteration`` counts from 0 within a point; warm-ups have negative ones and are as late as the rest.
        """
        return self._late_s

    def inside_call(self, iteration: int) -> float:
        """Seconds to sleep once the clock runs, before the operation. ``iteration`` as in `before_call`."""
        return self._stalls_s.get(iteration, 0.0)
