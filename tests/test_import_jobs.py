"""Logs as jobs leave them: pieces behind prefixes, progress bars, tests that died, secrets beside the benchmark's lines."""

import json
import random
from pathlib import Path

import pytest

from analysis.load import load_run
from bench.cli import main
from bench.importers.foreign import ForeignTable
from bench.importers.prefix import stripped
from bench.importers.reader import read_text
from bench.importers.redaction import without_secrets
from bench.importing import REPORT, out_folders
from tests import nccl_layouts as layouts
from tests.nccl_layouts import Job
from tests.test_import_nccl import assert_accounted, assert_true_to, only_table
from tests.test_import_noise import info, points

SECRET = "hunter2hunter2"


def pieces_of(row: str, *, has_stamp: bool = False) -> list[str]:
    """A row as it is printed: what both halves share, each half, and the time stamp with the second."""
    tokens = row.split()
    ends = (5, 9, 15 if has_stamp else 13)
    return ["  ".join(tokens[begin:end]) for begin, end in zip((0, *ends), ends, strict=False)]


# --- rows in pieces ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix", ["", "node01: ", "x1000c0s0b0n0 0: ", "[default0]:", "2026-01-05 10:00:00 - INFO - "]
)
@pytest.mark.parametrize("has_stamp", [False, True])
def test_pieces_of_rows_have_the_prefix_of_their_table(prefix: str, has_stamp: bool) -> None:
    test = Job(sizes=(256, 2**20))
    lines = []
    for line in layouts.current(test, has_stamps=has_stamp).splitlines():
        if line.split()[:1] in (["256"], ["1048576"]):
            first, second, third = pieces_of(line, has_stamp=has_stamp)
            line = f"{first}{info('opCount 0')}\n{prefix}{info('in between')}\n{prefix}{second}{info('x')}\n{prefix}{third}"
        lines.append(f"{prefix}{line}\n")
    assert_true_to(only_table("".join(lines)), test)


@pytest.mark.parametrize(
    "others",
    ["libibverbs: Warning: no driver", "[gpu1] late", " srun: Job step is late", "NCCL version 2.28.7"],
)
def test_what_others_print_behind_a_piece_is_not_of_the_row(others: str) -> None:
    for collective in ("all_reduce", "all_to_all", "hypercube"):
        test = Job(collective=collective, num_ranks=4, sizes=(256,))
        lines = layouts.current(test).splitlines()
        (at,) = [index for index, line in enumerate(lines) if line.split()[:1] == ["256"]]
        tokens = lines[at].split()
        for cut in (len(tokens) - 8, len(tokens) - 4, len(tokens)):
            torn = [f"  {'  '.join(tokens[:cut])}{others}", f"  {'  '.join(tokens[cut:])}"]
            text = "\n".join([*lines[:at], *torn, *lines[at + 1 :]]) + "\n"
            assert_true_to(only_table(text), test)


def test_a_number_that_somebody_else_prints_does_not_complete_a_row() -> None:
    lines = layouts.since_2022(Job(sizes=(256,))).splitlines()
    (at,) = [index for index, line in enumerate(lines) if line.split()[:1] == ["256"]]
    first, second, third = pieces_of(lines[at])
    torn = [first + info("x"), "12 GPUs were found", "3.5 h to go", second + info("y"), third]
    table = only_table("\n".join([*lines[:at], *torn, *lines[at + 1 :]]) + "\n")
    assert points(table) == points(only_table("\n".join(lines) + "\n"))


# --- progress bars and quotations --------------------------------------------------------------------------------------------


def test_a_progress_bar_costs_no_row() -> None:
    lines = layouts.current().splitlines()
    bar = "\r 10%|##        | 1/10 [00:01<00:09]\r100%|##########| 10/10 [00:10<00:00]"
    for text in (
        "".join(f"{bar}\r{line}\r\n" for line in lines),
        "".join(f"{line}{bar}\n" for line in lines),
        "".join(f"{bar}{line}\n" for line in lines),
    ):
        assert points(only_table(text)) == points(only_table(layouts.current()))


def test_rows_that_overwrite_each_other_are_named() -> None:
    lines = layouts.current().splitlines()
    (at,) = [index for index, line in enumerate(lines) if line.split()[:1] == ["64"]]
    log = read_text("\n".join([*lines[:at], f"{lines[at]}\r{lines[at + 1]}", *lines[at + 2 :]]) + "\n")
    assert len(log.tables[0].points) == 8 and "26 tokens" in log.unread[0].reason


@pytest.mark.parametrize(
    "line",
    [
        "+ grep '# Avg bus bandwidth    : 12' log",
        "awk '/# Out of bounds values : 0/ {print}' log",
        'echo "# nThread 1 nGpus 8 minBytes 8"',
        "+ echo # Using devices",
    ],
)
def test_who_looks_for_a_line_does_not_print_it(line: str) -> None:
    assert stripped(line).text == line


# --- tests that died ---------------------------------------------------------------------------------------------------------


def test_several_programs_of_which_the_last_dies_are_a_partial_run(tmp_path: Path) -> None:
    names = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv")
    tests = [Job(collective=name, num_ranks=16) for name in names]
    died = "".join(layouts.current(tests[-1]).partition("       size")[0].splitlines(keepends=True)[:-1])
    failure = "node0: Test NCCL failure common.cu:303 'internal error'\n .. node0 pid 7: Test failure common.cu:401\n"
    text = "".join(map(layouts.current, tests[:-1])) + died + failure
    (tmp_path / "bench.log").write_text(text)
    assert main(["import", str(tmp_path / "bench.log"), "--out", str(tmp_path / "r")]) == 0
    run = load_run(tmp_path / "r")
    assert run.is_partial and "sendrecv_perf printed no row" in (run.why_partial or "")
    assert len(run.records) == 2 * 4 * len(layouts.SIZES) and run.num_points_missing == 0
    assert list(dict.fromkeys(run.summary["collective"])) == list(names[:-1])
    report = json.loads((tmp_path / "r" / REPORT).read_text())
    assert [table["num_rows"] for table in report["tables"]] == [len(layouts.SIZES)] * 4 + [0]
    assert any("Test NCCL failure" in warned["text"] for warned in report["warnings"])


def test_a_refused_log_says_what_went_wrong_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = layouts.current().partition("       size")[0].rpartition("\n")[0]
    (tmp_path / "a.log").write_text(f"{head}\nnode0: Test CUDA failure common.cu:12 'out of memory'\n")
    assert main(["import", str(tmp_path / "a.log"), "--out", str(tmp_path / "r")]) == 2
    assert "out of memory" in capsys.readouterr().err


def test_values_out_of_bounds_fail_the_run_where_no_row_counts_them(tmp_path: Path) -> None:
    text = layouts.since_2019(Job()).replace("Out of bounds values : 0 OK", "Out of bounds values : 3 FAILED")
    (tmp_path / "all_reduce_perf.log").write_text(text)
    assert main(["import", str(tmp_path / "all_reduce_perf.log"), "--out", str(tmp_path / "r")]) == 0
    manifest = load_run(tmp_path / "r").manifest
    assert (manifest.status, manifest.exit_status) == ("failed", 1)
    assert "3 values out of bounds" in (manifest.status_reason or "")


def test_what_hundreds_of_processes_say_is_one_warning() -> None:
    lines = [
        f"srun: error: nid{5000 + n:06d}: tasks {4 * n}-{4 * n + 3}: Exited with exit code 1"
        for n in range(512)
    ]
    lines += [f"node{n}:{n}7:{n}8 [{n}] NCCL WARN NET/IB : mlx5_{n % 2}:1 failed" for n in range(8)]
    lines += ["node1: Test NCCL failure common.cu:303 'x'", "node1: Test NCCL failure common.cu:401 'x'"]
    lines.append("MPICH Slingshot Network Summary: 3 network timeouts")
    log = read_text(layouts.current() + "\n".join(lines) + "\n")
    texts = [warned.text for warned in log.warnings]
    assert len(texts) == 6
    assert (
        texts[0].endswith("Exited with exit code 1 (and 511 more like it)")
        and "3 network timeouts" in texts[-1]
    )


def test_a_command_that_names_a_failure_is_no_failure() -> None:
    commands = (
        "srun --kill-on-bad-exit=1 ./x.sh",
        "mpirun --abort-on-error -np 8 ./y",
        "flux run --exit-timeout=5 ./z",
    )
    said = (
        "srun: Force Terminated StepId=1.0 (killed)",
        "mpirun noticed that process rank 0 exited on signal 9 (Killed).",
    )
    log = read_text(layouts.current() + "\n".join([*commands, *said]) + "\n")
    assert [warned.text for warned in log.warnings] == list(said)


# --- secrets -----------------------------------------------------------------------------------------------------------------

DUMP = (
    f"HF_TOKEN={SECRET}",
    f"ERROR_TOKEN=killed {SECRET} exited with exit code 1",
    f"(head, rank=0, pid=1) ERROR_TOKEN=killed {SECRET} exited with exit code 1",
    f"# token: {SECRET}",
    f"# password {SECRET} timed out",
    f"curl: (28) timed out https://user:{SECRET}@host/",
    f"curl: (28) timed out -H 'Authorization: Bearer {SECRET}'",
    f"srun --kill-on-bad-exit=1 --export=ALL,NGC_API_KEY={SECRET} ./x.sh",
    f"mpirun -x WANDB_API_KEY={SECRET} --abort-on-error -np 8 \\",
    f"mpirun noticed that process rank 0 of -x LICENSE={SECRET} exited on signal 9",
    f"slurmstepd: error: cannot export 'OPENAI_API_KEY': '{SECRET}'",
    f"machine github.com login me password {SECRET} timed out",
    f"8 2 float sum -1 {SECRET}",
    f"8 2 float sum -1 1.0 HF_TOKEN={SECRET}",
    f"#  Rank 99 Group  0 Pid 4000 on node0 device  0 [0000:01:00] NVIDIA H100HF_TOKEN={SECRET}",
    f"# Blocking Enabled: API_KEY={SECRET}",
)


def test_nothing_that_is_kept_or_shown_holds_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(5)
    lines = []
    for line in layouts.current().splitlines():
        lines += [line, *rng.sample(DUMP, k=3)]
    (tmp_path / "a.log").write_text("\n".join([*lines, *DUMP]) + "\n")
    assert main(["import", str(tmp_path / "a.log"), "--out", str(tmp_path / "r")]) == 0
    said = capsys.readouterr()
    kept = {path.name: path.read_text(errors="replace") for path in (tmp_path / "r").iterdir()}
    for name, text in {**kept, "out": said.out, "err": said.err}.items():
        assert SECRET not in text, name
    assert len(load_run(tmp_path / "r").records) == 2 * len(layouts.SIZES)


@pytest.mark.parametrize(
    "text",
    [
        "node1:1:2 [0] NCCL WARN NET/IB : Got completion with status=12 opcode=1 len=0 vendor err 129",
        "srun: error: node1: task 3: Exited with exit code 1",
        "NCCL_IB_TIMEOUT=22 timed out",
        "KILLED BY SIGNAL: 9 (Killed)",
        "MPICH Slingshot Network Summary: 3 network timeouts",
    ],
)
def test_messages_without_a_secret_stay_whole(text: str) -> None:
    assert without_secrets(text) == text


# --- folders -----------------------------------------------------------------------------------------------------------------


def test_logs_of_one_name_have_folders_of_their_own() -> None:
    out = Path("out")
    assert out_folders([Path("a.log"), Path("b.log")], out) == [out / "a", out / "b"]
    assert out_folders([Path("a.log"), Path("a.txt")], out) == [out / "a.log", out / "a.txt"]
    jobs = [Path(f"results/job-{number}-logs/bench.log") for number in (4, 8)]
    assert out_folders(jobs, out) == [out / "job-4-logs-bench", out / "job-8-logs-bench"]
    assert out_folders([jobs[0], jobs[0]], out) == [out / "bench"] * 2


def test_a_run_folder_is_no_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.log").write_text(layouts.current())
    assert main(["import", str(tmp_path / "a.log"), "--out", str(tmp_path / "r")]) == 0
    assert main(["import", str(tmp_path / "r"), "--out", str(tmp_path / "q")]) == 2
    assert "a run folder already" in capsys.readouterr().err


def test_a_number_of_ranks_that_the_log_contradicts_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.log").write_text(layouts.current())
    asked = ["import", str(tmp_path / "a.log"), "--out", str(tmp_path / "r"), "--num-ranks", "5"]
    assert main(asked) == 0
    assert "does not count" in capsys.readouterr().out
    assert load_run(tmp_path / "r").manifest.num_ranks == 8


def test_ranks_that_only_the_user_knows_are_everywhere(tmp_path: Path) -> None:
    osu = "# OSU MPI Alltoall Latency Test v7.4\n# Size       Avg Latency(us)\n4                       3.10\n"
    (tmp_path / "a.log").write_text(osu)
    asked = ["import", str(tmp_path / "a.log"), "--out", str(tmp_path / "r"), "--num-ranks", "5"]
    assert main(asked) == 0
    (table,) = json.loads((tmp_path / "r" / REPORT).read_text())["tables"]
    assert (table["num_ranks"], table["num_ranks_source"]) == (5, "given")
    assert load_run(tmp_path / "r").summary["message_bytes"].tolist() == [20]


def tables_with_rows(text: str) -> list[ForeignTable]:
    log = read_text(text)
    assert_accounted(log, text)
    return [table for table in log.tables if table.points]


def test_labels_of_many_tasks_and_counters_behind_the_table() -> None:
    """As srun -l prints it on thousands of ranks, with what a network reports at the end."""
    test = Job(num_ranks=64, num_hosts=16)
    lines = [f"+ export 'NCCL_NET=AWS Libfabric'\n+ http_proxy=http://me:{SECRET}@proxy:8080\n"]
    lines += [
        f"{n:4d}: cpu-bind=MASK - nid{n:06d}, task {n:2d}  0 [{n}]: mask 0xffff set\n" for n in range(64)
    ]
    lines += [f"   0: {line}\n" for line in layouts.since_2022(test).splitlines()]
    lines += [
        "   0: \n",
        "   0: MPICH Slingshot Network Summary: 17 network timeouts\n",
        "   0: Counter                   Samples          Min         (/s)\n",
        "   0: rh:nacks                        1           21          0.8\n",
        "srun: Terminating StepId=152440.0\n",
    ]
    text = "".join(lines)
    (table,) = tables_with_rows(text)
    assert_true_to(table, test)
    assert (table.num_ranks, table.num_ranks_source, table.is_complete) == (64, "devices", True)
    log = read_text(text)
    assert "17 network timeouts" in log.warnings[-1].text or "17 network timeouts" in log.warnings[-2].text
    assert SECRET not in str(log)
