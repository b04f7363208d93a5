"""`linerate fit`: from the points of a run to its `Calibration`. What is printed is in `bench.fit_view`."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.config import ALGORITHMS
from bench.fit_file import FIT, to_json
from bench.model.fit.calibration import Calibration
from bench.model.fit.series_fit import MIN_SIZES, MeasuredSize, Series, fit_series
from bench.model.statistics import summarise
from bench.points import Point
from bench.record import Record, RunManifest
from bench.run_folder import MANIFEST, RECORDS, RunFolder

_OWN: Final = frozenset(name for names in ALGORITHMS.values() for name in names)
"""Algorithms that are asked for by these names; any other name is what the library took when asked for its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What `linerate fit` found. ``left_out``: series with too few sizes, each with their number."""

    manifest: RunManifest
    calibration: Calibration
    left_out: tuple[tuple[Series, int], ...]


def fit_run(path: Path) -> Fit:
    """Fit every series of a run, as far as the run has come.

    Raises:
        ValueError: no run, a damaged one, or one without a series of `MIN_SIZES` sizes.
    """
    manifest, records = _read(path)
    by_series: dict[Series, list[Record]] = {}
    for record in records:
        if _is_usable(record):
            by_series.setdefault(series_of(record, manifest.fabric), []).append(record)
    if not by_series:
        raise ValueError(
            f"{path} has no measured point to fit: {len(records)} points, none of them complete, with right data and a message"
        )
    has_bucket = bool(manifest.links and manifest.links.get("bucket_bytes"))
    fits, left_out = [], []
    for series, found in by_series.items():
        measured = {record.message_bytes: record for record in found}  # of several attempts the last
        if len(measured) < MIN_SIZES:
            left_out.append((series, len(measured)))
            continue
        ordered = [measured[size] for size in sorted(measured)]
        sizes = [_size(record) for record in ordered]
        fits.append(fit_series(series, sizes, breaks_bytes=_breaks(ordered), has_bucket=has_bucket))
    if not fits:
        most = max(count for _, count in left_out)
        raise ValueError(
            f"{path} has no series of {MIN_SIZES} sizes (the longest has {most}); measure more, for example sizes=default"
        )
    calibration = Calibration(
        run_id=manifest.run_id,
        started_utc=manifest.started_utc,
        transceiver=manifest.transceiver,
        fabric=manifest.fabric,
        time_scale=manifest.time_scale,
        series=tuple(fits),
    )
    return Fit(manifest=manifest, calibration=calibration, left_out=tuple(left_out))


def series_of(record: Record, fabric: str) -> Series:
    """The series that a record belongs to."""
    return Series(
        collective=record.collective,
        algorithm=record.algorithm if record.algorithm in _OWN else "native",
        dtype=record.dtype,
        reduce_op=record.reduce_op,
        placement=record.placement,
        measure_pass=record.measure_pass,
        group=record.group,
        num_ranks=record.num_ranks,
        num_hosts=record.num_hosts,
        backend=record.backend,
        fabric=fabric,
    )


def series_of_point(point: Point, *, num_hosts: int, backend: str, fabric: str) -> Series:
    """The series that a point of a sweep will belong to, so that a calibration can be asked about it.

    ``num_hosts``: operating-system hosts, as in records: the trays of a rack count each.
    """
    return Series(
        collective=point.collective.value,
        algorithm=point.algorithm,
        dtype=point.dtype,
        reduce_op=point.reduce_op,
        placement=point.placement,
        measure_pass=point.measure_pass,
        group=point.group_kind,
        num_ranks=point.num_ranks,
        num_hosts=num_hosts,
        backend=backend,
        fabric=fabric,
    )


def write_fit(fit: Fit, run: Path, out: Path | None) -> Path:
    """Write fit.json into the run folder, or to ``out``; returns where it is.

    Raises:
        ValueError: it cannot be written.
    """
    text = to_json(fit.calibration)
    try:
        if out is None:
            RunFolder(run).write(FIT, text)
        else:
            out.write_text(text, encoding="utf-8")
    except OSError as error:
        where = out or run / FIT
        raise ValueError(
            f"{where} cannot be written ({error.strerror}); give --out FILE.json in a folder of yours"
        ) from error
    return out or run / FIT


def _read(path: Path) -> tuple[RunManifest, list[Record]]:
    for name in (MANIFEST, RECORDS):
        if not (path / name).is_file():
            raise ValueError(
                f"{path} is no run folder: it has no {name}; `linerate run` makes one, runs/latest is the newest"
            )
    folder = RunFolder(path)
    try:
        return folder.manifest(), folder.records()
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def _is_usable(record: Record) -> bool:
    """Complete points with right data that moved something; in the overlap pass a call shares its time."""
    is_valid = (
        record.status == "complete"
        and record.durations_s
        and not record.num_wrong_elements
        and not record.num_bad
    )
    return bool(is_valid) and record.message_bytes > 0 and record.measure_pass != "overlap"


def _size(record: Record) -> MeasuredSize:
    found = summarise(record.durations_s)
    return MeasuredSize(
        message_bytes=record.message_bytes,
        measured_s=found.median_s,
        low_s=found.low_s,
        high_s=found.high_s,
        predicted_s=record.predicted_time_s,
        ceiling_s=record.ceiling_time_s,
    )


def _breaks(ordered: Sequence[Record]) -> list[float]:
    """Between sizes for which the library's log names different algorithms or protocols: halfway, in the logarithm."""
    return [
        math.sqrt(first.message_bytes * second.message_bytes)
        for first, second in itertools.pairwise(ordered)
        if first.algorithm != second.algorithm
    ]
