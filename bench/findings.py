"""Three sentences in plain words: what was measured, how close to the line it came, what limits it."""

from collections.abc import Sequence

from bench.model import units
from bench.model.transceiver import Transceiver
from bench.record import RunManifest
from bench.summary import SummaryRow, series_name

MOST_NAMES = 6
"""A sentence that lists more series than these is not read; it gives their number."""


def findings(manifest: RunManifest, rows: Sequence[SummaryRow], transceiver: Transceiver) -> list[str]:
    """The three sentences, and a fourth where ranks stood out. Each says only what the rows hold.

    ``transceiver`` is the one that the run names, for its rate.
    """
    valid = [row for row in rows if row.time_s is not None and not row.num_wrong_elements]
    if not valid:
        return ["No point has a valid measurement, so there is nothing to say about the line."]
    return [
        _what(manifest, valid, len(rows) - len(valid), transceiver),
        _how_close(manifest, valid),
        _what_limits(valid),
        *_who_was_late(rows),
    ]


def name_of(row: SummaryRow) -> str:
    """The series that ``row`` belongs to."""
    return series_name(
        collective=row.collective,
        algorithm=row.algorithm,
        placement=row.placement,
        measure_pass=row.measure_pass,
        group=row.group,
        backend=row.backend,
    )


def _what(manifest: RunManifest, rows: Sequence[SummaryRow], num_invalid: int, optics: Transceiver) -> str:
    names = _listed(list(dict.fromkeys(row.collective for row in rows)))
    sizes = sorted({row.message_bytes for row in rows if row.message_bytes}) or [0]
    span = units.format_bytes(sizes[0])
    if len(sizes) > 1:
        span += f" to {units.format_bytes(sizes[-1])}"
    text = (
        f"Measured {names} with {manifest.ranks_on_hosts} ({manifest.backend}, "
        f"{rows[0].dtype}, {span}) over {_path(manifest, rows, optics)}"
    )
    if num_invalid:
        return f"{text}; {num_invalid} more had wrong data or did not end."
    with_data = [row for row in rows if row.message_bytes]
    if any(row.num_wrong_elements is None for row in with_data):
        return f"{text}; too many ranks for this data type to be checked."
    return (
        f"{text}; the result of every timed call was checked, each element, and was right."
        if with_data
        else f"{text}."
    )


def _who_was_late(rows: Sequence[SummaryRow]) -> list[str]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.finding is not None:
            what = row.finding.split(" at ")[0]
            found.setdefault(what, []).append(f"{name_of(row)} of {units.format_bytes(row.message_bytes)}")
    if not found:
        return []
    parts = []
    for what, points in found.items():
        where = _listed(points) if len(points) <= 2 else f"{len(points)} of {len(rows)} points"
        parts.append(f"{what} ({where})")
    return [f"Ranks stood out: {_listed(parts)}; see warnings in summary.csv."]


def _path(manifest: RunManifest, rows: Sequence[SummaryRow], optics: Transceiver) -> str:
    if manifest.launcher == "emulated" and manifest.time_scale and manifest.links:
        rate = units.format_rate(manifest.links["rate_bytes_per_s"])
        full = units.format_rate(optics.mac_rate_bytes_per_s)
        return f"emulated {optics.name} links, {full} slowed {manifest.time_scale:g} times to {rate}"
    if manifest.num_hosts == 1:
        return (
            "this machine's memory, with no optics on the path"
            if manifest.backend != "nccl"
            else "this machine's GPUs"
        )
    if all(row.fabric_bytes_per_rank == 0 for row in rows):
        return "links inside one machine, with no optics on the path"
    return f"{optics.name} optics" if optics.is_known else "optics that nobody has named"


def _how_close(manifest: RunManifest, rows: Sequence[SummaryRow]) -> str:
    judged = [row for row in rows if row.efficiency is not None]
    largest = max((row.message_bytes for row in judged), default=0)
    # Rounding to whole elements per rank makes sizes of one step differ a little.
    judged = [row for row in judged if row.message_bytes * 2 > largest]
    if not judged:
        if manifest.num_hosts == 1 and manifest.backend != "nccl":
            return (
                "There is no line to compare with here; with launcher=emulated or on several hosts there is."
            )
        if manifest.launcher == "emulated":
            return "No message was long enough to show the rate of the links; raise sizes.max_bytes."
        if manifest.transceiver != "unknown" and manifest.fabric != "unknown":
            return "No ceiling is given: the ranks are not placed as the formulas need it, equally many on each host in order."
        return "No ceiling is given, since none can be derived; name the optics with transceiver=<name> and fabric=<name>."
    parts = []
    series = _largest_per_series(judged)
    if len(series) > MOST_NAMES:
        series = sorted(series, key=lambda row: row.efficiency or 0.0)
        series = [series[0], series[-1]]
    for row in series:
        assert row.efficiency is not None and row.busbw_gbytes_per_s is not None
        rate = units.format_rate(row.busbw_gbytes_per_s * units.GIGA)
        parts.append(f"{name_of(row)} {row.efficiency:.0%} ({rate})")
    scale = f", as seen at 1/{manifest.time_scale:g} of full speed" if manifest.time_scale else ""
    return f"At {units.format_bytes(largest)}, of what the link allows: {_listed(parts)}{scale}."


def _what_limits(rows: Sequence[SummaryRow]) -> str:
    return f"{_small(rows)} {_large(rows)}".strip()


def _small(rows: Sequence[SummaryRow]) -> str:
    flat = [row for row in rows if row.bound_by == "latency" and row.time_s is not None]
    if not flat:
        return "No message was so small that latency alone set its time."
    largest = max(row.message_bytes for row in flat)
    fastest = min(flat, key=lambda row: row.time_s or 0.0)
    assert fastest.time_s is not None
    return (
        f"Small messages, up to {units.format_bytes(largest)} at most, are limited by latency, not by the link: "
        f"{name_of(fastest)} takes {units.format_seconds(fastest.time_s)} however few bytes it moves."
    )


def _large(rows: Sequence[SummaryRow]) -> str:
    by_cause: dict[str, list[str]] = {}
    largest = _largest_per_series([row for row in rows if row.message_bytes])
    for row in largest:
        by_cause.setdefault(row.bound_by, []).append(name_of(row))
    sentences = []
    for cause, found in by_cause.items():
        names = found if len(found) <= MOST_NAMES else [f"{len(found)} of {len(largest)} series"]
        match cause:
            case "backend":
                best = _best_over_same_links(rows)
                sentences.append(
                    f"{_listed(names)} by the backend, since the same links carry {best:.0%} for another operation of this run"
                )
            case "unknown":
                sentences.append(f"{_listed(names)} by something that this run does not show")
            case "latency":
                sentences.append(f"{_listed(names)} still by latency")
            case _:
                sentences.append(f"{_listed(names)} by the {cause}")
    return f"Large messages are limited: {'; '.join(sentences)}." if sentences else ""


def _best_over_same_links(rows: Sequence[SummaryRow]) -> float:
    return max(
        (row.efficiency or 0.0) for row in rows if row.bound_by not in ("backend", "unknown", "latency")
    )


def _largest_per_series(rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    largest: dict[str, SummaryRow] = {}
    for row in rows:
        name = name_of(row)
        if name not in largest or row.message_bytes >= largest[name].message_bytes:
            largest[name] = row
    return list(largest.values())


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
