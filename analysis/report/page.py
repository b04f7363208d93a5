"""`write_report`: run folders to one HTML file."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analysis.load import Run, load_runs
from analysis.report.advice import Advice, advice_of
from analysis.report.blocks import Fact, Picture, Table
from analysis.report.falls import fall_table, falls_of
from analysis.report.html import render
from analysis.report.method import factor_table, method_of
from analysis.report.optics import optics_of
from analysis.report.pictures import pictures_of
from analysis.report.points import Point, points_of, without_path
from analysis.report.provenance import environment_table, provenance_of
from analysis.report.setting import facts_of, tables_of, title_of
from analysis.report.sides import Comparison, compared, overview, side_by_side
from analysis.report.tables import point_tables
from analysis.report.verdict import Verdict, verdict_of
from analysis.report.words import counted

TEMPLATES: Final = ("page", "bmwg")

NAME: Final = "report.html"

MOST_PROBLEMS: Final = 100
"""Sentences on damaged lines that are listed; a file of which more is damaged is not read line by line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    known: tuple[Fact, ...]
    unknown: tuple[Fact, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One run on the page. ``key`` begins the ids of its headings and figures."""

    key: str
    run_id: str
    title: str
    verdict: Verdict
    problems: tuple[str, ...]
    num_more_problems: int
    facts: tuple[Fact, ...]
    setting_tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    fall_table: Table | None
    point_tables: tuple[Table, ...]
    advice: tuple[Advice, ...]
    optics: Optics | None
    method: tuple[Fact, ...]
    factors: Table | None
    provenance: tuple[Fact, ...]
    environment: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    title: str
    parts: tuple[Part, ...]
    overview: Table | None
    side_by_side: Table | None
    comparison: Comparison | None


def write_report(paths: Sequence[Path], out: Path | None, template: str = "page") -> Path:
    """Write the page of some runs and return where it lies. ``out`` None: report.html in the folder of the first run.

    Raises:
        ValueError: no run, one that cannot be read, no such template, or a place that cannot be written to.
    """
    if template not in TEMPLATES:
        raise ValueError(f"template {template!r} does not exist; there are: {', '.join(TEMPLATES)}")
    if not paths:
        raise ValueError("no run is named; give a run folder, such as runs/latest")
    runs = load_runs(list(paths))
    where = runs[0].path / NAME if out is None else out
    if where.is_dir():
        raise ValueError(f"{where} is a folder; give the name of a file, such as {where / NAME}")
    text = render("page.html.j2", page=page_of(runs)) if template == "page" else _bmwg(runs)
    _write(where, text)
    return where


def page_of(runs: Sequence[Run]) -> Page:
    """Everything that the template shows."""
    points = [points_of(run) for run in runs]
    parts = [
        part_of(run, mine, f"r{place}") for place, (run, mine) in enumerate(zip(runs, points, strict=True), 1)
    ]
    several = len(runs) > 1
    return Page(
        title=f"{len(runs)} runs" if several else parts[0].title,
        parts=tuple(parts),
        overview=overview(runs, points) if several else None,
        side_by_side=side_by_side(runs, points) if several else None,
        comparison=compared(runs[0], runs[1]) if len(runs) == 2 else None,
    )


def part_of(run: Run, points: Sequence[Point], key: str) -> Part:
    manifest = run.manifest
    falls = falls_of(run, points)
    glass = manifest.glass
    return Part(
        key=key,
        run_id=manifest.run_id,
        title=title_of(manifest),
        verdict=verdict_of(run, points),
        problems=tuple(without_path(run, problem) for problem in run.problems[:MOST_PROBLEMS]),
        num_more_problems=max(0, len(run.problems) - MOST_PROBLEMS),
        facts=(*facts_of(manifest), _how_many(run, points)),
        setting_tables=tuple(tables_of(manifest)),
        pictures=tuple(pictures_of(run, points, falls, key)),
        fall_table=fall_table(manifest, falls) if falls else None,
        point_tables=tuple(point_tables(manifest, points)),
        advice=tuple(advice_of(points)),
        optics=_optics(glass) if isinstance(glass, Mapping) else None,
        method=tuple(method_of(manifest, points)),
        factors=factor_table(points),
        provenance=tuple(provenance_of(run)),
        environment=environment_table(manifest),
    )


def _how_many(run: Run, points: Sequence[Point]) -> Fact:
    valid = sum(point.is_valid for point in points)
    told = (
        f"{counted(run.manifest.num_points_planned, 'point')} planned, {len(points)} recorded, {valid} valid"
    )
    return Fact(name="Points", value=told)


def _optics(glass: Mapping[str, object]) -> Optics:
    known, unknown, warnings = optics_of(glass)
    return Optics(known=tuple(known), unknown=tuple(unknown), warnings=tuple(warnings))


def _bmwg(runs: Sequence[Run]) -> str:
    from analysis.report.bmwg import across_runs, bmwg_part

    parts = [bmwg_part(run, f"r{place}") for place, run in enumerate(runs, 1)]
    return render("bmwg.html.j2", parts=parts, across=across_runs(parts))


def _write(where: Path, text: str) -> None:
    """Complete or absent, as every file of a run folder."""
    temporary = where.with_name(f".{where.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(where)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ValueError(
            f"{where} cannot be written ({error.strerror}); give another place with --out FILE.html"
        ) from error
