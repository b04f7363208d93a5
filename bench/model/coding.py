"""Line coding and FEC: from the bit rate of the lanes to the rate that the MAC is offered.

The chain is exact: 64b/66b; four 66-bit blocks become one 257-bit block; Reed-Solomon adds its parity.

    KP4  RS(544,514):  257/256 x 544/514 = 544/512 = 1.0625
    KR4  RS(528,514):  257/256 x 528/514 = 66/64   = 1.03125, the same as 64b/66b without FEC
    inner Hamming code of 200G/lane "-2", FR4, LR4: 113.4375 / 106.25 = 363/340
"""

from fractions import Fraction
from typing import Final

KP4_OVERHEAD: Final = Fraction(544, 512)
"""Line rate over MAC rate with RS(544,514). Source: IEEE 802.3 clauses 91 and 119, by arithmetic from 257b and 544/514."""

KR4_OVERHEAD: Final = Fraction(66, 64)
"""Line rate over MAC rate with RS(528,514), and with 64b/66b alone. Source: IEEE 802.3 clauses 82 and 91."""

INNER_CODE_OVERHEAD: Final = Fraction(363, 340)
"""Line rate with the inner Hamming(128,120) code over the rate before it: 128/120 x 1089/1088 = 113.4375 GBd / 106.25 GBd.
Source: the symbol rates of SFF-8024 Rev 4.13, Table 4-7, by division."""


def host_overhead(modulation: str) -> Fraction:
    """Line rate over MAC rate on the host's electrical lanes: NRZ lanes carry 64b/66b or KR4, PAM4 lanes KP4.

    Raises:
        ValueError: another modulation.
    """
    match modulation:
        case "NRZ":
            return KR4_OVERHEAD
        case "PAM4":
            return KP4_OVERHEAD
    raise ValueError(f"host.modulation is {modulation!r}; electrical lanes are NRZ or PAM4")


def mac_rate_gbps(raw_gbps: float, overhead: Fraction) -> float:
    """Rate that the MAC is offered, in 10**9 bit/s: the line rate divided by the overhead of coding and FEC."""
    return raw_gbps / float(overhead)
