"""`TimingPlan`: how often a point is measured, and when it is given up."""

from dataclasses import dataclass
from typing import Final

LONGEST_S: Final = 7 * 24 * 3600
LARGEST_PRIME_BYTES: Final = 2**28


@dataclass(kw_only=True)
class TimingPlan:
    """How one point is sampled.

    Attributes:
        num_warmups: calls before the first sample; they open connections, and their duration plans the rest.
        num_iterations: samples to take. None: between ``min_iterations`` and ``max_iterations``, as many as fit
            into ``fill_s``, all that surrounds a call included.
        budget_s: no further sample is begun after so many seconds; the point then carries the warning ``budget``.
        timeout_s: a single call that lasts longer has hung; the run ends with exit status 3.
        prime_bytes: sent around the ring of ranks before each call, untimed. On the emulated fabric it empties the
            token buckets, so that calls do not start with what the links have saved while idle.
    """

    num_warmups: int = 2
    num_iterations: int | None = None
    min_iterations: int = 21
    max_iterations: int = 200
    fill_s: float = 0.4
    budget_s: float = 60.0
    timeout_s: float = 120.0
    prime_bytes: int = 0

    def __post_init__(self) -> None:
        for key, least in (("num_warmups", 1), ("min_iterations", 1), ("max_iterations", 1)):
            if getattr(self, key) < least:
                raise ValueError(f"timing.{key} is {getattr(self, key)}; it must be at least {least}")
        if self.num_iterations is not None and self.num_iterations < 1:
            raise ValueError(
                f"timing.num_iterations is {self.num_iterations}; it must be at least 1 (or null: as many as fit)"
            )
        for key in ("budget_s", "timeout_s"):
            if not 0 < getattr(self, key) <= LONGEST_S:
                raise ValueError(
                    f"timing.{key} is {getattr(self, key)}; it is a duration in seconds above 0, a week at most"
                )
        if not 0 <= self.prime_bytes <= LARGEST_PRIME_BYTES:
            raise ValueError(
                f"timing.prime_bytes is {self.prime_bytes}; allowed is 0 to {LARGEST_PRIME_BYTES}"
            )
        if not 0 <= self.fill_s <= LONGEST_S:
            raise ValueError(f"timing.fill_s is {self.fill_s}; it is a duration in seconds, not below 0")

    def planned_iterations(self, call_s: float) -> int:
        """Samples for calls that take about ``call_s`` seconds each, with all that surrounds them."""
        if self.num_iterations is not None:
            return self.num_iterations
        fitting = int(self.fill_s / call_s) if call_s > 0 else self.max_iterations
        return min(max(fitting, self.min_iterations), max(self.max_iterations, self.min_iterations))
