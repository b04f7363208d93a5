"""Collectives: every closed form of bytes equals an enumeration of the point-to-point transfers it stands for."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import pytest

from bench.model.collective import (
    Algorithm,
    Collective,
    CollectiveSpec,
    bus_factor,
    host_egress_bytes,
    num_crossings,
    rank_link_bytes,
    schedule,
)

every_collective = pytest.mark.parametrize("collective", list(Collective))
LAYOUTS = [(1, 1), (1, 2), (1, 8), (2, 1), (3, 1), (7, 1), (2, 2), (4, 2), (5, 3), (2, 8), (3, 4), (4, 8)]
every_layout = pytest.mark.parametrize(("num_hosts", "ranks_per_host"), LAYOUTS)
MESSAGE_BYTES = 840 * 2**10  # divided by all numbers of ranks above without a rounding worth speaking of


@dataclass(frozen=True)
class Transfer:
    source: int
    destination: int
    num_bytes: Fraction


def _ring_order(num_hosts: int, ranks_per_host: int, rotation: int) -> list[int]:
    """Hosts one after the other; within each, the ranks in order, beginning with rank ``rotation`` of the host."""
    return [
        host * ranks_per_host + (rotation + i) % ranks_per_host
        for host in range(num_hosts)
        for i in range(ranks_per_host)
    ]


def _transfers(
    collective: Collective, num_hosts: int, ranks_per_host: int, num_rings: int = 1
) -> Iterator[Transfer]:
    """Every message of one call.

    all_reduce: each of ``num_rings`` rotated rings carries its share in 2 (N - 1) steps of S / N, and in each of them
    every rank sends to the next. all_to_all: every rank sends S / N to every other. send_recv: every rank sends S to
    the next.
    """
    n = num_hosts * ranks_per_host
    size = Fraction(MESSAGE_BYTES)
    if n == 1:
        return
    match collective:
        case Collective.all_reduce:
            for rotation in range(num_rings):
                ring = _ring_order(num_hosts, ranks_per_host, rotation)
                for _ in range(2 * (n - 1)):
                    for i, rank in enumerate(ring):
                        yield Transfer(rank, ring[(i + 1) % n], size / n / num_rings)
        case Collective.all_to_all:
            for a in range(n):
                yield from (Transfer(a, b, size / n) for b in range(n) if b != a)
        case Collective.send_recv:
            yield from (Transfer(rank, (rank + 1) % n, size) for rank in range(n))


def _spec(collective: Collective, num_ranks: int, message_bytes: int = MESSAGE_BYTES) -> CollectiveSpec:
    return CollectiveSpec(collective=collective, num_ranks=num_ranks, message_bytes=message_bytes)


@every_collective
@every_layout
def test_host_egress_is_what_the_transfers_add_up_to(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """And it is the same for every host, out and in."""
    out_bytes: defaultdict[int, Fraction] = defaultdict(Fraction)
    in_bytes: defaultdict[int, Fraction] = defaultdict(Fraction)
    for transfer in _transfers(collective, num_hosts, ranks_per_host):
        source, destination = transfer.source // ranks_per_host, transfer.destination // ranks_per_host
        if source != destination:
            out_bytes[source] += transfer.num_bytes
            in_bytes[destination] += transfer.num_bytes
    spec = _spec(collective, num_hosts * ranks_per_host)
    expected = host_egress_bytes(spec, ranks_per_host)
    for host in range(num_hosts):
        assert float(out_bytes[host]) == pytest.approx(expected, rel=1e-12)
        assert float(in_bytes[host]) == pytest.approx(expected, rel=1e-12)


@every_collective
@every_layout
def test_the_busiest_rank_sends_this_much_within_its_host(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """With g rotated rings, so that each rank is the last of its host in one of them and leaves by its own port."""
    inside_bytes: defaultdict[int, Fraction] = defaultdict(Fraction)
    for transfer in _transfers(collective, num_hosts, ranks_per_host, num_rings=ranks_per_host):
        if transfer.source // ranks_per_host == transfer.destination // ranks_per_host:
            inside_bytes[transfer.source] += transfer.num_bytes
    spec = _spec(collective, num_hosts * ranks_per_host)
    busiest = max(inside_bytes.values(), default=Fraction(0))
    assert float(busiest) == pytest.approx(rank_link_bytes(spec, ranks_per_host), rel=1e-12)


@pytest.mark.parametrize("collective", [Collective.all_reduce, Collective.all_to_all])
@every_layout
def test_every_rank_leaves_its_host_with_an_equal_share(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """So that a host's bytes may be divided by its ports. A ring of send_recv is different: one rank sends it all."""
    out_bytes: defaultdict[int, Fraction] = defaultdict(Fraction)
    for transfer in _transfers(collective, num_hosts, ranks_per_host, num_rings=ranks_per_host):
        if transfer.source // ranks_per_host != transfer.destination // ranks_per_host:
            out_bytes[transfer.source] += transfer.num_bytes
    n = num_hosts * ranks_per_host
    share = host_egress_bytes(_spec(collective, n), ranks_per_host) / ranks_per_host
    for rank in range(n):
        assert float(out_bytes[rank]) == pytest.approx(share, rel=1e-12)


@every_collective
@pytest.mark.parametrize(("num_hosts", "ranks_per_host"), [layout for layout in LAYOUTS if layout != (1, 1)])
def test_bus_factor_is_what_one_rank_sends_per_byte_of_message(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    """From two ranks on: one rank alone sends nothing, while nccl-tests has a factor of 1 for send_recv."""
    n = num_hosts * ranks_per_host
    sent_bytes: defaultdict[int, Fraction] = defaultdict(Fraction)
    for transfer in _transfers(collective, num_hosts, ranks_per_host):
        sent_bytes[transfer.source] += transfer.num_bytes
    for rank in range(n):
        assert float(sent_bytes[rank] / MESSAGE_BYTES) == pytest.approx(bus_factor(collective, n), rel=1e-12)


@pytest.mark.parametrize(
    ("collective", "num_ranks", "factor"),
    [
        (Collective.all_reduce, 1, 0.0),
        (Collective.all_reduce, 2, 1.0),
        (Collective.all_reduce, 8, 1.75),
        (Collective.all_reduce, 64, 1.96875),
        (Collective.all_to_all, 1, 0.0),
        (Collective.all_to_all, 2, 0.5),
        (Collective.all_to_all, 16, 0.9375),
        (Collective.send_recv, 2, 1.0),
        (Collective.send_recv, 64, 1.0),
    ],
)
def test_bus_factors_of_nccl_tests(collective: Collective, num_ranks: int, factor: float) -> None:
    assert bus_factor(collective, num_ranks) == factor


@every_collective
@pytest.mark.parametrize("num_ranks", [0, -1])
def test_a_collective_needs_a_rank(collective: Collective, num_ranks: int) -> None:
    with pytest.raises(ValueError, match="at least one rank"):
        bus_factor(collective, num_ranks)
    with pytest.raises(ValueError, match="at least one rank"):
        _spec(collective, num_ranks)


def test_a_message_has_no_negative_size() -> None:
    with pytest.raises(ValueError, match="negative"):
        _spec(Collective.all_reduce, 2, -1)


@every_collective
@pytest.mark.parametrize(("num_ranks", "ranks_per_host"), [(8, 3), (8, 16), (8, 0)])
def test_ranks_that_do_not_fill_their_hosts_are_refused(
    collective: Collective, num_ranks: int, ranks_per_host: int
) -> None:
    with pytest.raises(ValueError, match="do not fill hosts"):
        host_egress_bytes(_spec(collective, num_ranks), ranks_per_host)


@every_collective
@every_layout
def test_bytes_are_proportional_to_the_message(
    collective: Collective, num_hosts: int, ranks_per_host: int
) -> None:
    n = num_hosts * ranks_per_host
    one, three, none = (_spec(collective, n, size) for size in (2**20, 3 * 2**20, 0))
    for num_bytes in (host_egress_bytes, rank_link_bytes):
        assert num_bytes(three, ranks_per_host) == pytest.approx(3 * num_bytes(one, ranks_per_host))
        assert num_bytes(none, ranks_per_host) == 0


@pytest.mark.parametrize(("num_hosts", "ranks_per_host"), [(1, 1), (1, 4), (2, 1), (2, 2), (4, 1), (3, 8)])
def test_crossings_of_the_longest_chain(num_hosts: int, ranks_per_host: int) -> None:
    """Walk the chain of a ring all_reduce from every rank; the call lasts as long as the one with most borders."""
    n = num_hosts * ranks_per_host
    host = [rank // ranks_per_host for rank in range(n)]
    most = max(
        sum(host[(start + step) % n] != host[(start + step + 1) % n] for step in range(2 * (n - 1)))
        for start in range(n)
    )
    assert num_crossings(_spec(Collective.all_reduce, n), ranks_per_host) == most
    once = 0 if num_hosts == 1 else 1
    assert num_crossings(_spec(Collective.all_to_all, n), ranks_per_host) == once
    assert num_crossings(_spec(Collective.send_recv, n), ranks_per_host) == once


def test_schedules() -> None:
    assert {c: schedule(c) for c in Collective} == {
        Collective.all_reduce: Algorithm.ring,
        Collective.all_to_all: Algorithm.pairwise,
        Collective.send_recv: Algorithm.ring,
    }
