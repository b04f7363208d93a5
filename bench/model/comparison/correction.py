"""`corrected`: p-values of many points, adjusted so that one false alarm in all of them stays unlikely."""

from collections.abc import Sequence

import numpy as np


def corrected(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given.

    With p_(1) <= ... <= p_(m): the largest of (m + 1 - j) p_(j) over j <= i, at most 1. Calling different
    what is at most 0.05 calls any of the unchanged points different in at most 5 % of all comparisons,
    whichever points changed and however the points depend on one another: a start that is slow as a whole is
    slow at every point, so they do.

    Shape: (num_points,) to (num_points,).
    Raises:
        ValueError: a p-value outside [0, 1].
    Source:
        Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.size and not ((given >= 0) & (given <= 1)).all():
        place = int(((given >= 0) & (given <= 1)).argmin())
        raise ValueError(
            f"p_values: number {place} is {given[place]}; a p-value lies between 0 and 1. Leave out unknown ones"
        )
    order = given.argsort(kind="stable")
    raised = np.maximum.accumulate(given[order] * np.arange(given.size, 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(raised, 1.0)
    return tuple(adjusted.tolist())
