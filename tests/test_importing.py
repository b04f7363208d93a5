"""`linerate import`: from a log to a run folder that every other verb accepts."""

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis.load import load_run
from bench.cli import main
from bench.importing import REPORT
from bench.run_folder import RunFolder

_HEAD = """\
# nThread 1 nGpus 1 minBytes 1048576 maxBytes 4194304 step: 2(factor) warmup iters: 5 iters: 20 agg iters: 1 validation: 1 graph: 0
#
# Using devices
#  Rank  0 Group  0 Pid 10 on node-a device  0 [0000:18:00] NVIDIA H100
#  Rank  1 Group  0 Pid 11 on node-a device  1 [0000:2a:00] NVIDIA H100
#  Rank  2 Group  0 Pid 20 on node-b device  0 [0000:18:00] NVIDIA H100
#  Rank  3 Group  0 Pid 21 on node-b device  1 [0000:2a:00] NVIDIA H100
#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
"""
_ROWS = """\
     1048576        262144     float     sum      -1   100.00   10.49   15.73      0   101.00   10.38   15.57      0
     2097152        524288     float     sum      -1   200.00   10.49   15.73      0   201.00   10.43   15.65    N/A
     4194304       1048576     float     sum      -1   400.00   10.49   15.73      0   401.00   10.46   15.69      0
"""
_FOOT = """\
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 15.7
#
"""


def _log(folder: Path, text: str, name: str = "all_reduce_perf.log") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("+ srun ./all_reduce_perf -b 1M -e 4M -f 2\n" + text)
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return _log(tmp_path / "logs", _HEAD + _ROWS + _FOOT)


def test_every_row_and_placement_becomes_a_point(log: Path, tmp_path: Path) -> None:
    assert main(["import", str(log), "--out", str(tmp_path / "r")]) == 0
    run = load_run(tmp_path / "r")
    assert len(run.summary) == 6
    assert set(run.summary["placement"]) == {"out_of_place", "in_place"}
    first = run.summary.iloc[0]
    assert first["collective"] == "all_reduce" and first["dtype"] == "float32"
    assert first["time_s"] == pytest.approx(100e-6)
    assert first["time_statistic"] == "mean over ranks of loop mean"
    assert first["time_rounding_low_s"] == pytest.approx(99.995e-6)
    assert first["busbw_gbytes_per_s"] == pytest.approx(1.5 * 1048576 / 100e-6 / 1e9)
    assert pd.isna(first["time_low_s"]), "one number has no interval of chance"
    unchecked = run.summary[run.summary["num_wrong_elements"].isna()]
    assert len(unchecked) == 1, "N/A is not zero"
    assert run.manifest.num_ranks == 4 and run.manifest.num_hosts == 2
    assert run.manifest.status == "complete" and run.manifest.launcher == "import"


def test_named_optics_give_points_a_ceiling(log: Path, tmp_path: Path) -> None:
    asked = ["import", str(log), "--out", str(tmp_path / "r"), "transceiver=400g-osfp-dr4", "fabric=dgx_h100"]
    assert main(asked) == 0
    summary = load_run(tmp_path / "r").summary
    assert summary["ceiling_busbw_gbytes_per_s"].notna().all()
    assert (summary["efficiency"] < 1).all()


def test_a_log_cut_off_is_partial(tmp_path: Path) -> None:
    log = _log(tmp_path / "logs", _HEAD + _ROWS)
    assert main(["import", str(log), "--out", str(tmp_path / "r")]) == 0
    run = load_run(tmp_path / "r")
    assert run.is_partial and len(run.summary) == 6
    assert run.manifest.status == "interrupted"


def test_repeats_are_kept(tmp_path: Path) -> None:
    log = _log(tmp_path / "logs", (_HEAD + _ROWS + _FOOT) * 2)
    assert main(["import", str(log), "--out", str(tmp_path / "r")]) == 0
    summary = load_run(tmp_path / "r").summary
    assert len(summary) == 12
    assert summary["point_id"].is_unique
    assert sorted(summary["repeat"].unique()) == [1, 2]


def test_wrong_elements_are_carried_along(tmp_path: Path) -> None:
    rows = _ROWS.replace("15.73      0   101.00", "15.73     12   101.00")
    log = _log(
        tmp_path / "logs",
        _HEAD + rows + "# Out of bounds values : 12 FAILED\n# Avg bus bandwidth    : 15.7\n#\n",
    )
    assert main(["import", str(log), "--out", str(tmp_path / "r")]) == 0
    run = load_run(tmp_path / "r")
    wrong = run.summary[run.summary["num_wrong_elements"] == 12]
    assert len(wrong) == 1
    assert wrong["busbw_gbytes_per_s"].isna().all(), "a fast wrong answer is not a measurement"
    assert wrong["time_s"].notna().all()
    assert run.manifest.exit_status == 1


def test_a_log_without_a_row_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = _log(tmp_path / "logs", _HEAD)
    assert main(["import", str(log), "--out", str(tmp_path / "r")]) == 2
    said = capsys.readouterr().err
    assert "no result row" in said and said.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_of_many_logs_the_good_ones_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = _log(tmp_path / "logs", _HEAD + _ROWS + _FOOT, "good.log")
    empty = _log(tmp_path / "logs", _HEAD, "empty.log")
    assert main(["import", str(good), str(empty), "--out", str(tmp_path / "r")]) == 2
    said = capsys.readouterr()
    assert "empty.log: not imported" in said.out and "1 of 2" in said.err
    assert len(load_run(tmp_path / "r" / "good").summary) == 6


def test_the_same_log_has_one_folder(log: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert main(["import", str(log), "--run-dir", str(tmp_path / "runs")]) == 0
    made = [path for path in (tmp_path / "runs").iterdir() if not path.is_symlink()]
    assert len(made) == 1
    assert (tmp_path / "runs" / "latest").resolve() == made[0].resolve()


def test_nothing_that_is_there_is_overwritten(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    assert main(["import", str(log), "--out", str(other)]) == 2
    assert "--out" in capsys.readouterr().err
    assert (other / "thesis.txt").read_text() == "precious"


def test_every_line_is_accounted_for_and_no_environment_is_copied(tmp_path: Path) -> None:
    dump = "AWS_SECRET_ACCESS_KEY=hunter2hunter2\nexport HF_TOKEN=hf_abcdef\nsome words\n"
    log = _log(tmp_path / "logs", dump + _HEAD + _ROWS + _FOOT + dump)
    assert main(["import", str(log), "--out", str(tmp_path / "r")]) == 0
    report = json.loads((tmp_path / "r" / REPORT).read_text())
    assert sum(report["lines"].values()) == len(log.read_text().splitlines())
    for file in (tmp_path / "r").iterdir():
        content = file.read_bytes()
        assert b"hunter2" not in content and b"hf_abcdef" not in content, file


def test_an_imported_run_goes_through_the_other_verbs(log: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "r")
    assert main(["import", str(log), "--out", run]) == 0
    assert main(["compare", run, run]) == 0
    assert main(["gate", run, "--baseline", run, "--tolerance", "0.05"]) == 0
    assert main(["report", run, "--out", str(tmp_path / "page.html")]) == 0
    assert main(["fit", run]) in (0, 2)
    assert RunFolder(Path(run)).records()
