"""Figures: what they say of the data they were given, and that an SVG is safe and legible inside any page."""

import base64
import functools
import io
import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from analysis.figures import (
    Drawn,
    NothingToDrawError,
    accuracy,
    busbw,
    cells,
    comparison,
    distribution,
    heat_host,
    heat_rank,
    latency,
    style,
    svg,
    timeline,
    waterfall,
    words,
)
from analysis.figures.series import series_of
from analysis.load import Run
from analysis.plots import busbw_figure, save
from bench.model.stability import STALL_MEDIANS, STALL_S
from bench.model.waterfall import Step

KIB, MIB = 1 << 10, 1 << 20
SIZES: Final = tuple(4**power * KIB for power in range(10))
COLLECTIVES: Final = (
    *("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "all_to_allv", "broadcast"),
    *("reduce", "gather", "scatter", "send_recv", "ping_pong", "hypercube"),
)
TAGS: Final = frozenset(
    (
        "svg",
        "title",
        "desc",
        "defs",
        "g",
        "path",
        "use",
        "text",
        "tspan",
        "image",
        "clipPath",
        "rect",
        "pattern",
    )
)
HOSTILE: Final = (
    "<script>alert(1)</script>",
    "a\"b'&amp;<b onload=x()>",
    r"$\frac{1}{$ and $x_2$",
    "line\nbreak\x00\x07\x1b[31m",
    "\ud800 surrogate \u202e turned",
    "]]> &#x3c;img src=x onerror=alert(1)>",
)


def make_summary(
    collectives: Sequence[str] = ("all_reduce",),
    sizes: Sequence[int] = SIZES,
    *,
    share: float = 0.8,
    repeats: int = 1,
    **others: Any,
) -> pd.DataFrame:
    """Points of 50 GB/s links that take 20 us and reach ``share`` of them."""
    rows = []
    for collective, size, repeat in itertools.product(collectives, sizes, range(1, repeats + 1)):
        time_s = 20e-6 + size / (share * 50e9)
        rate = size / time_s / 1e9
        expected = size / (20e-6 + size / 46e9) / 1e9
        row: dict[str, Any] = {
            "point_id": f"{collective}.{size}.{repeat}",
            "collective": collective,
            "algorithm": "native",
            "placement": "out_of_place",
            "pass": "latency",
            "group": "world",
            "backend": "gloo",
            "dtype": "float32",
            "message_bytes": size,
            "time_s": time_s * (1 + 0.01 * repeat),
            "time_low_s": time_s * 0.98,
            "time_high_s": time_s * 1.05,
            "time_p99_s": time_s * 1.5,
            "time_max_s": time_s * 3,
            "busbw_gbytes_per_s": rate,
            "predicted_time_s": 20e-6 + size / 46e9,
            "predicted_busbw_gbytes_per_s": expected,
            "predicted_low_busbw_gbytes_per_s": expected * 0.9,
            "predicted_high_busbw_gbytes_per_s": expected * 1.05,
            "ceiling_busbw_gbytes_per_s": 50.0,
            "ratio": 1.0,
            "efficiency": rate / 50.0,
            "bound_by": "optics" if rate > 30 else "latency",
            "counted_fabric_bytes_per_rank": size * 1.04,
            "repeat": repeat,
        }
        rows.append(row | others)
    return pd.DataFrame(rows)


def make_samples(
    points: Sequence[str] = ("p",), num_ranks: int = 4, num_iterations: int = 200, median_s: float = 1e-3
) -> pd.DataFrame:
    """Points after one another; every call of every rank takes about ``median_s``."""
    rng = np.random.default_rng(1)
    frames = []
    for place, point in enumerate(points):
        shape = (num_ranks, num_iterations)
        start_s = place + np.arange(num_iterations) * 2 * median_s + np.zeros(shape)
        frames.append(
            pd.DataFrame(
                {
                    "point_id": point,
                    "rank": np.repeat(np.arange(num_ranks), num_iterations),
                    "iteration": np.tile(np.arange(num_iterations), num_ranks),
                    "start_s": (start_s + rng.random(shape) * 0.01 * median_s).ravel(),
                    "duration_s": (median_s * (1 + 0.1 * rng.random(shape))).ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def make_pairs(num_hosts: int = 6) -> pd.DataFrame:
    """Every host with every other at 80 GB/s; host-2 with all at 40."""
    return pd.DataFrame(
        [
            {
                "host_a": f"host-{a}",
                "host_b": f"host-{b}",
                "busbw_gbytes_per_s": 40.0 if 2 in (a, b) else 80.0,
            }
            for a, b in itertools.combinations(range(num_hosts), 2)
        ]
    )


def make_comparison() -> pd.DataFrame:
    """all_reduce: 4 slower of 10, by 20 % at most; broadcast: nothing found."""
    frame = make_summary(("all_reduce", "broadcast")).drop(columns=["time_s"])
    is_slower = (frame["collective"] == "all_reduce") & (frame["message_bytes"] >= 4 * MIB)
    ratio = np.where(is_slower, 1.1, 1.0)
    ratio[np.flatnonzero(is_slower)[-1]] = 1.2
    return frame.assign(
        ratio=ratio,
        ratio_low=ratio * 0.98,
        ratio_high=ratio * 1.02,
        verdict=np.where(is_slower, "slower", "no_difference_found"),
        min_detectable_ratio=1.05,
        base_busbw_gbytes_per_s=frame["busbw_gbytes_per_s"],
        new_busbw_gbytes_per_s=frame["busbw_gbytes_per_s"] / ratio,
    )


def make_steps(*rates: float) -> list[Step]:
    return [
        Step(label=f"step {place}", duration_s=1.0, busbw_bytes_per_s=rate * 1e9, note="")
        for place, rate in enumerate(rates)
    ]


FIGURES: Final[dict[str, Callable[[str], Drawn]]] = {
    "busbw": lambda title: busbw.draw(make_summary(COLLECTIVES[:3]), title=title, time_scale=1000.0),
    "busbw of many": lambda title: busbw.draw(
        make_summary(COLLECTIVES, [2**power for power in range(10, 34)]), title=title
    ),
    "busbw of one size": lambda title: busbw.draw(make_summary(COLLECTIVES[:5], [MIB]), title=title),
    "latency": lambda title: latency.draw(make_summary(COLLECTIVES[:2]), title=title),
    "distribution": lambda title: distribution.draw(
        make_samples("abcdef", num_iterations=2000), list("abcdef"), title=title
    ),
    "heat_rank": lambda title: heat_rank.draw(
        make_samples(num_ranks=64, num_iterations=3000),
        "p",
        title=title,
        hosts=[f"h{i // 8}" for i in range(64)],
    ),
    "heat_host": lambda title: heat_host.draw(make_pairs().iloc[:-2], title=title),
    "timeline": lambda title: timeline.draw(
        make_samples([f"all_reduce.{size}.1" for size in SIZES], num_iterations=1500),
        make_summary(),
        title=title,
        records=pd.DataFrame(
            {"point_id": [f"all_reduce.{KIB}.1"], "busy_share": [0.5], "steal_share": [0.1]}
        ),
    ),
    "waterfall": lambda title: waterfall.draw(
        {"all_reduce, 8 MiB": make_steps(53, 50, 40)}, title=title, measured={"all_reduce, 8 MiB": 38e9}
    ),
    "comparison": lambda title: comparison.draw(make_comparison(), title=title),
    "accuracy": lambda title: accuracy.draw(make_summary(COLLECTIVES), title=title),
}

every_figure = pytest.mark.parametrize("name", FIGURES)


@functools.cache
def made(name: str) -> tuple[Drawn, str]:
    """A figure of `FIGURES` and its SVG, made once."""
    drawn = FIGURES[name]("what was measured")
    return drawn, svg.to_svg(drawn, prefix="first")


def text_of(content: str) -> str:
    """All words in an SVG, as a reader sees them."""
    texts = ElementTree.fromstring(content).iter(f"{{{svg.SVG}}}text")
    return "\n".join("".join(element.itertext()) for element in texts)


def seen_in(figure: Figure) -> list[str]:
    """All words in a figure; much faster than to write it out."""
    return [text.get_text() for text in figure.findobj(Text)]


@every_figure
def test_svg_can_stand_in_any_page(name: str) -> None:
    """It is small, refers to nothing outside, styles nothing but itself, and takes its ink from the page."""
    before = dict(matplotlib.rcParams)
    content = made(name)[1]
    assert dict(matplotlib.rcParams) == before, "drawing leaves a trace in the state of matplotlib"
    assert len(content) <= 150_000
    assert not content.startswith("<?xml") and "<!DOCTYPE" not in content
    root = ElementTree.fromstring(content)
    assert {element.tag.removeprefix(f"{{{svg.SVG}}}") for element in root.iter()} <= TAGS
    assert re.findall("https?:", content.replace(f'xmlns="{svg.SVG}"', "")) == []
    for element in root.iter():
        for attribute, value in element.attrib.items():
            assert not attribute.lower().startswith("on")
            if attribute == "href":
                assert value.startswith(("#first-", "data:image/png;base64,"))
            assert not re.search(rf"(fill|stroke): {style.INK}", value), (
                "black would be invisible on a dark page"
            )
            assert "font-family" not in value, "the page has a font"
    assert root.attrib["width"] == "100%" and "height" not in root.attrib
    assert "currentColor" in content


@every_figure
def test_ids_are_unique_on_a_page_and_every_reference_has_one(name: str) -> None:
    content = made(name)[1]
    ids = re.findall(r'\bid="([^"]*)"', content)
    used = {one or other for one, other in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', content)}
    assert len(set(ids)) == len(ids)
    assert all(one.startswith("first-") for one in ids)
    assert used | {"first-title", "first-desc"} == set(ids)


@every_figure
def test_a_screen_reader_hears_what_the_figure_says(name: str) -> None:
    drawn, content = made(name)
    root = ElementTree.fromstring(content)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "first-title first-desc"
    assert (root[0].text, root[1].text) == ("what was measured", drawn.alt)
    assert drawn.caption in drawn.alt and drawn.caption.endswith(".")
    assert "what was measured" in text_of(content)


def test_the_same_data_give_the_same_text() -> None:
    name = "heat_host"  # clip paths, a hatch, a picture
    assert svg.to_svg(FIGURES[name]("what was measured"), prefix="first") == made(name)[1]


def test_hostile_names_are_shown_as_text_and_do_nothing() -> None:
    hosts = ["host-0", *HOSTILE]
    pairs = pd.DataFrame(
        [{"host_a": a, "host_b": b, "time_s": 1.0} for a, b in itertools.combinations(hosts, 2)], dtype=object
    )
    title = " ".join(HOSTILE)
    drawings = [
        heat_host.draw(pairs, title=title, value="time_s"),
        heat_rank.draw(make_samples(num_ranks=len(hosts), num_iterations=5), "p", title=title, hosts=hosts),
        busbw.draw(make_summary(HOSTILE[:4], SIZES[:2]), title=title),
    ]
    for drawn in drawings:
        content = svg.to_svg(drawn, prefix="f")
        assert {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(content).iter()} <= TAGS
        assert "<script" not in content and "<img" not in content and "<b" not in content
        assert all(c >= " " for c in content + drawn.caption + drawn.alt + drawn.title)
        assert not {"\u202e", "\ud800"} & set(content + drawn.caption + drawn.alt)
    seen = text_of(svg.to_svg(drawings[0], prefix="f"))
    assert all(words.shown(name, 24) in seen for name in HOSTILE)
    assert r"$\frac{1}{$ and $x_2$" in seen


def test_a_prefix_that_could_break_out_of_an_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="prefix"):
        svg.to_svg(FIGURES["waterfall"](""), prefix='a" onload="x')


def test_pictures_keep_every_pixel() -> None:
    drawn, short = made("heat_rank")
    with style.context():
        raw = io.BytesIO()
        drawn.figure.savefig(raw, format="svg", dpi=svg.RASTER_DPI)
    pattern = r'href="data:image/png;base64,([^"]*)"'
    before, after = (
        [
            np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"))
            for picture in re.findall(pattern, content)
        ]
        for content in (raw.getvalue().decode(), short)
    )
    assert len(before) == 4  # two maps, two scales
    for old, new in zip(before[:1], after[:1], strict=True):
        assert np.array_equal(old, new)


def linear_light(colour: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """sRGB (IEC 61966-2-1) to linear red, green, blue."""
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, "contrast ratio"."""
    low, high = sorted(float(linear_light(c) @ [0.2126, 0.7152, 0.0722]) + 0.05 for c in (one, other))
    return high / low


@pytest.mark.parametrize("colour", style.COLOURS)
def test_lines_stand_out_from_a_light_and_a_dark_page(colour: str) -> None:
    assert contrast(colour, "#ffffff") >= 3
    assert contrast("#ffffff" if colour == style.INK else colour, "#1a1a1a") >= 3


def seen_apart(one: str, other: str) -> float:
    """Least distance (CIE 1976) of two colours as the four kinds of readers see them.

    Source: Machado, Oliveira and Fernandes 2009, IEEE TVCG 15(6), table 1, severity 1.0.
    """
    readers = (
        np.eye(3),
        np.array(
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ]
        ),
        np.array(
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
        ),
        np.array(
            [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
        ),
    )
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])

    def lab(light: Any) -> Any:
        x, y, z = to_xyz @ np.clip(light, 0, 1) / [0.9505, 1, 1.089]
        f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    distances = [np.linalg.norm(lab(r @ linear_light(one)) - lab(r @ linear_light(other))) for r in readers]
    return float(min(distances))


def test_colours_are_as_far_apart_for_every_reader_as_those_of_okabe_and_ito() -> None:
    okabe_ito = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
    least = min(seen_apart(a, b) for a, b in itertools.combinations(okabe_ito, 2))
    assert min(seen_apart(a, b) for a, b in itertools.combinations(style.COLOURS, 2)) >= least


def test_busbw_names_every_ceiling_by_what_it_is() -> None:
    frame = pd.concat(
        [
            make_summary(("all_reduce",)),
            make_summary(("all_to_all",), ceiling_busbw_gbytes_per_s=40.0, bound_by="pcie"),
            make_summary(("broadcast",), ceiling_busbw_gbytes_per_s=30.0, bound_by="unknown"),
        ]
    )
    text = text_of(svg.to_svg(busbw.draw(frame, title=""), prefix="f"))
    assert "ceiling of all_reduce: optics, 50 GB/s" in text
    assert "ceiling of all_to_all: pcie, 40 GB/s" in text
    assert "ceiling of broadcast: 30 GB/s" in text
    assert "predicted, with its interval" in text


def test_ceilings_that_coincide_are_one_line() -> None:
    seen = seen_in(busbw.draw(make_summary(COLLECTIVES[:5]), title="").figure)
    assert [text for text in seen if text.startswith("ceiling")] == ["ceiling: optics, 50 GB/s"]


def test_busbw_says_what_is_reached_and_from_which_size_on() -> None:
    shares = dict(zip(SIZES[:6], (0.1, 0.5, 0.95, 0.85, 0.91, 0.92), strict=True))
    frame = make_summary(sizes=SIZES[:6])
    frame["efficiency"] = frame["message_bytes"].map(shares)
    caption = busbw.draw(frame, title="").caption
    assert "all_reduce reaches 92% of its ceiling at 1 MiB, and 90% or more from 256 KiB on." in caption


def test_busbw_of_a_log_without_ceilings_claims_nothing() -> None:
    nothing = dict.fromkeys(
        (
            "ceiling_busbw_gbytes_per_s",
            "efficiency",
            "predicted_busbw_gbytes_per_s",
            "time_low_s",
            "time_high_s",
        )
    )
    frame = make_summary(repeats=3, bound_by="unknown").assign(**nothing)
    frame["time_rounding_low_s"], frame["time_rounding_high_s"] = (
        frame["time_s"] * 0.99,
        frame["time_s"] * 1.01,
    )
    drawn = busbw.draw(frame, title="")
    assert "% of" not in drawn.caption and "No ceiling is known" in drawn.caption
    assert "printed alike" in drawn.caption
    assert not any(text.startswith("busbw over") for text in seen_in(drawn.figure))


def test_numbers_that_are_none_are_left_out() -> None:
    frame = make_summary(("all_reduce", "broadcast")).astype(object)
    bad = [np.nan, np.inf, -np.inf, -1.0, None, "1e9999", "nan", "-"]
    for place, value in enumerate(bad):
        frame.loc[place, ["busbw_gbytes_per_s", "ratio"]] = value
        frame.loc[
            place + 10, ["efficiency", "time_low_s", "time_max_s", "predicted_low_busbw_gbytes_per_s"]
        ] = value
        frame.loc[place + 10, "ceiling_busbw_gbytes_per_s"] = value
    for draw in (busbw.draw, latency.draw, accuracy.draw):
        with style.context():
            draw(frame, title="").figure.draw_without_rendering()
    kept = [place for one in series_of(frame) for place in one.points.index]
    assert kept == list(range(len(bad), len(frame)))


def test_series_that_differ_in_type_or_ranks_have_names_of_their_own() -> None:
    frame = pd.concat(
        [
            make_summary(dtype="float32", num_ranks=8),
            make_summary(dtype="bfloat16", num_ranks=8),
            make_summary(("reduce",)),
        ]
    )
    assert [one.name for one in series_of(frame)] == [
        "all_reduce [float32]",
        "all_reduce [bfloat16]",
        "reduce",
    ]


def test_of_too_many_series_every_collective_is_shown() -> None:
    frame = pd.concat([make_summary(COLLECTIVES, SIZES[:2], group=f"rail/{rail}") for rail in range(5)])
    seen = seen_in(busbw.draw(frame, title="").figure)
    assert "24 of 60 series" in seen
    for rail, is_shown in ((0, True), (1, True), (2, False)):
        assert all((f"{one} (rail/{rail})" in seen) == is_shown for one in COLLECTIVES[:-1])


def test_latency_tells_floor_tail_and_barrier() -> None:
    frame = make_summary()
    frame.loc[frame["message_bytes"] == 64 * KIB, "time_max_s"] = 1.0
    barrier = make_summary(("barrier",), [0], busbw_gbytes_per_s=None).assign(time_s=5e-6)
    caption = latency.draw(pd.concat([frame, barrier]), title="").caption
    assert "all_reduce of 1 KiB, 20.2 us in the median" in caption
    assert "all_reduce at 64 KiB: its worst call took 4.58e+04 times the median" in caption
    assert "A barrier takes 5 us." in caption


def test_distribution_says_median_tail_and_number_of_samples() -> None:
    samples = make_samples(num_ranks=1, num_iterations=100).assign(duration_s=np.arange(1, 101) * 1e-3)
    drawn = distribution.draw(samples, "p", title="")
    assert "median 50.5 ms, p95 95 ms, p99 99 ms, longest 100 ms" in drawn.caption
    assert "(100 samples)" in drawn.caption and "p, 100 samples" in seen_in(drawn.figure)
    few = distribution.draw(samples[samples["iteration"] < 30], "p", title="")
    assert "p95" in few.caption and "p99" not in few.caption
    with pytest.raises(ValueError, match="7 points"):
        distribution.draw(samples, list("abcdefg"), title="")


@pytest.mark.parametrize("late", [0, 2])
def test_heat_rank_names_the_rank_that_comes_late_and_its_host(late: int) -> None:
    samples = make_samples(num_ranks=4)
    is_late = samples["rank"] == late
    samples.loc[is_late, "start_s"] += 5e-4
    samples.loc[is_late, "duration_s"] -= 5e-4
    caption = heat_rank.draw(samples, "p", title="", hosts=[f"host-{rank}" for rank in range(4)]).caption
    assert f"Rank {late} on host-{late} comes last: 50" in caption
    assert "No rank comes later" in heat_rank.draw(make_samples(), "p", title="").caption


def test_samples_without_starts_show_what_they_have() -> None:
    samples = make_samples().assign(start_s=np.nan)
    drawn = heat_rank.draw(samples, "p", title="")
    assert "When the ranks came to each call is not known" in drawn.caption
    assert "arrival after the first rank" not in seen_in(drawn.figure)
    assert "(200 samples)" in distribution.draw(samples, "p", title="").caption
    with pytest.raises(NothingToDrawError, match="start"):
        timeline.draw(samples, make_summary(), title="")


@pytest.mark.parametrize("shape", [(3, 5), (4, 1000), (7, 2501), (900, 40), (1500, 3000)])
def test_pooling_keeps_the_largest_and_a_bound(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).random(shape)
    matrix[0, 0] = np.nan
    row, column = 2, shape[1] - 1
    matrix[row, column] = 9.0
    pooled, columns, rows = cells.pooled(matrix)
    assert pooled.size <= cells.MOST_CELLS and pooled.shape[1] <= cells.MOST_COLUMNS
    assert pooled[row // rows, column // columns] == np.nanmax(pooled) == 9.0
    assert pooled.shape == (-(-shape[0] // rows), -(-shape[1] // columns))


def test_heat_host_accuses_the_host_and_not_its_partners() -> None:
    caption = heat_host.draw(make_pairs(), title="").caption
    assert "host-2 is slow with all its partners: its best pair has 40 GB/s" in caption
    one_bad_path = make_pairs().assign(busbw_gbytes_per_s=80.0)
    one_bad_path.loc[0, "busbw_gbytes_per_s"] = 20.0
    caption = heat_host.draw(one_bad_path, title="").caption
    assert "The slowest: host-0 with host-1 (20 GB/s)" in caption
    assert "No host is slower than the others" in caption
    once = heat_host.draw(make_pairs(4).iloc[[0, 5]], title="").caption
    assert "does not say which end" in once and "4 pairs not measured" in once


def test_pairs_come_from_groups_of_two_ranks_on_two_hosts() -> None:
    groups = {"size:2/0": [0, 1], "size:2/1": [2, 3], "rail/0": [0, 2], "world": [0, 1, 2, 3]}
    frame = pd.concat([make_summary(group=group) for group in groups])
    pairs = heat_host.pairs_from(frame, groups, ["a", "a", "b", "c"])
    assert list(pairs.columns) == list(heat_host.PAIR_COLUMNS)
    assert set(zip(pairs["host_a"], pairs["host_b"], strict=True)) == {("b", "c"), ("a", "b")}
    assert set(pairs["message_bytes"]) == {max(SIZES)}
    small = heat_host.pairs_from(frame, groups, ["a", "a", "b", "c"], message_bytes=KIB)
    assert set(small["message_bytes"]) == {KIB}
    with pytest.raises(ValueError, match="hosts are known of 2 ranks"):
        heat_host.pairs_from(frame, groups, ["a", "b"])


def test_timeline_counts_stalls_by_the_rule() -> None:
    points = [f"all_reduce.{size}.1" for size in SIZES[:2]]
    samples = make_samples(points)
    median_s = 1.05e-3
    long_s = 2 * max(STALL_MEDIANS * median_s, STALL_S)
    samples.loc[[10, 300], "duration_s"] = [long_s, 1.5 * long_s]
    samples.loc[20, "duration_s"] = STALL_S * 0.9  # many medians, and too short
    drawn = timeline.draw(samples, make_summary(), title="")
    assert drawn.caption.startswith("400 calls in 2 points")
    assert "2 calls stalled (longer than 10 medians and 100 ms); the longest" in drawn.caption
    assert "all_reduce of 1 KiB at 0.2 s: 300 ms" in drawn.caption
    assert "stall" in seen_in(drawn.figure)
    assert "No call stalled" in timeline.draw(make_samples(points), make_summary(), title="").caption


def test_waterfall_says_where_most_is_lost_and_what_was_measured() -> None:
    drawn = waterfall.draw({"x": make_steps(50, 45, 20, 18)}, title="", measured={"x": 9e9})
    assert drawn.caption == (
        "x: 18 of 50 GB/s are left; most is lost to step 2 (25 GB/s); measured were 9 GB/s, 50% of what is left."
    )


def test_comparison_says_verdicts_in_words_and_marks() -> None:
    drawn = comparison.draw(make_comparison(), title="")
    assert drawn.caption.startswith("Of 20 points: 4 slower and 16 no difference found.")
    assert "all_reduce of 256 MiB became slower most: it takes 1.2 times as long" in drawn.caption
    seen = seen_in(drawn.figure)
    assert {"slower", "no difference found", "could not have been found", "base", "new"} <= set(seen)
    assert "faster" not in seen
    markers = {name: marker for name, (_, marker, _, _) in comparison.VERDICTS.items()}
    assert len(set(markers.values())) == len(markers)


def test_accuracy_counts_what_lies_outside_the_interval() -> None:
    frame = make_summary()
    frame["busbw_gbytes_per_s"] = frame["predicted_busbw_gbytes_per_s"]
    frame.loc[[1, 4], "busbw_gbytes_per_s"] *= [0.5, 1.2]
    drawn = accuracy.draw(frame, title="")
    assert "8 of 10 points lie inside the interval of the prediction" in drawn.caption
    assert "Farthest off is all_reduce of 4 KiB, 0.50 of what was predicted" in drawn.caption
    assert "outside the interval" in seen_in(drawn.figure)


def test_frames_without_anything_are_refused_by_name() -> None:
    empty, none = make_summary().iloc[:0], pd.DataFrame()
    for frame in (empty, none):
        for draw in (busbw.draw, latency.draw, accuracy.draw, comparison.draw, heat_host.draw):
            with pytest.raises(NothingToDrawError):
                cast(Any, draw)(frame, title="")
        with pytest.raises(NothingToDrawError):
            timeline.draw(frame, make_summary(), title="")
        with pytest.raises(NothingToDrawError):
            distribution.draw(frame, "p", title="")
        with pytest.raises(NothingToDrawError):
            heat_rank.draw(frame, "p", title="")
    with pytest.raises(NothingToDrawError):
        waterfall.draw({"x": []}, title="")


def test_the_figure_of_a_run_folder_is_written(tmp_path: Path) -> None:
    manifest = SimpleNamespace(
        num_ranks=4, num_hosts=2, backend="gloo", transceiver="400g-osfp-dr4", fabric="f", time_scale=1000.0,
        links={"rate_bytes_per_s": 5e7}, launcher="emulated",
    )  # fmt: skip
    run = cast(Run, SimpleNamespace(summary=make_summary(), manifest=manifest))
    figure = busbw_figure(run)
    assert "400g-osfp-dr4 emulated at 1/1000 (400 Mb/s) · 4 ranks on 2 hosts · gloo" in seen_in(figure)
    save(figure, tmp_path / "busbw.png")
    with Image.open(tmp_path / "busbw.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB"))[0, 0], [255, 255, 255]), (
            "a print is on white"
        )
    with pytest.raises(ValueError, match="xyz"):
        save(figure, tmp_path / "busbw.xyz")


def test_a_notebook_shows_a_picture() -> None:
    assert cast(Any, FIGURES["waterfall"](""))._repr_png_().startswith(b"\x89PNG")
