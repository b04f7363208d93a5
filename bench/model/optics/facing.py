"""`facing`: do two modules understand each other?

Both must put the same lanes on each fibre pair: number, symbol rate, modulation, wavelengths and, where the module
itself decodes, FEC. How many pairs a module has may differ, because a break-out cable leads them to several modules.
Reach may differ as well, and then the shorter one holds. Source of these rules, grade B: Huawei support forum,
"Interconnection Requirements for Client-Side Optical Modules" (forum.huawei.com, thread 614646-875); break-outs of
DR4 and XDR4 as Arista describes them (fiberolink.com, "How can I break out a 400G port").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.model.optics.cabling import Conductor, conductor_of
from bench.model.optics.finding import Finding, refusal, warning
from bench.model.transceiver import Transceiver

WAVELENGTH_TOLERANCE_NM: Final = 1.03
"""Nominal wavelengths that differ by no more are one: half a LAN-WDM channel (1294.53 to 1296.59 nm), the narrowest grid
of client optics; CWDM lanes are 20 nm apart. Grade B: data sheets of 100GBASE-LR4 (Arista QSFP28 LR4)."""

SYMBOL_RATE_TOLERANCE: Final = 1e-4
"""Symbol rates that differ by less are one: a lane may be off by 100 ppm (grade B, same data sheets). The two nearest ones
of the catalog that are not the same, 400ZR and OpenZR+, are 0.5 % apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """What a module puts on each of its fibre pairs. None: its entry does not say.

    Attributes:
        per_pair: lanes in each direction that share one pair of fibres: 1 parallel, 2 of BiDi types, 4 or 8 of WDM types.
        num_pairs: pairs of fibres; each may lead to another module.
        decoder: the code that the module itself decodes; the host does where it is None.
    """

    gbd: float
    modulation: str
    per_pair: int | None
    num_pairs: int | None
    wavelengths_nm: tuple[float, ...] | None
    decoder: str | None

    @property
    def is_coherent(self) -> bool:
        """Whether the receiver mixes the light with a laser of its own, instead of measuring its power."""
        return self.modulation not in ("NRZ", "PAM4")


def lanes_of(module: Transceiver) -> Lanes | None:
    """Lanes on fibre, or None for copper and for entries without an optical side.

    Lanes of one pair = lanes / (fibres / 2): 4 lanes on 8 fibres are parallel, on 2 fibres they are wavelengths.
    """
    optical, fibres = module.optical, module.fiber.fibres if module.fiber else None
    if optical is None:
        return None
    num_pairs = fibres // 2 if fibres and fibres % 2 == 0 else None
    is_whole = num_pairs is not None and optical.lanes % num_pairs == 0
    is_coherent = optical.modulation not in ("NRZ", "PAM4")
    return Lanes(
        gbd=optical.gbd,
        modulation=optical.modulation,
        per_pair=optical.lanes // num_pairs if num_pairs and is_whole else None,
        num_pairs=num_pairs,
        wavelengths_nm=tuple(sorted(optical.wavelengths_nm)) if optical.wavelengths_nm else None,
        decoder=module.fec.code if is_coherent and module.fec else None,
    )


def pmd_names(module: Transceiver) -> frozenset[str]:
    """The PMDs that a module is sold as, without clause and multiplier: 2x400GBASE-DR4 is 400GBASE-DR4."""
    text = re.sub(r"\([^)]*\)", "", module.pmd or "")
    standard = re.findall(r"\d+(?:\.\d+)?[GT]BASE-[A-Z]+\d*(?:[.-]\d+)*", text)
    return frozenset(standard or [name for name in (text.strip(),) if name])


def facing(near: Transceiver, far: Transceiver) -> list[Finding]:
    """Whether ``near`` and ``far`` can be the two ends of one link; symmetric in what it refuses.

    A module always understands its own kind, so equal ones are never compared.
    """
    if near == far:
        return []
    mine, other = conductor_of(near), conductor_of(far)
    if mine is not None and other is not None and mine is not other:
        return [
            refusal(
                f"{_titled(near)} is made for {mine.value} and {_titled(far)} for {other.value}, and nothing joins the two; "
                f"give both ends modules for one medium (link.far=null is {near.name} again)"
            )
        ]
    if is_cable(near) or is_cable(far):
        return _cable_ends(near, far)
    a, b = lanes_of(near), lanes_of(far)
    if a is None or b is None:
        return []
    differences = _differences(a, b)
    if differences:
        return [
            refusal(
                f"{_titled(near)} does not understand {_titled(far)}: {' and '.join(differences)}; both ends need the same "
                f"lanes on each fibre pair, and no cable splits lanes that share one: give link.far such a module (null is "
                f"{near.name} again)"
            )
        ]
    return [*_unknown(near, far, a, b), *_connectors(near, far, a, b)]


def is_cable(module: Transceiver) -> bool:
    """Whether both ends come from the factory on one cable (DAC, ACC, AEC, AOC)."""
    has_fixed_ends = module.fiber is not None and module.fiber.connector == "fixed"
    return has_fixed_ends or conductor_of(module) is Conductor.copper


def _cable_ends(near: Transceiver, far: Transceiver) -> list[Finding]:
    """The ends of a splitter cable are two entries, of one kind and with the same electrical lanes."""
    if near.host is not None and far.host is not None and is_cable(near) and is_cable(far):
        same_lanes = (near.host.gbd, near.host.modulation) == (far.host.gbd, far.host.modulation)
        if same_lanes and near.kind == far.kind:
            return []
    cable = near if is_cable(near) else far
    return [
        refusal(
            f"{_titled(near)} cannot face {_titled(far)}: {cable.name} is a cable whose two ends come from the factory, with "
            "lanes of one rate; leave link.far null, or take a module with a connector at both ends"
        )
    ]


def _differences(a: Lanes, b: Lanes) -> list[str]:
    """What a receiver of the one cannot make of the light of the other."""
    if a.is_coherent != b.is_coherent:
        return [f"one is {_detection(a)} ({_signal(a)}), the other {_detection(b)} ({_signal(b)})"]
    found = []
    if a.modulation != b.modulation or abs(a.gbd - b.gbd) > SYMBOL_RATE_TOLERANCE * max(a.gbd, b.gbd):
        found.append(f"one runs at {_signal(a)}, the other at {_signal(b)}")
    if a.per_pair is not None and b.per_pair is not None and a.per_pair != b.per_pair:
        found.append(f"one has {_on_a_pair(a)}, the other {_on_a_pair(b)}")
    elif not _are_one(a.wavelengths_nm, b.wavelengths_nm):
        found.append(f"one is on {_nm(a)}, the other on {_nm(b)}")
    if a.decoder is not None and b.decoder is not None and a.decoder != b.decoder:
        found.append(f"one decodes {a.decoder}, the other {b.decoder}")
    return found


def _are_one(a: Sequence[float] | None, b: Sequence[float] | None) -> bool:
    """Whether two lists of wavelengths are the same, or one of them is not known."""
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(abs(x - y) <= WAVELENGTH_TOLERANCE_NM for x, y in zip(a, b, strict=True))


def _unknown(near: Transceiver, far: Transceiver, a: Lanes, b: Lanes) -> list[Finding]:
    """Modules of different PMDs of which one does not state its wavelengths may or may not fit."""
    if (a.wavelengths_nm is not None and b.wavelengths_nm is not None) or pmd_names(near) & pmd_names(far):
        return []
    silent = near if a.wavelengths_nm is None else far
    return [
        warning(
            f"whether {_titled(near)} understands {_titled(far)} is not known, because the sources of {silent.name} state no "
            "wavelengths; look both up in their data sheets before relying on this link"
        )
    ]


def _connectors(near: Transceiver, far: Transceiver, a: Lanes, b: Lanes) -> list[Finding]:
    """Connectors matter where the cable is not a break-out, which has different ones anyway.

    MPO against LC, and angled (APC) against flat (UPC) ferrules, need a cable with two different ends. Polish is compared
    only where both entries state it.
    """
    if a.num_pairs != b.num_pairs or near.fiber is None or far.fiber is None:
        return []
    mine, other = near.fiber.connector, far.fiber.connector
    if mine is None or other is None:
        return []
    for words in (("MPO", "LC"), ("APC", "UPC")):
        has = [{word for word in words if re.search(rf"\b{word}\b", text)} for text in (mine, other)]
        if has[0] and has[1] and not has[0] & has[1]:
            return [
                warning(
                    f"{near.name} has {mine} and {far.name} has {other}; the cable between them needs these two different "
                    "ends, and a plain patch cord does not fit or reflects: check which cable is there"
                )
            ]
    return []


def _titled(module: Transceiver) -> str:
    return f"{module.name} ({', '.join(sorted(pmd_names(module)))})" if module.pmd else module.name


def _signal(lanes: Lanes) -> str:
    return f"{lanes.gbd:.7g} GBd {lanes.modulation}"


def _detection(lanes: Lanes) -> str:
    return "coherent" if lanes.is_coherent else "direct-detect"


def _on_a_pair(lanes: Lanes) -> str:
    return f"{lanes.per_pair} lane{'s' if lanes.per_pair != 1 else ''} on each fibre pair ({_nm(lanes)})"


def _nm(lanes: Lanes) -> str:
    if lanes.wavelengths_nm is None:
        return "wavelengths not stated"
    return ", ".join(f"{value:g}" for value in lanes.wavelengths_nm) + " nm"
