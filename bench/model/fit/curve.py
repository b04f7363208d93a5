"""`Curve`: time over message size of one series, as one `Line` per protocol. `bench.model.fit.curve_fit` makes it."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.model import units
from bench.model.fit.line import Estimate, Line
from bench.model.fit.saturation import PLATEAU_TOLERANCE, Saturation, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One line and where it holds.

    Attributes:
        first_bytes, last_bytes: the smallest and the largest size it was fitted to.
        to_bytes: where it ends and the next begins; None: it is the last one.
        link_s_per_byte: what the slowest resource on the path needs per byte of message; None where it is not known, and
            where messages pass the token bucket of an emulated link.
    """

    line: Line
    first_bytes: int
    last_bytes: int
    to_bytes: float | None
    link_s_per_byte: float | None = None

    def efficiency(self) -> Estimate | None:
        """Time of the slowest resource over fitted time, both per byte: the share of its rate that further bytes get."""
        bandwidth = self.line.bandwidth()
        if self.link_s_per_byte is None or bandwidth is None:
            return None
        low, high = bandwidth.low, bandwidth.high
        return Estimate(
            value=bandwidth.value * self.link_s_per_byte,
            low=None if low is None else low * self.link_s_per_byte,
            high=None if high is None else high * self.link_s_per_byte,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Time over message size.

    Attributes:
        segments: by size.
        unshaped_bytes: messages up to this size pass an emulated link through its token bucket; 0 on real links.
        plateau_ratio: dS/dT between the last two sizes over S/T of the last; None where the time did not grow, and where
            there is one size or the last two do not both exceed ``unshaped_bytes``.
        saturation: the verdict on the plateau; None: nobody judged it (`bench.model.fit.saturation_fit.judge` does).
    """

    segments: tuple[Segment, ...]
    unshaped_bytes: float
    plateau_ratio: float | None
    saturation: Saturation | None = None

    @property
    def first_bytes(self) -> int:
        return self.segments[0].first_bytes

    @property
    def last_bytes(self) -> int:
        return self.segments[-1].last_bytes

    @property
    def is_saturated(self) -> bool:
        """Whether the plateau is in the data, by ``saturation``; without it by ``plateau_ratio``, which has no interval."""
        if self.saturation is not None:
            return self.saturation.verdict is Verdict.saturated
        return self.plateau_ratio is not None and abs(self.plateau_ratio - 1) <= PLATEAU_TOLERANCE

    def is_extrapolation(self, message_bytes: float) -> bool:
        return not self.first_bytes <= message_bytes <= self.last_bytes

    def is_unshaped(self, segment: Segment) -> bool:
        """Whether the segment's messages pass the token bucket, so that the link's rate is not in its line."""
        return segment.to_bytes is not None and segment.to_bytes <= self.unshaped_bytes

    def is_without_unshaped(self, message_bytes: float) -> bool:
        """Whether this size passes the token bucket and no measured one does."""
        return message_bytes <= self.unshaped_bytes < self.first_bytes

    def why_not(self, message_bytes: float) -> str | None:
        """Why no time can be given at this size; None where one can."""
        if self.is_without_unshaped(message_bytes):
            return (
                f"{message_bytes:g} bytes pass the emulated link's token bucket, and no size up to {self.unshaped_bytes:.0f} "
                "was measured; measure smaller sizes"
            )
        if message_bytes <= self.last_bytes:
            return None
        if self.saturation is not None:
            return self._why_not_beyond(message_bytes, self.saturation)
        if self.is_saturated:
            return None
        found = (
            "the time did not grow" if self.plateau_ratio is None else f"it is {self.plateau_ratio:.2f} of it"
        )
        return (
            f"{message_bytes:g} bytes are beyond the largest size measured, {self.last_bytes}, where the bandwidth is not on "
            f"its plateau (dS/dT over S/T: {found}); measure larger sizes"
        )

    def _why_not_beyond(self, message_bytes: float, saturation: Saturation) -> str | None:
        asked, last = units.format_bytes(message_bytes), units.format_bytes(self.last_bytes)
        beyond = f"{asked} are beyond the largest size measured, {last}"
        if saturation.verdict is not Verdict.saturated:
            return f"{beyond}, and {saturation.sentence}"
        if message_bytes <= saturation.furthest_bytes:
            return None
        furthest = units.format_bytes(saturation.furthest_bytes)
        return f"{beyond}, and its plateau was seen over too few sizes to extend it beyond {furthest}; measure larger sizes"

    def segment(self, message_bytes: float) -> Segment:
        """The segment whose line holds at this size."""
        return next(s for s in self.segments if s.to_bytes is None or message_bytes <= s.to_bytes)

    def time(self, message_bytes: float) -> Estimate:
        """Duration of one call, in seconds, with the 95 % interval of a measurement there.

        Between the sizes of two segments it is not known where one ends, so the interval holds those of both. Beyond the
        largest size it is wider by `PLATEAU_TOLERANCE` at either end: so much a plateau may still rise or fall.

        Raises:
            ValueError: beyond the largest size of a sweep that is not saturated, or beyond what its plateau allows.
        """
        reason = self.why_not(message_bytes)
        if reason is not None:
            raise ValueError(reason)
        return over_segments(self, message_bytes, lambda segment: segment.line.time(message_bytes))

    def half_bandwidth_bytes(self) -> float | None:
        """n_1/2: `size_at_share_bytes` of one half. None where the plateau was not seen: it would not be the plateau's half."""
        return self.size_at_share_bytes(0.5) if self.is_saturated else None

    def size_at_share_bytes(self, share: float) -> float | None:
        """The smallest size, from the smallest measured one on, whose S/T is this share of the last segment's 1 / s_per_byte.

        None where the last segment has no slope.

        Source:
            n_1/2 of Hockney 1994, Parallel Computing 20(3); latency / s_per_byte where there is one segment and p = 1.
        """
        slope = self.segments[-1].line.s_per_byte / share
        if slope == 0:
            return None
        least: float = self.first_bytes
        for segment in self.segments:
            line, p = segment.line, segment.line.exponent
            if line.s_per_byte < slope:
                # S / T(S) = 1 / slope
                scale = float(slope * (1 - (line.s_per_byte / slope) ** p) ** (1 / p))
                size = max(least, line.latency_s / scale)
                if segment.to_bytes is None or size <= segment.to_bytes:
                    return size
            least = segment.to_bytes or least
        return None


def over_segments(curve: Curve, message_bytes: float, estimate: Callable[[Segment], Estimate]) -> Estimate:
    """The estimate by the segment at this size; in the gap between two, with an interval that holds both of theirs.

    Beyond the largest size the interval is wider by `PLATEAU_TOLERANCE`.
    """
    at = curve.segment(message_bytes)
    own = estimate(at)
    if message_bytes > curve.last_bytes:
        return _widened(own)
    place = curve.segments.index(at)
    others = []
    if message_bytes < at.first_bytes and place > 0:
        others.append(curve.segments[place - 1])
    if message_bytes > at.last_bytes and place + 1 < len(curve.segments):
        others.append(curve.segments[place + 1])
    for other in others:
        if curve.is_unshaped(other) != curve.is_unshaped(at):
            continue  # the bucket's end is known
        found = estimate(other)
        if own.low is None or found.low is None:
            return Estimate(value=own.value, low=None, high=None)
        high = None if own.high is None or found.high is None else max(own.high, found.high)
        own = Estimate(value=own.value, low=min(own.low, found.low), high=high)
    return own


def _widened(found: Estimate) -> Estimate:
    return Estimate(
        value=found.value,
        low=None if found.low is None else found.low * (1 - PLATEAU_TOLERANCE),
        high=None if found.high is None else found.high * (1 + PLATEAU_TOLERANCE),
    )
