"""Time of small messages over their size, with its tail; one panel for each series.

What to see: the flat part on the left is the latency, which no faster link shortens; where the line begins to rise the
message's bytes begin to count. The distance from the median to the worst call is what a program that calls often waits
for. A dotted line with a band is what was predicted, or what a calibration says.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import style, words
from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.figures.series import Series, by_size, numbers, series_of, spread, time_interval_s
from bench.model import units

MOST_BYTES: Final = 1 << 20
"""Up to 1 MiB: where those who read such panels look for latency; a longer message takes 20 us and more at 400 Gb/s."""

MOST_PANELS: Final = 12
"""Three abreast and four deep fill a page."""

ABREAST: Final = 3


@style.styled
def draw(summary: pd.DataFrame, *, title: str, most_bytes: int = MOST_BYTES) -> Drawn:
    """Median, p99 and longest time of every series, log-log, on one scale; a barrier is a line in every panel.

    Raises:
        NothingToDrawError: no point up to ``most_bytes`` has a time.
    """
    small = summary[numbers(summary, "message_bytes") <= most_bytes]
    every = series_of(small, value="time_s")
    sized = [one for one in every if (one.sizes_bytes > 0).all()]
    if not sized:
        raise NothingToDrawError(f"no message of at most {units.format_bytes(most_bytes)} has a time")
    barriers = [one for one in every if one.collective == "barrier"]
    shown = spread(sized, MOST_PANELS)
    abreast = min(ABREAST, len(shown))
    rows = -(-len(shown) // abreast)
    note = f"{len(shown)} of {len(sized)} series" if len(shown) < len(sized) else ""
    title = words.shown(title, 200)
    figure = style.new_figure(rows * (2.5 if abreast > 1 else 3.6) + 0.9, title, note)
    grid = figure.subplots(rows, abreast, squeeze=False, sharex=True, sharey=True)
    low_s, high_s = _limits(shown, barriers)
    sizes = np.concatenate([one.sizes_bytes for one in shown])
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.remove()
            grid.flat[place - abreast].tick_params(labelbottom=True)
            continue
        _draw_series(axes, shown[place], barriers)
        style.log_axis(axes, "y", low_s, high_s, units.format_seconds)
        style.size_axis(axes, sizes, most=8 // abreast + 1)
        if place % abreast == 0:
            axes.set_ylabel("time of one call")
        if place + abreast >= len(shown):
            axes.set_xlabel("message size")
    style.legend_below(figure, grid.flat, columns=6)
    caption = _caption(sized, barriers)
    alt = (
        f"Logarithmic line charts of time over message size, {words.counted(len(shown), 'panel')}. {caption}"
    )
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _draw_series(axes: Axes, one: Series, barriers: Sequence[Series]) -> None:
    colour, sizes = style.COLOURS[0], one.sizes_bytes
    low_s, high_s = time_interval_s(one.points)
    bars = np.column_stack([low_s, high_s, np.full_like(low_s, np.nan)]).ravel()
    axes.plot(np.repeat(sizes, 3), bars, color=colour, linewidth=1.0)
    for column, label, linestyle, marker, tint in (
        ("time_s", _headline(one), "-", "o", colour),
        ("time_p99_s", "p99", "--", "^", style.COLOURS[1]),
        ("time_max_s", "longest", ":", "v", style.COLOURS[3]),
    ):
        line_sizes, line_s = by_size(sizes, numbers(one.points, column))
        if len(line_s):
            axes.plot(
                line_sizes,
                line_s,
                color=tint,
                linestyle=linestyle,
                marker=marker,
                markersize=3.5,
                label=label,
            )
    for stem, label, dashes in (
        ("predicted", "predicted", (1.0, 1.0)),
        ("calibrated", "by the calibration", (4.0, 1.0, 1.0, 1.0)),
    ):
        line_sizes, line_s = by_size(sizes, numbers(one.points, f"{stem}_time_s"))
        if len(line_s):
            axes.plot(line_sizes, line_s, color=style.INK, linestyle=(0, dashes), linewidth=1.2, label=label)
    ends = [by_size(sizes, numbers(one.points, f"calibrated_{end}_s")) for end in ("low", "high")]
    if len(ends[0][0]) and np.array_equal(ends[0][0], ends[1][0]):
        axes.fill_between(ends[0][0], ends[0][1], ends[1][1], color=style.INK, alpha=0.12, linewidth=0)
    for barrier in barriers[:1]:
        axes.axhline(_barrier_s(barrier), color=style.COLOURS[2], linewidth=1.2, label="barrier")
    axes.set_title(one.name, fontsize="small")


def _headline(one: Series) -> str:
    """What the line is: linerate's median, or what another program printed."""
    return "median, with its interval" if _is_median(one) else "as the log has it"


def _is_median(one: Series) -> bool:
    told = one.points.get("time_statistic")
    return told is None or bool(told.astype(str).str.startswith("median").all())


def _limits(shown: Sequence[Series], barriers: Sequence[Series]) -> tuple[float, float]:
    columns = ("time_s", "time_max_s", "time_p99_s", "predicted_time_s", "calibrated_time_s")
    values = np.concatenate([numbers(one.points, column) for one in shown for column in columns])
    values = np.append(values, [_barrier_s(one) for one in barriers[:1]])
    values = values[np.isfinite(values) & (values > 0)]
    return 0.7 * float(values.min()), 1.4 * float(values.max())


def _barrier_s(barrier: Series) -> float:
    return float(np.nanmedian(numbers(barrier.points, "time_s")))


def _caption(sized: Sequence[Series], barriers: Sequence[Series]) -> str:
    shortest = [(one, *_shortest(one)) for one in sized]
    one, size, time_s = min(shortest, key=lambda found: found[2])
    of_median = " in the median" if _is_median(one) else ""
    parts = [
        f"The shortest call is {one.name} of {units.format_bytes(size)}, {units.format_seconds(time_s)}{of_median}"
    ]
    if len(sized) > 1:
        one, size, time_s = max(shortest, key=lambda found: found[2])
        parts.append(
            f"{one.name} takes {units.format_seconds(time_s)} at least, at {units.format_bytes(size)}"
        )
    tail = _longest_tail(sized)
    if tail is not None:
        one, size, ratio = tail
        parts.append(
            f"The longest tail is that of {one.name} at {units.format_bytes(size)}: its worst call took {ratio:.3g} times the "
            f"{'median' if _is_median(one) else 'usual time'}"
        )
    if barriers:
        parts.append(f"A barrier takes {units.format_seconds(_barrier_s(barriers[0]))}")
    if not any(np.isfinite(numbers(one.points, "time_p99_s")).any() for one in sized):
        parts.append("No point has samples enough for a p99")
    return words.sentences(*parts)


def _shortest(one: Series) -> tuple[float, float]:
    """Size of the message whose median is least, and that median."""
    sizes, times_s = by_size(one.sizes_bytes, numbers(one.points, "time_s"))
    best = int(np.argmin(times_s))
    return float(sizes[best]), float(times_s[best])


def _longest_tail(sized: Sequence[Series]) -> tuple[Series, float, float] | None:
    """Series, size, and longest over median time, where that is largest."""
    found = []
    for one in sized:
        ratios = numbers(one.points, "time_max_s") / numbers(one.points, "time_s")
        if np.isfinite(ratios).any():
            worst = int(np.nanargmax(ratios))
            found.append((one, float(one.sizes_bytes[worst]), float(ratios[worst])))
    return max(found, key=lambda each: each[2], default=None)
