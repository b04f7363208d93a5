"""Measured against predicted busbw, with the interval of the prediction.

What to see: on the left, points along 1 mean that the model knows what happens; a slope means that it lacks something that
grows with the message. Bars are the interval of the prediction as the model gives it, around 1; crosses are measurements
outside it. On the right the same as rates: points below the diagonal are slower than predicted.
"""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.figures import style, words
from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.figures.series import numbers
from analysis.figures.style import Floats
from bench.model import units

MOST_VECTOR: Final = 600
"""More marks are drawn as one picture each panel, which is then smaller than they are."""


@style.styled
def draw(frame: pd.DataFrame, *, title: str) -> Drawn:
    """Ratio over message size, and the rates against each other.

    Args:
        frame: collective, message_bytes, busbw_gbytes_per_s, predicted_busbw_gbytes_per_s, and its interval
            predicted_low_busbw_gbytes_per_s to predicted_high_busbw_gbytes_per_s; columns of summary.csv.

    Raises:
        NothingToDrawError: no point has both.
    """
    is_known = (np.nan_to_num(numbers(frame, "busbw_gbytes_per_s")) > 0) & (
        np.nan_to_num(numbers(frame, "predicted_busbw_gbytes_per_s")) > 0
    )
    known = frame[is_known & (numbers(frame, "message_bytes") > 0)]
    if known.empty:
        raise NothingToDrawError("no point has a predicted and a measured bandwidth")
    title = words.shown(title, 200)
    figure = style.new_figure(4.6, title)
    left, right = figure.subplots(1, 2)
    measured = numbers(known, "busbw_gbytes_per_s")
    predicted = numbers(known, "predicted_busbw_gbytes_per_s")
    low = numbers(known, "predicted_low_busbw_gbytes_per_s")
    high = numbers(known, "predicted_high_busbw_gbytes_per_s")
    is_outside = (measured < low) | (measured > high)
    sizes = numbers(known, "message_bytes")
    factor, unit = style.rate_unit(float(measured.max()))
    is_raster = len(known) > MOST_VECTOR
    _bars(left, sizes, low / predicted, high / predicted, is_raster=is_raster)
    _bars(right, predicted * factor, low * factor, high * factor, is_raster=is_raster)
    left.axhline(1.0, color=style.INK, linewidth=0.8)
    ends = np.array([0.7 * min(measured.min(), predicted.min()), 1.4 * max(measured.max(), predicted.max())])
    right.plot(ends * factor, ends * factor, color=style.INK, linewidth=0.8)
    collective = np.array([words.shown(name) for name in known["collective"]])
    named = list(dict.fromkeys(collective))
    for place, name in enumerate(named[: style.MOST_SERIES]):
        is_last = place == style.MOST_SERIES - 1 and len(named) > style.MOST_SERIES
        mine = ~np.isin(collective, named[:place]) if is_last else collective == name
        label = f"{len(named) - place} others" if is_last else name
        for axes, across, up in (
            (left, sizes, measured / predicted),
            (right, predicted * factor, measured * factor),
        ):
            _marks(axes, across[mine], up[mine], place, label, is_raster=is_raster)
    for axes, across, up in (
        (left, sizes, measured / predicted),
        (right, predicted * factor, measured * factor),
    ):
        axes.plot(
            across[is_outside],
            up[is_outside],
            linestyle="none",
            marker="x",
            markersize=9,
            color=style.INK,
            label="outside the interval" if is_outside.any() else None,
            rasterized=is_raster,
        )
    style.size_axis(left, sizes, most=5)
    left.set_xlabel("message size")
    left.set_ylabel("busbw, measured over predicted")
    _ratio_axis(left, measured / predicted, low / predicted, high / predicted)
    for which in ("x", "y"):
        style.log_axis(right, which, float(ends[0]) * factor, float(ends[1]) * factor)
    right.set_aspect("equal")
    right.set_xlabel(f"predicted busbw, {unit}")
    right.set_ylabel(f"measured busbw, {unit}")
    style.legend_below(figure, [left], columns=4)
    caption = _caption(known, measured / predicted, np.isfinite(low) & np.isfinite(high), is_outside)
    alt = f"Scatter charts of measured against predicted bandwidth, {words.counted(len(known), 'point')}. {caption}"
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _bars(axes: Axes, at: Floats, low: Floats, high: Floats, *, is_raster: bool) -> None:
    """Upright intervals, all of them one path."""
    along = np.column_stack([low, high, np.full_like(low, np.nan)]).ravel()
    axes.plot(
        np.repeat(at, 3),
        along,
        color=style.INK,
        linewidth=4,
        alpha=0.18,
        solid_capstyle="butt",
        rasterized=is_raster,
    )


def _marks(axes: Axes, across: Floats, up: Floats, place: int, label: str, *, is_raster: bool) -> None:
    axes.plot(
        across,
        up,
        linestyle="none",
        marker=style.MARKERS[place],
        markersize=4.5,
        markeredgewidth=1.3,
        markerfacecolor="none",
        color=style.COLOURS[place],
        label=label,
        rasterized=is_raster,
    )


def _ratio_axis(axes: Axes, ratio: Floats, low: Floats, high: Floats) -> None:
    every = np.concatenate([ratio, low, high, [1.0]])
    every = every[np.nan_to_num(every) > 0]
    least, most = float(every.min()), float(every.max())
    if most > 3 or least < 1 / 3:
        style.log_axis(axes, "y", least / 1.3, most * 1.3)
    else:
        axes.set_ylim(least - 0.1, most + 0.1)


def _caption(
    known: pd.DataFrame, ratio: Floats, has_interval: NDArray[np.bool_], is_outside: NDArray[np.bool_]
) -> str:
    parts = [
        f"At {words.counted(len(known), 'point')} the measured busbw lies between {ratio.min():.2f} and {ratio.max():.2f} of the predicted one"
    ]
    if has_interval.any():
        number = int(has_interval.sum())
        parts.append(
            f"{number - int(is_outside.sum())} of {words.counted(number, 'point')} lie inside the interval of the prediction"
        )
    else:
        parts.append("The prediction has no interval")
    worst = int(np.argmax(np.abs(np.log(ratio))))
    size = numbers(known, "message_bytes")[worst]
    parts.append(
        f"Farthest off is {words.shown(known['collective'].iloc[worst])} of {units.format_bytes(size)}, {ratio[worst]:.2f} of what "
        "was predicted"
    )
    return words.sentences(*parts)
