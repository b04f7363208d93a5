"""Floors on disk: a CSV that a person can read and edit, one line per point, each with where its number comes from."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.model.comparison.floor import Floor
from bench.model.units import gbytes_per_s

COLUMNS: Final = ("point", "longest_time_s", "floor_busbw_gbytes_per_s", "bus_bytes", "provenance")
"""longest_time_s is what counts; floor_busbw_gbytes_per_s = bus_bytes / longest_time_s is there for the reader, and must agree
with it to a percent where both are given. A line with a busbw alone is allowed."""

SYSTEM: Final = "system"
"""A sixth column, which a file need not have: what its floors hold for, as `bench.gating.system_of` says it of a run; empty
cells hold for any."""

AGREES: Final = 0.01
"""How far the two numbers of one line may be apart: rounding for the eye, not another number."""


def write_floors(floors: Sequence[Floor], path: Path, system: str | None) -> None:
    """``system``: what the floors hold for; None: for any. Raises ValueError where the file cannot be written."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, SYSTEM])
    for floor in floors:
        busbw = floor.busbw_bytes_per_s
        shown = "" if busbw is None else f"{gbytes_per_s(busbw):.6g}"
        bus_bytes = "" if floor.bus_bytes is None else repr(floor.bus_bytes)
        writer.writerow([floor.key, repr(floor.longest_s), shown, bus_bytes, floor.provenance, system or ""])
    try:
        path.write_text(out.getvalue(), encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error


def read_floors(path: Path) -> tuple[list[Floor], str | None]:
    """Read a file of floors, and what they hold for (None: for any system).

    Raises:
        ValueError: no such file, a column missing, a number that is none, two numbers that contradict each other, a point
            twice; says which line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(
                    f"{path} has no column {', '.join(missing)}; `linerate gate --write` makes such a file"
                )
            rows = list(reader)
        floors = [_floor(row, f"{path}, line {number}") for number, row in enumerate(rows, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{path} cannot be read ({reason}); `linerate gate --write` makes such a file"
        ) from error
    if not floors:
        raise ValueError(
            f"{path} holds no floor; `linerate gate --baseline RUN RUN RUN --write {path}` makes some"
        )
    seen: set[str] = set()
    for floor in floors:
        if floor.key in seen:
            raise ValueError(f"{path}: point {floor.key} is there twice; keep one line of it")
        seen.add(floor.key)
    systems = sorted({text for row in rows if (text := (row.get(SYSTEM) or "").strip())})
    if len(systems) > 1:
        raise ValueError(
            f"{path} holds floors of {len(systems)} systems ({systems[0]} and {systems[1]}); keep one file for each"
        )
    return floors, systems[0] if systems else None


def _floor(row: dict[str, str], where: str) -> Floor:
    key, provenance = (row.get("point") or "").strip(), (row.get("provenance") or "").strip()
    if not key or not provenance:
        raise ValueError(
            f"{where}: point and provenance are needed; a floor that nobody can trace is not kept"
        )
    longest_s = _number(row, "longest_time_s", where)
    busbw, bus_bytes = _number(row, "floor_busbw_gbytes_per_s", where), _number(row, "bus_bytes", where)
    derived_s = None if busbw is None or bus_bytes is None else bus_bytes / (busbw * 1e9)
    if longest_s is None:
        longest_s = derived_s
    if longest_s is None:
        raise ValueError(
            f"{where}: longest_time_s is empty, and there is no busbw with bus_bytes from which it follows"
        )
    if derived_s is not None and abs(derived_s / longest_s - 1) > AGREES:
        raise ValueError(
            f"{where}: longest_time_s {longest_s:g} and floor_busbw_gbytes_per_s {busbw:g} contradict each other; empty the one "
            "that you did not mean"
        )
    return Floor(key=key, longest_s=longest_s, provenance=provenance, bus_bytes=bus_bytes)


def _number(row: dict[str, str], name: str, where: str) -> float | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{where}: {name} is {text!r}; a positive number is needed, or an empty cell")
    return value
