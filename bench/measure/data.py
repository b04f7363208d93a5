"""Data that can be checked exactly: whole numbers that depend on position and rank, and sum without rounding."""

from dataclasses import dataclass
from typing import Final

import torch

from bench.model.datatype import DATA_TYPES, DataType

_POSITION_STEP: Final = 1_000_003
"""A prime larger than every period below, so that neighbours differ."""

_PERIODS: Final = (999_983, 65_521, 8_191, 1_021, 509, 251, 127, 61, 31, 13, 7, 5, 3)
"""Primes: equal offsets in two blocks then differ, unless the blocks are a multiple of the period apart."""

MIN_PERIOD: Final = _PERIODS[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """value(rank, index) = (index x step + seed) mod period + rank mod ranks_period

    The periods are chosen so that the sum over all ranks stays exact in the data type; types that wrap around
    take large periods and are compared modulo their range.
    """

    dtype: DataType
    num_ranks: int
    seed: int

    @property
    def torch_dtype(self) -> torch.dtype:
        dtype: torch.dtype = getattr(torch, self.dtype.name)
        return dtype

    @property
    def ranks_period(self) -> int:
        """Different ranks send different values up to here: half of the room, at most 251."""
        if self.dtype.exact_bits is None:
            return 251
        return max(1, min(251, self._room // 2))

    @property
    def period(self) -> int:
        """Positions repeat after so many elements: the largest prime in the room that the sum leaves; 1 if there is none."""
        if self.dtype.exact_bits is None:
            return _PERIODS[0]
        return next((period for period in _PERIODS if period <= self._room - self.ranks_period + 1), 1)

    @property
    def can_be_checked(self) -> bool:
        """Whether data of this type still depend on position when so many ranks are summed up."""
        return self.period >= MIN_PERIOD

    @property
    def _room(self) -> int:
        """Largest value that each rank may send so that the sum of all stays exact."""
        assert self.dtype.exact_bits is not None
        return (1 << self.dtype.exact_bits) // self.num_ranks

    def base(self, first: int, count: int) -> torch.Tensor:
        """The part that depends on the position alone. Shape: (count,), int64."""
        index = torch.arange(first, first + count, dtype=torch.int64)
        return (index * _POSITION_STEP + self.seed) % self.period

    def rank_term(self, rank: int) -> int:
        return rank % self.ranks_period

    def sent(self, rank: int, first: int, count: int) -> torch.Tensor:
        """What ``rank`` sends from position ``first`` on. Shape: (count,), in the data type."""
        return (self.base(first, count) + self.rank_term(rank)).to(self.torch_dtype)

    def reduced(self, reduce_op: str, count: int) -> torch.Tensor:
        """What an all_reduce gives, computed in closed form. Shape: (count,), in the data type."""
        terms = [self.rank_term(rank) for rank in range(self.num_ranks)]
        base = self.base(0, count)
        match reduce_op:
            case "sum":
                return (base * self.num_ranks + sum(terms)).to(self.torch_dtype)
            case "max":
                return self._extreme(base, terms, largest=True)
            case "min":
                return self._extreme(base, terms, largest=False)
        raise ValueError(f"reduce_op {reduce_op!r} has no known answer")

    def _extreme(self, base: torch.Tensor, terms: list[int], *, largest: bool) -> torch.Tensor:
        # Converted first: in types that wrap around, the largest value is that of the wrapped ones.
        result = (base + terms[0]).to(self.torch_dtype)
        for term in set(terms[1:]):
            other = (base + term).to(self.torch_dtype)
            result = torch.maximum(result, other) if largest else torch.minimum(result, other)
        return result


def pattern(dtype: str, num_ranks: int, seed: int) -> Pattern:
    """The pattern for one run. Raises KeyError for a data type that is not in `DATA_TYPES`."""
    return Pattern(dtype=DATA_TYPES[dtype], num_ranks=num_ranks, seed=seed)


def num_wrong(found: torch.Tensor, expected: torch.Tensor) -> int:
    """Elements of ``found`` that are not exactly as expected; a NaN is wrong."""
    return int((found.cpu() != expected).sum().item())
