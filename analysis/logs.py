"""Logs of other benchmarks as frames, without importing them first: rows, tables, and what became of every line.

`linerate import` makes a run folder of a log. These frames are for reading one: what was printed, how far it was rounded, and
what was not understood. Nothing is computed anew; columns that summary.csv has as well mean what they mean there, so that the
figures of `analysis.figures` take them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bench.importers.foreign import ForeignLog, ForeignPoint, ForeignTable, Printed, Reading
from bench.importers.reader import read_log
from bench.model import units
from bench.model.grouping import WORLD

READINGS: Final = (
    "table",
    "line",
    "collective",
    "algorithm",
    "backend",
    "dtype",
    "reduce_op",
    "placement",
    "pass",
    "group",
    "num_ranks",
    "printed_bytes",
    "message_bytes",
    "time_s",
    "time_rounding_low_s",
    "time_rounding_high_s",
    "algbw_gbytes_per_s",
    "busbw_gbytes_per_s",
    "num_wrong_elements",
    "time_statistic",
    "num_iterations",
    "notes",
)
"""Columns of `read_log_frame`. table: of the file, from 1. line: of the file, from 1; empty in JSON. algbw and busbw as printed.
message_bytes: nccl-tests' size; empty where a program counts per peer (printed_bytes) and the number of ranks is not known."""

NUMBERS: Final = (
    *(
        "line",
        "num_ranks",
        "num_rows",
        "printed_bytes",
        "message_bytes",
        "num_wrong_elements",
        "num_iterations",
    ),
    *("time_s", "time_rounding_low_s", "time_rounding_high_s", "algbw_gbytes_per_s", "busbw_gbytes_per_s"),
    "average_busbw_gbytes_per_s",
)

SPLIT: Final = "split"
"""Group of points that several groups of ranks measured at the same time; `linerate import` calls it so too."""

TABLES: Final = (
    "table",
    "program",
    "layout",
    "num_ranks",
    "num_ranks_source",
    "num_rows",
    "num_wrong_elements",
    "average_busbw_gbytes_per_s",
    "is_complete",
    "why_partial",
)
"""Columns of `tables_frame`. average_busbw_gbytes_per_s: of the footer, over all sizes and both placements."""

UNREAD: Final = ("first_line", "last_line", "reason", "excerpt")
"""Columns of `unread_frame`. excerpt: empty unless the line looks like one of the benchmark's own, as it may be a secret."""


def read_log_frame(path: Path | str) -> pd.DataFrame:
    """One row per reading, columns `READINGS`: a row of nccl-tests has two, one of OSU one.

    Raises:
        ValueError: the file cannot be read.
    """
    rows = [
        _reading_row(number, table, point, reading)
        for number, table in enumerate(_read(path).tables, start=1)
        for point in table.points
        for reading in point.readings
    ]
    return _typed(pd.DataFrame(rows, columns=list(READINGS)))


def tables_frame(path: Path | str) -> pd.DataFrame:
    """One row per start of a program, columns `TABLES`; a file may hold several. Raises ValueError: it cannot be read."""
    rows = [_table_row(number, table) for number, table in enumerate(_read(path).tables, start=1)]
    return _typed(pd.DataFrame(rows, columns=list(TABLES)))


def lines_frame(path: Path | str) -> pd.DataFrame:
    """How many lines were taken for what, columns kind and num_lines; together they are the lines of the file.

    Raises:
        ValueError: the file cannot be read.
    """
    counts = sorted(_read(path).lines.items(), key=lambda item: -item[1])
    return pd.DataFrame([row for row in counts if row[1]], columns=["kind", "num_lines"])


def unread_frame(path: Path | str) -> pd.DataFrame:
    """One row per stretch of lines that were not understood, columns `UNREAD`. Raises ValueError: it cannot be read."""
    rows = [[getattr(unread, name) for name in UNREAD] for unread in _read(path).unread]
    return pd.DataFrame(rows, columns=list(UNREAD))


def _read(path: Path | str) -> ForeignLog:
    path = Path(path)
    try:
        return read_log(path)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read: {error.strerror}; name a log of nccl-tests, rccl-tests or OSU"
        ) from error


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers are numbers although every cell may be empty."""
    names = [name for name in NUMBERS if name in frame.columns and frame[name].dtype == object]
    return frame.astype(dict.fromkeys(names, "float64"))


def _reading_row(number: int, table: ForeignTable, point: ForeignPoint, reading: Reading) -> list[Any]:
    time_s = reading.time_s
    values: dict[str, Any] = {
        "table": number,
        "line": point.line,
        "collective": point.collective,
        "algorithm": "native",
        "backend": table.library,
        "dtype": point.dtype,
        "reduce_op": point.reduce_op,
        "placement": reading.placement,
        "pass": point.measure_pass,
        "group": WORLD if table.group_ranks is None else SPLIT,
        "num_ranks": table.group_ranks or table.num_ranks,
        "printed_bytes": point.printed_bytes,
        "message_bytes": point.message_bytes,
        "time_s": time_s.value if time_s else None,
        "time_rounding_low_s": time_s.low if time_s else None,
        "time_rounding_high_s": time_s.high if time_s else None,
        "algbw_gbytes_per_s": _gbytes_per_s(reading.algbw_bytes_per_s),
        "busbw_gbytes_per_s": _gbytes_per_s(reading.busbw_bytes_per_s),
        "num_wrong_elements": reading.num_wrong_elements,
        "time_statistic": reading.statistic,
        "num_iterations": reading.num_iterations,
        "notes": "; ".join(reading.notes),
    }
    return [values[name] for name in READINGS]


def _gbytes_per_s(printed: Printed | None) -> float | None:
    return None if printed is None else units.gbytes_per_s(printed.value)


def _table_row(number: int, table: ForeignTable) -> list[Any]:
    counted = [reading.num_wrong_elements for reading in _readings(table)]
    checked = [count for count in counted if count is not None]
    values: dict[str, Any] = {
        "table": number,
        "program": table.program,
        "layout": table.layout,
        "num_ranks": table.num_ranks,
        "num_ranks_source": table.num_ranks_source,
        "num_rows": len(table.points),
        "num_wrong_elements": sum(checked) if checked else None,
        "average_busbw_gbytes_per_s": table.average_busbw_gbytes_per_s,
        "is_complete": table.is_complete,
        "why_partial": table.why_partial,
    }
    return [values[name] for name in TABLES]


def _readings(table: ForeignTable) -> Iterator[Reading]:
    for point in table.points:
        yield from point.readings
