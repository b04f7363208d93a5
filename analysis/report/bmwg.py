"""`bmwg_part`: one run in the sections that the IETF draft wants of a report, with every field that it asks for.

The order is that of section 13 of the methodology, items 1 to 10; fields are those of tables 4 and 5 and of sections 3.2.5 and
9.1. A field that linerate does not know is named, with the reason, as the draft wants nothing dropped silently.
Source: `bench.bmwg.METHODOLOGY`, working text towards -06.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.figures.drawn import Drawn
from analysis.load import Run
from analysis.report.advice import advice_of
from analysis.report.blocks import Fact, Picture, Table, table
from analysis.report.bmwg_fields import NOT_READ, NOT_RUN, Field, configuration, device, field, host, topology
from analysis.report.bmwg_tables import across, comparability, repeatability, results, trials
from analysis.report.pictures import picture
from analysis.report.points import points_of, without_path
from analysis.report.provenance import environment_table
from analysis.report.setting import title_of
from analysis.report.verdict import verdict_of
from analysis.report.words import counted, flat
from bench.bmwg import METHODOLOGY, REVISION, TERMINOLOGY, bmwg_report
from bench.record import Record, RunManifest
from bench.summary import SummaryRow, summary_rows

ERRORS: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What a manifest of odd content makes of code that expects its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One item of section 13; ``notes`` are sentences."""

    title: str
    fields: tuple[Field, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BmwgPart:
    key: str
    run_id: str
    title: str
    documents: tuple[str, ...]
    alarms: tuple[str, ...]
    sections: tuple[Section, ...]
    definitions: tuple[Fact, ...]
    points: tuple[Mapping[str, Any], ...]


def bmwg_part(run: Run, key: str) -> BmwgPart:
    """Everything that the template shows of one run.

    Raises:
        ValueError: the manifest holds what no report can be made of; names the file.
    """
    records, rows = _usable(run)
    try:
        report = bmwg_report(run.manifest, records, rows)
    except ERRORS as error:
        raise ValueError(f"{run.path}: no bmwg report can be made of its manifest ({error})") from error
    manifest, points = run.manifest, report["points"]
    links = (table("Links as shaped", ("quantity", "value"), flat(manifest.links)),) if manifest.links else ()
    tuning = environment_table(manifest)
    definitions = [Fact(name=name, value=str(text)) for name, text in report["definitions"].items()]
    return BmwgPart(
        key=key,
        run_id=manifest.run_id,
        title=title_of(manifest),
        documents=tuple(f"{name} ({REVISION})" for name in (METHODOLOGY, TERMINOLOGY)),
        alarms=verdict_of(run, points_of(run)).alarms,
        sections=(
            Section(title="DUT identification", fields=tuple(device(manifest, points))),
            Section(title="Test topology", fields=tuple(topology(manifest))),
            Section(title="Test configuration", fields=tuple(configuration(manifest)), tables=links),
            _observation(points),
            Section(
                title="Host configuration", fields=tuple(host(manifest)), tables=(tuning,) if tuning else ()
            ),
            _results(run, report, key),
            _anomalies(run, report),
            _trials(report),
            Section(title="Repeatability statement", tables=(repeatability(points),)),
            _comparability(manifest, points),
        ),
        definitions=tuple(definitions),
        points=tuple(points),
    )


def across_runs(parts: Sequence[BmwgPart]) -> Table | None:
    """Item 10 for several runs: what must be equal before they are compared, and which of it differs."""
    return across({part.run_id: part.points for part in parts}) if len(parts) > 1 else None


def _usable(run: Run) -> tuple[list[Record], list[SummaryRow]]:
    """Records and their rows, without those that make no row; `Run.problems` names these."""
    try:
        return run.records, summary_rows(run.records)
    except ERRORS:
        usable = []
        for record in run.records:
            try:
                summary_rows([record])
            except ERRORS:
                continue
            usable.append(record)
        return usable, summary_rows(usable)


def _observation(points: Sequence[Mapping[str, Any]]) -> Section:
    found: dict[tuple[str, str], int] = {}
    for point in points:
        for name, where in point["observation_points"].items():
            found[(name, where or "not observed")] = found.get((name, where or "not observed"), 0) + 1
    rows = [[name, where, str(count)] for (name, where), count in found.items()]
    return Section(
        title="Observation points",
        tables=(table("Where each value was observed", ("value", "observation point", "points"), rows),),
        notes=("No value is read from the DUT itself, so no port, direction or traffic class applies.",),
    )


def _results(run: Run, report: Mapping[str, Any], key: str) -> Section:
    from analysis.figures import busbw

    manifest = run.manifest
    categories = ("5 RDMA transport", "6 UET", "7 congestion management", "8 load balancing")
    later = ("10 job completion time", "11 scale and convergence", "12 soak and stability")

    def draw() -> Drawn:
        return busbw.draw(run.summary, title=title_of(manifest), time_scale=manifest.time_scale)

    return Section(
        title="Test results",
        fields=(
            *(Field(name=f"Not reported: {name}", reason=NOT_READ) for name in report["not_reported"]),
            *(Field(name=f"Section {name}", reason=NOT_RUN) for name in (*categories, *later)),
        ),
        tables=tuple(results(report["points"])),
        pictures=(picture("BusBW over message size", draw, f"{key}-busbw"),),
        notes=("No value here is a limit or an acceptance criterion; the draft sets none.",),
    )


def _anomalies(run: Run, report: Mapping[str, Any]) -> Section:
    points = points_of(run)
    warned = [
        f"{one.name}: {one.means} ({counted(one.num_points, 'point')}: {one.where})"
        for one in advice_of(points)
    ]
    manifest = run.manifest
    status = f"status {manifest.status}{f': {manifest.status_reason}' if manifest.status_reason else ''}"
    rows = [
        ["status of the run", status],
        *(["deviation", text] for text in report["deviations"]),
        *(["skipped", text] for text in manifest.skipped),
        *(["unexpected", text] for text in warned),
        *(["found while loading", without_path(run, text)] for text in run.problems),
    ]
    return Section(title="Anomalies", tables=(table("Deviations and anomalies", ("kind", "what"), rows),))


def _trials(report: Mapping[str, Any]) -> Section:
    total = report["trial_accounting"]
    fields = [field(f"Trials {name}", total[name]) for name in ("attempted", "included", "excluded")]
    return Section(title="Trial accounting", fields=tuple(fields), tables=(trials(report["points"]),))


def _comparability(manifest: RunManifest, points: Sequence[Mapping[str, Any]]) -> Section:
    return Section(
        title="Comparability statement",
        tables=(comparability(points),),
        notes=(
            "Results are compared only where all of these are equal; a report of one fabric need not have this section.",
            f"Start and end: {manifest.started_utc} to {manifest.finished_utc or 'not known'}.",
        ),
    )
