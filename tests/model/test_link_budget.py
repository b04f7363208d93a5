"""Link budgets close, light becomes errors as the standard's figures have it, and nothing is made up."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from bench import catalog
from bench.model.optics.link_budget import (
    ALLOCATION_DB,
    SECQ_MAX_DB,
    LinkBudget,
    ber_from_margin,
    ber_from_q,
    budget,
    has_oma,
    is_bound_to_host,
    link_ber,
    oma_dbm,
    q_from_ber,
)

DR4 = LinkBudget(
    launched_dbm=-2.2,
    insertion_loss_db=3.0,
    allocation_db=ALLOCATION_DB["DR"],
    stressed_sensitivity_dbm=-1.9,
    secq_max_db=SECQ_MAX_DB,
)
FR4 = LinkBudget(
    launched_dbm=-1.7,
    insertion_loss_db=4.0,
    allocation_db=ALLOCATION_DB["FR"],
    stressed_sensitivity_dbm=-2.6,
    secq_max_db=SECQ_MAX_DB,
)


@pytest.mark.parametrize(("sheet", "required_dbm"), [(DR4, -5.3), (FR4, -6.0)], ids=["DR4", "FR4"])
def test_data_sheets_close(sheet: LinkBudget, required_dbm: float) -> None:
    assert sheet.required_dbm == pytest.approx(required_dbm, abs=1e-12)
    assert sheet.closure_residual_db == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sheet", [DR4, FR4], ids=["DR4", "FR4"])
@pytest.mark.parametrize("loss_db", [0.0, 0.5, 2.5, 6.0])
def test_margin_is_what_the_channel_leaves(sheet: LinkBudget, loss_db: float) -> None:
    assert sheet.margin_db(loss_db) == pytest.approx(sheet.insertion_loss_db - loss_db, abs=1e-12)
    stronger = sheet.margin_db(loss_db, launched_dbm=sheet.launched_dbm + 1.5)
    assert stronger == pytest.approx(sheet.margin_db(loss_db) + 1.5)


@pytest.mark.parametrize("loss_db", [-0.1, math.inf, math.nan])
def test_what_is_no_loss_is_refused(loss_db: float) -> None:
    with pytest.raises(ValueError, match="loss_db"):
        DR4.margin_db(loss_db)


@pytest.mark.parametrize(
    ("modulation", "ber", "q"),
    [
        ("PAM4", 2.4e-4, "3.4141"),
        ("PAM4", 4.8e-3, "2.4893"),
        ("NRZ", 5e-5, "3.8906"),
        ("NRZ", 1e-12, "7.0345"),
    ],
)
def test_q_of_known_thresholds(modulation: str, ber: float, q: str) -> None:
    """3.414 is the Qt of TDECQ at SER 4.8e-4; 7.034 the figure of every NRZ receiver."""
    assert f"{q_from_ber(ber, modulation):.4f}" == q
    assert ber_from_q(q_from_ber(ber, modulation), modulation) == pytest.approx(ber, rel=1e-12, abs=0)


@pytest.mark.parametrize("modulation", ["NRZ", "PAM4"])
def test_q_and_ber_are_inverse_down_to_nothing(modulation: str) -> None:
    bers = np.geomspace(1e-300, 0.375, 50)
    assert ber_from_q(q_from_ber(bers, modulation), modulation) == pytest.approx(bers, rel=1e-9, abs=0)
    assert ber_from_q(0.0, modulation) == {"NRZ": 0.5, "PAM4": 0.375}[modulation]


@pytest.mark.parametrize(
    ("margin_db", "ber"),
    [
        (-1, "2.5e-03"),
        (-0.5, "8.8e-04"),
        (0, "2.4e-04"),
        (0.5, "4.8e-05"),
        (1, "6.5e-06"),
        (1.5, "5.3e-07"),
        (2, "2.4e-08"),
        (3, "3.6e-12"),
    ],
)
def test_margin_becomes_errors(margin_db: float, ber: str) -> None:
    assert f"{ber_from_margin(margin_db, 2.4e-4, 'PAM4'):.1e}" == ber


@pytest.mark.parametrize("modulation", ["NRZ", "PAM4"])
def test_optical_decibels_double_the_eye_every_3_db(modulation: str) -> None:
    """10^(margin / 10), not / 20: light is turned into current, not into power."""
    twice_db = 10 * math.log10(2)
    q = q_from_ber(ber_from_margin(twice_db, 2.4e-4, modulation), modulation)
    assert q == pytest.approx(2 * q_from_ber(2.4e-4, modulation))


def test_more_margin_never_makes_more_errors() -> None:
    bers = ber_from_margin(np.linspace(-20, 12, 300), 2.4e-4, "PAM4")
    assert np.all(np.diff(bers) <= 0)
    links = [
        link_ber(catalog.transceiver("400g-osfp-dr4"), loss_db, measured_floor_ber=5e-10)
        for loss_db in range(6)
    ]
    floors = [link.ber for link in links if link is not None]
    assert len(floors) == 6
    assert all(a <= b for a, b in itertools.pairwise(floors))


@pytest.mark.parametrize("ber", [0.0, -1e-3, 0.4])
def test_no_eye_has_such_errors(ber: float) -> None:
    with pytest.raises(ValueError, match=r"up to 0\.375"):
        q_from_ber(ber, "PAM4")


def test_coherent_light_has_no_levels() -> None:
    with pytest.raises(ValueError, match="NRZ and PAM4"):
        ber_from_q(3.0, "DP-16QAM")


def test_oma_needs_the_extinction_ratio() -> None:
    assert oma_dbm(0.0, None) is None
    assert oma_dbm(0.0, 10 * math.log10(3)) == pytest.approx(0)  # r = 3: OMA is the average power
    almost_all = oma_dbm(0.0, 60.0)
    assert almost_all == pytest.approx(10 * math.log10(2), abs=1e-4)  # all light is signal: twice the average
    with pytest.raises(ValueError, match="extinction_ratio_db"):
        oma_dbm(0.0, 0.0)


def test_oma_is_the_distance_of_the_levels() -> None:
    """From the two outer levels themselves: 0.5 and 2.0 mW."""
    average_dbm = 10 * math.log10((0.5 + 2.0) / 2)
    assert oma_dbm(average_dbm, 10 * math.log10(2.0 / 0.5)) == pytest.approx(10 * math.log10(2.0 - 0.5))


def test_without_a_measured_floor_only_a_lower_bound_is_known() -> None:
    """At 2 dB the noise of a DR4 link gives 2.4e-8; a real one has a floor where noise gives nothing."""
    module = catalog.transceiver("400g-osfp-dr4")
    unknown = link_ber(module, 1.0)
    assert unknown is not None
    assert (unknown.is_lower_bound, f"{unknown.ber:.1e}") == (True, "2.4e-08")
    short = link_ber(module, 0.0, launched_dbm=3.0, measured_floor_ber=9.3e-10)
    assert short is not None
    assert (short.is_lower_bound, short.ber) == (False, 9.3e-10)
    assert short.noise_ber < 1e-20
    long = link_ber(module, 3.0, measured_floor_ber=9.3e-10)
    assert long is not None
    assert long.ber == long.noise_ber == pytest.approx(2.4e-4)


def test_a_measured_floor_is_never_0() -> None:
    with pytest.raises(ValueError, match="at most 3 / N"):
        link_ber(catalog.transceiver("400g-osfp-dr4"), 1.0, measured_floor_ber=0.0)


@pytest.mark.parametrize("name", ["800g-osfp-dr8-lpo", "800g-osfp-dr8-lro", "1600g-osfp-lacc"])
def test_a_module_without_retimer_has_no_errors_of_its_own(name: str) -> None:
    module = catalog.transceiver(name)
    assert is_bound_to_host(module)
    with pytest.raises(ValueError, match="host, module and fibre"):
        link_ber(module, 1.0, measured_floor_ber=1e-9)


@pytest.mark.parametrize("name", ["400g-qsfpdd-zr", "800g-osfp-lr1", "800g-osfp-dac"])
def test_coherent_modules_and_copper_have_no_oma(name: str) -> None:
    module = catalog.transceiver(name)
    assert not has_oma(module)
    with pytest.raises(ValueError, match="no OMA"):
        budget(module)
    with pytest.raises(ValueError, match="no OMA"):
        link_ber(module, 1.0)


@pytest.mark.parametrize("pmd", ["400GBASE-DR4-2 (Cl.124)", "800GBASE-FR4-500 (802.3dj Cl.181)", None])
def test_allocations_are_not_lent_to_other_types(pmd: str | None) -> None:
    """Even with all other terms: what these types set aside is not known."""
    module = catalog.transceiver("400g-osfp-dr4")
    assert budget(module) is not None
    assert budget(dataclasses.replace(module, pmd=pmd)) is None


@pytest.mark.parametrize("name", ["400g-osfp-sr4", "400g-qsfpdd-xdr4", "800g-osfp-dr4", "100g-qsfp28-lr4"])
def test_a_silent_data_sheet_gives_nothing(name: str) -> None:
    module = catalog.transceiver(name)
    assert budget(module) is None
    assert link_ber(module, 1.0) is None
