"""Bandwidths that were written to a file with six decimals: what they tell of the ranks, and whether they fit their times."""

from collections.abc import Iterator, Sequence
from typing import Final

from bench.importers.foreign import ForeignPoint, Printed
from bench.importers.nccl_names import Ratio, common_ratio, ranks_of
from bench.importers.rounding import can_be_equal

_HALF_BANDWIDTH: Final = 0.5e-6 * 1e9
_HALF_TIME: Final = 0.5e-6 * 1e-6
"""Half of the last digit of GB/s and of us. Sources: ``jsonDouble`` in src/util.cu of NVIDIA/nccl-tests (%lf), and
``makeValueKeyPair`` in src/common.h of ROCm/rccl-tests (std::to_string)."""

_UNTOLD: Final = ("all_to_allv",)
"""Their algbw counts the most that one rank moves, which the file does not tell (NVIDIA/nccl-tests, src/alltoallv.cu)."""


def ranks_of_points(points: Sequence[ForeignPoint]) -> int | None:
    """The one number of ranks that busbw over algbw allows in all readings; None where they allow several, or none."""
    collectives = {point.collective for point in points}
    ratio = common_ratio(_ratios(points))
    return ranks_of(collectives.pop(), ratio) if len(collectives) == 1 and ratio is not None else None


def _ratios(points: Sequence[ForeignPoint]) -> Iterator[Ratio]:
    for point in points:
        for reading in point.readings:
            algbw, busbw = reading.algbw_bytes_per_s, reading.busbw_bytes_per_s
            if algbw is not None and busbw is not None:
                least, most = _span(algbw, _HALF_BANDWIDTH)
                if least > 0:
                    low, high = _span(busbw, _HALF_BANDWIDTH)
                    yield Ratio(low / most, high / least)


def contradiction(
    collective: str, message_bytes: int, num_ranks: int | None, time: Printed | None, algbw: Printed | None
) -> str | None:
    """Why size, time and algbw cannot be those of one measurement; None where they can.

    algbw = size / time, except for hypercube, which counts the (n - 1) / n of its size that is moved.
    """
    if time is None or algbw is None or collective in _UNTOLD or not message_bytes:
        return None
    moved: float = message_bytes
    if collective == "hypercube":
        if num_ranks is None:
            return None
        moved *= (num_ranks - 1) / num_ranks
    shortest_s, longest_s = _span(time, _HALF_TIME)
    if shortest_s <= 0 or can_be_equal(
        (moved / longest_s, moved / shortest_s), _span(algbw, _HALF_BANDWIDTH)
    ):
        return None
    return (
        f"algbw is {algbw.value / 1e9:.4g} GB/s, where size / time is {moved / time.value / 1e9:.4g} GB/s: one of the three is "
        "wrong"
    )


def _span(number: Printed, half: float) -> tuple[float, float]:
    """What is known of a number: its own interval, at least half of the last digit that files keep to either side."""
    return max(0.0, min(number.low, number.value - half)), max(number.high, number.value + half)
