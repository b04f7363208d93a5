"""Media: what data sheets print, and what follows from a length."""

import math

import pytest

from bench.model.optics import medium
from bench.model.optics.medium import HOLLOW_CORE, LIGHT_M_PER_S, MEDIA, OM3, OM4, SMF, TWINAX

EVERY_MEDIUM = pytest.mark.parametrize("name", MEDIA)
DELAYED = [entry for entry in MEDIA.values() if entry.delay_s_per_m is not None]


@pytest.mark.parametrize(
    ("entry", "ns_per_m"), [(SMF, 4.895), (OM4, 4.947), (HOLLOW_CORE, 3.35), (TWINAX, 4.5)]
)
def test_delay_per_metre(entry: medium.Medium, ns_per_m: float) -> None:
    assert entry.delay_s_per_m == pytest.approx(ns_per_m * 1e-9)


@pytest.mark.parametrize("entry", DELAYED, ids=lambda entry: entry.name)
def test_the_usual_delay_lies_between_what_makers_print(entry: medium.Medium) -> None:
    low, usual, high = entry.delay_low_s_per_m, entry.delay_s_per_m, entry.delay_high_s_per_m
    assert low is not None and usual is not None and high is not None
    assert low <= usual * (1 + 1e-4)  # 4.947 ns/m is index 1.483, rounded
    assert usual <= high * (1 + 1e-4)


@EVERY_MEDIUM
def test_nothing_is_faster_than_light(name: str) -> None:
    assert medium.delay(MEDIA[name], 1000).low_s >= 1000 / LIGHT_M_PER_S


def test_delay_of_the_group_index() -> None:
    """A group index of 1.468 over 100 m: 489.67 ns."""
    assert medium.delay(SMF, 100).high_s == pytest.approx(489.67e-9, abs=5e-12)
    assert medium.delay(OM4, 100).low_s == pytest.approx(1.482 * 100 / 299792458)


def test_hollow_core_saves_about_1_5_ns_per_metre() -> None:
    hollow, glass = medium.delay(HOLLOW_CORE, 1), medium.delay(SMF, 1)
    assert glass.high_s is not None and hollow.high_s is not None
    assert 1.5e-9 < glass.low_s - hollow.high_s < glass.high_s - hollow.low_s < 1.6e-9


@EVERY_MEDIUM
def test_delay_grows_with_length(name: str) -> None:
    one, two = medium.delay(MEDIA[name], 50), medium.delay(MEDIA[name], 100)
    assert two.low_s == pytest.approx(2 * one.low_s)
    assert medium.delay(MEDIA[name], 0).low_s == 0
    if one.high_s is None or two.high_s is None:
        assert name == "om3", "only OM3 has no printed delay"
    else:
        assert two.high_s == pytest.approx(2 * one.high_s)


@pytest.mark.parametrize(
    ("entry", "wavelength_nm", "length_m", "low_db", "high_db"),
    [
        (SMF, 1310, 100, 0.035, 0.040),
        (SMF, 1550, 10_000, 2.2, 2.8),
        (OM4, 850, 100, 0.22, 0.35),
        (OM3, 850, 100, None, 0.28),
        (HOLLOW_CORE, 1550, 1000, 0.091, None),
    ],
)
def test_loss_of_a_length(
    entry: medium.Medium, wavelength_nm: float, length_m: float, low_db: float | None, high_db: float | None
) -> None:
    loss = medium.loss(entry, wavelength_nm, length_m)
    assert loss.low_db == (None if low_db is None else pytest.approx(low_db))
    assert loss.high_db == (None if high_db is None else pytest.approx(high_db))


@EVERY_MEDIUM
def test_every_number_has_a_grade_and_a_source(name: str) -> None:
    entry = MEDIA[name]
    assert entry.delay_source
    assert (entry.delay_grade is None) == (entry.delay_s_per_m is None)
    for attenuation in entry.attenuation:
        assert attenuation.source and attenuation.grade in "ABCDM"
        assert (attenuation.low_db_per_km or 0) <= (attenuation.high_db_per_km or math.inf)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: smf, om4"):
        medium.medium("om2")
    with pytest.raises(ValueError, match="1310, 1550"):
        medium.loss(SMF, 850, 1)
    with pytest.raises(ValueError, match="wavelengths in nm: none"):
        medium.loss(TWINAX, 850, 1)
    for length_m in (-1, math.nan):
        with pytest.raises(ValueError, match="length"):
            medium.delay(SMF, length_m)
    assert medium.medium("smf") is SMF
