"""What names become before they are drawn or stand in a caption: one line, no control characters, not too long."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Final

MOST_CHARACTERS: Final = 56
"""Of one name in a figure: half a page's width in small print. The longest name that linerate gives to a series has 55."""

REPLACEMENT: Final = "\ufffd"
"""What Unicode has for a character that cannot be shown."""


def shown(text: object, most: int = MOST_CHARACTERS) -> str:
    """``text`` in one line; what XML forbids, or what would turn the direction of writing, is replaced.

    Characters of the categories C (control, surrogate, unassigned, direction) become `REPLACEMENT`. A name that is too long
    loses its middle: names of hosts and of series differ at their ends.
    """
    line = " ".join(str(text).split())
    clean = "".join(REPLACEMENT if unicodedata.category(c).startswith("C") else c for c in line)
    tail = most // 3
    return clean if len(clean) <= most else f"{clean[: most - tail - 1]}\u2026{clean[-tail:]}"


def hosts(names: Sequence[str], most: int = 24) -> list[str]:
    """Names of hosts without the domain that all of them share, as they can be shown."""
    domains = {name.partition(".")[2] for name in names if name}
    if len(domains) == 1 and not any(name.replace(".", "").isdigit() for name in names):
        names = [name.partition(".")[0] for name in names]
    return [shown(name, most) for name in names]


def listed(words: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def counted(number: int, noun: str) -> str:
    """'1 sample', '2 samples'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sentences(*parts: str) -> str:
    """Parts that say something, one after another, each with a full stop. They are written as they are to be read."""
    return " ".join(f"{part.strip().rstrip('.')}." for part in parts if part.strip())


TENFOLD: Final = 10.0
"""Changes beyond this are told as such: two starts with a large spread would miss a factor of 1e50, which is no number for a reader."""


def least_found(ratio: float) -> str:
    """A smallest detectable ratio for a table: three decimals, ``> 10``, or nothing where it is not known."""
    if math.isnan(ratio):
        return ""
    return f"{ratio:.3f}" if ratio <= TENFOLD else f"> {TENFOLD:g}"


def least_change(ratio: float) -> str:
    """The same for a sentence: ``a slow-down of 14 %``, ``a slow-down by a factor of 3.7``, ``... of more than 10``."""
    if ratio > TENFOLD:
        return f"a slow-down by a factor of more than {TENFOLD:g}"
    if ratio >= 2:
        return f"a slow-down by a factor of {ratio:.2g}"
    if ratio < 1.001:
        return "a slow-down of less than 0.1 %"
    return f"a slow-down of {100 * (ratio - 1):.2g} %"
