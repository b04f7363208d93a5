"""`linerate catalog`: the transceivers it knows, as a table or as JSON."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text

from bench import catalog
from bench.model.optics.selection import Selection, criteria, select, why_nothing
from bench.model.transceiver import Transceiver

FILTERS: Final = ("rate", "min_reach", "fibre", "form_factor", "fec", "max_power", "cooling", "kind")


def show_catalog(words: Sequence[str], options: argparse.Namespace) -> int:
    """Print the entries that hold every word (in name, PMD, kind, form factor, fibre, FEC or cooling) and pass every filter.

    Raises:
        ValueError: no entry does; says what each word and filter alone would have left, or gives near names.
    """
    asked = {name: getattr(options, name) for name in FILTERS if getattr(options, name) is not None}
    conditions = criteria(words=words, **asked)
    entries = list(catalog.transceivers())
    found = select(entries, conditions)
    if not found.entries and len(conditions) == len(words) == 1:
        names = [entry.name for entry in entries]
        raise ValueError(catalog.unknown_name("a transceiver with", words[0], names))
    if not found.entries:
        raise ValueError(why_nothing(entries, conditions))
    left_out = _left_out(found)
    if options.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(entry) for entry in found.entries], indent=2) + "\n")
        if left_out:
            sys.stderr.write(f"linerate: {left_out}\n")
        return 0
    console = RichConsole(highlight=False)
    if not console.is_terminal:
        console = RichConsole(highlight=False, width=150)
    console.print(_table(found.entries))
    if left_out:
        console.print(left_out, markup=False)
    console.print(
        f"{_entries(len(found.entries))}; an empty cell: the sources do not say. Rates are MAC rates of the whole module. "
        "Select one with transceiver=<name>; --json shows every field with its sources.",
        markup=False,
        style="dim",
    )
    return 0


def _table(entries: Sequence[Transceiver]) -> Table:
    table = Table()
    for name, justify in (("name", "left"), ("Gb/s", "right"), ("PMD", "left"), ("lanes", "right")):
        table.add_column(name, justify=justify, no_wrap=name == "name")  # type: ignore[arg-type]
    for name in ("reach", "fibre", "FEC"):
        table.add_column(name)
    table.add_column("W max", justify="right")
    table.add_column("kind")
    for entry in entries:
        optical = entry.optical
        cells = (
            entry.name,
            f"{entry.nominal_rate_gbps:g}",
            entry.pmd or "",
            f"{optical.lanes}x{optical.lane_raw_gbps:g}" if optical else "",
            ", ".join(
                f"{medium} {reach:g} m"
                for medium, reach in (entry.reach_m or {}).items()
                if reach is not None
            ),
            entry.fiber.type if entry.fiber else "",
            entry.fec.code if entry.fec else "",
            f"{entry.power.power_w_max:g}" if entry.power and entry.power.power_w_max is not None else "",
            entry.kind or "",
        )
        table.add_row(*map(Text, cells))  # not markup: nothing to look for in them, and a bracket stays one
    return table


def _left_out(found: Selection) -> str:
    """How many entries may belong here as well, if their sources said more."""
    if not found.num_unknown:
        return ""
    silent = ", ".join(f"{number} for {label}" for label, number in found.unknown.items())
    return f"{_entries(found.num_unknown)} left out because their sources do not say: {silent}."


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"
