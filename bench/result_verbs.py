"""The verbs that look at results: report, compare, ab, gate, import. None of them imports torch."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from bench import exits


def _report(options: argparse.Namespace, rest: list[str]) -> int:
    _refuse(rest, "report takes run folders")
    from analysis.report import write_report

    out = write_report(options.runs, options.out, options.template)
    sys.stdout.write(f"Page: {out}\n")
    return exits.OK


def _compare(options: argparse.Namespace, rest: list[str]) -> int:
    _refuse(rest, "compare takes two runs, BASE and NEW")
    from analysis.compare import compare_paths

    compared = compare_paths(options.base, options.new, anyway=options.anyway)
    return _shown(compared, options)


def _shown(compared: Any, options: argparse.Namespace) -> int:
    """Print an `analysis.compare.Compared`, write what was asked for, and return its exit status."""
    from analysis.compare import as_json
    from analysis.compare_view import show

    if options.out is not None:
        _written("--out", options.out, lambda: compared.frame.to_csv(options.out, index=False))
    if options.json is not None:
        text = json.dumps(as_json(compared), indent=1, allow_nan=False) + "\n"
        _written("--json", options.json, lambda: options.json.write_text(text, encoding="utf-8"))
    if options.figure is not None:
        from analysis.compare_view import title_of
        from analysis.figures import comparison
        from analysis.figures.style import save

        if compared.frame.empty:
            raise ValueError("--figure: there is no point to draw")
        drawn = comparison.draw(compared.frame, title=title_of(compared))
        _written("--figure", options.figure, lambda: save(drawn.figure, options.figure))
    show(compared)
    return exits.WRONG if compared.has_regressed else exits.OK


def _written(option: str, path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise ValueError(
            f"{option} {path} cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error


def _ab(options: argparse.Namespace, rest: list[str]) -> int:
    from bench.ab import ARMS, FEW_STARTS, check_no_rank, order_of, run_ab, split_words
    from bench.run_folder import check_writable

    check_no_rank(os.environ)
    order_of(options.starts)
    common = [*options.overrides, *rest]
    arms = {arm: [*common, *split_words(f"--{arm}", getattr(options, arm))] for arm in ARMS}
    for arm, overrides in arms.items():
        _check_arm(arm, overrides, is_ours=options.launch is None)
    if arms["a"] == arms["b"]:
        sys.stderr.write("linerate: both arms are the same: this measures how far equal runs lie apart\n")
    if options.starts < FEW_STARTS:
        sys.stderr.write(
            f"linerate: with {options.starts} starts of each arm the interval is very wide, or missing; {FEW_STARTS} are the least "
            "that say much\n"
        )
    run_dir = options.run_dir.expanduser().absolute()
    check_writable(run_dir)

    def report(text: str) -> None:
        sys.stderr.write(f"linerate: {text}\n")
        sys.stderr.flush()

    experiment = run_ab(
        arms, run_dir=run_dir, num_starts=options.starts, launch=options.launch, report=report
    )
    sys.stdout.write(f"Results: {experiment.path}\n")
    if experiment.exit_status not in (exits.OK, exits.WRONG):
        last = experiment.starts[-1]
        log = experiment.path / f"{last.arm}-{last.number}.log"
        if last.exit_status == exits.INTERRUPTED:
            kept = sum(start.run is not None for start in experiment.starts)
            sys.stderr.write(f"linerate: interrupted; {kept} starts are kept in {experiment.path}\n")
        else:
            made = "" if last.run else " and made no run folder"
            sys.stderr.write(
                f"linerate: start {last.number + 1} of arm {last.arm.upper()} ended with status {last.exit_status}{made}; see {log}\n"
            )
        return experiment.exit_status
    from analysis.compare import compare_paths

    return _shown(compare_paths(experiment.arm("a"), experiment.arm("b")), options)


def _check_arm(arm: str, overrides: Sequence[str], *, is_ours: bool) -> None:
    """Compose, and resolve what our own launcher would: bad input ends before any rank of either arm starts."""
    from bench.compose import compose
    from bench.launch.resolve import resolve
    from bench.link import link_findings

    if any(word.split("=")[0] == "run_dir" for word in overrides):
        raise ValueError("run_dir is set by `linerate ab` itself; give --run-dir")
    try:
        config = compose(overrides)
        if is_ours:
            link_findings(resolve(config, os.environ).config)
    except ValueError as error:
        raise ValueError(f"--{arm}: {error}") from error


def _gate(options: argparse.Namespace, rest: list[str]) -> int:
    _refuse(rest, "gate takes run folders")
    from analysis.load import find_runs
    from bench.floor_file import write_floors
    from bench.gate_view import show, show_written
    from bench.gating import floors_of, gate_runs
    from bench.model.units import parse_bytes

    runs = [path for asked in options.runs for path in find_runs(asked)]
    if not runs and options.write is None:
        raise ValueError("gate: name the runs to judge, or --write FILE.csv to keep the floors for later")
    floors = floors_of(
        baseline=[path for asked in options.baseline for path in find_runs(asked)],
        tolerance=options.tolerance,
        ceiling_share=options.ceiling,
        ceilings_of=runs,
        file=options.floors,
        min_bytes=parse_bytes(options.min_size),
    )
    gated = gate_runs(floors, runs, least_misses=options.misses, anyway=options.anyway) if runs else None
    if options.write is not None:
        write_floors(floors.floors, options.write, floors.system)
        show_written(len(floors.floors), options.write)
    if gated is None:
        return exits.OK
    show(gated)
    return exits.WRONG if gated.gate.has_failed else exits.OK


def _import(options: argparse.Namespace, rest: list[str]) -> int:
    from bench.import_view import show, show_failed
    from bench.importing import import_log, out_folders

    words = [*options.logs, *rest]
    overrides = [word for word in words if _is_override(word)]
    logs = [Path(word) for word in words if not _is_override(word)]
    if not logs:
        raise ValueError("import: name a log of nccl-tests, rccl-tests or OSU")
    if options.num_ranks is not None and options.num_ranks < 1:
        raise ValueError(f"--num-ranks is {options.num_ranks}; at least one rank is needed")
    config = None
    if overrides:
        from bench.compose import compose

        config = compose(overrides)
    num_failed = 0
    many = len(logs) > 1 and options.out is not None
    outs = out_folders(logs, options.out) if many else [options.out] * len(logs)
    for log, out in zip(logs, outs, strict=True):
        try:
            found = import_log(
                log, run_dir=options.run_dir, out=out, config=config, num_ranks=options.num_ranks
            )
        except ValueError as error:
            if len(logs) == 1:
                raise
            num_failed += 1
            show_failed(log, str(error))
            continue
        show(found, is_brief=len(logs) > 1)
    if num_failed:
        sys.stderr.write(
            f"linerate: {num_failed} of {len(logs)} logs could not be imported; the others are\n"
        )
    return exits.BAD_INPUT if num_failed else exits.OK


def _is_override(word: str) -> bool:
    """``fabric=dgx_h100``, and not a file whose name holds an equals sign."""
    return (
        "=" in word
        and not Path(word).exists()
        and word.split("=")[0].replace(".", "").replace("_", "").isalnum()
    )


def _refuse(rest: Sequence[str], what: str) -> None:
    if rest:
        raise ValueError(f"{what}; {rest[0]!r} is too much")


VERBS: Final[dict[str, Callable[[argparse.Namespace, list[str]], int]]] = {
    "report": _report,
    "compare": _compare,
    "ab": _ab,
    "gate": _gate,
    "import": _import,
}
