"""Units: conversions undo each other, and a size that is printed can be typed back in."""

import pytest

from bench.model import units


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [
        ("8388608", 8 * 2**20),
        (8388608, 8 * 2**20),
        (64.0, 64),
        ("0", 0),
        ("100b", 100),
        ("8K", 8 * 2**10),
        ("8KiB", 8 * 2**10),
        ("8kb", 8 * 10**3),
        ("8M", 8 * 2**20),
        ("8MiB", 8 * 2**20),
        ("10MB", 10 * 10**6),
        ("1g", 2**30),
        ("1 GiB", 2**30),
        ("1GB", 10**9),
        (" 1.5GiB ", 3 * 2**29),
        ("2TiB", 2**41),
        ("2TB", 2 * 10**12),
        ("1e9", 10**9),
    ],
)
def test_parse_bytes(text: str | float, num_bytes: int) -> None:
    """One-letter suffixes are binary, as nccl-tests reads them; KB, MB, GB, TB are decimal."""
    assert units.parse_bytes(text) == num_bytes


@pytest.mark.parametrize(
    "text",
    ["", "MiB", "eight", "8 MiBs", "8Mi", "8 M B", "1_000", "0x10", ".5K", "nan", "inf", "1e-3", True, False],
)
def test_parse_bytes_refuses_what_is_not_a_number_of_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="write 8MiB, 1GiB or a plain number"):
        units.parse_bytes(text)


@pytest.mark.parametrize("text", ["0.5", 0.5, "1.0001KiB", "0.3MiB", "1e400"])
def test_parse_bytes_refuses_what_is_not_whole(text: str | float) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        units.parse_bytes(text)


@pytest.mark.parametrize("num_bytes", [0, 1, 100, 1000, 1023, 1536, *(2**i for i in range(46))])
def test_a_printed_size_reads_back(num_bytes: int) -> None:
    assert units.parse_bytes(units.format_bytes(num_bytes)) == num_bytes


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(100, "100 B"), (8 * 2**20, "8 MiB"), (3 * 2**29, "1.5 GiB"), (10**6, "976.6 KiB"), (2**40, "1 TiB")],
)
def test_format_bytes(num_bytes: int, text: str) -> None:
    assert units.format_bytes(num_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (1.318, "1.32 s"),
        (0.2513, "251 ms"),
        (84.2e-6, "84.2 us"),
        (512e-9, "512 ns"),
        (0.0, "0 ns"),
        (0.9996, "1 s"),
        (999.6e-6, "1 ms"),
        (999.4e-6, "999 us"),
    ],
)
def test_format_seconds(duration_s: float, text: str) -> None:
    """Three digits; what they round up to a thousand is the next unit, not 1e+03 of this one."""
    assert units.format_seconds(duration_s) == text


@pytest.mark.parametrize(
    ("rate_gbps", "text"),
    [(400, "400 Gb/s"), (1600, "1.6 Tb/s"), (0.3826, "382.6 Mb/s"), (64e-6, "64 kb/s"), (8e-9, "8 b/s")],
)
def test_format_rate(rate_gbps: float, text: str) -> None:
    assert units.format_rate(units.bytes_per_s_from_gbps(rate_gbps)) == text


def test_a_400g_port_is_50_gbytes_per_s() -> None:
    assert units.gbytes_per_s(units.bytes_per_s_from_gbps(400)) == 50


@pytest.mark.parametrize("value", [0.0, 1e-6, 12.5, 400.0, 1600.0])
def test_conversions_undo_each_other(value: float) -> None:
    assert units.gbps_from_bytes_per_s(units.bytes_per_s_from_gbps(value)) == pytest.approx(value)
    assert units.gbytes_per_s(units.bytes_per_s_from_gbytes_per_s(value)) == pytest.approx(value)
