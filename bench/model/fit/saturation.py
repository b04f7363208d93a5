"""`Saturation`: whether the plateau of the bandwidth is in the data of a sweep, or only extrapolated from them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bench.model import units
from bench.model.fit.line import Estimate

PLATEAU_TOLERANCE: Final = 0.05
"""A size is on the plateau where its bandwidth S/T is within this share of the plateau's. It is the bound with which the
published sweeps were sorted (dS/dT within 5 % of S/T), and finds those of them that end too early."""

ONE_MORE: Final = 4
"""By this factor a sweep is to be longer where the fit expects the plateau within it, but its end does not show it: then two
sizes as far apart as `bench.model.fit.saturation_fit` compares lie on it."""

FAR_BYTES: Final = 2.0**50
"""1 PiB, more than any memory of today holds: no advice to measure so large a message is one."""

_PLATEAU: Final = f"{(1 - PLATEAU_TOLERANCE) * 100:.0f} %"


class Verdict(StrEnum):
    """What a sweep says about its plateau."""

    saturated = "saturated"
    not_saturated = "not saturated"
    cannot_tell = "cannot tell"
    falls = "falls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """The verdict and what it rests on; bandwidths are S/T, and shares are of the plateau's, 1 / ``s_per_byte``.

    Attributes:
        last_bytes: largest size of the sweep, of which the verdict speaks.
        share: that the largest size reaches, by the line that it lies on: 1 - latency / T where p = 1. None: the line has no
            slope or no interval.
        growth_from_bytes: the smaller one of the two sizes at the end that are compared.
        growth: bandwidth of the largest size over that of ``growth_from_bytes``, less 1.
        end_share: share that the largest size reaches, by these two sizes alone.
        from_bytes: size from which on the bandwidth is within `PLATEAU_TOLERANCE` of the plateau; beyond ``last_bytes``
            where the sweep ends before it. None where the data do not say.
        best_bytes, drop: where the bandwidth falls: the size that it falls from, and 1 - last / best.
        falls_from_bytes: smallest size from which on all are below the best by more than `PLATEAU_TOLERANCE`.
    """

    verdict: Verdict
    last_bytes: int
    share: Estimate | None = None
    growth_from_bytes: int | None = None
    growth: Estimate | None = None
    end_share: Estimate | None = None
    from_bytes: Estimate | None = None
    best_bytes: int | None = None
    drop: Estimate | None = None
    falls_from_bytes: int | None = None

    @property
    def furthest_bytes(self) -> float:
        """Up to where the plateau may be extended: as far beyond the end, in factors, as it was seen before it.

        A cliff can lie beyond any sweep (caches, registration, buffers), so a plateau that was seen over a factor of 4 in
        size is taken to hold for a factor of 4 more. It is ``last_bytes`` where the plateau was not seen.
        """
        if self.verdict is not Verdict.saturated or self.from_bytes is None:
            return float(self.last_bytes)
        return self.last_bytes * max(1.0, self.last_bytes / self.from_bytes.value)

    @property
    def sentence(self) -> str:
        """What was found and what to do."""
        last = units.format_bytes(self.last_bytes)
        match self.verdict:
            case Verdict.saturated:
                return f"the plateau is in the data: {self._reached(last)}{self._since()}"
            case Verdict.falls:
                return self._falling(last)
            case Verdict.cannot_tell:
                return f"whether the plateau is reached cannot be told: {self._reached(last)}; {self._advice(is_sure=False)}"
            case Verdict.not_saturated:
                return (
                    f"the sweep ends before its plateau: {self._reached(last)}; {self._advice(is_sure=True)}"
                )

    def _reached(self, last: str) -> str:
        parts = []
        if self.share is not None:
            parts.append(f"{last} has {_percent(self.share)} of it by the line it lies on")
        if self.growth is not None and self.growth_from_bytes is not None:
            first = units.format_bytes(self.growth_from_bytes)
            parts.append(
                f"from {first} to {last} the bandwidth changes by {_percent(self.growth, signed=True)}"
            )
        if not parts and self.verdict is Verdict.not_saturated:
            return (
                f"sizes up to {last} pass the token bucket of the emulated link, whose rate they do not show"
            )
        if not parts:
            return f"too few sizes lie on the line of {last}"
        is_contrary = self.verdict is not Verdict.saturated and self._is_reached_by_line
        return (", but " if is_contrary else ", and ").join(parts)

    @property
    def _is_reached_by_line(self) -> bool:
        return self.share is not None and self.share.value >= 1 - PLATEAU_TOLERANCE

    def _since(self) -> str:
        return "" if self.from_bytes is None else f"; {_PLATEAU} of it from {_sizes(self.from_bytes)} on"

    def _advice(self, *, is_sure: bool) -> str:
        found = self.from_bytes
        if found is None or found.value > FAR_BYTES:
            return "measure larger sizes" if is_sure else "measure more sizes there, and larger ones"
        high = found.high if found.high is not None and found.high <= FAR_BYTES else None
        if found.value > self.last_bytes:
            bound = " or more" if high is None else ""
            upto = _round_up(high or found.value)
            return f"measure up to {upto}{bound}: {_PLATEAU} are expected at {_sizes(found)}"
        upto = _round_up(max(high or 0.0, self.last_bytes * ONE_MORE))
        return f"measure up to {upto}" if is_sure else f"measure up to {upto}, or more samples"

    def _falling(self, last: str) -> str:
        if self.drop is None or self.best_bytes is None:
            return "the bandwidth falls at the end"
        best = units.format_bytes(self.best_bytes)
        since = (
            "" if self.falls_from_bytes is None else f", from {units.format_bytes(self.falls_from_bytes)} on"
        )
        return (
            f"the bandwidth falls: {last} has {_percent(self.drop)} less than {best}{since}, so there is no one plateau; look "
            "for what such sizes exceed (cache, token bucket, registration, buffers), and measure sizes beyond"
        )


def _percent(share: Estimate, *, signed: bool = False) -> str:
    def text(value: float) -> str:
        return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"

    if share.low is None or share.high is None:
        return f"{text(share.value)} %"
    return f"{text(share.value)} % ({text(share.low)} .. {text(share.high)})"


def _sizes(size: Estimate) -> str:
    text = units.format_bytes(size.value)
    if size.low is None:
        return text
    high = "?" if size.high is None else units.format_bytes(size.high)
    return f"{text} ({units.format_bytes(size.low)} .. {high})"


def _round_up(size_bytes: float) -> str:
    """To a power of two, as sizes are asked for."""
    return units.format_bytes(2.0 ** max(0, (int(size_bytes) - 1).bit_length()))
