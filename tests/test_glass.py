"""What the light does: published values, what is measured before what is computed, and nothing invented."""

import dataclasses
import functools
import io
import json
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from bench import catalog
from bench.compose import compose
from bench.config import BenchConfig
from bench.glass import Glass, glass_of, goodput_of, link_of
from bench.glass_view import not_known, rows, show
from bench.launch.resolve import prediction_target
from bench.link_config import LEAST_BER
from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Network
from bench.model.optics import link_errors
from bench.model.optics.built_link import decodes_itself
from bench.model.optics.entry import Entry
from bench.model.optics.fec import KP4, MIN_FRAME_BITS, frames_lost, frames_per_codeword
from bench.model.optics.finding import warning
from bench.model.optics.link_budget import has_oma, is_bound_to_host
from bench.model.optics.link_errors import packets_lost
from bench.model.predict import predict
from bench.model.schedule import Schedule
from bench.model.transceiver import Transceiver

DOC: Final = Path(__file__).resolve().parents[1] / "docs" / "link.md"
MODULES: Final = list(catalog.transceivers())
MAC_400G: Final = 5e10
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)

DGX: Final = ("fabric=dgx_h100", "fabric.num_hosts=4")
DR4: Final = ("transceiver=400g-osfp-dr4", *DGX)
KP4_ON_IT: Final = "link.fec='RS(544,514)'"
FABRICS: Final = {
    "dgx_h100": DGX,
    "gb200_nvl72": ("fabric=gb200_nvl72", "fabric.num_hosts=2", "transport=roce_v2"),
    "emulated": ("launcher=emulated",),
}
NOTHING: Final[dict[str, Any]] = {}
KNOWN_LINK: Final[dict[str, Any]] = {
    "length_m": 2.0,
    "fec": "RS(544,514)",
    "pre_fec_ber": 1e-4,
    "error_floor_ber": 1e-9,
}


@functools.cache
def _target(*overrides: str) -> tuple[BenchConfig, Network]:
    network, _, config = prediction_target(compose(list(overrides)))
    return config, network


def _settled(*overrides: str) -> tuple[BenchConfig, Network]:
    """What is below ``link`` changes no network, so it is set afterwards: composing takes longer than all the rest."""
    config, network = _target(*(text for text in overrides if not text.startswith("link.")))
    keys = dict(text.removeprefix("link.").split("=", 1) for text in overrides if text.startswith("link."))
    values: dict[str, Any] = {key: _number_or_text(value) for key, value in keys.items()}
    return dataclasses.replace(config, link=dataclasses.replace(config.link, **values)), network


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip("'")


def _glass(*overrides: str) -> Glass:
    found = glass_of(*_settled(*overrides))
    assert found is not None
    return found


def _is_exactly(entry: Entry, value: float) -> bool:
    return entry.low == entry.high == pytest.approx(value)


def _printed(glass: Glass | None, *texts: str) -> str:
    out = io.StringIO()
    show(Console(file=out, width=120), glass, [warning(text) for text in texts])
    return out.getvalue()


# Known answers


def test_kp4_at_its_threshold_loses_what_is_published_for_400gbase_r() -> None:
    """FLR 1.7e-12 at a BER of 2.4e-4 is the published value; the formula gives 1.737e-12."""
    glass = _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=2.4e-4")
    assert glass.codeword_error_ratio.low == pytest.approx(8.152e-13, rel=1e-3)
    assert glass.frame_loss_ratio.low == pytest.approx(1.737e-12, rel=1e-3)
    assert glass.fec == KP4.name
    assert _is_exactly(glass.fec_group_s, 25.6e-9)


def test_errors_taken_as_random_are_a_lower_bound() -> None:
    glass = _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=2.4e-4")
    for entry in (glass.codeword_error_ratio, glass.frame_loss_ratio, glass.packet_loss_ratio):
        assert entry.high is None


def test_a_link_of_a_twin_port_cage_and_a_dr4_draws_17_5_w() -> None:
    """17/2 + 9 = 17.5 W at most and 43.75 pJ/bit, whichever end the host has."""
    for near, far in (("400g-osfp-dr4", "800g-osfp-dr8"), ("800g-osfp-dr8", "400g-osfp-dr4")):
        glass = _glass(f"transceiver={near}", f"link.far={far}", *DGX)
        assert _is_exactly(glass.link_w.maximum, 17.5)
        assert _is_exactly(glass.line_j_per_bit.maximum, 43.75e-12)
        assert _is_exactly(glass.link_w.typical, 17.0)


def test_modules_and_ports_of_a_job_are_counted_apart() -> None:
    """Four DGX H100: 32 ports in 16 twin-port cages, and 32 single-port modules beyond: 16 x 17 + 32 x 9 W."""
    glass = _glass("transceiver=800g-osfp-dr8", "link.far=400g-osfp-dr4", *DGX)
    assert glass.job_near is not None
    assert glass.job_far is not None
    assert (glass.job_near.ports, glass.job_near.modules) == (32, 16)
    assert (glass.job_far.ports, glass.job_far.modules) == (32, 32)
    assert _is_exactly(glass.job_w.maximum, 16 * 17 + 32 * 9)


@pytest.mark.parametrize(
    ("name", "lanes", "line_gbps", "mac_gbps"),
    [
        ("400g-osfp-dr4", 4, 425, 400),
        ("800g-osfp-dr8", 4, 425, 400),
        ("400g-qsfpdd-zr", 1, 478.75, 400),
        ("800g-osfp-dac", 4, 425, 400),
        ("800g-osfp-fr4", 4, 907.5, 800),
        ("100g-qsfp28-sr4", 4, 103.125, 100),
    ],
)
def test_line_rate_of_one_port(name: str, lanes: int, line_gbps: float, mac_gbps: float) -> None:
    """A DGX H100 has two ports in each cage, and a module of twin ports shares its lanes between them."""
    config, network = _settled(*DR4)
    glass = glass_of(dataclasses.replace(config, transceiver=catalog.transceiver(name)), network)
    assert glass is not None
    line = glass.line
    assert line is not None
    assert line.lanes == lanes
    assert line.line_bytes_per_s * 8e-9 == pytest.approx(line_gbps, rel=1e-6)
    assert line.mac_bytes_per_s * 8e-9 == pytest.approx(mac_gbps)


def test_the_margin_goes_from_the_specified_channel_to_glass_alone() -> None:
    """DR4: 0 dB over a channel of 3 dB, for that closes the budget; 100 m of glass take 0.035 dB of it."""
    margin = _glass(*DR4, "link.length_m=100").margin_db
    assert margin.low == pytest.approx(0, abs=1e-9)
    assert margin.high == pytest.approx(3.0 - 0.035)


def test_an_energy_per_delivered_bit_is_watts_over_payload_bits() -> None:
    config, network = _settled(*DR4)
    spec = CollectiveSpec(collective=Collective.all_reduce, num_ranks=32, message_bytes=2**30)
    prediction = predict(spec, network, Schedule.ring)
    glass = glass_of(config, network, prediction)
    assert glass is not None
    assert prediction.duration_s is not None
    watts = glass.link_w.maximum.low
    assert watts is not None
    payload_bits_per_s = 8 * (2 * 31 / 32 * 2**30 / 8) / prediction.duration_s
    delivered = glass.delivered_j_per_bit.maximum
    assert _is_exactly(delivered, watts / payload_bits_per_s)
    assert (delivered.low or 0) > (glass.line_j_per_bit.maximum.low or 0)


# What is measured goes first


def test_a_given_ber_goes_before_a_floor_and_a_floor_before_noise() -> None:
    at_margin = [*DR4, "link.margin_db=0.5"]
    noise = _glass(*at_margin).pre_fec_ber
    assert noise.low == pytest.approx(4.8e-5, rel=0.02)  # of the facts: 0.5 dB over 2.4e-4
    assert noise.high is None
    floor = _glass(*at_margin, "link.error_floor_ber=1e-4").pre_fec_ber
    assert _is_exactly(floor, 1e-4)
    assert "link.error_floor_ber" in floor.basis
    light = _glass(*at_margin, "link.error_floor_ber=1e-9").pre_fec_ber
    assert light.low == noise.low == light.high
    given = _glass(*at_margin, "link.error_floor_ber=1e-9", "link.pre_fec_ber=2e-8").pre_fec_ber
    assert _is_exactly(given, 2e-8)


def test_a_given_loss_goes_before_a_computed_one() -> None:
    glass = _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=2e-4", "link.loss_ratio=1e-7")
    assert _is_exactly(glass.packet_loss_ratio, 1e-7)


def test_a_given_round_trip_goes_before_a_computed_one() -> None:
    assert _is_exactly(_glass(*DR4, "link.rtt_us=7").round_trip_s, 7e-6)


def test_noise_that_nobody_could_count_is_no_ber() -> None:
    ber = _glass(*DR4, "link.margin_db=10").pre_fec_ber
    assert not ber.is_known
    assert "link.error_floor_ber" in ber.basis


def test_no_ratio_is_less_than_configurations_may_say() -> None:
    assert link_errors.LEAST_BER == LEAST_BER


# What it costs


@pytest.mark.parametrize("ber", [1e-9, 5e-5, 2.4e-4])
@pytest.mark.parametrize("transport", ["roce_v2", "infiniband", "unknown"])
def test_corrected_errors_cost_no_bandwidth(ber: float, transport: str) -> None:
    config, network = _settled(*DR4, KP4_ON_IT, f"link.pre_fec_ber={ber}", f"transport={transport}")
    glass = glass_of(config, network)
    assert glass is not None
    assert goodput_of(glass, network) == (1.0, 1.0)
    assert "corrected errors cost no bandwidth" in glass.goodput_fraction.basis


@pytest.mark.parametrize("transport", ["roce_v2", "infiniband"])
def test_loss_costs_an_interval_below_the_rate(transport: str) -> None:
    config, network = _settled(*DR4, "link.loss_ratio=1e-3", f"transport={transport}", "link.rtt_us=10")
    low, high = goodput_of(glass_of(config, network), network)
    assert 0 < low < high <= 1
    if transport == "roce_v2":  # nothing below the transport repeats what is lost
        assert high <= 1 - 1e-3


def test_where_nobody_says_the_transport_the_interval_holds_both() -> None:
    loss = ("link.loss_ratio=1e-4", "link.rtt_us=10")
    found = {}
    for transport in ("unknown", "roce_v2", "infiniband"):
        config, network = _settled(*DR4, *loss, f"transport={transport}")
        found[transport] = goodput_of(glass_of(config, network), network)
    rdma = [found["roce_v2"], found["infiniband"]]
    assert found["unknown"][0] == pytest.approx(min(low for low, _ in rdma), rel=0.02)
    assert found["unknown"][1] == max(high for _, high in rdma)


def test_the_more_is_lost_the_less_arrives() -> None:
    shares = []
    for loss_ratio in (0, 1e-9, 1e-6, 1e-4, 1e-2, 0.5):
        config, network = _settled(*DR4, f"link.loss_ratio={loss_ratio}", "transport=roce_v2")
        shares.append(goodput_of(glass_of(config, network), network))
    for ends in zip(*shares, strict=True):
        assert list(ends) == sorted(ends, reverse=True)
    assert shares[0] == (1.0, 1.0)


def test_the_worse_the_ber_the_less_arrives_and_a_dead_link_is_refused() -> None:
    shares = []
    for ber in (2e-4, 5e-4, 8e-4, 1e-3, 1.5e-3):
        config, network = _settled(*DR4, KP4_ON_IT, f"link.pre_fec_ber={ber}", "transport=roce_v2")
        shares.append(goodput_of(glass_of(config, network), network)[0])
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1.0
    assert shares[-1] < 0.1
    config, network = _settled(*DR4, KP4_ON_IT, "link.pre_fec_ber=1e-2")
    with pytest.raises(ValueError, match=r"link\.pre_fec_ber"):
        goodput_of(glass_of(config, network), network)


def test_a_link_that_sends_again_by_itself_waits_for_its_own_round_trip_only() -> None:
    """PLR has no timeout, so at the same loss less is lost than by any transport that may have to wait for one."""
    low_latency = "link.fec='Ethernet_Consortium_LL_50G_RS_FEC_PLR -(272,257+1)'"
    config, network = _settled(*DR4, low_latency, "link.pre_fec_ber=8e-4", "link.length_m=10")
    glass = glass_of(config, network)
    assert glass is not None
    assert glass.fec is not None
    assert glass.fec.endswith("PLR")
    lost = glass.packet_loss_ratio.low
    with_plr, _ = goodput_of(glass, network)
    config, network = _settled(*DR4, f"link.loss_ratio={lost}", "link.length_m=10")
    assert goodput_of(glass_of(config, network), network)[0] < with_plr < 1


def test_long_packets_are_lost_as_often_as_they_meet_lost_codewords() -> None:
    """Count: one group of d codewords falls on 1 + d C / P packets on average, wherever they begin."""
    codeword_bits = frames_per_codeword(KP4) * MIN_FRAME_BITS
    for packet_bits, depth in ((672, 2), (4178 * 8, 2), (4178 * 8, 4), (1500, 1)):
        group_bits = depth * codeword_bits
        hits, steps = 0, 2000
        for step in range(steps):
            begin = packet_bits * (step + 0.5) / steps  # of the group, within a packet
            hits += int((begin + group_bits) // packet_bits) + 1
        packets_per_codeword = codeword_bits / packet_bits
        expected = 1e-12 * (hits / steps) / packets_per_codeword
        assert packets_lost(KP4, 1e-12, depth, packet_bits) == pytest.approx(expected, rel=1e-3)
    assert packets_lost(KP4, 1e-12, 2, MIN_FRAME_BITS) == pytest.approx(frames_lost(KP4, 1e-12, 2))
    assert packets_lost(KP4, 1.0, 2, 32976) == 1.0


def test_nothing_is_lost_where_nothing_crosses_a_link() -> None:
    config, network = _settled(
        "transceiver=400g-osfp-dr4", "fabric=dgx_h100", "fabric.num_hosts=1", "link.loss_ratio=0.1"
    )
    glass = glass_of(config, network)
    assert goodput_of(glass, network) == (1.0, 1.0)
    assert glass is not None
    assert glass.job_near is None


def test_the_emulated_link_loses_nothing_for_the_real_one() -> None:
    config, network = _settled("launcher=emulated", "link.loss_ratio=0.01")
    glass = glass_of(config, network)
    assert goodput_of(glass, network) == (1.0, 1.0)
    assert glass is not None
    assert "emulation.faults" in glass.goodput_fraction.basis


# Nothing is invented


def test_a_link_of_which_nothing_is_given() -> None:
    config, network = _settled(*DR4)
    glass = glass_of(config, network)
    assert glass is not None
    for entry in (
        glass.fec_group_s,
        glass.margin_db,
        glass.pre_fec_ber,
        glass.codeword_error_ratio,
        glass.frame_loss_ratio,
        glass.packet_loss_ratio,
        glass.goodput_fraction,
        glass.delivered_j_per_bit.typical,
    ):
        assert not entry.is_known
        assert entry.basis
    assert glass.fec is None
    assert glass.latency_s.high is None
    assert goodput_of(glass, network) == (1.0, 1.0)
    assert glass.warnings == ()


def test_a_code_that_was_not_read_is_not_used() -> None:
    glass = _glass(*DR4, "link.pre_fec_ber=1e-3", "transport=roce_v2")
    assert not glass.codeword_error_ratio.is_known
    assert "never inferred" in glass.fec_basis


def test_optics_that_nobody_named_say_nothing() -> None:
    config, network = _settled(*DR4)
    unnamed = dataclasses.replace(config, transceiver=catalog.transceiver("unknown"))
    assert glass_of(unnamed, network) is None
    assert goodput_of(None, network) == (1.0, 1.0)
    assert _printed(None, "look here") == "Warning: look here\n"


@every_module
def test_only_retimed_modules_that_switch_light_have_a_ber_from_a_margin(module: Transceiver) -> None:
    """LPO, LRO, linear copper, copper and coherent modules have none of their own, however much light there is."""
    config, network = _settled(*DR4, "link.margin_db=0.2", "link.length_m=1")
    glass = glass_of(dataclasses.replace(config, transceiver=module), network)
    assert glass is not None
    has_none = is_bound_to_host(module) or module.optical is None or not has_oma(module)
    if has_none:
        assert not glass.pre_fec_ber.is_known
        assert "give link.pre_fec_ber" in glass.pre_fec_ber.basis
    else:
        has_threshold = module.fec is not None and module.fec.pre_fec_ber_threshold is not None
        assert glass.pre_fec_ber.is_known is has_threshold


def test_an_lpo_link_uses_the_ber_that_its_host_counts() -> None:
    lpo = ("transceiver=800g-osfp-dr8-lpo", "fabric=dgx_b300", "fabric.num_hosts=4", KP4_ON_IT)
    assert not _glass(*lpo, "link.margin_db=1").codeword_error_ratio.is_known
    assert _glass(*lpo, "link.pre_fec_ber=1e-4").codeword_error_ratio.is_known


def test_the_code_of_a_host_says_nothing_about_a_fibre_that_the_module_decodes() -> None:
    own = {module.name for module in MODULES if decodes_itself(module)}
    assert own == {
        "100g-qsfp28-dr1", "100g-qsfp28-fr1", "400g-qsfpdd-zr", "400g-qsfpdd-zrp", "800g-osfp-er1", "800g-osfp-zr",
    }  # fmt: skip
    glass = _glass("transceiver=400g-qsfpdd-zr", *DGX, KP4_ON_IT, "link.pre_fec_ber=1e-3")
    assert glass.fec is None
    assert not glass.codeword_error_ratio.is_known
    assert "CFEC" in glass.fec_basis


def test_a_link_without_fec_loses_a_frame_for_each_error() -> None:
    glass = _glass("transceiver=100g-qsfp28-lr4", *DGX, "link.fec=Off", "link.pre_fec_ber=1e-12")
    assert glass.fec == "none"
    assert glass.frame_loss_ratio.low == pytest.approx(672e-12, rel=1e-6)
    assert not glass.codeword_error_ratio.is_known
    assert all("fec" not in part.name for part in glass.latency_parts)


def test_names_of_no_code_are_refused() -> None:
    config, network = _settled(*DR4)
    config = dataclasses.replace(config, link=dataclasses.replace(config.link, fec="my own"))
    with pytest.raises(ValueError, match=r"link\.fec"):
        glass_of(config, network)


def test_a_ber_beyond_what_the_pmd_allows_is_warned_of() -> None:
    bad = _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=3e-4")
    assert len(bad.warnings) == 1
    assert "0.00024" in bad.warnings[0]
    assert "clean" in bad.warnings[0]
    assert _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=2.4e-4").warnings == ()


def test_round_trips_and_latencies_are_intervals_in_order() -> None:
    for overrides in (DR4, (*DR4, "link.length_m=100", KP4_ON_IT)):
        glass = _glass(*overrides)
        latency, there_and_back = glass.latency_s, glass.round_trip_s
        assert latency.low is not None
        assert there_and_back.low is not None
        assert there_and_back.high is not None
        assert there_and_back.low == pytest.approx(2 * latency.low)
        assert there_and_back.low < there_and_back.high
    assert latency.low is not None
    assert latency.high is not None
    assert sum(part.low_s for part in glass.latency_parts) == latency.low
    assert 489e-9 < latency.low < latency.high < 1e-6


# Shown and written


@pytest.mark.parametrize("fabric", FABRICS)
def test_every_module_can_be_shown(fabric: str) -> None:
    config, network = _settled("transceiver=400g-osfp-dr4", *FABRICS[fabric])
    for module in MODULES:
        for keys in (NOTHING, KNOWN_LINK):
            link = dataclasses.replace(config.link, **keys)
            glass = glass_of(dataclasses.replace(config, transceiver=module, link=link), network)
            assert glass is not None
            shown = rows(glass)
            assert 4 <= len(shown) <= 20
            text = _printed(glass)
            assert "None" not in text
            assert "nan" not in text
            for name, value, basis in shown:
                assert name
                assert value
                assert basis
            json.dumps(glass.to_json(), allow_nan=False)


def test_what_is_not_known_is_one_sentence_and_has_no_row() -> None:
    glass = _glass(*DR4)
    names = [name for name, _, _ in rows(glass)]
    assert "pre-FEC BER" not in names
    text = not_known(glass)
    assert text.startswith("Not known: ")
    assert "pre-FEC BER" in text
    assert "link.pre_fec_ber" in text
    assert _printed(glass).count("Not known") == 1


def test_warnings_are_shown_once_each() -> None:
    glass = _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=3e-4")
    text = _printed(glass, "two ends differ", "two ends differ")
    assert text.count("Warning:") == 2
    assert "the pre-FEC BER is 0.0003" in text


def test_shares_that_nobody_could_count_are_not_printed_as_numbers() -> None:
    text = _printed(_glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=1e-9"))
    assert "below 1e-20" in text
    assert "e-2" not in text.replace("below 1e-20", "")


def test_a_manifest_holds_every_quantity_with_what_it_rests_on() -> None:
    glass = _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=2e-4", "link.length_m=100")
    read = json.loads(json.dumps(glass.to_json()))
    assert set(read) == {field.name for field in dataclasses.fields(Glass)}
    assert read["pre_fec_ber"] == {"low": 2e-4, "high": 2e-4, "basis": "given: link.pre_fec_ber"}
    assert read["link_w"]["maximum"]["low"] == 18.0


def test_every_row_is_explained() -> None:
    text = DOC.read_text(encoding="utf-8")
    glass = _glass(*DR4, KP4_ON_IT, "link.pre_fec_ber=2e-4", "link.length_m=100")
    for name, _, _ in rows(glass):
        assert f"**{name.replace(str(glass.packet_bytes), 'n')}**: " in text, name


def test_the_far_module_serves_as_many_ports_as_fit_its_rate() -> None:
    config, network = _settled("transceiver=400g-osfp-dr4", "link.far=800g-osfp-dr8", *DGX)
    link = link_of(config, network)
    assert (link.near_ports, link.far_ports) == (1, 2)
    assert link.mac_bytes_per_s == MAC_400G
