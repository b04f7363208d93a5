"""`compare_runs`: two sets of runs, point by point. Frames out; what they say in words is in `analysis.compare_view`."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from analysis.comparability import Difference, differences
from analysis.compare_points import (
    aligned,
    broken_points,
    differences_of_points,
    named,
    points_of,
    sides_of,
    state_of,
    usable_starts,
    why_skipped,
)
from analysis.compare_rows import COLUMNS, compared_point, row_of, starts_for_target
from analysis.load import Run, load_runs
from bench.model.comparison.judgement import Verdict, judge

AB: Final = "ab.json"
"""In the folder above the two arms of `linerate ab`: their starts ran in turns, so they are compared in pairs."""


class NotComparableError(ValueError):
    """Two runs that measured different things; the text lists the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The outcome.

    Attributes:
        frame: one row per point that both sides have, columns `COLUMNS`.
        broken: points that were right in BASE and are wrong, failed or missing in NEW although it planned them, with why.
        only_base, only_new: labels of points that one side alone has.
        changed: what else differs between the sides. forbidding: what would have been refused without ``anyway``.
        is_paired: starts of both sides ran in turns. names: what the sides are called.
    """

    base: tuple[Run, ...]
    new: tuple[Run, ...]
    frame: pd.DataFrame
    broken: tuple[str, ...]
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]
    changed: tuple[Difference, ...]
    forbidding: tuple[Difference, ...]
    is_paired: bool
    names: tuple[str, str] = ("BASE", "NEW")

    @property
    def num_slower(self) -> int:
        return int((self.frame["verdict"] == Verdict.slower.name).sum())

    @property
    def num_faster(self) -> int:
        return int((self.frame["verdict"] == Verdict.faster.name).sum())

    @property
    def has_regressed(self) -> bool:
        """Whether any point is slower, or no longer right."""
        return self.num_slower > 0 or bool(self.broken)


def compare_paths(base: Path, new: Path, *, anyway: bool = False) -> Compared:
    """Compare what lies at two paths: a run folder each, or a folder of runs, which count as starts of one thing.

    Raises:
        ValueError: no runs there.
        NotComparableError: they measured different things.
    """
    if _are_arms(base, new):
        pairs = _pairs_of(base, new)
        if pairs:
            sides = [load_runs([pair[side] for pair in pairs]) for side in (0, 1)]
            return compare_runs(*sides, anyway=anyway, is_experiment=True)
    return compare_runs(load_runs([base]), load_runs([new]), anyway=anyway)


def _pairs_of(base: Path, new: Path) -> list[tuple[Path, Path]]:
    """Runs of both arms that ran in the same turn, in order, as ab.json tells; none where it cannot be read."""
    try:
        plan = json.loads((base.resolve().parent / AB).read_text(encoding="utf-8"))
        told = {(start["arm"], start["number"]): start["run"] for start in plan["starts"] if start["run"]}
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return []
    numbers = sorted({number for _, number in told})
    pairs = [
        tuple(arm / str(told[arm.resolve().name, number]) for arm in (base, new))
        for number in numbers
        if all((arm.resolve().name, number) in told for arm in (base, new))
    ]
    return [(old, other) for old, other in pairs if old.is_dir() and other.is_dir()]


def compare_runs(
    base: Sequence[Run],
    new: Sequence[Run],
    *,
    anyway: bool = False,
    is_experiment: bool = False,
) -> Compared:
    """Compare two sides; each run is one start of the processes.

    ``anyway``: also where they measured different things. ``is_experiment``: the sides are the arms of `linerate ab`: they
    differ on purpose, and their i-th runs ran in turns.

    Raises:
        NotComparableError: the sides measured different things, or have no point in common.
        ValueError: a side without runs.
    """
    for side, runs in (("BASE", base), ("NEW", new)):
        if not runs:
            raise ValueError(f"{side} holds no run; name a run folder, or a folder of run folders")
    names = ("A", "B") if is_experiment else ("BASE", "NEW")
    _refuse_overlap(base, new)
    forbidding, changed = differences(base, new)
    if is_experiment:
        # Two arms of one experiment differ in what their overrides say, and that is the point of it.
        changed = (*forbidding, *changed)
        forbidding = tuple(item for item in forbidding if " within " in item.key)
    by_key = (points_of(base), points_of(new))
    if is_experiment or anyway:
        by_key = aligned(*by_key)
    shared = [key for key in by_key[0] if key in by_key[1]]
    if not is_experiment:
        forbidding = (*forbidding, *differences_of_points(by_key[0], by_key[1], shared))
    if forbidding and not anyway:
        told = "; ".join(map(str, forbidding[:8]))
        more = f"; and {len(forbidding) - 8} more" if len(forbidding) > 8 else ""
        raise NotComparableError(
            f"the runs are not comparable (BASE | NEW): {told}{more}. Give --anyway if this is the difference you want to see"
        )
    if not shared:
        raise NotComparableError(
            f"the runs have no point in common: {named(names[0], by_key[0])}; {named(names[1], by_key[1])}"
        )
    both = {key: sides_of(by_key[0][key], by_key[1][key], is_experiment) for key in shared}
    usable = [key for key, (old, other) in both.items() if old and other]
    broken = broken_points(by_key, shared, new, names[1])
    if not usable and not broken:
        raise NotComparableError(
            f"no point has a valid time on both sides: {names[0]} {state_of(by_key[0], shared)}; {names[1]} "
            f"{state_of(by_key[1], shared)}; the overlap pass is not compared"
        )
    found = [compared_point(*both[key], is_experiment) for key in usable]
    rows = [
        row_of(key, *both[key], judgement, starts_for_target(*both[key], is_experiment, len(usable)))
        for key, judgement in zip(usable, judge(found), strict=True)
    ]
    missing = [key for key in by_key[0] if key not in by_key[1]]
    if any(run.is_partial for run in new):
        broken += [f"{key.label}: not there, and {names[1]} is partial" for key in missing]
        missing = []
    else:
        skipped = {key: reason for key in missing if (reason := why_skipped(by_key[0][key], new))}
        broken += [f"{key.label}: skipped in {names[1]}: {reason}" for key, reason in skipped.items()]
        missing = [key for key in missing if key not in skipped]
    only_base = [key.label for key in missing]
    only_base += [
        f"{key.label} (no valid time in {names[0]})" for key in shared if not usable_starts(by_key[0][key])
    ]
    return Compared(
        base=tuple(base),
        new=tuple(new),
        frame=pd.DataFrame(rows, columns=list(COLUMNS)),
        broken=tuple(broken),
        only_base=tuple(only_base),
        only_new=tuple(key.label for key in by_key[1] if key not in by_key[0]),
        changed=changed,
        forbidding=forbidding,
        is_paired=is_experiment,
        names=names,
    )


def _refuse_overlap(base: Sequence[Run], new: Sequence[Run]) -> None:
    """One run on both sides is no comparison, unless it is the only one of both: that shows what equality looks like."""
    if len(base) == len(new) == 1:
        return
    both = {run.path.resolve() for run in base} & {run.path.resolve() for run in new}
    if both:
        raise NotComparableError(
            f"{min(both).name} is on both sides; name two sets of runs that have none in common"
        )


def _are_arms(base: Path, new: Path) -> bool:
    """Whether both paths are the arms of one experiment."""
    first, second = base.resolve(), new.resolve()
    are_two = first.parent == second.parent and {first.name, second.name} == {"a", "b"}
    return are_two and (first.parent / AB).is_file()


def as_json(compared: Compared) -> dict[str, Any]:
    """Everything, as plain data for --json; what is not known is null."""
    rows = compared.frame.astype(object).where(compared.frame.notna(), None).to_dict("records")
    return {
        "base": [str(run.manifest.run_id) for run in compared.base],
        "new": [str(run.manifest.run_id) for run in compared.new],
        "is_paired": compared.is_paired,
        "num_points": len(compared.frame),
        "num_slower": compared.num_slower,
        "num_faster": compared.num_faster,
        "broken": list(compared.broken),
        "only_base": list(compared.only_base),
        "only_new": list(compared.only_new),
        "changed": [dataclasses.asdict(item) for item in compared.changed],
        "forbidding": [dataclasses.asdict(item) for item in compared.forbidding],
        "points": rows,
    }
