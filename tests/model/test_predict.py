"""Predictions: the laws that every one of them obeys, what binds, and what a token bucket does to it."""

import dataclasses
from itertools import pairwise

import pytest

from bench.model.collective import Algorithm, Collective, CollectiveSpec, bus_factor
from bench.model.fabric import Network, emulated_network
from bench.model.framing import emulated_framing
from bench.model.predict import MIN_BUCKETS, predict
from bench.model.transfer import KNOWN_SCHEDULES, num_crossings, schedule
from tests.model.networks import (
    DR4,
    EVERY_WITH_DATA,
    GIB,
    NETWORKS,
    duration_of,
    every_bounded,
    every_collective,
    every_known_schedule,
    every_network,
    predicted,
)

# Laws


@every_known_schedule
@every_network
def test_duration_is_affine_in_message_size(collective: Collective, network: Network) -> None:
    durations_s = [duration_of(predicted(collective, network, i << 20)) for i in range(1, 6)]
    steps_s = [b - a for a, b in pairwise(durations_s)]
    assert steps_s == pytest.approx([steps_s[0]] * len(steps_s))
    assert steps_s[0] > 0


@every_known_schedule
@every_network
def test_the_intercept_is_the_known_delay(collective: Collective, network: Network) -> None:
    """Once for each border on the longest chain."""
    small, large = (predicted(collective, network, size) for size in (2**20, 2**21))
    num_delays = num_crossings(small.spec, network.ranks_per_host)
    assert 2 * duration_of(small) - duration_of(large) == pytest.approx(
        num_delays * network.delay_s, abs=1e-12
    )


@every_bounded
@every_network
def test_where_the_schedule_is_not_known_there_is_a_ceiling_and_no_duration(
    collective: Collective, network: Network
) -> None:
    for size in (2**20, GIB):
        prediction = predicted(collective, network, size)
        assert prediction.ceiling_s > 0
        assert prediction.ceiling_busbw_bytes_per_s is not None
        assert prediction.bound_by is not None
        assert prediction.duration_s is None and prediction.busbw_bytes_per_s is None


@every_bounded
@every_network
def test_a_ceiling_is_in_proportion_to_the_message(collective: Collective, network: Network) -> None:
    free = dataclasses.replace(network, delay_s=0.0)
    one, three = (predicted(collective, free, i << 20).ceiling_s for i in (1, 3))
    assert three == pytest.approx(3 * one)


@every_network
@pytest.mark.parametrize("delay_s", [0.0, 1e-3])
def test_a_barrier_loads_nothing(network: Network, delay_s: float) -> None:
    """It takes a crossing at least, and has no bandwidth that could be compared with it."""
    network = dataclasses.replace(network, delay_s=delay_s)
    prediction = predicted(Collective.barrier, network, 0)
    assert prediction.loads == ()
    assert (prediction.bound_by, prediction.also_bound_by) == (None, ())
    assert prediction.duration_s is None and prediction.busbw_bytes_per_s is None
    assert prediction.ceiling_busbw_bytes_per_s is None
    assert prediction.ceiling_s == (delay_s if network.num_hosts > 1 else 0)
    assert not prediction.is_bucket_dominated


@every_collective
@every_network
def test_at_the_ceiling_no_resource_carries_more_than_it_can(
    collective: Collective, network: Network
) -> None:
    prediction = predicted(collective, network)
    carried = [
        load.payload_bytes / prediction.ceiling_s / load.capacity_bytes_per_s for load in prediction.loads
    ]
    assert all(share <= 1 + 1e-12 for share in carried)
    if network.delay_s == 0:
        assert max(carried) == pytest.approx(1)
        assert prediction.ceiling_s == pytest.approx(max(load.duration_s for load in prediction.loads))


@every_collective
@every_network
def test_nothing_is_expected_faster_than_the_ceiling(collective: Collective, network: Network) -> None:
    prediction = predicted(collective, network)
    busbw, ceiling = prediction.busbw_bytes_per_s, prediction.ceiling_busbw_bytes_per_s
    assert ceiling is not None
    factor = bus_factor(collective, network.num_ranks)
    assert ceiling == pytest.approx(factor * GIB / prediction.ceiling_s)
    if collective in KNOWN_SCHEDULES:
        assert duration_of(prediction) >= prediction.ceiling_s
        assert busbw is not None and busbw <= ceiling


def _scaled(network: Network, factor: float) -> Network:
    def rate(value: float | None) -> float | None:
        return None if value is None else value * factor

    return dataclasses.replace(
        network,
        port_bytes_per_s={name: value * factor for name, value in network.port_bytes_per_s.items()},
        spine_bytes_per_s=rate(network.spine_bytes_per_s),
        nvlink_bytes_per_s=rate(network.nvlink_bytes_per_s),
        delay_s=network.delay_s / factor,
    )


@every_collective
@every_network
def test_half_the_rate_takes_twice_the_time(collective: Collective, network: Network) -> None:
    whole, half = predicted(collective, network), predicted(collective, _scaled(network, 0.5))
    if collective in KNOWN_SCHEDULES:
        assert duration_of(half) == pytest.approx(2 * duration_of(whole))
    assert half.ceiling_s == pytest.approx(2 * whole.ceiling_s)
    assert (half.bound_by, half.also_bound_by) == (whole.bound_by, whole.also_bound_by)


@every_collective
@every_network
def test_a_faster_resource_never_costs_time(collective: Collective, network: Network) -> None:
    before = predicted(collective, network)
    for name, value in network.port_bytes_per_s.items():
        faster = dataclasses.replace(network, port_bytes_per_s=network.port_bytes_per_s | {name: 2 * value})
        after = predicted(collective, faster)
        assert after.ceiling_s <= before.ceiling_s
        if collective in KNOWN_SCHEDULES:
            assert duration_of(after) <= duration_of(before)


@every_network
def test_loads_are_in_order_and_the_slowest_binds(network: Network) -> None:
    for collective in EVERY_WITH_DATA:
        prediction = predicted(collective, network)
        durations_s = [load.duration_s for load in prediction.loads]
        assert durations_s == sorted(durations_s, reverse=True)
        slowest = prediction.loads[0].resource
        assert slowest == prediction.bound_by or slowest in prediction.also_bound_by
        assert prediction.bound_by not in prediction.also_bound_by


@every_collective
def test_an_empty_message_loads_nothing(collective: Collective) -> None:
    prediction = predicted(collective, NETWORKS["eight ports, nvlink"], 0)
    assert prediction.bound_by is None
    assert prediction.ceiling_busbw_bytes_per_s is None
    assert prediction.duration_s is None


@every_collective
def test_one_host_without_nvlink_has_no_ceiling(collective: Collective) -> None:
    """Ranks of one host talk through memory, which is not modelled."""
    network = dataclasses.replace(NETWORKS["one host"], nvlink_bytes_per_s=None)
    prediction = predicted(collective, network)
    assert prediction.loads == ()
    assert prediction.bound_by is None
    assert prediction.ceiling_busbw_bytes_per_s is None
    assert prediction.duration_s is None
    assert prediction.busbw_bytes_per_s is None


def test_the_ranks_of_spec_and_network_must_agree() -> None:
    spec = CollectiveSpec(collective=Collective.all_reduce, num_ranks=3, message_bytes=GIB)
    with pytest.raises(ValueError, match="3 ranks on a network of 4"):
        predict(spec, NETWORKS["one port per host"])


# What binds


@pytest.mark.parametrize(
    ("ports", "bound_by", "also_bound_by"),
    [
        ({"optics": 100.0, "nic": 100.0}, "optics", ("nic",)),
        ({"nic": 100.0, "optics": 100.0}, "optics", ("nic",)),
        ({"optics": 100.0, "nic": 99.5}, "optics", ("nic",)),
        ({"optics": 100.0, "nic": 98.5}, "nic", ()),
        ({"optics": 99.5, "nic": 100.0}, "optics", ("nic",)),
        ({"optics": 98.5, "nic": 100.0}, "optics", ()),
        ({"optics": 200.0, "nic": 100.0, "pcie": 99.5}, "pcie", ("nic",)),
        ({"optics": 100.0, "nic": 99.5, "pcie": 99.2}, "optics", ("pcie", "nic")),
        ({"optics": 100.0, "nic": 200.0, "pcie": 300.0}, "optics", ()),
    ],
)
def test_ties_within_one_percent_name_the_optics_first(
    ports: dict[str, float], bound_by: str, also_bound_by: tuple[str, ...]
) -> None:
    network = Network(num_hosts=2, ranks_per_host=1, ports_per_host=1, port_bytes_per_s=ports)
    prediction = predicted(Collective.all_reduce, network)
    assert (prediction.bound_by, prediction.also_bound_by) == (bound_by, also_bound_by)
    assert prediction.ceiling_busbw_bytes_per_s == pytest.approx(min(ports.values()))


@pytest.mark.parametrize(
    ("name", "collective", "bound_by"),
    [
        ("one port per host", Collective.all_reduce, "optics"),
        ("slow adapter", Collective.all_to_all, "nic"),
        ("slow nvlink", Collective.all_reduce, "nvlink"),
        ("one host", Collective.send_recv, "nvlink"),
        ("blocking spine", Collective.all_to_all, "spine"),
        ("blocking spine", Collective.all_reduce, "spine"),
        ("blocking spine", Collective.ping_pong, "spine"),
        ("blocking spine", Collective.gather, "spine"),
        ("slow nvlink", Collective.broadcast, "nvlink"),
        ("one host", Collective.ping_pong, "nvlink"),
        ("slow adapter", Collective.ping_pong, "nic"),
    ],
)
def test_every_resource_can_bind(name: str, collective: Collective, bound_by: str) -> None:
    assert predicted(collective, NETWORKS[name]).bound_by == bound_by


# The token bucket of the emulated fabric


def _emulated(
    *, bucket_bytes: int = 256 * 2**10, time_scale: float = 1000, ranks_per_host: int = 1
) -> Network:
    return emulated_network(
        DR4,
        num_hosts=4,
        ranks_per_host=ranks_per_host,
        time_scale=time_scale,
        mtu_bytes=9000,
        bucket_bytes=bucket_bytes,
    )


@every_collective
@pytest.mark.parametrize("message_bytes", [2**i for i in range(10, 28)])
def test_a_token_bucket_passes_its_content_and_no_more(collective: Collective, message_bytes: int) -> None:
    """T >= max(0, V - b) / rate for V bytes of payload on the link and a bucket that holds b of them."""
    network = _emulated()
    (rate_bytes_per_s,) = network.port_bytes_per_s.values()
    prediction = predicted(collective, network, message_bytes)
    factor = bus_factor(collective, 4)  # one rank on each host
    on_link_bytes = factor * message_bytes
    unshaped_bytes = 256 * 2**10 * 8948 / 9014
    assert prediction.ceiling_s == pytest.approx(max(0.0, on_link_bytes - unshaped_bytes) / rate_bytes_per_s)
    assert prediction.is_bucket_dominated == (on_link_bytes < MIN_BUCKETS * unshaped_bytes)
    if prediction.is_bucket_dominated or collective not in KNOWN_SCHEDULES:
        assert prediction.duration_s is None
        assert prediction.busbw_bytes_per_s is None
    else:
        assert prediction.duration_s == pytest.approx(on_link_bytes / rate_bytes_per_s)
    if on_link_bytes <= unshaped_bytes:
        assert prediction.ceiling_busbw_bytes_per_s is None


@pytest.mark.parametrize(("message_bytes", "is_dominated"), [(7999, True), (8000, False), (8001, False)])
def test_eight_buckets_are_enough(message_bytes: int, is_dominated: bool) -> None:
    network = Network(
        num_hosts=2, ranks_per_host=1, ports_per_host=1, port_bytes_per_s={"optics": 1e6}, bucket_bytes=1000
    )
    prediction = predicted(Collective.send_recv, network, message_bytes)
    assert prediction.is_bucket_dominated is is_dominated
    assert (prediction.duration_s is None) is is_dominated


@every_collective
def test_the_emulated_link_is_the_transceiver_slowed_down(collective: Collective) -> None:
    real = predicted(collective, _emulated(bucket_bytes=0, time_scale=1))
    slow = predicted(collective, _emulated(bucket_bytes=0, time_scale=1000))
    assert slow.ceiling_s == pytest.approx(1000 * real.ceiling_s)
    if collective in KNOWN_SCHEDULES:
        assert duration_of(slow) == pytest.approx(1000 * duration_of(real))
    payload_fraction = emulated_framing(9000).payload_fraction
    assert _emulated(time_scale=1000).port_bytes_per_s["optics"] == pytest.approx(
        5e10 / 1000 * payload_fraction
    )


def test_ranks_of_an_emulated_host_share_its_one_port() -> None:
    """A ring or a chain in rank order crosses the link of a host once, whatever the ranks per host."""
    once = [c for c in EVERY_WITH_DATA if schedule(c) is Algorithm.ring]
    for ranks_per_host in (1, 2, 4):
        network = _emulated(bucket_bytes=0, ranks_per_host=ranks_per_host)
        assert network.ports_per_host == 1
        (rate_bytes_per_s,) = network.port_bytes_per_s.values()
        for collective in once:
            assert predicted(collective, network).ceiling_busbw_bytes_per_s == pytest.approx(rate_bytes_per_s)
