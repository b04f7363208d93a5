"""Many runs as one: frames, statistics from samples, and SQL that reaches the samples and nothing else."""

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.load import load_run
from analysis.sample_summary import FROM_SAMPLES
from analysis.store import RUN_COLUMNS, Store
from bench.model.statistics import summarise
from bench.record import RECORD_VERSION, Record, RunManifest
from bench.run_folder import RunFolder
from bench.summary import COLUMNS

HOSTILE = "<b>'; DROP VIEW samples; --[x]*?\"&{a,b}"
VIEW = ["run_id", "point_id", "rank", "iteration", "start_s", "duration_s"]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut would leave is not the subject here."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def make(
    root: Path,
    run_id: str,
    *,
    seed: int = 0,
    num_samples: int = 30,
    points: Sequence[str] = ("all_reduce.a", "all_reduce.b"),
    started_utc: str = "2026-01-01T00:00:00+00:00",
    is_finished: bool = True,
    **changes: Any,
) -> Path:
    """A run of some points of three ranks."""
    manifest = RunManifest(
        run_id=changes.pop("manifest_run_id", run_id),
        started_utc=started_utc,
        status="running",
        status_reason=None,
        exit_status=None,
        command=["linerate", "run"],
        config={},
        config_sha256="0",
        versions={"linerate": "0.1.0"},
        hosts=[{"name": HOSTILE}],
        ranks=[],
        launcher="torchrun",
        launched_by="linerate",
        backend="gloo",
        num_ranks=3,
        num_hosts=3,
        transceiver="400g-osfp-dr4",
        fabric="quiet",
        time_scale=None,
        links=None,
        environment={},
        skipped=[],
        num_points_planned=len(points),
    )
    folder = RunFolder.create(root, run_id, manifest)
    generator = np.random.default_rng(seed)
    for number, point_id in enumerate(points):
        rows = generator.lognormal(-7, 0.3, (3, num_samples)).tolist()
        record = Record(
            point_id=point_id,
            attempt=0,
            status="complete",
            collective="all_reduce",
            algorithm="native",
            algorithm_source="assumed",
            backend="gloo",
            dtype="float32",
            reduce_op="sum",
            placement="in_place",
            measure_pass="latency",
            group="world",
            num_ranks=3,
            num_hosts=3,
            message_bytes=1 << (20 + number),
            calls_per_sample=1,
            durations_s=[max(column) for column in zip(*rows, strict=True)],
            rank_mean_s=[],
            first_call_s=None,
            num_wrong_elements=0,
            fabric_bytes_per_rank=None,
            predicted_time_s=None,
            ceiling_time_s=None,
            predicted_bound=None,
            also_bound_by=[],
            is_bucket_dominated=False,
            busy_share=None,
            steal_share=None,
            **changes,
        )
        folder.append(record, [[0.0] * num_samples] * 3, rows)
    if is_finished:
        folder.finish(status="complete", reason=None, exit_status=0)
    return folder.path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two whole runs and one that was cut off."""
    make(tmp_path, "first", seed=1)
    make(tmp_path, "second", seed=2, started_utc="2026-01-02T00:00:00+00:00")
    make(tmp_path, "third", seed=3, started_utc="2026-01-03T00:00:00+00:00", is_finished=False)
    with Store(tmp_path) as opened:
        yield opened


def test_runs_are_described_in_the_order_of_their_start(store: Store) -> None:
    assert list(store.runs.columns) == list(RUN_COLUMNS)
    assert store.runs["run_id"].tolist() == list(store.run_ids) == ["first", "second", "third"]
    assert store.runs["is_partial"].tolist() == [False, False, True]
    assert store.runs["num_points"].tolist() == [2, 2, 2]


def test_points_of_all_runs_are_those_of_each(store: Store) -> None:
    assert list(store.points.columns) == ["run_id", *COLUMNS]
    for run_id in store.run_ids:
        own = store.points[store.points["run_id"] == run_id].drop(columns="run_id").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, store.run(run_id).summary)


def test_statistics_from_samples_are_exactly_those_of_summarise(store: Store) -> None:
    found = store.summary_from_samples()
    assert list(found.columns) == ["run_id", *FROM_SAMPLES] and len(found) == 6
    for row in found.to_dict("records"):
        told = summarise(store.slowest(row["run_id"], row["point_id"]).tolist())
        assert (row["num_samples"], row["time_s"]) == (told.num_samples, told.median_s)
        assert (row["time_low_s"], row["time_high_s"]) == (told.low_s, told.high_s)
        assert (row["time_p95_s"], row["time_max_s"]) == (told.p95_s, told.max_s)
        assert math.isnan(row["time_p99_s"]) and told.p99_s is None
        assert (row["time_mean_s"], row["time_min_s"]) == (told.mean_s, told.min_s)
        assert (row["time_cv"], row["num_effective_samples"]) == (told.cv, told.num_effective)


def test_the_slowest_ranks_are_those_that_the_record_holds(store: Store) -> None:
    record = store.run("second").records[1]
    assert store.slowest("second", record.point_id).tolist() == record.durations_s


def test_sql_sees_samples_points_and_runs(store: Store) -> None:
    assert list(store.sql("SELECT * FROM samples LIMIT 0").columns) == VIEW
    counted = store.sql("SELECT run_id, count(*) AS n FROM samples GROUP BY 1 ORDER BY 1")
    assert counted["n"].tolist() == [180, 180, 180]
    joined = store.sql(
        "SELECT r.run_id, p.point_id, p.time_s, median(s.slowest_s) AS again FROM points p JOIN runs r USING (run_id) JOIN "
        "(SELECT run_id, point_id, iteration, max(duration_s) AS slowest_s FROM samples GROUP BY ALL) s "
        "USING (run_id, point_id) GROUP BY ALL"
    )
    assert len(joined) == 6 and np.allclose(joined["time_s"], joined["again"], rtol=1e-15)


def test_samples_are_chosen_by_run_point_column_and_number(store: Store) -> None:
    assert len(store.samples()) == 540
    found = store.samples(run_id="first", point_id="all_reduce.b", columns=["rank", "duration_s"])
    assert list(found.columns) == ["rank", "duration_s"] and len(found) == 90
    own = load_run(store.run("first").path).samples
    expected = own[own["point_id"] == "all_reduce.b"]["duration_s"].sum()
    assert found["duration_s"].sum() == pytest.approx(expected, rel=1e-12)
    assert len(store.samples(limit=7)) == 7


def test_what_is_not_there_is_refused_with_what_is(store: Store) -> None:
    with pytest.raises(ValueError, match=r"no run 'fourth'.*first, second, third"):
        store.slowest("fourth", "all_reduce.a")
    with pytest.raises(ValueError, match=r"no samples of 'x'.*all_reduce\.a, all_reduce\.b"):
        store.slowest("first", "x")
    with pytest.raises(ValueError, match=r"no column 'power_w'.*duration_s"):
        store.samples(columns=["power_w"])
    with pytest.raises(ValueError, match="limit is -1"):
        store.samples(limit=-1)
    with pytest.raises(ValueError, match="the query fails"):
        store.sql("SELECT nonsense FROM samples")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('{folder}/*')",
        "COPY (SELECT 1) TO '{folder}/written.csv'",
        "ATTACH '{folder}/written.db'",
        "EXPORT DATABASE '{folder}/written'",
        "SET enable_external_access = true",
        "RESET allowed_paths",
        "INSTALL httpfs",
        "SELECT * FROM secret_frame",
    ],
)
def test_sql_reaches_no_other_file_and_changes_no_setting(store: Store, tmp_path: Path, query: str) -> None:
    secret_frame = pd.DataFrame({"secret": [1]})
    file = tmp_path / "secret.csv"
    secret_frame.to_csv(file, index=False)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match="the query fails"):
        store.sql(query.format(file=file, folder=tmp_path))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "name", [HOSTILE.replace("/", "_"), "new\nline", "%s{}", "back\\slash", "hive=1", "ünï \u2028"]
)
def test_names_in_paths_runs_and_points_are_text(tmp_path: Path, name: str) -> None:
    make(tmp_path / name, "r1", points=(f"all_reduce.{name}", "all_reduce.b"), manifest_run_id=name)
    with Store(tmp_path) as store:
        assert store.run_ids == (name,) and store.problems == ()
        assert len(store.samples(run_id=name, point_id=f"all_reduce.{name}")) == 90
        assert store.sql("SELECT DISTINCT run_id FROM samples")["run_id"].tolist() == [name]
        assert store.sql("SELECT run_id FROM runs")["run_id"].tolist() == [name]


def test_a_file_name_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    run = make(tmp_path, "r1")
    try:
        run.rename(tmp_path / "odd-\udcff")
    except (OSError, UnicodeError):
        pytest.skip("the file system takes text only")
    (tmp_path / "latest").unlink()
    with Store(tmp_path) as store:
        assert len(store.samples()) == 180
        assert store.sql("SELECT path FROM runs")["path"].tolist()[0].endswith("odd-?")


def test_a_run_that_was_copied_has_a_name_of_its_own(tmp_path: Path) -> None:
    run = make(tmp_path, "r1")
    shutil.copytree(run, tmp_path / "r1-from-colleague")
    with Store([tmp_path, run]) as store:
        assert store.run_ids == ("r1", "r1#2")
        assert len(store.samples(run_id="r1#2")) == 180


def test_runs_that_cannot_be_read_are_named_and_the_others_stay(tmp_path: Path) -> None:
    good, newer, torn, lost = (make(tmp_path, name) for name in ("good", "newer", "torn", "lost"))
    manifest = newer / "manifest.json"
    text = manifest.read_text().replace(f'"record_version": {RECORD_VERSION}', '"record_version": 99')
    manifest.write_text(text)
    (torn / "manifest.json").write_text('{"run_id": "torn", "star')
    (lost / "records.jsonl").unlink()
    with Store(tmp_path) as store:
        assert store.runs["run_id"].tolist() == ["good"]
        assert store.points["run_id"].unique().tolist() == ["good"]
        assert len(store.refused) == 3
        for name in ("newer", "torn", "lost"):
            assert any(str(tmp_path / name) in told for told in store.refused)
    shutil.rmtree(good)
    shutil.rmtree(lost)
    with pytest.raises(ValueError, match="no run can be read"):
        Store(tmp_path)


def test_a_damaged_file_of_samples_leaves_the_other_runs(tmp_path: Path) -> None:
    make(tmp_path, "good")
    path = make(tmp_path, "torn") / "samples.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with Store(tmp_path) as store:
        assert store.sql("SELECT DISTINCT run_id FROM samples")["run_id"].tolist() == ["good"]
        assert store.summary_from_samples()["run_id"].unique().tolist() == ["good"]
        assert all(text.startswith("torn: ") for text in store.problems) and len(store.problems) == 2
        assert len(store.points) == 4


def test_a_file_that_only_duckdb_refuses_is_told_and_the_other_runs_stay(tmp_path: Path) -> None:
    make(tmp_path, "good")
    path = make(tmp_path, "torn") / "samples.parquet"
    with Store(tmp_path) as store:
        assert len(store.summary_from_samples()) == 4
        path.write_bytes(path.read_bytes()[:-20])  # behind the back of pyarrow, which has read the footer
        with pytest.warns(UserWarning, match=r"torn/samples\.parquet is damaged"):
            assert len(store.samples()) == 180


def test_a_store_without_any_samples_still_answers(tmp_path: Path) -> None:
    (make(tmp_path, "r1") / "samples.parquet").unlink()
    with Store(tmp_path) as store:
        assert store.samples().empty and list(store.samples().columns) == VIEW
        assert store.summary_from_samples().empty
        assert list(store.summary_from_samples().columns) == ["run_id", *FROM_SAMPLES]


def test_files_of_other_columns_stand_side_by_side(tmp_path: Path) -> None:
    make(tmp_path, "usual")
    for name, extra in (
        ("more", {"power_w": pa.array([1.5] * 180), "note": pa.array(["x"] * 180)}),
        (
            "other",
            {"note": pa.array([7] * 180), 'od"d name': pa.array([1] * 180), "RANK": pa.array([9] * 180)},
        ),
    ):
        path = make(tmp_path, name) / "samples.parquet"
        table = pq.read_table(path)
        for column, values in extra.items():
            table = table.append_column(column, values)
        pq.write_table(table.drop_columns(["start_s"]), path)
    with Store(tmp_path) as store:
        found = store.samples()
        assert set(found.columns) == {*VIEW, "power_w", "note", 'od"d name'} and len(found) == 540
        notes = {run_id: set(own["note"].dropna()) for run_id, own in found.groupby("run_id")}
        assert notes == {"usual": set(), "more": {"x"}, "other": {"7"}}
        assert found["power_w"].sum() == 1.5 * 180
        assert set(found["rank"]) == {0, 1, 2}


def test_durations_that_are_none_are_null_in_sql(tmp_path: Path) -> None:
    path = make(tmp_path, "r1") / "samples.parquet"
    table = pq.read_table(path)
    values = table["duration_s"].to_pylist()
    values[:4] = [math.nan, math.inf, -1.0, 0.0]
    pq.write_table(table.set_column(4, "duration_s", pa.array(values)), path)
    with Store(tmp_path) as store:
        assert store.sql("SELECT count(*) - count(duration_s) AS n FROM samples")["n"].tolist() == [4]


def test_a_closed_store_gives_its_folder_back_and_opens_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "runs", "r1")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    store = Store(tmp_path / "runs")
    for _ in range(2):
        assert len(store.sql("SELECT * FROM runs")) == 1
        assert any(scratch.iterdir())
        store.close()
        assert not any(scratch.iterdir())
