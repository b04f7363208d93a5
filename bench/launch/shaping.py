"""`LinkShape`: what one emulated link is set to, and why."""

import dataclasses
from dataclasses import dataclass
from typing import Final

from bench.emulation_config import EmulationConfig
from bench.model.transceiver import Transceiver

MIN_BUCKET_BYTES: Final = 131072
"""Two offloaded TCP segments of 64 KiB: with a bucket of one, the link reaches half its rate
(docs/emulation.md)."""

BUCKET_S: Final = 7.5e-3
"""The bucket also holds 7.5 ms of the line. A link that waits so long for a busy processor, or for ranks of
its host that hand data on among themselves, makes it up; with 2 ms an all_reduce over 2 hosts of 2 ranks
stayed 4 to 12 % below the line."""

QUEUE_S: Final = 0.3
"""Room behind the bucket. Each flow keeps little in it, so it is long enough never to drop."""

MIN_BYTES_PER_S: Final = 1e5
MAX_BYTES_PER_S: Final = 4e9
"""0.8 Mb/s to 32 Gb/s: what a link, or the uplink of a leaf, is shaped to. tbf takes a rate of 32 bits in
bytes per second, and below the first the 128 KiB of the smallest bucket would be more than a second of the
line."""

FIBRE_S_PER_M: Final = 4.895e-9
"""Group delay of single-mode fibre at 1310 nm: group index 1.4676 (Corning SMF-28 data) over the speed of
light."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkShape:
    """One direction of one host's link.

    Attributes:
        rate_bytes_per_s: the transceiver's MAC rate over the time scale.
        bucket_bytes: token bucket; queue_bytes: what may wait behind it.
        delay_s: of this direction of this link, if the kernel can delay.
    """

    rate_bytes_per_s: float
    bucket_bytes: int
    queue_bytes: int
    mtu_bytes: int
    delay_s: float


def link_shape(transceiver: Transceiver, emulation: EmulationConfig) -> LinkShape:
    """The shape of every link of the emulated fabric.

    Raises:
        ValueError: the scaled rate is too low or too high to be emulated.
    """
    rate_bytes_per_s = transceiver.mac_rate_bytes_per_s / emulation.time_scale
    if not MIN_BYTES_PER_S <= rate_bytes_per_s <= MAX_BYTES_PER_S:
        raise ValueError(
            f"emulation.time_scale {emulation.time_scale:g} makes {transceiver.name} a link of "
            f"{rate_bytes_per_s * 8 / 1e6:g} Mb/s; the emulation takes 1 Mb/s to 32000 Mb/s"
        )
    bucket_bytes = emulation.bucket_bytes or max(MIN_BUCKET_BYTES, int(BUCKET_S * rate_bytes_per_s))
    return LinkShape(
        rate_bytes_per_s=rate_bytes_per_s,
        bucket_bytes=bucket_bytes,
        queue_bytes=bucket_bytes + int(QUEUE_S * rate_bytes_per_s),
        mtu_bytes=emulation.mtu_bytes,
        delay_s=emulation.fibre_m * FIBRE_S_PER_M * emulation.time_scale,
    )


def uplink_shape(port: LinkShape, hosts_per_leaf: int, oversubscription: float) -> LinkShape:
    """The shape of what joins a leaf of the emulated fabric to the spine, in each direction: rate x hosts /
    oversubscription.

    Its bucket is that of a port: calls are preceded by as many bytes as empty that one, and one port's worth
    of them crosses the uplink. It is smaller where the uplink is slower than a port, so that it holds no
    longer a time of the line, as far as `MIN_BUCKET_BYTES` allows.

    Raises:
        ValueError: the rate cannot be emulated.
    """
    share = hosts_per_leaf / oversubscription
    rate_bytes_per_s = port.rate_bytes_per_s * share
    if not MIN_BYTES_PER_S <= rate_bytes_per_s <= MAX_BYTES_PER_S:
        raise ValueError(
            f"emulation.hosts_per_leaf {hosts_per_leaf} and emulation.oversubscription {oversubscription:g} make an uplink of "
            f"{rate_bytes_per_s * 8 / 1e6:g} Mb/s; the emulation takes {MIN_BYTES_PER_S * 8 / 1e6:g} to "
            f"{MAX_BYTES_PER_S * 8 / 1e6:g} Mb/s"
        )
    bucket_bytes = max(min(MIN_BUCKET_BYTES, port.bucket_bytes), int(port.bucket_bytes * min(1.0, share)))
    return dataclasses.replace(
        port,
        rate_bytes_per_s=rate_bytes_per_s,
        bucket_bytes=bucket_bytes,
        queue_bytes=bucket_bytes + int(QUEUE_S * rate_bytes_per_s),
        delay_s=0.0,
    )


def prime_bytes(shape: LinkShape) -> int:
    """Payload that surely empties the buckets of a link: what a full one holds, and what flows in
    meanwhile."""
    return 2 * shape.bucket_bytes
