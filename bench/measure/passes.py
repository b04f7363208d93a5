"""How a point is sampled: one class for each pass. They differ in what one sample is made of, and share everything else.

latency     ranks aligned, one call timed on its own
bandwidth   ranks aligned once, then calls queued back to back, each on buffers of its own; one sample is their mean
cold        as latency, on buffers that have left the cache since they were last used
graph       as bandwidth, the calls replayed from a CUDA graph
overlap     one call beside a matrix product, and each of the two alone

Every timed call of every pass has its result checked, outside the clock.
"""

import dataclasses
import statistics
from collections.abc import Callable
from typing import Final

import torch

from bench.measure.arm import Arm
from bench.measure.cache import last_level_cache_bytes
from bench.measure.loop import Sample
from bench.measure.ranks import Call, UnsupportedError
from bench.measure.workload import Slot, touch

QUEUED_CALLS: Final = 20
"""Calls of one sample in the bandwidth and graph passes: nccl-tests' default loop (``-n 20``)."""

POOL_BYTES: Final = 256 * 2**20
"""Buffers of one rank for the calls of one sample; longer messages queue fewer calls, at least 2."""

CACHE_MULTIPLE: Final = 2
"""The cold pass touches twice the last-level cache between two uses of a buffer: one cache full may leave parts of it where
replacement is not strictly by age."""

MAX_COLD_SLOTS: Final = 256
"""Beyond so many sets of buffers the cold pass reads filler instead, which costs less to set up."""

SHORT_CALL_S: Final = 1e-3
"""Calls that take longer than this are not measurably slower after the pause of a check (some 10 to 100 us)."""

SETTLING_CALLS: Final = 7
"""Calls, and products, whose median tells the overlap pass how much to compute."""

MATRIX_ROWS_ON_GPU: Final = 2048
"""Large enough to keep all of a GPU busy for longer than a launch takes."""

MATRIX_ROWS: Final = 256
"""Side of the matrix product that the overlap pass computes with, as often as it takes to last as long as the call."""


class Latency(Arm):
    """Ranks aligned, each call timed on its own.

    Before a short call the same call is made once, untimed, on other buffers: while a result is checked and buffers are put
    back, the processor forgets the way through the library, and calls that follow one another without a pause, as in any
    other benchmark, would look up to 1.2 times as fast.
    """

    def set_up(self) -> None:
        self._spare: Slot | None = None

    def settle(self, call_s: float, agree: Callable[[float], float]) -> None:
        if call_s < SHORT_CALL_S and self.device.type == "cpu":
            self._spare = self.workload.slot()

    def take(self, iteration: int) -> Sample:
        slot = self.slots[0]
        if self._spare is None:
            return self._one(slot, slot.call, iteration)
        self._spare.prepare()
        slot.prepare()
        self.setting.timed(self._spare.call, -1)
        sample = self.setting.timed(slot.call, iteration)
        self.check(slot)
        self.check(self._spare)
        return sample


class Bandwidth(Arm):
    """Calls queued back to back, no alignment and no event between them."""

    def set_up(self) -> None:
        number = max(2, min(QUEUED_CALLS, POOL_BYTES // max(1, self.workload.most_bytes)))
        self.slots += [self.workload.slot() for _ in range(number - 1)]
        self.calls_per_sample *= number
        calls = [slot.call for slot in self.slots]

        def queue() -> None:
            for call in calls:
                call()

        self._queue: Call = queue

    def take(self, iteration: int) -> Sample:
        for slot in self.slots:
            slot.prepare()
        sample = self.setting.timed(self._queue, iteration)
        for slot in self.slots:
            self.check(slot)
        return sample


class Graph(Bandwidth):
    """The queued calls captured once in a CUDA graph and replayed.

    Source of the capture's form: torch.cuda.graph; the first call warms up outside of it, as capture forbids set-up work.
    """

    def set_up(self) -> None:
        if self.device.type != "cuda":
            raise UnsupportedError("CUDA graphs need buffers on a GPU and backend=nccl")
        super().set_up()
        self._captured: Call | None = None

    def take(self, iteration: int) -> Sample:
        if self._captured is None:
            graph = torch.cuda.CUDAGraph()
            torch.cuda.synchronize(self.device)
            with torch.cuda.graph(graph):
                self._queue()
            self._captured = self._queue = graph.replay
        return super().take(iteration)


class Cold(Arm):
    """Buffers rotate through a pool larger than the last-level cache."""

    def set_up(self) -> None:
        cache_bytes = last_level_cache_bytes(self.device)
        if cache_bytes is None:
            raise UnsupportedError("the size of the last-level cache is not known here")
        wanted_bytes = CACHE_MULTIPLE * cache_bytes
        # The same number on every rank, whatever its cache: making a persistent request is a collective call.
        number = max(2, min(MAX_COLD_SLOTS, POOL_BYTES // max(1, self.workload.most_bytes)))
        self.slots += [self.workload.slot() for _ in range(number - 1)]
        filler_bytes = max(0, wanted_bytes - number * self.workload.num_bytes) // number
        self._filler = torch.zeros((number, filler_bytes), dtype=torch.uint8, device=self.device)
        for slot in self.slots:
            slot.prepare()

    def take(self, iteration: int) -> Sample:
        place = iteration % len(self.slots)
        slot = self.slots[place]
        sample = self.setting.timed(slot.call, iteration)
        self.check(slot)
        slot.prepare()  # for its next turn, by which time it has left the cache
        self._fill(place)
        return sample

    def first_call(self) -> Sample:
        sample = super().first_call()
        self.slots[0].prepare()
        return sample

    def _fill(self, place: int) -> None:
        row = self._filler[place]
        if self.device.type == "cpu":
            touch(row)
        else:
            row.add_(1)


class Overlap(Arm):
    """A call posted, a matrix product computed, the call waited for; and each of the two alone, for comparison."""

    def set_up(self) -> None:
        post = self.slots[0].post
        if post is None:
            raise UnsupportedError("this call cannot be split into starting and waiting")
        self._post = post
        rows = MATRIX_ROWS if self.device.type == "cpu" else MATRIX_ROWS_ON_GPU
        self._matrix = torch.ones((rows, rows), device=self.device) / rows
        self._product = torch.empty_like(self._matrix)
        self._num_products = 0
        self._alone_s: list[float] = []
        self._compute_s: list[float] = []

    def extras(self) -> dict[str, list[float]]:
        return {"communication_s": self._alone_s, "compute_s": self._compute_s}

    def settle(self, call_s: float, agree: Callable[[float], float]) -> None:
        """Choose how many products last about as long as the call alone; the same number on every rank."""
        slot = self.slots[0]
        calls_s = [self._one(slot, slot.call, -1).duration_s for _ in range(SETTLING_CALLS)]
        self._num_products = 1
        products_s = [self.setting.timed(self._compute, -1).duration_s for _ in range(SETTLING_CALLS)]
        typical_s, one_s = agree(statistics.median(calls_s)), agree(statistics.median(products_s))
        self._num_products = max(1, round(typical_s / one_s))

    def take(self, iteration: int) -> Sample:
        slot = self.slots[0]
        alone = self._one(slot, slot.call, -1)
        compute = self.setting.timed(self._compute, -1)
        both = self._one(slot, self._both, iteration)
        self._alone_s.append(alone.duration_s)
        self._compute_s.append(compute.duration_s)
        was_late = alone.was_late_host or compute.was_late_host or both.was_late_host
        return dataclasses.replace(both, was_late_host=was_late)

    def forget(self) -> None:
        self._alone_s.clear()
        self._compute_s.clear()

    def _compute(self) -> None:
        for _ in range(self._num_products):
            torch.mm(self._matrix, self._matrix, out=self._product)

    def _both(self) -> None:
        wait = self._post()
        self._compute()
        wait()


PASSES: Final[dict[str, type[Arm]]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "graph": Graph,
    "cold": Cold,
    "overlap": Overlap,
}
