"""How exact is the emulated fabric? Measured over predicted busbw, at several rates, MTUs and layouts.

    python benchmarks/emulated_accuracy.py --out docs/measured/emulated-fabric.md

Nothing is fitted: the prediction is the transceiver's MAC rate over the time scale, times the payload share of a segment.
"""

import argparse
import datetime
import itertools
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil

from analysis.load import load_run
from bench.provenance import host, versions

TIME_SCALES = (2000, 1000, 400)  # of 400G: 200 Mb/s, 400 Mb/s, 1 Gb/s
MTUS_BYTES = (1500, 9000)
LAYOUTS = ((2, 1), (4, 1), (2, 2))  # hosts, ranks per host
SIZES = {
    "8MiB": ("all_reduce", "all_to_all", "send_recv"),
    "16MiB": ("all_reduce", "all_to_all", "send_recv"),
}


def _names(size: str, scale: int) -> tuple[str, ...]:
    """all_to_all is judged by what binds it, and takes longest: one size, long enough against the bucket."""
    wanted = "16MiB" if scale < 1000 else "8MiB"
    return tuple(name for name in SIZES[size] if name != "all_to_all" or size == wanted)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the tables there, as Markdown")
    parser.add_argument("--iterations", type=int, default=21)
    parser.add_argument("--scales", type=int, nargs="+", default=list(TIME_SCALES))
    parser.add_argument("--collectives", nargs="+", default=list(SIZES["8MiB"]))
    parser.add_argument("overrides", nargs="*", help="further overrides for every run")
    options = parser.parse_args()
    frames = []
    begun_s = time.monotonic()
    for scale, mtu_bytes, (hosts, ranks) in itertools.product(options.scales, MTUS_BYTES, LAYOUTS):
        frame = _run(scale, mtu_bytes, hosts, ranks, options)
        frames.append(frame)
        print(_line(frame), flush=True)
    points = pd.concat(frames, ignore_index=True)
    text = _report(points, options, time.monotonic() - begun_s)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def _run(scale: int, mtu_bytes: int, hosts: int, ranks: int, options: argparse.Namespace) -> pd.DataFrame:
    """All collectives in one run for each size, so that the evidence for `bound_by` is in the same run."""
    frames = []
    for size in SIZES:
        wanted = [name for name in _names(size, scale) if name in options.collectives]
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-P", "-m", "bench", f"run_dir={folder}", "launcher=emulated"]
            command += [f"emulation.time_scale={scale}", f"emulation.mtu_bytes={mtu_bytes}"]
            command += [f"emulation.num_hosts={hosts}", f"emulation.ranks_per_host={ranks}"]
            command += [f"collectives=[{','.join(wanted)}]", f"sizes.list_bytes=[{size}]"]
            command += [f"timing.num_iterations={options.iterations}", *options.overrides]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
            run = load_run((Path(folder) / "latest").resolve())
            steal = dict(_steal(run.path))
            frames.append(run.summary.assign(steal_share=run.summary["point_id"].map(steal)))
    found = pd.concat(frames, ignore_index=True)
    ratio = found["busbw_gbytes_per_s"].astype(float) / found["predicted_busbw_gbytes_per_s"].astype(float)
    return found.assign(mbps=400_000 // scale, mtu_bytes=mtu_bytes, layout=f"{hosts}x{ranks}", ratio=ratio)


def _steal(path: Path) -> list[tuple[str, float]]:
    from bench.run_folder import RunFolder

    return [(record.point_id, record.steal_share or 0.0) for record in RunFolder(path).records()]


def _line(frame: pd.DataFrame) -> str:
    first = frame.iloc[0]
    cells = [f"{name} {ratio:.3f}" for name, ratio in zip(frame["point_id"], frame["ratio"], strict=True)]
    return f"{first.mbps} Mb/s mtu {first.mtu_bytes} {first.layout}: " + "  ".join(cells)


def _report(points: pd.DataFrame, options: argparse.Namespace, elapsed_s: float) -> str:
    machine = host()
    found = versions()
    where = (
        f"{datetime.date.today():%Y-%m-%d}, {machine['processor']}, {machine['num_processors']} cores shared with other "
        f"machines, {psutil.virtual_memory().total / 2**30:.0f} GiB, Linux {platform.release()}, Python "
        f"{found['python']}, torch {found.get('torch')}, linerate {found['linerate']}. {elapsed_s / 60:.0f} minutes."
    )
    command = f"python benchmarks/emulated_accuracy.py --iterations {options.iterations} {' '.join(options.overrides)}"
    what = (
        "400g-osfp-dr4 at time scales 2000, 1000 and 400. Each value is the measured busbw (median of the slowest rank over "
        f"{options.iterations} calls) over the predicted one (line rate times payload share; no factor is fitted), with "
        "what binds. Hosts x ranks per host in the heads. The bucket, filled while ranks meet, may lift a value a little above 1."
    )
    lines = [
        "# The emulated fabric: measured over predicted",
        "",
        where,
        "",
        f"    {command.rstrip()}",
        "",
        what,
        "",
        "## Error",
        "",
        "| collective | points | median error | within 5 % | largest error | highest efficiency |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in (
        ("all_reduce", points[points["collective"] == "all_reduce"]),
        ("send_recv, 4 ranks", points[(points["collective"] == "send_recv") & (points["num_ranks"] > 2)]),
        ("send_recv, 2 ranks", points[(points["collective"] == "send_recv") & (points["num_ranks"] == 2)]),
        *(
            (
                f"all_to_all {algorithm}",
                points[(points["collective"] == "all_to_all") & (points["algorithm"] == algorithm)],
            )
            for algorithm in ("native", "pairwise", "chunked")
        ),
    ):
        if rows.empty:
            continue
        error = (rows["ratio"] - 1).abs()
        lines.append(
            f"| {name} | {len(rows)} | {error.median():.1%} | {(error <= 0.05).mean():.0%} | {error.max():.1%} | "
            f"{rows['efficiency'].astype(float).max():.3f} |"
        )
    steal = points["steal_share"].astype(float)
    lines += [
        "",
        f"Processor time taken by other machines during the points: median {steal.median():.1%}, most {steal.max():.1%}.",
        "",
        "## All points",
        "",
    ]
    points = points.assign(
        case=points["collective"]
        + points["algorithm"].map({"native": ""}).fillna(" (" + points["algorithm"] + ")"),
        size=(points["message_bytes"] // 2**20).astype(str) + " MiB",
        cell=points["ratio"].map("{:.3f}".format) + " " + points["bound_by"],
        where=points["layout"],
    )
    table = (
        points.pivot_table(
            index=["mbps", "mtu_bytes", "case", "size"],
            columns="where",
            values="cell",
            aggfunc="first",
            sort=False,
        )
        .fillna("")
        .reset_index()
    )
    layouts = [name for name in table.columns if name not in ("mbps", "mtu_bytes", "case", "size")]
    lines.append("| Mb/s | MTU | collective | size | " + " | ".join(layouts) + " |")
    lines.append("|---|---|---|---|" + "---|" * len(layouts))
    for row in table.itertuples(index=False):
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
