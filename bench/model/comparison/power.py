"""What a comparison can find: the smallest difference, and how many process starts a difference takes."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from bench.model.comparison.arm import Arm
from bench.model.interval import Series

POWER: Final = 0.9
"""Share of repetitions in which the smallest detectable ratio is found."""

ERROR_RATE: Final = 0.03
"""Of a whole comparison: how often it calls any of the unchanged points slower or faster. Of 200 comparisons
of a system with itself 6 then do, and more than 10, which is 5 %, only in 4 of 100 such series; at 0.05 it
would be every other series."""

NODES: Final = 100
"""Quantiles that stand for a distribution in the sums below; with twice as many the results change by less
than 1 %."""

MOST_STARTS: Final = 1000
"""More are not counted: whoever needs them should look for what differs between starts."""


def detectable_multiple(thresholds: Series, freedom: float, power: float) -> float:
    """The difference, in estimated standard errors, that a repetition finds with ``power``.

    The k with mean of Phi(k c - h) = power, over the c of ``freedom`` and over ``thresholds``: c is the
    estimated standard error over the true one, of the run that k is used with, and h the threshold that the
    repetition sets itself, in true standard errors. Both vary; with few degrees of freedom k is far above the
    usual sum of two quantiles.
    """
    from scipy.special import ndtr

    estimates = _deviations(freedom)

    def found(multiple: float) -> float:
        return float(ndtr(multiple * estimates[:, None] - thresholds[None, :]).mean())

    return _rising_to(found, power)


@functools.lru_cache(maxsize=4096)
def iteration_multiple(freedom: float, fluctuation: float, significance: float, power: float) -> float:
    """`detectable_multiple` of Student's t: thresholds of ``freedom``, errors that scatter like ``fluctuation``."""
    from scipy.special import stdtrit

    return detectable_multiple(
        float(stdtrit(freedom, 1 - significance / 2)) * _deviations(fluctuation), fluctuation, power
    )


@functools.lru_cache(maxsize=1024)
def start_multiple(num_base: int, num_new: int, is_paired: bool, significance: float, power: float) -> float:
    """`detectable_multiple` of a comparison of process starts."""
    thresholds = start_thresholds(num_base, num_new, is_paired, significance)
    freedom = num_base - 1 if is_paired else num_base + num_new - 2
    return detectable_multiple(thresholds, freedom, power)


@functools.lru_cache(maxsize=1024)
def start_thresholds(num_base: int, num_new: int, is_paired: bool, significance: float) -> Series:
    """What ln(ratio) must exceed, in its true standard errors, over the spreads that may be estimated.

    As `bench.model.comparison.starts` tests: Student's t of pairs, of one start against several, or the more
    cautious of Student's and Welch's. Both sides have the same spread between starts.

    Shape: (num_thresholds,), each as likely as the others.
    """
    from scipy.special import stdtrit

    upper = 1 - significance / 2
    if is_paired or 1 in (num_base, num_new):
        freedom = num_base - 1 if is_paired else num_base + num_new - 2
        return np.asarray(stdtrit(freedom, upper) * _deviations(freedom))
    base = _deviations(num_base - 1)[:, None] ** 2 / num_base
    new = _deviations(num_new - 1)[None, :] ** 2 / num_new
    true = 1 / num_base + 1 / num_new
    freedom = num_base + num_new - 2
    pooled = (base * num_base * (num_base - 1) + new * num_new * (num_new - 1)) / freedom * true
    welch = (base + new) ** 2 / (base**2 / (num_base - 1) + new**2 / (num_new - 1))
    students = stdtrit(freedom, upper) * np.sqrt(pooled)
    welchs = stdtrit(welch, upper) * np.sqrt(base + new)
    thresholds = np.sort(np.maximum(students, welchs).ravel()) / math.sqrt(true)
    return np.asarray(thresholds.reshape(NODES, -1).mean(axis=1))


def num_starts_for(
    target_ratio: float,
    *,
    spread: float,
    num_points: int,
    is_paired: bool = False,
    power: float = POWER,
    error_rate: float = ERROR_RATE,
) -> int:
    """How many process starts each side needs to find a ratio at one point with ``power``.

    Args:
        target_ratio: of times; 1.05 and 1 / 1.05 need the same.
        spread: standard deviation of ln(time) between starts (`start_spread`), 0.02 for 2 %; with
            ``is_paired`` that of ln(new / base) within a pair, sqrt(2) times as much where pairs have nothing
            in common.
        num_points: of the whole comparison; the test of one of them is at error_rate / num_points.

    Raises:
        ValueError: a ratio that is none or 1, a negative spread, or more than `MOST_STARTS`.
    """
    from scipy.special import ndtr

    if not (0 < target_ratio < math.inf) or target_ratio == 1:
        raise ValueError(
            f"target_ratio is {target_ratio}; it is a ratio of times above 0 other than 1, such as 1.05"
        )
    if not 0 <= spread < math.inf:
        raise ValueError(f"spread is {spread}; it is a standard deviation of ln(time), such as 0.02 for 2 %")
    if num_points < 1:
        raise ValueError(f"num_points is {num_points}; a comparison has at least one point")
    distance = abs(math.log(target_ratio))

    def finds(number: int) -> bool:
        error = spread * math.sqrt((1 if is_paired else 2) / number)
        thresholds = start_thresholds(number, number, is_paired, error_rate / num_points)
        return error == 0 or float(ndtr(distance / error - thresholds).mean()) >= power

    low, high = 1, 2
    while not finds(high):
        low, high = high, 2 * high
        if low > MOST_STARTS:
            raise ValueError(
                f"a ratio of {target_ratio:g} needs more than {MOST_STARTS} process starts of each side at a spread of "
                f"{spread:.2%} between starts; look for what differs between starts, or ask for a larger difference"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if finds(middle) else (middle, high)
    return high


def start_spread(arms: Sequence[Arm]) -> float | None:
    """Standard deviation of ln(time) between starts of one side, pooled over sides; None without two."""
    logs = [np.log(arm.values_s) for arm in arms if arm.num_starts > 1]
    freedom = sum(len(one) - 1 for one in logs)
    if freedom == 0:
        return None
    return math.sqrt(sum(float(((one - one.mean()) ** 2).sum()) for one in logs) / freedom)


@functools.lru_cache(maxsize=4096)
def _deviations(freedom: float) -> Series:
    """Estimated over true standard deviation at `NODES` equally likely places: sqrt(chi2 / freedom)."""
    from scipy.special import chdtri

    places = (np.arange(NODES) + 0.5) / NODES
    return np.asarray(np.sqrt(chdtri(freedom, 1 - places) / freedom), dtype=np.float64)


def _rising_to(found: Callable[[float], float], power: float) -> float:
    """Where the rising function reaches ``power``; to 1e-6 of it."""
    from scipy.optimize import brentq

    high = 4.0
    while found(high) < power:
        high *= 2
    return float(brentq(lambda multiple: found(multiple) - power, 0.0, high, rtol=1e-6))
