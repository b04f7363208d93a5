"""Max-min fair rates: no flow can be given more without taking from one that has no more than it."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Positions = npt.NDArray[np.signedinteger[Any]]
Sparse = Any
"""A scipy.sparse array or matrix, whose module is imported only where it is used."""

TIE: Final = 1e-12
"""Shares this close, relatively, are the same: they differ by the rounding of sums (2**-53 in each of many additions)."""


def max_min_rates(
    incidence: Sparse, capacities_bytes_per_s: npt.ArrayLike, counts: npt.ArrayLike | None = None
) -> Vector:
    """Rates x of flows over shared links, by progressive filling (water filling).

    All rates rise together. A link l is full when they reach its share

        s_l = (c_l - load of flows that stopped) / (sum over its rising flows of a_lf m_f)

    and then its flows stop; shares of other links only rise by that. So the link of least share is full first, again and
    again: one round for each level of rates, never more than links. Each entry is touched once, when its flow stops. The
    result is exact up to rounding.

    Args:
        incidence: a, shape (num_links, num_flows), any scipy.sparse format: link l carries a_lf x_f of flow f. 1 where it
            carries all of it, 1 / u where the flow is spread over u links, 0 where it does not pass.
        capacities_bytes_per_s: c, shape (num_links,); inf does not limit.
        counts: m, shape (num_flows,): how many flows with the same links each column stands for; 1 by default.
    Shape: (num_flows,), the rate of one flow of each column. inf where no link limits it, 0 behind a link of capacity 0.
    Raises:
        ValueError: shapes differ, or an entry, a capacity or a count is out of range.
    Source:
        D. Bertsekas, R. Gallager, Data Networks, 2nd ed. 1992, section 6.5.2; B. Radunovic, J.-Y. Le Boudec, A unified
        framework for max-min and min-max fairness, IEEE/ACM Transactions on Networking 15(5), 2007.
    """
    from scipy.sparse import csc_array, csr_array

    columns = csc_array(incidence, copy=True)
    columns.sum_duplicates()
    num_links, num_flows = columns.shape
    capacities = np.asarray(capacities_bytes_per_s, dtype=np.float64)
    weights = np.ones(num_flows) if counts is None else np.asarray(counts, dtype=np.float64)
    _check(columns, capacities, weights)
    columns.data[np.isinf(capacities[columns.indices])] = 0.0
    columns.eliminate_zeros()
    columns.data *= np.repeat(weights, np.diff(columns.indptr))
    rows = csr_array(columns)

    rates = np.full(num_flows, np.inf)
    rises = np.ones(num_flows, dtype=np.bool_)
    left = capacities.copy()
    demand = np.asarray(columns.sum(axis=1))
    num_rising = np.diff(rows.indptr)
    num_left = columns.nnz
    while num_left:
        # Whole numbers of flows tell when a link is empty; what is left of sums of shares does not.
        share = np.divide(left, demand, out=np.full(num_links, np.inf), where=num_rising > 0)
        level = max(share.min(), 0.0)
        full = np.flatnonzero(share <= level * (1 + TIE))
        stopping = rows.indices[_within(rows.indptr, full)]
        stopping = stopping[rises[stopping]]
        if len(full) > 1:
            stopping = np.unique(stopping)
        rates[stopping], rises[stopping] = level, False
        entries = _within(columns.indptr, stopping)
        link = columns.indices[entries]
        num_rising = num_rising - np.bincount(link, minlength=num_links)
        freed = np.bincount(link, weights=columns.data[entries], minlength=num_links)
        demand -= freed
        left -= level * freed
        num_left -= len(entries)
    return rates


def _within(starts: Positions, chosen: Positions) -> Positions:
    """Positions of all entries of the ``chosen`` rows, or columns, whose entries begin at ``starts``."""
    if len(chosen) == 1:
        return np.arange(starts[chosen[0]], starts[chosen[0] + 1])
    first, lengths = starts[chosen], starts[chosen + 1] - starts[chosen]
    ends = np.cumsum(lengths)
    return np.repeat(first - ends + lengths, lengths) + np.arange(ends[-1])


def _check(columns: Sparse, capacities: Vector, weights: Vector) -> None:
    num_links, num_flows = columns.shape
    if capacities.shape != (num_links,) or weights.shape != (num_flows,):
        raise ValueError(
            f"the incidence has shape {columns.shape}, capacities_bytes_per_s {capacities.shape} and counts "
            f"{weights.shape}; give one capacity for each link (row) and one count for each flow (column)"
        )
    if not ((columns.data >= 0) & np.isfinite(columns.data)).all():
        raise ValueError("the incidence has an entry that is negative or not finite; it is a share of a flow")
    if not (capacities >= 0).all():
        raise ValueError(
            f"capacities_bytes_per_s has {capacities[~(capacities >= 0)][0]}; give 0 or more, inf for no limit"
        )
    if not ((weights > 0) & np.isfinite(weights)).all():
        raise ValueError("counts has a value that is not above 0; leave out columns that stand for no flow")
