"""Who starts ranks, who this rank is, and what is refused before any rank starts."""

from collections.abc import Callable

import pytest

from bench.compose import compose
from bench.config import BenchConfig
from bench.launch import resolve as resolving
from bench.launch.identity import discover, first_host, slurm_master
from bench.launch.resolve import network, resolve
from bench.launch.shaping import LinkShape, link_shape
from bench.runner import network_of

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
}
OPENMPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
MPICH = {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
SLURM = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "77"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        (TORCHRUN, ("torchrun", 3, 4, 1)),
        (OPENMPI, ("openmpi", 1, 2, 1)),
        (MPICH, ("mpich", 1, 2, 1)),
        (SLURM, ("slurm", 1, 2, 0)),
        (TORCHRUN | OPENMPI | SLURM, ("torchrun", 3, 4, 1)),  # the outer sets are only the node
        (OPENMPI | {"RANK": "1", "WORLD_SIZE": "2"}, ("openmpi", 1, 2, 1)),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "1"}, None),  # the batch shell is a step of one task
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),  # and outside a step SLURM says nothing
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, ("environment", 0, 2, 0)),
    ],
)
def test_who_this_rank_is(environ: dict[str, str], expected: tuple[str, int, int, int] | None) -> None:
    found = discover(environ)
    got = None if found is None else (found.source, found.rank, found.size, found.local_rank)
    assert got == expected


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        (OPENMPI | SLURM | {"SLURM_PROCID": "0"}, ["OMPI_COMM_WORLD_RANK=1", "SLURM_PROCID=0"]),
        (OPENMPI | {"RANK": "0", "WORLD_SIZE": "2"}, ["RANK=0", "OMPI_COMM_WORLD_RANK=1"]),
        (MPICH | {"RANK": "1", "WORLD_SIZE": "4"}, ["WORLD_SIZE=4", "PMI_SIZE=2"]),
        ({"RANK": "0"}, ["WORLD_SIZE"]),
        ({"RANK": "2", "WORLD_SIZE": "2"}, ["RANK=2"]),
        ({"RANK": "x", "WORLD_SIZE": "2"}, ["RANK", "'x'"]),
        (TORCHRUN | {"MASTER_PORT": "http"}, ["MASTER_PORT"]),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, ["OMPI_COMM_WORLD_RANK"]),
    ],
)
def test_contradictions_are_errors_that_name_the_variables(environ: dict[str, str], names: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        discover(environ)
    assert all(name in str(caught.value) for name in names), caught.value


@pytest.mark.parametrize(
    ("nodelist", "first"),
    [("node1", "node1"), ("gpu[003-007,012],login1", "gpu003"), ("a1,a2", "a1"), ("r[2,4]n", "r2n")],
)
def test_first_host_of_a_slurm_list(nodelist: str, first: str) -> None:
    assert first_host(nodelist) == first


def test_slurm_ports_differ_between_jobs_and_stay_in_range() -> None:
    ports = [
        slurm_master(SLURM | {"SLURM_STEP_NODELIST": "n1", "SLURM_JOB_ID": str(j)})[1] for j in range(50)
    ]
    assert len(set(ports)) == 50
    assert all(20000 <= port < 60000 for port in ports)


def lacking(reason: str | None) -> Callable[[LinkShape], str | None]:
    return lambda shape: reason


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "num_gpus", lambda: 0)


def test_auto_means_the_emulated_fabric_without_a_cluster() -> None:
    resolved = resolve(compose([]), {}, missing=lacking(None))
    assert (resolved.kind, resolved.num_ranks, resolved.config.backend) == ("emulated", 4, "gloo")
    assert resolved.config.transceiver.name == "400g-osfp-dr4"
    assert resolved.config.timing.prime_bytes > 0


def test_auto_falls_back_to_loopback_and_says_why() -> None:
    resolved = resolve(compose([]), {}, missing=lacking("the kernel says no"))
    assert (resolved.kind, resolved.num_ranks) == ("local", 2)
    assert resolved.note is not None and "the kernel says no" in resolved.note
    assert resolved.config.transceiver.name == "unknown"


def test_explicit_emulation_that_cannot_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="the kernel says no"):
        resolve(compose(["launcher=emulated"]), {}, missing=lacking("the kernel says no"))


def test_auto_with_gpus_is_one_local_rank_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "num_gpus", lambda: 8)
    resolved = resolve(compose([]), {}, missing=lacking(None))
    assert (resolved.kind, resolved.num_ranks, resolved.config.backend) == ("local", 8, "nccl")
    assert resolved.config.sizes.max_bytes == 2**29  # the last of 2 KiB x 4**k up to 1 GiB


def test_ranks_that_exist_are_joined() -> None:
    resolved = resolve(compose([]), TORCHRUN, missing=lacking(None))
    assert (resolved.kind, resolved.num_ranks, resolved.config.transceiver.name) == ("external", 4, "unknown")


@pytest.mark.parametrize(
    ("overrides", "environ", "words"),
    [
        (["launcher=local"], TORCHRUN, ["launcher=local", "torchrun"]),
        (["launcher=emulated"], OPENMPI, ["openmpi"]),
        (["launcher=external"], {}, ["launcher=external"]),
        (["launcher=slurm"], TORCHRUN, ["launcher=slurm"]),
        (["fabric=dgx_h100"], {}, ["fabric=dgx_h100"]),
        (["transceiver=unknown"], {}, ["transceiver=unknown"]),
        (["transport=roce_v2"], {}, ["transport=roce_v2"]),
        (["backend=nccl"], {}, ["backend=nccl"]),
        (["backend=nccl", "launcher=local"], {}, ["backend=nccl"]),
        (["launcher.num_ranks=3"], {}, ["launcher.num_ranks"]),
        (["launcher=local", "launcher.num_ranks=100000"], {}, ["launcher.num_ranks", "at most"]),
        (["emulation.num_hosts=250", "emulation.ranks_per_host=64"], {}, ["at most"]),
        (["sizes.max_bytes=100TiB"], {}, ["sizes.max_bytes"]),
        (["sizes.list_bytes=[1]"], {}, ["sizes.max_bytes"]),
        (["emulation.time_scale=1e9"], {}, ["emulation.time_scale"]),
        (
            ["transceiver=400g-osfp-dr4", "fabric=dgx_h100"],
            TORCHRUN | {"WORLD_SIZE": "7", "RANK": "0"},
            ["7 ranks"],
        ),
    ],
)
def test_what_cannot_run_is_refused_before_any_rank(
    overrides: list[str], environ: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:
        resolve(compose(overrides), environ, missing=lacking(None))
    assert all(word in str(caught.value) for word in words), caught.value


def test_nothing_is_predicted_on_loopback_nor_before_the_optics_are_named() -> None:
    local = resolve(compose(["launcher=local", "transceiver=400g-osfp-dr4", "fabric=dgx_h100"]), {})
    assert network(local.config, "local", 2, delay_s=0.0) is None
    joined = resolve(compose([]), TORCHRUN)
    assert network(joined.config, "external", 4, delay_s=0.0) is None
    half = resolve(compose(["transceiver=400g-osfp-dr4"]), TORCHRUN)
    assert network(half.config, "external", 4, delay_s=0.0) is None


def test_links_are_the_mac_rate_over_the_time_scale() -> None:
    config: BenchConfig = resolve(compose(["transceiver=800g-osfp-dr8"]), {}, missing=lacking(None)).config
    shape = link_shape(config.transceiver, config.emulation)
    assert shape.rate_bytes_per_s == pytest.approx(800e9 / 8 / 1000)
    assert shape.delay_s == pytest.approx(50 * 4.895e-9 * 1000)


@pytest.mark.parametrize(
    ("hosts", "num_hosts"),
    [
        (["a", "a", "b", "b"], 2),
        (["a", "b", "a", "b"], None),  # a ring in rank order would cross at every hop
        (["a", "a", "a", "b"], None),
        (["a", "a", "a", "a"], 1),
        (["a", "b", "c", "d"], 4),
    ],
)
def test_a_prediction_needs_ranks_in_the_order_of_their_hosts(
    hosts: list[str], num_hosts: int | None
) -> None:
    overrides = ["transceiver=400g-osfp-dr4", "fabric=dgx_h100", "backend=gloo"]
    config = resolve(compose(overrides), TORCHRUN | {"LOCAL_WORLD_SIZE": "4"}).config
    found = network_of(config, "external", hosts, None)
    assert (None if found is None else found.num_hosts) == num_hosts


def test_several_hosts_on_paper_and_one_in_truth_have_no_optics() -> None:
    config = resolve(
        compose(["transceiver=400g-osfp-dr4", "fabric=dgx_h100", "fabric.ranks_per_host=1"]), TORCHRUN
    ).config
    assert network_of(config, "external", ["a", "a", "a", "a"], None) is None
