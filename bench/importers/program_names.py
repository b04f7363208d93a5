"""Names that nccl-tests and rccl-tests use, in linerate's spelling."""

from typing import Final

_COLLECTIVES: Final = {
    "allreduce": "all_reduce",
    "allgather": "all_gather",
    "reducescatter": "reduce_scatter",
    "alltoall": "all_to_all",
    "alltoallv": "all_to_allv",
    "broadcast": "broadcast",
    "reduce": "reduce",
    "gather": "gather",
    "scatter": "scatter",
    "sendrecv": "send_recv",
    "hypercube": "hypercube",
}
"""By the name of the test without its signs: ``all_reduce_perf`` and ``AllReduce`` are one."""

_DTYPES: Final = {
    "char": "int8",
    "int": "int32",
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2",
    "fp8_e5m2": "float8_e5m2",
}
"""Source: NVIDIA/nccl-tests and ROCm/rccl-tests, src/common.cu, test_typenames. fp8_e4m3 of rccl-tests is left out: which of two
formats it is depends on the GPU (gfx942 has no infinities and no negative zero)."""

UNKNOWN: Final = "unknown"


def collective_of(name: str) -> str:
    """linerate's name of a collective: ``all_reduce`` for ``/opt/bin/all_reduce_perf_mpi`` and for ``AllReduce``.

    The program's own name where linerate has none, ``unknown`` where there is no name.
    """
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].partition("_perf")[0].strip()
    plain = "".join(letter for letter in stem.casefold() if letter.isalnum())
    return _COLLECTIVES.get(plain, stem[:40] or UNKNOWN)


def dtype_of(name: str) -> str | None:
    """torch's name of a data type: ``float32`` for ``float``; the program's own where torch has none; None for an empty one."""
    plain = name.strip()
    return _DTYPES.get(plain, plain[:40]) or None


def reduce_op_of(name: str) -> str | None:
    """``sum``, ``prod``, ...; None where nothing is reduced (``none``, or nothing)."""
    plain = name.strip()[:40]
    return None if plain.casefold() in ("", "none") else plain


def library_version(number: int) -> str:
    """``2.28.9`` for 22809, and ``2.8.3`` for 2803: NCCL_VERSION changed with 2.9 (NVIDIA/nccl, src/nccl.h.in)."""
    base = 1000 if number < 10_000 else 10_000
    return f"{number // base}.{number % base // 100}.{number % 100}"
