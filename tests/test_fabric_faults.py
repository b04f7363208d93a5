"""What the emulated fabric is built of, as the kernel itself says: rates of ports and uplinks, ways of
packets, losses."""

import dataclasses
import ipaddress
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from bench.compose import compose
from bench.emulation_config import EmulationConfig
from bench.launch import kernel
from bench.launch.emulated import missing, missing_for_faults
from bench.launch.layout import Layout, layout_of
from bench.launch.resolve import resolve
from bench.launch.shaping import MIN_BUCKET_BYTES, uplink_shape
from bench.model.fault import Fault
from tests.namespaces import SHAPE, Node, run_on_nodes

if TYPE_CHECKING:
    from bench.launch.netfabric import NetFabric

pytestmark = pytest.mark.emulated


@pytest.fixture(autouse=True, scope="module")
def _namespaces() -> None:
    reason = missing(SHAPE)
    if reason is not None:
        assert os.environ.get("CI") != "true", f"CI must build the emulated fabric: {reason}"
        pytest.skip(reason)


T = TypeVar("T")

Bucket = tuple[int, int]
"""Bytes per second and bytes of queue."""

PACKETS = 20_000


def _buckets(netlink: Any) -> list[Bucket]:
    """Of every token bucket that the kernel has in this network namespace, in the order of the interfaces."""
    found = [
        queue.get_attr("TCA_OPTIONS").get_attr("TCA_TBF_PARMS")
        for queue in sorted(netlink.get_qdiscs(), key=lambda queue: int(queue["index"]))
        if queue.get_attr("TCA_KIND") == "tbf"
    ]
    return [(int(bucket["rate"]), int(bucket["limit"])) for bucket in found]


def on_fabric(layout: Layout, work: "Callable[[NetFabric], T]") -> T:
    """What ``work`` returns, given the fabric; in a namespace of its own, since the names of its links are
    taken outside."""

    def inside(_nodes: Sequence[Node]) -> T:
        from bench.launch.netfabric import NetFabric

        kernel.unshare(kernel.CLONE_NEWNET)
        return work(NetFabric(layout, SHAPE))

    return run_on_nodes(1, inside)


def rates(fabric: "NetFabric") -> tuple[list[Bucket], list[list[Bucket]]]:
    """What the kernel says towards each host, and from within each host."""
    from pyroute2 import IPRoute

    with IPRoute() as netlink:
        towards = _buckets(netlink)
    within = []
    for host in fabric.hosts:
        with fabric.inside(host) as netlink:
            within.append(_buckets(netlink))
    return towards, within


@pytest.mark.parametrize("fractions", [{}, {1: 0.5}, {0: 0.25, 2: 0.9}])
def test_the_kernel_holds_the_fraction_in_both_directions(fractions: dict[int, float]) -> None:
    layout = Layout(num_hosts=3, rate_fractions={(host, 0): share for host, share in fractions.items()})
    towards, within = on_fabric(layout, rates)
    expected = [
        (int(SHAPE.rate_bytes_per_s * fractions.get(host, 1.0)), SHAPE.queue_bytes) for host in range(3)
    ]
    assert towards == expected
    assert within == [[bucket] for bucket in expected]


def test_faults_reach_the_kernel() -> None:
    emulation = EmulationConfig(
        num_hosts=2,
        ranks_per_host=2,
        ports_per_host=2,
        faults=[
            Fault(kind="slow_link", host=1, rate_fraction=0.5),
            Fault(kind="slow_rail", rail=1, host=0, rate_fraction=0.25),
            Fault(kind="late_rank", rank=0, delay_s=0.05),
        ],
    )
    towards, within = on_fabric(layout_of(emulation), rates)
    assert [rate for rate, _ in towards] == [50_000_000, 12_500_000, 25_000_000, 25_000_000]
    assert [[rate for rate, _ in host] for host in within] == [
        [50_000_000, 12_500_000],
        [25_000_000, 25_000_000],
    ]


@pytest.mark.parametrize(
    ("fractions", "said"),
    [
        ({(3, 0): 0.5}, "host 3, rail 0; there are hosts 0 to 2"),
        ({(-1, 0): 0.5}, "host -1, rail 0; there are hosts 0 to 2"),
        ({(0, 1): 0.5}, "host 0, rail 1; there are hosts 0 to 2 and rails 0 to 0"),
        ({(0, 0): 0.0}, "rate_fraction 0.0 of host 0"),
        ({(0, 0): 1.5}, "rate_fraction 1.5 of host 0"),
        ({(0, 0): 1e-4}, "one of 0.04 Mb/s"),
        ({(0, 0): float("nan")}, "rate_fraction nan"),
    ],
)
def test_what_is_no_rate_is_refused(fractions: dict[tuple[int, int], float], said: str) -> None:
    with pytest.raises(ValueError, match=r"rate_fraction") as raised:
        Layout(num_hosts=3, rate_fractions=fractions).check_fractions(SHAPE.rate_bytes_per_s)
    assert said in str(raised.value)


def test_uplinks_have_the_rate_of_their_hosts_over_the_oversubscription() -> None:
    layout = Layout(num_hosts=5, hosts_per_leaf=2, oversubscription=2.0)
    assert layout.num_leaves == 3 and [layout.leaf_of(host) for host in range(5)] == [0, 0, 1, 1, 2]
    shape = uplink_shape(SHAPE, 2, 2.0)
    assert shape.rate_bytes_per_s == SHAPE.rate_bytes_per_s * 2 / 2
    towards, within = on_fabric(layout, rates)
    uplink, port = (int(shape.rate_bytes_per_s), shape.queue_bytes), (50_000_000, SHAPE.queue_bytes)
    assert towards == [uplink] * 6 + [port] * 5  # both ends of three uplinks, then the ports
    assert within == [[port]] * 5


@pytest.mark.parametrize(("hosts_per_leaf", "oversubscription"), [(2, 1.0), (2, 4.0), (8, 2.0), (1, 100.0)])
def test_no_uplink_saves_up_a_longer_time_of_its_line_than_a_port_does(
    hosts_per_leaf: int, oversubscription: float
) -> None:
    shape = uplink_shape(SHAPE, hosts_per_leaf, oversubscription)
    assert shape.rate_bytes_per_s == pytest.approx(SHAPE.rate_bytes_per_s * hosts_per_leaf / oversubscription)
    assert shape.bucket_bytes <= SHAPE.bucket_bytes, "what empties the bucket of a port empties this one"
    longest_s = max(SHAPE.bucket_bytes, MIN_BUCKET_BYTES * oversubscription) / SHAPE.rate_bytes_per_s
    assert shape.bucket_bytes / shape.rate_bytes_per_s <= longest_s


def test_an_uplink_that_cannot_be_shaped_is_refused() -> None:
    with pytest.raises(ValueError, match=r"emulation\.oversubscription 1000 .* uplink of 0\.4 Mb/s"):
        uplink_shape(SHAPE, 1, 1000.0)


def carried_after(layout: Layout, pairs: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """What every link has carried when a host has sent a megabyte to an address and nothing has come back,
    for each pair."""

    def work(fabric: "NetFabric") -> dict[str, Any]:
        from bench.launch.carried import carried

        for host, address in pairs:
            with (
                fabric.inside(fabric.hosts[host]),
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
            ):
                for _ in range(1000):
                    sender.sendto(bytes(1000), (address, 9))
        time.sleep(0.2)  # one megabyte and a half at 50 MB/s, and queues that end with it
        return carried(fabric)

    return on_fabric(layout, work)


def test_a_packet_takes_the_rail_of_the_address_it_is_sent_to() -> None:
    layout = Layout(num_hosts=3, ports_per_host=3)
    counts = carried_after(layout, [(0, layout.address(2, 1))])["ports"]
    busy = {(port["host"], port["rail"]) for port in counts if port["sent_bytes"] > 1e6}
    assert busy == {(0, 1)}
    assert {(port["host"], port["rail"]) for port in counts if port["received_bytes"] > 1e6} == {(2, 1)}


def test_addresses_are_in_the_order_of_hosts_whatever_the_rail() -> None:
    """gloo's rank with the lower address listens, and the rail of the listener is the one that is used."""
    layout = Layout(num_hosts=250, ports_per_host=4)
    numbers = [
        int(ipaddress.ip_address(layout.address(host, rail))) for host in range(250) for rail in range(4)
    ]
    assert numbers == sorted(set(numbers))


def test_only_what_leaves_a_leaf_crosses_the_spine() -> None:
    layout = Layout(num_hosts=4, hosts_per_leaf=2, oversubscription=2.0)
    near = carried_after(layout, [(0, layout.address(1, 0)), (3, layout.address(2, 0))])["uplinks"]
    assert max(max(uplink["up_bytes"], uplink["down_bytes"]) for uplink in near) < 1e5
    far = carried_after(layout, [(0, layout.address(3, 0))])["uplinks"]
    assert [uplink["up_bytes"] > 1e6 for uplink in far] == [True, False]
    assert [uplink["down_bytes"] > 1e6 for uplink in far] == [False, True]


def losses(loss_ratio: float) -> dict[str, Any]:
    """What host 1 counts when host 0 has sent it PACKETS packets over loss-free host 0's link."""

    def work(fabric: "NetFabric") -> dict[str, Any]:
        from bench.launch.carried import carried

        with (
            fabric.inside(fabric.hosts[0]),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            for _ in range(PACKETS):
                sender.sendto(bytes(100), (fabric.hosts[1].address, 9))
        time.sleep(0.3)  # 2.8 MB at 50 MB/s are through long before
        ports: list[dict[str, Any]] = carried(fabric)["ports"]
        return ports[1]

    return on_fabric(Layout(num_hosts=2, loss_ratios={1: loss_ratio}), work)


@pytest.mark.parametrize("loss_ratio", [1e-3, 0.1])
def test_the_share_that_was_asked_for_is_lost(loss_ratio: float) -> None:
    """Six standard deviations of a binomial count: one run in a thousand million is outside."""
    found = losses(loss_ratio)
    assert PACKETS <= found["arrived_packets"] < PACKETS + 100, "address resolution and neighbours, no more"
    expected = loss_ratio * found["arrived_packets"]
    assert abs(found["lost_packets"] - expected) < 6 * (expected * (1 - loss_ratio)) ** 0.5


def test_where_the_kernel_cannot_lose_packets_the_reason_names_what_it_lacks() -> None:
    """An interface that cannot exist is refused by the same call that a kernel without ingress chains
    refuses."""

    def work(fabric: "NetFabric") -> str:
        from bench.launch.loss import add_loss

        with fabric.inside(fabric.hosts[0]), pytest.raises(OSError, match="nftables") as raised:
            add_loss(["a-name-too-long-for-an-interface"], 0.1)
        return str(raised.value)

    said = on_fabric(Layout(num_hosts=2), work)
    assert "CONFIG_NF_TABLES_NETDEV" in said and "CONFIG_NFT_NUMGEN" in said


def test_faults_that_need_nothing_of_the_kernel_are_not_tried() -> None:
    faults = [Fault(kind="slow_link", host=1, rate_fraction=0.5)]
    unbuildable = dataclasses.replace(SHAPE, mtu_bytes=-1)
    assert missing_for_faults(unbuildable, faults) is None
    lossy = [*faults, Fault(kind="loss", loss_ratio=0.01)]
    assert missing_for_faults(SHAPE, lossy) is None
    assert "packets cannot be lost here" in (missing_for_faults(unbuildable, lossy) or "")


def test_a_run_whose_faults_the_kernel_lacks_is_refused_before_any_rank_starts() -> None:
    config = compose(["launcher=emulated", "emulation.faults=[{kind: loss, loss_ratio: 0.01}]"])
    with pytest.raises(ValueError, match="no ingress chains"):
        resolve(config, {}, missing=lambda _: None, missing_for_faults=lambda *_: "no ingress chains")
