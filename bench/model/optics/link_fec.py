"""`LinkFec`: the error correction that a link says it runs.

It is read from the link, for the same 400G module runs RS(544,514) on Ethernet and RS(272,257+1) on
InfiniBand, and the second needs a raw BER five times better for the same loss of codewords.
"""

import re
from dataclasses import dataclass
from typing import Final

from bench.model import units
from bench.model.optics.fec import CFEC, CODES, INNER_BCH, KP4, KR4, LL271, LL272, OFEC, FecCode

_BY_SIZE: Final = {(code.n, code.k): code for code in CODES if code.n is not None} | {(272, 257): LL272}
_BY_WORD: Final = {"cfec": CFEC, "ofec": OFEC, "concatenated": INNER_BCH}
_BY_SHORT_NAME: Final = {
    "kr4": KR4, "kr4 fec": KR4, "kp4": KP4, "kp4 fec": KP4, "int kp4 fec": KP4, "quad kp4 fec": KP4,
    "ll fec": LL271, "ell fec": LL272, "int ell fec": LL272, "ell fec plr": LL272, "int ell fec plr": LL272,
    "llrs": LL272,
}  # fmt: skip
_RS_BY_MODULATION: Final = {"NRZ": KR4, "PAM4": KP4}

_KP4_DEPTH: Final = {200: 2, 400: 2, 800: 4, 1600: 4}
"""Codewords of RS(544,514) filled in turn, by MAC rate in Gb/s. Source: IEEE 802.3 clauses 119 and 172 by
second hand (C); 1600 Gb/s M."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFec:
    """What a link says about its FEC.

    Attributes:
        reported: the name as it was printed.
        code: None where the link runs without FEC.
        has_plr: the link itself sends again what could not be corrected (physical-layer retransmission); a
            frame loss ratio then is the share that it sends again.
        is_interleaved: what the name says; None where it says nothing.
    """

    reported: str
    code: FecCode | None
    has_plr: bool = False
    is_interleaved: bool | None = None


def link_fec(reported: str, modulation: str | None = None) -> LinkFec:
    """Read the name of a code as mlxlink, ``ethtool --show-fec`` or the catalog print it.

    ethtool's RS stands for two codes. ``modulation`` of the lanes tells them apart: NRZ has RS(528,514), PAM4
    has RS(544,514).

    Raises:
        ValueError: a name that is unknown, or stands for several codes, or says that none was reported.
    Source:
        Names: Mellanox/mstflint, mlxlink/modules/mlxlink_maps.cpp; ethtool, netlink/fec.c; Linux, mlx5
        en_ethtool.c (B). RS: IEEE 802.3 by second hand, opencomputeproject/SAI pull request 1224 (C).
    """
    name = " ".join(re.findall(r"[a-z0-9]+", reported.lower()))
    words = name.split()
    if reported.strip() == "None":
        raise _unknown(
            reported, "ethtool prints it where a driver reports nothing; without FEC it prints Off"
        )
    if name in ("off", "nofec") or words[:1] == ["none"] or words[:2] == ["no", "fec"]:
        return LinkFec(reported=reported, code=None)
    if name == "int kp4 fec plr":
        raise _unknown(
            reported, "tables of mlxlink print it for RS(544,514) and RS(271,257); read its FEC line"
        )
    code = next((_BY_WORD[word] for word in words if word in _BY_WORD), _BY_SHORT_NAME.get(name))
    if code is None and name == "rs":
        if modulation not in _RS_BY_MODULATION:
            raise _unknown(reported, "it stands for two codes; give the modulation of the lanes, NRZ or PAM4")
        code = _RS_BY_MODULATION[modulation]
    if code is None and (size := re.search(r"(\d{3,})\s*[,_]\s*(\d{3,})", reported)):
        code = _BY_SIZE.get((int(size[1]), int(size[2])))
    if code is None:
        raise _unknown(reported, "report the name, so that it can be added")
    is_interleaved = False if "standard" in words else None
    if {"interleaved", "int", "quad"} & set(words):
        is_interleaved = True
    return LinkFec(reported=reported, code=code, has_plr="plr" in words, is_interleaved=is_interleaved)


def interleave_depth(fec: LinkFec, mac_rate_bytes_per_s: float) -> int | None:
    """Codewords that one port fills in turn; None where no source says.

    RS(528,514): 1. RS(272,257+1): 1 unless it is called interleaved. RS(544,514) on Ethernet: 1 or 2 at
    100 Gb/s, as the link says; 2 at 200 and 400; 4 at 800 and 1600. At 400 Gb/s mlxlink calls depth 2
    "Standard", so the word counts at 100 only, where the standard has both. RS(544,514) with PLR: not known.

    Source:
        IEEE 802.3 clauses 91, 119 and 172 by second hand (C).
    """
    if fec.code == KR4:
        return 1
    if fec.code == LL272:
        return None if fec.is_interleaved else 1
    if fec.code != KP4 or fec.has_plr:
        return None
    mac_gbps = round(units.gbps_from_bytes_per_s(mac_rate_bytes_per_s))
    if mac_gbps == 100:
        return None if fec.is_interleaved is None else 1 + fec.is_interleaved
    return _KP4_DEPTH.get(mac_gbps)


def _unknown(reported: str, why: str) -> ValueError:
    known = ", ".join(code.name for code in CODES)
    return ValueError(f"FEC {reported!r} names no code: {why}. Known are none, {known}")
