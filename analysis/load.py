"""`load_run`: one run folder to tidy frames. Statistics are recomputed from the records, never read from summary.csv."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.record import RunManifest
from bench.run_folder import MANIFEST, SAMPLES, RunFolder
from bench.summary import COLUMNS, summary_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        summary: one row per point, the columns of summary.csv.
        samples: one row per point, rank and iteration; empty for a run that was cut off before its end.
    """

    path: Path
    manifest: RunManifest
    summary: pd.DataFrame
    samples: pd.DataFrame


def load_run(path: Path | str) -> Run:
    """Read a run folder; one that was cut off loads as far as it came.

    Raises:
        ValueError: the folder is no run, or of a version that this one does not read.
    """
    path = Path(path)
    if not (path / MANIFEST).is_file():
        raise ValueError(f"{path} is no run folder: it has no {MANIFEST}; `linerate run` makes one")
    folder = RunFolder(path)
    rows = [dataclasses.astuple(row) for row in summary_rows(folder.records())]
    samples = path / SAMPLES
    return Run(
        path=path,
        manifest=folder.manifest(),
        summary=pd.DataFrame(rows, columns=list(COLUMNS)).infer_objects(),
        samples=pd.read_parquet(samples) if samples.is_file() else pd.DataFrame(),
    )
