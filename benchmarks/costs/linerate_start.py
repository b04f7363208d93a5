"""`python -m bench`, noting when rank 0's first sample began.

    python -m torch.distributed.run ... -m benchmarks.costs.linerate_start REPORT OVERRIDE ...

Starts of samples count from an origin that only the process knows, so it is read where the engine is called.
"""

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import engine
from bench.measure.arm import Arm
from bench.measure.engine import Measurement, Surroundings


def main() -> None:
    report = Path(sys.argv[1])
    original = engine.measure

    def noting(arms: Sequence[Arm], around: Surroundings) -> list[Measurement]:
        found = original(arms, around)
        if int(os.environ["RANK"]) == 0 and not report.exists():
            report.write_text(repr(around.origin_s + found[0].start_s[0][0]), encoding="utf-8")
        return found

    engine.measure = noting  # before bench.sweep imports it
    sys.argv = ["bench", *sys.argv[2:]]
    runpy.run_module("bench", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
