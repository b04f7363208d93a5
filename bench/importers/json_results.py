"""`ResultReader`: one object of ``results`` of nccl-tests' JSON as a point."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.importers.foreign import ForeignPoint, Reading
from bench.importers.json_values import Unknown, as_number, as_text, as_whole, positive, scaled_by, shown
from bench.importers.nccl_names import REDUCING
from bench.importers.nccl_points import CPU_TIME, ITERATIONS_MAXIMUM
from bench.importers.program_names import UNKNOWN, dtype_of, reduce_op_of
from bench.importers.stored import contradiction

PLACEMENTS: Final = ("out_of_place", "in_place")

_RESULT_KEYS: Final = (
    *("size", "count", "type", "redop", "root", "actual_iterations", "experiment_name"),
    *PLACEMENTS,
    *(f"{placement}_per_iter" for placement in PLACEMENTS),
)
_HALF_KEYS: Final = ("time", "cpu_time", "alg_bw", "bus_bw", "nwrong", "bitwise")
_STATISTICS: Final = {
    "min_us": "min_s",
    "max_us": "max_s",
    "avg_us": "mean_s",
    "p50_us": "p50_s",
    "p95_us": "p95_s",
    "p99_us": "p99_s",
    "stdev_us": "stdev_s",
}
_ITERATION_KEYS: Final = (
    *("skipped_iterations", "cv_pct", "times_us", "per_process_max_times_us"),
    *_STATISTICS,
)
_MICRO: Final = -6
_GIGA: Final = 9
_PERCENT: Final = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReader:
    """What a document knows of all its results.

    Attributes:
        calls_per_iteration: aggregated calls times launches of a graph: what one iteration of the loop stands for.
        iterations: of the loop, where a result does not tell.
        skipped: iterations that the statistics leave out, where a result does not tell.
        num_ranks: of the group that a result is about.
        unknown: where keys go that are not read.
    """

    collective: str
    statistic: str
    iterations: int | None
    calls_per_iteration: int
    skipped: int
    num_ranks: int | None
    unknown: Unknown

    def point(self, result: object) -> ForeignPoint | None:
        """One point; None, and a remark, for what has no size."""
        if not isinstance(result, dict):
            self.unknown.unless(False, "an entry of results[] that is no object")
            return None
        self.unknown.keys(result, _RESULT_KEYS, "results[]")
        size = as_whole(result.get("size"))
        if size is None or size < 0:
            self.unknown.unless(False, f"size {shown(result.get('size'))} in results[], which is no size")
            return None
        redop = reduce_op_of(as_text(result.get("redop")) or "")
        is_reducing = self.collective in REDUCING or self.collective == UNKNOWN
        return ForeignPoint(
            line=None,
            collective=self.collective,
            printed_bytes=size,
            message_bytes=size,
            count=as_whole(result.get("count")),
            dtype=dtype_of(as_text(result.get("type")) or ""),
            reduce_op=redop if is_reducing else None,
            root=as_whole(result.get("root")),
            measure_pass="bandwidth",
            readings=tuple(
                self._reading(placement, half, result, size)
                for placement in PLACEMENTS
                if isinstance(half := result.get(placement), dict)
            ),
        )

    def _reading(
        self, placement: str, half: Mapping[str, Any], result: Mapping[str, Any], size: int
    ) -> Reading:
        self.unknown.keys(half, _HALF_KEYS, f"results[].{placement}")
        notes: list[str] = []
        is_cpu_time = "time" not in half and "cpu_time" in half
        time = positive(half.get("cpu_time" if is_cpu_time else "time"), _MICRO, "the time", notes)
        bandwidths = [self._bandwidth(half, key, notes) for key in ("alg_bw", "bus_bw")]
        algbw, busbw = (positive(value, _GIGA, key, notes) if value else None for key, value in bandwidths)
        if not is_cpu_time:
            notes += filter(None, [contradiction(self.collective, size, self.num_ranks, time, algbw)])
        notes += _bitwise(half.get("bitwise"))
        if name := as_text(result.get("experiment_name")):
            notes.append(f"experiment {name[:80]!r}")
        times = self._iterations(result.get(f"{placement}_per_iter"), placement, notes)
        wrong = as_whole(half.get("nwrong"))
        if wrong is None and half.get("nwrong") is not None:
            notes.append(f"nwrong is {shown(half['nwrong'])}, which is no count")
        loops = as_whole(result.get("actual_iterations")) or self.iterations
        return Reading(
            placement=placement,
            time_s=time,
            statistic=CPU_TIME if is_cpu_time else self.statistic,
            algbw_bytes_per_s=algbw,
            busbw_bytes_per_s=busbw,
            num_wrong_elements=wrong,
            iterations_s=times[0],
            per_process_s=times[1],
            statistics=times[2],
            statistics_of=ITERATIONS_MAXIMUM if times[2] else None,
            num_iterations=loops * self.calls_per_iteration if loops and loops > 0 else None,
            notes=tuple(notes),
        )

    def _bandwidth(self, half: Mapping[str, Any], key: str, notes: list[str]) -> tuple[str, Any]:
        """The value where there is one to read: 0 is what one rank and size 0 have, and says nothing."""
        value = half.get(key)
        if value is None:
            notes.append(f"no {key}")
        return key, value if value is not None and as_number(value) != 0 else None

    def _iterations(
        self, entry: object, placement: str, notes: list[str]
    ) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...], dict[str, float]]:
        """Times of the iterations, of those of each process, and their statistics, in seconds."""
        if not isinstance(entry, dict):
            return (), (), {}
        self.unknown.keys(entry, _ITERATION_KEYS, f"results[].{placement}_per_iter")
        statistics = {}
        for key, name in (*_STATISTICS.items(), ("cv_pct", "cv")):
            number = as_number(entry.get(key))
            if number is not None and math.isfinite(number):
                statistics[name] = scaled_by(number, _PERCENT if key == "cv_pct" else _MICRO)
            elif entry.get(key) is not None:
                notes.append(f"{key} is {shown(entry[key])}, which is no finite number")
        skipped = as_whole(entry.get("skipped_iterations"))
        skipped = self.skipped if skipped is None else skipped
        times = _row(entry.get("times_us"), skipped)
        if times is None:
            notes.append("times_us holds what is no positive, finite number; no iteration is kept")
            return (), (), statistics
        rows = entry.get("per_process_max_times_us")
        if rows is None:
            return times, (), statistics
        kept = [_row(row, skipped) for row in rows] if isinstance(rows, list) else [None]
        whole = tuple(row for row in kept if row is not None and len(row) == len(times))
        if len(whole) < len(kept):
            notes.append(
                "per_process_max_times_us is not one row of positive numbers for each process; not kept"
            )
            return times, (), statistics
        return times, whole, statistics


def _row(values: object, skipped: int) -> tuple[float, ...] | None:
    """Times in seconds, of us, without the first ``skipped``; None where one of them is no positive, finite number."""
    if not isinstance(values, list):
        return () if values is None else None
    kept = values[max(0, skipped) :]
    found = tuple(value / 1e6 for value in kept if type(value) in (float, int) and 0 < value < math.inf)
    return found if len(found) == len(kept) else None


def _bitwise(entry: object) -> list[str]:
    """What a comparison of repeated calls found: results that differ are no wrong ones, but worth to know."""
    if not isinstance(entry, dict) or not as_number(entry.get("different_bits")):
        return []
    return [
        f"{shown(entry.get('different_elements'))} elements differ between {shown(entry.get('repeats'))} repeated calls"
    ]
