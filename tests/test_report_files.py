"""Page files: where they go, and that no run, damaged or hostile, breaks one or gets markup into it."""

from pathlib import Path

import pytest

from analysis.report import page as page_module
from analysis.report import write_report
from analysis.report.points import largest_of_series
from bench.model.collective import Collective
from tests.fake_runs import noisy_points, write_run
from tests.markup import read
from tests.report_runs import EVIL, IMPORTED, hostile_run, point_of, reported, run_of


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without figures, for what has nothing to do with them."""
    monkeypatch.setattr(page_module, "pictures_of", lambda *_: [])


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


def test_a_page_of_several_runs_has_a_section_for_each_and_an_overview(tmp_path: Path, quick: None) -> None:
    paths = [write_run(tmp_path, f"run{number}", noisy_points(number)) for number in range(3)]
    out = write_report(paths, tmp_path / "all.html")
    page = read(out)
    assert page.errors == []
    titles = [text for level, text in page.headings if level == 2]
    assert titles == ["Overview", "Run run0", "Run run1", "Run run2"]
    overview = page.words[page.words.index("Overview") : page.words.index("The runs of this page")]
    assert overview.count("of its ceiling") == 3


def test_an_imported_run_has_its_hash_its_lines_and_its_warnings(tmp_path: Path, quick: None) -> None:
    run, _ = run_of(tmp_path, [reported(65536, 1e-3), reported(8388608, 0.25)], **IMPORTED)
    words = read(write_report([run.path], None)).words
    assert "ab" * 32 in words and "3 lines not understood" in words and "careful" in words
    assert "prints alike from, to" in words and "95 % interval" not in words


# Runs from elsewhere


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
