"""Power and energy: the published table in pJ/bit, and modules that are not ports."""

import dataclasses
import itertools

import pytest

from bench import catalog
from bench.model.optics.energy import (
    Parts,
    Power,
    host_parts,
    link_energy,
    module_power,
    parts,
    ports_of,
    total_power,
)
from bench.model.transceiver import Transceiver

NAMES = [name for name in catalog.names("transceiver") if name not in catalog.PLACEHOLDERS]
DR4, TWIN_DR4 = catalog.transceiver("400g-osfp-dr4"), catalog.transceiver("800g-osfp-dr8")
DGX = catalog.fabric("dgx_h100")


@pytest.mark.parametrize(
    ("name", "typical_pj_per_bit", "maximum_pj_per_bit"),
    [
        ("100g-qsfp28-dr1", None, 40),
        ("200g-qsfp56-sr4", 22.5, 25),
        ("400g-qsfpdd-dr4", None, 30),
        ("400g-qsfpdd-fr4", None, 30),
        ("400g-osfp-dr4", 22.5, 22.5),
        ("400g-osfp-sr4", 20, 22.5),
        ("400g-qsfp112-sr4", 20, 22.5),
        ("800g-osfp-sr8", None, 18.75),
        ("800g-osfp-dr8", 20, 21.25),
        ("800g-qsfpdd-2xlr4", None, 20),
        ("400g-qsfpdd-zr", None, 50),
        ("400g-qsfpdd-zrp", None, 57.5),
        ("800g-osfp-dr8-lpo", 8.75, 10.625),
        ("1600g-osfp-2xdr4", 15.625, 18.75),
        ("1600g-cpo-quantumx", 5.625, None),
        ("800g-cpo-bailly", None, None),
        ("800g-osfp-dac", None, 0.125),
        ("200g-qsfp56-dac-hdr", None, 0.5),
        ("200g-qsfp56-acc-hdr", None, 17.5),
        ("800g-osfp-lacc", None, None),
    ],
)
def test_energy_of_one_module_at_its_nominal_rate(
    name: str, typical_pj_per_bit: float | None, maximum_pj_per_bit: float | None
) -> None:
    """Watts of the data sheets over the rate of one direction, as published tables of pJ/bit print it."""
    module = catalog.transceiver(name)
    energy = module_power(module).energy(module.mac_rate_bytes_per_s)
    for j_per_bit, pj_per_bit in (
        (energy.typical_j_per_bit, typical_pj_per_bit),
        (energy.maximum_j_per_bit, maximum_pj_per_bit),
    ):
        assert j_per_bit == (None if pj_per_bit is None else pytest.approx(pj_per_bit * 1e-12))


def test_a_400g_link_from_a_twin_port_cage_to_a_single_port_module() -> None:
    """17/2 + 9 = 17.5 W at most, 44 pJ/bit for both ends; typically 16/2 + 9 = 17 W."""
    link = link_energy(TWIN_DR4, DR4)
    assert link.power == Power(typical_w=17.0, maximum_w=17.5)
    assert link.rate_bytes_per_s == 5e10
    energy = link.at_line_rate
    assert energy.maximum_j_per_bit == pytest.approx(43.75e-12)
    assert round((energy.maximum_j_per_bit or 0) * 1e12) == 44
    assert energy.typical_j_per_bit == pytest.approx(42.5e-12)
    assert link.grades == ("B", "B") and not link.is_eeprom_limit


def test_a_delivered_bit_costs_more_than_one_at_line_rate() -> None:
    """392.34 Gb/s of 400 were measured (ib_write_bw): 44.6 in place of 43.75 pJ/bit."""
    link = link_energy(TWIN_DR4, DR4)
    delivered = link.delivered(392.34e9 / 8).maximum_j_per_bit
    assert delivered == pytest.approx(43.75e-12 * 400 / 392.34)
    assert link.delivered(2.5e10).maximum_j_per_bit == pytest.approx(2 * 43.75e-12)
    with pytest.raises(ValueError, match="more than the link's MAC rate"):
        link.delivered(5.1e10)
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            link.delivered(rate)


def test_typical_and_maximum_are_not_mixed_and_missing_stays_missing() -> None:
    link = link_energy(TWIN_DR4, catalog.transceiver("400g-qsfpdd-dr4"))
    assert link.power == Power(typical_w=None, maximum_w=17 / 2 + 12)
    unknown = link_energy(DR4, catalog.transceiver("400g-qsfp112-dr4"))
    assert unknown.power == Power(typical_w=None, maximum_w=None)
    assert unknown.at_line_rate.maximum_j_per_bit is None


def test_what_an_eeprom_says_is_marked() -> None:
    assert link_energy(DR4, catalog.transceiver("400g-qsfpdd-zr")).is_eeprom_limit
    assert not link_energy(DR4, DR4).is_eeprom_limit


def test_a_link_has_two_modules_whichever_comes_first() -> None:
    assert link_energy(DR4, DR4).power == Power(typical_w=18.0, maximum_w=18.0)
    assert link_energy(DR4, TWIN_DR4).power == link_energy(TWIN_DR4, DR4).power


def test_the_slower_end_sets_the_rate_of_a_link() -> None:
    """A 400G cage with a 200G module at the far end."""
    link = link_energy(DR4, catalog.transceiver("200g-qsfp56-sr4"))
    assert link.rate_bytes_per_s == 2.5e10
    assert link.at_line_rate.maximum_j_per_bit == pytest.approx((9 + 5) / 200e9)


def test_a_twin_port_module_used_as_one_port_is_not_shared() -> None:
    link = link_energy(TWIN_DR4, TWIN_DR4, near_ports_per_module=1, far_ports_per_module=1)
    assert link.power.maximum_w == 34.0 and link.rate_bytes_per_s == 1e11


def test_optics_without_a_name_have_no_energy() -> None:
    with pytest.raises(ValueError, match="unknown"):
        link_energy(Transceiver(), DR4)


def test_a_dgx_h100_has_four_modules_for_eight_rails() -> None:
    host = host_parts(TWIN_DR4, DGX)
    assert host is not None
    assert (host.ports, host.modules) == (8, 4)
    assert total_power(TWIN_DR4, host) == Power(typical_w=64.0, maximum_w=68.0)
    single = host_parts(DR4, DGX)
    assert single is not None and (single.ports, single.modules) == (8, 8)
    pod = host_parts(TWIN_DR4, DGX, num_hosts=32)
    assert pod is not None and (pod.ports, pod.modules) == (256, 128)


def test_hosts_do_not_share_a_module_but_a_switch_does() -> None:
    one_port = dataclasses.replace(DGX, ports_per_host=1)
    hosts = host_parts(TWIN_DR4, one_port, num_hosts=4)
    assert hosts is not None and hosts.modules == 4
    assert parts(TWIN_DR4, 4).modules == 2
    assert parts(TWIN_DR4, 5).modules == 3
    assert parts(TWIN_DR4, 0) == Parts(ports=0, modules=0, lasers_low=0, lasers_high=0)
    assert host_parts(TWIN_DR4, dataclasses.replace(DGX, ports_per_host=None)) is None


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("800g-osfp-sr8", 8, 8),  # a VCSEL per lane
        ("400g-osfp-dr4", 1, 4),  # one wavelength on four fibres: lanes may share a laser
        ("400g-qsfpdd-fr4", 4, 4),  # four wavelengths, four lanes
        ("800g-osfp-2xfr4", 4, 8),  # four wavelengths, twice
        ("800g-osfp-dac", 0, 0),
        ("400g-qsfpdd-zr", None, None),
        ("1600g-cpo-quantumx", None, None),  # light from outside
    ],
)
def test_lasers_of_one_module(name: str, low: int | None, high: int | None) -> None:
    counted = parts(catalog.transceiver(name), 1)
    assert (counted.lasers_low, counted.lasers_high) == (low, high)


@pytest.mark.parametrize("name", NAMES)
def test_laws_of_counting(name: str) -> None:
    module = catalog.transceiver(name)
    counts = [parts(module, num_ports) for num_ports in range(1, 9)]
    for one, more in itertools.pairwise(counts):
        assert one.modules <= more.modules <= more.ports
        assert (more.lasers_low or 0) <= (more.lasers_high or 0)
    assert counts[-1].modules * ports_of(module) == 8
    assert (counts[0].lasers_low is None) == (counts[0].lasers_high is None)


@pytest.mark.parametrize("name", NAMES)
def test_sharing_a_module_conserves_power(name: str) -> None:
    """Two links to the two ports of a module draw what the module draws, and energy per bit is the same."""
    module = catalog.transceiver(name)
    link, whole = link_energy(module, module), module_power(module)
    assert link.power == (whole + whole).scaled(1 / ports_of(module))
    energy = whole.energy(module.mac_rate_bytes_per_s).maximum_j_per_bit
    if energy is not None:
        assert link.at_line_rate.maximum_j_per_bit == pytest.approx(2 * energy)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one port"):
        ports_of(TWIN_DR4, 0)
    with pytest.raises(ValueError, match="num_ports is -1"):
        parts(DR4, -1)
    with pytest.raises(ValueError, match="num_hosts is -1"):
        host_parts(DR4, DGX, -1)
