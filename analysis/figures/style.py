"""The one style of all figures: for print on white, and for a page that may be light or dark.

Ink is black, and `analysis.figures.svg` makes it the colour of the page's text; no background is painted. The other colours
are chosen so that they stand out from white and from a dark page alike.
"""

import functools
import math
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from bench.model import units

INK: Final = "#000000"

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#9467F0", INK)
"""The first four are Okabe and Ito's (https://jfly.uni-koeln.de/color). Their sky blue and orange have a contrast of 2.3 to
white, below the 3 that WCAG 2.2 asks of graphics (success criterion 1.4.11); a violet and ink stand in for them. tests/
test_figures.py computes contrast to white and to #1a1a1a, and the distance of each two as colour-blind readers see them."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P")
"""One for each colour, so that a print in grey can be read."""

MOST_SERIES: Final = len(COLOURS)
"""In one panel; more are drawn in several."""

DASHES: Final = (
    (0, (6, 2)),
    (0, (2, 2)),
    (0, (8, 2, 2, 2)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (10, 4)),
    (0, (1, 1)),
)
"""Line styles of ceilings, told apart without colour."""

WIDTH_IN: Final = 8.5
"""Width of every figure, in inches: a printed page, and about 820 CSS pixels."""

MOST_PER_LINE: Final = 96
"""Characters of a title that fit into `WIDTH_IN`."""

PNG_DPI: Final = 130

RC: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelsize": "medium",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.facecolor": "white",
    "font.size": 10.0,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "hatch.color": INK,
    "hatch.linewidth": 0.4,
    "image.composite_image": False,  # or small images are drawn blurred in SVG
    "legend.borderaxespad": 0.0,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "linerate",
    "text.parse_math": False,  # a name with two dollar signs is a name
}

Floats = NDArray[np.float64]
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@contextmanager
def context() -> Iterator[None]:
    """Matplotlib's own defaults and `RC` above them, whatever the user has configured; restored afterwards."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        # A page has fonts for names that this one lacks letters for.
        warnings.filterwarnings("ignore", message=r".*missing from font", category=UserWarning)
        yield


def styled(draw: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Runs ``draw`` in `context`."""

    @functools.wraps(draw)
    def inside(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with context():
            return draw(*args, **kwargs)

    return inside


def new_figure(height_in: float, title: str, note: str = "") -> Figure:
    """A figure without axes, ``height_in`` inches high; ``note`` stands below the title, in small print."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    lines = textwrap.wrap(title, MOST_PER_LINE) or [""]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize="large")
    if note:
        below_in = 0.33 + 0.2 * (len(lines) - 1)
        figure.text(0.01, 1 - below_in / height_in, note, ha="left", va="top", fontsize="small")
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.27 / height_in))  # type: ignore[union-attr, call-arg]
    return figure


def save(figure: Figure, where: Path | BinaryIO) -> None:
    """Write a figure on white: in the format that the name of the file ends in (png, pdf, svg), PNG into a stream.

    Raises:
        OSError: the file cannot be written.
        ValueError: no such format.
    """
    with context():
        figure.savefig(where, dpi=PNG_DPI, facecolor="white")


def size_axis(axes: Axes, sizes_bytes: Floats, most: int = 8) -> None:
    """The x axis is the message size: logarithmic with base 2, at most ``most`` labels, all at whole powers of 2.

    Labels stand at sizes that were measured where these are powers of 2, or nearly so (whole elements per rank).
    """
    low, high = float(sizes_bytes.min()), float(sizes_bytes.max())
    axes.set_xscale("log", base=2)
    margin = 2 ** max(0.4, 0.04 * math.log2(high / low))
    axes.set_xlim(low / margin, high * margin)
    powers: Floats = np.unique(np.round(np.log2(sizes_bytes)))
    if np.abs(np.log2(sizes_bytes)[:, None] - powers).min(axis=1).max() > 0.02:
        powers = np.arange(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1, dtype=np.float64)
    axes.xaxis.set_major_locator(FixedLocator(list(2.0 ** powers[:: -(-len(powers) // most)])))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: units.format_bytes(size)))


def legend_above(axes: Axes, width_in: float, markerscale: float = 1.0) -> None:
    """A legend above ``axes`` that are about ``width_in`` wide, where it hides nothing; columns as names leave room for."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        # A character of the small font is 0.062 inches wide on average, the line before it 0.6.
        columns = int(width_in / (0.062 * max(map(len, labels)) + 0.6))
        num_columns = max(1, min(columns, len(labels), 4))
        axes.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0, 1.02),
            ncols=num_columns,
            markerscale=markerscale,
        )


def legend_below(figure: Figure, panels: Iterable[Axes], columns: int) -> None:
    """Below everything: what occurs in any panel, once; at most ``columns`` abreast, as names leave room for."""
    found: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= {label: handle for handle, label in zip(handles, labels, strict=True) if label not in found}
    fitting = int(WIDTH_IN / (0.062 * max(map(len, found)) + 0.6))
    figure.legend(
        handles=list(found.values()),
        labels=list(found),
        loc="outside lower left",
        ncols=max(1, min(columns, fitting)),
    )


def log_axis(
    axes: Axes, which: str, low: float, high: float, text: Callable[[float], str] | None = None
) -> None:
    """Axis ``which`` ("x" or "y") becomes logarithmic, from ``low`` to ``high``, with plain numbers.

    2 and 5 stand between the powers of ten where these would be few.
    """
    write = text or (lambda value: f"{value:g}")
    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(low, high)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
    axis = axes.xaxis if which == "x" else axes.yaxis
    plain_log_ticks(axis, low, high, write)


def plain_log_ticks(axis: Axis, low: float, high: float, write: Callable[[float], str]) -> None:
    """Ticks of a logarithmic axis; matplotlib's own labels are formulas, which are switched off here."""
    decades = math.log10(high / low)
    if decades < 1:
        axis.set_major_locator(MaxNLocator(5))
    else:
        axis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2.5 else (1.0, 2.0, 5.0), numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())


def rate_unit(most_gbytes_per_s: float) -> tuple[float, str]:
    """Factor from GB/s, and the unit in which the largest rate is at least 1."""
    for factor, unit in ((1.0, "GB/s"), (1e3, "MB/s")):
        if most_gbytes_per_s * factor >= 1:
            return factor, unit
    return 1e6, "kB/s"


def note_in(axes: Axes, text: str) -> None:
    """A sentence in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize="small")
