"""Run folders to frames: whatever a folder went through, it loads as far as it goes and says what is wrong with it."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.load import Run, find_runs, load_run, load_runs
from bench.record import READABLE, RECORD_VERSION, Record, RunManifest
from bench.run_folder import RunFolder
from bench.summary import COLUMNS

HOSTILE = "<script>alert(1)</script>'\";--\u2028"
SAMPLE_COLUMNS = ["point_id", "rank", "iteration", "start_s", "duration_s"]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut would leave is not the subject here."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def record(point_id: str, durations_s: Sequence[float], **changes: Any) -> Record:
    values: dict[str, Any] = {
        "point_id": point_id,
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
        "num_ranks": 3,
        "num_hosts": 3,
        "message_bytes": 1 << 20,
        "calls_per_sample": 1,
        "durations_s": list(durations_s),
        "rank_mean_s": [],
        "first_call_s": None,
        "num_wrong_elements": 0,
        "fabric_bytes_per_rank": None,
        "predicted_time_s": None,
        "ceiling_time_s": None,
        "predicted_bound": None,
        "also_bound_by": [],
        "is_bucket_dominated": False,
        "busy_share": None,
        "steal_share": None,
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
        "versions": {"linerate": "0.1.0"},
        "hosts": [{"name": HOSTILE}],
        "ranks": [{"rank": 0, "host": HOSTILE}],
        "launcher": "torchrun",
        "launched_by": "linerate",
        "backend": "gloo",
        "num_ranks": 3,
        "num_hosts": 3,
        "transceiver": "400g-osfp-dr4",
        "fabric": HOSTILE,
        "time_scale": None,
        "links": None,
        "environment": {},
        "skipped": [],
        "num_points_planned": 2,
    }
    return RunManifest(**(values | changes))


def durations(seed: int, num_ranks: int = 3, num_samples: int = 24) -> list[list[float]]:
    found: list[list[float]] = (
        np.random.default_rng(seed).lognormal(-7, 0.2, (num_ranks, num_samples)).tolist()
    )
    return found


def slowest(rows: Sequence[Sequence[float]]) -> list[float]:
    return [max(column) for column in zip(*rows, strict=True)]


def starts(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[0.1 * number for number in range(len(row))] for row in rows]


def append(folder: RunFolder, point_id: str, rows: Sequence[Sequence[float]], **changes: Any) -> None:
    folder.append(record(point_id, slowest(rows), **changes), starts(rows), rows)


def make(root: Path, run_id: str = "r1", *, is_finished: bool = True, **changes: Any) -> RunFolder:
    """A run of two points."""
    folder = RunFolder.create(root, run_id, manifest(run_id=run_id, **changes))
    append(folder, "all_reduce.a", durations(1))
    append(folder, "all_reduce.b", durations(2), message_bytes=2 << 20)
    if is_finished:
        folder.finish(status="complete", reason=None, exit_status=0)
    return folder


def rewrite(folder: RunFolder, change: dict[str, Any] | None = None, drop: Sequence[str] = ()) -> None:
    """Replace columns of samples.parquet, or take them away."""
    path = folder.path / "samples.parquet"
    table = pq.read_table(path).drop_columns(list(drop))
    for name, values in (change or {}).items():
        column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
        place = table.schema.get_field_index(name)
        table = table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
    pq.write_table(table, path)


def only_problem(run: Run) -> str:
    assert len(run.problems) == 1, run.problems
    assert run.is_partial
    return run.problems[0]


def test_a_finished_run_is_whole(tmp_path: Path) -> None:
    run = load_run(make(tmp_path).path)
    assert run.problems == () and not run.is_partial and run.why_partial is None
    assert list(run.summary.columns) == list(COLUMNS) and len(run.summary) == 2
    assert list(run.samples.columns) == SAMPLE_COLUMNS and len(run.samples) == 2 * 3 * 24
    assert [r.point_id for r in run.records] == ["all_reduce.a", "all_reduce.b"]


def test_statistics_from_samples_are_those_of_the_records(tmp_path: Path) -> None:
    run = load_run(make(tmp_path).path)
    shared = [name for name in run.summary_from_samples.columns if name in COLUMNS]
    assert len(shared) >= 12
    pd.testing.assert_frame_equal(run.summary_from_samples[shared], run.summary[shared], check_exact=True)


@pytest.mark.parametrize("name", ["latest", "r1/manifest.json", "r1/summary.csv", "r1/", "."])
def test_a_run_is_found_by_link_and_by_a_file_in_it(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path)
    monkeypatch.chdir(folder.path if name == "." else tmp_path)
    assert load_run(name).path == folder.path
    assert find_runs(name) == [folder.path]


def test_runs_of_a_series_are_found_once_each_and_by_start(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    late = make(root, "a-late", started_utc="2026-01-01T03:00:00+02:00").path  # 01:00 in UTC
    early = make(root / "ab-1" / "a", "z-early", started_utc="2026-01-01T00:30:00Z").path
    unknown = make(root / "ab-1" / "b", "b-unknown", started_utc="unknown").path
    (root / "again").symlink_to(early)
    (root / "loop").symlink_to(root)
    assert find_runs(root) == [early, late, unknown]
    assert [run.path for run in load_runs([root / "ab-1", late, root])] == [early, unknown, late]
    with pytest.raises(ValueError, match="name one of them"):
        load_run(root)


def test_what_is_no_run_is_refused_with_advice(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    for name, why in (
        ("empty", "linerate run"),
        ("absent", "does not exist"),
        ("dangling", "link to nothing"),
    ):
        for reader in (load_run, find_runs, load_runs):
            with pytest.raises(ValueError, match=why):
                reader(tmp_path / name)


def test_records_without_a_manifest_are_refused_with_advice(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder.path / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"records\.jsonl but no manifest\.json.*copy the whole folder"):
        load_run(folder.path)


@pytest.mark.parametrize("name", ["manifest.json", "records.jsonl"])
def test_a_newer_version_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = make(tmp_path).path / name
    text = path.read_text()
    path.write_text(text.replace(f'"record_version": {RECORD_VERSION}', '"record_version": 99'))
    with pytest.raises(ValueError, match=rf"{name}.*99.*newer"):
        load_run(path.parent)


NEW_SINCE = {
    4: ({"repeat", "reported"}, {"imported"}),
    3: (
        {
            *("predicted_low_s", "predicted_high_s", "predicted_schedule", "schedule_source"),
            *("calibrated_time_s", "calibrated_low_s", "calibrated_high_s"),
        },
        {"glass"},
    ),
    2: (
        {
            *("stop_reason", "num_rejected", "num_bad", "num_checked_calls", "arrival_skew_s"),
            *("arrival_skew_max_s", "transfer_s", "clock_uncertainty_s", "finding", "finding_text"),
            *(
                "counted_bytes_per_rank",
                "load_imbalance",
                "communication_s",
                "compute_s",
                "clock_resolution_s",
            ),
        },
        {"initialisation_s", "groups"},
    ),
}
"""Keys of records and of the manifest that a version brought."""


@pytest.mark.parametrize("version", READABLE)
def test_every_older_version_is_read(tmp_path: Path, version: int) -> None:
    folder = make(tmp_path)
    expected = load_run(folder.path)
    newer = [keys for since, keys in NEW_SINCE.items() if since > version]

    def aged(text: str, place: int) -> str:
        gone = {key for keys in newer for key in keys[place]}
        kept = {key: value for key, value in json.loads(text).items() if key not in gone}
        return json.dumps(kept | {"record_version": version})

    path = folder.path / "records.jsonl"
    path.write_text("".join(f"{aged(line, 0)}\n" for line in path.read_text().splitlines()))
    path = folder.path / "manifest.json"
    path.write_text(aged(path.read_text(), 1))
    run = load_run(folder.path)
    assert not run.is_partial, run.why_partial
    pd.testing.assert_frame_equal(run.summary, expected.summary)


def test_a_run_that_was_cut_off_loads_as_far_as_it_came(tmp_path: Path) -> None:
    folder = make(tmp_path, is_finished=False, num_points_planned=5)
    (folder.path / "samples.parts" / "000002.tmp").write_bytes(b"PAR1 half of a")
    run = load_run(folder.path)
    assert run.problems == () and run.is_partial
    assert "cut off" in str(run.why_partial) and "3 of 5 planned points are missing" in str(run.why_partial)
    assert len(run.samples) == 2 * 3 * 24 and len(run.summary_from_samples) == 2


def test_a_run_of_which_nothing_was_measured_loads(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r1", manifest())
    run = load_run(folder.path)
    assert run.summary.empty and list(run.summary.columns) == list(COLUMNS)
    assert run.samples.empty and list(run.samples.columns) == SAMPLE_COLUMNS
    assert run.summary_from_samples.empty and run.problems == () and run.is_partial


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_how_a_run_ended_says_why_it_is_partial(tmp_path: Path, status: str) -> None:
    folder = make(tmp_path, is_finished=False)
    folder.finish(status=status, reason="rank 2 was killed", exit_status=3)
    assert load_run(folder.path).why_partial == f"{status}: rank 2 was killed"


def test_points_that_were_given_up_with_a_reason_are_not_missing(tmp_path: Path) -> None:
    folder = make(tmp_path, is_finished=False, num_points_planned=3, skipped=["all_reduce of 8 B: too small"])
    assert load_run(folder.path).num_points_missing == 1
    folder.add_skipped("all_gather.native.float32.out_of_place.latency.8: its buffers do not fit into memory")
    assert load_run(folder.path).num_points_missing == 0


def test_groups_side_by_side_are_one_point(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r1", manifest(num_points_planned=2))
    append(folder, "all_reduce.a", durations(1))
    for place in range(3):
        append(folder, f"all_reduce.a.rail/{place}", durations(place), group=f"rail/{place}")
    folder.finish(status="complete", reason=None, exit_status=0)
    run = load_run(folder.path)
    assert not run.is_partial, run.why_partial
    assert len(run.summary) == 4


@pytest.mark.parametrize(
    "line",
    ['{"point_id": "all_reduce.c", "att', "not json", "[]", '{"record_version": 1, "durations_s": [NaN]}'],
)
def test_a_damaged_record_is_named_and_the_others_stay(tmp_path: Path, line: str) -> None:
    path = make(tmp_path).path / "records.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    run = load_run(path.parent)
    assert "line 1" in only_problem(run) and len(run.summary) == 2


@pytest.mark.parametrize("text", ["NaN", "1e9999", "-Infinity"])
def test_a_record_with_a_number_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = make(tmp_path).path / "records.jsonl"
    first, second = path.read_text().splitlines()
    second = second.replace('"first_call_s": null', f'"first_call_s": {text}')
    path.write_text(f"{first}\n{second}\n")
    run = load_run(path.parent)
    assert len(run.problems) == 2  # and its samples now lack a record
    assert "line 2" in run.problems[0] and "no record" in run.problems[1]


def test_a_record_that_makes_no_row_is_named(tmp_path: Path) -> None:
    path = make(tmp_path).path / "records.jsonl"
    path.write_text(path.read_text().replace('"num_ranks": 3', '"num_ranks": -1', 1))
    run = load_run(path.parent)
    assert "all_reduce.a" in only_problem(run) and run.summary["point_id"].tolist() == ["all_reduce.b"]


@pytest.mark.parametrize("num_bytes", [0, 3, 100, -1, -9])
def test_a_truncated_file_of_samples_is_left_out(tmp_path: Path, num_bytes: int) -> None:
    path = make(tmp_path).path / "samples.parquet"
    path.write_bytes(path.read_bytes()[:num_bytes])
    run = load_run(path.parent)
    assert "samples.parquet is damaged" in run.problems[0] and "records alone" in run.problems[1]
    assert run.samples.empty and len(run.summary) == 2


def test_damage_in_the_middle_of_a_file_costs_the_points_in_it(tmp_path: Path) -> None:
    path = make(tmp_path).path / "samples.parquet"
    content = bytearray(path.read_bytes())
    first = pq.ParquetFile(path).metadata.row_group(0).column(4)
    begin = first.dictionary_page_offset or first.data_page_offset
    content[begin : begin + 40] = bytes(40)
    path.write_bytes(content)
    run = load_run(path.parent)
    assert "row group 1 of 2" in run.problems[0] and "1 of 2 points" in run.problems[1]
    assert run.summary_from_samples["point_id"].tolist() == ["all_reduce.b"]
    assert run.samples.empty and run.is_partial


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0, None])
def test_durations_that_are_none_are_counted_and_left_out(tmp_path: Path, value: float | None) -> None:
    folder = make(tmp_path)
    column = pq.read_table(folder.path / "samples.parquet")["duration_s"].to_pylist()
    column[0] = value
    rewrite(folder, {"duration_s": pa.array(column, pa.float64())})
    run = load_run(folder.path)
    assert "1 iterations are left out" in run.problems[0] and "contradict" in run.problems[1]
    row = run.summary_from_samples.iloc[0]
    assert (row["num_samples"], row["num_left_out"], row["num_bad_rows"]) == (23, 1, 1)
    assert row["time_s"] == pytest.approx(np.median(slowest(durations(1))[1:]), rel=1e-15)
    assert run.samples["duration_s"].isna().sum() == 1


def test_a_point_without_one_good_sample_has_no_statistics(tmp_path: Path) -> None:
    folder = make(tmp_path)
    rewrite(folder, {"duration_s": [math.nan] * 144})
    run = load_run(folder.path)
    assert (run.summary_from_samples["num_samples"] == 0).all()
    assert run.summary_from_samples["time_s"].isna().all() and run.is_partial


def test_an_iteration_that_lacks_a_rank_is_left_out(tmp_path: Path) -> None:
    folder = make(tmp_path)
    path = folder.path / "samples.parquet"
    pq.write_table(
        pq.read_table(path).slice(5), path
    )  # the first five iterations of rank 0 of the first point
    row = load_run(folder.path).summary_from_samples.iloc[0]
    assert (row["num_ranks"], row["num_samples"], row["num_left_out"]) == (3, 19, 5)


@pytest.mark.parametrize("column", ["rank", "iteration", "point_id"])
def test_rows_without_a_place_are_left_out(tmp_path: Path, column: str) -> None:
    folder = make(tmp_path)
    values = pq.read_table(folder.path / "samples.parquet")[column]
    rewrite(folder, {column: pa.array([None, *values.to_pylist()[1:]], values.type)})
    run = load_run(folder.path)
    assert run.summary_from_samples["num_samples"].tolist() == [23, 24]
    assert run.summary_from_samples["num_ranks"].tolist() == [3, 3] and run.is_partial


def test_absurd_ranks_and_iterations_cost_no_memory(tmp_path: Path) -> None:
    folder = make(tmp_path)
    table = pq.read_table(folder.path / "samples.parquet")
    huge = [2**62 if number % 7 == 0 else number for number in table["iteration"].to_pylist()]
    rewrite(folder, {"iteration": pa.array(huge, pa.int64()), "rank": pa.array([2**62] * 144, pa.int64())})
    run = load_run(folder.path)
    assert run.summary_from_samples["num_ranks"].tolist() == [1, 1] and run.is_partial
    assert run.samples.empty  # such numbers fit no column of samples


def test_samples_that_contradict_the_record_are_named(tmp_path: Path) -> None:
    folder = make(tmp_path)
    column = pq.read_table(folder.path / "samples.parquet")["duration_s"].to_numpy()
    rewrite(folder, {"duration_s": np.where(np.arange(144) < 72, column, column * 1.01)})
    assert "all_reduce.b contradict its record" in only_problem(load_run(folder.path))


def test_samples_in_single_precision_do_not_contradict(tmp_path: Path) -> None:
    folder = make(tmp_path)
    column = pq.read_table(folder.path / "samples.parquet")["duration_s"]
    rewrite(folder, {"duration_s": column.cast(pa.float32())})
    assert not load_run(folder.path).is_partial


def test_the_order_of_measurement_counts_and_that_of_the_rows_does_not(tmp_path: Path) -> None:
    folder = make(tmp_path)
    path = folder.path / "samples.parquet"
    expected = load_run(folder.path).summary_from_samples
    table = pq.read_table(path)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    pq.write_table(shuffled, path, row_group_size=50, write_statistics=False)
    found = load_run(folder.path).summary_from_samples.sort_values("point_id", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("drop", [("rank", "start_s"), ("start_s",)])
def test_a_file_of_fewer_columns_is_read(tmp_path: Path, drop: tuple[str, ...]) -> None:
    folder = RunFolder.create(tmp_path, "r1", manifest(num_points_planned=1))
    append(folder, "all_reduce.a", durations(1, num_ranks=1))
    folder.finish(status="complete", reason=None, exit_status=0)
    rewrite(folder, drop=drop)
    run = load_run(folder.path)
    assert not run.is_partial, run.why_partial
    assert list(run.samples.columns) == SAMPLE_COLUMNS and run.samples["start_s"].isna().all()


def test_a_file_of_more_columns_and_other_types_is_read(tmp_path: Path) -> None:
    folder = make(tmp_path)
    table = pq.read_table(folder.path / "samples.parquet")
    changes = {
        "power_w": [1.5] * 144,
        "point_id": table["point_id"].dictionary_encode(),
        "rank": table["rank"].cast(pa.uint8()),
        "iteration": table["iteration"].cast(pa.int64()),
    }
    rewrite(folder, changes)
    run = load_run(folder.path)
    assert not run.is_partial, run.why_partial
    assert list(run.samples.columns) == SAMPLE_COLUMNS


@pytest.mark.parametrize(
    ("change", "drop", "why"),
    [
        ({}, ["duration_s"], "no column duration_s"),
        ({"duration_s": ["1"] * 144}, [], "column duration_s is string"),
        ({"point_id": [["x"]] * 144}, [], "column point_id is list"),
        ({"rank": [0.5] * 144}, [], "column rank is double"),
    ],
)
def test_a_file_that_holds_no_samples_is_left_out(
    tmp_path: Path, change: dict[str, Any], drop: list[str], why: str
) -> None:
    folder = make(tmp_path)
    rewrite(folder, change, drop)
    run = load_run(folder.path)
    assert why in run.problems[0] and run.samples.empty


def test_in_a_ping_pong_the_two_ends_alone_are_timed(tmp_path: Path) -> None:
    rows = durations(1, num_ranks=5)
    rows[2] = [1.0] * 24  # stands by
    point = record("ping_pong.a", slowest([rows[0], rows[4]]), collective="ping_pong", num_ranks=5)
    folder = RunFolder.create(tmp_path, "r1", manifest(num_points_planned=1))
    folder.append(point, starts(rows), rows)
    folder.finish(status="complete", reason=None, exit_status=0)
    path = folder.path / "samples.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=17)  # ranks are cut in two
    run = load_run(folder.path)
    assert not run.is_partial, run.why_partial
    assert run.summary_from_samples["num_ranks"].tolist() == [5]


def test_samples_of_an_unknown_point_are_named(tmp_path: Path) -> None:
    folder = make(tmp_path)
    path = folder.path / "records.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    run = load_run(folder.path)
    assert run.problems == ("samples of all_reduce.b: there is no record",)
    assert "1 of 2 planned points are missing" in str(run.why_partial)


def test_a_run_without_its_samples_says_so(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (folder.path / "samples.parquet").unlink()
    assert "no samples" in only_problem(load_run(folder.path))


def test_hostile_names_are_text(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / HOSTILE.replace("/", "_"), "r1", manifest(num_points_planned=1))
    append(folder, f"all_reduce.{HOSTILE}", durations(1), warnings=[HOSTILE], backend=HOSTILE)
    folder.finish(status="complete", reason=None, exit_status=0)
    run = load_run(folder.path)
    assert run.summary["backend"].tolist() == [HOSTILE] and not run.is_partial
    assert run.manifest.hosts[0]["name"] == HOSTILE


def test_half_a_character_in_a_record_does_no_harm(tmp_path: Path) -> None:
    path = make(tmp_path).path / "records.jsonl"
    path.write_text(path.read_text().replace('"backend": "gloo"', '"backend": "gl\\ud800oo"'))
    run = load_run(path.parent)
    assert run.summary["backend"].tolist() == ["gl?oo"] * 2
    run.summary.to_csv(path.parent / "again.csv")


def test_empty_columns_of_numbers_are_numbers(tmp_path: Path) -> None:
    summary = load_run(make(tmp_path).path).summary
    assert summary["efficiency"].dtype == np.float64 and summary["efficiency"].isna().all()
    assert summary["num_ranks"].dtype == np.int64


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    path = make(tmp_path).path / "samples.parquet"
    path.unlink()
    os.mkfifo(path)
    assert load_run(path.parent).samples.empty


@dataclass(frozen=True)
class Layout:
    """How the rows of a randomized file stand."""

    num_ranks: int
    num_samples: int
    row_group_size: int


def test_random_layouts_give_the_slowest_rank_of_every_iteration(tmp_path: Path) -> None:
    """Whatever the shape of points and of row groups: the same numbers as from the matrix."""
    generator = np.random.default_rng(7)
    for number in range(6):
        folder = RunFolder.create(tmp_path, f"r{number}", manifest(num_points_planned=4))
        expected = {}
        for point in range(4):
            layout = Layout(
                num_ranks=int(generator.integers(1, 30)),
                num_samples=int(generator.integers(1, 150)),
                row_group_size=int(generator.integers(1, 1500)),
            )
            rows = durations(100 * number + point, layout.num_ranks, layout.num_samples)
            kept = sorted(
                generator.choice(2 * layout.num_samples, layout.num_samples, replace=False).tolist()
            )
            found = record(f"all_reduce.{point}", slowest(rows))
            folder.append(found, starts(rows), rows, ranks=[3 * r for r in range(len(rows))], iterations=kept)
            expected[found.point_id] = found.durations_s
        folder.finish(status="complete", reason=None, exit_status=0)
        path = folder.path / "samples.parquet"
        pq.write_table(pq.read_table(path), path, row_group_size=layout.row_group_size)
        run = load_run(folder.path)
        assert not run.is_partial, run.why_partial
        shared = [
            name for name in run.summary_from_samples.columns if name in COLUMNS and name != "num_ranks"
        ]
        pd.testing.assert_frame_equal(run.summary_from_samples[shared], run.summary[shared], check_exact=True)
