"""Which modules understand each other, how far they reach, and what a port makes of them."""

import dataclasses
import itertools

import pytest

from bench import catalog
from bench.model.optics.cabling import Cabling, Conductor, conductor_of, parse_cabling, reaches_m, takes
from bench.model.optics.facing import lanes_of, pmd_names
from bench.model.optics.finding import Finding, Severity
from bench.model.optics.pairing import Port, problems
from bench.model.transceiver import Fiber, Transceiver

CATALOG = {module.name: module for module in catalog.transceivers()}
PAIRS = list(itertools.combinations_with_replacement(CATALOG.values(), 2))


def refusals(found: list[Finding]) -> list[str]:
    return [finding.text for finding in found if finding.severity is Severity.refuse]


def warnings(found: list[Finding]) -> list[str]:
    return [finding.text for finding in found if finding.severity is Severity.warn]


def test_who_faces_whom_does_not_depend_on_who_asks() -> None:
    """And no pair of the catalog is beyond the question."""
    assert len(PAIRS) >= 62 * 63 // 2
    for near, far in PAIRS:
        there, back = problems(near, far), problems(far, near)
        assert bool(refusals(there)) == bool(refusals(back)), (near.name, far.name)


def test_a_module_understands_its_own_kind() -> None:
    """Whatever the cage, the gearbox and the number of ports: one PMD is one PMD."""
    same = [(a, b) for a, b in PAIRS if a is b or pmd_names(a) & pmd_names(b)]
    assert len(same) > len(CATALOG) + 20
    for near, far in same:
        assert refusals(problems(near, far)) == [], (near.name, far.name)


def test_what_is_refused_differs_in_something_that_light_carries() -> None:
    """Every optical pair that is refused is of two kinds of fibre, a cable, or differs in lanes, rate, colour or code."""
    for near, far in PAIRS:
        a, b = lanes_of(near), lanes_of(far)
        plugs = {module.fiber.connector for module in (near, far) if module.fiber is not None}
        if a is None or b is None or "fixed" in plugs:
            continue
        is_alike = (a.gbd, a.modulation, a.per_pair, a.wavelengths_nm, a.decoder) == (
            b.gbd, b.modulation, b.per_pair, b.wavelengths_nm, b.decoder,
        ) and conductor_of(near) is conductor_of(far)  # fmt: skip
        if is_alike:
            assert refusals(problems(near, far)) == [], (near.name, far.name)


WORKS = [
    ("800g-osfp-dr8", "400g-osfp-dr4"),  # one of its two ports
    ("800g-osfp-dr8", "400g-qsfp112-dr4"),
    ("1600g-osfp-2xdr4", "800g-osfp-dr4"),
    ("400g-qsfpdd-dr4", "100g-qsfp28-dr1"),  # a break-out
    ("400g-osfp-dr4", "400g-qsfpdd-dr4"),  # 4 and 8 electrical lanes
    ("800g-osfp-dr8-lpo", "800g-osfp-dr8"),  # linear and retimed
    ("800g-osfp-dr8-lro", "800g-osfp-dr8"),
    ("800g-osfp-2xfr4", "400g-qsfp112-fr4"),
    ("800g-osfp-sr8", "400g-osfp-sr4"),
    ("400g-qsfpdd-xdr4", "400g-osfp-dr4"),  # one reaches further
    ("1600g-cpo-quantumx", "800g-osfp-dr4"),
]


@pytest.mark.parametrize(("near", "far"), WORKS)
def test_what_works_is_let_through(near: str, far: str) -> None:
    assert refusals(problems(CATALOG[near], CATALOG[far])) == []


REFUSED = [
    ("400g-qsfpdd-fr4", "400g-qsfpdd-dr4", ["4 lanes on each fibre pair", "1 lane", "1271, 1291, 1311, 1331 nm"]),
    ("400g-qsfpdd-sr4.2", "400g-qsfpdd-sr8", ["2 lanes on each fibre pair", "850, 910 nm"]),
    ("400g-qsfpdd-fr4", "100g-qsfp28-dr1", ["no cable splits lanes that share one"]),
    ("800g-osfp-2xfr4", "100g-qsfp28-fr1", ["no cable splits"]),
    ("400g-osfp-sr4", "400g-osfp-dr4", ["multimode fibre", "single-mode fibre"]),
    ("800g-osfp-dac", "800g-osfp-sr8", ["copper", "multimode fibre"]),
    ("800g-osfp-aoc", "800g-osfp-sr8", ["cable whose two ends come from the factory"]),
    ("800g-osfp-aec", "800g-osfp-dac", ["cable whose two ends"]),
    ("400g-qsfpdd-zr", "400g-qsfpdd-fr4", ["coherent", "direct-detect"]),
    ("400g-qsfpdd-zr", "400g-qsfpdd-zrp", ["CFEC", "oFEC", "59.84375 GBd"]),
    ("800g-osfp-dr4", "800g-osfp-dr8", ["106.25 GBd", "53.125 GBd"]),
    ("800g-osfp-dr4-2", "800g-osfp-dr4", ["113.4375 GBd", "106.25 GBd"]),
    ("800g-osfp-fr4", "800g-osfp-fr4-500", ["113.4375 GBd"]),
    ("100g-qsfp28-lr4", "100g-qsfp28-cwdm4", ["1295.56", "1271"]),
    ("100g-qsfp28-psm4", "100g-qsfp28-dr1", ["NRZ", "PAM4"]),
]  # fmt: skip


@pytest.mark.parametrize(("near", "far", "words"), REFUSED)
def test_what_cannot_work_is_refused_with_its_reason(near: str, far: str, words: list[str]) -> None:
    (text,) = refusals(problems(CATALOG[near], CATALOG[far]))
    assert all(word in text for word in [*words, near, far, "link.far"]), text
    assert len(text) < 500 and "\n" not in text


@pytest.mark.parametrize(
    ("near", "far"), [("800g-osfp-fr4", "800g-osfp-lr4"), ("400g-qsfpdd-er8", "400g-qsfpdd-lr8")]
)
def test_what_nobody_states_is_not_decided(near: str, far: str) -> None:
    found = problems(CATALOG[near], CATALOG[far])
    assert not refusals(found)
    assert any("not known" in text and "wavelengths" in text for text in warnings(found))


REACHES = [
    ("400g-osfp-dr4", "SMF", 500),
    ("800g-osfp-sr8", "OM3", 60),
    ("800g-osfp-sr8", "OM4", 100),
    ("800g-osfp-sr8", "OM5", 100),  # as OM4: at 850 nm they are one
    ("400g-qsfpdd-sr4.2", "OM5", 150),
    ("400g-qsfpdd-fr4", "OS2", 2000),
    ("200g-qsfp56-dac-hdr", "DAC", 3),
]


@pytest.mark.parametrize(("name", "medium", "reach_m"), REACHES)
def test_a_link_is_as_long_as_its_module_reaches(name: str, medium: str, reach_m: float) -> None:
    cabling = parse_cabling(medium)
    assert not refusals(problems(CATALOG[name], medium=cabling, length_m=reach_m))
    (text,) = refusals(problems(CATALOG[name], medium=cabling, length_m=reach_m + 1))
    assert f"reaches {reach_m:g} m on" in text and f"--min-reach {reach_m + 1:g}" in text


def test_the_shorter_end_sets_the_reach() -> None:
    two_km, half = CATALOG["400g-qsfpdd-xdr4"], CATALOG["400g-qsfpdd-dr4"]
    assert not refusals(problems(two_km, length_m=2000))
    for near, far in ((two_km, half), (half, two_km)):
        (text,) = refusals(problems(near, far, length_m=600))
        assert half.name in text and "500 m" in text


def test_no_entry_refuses_its_own_reach() -> None:
    """On each medium that it names; and one metre more is always refused."""
    checked = 0
    for module in CATALOG.values():
        for medium in Cabling:
            if takes(module, medium) and (reaches := reaches_m(module, medium)):
                longest = max(reaches.values())
                assert not refusals(problems(module, medium=medium, length_m=longest))
                assert refusals(problems(module, medium=medium, length_m=longest + 1))
                checked += 1
    assert checked > 70


def test_a_fibre_whose_grade_is_not_named_is_refused_beyond_the_best_and_questioned_beyond_the_worst() -> (
    None
):
    sr8 = CATALOG["800g-osfp-sr8"]
    assert refusals(problems(sr8, length_m=101))
    assert any("OM3 60 m, OM4 100 m" in text for text in warnings(problems(sr8, length_m=70)))
    assert problems(sr8, length_m=45) == []


def test_a_vendor_may_support_less_than_the_standard() -> None:
    found = problems(CATALOG["400g-osfp-dr4"], length_m=300)
    assert not refusals(found)
    (text,) = warnings(found)
    assert "NVIDIA: 100 m" in text and "500 m" in text


@pytest.mark.parametrize("medium", list(Cabling))
def test_a_module_runs_on_one_conductor(medium: Cabling) -> None:
    for module in CATALOG.values():
        is_refused = bool(refusals(problems(module, medium=medium)))
        assert is_refused == (conductor_of(module) is not medium.conductor), (module.name, medium)


def test_every_entry_says_what_it_runs_on() -> None:
    found = {conductor_of(module) for module in CATALOG.values()}
    assert found == set(Conductor), "one of the catalog cannot be told"


@pytest.mark.parametrize("word", ["OM1", "OM2", "", "cat6", "glass"])
def test_an_unknown_medium_says_what_is_allowed(word: str) -> None:
    with pytest.raises(ValueError, match=r"allowed: SMF .*OM3, OM4, OM5.*copper"):
        parse_cabling(word)


@pytest.mark.parametrize("module", CATALOG.values(), ids=str)
def test_electrical_lanes_fit_the_cage_or_not(module: Transceiver) -> None:
    """Lanes of 25, 50, 100 and 200 Gb/s; a slower module in a faster cage is fine, a faster one in a slower cage is not."""
    assert module.host is not None and module.nominal_rate_gbps is not None
    own = module.nominal_rate_gbps / module.host.lanes
    assert own in (25, 50, 100, 200)
    for lane_gbps in (25.0, 50.0, 100.0, 200.0):
        found = refusals(problems(module, port=Port(lane_gbps=lane_gbps)))
        assert bool(found) == (own > lane_gbps)
        assert all("fabric.lane_gbps" in text and f"{own:g} Gb/s" in text for text in found)


PORTS = [
    ("400g-osfp-dr4", Port(nic_gbps=400, pcie_gbytes_per_s=57.6), []),
    ("800g-osfp-dr8", Port(nic_gbps=400, ports_per_module=2), []),
    ("800g-osfp-dr8", Port(nic_gbps=400), ["the port caps the optics at 400 Gb/s"]),
    ("200g-qsfp56-sr4", Port(nic_gbps=400), ["the optics cap the port at 200 Gb/s"]),
    ("800g-osfp-dr4", Port(nic_gbps=800, pcie_gbytes_per_s=57.6), ["460.8 Gb/s of payload"]),
    ("1600g-cpo-quantumx", Port(nic_gbps=1600), ["part of a switch"]),
]


@pytest.mark.parametrize(("name", "port", "expected"), PORTS)
def test_what_a_port_makes_of_a_module(name: str, port: Port, expected: list[str]) -> None:
    found = problems(CATALOG[name], port=port)
    assert not refusals(found)
    assert len(found) == len(expected)
    assert all(words in finding.text for words, finding in zip(expected, found, strict=True))


def test_a_break_out_says_what_is_left_of_the_rate() -> None:
    dr4, dr1 = CATALOG["400g-osfp-dr4"], CATALOG["100g-qsfp28-dr1"]
    (text,) = warnings(problems(dr4, dr1))
    assert "carries 100 of its 400 Gb/s" in text
    assert problems(dr1, dr4) == [], "all of its rate goes to one lane of the other"


def test_a_short_link_of_strong_optics_is_questioned() -> None:
    lr4, zr, fr4 = (CATALOG[name] for name in ("100g-qsfp28-lr4", "400g-qsfpdd-zr", "400g-qsfpdd-fr4"))
    assert any("4.5 dBm" in text and "attenuator" in text for text in warnings(problems(lr4, length_m=2)))
    assert problems(lr4, length_m=9000) == []
    assert any("attenuator" in text for text in warnings(problems(zr, length_m=20)))
    assert problems(fr4, length_m=2) == [], "a receiver takes what its own kind launches"


def test_more_light_than_the_other_end_is_sure_to_take() -> None:
    """As of a user's own module that launches more than DR4 may: 6 against 4.2 dBm, and 300 m take 0.1 dB off."""
    dr4 = CATALOG["400g-qsfpdd-dr4"]
    assert dr4.lane_optics is not None
    strong = dataclasses.replace(
        dr4, name="strong", lane_optics=dataclasses.replace(dr4.lane_optics, tx_oma_dbm_max=6.0)
    )
    (text,) = warnings(problems(strong, dr4, length_m=300))
    assert "6 dBm" in text and "4.2 dBm" in text and "0.09 dB" in text
    assert problems(dr4, strong, length_m=300) != [], "the light comes from both ends"


def test_connectors_that_need_a_cable_with_two_different_ends() -> None:
    dr4 = CATALOG["400g-qsfpdd-dr4"]
    for connector, is_odd in (("MPO-12 UPC", True), ("4x LC duplex", True), ("MPO-12", False), (None, False)):
        other = dataclasses.replace(dr4, name="other", fiber=Fiber(type="SMF", fibres=8, connector=connector))
        found = problems(dr4, other)
        assert not refusals(found)
        assert bool(found) == is_odd, connector


def test_fec_off_is_for_nrz_lanes() -> None:
    """A host does not see the code of a QSFP28 DR1, which decodes its own light, and rightly reports none."""
    assert refusals(problems(CATALOG["400g-osfp-dr4"], fec="Off"))
    assert refusals(problems(CATALOG["400g-osfp-dr4"], fec="No FEC"))
    assert problems(CATALOG["100g-qsfp28-dr1"], fec="Off") == []
    assert problems(CATALOG["400g-osfp-dr4"], fec="RS(544,514)") == []
    (text,) = refusals(problems(CATALOG["400g-osfp-dr4"], fec="kp5"))
    assert "link.fec" in text and "kp5" in text


def test_optics_that_nobody_has_named_are_no_reason_to_find_anything() -> None:
    unknown = catalog.transceiver("unknown")
    port = Port(lane_gbps=25, nic_gbps=400, pcie_gbytes_per_s=1)
    assert problems(unknown, length_m=1e6, medium=Cabling.copper, port=port) == []
    assert problems(unknown, CATALOG["400g-osfp-dr4"], length_m=50) == []
    assert refusals(problems(unknown, CATALOG["400g-osfp-dr4"], length_m=600)), "the other end is known"


def test_half_an_entry_is_compared_as_far_as_it_goes() -> None:
    """A user's file with a rate alone: nothing is found, and nothing breaks."""
    bare = Transceiver(name="bare", nominal_rate_gbps=400, sources={"note": {"document": "none"}})
    for module in CATALOG.values():
        assert not refusals(problems(bare, module)) or module.fiber is not None
        problems(
            bare, module, medium=Cabling.smf, length_m=1, fec="Off", port=Port(lane_gbps=100, nic_gbps=400)
        )


def test_refusals_come_first() -> None:
    found = problems(CATALOG["1600g-osfp-2xdr4"], port=Port(lane_gbps=100, nic_gbps=400))
    assert [finding.severity for finding in found] == [Severity.refuse, Severity.warn]


def test_a_wavelength_is_a_channel_and_not_a_digit() -> None:
    """Data sheets call the lane of DR types 1310 or 1311 nm; the next CWDM lane is another."""
    dr4 = CATALOG["400g-qsfpdd-dr4"]
    assert dr4.optical is not None
    for wavelength_nm, is_refused in ((1310.0, False), (1311.5, False), (1291.0, True)):
        optical = dataclasses.replace(dr4.optical, wavelengths_nm=[wavelength_nm])
        other = dataclasses.replace(dr4, name="other", optical=optical)
        assert bool(refusals(problems(dr4, other))) == is_refused
