"""What `linerate predict` prints of the light: one row for each quantity that is known, and one line for the rest."""

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.glass import Glass
from bench.model import units
from bench.model.latency import LEAST_HOST_HOP_S, MOST_HOST_HOP_S
from bench.model.optics.entry import Draw, Entry
from bench.model.optics.finding import Finding
from bench.model.optics.link_errors import LEAST_BER

Row = tuple[str, str, str]
"""Quantity, value with unit, what it rests on."""

BELOW: Final = "below"
"""How a share is given that is too small to have been counted: nobody reads 1.5e-254 off a link."""


def show(console: Console, glass: Glass | None, findings: Sequence[Finding] = ()) -> None:
    """Print the table of the link, the line of what is not known of it, and warnings with what to do."""
    if glass is not None:
        console.print(_table(glass))
        missing = not_known(glass)
        if missing:
            console.print(missing, markup=False)
    for text in dict.fromkeys([*(finding.text for finding in findings), *(glass.warnings if glass else ())]):
        console.print(f"Warning: {text}", markup=False, style="yellow")


def rows(glass: Glass) -> list[Row]:
    """The known quantities, from the light to the payload to the bill."""
    found: list[Row] = []
    if glass.line is not None:
        line = glass.line
        lanes = f"{line.lanes} x {line.gbd:g} GBd x {line.bits_per_symbol} bit"
        found.append(("line rate", f"{lanes} = {units.format_rate(line.line_bytes_per_s)}", line.basis))
        overhead = line.line_bytes_per_s / line.mac_bytes_per_s
        rate = f"{units.format_rate(line.mac_bytes_per_s)} (line rate / {overhead:.7g})"
        found.append(("MAC rate", rate, line.coding))
    found.append(("FEC", glass.fec or "not read", glass.fec_basis))
    found += [
        (name, _value(entry, text), entry.basis) for name, entry, text in _entries(glass) if entry.is_known
    ]
    latency = glass.latency_s
    found.append(("latency, one way", _value(latency, units.format_seconds), _latency_basis(glass)))
    for name, draw, text in _draws(glass):
        known = [
            (word, entry) for word, entry in (("typ", draw.typical), ("max", draw.maximum)) if entry.is_known
        ]
        if known:
            value = ", ".join(f"{word} {_value(entry, text)}" for word, entry in known)
            found.append((name, value, known[0][1].basis))
    return found


def not_known(glass: Glass) -> str:
    """``Not known: this, that (why or what to give); ...``; empty where everything is."""
    names_by_reason: dict[str, list[str]] = {}

    def add(reason: str, name: str) -> None:
        names_by_reason.setdefault(reason, []).append(name)

    if glass.line is None:
        add("lanes per port", "line rate")
    for name, entry, _ in _entries(glass):
        if not entry.is_known:
            add(entry.basis, name)
    for name, draw, _ in _draws(glass):
        if not draw.typical.is_known and not draw.maximum.is_known:
            add(draw.typical.basis, name)
    power = glass.link_w
    if power.typical.is_known != power.maximum.is_known:
        word, entry = ("maximum", power.maximum) if power.typical.is_known else ("typical", power.typical)
        add(entry.basis, f"{word} power and energy")
    listed = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in names_by_reason.items())
    return f"Not known: {listed}." if listed else ""


def _table(glass: Glass) -> Table:
    table = Table(title=escape(f"the link: {glass.title}"), title_justify="left", title_style="bold")
    table.add_column("quantity", no_wrap=True)
    table.add_column("value")
    table.add_column("rests on")
    for row in rows(glass):
        table.add_row(*map(Text, row))
    return table


def _entries(glass: Glass) -> list[tuple[str, Entry, Callable[[float], str]]]:
    return [
        ("FEC group", glass.fec_group_s, units.format_seconds),
        ("margin", glass.margin_db, _decibels),
        ("pre-FEC BER", glass.pre_fec_ber, _ratio),
        ("codewords lost", glass.codeword_error_ratio, _ratio),
        ("64 B frames lost", glass.frame_loss_ratio, _ratio),
        (f"{glass.packet_bytes} B packets lost", glass.packet_loss_ratio, _ratio),
        ("round trip", glass.round_trip_s, units.format_seconds),
        ("payload that arrives", glass.goodput_fraction, _share),
    ]


def _draws(glass: Glass) -> list[tuple[str, Draw, Callable[[float], str]]]:
    return [
        ("power of the link", glass.link_w, _watts),
        ("energy at MAC rate", glass.line_j_per_bit, _energy),
        ("energy delivered", glass.delivered_j_per_bit, _energy),
        ("power of the job's links", glass.job_w, _watts),
    ]


def _value(entry: Entry, text: Callable[[float], str]) -> str:
    low = None if entry.low is None else text(entry.low)
    high = None if entry.high is None else text(entry.high)
    if low is None or high is None:
        return f"at most {high}" if low is None else low if low.startswith(BELOW) else f"at least {low}"
    if low == high:
        return low
    number, _, unit = low.rpartition(" ")
    return f"{number} - {high}" if number and high.endswith(f" {unit}") else f"{low} - {high}"


def _latency_basis(glass: Glass) -> str:
    """The parts, and their share of the shortest message: the only place where they show."""
    parts = []
    for part in glass.latency_parts:
        span = _value(Entry(low=part.low_s, high=part.high_s, basis=""), units.format_seconds)
        is_open = part.low_s == 0 and part.high_s is None
        grade = "" if part.grade is None or is_open else f" ({part.grade})"
        parts.append(f"{part.name} {'not known' if is_open else span}{grade}")
    low, high = glass.latency_s.low, glass.latency_s.high
    if low is None or low > MOST_HOST_HOP_S:
        return ", ".join(parts)
    share = Entry(
        low=_share_of_message(low), high=None if high is None else _share_of_message(high), basis=""
    )
    return (
        f"{', '.join(parts)}; {_value(share, lambda value: f'{value:.0%}')} of an 8 B ping-pong (with 1.27 us for the "
        "rest: ConnectX-7, B), not visible in large collectives"
    )


def _share_of_message(latency_s: float) -> float:
    """Of a shortest message that takes `LEAST_HOST_HOP_S` besides; measured over a cable that adds 0.1 us at most."""
    return latency_s / (latency_s + LEAST_HOST_HOP_S)


def _decibels(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f} dB"  # no -0.00 where a budget closes


def _ratio(value: float) -> str:
    if value == 0:
        return "0"
    return f"{BELOW} {LEAST_BER:g}" if value < LEAST_BER else f"{value:.3g}"


def _share(value: float) -> str:
    return "all of it" if value == 1 else f"{value * 100:.4g} %"


def _watts(value: float) -> str:
    return f"{value / 1e3:.3g} kW" if value >= 1e3 else f"{value:.3g} W"


def _energy(value: float) -> str:
    return f"{value * 1e9:.3g} nJ/bit" if value >= 1e-9 else f"{value * 1e12:.3g} pJ/bit"
