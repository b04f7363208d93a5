"""The report of the IETF draft: its own example, where each value comes from, and trials that are all accounted for."""

import csv
import dataclasses
import io
import json
import statistics
from typing import Any

import pytest

from bench import catalog
from bench.bmwg import METHODOLOGY, TERMINOLOGY, bmwg_csv, bmwg_report, line_rate_bytes_per_s
from bench.record import Record, RunManifest
from bench.summary import summary_rows
from tests.test_nccl_table import manifest, record

HUNDRED = [1e-3 * i for i in range(1, 101)]


def real(transceiver: str = "400g-osfp-dr4", fabric: str = "dgx_h100", **fabric_changes: Any) -> RunManifest:
    described = dataclasses.asdict(catalog.fabric(fabric)) | fabric_changes
    config = {
        "transceiver": dataclasses.asdict(catalog.transceiver(transceiver)),
        "fabric": described,
        "transport": "roce_v2",
        "timing": {"num_warmups": 5},
    }
    return manifest(config=config, transceiver=transceiver, fabric=fabric)


def emulated() -> RunManifest:
    return manifest(
        backend="gloo",
        time_scale=1000.0,
        links={"rate_bytes_per_s": 5e7},
        config={"transport": "tcp", "fabric": {"oversubscription": 1.0}},
    )


def report(*records: Record, run: RunManifest | None = None) -> dict[str, Any]:
    return bmwg_report(run or real(), records, summary_rows(list(records)))


def point(*records: Record, run: RunManifest | None = None) -> dict[str, Any]:
    (only,) = report(*records, run=run)["points"]
    assert isinstance(only, dict)
    return only


def test_the_report_names_both_documents_and_their_revision() -> None:
    """Section 13: by name and revision."""
    documents = report(record())["documents"]
    assert [document["name"] for document in documents] == [METHODOLOGY, TERMINOLOGY]
    assert all("-06" in document["revision"] for document in documents)


def test_the_worked_example_of_the_terminology() -> None:
    """AllReduce, n = 8, 1 GB in 10 ms: algo_factor 1.75, BusBW 175 GB/s."""
    found = point(record(num_ranks=8, num_hosts=8, message_bytes=10**9, durations_s=[0.01] * 100))
    assert found["factor"] == 1.75
    assert found["busbw_gbytes_per_s"] == pytest.approx(dict.fromkeys(("average", "p50", "p95", "p99"), 175))
    assert found["busbw_efficiency"] == pytest.approx(175 / 50)
    assert not found["notes"] or found["notes"] == ["ranks are brought together before each call"]


def test_statistics_of_a_hundred_trials() -> None:
    """1, 2, ... 100 ms: nearest-rank P95 and P99 are observed values, and the slow end of time is that of busbw."""
    found = point(record(durations_s=HUNDRED))
    assert found["iterations"] == 100
    assert found["time_s"] == pytest.approx({"average": 0.0505, "p50": 0.0505, "p95": 0.095, "p99": 0.099})
    busbw = found["busbw_gbytes_per_s"]
    for name, time_s in found["time_s"].items():
        assert busbw[name] == pytest.approx(1.5 * 2**20 / time_s / 1e9)
    assert busbw["p99"] < busbw["p95"] < busbw["p50"]
    assert found["cv_time"] == pytest.approx(statistics.stdev(HUNDRED) / 0.0505)
    rates = [1 / duration_s for duration_s in HUNDRED]
    assert found["cv_busbw"] == pytest.approx(statistics.stdev(rates) / statistics.mean(rates))


@pytest.mark.parametrize(("num", "is_enough"), [(99, False), (100, True), (101, True)])
def test_fewer_than_a_hundred_iterations_are_pointed_out(num: int, is_enough: bool) -> None:
    found = report(record(durations_s=[0.01] * num))
    (only,) = found["points"]
    assert any("asks for at least 100" in note for note in only["notes"]) is not is_enough
    assert any("fewer than 100" in text for text in found["deviations"]) is not is_enough
    assert (only["time_s"]["p99"] is not None) is is_enough


@pytest.mark.parametrize(
    ("derived", "counted", "value", "method", "difference"),
    [
        (1000.0, None, 1000.0, "derived", None),
        (None, 1100.0, 1100.0, "counted", None),
        (1000.0, 1100.0, 1000.0, "derived and counted", 100.0),
        (None, None, None, None, None),
    ],
)
def test_the_volume_on_the_fabric_comes_with_its_method(
    derived: float | None,
    counted: float | None,
    value: float | None,
    method: str | None,
    difference: float | None,
) -> None:
    """Section 3.2.5: both values and the difference where both exist; payload counts once, so the derived one leads."""
    found = point(record(fabric_bytes_per_rank=derived, counted_bytes_per_rank=counted))
    s_fabric = found["s_fabric"]
    assert found["s_bytes"] == 2**20
    assert (s_fabric["bytes"], s_fabric["method"], s_fabric["difference_bytes"]) == (
        value,
        method,
        difference,
    )
    assert (s_fabric["derivation"] is None) is (derived is None)
    where = found["observation_points"]["s_fabric"]
    assert ("derived from schedule" in where, "Fabric DUT Boundary" in where) == (
        derived is not None,
        counted is not None,
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [("forced", "ring"), ("logged", "ring"), ("assumed", "unverified"), ("unknown", "unverified")],
)
def test_only_what_was_forced_or_logged_is_verified(source: str, expected: str) -> None:
    found = report(record(algorithm="ring", algorithm_source=source))
    assert found["points"][0]["Algorithm (verified)"] == expected
    assert any("no verified algorithm" in text for text in found["deviations"]) is (expected == "unverified")


@pytest.mark.parametrize(
    ("run", "expected_gbps"),
    [
        (real(), 400),
        (real(nic_gbps=200), 200),
        (real("800g-osfp-dr8"), 400),
        (real("800g-osfp-dr8", ports_per_module=1, nic_gbps=None), 800),
        (real(ports_per_host=16), 800),
        (real(ports_per_host=4), 400),
        (emulated(), 0.4),
        (manifest(), None),
        (real(fabric="unknown"), None),
        (real("unknown"), None),
    ],
)
def test_the_line_rate_is_that_of_the_ports_of_one_rank(
    run: RunManifest, expected_gbps: float | None
) -> None:
    rate = line_rate_bytes_per_s(run)
    assert rate == (None if expected_gbps is None else pytest.approx(expected_gbps * 1e9 / 8))
    found = point(record(durations_s=[1e-3] * 100), run=run)
    busbw = found["busbw_gbytes_per_s"]["p50"]
    efficiency = None if rate is None else pytest.approx(busbw * 1e9 / rate)
    assert found["busbw_efficiency"] == efficiency


@pytest.mark.parametrize("changes", [{"fabric_bytes_per_rank": 0.0}, {"num_hosts": 1}])
def test_without_a_fabric_on_the_path_there_is_no_efficiency(changes: dict[str, Any]) -> None:
    found = point(record(**changes))
    assert found["busbw_efficiency"] is None and found["busbw_gbytes_per_s"]["p50"] is not None
    assert any("nothing crosses the fabric" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("changes", "included", "excluded", "reason"),
    [
        ({}, 100, 0, ""),
        ({"num_rejected": 7}, 100, 7, "host was slower"),
        ({"num_bad": 2, "status": "failed"}, 0, 102, "positive, finite"),
        ({"num_wrong_elements": 5, "status": "wrong_data"}, 0, 100, "wrong data: 5 elements"),
        ({"status": "timeout"}, 0, 100, "incomplete window: timeout"),
    ],
)
def test_every_trial_is_included_or_excluded_for_a_reason(
    changes: dict[str, Any], included: int, excluded: int, reason: str
) -> None:
    found = report(record(durations_s=[0.01] * 100, **changes))
    trials = found["points"][0]["trials"]
    assert trials["included"] == found["points"][0]["iterations"] == included
    assert sum(entry["trials"] for entry in trials["excluded"]) == excluded
    assert trials["attempted"] == included + excluded
    assert any(reason in entry["reason"] for entry in trials["excluded"]) is bool(excluded)
    assert found["trial_accounting"] == {
        "attempted": included + excluded,
        "included": included,
        "excluded": excluded,
    }


def test_an_earlier_attempt_is_excluded_not_dropped() -> None:
    wrong = record(num_wrong_elements=5, status="wrong_data", durations_s=[0.01] * 30)
    found = point(record(durations_s=[0.01] * 100, attempt=1), wrong)
    assert found["trials"]["attempted"] == 130 and found["trials"]["included"] == 100
    assert found["trials"]["excluded"] == [
        {"trials": 30, "reason": "of attempt 0 (wrong_data), repeated since"}
    ]


def test_wrong_data_get_neither_time_nor_bandwidth() -> None:
    found = point(record(num_wrong_elements=1, status="wrong_data"))
    values = [
        *found["time_s"].values(),
        *found["busbw_gbytes_per_s"].values(),
        found["cv_time"],
        found["cv_busbw"],
    ]
    assert values == [None] * 10 and found["busbw_efficiency"] is None


def test_the_comparability_set_holds_every_parameter_of_its_table() -> None:
    """Section 3.2.3, table 4. What nobody has said stays unknown; a default is no statement."""
    found = point(record())["comparability"]
    assert found == {
        "num_ranks": 4,
        "ranks_per_host": 2,
        "rail_map": "unknown",
        "line_rate_gbytes_per_s": pytest.approx(50.0),
        "leaf_oversubscription": None,
        "collective": "all_reduce",
        "s_bytes": 2**20,
        "factor": 1.5,
        "transport": "roce_v2",
        "load_balancing": "unknown",
    }
    stated = point(record(), run=real(oversubscription=2.0, hosts_per_leaf=4))["comparability"]
    assert stated["leaf_oversubscription"] == 2.0
    known = point(record(), run=emulated())["comparability"]
    assert (known["leaf_oversubscription"], known["load_balancing"]) == (1.0, "none, one path")


def test_departures_from_the_procedure_are_listed() -> None:
    def departures(*records: Record, run: RunManifest | None = None) -> str:
        return "\n".join(report(*records, run=run)["deviations"])

    by_the_book = record(message_bytes=10**9, algorithm_source="logged", durations_s=[0.01] * 100)
    eight = dataclasses.replace(real(), num_ranks=8)
    assert departures(by_the_book, run=eight).splitlines() == [
        "times are taken at the endpoints, not at the Fabric DUT Boundary (1.2)"
    ]
    assert "N is 4" in departures(by_the_book)
    assert "1 sizes are none of" in departures(record(), by_the_book)
    assert "emulated at 1/1000" in departures(by_the_book, run=emulated())
    assert "transport is tcp" in departures(by_the_book, run=emulated())
    assert "one host" in departures(by_the_book, run=dataclasses.replace(eight, num_hosts=1))
    infiniband = dataclasses.replace(eight, config=eight.config | {"transport": "infiniband"})
    assert "transport is infiniband" in departures(by_the_book, run=infiniband)


def test_a_collective_without_a_factor_in_the_draft_says_so() -> None:
    notes = point(record(collective="send_recv", reduce_op=None))["notes"]
    assert any("defines no algo_factor" in note for note in notes)
    assert not any("defines no algo_factor" in note for note in point(record())["notes"])


def test_the_table_says_what_the_report_says() -> None:
    records = [
        record(durations_s=HUNDRED, num_rejected=1),
        record(collective="barrier", message_bytes=0, reduce_op=None),
    ]
    text = bmwg_csv(real(), records, summary_rows(records))
    lines = list(csv.DictReader(io.StringIO(text)))
    for line, found in zip(lines, report(*records)["points"], strict=True):
        assert line["Algorithm (verified)"] == "unverified"
        for column, value in (
            ("s_bytes", found["s_bytes"]),
            ("time_s_p50", found["time_s"]["p50"]),
            ("time_s_p99", found["time_s"]["p99"]),
            ("busbw_gbytes_per_s_p50", found["busbw_gbytes_per_s"]["p50"]),
            ("busbw_efficiency", found["busbw_efficiency"]),
            ("comparability_ranks_per_host", 2),
        ):
            assert (float(line[column]) if line[column] else None) == value
        assert line["observation_points_time_s"].startswith("endpoint software boundary")
    assert lines[0]["trials_excluded"] == "1 in which the host was slower than its device"


def test_it_is_plain_data_even_of_nothing() -> None:
    lost = record(durations_s=[], rank_mean_s=[], num_wrong_elements=None, status="timeout")
    for records in ((), (record(),), (lost,), (record(num_ranks=1, num_hosts=1, rank_mean_s=[1e-4]),)):
        for run in (real(), emulated(), manifest()):
            assert json.loads(json.dumps(report(*records, run=run), allow_nan=False))["points"] is not None
    assert bmwg_csv(real(), [], []) == ""


def test_rows_of_other_records_are_refused() -> None:
    with pytest.raises(ValueError, match="summary_rows"):
        bmwg_report(real(), [record()], summary_rows([record(message_bytes=2**22)]))
