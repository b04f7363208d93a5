"""`EmulationConfig`: the group `emulation:` of a configuration."""

from dataclasses import dataclass, field

from bench.model.fault import Fault, check_faults


@dataclass(kw_only=True)
class EmulationConfig:
    """The emulated fabric: hosts as network namespaces, links shaped to the MAC rate over ``time_scale``.

    Attributes:
        bucket_bytes: token bucket of each link; null: see `bench.launch.shaping.link_shape`.
        fibre_m: fibre from each host to the switch. It delays by its length times ``time_scale`` where the kernel can
            delay (netem); a scenario, not a fact.
        ports_per_host: links of each host, one to each rail, which is a network of its own; ranks share them evenly.
        hosts_per_leaf: hosts that share a leaf; null: all are on one.
        oversubscription: what the hosts of a leaf can send over what its uplink carries; 1 is non-blocking.
        faults: what is made to go wrong, so that a run shows what it looks like: see `bench.model.fault.Fault`.
    """

    num_hosts: int = 4
    ranks_per_host: int = 1
    time_scale: float = 1000.0
    mtu_bytes: int = 9000
    bucket_bytes: int | None = None
    fibre_m: float = 50.0
    ports_per_host: int = 1
    hosts_per_leaf: int | None = None
    oversubscription: float = 1.0
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key, least, most in (
            ("num_hosts", 2, 250),
            ("ranks_per_host", 1, 64),
            ("mtu_bytes", 576, 65535),
        ):
            value = getattr(self, key)
            if not least <= value <= most:
                raise ValueError(f"emulation.{key} is {value}; allowed is {least} to {most}")
        if not self.time_scale > 0:
            raise ValueError(
                f"emulation.time_scale is {self.time_scale}; it divides the MAC rate (1000: 400 Gb/s becomes 400 Mb/s)"
            )
        if not 0 <= self.fibre_m <= 1e6:
            raise ValueError(f"emulation.fibre_m is {self.fibre_m}; allowed is 0 to 1e6 metres")
        if self.bucket_bytes is not None and not 65536 <= self.bucket_bytes <= 2**27:
            raise ValueError(
                f"emulation.bucket_bytes is {self.bucket_bytes}; offloaded segments of 64 KiB must fit: allowed is "
                f"65536 to {2**27}"
            )
        if self.ports_per_host < 1 or self.ranks_per_host % self.ports_per_host:
            raise ValueError(
                f"emulation.ports_per_host is {self.ports_per_host}; each of the emulation.ranks_per_host "
                f"{self.ranks_per_host} ranks uses one port, and ports have equally many: give a divisor of it, or more ranks"
            )
        if self.hosts_per_leaf is not None and not 1 <= self.hosts_per_leaf <= self.num_hosts:
            raise ValueError(
                f"emulation.hosts_per_leaf is {self.hosts_per_leaf}; allowed is 1 to emulation.num_hosts {self.num_hosts}, "
                "or null for a single leaf"
            )
        if not self.oversubscription >= 1:
            raise ValueError(
                f"emulation.oversubscription is {self.oversubscription}; 1 is non-blocking, 2 halves the uplinks"
            )
        if self.oversubscription > 1 and self.hosts_per_leaf in (None, self.num_hosts):
            raise ValueError(
                f"emulation.oversubscription is {self.oversubscription:g}, but all {self.num_hosts} hosts share one leaf; give "
                "emulation.hosts_per_leaf, for example 2"
            )
        check_faults(self.faults, self.num_hosts, self.num_hosts * self.ranks_per_host, self.ports_per_host)
