"""`FatTree`: hosts, leaves and spines, with every link by its number, its rate and its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.model.flow.max_min import Vector

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FatTree:
    """Two stages of switches. Each host has ports, one rank at each; each leaf has uplinks, and uplink i leads to spine
    i mod ``num_spines``.

    A leaf joins all ports of ``hosts_per_leaf`` hosts (top of rack), or the same port of each of them (rail-optimised); the
    last leaves may have fewer. All leaves reach all spines, so rails meet there. Links are numbered in blocks: ports
    sending, ports receiving, uplinks, downlinks, and where NVLink is modelled, ranks sending and ranks receiving over it.

    Attributes:
        num_uplinks: uplinks of one leaf; as many links lead down to it.
        num_spines: None: one spine for each uplink; else a divisor of ``num_uplinks``.
        port_bytes_per_s: payload rate of a host's port, per direction.
        uplink_bytes_per_s: payload rate of a link between leaf and spine, per direction.
        nvlink_bytes_per_s: payload rate of a rank to others of its host, per direction; None: without limit.
        failed_uplinks: (leaf, uplink): cables that carry nothing, in neither direction.
        slow_uplinks: (leaf, uplink) to payload rate, for both directions.
        slow_ports: port (host x ports_per_host + rail) to payload rate, for both directions.
    Raises:
        ValueError: a number is out of range, or a link is named that does not exist.
    """

    num_hosts: int
    hosts_per_leaf: int
    num_uplinks: int
    port_bytes_per_s: float
    uplink_bytes_per_s: float
    ports_per_host: int = 1
    is_rail_optimised: bool = False
    num_spines: int | None = None
    nvlink_bytes_per_s: float | None = None
    failed_uplinks: frozenset[tuple[int, int]] = frozenset()
    slow_uplinks: Mapping[tuple[int, int], float] = field(default_factory=dict)
    slow_ports: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rates = {f"slow_uplinks[{link}]": rate for link, rate in self.slow_uplinks.items()}
        rates |= {f"slow_ports[{port}]": rate for port, rate in self.slow_ports.items()}
        for name in ("num_hosts", "hosts_per_leaf", "num_uplinks", "ports_per_host"):
            rates[name] = getattr(self, name)
        for name in ("port_bytes_per_s", "uplink_bytes_per_s", "num_spines", "nvlink_bytes_per_s"):
            if getattr(self, name) is not None:
                rates[name] = getattr(self, name)
        for name, value in rates.items():
            if not value > 0:
                raise ValueError(
                    f"{name} is {value}; it must be above 0 (a link that is down goes to failed_uplinks)"
                )
        if self.num_spines is not None and self.num_uplinks % self.num_spines:
            raise ValueError(
                f"num_uplinks is {self.num_uplinks} and num_spines {self.num_spines}; every spine needs as many links to a "
                "leaf as the others, so give a divisor of num_uplinks"
            )
        for leaf, uplink in (*self.failed_uplinks, *self.slow_uplinks):
            if not (0 <= leaf < self.num_leaves and 0 <= uplink < self.num_uplinks):
                raise ValueError(
                    f"there is no uplink ({leaf}, {uplink}): leaves go from 0 to {self.num_leaves - 1}, their uplinks "
                    f"from 0 to {self.num_uplinks - 1}"
                )
        for port in self.slow_ports:
            if not 0 <= port < self.num_ports:
                raise ValueError(f"slow_ports has port {port}; ports go from 0 to {self.num_ports - 1}")

    @property
    def num_ports(self) -> int:
        return self.num_hosts * self.ports_per_host

    @property
    def num_leaves(self) -> int:
        num_groups = -(-self.num_hosts // self.hosts_per_leaf)
        return num_groups * self.ports_per_host if self.is_rail_optimised else num_groups

    @property
    def num_links(self) -> int:
        num_ends = 2 if self.nvlink_bytes_per_s is None else 4
        return num_ends * self.num_ports + 2 * self.num_leaves * self.num_uplinks

    @property
    def oversubscription(self) -> float:
        """Rate of a full leaf's ports over that of its uplinks, nothing slow or failed."""
        ports = self.hosts_per_leaf * (1 if self.is_rail_optimised else self.ports_per_host)
        return ports * self.port_bytes_per_s / (self.num_uplinks * self.uplink_bytes_per_s)

    def leaf_of(self, ports: npt.ArrayLike) -> Integers:
        """The leaf of each port; rail-optimised, the leaves of a group of hosts are numbered by rail."""
        host, rail = np.divmod(np.asarray(ports, dtype=np.int64), self.ports_per_host)
        group = host // self.hosts_per_leaf
        return group * self.ports_per_host + rail if self.is_rail_optimised else group

    def spine_link(self, leaf: npt.ArrayLike, uplink: npt.ArrayLike, *, is_down: bool) -> Integers:
        """Number of the link up along a cable, or down along it."""
        cable = np.asarray(leaf, dtype=np.int64) * self.num_uplinks + np.asarray(uplink, dtype=np.int64)
        return 2 * self.num_ports + is_down * self.num_leaves * self.num_uplinks + cable

    def is_live(self) -> Flags:
        """Shape (num_leaves, num_uplinks)."""
        live = np.ones((self.num_leaves, self.num_uplinks), dtype=np.bool_)
        for link in self.failed_uplinks:
            live[link] = False
        return live

    def capacities_bytes_per_s(self) -> Vector:
        """Shape (num_links,); 0 where a link has failed."""
        ports = np.full(self.num_ports, float(self.port_bytes_per_s))
        for port, rate_bytes_per_s in self.slow_ports.items():
            ports[port] = rate_bytes_per_s
        uplinks = np.full((self.num_leaves, self.num_uplinks), float(self.uplink_bytes_per_s))
        for link, rate_bytes_per_s in self.slow_uplinks.items():
            uplinks[link] = rate_bytes_per_s
        uplinks[~self.is_live()] = 0.0
        blocks = [ports, ports, uplinks.ravel(), uplinks.ravel()]
        if self.nvlink_bytes_per_s is not None:
            blocks += [np.full(self.num_ports, float(self.nvlink_bytes_per_s))] * 2
        return np.concatenate(blocks)

    def link_name(self, link: int) -> str:
        """Such as "host link h3 rail 2, sending", "uplink leaf 0 -> spine 4", "downlink spine 4 -> leaf 1"."""
        sides = ("sending", "receiving")
        if link < 2 * self.num_ports:
            side, port = divmod(link, self.num_ports)
            host, rail = divmod(port, self.ports_per_host)
            return f"host link h{host} rail {rail}, {sides[side]}"
        link -= 2 * self.num_ports
        if link < 2 * self.num_leaves * self.num_uplinks:
            side, cable = divmod(link, self.num_leaves * self.num_uplinks)
            leaf, uplink = divmod(cable, self.num_uplinks)
            parallel, spine = divmod(uplink, self.num_spines or self.num_uplinks)
            which = "" if self.num_spines in (None, self.num_uplinks) else f", cable {parallel}"
            ends = (
                f"downlink spine {spine} -> leaf {leaf}" if side else f"uplink leaf {leaf} -> spine {spine}"
            )
            return ends + which
        side, rank = divmod(link - 2 * self.num_leaves * self.num_uplinks, self.num_ports)
        host, position = divmod(rank, self.ports_per_host)
        return f"NVLink h{host} rank {position}, {sides[side]}"
