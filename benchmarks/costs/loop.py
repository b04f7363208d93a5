"""What the engine adds to a call: one sample of an operation, with a barrier, that both do nothing."""

import gc
import time
from collections.abc import Sequence
from statistics import median

import torch

from bench.measure.data import pattern
from bench.measure.engine import Surroundings, setting_of
from bench.measure.job import Job, Message
from bench.measure.passes import PASSES
from bench.measure.ranks import Call, Post, Ranks
from bench.measure.stopwatch import HostStopwatch
from bench.measure.workload import Workload, WorkloadSpec
from bench.model.collective import Collective
from bench.model.timing import TimingPlan
from benchmarks.costs.report import Row, row, seconds_text

LOOP_TARGET_S = 5e-6
"""Small beside the fastest call that there is to measure between processes, some microseconds, and never inside its time."""


def nothing() -> None:
    """The call that costs nothing."""


class Alone(Ranks):
    """One rank, whose calls and barrier do nothing."""

    def __init__(self) -> None:
        super().__init__(rank=0, size=1, backend="none", device=torch.device("cpu"))

    def prepare(self, job: Job) -> Call:
        return nothing

    def prepare_overlapped(self, job: Job) -> Post:
        return lambda: nothing

    def prepare_exchange(self, sends: Sequence[Message], receives: Sequence[Message]) -> Post:
        return lambda: nothing

    def barrier(self) -> None:
        pass

    def share(self, mine: torch.Tensor) -> torch.Tensor:
        return mine.unsqueeze(0)

    def split(self, groups: Sequence[Sequence[int]]) -> "Alone":
        return self

    def leave(self) -> None:
        pass


def loop_rows(num_repetitions: int, num_calls: int) -> list[Row]:
    """Cost per call of the latency pass around nothing: a barrier has no data to restore and check."""
    ranks, stopwatch = Alone(), HostStopwatch()
    spec = WorkloadSpec(
        collective=Collective.barrier,
        algorithm="native",
        placement="out_of_place",
        count=0,
        pattern=pattern("float32", ranks.size, 0),
    )
    around = Surroundings(
        world=ranks,
        groups=[[0]],
        plan=TimingPlan(),
        stopwatch=stopwatch,
        origin_s=stopwatch.now_s(),
        is_stop_wanted=lambda: False,
    )
    arm = PASSES["latency"](Workload(spec, ranks), setting_of(around), ranks.device)
    arm.settle(0.0, lambda value: value)  # the call is a short one, so each is preceded by one untimed
    added_s, seen_s = [], []
    gc.collect()
    gc.disable()  # as the engine does while it samples
    try:
        for _ in range(num_repetitions):
            begun_s = time.perf_counter()
            samples = [arm.take(iteration) for iteration in range(num_calls)]
            between_s = time.perf_counter()
            for _ in range(num_calls):
                nothing()
            ended_s = time.perf_counter()
            added_s.append((between_s - begun_s - (ended_s - between_s)) / num_calls)
            seen_s.append(median(sample.duration_s for sample in samples))
    finally:
        gc.enable()
    repeated = f"{num_repetitions} repetitions of {num_calls} calls; barrier and operation both do nothing"
    return [
        row(
            "loop: cost of a call beside a bare call",
            added_s,
            LOOP_TARGET_S,
            shown=seconds_text,
            detail=repeated,
        ),
        row(
            "of that, inside the time that is reported",
            seen_s,
            None,
            shown=seconds_text,
            detail="what the stopwatch says of an operation that does nothing",
        ),
    ]
