"""`degraded`: each fault costs those collectives that cross the links it is on, and by as much as the links lose."""

import dataclasses

import pytest

from bench.catalog import transceiver
from bench.model.collective import Collective, CollectiveSpec
from bench.model.degraded import degraded, ports_used, rail_of
from bench.model.fabric import Network, emulated_network
from bench.model.fault import Fault
from bench.model.predict import predict

MTU_BYTES = 9000
RATE_BYTES_PER_S = 50e6

HALF_LINK = Fault(kind="slow_link", host=1, rate_fraction=0.5)
HALF_RAIL = Fault(kind="slow_rail", rail=2, rate_fraction=0.5)


def network(num_hosts: int = 4, ranks_per_host: int = 4, ports_per_host: int = 4) -> Network:
    return Network(
        num_hosts=num_hosts,
        ranks_per_host=ranks_per_host,
        ports_per_host=ports_per_host,
        port_bytes_per_s={"optics": RATE_BYTES_PER_S},
        mac_bytes_per_s=RATE_BYTES_PER_S,
        num_rings=1,
    )


def share(faults: list[Fault], collective: Collective, kind: str = "world", group: int = 0) -> float:
    """Of the healthy rate, at best."""
    found = degraded(network(), faults, collective, mtu_bytes=MTU_BYTES, kind=kind, group=group)
    return found.best.port_bytes_per_s["optics"] / RATE_BYTES_PER_S


@pytest.mark.parametrize(("ranks_per_host", "ports_per_host"), [(1, 1), (4, 1), (4, 2), (4, 4), (6, 3)])
def test_ranks_share_rails_evenly_and_in_order(ranks_per_host: int, ports_per_host: int) -> None:
    rails = [rail_of(rank, ranks_per_host, ports_per_host) for rank in range(ranks_per_host)]
    assert rails == sorted(rails)
    assert {rails.count(rail) for rail in range(ports_per_host)} == {ranks_per_host // ports_per_host}


@pytest.mark.parametrize("collective", list(Collective))
def test_without_faults_of_links_the_network_stays_as_it_is(collective: Collective) -> None:
    faults = [
        Fault(kind="late_rank", rank=1, delay_s=0.1),
        Fault(kind="stall", rank=0, iteration=3, duration_s=1.0),
    ]
    found = degraded(network(), faults, collective, mtu_bytes=MTU_BYTES)
    assert found.worst == found.best == network() and found.basis is None


def test_one_slow_link_slows_what_every_host_carries() -> None:
    found = degraded(network(), [HALF_LINK], Collective.all_to_all, mtu_bytes=MTU_BYTES)
    assert found.worst == found.best
    assert found.best.port_bytes_per_s == {"optics": RATE_BYTES_PER_S / 2}
    assert found.best.mac_bytes_per_s == RATE_BYTES_PER_S / 2
    assert (
        dataclasses.replace(
            found.best, port_bytes_per_s=network().port_bytes_per_s, mac_bytes_per_s=RATE_BYTES_PER_S
        )
        == network()
    )


def test_the_slowest_of_several_links_counts() -> None:
    faults = [HALF_LINK, Fault(kind="slow_link", host=2, rate_fraction=0.25)]
    assert share(faults, Collective.all_reduce) == 0.25


def test_a_slow_rail_slows_its_group_and_no_other() -> None:
    shares = [share([HALF_RAIL], Collective.all_reduce, "rail", group) for group in range(4)]
    assert shares == [1, 1, 0.5, 1]
    one_host = Fault(kind="slow_rail", rail=2, host=3, rate_fraction=0.5)
    assert [share([one_host], Collective.all_reduce, "rail", group) for group in range(4)] == shares


def test_equal_shares_on_all_rails_run_at_the_slowest() -> None:
    assert share([HALF_RAIL], Collective.all_to_all) == 0.5


def test_a_single_ring_crosses_the_first_and_the_last_rail_alone() -> None:
    slow = [Fault(kind="slow_rail", rail=rail, rate_fraction=0.5) for rail in range(4)]
    assert [share([fault], Collective.all_reduce) for fault in slow] == [0.5, 1, 1, 0.5]
    # The first rail only where the last host passes on to the first.
    inner = Fault(kind="slow_rail", rail=0, host=1, rate_fraction=0.5)
    assert share([inner], Collective.all_reduce) == 1
    many_rings = dataclasses.replace(network(), num_rings=None)
    found = degraded(many_rings, [HALF_RAIL], Collective.all_reduce, mtu_bytes=MTU_BYTES)
    assert found.best.port_bytes_per_s["optics"] == RATE_BYTES_PER_S / 2


def test_a_ping_pong_crosses_the_links_of_its_two_ranks_alone() -> None:
    shares = []
    for host in range(4):
        fault = Fault(kind="slow_link", host=host, rate_fraction=0.5)
        shares.append(share([fault], Collective.ping_pong))
    assert shares == [0.5, 1, 1, 0.5]


def test_groups_on_one_host_cross_no_link() -> None:
    everything = [HALF_LINK, Fault(kind="loss", loss_ratio=0.1)]
    assert share(everything, Collective.all_to_all, "host") == 1
    assert ports_used(network(), Collective.all_to_all, kind="host") == frozenset()


def test_groups_whose_links_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stride:2.*where their ranks lie"):
        share([HALF_LINK], Collective.all_reduce, "stride:2")


def test_loss_gives_an_interval_below_the_rate_that_falls_with_the_loss() -> None:
    limits = []
    for loss_ratio in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1):
        fault = Fault(kind="loss", loss_ratio=loss_ratio)
        found = degraded(network(), [fault], Collective.all_reduce, mtu_bytes=MTU_BYTES)
        low, high = (net.port_bytes_per_s["optics"] for net in (found.worst, found.best))
        assert 0 < low < high <= RATE_BYTES_PER_S * (1 - loss_ratio) * (1 + 1e-12)
        assert found.basis is not None and "reno" in found.basis
        assert found.best.mac_bytes_per_s == RATE_BYTES_PER_S  # the line is as fast as before
        limits.append((low, high))
    assert limits == sorted(limits, reverse=True)


def test_the_greatest_loss_among_the_hosts_that_take_part_counts() -> None:
    mild = Fault(kind="loss", host=0, loss_ratio=1e-4)
    grave = Fault(kind="loss", host=2, loss_ratio=1e-2)
    alone = degraded(network(), [grave], Collective.all_reduce, mtu_bytes=MTU_BYTES)
    assert degraded(network(), [mild, grave], Collective.all_reduce, mtu_bytes=MTU_BYTES) == alone
    between = degraded(network(), [mild, grave], Collective.ping_pong, mtu_bytes=MTU_BYTES)
    assert between == degraded(network(), [mild], Collective.ping_pong, mtu_bytes=MTU_BYTES)


def test_a_slow_link_that_loses_packets_does_both() -> None:
    loss = Fault(kind="loss", loss_ratio=1e-3)
    both = degraded(network(), [HALF_LINK, loss], Collective.all_to_all, mtu_bytes=MTU_BYTES)
    assert both.best.port_bytes_per_s["optics"] == pytest.approx(RATE_BYTES_PER_S / 2 * (1 - 1e-3))
    assert both.worst.port_bytes_per_s["optics"] < both.best.port_bytes_per_s["optics"]


def test_a_longer_round_trip_never_helps() -> None:
    fault = Fault(kind="loss", loss_ratio=1e-2)
    rates = []
    for delay_s in (0.0, 1e-3, 1e-2, 1e-1):
        delayed = dataclasses.replace(network(), delay_s=delay_s)
        found = degraded(delayed, [fault], Collective.all_reduce, mtu_bytes=MTU_BYTES)
        rates.append(found.best.port_bytes_per_s["optics"])
    assert rates == sorted(rates, reverse=True) and rates[-1] < rates[0] / 2


def spread(collective: Collective, oversubscription: float) -> float:
    """Time of a call on two leaves of two hosts."""
    optics = transceiver("400g-osfp-dr4")
    net = emulated_network(
        optics,
        num_hosts=4,
        ranks_per_host=1,
        time_scale=1000,
        mtu_bytes=MTU_BYTES,
        bucket_bytes=131072,
        hosts_per_leaf=2,
        oversubscription=oversubscription,
    )
    spec = CollectiveSpec(collective=collective, num_ranks=4, message_bytes=2**24)
    found = predict(spec, net).duration_s
    assert found is not None
    return found


def test_an_oversubscribed_spine_slows_a_ring_only_beyond_the_hosts_of_a_leaf() -> None:
    """A ring in rank order leaves a leaf by one of its p hosts; of an all_to_all (n - p) / (n - 1) of the traffic does."""
    for collective in (Collective.all_reduce, Collective.send_recv):
        assert spread(collective, 2.0) == spread(collective, 1.0)
        assert spread(collective, 4.0) == pytest.approx(2 * spread(collective, 1.0))
    for oversubscription in (2.0, 4.0):
        expected = oversubscription * 2 / 3
        slower = spread(Collective.all_to_all, oversubscription) / spread(Collective.all_to_all, 1.0)
        assert slower == pytest.approx(expected)
