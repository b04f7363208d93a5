"""`records_of`: the tables of a foreign log as records, with what the model says of each point."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from bench.config import BenchConfig
from bench.expect import Expected, expect
from bench.importers.foreign import ForeignPoint, ForeignTable, Reading
from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Network, real_network
from bench.model.framing import Transport
from bench.model.grouping import WORLD
from bench.record import Record
from bench.reported import Reported

SPLIT: Final = "split"
"""Group of points that several groups of ranks measured at the same time (NCCL_TESTS_SPLIT); the log does not tell them apart."""

_SETTINGS_OF_SWEEP: Final = ("min_bytes", "max_bytes", "step_bytes", "step_factor")
"""What may differ between two tables without making their points different measurements."""


def with_ranks(table: ForeignTable, num_ranks: int | None) -> ForeignTable:
    """What the user says of the number of ranks holds where the log is silent; sizes per peer become sizes of the message."""
    if num_ranks is None or table.num_ranks is not None:
        return table
    points = tuple(
        dataclasses.replace(point, message_bytes=point.printed_bytes * num_ranks)
        if point.message_bytes is None
        else point
        for point in table.points
    )
    return dataclasses.replace(table, num_ranks=num_ranks, num_ranks_source="given", points=points)


def num_hosts_of(table: ForeignTable) -> int | None:
    """Hosts of a table whose devices name one for every rank; None otherwise."""
    hosts = {device.host for device in table.devices}
    if not hosts or None in hosts or table.num_ranks_source != "devices":
        return None
    return len(hosts)


def out_of_bounds(table: ForeignTable) -> str | None:
    """What a footer says of wrong values. Layouts before 2022 have residuals in their rows, so that no row is told apart."""
    if not table.out_of_bounds:
        return None
    return f"{table.program or 'a table'} counts {table.out_of_bounds} values out of bounds, in rows that are not told"


def table_entry(table: ForeignTable) -> dict[str, Any]:
    """What the manifest and import.json say of a table: everything but its points and devices."""
    return {
        "program": table.program,
        "family": table.family,
        "layout": table.layout,
        "num_ranks": table.num_ranks,
        "num_ranks_source": table.num_ranks_source,
        "num_hosts": num_hosts_of(table),
        "num_rows": len(table.points),
        "settings": dict(table.settings),
        "versions": dict(table.versions),
        "out_of_bounds": table.out_of_bounds,
        "average_busbw_gbytes_per_s": table.average_busbw_gbytes_per_s,
        "is_complete": table.is_complete,
        "why_partial": table.why_partial,
        "started": table.started,
        "ended": table.ended,
    }


def _network(table: ForeignTable, config: BenchConfig | None, notes: list[str]) -> Network | None:
    """What the named optics and fabric give the ranks of a table; None where not named, or where they do not fit."""
    if config is None or table.num_ranks is None:
        return None
    num_hosts = num_hosts_of(table)
    if num_hosts == 1 and not config.fabric.is_known:
        return None
    transport = (config.fabric.transport or "unknown") if config.transport == "auto" else config.transport
    num_ranks = table.group_ranks or table.num_ranks
    per_system = None
    if num_hosts is not None and table.group_ranks is None and num_ranks % num_hosts == 0:
        per_system = num_ranks // num_hosts
    try:
        return real_network(config.transceiver, config.fabric, Transport(transport), num_ranks, per_system)
    except ValueError as error:
        notes.append(f"nothing is expected of {table.program or 'a table'}: {error}")
        return None


def records_of(
    tables: Sequence[ForeignTable], config: BenchConfig | None, notes: list[str]
) -> list[tuple[Record, tuple[tuple[float, ...], ...]]]:
    """One record per placement of each row, and the times of its iterations, one row per process."""
    found = []
    seen: Counter[tuple[Any, ...]] = Counter()
    first_settings: dict[str, dict[str, Any]] = {}
    several_sizes = len({table.group_ranks or table.num_ranks for table in tables if table.points}) > 1
    for number, table in enumerate(tables, start=1):
        network = _network(table, config, notes) if table.points else None
        for point in table.points:
            table_warnings = _table_warnings(number, table, point, first_settings)
            for reading in point.readings:
                num_ranks = table.group_ranks or table.num_ranks
                key = (
                    *(point.collective, point.dtype, point.reduce_op, point.root, reading.placement),
                    *(point.measure_pass, num_ranks, point.printed_bytes, table.library),
                )
                seen[key] += 1
                suffix = f".n{num_ranks}" if several_sizes and num_ranks is not None else ""
                suffix += f".root{point.root}" if point.root is not None and point.root > 0 else ""
                suffix += f".{seen[key]}" if seen[key] > 1 else ""
                record = _record(table, point, reading, network, seen[key], suffix, table_warnings)
                rows = reading.per_process_s or ((reading.iterations_s,) if reading.iterations_s else ())
                found.append((record, rows))
    return found


def _table_warnings(
    number: int, table: ForeignTable, point: ForeignPoint, first_settings: dict[str, dict[str, Any]]
) -> list[str]:
    settings = {name: value for name, value in table.settings.items() if name not in _SETTINGS_OF_SWEEP}
    first = first_settings.setdefault(point.collective, settings)
    warnings = []
    differing = [name for name in sorted({*first, *settings}) if first.get(name) != settings.get(name)]
    if differing:
        told = ", ".join(f"{name} {settings.get(name)} for {first.get(name)}" for name in differing[:4])
        warnings.append(
            f"other_settings: table {number} of the log was told otherwise than the first ({told})"
        )
    if table.num_ranks_source == "inferred":
        warnings.append(f"inferred_ranks: {table.num_ranks} ranks, from busbw over algbw; the log lists none")
    if point.message_bytes is None:
        warnings.append(
            "size_per_peer: the size is what each pair of ranks exchanges; import again with --num-ranks N for the whole message"
        )
    return warnings


def _record(
    table: ForeignTable,
    point: ForeignPoint,
    reading: Reading,
    network: Network | None,
    repeat: int,
    suffix: str,
    warnings: Sequence[str],
) -> Record:
    num_ranks = table.group_ranks or table.num_ranks
    message_bytes = point.message_bytes
    if message_bytes is None:
        message_bytes = point.printed_bytes
    dtype = point.dtype or "unknown"
    parts = [point.collective, "native", dtype, *([point.reduce_op] if point.reduce_op else [])]
    parts += [reading.placement, point.measure_pass, str(message_bytes)]
    expected = _expected(table, point, message_bytes, num_ranks, network)
    prediction = expected.prediction if expected else None
    has_time = reading.time_s is not None or bool(reading.iterations_s)
    status = "complete" if has_time or reading.busbw_bytes_per_s is not None else "failed"
    if reading.num_wrong_elements:
        status = "wrong_data"
    return Record(
        point_id=".".join(parts) + suffix,
        attempt=0,
        status=status,
        collective=point.collective,
        algorithm="native",
        algorithm_source="unknown",
        backend=table.library,
        dtype=dtype,
        reduce_op=point.reduce_op,
        placement=reading.placement,
        measure_pass=point.measure_pass,
        group=SPLIT if table.group_ranks is not None else WORLD,
        num_ranks=num_ranks,
        num_hosts=num_hosts_of(table),
        message_bytes=message_bytes,
        calls_per_sample=1,
        durations_s=list(reading.iterations_s),
        rank_mean_s=[],
        first_call_s=None,
        num_wrong_elements=reading.num_wrong_elements,
        fabric_bytes_per_rank=None,
        predicted_time_s=prediction.duration_s if prediction else None,
        ceiling_time_s=prediction.ceiling_s if prediction and prediction.loads else None,
        predicted_low_s=prediction.low_s if prediction else None,
        predicted_high_s=prediction.high_s if prediction else None,
        predicted_schedule=prediction.schedule.value if prediction and prediction.schedule else None,
        schedule_source=expected.source if expected else None,
        predicted_bound=prediction.resource if prediction else None,
        also_bound_by=list(prediction.also_bound_by) if prediction else [],
        is_bucket_dominated=False,
        busy_share=None,
        steal_share=None,
        warnings=[*warnings, *(f"log: {note}" for note in reading.notes)],
        repeat=repeat,
        reported=_reported(point, reading),
    )


def _reported(point: ForeignPoint, reading: Reading) -> Reported:
    time_s = reading.time_s
    return Reported(
        statistic=reading.statistic,
        time_s=time_s.value if time_s else None,
        time_low_s=time_s.low if time_s else None,
        time_high_s=time_s.high if time_s else None,
        busbw_bytes_per_s=reading.busbw_bytes_per_s.value if reading.busbw_bytes_per_s else None,
        num_iterations=reading.num_iterations,
        statistics=dict(reading.statistics),
        statistics_of=reading.statistics_of,
        root=point.root,
        line=point.line,
    )


def _expected(
    table: ForeignTable,
    point: ForeignPoint,
    message_bytes: int,
    num_ranks: int | None,
    network: Network | None,
) -> Expected | None:
    """What the model says of a row. None where the network, the ranks or the traffic between them are not known."""
    known = {collective.value for collective in Collective} - {Collective.all_to_allv.value}
    if network is None or num_ranks is None or num_ranks < 2 or point.collective not in known:
        return None
    if point.measure_pass == "overlap" or point.message_bytes is None:
        return None
    spec = CollectiveSpec(
        collective=Collective(point.collective), num_ranks=num_ranks, message_bytes=message_bytes
    )
    return expect(spec, network, "nccl" if table.library in ("nccl", "rccl") else table.library)
