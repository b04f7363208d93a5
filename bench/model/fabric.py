"""`Fabric`: what lies between two ranks, in tiers, as a user describes it; `Network`: the same as capacities."""

from dataclasses import dataclass, field

from bench.model import units
from bench.model.framing import RDMA_MTUS_BYTES, Framing, Transport, emulated_framing, framing
from bench.model.transceiver import Transceiver


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
        ):
            value = getattr(self, key)
            if value is not None and value <= 0:
                raise ValueError(
                    f"fabric.{key} is {value}; it must be above 0, or null where it is not known"
                )
        if self.oversubscription < 1:
            raise ValueError(
                f"fabric.oversubscription is {self.oversubscription}; 1 is non-blocking, 2 halves the uplinks"
            )
        if self.oversubscription > 1 and self.hosts_per_leaf is None:
            raise ValueError(
                f"fabric.oversubscription is {self.oversubscription}, but fabric.hosts_per_leaf is not given: how much "
                "traffic reaches the spine depends on how many hosts share a leaf"
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
    ports = {"optics": transceiver.mac_rate_bytes_per_s / ports_in_module * packet.payload_fraction}
    if fabric.nic_gbps is not None:
        ports["nic"] = units.bytes_per_s_from_gbps(fabric.nic_gbps) * packet.payload_fraction
    link_bytes_per_s = min(ports.values())
    if fabric.pcie_gbytes_per_s is not None:
        ports["pcie"] = units.bytes_per_s_from_gbytes_per_s(fabric.pcie_gbytes_per_s)
    nvlink = fabric.nvlink_gbytes_per_s
    return Network(
        num_hosts=num_hosts,
        ranks_per_host=ranks_per_host,
        ports_per_host=max(1, (fabric.ports_per_host or full) * ranks_per_host // full),
        port_bytes_per_s=ports,
        spine_bytes_per_s=link_bytes_per_s / fabric.oversubscription if fabric.oversubscription > 1 else None,
        hosts_per_leaf=fabric.hosts_per_leaf,
        nvlink_bytes_per_s=None if nvlink is None else units.bytes_per_s_from_gbytes_per_s(nvlink),
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
) -> Network:
    """The network that the emulation builds: one port per host, the MAC rate divided by ``time_scale``.

    Ranks of one host talk through memory, which is not shaped and not modelled.
    """
    packet: Framing = emulated_framing(mtu_bytes)
    rate_bytes_per_s = transceiver.mac_rate_bytes_per_s / time_scale
    return Network(
        num_hosts=num_hosts,
        ranks_per_host=ranks_per_host,
        ports_per_host=1,
        port_bytes_per_s={"optics": rate_bytes_per_s * packet.payload_fraction},
        bucket_bytes=bucket_bytes * packet.payload_fraction,
        delay_s=delay_s,
        scale=time_scale,
    )
