"""`SeriesFit`: the curve of one measured series, and what curves without each of its sizes say about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from bench.model.fit.curve import Curve, Segment
from bench.model.fit.curve_fit import CurvePoint, fit_curve, held_out_times_s
from bench.model.fit.half_bandwidth import HALF, MOST, plateau_size
from bench.model.fit.line import Estimate
from bench.model.fit.saturation_fit import judge

MIN_SIZES: Final = 3
"""Two numbers are fitted; with two sizes nothing would be left to judge them by."""

NORMAL_95: Final = 1.96
"""Half of a 95 % interval over the standard deviation, for a normal distribution."""

MOST_SD: Final = 1e6
"""Of a time, as a share of it. A point as uncertain weighs nothing beside others, and squares of more may exceed a float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What points have in common that differ in size alone. A calibration holds for an equal series and no other.

    Attributes:
        algorithm: as asked for: what NCCL chose by itself counts as ``native``.
        fabric: ``emulated``, or the name of the machine.
        num_ranks, num_hosts: None where an imported log does not tell.
    """

    collective: str
    algorithm: str
    dtype: str
    reduce_op: str | None
    placement: str
    measure_pass: str
    group: str
    num_ranks: int | None
    num_hosts: int | None
    backend: str
    fabric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSize:
    """One point of a series, in seconds.

    Attributes:
        low_s, high_s: 95 % interval of the median; None where there are too few samples, or none.
        predicted_s: what was predicted without calibration; None where nothing was.
        ceiling_s: the least that links and token bucket allow; None where nothing is known of them.
        rounding_s: width of the times that another program would have printed alike; 0 for measured ones.
    """

    message_bytes: int
    measured_s: float
    low_s: float | None
    high_s: float | None
    predicted_s: float | None
    ceiling_s: float | None
    rounding_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutSize:
    """One size of a series: measured, and what is said about it with and without calibration, in seconds.

    ``held_out_s``: by the curve through the other sizes alone; None where they cannot say.
    """

    message_bytes: int
    measured_s: float
    low_s: float | None
    high_s: float | None
    predicted_s: float | None
    held_out_s: float | None

    @property
    def predicted_error(self) -> float | None:
        """Predicted over measured, less 1."""
        return None if self.predicted_s is None else self.predicted_s / self.measured_s - 1

    @property
    def held_out_error(self) -> float | None:
        return None if self.held_out_s is None else self.held_out_s / self.measured_s - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFit:
    """The curve of one series and how well it predicts sizes that it has not seen; ``sizes`` are in order.

    Attributes:
        bus_factor: busbw over S / T; None where the ranks are not known.
    """

    series: Series
    curve: Curve
    sizes: tuple[HeldOutSize, ...]
    bus_factor: float | None = None

    @property
    def half_bandwidth_bytes(self) -> Estimate | None:
        """n_1/2: the size at which half of the plateau's bandwidth is reached; None where the plateau was not seen."""
        return plateau_size(self.curve, HALF)

    @property
    def most_bandwidth_bytes(self) -> Estimate | None:
        """The same for 90 %."""
        return plateau_size(self.curve, MOST)

    @property
    def have_intervals(self) -> bool:
        """Whether every size has a 95 % interval of its own; what another program printed has none."""
        return all(size.low_s is not None and size.high_s is not None for size in self.sizes)

    def held_out_errors(self, *, above_bytes: float = 0.0) -> list[float]:
        """|predicted / measured - 1| of the sizes above ``above_bytes``, each predicted from the others."""
        return [
            abs(size.held_out_error)
            for size in self.sizes
            if size.held_out_error is not None and size.message_bytes > above_bytes
        ]

    @property
    def median_error(self) -> float | None:
        errors = self.held_out_errors()
        return median(errors) if errors else None

    @property
    def largest_error(self) -> float | None:
        return max(self.held_out_errors(), default=None)


def fit_series(
    series: Series,
    measured: Sequence[MeasuredSize],
    *,
    breaks_bytes: Sequence[float] = (),
    has_bucket: bool = False,
    bus_factor: float | None = None,
    is_held_out: bool = True,
) -> SeriesFit:
    """Fit one series, and again without each of its sizes; then judge whether it reaches its plateau.

    Args:
        breaks_bytes: sizes up to which one protocol is known to run.
        has_bucket: whether the links are emulated; what their bucket lets through is read from the ceilings.
        is_held_out: whether to fit again without each size; otherwise none has a ``held_out_s``.
    Raises:
        ValueError: fewer than `MIN_SIZES` sizes, or one that is there twice.
    """
    if len(measured) < MIN_SIZES:
        raise ValueError(
            f"{series.collective}: {len(measured)} sizes; a fit that can be judged needs {MIN_SIZES} at least"
        )
    ordered = sorted(measured, key=lambda size: size.message_bytes)
    unshaped_bytes, link_s_per_byte = _bucket(ordered) if has_bucket else (0.0, None)
    points = [
        CurvePoint(message_bytes=size.message_bytes, time_s=size.measured_s, relative_sd=_relative_sd(size))
        for size in ordered
    ]
    curve = fit_curve(points, breaks_bytes=breaks_bytes, unshaped_bytes=unshaped_bytes)
    held_out: Sequence[float | None] = [None] * len(points)
    if is_held_out:
        held_out = held_out_times_s(points, breaks_bytes=breaks_bytes, unshaped_bytes=unshaped_bytes)
    ceilings = {size.message_bytes: size.ceiling_s for size in ordered}

    def with_link(segment: Segment) -> Segment:
        if curve.is_unshaped(segment):
            return segment
        if has_bucket:
            return replace(segment, link_s_per_byte=link_s_per_byte)
        ceiling_s = ceilings[segment.last_bytes]
        return replace(segment, link_s_per_byte=ceiling_s / segment.last_bytes if ceiling_s else None)

    have_intervals = all(size.low_s is not None and size.high_s is not None for size in ordered)
    curve = replace(curve, saturation=judge(curve, points, have_intervals=have_intervals))
    return SeriesFit(
        series=series,
        curve=replace(curve, segments=tuple(map(with_link, curve.segments))),
        sizes=tuple(
            HeldOutSize(
                message_bytes=size.message_bytes,
                measured_s=size.measured_s,
                low_s=size.low_s,
                high_s=size.high_s,
                predicted_s=size.predicted_s,
                held_out_s=time_s,
            )
            for size, time_s in zip(ordered, held_out, strict=True)
        ),
        bus_factor=bus_factor,
    )


def judged(fit: SeriesFit) -> SeriesFit:
    """With the verdict on its plateau, which a fit.json of version 1 does not have."""
    points = [
        CurvePoint(message_bytes=size.message_bytes, time_s=size.measured_s, relative_sd=_relative_sd(size))
        for size in fit.sizes
    ]
    saturation = judge(fit.curve, points, have_intervals=fit.have_intervals)
    return replace(fit, curve=replace(fit.curve, saturation=saturation))


def _relative_sd(size: MeasuredSize | HeldOutSize) -> float | None:
    """From the interval of the median; without one, of a rounded number, which lies anywhere between its ends alike."""
    if size.low_s is not None and size.high_s is not None:
        return min(MOST_SD, abs(size.high_s - size.low_s) / (2 * NORMAL_95 * size.measured_s))
    if isinstance(size, MeasuredSize) and size.rounding_s > 0:
        return min(MOST_SD, size.rounding_s / math.sqrt(12) / size.measured_s)
    return None


def _bucket(ordered: Sequence[MeasuredSize]) -> tuple[float, float | None]:
    """What passes the bucket, in bytes of message, and what the link needs per byte beyond it.

    The ceiling of an emulated link is max(0, S - unshaped) x link_s_per_byte, or a delay where that is longer, so the two
    largest sizes give both numbers. With fewer than two sizes beyond the bucket the link's rate is not known: the sizes are
    told apart by their ceilings alone.
    """
    known = [(size.message_bytes, size.ceiling_s) for size in ordered if size.ceiling_s is not None]
    if len(known) < 2:
        return 0.0, None
    (size, ceiling_s), (last_bytes, last_s) = known[-2:]
    if ceiling_s > 0 and last_s > ceiling_s:
        link_s_per_byte = (last_s - ceiling_s) / (last_bytes - size)
        return max(0.0, last_bytes - last_s / link_s_per_byte), link_s_per_byte
    shortest_s = known[0][1]
    return float(max(size for size, ceiling_s in known if ceiling_s <= shortest_s)), None
