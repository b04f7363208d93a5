"""Tables of the report that the IETF draft wants: points of `bench.bmwg.bmwg_report` to rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analysis.report.blocks import Column, Group, Table, number
from analysis.report.tables import MOST_OPEN_ROWS
from bench.model import units
from bench.model.grouping import WORLD

STATISTICS: Final = ("average", "p50", "p95", "p99")
NOT_KNOWN: Final = "not reported"

PARAMETERS: Final = {
    "N": "num_ranks",
    "accelerators per node": "ranks_per_host",
    "rail mapping": "rail_map",
    "line rate, GB/s": "line_rate_gbytes_per_s",
    "leaf oversubscription": "leaf_oversubscription",
    "collective": "collective",
    "S, bytes": "s_bytes",
    "algo_factor": "factor",
    "transport": "transport",
    "load balancing": "load_balancing",
}
"""Table 4 of the draft, and where `bench.bmwg` has it."""

Points = Sequence[Mapping[str, Any]]


def results(points: Points) -> list[Table]:
    """Section 9.1: one table of times and one of BusBW for each collective, and what its rows rest on."""
    found = []
    for collective in dict.fromkeys(point["collective"] for point in points):
        mine = [point for point in points if point["collective"] == collective]
        found += [_rates(collective, mine), _volumes(collective, mine)]
    return found


def _rates(collective: str, points: Points) -> Table:
    columns = [*_NAMED[1:], Column(name="Algorithm (verified)")]
    columns += [number(f"time {name}") for name in STATISTICS]
    columns += [number(f"BusBW {name}, Gb/s") for name in STATISTICS]
    columns += [number("BusBW efficiency"), number("iterations"), Column(name="notes")]
    letters: dict[str, str] = {}
    rows = []
    for point in points:
        share = point["busbw_efficiency"]
        rows.append(
            (
                *_name(point)[1:],
                str(point["Algorithm (verified)"]),
                *(_seconds(point["time_s"][name]) for name in STATISTICS),
                *(_gbps(point["busbw_gbytes_per_s"][name]) for name in STATISTICS),
                NOT_KNOWN if share is None else f"{share:.1%}",
                str(point["iterations"]),
                _lettered([_without_count(point, text) for text in point["notes"]], letters),
            )
        )
    note = (
        f"{NOT_KNOWN}: P95 needs 20 iterations and P99 100; without a line rate, or where nothing crosses it, there is no "
        f"efficiency. {_legend(letters)}"
    )
    return _table(f"{collective}: times and BusBW per accelerator", columns, rows, note.strip())


def _volumes(collective: str, points: Points) -> Table:
    columns = [*_NAMED[1:], number("S, bytes"), number("S_fabric, bytes"), Column(name="method")]
    columns += [number("derived"), number("counted"), number("difference"), Column(name="derivation")]
    columns += [number("algo_factor"), Column(name="data type")]
    letters: dict[str, str] = {}
    rows = []
    for point in points:
        fabric = point["s_fabric"]
        derivation = fabric["derivation"]
        rows.append(
            (
                *_name(point)[1:],
                str(point["s_bytes"]),
                _bytes(fabric["bytes"]),
                _known(fabric["method"]),
                _bytes(fabric["derived_bytes"]),
                _bytes(fabric["counted_bytes"]),
                _bytes(fabric["difference_bytes"]),
                NOT_KNOWN if derivation is None else _lettered([derivation], letters),
                _known(point["factor"]),
                str(point["dtype"]),
            )
        )
    note = (
        f"Intra-Node Transfer Overhead is part of every time and not told apart (3.2.5). {_legend(letters)}"
    )
    return _table(f"{collective}: data volume per participant (3.2.5)", columns, rows, note.strip())


def _without_count(point: Mapping[str, Any], text: str) -> str:
    """The number of iterations has a column, and would make every note another."""
    return text.removeprefix(f"{point['iterations']} iterations; ")


def _lettered(texts: Sequence[str], letters: dict[str, str]) -> str:
    """``a, b``: the letters of some sentences, new ones for those that have none yet."""
    for text in texts:
        number_of = len(letters)
        name = chr(ord("a") + number_of % 26) * (1 + number_of // 26)
        letters.setdefault(text, name)
    return ", ".join(letters[text] for text in texts)


def _legend(letters: Mapping[str, str]) -> str:
    return " ".join(f"({letter}) {text}." for text, letter in letters.items())


def _bytes(value: float | None) -> str:
    """Counted bytes are a share of many calls, so they need not be whole."""
    return NOT_KNOWN if value is None else f"{value:.0f}"


def trials(points: Points) -> Table:
    columns = [
        *_NAMED,
        number("attempted"),
        number("included"),
        Column(name="excluded, and why"),
        Column(name="ended by"),
    ]
    rows = [
        (
            *_name(point),
            str(point["trials"]["attempted"]),
            str(point["trials"]["included"]),
            "; ".join(f"{one['trials']} {one['reason']}" for one in point["trials"]["excluded"]) or "none",
            _known(point["trials"]["ended_by"]),
        )
        for point in points
    ]
    return _table("Trials of each point", columns, rows)


def repeatability(points: Points) -> Table:
    columns = [
        *_NAMED,
        number("iterations"),
        number("calls per trial"),
        number("CV of time"),
        number("CV of BusBW"),
    ]
    rows = [
        (
            *_name(point),
            str(point["iterations"]),
            str(point["calls_per_trial"]),
            _share(point["cv_time"]),
            _share(point["cv_busbw"]),
        )
        for point in points
    ]
    return _table("Iterations and coefficient of variation", columns, rows)


def comparability(points: Points) -> Table:
    """Table 4 of the draft; points that agree in all of it are one row."""
    columns = [Column(name="collective"), number("S, bytes"), number("algo_factor"), number("N")]
    columns += [number("accelerators per node"), Column(name="rail mapping"), number("line rate, Gb/s")]
    columns += [number("leaf oversubscription"), Column(name="transport"), Column(name="load balancing")]
    rows = {}
    for point in points:
        one = point["comparability"]
        row = (
            str(one["collective"]),
            str(one["s_bytes"]),
            _known(one["factor"]),
            _known(one["num_ranks"]),
            _known(one["ranks_per_host"]),
            _known(one["rail_map"]),
            _gbps(one["line_rate_gbytes_per_s"]),
            _known(one["leaf_oversubscription"]),
            _known(one["transport"]),
            _known(one["load_balancing"]),
        )
        rows[row] = row
    return _table("Comparability set (3.2.3, table 4)", columns, list(rows.values()))


def across(points_of_runs: Mapping[str, Points]) -> Table:
    """The comparability set of several runs, and whether they agree in it."""
    columns = [
        Column(name="parameter"),
        *(Column(name=run_id) for run_id in points_of_runs),
        Column(name="differs"),
    ]
    rows = []
    for name, key in PARAMETERS.items():
        told = [_distinct(points, key) for points in points_of_runs.values()]
        rows.append((name, *told, "yes" if len(set(told)) > 1 else "no"))
    return _table("Comparability set of the runs of this report", columns, rows)


def _distinct(points: Points, key: str) -> str:
    found = dict.fromkeys(_known(point["comparability"][key]) for point in points)
    return ", ".join(found) or NOT_KNOWN


_NAMED: Final = [Column(name="collective"), number("S"), Column(name="form")]


def _name(point: Mapping[str, Any]) -> tuple[str, str, str]:
    parts = [str(point["algorithm"]), str(point["pass"]), str(point["buffers"]).replace("_", " ")]
    form = ", ".join(parts if point["group"] == WORLD else [*parts, str(point["group"])])
    return str(point["collective"]), units.format_bytes(point["s_bytes"]), form


def _table(caption: str, columns: Sequence[Column], rows: Sequence[tuple[str, ...]], note: str = "") -> Table:
    folded = f"{caption}, {len(rows)} rows" if len(rows) > MOST_OPEN_ROWS else ""
    groups = (Group(rows=tuple(rows)),)
    return Table(caption=caption, columns=tuple(columns), groups=groups, note=note, summary=folded)


def _seconds(value: float | None) -> str:
    return NOT_KNOWN if value is None else units.format_seconds(value)


def _gbps(gbytes_per_s: float | None) -> str:
    """The draft gives BusBW in Gb/s per accelerator (section 4.1)."""
    return NOT_KNOWN if gbytes_per_s is None else f"{units.BITS_PER_BYTE * gbytes_per_s:.4g}"


def _share(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:.2%}"


def _known(value: Any) -> str:
    if value is None or value == "unknown":
        return NOT_KNOWN
    return f"{value:.10g}" if isinstance(value, float) else str(value)
