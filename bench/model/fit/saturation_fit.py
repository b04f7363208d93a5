"""`judge`: from a fitted curve and the sizes behind it to the verdict whether its plateau is in the data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.model.fit.curve import Curve
from bench.model.fit.curve_fit import CurvePoint
from bench.model.fit.half_bandwidth import size_at_share
from bench.model.fit.line import REPEATABILITY, Estimate, Line
from bench.model.fit.saturation import ONE_MORE, PLATEAU_TOLERANCE, Saturation, Verdict
from bench.model.interval import CONFIDENCE

PLATEAU_SHARE: Final = 1 - PLATEAU_TOLERANCE

END_FACTOR: Final = ONE_MORE
"""The two sizes compared at the end differ by this factor, or by the step of the sweep where that is larger. Where latency
takes 5 % of the largest size it takes 17 % of a quarter of it, so that the bandwidth of the two differs by 15 %: visible beside
repetitions that differ by 2 %. A doubling shows 5 %, which is not. Linerate's own sweeps go by this step."""

MOST_WIDTH: Final = 100.0
"""In the logarithm; an interval as wide says nothing, and a wider one may exceed what a float holds."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """One size beyond the token bucket: what it carries per second, and the relative standard deviation of that."""

    message_bytes: int
    bytes_per_s: float
    sd: float


@dataclass(frozen=True, slots=True)
class _End:
    """The largest size beside a smaller one on the same line. ``needed``: where these two alone expect `PLATEAU_SHARE`."""

    from_bytes: int
    growth: Estimate
    share: Estimate
    needed: Estimate


def judge(curve: Curve, points: Sequence[CurvePoint], *, have_intervals: bool) -> Saturation:
    """Whether the bandwidth of the plateau is in the data, by two views of the largest size that must not contradict.

    The question is what a user asks of a sweep: is the bandwidth of large messages measured here, or extrapolated? With
    T**p = latency**p + (S s_per_byte)**p the largest size has the share (1 + (latency / (S s_per_byte))**p)**(-1/p) of the
    plateau's bandwidth 1 / s_per_byte; for p = 1 this is 1 - latency / T.

    The line: that share by all sizes on the last line, with its interval (scatter about the line, Student's t).
    The end: that share by the largest size and one `END_FACTOR` below it, from the intervals of their medians. If the
    bandwidth grows by the factor G while the size grows by r, then for p = 1 the share is 1 - (G - 1) / (r - 1), and this is
    taken whatever p: a plateau that one size alone shows, by the form of a curve, was not seen. Sizes before these two
    cannot mislead it.

    saturated      one of them is surely within 5 % of the plateau, and the other does not say that it surely is not
    not saturated  the end surely is not; or the line surely is not, and the end is not sure that it is
    falls          the bandwidth of the largest size is below that of a smaller one, by at least 5 % and beyond their
                   intervals (at 95 % for all comparisons together: Bonferroni)
    cannot tell    anything else: too few sizes, wide intervals, or the two contradict each other

    "Surely" is with the whole 95 % interval. Sizes that pass an emulated link's token bucket are left out, and what the
    bucket lets through before its rate shows is taken off the others: it makes small messages look fast.

    Args:
        have_intervals: whether points have a 95 % interval of their own. Otherwise they are taken to scatter as they do about
            their line, and at least by `REPEATABILITY`.
    """
    last = curve.segments[-1]
    if curve.last_bytes <= curve.unshaped_bytes:
        return Saturation(verdict=Verdict.not_saturated, last_bytes=curve.last_bytes)
    shown = _shown(curve, points, have_intervals=have_intervals)
    num_free = math.inf if have_intervals else last.line.num_free
    end = _end([each for each in shown if each.message_bytes >= last.first_bytes], num_free)
    is_mixed = last.first_bytes <= curve.unshaped_bytes
    share = None if is_mixed else _share(last.line, curve.last_bytes)
    falling = _falling(shown, num_free)
    verdict = Verdict.falls if falling else _verdict(share, end.share if end else None)
    return Saturation(
        verdict=verdict,
        last_bytes=curve.last_bytes,
        share=share,
        growth_from_bytes=end.from_bytes if end else None,
        growth=end.growth if end else None,
        end_share=end.share if end else None,
        from_bytes=None if falling else _from_bytes(curve, verdict, end),
        best_bytes=falling[0] if falling else None,
        drop=falling[1] if falling else None,
        falls_from_bytes=falling[2] if falling else None,
    )


def _shown(curve: Curve, points: Sequence[CurvePoint], *, have_intervals: bool) -> list[_Shown]:
    found = []
    for point in sorted(points, key=lambda point: point.message_bytes):
        segment = curve.segment(point.message_bytes)
        if point.message_bytes <= curve.unshaped_bytes:
            continue
        line = segment.line
        head_start_bytes = min(0.0, line.latency_s / line.s_per_byte) if line.s_per_byte > 0 else 0.0
        scatter = REPEATABILITY if have_intervals else max(REPEATABILITY, line.spread or 0.0)
        found.append(
            _Shown(
                point.message_bytes,
                (point.message_bytes + head_start_bytes) / point.time_s,
                math.hypot(point.relative_sd or 0.0, scatter),
            )
        )
    return found


def _share(line: Line, size: int) -> Estimate | None:
    """Of the plateau that a size reaches by its line; above 1 where a token bucket gave it a head start."""
    knee = line.knee()
    if knee is None or knee.low is None:
        return None
    return Estimate(
        value=_share_at(knee.value, size, line.exponent),
        low=0.0 if knee.high is None else _share_at(knee.high, size, line.exponent),
        high=_share_at(knee.low, size, line.exponent),
    )


def _share_at(knee_bytes: float, size: float, exponent: float) -> float:
    ratio = knee_bytes / size
    if exponent == 1:
        return 1 / (1 + ratio)
    larger = max(1.0, ratio)  # outside the power, which would overflow
    return float((larger**-exponent + (ratio / larger) ** exponent) ** (-1 / exponent) / larger)


def _end(shown: Sequence[_Shown], num_free: float) -> _End | None:
    """``shown``: on the last line. None where there are fewer than two, or nothing is known of their deviations."""
    if len(shown) < 2 or num_free == 0:
        return None
    last = shown[-1]
    near = [each for each in shown[:-1] if each.message_bytes * END_FACTOR >= last.message_bytes]
    first = near[0] if near else shown[-2]
    growth = last.bytes_per_s / first.bytes_per_s
    width = _width((1 + CONFIDENCE) / 2, num_free, first, last)
    step = last.message_bytes / first.message_bytes
    shares = [max(0.0, 1 - (each - 1) / (step - 1)) for each in (growth, growth / width, growth * width)]
    # The share of S bytes is 1 / (1 + knee / S).
    factor = PLATEAU_SHARE / (1 - PLATEAU_SHARE) * last.message_bytes
    sizes = [factor * max(0.0, 1 / share - 1) if share > 0 else math.inf for share in shares]
    return _End(
        from_bytes=first.message_bytes,
        growth=Estimate(value=growth - 1, low=growth / width - 1, high=growth * width - 1),
        share=Estimate(value=shares[0], low=shares[2], high=shares[1]),
        needed=Estimate(value=sizes[0], low=sizes[1], high=None if sizes[2] == math.inf else sizes[2]),
    )


def _falling(shown: Sequence[_Shown], num_free: float) -> tuple[int, Estimate, int] | None:
    """The size that the largest one falls below most surely, by how much, and from which size on all have fallen."""
    if len(shown) < 2 or num_free == 0:
        return None
    last, others = shown[-1], shown[:-1]
    probability = 1 - (1 - CONFIDENCE) / 2 / len(others)
    best = max(others, key=lambda each: each.bytes_per_s / _width(probability, num_free, each, last))
    rest, width = last.bytes_per_s / best.bytes_per_s, _width(probability, num_free, best, last)
    if rest * width >= 1 or 1 - rest < PLATEAU_TOLERANCE:
        return None
    fallen = last.message_bytes
    for each in reversed(shown):
        if each.bytes_per_s >= best.bytes_per_s * PLATEAU_SHARE:
            break
        fallen = each.message_bytes
    return best.message_bytes, Estimate(value=1 - rest, low=1 - rest * width, high=1 - rest / width), fallen


def _verdict(line: Estimate | None, end: Estimate | None) -> Verdict:
    line_says, end_says = _is_on_plateau(line), _is_on_plateau(end, is_one_sided=True)
    if end_says is False or (line_says is False and end_says is None):
        return Verdict.not_saturated
    if line_says is False:
        return Verdict.cannot_tell
    return Verdict.saturated if line_says or end_says else Verdict.cannot_tell


def _is_on_plateau(share: Estimate | None, *, is_one_sided: bool = False) -> bool | None:
    """Whether the whole interval is within the tolerance (True) or outside it (False). None: neither.

    ``is_one_sided``: more than the plateau counts as on it; whether the bandwidth falls is another question.
    """
    if share is None or share.low is None or share.high is None:
        return None
    most = math.inf if is_one_sided else 1 + PLATEAU_TOLERANCE
    if share.low >= PLATEAU_SHARE and share.high <= most:
        return True
    return False if share.high < PLATEAU_SHARE or share.low > most else None


def _from_bytes(curve: Curve, verdict: Verdict, end: _End | None) -> Estimate | None:
    """The size from which on the plateau is reached, by the view that decided; None where the time does not grow."""
    line = curve.segments[-1].line
    knee = line.knee()
    if knee is None:
        return None
    found = (
        _reached_for_good(curve)
        if knee.value >= 0
        else _after_head_start(knee, curve.segments[-1].first_bytes)
    )
    if found is None or found.value > curve.last_bytes:
        is_seen = verdict is Verdict.saturated
        return Estimate(value=float(curve.last_bytes), low=None, high=None) if is_seen else found
    if verdict is Verdict.saturated or end is None or line.exponent != 1:
        return found
    return end.needed if curve.last_bytes < end.needed.value < math.inf else found


def _reached_for_good(curve: Curve) -> Estimate | None:
    """From which size on `PLATEAU_SHARE` is reached: on the last line that begins below it, whatever was before."""
    plateau = 1 / curve.segments[-1].line.s_per_byte
    begins_below = [
        segment.first_bytes / segment.line.time_s(segment.first_bytes) < PLATEAU_SHARE * plateau
        for segment in curve.segments
    ]
    if not any(begins_below[1:]):
        return size_at_share(curve, PLATEAU_SHARE)
    place = len(begins_below) - 1 - begins_below[::-1].index(True)
    found = size_at_share(replace(curve, segments=curve.segments[place:]), PLATEAU_SHARE)
    if found is None or found.low is None:
        return found
    return replace(found, low=max(found.low, float(curve.segments[place - 1].last_bytes)))


def _after_head_start(knee: Estimate, first_bytes: int) -> Estimate:
    """Where a bandwidth that comes from above, 1 / (1 + knee / S) of the plateau with a knee below 0, is within the tolerance."""
    factor = (1 + PLATEAU_TOLERANCE) / PLATEAU_TOLERANCE

    def size(knee_bytes: float) -> float:
        return max(float(first_bytes), -knee_bytes * factor)

    return Estimate(
        value=size(knee.value),
        low=None if knee.low is None else float(first_bytes) if knee.high is None else size(knee.high),
        high=None if knee.low is None else size(knee.low),
    )


def _width(probability: float, num_free: float, one: _Shown, other: _Shown) -> float:
    """By which factor the quotient of two bandwidths may be off."""
    # Late: importing it takes 0.3 s.
    from scipy.special import ndtri, stdtrit

    quantile = float(ndtri(probability) if num_free == math.inf else stdtrit(num_free, probability))
    return math.exp(min(MOST_WIDTH, quantile * math.hypot(one.sd, other.sd)))
