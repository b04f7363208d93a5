"""`linerate predict`: the table, what else may run, the way from line rate to busbw, and the CSV."""

import csv
import io
from collections.abc import Sequence
from functools import cache

import pytest

from bench import forecast_view
from bench.compose import compose
from bench.forecast import COLUMNS, Forecast, as_csv, forecast
from bench.model.collective import Collective
from bench.model.predict import LATENCY
from bench.model.schedule import Schedule
from bench.model.waterfall import FRAMING, GLASS

DGX = ("transceiver=400g-osfp-dr4", "fabric=dgx_h100", "transport=roce_v2")
SIZES = "sizes.list_bytes=[1KiB,64MiB,16GiB]"
ALL = "collectives=[all_reduce,all_gather,reduce_scatter,all_to_all,broadcast,gather,send_recv]"


@cache
def _forecast(*overrides: str) -> Forecast:
    return forecast(compose([*overrides]))


def _two_hosts() -> Forecast:
    return _forecast(*DGX, "fabric.num_hosts=2", SIZES, ALL)


def _rows(found: Forecast) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(found))))


def _shown(found: Forecast, capsys: pytest.CaptureFixture[str]) -> str:
    forecast_view.show(found)
    return capsys.readouterr().out


# The CSV


def test_one_row_for_each_point() -> None:
    rows = _rows(_two_hosts())
    assert all(list(row) == list(COLUMNS) for row in rows)
    keys = [(row["collective"], row["message_bytes"]) for row in rows]
    assert len(keys) == len(set(keys)) == 7 * 3


def test_cells_are_those_of_the_prediction() -> None:
    """In 10**9 byte/s; empty where something is not known."""
    for row, (point, expected) in zip(_rows(_two_hosts()), _two_hosts().rows, strict=True):
        prediction = expected.prediction
        for column, value in (
            ("predicted_busbw_gbytes_per_s", prediction.busbw_bytes_per_s),
            ("ceiling_busbw_gbytes_per_s", prediction.ceiling_busbw_bytes_per_s),
            ("predicted_low_busbw_gbytes_per_s", prediction.low_busbw_bytes_per_s),
            ("predicted_high_busbw_gbytes_per_s", prediction.high_busbw_bytes_per_s),
        ):
            assert (row[column] == "") == (value is None)
            assert value is None or float(row[column]) == pytest.approx(value / 1e9)
        assert row["collective"] == point.collective.value
        assert row["bound_by"] == (prediction.bound_by or "")
        assert row["algorithm_source"] == expected.source


def test_low_is_below_the_expectation_and_high_above() -> None:
    for row in _rows(_two_hosts()):
        cells = [
            *(row["predicted_low_busbw_gbytes_per_s"], row["predicted_busbw_gbytes_per_s"]),
            *(row["predicted_high_busbw_gbytes_per_s"], row["ceiling_busbw_gbytes_per_s"]),
        ]
        rates = [float(cell) for cell in cells if cell]
        assert rates == sorted(rates)


def test_alternatives_are_rates_by_name() -> None:
    rows = {(row["collective"], row["message_bytes"]): row for row in _rows(_two_hosts())}
    large = rows["all_reduce", str(16 * 2**30)]
    assert (large["algorithm"], large["algorithm_source"]) == ("nvlstree", "chosen")
    others = dict(cell.split("=") for cell in large["alternatives"].split())
    assert {"ring", "tree"} <= set(others) and large["algorithm"] not in others
    assert float(others["ring"]) == pytest.approx(8 * 49.02 * 0.93, rel=0.03)
    assert rows["broadcast", str(16 * 2**30)]["alternatives"] == ""


def test_a_row_that_is_not_expected_has_a_ceiling_all_the_same() -> None:
    """Gather has no closed form; of an all_to_all of 1 KiB the number of messages decides."""
    for row in _rows(_two_hosts()):
        if row["collective"] == "gather" or (row["collective"], row["message_bytes"]) == (
            *("all_to_all", "1024"),
        ):
            assert row["predicted_time_s"] == "" and float(row["ceiling_busbw_gbytes_per_s"]) > 0
        else:
            assert float(row["predicted_time_s"]) > 0


def test_nobody_says_which_runs_so_no_alternative_exceeds_the_ceiling() -> None:
    """Reduction in the network aside, which somebody has to set up."""
    for _, expected in _two_hosts().rows:
        if expected.source == "chosen":
            for other in expected.others:
                if other.schedule is not Schedule.sharp:
                    assert other.ceiling_s >= expected.prediction.ceiling_s


# Which schedule


def _algorithms(found: Forecast, collective: Collective) -> set[tuple[str, str]]:
    return {
        (expected.prediction.schedule.value if expected.prediction.schedule else "", expected.source)
        for point, expected in found.rows
        if point.collective is collective
    }


def test_what_is_forced_is_predicted() -> None:
    forced = ("fabric.num_hosts=2", SIZES, "backend=nccl", "nccl.algorithm=ring", "collectives=all_reduce")
    assert _algorithms(_forecast(*DGX, *forced), Collective.all_reduce) == {("ring", "given")}


def test_on_two_hosts_switches_reduce_and_on_many_a_large_message_goes_around() -> None:
    assert ("nvlstree", "chosen") in _algorithms(_two_hosts(), Collective.all_reduce)
    assert _algorithms(_two_hosts(), Collective.gather) == {("", "assumed")}
    old = ("transceiver=200g-qsfp56-sr4", "fabric=dgx_a100", "fabric.num_hosts=4", SIZES)
    found = _forecast(*old, "collectives=all_reduce")
    assert _algorithms(found, Collective.all_reduce) == {("ring", "chosen")}, "A100 has no NVLink SHARP"


def test_the_emulated_fabric_knows_of_no_published_run() -> None:
    for _, expected in _forecast("sizes.list_bytes=[8MiB]").rows:
        prediction = expected.prediction
        assert expected.source == "assumed" and expected.others == ()
        assert prediction.low_s is None and prediction.high_s is None


# What is printed


def test_the_text_has_intervals_alternatives_and_the_waterfall(capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(_two_hosts(), capsys)
    for words in (
        *("16 ranks on 2 hosts", "400g-osfp-dr4", "dgx_h100, roce_v2, MTU 4096"),
        *("interval", "ceiling GB/s", "bound by", "optics (= nic)", "nvlstree ?"),
        *("if another runs", "where the time goes", GLASS, FRAMING, "sum"),
        "linerate validate",
    ):
        assert words in shown, words


def test_the_emulated_text_has_neither_interval_nor_alternatives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = _shown(_forecast("sizes.list_bytes=[64KiB,8MiB]"), capsys)
    for words in ("time at least", "MB/s", "software is not in them", "8 token buckets"):
        assert words in shown
    for words in ("interval", "if another runs"):
        assert words not in shown


def test_where_nobody_named_the_transport_the_title_says_what_is_assumed() -> None:
    unnamed = [word for word in DGX if not word.startswith("transport")]
    found = _forecast(*unnamed, "fabric.num_hosts=2", "sizes.list_bytes=[1GiB]", "collectives=all_reduce")
    assert "InfiniBand framing" in found.title


def test_the_waterfall_is_of_the_largest_size_that_has_a_duration() -> None:
    falls = _two_hosts().waterfalls()
    assert {point.message_bytes for point in falls} == {16 * 2**30}
    named = {point.collective for point in falls}
    assert Collective.gather not in named and Collective.all_reduce in named
    for point, steps in falls.items():
        prediction = next(row.prediction for other, row in _two_hosts().rows if other == point)
        assert sum(step.duration_s for step in steps) == pytest.approx(prediction.duration_s)


def _bound_by(found: Forecast, collective: Collective) -> Sequence[str | None]:
    """By size, the smallest first."""
    rows = sorted(found.rows, key=lambda row: row[0].message_bytes)
    return [expected.prediction.bound_by for point, expected in rows if point.collective is collective]


def test_small_messages_are_bound_by_steps_and_large_ones_by_what_they_move_through() -> None:
    assert _bound_by(_two_hosts(), Collective.all_reduce) == [LATENCY, "nvlink", "nvlink"]
    assert _bound_by(_two_hosts(), Collective.all_gather) == [LATENCY, "optics", "optics"]


def test_131072_gpus() -> None:
    """No list has an entry for each of them."""
    found = _forecast(*DGX, "fabric.num_hosts=16384", SIZES, ALL)
    assert found.network.num_ranks == 131072
    for row in _rows(found):
        assert float(row["ceiling_busbw_gbytes_per_s"]) > 0
