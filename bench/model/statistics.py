"""Median, quantiles and a distribution-free interval of the median; facts about how stable the samples are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

CONFIDENCE: Final = 0.95
MIN_SAMPLES_P99: Final = 100
"""Below this the nearest-rank p99 is the maximum, so none is given."""
MIN_SAMPLES_P95: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Order statistics of one point, in seconds. None: too few samples to say."""

    num_samples: int
    median_s: float
    low_s: float | None
    high_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float


def summarise(durations_s: Sequence[float]) -> Summary:
    """Describe samples by their order, without assuming a distribution.

    Quantiles are nearest-rank (an observed value). The interval of the median is [x_(k), x_(n+1-k)] with the largest k
    for which it covers the median with at least 95 % if samples are independent.

    Shape: (num_samples,) to one Summary. Units: seconds.
    Raises:
        ValueError: no samples.
    Source:
        Interval: David and Nagaraja, Order Statistics, section 7.1. Quantile: Hyndman and Fan 1996, definition 1.
    """
    if len(durations_s) == 0:
        raise ValueError("no samples to summarise")
    ordered = np.sort(np.asarray(durations_s, dtype=np.float64))
    n = len(ordered)
    k = median_interval_rank(n)
    return Summary(
        num_samples=n,
        median_s=float(np.median(ordered)),
        low_s=float(ordered[k - 1]) if k else None,
        high_s=float(ordered[n - k]) if k else None,
        p95_s=_quantile(ordered, 0.95) if n >= MIN_SAMPLES_P95 else None,
        p99_s=_quantile(ordered, 0.99) if n >= MIN_SAMPLES_P99 else None,
        max_s=float(ordered[-1]),
    )


def median_interval_rank(num_samples: int, confidence: float = CONFIDENCE) -> int:
    """Largest k such that [x_(k), x_(n+1-k)] covers the median with ``confidence``; 0 where no interval does.

    Coverage is 1 - 2 P(Binomial(n, 1/2) <= k - 1): at least 6 samples are needed for 95 %.
    """

    from scipy.special import bdtr  # late: it takes 0.3 s, which no rank should spend before its first sample

    k = 0
    while 2 * (k + 1) <= num_samples and 2 * float(bdtr(k, num_samples, 0.5)) <= 1 - confidence:
        k += 1
    return k


def _quantile(ordered: "np.ndarray[tuple[int], np.dtype[np.float64]]", share: float) -> float:
    return float(np.quantile(ordered, share, method="inverted_cdf"))
