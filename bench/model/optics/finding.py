"""`Finding`: one sentence about a link, and whether it ends the run before it has begun."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

MOST_REFUSALS: Final = 2
"""So many sentences of an error are read; the others show when these are mended."""


class Severity(Enum):
    """``refuse``: such a link does not come up, or not within its specification. ``warn``: somebody should look."""

    refuse = "refuse"
    warn = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, what is allowed and what to do, in one sentence."""

    severity: Severity
    text: str


def refusal(text: str) -> Finding:
    """A finding that ends the run."""
    return Finding(severity=Severity.refuse, text=text)


def warning(text: str) -> Finding:
    """A finding that the run reports."""
    return Finding(severity=Severity.warn, text=text)


def without_refusals(found: Sequence[Finding]) -> list[Finding]:
    """The warnings among ``found``, each once.

    Raises:
        ValueError: something is refused; the first sentences of what.
    """
    each = list(dict.fromkeys(found))
    refused = [finding.text for finding in each if finding.severity is Severity.refuse]
    if refused:
        raise ValueError("\n".join(refused[:MOST_REFUSALS]))
    return each
