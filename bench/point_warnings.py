"""`point_warnings`: what speaks against taking the number of one point at face value, each with its advice."""

from typing import Final

from bench.model.stability import stability_facts
from bench.model.straggler import REACHED, Finding, Kind
from bench.model.verdict import BACKEND_EVIDENCE
from bench.record import Record

STEAL_WARNING_SHARE: Final = 0.05
"""Above this share of processor time taken by others on the same hardware a point says so."""


def everyone_slow(
    record: Record, verdict: str, other_efficiency: float, time_s: float | None
) -> Finding | None:
    """Whether all ranks together are far below what the links allow, and neither latency nor the backend explains it.

    ``time_s``: of the point; None where it has no valid one.
    """
    if verdict in ("latency", "backend") or record.predicted_time_s is None:
        return None
    if record.finding is not None and record.rank_mean_s:
        # On a slow ring some ranks end a little before the others, and yet all are slow.
        is_all = min(record.rank_mean_s) * REACHED > record.predicted_time_s
        if record.finding.startswith(Kind.late_rank.value) or not is_all:
            return None
    if time_s is None or record.is_bucket_dominated or other_efficiency >= BACKEND_EVIDENCE:
        return None
    predicted_s = record.predicted_time_s
    if predicted_s >= REACHED * time_s:
        return None
    excess_s = time_s - predicted_s
    return Finding(kind=Kind.everyone_slow, excess_s=excess_s, share=excess_s / time_s)


def point_warnings(
    record: Record, verdict: str, share: float | None, other_efficiency: float, everyone: Finding | None
) -> list[str]:
    """One sentence each, with a name and a colon in front, in the order in which they matter."""
    found = list(record.warnings)
    text = str(everyone) if everyone else record.finding_text
    if text:
        found.append(f"straggler: {text}")
    if record.num_wrong_elements:
        found.append(f"wrong_data: {record.num_wrong_elements} elements; no bandwidth is given")
    if record.is_bucket_dominated:
        found.append(
            "emulation_bucket: the message is below 8 token buckets, so the link's rate does not show"
        )
    if record.also_bound_by and verdict == record.predicted_bound:
        found.append(f"tie: {', '.join(record.also_bound_by)} within 1 % of {verdict}")
    if verdict == "backend" and share is not None:
        found.append(
            f"backend: {share:.0%} of the ceiling here, {other_efficiency:.0%} elsewhere in this run over the same links"
        )
    if record.steal_share is not None and record.steal_share > STEAL_WARNING_SHARE:
        found.append(
            f"noisy_host: {record.steal_share:.0%} of processor time went to other machines; repeat when quiet"
        )
    if record.load_imbalance is not None and record.load_imbalance > 1:
        found.append(f"imbalance: the busiest rank moves {record.load_imbalance:.2f} times the mean")
    if record.status == "complete":
        resolution_s = record.clock_resolution_s
        if resolution_s is not None:
            resolution_s /= record.calls_per_sample  # durations are those of one call
        facts = stability_facts(record.durations_s, clock_resolution_s=resolution_s)
        # A percentile that is withheld is an empty cell, which says it already.
        found += [f"{fact.name}: {fact.text}" for fact in facts if fact.name != "percentiles"]
    return found
