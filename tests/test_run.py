"""Runs over loopback: the same columns however ranks are started, and every end says how it ended."""

import os
import signal
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from bench.cli import main
from bench.summary import COLUMNS
from tests.processes import LINERATE, SCRIPTS, SMALL, finish, only_run, run, start

OWN = [*LINERATE, "launcher=local"]
TORCHRUN = [str(SCRIPTS / "torchrun"), "--standalone", "--nproc-per-node", "2", "-m", "bench", "backend=gloo"]
MPIRUN = [
    str(SCRIPTS / "mpirun"),
    "--allow-run-as-root",
    "--oversubscribe",
    "-n",
    "2",
    *LINERATE,
    "backend=gloo",
]


@pytest.mark.parametrize(
    ("command", "launched_by"), [(OWN, "linerate"), (TORCHRUN, "torchrun"), (MPIRUN, "openmpi")]
)
def test_the_same_columns_however_ranks_are_started(
    command: list[str], launched_by: str, tmp_path: Path
) -> None:
    # torchrun finds the package by the working directory alone where it is not installed.
    status, said = run([*command, *SMALL], tmp_path, LINERATE_FIGURE="1")
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert (manifest.status, manifest.exit_status, manifest.launched_by) == ("complete", 0, launched_by)
    header = (tmp_path / "runs" / "latest" / "summary.csv").read_text().splitlines()[0]
    assert header.split(",") == list(COLUMNS) == list(summary.columns)
    assert len(summary) == 10 and set(summary["num_samples"]) == {6}
    assert set(summary["num_wrong_elements"]) == {0}
    optics = ["predicted_time_s", "predicted_busbw_gbytes_per_s", "ceiling_busbw_gbytes_per_s", "efficiency"]
    assert summary[optics].isna().all().all(), "nothing is predicted on loopback"
    assert "optics" not in set(summary["bound_by"])
    assert (tmp_path / "runs" / "latest" / "busbw.png").stat().st_size > 10_000
    samples = pd.read_parquet(tmp_path / "runs" / "latest" / "samples.parquet")
    assert len(samples) == 10 * 2 * 6
    assert "all_to_all (pairwise)" in said and "Results: runs/" in said
    assert "Traceback" not in said and "\x1b[" not in said


def test_nothing_but_the_run_folder_is_written(tmp_path: Path) -> None:
    status, said = run([*OWN, "collectives=all_reduce", *SMALL], tmp_path)
    assert status == 0, said
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


BAD_INPUT = [
    ["transceiver=400g-osfp-dr5"],
    ["timing.num_iterations=lots"],
    ["sizes.min_bytes=-1"],
    ["sizes.max_bytes=0"],
    ["collectives=[all_redcue]"],
    ["timing.num_iteration=3"],
    ["launcher=local", "launcher.num_ranks=100000"],
    ["run_dir=/proc/nowhere"],
    ["--resume", "x"],
    ["--nonsense"],
]


@pytest.mark.parametrize("overrides", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_2_before_any_rank_starts(
    overrides: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(psutil.pids())
    assert main(["run", *overrides]) == 2
    shown = capfd.readouterr()
    assert shown.out == "" and shown.err.startswith("linerate: ")
    assert shown.err.count("\n") <= 3 and len(shown.err) < 800
    assert not [p for p in set(psutil.pids()) - before if psutil.Process(p).ppid() == os.getpid()]
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def ranks_of(process_id: int, wanted: int) -> list[psutil.Process]:
    """The rank processes below one run, once all of them are there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            below = psutil.Process(process_id).children(recursive=True)
            ranks = [p for p in below if p.cmdline()[-2:] == ["-m", "bench"]]
        except psutil.NoSuchProcess:
            ranks = []
        if len(ranks) == wanted:
            return sorted(ranks, key=lambda p: int(p.environ()["LINERATE_RANK"]))
        time.sleep(0.05)
    raise AssertionError(f"no {wanted} ranks appeared below process {process_id}")


def wait_for_points(folder: Path, number: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for records in folder.glob("runs/*/records.jsonl"):
            if records.read_bytes().count(b"\n") >= number:
                return
        time.sleep(0.05)
    raise AssertionError(f"{number} points were not finished in time")


LONG = [*OWN, "collectives=all_reduce", "sizes.list_bytes=[4KiB,8KiB,64MiB]", "timing.num_iterations=2000"]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_all_and_what_was_measured_is_there(victim: int, tmp_path: Path) -> None:
    process = start([*LONG, "launcher.num_ranks=2"], tmp_path)
    ranks = ranks_of(process.pid, 2)
    wait_for_points(tmp_path, 2)
    ranks[victim].kill()
    status, said = finish(process, timeout_s=30)
    assert status == 3, said
    manifest, summary = only_run(tmp_path)
    assert (manifest.status, manifest.exit_status) == ("failed", 3)
    assert manifest.status_reason == f"rank {victim} was killed by SIGKILL"
    assert list(summary["message_bytes"]) == [4096, 8192]
    assert manifest.status_reason in said and "Traceback" not in said
    assert not any(rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE for rank in ranks)


def test_a_rank_that_stands_still_ends_the_run_at_the_deadline(tmp_path: Path) -> None:
    process = start([*LONG, "launcher.num_ranks=2", "timing.timeout_s=4"], tmp_path)
    ranks = ranks_of(process.pid, 2)
    wait_for_points(tmp_path, 2)
    ranks[1].send_signal(signal.SIGSTOP)
    status, said = finish(process, timeout_s=40)
    assert status == 3, said
    manifest, summary = only_run(tmp_path)
    assert manifest.status == "failed" and "did not end within" in str(manifest.status_reason)
    assert list(summary["status"]) == ["complete", "complete", "timeout"]
    assert pd.isna(summary["busbw_gbytes_per_s"].iloc[-1])
    stacks = (tmp_path / "runs" / "latest" / "stacks" / "rank0.txt").read_text()
    assert "all_reduce" in stacks, "where the rank stood is written down"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_point_and_says_so(number: signal.Signals, tmp_path: Path) -> None:
    process = start([*LONG, "launcher.num_ranks=2"], tmp_path)
    wait_for_points(tmp_path, 2)
    process.send_signal(number)
    status, said = finish(process, timeout_s=30)
    assert status == 130, said
    manifest, summary = only_run(tmp_path)
    assert (manifest.status, manifest.exit_status) == ("interrupted", 130)
    assert len(summary) >= 2 and "Traceback" not in said


def test_ranks_that_disagree_stop_before_they_measure(tmp_path: Path) -> None:
    command = [*LINERATE, "backend=gloo", "collectives=all_reduce", *SMALL]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29713"}
    second = start([*command, "seed=1"], tmp_path, RANK="1", LOCAL_RANK="1", **common)
    status, said = run(command, tmp_path, RANK="0", LOCAL_RANK="0", **common)
    assert finish(second)[0] == 2
    assert status == 2 and "another configuration" in said
    assert not list(tmp_path.glob("runs/*/records.jsonl"))
