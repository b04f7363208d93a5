"""Where the numbers of a page come from: run, versions, commit, hashes, and the variables that change what is measured."""

from collections.abc import Mapping
from typing import Any

import bench
from analysis.load import Run
from analysis.report.blocks import Fact, Table, table
from analysis.report.words import text_of
from bench.environment import allowed
from bench.record import RunManifest
from bench.run_folder import MANIFEST, RECORDS, SAMPLES, SUMMARY


def provenance_of(run: Run) -> list[Fact]:
    manifest = run.manifest
    found = [
        Fact(name="Run", value=manifest.run_id),
        Fact(name="Started", value=manifest.started_utc, note=_zone(manifest)),
        Fact(name="Ended", value=manifest.finished_utc or "not known"),
        Fact(name="Status", value=_status(manifest)),
        Fact(
            name="Configuration",
            value=f"sha256 {manifest.config_sha256 or 'none'}",
            note=f"in full in {MANIFEST}",
        ),
        Fact(name="Commit", value=manifest.versions.get("commit", "not known")),
        Fact(
            name="Versions",
            value=", ".join(f"{name} {text}" for name, text in manifest.versions.items() if name != "commit"),
        ),
        Fact(name="Records", value=f"version {manifest.record_version}"),
        Fact(name="Page made by", value=f"linerate {bench.__version__}"),
        Fact(
            name="Files", value=f"{MANIFEST}, {RECORDS}, {SAMPLES}, {SUMMARY} in the folder {run.path.name}"
        ),
    ]
    seed = manifest.config.get("seed")
    if seed is not None:
        found.append(Fact(name="Seed", value=text_of(seed)))
    return [*found, *_imported(manifest)]


def environment_table(manifest: RunManifest) -> Table | None:
    """Variables by allow-list, once more: a folder may come from anywhere. None where there are none."""
    shown = allowed({str(name): str(value) for name, value in manifest.environment.items()})
    hidden = len(manifest.environment) - len(shown)
    if not manifest.environment:
        return None
    note = f"{hidden} more in {MANIFEST} are not on the list of variables that are shown." if hidden else ""
    caption = "Environment variables that change what is measured"
    return table(caption, ("name", "value"), [list(pair) for pair in shown.items()], note)


def _zone(manifest: RunManifest) -> str:
    return "as printed by the program, zone not known" if manifest.imported is not None else "UTC"


def _status(manifest: RunManifest) -> str:
    told = f"{manifest.status}, exit status {manifest.exit_status}"
    return f"{told}: {manifest.status_reason}" if manifest.status_reason else told


def _imported(manifest: RunManifest) -> list[Fact]:
    if manifest.imported is None:
        return []
    content: Mapping[str, Any] = manifest.imported
    found = [
        Fact(
            name="Imported log",
            value=text_of(content.get("file", "")),
            note=text_of(content.get("format", "")),
        ),
        Fact(name="Its content", value=f"sha256 {content.get('sha256', 'not known')}"),
    ]
    lines = content.get("lines")
    if isinstance(lines, Mapping):
        told = ", ".join(f"{count} {kind}" for kind, count in lines.items() if count)
        num = content.get("num_not_understood", 0)
        note = f"{num} lines not understood; import.json lists them" if num else "every line was understood"
        found.append(Fact(name="Its lines", value=told, note=note))
    for entry in content.get("tables") or []:
        if isinstance(entry, Mapping):
            told = f"{entry.get('program')}, {entry.get('num_rows')} rows, {entry.get('layout')}"
            found.append(Fact(name="Its table", value=told, note=str(entry.get("why_partial") or "")))
    warnings = content.get("warnings")
    if isinstance(warnings, list) and warnings:
        texts = [str(one.get("text")) if isinstance(one, Mapping) else str(one) for one in warnings]
        found.append(Fact(name="It says", value="; ".join(texts)))
    return found
