"""What a point was, in the form that is written down: `Record` from what was measured and predicted."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from bench.calibrating import ask
from bench.expect import expect, given_schedule
from bench.measure.engine import Measurement
from bench.model import units
from bench.model.collective import TRAITS, Algorithm, Collective
from bench.model.datatype import DATA_TYPES
from bench.model.fabric import Network
from bench.model.fit.calibration import Calibration
from bench.model.grouping import WORLD, Group, groups_of
from bench.model.schedule import Schedule, demand
from bench.model.straggler import Arrivals, Finding, Kind, classify
from bench.model.straggler import arrivals as arrivals_of
from bench.model.transfer import KNOWN_SCHEDULES, host_egress_bytes, load_imbalance, schedule
from bench.mpi_algorithms import TUNED, carried_out
from bench.nccl_log import CHOSEN_COLLECTIVES
from bench.points import Point
from bench.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What records of one run share.

    ``hosts``: of every rank. ``net``: what connects them, where it is known. ``forced_algorithm``: what NCCL was told to
    take (``ring/simple``), which it may still not have followed, or MPI (``segment_bytes``: in pieces of so many). ``barrier_s``: a barrier of all ranks, in the median.
    ``calibration``: of an earlier run, put beside the prediction; ``fabric``: as the manifest names it.
    """

    backend: str
    hosts: list[str]
    net: Network | None
    clock_uncertainty_s: float
    barrier_s: float
    forced_algorithm: str | None = None
    segment_bytes: int | None = None
    calibration: Calibration | None = None
    fabric: str = ""


def records_of(
    point: Point,
    measurement: Measurement,
    facts: RunFacts,
    *,
    is_checked: bool,
    algorithm_logged: str | None,
    processor_shares: tuple[float | None, float | None],
) -> list[tuple[Record, tuple[int, ...]]]:
    """One finished point, measured and predicted: a record for each group, with the ranks of the run it is about.

    ``is_checked``: whether data of this type can show a wrong element. ``algorithm_logged``: what the backend's log says it
    chose. ``processor_shares``: busy, and taken by other machines.
    """
    groups = groups_of(point.group_kind, facts.hosts)
    return [
        (
            _record(point, measurement, facts, group, is_checked, algorithm_logged, processor_shares),
            group.ranks,
        )
        for group in groups
    ]


def _record(
    point: Point,
    measurement: Measurement,
    facts: RunFacts,
    group: Group,
    is_checked: bool,
    algorithm_logged: str | None,
    processor_shares: tuple[float | None, float | None],
) -> Record:
    ranks = group.ranks
    hosts = [facts.hosts[rank] for rank in ranks]
    num_hosts = len(set(hosts))
    net = group_network(facts.net, point.group_kind, point.collective)
    expected = None
    forced = _forced(point, facts)
    source = "forced" if forced else algorithm_source(point, facts.backend)
    if algorithm_logged:
        source = "logged"
    chosen = algorithm_logged or forced
    ran = chosen or point.algorithm
    if net is not None and point.measure_pass != "overlap":
        # Calls queued back to back meet a full token bucket once; the two messages of a ping_pong meet one each.
        queued_calls = measurement.calls_per_sample / TRAITS[point.collective].messages_per_call
        bucket_bytes = net.bucket_bytes / queued_calls
        net = dataclasses.replace(net, bucket_bytes=bucket_bytes)
        expected = expect(point.spec, net, facts.backend, chosen)
    prediction = expected.prediction if expected else None
    calibrated = None
    if facts.calibration is not None and prediction is not None and net is not None:
        calibrated = ask(
            facts.calibration,
            point,
            prediction,
            net,
            num_hosts=num_hosts,
            backend=facts.backend,
            fabric=facts.fabric,
        ).time
    starts = [measurement.start_s[rank] for rank in ranks]
    durations = [measurement.duration_s[rank] for rank in ranks]
    # In a ping_pong all ranks but the first and the last stand by.
    timed = [durations[0], durations[-1]] if point.collective is Collective.ping_pong else durations
    num_wrong = sum(measurement.num_wrong[rank] for rank in ranks)
    has_data = is_checked and point.collective is not Collective.barrier
    arrivals, finding = _stragglers(measurement, ranks, starts, durations, point, facts)
    status = "complete"
    if has_data and num_wrong:
        status = "wrong_data"
    elif measurement.num_bad:
        status = "failed"
    suffix = "" if group.name == WORLD else f".{group.name}"
    return Record(
        point_id=point.point_id + suffix,
        attempt=0,
        status=status,
        collective=point.collective.value,
        algorithm=ran,
        algorithm_source=source,
        backend=facts.backend,
        dtype=point.dtype,
        reduce_op=point.reduce_op,
        placement=point.placement,
        measure_pass=point.measure_pass,
        group=group.name,
        num_ranks=point.num_ranks,
        num_hosts=num_hosts,
        message_bytes=point.message_bytes,
        calls_per_sample=measurement.calls_per_sample,
        durations_s=[max(column) for column in zip(*timed, strict=True)],
        rank_mean_s=[sum(row) / len(row) for row in timed if row],
        first_call_s=max(measurement.first_call_s[rank] for rank in ranks),
        num_wrong_elements=num_wrong if has_data else None,
        # Trays of a rack are one host as far as its network is concerned.
        fabric_bytes_per_rank=fabric_bytes_per_rank(
            point,
            net.num_hosts if net else num_hosts,
            facts.backend,
            given_schedule(chosen, point.collective),
        ),
        predicted_time_s=prediction.duration_s if prediction else None,
        ceiling_time_s=prediction.ceiling_s if prediction and prediction.loads else None,
        predicted_low_s=prediction.low_s if prediction else None,
        predicted_high_s=prediction.high_s if prediction else None,
        predicted_schedule=prediction.schedule.value if prediction and prediction.schedule else None,
        schedule_source=expected.source if expected else None,
        calibrated_time_s=calibrated.time_s if calibrated else None,
        calibrated_low_s=calibrated.low_s if calibrated else None,
        calibrated_high_s=calibrated.high_s if calibrated else None,
        predicted_bound=prediction.resource if prediction else None,
        also_bound_by=list(prediction.also_bound_by) if prediction else [],
        is_bucket_dominated=prediction.is_bucket_dominated if prediction else False,
        busy_share=processor_shares[0],
        steal_share=processor_shares[1],
        warnings=_warnings(measurement),
        stop_reason=measurement.stop_reason,
        num_rejected=measurement.num_rejected,
        num_bad=measurement.num_bad,
        num_checked_calls=measurement.num_checked_calls if has_data else None,
        arrival_skew_s=arrivals.skew_median_s if arrivals else None,
        arrival_skew_max_s=arrivals.skew_max_s if arrivals else None,
        transfer_s=arrivals.transfer_median_s if arrivals else None,
        clock_uncertainty_s=facts.clock_uncertainty_s,
        finding=_label(finding) if finding else None,
        finding_text=str(finding) if finding else None,
        counted_bytes_per_rank=_counted_per_rank(measurement, ranks, hosts),
        load_imbalance=load_imbalance(point.spec),
        communication_s=_slowest(measurement.extras.get("communication_s"), ranks),
        compute_s=_slowest(measurement.extras.get("compute_s"), ranks),
        clock_resolution_s=measurement.clock_resolution_s,
    )


def timeout_records(point: Point, facts: RunFacts) -> list[Record]:
    """The records of a point that did not come to its end, one for each group: no samples, no prediction."""
    nothing = Measurement(
        start_s=[[] for _ in facts.hosts],
        duration_s=[[] for _ in facts.hosts],
        calls_per_sample=1,
        iterations=[],
        is_host_bound=False,
        num_rejected=0,
        num_bad=0,
        first_call_s=[0.0] * len(facts.hosts),
        extras={},
        counted_bytes=None,
        num_wrong=[0] * len(facts.hosts),
        num_checked_calls=0,
        stop_reason="timeout",
        clock_resolution_s=0.0,
    )
    facts = dataclasses.replace(facts, net=None)
    return [
        dataclasses.replace(
            _record(point, nothing, facts, group, False, None, (None, None)),
            status="timeout",
            first_call_s=None,
            clock_resolution_s=None,
        )
        for group in groups_of(point.group_kind, facts.hosts)
    ]


def _forced(point: Point, facts: RunFacts) -> str | None:
    """What the library was told to take for this point, and did, as far as it says; None where it chose by itself."""
    asked = facts.forced_algorithm
    if asked is None:
        return None
    if facts.backend != "mpi":
        return asked if point.collective.value in CHOSEN_COLLECTIVES else None
    if point.collective.value not in TUNED or point.algorithm != "native":
        return None
    item_bytes = DATA_TYPES[point.dtype].num_bytes
    return carried_out(
        point.collective.value,
        asked,
        num_ranks=point.num_ranks,
        num_elements=point.message_bytes // item_bytes,
        segment_elements=None if facts.segment_bytes is None else facts.segment_bytes // item_bytes,
    )


def group_network(net: Network | None, kind: str, collective: Collective) -> Network | None:
    """What connects the ranks of one group while all others do the same; None where that depends on where they lie.

    host: no link is crossed. rail: one rank of each host; where a host has fewer ports than ranks, groups share them evenly,
    except in a ping_pong, whose links are idle half of the time, so that another group's message may have them whole. stride:
    one host of each leaf, where hosts have one rank and the stride is that of leaves; all others share the uplinks.
    """
    if net is None or kind == WORLD:
        return net
    if kind == "host":
        return dataclasses.replace(net, num_hosts=1)
    if (
        kind == f"stride:{net.hosts_per_leaf}"
        and net.ranks_per_host == 1
        and net.spine_bytes_per_s is not None
    ):
        assert net.hosts_per_leaf is not None
        return dataclasses.replace(net, num_hosts=net.num_hosts // net.hosts_per_leaf, hosts_per_leaf=1)
    if kind != "rail":
        return None
    share = min(1.0, net.ports_per_host / net.ranks_per_host)
    if share < 1 and collective is Collective.ping_pong:
        return None
    return dataclasses.replace(
        net,
        ranks_per_host=1,
        ports_per_host=max(1, net.ports_per_host // net.ranks_per_host),
        port_bytes_per_s={name: rate * share for name, rate in net.port_bytes_per_s.items()},
        spine_bytes_per_s=None if net.spine_bytes_per_s is None else net.spine_bytes_per_s * share,
        bucket_bytes=net.bucket_bytes * share,
    )


def algorithm_source(point: Point, backend: str) -> str:
    """``forced`` where we send the messages ourselves, ``assumed`` for gloo, whose source has one schedule for each."""
    if point.algorithm not in ("native", "persistent"):
        return "forced"
    if point.collective in (Collective.send_recv, Collective.ping_pong):
        return "forced"
    return "assumed" if backend == "gloo" else "unknown"


def fabric_bytes_per_rank(
    point: Point, num_hosts: int, backend: str, given: Schedule | None = None
) -> float | None:
    """Payload that leaves a host per rank and call; None where it depends on a schedule that is not known.

    ``given``: the schedule that was read or forced.
    """
    if point.num_ranks % num_hosts:
        return None
    ranks_per_host = point.num_ranks // num_hosts
    if given is not None and num_hosts > 1:
        needs = demand(point.collective, given, num_hosts, ranks_per_host)
        return float(needs.host_bytes) * point.message_bytes / ranks_per_host
    is_schedule_known = backend == "gloo" or algorithm_source(point, backend) != "unknown"
    # Whoever sends blocks to their readers moves the same bytes; a vector may travel round a ring or along a tree.
    is_direct = schedule(point.collective) is Algorithm.pairwise
    if num_hosts > 1 and not (is_direct or (is_schedule_known and point.collective in KNOWN_SCHEDULES)):
        return None
    return host_egress_bytes(point.spec, ranks_per_host) / ranks_per_host


def _stragglers(
    measurement: Measurement,
    ranks: tuple[int, ...],
    starts: list[list[float]],
    durations: list[list[float]],
    point: Point,
    facts: RunFacts,
) -> tuple[Arrivals | None, Finding | None]:
    """Who was late and who was slow. Not where a rank stands by, nor where one sample holds many calls."""
    is_one_call = measurement.calls_per_sample == 1 and point.measure_pass != "overlap"
    if len(ranks) < 2 or not is_one_call or not starts[0]:
        return None, None
    begun, lasted = np.array(starts), np.array(durations)
    arrivals = None
    if facts.backend == "nccl":
        # Ranks are aligned on the device, after the host's reading: who comes late is not in these times.
        begun = np.broadcast_to(begun.min(axis=0), begun.shape)
    else:
        arrivals = arrivals_of(begun, lasted)
    finding = classify(
        begun,
        lasted,
        clock_uncertainty_s=facts.clock_uncertainty_s,
        barrier_s=facts.barrier_s,
        ends_together=TRAITS[point.collective].ends_together,
    )
    if finding is None:
        return arrivals, None
    return arrivals, dataclasses.replace(finding, ranks=tuple(ranks[place] for place in finding.ranks))


def _label(finding: Finding) -> str:
    """``late rank 2``, ``slow rank 1, 3``, ``single stall at 1.2 s``."""
    if finding.kind is Kind.single_stall:
        assert finding.at_s is not None
        return f"{finding.kind.value} at {units.format_seconds(finding.at_s)}"
    named = ", ".join(map(str, finding.ranks))
    return f"{finding.kind.value} {named}".strip()


def _counted_per_rank(measurement: Measurement, ranks: tuple[int, ...], hosts: list[str]) -> float | None:
    """Of the host that sent most, per rank on it. All groups at once share interfaces, so only the whole can be counted."""
    if (
        measurement.counted_bytes is None
        or len(set(hosts)) < 2
        or len(ranks) < len(measurement.counted_bytes)
    ):
        return None
    per_host = [
        measurement.counted_bytes[rank] / hosts.count(host) for rank, host in zip(ranks, hosts, strict=True)
    ]
    return max(per_host)


def _slowest(rows: list[list[float]] | None, ranks: tuple[int, ...]) -> list[float]:
    if rows is None:
        return []
    return [max(column) for column in zip(*(rows[rank] for rank in ranks), strict=True)]


def _warnings(measurement: Measurement) -> list[str]:
    found = []
    if measurement.stop_reason == "budget":
        found.append("budget: fewer samples than planned; raise timing.budget_s")
    if measurement.stop_reason == "interrupted":
        found.append("interrupted: fewer samples than planned")
    if measurement.is_host_bound:
        found.append(
            "host_bound: in most samples the device waited for the host, whose time is in them; see the bandwidth or graph pass"
        )
    if measurement.num_rejected:
        found.append(
            f"rejected: {measurement.num_rejected} samples in which a host was slower than its device are left out"
        )
    if measurement.num_bad:
        found.append(
            f"bad_sample: {measurement.num_bad} times that are not positive and finite; repeat the point"
        )
    return found
