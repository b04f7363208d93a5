"""`summary_frame`: records to the frame that everything else in analysis starts from."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.sample_files import sentence
from bench.record import Record
from bench.summary import COLUMNS, SummaryRow, summary_rows


def summary_frame(records: Sequence[Record], problems: list[str]) -> pd.DataFrame:
    """One row per record, the columns of summary.csv; NaN where a cell is empty there.

    Columns of numbers are numbers although every cell may be empty. ``problems`` gets a sentence for each record of which no row
    can be computed (a number of ranks below 1, say).
    """
    rows = _rows(records, problems)
    kinds = {name: field.type for name, field in zip(COLUMNS, dataclasses.fields(SummaryRow), strict=True)}
    cells = [tuple(map(clean, dataclasses.astuple(row))) for row in rows]
    frame = pd.DataFrame(cells, columns=list(COLUMNS)).infer_objects()
    optional = [name for name, kind in kinds.items() if kind in (float | None, int | None)]
    whole = [name for name, kind in kinds.items() if kind is int]
    frame = frame.astype(dict.fromkeys(whole, "int64"))
    return frame.astype({name: "float64" for name in optional if frame.empty or frame[name].isna().any()})


def clean(value: Any) -> Any:
    """Text that every file and terminal takes: JSON can spell halves of characters, which none of them does."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _rows(records: Sequence[Record], problems: list[str]) -> list[SummaryRow]:
    errors = (ValueError, ArithmeticError, LookupError, TypeError)
    try:
        return summary_rows(records)
    except errors:
        usable = []
        for record in records:
            try:
                summary_rows([record])
                usable.append(record)
            except errors as error:
                problems.append(f"record of {clean(record.point_id)} makes no row ({sentence(error)})")
    try:
        return summary_rows(usable)
    except errors as error:
        problems.append(f"the records make no summary ({sentence(error)})")
        return []
