"""`read_osu`: output of OSU micro-benchmarks: collectives, point-to-point, one-sided; on MPI, and on NCCL and RCCL (xccl).

A table begins with its title, has one part for each data type, and no footer, so that a run that was cut off between two rows
cannot be told from a whole one. How many ranks there were is not printed: it is taken from a command in the same file that
starts the same program, where all of them agree.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Final

from bench.importers.foreign import ForeignLog, ForeignPoint, ForeignTable, Warned
from bench.importers.line_book import MAX_TEXT_CHARS, MAX_WARNINGS
from bench.importers.osu_commands import Command, read_command
from bench.importers.osu_rows import Column, begins_like_row, decimals_of, dtype_of, read_header, read_row
from bench.importers.osu_titles import Operation, read_title
from bench.importers.tally import Tally

_DATATYPE: Final = re.compile(r"#\s*Datatype:\s*(\S+?)\.?\s*$")
_PAIRS: Final = re.compile(r"#\s*\[ pairs: (\d{1,9}) \] \[ window size: (\w{1,20}) \]\s*$")
_SETTINGS: Final = (
    (re.compile(r"#\s*Window creation:\s*(\S.{0,60})"), "window_creation"),
    (re.compile(r"#\s*Synchronization:\s*(\S.{0,60})"), "synchronisation"),
    (re.compile(r"#\s*(Rank 0 Memory on .{1,80})"), "memory"),
    (re.compile(r"#\s*Overall = Coll\. Init \+ "), ""),
    (
        re.compile(r"#\s*Number of (?:forked processes in )?sender(?: threads)?:\s*(\d{1,9})", re.IGNORECASE),
        "senders",
    ),
    (
        re.compile(
            r"#\s*Number of (?:forked processes in )?receiver(?: threads)?:\s*(\d{1,9})", re.IGNORECASE
        ),
        "receivers",
    ),
    (re.compile(r"#\s*Using (NCCL|RCCL)\s*$"), ""),
)
_TROUBLE: Final = re.compile(
    r"DATA VALIDATION ERROR|^Warning! |\bMPI_ABORT\b|Segmentation fault|\bCaught signal\b|Process received signal|exited on signal"
    r"|^(?:slurmstepd|srun|mpirun|mpiexec|prun|prterun): .*(?:error|Killed|terminat)|BAD TERMINATION|\bMPI error\b|Fatal error in"
    r"|one or more processes exited|Assertion .* failed|NCCL WARN|This test requires (?:exactly|at least)|DUE TO TIME LIMIT"
    r"|support not enabled"
)
_MILD: Final = re.compile(r"^Warning! |NCCL WARN")
_PROGRAM: Final = re.compile(r"\bosu_[a-z0-9_]+")
_NUMBER: Final = re.compile(r"\d{1,18}(?:\.\d{1,9})?")
MAX_RANKS: Final = 10**7
"""More ranks than any machine runs: a larger number in a command is none of its ranks."""


def is_osu(lines: Sequence[str]) -> bool:
    """Whether a line is the title of a test of OSU micro-benchmarks."""
    return any(read_title(line) is not None for line in lines)


def read_osu(lines: Sequence[str]) -> ForeignLog:
    """Read every table of a log. Never raises: lines that are not understood are named in ``unread``."""
    reader = _Reader()
    for number, line in enumerate(lines, start=1):
        reader.take(number, line)
    return ForeignLog(
        format="OSU text",
        tables=tuple(table.finished(reader.commands) for table in reader.tables),
        lines=reader.tally.lines(),
        unread=tuple(reader.tally.unread),
        warnings=reader.warnings(),
    )


class _Table:
    """A table while it is read."""

    def __init__(self, line: int, operation: Operation, first_command: int, past_commands: int) -> None:
        self.line = line
        self.operation = operation
        self.points: list[ForeignPoint] = []
        self.settings: dict[str, int | float | str] = {}
        self.columns: tuple[Column, ...] = ()
        self.dtype: str | None = None
        self.last_size = -1
        self.decimals: int | None = None
        self.num_columns = 0
        self.trouble: str | None = None
        self.is_over = False
        self._own_commands = slice(first_command, past_commands)

    def begin_rows(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.num_columns = max(self.num_columns, len(columns))
        self.last_size = -1

    def row(self, number: int, tokens: Sequence[str]) -> str | None:
        """Take a row. Returns why it is none."""
        decimals = self.decimals if self.decimals is not None else decimals_of(tokens)
        point = read_row(number, tokens, self.columns, self.operation, self.dtype, decimals or 0)
        if isinstance(point, str):
            return point
        if point.printed_bytes <= self.last_size:
            return f"a size of {point.printed_bytes} behind one of {self.last_size}: not a row of the table above"
        self.last_size, self.decimals = point.printed_bytes, decimals
        self.points.append(point)
        return None

    def finished(self, commands: Sequence[Command]) -> ForeignTable:
        operation = self.operation
        num_ranks, source = operation.num_ranks, "program"
        if num_ranks is None:
            num_ranks, source = self._commanded(commands), "given"
        partial = self.trouble or (None if self.points else "no row")
        return ForeignTable(
            program=operation.title,
            family="osu",
            layout=f"OSU text, {self.num_columns} columns",
            library=operation.library,
            points=tuple(_whole_message(point, operation, num_ranks) for point in self.points),
            num_ranks=num_ranks,
            num_ranks_source=None if num_ranks is None else source,
            settings=self.settings
            | ({"accelerator": operation.accelerator} if operation.accelerator else {}),
            versions={"osu": operation.version} if operation.version else {},
            is_complete=partial is None,
            why_partial=partial,
        )

    def _commanded(self, commands: Sequence[Command]) -> int | None:
        """Ranks of the commands for this program since the table before, or else of all in the file; None if they differ."""
        for some in (commands[self._own_commands], commands):
            found = {command.num_ranks for command in some if command.program in self.operation.binaries}
            if found:
                ranks = found.pop()
                return ranks if not found and ranks is not None and 0 < ranks <= MAX_RANKS else None
        return None


def _whole_message(point: ForeignPoint, operation: Operation, num_ranks: int | None) -> ForeignPoint:
    """nccl-tests' size: that of one peer times the ranks; not known without them."""
    if not operation.is_per_peer or point.message_bytes is None:
        return point
    whole = None if num_ranks is None else point.message_bytes * num_ranks
    return dataclasses.replace(point, message_bytes=whole)


class _Reader:
    def __init__(self) -> None:
        self.tally = Tally()
        self.tables: list[_Table] = []
        self.commands: list[Command] = []
        self._warned: dict[str, int] = {}
        self._commands_before = 0

    def warnings(self) -> tuple[Warned, ...]:
        """The same words on several lines are one warning, at the first of them."""
        return tuple(Warned(line=line, text=text) for text, line in self._warned.items())

    def take(self, number: int, line: str) -> None:
        """Count a line, and put what it says where it belongs."""
        table = self.tables[-1] if self.tables else None
        text = line.strip()
        if table is not None and table.points and not table.is_over:
            # What goes wrong behind the name of another program is that one's trouble.
            named = set(_PROGRAM.findall(text))
            table.is_over = bool(named) and named.isdisjoint(table.operation.binaries)
        if not text:
            self.tally.take("blank")
        elif (operation := read_title(line)) is not None:
            self.tables.append(_Table(number, operation, self._commands_before, len(self.commands)))
            self._commands_before = len(self.commands)
            self.tally.take("header")
        elif _TROUBLE.search(text):
            if len(self._warned) < MAX_WARNINGS:
                self._warned.setdefault(" ".join(text.split())[:MAX_TEXT_CHARS], number)
            if table is not None and not table.is_over and not _MILD.search(text):
                table.trouble = table.trouble or f"line {number}: {' '.join(text.split())[:80]}"
            self.tally.take("warning")
        elif table is not None and self._is_of(table, number, text):
            pass
        elif (command := read_command(number, text)) is not None:
            self.commands.append(command)
            self.tally.take("settings")
        elif any(pattern.match(text) for pattern, name in _SETTINGS if not name):
            self.tally.take("settings")
        else:
            self.tally.leave_other(number)

    def _is_of(self, table: _Table, number: int, text: str) -> bool:
        """Take a line of a table; False where it is none."""
        if text.startswith("#") and self._is_setting(table, text):
            self.tally.take("settings")
            return True
        if (columns := read_header(text)) is not None:
            table.begin_rows(columns)
            self.tally.take("header")
            return True
        tokens = text.split()
        if table.columns and begins_like_row(tokens, table.columns):
            reason = table.row(number, tokens)
            if reason is None:
                self.tally.take("row")
            else:
                self.tally.leave(number, reason, excerpt=text)
            return True
        if table.points or table.columns:
            return False
        if text.startswith("# "):
            self.tally.leave(number, "a line of a header that is not known", excerpt=text)
            return True
        if len(tokens) > 1 and all(_NUMBER.fullmatch(token) for token in tokens):
            self.tally.leave(number, "a row below a header that is not known", excerpt=text)
            return True
        return False

    def _is_setting(self, table: _Table, text: str) -> bool:
        if found := _DATATYPE.match(text):
            table.dtype = dtype_of(found[1])
            table.columns = ()
            return True
        if found := _PAIRS.match(text):
            table.settings["pairs"] = int(found[1])
            table.settings["window_size"] = int(found[2]) if found[2].isdecimal() else found[2]
            return True
        for pattern, name in _SETTINGS:
            if found := pattern.match(text):
                if name:
                    value = found[1].strip()
                    table.settings[name] = int(value) if value.isdecimal() else value
                return True
        return False
