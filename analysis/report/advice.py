"""Warnings of a run, one entry per kind: what it means, what to do, and every point that it holds for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analysis.report.points import OTHER, Point
from bench.model import units

MOST_TEXTS: Final = 12
"""Different wordings of one kind that an entry quotes; they differ in their numbers alone, which summary.csv has in full."""

KINDS: Final[dict[str, tuple[str, str]]] = {
    "wrong_data": (
        "The result held wrong elements, so the point has no bandwidth.",
        "Distrust the system, not the time; repeat the point, then change library, algorithm or host one at a time.",
    ),
    "straggler": (
        "A rank kept the others waiting, or all were slow together.",
        "Look at that rank, host or time; see the heat map of ranks and iterations.",
    ),
    "stall": (
        "Single samples took more than 10 medians and more than 0.1 s.",
        "Look for link flaps and retransmissions at that time.",
    ),
    "noisy_host": (
        "More than 5 % of the processor time of rank 0's machine went to other machines on the same hardware.",
        "Repeat when it is quiet; small differences mean nothing here.",
    ),
    "bad_sample": ("Times were no positive, finite numbers.", "Repeat; distrust the clock."),
    "few_samples": ("Too few samples for an interval.", "Raise timing.min_iterations or timing.budget_s."),
    "budget": ("The time budget of the point was over before the plan was met.", "Raise timing.budget_s."),
    "interrupted": ("The run was stopped during the point.", "Run it again."),
    "drift": (
        "The first samples and the others differ by a step or a trend.",
        "More warm-ups (timing.num_warmups); look for throttling or load.",
    ),
    "bimodal": (
        "The times have two modes, so the median lies in one of them or between both.",
        "Find what alternates, and quote both.",
    ),
    "autocorrelated": (
        "Neighbouring samples are alike, so they place the median like fewer independent ones. The interval allows for it.",
        "More samples, or look for interference that outlasts a call.",
    ),
    "coarse_clock": (
        "The step of the clock is more than 1 % of the median.",
        "Use passes=[bandwidth], or a larger size.",
    ),
    "host_bound": (
        "The host was slower than its device in more than half of the samples, which are all kept.",
        "The times are those of the host; use passes=[graph] for those of the device.",
    ),
    "rejected": (
        "Samples in which the host was slower than its device are left out.",
        "Nothing, unless they are many: then the host is the limit.",
    ),
    "backend": (
        "Below 0.8 of the ceiling, although another operation of this run reached 0.9 over the same links.",
        "Try another algorithm or library; the links are not the limit.",
    ),
    "tie": (
        "Further resources lie within 1 % of the one that binds.",
        "Making only one of them faster gains nothing.",
    ),
    "imbalance": ("The busiest rank moves more than the mean.", "Compare only with runs of the same matrix."),
    "emulation_bucket": (
        "The message is below 8 token buckets of the emulated link and passes it unshaped, so no efficiency is given.",
        "Raise sizes.max_bytes to see the rate of the link.",
    ),
    "other_settings": (
        "A table of the log was made with other settings than the first.",
        "Compare within a table only, or split the log.",
    ),
    "inferred_ranks": (
        "The number of ranks follows from busbw over algbw; the log lists none.",
        "Give it with --num-ranks if you know it.",
    ),
    "size_per_peer": (
        "The size is what each pair of ranks exchanges, not the message.",
        "Import again with --num-ranks.",
    ),
    "log": ("The log itself says something about this row.", "Read the line in the log."),
    OTHER: ("A note that this version of linerate has no advice on.", "Read it at the point."),
}
"""What each kind says, and what to do; docs/measuring.md has the rules behind them. The worst come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One kind of warning. ``where``: series and sizes. ``quotes``: what was found, point by point, in the words of the run."""

    name: str
    means: str
    do: str
    num_points: int
    where: str
    quotes: tuple[tuple[str, str], ...]
    num_more_quotes: int


def advice_of(points: Sequence[Point]) -> list[Advice]:
    """One entry per kind of warning, the worst first."""
    by_name: dict[str, list[tuple[Point, str]]] = {}
    for point in points:
        for warned in point.warnings:
            by_name.setdefault(warned.name, []).append((point, warned.text))
    order = list(KINDS)
    names = sorted(by_name, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [_advice(name, by_name[name]) for name in names]


def _advice(name: str, found: Sequence[tuple[Point, str]]) -> Advice:
    means, do = KINDS.get(name, KINDS[OTHER])
    by_text: dict[str, list[Point]] = {}
    for point, text in found:
        by_text.setdefault(text, []).append(point)
    concerned = list({(point.point_id, point.repeat): point for point, _ in found}.values())
    quotes = [(where_of(points), text) for text, points in by_text.items()]
    return Advice(
        name=name,
        means=means,
        do=do,
        num_points=len(concerned),
        where=where_of(concerned),
        quotes=tuple(quotes[:MOST_TEXTS]),
        num_more_quotes=max(0, len(quotes) - MOST_TEXTS),
    )


def where_of(points: Sequence[Point]) -> str:
    """``all_reduce of 2 KiB, 8 KiB; send_recv of 2 KiB``; a long row of sizes by its ends."""
    sizes: dict[str, list[int]] = {}
    for point in points:
        sizes.setdefault(point.series, []).append(point.message_bytes)
    return "; ".join(f"{name} of {_sizes(sorted(set(found)))}" for name, found in sizes.items())


def _sizes(sizes: Sequence[int]) -> str:
    if len(sizes) > 4:
        return f"{len(sizes)} sizes from {units.format_bytes(sizes[0])} to {units.format_bytes(sizes[-1])}"
    return ", ".join(map(units.format_bytes, sizes))
