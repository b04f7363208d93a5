"""`Gpu`: what the links between the accelerators of one host carry nominally, by the name that tables print."""

import math
from dataclasses import dataclass
from typing import Final

from bench.model.units import bytes_per_s_from_gbytes_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One accelerator.

    Attributes:
        generation: of its links and their switches; what one of them reaches, its sisters do.
        inside_gbytes_per_s: nominal rate of all its links to others of its domain, per direction, in 10**9 byte/s.
        is_switched: linked by switches (NVLink, NVSwitch); else by a mesh of direct links (xGMI).
        link_gbytes_per_s: one link of a mesh, to one other; None where there are switches.
        has_nvls: those switches reduce and multicast (NVLink SHARP).
    """

    generation: str
    inside_gbytes_per_s: float
    is_switched: bool = True
    link_gbytes_per_s: float | None = None
    has_nvls: bool = False

    def mesh_bytes_per_s(self, num_ranks: int) -> float:
        """What one of ``num_ranks`` reaches of the others together: in a mesh one link to each of them, else no limit."""
        if self.link_gbytes_per_s is None:
            return math.inf
        return max(1, num_ranks - 1) * bytes_per_s_from_gbytes_per_s(self.link_gbytes_per_s)


GPUS: Final[dict[str, Gpu]] = {
    "V100": Gpu(generation="volta", inside_gbytes_per_s=150),
    "A100": Gpu(generation="ampere", inside_gbytes_per_s=300),
    "A800": Gpu(generation="ampere", inside_gbytes_per_s=200),
    "H100": Gpu(generation="hopper", inside_gbytes_per_s=450, has_nvls=True),
    "H200": Gpu(generation="hopper", inside_gbytes_per_s=450, has_nvls=True),
    "H20": Gpu(generation="hopper", inside_gbytes_per_s=450, has_nvls=True),
    "H800": Gpu(generation="hopper", inside_gbytes_per_s=200, has_nvls=True),
    "GH200": Gpu(generation="hopper", inside_gbytes_per_s=450),
    "B200": Gpu(generation="blackwell", inside_gbytes_per_s=900, has_nvls=True),
    "B300": Gpu(generation="blackwell", inside_gbytes_per_s=900, has_nvls=True),
    "GB200": Gpu(generation="blackwell", inside_gbytes_per_s=900, has_nvls=True),
    "GB300": Gpu(generation="blackwell", inside_gbytes_per_s=900, has_nvls=True),
    "MI300X": Gpu(generation="cdna3", inside_gbytes_per_s=448, is_switched=False, link_gbytes_per_s=64),
    "MI325X": Gpu(generation="cdna3", inside_gbytes_per_s=448, is_switched=False, link_gbytes_per_s=64),
    "MI350X": Gpu(generation="cdna4", inside_gbytes_per_s=537.6, is_switched=False, link_gbytes_per_s=76.8),
    "MI355X": Gpu(generation="cdna4", inside_gbytes_per_s=537.6, is_switched=False, link_gbytes_per_s=76.8),
}
"""SXM or OAM boards. Half of the bidirectional figure of the vendors' data sheets: NVIDIA NVLink 2 300 (6 links), NVLink 3
600 (12; A800 400), NVLink 4 900 (18; H800 400), NVLink 5 1800 GB/s; AMD Infinity Fabric, seven links of 64 (MI300X) or 76.8
GB/s (MI355X) each way. PCIe boards have no such links and are left out."""


def gpu_named(text: str) -> Gpu | None:
    """The entry that a table's name means: 'H100', 'H100 SXM5 80GB', 'nvidia-b200'; None for an unknown one and for PCIe boards."""
    words = text.upper().replace("-", " ").replace("_", " ").split()
    if "PCIE" in words or "NVL" in words:
        return None
    return next((GPUS[word] for word in words if word in GPUS), None)
