"""`linerate validate`: what it promises of published clusters that took no part, and the JSON that others read."""

import csv
import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from bench.cli import main
from bench.published import COLUMNS, OWN_TABLE, TableRow, own_rows, read_table
from bench.validation import Judged, as_json, groups, judge, totals

ROW_KEYS: Final = (
    "name",
    "ceiling_gbytes_per_s",
    "predicted_gbytes_per_s",
    "low_gbytes_per_s",
    "high_gbytes_per_s",
    "algorithm",
    "relative_error",
)
TOTAL_KEYS: Final = ("mape", "median", "p90", "coverage", "num_above_ceiling")
HEADER: Final = ",".join(COLUMNS)


@pytest.fixture(scope="module")
def own() -> list[Judged]:
    return [judge(row) for row in read_table(OWN_TABLE)]


@pytest.fixture(scope="module")
def own_blanked() -> list[Judged]:
    """linerate's own table, with no algorithm in it."""
    rows = read_table(OWN_TABLE)
    return [
        judge(TableRow(measured=dataclasses.replace(row.measured, schedule=None), algorithm=""))
        for row in rows
    ]


def _healthy_multi_node(rows: Sequence[Judged]) -> list[Judged]:
    found = [row for row in rows if row.classification == "healthy" and row.nodes > 1]
    assert len(found) == 32
    return found


def _with_own_ports(rows: Sequence[Judged]) -> list[Judged]:
    """Without Polaris and ABCI, whose GPUs share ports: what those reach of them nobody could have said."""
    found = [row for row in _healthy_multi_node(rows) if not row.name.startswith(("polaris", "abci"))]
    assert len(found) == 26
    return found


def _errors(rows: Sequence[Judged]) -> list[float]:
    return [abs(row.relative_error) for row in rows if row.relative_error is not None]


# Promises, on clusters left out


def test_half_of_the_healthy_rows_of_several_nodes_are_within_three_and_a_half_percent(
    own: list[Judged],
) -> None:
    assert np.median(_errors(_healthy_multi_node(own))) <= 0.035


def test_with_a_port_for_each_gpu_the_mean_error_is_five_percent(own: list[Judged]) -> None:
    assert np.mean(_errors(_with_own_ports(own))) <= 0.05


def test_without_algorithms_the_mean_error_is_nine_percent(own_blanked: list[Judged]) -> None:
    assert {row.algorithm_source for row in own_blanked} == {"chosen"}
    assert np.mean(_errors(_with_own_ports(own_blanked))) <= 0.09


def test_nine_of_ten_healthy_rows_lie_in_their_interval(own: list[Judged]) -> None:
    found = totals([row for row in own if row.classification == "healthy"])
    assert found.num_predicted == 43 and found.coverage is not None
    assert 0.85 <= found.coverage <= 0.95


def test_no_row_is_above_its_ceiling(own: list[Judged], own_blanked: list[Judged]) -> None:
    """Whether the algorithm is given or not."""
    for rows in (own, own_blanked):
        assert [row.name for row in rows if row.is_above_ceiling or row.ceiling_gbytes_per_s is None] == []


def test_most_rows_with_something_wrong_lie_below_their_interval(own: list[Judged]) -> None:
    """Which is what a prediction is for."""
    ill = [row for row in own if row.classification == "pathological"]
    below = [row for row in ill if row.measured_gbytes_per_s < (row.low_gbytes_per_s or 0)]
    assert len(below) > 0.5 * len(ill)


def test_no_row_is_judged_by_its_own_cluster(own: list[Judged]) -> None:
    clusters = {row.name: row.cluster for row in own_rows()}
    assert all(clusters[row.name] in row.left_out for row in own)


def test_what_a_row_measured_does_not_change_what_is_predicted_of_its_cluster() -> None:
    """The same row with half the busbw, by its name still the one that is left out."""
    row = next(row for row in read_table(OWN_TABLE) if row.measured.name == "h100-ib-8x8-allreduce-tuned")
    halved = dataclasses.replace(row.measured, busbw_bytes_per_s=row.measured.busbw_bytes_per_s / 2)
    before, after = judge(row), judge(dataclasses.replace(row, measured=halved))
    for key in ("predicted_gbytes_per_s", "low_gbytes_per_s", "high_gbytes_per_s", "ceiling_gbytes_per_s"):
        assert getattr(before, key) == getattr(after, key)


# Laws of a row and of totals


def test_ends_and_ceiling_are_in_order(own: list[Judged], own_blanked: list[Judged]) -> None:
    for row in (*own, *own_blanked):
        low, busbw, high, ceiling = (
            *(row.low_gbytes_per_s, row.predicted_gbytes_per_s, row.high_gbytes_per_s),
            row.ceiling_gbytes_per_s,
        )
        assert low is not None and busbw is not None and high is not None and ceiling is not None
        assert 0 <= low <= busbw <= high <= ceiling
        assert row.relative_error == pytest.approx(busbw / row.measured_gbytes_per_s - 1)


def test_an_interval_without_an_algorithm_holds_that_of_what_was_chosen(own_blanked: list[Judged]) -> None:
    """It may have been another one, so it is no narrower."""
    for blank, row in zip(own_blanked, read_table(OWN_TABLE), strict=True):
        if blank.algorithm == row.algorithm:
            given = judge(row)
            assert blank.ceiling_gbytes_per_s is not None and given.ceiling_gbytes_per_s is not None
            assert blank.ceiling_gbytes_per_s >= given.ceiling_gbytes_per_s
            assert (blank.low_gbytes_per_s or 0) <= (given.low_gbytes_per_s or 0)
            assert (blank.high_gbytes_per_s or 0) >= (given.high_gbytes_per_s or 0)


def _judged(measured: float, predicted: float | None, **changes: Any) -> Judged:
    known: dict[str, Any] = {
        "low_gbytes_per_s": None if predicted is None else 0.9 * predicted,
        "high_gbytes_per_s": None if predicted is None else 1.1 * predicted,
        "relative_error": None if predicted is None else predicted / measured - 1,
    }
    return Judged(
        **{
            **dict.fromkeys(field.name for field in dataclasses.fields(Judged)),
            "classification": "healthy",
            "nodes": 2,
            "left_out": (),
            "measured_gbytes_per_s": measured,
            "predicted_gbytes_per_s": predicted,
            **known,
            **changes,
        }
    )


def test_totals_by_hand() -> None:
    """Errors of 0, 25, 10 and 100 %; the last row cannot be predicted and counts as a row all the same."""
    rows = [
        *(_judged(100, 100), _judged(80, 100), _judged(100, 90), _judged(50, 100, is_above_ceiling=True)),
        _judged(50, None),
    ]
    found = totals(rows)
    assert (found.num_rows, found.num_predicted, found.num_above_ceiling) == (5, 4, 1)
    assert found.mape == pytest.approx(1.35 / 4)
    assert found.median == pytest.approx(0.175)
    assert found.p90 == pytest.approx(0.25 + 0.7 * 0.75)
    assert found.coverage == pytest.approx(1 / 4)  # 100 exceeds 1.1 x 90
    assert found.mean_width == pytest.approx(0.2)


def test_totals_of_nothing() -> None:
    found = totals([])
    assert (found.mape, found.median, found.p90, found.coverage) == (None, None, None, None)
    assert found.num_above_ceiling == found.num_rows == 0


def test_groups() -> None:
    rows = [
        _judged(1, 1, nodes=1),
        _judged(1, 1),
        _judged(1, 1, classification="pathological"),
        _judged(1, 1, classification=""),
    ]
    found = groups(rows)
    assert {name: len(members) for name, members in found.items()} == {
        "healthy": 2,
        "healthy_multi_node": 1,
        "all": 4,
    }


# Tables of others


def _judge(folder: Path, *lines: str, header: str = HEADER) -> list[Judged]:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return [judge(row) for row in read_table(path)]


def test_an_empty_algorithm_is_chosen_and_a_given_one_is_kept(tmp_path: Path) -> None:
    chosen, given, unknown = _judge(
        tmp_path,
        "a,H100,2,8,50,all_reduce,,470,healthy",
        "b,H100,2,8,50,all_reduce,Ring,390,healthy",
        "c,H100,2,8,50,all_reduce,our own,390,healthy",
    )
    assert (chosen.algorithm, chosen.algorithm_source) == ("nvlstree", "chosen")
    assert (given.algorithm, given.algorithm_source) == ("ring", "given")
    assert (unknown.algorithm, unknown.algorithm_source) == ("nvlstree", "chosen")


def test_an_unknown_transport_has_the_framing_that_leaves_most(tmp_path: Path) -> None:
    """InfiniBand at 4096: 4096 of 4122 bytes; RoCEv2: of 4178."""
    header = HEADER + ",transport"
    line = "H100,4,8,50,all_reduce,ring,370,healthy"
    rows = _judge(tmp_path, f"a,{line},", f"b,{line},infiniband", f"c,{line},roce_v2", header=header)
    ceilings = [row.ceiling_gbytes_per_s for row in rows]
    assert ceilings == pytest.approx([400 * 4096 / 4122, 400 * 4096 / 4122, 400 * 4096 / 4178])


@pytest.mark.parametrize(
    ("line", "has_ceiling"),
    [
        ("a,XPU,1,8,,all_reduce,ring,100,healthy", False),  # neither the network nor the links inside
        ("a,H100,2,8,,all_reduce,ring,390,healthy", False),  # a network whose rate is not given
        ("a,H100,2,8,50,gather,,40,healthy", False),  # no closed form
        ("a,XPU,2,8,50,all_reduce,ring,300,healthy", True),  # the network alone
    ],
)
def test_what_is_not_known_is_left_empty_and_the_row_stays(
    tmp_path: Path, line: str, has_ceiling: bool
) -> None:
    (row,) = _judge(tmp_path, line)
    assert (row.ceiling_gbytes_per_s is not None) == has_ceiling
    assert (row.predicted_gbytes_per_s is not None) == has_ceiling
    plain = as_json([row])
    assert len(plain["rows"]) == 1 and plain["totals"]["all"]["num_rows"] == 1
    if has_ceiling:
        assert row.low_gbytes_per_s == 0, "nobody knows how far what is inside holds it up"


def test_nvls_on_several_nodes_is_below_its_ceiling(tmp_path: Path) -> None:
    (row,) = _judge(tmp_path, "a,H100,4,8,50,all_reduce,NVLS,480,healthy")
    assert row.ceiling_gbytes_per_s is not None and row.ceiling_gbytes_per_s > 480
    assert row.is_above_ceiling is False


def test_above_the_ceiling_is_counted(tmp_path: Path) -> None:
    rows = _judge(tmp_path, "a,A100,4,8,25,all_reduce,ring,201,healthy", "b,A100,4,8,25,all_reduce,ring,190,")
    assert [row.is_above_ceiling for row in rows] == [True, False]
    plain = as_json(rows)["totals"]
    assert plain["healthy"]["num_above_ceiling"] == plain["all"]["num_above_ceiling"] == 1


# JSON and the verb


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def test_json_has_every_row_in_its_order_and_the_totals_of_both_sets(own: list[Judged]) -> None:
    content = as_json(own)
    assert json.loads(json.dumps(content, allow_nan=False)) == content and _finite(content)
    with OWN_TABLE.open(encoding="utf-8-sig", newline="") as file:
        assert [row["name"] for row in content["rows"]] == [cells["name"] for cells in csv.DictReader(file)]
    for row in content["rows"]:
        assert set(ROW_KEYS) <= set(row)
    for name in ("healthy", "all"):
        assert set(TOTAL_KEYS) <= set(content["totals"][name])


def test_totals_are_those_of_the_rows(own: list[Judged]) -> None:
    """Computed again from what was written."""
    content = as_json(own)
    choices: dict[str, Callable[[dict[str, Any]], bool]] = {
        "healthy": lambda row: row["class"] == "healthy",
        "all": lambda row: True,
    }
    for name, is_member in choices.items():
        errors = [abs(row["relative_error"]) for row in content["rows"] if is_member(row)]
        found = content["totals"][name]
        assert found["mape"] == pytest.approx(np.mean(errors))
        assert found["median"] == pytest.approx(np.median(errors))
        assert found["p90"] == pytest.approx(np.quantile(errors, 0.9))


def test_the_verb_prints_rows_and_totals_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "mine.csv", tmp_path / "out.json"
    table.write_text(
        f"{HEADER}\nmine [a],H100,2,8,50,all_reduce,ring,390,healthy\nodd,XPU,1,8,,all_reduce,,100,\n"
    )
    assert main(["validate", "--table", str(table), "--json", str(out)]) == 0
    shown = capsys.readouterr()
    assert not shown.err
    for word in ("mine [a]", "healthy", "above ceiling", "ring", "Not predicted", "odd"):
        assert word in shown.out
    content = json.loads(out.read_text())
    assert [row["name"] for row in content["rows"]] == ["mine [a]", "odd"]
    assert content["rows"][1]["predicted_gbytes_per_s"] is None
    assert content["totals"]["all"]["num_rows"] == 2


def test_without_a_table_it_is_linerates_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    shown = capsys.readouterr().out
    assert "80 of 80" in shown and "43 of 43" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--table", "missing.csv"], ["--table missing.csv", "No such file"]),
        (["--table", "."], ["--table .", "directory"]),
        (["--table", "wrong.csv"], ["wrong.csv", "has no column gpu"]),
        (["--table", "bad.csv"], ["bad.csv, line 2", "busbw_gbytes_per_s", "'x'"]),
        (["--table", "empty.csv"], ["empty.csv", "holds no rows"]),
        (["--table", "good.csv", "--json", "no/such/folder.json"], ["--json no/such/folder.json", "folder"]),
        (["--tabel", "good.csv"], ["--tabel", "linerate validate --help"]),
        (["good.csv"], ["good.csv", "--table"]),
    ],
)
def test_wrong_input_is_exit_2_and_one_line(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    row = "a,H100,2,8,50,all_reduce,ring,390,healthy"
    for name, text in {
        "wrong.csv": "name,nodes\na,1\n",
        "bad.csv": f"{HEADER}\n{row.replace('390', 'x')}\n",
        "empty.csv": f"{HEADER}\n",
        "good.csv": f"{HEADER}\n{row}\n",
    }.items():
        Path(name).write_text(text)
    assert main(["validate", *arguments]) == 2
    shown = capsys.readouterr()
    assert all(word in shown.err for word in words), shown.err
    assert shown.err.count("\n") == 1 and not shown.out


def test_it_never_imports_torch_or_pandas(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{HEADER}\na,H100,2,8,50,all_reduce,ring,390,healthy\n")
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"status = main(['validate', '--table', {str(tmp_path / 't.csv')!r}])\n"
        "sys.exit(status or 10 * bool({'torch', 'pandas', 'hydra'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
