"""From a resolved configuration to the end of a run: start the ranks and watch them, or be one of them.

torch is imported where this process is a rank, and nowhere else; figures are drawn when all ranks are gone.
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from bench import exits
from bench.config import BenchConfig
from bench.forecast import Forecast
from bench.launch.emulated import run_emulated
from bench.launch.identity import OWN_PREFIX, discover, is_mpi
from bench.launch.local import run_local
from bench.launch.mpirun import run_mpi
from bench.launch.resolve import Resolved
from bench.model import units
from bench.run_folder import MANIFEST, RunFolder, check_writable, new_run_id


def launch(resolved: Resolved, output_format: str) -> int:
    """Start our own ranks and watch them; the run folder is theirs, but we finish it if rank 0 could not."""
    config = resolved.config
    run_dir = Path(config.run_dir).expanduser().absolute()
    check_writable(run_dir)
    config.run_dir = str(run_dir)
    if resolved.note:
        sys.stderr.write(f"linerate: {resolved.note}\n")
    run_id = new_run_id()
    extra = {"RUN_ID": run_id, "COMMAND": json.dumps(["linerate", *sys.argv[1:]]), "FORMAT": output_format}
    with tempfile.TemporaryDirectory(prefix="linerate-") as logs:
        if resolved.kind == "emulated":
            outcome = run_emulated(config, extra, Path(logs))
        elif config.backend == "mpi":
            outcome = run_mpi(config, resolved.num_ranks, extra, Path(logs))
        else:
            outcome = run_local(config, resolved.num_ranks, extra, Path(logs))
        return _close(run_dir / run_id, outcome.exit_status, outcome.reason, Path(logs), output_format)


def _close(path: Path, exit_status: int, reason: str | None, logs: Path, output_format: str) -> int:
    """Make the run folder say how the run ended, draw its figure, and tell the user."""
    if not (path / MANIFEST).exists():
        if exit_status:
            sys.stderr.write(
                f"linerate: no rank began to measure: {reason or f'exit status {exit_status}'}\n"
            )
        return exit_status
    folder = RunFolder(path)
    if reason is None and folder.manifest().status == "running":
        exit_status = exits.RANK_DIED
        reason = "rank 0 ended before it had finished"
    if reason is not None:
        status = "interrupted" if exit_status == exits.INTERRUPTED else "failed"
        own = folder.manifest()
        if own.status == "failed" and own.status_reason and f"status {exits.RANK_DIED}" in reason:
            reason = own.status_reason  # rank 0 knew more than how a rank ended
        if own.status not in ("complete", "interrupted") or exit_status == exits.RANK_DIED:
            folder.finish(status=status, reason=reason, exit_status=exit_status)
            for log in sorted(logs.glob("*.log")):
                if log.stat().st_size:
                    shutil.copy(log, path / log.name)
            finished = len(folder.records())
            sys.stderr.write(
                f"linerate: {status}: {reason}; {finished} of {folder.manifest().num_points_planned} points are in {path}\n"
            )
    exit_status = _gated(path, exit_status, output_format)
    _draw(path)
    return exit_status


def _gated(path: Path, exit_status: int, output_format: str) -> int:
    """Hold a run that ended well against the floors it was given, tell the user, and note in its manifest that one is missed."""
    folder = RunFolder(path)
    manifest = folder.manifest()
    gates = manifest.config.get("gates")
    if gates is None or exit_status not in (exits.OK, exits.WRONG):
        return exit_status
    from bench.floor_file import read_floors
    from bench.gate_view import sentence, show
    from bench.gating import Floors, gate_runs

    try:
        floors, system = read_floors(Path(gates).expanduser())
        gated = gate_runs(Floors(floors=tuple(floors), system=system), [path])
    except ValueError as error:
        sys.stderr.write(f"linerate: gates={gates}: {error}; the measurement is complete\n")
        return exits.WRONG
    show(gated, is_aside=output_format != "table")
    if not gated.gate.has_failed:
        return exit_status
    manifest.status_reason = "; ".join(filter(None, (manifest.status_reason, sentence(gated).rstrip("."))))
    manifest.exit_status = exits.WRONG
    folder.write_manifest(manifest)
    return exits.WRONG


def _draw(path: Path) -> None:
    """The figure of a run folder, unless LINERATE_FIGURE is 0, and where everything is."""
    if os.environ.get(f"{OWN_PREFIX}FIGURE") != "0":
        from analysis.load import load_run
        from analysis.plots import busbw_figure, save

        run = load_run(path)
        if not run.summary.empty and run.summary["busbw_gbytes_per_s"].notna().any():
            try:
                save(busbw_figure(run), path / "busbw.png")
            except OSError as error:
                sys.stderr.write(
                    f"linerate: the figure could not be written ({error}); the measurement is complete\n"
                )
    shown = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    sys.stdout.write(f"Results: {shown}\n")
    sys.stdout.flush()


def draw_waterfall(found: Forecast, path: Path) -> None:
    """The figure of `linerate predict --figure`.

    Raises:
        ValueError: nothing to draw, or the file cannot be written.
    """
    from analysis.plots import save
    from analysis.waterfall import waterfall_figure

    falls, intervals = {}, {}
    for point, steps in found.waterfalls().items():
        name = f"{point.collective.value}, {units.format_bytes(point.message_bytes)}"
        falls[name] = steps
        prediction = next(row.prediction for other, row in found.rows if other == point)
        low, high = prediction.low_busbw_bytes_per_s, prediction.high_busbw_bytes_per_s
        intervals[name] = None if low is None or high is None else (low, high)
    if not falls:
        raise ValueError("--figure: no point has a predicted time to draw; take larger sizes")
    figure = waterfall_figure(
        falls, title=found.title, is_emulated=found.network.scale > 1, intervals=intervals
    )
    try:
        save(figure, path)
    except (OSError, ValueError) as error:
        raise ValueError(f"--figure {path} cannot be written ({error})") from None


def join(resolved: Resolved, output_format: str) -> int:
    """Be one of the ranks that torchrun, mpirun or srun has started."""
    assert resolved.identity is not None
    status, path = _measure(resolved, output_format)
    if path is not None:
        status = _gated(path, status, output_format)
        _draw(path)
    sys.stdout.flush()
    return status


def be_rank() -> int:
    """Be one of the ranks that our own launcher has started, with the configuration that it resolved."""
    try:
        status = _measure_as_rank()
    except KeyboardInterrupt:
        status = exits.INTERRUPTED
    except Exception:  # noqa: BLE001 - the last frame of a rank: shown whole, and not taken for "wrong data"
        traceback.print_exc()
        status = exits.RANK_DIED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # what there is to lose is on disk; a broken process group could hang in its destructor


def _measure_as_rank() -> int:

    config = BenchConfig.from_json(json.loads(os.environ[f"{OWN_PREFIX}CONFIG"]))
    identity = discover(os.environ)
    assert identity is not None
    kind = config.launcher.kind
    status, _ = _measure(
        Resolved(config=config, kind=kind, identity=identity, num_ranks=identity.size, note=None),
        os.environ[f"{OWN_PREFIX}FORMAT"],
    )
    return status


def _measure(resolved: Resolved, output_format: str) -> tuple[int, Path | None]:
    """Join the others and measure. The path is that of the run folder, on rank 0 if it got that far."""
    from bench.console import Console, Silent
    from bench.joining import joined
    from bench.measure.watchdog import Watchdog
    from bench.runner import run_rank

    identity, config = resolved.identity, resolved.config
    assert identity is not None
    reporter = (
        Console(is_relayed=is_mpi(identity), output_format=output_format) if identity.rank == 0 else Silent()
    )
    watchdog = Watchdog(identity.rank)
    try:
        with joined(config, identity) as member:
            watchdog.end = member.abort if identity.rank == 0 else None
            status = run_rank(config, resolved.kind, identity, member, reporter, os.environ, watchdog)
    except ValueError as error:
        if identity.rank == 0:
            sys.stderr.write(f"linerate: {error}\n")
        return exits.BAD_INPUT, None
    except (RuntimeError, OSError, MemoryError) as error:
        if isinstance(reporter, Console):
            reporter.close()
        lines = str(error).strip().splitlines() or [type(error).__name__]
        sys.stderr.write(f"linerate: rank {identity.rank} of {identity.size}: {lines[0][:300]}\n")
        sys.stderr.flush()
        if identity.source != "linerate":
            os._exit(exits.RANK_DIED)  # leaving the broken group, or MPI, the proper way could hang
        return exits.RANK_DIED, None
    return status, reporter.path
