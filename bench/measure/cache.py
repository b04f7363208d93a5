"""Size of the last-level cache, of the processor or of a GPU."""

import re
from pathlib import Path
from typing import Final

import torch

_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def last_level_cache_bytes(
    device: torch.device, root: Path = Path("/sys/devices/system/cpu/cpu0/cache")
) -> int | None:
    """In bytes; None where the kernel does not say. GPU: its L2. Source: Linux, sysfs-devices-system-cpu."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    levels: dict[int, int] = {}
    for index in root.glob("index*"):
        try:
            level = int((index / "level").read_text())
            match = re.fullmatch(r"(\d+)([KMG]?)", (index / "size").read_text().strip())
        except (OSError, ValueError):
            continue
        if match:
            levels[level] = int(match[1]) * _UNITS[match[2]]
    return levels[max(levels)] if levels else None
