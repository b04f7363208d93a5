"""`run_rank`: one rank of one run, start to finish. Rank 0 alone owns the run folder and the terminal."""

import itertools
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import bench
from bench import exits, provenance
from bench.config import BenchConfig
from bench.describe import manifest_of, record_of
from bench.launch.identity import OWN_PREFIX, RankIdentity
from bench.launch.resolve import default_max_bytes, network
from bench.launch.watch import watched
from bench.measure.data import Pattern, pattern
from bench.measure.engine import measure, stopwatch_for
from bench.measure.ranks import Ranks
from bench.measure.workload import WORKLOADS, Workload, WorkloadSpec
from bench.model.fabric import Network
from bench.points import Point, points
from bench.record import RunManifest
from bench.run_folder import RunFolder


class Reporter(Protocol):
    """What rank 0 tells the user while the run goes on."""

    def begin(self, manifest: RunManifest) -> None: ...

    def point(self, number: int, total: int, point: Point) -> None: ...

    def end(self, folder: RunFolder) -> None: ...


class Interrupt:
    """SIGINT and SIGTERM as a wish to stop after the current samples; the second one stops at once."""

    def __init__(self) -> None:
        self.is_wanted = False
        self.signal_name = ""

    @contextmanager
    def caught(self) -> Iterator[None]:
        def handle(number: int, _frame: Any) -> None:
            if self.is_wanted:
                raise KeyboardInterrupt
            self.is_wanted, self.signal_name = True, signal.Signals(number).name

        previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def run_rank(
    config: BenchConfig,
    kind: str,
    identity: RankIdentity,
    ranks: Ranks,
    reporter: Reporter,
    environ: Mapping[str, str],
) -> int:
    """Measure every point of ``config`` and return the exit status, the same on every rank.

    Raises:
        ValueError: ranks disagree about the run, or rank 0 cannot make its folder.
        RuntimeError: a rank died or hung; what was measured before is on disk, the manifest says ``failed``.
    """
    hosts = _agree(config, ranks)
    links = json.loads(environ.get(f"{OWN_PREFIX}LINKS", "null"))
    net = network_of(config, kind, hosts, links)
    plan = points(config, ranks.size, default_max_bytes(config))
    folder = None
    if ranks.rank == 0:
        manifest = manifest_of(config, kind, identity, hosts, links, len(plan), environ)
        folder = _create(config, manifest, environ)
        if folder is not None:
            reporter.begin(manifest)
    if ranks.from_rank_0(float(ranks.rank == 0 and folder is None)):
        raise ValueError(
            f"rank 0 cannot write to run_dir {config.run_dir}; give another with run_dir=/a/folder"
        )
    if (
        folder is None or identity.source == "linerate"
    ):  # our own launcher is the parent that finishes for rank 0
        return _measure_and_finish(config, ranks, plan, net, hosts, folder, reporter)
    with watched(folder):
        return _measure_and_finish(config, ranks, plan, net, hosts, folder, reporter)


def _measure_and_finish(
    config: BenchConfig,
    ranks: Ranks,
    plan: list[Point],
    net: Network | None,
    hosts: list[str],
    folder: RunFolder | None,
    reporter: Reporter,
) -> int:
    """Measure, and have rank 0 write how it ended, whatever happens in between."""
    interrupt = Interrupt()
    with interrupt.caught():
        try:
            status = _measure_points(config, ranks, plan, net, len(set(hosts)), folder, reporter, interrupt)
        except (RuntimeError, OSError, MemoryError) as error:
            # A peer that died shows as a RuntimeError; a full disk or too little memory is rank 0's own end.
            if folder is not None:
                what = "rank 0 lost the others" if isinstance(error, RuntimeError) else "rank 0"
                _finish_failed(folder, f"{what}: {_first_line(error)}")
            raise
        except KeyboardInterrupt:
            if folder is not None:
                folder.finish(status="interrupted", reason="interrupted twice", exit_status=exits.INTERRUPTED)
            return exits.INTERRUPTED
        if folder is not None:
            _finish(folder, status, interrupt, len(plan))
            reporter.end(folder)
    ranks.barrier()
    return status


def _finish_failed(folder: RunFolder, reason: str) -> None:
    """Write how it ended, as far as the disk still allows."""
    try:
        folder.finish(status="failed", reason=reason, exit_status=exits.RANK_DIED)
    except OSError as error:
        sys.stderr.write(f"linerate: {folder.path} could not be finished: {error}\n")


def _finish(folder: RunFolder, status: int, interrupt: Interrupt, num_points: int) -> None:
    if status == exits.INTERRUPTED:
        reason: str | None = (
            f"{interrupt.signal_name or 'a signal'} after {len(folder.records())} of {num_points} points"
        )
        folder.finish(status="interrupted", reason=reason, exit_status=status)
        return
    reason = "wrong data in at least one point" if status == exits.WRONG else None
    folder.finish(status="complete", reason=reason, exit_status=status)


def network_of(
    config: BenchConfig, kind: str, hosts: list[str], links: dict[str, Any] | None
) -> Network | None:
    """What connects the ranks as they turned out to be placed; None where that is not what was described."""
    num_systems = len(set(hosts))
    ranks_on_each = [len(list(group)) for _, group in itertools.groupby(hosts)]
    if ranks_on_each != [len(hosts) // num_systems] * num_systems:
        return None  # the formulas hold for ranks in the order of their hosts, equally many on each
    net = network(
        config,
        kind,
        len(hosts),
        delay_s=links["delay_s"] if links else 0.0,
        ranks_per_system=len(hosts) // num_systems,
    )
    # All ranks on one machine, whatever fabric was named: no optics are on the path.
    return None if net is not None and net.num_hosts > 1 and num_systems == 1 else net


def _measure_points(
    config: BenchConfig,
    ranks: Ranks,
    plan: list[Point],
    net: Network | None,
    num_hosts: int,
    folder: RunFolder | None,
    reporter: Reporter,
    interrupt: Interrupt,
) -> int:
    stopwatch = stopwatch_for(ranks)
    data = pattern(config.dtype, ranks.size, config.seed)
    ranks.barrier()
    origin_s = stopwatch.now_s()
    meter = provenance.ProcessorMeter()
    has_wrong_data = False
    for number, point in enumerate(plan, start=1):
        if ranks.rank == 0:
            reporter.point(number, len(plan), point)
        meter.shares()
        measurement = measure(
            _workload(point, ranks, data),
            ranks,
            config.timing,
            stopwatch,
            origin_s=origin_s,
            is_stop_wanted=lambda: interrupt.is_wanted,
        )
        has_wrong_data |= data.can_be_checked and measurement.num_wrong_elements > 0
        if folder is not None:
            record = record_of(
                point, measurement, net, num_hosts, ranks.backend, data.can_be_checked, meter.shares()
            )
            folder.append(record, measurement.start_s, measurement.duration_s)
        if measurement.is_interrupted:
            return exits.INTERRUPTED
    return exits.WRONG if has_wrong_data else exits.OK


def _workload(point: Point, ranks: Ranks, data: Pattern) -> Workload:
    spec = WorkloadSpec(
        count=point.message_bytes // data.dtype.num_bytes, reduce_op=point.reduce_op, pattern=data
    )
    return WORKLOADS[point.collective.value, point.algorithm](spec, ranks)


def _agree(config: BenchConfig, ranks: Ranks) -> list[str]:
    """Host name of every rank; all ranks must have been given the same configuration and version."""
    mine = f"{config.sha256()} {bench.__version__}"
    everyones = ranks.gathered_text(mine)
    differing = [rank for rank, theirs in enumerate(everyones) if theirs != everyones[0]]
    if differing:
        raise ValueError(
            f"ranks {differing} were given another configuration or version of linerate than rank 0; start all ranks "
            "with the same overrides and the same installation"
        )
    return ranks.gathered_text(provenance.host()["name"])


def _create(config: BenchConfig, manifest: RunManifest, environ: Mapping[str, str]) -> RunFolder | None:
    try:
        return RunFolder.create(Path(config.run_dir), manifest.run_id, manifest)
    except OSError as error:
        sys.stderr.write(f"linerate: {config.run_dir}: {error.strerror}\n")
        return None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
