"""`load_run`: run folders to tidy frames. Statistics follow from records and samples; summary.csv is never read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pandas as pd

from analysis.frames import clean, summary_frame
from analysis.run_paths import find_runs, folder_at, is_run, why_no_run
from analysis.sample_files import SampleFile, sample_files, samples_frame
from analysis.sample_summary import disagreements, summary_of_samples
from bench.record import Record, RunManifest
from bench.run_folder import RunFolder

__all__ = ["Run", "find_runs", "load_run", "load_runs"]

_WHILE_RUNNING: Final = re.compile(r"[a-z_]+(\.[^.:\s]+)*\.\d+: ")
"""How a reason to skip a point begins that was found while running: with the point (`RunFolder.add_skipped`)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One run. Files are read when they are asked for; samples that do not fit into memory are for `analysis.store`."""

    path: Path
    manifest: RunManifest

    @property
    def records(self) -> list[Record]:
        """Every record that can be read; `problems` names the others."""
        return self._read_records[0]

    @property
    def summary(self) -> pd.DataFrame:
        """One row per record, the columns of summary.csv; NaN where a cell is empty there."""
        return self._summary[0]

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per point, rank and iteration: point_id, rank, iteration, start_s, duration_s. All of them, in memory.

        NaN: a start that nobody recorded, a duration that is no positive, finite number.
        """
        return samples_frame(self.sample_files, [])

    @property
    def summary_from_samples(self) -> pd.DataFrame:
        """One row per point, from samples.parquet alone (`analysis.sample_summary`); needs little memory, whatever its size."""
        return self._from_samples[0]

    @property
    def sample_files(self) -> list[SampleFile]:
        """The readable ones: samples.parquet, or what a run that was cut off has left of it."""
        return self._sample_files[0]

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each thing that is damaged, missing or contradicts another; looks at every sample once."""
        told = [self._read_records[1], self._summary[1], self._sample_files[1], self._from_samples[1]]
        told.append(disagreements(self.records, self.summary, self.summary_from_samples))
        return tuple(clean(text) for texts in told for text in texts)

    @property
    def is_partial(self) -> bool:
        """Whether there should be more of this run than there is, or better."""
        return self.why_partial is not None

    @cached_property
    def why_partial(self) -> str | None:
        """Why a run is not whole, in words and without a full stop; None where it is."""
        manifest, reasons = self.manifest, []
        if manifest.status == "running":
            reasons.append("it has no end: it is running still, or was cut off")
        elif manifest.status != "complete":
            reasons.append(
                f"{manifest.status}: {manifest.status_reason}" if manifest.status_reason else manifest.status
            )
        if self.num_points_missing:
            reasons.append(
                f"{self.num_points_missing} of {manifest.num_points_planned} planned points are missing"
            )
        if self.problems:
            more = len(self.problems) - 1
            reasons.append(self.problems[0] + (f" (and {more} more)" if more else ""))
        return "; ".join(map(clean, reasons)) or None

    @property
    def num_points_missing(self) -> int:
        """Points that were planned, and neither measured nor given up with a reason. Groups side by side share one point."""
        done = {(r.group.rpartition("/")[0], r.point_id.removesuffix(f".{r.group}")) for r in self.records}
        skipped = sum(1 for reason in self.manifest.skipped if _WHILE_RUNNING.match(reason))
        return max(0, self.manifest.num_points_planned - len(done) - skipped)

    @cached_property
    def _read_records(self) -> tuple[list[Record], list[str]]:
        return RunFolder(self.path).readable_records()

    @cached_property
    def _summary(self) -> tuple[pd.DataFrame, list[str]]:
        problems: list[str] = []
        return summary_frame(self.records, problems), problems

    @cached_property
    def _sample_files(self) -> tuple[list[SampleFile], list[str]]:
        return sample_files(self.path)

    @cached_property
    def _from_samples(self) -> tuple[pd.DataFrame, list[str]]:
        problems: list[str] = []
        return summary_of_samples(self.sample_files, problems), problems


def open_run(path: Path | str) -> Run:
    """A run of which only the manifest is read yet, and in it the version.

    Raises:
        ValueError: no run folder, or a manifest that is damaged or of a newer linerate.
    """
    folder = folder_at(path)
    if not is_run(folder):
        raise ValueError(why_no_run(folder))
    return Run(path=folder, manifest=RunFolder(folder).manifest())


def load_run(path: Path | str) -> Run:
    """Read a run folder, given by its path, by a link to it (runs/latest) or by a file in it.

    One that was cut off loads as far as it came; what cannot be read in it is in `Run.problems`.

    Raises:
        ValueError: no run folder, or one whose manifest or records are missing, damaged beyond use or of a newer linerate.
    """
    run = open_run(path)
    len(run.records)  # read now, so that what cannot be read is refused here
    return run


def load_runs(paths: Path | str | Iterable[Path | str]) -> list[Run]:
    """Every run at some paths, in the order of `find_runs` for each of them.

    Raises:
        ValueError: a path without runs, or a run that cannot be read: none is left out silently.
    """
    asked = [paths] if isinstance(paths, str | Path) else list(paths)
    found = dict.fromkeys(folder for path in asked for folder in find_runs(path))
    return [load_run(folder) for folder in found]
