"""What simulating an all_to_all of 1,024 hosts flow by flow costs, and whether it gives what is known beforehand.

    python benchmarks/flow_simulation.py [--repetitions 6] [--out docs/measured/flow-simulation.md]

Each case runs in a process of its own, so that its peak memory is its own. The dense filling that the sparse one is compared
with is written down here: a matrix of every link and every flow, one link at a time. Takes a minute or two of one processor.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # modules of this checkout

import numpy as np

from bench.model.flow.ecmp import slowest_at_both_ends, slowest_at_leaf
from bench.model.flow.fat_tree import FatTree
from bench.model.flow.flow_simulation import simulate
from bench.model.flow.flows import Flows, all_to_all, all_to_allv
from bench.model.flow.max_min import Sparse, Vector, max_min_rates
from bench.model.flow.route import Routing, route
from bench.model.units import format_seconds
from benchmarks.costs import note
from benchmarks.costs.report import interval_text, markdown, origin, ratio_text

RATE_BYTES_PER_S: Final = 50e9
MESSAGE_BYTES: Final = 2**30
SEED: Final = 1
MAX_WALL_S: Final = 30.0
MAX_MEMORY_BYTES: Final = 2e9
"""Targets for 1,024 hosts on two processors: short enough to try a fabric out, small enough for any machine."""

HEADER: Final = (
    "what",
    "hosts",
    "flows",
    "wall time",
    "95 % interval",
    "peak memory",
    "target met",
    "result",
)
METHOD: Final = (
    "all_to_all of 1 GiB, one 400G port to a host, leaves without oversubscription: 32 hosts and 32 uplinks to a leaf "
    "(64 hosts: 8 and 8). Wall time is the median of repetitions in one process, intervals are distribution-free; peak "
    "memory is that of the whole process, numpy and scipy included. Target for 1,024 hosts: 30 s and 2 GB."
)
COLLISIONS: Final = (
    "The slowest flow's fraction of its collision-free rate, mean and 5 to 95 %, where each leaf sends k equal flows over u "
    "uplinks as fast as ports. One leaf and 32 leaves, uplinks only, exactly: a job waits for the slowest flow of all "
    "leaves. Both ends: 32 leaves whose flows also collide on their way down, 2,000 seeded trials. Queue pairs: each flow "
    "as 4 equal parts, exactly."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One case: how long each repetition took, and what it says. ``ratios``: of each to the same by a dense matrix."""

    title: str
    num_hosts: int
    num_flows: int
    walls_s: tuple[float, ...]
    result: str
    ratios: tuple[float, ...] = ()
    peak_bytes: int = 0

    @property
    def cells(self) -> tuple[str, ...]:
        is_met = median(self.walls_s) <= MAX_WALL_S and self.peak_bytes <= MAX_MEMORY_BYTES
        result = self.result
        if self.ratios:
            result += f"; dense over sparse {ratio_text(median(self.ratios))}, {interval_text(self.ratios, ratio_text)}"
        return (
            self.title,
            f"{self.num_hosts:,}",
            f"{self.num_flows:,}",
            format_seconds(median(self.walls_s)),
            interval_text(self.walls_s, format_seconds),
            f"{self.peak_bytes / 1e9:.2f} GB",
            {True: "yes", False: "no"}[is_met] if self.num_hosts >= 1024 else "",
            result,
        )


def tree_of(num_hosts: int) -> FatTree:
    hosts_per_leaf = 32 if num_hosts >= 1024 else 8
    return FatTree(
        num_hosts=num_hosts,
        hosts_per_leaf=hosts_per_leaf,
        num_uplinks=hosts_per_leaf,
        port_bytes_per_s=RATE_BYTES_PER_S,
        uplink_bytes_per_s=RATE_BYTES_PER_S,
    )


def closed_form_s(num_hosts: int) -> float:
    """Every rank sends (N - 1) / N of its message by its one port, and nothing blocks."""
    return (num_hosts - 1) / num_hosts * MESSAGE_BYTES / RATE_BYTES_PER_S


def timed(operation: Callable[[], object], repetitions: int) -> tuple[float, ...]:
    walls_s = []
    for _ in range(repetitions):
        begun_s = time.perf_counter()
        operation()
        walls_s.append(time.perf_counter() - begun_s)
    return tuple(walls_s)


def by_formula(repetitions: int) -> Outcome:
    walls_s = timed(lambda: closed_form_s(1024), repetitions)
    duration = format_seconds(closed_form_s(1024))
    return Outcome(
        title="closed form, nothing simulated", num_hosts=1024, num_flows=0, walls_s=walls_s, result=duration
    )


def durations(routing: Routing, repetitions: int) -> Outcome:
    """Flows, routes, loads and duration, from nothing."""
    tree = tree_of(1024)
    walls_s = timed(
        lambda: simulate(tree, all_to_all(tree, MESSAGE_BYTES), routing=routing, seed=SEED), repetitions
    )
    sent = all_to_all(tree, MESSAGE_BYTES)
    found = simulate(tree, sent, routing=routing, seed=SEED)
    result = f"{format_seconds(found.duration_s)}, over the closed form {found.duration_s / closed_form_s(1024):.10f}"
    if routing is Routing.ecmp:
        result += f"; {found.bound_by} binds"
    return Outcome(
        title=f"{routing.value}: flows, routes, duration",
        num_hosts=1024,
        num_flows=len(sent),
        walls_s=walls_s,
        result=result,
    )


def all_rates(routing: Routing, repetitions: int) -> Outcome:
    """Max-min rates of every flow, the routes included; the slowest must be the size over the duration."""
    tree = tree_of(1024)
    sent = all_to_all(tree, MESSAGE_BYTES)
    walls_s = timed(lambda: max_min_rates(*limits(tree, sent, routing)), repetitions)
    rates = max_min_rates(*limits(tree, sent, routing))
    duration_s = simulate(tree, sent, routing=routing, seed=SEED).duration_s
    off = abs(rates.min() * duration_s / sent.size_bytes[0] - 1)
    return Outcome(
        title=f"{routing.value}: routes and max-min rates of all flows",
        num_hosts=1024,
        num_flows=len(sent),
        walls_s=walls_s,
        result=f"slowest rate off size over duration by {off:.1e}; {len(np.unique(rates)):,} different rates",
    )


def limits(tree: FatTree, sent: Flows, routing: Routing) -> tuple[Sparse, Vector]:
    capacities = tree.capacities_bytes_per_s()
    routes = route(tree, sent.source, sent.destination, routing=routing, seed=SEED)
    return routes.limits(capacities), capacities


def beside_dense(routing: Routing, repetitions: int) -> Outcome:
    """The same rates by both ways, in turns."""
    tree = tree_of(64)
    sent = all_to_all(tree, MESSAGE_BYTES)
    incidence, capacities = limits(tree, sent, routing)
    dense = incidence.toarray()
    sparse_s: list[float] = []
    dense_s: list[float] = []
    for _ in range(repetitions):
        sparse_s += timed(lambda: max_min_rates(incidence, capacities), 1)
        dense_s += timed(lambda: dense_rates(dense, capacities), 1)
    off = abs(max_min_rates(incidence, capacities) / dense_rates(dense, capacities) - 1).max()
    return Outcome(
        title=f"{routing.value}: max-min rates alone",
        num_hosts=64,
        num_flows=len(sent),
        walls_s=tuple(sparse_s),
        result=f"off the dense filling by {off:.1e}",
        ratios=tuple(slow / fast for slow, fast in zip(dense_s, sparse_s, strict=True)),
    )


def dense_rates(incidence: Vector, capacities: Vector) -> Vector:
    rates, rises = np.zeros(incidence.shape[1]), np.ones(incidence.shape[1])
    while rises.any():
        demand = incidence @ rises
        # Below 1e-6 flows only rounding is left: shares here are 1 or 1 / 8.
        room = np.full(len(demand), np.inf)
        np.divide(capacities - incidence @ rates, demand, out=room, where=demand > 1e-6)
        rates += rises * room.min()
        rises *= incidence[room.argmin()] == 0
    return rates


def unequal(tolerance: float, repetitions: int) -> Outcome:
    """Exponentially distributed shares, simulated in time."""
    tree = tree_of(64)
    split = np.random.default_rng(SEED).exponential(MESSAGE_BYTES / 64, (64, 64))
    sent = all_to_allv(tree, split)
    walls_s = timed(lambda: simulate(tree, sent, relative_tolerance=tolerance), repetitions)
    found = simulate(tree, sent, relative_tolerance=tolerance)
    return Outcome(
        title=f"sprayed all_to_allv, unequal shares, tolerance {tolerance:g}",
        num_hosts=64,
        num_flows=len(sent),
        walls_s=walls_s,
        result=f"{found.num_steps} steps; duration over its bound {found.duration_s / found.bound_s:.4f}",
    )


def measured(case: Callable[..., Outcome], arguments: Sequence[object]) -> tuple[Outcome, int]:
    """Runs in the process of the case."""
    outcome = case(*arguments)
    return outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_own_process(case: Callable[..., Outcome], *arguments: object) -> Outcome:
    note(f"{case.__name__} {arguments}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        outcome, peak_bytes = pool.submit(measured, case, arguments).result()
    return Outcome(
        title=outcome.title,
        num_hosts=outcome.num_hosts,
        num_flows=outcome.num_flows,
        walls_s=outcome.walls_s,
        result=outcome.result,
        ratios=outcome.ratios,
        peak_bytes=peak_bytes,
    )


def collision_table() -> str:
    """The scenario of ECMP: exact at one leaf and at 32, simulated where both ends of 32 leaves collide."""
    lines = [
        "## What hashing costs",
        "",
        COLLISIONS,
        "",
        "| k / u | one leaf | 32 leaves, uplinks | 32 leaves, both ends | one leaf, 4 queue pairs |",
        "|---|---|---|---|---|",
    ]
    for k, u in ((8, 8), (16, 16), (32, 32), (32, 128), (64, 256), (32, 512)):
        note(f"collisions {k}/{u}")
        found = (
            slowest_at_leaf(k, u),
            slowest_at_leaf(k, u, num_leaves=32),
            slowest_at_both_ends(k, u, num_leaves=32),
            slowest_at_leaf(k, u, num_queue_pairs=4),
        )
        cells = [f"{one.mean:.3f} ({one.low:.3f} to {one.high:.3f})" for one in found]
        lines.append(f"| {k} / {u} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Exit status 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repetitions", type=int, default=6, metavar="N", help="of each case; an interval needs 6"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="also write the tables there")
    options = parser.parse_args()
    repetitions: int = options.repetitions
    below = origin("flow_simulation.py")
    outcomes = [in_own_process(by_formula, repetitions)]
    for case in (durations, all_rates, beside_dense):
        outcomes += [in_own_process(case, routing, repetitions) for routing in Routing]
    outcomes += [in_own_process(unequal, tolerance, repetitions) for tolerance in (0.05, 0.01)]
    rows = [outcome.cells for outcome in outcomes]
    tables = markdown("Simulating flows on a fat tree", METHOD, HEADER, rows, collision_table())
    text = f"{tables}\n\n{below()}"
    print(text, end="")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 1 if any("no" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
