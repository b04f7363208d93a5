"""`FecHistogram`: how many bad symbols the codewords of a real link had, and what follows for its losses.

Where it exists it is the evidence, and the formula of `fec` for random errors is not: one 400GBASE-DR4 link
had three codewords with 8 bad symbols, where random errors of the same mean give 3e-36.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.model import units
from bench.model.optics.fec import FecCode

Counts = NDArray[np.float64]
"""Shape (bins,): codewords by number of bad symbols."""

CONFIDENCE: Final = 0.95

RULE_OF_THREE: Final = 3.0
"""Nothing seen in N trials: with 95 % confidence the ratio is below 3 / N; (1 - 3 / N)^N is about 0.05."""

MIN_OCCUPIED_BINS: Final = 3
"""Two bins make a straight line; the third is the first that can contradict it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FecHistogram:
    """Codewords of one port by their number of bad symbols. It does not tell the lanes apart.

    Attributes:
        codewords: with 0, 1, ... t bad symbols; t + 1 numbers.
        uncorrectable: codewords with more.
        duration_s: over which they were counted.
        mac_rate_bytes_per_s: of the port.
    """

    code: FecCode
    codewords: tuple[int, ...]
    uncorrectable: int
    duration_s: float
    mac_rate_bytes_per_s: float

    def __post_init__(self) -> None:
        _, t, _ = self.code.block()
        if len(self.codewords) != t + 1:
            raise ValueError(
                f"FEC histogram has {len(self.codewords)} bins; {self.code.name} has {t + 1}, one for "
                f"each of 0 to {t} bad symbols. Bins that hold a range of them say too little"
            )
        if min(*self.codewords, self.uncorrectable) < 0 or self.num_codewords == 0:
            raise ValueError(
                f"FEC histogram counts {self.codewords} and {self.uncorrectable} uncorrectable codewords; "
                "counts are at least 0 and not all 0. Subtract two readings without a reset between them"
            )
        if not (self.duration_s > 0 and self.mac_rate_bytes_per_s > 0):
            raise ValueError(
                f"FEC histogram has duration_s {self.duration_s} and mac_rate_bytes_per_s "
                f"{self.mac_rate_bytes_per_s}; both are above 0"
            )

    @property
    def num_codewords(self) -> int:
        """All of them."""
        return sum(self.codewords) + self.uncorrectable

    @property
    def num_bad_symbols(self) -> int:
        """At least so many: an uncorrectable codeword counts with t + 1."""
        corrected = sum(bad * count for bad, count in enumerate(self.codewords))
        return corrected + len(self.codewords) * self.uncorrectable

    @property
    def mean_ber(self) -> float:
        """Bad symbols over bits: as if each had one bad bit, which nearly all have with Gray coding.

        Codewords are spread over the lanes, so this is their mean; the worst lane is worse.
        """
        n, _, symbol_bits = self.code.block()
        return self.num_bad_symbols / (self.num_codewords * n * symbol_bits)

    @property
    def expected_codewords(self) -> float | None:
        """Codewords that fill the line for this time. None where the line rate of the code is unresolved."""
        if self.code.line_over_mac is None:
            return None
        n, _, symbol_bits = self.code.block()
        line_bits_per_s = self.mac_rate_bytes_per_s * units.BITS_PER_BYTE * float(self.code.line_over_mac)
        return line_bits_per_s * self.duration_s / (n * symbol_bits)

    @property
    def codeword_count_error(self) -> float | None:
        """Counted over expected codewords, less 1. Far from 0: unit, rate or duration was misread."""
        expected = self.expected_codewords
        return None if expected is None else self.num_codewords / expected - 1

    def random_codewords(self) -> Counts:
        """The bins if the same bad symbols fell at random: N Poisson(i; mean), i = 0 to t."""
        from scipy.special import gammaln, xlogy

        bad = np.arange(len(self.codewords))
        mean = self.num_bad_symbols / self.num_codewords
        log_share = xlogy(bad, mean) - mean - gammaln(bad + 1)
        return np.asarray(np.exp(math.log(self.num_codewords) + log_share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Share of codewords beyond correction by extrapolation: true if the straight line goes on.

    Attributes:
        low, high: 95 % limits over all lines that agree with the histogram.
        first_bin: number of bad symbols from which the line of ``ratio`` was laid.
        step_ratio: codewords with one more bad symbol over those with as many as the bin says.
    """

    ratio: float
    low: float
    high: float
    first_bin: int
    step_ratio: float


def extrapolate(histogram: FecHistogram) -> Tail | None:
    """Continue the tail of a histogram beyond t with straight lines of the logarithm of its counts.

    From bin s on, counts fall by r per bad symbol, so their likelihood is (1 - r)^C r^S: C corrected
    codewords, S = sum c_i (i - s), to which each uncorrectable one adds t + 1 - s. Hence r = S / (S + C),
    with the interval of a binomial proportion, and the share beyond correction is K r^(t + 1 - s) / N, K =
    all codewords from s on. Empty bins count, and each bin weighs as its Poisson count does.

    Nothing says where the tail begins. Every s counts that leaves `MIN_OCCUPIED_BINS` and whose line agrees
    with all bins above; the estimate is the line that loses most, the interval covers them all. None: no s is
    left.

    Kinds of errors that have not shown yet are in no such interval; `ratio_interval` of the uncorrectable
    codewords covers them. Counts of random errors fall ever faster, so for them a line lies above the truth.

    Source:
        Likelihood: geometric distribution, censored. Intervals: Clopper and Pearson 1934; Garwood 1936.
    """
    counts = np.array([*histogram.codewords, histogram.uncorrectable], dtype=np.float64)
    starts = range(1, len(counts) - MIN_OCCUPIED_BINS)
    lines = [line for first_bin in starts if (line := _line(counts, first_bin)) is not None]
    if not lines:
        return None
    most = max(lines, key=lambda line: line.ratio)
    low, high = min(line.low for line in lines), max(line.high for line in lines)
    return dataclasses.replace(most, low=low, high=high)


def _line(counts: Counts, first_bin: int) -> Tail | None:
    """The line from one bin on; None where too few bins are left or they do not lie on it."""
    above = counts[first_bin:]
    corrected = above[:-1]
    if above[0] == 0 or np.count_nonzero(corrected) < MIN_OCCUPIED_BINS:
        return None
    steps = float(np.arange(len(above)) @ above)
    stopped = float(corrected.sum())
    step_ratio = steps / (steps + stopped)
    if not _is_straight(above, step_ratio):
        return None
    from scipy.special import betaincinv

    outside = (1 - CONFIDENCE) / 4  # two quantities, two sides of each
    steep = float(betaincinv(steps, stopped + 1, outside))
    flat = float(betaincinv(steps + 1, stopped, 1 - outside))
    few, many = _poisson_interval(float(above.sum()), outside)
    num_codewords, num_steps = float(counts.sum()), len(corrected)
    return Tail(
        ratio=float(above.sum()) / num_codewords * step_ratio**num_steps,
        low=few / num_codewords * steep**num_steps,
        high=many / num_codewords * flat**num_steps,
        first_bin=first_bin,
        step_ratio=step_ratio,
    )


def _is_straight(counts: Counts, step_ratio: float) -> bool:
    """Whether the sums over the counts from the second, third, ... on agree with the line.

    Two-sided Poisson tests at 5 % divided by their number (Bonferroni).
    """
    from scipy.special import gammainc, gammaincc

    seen = counts[::-1].cumsum()[::-1][1:]
    line = counts.sum() * step_ratio ** np.arange(1, len(counts))
    at_most = gammaincc(seen + 1, line)  # P(Poisson(line) <= seen)
    at_least = np.where(seen > 0, gammainc(np.maximum(seen, 1), line), 1.0)
    return bool(np.all(2 * np.minimum(at_most, at_least) >= (1 - CONFIDENCE) / len(seen)))


def ratio_interval(events: int, trials: float) -> tuple[float, float]:
    """95 % interval of a ratio of rare events: bit errors to bits, lost codewords to codewords.

    No event in N trials: (0, 3 / N). A ratio of 0 is never known, however long nothing was seen.

    Raises:
        ValueError: fewer than 0 events, or no trials.
    Source:
        Garwood 1936, Biometrika 28 (Poisson).
    """
    if events < 0 or not trials > 0:
        raise ValueError(f"{events} events in {trials} trials; events are 0 or more, trials above 0")
    if events == 0:
        return 0.0, min(1.0, RULE_OF_THREE / trials)
    few, many = _poisson_interval(events, (1 - CONFIDENCE) / 2)
    return few / trials, min(1.0, many / trials)


def _poisson_interval(events: float, outside: float) -> tuple[float, float]:
    """Poisson means that reach ``events`` from below and from above with probability ``outside`` each."""
    from scipy.special import gammaincinv

    return float(gammaincinv(events, outside)), float(gammaincinv(events + 1, 1 - outside))
