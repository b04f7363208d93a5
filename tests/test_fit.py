"""`linerate fit`: a run folder to fit.json and three tables; every mistake is one line and exit status 2."""

import json
import math
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.compose import compose
from bench.fit_file import FIT, from_json, read_calibration, to_json
from bench.fitting import fit_run, series_of, series_of_point
from bench.launch.resolve import prediction_target
from bench.model.fit.calibration import Calibration, calibrated
from bench.record import Record, RunManifest
from bench.reported import LOOP_MEAN_RANK_MEAN, Reported
from bench.run_folder import RunFolder

SIZES = [2**i for i in range(10, 25, 2)]
LATENCY_S = 5e-3
LINK_S_PER_BYTE = 3e-8
BUCKET_BYTES = 250_000
EFFICIENCY = 0.95


def record(size: int, **changes: Any) -> Record:
    """21 samples about 5 ms inside the bucket, about the link's time over 0.95 beyond it."""
    link_s = size * LINK_S_PER_BYTE
    time_s = LATENCY_S if size <= BUCKET_BYTES else link_s / EFFICIENCY
    noise = random.Random(size)
    ceiling_s = max(0.0, (size - BUCKET_BYTES) * LINK_S_PER_BYTE)
    is_dominated = size < 8 * BUCKET_BYTES
    values: dict[str, Any] = {
        "point_id": f"all_reduce.native.float32.sum.in_place.latency.{size}",
        "attempt": 0,
        "status": "complete",
        "collective": "all_reduce",
        "algorithm": "native",
        "algorithm_source": "assumed",
        "backend": "gloo",
        "dtype": "float32",
        "reduce_op": "sum",
        "placement": "in_place",
        "measure_pass": "latency",
        "group": "world",
        "num_ranks": 4,
        "num_hosts": 4,
        "message_bytes": size,
        "calls_per_sample": 1,
        "durations_s": [time_s * math.exp(noise.gauss(0, 0.02)) for _ in range(21)],
        "rank_mean_s": [time_s] * 4,
        "first_call_s": time_s,
        "num_wrong_elements": 0,
        "fabric_bytes_per_rank": 1.5 * size,
        "predicted_time_s": None if is_dominated else link_s,
        "ceiling_time_s": ceiling_s,
        "predicted_bound": "optics",
        "also_bound_by": [],
        "is_bucket_dominated": is_dominated,
        "busy_share": None,
        "steal_share": None,
    }
    return Record(**(values | changes))


def manifest(**changes: Any) -> RunManifest:
    values: dict[str, Any] = {
        "run_id": "r1",
        "started_utc": "2026-01-01T00:00:00+00:00",
        "status": "running",
        "status_reason": None,
        "exit_status": None,
        "command": ["linerate", "run"],
        "config": {},
        "config_sha256": "0",
        "versions": {},
        "hosts": [{"name": "host0"}],
        "ranks": [{"rank": 0, "host": "host0"}],
        "launcher": "emulated",
        "launched_by": "linerate",
        "backend": "gloo",
        "num_ranks": 4,
        "num_hosts": 4,
        "transceiver": "400g-osfp-dr4",
        "fabric": "emulated",
        "time_scale": 1000.0,
        "links": {"bucket_bytes": 375_000, "rate_bytes_per_s": 5e7, "mtu_bytes": 9000},
        "environment": {},
        "skipped": [],
        "num_points_planned": len(SIZES),
    }
    return RunManifest(**(values | changes))


def run_of(tmp_path: Path, records: list[Record], **changes: Any) -> Path:
    folder = RunFolder.create(tmp_path / "runs", "r1", manifest(**changes))
    for each in records:
        durations = [each.durations_s] * (each.num_ranks or 1)
        folder.append(each, durations, durations)
    folder.finish(status="complete", reason=None, exit_status=0)
    return folder.path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_of(tmp_path, [record(size) for size in SIZES])


def test_latency_bandwidth_and_both_predictions_are_shown(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(run)]) == 0
    said = capsys.readouterr()
    assert not said.err
    beyond = next(line for line in said.out.splitlines() if "256 KiB to 16 MiB" in line)
    # busbw 1.5 / (3e-8 / 0.95) is 47.5 MB/s
    busbw = re.search(r"│ +(\d+\.\d+) \((\d+\.\d+) \.\. (\d+\.\d+)\) │ +(\d+\.\d)% │", beyond)
    assert busbw is not None, beyond
    value, low, high, share = map(float, busbw.groups())
    assert value == pytest.approx(47.5, rel=0.02) and low <= value <= high
    assert share == pytest.approx(95.0, abs=2.0)
    row = next(line for line in said.out.splitlines() if "│  16 MiB │" in line)
    assert re.search(r"│ +503 ms │ +-[45]\.\d% │ +\d+ ms │ +[+-]0\.\d% │", row), (
        row
    )  # the link alone is 5 % too fast
    assert "Held out (leave one size out)" in said.out and "r1" in said.out
    assert str(run / FIT) in said.out


def test_the_file_holds_what_was_found_and_comes_back(run: Path) -> None:
    assert main(["fit", str(run)]) == 0
    calibration = read_calibration(run)
    assert calibration == fit_run(run).calibration == read_calibration(run / FIT)
    assert (calibration.run_id, calibration.split) == ("r1", "leave one size out")
    fit = calibration.series[0]
    assert [size.message_bytes for size in fit.sizes] == SIZES
    assert fit.median_error is not None and fit.median_error < 0.1
    inside, beyond = fit.curve.segments
    assert inside.line.latency_s == pytest.approx(LATENCY_S, rel=0.05) and inside.efficiency() is None
    efficiency = beyond.efficiency()
    assert efficiency is not None and efficiency.low is not None and efficiency.high is not None
    assert efficiency.low <= EFFICIENCY * 1.01 and efficiency.high >= EFFICIENCY * 0.99
    found = calibrated(calibration, fit.series, message_bytes=SIZES[-1], link_time_s=2.0)
    assert found is not None and found.time_s == pytest.approx(2.0 / EFFICIENCY, rel=0.03)


def test_the_newest_run_is_found_by_its_link_and_another_file_can_be_written(
    run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.json"
    assert main(["fit", str(run.parent / "latest"), "--out", str(out)]) == 0
    assert read_calibration(out).run_id == "r1" and not (run / FIT).exists()


def test_a_run_that_was_cut_off_is_fitted_as_far_as_it_came(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "r1", manifest())
    for size in SIZES[:4]:
        folder.append(record(size), [], [])
    with (folder.path / "records.jsonl").open("a") as stream:
        stream.write(record(SIZES[4]).to_line()[:80])
    assert len(fit_run(folder.path).calibration.series[0].sizes) == 4


def test_a_run_over_loopback_has_no_share_of_a_ceiling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = {"predicted_time_s": None, "ceiling_time_s": None, "predicted_bound": None}
    records = [record(size, is_bucket_dominated=False, **nothing) for size in SIZES]
    path = run_of(
        tmp_path,
        records,
        launcher="local",
        fabric="unknown",
        transceiver="unknown",
        links=None,
        time_scale=None,
    )
    assert main(["fit", str(path)]) == 0
    assert "bucket" not in capsys.readouterr().out
    curve = read_calibration(path).series[0].curve
    assert curve.unshaped_bytes == 0 and all(segment.efficiency() is None for segment in curve.segments)


def test_points_that_are_no_measurement_are_left_out(tmp_path: Path) -> None:
    bad = [
        record(SIZES[0], status="wrong_data", num_wrong_elements=3),
        record(SIZES[1], status="failed", num_bad=1),
        record(SIZES[2], status="timeout", durations_s=[]),
        record(0, collective="barrier", reduce_op=None, durations_s=[1e-3] * 21),
        record(SIZES[3], measure_pass="overlap"),
    ]
    path = run_of(tmp_path, [*bad, *(record(size) for size in SIZES[4:])])
    (fit,) = fit_run(path).calibration.series
    assert [size.message_bytes for size in fit.sizes] == SIZES[4:]


def test_series_are_told_apart_and_short_ones_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairwise = {"collective": "all_to_all", "algorithm": "pairwise", "reduce_op": None}
    records = [record(size) for size in SIZES]
    records += [record(size, placement="out_of_place") for size in SIZES]
    records += [record(size, **pairwise) for size in SIZES[:2]]
    path = run_of(tmp_path, records)
    assert main(["fit", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Not fitted: all_to_all (pairwise, in place): 2 sizes of the 3 that a fit needs." in said
    assert [fit.series.placement for fit in read_calibration(path).series] == ["in_place", "out_of_place"]


def test_what_nccl_chose_is_one_series_with_known_breaks(tmp_path: Path) -> None:
    """A prediction asks for the library's own; its log tells where one protocol ends."""
    names = ["tree/ll"] * 3 + ["ring/simple"] * 5
    records = [
        record(size, algorithm=name, algorithm_source="logged", backend="nccl")
        for size, name in zip(SIZES, names, strict=True)
    ]
    path = run_of(tmp_path, records, launcher="external", fabric="dgx_h100", links=None, time_scale=None)
    (fit,) = fit_run(path).calibration.series
    assert fit.series == series_of(records[0], "dgx_h100") and fit.series.algorithm == "native"
    assert SIZES[2] in [segment.last_bytes for segment in fit.curve.segments]


def growing(size: int) -> Record:
    """1 GB/s behind a latency that no size of this sweep outgrows."""
    return record(
        size,
        durations_s=[LATENCY_S + size * 1e-9] * 21,
        ceiling_time_s=None,
        predicted_time_s=None,
        is_bucket_dominated=False,
    )


def test_a_run_that_ends_early_says_so_and_how_far_to_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_of(tmp_path, [growing(size) for size in SIZES[:7]], links=None, time_scale=None)
    assert main(["fit", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "all_reduce: the sweep ends before its plateau: 4 MiB has 45.6 %" in said
    # 95 % of the plateau at 19 x 5 ms x 1 GB/s
    assert "measure up to 128 MiB: 95 % are expected at 90.6 MiB" in said
    assert "No larger size is predicted" in said and re.search(
        r"not saturated .* not known . not known", said
    )
    (fit,) = read_calibration(path).series
    assert fit.half_bandwidth_bytes is None
    calibration = read_calibration(path)
    assert calibrated(calibration, fit.series, message_bytes=SIZES[6]) is not None
    assert calibrated(calibration, fit.series, message_bytes=SIZES[7]) is None


def test_a_run_on_its_plateau_says_where_half_of_it_is_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """5 ms x 1 GB/s is 5 MB, 4.768 MiB; 90 % are at 9 times that."""
    sizes = [2**i for i in range(14, 31, 2)]
    path = run_of(tmp_path, [growing(size) for size in sizes], links=None, time_scale=None)
    assert main(["fit", str(path)]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "│ saturated" in line)
    assert "4.768 MiB (4.768 .. 4.768)" in row and "42.92 MiB (42.92 .. 42.92)" in row
    assert "99.5% (99.5 .. 99.5)" in row
    (shown,) = json.loads((path / FIT).read_text())["table"]
    assert shown["half_bandwidth_bytes"] == pytest.approx(5e6, rel=1e-3)
    assert shown["saturated_from_bytes"] == pytest.approx(19 * 5e6, rel=1e-3)
    assert (shown["saturation"], shown["left_out"]) == ("saturated", None)
    assert shown["latency_low_s"] <= shown["latency_s"] <= shown["latency_high_s"]
    assert shown["latency_s"] == pytest.approx(LATENCY_S)
    # 4 ranks: busbw is 1.5 x 1 GB/s
    assert shown["bandwidth_gbytes_per_s"] == pytest.approx(1.5, rel=1e-3)


def test_the_file_holds_every_number_that_is_shown(run: Path) -> None:
    assert main(["fit", str(run)]) == 0
    first, second = json.loads((run / FIT).read_text())["table"]
    assert (first["segment"], second["segment"]) == (1, 2)
    assert (second["from_bytes"], second["to_bytes"]) == (SIZES[4], SIZES[7])
    assert second["bandwidth_low_gbytes_per_s"] <= second["bandwidth_gbytes_per_s"]
    assert second["efficiency"] == pytest.approx(EFFICIENCY, rel=0.02) and first["efficiency"] is None
    assert second["saturation"] == "saturated" and second["advice"].startswith("the plateau is in the data")


def test_a_file_of_version_1_is_read_and_judged(run: Path) -> None:
    """It lacks the verdict, the bus factor and the table; all follow from the rest."""
    assert main(["fit", str(run)]) == 0
    content = json.loads((run / FIT).read_text())
    del content["table"]
    for fit in content["series"]:
        del fit["bus_factor"], fit["curve"]["saturation"]
    assert from_json(json.dumps(content | {"fit_version": 1})) == read_calibration(run)
    with pytest.raises(ValueError, match="table"):
        from_json(json.dumps(content))
    with pytest.raises(ValueError, match="saturation"):
        from_json(json.dumps(content | {"table": []}))


def imported(size: int, time_s: float, **changes: Any) -> Record:
    """As a log of another program gives a point: one number, printed to 10 ns."""
    reported = Reported(
        statistic=LOOP_MEAN_RANK_MEAN,
        time_s=time_s,
        time_low_s=time_s - 5e-9,
        time_high_s=time_s + 5e-9,
        busbw_bytes_per_s=1.75 * size / time_s,
    )
    nothing = {"predicted_time_s": None, "ceiling_time_s": None, "predicted_bound": None}
    values = {"durations_s": [], "rank_mean_s": [], "is_bucket_dominated": False, "reported": reported}
    return record(size, **({"backend": "nccl"} | nothing | values | changes))


def test_what_another_program_measured_is_fitted_by_its_scatter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No interval of its own, several repeats of a size, no number of ranks, and a collective that nobody knows."""
    noise = random.Random(5)
    sizes = [2**i for i in range(13, 29)]
    records = [
        imported(
            size,
            (3e-5 + size * 1e-10) * math.exp(noise.gauss(0, 0.01)),
            repeat=repeat,
            collective="hypercube",
            reduce_op=None,
            num_ranks=None,
            num_hosts=None,
        )
        for size in sizes
        for repeat in (1, 2, 3)
    ]
    path = run_of(
        tmp_path, records, num_ranks=None, num_hosts=None, links=None, time_scale=None, fabric="unknown"
    )
    assert main(["fit", str(path)]) == 0
    assert "weigh alike" in " ".join(capsys.readouterr().out.split())
    (fit,) = read_calibration(path).series
    assert not fit.have_intervals and fit.series.num_ranks is None
    assert [size.message_bytes for size in fit.sizes] == sizes
    first = sorted(
        each.reported.time_s or 0.0 for each in records if each.reported and each.message_bytes == sizes[0]
    )
    assert fit.sizes[0].measured_s == first[1], "the median of the repeats"
    bandwidth = json.loads((path / FIT).read_text())["table"][-1]
    assert bandwidth["bandwidth_gbytes_per_s"] == pytest.approx(17.5, rel=0.03), (
        "by the bus factor of the log"
    )
    assert bandwidth["bandwidth_low_gbytes_per_s"] <= 17.5 <= bandwidth["bandwidth_high_gbytes_per_s"]
    assert bandwidth["saturation"] == "saturated" and bandwidth["has_point_intervals"] is False


BAD_RUNS = [
    ("nothing", "no run folder"),
    ("empty", "no measured point"),
    ("one size", "no series of 3 sizes (the longest has 1)"),
    ("manifest version", "99"),
    ("record", "line 1"),
    ("not json", "cannot be read"),
]


@pytest.mark.parametrize(("what", "words"), BAD_RUNS)
def test_a_run_that_cannot_be_fitted_is_exit_2_and_one_line(
    what: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nowhere"
    if what != "nothing":
        sizes = {"empty": [], "one size": SIZES[:1]}.get(what, SIZES)
        path = run_of(tmp_path, [record(size) for size in sizes])
    spoiled = path / ("records.jsonl" if what == "record" else "manifest.json")
    if what == "manifest version":
        content = json.loads(spoiled.read_text())
        spoiled.write_text(json.dumps(content | {"record_version": 99}))
    elif what == "record":
        spoiled.write_text("{}\n" + spoiled.read_text())
    elif what == "not json":
        spoiled.write_text("run")
    assert main(["fit", str(path)]) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.count("\n") == 1 and words in said.err, said.err
    assert not (path / FIT).exists()


def test_a_folder_that_cannot_be_written_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--out", str(tmp_path / "no" / "fit.json")], []):
        if not arguments:
            (run / f".{FIT}.tmp").mkdir()  # as root, permissions would not stop it
        assert main(["fit", str(run), *arguments]) == 2
        said = capsys.readouterr()
        assert "--out FILE.json" in said.err and said.err.count("\n") == 1 and not said.out


def test_two_runs_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", str(run), "other"]) == 2
    assert "'other'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('"fit_version": 2', '"fit_version": 3'), "fit_version is 3"),
        (lambda text: text.replace('"fit_version": 2', '"fit_version": "2"'), "fit_version is 2"),
        (lambda text: text.replace('"fit_version": 2,', ""), "fit_version is None"),
        (lambda text: text.replace('"verdict": "saturated"', '"verdict": "perhaps"'), "perhaps"),
        (lambda text: text.replace('"run_id"', '"run"'), "run"),
        (lambda text: re.sub(r'"measured_s": [0-9.e-]+', '"measured_s": NaN', text), "NaN"),
        (lambda text: re.sub(r'"measured_s": [0-9.e-]+', '"measured_s": 1e999', text), "1e999"),
        (lambda text: re.sub(r'"measured_s": [0-9.e-]+', '"measured_s": "1"', text), "measured_s"),
        (lambda text: re.sub(r'"to_bytes": [0-9.]+', '"to_bytes": null', text), "segments"),
        (lambda text: text[:100], "cannot be read"),
        (lambda text: "[]", "fit_version"),
    ],
)
def test_a_damaged_fit_is_refused(
    run: Path, change: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(run)]) == 0
    path = run / FIT
    path.write_text(change(path.read_text()))
    capsys.readouterr()
    assert main(["predict", f"calibration={path}"]) == 2
    said = capsys.readouterr()
    assert words in said.err and str(path) in said.err and said.err.count("\n") == 1 and not said.out


def test_a_calibration_that_is_not_there_is_refused_by_run_and_predict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("predict", "run"):
        assert main([verb, f"calibration={tmp_path}"]) == 2
        said = capsys.readouterr()
        assert "linerate fit" in said.err and said.err.count("\n") == 1 and not said.out


def test_the_key_is_null_unless_given() -> None:
    assert compose([]).calibration is None
    assert compose(["calibration=runs/latest"]).calibration == "runs/latest"
    with pytest.raises(ValueError, match="calibration is empty"):
        compose(["calibration=''"])


def test_an_empty_calibration_comes_back() -> None:
    empty = Calibration(run_id="r", started_utc="t", transceiver="a", fabric="b", time_scale=None, series=())
    assert from_json(to_json(empty)) == empty


def test_a_point_to_be_predicted_belongs_to_the_series_that_was_measured(run: Path) -> None:
    _, points, settled = prediction_target(compose(["collectives=all_reduce", "sizes.list_bytes=[16MiB]"]))
    asked = series_of_point(points[0], num_hosts=4, backend="gloo", fabric="emulated")
    assert settled.launcher.kind == "emulated" and asked == fit_run(run).calibration.series[0].series


def test_fitting_never_imports_torch(run: Path) -> None:
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"status = main(['fit', {str(run)!r}])\n"
        "sys.exit(10 if 'torch' in sys.modules else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("factor", [1.0, 1.5, 0.2])
def test_every_verdict_comes_back_from_the_file(tmp_path: Path, factor: float) -> None:
    """The largest size as fast as expected, slower, and faster than any line allows."""
    records = [growing(size) for size in [2**i for i in range(14, 31, 2)]]
    records[-1].durations_s = [each * factor for each in records[-1].durations_s]
    path = run_of(tmp_path, records, links=None, time_scale=None)
    calibration = fit_run(path).calibration
    assert from_json(to_json(calibration)) == calibration
    saturation = calibration.series[0].curve.saturation
    assert saturation is not None
    assert saturation.verdict.value == {1.0: "saturated", 1.5: "falls", 0.2: "not saturated"}[factor]
