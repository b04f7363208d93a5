"""Every transfer of one call, schedule by schedule, for S = 1: what the closed forms of `demand` are compared with.

Ranks are numbered host by host. Only what moves is listed here; `Message` and the sums over hosts are those of
`tests.model.schedules`.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise

from bench.model.collective import Collective
from bench.model.schedule import Schedule
from tests.model.schedules import Message, across, busiest, messages, spec_of, within

ONE = Fraction(1)


def transfers(collective: Collective, schedule: Schedule, n: int, g: int) -> list[Message]:
    """All of them, for n hosts of g ranks. A ring is g rings, each of which leaves every host by another rank."""
    if schedule is Schedule.ring or schedule is Schedule.p2p:
        num_rings = 1 if collective in (Collective.broadcast, Collective.reduce) else g
        return [*messages(spec_of(collective, n * g, 1), g, num_rings)]
    if schedule is Schedule.hierarchical:
        return [*_hierarchical(n, g, 2 if collective is Collective.all_reduce else 1)]
    return [*_OTHERS[schedule](n, g)]


def _hierarchical(n: int, g: int, laps: int) -> Iterator[Message]:
    """Rings inside each host, and one around each rail: all_gather, or reduce_scatter and all_gather."""
    for _ in range(laps):
        for host in range(n):
            for rank in range(g):
                next_inside = host * g + (rank + 1) % g
                yield from (Message(host * g + rank, next_inside, ONE / g) for _ in range(g - 1))
                next_host = (host + 1) % n * g + rank
                yield from (Message(host * g + rank, next_host, ONE / (n * g)) for _ in range(n - 1))


def _halving(n: int, g: int, *, is_nearest_first: bool) -> Iterator[Message]:
    """Rabenseifner on a power of two: half of what is left to the partner of each step, and all the way back."""
    num_ranks = n * g
    distances = [2**k for k in range((num_ranks - 1).bit_length())]
    piece = ONE
    for distance in distances if is_nearest_first else reversed(distances):
        piece /= 2
        for _ in ("reduce-scatter", "all-gather"):
            yield from (Message(rank, rank ^ distance, piece) for rank in range(num_ranks))


def _recursive_doubling(n: int, g: int) -> Iterator[Message]:
    for k in range((n * g - 1).bit_length()):
        yield from (Message(rank, rank ^ 2**k, ONE) for rank in range(n * g))


def _pairwise(n: int, g: int) -> Iterator[Message]:
    """In step k every rank sends to the one k further on."""
    num_ranks = n * g
    for step in range(1, num_ranks):
        yield from (Message(rank, (rank + step) % num_ranks, ONE / num_ranks) for rank in range(num_ranks))


def _pxn(n: int, g: int) -> Iterator[Message]:
    """What goes to another host moves to the rank on the rail of its destination first."""
    num_ranks = n * g
    for source in range(num_ranks):
        for destination in range(num_ranks):
            relay = source // g * g + destination % g
            if source // g == destination // g:
                relay = source
            for a, b in ((source, relay), (relay, destination)):
                if a != b:
                    yield Message(a, b, ONE / num_ranks)


def _bruck(n: int, g: int) -> Iterator[Message]:
    """Blocks are numbered by how far they have to go; in step k those whose number has bit k go 2**k ranks on."""
    num_ranks = n * g
    for k in range((num_ranks - 1).bit_length()):
        num_blocks = sum(block >> k & 1 for block in range(num_ranks))
        for rank in range(num_ranks):
            yield Message(rank, (rank + 2**k) % num_ranks, Fraction(num_blocks, num_ranks))


def _tree_edges(n: int) -> list[tuple[int, int]]:
    """(parent, child) of a binary tree over hosts in order, whose leaves are the even ones."""
    edges = []

    def grow(first: int, last: int) -> int:
        """The tree over hosts first..last, both even, or one odd host with what is left of it; returns its root."""
        if first == last:
            return first
        middle = first + (last - first) // 4 * 2 + 1
        edges.append((middle, grow(first, middle - 1)))
        if middle < last:
            edges.append((middle, grow(middle + 1, last)))
        return middle

    if n % 2:
        grow(0, n - 1)
    elif n:
        top = grow(0, n - 2)
        edges.append((n - 1, top))
    return edges


def _trees(n: int, g: int, *, is_double: bool) -> Iterator[Message]:
    """Up and down again, along a chain in each host; each of g channels begins its chains at another rank.

    The second tree is the first one mirrored, or moved on by one host where their number is odd, so that a host that
    is interior in one is a leaf in the other.
    """
    orders = [list(range(n))]
    if is_double:
        orders.append([(host + 1) % n for host in range(n)] if n % 2 else list(reversed(range(n))))
    share = ONE / len(orders) / g
    for order in orders:
        for channel in range(g):
            for parent, child in _tree_edges(n):
                a, b = order[parent] * g + channel, order[child] * g + channel
                yield from (Message(b, a, share), Message(a, b, share))
            for host in range(n):
                chain = [host * g + (channel + place) % g for place in range(g)]
                for a, b in pairwise(chain):
                    yield from (Message(b, a, share), Message(a, b, share))


_OTHERS: dict[Schedule, Callable[[int, int], Iterator[Message]]] = {
    Schedule.tree: lambda n, g: _trees(n, g, is_double=True),
    Schedule.single_tree: lambda n, g: _trees(n, g, is_double=False),
    Schedule.rabenseifner: lambda n, g: _halving(n, g, is_nearest_first=True),
    Schedule.rabenseifner_net_first: lambda n, g: _halving(n, g, is_nearest_first=False),
    Schedule.recursive_doubling: _recursive_doubling,
    Schedule.pairwise: _pairwise,
    Schedule.p2p_pxn: _pxn,
    Schedule.bruck: _bruck,
}


def host_bytes(found: list[Message], g: int) -> float:
    """What leaves or enters the busiest host."""
    return busiest(across(found, g))


def inside_bytes(found: list[Message], g: int) -> float:
    """What the busiest rank sends to, or receives from, ranks of its own host."""
    return busiest(within(found, g))


def leaf_bytes(found: list[Message], g: int, p: int, *, is_rail_optimised: bool = False) -> float:
    """What leaves or enters the leaves of the busiest p hosts: one leaf for all their ports, or one for each rail."""
    if not is_rail_optimised:
        return busiest(across(found, p * g))
    outside = [m for m in found if m.source // g != m.destination // g]
    total: dict[tuple[int, bool], Fraction] = {}
    for message in outside:
        source, destination = message.source, message.destination
        if (source // (p * g), source % g) != (destination // (p * g), destination % g):
            for key in ((source // (p * g), True), (destination // (p * g), False)):
                total[key] = total.get(key, Fraction(0)) + message.num_bytes
    return float(max(total.values(), default=Fraction(0)))


def multicast_bytes(g: int) -> float:
    """What one of g ranks sends through switches that reduce and multicast in an all_reduce, or receives.

    Every owner pulls its share from all ranks, which the switch adds up on the way, and stores the sum to all at once.
    """
    sent, received = [Fraction(0)] * g, [Fraction(0)] * g
    for owner in range(g):
        received[owner] += ONE / g  # the sum
        sent[owner] += ONE / g  # once, the switch copies it
        for rank in range(g):
            sent[rank] += ONE / g  # what is to be added up
            received[rank] += ONE / g  # the copy
    return float(max(*sent, *received))
