"""`Row` and the table made of rows, with the machine, the versions and the command below."""

import datetime
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench import provenance
from bench.model.interval import median_interval_rank
from bench.model.units import format_seconds

HEADER = ("what", "measured", "95 % interval", "target", "met", "how")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        is_met: None where there is no target, or too few repetitions to say.
        is_clear: false where it is met only because the interval is too wide to say that it is missed.
    """

    question: str
    measured: str
    interval: str = ""
    target: str = ""
    is_met: bool | None = None
    is_clear: bool = True
    detail: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.question,
            self.measured,
            self.interval,
            self.target,
            verdict(self.is_met, is_clear=self.is_clear),
            self.detail,
        )


def row(
    question: str,
    values: Sequence[float],
    target: float | None,
    *,
    shown: Callable[[float], str] | None = None,
    is_low_enough: bool = False,
    detail: str = "",
) -> Row:
    """Median of repetitions and its interval against a target from above.

    ``is_low_enough``: met if the interval reaches down to the target, so what cannot be told from it counts as met; else the
    median must not exceed it.
    """
    shown = shown or ratio_text
    limits = interval(values)
    decisive = median(values) if not is_low_enough else limits[0] if limits else None
    return Row(
        question=question,
        measured=shown(median(values)),
        interval=interval_text(values, shown),
        target=""
        if target is None
        else f"<= {format(target, 'g') if shown is ratio_text else shown(target)}",
        is_met=None if target is None or decisive is None else decisive <= target,
        is_clear=not is_low_enough or target is None or limits is None or limits[1] <= target,
        detail=detail,
    )


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """[x_(k), x_(n+1-k)], which covers the median of independent repetitions with at least 95 %; None below 6.

    Source: David and Nagaraja, Order Statistics, section 7.1. The same as in `bench.model.difference.paired_median_ratio`, for
    differences as well as ratios.
    """
    rank = median_interval_rank(len(values))
    ordered = sorted(values)
    return (ordered[rank - 1], ordered[-rank]) if rank else None


def interval_text(values: Sequence[float], shown: Callable[[float], str]) -> str:
    limits = interval(values)
    return f"{shown(limits[0])} to {shown(limits[1])}" if limits else f"none from {len(values)}"


def verdict(is_met: bool | None, *, is_clear: bool = True) -> str:
    """A target that lies inside the interval counts as met, but the table says that this shows little."""
    if is_met and not is_clear:
        return "not excluded"
    return {True: "yes", False: "no", None: ""}[is_met]


def ratio_text(value: float) -> str:
    return f"{value:.3f}"


def seconds_text(value_s: float) -> str:
    """With its sign where it is below 0, as a cost can be that is too small to be seen."""
    return f"-{format_seconds(-value_s)}" if value_s < 0 else format_seconds(value_s)


def markdown(
    title: str, method: str, header: Sequence[str], rows: Sequence[Sequence[str]], origin: str
) -> str:
    """Title, what the numbers are, the table, and where they come from."""
    lines = [f"# {title}", "", method, "", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([*lines, "", origin])


def origin(program: str, *more: str) -> Callable[[], str]:
    """Call it before measuring, for the load; what it returns gives the lines that go below the table."""
    load = os.getloadavg()[0]
    return lambda: "\n".join(_origin_lines(program, load, more)) + "\n"


def _origin_lines(program: str, load: float, more: Sequence[str]) -> Iterator[str]:
    host, versions = provenance.host(), provenance.versions()
    yield f"Measured {datetime.datetime.now(datetime.UTC):%Y-%m-%d} (UTC) with"
    yield ""
    yield f"    {shlex.join(['python', f'benchmarks/{program}', *sys.argv[1:]])}"
    yield ""
    usable = f"{host['num_usable_processors']} of {host['num_processors']} processors usable"
    memory = f"{host['memory_bytes'] / 2**30:.0f} GiB of memory"
    yield f"on {host['processor']}, {usable}, {memory}, load {load:.2f} before (average of a minute);"
    yield ", ".join([*(f"{name} {version}" for name, version in versions.items()), *more]) + "."
