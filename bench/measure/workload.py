"""One collective at one size on one rank: its buffers, its call, and what the result must be.

What each rank sends and must receive is a row of `bench.measure.exchanges`; calls that are put together from messages are rows
of `bench.measure.algorithms`. Neither is named here, nor in the engine.
"""

import dataclasses
from dataclasses import dataclass
from typing import Final

import torch

from bench.measure.algorithms import ALGORITHMS
from bench.measure.data import Pattern, num_wrong, spoil
from bench.measure.exchanges import EXCHANGES, Contents, ExchangeSpec
from bench.measure.job import Job
from bench.measure.ranks import Call, Post, Ranks
from bench.model.collective import TRAITS, Collective


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """What to build, beside the ranks.

    Attributes:
        count: elements of the message (see `bench.model.collective.CollectiveSpec`).
        split_counts: all_to_allv: elements from each rank (row) to each rank (column).
        travels_as_bytes: the backend has no such data type, but needs none where nothing is computed.
    """

    collective: Collective
    algorithm: str
    placement: str
    count: int
    pattern: Pattern
    reduce_op: str | None = None
    split_counts: tuple[tuple[int, ...], ...] | None = None
    travels_as_bytes: bool = False


class Workload:
    """What the slots of one point share: the input, the expected result, and how to make the call ready."""

    def __init__(self, spec: WorkloadSpec, ranks: Ranks) -> None:
        shape = ExchangeSpec(
            count=spec.count, num_ranks=ranks.size, pattern=spec.pattern, split_counts=spec.split_counts
        )
        self._spec, self._ranks = spec, ranks
        contents = EXCHANGES[spec.collective](shape, ranks.rank).to(ranks.device)
        first = ranks.first_in_place(spec.collective, contents.first_in_place)
        self._contents = dataclasses.replace(contents, first_in_place=first)
        self._original = _original(self._contents) if spec.placement == "in_place" else None

    @property
    def messages_per_call(self) -> int:
        return TRAITS[self._spec.collective].messages_per_call

    @property
    def num_bytes(self) -> int:
        """Memory of one slot's buffers on this rank."""
        if self._original is not None:
            return self._original.nbytes
        return sum(part.nbytes for part in (self._contents.sent, self._contents.expected) if part is not None)

    @property
    def most_bytes(self) -> int:
        """Memory of one slot's buffers on the rank that has most; the same number on every rank."""
        return 2 * self._spec.count * self._spec.pattern.dtype.num_bytes

    def slot(self) -> "Slot":
        """Fresh buffers and their call.

        Raises:
            UnsupportedError: the backend has no such call.
        """
        spec, contents = self._spec, self._contents
        empty = torch.empty(0, dtype=spec.pattern.torch_dtype, device=self._ranks.device)
        if self._original is None:
            send = empty if contents.sent is None else contents.sent.clone()
            recv = empty if contents.expected is None else torch.empty_like(contents.expected)
            whole = recv
        else:
            whole = self._original.clone()
            send = _part(whole, contents.sent, contents.first_in_place)
            recv = _part(whole, contents.expected, contents.first_in_place)
        scale = spec.pattern.dtype.num_bytes if spec.travels_as_bytes else 1
        rank, counts = self._ranks.rank, spec.split_counts
        job = Job(
            collective=spec.collective,
            algorithm=spec.algorithm,
            send=send.view(torch.uint8) if spec.travels_as_bytes else send,
            recv=recv.view(torch.uint8) if spec.travels_as_bytes else recv,
            reduce_op=spec.reduce_op,
            send_counts=None if counts is None else tuple(n * scale for n in counts[rank]),
            recv_counts=None if counts is None else tuple(row[rank] * scale for row in counts),
            is_in_place=self._original is not None,
        )
        made = ALGORITHMS.get((spec.collective, spec.algorithm))
        if made is not None:
            call, post = made(job, self._ranks)
        else:
            call = self._ranks.prepare(job)
            post = self._ranks.prepare_overlapped(job) if spec.algorithm == "native" else None
        return Slot(
            whole=whole,
            original=self._original,
            send=send,
            recv=recv,
            expected=contents.expected,
            call=call,
            post=post,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slot:
    """One set of buffers with its call. A sample uses one slot, or several one after the other.

    Attributes:
        call: the timed operation; complete (CPU) or queued on the stream (CUDA) when it returns.
        post: the same in two halves, for overlap; None where there is no such form.
    """

    whole: torch.Tensor
    original: torch.Tensor | None
    send: torch.Tensor
    recv: torch.Tensor
    expected: torch.Tensor | None
    call: Call
    post: Post | None

    def prepare(self) -> None:
        """Put the input back where a call overwrites it, spoil the output so that a stale result cannot pass, and leave
        both in the cache as the call before would have. Not timed."""
        if self.original is not None:
            self.whole.copy_(self.original)
            return
        if self.expected is not None:
            spoil(self.recv, self.expected)
        touch(self.send)

    def count_wrong(self) -> int:
        """Elements of this rank's result that are not bit for bit as they must be. Not timed."""
        return 0 if self.expected is None else num_wrong(self.recv, self.expected)


def touch(buffer: torch.Tensor) -> None:
    """Read every cache line of a buffer on the CPU; elsewhere there is nothing to gain."""
    if buffer.device.type == "cpu" and buffer.numel():
        buffer.view(torch.uint8)[::CACHE_LINE_BYTES].sum()


CACHE_LINE_BYTES: Final = 64


def _original(contents: Contents) -> torch.Tensor:
    """What the one buffer of an in-place call holds before: the input, and elsewhere anything but the result."""
    sent, expected, first = contents.sent, contents.expected, contents.first_in_place
    larger = max((part for part in (sent, expected) if part is not None), key=len)
    original = torch.empty_like(larger)
    if expected is not None:
        spoil(_part(original, expected, first), expected)
    if sent is not None:
        _part(original, sent, first).copy_(sent)
    return original


def _part(whole: torch.Tensor, like: torch.Tensor | None, first: int) -> torch.Tensor:
    """The part of ``whole`` that is as long as ``like``; all of it where there is nothing of that kind."""
    if like is None or len(like) == len(whole):
        return whole
    return whole[first : first + len(like)]
