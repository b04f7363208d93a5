"""Tables, warnings, steps and several runs on a page: nothing is left out silently, and numbers are those of the data."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from analysis.load import load_run
from analysis.report.advice import KINDS, advice_of
from analysis.report.falls import falls_of
from analysis.report.method import factor_table
from analysis.report.pictures import picture
from analysis.report.sides import compared
from analysis.report.tables import MOST_OPEN_ROWS, MOST_ROWS, point_tables
from bench.model.collective import Collective
from tests.fake_runs import SIZES, fake_record, noisy_points, write_run
from tests.report_runs import (
    emulated_config,
    point_of,
    run_of,
)

# Tables, warnings, method


def test_every_point_is_in_a_table_or_counted_as_left_out(tmp_path: Path) -> None:
    num = MOST_ROWS + 40
    run, (point,) = run_of(tmp_path, [point_of(0.9)])
    points = [dataclasses.replace(point, message_bytes=16 * (place + 1)) for place in range(num)]
    (table,) = point_tables(run.manifest, points)
    assert table.num_rows == MOST_ROWS
    assert f"40 of {num} points are left out here; summary.csv" in table.note
    assert table.summary.startswith(f"all_reduce: {num} points, busbw ")
    assert num > MOST_OPEN_ROWS


def test_cells_are_the_numbers_of_the_summary(tmp_path: Path) -> None:
    run, points = run_of(tmp_path, [point_of(0.95)])
    (table,) = point_tables(run.manifest, points)
    cells = dict(zip((column.name for column in table.columns), table.groups[0].rows[0], strict=True))
    row = run.summary.iloc[0]
    assert float(cells["busbw, MB/s; at full speed, GB/s"]) == pytest.approx(
        1e3 * row["busbw_gbytes_per_s"], rel=2e-3
    )
    assert cells["efficiency"] == f"{row['efficiency']:.1%}"
    assert cells["bound by"] == "optics"


def test_the_same_warning_at_many_points_is_one_entry_with_all_of_them(tmp_path: Path) -> None:
    records = [
        fake_record([1e-3] * 8, message_bytes=size, point_id=str(size), warnings=["budget: only 8 samples"])
        for size in SIZES
    ]
    _, points = run_of(tmp_path, records)
    (entry,) = [one for one in advice_of(points) if one.name == "budget"]
    assert entry.num_points == len(SIZES)
    assert entry.quotes == (("all_reduce of 2 KiB, 32 KiB, 512 KiB, 8 MiB", "only 8 samples"),)


def test_every_warning_that_the_documentation_lists_has_advice() -> None:
    text = (Path(__file__).parents[1] / "docs" / "measuring.md").read_text(encoding="utf-8")
    table = text[text.index("| name | says | do |") :].split("\n\n")[0]
    names = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert len(names) > 10
    assert not set(names) - set(KINDS)


def test_the_factor_of_each_collective_is_printed_as_a_formula_and_a_number(tmp_path: Path) -> None:
    records = [point_of(0.5, one.value) for one in Collective if one is not Collective.barrier]
    _, points = run_of(tmp_path, records)
    table = factor_table(points)
    assert table is not None
    for name, formula, num_ranks, used in table.groups[0].rows:
        value = (
            1.0
            if formula == "1"
            else (2 if formula.startswith("2") else 1) * (int(num_ranks) - 1) / int(num_ranks)
        )
        assert float(used) == pytest.approx(value), name


# From the line rate to the busbw


def test_steps_begin_at_the_line_rate_and_end_at_the_stored_prediction(tmp_path: Path) -> None:
    size = 8388608
    predicted_s = 1.5 * size / (5e7 * (9000 - 52) / (9000 + 14))  # payload rate of a link: docs/emulation.md
    record = point_of(0.9, size=size, predicted_time_s=predicted_s)
    run, points = run_of(tmp_path, [record], config=emulated_config())
    (fall,) = falls_of(run, points)
    assert fall.steps[0].busbw_bytes_per_s == pytest.approx(5e7 * 17 / 16)  # 425 of 400 Gb/s, at 1/1000
    assert sum(step.duration_s for step in fall.steps) == pytest.approx(predicted_s, rel=1e-3)


def test_steps_that_do_not_end_at_the_prediction_are_not_shown(tmp_path: Path) -> None:
    """A run of another version of the model keeps its own ceiling and prediction, and nothing is made up between them."""
    record = point_of(0.9, predicted_time_s=0.5)
    run, points = run_of(tmp_path, [record], config=emulated_config())
    (fall,) = falls_of(run, points)
    assert [step.label for step in fall.steps] == ["ceiling (optics)", "time expected above the ceiling"]
    assert sum(step.duration_s for step in fall.steps) == pytest.approx(0.5)


# Figures


def test_a_figure_that_cannot_be_drawn_is_named_with_the_reason() -> None:
    def draw() -> Any:
        raise ZeroDivisionError("odd data")

    found = picture("Odd figure", draw, "x")
    assert found.svg is None
    assert found.why_not == "it could not be drawn (ZeroDivisionError: odd data)"


# Several runs


def test_two_comparable_runs_are_compared_and_others_refused_with_the_keys(tmp_path: Path) -> None:
    one = load_run(write_run(tmp_path, "one", noisy_points(1)))
    two = load_run(write_run(tmp_path, "two", noisy_points(2, slower=1.5)))
    other = load_run(write_run(tmp_path, "other", noisy_points(3), num_ranks=8))
    found = compared(one, two)
    assert found.table is not None and found.table.num_rows == len(SIZES)
    assert "slower" in " ".join(found.sentences)
    assert "num_ranks" in compared(one, other).why_not
