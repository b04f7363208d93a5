"""Size of the last-level cache, of the processor or of a GPU."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def last_level_cache_bytes(device: "torch.device") -> int | None:
    """In bytes; None where the kernel does not say. GPU: its L2."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    return processor_cache_bytes()


def processor_cache_bytes(root: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int | None:
    """Of this machine's processor, in bytes; None where the kernel does not say. Source: Linux, sysfs-devices-system-cpu."""
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
