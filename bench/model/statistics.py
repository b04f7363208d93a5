"""`Summary`: median with its interval, quantiles and moments of the samples of one point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model.interval import Series, finite_series, median_interval, median_of

MIN_SAMPLES_P99: Final = 100
"""Below this the nearest-rank p99 is the maximum, so none is given."""
MIN_SAMPLES_P95: Final = 20
"""The same for p95."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one point's samples say, in seconds. None: too few samples to say.

    Attributes:
        low_s, high_s: 95 % interval of the median, autocorrelation accounted for.
        cv: sample standard deviation (n - 1 in the denominator) over the mean.
        num_effective: independent samples that would place the median as well as these do.
    """

    num_samples: int
    median_s: float
    low_s: float | None
    high_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float
    mean_s: float
    min_s: float
    cv: float | None
    num_effective: float | None


def summarise(durations_s: Sequence[float]) -> Summary:
    """Describe samples, given in the order of measurement, without assuming a distribution.

    Quantiles are nearest-rank (an observed value). The interval is `median_interval`: neighbours that
    resemble each other count for less, so another order of the same samples can give another interval.

    Shape: (num_samples,) to one Summary. Units: seconds.
    Raises:
        ValueError: no samples, or one that is not finite.
    Source:
        Quantile: Hyndman and Fan 1996, definition 1.
    """
    if len(durations_s) == 0:
        raise ValueError("no samples to summarise")
    series = finite_series(durations_s)
    ordered = np.sort(series)
    n = len(ordered)
    interval = median_interval(series)
    mean_s = float(series.mean())
    return Summary(
        num_samples=n,
        median_s=median_of(ordered),
        low_s=interval.low_s if interval else None,
        high_s=interval.high_s if interval else None,
        p95_s=_percentile(ordered, 95) if n >= MIN_SAMPLES_P95 else None,
        p99_s=_percentile(ordered, 99) if n >= MIN_SAMPLES_P99 else None,
        max_s=float(ordered[-1]),
        mean_s=mean_s,
        min_s=float(ordered[0]),
        cv=_standard_deviation(series - mean_s) / mean_s if n > 1 and mean_s > 0 else None,
        num_effective=interval.num_effective if interval else None,
    )


def _percentile(ordered: Series, percent: int) -> float:
    """The smallest sample with at least ``percent`` of them at or below it; in whole numbers, so exact."""
    return float(ordered[-(-percent * len(ordered) // 100) - 1])


def _standard_deviation(deviations: Series) -> float:
    return math.sqrt(float(deviations @ deviations) / (len(deviations) - 1))
