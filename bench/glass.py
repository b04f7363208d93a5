"""`Glass`: what the optics of the configured link mean: rates, errors and what they cost, latency, power.

Each quantity is an `Entry`, an interval with what it rests on. What nobody has configured, measured or published
stays unknown, and its entry says why or what to give.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from bench.config import BenchConfig
from bench.model import coding, units
from bench.model.fabric import Network, path_mtu_bytes
from bench.model.framing import Transport, framing
from bench.model.optics import built_link, link_errors
from bench.model.optics.built_link import BuiltLink
from bench.model.optics.cabling import Cabling, Conductor, conductor_of, parse_cabling
from bench.model.optics.energy import Parts
from bench.model.optics.entry import Draw, Entry, neither
from bench.model.optics.link_fec import LinkFec
from bench.model.optics.link_goodput import goodput_fraction, round_trip
from bench.model.optics.link_latency import LatencyPart
from bench.model.optics.link_power import delivered, job_parts, job_power, link_power, per_bit
from bench.model.optics.medium import Medium
from bench.model.predict import Prediction
from bench.model.transceiver import Transceiver

_BITS_PER_SYMBOL: Final = {"NRZ": 1, "PAM4": 2, "DP-16QAM": 8}
"""DP-16QAM: 4 bits in each of two polarisations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRate:
    """Of one port: lanes x symbol rate x bits per symbol is the line rate; less coding and FEC it is the MAC rate."""

    lanes: int
    gbd: float
    bits_per_symbol: int
    line_bytes_per_s: float
    mac_bytes_per_s: float
    basis: str
    coding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """One link, from a port of a host to what it is plugged into, and what all such links of the job draw.

    Attributes:
        title: the two modules and what is between them.
        line: None where the catalog does not say, or a port has no whole number of lanes.
        fec: the code that the link reports; ``none`` where it says so; None: not read.
        margin_db: optical, over the BER that the PMD is specified for.
        frame_loss_ratio: of frames of 64 bytes, as standards state it. packet_loss_ratio: of packets with ``packet_bytes``
            of payload. Both before anything is sent again; with PLR the link itself does that.
        round_trip_s: without queues.
        goodput_fraction: share of the payload rate that arrives.
        latency_s: one way; ``latency_parts`` add up to it.
        link_w: both ends, a twin-port module by its share. job_w: all modules that the ports of the job are in, and those
            at the other ends of their links.
        line_j_per_bit: of MAC rate. delivered_j_per_bit: of payload, at the predicted rate of a port.
        warnings: what to look at, and what to do.
    """

    title: str
    line: LineRate | None
    fec: str | None
    fec_basis: str
    fec_group_s: Entry
    margin_db: Entry
    pre_fec_ber: Entry
    codeword_error_ratio: Entry
    frame_loss_ratio: Entry
    packet_loss_ratio: Entry
    packet_bytes: int
    round_trip_s: Entry
    goodput_fraction: Entry
    latency_s: Entry
    latency_parts: tuple[LatencyPart, ...]
    link_w: Draw
    line_j_per_bit: Draw
    delivered_j_per_bit: Draw
    job_w: Draw
    job_near: Parts | None
    job_far: Parts | None
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for a manifest, under the names and in the units of the attributes."""
        return dataclasses.asdict(self)


def glass_of(
    config: BenchConfig, network: Network | None, prediction: Prediction | None = None
) -> Glass | None:
    """What the light of a settled configuration does. None: the optics of one end are not named.

    ``network`` is the one without loss (`Network.goodput_low` 1); None: nothing is known of it. ``prediction`` is for the
    energy per delivered bit alone.

    Raises:
        ValueError: ``link.fec`` names no code.
    """
    if not config.transceiver.is_known or not (config.link.far or config.transceiver).is_known:
        return None
    link = link_of(config, network)
    run, fec_basis = built_link.code_on_the_medium(link)
    latency = built_link.latency(link, run)
    margin = link_errors.margin(link)
    ber = link_errors.pre_fec_ber(link, margin)
    codewords, frames, packets = link_errors.losses(link, run, ber)
    there_and_back = round_trip(link, latency)
    link_w, mac_bytes_per_s = link_power(link), link.mac_bytes_per_s
    near, far = job_parts(link, network) if network is not None and _crosses(network) else (None, None)
    return Glass(
        title=_title(config, link),
        line=_line_rate(link),
        fec=None if run is None else _fec_name(run),
        fec_basis=fec_basis,
        fec_group_s=built_link.group_time(link, run),
        margin_db=margin,
        pre_fec_ber=ber,
        codeword_error_ratio=codewords,
        frame_loss_ratio=frames,
        packet_loss_ratio=packets,
        packet_bytes=link.packet.payload_bytes,
        round_trip_s=there_and_back,
        goodput_fraction=goodput_fraction(link, run, packets, there_and_back, latency),
        latency_s=Entry(low=latency.low_s, high=latency.high_s, basis="its parts"),
        latency_parts=latency.parts,
        link_w=link_w,
        line_j_per_bit=per_bit(link_w, mac_bytes_per_s, mac_bytes_per_s, "MAC rate (D)"),
        delivered_j_per_bit=delivered(link_w, network, prediction),
        job_w=neither("no port of a job is known")
        if near is None or far is None
        else job_power(link, near, far),
        job_near=near,
        job_far=far,
        warnings=link_errors.warnings(link, run, ber),
    )


def goodput_of(glass: Glass | None, network: Network) -> tuple[float, float]:
    """Share of the payload rate that arrives, at worst and at best, for `Network.goodput_low` and ``goodput_high``.

    (1, 1) where nothing is lost, where it is not known what is lost, and where nothing crosses a link.

    Raises:
        ValueError: nothing arrives.
    """
    if glass is None or not _crosses(network):
        return 1.0, 1.0
    found = glass.goodput_fraction
    if found.low is None or found.high is None:
        return 1.0, 1.0
    if found.high <= 0:
        raise ValueError(
            f"nothing arrives over this link: {found.basis} at a pre-FEC BER of {glass.pre_fec_ber.low or 0:.2g} "
            f"({glass.pre_fec_ber.basis}). Such a link does not stay up: correct the key, or mend the link"
        )
    return found.low, found.high


def link_of(config: BenchConfig, network: Network | None) -> BuiltLink:
    """The link that a settled configuration describes.

    The module at the far end serves as many ports as fit its rate: a twin-port one of 800 Gb/s two of 400.
    """
    asked, near, far = config.link, config.transceiver, config.link.far or config.transceiver
    is_emulated = config.launcher.kind == "emulated"
    near_ports = config.fabric.ports_per_module if near.is_twin_port else 1
    share = far.mac_rate_bytes_per_s * near_ports / near.mac_rate_bytes_per_s
    transport = Transport.unknown if network is None else network.transport
    mtu_bytes = config.emulation.mtu_bytes if is_emulated else path_mtu_bytes(config.fabric, transport)
    # NCCL on ports whose optics are named is taken to use RDMA; gloo and MPI may use TCP as well.
    is_rdma = transport is Transport.unknown and config.backend == "nccl"
    return BuiltLink(
        near=near,
        far=far,
        near_ports=near_ports,
        far_ports=max(1, round(share)) if far.is_twin_port else 1,
        medium=_medium(asked.medium, near),
        length_m=asked.length_m,
        fec=asked.fec,
        pre_fec_ber=asked.pre_fec_ber,
        margin_db=asked.margin_db,
        error_floor_ber=asked.error_floor_ber,
        loss_ratio=asked.loss_ratio,
        round_trip_s=None if asked.rtt_us is None else asked.rtt_us * 1e-6,
        congestion_control=asked.congestion_control,
        transports=(Transport.roce_v2, Transport.infiniband) if is_rdma else (transport,),
        packet=framing(transport, mtu_bytes),
        mtu_bytes=mtu_bytes,
        payload_bytes_per_s=min(network.port_bytes_per_s.values())
        if network is not None and _crosses(network)
        else None,
        is_emulated=is_emulated,
    )


def _fec_name(run: LinkFec) -> str:
    if run.code is None:
        return "none"
    return f"{run.code.name} + PLR" if run.has_plr else run.code.name


def _crosses(network: Network | None) -> bool:
    return network is not None and network.num_hosts > 1


def _medium(name: str | None, near: Transceiver) -> Medium | None:
    if name is not None:
        return parse_cabling(name).medium
    made_for = {Conductor.single_mode: Cabling.smf, Conductor.copper: Cabling.copper}
    cabling = made_for.get(conductor_of(near) or Conductor.multimode)
    return None if cabling is None else cabling.medium


def _title(config: BenchConfig, link: BuiltLink) -> str:
    made_for = conductor_of(link.near)
    medium = config.link.medium or ("" if made_for is None else made_for.value)
    length = "" if link.length_m is None else f"{link.length_m:g} m"
    far = "its own kind" if link.near == link.far else link.far.name
    between = " of ".join(word for word in (length, medium) if word)
    return f"{link.near.name} to {far}, {between}" if between else f"{link.near.name} to {far}"


def _line_rate(link: BuiltLink) -> LineRate | None:
    side = link.near.optical or link.near.host
    if side is None:
        return None
    lanes = side.lanes * link.mac_bytes_per_s / link.near.mac_rate_bytes_per_s
    if abs(lanes - round(lanes)) > 1e-9:
        return None
    bits = _BITS_PER_SYMBOL.get(side.modulation, round(side.raw_gbps / (side.lanes * side.gbd)))
    grade = link.near.grades.get("rates")
    return LineRate(
        lanes=round(lanes),
        gbd=side.gbd,
        bits_per_symbol=bits,
        line_bytes_per_s=units.bytes_per_s_from_gbps(round(lanes) * side.gbd * bits),
        mac_bytes_per_s=link.mac_bytes_per_s,
        basis=f"lanes, symbol rate and {side.modulation} of {link.near.pmd or link.near.name}{f' ({grade})' if grade else ''}",
        coding=_coding(link.near, side.modulation),
    )


def _coding(module: Transceiver, modulation: str) -> str:
    if modulation == "NRZ":
        return f"64b/66b, or 256b/257b and RS(528,514): {coding.KR4_OVERHEAD} (D)"
    if modulation != "PAM4":
        return f"{module.fec.code if module.fec else 'its FEC'} and framing, by division (D)"
    kp4 = f"256b/257b and RS(544,514): {coding.KP4_OVERHEAD}, as much as RS(272,257+1) takes"
    if module.fec is None or module.fec.inner is None:
        return f"{kp4} (D)"
    return f"{kp4}; inner Hamming code {coding.INNER_CODE_OVERHEAD} (D)"
