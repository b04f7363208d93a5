"""`Sweep`: the points of one run, measured one after the other by every rank; rank 0 writes them down."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from bench import counters, exits
from bench.config import BenchConfig
from bench.describe import RunFacts, records_of
from bench.measure.arm import Arm, Setting
from bench.measure.capability import travels_as_bytes
from bench.measure.clock import clock_offset
from bench.measure.data import Pattern, pattern
from bench.measure.engine import Measurement, Surroundings, measure, setting_of
from bench.measure.loop import Stopwatch
from bench.measure.passes import PASSES
from bench.measure.ranks import Ranks, UnsupportedError
from bench.measure.watchdog import Watchdog
from bench.measure.workload import Workload, WorkloadSpec
from bench.model.datatype import DATA_TYPES
from bench.model.fault import RankFaults
from bench.model.grouping import WORLD, Group, groups_of
from bench.points import Plan, Point
from bench.provenance import ProcessorMeter
from bench.record import Record
from bench.run_folder import RunFolder

_AGREED_BITS = 48
"""Of a hash that ranks compare: as many as a float64 holds exactly, with room to spare."""


@dataclass(kw_only=True)
class Sweep:
    """Everything that the points of one run share.

    Attributes:
        folder: rank 0's; None on the others.
        chosen_algorithm: what the backend's log says it chose for a point; None where there is no log.
        report: told before each batch: its number, how many there are, its first point.
    """

    config: BenchConfig
    world: Ranks
    plan: Plan
    facts: RunFacts
    stopwatch: Stopwatch
    origin_s: float
    clock_offset_s: float
    folder: RunFolder | None
    watchdog: Watchdog
    is_stop_wanted: Callable[[], bool]
    chosen_algorithm: Callable[[Point], str | None]
    report: Callable[[int, int, Point], None]
    current: tuple[Point, ...] = field(default=(), init=False)

    def run(self) -> int:
        """Measure every point; returns the exit status, the same on every rank."""
        batches = self.plan.batches()
        meter = ProcessorMeter()
        group: Ranks = self.world
        kind = WORLD
        num_done, num_failed, was_stopped = 0, 0, False
        for number, batch in enumerate(batches, start=1):
            self.watchdog.arm(f"agreeing on {batch[0].point_id}", self.config.timing.timeout_s)
            self._agree(batch)
            if self.facts.clock_uncertainty_s > 0:
                self._renew_clock()
            if batch[0].group_kind != kind:
                self._leave(group)
                kind = batch[0].group_kind
                group = self._enter(kind)
            if self.world.rank == 0:
                self.report(number, len(batches), batch[0])
            self.current = tuple(batch)
            meter.shares()
            done, failed, was_stopped = self._measure_batch(batch, group, meter)
            self.current = ()
            num_done, num_failed = num_done + done, num_failed + failed
            if was_stopped:
                break
        self.watchdog.arm("leaving the groups", self.config.timing.timeout_s)
        self._leave(group)
        self.watchdog.disarm()  # what follows is rank 0 finishing its files, for as long as that takes
        if was_stopped:
            return exits.INTERRUPTED
        return exits.WRONG if num_failed or not num_done else exits.OK

    def _measure_batch(
        self, batch: Sequence[Point], group: Ranks, meter: ProcessorMeter
    ) -> tuple[int, int, bool]:
        """(points measured, points with wrong data or bad times, whether an interrupt ended the batch)."""
        groups = groups_of(batch[0].group_kind, self.facts.hosts)
        around = self._surroundings(groups)
        setting = setting_of(around)
        self.watchdog.arm(batch[0].point_id, self.config.timing.timeout_s)
        arms: list[Arm] = []
        points: list[Point] = []
        data = self._pattern(batch[0], group, groups)
        for point in batch:
            arm = self._arm(point, group, data, setting)
            if arm is not None:
                arms.append(arm)
                points.append(point)
        if not arms:
            return 0, 0, False
        measurements = measure(arms, around)
        shares = meter.shares()
        num_failed = 0
        for point, measurement in zip(points, measurements, strict=True):
            records = records_of(
                point,
                measurement,
                self.facts,
                is_checked=data.can_be_checked,
                algorithm_logged=self.chosen_algorithm(point),
                processor_shares=shares,
            )
            num_failed += any(record.status != "complete" for record, _ in records)
            self._write(records, measurement)
        was_stopped = any(measurement.stop_reason == "interrupted" for measurement in measurements)
        return len(points), num_failed, was_stopped

    def _write(self, records: list[tuple[Record, tuple[int, ...]]], measurement: Measurement) -> None:
        if self.folder is None:
            return
        for record, ranks in records:
            starts = [measurement.start_s[rank] for rank in ranks]
            durations = [measurement.duration_s[rank] for rank in ranks]
            self.folder.append(record, starts, durations, ranks, measurement.iterations)

    def _surroundings(self, groups: Sequence[Group]) -> Surroundings:
        faults = RankFaults(self.config.emulation.faults, self.world.rank)
        has_faults = bool(self.config.emulation.faults)
        is_across = len(set(self.facts.hosts)) > 1
        return Surroundings(
            world=self.world,
            groups=[group.ranks for group in groups],
            plan=self.config.timing,
            stopwatch=self.stopwatch,
            origin_s=self.origin_s,
            is_stop_wanted=self.is_stop_wanted,
            before_call=faults.before_call if has_faults else None,
            inside_call=faults.inside_call if has_faults else None,
            sent_bytes=_sent_bytes if is_across else None,
            arm_watchdog=self._arm_watchdog,
        )

    def _arm_watchdog(self, seconds: float) -> None:
        self.watchdog.arm(self.current[0].point_id, seconds)

    def _pattern(self, point: Point, group: Ranks, groups: Sequence[Group]) -> Pattern:
        """Groups send different data, so that a message that strays into another group shows."""
        place = next(n for n, g in enumerate(groups) if self.world.rank in g.ranks)
        return pattern(point.dtype, group.size, self.config.seed + place, point.reduce_op)

    def _arm(self, point: Point, group: Ranks, data: Pattern, setting: Setting) -> Arm | None:
        """Buffers and call of one point; None where any rank cannot have them, and then the run says so."""
        arm, reason = None, ""
        try:
            spec = WorkloadSpec(
                collective=point.collective,
                algorithm=point.algorithm,
                placement=point.placement,
                count=point.message_bytes // DATA_TYPES[point.dtype].num_bytes,
                pattern=data,
                reduce_op=point.reduce_op,
                split_counts=point.split_counts,
                travels_as_bytes=travels_as_bytes(self.facts.backend, point.collective.value, point.dtype),
            )
            arm = PASSES[point.measure_pass](Workload(spec, group), setting, group.device)
        except UnsupportedError as error:
            reason = str(error)
        except (MemoryError, torch.OutOfMemoryError):
            reason = "its buffers do not fit into memory"
        except RuntimeError as error:
            if "alloc" not in str(error):
                raise
            reason = "its buffers do not fit into memory"
        first = next((text for text in self.world.gathered_text(reason) if text), None)
        if first is None:
            return arm
        if self.folder is not None:
            self.folder.add_skipped(f"{point.point_id}: {first}")
        return None

    def _agree(self, batch: Sequence[Point]) -> None:
        """All ranks are about to measure the same, or the run ends here: what differs would hang, or give garbage."""
        text = " ".join([self.facts.backend, *(point.point_id for point in batch), batch[0].group_kind])
        digest = hashlib.sha256(f"{text} {self.config.seed}".encode()).digest()
        mine = int.from_bytes(digest[: _AGREED_BITS // 8], "big")
        everyones = [row[0] for row in self.world.gathered([float(mine)])]
        differing = [rank for rank, theirs in enumerate(everyones) if theirs != everyones[0]]
        if differing:
            raise RuntimeError(
                f"ranks {differing} are about to measure something else than rank 0 ({batch[0].point_id} here); start all "
                "ranks with the same overrides and the same installation"
            )

    def _renew_clock(self) -> None:
        """Clocks of several machines drift apart by some microseconds a second."""
        clock = clock_offset(self.world, self.stopwatch.now_s)
        self.origin_s += clock.offset_s - self.clock_offset_s
        self.clock_offset_s = clock.offset_s
        self.facts = dataclasses.replace(self.facts, clock_uncertainty_s=clock.uncertainty_s)

    def _enter(self, kind: str) -> Ranks:
        if kind == WORLD:
            return self.world
        self.watchdog.arm(f"groups {kind}", self.config.timing.timeout_s)
        return self.world.split([group.ranks for group in groups_of(kind, self.facts.hosts)])

    def _leave(self, group: Ranks) -> None:
        """Connections of a group are closed on every rank before others open, so that they never add up."""
        if group is not self.world:
            group.leave()
            self.world.barrier()


def _sent_bytes() -> float:
    """By this host, through interfaces that lead to others, since boot."""
    return float(counters.snapshot().sent_bytes)
