"""The catalog's numbers agree with each other: rates close through coding and FEC, budgets through insertion loss.

Each law ties numbers of different columns of a data sheet together, so a misread digit breaks it.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bench import catalog
from bench.model import coding
from bench.model.optics.cabling import Cabling, conductor_of, reaches_m, takes
from bench.model.optics.facing import lanes_of

CONF: Final = Path(__file__).resolve().parents[1] / "conf"
PLACEHOLDERS: Final = ("auto", "unknown")
DEFAULTS: Final = ["schema", "_self_"]

BITS_PER_SYMBOL: Final = {"NRZ": 1, "PAM4": 2}
OVERHEAD: Final = {"NRZ": Fraction(66, 64), "PAM4": Fraction(544, 512)}
INNER_CODE: Final = Fraction(363, 340)
INNER_CODE_GBD: Final = 113.4375

SECQ_MAX_DB: Final = 3.4
"""Stressed eye closure of the PAM4 types on single-mode fibre, at which their sensitivity is stated."""

PENALTY_DB: Final = {"DR": 0.1, "FR": 0.3}
"""What a budget allows for reflections: parallel fibre with angled connectors, and duplex fibre."""

NAME: Final = re.compile(
    r"(?P<rate>\d+)g-(?P<form>qsfp28|qsfp56|qsfp112|qsfpdd|osfpxd|osfp|cpo)(-[0-9a-z]+([.][0-9]+)?)+"
)


def _read(group: str) -> dict[str, dict[str, Any]]:
    return {
        path.name.removesuffix(".yaml"): yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted((CONF / group).glob("*.yaml"))
    }


def _described(entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: entry for name, entry in entries.items() if name not in PLACEHOLDERS}


TRANSCEIVERS: Final = _described(_read("transceiver"))
FABRICS: Final = _described(_read("fabric"))
OPTICAL: Final = {name: entry for name, entry in TRANSCEIVERS.items() if entry["optical"] is not None}
DIRECT_DETECT: Final = {
    name: entry for name, entry in OPTICAL.items() if entry["optical"]["modulation"] in BITS_PER_SYMBOL
}
BUDGET_KEYS: Final = ("tx_oma_minus_tdecq_dbm_min", "rx_stressed_sensitivity_oma_dbm")
BUDGETS: Final = {
    name: entry
    for name, entry in OPTICAL.items()
    if isinstance(entry["channel_insertion_loss_db"], int | float)
    and all(entry["lane_optics"][key] is not None for key in BUDGET_KEYS)
}

every_transceiver = pytest.mark.parametrize("name", TRANSCEIVERS)
every_optical = pytest.mark.parametrize("name", OPTICAL)
every_direct_detect = pytest.mark.parametrize("name", DIRECT_DETECT)
every_budget = pytest.mark.parametrize("name", BUDGETS)
every_fabric = pytest.mark.parametrize("name", FABRICS)


def test_the_catalog_is_complete() -> None:
    """So that a pattern that matches nothing cannot make all other tests here pass."""
    assert len(TRANSCEIVERS) >= 62
    assert len(OPTICAL) >= 55
    assert len(DIRECT_DETECT) >= 50
    assert len(BUDGETS) >= 6
    assert {"dgx_a100", "dgx_h100", "dgx_h200", "dgx_b200", "gb200_nvl72"} <= set(FABRICS)


@pytest.mark.parametrize("group", ["transceiver", "fabric"])
@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_placeholders_describe_nothing(group: str, name: str) -> None:
    assert _read(group)[name] == {"defaults": DEFAULTS}


@pytest.mark.parametrize("group", ["transceiver", "fabric"])
def test_a_file_begins_with_what_it_is(group: str) -> None:
    for path in sorted((CONF / group).glob("*.yaml")):
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        assert first.startswith("# "), f"{path.name} does not say what it is"
        first_of_content = next(line for line in rest if not line.startswith("#"))
        assert first_of_content == "defaults: [schema, _self_]", path.name


@every_transceiver
def test_a_name_says_the_rate(name: str) -> None:
    match = NAME.fullmatch(name)
    assert match is not None, f"{name} does not follow <rate>g-<form factor>-<type>"
    assert int(match["rate"]) == TRANSCEIVERS[name]["nominal_rate_gbps"]
    assert TRANSCEIVERS[name]["defaults"] == DEFAULTS
    assert "name" not in TRANSCEIVERS[name]


@every_transceiver
def test_numbers_have_sources_and_sources_have_grades(name: str) -> None:
    sources = TRANSCEIVERS[name]["sources"]
    assert sources
    for identifier, source in sources.items():
        assert source["document"].strip(), f"{name}: {identifier} names no document"
        assert source["grade"] in ("A", "B", "C", "D", "M"), f"{name}: {identifier} has no grade"
    for group, grade in (TRANSCEIVERS[name]["grades"] or {}).items():
        assert grade in ("A", "B", "C", "D", "M", None), f"{name}: grades.{group} is {grade!r}"


@every_transceiver
def test_the_catalog_reads_every_entry(name: str) -> None:
    entry = catalog.transceiver(name)
    assert entry.is_known
    assert entry.name == name
    assert entry.mac_rate_bytes_per_s == TRANSCEIVERS[name]["nominal_rate_gbps"] * 1e9 / 8


@every_transceiver
def test_the_host_lanes_carry_the_mac_rate(name: str) -> None:
    """Lanes x symbol rate x bits per symbol, less 64b/66b or KR4 on NRZ lanes and KP4 on PAM4 lanes."""
    host = TRANSCEIVERS[name]["host"]
    line_gbps = host["lanes"] * host["gbd"] * BITS_PER_SYMBOL[host["modulation"]]
    assert host["raw_gbps"] == pytest.approx(line_gbps, rel=1e-9)
    mac_gbps = line_gbps / float(OVERHEAD[host["modulation"]])
    assert mac_gbps == pytest.approx(TRANSCEIVERS[name]["nominal_rate_gbps"], rel=1e-9)


@every_optical
def test_the_optical_lanes_add_up(name: str) -> None:
    optical = OPTICAL[name]["optical"]
    assert optical["lanes"] * optical["lane_raw_gbps"] == pytest.approx(optical["raw_gbps"], rel=1e-9)


@every_direct_detect
def test_an_optical_lane_carries_its_symbols(name: str) -> None:
    optical = DIRECT_DETECT[name]["optical"]
    lane_gbps = optical["gbd"] * BITS_PER_SYMBOL[optical["modulation"]]
    assert optical["lane_raw_gbps"] == pytest.approx(lane_gbps, rel=1e-9)


@every_direct_detect
def test_the_light_carries_the_mac_rate(name: str) -> None:
    """KP4 alone takes 544/512; the inner code, on its own symbol rate, another 363/340."""
    optical = DIRECT_DETECT[name]["optical"]
    overhead = OVERHEAD[optical["modulation"]]
    if optical["gbd"] == INNER_CODE_GBD:
        overhead *= INNER_CODE
    mac_gbps = optical["raw_gbps"] / float(overhead)
    assert mac_gbps == pytest.approx(DIRECT_DETECT[name]["nominal_rate_gbps"], rel=1e-9)


@every_direct_detect
def test_the_inner_code_is_named_where_its_symbol_rate_is(name: str) -> None:
    """It is not "the FEC of 200G per lane": DR and FR4-500 run at 106.25 GBd without it."""
    has_inner_code = DIRECT_DETECT[name]["fec"]["inner"] is not None
    assert has_inner_code == (DIRECT_DETECT[name]["optical"]["gbd"] == INNER_CODE_GBD)


@every_direct_detect
def test_the_code_belongs_to_the_modulation(name: str) -> None:
    """PAM4 on fibre needs KP4; NRZ needs KR4 or none."""
    fec, modulation = DIRECT_DETECT[name]["fec"], DIRECT_DETECT[name]["optical"]["modulation"]
    if modulation == "PAM4":
        assert fec["code"].startswith("RS(544,514)")
    else:
        assert fec["code"].startswith(("RS(528,514)", "none"))
    t_symbols = {"RS(544,514)": 15, "RS(528,514)": 7}.get(fec["code"].split()[0])
    assert fec["t_symbols"] in (t_symbols, None)


def test_coherent_modules_are_the_only_others() -> None:
    coherent = {name for name in OPTICAL if name not in DIRECT_DETECT}
    assert {OPTICAL[name]["optical"]["modulation"] for name in coherent} == {"DP-16QAM"}
    assert all("coherent" in OPTICAL[name]["kind"] for name in coherent)


@pytest.mark.parametrize("name", [name for name in OPTICAL if name not in DIRECT_DETECT])
def test_coherent_lanes_carry_eight_bits_per_symbol(name: str) -> None:
    """Four bits per symbol on two polarisations; framing and FEC take part of it, so the MAC rate is below."""
    optical = OPTICAL[name]["optical"]
    assert optical["lane_raw_gbps"] == pytest.approx(8 * optical["gbd"], rel=1e-6)
    assert optical["raw_gbps"] > OPTICAL[name]["nominal_rate_gbps"]


def test_overheads_are_those_of_the_model() -> None:
    assert (OVERHEAD["NRZ"], OVERHEAD["PAM4"]) == (coding.KR4_OVERHEAD, coding.KP4_OVERHEAD)
    assert INNER_CODE == coding.INNER_CODE_OVERHEAD


@every_budget
def test_the_link_budget_closes(name: str) -> None:
    """min(OMA - TDECQ) - insertion loss - penalty = stressed sensitivity - SECQ, all per lane."""
    entry = BUDGETS[name]
    kind = re.search(r"GBASE-(DR|FR)", entry["pmd"])
    assert kind is not None, f"{name}: no penalty is known for {entry['pmd']}"
    launched_dbm, stressed_dbm = (entry["lane_optics"][key] for key in BUDGET_KEYS)
    received_dbm = launched_dbm - entry["channel_insertion_loss_db"] - PENALTY_DB[kind[1]]
    assert received_dbm == pytest.approx(stressed_dbm - SECQ_MAX_DB, abs=1e-9)


@every_optical
def test_fibres_come_in_pairs_that_share_the_lanes(name: str) -> None:
    """Lanes over fibre pairs is 1 for parallel types, the number of wavelengths for WDM and BiDi types."""
    lanes = lanes_of(catalog.transceiver(name))
    assert lanes is not None and lanes.num_pairs is not None and lanes.per_pair is not None
    wavelengths = OPTICAL[name]["optical"]["wavelengths_nm"]
    if wavelengths is not None:
        assert len(wavelengths) == lanes.per_pair


@every_transceiver
def test_a_medium_with_a_reach_is_one_that_the_module_takes(name: str) -> None:
    entry = catalog.transceiver(name)
    assert conductor_of(entry) is not None
    for medium in Cabling:
        if medium.is_graded and medium.value in (entry.reach_m or {}):
            assert takes(entry, medium)
            assert reaches_m(entry, medium) == {medium.value: (entry.reach_m or {})[medium.value]}


@every_optical
def test_a_transmitter_stays_below_its_own_maximum(name: str) -> None:
    lane = OPTICAL[name]["lane_optics"] or {}
    for low, high in (("tx_avg_dbm_min", "tx_avg_dbm_max"), ("tx_oma_dbm_min", "tx_oma_dbm_max")):
        if lane.get(low) is not None and lane.get(high) is not None:
            assert lane[low] < lane[high]
    if (
        lane.get("rx_sensitivity_oma_dbm") is not None
        and lane.get("rx_stressed_sensitivity_oma_dbm") is not None
    ):
        assert lane["rx_sensitivity_oma_dbm"] < lane["rx_stressed_sensitivity_oma_dbm"]


@every_transceiver
def test_typical_power_is_not_above_the_maximum(name: str) -> None:
    power = TRANSCEIVERS[name]["power"] or {}
    if power.get("power_w_typ") is not None and power.get("power_w_max") is not None:
        assert 0 < power["power_w_typ"] <= power["power_w_max"]


@every_fabric
def test_the_catalog_reads_every_fabric(name: str) -> None:
    fabric = catalog.fabric(name)
    assert fabric.is_known
    assert fabric.name == name
    assert FABRICS[name]["defaults"] == DEFAULTS
    assert fabric.sources
    assert all(text.strip() for text in fabric.sources.values())


@pytest.mark.parametrize("name", ["dgx_a100", "dgx_h100", "dgx_h200", "dgx_b200"])
def test_a_slot_carries_its_port_and_little_more(name: str) -> None:
    """200G in PCIe 4 x16 and 400G in PCIe 5 x16 stand in the same proportion: each doubles the other."""
    fabric = catalog.fabric(name)
    assert fabric.nic_gbps is not None
    assert fabric.pcie_gbytes_per_s is not None
    assert fabric.pcie_gbytes_per_s / (fabric.nic_gbps / 8) == pytest.approx(1.152)


@every_fabric
def test_a_fabric_says_nothing_about_a_site(name: str) -> None:
    """How many hosts there are and how their leaves are connected is the user's to say."""
    assert not {"name", "num_hosts", "oversubscription", "hosts_per_leaf", "mtu_bytes"} & set(FABRICS[name])
