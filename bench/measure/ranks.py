"""`Ranks`: this process among the others, whatever carries their data. One small protocol for every backend.

A backend makes calls ready (`prepare`, `prepare_overlapped`, `prepare_exchange`), so that nothing but the call itself is left
for the clock, and moves a few numbers between ranks (`share`). Numbers travel as tensors, never as pickles.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch

from bench.measure.job import Job, Message
from bench.model.collective import Collective

Call = Callable[[], object]
"""Returns when the result is there (CPU), or is queued on the current stream (CUDA)."""

Post = Callable[[], Call]
"""Starts something and returns what waits for it."""


class UnsupportedError(Exception):
    """The backend has no such call; the text says why, for the list of what was skipped."""


class Ranks(ABC):
    """A group of ranks: all of a run, or those of one sub-group.

    Attributes:
        rank, size: place in this group, and its size.
        backend: nccl, gloo or mpi.
        device: where buffers live.
    """

    def __init__(self, *, rank: int, size: int, backend: str, device: torch.device) -> None:
        self.rank, self.size, self.backend, self.device = rank, size, backend, device

    @abstractmethod
    def prepare(self, job: Job) -> Call:
        """The native call of ``job``. Raises `UnsupportedError`."""

    @abstractmethod
    def prepare_overlapped(self, job: Job) -> Post:
        """The same call in two halves, so that something else can be done in between. Raises `UnsupportedError`."""

    @abstractmethod
    def prepare_exchange(self, sends: Sequence[Message], receives: Sequence[Message]) -> Post:
        """Messages that are all posted at once; the second half waits for all of them."""

    @abstractmethod
    def barrier(self) -> None:
        """Return once every rank has come here; on a GPU also wait until its stream is empty."""

    def barrier_call(self) -> Call:
        """`barrier` as the shortest way into the library."""
        return self.barrier

    @abstractmethod
    def share(self, mine: torch.Tensor) -> torch.Tensor:
        """The tensor of every rank, in rank order. Shape: (n,) in, (size, n) out; on the CPU, any data type."""

    @abstractmethod
    def split(self, groups: Sequence[Sequence[int]]) -> "Ranks":
        """The group among ``groups`` that this rank belongs to; every rank of this group must call it.

        Groups are lists of ranks of this group; together they hold every rank once.
        """

    @abstractmethod
    def leave(self) -> None:
        """Give the communicator back; every member calls it. For groups made by `split`."""

    def first_in_place(self, collective: Collective, first: int) -> int:
        """Where, in the larger of the two buffers that share memory, the smaller one lies: at the rank's own block, as
        NCCL has it (``first``), unless the backend wants it elsewhere."""
        return first

    @property
    def is_on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def align_on_device(self) -> None:
        """Queue something on the stream that ends when every rank's stream has come to it. CUDA only."""
        self.barrier()

    def send_around(self, outgoing: torch.Tensor, incoming: torch.Tensor) -> None:
        """Send to the next rank and receive from the one before, so that every link carries the same bytes."""
        post = self.prepare_exchange(
            [Message(tensor=outgoing, peer=(self.rank + 1) % self.size)],
            [Message(tensor=incoming, peer=(self.rank - 1) % self.size)],
        )
        post()()

    def largest(self, values: Sequence[float]) -> list[float]:
        """Element-wise maximum over ranks. Shape: (n,) in and out, the same on every rank."""
        return [max(column) for column in zip(*self.gathered(values), strict=True)]

    def gathered(self, values: Sequence[float]) -> list[list[float]]:
        """The values of every rank, in rank order. Shape: (n,) in, (size, n) out, on every rank."""
        shared: list[list[float]] = self.share(torch.tensor(list(values), dtype=torch.float64)).tolist()
        return shared

    def gathered_text(self, text: str) -> list[str]:
        """One short text per rank (a host name), in rank order, as bytes in a tensor. At most 256 bytes are kept."""
        raw = text.encode()[:256].ljust(256, b"\0")
        rows: list[list[int]] = self.share(torch.tensor(list(raw), dtype=torch.uint8)).tolist()
        return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in rows]

    def from_rank_0(self, value: float) -> float:
        """The value that rank 0 holds."""
        return self.gathered([value])[0][0]
