"""A prediction beside what a calibrated system would take: the calibration of one run, asked about one point."""

from dataclasses import dataclass

from bench.fitting import series_of_point
from bench.model.fabric import Network
from bench.model.fit.calibration import CalibratedTime, Calibration, calibrated, why_not_calibrated
from bench.model.predict import Prediction
from bench.points import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A time, or the reason why there is none."""

    time: CalibratedTime | None
    reason: str | None


def ask(
    calibration: Calibration,
    point: Point,
    prediction: Prediction,
    network: Network,
    *,
    num_hosts: int,
    backend: str,
    fabric: str,
) -> Calibrated:
    """What ``calibration`` says of ``point`` on ``network``. ``num_hosts``: operating-system hosts, as in records."""
    series = series_of_point(point, num_hosts=num_hosts, backend=backend, fabric=fabric)
    link_time_s = prediction.loads[0].duration_s if prediction.loads else None
    bucket_time_s = network.bucket_bytes / min(network.port_bytes_per_s.values())
    size = point.message_bytes
    time = calibrated(
        calibration, series, message_bytes=size, link_time_s=link_time_s, bucket_time_s=bucket_time_s
    )
    if time is not None:
        return Calibrated(time=time, reason=None)
    reason = why_not_calibrated(
        calibration, series, message_bytes=size, link_time_s=link_time_s, bucket_time_s=bucket_time_s
    )
    return Calibrated(time=None, reason=reason)
