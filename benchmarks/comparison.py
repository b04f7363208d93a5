"""Whether a comparison of two runs keeps its promises: false alarms, differences found, intervals, floors.

Everything is simulated from fixed seeds, so every run prints the same tables; nothing is measured, and any
machine will do. It takes about a quarter of an hour of one processor; --parts chooses.
"""

import argparse
import math
import platform
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
from scipy.signal import lfilter
from scipy.special import stdtr, stdtrit

from bench.model.comparison.arm import Arm
from bench.model.comparison.floor import Floor, floors_from_baseline
from bench.model.comparison.gate import gate
from bench.model.comparison.iterations import compare_iterations
from bench.model.comparison.judgement import Verdict, judge
from bench.model.comparison.point import compare_point
from bench.model.comparison.power import ERROR_RATE, num_starts_for
from bench.model.difference import median_ratio
from bench.model.interval import Series, is_narrow_enough, variance_inflation

CHOOSING, REPORTING = 1, 2
"""Seeds: one for the tables that methods were chosen by, one for all others."""

NUM_POINTS: Final = 21
"""3 collectives x 7 sizes, as a default sweep has them."""

AMONG: Final = ERROR_RATE / NUM_POINTS
"""Significance of the smallest p-value among so many points."""

SIZES: Final = tuple(2 << 10 << 2 * step for step in range(7))  # 2 KiB to 8 MiB by 4
FACTORS: Final = {"all_reduce": 1.5, "all_gather": 0.75, "all_to_all": 0.75}
"""Bus factors of 4 ranks."""

LATENCY_S: Final = 100e-6
RATES_BYTES_PER_S: Final = {"1 Gb/s": 0.125e9, "10 Gb/s": 1.25e9}

MIN_ITERATIONS, MAX_ITERATIONS, FILL_S, TARGET_WIDTH, LOOK_FACTOR = 21, 200, 0.4, 0.05, 1.25
"""The default plan (conf/timing/default.yaml)."""

Draw = Callable[[np.random.Generator, int, int], Series]
"""From a generator, a number of series and their length to factors of the duration, one series per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A way for iterations to vary.

    Attributes:
        trend: straight, from the first sample to the last, so much of the duration either way (standard
            deviation).
        is_promised: not where neighbours are more alike than AR(1) of 0.5, or alike behind noise.
    """

    name: str
    draw: Draw
    trend: float = 0.0
    is_promised: bool = True

    def drifted(self, generator: np.random.Generator, series: Series) -> Series:
        """With a trend of its own in each row, around the same middle."""
        if not self.trend:
            return series
        slopes = self.trend * generator.standard_normal((*series.shape[:-1], 1))
        return np.asarray(series * np.exp(slopes * np.linspace(-0.5, 0.5, series.shape[-1])))

    @property
    def title(self) -> str:
        return self.name if self.is_promised else f"*{self.name}*"


def _normal(generator: np.random.Generator, num_series: int, length: int, phi: float = 0.0) -> Series:
    noise = generator.standard_normal((num_series, length))
    noise[:, 1:] *= math.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise, axis=1))


def _log_normal(sigma: float, phi: float = 0.0) -> Draw:
    return lambda generator, number, length: np.exp(sigma * _normal(generator, number, length, phi))


def _heavy(generator: np.random.Generator, num_series: int, length: int) -> Series:
    return np.asarray(np.exp(0.03 * generator.standard_t(2, (num_series, length))))


def _modes(share: float) -> Draw:
    def draw(generator: np.random.Generator, num_series: int, length: int) -> Series:
        is_slow = generator.random((num_series, length)) < share
        return np.asarray(np.exp(0.01 * _normal(generator, num_series, length)) * np.where(is_slow, 1.3, 1.0))

    return draw


def _hidden(generator: np.random.Generator, num_series: int, length: int) -> Series:
    slow, fast = _normal(generator, num_series, length, 0.8), _normal(generator, num_series, length)
    return np.asarray(np.exp(0.03 * (math.sqrt(0.4) * slow + math.sqrt(0.6) * fast)))


def _any(generator: np.random.Generator, num_series: int, length: int) -> Series:
    """Each point of another of the promised kinds, in both runs alike."""
    return np.concatenate(
        [PROMISED[row % len(PROMISED)].draw(generator, 1, length) for row in range(num_series)]
    )


LOG_NORMAL: Final = Kind(name="log-normal 3 %", draw=_log_normal(0.03))
HEAVY: Final = Kind(name="heavy tails (t of 2)", draw=_heavy)
HALVES: Final = Kind(name="two modes, half and half", draw=_modes(0.5))
FIFTH: Final = Kind(name="two modes, 1 in 5", draw=_modes(0.2))
AR5: Final = Kind(name="AR(1) 0.5", draw=_log_normal(0.03, 0.5))
DRIFT: Final = Kind(name="drift of 10 %", draw=_log_normal(0.03), trend=0.1)
PROMISED: Final = (LOG_NORMAL, HEAVY, HALVES, FIFTH, AR5, DRIFT)
AR7: Final = Kind(name="AR(1) 0.7", draw=_log_normal(0.03, 0.7), is_promised=False)
HIDDEN: Final = Kind(name="AR(1) 0.8 under noise", draw=_hidden, is_promised=False)
KINDS: Final = (*PROMISED, AR7, HIDDEN)
MIXED: Final = Kind(name="each point another of these", draw=_any)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=" ".join(PARTS)
    )
    parser.add_argument(
        "--pairs", type=int, default=200, metavar="N", help="pairs of runs in a row (default 200)"
    )
    parser.add_argument(
        "--series", type=int, default=1000, metavar="N", help="pairs of series in a row (default 1000)"
    )
    given = parser.parse_args()
    print(f"    python benchmarks/comparison.py --pairs {given.pairs} --series {given.series}\n")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}.")
    for part in given.parts:
        print()
        PARTS[part](given.pairs, given.series)
    print(f"\nIt took {time.process_time():.0f} s of one processor.")


# What methods were chosen by


def print_iteration_methods(num_pairs: int, num_series: int) -> None:
    """One start of each side: how often intervals hold 1, and what a 5 % change needs."""
    methods: dict[str, Callable[[Series, Series, float], tuple[float, float]]] = {
        "blocks drawn, medians": _block_bootstrap,
        "intervals of the medians": _mover,
        "all independent": _independent,
        "used": _used,
    }
    rows = []
    for kind in (LOG_NORMAL, HEAVY, HALVES, AR5, AR7, HIDDEN):
        for length in (21, 50, 200):
            number = num_series // 5
            base, new = _series(kind, CHOOSING, 2 * number, length).reshape(2, number, length)
            cells = []
            for name, interval in methods.items():
                ends = [interval(*pair, 0.95) for pair in zip(base, new, strict=True)]
                covered = np.mean([low <= 1 <= high for low, high in ends])
                cell = f"{covered:.3f}"
                if name != "blocks drawn, medians":
                    ends = [
                        interval(old, 1.05 * other, 1 - AMONG) for old, other in zip(base, new, strict=True)
                    ]
                    cell += f", {np.mean([low > 1 for low, _ in ends]):.2f}"
                cells.append(cell)
            rows.append([kind.title, length, *cells])
    print(f"## One start of each side: the choice (seed {CHOOSING})\n")
    print(
        "Coverage of the 95 % interval of the ratio of two equal systems; and how often a slow-down by 5 % of one point among "
        f"{NUM_POINTS} is found ({num_series // 5} pairs). *Blocks drawn*: percentiles of 999 draws of blocks, as long as the "
        f"inflation; draws cannot resolve the {AMONG:.2%} of one point among {NUM_POINTS}.\n"
    )
    print_table(["iterations", "samples", *methods], rows)


def _block_bootstrap(base_s: Series, new_s: Series, confidence: float) -> tuple[float, float]:
    generator = np.random.default_rng(CHOOSING)
    medians = []
    for series in (base_s, new_s):
        number = len(series)
        size = min(number // 2, max(1, round(variance_inflation(np.sign(series - np.median(series))))))
        begins = generator.integers(0, number, (999, -(-number // size), 1))
        places = (begins + np.arange(size)).reshape(999, -1)[:, :number] % number  # circular
        medians.append(np.median(series[places], axis=1))
    low, high = np.quantile(medians[1] / medians[0], [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _mover(base_s: Series, new_s: Series, confidence: float) -> tuple[float, float]:
    found = median_ratio(base_s.tolist(), new_s.tolist(), confidence)
    return (0.0, math.inf) if found.low is None or found.high is None else (found.low, found.high)


def _used(base_s: Series, new_s: Series, confidence: float) -> tuple[float, float]:
    found = compare_iterations(base_s, new_s, confidence)
    return found.low, found.high


def _independent(base_s: Series, new_s: Series, confidence: float) -> tuple[float, float]:
    """As used, but taking all samples for independent."""
    noise = compare_iterations(base_s, new_s, confidence).noise
    number = len(base_s) + len(new_s)
    reach = float(stdtrit(number - 2, (1 + confidence) / 2)) * math.sqrt(
        (1 / len(base_s) + 1 / len(new_s)) / 12
    )
    ends = noise.distance(reach, upwards=False), noise.distance(reach, upwards=True)
    return math.exp(noise.centre - ends[0]), math.exp(noise.centre + ends[1])


STARTS: Final[dict[str, Draw]] = {
    "normal": lambda generator, number, length: 0.02 * generator.standard_normal((number, length)),
    "heavy tails (t of 3)": lambda generator, number, length: (
        0.012 * generator.standard_t(3, (number, length))
    ),
    "exponential": lambda generator, number, length: 0.02 * generator.exponential(1.0, (number, length)),
    "two modes, half and half": lambda generator, number, length: (
        0.05 * (generator.random((number, length)) < 0.5)
        + 0.005 * generator.standard_normal((number, length))
    ),
}
"""How ln(time) varies from start to start."""


def print_start_methods(num_pairs: int, num_series: int) -> None:
    """Several starts: false alarms of one point alone and of one among 21."""
    number = 100 * num_series
    rows = []
    for name, draw in STARTS.items():
        for starts in (2, 3, 5, 10):
            generator = np.random.default_rng([CHOOSING, starts, zlib.crc32(name.encode())])
            base, new = draw(generator, number, starts), draw(generator, number, starts)
            few = slice(0, 2 * num_series)
            drawn = _start_bootstrap(generator, base[few], new[few])
            cells = [f"{100 * drawn:.1f}"]
            for p_values in (_students(base, new), _welchs(base, new)):
                cells.append(f"{100 * (p_values < 0.05).mean():.1f}, {100 * (p_values < AMONG).mean():.2f}")
            rows.append([name, starts, *cells])
    for ratio in (3, 10):
        for starts in (2, 3, 5, 10):
            generator = np.random.default_rng([CHOOSING, starts, ratio])
            base, new = (
                STARTS["normal"](generator, number, starts),
                ratio * STARTS["normal"](generator, number, starts),
            )
            cells = [
                f"{100 * (p_values < 0.05).mean():.1f}, {100 * (p_values < AMONG).mean():.2f}"
                for p_values in (_students(base, new), _welchs(base, new))
            ]
            rows.append([f"normal, one side scatters {ratio} x", starts, "", *cells])
    print(f"## Several starts: the choice (seed {CHOOSING})\n")
    print(
        f"Of 100 equal points how many are called different at 5 %; and at {AMONG:.2%}, the threshold of one among {NUM_POINTS} "
        f"({number} pairs; of the bootstrap {2 * num_series}, percentiles of 999 draws of starts). Used is the more cautious of "
        "Student's and Welch's, which is Welch's where both sides have as many starts.\n"
    )
    print_table(["ln(time) of starts", "starts of each", "starts drawn", "Student", "Welch"], rows)


def _students(base: Series, new: Series) -> Series:
    number = base.shape[1]
    error = np.sqrt((base.var(axis=1, ddof=1) + new.var(axis=1, ddof=1)) / number)
    return np.asarray(2 * stdtr(2 * number - 2, -abs(new.mean(axis=1) - base.mean(axis=1)) / error))


def _welchs(base: Series, new: Series) -> Series:
    number = base.shape[1]
    parts = base.var(axis=1, ddof=1) / number, new.var(axis=1, ddof=1) / number
    freedom = (parts[0] + parts[1]) ** 2 * (number - 1) / (parts[0] ** 2 + parts[1] ** 2)
    return np.asarray(
        2 * stdtr(freedom, -abs(new.mean(axis=1) - base.mean(axis=1)) / np.sqrt(parts[0] + parts[1]))
    )


def _start_bootstrap(generator: np.random.Generator, base: Series, new: Series) -> float:
    number = base.shape[1]
    alarms = 0
    for old, other in zip(base, new, strict=True):
        places = generator.integers(0, number, (2, 999, number))
        drawn = other[places[1]].mean(axis=1) - old[places[0]].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        alarms += not low <= 0 <= high
    return alarms / len(base)


# Whole runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """21 points on one link: latency + bytes on the wire / rate."""

    rate_bytes_per_s: float

    def times_s(self, slow_down: float = 1.0) -> Series:
        """Shape (NUM_POINTS,), collectives by sizes; ``slow_down`` divides the rate."""
        wire = np.array([factor * size for factor in FACTORS.values() for size in SIZES])
        return LATENCY_S + slow_down * wire / self.rate_bytes_per_s


def _planned(factors: Series, time_s: float) -> Series:
    """As many samples as the default plan takes, of a series of `MAX_ITERATIONS`."""
    durations_s = time_s * factors
    most = min(MAX_ITERATIONS, max(MIN_ITERATIONS, int(durations_s.cumsum().searchsorted(FILL_S)) + 1))
    look = MIN_ITERATIONS
    while look < most:
        if is_narrow_enough(durations_s[:look], TARGET_WIDTH):
            return durations_s[:look]
        look = math.ceil(LOOK_FACTOR * look)
    return durations_s[:most]


def _run(
    generator: np.random.Generator,
    kind: Kind,
    times_s: Series,
    *,
    num_starts: int = 1,
    spread: Callable[[np.random.Generator, int, int], Series] | None = None,
) -> list[Arm]:
    """One side of a comparison: an arm per point. ``spread``: ln of what each start does to each point."""
    shifts = (
        np.zeros((num_starts, len(times_s)))
        if spread is None
        else spread(generator, num_starts, len(times_s))
    )
    factors = kind.draw(generator, num_starts * len(times_s), MAX_ITERATIONS).reshape(
        num_starts, len(times_s), -1
    )
    return [
        Arm(
            starts_s=tuple(
                kind.drifted(
                    generator,
                    _planned(factors[start, point], times_s[point] * math.exp(shifts[start, point])),
                )
                for start in range(num_starts)
            )
        )
        for point in range(len(times_s))
    ]


def _verdicts(base: Sequence[Arm], new: Sequence[Arm], *, is_paired: bool = False) -> list[Verdict]:
    found = [compare_point(old, other, is_paired=is_paired) for old, other in zip(base, new, strict=True)]
    return [judgement.verdict for judgement in judge(found)]


FOUND: Final = (Verdict.slower, Verdict.faster)


def _own(generator: np.random.Generator, num_starts: int, num_points: int) -> Series:
    return 0.02 * generator.standard_normal((num_starts, num_points))


def _common(generator: np.random.Generator, num_starts: int, num_points: int) -> Series:
    return np.repeat(0.02 * generator.standard_normal((num_starts, 1)), num_points, axis=1)


def _common_modes(generator: np.random.Generator, num_starts: int, num_points: int) -> Series:
    return np.repeat(0.05 * (generator.random((num_starts, 1)) < 0.5), num_points, axis=1)


def _own_modes(generator: np.random.Generator, num_starts: int, num_points: int) -> Series:
    return np.where(generator.random((num_starts, num_points)) < 0.5, 0.05, 0.0)


SPREADS: Final = {
    "2 %, each point its own": _own,
    "2 %, common to all points": _common,
    "two modes 5 % apart, common to all points": _common_modes,
    "two modes 5 % apart, each point its own": _own_modes,
}


def print_equal_runs(num_pairs: int, num_series: int) -> None:
    """Pairs of runs of the same system: in how many is any point called different."""
    sweep = Sweep(rate_bytes_per_s=RATES_BYTES_PER_S["1 Gb/s"])
    rows = []
    for kind in (*KINDS, MIXED):
        generator = np.random.default_rng([REPORTING, zlib.crc32(kind.name.encode())])
        flagged = points = 0
        for _ in range(num_pairs):
            base, new = (_run(generator, kind, sweep.times_s()) for _ in range(2))
            found = [verdict in FOUND for verdict in _verdicts(base, new)]
            flagged, points = flagged + any(found), points + sum(found)
        rows.append([kind.title, "1", "", flagged, points])
    for name, spread in SPREADS.items():
        for starts, is_paired in ((3, False), (5, False), (5, True))[: 3 if spread in (_own, _common) else 2]:
            generator = np.random.default_rng([REPORTING, starts, zlib.crc32(name.encode())])
            flagged = points = 0
            for _ in range(num_pairs):
                base, new = (
                    _run(generator, LOG_NORMAL, sweep.times_s(), num_starts=starts, spread=spread)
                    for _ in range(2)
                )
                found = [verdict in FOUND for verdict in _verdicts(base, new, is_paired=is_paired)]
                flagged, points = flagged + any(found), points + sum(found)
            title = name if spread is not _own_modes else f"*{name}*"
            rows.append(
                [LOG_NORMAL.name, f"{starts}{', in pairs' if is_paired else ''}", title, flagged, points]
            )
    print(f"## Equal runs (seed {REPORTING})\n")
    print(
        f"{num_pairs} pairs of runs of the same system, {NUM_POINTS} points each on a link of 1 Gb/s with the default plan "
        f"({MIN_ITERATIONS} samples from 512 KiB or 2 MiB on, up to {MAX_ITERATIONS} below). Pairs with any point called slower "
        "or faster, at most 10 of 200 wanted; and such points in all pairs.\n"
    )
    head = ["iterations", "starts of each", "between starts", f"flagged of {num_pairs}", "points"]
    print_table(head, rows)


def print_slow_link(num_pairs: int, num_series: int) -> None:
    """A link that is 5 % slower, noise of 3 % within the start."""
    rows = []
    number = num_pairs // 2
    for name, rate in RATES_BYTES_PER_S.items():
        sweep = Sweep(rate_bytes_per_s=rate)
        normal_s, slow_s = sweep.times_s(), sweep.times_s(1.05)
        generator = np.random.default_rng([REPORTING, int(rate)])
        found = np.zeros((number, NUM_POINTS), dtype=bool)
        alone = np.zeros((number, NUM_POINTS), dtype=bool)
        samples = np.zeros(NUM_POINTS)
        for pair in range(number):
            base = _run(generator, LOG_NORMAL, normal_s)
            compared = [
                compare_point(old, other)
                for old, other in zip(base, _run(generator, LOG_NORMAL, slow_s), strict=True)
            ]
            found[pair] = [judgement.verdict is Verdict.slower for judgement in judge(compared)]
            # With all other points unchanged, Holm's threshold of the one that is slower is that of the smallest p-value.
            alone[pair] = [
                one.p_value is not None and one.p_value <= AMONG and one.ratio > 1 for one in compared
            ]
            samples += [len(arm.starts_s[0]) / number for arm in base]
        shape = (len(FACTORS), len(SIZES))
        for place, size in enumerate(SIZES):
            change = (slow_s / normal_s - 1).reshape(shape)[:, place]
            rows.append(
                [
                    name,
                    f"{size >> 10} KiB",
                    f"{100 * change.min():.1f} to {100 * change.max():.1f} %",
                    f"{samples.reshape(shape)[:, place].min():.0f} to {samples.reshape(shape)[:, place].max():.0f}",
                    f"{found.reshape(number, *shape)[:, :, place].mean():.0%}",
                    f"{alone.reshape(number, *shape)[:, :, place].mean():.0%}",
                ]
            )
        rows.append([name, "any", "", "", f"{found.any(axis=1).mean():.0%}", ""])
    print(f"## A link 5 % slower (seed {REPORTING})\n")
    print(
        f"{number} pairs of runs, the default plan, one start of each side, noise of 3 % (log-normal) within the start, "
        f"{LATENCY_S * 1e6:.0f} us of latency that does not change. Found: points called slower. Alone: as many if no other of "
        f"the {NUM_POINTS} points changed.\n"
    )
    print_table(["link", "message", "slower by", "samples", "found", "alone"], rows)


def print_starts_needed(num_pairs: int, num_series: int) -> None:
    """3 % between starts: how many starts a change of 5 % takes, and whether that many find it."""
    rows = []
    for spread, ratio in ((0.01, 1.05), (0.02, 1.05), (0.03, 1.05), (0.03, 1.1)):
        for is_paired in (False, True):
            of_pairs = spread * math.sqrt(2) if is_paired else spread
            starts = num_starts_for(ratio, spread=of_pairs, num_points=NUM_POINTS, is_paired=is_paired)
            generator = np.random.default_rng([REPORTING, starts])
            found = 0
            for _ in range(num_series):
                base, new = np.exp(spread * generator.standard_normal((2, starts)))
                compared = compare_point(_medians(base), _medians(ratio * new), is_paired=is_paired)
                found += compared.p_value is not None and compared.p_value <= AMONG
            rows.append(
                [f"{spread:.0%}", ratio, "yes" if is_paired else "no", starts, f"{found / num_series:.3f}"]
            )
    print(f"## Starts needed (seed {REPORTING})\n")
    print(
        f"`num_starts_for` one point among {NUM_POINTS}, and how often so many starts find it ({num_series} comparisons; 0.9 "
        "wanted). Starts have nothing in common, so pairs gain nothing here.\n"
    )
    print_table(["between starts", "ratio", "pairs", "starts of each", "found"], rows)


def _medians(values_s: Series) -> Arm:
    return Arm(starts_s=tuple(np.array([value_s]) for value_s in values_s))


def print_detectable(num_pairs: int, num_series: int) -> None:
    """One comparison says what it could have found; another with that difference: is it found."""
    number = num_series // 2
    rows = []
    for kind in (LOG_NORMAL, HEAVY, HALVES, FIFTH, AR5, AR7, HIDDEN):
        for length in (21, 50, 200):
            first, second, third, fourth = _series(kind, REPORTING, 4 * number, length).reshape(
                4, number, length
            )
            ratios, found = [], []
            for old, other, base, new in zip(first, second, third, fourth, strict=True):
                ratio = compare_iterations(old, other, 0.95).noise.detectable_ratio(AMONG, 0.9)
                if ratio is not None:
                    ratios.append(ratio)
                    found.append(compare_iterations(base, ratio * new, 0.95).p_value <= AMONG)
            rows.append([kind.title, length, "1", *_of_detectable(ratios, found)])
    for name, draw in STARTS.items():
        for starts in (3, 5, 10):
            generator = np.random.default_rng([REPORTING, starts, zlib.crc32(name.encode())])
            ratios, found = [], []
            for _ in range(2 * number):
                logs = draw(generator, 4, starts)
                noise = compare_point(*map(_medians, np.exp(logs[:2]))).noise
                ratio = None if noise is None else noise.detectable_ratio(AMONG, 0.9)
                if ratio is not None:
                    ratios.append(ratio)
                    p_value = compare_point(
                        _medians(np.exp(logs[2])), _medians(ratio * np.exp(logs[3]))
                    ).p_value
                    found.append(p_value is not None and p_value <= AMONG)
            rows.append([f"starts: {name}", "", starts, *_of_detectable(ratios, found)])
    print(f"## The smallest detectable difference (seed {REPORTING})\n")
    print(
        f"Of two equal systems the smallest ratio that would be found among {NUM_POINTS} points in 90 % of repetitions; then a "
        f"repetition with that ratio ({number} of each with one start, {2 * number} with several), and how often it was "
        "found.\n"
    )
    head = ["varies", "samples", "starts of each", "10 % of ratios below", "median", "90 % below", "found"]
    print_table(head, rows)


def _of_detectable(ratios: Sequence[float], found: Sequence[bool]) -> list[str]:
    return [
        *(f"{ratio:.3g}" if ratio > 10 else f"{ratio:.3f}" for ratio in np.quantile(ratios, [0.1, 0.5, 0.9])),
        f"{np.mean(found):.2f}",
    ]


def print_coverage(num_pairs: int, num_series: int) -> None:
    """95 % intervals of the ratio, and the false alarms of one point."""
    rows = []
    for kind in KINDS:
        for length in (6, 21, 50, 200):
            base, new = _series(kind, REPORTING, 2 * num_series, length).reshape(2, num_series, length)
            rows.append([kind.title, length, *_of_intervals(zip(base, new, strict=True))])
    for name, factor in (("log-normal 3 %, new 10 %", 0.1), ("log-normal 3 %, new 0.3 %", 0.003)):
        for length in (21, 50, 200):
            base = _series(LOG_NORMAL, REPORTING, num_series, length)
            other = Kind(name=name, draw=_log_normal(factor))
            rows.append(
                [
                    name,
                    length,
                    *_of_intervals(zip(base, _series(other, REPORTING, num_series, length), strict=True)),
                ]
            )
    print(f"## Intervals of one start of each side (seed {REPORTING})\n")
    print(
        f"The 95 % interval of the ratio of equal systems: coverage, mean width; and of 1000 such points how many have a p-value "
        f"below 5 % and below {AMONG:.2%} ({num_series} pairs; nominal are 50 and {1000 * AMONG:.1f}). In italics: neighbours more alike than "
        "promised.\n"
    )
    print_table(["iterations", "samples", "coverage", "width", "p < 5 %", f"p < {AMONG:.2%}"], rows)


def _of_intervals(pairs: "zip[tuple[Series, Series]]") -> list[str]:
    found = [compare_iterations(base, new, 0.95) for base, new in pairs]
    covered = np.mean([one.low <= 1 <= one.high for one in found])
    width = np.mean([one.high - one.low for one in found])
    p_values = np.array([one.p_value for one in found])
    alarms = [f"{1000 * (p_values < level).mean():.1f}" for level in (0.05, AMONG)]
    return [f"{covered:.3f}", f"{width:.4f}", *alarms]


def print_start_coverage(num_pairs: int, num_series: int) -> None:
    """95 % intervals over starts: several on both sides, in pairs, and one against several."""
    rows = []
    for name, draw in STARTS.items():
        for starts in ((2, 2), (3, 3), (5, 5), (10, 10), (2, 10), (1, 5), (1, 10)):
            generator = np.random.default_rng([REPORTING, *starts, zlib.crc32(name.encode())])
            cells = []
            for is_paired in (False, True):
                if is_paired and starts[0] != starts[1]:
                    cells.append("")
                    continue
                covered = 0
                for _ in range(num_series):
                    base, new = (_medians(np.exp(draw(generator, 1, number)[0])) for number in starts)
                    found = compare_point(base, new, is_paired=is_paired)
                    covered += (
                        found.low is not None and found.high is not None and found.low <= 1 <= found.high
                    )
                cells.append(f"{covered / num_series:.3f}")
            rows.append([name, f"{starts[0]} and {starts[1]}", *cells])
    print(f"## Intervals over starts (seed {REPORTING})\n")
    print(f"Coverage of the 95 % interval of the ratio of equal systems ({num_series} comparisons).\n")
    print_table(["ln(time) of starts", "starts", "coverage", "in pairs"], rows)


def print_floors(num_pairs: int, num_series: int) -> None:
    """Gates of a system against its own baseline: how often it fails, and what a 10 % loss does."""
    keys = [f"point {number}" for number in range(NUM_POINTS)]
    rows = []
    for starts in (3, 5, 10, 20):
        for runs, least in ((1, 1), (3, 2)):
            generator = np.random.default_rng([REPORTING, starts, runs])
            failed = lost = 0
            for _ in range(num_series):
                base = np.exp(0.02 * generator.standard_normal((NUM_POINTS, starts)))
                floors = floors_from_baseline(dict(zip(keys, base.tolist(), strict=True)))
                after = np.exp(0.02 * generator.standard_normal((runs, NUM_POINTS)))
                failed += _fails(floors, keys, after, least)
                lost += _fails(
                    floors, keys, after * np.where(np.arange(NUM_POINTS) == 0, 1.1, 1.0), least, keys[0]
                )
            rows.append(
                [starts, f"{least} of {runs}", f"{failed / num_series:.3f}", f"{lost / num_series:.2f}"]
            )
    print(f"## Floors from a baseline (seed {REPORTING})\n")
    print(
        f"Floors of {NUM_POINTS} points from starts that vary by 2 %, each point its own. How often the same system fails the "
        f"gate at any point ({ERROR_RATE:g} wanted of one run), and how often a point that became 10 % slower fails ({num_series} gates).\n"
    )
    print_table(
        ["starts of the base", "misses that fail", "sound system fails", "10 % at one point fails"], rows
    )


def _fails(
    floors: Sequence[Floor], keys: Sequence[str], times_s: Series, least: int, key: str | None = None
) -> bool:
    outcome = gate(
        floors, [dict(zip(keys, run.tolist(), strict=True)) for run in times_s], least_misses=least
    )
    return any(point.has_failed for point in outcome.points if key in (None, point.floor.key))


def _series(kind: Kind, seed: int, num_series: int, length: int) -> Series:
    generator = np.random.default_rng([seed, length, zlib.crc32(kind.name.encode())])
    return kind.drifted(generator, kind.draw(generator, num_series, length))


def print_table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    print("| " + " | ".join(map(str, head)) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


PARTS: Final[dict[str, Callable[[int, int], None]]] = {
    "equal": print_equal_runs,
    "slow": print_slow_link,
    "starts": print_starts_needed,
    "detectable": print_detectable,
    "intervals": print_coverage,
    "start-intervals": print_start_coverage,
    "floors": print_floors,
    "iteration-methods": print_iteration_methods,
    "start-methods": print_start_methods,
}


if __name__ == "__main__":
    main()
