"""Fabrics: from what a user describes to capacities, and what is refused."""

import dataclasses
from typing import Any

import pytest

from bench import catalog
from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Fabric, real_network
from bench.model.flow.fat_tree import FatTree
from bench.model.flow.flow_simulation import simulate
from bench.model.flow.flows import all_to_all
from bench.model.flow.route import Routing
from bench.model.framing import Transport, framing
from bench.model.predict import predict
from bench.model.transceiver import Transceiver
from tests.model.networks import DR4, HGX, ceiling_of, predicted


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
    prediction = predicted(Collective.all_reduce, network)
    assert (prediction.bound_by, prediction.also_bound_by) == ("optics", ("nic",))
    assert ceiling_of(prediction) == pytest.approx(8 * 49.0187, rel=1e-5)


def test_faster_optics_are_bound_by_the_slot() -> None:
    """PCIe 5 x16 carries 400G and not 800G."""
    optics = dataclasses.replace(DR4, nominal_rate_gbps=800)
    network = real_network(optics, dataclasses.replace(HGX, nic_gbps=800), Transport.infiniband, 16)
    assert network is not None
    assert predicted(Collective.all_reduce, network).bound_by == "pcie"


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
    ceiling_bytes_per_s = predicted(Collective.all_reduce, free).ceiling_busbw_bytes_per_s
    assert ceiling_bytes_per_s == pytest.approx(ports_per_host * port_bytes_per_s)
    # One rank sends all that leaves the host in a ring of send_recv, by its own ports.
    ceiling_bytes_per_s = predicted(Collective.send_recv, free).ceiling_busbw_bytes_per_s
    assert ceiling_bytes_per_s == pytest.approx(max(1, ports_per_host // 8) * port_bytes_per_s)


def test_a_job_smaller_than_one_host_stays_inside_it() -> None:
    network = real_network(DR4, HGX, Transport.roce_v2, 4)
    assert network is not None
    assert (network.num_hosts, network.ranks_per_host) == (1, 4)
    assert predicted(Collective.all_reduce, network).bound_by == "nvlink"


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


def test_failed_uplinks_cost_what_the_flow_simulation_says() -> None:
    """4 leaves of 4 hosts, 4 uplinks each, 2 of them down on one leaf: an exchange takes what the flows take."""
    fabric = Fabric(
        name="f",
        ranks_per_host=1,
        ports_per_host=1,
        nic_gbps=400,
        hosts_per_leaf=4,
        num_uplinks=4,
        num_failed_uplinks=2,
    )
    optics = catalog.transceiver("400g-osfp-dr4")
    network = real_network(optics, fabric, Transport.infiniband, 16)
    assert network is not None
    port = network.port_bytes_per_s["optics"]
    spec = CollectiveSpec(collective=Collective.all_to_all, num_ranks=16, message_bytes=2**30)
    tree = FatTree(
        num_hosts=16,
        hosts_per_leaf=4,
        num_uplinks=4,
        port_bytes_per_s=port,
        uplink_bytes_per_s=port,
        failed_uplinks=frozenset({(0, 1), (0, 2)}),
    )
    simulated = simulate(tree, all_to_all(tree, 2**30), routing=Routing.sprayed)
    assert predict(spec, network).ceiling_s == pytest.approx(simulated.duration_s, rel=1e-9)
    assert predict(spec, network).bound_by == "spine"
