"""Are a late rank, a slow link and a stall told apart, and is a clean run left alone? Injected on the emulated fabric.

    python benchmarks/stragglers.py [--runs 20] [--out docs/measured/stragglers.md]

Each run is a process of its own: all_reduce with 4 hosts of one rank, 64 KiB and 2 MiB, 21 calls of each. It counts as right if
the point of 2 MiB has the finding that was injected, and a clean run if no point has any. Faults in turn, so that a
noisy minute does not fall on one of them alone.
"""

import argparse
import csv
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import psutil

KINDS = {
    "clean": (None, ""),
    "rank 2 late by 50 ms": ("{kind: late_rank, rank: 2, delay_s: 0.05}", "late rank 2"),
    "link of host 1 at half rate": ("{kind: slow_link, host: 1, rate_fraction: 0.5}", "everyone slow"),
    "one stall of 300 ms": ("{kind: stall, rank: 1, iteration: ITERATION, duration_s: 0.3}", "single stall"),
}
"""Name to the fault and the finding that is expected; the iteration of a stall is drawn for each run."""

COMMON = [
    *("launcher=emulated", "collectives=[all_reduce]", "sizes.list_bytes=[64KiB,2MiB]"),
    "timing.num_iterations=21",
]
JUDGED_BYTES = 2 * 2**20


def findings(fault: str | None, folder: Path) -> dict[int, str]:
    """Message size to finding, of one run; empty where nothing stands out."""
    command = [sys.executable, "-P", "-m", "bench", *COMMON, f"run_dir={folder}"]
    if fault is not None:
        command.append(f"emulation.faults=[{fault}]")
    quiet = os.environ | {"LINERATE_FIGURE": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if done.returncode:
        sys.exit(done.stderr)
    with (folder / "latest" / "summary.csv").open() as stream:
        return {int(row["message_bytes"]): row["finding"] for row in csv.DictReader(stream)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="runs of each kind")
    parser.add_argument("--out", type=Path, help="also write the result there")
    options = parser.parse_args()
    load = psutil.getloadavg()[0]
    chance = random.Random(1)
    right: Counter[str] = Counter()
    said: dict[str, Counter[str]] = {name: Counter() for name in KINDS}
    for number in range(options.runs):
        for name, (fault, expected) in KINDS.items():
            if fault is not None:
                fault = fault.replace("ITERATION", str(chance.randrange(2, 19)))
            with tempfile.TemporaryDirectory() as folder:
                found = findings(fault, Path(folder))
            judged = found[JUDGED_BYTES] if expected else " ".join(filter(None, found.values()))
            is_right = judged.startswith(expected) if expected else not judged
            right[name] += is_right
            said[name][judged.split(" at ")[0] or "nothing"] += 1
            print(f"{number + 1}/{options.runs}  {name}: {judged or 'nothing'}", file=sys.stderr)
    lines = ["| injected | right | said |", "|---|---|---|"]
    for name in KINDS:
        answers = ", ".join(f"{what} ({count})" for what, count in said[name].most_common())
        lines.append(f"| {name} | {right[name]} of {options.runs} | {answers} |")
    machine = f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} processors, load {load:.1f} before"
    lines += [
        "",
        f"Machine: {machine}; Python {platform.python_version()}.",
        f"Command: `python {' '.join(sys.argv)}`",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out is not None:
        options.out.write_text("# Stragglers told apart on the emulated fabric\n\n" + text)


if __name__ == "__main__":
    main()
