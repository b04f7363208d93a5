"""The calls themselves: buffers, the operation, and the check of its result; one row of `WORKLOADS` per algorithm.

Adding a collective or an algorithm is adding a row: the engine never names one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
import torch.distributed as dist

from bench.measure.data import Pattern, num_wrong
from bench.measure.ranks import Ranks

CHUNK_BYTES: Final = 256 * 1024
"""Message of the chunked all_to_all: several are under way to and from each peer at once."""

_REDUCE_OPS: Final = {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One collective at one size on one rank.

    Attributes:
        reset: put the input back and spoil the output, so that a stale result cannot pass the check. Not timed.
        call: the timed operation; complete on the host (gloo) or queued on the stream (nccl) when it returns.
        count_wrong: number of wrong elements of this rank's result. Not timed.
        restores_input: ``call`` overwrites its own input, so ``reset`` belongs before every call.
    """

    reset: Callable[[], None]
    call: Callable[[], None]
    count_wrong: Callable[[], int]
    restores_input: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """What a builder needs beside the ranks. ``count`` is the number of elements of message_bytes."""

    count: int
    reduce_op: str
    pattern: Pattern


Builder = Callable[[WorkloadSpec, Ranks], Workload]


def all_reduce(spec: WorkloadSpec, ranks: Ranks) -> Workload:
    """In place, the only form that torch has."""
    original = spec.pattern.sent(ranks.rank, 0, spec.count).to(ranks.device)
    buffer = original.clone()
    op = _REDUCE_OPS[spec.reduce_op]

    def reset() -> None:
        buffer.copy_(original)

    def call() -> None:
        dist.all_reduce(buffer, op=op)

    def count_wrong() -> int:
        return num_wrong(buffer, spec.pattern.reduced(spec.reduce_op, spec.count))

    return Workload(reset=reset, call=call, count_wrong=count_wrong, restores_input=True)


def send_recv(spec: WorkloadSpec, ranks: Ranks) -> Workload:
    """A ring: every rank sends to the next and receives from the one before, both at once."""
    following, previous = (ranks.rank + 1) % ranks.size, (ranks.rank - 1) % ranks.size
    outgoing = spec.pattern.sent(ranks.rank, 0, spec.count).to(ranks.device)
    incoming = torch.empty_like(outgoing)

    def call() -> None:
        _exchange([(outgoing, following)], [(incoming, previous)])

    def count_wrong() -> int:
        return num_wrong(incoming, spec.pattern.sent(previous, 0, spec.count))

    return Workload(reset=lambda: _spoil(incoming), call=call, count_wrong=count_wrong, restores_input=False)


def all_to_all(spec: WorkloadSpec, ranks: Ranks) -> Workload:
    """The backend's own all_to_all."""
    return _all_to_all(spec, ranks, lambda out, into: lambda: _native_all_to_all(out, into))


def all_to_all_pairwise(spec: WorkloadSpec, ranks: Ranks) -> Workload:
    """N - 1 rounds; in round k each rank sends to rank + k and receives from rank - k. Its own share is copied."""

    def build(outgoing: torch.Tensor, incoming: torch.Tensor) -> Callable[[], None]:
        out, into = outgoing.chunk(ranks.size), incoming.chunk(ranks.size)

        def call() -> None:
            into[ranks.rank].copy_(out[ranks.rank])
            for k in range(1, ranks.size):
                to, source = (ranks.rank + k) % ranks.size, (ranks.rank - k) % ranks.size
                _exchange([(out[to], to)], [(into[source], source)])

        return call

    return _all_to_all(spec, ranks, build)


def all_to_all_chunked(spec: WorkloadSpec, ranks: Ranks) -> Workload:
    """All pairs at once, each share cut into pieces of `CHUNK_BYTES`, so that both directions of a pair take turns."""

    def build(outgoing: torch.Tensor, incoming: torch.Tensor) -> Callable[[], None]:
        pieces = max(1, outgoing.element_size() * spec.count // ranks.size // CHUNK_BYTES)
        out = [share.chunk(pieces) for share in outgoing.chunk(ranks.size)]
        into = [share.chunk(pieces) for share in incoming.chunk(ranks.size)]
        sends, receives = [], []
        for piece in range(len(out[0])):
            for k in range(1, ranks.size):
                to, source = (ranks.rank + k) % ranks.size, (ranks.rank - k) % ranks.size
                sends.append((out[to][piece], to))
                receives.append((into[source][piece], source))

        def call() -> None:
            for mine, own in zip(into[ranks.rank], out[ranks.rank], strict=True):
                mine.copy_(own)
            _exchange(sends, receives)

        return call

    return _all_to_all(spec, ranks, build)


WORKLOADS: Final[dict[tuple[str, str], Builder]] = {
    ("all_reduce", "native"): all_reduce,
    ("send_recv", "native"): send_recv,
    ("all_to_all", "native"): all_to_all,
    ("all_to_all", "pairwise"): all_to_all_pairwise,
    ("all_to_all", "chunked"): all_to_all_chunked,
}
"""(collective, algorithm) to the function that builds it."""


def _all_to_all(
    spec: WorkloadSpec, ranks: Ranks, build: Callable[[torch.Tensor, torch.Tensor], Callable[[], None]]
) -> Workload:
    share = spec.count // ranks.size
    outgoing = spec.pattern.sent(ranks.rank, 0, spec.count).to(ranks.device)
    incoming = torch.empty_like(outgoing)

    def count_wrong() -> int:
        sent_to_me = [spec.pattern.sent(rank, ranks.rank * share, share) for rank in range(ranks.size)]
        return num_wrong(incoming, torch.cat(sent_to_me))

    return Workload(
        reset=lambda: _spoil(incoming),
        call=build(outgoing, incoming),
        count_wrong=count_wrong,
        restores_input=False,
    )


def _native_all_to_all(outgoing: torch.Tensor, incoming: torch.Tensor) -> None:
    dist.all_to_all_single(incoming, outgoing)


def _exchange(sends: list[tuple[torch.Tensor, int]], receives: list[tuple[torch.Tensor, int]]) -> None:
    """Post all receives and sends at once and wait for all of them; one group call, as NCCL needs it."""
    if not sends:
        return
    if dist.get_backend() == "nccl":
        operations = [dist.P2POp(dist.irecv, tensor, peer) for tensor, peer in receives]
        operations += [dist.P2POp(dist.isend, tensor, peer) for tensor, peer in sends]
        for work in dist.batch_isend_irecv(operations):
            work.wait()
        return
    pending = []
    for (incoming, source), (outgoing, to) in zip(receives, sends, strict=True):
        pending.append(dist.irecv(incoming, source))
        pending.append(dist.isend(outgoing, to))
    for request in pending:
        if request is not None:
            request.wait()


def _spoil(buffer: torch.Tensor) -> None:
    """Overwrite a result so that one left over from an earlier call does not look right: a value no rank sends."""
    buffer.view(torch.uint8).fill_(0xFF)
