"""The algorithm, forced: the schedules that Open MPI can be told to take, and the variables that tell it.

Names are ours, the same for every collective (``linear``, ``bruck``); `TUNED` has Open MPI's own. They are the enumerators of
the parameters coll_tuned_*_algorithm as `ompi_info --param coll tuned --level 9` lists them for Open MPI 5.0.11; `check_known` asks
the one that is installed. Left out is two_proc, which fails for any other number of ranks.

What they stand for, and where one gives way to another: Open MPI 5.0, ompi/mca/coll/base/coll_base_*.c. Only blocking calls go
through coll/tuned; persistent and non-blocking ones are scheduled by coll/libnbc, whatever coll/tuned is told.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

TUNED: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "all_reduce": (
        "allreduce",
        {
            "linear": "basic_linear",
            "nonoverlapping": "nonoverlapping",
            "recursive_doubling": "recursive_doubling",
            "ring": "ring",
            "segmented_ring": "segmented_ring",
            "rabenseifner": "rabenseifner",
        },
    ),
    "all_gather": (
        "allgather",
        {
            "linear": "linear",
            "bruck": "bruck",
            "recursive_doubling": "recursive_doubling",
            "ring": "ring",
            "neighbor_exchange": "neighbor",
            "sparbit": "sparbit",
        },
    ),
    "reduce_scatter": (
        "reduce_scatter_block",
        {
            "linear": "basic_linear",
            "recursive_doubling": "recursive_doubling",
            "recursive_halving": "recursive_halving",
            "butterfly": "butterfly",
        },
    ),
    "all_to_all": (
        "alltoall",
        {
            "linear": "linear",
            "linear_sync": "linear_sync",
            "pairwise": "pairwise",
            "bruck": "modified_bruck",
        },
    ),
    "all_to_allv": ("alltoallv", {"linear": "basic_linear", "pairwise": "pairwise"}),
    "broadcast": (
        "bcast",
        {
            "linear": "basic_linear",
            "chain": "chain",
            "pipeline": "pipeline",
            "binary_tree": "binary_tree",
            "split_binary_tree": "split_binary_tree",
            "binomial": "binomial",
            "knomial": "knomial",
            "scatter_allgather": "scatter_allgather",
            "scatter_allgather_ring": "scatter_allgather_ring",
        },
    ),
    "reduce": (
        "reduce",
        {
            "linear": "linear",
            "chain": "chain",
            "pipeline": "pipeline",
            "binary_tree": "binary",
            "in_order_binary_tree": "in-order_binary",
            "binomial": "binomial",
            "rabenseifner": "rabenseifner",
        },
    ),
    "gather": ("gather", {"linear": "basic_linear", "linear_sync": "linear_sync", "binomial": "binomial"}),
    "scatter": ("scatter", {"linear": "basic_linear", "linear_nb": "linear_nb", "binomial": "binomial"}),
    "barrier": (
        "barrier",
        {
            "linear": "linear",
            "double_ring": "double_ring",
            "recursive_doubling": "recursive_doubling",
            "bruck": "bruck",
            "tree": "tree",
        },
    ),
}
"""Our name of a collective to Open MPI's, and our name of each of its algorithms to Open MPI's."""

SEGMENTED: Final = {
    "all_reduce": ("segmented_ring",),
    "broadcast": ("chain", "pipeline", "binary_tree", "split_binary_tree", "binomial", "knomial"),
    "reduce": ("chain", "pipeline", "binary_tree", "in_order_binary_tree", "binomial"),
}
"""Those that cut a message into segments. Without a segment size they do not."""

NOTHING_WITHOUT_SEGMENTS: Final = ("segmented_ring", "pipeline")
"""With whole messages the first is a ring, and the second one long chain."""

OTHERS: Final = "^han,adapt,hcoll,ucc,xhc,acoll"
"""OMPI_MCA_coll: components that may come before coll/tuned, which has priority 30, are left out. Open MPI 5.0: han has 35 (where a
node has several ranks); hcoll and ucc, where they are built, 90 and 10; later releases add xhc and acoll."""


def names(collectives: Sequence[str]) -> list[str]:
    """Every algorithm of these collectives, each once."""
    return list(dict.fromkeys(name for each in collectives for name in TUNED.get(each, ("", {}))[1]))


def check(algorithm: str | None, segment_bytes: int | None, collectives: Sequence[str]) -> None:
    """Whether Open MPI has the algorithm for every one of ``collectives`` that it chooses one for.

    send_recv and ping_pong are messages, so there is nothing to choose.

    Raises:
        ValueError: it has not; names what is allowed.
    """
    if algorithm is None:
        if segment_bytes is not None:
            raise ValueError(
                f"mpi.segment_bytes is {segment_bytes}, but mpi.algorithm is not given; segments belong to a forced algorithm"
            )
        return
    chosen = [each for each in dict.fromkeys(collectives) if each in TUNED]
    if not chosen:
        raise ValueError(
            f"mpi.algorithm is {algorithm!r}, but MPI chooses no algorithm for {', '.join(collectives)}; leave it out, or add "
            f"one of {', '.join(TUNED)}"
        )
    for each in chosen:
        known = TUNED[each][1]
        if algorithm not in known:
            raise ValueError(
                f"mpi.algorithm is {algorithm!r}, which Open MPI does not have for {each}; allowed there: {', '.join(known)}"
            )
        if segment_bytes is not None and algorithm not in SEGMENTED.get(each, ()):
            raise ValueError(
                f"mpi.segment_bytes is {segment_bytes}, but the algorithm {algorithm!r} of {each} cuts nothing into segments; "
                "leave it out"
            )
    if segment_bytes is None and algorithm in NOTHING_WITHOUT_SEGMENTS:
        raise ValueError(
            f"mpi.algorithm={algorithm} needs mpi.segment_bytes, for example 1MiB: without segments it would be another algorithm"
        )


def environment(
    algorithm: str | None, segment_bytes: int | None, collectives: Sequence[str]
) -> dict[str, str]:
    """Variables of every rank that make coll/tuned take ``algorithm``; nothing where it is None.

    Other collectives keep Open MPI's own choice: with dynamic rules, what is not forced is decided as without them.

    Raises:
        ValueError: as `check`.
    """
    check(algorithm, segment_bytes, collectives)
    if algorithm is None:
        return {}
    found = {"OMPI_MCA_coll": OTHERS, "OMPI_MCA_coll_tuned_use_dynamic_rules": "1"}
    for each in collectives:
        if each in TUNED:
            name, known = TUNED[each]
            found[f"OMPI_MCA_coll_tuned_{name}_algorithm"] = known[algorithm]
            if segment_bytes is not None:
                found[f"OMPI_MCA_coll_tuned_{name}_algorithm_segmentsize"] = str(segment_bytes)
    return found


def check_known(variables: Mapping[str, str], listing: str) -> None:
    """Whether the Open MPI that is installed knows the values of ``variables``; it would pass over those that it does not.

    ``listing`` is what `ompi_info --param coll tuned --level 9 --parsable` prints.

    Raises:
        ValueError: an algorithm that it does not list; names those that it does.
    """
    for variable, value in variables.items():
        parameter = variable.removeprefix("OMPI_MCA_")
        if not parameter.endswith("_algorithm"):
            continue
        known = re.findall(
            rf"^mca:coll:tuned:param:{parameter}:enumerator:value:\d+:(\S+)$", listing, re.MULTILINE
        )
        if value not in known:
            raise ValueError(
                f"mpi.algorithm: this Open MPI has no {value!r} among the values of {parameter}; it has "
                f"{', '.join(known) or 'none'}. Choose another, or install Open MPI 5 with `pip install 'linerate[mpi]'`"
            )


def carried_out(
    collective: str, algorithm: str, *, num_ranks: int, num_elements: int, segment_elements: int | None = None
) -> str:
    """The algorithm that Open MPI really takes when it is told to take ``algorithm``, as far as it depends on sizes.

    ``num_elements`` is the count of the call (a message of all_reduce, broadcast and reduce; the rest do not depend on it):

    all_reduce ring                 fewer elements than ranks                recursive_doubling
    all_reduce segmented_ring       less than a segment for each rank        ring
    all_reduce, reduce rabenseifner fewer elements than the largest power    linear
                                    of two that is not above the ranks
    all_gather recursive_doubling   ranks that are no power of two           bruck
    all_gather neighbor_exchange    an odd number of ranks                   ring
    broadcast scatter_allgather*    fewer elements than ranks                linear

    Source:
        Open MPI 5.0, ompi/mca/coll/base/coll_base_allreduce.c, coll_base_reduce.c, coll_base_allgather.c, coll_base_bcast.c.
    """
    is_power_of_two = num_ranks & (num_ranks - 1) == 0
    match collective, algorithm:
        case "all_reduce", "segmented_ring" if num_elements < num_ranks * (segment_elements or num_elements):
            return carried_out(collective, "ring", num_ranks=num_ranks, num_elements=num_elements)
        case "all_reduce", "ring" if num_elements < num_ranks:
            return "recursive_doubling"
        case "all_reduce" | "reduce", "rabenseifner" if num_elements < 2 ** (num_ranks.bit_length() - 1):
            return "linear"
        case "all_gather", "recursive_doubling" if not is_power_of_two:
            return "bruck"
        case "all_gather", "neighbor_exchange" if num_ranks % 2:
            return "ring"
        case "broadcast", "scatter_allgather" | "scatter_allgather_ring" if num_elements < num_ranks:
            return "linear"
    return algorithm
