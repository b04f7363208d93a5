"""Data that show every single wrong element, whatever the type, the operation and the number of ranks."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import combinations

import numpy as np
import pytest
import torch

from bench.measure.data import PERIOD, Pattern, num_wrong, pattern, spoil
from bench.model.datatype import DATA_TYPES
from bench.model.reduction import REDUCE_OPS, why_senseless

REDUCTIONS = [(d, op) for d in DATA_TYPES for op in REDUCE_OPS if why_senseless(op, d) is None]
every_type = pytest.mark.parametrize("dtype", sorted(DATA_TYPES))
every_reduction = pytest.mark.parametrize(("dtype", "reduce_op"), REDUCTIONS)
every_pattern = pytest.mark.parametrize(
    ("dtype", "reduce_op"), [*((d, None) for d in DATA_TYPES), *REDUCTIONS]
)

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


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in a rank; for tensors so small, threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


WITHOUT_NUMPY = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


def combined(reduce_op: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """One step in the type itself. Where numpy has no such type: in float32, which is exact, and rounded."""
    kind = a.dtype
    if str(kind).removeprefix("torch.") in WITHOUT_NUMPY:
        a, b = a.float(), b.float()
    return torch.from_numpy(UFUNCS[reduce_op](a.numpy(), b.numpy())).to(kind)


def in_pairs(
    step: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], items: Sequence[torch.Tensor]
) -> torch.Tensor:
    if len(items) == 1:
        return items[0]
    half = len(items) // 2
    return step(in_pairs(step, items[:half]), in_pairs(step, items[half:]))


def widened(reduce_op: str, items: Sequence[torch.Tensor]) -> torch.Tensor:
    """Through a wider accumulator, which is rounded or cut off only at the end."""
    kind = items[0].dtype
    wide = {"float": torch.float64, "complex": torch.complex128, "boolean": torch.bool}.get(
        DATA_TYPES[str(kind).removeprefix("torch.")].kind, torch.int64
    )
    if kind is torch.uint64:
        wide = kind
    total = reduce(UFUNCS[reduce_op], [item.to(wide).numpy() for item in items])
    return torch.from_numpy(total).to(kind)


def divided(total: torch.Tensor, num_ranks: int) -> torch.Tensor:
    """An average's last step, in float32 at least, as backends do it."""
    wide = torch.promote_types(total.dtype, torch.float32) if total.element_size() > 1 else torch.float32
    return (total.to(wide) / num_ranks).to(total.dtype)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(
        {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    )


def share_different(a: torch.Tensor, b: torch.Tensor) -> float:
    return num_wrong(a, b) / len(b)


@every_reduction
@pytest.mark.parametrize("num_ranks", [1, 3, 64])
def test_the_result_is_what_reducing_in_any_order_gives(dtype: str, reduce_op: str, num_ranks: int) -> None:
    """Forwards, backwards and by pairs in the type itself, and through a wider accumulator."""
    data = pattern(dtype, num_ranks, seed=5, reduce_op=reduce_op)
    sent = [data.sent(rank, 100, 500) for rank in range(num_ranks)]
    expected = data.reduced(100, 500)

    def step(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return combined(reduce_op, a, b)

    for total in (
        reduce(step, sent),
        reduce(step, sent[::-1]),
        in_pairs(step, sent),
        widened(reduce_op, sent),
    ):
        found = divided(total, num_ranks) if reduce_op == "avg" else total
        assert num_wrong(found, expected) == 0


@pytest.mark.parametrize("dtype", [d for d, op in REDUCTIONS if op == "avg"])
@pytest.mark.parametrize("num_ranks", [1, 3, 7, 8, 12, 24, 40, 72, 512])
def test_averages_may_be_divided_after_or_before_they_are_summed_up(dtype: str, num_ranks: int) -> None:
    """Before: each term is multiplied by the reciprocal, which is rounded to the type, as are all
    products."""
    data = pattern(dtype, num_ranks, seed=5, reduce_op="avg")
    if not data.can_be_checked:
        assert dtype.startswith("float8") or num_ranks >= 40
        return
    sent = [data.sent(rank, 0, 200) for rank in range(num_ranks)]
    expected = data.reduced(0, 200)

    def plus(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return combined("sum", a, b)

    reciprocal = torch.tensor(1 / num_ranks, dtype=torch.float64).to(sent[0].dtype)
    shares = [(tensor.double() * reciprocal.double()).to(tensor.dtype) for tensor in sent]
    assert num_wrong(reduce(plus, shares), expected) == 0
    assert num_wrong(divided(reduce(plus, sent), num_ranks), expected) == 0


@pytest.mark.parametrize("reduce_op", ["sum", "max", "prod"])
def test_results_over_very_many_ranks_are_exact(reduce_op: str) -> None:
    num_ranks = 5_000
    data = pattern("bfloat16", num_ranks, seed=1, reduce_op=reduce_op)
    sent = torch.stack([data.sent(rank, 7, 20) for rank in range(num_ranks)]).double()
    found = {"sum": sent.sum(0), "max": sent.amax(0), "prod": sent.prod(0)}[reduce_op]
    assert num_wrong(found.to(torch.bfloat16), data.reduced(7, 20)) == 0


@every_pattern
def test_any_part_is_a_part_of_the_whole(dtype: str, reduce_op: str | None) -> None:
    data = pattern(dtype, 4, seed=3, reduce_op=reduce_op)
    sources: list[Callable[[int, int], torch.Tensor]] = [lambda first, count: data.sent(3, first, count)]
    if reduce_op is not None:
        sources.append(data.reduced)
    for source in sources:
        whole = source(0, 2 * PERIOD + 1000)
        assert whole.dtype == getattr(torch, dtype) and whole.shape == (2 * PERIOD + 1000,)
        for first, count in ((0, 1), (1000, 10), (PERIOD - 5, 10), (PERIOD + 3, PERIOD + 300), (17, 0)):
            assert num_wrong(source(first, count), whole[first : first + count].clone()) == 0


@every_pattern
def test_every_number_sent_is_finite_and_no_negative_zero(dtype: str, reduce_op: str | None) -> None:
    data = pattern(dtype, 8, seed=9, reduce_op=reduce_op)
    tensors = [data.sent(rank, 0, PERIOD) for rank in range(0, 8, 3)]
    for tensor in [*tensors, *([data.reduced(0, PERIOD)] if reduce_op else [])]:
        parts = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        if parts.is_floating_point():
            assert parts.double().isfinite().all()
            assert not torch.signbit(parts.double())[parts.double() == 0].any()


@pytest.mark.parametrize(
    "dtype", ["float8_e4m3fn", "float8_e5m2", "int8", "uint8", "bool", "float16", "bfloat16"]
)
def test_data_that_are_only_moved_go_through_all_patterns_of_the_type(dtype: str) -> None:
    kind = getattr(torch, dtype)
    size = DATA_TYPES[dtype].num_bytes
    every = torch.arange(2 if dtype == "bool" else 1 << 8 * size)
    numbers = every.to({1: torch.uint8, 2: torch.int16}[size]).view(kind).double()
    allowed = numbers.isfinite() & ~(torch.signbit(numbers) & (numbers == 0))
    found = set(bits(pattern(dtype, 1, seed=0).sent(0, 0, PERIOD)).tolist())
    wanted = set(bits(every[allowed].to({1: torch.uint8, 2: torch.int16}[size])).tolist())
    assert found <= wanted
    assert found == wanted


@every_pattern
def test_blocks_of_powers_of_two_elements_differ(dtype: str, reduce_op: str | None) -> None:
    """Blocks of one sender, and blocks of the result; of truth values, about half are the same by chance."""
    least = 0.25 if dtype == "bool" else 0.5
    for num_ranks in (2, 16):
        data = pattern(dtype, num_ranks, seed=0, reduce_op=reduce_op)
        for count in (64, 65536):
            for block in (1, 3):
                if reduce_op is not None:
                    assert share_different(data.reduced(0, count), data.reduced(block * count, count)) > least
                else:
                    assert share_different(data.sent(0, 0, count), data.sent(0, block * count, count)) > least


@every_type
def test_any_two_of_64_ranks_send_something_else_at_every_position(dtype: str) -> None:
    """Even messages of one element show that ranks were swapped. Truth values need a few elements."""
    data = pattern(dtype, 64, seed=2)
    sent = bits(torch.stack([data.sent(rank, 0, 256) for rank in range(64)]))
    least = 64 if dtype == "bool" else 256
    assert all(int((sent[a] != sent[b]).sum()) >= least for a, b in combinations(range(64), 2))


@every_reduction
@pytest.mark.parametrize("num_ranks", [3, 64])
def test_a_rank_that_is_counted_twice_instead_of_another_shows(
    dtype: str, reduce_op: str, num_ranks: int
) -> None:
    count = 8192
    data = pattern(dtype, num_ranks, seed=4, reduce_op=reduce_op)
    sent = [data.sent(rank, 0, count) for rank in range(num_ranks)]
    right = data.reduced(0, count)
    for missing, twice in ((0, 1), (num_ranks - 1, num_ranks // 2)):
        wrong = [sent[twice] if rank == missing else sent[rank] for rank in range(num_ranks)]
        total = widened(reduce_op, wrong)
        assert num_wrong(divided(total, num_ranks) if reduce_op == "avg" else total, right) > 0


@every_pattern
def test_seeds_differ_and_repeat(dtype: str, reduce_op: str | None) -> None:
    first, again, other = (pattern(dtype, 4, seed, reduce_op).sent(1, 0, 1000) for seed in (1, 1, 2))
    assert num_wrong(again, first) == 0
    assert num_wrong(other, first) > 0


def test_data_are_the_same_everywhere() -> None:
    """Known bits: ranks on other machines, with another numpy, must send the same."""
    moved = pattern("int32", 4, seed=1).sent(3, 0, 4)
    assert moved.tolist() == [492224535, 312018637, -602061952, -2038431292]
    added = pattern("float32", 4, seed=1, reduce_op="sum").sent(3, 0, 4)
    assert added.tolist() == [-1215009, 130559, 3679469, -770666]
    assert pattern("uint8", 4, seed=1, reduce_op="max").reduced(0, 6).tolist() == [17, 134, 139, 124, 86, 65]
    assert pattern("int16", 4, seed=1, reduce_op="bor").reduced(0, 4).tolist() == [-29126, 23181, 32153, 5962]


def test_data_that_cannot_show_an_error_say_so() -> None:
    assert not pattern("float8_e4m3fn", 1024, seed=0, reduce_op="avg").can_be_checked
    assert pattern("float8_e4m3fn", 512, seed=0, reduce_op="avg").can_be_checked
    assert not pattern("float32", 41, seed=0, reduce_op="avg").can_be_checked
    assert pattern("float8_e5m2", 2000, seed=0, reduce_op="sum").can_be_checked
    assert pattern("bfloat16", 256, seed=0, reduce_op="sum").can_be_checked
    assert pattern("bool", 1000, seed=0, reduce_op="bor").can_be_checked
    assert all(pattern(dtype, 3, seed=0).can_be_checked for dtype in DATA_TYPES)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"band of float32: bits of float numbers have no meaning"):
        pattern("float32", 2, seed=0, reduce_op="band")
    with pytest.raises(ValueError, match=r"dtype is 'half'; allowed is one of float64"):
        pattern("half", 2, seed=0)
    with pytest.raises(ValueError, match=r"num_ranks is 0"):
        pattern("float32", 0, seed=0)
    with pytest.raises(ValueError, match=r"has no reduce_op"):
        pattern("float32", 2, seed=0).reduced(0, 4)


def some(dtype: str, count: int = 5000) -> tuple[Pattern, torch.Tensor]:
    data = pattern(dtype, 4, seed=0)
    return data, data.sent(1, 0, count)


@every_type
def test_one_flipped_bit_anywhere_is_always_seen(dtype: str) -> None:
    chance = random.Random(1)
    _, expected = some(dtype)
    for _ in range(100):
        found = expected.clone()
        place = chance.randrange(found.nbytes)
        found.view(torch.uint8)[place] ^= 1 << chance.randrange(8)
        assert num_wrong(found, expected) == 1


@every_type
def test_wrong_elements_of_a_large_result_are_counted(dtype: str) -> None:
    """Over more than one piece, the last one not full."""
    count = (3 << 20) // DATA_TYPES[dtype].num_bytes + 3
    expected = some(dtype, count)[1]
    places = [*random.Random(2).sample(range(count), 500), count - 1]
    found = expected.clone()
    bits(found)[torch.tensor(places)] ^= 1
    assert num_wrong(found, expected) == len(set(places))
    assert num_wrong(expected.clone(), expected) == 0


def test_what_compares_as_equal_may_still_be_wrong() -> None:
    zeros = torch.zeros(3)
    assert num_wrong(-zeros, zeros) == 3
    assert num_wrong(torch.full((3,), torch.nan), zeros) == 3
    assert num_wrong(torch.zeros(0), torch.zeros(0)) == 0


def test_parts_of_other_tensors_are_compared() -> None:
    expected = torch.arange(10.0)
    assert num_wrong(torch.arange(20.0)[:10], expected) == 0
    assert num_wrong(torch.arange(12.0)[1:11], expected) == 10
    assert num_wrong(torch.arange(0, 10, 0.5)[::2], expected) == 0


@pytest.mark.parametrize("call", [num_wrong, spoil])
def test_tensors_of_another_type_or_size_are_refused(
    call: Callable[[torch.Tensor, torch.Tensor], object],
) -> None:
    with pytest.raises(ValueError, match=r"3 elements of torch.float32.* 3 of torch.int32"):
        call(torch.zeros(3), torch.zeros(3, dtype=torch.int32))
    with pytest.raises(ValueError, match=r"3 elements.* 4 of"):
        call(torch.zeros(3), torch.zeros(4))


@every_type
def test_nothing_of_a_spoiled_result_is_right(dtype: str) -> None:
    _, expected = some(dtype)
    buffer = expected.repeat(2)
    spoil(buffer[: len(expected)], expected)
    assert num_wrong(buffer[: len(expected)], expected) == len(expected)
    assert num_wrong(buffer[len(expected) :], expected) == 0
    if dtype == "bool":
        assert buffer.view(torch.uint8).max() == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@every_type
def test_results_on_a_gpu_are_checked_there(dtype: str) -> None:
    count = (3 << 20) // DATA_TYPES[dtype].num_bytes + 3
    expected = some(dtype, count)[1]
    for right in (expected, expected.cuda()):
        buffer = expected.cuda()
        assert num_wrong(buffer, right) == 0
        bits(buffer)[count - 1] ^= 1
        assert num_wrong(buffer, right) == 1
        spoil(buffer, right)
        assert num_wrong(buffer, right) == count
