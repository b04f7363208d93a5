"""Times that linerate reports on gloo beside those of a loop written by hand; also the ranks that measure both.

As a program, `python -m benchmarks.costs.reported_time REPORT SETTINGS`, it is one rank of a pair.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.costs import DEADLINE_S, ITEM_BYTES, child_environment, note
from benchmarks.costs.report import Row, ratio_text, row, seconds_text
from benchmarks.costs.turns import Turns, in_turns

TIME_TARGET: Final = 1.02
NUM_RANKS: Final = 2
NUM_WARMUPS: Final = 2


def time_rows(
    sizes: Sequence[int], num_starts: int, num_quads: int, num_calls: int, *, is_pinned: bool
) -> list[Row]:
    """linerate's median of the slowest rank over that of a bare loop, same process group, blocks in turns."""
    from bench.model.units import format_bytes

    is_pinned = is_pinned and len(os.sched_getaffinity(0)) >= NUM_RANKS
    settings = {"sizes": list(sizes), "quads": num_quads, "calls": num_calls, "is_pinned": is_pinned}
    starts = []
    for number in range(num_starts):
        note(f"reported times, start {number + 1} of {num_starts}")
        starts.append(_run_pair(settings))
    rows = []
    for size in sizes:
        seen = [Turns(**start[str(size)]) for start in starts]
        ours, bare = median(median(one.ours_s) for one in seen), median(median(one.bare_s) for one in seen)
        rows.append(
            row(
                f"reported time over that of a bare loop: all_reduce of {format_bytes(size)}, gloo",
                [one.ratio for one in seen],
                TIME_TARGET,
                shown=ratio_text,
                is_low_enough=True,
                detail=f"{seconds_text(ours)} over {seconds_text(bare)}; {NUM_RANKS} ranks"
                f"{' pinned' if is_pinned else ''}, {num_starts} starts of {2 * num_quads * num_calls} calls each",
            )
        )
        rows.append(
            row(
                f"the same, the bare loop over itself, {format_bytes(size)}",
                [one.control_ratio for one in seen],
                None,
                detail="how finely this method can tell",
            )
        )
    return rows


def _run_pair(settings: dict[str, Any]) -> dict[str, Any]:
    """Start two ranks that measure both ways in turns, and return what rank 0 found."""
    from bench.launch.local import free_port

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        report = Path(folder) / "report.json"
        environment = child_environment(MASTER_PORT=str(free_port()), GLOO_SOCKET_IFNAME="lo")
        command = [
            sys.executable,
            "-P",
            "-m",
            "benchmarks.costs.reported_time",
            str(report),
            json.dumps(settings),
        ]
        logs = [stack.enter_context((Path(folder) / f"{rank}.log").open("w+")) for rank in range(NUM_RANKS)]
        ranks = [
            subprocess.Popen(command, env=environment | {"RANK": str(rank)}, stdout=log, stderr=log)
            for rank, log in enumerate(logs)
        ]
        deadline_s = time.monotonic() + DEADLINE_S
        try:
            while any(rank.poll() is None for rank in ranks) and not any(rank.poll() for rank in ranks):
                if time.monotonic() > deadline_s:
                    break
                time.sleep(0.05)
        finally:
            for rank in ranks:
                if rank.poll() is None:
                    rank.kill()  # the other one has failed, or both hang
                rank.wait()
        if not report.exists() or any(rank.returncode for rank in ranks):
            for log in logs:
                log.seek(0)
            said = "\n".join(log.read() for log in logs)
            raise RuntimeError(f"a rank failed, or hung for {DEADLINE_S:g} s:\n{said}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found


def _as_rank(report: Path, settings: dict[str, Any]) -> None:
    """One rank of the pair: one process group, every size in blocks in turns."""
    rank = int(os.environ["RANK"])
    if settings["is_pinned"]:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank]})  # before torch and gloo start their threads, which inherit it

    from bench.measure.torch_ranks import joined_torch

    with joined_torch(
        rank=rank,
        size=NUM_RANKS,
        local_rank=rank,
        backend="gloo",
        device="cpu",
        master_address="127.0.0.1",
        master_port=int(os.environ["MASTER_PORT"]),
        timeout_s=DEADLINE_S,
    ) as ranks:
        found = {
            str(size): dataclasses.asdict(_compare(ranks, size, settings["quads"], settings["calls"]))
            for size in settings["sizes"]
        }
    if rank == 0:
        report.write_text(json.dumps(found), encoding="utf-8")


def _compare(ranks: Any, message_bytes: int, num_quads: int, num_calls: int) -> Turns:
    """Both ways at one size."""
    import torch

    from benchmarks.costs.engine_block import EngineBlock

    by_linerate = EngineBlock(
        ranks,
        algorithm="native",
        placement="in_place",  # torch has no other all_reduce
        message_bytes=message_bytes,
        num_calls=num_calls,
        num_warmups=NUM_WARMUPS,
    )
    buffer = torch.zeros(message_bytes // ITEM_BYTES, dtype=torch.float32)  # so that sums of sums stay finite

    def by_hand() -> list[float]:
        everyones = ranks.gathered(_bare_block(buffer, num_calls))
        return [max(column) for column in zip(*everyones, strict=True)]

    return in_turns(by_linerate, by_hand, num_quads)


def _bare_block(buffer: Any, num_calls: int) -> list[float]:
    """The loop that one writes by hand: barrier, clock, call, clock. Shape: (num_calls,), seconds."""
    import torch.distributed as dist

    for _ in range(NUM_WARMUPS):
        dist.all_reduce(buffer)
    durations_s = []
    for _ in range(num_calls):
        dist.barrier()
        begun_s = time.perf_counter()
        dist.all_reduce(buffer)
        durations_s.append(time.perf_counter() - begun_s)
    return durations_s


if __name__ == "__main__":
    _as_rank(Path(sys.argv[1]), json.loads(sys.argv[2]))
