"""Titles of OSU micro-benchmarks: ``# OSU MPI-CUDA Non-blocking Allreduce Latency Test v7.4``. Only there the operation is named.

Source of the names: OSU micro-benchmarks 3.1 to 7.5, ``BENCHMARK`` of each program. Sizes are those of one peer where each rank
has a block for every other (allgather, alltoall, gather, scatter, and their v and w variants), and of the whole buffer elsewhere.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from bench.reported import MEAN_RANK_MEAN

HALF_ROUND_TRIP: Final = "half of the round trip, mean over iterations"
OVER_RANKS: Final = "iterations of the mean over ranks"
ITERATIONS: Final = "iterations"

_TITLE: Final = re.compile(
    r"(?:^\s*|#\s*)(?P<title>OSU\s+\S.{0,120}?)(?:\s+v(?P<version>\d[\w.]{0,20}))?\s*$"
)
"""Also behind a warning that was printed without an end of line."""

_LIBRARIES: Final = frozenset({"mpi", "nccl", "rccl", "openshmem", "upc", "upc++", "gasnet"})
_MARKS: Final = ("latency", "bandwidth", "rate")
_NEIGHBOURS: Final = frozenset({"neighbor", "neighborhood"})
_STARTUP: Final = frozenset({"hello world", "init"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one program measures.

    Attributes:
        title: without the version.
        library: ``mpi``, ``nccl``, ``rccl``, ``openshmem`` ...
        accelerator: of the buffers: ``cuda``, ``rocm`` ...; None for host memory.
        collective: linerate's spelling, or ``osu_bw`` and the like where it has none.
        binaries: names that the program can have in a command.
        is_per_peer: a size is that of one peer: the message is as many times that as there are ranks.
        is_neighbour: a size is that of each neighbour, of which there may be any number.
        num_ranks: that the program insists on; None where it takes any.
    """

    title: str
    version: str | None
    library: str
    accelerator: str | None
    collective: str
    binaries: frozenset[str]
    measure_pass: str
    statistic: str
    statistics_of: str
    is_per_peer: bool = False
    is_neighbour: bool = False
    is_persistent: bool = False
    reduce_op: str | None = None
    num_ranks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Collective:
    name: str
    binary: str
    is_per_peer: bool = False
    is_reduction: bool = False


def _named(name: str, binary: str, *, peer: bool = False, reduces: bool = False) -> _Collective:
    return _Collective(name=name, binary=binary, is_per_peer=peer, is_reduction=reduces)


_COLLECTIVES: Final = {
    "allgather": _named("all_gather", "allgather", peer=True),
    "allgatherv": _named("all_gatherv", "allgatherv", peer=True),
    "allreduce": _named("all_reduce", "allreduce", reduces=True),
    "all-to-all": _named("all_to_all", "alltoall", peer=True),
    "alltoall": _named("all_to_all", "alltoall", peer=True),
    "all-to-allv": _named("all_to_allv", "alltoallv", peer=True),
    "alltoallv": _named("all_to_allv", "alltoallv", peer=True),
    "all-to-allw": _named("all_to_allw", "alltoallw", peer=True),
    "alltoallw": _named("all_to_allw", "alltoallw", peer=True),
    "barrier": _named("barrier", "barrier"),
    "bcast": _named("broadcast", "bcast"),
    "broadcast": _named("broadcast", "bcast"),
    "gather": _named("gather", "gather", peer=True),
    "gatherv": _named("gatherv", "gatherv", peer=True),
    "reduce": _named("reduce", "reduce", reduces=True),
    "reduce_scatter": _named("reduce_scatter", "reduce_scatter", reduces=True),
    "reduce_scatter_block": _named("reduce_scatter_block", "reduce_scatter_block", reduces=True),
    "scatter": _named("scatter", "scatter", peer=True),
    "scatterv": _named("scatterv", "scatterv", peer=True),
}
_POINT_TO_POINT: Final = {
    "latency": ("ping_pong", "osu_latency", HALF_ROUND_TRIP, 2),
    "multi latency": ("osu_multi_lat", "osu_multi_lat", f"{HALF_ROUND_TRIP} and pairs", None),
    "multi-threaded latency": ("osu_latency_mt", "osu_latency_mt", f"{HALF_ROUND_TRIP} and threads", 2),
    "multi-process latency": ("osu_latency_mp", "osu_latency_mp", HALF_ROUND_TRIP, 2),
    "bandwidth": ("osu_bw", "osu_bw", "bandwidth of a window of messages", 2),
    "bi-directional bandwidth": ("osu_bibw", "osu_bibw", "bandwidth of windows in both directions", 2),
    "multiple bandwidth / message rate": (
        "osu_mbw_mr",
        "osu_mbw_mr",
        "bandwidth of all pairs together",
        None,
    ),
}
_ONE_SIDED: Final = {
    "put": "put",
    "get": "get",
    "accumulate": "acc",
    "get_accumulate": "get_acc",
    "compare_and_swap": "cas",
    "fetch_and_op": "fop",
}
_ENDS: Final = {"latency": "_latency", "bandwidth": "_bw", "bi-directional bandwidth": "_bibw"}


def read_title(line: str) -> Operation | None:
    """The operation that a line announces; None where it is no title of a test that prints a table."""
    if "OSU" not in line:
        return None
    found = _TITLE.search(line)
    if found is None:
        return None
    title = " ".join(found["title"].split())
    first, *words = title[len("OSU ") :].split()
    words = [word.casefold() for word in words]
    if "test" not in words and not any(word in _MARKS for word in words):
        return None
    head, _, accelerator = first.casefold().partition("-")
    library, _, function = head.partition("_")
    library = "mpi" if library == "one" else library
    if "managed" in words:
        accelerator = f"{accelerator} managed".strip()
    words = [word for word in words if word not in ("test", "one", "sided", "managed")]
    if words and words[0].startswith("mpi_"):
        function, _, _ = words.pop(0).removeprefix("mpi_").partition("-")
    if library not in _LIBRARIES or " ".join(words) in _STARTUP:
        return None
    base = Operation(
        title=title,
        version=found["version"],
        library=library,
        accelerator=accelerator or None,
        collective="",
        binaries=frozenset(),
        measure_pass="latency",
        statistic="mean over iterations",
        statistics_of=ITERATIONS,
        is_persistent="persistent" in words,
    )
    return _completed(base, function, [word for word in words if word != "persistent"])


def _completed(base: Operation, function: str, words: list[str]) -> Operation:
    """``base`` with what the words of the title say; names of persistent operations end so: set-up is not in their time."""
    end = "_persistent" if base.is_persistent else ""
    plain = " ".join(words)
    if plain in _POINT_TO_POINT and not function:
        name, binary, statistic, num_ranks = _POINT_TO_POINT[plain]
        return replace(
            base,
            collective=name + end,
            binaries=_binaries(base.library, binary.removeprefix("osu_") + end),
            measure_pass="latency" if "latency" in words else "bandwidth",
            statistic=statistic,
            num_ranks=num_ranks,
        )
    if function in _ONE_SIDED and plain in _ENDS:
        name = f"{_ONE_SIDED[function]}{_ENDS[plain]}"
        return replace(
            base,
            collective=f"osu_{name}",
            binaries=_binaries(base.library, name),
            measure_pass="latency" if plain == "latency" else "bandwidth",
            num_ranks=2,
        )
    is_overlap = "non-blocking" in words
    is_neighbour = not _NEIGHBOURS.isdisjoint(words)
    left_out = {"non-blocking", "latency", "personalized", "exchange", *_NEIGHBOURS}
    name = "_".join(word for word in words if word not in left_out) or function
    known = _COLLECTIVES.get(name)
    if known is None:
        slug = re.sub(r"[^a-z0-9]+", "_", plain or function).strip("_")
        is_bandwidth = "bandwidth" in words or "rate" in words
        return replace(
            base, collective=f"osu_{slug}"[:60], measure_pass="bandwidth" if is_bandwidth else "latency"
        )
    before = ("i" if is_overlap else "") + ("neighbor_" if is_neighbour else "")
    return replace(
        base,
        collective=("neighbor_" if is_neighbour else "") + known.name + end,
        binaries=_binaries(base.library, before + known.binary + end),
        measure_pass="overlap" if is_overlap else "latency",
        statistic=MEAN_RANK_MEAN,
        statistics_of=OVER_RANKS,
        is_per_peer=known.is_per_peer and not is_neighbour,
        is_neighbour=is_neighbour,
        reduce_op="sum" if known.is_reduction else None,
    )


def _binaries(library: str, name: str) -> frozenset[str]:
    if library == "mpi":
        return frozenset({f"osu_{name}"})
    return frozenset({f"osu_{library}_{name}", f"osu_xccl_{name}", f"osu_oshm_{name}"})
