"""Late, slow, stalled: each is told from the full matrix, in any unit of time, and noise alone is called nothing."""

import math
from itertools import product

import numpy as np
import pytest

from bench.model.straggler import (
    APART,
    FEW,
    MIN_SAMPLES,
    MIN_SHARE,
    NEARLY_ALWAYS,
    REACHED,
    STALL_APART,
    Finding,
    Kind,
    Matrix,
    arrivals,
    classify,
)

CALLS_S = (3e-4, 2e-3, 1.5e-2, 2e-1)
"""Times of a call, from a small message to a large one."""

PAUSE_S = 0.02
"""Between the calls: the barrier, and what empties the buckets."""

Point = tuple[Matrix, Matrix]


def noisy_point(seed: int, *, call_s: float, num_ranks: int = 4, num_samples: int = 21) -> Point:
    """Ranks leave a barrier, each late by a log-normal time; all end together, up to half as much again.

    Skew of 4 ranks: some 0.3 ms in the median, and one rank in ten waits 3 ms for a processor. The call itself is log-normal:
    it spreads by a factor of 1.6 where it is short and by 3 % where it is long, and one in five waits as well. A stall
    stands out from such points by 2.4, 3 and 3.8 times the noise as often as from measured ones.
    """
    rng = np.random.default_rng([seed, round(call_s * 1e6), num_ranks, num_samples])
    shape = (num_ranks, num_samples)
    came_s = rng.lognormal(math.log(1.2e-4), 1.2, shape)
    came_s += (rng.random(shape) < 0.1) * rng.exponential(3e-3, shape)
    spread = min(0.5, 0.03 + 5e-4 / call_s)
    took_s = call_s * rng.lognormal(0, spread, num_samples)
    took_s += (rng.random(num_samples) < 0.2) * rng.exponential(3e-3, num_samples)
    ended_s = came_s.max(axis=0) + took_s + rng.lognormal(math.log(5e-5), 1.2, shape)
    begun_s = np.concatenate([[0.0], np.cumsum(ended_s.max(axis=0) + PAUSE_S)[:-1]])
    return begun_s + came_s, ended_s - came_s


def late(point: Point, ranks: tuple[int, ...], delay_s: float) -> Point:
    """``ranks`` come later to every call by ``delay_s``, and all others wait for them."""
    start_s, duration_s = point
    moved_s = delay_s * np.arange(start_s.shape[1])
    end_s = start_s + duration_s + delay_s + moved_s
    start_s = start_s + moved_s
    start_s[list(ranks)] += delay_s
    return start_s, end_s - start_s


def slow(point: Point, ranks: tuple[int, ...], excess_s: float) -> Point:
    start_s, duration_s = point
    duration_s = duration_s.copy()
    duration_s[list(ranks)] += excess_s
    return start_s + excess_s * np.arange(start_s.shape[1]), duration_s


def stalled(point: Point, iterations: tuple[int, ...], excess_s: float) -> Point:
    """All ranks wait within these calls."""
    start_s, duration_s = point[0].copy(), point[1].copy()
    for iteration in iterations:
        duration_s[:, iteration] += excess_s
        start_s[:, iteration + 1 :] += excess_s
    return start_s, duration_s


def judged(point: Point, **options: object) -> Finding | None:
    return classify(*point, **({"ends_together": True} | options))  # type: ignore[arg-type]


def kind_of(found: Finding | None) -> tuple[Kind, tuple[int, ...]] | None:
    return None if found is None else (found.kind, found.ranks)


seeds = pytest.mark.parametrize("seed", range(5))
every_call = pytest.mark.parametrize("call_s", CALLS_S)


def test_arrivals_of_a_known_point() -> None:
    """Rank 2 comes 3 s after the earliest and all end at 10 s; then all come at once and rank 0 ends last."""
    start_s = np.array([[0.0, 20.0], [1.0, 20.0], [3.0, 20.0]])
    duration_s = np.array([[10.0, 6.0], [9.0, 5.0], [7.0, 5.0]])
    found = arrivals(start_s, duration_s)
    assert (found.skew_median_s, found.skew_max_s) == (1.5, 3.0)
    assert found.transfer_s == (7.0, 6.0) and found.transfer_median_s == 6.5
    # Against the median start of the others: -2, -0.5 and 2.5 s in the first call, 0 in the second.
    assert found.lateness_s == (-1.0, -0.25, 1.25)


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 4, 7, 8])
def test_lateness_is_against_the_median_of_the_others(num_ranks: int) -> None:
    """As written down, one rank at a time; equal starts included."""
    rng = np.random.default_rng(num_ranks)
    start_s = rng.integers(0, 4, (num_ranks, 15)).astype(np.float64)
    expected = [
        float(np.median(start_s[r] - np.median(np.delete(start_s, r, axis=0), axis=0)))
        if num_ranks > 1
        else 0.0
        for r in range(num_ranks)
    ]
    assert arrivals(start_s, np.ones_like(start_s)).lateness_s == pytest.approx(expected)


def test_the_late_rank_shows_the_shortest_time() -> None:
    """As measured with 4 ranks, one of them late by 50 ms: 54.4, 54.0, 54.7 and 1.76 ms."""
    duration_s = np.tile(np.array([[54.4e-3], [54.0e-3], [54.7e-3], [1.76e-3]]), 10)
    start_s = 0.06 * np.arange(10) + (54.7e-3 - duration_s)
    found = judged((start_s, duration_s))
    assert found is not None and kind_of(found) == (Kind.late_rank, (3,))
    assert found.excess_s == pytest.approx(52.24e-3)
    assert found.share == pytest.approx(52.24 / 54.7)


@seeds
@every_call
def test_a_late_rank_is_named_whatever_ends_when(seed: int, call_s: float) -> None:
    rank = seed % 4
    point = late(noisy_point(seed, call_s=call_s), (rank,), 0.05)
    for ends_together in (True, False):
        found = judged(point, ends_together=ends_together)
        assert found is not None and kind_of(found) == (Kind.late_rank, (rank,))
        assert found.excess_s == pytest.approx(0.05, rel=0.1)
        assert found.share == pytest.approx(found.excess_s / np.median(point[1].max(axis=0)))


@seeds
def test_several_late_ranks_are_named_together_up_to_half(seed: int) -> None:
    """All ranks of a host whose computation is slow. Of more than half nobody can say who is late and who is early."""
    point = noisy_point(seed, call_s=2e-3, num_ranks=6)
    assert kind_of(judged(late(point, (2, 4), 0.05))) == (Kind.late_rank, (2, 4))
    assert kind_of(judged(late(point, (0, 1, 5), 0.05))) == (Kind.late_rank, (0, 1, 5))
    assert kind_of(judged(late(point, (0, 1, 2, 3), 0.05))) is None


@seeds
def test_of_two_ranks_the_late_one_is_named(seed: int) -> None:
    point = noisy_point(seed, call_s=2e-3, num_ranks=2)
    assert kind_of(judged(late(point, (1,), 0.05))) == (Kind.late_rank, (1,))
    assert judged(point) is None


def test_late_means_nearly_always_and_a_tenth_of_the_time() -> None:
    """Without noise: from `MIN_SHARE` of the headline on, and in at least `NEARLY_ALWAYS` of the calls."""
    duration_s = np.full((4, 100), 1.0)
    start_s = np.tile(2.0 * np.arange(100), (4, 1))
    for share in (0.99 * MIN_SHARE, 1.01 * MIN_SHARE):
        point = late((start_s, duration_s), (1,), share / (1 - share))
        assert (judged(point) is not None) == (share > MIN_SHARE)
    for num_late in (round(100 * NEARLY_ALWAYS) - 1, round(100 * NEARLY_ALWAYS)):
        late_s = 0.5 * (np.arange(100) < num_late)
        some_s = start_s.copy()
        some_s[1] += late_s
        others_s = 1.0 + late_s * (np.arange(4) != 1)[:, None]
        assert (judged((some_s, others_s)) is not None) == (num_late == round(100 * NEARLY_ALWAYS))


def test_late_means_apart_from_the_skew_of_the_others() -> None:
    """The same delay among ranks that lie just close enough for it, and among such that lie too far apart."""
    for skew_s in (0.99 * 0.5 / APART, 1.01 * 0.5 / APART):
        start_s = np.tile(np.array([[0.0], [skew_s], [skew_s + 0.5], [skew_s / 2]]), 10) + 3.0 * np.arange(10)
        end_s = np.full_like(start_s, 2.0) + 3.0 * np.arange(10)
        found = judged((start_s, end_s - start_s))
        assert kind_of(found) == ((Kind.late_rank, (2,)) if skew_s < 0.5 / APART else None)


@pytest.mark.parametrize("is_clock_known", [True, False])
def test_ranks_that_leave_one_barrier_apart_are_not_late(is_clock_known: bool) -> None:
    """Rank 1 always leaves it 7 us after rank 0 and 2, and its calls take 20 us: a habit of the barrier's."""
    start_s = np.tile(np.array([[0.0], [7e-6], [0.0]]), 10) + 1e-3 * np.arange(10)
    duration_s = np.tile(np.array([[2e-5], [1.3e-5], [2e-5]]), 10)
    options = {"clock_uncertainty_s": 0.0 if is_clock_known else 1.0}
    assert kind_of(judged((start_s, duration_s), **options)) == (Kind.late_rank, (1,))
    assert judged((start_s, duration_s), barrier_s=1.5e-5, **options) is None
    assert kind_of(judged((start_s, duration_s), barrier_s=5e-6, **options)) == (Kind.late_rank, (1,))


@seeds
@every_call
def test_short_times_alone_accuse_nobody_where_ranks_may_end_early(seed: int, call_s: float) -> None:
    """A leaf of a tree that has received is done, long before the others."""
    start_s, duration_s = noisy_point(seed, call_s=call_s)
    duration_s = duration_s + 0.05
    duration_s[3] -= 0.05
    assert judged((start_s, duration_s), ends_together=False) is None
    assert judged((start_s, duration_s), ends_together=False, clock_uncertainty_s=10.0) is None


@seeds
@every_call
def test_clocks_that_are_off_accuse_nobody_and_hide_nobody(seed: int, call_s: float) -> None:
    """Where all end together the short time tells, and nobody ends before all have come, so that clocks show themselves."""
    offset_s = np.array([[0.0], [3.0], [-2.0], [0.7]])
    start_s, duration_s = noisy_point(seed, call_s=call_s)
    for claimed_s in (0.0, 10.0, math.inf):
        assert judged((start_s + offset_s, duration_s), clock_uncertainty_s=claimed_s) is None
    start_s, duration_s = late((start_s, duration_s), (2,), 0.05)
    for claimed_s in (0.0, 10.0, math.inf):
        found = judged((start_s + offset_s, duration_s), clock_uncertainty_s=claimed_s)
        assert kind_of(found) == (Kind.late_rank, (2,))
    unsure = judged((start_s + offset_s, duration_s), clock_uncertainty_s=10.0, ends_together=False)
    assert unsure is None


@pytest.mark.parametrize("ends_together", [True, False])
def test_late_means_by_more_than_clocks_may_be_off(ends_together: bool) -> None:
    """Late by 0.5 of 1.5 s: what is left of it has to be a tenth. Where all end together, short times still tell."""
    point = late((np.tile(3.0 * np.arange(10), (4, 1)), np.full((4, 10), 1.0)), (2,), 0.5)
    for unsure_s in (0.34, 0.36):
        found = judged(point, ends_together=ends_together, clock_uncertainty_s=unsure_s)
        assert (found is not None) == (ends_together or unsure_s == 0.34)


@seeds
def test_of_two_ranks_without_clocks_nobody_knows_which(seed: int) -> None:
    """A longer time may be that of a slow rank or that of one which waits."""
    point = late(noisy_point(seed, call_s=2e-3, num_ranks=2), (1,), 0.05)
    assert judged(point, clock_uncertainty_s=10.0) is None


def test_one_odd_start_is_no_sign_of_a_clock_that_is_off() -> None:
    """A rank can lose its processor between reading the clock and the call."""
    start_s, duration_s = late(noisy_point(1, call_s=2e-3, num_ranks=2), (1,), 0.05)
    start_s[1, 3] += 0.3
    assert kind_of(judged((start_s, duration_s))) == (Kind.late_rank, (1,))


def test_late_means_apart_from_its_own_variation() -> None:
    """Of two ranks one comes 2 s later, give or take so much that it is a matter of the call."""
    off_s = np.array([-0.7, -0.5, -0.4, 0.0, 0.0, 0.4, 0.5, 0.7])
    quartiles_s = float(np.subtract(*np.quantile(off_s, (0.75, 0.25))))
    for share in (0.99, 1.01):
        gap_s = 2.0 + share * 2.0 / APART / quartiles_s * off_s
        start_s = np.stack([np.zeros(8), gap_s]) + 20.0 * np.arange(8)
        duration_s = 10.0 + 20.0 * np.arange(8) - start_s
        assert kind_of(judged((start_s, duration_s))) == ((Kind.late_rank, (1,)) if share < 1 else None)


@seeds
@every_call
def test_a_slow_rank_comes_with_the_others_and_ends_after_them(seed: int, call_s: float) -> None:
    point = slow(noisy_point(seed, call_s=call_s), (1,), 0.05)
    found = judged(point)
    assert found is not None and kind_of(found) == (Kind.slow_rank, (1,))
    assert found.excess_s == pytest.approx(0.05, rel=0.1)
    # Where ranks may end apart, one has to end last; and where clocks are off, ends say as little as starts.
    assert judged(point, ends_together=False) is None
    assert judged(point, clock_uncertainty_s=1.0) is None


@pytest.mark.parametrize("ends_together", [True, False])
def test_everyone_is_slow_below_three_quarters_of_what_the_links_allow(ends_together: bool) -> None:
    point = np.tile(2.0 * np.arange(10), (4, 1)), np.full((4, 10), 1.0)
    for reached, is_known in product((0.99 * REACHED, 1.01 * REACHED), (True, False)):
        options = {"ends_together": ends_together, "is_limited_by_links": is_known}
        found = judged(point, predicted_s=reached, **options)
        if reached < REACHED and is_known:
            assert found is not None and kind_of(found) == (Kind.everyone_slow, ())
            assert found.excess_s == pytest.approx(1 - reached) == found.share
        else:
            assert found is None
        assert judged(point, **options) is None
        assert judged(point, predicted_s=0.0, **options) is None


def test_everyone_includes_the_rank_that_ends_first() -> None:
    """Ends after 1.0 and 1.2 s with a slow link in a ring: all are slow. If half end in time, they are not."""
    start_s = np.tile(3.0 * np.arange(10), (4, 1))
    end_s = np.tile(np.array([[1.0], [1.2], [1.0], [1.2]]), 10)
    options = {"predicted_s": 0.5, "is_limited_by_links": True}
    assert kind_of(judged((start_s, end_s), **options)) == (Kind.everyone_slow, ())
    end_s[[0, 2]] = 0.6
    assert kind_of(judged((start_s, end_s), **options)) == (Kind.slow_rank, (1, 3))


def test_where_ranks_may_end_apart_a_slow_rank_takes_longer_than_the_links_allow() -> None:
    """A ring of send_recv over a slow link: its two ends take twice the time. Without a prediction that is nothing."""
    start_s = np.tile(3.0 * np.arange(10), (4, 1))
    duration_s = np.tile(np.array([[2.0], [2.0], [1.0], [1.0]]), 10)
    for predicted_s, is_known in product((2.02 * REACHED, 1.98 * REACHED, None), (True, False)):
        found = judged(
            (start_s, duration_s),
            ends_together=False,
            predicted_s=predicted_s,
            is_limited_by_links=is_known,
        )
        is_slow = is_known and predicted_s == 1.98 * REACHED
        assert kind_of(found) == ((Kind.slow_rank, (0, 1)) if is_slow else None)


def test_waiting_for_a_late_rank_does_not_make_the_links_slow() -> None:
    point = np.tile(3.0 * np.arange(10), (4, 1)), np.full((4, 10), 1.0)
    found = judged(late(point, (3,), 1.0), predicted_s=1.0, is_limited_by_links=True)
    assert kind_of(found) == (Kind.late_rank, (3,))


def test_waiting_for_one_rank_after_the_other_does_not_make_the_links_slow() -> None:
    """In each call another rank comes 1 s late; once all have come it takes as long as the links need."""
    wait_s = (np.arange(4)[:, None] == np.arange(12) % 4).astype(np.float64)
    start_s = 3.0 * np.arange(12) + wait_s
    duration_s = 2.0 - wait_s
    assert judged((start_s, duration_s), predicted_s=1.0, is_limited_by_links=True) is None


def test_everyone_is_slow_by_more_than_clocks_can_say() -> None:
    point = np.tile(3.0 * np.arange(10), (4, 1)), np.full((4, 10), 1.0)
    options = {"predicted_s": 0.5, "is_limited_by_links": True}
    assert kind_of(judged(point, clock_uncertainty_s=0.3, **options)) == (Kind.everyone_slow, ())
    assert judged(point, clock_uncertainty_s=0.4, **options) is None


@seeds
@every_call
@pytest.mark.parametrize("num_samples", [21, 200])
def test_a_stall_is_found_with_its_place_and_time(seed: int, call_s: float, num_samples: int) -> None:
    """300 ms, and calls that were hit by less of it: at least so much that the call took a third longer."""
    where = (7 * seed + 3) % num_samples
    for hit_s in (0.3, 0.2):
        start_s, duration_s = stalled(
            noisy_point(seed, call_s=call_s, num_samples=num_samples), (where,), hit_s
        )
        found = judged((start_s, duration_s))
        assert found is not None and kind_of(found) == (Kind.single_stall, ())
        assert found.iteration == where
        assert found.at_s == pytest.approx(start_s[:, where].min() - start_s.min())
        assert hit_s * 0.9 < found.excess_s < hit_s + call_s + 0.03
        assert found.share == pytest.approx(found.excess_s / np.median(duration_s.max(axis=0)))


@seeds
def test_a_rank_stopped_before_its_call_is_a_stall_and_not_late(seed: int) -> None:
    """All wait for it, once; its own time is short."""
    start_s, duration_s = stalled(noisy_point(seed, call_s=2e-3), (5,), 0.3)
    start_s[1, 5] += 0.3
    duration_s[1, 5] -= 0.3
    for ends_together in (True, False):
        found = judged((start_s, duration_s), ends_together=ends_together)
        assert found is not None and (found.kind, found.iteration) == (Kind.single_stall, 5)


@pytest.mark.parametrize("num_samples", range(MIN_SAMPLES, 10))
def test_one_call_of_few_can_be_a_stall(num_samples: int) -> None:
    duration_s = np.ones((2, num_samples))
    duration_s[:, 2] = 9.0
    start_s = np.tile(10.0 * np.arange(num_samples), (2, 1))
    assert kind_of(judged((start_s, duration_s))) == (Kind.single_stall, ())


def test_clocks_that_are_off_hide_no_stall() -> None:
    start_s, duration_s = stalled(noisy_point(1, call_s=2e-3), (4,), 0.3)
    start_s[1:] += np.array([[3.0], [-2.0], [0.7]])
    found = judged((start_s, duration_s), clock_uncertainty_s=10.0)
    assert found is not None and (found.kind, found.iteration) == (Kind.single_stall, 4)


@seeds
def test_a_stall_is_short_and_single(seed: int) -> None:
    """Neighbours may be hit together. Two stalls, or a tenth of the calls and more, are no single one."""
    point = noisy_point(seed, call_s=2e-3, num_samples=100)
    few = round(100 * FEW)
    assert kind_of(judged(stalled(point, tuple(range(40, 40 + few)), 0.3))) == (Kind.single_stall, ())
    assert judged(stalled(point, tuple(range(40, 41 + few)), 0.3)) is None
    assert judged(stalled(point, (3, 60), 0.3)) is None


def test_a_stall_stands_out_from_the_worst_of_the_rest() -> None:
    slowest_s = np.ones(20)
    slowest_s[4] = 1.5
    for excess in (0.99 * STALL_APART, 1.01 * STALL_APART):
        slowest_s[11] = 1 + 0.5 * excess
        start_s = np.concatenate([[0.0], np.cumsum(slowest_s + 1)[:-1]])
        found = judged((np.tile(start_s, (3, 1)), np.tile(slowest_s, (3, 1))))
        assert (found is not None) == (excess > STALL_APART)


def test_a_stall_is_to_its_point_as_a_slow_point_to_its_links() -> None:
    for reached in (0.99 * REACHED, 1.01 * REACHED):
        duration_s = np.ones((3, 20))
        duration_s[:, 7] = 1 / reached
        found = judged((np.tile(3.0 * np.arange(20), (3, 1)), duration_s))
        assert kind_of(found) == ((Kind.single_stall, ()) if reached < REACHED else None)


@seeds
def test_what_lasts_goes_before_what_happened_once(seed: int) -> None:
    point = stalled(noisy_point(seed, call_s=2e-3), (9,), 0.3)
    assert kind_of(judged(late(point, (0,), 0.05))) == (Kind.late_rank, (0,))
    assert kind_of(judged(slow(point, (3,), 0.05))) == (Kind.slow_rank, (3,))
    assert kind_of(judged(point, predicted_s=1e-3, is_limited_by_links=True)) == (Kind.everyone_slow, ())


def test_noise_alone_is_called_nothing() -> None:
    """Twenty runs of 3 collectives and 7 sizes: no more than one of them shows anything at all."""
    calls_s = (3e-4, 4e-4, 6e-4, 2e-3, 1e-2, 4e-2, 2e-1)
    num_flagged = 0
    for run in range(20):
        found = [
            judged(
                noisy_point(100 * run + number, call_s=call_s, num_samples=21 if call_s > 1e-3 else 200),
                ends_together=number < 2,
                predicted_s=0.9 * call_s,
                is_limited_by_links=call_s >= 1e-2,
            )
            for number, call_s in product(range(3), calls_s)
        ]
        num_flagged += any(found)
    assert num_flagged <= 1


@pytest.mark.parametrize("scale", [1e-4, 50.0])
def test_no_duration_is_long_by_itself(scale: float) -> None:
    """Everything in another unit of time: the same verdict."""
    clean = noisy_point(1, call_s=2e-3)
    for point in (
        clean,
        late(clean, (1,), 0.05),
        late(clean, (1,), 5e-4),
        slow(clean, (2,), 0.05),
        stalled(clean, (4,), 0.3),
        stalled(clean, (4,), 4e-3),
    ):
        found, scaled = judged(point), judged((scale * point[0], scale * point[1]))
        assert kind_of(found) == kind_of(scaled)
        if found is not None and scaled is not None:
            assert scaled.excess_s == pytest.approx(scale * found.excess_s)
            assert scaled.share == pytest.approx(found.share)


def test_ranks_keep_their_numbers_in_any_order() -> None:
    order = [2, 0, 3, 1]
    for point in (
        late(noisy_point(2, call_s=2e-3), (1,), 0.05),
        slow(noisy_point(3, call_s=2e-3), (1,), 0.05),
    ):
        found = judged((point[0][order], point[1][order]))
        assert found is not None and found.ranks == (order.index(1),)


def test_one_rank_can_stall_but_neither_be_late_nor_slow() -> None:
    point = noisy_point(1, call_s=2e-3, num_ranks=1)
    assert judged(point) is None
    assert arrivals(*point).skew_max_s == 0
    assert kind_of(judged(stalled(point, (4,), 0.3))) == (Kind.single_stall, ())


def test_few_samples_prove_nothing() -> None:
    point = late(noisy_point(1, call_s=2e-3), (1,), 0.05)
    assert judged((point[0][:, : MIN_SAMPLES - 1], point[1][:, : MIN_SAMPLES - 1])) is None
    assert judged((point[0][:, :MIN_SAMPLES], point[1][:, :MIN_SAMPLES])) is not None


@pytest.mark.parametrize("took_s", [0.0, 1.0])
def test_equal_ranks_are_nothing(took_s: float) -> None:
    assert judged((np.tile(2.0 * np.arange(10), (4, 1)), np.full((4, 10), took_s))) is None


@pytest.mark.parametrize(
    ("start_s", "duration_s", "said"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), r"\(2, 3\) and duration_s \(3, 2\)"),
        (np.zeros(3), np.zeros(3), "num_ranks, num_samples"),
        (np.zeros((2, 0)), np.zeros((2, 0)), "at least one"),
        (np.zeros((1, 1)), np.full((1, 1), np.nan), "finite"),
        (np.full((1, 1), np.inf), np.zeros((1, 1)), "finite"),
        (np.zeros((1, 1)), np.full((1, 1), -1.0), "not below 0"),
    ],
)
def test_what_is_no_matrix_of_times_is_refused(start_s: Matrix, duration_s: Matrix, said: str) -> None:
    for judge in (lambda: arrivals(start_s, duration_s), lambda: judged((start_s, duration_s))):
        with pytest.raises(ValueError, match=said):
            judge()


@pytest.mark.parametrize("key", ["clock_uncertainty_s", "barrier_s"])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_uncertainty_and_barrier_are_durations(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value}"):
        judged(noisy_point(1, call_s=1.0), **{key: value})


@pytest.mark.parametrize(
    ("point", "options", "said"),
    [
        (late(noisy_point(1, call_s=2e-3), (1,), 0.05), {}, "late rank 1: "),
        (late(noisy_point(1, call_s=2e-3), (1, 2), 0.05), {}, "late ranks 1, 2: "),
        (slow(noisy_point(1, call_s=2e-3), (0,), 0.05), {}, "slow rank 0: ends "),
        (stalled(noisy_point(1, call_s=2e-3), (4,), 0.3), {}, "single stall at "),
        (noisy_point(1, call_s=0.2), {"predicted_s": 0.05, "is_limited_by_links": True}, "everyone slow: "),
    ],
)
def test_a_finding_is_a_clause(point: Point, options: dict[str, object], said: str) -> None:
    text = str(judged(point, **options))
    assert text.startswith(said) and "ms" in text and not text.endswith(".")
