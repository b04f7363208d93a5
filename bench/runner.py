"""`run_rank`: one rank of one run, start to finish. Rank 0 alone owns the run folder and the terminal."""

import functools
import itertools
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import bench
from bench import exits, provenance
from bench.bmwg import bmwg_csv, bmwg_report
from bench.capable import capable_plan
from bench.config import BenchConfig
from bench.describe import RunFacts, timeout_records
from bench.fit_file import read_calibration
from bench.joining import Joined
from bench.launch.identity import OWN_PREFIX, RankIdentity
from bench.launch.resolve import default_max_bytes, network
from bench.launch.sockets import check_sockets
from bench.launch.watch import watched
from bench.manifest import manifest_of, named_fabric
from bench.measure.clock import clock_offset
from bench.measure.engine import stopwatch_for
from bench.measure.loop import Stopwatch
from bench.measure.ranks import Ranks
from bench.measure.watchdog import Watchdog
from bench.model.fabric import Network
from bench.points import Point, plan_points
from bench.record import RunManifest
from bench.run_folder import RunFolder
from bench.summary import summary_rows
from bench.sweep import Sweep

BARRIERS: Final = 31
"""So many barriers tell how far apart ranks leave one; some milliseconds in all."""

LINGER_S: Final = 10.0
"""A rank other than 0 whose deadline has passed stays so long before it ends: the others, whose deadlines were set within a
block of half a second, write their stacks before they see a closed connection, and rank 0 finishes the run folder."""

LEAVING_S: Final = 30.0
"""When all is on disk and all ranks know, the process group gets so long to come apart; then the process ends as it would
have."""


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
    member: Joined,
    reporter: Reporter,
    environ: Mapping[str, str],
    watchdog: Watchdog,
) -> int:
    """Measure every point of ``config`` and return the exit status, the same on every rank.

    Raises:
        ValueError: ranks disagree about the run, nothing can be measured, or rank 0 cannot make its folder.
        RuntimeError: a rank died or hung; what was measured before is on disk, the manifest says ``failed``.
    """
    ranks = member.ranks
    watchdog.arm("the start", config.timing.timeout_s)
    hosts = _agree(config, ranks)
    links = json.loads(environ.get(f"{OWN_PREFIX}LINKS", "null"))
    plan = capable_plan(plan_points(config, hosts, default_max_bytes(config)), ranks)
    _check_sockets(config, hosts, ranks)
    stopwatch = stopwatch_for(ranks)
    clock = clock_offset(ranks, stopwatch.now_s)
    ranks.barrier()
    sweep = Sweep(
        config=config,
        world=ranks,
        plan=plan,
        facts=RunFacts(
            backend=ranks.backend,
            hosts=hosts,
            net=network_of(config, kind, hosts, links),
            clock_uncertainty_s=clock.uncertainty_s,
            barrier_s=_barrier_s(ranks, stopwatch),
            forced_algorithm=_forced_algorithm(config),
            segment_bytes=config.mpi.segment_bytes,
            # Rank 0 describes what was measured; the file need not lie on other nodes.
            calibration=read_calibration(config.calibration)
            if config.calibration is not None and ranks.rank == 0
            else None,
            fabric=named_fabric(config, kind),
        ),
        stopwatch=stopwatch,
        origin_s=ranks.from_rank_0(stopwatch.now_s()) + clock.offset_s,
        clock_offset_s=clock.offset_s,
        folder=None,
        watchdog=watchdog,
        is_stop_wanted=lambda: False,
        chosen_algorithm=member.chosen_algorithm,
        report=reporter.point,
    )
    slowest_s = ranks.largest([member.initialisation_s])[0]
    if ranks.rank == 0:
        manifest = manifest_of(
            config, kind, identity, hosts, links, plan, slowest_s, environ, sweep.facts.net
        )
        sweep.folder = _create(config, manifest)
        if sweep.folder is not None:
            reporter.begin(manifest)
    run_id = ranks.gathered_text(sweep.folder.path.name if sweep.folder else "")[0]
    if not run_id:
        raise ValueError(
            f"rank 0 cannot write to run_dir {config.run_dir}; give another with run_dir=/a/folder"
        )
    watchdog.folder = Path(config.run_dir) / run_id
    if sweep.folder is not None:
        watchdog.on_timeout = functools.partial(_finish_hung, sweep, sweep.folder)
    else:
        watchdog.on_timeout = lambda _sentence: time.sleep(LINGER_S)
    if sweep.folder is None or identity.source == "linerate":
        # Our own launcher is the parent, which finishes for rank 0.
        return _measure_and_finish(sweep, reporter)
    with watched(sweep.folder):
        return _measure_and_finish(sweep, reporter)


def _check_sockets(config: BenchConfig, hosts: list[str], ranks: Ranks) -> None:
    """Limits differ from host to host: what one rank lacks ends the run on all, with its reason."""
    reason = ""
    try:
        check_sockets(config, hosts)
    except ValueError as error:
        reason = str(error)
    said = ranks.gathered_text(reason)
    first = next((rank for rank, text in enumerate(said) if text), None)
    if first is not None:
        raise ValueError(f"rank {first} on {hosts[first]}: {said[first]}")


def _barrier_s(ranks: Ranks, stopwatch: Stopwatch) -> float:
    """Median duration of a barrier when nothing else is done, on the slowest rank."""
    durations_s = []
    for _ in range(BARRIERS):
        begun_s = stopwatch.now_s()
        ranks.barrier()
        durations_s.append(stopwatch.now_s() - begun_s)
    return ranks.largest([statistics.median(durations_s)])[0]


def _forced_algorithm(config: BenchConfig) -> str | None:
    if config.backend == "mpi":
        return config.mpi.algorithm
    if config.backend != "nccl" or config.nccl.algorithm is None:
        return None
    return "/".join(part for part in (config.nccl.algorithm, config.nccl.protocol) if part)


def _measure_and_finish(sweep: Sweep, reporter: Reporter) -> int:
    """Measure, and have rank 0 write how it ended, whatever happens in between."""
    interrupt = Interrupt()
    sweep.is_stop_wanted = lambda: interrupt.is_wanted
    folder = sweep.folder
    with interrupt.caught():
        try:
            status = sweep.run()
        except (RuntimeError, OSError, MemoryError) as error:
            sweep.watchdog.disarm()  # if it is giving up already, it has more to say, and this thread stays there
            # A peer that died shows as a RuntimeError; a full disk or too little memory is rank 0's own end.
            if folder is not None:
                what = "rank 0 lost the others" if isinstance(error, RuntimeError) else "rank 0"
                _finish_failed(folder, f"{what}: {_first_line(error)}")
            raise
        except KeyboardInterrupt:
            sweep.watchdog.disarm()
            if folder is not None:
                folder.finish(status="interrupted", reason="interrupted twice", exit_status=exits.INTERRUPTED)
            return exits.INTERRUPTED
        if folder is not None:
            _finish(folder, status, interrupt, len(sweep.plan.points))
            if sweep.config.timing.report == "bmwg":
                _write_bmwg(folder)
            reporter.end(folder)
    sweep.world.barrier()
    sweep.watchdog.on_timeout = None
    sweep.watchdog.end = lambda: os._exit(status)
    sweep.watchdog.arm("leaving the others", LEAVING_S)
    return status


def _write_bmwg(folder: RunFolder) -> None:
    """The report fields of the draft that timing=bmwg follows."""
    manifest, records = folder.manifest(), folder.records()
    rows = summary_rows(records)
    report = json.dumps(bmwg_report(manifest, records, rows), indent=2, allow_nan=False) + "\n"
    folder.write("bmwg.json", report)
    folder.write("bmwg.csv", bmwg_csv(manifest, records, rows))


def _finish_hung(sweep: Sweep, folder: RunFolder, what: str) -> None:
    """Called by the watchdog of rank 0 while its main thread is stuck: the point is a time-out, and the run has failed."""
    for point in sweep.current:
        for record in timeout_records(point, sweep.facts):
            folder.append(record, [], [])
    _finish_failed(folder, f"{what}; stacks of the ranks are in stacks/")


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
    folder.finish(status="complete", reason=_reason(folder) if status else None, exit_status=status)


def _reason(folder: RunFolder) -> str:
    """Why a run that came to its end is not a success."""
    bad = {record.status for record in folder.records()} - {"complete"}
    if "wrong_data" in bad:
        return "wrong data in at least one point"
    return "a point failed" if bad else "nothing could be measured"


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


def _create(config: BenchConfig, manifest: RunManifest) -> RunFolder | None:
    try:
        return RunFolder.create(Path(config.run_dir), manifest.run_id, manifest)
    except OSError as error:
        sys.stderr.write(f"linerate: {config.run_dir}: {error.strerror}\n")
        return None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
