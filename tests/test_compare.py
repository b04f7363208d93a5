"""`linerate compare`, `gate` and `ab`: what is refused, what is found, and what scripts rely on."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.compare import NotComparableError, as_json, compare_paths, compare_runs
from analysis.compare_rows import COLUMNS
from analysis.load import load_run
from bench.ab import order_of
from bench.cli import main
from bench.floor_file import read_floors
from bench.model.comparison.judgement import Verdict
from bench.reported import LOOP_MEAN_RANK_MEAN, Reported
from tests.fake_runs import SIZES, fake_record, noisy_points, write_run


def write_plan(folder: Path, num_starts: int) -> None:
    """What `linerate ab` writes: run s0 of both arms ran in the first turn, and so on."""
    starts = [{"arm": arm, "number": n, "run": f"s{n}"} for n in range(num_starts) for arm in "ab"]
    (folder / "ab.json").write_text(json.dumps({"starts": starts}))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_run(tmp_path / "runs", "base", noisy_points(1))


def test_a_run_against_itself_differs_nowhere(base: Path) -> None:
    compared = compare_paths(base, base)
    assert list(compared.frame.columns) == list(COLUMNS)
    assert list(compared.frame["message_bytes"]) == list(SIZES)
    assert (compared.frame["ratio"] == 1).all()
    assert (compared.frame["verdict"] == Verdict.no_difference_found.name).all()
    assert not compared.has_regressed and not compared.changed and not compared.forbidding


def test_ratios_turn_round_with_the_sides(tmp_path: Path, base: Path) -> None:
    slow = write_run(tmp_path / "runs", "slow", noisy_points(2, slower=1.3))
    forth, back = compare_paths(base, slow), compare_paths(slow, base)
    assert (forth.frame["verdict"] == Verdict.slower.name).all()
    assert (back.frame["verdict"] == Verdict.faster.name).all()
    assert list(forth.frame["ratio"]) == pytest.approx([1 / r for r in back.frame["ratio"]], rel=1e-3)
    assert forth.has_regressed and not back.has_regressed


def test_busbw_and_time_say_the_same(tmp_path: Path, base: Path) -> None:
    slow = write_run(tmp_path / "runs", "slow", noisy_points(2, slower=1.3))
    frame = compare_paths(base, slow).frame
    busbw_ratio = frame["base_busbw_gbytes_per_s"] / frame["new_busbw_gbytes_per_s"]
    time_ratio = frame["new_time_s"] / frame["base_time_s"]
    assert list(busbw_ratio.astype(float)) == pytest.approx(list(time_ratio.astype(float)))


def test_exit_statuses(tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = write_run(tmp_path / "runs", "same", noisy_points(3))
    slow = write_run(tmp_path / "runs", "slow", noisy_points(2, slower=1.3))
    other = write_run(tmp_path / "runs", "other", noisy_points(4), num_ranks=8)
    assert main(["compare", str(base), str(same)]) == 0
    assert main(["compare", str(base), str(slow)]) == 1
    assert main(["compare", str(slow), str(base)]) == 0
    capsys.readouterr()
    assert main(["compare", str(base), str(other)]) == 2
    said = capsys.readouterr().err
    assert "num_ranks: 4 | 8" in said and "--anyway" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"num_ranks": 8}, "num_ranks"),
        ({"hosts": [{"name": "elsewhere"}]}, "hosts"),
        ({"backend": "mpi"}, "backend"),
        ({"fabric": "dgx_h100"}, "fabric"),
        ({"time_scale": 100.0}, "time_scale"),
        ({"config": {"device": "cpu", "transceiver": {"nominal_rate_gbps": 800.0}}}, "line rate"),
        ({"links": {"rate_bytes_per_s": 1e8}}, "link rate"),
    ],
)
def test_runs_of_different_things_are_refused_by_key(
    tmp_path: Path, base: Path, changes: dict[str, Any], key: str
) -> None:
    other = write_run(tmp_path / "runs", "other", noisy_points(2), **changes)
    with pytest.raises(NotComparableError, match=key):
        compare_paths(base, other)
    compared = compare_paths(base, other, anyway=True)
    assert len(compared.frame) == len(SIZES)
    assert any(key in item.key for item in compared.forbidding)


def test_what_one_compares_runs_for_is_reported_and_not_refused(tmp_path: Path, base: Path) -> None:
    other = write_run(
        tmp_path / "runs",
        "other",
        noisy_points(2),
        versions={"linerate": "0.1.0", "torch": "2.14.0"},
        transceiver="400g-osfp-lpo-dr4",
        environment={"NCCL_ALGO": "Tree", "MASTER_PORT": "1234"},
    )
    changed = {item.key: (item.base, item.new) for item in compare_paths(base, other).changed}
    assert changed == {
        "versions.torch": ("2.13.0", "2.14.0"),
        "transceiver": ("400g-osfp-dr4", "400g-osfp-lpo-dr4"),
        "environment.NCCL_ALGO": ("not known", "Tree"),
    }


def test_another_algorithm_that_ran_is_refused(tmp_path: Path) -> None:
    durations = noisy_points(1)[8388608]
    ring = write_run(tmp_path / "runs", "ring", [fake_record(durations, algorithm="ring/simple")])
    tree = write_run(tmp_path / "runs", "tree", [fake_record(durations, algorithm="tree/simple")])
    with pytest.raises(NotComparableError, match=r"algorithm that ran .*ring/simple | tree/simple"):
        compare_paths(ring, tree)


def test_a_point_that_is_no_longer_right_is_a_regression(tmp_path: Path, base: Path) -> None:
    records = [fake_record(durations, message_bytes=size) for size, durations in noisy_points(2).items()]
    records[1] = fake_record(
        records[1].durations_s, message_bytes=SIZES[1], num_wrong_elements=7, status="wrong_data"
    )
    wrong = write_run(tmp_path / "runs", "wrong", records)
    compared = compare_paths(base, wrong)
    assert compared.has_regressed
    assert compared.broken == ("all_reduce of 32 KiB: 7 wrong elements in NEW",)
    assert len(compared.frame) == len(SIZES) - 1


def test_a_point_that_a_partial_run_lacks_is_a_regression(tmp_path: Path, base: Path) -> None:
    points = noisy_points(2)
    points.pop(SIZES[-1])
    cut = write_run(tmp_path / "runs", "cut", points, status="interrupted", num_points_planned=4)
    compared = compare_paths(base, cut)
    assert compared.has_regressed and "8 MiB" in compared.broken[0]


def test_a_point_that_was_not_planned_is_only_named(tmp_path: Path, base: Path) -> None:
    points = noisy_points(2)
    points.pop(SIZES[-1])
    shorter = write_run(tmp_path / "runs", "shorter", points)
    compared = compare_paths(base, shorter)
    assert not compared.has_regressed
    assert compared.only_base == ("all_reduce of 8 MiB",)


def test_runs_without_a_point_in_common(tmp_path: Path, base: Path) -> None:
    other = write_run(tmp_path / "runs", "other", {1024: [1e-3] * 30})
    with pytest.raises(NotComparableError, match="no point in common"):
        compare_paths(base, other)


def test_a_folder_of_runs_counts_as_starts(tmp_path: Path) -> None:
    for arm, slower in (("a", 1.0), ("b", 1.3)):
        for start in range(4):
            write_run(tmp_path / arm, f"s{start}", noisy_points(10 * start + len(arm), slower=slower))
    compared = compare_paths(tmp_path / "a", tmp_path / "b")
    assert set(compared.frame["num_base_starts"]) == set(compared.frame["num_new_starts"]) == {4}
    assert (compared.frame["verdict"] == Verdict.slower.name).all()
    assert not compared.is_paired


def test_numbers_without_samples_say_nothing_about_chance(tmp_path: Path) -> None:
    def reported(time_s: float) -> Any:
        told = Reported(
            statistic=LOOP_MEAN_RANK_MEAN, time_s=time_s, time_low_s=time_s - 5e-9, time_high_s=time_s + 5e-9
        )
        return [fake_record([], reported=told, measure_pass="bandwidth", rank_mean_s=[])]

    runs = [write_run(tmp_path / "runs", name, reported(t)) for name, t in (("one", 1e-3), ("two", 2e-3))]
    compared = compare_paths(*runs)
    row = compared.frame.iloc[0]
    assert row["verdict"] == Verdict.cannot_tell.name
    assert row["ratio"] == pytest.approx(2.0)
    assert pd.isna(row["p_adjusted"])
    assert not compared.has_regressed


def test_a_mean_is_not_compared_with_a_median(tmp_path: Path, base: Path) -> None:
    told = Reported(statistic=LOOP_MEAN_RANK_MEAN, time_s=1.0, time_low_s=1.0, time_high_s=1.0)
    imported = write_run(tmp_path / "runs", "imported", [fake_record([], reported=told, rank_mean_s=[])])
    with pytest.raises(NotComparableError, match="statistic of the time"):
        compare_paths(base, imported)


def test_json_and_csv_hold_every_point(tmp_path: Path, base: Path) -> None:
    slow = write_run(tmp_path / "runs", "slow", noisy_points(2, slower=1.3))
    as_file, as_table = tmp_path / "c.json", tmp_path / "c.csv"
    assert main(["compare", str(base), str(slow), "--json", str(as_file), "--out", str(as_table)]) == 1
    content = json.loads(as_file.read_text())
    assert content["num_slower"] == len(content["points"]) == len(SIZES)
    assert list(pd.read_csv(as_table).columns) == list(COLUMNS)
    assert as_json(compare_paths(base, slow))["points"] == content["points"]


def test_arms_take_turns() -> None:
    order = order_of(4)
    assert [arm for arm, _ in order] == ["a", "b", "b", "a", "a", "b", "b", "a"]
    for arm in "ab":
        assert [number for name, number in order if name == arm] == [0, 1, 2, 3]
    places = {arm: [place for place, (name, _) in enumerate(order) if name == arm] for arm in "ab"}
    assert sum(places["a"]) == sum(places["b"]), "a steady drift falls on both arms alike"


def test_arms_differ_on_purpose_and_are_paired(tmp_path: Path) -> None:
    write_plan(tmp_path, 3)
    for arm, slower, rate in (("a", 1.0, 400.0), ("b", 0.6, 800.0)):
        config = {"device": "cpu", "transceiver": {"nominal_rate_gbps": rate}}
        for start in range(3):
            seed = start + (50 if arm == "b" else 0)
            write_run(tmp_path / arm, f"s{start}", noisy_points(seed, slower=slower), config=config)
    compared = compare_paths(tmp_path / "a", tmp_path / "b")
    assert compared.is_paired and not compared.forbidding
    assert any(item.key == "line rate (Gb/s)" for item in compared.changed)
    assert (compared.frame["verdict"] == Verdict.faster.name).all()


def test_arms_with_other_exchanges_meet(tmp_path: Path) -> None:
    write_plan(tmp_path, 3)
    for arm, algorithm in (("a", "native"), ("b", "pairwise")):
        for start in range(3):
            records = [
                fake_record(d, message_bytes=s, collective="all_to_all", algorithm=algorithm, reduce_op=None)
                for s, d in noisy_points(start).items()
            ]
            write_run(tmp_path / arm, f"s{start}", records)
    compared = compare_paths(tmp_path / "a", tmp_path / "b")
    assert len(compared.frame) == len(SIZES)


class TestGate:
    """Floors and the runs that are held against them."""

    def test_a_share_of_the_ceiling(self, base: Path, tmp_path: Path) -> None:
        floors = tmp_path / "floors.csv"
        asked = ["gate", str(base), "--ceiling", "0.9", "--min-size", "8MiB", "--write", str(floors)]
        assert main(asked) == 0
        (floor,), system = read_floors(floors)
        assert system is not None and "1/1000" in system
        assert floor.longest_s == pytest.approx(1.5 * 8388608 / 49.5e6 / 0.9)
        assert floor.busbw_bytes_per_s == pytest.approx(0.9 * 49.5e6)
        assert "0.9" in floor.provenance and "optics" in floor.provenance
        slow = write_run(tmp_path / "runs", "slow", noisy_points(2, slower=1.3))
        assert main(["gate", str(slow), "--floors", str(floors)]) == 1
        assert main(["gate", str(base), "--floors", str(floors)]) == 0

    def test_a_share_above_the_ceiling_is_refused(
        self, base: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["gate", str(base), "--ceiling", "1.1"]) == 2
        assert "1.1" in capsys.readouterr().err

    def test_floors_from_ones_own_starts(self, tmp_path: Path) -> None:
        baseline = [str(write_run(tmp_path / "base", f"s{n}", noisy_points(n))) for n in range(5)]
        floors = tmp_path / "floors.csv"
        assert main(["gate", "--baseline", *baseline, "--write", str(floors)]) == 0
        same = write_run(tmp_path / "runs", "same", noisy_points(99))
        slow = write_run(tmp_path / "runs", "slow", noisy_points(98, slower=1.3))
        assert main(["gate", str(same), "--floors", str(floors)]) == 0
        assert main(["gate", str(slow), "--floors", str(floors)]) == 1

    def test_two_starts_are_too_few_without_a_tolerance(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        baseline = [str(write_run(tmp_path / "base", f"s{n}", noisy_points(n))) for n in range(2)]
        assert main(["gate", "--baseline", *baseline, "--write", str(tmp_path / "f.csv")]) == 2
        assert "3" in capsys.readouterr().err
        assert (
            main(["gate", "--baseline", *baseline, "--tolerance", "0.1", "--write", str(tmp_path / "f.csv")])
            == 0
        )

    def test_k_of_m(self, tmp_path: Path) -> None:
        base = write_run(tmp_path / "runs", "base", noisy_points(1))
        floors = tmp_path / "floors.csv"
        assert main(["gate", "--baseline", str(base), "--tolerance", "0.1", "--write", str(floors)]) == 0
        good = [str(write_run(tmp_path / "new", f"g{n}", noisy_points(10 + n))) for n in range(2)]
        bad = str(write_run(tmp_path / "new", "bad", noisy_points(20, slower=1.5)))
        assert main(["gate", *good, bad, "--floors", str(floors)]) == 0
        assert main(["gate", *good, bad, "--floors", str(floors), "--misses", "1"]) == 1
        worse = str(write_run(tmp_path / "new", "worse", noisy_points(21, slower=1.5)))
        assert main(["gate", good[0], bad, worse, "--floors", str(floors)]) == 1
        assert main(["gate", bad, bad, "--floors", str(floors)]) == 2, "each run counts once"

    def test_floors_of_another_system_are_refused(
        self, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        floors = tmp_path / "floors.csv"
        assert main(["gate", "--baseline", str(base), "--tolerance", "0.1", "--write", str(floors)]) == 0
        other = write_run(tmp_path / "runs", "other", noisy_points(2), time_scale=100.0)
        capsys.readouterr()
        assert main(["gate", str(other), "--floors", str(floors)]) == 2
        said = capsys.readouterr().err
        assert "1/1000" in said and "1/100," in said and "--anyway" in said
        assert main(["gate", str(other), "--floors", str(floors), "--anyway"]) == 0
        assert main(["gate", str(base), "--baseline", str(base), str(other), "--tolerance", "0.1"]) == 2

    def test_a_missing_point_is_a_miss(self, tmp_path: Path) -> None:
        base = write_run(tmp_path / "runs", "base", noisy_points(1))
        floors = tmp_path / "floors.csv"
        assert main(["gate", "--baseline", str(base), "--tolerance", "0.1", "--write", str(floors)]) == 0
        points = noisy_points(2)
        points.pop(SIZES[0])
        short = write_run(tmp_path / "runs", "short", points)
        assert main(["gate", str(short), "--floors", str(floors)]) == 1

    @pytest.mark.parametrize(
        ("line", "word"),
        [
            ("p,-1,,,mine", "longest_time_s"),
            ("p,nan,,,mine", "longest_time_s"),
            ("p,1e9999,,,mine", "longest_time_s"),
            ("p,1,,,", "provenance"),
            ("p,,,,mine", "longest_time_s"),
            ("p,1,5,1e9,mine", "contradict"),
            ("p,1,,,mine\np,1,,,mine", "twice"),
        ],
    )
    def test_bad_floors(
        self, base: Path, tmp_path: Path, line: str, word: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "floors.csv"
        file.write_text(
            f"point,longest_time_s,floor_busbw_gbytes_per_s,bus_bytes,provenance\n{line}\n", encoding="utf-8"
        )
        assert main(["gate", str(base), "--floors", str(file)]) == 2
        assert word in capsys.readouterr().err

    def test_a_busbw_alone_is_a_floor(self, tmp_path: Path) -> None:
        file = tmp_path / "floors.csv"
        file.write_text(
            "point,longest_time_s,floor_busbw_gbytes_per_s,bus_bytes,provenance\np,,2,4e9,contract\n",
            encoding="utf-8",
        )
        (floor,), system = read_floors(file)
        assert system is None
        assert math.isclose(floor.longest_s, 2.0)


def test_wrong_runs_are_not_compared(tmp_path: Path) -> None:
    """Runs of one side that differ among themselves are no starts of one thing."""
    one = load_run(write_run(tmp_path / "a", "s0", noisy_points(1)))
    two = load_run(write_run(tmp_path / "a", "s1", noisy_points(2), num_ranks=8))
    with pytest.raises(NotComparableError, match="within BASE"):
        compare_runs([one, two], [load_run(write_run(tmp_path / "b", "s2", noisy_points(3)))])


def test_one_wrong_start_among_several_is_a_regression(tmp_path: Path) -> None:
    for start in range(4):
        write_run(tmp_path / "a", f"s{start}", noisy_points(start))
        points = noisy_points(10 + start)
        changes = {"num_wrong_elements": 5, "status": "wrong_data"} if start == 2 else {}
        records = [fake_record(d, message_bytes=size, **changes) for size, d in points.items()]
        write_run(tmp_path / "b", f"s{start}", records)
    compared = compare_paths(tmp_path / "a", tmp_path / "b")
    assert compared.has_regressed
    assert compared.broken[0] == "all_reduce of 2 KiB: 1 of 4 starts: 5 wrong elements in NEW"


def test_a_pair_whose_one_half_is_wrong_is_left_out_whole(tmp_path: Path) -> None:
    """Else what ran in different turns would be paired."""
    write_plan(tmp_path, 4)
    for arm, bad in (("a", 0), ("b", 3)):
        for start in range(4):
            changes: dict[str, Any] = {"status": "failed"} if start == bad else {}
            durations = [value * (1 + start) for value in noisy_points(start)[8388608]]
            write_run(tmp_path / arm, f"s{start}", [fake_record(durations, **changes)])
    row = compare_paths(tmp_path / "a", tmp_path / "b").frame.iloc[0]
    assert (row["num_base_starts"], row["num_new_starts"]) == (2, 2)
    assert row["ratio"] == pytest.approx(1.0), "start 1 with start 1, start 2 with start 2"


def test_a_point_that_was_planned_and_skipped_is_a_regression(tmp_path: Path, base: Path) -> None:
    points = noisy_points(2)
    points.pop(SIZES[-1])
    skipped = [
        f"all_reduce.native.float32.sum.in_place.latency.{SIZES[-1]}: its buffers do not fit into memory"
    ]
    short = write_run(tmp_path / "runs", "short", points, skipped=skipped)
    compared = compare_paths(base, short)
    assert compared.broken == ("all_reduce of 8 MiB: skipped in NEW: its buffers do not fit into memory",)
    assert not compared.only_base


def test_nothing_to_judge_is_not_a_clean_bill(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "runs", name, [fake_record([0.3] * 30, measure_pass="overlap")])
        for name in ("one", "two")
    ]
    with pytest.raises(NotComparableError, match="no point has a valid time"):
        compare_paths(*runs)


def test_one_run_on_both_sides_is_refused(tmp_path: Path) -> None:
    for start in range(2):
        write_run(tmp_path / "a", f"s{start}", noisy_points(start))
    with pytest.raises(NotComparableError, match="s1 is on both sides"):
        compare_paths(tmp_path / "a", tmp_path / "a" / "s1")


def test_memory_of_another_boot_is_the_same_machine(tmp_path: Path) -> None:
    hosts = [
        [{"name": "n", "processor": "P", "num_processors": 4, "memory_bytes": memory}]
        for memory in (270582939648, 270582943744)
    ]
    runs = [
        write_run(tmp_path / "runs", f"r{place}", noisy_points(place), hosts=of)
        for place, of in enumerate(hosts)
    ]
    assert not compare_paths(*runs).changed


def test_what_one_side_does_not_tell_is_listed(tmp_path: Path, base: Path) -> None:
    silent = write_run(tmp_path / "runs", "silent", noisy_points(3), num_hosts=None)
    changed = compare_paths(base, silent).changed
    assert [(item.key, item.new) for item in changed] == [("num_hosts", "not known")]
