"""`Medium`: the glass, air or copper between two modules: how long a signal takes, and how much of it is
lost.

Grades: A standard text; B data sheet; C second hand; D arithmetic; M well known, not checked against its
source. None means that no number was found, never zero.
"""

from dataclasses import dataclass
from typing import Final

LIGHT_M_PER_S: Final = 299_792_458.0
"""Speed of light in vacuum, exact. Source: SI definition of the metre (A)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attenuation:
    """Loss per length at one wavelength, in dB/km. Connectors are not in it, and on short links they are most
    of the loss.

    Attributes:
        low_db_per_km: the lowest value that a data sheet calls typical.
        high_db_per_km: what its maker guarantees at most.
    """

    wavelength_nm: float
    low_db_per_km: float | None
    high_db_per_km: float | None
    grade: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """One kind of fibre or cable.

    Attributes:
        delay_s_per_m: the usual value; low and high are what different makers print. All None: nobody printed
            one.
        attenuation: one entry per wavelength for which a value was found.
    """

    name: str
    delay_s_per_m: float | None
    delay_low_s_per_m: float | None
    delay_high_s_per_m: float | None
    delay_grade: str | None
    delay_source: str
    attenuation: tuple[Attenuation, ...] = ()

    @property
    def wavelengths_nm(self) -> tuple[float, ...]:
        return tuple(entry.wavelength_nm for entry in self.attenuation)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumDelay:
    """Seconds from one end to the other, between ``low_s`` and ``high_s``; high None: not known."""

    low_s: float
    high_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumLoss:
    """Decibels from one end to the other, without connectors; None: not known."""

    low_db: float | None
    high_db: float | None


def _per_m(group_index: float) -> float:
    return group_index / LIGHT_M_PER_S


SMF: Final = Medium(
    name="smf", delay_s_per_m=4.895e-9, delay_low_s_per_m=_per_m(1.467), delay_high_s_per_m=_per_m(1.468),
    delay_grade="B",
    delay_source="group index at 1310 nm: 1.467, Optokon G.657.B3 (optokon.com, product 257); 1.468, "
    "hnkoptic.com, G.657.B3. 4.895 ns/m is 1.4676, Corning SMF-28 (M). 4.5 ns/m on NVIDIA transceiver pages "
    "is the figure of their copper cable",
    attenuation=(
        Attenuation(
            wavelength_nm=1310, low_db_per_km=0.35, high_db_per_km=0.40, grade="B",
            source="cable: typical 0.35, Optokon G.657.B3; mean 0.37, max 0.40, sinocomms.com G.657",
        ),
        Attenuation(
            wavelength_nm=1550, low_db_per_km=0.22, high_db_per_km=0.28, grade="B",
            source="cable: mean 0.22, max 0.28, sinocomms.com G.657",
        ),
    ),
)  # fmt: skip

OM4: Final = Medium(
    name="om4", delay_s_per_m=4.947e-9, delay_low_s_per_m=_per_m(1.482), delay_high_s_per_m=_per_m(1.483),
    delay_grade="B",
    delay_source="group index at 850 nm: 1.482, MaxCap-OM4 data sheet C11_e; 1.483, Optokon OM4 "
    "(optokon.com, product 252)",
    attenuation=(
        Attenuation(
            wavelength_nm=850, low_db_per_km=2.2, high_db_per_km=3.5, grade="B",
            source="cable: typical 2.2 (loose tube) to 2.5 (tight buffer), max 3.5, Optokon OM4",
        ),
    ),
)  # fmt: skip

OM3: Final = Medium(
    name="om3", delay_s_per_m=None, delay_low_s_per_m=None, delay_high_s_per_m=None,
    delay_grade=None, delay_source="no data sheet with a group index was found",
    attenuation=(
        Attenuation(
            wavelength_nm=850, low_db_per_km=None, high_db_per_km=2.8, grade="B",
            source="fibre before cabling: max 2.80, aps-finland.fi optical fibre specifications",
        ),
    ),
)  # fmt: skip

HOLLOW_CORE: Final = Medium(
    name="hollow_core", delay_s_per_m=3.35e-9,
    delay_low_s_per_m=_per_m(1.0), delay_high_s_per_m=4.895e-9 / 1.45, delay_grade="M",
    delay_source="index about 1.003 (M); no faster than vacuum (A); 45 % faster than single-mode fibre, "
    "press on double nested antiresonant nodeless fibre, Nature Photonics 2025 (C)",
    attenuation=(
        Attenuation(
            wavelength_nm=1550, low_db_per_km=0.091, high_db_per_km=None, grade="C",
            source="lowest in a laboratory, press on Nature Photonics 2025; no product's maximum was found",
        ),
    ),
)  # fmt: skip

TWINAX: Final = Medium(
    name="twinax", delay_s_per_m=4.5e-9, delay_low_s_per_m=4.5e-9, delay_high_s_per_m=4.5e-9, delay_grade="B",
    delay_source="NVIDIA MCP1650-H specification, informative, without a tolerance. Its loss depends on "
    "frequency and gauge, so it has no decibels per kilometre",
)  # fmt: skip

MEDIA: Final = {medium.name: medium for medium in (SMF, OM4, OM3, HOLLOW_CORE, TWINAX)}


def medium(name: str) -> Medium:
    """One entry of `MEDIA`.

    Raises:
        ValueError: no such medium.
    """
    if name not in MEDIA:
        raise ValueError(f"medium {name!r} is not known; allowed: {', '.join(MEDIA)}")
    return MEDIA[name]


def delay(medium: Medium, length_m: float) -> MediumDelay:
    """Delay of a length: length x delay per metre, low to high. Where nobody printed one, at least that of
    vacuum.

    Raises:
        ValueError: a negative length.
    """
    _check_length(length_m)
    low = LIGHT_M_PER_S**-1 if medium.delay_low_s_per_m is None else medium.delay_low_s_per_m
    high = medium.delay_high_s_per_m
    return MediumDelay(low_s=low * length_m, high_s=None if high is None else high * length_m)


def loss(medium: Medium, wavelength_nm: float, length_m: float) -> MediumLoss:
    """Loss of a length, in dB, without connectors: length x attenuation, lowest typical value to guaranteed
    one.

    Raises:
        ValueError: a wavelength for which the medium has no attenuation, or a negative length.
    """
    _check_length(length_m)
    entry = next((a for a in medium.attenuation if a.wavelength_nm == wavelength_nm), None)
    if entry is None:
        known = ", ".join(f"{known_nm:g}" for known_nm in medium.wavelengths_nm) or "none"
        raise ValueError(
            f"medium {medium.name!r} has no attenuation at {wavelength_nm:g} nm; wavelengths in nm: {known}"
        )
    low, high = entry.low_db_per_km, entry.high_db_per_km
    return MediumLoss(
        low_db=None if low is None else low * length_m / 1e3,
        high_db=None if high is None else high * length_m / 1e3,
    )


def _check_length(length_m: float) -> None:
    if not length_m >= 0:
        raise ValueError(f"length is {length_m} m; a fibre or cable has a length of 0 m or more")
