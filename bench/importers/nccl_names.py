"""What each test of nccl-tests makes of its bandwidth, and which test a table without a name can be.

Sources: the bandwidth function of each test, NVIDIA/nccl-tests a0b82b2, src/*.cu; those of all_reduce, all_gather, reduce_scatter,
broadcast and reduce are in its doc/PERFORMANCE.md as well. Names of AWS nccom-test: its user guide in the Neuron SDK.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from bench.importers.program_names import UNKNOWN, dtype_of
from bench.importers.program_names import collective_of as _collective_of

PROGRAMS: Final = {
    "all_reduce": "all_reduce", "all_gather": "all_gather", "reduce_scatter": "reduce_scatter", "alltoall": "all_to_all",
    "alltoallv": "all_to_allv", "broadcast": "broadcast", "reduce": "reduce", "gather": "gather", "scatter": "scatter",
    "sendrecv": "send_recv", "hypercube": "hypercube",
}  # fmt: skip
"""By the name of the program, without its end ``_perf`` (``_test`` of those that came with NCCL 1)."""

NCCOM_COLLECTIVES: Final = {
    "allr": "all_reduce", "allg": "all_gather", "redsct": "reduce_scatter", "alltoall": "all_to_all", "sendrecv": "send_recv",
    "permute": "permute",
}  # fmt: skip

_NCCOM_TYPES: Final = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp64": "float64"}

TYPE_NAMES: Final = frozenset(_NCCOM_TYPES) | {
    "char", "int", "half", "float", "double", "f8e4m3", "f8e5m2", "fp8_e4m3", "fp8_e5m2",
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "bfloat16",
}  # fmt: skip
"""Whatever else stands in the third place, the line need not be a row."""

REDUCING: Final = frozenset({"all_reduce", "reduce_scatter", "reduce"})
"""Where an operator means something; sendrecv prints one that it does not use."""


def collective_of(program: str) -> str:
    return _collective_of(program.removesuffix("_test"))


def torch_type(name: str) -> str | None:
    return _NCCOM_TYPES.get(name) or dtype_of(name)


def _share(num_ranks: int) -> float:
    return (num_ranks - 1) / num_ranks


def _one(num_ranks: int) -> float:
    return 1.0


FACTORS: Final[dict[str, Callable[[int], float]]] = {
    "all_reduce": lambda num_ranks: 2 * _share(num_ranks),
    "all_gather": _share, "reduce_scatter": _share, "all_to_all": _share, "all_to_allv": _share,
    "gather": _share, "scatter": _share,
    "broadcast": _one, "reduce": _one, "send_recv": _one, "hypercube": _one,
}  # fmt: skip
"""busbw / algbw as a function of the ranks of a group."""


class Ratio(NamedTuple):
    """busbw / algbw, as far as the digits of a table tell it."""

    low: float
    high: float

    def fits(self, factor: float) -> bool:
        return self.low * (1 - 1e-9) <= factor <= self.high * (1 + 1e-9)


def common_ratio(ratios: Iterable[Ratio]) -> Ratio | None:
    """The interval that every row allows. None: no row tells anything, or they contradict each other."""
    low, high = 0.0, math.inf
    for ratio in ratios:
        low, high = max(low, ratio.low), min(high, ratio.high)
    return Ratio(low, high) if low <= high < math.inf else None


def ranks_of(collective: str, ratio: Ratio) -> int | None:
    """The one number of ranks whose factor fits. None where several do, none does, or the factor does not depend on it.

    From r = a (n - 1) / n: n = a / (a - r), with a = 2 for all_reduce and 1 for the others.
    """
    if FACTORS.get(collective, _one) is _one:
        return None
    amplitude = 2.0 if collective == "all_reduce" else 1.0
    if ratio.high >= amplitude:
        return None
    first = max(1, math.ceil(amplitude / (amplitude - ratio.low) * (1 - 1e-9)))
    last = math.floor(amplitude / (amplitude - ratio.high) * (1 + 1e-9))
    return first if first == last else None


class Shape(NamedTuple):
    """What the rows of a table show of its operation: whether an operator and a root are printed, whether the operator's field
    is empty (hypercube), and whether the copy in place was checked (None: nothing was)."""

    has_operator: bool
    has_root: bool
    is_operator_empty: bool
    is_checked_in_place: bool | None


_SHAPES: Final = {
    "all_reduce": (True, False), "reduce_scatter": (True, False), "reduce": (True, True), "broadcast": (False, True),
    "gather": (False, True), "scatter": (False, True), "all_gather": (False, False), "all_to_all": (False, False),
    "all_to_allv": (False, False),
}  # fmt: skip
"""(operator, root) of the rows; send_recv prints an operator or none, by version."""

_IS_CHECKED_IN_PLACE: Final = dict.fromkeys(_SHAPES, True) | {
    "all_to_all": False,
    "send_recv": False,
    "all_to_allv": None,
}


def is_possible(collective: str, shape: Shape, ratio: Ratio | None, num_ranks: int | None) -> bool:
    """Whether a table of that shape and ratio can be one of ``collective``."""
    if shape.is_operator_empty or collective == "hypercube":
        return shape.is_operator_empty and collective == "hypercube"
    if collective in _SHAPES and _SHAPES[collective] != (shape.has_operator, shape.has_root):
        return False
    if collective == "send_recv" and shape.has_root:
        return False
    is_checked = _IS_CHECKED_IN_PLACE.get(collective)
    if None not in (is_checked, shape.is_checked_in_place) and is_checked is not shape.is_checked_in_place:
        return False
    factor = FACTORS.get(collective)
    if ratio is None or factor is None:
        return True
    if num_ranks is not None:
        return ratio.fits(factor(num_ranks))
    if factor is _one:
        return ratio.fits(1.0)
    # Some number of ranks must fit: one rank has factor 0, two have half of the limit, more lie above.
    limit = 2.0 if collective == "all_reduce" else 1.0
    return ratio.fits(0.0) or (ratio.low < limit and ratio.high >= limit / 2)


def possible(shape: Shape, ratio: Ratio | None, num_ranks: int | None) -> list[str]:
    """Every collective of nccl-tests that a table without a name can be; alltoallv is younger than the names."""
    names = (name for name in PROGRAMS.values() if name != "all_to_allv")
    return [name for name in names if is_possible(name, shape, ratio, num_ranks)]


__all__ = [
    "FACTORS", "NCCOM_COLLECTIVES", "PROGRAMS", "REDUCING", "TYPE_NAMES", "UNKNOWN", "Ratio", "Shape", "collective_of",
    "common_ratio", "is_possible", "possible", "ranks_of", "torch_type",
]  # fmt: skip
