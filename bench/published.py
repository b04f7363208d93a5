"""Tables of published measurements: one row of CSV each, read strictly; and the one that linerate's own estimates rest on."""

import csv
import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bench.model.attained import Published
from bench.model.collective import Collective
from bench.model.framing import Transport
from bench.model.gpu import gpu_named
from bench.model.schedule import SCHEDULES, schedule_named
from bench.model.units import bytes_per_s_from_gbytes_per_s

COLUMNS: Final = (
    "name",
    "gpu",
    "nodes",
    "gpus_per_node",
    "nic_gbytes_per_s_per_gpu",
    "collective",
    "algorithm",
    "busbw_gbytes_per_s",
    "class",
)
"""What a table must have. ``transport``, ``hardware`` and ``cluster`` are used where they are there."""

_DATA: Final = Path(__file__).resolve().parent / "data"
OWN_TABLE: Final = _DATA / "measured_published.csv"
SUPPLEMENT: Final = _DATA / "measured_collected.csv"
"""More rows, collected later: algorithms of many were inferred from their busbw, so they only fill what the first table leaves open."""

MOST_GBYTES_PER_S: Final = 1e6
"""A thousand times what any link of today carries: such a cell is a mistake."""

_TRANSPORT_WORDS: Final = {
    Transport.roce_v2: {"roce", "rocev2", "pollara"},
    Transport.infiniband: {"ib", "infiniband", "edr", "hdr", "hdr200", "ndr", "xdr"},
}
"""Words of a description that say which transport ran. EFA and Slingshot have framings that are not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row: what was measured, and what its algorithm was called (empty: not given)."""

    measured: Published
    algorithm: str


@cache
def own_rows() -> tuple[Published, ...]:
    """The published measurements that come with linerate, the supplement among them; each names its source in its file."""
    first = tuple(row.measured for row in read_table(OWN_TABLE))
    more = (dataclasses.replace(row.measured, is_supplement=True) for row in read_table(SUPPLEMENT))
    return (*first, *more)


def read_table(path: Path) -> list[TableRow]:
    """Every row of a table of published measurements.

    Raises:
        ValueError: no such file, a column that is missing, a cell that is not what it must be (named by line and column).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            if len(reader.fieldnames) == 1 and ";" in reader.fieldnames[0]:
                raise ValueError(f"{path} separates its columns by semicolons; a table has commas")
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(
                    f"{path} has no column {', '.join(missing)}; a table has {', '.join(COLUMNS)}"
                )
            rows = [_row(cells, f"{path}, line {reader.line_num}") for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"--table {path} cannot be read as CSV ({error})") from None
    if not rows:
        raise ValueError(f"{path} holds no rows")
    return rows


def transport_named(text: str) -> Transport:
    """The transport that a free description names: 'H100 8xNDR IB', '2x100G RoCE'; unknown where it names none, or two."""
    words = {re.sub(r"^\d+x", "", word) for word in re.findall(r"[a-z0-9]+", text.lower())}
    found = [transport for transport, names in _TRANSPORT_WORDS.items() if words & names]
    return found[0] if len(found) == 1 else Transport.unknown


def clusters_of(row: Published, known: Sequence[Published]) -> frozenset[str]:
    """Clusters of ``known`` that hold the same measurement, by name or by its figures: what to leave out to judge it."""
    return frozenset(other.cluster for other in known if _is_same(other, row))


def _is_same(one: Published, other: Published) -> bool:
    """By name, by cluster, or by figures, whose last digits tables round differently."""
    if one.name == other.name or one.cluster == other.cluster:
        return True
    return _shape(one) == _shape(other) and math.isclose(
        one.busbw_bytes_per_s, other.busbw_bytes_per_s, rel_tol=2e-4
    )


def _shape(row: Published) -> tuple[object, ...]:
    gpu = gpu_named(row.gpu)
    kind = row.gpu if gpu is None else gpu.generation  # some call a GB200 a B200
    return (kind, row.num_hosts, row.ranks_per_host, row.collective)


def _row(cells: Mapping[str, str | None], where: str) -> TableRow:
    text = {key: (value or "").strip() for key, value in cells.items() if isinstance(key, str)}
    name = text["name"] or where
    try:
        collective = Collective(text["collective"])
    except ValueError:
        known = ", ".join(c.value for c in SCHEDULES)
        raise ValueError(f"{where}: collective is {text['collective']!r}; known are {known}") from None
    nic = _number(text, "nic_gbytes_per_s_per_gpu", where) if text["nic_gbytes_per_s_per_gpu"] else None
    busbw = _number(text, "busbw_gbytes_per_s", where)
    described = text.get("transport") or f"{text.get('hardware', '')} {name}"
    schedule = schedule_named(text["algorithm"])
    measured = Published(
        name=name,
        cluster=text.get("cluster") or name,
        gpu=text["gpu"],
        num_hosts=_count(text, "nodes", where),
        ranks_per_host=_count(text, "gpus_per_node", where),
        nic_bytes_per_s=None if nic is None else bytes_per_s_from_gbytes_per_s(nic),
        collective=collective,
        schedule=schedule if schedule in SCHEDULES.get(collective, ()) else None,
        busbw_bytes_per_s=bytes_per_s_from_gbytes_per_s(busbw),
        transport=transport_named(described),
        classification=text["class"].lower(),
    )
    if measured.num_hosts * measured.ranks_per_host < 2:
        raise ValueError(f"{where}: one GPU alone; nodes x gpus_per_node must be 2 or more")
    return TableRow(measured=measured, algorithm=text["algorithm"])


def _number(text: Mapping[str, str], column: str, where: str) -> float:
    try:
        value = float(text[column])
    except ValueError:
        value = math.nan
    if not 0 < value <= MOST_GBYTES_PER_S:
        raise ValueError(
            f"{where}: {column} is {text[column][:20]!r}; a number above 0 is needed, in 10**9 byte/s, at most "
            f"{MOST_GBYTES_PER_S:g}"
        )
    return value


def _count(text: Mapping[str, str], column: str, where: str) -> int:
    value = text[column]
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:10]) <= 10**9 or len(value) > 10:
        raise ValueError(f"{where}: {column} is {value[:20]!r}; a whole number from 1 to 10**9 is needed")
    return int(value)
