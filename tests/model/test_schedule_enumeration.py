"""Schedules, transfer by transfer: closed forms equal what the busiest host, rank and leaf of an enumeration carry."""

from collections.abc import Sequence
from typing import Any

import pytest

from bench.model.collective import Collective
from bench.model.schedule import SCHEDULES, Demand, Schedule, demand
from tests.model.enumerated import (
    host_bytes,
    inside_bytes,
    leaf_bytes,
    multicast_bytes,
    transfers,
)

POWERS_OF_TWO = (Schedule.rabenseifner, Schedule.rabenseifner_net_first, Schedule.recursive_doubling)
"""On other numbers of hosts these need steps of their own; the closed form is then less than they move."""

BY_SWITCHES = (Schedule.nvls, Schedule.nvlstree, Schedule.sharp)
"""No messages from rank to rank; `test_switches_that_reduce_and_multicast` counts what goes in and out of a rank."""

PAIRS = [
    (collective, schedule)
    for collective, known in SCHEDULES.items()
    for schedule in known
    if collective is not Collective.all_to_allv and schedule not in BY_SWITCHES
]
LAYOUTS = [(1, 2), (1, 8), (2, 1), (3, 1), (4, 1), (7, 1), (2, 2), (2, 3), (2, 8), (3, 3), (3, 4), (4, 2), (5, 3), (8, 2)]  # fmt: skip
LEAVES = [(4, 1, 1), (4, 1, 2), (4, 2, 2), (8, 2, 4), (8, 3, 2), (6, 2, 3), (6, 3, 4), (7, 2, 3), (5, 1, 4), (3, 2, 3)]  # fmt: skip
"""Hosts, ranks per host, hosts per leaf; the last leaf may be in use in part only."""


def _cases(layouts: Sequence[tuple[int, ...]]) -> list[Any]:
    cases = []
    for collective, schedule in PAIRS:
        for sizes in layouts:
            if schedule not in POWERS_OF_TWO or all(size & (size - 1) == 0 for size in sizes):
                name = "-".join((collective.value, schedule.value, *map(str, sizes)))
                cases.append(pytest.param(collective, schedule, *sizes, id=name))
    return cases


@pytest.mark.parametrize(("collective", "schedule", "n", "g"), _cases(LAYOUTS))
def test_hosts_and_ranks(collective: Collective, schedule: Schedule, n: int, g: int) -> None:
    found, needs = transfers(collective, schedule, n, g), demand(collective, schedule, n, g)
    assert float(needs.host_bytes) == pytest.approx(host_bytes(found, g), rel=1e-12)
    assert float(needs.inside_bytes) == pytest.approx(inside_bytes(found, g), rel=1e-12)
    assert needs.nvls_bytes == 0


@pytest.mark.parametrize(("collective", "schedule", "n", "g", "p"), _cases(LEAVES))
def test_leaves(collective: Collective, schedule: Schedule, n: int, g: int, p: int) -> None:
    """Of trees only the least is known that any schedule needs, since where their hosts lie is up to the library."""
    found = leaf_bytes(transfers(collective, schedule, n, g), g, p)
    needed = float(demand(collective, schedule, n, g, p).leaf_bytes)
    if schedule in (Schedule.tree, Schedule.single_tree):
        assert needed <= found * (1 + 1e-12)
    else:
        assert needed == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("schedule", [Schedule.p2p, Schedule.p2p_pxn])
@pytest.mark.parametrize(("n", "g", "p"), LEAVES)
def test_leaves_of_one_rail(schedule: Schedule, n: int, g: int, p: int) -> None:
    """Data between rails use the spine even inside a unit, unless they move to the rail of their destination first."""
    found = transfers(Collective.all_to_all, schedule, n, g)
    needed = demand(Collective.all_to_all, schedule, n, g, p, True)
    assert float(needed.leaf_bytes) == pytest.approx(leaf_bytes(found, g, p, is_rail_optimised=True))
    assert float(needed.host_bytes) == pytest.approx(host_bytes(found, g))


@pytest.mark.parametrize("g", [2, 3, 8, 72])
def test_switches_that_reduce_and_multicast(g: int) -> None:
    """Each of g ranks owns S / g: it pulls the sum of its part and stores it to all, so every rank gives and gets S + S / g."""
    reduced = demand(Collective.all_reduce, Schedule.nvls, 1, g)
    assert float(reduced.nvls_bytes) == pytest.approx(multicast_bytes(g))
    between = demand(Collective.all_reduce, Schedule.nvlstree, 4, g)
    assert float(between.nvls_bytes) == pytest.approx(multicast_bytes(g))


@pytest.mark.parametrize("n", [2, 3, 8])
def test_a_network_that_reduces_takes_the_vector_once(n: int) -> None:
    needs: Demand = demand(Collective.all_reduce, Schedule.sharp, n, 8)
    assert needs.host_bytes == 1
    chain = transfers(Collective.all_reduce, Schedule.tree, n, 8)
    assert float(needs.inside_bytes) == pytest.approx(inside_bytes(chain, 8))
