"""How the numbers of a run were taken: statistic, interval, passes, checks, and what busbw is."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from analysis.report.blocks import Fact, Table, number, table
from analysis.report.points import Point
from analysis.report.setting import is_emulated
from analysis.report.words import counted, listed
from bench.model.collective import TRAITS, Collective
from bench.record import RunManifest
from bench.summary import TIME_STATISTIC

PASSES: Final = {
    "latency": "ranks are aligned by a barrier, then one call is timed: what a call takes that finds all ranks ready",
    "bandwidth": "ranks are aligned once, then calls run back to back on buffers of their own; a sample is their mean",
    "cold": "as latency, on buffers that have left the cache",
    "graph": "calls captured once in a CUDA graph and replayed; a sample is their mean, without the host",
    "overlap": "the call alone, a computation alone, and both at once; no bandwidth is computed from it",
}

STOPS: Final = {
    "planned": "the planned number of samples",
    "interval": "the interval was narrow enough",
    "time": "the time of the point was filled",
    "max_iterations": "the most samples allowed",
    "budget": "the time budget was over",
    "interrupted": "the run was stopped",
    "timeout": "the point hung",
}


def method_of(manifest: RunManifest, points: Sequence[Point]) -> list[Fact]:
    """One entry for each choice that a number of this page depends on."""
    statistics = list(dict.fromkeys(point.statistic for point in points)) or [TIME_STATISTIC]
    own = TIME_STATISTIC in statistics
    found = [Fact(name="Time", value=f"{listed(statistics)}, for one call. It is never averaged over sizes.")]
    if own:
        found.append(
            Fact(
                name="Interval",
                value="95 %, distribution-free, of the median over the calls of this run; samples that resemble their "
                "neighbours count for less. What differs from one start of the processes to the next is not in it.",
            )
        )
        found.append(
            Fact(name="p99", value="nearest rank, over calls of the slowest rank; from 100 samples on.")
        )
        found += [
            Fact(name=f"Pass {name}", value=f"{PASSES.get(name, 'not known to this version')}.")
            for name in dict.fromkeys(point.measure_pass for point in points)
        ]
    if manifest.imported is not None:
        found.append(
            Fact(
                name="Interval of imported times",
                value="from and to which time the program would have printed the same digits. It is rounding, not noise.",
            )
        )
    found += _size_and_busbw()
    found += _checked(manifest, points)
    stops = Counter(point.stop_reason for point in points if point.stop_reason)
    if stops:
        told = ", ".join(f"{STOPS.get(reason, reason)} ({count})" for reason, count in stops.most_common())
        found.append(Fact(name="Sampling ended by", value=f"{told}; in brackets the number of points."))
    if is_emulated(manifest):
        found.append(
            Fact(
                name="Scale",
                value=f"all times and rates are as measured, at 1/{manifest.time_scale:g} of full speed. Shares such as efficiency "
                "carry over where bandwidth binds; latencies do not, since software is not slowed down.",
            )
        )
    return found


def _size_and_busbw() -> list[Fact]:
    return [
        Fact(
            name="Size",
            value="the larger buffer of one rank, as nccl-tests counts it; KiB and MiB are binary.",
        ),
        Fact(
            name="busbw",
            value="factor x size / time, in 10^9 byte/s (GB/s); the factor is that of nccl-tests and makes it comparable with "
            "the rate of a link for any number of ranks.",
        ),
        Fact(
            name="Ceiling, efficiency",
            value="the busbw that nominal rates and the bytes of the schedule allow, without software; efficiency is busbw over it.",
        ),
        Fact(
            name="Bound by",
            value="what limits a point, on evidence: latency where time grows with less than the root of the size; a resource "
            "from 0.8 of its ceiling on; backend below that, where another operation reached 0.9 over the same links; else "
            "unknown.",
        ),
    ]


def _checked(manifest: RunManifest, points: Sequence[Point]) -> list[Fact]:
    with_data = [point for point in points if point.message_bytes > 0]
    checked = sum(point.num_wrong_elements is not None for point in with_data)
    if manifest.imported is not None:
        told = f"by the program that measured, as far as it prints it: {checked} of {counted(len(with_data), 'point')}."
    elif checked == len(with_data):
        told = "every timed call on every rank, each element, bit for bit, against data that depend on position and rank."
    else:
        told = f"{checked} of {counted(len(with_data), 'point')}; the others have data that cannot be checked exactly, or no result."
    return [Fact(name="Data checked", value=told)] if with_data else []


def factor_table(points: Sequence[Point]) -> Table | None:
    """The bus factor of each collective, as a formula and as the number that was used. None without any."""
    rows = {}
    for point in points:
        if point.bus_factor is not None:
            key = (point.collective, point.num_ranks)
            rows[key] = [
                point.collective,
                _formula(point.collective),
                _ranks(point),
                f"{point.bus_factor:.6g}",
            ]
    if not rows:
        return None
    columns = ("collective", "factor, N ranks", number("N"), number("factor used"))
    return table("Bus factors", columns, list(rows.values()))


def _ranks(point: Point) -> str:
    return "not known" if point.num_ranks is None else str(point.num_ranks)


def _formula(collective: str) -> str:
    try:
        factor = TRAITS[Collective(collective)].factor
    except ValueError:
        return "as the log implies"
    return "1" if factor is None else "(N - 1) / N" if factor == 1 else f"{factor} (N - 1) / N"
