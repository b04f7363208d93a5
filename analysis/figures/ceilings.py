"""`Ceiling` and `Expected`: what a collective cannot exceed, and what was predicted of it; lines that coincide are one."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.figures import words
from analysis.figures.series import Series, by_size, numbers
from analysis.figures.style import Floats

COINCIDE: Final = 0.01
"""Ceilings within 1 % draw as one line: so close, two resources are called a tie too (`bench.record`, also_bound_by), and
sizes that are rounded to whole elements per rank differ by less."""

NOT_A_RESOURCE: Final = ("latency", "backend", "unknown", "")
"""Verdicts of bound_by that do not name what the ceiling is made of."""


@dataclass(slots=True, kw_only=True)
class Ceiling:
    """One line.

    Attributes:
        names: series that it belongs to.
        bound: the resource that it is (optics, nic, pcie, ...); None where the data do not tell.
        sizes_bytes, busbw_gbytes_per_s: shape (num_sizes,).
        is_judged: sizes for which the ceiling is compared with the measurement; below a few token buckets of an emulated
            link it is not. Shape: (num_sizes,).
    """

    bound: str | None
    sizes_bytes: Floats
    busbw_gbytes_per_s: Floats
    is_judged: NDArray[np.bool_]
    names: list[str] = field(default_factory=list)
    collectives: list[str] = field(default_factory=list)

    def label(self, num_series: int, factor: float, unit: str) -> str:
        """What it is, for a legend of a panel with ``num_series``: 'ceiling of all_reduce: optics, 50 GB/s'."""
        whose = list(dict.fromkeys(self.collectives))
        of = f" of {words.listed(whose)}" if len(whose) <= 2 else f" of {len(self.names)} series"
        if len(self.names) == num_series:
            of = ""
        what = f" {self.bound}," if self.bound else ""
        beside = "" if self.is_judged.any() else " (not comparable)"
        return f"ceiling{of}:{what} {self.busbw_gbytes_per_s[-1] * factor:.3g} {unit}{beside}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What was predicted of one or more series, with its interval where one is known (NaN elsewhere).

    Shape of the numbers: (num_sizes,), in GB/s.
    """

    names: tuple[str, ...]
    sizes_bytes: Floats
    busbw_gbytes_per_s: Floats
    low_gbytes_per_s: Floats
    high_gbytes_per_s: Floats


def ceilings_of(series: Sequence[Series]) -> list[Ceiling]:
    """All that are known of ``series``, in their order."""
    found: list[Ceiling] = []
    for one in series:
        sizes, values = by_size(one.sizes_bytes, numbers(one.points, "ceiling_busbw_gbytes_per_s"))
        if len(sizes) == 0:
            continue
        judged = one.sizes_bytes[np.isfinite(numbers(one.points, "efficiency"))]
        bound = bound_of(one.points)
        same = next((other for other in found if _coincide(other, sizes, values, bound)), None)
        if same is None:
            same = Ceiling(
                bound=bound, sizes_bytes=sizes, busbw_gbytes_per_s=values, is_judged=np.isin(sizes, judged)
            )
            found.append(same)
        same.bound = same.bound or bound
        same.is_judged = same.is_judged | np.isin(same.sizes_bytes, judged)
        same.names.append(one.name)
        same.collectives.append(one.collective)
    return found


def bound_of(points: pd.DataFrame) -> str | None:
    """The resource that is named most often: by the prediction where the frame has it, by the verdicts else."""
    for column in ("predicted_bound", "bound_by"):
        if column in points.columns:
            named = points[column].dropna().astype(str)
            named = named[~named.isin(NOT_A_RESOURCE)]
            if len(named):
                return words.shown(named.mode().iloc[0])
    return None


def expectations_of(series: Sequence[Series]) -> list[Expected]:
    """All predictions that are known of ``series``, in their order."""
    found: list[Expected] = []
    for one in series:
        sizes, busbw = by_size(one.sizes_bytes, numbers(one.points, "predicted_busbw_gbytes_per_s"))
        if len(sizes) == 0:
            continue
        ends = []
        for end in ("low", "high"):
            values = numbers(one.points, f"predicted_{end}_busbw_gbytes_per_s")
            known_sizes, known = by_size(one.sizes_bytes, values)
            ends.append(np.asarray(pd.Series(known, index=known_sizes).reindex(sizes), dtype=np.float64))
        for place, other in enumerate(found):
            if _is_same_line(other.sizes_bytes, other.busbw_gbytes_per_s, sizes, busbw):
                found[place] = dataclasses.replace(other, names=(*other.names, one.name))
                break
        else:
            found.append(
                Expected(
                    names=(one.name,),
                    sizes_bytes=sizes,
                    busbw_gbytes_per_s=busbw,
                    low_gbytes_per_s=ends[0],
                    high_gbytes_per_s=ends[1],
                )
            )
    return found


def _coincide(other: Ceiling, sizes: Floats, values: Floats, bound: str | None) -> bool:
    is_other = other.bound and bound and other.bound != bound
    return not is_other and _is_same_line(other.sizes_bytes, other.busbw_gbytes_per_s, sizes, values)


def _is_same_line(sizes: Floats, values: Floats, other_sizes: Floats, other_values: Floats) -> bool:
    """Whether the second line follows the first within `COINCIDE`, as far as they overlap."""
    overlap = (other_sizes >= sizes[0]) & (other_sizes <= sizes[-1])
    if not overlap.any():
        return False
    expected = np.interp(np.log(other_sizes[overlap]), np.log(sizes), values)
    return bool(np.all(np.abs(other_values[overlap] - expected) <= COINCIDE * expected))
