"""`Job`: one collective on given buffers, as a backend is asked to make it ready."""

from dataclasses import dataclass

import torch

from bench.model.collective import Collective


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """What to do with which memory.

    Attributes:
        algorithm: ``native`` (the backend's own), ``persistent`` (MPI-4), or one that we put together from messages.
        send, recv: flat tensors of one data type. In place, one is the other or a part of it (MPI's and NCCL's rules).
        reduce_op: for reductions; None elsewhere.
        send_counts, recv_counts: all_to_allv: elements to and from each rank.
        is_in_place: the result takes the place of the input.
    """

    collective: Collective
    algorithm: str
    send: torch.Tensor
    recv: torch.Tensor
    reduce_op: str | None = None
    send_counts: tuple[int, ...] | None = None
    recv_counts: tuple[int, ...] | None = None
    is_in_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Message:
    """One message to or from ``peer``, a rank of the group."""

    tensor: torch.Tensor
    peer: int
