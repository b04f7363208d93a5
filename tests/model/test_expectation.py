"""What `predict` expects where it knows what published runs reached: order of the ends, what binds, known answers."""

import dataclasses
import itertools
import math

import pytest

from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Network
from bench.model.framing import Transport
from bench.model.gpu import GPUS
from bench.model.held_out import Family, experience
from bench.model.predict import LATENCY, Prediction, predict
from bench.model.schedule import SCHEDULES, Schedule
from bench.published import own_rows
from tests.model.clusters import clusters
from tests.model.networks import GIB, NETWORKS, every_network
from tests.model.schedules import even_split, spec_of

KNOWN = experience(own_rows())
REAL = [network for network in NETWORKS.values() if network.delay_s == 0]
SIZES = [2**i for i in range(10, 41, 3)]
PAIRS = [(collective, schedule) for collective, known in SCHEDULES.items() for schedule in known]
every_pair = pytest.mark.parametrize(("collective", "schedule"), PAIRS, ids=lambda value: value.value)


def dgx_h100(num_hosts: int) -> Network:
    """400G, RoCEv2 at an MTU of 4096."""
    return Network(
        num_hosts=num_hosts,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 49.02e9, "nic": 49.02e9, "pcie": 57.6e9},
        nvlink_bytes_per_s=450e9,
        transport=Transport.roce_v2,
        gpu=GPUS["H100"],
        has_nvls=True,
    )


def expected(
    collective: Collective, schedule: Schedule, network: Network, message_bytes: int = GIB
) -> Prediction:
    split = even_split(network.num_ranks, message_bytes) if collective is Collective.all_to_allv else None
    spec = spec_of(collective, network.num_ranks, message_bytes, split)
    return predict(spec, network, schedule, KNOWN)


def _networks(collective: Collective) -> list[Network]:
    """Shares of an all_to_allv are a matrix, which takes long for many ranks."""
    most = 32 if collective is Collective.all_to_allv else math.inf
    return [network for network in REAL if network.num_ranks <= most]


# Laws


@every_pair
def test_the_ceiling_is_first_and_the_interval_holds_the_expectation(
    collective: Collective, schedule: Schedule
) -> None:
    for network, size in itertools.product(_networks(collective), SIZES):
        found = expected(collective, schedule, network, size)
        assert found.low_s is not None and found.high_s is not None
        assert 0 < found.ceiling_s <= found.low_s <= found.high_s
        if found.duration_s is not None:
            assert found.low_s <= found.duration_s <= found.high_s
            assert found.load_s is not None and found.latency_s is not None
            assert found.load_s + found.latency_s == pytest.approx(found.duration_s)
            rates = (found.low_busbw_bytes_per_s, found.busbw_bytes_per_s, found.high_busbw_bytes_per_s)
            low, busbw, high = (rate or 0.0 for rate in rates)
            assert 0 < low <= busbw <= high <= (found.ceiling_busbw_bytes_per_s or 0)


@every_pair
def test_larger_messages_take_longer_and_have_no_less_busbw(
    collective: Collective, schedule: Schedule
) -> None:
    found = [
        [expected(collective, schedule, network, size) for size in SIZES] for network in _networks(collective)
    ]
    for small, large in itertools.chain.from_iterable(map(itertools.pairwise, found)):
        for before, after in ((small.low_s, large.low_s), (small.high_s, large.high_s)):
            assert before is not None and after is not None and before <= after
        if small.duration_s is not None:
            assert large.duration_s is not None and small.duration_s < large.duration_s
            assert (small.busbw_bytes_per_s or 0) <= (large.busbw_bytes_per_s or 0) * (1 + 1e-9)


@every_pair
def test_huge_messages_reach_the_share_of_what_binds(collective: Collective, schedule: Schedule) -> None:
    """Steps are then nothing; and no resource does better than the best share there is, nor worse than the worst."""
    shares = KNOWN.shares.shares.values()
    for network in _networks(collective):
        found = expected(collective, schedule, network, 2**44)
        assert found.duration_s is not None
        reached = found.ceiling_s / found.duration_s
        assert min(shares) <= reached * (1 + 1e-3) <= max(shares) * (1 + 2e-3)


@every_network
def test_without_experience_there_is_no_interval(network: Network) -> None:
    spec = spec_of(Collective.all_reduce, network.num_ranks, GIB)
    found = predict(spec, network, Schedule.ring)
    assert found.low_s is None and found.high_s is None
    assert found.low_busbw_bytes_per_s is None and found.high_busbw_bytes_per_s is None
    assert found.duration_s is not None and found.duration_s >= found.ceiling_s


def test_shares_of_one_are_the_ceiling_and_steps() -> None:
    """Experience of clusters that all reach their payload rate: Simple's six hops of a ring over two hosts, and the bytes."""
    perfect = experience(clusters([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]))
    network = dataclasses.replace(
        dgx_h100(2), ranks_per_host=1, ports_per_host=1, transport=Transport.unknown
    )
    found = predict(spec_of(Collective.all_reduce, 2, GIB), network, Schedule.ring, perfect)
    assert found.duration_s == pytest.approx(GIB / 49.02e9 + 2 * 6e-6)
    assert found.low_s == pytest.approx(GIB / 49.02e9)


# What binds


@pytest.mark.parametrize(
    ("collective", "schedule"),
    [
        (Collective.all_reduce, Schedule.ring),
        (Collective.all_reduce, Schedule.nvlstree),
        (Collective.all_gather, Schedule.ring),
        (Collective.all_to_all, Schedule.pairwise),
        (Collective.send_recv, Schedule.p2p),
    ],
)
def test_steps_bind_small_messages(collective: Collective, schedule: Schedule) -> None:
    small, large = (expected(collective, schedule, dgx_h100(16), size) for size in (2**10, 2**36))
    assert small.bound_by == LATENCY and small.also_bound_by == ()
    assert large.bound_by not in (LATENCY, None)
    assert small.resource is not None and small.resource != LATENCY


def test_the_number_of_messages_binds_an_exchange_of_small_ones() -> None:
    """How many of 127 travel at once is not published: no duration, and an interval for one after another or all at once."""
    found = expected(Collective.all_to_all, Schedule.p2p, dgx_h100(16), 2**12)
    assert found.duration_s is None and found.busbw_bytes_per_s is None
    assert found.bound_by == LATENCY
    assert found.low_s is not None and found.high_s is not None and found.high_s > 100 * found.low_s


def test_nvlink_binds_nvlstree_on_two_dgx_h100() -> None:
    """The network would allow 735 GB/s, measured are 465 to 487; ranks linked by switches that do not reduce: a ring, 392."""
    found = expected(Collective.all_reduce, Schedule.nvlstree, dgx_h100(2), 16 * GIB)
    assert found.bound_by == "nvlink"
    assert found.loads[0].resource == "optics", "by nominal rates the network is slower"
    ceiling, busbw = found.ceiling_busbw_bytes_per_s, found.busbw_bytes_per_s
    assert ceiling == pytest.approx(2 * 15 / 16 * 8 * 49.02e9)
    assert busbw is not None and 440e9 < busbw < 500e9
    for measured in (465e9, 487e9):
        assert (found.low_busbw_bytes_per_s or 0) < measured < (found.high_busbw_bytes_per_s or 0)
    ring = expected(Collective.all_reduce, Schedule.ring, dgx_h100(2), 16 * GIB)
    assert ring.bound_by == "optics" and ring.also_bound_by == ("nic",)
    assert ring.ceiling_busbw_bytes_per_s == pytest.approx(8 * 49.02e9)


def test_what_binds_the_bytes_of_a_message_whose_steps_take_longer() -> None:
    """The same resource as for a large message, although the network is slower by nominal rates."""
    small, large = (
        expected(Collective.all_reduce, Schedule.nvlstree, dgx_h100(2), size) for size in (2**10, 2**36)
    )
    assert small.bound_by == LATENCY
    assert small.resource == large.resource == "nvlink"


@pytest.mark.parametrize("message_bytes", [2**12, 2**20, 2**30])
def test_equal_shares_of_an_all_to_allv_are_expected_like_an_all_to_all(message_bytes: int) -> None:
    uneven, even = (
        expected(collective, Schedule.p2p, dgx_h100(4), message_bytes)
        for collective in (Collective.all_to_allv, Collective.all_to_all)
    )
    assert uneven.duration_s == pytest.approx(even.duration_s) and uneven.bound_by == even.bound_by


def test_the_share_is_that_of_the_network_that_is_there() -> None:
    infiniband = dataclasses.replace(dgx_h100(4), transport=Transport.infiniband)
    for network, resource in ((dgx_h100(4), "ethernet"), (infiniband, "infiniband")):
        found = expected(Collective.all_reduce, Schedule.ring, network, 2**44)
        assert found.duration_s is not None
        assert found.ceiling_s / found.duration_s == pytest.approx(KNOWN.shares.of(resource), rel=1e-3)


def test_ranks_that_share_ports_have_a_wider_interval() -> None:
    def width(ports_per_host: int) -> float:
        network = dataclasses.replace(dgx_h100(4), ports_per_host=ports_per_host)
        found = expected(Collective.all_reduce, Schedule.ring, network, 16 * GIB)
        assert found.low_s and found.high_s and found.duration_s
        return (found.high_s - found.low_s) / found.duration_s

    assert width(4) > width(8)
    assert KNOWN.low[Family.may_share_ports] < KNOWN.low[Family.own_port]


# Known answers


@pytest.mark.parametrize(
    ("gibibytes", "measured_s"), [(1, 19.4e-3), (2, 20.2e-3), (4, 25.4e-3), (8, 47.1e-3), (16, 93.5e-3)]
)
def test_the_interval_holds_a_published_sweep_of_1024_ranks(gibibytes: int, measured_s: float) -> None:
    """A ring with LL128 over 128 hosts of 8 H100 with 400G RoCE: a floor of 9.5 us for each of 2046 steps, then bytes."""
    found = expected(Collective.all_reduce, Schedule.ring, dgx_h100(128), gibibytes * GIB)
    assert found.low_s is not None and found.high_s is not None
    assert found.low_s <= measured_s <= found.high_s


@pytest.mark.parametrize(
    ("collective", "schedule"),
    [pair for pair in PAIRS if pair[0] is not Collective.all_to_allv],
    ids=lambda value: value.value,
)
def test_131072_ranks(collective: Collective, schedule: Schedule) -> None:
    """In order at any size; the matrix of shares of an all_to_allv would have 17 thousand million entries."""
    network = dgx_h100(16384)
    for exponent in range(10, 35, 4):
        spec = CollectiveSpec(collective=collective, num_ranks=131072, message_bytes=2**exponent)
        found = predict(spec, network, schedule, KNOWN)
        assert found.low_s is not None and found.high_s is not None
        assert 0 < found.ceiling_s <= found.low_s <= (found.duration_s or found.low_s) <= found.high_s
        assert found.bound_by is not None
