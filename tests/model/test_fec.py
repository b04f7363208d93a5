"""FEC arithmetic against an exact sum and published ratios; names as tools print them."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from bench.model.optics import fec
from bench.model.optics.fec import (
    HAMMING,
    KP4,
    KR4,
    LL271,
    LL272,
    RS546,
    FecCode,
    ber_for_codeword_error_ratio,
    codeword_error_ratio,
    frame_loss_ratio,
    group_time_s,
    symbol_error_ratio,
)
from bench.model.optics.link_fec import interleave_depth, link_fec
from bench.model.units import bytes_per_s_from_gbps

REED_SOLOMON = [code for code in fec.CODES if not code.is_soft_decision]
SOFT = [code for code in fec.CODES if code.is_soft_decision]
BERS = [1e-12, 1e-8, 1e-6, 1e-5, 5e-5, 2.4e-4, 1e-3]

every_reed_solomon = pytest.mark.parametrize("code", REED_SOLOMON, ids=lambda code: code.name)
every_soft = pytest.mark.parametrize("code", SOFT, ids=lambda code: code.name)


def _digits(value: float, digits: int) -> str:
    return f"{value:.{digits - 1}e}"


def _exact_codeword_error_ratio(n: int, t: int, ser: float) -> float:
    """The binomial sum in whole numbers, rounded once."""
    bad, all_ = ser.as_integer_ratio()
    total, good_power = 0, 1
    for i in range(n, t, -1):  # Horner: sum of C(n, i) bad^(i - t - 1) good^(n - i)
        total = total * bad + math.comb(n, i) * good_power
        good_power *= all_ - bad
    return float(total * bad ** (t + 1) / all_**n)


@every_reed_solomon
@pytest.mark.parametrize("ber", BERS)
def test_codeword_error_ratio_is_the_binomial_sum(code: FecCode, ber: float) -> None:
    """From 6e-3 down to 1e-146, in every digit that a plot or a table can show."""
    n, t, _ = code.block()
    exact = _exact_codeword_error_ratio(n, t, symbol_error_ratio(code, ber))
    assert codeword_error_ratio(code, ber) == pytest.approx(exact, rel=1e-11, abs=0)


@pytest.mark.parametrize(
    ("code", "ber", "ser", "cer"),
    [
        (KP4, 2.4e-4, "2.3974e-03", "8.1516e-13"),
        (KP4, 1e-5, "9.9996e-05", "2.1397e-34"),
        (KR4, 5e-5, "4.9989e-04", "4.3971e-10"),
        (LL272, 2.4e-4, "2.3974e-03", "4.1700e-07"),
    ],
)
def test_ratios_as_tabulated(code: FecCode, ber: float, ser: str, cer: str) -> None:
    """Values computed elsewhere from the same definitions, to their printed digits."""
    assert _digits(symbol_error_ratio(code, ber), 5) == ser
    assert _digits(codeword_error_ratio(code, ber), 5) == cer


@pytest.mark.parametrize(
    ("ber", "cer"), [(3e-4, "2.1e-11"), (2.4e-4, "8.2e-13"), (5e-5, "2.7e-23"), (1e-5, "2.1e-34")]
)
def test_cliff_of_kp4(ber: float, cer: str) -> None:
    assert _digits(codeword_error_ratio(KP4, ber), 2) == cer


@pytest.mark.parametrize(
    ("code", "ber", "depth", "flr", "published"),
    [
        (KP4, 2.4e-4, 1, "9.22e-13", "9.2e-13"),  # 100GBASE-DR
        (KP4, 2.4e-4, 2, "1.74e-12", "1.7e-12"),  # 400GBASE-R
        (KP4, 2.4e-4, 4, "3.37e-12", "3.4e-12"),  # 800GBASE-R
    ],
)
def test_frame_loss_as_published(code: FecCode, ber: float, depth: int, flr: str, published: str) -> None:
    lost = frame_loss_ratio(code, ber, depth)
    assert _digits(lost, 3) == flr
    assert _digits(lost, 2) == published


@pytest.mark.parametrize(
    ("code", "ber", "depth", "flr"),
    [
        (KP4, 2.4e-4, 2, "1.737e-12"),
        (KP4, 2.4e-4, 4, "3.368e-12"),
        (KR4, 5e-5, 1, "4.974e-10"),
        (KP4, 2.8e-4, 2, "1.674e-11"),
        (KP4, 2.8e-4, 4, "3.246e-11"),
        (KP4, 2.0e-4, 2, "1.149e-13"),
    ],
)
def test_frame_loss_as_tabulated(code: FecCode, ber: float, depth: int, flr: str) -> None:
    assert _digits(frame_loss_ratio(code, ber, depth), 4) == flr


def test_kr4_keeps_the_limit_of_100g() -> None:
    """Published as an upper limit: 6.2e-10."""
    assert frame_loss_ratio(KR4, 5e-5, 1) < 6.2e-10


@pytest.mark.parametrize(
    ("code", "ber"),
    [(KP4, "2.43e-04"), (KR4, "2.30e-05"), (LL272, "4.49e-05"), (LL271, "4.51e-05"), (RS546, "2.42e-04")],
)
def test_raw_ber_for_a_codeword_error_ratio_of_1e_12(code: FecCode, ber: str) -> None:
    assert _digits(ber_for_codeword_error_ratio(code, 1e-12), 3) == ber


@every_reed_solomon
@pytest.mark.parametrize("ratio", [1e-240, 1e-40, 1e-12, 1e-6, 0.1, 0.9])
def test_the_inverse_is_the_inverse(code: FecCode, ratio: float) -> None:
    assert codeword_error_ratio(code, ber_for_codeword_error_ratio(code, ratio)) == pytest.approx(
        ratio, rel=1e-9, abs=0
    )


@every_reed_solomon
def test_more_bit_errors_lose_more_codewords(code: FecCode) -> None:
    ratios = codeword_error_ratio(code, np.geomspace(1e-12, 1e-3, 200))
    assert np.all(np.diff(ratios) > 0)


@pytest.mark.parametrize("ber", BERS)
def test_a_code_that_corrects_more_loses_less(ber: float) -> None:
    """RS(544,514) and RS(546,516) correct 15 symbols, the others 7 of at most as many."""
    strong = codeword_error_ratio(KP4, ber)
    assert all(strong < codeword_error_ratio(code, ber) for code in (KR4, LL272, LL271))


@pytest.mark.parametrize("ber", [1e-6, 2.4e-4])
def test_deeper_interleaving_discards_more_frames(ber: float) -> None:
    lost = [frame_loss_ratio(KP4, ber, depth) for depth in (1, 2, 4, 8)]
    assert all(a < b for a, b in itertools.pairwise(lost))


def test_no_more_than_all_frames_are_lost() -> None:
    assert frame_loss_ratio(KP4, 0.1, 4) == 1
    assert frame_loss_ratio(KP4, 0.0, 4) == 0


@pytest.mark.parametrize("code", [KR4, KP4, LL272, LL271], ids=lambda code: code.name)
def test_corrected_errors_cost_no_bandwidth(code: FecCode) -> None:
    """At 1e-6 a 400G port corrects 400 000 bits every second and delivers every frame."""
    assert 0 < fec.bandwidth_fraction_lost(code, 1e-6, 1) < 1e-20
    assert 1 - fec.bandwidth_fraction_lost(code, 1e-6, 1) == 1


def test_arrays_are_numbers_one_by_one() -> None:
    bers = np.array([[1e-6, 1e-5], [5e-5, 2.4e-4]])
    lost = frame_loss_ratio(KP4, bers, 2)
    assert lost.shape == bers.shape
    for index, ber in np.ndenumerate(bers):
        assert lost[index] == frame_loss_ratio(KP4, float(ber), 2)
    assert type(frame_loss_ratio(KP4, 1e-5, 2)) is float


@pytest.mark.parametrize("ber", [-1e-9, 0.51, math.nan])
def test_what_is_no_bit_error_ratio_is_refused(ber: float) -> None:
    with pytest.raises(ValueError, match="from 0 to"):
        codeword_error_ratio(KP4, ber)


@pytest.mark.parametrize("ratio", [0.0, 1.0, math.nan])
def test_certainty_has_no_bit_error_ratio(ratio: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        ber_for_codeword_error_ratio(KP4, ratio)


@every_soft
def test_soft_decisions_have_no_codeword_error_ratio(code: FecCode) -> None:
    with pytest.raises(ValueError, match="soft decisions"):
        codeword_error_ratio(code, 1e-4)
    with pytest.raises(ValueError, match="soft decisions"):
        group_time_s(code, 1e11, 1)


def test_the_inner_code_says_what_it_takes() -> None:
    assert HAMMING.input_ber_threshold == 4.8e-3
    with pytest.raises(ValueError, match=r"0\.0048"):
        ber_for_codeword_error_ratio(HAMMING, 1e-12)


def test_unresolved_payload_has_no_frames() -> None:
    with pytest.raises(ValueError, match="unresolved"):
        frame_loss_ratio(RS546, 1e-5, 4)
    with pytest.raises(ValueError, match="at least one codeword"):
        frame_loss_ratio(KP4, 1e-5, 0)


@every_reed_solomon
def test_parity_corrects_half_its_number(code: FecCode) -> None:
    """Singleton bound: t = (n - k) / 2, whole."""
    assert code.n is not None
    assert code.k is not None
    assert code.t == (code.n - code.k) // 2
    assert code.data_symbols is None or code.data_symbols <= code.k


@pytest.mark.parametrize("code", [KR4, KP4, LL272], ids=lambda code: code.name)
def test_line_rate_is_transcoding_and_parity(code: FecCode) -> None:
    assert code.n is not None
    assert code.data_symbols is not None
    assert code.line_over_mac == Fraction(257, 256) * Fraction(code.n, code.data_symbols)


@pytest.mark.parametrize(
    ("reported", "mac_gbps", "group_ns"),
    [
        ("RS(528,514) KR4", 100, 51.2),
        ("Standard_RS-FEC - (544,514)", 100, 51.2),
        ("Interleaved_Standard_RS-FEC - (544,514)", 100, 102.4),
        ("RS(544,514) KP4", 200, 51.2),
        ("Standard_RS-FEC - (544,514)", 400, 25.6),
        ("RS(544,514) KP4", 800, 25.6),
        ("RS(544,514) KP4", 1600, 12.8),
        ("Ethernet_Consortium_LL_50G_RS_FEC_PLR -(272,257+1)", 400, 6.4),
    ],
)
def test_time_of_a_group(reported: str, mac_gbps: float, group_ns: float) -> None:
    mac_rate_bytes_per_s = bytes_per_s_from_gbps(mac_gbps)
    reading = link_fec(reported)
    depth = interleave_depth(reading, mac_rate_bytes_per_s)
    assert reading.code is not None
    assert depth is not None
    seconds = group_time_s(reading.code, mac_rate_bytes_per_s, depth)
    assert seconds == pytest.approx(group_ns * 1e-9, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("reported", "mac_gbps"),
    [
        ("RS(544,514) KP4", 100),  # both depths exist and the name does not tell
        ("RS(544,514) KP4", 50),
        ("RS-FEC - (544,514) + PLR", 200),  # InfiniBand
        ("Interleaved_Ethernet_Consortium_LL_50G_RS_FEC -(272,257+1)", 400),
        ("Interleaved Quad RS-FEC + PLR - (546,516)", 800),
        ("off", 100),
    ],
)
def test_depths_without_a_source(reported: str, mac_gbps: float) -> None:
    assert interleave_depth(link_fec(reported), bytes_per_s_from_gbps(mac_gbps)) is None


def test_an_unresolved_line_rate_gives_no_time() -> None:
    assert group_time_s(LL271, 12.5e9, 1) is None
    assert group_time_s(RS546, 1e11, 4) is None


@pytest.mark.parametrize(
    ("reported", "code", "has_plr"),
    [
        ("No FEC", None, False),
        ("NO_FEC", None, False),
        ("Off", None, False),
        ("none", None, False),
        ("none (specified to 1e-12 without FEC)", None, False),
        ("none in 802.3 (ER4-Lite variants need KR4)", None, False),
        ("RS(528,514) KR4", KR4, False),
        ("Standard RS-FEC - RS(528,514)", KR4, False),
        ("KR4_FEC", KR4, False),
        ("RS(544,514) KP4", KP4, False),
        ("RS(544,514) KP4 outer", KP4, False),
        ("RS-FEC (544,514)", KP4, False),
        ("RS-FEC - (544,514) + PLR", KP4, True),
        ("Interleaved_Standard_RS_FEC_PLR - (544,514)", KP4, True),
        ("Interleaved Quad RS-FEC - (544,514)", KP4, False),
        ("Int_KP4_FEC", KP4, False),
        ("Ethernet_Consortium_LL_50G_RS_FEC- (272,257+1)", LL272, False),
        ("Ethernet_Consortium_LL_50G_RS_FEC_PLR -(272,257+1)", LL272, True),
        ("Interleaved_Ethernet_Consortium_LL_50G_RS_FEC_PLR - (272,257+1)", LL272, True),
        ("RS(272,258)", LL272, False),
        ("ELL_FEC_PLR", LL272, True),
        ("LLRS", LL272, False),
        ("Standard LL RS-FEC - RS(271,257)", LL271, False),
        ("LL-FEC - (271,257) + PLR", LL271, True),
        ("Interleaved Octet RS-FEC + PLR - (546,516)", RS546, True),
        ("extended Hamming(128,120) soft decision, 802.3dj Cl.177", HAMMING, False),
        ("CFEC (staircase + Hamming(128,119))", fec.CFEC, False),
        ("oFEC", fec.OFEC, False),
        ("concatenated, inner BCH in module; see 802.3dj Cl.184/185", fec.INNER_BCH, False),
    ],
)
def test_names_as_tools_print_them(reported: str, code: FecCode | None, has_plr: bool) -> None:
    reading = link_fec(reported)
    assert (reading.code, reading.has_plr, reading.reported) == (code, has_plr, reported)


@pytest.mark.parametrize("code", fec.CODES, ids=lambda code: code.name)
def test_a_code_is_found_by_its_own_name(code: FecCode) -> None:
    assert link_fec(code.name).code == code


def test_rs_of_ethtool_needs_the_modulation() -> None:
    assert link_fec("RS", "NRZ").code == KR4
    assert link_fec("RS", "PAM4").code == KP4
    with pytest.raises(ValueError, match="NRZ or PAM4"):
        link_fec("RS")


@pytest.mark.parametrize(
    "reported", ["", "N/A", "Firecode FEC", "BaseR", "Auto", "RS(277,257)", "INTERLEAVED RS_FEC + PLR"]
)
def test_an_unknown_name_lists_the_known_ones(reported: str) -> None:
    with pytest.raises(ValueError, match="Known are none") as caught:
        link_fec(reported)
    assert all(code.name in str(caught.value) for code in fec.CODES)


def test_names_that_do_not_name_one_code() -> None:
    """ethtool's None is "nothing reported"; one short name of mlxlink is printed for two codes."""
    with pytest.raises(ValueError, match="reports nothing"):
        link_fec("None")
    with pytest.raises(ValueError, match=r"RS\(544,514\) and RS\(271,257\)"):
        link_fec("Int_KP4_FEC_PLR")
