"""`predict`: ceiling, expectation, interval and what binds, for one collective on one network."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

from bench.model.attained import NETWORKS, Resource, inside_resources
from bench.model.choice import candidates
from bench.model.collective import CollectiveSpec, bus_factor
from bench.model.fabric import Network
from bench.model.held_out import Experience, Family
from bench.model.latency import envelope
from bench.model.load import Load, loads_of
from bench.model.schedule import Schedule
from bench.model.transfer import KNOWN_SCHEDULES, num_crossings

TIE_TOLERANCE: Final = 0.01
"""Resources within this share of the slowest bind together; then the optics are named first and the others beside."""

MIN_BUCKETS: Final = 8
"""Below this many token buckets per link and call the emulated link passes so much unshaped that its rate says nothing
(a ring of send_recv with 64 KiB messages and a bucket of 256 KiB ran at 2.3 times the rate)."""

MOST_LOSS_DOUBT: Final = 0.05
"""Goodput under loss is expected as a number only where its best and worst lie closer than this, the distance that published
repetitions of one measurement have (docs/accuracy.md); else there is only the interval."""

LATENCY: Final = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the network allows for one call, and what is to be expected.

    Attributes:
        schedule: the one that is predicted; None: the library's own, a ring or a direct exchange as far as is known.
        loads: every resource on the path, slowest first.
        ceiling_s: shortest possible duration: the slowest resource, less what a token bucket lets through unshaped.
        duration_s: expected duration. Without experience of the library: the slowest resource at its rate plus known delays,
            so software time is not in it. None where the emulated link cannot tell, because most of the message passes its
            bucket, where the library's schedule is not known, and for exchanges of so many small messages that their number
            decides.
        low_s, high_s: nine of ten runs lie in between (`Experience`); None where there is no experience.
        load_s: the part of duration_s that bytes take at what resources reach; latency_s: what steps add to it.
        bound_by: the resource of least capacity on the path, or ``latency`` where steps take longer than bytes; None where
            no resource is loaded.
        also_bound_by: resources within 1 % of it.
        resource: what binds the bytes, also where steps take longer than they do.
        is_experienced: published runs stand behind expectation and interval, not the links alone.
        collision_s: the part of load_s that hashed flows wait for each other on their uplinks, on average.
        is_inside_unknown: ranks of a host exchange bytes over links that nobody has described, so that there is no expectation.
    """

    spec: CollectiveSpec
    schedule: Schedule | None
    loads: tuple[Load, ...]
    ceiling_s: float
    duration_s: float | None
    low_s: float | None = None
    high_s: float | None = None
    load_s: float | None = None
    latency_s: float | None = None
    bound_by: str | None
    also_bound_by: tuple[str, ...]
    is_bucket_dominated: bool
    resource: str | None = None
    is_experienced: bool = False
    collision_s: float = 0.0
    is_inside_unknown: bool = False

    @property
    def ceiling_busbw_bytes_per_s(self) -> float | None:
        """The busbw that no measurement can exceed; None where nothing limits the call."""
        return busbw_of(self.spec, self.ceiling_s)

    @property
    def busbw_bytes_per_s(self) -> float | None:
        return busbw_of(self.spec, self.duration_s)

    @property
    def low_busbw_bytes_per_s(self) -> float | None:
        return busbw_of(self.spec, self.high_s)

    @property
    def high_busbw_bytes_per_s(self) -> float | None:
        return busbw_of(self.spec, self.low_s)


def busbw_of(spec: CollectiveSpec, duration_s: float | None) -> float | None:
    """Bus bandwidth of a call, in bytes per second; None without a duration, or where no bytes move."""
    bus_bytes = bus_factor(spec.collective, spec.num_ranks) * spec.message_bytes
    return bus_bytes / duration_s if duration_s and bus_bytes > 0 else None


def predict(
    spec: CollectiveSpec,
    network: Network,
    schedule: Schedule | None = None,
    known: Experience | None = None,
) -> Prediction:
    """Duration and ceiling: T_load = max over resources of load / capacity.

    The ceiling is that of a perfectly pipelined schedule. A token bucket of b bytes gives T >= max(0, V - b) / rate; the delays
    of the links on the longest chain bound it as well, and may hide behind transfers.

    With ``known`` (what published runs of NCCL reached) the expected load is T = max over resources of load / (share x
    capacity), steps are added as `bench.model.latency.envelope` says, and both ends of the interval come from rows held out.
    Without, the expectation is the links' alone.

    Raises:
        ValueError: the ranks of ``spec`` are not those of ``network``, or the collective has no such schedule.
    Source:
        Load over capacity of the slowest resource bounds any schedule. Token bucket: RFC 2697 (burst size), Linux sch_tbf.
    """
    found = loads_of(spec, network, schedule)
    loads = found.loads
    slowest_s = loads[0].duration_s if loads else 0.0
    bucket_s = network.bucket_bytes / min(network.port_bytes_per_s.values())
    is_bucket_dominated = 0 < found.per_port_bytes < MIN_BUCKETS * network.bucket_bytes
    delay_s = num_crossings(spec, network.ranks_per_host) * network.delay_s
    ceiling_s = max(0.0, slowest_s - bucket_s, delay_s)
    is_known = schedule is not None or spec.collective in KNOWN_SCHEDULES
    if not (is_known and slowest_s > 0) or is_bucket_dominated:
        bound_by, also_bound_by = _binding({load: load.duration_s for load in loads})
        return Prediction(
            spec=spec,
            schedule=schedule,
            loads=loads,
            ceiling_s=ceiling_s,
            duration_s=None,
            bound_by=bound_by,
            also_bound_by=also_bound_by,
            is_bucket_dominated=is_bucket_dominated,
            resource=bound_by,
        )
    low_s = high_s = None
    duration_s: float | None
    shares = dict.fromkeys(loads, 1.0)
    if known is not None and schedule is not None:
        shares = {load: known.shares.of(_resource(load, schedule, network)) for load in loads}
    reached = {load: load.duration_s / (share * load.mean_share) for load, share in shares.items()}
    load_s = max(reached.values())
    best_s = max(load.duration_s / share for load, share in shares.items())
    worst_s = max(load.duration_s / (share * load.worst_share) for load, share in shares.items())
    if known is None or schedule is None:
        duration_s = load_s + delay_s
        if worst_s > best_s:
            low_s, high_s = best_s + delay_s, worst_s + delay_s
    else:
        family = _family(network)
        time = envelope(
            load_s,
            best_s / known.high.get(family, math.inf),
            worst_s / known.low.get(family, 1.0),
            found.host_steps,
            found.inside_steps,
            found.num_messages,
            spec.num_ranks,
        )
        expected_s = float(time.expected_s)
        duration_s = None if math.isnan(expected_s) else max(expected_s, ceiling_s)
        low_s = max(float(time.low_s), ceiling_s)
        high_s = max(float(time.high_s), duration_s or low_s)
        if found.is_inside_unknown:
            duration_s = high_s = None  # links that nobody has described may hold it up, nobody knows how far
    resource, also_bound_by = _binding(reached)
    latency_s = None if duration_s is None else max(0.0, duration_s - load_s)
    if latency_s is not None:
        is_latency = latency_s > load_s
    else:
        is_latency = (found.num_messages > 0 and not found.is_inside_unknown) or (low_s or 0.0) > load_s
    # What loss costs is an interval itself; where it is wide, nothing between its ends is more likely than the rest.
    with_loss_s = max(reached[load] / load.loss_share for load in loads)
    if with_loss_s > (1 + MOST_LOSS_DOUBT) * load_s:
        duration_s = latency_s = None
    return Prediction(
        spec=spec,
        schedule=schedule,
        loads=loads,
        ceiling_s=ceiling_s,
        duration_s=duration_s,
        low_s=low_s,
        high_s=high_s,
        load_s=load_s if duration_s is None else min(load_s, duration_s),
        latency_s=latency_s,
        bound_by=LATENCY if is_latency else resource,
        also_bound_by=() if is_latency else also_bound_by,
        is_bucket_dominated=is_bucket_dominated,
        resource=resource,
        is_experienced=known is not None and schedule is not None,
        collision_s=max(0.0, load_s - best_s),
        is_inside_unknown=found.is_inside_unknown,
    )


def _binding(durations_s: dict[Load, float]) -> tuple[str | None, tuple[str, ...]]:
    """The slowest resource, and those within the tolerance; the optics are named first."""
    slowest_s = max(durations_s.values(), default=0.0)
    ordered = sorted(durations_s, key=lambda load: (-durations_s[load], load.resource != "optics"))
    tied = [load.resource for load in ordered if durations_s[load] >= slowest_s * (1 - TIE_TOLERANCE)]
    if not tied:
        return None, ()
    bound_by = "optics" if "optics" in tied else tied[0]
    return bound_by, tuple(dict.fromkeys(resource for resource in tied if resource != bound_by))


def between(healthy: Prediction, best: Prediction, worst: Prediction) -> Prediction:
    """The expectation of a network with faults, from its two limits; the ceiling stays the healthy one, so that faults show."""
    low_s, high_s = best.duration_s, worst.duration_s
    is_exact = low_s is None or high_s is None or high_s <= low_s * (1 + MOST_LOSS_DOUBT)
    return dataclasses.replace(
        worst,
        ceiling_s=healthy.ceiling_s,
        duration_s=high_s if is_exact else None,
        low_s=None if low_s == high_s else low_s,
        high_s=None if low_s == high_s else high_s,
    )


def choose(spec: CollectiveSpec, network: Network, known: Experience | None) -> Schedule | None:
    """The schedule that NCCL is expected to take: of its candidates the fastest; None where it has none with a closed form."""
    possible = candidates(
        spec.collective,
        network.num_hosts,
        network.ranks_per_host,
        has_nvls=network.has_nvls,
        has_in_network_reduction=network.has_in_network_reduction,
        has_pxn=network.nvlink_bytes_per_s is not None and (network.gpu is None or network.gpu.is_switched),
    )

    def duration_s(schedule: Schedule) -> float:
        found = predict(spec, network, schedule, known)
        if found.duration_s is not None:
            return found.duration_s
        return found.ceiling_s if found.load_s is None else found.load_s

    return min(possible, key=duration_s, default=None)


def _resource(load: Load, schedule: Schedule, network: Network) -> Resource:
    if load.is_outside:
        return NETWORKS[network.transport]
    link, nvls = inside_resources(schedule, network.ranks_per_host, network.gpu)
    return nvls if load.is_reduced_inside else link


def _family(network: Network) -> Family:
    if network.num_hosts == 1:
        return Family.one_host
    return Family.may_share_ports if network.ports_per_host < network.ranks_per_host else Family.own_port
