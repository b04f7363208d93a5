"""MPI on the emulated fabric: the link carries what the schedule says, in the amounts that tell schedules apart."""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.compose import compose
from bench.launch.emulated import missing
from bench.launch.emulated_mpi import prepare
from bench.launch.remote import MpiHost
from bench.launch.supervise import Outcome
from tests.namespaces import SHAPE, Node, run_on_nodes
from tests.processes import LINERATE, finish, only_run, run, start
from tests.test_emulated import namespaces_in_use
from tests.test_run import ranks_of, wait_for_points

pytestmark = pytest.mark.emulated

MESSAGE_BYTES = 3 * 2**18
"""Divides by 3 and by 4; what MPI sends beside it (headers, barriers) is a few KiB."""

PROGRAM = f"""
import json, os, socket, sys
from pathlib import Path
import numpy as np, psutil
from mpi4py import MPI
world = MPI.COMM_WORLD
rank, size = world.Get_rank(), world.Get_size()
count = {MESSAGE_BYTES} // 8
mine, found = np.arange(count, dtype=np.float64) + rank, np.empty(count)
share = count // size
def all_reduce():
    world.Allreduce(mine, found)
    return bool((found == size * np.arange(count) + size * (size - 1) / 2).all())
def all_to_all():
    world.Alltoall(mine, found)
    return all((found[q * share : (q + 1) * share] == mine[rank * share : (rank + 1) * share] - rank + q).all()
               for q in range(size))
call = {{"all_reduce": all_reduce, "all_to_all": all_to_all}}[sys.argv[1]]
def sent():
    world.Barrier()
    return psutil.net_io_counters(pernic=True)["fab0"].bytes_sent
assert call()  # connections are made
before = sent()
is_right = call()
after = sent()
Path(f"rank{{rank}}.json").write_text(json.dumps(
    [is_right, socket.gethostname(), (after - before) / {MESSAGE_BYTES}, os.environ["LINERATE_RANK"]]
))
"""


@pytest.fixture(autouse=True, scope="module")
def _namespaces() -> None:
    reason = missing(SHAPE)
    if reason is not None:
        assert os.environ.get("CI") != "true", f"CI must build the emulated fabric: {reason}"
        pytest.skip(reason)


def ran_on_hosts(
    folder: Path, collective: str, num_hosts: int, ranks_per_host: int, overrides: Sequence[str]
) -> list[float]:
    """Bytes that left each rank's host in one call, over those of the message; the data were right on all ranks."""
    config = compose(
        [
            "launcher=emulated",
            "backend=mpi",
            f"collectives={collective}",
            f"emulation.num_hosts={num_hosts}",
            f"emulation.ranks_per_host={ranks_per_host}",
            *overrides,
        ]
    )
    mpi = prepare(config)
    num_ranks = num_hosts * ranks_per_host
    environments = [{"LINERATE_RANK": str(rank)} for rank in range(num_ranks)]
    command = [sys.executable, "-c", PROGRAM, collective]

    def work(nodes: Sequence[Node]) -> Outcome:
        os.chdir(folder)
        hosts = [MpiHost(name=node.name, address=node.address, network=node.network) for node in nodes]
        interfaces = [nodes[0].interface] * num_ranks
        return mpi.run(hosts, environments, interfaces, folder, command=command)

    outcome = run_on_nodes(num_hosts, work)
    said = [path.read_text() for path in sorted(folder.glob("*.log"))]
    assert outcome == Outcome(exit_status=0, reason=None), (outcome, said)
    results = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(num_ranks)]
    assert all(is_right for is_right, *_ in results)
    assert [host for _, host, *_ in results] == [f"host{rank // ranks_per_host}" for rank in range(num_ranks)]
    assert [rank for *_, rank in results] == [str(rank) for rank in range(num_ranks)]
    return [float(share) for _, _, share, _ in results]


@pytest.mark.parametrize(
    ("algorithm", "shares"),
    [
        ("ring", [4 / 3, 4 / 3, 4 / 3]),  # 2 (n - 1) / n
        ("recursive_doubling", [1, 2, 1]),  # rank 0 hands its vector to rank 1, which gives the result back
        (
            "rabenseifner",
            [5 / 2, 1, 1],
        ),  # halves between ranks 0 and 1, then ranks 0 and 2; rank 1 gets the result
        ("linear", [2, 1, 1]),  # all to the root, which sends the result to each
    ],
)
def test_an_all_reduce_on_three_hosts_is_the_one_that_was_asked_for(
    algorithm: str, shares: list[float], tmp_path: Path
) -> None:
    """Three hosts tell all of them apart by what each one sends."""
    found = ran_on_hosts(tmp_path, "all_reduce", 3, 1, [f"mpi.algorithm={algorithm}"])
    assert found == pytest.approx(shares, rel=0.02)


@pytest.mark.parametrize(("algorithm", "share"), [("pairwise", 3 / 4), ("bruck", 1)])
def test_an_all_to_all_on_four_hosts_is_the_one_that_was_asked_for(
    algorithm: str, share: float, tmp_path: Path
) -> None:
    """(n - 1) / n of the buffer, or half of it in each of log2 n steps."""
    found = ran_on_hosts(tmp_path, "all_to_all", 4, 1, [f"mpi.algorithm={algorithm}"])
    assert found == pytest.approx([share] * 4, rel=0.02)


def test_ranks_of_one_host_keep_what_is_theirs_off_the_link(tmp_path: Path) -> None:
    """Rabenseifner's halves go to the neighbour first: a quarter of them, there and back, leaves each of two ranks."""
    found = ran_on_hosts(tmp_path, "all_reduce", 2, 2, ["mpi.algorithm=rabenseifner"])
    assert found == pytest.approx([2 * 2 / 4] * 4, rel=0.02)
    assert not list(Path("/dev/shm").glob("sm_segment.host*")), "what they share vanishes with the fabric"


def test_a_run_over_mpi_is_checked_counted_and_leaves_nothing(tmp_path: Path) -> None:
    """Even where the folder for temporary files has a name that no socket's address could hold."""
    scratch = tmp_path / ("deep" * 30)
    scratch.mkdir()
    command = [*LINERATE, "launcher=emulated", "backend=mpi", "emulation.num_hosts=3"]
    sizes = ["collectives=[all_reduce,send_recv]", "sizes.list_bytes=[768KiB]", "timing.num_iterations=3"]
    status, said = run([*command, *sizes, "mpi.algorithm=recursive_doubling"], tmp_path, TMPDIR=str(scratch))
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert (manifest.launcher, manifest.num_hosts, manifest.num_ranks) == ("emulated", 3, 3)
    assert {row["host"] for row in manifest.ranks} == {"host0", "host1", "host2"}
    assert set(summary["backend"]) == {"mpi"} and set(summary["num_wrong_elements"]) == {0}
    counted = dict(zip(summary["collective"], summary["counted_fabric_bytes_per_rank"], strict=True))
    assert counted["all_reduce"] == pytest.approx(2 * 768 * 1024, rel=0.05)
    assert counted["send_recv"] == pytest.approx(768 * 1024, rel=0.05)
    assert not list(scratch.iterdir())


LONG = [*LINERATE, "launcher=emulated", "backend=mpi", "collectives=all_reduce", "emulation.num_hosts=2"]


def test_a_rank_killed_on_another_host_ends_the_run_and_is_named(tmp_path: Path) -> None:
    process = start([*LONG, "sizes.list_bytes=[4KiB,8MiB]", "timing.num_iterations=60"], tmp_path)
    ranks = ranks_of(process.pid, 2)
    wait_for_points(tmp_path, 1)
    ranks[1].kill()
    status, said = finish(process, timeout_s=60)
    assert status == 3, said
    manifest, _ = only_run(tmp_path)
    assert (manifest.status, manifest.status_reason) == ("failed", "rank 1 was killed by SIGKILL")


def test_nothing_outlives_a_killed_launcher(tmp_path: Path) -> None:
    """mpirun's daemons are children of nobody here, and belong to its PID namespace all the same."""
    before = namespaces_in_use()
    process = start([*LONG, "sizes.list_bytes=[4KiB,8MiB]", "timing.num_iterations=60"], tmp_path)
    ranks = ranks_of(process.pid, 2)
    wait_for_points(tmp_path, 1)
    process.send_signal(signal.SIGKILL)
    finish(process, timeout_s=60)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (
        any(rank.is_running() for rank in ranks) or namespaces_in_use() - before
    ):
        time.sleep(0.05)
    assert not any(rank.is_running() for rank in ranks)
    assert not namespaces_in_use() - before


def test_another_mpi_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    stand_in = tmp_path / "mpirun"
    stand_in.write_text("#!/bin/sh\necho 'HYDRA build details:'\n")
    stand_in.chmod(0o755)
    program = (
        f"from bench.launch import emulated_mpi; emulated_mpi.find_mpirun = lambda: {str(stand_in)!r}\n"
        "from bench.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-P", "-c", program, "run", *LONG[len(LINERATE) :], "sizes.list_bytes=[4KiB]"]
    status, said = run(command, tmp_path)
    assert status == 2 and said.count("\n") == 1
    assert "needs Open MPI" in said and "linerate[mpi]" in said
