"""`LineBook`: what each line of a file was taken for, where that may still change when later lines are read."""

from collections.abc import Sequence
from typing import Final

from bench.importers.foreign import ForeignLog, ForeignTable, Warned
from bench.importers.tally import NOT_UNDERSTOOD, OTHER_PROGRAM, Tally

MAX_WARNINGS: Final = 100
"""Different warnings that are kept: more than a reader takes in. How many more there are is said."""

MAX_DISTINCT: Final = 10_000
"""Different warnings that are counted: a log with one on every line must not be kept a second time."""

MAX_TEXT_CHARS: Final = 240
"""Of a warning: longer than the messages in NCCL's sources, shorter than a dump."""


class LineBook:
    """Lines by number, from 1. A line that nobody claims is of another program."""

    def __init__(self, num_lines: int) -> None:
        self._kinds = [OTHER_PROGRAM] * (num_lines + 1)
        self._left: dict[int, tuple[str, str]] = {}
        self._warned: dict[str, int] = {}

    def take(self, line: int, kind: str) -> None:
        self._kinds[line] = kind

    def leave(self, line: int, reason: str, text: str) -> None:
        """A line that looks like the benchmark's own and was not understood; its beginning is shown."""
        self._kinds[line] = NOT_UNDERSTOOD
        self._left[line] = (reason, text)

    def warn(self, line: int, text: str) -> None:
        """The same words on several lines are one warning, at the first of them."""
        text = " ".join(text.split())
        if len(text) > MAX_TEXT_CHARS:
            text = f"{text[:MAX_TEXT_CHARS]} ..."
        if len(self._warned) < MAX_DISTINCT:
            self._warned.setdefault(text, line)

    def log(self, form: str, tables: Sequence[ForeignTable]) -> ForeignLog:
        tally = Tally()
        for line in range(1, len(self._kinds)):
            kind = self._kinds[line]
            if kind == OTHER_PROGRAM:
                tally.leave_other(line)
            elif kind == NOT_UNDERSTOOD:
                reason, text = self._left[line]
                tally.leave(line, reason, excerpt=text)
            else:
                tally.take(kind)
        return ForeignLog(
            format=form,
            tables=tuple(tables),
            lines=tally.lines(),
            unread=tuple(tally.unread),
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> list[Warned]:
        warnings = [Warned(line=line, text=text) for text, line in self._warned.items()]
        warnings.sort(key=lambda warned: warned.line)
        more = len(warnings) - MAX_WARNINGS
        if more > 0:
            line = warnings[MAX_WARNINGS].line
            warnings[MAX_WARNINGS:] = [Warned(line=line, text=f"{more} further warnings follow")]
        return warnings
