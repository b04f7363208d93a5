"""What a backend takes: a table of what is known beforehand, and a live probe for the rest.

The table is asked before anything runs, so that every rank skips the same points and says why. Importing it
does not import torch.
"""

from typing import TYPE_CHECKING, Final

from bench.model.collective import TRAITS, Collective
from bench.model.datatype import DATA_TYPES
from bench.model.reduction import why_senseless

if TYPE_CHECKING:
    from bench.measure.ranks import Ranks

_UNKNOWN_TYPES: Final[dict[str, frozenset[str]]] = {
    "gloo": frozenset({"float8_e4m3fn", "float8_e5m2", "int16", "uint16", "uint32", "uint64"}),
    "nccl": frozenset({"int16", "uint16", "uint32", "uint64"}),
    "mpi": frozenset({"float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"}),
}
"""Data types that the backend has no name for: nothing is computed in them, but they can be moved as bytes.

gloo: every combination of collective, data type and operation tried with torch 2.13.0 on 2 and on 3 ranks.
What is refused raises ``Invalid scalar type`` on every rank, for a call in two halves when it is waited for,
and the group is sound afterwards (torch 2.14.1 was seen to raise for fp8 only at the next operation).
Messages between two ranks carry any type.
nccl: the types of torch's NCCLUtils.hpp (torch 2.13); fp8 is there, but its reductions need NCCL 2.24 and
compute capability 9.0, which only `probe` can tell.
mpi: MPI 4.1, section 3.2.2, which has no half precision. Every combination tried with Open MPI 5.0.11 and
mpi4py 4.1.2.
"""

_MOVES: Final = frozenset(c for c, traits in TRAITS.items() if not traits.is_reduction)

_MOVED_AS_BYTES: Final[dict[str, dict[str, frozenset[Collective]]]] = {
    "gloo": {"complex64": frozenset({Collective.gather})},
    "nccl": {"complex64": _MOVES, "float8_e4m3fn": _MOVES, "float8_e5m2": _MOVES},
    "mpi": {},
}
"""Known types that some collectives refuse all the same. gloo: as above. nccl: torch hands complex numbers
over as pairs of floats in some calls and not in others, depending on its version; NCCL 2.27 refuses to gather
fp8 below compute capability 9.0 as well (torch's test_c10d_nccl.py, ``test_allgather_float8``), and moves it
as bytes where it does not."""

_NAMES: Final = {"gloo": "gloo", "nccl": "NCCL", "mpi": "MPI"}

_BITWISE: Final = "NCCL has no bitwise operations; gloo and MPI have"
_PARTS: Final = (
    "torch.distributed reduces complex numbers part by part, which is no product; use sum, or backend=mpi"
)

_LACKING: Final[dict[tuple[str, str, str | None], str]] = {
    ("nccl", "band", None): _BITWISE,
    ("nccl", "bor", None): _BITWISE,
    ("nccl", "bxor", None): _BITWISE,
    ("mpi", "avg", None): "MPI has no average; use sum, which moves the same bytes",
    ("gloo", "prod", "complex"): _PARTS,
    ("nccl", "prod", "complex"): _PARTS,
}
"""(backend, operation, kind of data type or None for all) to why there is no such thing.

Sources: torch's ProcessGroupNCCL.cpp (``Cannot use ReduceOp.BAND with NCCL``) and distributed_c10d.py
(``supports_complex``); MPI 4.1, section 6.9.2 (predefined operations).
"""


_PROBED_ELEMENTS: Final = 16
"""One vector load of the narrowest type; enough to see that values arrive."""

_IN_PLACE: Final = (Collective.all_reduce, Collective.reduce, Collective.broadcast)
"""The form that every backend has of these; torch has no other."""


def reason_against(backend: str, collective: str, dtype: str, reduce_op: str | None) -> str | None:
    """Why a backend cannot do this, in words for a list of what was skipped; None where nothing is known
    against it.

    ``reduce_op`` only counts where values are combined. Where they are only moved, every type travels, if
    need be as bytes (`travels_as_bytes`).

    Raises:
        ValueError: an unknown name, or no ``reduce_op`` for a reduction.
    """
    unknown = _unknown_types(backend)
    if not TRAITS[Collective(collective)].is_reduction:
        return None
    if reduce_op is None:
        raise ValueError(f"{collective} combines values, so it needs a reduce_op")
    if (why := why_senseless(reduce_op, dtype)) is not None:
        return why
    kind = DATA_TYPES[dtype].kind
    why = _LACKING.get((backend, reduce_op, None)) or _LACKING.get((backend, reduce_op, kind))
    if why is not None:
        return f"{reduce_op} of {dtype}: {why}"
    if dtype in unknown:
        known = [name for name, t in DATA_TYPES.items() if t.kind == kind and name not in unknown]
        return f"{_NAMES[backend]} cannot compute in {dtype}, only move it; use {' or '.join(known)}"
    return None


def travels_as_bytes(backend: str, collective: str, dtype: str) -> bool:
    """Whether buffers are handed over as uint8, because the backend would refuse the type although nothing is
    computed.

    Raises:
        ValueError: an unknown name.
    """
    which = Collective(collective)
    if TRAITS[which].is_reduction:
        return False
    return dtype in _unknown_types(backend) or which in _MOVED_AS_BYTES[backend].get(dtype, frozenset())


def probe(alone: "Ranks", collective: str, dtype: str, reduce_op: str | None) -> str | None:
    """Try one combination on a group whose only member is this rank; why it does not work, or None.

    For what the table cannot know, such as fp8 reductions on a GPU. Nobody else takes part, so a failure can
    neither hang nor harm the others; but ranks may come to different answers, so let the first reason hold
    for all. Make the group with ``ranks.split([[rank] for rank in range(ranks.size)])``, which every rank
    must call. Do not ask what `reason_against` refuses.

    Messages between two ranks are not tried: one to oneself says nothing about others.

    Raises:
        ValueError: the group has other members, or a name is unknown.
    """
    import torch

    from bench.measure.data import num_wrong, pattern, spoil
    from bench.measure.job import Job
    from bench.measure.ranks import UnsupportedError

    if alone.size != 1:
        raise ValueError(f"the probe needs a group of one rank, this one has {alone.size}")
    which = Collective(collective)
    if TRAITS[which].min_ranks > 1 or which is Collective.barrier:
        return None
    as_bytes = travels_as_bytes(alone.backend, collective, dtype)
    data = pattern(dtype, 1, seed=0, reduce_op=reduce_op if TRAITS[which].is_reduction else None)
    right = data.sent(0, 0, _PROBED_ELEMENTS).to(alone.device)
    send, recv = right.clone(), right.clone()
    is_in_place = which in _IN_PLACE
    if not is_in_place:
        spoil(recv, right)
    counts = (send.nbytes if as_bytes else _PROBED_ELEMENTS,) if which is Collective.all_to_allv else None
    if alone.is_on_gpu:
        torch.cuda.synchronize(alone.device)
    try:
        alone.prepare(
            Job(
                collective=which,
                algorithm="native",
                send=send.view(torch.uint8) if as_bytes else send,
                recv=recv.view(torch.uint8) if as_bytes else recv,
                reduce_op=reduce_op,
                send_counts=counts,
                recv_counts=counts,
                is_in_place=is_in_place,
            )
        )()
        if alone.is_on_gpu:
            torch.cuda.synchronize(alone.device)
    except (
        RuntimeError,
        ValueError,
        TypeError,
        UnsupportedError,
    ) as error:  # MPI's and torch's own are RuntimeErrors
        first_line = str(error).strip().partition("\n")[0]
        return f"{dtype} with {alone.backend}: {first_line or type(error).__name__}"
    wrong = num_wrong(recv, right)
    return (
        None
        if wrong == 0
        else f"{dtype} with {alone.backend}: {wrong} of {_PROBED_ELEMENTS} elements are wrong"
    )


def _unknown_types(backend: str) -> frozenset[str]:
    if backend not in _UNKNOWN_TYPES:
        raise ValueError(f"backend is {backend!r}; allowed is one of {', '.join(_UNKNOWN_TYPES)}")
    return _UNKNOWN_TYPES[backend]
