"""What linerate costs, each part beside the same thing done without linerate: `overhead.py` and `mpi_overhead.py`.

Nothing but the standard library is imported here: the bare program that linerate's start is compared with passes through
this file, and must not pay for more.
"""

import os
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout: what is measured is the linerate in it, wherever else one is installed."""

DEADLINE_S: Final = 300.0
"""Processes that we start and that last longer hang: the longest takes less than a minute."""

ITEM_BYTES: Final = 4
"""All messages are float32."""


def child_environment(**more: str) -> dict[str, str]:
    """Environment of the processes that we start: modules of this checkout first, one thread for each."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | more


def note(text: str) -> None:
    """Progress, on standard error: standard output is the table."""
    print(f"{Path(sys.argv[0]).stem}: {text}", file=sys.stderr, flush=True)
