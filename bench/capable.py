"""`capable_plan`: the plan less what the backend turns out not to take here, each with its reason."""

from bench.measure.capability import probe
from bench.measure.ranks import Ranks
from bench.points import Plan


def capable_plan(plan: Plan, ranks: Ranks) -> Plan:
    """Try on a GPU what no table can know (fp8, what gloo does with GPU memory), each rank alone, so that a failure can
    neither hang nor harm the others. Every rank calls it; what any rank cannot do is left out on all.

    Raises:
        ValueError: nothing is left.
    """
    if not ranks.is_on_gpu:
        return plan
    alone = ranks.split([[rank] for rank in range(ranks.size)])
    keys = dict.fromkeys((point.collective.value, point.dtype, point.reduce_op) for point in plan.points)
    reasons = {}
    for key in keys:
        said = ranks.gathered_text(probe(alone, *key) or "")
        reasons[key] = next((text for text in said if text), None)
    alone.leave()
    kept = [p for p in plan.points if reasons[p.collective.value, p.dtype, p.reduce_op] is None]
    skipped = [f"{key[0]}: {reason}" for key, reason in reasons.items() if reason is not None]
    if not kept:
        raise ValueError("nothing of this can be measured: " + "; ".join([*plan.skipped, *skipped][:3]))
    return Plan(points=tuple(kept), skipped=(*plan.skipped, *skipped))
