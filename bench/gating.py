"""`linerate gate`: floors per point, from runs of one's own or from derived ceilings, and runs held against them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.floor_file import read_floors
from bench.model import units
from bench.model.comparison.floor import (
    Floor,
    floor_from_ceiling,
    floor_from_tolerance,
    floors_from_baseline,
)
from bench.model.comparison.gate import Gate, gate
from bench.point_key import point_key
from bench.record import Record, RunManifest
from bench.run_folder import RunFolder
from bench.summary import factor_of, headline_s, is_valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """Runs held against floors.

    ``labels``: words for the points that the runs have. ``wrong``: points that a run has, without a valid time or right data.
    """

    gate: Gate
    runs: tuple[Path, ...]
    labels: Mapping[str, str]
    wrong: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """Floors, and the system that they hold for; None: for any."""

    floors: tuple[Floor, ...]
    system: str | None


def system_of(manifest: RunManifest) -> str:
    """What a floor holds for: another number of ranks is another point already, and hosts of one kind may stand in for each other."""
    rate = (manifest.config.get("transceiver") or {}).get("nominal_rate_gbps")
    parts = [manifest.launcher, manifest.backend, manifest.config.get("device") or "device not known"]
    parts += [manifest.ranks_on_hosts, f"fabric {manifest.fabric}", f"optics of {rate or 'unknown'} Gb/s"]
    if manifest.time_scale is not None:
        link = (manifest.links or {}).get("rate_bytes_per_s")
        parts.append(f"at 1/{manifest.time_scale:g}, link of {link} B/s")
    return ", ".join(map(str, parts))


def floors_of(
    *,
    baseline: Sequence[Path] = (),
    tolerance: float | None = None,
    ceiling_share: float | None = None,
    ceilings_of: Sequence[Path] = (),
    file: Path | None = None,
    min_bytes: int = 0,
) -> Floors:
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
        if min_bytes:
            raise ValueError(
                "--min-size chooses points when floors are made; --floors has its own, so leave one out"
            )
        read, system = read_floors(file)
        return Floors(floors=tuple(read), system=system)
    paths = baseline or ceilings_of
    if not paths:
        raise ValueError("--ceiling: name the runs whose ceilings are meant")
    _refuse_twice(paths, "--baseline" if baseline else "RUN")
    system = _one_system(paths)
    runs = [_points(path)[0] for path in paths]
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
        return Floors(floors=tuple(floors), system=system)
    if not found:
        least = f" of {units.format_bytes(min_bytes)} or more" if min_bytes else ""
        raise ValueError(f"--baseline: no point{least} of these runs has a valid time")
    times_s = {
        key: [t for r in records if (t := headline_s(r)) is not None] for key, records in found.items()
    }
    bus_bytes = {key: size for key, records in found.items() if (size := _bus_bytes(records[0])) is not None}
    if tolerance is not None:
        made = [
            floor_from_tolerance(key, times, tolerance=tolerance, bus_bytes=bus_bytes.get(key))
            for key, times in times_s.items()
        ]
    else:
        made = list(floors_from_baseline(times_s, bus_bytes=bus_bytes))
    return Floors(floors=tuple(made), system=system)


def gate_runs(
    floors: Floors, runs: Sequence[Path], *, least_misses: int | None = None, anyway: bool = False
) -> Gated:
    """Hold runs against floors; ``anyway``: also where the floors hold for another system.

    Raises:
        ValueError: a run that cannot be read or is named twice, runs of another system, a number of misses that no number of runs
            can reach.
    """
    _refuse_twice(runs, "RUN")
    if floors.system is not None and not anyway:
        for path in runs:
            system = system_of(RunFolder(path).manifest())
            if system != floors.system:
                raise ValueError(
                    f"the floors hold for {floors.system}; {path} is {system}. Take floors of the same system, or --anyway"
                )
    if least_misses is not None and not 1 <= least_misses <= len(runs):
        raise ValueError(f"--misses is {least_misses}; with {len(runs)} runs it is 1 to {len(runs)}")
    points = [_points(path) for path in runs]
    times_s = [{key: median(_times_s(records)) for key, records in run.items()} for run, _ in points]
    labels = {key: point_key(records[0]).label for run, _ in points for key, records in run.items()}
    return Gated(
        gate=gate(floors.floors, times_s, least_misses=least_misses),
        runs=tuple(runs),
        labels=labels,
        wrong=frozenset().union(*(bad for _, bad in points)),
    )


def _one_system(paths: Sequence[Path]) -> str:
    """Raises ValueError where runs from which floors are made are of several systems."""
    systems = {system_of(RunFolder(path).manifest()): path for path in paths}
    if len(systems) > 1:
        first, second = list(systems.items())[:2]
        raise ValueError(f"floors come from one system: {first[1]} is {first[0]}; {second[1]} is {second[0]}")
    return next(iter(systems))


def _refuse_twice(paths: Sequence[Path], option: str) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise ValueError(f"{option}: {path} is there twice; each run counts once")
        seen.add(path.resolve())


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


def _points(path: Path) -> tuple[dict[str, list[Record]], set[str]]:
    """The valid records of a run by the text of their key, and the keys of the others.

    Of several attempts the last counts; repeats stand beside one another.
    """
    records, _ = RunFolder(path).readable_records()
    last: dict[tuple[str, int], Record] = {}
    for record in records:
        place = (point_key(record).text, record.repeat)
        if place not in last or record.attempt >= last[place].attempt:
            last[place] = record
    found: dict[str, list[Record]] = {}
    bad: set[str] = set()
    for (key, _), record in last.items():
        if record.measure_pass == "overlap":
            continue
        if record.status == "complete" and is_valid(record):
            found.setdefault(key, []).append(record)
        else:
            bad.add(key)
    return found, bad - found.keys()


def _times_s(records: Sequence[Record]) -> list[float]:
    return [time_s for record in records if (time_s := headline_s(record)) is not None]


def _bus_bytes(record: Record) -> float | None:
    factor = factor_of(record)
    return factor * record.message_bytes if factor else None
