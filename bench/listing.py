"""`linerate catalog`: the transceivers it knows, as a table or as JSON."""

import dataclasses
import json
import sys
from collections.abc import Sequence

from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text

from bench import catalog
from bench.model.transceiver import Transceiver


def show_catalog(words: Sequence[str], *, as_json: bool) -> int:
    """Print the entries that hold every word (in name, PMD, kind, form factor, fibre, FEC or cooling).

    Raises:
        ValueError: no entry does; near names are given.
    """
    found = [entry for entry in catalog.transceivers() if all(word.lower() in _text(entry) for word in words)]
    if not found:
        names = [name for name in catalog.names("transceiver") if name not in catalog.PLACEHOLDERS]
        raise ValueError(catalog.unknown_name("a transceiver with", " ".join(words), names))
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(entry) for entry in found], indent=2) + "\n")
        return 0
    console = RichConsole(highlight=False)
    if not console.is_terminal:
        console = RichConsole(highlight=False, width=150)
    console.print(_table(found))
    console.print(
        f"{len(found)} entries; an empty cell: the sources do not say. Rates are MAC rates of the whole module. "
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


def _text(entry: Transceiver) -> str:
    parts = [entry.name, entry.pmd or "", entry.kind or "", *entry.form_factors, *entry.cooling]
    parts += [f"{entry.nominal_rate_gbps:g}g", entry.fiber.type if entry.fiber else ""]
    parts += [entry.fec.code if entry.fec else "", entry.ib_generation or ""]
    return " ".join(parts).lower()
