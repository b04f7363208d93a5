"""`Store`: many runs as one. Frames of runs and points, statistics from samples, and SQL over files that stay on disk."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pandas as pd

from analysis.database import Database, quoted, text
from analysis.frames import clean
from analysis.load import Run, find_runs, open_run
from analysis.sample_chunks import Floats
from analysis.sample_summary import FROM_SAMPLES
from analysis.samples import point_samples
from bench.summary import COLUMNS

MEMORY_BYTES: Final = 1_000_000_000
"""For duckdb; it writes what does not fit to a temporary folder. With pandas and pyarrow beside it a process stays below 1.5 GB."""

RUN_COLUMNS: Final = (
    *("run_id", "path", "started_utc", "finished_utc", "status", "status_reason", "exit_status"),
    *("is_partial", "why_partial", "num_points_planned", "num_points", "launcher", "launched_by", "backend"),
    *("num_ranks", "num_hosts", "transceiver", "fabric", "time_scale", "linerate_version", "record_version"),
    *("config_sha256", "imported_format", "imported_file"),
)


class Store:
    """Runs below some paths. Manifests are read at once; records, samples and duckdb when they are first asked for."""

    def __init__(self, paths: Path | str | Iterable[Path | str], *, memory_bytes: int = MEMORY_BYTES) -> None:
        """Find the runs, in the order of `find_runs` for each path.

        Raises:
            ValueError: a path without runs, or none that can be read.
        """
        asked = [paths] if isinstance(paths, str | Path) else list(paths)
        folders = dict.fromkeys(folder for path in asked for folder in find_runs(path))
        runs: dict[str, Run] = {}
        refused = []
        for folder in folders:
            try:
                run = open_run(folder)
            except ValueError as error:
                refused.append(clean(str(error)))
                continue
            runs[_unused(clean(run.manifest.run_id), runs)] = run
        if not runs:
            raise ValueError(f"no run can be read: {'; '.join(refused) or 'no path was given'}")
        self._runs = runs
        self._refused = refused
        self._memory_bytes = memory_bytes
        self._tables: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back duckdb's memory and its temporary folder; a later query opens them anew."""
        if "_database" in self.__dict__:
            self.__dict__.pop("_database").close()

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Names of the runs here: their run_id, with ``#2`` and so on behind it where a folder was copied."""
        return tuple(self._runs)

    def run(self, run_id: str) -> Run:
        """One run. Raises ValueError where there is none of that name."""
        if run_id not in self._runs:
            raise ValueError(f"there is no run {run_id!r} here; there are {', '.join(list(self._runs)[:8])}")
        return self._runs[run_id]

    @cached_property
    def refused(self) -> tuple[str, ...]:
        """Runs that cannot be read, by name and with the reason: the manifest, or the records of a newer version."""
        return (*self._refused, *self._unreadable.values())

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run, columns `RUN_COLUMNS`. Whether a run is whole takes a look at all its samples."""
        rows = [_run_row(run_id, run) for run_id, run in self._readable()]
        return pd.DataFrame(rows, columns=list(RUN_COLUMNS))

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per record of all runs: run_id, and the columns of summary.csv."""
        frames = [(run_id, run.summary) for run_id, run in self._readable()]
        return _joined(frames, COLUMNS)

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What is damaged, missing or contradictory in each run, with its name in front (`Run.problems`)."""
        return tuple(f"{run_id}: {told}" for run_id, run in self._readable() for told in run.problems)

    def summary_from_samples(self) -> pd.DataFrame:
        """One row per run and point: run_id, and `FROM_SAMPLES`. From the samples alone, in pieces."""
        return _joined(
            [(run_id, run.summary_from_samples) for run_id, run in self._runs.items()], FROM_SAMPLES
        )

    def slowest(self, run_id: str, point_id: str) -> Floats:
        """The slowest rank of every iteration of a point, in seconds and in the order of measurement.

        Raises:
            ValueError: no such run, no readable samples of that point.
        """
        problems: list[str] = []
        for found in point_samples(self.run(run_id).sample_files, problems, point_id):
            return found.slowest_s
        known = self.run(run_id).summary_from_samples["point_id"].tolist()
        raise ValueError(
            f"run {run_id} has no samples of {point_id!r}; it has {', '.join(known[:4]) or 'none at all'}"
            f"{', ...' if known[4:] else ''}{'; ' + problems[0] if problems else ''}"
        )

    def samples(
        self,
        *,
        run_id: str | None = None,
        point_id: str | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Rows of samples, as the view ``samples`` has them.

        ``columns``: all of them, unless given. ``limit``: at most so many rows.

        Raises:
            ValueError: no such run or column; a limit below 0.
        """
        if run_id is not None:
            self.run(run_id)
        if limit is not None and limit < 0:
            raise ValueError(f"limit is {limit}; it is a number of rows")
        known = [str(name) for name in self.sql("SELECT * FROM samples LIMIT 0").columns]
        unknown = [name for name in columns or () if name not in known]
        if unknown:
            raise ValueError(f"samples have no column {unknown[0]!r}; they have {', '.join(known)}")
        wanted = {"run_id": run_id, "point_id": point_id}
        asked = {name: value for name, value in wanted.items() if value is not None}
        query = f"SELECT {', '.join(map(quoted, columns or known))} FROM samples"
        if asked:
            query += " WHERE " + " AND ".join(
                f"{quoted(name)} = {text(value)}" for name, value in asked.items()
            )
        return self.sql(query if limit is None else f"{query} LIMIT {limit}")

    def sql(self, query: str) -> pd.DataFrame:
        """Ask duckdb. Views: ``samples`` (run_id, point_id, rank, iteration, start_s, duration_s), ``points``, ``runs``.

        A duration that is no positive, finite number is NULL in ``samples``; columns that files have beside these stand behind
        them. Nothing but these files can be read, and no setting changed.

        Raises:
            ValueError: what duckdb says against the query.
        """
        database = self._database
        for name in ("points", "runs"):
            if name not in self._tables and re.search(rf"\b{name}\b", query, re.IGNORECASE):
                database.add(name, self.points if name == "points" else self.runs)
                self._tables.add(name)
        return database.ask(query)

    def _readable(self) -> list[tuple[str, Run]]:
        return [(run_id, run) for run_id, run in self._runs.items() if run_id not in self._unreadable]

    @cached_property
    def _unreadable(self) -> dict[str, str]:
        found = {}
        for run_id, run in self._runs.items():
            try:
                len(run.records)
            except ValueError as error:
                found[run_id] = clean(str(error))
        return found

    @cached_property
    def _database(self) -> Database:
        self._tables = set()
        return Database({run_id: run.sample_files for run_id, run in self._runs.items()}, self._memory_bytes)


def _unused(run_id: str, taken: Iterable[str]) -> str:
    names, number, name = set(taken), 1, run_id
    while name in names:
        number += 1
        name = f"{run_id}#{number}"
    return name


def _run_row(run_id: str, run: Run) -> tuple[Any, ...]:
    manifest = run.manifest
    imported = manifest.imported or {}
    values = (
        *(run_id, str(run.path), manifest.started_utc, manifest.finished_utc, manifest.status),
        *(manifest.status_reason, manifest.exit_status, run.is_partial, run.why_partial),
        *(manifest.num_points_planned, len(run.summary), manifest.launcher, manifest.launched_by),
        *(manifest.backend, manifest.num_ranks, manifest.num_hosts, manifest.transceiver, manifest.fabric),
        *(manifest.time_scale, manifest.versions.get("linerate"), manifest.record_version),
        *(manifest.config_sha256, imported.get("format"), imported.get("file")),
    )
    return tuple(map(clean, values))


def _joined(frames: Sequence[tuple[str, pd.DataFrame]], columns: Sequence[str]) -> pd.DataFrame:
    if not frames:
        return pd.DataFrame(columns=["run_id", *columns])
    parts = [frame.assign(run_id=run_id) for run_id, frame in frames if len(frame)] or [
        frames[0][1].assign(run_id="")
    ]
    return pd.concat(parts, ignore_index=True)[["run_id", *columns]]
