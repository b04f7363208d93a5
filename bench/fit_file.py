"""fit.json: a `Calibration` on disk, read as strictly as records are."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Final

import dacite

from bench.model.collective import Collective, bus_factor
from bench.model.fit.calibration import Calibration
from bench.model.fit.saturation import Verdict
from bench.model.fit.series_fit import Series, judged
from bench.model.fit.table import fit_rows

FIT: Final = "fit.json"
FIT_VERSION: Final = 2
"""Version of fit.json.

1  first form
2  the verdict on the plateau, the bus factor, and a table of all numbers as they are shown, which is never read back
"""

READABLE: Final = (1, 2)


def to_json(calibration: Calibration) -> str:
    """The text of fit.json."""
    content = {"fit_version": FIT_VERSION} | dataclasses.asdict(calibration)
    content["table"] = [dataclasses.asdict(row) for row in fit_rows(calibration.series)]
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> Calibration:
    """Read the text of fit.json.

    Raises:
        ValueError: not JSON, another version, a key too many or too few, or a number that is none.
    """
    content = json.loads(text, parse_constant=_finite, parse_float=_finite)
    found = content.pop("fit_version", None) if isinstance(content, dict) else None
    if found not in READABLE:
        raise ValueError(f"fit_version is {found}; this version of linerate reads {READABLE}")
    if found > 1 and not isinstance(content.pop("table", None), list):
        raise ValueError("it has no table")
    config = dacite.Config(strict=True, cast=[tuple, Verdict], type_hooks={float: _number})
    try:
        calibration = dacite.from_dict(Calibration, content, config)
    except (dacite.DaciteError, TypeError) as error:
        raise ValueError(str(error)) from error
    for fit in calibration.series:
        segments = fit.curve.segments
        if not segments or [s.to_bytes is None for s in segments] != [False] * (len(segments) - 1) + [True]:
            raise ValueError(f"the segments of {fit.series.collective} do not follow one another")
        if found > 1 and fit.curve.saturation is None:
            raise ValueError(f"{fit.series.collective} has no saturation")
    return calibration if found > 1 else _from_version_1(calibration)


def _from_version_1(calibration: Calibration) -> Calibration:
    """What version 1 lacks follows from what it holds."""
    series = [dataclasses.replace(judged(fit), bus_factor=_factor(fit.series)) for fit in calibration.series]
    return dataclasses.replace(calibration, series=tuple(series))


def _factor(series: Series) -> float | None:
    """Version 1 knew no collective of other programs, and no run without a number of ranks."""
    return None if series.num_ranks is None else bus_factor(Collective(series.collective), series.num_ranks)


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
