"""`Experience`: what published runs lead one to expect, with an interval made from errors on clusters left out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

import numpy as np

from bench.model.attained import Published, Resource, Shares, estimate_shares

COVERAGE: Final = 0.9
"""Share of published rows that the interval of an expectation is to hold."""


class Family(Enum):
    """Rows whose errors are of one kind: on one host, with a port or more per rank, or with fewer."""

    one_host = "one_host"
    own_port = "own_port"
    may_share_ports = "may_share_ports"


def family_of(row: Published) -> Family:
    if row.num_hosts == 1:
        return Family.one_host
    return Family.may_share_ports if row.may_share_ports else Family.own_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """Shares of the nominal rates, and how far measured rows lay from what shares of other clusters gave.

    Attributes:
        low, high: measured over expected busbw at the ends of the interval, by family.
        num_errors: held-out rows of each family. Below 19 of them the interval is from the smallest to the largest.
    """

    shares: Shares
    low: dict[Family, float]
    high: dict[Family, float]
    num_errors: dict[Family, int]


def experience(rows: Sequence[Published], left_out: Collection[str] = ()) -> Experience:
    """Estimate everything from ``rows``, clusters ``left_out`` aside.

    The interval's ends are quantiles of measured over expected, each expectation made without the row's own cluster: the
    k-th smallest of m errors stands for the quantile k / (m + 1), which holds a further row with the coverage asked for if it
    is drawn as they were. Where ranks may share ports, the low end is that of rows that do, the high end that of all.

    Source:
        Conformal prediction by cross-validation: Vovk 2015, "Cross-conformal predictors"; quantile k / (m + 1): Weibull.
    """
    return _experience(tuple(rows), frozenset(left_out))


@lru_cache(maxsize=256)
def _experience(rows: tuple[Published, ...], left_out: frozenset[str]) -> Experience:
    errors = held_out_errors(rows, left_out)
    both = errors[Family.may_share_ports] + errors[Family.own_port]
    # Not known which a further machine is: at worst it shares its ports as those did that are known to, at best it does not.
    at_worst = errors | {Family.may_share_ports: errors[Family.may_share_ports] or both}
    at_best = errors | {Family.may_share_ports: both}
    tail = (1 - COVERAGE) / 2
    low = {family: _quantile(found, tail) for family, found in at_worst.items() if found}
    high = {family: _quantile(found, 1 - tail) for family, found in at_best.items() if found}
    return Experience(
        shares=_estimated(rows, left_out),
        low=low,
        high=high,
        num_errors={family: len(found) for family, found in errors.items()},
    )


@lru_cache(maxsize=4096)
def _estimated(rows: tuple[Published, ...], left_out: frozenset[str]) -> Shares:
    return estimate_shares(rows, left_out)


def _quantile(errors: Sequence[float], share: float) -> float:
    return float(np.quantile(errors, share, method="weibull"))


def held_out_errors(rows: Sequence[Published], left_out: Collection[str] = ()) -> dict[Family, list[float]]:
    """Measured over expected busbw of every healthy row, expected from the other clusters alone."""
    errors: dict[Family, list[float]] = {family: [] for family in Family}
    used = [row for row in rows if row.is_healthy and row.cluster not in left_out and row.limits]
    # One machine alone is in few rows of the first table; the others' errors count there as well.
    judged = [row for row in used if not row.is_supplement or row.num_hosts == 1]
    for cluster in sorted({row.cluster for row in judged}):
        shares = _estimated(tuple(rows), frozenset(left_out) | {cluster})
        for row in judged:
            expected = shares.expected(row.limits) if row.cluster == cluster else None
            if expected is not None:
                errors[family_of(row)].append(row.busbw_bytes_per_s / expected[0])
    return errors


def rests_on(found: Experience, resource: Resource) -> int:
    """Clusters behind the share of one resource; 0 where that of another stands in."""
    return found.shares.num_clusters.get(resource, 0)
