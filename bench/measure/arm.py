"""`Arm`: one point while it is measured; what all passes share. `bench.measure.passes` has one kind for each pass."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from bench.measure.loop import Sample, Stopwatch
from bench.measure.ranks import Call
from bench.measure.workload import Slot, Workload


@dataclass(slots=True, kw_only=True, eq=False)
class Setting:
    """What every sample of a run has around it.

    Attributes:
        align: what brings the ranks together before this iteration.
        inside_call: seconds by which an injected fault delays the call of this iteration; 0 where there is none.
    """

    stopwatch: Stopwatch
    align: Callable[[int], Call]
    inside_call: Callable[[int], float] | None = None

    def timed(self, operation: Call, iteration: int) -> Sample:
        delay_s = self.inside_call(iteration) if self.inside_call is not None and iteration >= 0 else 0.0
        if delay_s > 0:

            def delayed() -> None:
                time.sleep(delay_s)
                operation()

            return self.stopwatch.time(delayed, self.align(iteration))
        return self.stopwatch.time(operation, self.align(iteration))


@dataclass(eq=False)
class Arm:
    """One point in one pass.

    Attributes:
        calls_per_sample: divides the duration of a sample.
        num_wrong: wrong elements of this rank so far, in all calls.
        num_checked_calls: calls whose result was checked.
    """

    workload: Workload
    setting: Setting
    device: torch.device
    calls_per_sample: int = field(default=1, init=False)
    num_wrong: int = field(default=0, init=False)
    num_checked_calls: int = field(default=0, init=False)
    slots: list[Slot] = field(init=False)

    def __post_init__(self) -> None:
        self.calls_per_sample = self.workload.messages_per_call
        self.slots = [self.workload.slot()]
        self.set_up()

    def set_up(self) -> None:
        """Make what the pass needs beside the first slot."""

    def first_call(self) -> Sample:
        """The first call of the point, connections included, checked like all others."""
        return self._one(self.slots[0], self.slots[0].call, -1)

    def take(self, iteration: int) -> Sample:
        return self._one(self.slots[0], self.slots[0].call, iteration)

    def settle(self, call_s: float, agree: Callable[[float], float]) -> None:
        """Called once after the warm-up, on every rank, with the duration of a call; ``agree`` gives the largest value."""

    def forget(self) -> None:
        """Drop what the warm-up has left beside its samples."""

    def extras(self) -> dict[str, list[float]]:
        """Further durations of this rank, one per sample, by name."""
        return {}

    def _one(self, slot: Slot, call: Call, iteration: int) -> Sample:
        slot.prepare()
        sample = self.setting.timed(call, iteration)
        self.check(slot)
        return sample

    def check(self, slot: Slot) -> None:
        """Compare every element of the slot's result. Not timed."""
        self.num_wrong += slot.count_wrong()
        self.num_checked_calls += 1
