"""What a run and its points were, in the form that is written down: `RunManifest` and `Record` from what happened."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from bench import provenance
from bench.config import BenchConfig
from bench.launch.identity import OWN_PREFIX, RankIdentity
from bench.measure.engine import Measurement
from bench.model.collective import Collective, host_egress_bytes
from bench.model.fabric import Network
from bench.model.predict import predict
from bench.points import Point, skipped
from bench.record import Record, RunManifest
from bench.run_folder import new_run_id


def manifest_of(
    config: BenchConfig,
    kind: str,
    identity: RankIdentity,
    hosts: list[str],
    links: dict[str, Any] | None,
    num_points: int,
    environ: Mapping[str, str],
) -> RunManifest:
    """The manifest of a run that begins now. ``hosts`` holds the host name of every rank."""
    names = list(dict.fromkeys(hosts))
    return RunManifest(
        run_id=environ.get(f"{OWN_PREFIX}RUN_ID") or new_run_id(),
        started_utc=provenance.now_utc(),
        status="running",
        status_reason=None,
        exit_status=None,
        command=json.loads(environ.get(f"{OWN_PREFIX}COMMAND", "null")) or sys.argv,
        config=config.to_json(),
        config_sha256=config.sha256(),
        versions=provenance.versions(),
        hosts=[provenance.host() | {"name": names[0]}] + [{"name": name} for name in names[1:]],
        ranks=[{"rank": rank, "host": name} for rank, name in enumerate(hosts)],
        launcher=kind,
        launched_by=identity.source,
        backend=config.backend,
        num_ranks=len(hosts),
        num_hosts=len(names),
        transceiver=config.transceiver.name,
        fabric="emulated" if kind == "emulated" else config.fabric.name,
        time_scale=config.emulation.time_scale if kind == "emulated" else None,
        links=links,
        environment=provenance.environment(environ),
        skipped=skipped(config, len(hosts)),
        num_points_planned=num_points,
    )


def record_of(
    point: Point,
    measurement: Measurement,
    net: Network | None,
    num_hosts: int,
    backend: str,
    is_checked: bool,
    processor_shares: tuple[float | None, float | None],
) -> Record:
    """One finished point, measured and predicted.

    ``is_checked``: whether data of this type can show a wrong element. ``processor_shares``: busy, and taken by other
    machines.
    """
    prediction = predict(point.spec, net) if net is not None else None
    warnings = []
    if measurement.is_cut_by_budget:
        warnings.append("budget: fewer samples than planned; raise timing.budget_s")
    if measurement.is_interrupted and not measurement.is_cut_by_budget:
        warnings.append("interrupted: fewer samples than planned")
    return Record(
        point_id=point.point_id,
        attempt=0,
        status="complete" if measurement.num_wrong_elements == 0 else "wrong_data",
        collective=point.collective.value,
        algorithm=point.algorithm,
        algorithm_source=_algorithm_source(point, backend),
        backend=backend,
        dtype=point.dtype,
        reduce_op=point.reduce_op if point.collective is Collective.all_reduce else None,
        placement=point.placement,
        measure_pass=point.measure_pass,
        group="world",
        num_ranks=point.num_ranks,
        num_hosts=num_hosts,
        message_bytes=point.message_bytes,
        calls_per_sample=1,
        durations_s=measurement.slowest_s,
        rank_mean_s=[sum(row) / len(row) for row in measurement.duration_s],
        first_call_s=measurement.first_call_s,
        num_wrong_elements=measurement.num_wrong_elements if is_checked else None,
        # Trays of a rack are one host as far as its network is concerned.
        fabric_bytes_per_rank=_fabric_bytes_per_rank(point, net.num_hosts if net else num_hosts, backend),
        predicted_time_s=prediction.duration_s if prediction else None,
        ceiling_time_s=prediction.ceiling_s if prediction and prediction.loads else None,
        predicted_bound=prediction.bound_by if prediction else None,
        also_bound_by=list(prediction.also_bound_by) if prediction else [],
        is_bucket_dominated=prediction.is_bucket_dominated if prediction else False,
        busy_share=processor_shares[0],
        steal_share=processor_shares[1],
        warnings=warnings,
    )


def _algorithm_source(point: Point, backend: str) -> str:
    """``forced`` where we send the messages ourselves, ``assumed`` for gloo, whose source has one schedule for each."""
    if point.algorithm != "native" or point.collective is Collective.send_recv:
        return "forced"
    return "assumed" if backend == "gloo" else "unknown"


def _fabric_bytes_per_rank(point: Point, num_hosts: int, backend: str) -> float | None:
    if point.num_ranks % num_hosts:
        return None
    if (
        num_hosts > 1
        and _algorithm_source(point, backend) == "unknown"
        and point.collective is Collective.all_reduce
    ):
        return None
    ranks_per_host = point.num_ranks // num_hosts
    return host_egress_bytes(point.spec, ranks_per_host) / ranks_per_host
