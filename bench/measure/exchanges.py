"""What every rank sends and must receive: one row of `EXCHANGES` for each collective, whatever carries it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from bench.measure.data import Pattern
from bench.model.collective import Collective

ROOT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSpec:
    """``count``: elements of the message; ``split_counts``: all_to_allv, elements from each rank to each rank."""

    count: int
    num_ranks: int
    pattern: Pattern
    split_counts: tuple[tuple[int, ...], ...] | None = None

    @property
    def share(self) -> int:
        """Elements of one rank's block."""
        return self.count // self.num_ranks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contents:
    """What one rank sends and must receive, flat, on the CPU; None: nothing at this rank.

    Attributes:
        first_in_place: where in the larger buffer the smaller one lies when both share memory, as nccl-tests has it.
    """

    sent: torch.Tensor | None
    expected: torch.Tensor | None
    first_in_place: int = 0

    def to(self, device: torch.device) -> "Contents":
        return Contents(
            sent=None if self.sent is None else self.sent.to(device),
            expected=None if self.expected is None else self.expected.to(device),
            first_in_place=self.first_in_place,
        )


def _all_reduce(spec: ExchangeSpec, rank: int) -> Contents:
    return Contents(sent=spec.pattern.sent(rank, 0, spec.count), expected=spec.pattern.reduced(0, spec.count))


def _all_gather(spec: ExchangeSpec, rank: int) -> Contents:
    return Contents(
        sent=spec.pattern.sent(rank, 0, spec.share),
        expected=_everyones(spec),
        first_in_place=rank * spec.share,
    )


def _reduce_scatter(spec: ExchangeSpec, rank: int) -> Contents:
    first = rank * spec.share
    return Contents(
        sent=spec.pattern.sent(rank, 0, spec.count),
        expected=spec.pattern.reduced(first, spec.share),
        first_in_place=first,
    )


def _all_to_all(spec: ExchangeSpec, rank: int) -> Contents:
    to_me = [spec.pattern.sent(peer, rank * spec.share, spec.share) for peer in range(spec.num_ranks)]
    return Contents(sent=spec.pattern.sent(rank, 0, spec.count), expected=torch.cat(to_me))


def _all_to_allv(spec: ExchangeSpec, rank: int) -> Contents:
    counts = spec.split_counts
    assert counts is not None
    to_me = [spec.pattern.sent(peer, sum(row[:rank]), row[rank]) for peer, row in enumerate(counts)]
    return Contents(sent=spec.pattern.sent(rank, 0, sum(counts[rank])), expected=torch.cat(to_me))


def _broadcast(spec: ExchangeSpec, rank: int) -> Contents:
    data = spec.pattern.sent(ROOT, 0, spec.count)
    return Contents(sent=data if rank == ROOT else None, expected=data)


def _reduce(spec: ExchangeSpec, rank: int) -> Contents:
    result = spec.pattern.reduced(0, spec.count) if rank == ROOT else None
    return Contents(sent=spec.pattern.sent(rank, 0, spec.count), expected=result)


def _gather(spec: ExchangeSpec, rank: int) -> Contents:
    return Contents(
        sent=spec.pattern.sent(rank, 0, spec.share), expected=_everyones(spec) if rank == ROOT else None
    )


def _scatter(spec: ExchangeSpec, rank: int) -> Contents:
    return Contents(
        sent=spec.pattern.sent(ROOT, 0, spec.count) if rank == ROOT else None,
        expected=spec.pattern.sent(ROOT, rank * spec.share, spec.share),
    )


def _send_recv(spec: ExchangeSpec, rank: int) -> Contents:
    previous = (rank - 1) % spec.num_ranks
    return Contents(
        sent=spec.pattern.sent(rank, 0, spec.count), expected=spec.pattern.sent(previous, 0, spec.count)
    )


def _ping_pong(spec: ExchangeSpec, rank: int) -> Contents:
    ends = (0, spec.num_ranks - 1)
    if rank not in ends:
        return Contents(sent=None, expected=None)
    other = ends[1] if rank == ends[0] else ends[0]
    return Contents(
        sent=spec.pattern.sent(rank, 0, spec.count), expected=spec.pattern.sent(other, 0, spec.count)
    )


def _barrier(spec: ExchangeSpec, rank: int) -> Contents:
    return Contents(sent=None, expected=None)


def _everyones(spec: ExchangeSpec) -> torch.Tensor:
    return torch.cat([spec.pattern.sent(rank, 0, spec.share) for rank in range(spec.num_ranks)])


EXCHANGES: Final[dict[Collective, Callable[[ExchangeSpec, int], Contents]]] = {
    Collective.all_reduce: _all_reduce,
    Collective.all_gather: _all_gather,
    Collective.reduce_scatter: _reduce_scatter,
    Collective.all_to_all: _all_to_all,
    Collective.all_to_allv: _all_to_allv,
    Collective.broadcast: _broadcast,
    Collective.reduce: _reduce,
    Collective.gather: _gather,
    Collective.scatter: _scatter,
    Collective.send_recv: _send_recv,
    Collective.ping_pong: _ping_pong,
    Collective.barrier: _barrier,
}
