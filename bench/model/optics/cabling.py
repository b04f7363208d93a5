"""`Cabling`: what lies between two modules by name, and how far a module reaches on it."""

import re
from enum import Enum
from typing import Final

from bench.model.optics.medium import HOLLOW_CORE, OM3, OM4, SMF, TWINAX, Medium
from bench.model.transceiver import Transceiver


class Conductor(Enum):
    """A module is made for one of these and for no other."""

    single_mode = "single-mode fibre"
    multimode = "multimode fibre"
    copper = "copper"


class Cabling(Enum):
    """Fibre or copper, as configurations spell it. ``mmf`` is multimode fibre of a grade that nobody has named."""

    smf = "SMF"
    hollow_core = "hollow_core"
    om3 = "OM3"
    om4 = "OM4"
    om5 = "OM5"
    mmf = "MMF"
    copper = "copper"

    @property
    def conductor(self) -> Conductor:
        if self is Cabling.copper:
            return Conductor.copper
        is_single_mode = self in (Cabling.smf, Cabling.hollow_core)
        return Conductor.single_mode if is_single_mode else Conductor.multimode

    @property
    def is_graded(self) -> bool:
        """Whether it is multimode fibre of a known grade, on which reaches differ."""
        return self in (Cabling.om3, Cabling.om4, Cabling.om5)

    @property
    def medium(self) -> Medium | None:
        """Its delay and loss; None where nothing is known of them."""
        return _MEDIA.get(self)


_MEDIA: Final = {
    Cabling.smf: SMF,
    Cabling.hollow_core: HOLLOW_CORE,
    Cabling.om3: OM3,
    Cabling.om4: OM4,
    Cabling.copper: TWINAX,
}
_SPELLINGS: Final = {
    **{cabling.value.lower(): cabling for cabling in Cabling},
    **dict.fromkeys(("os1", "os2", "single-mode", "singlemode"), Cabling.smf),
    **dict.fromkeys(("multimode", "multi-mode"), Cabling.mmf),
    **dict.fromkeys(("hollow-core",), Cabling.hollow_core),
    **dict.fromkeys(("cu", "twinax", "dac", "acc", "aec", "lacc"), Cabling.copper),
}


def parse_cabling(text: str) -> Cabling:
    """Read a medium as people write it, in any case: SMF, OS2, OM3, OM4, OM5, MMF, copper, DAC.

    Raises:
        ValueError: something else; OM1 and OM2 are among it, because no module of the catalog is specified on them.
    """
    found = _SPELLINGS.get(text.strip().lower())
    if found is None:
        is_old = text.strip().upper() in ("OM1", "OM2")
        hint = "; no module of the catalog is specified on it" if is_old else ""
        raise ValueError(
            f"{text!r} is no medium that is known here{hint}; allowed: SMF (OS1, OS2), hollow_core, OM3, OM4, OM5, MMF "
            "(multimode of an unknown grade), copper (DAC, ACC, AEC)"
        )
    return found


def conductor_of(module: Transceiver) -> Conductor | None:
    """What ``module`` is made for; None where its entry does not say."""
    text = module.fiber.type.upper() if module.fiber is not None else ""
    if text.startswith("SMF"):
        return Conductor.single_mode
    if text.startswith("MMF") or _grades(text):
        return Conductor.multimode
    return Conductor.copper if "TWINAX" in text or "COPPER" in text else None


def takes(module: Transceiver, cabling: Cabling) -> bool | None:
    """Whether ``module`` is specified on ``cabling``; None where its entry does not say."""
    made_for = conductor_of(module)
    if made_for is None or made_for is not cabling.conductor:
        return None if made_for is None else False
    if cabling is Cabling.hollow_core:
        return None
    if not cabling.is_graded:
        return True
    grades = _grades(" ".join([module.fiber.type if module.fiber else "", *(module.reach_m or {})]))
    if not grades:
        return None
    return cabling.value in grades or (cabling is Cabling.om5 and Cabling.om4.value in grades)


def reaches_m(module: Transceiver, cabling: Cabling | None) -> dict[str, float]:
    """Reaches of the PMD that may hold on ``cabling``, in metres, by the name that the entry gives them.

    One where the entry names the medium. Several where it distinguishes what the question does not: multimode fibre of
    an unknown grade, straight and splitter cables, variants of one PMD. None where nobody states a reach, as on
    hollow-core fibre. ``cabling`` None is whatever the module is made for. On OM5 the reach on OM4 holds where no other is
    stated: at 850 nm OM5 has the bandwidth of OM4 (grade M: TIA-492AAAE and TIA-492AAAD).
    """
    stated = {name: reach for name, reach in (module.reach_m or {}).items() if reach is not None}
    if cabling is Cabling.hollow_core:
        return {}
    if cabling is None or not cabling.is_graded:
        return stated
    names = (cabling.value, Cabling.om4.value if cabling is Cabling.om5 else "", Cabling.mmf.value)
    return next(({name: stated[name]} for name in names if name in stated), {})


def _grades(text: str) -> set[str]:
    return set(re.findall(r"\bOM[345]\b", text))
