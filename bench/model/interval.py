"""`MedianInterval`: where the true median lies, without assuming a distribution or independent samples."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
"""Shape (num_samples,), in the order of measurement."""

CONFIDENCE: Final = 0.95

LAG_SHARE: Final = 4
"""Autocorrelations beyond lag n / 4 rest on too few pairs (Box and Jenkins, Time Series Analysis, 2.1)."""

MIN_EFFECTIVE: Final = 100
"""Effective samples below which `is_narrow_enough` never stops. Who stops at the first narrow interval picks
the moment at which the autocorrelation looks smaller than it is; with AR(1) of 0.5 the interval then covers
the median in 89 % of runs. From 100 on it is at least 93 %; 50, the other round number that was tried, falls
a little short of that. Chosen with seeds other than those of docs/measured/interval-coverage.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianInterval:
    """The median of one series and where the true one lies.

    Attributes:
        num_effective: independent samples that would place the median as well as these; at most their number.
        lag1_autocorrelation: of the series "below or above the median", on which the interval depends.
    """

    median_s: float
    low_s: float
    high_s: float
    num_effective: float
    lag1_autocorrelation: float

    @property
    def relative_width(self) -> float:
        """(high - low) / median; infinite for a median that is no duration (zero or below)."""
        return (self.high_s - self.low_s) / self.median_s if self.median_s > 0 else math.inf


def median_interval(
    durations_s: Sequence[float] | Series, confidence: float = CONFIDENCE
) -> MedianInterval | None:
    """Interval [x_(k), x_(n+1-k)] of the median of samples in the order of measurement.

    None below 6 samples, for 95 %. For independent samples k is `median_interval_rank`. Otherwise n_e = n / v
    samples count, where v is the variance of the number of samples below the median over the n / 4 of
    independent ones (`variance_inflation` of the signs of x - median), and k is `effective_rank`. Never
    narrower than for independent samples, never wider than [minimum, maximum], which is all that few samples
    can say. What this covers is in docs/measured/interval-coverage.md.

    Shape: (num_samples,) to one interval. Units: seconds.
    Raises:
        ValueError: a sample that is not finite.
    Source:
        Interval: David and Nagaraja, Order Statistics, section 7.1. Effective number from the indicator of a
        quantile: Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021, Bayesian Analysis 16(2).
    """
    series = finite_series(durations_s)
    rank = median_interval_rank(len(series), confidence)
    if rank == 0:
        return None
    ordered = np.sort(series)
    median_s = median_of(ordered)
    signs = np.sign(series - median_s)
    inflation = variance_inflation(signs)
    num_effective = len(series) / inflation
    rank = effective_rank(len(series), num_effective, confidence)
    # Centring takes inflation / n from each autocorrelation, as in `variance_inflation`.
    lag1 = min(1.0, lag1_autocorrelation(signs) + inflation / len(series))
    return MedianInterval(
        median_s=median_s,
        low_s=float(ordered[rank - 1]),
        high_s=float(ordered[-rank]),
        num_effective=num_effective,
        lag1_autocorrelation=lag1,
    )


def is_narrow_enough(durations_s: Sequence[float] | Series, target_relative_width: float) -> bool:
    """Whether sampling may stop.

    It may where the 95 % interval is at most ``target_relative_width`` times the median wide and rests on
    `MIN_EFFECTIVE` effective samples; never with a sample that is not finite, which no further one mends.
    Look again only when there are a quarter more samples or so: each look is a chance to stop too early.

    Raises:
        ValueError: a target that is not above 0.
    """
    if not target_relative_width > 0:
        raise ValueError(
            f"target_relative_width is {target_relative_width}; it is a share of the median above 0 (0.05)"
        )
    if len(durations_s) < MIN_EFFECTIVE or not np.isfinite(durations_s).all():
        return False
    interval = median_interval(durations_s)
    return (
        interval is not None
        and interval.num_effective >= MIN_EFFECTIVE
        and interval.relative_width <= target_relative_width
    )


@functools.lru_cache(maxsize=1024)
def median_interval_rank(num_samples: int, confidence: float = CONFIDENCE) -> int:
    """Largest k such that [x_(k), x_(n+1-k)] covers the median with ``confidence``; 0 where no interval does.

    Coverage is 1 - 2 P(Binomial(n, 1/2) <= k - 1) for independent samples: 6 are needed for 95 %, 8 for 99 %.

    Raises:
        ValueError: a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; allowed is above 0 and below 1, such as 0.95")
    if num_samples < 1:
        return 0
    # Late: importing it takes 0.3 s, which nobody should spend who only prints.
    from scipy.special import bdtr, bdtrik

    def outside(rank: int) -> float:
        return 2 * float(bdtr(rank - 1, num_samples, 0.5)) if rank else 0.0

    k = int(bdtrik((1 - confidence) / 2, num_samples, 0.5))  # at most one off; the exact sum decides
    while 2 * (k + 1) <= num_samples and outside(k + 1) <= 1 - confidence:
        k += 1
    while outside(k) > 1 - confidence:
        k -= 1
    return k


def effective_rank(num_samples: int, num_effective: float, confidence: float = CONFIDENCE) -> int:
    """The rank k of the interval where n samples place the median like ``num_effective`` independent ones.

    k = floor((n + 1) q), q the (1 - confidence) / 2 quantile of Beta((n_e + 1) / 2, (n_e + 1) / 2), which is
    where the median of n_e independent samples lies in their distribution. The binomial sum gives the same k
    within about a tenth of a rank, but is awkward for an n_e that is no whole number. At least 1 where n
    samples have an interval at all, and at most `median_interval_rank` of n.
    """
    independent = median_interval_rank(num_samples, confidence)
    if independent == 0 or num_effective >= num_samples:
        return independent
    from scipy.special import betaincinv

    half = (num_effective + 1) / 2
    share = float(betaincinv(half, half, (1 - confidence) / 2))
    return min(independent, max(1, int((num_samples + 1) * share)))


def variance_inflation(series: Series, num_fitted: int = 1) -> float:
    """Variance of the sum of an autocorrelated series over that of independent values; at least 1.

    v = 2 (P_0 + P_1 + ...) - 1 with the pairs P_j = r_2j + r_2j+1 of autocorrelations r (r_0 = 1), until a
    pair is not positive, and none larger than the one before. This holds for stationary reversible series, of
    which AR(1) is one, AR(1) under noise and switching between states are others; no order has to be chosen.

    Removing the mean takes about v / n from each autocorrelation, so that the sum over 2 L lags is short of v
    by the share 2 L / n; each further fitted quantity (a slope, a step) takes as much again. v is divided by
    1 - 2 L num_fitted / n, and lags end at n / (4 num_fitted), so at no more than one half.

    Shape: (num_samples,), from which ``num_fitted`` quantities, the mean among them, are or will be removed.
    Source:
        Pairs: Geyer 1992, Statistical Science 7(4), section 3.3 (initial monotone sequence). Bias of an
        autocorrelation with estimated mean: Marriott and Pope 1954, Biometrika 41; Kendall 1954, the same
        volume.
    """
    n = len(series)
    centred = series - series.mean()
    square = float(centred @ centred)
    if square == 0:
        return 1.0
    total, pair, num_lags = 0.0, math.inf, 0
    for lag in range(0, n // (LAG_SHARE * num_fitted), 2):
        even = float(centred[: n - lag] @ centred[lag:])
        odd = float(centred[: n - lag - 1] @ centred[lag + 1 :])
        if even + odd <= 0:
            break
        pair = min(pair, (even + odd) / square)
        total += pair
        num_lags = lag + 1
    return max(1.0, (2 * total - 1) / (1 - 2 * num_lags * num_fitted / n))


def lag1_autocorrelation(series: Series) -> float:
    """r_1 = sum (x_t - mean) (x_t+1 - mean) / sum (x_t - mean)**2; 0 for a constant series."""
    centred = series - series.mean()
    square = float(centred @ centred)
    return float(centred[:-1] @ centred[1:]) / square if square else 0.0


def finite_series(durations_s: Sequence[float] | Series) -> Series:
    """The samples as an array. Raises ValueError where one is not finite, naming it."""
    series = np.asarray(durations_s, dtype=np.float64)
    is_finite = np.isfinite(series)
    if not is_finite.all():
        worst = int(is_finite.argmin())
        raise ValueError(
            f"sample {worst} is {series[worst]}, which is no duration; reject and count such samples, then "
            "summarise the others"
        )
    return series


def median_of(ordered: Series) -> float:
    """The middle value of sorted samples, or the mean of the two in the middle."""
    return (float(ordered[(len(ordered) - 1) // 2]) + float(ordered[len(ordered) // 2])) / 2
