"""Terms reduce exactly over every window, and the result of many ranks still tells positions apart."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest

from bench.model.datatype import DATA_TYPES
from bench.model.reduction import REDUCE_OPS, why_senseless
from bench.model.terms import Random, is_average_exact, terms, windows

UFUNCS = {
    "sum": np.add,
    "avg": np.add,
    "prod": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
    "band": np.bitwise_and,
    "bor": np.bitwise_or,
    "bxor": np.bitwise_xor,
}
COMBINATIONS = [(d, op) for d in DATA_TYPES for op in REDUCE_OPS if why_senseless(op, d) is None]
every_combination = pytest.mark.parametrize(("dtype", "reduce_op"), COMBINATIONS)


@pytest.mark.parametrize("reduce_op", REDUCE_OPS)
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7, 8, 13, 100])
def test_windows_are_what_reducing_one_by_one_gives(reduce_op: str, num_ranks: int) -> None:
    row = Random(1).randint(-9, 9, 300)
    found = windows(row, reduce_op, num_ranks)
    assert len(found) == len(row) - num_ranks + 1
    for start in range(0, len(found), 17):
        assert found[start] == reduce(UFUNCS[reduce_op], row[start : start + num_ranks])


@pytest.mark.parametrize(
    ("dtype", "reduce_op"), [c for c in COMBINATIONS if DATA_TYPES[c[0]].kind in ("float", "complex")]
)
def test_no_number_is_infinite_undefined_or_a_negative_zero(dtype: str, reduce_op: str) -> None:
    for num_ranks in (1, 17, 300):
        row = terms(DATA_TYPES[dtype], reduce_op, num_ranks, 5000, Random(2))
        for numbers in (row, windows(row, reduce_op, num_ranks)):
            assert np.isfinite(numbers).all()
            for part in (numbers.real, numbers.imag):
                assert not np.signbit(part[part == 0]).any()


@pytest.mark.parametrize("dtype", [n for n, t in DATA_TYPES.items() if t.kind == "integer"])
@pytest.mark.parametrize("num_ranks", [1, 2, 64, 300])
def test_sums_of_integers_overflow_nowhere(dtype: str, num_ranks: int) -> None:
    """Not even of the positive or the negative terms alone, so in no order: what happens then differs between
    backends."""
    row = terms(DATA_TYPES[dtype], "sum", num_ranks, 5000, Random(3))
    limits = np.iinfo(dtype)
    for part, bound in ((np.maximum(row, 0), limits.max), (np.minimum(row, 0), limits.min)):
        totals = np.concatenate([[0], np.cumsum(part.astype(object))])
        sums = totals[num_ranks:] - totals[:-num_ranks]
        assert all(abs(total) <= abs(bound) for total in sums)


@every_combination
@pytest.mark.parametrize("num_ranks", [1, 2, 16, 256])
def test_results_of_many_ranks_still_differ_between_positions(
    dtype: str, reduce_op: str, num_ranks: int
) -> None:
    """Windows that share no term are equal in at most a quarter of all cases; truth values in about half."""
    row = terms(DATA_TYPES[dtype], reduce_op, num_ranks, 400 * num_ranks, Random(4))
    found = windows(row, reduce_op, num_ranks)[::num_ranks]
    num_equal = sum(a == b for a, b in pairwise(found))
    assert num_equal < len(found) * (0.65 if dtype == "bool" else 0.25)


@pytest.mark.parametrize(
    ("dtype", "num_ranks", "expected"),
    [
        ("float8_e4m3fn", 512, True),  # 2**-9 is the smallest number of all
        ("float8_e4m3fn", 1024, False),
        ("float8_e4m3fn", 72, True),
        ("float8_e5m2", 72, False),  # 9 needs four bits
        ("float32", 24, True),
        ("float32", 41, False),  # 41 x float32(1 / 41) is not 1
        ("float64", 41, True),
        ("float64", 49, False),
        ("bfloat16", 65536, True),
    ],
)
def test_averages_are_exact_where_the_number_of_ranks_divides(
    dtype: str, num_ranks: int, expected: bool
) -> None:
    assert is_average_exact(DATA_TYPES[dtype], num_ranks) is expected


def test_reciprocals_are_those_of_numpy() -> None:
    for num_ranks in range(1, 500):
        for kind in (np.float32, np.float64):
            is_one = kind(num_ranks) * (kind(1) / kind(num_ranks)) == 1
            assert is_average_exact(DATA_TYPES[kind.__name__], num_ranks) == is_one
