"""CSV and JSON of rccl-tests (-Z csv|json with -x FILE): one record for each placement of each size.

What was written, by version (source: ROCm/rccl-tests, class Reporter in src/common.cu, later src/common.cpp):

2024-06   CSV ``collective, ranks, rankspernode, gpusperrank, size, ...`` with a space behind each comma; JSON without a list
          around its records and without a comma between them, so that it was none (PR 140). ``size`` was the receive buffer
2024-09   a number of the cycle in front, no spaces (PR 145), a list around JSON; ``size`` is the larger buffer from 2025 on

Without MPI there is one column ``gpus``. With MPI a row has a value more than its header: ``nodes``, between collective and ranks.
``ranks`` are processes, and ``rankspernode`` are those of a group (NCCL_TESTS_SPLIT), whatever the name says. NaN is a bare
``nan``. Neither root nor configuration is written.
"""

import csv
import re
from collections.abc import Sequence
from typing import Final

from bench.importers.foreign import ForeignLog
from bench.importers.json_lines import begins_json, count_lines
from bench.importers.json_values import Unknown
from bench.importers.rccl_records import KEYS, Record, as_record, tables_of
from bench.importers.tally import Tally

_HEADER: Final = ("collective", "size", "type", "redop", "inplace", "time", "algbw", "busbw")
_MOST_FIELDS: Final = 64

_OBJECT: Final = re.compile(r"\{[^{}]*\}")
_PAIR: Final = re.compile(r'"(?P<key>[^"]{1,80})"\s*:\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<bare>[^",{}]*))')
"""A record is flat. A bare word is a number, ``nan``, or a name that the first version did not quote."""


def is_rccl_csv(lines: Sequence[str]) -> bool:
    """Whether a line is the header of rccl-tests' CSV."""
    return any(_header_of(line) is not None for line in lines)


def is_rccl_json(text: str) -> bool:
    """Whether ``text`` is rccl-tests' JSON, or what its first version wrote."""
    return begins_json(text) and re.search(r'"busBw"\s*:', text) is not None


def read_rccl_csv(lines: Sequence[str]) -> ForeignLog:
    """Read every table of a CSV file. Never raises: lines that are no row of their header are named in ``unread``."""
    tally = Tally()
    tables: list[list[Record]] = []
    header: tuple[str, ...] | None = None
    has_spaces = False
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            tally.take("blank")
        elif (found := _header_of(line)) is not None:
            header, has_spaces = found, has_spaces or ", " in line
            tables.append([])
            tally.take("header")
        elif header is None:
            tally.leave_other(number)
        else:
            record = _csv_record(number, line, header)
            if isinstance(record, str):
                tally.leave(number, record, excerpt=line if line.count(",") >= 3 else None)
            else:
                tables[-1].append(record)
                tally.take("row")
    layout = "rccl-tests CSV, padded with spaces" if has_spaces else "rccl-tests CSV"
    return ForeignLog(
        format="rccl-tests CSV",
        tables=tuple(table for records in tables for table in tables_of(records, layout)),
        lines=tally.lines(),
        unread=tuple(tally.unread),
        warnings=(),
    )


def read_rccl_json(text: str) -> ForeignLog:
    """Read every record of a JSON file, of the first version's as well. Never raises."""
    tally, unknown = Tally(), Unknown()
    records, spans, holes = [], [], []
    for found in _OBJECT.finditer(text):
        pairs = {}
        for pair in _PAIR.finditer(found[0]):
            pairs[pair["key"]] = (pair["text"] if pair["text"] is not None else pair["bare"]).strip()
        record = as_record(pairs, line=None)
        spans.append(found.span())
        if isinstance(record, str):
            holes.append(f"the record at character {found.start()} is no result: {record}")
            continue
        records.append(record)
        unknown.keys({key: None for key in pairs if key.casefold() not in KEYS}, ())
    count_lines(text, spans, [start for start, _ in spans], tally)
    body = text.strip("\ufeff \t\r\n")
    is_listed = body.startswith("[")
    is_cut = not body.endswith("]" if is_listed else "}")
    for reason in (*holes, *unknown.reasons()):
        tally.remark(reason)
    layout = "rccl-tests JSON" if is_listed else "rccl-tests JSON, records without a list"
    why = "the file ends before its closing bracket" if is_cut else None
    return ForeignLog(
        format="rccl-tests JSON",
        tables=tuple(tables_of(records, layout, why_partial=why)),
        lines=tally.lines(),
        unread=tuple(tally.unread),
        warnings=(),
    )


def _fields_of(line: str) -> list[str]:
    try:
        fields = next(csv.reader([line], skipinitialspace=True), [])
    except csv.Error:
        return []
    return [field.strip() for field in fields] if len(fields) <= _MOST_FIELDS else []


def _header_of(line: str) -> tuple[str, ...] | None:
    if "busbw" not in line.casefold() or "," not in line:
        return None
    names = tuple(field.casefold().lstrip("#") for field in _fields_of(line.lstrip("\ufeff")))
    return names if set(_HEADER) <= set(names) else None


def _csv_record(number: int, line: str, header: tuple[str, ...]) -> Record | str:
    fields = _fields_of(line)
    names = header
    if len(fields) == len(header) + 1 and "ranks" in header and "nodes" not in header:
        at = header.index("ranks")
        names = (*header[:at], "nodes", *header[at:])
    if len(fields) != len(names):
        return f"{len(fields)} fields, where the header announces {len(header)}"
    return as_record(dict(zip(names, fields, strict=True)), line=number)
