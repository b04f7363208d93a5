"""Frames of logs that were not imported: nothing is lost, nothing is computed anew, nobody's secret is shown."""

import gzip
from pathlib import Path
from typing import Final

import pandas as pd
import pytest

from analysis.figures import busbw, latency
from analysis.load import load_run
from analysis.logs import (
    READINGS,
    TABLES,
    UNREAD,
    lines_frame,
    read_log_frame,
    tables_frame,
    unread_frame,
)
from bench.importing import import_log
from tests.nccl_layouts import Job, current, since_2017, since_2019, since_2022

LAYOUTS: Final = {"2017": since_2017, "2019": since_2019, "2022": since_2022, "today": current}


@pytest.fixture(params=list(LAYOUTS))
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "nccl.log"
    path.write_text(LAYOUTS[request.param](Job()))
    return path


def test_every_row_of_every_layout_is_two_readings(log: Path) -> None:
    job, frame = Job(), read_log_frame(log)
    assert list(frame.columns) == list(READINGS)
    assert list(frame["message_bytes"]) == [size for size in job.sizes for _ in range(2)]
    assert list(frame["placement"]) == ["out_of_place", "in_place"] * len(job.sizes)
    exact_s = [job.time_s(size, place) for size in job.sizes for place in range(2)]
    assert (frame["time_rounding_low_s"] <= exact_s).all() and (
        frame["time_rounding_high_s"] >= exact_s
    ).all()
    assert (frame["time_rounding_low_s"] <= frame["time_s"]).all()
    assert (frame["time_s"] <= frame["time_rounding_high_s"]).all()
    lines = log.read_text().splitlines()
    sizes = [int(lines[number - 1].split()[0]) for number in frame["line"]]
    assert sizes == list(frame["printed_bytes"]), "line is the line of the file"


def test_bandwidths_are_those_that_were_printed(tmp_path: Path) -> None:
    path = tmp_path / "nccl.log"
    path.write_text(current(Job(sizes=[8, 2**30])))
    frame = read_log_frame(path)
    rows = [
        line.split() for line in path.read_text().splitlines() if line.split()[:1] in (["8"], [str(2**30)])
    ]
    printed = [float(row[column]) for row in rows for column in (7, 11)]
    assert list(frame["busbw_gbytes_per_s"]) == pytest.approx(printed)
    assert printed[0] == 0, "busbw of 8 B prints as 0.00, and is not made up from the time"


def test_a_frame_says_the_same_as_the_run_that_import_makes(log: Path, tmp_path: Path) -> None:
    frame = read_log_frame(log)
    summary = load_run(import_log(log, run_dir=tmp_path / "runs").path).summary
    shared = ["collective", "algorithm", "backend", "placement", "pass", "group", "message_bytes", "time_s"]
    shared += ["time_statistic", "time_rounding_low_s", "time_rounding_high_s", "num_wrong_elements"]
    pd.testing.assert_frame_equal(frame[shared], summary[shared], check_dtype=False)


def test_tables_of_one_file_are_kept_apart(tmp_path: Path) -> None:
    first, second = Job(), Job(collective="all_to_all", num_ranks=16, num_wrong=3)
    path = tmp_path / "two.log"
    path.write_text(current(first) + current(second))
    tables = tables_frame(path)
    assert list(tables.columns) == list(TABLES)
    assert list(tables["table"]) == [1, 2] and list(tables["num_ranks"]) == [8, 16]
    assert list(tables["program"]) == ["all_reduce_perf", "alltoall_perf"]
    assert list(tables["num_rows"]) == [len(first.sizes), len(second.sizes)]
    # All-to-all in place is never checked: three wrong elements in each row that was.
    assert list(tables["num_wrong_elements"]) == [0, 3 * len(second.sizes)]
    frame = read_log_frame(path)
    assert list(frame.groupby("table").size()) == [2 * len(first.sizes), 2 * len(second.sizes)]
    unchecked = frame[frame["num_wrong_elements"].isna()]
    assert set(zip(unchecked["collective"], unchecked["placement"], strict=True)) == {
        ("all_to_all", "in_place")
    }


def test_lines_add_up_and_no_environment_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    noise = "export HF_TOKEN=do-not-show\nmodule load nccl\n"
    path.write_text(noise + current() + "  1048576 262144 float sum -1 torn\n")
    lines = lines_frame(path)
    assert lines["num_lines"].sum() == len(path.read_text().splitlines())
    assert lines.set_index("kind")["num_lines"]["row"] == len(Job().sizes)
    unread = unread_frame(path)
    assert list(unread.columns) == list(UNREAD)
    assert "do-not-show" not in unread.to_csv() + read_log_frame(path).to_csv() + tables_frame(path).to_csv()
    torn = unread[unread["excerpt"].notna()]
    assert list(torn["first_line"]) == [len(path.read_text().splitlines())]


def test_a_log_without_footer_is_partial(tmp_path: Path) -> None:
    path = tmp_path / "cut.log"
    text = current()
    path.write_text(text[: text.index("# Out of bounds")])
    tables = tables_frame(path)
    assert not tables["is_complete"].any() and tables["why_partial"].notna().all()
    assert len(read_log_frame(path)) == 2 * len(Job().sizes)


def test_figures_take_the_frame(log: Path) -> None:
    frame = read_log_frame(log)
    assert "all_reduce (bandwidth)" in busbw.draw(frame, title="a log").caption
    assert latency.draw(frame, title="a log").figure.axes


def test_a_packed_log_reads_alike(log: Path) -> None:
    packed = log.with_suffix(".gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    pd.testing.assert_frame_equal(read_log_frame(packed), read_log_frame(log))


def test_a_file_without_anything_known_has_empty_frames(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader,\n")
    assert read_log_frame(path).empty and tables_frame(path).empty
    assert not (read_log_frame(path)["num_wrong_elements"] > 0).any(), "a column of numbers, even without any"
    assert list(read_log_frame(path).columns) == list(READINGS)
    assert lines_frame(path)["num_lines"].sum() == 1


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.log", tmp_path):
        with pytest.raises(ValueError, match=str(path)):
            read_log_frame(path)
