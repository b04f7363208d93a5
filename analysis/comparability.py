"""`differences`: whether two sets of runs measured the same thing, and what else changed between them.

Two kinds of difference. Some make a ratio of times meaningless: another number of ranks, other hosts, another line rate,
another statistic. Such runs are refused, unless the user says that this is what is compared. Others are what one compares
runs for: a library, a setting, a module of the same rate. They are reported beside the result.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.load import Run
from bench.record import RunManifest

UNKNOWN: Final = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One key in which the two sides differ; ``base`` and ``new`` in words."""

    key: str
    base: str
    new: str

    def __str__(self) -> str:
        return f"{self.key}: {self.base} | {self.new}"


def _config(*path: str) -> Callable[[RunManifest], Any]:
    def read(manifest: RunManifest) -> Any:
        found: Any = manifest.config
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    return read


def _hosts(manifest: RunManifest) -> Any:
    names = sorted(str(host.get("name")) for host in manifest.hosts)
    return names or None


def _of_machine(key: str, divisor: float = 1) -> Callable[[RunManifest], Any]:
    """A fact of the machine that rank 0 describes, in whole units: emulated hosts have names that every machine gives them."""

    def read(manifest: RunManifest) -> Any:
        value = (manifest.hosts[0] if manifest.hosts else {}).get(key)
        return round(value / divisor) if isinstance(value, int | float) else value

    return read


def _ranks_per_host(manifest: RunManifest) -> Any:
    counts: dict[str, int] = {}
    for rank in manifest.ranks:
        counts[str(rank.get("host"))] = counts.get(str(rank.get("host")), 0) + 1
    return sorted(counts.values()) or None


def _link(name: str) -> Callable[[RunManifest], Any]:
    return lambda manifest: (manifest.links or {}).get(name)


MUST_AGREE: Final[dict[str, Callable[[RunManifest], Any]]] = {
    "num_ranks": lambda m: m.num_ranks,
    "num_hosts": lambda m: m.num_hosts,
    "hosts": _hosts,
    "processor": _of_machine("processor"),
    "processors": _of_machine("num_processors"),
    # What the kernel leaves of it varies by some megabytes from boot to boot.
    "memory (GiB)": _of_machine("memory_bytes", 2**30),
    "ranks per host": _ranks_per_host,
    "launcher": lambda m: m.launcher,
    "backend": lambda m: m.backend,
    "device": _config("device"),
    "fabric": lambda m: m.fabric,
    "line rate (Gb/s)": _config("transceiver", "nominal_rate_gbps"),
    "transport": _config("transport"),
    "time_scale": lambda m: m.time_scale,
    "link rate (B/s)": _link("rate_bytes_per_s"),
    "MTU (B)": _link("mtu_bytes"),
    "token bucket (B)": _link("bucket_bytes"),
    "emulation.faults": _config("emulation", "faults"),
    "nccl.algorithm": _config("nccl", "algorithm"),
    "nccl.protocol": _config("nccl", "protocol"),
    "mpi.algorithm": _config("mpi", "algorithm"),
}
"""What makes two runs measurements of different things."""

MAY_DIFFER: Final[dict[str, Callable[[RunManifest], Any]]] = {
    "transceiver": lambda m: m.transceiver,
    "timing": _config("timing"),
    "seed": _config("seed"),
    "launched_by": lambda m: m.launched_by,
}
"""What may be the very thing that is compared; ``versions`` and ``environment`` are compared key by key beside these."""

_NEVER_THE_SAME: Final = frozenset({"MASTER_PORT", "MASTER_ADDR", "SLURM_JOB_ID", "SLURM_STEP_ID"})
"""Variables that differ from start to start."""


def differences(
    base: Sequence[Run], new: Sequence[Run]
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """(what forbids a comparison, what else changed). Within one side, runs must agree as well: they count as its starts.

    What one side does not tell, as an imported log may not, forbids nothing, and is listed.
    """
    forbidding: list[Difference] = []
    for side, runs in (("BASE", base), ("NEW", new)):
        for key, read in MUST_AGREE.items():
            known = [value for run in runs if (value := read(run.manifest)) is not None]
            values = list(dict.fromkeys(map(_text, known)))
            if len(values) > 1:
                forbidding.append(Difference(key=f"{key} within {side}", base=values[0], new=values[1]))
    differing = _between(base[0].manifest, new[0].manifest, MUST_AGREE)
    forbidding += [item for item in differing if UNKNOWN not in (item.base, item.new)]
    changed = [item for item in differing if UNKNOWN in (item.base, item.new)]
    changed += _between(base[0].manifest, new[0].manifest, MAY_DIFFER)
    for name in ("versions", "environment"):
        changed += _of_mapping(name, getattr(base[0].manifest, name), getattr(new[0].manifest, name))
    return tuple(forbidding), tuple(changed)


def _between(
    base: RunManifest, new: RunManifest, keys: Mapping[str, Callable[[RunManifest], Any]]
) -> list[Difference]:
    found = []
    for key, read in keys.items():
        old, other = read(base), read(new)
        if old == other:
            continue
        if isinstance(old, dict) and isinstance(other, dict):
            found += _of_mapping(key, old, other)
        else:
            found.append(Difference(key=key, base=_text(old), new=_text(other)))
    return found


def _of_mapping(name: str, base: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(key=f"{name}.{key}", base=_text(base.get(key)), new=_text(new.get(key)))
        for key in sorted({*base, *new} - _NEVER_THE_SAME)
        if base.get(key) != new.get(key)
    ]


def _text(value: Any) -> str:
    if value is None:
        return UNKNOWN
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 120 else f"{text[:117]}..."
