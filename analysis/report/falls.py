"""`falls_of`: from the line rate of the glass to what was measured, for the largest message of each series.

The run keeps what was predicted, not the steps. They are computed again from its configuration, and shown only where they
end at the prediction that the run holds: another version of the model, or a configuration that it cannot read, has none.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.load import Run
from analysis.report.blocks import Column, Group, Table, number
from analysis.report.points import Point, largest_of_series
from analysis.report.setting import is_emulated, unit_of
from analysis.report.words import rate
from bench.catalog import from_mapping
from bench.model import units
from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Fabric, Network, emulated_network, real_network
from bench.model.framing import Transport
from bench.model.grouping import WORLD
from bench.model.held_out import experience
from bench.model.predict import predict
from bench.model.schedule import schedule_named
from bench.model.transceiver import Transceiver
from bench.model.waterfall import Step, waterfall
from bench.published import own_rows
from bench.record import Record, RunManifest

AGREES: Final = 0.01
"""Relative difference up to which the steps end at the stored prediction; `bench.model.verdict` calls so close a tie."""

MOST: Final = 12
"""Series that are shown: one for each collective that linerate knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Steps of one point; ``measured_s`` its time, ``interval`` of the prediction as busbw, in bytes per second."""

    point: Point
    steps: tuple[Step, ...]
    interval: tuple[float, float] | None

    @property
    def measured_bytes_per_s(self) -> float:
        return (self.point.busbw_gbytes_per_s or 0.0) * units.GIGA


def falls_of(run: Run, points: Sequence[Point]) -> list[Fall]:
    """One per series with a predicted time; the largest message that its ceiling can be compared with."""
    judged = [one for one in points if one.is_valid and one.efficiency is not None and one.group == WORLD]
    records = {(one.point_id, one.repeat): one for one in run.records}
    network = None
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        network = _network(run.manifest)
    found = []
    for point in largest_of_series(judged)[:MOST]:
        record = records.get((point.point_id, point.repeat))
        if record is None or not record.ceiling_time_s:
            continue
        steps = _steps(record, network) or _short(record, point)
        if steps:
            found.append(Fall(point=point, steps=steps, interval=_interval(point)))
    return found


def fall_table(manifest: RunManifest, falls: Sequence[Fall]) -> Table:
    """The same as numbers: what each step adds to the time and leaves of the busbw."""
    unit, factor = unit_of(manifest)
    groups = []
    for fall in falls:
        rows = [
            (step.label, units.format_seconds(step.duration_s), _left(step, factor), step.note)
            for step in fall.steps
        ]
        expected_s = sum(step.duration_s for step in fall.steps)
        measured_s = fall.point.time_s or 0.0
        more = measured_s - expected_s
        told = "more" if more >= 0 else "less"
        note = f"{units.format_seconds(abs(more))} {told} than the steps add up to"
        rows.append(
            ("measured", units.format_seconds(measured_s), rate(fall.point.busbw_gbytes_per_s, factor), note)
        )
        groups.append(Group(heading=fall.point.label, rows=tuple(rows)))
    return Table(
        caption="From the line rate to the busbw, step by step",
        columns=(Column(name="step"), number("time"), number(f"busbw left, {unit}"), Column(name="rests on")),
        groups=tuple(groups),
        note="Times of the steps add up to the predicted time; the last row is what was measured.",
    )


def _left(step: Step, factor: float) -> str:
    return rate(units.gbytes_per_s(step.busbw_bytes_per_s), factor)


def _network(manifest: RunManifest) -> Network | None:
    """As `linerate run` has made it out of the same configuration."""
    config: Mapping[str, Any] = manifest.config
    optics = from_mapping(Transceiver, config["transceiver"], "manifest")
    if is_emulated(manifest):
        emulation, links = config["emulation"], manifest.links or {}
        return emulated_network(
            optics,
            num_hosts=emulation["num_hosts"],
            ranks_per_host=emulation["ranks_per_host"],
            time_scale=float(manifest.time_scale or 1.0),
            mtu_bytes=links["mtu_bytes"],
            bucket_bytes=links["bucket_bytes"],
            delay_s=links.get("delay_s", 0.0),
            ports_per_host=emulation.get("ports_per_host", 1),
            hosts_per_leaf=emulation.get("hosts_per_leaf"),
            oversubscription=emulation.get("oversubscription", 1.0),
        )
    if manifest.num_ranks is None:
        return None
    fabric = from_mapping(Fabric, config["fabric"], "manifest")
    name = (fabric.transport or "unknown") if config["transport"] == "auto" else config["transport"]
    per_host = manifest.num_ranks // manifest.num_hosts if manifest.num_hosts else None
    return real_network(optics, fabric, Transport(name), manifest.num_ranks, per_host)


def _steps(record: Record, network: Network | None) -> tuple[Step, ...]:
    """The steps of `waterfall`; empty where they do not lead to the prediction that the record holds."""
    if network is None or record.predicted_time_s is None or record.num_ranks is None:
        return ()
    with contextlib.suppress(ValueError, KeyError, ArithmeticError):
        spec = CollectiveSpec(
            collective=Collective(record.collective),
            num_ranks=record.num_ranks,
            message_bytes=record.message_bytes,
        )
        schedule = schedule_named(record.predicted_schedule or "")
        known = experience(own_rows()) if record.backend in ("nccl", "rccl") else None
        prediction = predict(spec, network, schedule, known)
        steps = waterfall(prediction, network)
        if math.isclose(sum(step.duration_s for step in steps), record.predicted_time_s, rel_tol=AGREES):
            return steps
    return ()


def _short(record: Record, point: Point) -> tuple[Step, ...]:
    """Ceiling and prediction alone, which the record holds itself."""
    ceiling_s = record.ceiling_time_s or 0.0
    bus_bytes = (point.busbw_gbytes_per_s or 0.0) * units.GIGA * (point.time_s or 0.0)
    bound = record.predicted_bound or "the links"
    if ceiling_s <= 0 or bus_bytes <= 0:
        return ()
    found = [
        Step(
            label=f"ceiling ({bound})",
            duration_s=ceiling_s,
            busbw_bytes_per_s=bus_bytes / ceiling_s,
            note="stored in the run; its steps cannot be computed again",
        )
    ]
    predicted_s = record.predicted_time_s
    if predicted_s is not None and predicted_s > ceiling_s:
        more = Step(
            label="time expected above the ceiling",
            duration_s=predicted_s - ceiling_s,
            busbw_bytes_per_s=bus_bytes / predicted_s,
            note="stored in the run",
        )
        found.append(more)
    return tuple(found)


def _interval(point: Point) -> tuple[float, float] | None:
    low, high = point.predicted_low_gbytes_per_s, point.predicted_high_gbytes_per_s
    if low is None or high is None:
        return None
    return low * units.GIGA, high * units.GIGA
