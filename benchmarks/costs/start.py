"""From starting torchrun to the beginning of the first sample: linerate over a bare program."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.costs import DEADLINE_S, child_environment, note
from benchmarks.costs.report import Row, interval_text, ratio_text, seconds_text

START_TARGET: Final = 1.3
MIN_LAUNCHES: Final = 5
START_BYTES: Final = 64 * 1024
"""Message of the first sample; its duration does not count, so any size will do."""
NUM_RANKS: Final = 2

LINERATE: Final = "linerate_start"
BARE: Final = "bare_start"
"""Modules beside this one, each started as the program of the ranks."""

ARGUMENTS: Final[dict[str, list[str]]] = {
    BARE: [str(START_BYTES)],
    LINERATE: [
        "backend=gloo",
        "collectives=[all_reduce]",
        f"sizes.min_bytes={START_BYTES}",
        f"sizes.max_bytes={START_BYTES}",
        "timing.num_iterations=10",
    ],
}


def start_rows(num_launches: int) -> list[Row]:
    """One row; launches in turns, either one first every second time."""
    taken_s: dict[str, list[float]] = {LINERATE: [], BARE: []}
    for name in taken_s:
        _launch(name)
    for number in range(num_launches):
        note(f"start to first sample, launch {number + 1} of {num_launches}")
        for name in (LINERATE, BARE) if number % 2 else (BARE, LINERATE):
            taken_s[name].append(_launch(name))
    ours_s, bare_s = median(taken_s[LINERATE]), median(taken_s[BARE])
    paired = [ours / bare for ours, bare in zip(taken_s[LINERATE], taken_s[BARE], strict=True)]
    ratio = ours_s / bare_s
    return [
        Row(
            question="torchrun to the first sample, linerate over a bare program",
            measured=ratio_text(ratio),
            interval=interval_text(paired, ratio_text),
            target=f"<= {START_TARGET:g}",
            is_met=ratio <= START_TARGET if num_launches >= MIN_LAUNCHES else None,
            detail=f"{seconds_text(ours_s)} over {seconds_text(bare_s)}, medians of {num_launches} launches "
            "each; the interval is that of paired launches",
        )
    ]


def _launch(name: str) -> float:
    """Seconds from starting torchrun to the beginning of rank 0's first sample."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "first_sample"
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={NUM_RANKS}"]
        program = ["-m", f"benchmarks.costs.{name}", str(report), *ARGUMENTS[name]]
        begun_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *torchrun, *program],
            env=child_environment(GLOO_SOCKET_IFNAME="lo"),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if done.returncode or not report.exists():
            raise RuntimeError(f"{name}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        # perf_counter is CLOCK_MONOTONIC on Linux, one clock for all processes of the machine.
        return float(report.read_text(encoding="utf-8")) - begun_s
