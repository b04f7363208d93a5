"""fit.json: a `Calibration` on disk, read as strictly as records are."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Final

import dacite

from bench.model.fit.calibration import Calibration

FIT: Final = "fit.json"
FIT_VERSION: Final = 1
"""1: first form."""


def to_json(calibration: Calibration) -> str:
    """The text of fit.json."""
    content = {"fit_version": FIT_VERSION} | dataclasses.asdict(calibration)
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> Calibration:
    """Read the text of fit.json.

    Raises:
        ValueError: not JSON, another version, a key too many or too few, or a number that is none.
    """
    content = json.loads(text, parse_constant=_finite, parse_float=_finite)
    found = content.pop("fit_version", None) if isinstance(content, dict) else None
    if found != FIT_VERSION:
        raise ValueError(f"fit_version is {found}; this version of linerate reads {FIT_VERSION}")
    config = dacite.Config(strict=True, cast=[tuple], type_hooks={float: _number})
    try:
        calibration = dacite.from_dict(Calibration, content, config)
    except (dacite.DaciteError, TypeError) as error:
        raise ValueError(str(error)) from error
    for fit in calibration.series:
        segments = fit.curve.segments
        if not segments or [s.to_bytes is None for s in segments] != [False] * (len(segments) - 1) + [True]:
            raise ValueError(f"the segments of {fit.series.collective} do not follow one another")
    return calibration


def read_calibration(path: Path | str) -> Calibration:
    """The calibration that ``calibration=PATH`` names: a fit.json, or a run folder that holds one.

    Raises:
        ValueError: there is none, or it is damaged; names the file and what to do.
    """
    asked = Path(path).expanduser()
    file = asked / FIT if asked.is_dir() else asked
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(
            f"calibration={path}: there is no {file}; `linerate fit RUN` writes {FIT} into the folder of a run"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ValueError(f"calibration={path}: {file} cannot be read: {reason}") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number that a fit may hold")
    return value


def _number(value: Any) -> Any:
    """Whole numbers of a float field come back as such; anything else is left for dacite to refuse."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
