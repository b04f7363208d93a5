"""`Traffic`: who sends how much to whom in an all_to_allv, from a matrix or from a skew."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Relative weights, from each rank (row) to each rank (column); zeros are allowed.

    Shape: (num_ranks, num_ranks). Scaled so that the largest row or column sums up to 1, which is the message size.
    """

    weights: tuple[tuple[float, ...], ...]

    @property
    def num_ranks(self) -> int:
        return len(self.weights)

    def counts(self, requested_bytes: int, item_bytes: int) -> tuple[tuple[int, ...], ...]:
        """Elements from each rank to each rank, rounded down, so that no buffer exceeds ``requested_bytes``.

        The last bits of a weight are rounding errors, and must not cost an element where the share is a whole number.
        """
        elements = (requested_bytes // item_bytes) * (1 + _WEIGHT_ERROR)
        return tuple(tuple(int(elements * weight) for weight in row) for row in self.weights)


_WEIGHT_ERROR: Final = 2.0**-50
"""A weight and its product with a count are each rounded by at most 2**-53 of themselves (binary64), and here so is one more
product. Sums of 4096 such shares stay below one element too many for up to 2**40 elements."""


def traffic_from_weights(weights: Sequence[Sequence[Any]], source: str) -> Traffic:
    """Scale a matrix of weights.

    Raises:
        ValueError: not square, a weight that is no number, negative or not finite, or nothing is sent at all; ``source`` is
            named, and the row (from 1) where one is to blame.
    """
    rows = [
        [_weight(weight, f"{source}, row {number}") for weight in row]
        for number, row in enumerate(weights, 1)
    ]
    if not rows or any(len(row) != len(rows) for row in rows):
        widths = sorted({len(row) for row in rows})
        raise ValueError(
            f"{source}: the traffic matrix has {len(rows)} rows of {widths} numbers; it must be square"
        )
    largest = max(max(sum(row) for row in rows), max(sum(column) for column in zip(*rows, strict=True)))
    if largest == 0:
        raise ValueError(f"{source}: every weight is 0, so nothing would be sent")
    if not math.isfinite(largest):
        raise ValueError(
            f"{source}: the weights are too large to be added; only their ratios count, so divide all of them"
        )
    return Traffic(weights=tuple(tuple(weight / largest for weight in row) for row in rows))


def _weight(value: Any, where: str) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not math.isfinite(weight) or weight < 0:
        raise ValueError(f"{where}: {value!r} is no weight; it must be a number, finite and not negative")
    return weight


def traffic_from_skew(skew: float, num_ranks: int) -> Traffic:
    """Every rank sends rank j a share that falls as 1 / (j + 1)**skew: the first ranks are the hot ones.

    0 is an even all_to_all; 1 is Zipf's law, as it is used for the popularity of experts and words.
    """
    row = [1 / (rank + 1) ** skew for rank in range(num_ranks)]
    return traffic_from_weights([row] * num_ranks, f"all_to_allv.skew={skew}")


def weights_from_csv(text: str, source: str) -> list[list[float]]:
    """Numbers separated by commas or blanks, one line for each sending rank; lines that begin with # are comments.

    Raises:
        ValueError: a cell that is no number; names ``source``, line and cell.
    """
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = next(csv.reader(io.StringIO(line))) if "," in line else line.split()
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            raise ValueError(
                f"{source}, line {number}: {line.strip()[:60]!r} is not a list of numbers"
            ) from None
    return rows
