"""Values of a JSON file that another program wrote: numbers that may be strings, strings that may be numbers, unknown keys."""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from bench.importers.foreign import Printed

MAX_UNKNOWN: Final = 100
"""Unknown keys that are named: a newer version adds a few, and a file with more of them is another program's."""

_KEY: Final = re.compile(r"[A-Za-z_][\w -]{0,79}", re.ASCII)
_MAX_TEXT: Final = 256
"""Of a host name (64, HOST_NAME_MAX), a device, a time."""


def as_number(value: object) -> float | None:
    """A number, or a string that is one (``"nan"``); None for anything else. It may be NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def as_whole(value: object) -> int | None:
    """An integer, also of ``" -1"`` and ``12.000000``; None for anything else."""
    number = as_number(value)
    if number is None or not math.isfinite(number) or number != math.floor(number):
        return None
    return value if isinstance(value, int) else int(number)


def as_text(value: object) -> str | None:
    return value.strip()[:_MAX_TEXT] or None if isinstance(value, str) else None


def shown(value: object) -> str:
    """A value in a note: short, and what it is where it is no number or word."""
    if value is None or isinstance(value, int | float | str):
        return repr(value)[:40]
    return f"a {type(value).__name__}"


def scaled_by(number: float, exponent: int) -> float:
    """``number`` x 10**``exponent``, rounded once: 20 us are the float nearest to 2e-5."""
    return number / 10.0**-exponent if exponent < 0 else number * 10.0**exponent


def positive(value: object, exponent: int, what: str, notes: list[str]) -> Printed | None:
    """A number above 0 in SI units, stored in full; None, and a note, for any other."""
    number = as_number(value)
    scaled = math.nan if number is None else scaled_by(number, exponent)
    if not math.isfinite(scaled) or scaled <= 0:
        notes.append(f"{what} is {shown(value)}, which is no positive, finite number")
        return None
    return Printed(value=scaled, low=scaled, high=scaled)


def key_shown(key: str) -> str:
    """A key in a message; one with signs that no key has may be a piece of the environment, and is not shown."""
    return repr(key) if _KEY.fullmatch(key) else f"of {len(key)} characters"


class Unknown:
    """What is not read, each thing once: keys by their path, and entries that are none."""

    def __init__(self) -> None:
        self._remarks: dict[str, int] = {}

    def unless(self, is_known: bool, remark: str) -> None:
        if not is_known:
            self._remarks[remark] = self._remarks.get(remark, 0) + 1

    def keys(self, mapping: Mapping[str, Any], known: Collection[str], path: str = "") -> None:
        """Name every key of ``mapping`` that is not ``known``; ``path``: of the mapping."""
        for key in mapping:
            self.unless(key in known, f"unknown key {key_shown(key)}" + (f" in {path}" if path else ""))

    def reasons(self) -> list[str]:
        """One sentence for each, in order of appearance."""
        named = [
            remark + (f", {count} times" if count > 1 else "")
            for remark, count in list(self._remarks.items())[:MAX_UNKNOWN]
        ]
        more = len(self._remarks) - MAX_UNKNOWN
        return [*named, f"{more} further things were not read"] if more > 0 else named
