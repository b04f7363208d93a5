"""`Fabric`: what lies between two ranks, in tiers, as a user describes it; `Network`: the same as capacities."""

import math
from dataclasses import dataclass, field
from typing import Final

from bench.model import units
from bench.model.framing import RDMA_MTUS_BYTES, Framing, Transport, emulated_framing, framing
from bench.model.gpu import Gpu, gpu_named
from bench.model.transceiver import Transceiver

MOST_HOSTS: Final = 2**17
"""131,072 hosts: beyond any cluster that is planned, and still quick."""


@dataclass(kw_only=True)
class Fabric:
    """A kind of cluster, from the GPU outwards. None means that it is not known, and then nothing is derived from it.

    Attributes:
        name: the file's name in conf/fabric, without suffix.
        num_hosts: NVLink domains taking part (for machines without NVLink: hosts). None: as many as the ranks fill.
        ranks_per_host: GPUs of one such domain.
        ports_per_host: network ports of one such domain.
        hosts_per_domain: operating-system hosts in one NVLink domain: 1, or the trays of a rack.
        ports_per_module: ports that a twin-port module serves in these machines; a single-port one serves one.
        nic_gbps: MAC rate of one port as its adapter supports it, in 10**9 bit/s.
        pcie_gbytes_per_s: payload that the PCIe slot of one port carries per direction, in 10**9 byte/s.
        nvlink_gbytes_per_s: nominal NVLink rate of one GPU per direction, in 10**9 byte/s.
        oversubscription: downlink over uplink capacity of a leaf; 1 is non-blocking.
        hosts_per_leaf: hosts that share leaf switches; needed where ``oversubscription`` is above 1.
        mtu_bytes: RDMA path MTU (null: 4096), or the interface's MTU, which transport=tcp needs.
        gpu: the GPU or accelerator, as published tables name it (H100, MI300X).
        transport: what the machine's network speaks, where that comes with the machine; holds for transport=auto.
        lane_gbps: fastest electrical lane of the port's cage, nominal, in 10**9 bit/s: 25, 50, 100 or 200.
        has_nvls: whether NVLink switches reduce and multicast (NVLink SHARP, from Hopper on).
        has_in_network_reduction: whether switches of the network reduce (SHARP, CollNet).
        rail_gbps: one MAC rate per port of a domain where they are unequal; null: all are ``nic_gbps``.
        is_rail_optimised: whether a leaf joins the same port of several domains (a rail) rather than all ports of one.
        routing: how flows are spread over uplinks: ``adaptive`` (or sprayed), ``ecmp`` (hashed), null.
        num_uplinks: uplinks of one leaf, over which ECMP hashes.
        num_failed_uplinks: of the leaf that has lost most of them; the others carry its traffic.
        sources: where the numbers were read, by identifier.
    """

    name: str = ""
    num_hosts: int | None = None
    ranks_per_host: int | None = None
    ports_per_host: int | None = None
    hosts_per_domain: int = 1
    ports_per_module: int = 1
    nic_gbps: float | None = None
    pcie_gbytes_per_s: float | None = None
    nvlink_gbytes_per_s: float | None = None
    oversubscription: float = 1.0
    hosts_per_leaf: int | None = None
    mtu_bytes: int | None = None
    gpu: str | None = None
    transport: str | None = None
    lane_gbps: float | None = None
    has_nvls: bool | None = None
    has_in_network_reduction: bool = False
    rail_gbps: list[float] | None = None
    is_rail_optimised: bool | None = None
    routing: str | None = None
    num_uplinks: int | None = None
    num_failed_uplinks: int = 0
    notes: str | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in (
            "num_hosts",
            "ranks_per_host",
            "ports_per_host",
            "hosts_per_domain",
            "ports_per_module",
            "nic_gbps",
            "pcie_gbytes_per_s",
            "nvlink_gbytes_per_s",
            "hosts_per_leaf",
            "mtu_bytes",
            "lane_gbps",
            "num_uplinks",
        ):
            value = getattr(self, key)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(
                    f"fabric.{key} is {value}; it must be a number above 0, or null where it is not known"
                )
        if self.num_hosts is not None and self.num_hosts > MOST_HOSTS:
            raise ValueError(f"fabric.num_hosts is {self.num_hosts}; at most {MOST_HOSTS} are predicted")
        if not 1 <= self.oversubscription < math.inf:
            raise ValueError(
                f"fabric.oversubscription is {self.oversubscription}; 1 is non-blocking, 2 halves the uplinks"
            )
        if self.oversubscription > 1 and self.hosts_per_leaf is None:
            raise ValueError(
                f"fabric.oversubscription is {self.oversubscription}, but fabric.hosts_per_leaf is not given: how much "
                "traffic reaches the spine depends on how many hosts share a leaf"
            )
        transports = [transport.value for transport in Transport]
        if self.transport is not None and self.transport not in transports:
            raise ValueError(
                f"fabric.transport is {self.transport!r}; allowed: {', '.join(transports)}, or null"
            )
        if self.routing == "ecmp" and self.num_uplinks is None:
            raise ValueError(
                "fabric.routing is ecmp, but fabric.num_uplinks is not given: how often flows collide depends on it"
            )
        if self.routing == "ecmp" and self.hosts_per_leaf is None:
            raise ValueError(
                "fabric.routing is ecmp, but fabric.hosts_per_leaf is not given: flows collide where they leave a leaf"
            )
        if self.routing not in (None, "adaptive", "ecmp"):
            raise ValueError(f"fabric.routing is {self.routing!r}; allowed: adaptive, ecmp, or null")
        if self.num_failed_uplinks and not 0 < self.num_failed_uplinks < (self.num_uplinks or 0):
            raise ValueError(
                f"fabric.num_failed_uplinks is {self.num_failed_uplinks}; give fabric.num_uplinks too, and fewer failed ones than "
                "those"
            )
        if self.num_failed_uplinks and self.hosts_per_leaf is None:
            raise ValueError(
                "fabric.num_failed_uplinks is given, but not fabric.hosts_per_leaf: which traffic leaves a leaf depends on it"
            )
        if self.rail_gbps is not None and (
            len(self.rail_gbps) != self.ports_per_host
            or not all(0 < rate < math.inf for rate in self.rail_gbps)
        ):
            raise ValueError(
                f"fabric.rail_gbps has {len(self.rail_gbps)} rates; it needs one above 0 for each of the "
                f"{self.ports_per_host} ports (fabric.ports_per_host)"
            )

    @property
    def is_known(self) -> bool:
        """False for the placeholder that stands for hardware nobody has described."""
        return self.ranks_per_host is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The fabric as the prediction needs it: payload capacities per direction, in bytes per second.

    Attributes:
        num_hosts: hosts (NVLink domains) of ``ranks_per_host`` ranks each.
        ports_per_host: ports that carry a host's traffic together.
        port_bytes_per_s: resource name (``optics``, ``nic``, ``pcie``) to the payload one port gets through it.
        spine_bytes_per_s: payload per port through the leaf's uplinks; None where the fabric does not block.
        hosts_per_leaf: hosts below one leaf; all of them where the fabric does not block.
        nvlink_bytes_per_s: per rank, to ranks of its own host; None where it is not modelled.
        bucket_bytes: emulation only: payload that an idle link lets through unshaped. 0 on real optics.
        delay_s: one-way delay between hosts that is known to be there; software is not in it.
        scale: how many times slower than the transceiver the link runs (emulation.time_scale); 1 is real.
        num_rings: rings that a ring collective runs at once, each leaving a host by a port of its own; None: one for each
            port. gloo runs one, so a collective of several ranks per host leaves by a single port however many there are.
        glass_bytes_per_s: line rate of one port, coding and FEC included; None where the catalog does not say.
        mac_bytes_per_s: what the optics of one port offer the MAC.
        transport: what the links speak, as far as it is known.
        gpu: what the ranks run on, as far as its links matter; None: not known.
        has_nvls, has_in_network_reduction, is_rail_optimised: as in `Fabric`.
        ecmp_uplinks: uplinks of a leaf over which flows are hashed; None where they are sprayed, or it is not known.
        oversubscription: of the leaves, as in `Fabric`.
        goodput_low, goodput_high: share of what leaves a port that need not be sent again, at worst and at best. 1 where
            nothing is lost: errors that FEC corrects cost no bandwidth.
    """

    num_hosts: int
    ranks_per_host: int
    ports_per_host: int
    port_bytes_per_s: dict[str, float]
    spine_bytes_per_s: float | None = None
    hosts_per_leaf: int | None = None
    nvlink_bytes_per_s: float | None = None
    bucket_bytes: float = 0.0
    delay_s: float = 0.0
    scale: float = 1.0
    num_rings: int | None = None
    glass_bytes_per_s: float | None = None
    mac_bytes_per_s: float | None = None
    transport: Transport = Transport.unknown
    gpu: Gpu | None = None
    has_nvls: bool = False
    has_in_network_reduction: bool = False
    is_rail_optimised: bool = False
    ecmp_uplinks: int | None = None
    oversubscription: float = 1.0
    goodput_low: float = 1.0
    goodput_high: float = 1.0

    @property
    def num_ranks(self) -> int:
        return self.num_hosts * self.ranks_per_host


def path_mtu_bytes(fabric: Fabric, transport: Transport) -> int:
    """The MTU of ``fabric``, or the usual one of RDMA where it is not given.

    Raises:
        ValueError: transport=tcp, whose MTU is the interface's and has no usual value.
    """
    if fabric.mtu_bytes is not None:
        return fabric.mtu_bytes
    if transport is Transport.tcp:
        raise ValueError(
            "fabric.mtu_bytes is not given; transport=tcp needs the interface's MTU, for example 1500 or 9000"
        )
    return RDMA_MTUS_BYTES[-1]


def real_network(
    transceiver: Transceiver,
    fabric: Fabric,
    transport: Transport,
    num_ranks: int,
    ranks_per_system: int | None = None,
) -> Network | None:
    """The network of real hardware; None while the optics or the fabric have not been named.

    ``ranks_per_system`` is the number of ranks that share one operating system, where that is known: a job may use
    fewer GPUs of each machine than it has, and then as many of its ports.

    Raises:
        ValueError: the ranks do not fill the fabric's hosts.
    """
    if not (transceiver.is_known and fabric.is_known):
        return None
    full = fabric.ranks_per_host
    assert full is not None
    used = full if ranks_per_system is None else ranks_per_system * fabric.hosts_per_domain
    ranks_per_host = min(full, used, num_ranks)
    if num_ranks % ranks_per_host:
        raise ValueError(
            f"{num_ranks} ranks do not fill hosts of {ranks_per_host} (fabric.ranks_per_host); "
            "start a multiple of it, or describe the fabric as it is used"
        )
    num_hosts = num_ranks // ranks_per_host
    if fabric.num_hosts is not None and fabric.num_hosts != num_hosts:
        raise ValueError(
            f"fabric.num_hosts is {fabric.num_hosts}, but {num_ranks} ranks at {ranks_per_host} per host fill "
            f"{num_hosts}; leave fabric.num_hosts out, or start {fabric.num_hosts * ranks_per_host} ranks"
        )
    packet = framing(transport, path_mtu_bytes(fabric, transport))
    ports_in_module = fabric.ports_per_module if transceiver.is_twin_port else 1
    mac_bytes_per_s = transceiver.mac_rate_bytes_per_s / ports_in_module
    ports = {"optics": mac_bytes_per_s * packet.payload_fraction}
    # Rings, rails and exchanges put equal shares on all ports, so the slowest one holds up the rest.
    nic_gbps = min(fabric.rail_gbps) if fabric.rail_gbps else fabric.nic_gbps
    if nic_gbps is not None:
        ports["nic"] = units.bytes_per_s_from_gbps(nic_gbps) * packet.payload_fraction
    link_bytes_per_s = min(ports.values())
    if fabric.pcie_gbytes_per_s is not None:
        ports["pcie"] = units.bytes_per_s_from_gbytes_per_s(fabric.pcie_gbytes_per_s)
    nvlink = fabric.nvlink_gbytes_per_s
    # Hashed flows collide on uplinks that would not block otherwise.
    is_spine_narrow = fabric.oversubscription > 1 or fabric.routing == "ecmp" or fabric.num_failed_uplinks > 0
    # A collective waits for the leaf that has lost most uplinks.
    live_share = 1 - fabric.num_failed_uplinks / (fabric.num_uplinks or 1)
    line_gbps = transceiver.line_rate_gbps
    return Network(
        num_hosts=num_hosts,
        ranks_per_host=ranks_per_host,
        ports_per_host=max(1, (fabric.ports_per_host or full) * ranks_per_host // full),
        port_bytes_per_s=ports,
        spine_bytes_per_s=link_bytes_per_s * live_share / fabric.oversubscription
        if is_spine_narrow
        else None,
        hosts_per_leaf=fabric.hosts_per_leaf,
        nvlink_bytes_per_s=None if nvlink is None else units.bytes_per_s_from_gbytes_per_s(nvlink),
        glass_bytes_per_s=None
        if line_gbps is None
        else units.bytes_per_s_from_gbps(line_gbps) / ports_in_module,
        mac_bytes_per_s=mac_bytes_per_s,
        transport=transport,
        gpu=gpu_named(fabric.gpu or ""),
        has_nvls=bool(fabric.has_nvls),
        has_in_network_reduction=fabric.has_in_network_reduction,
        is_rail_optimised=bool(fabric.is_rail_optimised),
        oversubscription=fabric.oversubscription,
        ecmp_uplinks=(fabric.num_uplinks or 0) - fabric.num_failed_uplinks
        if fabric.routing == "ecmp"
        else None,
    )


def emulated_network(
    transceiver: Transceiver,
    *,
    num_hosts: int,
    ranks_per_host: int,
    time_scale: float,
    mtu_bytes: int,
    bucket_bytes: int,
    delay_s: float = 0.0,
    ports_per_host: int = 1,
    hosts_per_leaf: int | None = None,
    oversubscription: float = 1.0,
) -> Network:
    """The network that the emulation builds: ports at the MAC rate divided by ``time_scale``, uplinks of hosts x rate /
    oversubscription for each leaf.

    Ranks of one host talk through memory, which is not shaped and not modelled. gloo has one ring, whatever the ports.
    """
    packet: Framing = emulated_framing(mtu_bytes)
    line_gbps = transceiver.line_rate_gbps
    port_bytes_per_s = transceiver.mac_rate_bytes_per_s / time_scale * packet.payload_fraction
    return Network(
        num_hosts=num_hosts,
        ranks_per_host=ranks_per_host,
        ports_per_host=ports_per_host,
        port_bytes_per_s={"optics": port_bytes_per_s},
        spine_bytes_per_s=port_bytes_per_s / oversubscription if oversubscription > 1 else None,
        hosts_per_leaf=hosts_per_leaf,
        bucket_bytes=bucket_bytes * packet.payload_fraction,
        delay_s=delay_s,
        scale=time_scale,
        num_rings=1,
        glass_bytes_per_s=None if line_gbps is None else units.bytes_per_s_from_gbps(line_gbps) / time_scale,
        mac_bytes_per_s=transceiver.mac_rate_bytes_per_s / time_scale,
        transport=Transport.tcp,
    )
