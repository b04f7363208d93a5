"""`LinkBudget`: the light of one lane from transmitter to receiver, in dB, and the bit errors that it leaves.

Everything is per lane and outer OMA. A link passes on OMA - TDECQ, not on OMA and not on average power: the
sensitivity of a receiver is stated for a TDECQ, and the least average launch power is informative only.

A computed BER knows thermal noise alone. Real links have an error floor from laser noise, reflections, the
host's lanes and crosstalk: one 400GBASE-DR4 link with at least 6 dB to spare measures 5e-10, where noise
alone gives nothing. So the BER of a link is the larger of the two, and without a measured floor only a lower
bound is known.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.model.optics.fec import Ratio, like
from bench.model.transceiver import Transceiver

SECQ_MAX_DB: Final = 3.4
"""Stressed eye closure at which DR and FR types of 100G per lane state their sensitivity. Source: Edgecore
ET7502-DR4 and the FR4 sheets of the catalog (B)."""

ALLOCATION_DB: Final = {"DR": 0.1, "FR": 0.3}
"""What the budgets of 100G per lane allow for reflections: parallel fibre with angled connectors, and duplex
fibre. Source: M; with them the data sheets close to the last digit (D)."""

_LANE_GBD: Final = 53.125
_ALLOCATED_PMD: Final = re.compile(r"GBASE-(DR|FR)\d*\b(?!-)")
"""DR4-2 and FR4-500 are left out: their budgets are others."""

_ERROR_SHARE: Final = {"NRZ": 1.0, "PAM4": 0.75}
"""BER over Q(x). PAM4: 1.5 Q(x) symbols are wrong (four levels see three gaps), each with one of its two bits
(Gray coding)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBudget:
    """Worst case of a data sheet, per lane.

    Attributes:
        launched_dbm: least OMA - TDECQ of the transmitter.
        insertion_loss_db: of the fibre and connectors that the PMD is specified for.
        allocation_db: set aside for penalties on the way.
        stressed_sensitivity_dbm, secq_max_db: OMA that the receiver needs for an eye closed by so much.
    """

    launched_dbm: float
    insertion_loss_db: float
    allocation_db: float
    stressed_sensitivity_dbm: float
    secq_max_db: float

    @property
    def required_dbm(self) -> float:
        """OMA - TDECQ at the receiver at which the PMD meets its BER: stressed sensitivity - SECQ."""
        return self.stressed_sensitivity_dbm - self.secq_max_db

    @property
    def closure_residual_db(self) -> float:
        """min(OMA - TDECQ) - loss - allocation - (stressed sensitivity - SECQ): 0 in a sound data sheet."""
        return self.margin_db(self.insertion_loss_db)

    def margin_db(self, loss_db: float, launched_dbm: float | None = None) -> float:
        """Optical dB to spare over the PMD's BER on a channel of ``loss_db``.

        margin = (OMA - TDECQ) - loss - allocation - required, for the weakest transmitter that the data sheet
        allows, or for one of which ``launched_dbm`` (OMA - TDECQ) is known.

        Raises:
            ValueError: a loss that is no loss.
        """
        if not 0 <= loss_db < math.inf:
            raise ValueError(f"loss_db is {loss_db}; the loss of fibre and connectors is 0 or more, in dB")
        sent_dbm = self.launched_dbm if launched_dbm is None else launched_dbm
        return sent_dbm - loss_db - self.allocation_db - self.required_dbm


def has_oma(transceiver: Transceiver) -> bool:
    """Whether the light is switched between levels. Coherent light is not, copper has none."""
    return transceiver.optical is not None and transceiver.optical.modulation in _ERROR_SHARE


def is_bound_to_host(transceiver: Transceiver) -> bool:
    """Whether the host's SerDes equalises through it (LPO, LRO, linear copper); then no BER is its own."""
    return re.search(r"\b(LPO|LRO|TRO|linear)\b", transceiver.kind or "") is not None


def budget(transceiver: Transceiver) -> LinkBudget | None:
    """The budget in a data sheet; None where it lacks a term, as most do.

    Raises:
        ValueError: a coherent module or copper, which have no OMA.
    """
    if not has_oma(transceiver):
        raise ValueError(
            f"{_named(transceiver)} has no OMA ({transceiver.kind}): coherent light is not switched between "
            "levels, copper carries none. Ask for the budget of a module with NRZ or PAM4 optics"
        )
    lane, loss_db = transceiver.lane_optics, transceiver.channel_insertion_loss_db
    pmd = _ALLOCATED_PMD.search(transceiver.pmd or "")
    if lane is None or pmd is None or not isinstance(loss_db, int | float):
        return None
    if transceiver.optical is None or transceiver.optical.gbd != _LANE_GBD:
        return None
    if lane.tx_oma_minus_tdecq_dbm_min is None or lane.rx_stressed_sensitivity_oma_dbm is None:
        return None
    return LinkBudget(
        launched_dbm=lane.tx_oma_minus_tdecq_dbm_min,
        insertion_loss_db=loss_db,
        allocation_db=ALLOCATION_DB[pmd[1]],
        stressed_sensitivity_dbm=lane.rx_stressed_sensitivity_oma_dbm,
        secq_max_db=SECQ_MAX_DB,
    )


def oma_dbm(average_dbm: float, extinction_ratio_db: float | None) -> float | None:
    """Outer OMA of one lane: 2 P (r - 1) / (r + 1), r the extinction ratio. None without that ratio.

    Diagnostics report average power within about 3 dB (M) and no extinction ratio: no margin follows from
    them alone.

    Raises:
        ValueError: an extinction ratio of 0 dB or less, where no light is modulated.
    """
    if extinction_ratio_db is None:
        return None
    if not extinction_ratio_db > 0:
        raise ValueError(
            f"extinction_ratio_db is {extinction_ratio_db}; the level 1 is brighter, so it is above 0 dB"
        )
    ratio = 10 ** (extinction_ratio_db / 10)
    return average_dbm + 10 * math.log10(2 * (ratio - 1) / (ratio + 1))


def ber_from_q(q: Ratio, modulation: str) -> Ratio:
    """BER of equal levels under Gaussian noise: Q(x) with NRZ, 0.75 Q(x) with PAM4.

    Q is the upper tail of the normal distribution, x half the distance of neighbouring levels over the noise:
    OMA / 2 sigma with NRZ, OMA / 6 sigma with PAM4.

    Raises:
        ValueError: another modulation.
    """
    from scipy.special import ndtr

    return like(q, _error_share(modulation) * ndtr(-np.asarray(q)))


def q_from_ber(ber: Ratio, modulation: str) -> Ratio:
    """The x of `ber_from_q` at a BER; 3.4141 for PAM4 at 2.4e-4, the 3.414 of TDECQ.

    Raises:
        ValueError: another modulation, or a BER that no such eye has.
    """
    share = _error_share(modulation)
    if not np.all((np.asarray(ber) > 0) & (np.asarray(ber) <= share / 2)):
        raise ValueError(
            f"BER is {ber}; an eye of {modulation} has one above 0 and up to {share / 2:g}, where it is shut"
        )
    from scipy.special import ndtri

    return like(ber, -ndtri(np.asarray(ber) / share))


def ber_from_margin(margin_db: Ratio, threshold_ber: float, modulation: str) -> Ratio:
    """BER of thermal noise alone at a margin over the PMD's BER: x = x_threshold 10^(margin_db / 10).

    Optical dB: light is turned into current in proportion, so the distance of the levels scales with the
    power itself, and the noise of the receiver does not change.

    Raises:
        ValueError: as `q_from_ber`.
    """
    q = q_from_ber(threshold_ber, modulation)
    return ber_from_q(like(margin_db, q * 10 ** (np.asarray(margin_db) / 10)), modulation)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBer:
    """Raw BER of one lane over the optical segment; what the electrical segments add is not in it.

    Attributes:
        margin_db: over the BER that the PMD is specified for.
        noise_ber: of thermal noise at this margin.
        measured_floor_ber: of the worst lane of this link or one like it. None: not known.
    """

    margin_db: float
    noise_ber: float
    measured_floor_ber: float | None

    @property
    def ber(self) -> float:
        """max(floor, noise); the noise alone where no floor was measured."""
        return max(self.noise_ber, self.measured_floor_ber or 0.0)

    @property
    def is_lower_bound(self) -> bool:
        """Whether the floor is not known, so that the link may be worse."""
        return self.measured_floor_ber is None


def link_ber(
    transceiver: Transceiver,
    loss_db: float,
    *,
    launched_dbm: float | None = None,
    measured_floor_ber: float | None = None,
) -> LinkBer | None:
    """BER of a link between two such modules over ``loss_db``; None where the data sheet lacks a term.

    The noise is that of the weakest transmitter of the data sheet, unless ``launched_dbm`` is known; the
    floor is that of the link, and no data sheet has it.

    Raises:
        ValueError: coherent modules and copper; modules without a retimer, whose errors belong to host,
            module and fibre together; a measured floor of 0, which no measurement shows.
    """
    if is_bound_to_host(transceiver):
        raise ValueError(
            f"{_named(transceiver)} has no BER of its own ({transceiver.kind}): errors belong to host, "
            "module and fibre together. Take the raw BER that the host counts on the whole link"
        )
    if measured_floor_ber is not None and not 0 < measured_floor_ber <= 0.5:
        raise ValueError(
            f"measured_floor_ber is {measured_floor_ber}; it is above 0 and at most 0.5. No errors in N bits "
            "is a BER of at most 3 / N, so give that"
        )
    terms = budget(transceiver)
    threshold_ber = None if transceiver.fec is None else transceiver.fec.pre_fec_ber_threshold
    if terms is None or threshold_ber is None or transceiver.optical is None:
        return None
    margin_db = terms.margin_db(loss_db, launched_dbm)
    return LinkBer(
        margin_db=margin_db,
        noise_ber=ber_from_margin(margin_db, threshold_ber, transceiver.optical.modulation),
        measured_floor_ber=measured_floor_ber,
    )


def _error_share(modulation: str) -> float:
    if modulation not in _ERROR_SHARE:
        raise ValueError(
            f"modulation is {modulation!r}; allowed are {' and '.join(_ERROR_SHARE)}, which have an OMA"
        )
    return _ERROR_SHARE[modulation]


def _named(transceiver: Transceiver) -> str:
    return f"transceiver {transceiver.name or transceiver.pmd!r}"
