"""`Pieces`: the rows of one stream, also those that come in pieces.

The test prints the parts of a row as they are measured, and NCCL's messages go through the same buffer:

         8    2   float   sum   -1node7:12:34 [0] NCCL INFO AllReduce: opCount 0 ...
      5.63   0.00    0.00      0node7:12:34 [0] NCCL INFO ...
      5.58   0.00    0.00      0

Pieces are put together by their tokens, and only kept if size, time and bandwidth then agree. Of a row that ends early, the
half that is whole is kept. Other programs may write behind a piece as well: what they print counts as its end where it begins
with a letter.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.importers.line_book import LineBook
from bench.importers.nccl_names import TYPE_NAMES, collective_of
from bench.importers.nccl_points import agrees
from bench.importers.nccl_rows import (
    Columns,
    Row,
    are_values,
    begins_like_row,
    ends_a_half,
    expected_tokens,
    is_beginning,
    is_value,
    read_first_half,
    read_row,
)
from bench.importers.nccl_started import Started

_VALUE_BEFORE: Final = re.compile(r"(-?\d+(?:\.\d+)?(?:e[+-]\d\d)?|N/A)(?=[A-Za-z\[(#*/])")
"""The number at the beginning of a token to which something else is glued: ``-1`` of ``-1libibverbs:``."""


_SHOWN_CHARS: Final = 8
"""Of a word that is no value; the names of types and operators are not much longer."""

_LONG: Final = re.compile(rf"[^\s]{{{_SHOWN_CHARS + 1},}}")


@dataclass(slots=True)
class _Piece:
    """Tokens of a row that lacks some, and the lines they are from. ``is_whole``: the last token is not cut itself."""

    started: Started
    lines: list[int]
    tokens: list[str]
    is_whole: bool


@dataclass(slots=True)
class Pieces:
    """``book`` hears what each line was taken for."""

    book: LineBook
    _piece: _Piece | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a row lacks something."""
        return self._piece is not None

    def take(self, line: int, text: str, started: Started | None, *, is_whole: bool) -> bool:
        """A row, or a piece of one; False: neither. ``is_whole``: a message follows the last token, so it is not cut."""
        tokens = text.split()
        columns = None if started is None else started.columns
        type_at = columns.names.index("type") if columns is not None and "type" in columns.names else 2
        is_own = begins_like_row(tokens) and len(tokens) > type_at and tokens[type_at] in TYPE_NAMES
        if started is None or columns is None:
            if is_own:
                self.book.leave(line, "a row before any header", _shown(text))
            return is_own
        if not begins_like_row(tokens):
            return self._take_rest(line, text, tokens, started, is_whole=is_whole)
        row = read_row(line, text, tokens, columns)
        if isinstance(row, Row):
            self.end()
            started.rows.append(row)
            self.book.take(line, "row")
            return True
        if not is_own and (started.has_footer or not all(map(is_value, tokens))):
            return False
        self.end()
        is_first = is_beginning(tokens, columns)
        before = None if is_first else _before_others(tokens, type_at + 1, columns)
        if before is not None:
            tokens, is_whole = before, True
            is_first = is_beginning(tokens, columns)
        self.book.leave(line, "the row is cut" if is_first else row, _shown(text))
        if is_first:
            self._piece = _Piece(started, [line], tokens, is_whole)
        elif before is not None:
            self._keep(
                read_row(line, " ".join(before), before, columns), _Piece(started, [line], before, True)
            )
        return True

    def _take_rest(
        self, line: int, text: str, tokens: list[str], started: Started, *, is_whole: bool
    ) -> bool:
        """What may continue a row of which a piece was read before: numbers, and not more than are missing."""
        piece, columns = self._piece, started.columns
        if columns is None:
            return False
        told = [] if piece is None else piece.tokens
        joined = [*told, *tokens]
        if not are_values(tokens, columns):
            before = None if piece is None else _before_others(joined, len(told), columns)
            if before is None:
                return False
            joined, is_whole = before, True
        missing = expected_tokens(joined, columns) - len(joined)
        if piece is None or missing < 0:
            if not started.has_footer:
                self.book.leave(line, "numbers that no row lacks", _shown(text))
            return not started.has_footer
        self.book.leave(line, "a piece of a row that is cut", _shown(text))
        piece.tokens, piece.is_whole = joined, is_whole
        piece.lines.append(line)
        if missing == 0:
            self._piece = None
            self._keep(read_row(piece.lines[0], "", joined, columns), piece)
        return True

    def end(self) -> None:
        """Nothing can continue the row any more."""
        piece, self._piece = self._piece, None
        if piece is not None and piece.started.columns is not None:
            whole = piece.tokens if piece.is_whole else piece.tokens[:-1]
            self._keep(read_first_half(piece.lines[0], whole, piece.started.columns), piece)

    def _keep(self, row: Row | str, piece: _Piece) -> None:
        columns, collective = piece.started.columns, collective_of(piece.started.program or "")
        if columns is None or isinstance(row, str) or not agrees(row, columns, collective):
            return
        piece.started.rows.append(row)
        for line in piece.lines:
            self.book.take(line, "rest of a row")
        self.book.take(piece.lines[0], "row")


def _before_others(tokens: Sequence[str], first: int, columns: Columns) -> list[str] | None:
    """The beginning of a row behind which somebody else printed, looking from token ``first`` on: with a letter or a bracket.

    The program prints a row by halves, so that only what ends one is taken for such a beginning.
    """
    has_operator = "redop" in columns.names and columns.names.index("redop") == first
    if has_operator and first < len(tokens) and tokens[first].isalpha():
        first += 1
    for index in range(first, len(tokens)):
        if not is_value(tokens[index]):
            glued = _VALUE_BEFORE.match(tokens[index])
            before = [*tokens[:index], *([glued[1]] if glued else [])]
            is_others = glued is not None or (index > first and tokens[index][0].isalpha())
            return before if is_others and ends_a_half(before, columns) else None
    return None


def _shown(text: str) -> str:
    """What looks like a row, without the long words in it that are none of its values: somebody else's, and none of ours."""
    return _LONG.sub(lambda found: found[0] if is_value(found[0]) else f"{found[0][:_SHOWN_CHARS]}...", text)
