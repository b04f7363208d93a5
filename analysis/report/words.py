"""How numbers and lists are written on a page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from analysis.figures.words import counted, listed
from bench.model import units

__all__ = [
    "capped",
    "counted",
    "flat",
    "is_or_are",
    "listed",
    "percent",
    "rate",
    "seconds",
    "text_of",
    "upper",
]

NOTHING: Final = ""
"""An empty cell: not known, never zero."""


def seconds(value: float | None) -> str:
    return NOTHING if value is None else units.format_seconds(value)


def percent(share: float | None) -> str:
    if share is None:
        return NOTHING
    return "below 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def rate(gbytes_per_s: float | None, factor: float = 1.0) -> str:
    """A bandwidth with three digits at least, times ``factor`` (1e3: in MB/s)."""
    if gbytes_per_s is None:
        return NOTHING
    value = gbytes_per_s * factor
    return f"{value:.1f}" if 10 <= abs(value) < 1e5 else f"{value:.3g}"


def is_or_are(number: int) -> str:
    return "is" if number == 1 else "are"


def capped(words: Sequence[str], most: int, where: str) -> str:
    """``a, b and 3 more (where they are)``; all of them where they are ``most`` or fewer."""
    if not words:
        return NOTHING
    if len(words) <= most:
        return listed(words)
    return f"{', '.join(words[:most])} and {len(words) - most} more ({where})"


def text_of(value: Any) -> str:
    """A value of a configuration file as a reader writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}" if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(inner)}" for key, inner in value.items() if inner is not None)
    if isinstance(value, list | tuple):
        return ", ".join(text_of(inner) for inner in value)
    return str(value)


def flat(content: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Dotted names and values of nested mappings, without what is not known (None) and what is empty."""
    if isinstance(content, Mapping):
        return [pair for key, value in content.items() for pair in flat(value, f"{prefix}.{key}".lstrip("."))]
    if content is None or content == [] or content == "":
        return []
    return [(prefix, text_of(content))]


def upper(sentence: str) -> str:
    """A sentence with a capital, unless it begins with the name of a series, which keeps its spelling."""
    return sentence if "_" in sentence.split()[0] else f"{sentence[0].upper()}{sentence[1:]}"
