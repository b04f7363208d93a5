"""Ceilings: known answers of the literature's closed forms, and loads counted message by message."""

import csv
import dataclasses
import math
from pathlib import Path

import pytest

from bench.model import units
from bench.model.collective import Collective
from bench.model.fabric import Network
from bench.model.predict import predict
from bench.model.traffic import traffic_from_skew
from bench.model.transfer import KNOWN_SCHEDULES
from tests.model.networks import (
    EVERY_WITH_DATA,
    GIB,
    NETWORKS,
    ceiling_of,
    duration_of,
    every_collective,
    every_network,
    predicted,
)
from tests.model.schedules import across, busiest, messages, spec_of, uneven_split

VECTORS = Path(__file__).resolve().parents[1] / "data" / "ceilings_vectors.csv"


# Known answers


def _vectors() -> list[dict[str, str]]:
    with VECTORS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "row",
    _vectors(),
    ids=lambda row: "-".join(filter(None, row.values())),
)
def test_ceiling_vectors(row: dict[str, str]) -> None:
    """Ceilings from closed forms that were checked against an enumeration of all transfers of their schedules.

    The table gives the payload rate of the adapters per GPU, so each GPU has one port of that rate. On one host there
    is no such rate; one byte per second stands for it, and would show if anything were to be sent through it.
    """
    nic, nvlink = row["nic_gbytes_per_s"], row["nvlink_gbytes_per_s"]
    network = Network(
        num_hosts=int(row["nodes"]),
        ranks_per_host=int(row["gpus_per_node"]),
        ports_per_host=int(row["gpus_per_node"]),
        port_bytes_per_s={"nic": units.bytes_per_s_from_gbytes_per_s(float(nic)) if nic else 1.0},
        nvlink_bytes_per_s=units.bytes_per_s_from_gbytes_per_s(float(nvlink)) if nvlink else None,
    )
    prediction = predicted(Collective(row["collective"]), network)
    expected = float(row["busbw_ceiling_gbytes_per_s"])
    assert ceiling_of(prediction) == pytest.approx(expected, rel=1e-8, abs=5e-7)


def test_the_vectors_cover_every_collective_inside_and_between_hosts() -> None:
    """But those whose ceilings nobody has published; `test_ceilings_of_a_root_and_of_two_ranks` has them."""
    without = {Collective.all_to_allv, Collective.gather, Collective.scatter, Collective.ping_pong}
    covered = {(row["collective"], row["nodes"] == "1", row["gpus_per_node"] == "1") for row in _vectors()}
    for collective in set(EVERY_WITH_DATA) - without:
        assert {(collective.value, True, False), (collective.value, False, False)} <= covered
    for collective in set(EVERY_WITH_DATA) - without:
        if collective in KNOWN_SCHEDULES:
            assert (collective.value, False, True) in covered


@pytest.mark.parametrize(
    ("collective", "name", "ceiling_gbytes_per_s"),
    [
        # (N - 1) / N S at 50 GB/s through the root's one port: line rate.
        (Collective.gather, "one port per host", 50),
        (Collective.scatter, "one port per host", 50),
        # 31 blocks in the time that 24 of them take to cross 8 ports of 49 GB/s, which is the longer one: 7 over NVLink.
        (Collective.gather, "eight ports, nvlink", 31 / 24 * 8 * 49),
        (Collective.scatter, "eight ports, nvlink", 31 / 24 * 8 * 49),
        (Collective.gather, "one host", 370),
        (Collective.scatter, "one host", 370),
        (Collective.broadcast, "one port per host", 50),
        (Collective.reduce, "one port per host", 50),
        # Eight ports of 49 GB/s are faster than one NVLink of 370.
        (Collective.broadcast, "eight ports, nvlink", 370),
        (Collective.reduce, "eight ports, nvlink", 370),
        (Collective.ping_pong, "one port per host", 50),
        (Collective.ping_pong, "eight ports, nvlink", 49),
        (Collective.ping_pong, "one host", 370),
    ],
)
def test_ceilings_of_a_root_and_of_two_ranks(
    collective: Collective, name: str, ceiling_gbytes_per_s: float
) -> None:
    prediction = predicted(collective, NETWORKS[name])
    assert ceiling_of(prediction) == pytest.approx(ceiling_gbytes_per_s)


@pytest.mark.parametrize(
    ("num_hosts", "oversubscription", "ceiling_gbytes_per_s"),
    [
        (8, 1, 56.25), (8, 2, 56.25), (8, 4, 56.25),
        (32, 1, 51.41), (32, 2, 51.41), (32, 4, 51.41),
        (64, 1, 50.69), (64, 2, 49.90), (64, 4, 24.95),
        (128, 1, 50.34), (128, 2, 33.30), (128, 4, 16.65),
    ],
)  # fmt: skip
def test_all_to_all_over_an_oversubscribed_spine(
    num_hosts: int, oversubscription: int, ceiling_gbytes_per_s: float
) -> None:
    """8 GPUs and 8 ports of 50 GB/s per host, 32 hosts per leaf group, data moved to the destination's rail first."""
    network = Network(
        num_hosts=num_hosts,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 5e10},
        spine_bytes_per_s=5e10 / oversubscription if oversubscription > 1 else None,
        hosts_per_leaf=32,
        nvlink_bytes_per_s=3.7e11,
    )
    prediction = predicted(Collective.all_to_all, network)
    assert round(ceiling_of(prediction), 2) == ceiling_gbytes_per_s
    is_spine = num_hosts > 32 and oversubscription > 1
    assert prediction.bound_by == ("spine" if is_spine else "optics")


@every_collective
@pytest.mark.parametrize(("num_hosts", "hosts_per_leaf"), [(4, 2), (8, 4), (6, 3), (12, 4), (7, 4), (3, 4)])
def test_load_of_the_spine_counted_message_by_message(
    collective: Collective, num_hosts: int, hosts_per_leaf: int
) -> None:
    """What leaves a leaf is spread over all of its uplinks, also where only one of its hosts sends it."""
    network = dataclasses.replace(
        NETWORKS["one port per host"],
        num_hosts=num_hosts,
        hosts_per_leaf=hosts_per_leaf,
        spine_bytes_per_s=5e10 / 3,
    )
    spec = spec_of(collective, num_hosts)
    (spine,) = [load for load in predict(spec, network).loads if load.resource == "spine"]
    on_leaf_bytes = busiest(across(messages(spec, 1), hosts_per_leaf))
    assert spine.payload_bytes == pytest.approx(on_leaf_bytes / hosts_per_leaf)
    assert spine.capacity_bytes_per_s == 5e10 / 3


@every_collective
def test_one_leaf_has_no_spine(collective: Collective) -> None:
    free = NETWORKS["one port per host"]
    for hosts_per_leaf in (None, 4, 64):
        network = dataclasses.replace(free, hosts_per_leaf=hosts_per_leaf, spine_bytes_per_s=1.0)
        assert predicted(collective, network).ceiling_s == predicted(collective, free).ceiling_s


@pytest.mark.parametrize("oversubscription", [2, 4])
@pytest.mark.parametrize(
    "collective", [c for c in EVERY_WITH_DATA if c not in (Collective.all_to_all, Collective.all_to_allv)]
)
def test_what_leaves_a_leaf_from_one_host_does_not_notice_its_uplinks(
    collective: Collective, oversubscription: int
) -> None:
    """A ring or a chain in rank order, a root, or one message: up to an oversubscription of the hosts below the leaf."""
    free = dataclasses.replace(NETWORKS["blocking spine"], spine_bytes_per_s=None, nvlink_bytes_per_s=None)
    blocking = dataclasses.replace(free, spine_bytes_per_s=5e10 / oversubscription, hosts_per_leaf=4)
    assert predicted(collective, blocking).ceiling_s == pytest.approx(predicted(collective, free).ceiling_s)


@pytest.mark.parametrize("collective", [Collective.all_to_all, Collective.all_to_allv])
def test_an_exchange_of_all_hosts_does(collective: Collective) -> None:
    free = dataclasses.replace(NETWORKS["blocking spine"], spine_bytes_per_s=None)
    blocking = NETWORKS["blocking spine"]
    assert predicted(collective, blocking).ceiling_s > predicted(collective, free).ceiling_s


def test_all_to_all_ceiling_passes_the_line_rate_between_two_hosts() -> None:
    """Almost half of the traffic never leaves the host: (N - 1) / (N - g) = 1.875 of a port's rate."""
    network = dataclasses.replace(NETWORKS["eight ports, nvlink"], num_hosts=2)
    ceiling = ceiling_of(predicted(Collective.all_to_all, network))
    assert math.isclose(ceiling, 1.875 * 49)


# Shares of an all_to_allv


@every_network
def test_equal_shares_are_predicted_as_an_all_to_all(network: Network) -> None:
    even, usual = predicted(Collective.all_to_allv, network), predicted(Collective.all_to_all, network)
    assert even.ceiling_s == pytest.approx(usual.ceiling_s)
    assert duration_of(even) == pytest.approx(duration_of(usual))
    assert (even.bound_by, even.also_bound_by) == (usual.bound_by, usual.also_bound_by)
    for mine, its in zip(even.loads, usual.loads, strict=True):
        assert mine.resource == its.resource
        assert mine.payload_bytes == pytest.approx(its.payload_bytes)


def test_shares_that_stay_below_a_leaf_do_not_load_the_spine() -> None:
    """Where a uniform exchange would: each pair of hosts below a leaf exchanges everything."""
    network = dataclasses.replace(
        NETWORKS["one port per host"], hosts_per_leaf=2, spine_bytes_per_s=5e10 / 100
    )
    pairs = ((0, GIB, 0, 0), (GIB, 0, 0, 0), (0, 0, 0, GIB), (0, 0, GIB, 0))
    prediction = predicted(Collective.all_to_allv, network, GIB, pairs)
    assert prediction.bound_by == "optics"
    assert prediction.ceiling_s == pytest.approx(GIB / 5e10)


def test_what_one_rank_receives_enters_by_its_own_port() -> None:
    """The receivers of one host are unequally hot, and seven of its ports cannot help the eighth.

    Of a message for rank 0, three hosts of four send it 24 of 32 shares.
    """
    network = dataclasses.replace(NETWORKS["eight ports, nvlink"], nvlink_bytes_per_s=None)
    skewed = traffic_from_skew(1, network.num_ranks).counts(GIB, 1)
    prediction = predicted(Collective.all_to_allv, network, GIB, skewed)
    assert prediction.ceiling_s == pytest.approx(24 / 32 * GIB / 4.9e10, rel=1e-6)


@pytest.mark.parametrize("is_moved_to_rail_first", [False, True])
def test_no_port_carries_more_than_the_busiest_of_an_enumeration(is_moved_to_rail_first: bool) -> None:
    """Data leave by the port of their source, or (PXN) by that of the rail of their destination: a ceiling holds for both."""
    for layout in ((2, 2), (3, 4), (4, 8)):
        num_hosts, g = layout
        network = dataclasses.replace(
            NETWORKS["eight ports, nvlink"],
            num_hosts=num_hosts,
            ranks_per_host=g,
            ports_per_host=g,
            nvlink_bytes_per_s=None,
        )
        spec = spec_of(Collective.all_to_allv, num_hosts * g, split=uneven_split(num_hosts * g))
        load = predict(spec, network).loads[0].payload_bytes
        outside = [m for m in messages(spec, g) if m.source // g != m.destination // g]
        moved = [
            dataclasses.replace(m, source=m.source // g * g + m.destination % g)
            if is_moved_to_rail_first
            else m
            for m in outside
        ]
        assert load <= busiest(across(moved, 1)) * (1 + 1e-12)
        assert load >= busiest(across(moved, g)) / g * (1 - 1e-12)
