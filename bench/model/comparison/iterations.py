"""`compare_iterations`: one start of each side by its iterations; how starts differ is not in it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model.comparison.power import iteration_multiple
from bench.model.interval import LAG_SHARE, Series

MIN_SAMPLES: Final = 6
"""Per side. From here on false alarms were simulated and are as rare as promised
(docs/measured/comparison.md); with fewer, the autocorrelation of neighbours would rest on less than 5 pairs
of them."""

MOST_QUANTILES: Final = 2048
"""Longer series are represented by so many quantiles where ratios are searched. At a million samples that
moves a ratio by 3 % of its standard error (with 1024 by 14 %), and the search takes milliseconds."""

MOST_BATCHES: Final = 4096
"""Longer series are cut into so many batches where their autocorrelation is summed; the variance of a sum
does not change by that, and a slow drift of a million samples would cost minutes otherwise."""

FURTHEST: Final = 0.45
"""Distances to the ratio are read off the pairs as far as their 5 % and 95 % quantiles, and grow in
proportion beyond. Pairs further out are those of a few extreme samples. A mode of 6 % of the samples or more
makes up over 5 % of the pairs on each side, so it is within."""

RESOLUTION: Final = 1e-9
"""Of logarithms of ratios; the search is finer, and no clock is as fine."""

BISECTIONS: Final = 36
"""Of a range of logarithms that is rarely above 10: down to 2e-10."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """All ratios of one new sample to one of the base, as logarithms.

    Attributes:
        base, new: sorted; shapes (num_base,), (num_new,), or quantiles of them.
    """

    base: Series
    new: Series

    def share_above(self, log_ratio: float) -> float:
        """Share of the pairs whose ratio is larger; equal ones count half."""
        shifted = self.new - log_ratio
        twice = int(
            self.base.searchsorted(shifted, "left").sum() + self.base.searchsorted(shifted, "right").sum()
        )
        return twice / (2 * len(self.base) * len(self.new))  # one division, so that a half is exactly a half

    def edge(self, is_below: Callable[[float], bool]) -> float:
        """Where ``is_below`` of a log ratio turns from True to False, by bisection; it must do so once."""
        low = float(self.new[0] - self.base[-1]) - RESOLUTION
        high = float(self.new[-1] - self.base[0]) + RESOLUTION
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if is_below(middle) else (low, middle)
        return (low + high) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationNoise:
    """How well the iterations of two starts place their ratio.

    Attributes:
        pairs: logarithms of all ratios. centre: their median.
        standard_error: of the share of pairs above a ratio.
        freedom: degrees of freedom of standard_error where it makes a threshold.
        fluctuation: those that its scatter from run to run corresponds to: freedom / (2 inflation), for the
            inflation is estimated too, and scatters more the larger it is; chosen so that `detectable_ratio`
            holds.
    """

    pairs: Pairs
    centre: float
    standard_error: float
    freedom: float
    fluctuation: float

    def distance(self, share: float, *, upwards: bool) -> float:
        """From the centre to where the share of pairs has changed by so much, be it above `FURTHEST`."""
        within = min(share, FURTHEST)
        if upwards:
            end = self.pairs.edge(lambda q: self.pairs.share_above(q) >= 0.5 - within)
        else:
            end = self.pairs.edge(lambda q: self.pairs.share_above(q) > 0.5 + within)
        return (abs(end - self.centre) + RESOLUTION) * share / within

    def share_of(self, distance: float, *, upwards: bool) -> float:
        """The inverse of `distance` beyond `FURTHEST`; 1/2 where pairs do not scatter."""
        furthest = self.distance(FURTHEST, upwards=upwards)
        return FURTHEST * distance / furthest if furthest > 2 * RESOLUTION else 0.5

    def detectable_ratio(self, significance: float, power: float) -> float | None:
        """The ratio above 1 that a repetition finds with ``power``; None where it exceeds every number."""
        multiple = iteration_multiple(_rounded(self.freedom), _rounded(self.fluctuation), significance, power)
        distance = self.distance(multiple * self.standard_error, upwards=False)
        return math.exp(distance) if distance < math.log(np.finfo(np.float64).max) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationRatio:
    ratio: float
    low: float
    high: float
    p_value: float
    noise: IterationNoise


def compare_iterations(base_s: Series, new_s: Series, confidence: float) -> IterationRatio:
    """The typical ratio of a new duration to one of the base, with an interval and a test.

    The ratio r is the median over all pairs of one new and one base sample (Hodges and Lehmann, on
    logarithms). With P(q) the share of pairs whose ratio exceeds q, P(r) = 1/2, and

        interval  |P(q) - 1/2| <= t se       p-value  of t = |P(1) - 1/2| / se,

    two-sided, Student's t. P cannot leave 0 to 1, while differences know no bound: beyond `FURTHEST` a
    distance from r, in logarithms, grows in proportion to its share. se is that of P where both sides are
    equal, from samples aligned by r: P is the mean of the placements of either side among the other, so se**2
    = v (var_base / num_base + var_new / num_new) with the variances of placements, never below 1/12 (ties),
    and v the inflation by autocorrelation (`_inflation`). That is the closed form of drawing blocks of
    iterations infinitely often, with blocks as long as the autocorrelation asks; drawing them has no p-value
    as small as one among 200 points must be.

    Why not the ratio of medians: a third of what the samples say is lost with it, and where two modes
    alternate it jumps from one to the other by chance. Where one side is the other times a constant, both are
    the same ratio.

    Shape: (num_base,), (num_new,), in the order of measurement, at least `MIN_SAMPLES` of each.
    Source:
        Estimate: Hodges and Lehmann 1963, Annals of Mathematical Statistics 34(2). Placements, and their
        variance where spreads differ: Fligner and Policello 1981, Journal of the American Statistical
        Association 76; Brunner and Munzel 2000, Biometrical Journal 42(1). Bootstrap of blocks: Kuensch 1989,
        Annals of Statistics 17(3).
    """
    from scipy.special import stdtr, stdtrit

    base, new = np.log(base_s), np.log(new_s)
    pairs = Pairs(base=_quantiles(base), new=_quantiles(new))
    ends = pairs.edge(lambda q: pairs.share_above(q) > 0.5), pairs.edge(lambda q: pairs.share_above(q) >= 0.5)
    centre = sum(ends) / 2
    of_base, of_new = _placements(base, pairs.new - centre), _placements(new - centre, pairs.base)
    least = 1 / 12  # of a uniform distribution, which placements have without ties
    parts = (
        max(float(of_base.var(ddof=1)), least) / len(base),
        max(float(of_new.var(ddof=1)), least) / len(new),
    )
    inflation = _inflation(of_base, of_new)
    freedom = _freedom(parts, (len(base) / inflation, len(new) / inflation))
    noise = IterationNoise(
        pairs=pairs,
        centre=centre,
        standard_error=math.sqrt(inflation * sum(parts)),
        freedom=freedom,
        fluctuation=max(1.0, freedom / (2 * inflation)),
    )
    share = abs(pairs.share_above(0.0) - 0.5)
    if share >= FURTHEST:
        share = max(FURTHEST, noise.share_of(abs(centre), upwards=centre < 0))
    reach = float(stdtrit(freedom, (1 + confidence) / 2)) * noise.standard_error
    return IterationRatio(
        ratio=math.exp(centre),
        low=math.exp(centre - noise.distance(reach, upwards=False)),
        high=math.exp(centre + noise.distance(reach, upwards=True)),
        p_value=min(1.0, 2 * float(stdtr(freedom, -share / noise.standard_error))),
        noise=noise,
    )


def _rounded(freedom: float) -> float:
    """To 3 digits, so that points share what is computed from it."""
    return float(f"{freedom:.3g}")


def _placements(values: Series, others: Series) -> Series:
    """Share of the sorted ``others`` below each value; equal ones count half. Shape of ``values``."""
    counts: Series = (others.searchsorted(values, "left") + others.searchsorted(values, "right")) / (
        2.0 * len(others)
    )
    return counts


def _quantiles(logs: Series) -> Series:
    """Sorted; of a long series the middle of each of `MOST_QUANTILES` equal shares."""
    ordered = np.sort(logs)
    if len(ordered) <= MOST_QUANTILES:
        return ordered
    return ordered[((np.arange(MOST_QUANTILES) + 0.5) * len(ordered) / MOST_QUANTILES).astype(np.intp)]


def _freedom(parts: tuple[float, float], effective: tuple[float, float]) -> float:
    """Welch and Satterthwaite's, of a sum of two variances from so many effective samples; at least 1."""
    shares = [part / sum(parts) for part in parts]
    pooled = 1 / sum(share**2 / max(number - 1, 1.0) for share, number in zip(shares, effective, strict=True))
    return max(1.0, pooled)


def _inflation(first: Series, second: Series) -> float:
    """Variance of mean(first) - mean(second) over that of independent values; at least 1.

    As `bench.model.interval.variance_inflation`, but of the autocovariances c_k of both series together, each
    over its number of samples. One sum over twice as many samples scatters less than two sums, which few
    samples can do with, and both sides need not be alike for it.

    Shape: (num_base,), (num_new,).
    """
    series = [_batches(one - one.mean()) for one in (first, second)]
    length = min(map(len, series))
    plain = sum(float(one @ one) / len(one) ** 2 for one in (first - first.mean(), second - second.mean()))
    if plain == 0:
        return 1.0

    def covariance(lag: int) -> float:
        return sum(float(one[: len(one) - lag] @ one[lag:]) / len(one) ** 2 for one in series)

    total, least, num_lags = 0.0, math.inf, 0
    for lag in range(0, length // LAG_SHARE, 2):
        pair = covariance(lag) + covariance(lag + 1)
        if pair <= 0:
            break
        least = min(least, pair)
        total += least
        num_lags = lag + 1
    return max(1.0, (2 * total - covariance(0)) / plain / (1 - 2 * num_lags / length))


def _batches(centred: Series) -> Series:
    """Means of `MOST_BATCHES` batches of neighbours; the series itself where it is no longer."""
    size = len(centred) // MOST_BATCHES
    if size < 2:
        return centred
    kept = len(centred) // size * size
    means: Series = centred[:kept].reshape(-1, size).mean(axis=1)
    return means
