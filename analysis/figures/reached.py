"""How close to its ceiling a series comes and from which size on, in words."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from analysis.figures import style, words
from analysis.figures.series import Series, by_size, numbers
from bench.model import units
from bench.model.verdict import BACKEND_EVIDENCE

MOST_SENTENCES: Final = 3
"""So many series get a sentence each in the caption; of more, the best and the worst."""


def said_of(every: Sequence[Series], time_scale: float | None = None) -> str:
    """What `analysis.figures.busbw` says below its figure; series without a ceiling by what they move at best."""
    judged = [one for one in every if np.isfinite(numbers(one.points, "efficiency")).any()]
    said = judged or list(every)
    if len(said) > MOST_SENTENCES:
        key = "efficiency" if judged else "busbw_gbytes_per_s"
        ordered = sorted(said, key=lambda one: _at_largest(one, key)[1])
        say = _reached if judged else _best
        parts = [
            f"Of {len(said)} series that are compared with a ceiling, the best and the worst: {say(ordered[-1])}"
            if judged
            else f"Of {len(said)} series, the best and the worst: {say(ordered[-1])}",
            say(ordered[0]),
        ]
    else:
        parts = [_reached(one) if judged else _best(one) for one in said]
    if judged and len(judged) < len(every):
        parts.append(f"{len(every) - len(judged)} of {len(every)} series have no ceiling to be compared with")
    if not judged:
        parts.append("No ceiling is known, so that nothing can be said about how good that is")
    if time_scale:
        parts.append(f"The links ran at 1/{time_scale:g} of full speed; the right axis gives full speed")
    if any(np.isfinite(numbers(one.points, "time_low_s")).any() for one in every):
        parts.append("Bars are the 95% interval of the median")
    elif any(np.isfinite(numbers(one.points, "time_rounding_low_s")).any() for one in every):
        parts.append(
            "Bars are the times that would have been printed alike; how much they scatter is not known"
        )
    return words.sentences(*parts)


def _at_largest(one: Series, column: str) -> tuple[float, float]:
    """Largest size that has a number in ``column``, and that number."""
    sizes, values = by_size(one.sizes_bytes, numbers(one.points, column))
    return float(sizes[-1]), float(values[-1])


def _reached(one: Series) -> str:
    """How much of its ceiling a series reaches at its largest size, and since which size it has been good."""
    sizes, shares = by_size(one.sizes_bytes, numbers(one.points, "efficiency"))
    text = f"{one.name} reaches {shares[-1]:.0%} of its ceiling at {units.format_bytes(sizes[-1])}"
    is_good = shares >= BACKEND_EVIDENCE
    if is_good.all() or not is_good[-1] or len(sizes) == 1:
        best = int(np.argmax(shares))
        if not is_good[-1] and best != len(shares) - 1:
            text += f", and {shares[best]:.0%} at best, at {units.format_bytes(sizes[best])}"
        return text
    first = len(sizes) - int(np.argmin(is_good[::-1]))
    return f"{text}, and {BACKEND_EVIDENCE:.0%} or more from {units.format_bytes(sizes[first])} on"


def _best(one: Series) -> str:
    sizes, busbw = by_size(one.sizes_bytes, numbers(one.points, "busbw_gbytes_per_s"))
    best = int(np.argmax(busbw))
    factor, unit = style.rate_unit(busbw[best])
    return f"{one.name} moves {busbw[best] * factor:.3g} {unit} at best, at {units.format_bytes(sizes[best])}"
