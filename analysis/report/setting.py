"""What ran where, in words and in facts: ranks, hosts, links, machines, launcher."""

from collections.abc import Mapping
from typing import Any, Final

from analysis.report.blocks import Fact, Table, table
from analysis.report.words import capped, counted, flat, text_of
from bench.model import units
from bench.record import RunManifest

MOST_HOSTS: Final = 64
"""Hosts that are listed by name; a page of a few thousand would hold nothing else."""

UNNAMED: Final = ("unknown", "auto", "")


def is_emulated(manifest: RunManifest) -> bool:
    return manifest.time_scale is not None


def is_loopback(manifest: RunManifest) -> bool:
    """Ranks of one machine, of which no traffic crosses optics."""
    return not is_emulated(manifest) and manifest.imported is None and manifest.num_hosts == 1


def has_optics(manifest: RunManifest) -> bool:
    return manifest.transceiver not in UNNAMED


def unit_of(manifest: RunManifest) -> tuple[str, float]:
    """The unit of bandwidths, and what GB/s are multiplied with for it: emulated links are thousands of times slower."""
    return ("MB/s", 1e3) if is_emulated(manifest) else ("GB/s", 1.0)


def path_of(manifest: RunManifest) -> str:
    """What the bytes crossed, in a few words."""
    if is_emulated(manifest):
        link_rate = rate_of_links(manifest)
        at = f", {link_rate}" if link_rate else ""
        return f"{manifest.transceiver} emulated at 1/{manifest.time_scale:g}{at}"
    if manifest.imported is not None and not has_optics(manifest):
        return f"imported from {manifest.launched_by}"
    if is_loopback(manifest) and manifest.backend != "nccl":
        return "this machine's memory, no optics"
    if is_loopback(manifest):
        return "the GPUs of one machine"
    optics = manifest.transceiver if has_optics(manifest) else "optics not named"
    return f"{optics}, {manifest.fabric}" if manifest.fabric not in UNNAMED else optics


def title_of(manifest: RunManifest) -> str:
    return f"{path_of(manifest)} · {manifest.ranks_on_hosts} · {manifest.backend}"


def rate_of_links(manifest: RunManifest) -> str:
    rate = (manifest.links or {}).get("rate_bytes_per_s")
    return units.format_rate(rate) if isinstance(rate, int | float) else ""


def facts_of(manifest: RunManifest) -> list[Fact]:
    """What ran where; what is not known is left out, but for hosts and ranks."""
    found = [
        Fact(name="Ranks and hosts", value=manifest.ranks_on_hosts, note=_hosts(manifest)),
        Fact(name="Path", value=path_of(manifest)),
        *_machines(manifest),
        *_devices(manifest),
        Fact(name="Library", value=_library(manifest)),
        Fact(name="Started by", value=f"{manifest.launched_by} (launcher {manifest.launcher})"),
        Fact(name="Command", value=" ".join(map(str, manifest.command))),
    ]
    if manifest.groups:
        names = [f"{name} (ranks {text_of(ranks)})" for name, ranks in manifest.groups.items()]
        found.append(Fact(name="Groups side by side", value=capped(names, 16, "groups in manifest.json")))
    if manifest.initialisation_s is not None:
        text = units.format_seconds(manifest.initialisation_s)
        found.append(Fact(name="Making the communicator", value=text, note="slowest rank"))
    if manifest.skipped:
        found.append(Fact(name="Skipped", value="; ".join(manifest.skipped)))
    return found


def tables_of(manifest: RunManifest) -> list[Table]:
    """Links, transceiver and fabric as configured, each with where its facts come from."""
    found = []
    if manifest.links:
        caption = "The emulated links, as shaped" if is_emulated(manifest) else "Links"
        found.append(table(caption, ("quantity", "value"), flat(manifest.links)))
    for kind, name in (("transceiver", manifest.transceiver), ("fabric", manifest.fabric)):
        content = manifest.config.get(kind)
        if not isinstance(content, Mapping) or content.get("name") in (*UNNAMED, None):
            continue
        facts = flat({key: value for key, value in content.items() if key not in ("sources", "name")})
        caption = f"{kind.capitalize()} {content.get('name', name)}, as catalogued"
        note = "Empty entries of the catalogue are left out: the source does not say."
        found.append(table(caption, ("quantity, unit in its name", "value"), facts, note))
        found += _sources(kind, content.get("sources"))
    return found


def _sources(kind: str, sources: Any) -> list[Table]:
    """Documents, as text: a page that is opened later should fetch nothing."""
    if not isinstance(sources, Mapping) or not sources:
        return []
    keys = ("document", "states", "location", "grade")
    rows = [
        [str(name), *(text_of(source.get(key, "") or "") for key in keys)]
        for name, source in sources.items()
        if isinstance(source, Mapping)
    ]
    note = "Grades: A standard, B data sheet or tool output, C second hand, D arithmetic."
    return [table(f"Where the facts of the {kind} come from", ("name", *keys), rows, note)]


def _hosts(manifest: RunManifest) -> str:
    ranks_of: dict[str, list[int]] = {str(host.get("name", "?")): [] for host in manifest.hosts}
    for rank in manifest.ranks:
        if rank.get("host") is not None:
            mine = ranks_of.setdefault(str(rank["host"]), [])
            if isinstance(rank.get("rank"), int):
                mine.append(rank["rank"])
    names = [f"{name} ({_spans(ranks)})" if ranks else name for name, ranks in ranks_of.items()]
    return capped(names, MOST_HOSTS, "hosts in manifest.json")


def _spans(ranks: list[int]) -> str:
    """``rank 3``, ``ranks 0 to 7``, ``ranks 0, 2, 4``."""
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    if sorted(ranks) == list(range(min(ranks), max(ranks) + 1)):
        return f"ranks {min(ranks)} to {max(ranks)}"
    return f"ranks {', '.join(map(str, ranks))}"


def _machines(manifest: RunManifest) -> list[Fact]:
    first = manifest.hosts[0] if manifest.hosts else {}
    known = [str(first["processor"])] if first.get("processor") else []
    if isinstance(first.get("num_processors"), int):
        known.append(counted(first["num_processors"], "processor"))
    if isinstance(first.get("memory_bytes"), int | float):
        known.append(f"{units.format_bytes(first['memory_bytes'])} of memory")
    if first.get("load_1min") is not None:
        known.append(f"load {first['load_1min']} before the start")
    if not known:
        return []
    note = "every emulated host is a network namespace of it" if is_emulated(manifest) else "of rank 0"
    return [Fact(name="Machine", value=", ".join(known), note=note)]


def _devices(manifest: RunManifest) -> list[Fact]:
    kinds: dict[str, int] = {}
    for rank in manifest.ranks:
        if rank.get("gpu"):
            kinds[str(rank["gpu"])] = kinds.get(str(rank["gpu"]), 0) + 1
    device = manifest.config.get("device")
    if kinds:
        return [Fact(name="Devices", value=", ".join(f"{count} x {name}" for name, count in kinds.items()))]
    return [Fact(name="Devices", value=f"buffers on {device}")] if device else []


def _library(manifest: RunManifest) -> str:
    version = manifest.versions.get(manifest.backend)
    torch = manifest.versions.get("torch")
    told = f"{manifest.backend} {version}" if version else manifest.backend
    return f"{told}, torch {torch}" if torch else told
