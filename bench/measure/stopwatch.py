"""Host clock and CUDA events behind the protocol of `bench.measure.loop`."""

import time
from collections.abc import Callable
from typing import Final

import torch

NS_PER_S: Final = 1e9
MS_PER_S: Final = 1e3


class HostStopwatch:
    """``perf_counter_ns`` around an operation that returns when it is complete."""

    def elapsed_s(self, operation: Callable[[], None]) -> float:
        start_ns = time.perf_counter_ns()
        operation()
        return (time.perf_counter_ns() - start_ns) / NS_PER_S

    def now_s(self) -> float:
        return time.perf_counter_ns() / NS_PER_S


class CudaStopwatch:
    """CUDA events on the current stream around an operation that is only queued when it returns."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def elapsed_s(self, operation: Callable[[], None]) -> float:
        stream = torch.cuda.current_stream(self._device)
        self._begin.record(stream)
        operation()
        self._end.record(stream)
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) / MS_PER_S

    def now_s(self) -> float:
        return time.perf_counter_ns() / NS_PER_S
