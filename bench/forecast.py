"""`linerate predict`: the points of a sweep with their prediction, and no ranks."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.calibrating import Calibrated, ask
from bench.config import BenchConfig
from bench.expect import Expected, check_forced, expect
from bench.fit_file import read_calibration
from bench.glass import Glass, glass_of, goodput_of
from bench.launch.resolve import prediction_target
from bench.link import link_findings
from bench.model import units
from bench.model.collective import CollectiveSpec, bus_factor
from bench.model.degraded import degraded
from bench.model.fabric import Network, path_mtu_bytes
from bench.model.fit.calibration import Calibration
from bench.model.framing import Transport
from bench.model.optics.finding import Finding
from bench.model.predict import Prediction, between
from bench.model.transfer import schedule
from bench.model.waterfall import Step, waterfall
from bench.nccl_log import CHOSEN_COLLECTIVES
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
    "algorithm_source",
    "predicted_low_busbw_gbytes_per_s",
    "predicted_high_busbw_gbytes_per_s",
    "alternatives",
    "calibrated_time_s",
    "calibrated_low_s",
    "calibrated_high_s",
)
"""Columns of `linerate predict --out`, named as in summary.csv. alternatives: expected busbw if another schedule runs, as
``ring=351.6 tree=356.8``, in 10**9 byte/s."""


EMULATED: Final = "emulated"
"""What manifests call the emulated fabric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What was asked, in one line, one prediction per point, and what is odd about the link.

    ``notes``: what an interval rests on, where faults are injected. ``calibrated``: with a calibration, every point of every algorithm, since those of one collective differ there.
    """

    title: str
    network: Network
    backend: str
    rows: tuple[tuple[Point, Expected], ...]
    findings: tuple[Finding, ...] = ()
    calibration: Calibration | None = None
    calibrated: tuple[tuple[Point, Expected, Calibrated], ...] = ()
    glass: Glass | None = None
    notes: tuple[str, ...] = ()

    @property
    def largest(self) -> tuple[tuple[Point, Expected], ...]:
        """The row of the largest size of each collective."""
        found = {point.collective: (point, expected) for point, expected in self.rows}
        return tuple(found.values())

    def waterfalls(self) -> dict[Point, tuple[Step, ...]]:
        """From line rate to busbw, for the largest size of each collective that has a duration."""
        found = {point: waterfall(expected.prediction, self.network) for point, expected in self.largest}
        return {point: steps for point, steps in found.items() if steps}


def forecast(config: BenchConfig) -> Forecast:
    """Predict every point of the sweep. linerate's own algorithms of one collective share their prediction: the links set it.

    Raises:
        ValueError: the fabric or the optics have not been named.
    """
    network, points, settled = prediction_target(config)
    findings = link_findings(settled)
    lossless = network
    low, high = goodput_of(glass_of(settled, lossless), lossless)
    network = dataclasses.replace(lossless, goodput_low=low, goodput_high=high)
    emulated = settled.launcher.kind == "emulated"
    if settled.backend == "nccl":
        check_forced(settled.nccl.algorithm, network)
    backend = ("gloo" if settled.backend == "auto" else settled.backend) if emulated else settled.backend
    rows: dict[CollectiveSpec, tuple[Point, Expected]] = {}
    notes: dict[str, None] = {}
    for point in points:
        if point.spec in rows:
            continue
        forced = _forced(settled, point)
        expected = expect(point.spec, network, backend, forced)
        if emulated and settled.emulation.faults:
            left = degraded(
                network, settled.emulation.faults, point.collective, mtu_bytes=settled.emulation.mtu_bytes
            )
            worst = expect(point.spec, left.worst, backend, forced).prediction
            best = expect(point.spec, left.best, backend, forced).prediction
            expected = dataclasses.replace(expected, prediction=between(expected.prediction, best, worst))
            if left.basis is not None:
                notes[left.basis] = None
        rows[point.spec] = (point, expected)
    calibration = None if settled.calibration is None else read_calibration(settled.calibration)
    asked = []
    if calibration is not None:
        num_hosts = network.num_hosts * (1 if emulated else settled.fabric.hosts_per_domain)
        for point in points:
            expected = rows[point.spec][1]
            found = ask(
                calibration,
                point,
                expected.prediction,
                network,
                num_hosts=num_hosts,
                backend=backend,
                fabric=EMULATED if emulated else settled.fabric.name,
            )
            asked.append((point, expected, found))
    where = (
        f"emulated at 1/{network.scale:g}, MTU {settled.emulation.mtu_bytes}"
        if emulated
        else f"{settled.fabric.name}, {network.transport.value if network.transport is not Transport.unknown else 'InfiniBand framing'}, "
        f"MTU {path_mtu_bytes(settled.fabric, network.transport)}"
    )
    title = f"{network.num_ranks} ranks on {network.num_hosts} hosts · {settled.transceiver.name} · {where} · predicted"
    return Forecast(
        title=title,
        network=network,
        backend=backend,
        rows=tuple(rows.values()),
        findings=tuple(findings),
        calibration=calibration,
        calibrated=tuple(asked),
        notes=tuple(notes),
        glass=glass_of(settled, lossless, _of_largest(list(rows.values()))),
    )


def _of_largest(rows: Sequence[tuple[Point, Expected]]) -> Prediction | None:
    """The prediction of the largest size of the first collective: what its bits cost in energy is shown."""
    first = [expected for point, expected in rows if point.collective is rows[0][0].collective]
    return first[-1].prediction if first else None


def _forced(config: BenchConfig, point: Point) -> str | None:
    if config.backend == "mpi":
        return config.mpi.algorithm
    is_chosen = point.collective.value in CHOSEN_COLLECTIVES
    return config.nccl.algorithm if config.backend == "nccl" and is_chosen else None


def as_csv(found: Forecast) -> str:
    """The table as CSV, one row for each point; empty cells are not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for point, expected in found.rows:
        writer.writerow(["" if cell is None else cell for cell in _cells(found, point, expected)])
    return text.getvalue()


def _cells(found: Forecast, point: Point, expected: Expected) -> Sequence[object]:
    prediction = expected.prediction
    outside = [load for load in prediction.loads if load.is_outside and load.resource != "spine"]
    ports_per_rank = found.network.ports_per_host / found.network.ranks_per_host
    rates = (
        prediction.busbw_bytes_per_s,
        prediction.ceiling_busbw_bytes_per_s,
        prediction.low_busbw_bytes_per_s,
        prediction.high_busbw_bytes_per_s,
    )
    time = next((found.time for asked, _, found in found.calibrated if asked == point), None)
    busbw, ceiling, low, high = (None if rate is None else units.gbytes_per_s(rate) for rate in rates)
    return (
        point.collective.value,
        algorithm_of(point, prediction),
        point.num_ranks,
        found.network.num_hosts,
        point.message_bytes,
        bus_factor(point.collective, point.num_ranks),
        outside[0].payload_bytes * ports_per_rank if outside else 0.0,
        prediction.duration_s,
        busbw,
        ceiling,
        prediction.bound_by,
        " ".join(prediction.also_bound_by),
        expected.source,
        low,
        high,
        " ".join(
            f"{algorithm_of(point, other)}={units.gbytes_per_s(other.busbw_bytes_per_s):.6g}"
            for other in expected.others
            if other.busbw_bytes_per_s is not None
        ),
        *((None, None, None) if time is None else (time.time_s, time.low_s, time.high_s)),
    )


def algorithm_of(point: Point, prediction: Prediction) -> str:
    """The schedule predicted, by its name, or the ring or exchange that is assumed of a library that does not say."""
    return str((prediction.schedule or schedule(point.collective)).value)


def write_csv(found: Forecast, out: Path) -> None:
    """Raises ValueError where the file cannot be written."""
    try:
        out.write_text(as_csv(found), encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"--out {out} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error
