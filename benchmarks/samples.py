"""What statistics of 50 million samples cost: linerate's store beside pandas alone and duckdb alone, in the same run.

    python benchmarks/samples.py [--out docs/measured/samples.md]

Two runs are written as linerate writes them, one after another: few ranks with many iterations, and many ranks. Each way of
reading is a process of its own, from its start to its end, imports included, with the file in the page cache; linerate
runs before and after each of the others. Needs 8 GB of memory (for pandas) and 2 GB in the temporary folder, given back at
the end.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the linerate of this checkout is measured

if TYPE_CHECKING:
    from bench.record import Record, RunManifest

TARGET_S: Final = 4.0
TARGET_BYTES: Final = 1_500_000_000
"""On 2 cores: a notebook on a laptop then looks at the samples of 1000 ranks without being planned around them."""

AUTOCORRELATION: Final = 0.5
"""Of what all ranks share from one iteration to the next, so that the interval has something to account for."""

OURS: Final = "linerate"
WAYS: Final = (OURS, "pandas alone", "duckdb alone")
HEADER: Final = (
    "run",
    "read with",
    "times",
    "median",
    "processor time",
    "peak memory",
    "over linerate: time",
    "memory",
    "target met",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One run: ``num_points`` points of ``num_ranks`` x ``num_iterations`` samples."""

    name: str
    num_ranks: int
    num_points: int
    num_iterations: int

    @property
    def num_samples(self) -> int:
        return self.num_ranks * self.num_points * self.num_iterations


SHAPES: Final = (
    Shape(name="few ranks", num_ranks=8, num_points=30, num_iterations=208_334),
    Shape(name="many ranks", num_ranks=1000, num_points=50, num_iterations=1000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One process: from its start to its end, what processors it used, and the most memory it had."""

    wall_s: float
    processor_s: float
    peak_bytes: int
    medians_s: dict[str, float]


def main() -> int:
    """Measure; exit status 1 where a target is missed."""
    options = _options()
    if options.child:
        way, path = options.child
        print(json.dumps(READERS[way](Path(path))))
        return 0
    if options.write:
        name, path = options.write
        write(next(shape for shape in SHAPES if shape.name == name), Path(path), options.share)
        return 0
    from benchmarks.costs.report import markdown, origin

    below = origin("samples.py", *_engines())
    rows, is_met = [], True
    for shape in SHAPES:
        with tempfile.TemporaryDirectory(prefix="linerate-samples-") as temporary:
            folder = options.folder or Path(temporary)
            run = folder / f"{shape.num_ranks}-ranks"
            if not (run / "samples.parquet").is_file():
                # In a process of its own: what this one holds would count as the memory of those that it starts.
                command = [sys.executable, __file__, "--share", str(options.share), "--write", shape.name]
                subprocess.run([*command, str(run)], check=True)
            size_bytes = (run / "samples.parquet").stat().st_size
            costs = measure(run, options.rounds)
        label = f"{shape.name}: {shape.num_ranks} x {shape.num_points} x {shape.num_iterations:,}, {size_bytes / 1e6:,.0f} MB"
        for way in WAYS:
            rows.append(cells(label, way, costs))
        is_met &= _is_met(costs)
    text = markdown("Statistics of 50 million samples", _method(), HEADER, rows, below())
    print(text, end="")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 0 if is_met else 1


def write(shape: Shape, path: Path, share: float) -> None:
    """A finished run of that shape; samples point by point, so that this needs no more memory than one of them."""
    from bench.run_folder import RunFolder

    run = RunFolder.create(path.parent, path.name, _manifest(shape))
    for number, (starts_s, durations_s) in enumerate(_points(shape, share)):
        print(f"samples: writing {shape.name}, point {number + 1} of {shape.num_points}", file=sys.stderr)
        # Without the record and the export: neither is read to make statistics from samples.
        run._append_samples(_record(shape, number), starts_s, durations_s, None, None)
    run._join_parts()


def _points(shape: Shape, share: float) -> Iterator[tuple[list[list[float]], list[list[float]]]]:
    """Starts and durations of each point, one row per rank, in whole nanoseconds as clocks give them."""
    import numpy as np
    from scipy.signal import lfilter

    generator = np.random.default_rng(1)
    num_iterations = max(100, int(shape.num_iterations * share))
    for number in range(shape.num_points):
        typical_s = 50e-6 * 1.4**number
        common = lfilter([1], [1, -AUTOCORRELATION], generator.standard_normal(num_iterations))
        own = generator.standard_normal((shape.num_ranks, num_iterations))
        durations_s = typical_s * np.exp(0.03 * common + 0.02 * own)
        starts_s = np.cumsum(durations_s, axis=1) - durations_s
        yield tuple(np.round(values, 9).tolist() for values in (starts_s, durations_s))


def measure(run: Path, num_rounds: int) -> list[tuple[str, Cost]]:
    """linerate before and after each of the others. Medians that differ end the program."""
    others = [way for way in WAYS if way != OURS] * num_rounds
    costs: list[tuple[str, Cost]] = []
    for way in [OURS, *(way for other in others for way in (other, OURS))]:
        cost = _cost(way, run)
        costs.append((way, cost))
        print(f"samples: {way}: {cost.wall_s:.2f} s, {cost.peak_bytes / 1e9:.2f} GB", file=sys.stderr)
        if cost.medians_s != costs[0][1].medians_s:
            raise RuntimeError(f"{way} and linerate do not agree about the medians")
    return costs


def _cost(way: str, run: Path) -> Cost:
    start_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", way, str(run)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{way} ended with status {process.returncode}")
    return Cost(
        wall_s=wall_s,
        processor_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
        medians_s=json.loads(said),
    )


def _with_linerate(run: Path) -> dict[str, float]:
    """Everything that `summarise` says, with the interval of the median."""
    from analysis.store import Store

    frame = Store(run).summary_from_samples()
    return dict(zip(frame["point_id"], frame["time_s"], strict=True))


def _with_pandas(run: Path) -> dict[str, float]:
    """The same without the interval, which pandas does not have."""
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(run / "samples.parquet", columns=["point_id", "iteration", "duration_s"])
    slowest = frame.groupby(["point_id", "iteration"], sort=False)["duration_s"].max()
    points = slowest.groupby("point_id", sort=False)
    table = points.agg(["count", "median", "max", "min", "mean", "std"])
    points.quantile(np.array([0.95, 0.99]))
    return {str(name): float(value) for name, value in table["median"].items()}


def _with_duckdb(run: Path) -> dict[str, float]:
    """The same without the interval, as one query."""
    import duckdb

    connection = duckdb.connect(config={"preserve_insertion_order": False})
    rows = connection.execute(
        "SELECT point_id, count(*), median(slowest), max(slowest), min(slowest), avg(slowest), stddev(slowest), "
        "quantile_disc(slowest, [0.95, 0.99]) FROM (SELECT point_id, iteration, max(duration_s) AS slowest "
        "FROM read_parquet(?) GROUP BY ALL) GROUP BY point_id",
        [str(run / "samples.parquet")],
    ).fetchall()
    return {row[0]: row[2] for row in rows}


READERS: Final[dict[str, Callable[[Path], dict[str, float]]]] = dict(
    zip(WAYS, (_with_linerate, _with_pandas, _with_duckdb), strict=True)
)


def cells(label: str, way: str, costs: list[tuple[str, Cost]]) -> tuple[str, ...]:
    """A row: medians; and of ratios to the mean of the two linerates beside, since the load of a machine changes."""
    own = [cost for name, cost in costs if name == way]
    times_s = [cost.wall_s for cost in own]
    ratios: list[tuple[float, float]] = []
    for (_, before), (name, cost), (_, after) in zip(costs, costs[1:], costs[2:], strict=False):
        if name == way != OURS:
            time_s, peak_bytes = before.wall_s + after.wall_s, before.peak_bytes + after.peak_bytes
            ratios.append((2 * cost.wall_s / time_s, 2 * cost.peak_bytes / peak_bytes))
    return (
        label,
        way,
        ", ".join(f"{time_s:.2f}" for time_s in times_s) + " s",
        f"{median(times_s):.2f} s",
        f"{median(cost.processor_s for cost in own):.1f} s",
        f"{max(cost.peak_bytes for cost in own) / 1e9:.2f} GB",
        *(f"{median(values):.1f}" for values in zip(*ratios, strict=True)),
        *(("", "", "yes" if _is_met(costs) else "no") if way == OURS else ("",)),
    )


def _is_met(costs: list[tuple[str, Cost]]) -> bool:
    ours = [cost for way, cost in costs if way == OURS]
    time_s = median(cost.wall_s for cost in ours)
    return time_s <= TARGET_S and max(cost.peak_bytes for cost in ours) <= TARGET_BYTES


def _method() -> str:
    return (
        "For every point, of the slowest rank of each iteration: count, median, p95, p99, maximum, minimum, mean and standard "
        "deviation; linerate alone also gives the 95 % interval of the median with autocorrelation accounted for. Whole processes "
        "with their imports, the file in the page cache; linerate before and after each of the others, with which it is compared. "
        f"Runs: ranks x points x iterations. Met: median at most {TARGET_S:g} s, memory at most {TARGET_BYTES / 1e9:g} GB. The medians of "
        "all three are equal to the last bit."
    )


def _engines() -> list[str]:
    import duckdb
    import pandas as pd

    return [f"pandas {pd.__version__}", f"duckdb {duckdb.__version__}"]


def _record(shape: Shape, number: int) -> "Record":
    from bench.record import Record

    return Record(
        point_id=f"all_reduce.native.float32.sum.in_place.latency.{8 << number}",
        attempt=0,
        status="complete",
        collective="all_reduce",
        algorithm="native",
        algorithm_source="assumed",
        backend="gloo",
        dtype="float32",
        reduce_op="sum",
        placement="in_place",
        measure_pass="latency",
        group="world",
        num_ranks=shape.num_ranks,
        num_hosts=max(1, shape.num_ranks // 8),
        message_bytes=8 << number,
        calls_per_sample=1,
        durations_s=[],
        rank_mean_s=[],
        first_call_s=None,
        num_wrong_elements=0,
        fabric_bytes_per_rank=None,
        predicted_time_s=None,
        ceiling_time_s=None,
        predicted_bound=None,
        also_bound_by=[],
        is_bucket_dominated=False,
        busy_share=None,
        steal_share=None,
    )


def _manifest(shape: Shape) -> "RunManifest":
    from bench.record import RunManifest

    return RunManifest(
        run_id=shape.name,
        started_utc="2026-01-01T00:00:00+00:00",
        status="complete",
        status_reason=None,
        exit_status=0,
        command=["benchmarks/samples.py"],
        config={},
        config_sha256="",
        versions={},
        hosts=[],
        ranks=[],
        launcher="local",
        launched_by="linerate",
        backend="gloo",
        num_ranks=shape.num_ranks,
        num_hosts=1,
        transceiver="none",
        fabric="none",
        time_scale=None,
        links=None,
        environment={},
        skipped=[],
        num_points_planned=shape.num_points,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--rounds",
        type=int,
        default=1,
        metavar="N",
        help="in each linerate runs twice, and at the end once more",
    )
    add("--share", type=float, default=1.0, metavar="X", help="of the iterations: 0.01 is a quick look")
    add(
        "--folder",
        type=Path,
        metavar="DIR",
        help="keep the two runs there, and take them where they are there",
    )
    add("--out", type=Path, metavar="FILE.md", help="also write the table there")
    add("--write", nargs=2, metavar=("SHAPE", "FOLDER"), help=argparse.SUPPRESS)
    add("--child", nargs=2, metavar=("WAY", "RUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or not 0 < options.share <= 1:
        parser.error("--rounds must be 1 or more, --share above 0 and at most 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
