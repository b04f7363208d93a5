"""Wall time of verbs that only print, in fresh processes."""

import subprocess
import sys
import time
from dataclasses import replace
from typing import Final

from benchmarks.costs import DEADLINE_S, child_environment
from benchmarks.costs.report import Row, row, seconds_text

VERB_TARGET_S: Final = 0.5
VERBS: Final = ("--help", "catalog")


def verb_rows(num_repetitions: int) -> list[Row]:
    """Wall time of each verb, and whether it imports torch."""
    taken_s: dict[str, list[float]] = {verb: [] for verb in VERBS}
    for verb in VERBS:
        _run_verb(verb)  # the first start reads files that the others find in memory
    for _ in range(num_repetitions):
        for verb in VERBS:
            begun_s = time.perf_counter()
            _run_verb(verb)
            taken_s[verb].append(time.perf_counter() - begun_s)
    rows = []
    for verb in VERBS:
        with_torch = _imports_torch(verb)
        one = row(
            f"wall time of `linerate {verb}`",
            taken_s[verb],
            VERB_TARGET_S,
            shown=seconds_text,
            detail=f"{num_repetitions} fresh processes; torch is {'' if with_torch else 'not '}imported",
        )
        rows.append(replace(one, target=f"{one.target}, no torch", is_met=False) if with_torch else one)
    return rows


def _run_verb(verb: str, *flags: str) -> str:
    """Run a verb; returns what it wrote to standard error."""
    return subprocess.run(
        [sys.executable, "-P", *flags, "-m", "bench", verb],
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    ).stderr


def _imports_torch(verb: str) -> bool:
    """Whether `python -X importtime` lists torch.

    Raises:
        RuntimeError: it does not even list linerate's own command.
    """
    lines = _run_verb(verb, "-X", "importtime").splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines}
    if "bench.cli" not in imported:
        raise RuntimeError(f"`-X importtime` lists {len(imported)} modules without bench.cli")
    return "torch" in imported
