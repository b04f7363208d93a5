"""Do MPI's algorithms take as long on the emulated fabric as the bytes that they send? Measured over V / rate, by algorithm.

    python benchmarks/emulated_mpi.py --out docs/measured/emulated-mpi.md

V is what the schedule sends from one host (`bench.model.schedule`), the rate the transceiver's MAC rate over the time scale,
times the payload share of a segment. Nothing is fitted, and neither latency nor reduction is in it.
"""

import argparse
import datetime
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from analysis.load import load_run
from bench import catalog
from bench.model.collective import Collective
from bench.model.framing import emulated_framing
from bench.model.schedule import demand, schedule_named
from bench.provenance import host, versions
from bench.run_folder import RunFolder

FABRICS = ((4, 1000), (4, 400), (8, 2000), (8, 1000))
"""Hosts and time scale of 400G: 4 hosts at 400 Mb/s and 1 Gb/s, 8 at 200 and 400 Mb/s; together at most 4 Gb/s."""

ALGORITHMS = (
    (Collective.all_reduce, "ring"),
    (Collective.all_reduce, "recursive_doubling"),
    (Collective.all_reduce, "rabenseifner"),
    (Collective.all_gather, "ring"),
    (Collective.all_to_all, "pairwise"),
    (Collective.all_to_all, "bruck"),
    (Collective.all_to_all, "linear"),
)
SIZES = "[8MiB,16MiB]"
MTU_BYTES = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: an algorithm on a fabric."""

    collective: Collective
    algorithm: str
    num_hosts: int
    time_scale: int

    @property
    def rate_bytes_per_s(self) -> float:
        """Of one link in one direction, as the bucket counts it."""
        return catalog.transceiver(catalog.EMULATED_DEFAULT).mac_rate_bytes_per_s / self.time_scale

    @property
    def egress_per_byte(self) -> float:
        """Payload that leaves one host per byte of message."""
        schedule = schedule_named(self.algorithm)
        assert schedule is not None
        return float(demand(self.collective, schedule, self.num_hosts, 1).host_bytes)

    def expected_s(self, message_bytes: int) -> float:
        payload_bytes_per_s = self.rate_bytes_per_s * emulated_framing(MTU_BYTES).payload_fraction
        return self.egress_per_byte * message_bytes / payload_bytes_per_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the tables there, as Markdown")
    parser.add_argument("--iterations", type=int, default=9)
    parser.add_argument("overrides", nargs="*", help="further overrides for every run")
    options = parser.parse_args()
    begun_s, load = time.monotonic(), psutil.getloadavg()[2]
    rows: list[dict[str, Any]] = []
    for num_hosts, time_scale in FABRICS:
        for collective, algorithm in ALGORITHMS:
            case = Case(
                collective=collective, algorithm=algorithm, num_hosts=num_hosts, time_scale=time_scale
            )
            for row in _run(case, options):
                rows.append(row)
                print(" ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()), flush=True)  # fmt: skip
    text = _report(pd.DataFrame(rows), options, time.monotonic() - begun_s, load)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def _run(case: Case, options: argparse.Namespace) -> list[dict[str, Any]]:
    name = case.collective.value
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "bench", f"run_dir={folder}", "launcher=emulated"]
        command += ["backend=mpi", f"mpi.algorithm={case.algorithm}", f"collectives=[{name}]"]
        command += [f"algorithms.{name}=[native]", f"sizes.list_bytes={SIZES}"]
        command += [f"emulation.num_hosts={case.num_hosts}", f"emulation.time_scale={case.time_scale}"]
        command += [f"emulation.mtu_bytes={MTU_BYTES}", f"timing.num_iterations={options.iterations}"]
        done = subprocess.run([*command, *options.overrides], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        path = (Path(folder) / "latest").resolve()
        summary = load_run(path).summary
        steal = {record.point_id: record.steal_share or 0.0 for record in RunFolder(path).records()}
    found = []
    for row in summary.to_dict("records"):
        expected_s = case.expected_s(row["message_bytes"])
        found.append(
            {
                "hosts": case.num_hosts,
                "mbps": case.rate_bytes_per_s * 8 / 1e6,
                "collective": name,
                "algorithm": case.algorithm,
                "mib": row["message_bytes"] // 2**20,
                "egress": case.egress_per_byte,
                "counted": row["counted_fabric_bytes_per_rank"] / row["message_bytes"],
                "expected_s": expected_s,
                "measured_s": row["time_s"],
                "ratio": expected_s / row["time_s"],
                "steal": steal[row["point_id"]],
            }
        )
    return found


def _report(points: pd.DataFrame, options: argparse.Namespace, elapsed_s: float, load: float) -> str:
    machine, found = host(), versions()
    where = (
        f"{datetime.date.today():%Y-%m-%d}, {machine['processor']}, {machine['num_processors']} cores shared with other "
        f"machines, {psutil.virtual_memory().total / 2**30:.0f} GiB, Linux {platform.release()}, Python {found['python']}, "
        f"Open MPI {_open_mpi()}, mpi4py {found.get('mpi4py')}, linerate {found['linerate']}. {elapsed_s / 60:.0f} minutes; "
        f"load of the machine over the 15 minutes before: {load:.1f}."
    )
    command = (
        f"python benchmarks/emulated_mpi.py --iterations {options.iterations} {' '.join(options.overrides)}"
    )
    lines = [
        "# MPI's algorithms on the emulated fabric: expected over measured time",
        "",
        where,
        "",
        f"    {command.rstrip()}",
        "",
        "Open MPI was told which algorithm to take (`mpi.algorithm`). V is what its schedule sends from one host, S the message.",
        f"Measured is the median of the slowest rank over {options.iterations} calls; expected is V over the payload rate of",
        "the link, and nothing else. V/S is given as the schedule has it, and as the interfaces counted it, headers included.",
        "",
        "## By algorithm",
        "",
        "| collective | algorithm | points | V/S, 4 hosts | V/S, 8 hosts | expected/measured, median | lowest | highest | counted/V, highest |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, algorithm), rows in points.groupby(["collective", "algorithm"], sort=False):
        egress = rows.groupby("hosts")["egress"].first()
        lines.append(
            f"| {name} | {algorithm} | {len(rows)} | {egress[4]:.3f} | {egress[8]:.3f} | {rows['ratio'].median():.3f} | "
            f"{rows['ratio'].min():.3f} | {rows['ratio'].max():.3f} | {(rows['counted'] / rows['egress']).max():.4f} |"
        )
    error = (points["ratio"] - 1).abs()
    lines += [
        "",
        f"All {len(points)} points: median error {error.median():.1%}, {(error <= 0.05).mean():.0%} within 5 %,",
        f"{(error <= 0.1).mean():.0%} within 10 %. Processor time taken by other machines during the points: median",
        f"{points['steal'].median():.1%}, most {points['steal'].max():.1%}.",
        "",
        "## All points",
        "",
        "| hosts | Mb/s | collective | algorithm | MiB | V/S | counted/S | expected, ms | measured, ms | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in points.to_dict("records"):
        cells = [f"{row['mbps']:.0f}", row["collective"], row["algorithm"], row["mib"]]
        cells += [f"{row['egress']:.3f}", f"{row['counted']:.3f}"]
        cells += [f"{1e3 * row['expected_s']:.1f}", f"{1e3 * row['measured_s']:.1f}", f"{row['ratio']:.3f}"]
        lines.append(f"| {row['hosts']} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _open_mpi() -> str:
    from bench.launch.mpirun import find_mpirun

    said = subprocess.run([find_mpirun(), "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1] if "Open MPI" not in said else said.split("Open MPI) ")[-1].split()[0]


if __name__ == "__main__":
    main()
