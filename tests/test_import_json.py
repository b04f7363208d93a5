"""JSON of nccl-tests in every version, CSV and JSON of rccl-tests: every number, every place where a file can end, any damage."""

import json
import math
import random
from typing import Any

import pytest

from bench.importers.foreign import ForeignLog, ForeignTable, Printed, Reading
from bench.importers.nccl_json import is_json, read_json
from bench.importers.prefix import physical_lines
from bench.importers.rccl_tables import is_rccl_csv, is_rccl_json, read_rccl_csv, read_rccl_json
from bench.reported import LOOP_MEAN_RANK_MAX, LOOP_MEAN_RANK_MEAN
from tests.json_layouts import (
    GPUS_PER_PROCESS,
    NUM_RANKS,
    SECRET,
    SIZES,
    as_text,
    document,
    half,
    rccl_csv,
    rccl_json,
    rccl_rows,
    time_us,
)

every_version = pytest.mark.parametrize("version", [1, 2, 3, 4])


def only(log: ForeignLog) -> ForeignTable:
    assert len(log.tables) == 1
    return log.tables[0]


def value(number: Printed | None) -> float:
    assert number is not None
    return number.value


def is_accounted_for(log: ForeignLog, text: str) -> bool:
    """Every line once, and each that was not read in a range of ``unread``."""
    unread = sum(u.last_line - u.first_line + 1 for u in log.unread if u.first_line > 0)
    left = log.lines.get("not understood", 0) + log.lines.get("other program", 0)
    return sum(log.lines.values()) == len(physical_lines(text)) and unread == left


@every_version
def test_every_version_is_read_whole(version: int) -> None:
    text = as_text(document(version))
    assert is_json(text)
    log = read_json(text)
    table = only(log)
    assert (table.family, table.library, table.program) == ("nccl-tests", "nccl", "all_reduce_perf")
    assert (table.num_ranks, table.num_ranks_source, table.group_ranks) == (NUM_RANKS, "devices", None)
    assert table.is_complete and table.why_partial is None
    assert (table.out_of_bounds, table.average_busbw_gbytes_per_s) == (0, 123.456)
    assert (table.started, table.ended) == ("2026-07-01 10:00:00", "2026-07-01 10:01:00")
    assert table.versions["nccl"] == "2.28.9"
    assert table.settings["iterations"] == 20 and table.settings["blocking"] == 0
    assert [point.message_bytes for point in table.points] == list(SIZES)
    assert log.unread == () and log.warnings == () and is_accounted_for(log, text)
    for point in table.points:
        assert (point.collective, point.dtype, point.reduce_op, point.root) == (
            "all_reduce",
            "float32",
            "sum",
            -1,
        )
        assert [reading.placement for reading in point.readings] == ["out_of_place", "in_place"]
        for reading in point.readings:
            expected_s = time_us(point.printed_bytes, reading.placement) * 1e-6
            assert value(reading.time_s) == pytest.approx(expected_s)
            assert reading.statistic == LOOP_MEAN_RANK_MEAN
            assert value(reading.algbw_bytes_per_s) == pytest.approx(
                point.printed_bytes / expected_s, rel=1e-4
            )
            assert value(reading.busbw_bytes_per_s) == pytest.approx(
                1.75 * point.printed_bytes / expected_s, rel=1e-4
            )
            assert (reading.num_wrong_elements, reading.num_iterations, reading.notes) == (0, 20, ())


def test_only_allowed_variables_of_the_environment_are_taken() -> None:
    log = read_json(as_text(document(3)))
    assert dict(only(log).environment) == {"NCCL_ALGO": "Ring"}
    assert SECRET not in repr(log)


@pytest.mark.parametrize("cut", range(0, len(as_text(document(3))), 37))
def test_no_secret_leaks_wherever_the_file_ends(cut: int) -> None:
    assert SECRET not in repr(read_json(as_text(document(3))[:cut]))


@pytest.mark.parametrize("version", [2, 3, 4])
def test_iterations_are_those_that_the_statistics_are_of(version: int) -> None:
    text = as_text(document(version, with_iterations=True))
    skipped = 1 if version >= 3 else 0
    for point in only(read_json(text)).points:
        for reading in point.readings:
            base_s = time_us(point.printed_bytes, reading.placement) * 1e-6
            rows = ((5.0, 0.9, 1.0, 1.2), (4.0, 1.0, 0.8, 1.1))
            kept = tuple(tuple(share * base_s for share in row[skipped:]) for row in rows)
            for row, expected in zip(reading.per_process_s, kept, strict=True):
                assert row == pytest.approx(expected)
            assert reading.iterations_s == pytest.approx([max(pair) for pair in zip(*kept, strict=True)])
            assert reading.statistics["stdev_s"] == pytest.approx(1.5e-6)
            assert reading.statistics["cv"] == pytest.approx(0.075)
            assert reading.statistics_of == "iterations of the maximum over processes"
            if version >= 3:
                assert reading.statistics["max_s"] == pytest.approx(max(reading.iterations_s))
                assert reading.statistics["min_s"] == pytest.approx(min(reading.iterations_s))


def test_what_is_unchecked_or_not_measured_stays_so() -> None:
    content = document(3, program="alltoall")
    content["results"][0]["out_of_place"] = None
    first, second, _ = only(read_json(as_text(content))).points
    assert [(r.placement, r.num_wrong_elements) for r in first.readings] == [("in_place", None)]
    assert [r.num_wrong_elements for r in second.readings] == [0, None]
    assert first.collective == "all_to_all" and first.reduce_op is None


@pytest.mark.parametrize(
    ("arguments", "statistic"),
    [
        (("-a", "3"), LOOP_MEAN_RANK_MAX),
        (("-a3",), LOOP_MEAN_RANK_MAX),
        (("--average=3",), LOOP_MEAN_RANK_MAX),
        (("--average", "1"), LOOP_MEAN_RANK_MEAN),
    ],
)
def test_statistic_is_the_one_that_was_asked_for(arguments: tuple[str, ...], statistic: str) -> None:
    table = only(read_json(as_text(document(3, arguments=arguments))))
    assert {r.statistic for p in table.points for r in p.readings} == {statistic}


def test_cpu_time_is_not_taken_for_the_time_of_the_call() -> None:
    content = document(3, arguments=("-C", "1"))
    for result in content["results"]:
        for placement in ("out_of_place", "in_place"):
            result[placement]["cpu_time"] = result[placement].pop("time") / 10
    for point in only(read_json(as_text(content))).points:
        for reading in point.readings:
            assert "CPU time" in reading.statistic and reading.notes == ()


def test_groups_of_a_split_run_have_ranks_of_their_own() -> None:
    table = only(read_json(as_text(document(3, groups=(0, 1)))))
    assert (table.num_ranks, table.group_ranks) == (NUM_RANKS, GPUS_PER_PROCESS)


@pytest.mark.parametrize("program", ["all_reduce", "all_gather", "alltoall"])
def test_ranks_are_inferred_where_no_device_is_listed(program: str) -> None:
    content = document(3, program=program)
    del content["config"]["devices"]
    table = only(read_json(as_text(content)))
    assert (table.num_ranks, table.num_ranks_source) == (NUM_RANKS, "inferred")


def test_ranks_of_a_broadcast_cannot_be_inferred() -> None:
    content = document(3, program="broadcast")
    del content["config"]["devices"]
    table = only(read_json(as_text(content)))
    assert (table.num_ranks, table.num_ranks_source) == (None, None)


def test_devices_that_contradict_the_bandwidths_are_a_warning() -> None:
    content = document(3)
    content["config"]["ngpus"] = 1
    log = read_json(as_text(content))
    assert only(log).num_ranks == 2
    assert "8 ranks" in log.warnings[0].text


def test_size_over_time_that_contradicts_algbw_is_noted() -> None:
    content = document(3)
    content["results"][2]["in_place"]["alg_bw"] *= 1.01
    notes = [r.notes for p in only(read_json(as_text(content))).points for r in p.readings]
    assert [bool(found) for found in notes] == [False] * 5 + [True]
    assert "algbw" in notes[-1][0]


@pytest.mark.parametrize(
    "token", ['"nan"', "NaN", "nan", "-nan", "inf", "-inf", "Infinity", "1e9999", "-5.0", "0.0", "null", "[]"]
)
def test_time_that_is_none_keeps_the_row_and_says_so(token: str) -> None:
    content = document(3)
    text = as_text(content).replace(f'"time":{content["results"][1]["in_place"]["time"]}', f'"time":{token}')
    log = read_json(text)
    reading = only(log).points[1].readings[1]
    assert reading.time_s is None and any("time" in note for note in reading.notes)
    assert value(reading.busbw_bytes_per_s) > 0
    assert len(only(log).points) == len(SIZES) and log.unread == ()


def test_bandwidth_of_one_rank_is_undefined_not_zero() -> None:
    content = document(3)
    for result in content["results"]:
        result["in_place"]["bus_bw"] = 0.0
    for point in only(read_json(as_text(content))).points:
        assert point.readings[1].busbw_bytes_per_s is None and point.readings[1].notes == ()


def test_results_survive_wherever_the_file_ends() -> None:
    content = document(3, with_iterations=True)
    text = as_text(content)
    ends = [text.index(as_text(result)) + len(as_text(result)) for result in content["results"]]
    for cut in range(0, len(text), 13):
        log = read_json(text[:cut])
        assert sum(len(table.points) for table in log.tables) == sum(end <= cut for end in ends)
        assert not any(table.is_complete for table in log.tables)
        assert all(table.why_partial for table in log.tables)


def test_results_behind_damage_are_read() -> None:
    content = document(3)
    text = as_text(content)
    second = text.index(as_text(content["results"][1]))
    damaged = text[: second + 30] + "\x00\x00##" + text[second + 34 :]
    log = read_json(damaged)
    table = only(log)
    assert [point.printed_bytes for point in table.points] == [SIZES[0], SIZES[2]]
    assert not table.is_complete and table.out_of_bounds == 0
    assert any("damaged" in unread.reason for unread in log.unread)


def test_several_documents_are_several_tables() -> None:
    cut = as_text(document(3)).partition('"out_of_bounds"')[0]
    for text, count in (
        (as_text(document(1)) + "\n" + as_text(document(2)), 2),
        ("[" + as_text(document(1)) + ",\n" + as_text(document(3)) + "]", 2),
        (cut + "\n" + as_text(document(2)), 2),
        (cut.removesuffix("],") + "," + as_text(document(2)), 2),
    ):
        assert is_json(text)
        log = read_json(text)
        assert len(log.tables) == count and log.tables[-1].is_complete and is_accounted_for(log, text)
        assert [len(table.points) for table in log.tables] == [len(SIZES)] * count


def test_a_file_that_was_formatted_again_reads_alike() -> None:
    content = document(3, with_iterations=True)
    text = json.dumps(content, indent=2, sort_keys=True)
    assert is_json(text)
    log = read_json(text)
    assert only(log) == only(read_json(as_text(content))) and is_accounted_for(log, text)


@pytest.mark.parametrize("cut", [*range(30, 60), *range(60, len(as_text(document(3))), 61), *range(-30, -1)])
def test_a_run_behind_one_that_was_cut_off_is_whole(cut: int) -> None:
    whole = as_text(document(2))
    log = read_json(as_text(document(3))[:cut] + whole)
    assert log.tables[-1] == only(read_json(whole))


def test_unknown_keys_are_named_once() -> None:
    content = document(3) | {"newest": 1}
    content["config"]["color"] = "red"
    for result in content["results"]:
        result["in_place"]["energy_j"] = 3.0
    reasons = " ".join(unread.reason for unread in read_json(as_text(content)).unread)
    for path in ("'newest'", "'color' in config", "'energy_j' in results[].in_place, 3 times"):
        assert reasons.count(path) == 1


def test_keys_that_may_be_a_piece_of_the_environment_are_not_shown() -> None:
    text = as_text(document(3)).replace(f'"HOME={SECRET}"', f'"EMPTY"],"HOME={SECRET}":[1', 1)
    log = read_json(text)
    assert len(only(log).points) == len(SIZES)
    assert SECRET not in repr(log) and any("unknown key of" in unread.reason for unread in log.unread)


def test_repeated_calls_that_differ_are_noted() -> None:
    content = document(4)
    content["results"][0]["in_place"]["bitwise"] = {
        "repeats": 5,
        "different_elements": 3,
        "different_bits": 7,
    }
    log = read_json(as_text(content))
    assert log.unread == () and "differ" in only(log).points[0].readings[1].notes[0]


def test_errors_become_warnings() -> None:
    content = document(3) | {"errors": ["", "unhandled system error\n"]}
    assert [warned.text for warned in read_json(as_text(content)).warnings] == ["unhandled system error"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "# nThread 1 nGpus 8\n# Using devices\n 8 2 float sum -1 1.0 0.0 0.0 0\n",
        '[0] # {"results": [1]}\n[1] "config": 3\n',
        '{"name": "someone", "results_of": []}',
        "+ export JSON='{\"config\": 1}'\n",
    ],
)
def test_other_files_are_not_claimed(text: str) -> None:
    assert not is_json(text)
    assert not any(table.points for table in read_json(text).tables)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"config":' * 50_000,
        '{"results":[' + '{"size":' * 50_000,
        '{"version":1,"results":[{"size":' + "9" * 100_000 + "}]}",
        '{"version":1,"results":' + '[{"size":1},' * 10_000,
        '{"version":1,"config":{"nthreads":1e300,"ngpus":"x","devices":[{},{"rank":[]}]},"results":[1,null,{"size":-1}]}',
    ],
)
def test_hostile_files_raise_nothing(text: str) -> None:
    log = read_json(text)
    assert is_accounted_for(log, text)


def mutated(text: str, chance: random.Random) -> str:
    """One to three edits: a piece gone, doubled, replaced, or the file cut."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text))
        end = min(len(text), at + chance.choice((1, 1, 2, 5, 40, 400)))
        text = chance.choice(
            (
                text[:at] + text[end:],
                text[:end] + text[at:],
                text[:at]
                + chance.choice(('"', "{", "}", "]", ",", "\n", "nan", "1e999", "\\", "\x00", "-"))
                + text[at:],
                text[:at] or text,
            )
        )
    return text


def readings(log: ForeignLog) -> list[Reading]:
    return [reading for table in log.tables for point in table.points for reading in point.readings]


def are_sound(found: list[Reading]) -> bool:
    """No time, bandwidth or iteration that is no positive, finite number."""
    numbers = [
        number
        for r in found
        for stored in (r.time_s, r.algbw_bytes_per_s, r.busbw_bytes_per_s)
        if stored is not None
        for number in (stored.value, stored.high)
    ]
    numbers += [time_s for r in found for row in (r.iterations_s, *r.per_process_s) for time_s in row]
    return all(0 < number < math.inf for number in numbers)


def test_any_damage_is_survived_and_every_line_counted() -> None:
    chance = random.Random(20260701)
    texts = [
        as_text(document(3, with_iterations=True)),
        json.dumps(document(2), indent=1),
        rccl_json(rccl_rows("all_reduce"), is_first=False),
        rccl_json(rccl_rows("all_reduce"), is_first=True),
    ]
    for _ in range(400):
        text = mutated(chance.choice(texts), chance)
        is_json(text)
        for log in (read_json(text), read_rccl_json(text)):
            assert is_accounted_for(log, text) and are_sound(readings(log))
            assert SECRET not in repr(log)


def check_rccl(table: ForeignTable, program: str, *, cycles: int = 1, is_receive_size: bool = False) -> None:
    assert (table.family, table.library, table.num_ranks) == ("rccl-tests", "rccl", NUM_RANKS)
    assert [point.message_bytes for point in table.points] == list(SIZES) * cycles
    for point in table.points:
        size = point.message_bytes
        assert size is not None and point.printed_bytes == (size // NUM_RANKS if is_receive_size else size)
        assert [r.placement for r in point.readings] == ["out_of_place", "in_place"]
        assert [r.num_wrong_elements for r in point.readings] == [0, None]
        for reading in point.readings:
            expected = half(size, reading.placement, program=program, num_ranks=NUM_RANKS)
            time = reading.time_s
            assert time is not None and time.value == pytest.approx(expected["time"] * 1e-6)
            assert time.high - time.low == pytest.approx(1e-12, rel=1e-3)
            assert value(reading.busbw_bytes_per_s) == pytest.approx(expected["bus_bw"] * 1e9)
            assert bool(reading.notes) is is_receive_size


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("with_mpi", [True, False])
@pytest.mark.parametrize("program", ["all_reduce", "all_gather", "alltoall"])
def test_rccl_csv_of_every_version(program: str, with_mpi: bool, is_first: bool) -> None:
    text = rccl_csv(rccl_rows(program), is_first=is_first, with_mpi=with_mpi)
    lines = physical_lines(text)
    assert is_rccl_csv(lines) and not is_json(text)
    log = read_rccl_csv(lines)
    check_rccl(only(log), program)
    assert log.lines == {"row": 2 * len(SIZES), "header": 1} and log.unread == ()
    assert [point.line for point in only(log).points] == [2, 4, 6]


@pytest.mark.parametrize("is_first", [True, False])
def test_rccl_json_of_every_version(is_first: bool) -> None:
    text = rccl_json(rccl_rows("all_reduce"), is_first=is_first)
    assert is_rccl_json(text) and is_json(text)
    assert is_first is not _is_valid(text)
    log = read_json(text)
    check_rccl(only(log), "all_reduce")
    assert log.unread == () and is_accounted_for(log, text)


def _is_valid(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_cycles_are_repeats() -> None:
    rows = rccl_rows("all_reduce", cycles=3)
    for log in (
        read_rccl_csv(physical_lines(rccl_csv(rows, is_first=False))),
        read_json(rccl_json(rows, is_first=False)),
    ):
        check_rccl(only(log), "all_reduce", cycles=3)
        assert only(log).settings == {"cycles": 3}


def test_size_that_is_the_receive_buffer_becomes_the_message() -> None:
    text = rccl_csv(rccl_rows("reduce_scatter", is_receive_size=True), is_first=True)
    check_rccl(only(read_rccl_csv(physical_lines(text))), "reduce_scatter", is_receive_size=True)


def test_only_one_placement_is_one_reading() -> None:
    rows = [row for row in rccl_rows("all_reduce") if row["inPlace"]]
    table = only(read_json(rccl_json(rows, is_first=False)))
    assert [[r.placement for r in point.readings] for point in table.points] == [["in_place"]] * len(SIZES)


def test_groups_of_a_split_rccl_run() -> None:
    rows: list[dict[str, Any]] = [row | {"ranks": 2 * row["ranks"]} for row in rccl_rows("all_reduce")]
    table = only(read_json(rccl_json(rows, is_first=False)))
    assert (table.num_ranks, table.group_ranks) == (2 * NUM_RANKS, NUM_RANKS)


def test_rccl_json_that_was_cut_off_is_partial() -> None:
    text = rccl_json(rccl_rows("all_reduce"), is_first=False)[:-60]
    log = read_json(text)
    assert not only(log).is_complete and len(only(log).points[-1].readings) == 1
    assert is_accounted_for(log, text)


def test_csv_lines_that_do_not_fit_are_left_with_their_reason() -> None:
    lines = physical_lines(rccl_csv(rccl_rows("all_reduce"), is_first=False))
    lines[2] = lines[2][:40]
    lines[3] = lines[3].replace(str(SIZES[1]), "many")
    lines.insert(0, "some message")
    log = read_rccl_csv(lines)
    assert log.lines == {"row": 4, "not understood": 2, "header": 1, "other program": 1}
    assert [(u.first_line, u.last_line) for u in log.unread] == [(1, 1), (4, 4), (5, 5)]


def test_any_damage_of_csv_is_survived() -> None:
    chance = random.Random(20240601)
    texts = [rccl_csv(rccl_rows("all_reduce", cycles=2), is_first=first) for first in (True, False)]
    for _ in range(200):
        text = mutated(chance.choice(texts), chance)
        lines = physical_lines(text)
        is_rccl_csv(lines)
        log = read_rccl_csv(lines)
        assert is_accounted_for(log, text) and are_sound(readings(log))
