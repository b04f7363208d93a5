"""Power of modules and links, and energy per bit.

Watts are of one module, both directions; energy divides them by the rate of one direction, which is how data
sheets and talks print pJ/bit. A link has two modules, and modules are not ports: a twin-port module serves
two links, which share its power. So modules and ports are counted apart, and the far end may be another
module.

Typical and maximum are kept apart and never mixed. The MaxPower of an EEPROM is the worst case over life in
steps of 0.25 W (CMIS, standard text), not consumption. None means that no number was found, and then nothing
is derived from it.
"""

import math
from dataclasses import dataclass

from bench.model.fabric import Fabric
from bench.model.transceiver import Transceiver
from bench.model.units import BITS_PER_BYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Typical and maximum power in watts; None: no number was found."""

    typical_w: float | None
    maximum_w: float | None

    def __add__(self, other: "Power") -> "Power":
        """Unknown where either is."""
        return Power(
            typical_w=_sum(self.typical_w, other.typical_w), maximum_w=_sum(self.maximum_w, other.maximum_w)
        )

    def scaled(self, factor: float) -> "Power":
        """``factor`` times as much: a share of a module, or many of them."""
        return Power(
            typical_w=None if self.typical_w is None else self.typical_w * factor,
            maximum_w=None if self.maximum_w is None else self.maximum_w * factor,
        )

    def energy(self, rate_bytes_per_s: float) -> "Energy":
        """Joules per bit at a rate of one direction: watts / (8 rate).

        The MAC rate gives the data sheet's pJ/bit (times 1e12); a measured or predicted payload rate gives
        what a bit that arrived has cost. Modules draw their power whether bits pass or not, so the second is
        never lower.

        Raises:
            ValueError: a rate that is not above 0.
        """
        if not rate_bytes_per_s > 0:
            raise ValueError(
                f"rate is {rate_bytes_per_s} bytes/s; energy per bit needs bits, so a rate above 0. Where "
                "nothing was delivered there is none"
            )
        per_bit = self.scaled(1 / (rate_bytes_per_s * BITS_PER_BYTE))
        return Energy(typical_j_per_bit=per_bit.typical_w, maximum_j_per_bit=per_bit.maximum_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Typical and maximum energy per bit in joules (1e-12 J/bit is 1 pJ/bit); None: no number was found."""

    typical_j_per_bit: float | None
    maximum_j_per_bit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnergy:
    """One link, both ends.

    Attributes:
        power: of both ends, a twin-port module counted by its share.
        rate_bytes_per_s: MAC rate of the link in one direction, the lower of both ends.
        grades: standing of the power of near and far end; None: not said.
        is_eeprom_limit: whether a maximum is an EEPROM's MaxPower, which is no consumption.
    """

    power: Power
    rate_bytes_per_s: float
    grades: tuple[str | None, str | None]
    is_eeprom_limit: bool

    @property
    def at_line_rate(self) -> Energy:
        return self.power.energy(self.rate_bytes_per_s)

    def delivered(self, payload_bytes_per_s: float) -> Energy:
        """Energy per payload bit that arrived, at a measured or predicted rate of one direction.

        Raises:
            ValueError: a rate that is not above 0, or more than the link carries.
        """
        if payload_bytes_per_s > self.rate_bytes_per_s:
            raise ValueError(
                f"{payload_bytes_per_s:g} bytes/s of payload is more than the link's MAC rate of "
                f"{self.rate_bytes_per_s:g} bytes/s; give what one link carried in one direction"
            )
        return self.power.energy(payload_bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one end of one or many links is made of.

    Attributes:
        ports: each ends one link.
        modules: never more than ports.
        lasers_low, lasers_high: at least and at most as many emitters; None: the lanes are not known, or the
            light comes from outside. 0: copper.
    """

    ports: int
    modules: int
    lasers_low: int | None
    lasers_high: int | None


def module_power(transceiver: Transceiver) -> Power:
    """Power of one whole module, as its sources give it."""
    power = transceiver.power
    return Power(
        typical_w=None if power is None else power.power_w_typ,
        maximum_w=None if power is None else power.power_w_max,
    )


def ports_of(transceiver: Transceiver, ports_per_module: int = 2) -> int:
    """Independent ports of one module: ``ports_per_module`` of a twin-port one as it is used, 1 of any other.

    Raises:
        ValueError: fewer than one.
    """
    if ports_per_module < 1:
        raise ValueError(f"ports_per_module is {ports_per_module}; a module serves at least one port")
    return ports_per_module if transceiver.is_twin_port else 1


def link_energy(
    near: Transceiver, far: Transceiver, *, near_ports_per_module: int = 2, far_ports_per_module: int = 2
) -> LinkEnergy:
    """Both ends of one link: P_near / ports_near + P_far / ports_far, at the lower MAC rate per port.

    A 400G link from a 2xDR4 cage (17 W at most, 2 ports) to a DR4 module (9 W) draws 17/2 + 9 = 17.5 W at
    most, 44 pJ/bit. A cable with fixed ends is both ``near`` and ``far``: data sheets give its power per end.

    Raises:
        ValueError: optics that nobody has named, or fewer than one port per module.
    """
    ends = (
        (near, ports_of(near, near_ports_per_module)),
        (far, ports_of(far, far_ports_per_module)),
    )
    shares = [module_power(module).scaled(1 / ports) for module, ports in ends]
    return LinkEnergy(
        power=shares[0] + shares[1],
        rate_bytes_per_s=min(module.mac_rate_bytes_per_s / ports for module, ports in ends),
        grades=(near.grades.get("power"), far.grades.get("power")),
        is_eeprom_limit=any("EEPROM" in (module.grade_remarks or {}).get("power", "") for module, _ in ends),
    )


def parts(transceiver: Transceiver, num_ports: int, ports_per_module: int = 2) -> Parts:
    """Modules and lasers behind a number of ports. DGX H100 with 2xDR4: 8 ports, 4 modules.

    Lasers of one module: on multimode fibre one per lane, because VCSELs are modulated themselves. On
    single-mode fibre at most one per lane, at least one per wavelength: parallel lanes may share a laser in
    front of their modulators. None with external lasers and coherent modules, where lanes do not tell.

    Raises:
        ValueError: a negative number of ports, or fewer than one port per module.
    """
    if num_ports < 0:
        raise ValueError(f"num_ports is {num_ports}; it counts ports")
    modules = math.ceil(num_ports / ports_of(transceiver, ports_per_module))
    low, high = _lasers(transceiver)
    return Parts(
        ports=num_ports,
        modules=modules,
        lasers_low=None if low is None else low * modules,
        lasers_high=None if high is None else high * modules,
    )


def host_parts(transceiver: Transceiver, fabric: Fabric, num_hosts: int = 1) -> Parts | None:
    """Near ends of the links of ``num_hosts`` hosts; each host's modules are its own. None: the ports are not
    known.

    What a switch holds is counted with `parts`, over all its ports: there modules are shared across hosts.

    Raises:
        ValueError: a negative number of hosts.
    """
    if num_hosts < 0:
        raise ValueError(f"num_hosts is {num_hosts}; it counts hosts")
    if fabric.ports_per_host is None:
        return None
    one = parts(transceiver, fabric.ports_per_host, fabric.ports_per_module)
    return Parts(
        ports=one.ports * num_hosts,
        modules=one.modules * num_hosts,
        lasers_low=None if one.lasers_low is None else one.lasers_low * num_hosts,
        lasers_high=None if one.lasers_high is None else one.lasers_high * num_hosts,
    )


def total_power(transceiver: Transceiver, counted: Parts) -> Power:
    """Power of all modules that were counted, idle ports included."""
    return module_power(transceiver).scaled(counted.modules)


def _lasers(transceiver: Transceiver) -> tuple[int | None, int | None]:
    kind = (transceiver.kind or "").lower()
    if "copper" in kind:
        return 0, 0
    optical, fiber = transceiver.optical, transceiver.fiber
    if optical is None or fiber is None or kind.startswith("coherent") or "external laser" in kind:
        return None, None
    if fiber.type.startswith("MMF"):
        return optical.lanes, optical.lanes
    return len(optical.wavelengths_nm) if optical.wavelengths_nm else 1, optical.lanes


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second
