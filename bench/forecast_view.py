"""What `linerate predict` prints: the points, what else might run, and the way from line rate to busbw."""

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench import glass_view
from bench.console import plain_or_terminal
from bench.forecast import Forecast, algorithm_of
from bench.model import units
from bench.model.waterfall import Step
from bench.points import Point


def show(found: Forecast) -> None:
    """Print the forecast: table of points, alternatives at the largest size, waterfall of each collective."""
    console = plain_or_terminal()
    console.print(_points(found))
    is_experienced = any(expected.prediction.is_experienced for _, expected in found.rows)
    for note in found.notes:
        console.print(f"interval: {note}", markup=False)
    if is_experienced:
        console.print(
            "busbw: expected, and the interval that holds nine of ten published runs of other clusters (linerate validate). "
            "Steps of small messages are known to a factor of several only.",
            markup=False,
        )
    else:
        console.print(
            "Times are what the links allow; software is not in them, so small messages take longer.",
            markup=False,
        )
    if any(expected.prediction.is_inside_unknown for _, expected in found.rows):
        console.print(
            "No time is expected where ranks of a host exchange bytes over links that are not described; give "
            "fabric.nvlink_gbytes_per_s.",
            markup=False,
        )
    if any(expected.prediction.is_bucket_dominated for _, expected in found.rows):
        console.print(
            "No time is given for messages below 8 token buckets of the emulated link: they pass it unshaped.",
            markup=False,
        )
    if any(expected.others for _, expected in found.largest):
        console.print(_alternatives(found))
    if found.calibration is not None:
        console.print(_calibrated(found))
        for reason in dict.fromkeys(asked.reason for _, _, asked in found.calibrated if asked.reason):
            console.print(f"Not calibrated: {reason}", markup=False)
    falls = found.waterfalls()
    if falls:
        console.print(waterfall_table(found, falls))
    glass_view.show(console, found.glass, found.findings)


def _scale(found: Forecast) -> tuple[str, float]:
    return ("MB/s", 1e3) if found.network.scale > 1 else ("GB/s", 1.0)


def _points(found: Forecast) -> Table:
    unit, factor = _scale(found)
    is_experienced = any(expected.prediction.low_s is not None for _, expected in found.rows)
    table = Table(title=escape(found.title), title_justify="left", title_style="bold")
    table.add_column("collective")
    table.add_column("algorithm")
    table.add_column("size", justify="right")
    table.add_column("time" if is_experienced else "time at least", justify="right")
    table.add_column(f"busbw {unit}", justify="right")
    if is_experienced:
        table.add_column("interval", justify="right")
    table.add_column(f"ceiling {unit}", justify="right")
    table.add_column("bound by")
    previous = ""
    for point, expected in sorted(
        found.rows, key=lambda row: (row[0].collective.value, row[0].message_bytes)
    ):
        prediction = expected.prediction
        name = point.collective.value
        if previous and name != previous:
            table.add_section()
        bound = prediction.bound_by or ""
        if prediction.also_bound_by:
            bound += f" (= {', '.join(prediction.also_bound_by)})"
        algorithm = algorithm_of(point, prediction)
        cells = [
            name if name != previous else "",
            f"{algorithm} ?" if expected.source == "chosen" and expected.others else algorithm,
            units.format_bytes(point.message_bytes),
            "" if prediction.duration_s is None else units.format_seconds(prediction.duration_s),
            _rate(prediction.busbw_bytes_per_s, factor),
        ]
        if is_experienced:
            low, high = prediction.low_busbw_bytes_per_s, prediction.high_busbw_bytes_per_s
            cells.append(_interval(low, high, factor))
        ceiling = prediction.ceiling_busbw_bytes_per_s
        cells += ["" if prediction.is_bucket_dominated else _rate(ceiling, factor), bound]
        table.add_row(*map(Text, cells))
        previous = name
    return table


def _alternatives(found: Forecast) -> Table:
    unit, factor = _scale(found)
    is_chosen = any(expected.source == "chosen" for _, expected in found.largest)
    title = "? = chosen as NCCL is expected to; if another runs" if is_chosen else "if another runs"
    table = Table(title=title, title_justify="left")
    for name in ("collective", "size", "algorithm"):
        table.add_column(name)
    for name in (f"busbw {unit}", "interval", f"ceiling {unit}"):
        table.add_column(name, justify="right")
    table.add_column("bound by")
    for point, expected in found.largest:
        for other in expected.others:
            low, high = other.low_busbw_bytes_per_s, other.high_busbw_bytes_per_s
            cells = (
                point.collective.value,
                units.format_bytes(point.message_bytes),
                algorithm_of(point, other),
                _rate(other.busbw_bytes_per_s, factor),
                _interval(low, high, factor),
                _rate(other.ceiling_busbw_bytes_per_s, factor),
                other.bound_by or "",
            )
            table.add_row(*map(Text, cells))
    return table


def _calibrated(found: Forecast) -> Table:
    """The prediction without and with the calibration, side by side."""
    assert found.calibration is not None
    title = f"with the calibration of run {found.calibration.run_id}"
    table = Table(title=title, title_justify="left")
    table.add_column("collective")
    table.add_column("size", justify="right")
    for name in ("predicted", "calibrated", "95 % interval"):
        table.add_column(name, justify="right")
    table.add_column("")
    for point, expected, asked in sorted(
        found.calibrated,
        key=lambda row: (row[0].collective.value, row[0].algorithm, row[0].message_bytes),
    ):
        time = asked.time
        if time is None:
            continue
        predicted_s = expected.prediction.duration_s
        ends = [time.low_s, time.high_s]
        interval = " - ".join("?" if end is None else units.format_seconds(end) for end in ends)
        extra = "" if point.algorithm == "native" else f" ({point.algorithm})"
        table.add_row(
            f"{point.collective.value}{extra}",
            units.format_bytes(point.message_bytes),
            "" if predicted_s is None else units.format_seconds(predicted_s),
            units.format_seconds(time.time_s),
            interval,
            "extrapolated" if time.is_extrapolated else "",
        )
    return table


def waterfall_table(found: Forecast, falls: dict[Point, tuple[Step, ...]]) -> Table:
    """From the line rate to the busbw of single points; the times of each add up to the predicted one."""
    unit, factor = _scale(found)
    table = Table(title="where the time goes, from the line rate to the busbw", title_justify="left")
    table.add_column("collective")
    table.add_column("step")
    table.add_column("time", justify="right")
    table.add_column("share", justify="right")
    table.add_column(f"busbw left, {unit}", justify="right")
    table.add_column("rests on")
    for point, steps in falls.items():
        name = f"{point.collective.value}, {units.format_bytes(point.message_bytes)}"
        total_s = sum(step.duration_s for step in steps)
        for number, step in enumerate(steps):
            table.add_row(
                name if number == 0 else "",
                step.label,
                units.format_seconds(step.duration_s),
                f"{step.duration_s / total_s:.1%}",
                _rate(step.busbw_bytes_per_s, factor),
                step.note,
            )
        last = _rate(steps[-1].busbw_bytes_per_s, factor)
        table.add_row("", "sum", units.format_seconds(total_s), "", last, "", style="bold")
        table.add_section()
    return table


def _interval(low: float | None, high: float | None, factor: float) -> str:
    if high is None:
        return ""
    return f"{_rate(low, factor) if low is not None else '0'} - {_rate(high, factor)}"


def _rate(rate_bytes_per_s: float | None, factor: float) -> str:
    return "" if rate_bytes_per_s is None else f"{units.gbytes_per_s(rate_bytes_per_s) * factor:.4g}"
