"""Host by host: what every pair of hosts reaches between them.

What to see: a dark row with its column is a host that is slow with everyone; a single dark cell is one bad path between two
good hosts. A host is judged by its best pair, since a good host has bad pairs with bad hosts, and a bad one with all.
Hatched pairs were not measured. Where times are shown instead of rates, light is slow.

Source of that rule: Oracle's ncclscout.py, which judges nodes so (oracle-quickstart/oci-hpc).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from analysis.figures import style, words
from analysis.figures.cells import colour_scale, draw_cells, norm_of, pooled
from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.figures.series import numbers
from analysis.figures.style import Floats
from bench.model import units
from bench.model.straggler import MIN_SHARE

MOST_WRITTEN: Final = 10
"""So many hosts leave room for the number in each cell."""

MOST_HATCHED: Final = 1500
"""So many squares are drawn one by one, with 60 bytes each; of more, all that is behind the cells is hatched."""

MOST_LABELS: Final = 40
"""So many names of hosts fit beside the rows; of more, every second, third, ... is written."""

MOST_WORST: Final = 3
"""Pairs that the caption names."""

PAIR_COLUMNS: Final = ("host_a", "host_b", "collective", "message_bytes", "busbw_gbytes_per_s", "time_s")


def pairs_from(
    summary: pd.DataFrame,
    groups: Mapping[str, Sequence[int]],
    rank_hosts: Sequence[str],
    *,
    message_bytes: int | None = None,
) -> pd.DataFrame:
    """One row per point that was measured in a group of two ranks on two hosts; columns `PAIR_COLUMNS`.

    Args:
        groups: ranks of each group, as in the manifest.
        rank_hosts: name of the host of every rank of the run.
        message_bytes: the size to take; the largest of every group and collective unless given.

    Raises:
        ValueError: a group has a rank that ``rank_hosts`` has no host for.
    """
    hosts = {}
    for name, ranks in groups.items():
        if any(not 0 <= rank < len(rank_hosts) for rank in ranks):
            raise ValueError(
                f"group {words.shown(name)} has ranks {list(ranks)}, and hosts are known of {len(rank_hosts)} ranks; take both "
                "from the manifest of one run"
            )
        if len(ranks) == 2 and rank_hosts[ranks[0]] != rank_hosts[ranks[1]]:
            hosts[name] = (rank_hosts[ranks[0]], rank_hosts[ranks[1]])
    pairs = summary[summary["group"].isin(list(hosts)) & (numbers(summary, "time_s") > 0)]
    if message_bytes is None:
        largest = pairs.groupby(["group", "collective"])["message_bytes"].transform("max")
        pairs = pairs[pairs["message_bytes"] == largest]
    else:
        pairs = pairs[pairs["message_bytes"] == message_bytes]
    return pairs.assign(
        host_a=[hosts[group][0] for group in pairs["group"]],
        host_b=[hosts[group][1] for group in pairs["group"]],
    )[list(PAIR_COLUMNS)].reset_index(drop=True)


@style.styled
def draw(pairs: pd.DataFrame, *, title: str, value: str = "busbw_gbytes_per_s") -> Drawn:
    """A square of hosts; pairs that occur several times are shown by their median.

    Args:
        pairs: host_a, host_b and ``value``, in either order of hosts.
        value: ``busbw_gbytes_per_s``, where more is better, or ``time_s``, where less is.

    Raises:
        ValueError: another ``value``.
        NothingToDrawError: no pair has one.
    """
    if value not in ("busbw_gbytes_per_s", "time_s"):
        raise ValueError(f"value is {value!r}; allowed are busbw_gbytes_per_s and time_s")
    known = pairs[np.nan_to_num(numbers(pairs, value)) > 0].reindex(columns=["host_a", "host_b", value])
    # As plain strings: a column of text takes nothing that is not UTF-8.
    ends = [(str(a), str(b)) for a, b in zip(known["host_a"], known["host_b"], strict=True)]
    hosts = sorted({host for pair in ends if pair[0] != pair[1] for host in pair})
    if not hosts:
        raise NothingToDrawError("no pair of two hosts was measured")
    matrix = _square(ends, numbers(known, value), hosts)
    is_rate = value != "time_s"
    factor, unit = style.rate_unit(float(np.nanmax(matrix))) if is_rate else (1.0, "")
    matrix = matrix * factor
    title = words.shown(title, 200)
    side_in = min(7.5, max(3.2, 0.55 * len(hosts) + 1.6))
    figure = style.new_figure(side_in + 0.6, title)
    axes = figure.subplots()
    count = len(hosts)
    # Of many hosts, several pairs share a cell: the slowest of them is shown.
    sign = -1.0 if is_rate else 1.0
    cells, in_one, _ = pooled(sign * matrix)
    cells *= sign
    end = cells.shape[0] * in_one - 0.5
    image = draw_cells(axes, cells, norm_of(matrix), (-0.5, end, end, -0.5))
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
    axes.set_aspect("equal")
    axes.set_title(f"busbw, {unit}" if is_rate else "time of one call", fontsize="small")
    _hatch_missing(axes, matrix)

    def write(number: float) -> str:
        return f"{number:.3g}" if is_rate else units.format_seconds(number)

    colour_scale(figure, image, axes, write)
    axes.grid(visible=False)
    step = -(-count // MOST_LABELS)
    labels = words.hosts(hosts)
    axes.set_xticks(range(0, count, step), labels[::step], rotation=60, ha="right", fontsize="small")
    axes.set_yticks(range(0, count, step), labels[::step], fontsize="small")
    if count <= MOST_WRITTEN:
        _write_numbers(axes, matrix, [[write(number) for number in row] for row in matrix])
    caption = _caption(matrix, labels, is_rate, lambda number: f"{write(number)} {unit}".strip())
    alt = f"Heat map of {count} by {count} hosts. {caption}"
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _square(ends: Sequence[tuple[str, str]], values: Floats, hosts: Sequence[str]) -> Floats:
    """Median of each pair in both of its cells. Shape: (num_hosts, num_hosts), NaN where nothing was measured."""
    place = {host: number for number, host in enumerate(hosts)}
    rows = [sorted((place[a], place[b])) if a != b else None for a, b in ends]
    cells = pd.DataFrame(
        [(*row, value) for row, value in zip(rows, values, strict=True) if row],
        columns=["low", "high", "value"],
    )
    medians = cells.groupby(["low", "high"], as_index=False)["value"].median()
    low, high = medians["low"].to_numpy(np.int64), medians["high"].to_numpy(np.int64)
    matrix = np.full((len(hosts), len(hosts)), np.nan)
    matrix[low, high] = matrix[high, low] = medians["value"].to_numpy(np.float64)
    return matrix


def _hatch_missing(axes: Axes, matrix: Floats) -> None:
    """Pairs that were not measured; one path for all. A host with itself stays empty."""
    missing = np.argwhere(np.isnan(matrix) & ~np.eye(len(matrix), dtype=bool))
    if len(missing) > MOST_HATCHED:
        axes.patch.set(hatch="////", edgecolor=(0, 0, 0, 0.35), linewidth=0)
        return
    if len(missing) == 0:
        return
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    squares = Path.make_compound_path(*(Path(corners + cell[::-1], closed=True) for cell in missing))
    axes.add_patch(PathPatch(squares, facecolor="none", edgecolor=(0, 0, 0, 0.35), hatch="////", linewidth=0))


def _write_numbers(axes: Axes, matrix: Floats, texts: Sequence[Sequence[str]]) -> None:
    """Dark on light cells and light on dark ones; neither is ink, which would change with the page."""
    norm = norm_of(matrix)
    for row, column in zip(*np.nonzero(np.isfinite(matrix)), strict=True):
        colour = "#f8f8f8" if norm(matrix[row, column]) < 0.5 else "#101010"
        axes.text(column, row, texts[row][column], color=colour, ha="center", va="center", fontsize="x-small")


def _caption(matrix: Floats, labels: Sequence[str], is_rate: bool, write: Callable[[float], str]) -> str:
    rows, columns = np.nonzero(np.triu(np.isfinite(matrix), 1))
    values = matrix[rows, columns]
    badness = -values if is_rate else values
    order = np.argsort(-badness, kind="stable")[:MOST_WORST]
    median = float(np.median(values))
    parts = [f"{words.counted(len(values), 'pair')} of hosts, {write(median)} in the median"]
    if len(values) > 1:
        worst = [f"{labels[rows[i]]} with {labels[columns[i]]} ({write(values[i])})" for i in order]
        parts.append(f"The slowest: {words.listed(worst)}")
        parts.append(_worst_host(matrix, labels, is_rate, write))
    num_missing = len(labels) * (len(labels) - 1) // 2 - len(values)
    if num_missing:
        parts.append(f"{words.counted(num_missing, 'pair')} not measured, hatched")
    return words.sentences(*parts)


def _worst_host(matrix: Floats, labels: Sequence[str], is_rate: bool, write: Callable[[float], str]) -> str:
    if (np.isfinite(matrix).sum(axis=1) == 1).all():
        return "Every host is in one pair only, so that a slow pair does not say which end is slow; pair them anew"
    best = np.nanmax(matrix, axis=1) if is_rate else np.nanmin(matrix, axis=1)
    worst = int(np.argmin(best) if is_rate else np.argmax(best))
    others = float(np.median(np.delete(best, worst)))
    cost = others / best[worst] - 1 if is_rate else best[worst] / others - 1
    if cost < MIN_SHARE:
        return "No host is slower than the others with all its partners, judged by the best pair of each"
    return (
        f"{labels[worst]} is slow with all its partners: its best pair has {write(best[worst])}, those of the others "
        f"{write(others)} in the median"
    )
