"""The figure that every run folder gets, and `save`; `analysis.figures` has them all."""

from pathlib import Path

from matplotlib.figure import Figure

from analysis.figures import busbw, style
from analysis.figures.style import COLOURS, MARKERS
from analysis.load import Run
from bench.model import units

__all__ = ["COLOURS", "MARKERS", "busbw_figure", "save"]


def busbw_figure(run: Run) -> Figure:
    """`analysis.figures.busbw` of one run, with what was measured where as its title."""
    return busbw.draw(run.summary, title=title_of(run), time_scale=run.manifest.time_scale).figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the name of the file says the format. Raises OSError, or ValueError for an unknown format."""
    style.save(figure, path)


def title_of(run: Run) -> str:
    """Optics or fabric, ranks, hosts and backend of a run, in one line."""
    manifest = run.manifest
    hosts = "1 host" if manifest.num_hosts == 1 else f"{manifest.num_hosts or 'unknown'} hosts"
    where = f"{manifest.num_ranks or 'unknown'} ranks on {hosts} · {manifest.backend}"
    if manifest.time_scale and manifest.links:
        rate = units.format_rate(manifest.links["rate_bytes_per_s"])
        return f"{manifest.transceiver} emulated at 1/{manifest.time_scale:g} ({rate}) · {where}"
    if manifest.launcher == "local":
        return f"this machine, no optics on the path · {where}"
    return f"{manifest.transceiver} · {manifest.fabric} · {where}"
