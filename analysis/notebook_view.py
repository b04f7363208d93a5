"""How notebooks show frames and figures: numbers by the unit that their column names, and a sentence where nothing can be drawn."""

import html
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import pandas as pd

from analysis.figures.drawn import Drawn, NothingToDrawError
from bench.model import units

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

P = ParamSpec("P")

EMPTY: Final = ""
"""What an unknown value becomes; it is never zero."""

MOST_ROWS: Final = 200
"""Nobody reads further, and a notebook with all rows of a long log would open slowly; the frame has them all."""

MOST_COUNTED: Final = 2.0**53
"""Floats above are not counts: neighbours are more than 1 apart."""

SHARES: Final = ("efficiency", "busy_share", "steal_share", "overlap_fraction", "time_cv")
"""Columns that are a share of 1 and do not say so in their name."""


class Sentence(str):
    """Text that a notebook shows without quotes."""

    def __repr__(self) -> str:
        return str(self)


def figure(draw: Callable[P, Drawn], *args: P.args, **kwargs: P.kwargs) -> Drawn | Sentence:
    """``draw(*args, **kwargs)``, or why there is nothing to draw: a run without samples has no distribution."""
    try:
        return draw(*args, **kwargs)
    except NothingToDrawError as error:
        return Sentence(f"No figure: {error}.")


def table(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> "Styler | Sentence":
    """A frame for reading: sizes, times and rates in units that suit them; a sentence where it has no rows.

    What a number is follows from the last word of its column: ``_bytes``, ``_s``, ``_gbytes_per_s``; others get four digits.
    Text is escaped, since names of hosts and notes come from files. ``columns``: which, in this order.
    """
    shown = frame if columns is None else frame[list(columns)]
    if shown.empty:
        return Sentence("None.")
    num_rows = len(shown)
    shown = shown.head(MOST_ROWS).reset_index(drop=True)  # a Styler needs an index without repetitions
    formats: Any = {name: _format_of(str(name)) for name in shown}
    numbers: list[Hashable] = [name for name in shown if pd.api.types.is_numeric_dtype(shown[name])]
    words: list[Hashable] = [name for name in shown if name not in numbers]
    styled = shown.style.hide(axis="index").format(formats, na_rep=EMPTY)
    styled = styled.set_properties(subset=numbers, **{"white-space": "nowrap"})
    styled = styled.set_properties(subset=words, **{"text-align": "left"})
    return (
        styled if num_rows <= MOST_ROWS else styled.set_caption(f"The first {MOST_ROWS} of {num_rows} rows")
    )


def _format_of(name: str) -> Callable[[Any], str]:
    number: Callable[[Any], str]
    if name.endswith("_gbytes_per_s"):
        number = _rate
    elif name.endswith(("_bytes", "_bytes_per_rank")):
        number = _bytes
    elif name.endswith("_s"):
        number = units.format_seconds
    elif name in SHARES:
        number = _share
    else:
        number = _plain
    return lambda value: html.escape(value) if isinstance(value, str) else number(value)


def _rate(value: float) -> str:
    """GB/s, and MB/s below: on emulated links rates are a thousandth."""
    return f"{value:.4g} GB/s" if value >= 1 else f"{1e3 * value:.4g} MB/s"


def _bytes(value: float) -> str:
    return units.format_bytes(round(value))


def _share(value: float) -> str:
    return f"{value:.1%}"


def _plain(value: Any) -> str:
    if not isinstance(value, float):
        return html.escape(str(value))
    is_count = value.is_integer() and abs(value) < MOST_COUNTED
    return f"{value:.0f}" if is_count else f"{value:.4g}"
