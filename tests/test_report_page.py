"""Whole pages with their figures: what is in the file, and what a browser makes of it at a desk, on a phone and on paper."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from analysis.report import write_report
from analysis.report.html import TEMPLATES
from bench.bmwg import bmwg_report
from bench.run_folder import RunFolder
from bench.summary import summary_rows
from tests.browser import NAMES, Browser, browser, chromium
from tests.fake_runs import fake_record, write_run
from tests.markup import read
from tests.report_runs import EVIL, emulated_config, hostile_run

MOST_BYTES: Final = 2_000_000
"""What a page of a default run may have."""

SERIES: Final = (
    ("all_reduce", "native"),
    ("all_to_all", "native"),
    ("all_to_all", "pairwise"),
    ("all_to_all", "chunked"),
    ("send_recv", "native"),
)
SIZES: Final = tuple(2048 * 4**step for step in range(7))

AA: Final = 4.5
"""Contrast of text that WCAG 2.2 asks for on level AA (success criterion 1.4.3)."""


def default_run(folder: Path, run_id: str = "default") -> Path:
    """As many points, sizes and samples as `linerate run` takes without a word, with a stall and a noisy machine."""
    rng = np.random.default_rng(5)
    records = []
    for size in SIZES:
        for collective, algorithm in SERIES:
            link_s = 1.5 * size / 49.6e6
            share = 0.68 if (collective, algorithm) == ("all_to_all", "native") else 0.95
            times = (2e-3 + link_s / share) * np.exp(0.05 * rng.standard_normal(21))
            if size == SIZES[3] and collective == "send_recv":
                times[11] += 0.4
            record = fake_record(
                list(times),
                message_bytes=size,
                collective=collective,
                algorithm=algorithm,
                placement="out_of_place",
                point_id=f"{collective}.{algorithm}.float32.out_of_place.latency.{size}",
                reduce_op="sum" if collective == "all_reduce" else None,
                is_bucket_dominated=size < 2**21,
                ceiling_time_s=link_s,
                predicted_time_s=link_s if size >= 2**21 else None,
                counted_bytes_per_rank=1.51 * size,
                steal_share=0.09 if size == SIZES[-1] else 0.0,
            )
            records.append(record)
    return write_run(folder, run_id, records, config=emulated_config())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each kind that looks different."""
    folder = tmp_path_factory.mktemp("pages")
    run, hostile = default_run(folder), hostile_run(folder)
    return {
        "default": write_report([run], folder / "default.html"),
        "bmwg": write_report([run], folder / "bmwg.html", "bmwg"),
        "hostile": write_report([hostile], folder / "hostile.html"),
    }


@pytest.mark.parametrize("name", ["default", "bmwg", "hostile"])
def test_a_page_is_whole_fetches_nothing_and_runs_nothing(pages: dict[str, Path], name: str) -> None:
    page = read(pages[name])
    assert page.errors == []
    assert pages[name].stat().st_size <= MOST_BYTES


def test_the_page_of_a_default_run_has_its_sections_and_figures(pages: dict[str, Path]) -> None:
    page = read(pages["default"])
    assert [text for level, text in page.headings if level == 2] == [
        *("Verdict", "What was run where", "Figures", "Where the rate goes", "All points"),
        *("Warnings and what to do", "The hardware as described", "Method", "Provenance"),
    ]
    assert page.tags["svg"] == page.tags["figure"] >= 6
    assert page.tags["figcaption"] == page.tags["figure"]
    assert "could not be drawn" not in page.words
    for collective, _ in SERIES:
        assert collective in page.words


def test_hostile_names_reach_the_figures_as_text(pages: dict[str, Path]) -> None:
    text = pages["hostile"].read_text(encoding="utf-8")
    assert "<img" not in text and "<script" not in text
    assert EVIL in read(pages["hostile"]).words


# The second template


def test_the_report_of_the_draft_has_its_ten_items_in_order(pages: dict[str, Path]) -> None:
    page = read(pages["bmwg"])
    items = [text for level, text in page.headings if level == 3]
    assert items == [
        *("1. DUT identification", "2. Test topology", "3. Test configuration", "4. Observation points"),
        *("5. Host configuration", "6. Test results", "7. Anomalies", "8. Trial accounting"),
        *("9. Repeatability statement", "10. Comparability statement", "Terms"),
    ]


def test_every_field_of_the_draft_has_a_value_or_a_reason(pages: dict[str, Path]) -> None:
    text = pages["bmwg"].read_text(encoding="utf-8")
    values = re.findall(r"<dd>(.*?)</dd>", text, re.DOTALL)
    assert len(values) > 40
    assert all(value.strip() for value in values)
    for reason in re.findall(r"not reported: ([^<]*)<", text):
        assert reason.strip()
    for field in (
        "Switch vendor and model",
        "NIC firmware",
        "ECN thresholds",
        "Load balancing mode",
        "BIOS settings",
    ):
        assert f"<dt>{field}</dt>" in text


def test_what_bmwg_json_holds_stands_in_the_report(pages: dict[str, Path], tmp_path: Path) -> None:
    folder = RunFolder(default_run(tmp_path))
    records = folder.records()
    report = bmwg_report(folder.manifest(), records, summary_rows(records))
    words = read(pages["bmwg"]).words
    assert f"Trials attempted {report['trial_accounting']['attempted']}" in words
    for deviation in report["deviations"]:
        assert deviation in words
    for name in report["not_reported"]:
        assert name in words
    for point in report["points"]:
        assert str(point["s_fabric"]["bytes"]).split(".")[0] in words


# Colours


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb. Source: WCAG 2.2, definition of relative luminance."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_stands_out_from_what_it_stands_on(place: int) -> None:
    """Every colour of text against every ground that it stands on, in light, dark and print."""
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[place]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    grounds = {"ink": ("paper", "band", "alarm-band"), "soft": ("paper",), "link": ("paper",)}
    for text, on in grounds.items():
        for ground in on:
            bright, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) >= AA, (text, ground)


# In a browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip(f"no browser on the PATH ({', '.join(NAMES)}); install chromium to check pages in it")
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.mark.parametrize("name", ["default", "bmwg", "hostile"])
@pytest.mark.parametrize("width", [1280, 360])
def test_a_browser_shows_it_without_overflow_complaint_or_request(
    pages: dict[str, Path], tab: Browser, name: str, width: int
) -> None:
    seen = tab.open(pages[name], width=width)
    assert seen.wider == []
    assert seen.scroll_width <= seen.client_width
    assert (seen.complaints, seen.requests, seen.dialogs) == ([], [], [])


def test_the_page_is_dark_where_the_reader_wants_it(pages: dict[str, Path], tab: Browser) -> None:
    grounds = []
    for is_dark in (False, True):
        tab.open(pages["default"], is_dark=is_dark)
        grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(26, 26, 26)"]


FOLDED: Final = (
    "[...document.querySelectorAll('details:not([open]) table')].map(t => t.getBoundingClientRect().height)"
)


def test_on_paper_nothing_stays_folded_and_nothing_is_cut(
    pages: dict[str, Path], tab: Browser, tmp_path: Path
) -> None:
    tab.open(pages["default"], medium="print", width=700)
    heights: list[Any] = tab.evaluate(FOLDED)
    assert heights and all(height > 10 for height in heights)
    overflows = "[...document.querySelectorAll('.scroll')].map(e => getComputedStyle(e).overflowX)"
    assert set(tab.evaluate(overflows)) == {"visible"}
    tab.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_the_browser_notices_what_it_is_there_for(tab: Browser, tmp_path: Path) -> None:
    """A page with everything that ours must not have; without this a check that sees nothing would pass."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!DOCTYPE html><title>x</title><div style='width: 3000px'>wide</div><img src='http://127.0.0.1:9/x.png'>"
        "<script>console.error('complaint'); alert('dialog'); undefined.name</script>",
        encoding="utf-8",
    )
    seen = tab.open(bad, width=360)
    assert seen.scroll_width > seen.client_width and seen.wider == ["DIV."]
    assert any("complaint" in text for text in seen.complaints) and len(seen.complaints) >= 2
    assert seen.requests == ["http://127.0.0.1:9/x.png"]
    assert seen.dialogs == ["dialog"]
