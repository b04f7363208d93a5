"""`linerate validate`: predicts every row of a table of published measurements and reports the error."""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.table import Table
from rich.text import Text

from bench.console import plain_or_terminal
from bench.model.attained import Published
from bench.model.choice import alternatives, candidates
from bench.model.gpu import gpu_named
from bench.model.held_out import Experience, experience, family_of
from bench.model.schedule import Schedule
from bench.model.units import gbytes_per_s
from bench.published import OWN_TABLE, TableRow, clusters_of, own_rows, read_table

HEALTHY: Final = "healthy"
WIDTH: Final = 165
"""Without a terminal: names of published runs are long, and stay whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One row, predicted. Rates in 10**9 byte/s of busbw; None where the hardware is not known well enough.

    Attributes:
        algorithm: the schedule of the table, or the one chosen; ``algorithm_source`` says which. ``asked``: as the table has it.
        relative_error: predicted over measured, less 1.
        is_above_ceiling: measured above what the hardware allows; None without a ceiling.
        left_out: clusters of linerate's own table that took no part in the expectation, because they hold this row.
    """

    name: str
    classification: str
    nodes: int
    collective: str
    algorithm: str | None
    algorithm_source: str
    asked: str
    measured_gbytes_per_s: float
    ceiling_gbytes_per_s: float | None
    predicted_gbytes_per_s: float | None
    low_gbytes_per_s: float | None
    high_gbytes_per_s: float | None
    relative_error: float | None
    bound_by: str | None
    is_above_ceiling: bool | None
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Errors of a set of rows: shares, not percent; None where no row was predicted.

    Attributes:
        coverage: share of rows inside their interval. mean_width: of the interval, over the prediction.
    """

    num_rows: int
    num_predicted: int
    mape: float | None
    median: float | None
    p90: float | None
    coverage: float | None
    mean_width: float | None
    num_above_ceiling: int


def validate(table: Path) -> list[Judged]:
    """Judge every row. Raises ValueError where the table cannot be read."""
    return [judge(row) for row in read_table(table)]


def judge(row: TableRow, rows: Sequence[Published] | None = None) -> Judged:
    """Predict one row from published runs of other clusters; ``rows``: from these instead of linerate's own."""
    measured = row.measured
    rows = own_rows() if rows is None else rows
    left_out = clusters_of(measured, rows)
    known = experience(rows, left_out)
    gpu = gpu_named(measured.gpu)
    has_nvls = gpu is not None and gpu.has_nvls
    size = (measured.collective, measured.num_hosts, measured.ranks_per_host)
    if measured.schedule is not None:
        possible: tuple[Schedule, ...] = (measured.schedule,)
        source, bounds = "given", possible
    else:
        has_pxn = gpu is not None and gpu.is_switched
        possible = candidates(*size, has_nvls=has_nvls, has_pxn=has_pxn)
        bounds = alternatives(*size, has_nvls=has_nvls)
        source = "chosen"
    outcomes = {schedule: _outcome(measured, schedule, known) for schedule in {*possible, *bounds}}
    reached = {s: outcomes[s] for s in possible if outcomes[s] is not None}
    ceilings = [min(limits.values()) for s in bounds if (limits := measured.limits_of(s))]
    ceiling = max(ceilings) if ceilings else None
    if not reached:
        return _judged(row, None, source, ceiling, None, None, None, None, left_out)
    best = max(reached, key=lambda s: reached[s][0])  # type: ignore[index]
    expected, bound, low, high = reached[best]  # type: ignore[misc]
    for schedule in bounds:
        # Where nobody said what ran, it may have been another one; reduction in the network is set up, never a surprise.
        other = None if schedule is Schedule.sharp else outcomes[schedule]
        if other is not None:
            low, high = min(low, other[2]), max(high, other[3])
    if ceiling is not None:
        high = min(high, ceiling)
    return _judged(row, best, source, ceiling, expected, low, high, bound, left_out)


def _outcome(
    measured: Published, schedule: Schedule, known: Experience
) -> tuple[float, str, float, float] | None:
    expected = known.shares.expected(measured.limits_of(schedule))
    if expected is None:
        return None
    rate, resource = expected
    family = family_of(measured)
    low, high = known.low.get(family, 0.0), known.high.get(family, np.inf)
    if not measured.is_inside_known:
        low = 0.0  # GPUs that talk over PCIe may be held up there, nobody knows how far
    return rate, resource, rate * low, rate * high


def _judged(
    row: TableRow,
    schedule: Schedule | None,
    source: str,
    ceiling: float | None,
    expected: float | None,
    low: float | None,
    high: float | None,
    bound: str | None,
    left_out: frozenset[str],
) -> Judged:
    measured = row.measured

    def rate(value: float | None) -> float | None:
        return None if value is None else gbytes_per_s(value)

    return Judged(
        name=measured.name,
        classification=measured.classification,
        nodes=measured.num_hosts,
        collective=measured.collective.value,
        algorithm=None if schedule is None else schedule.value,
        algorithm_source=source,
        asked=row.algorithm,
        measured_gbytes_per_s=gbytes_per_s(measured.busbw_bytes_per_s),
        ceiling_gbytes_per_s=rate(ceiling),
        predicted_gbytes_per_s=rate(expected),
        low_gbytes_per_s=rate(low),
        high_gbytes_per_s=rate(high),
        relative_error=None if expected is None else expected / measured.busbw_bytes_per_s - 1,
        bound_by=bound,
        is_above_ceiling=None if ceiling is None else measured.busbw_bytes_per_s > ceiling,
        left_out=tuple(sorted(left_out)),
    )


def totals(rows: Sequence[Judged]) -> Totals:
    """Errors of ``rows``, each counted alike."""
    predicted = [row for row in rows if row.relative_error is not None]
    errors = [abs(row.relative_error or 0.0) for row in predicted]
    inside, widths = [], []
    for row in predicted:
        low, high, expected = row.low_gbytes_per_s, row.high_gbytes_per_s, row.predicted_gbytes_per_s
        if low is not None and high is not None and expected:
            inside.append(low <= row.measured_gbytes_per_s <= high)
            widths.append((high - low) / expected)
    return Totals(
        num_rows=len(rows),
        num_predicted=len(predicted),
        mape=statistics.fmean(errors) if errors else None,
        median=statistics.median(errors) if errors else None,
        p90=float(np.quantile(errors, 0.9)) if errors else None,
        coverage=statistics.fmean(inside) if inside else None,
        mean_width=statistics.fmean(widths) if widths else None,
        num_above_ceiling=sum(bool(row.is_above_ceiling) for row in rows),
    )


def groups(rows: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The sets of rows that totals are given for."""
    healthy = [row for row in rows if row.classification == HEALTHY]
    return {
        "healthy": healthy,
        "healthy_multi_node": [row for row in healthy if row.nodes > 1],
        "all": list(rows),
    }


def as_json(rows: Sequence[Judged]) -> dict[str, Any]:
    """``rows``, one per row of the table in its order, and ``totals`` by set of rows."""
    return {
        "rows": [_plain(row) for row in rows],
        "totals": {name: asdict(totals(found)) for name, found in groups(rows).items()},
    }


def _plain(row: Judged) -> dict[str, Any]:
    content = asdict(row)
    content["class"] = content.pop("classification")
    content["left_out"] = list(row.left_out)
    return content


def show(table: Path | None, json_out: Path | None) -> None:
    """Judge a table, or linerate's own, print it, and write JSON where asked.

    Raises:
        ValueError: the table cannot be read or the file not written.
    """
    rows = validate(table or OWN_TABLE)
    if not any(row.classification == HEALTHY for row in rows):
        found = ", ".join(sorted({row.classification or "(empty)" for row in rows}))
        sys.stderr.write(
            f"linerate: no row has the class healthy, so its totals are empty; classes are {found}\n"
        )
    if json_out is not None:
        try:
            json_out.write_text(json.dumps(as_json(rows), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"--json {json_out} cannot be written ({error.strerror}); name a file in a folder that exists"
            ) from error
    console = plain_or_terminal(width=WIDTH)
    console.print(_rows_table(rows))
    console.print(_totals_table(rows))
    num_left_out = sum(bool(row.left_out) for row in rows)
    console.print(
        "busbw in GB/s at large messages. ceiling: nominal payload rates. predicted: times the share of it that published "
        "runs of other clusters reached; interval: "
        f"90 % of held-out rows. {num_left_out} of {len(rows)} rows are in linerate's own table: each was predicted with its "
        "whole cluster left out.",
        markup=False,
    )
    misread = sorted({row.asked for row in rows if row.asked and row.algorithm_source == "chosen"})
    if misread:
        console.print(
            f"Algorithms without a closed form for their collective, so that one was chosen: {', '.join(misread)}",
            markup=False,
        )
    unknown = [row.name for row in rows if row.predicted_gbytes_per_s is None]
    if unknown:
        console.print(
            "Not predicted, because the network or the links inside are not known, or the collective has no closed form: "
            + ", ".join(unknown),
            markup=False,
        )


def _rows_table(rows: Sequence[Judged]) -> Table:
    table = Table()
    for name in ("name", "collective", "algorithm"):
        table.add_column(name, overflow="fold")
    for name in ("measured", "ceiling", "predicted", "interval", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("bound by")
    table.add_column("class", overflow="fold")
    for row in rows:
        algorithm = row.algorithm or "?"
        interval = (
            "" if row.low_gbytes_per_s is None else f"{row.low_gbytes_per_s:.4g}-{row.high_gbytes_per_s:.4g}"
        )
        cells = (
            row.name,
            row.collective,
            algorithm if row.algorithm_source == "given" else f"{algorithm} (chosen)",
            f"{row.measured_gbytes_per_s:.4g}",
            _cell(row.ceiling_gbytes_per_s),
            _cell(row.predicted_gbytes_per_s),
            interval,
            "" if row.relative_error is None else f"{100 * row.relative_error:+.1f} %",
            row.bound_by or "",
            row.classification,
        )
        table.add_row(*map(Text, cells))
    return table


def _totals_table(rows: Sequence[Judged]) -> Table:
    table = Table(title="errors", title_justify="left")
    table.add_column("rows")
    for name in ("number", "mean", "median", "p90", "inside interval", "mean width", "above ceiling"):
        table.add_column(name, justify="right")
    for name, found in groups(rows).items():
        summary = totals(found)
        table.add_row(
            name.replace("_", " "),
            f"{summary.num_predicted} of {summary.num_rows}",
            *(_percent(value) for value in (summary.mape, summary.median, summary.p90)),
            *(_percent(value) for value in (summary.coverage, summary.mean_width)),
            str(summary.num_above_ceiling),
        )
    return table


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
