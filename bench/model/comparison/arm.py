"""`Arm`: one side of one point, what each start of the processes measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.model.interval import Series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """One point of one side.

    Attributes:
        starts_s: for each start of the processes its samples (slowest rank of each iteration, seconds) in the order of
            measurement; shape (num_starts,) of (num_samples,). One number alone is what another program reported.
        rounding_s: for each start the lowest and the highest value that would have been printed alike; empty: all exact.
    """

    starts_s: tuple[Series, ...]
    rounding_s: tuple[tuple[float, float], ...] = ()


def arm(*starts_s: Sequence[float] | Series) -> Arm:
    """From the samples of each start, in seconds. Raises ValueError for a start without samples or a duration that is none."""
    raise NotImplementedError
