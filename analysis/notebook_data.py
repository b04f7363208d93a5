"""Which run, pair of runs or log a notebook looks at: environment variables, or the newest that lies there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

RUN: Final = "LINERATE_RUN"
BASE: Final = "LINERATE_BASE"
NEW: Final = "LINERATE_NEW"
LOG: Final = "LINERATE_LOG"

LATEST: Final = Path("runs/latest")
"""Where `linerate run` leaves the newest run, below the folder that it was started in."""

_HOW: Final = "set it before Jupyter starts, or in the first cell: os.environ[{name!r}] = {example!r}"


def run_path() -> Path:
    """The run folder that ``LINERATE_RUN`` names; else `LATEST`.

    Raises:
        ValueError: nothing is there.
    """
    return _asked(RUN, "runs/20260101T120000-abcdef") or _newest_run()


def base_and_new() -> tuple[Path, Path]:
    """What ``LINERATE_BASE`` and ``LINERATE_NEW`` name, each a run or a folder of runs that count as starts of one thing.

    Without them the arms of the newest experiment of `linerate ab`. With a base alone it is compared with `LATEST`.

    Raises:
        ValueError: nothing is there, or a new one has no base.
    """
    base, new = _asked(BASE, "runs/before"), _asked(NEW, "runs/after")
    if base is not None:
        return base, new or _newest_run()
    if new is not None:
        raise ValueError(f"{NEW} is {new}, and {BASE} is empty; {_how(BASE, 'runs/before')}")
    experiment = _newest_experiment()
    if experiment is None:
        raise ValueError(
            f"{BASE} and {NEW} are empty, and there is no experiment runs/ab-... in or above {Path.cwd()}: `linerate ab --a "
            f"'...' --b '...'` makes one. For two runs that you have, {_how(BASE, 'runs/before')}, and {NEW} likewise"
        )
    return experiment / "a", experiment / "b"


def log_path() -> Path:
    """The log that ``LINERATE_LOG`` names.

    Raises:
        ValueError: it is empty, or no file.
    """
    path = _asked(LOG, "nccl.log")
    if path is None:
        raise ValueError(
            f"{LOG} is empty: it names a log of nccl-tests, rccl-tests or OSU; {_how(LOG, 'nccl.log')}"
        )
    if not path.is_file():
        raise ValueError(f"{LOG} is {path}, which is no file; {_how(LOG, 'nccl.log')}")
    return path


def _asked(name: str, example: str) -> Path | None:
    """What a variable names; None where it is empty."""
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    wanted = Path(text).expanduser()
    found = next((folder / wanted for folder in _here_and_above() if (folder / wanted).exists()), None)
    if found is None:
        where = "does not exist" if wanted.is_absolute() else f"is neither in {Path.cwd()} nor above it"
        raise ValueError(f"{name} is {text}, which {where}; {_how(name, example)}")
    return found


def _newest_run() -> Path:
    for folder in _here_and_above():
        if (folder / LATEST).exists():
            return (folder / LATEST).resolve()
    raise ValueError(
        f"there is no {LATEST} in or above {Path.cwd()}: `linerate run` makes one. For a run elsewhere, "
        f"{_how(RUN, 'runs/20260101T120000-abcdef')}"
    )


def _newest_experiment() -> Path | None:
    """The folder of the last `linerate ab` in the nearest folder that has any; names begin with the time of their start."""
    for folder in _here_and_above():
        found = sorted(
            path for path in folder.glob("runs/ab-*") if (path / "a").is_dir() and (path / "b").is_dir()
        )
        if found:
            return found[-1]
    return None


def _here_and_above() -> Iterator[Path]:
    """Jupyter starts a kernel in the notebook's own folder, and runs lie where the user works, which is above it."""
    here = Path.cwd()
    return iter((here, *here.parents))


def _how(name: str, example: str) -> str:
    return _HOW.format(name=name, example=example)
