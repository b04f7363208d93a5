"""`Calibration`: what one run says about a real system's latency and bandwidth, and what that means for other optics."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bench.model import units
from bench.model.fit.curve import Curve, Segment, over_segments
from bench.model.fit.line import TOLERANCE, Estimate
from bench.model.fit.series_fit import MIN_SIZES, Series, SeriesFit

SPLIT: Final = "leave one size out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All series of one run.

    Attributes:
        run_id, started_utc: the data that every number here rests on.
        time_scale: of an emulated run; None for a real one.
        split: how the errors of held-out sizes were found.
    """

    run_id: str
    started_utc: str
    transceiver: str
    fabric: str
    time_scale: float | None
    series: tuple[SeriesFit, ...]
    split: str = SPLIT

    def find(self, series: Series) -> SeriesFit | None:
        """The fit of an equal series."""
        return next((fit for fit in self.series if fit.series == series), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedTime:
    """Expected duration of one call, in seconds, with its 95 % interval.

    ``low_s`` None: too few sizes for an interval; ``high_s`` None beside a ``low_s``: no upper bound. ``is_extrapolated``:
    the size is outside those measured.
    """

    time_s: float
    low_s: float | None
    high_s: float | None
    is_extrapolated: bool


def calibrated(
    calibration: Calibration,
    series: Series,
    *,
    message_bytes: int,
    link_time_s: float | None = None,
    bucket_time_s: float = 0.0,
) -> CalibratedTime | None:
    """Expected time of one call with the latency and efficiency of the calibrated system; None: see `why_not_calibrated`.

    T = latency + link_time / efficiency by the segment of this size: what share of its links' rate a system reaches it is
    taken to reach on other links. It may also be that what came on top of the links' time stays as long as it was,
    T = latency + link_time + S (s_per_byte - link_s_per_byte); one run cannot tell. The interval holds both, each with that
    of the fit; for the links of the run itself they are the same. Never below what links and bucket allow.

    Nothing is extrapolated from a sweep that did not reach its plateau: neither to larger messages nor to links so slow that a
    message loads them as a larger one did those of the run.

    A message that passes the token bucket takes the time of those that did in the run, whatever the links' rate.

    Args:
        link_time_s: what the slowest resource of the system in question needs, such as ``Prediction.loads[0].duration_s``;
            None: that of the run itself.
        bucket_time_s: its token bucket over its rate; 0 on real links.
    """
    found = _answer(calibration, series, message_bytes, link_time_s, bucket_time_s)
    return None if isinstance(found, str) else found


def why_not_calibrated(
    calibration: Calibration,
    series: Series,
    *,
    message_bytes: int,
    link_time_s: float | None = None,
    bucket_time_s: float = 0.0,
) -> str | None:
    """Why `calibrated` gives nothing, in one sentence; None where it gives a time."""
    found = _answer(calibration, series, message_bytes, link_time_s, bucket_time_s)
    return found if isinstance(found, str) else None


def _answer(
    calibration: Calibration,
    series: Series,
    message_bytes: int,
    link_time_s: float | None,
    bucket_time_s: float,
) -> CalibratedTime | str:
    fit = calibration.find(series)
    if fit is None:
        return f"{calibration.run_id} has not measured this {series.collective} at {MIN_SIZES} sizes or more"
    curve = fit.curve
    if link_time_s is None:
        return curve.why_not(message_bytes) or _timed(curve, message_bytes, curve.time(message_bytes), 0.0)
    reason = curve.why_not(message_bytes) if message_bytes > curve.last_bytes else None
    if reason is not None:
        return reason
    is_unshaped = link_time_s <= bucket_time_s
    part = _part(curve, is_unshaped=is_unshaped)
    if part is None:
        where = "that passes the token bucket" if is_unshaped else "beyond the token bucket"
        return f"{calibration.run_id} has no size of {series.collective} {where}; measure some"
    if is_unshaped:
        found = over_segments(part, message_bytes, lambda segment: segment.line.time(message_bytes))
        return _timed(curve, message_bytes, found, 0.0)
    if any(segment.link_s_per_byte is None for segment in part.segments):
        return f"{calibration.run_id} does not say what its own links allow, so nothing follows for others"
    reason = _why_not_loaded(part, message_bytes, link_time_s)
    if reason is not None:
        return reason
    found = over_segments(part, message_bytes, _transfer(message_bytes, link_time_s))
    return _timed(curve, message_bytes, found, max(0.0, link_time_s - bucket_time_s))


def _part(curve: Curve, *, is_unshaped: bool) -> Curve | None:
    """The curve of those segments alone whose messages do, or do not, pass the token bucket."""
    segments = [segment for segment in curve.segments if curve.is_unshaped(segment) == is_unshaped]
    if not segments:
        return None
    segments[-1] = replace(segments[-1], to_bytes=None)
    return replace(curve, segments=tuple(segments), unshaped_bytes=0.0)


def _why_not_loaded(part: Curve, message_bytes: int, link_time_s: float) -> str | None:
    """A slower link is loaded by this message as the run's own were by a larger one, which has to be within the data as well.

    A sweep that reached its plateau has seen what a byte takes, so any load may follow; a sweep that did not has not.
    """
    link_s_per_byte = part.segment(message_bytes).link_s_per_byte
    if part.is_saturated or not link_s_per_byte:
        return None
    alike_bytes = link_time_s / link_s_per_byte
    if alike_bytes <= max(message_bytes, part.last_bytes) * (1 + TOLERANCE):
        return None
    asked, alike = units.format_bytes(message_bytes), units.format_bytes(alike_bytes)
    reason = "" if part.saturation is None else f"; {part.saturation.sentence}"
    return (
        f"these links are slower: {asked} load them as {alike} loaded those of the run, beyond its largest size, "
        f"{units.format_bytes(part.last_bytes)}, where the plateau was not seen{reason}"
    )


def _transfer(message_bytes: int, link_time_s: float) -> Callable[[Segment], Estimate]:
    """The time by one segment's line on links that take ``link_time_s``: that of the size which would have loaded it alike."""

    def estimate(segment: Segment) -> Estimate:
        line = segment.line
        assert segment.link_s_per_byte is not None
        own_s = message_bytes * segment.link_s_per_byte
        in_proportion = line.time(message_bytes * link_time_s / own_s)
        if line.s_per_byte == 0:
            return in_proportion
        added_bytes = (link_time_s - own_s) / line.s_per_byte
        on_top = line.time(max(line.head_start_bytes, message_bytes + added_bytes))
        if in_proportion.low is None or on_top.low is None:
            return in_proportion
        is_bounded = in_proportion.high is not None and on_top.high is not None
        return Estimate(
            value=in_proportion.value,
            low=min(in_proportion.low, on_top.low),
            high=max(in_proportion.high or 0.0, on_top.high or 0.0) if is_bounded else None,
        )

    return estimate


def _timed(curve: Curve, message_bytes: int, found: Estimate, least_s: float) -> CalibratedTime:
    return CalibratedTime(
        time_s=max(found.value, least_s),
        low_s=None if found.low is None else max(found.low, least_s),
        high_s=None if found.high is None else max(found.high, least_s),
        is_extrapolated=curve.is_extrapolation(message_bytes),
    )
