"""The waterfall from the line rate of the glass to the busbw, as a figure: predictions in, figure out."""

from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg", force=False)
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from analysis.plots import COLOURS
from bench.model import units
from bench.model.waterfall import Step


def waterfall_figure(
    falls: Mapping[str, Sequence[Step]],
    *,
    title: str,
    is_emulated: bool = False,
    intervals: Mapping[str, tuple[float, float] | None] | None = None,
) -> Figure:
    """One panel per entry of ``falls``: what each step leaves of the busbw, and the interval of what remains.

    Units: bytes per second for ``intervals`` (low and high busbw).
    """
    factor, unit = (1e3, "MB/s") if is_emulated else (1.0, "GB/s")
    rows = [max(len(steps), 2) for steps in falls.values()]
    figure, panels = plt.subplots(
        len(falls),
        1,
        squeeze=False,
        figsize=(8.5, 1.1 + 0.42 * sum(rows) + 0.5 * len(rows)),
        height_ratios=rows,
        layout="constrained",
    )
    for axes, (name, steps) in zip(panels[:, 0], falls.items(), strict=True):
        before = None
        interval = (intervals or {}).get(name)
        ends = None if interval is None else [units.gbytes_per_s(end) * factor for end in interval]
        for number, step in enumerate(steps):
            left = units.gbytes_per_s(step.busbw_bytes_per_s) * factor
            axes.barh(number, left, color=COLOURS[0] if before is None else COLOURS[4], height=0.7)
            if before is not None:
                axes.barh(number, before - left, left=left, color=COLOURS[1], height=0.7)
            lost = "" if before is None else f"  (-{before - left:.3g})"
            is_last = number == len(steps) - 1
            beside = max(before or left, ends[1] if ends and is_last else 0.0)
            axes.annotate(
                f"{left:.4g}{lost}",
                (beside, number),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
            )
            before = left
        if ends is not None and before is not None:
            axes.errorbar(
                before,
                len(steps) - 1,
                xerr=[[max(0.0, before - ends[0])], [max(0.0, ends[1] - before)]],
                color="black",
                capsize=3,
                linewidth=1.2,
            )
        axes.set_yticks(range(len(steps)), [step.label for step in steps])
        axes.invert_yaxis()
        axes.set_title(name, loc="left", fontsize="medium")
        axes.margins(x=0.16)
        axes.set_xlim(left=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set_xlabel(f"busbw, {unit}; orange: what the step takes; black: nine of ten published runs")
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    return figure
