"""`next_step`: the one thing to do after reading a page, by what stands in the way most."""

from collections.abc import Sequence
from typing import Final

from analysis.load import Run
from analysis.report.points import Point, largest_of_series
from analysis.report.setting import has_optics, is_emulated, is_loopback
from bench.model import units
from bench.model.verdict import BACKEND_EVIDENCE
from bench.record import RunManifest

HABIT: Final = 10
"""What is seen at one of so many points is advised on; below, one chance finding would outweigh what all other points say.
Straggler findings are made point by point, at rates of chance that docs/measured/stragglers.md gives."""


def next_step(run: Run, points: Sequence[Point]) -> str:
    """One sentence. What makes numbers wrong comes before what makes them uncertain, and that before what makes them small."""
    manifest = run.manifest
    valid = [point for point in points if point.is_valid]
    if any(point.is_wrong for point in points):
        return (
            "Next: repeat the wrong points alone (collectives=, sizes.list_bytes=), and if they are wrong again, change one "
            "thing at a time: library version, algorithm, host."
        )
    if not valid:
        return "Next: read why it ended (status below, stacks/ and rank*.log in the run folder), and run it again."
    if run.is_partial and manifest.imported is None:
        return "Next: run it again for the points that are missing; those that are here are complete."
    return _by_trust(manifest, points) or _by_limit(manifest, valid)


def _by_trust(manifest: RunManifest, points: Sequence[Point]) -> str:
    found = [point.finding for point in points if point.finding]
    ranks = [text for text in found if text.startswith(("late rank", "slow rank"))]
    for text in dict.fromkeys(ranks):
        if ranks.count(text) * HABIT >= len(points):
            return f"Next: look at {text.split(' ', 1)[1]}{_host_of(manifest, text)}; it keeps the others waiting."
    if found.count("everyone slow") * HABIT >= len(points):
        return "Next: look for a slow link, or for hardware that is described wrongly; all ranks are slow together."
    noisy = sum(point.has("noisy_host") for point in points)
    if noisy * HABIT >= len(points):
        return "Next: repeat when the machine is quiet, before small differences are read out of this."
    return ""


def _host_of(manifest: RunManifest, finding: str) -> str:
    number = finding.split()[-1]
    hosts = {str(rank.get("rank")): rank.get("host") for rank in manifest.ranks}
    return f" on {hosts[number]}" if hosts.get(number) else ""


def _by_limit(manifest: RunManifest, valid: Sequence[Point]) -> str:
    largest = largest_of_series([point for point in valid if point.message_bytes > 0])
    backend = [point for point in largest if point.bound_by == "backend"]
    if backend:
        point = min(backend, key=lambda one: one.efficiency or 0.0)
        others = [
            one
            for one in largest
            if one.collective == point.collective and (one.efficiency or 0.0) > (point.efficiency or 0.0)
        ]
        if others:
            best = max(others, key=lambda one: one.efficiency or 0.0)
            return (
                f"Next: carry out {point.collective} as {best.series} does, which reaches {best.efficiency:.0%} where "
                f"{point.series} reaches {point.efficiency:.0%} over the same links."
            )
        return f"Next: try another algorithm or library for {point.series}; the links are not what holds it back."
    if manifest.imported is not None and not has_optics(manifest):
        return "Next: import again with transceiver=<name> and fabric=<name>; then every point has a ceiling beside it."
    if is_loopback(manifest):
        return "Next: `linerate run` without launcher=local measures over emulated links; on several hosts, over real ones."
    judged = [point for point in largest if point.efficiency is not None]
    if is_emulated(manifest) and not judged:
        return "Next: raise sizes.max_bytes, so that the rate of the links shows."
    if not has_optics(manifest):
        return "Next: name the optics with transceiver=<name> and the machines with fabric=<name>; then there is a ceiling."
    still = [point for point in largest if point.bound_by == "latency"]
    if still:
        return f"Next: raise sizes.max_bytes; at {units.format_bytes(still[0].message_bytes)} {still[0].series} is still bound by latency."
    if judged and all((point.efficiency or 0.0) >= BACKEND_EVIDENCE for point in judged):
        return "Next: only other hardware makes these faster; `linerate predict transceiver=<name> fabric=<name>` says by how much."
    return (
        "Next: compare with another run (linerate compare), or with what other optics would give "
        "(linerate predict transceiver=<name> fabric=<name>)."
    )
