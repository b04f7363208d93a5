"""What linerate adds to an MPI call: its engine beside a plain loop in C of the same call on the same MPI.

    python benchmarks/mpi_overhead.py [--starts 8] [--sizes 8 64KiB 1MiB 16MiB] [--out FILE.md]

It needs mpi4py, mpirun and mpicc of the same MPI, and two processors. Exit status 1 where a target is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the linerate of this checkout is measured

from bench.model.units import format_bytes, parse_bytes
from benchmarks.costs import ITEM_BYTES, note
from benchmarks.costs.c_loop import build, library_version
from benchmarks.costs.mpi_turns import WAYS, calls_per_block, one_start
from benchmarks.costs.report import interval, interval_text, markdown, origin, ratio_text, verdict
from benchmarks.costs.turns import Turns

RATIO_TARGET: Final = 1.05
"""Of calls of `LONG_BYTES` and more: the interval of the ratio has to reach down to it."""
LONG_BYTES: Final = 64 * 1024
ADDED_TARGET_S: Final = 0.9e-6
"""Of shorter ones, which last few microseconds in C: the median of what is added, in seconds. About what mpi4py with prepared
arguments adds by itself on a quiet machine; `mpi_calls.py` says how much it is on this one."""
US_PER_S: Final = 1e6

HEADER: Final = (
    "all_reduce",
    "size",
    "linerate, us",
    "C, us",
    "ratio",
    "95 % interval",
    "difference, us",
    "95 % interval",
    "C over itself",
    "target",
    "met",
)
METHOD: Final = (
    "An all_reduce of float32 by 2 ranks: what linerate's latency pass reports, over what a loop in C (barrier, clock, call, "
    "clock) sees of the same call in the same processes on the same buffers. Both sides: median over calls of the slower "
    "rank. Blocks in turns (ABBA); a ratio per start of the processes is the median over neighbouring blocks, and the table has "
    "medians over starts, with distribution-free intervals of at least 95 %."
)


def main() -> int:
    options = _options()
    below = origin("mpi_overhead.py", library_version())
    starts = []
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        for number in range(options.starts):
            note(f"start {number + 1} of {options.starts}")
            starts.append(one_start(Path(name), options.sizes, options.quads, options.calls))
    rows, verdicts = [], []
    for way in WAYS:
        for size in options.sizes:
            seen = [start[way.title, size] for start in starts]
            target, is_met, is_clear = _judged(size, seen)
            verdicts.append(is_met)
            rows.append(
                [way.title, format_bytes(size), *_measured(seen), target, verdict(is_met, is_clear=is_clear)]
            )
    counts = ", ".join(
        f"{2 * options.quads * calls_per_block(size, options.calls)} of {format_bytes(size)}"
        for size in options.sizes
    )
    method = f"{METHOD} {len(starts)} starts, with calls of each side in each: {counts}."
    text = markdown("What linerate adds to an MPI call", method, HEADER, rows, below())
    print(text, end="")
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return 1 if False in verdicts else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--starts", type=int, default=8, metavar="N", help="pairs of processes; an interval needs 6")
    add("--sizes", nargs="+", type=parse_bytes, default=[8, 2**16, 2**20, 2**24], metavar="BYTES")
    add("--quads", type=int, default=3, metavar="N", help="ABBA groups of blocks in each start, way and size")
    add("--calls", type=int, default=200, metavar="N", help="calls in each block; fewer of long messages")
    add("--out", type=Path, metavar="FILE.md", help="also write the table there")
    options = parser.parse_args()
    for size in options.sizes:
        if size < ITEM_BYTES or size % ITEM_BYTES:
            parser.error(f"--sizes: {size} bytes are no whole number of float32 elements")
    return options


def _measured(seen: Sequence[Turns]) -> list[str]:
    ratios, added_s = [one.ratio for one in seen], [one.difference_s for one in seen]
    return [
        _us(median(median(one.ours_s) for one in seen)),
        _us(median(median(one.bare_s) for one in seen)),
        ratio_text(median(ratios)),
        interval_text(ratios, ratio_text),
        _signed_us(median(added_s)),
        interval_text(added_s, _signed_us),
        interval_text([one.control_ratio for one in seen], ratio_text),
    ]


def _judged(message_bytes: int, seen: Sequence[Turns]) -> tuple[str, bool | None, bool]:
    """The target, whether it is met (None without an interval), and whether that is clear or the target lies in the interval."""
    if message_bytes < LONG_BYTES:
        added_s = [one.difference_s for one in seen]
        is_met = median(added_s) <= ADDED_TARGET_S if interval(added_s) else None
        return f"<= {_signed_us(ADDED_TARGET_S)} us", is_met, True
    limits = interval([one.ratio for one in seen])
    if limits is None:
        return f"<= {RATIO_TARGET:g}", None, True
    return f"<= {RATIO_TARGET:g}", limits[0] <= RATIO_TARGET, limits[1] <= RATIO_TARGET


def _us(value_s: float) -> str:
    return f"{value_s * US_PER_S:.2f}"


def _signed_us(value_s: float) -> str:
    return f"{value_s * US_PER_S:+.2f}"


if __name__ == "__main__":
    sys.exit(main())
