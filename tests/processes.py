"""Start linerate as a user does, in processes of its own, and never leave one behind."""

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pandas as pd

from analysis.load import load_run
from bench.record import RunManifest

ROOT = Path(__file__).resolve().parents[1]
LINERATE = [sys.executable, "-P", "-m", "bench"]
SCRIPTS = Path(sysconfig.get_path("scripts"))
SMALL = ["sizes.list_bytes=[4KiB,64KiB]", "timing.num_iterations=6"]
TIMEOUT_S = 120


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without variables that would make linerate believe it is a rank."""
    prefixes = ("LINERATE_", "OMPI_", "PMI_", "SLURM_", "TORCHELASTIC_", "MASTER_")
    names = {"RANK", "WORLD_SIZE", "LOCAL_RANK"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(prefixes) and k not in names}
    return kept | {"LINERATE_FIGURE": "0"} | more  # drawing takes as long as a small run


def start(command: list[str], folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start in ``folder``, in a process group of its own, with both outputs joined."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]", timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
    """Wait for the end; exit status and everything that was printed."""
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        raise AssertionError(f"still running after {timeout_s} s; it said:\n{said}") from None
    return process.returncode, said


def run(command: list[str], folder: Path, **environment: str) -> tuple[int, str]:
    return finish(start(command, folder, **environment))


def only_run(folder: Path) -> tuple[RunManifest, pd.DataFrame]:
    """Manifest and summary of the one run below ``folder``/runs."""
    runs = [path for path in (folder / "runs").iterdir() if not path.is_symlink()]
    assert len(runs) == 1, f"{len(runs)} run folders: rank 0 alone should have made one"
    found = load_run(runs[0])
    return found.manifest, found.summary
