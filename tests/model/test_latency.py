"""Steps: the fastest protocol for every size, and an interval that holds what was published."""

import math
from itertools import pairwise

import numpy as np
import pytest

from bench.model.latency import (
    ADDS_UP_TO_RANKS,
    LEAST_HOST_HOP_S,
    MOST_HOST_HOP_S,
    PROTOCOLS,
    Duration,
    envelope,
)


def _of(
    load_s: object, host: object = 0, inside: object = 0, messages: object = 0, ranks: object = 8
) -> Duration:
    """No spread of the load."""
    return envelope(load_s, load_s, load_s, host, inside, messages, ranks)


@pytest.mark.parametrize(
    ("load_s", "num_ranks", "expected_s"),
    [
        (0.0, 8, 10e-6),  # LL: ten hops of 1 us
        (1e-6, 8, 2e-6 + 10e-6),  # LL: twice the load
        (100e-6, 8, 100e-6 * 128 / 120 + 20e-6),  # LL128
        (1e-3, 8, 1e-3 + 60e-6),  # Simple
        (1e-6, 1000, math.nan),  # many ranks: hops and load may overlap, and that matters
        (100e-6, 1000, math.nan),
        (10.0, 1000, 10.0 + 60e-6),  # it does not: six parts in a million
    ],
)
def test_the_fastest_protocol_for_ten_hops(load_s: float, num_ranks: int, expected_s: float) -> None:
    found = float(_of(load_s, inside=10, ranks=num_ranks).expected_s)
    assert found == pytest.approx(expected_s, nan_ok=True)
    between = float(_of(load_s, inside=6, host=4, ranks=num_ranks).expected_s)
    assert math.isnan(expected_s) or between >= expected_s * (1 - 1e-12)


def test_protocols_trade_hops_for_bytes() -> None:
    for slow, fast in pairwise(PROTOCOLS):
        assert slow.hop_s < fast.hop_s and slow.payload_share < fast.payload_share
    assert PROTOCOLS[-1].payload_share == 1


@pytest.mark.parametrize("ranks", [8, ADDS_UP_TO_RANKS + 1])
@pytest.mark.parametrize("messages", [0, 100])
def test_laws_of_the_envelope(ranks: int, messages: int) -> None:
    """Ends in order, no duration shorter than the load, and no load or step makes it shorter."""
    loads_s = np.geomspace(1e-7, 1, 60)
    steps = np.arange(0, 300, 20)[:, None]
    found = envelope(loads_s, loads_s / 1.1, loads_s / 0.8, steps, 2 * steps, messages, ranks)
    for values in (found.expected_s, found.low_s, found.high_s):
        assert values.shape == (15, 60)
        known = ~np.isnan(values)
        assert (np.diff(values, axis=0)[known[1:] & known[:-1]] >= 0).all()
        assert (np.diff(values, axis=1)[known[:, 1:] & known[:, :-1]] >= 0).all()
    is_known = ~np.isnan(found.expected_s)
    assert (found.expected_s >= loads_s)[is_known].all()
    assert (found.low_s <= found.high_s).all()
    assert (found.low_s <= found.expected_s)[is_known].all()
    assert (found.expected_s <= found.high_s)[is_known].all()


def test_without_steps_the_load_is_left() -> None:
    found = envelope(3.0, 2.0, 4.0, 0, 0, 0, 8)
    assert (float(found.expected_s), float(found.low_s), float(found.high_s)) == (3.0, 2.0, 4.0)


def test_nothing_is_expected_of_an_exchange_whose_messages_decide() -> None:
    """100 messages one after another, at the shortest hop: 100 us."""
    found = _of(np.array([50e-6, 99e-6, 101e-6]), host=1, messages=100)
    assert np.isnan(found.expected_s).tolist() == [True, True, False]
    assert (found.low_s <= found.high_s).all() and not np.isnan(found.high_s).any()
    assert found.high_s[0] == pytest.approx(50e-6 + 100 * MOST_HOST_HOP_S)


def test_the_interval_holds_both_ways_of_putting_steps_and_bytes_together() -> None:
    """From the larger of load and least hops, to the sum of load and the longest hops."""
    found = _of(1e-3, host=200, ranks=ADDS_UP_TO_RANKS + 1)
    assert float(found.low_s) == 1e-3
    assert float(found.high_s) == pytest.approx(1e-3 + 200 * MOST_HOST_HOP_S)
    small = _of(1e-6, host=200, ranks=ADDS_UP_TO_RANKS + 1)
    assert float(small.low_s) == pytest.approx(min(200 * LEAST_HOST_HOP_S, float(small.expected_s)))


@pytest.mark.parametrize("steps", [1, 14, 2046])
def test_no_hop_between_hosts_is_shorter_than_the_hardware(steps: int) -> None:
    """Half a round trip of two adapters without software."""
    found = _of(0.0, host=steps)
    assert float(found.expected_s) == float(found.low_s) == pytest.approx(steps * LEAST_HOST_HOP_S)
