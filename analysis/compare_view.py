"""What `linerate compare` prints: a sentence first, then every point, then what else differs."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.compare import Compared
from analysis.compare_rows import TARGET_RATIO
from analysis.figures import words
from bench.model import units
from bench.model.comparison.judgement import Verdict
from bench.model.comparison.point import Method
from bench.model.comparison.power import ERROR_RATE
from bench.summary import series_name

WIDTH_WITHOUT_TERMINAL: Final = 150

_STYLES: Final = {
    Verdict.slower.name: ("slower", "bold red"),
    Verdict.faster.name: ("faster", "bold green"),
    Verdict.no_difference_found.name: ("no difference found", ""),
    Verdict.cannot_tell.name: ("cannot tell", "yellow"),
}

MOST_LISTED: Final = 12
"""Of what one side alone has, or what changed, so many are listed; the rest is counted, and --json holds all."""


def show(compared: Compared) -> None:
    """Print a comparison."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    for sentence in sentences(compared):
        console.print(sentence, markup=False, soft_wrap=True)
    if not compared.frame.empty:
        console.print(_table(compared))
    for line in _notes(compared):
        console.print(line, markup=False, soft_wrap=True)


def title_of(compared: Compared) -> str:
    """``BASE 20261124T... against NEW 20261125T...``."""
    base, new = (_side(runs) for runs in (compared.base, compared.new))
    base_name, new_name = compared.names
    return f"{base_name} {base} against {new_name} {new}"


def sentences(compared: Compared) -> list[str]:
    """The outcome in words, the worst first. No number is averaged over sizes."""
    frame, backend = compared.frame, compared.base[0].manifest.backend
    new_name = compared.names[1]
    found = []
    if compared.broken:
        found.append(f"Missing or no longer right: {_listed(compared.broken)}.")
    for name, word in ((Verdict.slower.name, "slower"), (Verdict.faster.name, "faster")):
        rows = frame[frame["verdict"] == name]
        if len(rows):
            far = rows.iloc[int(np.abs(np.log(rows["ratio"].to_numpy(dtype=float))).argmax())]
            found.append(
                f"{len(rows)} of {len(frame)} points {'is' if len(rows) == 1 else 'are'} {word} in {new_name}; the largest change is "
                f"{_change(float(far['ratio']))} in time, {_name(far, backend)} of {units.format_bytes(int(far['message_bytes']))}."
            )
    silent = frame[frame["verdict"] == Verdict.no_difference_found.name]
    if len(silent):
        found.append(f"No difference was found at {len(silent)} of {len(frame)} points{_could_see(silent)}.")
    unknown = frame[frame["verdict"] == Verdict.cannot_tell.name]
    if len(unknown):
        reasons = unknown["why_not"].dropna().unique()
        found.append(
            f"{len(unknown)} of {len(frame)} points cannot be judged: {'; '.join(map(str, reasons[:2])) or 'too few samples'}."
        )
    return found


def _could_see(rows: pd.DataFrame) -> str:
    """The range of what would have been found; a claim of equality goes no further than that."""
    ratios = rows["min_detectable_ratio"].dropna().astype(float)
    if ratios.empty:
        return ""
    least, most = words.least_change(float(ratios.min())), words.least_change(float(ratios.max()))
    if least == most:
        return f"; 9 times in 10, {least} would have been found"
    return f"; 9 times in 10, {least} would have been found where the spread is least, and {most} where it is largest"


def _table(compared: Compared) -> Table:
    title = f"{title_of(compared)}; time of {compared.names[1]} over time of {compared.names[0]}, above 1 is slower"
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    table.add_column("collective")
    table.add_column("size", justify="right", no_wrap=True)
    base_name, new_name = compared.names
    for name in (base_name, new_name, f"{new_name} / {base_name}", "95 % interval", "would be\nfound from"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    previous, backend = None, compared.base[0].manifest.backend
    for _, row in compared.frame.iterrows():
        name = _name(row, backend)
        word, style = _STYLES[str(row["verdict"])]
        table.add_row(
            Text(name if name != previous else ""),
            units.format_bytes(int(row["message_bytes"])),
            units.format_seconds(float(row["base_time_s"])),
            units.format_seconds(float(row["new_time_s"])),
            f"{float(row['ratio']):.3f}",
            _interval(row),
            words.least_found(float(row["min_detectable_ratio"] or math.nan)),
            Text(word, style=style),
        )
        previous = name
    return table


def _notes(compared: Compared) -> list[str]:
    found = []
    frame = compared.frame
    base_name, new_name = compared.names
    methods = list(frame["method"].unique()) if len(frame) else []
    if frame["ratio_low"].notna().any():
        found.append(
            f"Intervals hold for one point; they rest on: {'; '.join(methods)}. Verdicts hold for all points together "
            f"(Holm, {ERROR_RATE:.0%})."
        )
    if Method.iterations.value in methods:
        found.append(
            "One start of the processes on a side: what differs from start to start (placement, memory, ports) is not in the "
            "interval. `linerate ab` measures it, and several runs in one folder are compared as starts."
        )
    needed = [int(count) for count in frame["starts_for_target"].dropna()] if len(frame) else []
    if needed:
        least, most = min(needed), max(needed)
        span = f"{least}" if least == most else f"{least} to {most} (depending on the point)"
        found.append(
            f"To find a slow-down of {TARGET_RATIO - 1:.0%} 9 times in 10 takes {span} starts of each side, at the spread seen here."
        )
    for title, labels in (
        (f"Only in {base_name}", compared.only_base),
        (f"Only in {new_name}", compared.only_new),
    ):
        if labels:
            found.append(f"{title}, so not compared: {_listed(labels)}.")
    apart = [row for _, row in frame.iterrows() if _is_apart(row)]
    if apart:
        found.append(
            f"At {len(apart)} points the two times and the ratio tell different stories: times are medians, the ratio is the typical "
            "one over all pairs of samples; they part where samples have two modes. Look at the distribution (linerate report)."
        )
    if len(frame) and (frame["verdict"] == Verdict.cannot_tell.name).all():
        found.append(
            "Nothing could be judged, so exit status 0 is no clean bill. Measure with more samples or starts, or hold the runs "
            "against a tolerance of yours: linerate gate NEW --baseline BASE --tolerance 0.05."
        )
    if compared.forbidding:
        told = "; ".join(map(str, compared.forbidding[:MOST_LISTED]))
        found.append(f"Compared although they measured different things ({base_name} | {new_name}): {told}.")
    if compared.changed:
        told = "; ".join(map(str, compared.changed[:MOST_LISTED]))
        more = len(compared.changed) - MOST_LISTED
        found.append(
            f"What else differs ({base_name} | {new_name}): {told}{f'; and {more} more' if more > 0 else ''}."
        )
    for side, runs in ((base_name, compared.base), (new_name, compared.new)):
        for run in runs:
            if run.is_partial:
                found.append(f"{side} {run.manifest.run_id} is partial: {run.why_partial}.")
    return found


def _is_apart(row: "pd.Series[Any]") -> bool:
    """Whether the ratio of the times shown lies outside the interval of the ratio."""
    if pd.isna(row["ratio_low"]) or pd.isna(row["ratio_high"]):
        return False
    shown = float(row["new_time_s"]) / float(row["base_time_s"])
    return not float(row["ratio_low"]) <= shown <= float(row["ratio_high"])


def _listed(labels: Sequence[str]) -> str:
    told = ", ".join(labels[:MOST_LISTED])
    more = len(labels) - MOST_LISTED
    return f"{told} and {more} more" if more > 0 else told


def _side(runs: Sequence[Any]) -> str:
    first = runs[0].manifest.run_id
    return first if len(runs) == 1 else f"{first} and {len(runs) - 1} more"


def _interval(row: "pd.Series[Any]") -> str:
    if pd.isna(row["ratio_low"]) or pd.isna(row["ratio_high"]):
        return ""
    interval = f"{float(row['ratio_low']):.3f} to {float(row['ratio_high']):.3f}"
    return f"{interval} (rounding)" if row["method"] == Method.rounding.value else interval


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _name(row: "pd.Series[Any]", backend: str) -> str:
    return series_name(
        collective=str(row["collective"]),
        algorithm=str(row["algorithm"]),
        placement=str(row["placement"]),
        measure_pass=str(row["pass"]),
        group=str(row["group"]),
        backend=backend,
    )
