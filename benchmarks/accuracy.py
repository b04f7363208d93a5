"""How far predictions lie from published measurements: the tables of docs/accuracy.md, from linerate's own table.

    python benchmarks/accuracy.py --out docs/accuracy.md

replaces what stands between the two markers of that file. Every row is predicted with its whole cluster left out.
"""

import argparse
import dataclasses
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.model.attained import MTU_BYTES, Published
from bench.model.framing import Transport, framing
from bench.model.gpu import gpu_named
from bench.published import OWN_TABLE, SUPPLEMENT, TableRow, read_table
from bench.validation import HEALTHY, Judged, judge, totals

BEGIN: Final = "<!-- tables: benchmarks/accuracy.py -->"
END: Final = "<!-- end of tables -->"

PLAIN: Final = 0.94
NVLINK_PAYLOAD_GBYTES_PER_S: Final = {
    "V100": None, "A100": 240, "H100": 370, "H200": 370, "B200": 690, "GB200": 690, "GB300": 690,
    "MI300X": 330, "MI355X": 408,
}  # fmt: skip
NVLS_PAYLOAD_GBYTES_PER_S: Final = {"H100": 306, "H200": 306, "B200": 541, "GB200": 455, "GB300": 455}
PLAIN_NIC_SHARE: Final = 0.978
"""The plain prediction that ours is put beside: one constant times the ceiling from payload rates that were estimated on
published logs, these rows among them (so it is in sample, and ours is not)."""


_SLOW_NETWORK: Final = ("gcp-a3high-dstack-2x8-allgather-ring",)
"""GPUs that share ports, and TCP between them: its source calls it normal, and it is at half of the ceiling."""


def plain_prediction(row: Published) -> float | None:
    """Busbw in bytes/s: 0.94 of the payload ceiling."""
    assert row.schedule is not None
    limits = row.limits_of(row.schedule)
    gpu = gpu_named(row.gpu)
    rates = []
    for resource, limit in limits.items():
        if resource in ("network", "infiniband", "ethernet"):
            payload = framing(row.transport, MTU_BYTES).payload_fraction
            rates.append(limit / payload * PLAIN_NIC_SHARE)
            continue
        table = NVLS_PAYLOAD_GBYTES_PER_S if "nvls" in resource else NVLINK_PAYLOAD_GBYTES_PER_S
        known = table.get(row.gpu)
        if known is not None and gpu is not None:
            rates.append(limit * known / gpu.inside_gbytes_per_s)
    return PLAIN * min(rates) if rates else None


def has_own_ports(row: Judged) -> bool:
    """Not one of the six rows whose ranks share ports and fall far short of them."""
    return not row.name.startswith(("polaris", "abci"))


def scale_of(row: Judged) -> str:
    for most, label in ((1, "1 node"), (2, "2 nodes"), (8, "3 to 8 nodes")):
        if row.nodes <= most:
            return label
    return "more than 8 nodes"


def tables() -> str:
    """Everything between the markers, as Markdown."""
    rows = read_table(OWN_TABLE)
    first = tuple(row.measured for row in rows)
    alone = [judge(row, first) for row in read_table(SUPPLEMENT)]
    alone = [row for row in alone if row.classification == HEALTHY and row.algorithm_source == "given"]
    later = [row for row in alone if row.name not in _SLOW_NETWORK]
    gpu_of = {row.measured.name: row.measured.gpu for row in rows}
    remarks = _remarks()
    judged = [judge(row) for row in rows]
    blind = [judge(dataclasses.replace(row, algorithm="", measured=_without(row))) for row in rows]
    unnamed = [judge(_without_transport(row)) for row in rows]
    healthy = [row for row in judged if row.classification == HEALTHY]
    multi = [row for row in healthy if row.nodes > 1]
    parts = ["### All rows\n", _header()]
    parts += [
        _line("healthy, several nodes", multi),
        _line("of these, without six rows of shared ports", [row for row in multi if has_own_ports(row)]),
        _line("healthy, one node", [row for row in healthy if row.nodes == 1]),
        _line("healthy, all", healthy),
        _line("healthy, several nodes, transport not given", _healthy(unnamed, multi)),
        _line("healthy, several nodes, algorithm not given", _healthy(blind, multi)),
        _line("of these, without the six", [row for row in _healthy(blind, multi) if has_own_ports(row)]),
        _line("hardware partly assumed", _of_class(judged, "hardware_partly_assumed")),
        _line("pathological", _of_class(judged, "pathological")),
        _line("too small a message", _of_class(judged, "size_limited")),
    ]
    parts += ["", _plain_line(rows), ""]
    parts += ["### The second table, predicted from the first alone\n", _header()]
    parts += [
        _line("healthy, algorithm given, several nodes", [row for row in alone if row.nodes > 1]),
        _line("of these, without one row of half the ceiling", [row for row in later if row.nodes > 1]),
        _line("healthy, algorithm given, one node", [row for row in alone if row.nodes == 1]),
        "",
        _plain_line(read_table(SUPPLEMENT)),
        "",
    ]
    kinds: list[tuple[str, Callable[[Judged], str]]] = [
        ("collective", lambda row: row.collective),
        ("algorithm", lambda row: row.algorithm or "?"),
        ("machine", lambda row: gpu_of[row.name]),
        ("scale", scale_of),
        ("what binds", lambda row: row.bound_by or "?"),
    ]
    for name, key in kinds:
        parts += [f"### Healthy rows by {name}\n", _header()]
        parts += [
            _line(value, [row for row in healthy if key(row) == value])
            for value in sorted({key(row) for row in healthy})
        ]
        parts.append("")
    parts += ["### Healthy rows it fails on\n", "More than 10 % off, or outside the interval.\n"]
    parts += [
        "| row | measured | predicted | interval | error | what its source says |",
        "|---|---|---|---|---|---|",
    ]
    for row in healthy:
        inside = (row.low_gbytes_per_s or 0) <= row.measured_gbytes_per_s <= (row.high_gbytes_per_s or 0)
        if abs(row.relative_error or 0) > 0.1 or not inside:
            mark = "" if inside else " (outside)"
            parts.append(
                f"| {row.name} | {row.measured_gbytes_per_s:.4g} | {row.predicted_gbytes_per_s:.4g} | "
                f"{row.low_gbytes_per_s:.4g}-{row.high_gbytes_per_s:.4g}{mark} | {100 * (row.relative_error or 0):+.1f} % | "
                f"{remarks[row.name]} |"
            )
    return "\n".join(parts) + "\n"


def _without(row: TableRow) -> Published:
    return dataclasses.replace(row.measured, schedule=None)


def _without_transport(row: TableRow) -> TableRow:
    return dataclasses.replace(row, measured=dataclasses.replace(row.measured, transport=Transport.unknown))


def _healthy(rows: Sequence[Judged], like: Sequence[Judged]) -> list[Judged]:
    names = {row.name for row in like}
    return [row for row in rows if row.name in names]


def _of_class(rows: Sequence[Judged], name: str) -> list[Judged]:
    return [row for row in rows if row.classification == name]


def _header() -> str:
    return (
        "| rows | number | mean error | median | p90 | inside the interval | mean width | above ceiling |\n"
        "|---|---|---|---|---|---|---|---|"
    )


def _line(name: str, rows: Sequence[Judged]) -> str:
    found = totals(rows)
    shares = (found.mape, found.median, found.p90, found.coverage, found.mean_width)
    cells = " | ".join("" if share is None else f"{100 * share:.1f} %" for share in shares)
    return f"| {name} | {found.num_predicted} | {cells} | {found.num_above_ceiling} |"


def _plain_line(rows: Sequence[TableRow]) -> str:
    errors, own = [], []
    for row in rows:
        measured = row.measured
        predicted = None if measured.schedule is None else plain_prediction(measured)
        if measured.is_healthy and measured.num_hosts > 1 and predicted is not None:
            error = abs(predicted / measured.busbw_bytes_per_s - 1)
            errors.append(error)
            if not measured.name.startswith(("polaris", "abci", *_SLOW_NETWORK)):
                own.append(error)
    return (
        f"The plain prediction, payload ceiling x {PLAIN}, on the healthy rows of several nodes: mean "
        f"{100 * statistics.fmean(errors):.1f} %, median {100 * statistics.median(errors):.1f} %; without the outliers mean "
        f"{100 * statistics.fmean(own):.1f} %. Its constants were estimated on rows like these."
    )


def _remarks() -> dict[str, str]:
    import csv

    with OWN_TABLE.open(encoding="utf-8", newline="") as file:
        return {cells["name"]: cells["remark"] for cells in csv.DictReader(file)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="the file whose tables are replaced")
    options = parser.parse_args()

    text = tables()
    if options.out is None:
        print(text)
        return
    before, _, rest = options.out.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    options.out.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
