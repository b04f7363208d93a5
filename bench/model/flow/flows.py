"""`Flows`: what the ranks of a collective send each other across a fat tree, schedule by schedule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.model.flow.fat_tree import FatTree, Integers
from bench.model.flow.max_min import Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flows:
    """Transfers that begin together; one value of each array for each flow. A rank is named by its port.

    Attributes:
        exit_port: the port by which a flow leaves its host, of the source's host; without meaning within a host.
        queue_pair: tells apart the parts of one message, which ECMP hashes one by one.
    """

    source: Integers
    destination: Integers
    exit_port: Integers
    size_bytes: Vector
    queue_pair: Integers

    def __len__(self) -> int:
        return len(self.source)

    def split(self, num_queue_pairs: int) -> "Flows":
        """Every flow as equal parts, one for each queue pair.

        Raises:
            ValueError: ``num_queue_pairs`` is below 1.
        """
        if num_queue_pairs < 1:
            raise ValueError(f"num_queue_pairs is {num_queue_pairs}; a connection has at least one")
        parts = np.tile(np.arange(num_queue_pairs), len(self))
        return Flows(
            source=np.repeat(self.source, num_queue_pairs),
            destination=np.repeat(self.destination, num_queue_pairs),
            exit_port=np.repeat(self.exit_port, num_queue_pairs),
            size_bytes=np.repeat(self.size_bytes / num_queue_pairs, num_queue_pairs),
            queue_pair=np.repeat(self.queue_pair, num_queue_pairs) * num_queue_pairs + parts,
        )


def flows(
    source: npt.ArrayLike,
    destination: npt.ArrayLike,
    size_bytes: npt.ArrayLike,
    exit_port: npt.ArrayLike | None = None,
) -> Flows:
    """Flows between given ranks, such as the pairs of send_recv; ``size_bytes`` is one number or one for each.

    Without ``exit_port`` each leaves by its own rank's port. Flows of 0 bytes are left out.

    Raises:
        ValueError: a size is negative or not finite, or the lists differ in length.
    """
    start, stop = np.asarray(source, dtype=np.int64), np.asarray(destination, dtype=np.int64)
    leave = start if exit_port is None else np.asarray(exit_port, dtype=np.int64)
    if not start.shape == stop.shape == leave.shape or start.ndim != 1:
        raise ValueError(
            f"source, destination and exit_port have shapes {start.shape}, {stop.shape} and {leave.shape}; give one "
            "port for each flow"
        )
    sizes = np.broadcast_to(np.asarray(size_bytes, dtype=np.float64), start.shape)
    if not ((sizes >= 0) & np.isfinite(sizes)).all():
        raise ValueError("size_bytes has a value that is negative or not finite; give bytes")
    sent = sizes > 0
    return Flows(
        source=start[sent],
        destination=stop[sent],
        exit_port=leave[sent],
        size_bytes=sizes[sent],
        queue_pair=np.zeros(int(sent.sum()), dtype=np.int64),
    )


def together(parts: Sequence[Flows]) -> Flows:
    """Flows of several groups that run at the same time."""
    names = ("source", "destination", "exit_port", "size_bytes", "queue_pair")
    return Flows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def per_rail(tree: FatTree, build: Callable[[Integers], Flows]) -> Flows:
    """What ``build`` makes of the ranks of each rail, all rails together: the groups of a hierarchical collective."""
    return together(
        [build(np.arange(rail, tree.num_ports, tree.ports_per_host)) for rail in range(tree.ports_per_host)]
    )


def all_to_all(
    tree: FatTree, message_bytes: float, *, ranks: npt.ArrayLike | None = None, uses_pxn: bool = False
) -> Flows:
    """Each of N ranks sends message_bytes / N to each other one, all at once.

    With PXN a flow goes over NVLink to the rank of its host that stands on the rail of the destination, and leaves there.

    Args:
        message_bytes: the send buffer of one rank, its own block included (S of nccl-tests).
        ranks: those that take part; default: all.
    """
    members = np.arange(tree.num_ports) if ranks is None else np.asarray(ranks, dtype=np.int64)
    start, stop = np.repeat(members, len(members)), np.tile(members, len(members))
    is_other = start != stop
    start, stop = start[is_other], stop[is_other]
    exit_port = _same_rail(tree, start, stop) if uses_pxn else None
    return flows(start, stop, message_bytes / max(1, len(members)), exit_port)


def all_to_allv(
    tree: FatTree, split_bytes: npt.ArrayLike, *, ranks: npt.ArrayLike | None = None, uses_pxn: bool = False
) -> Flows:
    """Member i sends ``split_bytes[i][j]`` to member j, all at once; the diagonal stays where it is.

    Raises:
        ValueError: the matrix is not square with a row for each of ``ranks``.
    """
    members = np.arange(tree.num_ports) if ranks is None else np.asarray(ranks, dtype=np.int64)
    split = np.asarray(split_bytes, dtype=np.float64)
    if split.shape != (len(members), len(members)):
        raise ValueError(
            f"split_bytes has shape {split.shape}; {len(members)} ranks need ({len(members)}, {len(members)})"
        )
    i, j = np.nonzero(split)
    i, j = i[i != j], j[i != j]
    start, stop = members[i], members[j]
    return flows(start, stop, split[i, j], _same_rail(tree, start, stop) if uses_pxn else None)


def rank_ring(ranks: npt.ArrayLike, bytes_per_hop: float) -> Flows:
    """One ring: each rank sends ``bytes_per_hop`` to the next, the last to the first; its steady state, all hops busy."""
    members = np.asarray(ranks, dtype=np.int64)
    if len(members) < 2:
        return flows([], [], [])
    return flows(members, np.roll(members, -1), bytes_per_hop)


def rings(
    tree: FatTree,
    bytes_per_rank: float,
    *,
    host_order: npt.ArrayLike | None = None,
    changes_rails: bool = False,
) -> Flows:
    """As many rings as a host has ports, each entering and leaving hosts by its own rail; their steady state.

    Ring r enters a host at rank r, passes its ranks in order, and comes to rank r - 1, whose data leave by port r. With
    ``changes_rails`` they leave by the port of rank r - 1 instead and change rails between hosts. Each ring carries its share of
    ``bytes_per_rank``: bus factor times message, what one rank forwards in all.

    Args:
        host_order: hosts in the order of the ring; default 0, 1, 2 ... Another one is `shuffled_hosts`.
    """
    order = np.arange(tree.num_hosts) if host_order is None else np.asarray(host_order, dtype=np.int64)
    num_rings = tree.ports_per_host
    ring = np.arange(num_rings)[:, None, None]
    first = order[None, :, None] * num_rings
    # Shape (ring, host, place in it).
    member = first + (ring + np.arange(num_rings)) % num_rings
    start = member.reshape(num_rings, -1)
    stop = np.roll(start, -1, axis=1)
    if start.shape[1] < 2:
        return flows([], [], [])
    exit_port = start if changes_rails else np.broadcast_to(first + ring, member.shape).reshape(start.shape)
    return flows(start.ravel(), stop.ravel(), bytes_per_rank / num_rings, exit_port.ravel())


def shuffled_hosts(tree: FatTree, seed: int) -> Integers:
    """Hosts in random order: what a ring passes where nobody sorted the ranks."""
    return np.random.default_rng(seed).permutation(tree.num_hosts)


def _same_rail(tree: FatTree, start: Integers, stop: Integers) -> Integers:
    return start // tree.ports_per_host * tree.ports_per_host + stop % tree.ports_per_host
