"""Frames to figures. One style, safe for colour-blind readers; no file is read here and nothing is shown."""

from pathlib import Path
from typing import Final

import matplotlib

matplotlib.use("Agg", force=False)
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from analysis.load import Run
from bench.model import units
from bench.summary import series_name

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's palette (https://jfly.uni-koeln.de/color), which colour-blind readers can tell apart."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P")


def busbw_figure(run: Run) -> Figure:
    """busbw over message size, the ceiling as a line, and efficiency below it.

    Bars are the 95 % interval of the median. On the emulated fabric the right axis shows full speed.
    """
    figure, (above, below) = plt.subplots(
        2, 1, sharex=True, figsize=(8.5, 7.0), height_ratios=[3, 2], layout="constrained"
    )
    scale = run.manifest.time_scale
    factor, unit = (1e3, "MB/s") if scale else (1.0, "GB/s")
    series = _series(run.summary)
    shown = [(name, points) for name, points in series if (points["pass"] == "latency").all()] or series
    shown = shown[: len(COLOURS) * 2]
    for number, (name, points) in enumerate(shown):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        _draw_busbw(above, points, name, colour, marker, factor)
        judged = points[points["efficiency"].notna()]
        below.plot(
            judged["message_bytes"],
            judged["efficiency"].astype(float),
            color=colour,
            marker=marker,
            label=name,
        )
    _draw_ceilings(above, run.summary, factor)
    above.set_ylabel(f"busbw, {unit}")
    above.set_ylim(bottom=0)
    above.legend(
        fontsize="small" if len(shown) <= 6 else "xx-small", framealpha=0.85, edgecolor="none", loc="best"
    )
    left_out = f" · {len(shown)} of {len(series)} series shown" if len(shown) < len(series) else ""
    above.set_title(_title(run) + left_out, loc="left", fontsize="medium")
    if scale:
        right = above.secondary_yaxis(
            "right", functions=(lambda y: y * scale / 1e3, lambda y: y * 1e3 / scale)
        )
        right.set_ylabel("at full speed, GB/s")
    below.axhline(1.0, color="black", linewidth=1, linestyle="--")
    if run.summary["efficiency"].notna().any():
        below.set_ylim(0, max(1.1, float(run.summary["efficiency"].max()) * 1.05))
        below.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        below.set_yticks([])
        below.text(0.5, 0.5, "no ceiling known", transform=below.transAxes, ha="center", va="center")
    below.set_ylabel("efficiency\n(busbw over ceiling)")
    below.set_xlabel("message size")
    below.set_xscale("log", base=2)
    below.xaxis.set_major_formatter(FuncFormatter(lambda size, _: units.format_bytes(size)))
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure and let go of it."""
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _series(summary: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    valid = summary[summary["busbw_gbytes_per_s"].notna()]
    found = []
    keys = ["collective", "algorithm", "placement", "pass", "group", "backend"]
    for values, points in valid.groupby(keys, sort=False):
        collective, algorithm, placement, measure_pass, group, backend = map(str, values)
        name = series_name(
            collective=collective,
            algorithm=algorithm,
            placement=placement,
            measure_pass=measure_pass,
            group=group,
            backend=backend,
        )
        found.append((name, points.sort_values("message_bytes")))
    return found


def _draw_busbw(axes: Axes, points: pd.DataFrame, name: str, colour: str, marker: str, factor: float) -> None:
    busbw = points["busbw_gbytes_per_s"].astype(float) * factor
    # The interval of the median time, turned into bandwidth: the long time is the low rate.
    time_s = points["time_s"].astype(float)
    low = busbw * time_s / points["time_high_s"].astype(float)
    high = busbw * time_s / points["time_low_s"].astype(float)
    errors = [(busbw - low).clip(lower=0).fillna(0), (high - busbw).clip(lower=0).fillna(0)]
    axes.errorbar(
        points["message_bytes"],
        busbw,
        yerr=errors,
        color=colour,
        marker=marker,
        label=name,
        capsize=2,
        linewidth=1.5,
    )


def _draw_ceilings(axes: Axes, summary: pd.DataFrame, factor: float) -> None:
    """The ceiling of each collective, where the message is long enough for it; ones that coincide draw as one line."""
    known = summary[summary["ceiling_busbw_gbytes_per_s"].notna()]
    if known.empty:
        return
    label: str | None = "ceiling"
    for _, points in known.groupby("collective", sort=False):
        ceiling = points.sort_values("message_bytes").drop_duplicates("message_bytes")
        values = ceiling["ceiling_busbw_gbytes_per_s"].astype(float) * factor
        axes.plot(ceiling["message_bytes"], values, color="black", linestyle="--", linewidth=1.0, label=label)
        label = None
    measured = float(summary["busbw_gbytes_per_s"].astype(float).max())
    judged = known[known["efficiency"].notna()]["ceiling_busbw_gbytes_per_s"].astype(float)
    # Just above the token bucket the ceiling is far out of sight, and says nothing there.
    axes.set_ylim(top=1.15 * factor * max(measured, float(judged.max()) if len(judged) else 0.0))


def _title(run: Run) -> str:
    manifest = run.manifest
    hosts = f"{manifest.num_ranks} ranks on {manifest.num_hosts} host{'s' if manifest.num_hosts > 1 else ''}"
    if manifest.time_scale and manifest.links:
        rate = units.format_rate(manifest.links["rate_bytes_per_s"])
        return f"{manifest.transceiver} emulated at 1/{manifest.time_scale:g} ({rate}) · {hosts} · {manifest.backend}"
    if manifest.launcher == "local":
        return f"this machine, no optics on the path · {hosts} · {manifest.backend}"
    return f"{manifest.transceiver} · {manifest.fabric} · {hosts} · {manifest.backend}"
