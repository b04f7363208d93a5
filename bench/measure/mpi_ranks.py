"""`MpiRanks`: mpi4py behind `Ranks`. Buffers are torch tensors; no torch process group is needed.

Blocking calls for ``native``, MPI-4 persistent requests for ``persistent``. Buffer specifications are made once, and the call is
a partial of mpi4py's own method, so that no Python frame is left between the clock and the library.
"""

import ctypes
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, Final

import torch

from bench.measure.job import Job, Message
from bench.measure.ranks import Call, Post, Ranks, UnsupportedError
from bench.model.collective import TRAITS, Collective

ROOT: Final = 0

_NAMES: Final = {
    Collective.all_reduce: "Allreduce",
    Collective.all_gather: "Allgather",
    Collective.reduce_scatter: "Reduce_scatter_block",
    Collective.all_to_all: "Alltoall",
    Collective.all_to_allv: "Alltoallv",
    Collective.broadcast: "Bcast",
    Collective.reduce: "Reduce",
    Collective.gather: "Gather",
    Collective.scatter: "Scatter",
    Collective.barrier: "Barrier",
}
"""mpi4py's name of the blocking call; ``I`` before it is the one that returns at once, ``_init`` after it the persistent one."""

_TYPES: Final = {
    torch.float64: "DOUBLE",
    torch.float32: "FLOAT",
    torch.int64: "INT64_T",
    torch.int32: "INT32_T",
    torch.int16: "INT16_T",
    torch.int8: "INT8_T",
    torch.uint64: "UINT64_T",
    torch.uint32: "UINT32_T",
    torch.uint16: "UINT16_T",
    torch.uint8: "UINT8_T",
    torch.bool: "C_BOOL",
    torch.complex64: "C_FLOAT_COMPLEX",
}
_OPS: Final = {
    "sum": "SUM",
    "prod": "PROD",
    "min": "MIN",
    "max": "MAX",
    "band": "BAND",
    "bor": "BOR",
    "bxor": "BXOR",
}
_LOGICAL_OPS: Final = {"min": "LAND", "max": "LOR", "band": "LAND", "bor": "LOR", "bxor": "LXOR"}
"""Of truth values; MPI_MIN and the bitwise operations are not defined for MPI_C_BOOL."""


class MpiRanks(Ranks):
    """An MPI communicator."""

    def __init__(self, comm: Any, device: torch.device) -> None:
        super().__init__(rank=comm.Get_rank(), size=comm.Get_size(), backend="mpi", device=device)
        self._comm = comm

    def prepare(self, job: Job) -> Call:
        if job.algorithm == "persistent":
            return self._persistent(job)
        if job.algorithm != "native":
            raise UnsupportedError(f"MPI has no {job.algorithm} calls")
        return functools.partial(self._method(job, ""), *self._arguments(job))

    def prepare_overlapped(self, job: Job) -> Post:
        start = functools.partial(self._method(job, "I"), *self._arguments(job))

        def post() -> Call:
            wait: Call = start().Wait
            return wait

        return post

    def prepare_exchange(self, sends: Sequence[Message], receives: Sequence[Message]) -> Post:
        from mpi4py import MPI

        wait_all = MPI.Request.Waitall
        starts = [functools.partial(self._comm.Irecv, _spec(m.tensor), source=m.peer) for m in receives]
        starts += [functools.partial(self._comm.Isend, _spec(m.tensor), dest=m.peer) for m in sends]

        def post() -> Call:
            return functools.partial(wait_all, [start() for start in starts])

        return post

    def first_in_place(self, collective: Collective, first: int) -> int:
        return 0 if collective is Collective.reduce_scatter else first

    def barrier(self) -> None:
        if self.is_on_gpu:
            torch.cuda.synchronize(self.device)
        self._comm.Barrier()

    def barrier_call(self) -> Call:
        call: Call = self._comm.Barrier
        return self.barrier if self.is_on_gpu else call

    def share(self, mine: torch.Tensor) -> torch.Tensor:
        from mpi4py import MPI

        mine = mine.cpu().contiguous()
        everyones = torch.empty((self.size, *mine.shape), dtype=mine.dtype)
        num_bytes = mine.numel() * mine.element_size()
        self._comm.Allgather([_memory(mine), num_bytes, MPI.BYTE], [_memory(everyones), num_bytes, MPI.BYTE])
        return everyones

    def split(self, groups: Sequence[Sequence[int]]) -> "MpiRanks":
        color = next(number for number, members in enumerate(groups) if self.rank in members)
        return MpiRanks(self._comm.Split(color, list(groups[color]).index(self.rank)), self.device)

    def leave(self) -> None:
        self._comm.Free()

    def abort(self) -> None:
        """End every rank of the run, as one that has hung must."""
        from bench import exits

        self._comm.Abort(exits.RANK_DIED)

    def _persistent(self, job: Job) -> Call:
        request = functools.partial(self._method(job, "", "_init"), *self._arguments(job))()
        start, wait = request.Start, request.Wait

        def call() -> None:
            start()
            wait()

        # A request holds buffers of the library until it is freed; when the process ends, MPI does that itself.
        weakref.finalize(call, request.Free).atexit = False
        return call

    def _method(self, job: Job, prefix: str, suffix: str = "") -> Callable[..., Any]:
        name = _NAMES.get(job.collective)
        if name is None:
            raise UnsupportedError(f"MPI has no {job.collective.value}")
        name = f"{prefix}{name[0].lower() if prefix else name[0]}{name[1:]}{suffix}"
        method: Callable[..., Any] | None = getattr(self._comm, name, None)
        if method is None:
            raise UnsupportedError(f"this mpi4py has no {name}")
        return method

    def _arguments(self, job: Job) -> list[Any]:
        """Positional arguments: buffers, then the operation and the root where the call has them."""
        from mpi4py import MPI

        traits = TRAITS[job.collective]
        if job.collective is Collective.barrier:
            return []
        if job.collective is Collective.broadcast:
            return [_spec(job.recv), ROOT]
        send: Any = _spec(job.send, job.send_counts, blocks=self._blocks(job, is_sent=True))
        recv: Any = _spec(job.recv, job.recv_counts, blocks=self._blocks(job, is_sent=False))
        if job.is_in_place:
            send, recv = self._in_place(job, send, recv)
        elif traits.has_root and self.rank != ROOT:
            send, recv = (None, recv) if job.collective is Collective.scatter else (send, None)
        arguments = [send, recv]
        if traits.is_reduction:
            assert job.reduce_op is not None
            names = _LOGICAL_OPS if job.recv.dtype is torch.bool else _OPS
            if job.reduce_op not in names:
                raise UnsupportedError(f"MPI has no operation {job.reduce_op} for {job.recv.dtype}")
            arguments.append(getattr(MPI, names[job.reduce_op]))
        if traits.has_root:
            arguments.append(ROOT)
        return arguments

    def _blocks(self, job: Job, *, is_sent: bool) -> int:
        """How many ranks' blocks a buffer holds: MPI's counts are those of one block."""
        if is_sent:
            many = (Collective.all_to_all, Collective.reduce_scatter, Collective.scatter)
        else:
            many = (Collective.all_to_all, Collective.all_gather, Collective.gather)
        return self.size if job.collective in many else 1

    def _in_place(self, job: Job, send: Any, recv: Any) -> tuple[Any, Any]:
        """MPI_IN_PLACE stands where the standard wants it: for the send buffer, of rooted calls at the root alone;
        scatter's root has it as receive buffer."""
        from mpi4py import MPI

        if job.collective is Collective.reduce_scatter:
            return (
                MPI.IN_PLACE,
                send,
            )  # the receive buffer holds the whole input, and takes the result at its front
        if not TRAITS[job.collective].has_root:
            return MPI.IN_PLACE, recv
        if job.collective is Collective.scatter:
            return (send, MPI.IN_PLACE) if self.rank == ROOT else (None, recv)
        return (MPI.IN_PLACE, recv) if self.rank == ROOT else (send, None)


def _memory(tensor: torch.Tensor) -> Any:
    from mpi4py import MPI

    return MPI.buffer.fromaddress(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def _spec(tensor: torch.Tensor, counts: Sequence[int] | None = None, *, blocks: int = 1) -> list[Any]:
    """Address, count of one of ``blocks`` blocks, and type. Where ``counts`` are given, one for each rank, with
    displacements."""
    from mpi4py import MPI

    if tensor.dtype not in _TYPES:
        raise UnsupportedError(f"MPI has no data type for {tensor.dtype}")
    kind = getattr(MPI, _TYPES[tensor.dtype])
    if counts is None:
        return [_memory(tensor), tensor.numel() // blocks, kind]
    return [_memory(tensor), (list(counts), [0, *accumulate(counts)][:-1]), kind]


@contextmanager
def joined_mpi(*, local_rank: int, device: str) -> Iterator[MpiRanks]:
    """Join MPI_COMM_WORLD. mpi4py finalises MPI when the process ends.

    Only the main thread talks to MPI, and says so: with mpi4py's own default, MPI_THREAD_MULTIPLE, Open MPI takes a lock in
    every call (docs/measured/mpi-calls.md has what that costs an all_reduce of 8 B in C).

    Raises:
        RuntimeError: mpi4py found no MPI library.
        ValueError: GPU memory for an MPI library that does not say that it takes it.
    """
    import mpi4py

    mpi4py.rc.thread_level = "funneled"  # before MPI is imported, which starts it
    from mpi4py import MPI

    torch.set_num_threads(1)
    where = torch.device("cpu")
    if device == "cuda":
        if not _takes_gpu_memory(MPI.__file__):
            raise ValueError(
                "device=cuda with backend=mpi, but this MPI library does not say that it takes GPU memory "
                "(MPIX_Query_cuda_support); install one that is built for CUDA, or take device=cpu"
            )
        where = torch.device("cuda", local_rank % max(1, torch.cuda.device_count()))
        torch.cuda.set_device(where)
    yield MpiRanks(MPI.COMM_WORLD, where)


def _takes_gpu_memory(library: str) -> bool:
    """Ask the MPI that mpi4py has loaded. Without support, a call on GPU memory ends in a segmentation fault.

    Source: Open MPI, MPIX_Query_cuda_support(3); MPICH has the same function from 4.0 on.
    """
    query = getattr(ctypes.CDLL(library), "MPIX_Query_cuda_support", None)
    return query is not None and bool(query())
