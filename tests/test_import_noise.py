"""Logs as they lie about: prefixes, other programs, pieces of rows, several tests in a file, files that were cut."""

import gzip
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.importers.foreign import ForeignPoint, ForeignTable
from bench.importers.line_book import MAX_WARNINGS
from bench.importers.prefix import decoded, physical_lines, stripped
from bench.importers.reader import NOT_RECOGNISED, read_log, read_text
from tests import nccl_layouts as layouts
from tests.nccl_layouts import Job
from tests.test_import_nccl import assert_accounted, assert_true_to, only_table

LOG = layouts.current(per_iteration=True)
NODE = "gpu-node-7"


def info(text: str, *, level: str = "INFO", node: str = NODE) -> str:
    return f"{node}:4711:4712 [0] NCCL {level} {text}"


def points(table: ForeignTable) -> list[ForeignPoint]:
    """Without what differs when lines are added."""
    return [replace(point, line=None) for point in table.points]


# --- prefixes ----------------------------------------------------------------------------------------------------------------

PREFIXES = {
    "srun -l": "0: ",
    "srun -l of many": " 12: ",
    "mpirun --tag-output": "[1,0]<stdout>:",
    "Open MPI 5": "[prterun-host-123@1,0]<stdout>: ",
    "Open MPI 5, detailed": "[prterun-node01-4711@1,3][node01:4712]<stdout>: ",
    "time stamp and tag": "Mon Jan  5 10:00:00 2026[1,0]<stdout>:",
    "mpiexec -prepend-rank": "[0] ",
    "kubectl --prefix": "[pod/nccl-launcher-x7f2p/mpi] ",
    "kubectl --timestamps": "2026-01-05T10:00:00.123456789Z ",
    "container log": "2026-01-05T10:00:00.123456789+01:00 stdout F ",
    "pod and tag": "[pod/nccl-launcher-x7f2p/mpi] 2026-01-05T10:00:00Z [1,0]<stdout>:",
    "clock": "[10:00:00] ",
    "ts": "Jan 05 10:00:00 ",
    "seconds": "[    12.345678] ",
    "colour": "\x1b[32m\x1b[1m",
    "SkyPilot": "(worker1, rank=1, pid=2769, ip=10.100.10.12) ",
    "Ray and a tag": "(head, rank=0, pid=3808) [1,0]<stdout>:",
    "torchrun": "[default0]:",
    "logger": "2026-01-05 10:00:00,123 - INFO - ",
    "logger with a name": "INFO:nccl.runner: ",
}


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_changes_nothing(name: str) -> None:
    prefixed = "".join(f"{PREFIXES[name]}{line}\x1b[0m\r\n" for line in LOG.splitlines())
    assert points(only_table(prefixed)) == points(only_table(LOG))
    assert only_table(prefixed).devices == only_table(LOG).devices


@pytest.mark.parametrize("prefix", ["node01: ", "worker-0  | ", "x1000c0s0b0n0 0: "])
def test_a_host_name_is_only_a_prefix_of_the_benchmarks_own_lines(prefix: str) -> None:
    prefixed = "".join(f"{prefix}{line}\n" if line else "\n" for line in LOG.splitlines())
    assert points(only_table(prefixed)) == points(only_table(LOG))
    assert stripped(f"{prefix}no device found").stream == ""


def test_streams_that_were_printed_side_by_side_are_told_apart() -> None:
    tests = [Job(num_ranks=1, num_hosts=1, alpha_s=alpha_s) for alpha_s in (10e-6, 20e-6, 30e-6)]
    texts = [
        [f"{rank}: {line}" for line in layouts.current(test).splitlines()] for rank, test in enumerate(tests)
    ]
    rng = random.Random(1)
    mixed = []
    while any(texts):
        mixed.append(rng.choice([text for text in texts if text]).pop(0))
    text = "\n".join(mixed) + "\n"
    log = read_text(text)
    assert_accounted(log, text)
    by_first_time = sorted(log.tables, key=lambda table: table.points[0].readings[0].time_s.value)  # type: ignore[union-attr]
    assert [points(table) for table in by_first_time] == [
        points(only_table(layouts.current(test))) for test in tests
    ]


def test_encodings_and_ends_of_lines() -> None:
    for raw in (
        LOG.encode("utf-8-sig"),
        LOG.encode("utf-16"),
        LOG.replace("\n", "\r\n").encode(),
        LOG.replace("\n", "\r").encode(),
        LOG.replace("#", "#\0").encode(),
        LOG.encode() + b"\xff\xfe\x80 \xc3\x28\n",
    ):
        (table,) = read_text(decoded(raw)).tables
        assert points(table) == points(only_table(LOG))
    assert stripped("  5 %\r 50 %\r100 %\r").text == "100 %"
    assert physical_lines("a\nb") == ["a", "b"] and physical_lines("") == []


# --- other programs and messages ---------------------------------------------------------------------------------------------

FOREIGN = (
    "+ export HF_TOKEN=hunter2",
    "AWS_SECRET_ACCESS_KEY=hunter2",
    "declare -x PASSWORD=hunter2",
    "Loading module hunter2/1.0",
    '{"level": "info", "msg": "hunter2"}',
    "# export TOKEN=hunter2",
    "1: hunter2 and more",
    "12 hunter2",
    "12 34 hunter2 5",
    "hunter2: no such file",
)


def test_lines_of_others_do_not_end_a_table_and_are_not_copied() -> None:
    rng = random.Random(2)
    lines = []
    for line in LOG.splitlines():
        lines += [line, *rng.sample(FOREIGN, k=2)]
    text = "\n".join(lines) + "\n"
    log = read_text(text)
    assert_accounted(log, text)
    assert [points(table) for table in log.tables] == [points(only_table(LOG))]
    assert "hunter2" not in str(log)


def test_rows_in_pieces_are_put_together() -> None:
    """The pieces of a row and NCCL's lines go through one buffer; the host's name touches the last number."""
    test = Job(sizes=(256, 2**20))
    lines = []
    for line in layouts.since_2022(test, has_name=True).splitlines():
        tokens = line.split()
        if tokens[:1] in (["256"], ["1048576"]):
            lines.append(f"{' '.join(tokens[:5]):>60}{info('AllReduce: opCount 0 sendbuff 0x7f')}")
            lines.append(info("256 Bytes -> Algo 1 proto 0 time 25.2"))
            lines.append(f"    {'    '.join(tokens[5:9])}{info('AllReduce: opCount 1')}")
            lines.append(f"    {'    '.join(tokens[9:])}")
        else:
            lines.append(line)
    for text in ("\n".join(lines) + "\n", "\n".join([info("Init COMPLETE"), *lines]) + "\n"):
        table = only_table(text)
        assert_true_to(table, test)
        assert read_text(text).lines["rest of a row"] == 4


def test_a_row_behind_the_line_of_another_process_is_a_row() -> None:
    lines = LOG.splitlines()
    at = next(index for index, line in enumerate(lines) if line.split()[:1] == ["64"])
    for before in (info("Channel 00/0 : 0[0] -> 1[1] via P2P", node="node9"), "hello from another process"):
        changed = [*lines[:at], before + lines[at], *lines[at + 1 :]]
        assert points(only_table("\n".join(changed) + "\n")) == points(only_table(LOG))
        cut = [*lines[:at], before + lines[at][:60], *lines[at + 1 :]]
        log = read_text("\n".join(cut))
        assert len(log.tables[0].points) == 9
        assert log.unread[0].excerpt is not None and log.unread[0].excerpt.startswith("64 ")


def test_half_a_row_before_a_failure_is_kept_and_said_so() -> None:
    text = layouts.since_2022(Job(sizes=(256, 512)), has_name=True)
    (last,) = [line for line in text.splitlines() if line.split()[:1] == ["512"]]
    whole = last.split()
    failure = f"{NODE}: Test NCCL failure common.cu:959 'internal error'"
    cut = (
        text[: text.index(last)]
        + f"  {'  '.join(whole[:9])}{failure}\n .. {NODE} pid 12: Test failure common.cu:844\n"
    )
    log = read_text(cut)
    assert_accounted(log, cut)
    (table,) = log.tables
    assert [len(point.readings) for point in table.points] == [2, 1]
    assert "cut off" in table.points[1].readings[0].notes[0]
    assert failure in [warned.text for warned in log.warnings]
    assert not table.is_complete


def test_cut_rows_are_shown_and_not_guessed() -> None:
    whole = layouts.since_2022(has_name=True)
    (row,) = [line for line in whole.splitlines() if line.split()[:1] == ["262144"]]
    for tokens in range(1, 13):
        torn = "  ".join(row.split()[:tokens])
        text = whole.replace(row, torn)
        log = read_text(text)
        assert_accounted(log, text)
        kept = [point.printed_bytes for table in log.tables for point in table.points]
        assert len(kept) == (10 if tokens > 9 else 9)  # a row that lost its end still holds its first half
        if tokens <= 9:
            assert [unread.excerpt for unread in log.unread] == [torn]


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("  64  16  float  sum  -1  12.0  0.1  0.1  0  12.0  0.1  0.1  0  99", "14 tokens"),
        ("  64  16  float  sum  -1  12.0  0.1  0.1  0  12.0  0.1  0.1  O", "wrong"),
        ("  64  16  float  sum  x  12.0  0.1  0.1  0  12.0  0.1  0.1  0", "root"),
        (
            "  64  16  float  sum  -1  12.0  0.1  0.1  0    64  16  float  sum  -1  12.0  0.1  0.1  0",
            "18 tokens",
        ),
    ],
)
def test_rows_that_do_not_fit_the_header_are_named_by_line_and_reason(row: str, word: str) -> None:
    lines = layouts.current().splitlines()
    at = next(index for index, line in enumerate(lines) if line.split()[:1] == ["64"])
    lines[at] = row
    log = read_text("\n".join(lines))
    (unread,) = log.unread
    assert (unread.first_line, unread.last_line) == (at + 1, at + 1)
    assert word in unread.reason and unread.excerpt == row.strip()
    assert len(log.tables[0].points) == 9


def test_a_row_without_a_header_is_named() -> None:
    rows = "".join(line + "\n" for line in LOG.splitlines() if line.split()[:1] == ["64"])
    log = read_text(rows)
    assert log.tables == () and "before any header" in log.unread[0].reason


def test_warnings_and_failures_are_kept_once() -> None:
    trouble = [
        info("Call to connect returned Connection refused", level="WARN"),
        "[2026-01-05 10:00:00] "
        + info("src/misc/socket.cc:12 x", level="WARN").replace("NCCL WARN ", "")
        + " NCCL WARN late",
        "slurmstepd: error: *** STEP 1.0 ON gpu1 CANCELLED AT 2026-01-05T10:00:00 DUE TO TIME LIMIT ***",
        "srun: error: gpu-7: task 3: Exited with exit code 1",
        "MPICH Slingshot Network Summary: 3 network timeouts",
        "[rank3]: Watchdog caught collective operation timeout",
        "# error: ncclSystemError",
        "gpu1: Test CUDA failure common.cu:12 'out of memory'",
    ]
    harmless = [
        info("Connected all rings"),
        "MPICH Slingshot Network Summary: 0 network timeouts",
        "NCCL_IB_TIMEOUT=22",
    ]
    text = layouts.current(Job(num_wrong=2)) + "\n".join([*trouble, *trouble, *harmless]) + "\n"
    log = read_text(text)
    assert_accounted(log, text)
    texts = [warned.text for warned in log.warnings]
    assert len(texts) == len(set(texts)) == len(trouble) + 1
    assert texts[0].startswith("# Out of bounds values : 20 FAILED")
    assert all(
        any(word in text for text in texts)
        for word in ("refused", "TIME LIMIT", "late", "Watchdog", "memory")
    )
    many = "".join(info(f"failure number {number}", level="WARN") + "\n" for number in range(500))
    warned = read_text(LOG + many).warnings
    assert len(warned) == MAX_WARNINGS + 1 and "400 further" in warned[-1].text


# --- files -------------------------------------------------------------------------------------------------------------------


def test_several_tests_in_a_file_are_several_tables() -> None:
    tests = [
        Job(collective=name, num_ranks=ranks)
        for name, ranks in (("all_reduce", 8), ("all_to_all", 4), ("reduce", 2))
    ]
    text = "".join(layouts.current(test) for test in tests)
    log = read_text(text)
    assert_accounted(log, text)
    for table, test in zip(log.tables, tests, strict=True):
        assert_true_to(table, test)
        assert (table.num_ranks, table.program) == (test.num_ranks, test.program)


def test_a_header_after_rows_begins_a_new_table_of_the_same_job() -> None:
    lines = layouts.current(has_footer=False).splitlines()
    at = next(index for index, line in enumerate(lines) if "out-of-place" in line)
    log = read_text("\n".join([*lines, *lines[at:]]) + "\n")
    first, second = log.tables
    assert points(first) == points(second)
    assert (second.num_ranks, second.program, second.settings) == (8, "all_reduce_perf", first.settings)


def test_a_test_that_printed_no_row_is_an_empty_table_and_named() -> None:
    died = "".join(layouts.current().partition("       size")[0].splitlines(keepends=True)[:-1])
    early = "".join(layouts.current().splitlines(keepends=True)[:3])
    failure = "node0: Test CUDA failure common.cu:12 'out of memory'\n"
    old = layouts.since_2022().splitlines(keepends=True)
    for text, at in (
        (died + layouts.current(Job(num_ranks=4)), 0),
        (early + layouts.current(), 0),
        (layouts.current() + died, 1),
        (layouts.current() + early + failure, 1),
    ):
        log = read_text(text)
        assert_accounted(log, text)
        assert [bool(table.points) for table in log.tables] == [at == 1, at == 0]
        assert not log.tables[at].is_complete and log.tables[at].program == "all_reduce_perf"
        assert "printed no row" in (log.tables[at].why_partial or "")
        assert any("no row" in warned.text for warned in log.warnings)
    retried = read_text("".join([old[0], failure, *old]))
    assert [bool(table.points) for table in retried.tables] == [False, True]


def test_processes_that_print_at_the_same_time_leave_no_empty_table() -> None:
    """Every one of them ends, so that none printed no row; whose row is whose is not told."""
    lines = layouts.current(Job(num_ranks=1, num_hosts=1)).splitlines(keepends=True)
    at = next(index for index, line in enumerate(lines) if "out-of-place" in line)
    log = read_text("".join([*lines[:at], *lines[:at], *lines[at:], *lines[at:]]))
    assert sum(len(table.points) for table in log.tables) == 2 * len(layouts.SIZES)
    assert all(table.points and table.is_complete for table in log.tables)


@pytest.mark.parametrize(
    "make", [layouts.current, layouts.since_2019, layouts.since_2017, layouts.rccl, layouts.nccom]
)
def test_without_a_footer_the_table_is_partial(make: Callable[..., str]) -> None:
    whole = make()
    text = whole[
        : min(whole.index(word) for word in ("Out of bounds", "Avg bus", "Errors with") if word in whole)
    ]
    text = text[: text.rindex("\n") + 1]
    table = only_table(text)
    assert not table.is_complete and "no footer" in (table.why_partial or "")
    assert points(table) == points(only_table(whole))


def test_processes_that_did_not_know_each_other_are_told() -> None:
    """Tests built without MPI, under mpirun: every process prints everything for itself, as rank 0."""
    test = Job(num_ranks=1, num_hosts=1)
    one = layouts.since_2019(test).splitlines()
    other = [line.replace("node0", "node1") for line in one]
    text = "\n".join(line for pair in zip(one, other, strict=True) for line in pair) + "\n"
    log = read_text("$ mpirun -n 2 ./all_reduce_perf -b 8\n" + text)
    rows = [point for table in log.tables for point in table.points]
    assert len(rows) == 2 * len(test.sizes)
    assert {table.num_ranks for table in log.tables} == {1}
    assert any("did not know each other" in warned.text for warned in log.warnings)


def test_packed_files_and_those_that_were_cut(tmp_path: Path) -> None:
    whole = gzip.compress(LOG.encode() * 50, mtime=0)
    for raw in (whole, whole + gzip.compress(b"")):
        (tmp_path / "log.gz").write_bytes(raw)
        assert len(read_log(tmp_path / "log.gz").tables) == 50
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    assert 0 < len(read_log(tmp_path / "cut.gz").tables) < 50
    (tmp_path / "none.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(range(200)))
    assert read_log(tmp_path / "none.gz").tables == ()


def test_what_is_no_log_has_no_table(tmp_path: Path) -> None:
    for number, raw in enumerate(
        (b"", b"\0\0\0", b"hello\n", random.Random(3).randbytes(5000), b"# OSU\n", b"a,b,c\n1,2,3\n")
    ):
        path = tmp_path / f"{number}.log"
        path.write_bytes(raw)
        log = read_log(path)
        assert log.tables == ()
        assert_accounted(log, decoded(raw).replace("\r", "\n") if b"\n" not in raw else decoded(raw))
    assert read_text("hello\n").format == NOT_RECOGNISED
    with pytest.raises(ValueError, match="is a folder"):
        read_log(tmp_path)


def test_a_file_with_osu_and_nccl_tests_is_read_by_both() -> None:
    osu = (
        "+ mpirun -n 4 ./osu_allreduce\n\n# OSU MPI-CUDA Allreduce Latency Test v7.4\n# Datatype: MPI_FLOAT.\n"
        "# Size       Avg Latency(us)\n4                       3.10\n8                       3.20\n"
    )
    nccl = "+ ./scatter_perf -b 8\n" + layouts.since_2022(Job(collective="scatter"))
    for text, families in (
        (nccl + osu, ["nccl-tests", "osu"]),
        (osu + nccl, ["osu", "nccl-tests"]),
        (nccl + osu + nccl, ["nccl-tests", "osu", "nccl-tests"]),
    ):
        log = read_text(text)
        assert_accounted(log, text)
        assert [table.family for table in log.tables] == families
        lines = text.splitlines()
        for table in log.tables:
            assert table.num_ranks == (4 if table.family == "osu" else 8)
            for point in table.points:
                assert lines[(point.line or 0) - 1].split()[0] == str(point.printed_bytes)


# --- damage ------------------------------------------------------------------------------------------------------------------


def damaged(text: str, rng: random.Random) -> str:
    """``text`` with lines deleted, cut, doubled, joined, swapped, prefixed or overwritten, and strange ones put in."""
    strange = (
        "", "\0", "#", "# ", "#  Rank", "#  Rank  9 Group", "8 2", "8 2 float", "-1", "nan nan", "N/A", "5.63 0.00 0.00 0",
        "# size count type time algbw busbw", "# size algbw busbw", "size(B) type time(us) algbw(GB/s) busbw(GB/s)",
        "# nThread", "# Using devices", "nThread 1 nGpus 99999999999999999999999", "# Avg bus bandwidth : -nan",
        "# Out of bounds values : 99999999999999999999 FAILED", "# OSU MPI Allreduce Latency Test v7.4", "4 3.1", "{", "a,b",
        "# Testing 2 cycle.", "# Collective test starting:", "+ srun all_reduce_perf", info("x"), info("y", level="WARN"),
        "12" + info("z"), "1e999 1e999", "9" * 4000, "\x1b[31m", "3: ", "[1,2]<stderr>:", "٣ ٤ float", "\ud7ff\u2028x\x85y",
    )  # fmt: skip
    lines = text.split("\n")
    for _ in range(rng.randrange(1, 12)):
        at = rng.randrange(len(lines))
        line = lines[at]
        match rng.randrange(9):
            case 0:
                del lines[at : at + rng.randrange(1, 4)]
            case 1:
                lines[at] = line[: rng.randrange(len(line) + 1)]
            case 2:
                lines.insert(at, rng.choice(strange))
            case 3:
                lines[at : at + 2] = ["".join(lines[at : at + 2])]
            case 4:
                lines.insert(rng.randrange(len(lines)), line)
            case 5:
                lines[at] = f"{rng.randrange(3)}: {line}"
            case 6:
                cut = rng.randrange(len(line) + 1)
                lines[at] = line[:cut] + rng.choice(strange) + line[cut:]
            case 7:
                tokens = line.split()
                rng.shuffle(tokens)
                lines[at] = "  ".join(tokens)
            case _:
                cut = rng.randrange(len(line) + 1)
                lines[at : at + 1] = [line[:cut] + info("in between"), line[cut:]]
        lines = lines or [""]
    return "\n".join(lines)


SOURCES = (
    layouts.current(per_iteration=True, has_stamps=True), layouts.current(Job(collective="hypercube")), layouts.since_2022(),
    layouts.since_2019(Job(collective="broadcast")), layouts.since_2017(), layouts.with_copybw(), layouts.nccom(),
    layouts.rccl(only_in_place=True, num_cycles=2), "".join(f"0: {line}\n" for line in LOG.splitlines()),
    layouts.current(Job(collective="all_to_all", is_checked=False)) + layouts.current(),
)  # fmt: skip


def test_no_damage_breaks_the_reading_or_its_accounts() -> None:
    rng = random.Random(20260105)
    for _ in range(600):
        text = damaged(rng.choice(SOURCES), rng)
        log = read_text(text)
        assert_accounted(log, text if "\n" in text else text.replace("\r", "\n"))
        for table in log.tables:
            assert table.points or not table.is_complete or table.family == "osu"
            for point in table.points:
                for reading in point.readings:
                    assert reading.time_s is None or 0 < reading.time_s.value < float("inf")


def test_rows_that_damage_did_not_touch_are_all_read() -> None:
    """Nothing is lost: of every row that still stands whole below its header, the point is there."""
    rng = random.Random(4)
    for _ in range(100):
        lines = layouts.current().splitlines()
        first = next(index for index, line in enumerate(lines) if line.split()[:1] == ["8"])
        for _ in range(5):
            lines.insert(
                rng.randrange(first, len(lines)),
                rng.choice([*FOREIGN, info("x"), "", "8 2 float sum -1 5.6", "#"]),
            )
        (table,) = read_text("\n".join(lines)).tables
        assert [point.printed_bytes for point in table.points] == list(layouts.SIZES)
