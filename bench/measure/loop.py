"""One timed operation. This file knows neither torch nor what it measures; the clock is a parameter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timed operation on one rank.

    Attributes:
        start_s: when it began, on this rank's monotonic clock.
        duration_s: how long it took to its completion.
        was_late_host: the device had to wait for the host to queue the operation, so that the host was timed in part.
    """

    start_s: float
    duration_s: float
    was_late_host: bool = False


class Stopwatch(Protocol):
    """Times one operation to its completion."""

    @property
    def resolution_s(self) -> float:
        """The smallest step that its readings show, in seconds."""
        ...

    def now_s(self) -> float:
        """Monotonic time of this rank, in seconds; only differences mean anything."""
        ...

    def time(self, operation: Callable[[], object], align: Callable[[], object]) -> Sample:
        """Bring the ranks together with ``align``, then run ``operation`` once; nothing lies between the two but the clock."""
        ...
