"""Host clock and CUDA events behind the protocol of `bench.measure.loop`."""

import itertools
import time
from collections.abc import Callable
from typing import Final

import torch

from bench.measure.loop import Sample

NS_PER_S: Final = 1e9
MS_PER_S: Final = 1e3

HOLD_CYCLES: Final = 2_000_000
"""The stream is kept busy for so many cycles (1 ms at 2 GHz) while the host queues the alignment and the operation: a call of
torch.distributed takes the host 20 to 30 us, and would be timed if the device waited for it."""


class HostStopwatch:
    """``perf_counter_ns`` around an operation that returns when it is complete."""

    def __init__(self) -> None:
        self.resolution_s = _smallest_step_s()

    def time(self, operation: Callable[[], object], align: Callable[[], object]) -> Sample:
        clock = (
            time.perf_counter_ns
        )  # looked up before: what runs after the barrier is part of how far ranks are apart
        align()
        start_ns = clock()
        operation()
        end_ns = clock()
        return Sample(start_s=start_ns / NS_PER_S, duration_s=(end_ns - start_ns) / NS_PER_S)

    def now_s(self) -> float:
        return time.perf_counter_ns() / NS_PER_S


class SynchronisingStopwatch(HostStopwatch):
    """The host's clock around an operation on GPU memory that the host carries out (gloo), to the end of the stream."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def time(self, operation: Callable[[], object], align: Callable[[], object]) -> Sample:
        def to_the_end() -> None:
            operation()
            torch.cuda.synchronize(self._device)

        return super().time(to_the_end, align)


class CudaStopwatch:
    """CUDA events on the current stream around an operation that is only queued when it returns.

    The order on the stream is: busy, aligned with the other ranks, begin, operation, end. If ``begin`` has already passed when
    everything is queued, the host was too slow, and the sample says so.
    """

    resolution_s = 0.5e-6
    """Of ``elapsed_time``. Source: CUDA Runtime API, ``cudaEventElapsedTime``, about 0.5 microseconds."""

    def __init__(self, device: torch.device, align_on_device: Callable[[], None]) -> None:
        self._device, self._align = device, align_on_device
        self._begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def time(self, operation: Callable[[], object], align: Callable[[], object]) -> Sample:
        align()
        stream = torch.cuda.current_stream(self._device)
        start_s = self.now_s()
        torch.cuda._sleep(HOLD_CYCLES)  # type: ignore[no-untyped-call]
        self._align()
        self._begin.record(stream)
        operation()
        self._end.record(stream)
        was_late = bool(self._begin.query())  # type: ignore[no-untyped-call]
        self._end.synchronize()
        duration_s = float(self._begin.elapsed_time(self._end)) / MS_PER_S
        return Sample(start_s=start_s, duration_s=duration_s, was_late_host=was_late)

    def now_s(self) -> float:
        return time.perf_counter_ns() / NS_PER_S


def _smallest_step_s() -> float:
    """The smallest difference of two readings that follow one another, of 1000: the clock's step plus one reading."""
    readings = [time.perf_counter_ns() for _ in range(1001)]
    steps = [after - before for before, after in itertools.pairwise(readings) if after > before]
    return min(steps, default=1) / NS_PER_S
