"""The verdict of a page follows from the data: what comes first, what is named, and what to do next."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.report.verdict import verdict_of
from bench.record import Record
from bench.reported import LOOP_MEAN_RANK_MEAN
from tests.fake_runs import fake_record
from tests.report_runs import (
    IMPORTED,
    LOOPBACK,
    durations,
    point_of,
    reported,
    run_of,
)


def said(tmp_path: Path, records: Sequence[Record], **changes: Any) -> tuple[str, str]:
    """Alarms and sentences of a run."""
    verdict = verdict_of(*run_of(tmp_path, records, **changes))
    assert 1 <= len(verdict.sentences) <= 5
    return " ".join(verdict.alarms), " ".join(verdict.sentences)


# The verdict


def test_an_emulated_run_says_so_first_and_what_it_does_not_show(tmp_path: Path) -> None:
    run, points = run_of(tmp_path, [point_of(0.95)])
    first = verdict_of(run, points).sentences[0]
    assert first.startswith("This is an emulated fabric at 1/1000 of full speed")
    assert "does not show the latency" in first


def test_faults_that_were_injected_are_told_in_the_first_sentences(tmp_path: Path) -> None:
    links = {
        "rate_bytes_per_s": 5e7,
        "faults": [{"kind": "slow_link", "host": 1, "rate_fraction": 0.5, "rank": None}],
    }
    run, points = run_of(tmp_path, [point_of(0.5)], links=links)
    told = "Faults were injected on purpose: kind slow_link, host 1, rate_fraction 0.5."
    assert told in verdict_of(run, points).sentences[0]


def test_a_loopback_run_involves_no_optics(tmp_path: Path) -> None:
    records = [point_of(0.5, ceiling_time_s=None, predicted_time_s=None, predicted_bound=None, num_hosts=1)]
    _, text = said(tmp_path, records, **LOOPBACK)
    assert "no optics are involved" in text
    assert "ceiling" not in text


def test_the_best_and_the_worst_at_the_largest_message_are_those_of_the_data(tmp_path: Path) -> None:
    """96 % and 68 %, as computed from durations, whatever small messages reach."""
    small = [point_of(0.2, name, 65536) for name in ("all_reduce", "all_to_all")]
    _, text = said(tmp_path, [*small, point_of(0.96), point_of(0.68, "all_to_all", predicted_bound="optics")])
    assert "At 8 MiB, all_reduce reaches 96% of its ceiling" in text
    assert "all_to_all 68%" in text
    assert "all_to_all is limited by the backend" in text
    assert "20%" not in text and "58%" not in text  # no mean of anything


def test_many_series_are_told_by_the_best_the_worst_and_their_number(tmp_path: Path) -> None:
    shares = {
        "all_reduce": 0.97,
        "all_gather": 0.93,
        "reduce_scatter": 0.91,
        "broadcast": 0.85,
        "reduce": 0.82,
        "gather": 0.81,
    }
    records = [point_of(share, name) for name, share in shares.items()]
    records.append(point_of(0.8, "scatter", ceiling_time_s=None))
    records.append(point_of(0.7, "all_to_all"))
    _, text = said(tmp_path, records)
    assert "3 of 7 series reach 90% or more" in text
    assert "the worst all_to_all" in text


def test_a_point_above_its_ceiling_discredits_the_ceiling(tmp_path: Path) -> None:
    _, text = said(tmp_path, [point_of(1.3)])
    assert "exceeds its ceiling (130%), which cannot be" in text


def test_wrong_data_come_before_everything(tmp_path: Path) -> None:
    records = [point_of(0.95, size=65536), point_of(0.95, num_wrong_elements=12, status="wrong_data")]
    run, points = run_of(tmp_path, records)
    verdict = verdict_of(run, points)
    assert verdict.alarms[0].startswith("Wrong data at 1 of 2 points: all_reduce of 8 MiB (12 elements)")
    assert "was right" not in " ".join(verdict.sentences)
    assert "8 MiB" not in verdict.sentences[1]  # the wrong point is no result
    assert verdict.sentences[-1].startswith("Next: repeat the wrong points")


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_run_that_did_not_end_is_partial_before_anything_else(tmp_path: Path, status: str) -> None:
    alarms, text = said(tmp_path, [point_of(0.95)], status=status, num_points_planned=5)
    assert "The run is partial" in alarms
    assert "4 of 5 planned points are missing" in alarms
    assert "Next: run it again" in text


def test_a_run_without_a_finished_point_says_that_nothing_can_be_said(tmp_path: Path) -> None:
    hung = point_of(0.9, status="timeout")
    hung = dataclasses.replace(hung, durations_s=[], rank_mean_s=[])
    alarms, text = said(tmp_path, [hung], status="failed")
    assert "failed or did not end: all_reduce of 8 MiB (timeout)" in alarms
    assert "nothing can be said of the fabric" in alarms
    assert "stacks/" in text


def test_latency_is_told_up_to_the_largest_message_that_it_binds(tmp_path: Path) -> None:
    flat = {2048: 1e-3, 8192: 1.01e-3, 32768: 1.02e-3, 8388608: 0.26}
    records = [
        fake_record(durations(time), message_bytes=size, point_id=str(size), is_bucket_dominated=size < 2**20)
        for size, time in flat.items()
    ]
    _, text = said(tmp_path, records)
    assert "Up to 32 KiB at most, latency sets the time" in text


def test_a_late_rank_is_named_with_its_host(tmp_path: Path) -> None:
    records = [point_of(0.9, finding="late rank 2", finding_text="late rank 2: 30 ms after the others")]
    _, text = said(tmp_path, records)
    assert "late rank 2 at all_reduce of 8 MiB" in text
    assert "Next: look at rank 2 on host2" in text


def test_noise_and_wide_intervals_are_told(tmp_path: Path) -> None:
    wide = dataclasses.replace(point_of(0.9), durations_s=durations(0.28, 12, noise=0.4))
    _, text = said(tmp_path, [dataclasses.replace(wide, steal_share=0.17)])
    assert "1 of 1 points ran while other machines took processor time from this one, up to 17%" in text
    assert "interval of 1 time is wider than 10%" in text
    assert "Next: repeat when the machine is quiet" in text


def test_another_form_of_the_same_collective_is_advised_where_the_backend_binds(tmp_path: Path) -> None:
    records = [point_of(0.6, "all_to_all"), point_of(0.95, "all_to_all", algorithm="pairwise")]
    _, text = said(tmp_path, records)
    assert (
        "Next: carry out all_to_all as all_to_all (pairwise) does, which reaches 95% where all_to_all reaches 60%"
        in text
    )


def test_an_imported_run_names_the_program_and_its_statistic(tmp_path: Path) -> None:
    run, points = run_of(tmp_path, [reported(65536, 1e-3), reported(8388608, 0.25)], **IMPORTED)
    first = verdict_of(run, points).sentences[0]
    assert "Measured by nccl-tests (all_reduce_perf), not by linerate" in first
    assert LOOP_MEAN_RANK_MEAN in first
