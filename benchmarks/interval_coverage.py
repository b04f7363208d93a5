"""Whether the statistics of linerate keep their promises: coverage, stopping, differences, false alarms.

Everything is simulated from fixed seeds, so every run prints the same tables; nothing is measured, and any
machine will do. It takes about two minutes of one processor.
"""

import argparse
import functools
import math
import platform
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri, stdtrit

from bench.model.difference import is_different
from bench.model.interval import (
    CONFIDENCE,
    MIN_EFFECTIVE,
    Series,
    effective_rank,
    is_narrow_enough,
    lag1_autocorrelation,
    median_interval,
    variance_inflation,
)
from bench.model.stability import stability_facts

CHOOSING, REPORTING, TRUTH = 1, 2, 3
"""Seeds: one for the table that the estimator was chosen by, one for all others, one for the ideal widths."""

NORMAL_MEDIAN_SD: Final = math.sqrt(math.pi / 2)
"""Standard deviation of the median of n normal values over that of a single one, times sqrt(n)."""

Draw = Callable[[np.random.Generator, int, int], Series]
"""From a generator, a number of series and their length to one series per row, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A way for durations to vary.

    Attributes:
        phi: of AR(1) in normal values, or in what is a monotone function of them; None for anything else.
        is_promised: the interval has to cover 93 % there from 50 samples on.
    """

    name: str
    draw: Draw
    median_s: float
    phi: float | None = None
    is_promised: bool = True

    def series(self, seed: int, num_series: int, length: int) -> Series:
        """Shape (num_series, length); other numbers for each process, length and seed."""
        generator = np.random.default_rng([seed, length, zlib.crc32(self.name.encode())])
        return self.draw(generator, num_series, length)

    @property
    def title(self) -> str:
        return self.name if self.is_promised else f"*{self.name}*"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--series", type=int, default=4000, metavar="N", help="simulated series in each cell (default 4000)"
    )
    num_series: int = parser.parse_args().series
    print(f"    python benchmarks/interval_coverage.py --series {num_series}\n")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}.")
    for part in (print_choice, print_coverage, print_stopping, print_differences, print_alarms, print_power):
        print()
        part(num_series)
    print(f"\nIt took {time.process_time():.0f} s of one processor.")


# Processes


def _normal(generator: np.random.Generator, num_series: int, length: int, phi: float) -> Series:
    """Stationary AR(1) with standard normal values."""
    noise = generator.standard_normal((num_series, length))
    noise[:, 1:] *= math.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=1))


def _gaussian(phi: float) -> Draw:
    return lambda generator, num_series, length: 1 + 0.1 * _normal(generator, num_series, length, phi)


def _log_normal(phi: float, sigma: float = 1.0) -> Draw:
    return lambda generator, num_series, length: np.exp(sigma * _normal(generator, num_series, length, phi))


def _log_normal_innovations(generator: np.random.Generator, num_series: int, length: int) -> Series:
    """x_t = 0.5 x_t-1 + exp(z_t): shocks that fade, as of a neighbour's bursts; 60 steps make it
    stationary."""
    shocks = np.exp(generator.standard_normal((num_series, length + 60)))
    return np.asarray(lfilter([1.0], [1.0, -0.5], shocks, axis=1))[:, 60:]


def _hidden(generator: np.random.Generator, num_series: int, length: int) -> Series:
    """AR(1) of 0.8 under independent noise, 40 % and 60 % of the variance: lag 1 looks harmless."""
    slow = _normal(generator, num_series, length, 0.8)
    return 1 + 0.1 * (math.sqrt(0.4) * slow + math.sqrt(0.6) * _normal(generator, num_series, length, 0))


def _two_states(generator: np.random.Generator, num_series: int, length: int) -> Series:
    """3 of 10 calls are 30 % slower, and half of the time a call does as the one before."""
    fresh = generator.random((num_series, length)) < 0.3
    is_fresh = generator.random((num_series, length)) >= 0.5
    is_fresh[:, 0] = True
    last_fresh = np.maximum.accumulate(np.where(is_fresh, np.arange(length), 0), axis=1)
    state = np.take_along_axis(fresh, last_fresh, axis=1)
    return 1 + 0.1 * _normal(generator, num_series, length, 0) + 0.3 * state


def _median_of_many(draw: Draw) -> float:
    """Median by simulation: 5 million values, which leaves an error far below that of 1000."""
    return float(np.median(draw(np.random.default_rng(TRUTH), 500, 10_000)))


INDEPENDENT: Final = Process(name="independent, normal", draw=_gaussian(0), median_s=1, phi=0)
HEAVY: Final = Process(name="independent, log-normal 1", draw=_log_normal(0), median_s=1, phi=0)
AR3: Final = Process(name="AR(1) 0.3, normal", draw=_gaussian(0.3), median_s=1, phi=0.3)
AR5: Final = Process(name="AR(1) 0.5, normal", draw=_gaussian(0.5), median_s=1, phi=0.5)
HEAVY_AR5: Final = Process(name="AR(1) 0.5, log-normal 1", draw=_log_normal(0.5), median_s=1, phi=0.5)
BURSTS: Final = Process(
    name="AR(1) 0.5, log-normal shocks",
    draw=_log_normal_innovations,
    median_s=_median_of_many(_log_normal_innovations),
)
AR7: Final = Process(name="AR(1) 0.7, normal", draw=_gaussian(0.7), median_s=1, phi=0.7, is_promised=False)
HIDDEN: Final = Process(name="AR(1) 0.8 under noise", draw=_hidden, median_s=1, is_promised=False)
TWO_STATES: Final = Process(
    name="two states", draw=_two_states, median_s=_median_of_many(_two_states), is_promised=False
)
PROCESSES: Final = (INDEPENDENT, HEAVY, AR3, AR5, HEAVY_AR5, BURSTS, AR7, HIDDEN, TWO_STATES)


@functools.cache
def _true_effective(process: Process, length: int) -> float:
    """n over the true inflation: the variance of the number of values below the true median, over n / 4."""
    if process.phi is not None:
        return length / _by_ar1(process.phi, length)
    counts = (process.series(TRUTH, 4000, length) <= process.median_s).sum(axis=1)
    return min(float(length), length / (float(counts.var()) / (length / 4)))


# The choice of an estimator of the variance inflation


def _by_ar1(coefficient: float, length: int) -> float:
    """Inflation of the signs of an AR(1) with normal copula: their autocorrelations are (2 / pi)
    asin(phi**k)."""
    lags = np.arange(1, length)
    correlations = 2 / np.pi * np.arcsin(min(max(coefficient, 0.0), 0.99) ** lags)
    return float(1 + 2 * ((1 - lags / length) * correlations).sum())


def _unbiased(correlation: float, length: int) -> float:
    """Solve r = rho - (1 + 3 rho) / n for rho (Kendall 1954; Marriott and Pope 1954)."""
    return (length * correlation + 1) / (length - 3)


def _ar1_of_signs(series: Series) -> float:
    correlation = min(_unbiased(lag1_autocorrelation(_signs(series)), len(series)), 1.0)
    return _by_ar1(math.sin(math.pi / 2 * correlation), len(series))


def _ar1_of_normal_scores(series: Series) -> float:
    ranks = series.argsort().argsort() + 1
    return _by_ar1(
        _unbiased(lag1_autocorrelation(ndtri(ranks / (len(series) + 1))), len(series)), len(series)
    )


def _cosines(series: Series) -> float:
    """Mean square of 0.4 n**(2/3) cosine weights, times Student's t over normal for its own error.

    Lazarus, Lewis, Stock and Watson 2018, Journal of Business and Economic Statistics 36(4).
    """
    n = len(series)
    number = int(0.4 * n ** (2 / 3))
    angles = np.pi * np.outer(np.arange(1, number + 1), (np.arange(n) + 0.5) / n)
    weights = math.sqrt(2 / n) * np.cos(angles) @ _signs(series)
    tail = (1 - CONFIDENCE) / 2
    return max(1.0, float((weights**2).mean()) * float(stdtrit(number, tail) / ndtri(tail)) ** 2)


def _pairs(series: Series) -> float:
    return variance_inflation(_signs(series))


def _signs(series: Series) -> Series:
    return np.sign(series - np.median(series))


ESTIMATORS: Final[dict[str, Callable[[Series], float]]] = {
    "none": lambda series: 1.0,
    "AR(1) of signs": _ar1_of_signs,
    "AR(1) of normal scores": _ar1_of_normal_scores,
    "cosines": _cosines,
    "pairs": _pairs,
}


def print_choice(num_series: int) -> None:
    """Coverage and width of the interval with each way to estimate the variance inflation."""
    rows = []
    for process in (INDEPENDENT, AR5, BURSTS, AR7, HIDDEN, TWO_STATES):
        for length in (50, 200):
            series = process.series(CHOOSING, num_series // 4, length)
            ideal = _ideal_width(series, process)
            cells = []
            for estimate in ESTIMATORS.values():
                ranks = [effective_rank(length, length / estimate(one)) for one in series]
                cells.append(_cell(*_ends(series, ranks), process, ideal))
            rows.append([process.name, length, *cells])
    print(f"## The choice of an estimator (seed {CHOOSING})\n")
    print(
        f"Coverage of the {CONFIDENCE:.0%} interval and its mean width over the ideal one, {num_series // 4} "
        "series in each cell. `pairs` is what linerate does.\n"
    )
    print_table(["process", "n", *ESTIMATORS], rows)


# Coverage


def print_coverage(num_series: int) -> None:
    """`median_interval` itself, with another seed than the choice."""
    rows = []
    for process in PROCESSES:
        for length in (21, 50, 100, 200, 1000):
            series = process.series(REPORTING, num_series, length)
            found = [median_interval(one) for one in series]
            low = np.array([interval.low_s for interval in found if interval])
            high = np.array([interval.high_s for interval in found if interval])
            covered = (low <= process.median_s) & (process.median_s <= high)
            ideal = _ideal_width(series, process)
            effective = np.mean([interval.num_effective for interval in found if interval])
            rows.append(
                [
                    process.title,
                    length,
                    f"{covered.mean():.3f}",
                    f"{(high - low).mean():.4f}",
                    f"{ideal:.4f}",
                    f"{(high - low).mean() / ideal:.2f}",
                    f"{effective:.0f}",
                    f"{_true_effective(process, length):.0f}",
                ]
            )
    error = math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / num_series)
    print(f"## Coverage and width (seed {REPORTING})\n")
    print(
        f"`median_interval` at {CONFIDENCE:.0%}, {num_series} series in each row; standard error of a "
        f"coverage {error:.3f}. Promised: 93 % from 50 samples on, except for the processes in italics. "
        "Ideal: the mean width, in the same series, of the order-statistic interval whose rank comes from "
        "the true effective number, which is n over the true inflation: the variance of the number of "
        "samples below the true median over n / 4, by formula for AR(1), else from 4000 other series. The "
        "median is 1 (of the shocks 3.6), so widths are relative ones.\n"
    )
    head = [
        "process",
        "n",
        "coverage",
        "width",
        "ideal",
        "width / ideal",
        "effective, mean",
        "effective, true",
    ]
    print_table(head, rows)


def _ideal_width(series: Series, process: Process) -> float:
    length = series.shape[1]
    rank = effective_rank(length, _true_effective(process, length))
    low, high = _ends(series, [rank] * len(series))
    return float((high - low).mean())


def _ends(series: Series, ranks: Sequence[int]) -> tuple[Series, Series]:
    ordered = np.sort(series, axis=1)
    rows, at = np.arange(len(series)), np.array(ranks)
    return ordered[rows, at - 1], ordered[rows, series.shape[1] - at]


def _cell(low: Series, high: Series, process: Process, ideal: float) -> str:
    covered = (low <= process.median_s) & (process.median_s <= high)
    return f"{covered.mean():.3f}, {(high - low).mean() / ideal:.2f}"


# Optional stopping


def print_stopping(num_series: int) -> None:
    """Sample until the interval is narrow; look at 21 samples and then whenever there are a quarter more."""
    looks = [21]
    while looks[-1] < 1200:
        looks.append(math.ceil(1.25 * looks[-1]))
    number = num_series // 2
    rows = []
    for process in (INDEPENDENT, AR3, AR5, HIDDEN):
        for needed in (15, 60, 100, 200):
            # What `needed` samples reach if the true deviation of the median, of 0.1 normal values, is known.
            inflation = 1000 / _true_effective(process, 1000)
            deviation = 0.1 * NORMAL_MEDIAN_SD * math.sqrt(inflation / needed)
            target = 2 * float(ndtri(1 - (1 - CONFIDENCE) / 2)) * deviation
            series = process.series(REPORTING + needed, number, looks[-1])
            stops = [_stops(one, looks, target) for one in series]
            cells = []
            for rule in range(len(STOPPING)):
                lengths = [stop[rule] for stop in stops]
                found = [median_interval(one[:length]) for one, length in zip(series, lengths, strict=True)]
                covered = [
                    interval.low_s <= process.median_s <= interval.high_s for interval in found if interval
                ]
                cells.append(f"{np.mean(covered):.3f}, {np.mean(lengths):.0f}")
            rows.append([process.title, f"{target:.1%}", *cells])
    error = math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / number)
    print(f"## Optional stopping (seeds above {REPORTING})\n")
    print(
        f"Look at {looks[0]} samples and then whenever there are a quarter more; stop where the interval is "
        f"at most the target wide and rests on enough effective samples, or at {looks[-1]}. Coverage of the "
        f"interval then ({number} series, standard error {error:.3f}), and the mean number of samples taken. "
        "`is_narrow_enough` is the last column.\n"
    )
    print_table(["process", "target", *(f"at least {least} effective" for least in STOPPING)], rows)


STOPPING: Final = (0, 50, MIN_EFFECTIVE)


def _stops(series: Series, looks: Sequence[int], target: float) -> list[int]:
    """After how many samples each rule of `STOPPING` stops."""
    stops: dict[int, int] = {}
    for length in looks:
        interval = median_interval(series[:length])
        for least in STOPPING[:-1]:
            if interval and interval.relative_width <= target and interval.num_effective >= least:
                stops.setdefault(least, length)
        if is_narrow_enough(series[:length], target):
            stops.setdefault(STOPPING[-1], length)
            break
    return [stops.get(least, looks[-1]) for least in STOPPING]


# Differences


def print_differences(num_series: int) -> None:
    number = num_series // 2
    rows = []
    for process in (INDEPENDENT, HEAVY, AR5, HEAVY_AR5, BURSTS, HIDDEN):
        cells = []
        for length in (21, 50, 200):
            pairs = process.series(REPORTING, 2 * number, length).reshape(number, 2, length)
            false = np.mean([is_different(base.tolist(), new.tolist()) for base, new in pairs])
            cells.append(f"{200 * float(false):.1f}")
        rows.append([process.title, *cells])
    print(f"## False differences (seed {REPORTING})\n")
    print(f"Of 200 pairs of identical runs, how many `is_different` calls different; from {number} pairs.\n")
    print_table(["process", "n = 21", "n = 50", "n = 200"], rows)


# Facts about stability

Shape = Callable[[np.random.Generator, Series], NDArray[np.floating[Any]]]
"""From a generator and the times of the samples, 0 to 1, to what is added to them."""

FACTS: Final = ("drift", "bimodal", "autocorrelated")


def print_alarms(num_series: int) -> None:
    number = num_series // 2
    lengths = (21, 50, 200)
    coarse = Process(
        name="independent, clock of 1 standard deviation",
        draw=lambda generator, count, length: np.round(_gaussian(0)(generator, count, length), 1),
        median_s=1,
    )
    floor = Process(
        name="floor and exponential",
        draw=lambda generator, count, length: 1 + generator.exponential(1.0, (count, length)),
        median_s=1 + math.log(2),
    )
    rows = []
    for process in (INDEPENDENT, HEAVY, floor, coarse, AR3, AR5):
        rates = np.zeros(len(FACTS))
        for length in lengths:
            rates += _rates(process.series(REPORTING, number, length))
        rows.append([process.name, *(f"{rate:.2f}" for rate in 1000 * rates / len(lengths))])
    print(f"## False alarms (seed {REPORTING})\n")
    print(
        f"Of 1000 steady series, how many get the fact; from {number} series of each of "
        f"{', '.join(map(str, lengths))} samples. Neighbours in an AR(1) are alike, so there the last column "
        "is no false alarm.\n"
    )
    print_table(["process", *FACTS], rows)


def print_power(num_series: int) -> None:
    number = num_series // 20
    deviation = 0.1

    def modes(share: float, apart: float) -> Shape:
        return lambda generator, times: apart * deviation * (generator.random(len(times)) < share)

    injected: dict[str, tuple[str, Shape]] = {
        "trend of 2 standard deviations over the run": ("drift", lambda _, times: 2 * deviation * times),
        "step of 1 in the middle": ("drift", lambda _, times: deviation * (times > 0.5)),
        "step of 2 in the middle": ("drift", lambda _, times: 2 * deviation * (times > 0.5)),
        "step of 2 after 80 %": ("drift", lambda _, times: 2 * deviation * (times > 0.8)),
        "warm-up of 5, gone after a tenth": ("drift", lambda _, times: 5 * deviation * np.exp(-10 * times)),
        "two modes, half and half, 6 apart": ("bimodal", modes(0.5, 6)),
        "two modes, half and half, 10 apart": ("bimodal", modes(0.5, 10)),
        "two modes, 1 in 5, 10 apart": ("bimodal", modes(0.2, 10)),
    }
    rows = []
    lengths = (50, 200, 1000)
    for name, (fact, shape) in injected.items():
        cells = []
        for length in lengths:
            generator = np.random.default_rng([REPORTING, length])
            series = INDEPENDENT.series(REPORTING, number, length)
            times = (np.arange(length) + 0.5) / length
            added = np.array([one + shape(generator, times) for one in series])
            cells.append(f"{_rates(added)[FACTS.index(fact)]:.0%}")
        rows.append([name, fact, *cells])
    for process in (AR3, AR5):
        cells = []
        for length in lengths:
            series = process.series(REPORTING, number, length)
            cells.append(f"{_rates(series)[FACTS.index('autocorrelated')]:.0%}")
        rows.append([process.name, "autocorrelated", *cells])
    print(f"## Power (seed {REPORTING})\n")
    print(
        f"How often the fact is found in {number} series: independent normal values, to which was added what "
        "is named, in standard deviations.\n"
    )
    print_table(["injected", "fact", *(f"n = {length}" for length in lengths)], rows)


def _rates(series: Series) -> Series:
    """Share of the series with each of `FACTS`."""
    found = [{fact.name for fact in stability_facts(one.tolist(), clock_resolution_s=None)} for one in series]
    return np.array([np.mean([name in names for names in found]) for name in FACTS])


def print_table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    print("| " + " | ".join(map(str, head)) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
