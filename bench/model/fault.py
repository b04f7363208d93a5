"""`Fault`: one thing that is made to go wrong on the emulated fabric, so that a run shows what it looks
like."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final

_NEEDED: Final = {
    "late_rank": ("rank", "delay_s"),
    "slow_link": ("host", "rate_fraction"),
    "slow_rail": ("rail", "rate_fraction"),
    "loss": ("loss_ratio",),
    "stall": ("rank", "iteration", "duration_s"),
}
"""What each kind of fault needs; of the other keys it takes those below, and the rest stay null."""

_OPTIONAL: Final = {"slow_rail": ("host",), "loss": ("host",)}

MAX_LOSS_RATIO: Final = 0.1
"""At one packet in ten TCP mostly waits for time-outs, 200 ms at least on Linux and doubled each time (RFC
6298): such a run takes hours and shows the timer."""


@dataclass(kw_only=True)
class Fault:
    """One fault. Each kind needs its own keys and takes no others.

    late_rank: ``rank`` comes ``delay_s`` after the barrier to every call, as one does whose computation is
        slow.
    slow_link: both directions of the link of ``host`` (of every port it has) run at ``rate_fraction`` of
        their rate, as a link does that came up with half its lanes.
    slow_rail: the same for the port on ``rail`` of ``host``, or of every host where none is named.
    loss: of the packets that reach ``host``, or every host where none is named, ``loss_ratio`` are lost at
        random.
    stall: ``rank`` stands still for ``duration_s`` within one call, the one number ``iteration`` of every
        point.

    Attributes:
        rank, host, rail, iteration: count from 0; warm-ups are no iterations.
        delay_s, duration_s: seconds, above 0.
        rate_fraction: above 0, below 1.
        loss_ratio: lost over arrived, above 0.
    """

    kind: str
    rank: int | None = None
    host: int | None = None
    rail: int | None = None
    delay_s: float | None = None
    rate_fraction: float | None = None
    loss_ratio: float | None = None
    iteration: int | None = None
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in _NEEDED:
            raise ValueError(
                f"emulation.faults: kind {self.kind!r} is not known; allowed: {', '.join(_NEEDED)}"
            )
        for key in (field.name for field in fields(self) if field.name != "kind"):
            value = getattr(self, key)
            if value is not None and key not in self._taken():
                raise ValueError(f"{self._says(key)}, which it does not take; {self._needs()}")
            if value is None and key in _NEEDED[self.kind]:
                raise ValueError(f"emulation.faults: {self.kind} has no {key}; {self._needs()}")
            if value is not None:
                self._check(key, value)

    def _taken(self) -> tuple[str, ...]:
        return _NEEDED[self.kind] + _OPTIONAL.get(self.kind, ())

    def _check(self, key: str, value: float) -> None:
        match key:
            case "rank" | "host" | "rail" | "iteration":
                if value < 0:
                    raise ValueError(f"{self._says(key)}; it counts from 0")
            case "rate_fraction":
                if not 0 < value < 1:
                    raise ValueError(f"{self._says(key)}; it is a share of the rate, above 0 and below 1")
            case "loss_ratio":
                if not 0 < value <= MAX_LOSS_RATIO:
                    raise ValueError(
                        f"{self._says(key)}; it is a share of the packets, above 0 and at most {MAX_LOSS_RATIO}"
                    )
            case _:
                if not 0 < value < math.inf:
                    raise ValueError(f"{self._says(key)}; it is a duration in seconds, above 0")

    def _says(self, key: str) -> str:
        return f"emulation.faults: {self.kind} has {key} {getattr(self, key)}"

    def _needs(self) -> str:
        optional = "".join(f", and may have {key}" for key in _OPTIONAL.get(self.kind, ()))
        return f"{self.kind} takes {', '.join(_NEEDED[self.kind])}{optional}"


def check_faults(faults: Sequence[Fault], num_hosts: int, num_ranks: int, ports_per_host: int = 1) -> None:
    """Refuse faults of hosts, rails and ranks that the run does not have, two rates for one port, two losses
    for one host.

    Raises:
        ValueError: which fault, by its place in the list, and what there is.
    """
    slowed: set[tuple[int, int]] = set()
    lossy: set[int] = set()
    for number, fault in enumerate(faults):
        where = f"emulation.faults[{number}]: {fault.kind}"
        for key, count in (("host", num_hosts), ("rank", num_ranks), ("rail", ports_per_host)):
            value = getattr(fault, key)
            if value is not None and value >= count:
                raise ValueError(f"{where} names {key} {value}; there are {key}s 0 to {count - 1}")
        if fault.rate_fraction is not None:
            ports = set(_ports_of(fault, num_hosts, ports_per_host))
            twice = min(ports & slowed, default=None)
            if twice is not None:
                raise ValueError(
                    f"{where} names host {twice[0]} a second time (rail {twice[1]}); a link has one rate_fraction"
                )
            slowed |= ports
        if fault.loss_ratio is not None:
            hosts = set(_hosts_of(fault, num_hosts))
            if hosts & lossy:
                raise ValueError(
                    f"{where} names host {min(hosts & lossy)} a second time; a host has one loss_ratio"
                )
            lossy |= hosts


def rate_fractions(
    faults: Iterable[Fault], num_hosts: int, ports_per_host: int = 1
) -> dict[tuple[int, int], float]:
    """(host, rail) to share of the link rate; ports that keep their whole rate are left out."""
    return {
        port: fault.rate_fraction
        for fault in faults
        if fault.rate_fraction is not None
        for port in _ports_of(fault, num_hosts, ports_per_host)
    }


def loss_ratios(faults: Iterable[Fault], num_hosts: int) -> dict[int, float]:
    """Host to the share of arriving packets that it loses; hosts that lose none are left out."""
    return {
        host: fault.loss_ratio
        for fault in faults
        if fault.loss_ratio is not None
        for host in _hosts_of(fault, num_hosts)
    }


def _hosts_of(fault: Fault, num_hosts: int) -> Iterable[int]:
    return range(num_hosts) if fault.host is None else (fault.host,)


def _ports_of(fault: Fault, num_hosts: int, ports_per_host: int) -> list[tuple[int, int]]:
    rails = range(ports_per_host) if fault.rail is None else (fault.rail,)
    return [(host, rail) for host in _hosts_of(fault, num_hosts) for rail in rails]


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
