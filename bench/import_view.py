"""What `linerate import` prints: what each table was taken for, and what was not understood."""

import os
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.importers.tally import OTHER_PROGRAM, OTHERS
from bench.importing import REPORT, ImportedRun

WIDTH_WITHOUT_TERMINAL: Final = 150

MOST_SHOWN: Final = 10
"""Of warnings and of ranges of lines that were not understood; all are in import.json."""


def show(found: ImportedRun, *, is_brief: bool) -> None:
    """Print what one log became: a line, or a table and every line that was not understood."""
    console = _console()
    lines, log = sum(found.log.lines.values()), found.log
    unread = found.manifest.imported or {}
    where = _shown(found.path)
    state = (
        ""
        if found.manifest.status == "complete"
        else f"; {found.manifest.status}: {found.manifest.status_reason}"
    )
    text = (
        f"{found.source}: {log.format}, {len(log.tables)} table{'s' if len(log.tables) != 1 else ''}, {found.num_records} points, "
        f"{lines} lines, {unread.get('num_not_understood', 0)} of them not understood"
        f"{_counted(len(log.warnings), 'warning')}{state} -> {where}"
    )
    console.print(text, markup=False, soft_wrap=True)
    if is_brief:
        return
    console.print(_tables(found))
    for warned in log.warnings[:MOST_SHOWN]:
        console.print(f"  line {warned.line}: {warned.text}", markup=False, soft_wrap=True)
    _more(console, len(log.warnings), "warnings")
    others = log.lines.get(OTHER_PROGRAM, 0)
    if others:
        verb = "lines were" if others != 1 else "line was"
        console.print(f"  {others} {verb} printed by other programs", markup=False)
    not_understood = [left for left in log.unread if left.reason != OTHERS]
    for unread_lines in not_understood[:MOST_SHOWN]:
        first, last = unread_lines.first_line, unread_lines.last_line
        span = f"line {first}" if first == last else f"lines {first} to {last}"
        excerpt = f": {unread_lines.excerpt}" if unread_lines.excerpt else ""
        console.print(f"  {span}: {unread_lines.reason}{excerpt}", markup=False, soft_wrap=True)
    _more(console, len(not_understood), "ranges of lines")
    for note in found.notes:
        console.print(f"  {note}", markup=False, soft_wrap=True)
    console.print(f"Next: linerate report {where}", markup=False, soft_wrap=True)


def _counted(count: int, what: str) -> str:
    return f", {count} {what}{'s' if count != 1 else ''}" if count else ""


def _shown(path: Path) -> str:
    """A path as one would type it here."""
    path = path.absolute()
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def show_failed(log: Path, reason: str) -> None:
    """One log of several that could not be imported."""
    said = reason.removeprefix(str(log)).lstrip()
    _console().print(f"{log}: not imported: {said}", markup=False, soft_wrap=True)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def _more(console: Console, count: int, what: str) -> None:
    if count > MOST_SHOWN:
        console.print(f"  ... and {count - MOST_SHOWN} more {what}, all of them in {REPORT}", markup=False)


def _tables(found: ImportedRun) -> Table:
    table = Table()
    for name in ("program", "layout", "ranks", "rows", "collective", "time is the", "state"):
        table.add_column(name, overflow="fold")
    for entry in found.log.tables:
        ranks = "not known" if entry.num_ranks is None else f"{entry.num_ranks} ({entry.num_ranks_source})"
        statistics = {reading.statistic for point in entry.points for reading in point.readings}
        cells = (
            entry.program or "not told",
            entry.layout,
            ranks,
            str(len(entry.points)),
            ", ".join(sorted({point.collective for point in entry.points})),
            ", ".join(sorted(statistics)),
            "complete" if entry.is_complete else f"partial: {entry.why_partial}",
        )
        table.add_row(*map(Text, cells))
    return table
