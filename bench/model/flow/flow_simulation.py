"""`simulate`: how long flows take that share a fat tree, and which link binds."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.model.flow.fat_tree import FatTree
from bench.model.flow.flows import Flows
from bench.model.flow.max_min import Sparse, Vector, max_min_rates
from bench.model.flow.route import Routes, Routing, route

COINCIDENT: Final = 1e-9
"""Durations this close, relatively, are the same: far above rounding, far below what can be measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Completion:
    """How a set of flows ends.

    Attributes:
        duration_s: until the last flow has arrived.
        bound_s: largest load over capacity of a link; no sharing is faster on these routes.
        collision_free_s: the same bound with all flows sprayed over the live uplinks: what better routing could reach.
        loads_bytes: what each link carries, shape (num_links,).
        bound_by: name of the link that sets ``bound_s``, the first of those that tie; empty where no link limits.
        num_steps: how often rates were computed; 0 where the bound is known to be reached.
    """

    duration_s: float
    bound_s: float
    collision_free_s: float
    loads_bytes: Vector
    bound_by: str
    num_steps: int

    @property
    def collision_free_fraction(self) -> float:
        """Rate over the collision-free rate: 1 where hashing, or unfair sharing, costs nothing."""
        return self.collision_free_s / self.duration_s if self.duration_s > 0 else 1.0


def simulate(
    tree: FatTree,
    flows: Flows,
    *,
    routing: Routing = Routing.sprayed,
    seed: int = 0,
    relative_tolerance: float = COINCIDENT,
) -> Completion:
    """Flows start together, share links by max-min fairness, and give their share to others when they have arrived.

    Equal flows need no simulation: they take exactly ``bound_s``. Let link l have the least capacity over sum of entries, which
    is the least rate of any flow. While flows elsewhere end, the share of no link falls, so the flows on l keep that
    rate and end at load_l / c_l; all others were never slower, and end no later.

    No latency, no pipeline to fill, no loss; congestion control shares links fairly at once.

    Args:
        relative_tolerance: flows that end within this share of ``bound_s`` after the next one end in the same step. By default
            every end of unequal flows is a step: thousands of flows take a minute, and more are out of reach. With 0.01 there
            are about a hundred steps, and durations come out longer by up to twice that share in random exchanges.
    Raises:
        ValueError: two leaves are cut apart by failed links; see `bench.model.flow.route.route`.
    """
    capacities = tree.capacities_bytes_per_s()
    sizes = flows.size_bytes
    routes = _routes(tree, flows, routing, seed)
    loads_bytes = routes.loads_bytes(sizes)
    durations_s = link_durations_s(loads_bytes, capacities)
    bound_s = float(durations_s.max(initial=0.0))
    is_binding = durations_s >= bound_s * (1 - COINCIDENT)
    collision_free_s = bound_s
    if routing is not Routing.sprayed:
        sprayed_bytes = _routes(tree, flows, Routing.sprayed, seed).loads_bytes(sizes)
        collision_free_s = float(link_durations_s(sprayed_bytes, capacities).max(initial=0.0))
    duration_s, num_steps = bound_s, 0
    if len(sizes) and sizes.min() != sizes.max():
        ends_s, num_steps = finish_times_s(
            routes.limits(capacities), capacities, sizes, tolerance_s=relative_tolerance * bound_s
        )
        duration_s = float(ends_s.max())
    return Completion(
        duration_s=duration_s,
        bound_s=bound_s,
        collision_free_s=collision_free_s,
        loads_bytes=loads_bytes,
        bound_by=tree.link_name(int(is_binding.argmax())) if bound_s > 0 else "",
        num_steps=num_steps,
    )


def _routes(tree: FatTree, flows: Flows, routing: Routing, seed: int) -> Routes:
    return route(
        tree,
        flows.source,
        flows.destination,
        exit_port=flows.exit_port,
        queue_pair=flows.queue_pair,
        routing=routing,
        seed=seed,
    )


def link_durations_s(loads_bytes: Vector, capacities_bytes_per_s: Vector) -> Vector:
    """Load over capacity of each link; 0 where nothing passes. Their maximum bounds any schedule on these routes from below."""
    return np.divide(
        loads_bytes, capacities_bytes_per_s, out=np.zeros_like(loads_bytes), where=loads_bytes > 0
    )


def finish_times_s(
    incidence: Sparse,
    capacities_bytes_per_s: npt.ArrayLike,
    sizes_bytes: npt.ArrayLike,
    *,
    tolerance_s: float = 0.0,
) -> tuple[Vector, int]:
    """When each flow ends, shape (num_flows,), and the number of steps: rates, next end, rates of those left, and so on.

    Flows whose rates, links and sizes are alike end together. Those due up to ``tolerance_s`` after the next end are counted at
    their own times and keep their share until the last of them.

    Raises:
        ValueError: a flow can never end, because a link on its way has capacity 0.
    """
    from scipy.sparse import csc_array

    columns = csc_array(incidence)
    left_bytes = np.array(sizes_bytes, dtype=np.float64)
    ends_s = np.zeros(len(left_bytes))
    running = np.flatnonzero(left_bytes > 0)
    now_s, num_steps = 0.0, 0
    while len(running):
        rates = max_min_rates(columns[:, running], capacities_bytes_per_s)
        if not (rates > 0).all():
            raise ValueError(
                f"flow {running[rates == 0][0]} never ends: a link on its way has capacity 0; route it around"
            )
        due_s = left_bytes[running] / rates
        # Rounding alone must not keep two ends apart, however small the tolerance.
        is_done = due_s <= max(due_s.min() + tolerance_s, due_s.min() * (1 + COINCIDENT))
        ends_s[running[is_done]] = now_s + due_s[is_done]
        step_s = float(due_s[is_done].max())
        running = running[~is_done]
        left_bytes[running] -= rates[~is_done] * step_s
        now_s += step_s
        num_steps += 1
    return ends_s, num_steps
