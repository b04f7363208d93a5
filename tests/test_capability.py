"""The table of what backends take: in words, without torch, and no other than what a backend says when it is
tried."""

import datetime
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
import torch
import torch.distributed as dist

from bench.measure.capability import probe, reason_against, travels_as_bytes
from bench.measure.torch_ranks import TorchRanks
from bench.model.collective import TRAITS, Collective
from bench.model.datatype import DATA_TYPES
from bench.model.reduction import REDUCE_OPS, why_senseless

ROOT: Final = Path(__file__).resolve().parents[1]
BACKENDS: Final = ("gloo", "nccl", "mpi")
REDUCTIONS: Final = ("all_reduce", "reduce_scatter", "reduce")
every_type = pytest.mark.parametrize("dtype", sorted(DATA_TYPES))


def operations(collective: Collective) -> Sequence[str | None]:
    return tuple(REDUCE_OPS) if TRAITS[collective].is_reduction else (None,)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchRanks]:
    store = tmp_path_factory.mktemp("store") / "alone"
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=0, world_size=1, timeout=datetime.timedelta(seconds=30)
    )
    yield TorchRanks(rank=0, size=1, backend="gloo", device=torch.device("cpu"), timeout_s=30)
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@every_type
def test_the_table_says_what_gloo_says(alone: TorchRanks, dtype: str) -> None:
    for collective in Collective:
        for reduce_op in operations(collective):
            if reduce_op is not None and why_senseless(reduce_op, dtype):
                continue
            known = reason_against("gloo", collective.value, dtype, reduce_op)
            found = probe(alone, collective.value, dtype, reduce_op)
            assert (known is None) == (found is None), f"{collective.value} {reduce_op}: {known} / {found}"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_gloo_refuses_what_travels_as_bytes_otherwise(
    alone: TorchRanks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing travels as bytes that need not. Messages between two ranks are not tried."""
    monkeypatch.setattr("bench.measure.capability.travels_as_bytes", lambda *_: False)
    for dtype in DATA_TYPES:
        for collective in Collective:
            traits = TRAITS[collective]
            if traits.is_reduction or traits.min_ranks > 1 or collective is Collective.barrier:
                continue
            refused = probe(alone, collective.value, dtype, None) is not None
            assert refused == travels_as_bytes("gloo", collective.value, dtype), f"{collective.value} {dtype}"


def test_a_probe_reports_what_the_backend_says(alone: TorchRanks) -> None:
    assert probe(alone, "all_reduce", "int16", "sum") == "int16 with gloo: Invalid scalar type"
    assert probe(alone, "send_recv", "int16", None) is None


def test_a_probe_is_for_one_rank_alone() -> None:
    pair = TorchRanks(rank=0, size=2, backend="gloo", device=torch.device("cpu"), timeout_s=30)
    with pytest.raises(ValueError, match=r"needs a group of one rank, this one has 2"):
        probe(pair, "all_reduce", "float32", "sum")


@pytest.mark.parametrize("backend", BACKENDS)
@every_type
def test_everything_can_be_moved_whatever_the_backend_knows(backend: str, dtype: str) -> None:
    for collective in Collective:
        if not TRAITS[collective].is_reduction:
            assert reason_against(backend, collective.value, dtype, None) is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_computed_on_bytes(backend: str) -> None:
    assert not any(travels_as_bytes(backend, name, dtype) for name in REDUCTIONS for dtype in DATA_TYPES)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduce_op", REDUCE_OPS)
def test_what_makes_no_sense_is_refused_with_the_same_words_everywhere(backend: str, reduce_op: str) -> None:
    for dtype in DATA_TYPES:
        reason = why_senseless(reduce_op, dtype)
        if reason is not None:
            assert reason_against(backend, "all_reduce", dtype, reduce_op) == reason


@pytest.mark.parametrize(
    ("backend", "dtype", "reduce_op", "expected"),
    [
        ("gloo", "float8_e4m3fn", "sum", "use float64 or float32 or float16 or bfloat16"),
        (
            "gloo",
            "int16",
            "max",
            "gloo cannot compute in int16, only move it; use int64 or int32 or int8 or uint8",
        ),
        ("gloo", "complex64", "prod", "use sum, or backend=mpi"),
        ("nccl", "int32", "bxor", "NCCL has no bitwise operations"),
        ("nccl", "uint16", "sum", "NCCL cannot compute in uint16"),
        ("mpi", "float32", "avg", "MPI has no average; use sum"),
        ("mpi", "bfloat16", "sum", "MPI cannot compute in bfloat16, only move it; use float64 or float32"),
    ],
)
def test_reasons_say_what_to_do_instead(backend: str, dtype: str, reduce_op: str, expected: str) -> None:
    for collective in REDUCTIONS:
        assert expected in (reason_against(backend, collective, dtype, reduce_op) or "")


@pytest.mark.parametrize(
    ("backend", "dtype", "reduce_op"),
    [
        ("gloo", "bfloat16", "avg"),
        ("gloo", "bool", "band"),
        ("gloo", "complex64", "sum"),
        ("nccl", "float8_e5m2", "sum"),
        ("nccl", "bfloat16", "avg"),
        ("mpi", "complex64", "prod"),
        ("mpi", "uint16", "bxor"),
        ("mpi", "bool", "bor"),
    ],
)
def test_what_works_is_not_refused(backend: str, dtype: str, reduce_op: str) -> None:
    assert reason_against(backend, "all_reduce", dtype, reduce_op) is None


@pytest.mark.parametrize(
    ("backend", "collective", "dtype", "expected"),
    [
        ("gloo", "all_to_all", "float8_e5m2", True),
        ("gloo", "all_to_all", "bfloat16", False),
        ("gloo", "gather", "complex64", True),
        ("gloo", "scatter", "complex64", False),
        ("mpi", "broadcast", "bfloat16", True),
        ("mpi", "broadcast", "uint16", False),
        ("nccl", "all_to_all", "float8_e5m2", True),
        ("nccl", "all_to_all", "bfloat16", False),
        ("nccl", "all_gather", "int16", True),
    ],
)
def test_types_travel_as_bytes_where_the_backend_has_no_name_for_them(
    backend: str, collective: str, dtype: str, expected: bool
) -> None:
    assert travels_as_bytes(backend, collective, dtype) is expected


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"backend is 'ucc'; allowed is one of gloo, nccl, mpi"):
        reason_against("ucc", "all_reduce", "float32", "sum")
    with pytest.raises(ValueError, match=r"all_reduce combines values, so it needs a reduce_op"):
        reason_against("gloo", "all_reduce", "float32", None)
    with pytest.raises(ValueError, match=r"dtype is 'half'"):
        reason_against("gloo", "all_reduce", "half", "sum")


def test_the_table_is_there_without_torch() -> None:
    """It is asked when points are planned, by verbs that do not measure as well."""
    program = "import sys, bench.measure.capability; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
