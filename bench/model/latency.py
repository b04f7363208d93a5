"""Time that does not depend on the bytes: steps of a schedule, each as long as the protocol that carries it."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

Number: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How NCCL hands a chunk from one rank to the next.

    Attributes:
        hop_s: one hop. payload_share: of the link's payload rate, by the format of what is sent.
    """

    name: str
    hop_s: float
    payload_share: float


PROTOCOLS: Final = (
    Protocol(name="LL", hop_s=1e-6, payload_share=4 / 8),
    Protocol(name="LL128", hop_s=2e-6, payload_share=120 / 128),
    Protocol(name="Simple", hop_s=6e-6, payload_share=1.0),
)
"""Hops of about 1, 2 and 6 us; LL sends 4 bytes of flag with 4 of data, LL128 8 with 120. Source: Hu et al. 2025, "Demystifying
NCCL", arXiv:2507.04786, table of protocols."""

LEAST_HOST_HOP_S: Final = 1.27e-6
"""Half a round trip of 2 bytes between two ConnectX-7 over a DAC without a switch, `ib_send_lat` (tool output)."""

MOST_HOST_HOP_S: Final = 9.5e-6
"""What each step of a ring of 1024 ranks took in a published LL128 log at 1 GiB: 19.4 ms for 2046 steps."""

LEAST_INSIDE_HOP_S: Final = PROTOCOLS[0].hop_s
MOST_INSIDE_HOP_S: Final = PROTOCOLS[-1].hop_s
"""Hops inside a host: those of the fastest and of the slowest protocol; no others are published."""

ADDS_UP_TO_RANKS: Final = 512
MOST_OVERLAP_DOUBT: Final = 0.05
"""Steps and bytes add up on small jobs: over 110 published sweeps the sum fits best. In the published sweep of 1024 ranks they do
not: the sum is 9 % off, the larger of the two about 1.5 %. Where that begins is not known, so on larger jobs there is an expectation
only where the two differ by no more than repetitions of one measurement do; the interval always holds both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """Seconds, expected (NaN where it is not known) and at both ends of what is known; floats or arrays."""

    expected_s: Number
    low_s: Number
    high_s: Number


def envelope(
    load_s: Number,
    load_low_s: Number,
    load_high_s: Number,
    host_steps: Number,
    inside_steps: Number,
    num_messages: Number,
    num_ranks: Number,
) -> Duration:
    """The fastest protocol: min over protocols of load / payload share and steps x hop, which add up or overlap.

    The interval goes from the larger of bytes and least hops (all of it hidden) to the sum of bytes and the longest hops that
    were published, messages of an exchange one after another. How many of those travel at once is not published: where, one by
    one at the shortest hop, they would take longer than the bytes, nothing is expected. NCCL only: other libraries' hops are not known.

    Shape: all arguments broadcast. Units: seconds.
    """
    host_steps, inside_steps = np.asarray(host_steps), np.asarray(inside_steps)
    may_overlap = np.asarray(num_ranks) > ADDS_UP_TO_RANKS
    expected: Number = np.inf
    doubtful: Number = False
    for protocol in PROTOCOLS:
        bytes_s = np.asarray(load_s) / protocol.payload_share
        hops_s = host_steps * max(protocol.hop_s, LEAST_HOST_HOP_S) + inside_steps * protocol.hop_s
        is_doubtful = may_overlap & (
            np.minimum(bytes_s, hops_s) > MOST_OVERLAP_DOUBT * np.maximum(bytes_s, hops_s)
        )
        is_best = bytes_s + hops_s < expected
        doubtful = np.where(is_best, is_doubtful, doubtful)
        expected = np.minimum(expected, bytes_s + hops_s)
    expected = np.where(doubtful, np.nan, expected)
    num_messages = np.asarray(num_messages, dtype=float)
    expected = np.where(num_messages * PROTOCOLS[0].hop_s > load_s, np.nan, expected)
    low = np.maximum(load_low_s, host_steps * LEAST_HOST_HOP_S + inside_steps * LEAST_INSIDE_HOP_S)
    num_hops = host_steps + np.maximum(num_messages - 1, 0)
    most_hops_s = num_hops * MOST_HOST_HOP_S + inside_steps * MOST_INSIDE_HOP_S
    return Duration(
        expected_s=expected,
        low_s=np.fmin(low, expected),
        high_s=np.fmax(np.asarray(load_high_s) + most_hops_s, expected),
    )
