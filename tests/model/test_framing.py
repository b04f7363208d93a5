"""Framing: the share of payload of every packet format, as published tables print it."""

import itertools

import pytest

from bench.model.framing import RDMA_MTUS_BYTES, Transport, emulated_framing, framing


@pytest.mark.parametrize(
    ("transport", "mtu_bytes", "payload_percent"),
    [
        (Transport.roce_v2, 1024, 92.586),
        (Transport.roce_v2, 2048, 96.150),
        (Transport.roce_v2, 4096, 98.037),
        (Transport.infiniband, 1024, 97.524),
        (Transport.infiniband, 2048, 98.746),
        (Transport.infiniband, 4096, 99.369),
    ],
)
def test_payload_of_rdma(transport: Transport, mtu_bytes: int, payload_percent: float) -> None:
    assert round(100 * framing(transport, mtu_bytes).payload_fraction, 3) == payload_percent


@pytest.mark.parametrize(("mtu_bytes", "payload_percent"), [(1500, 94.15), (9000, 99.00)])
def test_payload_of_tcp(mtu_bytes: int, payload_percent: float) -> None:
    assert round(100 * framing(Transport.tcp, mtu_bytes).payload_fraction, 2) == payload_percent


@pytest.mark.parametrize(
    ("mtu_bytes", "payload_bytes", "wire_bytes"), [(1500, 1448, 1514), (9000, 8948, 9014)]
)
def test_emulated_segment_as_the_token_bucket_counts_it(
    mtu_bytes: int, payload_bytes: int, wire_bytes: int
) -> None:
    segment = emulated_framing(mtu_bytes)
    assert (segment.payload_bytes, segment.wire_bytes) == (payload_bytes, wire_bytes)


@pytest.mark.parametrize("mtu_bytes", [1500, 9000])
def test_real_ethernet_costs_24_bytes_more_than_the_token_bucket_counts(mtu_bytes: int) -> None:
    """Preamble 8, check sequence 4, gap 12: on the wire, and not in the queue."""
    real, emulated = framing(Transport.tcp, mtu_bytes), emulated_framing(mtu_bytes)
    assert real.payload_bytes == emulated.payload_bytes
    assert real.wire_bytes - emulated.wire_bytes == 24


@pytest.mark.parametrize("mtu_bytes", RDMA_MTUS_BYTES)
def test_unknown_transport_takes_the_largest_payload(mtu_bytes: int) -> None:
    """A ceiling may be too high, never too low."""
    known = [framing(transport, mtu_bytes).payload_fraction for transport in Transport]
    assert framing(Transport.unknown, mtu_bytes).payload_fraction == max(known)


@pytest.mark.parametrize("transport", [Transport.roce_v2, Transport.infiniband])
def test_larger_packets_carry_a_larger_share(transport: Transport) -> None:
    fractions = [framing(transport, mtu_bytes).payload_fraction for mtu_bytes in RDMA_MTUS_BYTES]
    assert all(a < b < 1 for a, b in itertools.pairwise(fractions))


@pytest.mark.parametrize("transport", [Transport.roce_v2, Transport.infiniband, Transport.unknown])
@pytest.mark.parametrize("mtu_bytes", [1500, 9000, 4095])
def test_an_interface_mtu_is_not_an_rdma_path_mtu(transport: Transport, mtu_bytes: int) -> None:
    with pytest.raises(ValueError, match=r"one of 256, 512, 1024, 2048, 4096"):
        framing(transport, mtu_bytes)


def test_an_mtu_without_room_for_payload_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        framing(Transport.tcp, 52)
    assert framing(Transport.tcp, 53).payload_bytes == 1
    with pytest.raises(ValueError, match="no room"):
        emulated_framing(52)
