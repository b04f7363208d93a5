"""Several nodes: ranks that torchrun, mpirun and srun start find one another over the link, and one run folder says so."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.launch.emulated import missing
from bench.summary import COLUMNS
from tests.namespaces import SHAPE, Finished, Node, run_on_nodes, run_together, write_agent
from tests.processes import ROOT, TIMEOUT_S, clean_environment, only_run

TORCHRUN = str(ROOT / "scripts" / "torchrun-nodes")
MPIRUN = str(ROOT / "scripts" / "mpirun-nodes")
SBATCH = str(ROOT / "scripts" / "slurm.sbatch")
OVERRIDES = [
    "backend=gloo",
    "collectives=[all_reduce]",
    "sizes=quick",
    "sizes.list_bytes=[4KiB,64KiB]",
    "timing.num_iterations=6",
]
PREDICTED = [
    "predicted_time_s",
    "predicted_busbw_gbytes_per_s",
    "ceiling_busbw_gbytes_per_s",
    "efficiency",
]
ENVIRONMENT = clean_environment(LINERATE_VENV=sys.prefix)
OWN_FABRIC = """\
# Two machines, one 400G port each, one rank on each.
ranks_per_host: 1
mtu_bytes: 9000
ports_per_host: 1
nic_gbps: 400
sources: {site: inventory of the machines}
"""
FAKE_SRUN = """\
#!/bin/sh
# As srun starts one task on each of two nodes: with its variables, and with its own flags taken off.
while [ "${{1#-}}" != "$1" ]; do shift; done
number=0 tasks=
for address in {addresses}; do
    "{agent}" "$address" cd "$PWD" '&&' exec env SLURM_PROCID=$number SLURM_NODEID=$number SLURM_LOCALID=0 \\
        SLURM_STEP_NUM_TASKS=2 'SLURM_STEP_TASKS_PER_NODE="1(x2)"' SLURM_STEP_NODELIST={first} \\
        SLURM_JOB_ID=77 SLURM_STEP_ID=0 "$@" &
    tasks="$tasks $!"
    number=$((number + 1))
done
for task in $tasks; do
    wait "$task" || exit 1
done
"""


@pytest.fixture(scope="module")
def _namespaces() -> None:
    reason = missing(SHAPE)
    if reason is not None:
        assert os.environ.get("CI") != "true", f"CI must build nodes: {reason}"
        pytest.skip(reason)


def _torchrun(folder: Path, overrides: Sequence[str]) -> None:
    """Two nodes with one rank each; both must end well, and only the first may speak of results."""
    scratch = folder / "scratch"
    scratch.mkdir()  # torchrun leaves an empty folder of logs there

    def work(nodes: Sequence[Node]) -> list[Finished]:
        own = {
            "NNODES": "2",
            "MASTER_ADDR": nodes[0].address,
            "IFNAME": nodes[0].interface,
            "NPROC_PER_NODE": "1",
            "TMPDIR": str(scratch),
        }
        return run_together(
            [
                (node, [TORCHRUN, *overrides], ENVIRONMENT | own | {"NODE_RANK": str(number)})
                for number, node in enumerate(nodes)
            ],
            folder=folder,
            timeout_s=TIMEOUT_S,
        )

    first, second = run_on_nodes(2, work)
    assert (first.status, second.status) == (0, 0), f"{first.output}\n--- the other node ---\n{second.output}"
    assert "Results: runs/" in first.output
    assert second.output.strip() == "", "only rank 0 prints"


def _check(folder: Path, launched_by: str) -> None:
    manifest, summary = only_run(folder)
    assert (manifest.status, manifest.exit_status, manifest.launcher) == ("complete", 0, "external")
    assert manifest.launched_by == launched_by
    assert (manifest.num_ranks, manifest.num_hosts) == (2, 2)
    assert [row["host"] for row in manifest.ranks] == ["host0", "host1"]
    assert {host["name"] for host in manifest.hosts} == {"host0", "host1"}
    assert manifest.environment["MASTER_ADDR"] == "10.77.0.1", "the link's address, not loopback"
    assert manifest.environment["GLOO_SOCKET_IFNAME"] == "fab0"
    header = (folder / "runs" / "latest" / "summary.csv").read_text().splitlines()[0]
    assert header.split(",") == list(COLUMNS) == list(summary.columns)
    assert list(summary["message_bytes"]) == [4096, 65536]
    assert set(summary["num_hosts"]) == {2} and set(summary["num_wrong_elements"]) == {0}
    assert sorted(path.name for path in (folder / "runs").iterdir()) == [manifest.run_id, "latest"]


def _check_nothing_is_predicted(folder: Path) -> None:
    manifest, summary = only_run(folder)
    assert (manifest.transceiver, manifest.fabric) == ("unknown", "unknown")
    assert summary[PREDICTED].isna().all().all(), "nobody has named any optics"
    assert "optics" not in set(summary["bound_by"])


@pytest.mark.emulated
@pytest.mark.usefixtures("_namespaces")
def test_torchrun_on_two_nodes(tmp_path: Path) -> None:
    """With a folder in the way that is called like our package."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("raise SystemExit('the wrong bench')\n")
    _torchrun(tmp_path, OVERRIDES)
    _check(tmp_path, "torchrun")
    _check_nothing_is_predicted(tmp_path)


@pytest.mark.emulated
@pytest.mark.usefixtures("_namespaces")
@pytest.mark.parametrize("is_interface_named", [True, False])
def test_mpirun_on_two_nodes(is_interface_named: bool, tmp_path: Path) -> None:
    """Ranks agree on a master through MPI alone. The nodes' names have no address, as on hosts without DNS: without
    IFNAME gloo would listen on loopback. Variables of an outer srun are lying about."""

    def work(nodes: Sequence[Node]) -> list[Finished]:
        agent = tmp_path / "agent"
        write_agent(agent, nodes)
        own = {
            "HOSTS": ",".join(f"{node.address}:1" for node in nodes),
            "MPIRUN_FLAGS": "--allow-run-as-root",
            "PRTE_MCA_plm_ssh_agent": str(agent),
            "SLURM_PROCID": "0",
            "SLURM_STEP_NUM_TASKS": "2",
        }
        if is_interface_named:
            own["IFNAME"] = nodes[0].interface
        return run_together(
            [(nodes[0], [MPIRUN, *OVERRIDES], ENVIRONMENT | own)], folder=tmp_path, timeout_s=TIMEOUT_S
        )

    (said,) = run_on_nodes(2, work)
    assert said.status == 0, said.output
    assert said.output.count("Results: runs/") == 1
    _check(tmp_path, "openmpi")
    _check_nothing_is_predicted(tmp_path)


@pytest.mark.emulated
@pytest.mark.usefixtures("_namespaces")
def test_the_slurm_script_on_two_nodes(tmp_path: Path) -> None:
    """There is no SLURM here: what stands in for srun sets the variables that linerate reads. Named optics bring a prediction."""
    (tmp_path / "own.yaml").write_text(OWN_FABRIC)
    overrides = [*OVERRIDES, "transceiver=400g-osfp-dr4", "fabric=./own.yaml", "transport=tcp"]
    commands = tmp_path / "commands"
    commands.mkdir()

    def work(nodes: Sequence[Node]) -> list[Finished]:
        agent = tmp_path / "agent"
        write_agent(agent, nodes)
        srun = commands / "srun"
        addresses = " ".join(node.address for node in nodes)
        srun.write_text(FAKE_SRUN.format(addresses=addresses, agent=agent, first=nodes[0].address))
        srun.chmod(0o755)
        own = {"SLURM_SUBMIT_DIR": str(tmp_path), "PATH": f"{commands}:{os.environ['PATH']}"}
        return run_together(
            [(nodes[0], [SBATCH, *overrides], ENVIRONMENT | own)], folder=tmp_path, timeout_s=TIMEOUT_S
        )

    (said,) = run_on_nodes(2, work)
    assert said.status == 0, said.output
    assert said.output.count("Results: runs/") == 1
    _check(tmp_path, "slurm")
    manifest, summary = only_run(tmp_path)
    assert (manifest.transceiver, manifest.fabric) == ("400g-osfp-dr4", "own")
    assert summary[PREDICTED].notna().all().all()
    # Two ranks: busbw of all_reduce is its algbw, and what a port carries in payload is at most its MAC rate, 50 GB/s.
    assert ((summary["ceiling_busbw_gbytes_per_s"] > 45) & (summary["ceiling_busbw_gbytes_per_s"] < 50)).all()
    # The nodes' link is a thousand times slower than the optics that were named.
    assert ((summary["efficiency"] > 0) & (summary["efficiency"] < 0.01)).all()


@pytest.mark.parametrize(
    ("script", "given", "named"),
    [
        (TORCHRUN, {}, "NNODES"),
        (TORCHRUN, {"NNODES": "two"}, "NNODES"),
        (TORCHRUN, {"NNODES": "2"}, "NODE_RANK"),
        (TORCHRUN, {"NNODES": "2", "NODE_RANK": "2"}, "NODE_RANK"),
        (TORCHRUN, {"NNODES": "2", "SLURM_NODEID": "1"}, "MASTER_ADDR"),
        (TORCHRUN, {"NNODES": "2", "NODE_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "0"}, "MASTER_PORT"),
        (TORCHRUN, {"NNODES": "2", "NODE_RANK": "0", "MASTER_ADDR": "a", "IFNAME": "none0"}, "IFNAME"),
        (TORCHRUN, {"NNODES": "1", "NODE_RANK": "0", "MASTER_ADDR": "a", "NPROC_PER_NODE": "gpu"}, "NPROC_PER_NODE"),
        (TORCHRUN, {"NNODES": "1", "NODE_RANK": "0", "MASTER_ADDR": "a", "LINERATE_VENV": "/nowhere"}, "LINERATE_VENV"),
        (MPIRUN, {}, "HOSTS"),
        (MPIRUN, {"HOSTS": "node1:many"}, "HOSTS"),
        (MPIRUN, {"HOSTS": "node1", "MPIRUN": "/bin/true"}, "/bin/true"),
        (MPIRUN, {"HOSTS": "node1", "MPIRUN": "/nowhere/mpirun"}, "MPIRUN"),
        (MPIRUN, {"HOSTS": "node1", "LINERATE_VENV": "/nowhere"}, "LINERATE_VENV"),
    ],
)  # fmt: skip
def test_what_a_script_lacks_is_one_line_and_exit_2(
    script: str, given: dict[str, str], named: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [script, *OVERRIDES],
        cwd=tmp_path,
        env=ENVIRONMENT | given,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert Path(script).name in done.stderr and named in done.stderr
    assert not list(tmp_path.iterdir())
