"""Flows on a fat tree: the closed forms where there are any, examples solved by hand, and laws."""

import functools
import math
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from bench.model.flow.ecmp import slowest_at_leaf
from bench.model.flow.fat_tree import FatTree
from bench.model.flow.flow_simulation import Completion, finish_times_s, link_durations_s, simulate
from bench.model.flow.flows import (
    Flows,
    all_to_all,
    all_to_allv,
    flows,
    per_rail,
    rank_ring,
    rings,
    shuffled_hosts,
    together,
)
from bench.model.flow.max_min import Vector, max_min_rates
from bench.model.flow.route import Routing, route

B, L, S = 50e9, 370e9, 2.0**30
every_routing = pytest.mark.parametrize("routing", list(Routing))


def rail_tree(num_hosts: int, oversubscription: float = 1.0, **changes: Any) -> FatTree:
    """8 GPUs and ports to a host, up to 32 hosts to a unit, rail-optimised; 8 uplinks to a leaf, as fast as they must be."""
    hosts_per_leaf = min(32, num_hosts)
    plain: dict[str, Any] = {
        "num_hosts": num_hosts,
        "ports_per_host": 8,
        "hosts_per_leaf": hosts_per_leaf,
        "num_uplinks": 8,
        "port_bytes_per_s": B,
        "uplink_bytes_per_s": hosts_per_leaf * B / 8 / oversubscription,
        "is_rail_optimised": True,
        "nvlink_bytes_per_s": L,
    }
    return FatTree(**(plain | changes))


def rack_tree(num_hosts: int, hosts_per_leaf: int, oversubscription: float = 1.0, **changes: Any) -> FatTree:
    """One port to a host; 4 uplinks to a leaf."""
    plain: dict[str, Any] = {
        "num_hosts": num_hosts,
        "hosts_per_leaf": hosts_per_leaf,
        "num_uplinks": 4,
        "port_bytes_per_s": B,
        "uplink_bytes_per_s": hosts_per_leaf * B / 4 / oversubscription,
    }
    return FatTree(**(plain | changes))


def all_to_all_busbw(num_ranks: int, duration_s: float) -> float:
    return (num_ranks - 1) / num_ranks * S / duration_s


SECTION_6 = {
    (8, False): (56.25, 32.14, 16.07),
    (32, False): (51.41, 29.38, 14.69),
    (64, False): (50.69, 27.01, 13.50),
    (128, False): (50.34, 25.96, 12.98),
    (8, True): (56.25, 56.25, 56.25),
    (32, True): (51.41, 51.41, 51.41),
    (64, True): (50.69, 49.90, 24.95),
    (128, True): (50.34, 33.30, 16.65),
}
"""Hosts and PXN to the ceiling of busbw in GB/s at oversubscription 1, 2 and 4, as tabulated."""


@functools.cache
def all_to_all_loads(num_hosts: int, uses_pxn: bool) -> Vector:
    """Bytes on each link; they do not depend on rates."""
    tree = rail_tree(num_hosts)
    sent = all_to_all(tree, S, uses_pxn=uses_pxn)
    routes = route(tree, sent.source, sent.destination, exit_port=sent.exit_port)
    return routes.loads_bytes(sent.size_bytes)


@pytest.mark.parametrize(("n", "uses_pxn"), SECTION_6)
def test_all_to_all_on_rails_has_its_closed_form(n: int, uses_pxn: bool) -> None:
    """busbw = min(B (N - 1) / (N - g), the same / (f o)), f the share of off-host traffic that crosses the spine."""
    g, p, ranks = 8, min(32, n), 8 * n
    f = (n - p) / (n - 1) if uses_pxn else ((p - 1) * (g - 1) / g + (n - p)) / (n - 1)
    for o, tabulated in zip((1, 2, 4), SECTION_6[n, uses_pxn], strict=True):
        tree = rail_tree(n, o)
        durations_s = link_durations_s(all_to_all_loads(n, uses_pxn), tree.capacities_bytes_per_s())
        found = all_to_all_busbw(ranks, durations_s.max())
        assert found == pytest.approx(B * (ranks - 1) / (ranks - g) / max(1, f * o), rel=1e-9)
        assert found / 1e9 == pytest.approx(tabulated, abs=0.00501)


@pytest.mark.parametrize("uses_pxn", [False, True])
@pytest.mark.parametrize("o", [1, 2, 4])
def test_simulated_all_to_all_on_rails_and_its_max_min_rates(uses_pxn: bool, o: int) -> None:
    """The slowest max-min rate is size over (load over capacity), and simulation in time reaches the bound."""
    tree = rail_tree(8, o)
    sent = all_to_all(tree, S, uses_pxn=uses_pxn)
    found = simulate(tree, sent)
    assert all_to_all_busbw(64, found.duration_s) / 1e9 == pytest.approx(
        SECTION_6[8, uses_pxn][(1, 2, 4).index(o)], abs=0.00501
    )
    routes = route(tree, sent.source, sent.destination, exit_port=sent.exit_port)
    capacities = tree.capacities_bytes_per_s()
    incidence = routes.limits(capacities)
    rates = max_min_rates(incidence, capacities)
    assert rates.min() * found.duration_s == pytest.approx(sent.size_bytes[0], rel=1e-9)
    ends_s, _ = finish_times_s(incidence, capacities, sent.size_bytes)
    assert ends_s.max() == pytest.approx(found.duration_s, rel=1e-9)
    assert found.bound_by.startswith("uplink leaf" if o > 1 and not uses_pxn else "host link")


@pytest.mark.parametrize(
    ("uses_pxn", "expected"), [(False, 20e9 * 15 / 7), (True, 20e9 * 15 / 16 * 8 / 7)], ids=["direct", "pxn"]
)
def test_nvlink_binds_where_it_is_slow(uses_pxn: bool, expected: float) -> None:
    """Bounds of NVLink: L (N - 1) / (g - 1) without PXN, L (N - 1) / N x g / (g - 1) with it."""
    tree = rail_tree(2, nvlink_bytes_per_s=20e9)
    found = simulate(tree, all_to_all(tree, S, uses_pxn=uses_pxn))
    network = B * 15 / 8
    assert all_to_all_busbw(16, found.duration_s) == pytest.approx(min(network, expected), rel=1e-9)
    assert found.bound_by.startswith("NVLink" if expected < network else "host link")


@pytest.mark.parametrize(("n", "p", "o"), [(8, 2, 1), (8, 2, 2), (8, 4, 3), (12, 4, 1.5), (6, 6, 4)])
def test_all_to_all_below_racks(n: int, p: int, o: float) -> None:
    """f = (n - p) / (n - 1) for leaves of p hosts."""
    tree = rack_tree(n, p, o)
    found = simulate(tree, all_to_all(tree, S))
    expected = B / max(1, (n - p) / (n - 1) * o)
    assert all_to_all_busbw(n, found.duration_s) == pytest.approx(expected, rel=1e-9)
    assert found.collision_free_fraction == 1


@pytest.mark.parametrize("n", [2, 3, 8])
@pytest.mark.parametrize(("changes_rails", "nvlink"), [(False, L), (True, L * 8 / 7)])
def test_rings_reach_all_ports_at_once(n: int, changes_rails: bool, nvlink: float) -> None:
    """busbw g B at any n; of NVLink L where data leave by their own rail, L g / (g - 1) where they leave by the last rank's."""
    found = simulate(rail_tree(n), rings(rail_tree(n), S, changes_rails=changes_rails))
    assert S / found.duration_s == pytest.approx(min(8 * B, nvlink), rel=1e-9)
    tree = rail_tree(n, nvlink_bytes_per_s=1e13)
    assert S / simulate(tree, rings(tree, S)).duration_s == pytest.approx(8 * B, rel=1e-9)


@pytest.mark.parametrize(("o", "slowdown"), [(1, 1), (8, 1), (32, 1), (64, 2)])
def test_a_ring_in_order_is_not_slowed_until_o_exceeds_p(o: float, slowdown: float) -> None:
    tree = rail_tree(64, o, nvlink_bytes_per_s=None)
    found = simulate(tree, rings(tree, S))
    assert S / found.duration_s == pytest.approx(8 * B / slowdown, rel=1e-9)


def test_a_ring_in_random_order_crosses_the_spine_as_often_as_its_share_says() -> None:
    """The busiest leaf decides: its crossings, counted by hand, over its uplinks. On average (n - p) / (n - 1) of hops cross."""
    n, p, o = 64, 8, 4.0
    tree = rack_tree(n, p, o)
    shares = []
    for seed in range(30):
        order = shuffled_hosts(tree, seed)
        leaf = order // p
        crossings = [sum((leaf == k) & (np.roll(leaf, -1) != k)) for k in range(n // p)]
        found = simulate(tree, rings(tree, S, host_order=order))
        assert S / found.duration_s == pytest.approx(B / (max(crossings) / p * o), rel=1e-9)
        shares.append(sum(crossings) / n)
    assert np.mean(shares) == pytest.approx((n - p) / (n - 1), abs=4 * float(np.std(shares)) / math.sqrt(30))


def test_the_slowest_rail_sets_the_pace_of_all() -> None:
    """g min B_r, and the link is named."""
    tree = rail_tree(4, slow_ports={2 * 8 + 5: B / 2})
    found = simulate(tree, rings(tree, S))
    assert S / found.duration_s == pytest.approx(8 * B / 2, rel=1e-9)
    assert found.bound_by.startswith("host link h2 rail 5")
    exchange = simulate(tree, all_to_all(tree, S, uses_pxn=True))
    assert all_to_all_busbw(32, exchange.duration_s) == pytest.approx(B / 2 * 31 / 24, rel=1e-9)


def test_failed_uplinks_leave_their_share_to_the_others() -> None:
    """Two leaves, one of 4 uplinks of leaf 1 down: both directions have 3 left, so o = 1.5 becomes 2."""
    tree = rack_tree(8, 4, 1.5, failed_uplinks=frozenset({(1, 2)}))
    found = simulate(tree, all_to_all(tree, S))
    assert all_to_all_busbw(8, found.duration_s) == pytest.approx(B / (4 / 7 * 2), rel=1e-9)
    assert (
        found.loads_bytes[[tree.link_name(i) == "uplink leaf 0 -> spine 2" for i in range(tree.num_links)]]
        == 0
    )


def test_a_failed_uplink_among_three_leaves() -> None:
    """Leaf 2 lost spine 0. Leaf 0 sends 16 flows to each other leaf: to leaf 1 by all four spines, to leaf 2 by three."""
    tree = rack_tree(12, 4, 2, failed_uplinks=frozenset({(2, 0)}))
    found = simulate(tree, all_to_all(tree, 12.0))
    loads = {tree.link_name(link): load for link, load in enumerate(found.loads_bytes)}
    assert loads["uplink leaf 0 -> spine 0"] == pytest.approx(16 / 4)
    assert loads["uplink leaf 0 -> spine 1"] == pytest.approx(16 / 4 + 16 / 3)
    assert loads["uplink leaf 2 -> spine 1"] == pytest.approx(32 / 3)
    assert found.duration_s == pytest.approx(32 / 3 / tree.uplink_bytes_per_s)
    assert found.bound_by == "uplink leaf 2 -> spine 1"


def test_a_slow_uplink_slows_all_that_is_sprayed() -> None:
    """Shares stay equal, so a quarter of a leaf's traffic waits for the link at half the rate."""
    tree = rack_tree(8, 4, 2)
    slow = rack_tree(8, 4, 2, slow_uplinks={(0, 3): tree.uplink_bytes_per_s / 2})
    found, healthy = simulate(slow, all_to_all(slow, S)), simulate(tree, all_to_all(tree, S))
    assert found.duration_s == pytest.approx(2 * healthy.duration_s)
    assert found.bound_by == "uplink leaf 0 -> spine 3"


def test_hashed_all_to_all_waits_for_the_fullest_link() -> None:
    """Flows counted one by one with the path of each on its own."""
    tree = rack_tree(8, 2, 1)
    sent = all_to_all(tree, 8.0)
    counted: dict[int, int] = {}
    for source, destination in zip(sent.source, sent.destination, strict=True):
        alone = route(tree, [source], [destination], routing=Routing.ecmp, seed=9)
        for link in np.flatnonzero(alone.loads_bytes(np.ones(1))).tolist():
            counted[link] = counted.get(link, 0) + 1
    found = simulate(tree, sent, routing=Routing.ecmp, seed=9)
    assert {link: found.loads_bytes[link] for link in counted} == counted
    assert found.loads_bytes.sum() == sum(counted.values())
    capacities = tree.capacities_bytes_per_s()
    worst = max(counted, key=lambda link: counted[link] / capacities[link])
    assert found.duration_s == pytest.approx(counted[worst] / capacities[worst])
    assert found.collision_free_s == simulate(tree, sent).duration_s
    assert found.collision_free_fraction == found.collision_free_s / found.duration_s <= 1


@pytest.mark.parametrize("seed", range(5))
@every_routing
def test_equal_flows_take_exactly_the_bound(seed: int, routing: Routing) -> None:
    """What `simulate` relies on, checked by simulation in time: random pairs, slow and failed links."""
    random = np.random.default_rng(seed)
    tree = rack_tree(
        12,
        3,
        2,
        slow_ports={4: B / 3},
        slow_uplinks={(1, 1): B / 2},
        failed_uplinks=frozenset({(3, 0)}),
    )
    source = random.integers(12, size=60)
    sent = flows(source, (source + random.integers(1, 12, size=60)) % 12, 7e6)
    found = simulate(tree, sent, routing=routing, seed=seed)
    routes = route(tree, sent.source, sent.destination, routing=routing, seed=seed)
    capacities = tree.capacities_bytes_per_s()
    ends_s, num_steps = finish_times_s(routes.limits(capacities), capacities, sent.size_bytes)
    assert num_steps > 1 and found.num_steps == 0
    assert ends_s.max() == pytest.approx(found.duration_s, rel=1e-9)


@pytest.mark.parametrize(("k", "u", "q"), [(8, 8, 1), (8, 8, 4), (4, 16, 1), (4, 16, 4), (12, 4, 2)])
def test_hashed_pairs_lose_what_the_scenario_says(k: int, u: int, q: int) -> None:
    """k hosts of a leaf send to those of another: the mean over seeds within four standard errors of the exact one."""
    tree = FatTree(num_hosts=2 * k, hosts_per_leaf=k, num_uplinks=u, port_bytes_per_s=B, uplink_bytes_per_s=B)
    sent = flows(np.arange(k), np.arange(k, 2 * k), S).split(q)
    fractions = [
        simulate(tree, sent, routing=Routing.ecmp, seed=seed).collision_free_fraction for seed in range(100)
    ]
    expected = slowest_at_leaf(k, u, num_queue_pairs=q).mean
    assert np.mean(fractions) == pytest.approx(expected, abs=4 * float(np.std(fractions)) / math.sqrt(100))


def test_queue_pairs_do_not_change_loads_of_sprayed_flows_and_spread_hashed_ones() -> None:
    tree = rack_tree(16, 8, 1)
    sent = flows(np.arange(8), np.arange(8, 16), S)
    assert simulate(tree, sent.split(16)).loads_bytes == pytest.approx(simulate(tree, sent).loads_bytes)
    one, many = (
        np.mean(
            [
                simulate(tree, parts, routing=Routing.ecmp, seed=seed).collision_free_fraction
                for seed in range(50)
            ]
        )
        for parts in (sent, sent.split(16))
    )
    assert one < many < 1


def test_two_messages_on_one_link() -> None:
    """1 and 3 bytes at 1 byte/s: they share until 2 s, then the second is alone until 4 s."""
    ends_s, num_steps = finish_times_s(csr_array(np.ones((1, 2))), [1.0], [1.0, 3.0])
    assert (ends_s.tolist(), num_steps) == ([2.0, 4.0], 2)


def test_fair_sharing_can_take_longer_than_the_bound() -> None:
    """f passes A and B, h passes B and C, of 1 byte each; two flows of 1/3 byte fill up A, two C. Until 1 s all have 1/3, and B
    idles a third of the time; then f and h share B: 1 + 2 (2/3) s, where every link could be through after 2 s."""
    incidence = csr_array(np.array([[1.0, 1, 1, 0, 0, 0], [1, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 1]]))
    sizes = np.array([1.0, 1 / 3, 1 / 3, 1, 1 / 3, 1 / 3])
    ends_s, num_steps = finish_times_s(incidence, np.ones(3), sizes)
    assert ends_s == pytest.approx([7 / 3, 1, 1, 7 / 3, 1, 1])
    assert num_steps == 2
    assert max(incidence @ sizes) == 2


def test_a_flow_behind_a_dead_link_never_ends() -> None:
    with pytest.raises(ValueError, match="flow 1 never ends"):
        finish_times_s(csr_array(np.eye(2)), [1.0, 0.0], [1.0, 1.0])


def unequal(tree: FatTree, seed: int) -> Flows:
    size = (tree.num_ports, tree.num_ports)
    return all_to_allv(tree, np.random.default_rng(seed).gamma(0.5, 1e6, size))


@every_routing
def test_unequal_shares(routing: Routing) -> None:
    """The bound is the largest load over capacity, and no completion is below it; sizes and rates scale durations."""
    tree = rack_tree(8, 4, 2)
    sent = unequal(tree, 1)
    found = simulate(tree, sent, routing=routing)
    assert found.bound_s <= found.duration_s * (1 + 1e-12) and found.num_steps > 10
    fast = rack_tree(8, 4, 2, port_bytes_per_s=3 * B, uplink_bytes_per_s=3 * tree.uplink_bytes_per_s)
    assert simulate(fast, sent, routing=routing).duration_s == pytest.approx(found.duration_s / 3, rel=1e-9)
    longer = flows(sent.source, sent.destination, 5 * sent.size_bytes)
    assert simulate(tree, longer, routing=routing).duration_s == pytest.approx(5 * found.duration_s, rel=1e-9)


def test_bound_of_unequal_shares_on_a_non_blocking_tree_is_the_fullest_row_or_column() -> None:
    tree = rack_tree(8, 4)
    split = np.random.default_rng(2).gamma(0.5, 1e6, (8, 8))
    np.fill_diagonal(split, 0)
    largest = max(split.sum(axis=0).max(), split.sum(axis=1).max())
    found = simulate(tree, all_to_allv(tree, split))
    assert found.bound_s == pytest.approx(largest / B)
    assert simulate(tree, all_to_allv(tree, np.full((8, 8), S / 8))).duration_s == pytest.approx(
        simulate(tree, all_to_all(tree, S)).duration_s
    )


def test_a_tolerance_saves_steps_and_costs_about_itself() -> None:
    tree = rack_tree(12, 4, 2)
    sent = unequal(tree, 3)
    exact, coarse = simulate(tree, sent), simulate(tree, sent, relative_tolerance=0.02)
    assert coarse.num_steps < exact.num_steps / 2
    assert coarse.duration_s == pytest.approx(exact.duration_s, rel=0.04)
    assert coarse.bound_s == exact.bound_s <= coarse.duration_s


def test_groups_on_their_rails_use_no_spine_within_a_unit() -> None:
    tree = rail_tree(8)
    for build in (
        lambda ranks: rank_ring(ranks, S),
        lambda ranks: all_to_all(tree, S, ranks=ranks),
    ):
        found = simulate(tree, per_rail(tree, build))
        spine = [("spine" in tree.link_name(link)) for link in range(tree.num_links)]
        assert not found.loads_bytes[spine].any()
        assert found.bound_by.startswith("host link h0 rail 0")
    ring = simulate(tree, per_rail(tree, lambda ranks: rank_ring(ranks, S)))
    assert ring.duration_s == pytest.approx(S / B)


def test_rings_of_one_port_are_the_ring_of_ranks() -> None:
    tree = rack_tree(6, 3)
    ring, hops = rings(tree, S), rank_ring(np.arange(6), S)
    assert (ring.source == hops.source).all() and (ring.destination == hops.destination).all()
    assert (ring.size_bytes == hops.size_bytes).all()


def test_two_groups_at_once_share_what_they_share() -> None:
    """Two leaves of 4, one uplink each: alone a pair across has its port's rate, two pairs half of it."""
    tree = rack_tree(8, 4, num_uplinks=1, uplink_bytes_per_s=B)
    one, two = flows([0], [4], S), flows([1], [5], S)
    assert simulate(tree, one).duration_s == pytest.approx(S / B)
    both = simulate(tree, together([one, two]))
    assert both.duration_s == pytest.approx(2 * S / B)
    assert both.bound_by == "uplink leaf 0 -> spine 0"


def test_nothing_to_send() -> None:
    tree = rack_tree(4, 2)
    for nothing in (
        flows([], [], []),
        flows([0], [1], 0.0),
        rank_ring([3], S),
        all_to_all(tree, S, ranks=[2]),
    ):
        found: Completion = simulate(tree, nothing, routing=Routing.ecmp)
        assert (len(nothing), found.duration_s, found.bound_by, found.collision_free_fraction) == (
            0,
            0,
            "",
            1,
        )


@pytest.mark.parametrize("size", [-1.0, math.nan, math.inf])
def test_sizes_are_bytes(size: float) -> None:
    with pytest.raises(ValueError, match="size_bytes"):
        flows([0], [1], size)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"4 ranks need \(4, 4\)"):
        all_to_allv(rack_tree(4, 2), np.ones((4, 3)))
    with pytest.raises(ValueError, match="one port for each flow"):
        flows([0, 1], [1], 1.0)
    with pytest.raises(ValueError, match="num_queue_pairs is 0"):
        flows([0], [1], 1.0).split(0)
