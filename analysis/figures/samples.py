"""Samples of one point: out of the long table, checked, as numbers or as a matrix of ranks and iterations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.figures.drawn import NothingToDrawError
from analysis.figures.series import numbers
from analysis.figures.style import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """One point. NaN where a rank has no such iteration, or what it has is no time, or nobody recorded its start.

    Attributes:
        ranks: of the run; shape (num_ranks,).
        iterations: shape (num_iterations,).
        start_s, duration_s: shape (num_ranks, num_iterations).
        num_bad: samples of the table whose duration was no finite time.
    """

    ranks: NDArray[np.int64]
    iterations: NDArray[np.int64]
    start_s: Floats
    duration_s: Floats
    num_bad: int


def matrix_of(samples: pd.DataFrame, point: str) -> Matrix:
    """All samples of ``point``.

    Raises:
        NothingToDrawError: there is no time among them.
    """
    mine = of_points(samples, [point])
    start_s, duration_s = numbers(mine, "start_s"), numbers(mine, "duration_s")
    is_good = np.nan_to_num(duration_s) > 0
    if not is_good.any():
        raise NothingToDrawError(f"point {point} has no samples")
    ranks, row = np.unique(numbers(mine, "rank")[is_good].astype(np.int64), return_inverse=True)
    iterations, column = np.unique(numbers(mine, "iteration")[is_good].astype(np.int64), return_inverse=True)
    shape = (len(ranks), len(iterations))
    starts, durations = np.full(shape, np.nan), np.full(shape, np.nan)
    starts[row, column], durations[row, column] = start_s[is_good], duration_s[is_good]
    return Matrix(
        ranks=ranks,
        iterations=iterations,
        start_s=starts,
        duration_s=durations,
        num_bad=int(np.count_nonzero(~is_good)),
    )


def of_points(samples: pd.DataFrame, points: Sequence[str]) -> pd.DataFrame:
    """Rows of some points; none of a frame that has no columns, as that of a run which was cut off."""
    if "point_id" not in samples.columns:
        return samples.iloc[:0]
    return samples[samples["point_id"].isin(list(points))]


def slowest(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per point and iteration: when the first rank began (start_s) and how long the slowest took (duration_s).

    In order of time as far as it is known; start_s is NaN where nobody recorded it. What is no finite time above 0 is left
    out.
    """
    columns = ["point_id", "iteration", "start_s", "duration_s"]
    if not {"point_id", "iteration", "duration_s"} <= set(samples.columns):
        return pd.DataFrame(columns=columns)
    checked = samples[["point_id", "iteration"]].assign(
        start_s=numbers(samples, "start_s"), duration_s=numbers(samples, "duration_s")
    )
    good = checked[checked["duration_s"] > 0]
    found = good.groupby(["point_id", "iteration"], sort=False, as_index=False).agg(
        start_s=("start_s", "min"), duration_s=("duration_s", "max")
    )
    return found.sort_values("start_s", kind="stable", ignore_index=True)
