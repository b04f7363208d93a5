"""`BenchConfig`: everything a run was asked to do. Its classes are their own Hydra schemas (see compose.py)."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from bench import catalog, nccl_log
from bench.model import units
from bench.model.collective import Collective
from bench.model.datatype import DATA_TYPES
from bench.model.fabric import Fabric
from bench.model.fault import Fault, check_faults
from bench.model.framing import Transport
from bench.model.grouping import check_kind
from bench.model.reduction import REDUCE_OPS
from bench.model.timing import TimingPlan
from bench.model.traffic import Traffic, traffic_from_skew, traffic_from_weights, weights_from_csv
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
        self.min_bytes = _size("sizes.min_bytes", self.min_bytes)
        if self.max_bytes is not None:
            self.max_bytes = _size("sizes.max_bytes", self.max_bytes)
            if self.max_bytes < self.min_bytes and self.list_bytes is None:
                raise ValueError(
                    f"sizes.max_bytes is {units.format_bytes(self.max_bytes)}, below sizes.min_bytes "
                    f"{units.format_bytes(self.min_bytes)}; give both, smallest first"
                )
        if self.factor < 2:
            raise ValueError(f"sizes.factor is {self.factor}; each size is the one before times at least 2")
        if self.list_bytes is not None:
            self.list_bytes = [_size("sizes.list_bytes", size) for size in self.list_bytes]
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
class EmulationConfig:
    """The emulated fabric: hosts as network namespaces, links shaped to the MAC rate over ``time_scale``.

    Attributes:
        bucket_bytes: token bucket of each link; null: see `bench.launch.shaping.link_shape`.
        fibre_m: fibre from each host to the switch. It delays by its length times ``time_scale`` where the kernel can
            delay (netem); a scenario, not a fact.
        faults: what is made to go wrong, so that a run shows what it looks like: see `bench.model.fault.Fault`.
    """

    num_hosts: int = 4
    ranks_per_host: int = 1
    time_scale: float = 1000.0
    mtu_bytes: int = 9000
    bucket_bytes: int | None = None
    fibre_m: float = 50.0
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        for key, least, most in (
            ("num_hosts", 2, 250),
            ("ranks_per_host", 1, 64),
            ("mtu_bytes", 576, 65535),
        ):
            value = getattr(self, key)
            if not least <= value <= most:
                raise ValueError(f"emulation.{key} is {value}; allowed is {least} to {most}")
        if not self.time_scale > 0:
            raise ValueError(
                f"emulation.time_scale is {self.time_scale}; it divides the MAC rate (1000: 400 Gb/s becomes 400 Mb/s)"
            )
        if not 0 <= self.fibre_m <= 1e6:
            raise ValueError(f"emulation.fibre_m is {self.fibre_m}; allowed is 0 to 1e6 metres")
        if self.bucket_bytes is not None and not 65536 <= self.bucket_bytes <= 2**27:
            raise ValueError(
                f"emulation.bucket_bytes is {self.bucket_bytes}; offloaded segments of 64 KiB must fit: allowed is "
                f"65536 to {2**27}"
            )
        check_faults(self.faults, self.num_hosts, self.num_hosts * self.ranks_per_host)


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
        """Raises ValueError where the matrix is not one of ``num_ranks`` ranks."""
        if self.matrix is None:
            return traffic_from_skew(self.skew, num_ranks)
        if len(self.matrix) != num_ranks:
            raise ValueError(
                f"all_to_allv.matrix has {len(self.matrix)} rows, and {num_ranks} ranks take part; it needs one for each"
            )
        return traffic_from_weights(self.matrix, "all_to_allv.matrix")


@dataclass(kw_only=True)
class BenchConfig:
    """One run, as asked for. `resolve` in bench.launch turns every ``auto`` into what it means here."""

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
        if not self.groups:
            raise ValueError("groups is empty; groups=[world] is all ranks together")
        for kind in self.groups:
            check_kind(kind)
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}; allowed is 0 to {2**31 - 1}")

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


def _size(key: str, value: Any) -> int:
    try:
        size = units.parse_bytes(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if size <= 0:
        raise ValueError(f"{key} is {value}; a message has at least 1 byte")
    return size


def _one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    if value in allowed:
        return
    near = catalog.near_matches(value, list(allowed))
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(f"{key}: {value!r} is not known{hint} Allowed: {', '.join(allowed)}")
