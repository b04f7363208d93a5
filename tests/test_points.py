"""Points: what a configuration asks for is measured, each thing once, or is skipped with a reason that names it."""

import dataclasses
import itertools
from typing import Any

import pytest

from bench.compose import compose
from bench.config import ALGORITHMS, BACKENDS, PASSES, BenchConfig, SizesConfig
from bench.library_config import TrafficConfig
from bench.model.collective import TRAITS, Collective, message_bytes
from bench.model.datatype import DATA_TYPES
from bench.model.grouping import groups_of
from bench.model.reduction import REDUCE_OPS
from bench.points import BOTH, IN_ONLY, OUT_ONLY, Plan, Point, placements, plan_points

BASE = compose([])
NAMES = [collective.value for collective in Collective]
FOUR = ["a", "a", "b", "b"]
every_collective = pytest.mark.parametrize("collective", list(Collective))
every_backend = pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "auto"])


def _config(**changes: Any) -> BenchConfig:
    """The default configuration with one small size and every collective natively, then ``changes``."""
    usual: dict[str, Any] = {
        "collectives": NAMES,
        "algorithms": {},
        "backend": "gloo",
        "sizes": SizesConfig(list_bytes=[4096]),
    }
    return dataclasses.replace(BASE, **(usual | changes))


def _plan(hosts: list[str] | None = None, default_max_bytes: int = 0, **changes: Any) -> Plan:
    return plan_points(_config(**changes), FOUR if hosts is None else hosts, default_max_bytes)


def _of(plan: Plan, collective: Collective) -> list[Point]:
    return [point for point in plan.points if point.collective is collective]


# What is measured


def test_the_default_measures_every_native_form_once_and_skips_nothing() -> None:
    plan = _plan()
    assert [point.collective.value for point in plan.points] == NAMES
    assert {(p.algorithm, p.measure_pass, p.group_kind, p.num_ranks) for p in plan.points} == {
        ("native", "latency", "world", 4)
    }
    assert plan.skipped == ()


def test_algorithms_that_are_not_chosen_are_the_first_of_their_collective() -> None:
    for collective, known in ALGORITHMS.items():
        (point,) = _plan(collectives=[collective]).points
        assert point.algorithm == known[0]
    chosen = _plan(collectives=["all_to_all"], algorithms={"all_to_all": ["chunked", "native"]}).points
    assert [point.algorithm for point in chosen] == ["chunked", "native"]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("num_ranks", [2, 3, 8])
def test_sizes_are_rounded_and_never_empty(dtype: str, num_ranks: int) -> None:
    """A size that leaves nothing is skipped, and the reason says what it is too small for."""
    item_bytes = DATA_TYPES[dtype].num_bytes
    requested = [1, 3, 8, 30, 100, 1000, 4096]
    plan = _plan(["a"] * num_ranks, dtype=dtype, sizes=SizesConfig(list_bytes=requested))
    for collective in Collective:
        if collective in (Collective.all_to_allv, Collective.barrier):
            continue
        found = [point.message_bytes for point in _of(plan, collective)]
        sizes = [message_bytes(collective, size, item_bytes, num_ranks) for size in requested]
        assert found == sorted({size for size in sizes if size})
        least = "a block of 16 bytes" if TRAITS[collective].is_per_rank else f"one element of {dtype}"
        for size, rounded in zip(requested, sizes, strict=True):
            reason = [r for r in plan.skipped if r.startswith(f"{collective.value} of {size} B: ")]
            assert len(reason) == (rounded == 0)
            assert all(least in text for text in reason)


def test_sizes_that_round_to_the_same_are_measured_once() -> None:
    plan = _plan(collectives=["all_gather", "all_reduce"], sizes=SizesConfig(list_bytes=[128, 129, 130, 132]))
    assert [(p.collective.value, p.message_bytes) for p in plan.points] == [
        ("all_gather", 128),
        ("all_reduce", 128),
        ("all_reduce", 132),
    ]


def test_what_is_asked_for_twice_is_measured_once() -> None:
    once = _plan(collectives=["all_reduce"], passes=["latency"], groups=["world"])
    twice = _plan(collectives=["all_reduce"] * 2, passes=["latency"] * 2, groups=["world"] * 2)
    assert once == twice


def test_a_sweep_ends_where_the_backend_does_unless_asked_otherwise() -> None:
    for max_bytes, default_max_bytes, last in (
        (None, 2**20, 2**20),
        (2**12, 2**20, 2**12),
        (2**14, 2**10, 2**14),
    ):
        sizes = SizesConfig(min_bytes=2**10, max_bytes=max_bytes, factor=2)
        found = _plan(None, default_max_bytes, collectives=["all_reduce"], sizes=sizes).points
        assert [p.message_bytes for p in found] == [2**i for i in range(10, last.bit_length())]


def test_smallest_sizes_first_so_that_a_run_cut_short_holds_whole_rows() -> None:
    sizes = [64, 1024, 65536]
    plan = _plan(sizes=SizesConfig(list_bytes=sizes[::-1]), passes=["latency", "bandwidth"], placement="both")
    with_data = [p for p in plan.points if p.collective not in (Collective.all_to_allv, Collective.barrier)]
    found = [point.message_bytes for point in with_data]
    assert found == sorted(found) and set(found) == set(sizes)
    rows = {
        size: [dataclasses.replace(p, message_bytes=0) for p in with_data if p.message_bytes == size]
        for size in sizes
    }
    assert rows[64] == rows[1024] == rows[65536]


def test_a_barrier_has_one_point_of_no_bytes_for_each_pass() -> None:
    sizes = SizesConfig(list_bytes=[1, 64, 4096])
    plan = _plan(collectives=["barrier"], sizes=sizes, passes=["latency", "bandwidth"], placement="both")
    assert [(p.message_bytes, p.measure_pass, p.placement) for p in plan.points] == [
        (0, "latency", "out_of_place"),
        (0, "bandwidth", "out_of_place"),
    ]


@every_collective
def test_only_reductions_have_an_operation(collective: Collective) -> None:
    (point,) = _plan(collectives=[collective.value], reduce_op="max").points
    assert point.reduce_op == ("max" if TRAITS[collective].is_reduction else None)
    assert (".max." in point.point_id) == TRAITS[collective].is_reduction


# Names


def test_names_tell_points_of_a_group_apart() -> None:
    """Groups of one kind share theirs; each record adds its group."""
    plan = _plan(
        backend="mpi",
        algorithms={name: ["native", "persistent"] for name in NAMES if len(ALGORITHMS[name]) > 1},
        placement="both",
        passes=["latency", "bandwidth", "cold", "overlap"],
        groups=["world", "rail", "size:2"],
        sizes=SizesConfig(list_bytes=[1024, 4096]),
    )
    kinds = list(dict.fromkeys(point.group_kind for point in plan.points))
    assert kinds == ["world", "rail", "size:2"]
    for kind in kinds:
        names = [point.point_id for point in plan.points if point.group_kind == kind]
        assert len(set(names)) == len(names) > 100


def test_a_name_says_what_was_measured() -> None:
    """It is written into run folders and compared between runs, so it may not change."""
    (reduction,) = _plan(collectives=["reduce_scatter"]).points
    assert reduction.point_id == "reduce_scatter.native.float32.sum.out_of_place.latency.4096"
    (exchange,) = _plan(collectives=["all_to_all"], algorithms={"all_to_all": ["pairwise"]}).points
    assert exchange.point_id == "all_to_all.pairwise.float32.out_of_place.latency.4096"


# Placements


@pytest.mark.parametrize(
    ("backend", "in_place_only", "both"),
    [
        ("gloo", {"all_reduce", "broadcast", "reduce"}, {"all_gather", "reduce_scatter"}),
        ("nccl", {"all_reduce", "broadcast", "reduce"}, {"all_gather", "reduce_scatter"}),
        (
            "mpi",
            {"broadcast"},
            {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "reduce", "gather", "scatter"},
        ),
    ],
)
def test_what_each_library_has_in_place(backend: str, in_place_only: set[str], both: set[str]) -> None:
    """torch.distributed writes the result of an all_reduce, a broadcast and a reduce over its input; an MPI_Bcast has one
    buffer; MPI_IN_PLACE is defined for the other collectives, and messages have no such thing."""
    found = {collective: placements(backend, collective) for collective in Collective}
    assert {c.value for c, existing in found.items() if existing == IN_ONLY} == in_place_only
    assert {c.value for c, existing in found.items() if existing == BOTH} == both
    assert set(found.values()) == {IN_ONLY, OUT_ONLY, BOTH}


@every_backend
@every_collective
@pytest.mark.parametrize("asked", ["out_of_place", "in_place", "both"])
def test_a_placement_is_measured_or_skipped_by_name(backend: str, collective: Collective, asked: str) -> None:
    """Except that out_of_place, which is the default, also means the only form there is."""
    existing = placements(backend, collective)
    wanted = set(BOTH) if asked == "both" else {asked}
    plan = _plan(collectives=[collective.value], backend=backend, placement=asked)
    measured = {point.placement for point in plan.points}
    if asked == "out_of_place" and existing == IN_ONLY:
        assert (measured, plan.skipped) == ({"in_place"}, ())
        return
    assert measured == wanted & set(existing)
    lacking = sorted(wanted - measured)
    assert [reason.split(":")[0] for reason in plan.skipped] == [
        f"{collective.value} {name}" for name in lacking
    ]
    only = "in place only" if existing == IN_ONLY else "out of place only"
    assert all(reason.endswith(only) for reason in plan.skipped)


@every_backend
def test_our_own_exchange_is_out_of_place_and_no_library_is_blamed_for_it(backend: str) -> None:
    plan = _plan(
        collectives=["all_to_all"],
        algorithms={"all_to_all": ["native", "pairwise"]},
        backend=backend,
        placement="both",
    )
    found = {(point.algorithm, point.placement) for point in plan.points}
    assert found - {("native", "in_place")} == {("native", "out_of_place"), ("pairwise", "out_of_place")}
    if backend == "mpi":
        assert ("native", "in_place") in found
        assert plan.skipped == ("all_to_all in_place: the pairwise exchange has it out of place only",)
    else:
        assert plan.skipped == ("all_to_all in_place: torch.distributed has it out of place only",)


def test_placements_are_measured_together() -> None:
    """A batch holds the points that differ in nothing else; together the batches are the plan."""
    plan = _plan(placement="both", passes=["latency", "bandwidth"], groups=["world", "host"])
    batches = plan.batches()
    assert sorted(itertools.chain(*batches), key=str) == sorted(plan.points, key=str)
    assert {len(batch) for batch in batches} == {1, 2}
    for batch in batches:
        first = batch[0]
        assert [dataclasses.replace(p, placement=first.placement) for p in batch] == [first] * len(batch)
        assert len({point.placement for point in batch}) == len(batch)
    keys = [dataclasses.replace(batch[0], placement="") for batch in batches]
    assert len(set(keys)) == len(keys)


# What cannot be measured


@pytest.mark.parametrize("name", ["send_recv", "ping_pong"])
def test_one_rank_has_nobody_to_send_to(name: str) -> None:
    assert _plan(["a"], collectives=[name]) == Plan(
        points=(), skipped=(f"{name}: one rank has nobody to send to",)
    )
    in_groups = _plan(collectives=[name], groups=["world", "size:1"])
    assert [point.group_kind for point in in_groups.points] == ["world"]
    assert in_groups.skipped == (f"{name} in groups size:1: one rank has nobody to send to",)


@pytest.mark.parametrize(("reduce_op", "dtype"), [("sum", "bool"), ("bxor", "float32"), ("max", "complex64")])
@every_backend
def test_a_reduction_without_a_meaning_is_skipped_and_all_else_is_measured(
    backend: str, reduce_op: str, dtype: str
) -> None:
    plan = _plan(backend=backend, reduce_op=reduce_op, dtype=dtype)
    reductions = {collective for collective, traits in TRAITS.items() if traits.is_reduction}
    assert {point.collective for point in plan.points} == set(Collective) - reductions
    assert {reason.split(":")[0] for reason in plan.skipped} == {c.value for c in reductions}
    assert all(f"{reduce_op} of {dtype}: " in reason for reason in plan.skipped)


@every_backend
def test_every_collective_is_measured_or_named(backend: str) -> None:
    """For all data types, operations and passes there are; nothing is dropped without a word."""
    for dtype, reduce_op, measure_pass in itertools.product(DATA_TYPES, REDUCE_OPS, PASSES):
        plan = _plan(backend=backend, dtype=dtype, reduce_op=reduce_op, passes=[measure_pass])
        measured = {point.collective.value for point in plan.points}
        named = {reason.split(":")[0].split(" ")[0] for reason in plan.skipped}
        assert measured | named == set(NAMES)
        assert not measured & named


@every_backend
@every_collective
def test_persistent_requests_are_those_of_mpi(backend: str, collective: Collective) -> None:
    if "persistent" not in ALGORITHMS[collective.value]:
        return
    plan = _plan(
        collectives=[collective.value], algorithms={collective.value: ["persistent"]}, backend=backend
    )
    if backend == "mpi":
        assert {point.algorithm for point in plan.points} == {"persistent"} and plan.skipped == ()
    else:
        assert plan.points == ()
        assert plan.skipped == (
            f"{collective.value} (persistent): persistent requests are MPI's; they need backend=mpi",
        )


@pytest.mark.parametrize(
    ("measure_pass", "backend", "without"),
    [
        ("latency", "gloo", set()),
        ("bandwidth", "gloo", set()),
        ("graph", "nccl", {"barrier"}),
        ("graph", "gloo", set(NAMES)),
        ("graph", "mpi", set(NAMES)),
        ("cold", "gloo", {"barrier"}),
        ("overlap", "gloo", {"barrier", "ping_pong"}),
    ],
)
def test_passes_that_make_no_sense_are_skipped_by_name(
    measure_pass: str, backend: str, without: set[str]
) -> None:
    plan = _plan(passes=[measure_pass], backend=backend)
    assert {point.collective.value for point in plan.points} == set(NAMES) - without
    assert {reason.split(":")[0] for reason in plan.skipped} == without
    assert all(f"{measure_pass} pass: " in reason for reason in plan.skipped)


def test_a_call_of_several_messages_is_not_overlapped() -> None:
    algorithms = {"all_to_all": ["native", "pairwise", "chunked"]}
    plan = _plan(collectives=["all_to_all"], algorithms=algorithms, passes=["overlap"])
    assert [point.algorithm for point in plan.points] == ["native"]
    assert [reason.split(":")[0] for reason in plan.skipped] == [
        "all_to_all (pairwise)",
        "all_to_all (chunked)",
    ]


# Groups


@pytest.mark.parametrize("kind", ["world", "host", "rail", "size:1", "size:2", "stride:2", "stride:4"])
def test_points_of_groups_have_the_ranks_of_one(kind: str) -> None:
    plan = _plan(groups=[kind])
    assert {(p.group_kind, p.num_ranks) for p in plan.points} == {(kind, len(groups_of(kind, FOUR)[0].ranks))}
    for point in _of(plan, Collective.all_gather):
        assert point.message_bytes % (16 * point.num_ranks) == 0


def test_kinds_of_groups_follow_one_another() -> None:
    """So that each kind's communicators are made once."""
    plan = _plan(groups=["rail", "world", "host"], sizes=SizesConfig(list_bytes=[64, 1024]))
    assert [kind for kind, _ in itertools.groupby(p.group_kind for p in plan.points)] == [
        "rail",
        "world",
        "host",
    ]


def test_groups_that_the_ranks_do_not_fill_are_refused() -> None:
    with pytest.raises(ValueError, match=r"groups=size:3: .* one size"):
        _plan(groups=["world", "size:3"])
    with pytest.raises(ValueError, match=r"groups=rail: .* one size"):
        _plan(["a", "a", "b"], groups=["rail"])


# all_to_allv


def test_shares_of_an_all_to_allv() -> None:
    """Elements of each rank for each rank; the size is the largest buffer, as nccl-tests has it."""
    matrix = [[0, 1, 1, 0], [3, 0, 2, 1], [0, 0, 4, 0], [1, 1, 1, 1]]
    plan = _plan(collectives=["all_to_allv"], all_to_allv=TrafficConfig(matrix=matrix))
    (point,) = plan.points
    share = 4096 // 4 // 8  # of 8 shares, the third rank receives all: the largest buffer
    assert point.message_bytes == 4096
    assert point.split_counts == tuple(tuple(share * weight for weight in row) for row in matrix)
    assert point.spec.split_bytes == tuple(tuple(4 * count for count in row) for row in point.split_counts)


@every_collective
def test_others_have_no_shares(collective: Collective) -> None:
    (point,) = _plan(collectives=[collective.value]).points
    has_shares = collective is Collective.all_to_allv
    assert (point.split_counts is not None) == (point.spec.split_bytes is not None) == has_shares
    assert (point.spec.collective, point.spec.num_ranks) == (collective, 4)
    assert point.spec.message_bytes == point.message_bytes


def test_a_skew_fits_groups_of_every_size_and_a_matrix_those_of_its_own() -> None:
    groups = ["world", "host", "size:1"]
    plan = _plan(collectives=["all_to_allv"], groups=groups, all_to_allv=TrafficConfig(skew=2))
    assert [len(point.split_counts or ()) for point in plan.points] == [4, 2, 1]
    matrix = TrafficConfig(matrix=[[1, 2], [3, 4]])
    assert len(_plan(collectives=["all_to_allv"], groups=["rail"], all_to_allv=matrix).points) == 1
    with pytest.raises(ValueError, match="2 rows, and 4 ranks take part"):
        _plan(collectives=["all_to_allv"], groups=groups, all_to_allv=matrix)


def test_shares_of_less_than_an_element_are_skipped() -> None:
    plan = _plan(
        collectives=["all_to_allv"],
        all_to_allv=TrafficConfig(skew=0),
        sizes=SizesConfig(list_bytes=[4, 12, 16]),
    )
    assert [point.message_bytes for point in plan.points] == [16]
    assert plan.skipped == tuple(
        f"all_to_allv of {size} B: too small for one element of float32 in any share" for size in (4, 12)
    )
