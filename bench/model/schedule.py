"""`Schedule`: how a collective's bytes travel, and what each schedule asks of the network, of NVLink and of the clock.

Everything here is a closed form per byte of message, on floats or arrays: n hosts (NVLink domains) of g ranks, N = n g.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

import numpy as np

from bench.model.collective import Collective

Number: TypeAlias = Any
"""A float, or an array of floats that broadcasts with the others of its call."""


class Schedule(Enum):
    """Members are named as tables of published measurements name them.

    ring: g rings in rank order, each leaving its host by its own port.
    tree: double binary tree over hosts, a chain inside each. single_tree: one binary tree.
    nvls: switches reduce and multicast inside a domain; between domains those of the network do (NCCL joins it to CollNet).
    nvlstree: NVLS inside, a double binary tree between domains.
    sharp: reduction by the switches of the network (CollNet), a chain inside each host.
    hierarchical: reduce-scatter inside, a ring for each rail, all-gather inside.
    rabenseifner: halving and doubling with the largest pieces on NVLink; rabenseifner_net_first: over the network.
    recursive_doubling: the whole vector in each of log2 N steps.
    p2p: every pair exchanges directly. p2p_pxn: data first move over NVLink to the rail of their destination.
    pairwise: N - 1 steps of one pair each. bruck: log2 N steps of half the buffer.
    """

    ring = "ring"
    tree = "tree"
    single_tree = "single_tree"
    nvls = "nvls"
    nvlstree = "nvlstree"
    sharp = "sharp"
    hierarchical = "hierarchical"
    rabenseifner = "rabenseifner"
    rabenseifner_net_first = "rabenseifner_net_first"
    recursive_doubling = "recursive_doubling"
    p2p = "p2p"
    p2p_pxn = "p2p_pxn"
    pairwise = "pairwise"
    bruck = "bruck"


_VECTOR: Final = (Schedule.ring, Schedule.hierarchical, Schedule.nvls)
SCHEDULES: Final[dict[Collective, tuple[Schedule, ...]]] = {
    Collective.all_reduce: (
        Schedule.ring,
        Schedule.tree,
        Schedule.single_tree,
        Schedule.nvls,
        Schedule.nvlstree,
        Schedule.sharp,
        Schedule.hierarchical,
        Schedule.rabenseifner,
        Schedule.rabenseifner_net_first,
        Schedule.recursive_doubling,
    ),
    Collective.all_gather: _VECTOR,
    Collective.reduce_scatter: _VECTOR,
    Collective.broadcast: (Schedule.ring,),
    Collective.reduce: (Schedule.ring,),
    Collective.all_to_all: (Schedule.p2p, Schedule.p2p_pxn, Schedule.pairwise, Schedule.bruck),
    Collective.all_to_allv: (Schedule.p2p, Schedule.p2p_pxn, Schedule.pairwise),
    Collective.send_recv: (Schedule.p2p,),
}
"""The schedules with a closed form, the default first. Collectives that are not here have bounds only; see `bench.model.transfer`."""

_NAMES: Final = {
    "collnetchain": Schedule.sharp,
    "collnetdirect": Schedule.sharp,
    "collnet": Schedule.sharp,
    "collnet_chain": Schedule.sharp,
    "collnet_direct": Schedule.sharp,
    "nvls_tree": Schedule.nvlstree,
    "segmented_ring": Schedule.ring,
    "linear": Schedule.p2p,
    "modified_bruck": Schedule.bruck,
    "pxn": Schedule.p2p_pxn,
    "sendrecv": Schedule.p2p,
    "chunked": Schedule.pairwise,
}


def schedule_named(text: str) -> Schedule | None:
    """The schedule that a log, a library or a table means, whatever its spelling; None where it has no closed form."""
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    if word in _NAMES:
        return _NAMES[word]
    return next((schedule for schedule in Schedule if schedule.value == word), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one byte of message asks for. Floats or arrays.

    Attributes:
        host_bytes: payload that leaves the busiest host in its busier direction, by all its ports together.
        inside_bytes: payload between the busiest rank and those of its own host, per direction, rank to rank.
        nvls_bytes: the same through switches that reduce and multicast.
        leaf_bytes: payload that leaves the busiest leaf in its busier direction.
        host_steps: links between hosts that follow one another on the longest chain.
        inside_steps: links inside hosts on that chain.
        num_messages: messages that a rank sends to others with nothing that says how many travel at once.
    """

    host_bytes: Number
    inside_bytes: Number = 0.0
    nvls_bytes: Number = 0.0
    leaf_bytes: Number = 0.0
    host_steps: Number = 0.0
    inside_steps: Number = 0.0
    num_messages: Number = 0.0


def demand(
    collective: Collective,
    schedule: Schedule,
    num_hosts: Number,
    ranks_per_host: Number,
    hosts_per_leaf: Number = np.inf,
    is_rail_optimised: bool = False,
) -> Demand:
    """Closed forms per byte of message, S = 1; F is the bus factor. Between hosts / inside, per rank:

    ring all_reduce                  F                       F (g - 1) / g     F = 2 (N - 1) / N
    ring all_gather, reduce_scatter  F                       F (g - 1) / g     F = (N - 1) / N
    ring broadcast, reduce           1                       1
    tree                             c(n) = 1, 3/2, 2, 2...  2 (g - 1) / g     n = 2, 3, 4 and more
    single_tree                      1, 2, 3, 3...           2 (g - 1) / g
    nvlstree                         c(n)                    NVLS: (g + 1) / g
    nvls                             1                       NVLS: (g + 1) / g
    nvls all_gather, reduce_scatter  (n - 1) / n             NVLS: (g - 1) / g
    sharp                            1                       2 (g - 1) / g
    hierarchical, rabenseifner       2 (n - 1) / n           2 (g - 1) / g     half of both for all_gather, reduce_scatter
    rabenseifner, n no power of two  2 (n' - 1) / n' + 3/2   2 (g - 1) / g     hosts beyond n' hand theirs to a neighbour
    rabenseifner_net_first           2 g (n - 1) / n         2 (g - 1) / (g n)
    recursive_doubling               g log2 n                log2 g            n no power of two: g (1 + log2 n'), n' below it
    p2p, pairwise                    g (N - g) / N           (g - 1) / N
    p2p_pxn                          g (N - g) / N           (g - 1) / g
    bruck, step of distance d        b min(d, N - d, g)      b where d < g     b: share of blocks whose number has bit d; d = 1, 2, 4 ... < N
    send_recv                        1                       1

    One host: a ring moves F per rank, an exchange (g - 1) / g. A host that is interior in one of two complementary trees is
    a leaf in the other: at most two messages leave it in one direction, where a single tree has three.
    Leaves of p hosts (``hosts_per_leaf``): a ring in rank order and a hierarchical one leave a leaf as they leave a host; an
    exchange sends f = (n - p) / (n - 1) of what leaves hosts over the spine; on rails (``is_rail_optimised``) and without PXN
    f = [(p - 1) (g - 1) / g + (n - p)] / (n - 1), because only one g-th stays on its own rail.

    Raises:
        ValueError: the collective has no such schedule.
    Source:
        Patarasuk and Yuan 2009 (ring); Sanders, Speck and Traeff 2009 (two trees); Thakur, Rabenseifner and Gropp 2005
        (recursive doubling, Rabenseifner, Bruck, pairwise). Each was compared with an enumeration of all transfers of its
        schedule; tests/model/test_schedule.py holds the vectors. leaf_bytes of trees: the least that any schedule without
        reduction in the network needs.
    """
    if schedule not in SCHEDULES.get(collective, ()):
        known = ", ".join(s.value for s in SCHEDULES.get(collective, ())) or "none with a closed form"
        raise ValueError(
            f"{collective.value} has no schedule {getattr(schedule, 'value', schedule)!r}; there is {known}"
        )
    n, g = np.asarray(num_hosts, dtype=float), np.asarray(ranks_per_host, dtype=float)
    p = np.minimum(np.asarray(hosts_per_leaf, dtype=float), n)
    ranks = n * g
    is_alone, is_split = n == 1, n > 1
    beyond_leaf = n > p
    leaves = np.ceil(n / p)
    power = 2 ** np.floor(np.log2(n))
    both = 2.0 if collective is Collective.all_reduce else 1.0
    inside = both * (g - 1) / g
    match schedule:
        case Schedule.ring if collective in (Collective.broadcast, Collective.reduce):
            return Demand(
                host_bytes=is_split * 1.0,
                inside_bytes=(g > 1) * 1.0,
                leaf_bytes=beyond_leaf * 1.0,
                host_steps=n - 1,
                inside_steps=ranks - n,
            )
        case Schedule.ring:
            factor = both * (ranks - 1) / ranks
            return Demand(
                host_bytes=factor * is_split,
                inside_bytes=np.where(is_alone, factor, factor * (g - 1) / g),
                leaf_bytes=factor * beyond_leaf,
                host_steps=both * (n - 1),
                inside_steps=both * (ranks - n),
            )
        case Schedule.tree | Schedule.single_tree | Schedule.nvlstree:
            depth = 2 * np.ceil(np.log2(n))
            if schedule is Schedule.single_tree:
                messages = np.select([n == 1, n == 2, n == 3], [0.0, 1.0, 2.0], 3.0)
            else:
                messages = np.select([n == 1, n == 2, n == 3], [0.0, 1.0, 1.5], 2.0)
            is_nvls = schedule is Schedule.nvlstree
            return Demand(
                host_bytes=messages,
                inside_bytes=0.0 if is_nvls else inside,
                nvls_bytes=(g > 1) * (g + 1) / g if is_nvls else 0.0,
                leaf_bytes=2 * (leaves - 1) / leaves,
                host_steps=depth,
                inside_steps=2.0 * (g > 1) if is_nvls else 2 * (g - 1),
            )
        case Schedule.nvls:
            is_reduction = collective is Collective.all_reduce
            between = is_split * 1.0 if is_reduction else (n - 1) / n
            return Demand(
                host_bytes=between,
                nvls_bytes=(g > 1) * (g + 1) / g if is_reduction else (g - 1) / g,
                leaf_bytes=between * beyond_leaf,
                host_steps=2.0 * is_split,
                inside_steps=both,
            )
        case Schedule.sharp:
            return Demand(
                host_bytes=is_split * 1.0,
                inside_bytes=inside,
                leaf_bytes=beyond_leaf * 1.0,
                host_steps=2.0 * is_split,
                inside_steps=2 * (g - 1),
            )
        case Schedule.hierarchical | Schedule.rabenseifner:
            is_ring = schedule is Schedule.hierarchical
            once = both * (n - 1) / n
            if not is_ring:
                once = both * (power - 1) / power + 1.5 * (power < n)
            return Demand(
                host_bytes=once,
                inside_bytes=inside,
                leaf_bytes=(once if is_ring else both * (n - p) / n) * beyond_leaf,
                host_steps=both * (n - 1) if is_ring else both * np.ceil(np.log2(n)),
                inside_steps=both * (g - 1) if is_ring else both * np.ceil(np.log2(g)),
            )
        case Schedule.rabenseifner_net_first:
            return Demand(
                host_bytes=2 * g * (n - 1) / n,
                inside_bytes=2 * (g - 1) / (g * n),
                leaf_bytes=2 * p * g * (leaves - 1) / leaves,
                host_steps=2 * np.ceil(np.log2(n)),
                inside_steps=2 * np.ceil(np.log2(g)),
            )
        case Schedule.recursive_doubling:
            return Demand(
                host_bytes=g * (np.log2(power) + (power < n)),
                inside_bytes=np.log2(g),
                leaf_bytes=p * g * np.log2(leaves),
                host_steps=np.ceil(np.log2(n)),
                inside_steps=np.ceil(np.log2(g)),
            )
        case Schedule.bruck:
            return _bruck(n, g, p)
    if collective is Collective.send_recv:
        return Demand(
            host_bytes=is_split * 1.0,
            inside_bytes=(g > 1) * 1.0,
            leaf_bytes=beyond_leaf * 1.0,
            host_steps=is_split * 1.0,
            inside_steps=is_alone * 1.0,
        )
    host_bytes = g * (ranks - g) / ranks
    is_pxn = schedule is Schedule.p2p_pxn
    spine = (n - p) / np.maximum(n - 1, 1)
    if is_rail_optimised and not is_pxn:
        spine = ((p - 1) * (g - 1) / g + (n - p)) / np.maximum(n - 1, 1)
    is_stepwise = schedule is Schedule.pairwise
    return Demand(
        host_bytes=host_bytes,
        inside_bytes=(g - 1) / g if is_pxn else (g - 1) / ranks,
        leaf_bytes=p * host_bytes * spine,
        host_steps=ranks - g if is_stepwise else is_split * 1.0,
        inside_steps=g - 1 if is_stepwise else np.where(is_pxn | is_alone, 1.0, 0.0),
        num_messages=0.0 if is_stepwise else ranks - 1,
    )


def _bruck(n: Number, g: Number, p: Number) -> Demand:
    """Step k sends the blocks whose number has bit k, about half of the buffer, to the rank 2**k further on: for
    min(2**k, g) of the g ranks of a host that is another host."""
    ranks = n * g
    host, inside, leaf = np.zeros_like(ranks), np.zeros_like(ranks), np.zeros_like(ranks)
    host_steps, inside_steps = np.zeros_like(ranks), np.zeros_like(ranks)
    distance = 1.0
    while np.any(distance < ranks):
        is_on = (distance < ranks) & (ranks > 1)
        pairs = np.floor(ranks / (2 * distance))
        rest = ranks - 2 * distance * pairs
        num_blocks = pairs * distance + np.maximum(rest - distance, 0.0)
        share = is_on * num_blocks / ranks
        crossing = np.where(n > 1, np.minimum(distance, g), 0.0)
        # The last step may come round to the host, or the leaf, that it left.
        around = np.minimum(distance, ranks - distance)
        host = host + share * np.where(n > 1, np.minimum(around, g), 0.0)
        inside = inside + share * np.where(crossing < g, 1.0, 0.0)
        leaf = leaf + share * np.where(n > p, np.minimum(np.minimum(around, p * g), ranks - p * g), 0.0)
        host_steps = host_steps + is_on * (crossing > 0)
        inside_steps = inside_steps + is_on * (crossing == 0)
        distance *= 2
    return Demand(
        host_bytes=host,
        inside_bytes=inside,
        leaf_bytes=leaf,
        host_steps=host_steps,
        inside_steps=inside_steps,
    )
