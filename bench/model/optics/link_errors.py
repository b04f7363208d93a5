"""Errors of a link, from light to packets: margin, BER before correction, codewords, frames and packets lost.

What was measured goes before a measured floor, and that before a formula; each `Entry` says which it was. A BER
computed without a floor, and a loss computed from a mean BER, are lower bounds.
"""

import math
from typing import Final

from bench.model import units
from bench.model.optics import medium as media
from bench.model.optics.built_link import BuiltLink, why_no_ber_of_its_own, why_no_code
from bench.model.optics.entry import Entry, exactly
from bench.model.optics.fec import (
    MIN_FRAME_BITS,
    FecCode,
    codeword_error_ratio,
    frames_lost,
    frames_per_codeword,
)
from bench.model.optics.link_budget import ber_from_margin, budget
from bench.model.optics.link_fec import LinkFec, interleave_depth, link_fec
from bench.model.optics.medium import Medium

LEAST_BER: Final = 1e-20
"""No link has counted a lower bit error ratio: one error in 1e20 bits takes 1.8 years at 1.7 Tb/s."""

BANDS_NM: Final = ((800.0, 960.0), (1260.0, 1360.0), (1530.0, 1565.0))
"""In each of these the attenuation that `bench.model.optics.medium` has for one wavelength is taken for all: multimode fibre, O
band, C band (M: ITU-T G-series supplement 39). The outer CWDM wavelengths differ by some hundredths of a dB per km."""


def margin(link: BuiltLink) -> Entry:
    """Optical dB over the PMD's BER: as given, else of the data sheet's weakest transmitter in the weaker direction.

    Connectors are most of the loss of a short link, and nobody has counted them. So the interval goes from the channel
    that the PMD is specified for, connectors included, to glass alone.
    """
    if link.margin_db is not None:
        return exactly(link.margin_db, "given: link.margin_db")
    reason = why_no_ber_of_its_own(link)
    if reason is not None:
        return Entry(basis=reason)
    near, far = budget(link.near), budget(link.far)
    if near is None or far is None:
        return Entry(basis="no complete link budget in the data sheet; give link.margin_db")
    if link.length_m is None:
        return Entry(basis="give link.length_m or link.margin_db")
    wavelengths_nm = None if link.near.optical is None else link.near.optical.wavelengths_nm
    loss_db = _glass_loss_db(link.medium, wavelengths_nm, link.length_m)
    if loss_db is None:
        return Entry(basis="the loss of this medium at these wavelengths is not known; give link.margin_db")
    channel_db = max(loss_db[1], near.insertion_loss_db, far.insertion_loss_db)

    def margin_db(channel_loss_db: float) -> float:
        return min(
            far.margin_db(channel_loss_db, near.launched_dbm),
            near.margin_db(channel_loss_db, far.launched_dbm),
        )

    grade = link.near.grades.get("optics")
    return Entry(
        low=margin_db(channel_db),
        high=margin_db(loss_db[0]),
        basis=f"weakest transmitter of the data sheet{f' ({grade})' if grade else ''}; a channel of {channel_db:.2g} dB, as "
        f"specified, to glass alone, {loss_db[0]:.2g} dB (B)",
    )


def _glass_loss_db(
    medium: Medium | None, wavelengths_nm: list[float] | None, length_m: float
) -> tuple[float, float] | None:
    """Lowest and highest over the wavelengths; None where one is not known."""
    found = []
    for wavelength_nm in wavelengths_nm or ():
        band = next((each for each in BANDS_NM if each[0] <= wavelength_nm <= each[1]), None)
        known_nm = () if medium is None or band is None else medium.wavelengths_nm
        stated_nm = next((each for each in known_nm if band and band[0] <= each <= band[1]), None)
        if medium is None or stated_nm is None:
            return None
        found.append(media.loss(medium, stated_nm, length_m))
    lows = [loss.low_db for loss in found if loss.low_db is not None]
    highs = [loss.high_db for loss in found if loss.high_db is not None]
    if not found or len(lows) < len(found) or len(highs) < len(found):
        return None
    return min(lows), max(highs)


def pre_fec_ber(link: BuiltLink, margin: Entry) -> Entry:
    """BER of the worst lane: as given, else the larger of floor and thermal noise at the margin."""
    if link.pre_fec_ber is not None:
        return exactly(link.pre_fec_ber, "given: link.pre_fec_ber")
    floor, noise = link.error_floor_ber, _noise_ber(link, margin)
    if floor is None:
        if noise.low is None or noise.low >= LEAST_BER:
            return Entry(low=noise.low, basis=noise.basis)
        return Entry(
            basis=f"noise at this margin makes less than {LEAST_BER:g}, and real links have a floor above that; give "
            "link.pre_fec_ber or link.error_floor_ber"
        )
    if noise.low is None:
        return Entry(low=floor, basis="given: link.error_floor_ber, a lower bound")
    larger = "link.error_floor_ber" if floor >= noise.low else "thermal noise at this margin"
    high = None if noise.high is None else max(floor, noise.high)
    return Entry(low=max(floor, noise.low), high=high, basis=f"{larger}, the larger of floor and noise")


def _noise_ber(link: BuiltLink, margin: Entry) -> Entry:
    """The more margin, the fewer errors; see `bench.model.optics.link_budget.ber_from_margin`."""
    reason = why_no_ber_of_its_own(link)
    threshold = None if link.near.fec is None else link.near.fec.pre_fec_ber_threshold
    if reason is not None or threshold is None or link.near.optical is None or not margin.is_known:
        return Entry(basis=f"{reason}; give link.pre_fec_ber" if reason else "give link.pre_fec_ber")
    modulation = link.near.optical.modulation
    return Entry(
        low=0.0 if margin.high is None else ber_from_margin(margin.high, threshold, modulation),
        high=None if margin.low is None else ber_from_margin(margin.low, threshold, modulation),
        basis="thermal noise at the best margin; no floor was measured, so a lower bound",
    )


def losses(link: BuiltLink, run: LinkFec | None, ber: Entry) -> tuple[Entry, Entry, Entry]:
    """Share of codewords beyond correction, of frames of 64 bytes lost, and of full packets lost.

    Packets: as given, before any computation. Codewords: `bench.model.optics.fec.codeword_error_ratio`.
    """
    codewords, frames, packets = _computed(link, run, ber)
    if link.loss_ratio is not None:
        packets = exactly(link.loss_ratio, "given: link.loss_ratio")
    return codewords, frames, packets


def _computed(link: BuiltLink, run: LinkFec | None, ber: Entry) -> tuple[Entry, Entry, Entry]:
    packet_bits = link.packet.wire_bytes * units.BITS_PER_BYTE
    if ber.low is None or run is None:
        return (Entry(basis=ber.basis if ber.low is None else why_no_code(link)),) * 3
    if run.code is None:
        basis = "no FEC: 1 - (1 - BER)^bits, random errors (D)"
        frame, packet = (-math.expm1(bits * math.log1p(-ber.low)) for bits in (MIN_FRAME_BITS, packet_bits))
        return Entry(basis="no FEC"), exactly(frame, basis), exactly(packet, basis)
    if run.code.is_soft_decision:
        takes = run.code.input_ber_threshold
        limit = "" if takes is None else f", which takes a BER of {takes:g}"
        return (Entry(basis=f"no count of bad symbols describes {run.code.name}{limit}"),) * 3
    ratio = codeword_error_ratio(run.code, ber.low)
    codewords = Entry(low=ratio, basis="random errors (D); real ones come in bursts, see the FEC histogram")
    if run.code.data_symbols is None:
        unresolved = Entry(basis=f"which symbols of {run.code.name} carry data is not published")
        return codewords, unresolved, unresolved
    depth = interleave_depth(run, link.mac_bytes_per_s)
    how = "depth not known, taken as 1" if depth is None else f"d = {depth} codewords fail together"
    return (
        codewords,
        Entry(low=frames_lost(run.code, ratio, depth or 1), basis=f"CER (1 + d F) / F, {how} (D)"),
        Entry(
            low=packets_lost(run.code, ratio, depth or 1, packet_bits),
            basis=f"the same for {link.packet.wire_bytes} bytes on the wire (D)",
        ),
    )


def packets_lost(code: FecCode, codeword_ratio: float, depth: int, packet_bits: int) -> float:
    """Share of packets lost with a share of codewords: CER (1 + d F) / F with F packets per codeword, at most 1.

    `bench.model.optics.fec.frames_lost` for any length: what lies in many codewords is hit more often. At 400 Gb/s 4096 bytes
    are lost 4 times as often as frames of 64.
    """
    packets = frames_per_codeword(code) * MIN_FRAME_BITS / packet_bits
    return min(1.0, codeword_ratio * (1 + depth * packets) / packets)


def warnings(link: BuiltLink, run: LinkFec | None, ber: Entry) -> tuple[str, ...]:
    """A BER above what the PMD allows, where it is the PMD's own code that runs, or nobody has read which."""
    fec = link.near.fec
    allowed = None if fec is None or fec.inner is not None else fec.pre_fec_ber_threshold
    if fec is None or allowed is None or ber.low is None or ber.low <= allowed:
        return ()
    if run is not None and run.code != link_fec(fec.code).code:
        return ()
    text = (
        f"the pre-FEC BER is {ber.low:.2g} ({ber.basis}), and {link.near.pmd or link.near.name} allows {allowed:g}; inspect and clean the "
        "connectors, compare the received power of the lanes, then exchange fibre and modules in turn"
    )
    return (text,)
