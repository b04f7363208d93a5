"""A deadline ends a process that hangs, says where it hung, and leaves one alone that does not."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure.watchdog import Watchdog

HANG = """
def stuck_here():
    threading.Event().wait()
"""


def run(tmp_path: Path, program: str) -> "subprocess.CompletedProcess[str]":
    """Run ``program`` in a process of its own; ``folder`` in it is tmp_path."""
    start = (
        "import threading, time, os, sys\nfrom pathlib import Path\nfrom bench.measure import watchdog\n"
        f"from bench.measure.watchdog import Watchdog\nfolder = Path({str(tmp_path)!r})\n{HANG}"
    )
    return subprocess.run(
        [sys.executable, "-c", start + program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def stacks(tmp_path: Path, rank: int) -> str:
    return (tmp_path / "stacks" / f"rank{rank}.txt").read_text()


def test_a_hang_leaves_stacks_calls_back_once_and_ends_with_3(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def note(sentence):
    with (folder / "noted").open("a") as stream:
        stream.write(sentence + "\\n")
dog = Watchdog(5, on_timeout=note)
dog.folder = folder  # known only later
with dog.armed("all_reduce of 4 KiB", 0.2):
    stuck_here()
""",
    )
    assert done.returncode == 3, done.stderr
    sentence = "all_reduce of 4 KiB did not end within 0.2 s"
    assert stacks(tmp_path, 5).startswith(f"rank 5: {sentence}\n")
    assert "in stuck_here" in stacks(tmp_path, 5) and "_watch" in stacks(tmp_path, 5)
    assert (tmp_path / "noted").read_text() == f"{sentence}\n"
    assert done.stderr.splitlines()[-1].startswith(f"linerate: rank 5: {sentence}; ")
    assert str(tmp_path / "stacks" / "rank5.txt") in done.stderr


def test_what_ends_in_time_is_left_alone(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
dog = Watchdog(0, folder=folder)
for _ in range(1000):
    with dog.armed("a short block", 0.5):
        pass
dog.arm("a last one", 0.5)
dog.disarm()
time.sleep(1)
print("done")
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert not list(tmp_path.iterdir())


def test_a_deadline_that_moves_on_does_not_pass(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
dog = Watchdog(0, folder=folder)
for _ in range(60):
    dog.arm("a block", 2)
    time.sleep(0.05)
""",
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arming",
    [
        'dog.arm("first", 1000); dog.arm("the block", 0.2)',  # earlier than what the thread sleeps for
        'dog.arm("first", 0.2); dog.disarm(); time.sleep(0.5); dog.arm("the block", 0.2)',  # it sleeps for good
        'dog.arm("first", 1000); dog.disarm(); dog.arm("the block", 0.2)',
        'dog.arm("the block", 0.2)\nwith dog.armed("inside", 1000): pass',  # the outer one counts again
    ],
)
def test_the_deadline_that_counts_is_the_last_one_set(arming: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"dog = Watchdog(1, folder=folder)\n{arming}\nstuck_here()")
    assert done.returncode == 3
    assert stacks(tmp_path, 1).startswith("rank 1: the block did not end within 0.2 s\n")


def test_a_callback_that_fails_still_ends_the_process(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
def fail(sentence):
    raise SystemExit("the callback failed")
def end():
    print("end", flush=True)
    raise KeyError("so did the end")
Watchdog(0, folder=folder, on_timeout=fail, end=end).arm("a call", 0.2)
stuck_here()
""",
    )
    assert (done.returncode, done.stdout) == (3, "end\n")
    assert "the callback failed" in done.stderr and "so did the end" in done.stderr
    assert "in stuck_here" in stacks(tmp_path, 0)


@pytest.mark.parametrize("hook", ["on_timeout", "end"])
def test_a_callback_that_hangs_still_ends_the_process(hook: str, tmp_path: Path) -> None:
    done = run(
        tmp_path,
        f"""
watchdog.LAST_WORDS_S = 0.2
Watchdog(0, folder=folder, {hook}=lambda *_: stuck_here()).arm("a call", 0.2)
stuck_here()
""",
    )
    assert done.returncode == 3


def test_the_owner_may_end_the_process_another_way(tmp_path: Path) -> None:
    done = run(
        tmp_path, 'Watchdog(0, end=lambda: os._exit(17)).arm("a call", 0.2)\nstuck_here()'
    )  # as Comm.Abort does
    assert done.returncode == 17


@pytest.mark.parametrize("folder", ["None", 'folder / "absent"', 'folder / "file"'])
def test_without_a_folder_stacks_go_to_standard_error(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, f'Watchdog(2, folder={folder}).arm("a call", 0.2)\nstuck_here()')
    assert done.returncode == 3
    assert "in stuck_here" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("linerate: rank 2: a call did not end within 0.2 s; ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "no folder is made where none was"


def test_nothing_is_both_given_up_and_measured(tmp_path: Path) -> None:
    """The call ends just after its deadline, while the callback writes that it did not."""
    done = run(
        tmp_path,
        """
begun, may_go_on = threading.Event(), threading.Event()
def slow(sentence):
    begun.set()
    may_go_on.wait(1)  # time enough for the main thread to go on, if it did
    print("given up", flush=True)
dog = Watchdog(0, folder=folder, on_timeout=slow)
with dog.armed("a call", 0.2):
    begun.wait()
may_go_on.set()
print("measured", flush=True)
""",
    )
    assert (done.returncode, done.stdout) == (3, "given up\n")


def test_a_callback_may_disarm(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
dog = Watchdog(0, folder=folder, on_timeout=lambda sentence: (dog.disarm(), print("disarmed", flush=True)))
dog.arm("a call", 0.2)
stuck_here()
""",
    )
    assert (done.returncode, done.stdout) == (3, "disarmed\n")


def test_the_flight_recorder_is_written_where_it_has_entries(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
import torch, torch.distributed as dist
module = sys.modules["torch._C._distributed_c10d"]
print(hasattr(module, "_dump_fr_trace_json"), flush=True)
dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
dist.all_reduce(torch.ones(4))
Watchdog(0, folder=folder).arm("a call", 0.2)
stuck_here()
""",
    )
    assert done.returncode == 3, done.stderr
    if done.stdout == "False\n":
        pytest.skip("this torch records the calls of NCCL alone")
    records = json.loads((tmp_path / "stacks" / "flight_rank0.json").read_bytes())
    assert [entry["profiling_name"] for entry in records["entries"]] == ["gloo:all_reduce"]


def test_the_recorder_of_nccl_comes_first(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
import types
sys.modules["torch._C._distributed_c10d"] = types.SimpleNamespace(
    _dump_nccl_trace_json=lambda: b'{"entries": ["of nccl"]}', _dump_fr_trace_json=lambda: b'{"entries": ["of gloo"]}'
)
Watchdog(0, folder=folder).arm("a call", 0.2)
stuck_here()
""",
    )
    assert done.returncode == 3, done.stderr
    assert "of nccl" in (tmp_path / "stacks" / "flight_rank0.json").read_text()


def test_no_flight_record_where_nothing_was_recorded(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        'import torch.distributed\nWatchdog(0, folder=folder).arm("a call", 0.2)\nstuck_here()',
    )
    assert done.returncode == 3, done.stderr
    assert [path.name for path in (tmp_path / "stacks").iterdir()] == ["rank0.txt"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit_s", [0, -1, math.nan])
def test_a_deadline_lies_in_the_future(limit_s: float) -> None:
    with pytest.raises(ValueError, match="the sizes sweep"):
        Watchdog(0).arm("the sizes sweep", limit_s)
