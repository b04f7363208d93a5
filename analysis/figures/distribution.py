"""How the iterations of single points are distributed, each by its slowest rank.

What to see: on the left, how steep the curve is: a steep one is a steady point, a step in the middle two modes, of which
the median is one. On the right the same on a logarithmic scale of how many calls are longer: there a tail that holds one
call in a hundred is as wide as the bulk. Marks show the median, p95 and p99, where there are samples enough for them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from analysis.figures import style, words
from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.figures.samples import of_points, slowest
from analysis.figures.series import series_of
from analysis.figures.style import Floats
from bench.model import units
from bench.model.statistics import Summary, summarise

MOST_STEPS: Final = 300
"""Of one curve; a page has fewer pixels per panel. The longest calls are all kept."""


@style.styled
def draw(
    samples: pd.DataFrame, point: str | Sequence[str], *, title: str, summary: pd.DataFrame | None = None
) -> Drawn:
    """The share of iterations that are done after a time, and of those that are not.

    Args:
        point: point_id of one point or of several, at most six.
        summary: its rows give the points readable names.

    Raises:
        ValueError: more points than there are colours.
        NothingToDrawError: no samples of these points.
    """
    points = [point] if isinstance(point, str) else list(dict.fromkeys(point))
    if len(points) > style.MOST_SERIES:
        raise ValueError(
            f"{len(points)} points in one figure; at most {style.MOST_SERIES} can be told apart: draw several figures"
        )
    calls = slowest(of_points(samples, points))
    found = {one: calls[calls["point_id"] == one]["duration_s"].to_numpy(np.float64) for one in points}
    found = {one: durations_s for one, durations_s in found.items() if len(durations_s)}
    if not found:
        raise NothingToDrawError(f"no samples of {words.listed([words.shown(one) for one in points])}")
    names = names_of(summary, list(found))
    described = {one: summarise(durations_s.tolist()) for one, durations_s in found.items()}
    title = words.shown(title, 200)
    figure = style.new_figure(4.2, title, "marks: median, p95, p99")
    left, right = figure.subplots(1, 2, sharex=True)
    for place, (one, durations_s) in enumerate(found.items()):
        _draw_point(
            left, right, durations_s, described[one], place, f"{names[one]}, {len(durations_s)} samples"
        )
    every = np.concatenate(list(found.values()))
    style.log_axis(left, "x", 0.9 * float(every.min()), 1.1 * float(every.max()), units.format_seconds)
    left.yaxis.set_major_formatter(PercentFormatter(1.0))
    left.set_ylim(0, 1.02)
    left.set_ylabel("iterations that take\nat most so long")
    fewest = min(1 / len(durations_s) for durations_s in found.values())
    style.log_axis(right, "y", 0.7 * fewest, 1.3, lambda share: f"{100 * share:g}%")
    right.set_ylabel("iterations that take at\nleast so long, logarithmic")
    for axes in (left, right):
        axes.set_xlabel("time of one call, slowest rank")
        axes.tick_params(axis="x", labelrotation=30)
    style.legend_below(figure, [left], columns=2)
    caption = words.sentences(*(_said(names[one], described[one]) for one in found))
    alt = (
        f"Cumulative distribution of the time of {words.counted(len(found), 'point')} and its tail. {caption}"
    )
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def names_of(summary: pd.DataFrame | None, points: Sequence[str]) -> Mapping[str, str]:
    """'all_reduce of 2 MiB' for points of the summary, the point_id for others."""
    found = {point: words.shown(point) for point in points}
    for one in series_of(summary, value="time_s") if summary is not None else []:
        for point, size in zip(one.points["point_id"].astype(str), one.sizes_bytes, strict=True):
            if point in found:
                found[point] = f"{one.name} of {units.format_bytes(size)}" if size else one.name
    return found


def _draw_point(
    left: Axes, right: Axes, durations_s: Floats, described: Summary, place: int, label: str
) -> None:
    colour, marker = style.COLOURS[place], style.MARKERS[place]
    times_s, at_most = _steps(np.sort(durations_s))
    left.plot(times_s, at_most, drawstyle="steps-post", color=colour)
    # At least so long: 1/n at the longest call, where the share of longer ones would be 0.
    own = 1 / len(durations_s)
    right.plot(times_s, 1 - at_most + own, drawstyle="steps-pre", color=colour)
    marks = [(0.5, described.median_s), (0.95, described.p95_s), (0.99, described.p99_s)]
    known = [(share, time_s) for share, time_s in marks if time_s is not None]
    when_s, shares = [time_s for _, time_s in known], np.array([share for share, _ in known])
    left.plot(when_s, shares, color=colour, marker=marker, linestyle="none")
    right.plot(when_s, 1 - shares + own, color=colour, marker=marker, linestyle="none")
    left.plot([], [], color=colour, marker=marker, label=label)


def _steps(ordered_s: Floats) -> tuple[Floats, Floats]:
    """Times and the share of samples up to them; thinned evenly in the bulk, complete among the longest."""
    n = len(ordered_s)
    places = np.arange(n)
    if n > MOST_STEPS:
        half = MOST_STEPS // 2
        bulk = np.linspace(0, n - 1, half).round()
        tail = n - 1 - np.geomspace(1, n - 1, half).round()
        places = np.unique(np.concatenate([bulk, tail, [n - 1]]).astype(np.int64))
    shares: Floats = (places + 1) / n
    return ordered_s[places], shares


def _said(name: str, described: Summary) -> str:
    tails = [("p95", described.p95_s), ("p99", described.p99_s)]
    said = [f"{label} {units.format_seconds(value)}" for label, value in tails if value is not None]
    more = f", {', '.join(said)}" if said else ""
    return (
        f"{name}: median {units.format_seconds(described.median_s)}{more}, longest "
        f"{units.format_seconds(described.max_s)}, {described.max_s / described.median_s:.3g} times the median "
        f"({words.counted(described.num_samples, 'sample')})"
    )
