"""Packet framing: how much of the MAC rate is payload, per transport and MTU."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

# Bytes around the payload of one packet, protocol formats of the standards that define them.
_ETHERNET_HEADER_BYTES: Final = 14
_PREAMBLE_SFD_BYTES: Final = 8
_FCS_BYTES: Final = 4
_INTER_PACKET_GAP_BYTES: Final = 12
_IPV4_BYTES: Final = 20
_UDP_BYTES: Final = 8
_BTH_BYTES: Final = 12  # InfiniBand base transport header
_ICRC_BYTES: Final = 4
_LRH_BYTES: Final = 8  # InfiniBand local route header
_VCRC_BYTES: Final = 2
_TCP_WITH_TIMESTAMPS_BYTES: Final = 32

RDMA_MTUS_BYTES: Final = (256, 512, 1024, 2048, 4096)


class Transport(Enum):
    """What carries the packets; ``unknown`` takes the framing that leaves most to the payload (InfiniBand)."""

    roce_v2 = "roce_v2"
    infiniband = "infiniband"
    tcp = "tcp"
    unknown = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """Payload and wire bytes of one full packet; their ratio is the share of the MAC rate that carries payload."""

    payload_bytes: int
    wire_bytes: int

    @property
    def payload_fraction(self) -> float:
        """Payload over wire bytes, between 0 and 1."""
        return self.payload_bytes / self.wire_bytes


def framing(transport: Transport, mtu_bytes: int) -> Framing:
    """One full packet on a real link.

    RoCEv2 over IPv4: preamble 8, Ethernet 14, IPv4 20, UDP 8, BTH 12, ICRC 4, FCS 4, gap 12 = 82 around the payload.
    InfiniBand RC: LRH 8, BTH 12, ICRC 4, VCRC 2 = 26. For both, ``mtu_bytes`` is the RDMA path MTU: the payload.
    TCP over IPv4 with timestamps: MTU - 52 of MTU + 38; there ``mtu_bytes`` is the MTU of the interface.

    Raises:
        ValueError: an RDMA path MTU that does not exist, or an MTU smaller than its headers.
    Source:
        InfiniBand Architecture Specification 1.4, Annex A17 (RoCEv2) and chapter 9; IEEE 802.3 clause 3; RFC 791, RFC 9293,
        RFC 7323. RETH, acknowledgements, PFC and link-layer credits are not counted, so this is an upper bound.
    """
    if transport is Transport.tcp:
        on_wire = _ETHERNET_HEADER_BYTES + _PREAMBLE_SFD_BYTES + _FCS_BYTES + _INTER_PACKET_GAP_BYTES
        return _tcp(mtu_bytes, on_wire)
    if mtu_bytes not in RDMA_MTUS_BYTES:
        raise ValueError(
            f"fabric.mtu_bytes is {mtu_bytes}; the RDMA path MTU is one of {', '.join(map(str, RDMA_MTUS_BYTES))} "
            "(active_mtu of the device, not the MTU of its network interface)"
        )
    if transport is Transport.roce_v2:
        around = _PREAMBLE_SFD_BYTES + _ETHERNET_HEADER_BYTES + _IPV4_BYTES + _UDP_BYTES + _BTH_BYTES
        around += _ICRC_BYTES + _FCS_BYTES + _INTER_PACKET_GAP_BYTES
    else:
        around = _LRH_BYTES + _BTH_BYTES + _ICRC_BYTES + _VCRC_BYTES
    return Framing(payload_bytes=mtu_bytes, wire_bytes=mtu_bytes + around)


def emulated_framing(mtu_bytes: int) -> Framing:
    """One full TCP segment as the token bucket of the emulated link counts it: MTU - 52 of MTU + 14 bytes.

    The kernel's token bucket sees the frame with its Ethernet header, without preamble, gap or check sequence.

    Source:
        Linux net/sched/sch_tbf.c and qdisc_pkt_len; measured to 0.1 % in docs/measured/emulated-fabric.md.
    """
    return _tcp(mtu_bytes, _ETHERNET_HEADER_BYTES)


def _tcp(mtu_bytes: int, link_bytes: int) -> Framing:
    payload_bytes = mtu_bytes - _IPV4_BYTES - _TCP_WITH_TIMESTAMPS_BYTES
    if payload_bytes <= 0:
        raise ValueError(f"an MTU of {mtu_bytes} bytes has no room for payload: the TCP/IP headers take 52")
    return Framing(payload_bytes=payload_bytes, wire_bytes=mtu_bytes + link_bytes)
