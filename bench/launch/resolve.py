"""`resolve`: what every ``auto`` of a configuration means here, and whether this machine can hold the run."""

import copy
import dataclasses
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench import catalog
from bench.config import BenchConfig
from bench.launch import emulated
from bench.launch.identity import RankIdentity, discover, is_mpi
from bench.launch.shaping import LinkShape, link_shape, prime_bytes, uplink_shape
from bench.launch.sockets import check_sockets
from bench.measure.cache import processor_cache_bytes
from bench.model import units
from bench.model.fabric import Network, emulated_network, real_network
from bench.model.fault import Fault
from bench.model.framing import Transport
from bench.model.grouping import WORLD
from bench.points import GLOO_MAX_BYTES, NCCL_MAX_BYTES, Point, plan_points

_CUDA_LIBRARY: Final = "libtorch_cuda.so"

RANK_BYTES: Final = 223 * 10**6
"""Resident memory of one rank before it has buffers: importing torch 2.13 (CPU build) takes 223 MB, measured."""

POOLED_BYTES: Final = 2**29
"""What the passes that queue calls or rotate buffers hold beside that, at most: buffers, and twice as much for what they
are put back from (`bench.measure.passes`, ``POOL_BYTES``)."""

CACHE_MULTIPLE: Final = 2
"""The cold pass reads twice the cache (`bench.measure.passes`)."""

BUFFERS_PER_MESSAGE: Final = 8
"""Input, output, expected values, and the whole numbers they are made from (int64) while data are made or checked."""


MOST_RANKS: Final = 2**20
"""Most that `linerate predict` lists; the largest clusters that are planned have a tenth of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A configuration without ``auto``, and what follows from it.

    Attributes:
        kind: local, emulated, external or slurm.
        identity: who this process is, if ranks exist already.
        note: one line for the user, where the default had to give way.
    """

    config: BenchConfig
    kind: str
    identity: RankIdentity | None
    num_ranks: int
    note: str | None


def num_gpus() -> int:
    """GPUs that this process and the installed torch can use, found without loading either."""
    torch = importlib.util.find_spec("torch")
    if (
        torch is None
        or torch.origin is None
        or not Path(torch.origin).with_name("lib").joinpath(_CUDA_LIBRARY).exists()
    ):
        return 0  # the CPU build of torch
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() and device.strip() != "-1"])
    try:
        return len(list(Path("/proc/driver/nvidia/gpus").iterdir()))
    except OSError:
        return 0


def resolve(
    config: BenchConfig,
    environ: Mapping[str, str],
    *,
    missing: Callable[[LinkShape], str | None] = emulated.missing,
    missing_for_faults: Callable[[LinkShape, Sequence[Fault]], str | None] = emulated.missing_for_faults,
) -> Resolved:
    """Decide launcher, backend, optics and sizes, and check that the run can be held.

    Raises:
        ValueError: settings that contradict one another or this machine; says which key and what to do.
    """
    config = copy.deepcopy(config)
    identity = discover(environ)
    kind, note = _launcher(config, identity, missing)
    config.launcher.kind = kind
    if kind == "emulated":
        _settle_emulated(config)
        size = emulated.num_ranks(config.emulation)
        lacking = missing_for_faults(
            link_shape(config.transceiver, config.emulation), config.emulation.faults
        )
        if lacking is not None:
            raise ValueError(lacking)
    else:
        _settle_real(config, kind)
        size = identity.size if identity else (config.launcher.num_ranks or num_gpus() or 2)
    config.backend = _backend(config, kind, identity, size)
    config.device = _device(config)
    _check_mpi(config, kind)
    if kind == "local":
        config.launcher.num_ranks = size
    if config.sizes.max_bytes is None and config.sizes.list_bytes is None:
        sizes = config.sizes.message_bytes(default_max_bytes(config))
        config.sizes.max_bytes = sizes[-1]
    _check_memory(config, kind, size)
    _check_plan(config, kind, size)
    local_size = identity.local_size if identity else None
    network(
        config, kind, size, delay_s=0.0, ranks_per_system=local_size
    )  # refuses what the ranks do not fill
    return Resolved(config=config, kind=kind, identity=identity, num_ranks=size, note=note)


def default_max_bytes(config: BenchConfig) -> int:
    """Where the sweep ends if nobody says."""
    return NCCL_MAX_BYTES if config.backend == "nccl" else GLOO_MAX_BYTES


def network(
    config: BenchConfig, kind: str, num_ranks: int, *, delay_s: float, ranks_per_system: int | None = None
) -> Network | None:
    """What the ranks are connected by, as far as it is known. None on loopback and on hardware nobody has described.

    ``delay_s`` is the one-way delay that the emulation really applies, ``ranks_per_system`` the number of ranks that
    share one operating system, where that is known.
    """
    if kind == "emulated":
        shape = link_shape(config.transceiver, config.emulation)
        return emulated_network(
            config.transceiver,
            num_hosts=config.emulation.num_hosts,
            ranks_per_host=config.emulation.ranks_per_host,
            time_scale=config.emulation.time_scale,
            mtu_bytes=config.emulation.mtu_bytes,
            bucket_bytes=shape.bucket_bytes,
            delay_s=delay_s,
            ports_per_host=config.emulation.ports_per_host,
            hosts_per_leaf=config.emulation.hosts_per_leaf,
            oversubscription=config.emulation.oversubscription,
        )
    if kind == "local" and config.backend != "nccl":
        return None
    transport = (config.fabric.transport or "unknown") if config.transport == "auto" else config.transport
    found = real_network(config.transceiver, config.fabric, Transport(transport), num_ranks, ranks_per_system)
    if found is not None and config.backend != "nccl":
        return dataclasses.replace(found, nvlink_bytes_per_s=None)  # gloo moves host memory
    return found


def prediction_target(config: BenchConfig) -> tuple[Network, list[Point], BenchConfig]:
    """What `linerate predict` is about: the fabric that was named, or the emulated one.

    Raises:
        ValueError: neither can be said; names the missing key.
    """
    config = copy.deepcopy(config)
    kind = config.launcher.kind
    if config.fabric.name in catalog.PLACEHOLDERS and kind in ("auto", "emulated"):
        _settle_emulated(config)
        size, kind = emulated.num_ranks(config.emulation), "emulated"
    else:
        _settle_real(config, "external")
        if not config.fabric.is_known:
            raise ValueError(
                "nothing can be predicted without a fabric; name it with fabric=<name> (files of conf/fabric)"
            )
        if not config.transceiver.is_known:
            raise ValueError("nothing can be predicted without optics; name them with transceiver=<name>")
        if config.fabric.num_hosts is None:
            raise ValueError(f"fabric.num_hosts is not given; how many {config.fabric.name} take part?")
        size, kind = config.fabric.num_hosts * (config.fabric.ranks_per_host or 1), "external"
        if not 2 <= size <= MOST_RANKS:
            raise ValueError(
                f"{size} ranks on {config.fabric.num_hosts} hosts (fabric.num_hosts); predicted are 2 to {MOST_RANKS} ranks"
            )
        config.backend = "nccl" if config.backend == "auto" else config.backend
    found = network(config, kind, size, delay_s=0.0)
    assert found is not None
    plan = plan_points(_of_the_world(config), ["one"] * size, default_max_bytes(config))
    return found, list(plan.points), config


def _check_plan(config: BenchConfig, kind: str, size: int) -> None:
    """Refuse a sweep of which nothing can be measured. Where ranks of others lie is known only when they have joined."""
    if kind == "emulated":
        hosts = [f"host{rank // config.emulation.ranks_per_host}" for rank in range(size)]
    else:
        hosts = ["one"] * size
        config = config if kind == "local" else _of_the_world(config)
    plan = plan_points(config, hosts, default_max_bytes(config))
    if not plan.points:
        hint = "; raise sizes.max_bytes" if all("too small" in reason for reason in plan.skipped) else ""
        raise ValueError("nothing of this can be measured: " + "; ".join(plan.skipped[:3]) + hint)
    if kind in ("local", "emulated"):
        check_sockets(config, hosts)


def _of_the_world(config: BenchConfig) -> BenchConfig:
    return dataclasses.replace(config, groups=[WORLD])


def _launcher(
    config: BenchConfig, identity: RankIdentity | None, missing: Callable[[LinkShape], str | None]
) -> tuple[str, str | None]:
    asked = config.launcher.kind
    if identity is not None and identity.source == "linerate":
        return asked, None
    if identity is not None:
        if asked not in ("auto", "external", "slurm"):
            raise ValueError(
                f"launcher={asked} starts ranks of its own, but {identity.source} has started this one "
                f"(rank {identity.rank} of {identity.size}); leave launcher out"
            )
        if asked == "slurm" and identity.source != "slurm":
            raise ValueError(
                f"launcher=slurm, but {identity.source} has started this rank; leave launcher out"
            )
        return "external", None
    if asked in ("external", "slurm"):
        raise ValueError(
            f"launcher={asked} joins ranks that exist, but no torchrun, mpirun or srun has set its variables here; "
            "start it with one of them, or leave launcher out"
        )
    if asked == "local":
        return asked, None
    if asked == "auto" and num_gpus():
        return "local", None
    if asked == "auto" and config.launcher.num_ranks is not None:
        raise ValueError(
            "launcher.num_ranks counts the ranks of launcher=local; give that too, or emulation.num_hosts instead"
        )
    optics = (
        config.transceiver if config.transceiver.is_known else catalog.transceiver(catalog.EMULATED_DEFAULT)
    )
    lacking = missing(link_shape(optics, config.emulation))
    if lacking is None:
        return "emulated", None
    if asked == "emulated":
        raise ValueError(f"launcher=emulated: {lacking}")
    return "local", f"no emulated fabric, so this runs over loopback: {lacking}"


def _settle_emulated(config: BenchConfig) -> None:
    config.launcher.kind = "emulated"
    if config.transceiver.name == "auto":
        config.transceiver = catalog.transceiver(catalog.EMULATED_DEFAULT)
    if not config.transceiver.is_known:
        raise ValueError("transceiver=unknown has no rate to emulate; name one, or leave it out")
    if config.fabric.name != "auto":
        raise ValueError(
            f"fabric={config.fabric.name} does not go with the emulated fabric, which is described by emulation.num_hosts "
            "and its neighbours; leave one of the two out"
        )
    if config.launcher.num_ranks is not None:
        raise ValueError(
            "launcher.num_ranks is for launcher=local; here emulation.num_hosts x ranks_per_host counts"
        )
    if config.transport not in ("auto", "tcp"):
        raise ValueError(
            f"transport={config.transport} cannot be emulated: the links carry TCP; leave it out"
        )
    config.transport = "tcp"
    shape = link_shape(config.transceiver, config.emulation)
    if config.emulation.hosts_per_leaf is not None:  # refuses what the emulation cannot shape
        uplink_shape(shape, config.emulation.hosts_per_leaf, config.emulation.oversubscription)
    config.timing.prime_bytes = max(config.timing.prime_bytes, prime_bytes(shape))


def settle_external(config: BenchConfig) -> BenchConfig:
    """A configuration of hardware that is not ours to measure now: what ``auto`` means there.

    Raises:
        ValueError: settings of the emulated fabric.
    """
    config = copy.deepcopy(config)
    _settle_real(config, "external")
    return config


def _settle_real(config: BenchConfig, kind: str) -> None:
    if config.emulation.faults:
        raise ValueError(
            "emulation.faults are for the emulated fabric alone; give launcher=emulated, or leave them out"
        )
    if config.transceiver.name == "auto":
        config.transceiver = catalog.transceiver("unknown")
    if config.fabric.name == "auto":
        config.fabric.name = "unknown"
    if config.transport == "auto":
        config.transport = config.fabric.transport or "unknown"
    if kind == "local" and config.launcher.num_ranks is not None and config.backend == "nccl":
        gpus = num_gpus()
        if config.launcher.num_ranks > gpus:
            raise ValueError(
                f"launcher.num_ranks is {config.launcher.num_ranks}, but there are {gpus} GPUs; one rank needs one"
            )


def _backend(config: BenchConfig, kind: str, identity: RankIdentity | None, size: int) -> str:
    if kind == "emulated":
        if config.backend == "nccl":
            raise ValueError(
                "backend=nccl does not run on the emulated fabric, whose hosts have no GPU; leave it out, or take launcher=local"
            )
        if config.backend != "mpi":
            return "gloo"
    if config.backend == "mpi":
        if identity is not None and not is_mpi(identity) and identity.source not in ("linerate", "slurm"):
            raise ValueError(
                f"backend=mpi needs ranks that mpirun or srun has started, and these were started by {identity.source}"
            )
        if importlib.util.find_spec("mpi4py") is None:
            raise ValueError("backend=mpi needs mpi4py; install linerate[mpi]")
        return "mpi"
    here = (identity.local_size or identity.local_rank + 1) if identity else size
    if identity is not None and identity.source == "slurm" and "SLURM_GPUS_PER_TASK" in os.environ:
        here = 1  # SLURM shows each task its own GPUs alone
    if config.backend == "nccl" and num_gpus() < here:
        raise ValueError(
            f"backend=nccl needs one GPU per rank; {here} ranks here and {num_gpus()} GPUs; use backend=gloo"
        )
    if config.backend == "auto":
        return "nccl" if 0 < here <= num_gpus() else "gloo"
    return config.backend


def _check_mpi(config: BenchConfig, kind: str) -> None:
    if config.mpi.algorithm is None:
        return
    if config.backend != "mpi":
        raise ValueError(
            f"mpi.algorithm is {config.mpi.algorithm!r}, but backend is {config.backend}; give backend=mpi too, or leave it out"
        )
    if kind == "external":
        words = " ".join(
            f"{key}={value}" for key, value in config.mpi.environment(config.collectives).items()
        )
        raise ValueError(
            "mpi.algorithm is for ranks that linerate starts (launcher=local, launcher=emulated); start these ones with it in "
            f"their environment, if their MPI is Open MPI: {words}"
        )


def _device(config: BenchConfig) -> str:
    if config.device == "auto":
        return "cuda" if config.backend == "nccl" else "cpu"
    if config.backend == "nccl" and config.device == "cpu":
        raise ValueError("device=cpu does not go with backend=nccl, which moves GPU memory; use backend=gloo")
    if config.device == "cuda" and not num_gpus():
        raise ValueError("device=cuda, but no GPU is visible to this torch; leave it out")
    return config.device


def _check_memory(config: BenchConfig, kind: str, size: int) -> None:
    """Refuse what this machine cannot hold, before a rank starts. Ranks of other machines are not counted."""
    if kind == "external":
        return
    largest = config.sizes.message_bytes(default_max_bytes(config))[-1]
    on_host_bytes = largest * BUFFERS_PER_MESSAGE if config.backend != "nccl" else 0
    if {"bandwidth", "graph", "cold"} & set(config.passes) and config.backend != "nccl":
        on_host_bytes += POOLED_BYTES
    if "cold" in config.passes and config.backend != "nccl":
        on_host_bytes += CACHE_MULTIPLE * (processor_cache_bytes() or 0)
    needed = size * (RANK_BYTES + on_host_bytes)
    available = psutil.virtual_memory().available
    if needed > available:
        most = available // (RANK_BYTES + on_host_bytes)
        keys = (
            "emulation.num_hosts x emulation.ranks_per_host" if kind == "emulated" else "launcher.num_ranks"
        )
        raise ValueError(
            f"{size} ranks ({keys}) with messages of {units.format_bytes(largest)} need about "
            f"{units.format_bytes(needed)} of memory, and {units.format_bytes(available)} are free: at most {most} ranks, "
            "or a smaller sizes.max_bytes"
        )
