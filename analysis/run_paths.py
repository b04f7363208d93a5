"""`find_runs`: where runs lie on disk."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.run_folder import MANIFEST, RECORDS, RunFolder

SEARCH_DEPTH: Final = 4
"""Folders below a place that is searched: ./runs/<series>/<arm>/<run_id> is the deepest that linerate makes."""


def find_runs(path: Path | str) -> list[Path]:
    """Run folders at a path, earliest start first: the folder itself, or all below it, each once though links point at it.

    Raises:
        ValueError: there are none.
    """
    folder = folder_at(path)
    found = [folder] if is_run(folder) else list(_below(folder, SEARCH_DEPTH))
    if not found:
        raise ValueError(why_no_run(folder))
    return sorted(dict.fromkeys(found), key=_start_of)


def folder_at(path: Path | str) -> Path:
    """The folder that is meant: by its path, by a link to it (runs/latest), or by a file in it.

    Raises:
        ValueError: there is nothing.
    """
    path = Path(path)
    if not path.exists():
        what = "is a link to nothing" if path.is_symlink() else "does not exist"
        raise ValueError(f"{path} {what}; give a run folder, which `linerate run` prints at its end")
    folder = path.resolve()
    return folder if folder.is_dir() else folder.parent


def is_run(folder: Path) -> bool:
    """Whether a folder is a run; whether it can be read is another question."""
    try:
        return (folder / MANIFEST).is_file()
    except OSError:  # a folder that may not be looked into
        return False


def why_no_run(folder: Path) -> str:
    """What a folder without manifest is, and what to do."""
    if (folder / RECORDS).is_file():
        return (
            f"{folder} has {RECORDS} but no {MANIFEST}, which says what ran where; copy the whole folder from where it was made "
            "(rsync -a takes every file)"
        )
    inside = list(_below(folder, SEARCH_DEPTH))
    if inside:
        names = ", ".join(path.name for path in inside[:3])
        return f"{folder} is no run, but {len(inside)} lie below it ({names}{', ...' if inside[3:] else ''}); name one of them"
    return f"{folder} is no run folder: it has no {MANIFEST}; `linerate run` makes one"


def _below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        children = sorted(child for child in folder.iterdir() if child.is_dir() and child.name[0] != ".")
    except OSError:
        return
    for child in children:
        if is_run(child):
            yield child.resolve()
        elif depth > 1 and not child.is_symlink():
            yield from _below(child, depth - 1)


def _start_of(folder: Path) -> tuple[bool, float, str]:
    """Sorts by the start; folders that do not tell it come last, by name."""
    try:
        start = datetime.datetime.fromisoformat(RunFolder(folder).manifest().started_utc)
        return False, start.replace(tzinfo=start.tzinfo or datetime.UTC).timestamp(), str(folder)
    except (ValueError, OverflowError):
        return True, 0.0, str(folder)
