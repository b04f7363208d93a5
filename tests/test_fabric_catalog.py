"""The catalogue of machines: every number names its source, and agrees with the total that the vendor prints."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from bench import catalog
from bench.model.fabric import Fabric
from bench.model.gpu import gpu_named

DOCS: Final = Path(__file__).resolve().parents[1] / "docs" / "fabrics.md"
FABRICS: Final = {
    name: catalog.fabric(name) for name in catalog.names("fabric") if name not in catalog.PLACEHOLDERS
}
every_fabric = pytest.mark.parametrize("fabric", FABRICS.values(), ids=FABRICS)

SOURCE: Final = re.compile(
    r"\((?P<grade>[ABCDM])\) (?P<fields>[a-z_]+(, [a-z_]+)*): (?P<text>.+)", flags=re.DOTALL
)
FIELDS: Final = {field.name: field.default for field in dataclasses.fields(Fabric)}
CLAIMS: Final = tuple(name for name in FIELDS if name not in ("name", "notes", "sources"))
NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

RAW_GTRANSFERS_PER_S: Final = {3: 8, 4: 16, 5: 32, 6: 64}
"""PCI Express Base Specification, per lane; 128b/130b up to generation 5, flits of 256 bytes with 236 of packets in 6."""

LANES_PER_PORT: Final = 4
"""EDR, HDR, NDR and XDR are all counted four lanes wide (InfiniBand 4X)."""

ROUNDING: Final = 0.003
"""pcie_gbytes_per_s is written with one digit behind the point, or none: 57.6 for 57.62, 111 for 111.06."""


class Total(NamedTuple):
    """What a vendor prints for one operating-system host (or rack), and where."""

    gbps: int
    document: str
    is_rack: bool = False


_EC2 = "Amazon EC2 User Guide, instance types with multiple network cards"
_KARPENTER = "Karpenter, AWS instance types"
_SIZES = "Microsoft, virtual machine sizes, ND family"
_GPU_NETWORK = "Google Cloud, Networking and GPU machines"
_SHAPES = "Oracle, Compute Shapes"
TOTALS: Final = {
    "dgx1_v100": Total(4 * 100, "white paper WP-08437: four 100 Gb/s adapters"),
    "dgx2_v100": Total(1600 // 2, "PC Perspective: 1600 Gb/s in both directions"),
    "dgx_a100": Total(8 * 200, "DGX A100 User Guide: eight ports up to 200 Gb/s"),
    "dgx_h100": Total(8 * 400, "DGX H100/H200 User Guide: eight ports up to 400 Gb/s"),
    "dgx_h200": Total(8 * 400, "DGX H100/H200 User Guide: eight ports up to 400 Gb/s"),
    "dgx_b200": Total(8 * 400, "DGX B200 User Guide: eight ports up to 400 Gb/s"),
    "dgx_b300": Total(8 * 800, "DGX B300 and ConnectX-8: eight adapters of 800 Gb/s"),
    "gb200_nvl72": Total(28800, "Microsoft, ND-GB200-v6: 28.8 Tb/s per rack", is_rack=True),
    "gb300_nvl72": Total(4 * 800, "NVL72 AI Factory and ConnectX-8: four adapters of 800 Gb/s per tray"),
    "mi300x": Total(3200, "Microsoft, ND-MI300X-v5: 3.2 Tb/s"),
    "mi355x": Total(8 * 400, "ROCm documentation: eight Pollara 400"),
    "aws_p3dn": Total(100, _KARPENTER),
    "aws_p4d": Total(400, _KARPENTER),
    "aws_p4de": Total(400, _KARPENTER),
    "aws_p5": Total(3200, _EC2),
    "aws_p5e": Total(3200, _EC2),
    "aws_p5en": Total(3200, _KARPENTER),
    "aws_p6_b200": Total(3200, _EC2),
    "aws_p6_b300": Total(6400, _EC2),
    "aws_p6e_gb200": Total(1600, _EC2),
    "azure_nd_a100_v4": Total(1600, _SIZES),
    "azure_nd_h100_v5": Total(3200, _SIZES),
    "azure_nd_h200_v5": Total(3200, _SIZES),
    "azure_nd_mi300x_v5": Total(3200, _SIZES),
    "azure_nd_gb200_v6": Total(28800, _SIZES, is_rack=True),
    "azure_nd_gb300_v6": Total(4 * 800, _SIZES),
    "gcp_a3_high": Total(1000 - 200, f"{_GPU_NETWORK}: 1000, of which 200 for the host"),
    "gcp_a3_mega": Total(1800 - 200, f"{_GPU_NETWORK}: 1800, of which 200 for the host"),
    "gcp_a3_ultra": Total(3200, _GPU_NETWORK),
    "gcp_a4": Total(3200, _GPU_NETWORK),
    "gcp_a4x": Total(1600, _GPU_NETWORK),
    "oci_bm_gpu4_8": Total(8 * 200, _SHAPES),
    "oci_bm_gpu_a100_v2_8": Total(16 * 100, _SHAPES),
    "oci_bm_gpu_h100_8": Total(8 * 2 * 200, _SHAPES),
    "oci_bm_gpu_h200_8": Total(8 * 400, _SHAPES),
    "oci_bm_gpu_b200_8": Total(8 * 400, _SHAPES),
    "oci_bm_gpu_mi300x_8": Total(8 * 400, _SHAPES),
    "oci_bm_gpu_mi355x_8": Total(8 * 400, _SHAPES),
    "oci_bm_gpu_gb200_4": Total(4 * 400, _SHAPES),
    "oci_bm_gpu_gb300_4": Total(4 * 800, _SHAPES),
    "polaris": Total(2 * 200, "ALCF and HPE: two Slingshot 11 adapters of 200 Gb/s"),
}


def _sources(fabric: Fabric) -> Iterator[tuple[str, set[str], str]]:
    """Grade, fields and text of each source."""
    for identifier, source in fabric.sources.items():
        match = SOURCE.fullmatch(source.strip())
        assert match is not None, f"{fabric.name}: {identifier} is not '(grade) field, field: document'"
        yield match["grade"], set(match["fields"].split(", ")), match["text"]


def _texts_of(fabric: Fabric, field: str) -> list[str]:
    return [text for _, fields, text in _sources(fabric) if field in fields]


def _claims(fabric: Fabric) -> set[str]:
    """The fields of which the file says more than the default does."""
    return {name for name in CLAIMS if getattr(fabric, name) != FIELDS[name]}


def test_the_usual_machines_are_there() -> None:
    """The examples of documentation and help use some of these names."""
    assert len(FABRICS) >= 42
    assert {"dgx_a100", "dgx_h100", "dgx_h200", "dgx_b200", "gb200_nvl72", "gh200", "mi300x"} <= set(FABRICS)
    assert {"aws_p5", "azure_nd_h100_v5", "gcp_a3_mega", "oci_bm_gpu_h100_8", "polaris"} <= set(FABRICS)


@every_fabric
def test_a_name_is_lower_case_words_joined_by_underscores(fabric: Fabric) -> None:
    assert NAME.fullmatch(fabric.name)


@every_fabric
def test_every_number_names_its_source_and_no_source_is_for_nothing(fabric: Fabric) -> None:
    named = {field for _, fields, _ in _sources(fabric) for field in fields}
    assert named <= set(CLAIMS), (
        f"{fabric.name}: sources name fields that do not exist: {named - set(CLAIMS)}"
    )
    assert _claims(fabric) == named


@every_fabric
def test_every_source_can_be_found(fabric: Fabric) -> None:
    """An address, a document known by its title, or arithmetic that is written out."""
    for grade, fields, text in _sources(fabric):
        is_found = any(sign in text for sign in ("https://", "white paper", "standard text"))
        assert is_found, f"{fabric.name}: the source for {sorted(fields)} has neither address nor title"
        assert (grade == "D") == text.startswith("PCIe"), (
            f"{fabric.name}: {sorted(fields)}: what was derived is D"
        )


@every_fabric
def test_ports_carry_what_the_vendor_prints(fabric: Fabric) -> None:
    if fabric.nic_gbps is None or fabric.ports_per_host is None:
        assert fabric.name not in TOTALS
        return
    total = TOTALS[fabric.name]
    hosts = 1 if total.is_rack else fabric.hosts_per_domain
    assert fabric.ports_per_host * fabric.nic_gbps == hosts * total.gbps, total.document


@every_fabric
def test_a_port_fits_its_slot(fabric: Fabric) -> None:
    """Framing takes from the port's rate as well, so a slot below it would be worth a note; here none is."""
    if fabric.nic_gbps is not None and fabric.pcie_gbytes_per_s is not None:
        assert fabric.nic_gbps / 8 <= fabric.pcie_gbytes_per_s
        assert fabric.pcie_gbytes_per_s < 2 * fabric.nic_gbps / 8, (
            "a slot of twice the port's rate: is it shared?"
        )


@every_fabric
def test_the_payload_of_a_slot_follows_from_the_slot(fabric: Fabric) -> None:
    """Rate x lanes, less coding (or flits), less headers of packets with 256 bytes of payload."""
    for text in _texts_of(fabric, "pcie_gbytes_per_s"):
        slot = re.match(r"PCIe (\d) x(\d+)(?:, shared by (\d+) ports)?[.]", text)
        assert slot is not None, f"{fabric.name}: the source of the slot begins with its generation and width"
        generation, lanes, num_ports = int(slot[1]), int(slot[2]), int(slot[3] or 1)
        coding, header_bytes = (236 / 256, 16) if generation == 6 else (128 / 130, 24)
        raw_gbytes_per_s = RAW_GTRANSFERS_PER_S[generation] * lanes * coding / 8
        payload_gbytes_per_s = raw_gbytes_per_s * 256 / (256 + header_bytes) / num_ports
        assert fabric.pcie_gbytes_per_s == pytest.approx(payload_gbytes_per_s, rel=ROUNDING)


@every_fabric
def test_nvlink_is_half_of_what_both_directions_carry(fabric: Fabric) -> None:
    for text in _texts_of(fabric, "nvlink_gbytes_per_s"):
        both = re.search(r"([\d.]+) GB/s (of peak aggregate )?per GPU in both directions", text)
        assert both is not None, f"{fabric.name}: the source of NVLink says what both directions carry"
        assert fabric.nvlink_gbytes_per_s == float(both[1]) / 2


@every_fabric
def test_the_links_are_those_of_the_gpu(fabric: Fabric) -> None:
    """The table of GPUs and the catalogue were written apart; a host of one GPU has no links to count."""
    gpu = gpu_named(fabric.gpu or "")
    if fabric.ranks_per_host == 1:
        assert fabric.nvlink_gbytes_per_s is None
    else:
        assert gpu is not None, f"{fabric.name}: bench.model.gpu does not know {fabric.gpu}"
        assert (fabric.nvlink_gbytes_per_s, fabric.has_nvls) == (gpu.inside_gbytes_per_s, gpu.has_nvls)


@every_fabric
def test_a_port_is_four_lanes(fabric: Fabric) -> None:
    if fabric.lane_gbps is not None:
        assert fabric.nic_gbps == LANES_PER_PORT * fabric.lane_gbps


@every_fabric
def test_ports_and_gpus_divide_evenly(fabric: Fabric) -> None:
    """Several GPUs on one port, or several ports for one GPU, the same for all."""
    ranks, ports = fabric.ranks_per_host, fabric.ports_per_host
    assert ranks is not None
    assert ports is None or ranks % ports == 0 or ports % ranks == 0
    assert ranks % fabric.hosts_per_domain == 0


@every_fabric
def test_a_rack_says_what_to_set_without_multi_node_nvlink(fabric: Fabric) -> None:
    if fabric.hosts_per_domain > 1:
        assert fabric.notes is not None
        ranks = fabric.ranks_per_host
        assert ranks is not None
        assert f"fabric.ranks_per_host={ranks // fabric.hosts_per_domain}," in fabric.notes


@every_fabric
def test_what_is_unknown_and_matters_is_explained(fabric: Fabric) -> None:
    for field in ("ports_per_host", "nic_gbps", "transport"):
        if getattr(fabric, field) is None:
            assert field in (fabric.notes or ""), (
                f"{fabric.name}: {field} is null and the notes do not say why"
            )


def _row(fabric: Fabric) -> str:
    def shown(value: object) -> str:
        plain = {None: "", True: "yes", False: "no"}
        if value is None or isinstance(value, bool):
            return plain[value]
        return f"{value:g}" if isinstance(value, float) else str(value)

    network = "" if fabric.nic_gbps is None else f"{fabric.ports_per_host} x {fabric.nic_gbps:g}"
    cells = [
        fabric.name,
        fabric.gpu,
        fabric.ranks_per_host,
        network,
        fabric.lane_gbps,
        fabric.pcie_gbytes_per_s,
    ]
    cells += [fabric.nvlink_gbytes_per_s, fabric.transport, fabric.has_nvls, fabric.is_rail_optimised]
    return "| " + " | ".join(shown(cell) for cell in [*cells, fabric.routing]) + " |"


@every_fabric
def test_the_documentation_shows_the_entry_as_it_is(fabric: Fabric) -> None:
    assert _row(fabric) in DOCS.read_text(encoding="utf-8").splitlines(), (
        f"docs/fabrics.md lacks: {_row(fabric)}"
    )
