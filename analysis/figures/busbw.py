"""busbw over message size, against everything that limits it.

What to see: how far below its ceiling (dashed) a collective levels off, and from which size on. The linear panel shows the
large messages, the logarithmic one below it what the linear one hides, the last one the share of the ceiling that is
reached. Bars are the interval of the median. A dotted line with a band is what was predicted.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.figures import style, words
from analysis.figures.ceilings import Ceiling, Expected, ceilings_of, expectations_of
from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.figures.reached import said_of
from analysis.figures.series import Series, busbw_interval, by_size, numbers, panels_of, series_of, spread
from analysis.figures.style import Floats

MOST_PANELS: Final = 4
"""Of `style.MOST_SERIES` each. More fill more than a page and more than a reader compares; tables hold the rest."""

MOST_MARKS: Final = 20
"""On one line. Of more sizes every second, third, ... is marked; the bars of the intervals show them all."""

DODGE: Final = 2**0.1
"""Factor between neighbours where all points are of one size."""

STRETCH: Final = 2**0.3
"""Half the width of a line that is known at one size only; six points beside each other fit on it."""


@style.styled
def draw(summary: pd.DataFrame, *, title: str, time_scale: float | None = None) -> Drawn:
    """busbw, the same logarithmic, and efficiency where a ceiling is known; one column per six series.

    Args:
        summary: columns of summary.csv; ``predicted_bound`` names the ceilings where it is there, ``bound_by`` else.
        time_scale: of an emulated link: how many times slower than the real one it is. The right axis is full speed.

    Raises:
        NothingToDrawError: no point has a bandwidth.
    """
    every = [one for one in series_of(summary) if (one.sizes_bytes > 0).all()]
    if not every:
        raise NothingToDrawError("no point has a bandwidth; a barrier and wrong data have none")
    shown = spread(every, MOST_PANELS * style.MOST_SERIES)
    panels = panels_of(shown, style.MOST_SERIES)
    has_ceiling = any(np.isfinite(numbers(one.points, "efficiency")).any() for one in shown)
    title = words.shown(title, 200)
    notes = [] if has_ceiling else ["no ceiling that the points can be compared with"]
    if len(every) > len(shown):
        notes.append(f"{len(shown)} of {len(every)} series")
    figure, grid = _grid(len(panels), has_ceiling, title, " · ".join(notes))
    abreast = min(len(panels), 2)
    for column, panel in zip(grid, panels, strict=True):
        _draw_panel(column, panel, time_scale, width_in=style.WIDTH_IN / abreast - 1.0)
        style.size_axis(column[-1], np.concatenate([one.sizes_bytes for one in shown]), most=9 // abreast)
    _share_limits(grid)
    caption = said_of(every, time_scale)
    alt = f"Line chart of bus bandwidth over message size, {words.counted(len(shown), 'line')}. {caption}"
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _grid(num_panels: int, has_ceiling: bool, title: str, note: str) -> tuple[Figure, list[list[Axes]]]:
    """Figure and, per panel, its axes from top to bottom; panels stand two abreast."""
    heights = [2.8, 2.0, 1.4] if has_ceiling else [2.8, 2.0]
    abreast = min(num_panels, 2)
    blocks = -(-num_panels // abreast)
    figure = style.new_figure(blocks * (sum(heights) + 1.6) + 0.4, title, note)
    axes = figure.subplots(
        blocks * len(heights), abreast, squeeze=False, sharex=True, height_ratios=heights * blocks
    )
    columns = []
    for panel in range(blocks * abreast):
        block, place = divmod(panel, abreast)
        column = [axes[block * len(heights) + row, place] for row in range(len(heights))]
        if panel < num_panels:
            columns.append(column)
        else:
            for one in column:
                one.remove()
    return figure, columns


def _draw_panel(
    column: Sequence[Axes], panel: Sequence[Series], time_scale: float | None, *, width_in: float
) -> None:
    linear, logarithmic = column[:2]
    ceilings, expectations = ceilings_of(panel), expectations_of(panel)
    most = max(float(numbers(one.points, "busbw_gbytes_per_s").max()) for one in panel)
    factor, unit = style.rate_unit(most)
    sizes = np.concatenate([one.sizes_bytes for one in panel])
    # Points of a single size stand beside each other instead of upon.
    step = DODGE if len(np.unique(sizes)) == 1 else 1.0
    shifts = [step ** (place - (len(panel) - 1) / 2) for place in range(len(panel))]
    for axes in (linear, logarithmic):
        for place, one in enumerate(panel):
            _draw_series(axes, one, place, factor, shifts[place])
        for expected in expectations:
            _draw_expected(axes, expected, panel, factor)
        for place, ceiling in enumerate(ceilings):
            _draw_ceiling(axes, ceiling, place, panel, factor, unit)
    low, high = _limits(panel, ceilings)
    linear.set_ylim(0, 1.1 * high * factor)
    style.log_axis(logarithmic, "y", 0.7 * low * factor, 1.5 * high * factor)
    linear.set_ylabel(f"busbw, {unit}")
    logarithmic.set_ylabel(f"busbw, {unit},\nlogarithmic")
    if time_scale:
        _full_speed(linear, logarithmic, factor, time_scale, 1.5 * high)
    if len(column) > 2:
        _draw_efficiency(column[2], panel, shifts)
    if expectations:
        linear.plot(
            [], [], color=style.INK, linestyle=":", linewidth=1.2, label="predicted, with its interval"
        )
    for axes in column:
        axes.tick_params(labelbottom=axes is column[-1])
    column[-1].set_xlabel("message size")
    style.legend_above(linear, width_in)


def _draw_series(axes: Axes, one: Series, place: int, factor: float, shift: float) -> None:
    colour, marker = style.COLOURS[place], style.MARKERS[place]
    sizes, busbw = one.sizes_bytes * shift, numbers(one.points, "busbw_gbytes_per_s") * factor
    line_sizes, line = by_size(sizes, busbw)
    is_repeated = len(line_sizes) < len(sizes)
    face = "none" if is_repeated else colour
    axes.plot(
        line_sizes,
        line,
        color=colour,
        marker=marker,
        markerfacecolor=face,
        markevery=-(-len(line) // MOST_MARKS),
        label=one.name,
    )
    if is_repeated:
        axes.plot(sizes, busbw, color=colour, marker=marker, markersize=2.5, linestyle="none")
    low, high = (end * factor for end in busbw_interval(one.points))
    # One path for all bars: a bar each would make most of the file.
    bars = np.column_stack([low, high, np.full_like(low, np.nan)]).ravel()
    axes.plot(np.repeat(sizes, 3), bars, color=colour, linewidth=1.0, alpha=0.8)


def _draw_expected(axes: Axes, expected: Expected, panel: Sequence[Series], factor: float) -> None:
    colour = _colour(expected.names, panel)
    sizes, busbw, low, high = _widened(
        expected.sizes_bytes,
        expected.busbw_gbytes_per_s * factor,
        expected.low_gbytes_per_s * factor,
        expected.high_gbytes_per_s * factor,
    )
    axes.plot(sizes, busbw, color=colour, linestyle=":", linewidth=1.2)
    axes.fill_between(sizes, low, high, color=colour, alpha=0.12, linewidth=0)


def _draw_ceiling(
    axes: Axes, ceiling: Ceiling, place: int, panel: Sequence[Series], factor: float, unit: str
) -> None:
    """Dashed where the points are compared with it, faint elsewhere."""
    colour = _colour(ceiling.names, panel)
    values = ceiling.busbw_gbytes_per_s * factor
    is_judged, name = ceiling.is_judged, ceiling.label(len(panel), factor, unit)
    names = (None, name) if is_judged.any() else (name, None)
    for is_shown, linestyle, alpha, label in (
        (np.ones_like(is_judged), (0, (1, 3)), 0.6, names[0]),
        (is_judged, style.DASHES[place % len(style.DASHES)], 1.0, names[1]),
    ):
        sizes, line = _widened(ceiling.sizes_bytes[is_shown], values[is_shown])
        axes.plot(
            sizes,
            line,
            color=colour,
            linewidth=1.3,
            linestyle=linestyle,
            alpha=alpha,
            label=label,
        )


def _widened(sizes: Floats, *lines: Floats) -> list[Floats]:
    """Sizes and values of lines; of a line that is known at one size only, a short stretch around it."""
    if len(sizes) != 1:
        return [sizes, *lines]
    return [np.array([sizes[0] / STRETCH, sizes[0] * STRETCH]), *(np.repeat(line, 2) for line in lines)]


def _colour(names: Sequence[str], panel: Sequence[Series]) -> str:
    """That of the series which has a line for itself; ink for a line of several."""
    places = [place for place, one in enumerate(panel) if one.name in names]
    return style.COLOURS[places[0]] if len(places) == 1 else style.INK


def _draw_efficiency(axes: Axes, panel: Sequence[Series], shifts: Sequence[float]) -> None:
    best = 1.0
    for place, one in enumerate(panel):
        sizes, share = by_size(one.sizes_bytes, numbers(one.points, "efficiency"))
        axes.plot(
            sizes * shifts[place],
            share,
            color=style.COLOURS[place],
            marker=style.MARKERS[place],
            markevery=max(1, -(-len(share) // MOST_MARKS)),
        )
        best = float(max([best, *share]))
    axes.axhline(1.0, color=style.INK, linewidth=1, linestyle="--")
    axes.set_ylim(0, 1.08 * best)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("busbw over\nits ceiling")


def _limits(panel: Sequence[Series], ceilings: Sequence[Ceiling]) -> tuple[float, float]:
    """Least and greatest rate that must be seen: what was measured, and the ceilings that it is compared with.

    Of an interval that is wider than half of its rate, the end may lie outside.
    """
    highs = []
    for one in panel:
        busbw = numbers(one.points, "busbw_gbytes_per_s")
        highs.append(np.fmin(busbw_interval(one.points)[1], 1.5 * busbw))
    judged = [ceiling.busbw_gbytes_per_s[ceiling.is_judged] for ceiling in ceilings]
    low = min(float(numbers(one.points, "busbw_gbytes_per_s").min()) for one in panel)
    return low, float(np.concatenate(highs + judged).max())


def _share_limits(grid: Sequence[Sequence[Axes]]) -> None:
    """The same scale in all panels of one unit, so that they can be compared by eye."""
    for rows in zip(*grid, strict=True):
        for unit in {axes.get_ylabel() for axes in rows}:
            alike = [axes for axes in rows if axes.get_ylabel() == unit]
            low = min(axes.get_ylim()[0] for axes in alike)
            high = max(axes.get_ylim()[1] for axes in alike)
            for axes in alike:
                axes.set_ylim(low, high)


def _full_speed(linear: Axes, logarithmic: Axes, factor: float, time_scale: float, high: float) -> None:
    """Right axes that show the rates of the real link."""
    full, unit = style.rate_unit(high * time_scale)
    ratio = time_scale * full / factor
    for axes in (linear, logarithmic):
        right = axes.secondary_yaxis("right", functions=(_times(ratio), _times(1 / ratio)))
        right.set_ylabel(f"at full speed, {unit}")
        if axes is logarithmic:
            low, top = axes.get_ylim()
            style.plain_log_ticks(right.yaxis, low * ratio, top * ratio, lambda value: f"{value:g}")


def _times(ratio: float) -> Callable[[Any], Any]:
    return lambda rates: rates * ratio
