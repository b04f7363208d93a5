"""`linerate fit`: from the points of a run to its `Calibration`. What is printed is in `bench.fit_view`."""

from dataclasses import dataclass
from pathlib import Path

from bench.fit_file import FIT, to_json
from bench.model.fit.calibration import Calibration
from bench.model.fit.run_fit import FitPoint, LeftOut, fit_points, why_unusable
from bench.model.fit.series_fit import MIN_SIZES, MeasuredSize, Series
from bench.model.statistics import summarise
from bench.point_key import ASKED
from bench.points import Point
from bench.record import Record, RunManifest
from bench.run_folder import MANIFEST, RECORDS, RunFolder
from bench.summary import factor_of, headline_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What `linerate fit` found. ``left_out``: series with too few usable sizes."""

    manifest: RunManifest
    calibration: Calibration
    left_out: tuple[LeftOut, ...]


def fit_run(path: Path) -> Fit:
    """Fit every series of a run, as far as the run has come.

    Raises:
        ValueError: no run, a damaged one, or one without a series of `MIN_SIZES` sizes.
    """
    manifest, records = _read(path)
    points = [_point(record, manifest.fabric) for record in records]
    if not any(point.measured for point in points):
        raise ValueError(
            f"{path} has no measured point to fit: {len(records)} points, none of them complete, with right data and a message"
        )
    has_bucket = bool(manifest.links and manifest.links.get("bucket_bytes"))
    found = fit_points(points, has_bucket=has_bucket)
    if not found.fits:
        most = max(each.num_sizes for each in found.left_out)
        raise ValueError(
            f"{path} has no series of {MIN_SIZES} sizes (the longest has {most}); measure more, for example sizes=default"
        )
    calibration = Calibration(
        run_id=manifest.run_id,
        started_utc=manifest.started_utc,
        transceiver=manifest.transceiver,
        fabric=manifest.fabric,
        time_scale=manifest.time_scale,
        series=found.fits,
    )
    return Fit(manifest=manifest, calibration=calibration, left_out=found.left_out)


def series_of(record: Record, fabric: str) -> Series:
    """The series that a record belongs to."""
    return Series(
        collective=record.collective,
        algorithm=record.algorithm if record.algorithm in ASKED else "native",
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


def _point(record: Record, fabric: str) -> FitPoint:
    time_s = headline_s(record)
    unusable = why_unusable(
        status=record.status,
        time_s=time_s,
        message_bytes=record.message_bytes,
        measure_pass=record.measure_pass,
        num_wrong_elements=record.num_wrong_elements,
        num_bad=record.num_bad,
    )
    return FitPoint(
        series=series_of(record, fabric),
        algorithm=record.algorithm,
        repeat=record.repeat,
        bus_factor=factor_of(record),
        measured=None if unusable or time_s is None else _size(record, time_s),
        unusable=unusable,
    )


def _size(record: Record, time_s: float) -> MeasuredSize:
    found = summarise(record.durations_s) if record.durations_s else None
    rounding_s = 0.0
    if found is None and record.reported and record.reported.time_high_s and record.reported.time_low_s:
        rounding_s = record.reported.time_high_s - record.reported.time_low_s
    return MeasuredSize(
        message_bytes=record.message_bytes,
        measured_s=time_s,
        low_s=found.low_s if found else None,
        high_s=found.high_s if found else None,
        predicted_s=record.predicted_time_s,
        ceiling_s=record.ceiling_time_s,
        rounding_s=rounding_s,
    )
