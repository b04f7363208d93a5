"""`scan`: the documents in a JSON file of nccl-tests, read as far as they go.

nccl-tests writes its file while it runs, so a run that died leaves one without closing brackets. Every complete value is kept:
the keys of the document one by one, and the results one by one. Behind damage, reading goes on at the next key, result or
document that can be told by its name.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bench.importers.json_values import key_shown

KEYS: Final = (
    "version",
    "start_time",
    "args",
    "env",
    "nccl_version",
    "config",
    "results",
    "out_of_bounds",
    "average_bus_bandwidth",
    "average_bus_bandwidith",
    "errors",
    "end_time",
)
"""Keys of a document; the misspelt one is version 1's. Source: NVIDIA/nccl-tests, src/util.cu."""

MAX_HOLES: Final = 1000
"""Damaged places behind which reading goes on, for one file: more than a disk or a crash leaves, and bounds the time for files
that were made to be slow."""

_MAX_DIGITS: Final = 18
"""Longer integers are read as floats: 2**63, the largest count there is, has 19 digits, and Python refuses those above 4300."""

_LANDMARK: Final = re.compile(
    r'(?P<document>\{\s*"version"\s*:)|(?P<result>\{\s*"size"\s*:)|(?<!\\)"(?P<key>'
    + "|".join(KEYS)
    + r')"\s*:'
)
"""Where reading can go on. Quotes within a string are escaped, so a key in front of a colon is a key."""

_BARE: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?<![\w.])(?P<bare>-?(?:nan|inf(?:inity)?))(?![\w.])', re.DOTALL
)
"""What C prints for numbers that are none; JSON has no word for them, Python's reader has NaN and Infinity."""

_PYTHON_NAMES: Final = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_BLANK: Final = re.compile(r"[\s,\ufeff]*")


@dataclass(slots=True, kw_only=True)
class Document:
    """One run: ``values`` by key, ``results`` with the place each begins at, and ``holes``, what could not be read and where."""

    start: int
    end: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    results: list[tuple[int, Any]] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)
    is_closed: bool = False


def _integer(token: str) -> int | float:
    return int(token) if len(token) <= _MAX_DIGITS else float(token)


_DECODER: Final = json.JSONDecoder(parse_int=_integer, strict=False)


def scan(text: str) -> list[Document]:
    """Documents in the order of the file: one after the other, or in a list. Never raises."""
    scanner = _Scanner(_with_python_names(text))
    return list(scanner.documents())


def _with_python_names(text: str) -> str:
    if not re.search(r"[:,\[]\s*-?(?:nan|inf)", text):
        return text
    return _BARE.sub(lambda found: _PYTHON_NAMES.get(found["bare"] or "", found[0]), text)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._holes_left = MAX_HOLES

    def documents(self) -> Iterator[Document]:
        at = self._text.find("{")
        while at >= 0:
            document = self._document(at)
            if document.results or not document.values.keys().isdisjoint(KEYS):
                yield document
            at = self._text.find("{", document.end)

    def _document(self, start: int) -> Document:
        found = Document(start=start, end=len(self._text))
        at: int | None = self._blank(start + 1)
        while at is not None and at < len(self._text):
            if self._text[at] == "}":
                found.is_closed = True
                found.end = at + 1
                break
            is_read, at = self._key(found, at)
            if not is_read:
                at = self._behind(found, at)
        return found

    def _key(self, found: Document, at: int) -> tuple[bool, int]:
        """Read ``"key": value`` at ``at``. Returns whether it is there, and where the next key is, or where damage is."""
        key, behind = self._value(at)
        colon = self._blank(behind)
        if behind < 0 or not isinstance(key, str) or self._text[colon : colon + 1] != ":":
            return False, at
        value_at = self._blank(colon + 1)
        if key == "results" and self._text[value_at : value_at + 1] == "[":
            return self._results(found, value_at + 1)
        value, behind = (None, -1) if self._begins_document(value_at) else self._value(value_at)
        if behind < 0:
            found.holes.append(
                f"the value of the key {key_shown(key)} is damaged or cut off at character {value_at}"
            )
            return False, value_at
        found.values[key] = value
        return True, self._blank(behind)

    def _results(self, found: Document, at: int) -> tuple[bool, int]:
        at = self._blank(at)
        while at < len(self._text) and self._text[at] != "]":
            value, behind = (None, -1) if self._begins_document(at) else self._value(at)
            if behind < 0:
                found.holes.append(f"a result is damaged or cut off at character {at}")
                return False, at
            found.results.append((at, value))
            at = self._blank(behind)
        return True, self._blank(at + 1)

    def _behind(self, found: Document, at: int) -> int | None:
        """Where the next key behind damage at ``at`` is, the results before it read; None where this document has none."""
        if not found.holes:
            found.holes.append(f"damaged or cut off at character {at}")
        self._holes_left -= 1
        # A text that was cut off ends with the next run's first quote, so that run begins a little before the damage.
        before = next(
            (near for near in range(max(found.start + 1, at - 2), at + 1) if self._begins_document(near)),
            at + 1,
        )
        landmark = _LANDMARK.search(self._text, before)
        while landmark is not None and landmark["result"] is not None and self._holes_left >= 0:
            value, behind = self._value(landmark.start())
            if behind >= 0:
                found.results.append((landmark.start(), value))
            else:
                self._holes_left -= 1
            landmark = _LANDMARK.search(self._text, behind if behind >= 0 else landmark.end())
        if landmark is None or self._holes_left < 0:
            return None
        if landmark["document"] is not None:
            found.end = landmark.start()
            return None
        return landmark.start()

    def _begins_document(self, at: int) -> bool:
        """Whether the next run begins at ``at``, so that the one before it was cut off."""
        landmark = _LANDMARK.match(self._text, at)
        return landmark is not None and landmark["document"] is not None

    def _value(self, at: int) -> tuple[Any, int]:
        """A value and the place behind it; (None, -1) where there is no whole one."""
        try:
            value, behind = _DECODER.raw_decode(self._text, at)
        except (ValueError, RecursionError):
            return None, -1
        return value, behind

    def _blank(self, at: int) -> int:
        found = _BLANK.match(self._text, max(0, at))
        return found.end() if found else at
