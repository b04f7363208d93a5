"""Fields of the report that the IETF draft wants: what is known, or why it is not reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.report.setting import is_emulated
from analysis.report.words import text_of
from bench.model import units
from bench.record import RunManifest

HOSTS_ONLY: Final = "linerate measures from the hosts and reads nothing from switches"
NOT_READ: Final = "linerate does not read it"
NO_SWITCH: Final = "emulated: Linux bridges of one machine stand in for switches"
NOT_RUN: Final = "this run has none of its tests"
NOT_RECORDED: Final = "the run does not record it"
NO_UET: Final = "the transport is not UET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """``value`` or, where there is none, ``reason``."""

    name: str
    value: str = ""
    reason: str = ""


def field(name: str, value: Any, reason: str = NOT_READ) -> Field:
    text = "" if value is None else text_of(value)
    return Field(name=name, value=text, reason="" if text else reason)


def device(manifest: RunManifest, points: Sequence[Mapping[str, Any]]) -> list[Field]:
    """Table 5."""
    why = NO_SWITCH if is_emulated(manifest) else HOSTS_ONLY
    rate = next((point["comparability"]["line_rate_gbytes_per_s"] for point in points), None)
    speed = (
        None
        if rate is None
        else f"{units.BITS_PER_BYTE * rate:.6g} Gb/s of the ports of one rank, configured"
    )
    return [
        *(Field(name=name, reason=why) for name in ("Switch vendor and model", "Switch ASIC", "NOS version")),
        field("Port speed", speed, "optics or fabric are not named"),
        Field(name="Buffer architecture", reason=why),
        field("Optics and cables", _optics(manifest), "the optics are not named (transceiver=)"),
        Field(name="NIC vendor and model", reason=NOT_READ),
        Field(name="NIC firmware", reason=NOT_READ),
        field("Host configuration", "see item 5"),
    ]


def _optics(manifest: RunManifest) -> str | None:
    content = manifest.config.get("transceiver")
    if not isinstance(content, Mapping) or content.get("nominal_rate_gbps") is None:
        return None
    asked = manifest.config.get("link")
    link: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
    cable = link.get("medium") or "cable not named"
    length = f"{link['length_m']} m" if link.get("length_m") is not None else "length not given"
    return f"{manifest.transceiver}, {content.get('pmd') or 'PMD not named'}; {cable}, {length}"


def topology(manifest: RunManifest) -> list[Field]:
    fabric = manifest.config.get("fabric")
    described: Mapping[str, Any] = fabric if isinstance(fabric, Mapping) else {}
    if is_emulated(manifest):
        return [
            field("Topology class", "none of the reference topologies: emulated links on one machine"),
            field("DUT boundary", "the shaped interface of each host (class a), emulated"),
            field("Placement", manifest.ranks_on_hosts),
            field("Rail mapping", "one port per host on one switch"),
            Field(name="Physical cabling, diagram", reason=NO_SWITCH),
        ]
    names = ("Topology class", "Switch tiers, hops, equal-cost paths, bisection bandwidth")
    return [
        *(Field(name=name, reason=HOSTS_ONLY) for name in names),
        field("DUT boundary", "the interfaces of the hosts"),
        field("Placement", manifest.ranks_on_hosts),
        field(
            "Fabric as described",
            manifest.fabric if described.get("ranks_per_host") else None,
            "not named (fabric=)",
        ),
        Field(name="Rail mapping", reason=NOT_READ),
        Field(name="Physical cabling, diagram", reason=HOSTS_ONLY),
    ]


def configuration(manifest: RunManifest) -> list[Field]:
    """QoS and load balancing of the switches."""
    why = NO_SWITCH if is_emulated(manifest) else HOSTS_ONLY
    names = (
        "ECN thresholds",
        "PFC headroom",
        "DCQCN parameters",
        "Buffer allocation",
        "Vendor-specific tuning",
    )
    mode = field("Load balancing mode", "none, one path" if is_emulated(manifest) else None, why)
    fields = [*(Field(name=name, reason=why) for name in names), mode]
    transport = manifest.config.get("transport")
    fields.append(
        field(
            "Transport",
            None if transport in (None, "auto", "unknown") else transport,
            "not named (transport=)",
        )
    )
    return fields


def host(manifest: RunManifest) -> list[Field]:
    """The host stack."""
    first = manifest.hosts[0] if manifest.hosts else {}
    gpus = sorted({str(rank["gpu"]) for rank in manifest.ranks if rank.get("gpu")})
    versions = manifest.versions
    return [
        field(
            "Operating system",
            f"kernel {versions['kernel']}" if versions.get("kernel") else None,
            NOT_RECORDED,
        ),
        field("Processor", first.get("processor"), NOT_RECORDED),
        field("Accelerator", ", ".join(gpus) or None, "no accelerator is recorded"),
        field("Collective library", f"{manifest.backend} {versions.get(manifest.backend, '')}".strip()),
        field("torch", versions.get("torch"), NOT_RECORDED),
        field("linerate", versions.get("linerate"), NOT_RECORDED),
        field("Started by", manifest.launched_by),
        *(
            Field(name=name, reason=NOT_READ)
            for name in ("NIC driver and firmware", "BIOS settings", "PCIe topology")
        ),
        *(
            Field(name=name, reason=NO_UET)
            for name in ("UEC compliance profile", "libfabric provider", "Optional UET features")
        ),
    ]
