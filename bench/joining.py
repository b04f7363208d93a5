"""`joined`: this process becomes a rank of whatever backend the run has, and leaves it at the end."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import nccl_log
from bench.config import BenchConfig
from bench.launch.external import master
from bench.launch.identity import RankIdentity
from bench.measure.ranks import Ranks
from bench.points import Point

TORCH_MARGIN_S = 30.0
"""torch's own deadline comes so much later than the watchdog's, which leaves more behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """This process as a rank.

    Attributes:
        initialisation_s: from asking for the communicator to a barrier of all ranks.
        chosen_algorithm: what NCCL's log says it chose for a point; None where there is no log.
        abort: ends the process, and the others where the backend can.
    """

    ranks: Ranks
    initialisation_s: float
    chosen_algorithm: Callable[[Point], str | None]
    abort: Callable[[], None] | None


@contextmanager
def joined(config: BenchConfig, identity: RankIdentity) -> Iterator[Joined]:
    """Join the others.

    Raises:
        RuntimeError: the rendezvous or the backend failed (the library's own message).
        ValueError: nobody says where the others are.
    """
    with ExitStack() as stack:
        folder = _prepare_nccl(config, stack) if config.backend == "nccl" else None
        begun_s = time.monotonic()
        if config.backend == "mpi":
            from bench.measure.mpi_ranks import joined_mpi

            mpi = stack.enter_context(joined_mpi(local_rank=identity.local_rank, device=config.device))
            ranks: Ranks = mpi
            abort: Callable[[], None] | None = mpi.abort
        else:
            from bench.measure.torch_ranks import joined_torch

            address, port = master(identity)
            begun_s = time.monotonic()
            ranks = stack.enter_context(
                joined_torch(
                    rank=identity.rank,
                    size=identity.size,
                    local_rank=identity.local_rank,
                    backend=config.backend,
                    device=config.device,
                    master_address=address,
                    master_port=port,
                    timeout_s=config.timing.timeout_s + TORCH_MARGIN_S,
                )
            )
            abort = None
        ranks.barrier()
        yield Joined(
            ranks=ranks,
            initialisation_s=time.monotonic() - begun_s,
            chosen_algorithm=_chooser(folder),
            abort=abort,
        )


def _prepare_nccl(config: BenchConfig, stack: ExitStack) -> Path | None:
    """Variables that NCCL reads when its communicator is made: what is forced, and where it writes what it chose."""
    forced = config.nccl.environment(config.collectives)
    for name, value in forced.items():
        if os.environ.get(name, value) != value:
            raise ValueError(
                f"{name} is {os.environ[name]!r} in the environment, and the configuration asks for {value!r}; unset it, or "
                "leave nccl.algorithm and nccl.protocol out"
            )
    os.environ.update(forced)
    if not config.nccl.read_log:
        return None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linerate-nccl-")))
    os.environ.update(nccl_log.environment_for_logging(folder))
    return folder


def _chooser(folder: Path | None) -> Callable[[Point], str | None]:
    if folder is None:
        return lambda _point: None
    return lambda point: nccl_log.chosen(
        nccl_log.read_folder(folder), point.collective.value, point.message_bytes, point.num_ranks
    )
