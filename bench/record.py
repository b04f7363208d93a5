"""`Record` and `RunManifest`: what is written to disk, with the history of the format."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bench.catalog import from_mapping
from bench.reported import Reported

RECORD_VERSION: Final = 4
"""Version of records.jsonl, manifest.json and samples.parquet.

1  first form
2  why sampling stopped, what was left out, skew and stragglers, counted bytes, overlap; groups measured side by side;
   the start-up of the communicator
3  the schedule that was predicted, how it was found, and the interval of the prediction; what a calibration says
4  points that another program measured (``reported``), measured more than once in a run (``repeat``), or of which the ranks
   are not known; where an imported run comes from (``imported``)

Fields that an older version lacks are None there.
"""

READABLE: Final = (1, 2, 3, 4)

STATUSES: Final = ("running", "complete", "interrupted", "failed")


class NewerVersionError(ValueError):
    """A file of a newer linerate: nothing in it is damaged, and nothing of it may be left out."""


@dataclass(kw_only=True)
class Record:
    """One finished point: everything that its statistics are computed from. Durations are in seconds.

    Attributes:
        group: ``world``, or which of the groups that measured at the same time (``rail/3``).
        calls_per_sample: calls, or messages, that one sample was divided by; its raw duration is the product.
        durations_s: of one call, one per sample, the slowest rank of each.
        rank_mean_s: mean over samples, one per rank of the group.
        first_call_s: first call of the point, kept apart from the steady state.
        num_wrong_elements: None where nothing was checked.
        fabric_bytes_per_rank: payload that leaves a host per rank and call, derived from the schedule; None where the
            algorithm is not known.
        predicted_time_s, ceiling_time_s: None where nothing was predicted. ``ceiling_time_s`` 0: nothing limits it.
        predicted_low_s, predicted_high_s: interval of the expectation; None where nothing was published that would give one.
        predicted_schedule: how the bytes are taken to travel (`bench.model.schedule.Schedule`); None: the library's own.
        schedule_source: of predicted_schedule: ``given`` (read or forced), ``chosen`` (expected of NCCL), ``assumed``.
        calibrated_time_s, calibrated_low_s, calibrated_high_s: by the calibration that was given, with its 95 % interval.
        predicted_bound: resource of least capacity on the path.
        also_bound_by: resources within 1 % of it.
        is_bucket_dominated: emulation: the message is too small for the link's rate to matter.
        busy_share, steal_share: of all processors of rank 0's machine during the point; None where unknown.
        stop_reason: ``planned`` (a fixed number of samples), ``interval`` (narrow enough), ``time`` (timing.fill_s),
            ``max_iterations``, ``budget``, ``interrupted`` or, without samples, ``timeout``.
        num_rejected: samples left out because a host was slower than its device.
        num_bad: samples that were no positive, finite time; they fail the point.
        num_checked_calls: calls of one rank whose whole result was checked.
        arrival_skew_s, arrival_skew_max_s: latest less earliest start of a call over ranks; median and largest.
        transfer_s: median over samples of the time from the last start to the last end.
        clock_uncertainty_s: of starts of ranks on different machines; 0 on one.
        finding: ``late rank 2``, ``slow rank 1``, ``single stall at 1.2 s``; None where nothing stands out.
        finding_text: the sentence for the reader.
        counted_bytes_per_rank: sent through the busiest host's interfaces per rank and call, headers and
            acknowledgements included.
        load_imbalance: phi of an all_to_allv: largest over mean of what ranks send or receive.
        communication_s, compute_s: overlap pass: the call and the computation alone, slowest rank of each sample.
        clock_resolution_s: smallest step of the clock that timed the samples.
        num_ranks, num_hosts: None where an imported log does not tell.
        repeat: which of several measurements of the same point in one run, from 1.
        reported: what another program printed of the point; None for our own, whose statistics come from ``durations_s``.
    """

    point_id: str
    attempt: int
    status: str
    collective: str
    algorithm: str
    algorithm_source: str
    backend: str
    dtype: str
    reduce_op: str | None
    placement: str
    measure_pass: str
    group: str
    num_ranks: int | None
    num_hosts: int | None
    message_bytes: int
    calls_per_sample: int
    durations_s: list[float]
    rank_mean_s: list[float]
    first_call_s: float | None
    num_wrong_elements: int | None
    fabric_bytes_per_rank: float | None
    predicted_time_s: float | None
    ceiling_time_s: float | None
    predicted_bound: str | None
    also_bound_by: list[str]
    is_bucket_dominated: bool
    busy_share: float | None
    steal_share: float | None
    warnings: list[str] = field(default_factory=list)
    stop_reason: str | None = None
    num_rejected: int | None = None
    num_bad: int | None = None
    num_checked_calls: int | None = None
    arrival_skew_s: float | None = None
    arrival_skew_max_s: float | None = None
    transfer_s: float | None = None
    clock_uncertainty_s: float | None = None
    finding: str | None = None
    finding_text: str | None = None
    counted_bytes_per_rank: float | None = None
    load_imbalance: float | None = None
    communication_s: list[float] = field(default_factory=list)
    compute_s: list[float] = field(default_factory=list)
    clock_resolution_s: float | None = None
    predicted_low_s: float | None = None
    predicted_high_s: float | None = None
    predicted_schedule: str | None = None
    schedule_source: str | None = None
    calibrated_time_s: float | None = None
    calibrated_low_s: float | None = None
    calibrated_high_s: float | None = None
    repeat: int = 1
    reported: Reported | None = None
    record_version: int = RECORD_VERSION

    def to_line(self) -> str:
        """One line of records.jsonl, without the newline. Raises ValueError for NaN and infinities."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @staticmethod
    def from_line(line: str) -> "Record":
        """Read one line back.

        Raises:
            ValueError: not a record of a version that this one reads, or a number that is none.
        """
        content = _loads(line)
        check_version(content, "")
        return from_mapping(Record, content, "record")


@dataclass(kw_only=True)
class RunManifest:
    """What ran, where, and how it ended. ``status`` is one of `STATUSES`; ``exit_status`` is None while it runs.

    ``initialisation_s``: making the communicator, from the first word to a barrier of all ranks; slowest rank.
    ``groups``: ranks of each group that measured beside others, by the name in the records. ``glass``: what the optics of the
    configured link mean (docs/link.md); None where they are not named. ``imported``: of a log that another program wrote, what
    it was and how every line of it was taken; None for our own runs. ``num_ranks``, ``num_hosts``: None where such a log does
    not tell.
    """

    run_id: str
    started_utc: str
    status: str
    status_reason: str | None
    exit_status: int | None
    command: list[str]
    config: dict[str, Any]
    config_sha256: str
    versions: dict[str, str]
    hosts: list[dict[str, Any]]
    ranks: list[dict[str, Any]]
    launcher: str
    launched_by: str
    backend: str
    num_ranks: int | None
    num_hosts: int | None
    transceiver: str
    fabric: str
    time_scale: float | None
    links: dict[str, Any] | None
    environment: dict[str, str]
    skipped: list[str]
    num_points_planned: int
    finished_utc: str | None = None
    initialisation_s: float | None = None
    groups: dict[str, list[int]] = field(default_factory=dict)
    glass: dict[str, Any] | None = None
    imported: dict[str, Any] | None = None
    record_version: int = RECORD_VERSION

    @property
    def ranks_on_hosts(self) -> str:
        """``8 ranks on 2 hosts``, as titles and sentences say it."""
        if self.num_ranks is None:
            return "ranks not known"
        ranks = f"{self.num_ranks} rank{'' if self.num_ranks == 1 else 's'}"
        if self.num_hosts is None:
            return f"{ranks}, hosts not known"
        return f"{ranks} on {self.num_hosts} host{'' if self.num_hosts == 1 else 's'}"

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> "RunManifest":
        """Read a manifest. Raises ValueError where it is none, or of another version."""
        content: Mapping[str, Any] = _loads(text)
        check_version(content, "manifest: ")
        return from_mapping(RunManifest, content, "manifest")


def check_version(content: object, where: str) -> None:
    """Raises ValueError where a mapping is of no version that this one reads; says whether it is newer."""
    found = content.get("record_version") if isinstance(content, dict) else None
    if found in READABLE:
        return
    if isinstance(found, int) and found > RECORD_VERSION:
        raise NewerVersionError(
            f"{where}record_version is {found}: a newer linerate wrote it. This one reads {READABLE[0]} to {READABLE[-1]}; "
            "update linerate to read it"
        )
    raise ValueError(f"{where}record_version is {found}; this version of linerate reads {READABLE}")


def _loads(text: str) -> Any:
    """JSON whose numbers are all finite. Raises ValueError; also for a nesting that no record has."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested deeper than a record is") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse_constant(text)
    return value


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number that a record may hold")
