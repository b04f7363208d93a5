"""Transfers: every closed form of bytes and of crossings equals an enumeration of the messages it stands for."""

import random
from collections.abc import Iterable, Iterator
from fractions import Fraction

import pytest

from bench.model.collective import Algorithm, Collective
from bench.model.transfer import (
    KNOWN_SCHEDULES,
    host_egress_bytes,
    largest_arrival_bytes,
    leaf_egress_bytes,
    load_imbalance,
    num_crossings,
    rank_link_bytes,
    schedule,
)
from tests.model.schedules import (
    EVEN,
    LAYOUTS,
    MESSAGE_BYTES,
    Message,
    Split,
    across,
    busiest,
    even_split,
    every_collective,
    every_layout,
    messages,
    spec_of,
    uneven_split,
    within,
)

ROOTED = (Collective.broadcast, Collective.reduce, Collective.gather, Collective.scatter)


# Bytes


@every_collective
@every_layout
def test_host_egress_is_what_the_messages_of_the_busiest_host_add_up_to(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """In its busier direction; and where all ranks do the same, it is that of every host, out and in."""
    spec = spec_of(collective, num_hosts * ranks_per_host)
    moved = across(messages(spec, ranks_per_host), ranks_per_host)
    expected = host_egress_bytes(spec, ranks_per_host)
    assert busiest(moved) == pytest.approx(expected, rel=1e-12)
    if num_hosts > 1 and collective in (*EVEN, Collective.send_recv):
        for direction in moved:
            assert len(direction) == num_hosts and len(set(direction.values())) == 1


@every_collective
@every_layout
def test_the_busiest_rank_moves_this_much_within_its_host(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """With g rotated rings, so that each rank is the last of its host in one of them and leaves by its own port."""
    spec = spec_of(collective, num_hosts * ranks_per_host)
    moved = within(messages(spec, ranks_per_host, num_rings=ranks_per_host), ranks_per_host)
    assert busiest(moved) == pytest.approx(rank_link_bytes(spec, ranks_per_host), rel=1e-12)


@pytest.mark.parametrize("collective", EVEN)
@every_layout
def test_every_rank_leaves_its_host_with_an_equal_share(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """So that a host's bytes may be divided by its ports. A ring of send_recv is different: one rank sends it all."""
    n = num_hosts * ranks_per_host
    spec = spec_of(collective, n)
    outside = [
        message
        for message in messages(spec, ranks_per_host, num_rings=ranks_per_host)
        if message.source // ranks_per_host != message.destination // ranks_per_host
    ]
    share = host_egress_bytes(spec, ranks_per_host) / ranks_per_host
    for direction in across(outside, 1):
        for rank in range(n):
            assert float(direction[rank]) == pytest.approx(share, rel=1e-12)


@every_collective
@pytest.mark.parametrize(
    ("num_hosts", "ranks_per_host", "hosts_per_leaf"),
    [(4, 1, 2), (8, 2, 4), (6, 1, 3), (12, 1, 4), (5, 1, 4), (7, 2, 3), (3, 2, 2), (10, 1, 8), (4, 2, 4), (4, 1, 9)],
)  # fmt: skip
def test_leaf_egress_is_what_the_messages_of_the_busiest_leaf_add_up_to(
    collective: Collective, num_hosts: int, ranks_per_host: int, hosts_per_leaf: int
) -> None:
    """The last leaf may be in use in part only."""
    spec = spec_of(collective, num_hosts * ranks_per_host)
    ranks_per_leaf = hosts_per_leaf * ranks_per_host
    moved = across(messages(spec, ranks_per_host), ranks_per_leaf)
    assert busiest(moved) == pytest.approx(leaf_egress_bytes(spec, ranks_per_leaf), rel=1e-12)


@every_collective
@every_layout
def test_a_leaf_of_one_host_is_that_host(collective: Collective, num_hosts: int, ranks_per_host: int) -> None:
    spec = spec_of(collective, num_hosts * ranks_per_host)
    assert leaf_egress_bytes(spec, ranks_per_host) == host_egress_bytes(spec, ranks_per_host)


@every_collective
@pytest.mark.parametrize(("num_ranks", "ranks_per_host"), [(8, 3), (8, 16), (8, 0), (8, -1)])
def test_ranks_that_do_not_fill_their_hosts_are_refused(
    collective: Collective, num_ranks: int, ranks_per_host: int
) -> None:
    with pytest.raises(ValueError, match="do not fill hosts"):
        host_egress_bytes(spec_of(collective, num_ranks), ranks_per_host)


@every_collective
@every_layout
def test_bytes_are_proportional_to_the_message(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    n = num_hosts * ranks_per_host
    shares = uneven_split(n, 2**20) if collective is Collective.all_to_allv else None

    def times(factor: int) -> Split | None:
        return None if shares is None else tuple(tuple(factor * share for share in row) for row in shares)

    one, three, none = (spec_of(collective, n, i * 2**20, times(i)) for i in (1, 3, 0))
    for num_bytes in (host_egress_bytes, rank_link_bytes, leaf_egress_bytes):
        assert num_bytes(three, ranks_per_host) == pytest.approx(3 * num_bytes(one, ranks_per_host))
        assert num_bytes(none, ranks_per_host) == 0


# What any schedule must move


def _tree_parent(rank: int) -> int:
    """Binomial tree: without the lowest bit that is set."""
    return rank & (rank - 1)


def _other_schedules(collective: Collective, n: int, g: int) -> Iterator[Iterable[Message]]:
    """Other ways to do the same: straight to or from the root, along a binomial tree, by a leader of each host, and for
    whole vectors as a scatter and an all_gather."""
    size = Fraction(MESSAGE_BYTES)
    is_vector = collective in (Collective.broadcast, Collective.reduce)
    block = size if is_vector else size / n
    down = []
    for parents in (
        [0] * n,
        [_tree_parent(rank) for rank in range(n)],
        [rank // g * g if rank % g else 0 for rank in range(n)],
    ):
        below = [Fraction(0)] * n  # what goes from a rank's parent to it
        for rank in range(n - 1, 0, -1):
            below[rank] = block if is_vector else below[rank] + block
            below[parents[rank]] += below[rank]
        down.append([Message(parents[rank], rank, below[rank]) for rank in range(1, n)])
    if is_vector:
        pieces = list(messages(spec_of(Collective.scatter, n), g))
        down.append([*pieces, *messages(spec_of(Collective.all_gather, n), g)])
    for found in down:
        is_down = collective in (Collective.broadcast, Collective.scatter)
        yield found if is_down else [Message(m.destination, m.source, m.num_bytes) for m in found]


@pytest.mark.parametrize("collective", ROOTED)
@every_layout
def test_no_other_schedule_moves_less(collective: Collective, num_hosts: int, ranks_per_host: int) -> None:
    """Neither across the border of the busiest host nor within it."""
    n = num_hosts * ranks_per_host
    spec = spec_of(collective, n)
    for found in _other_schedules(collective, n, ranks_per_host):
        every = list(found)
        border, inside = across(every, ranks_per_host), within(every, ranks_per_host)
        assert busiest(border) >= host_egress_bytes(spec, ranks_per_host) * (1 - 1e-12)
        assert busiest(inside) >= rank_link_bytes(spec, ranks_per_host) * (1 - 1e-12)


# Crossings


@every_collective
@pytest.mark.parametrize(
    ("num_hosts", "ranks_per_host"), [(1, 1), (1, 4), (2, 1), (2, 2), (4, 1), (3, 3), (3, 8)]
)
def test_crossings_of_the_longest_chain(collective: Collective, num_hosts: int, ranks_per_host: int) -> None:
    """Walk the chain of a ring from every rank; the call lasts as long as the one with most borders.

    The messages of the others wait for none; of broadcast, reduce and barrier it is only known that there must be one.
    """
    n = num_hosts * ranks_per_host
    laps = {Collective.all_reduce: 2, Collective.all_gather: 1, Collective.reduce_scatter: 1}.get(collective)
    if laps is None:
        most = 0 if num_hosts == 1 else 1
    else:
        host = [rank // ranks_per_host for rank in range(n)]
        most = max(
            sum(host[(start + step) % n] != host[(start + step + 1) % n] for step in range(laps * (n - 1)))
            for start in range(n)
        )
    assert num_crossings(spec_of(collective, n), ranks_per_host) == most


def test_shares_that_stay_inside_the_hosts_cross_nothing() -> None:
    inside = ((0, 5, 0, 0), (7, 1, 0, 0), (0, 0, 2, 9), (0, 0, 9, 0))
    spec = spec_of(Collective.all_to_allv, 4, 11, inside)
    assert num_crossings(spec, 2) == 0
    assert host_egress_bytes(spec, 2) == 0
    assert rank_link_bytes(spec, 2) == 9
    assert num_crossings(spec, 1) == 1


# Schedules


def test_schedules() -> None:
    direct = {Collective.all_to_all, Collective.all_to_allv, Collective.gather, Collective.scatter}
    assert {c for c in Collective if schedule(c) is Algorithm.pairwise} == direct
    assert {c for c in Collective if schedule(c) is Algorithm.ring} == set(Collective) - direct


def test_whose_schedule_is_not_known() -> None:
    unknown = {*ROOTED, Collective.reduce_scatter, Collective.barrier}
    assert set(Collective) - KNOWN_SCHEDULES == unknown


# all_to_allv


def _random_split(random_numbers: random.Random, num_ranks: int) -> Split:
    """Half of the shares are zero."""
    return tuple(
        tuple(random_numbers.choice((0, random_numbers.randrange(10**6))) for _ in range(num_ranks))
        for _ in range(num_ranks)
    )


@every_layout
def test_equal_shares_are_an_all_to_all(num_hosts: int, ranks_per_host: int) -> None:
    n = num_hosts * ranks_per_host
    even = spec_of(Collective.all_to_allv, n, split=even_split(n))
    usual = spec_of(Collective.all_to_all, n)
    for num_bytes in (host_egress_bytes, rank_link_bytes, leaf_egress_bytes):
        assert num_bytes(even, ranks_per_host) == pytest.approx(num_bytes(usual, ranks_per_host), rel=1e-12)
    assert num_crossings(even, ranks_per_host) == num_crossings(usual, ranks_per_host)
    arrival = host_egress_bytes(usual, ranks_per_host) / ranks_per_host
    assert largest_arrival_bytes(even, ranks_per_host) == pytest.approx(arrival, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("num_hosts", "ranks_per_host"), [layout for layout in LAYOUTS if layout != (1, 1)])
def test_any_shares_are_counted_as_enumerated(seed: int, num_hosts: int, ranks_per_host: int) -> None:
    n = num_hosts * ranks_per_host
    spec = spec_of(Collective.all_to_allv, n, split=_random_split(random.Random(seed), n))
    every = list(messages(spec, ranks_per_host))
    assert host_egress_bytes(spec, ranks_per_host) == busiest(across(every, ranks_per_host))
    assert rank_link_bytes(spec, ranks_per_host) == busiest(within(every, ranks_per_host))
    outside = [m for m in every if m.source // ranks_per_host != m.destination // ranks_per_host]
    arriving = across(outside, 1)[1]
    assert largest_arrival_bytes(spec, ranks_per_host) == max(arriving.values(), default=0)


@pytest.mark.parametrize("seed", range(5))
def test_the_way_back_moves_as_much(seed: int) -> None:
    """The tokens of a mixture of experts return by the transposed shares."""
    there = _random_split(random.Random(seed), 6)
    back: Split = tuple(zip(*there, strict=True))
    for ranks_per_host in (1, 2, 3, 6):
        one, other = (spec_of(Collective.all_to_allv, 6, split=split) for split in (there, back))
        assert host_egress_bytes(one, ranks_per_host) == host_egress_bytes(other, ranks_per_host)
        assert rank_link_bytes(one, ranks_per_host) == rank_link_bytes(other, ranks_per_host)
    assert load_imbalance(one) == load_imbalance(other)


def test_what_a_rank_sends_itself_moves_nothing() -> None:
    """And there is no imbalance where nothing is moved."""
    diagonal = tuple(tuple(1000 * (i == j) for j in range(4)) for i in range(4))
    spec = spec_of(Collective.all_to_allv, 4, 1000, diagonal)
    assert [host_egress_bytes(spec, g) for g in (1, 2, 4)] == [0, 0, 0]
    assert [rank_link_bytes(spec, g) for g in (1, 2, 4)] == [0, 0, 0]
    assert load_imbalance(spec) is None


# Imbalance


@pytest.mark.parametrize("num_ranks", [2, 3, 8, 30])
def test_equal_shares_are_balanced(num_ranks: int) -> None:
    """So is a rotation, in which each rank sends to one other and most shares are zero."""
    spec = spec_of(Collective.all_to_allv, num_ranks, split=even_split(num_ranks))
    assert load_imbalance(spec) == 1
    rotation = tuple(tuple(int(j == (i + 1) % num_ranks) for j in range(num_ranks)) for i in range(num_ranks))
    assert load_imbalance(spec_of(Collective.all_to_allv, num_ranks, split=rotation)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_imbalance_is_at_least_1_and_at_most_the_number_of_ranks(seed: int) -> None:
    split = _random_split(random.Random(seed), 7)
    found = load_imbalance(spec_of(Collective.all_to_allv, 7, split=split))
    assert found is not None and 1 <= found <= 7
    tenfold = tuple(tuple(10 * share for share in row) for row in split)
    assert load_imbalance(spec_of(Collective.all_to_allv, 7, split=tenfold)) == pytest.approx(found)
    order = random.Random(seed).sample(range(7), 7)
    renumbered = tuple(tuple(split[i][j] for j in order) for i in order)
    assert load_imbalance(spec_of(Collective.all_to_allv, 7, split=renumbered)) == found


def test_all_to_one_is_as_unbalanced_as_can_be() -> None:
    """One rank receives everything: N times the mean."""
    to_first = tuple((100, 0, 0, 0, 0) for _ in range(5))
    assert load_imbalance(spec_of(Collective.all_to_allv, 5, split=to_first)) == 5
    of_one_more = ((1, 2, 1), (1, 1, 1), (1, 1, 1))
    assert load_imbalance(spec_of(Collective.all_to_allv, 3, split=of_one_more)) == pytest.approx(3 / (7 / 3))


@every_collective
def test_only_an_all_to_allv_has_an_imbalance(collective: Collective) -> None:
    found = load_imbalance(spec_of(collective, 4))
    assert (found is not None) == (collective is Collective.all_to_allv)
