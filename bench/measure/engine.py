"""`measure`: one point, or several that are to be compared, start to finish, on every rank. It never names a collective.

Several arms (a call in place and out of place, say) take their samples in turn, forwards and then backwards (ABBA), so that
whatever changes with time reaches all of them alike; each keeps samples of its own.
"""

import functools
import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch

from bench.measure.arm import Arm, Setting
from bench.measure.loop import Sample, Stopwatch
from bench.measure.ranks import Call, Ranks
from bench.measure.stopwatch import CudaStopwatch, HostStopwatch, SynchronisingStopwatch
from bench.model.interval import is_narrow_enough
from bench.model.timing import TimingPlan

BLOCK_S: Final = 0.5
"""Ranks agree on going on after blocks of about so long, so that an interrupt or the end of a budget takes effect."""

FIRST_BLOCK: Final = 4
"""Samples of the first block, which then grow to `BLOCK_S`: one lucky warm-up must not plan for minutes."""

LOOK_FACTOR: Final = 1.25
"""The interval of the median is looked at when the samples have grown by so much: looking more often makes it stop by luck."""

COUNTED_S: Final = 0.05
MAX_COUNTED_CALLS: Final = 20
"""Calls whose bytes are counted at the interfaces, beside the samples: as many as fit into `COUNTED_S`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One arm as every rank of the run saw it; the same on every rank.

    Attributes:
        start_s, duration_s: shape (num_ranks, num_samples), seconds. Starts count from the origin of the run, on the
            time axis of rank 0. Durations are those of one call: a sample's divided by ``calls_per_sample``.
        iterations: number of each sample that is kept; shape (num_samples,).
        is_host_bound: in most samples a host was slower than its device, so that host time is in them; all are kept.
        num_rejected: samples left out on all ranks, because a host was slower than its device.
        num_bad: samples left out because they were no positive, finite time.
        first_call_s: the first call of all, connections included; shape (num_ranks,).
        extras: further durations of each sample by name; same shape as ``duration_s``.
        counted_bytes: sent through this host's interfaces per call, headers included; shape (num_ranks,); None where
            nothing could be counted.
        num_wrong: wrong elements in all calls; shape (num_ranks,).
        num_checked_calls: calls on one rank whose result was checked.
        stop_reason: ``planned``, ``interval``, ``time``, ``max_iterations``, ``budget`` or ``interrupted``.
    """

    start_s: list[list[float]]
    duration_s: list[list[float]]
    calls_per_sample: int
    iterations: list[int]
    is_host_bound: bool
    num_rejected: int
    num_bad: int
    first_call_s: list[float]
    extras: dict[str, list[list[float]]]
    counted_bytes: list[float] | None
    num_wrong: list[int]
    num_checked_calls: int
    stop_reason: str
    clock_resolution_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the ranks of a run share, beside the points.

    Attributes:
        world: every rank of the run.
        groups: ranks of the run in each group that measures at the same time; together every rank once.
        origin_s: this rank's clock at the origin of the run.
        before_call, inside_call: seconds of an injected fault, by iteration.
        sent_bytes: reads how much this host has sent through its interfaces; None where that is not known. Every rank
            must agree on whether there is one.
        arm_watchdog: called before each step with how long it may take at most.
    """

    world: Ranks
    groups: Sequence[Sequence[int]]
    plan: TimingPlan
    stopwatch: Stopwatch
    origin_s: float
    is_stop_wanted: Callable[[], bool]
    before_call: Callable[[int], float] | None = None
    inside_call: Callable[[int], float] | None = None
    sent_bytes: Callable[[], float] | None = None
    arm_watchdog: Callable[[float], None] = field(default=lambda _seconds: None)


def stopwatch_for(ranks: Ranks) -> Stopwatch:
    """CUDA events where calls are queued on a stream; the host's clock where they return when they are complete."""
    if ranks.backend == "nccl":
        return CudaStopwatch(ranks.device, ranks.align_on_device)
    return SynchronisingStopwatch(ranks.device) if ranks.is_on_gpu else HostStopwatch()


def setting_of(around: Surroundings) -> Setting:
    """How ranks are brought together before every sample: links emptied of what they have saved, then a barrier."""
    plan, world = around.plan, around.world
    prime = torch.empty((2, plan.prime_bytes), dtype=torch.uint8, device=world.device)

    barrier = world.barrier_call()
    if around.before_call is None and not (plan.prime_bytes and world.size > 1):
        return Setting(
            stopwatch=around.stopwatch, align=lambda _iteration: barrier, inside_call=around.inside_call
        )

    def align_with_more(iteration: int) -> None:
        if plan.prime_bytes and world.size > 1:
            world.send_around(prime[0], prime[1])
        barrier()
        if around.before_call is not None:
            time.sleep(around.before_call(iteration))

    def align(iteration: int) -> Call:
        return functools.partial(align_with_more, iteration)

    return Setting(stopwatch=around.stopwatch, align=align, inside_call=around.inside_call)


def measure(arms: Sequence[Arm], around: Surroundings) -> list[Measurement]:
    """Warm up, sample in blocks until the plan is met, count bytes, and exchange what each rank saw."""
    plan = around.plan
    around.arm_watchdog(plan.timeout_s)
    first_s = [arm.first_call().duration_s for arm in arms]
    samples: list[list[Sample]] = [[] for _ in arms]
    call_s, round_s = _warm_up(arms, around)
    gc.collect()
    gc.disable()
    try:
        stop_reason = _sample(arms, samples, around, round_s)
    finally:
        gc.enable()
    around.arm_watchdog(plan.timeout_s)
    return [
        _exchanged(arm, taken, first, around, _counted_bytes(arm, around, call_s), stop_reason)
        for arm, taken, first in zip(arms, samples, first_s, strict=True)
    ]


def _warm_up(arms: Sequence[Arm], around: Surroundings) -> tuple[float, float]:
    """Seconds of the longest call, and of one round of all arms with all that surrounds it, on the slowest rank."""
    world = around.world
    call_s = round_s = 0.0
    # The first call is a warm-up too, and at least one more tells how long things take when connections are open.
    for _ in range(max(1, around.plan.num_warmups - 1)):
        around.arm_watchdog(around.plan.timeout_s)
        begun_s = time.monotonic()
        durations = [arm.take(-1).duration_s for arm in arms]
        round_s, call_s = world.largest([time.monotonic() - begun_s, max(durations)])
    for arm in arms:
        arm.settle(call_s, lambda value: world.largest([value])[0])
        arm.forget()
    return call_s, max(round_s, call_s, 1e-6)


def _sample(arms: Sequence[Arm], samples: list[list[Sample]], around: Surroundings, round_s: float) -> str:
    """Fill ``samples``; returns why it stopped."""
    plan, world = around.plan, around.world
    block = min(FIRST_BLOCK, max(1, int(BLOCK_S / round_s)))
    next_look = plan.min_iterations
    begun_s = time.monotonic()
    while True:
        taken = len(samples[0])
        goal = plan.num_iterations or min(next_look, plan.max_iterations)
        around.arm_watchdog(plan.timeout_s + BLOCK_S)
        block_begun_s = time.monotonic()
        for iteration in range(taken, min(taken + block, max(goal, taken + 1))):
            order = range(len(arms)) if iteration % 2 == 0 else reversed(range(len(arms)))
            for place in order:
                samples[place].append(arms[place].take(iteration))
        num_new = len(samples[0]) - taken
        taken = len(samples[0])
        now_s = time.monotonic()
        elapsed_s, block_s, stop = world.largest(
            [now_s - begun_s, now_s - block_begun_s, float(around.is_stop_wanted())]
        )
        block = max(1, min(2 * block, int(BLOCK_S * num_new / max(block_s, 1e-6))))
        if stop:
            return "interrupted"
        if plan.num_iterations is not None and taken >= plan.num_iterations:
            return "planned"
        if plan.num_iterations is None and taken >= plan.max_iterations:
            return "max_iterations"
        if elapsed_s > plan.budget_s:
            return "budget"
        if plan.num_iterations is None and taken >= next_look:
            looked_s = time.monotonic()
            if plan.target_width is not None and _are_narrow(samples, around, plan.target_width):
                return "interval"
            begun_s += time.monotonic() - looked_s  # statistics are no sampling
            if elapsed_s > plan.fill_s:
                return "time"
            next_look = max(taken + 1, int(taken * LOOK_FACTOR))


def _are_narrow(samples: list[list[Sample]], around: Surroundings, target_width: float) -> bool:
    """Whether the interval of the median of the slowest rank is narrow enough, for each arm and group."""
    for taken in samples:
        everyones = around.world.gathered([sample.duration_s for sample in taken])
        for members in around.groups:
            slowest = [max(column) for column in zip(*(everyones[rank] for rank in members), strict=True)]
            if not is_narrow_enough(slowest, target_width):
                return False
    return True


def _counted_bytes(arm: Arm, around: Surroundings, call_s: float) -> list[float] | None:
    """What this host sends per call, at its interfaces: that of some calls, less that of the barriers around them."""
    if around.sent_bytes is None:
        return None
    world = around.world
    calls = max(1, min(MAX_COUNTED_CALLS, int(COUNTED_S / max(call_s, 1e-6))))

    def sent_during(num_calls: int) -> float:
        assert around.sent_bytes is not None
        world.barrier()
        before = around.sent_bytes()
        world.barrier()
        for _ in range(num_calls):
            arm.slots[0].prepare()
            if world.is_on_gpu:
                torch.cuda.synchronize(world.device)
            arm.slots[0].call()
            arm.check(arm.slots[0])
        world.barrier()
        return around.sent_bytes() - before

    idle_bytes = sent_during(0)
    per_call_bytes = (sent_during(calls) - idle_bytes) / calls
    return [row[0] for row in world.gathered([max(0.0, per_call_bytes)])]


def _exchanged(
    arm: Arm,
    taken: list[Sample],
    first_call_s: float,
    around: Surroundings,
    counted_bytes: list[float] | None,
    stop_reason: str,
) -> Measurement:
    world = around.world
    columns = {"start": [s.start_s - around.origin_s for s in taken]}
    columns["duration"] = [s.duration_s / arm.calls_per_sample for s in taken]
    columns["late"] = [float(s.was_late_host) for s in taken]
    columns |= arm.extras()
    everyones = {name: world.gathered(values) for name, values in columns.items()}
    # What is no time, or the host's instead of the device's, on any rank is left out on all.
    times = [rows for name, rows in everyones.items() if name not in ("start", "late")]
    is_bad = [
        not all(0 < value < math.inf for column in columns_of_one for value in column)
        for columns_of_one in zip(*(zip(*rows, strict=True) for rows in times), strict=True)
    ]
    is_late = [any(column) for column in zip(*everyones["late"], strict=True)]
    is_host_bound = sum(is_late) > len(is_late) / 2
    if is_host_bound:
        is_late = [False] * len(
            is_late
        )  # to leave most of them out would be a choice; the record says what they are
    is_kept = [not (bad or late) for bad, late in zip(is_bad, is_late, strict=True)]
    kept = {
        name: [[value for value, keep in zip(row, is_kept, strict=True) if keep] for row in rows]
        for name, rows in everyones.items()
    }
    other = world.gathered([float(arm.num_wrong), float(arm.num_checked_calls), first_call_s])
    return Measurement(
        start_s=kept["start"],
        duration_s=kept["duration"],
        calls_per_sample=arm.calls_per_sample,
        iterations=[number for number, keep in enumerate(is_kept) if keep],
        is_host_bound=is_host_bound,
        num_rejected=sum(late and not bad for bad, late in zip(is_bad, is_late, strict=True)),
        num_bad=sum(is_bad),
        first_call_s=[row[2] / arm.workload.messages_per_call for row in other],
        extras={name: kept[name] for name in arm.extras()},
        counted_bytes=counted_bytes,
        num_wrong=[int(row[0]) for row in other],
        num_checked_calls=int(min(row[1] for row in other)),
        stop_reason=stop_reason,
        clock_resolution_s=world.largest([around.stopwatch.resolution_s])[0],
    )
