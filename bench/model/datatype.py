"""Data types by name: size, kind, and which numbers they hold exactly (what the data check relies on)."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["float", "integer", "boolean", "complex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """One data type, named as torch names it.

    Attributes:
        num_bytes: size of an element.
        kind: what arithmetic makes sense (see `bench.model.reduction`).
        exact_bits: whole numbers up to 2**exact_bits are exact (in each part, if complex); None: all of them
            are.
        min_exponent, max_exponent: powers of two that are normal numbers; 0 where there are none.
    """

    name: str
    num_bytes: int
    kind: Kind
    exact_bits: int | None = None
    min_exponent: int = 0
    max_exponent: int = 0

    @property
    def num_bits(self) -> int:
        """Bits that carry a value: 1 for a truth value, whatever its size."""
        return 1 if self.kind == "boolean" else 8 * self.num_bytes

    @property
    def is_signed(self) -> bool:
        return self.kind in ("float", "complex") or (self.kind == "integer" and self.name.startswith("int"))


def _float(name: str, num_bytes: int, exact_bits: int, min_exponent: int, max_exponent: int) -> DataType:
    return DataType(
        name=name,
        num_bytes=num_bytes,
        kind="complex" if name.startswith("complex") else "float",
        exact_bits=exact_bits,
        min_exponent=min_exponent,
        max_exponent=max_exponent,
    )


def _integer(name: str, num_bytes: int) -> DataType:
    return DataType(name=name, num_bytes=num_bytes, kind="integer")


DATA_TYPES: Final[dict[str, DataType]] = {
    t.name: t
    for t in (
        _float("float64", 8, 53, -1022, 1023),
        _float("float32", 4, 24, -126, 127),
        _float("float16", 2, 11, -14, 15),
        _float("bfloat16", 2, 8, -126, 127),
        _float("float8_e4m3fn", 1, 4, -6, 8),
        _float("float8_e5m2", 1, 3, -14, 15),
        _integer("int64", 8),
        _integer("int32", 4),
        _integer("int16", 2),
        _integer("int8", 1),
        _integer("uint64", 8),
        _integer("uint32", 4),
        _integer("uint16", 2),
        _integer("uint8", 1),
        DataType(name="bool", num_bytes=1, kind="boolean"),
        _float("complex64", 8, 24, -126, 127),
    )
}
"""Exact bits: the significand, hidden bit included. Sources: IEEE 754-2019, table 3.5 (binary64, binary32,
binary16); bfloat16 is binary32 without its lower 16 bits; OCP 8-bit Floating Point Specification (OFP8) 1.0,
table 1 (E4M3 has no infinities, so its largest exponent is in use; E5M2 keeps to IEEE 754)."""
