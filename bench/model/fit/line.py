"""`Line`: time over message size as one latency and one bandwidth, fitted by relative error, with intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model.fit.ratio import ratio_interval
from bench.model.interval import CONFIDENCE, Series

REPEATABILITY: Final = 0.02
"""Relative difference between repetitions of one measurement that no interval of a single run shows: 1 to 2 % between
pairs of identical nodes in published runs (derived from published nccl-tests logs, so grade D). Points whose own interval
is narrower than this count alike, and no predicted time gets a narrower interval."""

MIN_POINTS: Final = 2
MOST_STEPS: Final = 50
"""Of the iteration, which otherwise ends when no fitted time moves by more than the share `TOLERANCE` of it; most end after
a few steps."""
TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its 95 % interval. ``low`` None: too few points to say. ``high`` None with a ``low``: no upper bound."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """T(S) = (latency_s**p + (S s_per_byte)**p)**(1/p); p = 1 is Hockney's sum, a large p the larger of the two.

    Attributes:
        latency_s: below 0 only with a head start, and then at least -``head_start_bytes`` x ``s_per_byte``.
        exponent: p.
        head_start_bytes: what the token bucket of an emulated link may let through before its rate shows; 0 on real links.
            Sizes up to it are none of this line's.
        num_free: points less fitted numbers (one for a constant); 0 leaves nothing to take an interval from.
        spread: relative standard deviation of one point from the line; None where ``num_free`` is 0.
        reference_s, reference_bytes: unit of the two numbers below; they keep powers within what a float holds.
        variances: of u = (latency / reference_s)**p, of v = (reference_bytes s_per_byte / reference_s)**p, and their
            covariance; None where ``num_free`` is 0.
    """

    latency_s: float
    s_per_byte: float
    exponent: float
    head_start_bytes: float
    num_free: int
    spread: float | None
    reference_s: float
    reference_bytes: float
    variances: tuple[float, float, float] | None

    def time_s(self, message_bytes: float) -> float:
        """Expected duration of one call, in seconds."""
        u, v = self.terms()
        load = v * (message_bytes / self.reference_bytes) ** self.exponent
        return float(self.reference_s * max(0.0, u + load) ** (1 / self.exponent))

    def time(self, message_bytes: float) -> Estimate:
        """The same with the interval that a further measurement at this size falls into, at least `REPEATABILITY` wide.

        With x = (S / reference_bytes)**p, d log T = (du + x dv) / (p (u + x v)); the variance of that and ``spread``
        squared add, times the quantile of Student's t.
        """
        value = self.time_s(message_bytes)
        if self.variances is None or self.spread is None or value == 0:
            return Estimate(value=value, low=None, high=None)
        u, v = self.terms()
        x = (message_bytes / self.reference_bytes) ** self.exponent
        var_u, var_v, covariance = self.variances
        variance = max(0.0, var_u + 2 * x * covariance + x * x * var_v) / (self.exponent * (u + x * v)) ** 2
        width = max(REPEATABILITY, self.quantile() * math.hypot(math.sqrt(variance), self.spread))
        try:
            return Estimate(value=value, low=value * math.exp(-width), high=value * math.exp(width))
        except OverflowError:
            return Estimate(value=value, low=0.0, high=None)

    def latency(self) -> Estimate:
        """``latency_s`` with its interval, in seconds."""
        u, v = self.terms()
        low, high = self._ends(u, 0, least=0.0 - v * self.head_start_bytes / self.reference_bytes)
        return Estimate(
            value=self.latency_s,
            low=None if low is None else self.reference_s * _root(low, self.exponent),
            high=None if high is None else self.reference_s * _root(high, self.exponent),
        )

    def bandwidth(self) -> Estimate | None:
        """1 / ``s_per_byte``, in bytes per second; None where the time does not grow with the size."""
        if self.s_per_byte == 0:
            return None
        _, v = self.terms()
        low, high = self._ends(v, 1, least=0.0)
        unit = self.reference_bytes / self.reference_s
        return Estimate(
            value=1 / self.s_per_byte,
            low=None if high is None else unit / high ** (1 / self.exponent),
            high=None if low is None or low == 0 else unit / low ** (1 / self.exponent),
        )

    def knee(self) -> Estimate | None:
        """latency / ``s_per_byte``, in bytes: the size whose transfer takes as long as the latency. None: no slope.

        At S bytes the share (1 + (knee / S)**p)**(-1/p) of the bandwidth is reached: half at the knee, where p = 1.
        """
        u, v = self.terms()
        if v == 0:
            return None
        value = self.latency_s / self.s_per_byte
        if self.variances is None:
            return Estimate(value=value, low=None, high=None)
        low, high = ratio_interval(u, v, self.variances, self.quantile())

        def size(ratio: float) -> float:
            if self.exponent == 1:
                return max(self.reference_bytes * ratio, 0.0 - self.head_start_bytes)
            return self.reference_bytes * _root(max(ratio, 0.0), self.exponent)

        return Estimate(value=value, low=size(low), high=None if high is None else size(high))

    def terms(self) -> tuple[float, float]:
        """u and v, of which ``variances`` speaks."""
        u = _power(self.latency_s / self.reference_s, self.exponent)
        v = (self.s_per_byte * self.reference_bytes / self.reference_s) ** self.exponent
        return u, v

    def _ends(self, value: float, which: int, *, least: float) -> tuple[float | None, float | None]:
        if self.variances is None:
            return None, None
        width = self.quantile() * math.sqrt(max(0.0, self.variances[which]))
        return max(least, value - width), value + width

    def quantile(self) -> float:
        """Of Student's t: half of a 95 % interval over the standard deviation."""
        # Late: importing it takes 0.3 s.
        from scipy.special import stdtrit

        return float(stdtrit(self.num_free, (1 + CONFIDENCE) / 2))


def fit_line(
    message_bytes: Sequence[float],
    times_s: Sequence[float],
    relative_sds: Sequence[float],
    exponent: float = 1.0,
    head_start_bytes: float = 0.0,
) -> Line:
    """The line through points, no term below its least, by weighted least squares of log(measured / fitted).

    A factor too long weighs as much as the same factor too short, and a millisecond as much as it matters at its size.
    With u, v as in `Line`, log T = log(u + x v) / p is linearised at the last fit (Gauss-Newton); the weight of a point is
    1 / (sd**2 + REPEATABILITY**2). The variance of the terms is that of the linear problem, with the scale estimated from
    the residuals over ``num_free`` degrees of freedom, so that deviations from the form of a line count as well. A term
    that ends at 0 keeps its variance, which makes the interval of the other one wide rather than narrow.

    Shape: (num_points,) each, at least two different sizes.
    Args:
        relative_sds: standard deviation of each time, as a share of it.
        head_start_bytes: see `Line`; below every size, and 0 unless the exponent is 1.
    Raises:
        ValueError: fewer than two sizes, a size or time that is not positive and finite, or a head start that cannot be.
    Source:
        Form: Hockney 1994, Parallel Computing 20(3), for p = 1; the power sum is common in the modelling of two regimes
        (Churchill and Usagi 1972, AIChE Journal 18(6)). Fit: Seber and Wild 1989, Nonlinear Regression, chapter 2.
    """
    _check(message_bytes, times_s, exponent, head_start_bytes)
    n, p = len(times_s), exponent
    sizes, times = np.array(message_bytes, dtype=np.float64), np.array(times_s, dtype=np.float64)
    reference_s = math.exp(float(np.log(times).mean()))
    reference_bytes = math.exp(float(np.log(sizes).mean()))
    x = (sizes / reference_bytes) ** p
    log_y = p * np.log(times / reference_s)
    weights = 1 / (np.array(relative_sds, dtype=np.float64) ** 2 + REPEATABILITY**2)
    head = head_start_bytes / reference_bytes
    log_fitted = log_y
    # A constant is always a line, should the very first step overshoot.
    best = (math.inf, math.exp(float(weights @ log_y / weights.sum())), 0.0)
    for _ in range(MOST_STEPS):
        fitted = np.exp(log_fitted)
        u, v = _non_negative(x - head, fitted * (1 + log_y - log_fitted), weights / fitted**2)
        u -= v * head
        terms = u + v * x
        if terms.min() <= 0:
            break
        previous, log_fitted = log_fitted, np.log(terms)
        square = float(weights @ (log_y - log_fitted) ** 2)
        if square < best[0]:
            best = (square, u, v)
        if np.abs(log_fitted - previous).max() < TOLERANCE:
            break
    _, u, v = best
    spread, variances = _uncertainty(x, log_y, weights, u, v, p)
    return Line(
        latency_s=reference_s * _root(u, p),
        s_per_byte=reference_s / reference_bytes * v ** (1 / p),
        exponent=p,
        head_start_bytes=head_start_bytes,
        num_free=n - 2,
        spread=spread,
        reference_s=reference_s,
        reference_bytes=reference_bytes,
        variances=variances,
    )


def fit_constant(
    message_bytes: Sequence[float], times_s: Sequence[float], relative_sds: Sequence[float]
) -> Line:
    """The line that does not grow with the size: the weighted geometric mean of the times, as `fit_line` weighs them.

    Shape: (num_points,) each.
    Raises:
        ValueError: as `fit_line`.
    """
    _check(message_bytes, times_s, 1.0, 0.0)
    log_times = np.log(np.array(times_s, dtype=np.float64))
    weights = 1 / (np.array(relative_sds, dtype=np.float64) ** 2 + REPEATABILITY**2)
    log_mean = float(weights @ log_times / weights.sum())
    num_free = len(times_s) - 1
    scale = float(weights @ (log_times - log_mean) ** 2) / num_free
    latency_s = math.exp(log_mean)
    return Line(
        latency_s=latency_s,
        s_per_byte=0.0,
        exponent=1.0,
        head_start_bytes=0.0,
        num_free=num_free,
        spread=math.sqrt(scale * float((1 / weights).mean())),
        reference_s=latency_s,
        reference_bytes=math.exp(float(np.log(np.array(message_bytes, dtype=np.float64)).mean())),
        variances=(scale / float(weights.sum()), 0.0, 0.0),
    )


def _power(value: float, exponent: float) -> float:
    return value if exponent == 1 else value**exponent


def _root(value: float, exponent: float) -> float:
    """Inverse of `_power`; a negative value, as a head start makes it, comes with the exponent 1 alone."""
    return value if exponent == 1 else float(value ** (1 / exponent))


def _check(
    message_bytes: Sequence[float], times_s: Sequence[float], exponent: float, head_start_bytes: float
) -> None:
    if len(set(message_bytes)) < MIN_POINTS:
        raise ValueError(
            f"a line needs points at {MIN_POINTS} sizes at least, and there is {len(set(message_bytes))}"
        )
    for name, values in (("message_bytes", message_bytes), ("times_s", times_s)):
        for value in values:
            if not 0 < value < math.inf:
                raise ValueError(f"{name}: {value} is not positive and finite; leave such points out")
    if not 0 <= head_start_bytes < min(message_bytes) or (head_start_bytes and exponent != 1):
        raise ValueError(
            f"head_start_bytes is {head_start_bytes}; it lies below the smallest size, {min(message_bytes)}, and goes with "
            "exponent 1"
        )


def _non_negative(x: Series, y: Series, weights: Series) -> tuple[float, float]:
    """u, v >= 0 of least sum of weight (u + v x - y)**2: the free minimum, or the better one of u = 0 and v = 0."""
    wx = weights * x
    s, sx, sxx = float(weights.sum()), float(wx.sum()), float(wx @ x)
    sy, sxy = float(weights @ y), float(wx @ y)
    determinant = s * sxx - sx * sx
    if determinant > 0:
        u, v = (sxx * sy - sx * sxy) / determinant, (s * sxy - sx * sy) / determinant
        if u >= 0 and v >= 0:
            return u, v
    flat, steep = max(0.0, sy / s), max(0.0, sxy / sxx)
    # Their sums of squares, less that of y, which both have.
    of_flat, of_steep = flat * (s * flat - 2 * sy), steep * (sxx * steep - 2 * sxy)
    return (flat, 0.0) if of_flat <= of_steep else (0.0, steep)


def _uncertainty(
    x: Series, log_y: Series, weights: Series, u: float, v: float, p: float
) -> tuple[float | None, tuple[float, float, float] | None]:
    """The spread of a point about the line, and the variances of its terms, as `Line` has them."""
    num_free = len(x) - 2
    if num_free < 1:
        return None, None
    fitted = u + v * x
    # Residuals are those of log T, which is log(u + x v) / p.
    scale = float(weights @ ((log_y - np.log(fitted)) / p) ** 2) / num_free
    spread = math.sqrt(scale * float((1 / weights).mean()))
    scaled = weights / (p * fitted) ** 2
    s, sx, sxx = float(scaled.sum()), float(scaled @ x), float(scaled @ x**2)
    determinant = s * sxx - sx * sx
    if not determinant > 0:
        return spread, None
    return spread, (scale * sxx / determinant, scale * s / determinant, -scale * sx / determinant)
