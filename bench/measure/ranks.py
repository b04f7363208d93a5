"""`Ranks`: this process among the others. Joins and leaves the process group, and moves small numbers between ranks.

Numbers travel as tensors, never as pickles.
"""

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch.torch_version import TorchVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The process group as the measurement uses it.

    Attributes:
        device: where buffers live: the local rank's GPU with nccl, the CPU with gloo.
    """

    rank: int
    size: int
    local_rank: int
    backend: str
    device: torch.device

    def barrier(self) -> None:
        """Return once every rank has come here; on a GPU also wait until its stream is empty."""
        if self.device.type == "cuda":
            # An own one-element all_reduce: dist.barrier() blocks the host differently from version to version.
            dist.all_reduce(torch.zeros(1, device=self.device))
            torch.cuda.synchronize(self.device)
        else:
            dist.barrier()

    def send_around(self, outgoing: torch.Tensor, incoming: torch.Tensor) -> None:
        """Send to the next rank and receive from the one before, so that every link carries the same bytes."""
        receive = dist.P2POp(dist.irecv, incoming, (self.rank - 1) % self.size)
        send = dist.P2POp(dist.isend, outgoing, (self.rank + 1) % self.size)
        for request in dist.batch_isend_irecv([receive, send]):
            request.wait()

    def largest(self, values: Sequence[float]) -> list[float]:
        """Element-wise maximum over ranks. Shape: (n,) in and out, the same on every rank."""
        tensor = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return [float(value) for value in tensor.tolist()]

    def gathered(self, values: Sequence[float]) -> list[list[float]]:
        """The values of every rank, in rank order. Shape: (n,) in, (size, n) out, on every rank."""
        mine = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        everyones = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(everyones, mine)
        return [[float(value) for value in row.tolist()] for row in everyones]

    def gathered_text(self, text: str) -> list[str]:
        """One short text per rank (a host name), in rank order, as bytes in a tensor. At most 256 bytes are kept."""
        raw = text.encode()[:256].ljust(256, b"\0")
        mine = torch.tensor(list(raw), dtype=torch.uint8, device=self.device)
        everyones = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(everyones, mine)
        return [bytes(row.tolist()).rstrip(b"\0").decode(errors="replace") for row in everyones]

    def from_rank_0(self, value: float) -> float:
        """The value that rank 0 holds."""
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, src=0)
        return float(tensor.item())


@contextmanager
def joined(
    *,
    rank: int,
    size: int,
    local_rank: int,
    backend: str,
    master_address: str,
    master_port: int,
    timeout_s: float,
) -> Iterator[Ranks]:
    """Join the process group, and leave it at the end if nothing went wrong (a broken group would hang there).

    Raises:
        RuntimeError: the rendezvous or the backend failed (torch's own message).
    """
    torch.set_num_threads(1)  # a rank that computes on several cores takes them from its neighbours
    options: dict[str, Any] = {}
    if backend == "nccl":
        # A launcher may show each rank its own GPU alone; then that is the first one.
        device = torch.device("cuda", local_rank if local_rank < torch.cuda.device_count() else 0)
        torch.cuda.set_device(device)
        if TorchVersion(torch.__version__) >= "2.7.1":
            options["device_id"] = device  # before, it can hang: pytorch issue 153960
    else:
        device = torch.device("cpu")
    # The environment is what torch's own rendezvous reads; under torchrun it is set already, to the same values.
    os.environ.update(MASTER_ADDR=master_address, MASTER_PORT=str(master_port))
    dist.init_process_group(
        backend=backend,
        rank=rank,
        world_size=size,
        timeout=datetime.timedelta(seconds=timeout_s),
        **options,
    )
    yield Ranks(rank=rank, size=size, local_rank=local_rank, backend=backend, device=device)
    dist.destroy_process_group()
