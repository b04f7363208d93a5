"""Predictions: known ceilings of the literature's closed forms, and the laws that every prediction obeys."""

import csv
import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench import catalog
from bench.model import units
from bench.model.collective import Collective, CollectiveSpec, bus_factor
from bench.model.fabric import Fabric, Network, emulated_network, real_network
from bench.model.framing import Transport, emulated_framing, framing
from bench.model.predict import MIN_BUCKETS, Prediction, predict, spine_share
from bench.model.transceiver import Transceiver

GIB = 2**30
VECTORS = Path(__file__).resolve().parents[1] / "data" / "ceilings_vectors.csv"

DR4 = Transceiver(name="dr4", nominal_rate_gbps=400, sources={"test": {"document": "made up", "grade": "M"}})
HGX = Fabric(
    name="hgx",
    ranks_per_host=8,
    ports_per_host=8,
    nic_gbps=400,
    pcie_gbytes_per_s=57.6,
    nvlink_gbytes_per_s=450,
)

NETWORKS = {
    "one port per host": Network(
        num_hosts=4, ranks_per_host=1, ports_per_host=1, port_bytes_per_s={"optics": 5e10}
    ),
    "eight ports, nvlink": Network(
        num_hosts=4,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 4.9e10, "nic": 4.9e10, "pcie": 5.76e10},
        nvlink_bytes_per_s=3.7e11,
    ),
    "slow adapter": Network(
        num_hosts=2,
        ranks_per_host=4,
        ports_per_host=4,
        port_bytes_per_s={"optics": 1e11, "nic": 2.5e10},
        nvlink_bytes_per_s=2.4e11,
    ),
    "slow nvlink": Network(
        num_hosts=2,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 1e11},
        nvlink_bytes_per_s=4e10,
    ),
    "one host": Network(
        num_hosts=1,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 5e10},
        nvlink_bytes_per_s=3.7e11,
    ),
    "blocking spine": Network(
        num_hosts=16,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 5e10},
        spine_bytes_per_s=5e10 / 8,
        hosts_per_leaf=4,
        nvlink_bytes_per_s=3.7e11,
    ),
    "delayed": Network(
        num_hosts=4, ranks_per_host=1, ports_per_host=1, port_bytes_per_s={"optics": 5e7}, delay_s=1e-3
    ),
}

every_collective = pytest.mark.parametrize("collective", list(Collective))
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())


def _predict(collective: Collective, network: Network, message_bytes: int = GIB) -> Prediction:
    spec = CollectiveSpec(collective=collective, num_ranks=network.num_ranks, message_bytes=message_bytes)
    return predict(spec, network)


def _ceiling_gbytes_per_s(prediction: Prediction) -> float:
    ceiling = prediction.ceiling_busbw_bytes_per_s
    assert ceiling is not None
    return units.gbytes_per_s(ceiling)


def _duration_s(prediction: Prediction) -> float:
    assert prediction.duration_s is not None
    return prediction.duration_s


# Known answers


def _vectors() -> list[dict[str, str]]:
    with VECTORS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "row",
    _vectors(),
    ids=lambda row: "-".join(filter(None, row.values())),
)
def test_ceiling_vectors(row: dict[str, str]) -> None:
    """Ceilings from closed forms that were checked against an enumeration of all transfers of their schedules.

    The table gives the payload rate of the adapters per GPU, so each GPU has one port of that rate. On one host there
    is no such rate; one byte per second stands for it, and would show if anything were to be sent through it.
    """
    nic, nvlink = row["nic_gbytes_per_s"], row["nvlink_gbytes_per_s"]
    network = Network(
        num_hosts=int(row["nodes"]),
        ranks_per_host=int(row["gpus_per_node"]),
        ports_per_host=int(row["gpus_per_node"]),
        port_bytes_per_s={"nic": units.bytes_per_s_from_gbytes_per_s(float(nic)) if nic else 1.0},
        nvlink_bytes_per_s=units.bytes_per_s_from_gbytes_per_s(float(nvlink)) if nvlink else None,
    )
    prediction = _predict(Collective(row["collective"]), network)
    expected = float(row["busbw_ceiling_gbytes_per_s"])
    assert _ceiling_gbytes_per_s(prediction) == pytest.approx(expected, rel=1e-8, abs=5e-7)


def test_the_vectors_cover_every_collective_inside_and_between_hosts() -> None:
    covered = {(row["collective"], row["nodes"] == "1", row["gpus_per_node"] == "1") for row in _vectors()}
    for collective in Collective:
        assert {(collective.value, True, False), (collective.value, False, True)} <= covered
        assert (collective.value, False, False) in covered


@pytest.mark.parametrize(
    ("num_hosts", "oversubscription", "ceiling_gbytes_per_s"),
    [
        (8, 1, 56.25), (8, 2, 56.25), (8, 4, 56.25),
        (32, 1, 51.41), (32, 2, 51.41), (32, 4, 51.41),
        (64, 1, 50.69), (64, 2, 49.90), (64, 4, 24.95),
        (128, 1, 50.34), (128, 2, 33.30), (128, 4, 16.65),
    ],
)  # fmt: skip
def test_all_to_all_over_an_oversubscribed_spine(
    num_hosts: int, oversubscription: int, ceiling_gbytes_per_s: float
) -> None:
    """8 GPUs and 8 ports of 50 GB/s per host, 32 hosts per leaf group, data moved to the destination's rail first."""
    network = Network(
        num_hosts=num_hosts,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 5e10},
        spine_bytes_per_s=5e10 / oversubscription if oversubscription > 1 else None,
        hosts_per_leaf=32,
        nvlink_bytes_per_s=3.7e11,
    )
    prediction = _predict(Collective.all_to_all, network)
    assert round(_ceiling_gbytes_per_s(prediction), 2) == ceiling_gbytes_per_s
    is_spine = num_hosts > 32 and oversubscription > 1
    assert prediction.bound_by == ("spine" if is_spine else "optics")


@pytest.mark.parametrize(("num_hosts", "hosts_per_leaf"), [(4, 2), (8, 4), (6, 3), (12, 4)])
def test_share_of_the_spine_counted_host_by_host(num_hosts: int, hosts_per_leaf: int) -> None:
    def leaf(host: int) -> int:
        return host // hosts_per_leaf

    network = dataclasses.replace(
        NETWORKS["one port per host"], num_hosts=num_hosts, hosts_per_leaf=hosts_per_leaf
    )
    others = [host for host in range(num_hosts) if host != 0]
    beyond = [host for host in others if leaf(host) != leaf(0)]
    assert spine_share(Collective.all_to_all, network) == pytest.approx(len(beyond) / len(others))

    hops = [host for host in range(num_hosts) if leaf(host) == leaf(0)]
    leaving = [host for host in hops if leaf((host + 1) % num_hosts) != leaf(host)]
    for collective in (Collective.all_reduce, Collective.send_recv):
        assert spine_share(collective, network) == pytest.approx(len(leaving) / len(hops))


@every_collective
def test_one_leaf_has_no_spine(collective: Collective) -> None:
    for hosts_per_leaf in (None, 4, 64):
        network = dataclasses.replace(NETWORKS["one port per host"], hosts_per_leaf=hosts_per_leaf)
        assert spine_share(collective, network) == 0


@pytest.mark.parametrize("oversubscription", [2, 4])
def test_a_ring_in_rank_order_does_not_notice_uplinks_of_a_leaf_it_leaves_once(oversubscription: int) -> None:
    """Up to an oversubscription of as many as there are hosts below the leaf."""
    free = dataclasses.replace(NETWORKS["blocking spine"], spine_bytes_per_s=None)
    blocking = dataclasses.replace(free, spine_bytes_per_s=5e10 / oversubscription, hosts_per_leaf=4)
    for collective in (Collective.all_reduce, Collective.send_recv):
        assert _predict(collective, blocking).ceiling_s == pytest.approx(_predict(collective, free).ceiling_s)
    assert (
        _predict(Collective.all_to_all, blocking).ceiling_s > _predict(Collective.all_to_all, free).ceiling_s
    )


# Laws


@every_collective
@every_network
def test_duration_is_affine_in_message_size(collective: Collective, network: Network) -> None:
    durations_s = [_duration_s(_predict(collective, network, i << 20)) for i in range(1, 6)]
    steps_s = [b - a for a, b in pairwise(durations_s)]
    assert steps_s == pytest.approx([steps_s[0]] * len(steps_s))
    assert steps_s[0] > 0


@every_collective
@every_network
def test_the_intercept_is_the_known_delay(collective: Collective, network: Network) -> None:
    small, large = (_duration_s(_predict(collective, network, size)) for size in (2**20, 2**21))
    num_delays = 2 * (network.num_ranks - 1) if collective is Collective.all_reduce else 1
    assert 2 * small - large == pytest.approx(num_delays * network.delay_s, abs=1e-12)


@every_collective
@every_network
def test_at_the_ceiling_no_resource_carries_more_than_it_can(
    collective: Collective, network: Network
) -> None:
    prediction = _predict(collective, network)
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
    prediction = _predict(collective, network)
    assert _duration_s(prediction) >= prediction.ceiling_s
    busbw, ceiling = prediction.busbw_bytes_per_s, prediction.ceiling_busbw_bytes_per_s
    assert busbw is not None
    assert ceiling is not None
    assert busbw <= ceiling
    factor = bus_factor(collective, network.num_ranks)
    assert ceiling == pytest.approx(factor * GIB / prediction.ceiling_s)


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
    whole, half = _predict(collective, network), _predict(collective, _scaled(network, 0.5))
    assert _duration_s(half) == pytest.approx(2 * _duration_s(whole))
    assert half.ceiling_s == pytest.approx(2 * whole.ceiling_s)
    assert (half.bound_by, half.also_bound_by) == (whole.bound_by, whole.also_bound_by)


@every_collective
@every_network
def test_a_faster_resource_never_costs_time(collective: Collective, network: Network) -> None:
    before = _duration_s(_predict(collective, network))
    for name, value in network.port_bytes_per_s.items():
        faster = dataclasses.replace(network, port_bytes_per_s=network.port_bytes_per_s | {name: 2 * value})
        assert _duration_s(_predict(collective, faster)) <= before


@every_network
def test_loads_are_in_order_and_the_slowest_binds(network: Network) -> None:
    for collective in Collective:
        prediction = _predict(collective, network)
        durations_s = [load.duration_s for load in prediction.loads]
        assert durations_s == sorted(durations_s, reverse=True)
        slowest = prediction.loads[0].resource
        assert slowest == prediction.bound_by or slowest in prediction.also_bound_by
        assert prediction.bound_by not in prediction.also_bound_by


@every_collective
def test_an_empty_message_loads_nothing(collective: Collective) -> None:
    prediction = _predict(collective, NETWORKS["eight ports, nvlink"], 0)
    assert prediction.bound_by is None
    assert prediction.ceiling_busbw_bytes_per_s is None
    assert prediction.duration_s is None


@every_collective
def test_one_host_without_nvlink_has_no_ceiling(collective: Collective) -> None:
    """Ranks of one host talk through memory, which is not modelled."""
    network = dataclasses.replace(NETWORKS["one host"], nvlink_bytes_per_s=None)
    prediction = _predict(collective, network)
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
    prediction = _predict(Collective.all_reduce, network)
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
    ],
)
def test_every_resource_can_bind(name: str, collective: Collective, bound_by: str) -> None:
    assert _predict(collective, NETWORKS[name]).bound_by == bound_by


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
    prediction = _predict(collective, network, message_bytes)
    factor = {Collective.all_reduce: 2 * 3 / 4, Collective.all_to_all: 3 / 4, Collective.send_recv: 1}[
        collective
    ]
    on_link_bytes = factor * message_bytes
    unshaped_bytes = 256 * 2**10 * 8948 / 9014
    assert prediction.ceiling_s == pytest.approx(max(0.0, on_link_bytes - unshaped_bytes) / rate_bytes_per_s)
    assert prediction.is_bucket_dominated == (on_link_bytes < MIN_BUCKETS * unshaped_bytes)
    if prediction.is_bucket_dominated:
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
    prediction = _predict(Collective.send_recv, network, message_bytes)
    assert prediction.is_bucket_dominated is is_dominated
    assert (prediction.duration_s is None) is is_dominated


@every_collective
def test_the_emulated_link_is_the_transceiver_slowed_down(collective: Collective) -> None:
    real = _predict(collective, _emulated(bucket_bytes=0, time_scale=1))
    slow = _predict(collective, _emulated(bucket_bytes=0, time_scale=1000))
    assert _duration_s(slow) == pytest.approx(1000 * _duration_s(real))
    payload_fraction = emulated_framing(9000).payload_fraction
    assert _emulated(time_scale=1000).port_bytes_per_s["optics"] == pytest.approx(
        5e10 / 1000 * payload_fraction
    )


def test_ranks_of_an_emulated_host_share_its_one_port() -> None:
    """A ring in rank order crosses the link of a host once, whatever the ranks per host."""
    for ranks_per_host in (1, 2, 4):
        network = _emulated(bucket_bytes=0, ranks_per_host=ranks_per_host)
        assert network.ports_per_host == 1
        (rate_bytes_per_s,) = network.port_bytes_per_s.values()
        for collective in (Collective.all_reduce, Collective.send_recv):
            assert _predict(collective, network).ceiling_busbw_bytes_per_s == pytest.approx(rate_bytes_per_s)


# From what a user describes to capacities


def test_no_prediction_for_hardware_that_nobody_has_named() -> None:
    assert real_network(Transceiver(), HGX, Transport.roce_v2, 16) is None
    assert real_network(DR4, Fabric(), Transport.roce_v2, 16) is None


def test_capacities_of_a_described_machine() -> None:
    network = real_network(DR4, HGX, Transport.roce_v2, 16)
    assert network is not None
    payload_bytes_per_s = 5e10 * framing(Transport.roce_v2, 4096).payload_fraction
    assert (network.num_hosts, network.ranks_per_host, network.ports_per_host) == (2, 8, 8)
    assert network.port_bytes_per_s == pytest.approx(
        {"optics": payload_bytes_per_s, "nic": payload_bytes_per_s, "pcie": 5.76e10}
    )
    assert network.nvlink_bytes_per_s == 4.5e11
    assert network.spine_bytes_per_s is None
    prediction = _predict(Collective.all_reduce, network)
    assert (prediction.bound_by, prediction.also_bound_by) == ("optics", ("nic",))
    assert _ceiling_gbytes_per_s(prediction) == pytest.approx(8 * 49.0187, rel=1e-5)


def test_faster_optics_are_bound_by_the_slot() -> None:
    """PCIe 5 x16 carries 400G and not 800G."""
    optics = dataclasses.replace(DR4, nominal_rate_gbps=800)
    network = real_network(optics, dataclasses.replace(HGX, nic_gbps=800), Transport.infiniband, 16)
    assert network is not None
    assert _predict(Collective.all_reduce, network).bound_by == "pcie"


def test_the_spine_is_derived_from_the_slowest_part_of_a_port() -> None:
    fabric = dataclasses.replace(HGX, oversubscription=2, hosts_per_leaf=2, nic_gbps=200)
    network = real_network(DR4, fabric, Transport.infiniband, 32)
    assert network is not None
    assert network.spine_bytes_per_s == pytest.approx(network.port_bytes_per_s["nic"] / 2)
    assert network.hosts_per_leaf == 2


@pytest.mark.parametrize("ports_per_host", [2, 4, 8, 16])
def test_all_ports_of_a_host_carry_its_traffic(ports_per_host: int) -> None:
    """Fewer than one per GPU, or more: there are machines with 16 ports for 8 GPUs."""
    network = real_network(
        DR4, dataclasses.replace(HGX, ports_per_host=ports_per_host), Transport.roce_v2, 16
    )
    assert network is not None
    port_bytes_per_s = network.port_bytes_per_s["optics"]
    free = dataclasses.replace(network, nvlink_bytes_per_s=None)
    ceiling_bytes_per_s = _predict(Collective.all_reduce, free).ceiling_busbw_bytes_per_s
    assert ceiling_bytes_per_s == pytest.approx(ports_per_host * port_bytes_per_s)
    # One rank sends all that leaves the host in a ring of send_recv, by its own ports.
    ceiling_bytes_per_s = _predict(Collective.send_recv, free).ceiling_busbw_bytes_per_s
    assert ceiling_bytes_per_s == pytest.approx(max(1, ports_per_host // 8) * port_bytes_per_s)


def test_a_job_smaller_than_one_host_stays_inside_it() -> None:
    network = real_network(DR4, HGX, Transport.roce_v2, 4)
    assert network is not None
    assert (network.num_hosts, network.ranks_per_host) == (1, 4)
    assert _predict(Collective.all_reduce, network).bound_by == "nvlink"


def test_ranks_that_do_not_fill_the_fabric_are_refused() -> None:
    with pytest.raises(ValueError, match=r"12 ranks do not fill hosts of 8 \(fabric.ranks_per_host\)"):
        real_network(DR4, HGX, Transport.roce_v2, 12)
    with pytest.raises(ValueError, match=r"fabric.num_hosts is 4, but 16 ranks"):
        real_network(DR4, dataclasses.replace(HGX, num_hosts=4), Transport.roce_v2, 16)


@pytest.mark.parametrize("key", ["num_hosts", "ranks_per_host", "ports_per_host", "nic_gbps", "mtu_bytes"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_fabric_has_nothing_of_zero_size(key: str, value: int) -> None:
    described: dict[str, Any] = {key: value}
    with pytest.raises(ValueError, match=f"fabric.{key} is {value}"):
        Fabric(**described)


def test_oversubscription_needs_the_hosts_of_a_leaf() -> None:
    with pytest.raises(ValueError, match=r"fabric.hosts_per_leaf is not given"):
        dataclasses.replace(HGX, oversubscription=2)
    with pytest.raises(ValueError, match="1 is non-blocking"):
        dataclasses.replace(HGX, oversubscription=0.5)


def test_all_to_all_ceiling_passes_the_line_rate_between_two_hosts() -> None:
    """Almost half of the traffic never leaves the host: (N - 1) / (N - g) = 1.875 of a port's rate."""
    network = dataclasses.replace(NETWORKS["eight ports, nvlink"], num_hosts=2)
    ceiling = _ceiling_gbytes_per_s(_predict(Collective.all_to_all, network))
    assert math.isclose(ceiling, 1.875 * 49)


def test_a_twin_port_module_serves_two_ports_where_the_machine_has_them() -> None:
    """800G in a twin-port cage of a DGX H100 is 400G per GPU: optics and adapter bind together, optics named first."""
    dgx, twin = catalog.fabric("dgx_h100"), catalog.transceiver("800g-osfp-dr8")
    network = real_network(twin, dgx, Transport.roce_v2, 64)
    assert network is not None
    assert network.port_bytes_per_s["optics"] == pytest.approx(network.port_bytes_per_s["nic"])
    single = real_network(catalog.transceiver("400g-osfp-dr4"), dgx, Transport.roce_v2, 64)
    assert single is not None and single.port_bytes_per_s == pytest.approx(network.port_bytes_per_s)


def test_machines_used_in_part_are_still_several_hosts() -> None:
    """Two DGX with four ranks each cross the network, with the ports of those four GPUs."""
    network = real_network(
        catalog.transceiver("400g-osfp-dr4"), catalog.fabric("dgx_h100"), Transport.roce_v2, 8, 4
    )
    assert network is not None
    assert (network.num_hosts, network.ranks_per_host, network.ports_per_host) == (2, 4, 4)


def test_a_rack_is_one_domain_of_many_systems() -> None:
    network = real_network(
        catalog.transceiver("400g-osfp-dr4"), catalog.fabric("gb200_nvl72"), Transport.infiniband, 144, 4
    )
    assert network is not None
    assert (network.num_hosts, network.ranks_per_host) == (2, 72)


def test_tcp_needs_the_mtu_of_its_interface_and_rdma_has_a_usual_one() -> None:
    with pytest.raises(ValueError, match="mtu_bytes"):
        real_network(DR4, HGX, Transport.tcp, 16)
    jumbo = real_network(DR4, dataclasses.replace(HGX, mtu_bytes=9000), Transport.tcp, 16)
    assert jumbo is not None and jumbo.port_bytes_per_s["optics"] == pytest.approx(50e9 * 8948 / 9038)
    rdma = real_network(DR4, HGX, Transport.infiniband, 16)
    assert rdma is not None and rdma.port_bytes_per_s["optics"] == pytest.approx(50e9 * 4096 / 4122)
