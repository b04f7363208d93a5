"""What hashing flows onto uplinks costs: the slowest flow's share of its collision-free rate, as a scenario and not a forecast.

A collective waits for its slowest flow. Whoever routes adaptively, or sprays packets, pays nothing: report 1 beside the fraction
unless it is known which of them holds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

LOW: Final = 0.05
HIGH: Final = 0.95
"""Quantiles of the interval: one hash in twenty is worse, one in twenty better."""

MIN_PROBABILITY: Final = 1e-12
"""Loads that all larger ones together reach less often than this are left out: far below any quantile, above rounding."""

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowestFlow:
    """The fraction of its collision-free rate that the slowest flow gets, over all outcomes of the hash.

    Attributes:
        low: in one outcome of twenty the fraction is this or less.
        high: in nineteen of twenty it is this or less.
        standard_error: of ``mean``; 0 where it is exact.
    """

    mean: float
    low: float
    high: float
    standard_error: float = 0.0


def largest_load(num_flows: int, num_uplinks: int) -> Probabilities:
    """P(M = m) for m = 0, 1, ...: M is the number of flows on the fullest of u uplinks that k flows chose at random.

    P(M <= m) = k! / u**k [x**k] (sum of x**j / j! for j = 0 .. m)**u

    Computed with Poisson weights of mean k / u in place of 1 / j!, so that all terms are probabilities, and the power by a
    discrete Fourier transform long enough for all its coefficients; divided by the value for the largest m, which is 1.

    Shape: one value for each load up to the largest that `MIN_PROBABILITY` leaves.
    Raises:
        ValueError: a number is below 1.
    Source:
        Occupancy of cells by exponential generating functions: W. Feller, An Introduction to Probability Theory and Its
        Applications, vol. 1, 3rd ed. 1968, chapters II.5 and IV.
    """
    _check(num_flows=num_flows, num_uplinks=num_uplinks)
    from scipy.special import bdtr, bdtrc

    # With B the load of a given uplink, P(M > m) <= u P(B > m), and P(M <= m) <= P(B <= m)**u, because loads are negatively
    # associated (K. Joag-Dev, F. Proschan, Annals of Statistics 11(1), 1983). What neither reaches is 1 or 0.
    loads, share = np.arange(-(-num_flows // num_uplinks), num_flows + 1), 1 / num_uplinks
    is_likely = num_uplinks * bdtrc(loads[:-1], num_flows, share) >= MIN_PROBABILITY
    loads = loads[: int(is_likely.sum()) + 1]
    loads = loads[bdtr(loads, num_flows, share) ** num_uplinks >= MIN_PROBABILITY]
    mean, cumulative = num_flows / num_uplinks, np.zeros(loads[-1] + 1)
    for largest in loads.tolist():
        length = 1 << (largest * num_uplinks).bit_length()
        power = np.fft.rfft(_poisson(mean, largest), length) ** num_uplinks
        cumulative[largest] = np.fft.irfft(power, length)[num_flows]
    cumulative = np.clip(cumulative / cumulative[-1], 0.0, 1.0)
    return np.diff(np.maximum.accumulate(cumulative), prepend=0.0)


def slowest_at_leaf(
    num_flows: int,
    num_uplinks: int,
    *,
    num_queue_pairs: int = 1,
    num_leaves: int = 1,
    uplink_over_port: float = 1.0,
) -> SlowestFlow:
    """Exact, where flows collide only on the uplinks of the leaf that they leave.

    k flows of q queue pairs each: every part carries 1 / q of its flow and is hashed for itself onto one of u uplinks. With r the
    rate of an uplink over that of a port, parts on the fullest uplink, M of them, get r / M of a port's rate each, and at most
    1 / q; without collisions the flow has min(1, r u / k). So the slowest part, for which the message waits, gets

        min(1, r q / M) / min(1, r u / k)

    and for q = r = 1, k <= u simply 1 / M. Several leaves hash independently: P(M <= m) to the power of their number. A job
    on many leaves is slower than the mean of one: its slowest flow is the slowest of all.

    The rule of thumb that counts q u uplinks for k whole flows is too high where u = k is small (8/8, q = 4: .68 for .58) and too
    low where uplinks abound (32/128, q = 4: .68 for .92, since four parts share a port anyway).

    The downlinks of the receiving leaf add nothing if all flows of a leaf lead to the same other leaf, one cable from each spine
    down: they meet there again as they were. Else see `slowest_at_both_ends`.

    Source:
        The mean fractions that a table of 20 000 trials gives (D) follow with q = r = num_leaves = 1: 8/8 .41, 16/16 .34,
        32/32 .30, 32/128 .47, 64/256 .43, 32/512 .68.
    """
    _check(num_queue_pairs=num_queue_pairs, num_leaves=num_leaves, uplink_over_port=uplink_over_port)
    cumulative = np.minimum(np.cumsum(largest_load(num_flows * num_queue_pairs, num_uplinks)), 1.0)
    cumulative[-1] = 1.0
    chance = np.diff(cumulative**num_leaves, prepend=0.0)
    loads = np.flatnonzero(chance)[::-1]  # so that fractions ascend
    fractions = _fractions(loads, num_flows, num_uplinks, num_queue_pairs, uplink_over_port)
    reached = np.cumsum(chance[loads])
    return SlowestFlow(
        mean=float(fractions @ chance[loads]),
        low=float(fractions[np.searchsorted(reached, LOW)]),
        high=float(fractions[np.searchsorted(reached, HIGH)]),
    )


def slowest_at_both_ends(
    num_flows: int,
    num_uplinks: int,
    *,
    num_leaves: int,
    num_spines: int | None = None,
    num_queue_pairs: int = 1,
    uplink_over_port: float = 1.0,
    num_trials: int = 2000,
    seed: int = 0,
) -> SlowestFlow:
    """By simulation, where flows also collide on their way down: M is the fullest link of all, up or down.

    Every leaf sends k flows, one to each of the next leaves in turn, so every leaf also receives k. A flow goes down from the
    spine that its uplink leads to; where several cables lead from there to its leaf, the spine hashes it again. All links
    of a leaf have the same rate, so equal flows on the fullest one are the slowest, whatever the others do.

    Args:
        num_spines: a divisor of ``num_uplinks``; default: one spine for each uplink.
        num_trials: outcomes of the hash; the default makes the standard error of the mean 0.003 or less.
    Raises:
        ValueError: fewer than 2 leaves or 2 trials, or spines that do not divide the uplinks.
    """
    _check(num_flows=num_flows, num_uplinks=num_uplinks, num_queue_pairs=num_queue_pairs)
    _check(uplink_over_port=uplink_over_port)
    spines = num_uplinks if num_spines is None else num_spines
    if num_leaves < 2 or num_trials < 2:
        raise ValueError(f"num_leaves is {num_leaves} and num_trials {num_trials}; both must be 2 or more")
    if spines < 1 or num_uplinks % spines:
        raise ValueError(f"num_spines is {spines}; give a divisor of num_uplinks, {num_uplinks}")
    random = np.random.default_rng(seed)
    leaf = np.repeat(np.arange(num_leaves), num_flows * num_queue_pairs)
    flow = np.tile(np.repeat(np.arange(num_flows), num_queue_pairs), num_leaves)
    to_leaf = (leaf + 1 + flow % (num_leaves - 1)) % num_leaves
    num_links = num_leaves * num_uplinks
    largest = np.empty(num_trials, dtype=np.int64)
    for trial in range(num_trials):
        uplink = random.integers(num_uplinks, size=len(leaf))
        downlink = uplink % spines + spines * random.integers(num_uplinks // spines, size=len(leaf))
        up = np.bincount(leaf * num_uplinks + uplink, minlength=num_links)
        down = np.bincount(to_leaf * num_uplinks + downlink, minlength=num_links)
        largest[trial] = max(up.max(), down.max())
    fractions = _fractions(largest, num_flows, num_uplinks, num_queue_pairs, uplink_over_port)
    low, high = np.quantile(fractions, (LOW, HIGH), method="inverted_cdf")
    return SlowestFlow(
        mean=float(fractions.mean()),
        low=float(low),
        high=float(high),
        standard_error=float(fractions.std(ddof=1) / np.sqrt(num_trials)),
    )


def _fractions(
    largest: npt.NDArray[np.int64],
    num_flows: int,
    num_uplinks: int,
    num_queue_pairs: int,
    uplink_over_port: float,
) -> Probabilities:
    collision_free = min(1.0, uplink_over_port * num_uplinks / num_flows)
    return np.minimum(1.0, uplink_over_port * num_queue_pairs / largest) / collision_free


def _poisson(mean: float, largest: int) -> Probabilities:
    """exp(-mean) mean**j / j! for j = 0 .. largest."""
    from scipy.special import gammaln

    j = np.arange(largest + 1)
    return np.asarray(np.exp(j * np.log(mean) - gammaln(j + 1) - mean))


def _check(**numbers: float) -> None:
    for name, value in numbers.items():
        is_count = name != "uplink_over_port"
        if not (value >= 1 if is_count else value > 0):
            raise ValueError(f"{name} is {value}; it must be {'at least 1' if is_count else 'above 0'}")
