"""`NetFabric`: hosts as network namespaces, joined by veth pairs and a bridge, every link shaped in both directions.

It is built inside an own user and network namespace and vanishes with the last process in it.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from bench.launch import kernel
from bench.launch.shaping import LinkShape

INTERFACE: Final = "fab0"
"""Name of the link inside every host."""

_BRIDGE: Final = "linerate0"
_SUBNET_BITS: Final = 16
_ROOT_HANDLE: Final = 0x10000
_CHILD_HANDLE: Final = 0x20000

_LEAST_BYTES_PER_S: Final = 1e5
"""0.8 Mb/s, the slowest link that `bench.launch.shaping.link_shape` makes."""

_SYSCTLS: Final = {
    # Slow start after a pause, remembered windows and delay-based exits belong to TCP, not to the link that is emulated:
    # reno has none of the latter, and with an endless queue it never backs off.
    "net.ipv4.tcp_congestion_control": "reno",
    "net.ipv4.tcp_slow_start_after_idle": "0",
    "net.ipv4.tcp_no_metrics_save": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One emulated host: its name, address, and an open descriptor of its network namespace."""

    name: str
    address: str
    descriptor: int


class NetFabric:
    """The emulated fabric, once built.

    Attributes:
        hosts: in rank order.
        has_delay: whether the links delay; needs netem in the kernel.
    """

    def __init__(self, num_hosts: int, shape: LinkShape, rate_fractions: Mapping[int, float] = {}) -> None:
        """Build everything. The caller is root of a user namespace and alone in a fresh network namespace.

        ``rate_fractions`` gives single hosts, by number, a share of the rate of ``shape`` in both directions. Bucket
        and queue keep their bytes, so that what empties the bucket of a whole link empties that one too.

        Raises:
            OSError: the kernel refused; nothing outlives the namespace.
            ValueError: a fraction for a host that there is not, or one that is no rate.
        """
        _check_fractions(rate_fractions, num_hosts, shape.rate_bytes_per_s)
        self._shape = shape
        self._rate_fractions = rate_fractions
        self.has_delay = False
        self.hosts: list[Host] = []
        self._outer = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with IPRoute() as netlink:
                netlink.link("add", ifname=_BRIDGE, kind="bridge")
                self._bridge = netlink.link_lookup(ifname=_BRIDGE)[0]
                netlink.link("set", index=self._bridge, mtu=shape.mtu_bytes, state="up")
                for number in range(num_hosts):
                    self.hosts.append(self._add_host(netlink, number))
        except NetlinkError as error:
            raise OSError(error.code, f"netlink: {os.strerror(error.code)}") from error

    @property
    def applied_delay_s(self) -> float:
        """One-way delay between two hosts: their two links, if the kernel delays at all."""
        return 2 * self._shape.delay_s if self.has_delay else 0.0

    def _add_host(self, netlink: Any, number: int) -> Host:
        kernel.unshare(kernel.CLONE_NEWNET)
        descriptor = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        kernel.enter_network_namespace(self._outer)
        host = Host(
            name=f"host{number}",
            address=f"10.77.{number // 250}.{number % 250 + 1}",
            descriptor=descriptor,
        )
        port = f"port{number}"
        netlink.link("add", ifname=port, kind="veth", peer={"ifname": INTERFACE, "net_ns_fd": descriptor})
        index = netlink.link_lookup(ifname=port)[0]
        netlink.link("set", index=index, mtu=self._shape.mtu_bytes, master=self._bridge, state="up")
        rate_bytes_per_s = self._rate_fractions.get(number, 1.0) * self._shape.rate_bytes_per_s
        self._shape_link(netlink, index, rate_bytes_per_s)
        with self._inside(descriptor), IPRoute() as inside:
            loopback = inside.link_lookup(ifname="lo")[0]
            inside.link("set", index=loopback, state="up")
            index = inside.link_lookup(ifname=INTERFACE)[0]
            inside.addr("add", index=index, address=host.address, prefixlen=_SUBNET_BITS)
            inside.link("set", index=index, mtu=self._shape.mtu_bytes, state="up")
            self._shape_link(inside, index, rate_bytes_per_s)
            for name, value in _SYSCTLS.items():
                Path("/proc/sys", *name.split(".")).write_text(value)
        return host

    @contextmanager
    def _inside(self, descriptor: int) -> Iterator[None]:
        kernel.enter_network_namespace(descriptor)
        try:
            yield
        finally:
            kernel.enter_network_namespace(self._outer)

    def _shape_link(self, netlink: Any, index: int, rate_bytes_per_s: float) -> None:
        """Delay where the kernel has netem, then the token bucket: `tc qdisc add ... netem`, `... parent tbf`."""
        bucket = {
            "rate": int(rate_bytes_per_s),
            "burst": self._shape.bucket_bytes,
            "limit": self._shape.queue_bytes,
            "mtu": 0,
        }
        if self._shape.delay_s > 0 and self._add_delay(netlink, index):
            netlink.tc("add", "tbf", index, handle=_CHILD_HANDLE, parent=_ROOT_HANDLE + 1, **bucket)
        else:
            netlink.tc("add", "tbf", index, handle=_ROOT_HANDLE, **bucket)

    def _add_delay(self, netlink: Any, index: int) -> bool:
        try:
            netlink.tc(
                "add",
                "netem",
                index,
                handle=_ROOT_HANDLE,
                delay=int(self._shape.delay_s * 1e6),
                limit=max(1000, self._shape.queue_bytes // 1000),
            )
        except NetlinkError:
            return False  # this kernel has no netem; the manifest says that nothing is delayed
        self.has_delay = True
        return True


def _check_fractions(rate_fractions: Mapping[int, float], num_hosts: int, rate_bytes_per_s: float) -> None:
    for host, fraction in rate_fractions.items():
        if not 0 <= host < num_hosts:
            raise ValueError(
                f"a rate_fraction is given for host {host}; there are hosts 0 to {num_hosts - 1}"
            )
        if not (fraction <= 1 and fraction * rate_bytes_per_s >= _LEAST_BYTES_PER_S):
            raise ValueError(
                f"the rate_fraction {fraction} of host {host} makes a link of {rate_bytes_per_s * 8 / 1e6:g} Mb/s one of "
                f"{fraction * rate_bytes_per_s * 8 / 1e6:g} Mb/s; allowed is at most 1, and what leaves "
                f"{_LEAST_BYTES_PER_S * 8 / 1e6:g} Mb/s"
            )
