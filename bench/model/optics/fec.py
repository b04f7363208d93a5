"""`FecCode`: one forward error correction code, and what random errors do to it.

Which code a link runs is read from the link (`link_fec`), never inferred from the module or the generation.

Corrected errors cost no bandwidth. The parity is sent whether or not there are errors, it is part of the line
rate already (`coding`), and the decoder takes the same time for every codeword. Only codewords beyond
correction take frames away: `bandwidth_fraction_lost`.

Grades: A standard text; B data sheet, output or source of a tool; C second hand; D arithmetic; M well known,
not checked against its standard.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.model import coding, units

Ratio = TypeVar("Ratio", float, NDArray[np.float64])
"""A number or an array of them; what comes back has the shape of what was given."""

MIN_FRAME_BITS: Final = (64 + 8 + 12) * 8
"""The smallest Ethernet frame with preamble and gap, for which frame loss is stated: 672 bits. Source: IEEE
802.3 clause 3 (M)."""

TRANSCODING: Final = Fraction(256, 257)
"""Payload of a 257-bit block, made of four 66-bit ones. Source: IEEE 802.3 clause 91 (D, see `coding`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FecCode:
    """One code. Up to ``t`` bad symbols of a codeword are corrected, more are not.

    None: the sources do not say.

    Attributes:
        n, k, t: symbols of a codeword, those that are not parity, those that can be corrected.
        data_symbols: symbols that carry frames; at most k.
        line_over_mac: line rate over MAC rate. None: unresolved, and no rate may be computed with it.
        input_ber_threshold: raw BER that a soft-decision code takes. What a PMD in front of a Reed-Solomon
            code may have differs by PMD and is in the catalog.
        is_soft_decision: decodes analogue values, so that no count of bad symbols describes it.
    """

    name: str
    n: int | None = None
    k: int | None = None
    t: int | None = None
    symbol_bits: int | None = None
    data_symbols: int | None = None
    line_over_mac: Fraction | None = None
    input_ber_threshold: float | None = None
    is_soft_decision: bool = False
    grade: str
    source: str
    used_by: str

    def block(self) -> tuple[int, int, int]:
        """(n, t, symbol_bits) of a code that decides on symbols.

        Raises:
            ValueError: a soft-decision code.
        """
        if self.is_soft_decision or self.n is None or self.t is None or self.symbol_bits is None:
            raise ValueError(
                f"{self.name} is decoded with soft decisions: a codeword error ratio from bad symbols is "
                f"wrong for it. Its input BER threshold is {self.input_ber_threshold or 'not known'}; what "
                "it leaves is counted by the code around it"
            )
        return self.n, self.t, self.symbol_bits


KR4: Final = FecCode(
    name="RS(528,514) KR4", n=528, k=514, t=7, symbol_bits=10, data_symbols=514,
    line_over_mac=coding.KR4_OVERHEAD, grade="C",
    source="IEEE 802.3 clauses 91 and 108 by second hand; mlxlink output (B); rate D",
    used_by="Ethernet at 25 Gb/s NRZ per lane",
)  # fmt: skip

KP4: Final = FecCode(
    name="RS(544,514) KP4", n=544, k=514, t=15, symbol_bits=10, data_symbols=514,
    line_over_mac=coding.KP4_OVERHEAD, grade="B",
    source="mlxlink output; IEEE 802.3 clauses 91 and 119 by second hand (C); rate D",
    used_by="Ethernet on PAM4 lanes; InfiniBand HDR with PLR, and modes of NDR",
)  # fmt: skip

LL272: Final = FecCode(
    name="RS(272,257+1) low latency", n=272, k=258, t=7, symbol_bits=10, data_symbols=257,
    line_over_mac=Fraction(272, 256), grade="B",
    source="mlxlink output, ConnectX-7 NDR over a DAC; rate D: 257 data, 1 PLR and 14 parity symbols make "
    "106.25 x 257/272 x 256/257 = 100 Gb/s per lane",
    used_by="InfiniBand NDR with PLR over a DAC; other NDR links may run RS(544,514)",
)  # fmt: skip

LL271: Final = FecCode(
    name="RS(271,257) low latency", n=271, k=257, t=7, symbol_bits=10, data_symbols=257, grade="B",
    source="mode list of mlxlink; 4 x 25.78125 GBd would carry 97.4 Gb/s (D), so its rate is unresolved",
    used_by="InfiniBand EDR, as an option",
)  # fmt: skip

RS546: Final = FecCode(
    name="RS(546,516)", n=546, k=516, t=15, symbol_bits=10, grade="B",
    source="mode list of mlxlink, names only; which of the 516 symbols carry data is unresolved",
    used_by="200G lanes with PLR, interleaved quad or octet; NVLink has these modes too",
)  # fmt: skip

HAMMING: Final = FecCode(
    name="inner extended Hamming(128,120)", n=128, k=120, t=1, symbol_bits=1, is_soft_decision=True,
    input_ber_threshold=4.8e-3, grade="C",
    source="IEEE 802.3dj clause 177 by second hand; TDECQ at 113.4375 GBd is evaluated at SER 9.6e-3 "
    "(notes on OFC 2026 Tu3J.4)",
    used_by="optical lanes of 113.4375 GBd, from module to module, inside KP4; not lanes of 106.25 GBd",
)  # fmt: skip

INNER_BCH: Final = FecCode(
    name="concatenated, inner BCH(126,110)", n=126, k=110, symbol_bits=1, is_soft_decision=True, grade="M",
    source="IEEE 802.3dj clauses 184 and 185; 123.6364 / 106.25 = 126/110 x 64/63 (D)",
    used_by="800GBASE-LR1, from module to module",
)  # fmt: skip

OFEC: Final = FecCode(
    name="oFEC", is_soft_decision=True, input_ber_threshold=2e-2, grade="M",
    source="OpenZR+ and OIF 800ZR, as the catalog has them",
    used_by="coherent modules, from DSP to DSP",
)  # fmt: skip

CFEC: Final = FecCode(
    name="CFEC", is_soft_decision=True, input_ber_threshold=1.25e-2, grade="M",
    source="OIF 400ZR, as the catalog has it: staircase and inner Hamming(128,119)",
    used_by="400ZR, from DSP to DSP",
)  # fmt: skip

CODES: Final = (KR4, KP4, LL272, LL271, RS546, HAMMING, INNER_BCH, OFEC, CFEC)


def group_time_s(code: FecCode, mac_rate_bytes_per_s: float, depth: int) -> float | None:
    """Seconds of one interleaved group on the line: depth n symbol_bits / line rate.

    Correction needs the whole group, so this is a floor under the latency of every FEC hop. The decoder comes
    on top: 20 to 100 ns are quoted (C, citing arXiv:2402.09364). None where the line rate is unresolved.

    Raises:
        ValueError: a soft-decision code.
    """
    n, _, symbol_bits = code.block()
    if code.line_over_mac is None:
        return None
    line_bits_per_s = mac_rate_bytes_per_s * units.BITS_PER_BYTE * float(code.line_over_mac)
    return depth * n * symbol_bits / line_bits_per_s


def symbol_error_ratio(code: FecCode, ber: Ratio) -> Ratio:
    """Share of bad symbols under random bit errors: 1 - (1 - ber)^symbol_bits.

    Raises:
        ValueError: a BER outside 0 to 0.5, or a soft-decision code.
    """
    _, _, symbol_bits = code.block()
    if not np.all((np.asarray(ber) >= 0) & (np.asarray(ber) <= 0.5)):
        raise ValueError(f"BER is {ber}; a raw bit error ratio is from 0 to 0.5")
    return like(ber, -np.expm1(symbol_bits * np.log1p(-ber)))


def codeword_error_ratio(code: FecCode, ber: Ratio) -> Ratio:
    """Share of codewords beyond correction under random bit errors.

    CER = sum over i > t of C(n, i) SER^i (1 - SER)^(n - i) = I_SER(t + 1, n - t), the regularised incomplete
    beta function, whose tail keeps 12 digits down to 1e-240. It reproduces specification numbers; real links
    have heavier tails (`fec_histogram`), so for them it is a lower bound.

    Raises:
        ValueError: as `symbol_error_ratio`.
    Source:
        NIST DLMF 8.17.5.
    """
    # Late: importing it takes 0.3 s, which nobody should spend who only prints.
    from scipy.special import betainc

    n, t, _ = code.block()
    return like(ber, betainc(t + 1, n - t, symbol_error_ratio(code, ber)))


def ber_for_codeword_error_ratio(code: FecCode, ratio: Ratio) -> Ratio:
    """The raw BER at which random errors give this codeword error ratio.

    Raises:
        ValueError: a ratio that is not between 0 and 1, or a soft-decision code.
    """
    n, t, symbol_bits = code.block()
    if not np.all((np.asarray(ratio) > 0) & (np.asarray(ratio) < 1)):
        raise ValueError(f"codeword error ratio is {ratio}; a BER belongs to ratios above 0 and below 1")
    from scipy.special import betaincinv

    return like(ratio, -np.expm1(np.log1p(-betaincinv(t + 1, n - t, ratio)) / symbol_bits))


def frames_per_codeword(code: FecCode) -> float:
    """Minimum frames in one codeword: F = data_symbols symbol_bits 256/257 / 672; 7.619 for 514 symbols.

    Raises:
        ValueError: a soft-decision code, or one of which it is unresolved what carries data.
    """
    _, _, symbol_bits = code.block()
    if code.data_symbols is None:
        raise ValueError(
            f"{code.name}: which of its {code.k} symbols carry frames is unresolved ({code.source})"
        )
    return float(code.data_symbols * symbol_bits * TRANSCODING / MIN_FRAME_BITS)


def frames_lost(code: FecCode, codeword_ratio: Ratio, depth: int) -> Ratio:
    """Share of minimum frames lost with a share of codewords beyond correction: CER (1 + d F) / F, at most 1.

    One such codeword discards its interleaved group, d F frames, and the frame across the group's boundary.

    Raises:
        ValueError: a depth below 1, or as `frames_per_codeword`.
    Source:
        It gives the published 9.2e-13 (100GBASE-DR, M), 1.7e-12 (400GBASE-R, C) and 3.4e-12 (800GBASE-R, C).
    """
    frames = frames_per_codeword(code)
    if depth < 1:
        raise ValueError(f"interleave depth is {depth}; a group has at least one codeword")
    return like(codeword_ratio, np.minimum(1.0, codeword_ratio * (1 + depth * frames) / frames))


def frame_loss_ratio(code: FecCode, ber: Ratio, depth: int) -> Ratio:
    """Share of minimum frames that random bit errors take away, before retransmission. Raises as above."""
    return frames_lost(code, codeword_error_ratio(code, ber), depth)


def bandwidth_fraction_lost(code: FecCode, ber: Ratio, depth: int) -> Ratio:
    """Share of the MAC rate that bit errors take away: that of lost frames, and nothing for corrected errors.

    At a raw BER of 1e-6 or less it is below 1e-20 with every code here, which no measurement of bandwidth
    shows. Transports that send more again than was lost lose more than this share.
    """
    return frame_loss_ratio(code, ber, depth)


def like(given: Ratio, value: Any) -> Ratio:
    """``value`` as a plain number where one was given; numpy makes scalars of its own."""
    return np.asarray(value) if isinstance(given, np.ndarray) else float(value)
