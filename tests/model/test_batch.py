"""Many predictions at once are the same as one after another."""

import math
import random
from typing import Any

import numpy as np
import pytest

from bench.model.batch import BLOCK, BOUND_BY, Batch, predict_many
from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Network
from bench.model.framing import Transport
from bench.model.gpu import GPUS, Gpu
from bench.model.held_out import Experience, experience
from bench.model.predict import Prediction, predict
from bench.model.schedule import SCHEDULES, Schedule
from bench.model.traffic import traffic_from_skew
from bench.model.transfer import load_imbalance
from bench.published import own_rows
from tests.model.schedules import even_split

KNOWN = experience(own_rows())
PAIRS = [(collective, schedule) for collective, known in SCHEDULES.items() for schedule in known]
every_pair = pytest.mark.parametrize(("collective", "schedule"), PAIRS, ids=lambda value: value.value)
every_experience = pytest.mark.parametrize("known", [None, KNOWN], ids=["links alone", "with experience"])
NUM_POINTS = 30


def _points(collective: Collective, seed: int) -> list[dict[str, float]]:
    """Sizes from 256 B to 64 GiB; hosts with NVLink or without, below leaves of their own or with others."""
    numbers = random.Random(seed)
    found: list[dict[str, float]] = []
    while len(found) < NUM_POINTS:
        few = collective is Collective.all_to_allv  # whose shares are a matrix
        hosts = numbers.choice([1, 2, 3, 6] if few else [1, 2, 3, 4, 7, 16, 100, 2048, 16384])
        ranks = numbers.choice([1, 2, 8] if few else [1, 2, 4, 8, 12, 72])
        leaf = numbers.choice([leaf for leaf in (1, 2, 4, 32, hosts) if leaf <= hosts])
        if hosts * ranks > 1:
            found.append(
                {
                    "message_bytes": (1 + int(2 ** numbers.uniform(8, 36)) // (hosts * ranks))
                    * hosts
                    * ranks,
                    "num_hosts": hosts,
                    "ranks_per_host": ranks,
                    "port_bytes_per_s": numbers.uniform(1e9, 1e11),
                    "nvlink_bytes_per_s": numbers.choice([math.inf, 1.5e11, 4.5e11, 9e11]),
                    "hosts_per_leaf": leaf,
                    "oversubscription": numbers.choice([1.0, 2.0, 4.0]),
                }
            )
    return found


def _alone(
    collective: Collective,
    schedule: Schedule,
    point: dict[str, float],
    known: Experience | None,
    *,
    is_rail_optimised: bool,
    transport: Transport,
    gpu: Gpu | None,
    ports_per_rank: float = 1,
) -> Prediction:
    hosts, ranks, size = (int(point[key]) for key in ("num_hosts", "ranks_per_host", "message_bytes"))
    port, over, nvlink = point["port_bytes_per_s"], point["oversubscription"], point["nvlink_bytes_per_s"]
    network = Network(
        num_hosts=hosts,
        ranks_per_host=ranks,
        ports_per_host=max(1, int(ranks * ports_per_rank)),
        port_bytes_per_s={"optics": port},
        spine_bytes_per_s=port / over if over > 1 else None,
        hosts_per_leaf=int(point["hosts_per_leaf"]),
        nvlink_bytes_per_s=None if math.isinf(nvlink) else nvlink,
        is_rail_optimised=is_rail_optimised,
        transport=transport,
        gpu=gpu,
    )
    split = even_split(hosts * ranks, size) if collective is Collective.all_to_allv else None
    spec = CollectiveSpec(
        collective=collective, num_ranks=hosts * ranks, message_bytes=size, split_bytes=split
    )
    return predict(spec, network, schedule, known)


def _together(
    collective: Collective, schedule: Schedule, points: list[dict[str, float]], **options: Any
) -> Batch:
    columns: dict[str, Any] = {key: np.array([point[key] for point in points]) for key in points[0]}
    ports = 1 if collective is Collective.send_recv else columns["ranks_per_host"]
    columns["host_bytes_per_s"] = columns.pop("port_bytes_per_s") * ports
    return predict_many(collective, schedule, **columns, **options)


def _same(mine: float | None, its: float) -> bool:
    """None and NaN, nothing and infinity are the same thing to either side."""
    if mine is None or math.isnan(its):
        return mine is None and math.isnan(its)
    return math.isclose(mine, its, rel_tol=1e-9) or mine == its


@every_pair
@every_experience
def test_many_are_as_one_by_one(collective: Collective, schedule: Schedule, known: Experience | None) -> None:
    """NaN where nothing is expected, and an infinite rate where NVLink is not modelled; each kind of network in turn."""
    is_uneven = collective is Collective.all_to_allv
    kinds = (
        (Transport.unknown, None, False),
        (Transport.infiniband, GPUS["B200"], not is_uneven),
        (Transport.roce_v2, GPUS["MI300X"], False),
    )
    for seed, (transport, gpu, is_rail_optimised) in enumerate(kinds):
        options: Any = {
            "is_rail_optimised": is_rail_optimised,
            "transport": transport,
            "gpu": gpu,
        }
        points = _points(collective, seed)
        found = _together(collective, schedule, points, known=known, **options)
        for i, point in enumerate(points):
            alone = _alone(collective, schedule, point, known, **options)
            if alone.bound_by is None:
                continue  # one host without NVLink
            assert _same(alone.ceiling_s, found.ceiling_s[i]), point
            if is_uneven and known is not None:
                continue  # its steps are not predicted one by one; test_expectation.py says so
            assert _same(alone.duration_s, found.duration_s[i]), point
            assert _same(alone.low_s, found.low_s[i]), point
            assert _same(alone.high_s, found.high_s[i]), point
            assert _same(alone.busbw_bytes_per_s, found.bus_bytes[i] / found.duration_s[i]), point
            if not alone.also_bound_by:  # of a tie one by one names the optics first
                name = "network" if alone.bound_by == "optics" else alone.bound_by
                assert name == BOUND_BY[found.bound_by[i]], point


@every_experience
def test_nothing_is_expected_where_nothing_is_modelled(known: Experience | None) -> None:
    """Ranks of one host without NVLink talk through memory."""
    found = predict_many(
        *(Collective.all_reduce, Schedule.ring),
        message_bytes=2**30,
        num_hosts=1,
        ranks_per_host=8,
        host_bytes_per_s=4e11,
        known=known,
    )
    assert np.isnan(found.duration_s) and np.isnan(found.busbw_bytes_per_s)


def test_rails_of_an_exchange_with_shares() -> None:
    point = {"message_bytes": 2.0**20, "num_hosts": 6.0, "ranks_per_host": 2.0, "port_bytes_per_s": 1e10}
    point |= {"nvlink_bytes_per_s": math.inf, "hosts_per_leaf": 2.0, "oversubscription": 4.0}
    options: Any = {"is_rail_optimised": True, "transport": Transport.unknown, "gpu": None}
    ends = (Collective.all_to_allv, Schedule.p2p)
    alone = _alone(*ends, point, None, **options)
    # Counts are whole, so shares of 12 are not quite equal.
    assert alone.ceiling_s == pytest.approx(_together(*ends, [point], **options).ceiling_s[0], rel=1e-4)


def test_leaves_with_room_for_more_hosts_than_take_part() -> None:
    """On rails without PXN the spine is used even inside a unit; both ways must count the same uplinks."""
    point = {"message_bytes": 2.0**20, "num_hosts": 8.0, "ranks_per_host": 8.0, "port_bytes_per_s": 5e10}
    point |= {"nvlink_bytes_per_s": math.inf, "hosts_per_leaf": 32.0, "oversubscription": 2.0}
    options: Any = {"is_rail_optimised": True, "transport": Transport.unknown, "gpu": None}
    ends = (Collective.all_to_all, Schedule.p2p)
    alone = _alone(*ends, point, None, **options)
    assert _same(alone.ceiling_s, _together(*ends, [point], **options).ceiling_s[0])


def test_shares_that_differ_take_as_long_as_one_by_one() -> None:
    """The hottest of 8 ranks takes in the whole message, whatever the mean is."""
    counts = traffic_from_skew(1, 8).counts(2**20, 1)
    spec = CollectiveSpec(
        collective=Collective.all_to_allv, num_ranks=8, message_bytes=2**20, split_bytes=counts
    )
    network = Network(num_hosts=8, ranks_per_host=1, ports_per_host=1, port_bytes_per_s={"optics": 1e10})
    imbalance = load_imbalance(spec)
    assert imbalance is not None
    found = predict_many(
        *(Collective.all_to_allv, Schedule.p2p),
        message_bytes=2**20 / imbalance,
        num_hosts=8,
        ranks_per_host=1,
        host_bytes_per_s=1e10,
        imbalance=imbalance,
    )
    alone = predict(spec, network, Schedule.p2p)
    assert float(found.ceiling_s) == pytest.approx(alone.ceiling_s, rel=1e-3)
    assert float(found.busbw_bytes_per_s) == pytest.approx(alone.busbw_bytes_per_s, rel=1e-3)


def test_ranks_that_share_ports() -> None:
    points = [point for point in _points(Collective.all_reduce, 5) if point["ranks_per_host"] % 2 == 0]
    for point in points:
        alone = _alone(
            *(Collective.all_reduce, Schedule.ring, point, KNOWN),
            is_rail_optimised=False,
            transport=Transport.unknown,
            gpu=None,
            ports_per_rank=0.5,
        )
        half = point | {"port_bytes_per_s": point["port_bytes_per_s"] / 2}
        found = _together(Collective.all_reduce, Schedule.ring, [half], known=KNOWN, may_share_ports=True)
        if alone.bound_by is not None:
            assert _same(alone.low_s, found.low_s[0]) and _same(alone.high_s, found.high_s[0])


def test_shapes_broadcast() -> None:
    """A table of sizes and hosts in one call; a single number is a single prediction."""
    sizes, hosts = np.array([2**20, 2**30]), np.array([[1], [2], [64]])
    rates: Any = {"ranks_per_host": 8, "host_bytes_per_s": 4e11, "nvlink_bytes_per_s": 4.5e11, "known": KNOWN}
    table = predict_many(Collective.all_reduce, Schedule.ring, message_bytes=sizes, num_hosts=hosts, **rates)
    assert table.duration_s.shape == table.bound_by.shape == table.busbw_bytes_per_s.shape == (3, 2)
    one = predict_many(Collective.all_reduce, Schedule.ring, message_bytes=2**30, num_hosts=64, **rates)
    assert one.duration_s.shape == ()
    assert float(one.duration_s) == table.duration_s[2, 1]
    none = predict_many(Collective.all_reduce, Schedule.ring, message_bytes=[], num_hosts=2, **rates)
    assert none.duration_s.shape == (0,)


@pytest.mark.parametrize("schedule", [Schedule.ring, Schedule.p2p, Schedule.bruck])
def test_blocks_do_not_show(schedule: Schedule) -> None:
    """Elements are computed some thousands at a time; the last block may be a short one."""
    collective = Collective.all_reduce if schedule is Schedule.ring else Collective.all_to_all
    sizes = np.geomspace(1e3, 1e10, 2 * BLOCK + 7)
    hosts = 1 + np.arange(len(sizes)) % 40
    rates: Any = {"ranks_per_host": 8, "host_bytes_per_s": 4e11, "nvlink_bytes_per_s": 4.5e11, "known": KNOWN}
    whole = predict_many(collective, schedule, message_bytes=sizes, num_hosts=hosts, **rates)
    for i in (0, BLOCK - 1, BLOCK, 2 * BLOCK, len(sizes) - 1):
        one = predict_many(collective, schedule, message_bytes=sizes[i], num_hosts=hosts[i], **rates)
        assert _same(float(one.duration_s), whole.duration_s[i]) or np.isnan(whole.duration_s[i])
        assert one.bound_by == whole.bound_by[i]


def test_what_binds_is_named() -> None:
    common: Any = {"num_hosts": 64, "ranks_per_host": 8, "known": KNOWN, "hosts_per_leaf": 8}
    for expected, message_bytes, host, nvlink, over in (
        ("network", 1e12, 4e11, 4.5e11, 1),
        ("spine", 1e12, 4e11, 4.5e11, 8),
        ("nvlink", 1e12, 4e12, 1e11, 1),
        ("latency", 1e3, 4e11, 4.5e11, 1),
    ):
        found = predict_many(
            *(Collective.all_to_all, Schedule.p2p_pxn),
            message_bytes=message_bytes,
            host_bytes_per_s=host,
            nvlink_bytes_per_s=nvlink,
            oversubscription=over,
            **common,
        )
        assert BOUND_BY[int(found.bound_by)] == expected


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"broadcast has no schedule 'tree'; there is ring"):
        predict_many(
            *(Collective.broadcast, Schedule.tree),
            message_bytes=1,
            num_hosts=2,
            ranks_per_host=8,
            host_bytes_per_s=1,
        )
