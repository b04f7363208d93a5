"""`Reported`: a point that another program has measured. It holds what that program printed, not samples."""

from dataclasses import dataclass, field
from typing import Final

LOOP_MEAN_RANK_MEAN: Final = "mean over ranks of loop mean"
"""nccl-tests and rccl-tests by default (-a 1)."""
LOOP_MEAN_RANK_MAX: Final = "maximum over ranks of loop mean"
"""nccl-tests -a 3."""
LOOP_MEAN_RANK_MIN: Final = "minimum over ranks of loop mean"
LOOP_MEAN_RANK_0: Final = "loop mean of rank 0"
"""nccl-tests -a 0."""
MEAN_RANK_MEAN: Final = "mean over ranks of mean over iterations"
"""OSU's Avg."""


@dataclass(kw_only=True)
class Reported:
    """What a log of another benchmark says of one point. Durations are in seconds, of one call.

    Attributes:
        statistic: what time_s is, in words: ``mean over ranks of loop mean``.
        time_s: None where the program printed none, or one that is no positive, finite number.
        time_low_s, time_high_s: times that would have been printed alike; both are time_s where it was stored in full.
        busbw_bytes_per_s: as printed; used where no number of ranks is known from which to compute it.
        num_iterations: that the time rests on; None where not told.
        statistics: further numbers by name (``min_s``, ``p99_s``, ``stdev_s``, ...), over what ``statistics_of`` says.
        line: of the file, counted from 1; None in JSON.
    """

    statistic: str
    time_s: float | None
    time_low_s: float | None
    time_high_s: float | None
    busbw_bytes_per_s: float | None = None
    num_iterations: int | None = None
    statistics: dict[str, float] = field(default_factory=dict)
    statistics_of: str | None = None
    root: int | None = None
    line: int | None = None
