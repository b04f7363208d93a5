"""Every point-to-point message of one call, schedule by schedule: what closed forms of bytes are compared with."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import pytest

from bench.model.collective import Collective, CollectiveSpec

Split = tuple[tuple[int, ...], ...]

LAYOUTS = [(1, 1), (1, 2), (1, 8), (2, 1), (3, 1), (7, 1), (2, 2), (4, 2), (5, 3), (2, 8), (3, 4), (4, 8)]
every_layout = pytest.mark.parametrize(("num_hosts", "ranks_per_host"), LAYOUTS)
every_collective = pytest.mark.parametrize("collective", list(Collective))
MESSAGE_BYTES = 840 * 2**10
"""Divided by all numbers of ranks above without a rest."""

EVEN = (Collective.all_reduce, Collective.all_gather, Collective.reduce_scatter, Collective.all_to_all)
"""Every rank sends and receives the same."""


@dataclass(frozen=True)
class Message:
    source: int
    destination: int
    num_bytes: Fraction


def even_split(num_ranks: int, message_bytes: int = MESSAGE_BYTES) -> Split:
    """Every rank sends every rank the same, itself included."""
    return ((message_bytes // num_ranks,) * num_ranks,) * num_ranks


def uneven_split(num_ranks: int, message_bytes: int = MESSAGE_BYTES) -> Split:
    """Shares that differ in rows and columns, about one in five of them zero; the largest buffer is the message or less."""
    weights = [[(2 * i + 3 * j + i * j) % 5 for j in range(num_ranks)] for i in range(num_ranks)]
    largest = max(1, *map(sum, weights), *map(sum, zip(*weights, strict=True)))
    return tuple(tuple(message_bytes * weight // largest for weight in row) for row in weights)


def spec_of(
    collective: Collective, num_ranks: int, message_bytes: int = MESSAGE_BYTES, split: Split | None = None
) -> CollectiveSpec:
    """Shares of an all_to_allv are uneven unless ``split`` says otherwise."""
    if collective is Collective.all_to_allv and split is None:
        split = uneven_split(num_ranks, message_bytes)
    return CollectiveSpec(
        collective=collective, num_ranks=num_ranks, message_bytes=message_bytes, split_bytes=split
    )


def messages(spec: CollectiveSpec, ranks_per_host: int, num_rings: int = 1) -> Iterator[Message]:
    """Every message of one call.

    all_reduce, all_gather, reduce_scatter: each of ``num_rings`` rings carries its share of the message in steps of S / N,
    and in each of them every rank sends to the next; an all_reduce takes 2 (N - 1) of them, the others N - 1.
    all_to_all, all_to_allv: every rank sends its share to every other. gather, scatter: every rank but the first to the
    first, or the other way. broadcast, reduce: S from each rank to the next one, or back. send_recv: every rank
    sends S to the next, the last to the first. ping_pong: S from the first to the last, the one way that is timed.
    """
    n, size = spec.num_ranks, Fraction(spec.message_bytes)
    if n == 1:
        return
    match spec.collective:
        case Collective.all_reduce | Collective.all_gather | Collective.reduce_scatter:
            laps = 2 if spec.collective is Collective.all_reduce else 1
            for rotation in range(num_rings):
                ring = _ring_order(n, ranks_per_host, rotation)
                for _ in range(laps * (n - 1)):
                    yield from (Message(a, b, size / n / num_rings) for a, b in _around(ring))
        case Collective.all_to_all:
            yield from (Message(a, b, size / n) for a in range(n) for b in range(n) if a != b)
        case Collective.all_to_allv:
            split = spec.split_bytes or ()
            yield from (Message(a, b, Fraction(split[a][b])) for a in range(n) for b in range(n) if a != b)
        case Collective.gather:
            yield from (Message(rank, 0, size / n) for rank in range(1, n))
        case Collective.scatter:
            yield from (Message(0, rank, size / n) for rank in range(1, n))
        case Collective.broadcast:
            yield from (Message(rank, rank + 1, size) for rank in range(n - 1))
        case Collective.reduce:
            yield from (Message(rank + 1, rank, size) for rank in range(n - 1))
        case Collective.send_recv:
            yield from (Message(a, b, size) for a, b in _around(list(range(n))))
        case Collective.ping_pong:
            yield Message(0, n - 1, size)
        case Collective.barrier:
            return


def _ring_order(num_ranks: int, ranks_per_host: int, rotation: int) -> list[int]:
    """Hosts one after the other; within each, the ranks in order, beginning with rank ``rotation`` of the host."""
    return [
        first + (rotation + i) % ranks_per_host
        for first in range(0, num_ranks, ranks_per_host)
        for i in range(ranks_per_host)
    ]


def _around(ring: list[int]) -> list[tuple[int, int]]:
    return list(zip(ring, ring[1:] + ring[:1], strict=True))


def across(found: Iterable[Message], ranks_inside: int) -> tuple[dict[int, Fraction], dict[int, Fraction]]:
    """What leaves and what enters each block of ``ranks_inside`` ranks after one another."""
    out_bytes: defaultdict[int, Fraction] = defaultdict(Fraction)
    in_bytes: defaultdict[int, Fraction] = defaultdict(Fraction)
    for message in found:
        source, destination = message.source // ranks_inside, message.destination // ranks_inside
        if source != destination:
            out_bytes[source] += message.num_bytes
            in_bytes[destination] += message.num_bytes
    return out_bytes, in_bytes


def within(found: Iterable[Message], ranks_inside: int) -> tuple[dict[int, Fraction], dict[int, Fraction]]:
    """What each rank sends to, and receives from, ranks of its own block."""
    inside = [m for m in found if m.source // ranks_inside == m.destination // ranks_inside]
    return across(inside, 1)


def busiest(loads: tuple[dict[int, Fraction], dict[int, Fraction]]) -> float:
    """The most that any of them carries in one direction."""
    return float(max([*loads[0].values(), *loads[1].values()], default=Fraction(0)))
