"""`Record` and `RunManifest`: what is written to disk, with the history of the format."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bench.catalog import from_mapping

RECORD_VERSION: Final = 1
"""Version of records.jsonl, manifest.json and samples.parquet.

1  first form
"""

STATUSES: Final = ("running", "complete", "interrupted", "failed")


@dataclass(kw_only=True)
class Record:
    """One finished point: everything that its statistics are computed from. Durations are in seconds.

    Attributes:
        durations_s: one per iteration, the slowest rank of each.
        rank_mean_s: mean over iterations, one per rank.
        first_call_s: first call of the point, kept apart from the steady state.
        num_wrong_elements: None where nothing was checked.
        fabric_bytes_per_rank: payload that leaves a host per rank and call, derived from the schedule; None where the
            algorithm is not known.
        predicted_time_s, ceiling_time_s: None where nothing was predicted. ``ceiling_time_s`` 0: nothing limits it.
        predicted_bound: resource of least capacity on the path.
        also_bound_by: resources within 1 % of it.
        is_bucket_dominated: emulation: the message is too small for the link's rate to matter.
        busy_share, steal_share: of all processors of rank 0's machine during the point; None where unknown.
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
    num_ranks: int
    num_hosts: int
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
    record_version: int = RECORD_VERSION

    def to_line(self) -> str:
        """One line of records.jsonl, without the newline. Raises ValueError for NaN and infinities."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

    @staticmethod
    def from_line(line: str) -> "Record":
        """Read one line back.

        Raises:
            ValueError: not a record of this version, or a number that is none.
        """
        content = json.loads(line, parse_constant=_refuse_constant)
        if not isinstance(content, dict) or content.get("record_version") != RECORD_VERSION:
            found = content.get("record_version") if isinstance(content, dict) else None
            raise ValueError(f"record_version is {found}; this version of linerate reads {RECORD_VERSION}")
        record = from_mapping(Record, content, "record")
        if not all(math.isfinite(value) for value in record.durations_s):
            raise ValueError(f"record {record.point_id}: durations_s holds a value that is not finite")
        return record


@dataclass(kw_only=True)
class RunManifest:
    """What ran, where, and how it ended. ``status`` is one of `STATUSES`; ``exit_status`` is None while it runs."""

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
    num_ranks: int
    num_hosts: int
    transceiver: str
    fabric: str
    time_scale: float | None
    links: dict[str, Any] | None
    environment: dict[str, str]
    skipped: list[str]
    num_points_planned: int
    finished_utc: str | None = None
    record_version: int = RECORD_VERSION

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> "RunManifest":
        """Read a manifest. Raises ValueError where it is none, or of another version."""
        content: Mapping[str, Any] = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(content, dict) or content.get("record_version") != RECORD_VERSION:
            found = content.get("record_version") if isinstance(content, dict) else None
            raise ValueError(
                f"manifest: record_version is {found}; this version of linerate reads {RECORD_VERSION}"
            )
        return from_mapping(RunManifest, content, "manifest")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number that a record may hold")
