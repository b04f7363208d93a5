"""Data types by name: their size, and the whole numbers they hold exactly (what the data check relies on)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """``exact_bits``: whole numbers of so many bits are exact in it; None: arithmetic wraps around and is exact."""

    name: str
    num_bytes: int
    exact_bits: int | None


DATA_TYPES: Final[dict[str, DataType]] = {
    t.name: t
    for t in (
        DataType(name="float64", num_bytes=8, exact_bits=53),
        DataType(name="float32", num_bytes=4, exact_bits=24),
        DataType(name="float16", num_bytes=2, exact_bits=11),
        DataType(name="bfloat16", num_bytes=2, exact_bits=8),
        DataType(name="int64", num_bytes=8, exact_bits=None),
        DataType(name="int32", num_bytes=4, exact_bits=None),
        DataType(name="int8", num_bytes=1, exact_bits=None),
        DataType(name="uint8", num_bytes=1, exact_bits=None),
    )
}
"""Exact bits: the significand of IEEE 754 binary64, binary32, binary16, and of bfloat16, hidden bit included."""
