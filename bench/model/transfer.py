"""What a collective has to move: bytes across a host's border and inside it, and the links on its longest chain."""

from typing import Final

import numpy as np
import numpy.typing as npt

from bench.model.collective import Algorithm, Collective, CollectiveSpec, bus_factor

_DIRECT: Final = (Collective.all_to_all, Collective.all_to_allv, Collective.gather, Collective.scatter)

KNOWN_SCHEDULES: Final = frozenset(
    {
        Collective.all_reduce,
        Collective.all_gather,
        Collective.all_to_all,
        Collective.all_to_allv,
        Collective.send_recv,
        Collective.ping_pong,
    }
)
"""Collectives whose schedule is a ring, a direct exchange or a single message on every backend measured here, so that a duration
can be predicted. Of the others (gloo's reduce_scatter is made of all_reduces, trees differ between libraries) only a bound is
known: they get a ceiling and no prediction. For reduce_scatter it is that of a ring; for the rest the bytes that any schedule
must move."""


def schedule(collective: Collective) -> Algorithm:
    """The schedule that the model assumes for a collective: a ring, or a direct exchange between pairs."""
    return Algorithm.pairwise if collective in _DIRECT else Algorithm.ring


def num_crossings(spec: CollectiveSpec, ranks_per_host: int) -> int:
    """Links between hosts that follow one another on the longest chain, for n hosts; 1 where only a lower bound is known.

    A ring all_reduce hands every block on 2 (N - 1) times, two steps short of two laps of n borders each; the longest chain
    spares its two missing steps inside a host if g ranks share one: 2 n - 2 borders for g = 1, 2 n - 1 for 2, else 2 n.
    A ring all_gather or reduce_scatter hands on N - 1 times: n - 1 borders for g = 1, else n.
    A ring send_recv, a ping_pong and a direct exchange have chains of one message, or none if all stays inside the hosts.

    Source:
        Enumeration of the chains of a ring.
    """
    num_hosts = spec.num_ranks // ranks_per_host
    if num_hosts == 1:
        return 0
    if spec.split_bytes is not None and _largest_border_bytes(spec, ranks_per_host) == 0:
        return 0
    if spec.collective is Collective.all_reduce:
        return 2 * num_hosts - max(0, 3 - ranks_per_host)
    if spec.collective in (Collective.all_gather, Collective.reduce_scatter):
        return num_hosts - max(0, 2 - ranks_per_host)
    return 1


def host_egress_bytes(spec: CollectiveSpec, ranks_per_host: int) -> float:
    """Payload that crosses the border of the busiest host in its busier direction, in one call.

    With S = message_bytes, N ranks, g per host:

    ring all_reduce                    2 (N - 1) / N x S   a ring in rank order leaves each host once
    ring all_gather, reduce_scatter    (N - 1) / N x S     half of it
    all_to_all                         g (N - g) / N x S   each of g ranks owes S / N to each rank elsewhere
    all_to_allv                        the largest sum over rows or columns of one host, its own block left out
    broadcast, reduce                  S                   every other host must receive, or send, the vector once
    gather, scatter                    (N - g) / N x S     the root's host takes in, or gives out, all other blocks
    ring send_recv, ping_pong          S                   one message leaves the host
    barrier                            0                   no data

    Units: bytes of payload, per direction.
    Raises:
        ValueError: the ranks do not fill the hosts evenly.
    Source:
        Enumeration of the schedule; the same terms as nccl-tests' bus bandwidth, per host instead of per rank.
    """
    if ranks_per_host < 1 or spec.num_ranks % ranks_per_host:
        raise ValueError(f"{spec.num_ranks} ranks do not fill hosts of {ranks_per_host} ranks each")
    return _border_bytes(spec, ranks_per_host)


def leaf_egress_bytes(spec: CollectiveSpec, ranks_per_leaf: int) -> float:
    """Payload that leaves the busiest leaf in its busier direction, in one call: `host_egress_bytes` with leaves for hosts.

    The last leaf may have fewer ranks than the others: it moves no more than they do.

    Units: bytes of payload, per direction, over all uplinks of the leaf.
    Source:
        Enumeration of the schedule. It is the least that can be: a direct exchange whose data first move to the rail of
        their destination (PXN) does not use the spine inside a leaf.
    """
    return _border_bytes(spec, ranks_per_leaf)


def _border_bytes(spec: CollectiveSpec, ranks_inside: int) -> float:
    n, g, size = spec.num_ranks, ranks_inside, spec.message_bytes
    if n <= g:
        return 0.0
    match spec.collective:
        case Collective.all_reduce:
            return 2 * (n - 1) / n * size
        case Collective.all_gather | Collective.reduce_scatter:
            return (n - 1) / n * size
        case Collective.all_to_all:
            return g * (n - g) / n * size
        case Collective.all_to_allv:
            return _largest_border_bytes(spec, g)
        case Collective.gather | Collective.scatter:
            return (n - g) / n * size
        case Collective.barrier:
            return 0.0
    return float(size)


def rank_link_bytes(spec: CollectiveSpec, ranks_per_host: int) -> float:
    """Payload between the busiest rank and those of its own host in one call, in its busier direction (over NVLink, where
    there is one).

    One host: the whole bus traffic, bus_factor x S (all_to_allv: its largest row or column). Several hosts, g > 1:

    ring all_reduce                    2 (N - 1) / N x S x (g - 1) / g   g rings, each leaving by its own port
    ring all_gather, reduce_scatter    (N - 1) / N x S x (g - 1) / g
    all_to_all, gather, scatter        (g - 1) / N x S                   peers of the same host
    all_to_allv                        the largest row or column of such peers
    ring send_recv, broadcast, reduce  S                                 the neighbour on the same host
    ping_pong, barrier                 0                                 its two ranks are on different hosts; no data

    Units: bytes of payload, per direction.
    Source:
        Enumeration of the schedule.
    """
    n, g, size = spec.num_ranks, ranks_per_host, spec.message_bytes
    if g == 1 or spec.collective is Collective.barrier:
        return 0.0
    if spec.collective is Collective.all_to_allv:
        return _largest_inside_bytes(spec, g)
    if n == g:
        return bus_factor(spec.collective, n) * size
    match spec.collective:
        case Collective.all_reduce | Collective.all_gather | Collective.reduce_scatter:
            return bus_factor(spec.collective, n) * size * (g - 1) / g
        case Collective.all_to_all | Collective.gather | Collective.scatter:
            return (g - 1) / n * size
        case Collective.ping_pong:
            return 0.0
    return float(size)


def largest_arrival_bytes(spec: CollectiveSpec, ranks_per_host: int) -> float:
    """Payload that the busiest receiver of an all_to_allv takes in from other hosts, in one call.

    It comes in by the ports of that rank alone, however many its host has: a sender may leave by another rail (PXN), but only
    by the rail of the destination.
    """
    split = _matrix(spec)
    host = np.arange(spec.num_ranks) // ranks_per_host
    return float((split * (host[:, None] != host[None, :])).sum(axis=0).max())


def leaf_rail_bytes(spec: CollectiveSpec, ranks_per_host: int, hosts_per_leaf: int) -> float:
    """Payload of an all_to_allv that crosses the spine for the busiest group of ``hosts_per_leaf`` hosts on a rail-optimised
    fabric without PXN: all that leaves the group, and inside it all that goes to another rail of another host.

    Units: bytes of payload in the busier direction, over the uplinks of all rails of the group.
    """
    split = _matrix(spec)
    rank = np.arange(spec.num_ranks)
    host, rail = rank // ranks_per_host, rank % ranks_per_host
    leaf = host // hosts_per_leaf
    is_other_host = host[:, None] != host[None, :]
    is_direct = (leaf[:, None] == leaf[None, :]) & (rail[:, None] == rail[None, :])
    over_spine = split * (is_other_host & ~is_direct)
    return float(
        max(np.bincount(leaf, over_spine.sum(axis=1)).max(), np.bincount(leaf, over_spine.sum(axis=0)).max())
    )


def rank_pxn_bytes(spec: CollectiveSpec, ranks_per_host: int) -> float:
    """Payload between the busiest rank and those of its host where an all_to_allv first moves to the rail of its destination:
    a rank hands on all that is for other rails, and takes in what its host sends to its own.
    """
    split = _matrix(spec)
    rank = np.arange(spec.num_ranks)
    host, rail = rank // ranks_per_host, rank % ranks_per_host
    is_other_rail = rail[:, None] != rail[None, :]
    handed_on = (split * is_other_rail).sum(axis=1)
    # by_rail[i, r]: what rank i sends to ranks of rail r, wherever they are.
    by_rail = split @ (rail[:, None] == np.arange(ranks_per_host)[None, :])
    by_rail[rank, rail] = 0.0
    taken_in = np.zeros((int(host.max()) + 1, ranks_per_host))
    np.add.at(taken_in, host, by_rail)
    return float(max(handed_on.max(), taken_in.max()))


def load_imbalance(spec: CollectiveSpec) -> float | None:
    """phi of an all_to_allv: the largest over the mean of what ranks send or receive, own blocks left out.

    Its time grows with phi while nccl-tests' size, the largest buffer, does not say so.
    """
    if spec.split_bytes is None:
        return None
    split = _matrix(spec)
    np.fill_diagonal(split, 0.0)
    total = split.sum()
    largest = max(split.sum(axis=0).max(), split.sum(axis=1).max())
    return None if total == 0 else float(largest * spec.num_ranks / total)


def _matrix(spec: CollectiveSpec) -> npt.NDArray[np.float64]:
    return np.array(spec.split_bytes or (), dtype=float)


def _largest_border_bytes(spec: CollectiveSpec, ranks_inside: int) -> float:
    split = _matrix(spec)
    group = np.arange(spec.num_ranks) // ranks_inside
    outside = split * (group[:, None] != group[None, :])
    return float(
        max(np.bincount(group, outside.sum(axis=1)).max(), np.bincount(group, outside.sum(axis=0)).max())
    )


def _largest_inside_bytes(spec: CollectiveSpec, ranks_per_host: int) -> float:
    split = _matrix(spec)
    np.fill_diagonal(split, 0.0)
    host = np.arange(spec.num_ranks) // ranks_per_host
    inside = split * (host[:, None] == host[None, :])
    return float(max(inside.sum(axis=0).max(), inside.sum(axis=1).max()))
