"""`Points`: the points of one side of a comparison, start by start, and which of them can be compared."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from analysis.comparability import Difference
from analysis.load import Run
from bench.point_key import PointKey, point_key
from bench.record import Record
from bench.summary import TIME_STATISTIC, is_valid

Points = dict[PointKey, dict[tuple[int, int], Record]]
"""Of each point its records by start: which run of the side, and which repeat within it, which another program began anew."""


def points_of(runs: Sequence[Run]) -> Points:
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


def aligned(base: Points, new: Points) -> tuple[Points, Points]:
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


def is_usable(record: Record) -> bool:
    """Whether a record has a time to compare: complete, right data, every duration above 0."""
    if record.status != "complete" or not is_valid(record) or record.measure_pass == "overlap":
        return False
    return not record.durations_s or min(record.durations_s) > 0


def usable_starts(records: Mapping[tuple[int, int], Record]) -> list[Record]:
    """The usable records of a point, in the order of the starts."""
    return [records[start] for start in sorted(records) if is_usable(records[start])]


def sides_of(
    base: Mapping[tuple[int, int], Record], new: Mapping[tuple[int, int], Record], is_paired: bool
) -> tuple[list[Record], list[Record]]:
    """The usable records of both sides; in pairs only starts that both sides have."""
    if not is_paired:
        return usable_starts(base), usable_starts(new)
    both = [s for s in sorted(base) if s in new and is_usable(base[s]) and is_usable(new[s])]
    return [base[start] for start in both], [new[start] for start in both]


def algorithms_of(records: Sequence[Record]) -> str:
    return ", ".join(sorted({record.algorithm for record in records}))


def _statistic(records: Sequence[Record]) -> str:
    told = {
        record.reported.statistic if record.reported and not record.durations_s else TIME_STATISTIC
        for record in records
    }
    return ", ".join(sorted(told))


def differences_of_points(base: Points, new: Points, shared: Sequence[PointKey]) -> list[Difference]:
    """Points whose times are other statistics, or that ran by other algorithms: one entry per pair of values."""
    found: dict[tuple[str, str, str], list[PointKey]] = {}
    for key in shared:
        old, other = usable_starts(base[key]), usable_starts(new[key])
        if not old or not other:
            continue
        for name, read in (("statistic of the time", _statistic), ("algorithm that ran", algorithms_of)):
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


def broken_points(
    by_key: tuple[Points, Points], shared: Sequence[PointKey], new: Sequence[Run], name: str
) -> list[str]:
    """Points that were right in BASE, and are wrong or without a time in any start of NEW."""
    found = []
    for key in shared:
        bad = [record for record in by_key[1][key].values() if _is_bad(record)]
        if bad and usable_starts(by_key[0][key]):
            of_starts = f"{len(bad)} of {len(by_key[1][key])} starts: " if len(by_key[1][key]) > 1 else ""
            found.append(f"{key.label}: {of_starts}{_why_bad(bad)} in {name}")
    return found


def _is_bad(record: Record) -> bool:
    return not is_usable(record) and record.measure_pass != "overlap" and not _has_rate_alone(record)


def _has_rate_alone(record: Record) -> bool:
    """Whether another program printed a bandwidth and no time, which is nothing bad, and nothing to compare either."""
    return record.reported is not None and record.reported.time_s is None and record.status == "complete"


def _why_bad(records: Sequence[Record]) -> str:
    wrong = sum(record.num_wrong_elements or 0 for record in records)
    if wrong:
        return f"{wrong} wrong elements"
    return f"{', '.join(sorted({record.status for record in records}))}, without a valid time,"


def why_skipped(records: Mapping[tuple[int, int], Record], new: Sequence[Run]) -> str | None:
    """Why NEW left a point out that it had planned; None where it had not."""
    names = {record.point_id for record in records.values()}
    for run in new:
        for text in run.manifest.skipped:
            point_id, _, reason = text.partition(": ")
            if point_id in names:
                return reason
    return None


def state_of(points: Points, keys: Sequence[PointKey]) -> str:
    records = [record for key in keys for record in points[key].values()]
    num_wrong = sum(record.status == "wrong_data" for record in records)
    return f"has {len(records)} records, {sum(map(is_usable, records))} of them usable, {num_wrong} with wrong data"


def named(name: str, points: Points) -> str:
    return f"{name} has {_some(points)}"
