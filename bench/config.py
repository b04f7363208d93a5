"""`BenchConfig`: everything a run was asked to do. Its classes are their own Hydra schemas (see compose.py)."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from bench import catalog, mpi_algorithms
from bench.emulation_config import EmulationConfig
from bench.library_config import MpiConfig, NcclConfig, TrafficConfig, checked_size
from bench.link_config import LinkConfig
from bench.model import units
from bench.model.collective import Collective
from bench.model.datatype import DATA_TYPES
from bench.model.fabric import Fabric
from bench.model.framing import Transport
from bench.model.grouping import check_kind
from bench.model.reduction import REDUCE_OPS
from bench.model.timing import TimingPlan
from bench.model.transceiver import Transceiver

_MPI_PERSISTENT: Final = ("native", "persistent")
ALGORITHMS: Final[dict[str, tuple[str, ...]]] = {
    collective.value: _MPI_PERSISTENT for collective in Collective
} | {
    "all_to_all": ("native", "persistent", "pairwise", "chunked"),
    "send_recv": ("native",),
    "ping_pong": ("native",),
}
"""``native``: the backend's own call. ``persistent``: MPI-4 requests, made once and started again and again (backend=mpi)."""
LAUNCHERS: Final = ("auto", "local", "emulated", "external", "slurm")
BACKENDS: Final = ("auto", "nccl", "gloo", "mpi")
DEVICES: Final = ("auto", "cpu", "cuda")
PLACEMENTS: Final = ("out_of_place", "in_place", "both")
PASSES: Final = ("latency", "bandwidth", "graph", "cold", "overlap")
TRANSPORTS: Final = ("auto", *(t.value for t in Transport))


@dataclass(kw_only=True)
class LauncherConfig:
    """Who starts the ranks. ``num_ranks`` holds for ``local``; null there means 2, or one per GPU."""

    kind: str
    num_ranks: int | None = None

    def __post_init__(self) -> None:
        _one_of("launcher", self.kind, LAUNCHERS)
        if self.num_ranks is not None and self.num_ranks < 1:
            raise ValueError(f"launcher.num_ranks is {self.num_ranks}; at least one rank is needed")


@dataclass(kw_only=True)
class SizesConfig:
    """Message sizes: from ``min_bytes`` to ``max_bytes`` by ``factor``, or the ``list_bytes`` as they stand.

    ``max_bytes`` null means 8 MiB on gloo, 1 GiB on nccl. Values may be written 8MiB.
    """

    min_bytes: Any = 2048
    max_bytes: Any = None
    factor: int = 4
    list_bytes: list[Any] | None = None

    def __post_init__(self) -> None:
        self.min_bytes = checked_size("sizes.min_bytes", self.min_bytes)
        if self.max_bytes is not None:
            self.max_bytes = checked_size("sizes.max_bytes", self.max_bytes)
            if self.max_bytes < self.min_bytes and self.list_bytes is None:
                raise ValueError(
                    f"sizes.max_bytes is {units.format_bytes(self.max_bytes)}, below sizes.min_bytes "
                    f"{units.format_bytes(self.min_bytes)}; give both, smallest first"
                )
        if self.factor < 2:
            raise ValueError(f"sizes.factor is {self.factor}; each size is the one before times at least 2")
        if self.list_bytes is not None:
            self.list_bytes = [checked_size("sizes.list_bytes", size) for size in self.list_bytes]
            if not self.list_bytes:
                raise ValueError(
                    "sizes.list_bytes is empty; give sizes, or null to use min_bytes and max_bytes"
                )

    def message_bytes(self, default_max_bytes: int) -> list[int]:
        """All sizes of the sweep, smallest first."""
        if self.list_bytes is not None:
            return sorted(set(self.list_bytes))
        largest = max(self.min_bytes, default_max_bytes) if self.max_bytes is None else self.max_bytes
        sizes, size = [], self.min_bytes
        while size <= largest:
            sizes.append(size)
            size *= self.factor
        return sizes


@dataclass(kw_only=True)
class BenchConfig:
    """One run, as asked for. `resolve` in bench.launch turns every ``auto`` into what it means here.

    ``calibration``: a fit.json, or a run folder with one, whose latencies and efficiencies stand beside the prediction.
    ``gates``: a file of floors (`linerate gate --write`); a point beyond its floor makes the exit status 1.
    """

    launcher: LauncherConfig
    backend: str
    device: str
    transceiver: Transceiver
    fabric: Fabric
    transport: str
    collectives: list[str]
    algorithms: dict[str, list[str]]
    dtype: str
    reduce_op: str
    placement: str
    passes: list[str]
    groups: list[str]
    all_to_allv: TrafficConfig
    nccl: NcclConfig
    sizes: SizesConfig
    timing: TimingPlan
    emulation: EmulationConfig
    run_dir: str
    seed: int
    link: LinkConfig = field(default_factory=LinkConfig)
    calibration: str | None = None
    gates: str | None = None
    mpi: MpiConfig = field(default_factory=MpiConfig)

    def __post_init__(self) -> None:
        _one_of("backend", self.backend, BACKENDS)
        _one_of("transport", self.transport, TRANSPORTS)
        _one_of("dtype", self.dtype, list(DATA_TYPES))
        _one_of("reduce_op", self.reduce_op, list(REDUCE_OPS))
        _one_of("device", self.device, DEVICES)
        _one_of("placement", self.placement, PLACEMENTS)
        known = [collective.value for collective in Collective]
        if not self.collectives:
            raise ValueError(f"collectives is empty; name at least one of {', '.join(known)}")
        for name in self.collectives:
            _one_of("collectives", name, known)
        for name, algorithms in self.algorithms.items():
            _one_of("algorithms", name, known)
            for algorithm in algorithms:
                _one_of(f"algorithms.{name}", algorithm, ALGORITHMS[name])
        if not self.passes:
            raise ValueError(f"passes is empty; there is {', '.join(PASSES)}")
        for name in self.passes:
            _one_of("passes", name, PASSES)
        self.nccl.environment(self.collectives)
        self._check_mpi()
        if self.calibration is not None and not self.calibration.strip():
            raise ValueError("calibration is empty; name a fit.json or a run folder that holds one, or null")
        if self.gates is not None and not self.gates.strip():
            raise ValueError("gates is empty; name a file of floors (linerate gate --write), or null")
        if not self.groups:
            raise ValueError("groups is empty; groups=[world] is all ranks together")
        for kind in self.groups:
            check_kind(kind)
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}; allowed is 0 to {2**31 - 1}")

    def _check_mpi(self) -> None:
        """What is forced holds for MPI's blocking calls, and for none of all_to_all in place, which has a schedule of its own."""
        if not self.mpi.environment(self.collectives):
            return
        chosen = [name for name in self.collectives if name in mpi_algorithms.TUNED]
        persistent = [name for name in chosen if "persistent" in self.algorithms.get(name, [])]
        if persistent:
            raise ValueError(
                f"mpi.algorithm does not reach persistent requests, and algorithms.{persistent[0]} has them; leave one out"
            )
        if "overlap" in self.passes:
            raise ValueError(
                "mpi.algorithm does not reach the calls that return at once, which passes=[overlap] makes; leave one out"
            )
        if "all_to_all" in chosen and self.placement != "out_of_place":
            raise ValueError(
                f"mpi.algorithm does not reach an all_to_all in place, and placement is {self.placement}; take out_of_place"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data for the manifest and for ranks; `from_json` gives back an equal configuration."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=_plain))
        return plain

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> "BenchConfig":
        """Rebuild a configuration. Raises ValueError where it is not one."""
        return catalog.from_mapping(BenchConfig, content, "configuration")

    def sha256(self) -> str:
        """Hash of the resolved configuration; equal hashes mean the same run was asked for."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} does not belong into a configuration")


def _one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    if value in allowed:
        return
    near = catalog.near_matches(value, list(allowed))
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(f"{key}: {value!r} is not known{hint} Allowed: {', '.join(allowed)}")
