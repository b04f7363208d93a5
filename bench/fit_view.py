"""What `linerate fit` prints: latency and bandwidth of each series, its plateau, and the prediction by size."""

import math
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.fitting import Fit
from bench.model import units
from bench.model.collective import Collective
from bench.model.fit.curve import Segment
from bench.model.fit.line import Estimate
from bench.model.fit.saturation import Verdict
from bench.model.fit.series_fit import HeldOutSize, Series, SeriesFit
from bench.model.fit.table import busbw
from bench.summary import series_name

WIDTH_WITHOUT_TERMINAL: Final = 150
"""The columns of all tables without a line break."""

_TIME_UNITS: Final = (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9))

FREE: Final = "?"
"""The upper end of an interval that the points do not bound."""


def show(found: Fit, written: Path) -> None:
    """Print the tables and what they rest on."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    console.print(_terms(found))
    console.print(_plateaus(found))
    console.print(_by_size(found))
    for line in _notes(found):
        console.print(line, markup=False)
    console.print(f"Written: {written}; use it with calibration={written}", markup=False, soft_wrap=True)


def name_of(series: Series) -> str:
    """As the other tables call it; a collective that linerate does not know keeps the name that its program gave it."""
    if series.collective not in {collective.value for collective in Collective}:
        return f"{series.collective} ({series.placement})"
    return series_name(
        collective=series.collective,
        algorithm=series.algorithm,
        placement=series.placement,
        measure_pass=series.measure_pass,
        group=series.group,
        backend=series.backend,
    )


def _terms(found: Fit) -> Table:
    manifest, is_emulated = found.manifest, bool(found.manifest.time_scale)
    hosts = "" if manifest.num_hosts == 1 else "s"
    title = (
        f"{manifest.run_id} · {_count(manifest.num_ranks)} ranks on {_count(manifest.num_hosts)} host{hosts} · "
        f"{manifest.transceiver} · {manifest.fabric} · {manifest.backend}"
    )
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    table.add_column("collective")
    table.add_column("sizes")
    for name in (
        "latency (95 %)",
        f"busbw {'MB/s' if is_emulated else 'GB/s'} (95 %)",
        "of the\nceiling",
        "held-out error\nmedian (largest)",
    ):
        table.add_column(name, justify="right")
    for fit in found.calibration.series:
        for number, segment in enumerate(fit.curve.segments):
            is_last = number == len(fit.curve.segments) - 1
            cells = [
                name_of(fit.series) if number == 0 else "",
                _span(segment),
                _seconds(segment.line.latency()),
                _busbw(fit, segment, 1e3 if is_emulated else 1.0),
                "" if (share := segment.efficiency()) is None else f"{share.value:.1%}",
                _held_out(fit) if is_last else "",
            ]
            table.add_row(*map(Text, cells))
        table.add_section()
    return table


def _held_out(fit: SeriesFit) -> str:
    errors = fit.held_out_errors()
    return f"{median(errors):.1%} ({max(errors):.1%})" if errors else ""


def _plateaus(found: Fit) -> Table:
    table = Table(title="plateau: is the bandwidth of large messages in the data?", title_justify="left")
    table.add_column("collective")
    table.add_column("verdict")
    for name in (
        "largest size has\nof it (95 %)",
        "95 % of it from",
        "half of it at (95 %)",
        "90 % of it at (95 %)",
    ):
        table.add_column(name, justify="right")
    for fit in found.calibration.series:
        saturation = fit.curve.saturation
        if saturation is None:
            continue
        share, first_bytes = saturation.share, fit.curve.first_bytes
        cells = [
            name_of(fit.series),
            saturation.verdict.value,
            ""
            if share is None
            else f"{share.value:.1%}{_interval(share, lambda value: f'{100 * value:.1f}')}",
            "" if saturation.from_bytes is None else _size(saturation.from_bytes, first_bytes),
        ]
        for size in (fit.half_bandwidth_bytes, fit.most_bandwidth_bytes):
            cells.append("not known" if size is None else _size(size, first_bytes))
        table.add_row(*map(Text, cells))
    return table


def _size(size: Estimate, first_bytes: int) -> str:
    """With the interval in the same unit: 4.77 MiB (4.5 .. 5.1); an upper bound where all measured sizes reach it."""
    if size.value <= first_bytes:
        return f"<= {units.format_bytes(size.value)}"
    number, _, unit = units.format_bytes(size.value).partition(" ")
    scale = size.value / float(number)
    return f"{number} {unit}{_interval(size, lambda value: f'{value / scale:.4g}')}"


def _by_size(found: Fit) -> Table:
    table = Table(title="prediction, by size", title_justify="left")
    table.add_column("collective")
    for name in ("size", "measured", "not calibrated", "error", "calibrated, held out", "error"):
        table.add_column(name, justify="right")
    for fit in found.calibration.series:
        for number, size in enumerate(fit.sizes):
            cells = (
                name_of(fit.series) if number == 0 else "",
                units.format_bytes(size.message_bytes),
                _seconds(Estimate(value=size.measured_s, low=size.low_s, high=size.high_s)),
                _or_empty(size.predicted_s),
                _error(size.predicted_error),
                _or_empty(size.held_out_s),
                _error(size.held_out_error),
            )
            table.add_row(*map(Text, cells))
        table.add_section()
    return table


def _notes(found: Fit) -> list[str]:
    fits = found.calibration.series
    sizes = [size for fit in fits for size in fit.sizes]
    beyond = [size for fit in fits for size in fit.sizes if size.message_bytes > fit.curve.unshaped_bytes]
    predicted = [size for size in sizes if size.predicted_s is not None]
    split = found.calibration.split
    first = (
        f"Held out ({split}): each size is predicted from the others of its series in this run; the smallest and the largest "
        "are extrapolated to."
    )
    notes = [first]
    text = f"Median error, calibrated and held out: {_median_error(sizes)} over all {len(sizes)} sizes"
    has_bucket = len(beyond) < len(sizes)
    if has_bucket and beyond:
        text += f", {_median_error(beyond)} over the {len(beyond)} beyond the token bucket"
    notes.append(f"{text}.")
    if predicted:
        errors = [abs(size.predicted_error) for size in predicted if size.predicted_error is not None]
        notes.append(
            f"The {len(predicted)} sizes that are predicted without calibration: {median(errors):.1%} without, "
            f"{_median_error(predicted)} with."
        )
    if has_bucket:
        notes.append(
            "A latency below 0 is what the token bucket of the emulated link lets through before its rate shows."
        )
    for fit in fits:
        saturation = fit.curve.saturation
        if saturation is not None and saturation.verdict is not Verdict.saturated:
            notes.append(f"{name_of(fit.series)}: {saturation.sentence}. No larger size is predicted.")
    if not all(fit.have_intervals for fit in fits):
        notes.append(
            "Points without an interval of their own weigh alike; the intervals shown come from their scatter about the line."
        )
    if found.left_out:
        text = "; ".join(f"{name_of(each.series)}: {each.reason}" for each in found.left_out)
        notes.append(f"Not fitted: {text}.")
    return notes


def _median_error(sizes: list[HeldOutSize]) -> str:
    errors = [abs(size.held_out_error) for size in sizes if size.held_out_error is not None]
    return f"{median(errors):.1%}" if errors else "unknown"


def _span(segment: Segment) -> str:
    text = f"{units.format_bytes(segment.first_bytes)} to {units.format_bytes(segment.last_bytes)}"
    return text if segment.line.exponent == 1 else f"{text}, p = {segment.line.exponent:g}"


def _seconds(time: Estimate) -> str:
    """With the interval in the same unit and to the same decimals: 6.97 ms (4.01 .. 9.92)."""
    widest_s = max(abs(end) for end in (time.value, time.low, time.high) if end is not None)
    unit, factor = next((u for u in _TIME_UNITS if widest_s * u[1] >= 1), _TIME_UNITS[-1])
    decimals = max(0, 2 - math.floor(math.log10(widest_s * factor))) if widest_s > 0 else 0

    def text(value_s: float) -> str:
        return f"{value_s * factor:.{decimals}f}"

    return f"{text(time.value)} {unit}{_interval(time, text)}"


def _busbw(fit: SeriesFit, segment: Segment, factor: float) -> str:
    if segment.line.bandwidth() is None:
        return "not seen"
    found = busbw(fit, segment)
    if found is None:
        return "ranks not known"
    return f"{found.value * factor:.4g}{_interval(found, lambda rate: f'{rate * factor:.4g}')}"


def _count(number: int | None) -> str:
    return "an unknown number of" if number is None else str(number)


def _interval(found: Estimate, text: Callable[[float], str]) -> str:
    if found.low is None:
        return ""
    return f" ({text(found.low)} .. {FREE if found.high is None else text(found.high)})"


def _or_empty(time_s: float | None) -> str:
    return "" if time_s is None else units.format_seconds(time_s)


def _error(error: float | None) -> str:
    return "" if error is None else f"{error:+.1%}"
