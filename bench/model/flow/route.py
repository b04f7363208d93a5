"""`route`: the links that flows take through a fat tree, spread over all spines or hashed onto one."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.model.flow.fat_tree import FatTree, Flags, Integers
from bench.model.flow.max_min import Sparse, Vector

Hashes = npt.NDArray[np.uint64]

_INCREMENT: Final = np.uint64(0x9E3779B97F4A7C15)
_FACTORS: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Constants of SplitMix64 (B): Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014; S. Vigna,
splitmix64.c. Switches hash with functions of their own; any good one gives the same distribution of loads."""


class Routing(Enum):
    """How a flow crosses the spine: evenly over all live uplinks, or over one that a hash of its ends chooses."""

    sprayed = "sprayed"
    ecmp = "ecmp"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Routes:
    """The links of some flows, in two factors: flows on one path between leaves pass the same links there, so what a path takes
    of each link is written down once for the path and not for each flow.

    Attributes:
        ends: shape (num_links, num_flows): 1 at the ports and the NVLinks that a flow passes.
        paths: shape (num_links, num_paths): the share of a path that each link between leaf and spine carries.
        path_of_flow: shape (num_flows,), column of ``paths``; an empty one where a flow stays below its leaf.
    """

    ends: Sparse
    paths: Sparse
    path_of_flow: Integers

    def loads_bytes(self, sizes_bytes: Vector) -> Vector:
        """Bytes that each link carries, shape (num_links,)."""
        per_path = np.bincount(self.path_of_flow, weights=sizes_bytes, minlength=self.paths.shape[1])
        return np.asarray(self.ends @ sizes_bytes + self.paths @ per_path)

    def limits(self, capacities_bytes_per_s: Vector) -> Sparse:
        """Incidence, shape (num_links, num_flows), with entries only at links that can limit.

        Of links that take the same share of every path only the slowest can. A healthy leaf that sprays has one such uplink
        for all its spines, so the entries of a flow do not grow with their number.
        """
        from scipy.sparse import csr_array

        rows = csr_array(self.paths, copy=True)
        slowest: dict[bytes, int] = {}
        for link in np.flatnonzero(np.diff(rows.indptr)).tolist():
            inside = slice(rows.indptr[link], rows.indptr[link + 1])
            key = rows.indices[inside].tobytes() + rows.data[inside].tobytes()
            other = slowest.setdefault(key, link)
            if capacities_bytes_per_s[link] < capacities_bytes_per_s[other]:
                slowest[key] = link
        is_kept = np.zeros(rows.shape[0], dtype=np.bool_)
        is_kept[list(slowest.values())] = True
        rows.data[np.repeat(~is_kept, np.diff(rows.indptr))] = 0.0
        rows.eliminate_zeros()
        return self.ends + rows.tocsc()[:, self.path_of_flow]


def route(
    tree: FatTree,
    source: npt.ArrayLike,
    destination: npt.ArrayLike,
    *,
    exit_port: npt.ArrayLike | None = None,
    queue_pair: npt.ArrayLike = 0,
    routing: Routing = Routing.sprayed,
    seed: int = 0,
) -> Routes:
    """The links of flows between ranks, each given by the port it stands at.

    Between hosts a flow leaves by ``exit_port`` of its own host (by default the port of its rank; where that is another, it goes
    there over NVLink first) and arrives by the port of its destination. Within a host it takes NVLink only.

    Between leaves it crosses one spine. Sprayed: with equal shares on all live uplinks whose spine has a live link down to
    the destination's leaf, slow or not, and from a spine with equal shares on such links. By ECMP: on one of those uplinks,
    chosen by a hash of source, destination, queue pair and seed; a second hash chooses where several links lead down.

    Raises:
        ValueError: a flow from a rank to itself, an exit on another host, or two leaves cut apart by failed links.
    """
    start, stop = np.asarray(source, dtype=np.int64), np.asarray(destination, dtype=np.int64)
    leave = start if exit_port is None else np.asarray(exit_port, dtype=np.int64)
    _check_ends(tree, start, stop, leave)
    is_between_hosts = start // tree.ports_per_host != stop // tree.ports_per_host
    from_leaf, to_leaf = tree.leaf_of(leave), tree.leaf_of(stop)
    pair = np.where(is_between_hosts & (from_leaf != to_leaf), from_leaf * tree.num_leaves + to_leaf, -1)
    pairs, pair_of_flow = np.unique(pair, return_inverse=True)
    live_up, live_down = _live(tree, pairs)
    if routing is Routing.ecmp:
        key = _hash(seed, start, stop, np.broadcast_to(queue_pair, start.shape))
        paths, path_of_flow = _hashed(tree, pairs, pair_of_flow, live_up, live_down, key)
    else:
        paths, path_of_flow = _sprayed(tree, pairs, live_up, live_down), pair_of_flow
    ends = _ends(tree, start, stop, leave, is_between_hosts)
    return Routes(ends=ends, paths=paths, path_of_flow=path_of_flow)


def _check_ends(tree: FatTree, start: Integers, stop: Integers, leave: Integers) -> None:
    for name, ports in (("source", start), ("destination", stop), ("exit_port", leave)):
        if ports.shape != start.shape or ports.ndim != 1:
            raise ValueError(
                f"{name} has shape {ports.shape}; source, destination and exit_port are lists alike"
            )
        if ports.size and not (ports.min() >= 0 and ports.max() < tree.num_ports):
            raise ValueError(
                f"{name} has {ports.min()} to {ports.max()}; ports go from 0 to {tree.num_ports - 1}"
            )
    if (start == stop).any():
        raise ValueError(f"a flow leads from port {start[start == stop][0]} to itself; leave it out")
    strays = start // tree.ports_per_host != leave // tree.ports_per_host
    if strays.any():
        raise ValueError(
            f"a flow from port {start[strays][0]} leaves by port {leave[strays][0]} of another host; exit_port must be a "
            f"port of its own, {tree.ports_per_host} to a host"
        )


def _live(tree: FatTree, pairs: Integers) -> tuple[Flags, Flags]:
    """Cables up and cables down that serve each pair of leaves; each of shape (num_pairs, num_cables, num_spines)."""
    num_spines = tree.num_spines or tree.num_uplinks
    cables = tree.is_live().reshape(tree.num_leaves, -1, num_spines)
    from_leaf, to_leaf = np.divmod(pairs, tree.num_leaves)
    crosses = (pairs >= 0)[:, None, None]
    up = cables[from_leaf] & cables[to_leaf].any(axis=1, keepdims=True) & crosses
    down = cables[to_leaf] & up.any(axis=1, keepdims=True)
    cut = (pairs >= 0) & ~up.any(axis=(1, 2))
    if cut.any():
        raise ValueError(
            f"no spine has live links to both leaf {from_leaf[cut][0]} and leaf {to_leaf[cut][0]}; failed_uplinks leaves "
            "them no path, so repair one or send nothing between them"
        )
    return up, down


def _sprayed(tree: FatTree, pairs: Integers, live_up: Flags, live_down: Flags) -> Sparse:
    """One path for each pair of leaves."""
    from scipy.sparse import csc_array

    up = live_up / np.maximum(live_up.sum(axis=(1, 2), keepdims=True), 1)
    down = up.sum(axis=1, keepdims=True) * live_down / np.maximum(live_down.sum(axis=1, keepdims=True), 1)
    from_leaf, to_leaf = np.divmod(pairs, tree.num_leaves)
    data, rows, columns = [], [], []
    for side, (leaf, shares) in enumerate(((from_leaf, up), (to_leaf, down))):
        flat = shares.reshape(len(pairs), tree.num_uplinks)
        column, uplink = np.nonzero(flat)
        data.append(flat[column, uplink])
        rows.append(tree.spine_link(leaf[column], uplink, is_down=bool(side)))
        columns.append(column)
    at = (np.concatenate(rows), np.concatenate(columns))
    return csc_array((np.concatenate(data), at), shape=(tree.num_links, len(pairs)))


def _hashed(
    tree: FatTree, pairs: Integers, pair_of_flow: Integers, live_up: Flags, live_down: Flags, key: Hashes
) -> tuple[Sparse, Integers]:
    """One path for each pair of leaves and choice of cables that a flow has made."""
    num_pairs, num_cables, num_spines = live_up.shape
    uplink = _choose(live_up.reshape(num_pairs, tree.num_uplinks), pair_of_flow, key)
    spine = uplink % num_spines
    # One row for each pair and spine, with the cables between them as columns.
    row = pair_of_flow * num_spines + spine
    cable = _choose(live_down.transpose(0, 2, 1).reshape(-1, num_cables), row, _mix(key))
    downlink = cable * num_spines + spine
    crosses = pairs[pair_of_flow] >= 0
    choice = (pair_of_flow * tree.num_uplinks + uplink) * tree.num_uplinks + downlink
    choices, first, path_of_flow = np.unique(
        np.where(crosses, choice, -1), return_index=True, return_inverse=True
    )
    from_leaf, to_leaf = np.divmod(pairs[pair_of_flow[first]], tree.num_leaves)
    links = np.stack(
        [
            tree.spine_link(from_leaf, uplink[first], is_down=False),
            tree.spine_link(to_leaf, downlink[first], is_down=True),
        ],
        axis=1,
    )
    return _columns(links, np.broadcast_to(choices[:, None] >= 0, links.shape), tree.num_links), path_of_flow


def _choose(live: Flags, row: Integers, key: Hashes) -> Integers:
    """For each flow one of the live columns in its row of ``live``, by its hash; 0 where there is none."""
    live_first = np.argsort(~live, axis=1, kind="stable")
    count = np.maximum(live.sum(axis=1), 1).astype(np.uint64)
    chosen: Integers = live_first[row, (key % count[row]).astype(np.int64)]
    return chosen


def _ends(tree: FatTree, start: Integers, stop: Integers, leave: Integers, is_between_hosts: Flags) -> Sparse:
    num_ports = tree.num_ports
    inner = np.where(is_between_hosts, leave, stop)  # where NVLink leads
    over_nvlink = (inner != start) & (tree.nvlink_bytes_per_s is not None)
    first_nvlink = 2 * (num_ports + tree.num_leaves * tree.num_uplinks)
    links = [leave, num_ports + stop, first_nvlink + start, first_nvlink + num_ports + inner]
    used = [is_between_hosts, is_between_hosts, over_nvlink, over_nvlink]
    return _columns(np.stack(links, axis=1), np.stack(used, axis=1), tree.num_links)


def _columns(links: Integers, used: Flags, num_links: int) -> Sparse:
    """Sparse columns with 1 at the ``used`` ones of ``links``, both of shape (num_columns, links of each), ascending."""
    from scipy.sparse import csc_array

    starts = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int32)
    rows = links[used].astype(np.int32)
    return csc_array((np.ones(len(rows)), rows, starts), shape=(num_links, len(links)))


def _hash(seed: int, *parts: npt.NDArray[Any]) -> Hashes:
    key = _mix(np.full(parts[0].shape, seed % 2**64, dtype=np.uint64))
    for part in parts:
        key = _mix(key ^ part.astype(np.uint64))
    return key


def _mix(key: Hashes) -> Hashes:
    """One step of SplitMix64: a permutation of 64-bit numbers in which every bit depends on every other."""
    key = key + _INCREMENT
    key = (key ^ (key >> np.uint64(30))) * _FACTORS[0]
    key = (key ^ (key >> np.uint64(27))) * _FACTORS[1]
    return key ^ (key >> np.uint64(31))
