"""`BenchConfig`: everything a run was asked to do. Its classes are their own Hydra schemas (see compose.py)."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from bench import catalog, mpi_algorithms, nccl_log
from bench.model import units
from bench.model.collective import Collective
from bench.model.datatype import DATA_TYPES
from bench.model.fabric import Fabric
from bench.model.fault import Fault, check_faults
from bench.model.framing import Transport
from bench.model.grouping import check_kind
from bench.model.optics.cabling import parse_cabling
from bench.model.optics.finding import Finding
from bench.model.optics.medium import LIGHT_M_PER_S
from bench.model.optics.pairing import ports_of, problems
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
        ports_per_host: links of each host, one to each rail, which is a network of its own; ranks share them evenly.
        hosts_per_leaf: hosts that share a leaf; null: all are on one.
        oversubscription: what the hosts of a leaf can send over what its uplink carries; 1 is non-blocking.
        faults: what is made to go wrong, so that a run shows what it looks like: see `bench.model.fault.Fault`.
    """

    num_hosts: int = 4
    ranks_per_host: int = 1
    time_scale: float = 1000.0
    mtu_bytes: int = 9000
    bucket_bytes: int | None = None
    fibre_m: float = 50.0
    ports_per_host: int = 1
    hosts_per_leaf: int | None = None
    oversubscription: float = 1.0
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
        if self.ports_per_host < 1 or self.ranks_per_host % self.ports_per_host:
            raise ValueError(
                f"emulation.ports_per_host is {self.ports_per_host}; each of the emulation.ranks_per_host "
                f"{self.ranks_per_host} ranks uses one port, and ports have equally many: give a divisor of it, or more ranks"
            )
        if self.hosts_per_leaf is not None and not 1 <= self.hosts_per_leaf <= self.num_hosts:
            raise ValueError(
                f"emulation.hosts_per_leaf is {self.hosts_per_leaf}; allowed is 1 to emulation.num_hosts {self.num_hosts}, "
                "or null for a single leaf"
            )
        if not self.oversubscription >= 1:
            raise ValueError(
                f"emulation.oversubscription is {self.oversubscription}; 1 is non-blocking, 2 halves the uplinks"
            )
        if self.oversubscription > 1 and self.hosts_per_leaf in (None, self.num_hosts):
            raise ValueError(
                f"emulation.oversubscription is {self.oversubscription:g}, but all {self.num_hosts} hosts share one leaf; give "
                "emulation.hosts_per_leaf, for example 2"
            )
        check_faults(self.faults, self.num_hosts, self.num_hosts * self.ranks_per_host, self.ports_per_host)


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
            self.segment_bytes = _size("mpi.segment_bytes", self.segment_bytes)

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


LEAST_BER: Final = 1e-20
"""No link has counted a lower bit error ratio: one error in 1e20 bits takes 1.8 years at the 1.7 Tb/s of a 1.6T module.
mlxlink's 15E-255 stands for "no error was seen"."""

MOST_MARGIN_DB: Final = 25.0
"""From the 5 dBm that damage a receiver (grade B: Edgecore ET7502-DR4) to the -20 dBm that the most sensitive module of the
catalog needs (400ZR, unamplified)."""


@dataclass(kw_only=True)
class LinkConfig:
    """One link as it was built and as it reports itself. null: not known, and then neither checked nor modelled.

    Attributes:
        far: the module at the other end, by name or path like ``transceiver``; null is the same module.
        medium: SMF, OM3, OM4, OM5, MMF, copper or DAC; null is what the modules are made for.
        length_m: of the cable.
        fec: the code that runs, in the words of the tool that reports it. It is read from the link, never from the module.
        pre_fec_ber: bit error ratio before correction, of the worst lane.
        margin_db: optical decibels above the receiver's sensitivity; negative where the light does not suffice.
        error_floor_ber: the ratio that more light does not lower, as it was measured.
        loss_ratio: packets lost after FEC, of those sent.
        rtt_us: there and back, in microseconds, without queues.
        congestion_control: as the adapter or the kernel names it.
    """

    far: Any = None
    medium: str | None = None
    length_m: float | None = None
    fec: str | None = None
    pre_fec_ber: float | None = None
    margin_db: float | None = None
    error_floor_ber: float | None = None
    loss_ratio: float | None = None
    rtt_us: float | None = None
    congestion_control: str | None = None

    def __post_init__(self) -> None:
        self.far = _far(self.far)
        if self.medium is not None:
            try:
                self.medium = parse_cabling(self.medium).value
            except ValueError as error:
                raise ValueError(f"link.medium: {error}") from None
        for key in ("fec", "congestion_control"):
            text = getattr(self, key)
            if text is not None and not text.strip():
                raise ValueError(f"link.{key} is empty; write what the link reports, or null")
        if self.length_m is not None and not 0 < self.length_m <= 1e6:
            raise ValueError(f"link.length_m is {self.length_m:g}; allowed is above 0 to 1e6 metres, or null")
        for key in ("pre_fec_ber", "error_floor_ber"):
            _check_ber(f"link.{key}", getattr(self, key))
        if (
            self.pre_fec_ber is not None
            and self.error_floor_ber is not None
            and self.error_floor_ber > self.pre_fec_ber
        ):
            raise ValueError(
                f"link.error_floor_ber is {self.error_floor_ber:g} and link.pre_fec_ber {self.pre_fec_ber:g}; a link cannot be "
                "better than its floor: correct one of the two"
            )
        if self.margin_db is not None and not -MOST_MARGIN_DB <= self.margin_db <= MOST_MARGIN_DB:
            raise ValueError(
                f"link.margin_db is {self.margin_db:g}; no receiver has more than {MOST_MARGIN_DB:g} dB between the least light it "
                f"needs and damage: allowed is {-MOST_MARGIN_DB:g} to {MOST_MARGIN_DB:g}"
            )
        if self.loss_ratio is not None and not 0 <= self.loss_ratio < 1:
            raise ValueError(
                f"link.loss_ratio is {self.loss_ratio:g}; it is the part of packets lost after FEC: 0 to below 1, for example 1e-6"
            )
        self._check_round_trip()

    def problems(self, module: Transceiver, fabric: Fabric) -> list[Finding]:
        """What is wrong or odd about this link, with ``module`` in a port of ``fabric`` at its near end."""
        cabling = None if self.medium is None else parse_cabling(self.medium)
        return [
            finding
            for port in ports_of(fabric)
            for finding in problems(
                module, self.far, medium=cabling, length_m=self.length_m, fec=self.fec, port=port
            )
        ]

    def _check_round_trip(self) -> None:
        if self.rtt_us is None:
            return
        if not 0 < self.rtt_us <= 1e6:
            raise ValueError(
                f"link.rtt_us is {self.rtt_us:g}; allowed is above 0 to 1e6 microseconds (a second), or null"
            )
        least_us = 2 * (self.length_m or 0.0) / LIGHT_M_PER_S * 1e6
        if self.rtt_us < least_us:
            raise ValueError(
                f"link.rtt_us is {self.rtt_us:g}, but light needs {least_us:.4g} us for link.length_m={self.length_m:g} there and "
                "back in vacuum, and half as much again in glass; correct one of the two"
            )


@dataclass(kw_only=True)
class BenchConfig:
    """One run, as asked for. `resolve` in bench.launch turns every ``auto`` into what it means here.

    ``calibration``: a fit.json, or a run folder with one, whose latencies and efficiencies stand beside the prediction.
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


def _far(value: Any) -> Transceiver | None:
    """The module at the far end: by name, by path, or as JSON has kept it. The configuration holds the module itself."""
    if value is None or isinstance(value, Transceiver):
        return value
    try:
        if isinstance(value, str):
            if value == "auto":
                raise ValueError(
                    "'auto' is for transceiver; name a module, or leave it null for the same one"
                )
            return catalog.transceiver(value)
        if isinstance(value, Mapping):
            return catalog.from_mapping(Transceiver, value, "transceiver")
    except ValueError as error:
        raise ValueError(f"link.far: {error}") from None
    raise ValueError(
        f"link.far is {value!r}; give the name of a transceiver (`linerate catalog` lists them), a path, or null"
    )


def _check_ber(key: str, ratio: float | None) -> None:
    if ratio is None or LEAST_BER <= ratio <= 0.5:
        return
    if 0 <= ratio < LEAST_BER:
        raise ValueError(
            f"{key} is {ratio:g}, which no link can have counted: where no error was seen in N bits the ratio is below 3/N; give "
            "that bound, or null"
        )
    raise ValueError(f"{key} is {ratio:g}; a bit error ratio is {LEAST_BER:g} to 0.5, where 0.5 is noise")


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
