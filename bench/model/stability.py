"""`Fact`: what speaks against taking the samples of one point as one steady quantity, and what to do next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.model.interval import Series, lag1_autocorrelation, median_interval, variance_inflation
from bench.model.statistics import MIN_SAMPLES_P95, MIN_SAMPLES_P99
from bench.model.units import format_seconds

CHANCE: Final = 0.001
"""Significance of every test: each flags about one of 1000 steady points. A sweep has tens to hundreds."""

MIN_SAMPLES: Final = 6
"""Fewer have no interval of the median at 95 % (`median_interval_rank`)."""

MODE_SHARE: Final = 0.1
"""A mode holds at least a tenth of the samples: less is a tail, which p95 and p99 show."""

VALLEY_DEPTH: Final = 0.5
"""Two modes are separate if the samples lie less than half as dense between them as in the lower one: half
the height is how peaks are resolved. Two normal modes of equal share do so from 3.3 standard deviations on,
where 2 exp(-d**2 / 8) = 1/2; Ashman, Bird and Zepf 1994 (Astronomical Journal 108) ask for 2."""

MIN_STEPS: Final = 2
"""The window between two modes spans two steps of the clock: less may hold no reading at all."""

COARSE_SHARE: Final = 0.01
"""Steps of the clock above 1 % of the median move it by up to half a percent, which is no longer little
beside the 5 % to which it is measured (timing.target_width)."""

STALL_MEDIANS: Final = 10.0
STALL_S: Final = 0.1
"""A stall lasts longer than 10 medians and 0.1 s: what a flapping link or a timeout of retransmission takes,
and more than a scheduler adds to a short call."""

MOST_STALLS: Final = 5
"""So many stalls are listed one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """``text``: one sentence, ending with what to do next."""

    name: str
    text: str


def stability_facts(durations_s: Sequence[float], *, clock_resolution_s: float | None) -> list[Fact]:
    """All that stands out, in the order of the functions below; nothing of a long, steady series.

    ``bad_sample``, ``few_samples``, ``percentiles`` (which are withheld), ``coarse_clock``, ``stall``,
    ``drift``, ``bimodal``, ``autocorrelated``. Bad samples are left out of what follows them.

    Shape: (num_samples,) in the order of measurement, in seconds.
    Args:
        clock_resolution_s: smallest step of ``durations_s``: that of the clock over the calls that one sample
            was divided by. None: not known.
    """
    samples = np.asarray(durations_s, dtype=np.float64)
    if len(samples) == 0:
        return []
    is_good = np.isfinite(samples) & (samples > 0)
    good = samples[is_good]
    found = [_bad_sample(samples, is_good), _few_samples(good), _percentiles(good)]
    if len(good):
        found += [_coarse_clock(good, clock_resolution_s), _stall(good, np.flatnonzero(is_good))]
    if len(good) >= MIN_SAMPLES:
        ranks = _centred_ranks(good)
        split = _change_point(ranks)
        residual = _without_change(ranks, split)
        found += [
            _drift(good, ranks, split, variance_inflation(residual, num_fitted=2)),
            _bimodal(good, clock_resolution_s),
            _autocorrelated(good, residual),
        ]
    return [fact for fact in found if fact is not None]


def _bad_sample(samples: Series, is_good: NDArray[np.bool_]) -> Fact | None:
    bad = np.flatnonzero(~is_good)
    if len(bad) == 0:
        return None
    text = (
        f"{len(bad)} of {len(samples)} samples are no positive, finite time (the first is "
        f"{samples[bad[0]]:g} s, sample {bad[0]} counted from 0); repeat the point, and distrust the clock "
        "if it happens again"
    )
    return Fact(name="bad_sample", text=text)


def _few_samples(good: Series) -> Fact | None:
    if len(good) >= MIN_SAMPLES:
        return None
    text = (
        f"{len(good)} samples, and an interval of the median needs {MIN_SAMPLES}; raise timing.min_iterations"
    )
    return Fact(name="few_samples", text=text)


def _percentiles(good: Series) -> Fact | None:
    needed = {"p95": MIN_SAMPLES_P95, "p99": MIN_SAMPLES_P99}
    withheld = [f"{name} (from {least} samples)" for name, least in needed.items() if len(good) < least]
    if not withheld:
        return None
    text = (
        f"{len(good)} samples give no {' and no '.join(withheld)}; raise timing.min_iterations if the tail "
        "matters"
    )
    return Fact(name="percentiles", text=text)


def _coarse_clock(good: Series, clock_resolution_s: float | None) -> Fact | None:
    if clock_resolution_s is None:
        return None
    share = clock_resolution_s / float(np.median(good))
    if share <= COARSE_SHARE:
        return None
    text = (
        f"the clock's step of {format_seconds(clock_resolution_s)} is {share:.1%} of the median; time "
        "several calls as one sample (the bandwidth pass), or a larger message"
    )
    return Fact(name="coarse_clock", text=text)


def _stall(good: Series, places: NDArray[np.intp]) -> Fact | None:
    median_s = float(np.median(good))
    stalled = np.flatnonzero((good > STALL_MEDIANS * median_s) & (good > STALL_S))
    if len(stalled) == 0:
        return None
    listed = [f"{format_seconds(float(good[i]))} at sample {places[i]}" for i in stalled[:MOST_STALLS]]
    more = f" and {len(stalled) - MOST_STALLS} more" if len(stalled) > MOST_STALLS else ""
    text = (
        f"{', '.join(listed)}{more} (counted from 0), beside a median of {format_seconds(median_s)}; look "
        "for a link that went down or retransmissions at that time"
    )
    return Fact(name="stall", text=text)


def _drift(good: Series, ranks: Series, split: int, inflation: float) -> Fact | None:
    """A step or a trend, by the largest excess of ranks on one side.

    K = max_t |sum of the first t centred ranks| / sqrt(sum of their squares) goes, for independent samples,
    like the largest deviation of a Brownian bridge, Kolmogorov's distribution; autocorrelation multiplies it
    by sqrt(v), v from the ranks less their step or their trend. Ranks survive heavy tails. A warm-up and a
    trend raise K as well as a step.

    Source:
        Pettitt 1979, Applied Statistics 28(2), without its cubic approximation of the distribution; the
        division by the long-run variance as in Csorgo and Horvath, Limit Theorems in Change-Point Analysis.
    """
    from scipy.special import kolmogorov

    square = float(ranks @ ranks)
    if square == 0:
        return None
    excess = abs(float(ranks[:split].sum())) / math.sqrt(square * inflation)
    if float(kolmogorov(excess)) >= CHANCE:
        return None
    before_s, after_s = float(np.median(good[:split])), float(np.median(good[split:]))
    change = after_s / before_s - 1
    text = (
        f"the median of the first {split} samples is {format_seconds(before_s)}, of the other "
        f"{len(good) - split} {format_seconds(after_s)} ({change:+.1%}), which is no chance; raise "
        "timing.num_warmups if it falls, look for throttling or other load if it rises, and repeat"
    )
    return Fact(name="drift", text=text)


def _bimodal(good: Series, clock_resolution_s: float | None) -> Fact | None:
    """Two modes with a valley between them that unimodal samples would fill.

    The logarithms are split in two clusters, of `MODE_SHARE` each at least, so that the sum of absolute
    deviations from the cluster medians is least. Three windows, a third of the way between these medians
    wide, lie around the lower median, half-way, and around the upper one. If the valley were `VALLEY_DEPTH`
    as dense as the lower mode, c of the samples in those two windows would fall into the valley like
    Binomial(., 1/3): the modes are separate if so few are less likely than `CHANCE`. About 34 samples in
    modes of equal share are needed.

    Source:
        Clusters: Fisher 1958, Journal of the American Statistical Association 53, with medians. Comparison of
        two counts: Przyborowski and Wilenski 1940, Biometrika 31. The windows are this program's own.
    """
    from scipy.special import betainc

    logs = np.log(np.sort(good))
    split = _cluster_split(logs)
    if split is None:
        return None
    lower, upper = float(np.median(logs[:split])), float(np.median(logs[split:]))
    width = (upper - lower) / 3
    step_s = clock_resolution_s
    if step_s is None:  # then the samples' own smallest step stands for the clock's
        step_s = float(np.diff(np.unique(good)).min(initial=math.inf))
    if width <= 0 or math.exp(lower) * math.expm1(width) < MIN_STEPS * step_s:
        return None

    def count(centre: float) -> int:
        ends = np.searchsorted(logs, [centre - width / 2, centre + width / 2])
        return int(ends[1] - ends[0])

    in_valley, in_mode = count((lower + upper) / 2), min(count(lower), count(upper))
    valley_share = VALLEY_DEPTH / (1 + VALLEY_DEPTH)
    # P(Binomial(in_valley + in_mode, valley_share) <= in_valley), as an incomplete beta function
    if in_mode == 0 or float(betainc(in_mode, in_valley + 1, 1 - valley_share)) >= CHANCE:
        return None
    text = (
        f"{split} samples lie around {format_seconds(math.exp(lower))} and {len(logs) - split} around "
        f"{format_seconds(math.exp(upper))}, with few between; look for what alternates (algorithm, path, "
        "frequency, placement) and quote both, for the median is one of them"
    )
    return Fact(name="bimodal", text=text)


def _autocorrelated(good: Series, residual: Series) -> Fact | None:
    """Neighbours alike: lag-1 correlation of ranks, less step or trend, above z / sqrt(n), one-sided.

    Source:
        Wald and Wolfowitz 1943, Annals of Mathematical Statistics 14(4).
    """
    from scipy.special import ndtri

    correlation = lag1_autocorrelation(residual)
    interval = median_interval(good)
    if interval is None or correlation * math.sqrt(len(good)) <= -float(ndtri(CHANCE)):
        return None
    text = (
        f"neighbouring samples are alike (rank correlation {correlation:.2f}), so that {len(good)} of them "
        f"place the median like {interval.num_effective:.0f}; take more samples, or look for interference "
        "that outlasts a call"
    )
    return Fact(name="autocorrelated", text=text)


def _centred_ranks(good: Series) -> Series:
    """Ranks less their mean; equal samples share the mean of theirs."""
    _, places, counts = np.unique(good, return_inverse=True, return_counts=True)
    centred: Series = (np.cumsum(counts) - (counts - 1) / 2)[places] - (len(good) + 1) / 2
    return centred


def _change_point(ranks: Series) -> int:
    """How many samples lie before the most likely step: where the sum of centred ranks is farthest from 0."""
    return int(np.abs(np.cumsum(ranks)[:-1]).argmax()) + 1


def _without_change(ranks: Series, split: int) -> Series:
    """Ranks less their step at ``split`` or less their trend, whichever leaves less autocorrelation.

    A step that is taken for a trend, or the reverse, leaves a saw-tooth, which would pass for autocorrelation
    and hide it.
    """
    step = ranks.copy()
    step[:split] -= step[:split].mean()
    step[split:] -= step[split:].mean()
    times = np.arange(len(ranks)) - (len(ranks) - 1) / 2
    line = ranks - times * (float(ranks @ times) / float(times @ times))
    candidates: tuple[Series, Series] = (step, line)
    return min(candidates, key=lambda residual: variance_inflation(residual, num_fitted=2))


def _cluster_split(logs: Series) -> int | None:
    """Size of the lower of the two clusters of sorted values that lie closest around their medians.

    Least sum of absolute deviations; None where two clusters of `MODE_SHARE` do not fit.
    """
    n = len(logs)
    least = math.ceil(MODE_SHARE * n)
    sums = np.concatenate([[0.0], np.cumsum(logs)])

    def deviations(begin: NDArray[np.int_], end: NDArray[np.int_]) -> Series:
        middle = begin + end
        upper: Series = sums[end] - sums[(middle + 1) // 2]
        lower: Series = sums[middle // 2] - sums[begin]
        return upper - lower

    sizes = np.arange(least, n - least + 1)
    if len(sizes) == 0:
        return None
    costs = deviations(np.zeros_like(sizes), sizes) + deviations(sizes, np.full_like(sizes, n))
    return int(sizes[costs.argmin()])
