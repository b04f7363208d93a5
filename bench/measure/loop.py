"""The measuring loop. It knows neither torch nor what it measures; the clock is a parameter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Stopwatch(Protocol):
    """Times one operation to its completion."""

    def elapsed_s(self, operation: Callable[[], None]) -> float:
        """Run ``operation`` once and return its duration, in seconds."""
        ...

    def now_s(self) -> float:
        """Monotonic time of this rank, in seconds; only differences mean anything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One call on one rank: when it began (monotonic) and how long it took, in seconds."""

    start_s: float
    duration_s: float


def take_samples(
    operation: Callable[[], None],
    stopwatch: Stopwatch,
    num_samples: int,
    *,
    align: Callable[[], None],
) -> list[Sample]:
    """Time ``operation`` ``num_samples`` times; ``align`` brings the ranks together before each, outside the clock."""
    samples = []
    for _ in range(num_samples):
        align()
        start_s = stopwatch.now_s()
        samples.append(Sample(start_s=start_s, duration_s=stopwatch.elapsed_s(operation)))
    return samples
