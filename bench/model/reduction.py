"""Reduction operations by name, and the data types on which each of them means something."""

from typing import Final

from bench.model.datatype import DATA_TYPES, Kind

REDUCE_OPS: Final[dict[str, tuple[Kind, ...]]] = {
    "sum": ("float", "integer", "complex"),
    "prod": ("float", "integer", "complex"),
    "min": ("float", "integer", "boolean"),
    "max": ("float", "integer", "boolean"),
    "avg": ("float",),
    "band": ("integer", "boolean"),
    "bor": ("integer", "boolean"),
    "bxor": ("integer",),
}
"""Operation to the kinds of data types that have it. Whether a backend has it too is a question of its own
(`bench.measure.capability`)."""

_WHY_NOT: Final[dict[tuple[str, Kind], str]] = {
    ("sum", "boolean"): "a sum of truth values is no truth value; count them as uint8, or use bor",
    ("prod", "boolean"): "a product of truth values is their band; use that",
    ("min", "complex"): "complex numbers have no order",
    ("max", "complex"): "complex numbers have no order",
    ("avg", "integer"): "an average of integers is rounded, and backends round differently; use sum",
    ("avg", "boolean"): "an average of truth values is no truth value",
    ("avg", "complex"): "backends differ in what they divide; use sum, or float32 with twice the elements",
    ("bxor", "boolean"): "backends differ in whether they combine truth values or bytes; use uint8",
}


def why_senseless(reduce_op: str, dtype: str) -> str | None:
    """Why reducing ``dtype`` with ``reduce_op`` means nothing; None where it does mean something.

    Raises:
        ValueError: a name that is not in `REDUCE_OPS` or `DATA_TYPES`.
    """
    if reduce_op not in REDUCE_OPS:
        raise ValueError(f"reduce_op is {reduce_op!r}; allowed is one of {', '.join(REDUCE_OPS)}")
    if dtype not in DATA_TYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed is one of {', '.join(DATA_TYPES)}")
    kind = DATA_TYPES[dtype].kind
    if kind in REDUCE_OPS[reduce_op]:
        return None
    why = _WHY_NOT.get(
        (reduce_op, kind), f"bits of {kind} numbers have no meaning one by one; use an integer type"
    )
    return f"{reduce_op} of {dtype}: {why}"
