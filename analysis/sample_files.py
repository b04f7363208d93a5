"""`SampleFile`: which files hold the samples of a run, and whether they can be read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.run_folder import SAMPLES

PARTS: Final = "samples.parts"
"""While a run lasts its samples lie here, a file for each point; a run that was cut off leaves them behind."""

REQUIRED: Final = ("point_id", "iteration", "duration_s")
"""Without these, rows are no samples. Without ``rank`` all are of rank 0; without ``start_s`` nobody knows when calls began."""

TYPES: Final = {
    "point_id": pa.string(),
    "rank": pa.int32(),
    "iteration": pa.int32(),
    "start_s": pa.float64(),
    "duration_s": pa.float64(),
}
"""Columns of a frame of samples, in order. Files may have more of them, fewer, or the same in other types."""

READ_ERRORS: Final = (pa.ArrowException, OSError, ValueError)
"""What pyarrow raises over a file that is damaged or of a kind it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleFile:
    """One readable file. ``columns``: names of its columns; ``metadata``: its footer, so that it is read once."""

    path: Path
    metadata: Any
    schema: Any
    columns: tuple[str, ...]


def sample_files(run: Path) -> tuple[list[SampleFile], list[str]]:
    """The files of a run in the order of its points, and a sentence for each that is damaged or no file of samples.

    samples.parquet where it can be read; else what a run that was cut off has left in samples.parts/.
    """
    whole = run / SAMPLES
    found, problems = _opened([whole] if whole.is_file() else [])
    if found:
        return found, problems
    parts, more = _opened(sorted((run / PARTS).glob("*.parquet")))
    return parts, problems + more


def samples_frame(files: Sequence[SampleFile], problems: list[str]) -> pd.DataFrame:
    """All rows of some files, columns `TYPES`; a file that turns out to be damaged is left out and told.

    A duration that is no positive, finite number is NaN.
    """
    tables = [pa.table({name: pa.array([], kind) for name, kind in TYPES.items()})]
    for file in files:
        try:
            wanted = [name for name in TYPES if name in file.columns]
            table = parquet_file(file.path, metadata=file.metadata).read(columns=wanted)
            tables.append(_typed(table))
        except READ_ERRORS as error:
            problems.append(f"{file.path} cannot be read ({sentence(error)}); its samples are left out")
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    durations = frame["duration_s"]
    frame["duration_s"] = durations.where((durations > 0) & (durations < np.inf))
    return frame


def parquet_file(path: Path, **options: Any) -> Any:
    """Opened by the bytes of its name, since a name need not be text."""
    return pq.ParquetFile(pa.OSFile(os.fsencode(path)), **options)


def sentence(error: BaseException) -> str:
    """What an error says, as a part of one line."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def _opened(paths: Sequence[Path]) -> tuple[list[SampleFile], list[str]]:
    found, problems = [], []
    for path in paths:
        try:
            opened = parquet_file(path)
            schema = opened.schema_arrow
        except READ_ERRORS as error:
            problems.append(f"{path} is damaged ({sentence(error)}); its samples are left out")
            continue
        unusable = _why_no_samples(schema)
        if unusable is not None:
            problems.append(f"{path} holds no samples ({unusable}); it is left out")
            continue
        file = SampleFile(path=path, metadata=opened.metadata, schema=schema, columns=tuple(schema.names))
        found.append(file)
    return found, problems


def _why_no_samples(schema: Any) -> str | None:
    """What its columns lack to be samples; None where they are."""
    for name in TYPES:
        if schema.names.count(name) > 1:
            return f"it has the column {name} twice"
        if name not in schema.names:
            if name in REQUIRED:
                return f"it has no column {name}"
            continue
        kind = schema.field(name).type
        is_number = pa.types.is_integer(kind) or (pa.types.is_floating(kind) and name.endswith("_s"))
        is_text = any(
            test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
        )
        if not (is_text if name == "point_id" else is_number):
            return f"its column {name} is {kind}"
    return None


def _typed(table: Any) -> Any:
    """A table with the columns of `TYPES` and nothing else."""
    columns = {}
    for name, kind in TYPES.items():
        if name in table.column_names:
            columns[name] = table[name].cast(kind)
        else:
            value = 0 if name == "rank" else None
            columns[name] = pa.array([value] * len(table), kind)
    return pa.table(columns)
