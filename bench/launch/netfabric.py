"""`NetFabric`: hosts as network namespaces, joined by veth pairs and bridges, every link shaped in both
directions.

It is built inside an own user and network namespace and vanishes with the last process in it.

Every rail (the first port of each host, the second, ...) is a network of its own: a bridge, or a bridge for
each leaf and one for the spine, which joins the leaves by uplinks.
"""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from bench.launch import kernel
from bench.launch.layout import Layout
from bench.launch.loss import add_loss, without_segment_offload
from bench.launch.qdisc import shape_link
from bench.launch.shaping import LinkShape, uplink_shape

_SUBNET_BITS: Final = 16

_SYSCTLS: Final = {
    # Slow start after a pause, remembered windows and delay-based exits belong to TCP, not to the link that
    # is emulated: reno has none of the latter, and with an endless queue it never backs off.
    "net.ipv4.tcp_congestion_control": "reno",
    "net.ipv4.tcp_slow_start_after_idle": "0",
    "net.ipv4.tcp_no_metrics_save": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One link of a host: its name inside the host ("fab0"), its address, and the name of its other end, at
    the leaf."""

    interface: str
    address: str
    leaf_end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One emulated host: its name, its ports in the order of the rails, and an open descriptor of its network
    namespace."""

    name: str
    ports: tuple[Port, ...]
    descriptor: int

    @property
    def address(self) -> str:
        """Where it is reached by hosts that are told one address: on the first rail."""
        return self.ports[0].address


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """What joins a leaf to the spine: names of its two ends."""

    leaf_end: str
    spine_end: str


class NetFabric:
    """The emulated fabric, once built.

    Attributes:
        hosts: in rank order.
        uplinks: for each rail and leaf; none where a rail has one leaf.
        has_delay: whether the links delay; needs netem in the kernel.
    """

    def __init__(self, layout: Layout, shape: LinkShape) -> None:
        """Build everything. The caller is root of a user namespace and alone in a fresh network namespace.

        Buckets and queues of slower links keep their bytes, so that what empties the bucket of a whole link
        empties that one too.

        Raises:
            OSError: the kernel refused; nothing outlives the namespace.
            ValueError: a fraction for a port that there is not, or one that is no rate.
        """
        layout.check_fractions(shape.rate_bytes_per_s)
        self.layout, self._shape = layout, shape
        self.has_delay = False
        self.hosts: list[Host] = []
        self.uplinks: dict[tuple[int, int], Uplink] = {}
        self._outer = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with IPRoute() as netlink:
                leaves = [self._add_rail(netlink, rail) for rail in range(layout.ports_per_host)]
                for number in range(layout.num_hosts):
                    self.hosts.append(self._add_host(netlink, number, leaves))
        except NetlinkError as error:
            raise OSError(error.code, f"netlink: {os.strerror(error.code)}") from error

    @property
    def applied_delay_s(self) -> float:
        """One-way delay between two hosts: their two links, if the kernel delays at all."""
        return 2 * self._shape.delay_s if self.has_delay else 0.0

    @contextmanager
    def inside(self, host: Host) -> Iterator[Any]:
        """Netlink within the network namespace of ``host``, where this thread is for so long."""
        kernel.enter_network_namespace(host.descriptor)
        try:
            with IPRoute() as netlink:
                yield netlink
        finally:
            kernel.enter_network_namespace(self._outer)

    def _add_rail(self, netlink: Any, rail: int) -> list[int]:
        """The bridges of one rail that hosts are plugged into, one for each leaf, joined by a spine if there
        are several."""
        leaves = [self._add_bridge(netlink, f"leaf{leaf}r{rail}") for leaf in range(self.layout.num_leaves)]
        if len(leaves) > 1:
            spine = self._add_bridge(netlink, f"spine{rail}")
            shape = uplink_shape(self._shape, self.layout.hosts_per_leaf or 1, self.layout.oversubscription)
            for leaf, bridge in enumerate(leaves):
                uplink = Uplink(leaf_end=f"up{leaf}r{rail}", spine_end=f"down{leaf}r{rail}")
                netlink.link("add", ifname=uplink.leaf_end, kind="veth", peer={"ifname": uplink.spine_end})
                for end, master in ((uplink.leaf_end, bridge), (uplink.spine_end, spine)):
                    index = _index(netlink, end)
                    netlink.link("set", index=index, mtu=shape.mtu_bytes, master=master, state="up")
                    shape_link(netlink, index, shape)
                self.uplinks[rail, leaf] = uplink
        return leaves

    def _add_bridge(self, netlink: Any, name: str) -> int:
        netlink.link("add", ifname=name, kind="bridge")
        index = _index(netlink, name)
        netlink.link("set", index=index, mtu=self._shape.mtu_bytes, state="up")
        return index

    def _add_host(self, netlink: Any, number: int, leaves: list[list[int]]) -> Host:
        kernel.unshare(kernel.CLONE_NEWNET)
        descriptor = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        kernel.enter_network_namespace(self._outer)
        layout = self.layout
        ports = tuple(
            Port(
                interface=f"fab{rail}", address=layout.address(number, rail), leaf_end=f"port{number}r{rail}"
            )
            for rail in range(layout.ports_per_host)
        )
        host = Host(name=f"host{number}", ports=ports, descriptor=descriptor)
        for rail, port in enumerate(ports):
            peer = {"ifname": port.interface, "net_ns_fd": descriptor}
            netlink.link("add", ifname=port.leaf_end, kind="veth", peer=peer)
            index = _index(netlink, port.leaf_end)
            netlink.link(
                "set",
                index=index,
                mtu=self._shape.mtu_bytes,
                master=leaves[rail][layout.leaf_of(number)],
                state="up",
            )
            shape_link(netlink, index, self._port_shape(number, rail))
        with self.inside(host) as own:
            own.link("set", index=_index(own, "lo"), state="up")
            for rail, port in enumerate(ports):
                self._set_up_port(own, number, rail, port)
            if layout.loss_ratios:
                without_segment_offload(port.interface for port in ports)
            if number in layout.loss_ratios:
                add_loss([port.interface for port in ports], layout.loss_ratios[number])
            for name, value in _SYSCTLS.items():
                Path("/proc/sys", *name.split(".")).write_text(value)
        return host

    def _set_up_port(self, own: Any, number: int, rail: int, port: Port) -> None:
        """Address, routes and bucket of the host's end of a link."""
        layout, index = self.layout, _index(own, port.interface)
        own.addr(
            "add", index=index, address=port.address, prefixlen=32 if layout.has_routes else _SUBNET_BITS
        )
        own.link("set", index=index, mtu=self._shape.mtu_bytes, state="up")
        if layout.has_routes:
            for other in set(range(layout.num_hosts)) - {number}:
                target = f"{layout.address(other, rail)}/32"
                own.route("add", dst=target, oif=index, prefsrc=port.address, scope="link")
        self.has_delay = shape_link(own, index, self._port_shape(number, rail))

    def _port_shape(self, number: int, rail: int) -> LinkShape:
        fraction = self.layout.rate_fractions.get((number, rail), 1.0)
        return dataclasses.replace(self._shape, rate_bytes_per_s=fraction * self._shape.rate_bytes_per_s)


def _index(netlink: Any, interface: str) -> int:
    return int(netlink.link_lookup(ifname=interface)[0])
