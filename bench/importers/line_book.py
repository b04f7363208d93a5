"""`LineBook`: what each line of a file was taken for, where that may still change when later lines are read."""

import re
from collections import Counter
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


_WHO: Final = re.compile(
    r"\b(?:tasks?|[Pp]id|PID|[Rr]ank) [\d,\[\]-]+|(?<=:)\d+:\d+ \[-?\d+\]|\b0x[0-9a-fA-F]+"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?:<\d+>)?"
)
"""Who says something, or of whom: tasks, pid:tid [device], addresses."""

_HOST: Final = re.compile(r"\b[A-Za-z][A-Za-z_-]*\d[\w-]*(?=[:. ,\]]|$)")
"""Names with a number. Behind NCCL WARN they are devices, which matter."""


class LineBook:
    """Lines by number, from 1. A line that nobody claims is of another program."""

    def __init__(self, num_lines: int) -> None:
        self._kinds = [OTHER_PROGRAM] * (num_lines + 1)
        self._left: dict[int, tuple[str, str]] = {}
        self._warned: dict[str, int] = {}
        self._alike: dict[str, str] = {}
        self._more: Counter[str] = Counter()
        self._num_warned = 0

    def take(self, line: int, kind: str) -> None:
        self._kinds[line] = kind

    def leave(self, line: int, reason: str, text: str) -> None:
        """A line that looks like the benchmark's own and was not understood; its beginning is shown."""
        self._kinds[line] = NOT_UNDERSTOOD
        self._left[line] = (reason, text)

    def warn(self, line: int, text: str) -> None:
        """The same words on several lines are one warning, at the first of them, also where several processes say them."""
        text = " ".join(text.split())
        if len(text) > MAX_TEXT_CHARS:
            text = f"{text[:MAX_TEXT_CHARS]} ..."
        if text in self._warned or self._num_warned >= MAX_DISTINCT:
            return
        self._num_warned += 1
        head, mark, said = text.partition("NCCL WARN")
        first = self._alike.setdefault(_WHO.sub("?", f"{_HOST.sub('?', head)}{mark}{said}"), text)
        if first == text:
            self._warned[text] = line
        else:
            self._more[first] += 1

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
        warnings = [
            Warned(
                line=line,
                text=f"{text} (and {self._more[text]} more like it)" if self._more[text] else text,
            )
            for text, line in self._warned.items()
        ]
        warnings.sort(key=lambda warned: warned.line)
        more = len(warnings) - MAX_WARNINGS
        if more > 0:
            line = warnings[MAX_WARNINGS].line
            warnings[MAX_WARNINGS:] = [Warned(line=line, text=f"{more} further warnings follow")]
        return warnings
