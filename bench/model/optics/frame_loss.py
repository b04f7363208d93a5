"""`FrameLoss`: what share of its frames a link loses, and how that is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from bench.model.optics.fec import FecCode, frame_loss_ratio, frames_lost
from bench.model.optics.fec_histogram import FecHistogram, extrapolate, ratio_interval


class Basis(Enum):
    """What a loss of frames was computed from."""

    counted = "uncorrectable codewords, counted"
    extrapolated = "histogram of the link, extrapolated beyond what was seen"
    bounded = "no uncorrectable codeword was seen; only the upper bound is known"
    measured_floor = "random errors at the measured raw BER; a lower bound"
    computed_ber = "random errors at a computed raw BER; a lower bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLoss:
    """Share of minimum frames lost, before any retransmission.

    Attributes:
        ratio: the estimate. None: only the bound is known.
        low, high: 95 % limits. ``high`` is None where errors were taken to be random, which real ones are
            not.
        bound: 95 % limit from the uncorrectable codewords alone, whatever the errors are like. None: no
            counts.
    """

    ratio: float | None
    low: float
    high: float | None
    bound: float | None
    basis: Basis


def frame_loss(
    code: FecCode,
    depth: int,
    *,
    histogram: FecHistogram | None = None,
    measured_floor_ber: float | Sequence[float] | None = None,
    computed_ber: float | Sequence[float] | None = None,
) -> FrameLoss:
    """Loss of frames from the best evidence: a histogram, or else the larger of measured and computed BER.

    A histogram wins over any BER, because no mean BER predicts the tail of a real link. Several BER are those
    of the lanes: the worst governs.

    Raises:
        ValueError: no evidence, a histogram of another code, or a measured BER of 0.
    """
    if histogram is not None:
        if histogram.code != code:
            raise ValueError(
                f"the histogram is one of {histogram.code.name}, the link runs {code.name}; read both again"
            )
        return _measured_loss(histogram, depth)
    known = []
    if measured_floor_ber is not None:
        known.append((worst_lane_ber(measured_floor_ber), Basis.measured_floor))
        if known[0][0] == 0:
            raise ValueError(
                "measured_floor_ber is 0; no errors in N bits is a BER of at most 3 / N, so give that"
            )
    if computed_ber is not None:
        known.append((worst_lane_ber(computed_ber), Basis.computed_ber))
    if not known:
        raise ValueError("frame loss needs a histogram, measured_floor_ber or computed_ber; none was given")
    worst_ber, basis = max(known, key=lambda pair: pair[0])
    lost = frame_loss_ratio(code, worst_ber, depth)
    return FrameLoss(ratio=lost, low=lost, high=None, bound=None, basis=basis)


def _measured_loss(histogram: FecHistogram, depth: int) -> FrameLoss:
    def lost(codeword_ratio: float) -> float:
        return frames_lost(histogram.code, codeword_ratio, depth)

    low, bound = ratio_interval(histogram.uncorrectable, histogram.num_codewords)
    if histogram.uncorrectable > 0:
        ratio = histogram.uncorrectable / histogram.num_codewords
        return FrameLoss(
            ratio=lost(ratio), low=lost(low), high=lost(bound), bound=lost(bound), basis=Basis.counted
        )
    tail = extrapolate(histogram)
    if tail is None:
        return FrameLoss(ratio=None, low=0.0, high=lost(bound), bound=lost(bound), basis=Basis.bounded)
    return FrameLoss(
        ratio=lost(min(tail.ratio, bound)),
        low=lost(min(tail.low, bound)),
        high=lost(min(tail.high, bound)),
        bound=lost(bound),
        basis=Basis.extrapolated,
    )


def worst_lane_ber(lane_bers: float | Sequence[float]) -> float:
    """The largest BER of the lanes. Lanes are never averaged: their mean hides the one that fails.

    Raises:
        ValueError: no lanes.
    """
    lanes = np.atleast_1d(np.asarray(lane_bers, dtype=np.float64))
    if lanes.size == 0:
        raise ValueError("BER of the lanes is empty; give one number for every lane")
    return float(lanes.max())
