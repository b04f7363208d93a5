"""`TorchRanks`: torch.distributed behind `Ranks`, for nccl and gloo."""

import datetime
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
import torch.distributed as dist
from torch.torch_version import TorchVersion

from bench.measure.job import Job, Message
from bench.measure.ranks import Call, Post, Ranks, UnsupportedError
from bench.model.collective import Collective

ROOT: Final = 0

_REDUCE_OPS: Final = {
    "sum": dist.ReduceOp.SUM,
    "prod": dist.ReduceOp.PRODUCT,
    "min": dist.ReduceOp.MIN,
    "max": dist.ReduceOp.MAX,
    "avg": dist.ReduceOp.AVG,
    "band": dist.ReduceOp.BAND,
    "bor": dist.ReduceOp.BOR,
    "bxor": dist.ReduceOp.BXOR,
}


class TorchRanks(Ranks):
    """A process group; ``group`` None is the default one, which holds every rank."""

    def __init__(
        self,
        *,
        rank: int,
        size: int,
        backend: str,
        device: torch.device,
        timeout_s: float,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__(rank=rank, size=size, backend=backend, device=device)
        self.group, self._timeout_s = group, timeout_s

    def prepare(self, job: Job) -> Call:
        return self._issue(job)

    def prepare_overlapped(self, job: Job) -> Post:
        issue = self._issue(job)

        def post() -> Call:
            wait: Call = issue(async_op=True).wait
            return wait

        return post

    def prepare_exchange(self, sends: Sequence[Message], receives: Sequence[Message]) -> Post:
        """One group call on nccl, as it needs it; on gloo each message by itself."""
        if self.backend == "nccl":
            return self._grouped_exchange(sends, receives)
        pending = [
            functools.partial(dist.irecv, m.tensor, group=self.group, group_src=m.peer) for m in receives
        ]
        pending += [
            functools.partial(dist.isend, m.tensor, group=self.group, group_dst=m.peer) for m in sends
        ]

        def post() -> Call:
            works = [start() for start in pending]

            def wait() -> None:
                for work in works:
                    if work is not None:
                        work.wait()

            return wait

        return post

    def barrier(self) -> None:
        if self.is_on_gpu:
            self.align_on_device()
            torch.cuda.synchronize(self.device)
        if self.backend != "nccl":
            dist.barrier(self.group)

    def align_on_device(self) -> None:
        # An own one-element all_reduce: dist.barrier() blocks the host differently from version to version.
        if self.backend == "nccl":
            dist.all_reduce(torch.zeros(1, device=self.device), group=self.group)

    def share(self, mine: torch.Tensor) -> torch.Tensor:
        device = self.device if self.backend == "nccl" else torch.device("cpu")
        mine = mine.to(device).contiguous()
        everyones = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(everyones, mine, group=self.group)
        return torch.stack(everyones).cpu()

    def split(self, groups: Sequence[Sequence[int]]) -> "TorchRanks":
        assert self.group is None, "groups are cut from the whole"
        self.barrier()  # so that connections of groups just left are closed before new ones open
        mine: TorchRanks | None = None
        for members in groups:
            # Every rank makes every group, in the same order.
            group = dist.new_group(list(members), timeout=datetime.timedelta(seconds=self._timeout_s))
            if self.rank in members:
                mine = TorchRanks(
                    rank=list(members).index(self.rank),
                    size=len(members),
                    backend=self.backend,
                    device=self.device,
                    timeout_s=self._timeout_s,
                    group=group,
                )
        assert mine is not None
        return mine

    def leave(self) -> None:
        if self.group is not None:
            dist.destroy_process_group(self.group)

    def _grouped_exchange(self, sends: Sequence[Message], receives: Sequence[Message]) -> Post:
        operations = [dist.P2POp(dist.irecv, m.tensor, group=self.group, group_peer=m.peer) for m in receives]
        operations += [dist.P2POp(dist.isend, m.tensor, group=self.group, group_peer=m.peer) for m in sends]

        def post() -> Call:
            works = dist.batch_isend_irecv(operations) if operations else []

            def wait() -> None:
                for work in works:
                    work.wait()

            return wait

        return post

    def _issue(self, job: Job) -> Callable[..., Any]:
        if job.algorithm != "native":
            raise UnsupportedError(f"torch.distributed has no {job.algorithm} calls")
        if job.collective not in _CALLS:
            raise UnsupportedError(f"torch.distributed has no {job.collective.value}")
        return _CALLS[job.collective](job, self)


def _all_reduce(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    return functools.partial(dist.all_reduce, job.recv, op=_reduce_op(job), group=ranks.group)


def _all_gather(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    return functools.partial(dist.all_gather_into_tensor, job.recv, job.send, group=ranks.group)


def _reduce_scatter(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    return functools.partial(
        dist.reduce_scatter_tensor, job.recv, job.send, op=_reduce_op(job), group=ranks.group
    )


def _all_to_all(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    return functools.partial(dist.all_to_all_single, job.recv, job.send, group=ranks.group)


def _all_to_allv(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    assert job.recv_counts is not None and job.send_counts is not None
    return functools.partial(
        dist.all_to_all_single,
        job.recv,
        job.send,
        list(job.recv_counts),
        list(job.send_counts),
        group=ranks.group,
    )


def _broadcast(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    return functools.partial(dist.broadcast, job.recv, group=ranks.group, group_src=ROOT)


def _reduce(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    return functools.partial(dist.reduce, job.recv, op=_reduce_op(job), group=ranks.group, group_dst=ROOT)


def _gather(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    blocks = list(job.recv.chunk(ranks.size)) if ranks.rank == ROOT else None
    return functools.partial(dist.gather, job.send, blocks, group=ranks.group, group_dst=ROOT)


def _scatter(job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    blocks = list(job.send.chunk(ranks.size)) if ranks.rank == ROOT else None
    return functools.partial(dist.scatter, job.recv, blocks, group=ranks.group, group_src=ROOT)


def _barrier(_job: Job, ranks: TorchRanks) -> Callable[..., Any]:
    if ranks.backend == "nccl":
        # dist.barrier() would block the host; what it queues is this.
        return functools.partial(dist.all_reduce, torch.zeros(1, device=ranks.device), group=ranks.group)
    return functools.partial(dist.barrier, ranks.group)


_CALLS: Final[dict[Collective, Callable[[Job, TorchRanks], Callable[..., Any]]]] = {
    Collective.all_reduce: _all_reduce,
    Collective.all_gather: _all_gather,
    Collective.reduce_scatter: _reduce_scatter,
    Collective.all_to_all: _all_to_all,
    Collective.all_to_allv: _all_to_allv,
    Collective.broadcast: _broadcast,
    Collective.reduce: _reduce,
    Collective.gather: _gather,
    Collective.scatter: _scatter,
    Collective.barrier: _barrier,
}
"""Collective to its call; send_recv and ping_pong are made of messages (`prepare_exchange`)."""


def _reduce_op(job: Job) -> Any:
    assert job.reduce_op is not None
    return _REDUCE_OPS[job.reduce_op]


@contextmanager
def joined_torch(
    *,
    rank: int,
    size: int,
    local_rank: int,
    backend: str,
    device: str,
    master_address: str,
    master_port: int,
    timeout_s: float,
) -> Iterator[TorchRanks]:
    """Join the process group, and leave it at the end if nothing went wrong (a broken group would hang there).

    ``device``: ``cuda`` or ``cpu``. With gloo several ranks may share a GPU.

    Raises:
        RuntimeError: the rendezvous or the backend failed (torch's own message).
    """
    torch.set_num_threads(1)  # a rank that computes on several cores takes them from its neighbours
    options: dict[str, Any] = {}
    where = torch.device("cpu")
    if device == "cuda":
        # A launcher may show each rank its own GPU alone; then that is the first one.
        where = torch.device("cuda", local_rank % max(1, torch.cuda.device_count()))
        torch.cuda.set_device(where)
        if backend == "nccl" and TorchVersion(torch.__version__) >= "2.7.1":
            options["device_id"] = where  # before, it can hang: pytorch issue 153960
    # The environment is what torch's own rendezvous reads; under torchrun it is set already, to the same values.
    os.environ.update(MASTER_ADDR=master_address, MASTER_PORT=str(master_port))
    dist.init_process_group(
        backend=backend,
        rank=rank,
        world_size=size,
        timeout=datetime.timedelta(seconds=timeout_s),
        **options,
    )
    yield TorchRanks(rank=rank, size=size, backend=backend, device=where, timeout_s=timeout_s)
    dist.destroy_process_group()
