"""Which schedule NCCL is taken to choose, and which others there are."""

import dataclasses
import itertools

import pytest

from bench.model.choice import alternatives, candidates
from bench.model.collective import Collective
from bench.model.fabric import Network
from bench.model.gpu import GPUS
from bench.model.held_out import experience
from bench.model.predict import choose, predict
from bench.model.schedule import SCHEDULES, Schedule
from bench.published import own_rows
from tests.model.networks import GIB
from tests.model.schedules import spec_of

KNOWN = experience(own_rows())
DGX_H100 = Network(
    num_hosts=2,
    ranks_per_host=8,
    ports_per_host=8,
    port_bytes_per_s={"optics": 4.9e10},
    nvlink_bytes_per_s=4.5e11,
    gpu=GPUS["H100"],
    has_nvls=True,
)
SIZES = [(1, 8), (2, 8), (4, 8), (16384, 8), (2, 1), (1, 2), (2, 72)]
every_size = pytest.mark.parametrize(("num_hosts", "ranks_per_host"), SIZES)


@pytest.mark.parametrize("collective", list(Collective), ids=lambda collective: collective.value)
def test_all_of_them_have_a_closed_form(collective: Collective) -> None:
    """What might be chosen is among what there is, and nothing is named twice."""
    for size, has_nvls, reduces in itertools.product(SIZES, (False, True), (False, True)):
        possible = candidates(collective, *size, has_nvls=has_nvls, has_in_network_reduction=reduces)
        others = alternatives(collective, *size, has_nvls=has_nvls)
        assert set(possible) | set(others) <= set(SCHEDULES.get(collective, ()))
        assert set(possible) <= set(others) and len(set(others)) == len(others)
        assert bool(possible) == (collective in SCHEDULES)


@every_size
def test_switches_that_reduce_are_used_where_there_are_some(num_hosts: int, ranks_per_host: int) -> None:
    size = (Collective.all_reduce, num_hosts, ranks_per_host)
    without = {*candidates(*size, has_nvls=False), *alternatives(*size, has_nvls=False)}
    assert not without & {Schedule.nvls, Schedule.nvlstree}
    having = candidates(*size, has_nvls=True)
    assert (Schedule.nvls in having) == (num_hosts == 1 and ranks_per_host > 1)
    assert (Schedule.nvlstree in having) == (num_hosts > 1 and ranks_per_host > 1)


def test_reduction_in_the_network_is_taken_only_where_it_is_set_up() -> None:
    for num_hosts in (1, 2, 64):
        size = (Collective.all_reduce, num_hosts, 8)
        assert Schedule.sharp not in candidates(*size, has_nvls=True)
        found = candidates(*size, has_nvls=True, has_in_network_reduction=True)
        assert (Schedule.sharp in found) == (num_hosts > 1)


@pytest.mark.parametrize(
    ("changes", "schedule"),
    [
        ({"num_hosts": 1}, Schedule.nvls),
        ({"num_hosts": 2}, Schedule.nvlstree),
        ({"num_hosts": 2, "has_nvls": False}, Schedule.ring),
        ({"num_hosts": 1, "has_nvls": False}, Schedule.ring),
        ({"num_hosts": 4, "has_nvls": False, "has_in_network_reduction": True}, Schedule.sharp),
        ({"num_hosts": 16, "ranks_per_host": 1, "ports_per_host": 1}, Schedule.ring),
    ],
)
def test_all_reduce_of_a_large_message(changes: dict[str, int], schedule: Schedule) -> None:
    network = dataclasses.replace(DGX_H100, **changes)  # type: ignore[arg-type]
    assert choose(spec_of(Collective.all_reduce, network.num_ranks, 16 * GIB), network, KNOWN) is schedule


def test_steps_decide_for_small_messages() -> None:
    """A ring of 512 ranks has 1022 steps; a tree has six between hosts."""
    network = dataclasses.replace(DGX_H100, num_hosts=64)
    assert choose(spec_of(Collective.all_reduce, 512, 2**20), network, KNOWN) is Schedule.nvlstree


@pytest.mark.parametrize("message_bytes", [2**10, 2**20, 2**30, 2**36])
@pytest.mark.parametrize("num_hosts", [1, 2, 4, 64])
def test_the_fastest_candidate_is_taken(num_hosts: int, message_bytes: int) -> None:
    network = dataclasses.replace(DGX_H100, num_hosts=num_hosts)
    spec = spec_of(Collective.all_reduce, network.num_ranks, message_bytes)
    chosen = choose(spec, network, KNOWN)
    possible = candidates(spec.collective, num_hosts, 8, has_nvls=True)
    durations_s = {schedule: predict(spec, network, schedule, KNOWN).duration_s for schedule in possible}
    assert chosen is not None
    assert durations_s[chosen] == min(duration_s for duration_s in durations_s.values() if duration_s)


@pytest.mark.parametrize(
    "collective", [Collective.gather, Collective.scatter, Collective.ping_pong, Collective.barrier]
)
def test_nothing_is_chosen_where_there_is_no_closed_form(collective: Collective) -> None:
    assert choose(spec_of(collective, 16), DGX_H100, KNOWN) is None
