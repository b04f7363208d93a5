"""Windows of TCP under loss: how many packets are under way on average, by congestion control."""

import math
from typing import Final

RENO_DECREASE: Final = 0.5
"""What reno leaves of its window after a loss. Source: RFC 5681, section 3.1 (A)."""

CUBIC_DECREASE: Final = 0.7
"""What cubic leaves of its window after a loss. Source: RFC 9438, section 4.6 (A)."""

CUBIC_RANDOM: Final = 1.30
"""Mean window of cubic over (R/p)^(3/4) with C 0.4 under random losses; 1.054 under periodic ones, RFC 9438
section 5. Source: Poojary and Sharma, An Asymptotic Approximation of TCP CUBIC, arXiv:1510.08496; the test
simulates it."""

DELAYED_ACK: Final = 2
"""Packets per acknowledgement of a receiver that delays them; fewer acknowledgements open a window more
slowly. Source: b in Padhye et al. 1998; RFC 1122, section 4.2.3.2 (A)."""


def mathis_bytes_per_s(payload_bytes: float, rtt_s: float, loss_ratio: float) -> float:
    """Reno under periodic losses, without timeouts: MSS / R x sqrt(3/2) / sqrt(p).

    Source:
        Mathis, Semke, Mahdavi and Ott, The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm,
        ACM CCR 27(3), 1997, equation 3. Random losses have 1.31 in place of sqrt(3/2) = 1.22:
        `aimd_window_packets`.
    """
    return payload_bytes / rtt_s * math.sqrt(1.5 / loss_ratio)


def aimd_window_packets(loss_ratio: float, decrease: float) -> float:
    """Mean window that grows by one packet per round trip; each random loss multiplies it by ``decrease``.

    With B = decrease^2: 1 / ((1 - decrease) sqrt(2p) E),  E = Gamma(3/2) prod_k (1 - B^(k+1/2)) / (1 - B^k).
    For 0.5 it is 1.310 / sqrt(p). Throughput is this over the round trip.

    Source:
        Ott, Kemperman and Mathis, The Stationary Behavior of Ideal TCP Congestion Avoidance, 1996 (1.31, as
        in Table 1 of Mathis et al. 1997). Product: moments of sum B^i X_i with exponential X_i; Dumas,
        Guillemin and Robert, A Markovian Analysis of AIMD Algorithms, 2002.
    """
    square = decrease * decrease
    terms = math.ceil(math.log(1e-17) / math.log(square))  # factors beyond round to 1
    product = math.prod(
        (1 - math.pow(square, k + 0.5)) / (1 - math.pow(square, k)) for k in range(1, terms + 1)
    )
    return 1 / ((1 - decrease) * math.sqrt(2 * loss_ratio) * math.gamma(1.5) * product)


def cubic_window_packets(loss_ratio: float, rtt_s: float) -> float:
    """Mean window of cubic under periodic losses, where it is above reno's: 1.054 (R/p)^(3/4).

    The factor is (C (3+b) / (4 (1-b)))^(1/4) with C 0.4 and b 0.7.

    Source:
        RFC 9438, CUBIC for Fast and Long-Distance Networks, section 5 (A).
    """
    constant = math.pow(0.4 * (3 + CUBIC_DECREASE) / (4 * (1 - CUBIC_DECREASE)), 0.25)
    return constant * math.pow(rtt_s / loss_ratio, 0.75)


def padhye_s_per_packet(
    loss_ratio: float, rtt_s: float, timeout_s: float, packets_per_ack: int = DELAYED_ACK
) -> tuple[float, float]:
    """Seconds per packet of reno: in congestion avoidance, and waiting for timeouts. 1 over their sum passes.

    R sqrt(2bp/3)   and   T0 min(1, 3 sqrt(3bp/8)) p (1 + 32 p^2)

    Reno without selective acknowledgements; with them fewer losses end in a timeout.

    Source:
        Padhye, Firoiu, Towsley and Kurose, Modeling TCP Throughput, SIGCOMM 1998, approximate model; also RFC
        5348, section 3.1, without the min.
    """
    avoidance_s = rtt_s * math.sqrt(2 * packets_per_ack * loss_ratio / 3)
    is_timeout = min(1.0, 3 * math.sqrt(3 * packets_per_ack * loss_ratio / 8))
    return avoidance_s, timeout_s * is_timeout * loss_ratio * (1 + 32 * loss_ratio**2)
