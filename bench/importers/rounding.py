"""`printed`: a number as a program printed it, in SI units, with the interval of numbers that print alike.

nccl-tests shortens a number to the width of its column: two decimals, then one, then none, then scientific notation with one
decimal or none (``getFloatStr`` in src/util.cu). "1.8e+07" us therefore says 17.5 to 18.5 s, and "0.00" us says below 5 ns.
The interval is half a unit of the last printed digit to either side, ends included; times and bandwidths are not negative.
"""

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

from bench.importers.foreign import Printed

_NUMBER: Final = re.compile(r"-?(?:\d{1,24}(?:\.\d{0,15})?|\.\d{1,15})(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""Longer ones are none of a benchmark's: 2**64 has 20 digits, and %lf writes 6 decimals."""


_ZERO: Final = Decimal(0)


def is_number(token: str) -> bool:
    return _NUMBER.fullmatch(token) is not None


@lru_cache(maxsize=2**14)
def printed(token: str, *, exponent: int = 0, factor: int = 1) -> Printed | None:
    """``token`` x 10**``exponent`` x ``factor``, and half of its last digit to either side, not below 0.

    The decimal is scaled before it becomes a float, so "5.63" with exponent -6 is the float nearest to 5.63e-6. None for what
    is no finite number ("N/A", "nan", "inf").
    """
    if not is_number(token):
        return None
    decimal = Decimal(token)
    last_digit = decimal.as_tuple().exponent
    if not isinstance(last_digit, int):
        return None
    half = Decimal((0, (5,), last_digit - 1))
    value = float((decimal * factor).scaleb(exponent))
    low = float((max(_ZERO, decimal - half) * factor).scaleb(exponent))
    high = float(((decimal + half) * factor).scaleb(exponent))
    return Printed(value=value, low=low, high=high) if math.isfinite(high) else None


def can_be_equal(left: tuple[float, float], right: tuple[float, float]) -> bool:
    """Whether two intervals meet; ends that differ only by the rounding of floats count as met."""
    slack = 1e-12 * max(left[1], right[1])
    return left[0] <= right[1] + slack and right[0] <= left[1] + slack
