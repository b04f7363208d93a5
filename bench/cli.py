"""The verbs of `linerate`, their options and exit statuses. Verbs that do not measure never import torch."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

import bench
from bench import exits
from bench.options import parser_of_verbs

VERBS: Final = (
    *("run", "predict", "validate", "fit", "report", "compare", "ab", "gate", "import", "catalog"),
)
_LATER: Final = (
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
        return _be_rank()
    if arguments and arguments[0] in _LATER:
        return _refused(
            f"the verb {arguments[0]!r} is not in this version ({bench.__version__}); there are {', '.join(VERBS)}"
        )
    parser = parser_of_verbs()
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
            case "validate":
                if rest:
                    raise ValueError(
                        f"validate takes no word {rest[0]!r}; name a table with --table FILE.csv"
                    )
                return _validate(options)
            case "fit":
                return _fit(options, rest)
            case "catalog":
                return _catalog(options, options.words + rest)
            case "report" | "compare" | "ab" | "gate" | "import" as verb:
                from bench import result_verbs

                return result_verbs.VERBS[verb](options, rest)
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


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    for flag in ("resume", "config_dir", "multirun"):
        if getattr(options, flag) is not None:
            raise ValueError(f"--{flag.replace('_', '-')} is not in this version; leave it out")
    from bench.compose import as_yaml, compose

    try:
        config = compose(overrides)
    except ValueError:
        if _is_another_rank():
            return exits.BAD_INPUT  # every rank was given the same words; rank 0 says what is wrong with them
        raise
    if options.cfg:
        sys.stdout.write(as_yaml(config))
        return 0
    if not _is_another_rank():
        _check_calibration(config.calibration)
        _check_gates(config.gates)
    from bench import session
    from bench.launch.resolve import resolve
    from bench.link import link_findings

    resolved = resolve(config, os.environ)
    findings = link_findings(resolved.config)
    if resolved.identity is None or resolved.identity.rank == 0:
        for finding in findings:
            sys.stderr.write(f"linerate: {finding.text}\n")
    if resolved.identity is not None:
        return session.join(resolved, options.format)
    return session.launch(resolved, options.format)


def _be_rank() -> int:
    from bench.session import be_rank

    return be_rank()


def _is_another_rank() -> bool:
    """Whether this is a rank other than 0, as far as the environment can say without contradiction."""
    from bench.launch.identity import discover

    try:
        identity = discover(os.environ)
    except ValueError:
        return False
    return identity is not None and identity.rank != 0


def _predict(options: argparse.Namespace, overrides: list[str]) -> int:
    from bench.compose import compose
    from bench.forecast import forecast, write_csv
    from bench.forecast_view import show

    config = compose(overrides)
    _check_calibration(config.calibration)
    found = forecast(config)
    if options.out is not None:
        write_csv(found, options.out)
    if options.figure is not None:
        from bench.session import draw_waterfall

        draw_waterfall(found, options.figure)
    show(found)
    return 0


def _validate(options: argparse.Namespace) -> int:
    from bench.validation import show

    show(options.table, options.json)
    return 0


def _fit(options: argparse.Namespace, rest: list[str]) -> int:
    if rest:
        raise ValueError(f"{rest[0]!r}: `linerate fit` takes one run; fit each by itself")
    from bench.fit_view import show
    from bench.fitting import fit_run, write_fit

    found = fit_run(options.run)
    written = write_fit(found, options.run, options.out)
    show(found, written)
    return 0


def _check_calibration(path: str | None) -> None:
    """Raises ValueError where a calibration was named that cannot be read."""
    if path is not None:
        from bench.fit_file import read_calibration

        read_calibration(path)


def _check_gates(path: str | None) -> None:
    """Raises ValueError where floors were named that cannot be read."""
    if path is not None:
        from pathlib import Path

        from bench.floor_file import read_floors

        read_floors(Path(path).expanduser())


def _catalog(options: argparse.Namespace, words: list[str]) -> int:
    from bench.listing import show_catalog

    return show_catalog(words, options)


def _refused(message: str) -> int:
    sys.stderr.write(f"linerate: {message}\n")
    return exits.BAD_INPUT


def _own_prefix() -> str:
    from bench.launch.identity import OWN_PREFIX

    return OWN_PREFIX
