"""The engine on one rank, with a clock of its own: what is timed, what is kept, and that no wrong element passes."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from bench.measure.arm import Arm
from bench.measure.data import pattern
from bench.measure.engine import Measurement, Surroundings, measure, setting_of
from bench.measure.job import Job
from bench.measure.loop import Stopwatch
from bench.measure.passes import PASSES
from bench.measure.ranks import UnsupportedError
from bench.measure.stopwatch import HostStopwatch
from bench.measure.workload import Workload, WorkloadSpec
from bench.model.collective import Collective
from bench.model.interval import MIN_EFFECTIVE
from bench.model.timing import TimingPlan
from tests.alone import Alone, ScriptedStopwatch


@pytest.fixture(autouse=True)
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cold pass fills a pool of twice the cache; a small one shows the same and takes less time."""
    monkeypatch.setattr("bench.measure.passes.last_level_cache_bytes", lambda _device: 100_000)
    monkeypatch.setattr("bench.measure.passes.MATRIX_ROWS", 8)
    monkeypatch.setattr(
        "gc.collect", lambda: 0
    )  # once per point is nothing, and most of the time of 1200 of them


ON_CPU = ("latency", "bandwidth", "cold", "overlap")
FEW = TimingPlan(num_warmups=2, num_iterations=4)


def spec_of(collective: Collective = Collective.all_reduce, count: int = 1000) -> WorkloadSpec:
    reduces = collective in (Collective.all_reduce, Collective.reduce_scatter)
    op = "sum" if reduces else None
    return WorkloadSpec(
        collective=collective,
        algorithm="native",
        placement="in_place" if collective is Collective.all_reduce else "out_of_place",
        count=count,
        pattern=pattern("float32", 1, 3, op),
        reduce_op=op,
    )


def surroundings(world: Alone, plan: TimingPlan, stopwatch: Stopwatch, **more: Any) -> Surroundings:
    return Surroundings(
        world=world,
        groups=[[0]],
        plan=plan,
        stopwatch=stopwatch,
        origin_s=100.0,
        is_stop_wanted=more.pop("is_stop_wanted", lambda: False),
        **more,
    )


def measured(
    world: Alone,
    plan: TimingPlan,
    stopwatch: Stopwatch,
    measure_pass: str = "latency",
    collectives: Sequence[Collective] = (Collective.all_reduce,),
    **more: Any,
) -> list[Measurement]:
    around = surroundings(world, plan, stopwatch, **more)
    setting = setting_of(around)
    arms = [
        PASSES[measure_pass](Workload(spec_of(collective), world), setting, world.device)
        for collective in collectives
    ]
    return measure(arms, around)


def test_warmups_are_no_samples_and_the_first_call_is_kept_apart() -> None:
    world, clock = Alone(), ScriptedStopwatch([9.0, 5.0, 1.0, 2.0, 3.0])
    (found,) = measured(world, TimingPlan(num_warmups=2, num_iterations=3), clock)
    assert found.duration_s == [[1.0, 2.0, 3.0]]
    assert found.start_s == [[14.0, 15.0, 17.0]]
    assert found.first_call_s == [9.0]
    assert found.stop_reason == "planned"


def test_ranks_are_aligned_before_every_sample_and_not_between_queued_calls() -> None:
    world = Alone()
    measured(world, FEW, ScriptedStopwatch([1.0]))
    calls = [place for place, event in enumerate(world.events) if event == "call"]
    assert all(world.events[place - 1] == "barrier" for place in calls)
    world = Alone()
    (found,) = measured(world, FEW, ScriptedStopwatch([1.0]), "bandwidth")
    text = "".join("c" if event == "call" else "b" for event in world.events)
    assert "b" + "c" * found.calls_per_sample + "b" in text + "b"
    assert found.calls_per_sample > 1 and found.duration_s[0] == [1.0 / found.calls_per_sample] * 4


def test_arms_take_turns_forwards_and_backwards_and_keep_their_own_samples() -> None:
    order: list[Collective] = []
    world = Alone(after_call=lambda job, _: order.append(job.collective))
    plan = TimingPlan(num_warmups=2, num_iterations=4)
    pair = (Collective.all_reduce, Collective.broadcast)
    found = measured(world, plan, ScriptedStopwatch([1.0]), collectives=pair)
    a, b = pair
    assert order[4:12] == [a, b, b, a, a, b, b, a]
    assert [len(one.duration_s[0]) for one in found] == [4, 4]


def test_an_interrupt_ends_the_point_after_its_block_and_keeps_the_samples() -> None:
    plan = TimingPlan(num_warmups=2, num_iterations=5000)
    (found,) = measured(Alone(), plan, ScriptedStopwatch([0.4]), is_stop_wanted=lambda: True)
    assert found.stop_reason == "interrupted" and 1 <= len(found.duration_s[0]) < 5000


def test_a_steady_series_stops_when_its_interval_is_narrow() -> None:
    plan = TimingPlan(min_iterations=21, max_iterations=2000, target_width=0.05, fill_s=60)
    (found,) = measured(Alone(), plan, ScriptedStopwatch([1.0]))
    assert found.stop_reason == "interval"
    assert MIN_EFFECTIVE <= len(found.duration_s[0]) <= 1.25 * MIN_EFFECTIVE


def test_a_wild_series_goes_on_to_the_largest_number_of_samples() -> None:
    wild = random.Random(1)
    durations_s = [wild.lognormvariate(0, 1) for _ in range(1000)]
    plan = TimingPlan(min_iterations=21, max_iterations=150, target_width=0.05, fill_s=60)
    (found,) = measured(Alone(), plan, ScriptedStopwatch(durations_s))
    assert (found.stop_reason, len(found.duration_s[0])) == ("max_iterations", 150)


def test_time_that_is_over_ends_sampling_once_the_least_is_there() -> None:
    plan = TimingPlan(min_iterations=21, max_iterations=10**6, target_width=None, fill_s=0)
    (found,) = measured(Alone(), plan, ScriptedStopwatch([1.0, 2.0] * 500))
    assert (found.stop_reason, len(found.duration_s[0])) == ("time", 21)


def test_a_budget_ends_sampling_whatever_is_lacking() -> None:
    plan = TimingPlan(num_iterations=10**6, budget_s=1e-6)
    (found,) = measured(Alone(), plan, ScriptedStopwatch([1.0]))
    assert found.stop_reason == "budget"


@pytest.mark.parametrize("bad", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_that_is_none_is_counted(bad: float) -> None:
    (found,) = measured(Alone(), FEW, ScriptedStopwatch([1.0, 1.0, 1.0, bad, 1.0]))
    assert found.num_bad == 1
    assert found.duration_s == [[1.0] * 3]


def test_samples_in_which_the_host_was_late_are_left_out() -> None:
    class LateStopwatch(ScriptedStopwatch):
        calls = 0

        def time(self, operation: Any, align: Any) -> Any:
            import dataclasses

            self.calls += 1
            return dataclasses.replace(super().time(operation, align), was_late_host=self.calls == 4)

    (found,) = measured(Alone(), FEW, LateStopwatch([1.0, 1.0, 5.0, 7.0, 6.0, 8.0]))
    assert found.duration_s == [[5.0, 6.0, 8.0]] and found.num_rejected == 1


def test_a_fault_sleeps_before_or_inside_the_call_of_its_iteration() -> None:
    plan = TimingPlan(num_warmups=2, num_iterations=6)
    delays = {3: 0.05}
    (found,) = measured(Alone(), plan, HostStopwatch(), inside_call=lambda i: delays.get(i, 0.0))
    slow = [duration_s >= 0.05 for duration_s in found.duration_s[0]]
    assert slow == [False, False, False, True, False, False]
    (found,) = measured(Alone(), plan, HostStopwatch(), before_call=lambda i: delays.get(i, 0.0))
    gap_s = found.start_s[0][3] - found.start_s[0][2]
    assert gap_s >= 0.05 > found.duration_s[0][3]


@pytest.mark.parametrize("measure_pass", ON_CPU)
def test_every_call_is_checked_and_right_data_count_no_wrong_element(measure_pass: str) -> None:
    world = Alone()
    (found,) = measured(world, FEW, ScriptedStopwatch([1e-3]), measure_pass)
    assert found.num_wrong == [0]
    assert found.num_checked_calls >= world.num_calls


@pytest.mark.parametrize("measure_pass", ON_CPU)
@pytest.mark.parametrize("collective", [Collective.all_reduce, Collective.all_gather])
@pytest.mark.parametrize("duration_s", [1e-4, 1e-2])
def test_one_corrupted_element_anywhere_in_any_call_is_caught(
    measure_pass: str, collective: Collective, duration_s: float
) -> None:
    """100 times of 100, at a random position of a random call, one bit; short calls have untimed ones before them."""
    chance = random.Random(f"{measure_pass} {collective} {duration_s}")
    world = Alone()
    measured(world, FEW, ScriptedStopwatch([duration_s]), measure_pass, (collective,))
    num_calls = world.num_calls
    for _ in range(100):
        victim = chance.randrange(num_calls)

        def corrupt(job: Job, number: int, victim: int = victim) -> None:
            if number == victim:
                raw = job.recv.view(torch.uint8)
                raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)

        clock = ScriptedStopwatch([duration_s])
        (found,) = measured(Alone(corrupt), FEW, clock, measure_pass, (collective,))
        assert found.num_wrong == [1]


@pytest.mark.parametrize("measure_pass", ON_CPU)
def test_a_call_that_does_nothing_is_wrong_in_every_element(measure_pass: str) -> None:
    class Idle(Alone):
        def prepare(self, job: Job) -> Any:
            return lambda: None

    (found,) = measured(Idle(), FEW, ScriptedStopwatch([1e-3]), measure_pass, (Collective.all_gather,))
    assert found.num_wrong == [1000 * found.num_checked_calls]


def test_a_graph_needs_a_gpu_and_says_so() -> None:
    world = Alone()
    setting = setting_of(surroundings(world, FEW, ScriptedStopwatch([1.0])))
    with pytest.raises(UnsupportedError, match="GPU"):
        PASSES["graph"](Workload(spec_of(), world), setting, world.device)


def test_the_cold_pass_touches_more_than_the_cache_between_two_uses() -> None:
    world = Alone()
    setting = setting_of(surroundings(world, FEW, ScriptedStopwatch([1.0])))
    arm: Arm = PASSES["cold"](Workload(spec_of(), world), setting, world.device)
    assert len(arm.slots) * arm.workload.num_bytes >= 2 * 100_000
    used = [arm.slots[i % len(arm.slots)].recv.data_ptr() for i in range(len(arm.slots))]
    assert len(set(used)) == len(used)


def test_overlap_keeps_the_call_and_the_computation_alone_beside_both() -> None:
    (found,) = measured(Alone(), FEW, ScriptedStopwatch([1.0]), "overlap")
    assert set(found.extras) == {"communication_s", "compute_s"}
    assert all(len(rows[0]) == 4 for rows in found.extras.values())


def test_bytes_are_those_of_the_calls_less_those_of_the_barriers() -> None:
    class Sending(Alone):
        sent = 0.0

        def barrier(self) -> None:
            self.sent += 7

        def prepare(self, job: Job) -> Any:
            call = super().prepare(job)

            def counted() -> None:
                self.sent += 1000
                call()

            return counted

    world = Sending()
    (found,) = measured(world, FEW, ScriptedStopwatch([1e-3]), sent_bytes=lambda: world.sent)
    assert found.counted_bytes == [1000.0]
