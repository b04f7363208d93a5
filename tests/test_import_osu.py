"""OSU micro-benchmarks: every layout, every operation's size and statistic, ranks from commands, failures, any damage."""

import math
import random

import pytest

from bench.importers.foreign import ForeignLog, ForeignTable, Printed, Reading
from bench.importers.osu import is_osu, read_osu
from bench.importers.osu_titles import HALF_ROUND_TRIP, read_title
from bench.reported import MEAN_RANK_MEAN
from tests.osu_layouts import (
    LAYOUTS,
    SIZES,
    bandwidth,
    collective,
    header,
    latency,
    message_rate,
    non_blocking,
    row,
    time_us,
    varied_windows,
)

every_layout = pytest.mark.parametrize("lines", LAYOUTS.values(), ids=LAYOUTS)


def only(log: ForeignLog) -> ForeignTable:
    assert len(log.tables) == 1
    return log.tables[0]


def readings(table: ForeignTable) -> list[Reading]:
    return [reading for point in table.points for reading in point.readings]


def value(number: Printed | None) -> float:
    assert number is not None
    return number.value


def is_accounted_for(log: ForeignLog, num_lines: int) -> bool:
    """Every line once, and each that was not read in a range of ``unread``."""
    unread = sum(u.last_line - u.first_line + 1 for u in log.unread)
    left = log.lines.get("not understood", 0) + log.lines.get("other program", 0)
    return sum(log.lines.values()) == num_lines and unread == left


@every_layout
def test_every_layout_is_read_whole(lines: list[str]) -> None:
    assert is_osu(lines)
    log = read_osu(lines)
    table = only(log)
    assert table.family == "osu" and table.is_complete and table.points
    assert table.versions["osu"] in ("7.4", "5.6.2", "5.6.3", "5.8")
    assert log.unread == () and log.warnings == () and is_accounted_for(log, len(lines))
    assert log.lines["row"] == len(table.points)
    for point in table.points:
        assert lines[(point.line or 0) - 1].split()[0] in (
            str(point.printed_bytes),
            f"{time_us(0):.2f}",
            f"{time_us(0) + 10:.2f}",
        )
        (reading,) = point.readings
        assert reading.placement == "out_of_place"
        assert (reading.time_s is None) is (point.measure_pass == "bandwidth")
        assert (reading.busbw_bytes_per_s is None) is (point.measure_pass != "bandwidth")


def test_time_is_the_mean_over_ranks_within_its_rounding() -> None:
    for point in only(read_osu(collective())).points:
        time = point.readings[0].time_s
        assert time is not None and point.readings[0].statistic == MEAN_RANK_MEAN
        assert time.value == pytest.approx(time_us(point.printed_bytes) * 1e-6)
        assert time.value - time.low == pytest.approx(5e-9, rel=1e-6)
        assert time.high - time.value == pytest.approx(5e-9, rel=1e-6)


def test_extreme_ranks_and_percentiles_say_what_they_are_of() -> None:
    for reading in readings(only(read_osu(LAYOUTS["everything"]))):
        time_s = value(reading.time_s)
        assert reading.statistics["rank_min_s"] < time_s < reading.statistics["rank_max_s"]
        assert reading.statistics["p50_s"] < reading.statistics["p99_s"]
        assert reading.statistics_of == "iterations of the mean over ranks"
        assert (reading.num_iterations, reading.num_wrong_elements) == (1000, 0)
    assert readings(only(read_osu(LAYOUTS["-f"])))[0].statistics_of is None


def test_several_data_types_are_points_of_one_table() -> None:
    points = only(read_osu(LAYOUTS["several data types"])).points
    assert [(p.dtype, p.printed_bytes) for p in points] == [
        (dtype, size) for dtype in ("int8", "int32", "float32") for size in SIZES
    ]


def test_check_that_fails_never_looks_valid() -> None:
    log = read_osu(collective(is_checked=True, failing=SIZES[1]))
    table = only(log)
    assert [r.num_wrong_elements for r in readings(table)] == [0, 1]
    assert "how many" in readings(table)[1].notes[0]
    assert not table.is_complete and "DATA VALIDATION ERROR" in (table.why_partial or "")
    assert "DATA VALIDATION ERROR" in log.warnings[0].text
    assert readings(only(read_osu(collective())))[0].num_wrong_elements is None


def test_barrier_has_no_size() -> None:
    (point,) = only(read_osu(LAYOUTS["barrier"])).points
    assert (point.collective, point.printed_bytes, point.message_bytes) == ("barrier", 0, 0)
    assert value(point.readings[0].time_s) == pytest.approx(1.25e-6)


def test_non_blocking_is_the_overlap_pass() -> None:
    for point in only(read_osu(non_blocking(is_full=True))).points:
        (reading,) = point.readings
        statistics = reading.statistics
        assert (point.collective, point.measure_pass) == ("all_reduce", "overlap")
        assert statistics["overall_s"] == value(reading.time_s)
        assert statistics["overall_s"] - statistics["pure_comm_s"] == pytest.approx(10e-6)
        assert statistics["overlap"] == 0.5
        assert (statistics["init_s"], statistics["test_s"], statistics["wait_s"]) == pytest.approx(
            (5e-7, 2.5e-7, 2e-6)
        )
        assert (
            statistics["pure_comm_rank_min_s"]
            < statistics["pure_comm_s"]
            < statistics["pure_comm_rank_max_s"]
        )


def test_latency_between_two_is_half_of_the_round_trip() -> None:
    table = only(read_osu(latency()))
    assert {p.collective for p in table.points} == {"ping_pong"}
    assert {r.statistic for r in readings(table)} == {HALF_ROUND_TRIP}
    assert (table.num_ranks, table.num_ranks_source) == (2, "program")


def test_bandwidth_is_no_time() -> None:
    for point in only(read_osu(bandwidth())).points:
        (reading,) = point.readings
        assert reading.time_s is None and (point.collective, point.measure_pass) == ("osu_bw", "bandwidth")
        size = point.printed_bytes
        assert value(reading.busbw_bytes_per_s) == pytest.approx(1e6 * round(size / time_us(size), 2))
    table = only(read_osu(message_rate(pairs=4)))
    assert table.settings == {"pairs": 4, "window_size": 64}
    assert {r.statistics["messages_per_s"] for r in readings(table)} == {8e6}


OPERATIONS = [
    ("MPI Allgather Latency", "all_gather", "osu_allgather", 8, None),
    ("MPI Allgatherv Latency", "all_gatherv", "osu_allgatherv", 8, None),
    ("MPI Allreduce Latency", "all_reduce", "osu_allreduce", 1, "sum"),
    ("MPI All-to-All Personalized Exchange Latency", "all_to_all", "osu_alltoall", 8, None),
    ("MPI All-to-Allv Personalized Exchange Latency", "all_to_allv", "osu_alltoallv", 8, None),
    ("MPI Broadcast Latency", "broadcast", "osu_bcast", 1, None),
    ("MPI_Bcast Latency", "broadcast", "osu_bcast", 1, None),
    ("MPI Gather Latency", "gather", "osu_gather", 8, None),
    ("MPI Scatter Latency", "scatter", "osu_scatter", 8, None),
    ("MPI Scatterv Latency", "scatterv", "osu_scatterv", 8, None),
    ("MPI Reduce Latency", "reduce", "osu_reduce", 1, "sum"),
    ("MPI Reduce_scatter Latency", "reduce_scatter", "osu_reduce_scatter", 1, "sum"),
    ("MPI Non-blocking All-to-All Latency", "all_to_all", "osu_ialltoall", 8, None),
    ("MPI Non-blocking Gather Latency", "gather", "osu_igather", 8, None),
    ("MPI Allgather Persistent Latency", "all_gather_persistent", "osu_allgather_persistent", 8, None),
    ("MPI Neighborhood All-to-All Latency", "neighbor_all_to_all", "osu_neighbor_alltoall", 1, None),
    ("NCCL-CUDA Allgather Latency", "all_gather", "osu_xccl_allgather", 8, None),
    ("RCCL-ROCM Allreduce Latency", "all_reduce", "osu_xccl_allreduce", 1, "sum"),
]


@pytest.mark.parametrize(("title", "name", "binary", "peers", "reduce_op"), OPERATIONS)
def test_size_of_one_peer_becomes_the_message(
    title: str, name: str, binary: str, peers: int, reduce_op: str | None
) -> None:
    body = [f"# OSU {title} Test v7.4", header(["Avg Latency(us)"]), *(row(size, [1.0]) for size in SIZES)]
    table = only(read_osu([f"$ mpirun -np 8 ./{binary}", *body]))
    assert (table.num_ranks, table.num_ranks_source) == (8, "given")
    assert [(p.collective, p.message_bytes, p.reduce_op) for p in table.points] == [
        (name, peers * size, reduce_op) for size in SIZES
    ]
    silent = only(read_osu(body))
    assert silent.num_ranks is None
    assert [p.message_bytes for p in silent.points] == [None if peers > 1 else size for size in SIZES]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("# OSU MPI Multi Latency Test v5.6.3", "osu_multi_lat"),
        ("# OSU MPI Multi-threaded Latency Test v5.3.2", "osu_latency_mt"),
        ("# OSU MPI Multi-process Latency Test v5.6.3", "osu_latency_mp"),
        ("# OSU MPI Latency Test Persistent v7.5", "ping_pong_persistent"),
        ("# OSU MPI Bi-Directional Bandwidth Test v5.6.3", "osu_bibw"),
        ("# OSU MPI_Put Latency Test v5.8", "osu_put_latency"),
        ("# OSU MPI_Put latency Test", "osu_put_latency"),
        ("# OSU MPI_Get-CUDA Bandwidth Test v7.4", "osu_get_bw"),
        ("# OSU MPI_Put Bi-directional Bandwidth Test v5.6.3", "osu_put_bibw"),
        ("# OSU One Sided MPI_Put Latency Test v3.1", "osu_put_latency"),
        ("# OSU MPI_Accumulate latency Test v5.6", "osu_acc_latency"),
        ("# OSU MPI_Fetch_and_op latency Test v5.6", "osu_fop_latency"),
        ("# OSU MPI_Compare_and_swap latency Test v5.6", "osu_cas_latency"),
        ("# OSU MPI_Get_accumulate latency Test v5.6", "osu_get_acc_latency"),
        ("# OSU MPI Something New Latency Test v9.0", "osu_something_new_latency"),
        ("Warning! Limiting max message size to: 65536.# OSU MPI Barrier Latency Test v7.4", "barrier"),
        ("# OSU MPI Hello World Test v5.6.3", None),
        ("# OSU MPI Init Test v5.6.3", None),
        ("we ran the OSU latency test", None),
        ("# nccl-tests version 2.17.6", None),
    ],
)
def test_titles(title: str, expected: str | None) -> None:
    operation = read_title(title)
    assert (None if operation is None else operation.collective) == expected


@pytest.mark.parametrize(
    ("command", "num_ranks"),
    [
        ("mpirun -np 4 ./osu_allreduce", 4),
        ("+ mpirun -x UCX_TLS=rc -n 4 -N 2 /opt/osu/osu_allreduce -f", 4),
        ("$ mpiexec.hydra -n4 osu_allreduce", 4),
        ("srun -u --mpi=pmix --ntasks=4 ./osu_allreduce", 4),
        ("srun --ntasks 4 ./osu_allreduce", 4),
        ("srun -N2 --ntasks-per-node=8 ./osu_allreduce", 16),
        ("jsrun -n 2 -p 12 ./osu_allreduce", 12),
        ("jsrun -n 2 ./osu_allreduce", None),
        ("mpirun -np 4 ./osu_allgather", None),
        ("mpirun ./osu_allreduce -n 4", None),
        ("mpirun -np 4 $BENCHMARK", None),
        ("mpirun -np 0 ./osu_allreduce", None),
        ("echo osu_allreduce -np 4", None),
    ],
)
def test_ranks_of_a_command(command: str, num_ranks: int | None) -> None:
    log = read_osu([command, *collective()])
    assert only(log).num_ranks == num_ranks and is_accounted_for(log, 1 + len(collective()))


def test_each_table_has_the_ranks_of_its_own_command() -> None:
    lines = []
    for ranks in (2, 4, 8):
        lines += [f"+ srun -n {ranks} ./osu_allreduce", *collective()]
    assert [table.num_ranks for table in read_osu(lines).tables] == [2, 4, 8]


def test_commands_of_a_script_that_differ_decide_nothing() -> None:
    script = ["mpirun -np 2 ./osu_allreduce", "mpirun -np 4 ./osu_allreduce"]
    assert [t.num_ranks for t in read_osu([*script, *collective(), *collective()]).tables] == [None, None]
    assert [t.num_ranks for t in read_osu([script[1], *collective(), *collective()]).tables] == [4, 4]


def test_number_without_a_time_keeps_the_row_and_says_so() -> None:
    for token in ("0.00", "nan", "-nan", "inf", "-1.25"):
        lines = [
            "# OSU MPI Allreduce Latency Test v7.4",
            header(["Avg Latency(us)"]),
            f"8         {token:>20}",
            row(16, [1.5]),
        ]
        first, second = readings(only(read_osu(lines)))
        assert first.time_s is None and first.notes and value(second.time_s) == 1.5e-6


def test_row_that_was_cut_off_is_not_taken() -> None:
    lines = collective()
    whole = only(read_osu(lines)).points
    last = lines[-1]
    for end in range(1, len(last)):
        log = read_osu([*lines[:-1], last[:end]])
        assert only(log).points == whole[:-1]
        assert log.lines["not understood"] == 1 and log.unread[0].excerpt == last[:end].strip()


def test_columns_that_are_not_known_are_named() -> None:
    lines = [
        "# OSU MPI Allreduce Latency Test v9.0",
        header(["Avg Latency(us)", "Energy (J)"]),
        row(8, [1.5, 7.0]),
    ]
    (reading,) = readings(only(read_osu(lines)))
    assert "Energy (J)" in reading.notes[0]


def test_table_of_varied_windows_is_left_and_shown() -> None:
    log = read_osu(varied_windows())
    assert only(log).points == () and not only(log).is_complete
    assert [u.excerpt for u in log.unread] == [line.strip() for line in varied_windows()[3:]]


def test_derived_data_types_send_less_than_their_size() -> None:
    points = only(read_osu(LAYOUTS["derived type"])).points
    assert [(p.printed_bytes, p.message_bytes) for p in points] == [(size, size // 2) for size in SIZES]


def test_what_stands_around_tables_is_counted_and_not_shown() -> None:
    lines = [
        "module load osu",
        "export TOKEN=hunter2",
        *collective(),
        "node3: 17 packets",
        "1 2 3",
        *latency(),
        "bye",
    ]
    log = read_osu(lines)
    assert [len(table.points) for table in log.tables] == [len(SIZES), len(SIZES) + 1]
    assert "hunter2" not in repr(log) and is_accounted_for(log, len(lines))


def test_failure_belongs_to_the_table_that_it_follows() -> None:
    trouble = "srun: error: node1: task 3: Segmentation fault"
    assert not only(read_osu([*collective()[:-1], trouble])).is_complete
    log = read_osu([*collective(), "starting osu_latency", trouble])
    assert only(log).is_complete and len(log.warnings) == 1
    empty = only(read_osu([*collective()[:4], trouble]))
    assert empty.points == () and not empty.is_complete


def test_other_logs_are_not_claimed() -> None:
    assert not is_osu(
        [
            "# nThread 1 nGpus 8",
            "        8             2     float     sum      -1    20.1    0.00    0.00      0",
        ]
    )
    log = read_osu(["8 1.00", "", "text"])
    assert log.tables == () and log.lines == {"other program": 2, "blank": 1}


def test_any_damage_is_survived_and_every_line_counted() -> None:
    chance = random.Random(20260704)
    layouts = list(LAYOUTS.values())
    pieces = (
        "\n",
        "# Size",
        "nan",
        "1e999",
        "9" * 30,
        "# OSU MPI ",
        "(us)",
        "-",
        "#",
        " ",
        "mpirun -np 4 osu_allreduce",
    )
    for _ in range(600):
        text = "\n".join(chance.choice(layouts) + chance.choice(layouts))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            end = at + chance.choice((1, 2, 10, 80))
            text = chance.choice(
                (
                    text[:at] + text[end:],
                    text[:end] + text[at:],
                    text[:at] + chance.choice(pieces) + text[at:],
                )
            )
        lines = text.split("\n")
        is_osu(lines)
        log = read_osu(lines)
        assert is_accounted_for(log, len(lines))
        for table in log.tables:
            for reading in readings(table):
                stored = (reading.time_s, reading.busbw_bytes_per_s)
                numbers = [n for s in stored if s is not None for n in (s.value, s.high)]
                assert all(0 < number < math.inf for number in numbers)
                assert all(math.isfinite(number) for number in reading.statistics.values())
