"""Data types are those of torch, and every operation on every type means something or says why it does not."""

import pytest
import torch

from bench.model.datatype import DATA_TYPES
from bench.model.reduction import REDUCE_OPS, why_senseless

every_type = pytest.mark.parametrize("dtype", sorted(DATA_TYPES))
every_float = pytest.mark.parametrize(
    "dtype", [n for n, t in DATA_TYPES.items() if t.kind in ("float", "complex")]
)


@every_type
def test_size_and_kind_are_those_of_torch(dtype: str) -> None:
    known, found = DATA_TYPES[dtype], getattr(torch, dtype)
    assert known.num_bytes == found.itemsize
    assert (known.kind in ("float",)) == found.is_floating_point
    assert (known.kind == "complex") == found.is_complex
    assert (known.kind == "boolean") == (found is torch.bool)
    assert known.is_signed == (known.kind != "boolean" and found.is_signed)
    assert known.num_bits == (1 if found is torch.bool else 8 * found.itemsize)


@every_float
def test_whole_numbers_are_exact_up_to_their_bits_and_not_beyond(dtype: str) -> None:
    bits = DATA_TYPES[dtype].exact_bits
    assert bits is not None
    numbers = torch.tensor([2**bits - 1, 2**bits, 2**bits + 1], dtype=torch.int64)
    rounded = numbers.to(getattr(torch, dtype)).to(torch.complex128).real.to(torch.int64)
    assert (rounded == numbers).tolist() == [True, True, False]


@every_float
def test_exponents_are_those_of_the_normal_numbers(dtype: str) -> None:
    limits = torch.finfo(getattr(torch, dtype))
    known = DATA_TYPES[dtype]
    assert 2.0**known.min_exponent == limits.smallest_normal
    assert 2.0**known.max_exponent <= limits.max
    assert limits.max / 2.0**known.max_exponent < 2.0


@pytest.mark.parametrize("reduce_op", REDUCE_OPS)
@every_type
def test_every_combination_means_something_or_says_why_not(dtype: str, reduce_op: str) -> None:
    reason = why_senseless(reduce_op, dtype)
    if DATA_TYPES[dtype].kind in REDUCE_OPS[reduce_op]:
        assert reason is None
    else:
        assert reason is not None and reason.startswith(f"{reduce_op} of {dtype}: ")


@pytest.mark.parametrize(
    ("dtype", "operations"),
    [
        ("bfloat16", {"sum", "prod", "min", "max", "avg"}),
        ("float8_e5m2", {"sum", "prod", "min", "max", "avg"}),
        ("uint16", {"sum", "prod", "min", "max", "band", "bor", "bxor"}),
        ("bool", {"min", "max", "band", "bor"}),
        ("complex64", {"sum", "prod"}),
    ],
)
def test_operations_of_each_kind(dtype: str, operations: set[str]) -> None:
    assert {name for name in REDUCE_OPS if why_senseless(name, dtype) is None} == operations


def test_unknown_names_are_told_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"reduce_op is 'mean'; allowed is one of sum, prod"):
        why_senseless("mean", "float32")
    with pytest.raises(ValueError, match=r"dtype is 'half'; allowed is one of float64, float32"):
        why_senseless("sum", "half")
