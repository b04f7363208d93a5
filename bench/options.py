"""`parser_of_verbs`: the options of every verb. Nothing here imports what a verb needs."""

import argparse
from pathlib import Path
from typing import Final

import bench

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
  linerate validate --table measured.csv
  linerate fit runs/latest                                latency and bandwidth of what was measured
  linerate report runs/latest                             one page: how good it is, what binds
  linerate import nccl-tests.log && linerate report runs/latest
  linerate compare runs/before runs/after                 point by point, with intervals
  linerate ab --a 'transceiver=400g-osfp-dr4' --b 'transceiver=800g-osfp-dr8' sizes=quick
  linerate catalog 800g dr8
"""
FORMATS: Final = ("table", "nccl-tests")
TEMPLATES: Final = ("page", "bmwg")


def parser_of_verbs() -> argparse.ArgumentParser:
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
    run.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="what is printed at the end: table, or the layout of nccl-tests for existing parsers",
    )
    for flag in ("--resume", "--config-dir", "--multirun"):
        run.add_argument(flag, nargs="?", const="", help=argparse.SUPPRESS)
    predict = verbs.add_parser("predict", help="the same points, prediction only")
    predict.add_argument("overrides", nargs="*", help="key=value, as for run")
    predict.add_argument("--out", metavar="FILE.csv", type=Path, help="also write the table there")
    predict.add_argument(
        "--figure", metavar="FILE.png", type=Path, help="also draw the way from line rate to busbw"
    )
    validate = verbs.add_parser(
        "validate", help="predict a table of published measurements, and report the error"
    )
    validate.add_argument(
        "--table", metavar="FILE.csv", type=Path, help="the table; without it, linerate's own"
    )
    validate.add_argument("--json", metavar="FILE", type=Path, help="also write rows and totals there")
    fit = verbs.add_parser("fit", help="latency and bandwidth of a measured system, with intervals")
    fit.add_argument("run", metavar="RUN", type=Path, help="a run folder, such as runs/latest")
    fit.add_argument(
        "--out", metavar="FILE.json", type=Path, help="where the fit goes; without it, RUN/fit.json"
    )
    report = verbs.add_parser("report", help="one self-contained HTML page of a run, or of several")
    report.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="run folders, such as runs/latest")
    report.add_argument(
        "--out", metavar="FILE.html", type=Path, help="where it goes; without it, RUN/report.html"
    )
    report.add_argument(
        "--template",
        choices=TEMPLATES,
        default=TEMPLATES[0],
        help="page, or bmwg: the fields of the IETF draft on benchmarking AI training fabrics",
    )
    compare = verbs.add_parser(
        "compare", help="two runs, point by point: 0 no regression, 1 regression, 2 not comparable"
    )
    for side in ("base", "new"):
        compare.add_argument(
            side,
            metavar=side.upper(),
            type=Path,
            help="a run folder, or a folder of runs that count as starts of one thing",
        )
    _outputs_of_comparison(compare)
    compare.add_argument(
        "--anyway", action="store_true", help="compare although the runs measured different things"
    )
    ab = verbs.add_parser("ab", help="two configurations in turns over several starts, then compared")
    ab.add_argument("overrides", nargs="*", help="key=value for both")
    ab.add_argument("--a", required=True, metavar="'OVERRIDES'", help="key=value of arm A alone")
    ab.add_argument("--b", required=True, metavar="'OVERRIDES'", help="key=value of arm B alone")
    ab.add_argument("--starts", type=int, default=6, help="starts of the processes for each arm (6)")
    ab.add_argument(
        "--launch",
        metavar="'COMMAND'",
        help="what starts ranks, if not linerate: 'torchrun --nproc-per-node 8 -m bench'",
    )
    ab.add_argument("--run-dir", metavar="DIR", type=Path, default=Path("runs"), help="runs, unless given")
    _outputs_of_comparison(ab)
    gate = verbs.add_parser("gate", help="hold runs against floors per point: 0 they hold, 1 missed")
    gate.add_argument("runs", nargs="*", metavar="RUN", type=Path, help="runs to judge, each one start")
    gate.add_argument(
        "--baseline", nargs="+", metavar="BASE", type=Path, default=[], help="floors from runs of your own"
    )
    gate.add_argument(
        "--tolerance", type=float, metavar="SHARE", help="with --baseline: so far below its busbw, 0.05"
    )
    gate.add_argument(
        "--ceiling", type=float, metavar="SHARE", help="floors at this share of each derived ceiling, 0.9"
    )
    gate.add_argument("--floors", metavar="FILE.csv", type=Path, help="floors that were written before")
    gate.add_argument("--min-size", metavar="SIZE", default="0", help="no floors below this size: 64MiB")
    gate.add_argument(
        "--misses",
        type=int,
        metavar="K",
        help="a point fails with K of the runs beyond its floor; a majority",
    )
    gate.add_argument("--anyway", action="store_true", help="also where the floors come from another system")
    gate.add_argument("--write", metavar="FILE.csv", type=Path, help="also write the floors there")
    importer = verbs.add_parser(
        "import", help="output of nccl-tests, rccl-tests or OSU to run folders that every verb accepts"
    )
    importer.add_argument(
        "logs", nargs="+", metavar="LOG", help="files; and key=value that names optics and fabric"
    )
    importer.add_argument(
        "--out", metavar="RUN", type=Path, help="the run folder; of several logs, the folder of their folders"
    )
    importer.add_argument(
        "--run-dir", metavar="DIR", type=Path, default=Path("runs"), help="runs, unless given"
    )
    importer.add_argument("--num-ranks", type=int, metavar="N", help="for logs that do not tell")
    catalog = verbs.add_parser("catalog", help="the transceivers it knows")
    catalog.add_argument(
        "words", nargs="*", metavar="WORD", help="show only entries that hold every word, e.g. 800g smf"
    )
    catalog.add_argument("--json", action="store_true", help="all fields, as JSON")
    for flag, metavar, text in (
        ("--rate", "GBPS", "MAC rate of the whole module: 800, 1.6T"),
        ("--min-reach", "METRES", "reaches so far, on --fibre where that is given: 500, 2km"),
        ("--fibre", "MEDIUM", "SMF, OM3, OM4, OM5, MMF or copper"),
        ("--form-factor", "CAGE", "OSFP, OSFP1600, OSFP-XD, QSFP-DD, QSFP112, ..."),
        ("--fec", "CODE", "part of the code's name: kp4, kr4, ofec, hamming"),
        ("--max-power", "WATTS", "draws at most so much"),
        ("--cooling", "TEXT", "part of it: air, liquid, rhs"),
        ("--kind", "TEXT", "part of it: retimed, lpo, lro, cpo, aoc, aec, coherent, copper"),
    ):
        catalog.add_argument(flag, metavar=metavar, help=text)
    return parser


def _outputs_of_comparison(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE.csv", type=Path, help="also write every point there")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write everything there")
    parser.add_argument("--figure", metavar="FILE.png", type=Path, help="also draw the comparison")
