"""`measure`: one point, start to finish, on every rank. It never names a collective."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from bench.measure.loop import Sample, Stopwatch, take_samples
from bench.measure.ranks import Ranks
from bench.measure.stopwatch import CudaStopwatch, HostStopwatch
from bench.measure.workload import Workload
from bench.model.timing import TimingPlan

BLOCK_S: Final = 0.5
"""Ranks agree on going on after blocks of about so long, so that an interrupt or the end of a budget takes effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One point as every rank saw it; the same on every rank.

    Attributes:
        start_s, duration_s: shape (num_ranks, num_samples), seconds; starts count from ``origin_s`` of each rank.
        first_call_s: the first call of all, connections included; slowest rank.
        num_wrong_elements: of the first and the last call, all ranks together.
        is_cut_by_budget, is_interrupted: why there are fewer samples than planned.
    """

    start_s: list[list[float]]
    duration_s: list[list[float]]
    first_call_s: float
    num_wrong_elements: int
    is_cut_by_budget: bool
    is_interrupted: bool

    @property
    def slowest_s(self) -> list[float]:
        """Element-wise maximum over ranks: a collective is over when its last rank is. Shape: (num_samples,)."""
        return [max(column) for column in zip(*self.duration_s, strict=True)]


def stopwatch_for(ranks: Ranks) -> Stopwatch:
    """CUDA events where the buffers are on a GPU, the host's clock elsewhere."""
    return CudaStopwatch(ranks.device) if ranks.device.type == "cuda" else HostStopwatch()


def measure(
    workload: Workload,
    ranks: Ranks,
    plan: TimingPlan,
    stopwatch: Stopwatch,
    *,
    origin_s: float,
    is_stop_wanted: Callable[[], bool],
) -> Measurement:
    """Warm up, check, sample in blocks, check again, and exchange what each rank saw.

    Raises:
        RuntimeError: a rank died, or a call outlasted the deadline of the process group.
    """

    prime = torch.empty((2, plan.prime_bytes), dtype=torch.uint8, device=ranks.device)

    def align() -> None:
        if workload.restores_input:
            workload.reset()
        if plan.prime_bytes and ranks.size > 1:
            ranks.send_around(prime[0], prime[1])
        ranks.barrier()

    first_s, call_s, whole_s, num_wrong = _warm_up(workload, ranks, plan, stopwatch, align)
    num_planned = plan.planned_iterations(max(call_s, whole_s))
    block = max(1, int(BLOCK_S / max(call_s, whole_s, 1e-6)))
    samples: list[Sample] = []
    is_cut = is_interrupted = False
    begun_s = time.monotonic()
    gc.collect()
    gc.disable()
    try:
        while len(samples) < num_planned and not (is_cut or is_interrupted):
            workload.reset()
            count = min(block, num_planned - len(samples))
            samples += take_samples(workload.call, stopwatch, count, align=align)
            is_over = time.monotonic() - begun_s > plan.budget_s and len(samples) < num_planned
            cut, stop = ranks.largest([float(is_over), float(is_stop_wanted())])
            is_cut, is_interrupted = bool(cut), bool(stop)
    finally:
        gc.enable()
    num_wrong += workload.count_wrong()

    starts = ranks.gathered([sample.start_s - origin_s for sample in samples])
    durations = ranks.gathered([sample.duration_s for sample in samples])
    wrong = sum(row[0] for row in ranks.gathered([float(num_wrong)]))
    return Measurement(
        start_s=starts,
        duration_s=durations,
        first_call_s=first_s,
        num_wrong_elements=int(wrong),
        is_cut_by_budget=is_cut,
        is_interrupted=is_interrupted,
    )


def _warm_up(
    workload: Workload, ranks: Ranks, plan: TimingPlan, stopwatch: Stopwatch, align: Callable[[], None]
) -> tuple[float, float, float, int]:
    """Open connections, check the first result, and learn how long things take, on the slowest rank.

    Returns seconds of the first call, of the last one, of the last one with all that surrounds it, and the number of
    wrong elements of this rank.
    """
    calls_s: list[float] = []
    whole_s = 0.0
    num_wrong = 0
    for index in range(plan.num_warmups):
        begun_s = time.monotonic()
        workload.reset()
        calls_s += [sample.duration_s for sample in take_samples(workload.call, stopwatch, 1, align=align)]
        whole_s = time.monotonic() - begun_s
        if index == 0:
            num_wrong = workload.count_wrong()
    first_s, call_s, whole_s = ranks.largest([calls_s[0], calls_s[-1], whole_s])
    return first_s, call_s, whole_s, num_wrong
