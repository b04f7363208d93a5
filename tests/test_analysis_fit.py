"""Frames of fits: what `linerate fit` says as a table, curves to draw that say no more than may be said, gaps named."""

import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.fit import CURVE_COLUMNS, EMULATED, FIT_COLUMNS, curve_frame, fit_frame
from analysis.load import load_run
from bench.fitting import fit_run
from bench.model.fit.table import fit_rows
from bench.record import Record, RunManifest
from bench.run_folder import RunFolder

SIZES = [2**i for i in range(14, 31, 2)]
LATENCY_S = 1e-4
S_PER_BYTE = 1e-10


def hockney(size: float) -> float:
    return LATENCY_S + size * S_PER_BYTE


def summary(
    law: Callable[[float], float] = hockney,
    sizes: Sequence[int] = SIZES,
    changes: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """The columns that a fit looks at, exact times, 8 ranks."""
    rows = []
    for size in sizes:
        time_s = law(size)
        row: dict[str, Any] = {
            "status": "complete",
            "collective": "all_reduce",
            "algorithm": "native",
            "backend": "nccl",
            "dtype": "float32",
            "reduce_op": "sum",
            "placement": "in_place",
            "pass": "latency",
            "group": "world",
            "num_ranks": 8,
            "num_hosts": 2,
            "message_bytes": size,
            "time_s": time_s,
            "time_low_s": time_s * 0.99,
            "time_high_s": time_s * 1.01,
            "bus_factor": 1.75,
            "predicted_time_s": math.nan,
            "ceiling_busbw_gbytes_per_s": 1.75 / S_PER_BYTE / 0.8 / 1e9,
            "num_wrong_elements": 0,
            "warnings": "",
            "repeat": 1,
            "time_rounding_low_s": math.nan,
            "time_rounding_high_s": math.nan,
        }
        rows.append(row | (changes or {}))
    return pd.DataFrame(rows)


def test_one_row_per_line_has_latency_bandwidth_and_the_plateau() -> None:
    (row,) = fit_frame(summary(), fabric="dgx_h100").to_dict("records")
    assert tuple(row) == FIT_COLUMNS
    assert (row["collective"], row["pass"], row["fabric"]) == ("all_reduce", "latency", "dgx_h100")
    assert (row["num_sizes"], row["segment"], row["from_bytes"], row["to_bytes"]) == (
        9,
        1,
        SIZES[0],
        SIZES[-1],
    )
    assert row["latency_s"] == pytest.approx(LATENCY_S)
    assert row["bandwidth_gbytes_per_s"] == pytest.approx(1.75 / S_PER_BYTE / 1e9), "busbw"
    assert row["efficiency"] == pytest.approx(0.8)
    for name in ("latency{}_s", "bandwidth{}_gbytes_per_s", "efficiency{}", "half_bandwidth{}_bytes"):
        assert row[name.format("_low")] <= row[name.format("")] * (1 + 1e-9)
        assert row[name.format("_high")] >= row[name.format("")] * (1 - 1e-9)
    assert row["saturation"] == "saturated" and row["advice"].startswith("the plateau is in the data")
    knee_bytes = LATENCY_S / S_PER_BYTE
    assert row["half_bandwidth_bytes"] == pytest.approx(knee_bytes, rel=1e-3)
    assert row["ninety_percent_bytes"] == pytest.approx(9 * knee_bytes, rel=1e-3)
    assert row["saturated_from_bytes"] == pytest.approx(19 * knee_bytes, rel=1e-3)
    assert row["has_point_intervals"] and row["left_out"] is None


def test_an_unsaturated_sweep_has_no_half_and_no_curve_beyond_its_end() -> None:
    frame = summary(sizes=SIZES[:5])
    (row,) = fit_frame(frame).to_dict("records")
    assert row["saturation"] == "not saturated" and "measure up to" in row["advice"]
    assert math.isnan(row["half_bandwidth_bytes"]) and math.isnan(row["ninety_percent_bytes"])
    assert row["saturated_from_bytes"] > SIZES[4]
    curve = curve_frame(frame)
    assert curve["message_bytes"].max() == SIZES[4] and not curve["is_extrapolated"].any()


def test_a_curve_goes_beyond_a_plateau_as_far_as_it_was_seen_and_says_so() -> None:
    curve = curve_frame(summary())
    assert tuple(curve.columns) == CURVE_COLUMNS
    assert (curve["message_bytes"].min(), curve["pass"].iloc[0]) == (SIZES[0], "latency")
    furthest = SIZES[-1] ** 2 / (19 * LATENCY_S / S_PER_BYTE)
    assert curve["message_bytes"].max() == pytest.approx(furthest, rel=1e-2)
    assert (curve["is_extrapolated"] == (curve["message_bytes"] > SIZES[-1])).all()
    expected = curve["message_bytes"].map(hockney)
    assert curve["time_s"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-3)
    assert (curve["low_s"] < curve["time_s"]).all() and (curve["time_s"] < curve["high_s"]).all()
    busbw = 1.75 * curve["message_bytes"] / curve["time_s"] / 1e9
    assert curve["busbw_gbytes_per_s"].to_numpy() == pytest.approx(busbw.to_numpy())
    assert (curve["busbw_low_gbytes_per_s"] < curve["busbw_gbytes_per_s"]).all()
    assert {SIZES[0], SIZES[-1]} <= set(curve["message_bytes"]), "the ends of every line among them"
    steps = curve["message_bytes"].to_numpy()
    assert (steps[1:] / steps[:-1]).max() <= 2 ** (1 / 8) * (1 + 1e-9)
    coarse = curve_frame(summary(), points_per_doubling=1)
    assert len(coarse) < len(curve) / 4
    with pytest.raises(ValueError, match="points_per_doubling is 0"):
        curve_frame(summary(), points_per_doubling=0)


def test_a_protocol_that_the_log_names_begins_a_line_of_its_own() -> None:
    def time_s(size: float) -> float:
        return 1e-5 + size * 1e-9 if size <= SIZES[3] else 5e-5 + size * 1e-10

    frame = summary(time_s)
    frame["algorithm"] = ["ring/ll"] * 4 + ["ring/simple"] * 5
    found = fit_frame(frame)
    assert found["algorithm"].tolist() == ["native", "native"], "what NCCL chose is no other series"
    assert found["to_bytes"].tolist() == [SIZES[3], SIZES[-1]]
    assert found["latency_s"].tolist() == pytest.approx([1e-5, 5e-5], rel=1e-3)
    assert set(curve_frame(frame)["segment"]) == {1, 2}


def test_series_that_cannot_be_fitted_have_a_row_with_the_reason() -> None:
    changed: list[dict[str, Any]] = [
        {"collective": "barrier", "reduce_op": None, "message_bytes": 0},
        {"pass": "overlap"},
        {"dtype": "bfloat16", "num_wrong_elements": 3, "status": "wrong_data"},
        {"dtype": "int8", "time_s": math.nan},
        {"dtype": "int32", "status": "timeout"},
    ]
    short = summary(sizes=SIZES[:2], changes={"collective": "all_gather", "reduce_op": None})
    frame = pd.concat([summary(), short, *(summary(changes=each) for each in changed)], ignore_index=True)
    found = fit_frame(frame)
    assert len(found) == 7 and found["left_out"].isna().tolist() == [True] + [False] * 6
    reasons = found["left_out"].tolist()[1:]
    for reason, words in zip(
        reasons,
        [
            "2 sizes of the 3",
            "no message",
            "a computation",
            "9 x wrong data",
            "9 x no time of a call",
            "9 x status timeout",
        ],
        strict=True,
    ):
        assert words in reason
    assert found["latency_s"].isna().tolist() == [False] + [True] * 6
    assert len(set(curve_frame(frame)["collective"])) == 1


def printed(frame: pd.DataFrame, relative_widths: Sequence[float] = (1e-4,) * len(SIZES)) -> pd.DataFrame:
    """As a log of another program gives it: rounded numbers, no interval, and nobody knows the ranks."""
    half = pd.Series(relative_widths, index=frame.index) / 2
    return frame.assign(
        time_low_s=math.nan,
        time_high_s=math.nan,
        time_rounding_low_s=frame["time_s"] * (1 - half),
        time_rounding_high_s=frame["time_s"] * (1 + half),
        num_ranks=None,
        num_hosts=None,
    )


def test_points_of_other_programs_have_no_interval_and_their_scatter_gives_one() -> None:
    hits, num_seeds = 0, 20
    for seed in range(num_seeds):
        noise = random.Random(seed)
        frame = printed(summary(lambda size, noise=noise: hockney(size) * math.exp(noise.gauss(0, 0.01))))  # type: ignore[misc]
        row = fit_frame(frame).iloc[-1]
        assert not row["has_point_intervals"] and math.isnan(row["num_ranks"])
        hits += row["bandwidth_low_gbytes_per_s"] <= 17.5 <= row["bandwidth_high_gbytes_per_s"]
        assert row["saturation"] == "saturated"
    assert hits >= 15  # of 20, each held in 90 of 100 cases
    frame["bus_factor"] = math.nan
    unknown = fit_frame(frame)
    assert unknown["bandwidth_gbytes_per_s"].isna().all() and unknown["latency_s"].notna().all()
    assert curve_frame(frame)["busbw_gbytes_per_s"].isna().all()


def test_coarsely_printed_times_weigh_less() -> None:
    """Three small times of few digits are 30 % off one way or the other; the rest say what they are."""
    off = dict(zip(SIZES, (1.3, 0.75, 1.3), strict=False))
    frame = summary(lambda size: hockney(size) * off.get(int(size), 1.0))
    widths = [0.9 if size in off else 1e-4 for size in SIZES]
    errors = [
        abs(fit_frame(printed(frame, each))["latency_s"].iloc[0] / LATENCY_S - 1)
        for each in (widths, [1e-4] * len(SIZES))
    ]
    assert errors[0] < 0.02 < errors[1]


def test_repeats_of_a_size_count_as_one_with_their_median() -> None:
    one, other, third = (summary(changes={"repeat": repeat}) for repeat in (1, 2, 3))
    times = ["time_s", "time_low_s", "time_high_s"]
    other[times], third[times] = other[times] * 1.02, third[times] * 3
    repeated = pd.concat([one, other, third], ignore_index=True)
    (row,) = fit_frame(repeated).to_dict("records")
    assert row["num_sizes"] == len(SIZES) and row["latency_s"] == pytest.approx(1.02 * LATENCY_S)
    again = pd.concat([summary(lambda _: 17.0), summary()], ignore_index=True)
    (row,) = fit_frame(again).to_dict("records")
    assert row["latency_s"] == pytest.approx(LATENCY_S), "of several attempts the last"


def test_cells_that_hold_no_number_are_left_out_and_a_column_that_is_missing_is_named() -> None:
    frame = summary().astype({"time_s": object})
    frame.loc[1, "time_s"], frame.loc[2, "time_s"], frame.loc[3, "time_s"] = math.inf, "<b>", -1.0
    (row,) = fit_frame(frame).to_dict("records")
    assert row["num_sizes"] == len(SIZES) - 3 and row["latency_s"] == pytest.approx(LATENCY_S)
    with pytest.raises(ValueError, match=r"no column bus_factor, warnings; analysis\.load"):
        fit_frame(summary().drop(columns=["warnings", "bus_factor"]))


@pytest.mark.parametrize("column", ["time_s", "time_low_s", "time_high_s", "bus_factor", "message_bytes"])
@pytest.mark.parametrize("value", [1e-300, 1e300, -1e300, 10**400, "=1+1", None])
def test_no_cell_of_a_file_from_elsewhere_breaks_the_frames(column: str, value: Any) -> None:
    frame = summary().astype({column: object})
    frame.loc[4, column] = value
    (row,) = fit_frame(frame).to_dict("records")
    assert row["latency_s"] == pytest.approx(LATENCY_S, rel=0.05) and row["left_out"] is None
    assert not curve_frame(frame)["time_s"].isna().any()


def test_an_empty_summary_gives_empty_frames() -> None:
    for frame, columns in (
        (fit_frame(summary()[:0]), FIT_COLUMNS),
        (curve_frame(summary()[:0]), CURVE_COLUMNS),
    ):
        assert frame.empty and tuple(frame.columns) == columns
    with pytest.raises(ValueError, match="no column collective"):
        fit_frame(pd.DataFrame())


def run_of(path: Path, *, is_emulated: bool) -> Path:
    """A run with noise: 21 samples per point; emulated links pass the first 250,000 bytes at once."""
    noise = random.Random(7)
    bucket, link_s_per_byte = (250_000, 3e-8) if is_emulated else (0, 1e-10)
    manifest = RunManifest(
        run_id="r1",
        started_utc="2026-01-01T00:00:00+00:00",
        status="running",
        status_reason=None,
        exit_status=None,
        command=["linerate", "run"],
        config={},
        config_sha256="0",
        versions={},
        hosts=[{"name": "host0"}],
        ranks=[{"rank": 0, "host": "host0"}],
        launcher="emulated" if is_emulated else "external",
        launched_by="linerate",
        backend="gloo",
        num_ranks=4,
        num_hosts=4,
        transceiver="400g-osfp-dr4",
        fabric="emulated" if is_emulated else "dgx_h100",
        time_scale=1000.0 if is_emulated else None,
        links={"bucket_bytes": 375_000} if is_emulated else None,
        environment={},
        skipped=[],
        num_points_planned=12,
    )
    folder = RunFolder.create(path / "runs", "r1", manifest)
    for size in [2**i for i in range(10, 26 if is_emulated else 31, 2)]:
        link_s = max(0.0, (size - bucket) * link_s_per_byte)
        durations_s = [(1e-4 + link_s / 0.9) * math.exp(noise.gauss(0, 0.02)) for _ in range(21)]
        record = Record(
            point_id=f"all_reduce.native.float32.sum.in_place.latency.{size}",
            attempt=0,
            status="complete",
            collective="all_reduce",
            algorithm="native",
            algorithm_source="assumed",
            backend="gloo",
            dtype="float32",
            reduce_op="sum",
            placement="in_place",
            measure_pass="latency",
            group="world",
            num_ranks=4,
            num_hosts=4,
            message_bytes=size,
            calls_per_sample=1,
            durations_s=durations_s,
            rank_mean_s=[1e-3] * 4,
            first_call_s=1e-3,
            num_wrong_elements=0,
            fabric_bytes_per_rank=1.5 * size,
            predicted_time_s=link_s or None,
            ceiling_time_s=link_s,
            predicted_bound="optics",
            also_bound_by=[],
            is_bucket_dominated=size < 8 * bucket,
            busy_share=None,
            steal_share=None,
        )
        folder.append(record, [durations_s] * 4, [durations_s] * 4)
    folder.finish(status="complete", reason=None, exit_status=0)
    return folder.path


@pytest.mark.parametrize("is_emulated", [True, False])
def test_the_frame_says_what_linerate_fit_says(tmp_path: Path, is_emulated: bool) -> None:
    path = run_of(tmp_path, is_emulated=is_emulated)
    run, fit = load_run(path), fit_run(path)
    assert (run.manifest.fabric == EMULATED) is is_emulated
    found = fit_frame(run.summary, fabric=run.manifest.fabric).to_dict("records")
    expected = [dataclasses.asdict(row) for row in fit_rows(fit.calibration.series, fit.left_out)]
    assert len(found) == len(expected) >= 1 + is_emulated
    for row, other in zip(found, expected, strict=True):
        other["pass"] = other.pop("measure_pass")
        for name, value in other.items():
            if name == "median_error":
                assert math.isnan(row[name]), "no size is held out here"
            elif value is None:
                assert pd.isna(row[name]), name
            elif isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=1e-6), name
            else:
                assert row[name] == value, name
    (series,) = fit.calibration.series
    for _, point in curve_frame(run.summary, fabric=run.manifest.fabric).iterrows():
        assert point["time_s"] == pytest.approx(series.curve.time(point["message_bytes"]).value, rel=1e-6)
