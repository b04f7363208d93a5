"""`linerate predict`: the points of a sweep with their prediction, and no ranks."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.markup import escape
from rich.table import Table

from bench.config import BenchConfig
from bench.console import plain_or_terminal
from bench.launch.resolve import prediction_target
from bench.model import units
from bench.model.collective import bus_factor
from bench.model.fabric import path_mtu_bytes
from bench.model.framing import Transport
from bench.model.predict import Prediction, predict
from bench.model.transfer import host_egress_bytes, schedule
from bench.points import Point

COLUMNS: Final = (
    "collective",
    "algorithm",
    "num_ranks",
    "num_hosts",
    "message_bytes",
    "bus_factor",
    "fabric_bytes_per_rank",
    "predicted_time_s",
    "predicted_busbw_gbytes_per_s",
    "ceiling_busbw_gbytes_per_s",
    "bound_by",
    "also_bound_by",
)
"""Columns of `linerate predict --out`, named as in summary.csv."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What was asked, in one line, and one prediction per point."""

    title: str
    scale: float
    num_hosts: int
    rows: tuple[tuple[Point, Prediction], ...]


def forecast(config: BenchConfig) -> Forecast:
    """Predict every point of the sweep. Algorithms of one collective share their prediction: the links set it.

    Raises:
        ValueError: the fabric or the optics have not been named.
    """
    network, points, settled = prediction_target(config)
    rows, seen = [], set()
    for point in points:
        if point.spec not in seen:
            seen.add(point.spec)
            rows.append((point, predict(point.spec, network)))
    emulated = network.scale != 1 or settled.launcher.kind == "emulated"
    where = (
        f"emulated at 1/{network.scale:g}, MTU {settled.emulation.mtu_bytes}"
        if emulated
        else f"{settled.fabric.name}, {settled.transport if settled.transport != 'unknown' else 'InfiniBand framing'}, "
        f"MTU {path_mtu_bytes(settled.fabric, Transport(settled.transport))}"
    )
    title = f"{network.num_ranks} ranks on {network.num_hosts} hosts · {settled.transceiver.name} · {where} · predicted"
    return Forecast(title=title, scale=network.scale, num_hosts=network.num_hosts, rows=tuple(rows))


def show(found: Forecast, out: Path | None) -> None:
    """Print the table, and write it as CSV where asked.

    Raises:
        ValueError: the file cannot be written.
    """
    if out is not None:
        try:
            out.write_text(as_csv(found), encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"--out {out} cannot be written ({error.strerror}); name a file in a folder that exists"
            ) from error
    console = plain_or_terminal()
    console.print(_table(found))
    console.print(
        "Times are what the links allow; software is not in them, so small messages take longer.",
        markup=False,
    )
    if any(prediction.is_bucket_dominated for _, prediction in found.rows):
        console.print(
            "No time is given for messages below 8 token buckets of the emulated link: they pass it unshaped.",
            markup=False,
        )


def as_csv(found: Forecast) -> str:
    """The table as CSV; empty cells are not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for point, prediction in found.rows:
        busbw, ceiling = prediction.busbw_bytes_per_s, prediction.ceiling_busbw_bytes_per_s
        ranks_per_host = point.num_ranks // found.num_hosts
        cells: Sequence[object] = (
            point.collective.value,
            schedule(point.collective).value,
            point.num_ranks,
            found.num_hosts,
            point.message_bytes,
            bus_factor(point.collective, point.num_ranks),
            host_egress_bytes(point.spec, ranks_per_host) / ranks_per_host,
            prediction.duration_s,
            None if busbw is None else units.gbytes_per_s(busbw),
            None if ceiling is None else units.gbytes_per_s(ceiling),
            prediction.bound_by,
            " ".join(prediction.also_bound_by),
        )
        writer.writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()


def _table(found: Forecast) -> Table:
    unit, factor = ("MB/s", 1e3) if found.scale > 1 else ("GB/s", 1.0)
    table = Table(title=escape(found.title), title_justify="left", title_style="bold")
    table.add_column("collective")
    for name in ("size", "time at least", f"busbw {unit}", f"ceiling {unit}"):
        table.add_column(name, justify="right")
    table.add_column("bound by")
    previous = ""
    for point, prediction in sorted(
        found.rows, key=lambda row: (row[0].collective.value, row[0].message_bytes)
    ):
        name = point.collective.value
        if previous and name != previous:
            table.add_section()
        bound = prediction.bound_by or ""
        if prediction.also_bound_by:
            bound += f" (= {', '.join(prediction.also_bound_by)})"
        table.add_row(
            name if name != previous else "",
            units.format_bytes(point.message_bytes),
            "" if prediction.duration_s is None else units.format_seconds(prediction.duration_s),
            _rate(prediction.busbw_bytes_per_s, factor),
            "" if prediction.is_bucket_dominated else _rate(prediction.ceiling_busbw_bytes_per_s, factor),
            bound,
        )
        previous = name
    return table


def _rate(rate_bytes_per_s: float | None, factor: float) -> str:
    return "" if rate_bytes_per_s is None else f"{units.gbytes_per_s(rate_bytes_per_s) * factor:.4g}"
