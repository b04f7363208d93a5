"""What a page says: the verdict follows from the data, nothing is left out silently, and no text becomes markup."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.load import Run, load_run
from analysis.report import page as page_module
from analysis.report import write_report
from analysis.report.advice import KINDS, advice_of
from analysis.report.falls import falls_of
from analysis.report.method import factor_table
from analysis.report.pictures import picture
from analysis.report.points import Point, largest_of_series, points_of
from analysis.report.sides import compared
from analysis.report.tables import MOST_OPEN_ROWS, MOST_ROWS, point_tables
from analysis.report.verdict import verdict_of
from bench import catalog
from bench.model.collective import Collective
from bench.record import Record
from bench.reported import LOOP_MEAN_RANK_MEAN, Reported
from tests.fake_runs import SIZES, fake_record, noisy_points, write_run
from tests.markup import read

EVIL = "<img src=x onerror=alert(1)>"


def durations(median_s: float, num: int = 40, *, noise: float = 0.01, seed: int = 0) -> list[float]:
    rng = np.random.default_rng(seed)
    return list(median_s * np.exp(noise * rng.standard_normal(num)))


def point_of(
    efficiency: float, collective: str = "all_reduce", size: int = 8388608, **changes: Any
) -> Record:
    """A record whose busbw is ``efficiency`` of its ceiling; there are no predictions in its way."""
    ceiling_s = 1.5 * size / 49.5e6
    point_id = f"{collective}.{changes.get('algorithm', 'native')}.{changes.get('group', 'world')}.{size}"
    values: dict[str, Any] = {
        "collective": collective,
        "placement": "out_of_place",
        "message_bytes": size,
        "ceiling_time_s": ceiling_s,
        "point_id": point_id,
    }
    return fake_record(durations(ceiling_s / efficiency), **(values | changes))


def run_of(tmp_path: Path, records: Sequence[Record], **changes: Any) -> tuple[Run, list[Point]]:
    run = load_run(write_run(tmp_path, changes.pop("run_id", "r1"), records, **changes))
    return run, points_of(run)


def said(tmp_path: Path, records: Sequence[Record], **changes: Any) -> tuple[str, str]:
    """Alarms and sentences of a run."""
    verdict = verdict_of(*run_of(tmp_path, records, **changes))
    assert 1 <= len(verdict.sentences) <= 5
    return " ".join(verdict.alarms), " ".join(verdict.sentences)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without figures, for what has nothing to do with them."""
    monkeypatch.setattr(page_module, "pictures_of", lambda *_: [])


REAL: dict[str, Any] = {
    "launcher": "external", "launched_by": "torchrun", "time_scale": None, "links": None, "fabric": "dgx_h100", "backend": "nccl",
}  # fmt: skip
LOOPBACK: dict[str, Any] = {
    "launcher": "local", "time_scale": None, "links": None, "fabric": "unknown", "transceiver": "unknown",
    "num_hosts": 1, "hosts": [{"name": "a"}], "ranks": [{"rank": rank, "host": "a"} for rank in range(4)],
}  # fmt: skip


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


def reported(size: int, time_s: float) -> Record:
    told = Reported(
        statistic=LOOP_MEAN_RANK_MEAN, time_s=time_s, time_low_s=0.9999 * time_s, time_high_s=1.0001 * time_s
    )
    changes: dict[str, Any] = {
        "predicted_time_s": None,
        "ceiling_time_s": None,
        "predicted_bound": None,
        "reported": told,
    }
    return fake_record(
        [], message_bytes=size, measure_pass="bandwidth", point_id=f"all_reduce.{size}", **changes
    )


IMPORTED: dict[str, Any] = {
    "launcher": "import", "launched_by": "nccl-tests", "time_scale": None, "links": None, "transceiver": "unknown", "fabric": "unknown",
    "imported": {
        "file": "a.log", "sha256": "ab" * 32, "format": "text", "lines": {"row": 2, "empty": 0}, "num_not_understood": 3,
        "tables": [{"program": "all_reduce_perf", "num_rows": 2, "layout": "2022"}], "warnings": [{"text": "careful"}],
    },
}  # fmt: skip


def test_an_imported_run_names_the_program_and_its_statistic(tmp_path: Path, quick: None) -> None:
    run, points = run_of(tmp_path, [reported(65536, 1e-3), reported(8388608, 0.25)], **IMPORTED)
    first = verdict_of(run, points).sentences[0]
    assert "Measured by nccl-tests (all_reduce_perf), not by linerate" in first
    assert LOOP_MEAN_RANK_MEAN in first
    words = read(write_report([run.path], None)).words
    assert "ab" * 32 in words and "3 lines not understood" in words and "careful" in words
    assert "prints alike from, to" in words and "95 % interval" not in words


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


def emulated_config() -> dict[str, Any]:
    emulation = {"num_hosts": 4, "ranks_per_host": 1, "ports_per_host": 1, "oversubscription": 1.0}
    optics = dataclasses.asdict(catalog.transceiver("400g-osfp-dr4"))
    return {"device": "cpu", "transceiver": optics, "emulation": emulation, "transport": "tcp"}


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


def test_a_page_of_several_runs_has_a_section_for_each_and_an_overview(tmp_path: Path, quick: None) -> None:
    paths = [write_run(tmp_path, f"run{number}", noisy_points(number)) for number in range(3)]
    out = write_report(paths, tmp_path / "all.html")
    page = read(out)
    assert page.errors == []
    titles = [text for level, text in page.headings if level == 2]
    assert titles == ["Overview", "Run run0", "Run run1", "Run run2"]
    overview = page.words[page.words.index("Overview") : page.words.index("The runs of this page")]
    assert overview.count("of its ceiling") == 3


# Files


def test_where_the_page_goes(tmp_path: Path, quick: None) -> None:
    run = write_run(tmp_path, "r1", [point_of(0.9)])
    assert write_report([run], None) == run / "report.html"
    first = (run / "report.html").read_bytes()
    assert write_report([run], tmp_path / "b.html").read_bytes() == first  # the same run gives the same page
    assert not list(tmp_path.glob(".*"))


def test_mistakes_of_the_user_are_told(tmp_path: Path, quick: None) -> None:
    run = write_run(tmp_path, "r1", [point_of(0.9)])
    with pytest.raises(ValueError, match="template 'fancy' does not exist; there are: page, bmwg"):
        write_report([run], None, "fancy")
    with pytest.raises(ValueError, match="no run is named"):
        write_report([], None)
    with pytest.raises(ValueError, match="does not exist"):
        write_report([tmp_path / "nothing"], None)
    with pytest.raises(ValueError, match="is a folder"):
        write_report([run], tmp_path)
    with pytest.raises(ValueError, match="cannot be written"):
        write_report([run], tmp_path / "no" / "such" / "folder.html")


# Runs from elsewhere


def hostile_run(tmp_path: Path) -> Path:
    """Every text that a page shows holds markup, quotes, formulas or characters that turn the direction of writing."""
    names = [EVIL, r"$\frac{a}$", "a\"b'c", "\u202eevil\x00"]
    records = [
        point_of(
            0.95,
            warnings=[f"budget: {EVIL}", "no name <b>", f"odd_name: {EVIL}"],
            finding="late rank 1",
            finding_text=EVIL,
        ),
        point_of(
            0.5,
            size=2048,
            dtype=EVIL,
            algorithm="</title><script>alert(2)</script>",
            point_id=f"{EVIL}.{EVIL}",
        ),
    ]
    glass = {
        "title": EVIL,
        "line": {"line_bytes_per_s": 1e9, "basis": EVIL},
        "margin_db": {"low": 1.0, "basis": EVIL},
        "link_w": "x",
    }
    config = {
        "device": EVIL, "link": [1], "emulation": None,
        "transceiver": {"name": EVIL, "nominal_rate_gbps": "x", "sources": {EVIL: {"document": EVIL}, "b": "x"}},
        "fabric": {"name": EVIL, "sources": [1], EVIL: {EVIL: [EVIL, None, {"a": EVIL}]}},
    }  # fmt: skip
    return write_run(
        tmp_path,
        "hostile",
        records,
        hosts=[
            {"name": name, "num_processors": EVIL, "memory_bytes": EVIL, "processor": EVIL} for name in names
        ],
        ranks=[{"rank": rank, "host": name, "gpu": EVIL} for rank, name in enumerate(names)],
        command=["linerate", EVIL],
        transceiver=EVIL,
        fabric=EVIL,
        environment={"NCCL_X": EVIL, "AWS_SECRET": "s3cret"},
        skipped=[f"x: {EVIL}"],
        groups={EVIL: [0, 1]},
        glass=glass | {"warnings": [EVIL]},
        config=config,
        versions={EVIL: EVIL},
        links={"rate_bytes_per_s": 5e7, EVIL: EVIL},
    )


@pytest.mark.parametrize("template", ["page", "bmwg"])
def test_no_text_of_a_run_becomes_markup(tmp_path: Path, template: str, quick: None) -> None:
    out = write_report([hostile_run(tmp_path)], None, template)
    text = out.read_text(encoding="utf-8")
    page = read(out)
    assert page.errors == []
    assert EVIL in page.words
    assert "<img" not in text and "<script" not in text and "<b>" not in text
    assert "\u202e" not in text and "\x00" not in text
    assert "s3cret" not in text


def test_variables_that_are_not_on_the_list_are_counted_and_not_shown(tmp_path: Path, quick: None) -> None:
    run = write_run(
        tmp_path, "r1", [point_of(0.9)], environment={"NCCL_ALGO": "ring", "HOME": "/home/somebody"}
    )
    words = read(write_report([run], None)).words
    assert "NCCL_ALGO" in words
    assert "somebody" not in words and "1 more in manifest.json" in words


def test_damaged_lines_are_named_and_the_rest_is_shown(tmp_path: Path, quick: None) -> None:
    """NaN, 1e9999 and a line that breaks off; samples cut in the middle; no place on this machine in the page."""
    run = write_run(tmp_path, "r1", noisy_points(1))
    lines = (run / "records.jsonl").read_text().split("\n")
    lines[0] = lines[0].replace('"first_call_s": 0.01', '"first_call_s": NaN')
    lines[1] = lines[1].replace('"first_call_s": 0.01', '"first_call_s": 1e9999')
    lines[2] = lines[2][:100]
    (run / "records.jsonl").write_text("\n".join(lines))
    (run / "samples.parquet").write_bytes((run / "samples.parquet").read_bytes()[:300])
    (run / "summary.csv").unlink()
    page = read(write_report([run], None))
    assert page.errors == []
    for number, what in ((1, "NaN"), (2, "1e9999"), (3, "")):
        assert f"records.jsonl, line {number}: {what}" in page.words
    assert "samples.parquet is damaged" in page.words
    assert "The run is partial" in page.words
    assert "8 MiB" in page.words
    assert str(tmp_path) not in page.words


def test_twelve_collectives_groups_passes_and_placements(tmp_path: Path, quick: None) -> None:
    records = [
        point_of(
            0.9,
            one.value,
            size,
            measure_pass=what,
            placement=where,
            group=group,
            point_id=f"{number}",
            backend="mpi",
        )
        for number, (one, size, what, where, group) in enumerate(
            (one, 0 if one is Collective.barrier else 2**20, what, where, group)
            for one in Collective
            for what in ("latency", "overlap")
            for where in ("in_place", "out_of_place")
            for group in ("world", "rail/0")
        )
    ]
    groups = {"rail/0": [0, 1]}
    run, points = run_of(tmp_path, records, groups=groups)
    assert len(points) == len(records)
    assert len(largest_of_series(points)) == 12 * 2 * 2 * 2
    page = read(write_report([run.path], None))
    assert page.errors == []
    assert all(f"{one.value}, 8 points" in page.words for one in Collective)
