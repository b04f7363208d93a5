"""`FitRow`: what a fit says, one row per series and line, with every number as it is shown, exported and drawn."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from bench.model import units
from bench.model.fit.curve import Segment
from bench.model.fit.line import Estimate
from bench.model.fit.run_fit import LeftOut
from bench.model.fit.series_fit import Series, SeriesFit


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRow:
    """One line of one series; a series that is not fitted has one row, with ``left_out`` and no numbers.

    None: not known, or not bounded on that side. Times in seconds, sizes in bytes, bandwidths as busbw in 10**9 byte/s on the
    measured scale, shares as shares.

    Attributes:
        num_sizes: of the series; ``segment``: from 1; ``from_bytes``, ``to_bytes``: smallest and largest size on this line.
        exponent: p of T**p = latency**p + (S / bandwidth)**p.
        efficiency: time of the slowest resource over fitted time, both per byte; None where no optics were named.
        has_point_intervals: whether the points have 95 % intervals of their own. Those of this row come from the scatter of
            points about their line in any case; without own intervals the points weigh alike.
        median_error: of sizes that were held out; None where none was.
        saturation, advice: the verdict on the series' plateau, and what to do (`bench.model.fit.saturation`).
        plateau_share: of the plateau's bandwidth, that the largest size reaches.
        saturated_from_bytes: size from which on 95 % are reached; beyond the largest size where the sweep ends before it.
        half_bandwidth_bytes, ninety_percent_bytes: None unless the plateau is in the data. A low of 0: at most this.
        left_out: why the series was not fitted.
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
    num_sizes: int
    segment: int | None = None
    from_bytes: int | None = None
    to_bytes: int | None = None
    exponent: float | None = None
    latency_s: float | None = None
    latency_low_s: float | None = None
    latency_high_s: float | None = None
    bandwidth_gbytes_per_s: float | None = None
    bandwidth_low_gbytes_per_s: float | None = None
    bandwidth_high_gbytes_per_s: float | None = None
    efficiency: float | None = None
    efficiency_low: float | None = None
    efficiency_high: float | None = None
    has_point_intervals: bool | None = None
    median_error: float | None = None
    saturation: str | None = None
    advice: str | None = None
    plateau_share: float | None = None
    plateau_share_low: float | None = None
    plateau_share_high: float | None = None
    saturated_from_bytes: float | None = None
    saturated_from_low_bytes: float | None = None
    saturated_from_high_bytes: float | None = None
    half_bandwidth_bytes: float | None = None
    half_bandwidth_low_bytes: float | None = None
    half_bandwidth_high_bytes: float | None = None
    ninety_percent_bytes: float | None = None
    ninety_percent_low_bytes: float | None = None
    ninety_percent_high_bytes: float | None = None
    left_out: str | None = None


def fit_rows(fits: Iterable[SeriesFit], left_out: Iterable[LeftOut] = ()) -> list[FitRow]:
    """The rows of every series: those fitted first, then those that are not."""
    rows = [
        _row(fit, number, segment) for fit in fits for number, segment in enumerate(fit.curve.segments, 1)
    ]
    rows += [
        FitRow(**_columns_of(each.series), num_sizes=each.num_sizes, left_out=each.reason)
        for each in left_out
    ]
    return rows


def busbw(fit: SeriesFit, segment: Segment) -> Estimate | None:
    """Of further bytes on this line, in 10**9 byte/s; None where the time does not grow, or no bus factor is known."""
    bandwidth = segment.line.bandwidth()
    if bandwidth is None or fit.bus_factor is None:
        return None
    scale = units.gbytes_per_s(fit.bus_factor)
    return Estimate(
        value=bandwidth.value * scale,
        low=None if bandwidth.low is None else bandwidth.low * scale,
        high=None if bandwidth.high is None else bandwidth.high * scale,
    )


def _row(fit: SeriesFit, number: int, segment: Segment) -> FitRow:
    saturation = fit.curve.saturation
    ends: dict[str, Any] = {}
    for name, found in (
        ("latency{}_s", segment.line.latency()),
        ("bandwidth{}_gbytes_per_s", busbw(fit, segment)),
        ("efficiency{}", segment.efficiency()),
        ("plateau_share{}", saturation.share if saturation else None),
        ("saturated_from{}_bytes", saturation.from_bytes if saturation else None),
        ("half_bandwidth{}_bytes", fit.half_bandwidth_bytes),
        ("ninety_percent{}_bytes", fit.most_bandwidth_bytes),
    ):
        if found is not None:
            ends |= {name.format(""): found.value, name.format("_low"): found.low}
            ends[name.format("_high")] = found.high
    return FitRow(
        **_columns_of(fit.series),
        num_sizes=len(fit.sizes),
        segment=number,
        from_bytes=segment.first_bytes,
        to_bytes=segment.last_bytes,
        exponent=segment.line.exponent,
        has_point_intervals=fit.have_intervals,
        median_error=fit.median_error,
        saturation=saturation.verdict.value if saturation else None,
        advice=saturation.sentence if saturation else None,
        **ends,
    )


def _columns_of(series: Series) -> dict[str, Any]:
    return asdict(series)
