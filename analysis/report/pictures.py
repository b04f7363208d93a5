"""`pictures_of`: the figures of one run as SVG, each with its caption; one that cannot be drawn is named with the reason."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from markupsafe import Markup

from analysis.figures.drawn import Drawn, NothingToDrawError
from analysis.load import Run
from analysis.report.blocks import Picture
from analysis.report.falls import Fall
from analysis.report.points import Point, largest_of_series
from analysis.report.setting import is_emulated, title_of
from bench.model import units

MOST_SAMPLES: Final = 5_000_000
"""Rows of samples up to which all are read for figures, some 200 MB; of more, those of the points that are drawn."""

MOST_CURVES: Final = 6
"""Points whose iterations are drawn in one figure: as many as there are colours (`analysis.figures.style`)."""

ERRORS: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)
"""What data of odd content make of code that draws."""

MOST_PANELS: Final = 6
"""Collectives in one waterfall figure, the first series of each; the table beside it has all series."""


def pictures_of(run: Run, points: Sequence[Point], falls: Sequence[Fall], prefix: str) -> list[Picture]:
    """In the order of the page. ``prefix`` begins every id, so that several runs fit on one page."""
    title = title_of(run.manifest)
    summary = run.summary
    scale = run.manifest.time_scale
    samples = _samples(run, points)
    tasks: list[tuple[str, str, Callable[[], Drawn]]] = [
        ("busbw", "Bus bandwidth over message size", lambda: _busbw(summary, title, scale)),
        ("fall", "From the line rate to the busbw", lambda: _waterfall(run, falls, title)),
        ("latency", "Time of small messages", lambda: _latency(summary, title)),
        ("accuracy", "Measured against predicted", lambda: _accuracy(summary, points, title)),
        (
            "iterations",
            "Iterations at the largest messages",
            lambda: _distribution(samples, summary, points, title),
        ),
        ("ranks", "Ranks and iterations", lambda: _ranks(run, samples, points)),
        ("hosts", "Host by host", lambda: _hosts(run, points, title)),
        ("time", "The run over its time", lambda: _timeline(run, samples, title)),
    ]
    return [picture(name, draw, f"{prefix}-{key}") for key, name, draw in tasks]


def picture(name: str, draw: Callable[[], Drawn], prefix: str) -> Picture:
    """Draw one figure, or say why not. Whatever is wrong with the data of a figure, the page is made without it."""
    from analysis.figures.svg import to_svg

    try:
        drawn = draw()
        # The text is made by our own code from names that it escapes; `to_svg` builds it as a tree of elements.
        svg = Markup(to_svg(drawn, prefix=prefix))
    except NothingToDrawError as error:
        return Picture(title=name, why_not=str(error))
    except ERRORS as error:
        return Picture(title=name, why_not=f"it could not be drawn ({type(error).__name__}: {error})")
    return Picture(title=name, svg=svg, caption=drawn.caption)


def _busbw(summary: pd.DataFrame, title: str, scale: float | None) -> Drawn:
    from analysis.figures import busbw

    return busbw.draw(summary, title=title, time_scale=scale)


def _waterfall(run: Run, falls: Sequence[Fall], title: str) -> Drawn:
    from analysis.figures import waterfall

    first: dict[str, Fall] = {}
    for fall in falls:
        first.setdefault(fall.point.collective, fall)
    shown = list(first.values())[:MOST_PANELS]
    drawn = waterfall.draw(
        {fall.point.label: fall.steps for fall in shown},
        title=title,
        is_emulated=is_emulated(run.manifest),
        intervals={fall.point.label: fall.interval for fall in shown},
        measured={fall.point.label: fall.measured_bytes_per_s for fall in shown},
    )
    if len(shown) == len(falls):
        return drawn
    more = f" Shown are {len(shown)} of {len(falls)} series, the first of each collective; the table below has all."
    return dataclasses.replace(drawn, caption=drawn.caption + more)


def _latency(summary: pd.DataFrame, title: str) -> Drawn:
    from analysis.figures import latency

    return latency.draw(summary, title=title)


def _accuracy(summary: pd.DataFrame, points: Sequence[Point], title: str) -> Drawn:
    from analysis.figures import accuracy

    if any(point.predicted_gbytes_per_s is not None for point in points) and not any(
        point.predicted_high_gbytes_per_s is not None for point in points
    ):
        raise NothingToDrawError(
            "the prediction has no interval to be held against; the first figure shows it"
        )
    return accuracy.draw(summary, title=title)


def _distribution(samples: pd.DataFrame, summary: pd.DataFrame, points: Sequence[Point], title: str) -> Drawn:
    from analysis.figures import distribution

    chosen = _curves(points)
    if not chosen:
        raise NothingToDrawError("no valid point has samples")
    return distribution.draw(samples, [point.point_id for point in chosen], title=title, summary=summary)


def _ranks(run: Run, samples: pd.DataFrame, points: Sequence[Point]) -> Drawn:
    from analysis.figures import heat_rank

    point = _most_telling(points)
    if point is None:
        raise NothingToDrawError("no point has samples of several ranks")
    hosts = [str(rank.get("host", "?")) for rank in run.manifest.ranks]
    return heat_rank.draw(samples, point.point_id, title=point.label, hosts=hosts)


def _hosts(run: Run, points: Sequence[Point], title: str) -> Drawn:
    """Groups of two ranks on two hosts are pairs; other runs have none."""
    from analysis.figures import heat_host

    host_of = {rank.get("rank"): str(rank.get("host")) for rank in run.manifest.ranks}
    pairs = {
        name: (host_of.get(ranks[0]), host_of.get(ranks[1]))
        for name, ranks in run.manifest.groups.items()
        if len(ranks) == 2
    }
    found = [point for point in points if point.is_valid and point.group in pairs]
    if not found:
        raise NothingToDrawError("this run measured no pairs of hosts")
    largest = max(point.message_bytes for point in found)
    shown = [
        point for point in found if point.message_bytes == largest and point.collective == found[0].collective
    ]
    rows = [(*pairs[point.group], point.busbw_gbytes_per_s) for point in shown]
    frame = pd.DataFrame(rows, columns=["host_a", "host_b", "busbw_gbytes_per_s"])
    size = units.format_bytes(largest)
    return heat_host.draw(frame, title=f"{found[0].collective} of {size} · {title}")


def _timeline(run: Run, samples: pd.DataFrame, title: str) -> Drawn:
    from analysis.figures import timeline

    if _num_rows(run) > MOST_SAMPLES:
        raise NothingToDrawError(
            f"{_num_rows(run)} samples are more than one figure draws; analysis.figures.timeline does it with a part of them"
        )
    shares = [
        {"point_id": one.point_id, "busy_share": one.busy_share, "steal_share": one.steal_share}
        for one in run.records
    ]
    records = pd.DataFrame(shares, columns=["point_id", "busy_share", "steal_share"])
    return timeline.draw(samples, run.summary, title=title, records=records)


def _curves(points: Sequence[Point]) -> list[Point]:
    """The largest message of each series, the first six series."""
    return largest_of_series([point for point in points if point.is_valid and point.num_samples])[
        :MOST_CURVES
    ]


def _most_telling(points: Sequence[Point]) -> Point | None:
    """A point with a finding or a stall, the largest of these; else the largest of the first series."""
    measured = [point for point in points if point.num_samples > 0 and (point.num_ranks or 0) > 1]
    found = [point for point in measured if point.finding or point.has("stall")]
    if found:
        return max(found, key=lambda point: point.message_bytes)
    return max(measured[:1] and largest_of_series(measured)[:1], key=lambda p: p.message_bytes, default=None)


def _num_rows(run: Run) -> int:
    return sum(int(file.metadata.num_rows) for file in run.sample_files)


def _samples(run: Run, points: Sequence[Point]) -> pd.DataFrame:
    """All samples, or where they are too many those of the points that figures show."""
    if _num_rows(run) <= MOST_SAMPLES:
        return run.samples
    import pyarrow.parquet as pq

    telling = _most_telling(points)
    wanted = {point.point_id for point in (*_curves(points), *([telling] if telling else []))}
    frames: list[Any] = [
        pq.read_table(file.path, filters=[("point_id", "in", wanted)]).to_pandas()
        for file in run.sample_files
    ]
    found: pd.DataFrame = pd.concat(frames).replace([np.inf, -np.inf], np.nan)
    return found
