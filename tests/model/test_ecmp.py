"""What hashing costs: the published table, exact distributions by enumeration, and simulation beside them."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest

from bench.model.flow.ecmp import largest_load, slowest_at_both_ends, slowest_at_leaf

TABLE = {(8, 8): 0.41, (16, 16): 0.34, (32, 32): 0.30, (32, 128): 0.47, (64, 256): 0.43, (32, 512): 0.68}
"""Flows and uplinks to the fraction, as printed; means of 20 000 trials."""


def exact_at_most(num_flows: int, num_uplinks: int, largest: int) -> Fraction:
    """P(M <= largest), filling one uplink after another in whole numbers."""
    ways = [1] + [0] * num_flows
    for _ in range(num_uplinks):
        ways = [
            sum(comb(placed, here) * ways[placed - here] for here in range(min(placed, largest) + 1))
            for placed in range(num_flows + 1)
        ]
    return Fraction(ways[num_flows], num_uplinks**num_flows)


@pytest.mark.parametrize(("k", "u"), TABLE)
def test_the_table_to_its_printed_digits(k: int, u: int) -> None:
    assert round(slowest_at_leaf(k, u).mean, 2) == TABLE[k, u]


@pytest.mark.parametrize(("k", "u"), [(1, 1), (1, 5), (4, 1), (3, 2), (4, 4), (6, 3), (3, 7)])
def test_distribution_by_enumerating_every_hash(k: int, u: int) -> None:
    counts = [0] * (k + 1)
    for choice in product(range(u), repeat=k):
        counts[max(np.bincount(choice))] += 1
    found = largest_load(k, u)
    assert found == pytest.approx([count / u**k for count in counts[: len(found)]], abs=1e-13)
    assert sum(counts[len(found) :]) == 0


@pytest.mark.parametrize(("k", "u"), [(40, 12), (32, 32), (60, 5), (20, 200)])
def test_distribution_in_whole_numbers(k: int, u: int) -> None:
    found = np.cumsum(largest_load(k, u))
    expected = [float(exact_at_most(k, u, largest)) for largest in range(len(found))]
    assert found == pytest.approx(expected, abs=2e-12)
    assert found[-1] == pytest.approx(1, abs=1e-12)


def test_distribution_of_an_all_to_all_at_1024_ranks() -> None:
    """31 744 flows over 32 uplinks; a thousand throws, four standard errors."""
    chance = largest_load(32 * 992, 32)
    mean = float(chance @ np.arange(len(chance)))
    thrown = np.random.default_rng(1).multinomial(32 * 992, [1 / 32] * 32, size=1000).max(axis=1)
    assert mean == pytest.approx(thrown.mean(), abs=4 * thrown.std() / np.sqrt(1000))


def test_interval_of_two_flows_on_two_uplinks() -> None:
    """They collide half of the time: 1 or 1/2."""
    found = slowest_at_leaf(2, 2)
    assert (found.mean, found.low, found.high, found.standard_error) == (0.75, 0.5, 1.0, 0.0)


@pytest.mark.parametrize(("k", "u"), [(8, 8), (12, 4), (4, 16)])
def test_more_leaves_or_flows_are_slower_and_more_uplinks_or_queue_pairs_faster(k: int, u: int) -> None:
    """Of a port's rate, what the slowest flow gets on average: of the collision-free rate, more uplinks can get less."""

    def rate(k: int = k, u: int = u, q: int = 1, leaves: int = 1) -> float:
        fraction = slowest_at_leaf(k, u, num_queue_pairs=q, num_leaves=leaves).mean
        return fraction * min(1, u / k)

    assert rate(leaves=4) < rate(leaves=2) < rate()
    assert rate(q=1) < rate(q=8) < rate(q=64) <= min(1, u / k)
    assert rate(u=u) < rate(u=8 * u)
    assert rate(k=k) < rate(k=k // 2)


def test_a_single_flow_and_a_single_uplink_lose_nothing() -> None:
    for found in (slowest_at_leaf(1, 8), slowest_at_leaf(8, 1), slowest_at_leaf(8, 1, num_leaves=9)):
        assert found.mean == found.low == found.high == pytest.approx(1)


def test_faster_uplinks() -> None:
    """2 flows, 2 uplinks of twice the port's rate: even both on one uplink have their full rate. Of 1.5 times: 0.75 if so."""
    assert slowest_at_leaf(2, 2, uplink_over_port=2).mean == pytest.approx(1)
    assert slowest_at_leaf(2, 2, uplink_over_port=1.5).mean == pytest.approx((1 + 0.75) / 2)


@pytest.mark.parametrize(("k", "u", "q"), [(8, 8, 1), (6, 4, 2), (4, 12, 3)])
def test_two_leaves_meet_the_same_flows_at_both_ends(k: int, u: int, q: int) -> None:
    """All flows of a leaf lead to the other, so downlinks carry what uplinks do: the exact result for two leaves."""
    found = slowest_at_both_ends(k, u, num_leaves=2, num_queue_pairs=q)
    exact = slowest_at_leaf(k, u, num_leaves=2, num_queue_pairs=q)
    assert found.mean == pytest.approx(exact.mean, abs=4 * found.standard_error)
    assert (found.low, found.high) == (exact.low, exact.high)
    assert 0 < found.standard_error <= 0.006


def test_many_leaves_are_like_independent_ends() -> None:
    """Up and down are hardly related then: twice as many leaves with one end each, within 2 %."""
    found = slowest_at_both_ends(16, 16, num_leaves=16, num_trials=1000)
    assert found.mean == pytest.approx(slowest_at_leaf(16, 16, num_leaves=32).mean, rel=0.02)
    assert found.mean < slowest_at_leaf(16, 16, num_leaves=16).mean


def test_a_second_hash_at_the_spine_collides_again() -> None:
    straight = slowest_at_both_ends(8, 8, num_leaves=2, num_trials=1000)
    rehashed = slowest_at_both_ends(8, 8, num_leaves=2, num_spines=2, num_trials=1000)
    assert rehashed.mean < straight.mean - 4 * straight.standard_error


def test_the_same_seed_gives_the_same_numbers() -> None:
    found = [slowest_at_both_ends(8, 8, num_leaves=3, num_trials=50, seed=seed).mean for seed in (4, 4, 5)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("name", "value"), [("num_flows", 0), ("num_uplinks", 0), ("num_queue_pairs", 0), ("uplink_over_port", 0)]
)
def test_numbers_below_their_range(name: str, value: int) -> None:
    numbers = {"num_flows": 2, "num_uplinks": 2, name: value}
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        slowest_at_leaf(**numbers)
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        slowest_at_both_ends(**numbers, num_leaves=2)


def test_both_ends_need_two_leaves_and_spines_that_divide_the_uplinks() -> None:
    with pytest.raises(ValueError, match="num_leaves is 1"):
        slowest_at_both_ends(4, 4, num_leaves=1)
    with pytest.raises(ValueError, match="divisor of num_uplinks"):
        slowest_at_both_ends(4, 4, num_leaves=2, num_spines=3)
