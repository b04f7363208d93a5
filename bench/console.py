"""What rank 0 shows: a progress line, a table with one row per size, and three sentences."""

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from bench.catalog import from_mapping
from bench.findings import findings, name_of
from bench.model import units
from bench.model.transceiver import Transceiver
from bench.nccl_table import nccl_table
from bench.points import Point
from bench.record import RunManifest
from bench.run_folder import RunFolder
from bench.summary import SummaryRow, summary_rows

WIDTH_WITHOUT_TERMINAL = 120

TABLE: Final = "table"
NCCL_TESTS: Final = "nccl-tests"
FORMATS: Final = (TABLE, NCCL_TESTS)
"""What standard output holds at the end: our table and sentences, or the table that parsers of nccl-tests read."""


class Console:
    """The `Reporter` of a run. Progress goes to standard error, results to standard output.

    Attributes:
        path: the run folder, once the run is over.
    """

    def __init__(self, *, is_relayed: bool = False, output_format: str = TABLE) -> None:
        """``output_format``: one of `FORMATS`. ``is_relayed``: a launcher reads our output and passes it on, whatever kind of file it gave us (mpirun's is a
        pseudo-terminal of 80 columns)."""
        self._out = plain_or_terminal(is_relayed=is_relayed)
        self._format = output_format
        self._progress = RichConsole(
            stderr=True, highlight=False, force_terminal=False if is_relayed else None
        )
        self._status: Status | None = None
        self._begun_s = time.monotonic()
        self._last_size = ""
        self.path: Path | None = None

    def begin(self, manifest: RunManifest) -> None:
        self._begun_s = time.monotonic()
        if self._progress.is_terminal:
            self._status = self._progress.status("starting")
            self._status.start()

    def point(self, number: int, total: int, point: Point) -> None:
        name = f"{point.collective.value} {point.algorithm}"
        line = f"{number}/{total}  {name}  {units.format_bytes(point.message_bytes)}"
        if self._status is not None:
            self._status.update(f"{line}  ({time.monotonic() - self._begun_s:.0f} s)")
        elif (size := units.format_bytes(point.message_bytes)) != self._last_size:
            # Without a terminal one line per size is enough to see that it moves.
            self._last_size = size
            self._progress.print(f"measuring {size} ({number} of {total})", markup=False)

    def end(self, folder: RunFolder) -> None:
        self.close()
        self.path = folder.path
        if self._format == NCCL_TESTS:
            sys.stdout.write(nccl_table(folder.manifest(), summary_rows(folder.records())))
            sys.stdout.flush()
        else:
            show_run(self._out, folder)

    def close(self) -> None:
        """Take the progress line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


class Silent:
    """The `Reporter` of every rank but 0."""

    path: Path | None = None

    def begin(self, manifest: RunManifest) -> None:
        pass

    def point(self, number: int, total: int, point: Point) -> None:
        pass

    def end(self, folder: RunFolder) -> None:
        pass


def plain_or_terminal(*, is_relayed: bool = False, width: int | None = None) -> RichConsole:
    """Standard output: in colour and as wide as the terminal, or plain and wide enough for the tables (``width``)."""
    console = RichConsole(highlight=False)
    if console.is_terminal and not is_relayed:
        return console
    return RichConsole(highlight=False, width=width or WIDTH_WITHOUT_TERMINAL, force_terminal=False)


def show_run(out: RichConsole, folder: RunFolder) -> None:
    """Print the table and the three sentences of a run, as far as it has come."""
    manifest, rows = folder.manifest(), summary_rows(folder.records())
    optics = Transceiver(name=manifest.transceiver)
    with contextlib.suppress(ValueError):
        optics = from_mapping(Transceiver, manifest.config["transceiver"], "manifest")
    if rows:
        out.print(run_table(manifest, rows))
    for sentence in findings(manifest, rows, optics):
        out.print(sentence, markup=False)
    for note in _notes(manifest, rows):
        out.print(note, markup=False, style="dim")


def run_table(manifest: RunManifest, rows: Sequence[SummaryRow]) -> Table:
    """One row per collective, algorithm and size; busbw at the measured scale and, emulated, at full speed."""
    scale = manifest.time_scale
    # Emulated links are thousands of times slower, so their bandwidth reads better in MB/s.
    unit, factor = ("MB/s", 1e3) if scale else ("GB/s", 1.0)
    table = Table(title=escape(_title(manifest)), title_justify="left", title_style="bold")
    table.add_column("collective")
    table.add_column("size", justify="right")
    table.add_column("time", justify="right")
    table.add_column(f"busbw\n{unit}", justify="right")
    if scale:
        table.add_column("at full\nspeed GB/s", justify="right")
    table.add_column(f"ceiling\n{unit}", justify="right")
    table.add_column("efficiency", justify="right")
    table.add_column("bound by")
    previous = ""
    sizes = {row.message_bytes for row in rows if row.message_bytes}
    for row in sorted(
        rows, key=lambda r: (r.collective, r.algorithm != "native", name_of(r), r.message_bytes)
    ):
        name = name_of(row)
        if previous and name != previous and len(sizes) > 1:
            table.add_section()
        cells = [
            name if name != previous else "",
            units.format_bytes(row.message_bytes),
            "" if row.time_s is None else units.format_seconds(row.time_s),
            _rate(row.busbw_gbytes_per_s, factor),
        ]
        if scale:
            cells.append(_rate(row.busbw_gbytes_per_s, scale))
        cells += [
            "" if row.efficiency is None else _rate(row.ceiling_busbw_gbytes_per_s, factor),
            "" if row.efficiency is None else f"{row.efficiency:.1%}",
            "wrong data" if row.num_wrong_elements else row.bound_by,
        ]
        table.add_row(*cells)
        previous = name
    return table


def _title(manifest: RunManifest) -> str:
    parts = [manifest.ranks_on_hosts]
    if manifest.launcher == "emulated" and manifest.links:
        links = manifest.links
        parts.append(
            f"{manifest.transceiver} emulated at 1/{manifest.time_scale:g}: {units.format_rate(links['rate_bytes_per_s'])}, "
            f"MTU {links['mtu_bytes']}"
        )
    elif manifest.launcher == "local":
        parts.append("this machine, no optics")
    elif manifest.transceiver != "unknown":
        parts.append(f"{manifest.transceiver}, {manifest.fabric}")
    parts.append(manifest.backend)
    return " · ".join(parts)


def _notes(manifest: RunManifest, rows: Sequence[SummaryRow]) -> list[str]:
    notes = _skipped(manifest.skipped)
    if any("emulation_bucket" in row.warnings for row in rows):
        notes.append(
            "No efficiency is given for messages below 8 token buckets of the emulated link: they pass it unshaped."
        )
    if manifest.links and manifest.links.get("delay_note"):
        notes.append(f"Fibre delay: {manifest.links['delay_note']}.")
    noisy = sum("noisy_host" in row.warnings for row in rows)
    if noisy:
        notes.append(
            f"{noisy} of {len(rows)} points ran while other machines took processor time from this one; see warnings in summary.csv."
        )
    return notes


def _skipped(reasons: Sequence[str]) -> list[str]:
    """One line for each reason, with all that it holds for."""
    what_by_reason: dict[str, list[str]] = {}
    for line in reasons:
        what, _, reason = line.partition(": ")
        what_by_reason.setdefault(reason, []).append(what)
    return [f"Skipped, {reason}: {', '.join(what)}." for reason, what in what_by_reason.items()]


def _rate(rate_gbytes_per_s: float | None, factor: float) -> str:
    if rate_gbytes_per_s is None:
        return ""
    value = rate_gbytes_per_s * factor
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
