"""Links of a fat tree by number and name, and the routes of flows through it: sprayed, hashed, around what has failed."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from bench.model.flow.fat_tree import FatTree
from bench.model.flow.route import Routes, Routing, route

every_routing = pytest.mark.parametrize("routing", list(Routing))


def tree_of(**changes: Any) -> FatTree:
    """4 hosts of 2 ports, 2 hosts to a leaf, 4 uplinks: top of rack, so 2 leaves."""
    plain: dict[str, Any] = {
        "num_hosts": 4,
        "ports_per_host": 2,
        "hosts_per_leaf": 2,
        "num_uplinks": 4,
        "port_bytes_per_s": 10.0,
        "uplink_bytes_per_s": 20.0,
    }
    return FatTree(**(plain | changes))


def shares(tree: FatTree, routes: Routes, flow: int = 0) -> dict[str, float]:
    """Name of each link on the way of a flow to the share of it that passes."""
    sizes = np.zeros(len(routes.path_of_flow))
    sizes[flow] = 1.0
    loads = routes.loads_bytes(sizes)
    return {tree.link_name(link): float(loads[link]) for link in np.flatnonzero(loads).tolist()}


def way(tree: FatTree, source: int, destination: int, **options: Any) -> dict[str, float]:
    return shares(tree, route(tree, [source], [destination], **options))


@pytest.mark.parametrize("is_rail_optimised", [False, True])
@pytest.mark.parametrize("nvlink", [None, 100.0])
@pytest.mark.parametrize("num_spines", [None, 2])
def test_every_link_has_a_name_of_its_own_and_a_capacity(
    is_rail_optimised: bool, nvlink: float | None, num_spines: int | None
) -> None:
    tree = tree_of(is_rail_optimised=is_rail_optimised, nvlink_bytes_per_s=nvlink, num_spines=num_spines)
    names = [tree.link_name(link) for link in range(tree.num_links)]
    assert len(set(names)) == tree.num_links
    expected = {"host": 10.0, "upli": 20.0, "down": 20.0, "NVLi": 100.0}
    assert tree.capacities_bytes_per_s().tolist() == [expected[name[:4]] for name in names]


def test_leaves_of_racks_and_of_rails() -> None:
    ports = np.arange(8)
    assert tree_of().leaf_of(ports).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert tree_of(is_rail_optimised=True).leaf_of(ports).tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert tree_of(num_hosts=5).num_leaves == 3
    assert tree_of(num_hosts=5, is_rail_optimised=True).num_leaves == 6


def test_oversubscription_is_ports_over_uplinks() -> None:
    assert tree_of().oversubscription == 4 * 10 / (4 * 20)
    assert tree_of(num_uplinks=1).oversubscription == 2
    assert tree_of(is_rail_optimised=True).oversubscription == 2 * 10 / (4 * 20)


def test_slow_and_failed_links_are_so_in_both_directions() -> None:
    tree = tree_of(slow_ports={5: 3.0}, slow_uplinks={(1, 2): 4.0}, failed_uplinks=frozenset({(0, 3)}))
    found = {tree.link_name(i): rate for i, rate in enumerate(tree.capacities_bytes_per_s())}
    changed = {name: rate for name, rate in found.items() if rate != (10 if name.startswith("host") else 20)}
    assert changed == {
        "host link h2 rail 1, sending": 3.0,
        "host link h2 rail 1, receiving": 3.0,
        "uplink leaf 1 -> spine 2": 4.0,
        "downlink spine 2 -> leaf 1": 4.0,
        "uplink leaf 0 -> spine 3": 0.0,
        "downlink spine 3 -> leaf 0": 0.0,
    }


@every_routing
def test_ways_that_use_no_spine(routing: Routing) -> None:
    tree = tree_of(nvlink_bytes_per_s=100.0)
    inside = {"NVLink h0 rank 0, sending": 1.0, "NVLink h0 rank 1, receiving": 1.0}
    below_leaf = {"host link h0 rail 0, sending": 1.0, "host link h1 rail 1, receiving": 1.0}
    assert way(tree, 0, 1, routing=routing) == inside
    assert way(tree, 0, 3, routing=routing) == below_leaf
    assert way(tree_of(), 0, 1, routing=routing) == {}


def test_a_sprayed_flow_takes_every_uplink() -> None:
    expected = {"host link h0 rail 0, sending": 1.0, "host link h3 rail 1, receiving": 1.0}
    for spine in range(4):
        expected |= {f"uplink leaf 0 -> spine {spine}": 0.25, f"downlink spine {spine} -> leaf 1": 0.25}
    assert way(tree_of(), 0, 7) == expected


def test_a_hashed_flow_takes_one() -> None:
    found = way(tree_of(), 0, 7, routing=Routing.ecmp)
    spines = [spine for spine in range(4) if f"uplink leaf 0 -> spine {spine}" in found]
    assert len(found) == 4 and set(found.values()) == {1.0} and len(spines) == 1
    assert f"downlink spine {spines[0]} -> leaf 1" in found


def test_leaving_by_the_rail_of_the_destination() -> None:
    """Rail-optimised: the other rail of a neighbour is across the spine; over NVLink first, it is below the same leaf."""
    tree = tree_of(is_rail_optimised=True, nvlink_bytes_per_s=100.0)
    assert "uplink leaf 0 -> spine 0" in way(tree, 0, 3)
    assert way(tree, 0, 3, exit_port=[1]) == {
        "NVLink h0 rank 0, sending": 1.0,
        "NVLink h0 rank 1, receiving": 1.0,
        "host link h0 rail 1, sending": 1.0,
        "host link h1 rail 1, receiving": 1.0,
    }


@every_routing
def test_failed_uplinks_of_either_leaf_are_passed_by(routing: Routing) -> None:
    """Leaf 0 has lost spine 1, leaf 1 spine 2: of four spines 0 and 3 are left between them."""
    tree = tree_of(failed_uplinks=frozenset({(0, 1), (1, 2)}))
    source, destination = np.array(list(product(range(4), range(4, 8)))).T
    routes = route(
        tree, np.tile(source, 20), np.tile(destination, 20), queue_pair=np.arange(320), routing=routing
    )
    loads = routes.loads_bytes(np.ones(320))
    used = {
        tree.link_name(link): loads[link]
        for link in np.flatnonzero(loads).tolist()
        if "spine" in tree.link_name(link)
    }
    assert set(used) == {f"uplink leaf 0 -> spine {s}" for s in (0, 3)} | {
        f"downlink spine {s} -> leaf 1" for s in (0, 3)
    }
    if routing is Routing.sprayed:
        assert set(used.values()) == {160.0}
    assert used["uplink leaf 0 -> spine 0"] + used["uplink leaf 0 -> spine 3"] == 320


def test_cables_side_by_side_share_what_comes_from_their_spine() -> None:
    """2 spines with 2 cables to each leaf. Leaf 0 has lost a cable to spine 0, leaf 1 one to spine 1: three thirds go up, and
    down come a third by spine 0, over two cables, and two thirds by spine 1, over one."""
    tree = tree_of(num_spines=2, failed_uplinks=frozenset({(0, 0), (1, 3)}))
    found = {name: share for name, share in way(tree, 0, 4).items() if "spine" in name}
    assert found == pytest.approx(
        {
            "uplink leaf 0 -> spine 0, cable 1": 1 / 3,
            "uplink leaf 0 -> spine 1, cable 0": 1 / 3,
            "uplink leaf 0 -> spine 1, cable 1": 1 / 3,
            "downlink spine 0 -> leaf 1, cable 0": 1 / 6,
            "downlink spine 0 -> leaf 1, cable 1": 1 / 6,
            "downlink spine 1 -> leaf 1, cable 0": 2 / 3,
        }
    )


def test_spines_hash_among_cables_side_by_side() -> None:
    """Every choice of one cable up and one of the two down from its spine occurs, each about 2000 / 8 times."""
    tree = tree_of(num_spines=2)
    routes = route(tree, [0] * 2000, [4] * 2000, queue_pair=np.arange(2000), routing=Routing.ecmp)
    counts = np.bincount(routes.path_of_flow)
    assert len(counts) == 8
    assert counts.min() > 250 - 5 * 15 and counts.max() < 250 + 5 * 15


def test_hashes_spread_evenly_and_follow_the_seed_not_the_order() -> None:
    tree = tree_of(num_hosts=512, ports_per_host=1, hosts_per_leaf=256, num_uplinks=8)
    source, destination = np.repeat(np.arange(256), 100), np.tile(np.arange(256, 356), 256)

    def loads(seed: int, order: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        order = np.arange(len(source)) if order is None else order
        routes = route(tree, source[order], destination[order], routing=Routing.ecmp, seed=seed)
        return routes.loads_bytes(np.arange(len(source), dtype=np.float64)[order])

    first = route(tree, source, destination, routing=Routing.ecmp, seed=1)
    counts = first.loads_bytes(np.ones(len(source)))[1024 : 1024 + 8]
    # Chi square with 7 degrees of freedom: above 30 once in 10 000 seeds.
    assert ((counts - 3200) ** 2 / 3200).sum() < 30
    shuffled = np.random.default_rng(0).permutation(len(source))
    assert loads(1) == pytest.approx(loads(1, shuffled), rel=1e-12)
    assert (loads(1) != loads(2)).any()


@every_routing
def test_limits_leave_out_only_what_cannot_limit(routing: Routing) -> None:
    """Load over capacity, maximised over links, is the same as over all of them; a slow uplink stays in."""
    tree = tree_of(
        num_hosts=6, slow_uplinks={(1, 2): 4.0, (2, 0): 5.0}, failed_uplinks=frozenset({(0, 3)}), num_spines=2
    )
    source, destination = np.array([(i, j) for i in range(12) for j in range(12) if i != j]).T
    routes = route(tree, source, destination, routing=routing)
    capacities = tree.capacities_bytes_per_s()
    random = np.random.default_rng(3)
    for _ in range(20):
        sizes = random.random(len(source)) ** 3
        loads = routes.loads_bytes(sizes)
        kept = routes.limits(capacities) @ sizes
        is_kept = kept > 0
        assert kept[is_kept] == pytest.approx(loads[is_kept], rel=1e-12)
        used = loads > 0
        assert (kept[is_kept] / capacities[is_kept]).max() == pytest.approx(
            (loads[used] / capacities[used]).max()
        )


def test_a_healthy_leaf_that_sprays_has_one_uplink_that_limits() -> None:
    """Flows from leaf 0 to 1 and 2 and from 1 to 2: four entries each, two ports and one link up and down of 32."""
    tree = tree_of(num_hosts=6, num_uplinks=32)
    routes = route(tree, [0, 1, 4], [4, 8, 9])
    assert routes.limits(tree.capacities_bytes_per_s()).nnz == 3 * 4


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"num_hosts": 0}, "num_hosts is 0"),
        ({"port_bytes_per_s": 0.0}, "port_bytes_per_s is 0"),
        ({"nvlink_bytes_per_s": -1.0}, "nvlink_bytes_per_s is -1"),
        ({"slow_ports": {1: 0.0}}, r"slow_ports\[1\] is 0"),
        ({"slow_ports": {8: 1.0}}, "ports go from 0 to 7"),
        ({"slow_uplinks": {(2, 0): 1.0}}, r"no uplink \(2, 0\): leaves go from 0 to 1"),
        ({"failed_uplinks": frozenset({(0, 4)})}, r"no uplink \(0, 4\)"),
        ({"num_spines": 3}, "divisor of num_uplinks"),
    ],
)
def test_a_tree_that_cannot_be_built(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        tree_of(**changes)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"source": [1], "destination": [1]}, "from port 1 to itself"),
        ({"source": [0], "destination": [8]}, "ports go from 0 to 7"),
        ({"source": [-1], "destination": [7]}, "ports go from 0 to 7"),
        ({"source": [0], "destination": [7], "exit_port": [2]}, "leaves by port 2 of another host"),
        ({"source": [0, 1], "destination": [7]}, "lists alike"),
    ],
)
def test_flows_that_cannot_be_routed(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        route(tree_of(), **arguments)


@every_routing
def test_leaves_without_a_common_spine(routing: Routing) -> None:
    """Leaf 0 reaches spines 0 and 1 only, leaf 1 spines 2 and 3 only; below a leaf nothing is lost."""
    tree = tree_of(failed_uplinks=frozenset({(0, 2), (0, 3), (1, 0), (1, 1)}))
    with pytest.raises(ValueError, match="both leaf 0 and leaf 1"):
        route(tree, [0], [4], routing=routing)
    assert len(way(tree, 0, 2, routing=routing)) == 2
