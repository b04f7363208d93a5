"""The verbs of `linerate`, their options and exit statuses. Verbs that do not measure never import torch."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bench
from bench import exits

if TYPE_CHECKING:
    from bench.launch.resolve import Resolved


_DESCRIPTION: Final = (
    "Do my collectives run at the line rate of my optics, and what would other optics buy me?"
)
_EXAMPLES: Final = """\
examples:
  linerate run                                            the emulated fabric, 4 hosts, 400G slowed 1000 times
  linerate run transceiver=800g-osfp-dr8 sizes=quick
  linerate run launcher=local                             loopback, no optics
  torchrun --nproc-per-node 8 -m bench transceiver=400g-osfp-dr4 fabric=dgx_h100
  linerate predict transceiver=800g-osfp-dr8 fabric=dgx_h100 fabric.num_hosts=16
  linerate catalog 800g dr8
"""
_LATER: Final = (
    "validate",
    "fit",
    "report",
    "compare",
    "ab",
    "import",
    "doctor",
    "preflight",
    "pairs",
    "soak",
    "impact",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status; errors of the user end in one short message."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if f"{_own_prefix()}RANK" in os.environ:
        return _as_rank()
    if arguments and arguments[0] in _LATER:
        return _refused(
            f"the verb {arguments[0]!r} is not in this version ({bench.__version__}); there are run, predict, catalog"
        )
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        return _refused(
            f"{unknown[0]} is not an option of `linerate {options.verb}`; see `linerate {options.verb} --help`"
        )
    try:
        match options.verb:
            case "run":
                return _run(options, options.overrides + rest)
            case "predict":
                return _predict(options, options.overrides + rest)
            case "catalog":
                return _catalog(options)
    except (ValueError, AssertionError) as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("linerate: interrupted\n")
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): no error of ours. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    parser.print_help()
    return exits.BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linerate",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"linerate {bench.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="verb")
    run = verbs.add_parser(
        "run", help="measure; starts its own ranks or joins those of torchrun, mpirun, srun"
    )
    run.add_argument(
        "overrides", nargs="*", help="key=value, for example transceiver=800g-osfp-dr8 sizes=quick"
    )
    run.add_argument("--cfg", choices=["job"], help="print the configuration and stop")
    for flag in ("--resume", "--format", "--config-dir", "--multirun"):
        run.add_argument(flag, nargs="?", const="", help=argparse.SUPPRESS)
    predict = verbs.add_parser("predict", help="the same points, prediction only")
    predict.add_argument("overrides", nargs="*", help="key=value, as for run")
    predict.add_argument("--out", metavar="FILE.csv", type=Path, help="also write the table there")
    catalog = verbs.add_parser("catalog", help="the transceivers it knows")
    catalog.add_argument(
        "words", nargs="*", metavar="WORD", help="show only entries that hold every word, e.g. 800g smf"
    )
    catalog.add_argument("--json", action="store_true", help="all fields, as JSON")
    return parser


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    for flag in ("resume", "format", "config_dir", "multirun"):
        if getattr(options, flag) is not None:
            raise ValueError(f"--{flag.replace('_', '-')} is not in this version; leave it out")
    from bench.compose import as_yaml, compose
    from bench.launch.resolve import resolve

    try:
        config = compose(overrides)
    except ValueError:
        if _is_another_rank():
            return exits.BAD_INPUT  # every rank was given the same words; rank 0 says what is wrong with them
        raise
    if options.cfg:
        sys.stdout.write(as_yaml(config))
        return 0
    resolved = resolve(config, os.environ)
    if resolved.identity is not None:
        return _join(resolved)
    return _launch(resolved)


def _is_another_rank() -> bool:
    """Whether this is a rank other than 0, as far as the environment can say without contradiction."""
    from bench.launch.identity import discover

    try:
        identity = discover(os.environ)
    except ValueError:
        return False
    return identity is not None and identity.rank != 0


def _launch(resolved: "Resolved") -> int:
    """Start our own ranks and watch them; the run folder is theirs, but we finish it if rank 0 could not."""
    from bench.launch.emulated import run_emulated
    from bench.launch.local import run_local
    from bench.run_folder import check_writable, new_run_id

    config = resolved.config
    run_dir = Path(config.run_dir).expanduser().absolute()
    check_writable(run_dir)
    config.run_dir = str(run_dir)
    if resolved.note:
        sys.stderr.write(f"linerate: {resolved.note}\n")
    import tempfile

    run_id = new_run_id()
    extra = {"RUN_ID": run_id, "COMMAND": json.dumps(["linerate", *sys.argv[1:]])}
    with tempfile.TemporaryDirectory(prefix="linerate-") as logs:
        if resolved.kind == "emulated":
            outcome = run_emulated(config, extra, Path(logs))
        else:
            outcome = run_local(config, resolved.num_ranks, extra, Path(logs))
        return _close(run_dir / run_id, outcome.exit_status, outcome.reason, Path(logs))


def _close(path: Path, exit_status: int, reason: str | None, logs: Path) -> int:
    """Make the run folder say how the run ended, draw its figure, and tell the user."""
    import shutil

    from bench.run_folder import MANIFEST, RunFolder

    if not (path / MANIFEST).exists():
        if exit_status:
            sys.stderr.write(
                f"linerate: no rank began to measure: {reason or f'exit status {exit_status}'}\n"
            )
        return exit_status
    folder = RunFolder(path)
    if reason is None and folder.manifest().status == "running":
        exit_status = exit_status or exits.RANK_DIED
        reason = f"rank 0 ended with status {exit_status} before it had finished"
    if reason is not None:
        status = "interrupted" if exit_status == exits.INTERRUPTED else "failed"
        if folder.manifest().status not in ("complete", "interrupted") or exit_status == exits.RANK_DIED:
            folder.finish(status=status, reason=reason, exit_status=exit_status)
            for log in sorted(logs.glob("rank*.log")):
                if log.stat().st_size:
                    shutil.copy(log, path / log.name)
            finished = len(folder.records())
            sys.stderr.write(
                f"linerate: {status}: {reason}; {finished} of {folder.manifest().num_points_planned} points are in {path}\n"
            )
    _draw(path)
    return exit_status


def _draw(path: Path) -> None:
    """The figure of a run folder, and where everything is."""
    from analysis.load import load_run
    from analysis.plots import busbw_figure, save

    run = load_run(path)
    if not run.summary.empty and run.summary["busbw_gbytes_per_s"].notna().any():
        save(busbw_figure(run), path / "busbw.png")
    shown = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    sys.stdout.write(f"Results: {shown}\n")
    sys.stdout.flush()


def _join(resolved: "Resolved") -> int:
    """Be one of the ranks that torchrun, mpirun or srun has started."""
    assert resolved.identity is not None
    status, path = _measure(resolved)
    if path is not None:
        _draw(path)
    sys.stdout.flush()
    return status


def _as_rank() -> int:
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
    from bench.config import BenchConfig
    from bench.launch.identity import discover
    from bench.launch.resolve import Resolved

    config = BenchConfig.from_json(json.loads(os.environ[f"{_own_prefix()}CONFIG"]))
    identity = discover(os.environ)
    assert identity is not None
    kind = config.launcher.kind
    status, _ = _measure(
        Resolved(config=config, kind=kind, identity=identity, num_ranks=identity.size, note=None)
    )
    return status


def _measure(resolved: "Resolved") -> tuple[int, Path | None]:
    """Join the others and measure. The path is that of the run folder, on rank 0 if it got that far."""
    from bench.console import Console, Silent
    from bench.launch.external import master
    from bench.launch.identity import is_mpi
    from bench.measure.ranks import joined
    from bench.runner import run_rank

    identity, config = resolved.identity, resolved.config
    assert identity is not None
    address, port = master(identity)
    reporter = Console(is_relayed=is_mpi(identity)) if identity.rank == 0 else Silent()
    try:
        with joined(
            rank=identity.rank,
            size=identity.size,
            local_rank=identity.local_rank,
            backend=config.backend,
            master_address=address,
            master_port=port,
            timeout_s=config.timing.timeout_s,
        ) as ranks:
            status = run_rank(config, resolved.kind, identity, ranks, reporter, os.environ)
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


def _predict(options: argparse.Namespace, overrides: list[str]) -> int:
    from bench.compose import compose
    from bench.forecast import forecast, show

    rows = forecast(compose(overrides))
    show(rows, options.out)
    return 0


def _catalog(options: argparse.Namespace) -> int:
    from bench.listing import show_catalog

    return show_catalog(options.words, as_json=options.json)


def _refused(message: str) -> int:
    sys.stderr.write(f"linerate: {message}\n")
    return exits.BAD_INPUT


def _own_prefix() -> str:
    from bench.launch.identity import OWN_PREFIX

    return OWN_PREFIX
