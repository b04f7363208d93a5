"""What a collective is, as nccl-tests defines it: one row of `TRAITS` for each, and the bus factor."""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final


class Collective(Enum):
    """The collectives that linerate measures. Members are named as users write them."""

    all_reduce = "all_reduce"
    all_gather = "all_gather"
    reduce_scatter = "reduce_scatter"
    all_to_all = "all_to_all"
    all_to_allv = "all_to_allv"
    broadcast = "broadcast"
    reduce = "reduce"
    gather = "gather"
    scatter = "scatter"
    send_recv = "send_recv"
    ping_pong = "ping_pong"
    barrier = "barrier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What tells one collective from another, for everything that need not know its name.

    Attributes:
        factor: bus factor in units of (N - 1) / N: 2, 1, or None where it is 1 whatever N is.
        is_reduction: combines values, so it has a reduce_op.
        is_per_rank: the message is cut into one block for each rank, so counts are rounded per rank.
        has_root: rank 0 is the root.
        ends_together: every rank needs data from every other, so that none can end long before the last.
        min_ranks: fewest ranks that make it a transfer.
        messages_per_call: messages that follow one another in one call, where the time of one is asked for.
    """

    factor: int | None
    is_reduction: bool = False
    is_per_rank: bool = False
    has_root: bool = False
    ends_together: bool = True
    min_ranks: int = 1
    messages_per_call: int = 1


TRAITS: Final[dict[Collective, Traits]] = {
    Collective.all_reduce: Traits(factor=2, is_reduction=True),
    Collective.all_gather: Traits(factor=1, is_per_rank=True),
    Collective.reduce_scatter: Traits(factor=1, is_reduction=True, is_per_rank=True),
    Collective.all_to_all: Traits(factor=1, is_per_rank=True),
    Collective.all_to_allv: Traits(factor=1),
    Collective.broadcast: Traits(factor=None, has_root=True, ends_together=False),
    Collective.reduce: Traits(factor=None, is_reduction=True, has_root=True, ends_together=False),
    Collective.gather: Traits(factor=1, is_per_rank=True, has_root=True, ends_together=False),
    Collective.scatter: Traits(factor=1, is_per_rank=True, has_root=True, ends_together=False),
    Collective.send_recv: Traits(factor=None, ends_together=False, min_ranks=2),
    Collective.ping_pong: Traits(factor=None, ends_together=False, min_ranks=2, messages_per_call=2),
    Collective.barrier: Traits(factor=None),
}
"""Source of the factors: NVIDIA/nccl-tests, doc/PERFORMANCE.md, "Bus Bandwidth", and the bandwidth function of each test
(gather.cu, scatter.cu, sendrecv.cu, alltoallv.cu). ping_pong is OSU's: half of the round trip of one message."""


class Algorithm(Enum):
    """How the bytes travel. ``native`` is the backend's own choice; the model names the schedule behind it."""

    ring = "ring"
    pairwise = "pairwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveSpec:
    """One point of a sweep, as the model needs it.

    Attributes:
        message_bytes: nccl-tests' size: the larger of the send and the receive buffer of a rank (of the root, where there
            is one). 0 for a barrier.
        split_bytes: all_to_allv only: bytes from each rank (row) to each rank (column).
    """

    collective: Collective
    num_ranks: int
    message_bytes: int
    split_bytes: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        if self.num_ranks < 1:
            raise ValueError(f"num_ranks is {self.num_ranks}; a collective needs at least one rank")
        if self.message_bytes < 0:
            raise ValueError(f"message_bytes is {self.message_bytes}; it cannot be negative")
        split = self.split_bytes
        if (self.collective is Collective.all_to_allv) != (split is not None):
            raise ValueError(f"{self.collective.value}: split_bytes belong to all_to_allv, and to it alone")
        if split is not None and {len(split), *map(len, split)} != {self.num_ranks}:
            raise ValueError(
                f"split_bytes has {len(split)} rows of {sorted(set(map(len, split)))} numbers; {self.num_ranks} ranks need as "
                "many of both"
            )


def bus_factor(collective: Collective, num_ranks: int) -> float:
    """Bus bandwidth over algorithm bandwidth: busbw = bus_factor x message_bytes / time.

    all_reduce: 2 (N - 1) / N
    all_gather, reduce_scatter, all_to_all, all_to_allv, gather, scatter: (N - 1) / N
    broadcast, reduce, send_recv, ping_pong: 1

    Raises:
        ValueError: ``num_ranks`` is below 1.
    Source:
        See `TRAITS`.
    """
    if num_ranks < 1:
        raise ValueError(f"num_ranks is {num_ranks}; a collective needs at least one rank")
    factor = TRAITS[collective].factor
    return 1.0 if factor is None else float(factor * Fraction(num_ranks - 1, num_ranks))


def message_bytes(collective: Collective, requested_bytes: int, item_bytes: int, num_ranks: int) -> int:
    """The size that is measured when ``requested_bytes`` are asked for; 0 where no element is left.

    Rounded down as nccl-tests rounds: to whole elements, and where each rank has a block of its own to blocks of a multiple
    of 16 bytes. (Blocks of all_to_allv are cut by `bench.model.traffic`; a barrier has no message.)

    Source:
        NVIDIA/nccl-tests, ``GetCollByteCount`` of each test: ``(count / nranks) & -(16 / element size)``.
    """
    if collective is Collective.barrier:
        return 0
    if not TRAITS[collective].is_per_rank:
        return requested_bytes // item_bytes * item_bytes
    block_bytes = max(BLOCK_BYTES, item_bytes)
    return requested_bytes // item_bytes * item_bytes // num_ranks // block_bytes * block_bytes * num_ranks


BLOCK_BYTES: Final = 16
"""Blocks per rank are multiples of this, so that every rank's block is aligned for vector loads (nccl-tests)."""
