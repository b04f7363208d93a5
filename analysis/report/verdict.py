"""The sentences at the top of a page: how good is it, what binds, can it be trusted, what next. No mean over sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analysis.load import Run
from analysis.report.next_step import next_step
from analysis.report.points import Point, largest_of_series, without_path
from analysis.report.setting import has_optics, is_emulated, is_loopback, rate_of_links
from analysis.report.trust import trust
from analysis.report.words import counted, is_or_are, listed, text_of, upper
from bench.model import units
from bench.model.verdict import BACKEND_EVIDENCE
from bench.record import RunManifest

MOST_NAMES: Final = 4
"""Series that a sentence names one by one; of more it names the best and the worst."""

ABOVE_CEILING: Final = 1.05
"""From here on a ceiling counts as wrong: token buckets alone explain 4.5 % (docs/emulation.md)."""

ALSO: Final = {
    "latency": "still by latency",
    "unknown": "by something that this run does not show",
    "backend": "by the backend",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``alarms`` are read first: what makes the rest doubtful. ``sentences``: one to five."""

    alarms: tuple[str, ...]
    sentences: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The one to read among those of several runs: what makes it doubtful, else how close it came."""
        return (*self.alarms[:1], *self.sentences[1:2], "")[0]


def verdict_of(run: Run, points: Sequence[Point]) -> Verdict:
    """What a run says of itself, from its data alone."""
    manifest = run.manifest
    valid = [point for point in points if point.is_valid]
    found = [_setting(manifest, points)]
    if valid:
        found += [_how_close(manifest, valid), _latency(valid), trust(manifest, points)]
    found.append(next_step(run, points))
    return Verdict(
        alarms=tuple(_alarms(run, points)), sentences=tuple(sentence for sentence in found if sentence)
    )


def _alarms(run: Run, points: Sequence[Point]) -> list[str]:
    found = []
    wrong = [point for point in points if point.is_wrong]
    if wrong:
        told = _some([f"{point.label} ({point.num_wrong_elements} elements)" for point in wrong])
        found.append(
            f"Wrong data at {len(wrong)} of {counted(len(points), 'point')}: {told}. Those points have no bandwidth, and no "
            "other number of this run should be used before the cause is known."
        )
    failed = [point for point in points if not point.is_valid and not point.is_wrong]
    if failed:
        told = _some([f"{point.label} ({point.status})" for point in failed])
        found.append(f"{counted(len(failed), 'point')} failed or did not end: {told}.")
    if run.why_partial:
        found.append(f"The run is partial: {without_path(run, run.why_partial)}.")
    if not any(point.is_valid for point in points):
        found.append("No point has a valid measurement, so nothing can be said of the fabric.")
    return found


def _some(labels: Sequence[str]) -> str:
    more = len(labels) - MOST_NAMES
    return f"{', '.join(labels[:MOST_NAMES])} and {more} more" if more > 0 else listed(labels)


def _setting(manifest: RunManifest, points: Sequence[Point]) -> str:
    if is_emulated(manifest):
        rate = rate_of_links(manifest)
        shaped = f" shaped to {rate}" if rate else ""
        return (
            f"This is an emulated fabric at 1/{manifest.time_scale:g} of full speed: {manifest.ranks_on_hosts} that are network "
            f"namespaces of one machine, over links{shaped} in place of {manifest.transceiver}. It shows what the rate of a link "
            "and an algorithm do to a collective; it does not show the latency, the switches or the RDMA of hardware."
            f"{_faults(manifest)}"
        )
    if manifest.imported is not None:
        return _imported(manifest, points)
    if is_loopback(manifest):
        where = "its GPUs" if manifest.backend == "nccl" else "its memory"
        return (
            f"Measured on one machine, {manifest.ranks_on_hosts}, over {where}: no optics are involved, and the numbers say "
            "nothing of any link."
        )
    optics = f"{manifest.transceiver} optics" if has_optics(manifest) else "optics that nobody has named"
    return f"Measured with {manifest.ranks_on_hosts} ({manifest.backend}) over {optics}."


def _faults(manifest: RunManifest) -> str:
    """A run with faults is no measure of anything else."""
    faults = (manifest.links or {}).get("faults")
    if not isinstance(faults, list) or not faults:
        return ""
    return f" Faults were injected on purpose: {'; '.join(map(text_of, faults))}."


def _imported(manifest: RunManifest, points: Sequence[Point]) -> str:
    tables = (manifest.imported or {}).get("tables")
    programs = sorted({str(one.get("program")) for one in tables or [] if one.get("program")})
    statistics = list(dict.fromkeys(point.statistic for point in points))
    told = f" ({_some(programs)})" if programs else ""
    return (
        f"Measured by {manifest.launched_by}{told}, not by linerate, with {manifest.ranks_on_hosts}; imported from "
        f"{(manifest.imported or {}).get('file', 'a log')}. Times are the {listed(statistics) or 'statistic'} that it prints."
    )


def _how_close(manifest: RunManifest, valid: Sequence[Point]) -> str:
    judged = largest_of_series([point for point in valid if point.efficiency is not None])
    if not judged:
        return _no_ceiling(manifest, valid)
    judged.sort(key=lambda point: -(point.efficiency or 0.0))
    high = [point for point in judged if (point.efficiency or 0.0) > ABOVE_CEILING]
    if high:
        return (
            f"{high[0].label} exceeds its ceiling ({high[0].efficiency:.0%}), which cannot be: the hardware is described "
            "wrongly, or another algorithm ran than the one assumed, so no efficiency here can be trusted."
        )
    # Rounding to whole elements per rank makes sizes of one step differ a little.
    one_size = max(point.message_bytes for point in judged) < 2 * min(point.message_bytes for point in judged)
    where = f"At {_size(judged[0])}" if one_size else "At the largest message of each"
    if len(judged) <= MOST_NAMES + 2:
        told = f"{judged[0].series} reaches {_reached(manifest, judged[0])}"
        told += "".join(f", {point.series} {point.efficiency:.0%}" for point in judged[1:])
    else:
        near = sum((point.efficiency or 0.0) >= BACKEND_EVIDENCE for point in judged)
        told = (
            f"{near} of {len(judged)} series reach {BACKEND_EVIDENCE:.0%} or more; the best is {judged[0].series} with "
            f"{_reached(manifest, judged[0])}, the worst {judged[-1].series} with {judged[-1].efficiency:.0%}"
        )
    return f"{where}, {told}. {_binds(judged)}"


def _reached(manifest: RunManifest, point: Point) -> str:
    return f"{point.efficiency:.0%} of its ceiling ({_rate(manifest, point)} of busbw)"


def _rate(manifest: RunManifest, point: Point) -> str:
    """An emulated link is named in bits per second, so is what crosses it; elsewhere GB/s is what everybody reads."""
    busbw = point.busbw_gbytes_per_s or 0.0
    return units.format_rate(busbw * units.GIGA) if is_emulated(manifest) else f"{busbw:.4g} GB/s"


def _binds(judged: Sequence[Point]) -> str:
    names: dict[str, list[str]] = {}
    for point in judged:
        names.setdefault(point.bound_by, []).append(point.series)
    parts = []
    for cause, series in names.items():
        who = listed(series) if len(series) <= MOST_NAMES else f"{len(series)} series"
        parts.append(f"{who} {is_or_are(len(series))} limited {ALSO.get(cause, f'by the {cause}')}")
    return f"{upper('; '.join(parts))}."


def _no_ceiling(manifest: RunManifest, valid: Sequence[Point]) -> str:
    rated = [point for point in valid if point.busbw_gbytes_per_s is not None]
    if not rated:
        return ""
    best = max(rated, key=lambda point: point.busbw_gbytes_per_s or 0.0)
    fastest = f"the highest busbw is {_rate(manifest, best)} ({best.label})"
    if is_emulated(manifest):
        return f"No message was long enough for the rate of the links to show; {fastest}."
    if is_loopback(manifest):
        return f"There is no line to compare with; {fastest}."
    reason = "no ceiling could be derived for this placement" if has_optics(manifest) else "none was named"
    return f"How far that is from the optics cannot be said, since {reason}; {fastest}."


def _latency(valid: Sequence[Point]) -> str:
    flat = [point for point in valid if point.bound_by == "latency" and point.message_bytes > 0]
    if not flat:
        return ""
    longest = max(point.message_bytes for point in flat)
    first = min(flat, key=lambda point: point.time_s or 0.0)
    return (
        f"Up to {units.format_bytes(longest)} at most, latency sets the time and not the link: {first.label} takes "
        f"{units.format_seconds(first.time_s or 0.0)}."
    )


def _size(point: Point) -> str:
    return units.format_bytes(point.message_bytes)
