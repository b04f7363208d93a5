"""Ranks below mpirun are told, ended and reported on like those of the other launchers, and nothing stays behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from bench.launch import mpirun
from bench.launch.holder import is_ours
from bench.launch.identity import mpi_rank
from tests.processes import finish, start

SUPERVISOR = """
import json, sys
from pathlib import Path
from bench.compose import compose
from bench.launch.mpirun import run_mpi
Path("logs").mkdir()
command = [sys.executable, "-c", sys.argv[2]]
outcome = run_mpi(
    compose(["launcher=local", *sys.argv[3:]]), int(sys.argv[1]), {"RUN_ID": "a-run"}, Path("logs"), command=command
)
print("outcome", json.dumps([outcome.exit_status, outcome.reason]))
"""
PLAIN = """
import json, os, signal, sys, time
from pathlib import Path
rank = int(os.environ["LINERATE_RANK"])
def up():
    Path(f"up{rank}").touch()
"""
MPI = f"""{PLAIN}
from mpi4py import MPI
world = MPI.COMM_WORLD
assert (world.Get_rank(), world.Get_size()) == (rank, int(os.environ["LINERATE_WORLD_SIZE"]))
"""


def begin(
    folder: Path, num_ranks: int, program: str, overrides: Sequence[str] = (), **environment: str
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-c", SUPERVISOR, str(num_ranks), program, *overrides]
    return start(command, folder, **environment)


def outcome(process: "subprocess.Popen[str]") -> tuple[int, str | None, str]:
    """Exit status and reason that the supervisor gives, and what else there was on its terminal."""
    status, said = finish(process)
    assert status == 0, said
    shown, _, last = said.rpartition("outcome ")
    exit_status, reason = json.loads(last)
    return exit_status, reason, shown


def ranks_up(process: "subprocess.Popen[str]", folder: Path, number: int) -> list[psutil.Process]:
    """Everything below the supervisor once ``number`` ranks have said that they are up: mpirun, holders, ranks."""
    deadline_s = time.monotonic() + 100
    while not all((folder / f"up{rank}").exists() for rank in range(number)):
        assert time.monotonic() < deadline_s and process.poll() is None, "the ranks did not come up"
        time.sleep(0.05)
    return psutil.Process(process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_ranks_are_those_of_mpi_and_rank_0_alone_has_the_terminal(tmp_path: Path) -> None:
    program = (
        MPI
        + """
from bench.launch.identity import discover
print("sum", world.allreduce(rank), discover(os.environ).source, os.environ["LINERATE_RUN_ID"],
      json.loads(os.environ["LINERATE_CONFIG"])["launcher"]["kind"], os.readlink("/proc/self/fd/0"), flush=True)
"""
    )
    found = outcome(begin(tmp_path, 3, program))
    line = "sum 3 linerate a-run local /dev/null\n"
    assert found == (0, None, line)
    assert (tmp_path / "logs" / "rank2.log").read_text() == line
    assert (tmp_path / "logs" / "mpirun.log").read_text() == ""


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("sys.exit(1)", (1, None)),  # wrong data, say: every rank knows
        ("sys.exit(130)", (130, None)),
        ("sys.stdout.flush(); os._exit(0)", (0, None)),  # as our ranks end, without MPI_Finalize
        (
            "if rank == 1: print('the last word', flush=True); os._exit(5)\ntime.sleep(1)",
            (3, "rank 1 ended with status 5: the last word"),
        ),
        (
            "if rank == 1: os.kill(os.getpid(), signal.SIGKILL)\nworld.Barrier()",
            (3, "rank 1 was killed by SIGKILL"),
        ),
        ("if rank == 1: os.kill(os.getpid(), signal.SIGSEGV)", (3, "rank 1 was killed by SIGSEGV")),
    ],
)
def test_the_end_of_ranks_is_told(end: str, expected: tuple[int, str | None], tmp_path: Path) -> None:
    assert outcome(begin(tmp_path, 2, f"{MPI}\n{end}"))[:2] == expected


def test_abort_of_one_rank_ends_all(tmp_path: Path) -> None:
    """What the reason can be depends on whether mpirun lets the rank report before it ends it."""
    process = begin(tmp_path, 2, f"{MPI}\nup()\nif rank == 1: world.Abort(3)\nworld.Barrier()")
    exit_status, reason, _ = outcome(process)
    assert exit_status == 3
    assert reason is not None and reason.startswith(
        ("rank 1 ended with status 3", "mpirun ended with status")
    )


WAITING = """
wanted = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: wanted.append(1))
up()
while not {stop}:
    time.sleep(0.05)
sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_rank_0_alone(number: signal.Signals, tmp_path: Path) -> None:
    program = MPI + WAITING.format(stop="world.bcast(wanted)")
    process = begin(tmp_path, 2, program)
    ranks_up(process, tmp_path, 2)
    process.send_signal(number)
    assert outcome(process)[:2] == (130, number.name)


def test_the_second_signal_stops_at_once(tmp_path: Path) -> None:
    process = begin(tmp_path, 2, PLAIN + WAITING.format(stop="Path('never').exists()"))
    below = ranks_up(process, tmp_path, 2)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert outcome(process)[:2] == (130, "SIGINT, twice")
    assert_gone(below)


@pytest.mark.parametrize("victim", ["supervisor", "mpirun"])
def test_nothing_outlives_the_supervisor_or_mpirun(victim: str, tmp_path: Path) -> None:
    stubborn = PLAIN + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nup()\ntime.sleep(1000)"
    process = begin(tmp_path, 2, stubborn)
    below = ranks_up(process, tmp_path, 2)
    assert len(below) == 5, "mpirun, two holders, two ranks"
    if victim == "supervisor":
        process.kill()
        process.wait()
    else:
        psutil.Process(process.pid).children()[0].kill()
        assert outcome(process)[:2] == (3, "mpirun was killed by SIGKILL before its ranks")
    assert_gone(below)


def test_ranks_do_not_leave_this_machine_for_the_nodes_of_a_batch_job(tmp_path: Path) -> None:
    job = {"SLURM_JOBID": "7", "SLURM_JOB_ID": "7", "SLURM_NNODES": "2", "SLURM_TASKS_PER_NODE": "2(x2)"}
    nodes = {"SLURM_NODELIST": "absent[1-2]", "SLURM_JOB_NODELIST": "absent[1-2]"}
    program = MPI + "print(os.environ['SLURM_JOB_ID'], flush=True)"
    assert outcome(begin(tmp_path, 2, program, **job, **nodes)) == (0, None, "7\n")


def script(folder: Path, content: str) -> Path:
    path = folder / "mpirun"
    path.write_text(f"#!/bin/sh\n{content}\n")
    path.chmod(0o755)
    return path


def test_options_are_those_of_the_mpi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpirun, "num_cores", lambda: 2)
    program = str(script(tmp_path, "echo 'mpirun (Open MPI) 4.1.4'"))
    open_mpi = mpirun.mpirun_options(program, 3)
    assert open_mpi[-2:] == ["-n", "3"] and "--oversubscribe" in open_mpi
    assert "--oversubscribe" not in mpirun.mpirun_options(program, 2), "ranks stay bound to their cores"
    assert ("--allow-run-as-root" in open_mpi) == (os.geteuid() == 0)
    mpich = mpirun.mpirun_options(str(script(tmp_path, "echo 'HYDRA build details:'")), 3)
    assert mpich == ["-hosts", "localhost", "-n", "3"]
    with pytest.raises(ValueError, match=r"status 127: no libmpi; .*linerate\[mpi\]"):
        mpirun.mpirun_options(str(script(tmp_path, "echo 'no libmpi' >&2; exit 127")), 3)


def test_waiting_ranks_yield_where_they_share_cores_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mpirun, "num_cores", lambda: 2)
    name = "OMPI_MCA_mpi_yield_when_idle"
    assert mpirun.mpirun_environment({"HOME": "/a", "PBS_JOBID": "1"}, 3) == {"HOME": "/a", name: "1"}
    assert mpirun.mpirun_environment({"HOME": "/a"}, 2) == {"HOME": "/a"}
    assert mpirun.mpirun_environment({name: "0"}, 3) == {name: "0"}


def test_mpirun_beside_this_python_comes_before_that_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, beside = tmp_path / "elsewhere", tmp_path / "prefix" / "bin"
    for folder in (elsewhere, beside):
        folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(elsewhere))
    with pytest.raises(ValueError, match=r"pip install 'linerate\[mpi\]'"):
        mpirun.find_mpirun()
    on_path = script(elsewhere, "")
    assert mpirun.find_mpirun() == str(on_path)
    assert mpirun.find_mpirun() != str(script(beside, "")) == mpirun.find_mpirun()


def test_without_mpi4py_there_is_no_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"mpi4py.*pip install 'linerate\[mpi\]'"):
        mpirun.find_mpirun()


def begin_with(folder: Path, content: str, *overrides: str) -> tuple[int, str | None]:
    """Outcome of a run whose mpirun is a shell script."""
    path = script(folder, f'[ "$1" = --version ] && exit\n{content}')
    stand_in = f"from bench.launch import mpirun; mpirun.find_mpirun = lambda: {str(path)!r}\n"
    command = [sys.executable, "-P", "-c", stand_in + SUPERVISOR, "2", PLAIN, *overrides]
    return outcome(start(command, folder))[:2]


def test_an_mpirun_that_fails_is_quoted(tmp_path: Path) -> None:
    exit_status, reason = begin_with(tmp_path, "echo -----; echo 'no slots'; echo 'at all'; exit 9")
    assert (exit_status, reason) == (3, "mpirun ended with status 9 before its ranks: no slots at all")


def test_an_mpirun_that_says_no_ranks_is_quoted(tmp_path: Path) -> None:
    exit_status, reason = begin_with(tmp_path, 'shift 4; exec "$@"')
    assert exit_status == 3 and reason is not None
    assert "OMPI_COMM_WORLD_RANK" in reason and "Traceback" not in reason


def test_an_mpirun_that_starts_nothing_is_given_up(tmp_path: Path) -> None:
    exit_status, reason = begin_with(tmp_path, "sleep 1000", "timing.timeout_s=1")
    assert exit_status == 3 and reason is not None
    assert "0 of 2 ranks" in reason and "timing.timeout_s" in reason


def test_an_interrupt_before_ranks_are_there_ends_the_run(tmp_path: Path) -> None:
    path = script(tmp_path, '[ "$1" = --version ] && exit\ntouch up0\nexec sleep 1000')
    stand_in = f"from bench.launch import mpirun; mpirun.find_mpirun = lambda: {str(path)!r}\n"
    process = start([sys.executable, "-P", "-c", stand_in + SUPERVISOR, "2", PLAIN], tmp_path)
    below = ranks_up(process, tmp_path, 1)
    process.send_signal(signal.SIGINT)
    assert outcome(process)[:2] == (130, "SIGINT")
    assert_gone(below)


def test_another_user_is_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert is_ours(ours)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        assert not is_ours(ours)


@pytest.mark.parametrize(
    ("environ", "rank"),
    [
        ({"OMPI_COMM_WORLD_RANK": "2", "PMI_RANK": "0"}, 2),
        ({"PMI_RANK": "3"}, 3),
        ({"MV2_COMM_WORLD_RANK": "1"}, 1),
    ],
)
def test_the_rank_is_what_mpirun_says(environ: dict[str, str], rank: int) -> None:
    assert mpi_rank(environ) == rank
    with pytest.raises(ValueError, match="OMPI_COMM_WORLD_RANK, PMI_RANK"):
        mpi_rank({"RANK": "1", "SLURM_PROCID": "1"})
