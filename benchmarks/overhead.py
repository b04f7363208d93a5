"""What linerate itself costs: in its loop, in reported times, at its start, and in verbs that only print.

Every cost is measured beside the same thing done without linerate, in turns, so that what else the machine does falls on
both. `benchmarks/README.md` says how to run it and how to read the table.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the linerate of this checkout is measured

from bench.model.units import parse_bytes
from benchmarks.costs import ITEM_BYTES
from benchmarks.costs.report import HEADER, Row, markdown, origin

PARTS: Final = ("loop", "time", "verbs", "start")
METHOD: Final = "Medians, each with a distribution-free interval of at least 95 %; ratios are paired in each start of the processes."


def main() -> int:
    """Measure the parts that were asked for; exit status 1 where a target is missed."""
    options = _options()
    below = origin("overhead.py")
    rows = _rows(options)
    text = markdown("What linerate itself costs", METHOD, HEADER, [row.cells for row in rows], below())
    print(text, end="")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 1 if any(row.is_met is False for row in rows) else 0


def _rows(options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    if "loop" in options.parts:
        from benchmarks.costs.loop import loop_rows  # it imports torch

        rows += loop_rows(options.loop_repetitions, options.loop_calls)
    if "time" in options.parts:
        from benchmarks.costs.reported_time import time_rows

        rows += time_rows(options.sizes, options.starts, options.quads, options.calls, is_pinned=options.pin)
    if "verbs" in options.parts:
        from benchmarks.costs.verbs import verb_rows

        rows += verb_rows(options.verb_repetitions)
    if "start" in options.parts:
        from benchmarks.costs.start import start_rows

        rows += start_rows(options.launches)
    return rows


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    add("--out", type=Path, metavar="FILE.md", help="also write the table there")
    add("--loop-repetitions", type=int, default=50, metavar="N")
    add("--loop-calls", type=int, default=2000, metavar="N", help="calls in each repetition")
    add("--sizes", nargs="+", type=parse_bytes, default=[8, 64 * 1024, 1024 * 1024], metavar="BYTES")
    add("--starts", type=int, default=10, metavar="N", help="pairs of processes; an interval needs 6")
    add("--quads", type=int, default=5, metavar="N", help="ABBA groups of blocks in each start and size")
    add("--calls", type=int, default=100, metavar="N", help="calls in each block")
    add(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a processor of its own for each rank",
    )
    add("--verb-repetitions", type=int, default=10, metavar="N")
    add("--launches", type=int, default=8, metavar="N", help="torchrun launches of each kind")
    options = parser.parse_args()
    for size in options.sizes:
        if size < ITEM_BYTES or size % ITEM_BYTES:
            parser.error(f"--sizes: {size} bytes are no whole number of float32 elements")
    return options


if __name__ == "__main__":
    sys.exit(main())
