"""`read_nccl_text`: logs of nccl-tests, rccl-tests and nccom-test, line by line.

A file is read as streams, one for each process that a launcher names in front of its lines. A stream holds tables one after the
other: a preamble, a header, rows, a footer, of which anything may be missing, and lines of anybody between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.importers.foreign import ForeignLog, ForeignTable
from bench.importers.line_book import LineBook
from bench.importers.nccl_marks import (
    Message,
    before_message,
    is_network_summary,
    is_shell,
    message_in,
    trouble_in,
)
from bench.importers.nccl_patterns import (
    COMMENT,
    CONCLUDED,
    CYCLE,
    EMBEDDED_ROW,
    FOOTER,
    LIBRARY,
    OWN_DURATIONS,
    OWN_PASS,
    PROGRAM,
    START,
    TITLE,
    UNITS,
    WITHOUT_HASH,
)
from bench.importers.nccl_pieces import Pieces
from bench.importers.nccl_preamble import (
    Mention,
    device_of,
    is_cut_device,
    mention_of,
    read_footer,
    sentence_of,
    settings_of,
    versions_of,
)
from bench.importers.nccl_rows import columns_of, is_value, placements_of
from bench.importers.nccl_started import Started
from bench.importers.prefix import Line

FORMAT: Final = "nccl-tests text"

NO_ROW: Final = "begins here and prints no row"


@dataclass(slots=True)
class _Stream:
    """What one process prints: the table it is at, the placements of the last title, the row that lacks something.

    ``num_begun``, ``num_ended``: configurations and averages so far. ``empty``: tables that got no row, with their lines.
    """

    pieces: Pieces
    started: Started | None = None
    placements: tuple[str, ...] = ()
    num_begun: int = 0
    num_ended: int = 0
    empty: list[tuple[int, ForeignTable]] = field(default_factory=list)


def read_nccl_text(lines: Sequence[Line]) -> ForeignLog:
    """Every table of the lines of one file, and what became of each line."""
    return _Reader(lines, LineBook(len(lines))).read()


@dataclass(slots=True)
class _Reader:
    """State of one reading: the streams, and what belongs to all of them."""

    lines: Sequence[Line]
    book: LineBook
    tables: list[tuple[int, ForeignTable]] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    last_start: int = 0
    last_trouble: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, None] = field(default_factory=dict)
    streams: dict[str, _Stream] = field(default_factory=dict)

    def read(self) -> ForeignLog:
        for number, (name, text) in enumerate(self.lines, start=1):
            stream = self.streams.get(name)
            if stream is None:
                stream = self.streams[name] = _Stream(Pieces(self.book))
            self._take(number, text.strip(), stream)
        for stream in self.streams.values():
            self._finish(stream)
            # Where every test ended, those without rows printed at the same time as others.
            if stream.num_ended < stream.num_begun:
                self.tables += stream.empty
        self.tables.sort(key=lambda pair: pair[0])
        return self.book.log(FORMAT, [table for _, table in self.tables])

    def _take(self, number: int, text: str, stream: _Stream) -> None:
        if not text:
            self.book.take(number, "blank")
            return
        message = message_in(text)
        if message is not None:
            self._take_message(number, text, message, stream)
            return
        first = text.split(maxsplit=1)[0]
        if first[0].isdecimal() or (stream.pieces.is_waiting and is_value(first)):
            if stream.pieces.take(number, text, stream.started, is_whole=False):
                return
        elif (first[0] == "#" or first in WITHOUT_HASH) and self._take_own(number, text, stream):
            return
        self._take_other(number, text, stream)

    def _take_message(self, number: int, text: str, message: Message, stream: _Stream) -> None:
        """NCCL's line, and the piece of a row that may stand before it."""
        before = before_message(text, message, self.hosts)
        rest = text[len(before) :] if before.strip() else text[message.host_start :]
        if message.host and not before.strip():
            self.hosts.setdefault(message.host)
        self.versions |= versions_of(rest)
        if message.is_warning:
            self._warn(number, rest)
        self.book.take(number, "warning" if message.is_warning else "comment")
        if before.strip():
            stream.pieces.take(number, before, stream.started, is_whole=True)
        elif row := EMBEDDED_ROW.search(rest):
            stream.pieces.take(number, rest[row.start() :], stream.started, is_whole=False)

    def _warn(self, number: int, text: str) -> None:
        self.last_trouble = number
        self.book.warn(number, text)

    def _take_other(self, number: int, text: str, stream: _Stream) -> None:
        started = stream.started
        row = EMBEDDED_ROW.search(text)
        if row and stream.pieces.take(number, text[row.start() :], started, is_whole=False):
            return
        mention = mention_of(number, text)
        if mention is not None:
            if self.last_start > (self.mentions[-1].line if self.mentions else 0):
                self.mentions = []
            self.mentions.append(mention)
            self.book.take(number, "settings")
        elif is_shell(text):
            return
        elif (trouble := trouble_in(text)) is not None:
            self._warn(number, trouble)
            self.book.take(number, "warning")
        elif is_network_summary(text):
            self.book.take(number, "comment")
        elif text.startswith("# ") and "=" not in text and started is not None and not started.has_footer:
            self.book.leave(number, "a comment of no layout that is known", text)

    def _take_own(self, number: int, text: str, stream: _Stream) -> bool:
        """Lines that the benchmark prints around its rows."""
        if START.match(text):
            self.book.take(number, self._start(number, text, stream))
        elif "algbw" in text and (columns := columns_of(text, stream.placements)) is not None:
            started = self._header(number, stream)
            started.columns, started.in_cycle = columns, False
            stream.placements = ()
            self.book.take(number, "header")
        elif "in-place" in text and TITLE.match(text):
            stream.placements = placements_of(text)
            self.book.take(number, "header")
        elif UNITS.match(text):
            self.book.take(number, "header")
        elif self._take_footer(number, text, stream):
            stream.pieces.end()
            self.book.take(number, "footer")
        elif (device := device_of(text)) is not None:
            self._current(number, stream).devices.listed.append(device)
            self.book.take(number, "device")
            if device.host is not None:
                self.hosts.setdefault(device.host)
        elif is_cut_device(text):
            self._current(number, stream).devices.is_cut = True
            self.book.take(number, "device")
        elif sentence := sentence_of(text):
            self._current(number, stream).settings |= sentence
            self.book.take(number, "settings")
        elif CYCLE.match(text):
            stream.pieces.end()
            self._current(number, stream).in_cycle = True
            self.book.take(number, "comment")
        elif LIBRARY.match(text):
            self.versions |= (versions := versions_of(text))
            if "rccl-tests" in versions or stream.started is not None:
                self._current(number, stream).versions |= versions
            self.book.take(number, "settings")
        elif COMMENT.match(text):
            self._take_note(text, stream)
            self.book.take(number, "comment")
        else:
            return False
        return True

    def _take_footer(self, number: int, text: str, stream: _Stream) -> bool:
        if FOOTER.match(text) is None:
            return False
        started = self._current(number, stream)
        started.is_concluded |= CONCLUDED.match(text) is not None
        read_footer(text, started.footer)
        stream.num_ended += "Avg bus" in text
        if "FAILED" in text:
            self.book.warn(number, text)
        return True

    def _take_note(self, text: str, stream: _Stream) -> None:
        """linerate prints its own runs in this layout, and says in comments which pass and which statistic they are of."""
        if "linerate" in text and stream.started is not None:
            if found := OWN_PASS.match(text):
                stream.started.measure_pass = found[1]
            if found := OWN_DURATIONS.match(text):
                stream.started.statistic = found[1]

    def _start(self, number: int, text: str, stream: _Stream) -> str:
        """A line of a preamble: of a new table where the one before has rows, or had come further than this."""
        started, program, versions = stream.started, PROGRAM.match(text), versions_of(text)
        is_first = program is not None or bool(versions)
        if started is None or started.is_left_behind(is_first or self.last_trouble > started.line, text):
            self._finish(stream)
            started = stream.started = self._started(number)
        started.versions |= versions
        if program:
            started.program = program[1]
        if "nThread" in text:
            started.settings |= settings_of(text)
            stream.num_begun += 1
        return "comment" if "Using devices" in text else "settings"

    def _header(self, number: int, stream: _Stream) -> Started:
        stream.pieces.end()
        started = self._current(number, stream)
        if started.is_over and not started.in_cycle:
            after = started.successor(number, tuple(self.mentions))
            self._finish(stream)
            stream.started = started = after
        return started

    def _current(self, number: int, stream: _Stream) -> Started:
        if stream.started is None:
            stream.started = self._started(number)
        return stream.started

    def _started(self, number: int) -> Started:
        self.last_start = number
        return Started(line=number, mentions=tuple(self.mentions))

    def _finish(self, stream: _Stream) -> None:
        stream.pieces.end()
        started, stream.started = stream.started, None
        if started is None:
            return
        for name, version in self.versions.items():
            started.versions.setdefault(name, version)
        doubts: list[str] = []
        table = started.finished(doubts)
        if table is not None:
            self.tables.append((started.line, table))
        elif started.settings or started.columns is not None or started.program is not None:
            stream.empty.append((started.line, started.without_rows()))
            doubts.append(f"{started.program or 'a test'} {NO_ROW}")
        for doubt in doubts:
            self.book.warn(started.line, doubt)
