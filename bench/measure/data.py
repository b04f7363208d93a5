"""Data that can be checked exactly: bits that depend on position and rank, and reduce without rounding.

At position i of a message, rank r sends term number start(i) + r of a row of terms. The starts of a period
are a random order, so that shifted or swapped blocks differ in nearly every element. Data that are only moved
have terms of all finite bit patterns of the type; data that are reduced have those of `bench.model.terms`.
"""

import ctypes
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from bench.model.datatype import DATA_TYPES, DataType
from bench.model.reduction import why_senseless
from bench.model.terms import Random, is_average_exact, terms, windows

PERIOD: Final = 65_521
"""Positions repeat after so many elements: the largest prime below 2**16. Blocks of powers of two of
elements, or of any other count that is not a multiple of it, never repeat; one period of the widest type fits
into the cache of a core."""

_WINDOWS_APART: Final = 8
"""The starts of a period are spread over at least this many times ``num_ranks`` terms, so that the terms that
all ranks take at two positions are mostly different ones (at most one in four pairs shares any), and so are
their results."""

_CHUNK_BYTES: Final = 1 << 20
"""Results that are not right are counted in pieces that stay in the cache."""

_CARRIERS: Final = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bits travel through torch as these: it has no arithmetic and no indexing for some of the types
themselves."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pattern:
    """What every rank sends, and what reducing it gives. Made by `pattern`.

    Attributes:
        can_be_checked: the result depends on the position and is the same in every order.
        row: terms as bits. Shape: at least (PERIOD + num_ranks - 1,).
        starts: of each position, two periods long, so that a period from any position on is a part of it.
        results: reduced bits of each position, likewise; None where nothing is reduced.
    """

    dtype: DataType
    num_ranks: int
    seed: int
    reduce_op: str | None
    can_be_checked: bool
    row: torch.Tensor
    starts: torch.Tensor
    results: torch.Tensor | None

    @property
    def torch_dtype(self) -> torch.dtype:
        return _torch_dtype(self.dtype)

    def sent(self, rank: int, first: int, count: int) -> torch.Tensor:
        """What ``rank`` sends from position ``first`` on. Shape: (count,), in the data type, on the CPU."""
        begin = first % PERIOD
        starts = self.starts[begin : begin + min(count, PERIOD)]
        return self._repeated(self.row[rank:].index_select(0, starts), count)

    def reduced(self, first: int, count: int) -> torch.Tensor:
        """The terms of all ranks reduced, from position ``first`` on. Shape: (count,), in the data type, on
        the CPU.

        Raises:
            ValueError: the pattern was made for data that are only moved.
        """
        if self.results is None:
            raise ValueError("this pattern has no reduce_op, so its data can only be moved")
        begin = first % PERIOD
        return self._repeated(self.results[begin : begin + min(count, PERIOD)], count)

    def _repeated(self, period: torch.Tensor, count: int) -> torch.Tensor:
        """One period, or less of it if that is all, repeated up to ``count``. A copy in any case."""
        whole, rest = divmod(count, PERIOD)
        bits = torch.empty(count, dtype=period.dtype)
        if whole:
            bits[: whole * PERIOD].view(whole, PERIOD).copy_(period)
        bits[whole * PERIOD :] = period[:rest]
        return bits.view(self.torch_dtype)


def pattern(dtype: str, num_ranks: int, seed: int, reduce_op: str | None = None) -> Pattern:
    """The data of one run. The same arguments give the same bits on every rank.

    Where an average cannot be the same in every backend, because some numbers of ranks do not divide without
    rounding (`bench.model.terms.is_average_exact`), ``can_be_checked`` is false.

    Raises:
        ValueError: ``dtype`` or ``reduce_op`` is unknown, they make no sense together, or ``num_ranks`` is
        below 1.
    """
    if dtype not in DATA_TYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed is one of {', '.join(DATA_TYPES)}")
    if num_ranks < 1:
        raise ValueError(f"num_ranks is {num_ranks}; at least one rank must send")
    if reduce_op is not None and (why := why_senseless(reduce_op, dtype)):
        raise ValueError(why)
    return _made(dtype, num_ranks, seed, reduce_op)


@functools.lru_cache(maxsize=4)
def _made(dtype: str, num_ranks: int, seed: int, reduce_op: str | None) -> Pattern:
    """Kept for the sizes of a sweep: making one takes some milliseconds, and it holds about 2 MB."""
    kind = DATA_TYPES[dtype]
    random = Random(seed)
    stride = 1 + _WINDOWS_APART * num_ranks // PERIOD
    starts = torch.from_numpy(random.permutation(PERIOD).astype(np.int64) * stride)
    length = (PERIOD - 1) * stride + num_ranks
    results = None
    can_be_checked = True
    if reduce_op is None:
        row = _moved(kind, length, random)
    else:
        numbers = terms(kind, reduce_op, num_ranks, length, random)
        row = _bits(numbers, kind)
        reduced = windows(numbers, reduce_op, num_ranks)
        if reduce_op == "avg":
            reduced = reduced / num_ranks
            can_be_checked = is_average_exact(kind, num_ranks)
        results = _bits(reduced, kind).index_select(0, starts).repeat(2)
        can_be_checked = can_be_checked and bool((results != results[0]).any())
    return Pattern(
        dtype=kind,
        num_ranks=num_ranks,
        seed=seed,
        reduce_op=reduce_op,
        can_be_checked=can_be_checked,
        row=row,
        starts=starts.repeat(2),
        results=results,
    )


def num_wrong(found: torch.Tensor, expected: torch.Tensor) -> int:
    """Elements of ``found`` that are not bit for bit as expected. On the device of ``found``.

    Where both are in memory of the host, a plain memcmp finds that nothing is wrong: it reads each byte once
    and needs no temporary (on one core of an EPYC 7003 38 GB/s at 1 MiB, against 10 GB/s of torch.equal on
    the same bits).

    Raises:
        ValueError: not the same data type and number of elements.
    """
    if found.dtype != expected.dtype or found.numel() != expected.numel():
        raise ValueError(
            f"found {found.numel()} elements of {found.dtype}, "
            f"expected {expected.numel()} of {expected.dtype}"
        )
    if found.numel() == 0:
        return 0
    found, expected = _carried(found), _carried(expected)
    if found.device.type == "cpu" and expected.device.type == "cpu":
        if _is_same_memory(found, expected):
            return 0
        pieces = _pieces(found, expected)
        return sum(_num_different(a, b) for a, b in pieces if not _is_same_memory(a, b))
    return sum(_num_different(a, b.to(a.device)) for a, b in _pieces(found, expected))


def spoil(buffer: torch.Tensor, expected: torch.Tensor) -> None:
    """Overwrite every element of a result with the complement of what is expected, so that none of it is
    right.

    One pass without a temporary where both are on one device. Truth values stay truth values.

    Raises:
        ValueError: not the same data type and number of elements.
    """
    if buffer.dtype != expected.dtype or buffer.numel() != expected.numel():
        raise ValueError(
            f"the buffer has {buffer.numel()} elements of {buffer.dtype}, "
            f"expected are {expected.numel()} of {expected.dtype}"
        )
    into = buffer if buffer.dtype is torch.bool else buffer.view(_CARRIERS[buffer.element_size()])
    right = expected.view(into.dtype)
    if into.device == right.device:
        torch.bitwise_not(right, out=into)
    else:
        into.copy_(right)
        into.bitwise_not_()


def _torch_dtype(dtype: DataType) -> torch.dtype:
    found: torch.dtype = getattr(torch, dtype.name)
    return found


def _bits(numbers: Any, dtype: DataType) -> torch.Tensor:
    """Numbers that are exact in the data type, as its bits."""
    return torch.from_numpy(numbers).to(_torch_dtype(dtype)).view(_CARRIERS[dtype.num_bytes])


def _moved(dtype: DataType, length: int, random: Random) -> torch.Tensor:
    """Bit patterns of numbers, each about equally often; no NaN, no infinity, no negative zero. Shape:
    (length,).

    Up to 16 bits the terms go through all patterns in a random order, begun anew one place further each time,
    so that the terms of two ranks differ at every position (as long as there are fewer ranks than patterns
    less one).
    """
    if dtype.kind == "complex":
        return _moved(DATA_TYPES["float32"], 2 * length, random).view(torch.int64)
    negative = _num_finite(dtype) - 1 if dtype.kind == "float" else 0
    num_patterns = 2 * negative + 1 if negative else 1 << dtype.num_bits
    if 2 < num_patterns <= 1 << 16:
        place = np.arange(length)
        order = random.permutation(num_patterns)
        words = order[(place + place // num_patterns) % num_patterns].astype(np.uint64)
    else:
        words = np.frombuffer(random.bytes(8 * length), dtype="<u8") % np.uint64(min(num_patterns, 2**64 - 1))
    if negative:
        # 0 and the positive ones, then the negative ones from the smallest on: the sign bit is set, 0 is left
        # out.
        sign = np.uint64(1 << (dtype.num_bits - 1))
        words = np.where(words <= negative, words, sign + (words - np.uint64(negative)))
    return torch.from_numpy(words.astype(np.int64)).to(_CARRIERS[dtype.num_bytes])


def _num_finite(dtype: DataType) -> int:
    """Bit patterns of zero and all positive finite numbers: from 0 to that of the largest."""
    largest = torch.tensor(torch.finfo(_torch_dtype(dtype)).max, dtype=_torch_dtype(dtype))
    return int(largest.view(_CARRIERS[dtype.num_bytes]).item()) + 1


def _carried(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(_CARRIERS[tensor.element_size()]).reshape(-1)


def _pieces(found: torch.Tensor, expected: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    count = _CHUNK_BYTES // found.element_size()
    for first in range(0, found.numel(), count):
        yield found[first : first + count], expected[first : first + count]


def _is_same_memory(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(_memcmp(a.data_ptr(), b.data_ptr(), a.nbytes) == 0)


def _num_different(a: torch.Tensor, b: torch.Tensor) -> int:
    return int(torch.count_nonzero(a != b).item())


_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_memcmp.restype = ctypes.c_int
