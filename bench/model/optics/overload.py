"""`overload`: whether a short link brings a receiver more light than it takes."""

from typing import Final

from bench.model.optics.cabling import Conductor, conductor_of
from bench.model.optics.facing import is_cable
from bench.model.optics.finding import Finding, warning
from bench.model.transceiver import Transceiver

LR_REACH_M: Final = 10_000.0
"""Reach of LR types. What is specified for more (ER, ZR) expects a loss that a shorter link does not have. Grade M: reaches
of IEEE 802.3 PMDs by the letters of their names."""

LOWEST_RX_MAX_DBM: Final = 3.7
"""Lowest maximum receive power (outer OMA per lane) that is known of DR, FR and LR types: 4.2 dBm of DR (grade B: Edgecore
ET7502-DR4), 3.7 dBm of FR4 (grade C)."""

LEAST_GLASS_DB_PER_KM: Final = 0.31
"""Attenuation of the clearest single-mode fibre at 1310 nm (SMF-28 ULL, grade B): a link loses at least this much."""


def overload(sender: Transceiver, receiver: Transceiver, length_m: float) -> list[Finding]:
    """Too much light on a short link.

    Received at most: the sender's maximum less the glass, launch_dbm - LEAST_GLASS_DB_PER_KM x length; connectors may lose
    nothing. A receiver takes at least what a sender of its own kind may launch, since client PMDs are specified from 2 m
    on (grade B: TIA Fiber Optics Tech Consortium, page on 400GBASE-LR8). Beyond that, LR types are compared with the lowest
    maximum that is known of any, and ER and ZR types whose powers are not known with the reach of LR types.
    """
    if conductor_of(sender) is not Conductor.single_mode or is_cable(sender):
        return []
    launch_dbm, limit_dbm = _launch_dbm(sender), _launch_dbm(receiver)
    longest_m = max((sender.reach_m or {}).values(), key=lambda reach: reach or 0.0, default=None) or 0.0
    glass_db = LEAST_GLASS_DB_PER_KM * length_m / 1e3
    what = f"{sender.name} may launch up to"
    if launch_dbm is None:
        if longest_m <= LR_REACH_M or length_m > LR_REACH_M:
            return []
        return [
            warning(
                f"{sender.name} is made for {longest_m:g} m and link.length_m is {length_m:g}: the light may be too strong for "
                f"{receiver.name}, whose maximum is not known here; compare received power with its data sheet, and put an "
                "attenuator in where it is above"
            )
        ]
    arriving_dbm = launch_dbm - glass_db
    if limit_dbm is not None and arriving_dbm > limit_dbm:
        return [
            warning(
                f"{what} {launch_dbm:g} dBm per lane, of which {length_m:g} m of fibre take {glass_db:.2f} dB, and {receiver.name} is "
                f"sure to take {limit_dbm:g} dBm only; compare the received power with its data sheet, or put an attenuator in"
            )
        ]
    if longest_m >= LR_REACH_M and arriving_dbm > LOWEST_RX_MAX_DBM:
        return [
            warning(
                f"{what} {launch_dbm:g} dBm per lane, of which {length_m:g} m of fibre take {glass_db:.2f} dB; receivers of such types "
                f"take {LOWEST_RX_MAX_DBM:g} dBm or more, so look up the maximum of {receiver.name}, and put an attenuator in "
                "where it is below"
            )
        ]
    return []


def _launch_dbm(module: Transceiver) -> float | None:
    optics = module.lane_optics
    return None if optics is None else optics.tx_oma_dbm_max
