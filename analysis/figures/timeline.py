"""The whole run over its time: every call against the median of its point, with stalls, and what was counted beside it.

What to see: the calls of a quiet run lie along 1. A stretch that is higher across several points is something that happened
to the machine or the network at that time, not to a collective. Crossed calls are stalls. Below, per point: how fast bytes
left through the interfaces, headers and acknowledgements included, and how busy the processors were.
"""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from analysis.figures import style, words
from analysis.figures.distribution import names_of
from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.figures.samples import slowest
from analysis.figures.series import numbers
from analysis.figures.style import Floats
from bench.model import units
from bench.model.stability import STALL_MEDIANS, STALL_S

MOST_BINS: Final = 400
"""Of time; about two pixels each. Of more calls the shortest and the longest of each bin are drawn."""

MOST_STALLS: Final = 50
"""That are marked; the caption counts all."""

SHARES: Final = (("busy_share", "busy"), ("steal_share", "taken by other machines"))


@style.styled
def draw(
    samples: pd.DataFrame, summary: pd.DataFrame, *, title: str, records: pd.DataFrame | None = None
) -> Drawn:
    """Calls over time; below them, where they are known, bytes on the wire and shares of the processors.

    Args:
        samples: start_s counts from the origin of the run, on the time axis of rank 0.
        summary: names of the points, their time and counted bytes.
        records: point_id, busy_share, steal_share (0 to 1 of all processors of rank 0's machine).

    Raises:
        NothingToDrawError: no samples.
    """
    calls = slowest(samples)
    calls = calls[calls["start_s"].notna()]
    if calls.empty:
        raise NothingToDrawError("no samples whose start is known")
    medians_s = calls.groupby("point_id")["duration_s"].transform("median").to_numpy(np.float64)
    duration_s, start_s = numbers(calls, "duration_s"), numbers(calls, "start_s")
    ratio = duration_s / medians_s
    is_stall = (ratio > STALL_MEDIANS) & (duration_s > STALL_S)
    spans = calls.groupby("point_id", sort=False).agg(first_s=("start_s", "min"), last_s=("start_s", "max"))
    facts = _facts(spans, summary, records)
    has_rate = bool((facts["wire_gbytes_per_s"] > 0).any())
    shares = [(column, label) for column, label in SHARES if np.isfinite(facts[column]).any()]
    title = words.shown(title, 200)
    heights = [2.6] + [1.2] * (has_rate + bool(shares))
    figure = style.new_figure(sum(heights) + 1.5, title)
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_calls(panels[0], calls, facts, ratio, is_stall)
    if has_rate:
        _draw_rate(panels[1], facts)
    if shares:
        for place, (column, label) in enumerate(shares):
            _draw_spans(
                panels[-1],
                facts,
                facts[column].to_numpy(np.float64),
                place,
                label=label,
            )
        panels[-1].set_ylim(0, 1.05)
        panels[-1].yaxis.set_major_formatter(PercentFormatter(1.0))
        panels[-1].set_ylabel("processors")
        style.legend_above(panels[-1], style.WIDTH_IN - 1)
    panels[-1].set_xlabel("time since the run began, s")
    panels[-1].set_xlim(*_padded(float(start_s.min()), float((start_s + duration_s).max())))
    caption = _caption(calls, summary, ratio, is_stall)
    alt = (
        f"Time line of {words.counted(len(calls), 'call')} in {words.counted(len(spans), 'point')}. {caption}"
    )
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.02 * (high - low) or 1.0
    return low - margin, high + margin


def _facts(spans: pd.DataFrame, summary: pd.DataFrame, records: pd.DataFrame | None) -> pd.DataFrame:
    """One row per point, in order of time: first_s, last_s, collective, wire_gbytes_per_s, busy_share, steal_share."""
    facts = spans.copy()
    known = summary.drop_duplicates("point_id", keep="last").set_index("point_id").reindex(spans.index)
    facts["last_s"] = facts["last_s"] + np.nan_to_num(numbers(known, "time_s"))
    facts["collective"] = [words.shown(name) for name in known["collective"].astype(object).fillna("unknown")]
    rate = numbers(known, "counted_fabric_bytes_per_rank") / numbers(known, "time_s")
    facts["wire_gbytes_per_s"] = rate / units.GIGA
    of_points = pd.DataFrame(index=spans.index)
    if records is not None and "point_id" in records.columns:
        of_points = (
            records.drop_duplicates("point_id", keep="last").set_index("point_id").reindex(spans.index)
        )
    for column, _ in SHARES:
        facts[column] = numbers(of_points, column)
    return facts.sort_values("first_s", kind="stable")


def _draw_calls(
    axes: Axes, calls: pd.DataFrame, facts: pd.DataFrame, ratio: Floats, is_stall: NDArray[np.bool_]
) -> None:
    start_s = numbers(calls, "start_s")
    collective = facts["collective"].reindex(calls["point_id"]).to_numpy()
    named = list(dict.fromkeys(facts["collective"]))
    for place, name in enumerate(named[: style.MOST_SERIES]):
        is_last = place == style.MOST_SERIES - 1 and len(named) > style.MOST_SERIES
        mine = ~np.isin(collective, named[:place]) if is_last else collective == name
        when_s, what = _thinned(start_s[mine], ratio[mine])
        axes.plot(
            when_s,
            what,
            linestyle="none",
            marker=style.MARKERS[place],
            markersize=2.5,
            markeredgewidth=0,
            color=style.COLOURS[place],
            label=f"{len(named) - place} others" if is_last else name,
            rasterized=len(when_s) > MOST_BINS,
        )
    stalled = np.flatnonzero(is_stall)[np.argsort(-ratio[is_stall])][:MOST_STALLS]
    if len(stalled):
        axes.plot(
            start_s[stalled],
            ratio[stalled],
            linestyle="none",
            marker="x",
            markersize=7,
            markeredgewidth=1.8,
            color=style.INK,
            label="stall",
        )
        axes.axhline(STALL_MEDIANS, color=style.INK, linewidth=0.8, linestyle=":")
    for first_s in facts["first_s"].iloc[1:] if len(facts) <= MOST_BINS // 4 else []:
        axes.axvline(first_s, color=style.INK, linewidth=0.5, alpha=0.15)
    axes.grid(visible=False, axis="x")
    low, high = min(0.5, float(ratio.min())), max(2.0, float(ratio.max()))
    style.log_axis(axes, "y", 0.8 * low, 1.4 * high)
    axes.set_ylabel("time of a call\nover the median\nof its point")
    style.legend_above(axes, style.WIDTH_IN - 1, markerscale=1.6)


def _thinned(when_s: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    """All of few; of many the shortest and the longest of each stretch of time."""
    if len(when_s) <= 2 * MOST_BINS:
        return when_s, ratio
    edges = np.linspace(when_s.min(), when_s.max(), MOST_BINS + 1)
    place = np.clip(np.searchsorted(edges, when_s, side="right") - 1, 0, MOST_BINS - 1)
    order = np.lexsort((ratio, place))
    ordered = place[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ends = np.r_[starts[1:], len(ordered)] - 1
    kept = np.unique(np.concatenate([order[starts], order[ends]]))
    return when_s[kept], ratio[kept]


def _draw_rate(axes: Axes, facts: pd.DataFrame) -> None:
    rate = facts["wire_gbytes_per_s"].to_numpy(np.float64)
    factor, unit = style.rate_unit(float(np.nanmax(rate)))
    _draw_spans(axes, facts, rate * factor, 0)
    axes.set_ylim(0, 1.1 * float(np.nanmax(rate)) * factor)
    axes.set_ylabel(f"on the wire\nper rank,\n{unit}")


def _draw_spans(
    axes: Axes, facts: pd.DataFrame, values: Floats, place: int, *, label: str | None = None
) -> None:
    """A level line for each point, as long as the point took; all of them one path."""
    first_s, last_s = numbers(facts, "first_s"), numbers(facts, "last_s")
    gaps = np.full_like(first_s, np.nan)
    when_s = np.column_stack([first_s, last_s, gaps]).ravel()
    axes.plot(
        when_s,
        np.repeat(values, 3),
        color=style.COLOURS[place],
        linewidth=2.5,
        linestyle=("-", (0, (2, 1)))[place],
        solid_capstyle="butt",
        label=label,
    )


def _caption(calls: pd.DataFrame, summary: pd.DataFrame, ratio: Floats, is_stall: NDArray[np.bool_]) -> str:
    start_s, duration_s = numbers(calls, "start_s"), numbers(calls, "duration_s")
    took_s = float((start_s + duration_s).max() - start_s.min())
    num_points = calls["point_id"].nunique()
    parts = [
        f"{words.counted(len(calls), 'call')} in {words.counted(num_points, 'point')} within {_rounded(took_s)} s"
    ]
    worst = int(np.argmax(np.where(is_stall, duration_s, 0) if is_stall.any() else ratio))
    point = str(calls["point_id"].iloc[worst])
    name = names_of(summary, [point])[point]
    where = (
        f"{name} at {_rounded(float(start_s[worst]))} s: {units.format_seconds(duration_s[worst])}, {ratio[worst]:.3g} times the median of "
        "its point"
    )
    rule = f"longer than {STALL_MEDIANS:g} medians and {units.format_seconds(STALL_S)}"
    if is_stall.any():
        number = int(is_stall.sum())
        parts.append(
            f"{words.counted(number, 'call')} stalled ({rule}); the longest is a call of {where}"
            if number > 1
            else f"One call stalled ({rule}), {where}"
        )
    else:
        parts.append(f"No call stalled ({rule})")
        parts.append(f"The one farthest above its median is a call of {where}")
    return words.sentences(*parts)


def _rounded(value_s: float) -> str:
    """Three digits, and all of the whole seconds."""
    return f"{value_s:.0f}" if value_s >= 100 else f"{value_s:.3g}"
