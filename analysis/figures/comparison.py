"""Two runs, point by point: how many times as long the new one takes, and both bandwidths beside it.

What to see: a mark above 1 is slower, below 1 faster; only triangles are verdicts, and they hold for all points together. The
bar is the interval of that point alone. The grey band is what could not have been found: a change inside it may be there
and would not have shown, so a circle says "no difference found" and not "no difference".
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import style, words
from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.figures.series import Series, numbers, series_of
from bench.model import units

MOST_ROWS: Final = 10
"""Series in one figure, those with a verdict first; so many fill two pages."""

LOGARITHMIC_FROM: Final = 3.0
"""Ratios from here on, or below its inverse, are drawn on a logarithmic scale: half as long is as much as twice as long."""

VERDICTS: Final = {
    "slower": ("slower", "^", style.COLOURS[1], style.COLOURS[1]),
    "faster": ("faster", "v", style.COLOURS[0], style.COLOURS[0]),
    "no_difference_found": ("no difference found", "o", style.INK, "none"),
    "cannot_tell": ("cannot tell", "x", style.COLOURS[3], style.COLOURS[3]),
}
"""Words, marker, colour of the edge and of the face: colour and shape say the same."""


@style.styled
def draw(comparison: pd.DataFrame, *, title: str) -> Drawn:
    """One row per series: ratio with interval and verdict on the left, busbw of both runs on the right.

    Args:
        comparison: one row per point: collective, algorithm, placement, pass, group, dtype, message_bytes; ratio (time of the
            new run over that of the base), ratio_low, ratio_high, min_detectable_ratio, verdict (a key of `VERDICTS`),
            base_busbw_gbytes_per_s, new_busbw_gbytes_per_s.

    Raises:
        NothingToDrawError: no point has a ratio.
    """
    every = [one for one in series_of(comparison, value="ratio") if (one.sizes_bytes > 0).all()]
    if not every:
        raise NothingToDrawError("no point of the two runs has a ratio and a message size")
    shown = sorted(every, key=lambda one: not _has_verdict(one))[:MOST_ROWS]
    title = words.shown(title, 200)
    note = f"{len(shown)} of {len(every)} series" if len(shown) < len(every) else ""
    figure = style.new_figure(2.1 * len(shown) + 1.4, title, note)
    grid = figure.subplots(len(shown), 2, squeeze=False, sharex=True, sharey="col")
    most = max(_most(one) for one in shown)
    factor, unit = style.rate_unit(most) if most > 0 else (1.0, "GB/s")
    for (left, right), one in zip(grid, shown, strict=True):
        _draw_ratio(left, one)
        _draw_both(right, one, factor)
        left.set_title(one.name, fontsize="small")
        left.set_ylabel("time, new\nover base")
        right.set_ylabel(f"busbw, {unit}")
    _scale(list(grid[:, 0]), shown)
    _scale_rates(list(grid[:, 1]), shown, factor)
    sizes = np.concatenate([one.sizes_bytes for one in shown])
    for axes in grid[-1]:
        style.size_axis(axes, sizes, most=5)
        axes.set_xlabel("message size")
    style.legend_below(figure, grid.flat, columns=4)
    caption = _caption(comparison)
    alt = f"Charts of the ratio of times and of both bandwidths over message size, {words.counted(len(shown), 'row')}. {caption}"
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _verdicts(points: pd.DataFrame) -> pd.Series:
    if "verdict" not in points.columns:
        return pd.Series("cannot_tell", index=points.index)
    found = points["verdict"].astype(object).fillna("cannot_tell").astype(str).str.replace(" ", "_")
    return found.where(found.isin(list(VERDICTS)), "cannot_tell")


def _has_verdict(one: Series) -> bool:
    return bool(_verdicts(one.points).isin(["slower", "faster"]).any())


def _most(one: Series) -> float:
    both = [numbers(one.points, f"{side}_busbw_gbytes_per_s") for side in ("base", "new")]
    return float(np.nan_to_num(np.concatenate(both)).max())


def _draw_ratio(axes: Axes, one: Series) -> None:
    sizes, ratio = one.sizes_bytes, numbers(one.points, "ratio")
    unseen = numbers(one.points, "min_detectable_ratio")
    if np.isfinite(unseen).any():
        where, unseen = sizes, np.minimum(unseen, words.TENFOLD)
        if len(sizes) == 1:
            where, unseen = np.array([sizes[0] / 1.2, sizes[0] * 1.2]), np.repeat(unseen, 2)
        axes.fill_between(
            where,
            1 / unseen,
            unseen,
            color=style.INK,
            alpha=0.12,
            linewidth=0,
            label="could not have been found",
        )
    axes.axhline(1.0, color=style.INK, linewidth=0.8)
    axes.plot(sizes, ratio, color=style.INK, linewidth=0.8, alpha=0.5)
    verdicts = _verdicts(one.points).to_numpy()
    low, high = numbers(one.points, "ratio_low"), numbers(one.points, "ratio_high")
    for verdict, (words_of_it, marker, edge, face) in VERDICTS.items():
        mine = verdicts == verdict
        if not mine.any():
            continue
        bars = np.column_stack([low[mine], high[mine], np.full(mine.sum(), np.nan)]).ravel()
        axes.plot(np.repeat(sizes[mine], 3), bars, color=edge, linewidth=1.2)
        axes.plot(
            sizes[mine],
            ratio[mine],
            linestyle="none",
            marker=marker,
            markersize=7,
            markeredgecolor=edge,
            markerfacecolor=face,
            label=words_of_it,
        )


def _draw_both(axes: Axes, one: Series, factor: float) -> None:
    for side, colour, linestyle, marker in (
        ("base", style.INK, "--", "s"),
        ("new", style.COLOURS[0], "-", "o"),
    ):
        busbw = numbers(one.points, f"{side}_busbw_gbytes_per_s") * factor
        axes.plot(
            one.sizes_bytes,
            busbw,
            color=colour,
            linestyle=linestyle,
            marker=marker,
            markersize=4,
            markerfacecolor="none",
            label=side,
        )


def _scale(panels: Iterable[Axes], shown: Sequence[Series]) -> None:
    """One scale for all ratios, wide enough for every mark, and for intervals as far as they are not much wider."""
    ratio = np.concatenate([numbers(one.points, "ratio") for one in shown])
    columns = ("ratio_low", "ratio_high", "min_detectable_ratio")
    wide = np.concatenate([numbers(one.points, column) for one in shown for column in columns])
    far = 2 * float(np.max(np.abs(np.log(ratio)))) + 0.1
    ends = np.abs(np.log(wide[wide > 0]))
    far = max(far / 2, float(np.minimum(ends, far).max())) if len(ends) else far
    low, high = np.exp(-1.05 * far), np.exp(1.05 * far)
    for axes in panels:
        if high > LOGARITHMIC_FROM:
            style.log_axis(axes, "y", low, high)
        else:
            axes.set_ylim(low, high)


def _scale_rates(panels: Iterable[Axes], shown: Sequence[Series], factor: float) -> None:
    both = [numbers(one.points, f"{side}_busbw_gbytes_per_s") for one in shown for side in ("base", "new")]
    rates = np.concatenate(both) * factor
    rates = rates[np.nan_to_num(rates) > 0]
    for axes in panels:
        if len(rates):
            style.log_axis(axes, "y", 0.7 * float(rates.min()), 1.4 * float(rates.max()))
        else:
            style.note_in(axes, "no bandwidth")


def _caption(comparison: pd.DataFrame) -> str:
    judged = comparison[np.nan_to_num(numbers(comparison, "ratio")) > 0]
    verdicts = _verdicts(judged)
    ratio = numbers(judged, "ratio")
    counts = [
        f"{int((verdicts == verdict).sum())} {VERDICTS[verdict][0]}"
        for verdict in VERDICTS
        if (verdicts == verdict).any()
    ]
    parts = [f"Of {words.counted(len(judged), 'point')}: {words.listed(counts)}"]
    for verdict, worst in (("slower", np.argmax), ("faster", np.argmin)):
        mine = np.flatnonzero((verdicts == verdict).to_numpy())
        if len(mine):
            place = int(mine[int(worst(ratio[mine]))])
            parts.append(
                f"{_name(judged, place)} became {verdict} most: it takes {ratio[place]:.3g} times as long"
            )
    unseen = numbers(judged, "min_detectable_ratio")[(verdicts == "no_difference_found").to_numpy()]
    unseen = unseen[np.isfinite(unseen)]
    if len(unseen):
        parts.append(
            f"Where none was found, {words.least_change(float(unseen.min()))} could have been found at the best point, and "
            f"{words.least_change(float(unseen.max()))} at the worst"
            if len(unseen) > 1
            else f"Where none was found, {words.least_change(float(unseen[0]))} could have been found"
        )
    return words.sentences(*parts)


def _name(judged: pd.DataFrame, place: int) -> str:
    row = judged.iloc[[place]]
    one = series_of(row, value="ratio")[0]
    size = one.sizes_bytes[0]
    return f"{one.name} of {units.format_bytes(size)}" if size > 0 else one.name
