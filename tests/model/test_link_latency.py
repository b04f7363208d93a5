"""Latency of a link: an interval made of parts, never narrower than what is known."""

import pytest

from bench import catalog
from bench.model.optics.fec import KP4, group_time_s
from bench.model.optics.link_latency import LinkLatency, link_latency, module_latency
from bench.model.optics.medium import OM4, SMF, TWINAX, delay
from bench.model.transceiver import Transceiver

GROUP_S = 25.6e-9
NAMES = [name for name in catalog.names("transceiver") if name not in catalog.PLACEHOLDERS]


def _link(name: str, length_m: float = 100, fec_group_s: float | None = GROUP_S) -> LinkLatency:
    module = catalog.transceiver(name)
    return link_latency(module, module, SMF, length_m, fec_group_s)


def test_a_400g_link_over_100_m() -> None:
    """Glass 489.3 to 489.7, group 25.6, decoder 20 to 100, two DSPs of 45 to 60 ns."""
    link = _link("400g-osfp-dr4")
    assert link.low_s == pytest.approx((489.3 + 25.6 + 20 + 2 * 45) * 1e-9, abs=0.1e-9)
    assert link.high_s == pytest.approx((489.7 + 25.6 + 100 + 2 * 60) * 1e-9, abs=0.1e-9)
    assert [part.name for part in link.parts] == [
        "medium", "fec group", "fec decoder", "transmit module", "receive module",
    ]  # fmt: skip
    assert [part.grade for part in link.parts] == ["B", "D", "C", "C", "C"]


def test_the_group_time_is_that_of_the_code() -> None:
    """KP4 at 400G fills two codewords in turn: 25.6 ns."""
    group_s = group_time_s(KP4, 5e10, depth=2)
    assert group_s == pytest.approx(GROUP_S)
    link = _link("400g-osfp-dr4", fec_group_s=group_s)
    assert link.parts[1].low_s == link.parts[1].high_s == group_s


def test_two_dsps_are_about_20_m_of_fibre() -> None:
    """What leaving out the DSP saves: 88 to 120 ns per link, 18 to 25 m of glass."""
    dsp, linear = _link("800g-osfp-dr8", 0), _link("800g-osfp-dr8-lpo", 0)
    assert dsp.high_s is not None and linear.high_s is not None
    per_m = delay(SMF, 1).low_s
    least = dsp.parts[3].low_s + dsp.parts[4].low_s - 2e-9
    most = (dsp.parts[3].high_s or 0) + (dsp.parts[4].high_s or 0)
    assert (least, most) == pytest.approx((88e-9, 120e-9))
    assert 17.5 < least / per_m < most / per_m < 25


@pytest.mark.parametrize(
    "name", ["800g-osfp-dr8-lpo", "1600g-cpo-quantumx", "800g-cpo-bailly", "800g-osfp-lacc"]
)
def test_without_a_retimer_nothing_is_known_but_that_it_is_below_a_nanosecond(name: str) -> None:
    part = module_latency(catalog.transceiver(name), sends=True)
    assert (part.low_s, part.high_s, part.grade) == (0.0, 1e-9, None)
    assert "no measured number" in part.source


def test_lro_retimes_one_side() -> None:
    module = catalog.transceiver("800g-osfp-dr8-lro")
    sent, received = module_latency(module, sends=True), module_latency(module, sends=False)
    assert (sent.low_s, sent.high_s) == (45e-9, 60e-9)
    assert (received.low_s, received.high_s) == (0.0, 1e-9)


@pytest.mark.parametrize("name", ["400g-qsfpdd-zr", "400g-qsfpdd-zrp", "800g-osfp-lr1", "800g-osfp-er1"])
def test_coherent_has_no_upper_limit(name: str) -> None:
    link = _link(name, 10_000)
    assert link.high_s is None and not link.is_bounded
    assert link.low_s >= delay(SMF, 10_000).low_s


@pytest.mark.parametrize("name", ["800g-osfp-dr4-2", "800g-osfp-fr4", "800g-osfp-lr4", "1600g-osfp-dr8-2"])
def test_an_inner_code_adds_what_nobody_has_published(name: str) -> None:
    link = _link(name)
    assert link.high_s is None
    assert link.low_s >= _link("800g-osfp-dr4").low_s


@pytest.mark.parametrize("name", ["100g-qsfp28-dac", "200g-qsfp56-dac-hdr", "800g-osfp-dac"])
def test_passive_copper_adds_the_cable_alone(name: str) -> None:
    cable = catalog.transceiver(name)
    link = link_latency(cable, cable, TWINAX, 2, 0)
    assert link.low_s == link.high_s == pytest.approx(9e-9)


def test_retimed_copper_is_mixed_signal_or_dsp() -> None:
    for name in ("800g-osfp-aec", "200g-qsfp56-acc-hdr"):
        part = module_latency(catalog.transceiver(name), sends=False)
        assert (part.low_s, part.high_s, part.grade) == (3e-9, 60e-9, "C")


def test_nrz_modules_have_no_dsp() -> None:
    nrz = module_latency(catalog.transceiver("100g-qsfp28-sr4"), sends=True)
    pam4 = module_latency(catalog.transceiver("100g-qsfp28-dr1"), sends=True)
    assert (nrz.low_s, nrz.high_s) == (0.0, pam4.high_s)
    assert pam4.low_s == 45e-9


@pytest.mark.parametrize("kind", [None, "magic"])
def test_an_unnamed_kind_bounds_nothing(kind: str | None) -> None:
    part = module_latency(Transceiver(kind=kind), sends=True)
    assert (part.low_s, part.high_s, part.grade) == (0.0, None, None)


@pytest.mark.parametrize("name", NAMES)
def test_every_module_of_the_catalog_has_an_interval(name: str) -> None:
    for sends in (True, False):
        part = module_latency(catalog.transceiver(name), sends)
        assert part.low_s >= 0 and part.source
        assert part.high_s is None or part.low_s <= part.high_s <= 60e-9
        assert "says nothing" not in part.source


@pytest.mark.parametrize("name", NAMES)
def test_parts_add_up_and_a_longer_fibre_takes_longer(name: str) -> None:
    short, long = _link(name, 10), _link(name, 110)
    assert long.low_s - short.low_s == pytest.approx(delay(SMF, 100).low_s)
    assert short.low_s == sum(part.low_s for part in short.parts)
    if short.high_s is not None:
        assert short.high_s == sum(part.high_s or 0 for part in short.parts)
        assert short.low_s < short.high_s, "an interval, never a point"


def test_fec_that_is_off_unresolved_or_impossible() -> None:
    off, unresolved = _link("400g-osfp-dr4", fec_group_s=0), _link("400g-osfp-dr4", fec_group_s=None)
    assert not any(part.name.startswith("fec") for part in off.parts)
    assert unresolved.high_s is None
    assert unresolved.low_s == pytest.approx(off.low_s + 20e-9)
    with pytest.raises(ValueError, match="FEC group time is -1"):
        _link("400g-osfp-dr4", fec_group_s=-1)


def test_both_ends_count_and_the_medium_is_free() -> None:
    near, far = catalog.transceiver("800g-osfp-sr8"), catalog.transceiver("800g-osfp-dr8-lpo")
    there = link_latency(near, far, OM4, 30, GROUP_S)
    back = link_latency(far, near, OM4, 30, GROUP_S)
    assert there.low_s == pytest.approx(back.low_s)
    assert there.parts[3].low_s == 45e-9 and there.parts[4].low_s == 0
