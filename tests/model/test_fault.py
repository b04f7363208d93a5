"""Faults: each kind takes its own keys and no others, names what is wrong, and strikes where it was told to."""

import dataclasses
import math
from typing import Any

import pytest

from bench.catalog import from_mapping
from bench.model.fault import Fault, RankFaults, check_faults, loss_ratios, rate_fractions

LATE: dict[str, Any] = {"kind": "late_rank", "rank": 2, "delay_s": 0.05}
SLOW: dict[str, Any] = {"kind": "slow_link", "host": 1, "rate_fraction": 0.5}
STALL: dict[str, Any] = {"kind": "stall", "rank": 1, "iteration": 10, "duration_s": 0.3}
RAIL: dict[str, Any] = {"kind": "slow_rail", "rail": 1, "rate_fraction": 0.5}
LOSS: dict[str, Any] = {"kind": "loss", "loss_ratio": 0.001}
EVERY = (LATE, SLOW, RAIL, LOSS, STALL)
OPTIONAL = {"slow_rail": {"host": 0}, "loss": {"host": 0}}
FOREIGN: dict[str, Any] = {
    "rank": 0,
    "host": 0,
    "rail": 0,
    "delay_s": 1.0,
    "rate_fraction": 0.5,
    "loss_ratio": 0.01,
    "iteration": 0,
    "duration_s": 1.0,
}

every_kind = pytest.mark.parametrize("content", EVERY, ids=lambda content: content["kind"])


@every_kind
def test_a_fault_survives_its_plain_form(content: dict[str, Any]) -> None:
    """As it is written into the configuration of a run and read back by its ranks."""
    fault = Fault(**content)
    assert from_mapping(Fault, dataclasses.asdict(fault), "fault") == fault
    assert {key: value for key, value in dataclasses.asdict(fault).items() if value is not None} == content


@every_kind
def test_every_key_of_a_kind_is_needed_and_named_when_missing(content: dict[str, Any]) -> None:
    keys = [key for key in content if key != "kind"]
    for missing in keys:
        rest = {key: value for key, value in content.items() if key != missing}
        with pytest.raises(
            ValueError, match=rf"{content['kind']} has no {missing}; .* takes {', '.join(keys)}"
        ):
            Fault(**rest)


@every_kind
def test_keys_of_other_kinds_are_refused_by_name(content: dict[str, Any]) -> None:
    for key, value in FOREIGN.items():
        if key not in content | OPTIONAL.get(content["kind"], {}):
            with pytest.raises(ValueError, match=rf"{content['kind']} has {key} .*does not take"):
                Fault(**content, **{key: value})


@pytest.mark.parametrize("content", [RAIL, LOSS], ids=lambda content: content["kind"])
def test_a_host_may_be_named(content: dict[str, Any]) -> None:
    assert Fault(**content).host is None
    assert Fault(**content, host=2).host == 2
    with pytest.raises(ValueError, match=rf"{content['kind']} has host -1; it counts from 0"):
        Fault(**content, host=-1)


def test_an_unknown_kind_is_told_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="'slow_rank' is not known; allowed: late_rank, slow_link, slow_rail, loss"
    ):
        Fault(kind="slow_rank", rank=1)


@pytest.mark.parametrize(
    ("content", "key", "values"),
    [
        (LATE, "rank", (-1,)),
        (LATE, "delay_s", (0.0, -1.0, math.inf, math.nan)),
        (SLOW, "host", (-1,)),
        (SLOW, "rate_fraction", (0.0, 1.0, 2.0, -0.5, math.nan)),
        (RAIL, "rail", (-1,)),
        (RAIL, "rate_fraction", (0.0, 1.0, math.nan)),
        (LOSS, "loss_ratio", (0.0, -0.1, 0.11, 1.0, math.nan)),
        (STALL, "rank", (-1,)),
        (STALL, "iteration", (-1,)),
        (STALL, "duration_s", (0.0, -0.3, math.inf, math.nan)),
    ],
)
def test_impossible_values_are_refused_by_key(
    content: dict[str, Any], key: str, values: tuple[float, ...]
) -> None:
    for value in values:
        with pytest.raises(ValueError, match=rf"emulation\.faults: {content['kind']} has {key} {value}"):
            Fault(**content | {key: value})


def test_faults_of_hosts_and_ranks_that_exist_are_fine() -> None:
    check_faults([Fault(**content) for content in EVERY if content != RAIL], num_hosts=2, num_ranks=3)
    check_faults([Fault(**RAIL)], num_hosts=2, num_ranks=4, ports_per_host=2)
    check_faults([], num_hosts=2, num_ranks=2)


@pytest.mark.parametrize(
    ("content", "num_hosts", "num_ranks", "said"),
    [
        (LATE, 4, 2, r"faults\[1\]: late_rank names rank 2; there are ranks 0 to 1"),
        (SLOW, 1, 4, r"faults\[1\]: slow_link names host 1; there are hosts 0 to 0"),
        (RAIL, 4, 4, r"faults\[1\]: slow_rail names rail 1; there are rails 0 to 0"),
        (LOSS | {"host": 4}, 4, 4, r"faults\[1\]: loss names host 4; there are hosts 0 to 3"),
        (STALL, 4, 1, r"faults\[1\]: stall names rank 1; there are ranks 0 to 0"),
    ],
)
def test_others_are_refused_by_their_place(
    content: dict[str, Any], num_hosts: int, num_ranks: int, said: str
) -> None:
    fine = Fault(kind="late_rank", rank=0, delay_s=1.0)
    with pytest.raises(ValueError, match=said):
        check_faults([fine, Fault(**content)], num_hosts, num_ranks)


def test_a_link_has_one_rate() -> None:
    twice = [Fault(**SLOW), Fault(**SLOW | {"rate_fraction": 0.25})]
    with pytest.raises(ValueError, match=r"faults\[1\].*host 1 a second time"):
        check_faults(twice, num_hosts=4, num_ranks=4)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (SLOW, RAIL, "names host 1 a second time .rail 1"),
        (RAIL, RAIL | {"host": 3}, "names host 3 a second time .rail 1"),
        (RAIL | {"host": 3}, RAIL, "names host 3 a second time .rail 1"),
        (LOSS, LOSS | {"host": 2}, "names host 2 a second time; a host has one loss_ratio"),
    ],
)
def test_a_port_has_one_rate_and_a_host_one_loss(
    first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=rf"faults\[1\].*{said}"):
        check_faults([Fault(**first), Fault(**second)], num_hosts=4, num_ranks=8, ports_per_host=2)


def test_faults_of_different_ports_go_together() -> None:
    pairs = [
        (RAIL, RAIL | {"rail": 0}),
        (RAIL | {"host": 0}, RAIL | {"host": 1}),
        (SLOW, RAIL | {"host": 0}),
        (SLOW, LOSS),
        (LOSS | {"host": 0}, LOSS | {"host": 1}),
    ]
    for pair in pairs:
        faults = [Fault(**content) for content in pair]
        check_faults(faults, num_hosts=2, num_ranks=4, ports_per_host=2)


def test_rates_reach_their_ports_only() -> None:
    faults = [
        Fault(**LATE),
        Fault(**SLOW),
        Fault(**LOSS),
        Fault(kind="slow_link", host=3, rate_fraction=0.25),
    ]
    assert rate_fractions(faults, num_hosts=4) == {(1, 0): 0.5, (3, 0): 0.25}
    assert rate_fractions(faults[1:2], num_hosts=2, ports_per_host=2) == {(1, 0): 0.5, (1, 1): 0.5}
    assert rate_fractions([Fault(**LATE)], num_hosts=4) == {}


def test_a_slow_rail_is_slow_at_every_host_or_at_the_one_named() -> None:
    everywhere = [Fault(**RAIL)]
    assert rate_fractions(everywhere, num_hosts=3, ports_per_host=4) == {(h, 1): 0.5 for h in range(3)}
    assert rate_fractions([Fault(**RAIL, host=2)], num_hosts=3, ports_per_host=4) == {(2, 1): 0.5}


def test_losses_reach_every_host_or_the_one_named() -> None:
    assert loss_ratios([Fault(**LOSS), Fault(**SLOW)], num_hosts=3) == {0: 0.001, 1: 0.001, 2: 0.001}
    assert loss_ratios([Fault(**LOSS, host=1)], num_hosts=3) == {1: 0.001}
    assert loss_ratios([Fault(**SLOW)], num_hosts=3) == {}


def test_a_late_rank_is_late_to_every_call_and_the_others_are_not() -> None:
    faults = [Fault(**content) for content in EVERY]
    for rank in range(4):
        mine = RankFaults(faults, rank)
        assert {mine.before_call(iteration) for iteration in range(-2, 50)} == {0.05 if rank == 2 else 0.0}


def test_a_stall_strikes_one_call_of_one_rank() -> None:
    faults = [Fault(**content) for content in EVERY]
    struck = {
        (rank, iteration): RankFaults(faults, rank).inside_call(iteration)
        for rank in range(4)
        for iteration in range(-2, 50)
    }
    assert {key: value for key, value in struck.items() if value} == {(1, 10): 0.3}


def test_faults_of_one_kind_add_up() -> None:
    faults = [Fault(**content) for content in (LATE, LATE, STALL, STALL | {"iteration": 3}, STALL)]
    assert RankFaults(faults, 2).before_call(0) == pytest.approx(0.1)
    stalled = RankFaults(faults, 1)
    assert [stalled.inside_call(i) for i in (3, 9, 10)] == pytest.approx([0.3, 0.0, 0.6])


def test_a_run_without_faults_never_sleeps() -> None:
    none = RankFaults([], 0)
    assert {none.before_call(i) for i in range(5)} | {none.inside_call(i) for i in range(5)} == {0.0}
