"""`LinkLatency`: what one link adds to the latency of a message, in parts, each an interval.

Vendors do not publish the latency of modules: the catalog has a number for passive copper only. What is known
of a DSP is an inference from one press article. So every part is an interval, never a point, and a part
without an upper limit has None.

Not in it: the time to send the packet itself, MAC, NIC and switches.

Grades: B data sheet; C second hand; D arithmetic; None: nobody has published a number.
"""

from dataclasses import dataclass
from typing import Final

from bench.model.optics import medium as media
from bench.model.optics.medium import Medium
from bench.model.transceiver import Transceiver

DECODER_LOW_S: Final = 20e-9
DECODER_HIGH_S: Final = 100e-9
"""Pipeline of a Reed-Solomon decoder behind the time of its group: 20 to 100 ns are quoted (C, citing
Sukmadji and Kschischang, Performance-Complexity-Latency Trade-offs of Concatenated RS-BCH Codes,
arXiv:2402.09364)."""

DSP_LOW_S: Final = 45e-9
DSP_HIGH_S: Final = 60e-9
"""One pass through a PAM4 DSP, inferred (C) from "3 ns" of a mixed-signal retimer and "15 to 20 times lower
than a DSP": Electronic Design on the Point2 P1B121."""

MIXED_SIGNAL_S: Final = 3e-9
"""One pass through a retimer without DSP, as the maker of the Point2 P1B121 claims (C, same article)."""

LINEAR_HIGH_S: Final = 1e-9
"""An analogue path without CDR: "sub-nanosecond" is all that is said; no measured number is published."""

_DSP_SOURCE: Final = "PAM4 DSP, inferred from one article on a mixed-signal retimer"
_LINEAR_SOURCE: Final = "no retimer: sub-nanosecond, no measured number is published"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPart:
    """One part of a link. ``high_s`` None: no known upper limit; ``grade`` None: no number is published."""

    name: str
    low_s: float
    high_s: float | None
    grade: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLatency:
    """One direction of one link, port to port. Parts add up, low to low and high to high."""

    parts: tuple[LatencyPart, ...]

    @property
    def low_s(self) -> float:
        return sum(part.low_s for part in self.parts)

    @property
    def high_s(self) -> float | None:
        """None where one part has no upper limit."""
        return sum(part.high_s for part in self.parts if part.high_s is not None) if self.is_bounded else None

    @property
    def is_bounded(self) -> bool:
        return all(part.high_s is not None for part in self.parts)


def link_latency(
    near: Transceiver, far: Transceiver, medium: Medium, length_m: float, fec_group_s: float | None
) -> LinkLatency:
    """Latency from ``near`` to ``far``: glass, one FEC hop, the sending and the receiving module.

    A cable with fixed ends is both ``near`` and ``far``. ``fec_group_s`` is the time of one interleaved group
    on the line (`fec.group_time_s`); 0: the link runs without FEC; None: it runs one whose group time is
    unresolved.

    Raises:
        ValueError: a negative length or group time.
    """
    span = media.delay(medium, length_m)
    glass = LatencyPart(
        name="medium",
        low_s=span.low_s,
        high_s=span.high_s,
        grade=medium.delay_grade,
        source=medium.delay_source,
    )
    return LinkLatency(
        parts=(glass, *_fec(fec_group_s), module_latency(near, sends=True), module_latency(far, sends=False))
    )


def module_latency(transceiver: Transceiver, sends: bool) -> LatencyPart:
    """What one module adds to one direction: as transmitter (``sends``), or as receiver at the other end.

    The catalog's own number where it has one. Otherwise by ``kind``: a retimer with DSP 45 to 60 ns; one
    without, in NRZ modules, or of a kind that is not said, in active copper, up to that; LRO retimes the
    transmit side only; LPO, CPO and linear copper do not retime. Nothing bounds coherent modules, those with
    an inner code, and kinds that are not named.
    """
    name = "transmit module" if sends else "receive module"
    low_s, high_s, grade, source = _by_kind(transceiver, sends)
    return LatencyPart(name=name, low_s=low_s, high_s=high_s, grade=grade, source=source)


def _by_kind(transceiver: Transceiver, sends: bool) -> tuple[float, float | None, str | None, str]:
    published = transceiver.latency
    if published is not None and published.latency_ns_one_end is not None:
        one_end_s = published.latency_ns_one_end * 1e-9
        return one_end_s, one_end_s, transceiver.grades.get("latency"), published.latency_note or "catalog"
    kind = (transceiver.kind or "").lower()
    if kind.startswith("coherent"):
        return 0.0, None, None, "coherent DSP and its FEC: microseconds are said, no number is published"
    if kind.startswith(("lpo", "cpo", "linear active copper")) or (kind.startswith("lro") and not sends):
        return 0.0, LINEAR_HIGH_S, None, _LINEAR_SOURCE
    if kind.startswith("passive copper"):
        return 0.0, 0.0, "D", "no electronics"
    if kind.startswith(("aec", "retimed copper")):
        source = "retimed copper: mixed-signal or DSP, which is not said; 3 ns claimed, 45 to 60 ns inferred"
        return MIXED_SIGNAL_S, DSP_HIGH_S, "C", source
    if not kind.startswith(("retimed", "aoc", "lro")):
        return 0.0, None, None, f"kind {transceiver.kind!r} says nothing about latency"
    if transceiver.fec is not None and transceiver.fec.inner is not None:
        return DSP_LOW_S, None, "C", f"{_DSP_SOURCE}; no number is published for its inner code on top"
    if transceiver.optical is not None and transceiver.optical.modulation == "NRZ":
        return 0.0, DSP_HIGH_S, "D", "CDR without DSP: no number is published; no slower than a DSP"
    return DSP_LOW_S, DSP_HIGH_S, "C", _DSP_SOURCE


def _fec(group_s: float | None) -> tuple[LatencyPart, ...]:
    """The whole group must be there before it can be corrected: a floor. The decoder comes on top."""
    if group_s == 0:
        return ()
    if group_s is not None and not group_s > 0:
        raise ValueError(
            f"FEC group time is {group_s} s; it is above 0, 0 without FEC, None where it is not known"
        )
    group = LatencyPart(
        name="fec group", low_s=group_s or 0.0, high_s=group_s, grade="D",
        source="codewords of one group over the line rate" if group_s else "group time unresolved",
    )  # fmt: skip
    decoder = LatencyPart(
        name="fec decoder", low_s=DECODER_LOW_S, high_s=DECODER_HIGH_S, grade="C",
        source="quoted for RS(544,514) decoders, citing arXiv:2402.09364",
    )  # fmt: skip
    return group, decoder
