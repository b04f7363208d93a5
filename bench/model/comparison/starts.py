"""`compare_starts`: two sides of which at least one was started several times. What differs from start to
start is in it."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model.comparison.arm import Arm
from bench.model.comparison.power import start_multiple
from bench.model.interval import Series

ARITHMETIC: Final = 1e-12
"""Logarithms of durations differ by more, or not at all: far above the rounding of float64, far below that of
any clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartNoise:
    """How well the starts place their ratio.

    Attributes:
        standard_error: of the logarithm of the ratio.
        rounding: how far its logarithm may be off because values were rounded.
    """

    standard_error: float
    rounding: float
    num_base: int
    num_new: int
    is_paired: bool

    def detectable_ratio(self, significance: float, power: float) -> float | None:
        """The ratio that a repetition finds with ``power``; None where it exceeds every number."""
        multiple = start_multiple(self.num_base, self.num_new, self.is_paired, significance, power)
        log_ratio = multiple * self.standard_error + self.rounding
        return math.exp(log_ratio) if log_ratio < math.log(np.finfo(np.float64).max) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRatio:
    ratio: float
    low: float
    high: float
    p_value: float
    noise: StartNoise


def compare_starts(base: Arm, new: Arm, confidence: float, *, is_paired: bool) -> StartRatio | None:
    """The ratio of the geometric means of the start medians; None where the starts of a side do not differ.

    On d = mean ln(new) - mean ln(base), a start counting as one value, whatever its number of samples:

        pairs              Student's t of ln(new_i / base_i), n - 1 degrees of freedom
        several on both    the more cautious of Welch's t and Student's with a common variance: the first is
                           too bold for 2 starts against many, the second where one side scatters more
        one on a side      Student's t of that one against the spread of the others, which stands for both

    A bootstrap that draws starts knows no more than what few starts did: with 3 of each, its 95 % interval
    covers 79 %, with 10 of each 91 %. In its place is the distribution that ln(time) of a start has if it is
    normal; other shapes were simulated as well (docs/measured/comparison.md).

    Variances are never below those of rounding, (high - low)**2 / 12, or of the step of the clock where
    samples repeat. Rounding moves d by so much at most; the interval is that much wider, and the p-value that
    of the nearest d.

    Source:
        Welch 1947, Biometrika 34; Student 1908, Biometrika 6. One against several: the prediction interval of
        Hahn 1970, Journal of Quality Technology 2(3). Rounding: Sheppard 1898, Proceedings of the London
        Mathematical Society 29.
    """
    from scipy.special import stdtr, stdtrit

    olds, news = np.log(base.values_s), np.log(new.values_s)
    least = _rounding_variance(base), _rounding_variance(new)
    d = float(news.mean() - olds.mean())
    if is_paired:
        variance = max(_variance(news - olds), sum(least))
        tests = [(variance / len(olds), len(olds) - 1.0)]
    else:
        tests = _tests(olds, news, least)
    if not all(variance > 0 for variance, _ in tests):
        return None
    base_rounding, new_rounding = base.rounding(), new.rounding()
    down, up = new_rounding[0] + base_rounding[1], new_rounding[1] + base_rounding[0]
    nearest = max(0.0, abs(d) - (down if d > 0 else up))
    reach = max(float(stdtrit(freedom, (1 + confidence) / 2)) * math.sqrt(v) for v, freedom in tests)
    p_value = max(2 * float(stdtr(freedom, -nearest / math.sqrt(v))) for v, freedom in tests)
    noise = StartNoise(
        standard_error=math.sqrt(max(variance for variance, _ in tests)),
        rounding=max(down, up),
        num_base=len(olds),
        num_new=len(news),
        is_paired=is_paired,
    )
    low, high = math.exp(d - reach - down), math.exp(d + reach + up)
    return StartRatio(ratio=math.exp(d), low=low, high=high, p_value=min(1.0, p_value), noise=noise)


def _tests(olds: Series, news: Series, least: tuple[float, float]) -> list[tuple[float, float]]:
    """Variance of the difference of means and degrees of freedom, of every test that applies."""
    sides = list(zip((olds, news), least, strict=True))
    several = [(max(_variance(logs), floor), len(logs)) for logs, floor in sides if len(logs) > 1]
    freedom = sum(number - 1 for _, number in several)
    common = sum(variance * (number - 1) for variance, number in several) / freedom
    common = max(common, *least) if len(several) == 1 else common
    tests = [(common * (1 / len(olds) + 1 / len(news)), float(freedom))]
    if len(several) == 2 and all(variance > 0 for variance, _ in several):
        parts = [variance / number for variance, number in several]
        shares = [part / sum(parts) for part in parts]
        welch = 1 / sum(share**2 / (number - 1) for share, (_, number) in zip(shares, several, strict=True))
        tests.append((sum(parts), welch))
    elif len(several) == 2:
        tests.append((0.0, 1.0))
    return tests


def _variance(logs: Series) -> float:
    """0 where the values agree but for the arithmetic."""
    return float(logs.var(ddof=1)) if float(np.ptp(logs)) > ARITHMETIC else 0.0


def _rounding_variance(arm: Arm) -> float:
    """Of ln(value), mean over the starts, from rounding as it was told, or from the step of the clock where
    samples repeat."""
    if arm.rounding_s:
        low_s, high_s = np.array(arm.rounding_s).T
        return float((np.log(high_s / low_s) ** 2).mean()) / 12
    steps = [_step_s(samples_s) / float(np.median(samples_s)) for samples_s in arm.starts_s]
    return float((np.array(steps) ** 2).mean()) / 12


def _step_s(samples_s: Series) -> float:
    """Smallest difference between samples of a start, some of which are equal; 0 where none are."""
    values = np.unique(samples_s)
    return float(np.diff(values).min()) if 1 < len(values) < len(samples_s) else 0.0
