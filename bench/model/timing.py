"""`TimingPlan`: how often a point is measured, and when it is given up."""

from dataclasses import dataclass
from typing import Final

LONGEST_S: Final = 7 * 24 * 3600
MOST_WARMUPS: Final = 1000
LARGEST_PRIME_BYTES: Final = 2**28


@dataclass(kw_only=True)
class TimingPlan:
    """How one point is sampled.

    Attributes:
        num_warmups: calls before the first sample; they open connections, and their duration plans the rest.
        num_iterations: samples to take. None: at least ``min_iterations``, then until the interval of the median is
            narrow enough or the time is over.
        max_iterations: no more samples than these.
        target_width: width of the 95 % interval of the median over the median at which sampling stops. None: never.
        fill_s: time for one point, all that surrounds a call included; once ``min_iterations`` are there, sampling stops
            when it is over.
        budget_s: no further sample is begun after so many seconds, whatever is lacking; the point then carries the
            warning ``budget``.
        timeout_s: deadline of a point, counted anew for every step that it makes (a block of samples, at most half a
            second of them): one that takes longer has hung, and the run ends with exit status 3. A point therefore
            ends at the latest after ``budget_s`` + ``timeout_s``.
        prime_bytes: sent around the ring of ranks before each call, untimed. On the emulated fabric it empties the
            token buckets, so that calls do not start with what the links have saved while idle.
        report: ``bmwg`` writes the report fields of the IETF draft (bmwg.json, bmwg.csv) into the run folder.
    """

    num_warmups: int = 2
    num_iterations: int | None = None
    min_iterations: int = 21
    max_iterations: int = 200
    target_width: float | None = 0.05
    fill_s: float = 0.4
    budget_s: float = 60.0
    timeout_s: float = 120.0
    prime_bytes: int = 0
    report: str | None = None

    def __post_init__(self) -> None:
        for key, least in (("num_warmups", 1), ("min_iterations", 1), ("max_iterations", 1)):
            if getattr(self, key) < least:
                raise ValueError(f"timing.{key} is {getattr(self, key)}; it must be at least {least}")
        if self.num_warmups > MOST_WARMUPS:
            raise ValueError(f"timing.num_warmups is {self.num_warmups}; at most {MOST_WARMUPS} are made")
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
        if self.report not in (None, "bmwg"):
            raise ValueError(f"timing.report is {self.report!r}; there is bmwg, or null for none")
        if self.target_width is not None and not 0 < self.target_width < 1:
            raise ValueError(
                f"timing.target_width is {self.target_width}; it is a share of the median, above 0 and below 1 (0.05: "
                "until the interval is 5 % wide), or null"
            )
        if self.max_iterations < self.min_iterations:
            raise ValueError(
                f"timing.max_iterations is {self.max_iterations}, below timing.min_iterations {self.min_iterations}"
            )
        if not 0 <= self.fill_s <= LONGEST_S:
            raise ValueError(f"timing.fill_s is {self.fill_s}; it is a duration in seconds, not below 0")
