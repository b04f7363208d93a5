"""The waterfall as a bare figure; `analysis.figures.waterfall` says what to see in it."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from analysis.figures import waterfall
from bench.model.waterfall import Step

__all__ = ["waterfall_figure"]


def waterfall_figure(
    falls: Mapping[str, Sequence[Step]],
    *,
    title: str,
    is_emulated: bool = False,
    intervals: Mapping[str, tuple[float, float] | None] | None = None,
) -> Figure:
    """`analysis.figures.waterfall.draw` without its words."""
    return waterfall.draw(falls, title=title, is_emulated=is_emulated, intervals=intervals).figure
