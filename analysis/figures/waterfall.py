"""From the line rate of the glass to the busbw: what each step takes, one panel for each point.

What to see: the widest orange part is what most of the line rate is lost to. The last bar is what was measured, where
anything was; the gap between it and the bar above is what the prediction does not explain.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from matplotlib.axes import Axes

from analysis.figures import style, words
from analysis.figures.drawn import Drawn, NothingToDrawError
from bench.model import units
from bench.model.waterfall import Step

MEASURED: Final = "measured"
"""Label of the last bar, where there is one."""


@style.styled
def draw(
    falls: Mapping[str, Sequence[Step]],
    *,
    title: str,
    is_emulated: bool = False,
    intervals: Mapping[str, tuple[float, float] | None] | None = None,
    measured: Mapping[str, float | None] | None = None,
) -> Drawn:
    """One panel per entry of ``falls``: what each step leaves of the busbw, and the interval of what remains.

    Units: bytes per second for ``intervals`` (low and high busbw) and ``measured`` (busbw).

    Raises:
        NothingToDrawError: no entry has a step.
    """
    known = {name: steps for name, steps in falls.items() if steps}
    if not known:
        raise NothingToDrawError("no point has a predicted time whose steps could be shown")
    title = words.shown(title, 200)
    factor, unit = (1e3, "MB/s") if is_emulated else (1.0, "GB/s")
    bars = {name: _bars(steps, (measured or {}).get(name), factor) for name, steps in known.items()}
    rows = [max(len(found), 2) for found in bars.values()]
    figure = style.new_figure(1.1 + 0.36 * sum(rows) + 0.6 * len(rows), title)
    panels = figure.subplots(len(known), 1, squeeze=False, height_ratios=rows)[:, 0]
    has_interval = False
    for axes, (name, found) in zip(panels, bars.items(), strict=True):
        interval = (intervals or {}).get(name)
        ends = None if interval is None else (_in_unit(interval[0], factor), _in_unit(interval[1], factor))
        _draw_fall(axes, found, ends)
        has_interval |= ends is not None
        axes.set_title(words.shown(name), fontsize="medium")
        most = max(left for _, left in found)
        axes.set_xlim(0, 1.2 * max(most, ends[1] if ends else 0.0))
    about = "; bar with ends: interval of the prediction" if has_interval else ""
    panels[-1].set_xlabel(f"busbw, {unit}; orange: what the step takes{about}")
    caption = words.sentences(*(_said(words.shown(name), found, unit) for name, found in bars.items()))
    alt = f"Waterfall charts from the line rate to the busbw, {words.counted(len(bars), 'panel')}. {caption}"
    return Drawn(figure=figure, title=title, caption=caption, alt=alt)


def _in_unit(rate_bytes_per_s: float, factor: float) -> float:
    return units.gbytes_per_s(rate_bytes_per_s) * factor


def _bars(steps: Sequence[Step], measured: float | None, factor: float) -> list[tuple[str, float]]:
    """Label and what is left of the busbw, from top to bottom."""
    found = [(words.shown(step.label), _in_unit(step.busbw_bytes_per_s, factor)) for step in steps]
    return found if measured is None else [*found, (MEASURED, _in_unit(measured, factor))]


def _draw_fall(axes: Axes, bars: Sequence[tuple[str, float]], ends: tuple[float, float] | None) -> None:
    before: float | None = None
    num_steps = sum(label != MEASURED for label, _ in bars)
    for row, (label, left) in enumerate(bars):
        is_measured = label == MEASURED
        colour = style.COLOURS[2] if is_measured else style.COLOURS[0]
        axes.barh(row, left, color=colour, alpha=1.0 if row == 0 or is_measured else 0.55, height=0.7)
        if before is not None and not is_measured:
            axes.barh(row, before - left, left=left, color=style.COLOURS[1], height=0.7, hatch="////")
        text, widest = f"{left:.4g}", left if is_measured else max(left, before or 0.0)
        if before:
            text += f"  ({left / before - 1:+.0%})" if is_measured else f"  (-{before - left:.3g})"
        if ends is not None and row == num_steps - 1:
            widest = max(widest, ends[1])
            low, high = max(0.0, left - ends[0]), max(0.0, ends[1] - left)
            axes.errorbar(left, row, xerr=[[low], [high]], color=style.INK, capsize=3, linewidth=1.2)
        axes.annotate(
            text, (widest, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize="small"
        )
        before = left
    axes.set_yticks(range(len(bars)), [label for label, _ in bars])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def _said(name: str, bars: Sequence[tuple[str, float]], unit: str) -> str:
    steps = [bar for bar in bars if bar[0] != MEASURED]
    text = f"{name}: {steps[-1][1]:.3g} of {steps[0][1]:.3g} {unit} are left"
    losses = [(before - after, label) for (_, before), (label, after) in pairwise(steps)]
    if losses:
        lost, label = max(losses)
        text += f"; most is lost to {label} ({lost:.3g} {unit})"
    if len(bars) > len(steps):
        text += f"; measured were {bars[-1][1]:.3g} {unit}, {bars[-1][1] / steps[-1][1]:.0%} of what is left"
    return text
