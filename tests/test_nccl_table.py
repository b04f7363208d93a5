"""The layout of nccl-tests: parsers written for its logs read ours, and what failed does not look like a result."""

import re
from typing import Any

import pytest

from bench.model.collective import Collective, bus_factor
from bench.model.datatype import DATA_TYPES
from bench.nccl_table import PROGRAMS, TYPE_NAMES, nccl_table, shortened
from bench.record import Record, RunManifest
from bench.summary import SummaryRow, summary_rows

HALF_DIGIT = 0.5 + 1e-9

# How people read these logs: a row of digits and dots; a footer of digits and dots.
NAIVE_ROW = re.compile(
    r"^\s*(\d+)\s+(\d+)\s+(\w+)\s+(\w+)\s+(-?\d+)"
    r"\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+(\S+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+(\S+)\s*$",
    re.MULTILINE,
)
NAIVE_AVERAGE = re.compile(r"# Avg bus bandwidth\s*:\s*([\d.]+)")
NAIVE_BOUNDS = re.compile(r"# Out of bounds values\s*:\s*(\d+)\s*(OK|FAILED)")


def record(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "attempt": 0,
        "status": "complete",
        "collective": "all_reduce",
        "algorithm": "native",
        "algorithm_source": "unknown",
        "backend": "nccl",
        "dtype": "float32",
        "reduce_op": "sum",
        "placement": "in_place",
        "measure_pass": "latency",
        "group": "world",
        "num_ranks": 4,
        "num_hosts": 2,
        "message_bytes": 2**20,
        "calls_per_sample": 1,
        "durations_s": [100e-6, 120e-6, 110e-6],
        "rank_mean_s": [100e-6, 101e-6, 102e-6, 105e-6],
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
    values |= changes
    parts = ("collective", "algorithm", "dtype", "placement", "measure_pass", "message_bytes")
    values.setdefault("point_id", ".".join(str(values[part]) for part in parts))
    return Record(**values)


def manifest(**changes: Any) -> RunManifest:
    values: dict[str, Any] = {
        "run_id": "r1",
        "started_utc": "2026-01-01T00:00:00+00:00",
        "status": "complete",
        "status_reason": None,
        "exit_status": 0,
        "command": ["linerate", "run"],
        "config": {"sizes": {"factor": 4, "list_bytes": None}, "timing": {"num_warmups": 5}},
        "config_sha256": "0",
        "versions": {"linerate": "0.1.0", "nccl": "2.27.3"},
        "hosts": [{"name": "a"}, {"name": "b"}],
        "ranks": [{"rank": rank, "host": "ab"[rank // 2]} for rank in range(4)],
        "launcher": "external",
        "launched_by": "torchrun",
        "backend": "nccl",
        "num_ranks": 4,
        "num_hosts": 2,
        "transceiver": "unknown",
        "fabric": "unknown",
        "time_scale": None,
        "links": None,
        "environment": {},
        "skipped": [],
        "num_points_planned": 1,
    }
    return RunManifest(**(values | changes))


def table(*records: Record, **changes: Any) -> str:
    return nccl_table(manifest(**changes), summary_rows(list(records)))


def body(text: str) -> list[list[str]]:
    """Rows by token, as the layout is documented: what does not begin with #."""
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


@pytest.mark.parametrize(
    ("value", "width", "expected"),
    [
        (0.0, 6, "  0.00"),
        (12.345, 7, "  12.35"),
        (999.99, 6, "999.99"),
        (999.996, 6, "1000.0"),
        (9999.994, 7, "9999.99"),
        (9999.996, 7, "10000.0"),
        (99999.96, 7, " 100000"),
        (1234567.0, 7, "1234567"),
        (1e7, 7, "1.0e+07"),
        (18456789.0, 7, "1.8e+07"),
        (999999.0, 6, "999999"),
        (4e6, 6, " 4e+06"),
    ],
)
def test_numbers_lose_decimals_before_they_outgrow_their_column(
    value: float, width: int, expected: str
) -> None:
    assert shortened(value, width) == expected


@pytest.mark.parametrize("exponent", range(-4, 9))
@pytest.mark.parametrize("width", [6, 7])
def test_a_shortened_number_stays_within_half_its_last_digit(exponent: int, width: int) -> None:
    for digits in (1.0, 1.2345678, 4.9999999, 9.9999999):
        value = digits * 10**exponent
        text = shortened(value, width)
        mantissa, _, power = text.strip().partition("e")
        step = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
        assert len(text) == width
        assert abs(float(text) - value) <= HALF_DIGIT * step


@pytest.mark.parametrize("collective", list(Collective))
@pytest.mark.parametrize("rank_mean_s", [3.21e-6, 0.04321, 20.0])
def test_a_row_has_thirteen_tokens_that_agree_with_the_summary(
    collective: Collective, rank_mean_s: float
) -> None:
    size = 0 if collective is Collective.barrier else 2**20
    found = record(
        collective=collective.value,
        reduce_op=None,
        message_bytes=size,
        rank_mean_s=[rank_mean_s] * 4,
        num_wrong_elements=0,
    )
    (tokens,) = body(table(found))
    assert len(tokens) == 13
    assert int(tokens[0]) == size
    for start in (5, 9):
        time_us, algbw, busbw = map(float, tokens[start : start + 3])
        # Two digits are what is left of a time in scientific notation, two decimals of a bandwidth.
        assert time_us == pytest.approx(rank_mean_s * 1e6, rel=0.05 if "e" in tokens[start] else 2e-3)
        assert algbw == pytest.approx(size / rank_mean_s / 1e9, abs=5e-3, rel=1e-3)
        assert busbw == pytest.approx(
            bus_factor(collective, 4) * size / rank_mean_s / 1e9, abs=5e-3, rel=1e-3
        )


@pytest.mark.parametrize(
    ("collective", "reduce_op", "shared"),
    [
        ("all_reduce", "max", ["262144", "float", "max", "-1"]),
        ("reduce_scatter", "sum", ["65536", "float", "sum", "-1"]),
        ("all_gather", None, ["65536", "float", "none", "-1"]),
        ("all_to_all", None, ["65536", "float", "none", "-1"]),
        ("all_to_allv", None, ["65536", "float", "none", "-1"]),
        ("broadcast", None, ["262144", "float", "none", "0"]),
        ("reduce", "sum", ["262144", "float", "sum", "0"]),
        ("gather", None, ["65536", "float", "none", "0"]),
        ("scatter", None, ["65536", "float", "none", "0"]),
        ("send_recv", None, ["262144", "float", "sum", "-1"]),
    ],
)
def test_count_type_operator_and_root_are_those_of_the_program(
    collective: str, reduce_op: str | None, shared: list[str]
) -> None:
    """1 MiB over 4 ranks, as the programs of nccl-tests print it: counts per peer where blocks are."""
    (tokens,) = body(table(record(collective=collective, reduce_op=reduce_op)))
    assert tokens[1:5] == shared


@pytest.mark.parametrize(
    ("dtype", "count", "name"),
    [
        ("float64", 2**17, "double"),
        ("float32", 2**18, "float"),
        ("float16", 2**19, "half"),
        ("bfloat16", 2**19, "bfloat16"),
        ("float8_e4m3fn", 2**20, "f8e4m3"),
        ("float8_e5m2", 2**20, "f8e5m2"),
        ("int8", 2**20, "int8"),
        ("uint8", 2**20, "uint8"),
        ("int32", 2**18, "int32"),
        ("uint32", 2**18, "uint32"),
        ("int64", 2**17, "int64"),
        ("uint64", 2**17, "uint64"),
    ],
)
def test_types_have_the_names_of_nccl_tests(dtype: str, count: int, name: str) -> None:
    assert set(TYPE_NAMES) < set(DATA_TYPES)
    (tokens,) = body(table(record(dtype=dtype)))
    assert tokens[1:3] == [str(count), name]


def test_programs_are_called_as_they_are_in_nccl_tests() -> None:
    """Every collective that it has; the two that it lacks keep their own name and say so."""
    assert set(Collective) - set(PROGRAMS) == {Collective.ping_pong, Collective.barrier}
    text = table(record(collective="all_to_all"), record(collective="ping_pong"))
    assert re.findall(r"Collective test starting: (\S+)", text) == ["alltoall_perf", "ping_pong"]
    assert re.findall(r"Collective test concluded: (\S+)", text) == ["alltoall_perf", "ping_pong"]
    assert "has no program for ping_pong" in text


def test_a_parser_of_digits_and_dots_reads_every_row() -> None:
    sizes = [2**power for power in range(10, 31, 4)]
    text = table(*(record(message_bytes=size, rank_mean_s=[size / 40e9 + 1e-5] * 4) for size in sizes))
    found = NAIVE_ROW.findall(text)
    assert [int(row[0]) for row in found] == sizes
    for size, row in zip(sizes, found, strict=True):
        assert float(row[11]) == pytest.approx(1.5 * size / (size / 40e9 + 1e-5) / 1e9, abs=5e-3, rel=1e-3)


def test_values_stand_below_their_titles() -> None:
    text = table(record(message_bytes=2**30, rank_mean_s=[1.5] * 4), record(placement="out_of_place"))
    titles = next(line for line in comments(text) if "algbw" in line)
    ends = [match.end() for match in re.finditer(r"\S+", titles)][1:]
    for line in text.splitlines():
        if line and not line.startswith("#") and "N/A" not in line:
            assert [match.end() for match in re.finditer(r"\S+", line)] == ends


def test_comments_do_not_look_like_header_or_footer() -> None:
    """Parsers find header and footer by their words, so no other line may hold two of them."""
    words = {"size", "count", "type", "redop", "root", "time", "algbw", "busbw", "#wrong"}
    marks = ("out-of-place", "in-place", "(GB/s)", "Out of bounds values", "Avg bus bandwidth")
    lost = record(message_bytes=2**22, durations_s=[], rank_mean_s=[], status="timeout")
    text = table(record(), lost, record(message_bytes=2**24, num_wrong_elements=3), time_scale=1000.0)
    lines = comments(text)
    for line in lines:
        tokens = set(line.replace(",", " ").replace("=", " ").split())
        assert len(words & tokens) in (0, 1, len(words))
    assert [sum(mark in line for line in lines) for mark in marks] == [1, 1, 1, 1, 1]
    assert not any(
        {"time", "busbw"} <= set(re.findall(r"\w+", line)) for line in lines if "algbw" not in line
    )


def test_both_placements_of_a_point_share_a_row() -> None:
    out = record(placement="out_of_place", rank_mean_s=[200e-6] * 4, num_wrong_elements=None)
    (tokens,) = body(table(record(), out))
    assert (tokens[5], tokens[8]) == ("200.00", "N/A")
    assert (tokens[9], tokens[12]) == ("102.00", "0")
    assert "only: both halves hold it" not in table(record(), out)


@pytest.mark.parametrize(("placement", "measured", "other"), [("in_place", 12, 8), ("out_of_place", 8, 12)])
def test_the_half_that_was_not_measured_repeats_the_other_unchecked(
    placement: str, measured: int, other: int
) -> None:
    text = table(record(placement=placement))
    (tokens,) = body(text)
    assert tokens[5:8] == tokens[9:12]
    assert (tokens[measured], tokens[other]) == ("0", "N/A")
    assert f"1 of 1 rows have the placement {placement} only: both halves hold it" in text


def test_the_average_is_that_of_all_rows_and_halves() -> None:
    records = [
        record(message_bytes=2**20, rank_mean_s=[1e-4] * 4, placement="in_place"),
        record(message_bytes=2**20, rank_mean_s=[2e-4] * 4, placement="out_of_place"),
        record(message_bytes=2**26, rank_mean_s=[3e-3] * 4, placement="in_place"),
        record(message_bytes=2**26, rank_mean_s=[4e-3] * 4, placement="out_of_place"),
    ]
    text = table(*records)
    exact = [1.5 * found.message_bytes / found.rank_mean_s[0] / 1e9 for found in records]
    average = NAIVE_AVERAGE.search(text)
    assert average and float(average[1]) == pytest.approx(sum(exact) / 4, rel=1e-5)
    printed = [float(row[column]) for row in body(text) for column in (7, 11)]
    assert float(average[1]) == pytest.approx(sum(printed) / len(printed), abs=5e-3)
    assert NAIVE_BOUNDS.findall(text) == [("0", "OK")]


def test_wrong_data_show_in_the_row_in_the_average_and_in_the_footer_and_get_no_bandwidth() -> None:
    wrong = record(message_bytes=2**24, num_wrong_elements=1234567, status="wrong_data")
    text = table(record(), wrong)
    right, bad = body(text)
    assert len(bad) == 13
    assert [float(bad[column]) for column in (6, 7, 10, 11)] == [0.0] * 4
    assert float(bad[12]) == pytest.approx(1234567, rel=1e-5) and float(bad[9]) == 102.0
    assert NAIVE_BOUNDS.findall(text) == [("1", "FAILED")]
    average = NAIVE_AVERAGE.search(text)
    assert average and float(average[1]) == pytest.approx(float(right[11]) / 2, abs=5e-3)


def test_a_point_without_a_result_has_no_row_and_fails_the_footer() -> None:
    lost = record(
        message_bytes=2**22, durations_s=[], rank_mean_s=[], num_wrong_elements=None, status="timeout"
    )
    text = table(record(), lost)
    assert [row[0] for row in body(text)] == [str(2**20)]
    assert f"{lost.point_id} has no result (timeout)" in text
    assert NAIVE_BOUNDS.findall(text) == [("1", "FAILED")]
    cut_off = record(status="timeout")  # samples that were taken before it hung do not make it a result
    assert not body(table(cut_off)) and NAIVE_BOUNDS.findall(table(cut_off)) == [("1", "FAILED")]
    alone = table(lost)
    assert not body(alone) and NAIVE_AVERAGE.search(alone) is None


def test_unchecked_data_are_not_called_right() -> None:
    text = table(record(num_wrong_elements=None))
    (tokens,) = body(text)
    assert (tokens[8], tokens[12]) == ("N/A", "N/A")
    assert "validation: 0 " in text and "validation: 1 " in table(record())


def test_the_statistic_is_named_and_is_the_mean_unless_no_mean_exists() -> None:
    text = table(record())
    (tokens,) = body(text)
    assert tokens[9] == "102.00" and "mean over ranks" in text
    # median of the slowest rank 110 us over the mean of 102 us
    assert "lies at 1.08 to 1.08 times that" in text
    text = table(record(rank_mean_s=[]))
    (tokens,) = body(text)
    assert tokens[9] == "110.00" and "which nccl-tests does not print" in text


def test_every_series_has_its_own_table_and_other_passes_follow_the_latency_pass() -> None:
    records = [
        record(measure_pass="bandwidth"),
        record(),
        record(collective="all_to_all", algorithm="pairwise", reduce_op=None),
        record(collective="all_to_all", reduce_op=None),
        record(dtype="bfloat16"),
        record(message_bytes=2**22),
    ]
    text = table(*records)
    passes = re.findall(r"algorithm (\w+) \(\w+\), pass (\w+)", text)
    assert passes == [
        ("native", "latency"),
        ("pairwise", "latency"),
        ("native", "latency"),
        ("native", "latency"),
        ("native", "bandwidth"),
    ]
    assert len(body(text)) == len(records)
    assert len(NAIVE_BOUNDS.findall(text)) == len(NAIVE_AVERAGE.findall(text)) == 5


def test_calls_beside_a_computation_are_counted_and_not_printed() -> None:
    """Their durations hold the computation, so they would be read as a slow collective."""
    text = table(
        record(measure_pass="overlap"),
        record(measure_pass="overlap", message_bytes=2**22, status="wrong_data"),
    )
    assert not body(text) and "2 points of pass overlap are left out" in text and "(1 failed" in text
    text = table(record(), record(measure_pass="overlap"))
    assert len(body(text)) == 1 and text.rstrip().splitlines()[-1].startswith(
        "# linerate: 1 points of pass overlap"
    )


def test_of_several_attempts_the_last_is_printed() -> None:
    text = table(
        record(attempt=1, rank_mean_s=[1e-4] * 4),
        record(num_wrong_elements=5, status="wrong_data", attempt=0),
    )
    (tokens,) = body(text)
    assert tokens[9] == "100.00" and NAIVE_BOUNDS.findall(text) == [("0", "OK")]
    assert "1 earlier attempts" in text


def test_there_is_one_device_line_per_rank_of_the_group() -> None:
    device = re.compile(
        r"^#  Rank +(\d+) Group +(\d+) Pid +\d+ on +(\S+) device +(\d+) \[[^]]*\] \S", re.MULTILINE
    )
    assert device.findall(table(record())) == [
        ("0", "0", "a", "0"),
        ("1", "0", "a", "1"),
        ("2", "0", "b", "0"),
        ("3", "0", "b", "1"),
    ]
    rails = {"rail/0": [0, 2], "rail/1": [1, 3]}
    text = table(record(group="rail/1", num_ranks=2), groups=rails)
    assert device.findall(text) == [("1", "1", "a", "1"), ("3", "1", "b", "1")]


def test_the_configuration_line_says_what_was_run() -> None:
    pattern = re.compile(
        r"^# nThread (\d+) nGpus (\d+) minBytes (\d+) maxBytes (\d+) step: (\d+)\((\w+)\) warmup iters: (\d+) "
        r"iters: (\d+) agg iters: (\d+) validation: (\d+) graph: (\d+) unalign: (\d+)$",
        re.MULTILINE,
    )
    records = (record(), record(message_bytes=2**22))
    expected = ("1", "1", str(2**20), str(2**22), "4", "factor", "5", "3", "1", "1", "0", "0")
    assert pattern.findall(table(*records)) == [expected]
    listed = {"sizes": {"factor": 2, "list_bytes": [1]}, "timing": {"num_warmups": 5}}
    assert "step: 0(bytes)" in table(*records, config=listed)


def test_a_run_without_points_says_so() -> None:
    rows: list[SummaryRow] = []
    text = nccl_table(manifest(), rows)
    assert "no point to print has been measured" in text and not body(text)
