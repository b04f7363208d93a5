"""What `linerate gate` prints: whether the floors hold, then every point with its floor and where that comes from."""

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.gating import Gated
from bench.model import units
from bench.model.comparison.gate import GatedPoint

WIDTH_WITHOUT_TERMINAL: Final = 150

MOST_TIMES: Final = 4
"""Times of so many runs stand in a cell; of more their number and the slowest."""


def show(gated: Gated, *, is_aside: bool = False) -> None:
    """Print the outcome; ``is_aside``: to stderr, where the result itself is for a parser."""
    console = Console(highlight=False, stderr=is_aside)
    if not console.is_terminal:
        console = Console(highlight=False, stderr=is_aside, width=WIDTH_WITHOUT_TERMINAL)
    console.print(sentence(gated), markup=False, soft_wrap=True)
    console.print(_table(gated))
    if gated.gate.ungated:
        console.print(
            f"{len(gated.gate.ungated)} points have no floor and were not judged: {', '.join(gated.gate.ungated[:5])}"
            f"{' ...' if len(gated.gate.ungated) > 5 else ''}",
            markup=False,
            soft_wrap=True,
        )


def sentence(gated: Gated) -> str:
    """Whether the gate holds, in words."""
    found = gated.gate
    failed = [point for point in found.points if point.has_failed]
    rule = (
        ""
        if found.num_runs == 1
        else f" (a point fails with {found.least_misses} of {found.num_runs} runs beyond its floor)"
    )
    if not failed:
        return f"All {len(found.points)} floors hold{rule}."
    names = ", ".join(_label(gated, point) for point in failed[:5])
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"{len(failed)} of {len(found.points)} floors are missed{rule}: {names}{more}."


def _label(gated: Gated, point: GatedPoint) -> str:
    """The words for a point; one that no run has keeps the key that the floor gives it."""
    key = point.floor.key
    if key in gated.wrong:
        return f"{key} (no valid time, or wrong data)"
    if all(time_s is None for time_s in point.times_s):
        return f"{key} (not measured)"
    return gated.labels.get(key, key)


def show_written(num_floors: int, path: Path) -> None:
    """Say where floors were written."""
    Console(highlight=False).print(
        f"{num_floors} floors written: {path}; hold runs against them with linerate gate RUN --floors {path}",
        markup=False,
        soft_wrap=True,
    )


def _table(gated: Gated) -> Table:
    table = Table()
    table.add_column("point", overflow="fold")
    for name in ("slowest allowed", "floor busbw", "measured", "misses"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("where the floor comes from", overflow="fold")
    for point in gated.gate.points:
        busbw = point.floor.busbw_bytes_per_s
        table.add_row(
            Text(gated.labels.get(point.floor.key, point.floor.key)),
            units.format_seconds(point.floor.longest_s),
            "" if busbw is None else f"{units.gbytes_per_s(busbw):.4g} GB/s",
            Text(_measured(point)),
            f"{point.num_misses} of {gated.gate.num_runs}",
            Text("missed", style="bold red") if point.has_failed else Text("holds"),
            Text(point.floor.provenance),
        )
    return table


def _measured(point: GatedPoint) -> str:
    times = ["missing" if time_s is None else units.format_seconds(time_s) for time_s in point.times_s]
    if len(times) <= MOST_TIMES:
        return ", ".join(times)
    known = [time_s for time_s in point.times_s if time_s is not None]
    worst = f", slowest {units.format_seconds(max(known))}" if known else ""
    return f"{len(known)} of {len(times)} runs{worst}"
