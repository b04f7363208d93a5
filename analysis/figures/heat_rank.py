"""Rank by iteration: how long every rank took for every call of one point, and how late it came to it.

What to see: all ranks leave a barrier before each call. A rank that comes late is a light row on the right and a dark one
on the left, since it alone does not wait; a slow rank is light on the left; a slow link makes all rows light; a stall is a
light column. Names of hosts stand beside the ranks.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures import style, words
from analysis.figures.cells import colour_scale, draw_cells, norm_of, pooled
from analysis.figures.drawn import Drawn
from analysis.figures.samples import Matrix, matrix_of
from analysis.figures.style import Floats
from bench.model import units
from bench.model.straggler import MIN_SHARE

Hosts = Sequence[str] | Mapping[int, str]
"""Name of the host of every rank of the run: in order of ranks, or by rank."""

MOST_LABELS: Final = 32
"""Of rows; more would run into each other."""


@style.styled
def draw(samples: pd.DataFrame, point: str, *, title: str, hosts: Hosts = ()) -> Drawn:
    """Durations on the left, arrivals after the first rank on the right, where starts are known; the same rows.

    Raises:
        NothingToDrawError: the point has no samples.
    """
    matrix = matrix_of(samples, point)
    arrival_s = matrix.start_s - np.fmin.reduce(matrix.start_s, axis=0)
    has_starts = bool(np.isfinite(arrival_s).any())
    names = _host_names(matrix, hosts)
    title = words.shown(title, 200)
    rows = len(matrix.ranks)
    figure = style.new_figure(min(9.0, 2.2 + 0.2 * max(4, min(rows, MOST_LABELS))), title)
    panels = figure.subplots(1, 2 if has_starts else 1, sharey=True, squeeze=False)[0]
    first, last = float(matrix.iterations[0]) - 0.5, float(matrix.iterations[-1]) + 0.5
    pooling = (1, 1)
    contents = ((matrix.duration_s, "duration"), (arrival_s, "arrival after the first rank"))
    for axes, (values_s, label) in zip(panels, contents, strict=False):
        cells, columns_in_one, rows_in_one = pooled(values_s)
        pooling = (columns_in_one, rows_in_one)
        bottom = float(cells.shape[0] * rows_in_one) - 0.5
        image = draw_cells(axes, cells, norm_of(cells), (first, last, bottom, -0.5))
        axes.set_ylim(rows - 0.5, -0.5)
        colour_scale(figure, image, axes, units.format_seconds)
        axes.set_title(label, fontsize="small")
        axes.grid(visible=False)
        axes.set_xlabel("iteration")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        _host_lines(axes, names)
    _rank_labels(panels[0], matrix, names)
    notes = [
        f"each cell is the largest of {number} {what}"
        for number, what in zip(pooling, ("iterations", "ranks"), strict=True)
        if number > 1
    ]
    if notes:
        figure.supxlabel("; ".join(notes), fontsize="small", x=0.01, ha="left")
    caption = _caption(matrix, arrival_s, names)
    kind = "Two heat maps" if has_starts else "Heat map"
    alt = f"{kind} of {words.counted(rows, 'rank')} by {words.counted(len(matrix.iterations), 'iteration')}. {caption}"
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _host_names(matrix: Matrix, hosts: Hosts) -> list[str]:
    """One per row; empty where it is not known."""
    by_rank = dict(hosts) if isinstance(hosts, Mapping) else dict(enumerate(hosts))
    return words.hosts([str(by_rank.get(int(rank), "")) for rank in matrix.ranks])


def _rank_labels(axes: Axes, matrix: Matrix, names: Sequence[str]) -> None:
    """Rank and host; of many, the first rank of each host; of many hosts, some."""
    rows = list(range(len(names)))
    if len(rows) > MOST_LABELS:
        rows = [row for row in rows if row == 0 or names[row] != names[row - 1]]
        rows = rows if len(rows) > 1 else list(range(len(names)))
        rows = rows[:: -(-len(rows) // MOST_LABELS)]
    labels = [f"{names[row]} · {matrix.ranks[row]}" if names[row] else f"{matrix.ranks[row]}" for row in rows]
    axes.set_yticks(rows, labels, fontsize="small")
    axes.set_ylabel("host and rank" if any(names) else "rank")


def _host_lines(axes: Axes, names: Sequence[str]) -> None:
    """Between ranks of different hosts, where hosts have several."""
    changes = [row - 0.5 for row in range(1, len(names)) if names[row] != names[row - 1]]
    if 0 < len(changes) < min(len(names) - 1, MOST_LABELS):
        for change in changes:
            axes.axhline(change, color="#ffffff", linewidth=1.0)


def _caption(matrix: Matrix, arrival_s: Floats, names: Sequence[str]) -> str:
    slowest_s = np.nanmax(matrix.duration_s, axis=0)
    median_s, worst = float(np.median(slowest_s)), int(np.argmax(slowest_s))
    opening = (
        f"{words.counted(len(matrix.iterations), 'call')} of {words.counted(len(matrix.ranks), 'rank')}; the slowest rank takes "
        f"{units.format_seconds(median_s)} in the median, and {units.format_seconds(slowest_s[worst])} in call "
        f"{matrix.iterations[worst]}, the longest"
    )
    parts = [opening]
    if not np.isfinite(arrival_s).any():
        parts.append("When the ranks came to each call is not known")
    elif len(matrix.ranks) > 1:
        lateness_s = np.nan_to_num(pd.DataFrame(arrival_s).median(axis=1).to_numpy(np.float64))
        late = int(np.argmax(lateness_s))
        excess_s = float(lateness_s[late] - np.median(np.delete(lateness_s, late)))
        if excess_s >= MIN_SHARE * median_s:
            parts.append(
                f"{_rank(matrix, names, late)} comes last: {units.format_seconds(lateness_s[late])} after the first rank in the "
                f"median, {units.format_seconds(excess_s)} more than the others"
            )
        else:
            parts.append("No rank comes later than the others by a tenth of that time")
    if matrix.num_bad:
        parts.append(f"{words.counted(matrix.num_bad, 'sample')} that are no time are left blank")
    return words.sentences(*parts)


def _rank(matrix: Matrix, names: Sequence[str], row: int) -> str:
    return f"Rank {matrix.ranks[row]}" + (f" on {names[row]}" if names[row] else "")
