"""Every conversion of units, and nothing else. SI inside (bytes, seconds); data-sheet units at the edges."""

import re
from typing import Final

BITS_PER_BYTE: Final = 8
GIGA: Final = 1e9

_BYTE_FACTORS: Final[dict[str, int]] = {
    "": 1, "b": 1,
    "k": 2**10, "kib": 2**10, "kb": 10**3,
    "m": 2**20, "mib": 2**20, "mb": 10**6,
    "g": 2**30, "gib": 2**30, "gb": 10**9,
    "t": 2**40, "tib": 2**40, "tb": 10**12,
}  # fmt: skip


def bytes_per_s_from_gbps(rate_gbps: float) -> float:
    """Convert a rate in 10**9 bit/s, as data sheets give it, to bytes per second."""
    return rate_gbps * GIGA / BITS_PER_BYTE


def gbps_from_bytes_per_s(rate_bytes_per_s: float) -> float:
    """Convert bytes per second to 10**9 bit/s."""
    return rate_bytes_per_s * BITS_PER_BYTE / GIGA


def gbytes_per_s(rate_bytes_per_s: float) -> float:
    """Convert bytes per second to 10**9 byte/s, the GB/s of nccl-tests."""
    return rate_bytes_per_s / GIGA


def bytes_per_s_from_gbytes_per_s(rate_gbytes_per_s: float) -> float:
    """Convert 10**9 byte/s to bytes per second."""
    return rate_gbytes_per_s * GIGA


def parse_bytes(text: str | float) -> int:
    """Read a number of bytes: 8388608, '8MiB', '8M' (binary, as nccl-tests reads it), '1.5GiB', '10MB' (decimal).

    Raises:
        ValueError: not a number of bytes, or not a whole one.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = re.fullmatch(r"\s*([+-]?\d+(?:\.\d*)?(?:e\+?\d+)?)\s*([a-z]*)\s*", str(text), re.IGNORECASE)
    factor = _BYTE_FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is not a number of bytes; write 8MiB, 1GiB or a plain number")
    value = float(match[1]) * factor
    if not value.is_integer():
        raise ValueError(f"{text!r} is {value} bytes, which is not a whole number")
    return int(value)


def format_bytes(num_bytes: float) -> str:
    """Write a number of bytes the way message sizes are read: '8 MiB', '1.5 GiB', '100 B'."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(num_bytes) >= factor:
            return f"{num_bytes / factor:.4g} {unit}"
    return f"{num_bytes:.4g} B"


def format_seconds(duration_s: float) -> str:
    """Write a duration with three digits in the unit that fits: '251 ms', '84.2 us', '1.32 s'."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(duration_s) >= 0.9995 * factor:  # three digits round 999.6 ms up to 1 s
            return f"{duration_s / factor:.3g} {unit}"
    return f"{duration_s / 1e-9:.3g} ns"


def format_rate(rate_bytes_per_s: float) -> str:
    """Write a rate as networks are named, in bits: '400 Gb/s', '382.6 Mb/s'."""
    bits_per_s = rate_bytes_per_s * BITS_PER_BYTE
    for unit, factor in (("Tb/s", 1e12), ("Gb/s", 1e9), ("Mb/s", 1e6), ("kb/s", 1e3)):
        if bits_per_s >= factor:
            return f"{bits_per_s / factor:.4g} {unit}"
    return f"{bits_per_s:.4g} b/s"
