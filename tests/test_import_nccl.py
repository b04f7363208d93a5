"""Logs of nccl-tests and its relatives: every layout is read as it was meant, nothing is lost, nothing foreign is copied."""

import random
from collections.abc import Callable

import pytest

from bench.importers.foreign import ForeignLog, ForeignTable
from bench.importers.reader import read_text
from bench.importers.rounding import printed
from bench.nccl_table import nccl_table
from bench.reported import LOOP_MEAN_RANK_MAX, LOOP_MEAN_RANK_MEAN
from bench.summary import summary_rows
from tests import nccl_layouts as layouts
from tests.nccl_layouts import Job
from tests.test_nccl_table import manifest, record

LAYOUTS: dict[str, tuple[Callable[..., str], dict[str, object], int]] = {
    "2.19.6": (layouts.current, {}, 13),
    "2.19.6 -S": (layouts.current, {"has_stamps": True}, 15),
    "2.19.6 -I": (layouts.current, {"per_iteration": True}, 21),
    "2.19.6 -I -S -M -J": (
        layouts.current,
        {"per_iteration": True, "has_stamps": True, "has_memory": True, "json_file": "/tmp/out.json"},
        23,
    ),
    "2.19.6 -z": (
        layouts.current,
        {"blocking": "wait for completion after each collective (no barrier)"},
        13,
    ),
    "2025 with names": (layouts.since_2022, {"has_name": True}, 13),
    "2022-09": (layouts.since_2022, {}, 13),
    "2022-08": (layouts.since_2022, {"has_group": False}, 13),
    "copybw in each half": (layouts.with_copybw, {}, 15),
    "copybw at the end": (layouts.with_copybw, {"per_half": False}, 14),
    "rccl": (layouts.rccl, {}, 13),
    "rccl -O 0": (layouts.rccl, {"only_in_place": True}, 9),
}


def text_of(name: str, test: Job) -> str:
    make, options, _ = LAYOUTS[name]
    return make(test, **options)


def has_name(layout: str) -> bool:
    return "Collective test starting" in text_of(layout, Job())


def only_table(text: str) -> ForeignTable:
    log = read_text(text)
    assert_accounted(log, text)
    (table,) = log.tables
    return table


def assert_accounted(log: ForeignLog, text: str) -> None:
    """Every line is counted once, and what was not read is named line by line."""
    num_lines = text.count("\n") + (not text.endswith("\n") and text != "")
    assert sum(log.lines.values()) == num_lines
    left = [line for unread in log.unread for line in range(unread.first_line, unread.last_line + 1)]
    assert len(left) == len(set(left))
    assert len(left) == log.lines.get("other program", 0) + log.lines.get("not understood", 0)
    assert all(1 <= line <= num_lines for line in left)


def assert_true_to(table: ForeignTable, test: Job, *, num_readings: int = 2, cycles: int = 1) -> None:
    """The times and bandwidths before they were printed lie in the intervals that were read, and nothing is doubted."""
    assert [point.message_bytes for point in table.points] == list(test.sizes) * cycles
    for point in table.points:
        assert point.collective == test.collective
        assert len(point.readings) == num_readings
        for reading in point.readings:
            placement = ("out_of_place", "in_place").index(reading.placement)
            algbw, busbw = test.bandwidths(point.printed_bytes, placement)
            for got, meant in (
                (reading.time_s, test.time_s(point.printed_bytes, placement)),
                (reading.algbw_bytes_per_s, algbw * 1e9),
                (reading.busbw_bytes_per_s, busbw * 1e9),
            ):
                assert got is not None
                assert got.low * (1 - 1e-12) <= meant <= got.high * (1 + 1e-12)
                assert got.low <= got.value <= got.high
            assert reading.notes == ()


@pytest.mark.parametrize(
    ("name", "collective"),
    [
        (name, collective)
        for name in LAYOUTS
        for collective in layouts.COLLECTIVES
        if collective != "hypercube" or has_name(name)  # only its name tells what it moves
    ],
)
def test_every_layout_is_read_as_it_was_meant(name: str, collective: str) -> None:
    test = Job(collective=collective)
    text = text_of(name, test)
    if not has_name(name):
        text = f"+ srun ./build/{test.program} -b 8 -e 1G -f 8\n{text}"
    table = only_table(text)
    assert_true_to(table, test, num_readings=1 if "-O 0" in name else 2)
    assert table.program == test.program
    assert table.layout.endswith(f"{LAYOUTS[name][2]} tokens")
    assert (table.num_ranks, table.num_ranks_source) == (8, "devices")
    assert table.is_complete and table.out_of_bounds == 0
    assert table.settings["iterations"] == 20
    for point in table.points:
        assert point.dtype == "float32"
        assert point.reduce_op == (
            "sum" if collective in ("all_reduce", "reduce_scatter", "reduce") else None
        )
        assert point.root == (0 if collective in ("broadcast", "reduce", "gather", "scatter") else -1)
        for reading in point.readings:
            unchecked = reading.placement == "in_place" and collective in ("all_to_all", "send_recv")
            assert reading.num_wrong_elements == (None if unchecked else 0)
            assert reading.statistic == LOOP_MEAN_RANK_MEAN
            assert reading.num_iterations == 20


@pytest.mark.parametrize("collective", layouts.COLLECTIVES_2019)
def test_headers_of_2019_differ_by_test(collective: str) -> None:
    test = Job(collective=collective)
    table = only_table(f"$ mpirun ./build/{test.program} -b 8\n" + layouts.since_2019(test))
    assert_true_to(table, test)
    assert table.points[0].readings[0].num_wrong_elements is None  # an error is no count
    assert table.points[0].readings[0].statistics == {"largest_error": 2e-07}


def test_the_first_layout_counts_milliseconds_and_residuals() -> None:
    test = Job(alpha_s=1.5e-3)
    table = only_table(layouts.since_2017(test))
    assert_true_to(table, test)
    time = table.points[0].readings[0].time_s
    assert time is not None and time.value == pytest.approx(1.5e-3)
    assert time.high - time.low == pytest.approx(1e-6)
    assert table.average_busbw_gbytes_per_s == 12.3456
    assert table.points[0].readings[0].statistics == {"largest_error": 1e-06}


@pytest.mark.parametrize("is_binary", [False, True])
def test_nccom_test_prints_a_similar_table(is_binary: bool) -> None:
    test = Job(num_ranks=32)
    table = only_table(layouts.nccom(test, is_binary=is_binary))
    assert_true_to(table, test, num_readings=1)
    assert (table.family, table.library) == ("nccom-test", "neuron")
    assert (table.num_ranks, table.num_ranks_source) == (32, "given")
    assert table.points[0].readings[0].statistic == ("P50" if is_binary else "mean") + " over iterations"


def test_percentiles_of_nccom_test_are_kept() -> None:
    table = only_table(layouts.nccom(percentiles=("p50", "p99")))
    assert set(table.points[-1].readings[0].statistics) == {"p50_s", "p99_s"}


def test_cpu_time_is_no_duration_and_is_not_held_against_the_bandwidth() -> None:
    table = only_table(layouts.current(is_cpu_time=True))
    reading = table.points[-1].readings[0]
    assert reading.statistic.startswith("CPU time")
    assert reading.notes == ()


def test_columns_of_the_per_iteration_report() -> None:
    reading = only_table(layouts.current(per_iteration=True)).points[-1].readings[1]
    assert set(reading.statistics) == {"min_s", "max_s", "p99_s", "cv"}
    assert reading.statistics["cv"] == 0.0725
    assert reading.statistics_of == "iterations of the maximum over processes"


def test_time_stamps_of_the_rows_are_start_and_end_of_the_table() -> None:
    table = only_table(layouts.current(has_stamps=True))
    assert (table.started, table.ended) == ("2026-07-09 10:00:00", "2026-07-09 10:00:09")


def test_cycles_are_repeats_of_one_table() -> None:
    test = Job()
    assert_true_to(only_table(layouts.rccl(test, num_cycles=3)), test, cycles=3)


# --- numbers -----------------------------------------------------------------------------------------------------------------


def test_the_interval_holds_every_number_that_prints_alike() -> None:
    rng = random.Random(5)
    for _ in range(2000):
        value = 10 ** rng.uniform(-3, 9)
        for width in (6, 7):
            token = layouts.shortened(value, width).strip()
            number = printed(token, exponent=-6)
            assert number is not None
            assert number.low <= value * 1e-6 * (1 + 1e-15) and value * 1e-6 * (1 - 1e-15) <= number.high


def test_known_intervals() -> None:
    for token, low, value, high in [
        ("5.63", 5.625e-6, 5.63e-6, 5.635e-6),
        ("1.8e+07", 17.5, 18.0, 18.5),
        ("0.00", 0.0, 0.0, 0.005e-6),
        ("10094", 0.0100935, 0.010094, 0.0100945),
        ("105.9", 105.85e-6, 105.9e-6, 105.95e-6),
    ]:
        number = printed(token, exponent=-6)
        assert number is not None
        assert (number.low, number.value, number.high) == (low, value, high)


@pytest.mark.parametrize("token", ["N/A", "nan", "inf", "-nan", "", "1e9999", "0x10", "1_0", "٣", "1" * 30])
def test_what_is_no_finite_number_has_no_interval(token: str) -> None:
    assert printed(token) is None


def test_slow_rows_in_scientific_notation_are_rows() -> None:
    test = Job(alpha_s=17.6, sizes=(8, 2**34), num_wrong=3)
    table = only_table(layouts.current(test))
    assert_true_to(table, test)
    time = table.points[0].readings[0].time_s
    assert time is not None and (time.low, time.value, time.high) == (17.5, 18.0, 18.5)
    assert [reading.num_wrong_elements for point in table.points for reading in point.readings] == [3] * 4
    assert table.out_of_bounds == 4


def test_numbers_that_contradict_each_other_are_noted_and_kept() -> None:
    text = layouts.since_2022(Job(sizes=(2**20, 2**30)), has_name=True)
    (row,) = [line for line in text.splitlines() if line.split()[:1] == ["1073741824"]]
    tokens = row.split()
    wrong_time = row.replace(tokens[5], f"{float(tokens[5]) * 2:.0f}", 1)
    wrong_busbw = row.replace(tokens[7], f"{float(tokens[7]) / 2:.2f}", 1)
    for changed, word in ((wrong_time, "algbw is"), (wrong_busbw, "busbw is")):
        table = only_table(text.replace(row, changed))
        notes = [[reading.notes for reading in point.readings] for point in table.points]
        assert notes[0] == [(), ()] and notes[1][1] == ()
        assert len(notes[1][0]) == 1 and notes[1][0][0].startswith(word)


def test_times_that_are_none_keep_their_row() -> None:
    text = layouts.since_2022(Job(sizes=(8, 64)), has_name=True)
    for token in ("0.00", "nan", "-1.00"):
        table = only_table(text.replace("12.00", f"{token:>5}", 1))
        assert len(table.points) == 2
        first = table.points[0].readings[0]
        assert first.time_s is None and "no duration" in first.notes[0]


def test_one_rank_has_no_bus_bandwidth() -> None:
    for collective in ("all_reduce", "all_to_all"):
        table = only_table(layouts.current(Job(collective=collective, num_ranks=1, num_hosts=1)))
        assert table.num_ranks == 1
        assert all(reading.busbw_bytes_per_s is None for point in table.points for reading in point.readings)
    broadcast = only_table(layouts.current(Job(collective="broadcast", num_ranks=1, num_hosts=1)))
    assert broadcast.points[-1].readings[0].busbw_bytes_per_s is not None


# --- what follows from the numbers -------------------------------------------------------------------------------------------


def without(text: str, *beginnings: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(beginnings))


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8, 64, 128, 1000])
@pytest.mark.parametrize("collective", ["all_reduce", "all_gather", "all_to_all", "gather"])
def test_ranks_follow_from_the_bandwidths_where_no_device_is_listed(collective: str, num_ranks: int) -> None:
    test = Job(collective=collective, num_ranks=num_ranks, num_hosts=1, bytes_per_s=400e9)
    table = only_table(without(layouts.since_2022(test, has_name=True), "#  Rank"))
    if num_ranks < 1000:
        assert (table.num_ranks, table.num_ranks_source) == (num_ranks, "inferred")
    else:  # 2 x 999 / 1000 and 2 x 998 / 999 differ by less than the digits tell
        assert (table.num_ranks, table.num_ranks_source) == (None, None)


@pytest.mark.parametrize("collective", ["broadcast", "reduce", "send_recv"])
def test_ranks_stay_unknown_where_the_factor_is_one(collective: str) -> None:
    table = only_table(without(layouts.current(Job(collective=collective)), "#  Rank"))
    assert (table.num_ranks, table.num_ranks_source) == (None, None)


def test_a_list_of_devices_with_holes_does_not_count() -> None:
    text = without(layouts.current(), "#  Rank  3", "#  Rank  7")
    table = only_table(text)
    assert (table.num_ranks, table.num_ranks_source, len(table.devices)) == (8, "inferred", 6)


def test_a_list_that_lost_its_end_is_contradicted_by_the_bandwidths() -> None:
    text = without(layouts.current(), *(f"#  Rank  {rank}" for rank in range(4, 8)))
    log = read_text(text)
    assert (log.tables[0].num_ranks, log.tables[0].num_ranks_source) == (8, "inferred")
    assert any("4 ranks are listed" in warned.text for warned in log.warnings)


def test_lost_devices_do_not_cost_the_name() -> None:
    text = without(layouts.since_2022(), *(f"#  Rank  {rank}" for rank in range(4, 8)))
    for command, program in (("", None), ("$ ./all_reduce_perf -b 8\n", "all_reduce_perf")):
        table = only_table(command + text)
        assert (table.points[0].collective, table.num_ranks, table.program) == ("all_reduce", 8, program)


def test_a_cut_list_is_completed_by_the_numbering_of_its_processes() -> None:
    test = Job(collective="broadcast", num_ranks=64, num_hosts=2)
    lines = layouts.current(test).replace("nThread 1 nGpus 1", "nThread 1 nGpus 32").splitlines()
    kept = []
    for line in lines:
        rank = int(line.split()[2]) if line.startswith("#  Rank") else -1
        if rank >= 0 and rank % 32 == 20:
            kept.append(line[:40] + "...")
        elif rank < 0 or rank % 32 < 20:
            kept.append(line.replace(f"Pid   {4000 + rank}", f"Pid   {4000 + rank // 32}"))
    table = only_table("\n".join(kept) + "\n")
    assert len(table.devices) == 40
    assert (table.num_ranks, table.num_ranks_source) == (64, "inferred")


def test_groups_have_ranks_of_their_own() -> None:
    test = Job(num_groups=2)
    table = only_table(layouts.current(test))
    assert (table.num_ranks, table.group_ranks) == (8, 4)
    assert_true_to(table, test)


@pytest.mark.parametrize(
    "collective", ["all_reduce", "reduce_scatter", "all_gather", "all_to_all", "reduce", "broadcast"]
)
def test_a_log_without_a_name_is_named_by_its_columns_and_factor(collective: str) -> None:
    log = read_text(layouts.since_2022(Job(collective=collective)))
    assert {point.collective for point in log.tables[0].points} == {collective}
    assert log.tables[0].program is None
    assert "does not name the test" in log.warnings[0].text


def test_what_columns_and_factor_leave_open_is_unknown_and_kept() -> None:
    table = only_table(layouts.since_2022(Job(collective="gather")))
    assert {point.collective for point in table.points} == {"unknown"}
    assert len(table.points) == len(layouts.SIZES)


def test_the_name_comes_from_the_command_that_fits_the_rows() -> None:
    commands = "Running all_reduce_perf and others\n+ srun -n 8 ./scatter_perf -b 8 -a 3\n"
    table = only_table(commands + layouts.since_2022(Job(collective="scatter")))
    assert (table.program, table.points[0].collective) == ("scatter_perf", "scatter")
    assert table.points[0].readings[0].statistic == LOOP_MEAN_RANK_MAX
    refuted = only_table("+ ./all_gather_perf -b 8\n" + layouts.since_2022(Job(collective="all_reduce")))
    assert (refuted.program, refuted.points[0].collective) == (None, "all_reduce")


def test_a_build_names_every_test_and_tells_nothing() -> None:
    build = "Linking  all_gather.o > ../build/all_gather_perf\nCompiling all_reduce.cu > ../build/all_reduce_perf.o\n"
    log = read_text(build + layouts.since_2022(Job(collective="reduce_scatter")))
    assert log.tables[0].points[0].collective == "reduce_scatter"


@pytest.mark.parametrize("pass_name", ["latency", "bandwidth"])
def test_tables_of_linerate_say_which_pass_they_are_of(pass_name: str) -> None:
    text = nccl_table(manifest(), summary_rows([record(measure_pass=pass_name)]))
    (point,) = only_table(text).points
    assert point.measure_pass == pass_name
    assert point.readings[0].time_s is not None
