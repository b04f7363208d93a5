"""Line coding and FEC are exact fractions: the chain from MAC rate to symbol rate closes to the last digit."""

from fractions import Fraction

import pytest

from bench.model import coding


def test_kp4_is_256b_257b_and_its_parity() -> None:
    assert Fraction(257, 256) * Fraction(544, 514) == coding.KP4_OVERHEAD == Fraction(17, 16)


def test_kr4_costs_no_more_than_64b_66b() -> None:
    """RS(528,514) fits in the line rate of 64b/66b because four 66-bit blocks became one 257-bit block."""
    assert Fraction(257, 256) * Fraction(528, 514) == coding.KR4_OVERHEAD == Fraction(66, 64)


def test_inner_code_is_hamming_and_a_pad_per_1088_blocks() -> None:
    assert Fraction(128, 120) * Fraction(1089, 1088) == coding.INNER_CODE_OVERHEAD
    assert Fraction("113.4375") / Fraction("106.25") == coding.INNER_CODE_OVERHEAD


@pytest.mark.parametrize(
    ("mac_gbps", "overhead", "gbd", "lanes", "bits_per_symbol"),
    [
        (100, coding.KR4_OVERHEAD, "25.78125", 4, 1),
        (200, coding.KP4_OVERHEAD, "26.5625", 4, 2),
        (400, coding.KP4_OVERHEAD, "53.125", 4, 2),
        (800, coding.KP4_OVERHEAD, "106.25", 4, 2),
        (1600, coding.KP4_OVERHEAD, "106.25", 8, 2),
        (800, coding.KP4_OVERHEAD * coding.INNER_CODE_OVERHEAD, "113.4375", 4, 2),
    ],
)
def test_symbol_rates_of_the_standard(
    mac_gbps: int, overhead: Fraction, gbd: str, lanes: int, bits_per_symbol: int
) -> None:
    """MAC rate x overhead = lanes x symbol rate x bits per symbol, with the symbol rates of SFF-8024."""
    line_gbps = Fraction(gbd) * lanes * bits_per_symbol
    assert mac_gbps * overhead == line_gbps
    assert coding.mac_rate_gbps(float(line_gbps), overhead) == pytest.approx(mac_gbps, rel=1e-12)


def test_host_overhead_follows_the_modulation() -> None:
    assert coding.host_overhead("NRZ") == coding.KR4_OVERHEAD
    assert coding.host_overhead("PAM4") == coding.KP4_OVERHEAD
    with pytest.raises(ValueError, match="DP-16QAM"):
        coding.host_overhead("DP-16QAM")
