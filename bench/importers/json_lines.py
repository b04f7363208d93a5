"""`begins_json`, `count_lines`: whether a file is JSON, and which lines of a file are JSON that was read, and which are something else."""

import bisect
import re
from collections.abc import Sequence
from typing import Final

from bench.importers.prefix import physical_lines
from bench.importers.tally import Tally

_BEGINNING: Final = re.compile(r"[\ufeff\s]*(?:\[\s*)?\{\s*\"")


def begins_json(text: str) -> bool:
    """Whether ``text`` begins as an object with a key, or as a list of such; a line of a log in brackets does not."""
    return _BEGINNING.match(text) is not None


def count_lines(text: str, spans: Sequence[tuple[int, int]], rows: Sequence[int], tally: Tally) -> None:
    """Count every line once: ``row`` where a result begins, ``json`` within a document, ``blank``, or not understood.

    ``spans``: beginning and end of each document, in characters; ``rows``: where results begin.
    """
    lines = physical_lines(text)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    kinds = ["blank" if not line.strip() else "" for line in lines]
    for start, end in spans:
        first, last = _line_at(starts, start), _line_at(starts, max(start, end - 1))
        for number in range(first, min(last + 1, len(lines))):
            kinds[number] = kinds[number] or "json"
    for at in rows:
        number = _line_at(starts, at)
        if number < len(lines):
            kinds[number] = "row"
    for number, kind in enumerate(kinds):
        if kind:
            tally.take(kind)
        elif lines[number].strip("[], \t\r\ufeff"):
            tally.leave(number + 1, "outside of any JSON document")
        else:
            tally.take("json")


def _line_at(starts: Sequence[int], at: int) -> int:
    return bisect.bisect_right(starts, at) - 1
