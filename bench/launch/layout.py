"""`Layout`: which hosts, ports, leaves and faults an emulated fabric is built with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.emulation_config import EmulationConfig
from bench.launch.shaping import MIN_BYTES_PER_S
from bench.model.fault import loss_ratios, rate_fractions


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is built, beside the shape of a link.

    Attributes:
        ports_per_host: links of each host, one to each rail.
        rate_fractions: (host, rail) to the share of the rate that this link has in both directions; the
            others have all.
        loss_ratios: host to the share of arriving packets that it loses.
        hosts_per_leaf: hosts that share a leaf; None: all are on one.
        oversubscription: what the hosts of a leaf can send over what its uplink carries.
    """

    num_hosts: int
    ports_per_host: int = 1
    rate_fractions: Mapping[tuple[int, int], float] = field(default_factory=dict)
    loss_ratios: Mapping[int, float] = field(default_factory=dict)
    hosts_per_leaf: int | None = None
    oversubscription: float = 1.0

    @property
    def num_leaves(self) -> int:
        return 1 if self.hosts_per_leaf is None else -(-self.num_hosts // self.hosts_per_leaf)

    @property
    def has_routes(self) -> bool:
        """Whether hosts need a route to every port of the others; one rail is one subnet."""
        return self.ports_per_host > 1

    def leaf_of(self, host: int) -> int:
        return 0 if self.hosts_per_leaf is None else host // self.hosts_per_leaf

    def address(self, host: int, rail: int) -> str:
        """Of the port of ``host`` on ``rail``.

        Where there are several rails, the host comes first in the address. For gloo's rank with the lower
        address listens, and all that the two send one another crosses the listener's rail: so that is a rail
        of the lower host, and in an exchange between all ranks every rail carries the same. With a subnet for
        each rail the first of four would carry 7 parts of 16.

        Source:
            pytorch/gloo, gloo/transport/tcp/device.cc, isInitiator (addresses are compared byte by byte) and
            connectAsInitiator (the socket is not bound, so it takes the address of the way out).
        """
        if self.has_routes:
            return f"10.77.{host}.{rail + 1}"
        return f"10.77.{host // 250}.{host % 250 + 1}"

    def check_fractions(self, rate_bytes_per_s: float) -> None:
        """Raises ValueError for a port that there is not, or a fraction that leaves no rate."""
        for (host, rail), fraction in self.rate_fractions.items():
            if not 0 <= host < self.num_hosts or not 0 <= rail < self.ports_per_host:
                raise ValueError(
                    f"a rate_fraction is given for host {host}, rail {rail}; there are hosts 0 to {self.num_hosts - 1} and "
                    f"rails 0 to {self.ports_per_host - 1}"
                )
            if not (fraction <= 1 and fraction * rate_bytes_per_s >= MIN_BYTES_PER_S):
                raise ValueError(
                    f"the rate_fraction {fraction} of host {host}, rail {rail} makes a link of "
                    f"{rate_bytes_per_s * 8 / 1e6:g} Mb/s one of {fraction * rate_bytes_per_s * 8 / 1e6:g} Mb/s; allowed is "
                    f"at most 1, and what leaves {MIN_BYTES_PER_S * 8 / 1e6:g} Mb/s"
                )


def layout_of(emulation: EmulationConfig) -> Layout:
    """The fabric that was asked for, faults of links included."""
    return Layout(
        num_hosts=emulation.num_hosts,
        ports_per_host=emulation.ports_per_host,
        rate_fractions=rate_fractions(emulation.faults, emulation.num_hosts, emulation.ports_per_host),
        loss_ratios=loss_ratios(emulation.faults, emulation.num_hosts),
        hosts_per_leaf=emulation.hosts_per_leaf,
        oversubscription=emulation.oversubscription,
    )
