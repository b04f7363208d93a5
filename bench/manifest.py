"""`manifest_of`: what a run is, in the form that is written down when it begins."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from bench import provenance
from bench.config import BenchConfig
from bench.environment import allowed
from bench.glass import glass_of
from bench.launch.identity import OWN_PREFIX, RankIdentity
from bench.model.fabric import Network
from bench.model.grouping import WORLD, groups_of
from bench.points import Plan
from bench.record import RunManifest
from bench.run_folder import new_run_id


def named_fabric(config: BenchConfig, kind: str) -> str:
    """How the manifest names the fabric."""
    return "emulated" if kind == "emulated" else config.fabric.name


def manifest_of(
    config: BenchConfig,
    kind: str,
    identity: RankIdentity,
    hosts: list[str],
    links: dict[str, Any] | None,
    plan: Plan,
    initialisation_s: float,
    environ: Mapping[str, str],
    network: Network | None,
) -> RunManifest:
    """The manifest of a run that begins now. ``hosts`` holds the host name of every rank."""
    glass = glass_of(config, network)
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
        fabric=named_fabric(config, kind),
        time_scale=config.emulation.time_scale if kind == "emulated" else None,
        links=links,
        environment=allowed(environ),
        skipped=list(plan.skipped),
        num_points_planned=len(plan.points),
        initialisation_s=initialisation_s,
        glass=None if glass is None else glass.to_json(),
        groups={
            group.name: list(group.ranks)
            for kind_of_group in config.groups
            if kind_of_group != WORLD
            for group in groups_of(kind_of_group, hosts)
        },
    )
