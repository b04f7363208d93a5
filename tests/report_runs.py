"""Runs that pages are made of in tests: points by the share of their ceiling, imported ones, and one that is hostile."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run, load_run
from analysis.report.points import Point, points_of
from bench import catalog
from bench.record import Record
from bench.reported import LOOP_MEAN_RANK_MEAN, Reported
from tests.fake_runs import fake_record, write_run

EVIL = "<img src=x onerror=alert(1)>"


def durations(median_s: float, num: int = 40, *, noise: float = 0.01, seed: int = 0) -> list[float]:
    rng = np.random.default_rng(seed)
    return list(median_s * np.exp(noise * rng.standard_normal(num)))


def point_of(
    efficiency: float, collective: str = "all_reduce", size: int = 8388608, **changes: Any
) -> Record:
    """A record whose busbw is ``efficiency`` of its ceiling; there are no predictions in its way."""
    ceiling_s = 1.5 * size / 49.5e6
    point_id = f"{collective}.{changes.get('algorithm', 'native')}.{changes.get('group', 'world')}.{size}"
    values: dict[str, Any] = {
        "collective": collective,
        "placement": "out_of_place",
        "message_bytes": size,
        "ceiling_time_s": ceiling_s,
        "point_id": point_id,
    }
    return fake_record(durations(ceiling_s / efficiency), **(values | changes))


def run_of(tmp_path: Path, records: Sequence[Record], **changes: Any) -> tuple[Run, list[Point]]:
    run = load_run(write_run(tmp_path, changes.pop("run_id", "r1"), records, **changes))
    return run, points_of(run)


LOOPBACK: dict[str, Any] = {
    "launcher": "local", "time_scale": None, "links": None, "fabric": "unknown", "transceiver": "unknown",
    "num_hosts": 1, "hosts": [{"name": "a"}], "ranks": [{"rank": rank, "host": "a"} for rank in range(4)],
}  # fmt: skip


def reported(size: int, time_s: float) -> Record:
    told = Reported(
        statistic=LOOP_MEAN_RANK_MEAN, time_s=time_s, time_low_s=0.9999 * time_s, time_high_s=1.0001 * time_s
    )
    changes: dict[str, Any] = {
        "predicted_time_s": None,
        "ceiling_time_s": None,
        "predicted_bound": None,
        "reported": told,
    }
    return fake_record(
        [], message_bytes=size, measure_pass="bandwidth", point_id=f"all_reduce.{size}", **changes
    )


IMPORTED: dict[str, Any] = {
    "launcher": "import", "launched_by": "nccl-tests", "time_scale": None, "links": None, "transceiver": "unknown", "fabric": "unknown",
    "imported": {
        "file": "a.log", "sha256": "ab" * 32, "format": "text", "lines": {"row": 2, "empty": 0}, "num_not_understood": 3,
        "tables": [{"program": "all_reduce_perf", "num_rows": 2, "layout": "2022"}], "warnings": [{"text": "careful"}],
    },
}  # fmt: skip


def emulated_config() -> dict[str, Any]:
    emulation = {"num_hosts": 4, "ranks_per_host": 1, "ports_per_host": 1, "oversubscription": 1.0}
    optics = dataclasses.asdict(catalog.transceiver("400g-osfp-dr4"))
    return {"device": "cpu", "transceiver": optics, "emulation": emulation, "transport": "tcp"}


def hostile_run(tmp_path: Path) -> Path:
    """Every text that a page shows holds markup, quotes, formulas or characters that turn the direction of writing."""
    names = [EVIL, r"$\frac{a}$", "a\"b'c", "\u202eevil\x00"]
    records = [
        point_of(
            0.95,
            warnings=[f"budget: {EVIL}", "no name <b>", f"odd_name: {EVIL}"],
            finding="late rank 1",
            finding_text=EVIL,
        ),
        point_of(
            0.5,
            size=2048,
            dtype=EVIL,
            algorithm="</title><script>alert(2)</script>",
            point_id=f"{EVIL}.{EVIL}",
        ),
    ]
    glass = {
        "title": EVIL,
        "line": {"line_bytes_per_s": 1e9, "basis": EVIL},
        "margin_db": {"low": 1.0, "basis": EVIL},
        "link_w": "x",
    }
    config = {
        "device": EVIL, "link": [1], "emulation": None,
        "transceiver": {"name": EVIL, "nominal_rate_gbps": "x", "sources": {EVIL: {"document": EVIL}, "b": "x"}},
        "fabric": {"name": EVIL, "sources": [1], EVIL: {EVIL: [EVIL, None, {"a": EVIL}]}},
    }  # fmt: skip
    return write_run(
        tmp_path,
        "hostile",
        records,
        hosts=[
            {"name": name, "num_processors": EVIL, "memory_bytes": EVIL, "processor": EVIL} for name in names
        ],
        ranks=[{"rank": rank, "host": name, "gpu": EVIL} for rank, name in enumerate(names)],
        command=["linerate", EVIL],
        transceiver=EVIL,
        fabric=EVIL,
        environment={"NCCL_X": EVIL, "AWS_SECRET": "s3cret"},
        skipped=[f"x: {EVIL}"],
        groups={EVIL: [0, 1]},
        glass=glass | {"warnings": [EVIL]},
        config=config,
        versions={EVIL: EVIL},
        links={"rate_bytes_per_s": 5e7, EVIL: EVIL},
    )
