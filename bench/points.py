"""The points of a sweep, in the order they are measured."""

from dataclasses import dataclass

from bench.config import ALGORITHMS, BenchConfig
from bench.model.collective import Collective, CollectiveSpec
from bench.model.datatype import DATA_TYPES

GLOO_MAX_BYTES = 8 * 2**20
NCCL_MAX_BYTES = 2**30
"""Where a sweep ends unless sizes.max_bytes says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing to measure: a collective, how it is carried out, and its size after rounding to whole elements.

    Attributes:
        message_bytes: nccl-tests' size, rounded down as nccl-tests does: to whole elements, for all_to_all
            to the same number of elements for each rank.
        placement: ``in_place`` where torch has only that (all_reduce), ``out_of_place`` otherwise.
    """

    collective: Collective
    algorithm: str
    dtype: str
    reduce_op: str
    placement: str
    measure_pass: str
    num_ranks: int
    message_bytes: int

    @property
    def spec(self) -> CollectiveSpec:
        return CollectiveSpec(
            collective=self.collective, num_ranks=self.num_ranks, message_bytes=self.message_bytes
        )

    @property
    def point_id(self) -> str:
        """Stable name of the point within a run."""
        parts = [self.collective.value, self.algorithm, self.dtype]
        if self.collective is Collective.all_reduce:
            parts.append(self.reduce_op)
        return ".".join([*parts, self.placement, self.measure_pass, str(self.message_bytes)])


def points(config: BenchConfig, num_ranks: int, default_max_bytes: int) -> list[Point]:
    """All points, smallest sizes first, so that a run cut short still holds whole rows of the table.

    Sizes too small for one element per rank are left out.
    """
    item_bytes = DATA_TYPES[config.dtype].num_bytes
    found: dict[str, Point] = {}
    for size in config.sizes.message_bytes(default_max_bytes):
        for name in config.collectives:
            collective = Collective(name)
            if config.placement == "in_place" and collective is not Collective.all_reduce:
                continue
            if num_ranks == 1 and collective is Collective.send_recv:
                continue
            step = item_bytes * (num_ranks if collective is Collective.all_to_all else 1)
            rounded = size // step * step
            if rounded == 0:
                continue
            for measure_pass in config.passes:
                for algorithm in config.algorithms.get(name) or ALGORITHMS[name][:1]:
                    point = Point(
                        collective=collective,
                        algorithm=algorithm,
                        dtype=config.dtype,
                        reduce_op=config.reduce_op,
                        placement="in_place" if collective is Collective.all_reduce else "out_of_place",
                        measure_pass=measure_pass,
                        num_ranks=num_ranks,
                        message_bytes=rounded,
                    )
                    found.setdefault(point.point_id, point)
    return list(found.values())


def skipped(config: BenchConfig, num_ranks: int) -> list[str]:
    """What was asked for and is not measured, each with its reason."""
    reasons = []
    for name in config.collectives:
        if num_ranks == 1 and name == "send_recv":
            reasons.append("send_recv: one rank has nobody to send to")
        if config.placement == "in_place" and name != "all_reduce":
            reasons.append(f"{name} in_place: torch.distributed has it out of place only")
        if config.placement == "both" and name == "all_reduce":
            reasons.append("all_reduce out_of_place: torch.distributed has it in place only")
        if config.placement == "both" and name != "all_reduce":
            reasons.append(f"{name} in_place: torch.distributed has it out of place only")
    return reasons
