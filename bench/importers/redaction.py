"""`without_secrets`: a line of a log as it may be shown and written down.

Logs hold environments, commands and addresses. What is repeated of them are the benchmark's own lines and messages of trouble; a
launcher's complaint can still quote a command, and an address its password. From the place on where a secret can begin, a
line is cut.
"""

import re
from dataclasses import replace
from typing import Final

from bench.environment import allowed
from bench.importers.foreign import ForeignLog, Unread

CUT: Final = " ..."

_ASSIGNMENT: Final = re.compile(r"(?<![\w.])([A-Z][A-Z0-9_]{2,})=")
"""Variables of an environment are in capitals; the fields of NCCL's messages (``opcode=1``) are not."""

_SECRET: Final = re.compile(
    r"(?:token|secret|passw(?:or)?d|passphrase|passwd|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|authorization)"
    r"[\w.-]*[\"']?(?:\s?[=:]\s?|\s+(?=\S{6}))"
    r"|\bbearer\s+",
    re.IGNORECASE,
)
_ACCOUNT: Final = re.compile(r"://(?=[^\s/@]+@)")
"""Name and password in an address. Source: RFC 3986, section 3.2.1."""

_KNOWN: Final = re.compile(
    r"\b(?=(?:hf_|gh[opsu]_|github_pat_|glpat-|sk-|xox[abprs]-|AKIA|ASIA|eyJ)[A-Za-z0-9_-]{8})"
)
"""How keys of Hugging Face, GitHub, GitLab, OpenAI, Slack and AWS and JSON web tokens begin, by their documentation."""


def without_secrets(text: str) -> str:
    """``text`` up to where it may hold a secret. Values of variables on the allow-list of `bench.environment` stay."""
    ends = [found.end() for found in _ASSIGNMENT.finditer(text) if not allowed({found[1]: ""})]
    ends += [found.end() for pattern in (_SECRET, _ACCOUNT, _KNOWN) if (found := pattern.search(text))]
    return f"{text[: min(ends)].rstrip()}{CUT}" if ends else text


def redacted(log: ForeignLog) -> ForeignLog:
    """``log`` with its warnings and what it shows of lines as they may be written down."""
    return replace(
        log,
        warnings=tuple(replace(warned, text=without_secrets(warned.text)) for warned in log.warnings),
        unread=tuple(_redacted(left) for left in log.unread),
    )


def _redacted(left: Unread) -> Unread:
    """A reason quotes the line, or a key; other programs' lines have neither."""
    if left.excerpt is None and left.first_line:
        return left
    excerpt = None if left.excerpt is None else without_secrets(left.excerpt)
    return replace(left, reason=without_secrets(left.reason), excerpt=excerpt)
