"""What the light of the link means: manifest.glass as facts. Written by another linerate perhaps, so nothing is taken for granted."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from analysis.report.blocks import Fact
from analysis.report.words import text_of
from bench.model import units

Write = Callable[[float], str]


def _plain(unit: str) -> Write:
    return lambda value: f"{value:.4g} {unit}".strip()


def _energy(value: float) -> str:
    return f"{value / 1e-12:.4g} pJ/bit"


def _ratio(value: float) -> str:
    return f"{value:.2g}"


def _share(value: float) -> str:
    return f"{value:.4%}"


_ENTRIES: Final[tuple[tuple[str, str, Write], ...]] = (
    ("fec_group_s", "FEC group", units.format_seconds),
    ("margin_db", "optical margin", _plain("dB")),
    ("pre_fec_ber", "pre-FEC BER", _ratio),
    ("codeword_error_ratio", "codewords lost", _ratio),
    ("frame_loss_ratio", "frames of 64 B lost", _ratio),
    ("packet_loss_ratio", "packets lost", _ratio),
    ("round_trip_s", "round trip, without queues", units.format_seconds),
    ("goodput_fraction", "payload that arrives", _share),
    ("latency_s", "latency, one way", units.format_seconds),
)

_DRAWS: Final[tuple[tuple[str, str, Write], ...]] = (
    ("link_w", "power of the link", _plain("W")),
    ("line_j_per_bit", "energy at the MAC rate", _energy),
    ("delivered_j_per_bit", "energy delivered", _energy),
    ("job_w", "power of all links of the job", _plain("W")),
)


def optics_of(glass: Mapping[str, Any]) -> tuple[list[Fact], list[Fact], list[str]]:
    """What is known, what is not and why, and warnings."""
    known: list[Fact] = [Fact(name="link", value=text_of(glass.get("title", "")))]
    unknown: list[Fact] = []
    line = glass.get("line")
    if isinstance(line, Mapping):
        known += _line(line)
    fec = glass.get("fec")
    known.append(Fact(name="FEC", value=str(fec or "not read"), note=str(glass.get("fec_basis") or "")))
    for key, name, write in _ENTRIES:
        _add(name, glass.get(key), write, known, unknown)
    for key, name, write in _DRAWS:
        draw = glass.get(key)
        for kind in ("typical", "maximum"):
            if isinstance(draw, Mapping):
                _add(f"{name}, {kind}", draw.get(kind), write, known, unknown)
    known += _parts(glass.get("latency_parts"))
    warnings = glass.get("warnings")
    return known, unknown, [str(one) for one in warnings] if isinstance(warnings, list) else []


def _line(line: Mapping[str, Any]) -> list[Fact]:
    found = []
    for key, name, basis in (
        ("line_bytes_per_s", "line rate of a port", "basis"),
        ("mac_bytes_per_s", "MAC rate of a port", "coding"),
    ):
        value = _number(line.get(key))
        if value is not None:
            found.append(Fact(name=name, value=units.format_rate(value), note=str(line.get(basis) or "")))
    return found


def _parts(parts: Any) -> list[Fact]:
    found: list[Fact] = []
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, Mapping):
            entry = {"low": part.get("low_s"), "high": part.get("high_s"), "basis": part.get("source")}
            _add(f"latency of: {part.get('name')}", entry, units.format_seconds, found, [])
    return found


def _add(name: str, entry: Any, write: Write, known: list[Fact], unknown: list[Fact]) -> None:
    if not isinstance(entry, Mapping):
        return
    low, high = _number(entry.get("low")), _number(entry.get("high"))
    basis = str(entry.get("basis") or "")
    if low is None and high is None:
        unknown.append(Fact(name=name, value=basis or "not known"))
    elif low is not None and high is not None:
        text = write(low) if low == high else f"{write(low)} to {write(high)}"
        known.append(Fact(name=name, value=text, note=basis))
    elif low is not None:
        known.append(Fact(name=name, value=f"at least {write(low)}", note=basis))
    elif high is not None:
        known.append(Fact(name=name, value=f"at most {write(high)}", note=basis))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
