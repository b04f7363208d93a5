"""`linerate gate`: floors per point, from runs of one's own or from derived ceilings, and runs held against them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.floor_file import read_floors
from bench.model.comparison.floor import (
    Floor,
    floor_from_ceiling,
    floor_from_tolerance,
    floors_from_baseline,
)
from bench.model.comparison.gate import Gate, gate
from bench.point_key import point_key
from bench.record import Record
from bench.run_folder import RunFolder
from bench.summary import factor_of, headline_s, is_valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """Runs held against floors. ``labels``: words for each point that is not named by its key alone."""

    gate: Gate
    runs: tuple[Path, ...]
    labels: Mapping[str, str]


def floors_of(
    *,
    baseline: Sequence[Path] = (),
    tolerance: float | None = None,
    ceiling_share: float | None = None,
    ceilings_of: Sequence[Path] = (),
    file: Path | None = None,
    min_bytes: int = 0,
) -> list[Floor]:
    """Floors by the one way that was asked for.

    baseline        the prediction bound of the next start, from three starts or more; with ``tolerance`` the median less it
    ceiling_share   so much of the derived ceiling of each point of the runs ``ceilings_of``
    file            as written before

    Raises:
        ValueError: no way or two of them, nothing to derive a floor from, a share above the ceiling.
    """
    ways = [bool(baseline), ceiling_share is not None, file is not None]
    if sum(ways) != 1:
        raise ValueError(
            "name one source of floors: --baseline RUN ..., --ceiling SHARE or --floors FILE; none is invented"
        )
    if tolerance is not None and not baseline:
        raise ValueError("--tolerance belongs to --baseline")
    if file is not None:
        return read_floors(file)
    runs = [_points(path) for path in (baseline or ceilings_of)]
    found: dict[str, list[Record]] = {}
    for run in runs:
        for key, records in run.items():
            if records[0].message_bytes >= min_bytes:
                found.setdefault(key, []).append(records[0])
    if ceiling_share is not None:
        floors = _from_ceilings(found, ceiling_share)
        if not floors:
            raise ValueError(
                "--ceiling: no point of these runs has a ceiling; name the optics and the fabric when you run"
            )
        return floors
    times_s = {
        key: [t for r in records if (t := headline_s(r)) is not None] for key, records in found.items()
    }
    bus_bytes = {key: size for key, records in found.items() if (size := _bus_bytes(records[0])) is not None}
    if not times_s:
        raise ValueError("--baseline: no point of these runs has a valid time")
    if tolerance is not None:
        return [
            floor_from_tolerance(key, times, tolerance=tolerance, bus_bytes=bus_bytes.get(key))
            for key, times in times_s.items()
        ]
    return list(floors_from_baseline(times_s, bus_bytes=bus_bytes))


def gate_runs(floors: Sequence[Floor], runs: Sequence[Path], *, least_misses: int | None = None) -> Gated:
    """Hold runs against floors.

    Raises:
        ValueError: a run that cannot be read, or a number of misses that no number of runs can reach.
    """
    points = [_points(path) for path in runs]
    times_s = [{key: median(_times_s(records)) for key, records in run.items()} for run in points]
    labels = {key: point_key(records[0]).label for run in points for key, records in run.items()}
    return Gated(gate=gate(floors, times_s, least_misses=least_misses), runs=tuple(runs), labels=labels)


def _from_ceilings(found: Mapping[str, Sequence[Record]], share: float) -> list[Floor]:
    floors = []
    for key, records in found.items():
        record = records[0]
        if not record.ceiling_time_s or record.is_bucket_dominated:
            continue
        floors.append(
            floor_from_ceiling(
                key,
                record.ceiling_time_s,
                share=share,
                ceiling=record.predicted_bound or "the links",
                bus_bytes=_bus_bytes(record),
            )
        )
    return floors


def _points(path: Path) -> dict[str, list[Record]]:
    """The valid records of a run by the text of their key; of several attempts the last, repeats beside one another."""
    records, _ = RunFolder(path).readable_records()
    last: dict[tuple[str, int], Record] = {}
    for record in records:
        place = (point_key(record).text, record.repeat)
        if place not in last or record.attempt >= last[place].attempt:
            last[place] = record
    found: dict[str, list[Record]] = {}
    for (key, _), record in last.items():
        if record.status == "complete" and is_valid(record) and record.measure_pass != "overlap":
            found.setdefault(key, []).append(record)
    return found


def _times_s(records: Sequence[Record]) -> list[float]:
    return [time_s for record in records if (time_s := headline_s(record)) is not None]


def _bus_bytes(record: Record) -> float | None:
    factor = factor_of(record)
    return factor * record.message_bytes if factor else None
