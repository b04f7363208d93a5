"""What is on disk: records come back as they went, damage is named, and the summary follows from the records."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from analysis.load import load_run
from bench.launch.watch import finish_if_abandoned
from bench.record import RECORD_VERSION, Record, RunManifest
from bench.run_folder import RunFolder, check_writable, new_run_id
from bench.summary import COLUMNS, summary_csv, summary_rows

INTERFACE_COLUMNS = [
    "point_id",
    "attempt",
    "status",
    "collective",
    "algorithm",
    "algorithm_source",
    "backend",
    "dtype",
    "reduce_op",
    "placement",
    "pass",
    "group",
    "num_ranks",
    "num_hosts",
    "message_bytes",
    "time_s",
    "time_low_s",
    "time_high_s",
    "time_mean_rank_mean_s",
    "time_p95_s",
    "time_p99_s",
    "time_max_s",
    "num_samples",
    "algbw_gbytes_per_s",
    "bus_factor",
    "busbw_gbytes_per_s",
    "fabric_bytes_per_rank",
    "predicted_time_s",
    "predicted_busbw_gbytes_per_s",
    "ceiling_busbw_gbytes_per_s",
    "efficiency",
    "bound_by",
    "num_wrong_elements",
    "warnings",
]


def record(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "point_id": "all_reduce.native.float32.sum.in_place.latency.8000000",
        "attempt": 0,
        "status": "complete",
        "collective": "all_reduce",
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
        "message_bytes": 8_000_000,
        "calls_per_sample": 1,
        "durations_s": [0.25 + 0.001 * (i % 5) for i in range(21)],
        "rank_mean_s": [0.25, 0.251, 0.252, 0.25],
        "first_call_s": 0.4,
        "num_wrong_elements": 0,
        "fabric_bytes_per_rank": 12_000_000.0,
        "predicted_time_s": 0.25,
        "ceiling_time_s": 0.24,
        "predicted_bound": "optics",
        "also_bound_by": [],
        "is_bucket_dominated": False,
        "busy_share": 0.9,
        "steal_share": 0.0,
        "warnings": [],
    }
    return Record(**(values | changes))


def manifest(**changes: Any) -> RunManifest:
    values: dict[str, Any] = {
        "run_id": "r1",
        "started_utc": "2026-01-01T00:00:00+00:00",
        "status": "running",
        "status_reason": None,
        "exit_status": None,
        "command": ["linerate", "run"],
        "config": {},
        "config_sha256": "0",
        "versions": {},
        "hosts": [{"name": "host0"}],
        "ranks": [{"rank": 0, "host": "host0"}],
        "launcher": "emulated",
        "launched_by": "linerate",
        "backend": "gloo",
        "num_ranks": 4,
        "num_hosts": 4,
        "transceiver": "400g-osfp-dr4",
        "fabric": "emulated",
        "time_scale": 1000.0,
        "links": None,
        "environment": {},
        "skipped": [],
        "num_points_planned": 1,
    }
    return RunManifest(**(values | changes))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "r1", manifest())


def samples(found: Record) -> tuple[list[list[float]], list[list[float]]]:
    durations = [found.durations_s for _ in range(found.num_ranks or 0)]
    return [[0.5 * i for i in range(len(found.durations_s))] for _ in durations], durations


def test_records_come_back_as_they_went(folder: RunFolder) -> None:
    first, second = record(), record(point_id="other", warnings=["a; b"], reduce_op=None, steal_share=None)
    for each in (first, second):
        folder.append(each, *samples(each))
    assert folder.records() == [first, second]


def test_samples_hold_every_rank_and_iteration(folder: RunFolder) -> None:
    for each in (record(), record(point_id="other", durations_s=[1.0, 2.0])):
        folder.append(each, *samples(each))
    folder.finish(status="complete", reason=None, exit_status=0)
    run = load_run(folder.path)
    assert list(run.samples.columns) == ["point_id", "rank", "iteration", "start_s", "duration_s"]
    assert len(run.samples) == 4 * 21 + 4 * 2
    slowest = run.samples.groupby(["point_id", "iteration"])["duration_s"].max()
    assert slowest["other"].tolist() == [1.0, 2.0]
    assert not list(folder.path.glob("*.parts")) and not list(folder.path.glob("*.tmp"))


def test_a_torn_last_line_is_ignored_and_any_other_is_named(folder: RunFolder) -> None:
    folder.append(record(), *samples(record()))
    path = folder.path / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:86])
    assert len(folder.records()) == 1
    path.write_bytes(whole[:86] + b"\n" + whole)
    with pytest.raises(ValueError, match="line 1"):
        folder.records()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_a_number_is_never_written(value: float) -> None:
    with pytest.raises(ValueError):
        record(durations_s=[value]).to_line()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e9999"])
def test_nor_read(text: str) -> None:
    line = record().to_line().replace("[0.25,", f"[{text},")
    with pytest.raises(ValueError):
        Record.from_line(line)


def test_another_version_is_refused_by_number() -> None:
    with pytest.raises(ValueError, match="99"):
        Record.from_line(
            record().to_line().replace(f'"record_version": {RECORD_VERSION}', '"record_version": 99')
        )
    with pytest.raises(ValueError, match="99"):
        RunManifest.from_json(
            manifest().to_json().replace(f'"record_version": {RECORD_VERSION}', '"record_version": 99')
        )


def test_the_manifest_comes_back_and_says_how_it_ended(folder: RunFolder) -> None:
    assert folder.manifest() == manifest()
    folder.finish(status="failed", reason="rank 2 was killed by SIGKILL", exit_status=3)
    ended = folder.manifest()
    assert (ended.status, ended.exit_status, ended.status_reason) == (
        "failed",
        3,
        "rank 2 was killed by SIGKILL",
    )


def test_latest_points_at_the_newest(tmp_path: Path) -> None:
    for name in ("r1", "r2"):
        RunFolder.create(tmp_path, name, manifest(run_id=name))
    assert (tmp_path / "latest").resolve() == tmp_path / "r2"
    with pytest.raises(FileExistsError):
        RunFolder.create(tmp_path, "r1", manifest())
    assert len({new_run_id() for _ in range(100)}) == 100


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="run_dir"):
        check_writable(tmp_path / "file" / "runs")
    check_writable(tmp_path / "new" / "runs")
    assert list((tmp_path / "new" / "runs").iterdir()) == []


def test_columns_are_those_that_others_rely_on() -> None:
    """First the columns of the public interface, in their order; what came later stands behind them."""
    assert list(COLUMNS)[: len(INTERFACE_COLUMNS)] == INTERFACE_COLUMNS
    header = next(csv.reader(io.StringIO(summary_csv([record()]))))
    assert header == list(COLUMNS)


def test_a_record_of_the_first_version_is_still_read() -> None:
    old = {
        key: value
        for key, value in json.loads(record().to_line()).items()
        if key not in ("stop_reason", "num_rejected", "finding", "communication_s", "compute_s")
    }
    read = Record.from_line(json.dumps(old | {"record_version": 1}))
    assert read.stop_reason is None and read.communication_s == []
    assert summary_rows([read])[0].time_s == pytest.approx(0.252)


def test_a_row_follows_from_its_record() -> None:
    row = summary_rows([record()])[0]
    assert row.time_s == pytest.approx(0.252)
    assert row.busbw_gbytes_per_s == pytest.approx(1.5 * 8e6 / 0.252 / 1e9)
    assert row.ceiling_busbw_gbytes_per_s == pytest.approx(1.5 * 8e6 / 0.24 / 1e9)
    assert row.efficiency == pytest.approx(0.24 / 0.252)
    assert row.bound_by == "optics"
    assert row.time_p99_s is None and row.time_p95_s is not None


def test_wrong_data_get_no_bandwidth() -> None:
    row = summary_rows([record(num_wrong_elements=1, status="wrong_data")])[0]
    assert row.busbw_gbytes_per_s is None and row.algbw_gbytes_per_s is None and row.efficiency is None
    assert "wrong_data" in row.warnings and row.time_s is not None


def test_below_eight_buckets_there_is_no_efficiency() -> None:
    row = summary_rows([record(is_bucket_dominated=True, ceiling_time_s=0.0, predicted_time_s=None)])[0]
    assert row.efficiency is None and row.ceiling_busbw_gbytes_per_s is None
    assert "emulation_bucket" in row.warnings


def test_one_rank_has_no_bus_bandwidth() -> None:
    row = summary_rows([record(num_ranks=1, num_hosts=1, rank_mean_s=[0.25], predicted_bound=None)])[0]
    assert row.bus_factor == 0 and row.busbw_gbytes_per_s is None


def test_the_backend_is_blamed_only_with_evidence() -> None:
    slow = record(point_id="slow", collective="all_to_all", durations_s=[0.5] * 21)
    assert summary_rows([slow])[0].bound_by == "unknown"
    rows = summary_rows([slow, record()])
    assert rows[0].bound_by == "backend" and "backend" in rows[0].warnings
    assert summary_rows([slow, record(durations_s=[0.28] * 21)])[0].bound_by == "unknown"


def test_a_run_that_was_cut_off_loads_as_far_as_it_came(folder: RunFolder) -> None:
    folder.append(record(), *samples(record()))
    run = load_run(folder.path)
    assert run.manifest.status == "running" and len(run.summary) == 1 and run.is_partial
    assert len(run.samples) == 4 * 21, "of every rank and iteration, as far as parts of them were written"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"manifest\.json"):
        load_run(tmp_path)


def test_evidence_against_the_backend_comes_from_the_same_resource() -> None:
    """all_reduce at the rate of the optics says nothing of the spine that all_to_all has to cross."""
    slow = record(point_id="slow", collective="all_to_all", durations_s=[0.4] * 21, predicted_bound="spine")
    assert summary_rows([slow, record()])[0].bound_by == "unknown"


def test_an_abandoned_run_is_finished_as_failed_and_a_finished_one_is_left_alone(folder: RunFolder) -> None:
    folder.append(record(), *samples(record()))
    finish_if_abandoned(folder)
    ended = folder.manifest()
    assert (ended.status, ended.exit_status) == ("failed", 3) and (folder.path / "summary.csv").is_file()
    folder.finish(status="complete", reason=None, exit_status=0)
    finish_if_abandoned(folder)
    assert folder.manifest().status == "complete"
