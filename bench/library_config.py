"""What is asked of the library that carries collectives out: the groups `nccl:`, `mpi:` and `all_to_allv:`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import mpi_algorithms, nccl_log
from bench.model import units
from bench.model.traffic import Traffic, traffic_from_skew, traffic_from_weights, weights_from_csv


@dataclass(kw_only=True)
class NcclConfig:
    """What is asked of NCCL itself: its choice forced (NCCL_ALGO, NCCL_PROTO), or read from its log; null leaves it to NCCL."""

    algorithm: str | None = None
    protocol: str | None = None
    read_log: bool = True

    def __post_init__(self) -> None:
        self.environment([])

    def environment(self, collectives: Sequence[str]) -> dict[str, str]:
        """NCCL_ALGO and NCCL_PROTO for those of ``collectives`` that NCCL chooses an algorithm for.

        By name, since linerate's own all_gather would have to follow otherwise, and some algorithms have none.

        Raises:
            ValueError: NCCL has no such algorithm or protocol, or not for one of them.
        """
        values: dict[str, list[str]] = {}
        try:
            nccl_log.environment_for_forcing(self.algorithm, self.protocol)
            for name in collectives:
                if name in nccl_log.CHOSEN_COLLECTIVES:
                    forced = nccl_log.environment_for_forcing(self.algorithm, self.protocol, collective=name)
                    for variable, value in forced.items():
                        values.setdefault(variable, []).append(value)
        except ValueError as error:
            raise ValueError(f"nccl: {error}") from None
        return {variable: ";".join(found) for variable, found in values.items()}


@dataclass(kw_only=True)
class MpiConfig:
    """What is asked of MPI itself: the algorithm of its blocking collectives, forced; null leaves it to MPI.

    Attributes:
        algorithm: one that Open MPI has for each collective it chooses one for: see `bench.mpi_algorithms`.
        segment_bytes: what algorithms that pipeline cut a message into; null: they do not cut.
    """

    algorithm: str | None = None
    segment_bytes: Any = None

    def __post_init__(self) -> None:
        if self.segment_bytes is not None:
            self.segment_bytes = checked_size("mpi.segment_bytes", self.segment_bytes)

    def environment(self, collectives: Sequence[str]) -> dict[str, str]:
        """Variables of Open MPI's ranks. Raises ValueError where it has no such algorithm for one of ``collectives``."""
        return mpi_algorithms.environment(self.algorithm, self.segment_bytes, collectives)


MOST_TRAFFIC_RANKS: Final = 4096
"""A matrix of so many rows and columns of Python's numbers takes half a gigabyte in every rank."""


@dataclass(kw_only=True)
class TrafficConfig:
    """Who sends how much to whom in all_to_allv.

    Attributes:
        matrix: a file of numbers (commas or blanks, a line for each sending rank) or the rows themselves; relative weights,
            zeros allowed. null: made from ``skew``.
        skew: each rank sends rank j a share that falls as 1 / (j + 1)**skew; 0 is even.
    """

    matrix: Any = None
    skew: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.skew <= 16:
            raise ValueError(
                f"all_to_allv.skew is {self.skew}; allowed is 0 (even) to 16 (nearly all to rank 0)"
            )
        if isinstance(self.matrix, str):
            path = Path(self.matrix).expanduser()
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"all_to_allv.matrix: {path} cannot be read ({error})") from None
            self.matrix = weights_from_csv(text, f"all_to_allv.matrix {path}")
        if self.matrix is not None:
            if not isinstance(self.matrix, list) or not all(isinstance(row, list) for row in self.matrix):
                raise ValueError("all_to_allv.matrix is neither a file nor a list of rows of numbers")
            self.traffic(len(self.matrix))

    def traffic(self, num_ranks: int) -> Traffic:
        """Raises ValueError where the matrix is not one of ``num_ranks`` ranks, or too large to hold."""
        if num_ranks > MOST_TRAFFIC_RANKS:
            raise ValueError(
                f"all_to_allv of {num_ranks} ranks: who sends how much to whom is a matrix of {num_ranks} x {num_ranks}; at most "
                f"{MOST_TRAFFIC_RANKS} ranks take part, or take all_to_all"
            )
        if self.matrix is None:
            return traffic_from_skew(self.skew, num_ranks)
        if len(self.matrix) != num_ranks:
            raise ValueError(
                f"all_to_allv.matrix has {len(self.matrix)} rows, and {num_ranks} ranks take part; it needs one for each"
            )
        return traffic_from_weights(self.matrix, "all_to_allv.matrix")


def checked_size(key: str, value: Any) -> int:
    """A number of bytes above 0. Raises ValueError that names ``key``."""
    try:
        size = units.parse_bytes(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if size <= 0:
        raise ValueError(f"{key} is {value}; a message has at least 1 byte")
    return size
