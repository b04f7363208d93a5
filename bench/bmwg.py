"""`bmwg_report`: a run as the IETF draft on benchmarking AI training fabrics wants collectives reported.

Sections are those of `METHODOLOGY`, terms those of `TERMINOLOGY`. The draft sets no limits, and neither does this report; it
forbids such tests on production networks (section 14, RFC 6815).

What linerate decides where the draft leaves room. A trial is one sample: one call, the slowest rank of it. BusBW is given at
the average, P50, P95 and P99 of the time, so that P99 is the slow end. S_fabric is the derived volume wherever there is
one, because only that counts payload once, as section 3.2.5 asks: what interfaces count holds headers, acknowledgements and
retransmissions, and stands beside it. BusBW efficiency divides by the line rate of the ports of one rank; ranks that share a
port each have the whole of it, as "all NICs serving the accelerator" says (section 10.1).
"""

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from bench.catalog import from_mapping
from bench.model import units
from bench.model.fabric import Fabric
from bench.model.transceiver import Transceiver
from bench.record import Record, RunManifest
from bench.summary import SummaryRow, headline_s
from bench.summary import is_valid as has_valid_time

METHODOLOGY: Final = "draft-calabria-bmwg-ai-fabric-training-bench"
TERMINOLOGY: Final = "draft-calabria-bmwg-ai-fabric-terminology"
REVISION: Final = "working text towards -06, 1 October 2026"

MIN_ITERATIONS: Final = 100
"""Iterations per size and N (section 9.1)."""

NUMS_RANKS: Final = (8, 16, 32, 64, 128, 256, 512, 1024)
SIZES_BYTES: Final = (10**6, 8 * 10**6, 64 * 10**6, 256 * 10**6, 10**9, 4 * 10**9)
"""What section 9.1 tests; its MB and GB are taken as decimal."""

WITH_FACTOR: Final = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")
"""Collectives whose algo_factor the definition of BusBW fixes (terminology, section 3), as nccl-tests' bus factor."""

VERIFIED_SOURCES: Final = ("forced", "logged")
"""Algorithms that we carry out ourselves, and those that the library's log names (sections 2 and 9.1: library tracing)."""

_BOUNDARY: Final = "Fabric DUT Boundary (class a): interface counters of the hosts"
_ENDPOINT: Final = "endpoint software boundary (class c): clock around the call on every rank"
_REPORTED: Final = "endpoint software boundary (class c), as the program that measured printed it"
_DERIVED: Final = "not observed: derived from schedule and placement"

NOT_REPORTED: Final = (
    "ECN marking ratio, PFC pause count, per-link utilization (9.1)",
    "Intra-Node Transfer Overhead, which is part of every time here (3.2.5)",
    "topology class, switches, NIC firmware, cables and configuration of the device under test (3.1, 3.3, 13)",
    "load balancing strategies, which are not varied (9.1)",
)

DEFINITIONS: Final = {
    "trial": "one sample: a call, or the mean of calls_per_trial of them; its time is that of the slowest rank",
    "time_s": "seconds per call; p50 is the median, p95 and p99 are nearest-rank and need 20 and 100 trials",
    "busbw_gbytes_per_s": "S x algo_factor / time in 10**9 byte/s, at each statistic of the time",
    "busbw_efficiency": "busbw at p50 over the line rate of the ports of one rank, at the scale of the run",
    "cv": "standard deviation (n - 1) over mean, of the time and of the busbw of the trials",
    "s_fabric": "bytes per rank and call; derived: payload; counted: busiest host, headers and acknowledgements in it",
}

_RUN: Final = (
    *("run_id", "started_utc", "status", "status_reason", "versions", "backend", "hosts", "launcher"),
    *("num_ranks", "num_hosts", "transceiver", "fabric", "time_scale", "skipped"),
)


def bmwg_report(
    manifest: RunManifest, records: Sequence[Record], rows: Sequence[SummaryRow]
) -> dict[str, Any]:
    """The report as plain data for bmwg.json; None: not known. ``rows`` are the summary of ``records``, in their order.

    Raises:
        ValueError: ``rows`` belong to other records.
    """
    attempts: dict[str, list[tuple[Record, SummaryRow]]] = {}
    if [(r.point_id, r.attempt) for r in records] != [(r.point_id, r.attempt) for r in rows]:
        raise ValueError("bmwg: rows are not the summary of these records; pass summary_rows(records)")
    for record, row in zip(records, rows, strict=True):
        attempts.setdefault(record.point_id, []).append((record, row))
    points = [_point(manifest, sorted(tries, key=lambda t: t[0].attempt)) for tries in attempts.values()]
    trials = [point["trials"] for point in points]
    warm_ups = manifest.config.get("timing", {}).get("num_warmups")
    return {
        "documents": [{"name": name, "revision": REVISION} for name in (METHODOLOGY, TERMINOLOGY)],
        "run": {name: getattr(manifest, name) for name in _RUN},
        "collective_library": {
            "name": manifest.backend,
            "version": manifest.versions.get(manifest.backend),
            "torch": manifest.versions.get("torch"),
        },
        "accelerator_placement": {str(rank["rank"]): rank["host"] for rank in manifest.ranks},
        "definitions": DEFINITIONS | {"warm_up": f"{warm_ups} calls before the first trial of a point"},
        "trial_accounting": {
            "attempted": sum(t["attempted"] for t in trials),
            "included": sum(t["included"] for t in trials),
            "excluded": sum(e["trials"] for t in trials for e in t["excluded"]),
        },
        "deviations": _deviations(manifest, points),
        "not_reported": list(NOT_REPORTED),
        "points": points,
    }


def bmwg_csv(manifest: RunManifest, records: Sequence[Record], rows: Sequence[SummaryRow]) -> str:
    """The points of `bmwg_report`, one line each, for bmwg.csv: time_s of p50 is the column ``time_s_p50``.

    An empty cell is not known, never zero.
    """
    lines = [dict(_flat(point)) for point in bmwg_report(manifest, records, rows)["points"]]
    out = io.StringIO()
    if lines:
        writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return out.getvalue()


def line_rate_bytes_per_s(manifest: RunManifest) -> float | None:
    """B_acc: MAC rate of the ports that serve one rank, per direction, at the scale of the run. None where not known.

    A port runs at the slower of optics and NIC. A rank has ports_per_host / ranks_per_host of them, and at least one.
    """
    if manifest.time_scale is not None:
        return None if manifest.links is None else float(manifest.links["rate_bytes_per_s"])
    with contextlib.suppress(KeyError, ValueError):
        optics = from_mapping(Transceiver, manifest.config["transceiver"], "manifest")
        fabric = from_mapping(Fabric, manifest.config["fabric"], "manifest")
        if optics.is_known and fabric.ranks_per_host is not None:
            rate = optics.mac_rate_bytes_per_s / (fabric.ports_per_module if optics.is_twin_port else 1)
            if fabric.nic_gbps is not None:
                rate = min(rate, units.bytes_per_s_from_gbps(fabric.nic_gbps))
            return rate * max(1, (fabric.ports_per_host or 1) // fabric.ranks_per_host)
    return None


def _point(manifest: RunManifest, tries: Sequence[tuple[Record, SummaryRow]]) -> dict[str, Any]:
    """One point: its last attempt is the result, earlier ones are trials that were excluded."""
    record, row = tries[-1]
    is_valid = record.status == "complete" and has_valid_time(record)
    durations_s = np.asarray(record.durations_s if is_valid else [], dtype=np.float64)
    # Without samples, what another program printed is an average, and no percentile.
    mean_s = float(durations_s.mean()) if len(durations_s) else headline_s(record)
    median_s = row.time_s if len(durations_s) else None
    statistics = {"average": mean_s, "p50": median_s, "p95": row.time_p95_s, "p99": row.time_p99_s}
    time_s = {name: value if is_valid else None for name, value in statistics.items()}
    busbw = {name: _busbw(row, value) for name, value in time_s.items()}
    rate = line_rate_bytes_per_s(manifest)
    crosses = record.fabric_bytes_per_rank != 0 and (record.num_hosts or 1) > 1
    median = busbw["p50"] if crosses else None
    is_verified = record.algorithm_source in VERIFIED_SOURCES
    return {
        "point_id": record.point_id,
        "collective": record.collective,
        "reduce_op": record.reduce_op,
        "dtype": record.dtype,
        "buffers": record.placement,
        "pass": record.measure_pass,
        "group": record.group,
        "s_bytes": record.message_bytes,
        "s_fabric": _s_fabric(record),
        "factor": row.bus_factor,
        "Algorithm (verified)": record.algorithm if is_verified else "unverified",
        "algorithm": record.algorithm,
        "algorithm_source": record.algorithm_source,
        "iterations": len(durations_s),
        "calls_per_trial": record.calls_per_sample,
        "time_s": time_s,
        "busbw_gbytes_per_s": busbw,
        "busbw_efficiency": None if median is None or rate is None else median / units.gbytes_per_s(rate),
        "cv_time": _cv(durations_s),
        "cv_busbw": _cv(1 / durations_s),
        "trials": _trials([earlier for earlier, _ in tries], is_valid),
        "observation_points": _observation_points(record),
        "comparability": _comparability(manifest, record, row, rate),
        "notes": _notes(record, len(durations_s), crosses),
    }


def _busbw(row: SummaryRow, time_s: float | None) -> float | None:
    """None where the row has none: wrong data, one rank, a barrier, or a call beside a computation."""
    if time_s is None or row.busbw_gbytes_per_s is None or row.bus_factor is None:
        return None
    return units.gbytes_per_s(row.bus_factor * row.message_bytes / time_s)


def _cv(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float | None:
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else None


def _s_fabric(record: Record) -> dict[str, Any]:
    derived, counted = record.fabric_bytes_per_rank, record.counted_bytes_per_rank
    methods = [name for name, value in (("derived", derived), ("counted", counted)) if value is not None]
    return {
        "bytes": counted if derived is None else derived,
        "method": " and ".join(methods) or None,
        "derived_bytes": derived,
        "derivation": None
        if derived is None
        else f"schedule of {record.algorithm} ({record.algorithm_source}) over {record.num_hosts} hosts, payload once",
        "counted_bytes": counted,
        "difference_bytes": None if derived is None or counted is None else counted - derived,
    }


def _trials(tries: Sequence[Record], is_valid: bool) -> dict[str, Any]:
    """Section 13, item 8: every trial is included, or excluded for a reason."""
    record = tries[-1]
    excluded: list[tuple[int, str]] = [
        (_num_trials(earlier), f"of attempt {earlier.attempt} ({earlier.status}), repeated since")
        for earlier in tries[:-1]
    ]
    excluded.append((record.num_rejected or 0, "in which the host was slower than its device"))
    excluded.append((record.num_bad or 0, "whose clock gave no positive, finite time"))
    if not is_valid and record.num_wrong_elements:
        excluded.append((len(record.durations_s), f"with wrong data: {record.num_wrong_elements} elements"))
    elif not is_valid:
        excluded.append((len(record.durations_s), f"of an incomplete window: {record.status}"))
    return {
        "attempted": sum(map(_num_trials, tries)),
        "included": len(record.durations_s) if is_valid else 0,
        "excluded": [{"trials": num, "reason": reason} for num, reason in excluded if num],
        "ended_by": record.stop_reason,
    }


def _num_trials(record: Record) -> int:
    return len(record.durations_s) + (record.num_rejected or 0) + (record.num_bad or 0)


def _observation_points(record: Record) -> dict[str, str]:
    endpoint = _ENDPOINT if record.reported is None else f"{_REPORTED}: {record.reported.statistic}"
    s_fabric = [] if record.fabric_bytes_per_rank is None else [_DERIVED]
    if record.counted_bytes_per_rank is not None:
        s_fabric.append(_BOUNDARY)
    return {
        "time_s": endpoint,
        "busbw_gbytes_per_s": endpoint,
        "busbw_efficiency": f"{endpoint}; the line rate is configured, not observed",
        "s_fabric": "; ".join(s_fabric),
    }


def _comparability(
    manifest: RunManifest, record: Record, row: SummaryRow, rate: float | None
) -> dict[str, Any]:
    """Section 3.2.3, table 4: what must be equal before two results are compared."""
    is_emulated = manifest.time_scale is not None
    fabric = manifest.config.get("fabric", {})
    # 1 where no leaf is described is a default, not a statement about the site.
    stated = fabric.get("oversubscription") if fabric.get("hosts_per_leaf") is not None else None
    oversubscription = 1.0 if is_emulated else stated
    transport = manifest.config.get("transport", "unknown")
    ranks_per_host, rest = (None, 1)
    if record.num_ranks is not None and record.num_hosts:
        ranks_per_host, rest = divmod(record.num_ranks, record.num_hosts)
    return {
        "num_ranks": record.num_ranks,
        "ranks_per_host": None if rest else ranks_per_host,
        "rail_map": "one port per host on one switch" if is_emulated else "unknown",
        "line_rate_gbytes_per_s": None if rate is None else units.gbytes_per_s(rate),
        "leaf_oversubscription": oversubscription,
        "collective": record.collective,
        "s_bytes": record.message_bytes,
        "factor": row.bus_factor,
        "transport": "unknown" if transport == "auto" else transport,
        "load_balancing": "none, one path" if is_emulated else "unknown",
    }


def _notes(record: Record, num_included: int, crosses: bool) -> list[str]:
    notes = []
    if num_included < MIN_ITERATIONS:
        notes.append(f"{num_included} iterations; the draft asks for at least {MIN_ITERATIONS} (9.1)")
    if record.collective not in WITH_FACTOR:
        notes.append("the draft defines no algo_factor for this collective; the factor is that of nccl-tests")
    if not crosses:
        notes.append("nothing crosses the fabric, so there is no efficiency")
    if record.measure_pass == "latency":
        notes.append("ranks are brought together before each call")
    return notes


def _deviations(manifest: RunManifest, points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Section 13, item 7: where the run departs from the procedure."""
    found = []
    transport = manifest.config.get("transport")
    if manifest.time_scale is not None:
        found.append(
            f"links are emulated at 1/{manifest.time_scale:g} of their rate; there is no fabric under test"
        )
    if transport not in ("roce_v2", "uet"):
        found.append(f"transport is {transport}; the draft covers RoCEv2 and UET (1.2)")
    if manifest.num_hosts == 1:
        found.append("one host: nothing crosses a fabric (1.2)")
    if manifest.num_ranks not in NUMS_RANKS:
        found.append(f"N is {manifest.num_ranks}; the draft tests {', '.join(map(str, NUMS_RANKS))} (9.1)")
    other = sorted(
        {p["s_bytes"] for p in points if not _is_tested_size(p["s_bytes"], manifest.num_ranks or 1)}
    )
    if other:
        found.append(f"{len(other)} sizes are none of 1, 8, 64, 256 MB, 1 and 4 GB (9.1)")
    few = sum(p["iterations"] < MIN_ITERATIONS for p in points)
    if few:
        found.append(f"{few} of {len(points)} points have fewer than {MIN_ITERATIONS} iterations (9.1)")
    unverified = sum(p["Algorithm (verified)"] == "unverified" for p in points)
    if unverified:
        found.append(
            f"{unverified} of {len(points)} points have no verified algorithm, so they are incomplete (9.1)"
        )
    if points:
        found.append("times are taken at the endpoints, not at the Fabric DUT Boundary (1.2)")
    return found


def _is_tested_size(message_bytes: int, num_ranks: int) -> bool:
    """Sizes are rounded down to blocks of 16 bytes for each rank."""
    return any(0 <= size - message_bytes < 16 * num_ranks for size in SIZES_BYTES)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}_")
        elif isinstance(value, list):
            yield name, "; ".join(f"{v['trials']} {v['reason']}" if isinstance(v, dict) else v for v in value)
        else:
            yield name, "" if value is None else value
