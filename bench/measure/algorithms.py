"""Calls that we put together from messages, on any backend: one row of `ALGORITHMS` for each."""

from collections.abc import Callable
from typing import Final

import torch

from bench.measure.job import Job, Message
from bench.measure.ranks import Call, Post, Ranks
from bench.model.collective import Collective

CHUNK_BYTES: Final = 256 * 1024
"""Message of the chunked all_to_all: several are under way to and from each peer at once."""

Builder = Callable[[Job, Ranks], tuple[Call, Post | None]]


def ring(job: Job, ranks: Ranks) -> tuple[Call, Post | None]:
    """Every rank sends to the next and receives from the one before, both at once."""
    following, previous = (ranks.rank + 1) % ranks.size, (ranks.rank - 1) % ranks.size
    post = ranks.prepare_exchange(
        [Message(tensor=job.send, peer=following)], [Message(tensor=job.recv, peer=previous)]
    )
    return _whole(post), post


def ping_pong(job: Job, ranks: Ranks) -> tuple[Call, Post | None]:
    """Rank 0 sends to the last rank and gets its answer; the others stand by."""
    last = ranks.size - 1
    if ranks.rank not in (0, last):
        return _nothing, None
    other = last if ranks.rank == 0 else 0
    send = _whole(ranks.prepare_exchange([Message(tensor=job.send, peer=other)], []))
    receive = _whole(ranks.prepare_exchange([], [Message(tensor=job.recv, peer=other)]))
    first, second = (send, receive) if ranks.rank == 0 else (receive, send)

    def call() -> None:
        first()
        second()

    return call, None


def pairwise(job: Job, ranks: Ranks) -> tuple[Call, Post | None]:
    """all_to_all in N - 1 rounds; in round k each rank sends to rank + k and receives from rank - k."""
    out, into = job.send.chunk(ranks.size), job.recv.chunk(ranks.size)
    rounds = []
    for k in range(1, ranks.size):
        to, source = (ranks.rank + k) % ranks.size, (ranks.rank - k) % ranks.size
        rounds.append(
            ranks.prepare_exchange(
                [Message(tensor=out[to], peer=to)], [Message(tensor=into[source], peer=source)]
            )
        )

    def call() -> None:
        into[ranks.rank].copy_(out[ranks.rank])
        for post in rounds:
            post()()

    return call, None


def chunked(job: Job, ranks: Ranks) -> tuple[Call, Post | None]:
    """all_to_all, all pairs at once, each share cut into pieces of `CHUNK_BYTES`, so that both directions of a pair take turns."""
    share_bytes = job.send.nbytes // ranks.size
    pieces = max(1, share_bytes // CHUNK_BYTES)
    out = [share.chunk(pieces) for share in job.send.chunk(ranks.size)]
    into = [share.chunk(pieces) for share in job.recv.chunk(ranks.size)]
    sends, receives = [], []
    for piece in range(len(out[0])):
        for k in range(1, ranks.size):
            to, source = (ranks.rank + k) % ranks.size, (ranks.rank - k) % ranks.size
            sends.append(Message(tensor=out[to][piece], peer=to))
            receives.append(Message(tensor=into[source][piece], peer=source))
    post = ranks.prepare_exchange(sends, receives)

    def call() -> None:
        _copy(job.recv, job.send, ranks)
        post()()

    return call, None


ALGORITHMS: Final[dict[tuple[Collective, str], Builder]] = {
    (Collective.send_recv, "native"): ring,
    (Collective.ping_pong, "native"): ping_pong,
    (Collective.all_to_all, "pairwise"): pairwise,
    (Collective.all_to_all, "chunked"): chunked,
}
"""(collective, algorithm) to the function that builds it. What is not here is the backend's own."""


def _copy(recv: torch.Tensor, send: torch.Tensor, ranks: Ranks) -> None:
    recv.chunk(ranks.size)[ranks.rank].copy_(send.chunk(ranks.size)[ranks.rank])


def _whole(post: Post) -> Call:
    def call() -> None:
        post()()

    return call


def _nothing() -> None:
    pass
