"""The measuring loop with a clock of its own, and data that show every single wrong element."""

import random
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import torch

from bench.measure.data import num_wrong, pattern
from bench.measure.engine import measure
from bench.measure.loop import take_samples
from bench.measure.ranks import Ranks
from bench.measure.workload import WORKLOADS, Workload
from bench.model.datatype import DATA_TYPES
from bench.model.timing import TimingPlan


class ScriptedStopwatch:
    """A clock whose every operation takes the next of the given durations."""

    def __init__(self, durations_s: Sequence[float]) -> None:
        self._durations_s = list(durations_s)
        self._now_s = 100.0

    def elapsed_s(self, operation: Callable[[], None]) -> float:
        operation()
        duration_s = self._durations_s.pop(0)
        self._now_s += duration_s
        return duration_s

    def now_s(self) -> float:
        return self._now_s


class Alone:
    """The part of `Ranks` that the engine uses, for one rank and no process group."""

    device = torch.device("cpu")
    size = 1
    rank = 0

    def barrier(self) -> None:
        pass

    def largest(self, values: Sequence[float]) -> list[float]:
        return list(values)

    def gathered(self, values: Sequence[float]) -> list[list[float]]:
        return [list(values)]


def workload(calls: list[str], wrong: Callable[[], int] = lambda: 0, restores: bool = False) -> Workload:
    return Workload(
        reset=lambda: calls.append("reset"),
        call=lambda: calls.append("call"),
        count_wrong=wrong,
        restores_input=restores,
    )


def measured(plan: TimingPlan, durations_s: Sequence[float], load: Workload, stop: bool = False) -> Any:
    return measure(
        load,
        cast(Ranks, Alone()),
        plan,
        ScriptedStopwatch(durations_s),
        origin_s=100.0,
        is_stop_wanted=lambda: stop,
    )


def test_samples_keep_their_order_and_align_before_each() -> None:
    calls: list[str] = []
    samples = take_samples(
        lambda: calls.append("call"),
        ScriptedStopwatch([3.0, 1.0, 2.0]),
        3,
        align=lambda: calls.append("align"),
    )
    assert [sample.duration_s for sample in samples] == [3.0, 1.0, 2.0]
    assert [sample.start_s for sample in samples] == [100.0, 103.0, 104.0]
    assert calls == ["align", "call"] * 3


def test_warmups_are_not_samples_and_the_first_call_is_kept_apart() -> None:
    plan = TimingPlan(num_warmups=2, num_iterations=3)
    found = measured(plan, [9.0, 5.0, 1.0, 2.0, 3.0], workload([]))
    assert found.duration_s == [[1.0, 2.0, 3.0]]
    assert found.first_call_s == 9.0
    assert found.slowest_s == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("call_s", "expected"), [(0.1, 21), (0.01, 30), (1e-6, 200), (0.0, 200)])
def test_short_calls_are_repeated_until_the_time_is_filled(call_s: float, expected: int) -> None:
    assert TimingPlan(fill_s=0.3).planned_iterations(call_s) == expected


def test_an_explicit_number_of_iterations_is_exact() -> None:
    assert TimingPlan(num_iterations=7).planned_iterations(1e-9) == 7


def test_an_interrupt_ends_the_point_after_its_block_and_keeps_the_samples() -> None:
    found = measured(TimingPlan(num_warmups=1, num_iterations=50), [0.4] * 60, workload([]), stop=True)
    assert found.is_interrupted and 1 <= len(found.slowest_s) < 50


def test_input_that_a_call_overwrites_is_put_back_before_every_call() -> None:
    calls: list[str] = []
    measured(TimingPlan(num_warmups=1, num_iterations=4), [1.0] * 5, workload(calls, restores=True))
    before_each_call = [calls[i - 1] for i, name in enumerate(calls) if name == "call"]
    assert before_each_call == ["reset"] * 5


def test_wrong_elements_of_the_first_and_the_last_call_are_counted() -> None:
    answers = iter([2, 3])
    found = measured(
        TimingPlan(num_warmups=1, num_iterations=2), [1.0] * 3, workload([], wrong=lambda: next(answers))
    )
    assert found.num_wrong_elements == 5


@pytest.mark.parametrize("dtype", sorted(DATA_TYPES))
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("reduce_op", ["sum", "max", "min"])
def test_the_closed_form_is_what_reducing_in_any_order_gives(
    dtype: str, num_ranks: int, reduce_op: str
) -> None:
    """Exact in the type: forwards and backwards, added in the type itself, give the closed form."""
    data = pattern(dtype, num_ranks, seed=5)
    sent = [data.sent(rank, 0, 1000) for rank in range(num_ranks)]
    operations: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
        "sum": lambda a, b: a + b,
        "max": torch.maximum,
        "min": torch.minimum,
    }
    combine = operations[reduce_op]
    for order in (sent, sent[::-1]):
        total = order[0]
        for tensor in order[1:]:
            total = combine(total, tensor)
        assert num_wrong(total, data.reduced(reduce_op, 1000)) == 0


@pytest.mark.parametrize("dtype", sorted(DATA_TYPES))
def test_one_corrupted_element_anywhere_is_always_seen(dtype: str) -> None:
    random.seed(1)
    data = pattern(dtype, 4, seed=0)
    expected = data.reduced("sum", 5000)
    for _ in range(100):
        found = expected.clone()
        position = random.randrange(5000)
        found.view(torch.uint8)[position * found.element_size()] ^= 1 << random.randrange(8)
        assert num_wrong(found, expected) == 1


def test_swapped_blocks_and_repeated_ranks_are_seen() -> None:
    data = pattern("float32", 4, seed=0)
    right = data.sent(1, 0, 4096)
    assert num_wrong(torch.cat([right[2048:], right[:2048]]), right) > 4000
    assert num_wrong(data.sent(2, 0, 4096), right) == 4096


def test_nan_is_wrong() -> None:
    data = pattern("float32", 2, seed=0)
    found = data.reduced("sum", 10)
    found[3] = float("nan")
    assert num_wrong(found, data.reduced("sum", 10)) == 1


def test_every_algorithm_of_the_configuration_has_a_workload() -> None:
    from bench.config import ALGORITHMS

    assert {(name, a) for name, algorithms in ALGORITHMS.items() for a in algorithms} == set(WORKLOADS)


@pytest.mark.parametrize(
    ("dtype", "num_ranks"), [("bfloat16", 2), ("bfloat16", 16), ("float16", 64), ("float32", 4)]
)
def test_blocks_of_one_sender_differ_also_where_little_fits(dtype: str, num_ranks: int) -> None:
    """Blocks of an all_to_all are powers of two of elements; the period of the data must not divide them."""
    data = pattern(dtype, num_ranks, seed=0)
    for count in (64, 1024, 65536):
        assert num_wrong(data.sent(0, 0, count), data.sent(0, count, count)) > count // 2


def test_data_that_cannot_show_an_error_say_so() -> None:
    assert not pattern("bfloat16", 256, seed=0).can_be_checked
    assert pattern("bfloat16", 64, seed=0).can_be_checked
    assert pattern("float32", 100_000, seed=0).can_be_checked
    assert pattern("int8", 100_000, seed=0).can_be_checked
