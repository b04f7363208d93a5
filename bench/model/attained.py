"""What share of its nominal payload rate each resource reaches in practice, estimated from published measurements.

The constants of the expectation are not written down anywhere: they are these estimates, made from the table that is given,
with whole clusters left out where a prediction is judged on the same table.
"""

import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from bench.model.collective import Collective, bus_factor
from bench.model.framing import Transport, framing
from bench.model.gpu import Gpu, gpu_named
from bench.model.schedule import Schedule, demand
from bench.model.units import bytes_per_s_from_gbytes_per_s

MTU_BYTES: Final = 4096
"""RDMA path MTU where nobody gives one: the largest there is, so that a ceiling stays one."""

RACK_RANKS: Final = 16
"""Domains of more ranks than this are racks with NVLink switches of their own; one machine has at most 16 (DGX-2)."""

FULL_PORT_GBYTES_PER_S: Final = 25.0
"""A 200 Gb/s port. Where a rank's share of the network is less, several ranks may use one port, and published rows of such
machines reach from 0.57 to 0.92 of it; where it is at least that, from 0.79 to 0.99."""


MIN_CLUSTERS: Final = 2
"""A share that rests on one cluster is that cluster's; then rows of the supplement are asked as well."""

_MAX_PASSES: Final = 8


Resource: TypeAlias = str
"""What can bind, as finely as published rows tell it apart: ``infiniband``, ``ethernet`` or ``network``; ``nvlink hopper``, ``xgmi
cdna3``; ``nvls blackwell``, ``nvlstree rack``."""

NETWORK: Final = "network"
NETWORKS: Final = {
    Transport.unknown: NETWORK,
    Transport.infiniband: "infiniband",
    Transport.roce_v2: "ethernet",
    Transport.tcp: "ethernet",
}
"""The network by what its links speak, since the two differ in flow control and routing; ``network`` is all of them together,
for those of which nobody says what they speak."""


def inside_resources(schedule: Schedule, ranks_per_host: int, gpu: Gpu | None) -> tuple[Resource, Resource]:
    """The resources behind `Demand.inside_bytes` and `Demand.nvls_bytes`.

    Links differ by generation, and so do the switches that reduce; in a rack there is a second kind of those.
    """
    generation = "of unknown generation" if gpu is None else gpu.generation
    where = "rack" if ranks_per_host > RACK_RANKS else generation
    nvls = "nvlstree" if schedule is Schedule.nvlstree else "nvls"
    return f"{'nvlink' if gpu is None or gpu.is_switched else 'xgmi'} {generation}", f"{nvls} {where}"


def stands_in(resource: Resource) -> Resource | None:
    """The wider resource whose share is taken where no row that is left says anything on this one."""
    kind, _, which = resource.partition(" ")
    if kind == "nvlstree":
        return f"nvls {which}"
    if which:
        return kind
    return {"infiniband": NETWORK, "ethernet": NETWORK, "xgmi": "nvlink", "nvls": "nvlink"}.get(kind)


def is_network(resource: Resource) -> bool:
    return resource in NETWORKS.values()


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published measurement.

    Attributes:
        cluster: rows of one cluster are left out together.
        nic_bytes_per_s: line rate of the network per rank and direction; None on one host.
        transport: unknown where the table does not say; it then has the framing that leaves most to the payload.
        classification: ``healthy`` where its source says what hardware it ran on, and nothing that was wrong with it.
        is_supplement: used only for resources on which the other rows say nothing or have one cluster alone.
    """

    name: str
    cluster: str
    gpu: str
    num_hosts: int
    ranks_per_host: int
    nic_bytes_per_s: float | None
    collective: Collective
    schedule: Schedule | None
    busbw_bytes_per_s: float
    transport: Transport = Transport.unknown
    classification: str = "healthy"
    is_supplement: bool = False

    def __hash__(self) -> int:
        return hash(
            self.name
        )  # rows are compared in full; hashing every figure of hundreds would take longer than their use

    @property
    def is_healthy(self) -> bool:
        return self.classification == "healthy"

    @property
    def may_share_ports(self) -> bool:
        """Whether several ranks may use one port: their share of the network is less than any port of 200 Gb/s."""
        nic = self.nic_bytes_per_s
        return (
            self.num_hosts > 1
            and nic is not None
            and nic < bytes_per_s_from_gbytes_per_s(FULL_PORT_GBYTES_PER_S)
        )

    @property
    def is_inside_known(self) -> bool:
        """Whether the links between ranks of one host are known, or there are none."""
        return self.ranks_per_host == 1 or gpu_named(self.gpu) is not None

    @cached_property
    def limits(self) -> dict[Resource, float]:
        """Busbw, in bytes/s, at which each resource would be at its nominal payload rate, for the row's own schedule."""
        return {} if self.schedule is None else self.limits_of(self.schedule)

    def limits_of(self, schedule: Schedule) -> dict[Resource, float]:
        """As `limits`, for another schedule. A link inside the host whose rate nobody knows is left out (`is_inside_known`);
        with a network whose rate nobody knows there is no limit at all.
        """
        needs = demand(self.collective, schedule, self.num_hosts, self.ranks_per_host)
        factor = bus_factor(self.collective, self.num_hosts * self.ranks_per_host)
        found: dict[Resource, float] = {}
        host_bytes = float(needs.host_bytes)
        if host_bytes > 0 and self.nic_bytes_per_s is None:
            return {}
        if host_bytes > 0 and self.nic_bytes_per_s is not None:
            payload = framing(self.transport, MTU_BYTES).payload_fraction
            ranks = 1 if self.collective is Collective.send_recv else self.ranks_per_host
            found[NETWORKS[self.transport]] = factor * ranks * self.nic_bytes_per_s * payload / host_bytes
        gpu = gpu_named(self.gpu)
        if gpu is not None:
            is_one_peer = self.collective is Collective.send_recv
            nominal = bytes_per_s_from_gbytes_per_s(gpu.inside_gbytes_per_s)
            rate = min(nominal, gpu.mesh_bytes_per_s(2 if is_one_peer else self.ranks_per_host))
            link, nvls = inside_resources(schedule, self.ranks_per_host, gpu)
            for resource, num_bytes in ((link, float(needs.inside_bytes)), (nvls, float(needs.nvls_bytes))):
                if num_bytes > 0:
                    found[resource] = factor * rate / num_bytes
        return found


@dataclass(frozen=True, kw_only=True)
class Shares:
    """The estimate.

    Attributes:
        shares: of the nominal payload rate, per resource, between 0 and 1.
        num_clusters: how many clusters each rests on; a resource that is not here stands on that of another.
        left_out: clusters that took no part.
    """

    shares: dict[Resource, float]
    num_clusters: dict[Resource, int]
    left_out: frozenset[str]

    def of(self, resource: Resource) -> float:
        """The share of a resource, or of the one that stands in for it; 1, the nominal rate, where no row says anything."""
        found: Resource | None = resource
        while found is not None:
            if found in self.shares:
                return self.shares[found]
            found = stands_in(found)
        return 1.0

    def expected(self, limits: dict[Resource, float]) -> tuple[float, Resource] | None:
        """Expected busbw in bytes/s and what binds; None where no resource is known."""
        reached = {resource: limit * self.of(resource) for resource, limit in limits.items()}
        if not reached:
            return None
        slowest = min(reached, key=lambda resource: reached[resource])
        return reached[slowest], slowest


def estimate_shares(rows: Iterable[Published], left_out: Collection[str] = ()) -> Shares:
    """Median, over clusters, of the share that each resource reached where it was the one that bound.

    What binds is found with nominal rates at first, then with the shares that gives, until neither changes. On one host only
    the inside can bind, so where such rows exist they alone say what the inside reaches. A resource that did not bind was able to do
    at least what was measured, so its row counts as a lower bound (the median is that of Kaplan and Meier). The median
    over clusters, not rows: a cluster that published ten rows is one opinion. Each row also counts for the wider resource of
    its own (`stands_in`). Supplementary rows are asked where the others have fewer than `MIN_CLUSTERS` clusters. Healthy rows with a known schedule only; those
    that may share ports say nothing about the network.

    Source:
        Kaplan and Meier 1958 for the median of censored values.
    """
    used = [row for row in rows if row.is_healthy and row.cluster not in left_out and row.limits]
    main = _settled([row for row in used if not row.is_supplement], left_out)
    if not any(row.is_supplement for row in used):
        return main
    wider = _settled(used, left_out)
    first = {name for name, clusters in main.num_clusters.items() if clusters >= MIN_CLUSTERS}
    return Shares(
        shares=wider.shares | {name: main.shares[name] for name in first},
        num_clusters=wider.num_clusters | {name: main.num_clusters[name] for name in first},
        left_out=main.left_out,
    )


def _settled(used: Sequence[Published], left_out: Collection[str]) -> Shares:
    found = _shares_of(used, None, left_out)
    for _ in range(_MAX_PASSES):
        updated = _shares_of(used, found, left_out)
        if updated.shares == found.shares:
            break
        found = updated
    return found


def _shares_of(
    rows: Sequence[Published],
    before: Shares | None,
    left_out: Collection[str],
) -> Shares:
    certain = {_kind(resource) for row in rows if row.num_hosts == 1 for resource in row.limits}
    reached: dict[Resource, dict[str, list[float]]] = {}
    at_least: dict[Resource, dict[str, list[float]]] = {}
    for row in rows:
        bound = _binding(row, before)
        for resource, limit in row.limits.items():
            is_event = resource == bound and (row.num_hosts == 1 or _kind(resource) not in certain)
            kind = reached if is_event else at_least
            if is_network(resource) and row.may_share_ports:
                continue
            wider = stands_in(resource)
            # A tree between domains says nothing on switches that reduce in one.
            pooled = {resource} if wider is None or resource.startswith("nvlstree") else {resource, wider}
            for name in pooled:
                kind.setdefault(name, {}).setdefault(row.cluster, []).append(row.busbw_bytes_per_s / limit)
    shares: dict[Resource, float] = {}
    num_clusters: dict[Resource, int] = {}
    for resource, clusters in reached.items():
        values = [statistics.median(found) for found in clusters.values()]
        bounds = [
            max(found) for cluster, found in at_least.get(resource, {}).items() if cluster not in clusters
        ]
        shares[resource] = censored_median(values, bounds)
        num_clusters[resource] = len(values)
    return Shares(shares=shares, num_clusters=num_clusters, left_out=frozenset(left_out))


def _kind(resource: Resource) -> str:
    return resource.partition(" ")[0]


def _binding(row: Published, shares: Shares | None) -> Resource:
    if shares is None:
        return min(row.limits, key=lambda resource: row.limits[resource])
    expected = shares.expected(row.limits)
    assert expected is not None
    return expected[1]


def censored_median(values: Sequence[float], lower_bounds: Sequence[float]) -> float:
    """Median of values of which some are only known to be at least something.

    The survival curve of Kaplan and Meier falls at each value by the share of those still at risk. Its mid-distribution (the
    mean of what it is before and after a value) is interpolated to one half, which without bounds is the ordinary median
    of an odd number of different values, and the middle of the two middle ones of an even number. Where it does not fall that far, the
    largest value.

    Raises:
        ValueError: no value at all.
    Source:
        Kaplan and Meier 1958; Parzen 2004 for the mid-distribution.
    """
    if not values:
        raise ValueError("a median needs at least one value that is not only a bound")
    survival, middles = 1.0, []
    ordered = sorted(set(values))
    for value in ordered:
        at_risk = sum(other >= value for other in values) + sum(bound >= value for bound in lower_bounds)
        after = survival * (1 - values.count(value) / at_risk)
        middles.append((survival + after) / 2)
        survival = after
    if middles[0] <= 0.5 or len(ordered) == 1:
        return ordered[0]
    for number in range(1, len(ordered)):
        if middles[number] <= 0.5:
            above, below = middles[number - 1], middles[number]
            share = (above - 0.5) / (above - below)
            return ordered[number - 1] + share * (ordered[number] - ordered[number - 1])
    return ordered[-1]
