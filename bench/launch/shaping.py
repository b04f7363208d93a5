"""`LinkShape`: what one emulated link is set to, and why."""

from dataclasses import dataclass
from typing import Final

from bench.config import EmulationConfig
from bench.model.transceiver import Transceiver

MIN_BUCKET_BYTES: Final = 131072
"""Two offloaded TCP segments of 64 KiB: with a bucket of one, the link reaches half its rate (docs/emulation.md)."""

BUCKET_S: Final = 7.5e-3
"""The bucket also holds 7.5 ms of the line. A link that waits so long for a busy processor, or for ranks of its host that hand
data on among themselves, makes it up; with 2 ms an all_reduce over 2 hosts of 2 ranks stayed 4 to 12 % below the line."""

QUEUE_S: Final = 0.3
"""Room behind the bucket. Each flow keeps little in it, so it is long enough never to drop."""

FIBRE_S_PER_M: Final = 4.895e-9
"""Group delay of single-mode fibre at 1310 nm: group index 1.4676 (Corning SMF-28 data) over the speed of light."""


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
    if not 1e5 <= rate_bytes_per_s <= 4e9:
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


def prime_bytes(shape: LinkShape) -> int:
    """Payload that surely empties the buckets of a link: what a full one holds, and what flows in meanwhile."""
    return 2 * shape.bucket_bytes
