"""A matrix as coloured cells: the map of colours, its scale, and as many cells as a page can show."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter

from analysis.figures.style import Floats, plain_log_ticks

MOST_COLUMNS: Final = 1000
"""More than a panel has pixels in print or on a page."""

MOST_CELLS: Final = 40_000
"""Of one image. Cells of noise take about 0.75 bytes each as PNG with 64 colours and a third more as text, so that two images
stay below 100 kB in a page."""

NUM_COLOURS: Final = 64
"""Steps of a map; a reader tells fewer apart, and an image takes a quarter less room than with 256."""

SKEWED: Final = 8.0
"""Values whose largest is so many times their median are shown on a logarithmic scale: on a linear one with `NUM_COLOURS`
steps half of all cells would have to share the lowest eight."""


def colour_map() -> Colormap:
    """cividis: from dark to light in print too, and alike for all readers; transparent where nothing is known.

    Source:
        Nunez, Anderton and Renslow 2018, PLoS ONE 13(7) e0199239.
    """
    return colormaps["cividis"].resampled(NUM_COLOURS).with_extremes(bad=(0, 0, 0, 0))


def pooled(matrix: Floats) -> tuple[Floats, int, int]:
    """A matrix of at most `MOST_CELLS`, each the largest of its cells, and how many columns and rows became one.

    Shape: (num_rows, num_columns) to (about num_rows / rows, about num_columns / columns). NaN only where all are NaN.
    """
    num_rows, num_columns = matrix.shape
    rows = math.ceil(num_rows / math.isqrt(MOST_CELLS))
    kept_rows = math.ceil(num_rows / rows)
    columns = math.ceil(num_columns / min(MOST_COLUMNS, MOST_CELLS // kept_rows))
    kept_columns = math.ceil(num_columns / columns)
    padded = np.full((kept_rows * rows, kept_columns * columns), -np.inf)
    padded[:num_rows, :num_columns] = np.where(np.isnan(matrix), -np.inf, matrix)
    largest = padded.reshape(kept_rows, rows, kept_columns, columns).max(axis=(1, 3))
    return np.where(np.isinf(largest), np.nan, largest), columns, rows


def norm_of(values: Floats) -> Normalize:
    """Linear from the least to the greatest; logarithmic where the values are `SKEWED` and above 0."""
    known = values[np.isfinite(values)]
    low, high, middle = float(known.min()), float(known.max()), float(np.median(known))
    if low > 0 and high > SKEWED * middle:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + (abs(low) or 1.0))


def draw_cells(
    axes: Axes, matrix: Floats, norm: Normalize, extent: tuple[float, float, float, float]
) -> AxesImage:
    """Cells in one image, each as sharp as it is; ``extent``: left, right, bottom, top."""
    return axes.imshow(
        matrix, cmap=colour_map(), norm=norm, extent=extent, aspect="auto", interpolation="none"
    )


def colour_scale(figure: Figure, image: ScalarMappable, axes: Axes, write: Callable[[float], str]) -> None:
    """Right of ``axes`` and as high; one small picture instead of a rectangle for each colour."""
    bar = figure.colorbar(image, cax=axes.inset_axes((1.02, 0.0, 0.035, 1.0)))
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    if isinstance(image.norm, LogNorm):
        plain_log_ticks(bar.ax.yaxis, *bar.ax.get_ylim(), write)
    else:
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    bar.ax.tick_params(labelsize="small")
