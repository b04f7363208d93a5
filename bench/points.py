"""The points of a sweep, in the order they are measured, and what was asked for but cannot be."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.config import ALGORITHMS, BenchConfig
from bench.measure.capability import reason_against
from bench.model.collective import BLOCK_BYTES, TRAITS, Collective, CollectiveSpec, message_bytes
from bench.model.datatype import DATA_TYPES
from bench.model.grouping import WORLD, groups_of
from bench.model.reduction import why_senseless

GLOO_MAX_BYTES: Final = 8 * 2**20
NCCL_MAX_BYTES: Final = 2**30
"""Where a sweep ends unless sizes.max_bytes says otherwise."""

OUT_ONLY: Final = ("out_of_place",)
IN_ONLY: Final = ("in_place",)
BOTH: Final = ("out_of_place", "in_place")

_TORCH_PLACEMENTS: Final = {
    Collective.all_reduce: IN_ONLY,
    Collective.broadcast: IN_ONLY,
    Collective.reduce: IN_ONLY,
    Collective.all_gather: BOTH,
    Collective.reduce_scatter: BOTH,
}
_OF_MESSAGES: Final = (Collective.send_recv, Collective.ping_pong)

_MPI_PLACEMENTS: Final = {
    Collective.broadcast: IN_ONLY,
    Collective.all_to_allv: OUT_ONLY,
    Collective.send_recv: OUT_ONLY,
    Collective.ping_pong: OUT_ONLY,
    Collective.barrier: OUT_ONLY,
}
"""In place, MPI_Alltoallv wants equal counts in both directions, which a skew does not give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing to measure: a collective, how it is carried out, and its size after rounding as nccl-tests rounds.

    Attributes:
        reduce_op: None where nothing is reduced.
        placement: the one asked for, or the only one that the backend has.
        group_kind: which groups measure it at the same time; ``world`` is all ranks together.
        num_ranks: of one group.
        split_counts: all_to_allv: elements from each rank (row) to each rank (column).
    """

    collective: Collective
    algorithm: str
    dtype: str
    reduce_op: str | None
    placement: str
    measure_pass: str
    num_ranks: int
    message_bytes: int
    group_kind: str = WORLD
    split_counts: tuple[tuple[int, ...], ...] | None = None

    @property
    def spec(self) -> CollectiveSpec:
        item = DATA_TYPES[self.dtype].num_bytes
        split = self.split_counts
        return CollectiveSpec(
            collective=self.collective,
            num_ranks=self.num_ranks,
            message_bytes=self.message_bytes,
            split_bytes=None if split is None else tuple(tuple(n * item for n in row) for row in split),
        )

    @property
    def point_id(self) -> str:
        """Stable name of the point within a run; records of one group among several add the group."""
        parts = [self.collective.value, self.algorithm, self.dtype]
        if self.reduce_op is not None:
            parts.append(self.reduce_op)
        return ".".join([*parts, self.placement, self.measure_pass, str(self.message_bytes)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, and what is not, each with its reason."""

    points: tuple[Point, ...]
    skipped: tuple[str, ...]

    def batches(self) -> list[list[Point]]:
        """Points that differ in placement alone are measured together, in turn."""
        found: dict[Point, list[Point]] = {}
        for point in self.points:
            found.setdefault(dataclasses.replace(point, placement=""), []).append(point)
        return list(found.values())


def placements(backend: str, collective: Collective) -> tuple[str, ...]:
    """What the backend has. torch.distributed has some calls in place only; all_to_all must not be on gloo (wrong data)."""
    if backend == "mpi":
        return _MPI_PLACEMENTS.get(collective, BOTH)
    return _TORCH_PLACEMENTS.get(collective, OUT_ONLY)


def plan_points(config: BenchConfig, hosts: Sequence[str], default_max_bytes: int) -> Plan:
    """All points, smallest sizes first, so that a run cut short still holds whole rows of the table.

    ``hosts`` holds the host name of every rank.

    Raises:
        ValueError: groups that the ranks do not fill, a traffic matrix for another number of ranks.
    """
    found: dict[tuple[str, str], Point] = {}
    skipped: dict[str, None] = {}
    kinds = {kind: len(groups_of(kind, hosts)[0].ranks) for kind in config.groups}
    for kind, num_ranks in kinds.items():  # a group's communicator is made once
        for size in config.sizes.message_bytes(default_max_bytes):
            for name in dict.fromkeys(config.collectives):
                points, reasons = _of_collective(config, Collective(name), size, kind, num_ranks)
                for point in points:
                    found.setdefault((kind, point.point_id), point)
                skipped |= dict.fromkeys(reasons)
    return Plan(points=tuple(found.values()), skipped=tuple(skipped))


def _of_collective(
    config: BenchConfig, collective: Collective, size: int, kind: str, num_ranks: int
) -> tuple[list[Point], list[str]]:
    traits, item_bytes = TRAITS[collective], DATA_TYPES[config.dtype].num_bytes
    where = collective.value if kind == WORLD else f"{collective.value} in groups {kind}"
    if num_ranks < traits.min_ranks:
        return [], [f"{where}: one rank has nobody to send to"]
    reason = _reason_against_data(config, collective)
    if reason is not None:
        return [], [f"{where}: {reason}"]
    split = None
    if collective is Collective.all_to_allv:
        split = config.all_to_allv.traffic(num_ranks).counts(size, item_bytes)
        rows = [sum(row) for row in split]
        rounded = max(*rows, *(sum(column) for column in zip(*split, strict=True))) * item_bytes
    else:
        rounded = message_bytes(collective, size, item_bytes, num_ranks)
    if rounded == 0 and collective is not Collective.barrier:
        least = f"a block of {BLOCK_BYTES} bytes for each of {num_ranks} ranks"
        if not traits.is_per_rank:
            least = f"one element of {config.dtype}{'' if split is None else ' in any share'}"
        return [], [f"{where} of {size} B: too small for {least}"]
    points, reasons = [], []
    for measure_pass in dict.fromkeys(config.passes):
        for algorithm in config.algorithms.get(collective.value) or ALGORITHMS[collective.value][:1]:
            reason = _reason_against(config, collective, algorithm, measure_pass)
            if reason is not None:
                reasons.append(f"{where}{'' if algorithm == 'native' else f' ({algorithm})'}: {reason}")
                continue
            chosen, lacking = _chosen(config, collective, algorithm)
            reasons += [f"{where} {placement}: {text}" for placement, text in lacking]
            points += [
                Point(
                    collective=collective,
                    algorithm=algorithm,
                    dtype=config.dtype,
                    reduce_op=config.reduce_op if traits.is_reduction else None,
                    placement=placement,
                    measure_pass=measure_pass,
                    num_ranks=num_ranks,
                    message_bytes=rounded,
                    group_kind=kind,
                    split_counts=split,
                )
                for placement in chosen
            ]
    return points, reasons


def _chosen(
    config: BenchConfig, collective: Collective, algorithm: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """Placements to measure, and those that were asked for and do not exist, each with the reason."""
    is_ours = algorithm not in ("native", "persistent")
    of_library = placements(config.backend, collective)
    existing = OUT_ONLY if is_ours else of_library
    wanted = BOTH if config.placement == "both" else (config.placement,)
    chosen = [placement for placement in wanted if placement in existing]
    if not chosen and config.placement == "out_of_place":
        return list(existing), []  # the only form there is
    only = "in place" if existing == IN_ONLY else "out of place"
    library = "MPI" if config.backend == "mpi" else "torch.distributed"
    if is_ours and of_library != OUT_ONLY:
        library = f"the {algorithm} exchange"
    lacking = [placement for placement in wanted if placement not in existing]
    return chosen, [(placement, f"{library} has it {only} only") for placement in lacking]


def _reason_against_data(config: BenchConfig, collective: Collective) -> str | None:
    """Why the backend, or anybody, cannot reduce data of this type so; None where nothing is reduced."""
    if not TRAITS[collective].is_reduction:
        return None
    if config.backend == "auto":
        return why_senseless(config.reduce_op, config.dtype)
    return reason_against(config.backend, collective.value, config.dtype, config.reduce_op)


def _reason_against(
    config: BenchConfig, collective: Collective, algorithm: str, measure_pass: str
) -> str | None:
    backend = config.backend
    is_of_messages = collective in _OF_MESSAGES or algorithm in ("pairwise", "chunked")
    if backend == "gloo" and config.device == "cuda" and is_of_messages:
        return "gloo sends messages between two ranks from host memory only; take device=cpu"
    if algorithm == "persistent" and backend != "mpi":
        return "persistent requests are MPI's; they need backend=mpi"
    if measure_pass == "graph" and backend != "nccl":
        return "graph pass: CUDA graphs need backend=nccl"
    if collective is Collective.barrier and measure_pass in ("cold", "overlap", "graph"):
        return f"{measure_pass} pass: it has no buffers"
    if measure_pass == "overlap" and (algorithm != "native" or collective is Collective.ping_pong):
        return "overlap pass: the call cannot be split into starting and waiting"
    return None
