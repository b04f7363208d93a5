"""Run folders with durations that a test has made up, written as linerate writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.record import Record, RunManifest
from bench.run_folder import RunFolder

SIZES = (2048, 32768, 524288, 8388608)


def fake_record(durations_s: Sequence[float], *, message_bytes: int = 8388608, **changes: Any) -> Record:
    """One all_reduce of 4 ranks on 4 hosts over an emulated 400 Mb/s link."""
    collective = changes.get("collective", "all_reduce")
    values: dict[str, Any] = {
        "point_id": f"{collective}.native.float32.sum.in_place.latency.{message_bytes}",
        "attempt": 0,
        "status": "complete",
        "collective": collective,
        "algorithm": "native",
        "algorithm_source": "assumed",
        "backend": "gloo",
        "dtype": "float32",
        "reduce_op": "sum",
        "placement": "in_place",
        "measure_pass": "latency",
        "group": "world",
        "num_ranks": 4,
        "num_hosts": 4,
        "message_bytes": message_bytes,
        "calls_per_sample": 1,
        "durations_s": [float(value) for value in durations_s],
        "rank_mean_s": [float(np.mean(durations_s))] * 4 if len(durations_s) else [],
        "first_call_s": 0.01,
        "num_wrong_elements": 0,
        "fabric_bytes_per_rank": 1.5 * message_bytes,
        "predicted_time_s": 1e-3 + 1.5 * message_bytes / 49.5e6,
        "ceiling_time_s": 1.5 * message_bytes / 49.5e6,
        "predicted_low_s": None,
        "predicted_high_s": None,
        "predicted_bound": "optics",
        "also_bound_by": [],
        "is_bucket_dominated": False,
        "busy_share": 0.5,
        "steal_share": 0.0,
        "stop_reason": "planned",
    }
    return Record(**(values | changes))


def fake_manifest(run_id: str = "r1", **changes: Any) -> RunManifest:
    values: dict[str, Any] = {
        "run_id": run_id,
        "started_utc": "2026-01-01T00:00:00+00:00",
        "status": "running",
        "status_reason": None,
        "exit_status": None,
        "command": ["linerate", "run"],
        "config": {"device": "cpu", "transceiver": {"nominal_rate_gbps": 400.0}},
        "config_sha256": "0",
        "versions": {"linerate": "0.1.0", "torch": "2.13.0"},
        "hosts": [{"name": "host0"}, {"name": "host1"}, {"name": "host2"}, {"name": "host3"}],
        "ranks": [{"rank": rank, "host": f"host{rank}"} for rank in range(4)],
        "launcher": "emulated",
        "launched_by": "linerate",
        "backend": "gloo",
        "num_ranks": 4,
        "num_hosts": 4,
        "transceiver": "400g-osfp-dr4",
        "fabric": "emulated",
        "time_scale": 1000.0,
        "links": {
            "rate_bytes_per_s": 5e7, "bucket_bytes": 375000, "queue_bytes": 15375000, "mtu_bytes": 9000,
            "delay_s": 0.0, "delay_note": "nothing is delayed", "prime_bytes": 0, "faults": [],
        },
        "environment": {},
        "skipped": [],
        "num_points_planned": 1,
    }  # fmt: skip
    return RunManifest(**(values | changes))


def write_run(
    run_dir: Path,
    run_id: str,
    points: Mapping[int, Sequence[float]] | Sequence[Record],
    *,
    status: str = "complete",
    **changes: Any,
) -> Path:
    """A run folder. ``points``: durations by message size, or whole records. ``changes``: of the manifest."""
    if isinstance(points, Mapping):
        records = [fake_record(durations, message_bytes=size) for size, durations in points.items()]
    else:
        records = list(points)
    manifest = fake_manifest(run_id, **({"num_points_planned": len(records)} | changes))
    folder = RunFolder.create(run_dir, run_id, manifest)
    for record in records:
        rows = [record.durations_s] * (record.num_ranks or 1)
        starts = [[0.5 * place for place in range(len(record.durations_s))] for _ in rows]
        folder.append(record, starts, rows)
    folder.finish(status=status, reason=None, exit_status=0)
    return folder.path


def noisy_points(
    seed: int, *, slower: float = 1.0, noise: float = 0.03, num_samples: int = 60
) -> dict[int, list[float]]:
    """Durations of every size: the link's time with independent noise, longer by the factor ``slower``."""
    rng = np.random.default_rng(seed)
    return {
        size: list((1e-3 + 1.5 * size / 48e6) * slower * np.exp(noise * rng.standard_normal(num_samples)))
        for size in SIZES
    }
