"""Collectives: bus factors and sizes are those of nccl-tests, and agree with the messages of each schedule."""

from dataclasses import fields
from fractions import Fraction

import pytest

from bench.model.collective import (
    TRAITS,
    Collective,
    CollectiveSpec,
    Traits,
    bus_factor,
    message_bytes,
)
from bench.model.datatype import DATA_TYPES
from tests.model.schedules import (
    EVEN,
    LAYOUTS,
    MESSAGE_BYTES,
    across,
    busiest,
    even_split,
    every_collective,
    messages,
    spec_of,
)

ITEM_BYTES = sorted({dtype.num_bytes for dtype in DATA_TYPES.values()})
REQUESTS = [0, 1, 7, 8, 15, 16, 17, 63, 64, 100, 1000, 1023, 1024, 4095, 65536, 10**6, 2**20 + 12, 2**30 + 3]


def test_every_collective_has_its_traits() -> None:
    assert list(TRAITS) == list(Collective)
    assert [collective.name for collective in Collective] == [collective.value for collective in Collective]


@pytest.mark.parametrize(
    ("trait", "names"),
    [
        ("is_reduction", {"all_reduce", "reduce_scatter", "reduce"}),
        ("is_per_rank", {"all_gather", "reduce_scatter", "all_to_all", "gather", "scatter"}),
        ("has_root", {"broadcast", "reduce", "gather", "scatter"}),
        (
            "ends_together",
            {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "all_to_allv", "barrier"},
        ),
    ],
)
def test_who_has_a_trait(trait: str, names: set[str]) -> None:
    """all_to_allv has blocks for each rank, but of any size: they are not rounded alike. It ends together unless a
    share is zero, which no trait can tell."""
    assert trait in {field.name for field in fields(Traits)}
    assert {collective.value for collective in Collective if getattr(TRAITS[collective], trait)} == names


def test_only_messages_between_two_need_two_ranks() -> None:
    needs = {collective: traits.min_ranks for collective, traits in TRAITS.items() if traits.min_ranks > 1}
    assert needs == {Collective.send_recv: 2, Collective.ping_pong: 2}
    calls = {c: traits.messages_per_call for c, traits in TRAITS.items() if traits.messages_per_call != 1}
    assert calls == {Collective.ping_pong: 2}


# Bus factor


@pytest.mark.parametrize("collective", [c for c in Collective if c is not Collective.barrier])
@pytest.mark.parametrize(("num_hosts", "ranks_per_host"), [layout for layout in LAYOUTS if layout != (1, 1)])
def test_bus_factor_is_what_the_busiest_rank_moves_per_byte_of_message(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """In its busier direction, from two ranks on; for an all_to_allv with equal shares, as nccl-tests counts it."""
    n = num_hosts * ranks_per_host
    split = even_split(n) if collective is Collective.all_to_allv else None
    moved = across(messages(spec_of(collective, n, split=split), ranks_per_host), 1)
    assert busiest(moved) / MESSAGE_BYTES == pytest.approx(bus_factor(collective, n), rel=1e-12)
    if collective in EVEN:
        assert {*moved[0].values(), *moved[1].values()} == {Fraction(busiest(moved))}


@pytest.mark.parametrize(
    ("collective", "num_ranks", "factor"),
    [
        (Collective.all_reduce, 1, 0.0),
        (Collective.all_reduce, 2, 1.0),
        (Collective.all_reduce, 8, 1.75),
        (Collective.all_reduce, 64, 1.96875),
        (Collective.all_gather, 8, 0.875),
        (Collective.reduce_scatter, 8, 0.875),
        (Collective.all_to_all, 1, 0.0),
        (Collective.all_to_all, 2, 0.5),
        (Collective.all_to_all, 16, 0.9375),
        (Collective.all_to_allv, 16, 0.9375),
        (Collective.gather, 4, 0.75),
        (Collective.scatter, 4, 0.75),
        (Collective.broadcast, 1, 1.0),
        (Collective.broadcast, 64, 1.0),
        (Collective.reduce, 64, 1.0),
        (Collective.send_recv, 2, 1.0),
        (Collective.send_recv, 64, 1.0),
        (Collective.ping_pong, 8, 1.0),
    ],
)
def test_bus_factors_of_nccl_tests(collective: Collective, num_ranks: int, factor: float) -> None:
    assert bus_factor(collective, num_ranks) == factor


# Size


def _nccl_tests_size(collective: Collective, requested_bytes: int, item_bytes: int, num_ranks: int) -> int:
    """max(send, receive) bytes of a rank (of the root), from the counts that each test of nccl-tests computes."""
    count = requested_bytes // item_bytes
    per_rank = (count // num_ranks) & -(16 // item_bytes)
    whole = per_rank * num_ranks
    send, receive = {
        Collective.all_reduce: (count, count),
        Collective.all_gather: (per_rank, whole),
        Collective.reduce_scatter: (whole, per_rank),
        Collective.all_to_all: (whole, whole),
        Collective.broadcast: (count, count),
        Collective.reduce: (count, count),
        Collective.gather: (per_rank, whole),
        Collective.scatter: (whole, per_rank),
        Collective.send_recv: (count, count),
        Collective.ping_pong: (count, count),
    }[collective]
    return max(send, receive) * item_bytes


ROUNDED = [c for c in Collective if c not in (Collective.all_to_allv, Collective.barrier)]


@pytest.mark.parametrize("collective", ROUNDED)
@pytest.mark.parametrize("item_bytes", ITEM_BYTES)
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7, 8, 100])
def test_sizes_are_rounded_as_nccl_tests_does(
    collective: Collective, item_bytes: int, num_ranks: int
) -> None:
    for requested in REQUESTS:
        found = message_bytes(collective, requested, item_bytes, num_ranks)
        assert found == _nccl_tests_size(collective, requested, item_bytes, num_ranks)
        assert 0 <= found <= requested and found % item_bytes == 0
        assert message_bytes(collective, found, item_bytes, num_ranks) == found
        if TRAITS[collective].is_per_rank:
            assert found % (16 * num_ranks) == 0
            assert requested - found < 16 * num_ranks + item_bytes


def test_a_block_that_is_below_16_bytes_is_nothing() -> None:
    """nccl-tests prints a size of 0 there."""
    assert message_bytes(Collective.all_gather, 31, 4, 2) == 0
    assert message_bytes(Collective.all_gather, 32, 4, 2) == 32
    assert message_bytes(Collective.all_reduce, 31, 4, 2) == 28


def test_a_barrier_has_no_message() -> None:
    assert {message_bytes(Collective.barrier, size, 4, 8) for size in REQUESTS} == {0}


# What is refused


@every_collective
@pytest.mark.parametrize("num_ranks", [0, -1])
def test_a_collective_needs_a_rank(collective: Collective, num_ranks: int) -> None:
    with pytest.raises(ValueError, match="at least one rank"):
        bus_factor(collective, num_ranks)
    with pytest.raises(ValueError, match="at least one rank"):
        CollectiveSpec(collective=collective, num_ranks=num_ranks, message_bytes=1)


def test_a_message_has_no_negative_size() -> None:
    with pytest.raises(ValueError, match="negative"):
        CollectiveSpec(collective=Collective.all_reduce, num_ranks=2, message_bytes=-1)


@every_collective
def test_shares_belong_to_all_to_allv_and_it_needs_them(collective: Collective) -> None:
    split = None if collective is Collective.all_to_allv else even_split(2)
    with pytest.raises(ValueError, match="split_bytes"):
        CollectiveSpec(collective=collective, num_ranks=2, message_bytes=16, split_bytes=split)


@pytest.mark.parametrize("split", [(), ((1, 2),), ((1,), (2,)), ((1, 2), (3,)), even_split(3)])
def test_shares_are_of_every_rank_for_every_rank(split: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="2 ranks need as many of both"):
        CollectiveSpec(collective=Collective.all_to_allv, num_ranks=2, message_bytes=16, split_bytes=split)
