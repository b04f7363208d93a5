"""Linerate's engine and a loop in C on the same MPI, in turns: what one start of the processes finds.

As a program, `python -m benchmarks.costs.mpi_turns SETTINGS`, it is one rank of two under mpirun; rank 0 prints the result.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.costs.c_loop import CLoop, run_ranks
from benchmarks.costs.turns import Turns, in_turns

MAX_WARMUPS: Final = 20
"""Before each block of either way; an eighth of the calls where those are few."""
MIN_CALLS: Final = 8
FULL_BLOCK_BYTES: Final = 256 * 1024
"""Up to here a block has all its calls, beyond in inverse proportion: so a block of 16 MiB lasts about as long as one of 1 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of calling, as linerate and as `mpi_loop.c` name it."""

    title: str
    algorithm: str
    placement: str
    in_c: str


WAYS: Final = (
    Way(title="in place", algorithm="native", placement="in_place", in_c="all_reduce_in_place"),
    Way(title="out of place", algorithm="native", placement="out_of_place", in_c="all_reduce"),
    Way(
        title="persistent, out of place",
        algorithm="persistent",
        placement="out_of_place",
        in_c="all_reduce_persistent",
    ),
)


def calls_per_block(message_bytes: int, num_calls: int) -> int:
    return max(MIN_CALLS, num_calls * FULL_BLOCK_BYTES // max(FULL_BLOCK_BYTES, message_bytes))


def one_start(
    folder: Path, sizes: Sequence[int], num_quads: int, num_calls: int
) -> dict[tuple[str, int], Turns]:
    """Start both ranks once. (title of the way, bytes) to what was seen."""
    settings = {"folder": str(folder), "sizes": list(sizes), "quads": num_quads, "calls": num_calls}
    said = run_ranks(sys.executable, "-P", "-m", "benchmarks.costs.mpi_turns", json.dumps(settings))
    rows: list[dict[str, Any]] = json.loads(said.splitlines()[-1])
    return {(row["title"], row["bytes"]): Turns(**row["turns"]) for row in rows}


def _as_rank(settings: dict[str, Any]) -> None:
    """One rank: thread level and all else as in a run of linerate."""
    from bench.measure.mpi_ranks import joined_mpi

    with joined_mpi(local_rank=0, device="cpu") as ranks:
        rows = [
            {
                "title": way.title,
                "bytes": size,
                "turns": dataclasses.asdict(
                    _compare(Path(settings["folder"]), ranks, way, size, settings["quads"], settings["calls"])
                ),
            }
            for size in settings["sizes"]
            for way in WAYS
        ]
        if ranks.rank == 0:
            print(json.dumps(rows))


def _compare(folder: Path, ranks: Any, way: Way, message_bytes: int, num_quads: int, num_calls: int) -> Turns:
    """Both ways at one size, on the same buffers: where they lie in memory can cost more than what is compared."""
    from mpi4py import MPI

    from bench.measure.stopwatch import NS_PER_S
    from benchmarks.costs.engine_block import EngineBlock

    num_calls = calls_per_block(message_bytes, num_calls)
    num_warmups = min(MAX_WARMUPS, max(2, num_calls // 8))
    by_linerate = EngineBlock(
        ranks,
        algorithm=way.algorithm,
        placement=way.placement,
        message_bytes=message_bytes,
        num_calls=num_calls,
        num_warmups=num_warmups,
    )
    slot = by_linerate.slot
    loop = CLoop(folder, MPI.COMM_WORLD, way.in_c, slot.send, slot.recv)

    def in_c() -> list[float]:
        if way.placement == "in_place":
            slot.recv.zero_()  # so that sums of sums stay finite
        everyones = ranks.gathered([taken_ns / NS_PER_S for taken_ns in loop(num_calls, num_warmups)])
        return [max(column) for column in zip(*everyones, strict=True)]

    return in_turns(by_linerate, in_c, num_quads)


if __name__ == "__main__":
    _as_rank(json.loads(sys.argv[1]))
