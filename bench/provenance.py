"""What a run was made with: versions, machine, commit, and an allow-list of variables. Never the whole environment."""

import datetime
import importlib.metadata
import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import psutil

import bench

_PACKAGES: Final = ("torch", "numpy", "scipy", "pyarrow", "hydra-core", "omegaconf", "pyroute2", "mpi4py")


def versions() -> dict[str, str]:
    """linerate, its commit where it runs from a checkout, Python, the kernel, and the packages that matter."""
    found = {"linerate": bench.__version__, "python": platform.python_version(), "kernel": platform.release()}
    commit = _commit()
    if commit:
        found["commit"] = commit
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
    return found


def host() -> dict[str, Any]:
    """This machine: name, processors, memory."""
    return {
        "name": socket.gethostname(),
        "processor": _processor(),
        "num_processors": psutil.cpu_count(),
        "num_usable_processors": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "load_1min": round(psutil.getloadavg()[0], 2),
    }


def now_utc() -> str:
    """Wall time, as a label only; durations never come from it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def _commit() -> str | None:
    checkout = Path(bench.__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() or None


class ProcessorMeter:
    """Share of this machine's processor time that was busy, and that others took (steal), since the last reading."""

    def __init__(self) -> None:
        self._last = psutil.cpu_times()

    def shares(self) -> tuple[float | None, float | None]:
        """(busy, steal) as shares of all processors together; None where too little time has passed to say."""
        now = psutil.cpu_times()
        spent = {
            name: getattr(now, name) - getattr(self._last, name)
            for name in now._fields
            if name not in ("guest", "guest_nice")  # already counted in user and nice
        }
        self._last = now
        total_s = sum(spent.values())
        if total_s <= 0:
            return None, None
        steal = spent.get("steal", 0.0) / total_s
        idle = (spent["idle"] + spent.get("iowait", 0.0)) / total_s
        return round(1 - idle - steal, 4), round(steal, 4)
