"""What the model reads from the catalog: budgets close, rates follow from codes, every code has a name."""

import pytest

from bench import catalog
from bench.model.coding import INNER_CODE_OVERHEAD, KR4_OVERHEAD
from bench.model.optics.fec import HAMMING
from bench.model.optics.link_budget import budget, has_oma, is_bound_to_host
from bench.model.optics.link_fec import interleave_depth, link_fec
from bench.model.transceiver import Transceiver

MODULES = list(catalog.transceivers())
BUDGETS = {
    module.name: terms for module in MODULES if has_oma(module) and (terms := budget(module)) is not None
}
BITS_PER_SYMBOL = {"NRZ": 1, "PAM4": 2, "DP-16QAM": 2 * 4}

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
every_optical = pytest.mark.parametrize(
    "module", [m for m in MODULES if m.optical is not None], ids=lambda module: module.name
)
every_direct_detect = pytest.mark.parametrize(
    "module", [m for m in MODULES if has_oma(m)], ids=lambda module: module.name
)


def test_the_catalog_is_read() -> None:
    """So that empty lists cannot make the tests below pass."""
    assert len(MODULES) >= 62
    assert {"400g-osfp-dr4", "400g-qsfpdd-fr4", "800g-osfp-dr8", "800g-osfp-2xfr4"} <= set(BUDGETS)


@pytest.mark.parametrize("name", BUDGETS)
def test_a_budget_closes(name: str) -> None:
    assert BUDGETS[name].closure_residual_db == pytest.approx(0, abs=1e-9)


@every_direct_detect
def test_no_budget_is_left_out_that_has_all_terms(module: Transceiver) -> None:
    lane = module.lane_optics
    terms = () if lane is None else (lane.tx_oma_minus_tdecq_dbm_min, lane.rx_stressed_sensitivity_oma_dbm)
    is_complete = bool(terms) and None not in terms and module.channel_insertion_loss_db is not None
    assert is_complete == (module.name in BUDGETS)


@every_module
def test_the_host_side_carries_its_symbols(module: Transceiver) -> None:
    host = module.host
    assert host is not None
    bits_per_symbol = BITS_PER_SYMBOL[host.modulation]
    assert host.raw_gbps == pytest.approx(host.lanes * host.gbd * bits_per_symbol, rel=1e-9)


@every_optical
def test_the_optical_side_carries_its_symbols(module: Transceiver) -> None:
    optical = module.optical
    assert optical is not None
    bits_per_symbol = BITS_PER_SYMBOL[optical.modulation]
    assert optical.raw_gbps == pytest.approx(optical.lanes * optical.gbd * bits_per_symbol, rel=1e-6)


@every_module
def test_the_code_of_every_entry_has_a_name(module: Transceiver) -> None:
    fec = module.fec
    assert fec is not None
    code = link_fec(fec.code).code
    assert fec.t_symbols == (None if code is None else code.t)
    assert fec.inner is None or link_fec(fec.inner).code == HAMMING


@every_direct_detect
def test_the_line_rate_is_the_mac_rate_and_its_codes(module: Transceiver) -> None:
    """Without FEC 64b/66b is left, which costs as much as RS(528,514)."""
    fec, optical = module.fec, module.optical
    assert fec is not None
    assert optical is not None
    assert module.nominal_rate_gbps is not None
    code = link_fec(fec.code).code
    overhead = KR4_OVERHEAD if code is None else code.line_over_mac
    assert overhead is not None
    if fec.inner is not None:
        overhead *= INNER_CODE_OVERHEAD
    assert optical.raw_gbps == pytest.approx(module.nominal_rate_gbps * float(overhead), rel=1e-9)


@every_module
def test_soft_decision_codes_take_what_the_catalog_says(module: Transceiver) -> None:
    """The threshold of a PMD behind an inner code is that of the inner code."""
    fec = module.fec
    assert fec is not None
    code = link_fec(fec.inner or fec.code).code
    if code is None or not code.is_soft_decision or fec.pre_fec_ber_threshold is None:
        return
    assert fec.pre_fec_ber_threshold == code.input_ber_threshold


@pytest.mark.parametrize("name", ["400g-osfp-dr4", "200g-qsfp56-sr4", "800g-osfp-dr8", "1600g-osfp-2xdr4"])
def test_ethernet_ports_of_pam4_modules_have_a_depth(name: str) -> None:
    module = catalog.transceiver(name)
    assert module.fec is not None
    assert interleave_depth(link_fec(module.fec.code), module.mac_rate_bytes_per_s) in (2, 4)


def test_modules_without_a_retimer_are_bound_to_the_host() -> None:
    bound = {module.name for module in MODULES if is_bound_to_host(module)}
    assert bound == {"800g-osfp-dr8-lpo", "800g-osfp-dr8-lro", "800g-osfp-lacc", "1600g-osfp-lacc"}
