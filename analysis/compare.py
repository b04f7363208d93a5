"""`compare_runs`: two sets of runs, point by point. Frames out; what they say in words is in `analysis.compare_view`."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.comparability import Difference, differences
from analysis.load import Run, load_runs
from bench.model import units
from bench.model.comparison.arm import Arm
from bench.model.comparison.judgement import Judgement, Verdict, judge
from bench.model.comparison.point import PointComparison, compare_point
from bench.model.comparison.power import num_starts_for, start_spread
from bench.point_key import PointKey, point_key
from bench.record import Record
from bench.summary import TIME_STATISTIC, factor_of, headline_s, is_valid

AB: Final = "ab.json"
"""In the folder above the two arms of `linerate ab`: their starts ran in turns, so they are compared in pairs."""

COLUMNS: Final = (
    *(
        "collective",
        "algorithm",
        "dtype",
        "reduce_op",
        "placement",
        "pass",
        "group",
        "num_ranks",
        "message_bytes",
    ),
    *("ratio", "ratio_low", "ratio_high", "p_adjusted", "verdict", "min_detectable_ratio", "method"),
    *(
        "num_base_starts",
        "num_new_starts",
        "num_base_samples",
        "num_new_samples",
        "base_time_s",
        "new_time_s",
    ),
    *(
        "base_busbw_gbytes_per_s",
        "new_busbw_gbytes_per_s",
        "base_algorithm",
        "new_algorithm",
        "starts_for_target",
        "why_not",
    ),
)
"""One row per point of `Compared.frame`. ratio: time of NEW over time of BASE, above 1 is slower; its interval holds for the
point alone, the verdict for all points together."""


TARGET_RATIO: Final = 1.05
"""starts_for_target: process starts of each side that would find a slow-down of 5 %, which is what SuperBench fails a node for
(microsoft/superbenchmark, docs/user-tutorial/data-diagnosis.md)."""


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
    by_key = (_points(base), _points(new))
    if is_experiment or anyway:
        by_key = _aligned(*by_key)
    shared = [key for key in by_key[0] if key in by_key[1]]
    if not is_experiment:
        forbidding = (*forbidding, *_of_points(by_key[0], by_key[1], shared))
    if forbidding and not anyway:
        told = "; ".join(map(str, forbidding[:8]))
        more = f"; and {len(forbidding) - 8} more" if len(forbidding) > 8 else ""
        raise NotComparableError(
            f"the runs are not comparable (BASE | NEW): {told}{more}. Give --anyway if this is the difference you want to see"
        )
    if not shared:
        raise NotComparableError(
            f"the runs have no point in common: {_name(names[0], by_key[0])}; {_name(names[1], by_key[1])}"
        )
    both = {key: _sides(by_key[0][key], by_key[1][key], is_experiment) for key in shared}
    usable = [key for key, (old, other) in both.items() if old and other]
    broken = _broken(by_key, shared, new, names[1])
    if not usable and not broken:
        raise NotComparableError(
            f"no point has a valid time on both sides: {names[0]} {_state(by_key[0], shared)}; {names[1]} "
            f"{_state(by_key[1], shared)}; the overlap pass is not compared"
        )
    found = [_compared(*both[key], is_experiment) for key in usable]
    rows = [
        _row(key, *both[key], judgement, _starts_for(*both[key], is_experiment, len(usable)))
        for key, judgement in zip(usable, judge(found), strict=True)
    ]
    missing = [key for key in by_key[0] if key not in by_key[1]]
    if any(run.is_partial for run in new):
        broken += [f"{key.label}: not there, and {names[1]} is partial" for key in missing]
        missing = []
    else:
        skipped = {key: reason for key in missing if (reason := _skipped(by_key[0][key], new))}
        broken += [f"{key.label}: skipped in {names[1]}: {reason}" for key, reason in skipped.items()]
        missing = [key for key in missing if key not in skipped]
    only_base = [key.label for key in missing]
    only_base += [
        f"{key.label} (no valid time in {names[0]})" for key in shared if not _starts(by_key[0][key])
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


Points = dict[PointKey, dict[tuple[int, int], Record]]
"""Of each point its records by start: which run of the side, and which repeat within it, which another program began anew."""


def _points(runs: Sequence[Run]) -> Points:
    found: Points = {}
    for number, run in enumerate(runs):
        for record in run.records:
            starts = found.setdefault(point_key(record), {})
            kept = starts.get((number, record.repeat))
            if kept is None or record.attempt >= kept.attempt:
                starts[number, record.repeat] = record
    return found


_ALIGNED: Final = (
    "asked_algorithm",
    "dtype",
    "reduce_op",
    "placement",
    "measure_pass",
    "group",
    "num_ranks",
    "root",
)


def _aligned(base: Points, new: Points) -> tuple[Points, Points]:
    """Keys under which two arms meet that differ in one thing on purpose, say pairwise against native exchanges.

    Where a field has one value in all points of a collective on each side, and not the same one, NEW is filed under BASE's.
    """
    renamed: Points = {}
    for key, records in new.items():
        changes: dict[str, Any] = {}
        for name in _ALIGNED:
            values = [
                {getattr(other, name) for other in side if other.collective == key.collective}
                for side in (base, new)
            ]
            if all(len(found) == 1 for found in values) and values[0] != values[1]:
                changes[name] = next(iter(values[0]))
        renamed[dataclasses.replace(key, **changes)] = records
    return base, renamed


def _is_usable(record: Record) -> bool:
    """Whether a record has a time to compare: complete, right data, every duration above 0."""
    if record.status != "complete" or not is_valid(record) or record.measure_pass == "overlap":
        return False
    return not record.durations_s or min(record.durations_s) > 0


def _starts(records: Mapping[tuple[int, int], Record]) -> list[Record]:
    """The usable records of a point, in the order of the starts."""
    return [records[start] for start in sorted(records) if _is_usable(records[start])]


def _sides(
    base: Mapping[tuple[int, int], Record], new: Mapping[tuple[int, int], Record], is_paired: bool
) -> tuple[list[Record], list[Record]]:
    """The usable records of both sides; in pairs only starts that both sides have."""
    if not is_paired:
        return _starts(base), _starts(new)
    both = [s for s in sorted(base) if s in new and _is_usable(base[s]) and _is_usable(new[s])]
    return [base[start] for start in both], [new[start] for start in both]


def _arm(records: Sequence[Record]) -> Arm:
    samples = [np.asarray(r.durations_s or _told_s(r), dtype=np.float64) for r in records]
    if all(r.durations_s for r in records):
        return Arm(starts_s=tuple(samples))
    rounding = []
    for record, values in zip(records, samples, strict=True):
        told, value = record.reported, float(values[0])
        is_told = told is not None and not record.durations_s
        low = told.time_low_s if is_told and told is not None else None
        high = told.time_high_s if is_told and told is not None else None
        rounding.append((low if low is not None else value, high if high is not None else value))
    return Arm(starts_s=tuple(samples), rounding_s=tuple(rounding))


def _compared(base: Sequence[Record], new: Sequence[Record], is_paired: bool) -> PointComparison:
    return compare_point(_arm(base), _arm(new), is_paired=is_paired and len(base) > 1)


def _row(
    key: PointKey,
    base: Sequence[Record],
    new: Sequence[Record],
    judgement: Judgement,
    starts_for_target: int | None,
) -> dict[str, Any]:
    comparison = judgement.comparison
    old, other = base, new
    base_s, new_s = _middle_s(old), _middle_s(other)
    return {
        "collective": key.collective,
        "algorithm": key.asked_algorithm,
        "dtype": key.dtype,
        "reduce_op": key.reduce_op,
        "placement": key.placement,
        "pass": key.measure_pass,
        "group": key.group,
        "num_ranks": key.num_ranks,
        "message_bytes": key.message_bytes,
        "ratio": comparison.ratio,
        "ratio_low": comparison.low,
        "ratio_high": comparison.high,
        "p_adjusted": judgement.adjusted_p,
        "verdict": judgement.verdict.name,
        "min_detectable_ratio": judgement.min_detectable_ratio,
        "method": comparison.method.value,
        "num_base_starts": comparison.num_base_starts,
        "num_new_starts": comparison.num_new_starts,
        "num_base_samples": sum(len(record.durations_s) for record in old),
        "num_new_samples": sum(len(record.durations_s) for record in other),
        "base_time_s": base_s,
        "new_time_s": new_s,
        "base_busbw_gbytes_per_s": _busbw(old[0], base_s),
        "new_busbw_gbytes_per_s": _busbw(other[0], new_s),
        "base_algorithm": _chosen(old),
        "new_algorithm": _chosen(other),
        "starts_for_target": starts_for_target,
        "why_not": judgement.why_not,
    }


def _starts_for(
    base: Sequence[Record], new: Sequence[Record], is_paired: bool, num_points: int
) -> int | None:
    """Starts that would find `TARGET_RATIO`; None where no spread between starts is known, or too many are needed."""
    old, other = _arm(base), _arm(new)
    pairs_up = is_paired and old.num_starts > 1
    if pairs_up:
        spread: float | None = float(np.std(np.log(other.values_s / old.values_s), ddof=1))
    else:
        spread = start_spread([old, other])
    if not spread:
        return None
    try:
        return num_starts_for(TARGET_RATIO, spread=spread, num_points=num_points, is_paired=pairs_up)
    except ValueError:
        return None


def _told_s(record: Record) -> list[float]:
    time_s = headline_s(record)
    return [] if time_s is None else [time_s]


def _middle_s(records: Sequence[Record]) -> float:
    """The headline time; of several starts its geometric mean, of which the ratio is that of the means."""
    times_s = [time_s for record in records if (time_s := headline_s(record)) is not None]
    return times_s[0] if len(times_s) == 1 else float(np.exp(np.log(times_s).mean()))


def _busbw(record: Record, time_s: float) -> float | None:
    factor = factor_of(record)
    if not factor or record.measure_pass == "overlap":
        return None
    return units.gbytes_per_s(factor * record.message_bytes / time_s)


def _chosen(records: Sequence[Record]) -> str:
    return ", ".join(sorted({record.algorithm for record in records}))


def _statistic(records: Sequence[Record]) -> str:
    told = {
        record.reported.statistic if record.reported and not record.durations_s else TIME_STATISTIC
        for record in records
    }
    return ", ".join(sorted(told))


def _of_points(base: Points, new: Points, shared: Sequence[PointKey]) -> list[Difference]:
    """Points whose times are other statistics, or that ran by other algorithms: one entry per pair of values."""
    found: dict[tuple[str, str, str], list[PointKey]] = {}
    for key in shared:
        old, other = _starts(base[key]), _starts(new[key])
        if not old or not other:
            continue
        for name, read in (("statistic of the time", _statistic), ("algorithm that ran", _chosen)):
            pair = (read(old), read(other))
            if pair[0] != pair[1]:
                found.setdefault((name, *pair), []).append(key)
    return [
        Difference(key=f"{name} ({_span(keys)})", base=old, new=other)
        for (name, old, other), keys in found.items()
    ]


def _span(keys: Sequence[PointKey]) -> str:
    first = keys[0].label
    return first if len(keys) == 1 else f"{first} and {len(keys) - 1} more points"


def _some(points: Points) -> str:
    if not points:
        return "none"
    labels = [key.text for key in points]
    return ", ".join(labels[:2]) + (f" and {len(labels) - 2} more" if len(labels) > 2 else "")


def _broken(
    by_key: tuple[Points, Points], shared: Sequence[PointKey], new: Sequence[Run], name: str
) -> list[str]:
    """Points that were right in BASE, and are wrong or without a time in any start of NEW."""
    found = []
    for key in shared:
        bad = [record for record in by_key[1][key].values() if _is_bad(record)]
        if bad and _starts(by_key[0][key]):
            of_starts = f"{len(bad)} of {len(by_key[1][key])} starts: " if len(by_key[1][key]) > 1 else ""
            found.append(f"{key.label}: {of_starts}{_why_bad(bad)} in {name}")
    return found


def _is_bad(record: Record) -> bool:
    return not _is_usable(record) and record.measure_pass != "overlap" and not _has_rate_alone(record)


def _has_rate_alone(record: Record) -> bool:
    """Whether another program printed a bandwidth and no time, which is nothing bad, and nothing to compare either."""
    return record.reported is not None and record.reported.time_s is None and record.status == "complete"


def _why_bad(records: Sequence[Record]) -> str:
    wrong = sum(record.num_wrong_elements or 0 for record in records)
    if wrong:
        return f"{wrong} wrong elements"
    return f"{', '.join(sorted({record.status for record in records}))}, without a valid time,"


def _skipped(records: Mapping[tuple[int, int], Record], new: Sequence[Run]) -> str | None:
    """Why NEW left a point out that it had planned; None where it had not."""
    names = {record.point_id for record in records.values()}
    for run in new:
        for text in run.manifest.skipped:
            point_id, _, reason = text.partition(": ")
            if point_id in names:
                return reason
    return None


def _refuse_overlap(base: Sequence[Run], new: Sequence[Run]) -> None:
    """One run on both sides is no comparison, unless it is the only one of both: that shows what equality looks like."""
    if len(base) == len(new) == 1:
        return
    both = {run.path.resolve() for run in base} & {run.path.resolve() for run in new}
    if both:
        raise NotComparableError(
            f"{min(both).name} is on both sides; name two sets of runs that have none in common"
        )


def _state(points: Points, keys: Sequence[PointKey]) -> str:
    records = [record for key in keys for record in points[key].values()]
    num_wrong = sum(record.status == "wrong_data" for record in records)
    return f"has {len(records)} records, {sum(map(_is_usable, records))} of them usable, {num_wrong} with wrong data"


def _name(name: str, points: Points) -> str:
    return f"{name} has {_some(points)}"


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
