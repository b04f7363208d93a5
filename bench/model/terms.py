"""Terms: numbers that ranks contribute to a reduction whose result is exact, and the same in every order.

Terms stand in one long row. At each position of a message, rank r takes the term r places after a start, so
that the ranks together take ``num_ranks`` consecutive terms (`windows` reduces them for every start at once).
So a result needs no sum over ranks at each position, however many there are.
"""

from collections.abc import Callable
from math import ceil, log, log2
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.model.datatype import DataType

Array = npt.NDArray[Any]
Random = np.random.RandomState
"""The one generator of numpy whose numbers are promised to be the same in every version: ranks may run
different ones."""

_LEVEL_BITS: Final = 8
"""Bits of a value that `_levels` shapes; the others are random. So few that a power whose last
digit differs between two processors changes a level no more often than once in 2**40 terms."""


def terms(dtype: DataType, reduce_op: str, num_ranks: int, count: int, random: Random) -> Array:
    """``count`` terms, of which any ``num_ranks`` consecutive ones reduce exactly. Shape: (count,).

    In float64 or complex128 for floating-point types, in the type itself for integers and truth values. No
    NaN, no negative zero, and none comes out of reducing them.

    sum: whole numbers; positive ones of a window sum up to the largest exact number at most, and so do the
    negative ones (`_bounded`). Integers do not overflow either: MPI leaves open what happens then, and Open
    MPI saturates in 8 and 16 bits where it has AVX (open-mpi/ompi issue 8045).
    avg: multiples of a unit that can be divided by the number of ranks, after summing up or before
    (`_averaged`).
    prod: plus or minus powers of two, whose exponents are bounded like sums; odd integers, whose products
    wrap around everywhere; complex: powers of 2 + i, none of which has a part that is zero.
    max, min: spread so that the extreme of a window is every value equally often (`_levels`); otherwise the
    result over many ranks would be the largest value of the type everywhere.
    band, bor: bits so rare that each is in the result half of the time. bxor: any bits.
    """
    is_float = dtype.kind == "float"
    match reduce_op:
        case "avg":
            return _averaged(dtype, num_ranks, count, random)
        case "sum" if is_float:
            return _bounded(2 ** _exact(dtype), num_ranks, count, random).astype(np.float64)
        case "sum" if dtype.kind == "complex":
            parts = [_bounded(2 ** _exact(dtype), num_ranks, count, random) for _ in ("real", "imaginary")]
            return np.asarray(parts[0] + 1j * parts[1])
        case "sum":
            limit = 2 ** (dtype.num_bits - 1 if dtype.is_signed else dtype.num_bits) - 1
            return _bounded(limit, num_ranks, count, random, is_signed=dtype.is_signed).astype(dtype.name)
        case "prod" if is_float:
            limit = min(-dtype.min_exponent, dtype.max_exponent)
            signs = 2.0 * random.randint(0, 2, count) - 1
            return np.asarray(np.ldexp(signs, _bounded(limit, num_ranks, count, random)))
        case "prod" if dtype.kind == "complex":
            # |(2 + i)**e| = 5**(e / 2) bounds every part and every product of parts.
            limit = int(2 * _exact(dtype) / log2(5))
            powers = [complex(1, 0)]
            for _ in range(limit):
                powers.append(powers[-1] * complex(2, 1))
            return np.array(powers)[_bounded(limit, num_ranks, count, random, is_signed=False)]
        case "prod":
            return _words(dtype, count, random) | 1
        case "min" | "max":
            return _extremes(dtype, num_ranks, count, random, is_max=reduce_op == "max")
        case "band":
            return ~_rare_bits(dtype, num_ranks, count, random)
        case "bor":
            return _rare_bits(dtype, num_ranks, count, random)
        case _:
            return _words(dtype, count, random)


def windows(row: Array, reduce_op: str, num_ranks: int) -> Array:
    """``num_ranks`` consecutive terms reduced, from each start on. Shape: (len(row) - num_ranks + 1,).

    By doubling: windows of 1, 2, 4, ... terms are combined as the binary digits of ``num_ranks`` say. avg is
    left as a sum.
    """
    combine = _COMBINE[reduce_op]
    result: Array | None = None
    done, width, doubled = 0, 1, row
    while True:
        if num_ranks & width:
            result = doubled if result is None else combine(result[: len(doubled) - done], doubled[done:])
            done += width
        if done == num_ranks:
            assert result is not None
            return result[: len(row) - num_ranks + 1]
        doubled = combine(doubled[:-width], doubled[width:])
        width *= 2


def is_average_exact(dtype: DataType, num_ranks: int) -> bool:
    """Whether terms of an average can be divided without rounding; see `_averaged`.

    Not so where the odd part of ``num_ranks`` is too large for the type, its range too small, or where
    num_ranks x (1 / num_ranks) is not 1 in it, which is rare (the least such number is 41 in float32, 49 in
    float64).
    """
    unit = _average_unit(dtype, num_ranks)
    return bool(
        _odd_part(num_ranks) <= 2 ** _exact(dtype)
        and unit / num_ranks >= 2.0**dtype.min_exponent
        and _times_reciprocal(np.array([unit]), num_ranks, dtype)[0] == unit / num_ranks
    )


_COMBINE: Final[dict[str, Callable[[Array, Array], Array]]] = {
    "sum": np.add,
    "avg": np.add,
    "prod": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
    "band": np.bitwise_and,
    "bor": np.bitwise_or,
    "bxor": np.bitwise_xor,
}


def _exact(dtype: DataType) -> int:
    assert dtype.exact_bits is not None
    return dtype.exact_bits


def _bounded(limit: int, num_ranks: int, count: int, random: Random, *, is_signed: bool = True) -> Array:
    """Whole numbers; in any window the positive ones sum up to ``limit`` at most, and the negative ones to
    -``limit``.

    Each is at most limit / num_ranks; where there are more ranks than ``limit``, 1, and only every so manieth
    is not zero.
    Shape: (count,), int64; uint64 if not signed.
    """
    kind = np.int64 if is_signed else np.uint64
    most = max(1, limit // num_ranks)
    numbers = np.zeros(count, dtype=kind)
    active = numbers[:: ceil(num_ranks / limit)]
    active[:] = random.randint(-most if is_signed else 0, most + 1, len(active), dtype=kind)
    return numbers


def _averaged(dtype: DataType, num_ranks: int, count: int, random: Random) -> Array:
    """Multiples of `_average_unit`, so that the average is exact whether a backend divides the sum or sums up
    quotients.

    NCCL multiplies each term by 1 / num_ranks, rounded to the type. Multiples for which that is not the
    quotient are replaced by one unit.
    """
    unit = _average_unit(dtype, num_ranks)
    limit = max(1, 2 ** _exact(dtype) // _odd_part(num_ranks))
    multiples = _bounded(limit, num_ranks, count, random)
    is_exact = _times_reciprocal(multiples * unit, num_ranks, dtype) == multiples * (unit / num_ranks)
    return np.asarray(np.where(is_exact, multiples, np.sign(multiples)) * unit)


def _average_unit(dtype: DataType, num_ranks: int) -> float:
    """Odd part of ``num_ranks`` times a power of two: that of ``num_ranks``, or the largest that leaves room
    for sums."""
    power = (num_ranks // _odd_part(num_ranks)).bit_length() - 1
    return _odd_part(num_ranks) * 2.0 ** min(power, dtype.max_exponent - _exact(dtype))


def _odd_part(number: int) -> int:
    return number // (number & -number)


def _times_reciprocal(numbers: Array, num_ranks: int, dtype: DataType) -> Array:
    """Products with 1 / num_ranks, factor and products rounded to the type."""
    return _rounded(numbers * _rounded(np.array(1 / num_ranks), dtype), dtype)


def _rounded(numbers: Array, dtype: DataType) -> Array:
    """To the nearest number of the type, subnormal ones included; float64 is rounded already."""
    bits = _exact(dtype)
    if bits == np.finfo(np.float64).nmant + 1:
        return numbers
    last_place = np.maximum(np.frexp(numbers)[1] - bits, dtype.min_exponent - bits + 1)
    return np.asarray(np.ldexp(np.rint(np.ldexp(numbers, -last_place)), last_place))


def _levels(num_bits: int, num_ranks: int, count: int, random: Random) -> Array:
    """Numbers of ``num_bits`` bits, uint64, whose maximum over a window has upper bits that are uniformly
    distributed.

    u**N, with u uniform: P(max <= x) = P(u**N <= x)**N = (x**(1 / N))**N = x
    """
    upper = min(num_bits, _LEVEL_BITS)
    level = (random.random_sample(count) ** num_ranks * 2**upper).astype(np.uint64)
    rest = num_bits - upper
    return np.asarray((level << np.uint64(rest)) | (_uniform(count, random) & np.uint64(2**rest - 1)))


def _extremes(dtype: DataType, num_ranks: int, count: int, random: Random, *, is_max: bool) -> Array:
    num_bits = _exact(dtype) + 1 if dtype.kind == "float" else dtype.num_bits
    levels = _levels(num_bits, num_ranks, count, random)
    if not is_max:
        levels = np.uint64(2**num_bits - 1) - levels
    if dtype.is_signed:
        levels -= np.uint64(2 ** (num_bits - 1))  # wraps around: the same bits as the negative number
    if dtype.kind == "float":
        return levels.view(np.int64).astype(np.float64)
    return levels.astype(dtype.name)


def _rare_bits(dtype: DataType, num_ranks: int, count: int, random: Random) -> Array:
    """Bits that are set so rarely that one of a window is in half of all cases.

    Set at random, T ln 2 / N times among T bits: a window holds N of them of each place, and none of those is
    set with probability (1 - N / T)**(T ln 2 / N) = exp(-ln 2) = 1/2.
    """
    bits = np.zeros(count * dtype.num_bits, dtype=np.uint8)
    bits[random.randint(0, len(bits), round(len(bits) * log(2) / num_ranks), dtype=np.int64)] = 1
    packed = np.packbits(bits.reshape(count, dtype.num_bits), axis=1, bitorder="little")
    return packed.view(np.dtype(dtype.name).newbyteorder("<")).reshape(count).astype(dtype.name)


def _words(dtype: DataType, count: int, random: Random) -> Array:
    return _uniform(count, random).astype(dtype.name)


def _uniform(count: int, random: Random) -> Array:
    """Random words, uint64; little-endian on every machine, so that all ranks have the same."""
    return np.frombuffer(random.bytes(8 * count), dtype="<u8").astype(np.uint64)
