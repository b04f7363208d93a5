"""`problems`: what is wrong, or odd, about two modules, the medium between them and the port that one of them is in."""

from dataclasses import dataclass

from bench.model import units
from bench.model.fabric import Fabric
from bench.model.optics.cabling import Cabling, conductor_of, reaches_m
from bench.model.optics.facing import facing, lanes_of
from bench.model.optics.finding import Finding, Severity, refusal, warning
from bench.model.optics.link_fec import link_fec
from bench.model.optics.overload import overload
from bench.model.transceiver import Transceiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where the near module sits. None: not known, and then not checked.

    Attributes:
        lane_gbps: nominal rate of the fastest electrical lane of the cage, in 10**9 bit/s.
        nic_gbps: MAC rate of the adapter's port, in 10**9 bit/s.
        pcie_gbytes_per_s: payload that its PCIe slot carries per direction, in 10**9 byte/s.
        ports_per_module: ports that a twin-port module serves here.
    """

    lane_gbps: float | None = None
    nic_gbps: float | None = None
    pcie_gbytes_per_s: float | None = None
    ports_per_module: int = 1


def ports_of(fabric: Fabric) -> list[Port]:
    """The ports of ``fabric``, one of each rate: all are alike unless their rates are listed."""
    rates_gbps = list(dict.fromkeys(fabric.rail_gbps)) if fabric.rail_gbps else [fabric.nic_gbps]
    return [
        Port(
            lane_gbps=fabric.lane_gbps,
            nic_gbps=rate_gbps,
            pcie_gbytes_per_s=fabric.pcie_gbytes_per_s,
            ports_per_module=fabric.ports_per_module,
        )
        for rate_gbps in rates_gbps
    ]


def problems(
    near: Transceiver,
    far: Transceiver | None = None,
    *,
    medium: Cabling | None = None,
    length_m: float | None = None,
    fec: str | None = None,
    port: Port | None = None,
) -> list[Finding]:
    """All that is wrong or odd about a link, refusals first. What is not known (None) is not checked.

    Args:
        near: the module in ``port``; optics that nobody has named are no reason to find anything.
        far: the one at the other end; None is the same.
        medium: None is what the modules are made for.
        length_m: of the cable, in metres.
        fec: the code that runs, as the link reports it.
    """
    other = near if far is None else far
    ends = [near] if near == other else [near, other]
    known = [module for module in ends if module.is_known]
    found = facing(near, other) if len(known) == 2 else []
    for module in known:
        found += _on_medium(module, medium, length_m)
        found += _code(module, fec)
    if len(known) == len(ends) and not any(finding.severity is Severity.refuse for finding in found):
        found += _break_out(near, other, port)
        if length_m is not None:
            found += overload(near, other, length_m)
            found += overload(other, near, length_m) if near != other else []
    if near.is_known and port is not None:
        found += _in_port(near, port)
    return sorted(dict.fromkeys(found), key=lambda finding: finding.severity is Severity.warn)


def port_rate_gbps(module: Transceiver, ports_per_module: int) -> float | None:
    """MAC rate that a module gives one port: a twin-port module divides its own among the ports that it serves."""
    if module.nominal_rate_gbps is None:
        return None
    return module.nominal_rate_gbps / (ports_per_module if module.is_twin_port else 1)


def _on_medium(module: Transceiver, medium: Cabling | None, length_m: float | None) -> list[Finding]:
    """The right kind of fibre, and no more of it than the module reaches."""
    made_for = conductor_of(module)
    if medium is not None and made_for is not None and made_for is not medium.conductor:
        listed = ", ".join(dict.fromkeys(module.reach_m or {})) or (module.fiber.type if module.fiber else "")
        return [
            refusal(
                f"link.medium is {medium.value}, and {module.name} is made for {made_for.value} ({listed}); set link.medium to "
                "what is there, or take other optics (`linerate catalog --fibre` lists them by medium)"
            )
        ]
    if length_m is None:
        return []
    stated = reaches_m(module, medium)
    on = medium.value if medium is not None else " or ".join(stated) or "its medium"
    if not stated:
        return [
            warning(
                f"link.length_m is {length_m:g}, and no reach of {module.name} on {on} is known; look it up in its data sheet"
            )
        ]
    longest, shortest = max(stated.values()), min(stated.values())
    if length_m > longest:
        return [
            refusal(
                f"link.length_m is {length_m:g}, and {module.name} reaches {longest:g} m on {on}; shorten the link, or take "
                f"optics for it (`linerate catalog --rate {module.nominal_rate_gbps:g} --min-reach {length_m:g}`)"
            )
        ]
    found = []
    if length_m > shortest:
        reached = ", ".join(f"{name} {reach:g} m" for name, reach in stated.items())
        found.append(
            warning(
                f"link.length_m is {length_m:g}, which {module.name} reaches in one of these cases only: {reached}; name "
                "link.medium, or check which of them the link is"
            )
        )
    if any("amplified" in name for name in stated):
        found.append(
            warning(
                f"the {longest:g} m of {module.name} are those of an amplified line, and no other reach of it is known; check "
                f"the received power where these {length_m:g} m have no amplifier"
            )
        )
    for vendor, reach in (module.vendor_reach_m or {}).items():
        if reach < length_m:
            found.append(
                warning(
                    f"link.length_m is {length_m:g}, and as a part of one vendor {module.name} is supported for less ({vendor}: "
                    f"{reach:g} m); the {longest:g} m of the standard hold where the vendor of your part states them: check it"
                )
            )
    return found


def _code(module: Transceiver, fec: str | None) -> list[Finding]:
    """A name that says which code runs. PAM4 lanes of a host run with one always; NRZ lanes need not, even where the module
    decodes its own light (100GBASE-DR in QSFP28)."""
    if fec is None or module.host is None:
        return []
    try:
        runs = link_fec(fec, module.host.modulation).code is not None
    except ValueError as error:
        return [refusal(f"link.fec: {error}; write what mlxlink or ethtool --show-fec print, or null")]
    if runs or module.host.modulation != "PAM4":
        return []
    return [
        refusal(
            f"link.fec is {fec!r}, and the PAM4 lanes of {module.name} do not run without FEC; read the code from the link "
            "(ethtool --show-fec, mlxlink), or leave it null"
        )
    ]


def _break_out(near: Transceiver, far: Transceiver, port: Port | None) -> list[Finding]:
    """A far end with fewer fibre pairs than one port of the near module has takes part of its rate."""
    mine, other = lanes_of(near), lanes_of(far)
    if mine is None or other is None or mine.num_pairs is None or other.num_pairs is None:
        return []
    num_ports = (port.ports_per_module if port is not None else 2) if near.is_twin_port else 1
    if other.num_pairs * num_ports >= mine.num_pairs or near.nominal_rate_gbps is None:
        return []
    carried_gbps = near.nominal_rate_gbps * other.num_pairs / mine.num_pairs
    return [
        warning(
            f"{near.name} has {mine.num_pairs} fibre pairs and {far.name} {other.num_pairs}, so the link between them carries "
            f"{carried_gbps:g} of its {near.nominal_rate_gbps:g} Gb/s and the rest leads to other modules (a break-out); "
            "describe the part that the port uses, or give link.far a module of the same width"
        )
    ]


def _in_port(module: Transceiver, port: Port) -> list[Finding]:
    """What the cage, the adapter and its slot make of the module. A slower module in a faster cage is fine."""
    found = []
    if port.lane_gbps is not None and module.host is not None and module.nominal_rate_gbps is not None:
        lane_gbps = module.nominal_rate_gbps / module.host.lanes
        if lane_gbps > port.lane_gbps:
            found.append(
                refusal(
                    f"the {module.host.lanes} electrical lanes of {module.name} run at {lane_gbps:g} Gb/s each, and those of the "
                    f"port at {port.lane_gbps:g} Gb/s at most (fabric.lane_gbps); take a module with slower lanes, or correct "
                    "fabric.lane_gbps"
                )
            )
    if port.nic_gbps is not None and any("co-packaged" in name for name in module.form_factors):
        found.append(
            warning(
                f"{module.name} is part of a switch ({', '.join(module.form_factors)}) and no module of a host's port; name the "
                "host's module as transceiver, and this one as link.far"
            )
        )
    rate_gbps = port_rate_gbps(module, port.ports_per_module)
    if port.nic_gbps is not None and rate_gbps is not None and rate_gbps != port.nic_gbps:
        slower = "port caps the optics" if rate_gbps > port.nic_gbps else "optics cap the port"
        found.append(
            warning(
                f"{module.name} gives a port {rate_gbps:g} Gb/s and the adapter takes {port.nic_gbps:g} Gb/s (fabric.nic_gbps): the "
                f"{slower} at {min(rate_gbps, port.nic_gbps):g} Gb/s; correct one of the two if that is not meant"
            )
        )
    if port.nic_gbps is not None and port.pcie_gbytes_per_s is not None:
        slot_gbps = units.gbps_from_bytes_per_s(units.bytes_per_s_from_gbytes_per_s(port.pcie_gbytes_per_s))
        if port.nic_gbps > slot_gbps:
            found.append(
                warning(
                    f"the adapter's {port.nic_gbps:g} Gb/s (fabric.nic_gbps) are more than its PCIe slot carries: "
                    f"fabric.pcie_gbytes_per_s={port.pcie_gbytes_per_s:g} is {slot_gbps:.4g} Gb/s of payload, which caps the port"
                )
            )
    return found
