"""`Arm`: one side of one point, what each start of the processes measured."""

from dataclasses import dataclass

import numpy as np

from bench.model.interval import Series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """One point of one side.

    Attributes:
        starts_s: for each start of the processes its samples (slowest rank of each iteration, seconds) in the
            order of measurement; shape (num_starts,) of (num_samples,). One number alone is what another
            program reported.
        rounding_s: for each start the lowest and the highest value that would have been printed alike; empty:
            all exact.

    Raises:
        ValueError: no start, one without samples, a duration that is not positive and finite, or rounding
            that does not fit.
    """

    starts_s: tuple[Series, ...]
    rounding_s: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.starts_s:
            raise ValueError(
                "starts_s is empty; one side of a comparison needs at least one start of the processes"
            )
        for number, samples_s in enumerate(self.starts_s):
            if np.ndim(samples_s) != 1 or len(samples_s) == 0:
                raise ValueError(
                    f"starts_s: start {number} has shape {np.shape(samples_s)}; it must be a series of at least one duration"
                )
            is_good = np.isfinite(samples_s) & (np.asarray(samples_s) > 0)
            if not is_good.all():
                place = int(is_good.argmin())
                raise ValueError(
                    f"starts_s: sample {place} of start {number} is {samples_s[place]}; durations are positive and finite. "
                    "Reject and count such samples before comparing"
                )
        if self.rounding_s and len(self.rounding_s) != len(self.starts_s):
            raise ValueError(
                f"rounding_s has {len(self.rounding_s)} entries for {len(self.starts_s)} starts; give one for each, or none"
            )
        for number, ((low_s, high_s), value_s) in enumerate(
            zip(self.rounding_s, self.values_s, strict=False)
        ):
            if not 0 < low_s <= value_s <= high_s < np.inf:
                raise ValueError(
                    f"rounding_s: start {number} lies at {value_s} s, outside {low_s} to {high_s} s; the interval holds the value"
                )

    @property
    def num_starts(self) -> int:
        return len(self.starts_s)

    @property
    def values_s(self) -> Series:
        """The median of each start; shape (num_starts,)."""
        return np.array([np.median(samples_s) for samples_s in self.starts_s])

    @property
    def has_samples(self) -> bool:
        """Whether every start has more than one number."""
        return all(len(samples_s) > 1 for samples_s in self.starts_s)

    def rounding(self) -> tuple[float, float]:
        """How far rounding may have moved the mean of ln(value) over the starts: (down, up)."""
        if not self.rounding_s:
            return 0.0, 0.0
        low_s, high_s = np.array(self.rounding_s).T
        logs = np.log(self.values_s)
        return float((logs - np.log(low_s)).mean()), float((np.log(high_s) - logs).mean())
