"""`import_log`: a log of another benchmark becomes a run folder that everything else accepts."""

import dataclasses
import datetime
import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bench
from bench import exits
from bench.config import BenchConfig
from bench.foreign_records import num_hosts_of, out_of_bounds, records_of, table_entry, with_ranks
from bench.importers.foreign import ForeignLog, ForeignTable
from bench.importers.nccl_text import NO_ROW
from bench.importers.reader import content_of, read_content
from bench.launch.resolve import settle_external
from bench.record import Record, RunManifest
from bench.run_folder import MANIFEST, RECORDS, RunFolder

REPORT: Final = "import.json"
"""In the run folder: every table, and every line that was not understood."""

_TIME_FORMATS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%a %b %d %H:%M:%S %Y")
"""How start times are printed, all in local time of an unknown zone, so they are labels only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """What one log became. ``notes``: what a reader of the run must know, one sentence each."""

    source: Path
    path: Path
    log: ForeignLog
    manifest: RunManifest
    num_records: int
    notes: tuple[str, ...]


def import_log(
    source: Path,
    *,
    run_dir: Path,
    out: Path | None = None,
    config: BenchConfig | None = None,
    num_ranks: int | None = None,
) -> ImportedRun:
    """Read a log and write its run folder.

    ``out``: the run folder; without it, one below ``run_dir`` that is named after the file and its content, so that the same
    log has one folder however often it is imported. ``config``: where optics and fabric are named, points get what is
    expected and their ceiling. ``num_ranks``: for logs that do not tell.

    Raises:
        ValueError: no such file, no row in it, or a folder that is somebody else's.
    """
    try:
        if source.is_dir() and (source / MANIFEST).is_file():
            raise ValueError(
                f"{source} is a run folder already: report, compare and the other verbs take it as it is"
            )
        content = content_of(source)
    except OSError as error:
        raise ValueError(f"{source} cannot be read: {error.strerror}") from error
    log = read_content(content, source)
    digest = hashlib.sha256(content).hexdigest()
    del content  # a log of 1 GB is not kept beside its tables
    tables = tuple(with_ranks(table, num_ranks) for table in log.tables)
    log = dataclasses.replace(log, tables=tables)
    if not any(table.points for table in tables):
        raise ValueError(_nothing_in(source, log))
    path = out or run_dir / f"import-{_safe(source.stem)}-{digest[:8]}"
    settled = None if config is None else settle_external(config)
    notes = [] if num_ranks is None else _unused(tables, num_ranks)
    records = records_of(tables, settled, notes)
    manifest = _manifest(source, digest, log, settled, records, path.name)
    try:
        _make_way(path, digest)
        folder = RunFolder.create(path.parent, path.name, manifest, is_newest=out is None)
        _write_records(folder, records)
        folder.write(REPORT, json.dumps(_report(log), indent=1) + "\n")
        folder.finish(
            status=manifest.status,
            reason=manifest.status_reason,
            exit_status=manifest.exit_status or exits.OK,
        )
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror}; give another folder with --out"
        ) from error
    return ImportedRun(
        source=source,
        path=path,
        log=log,
        manifest=folder.manifest(),
        num_records=len(records),
        notes=tuple(dict.fromkeys(notes)),
    )


def out_folders(logs: Sequence[Path], out: Path) -> list[Path]:
    """A folder below ``out`` for each of several logs, in the shortest form under which they differ.

    The name of the file without its ending, with it, then with the folders it lies in: 100 logs that are all called bench.log
    have folders that tell them apart. The same file named twice has one folder.
    """
    paths = [log.absolute() for log in logs]
    for depth in range(1, max((len(path.parts) for path in paths), default=1) + 1):
        for has_ending in (False, True):
            ends = [path.name if has_ending else path.stem for path in paths]
            names = [
                _safe("-".join((*path.parts[-depth:-1], end)), most=200)
                for path, end in zip(paths, ends, strict=True)
            ]
            if len(set(names)) == len(set(paths)):
                return [out / name for name in names]
    return [out / f"{_safe(path.stem)}-{number}" for number, path in enumerate(paths, start=1)]


def _write_records(
    folder: RunFolder, records: Sequence[tuple[Record, tuple[tuple[float, ...], ...]]]
) -> None:
    """All at once where there are no samples: a log can be read again, so that no point is synced on its own."""
    if any(iterations_s for _, iterations_s in records):
        for record, iterations_s in records:
            starts = [[None] * len(row) for row in iterations_s]
            folder.append(record, starts, iterations_s)
    else:
        folder.write(RECORDS, "".join(record.to_line() + "\n" for record, _ in records))


def _unused(tables: Sequence[ForeignTable], num_ranks: int) -> list[str]:
    """What is said of a number of ranks that a log contradicts."""
    told = {table.num_ranks: table.num_ranks_source for table in tables if table.points}
    return [
        f"--num-ranks {num_ranks} does not count for tables of {told_ranks} ranks ({source}): the log tells them"
        for told_ranks, source in told.items()
        if source != "given" and told_ranks != num_ranks
    ]


def _nothing_in(source: Path, log: ForeignLog) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(log.lines.items()) if count)
    texts = sorted((warned.text for warned in log.warnings), key=lambda text: text.endswith(NO_ROW))
    warned = f"; it says: {texts[0][:120]}" if texts else ""
    return (
        f"{source} holds no result row of nccl-tests, rccl-tests or OSU ({log.format}; lines: {kinds or 'none'}){warned}; "
        "nothing was written"
    )


def _safe(stem: str, most: int = 80) -> str:
    """A file name of letters, digits, dot, dash and underscore; of a long one the end, where names of jobs differ."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[-most:].lstrip("._-") or "log"


def _make_way(path: Path, digest: str) -> None:
    """Remove an earlier import of the same log. Raises ValueError where the folder is anything else."""
    if not path.exists() and not path.is_symlink():
        return
    try:
        manifest = RunFolder(path).manifest()
    except ValueError:
        manifest = None
    is_same = manifest is not None and (manifest.imported or {}).get("sha256") == digest
    if not is_same:
        is_empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        if not is_empty:
            raise ValueError(f"{path} exists and is no import of this log; give another folder with --out")
    shutil.rmtree(path)


def _manifest(
    source: Path,
    digest: str,
    log: ForeignLog,
    config: BenchConfig | None,
    records: Sequence[tuple[Record, Any]],
    run_id: str,
) -> RunManifest:
    tables = log.tables
    measured = [table for table in tables if table.points]
    first = measured[0]
    sizes = {table.num_ranks for table in measured}
    hosts = {num_hosts_of(table) for table in measured}
    partial = [text for table in tables if not table.is_complete and (text := table.why_partial)]
    has_wrong = any(record.status != "complete" for record, _ in records)
    bounds = [text for table in tables if (text := out_of_bounds(table))]
    reason = f"the log is partial: {'; '.join(dict.fromkeys(partial))}" if partial else None
    if reason is None and has_wrong:
        reason = "the log counts wrong elements, or has a row without a time"
    elif reason is None and bounds:
        reason = "; ".join(dict.fromkeys(bounds))
    has_wrong = has_wrong or bool(bounds)
    status = "interrupted" if partial else "failed" if has_wrong else "complete"
    names = list(dict.fromkeys(device.host for table in tables for device in table.devices if device.host))
    return RunManifest(
        run_id=run_id,
        started_utc=_started(tables),
        status=status,
        status_reason=reason,
        exit_status=exits.WRONG if has_wrong else exits.OK,
        command=["linerate", "import", source.name],
        config=config.to_json() if config else {},
        config_sha256=config.sha256() if config else "",
        versions={"linerate": bench.__version__} | {k: v for t in tables for k, v in t.versions.items()},
        hosts=[{"name": name} for name in names],
        ranks=[
            {"rank": device.rank, "host": device.host, "gpu": device.name, "bus_id": device.bus_id}
            for device in first.devices
        ],
        launcher="import",
        launched_by=first.family,
        backend=first.library,
        num_ranks=sizes.pop() if len(sizes) == 1 else None,
        num_hosts=hosts.pop() if len(hosts) == 1 else None,
        transceiver=config.transceiver.name if config else "unknown",
        fabric=config.fabric.name if config else "unknown",
        time_scale=None,
        links=None,
        environment={k: v for table in tables for k, v in table.environment.items()},
        skipped=[],
        num_points_planned=len(records),
        imported={
            "file": source.name,
            "sha256": digest,
            "format": log.format,
            "lines": dict(log.lines),
            "num_not_understood": sum(u.last_line - u.first_line + 1 for u in log.unread if u.excerpt),
            "tables": [table_entry(table) for table in tables],
            "warnings": [dataclasses.asdict(warned) for warned in log.warnings],
        },
    )


def _report(log: ForeignLog) -> dict[str, Any]:
    return {
        "format": log.format,
        "lines": dict(log.lines),
        "unread": [dataclasses.asdict(unread) for unread in log.unread],
        "warnings": [dataclasses.asdict(warned) for warned in log.warnings],
        "tables": [table_entry(table) for table in log.tables],
    }


def _started(tables: Sequence[ForeignTable]) -> str:
    """When the first table says it began, as printed and without a zone; ``unknown`` where none says so."""
    for table in tables:
        for form in _TIME_FORMATS:
            try:
                return datetime.datetime.strptime(table.started or "", form).isoformat()
            except ValueError:
                continue
    return "unknown"


def is_import(path: Path) -> bool:
    """Whether a folder holds an imported run."""
    return (path / MANIFEST).is_file() and RunFolder(path).manifest().imported is not None
