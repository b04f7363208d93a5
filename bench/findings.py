"""Three sentences in plain words: what was measured, how close to the line it came, what limits it."""

from collections.abc import Sequence
from typing import Final

from bench.model import units
from bench.model.transceiver import Transceiver
from bench.record import RunManifest
from bench.summary import SummaryRow

_SERIES_NAMES: Final = {"native": ""}


def findings(manifest: RunManifest, rows: Sequence[SummaryRow], transceiver: Transceiver) -> list[str]:
    """The three sentences. Each says only what the rows hold.

    ``transceiver`` is the one that the run names, for its rate.
    """
    valid = [row for row in rows if row.time_s is not None and not row.num_wrong_elements]
    if not valid:
        return ["No point has a valid measurement, so there is nothing to say about the line."]
    return [
        _what(manifest, valid, len(rows) - len(valid), transceiver),
        _how_close(manifest, valid),
        _what_limits(valid),
    ]


def series_name(row: SummaryRow) -> str:
    """Collective, with its algorithm where it is not the backend's own."""
    extra = _SERIES_NAMES.get(row.algorithm, f" ({row.algorithm})")
    return row.collective + extra


def _what(manifest: RunManifest, rows: Sequence[SummaryRow], num_invalid: int, optics: Transceiver) -> str:
    names = _listed(list(dict.fromkeys(row.collective for row in rows)))
    sizes = sorted({row.message_bytes for row in rows})
    span = units.format_bytes(sizes[0])
    if len(sizes) > 1:
        span += f" to {units.format_bytes(sizes[-1])}"
    hosts = "host" if manifest.num_hosts == 1 else "hosts"
    text = (
        f"Measured {names} with {manifest.num_ranks} ranks on {manifest.num_hosts} {hosts} ({manifest.backend}, "
        f"{rows[0].dtype}, {span}) over {_path(manifest, rows, optics)}"
    )
    if num_invalid:
        return f"{text}; {num_invalid} more had wrong data."
    if any(row.num_wrong_elements is None for row in rows):
        return f"{text}; too many ranks for this data type to be checked."
    return f"{text}; the first and the last result of every point were checked element by element and were right."


def _path(manifest: RunManifest, rows: Sequence[SummaryRow], optics: Transceiver) -> str:
    if manifest.launcher == "emulated" and manifest.time_scale and manifest.links:
        rate = units.format_rate(manifest.links["rate_bytes_per_s"])
        full = units.format_rate(optics.mac_rate_bytes_per_s)
        return f"emulated {optics.name} links, {full} slowed {manifest.time_scale:g} times to {rate}"
    if manifest.num_hosts == 1:
        return (
            "this machine's memory, with no optics on the path"
            if manifest.backend == "gloo"
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
        if manifest.num_hosts == 1 and manifest.backend == "gloo":
            return (
                "There is no line to compare with here; with launcher=emulated or on several hosts there is."
            )
        if manifest.launcher == "emulated":
            return "No message was long enough to show the rate of the links; raise sizes.max_bytes."
        if manifest.transceiver != "unknown" and manifest.fabric != "unknown":
            return "No ceiling is given: the ranks are not placed as the formulas need it, equally many on each host in order."
        return "No ceiling is given, since none can be derived; name the optics with transceiver=<name> and fabric=<name>."
    parts = []
    for row in _largest_per_series(judged):
        assert row.efficiency is not None and row.busbw_gbytes_per_s is not None
        rate = units.format_rate(row.busbw_gbytes_per_s * units.GIGA)
        parts.append(f"{series_name(row)} {row.efficiency:.0%} ({rate})")
    scale = f", as seen at 1/{manifest.time_scale:g} of full speed" if manifest.time_scale else ""
    return f"At {units.format_bytes(largest)}, of what the link allows: {_listed(parts)}{scale}."


def _what_limits(rows: Sequence[SummaryRow]) -> str:
    return f"{_small(rows)} {_large(rows)}"


def _small(rows: Sequence[SummaryRow]) -> str:
    flat = [row for row in rows if row.bound_by == "latency" and row.time_s is not None]
    if not flat:
        return "No message was so small that latency alone set its time."
    largest = max(row.message_bytes for row in flat)
    fastest = min(flat, key=lambda row: row.time_s or 0.0)
    assert fastest.time_s is not None
    return (
        f"Small messages, up to {units.format_bytes(largest)} at most, are limited by latency, not by the link: "
        f"{series_name(fastest)} takes {units.format_seconds(fastest.time_s)} however few bytes it moves."
    )


def _large(rows: Sequence[SummaryRow]) -> str:
    by_cause: dict[str, list[str]] = {}
    for row in _largest_per_series(rows):
        by_cause.setdefault(row.bound_by, []).append(series_name(row))
    sentences = []
    for cause, names in by_cause.items():
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
    return f"Large messages are limited: {'; '.join(sentences)}."


def _best_over_same_links(rows: Sequence[SummaryRow]) -> float:
    return max(
        (row.efficiency or 0.0) for row in rows if row.bound_by not in ("backend", "unknown", "latency")
    )


def _largest_per_series(rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    largest: dict[str, SummaryRow] = {}
    for row in rows:
        name = series_name(row)
        if name not in largest or row.message_bytes >= largest[name].message_bytes:
            largest[name] = row
    return list(largest.values())


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
