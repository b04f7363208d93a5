"""What linerate itself costs: in its loop, in reported times, at its start, and in verbs that only print.

Every cost is measured beside the same thing done without linerate, in turns, so that what else the machine
does falls on both. `benchmarks/README.md` says how to run it and how to read the table.

The module level takes from the standard library only: this file is also the bare program that linerate's
start is compared with, and that program must not pay for numpy, scipy or linerate.
"""

import argparse
import contextlib
import datetime
import gc
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bench.measure.engine import Measurement
    from bench.measure.ranks import Ranks

NUM_RANKS: Final = 2
NUM_WARMUPS: Final = 2
ITEM_BYTES: Final = 4
START_BYTES: Final = 64 * 1024
"""Message of the first sample; its duration does not count, so any size will do."""
DEADLINE_S: Final = 300.0
"""A pair of ranks or a torchrun that lasts longer hangs."""

LOOP_TARGET_S: Final = 5e-6
TIME_TARGET: Final = 1.02
VERB_TARGET_S: Final = 0.5
START_TARGET: Final = 1.3
MIN_LAUNCHES: Final = 5

LINERATE, BARE = "linerate", "bare"
QUAD: Final = (LINERATE, BARE, BARE, LINERATE)
"""ABBA: both means lie at the same moment, so a steady drift of the machine cancels."""

PARTS: Final = ("loop", "time", "verbs", "start")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``is_met`` is None where there is no target, or too few repetitions to say."""

    question: str
    measured: str
    interval: str = ""
    target: str = ""
    is_met: bool | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """What one start of the processes saw at one size: medians over calls of the slowest rank, in seconds.

    Attributes:
        half_s: medians of two halves of the bare blocks; their ratio shows how the method sees no difference.
    """

    linerate_s: float
    bare_s: float
    half_s: tuple[float, float]
    num_samples: int


def main() -> int:
    """Measure the parts that were asked for; exit status 1 where a target is missed."""
    if len(sys.argv) > 1 and sys.argv[1] in _ROLES:
        _ROLES[sys.argv[1]](sys.argv[2:])
        return 0
    options = _options()
    load = os.getloadavg()[0]
    rows: list[Row] = []
    if "loop" in options.parts:
        rows += loop_rows(options.loop_repetitions, options.loop_calls)
    if "time" in options.parts:
        rows += time_rows(options.sizes, options.starts, options.quads, options.calls, is_pinned=options.pin)
    if "verbs" in options.parts:
        rows += verb_rows(options.verb_repetitions)
    if "start" in options.parts:
        rows += start_rows(options.launches)
    text = markdown(rows, load)
    print(text, end="")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 1 if any(row.is_met is False for row in rows) else 0


def _options() -> argparse.Namespace:
    from bench.model.units import parse_bytes

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    add("--out", type=Path, metavar="FILE.md", help="also write the table there")
    add("--loop-repetitions", type=int, default=50, metavar="N")
    add("--loop-calls", type=int, default=2000, metavar="N", help="calls in each repetition")
    add("--sizes", nargs="+", type=parse_bytes, default=[8, 64 * 1024, 1024 * 1024], metavar="BYTES")
    add("--starts", type=int, default=10, metavar="N", help="pairs of processes; an interval needs 6")
    add("--quads", type=int, default=5, metavar="N", help="ABBA groups of blocks in each start and size")
    add("--calls", type=int, default=100, metavar="N", help="calls in each block")
    add(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a processor of its own for each rank",
    )
    add("--verb-repetitions", type=int, default=10, metavar="N")
    add("--launches", type=int, default=8, metavar="N", help="torchrun launches of each kind")
    options = parser.parse_args()
    for size in options.sizes:
        if size < ITEM_BYTES or size % ITEM_BYTES:
            parser.error(f"--sizes: {size} bytes are no whole number of float32 elements")
    return options


# The loop


def loop_rows(num_repetitions: int, num_calls: int) -> list[Row]:
    """Cost per call of the measuring loop around an operation that does nothing."""
    from bench.measure.loop import take_samples
    from bench.measure.stopwatch import HostStopwatch

    def nothing() -> None:
        pass

    stopwatch = HostStopwatch()
    added_s, seen_s = [], []
    gc.collect()
    gc.disable()  # as the engine does while it samples
    try:
        take_samples(nothing, stopwatch, num_calls, align=nothing)
        for _ in range(num_repetitions):
            begun_s = time.perf_counter()
            samples = take_samples(nothing, stopwatch, num_calls, align=nothing)
            between_s = time.perf_counter()
            for _ in range(num_calls):
                nothing()
            ended_s = time.perf_counter()
            added_s.append((between_s - begun_s - (ended_s - between_s)) / num_calls)
            seen_s.append(statistics.median(sample.duration_s for sample in samples))
    finally:
        gc.enable()
    repeated = f"{num_repetitions} repetitions of {num_calls} calls; barrier and operation both do nothing"
    return [
        _row(
            "loop: cost of a call beside a bare call",
            added_s,
            LOOP_TARGET_S,
            shown=_seconds,
            detail=repeated,
        ),
        _row(
            "of that, inside the time that is reported",
            seen_s,
            None,
            shown=_seconds,
            detail="what the stopwatch says of an operation that does nothing",
        ),
    ]


# Reported times


def time_rows(
    sizes: Sequence[int], num_starts: int, num_quads: int, num_calls: int, *, is_pinned: bool
) -> list[Row]:
    """linerate's median of the slowest rank over that of a bare loop, same process group, blocks in turns."""
    from bench.model.units import format_bytes

    is_pinned = is_pinned and len(os.sched_getaffinity(0)) >= NUM_RANKS
    settings = {"sizes": list(sizes), "quads": num_quads, "calls": num_calls, "is_pinned": is_pinned}
    starts: list[dict[str, Any]] = []
    for number in range(num_starts):
        _progress(f"reported times, start {number + 1} of {num_starts}")
        starts.append(_run_pair(settings))
    rows = []
    for size in sizes:
        seen = [
            Paired(**(start[str(size)] | {"half_s": tuple(start[str(size)]["half_s"])})) for start in starts
        ]
        ratios = [one.linerate_s / one.bare_s for one in seen]
        control = [one.half_s[0] / one.half_s[1] for one in seen]
        typical = statistics.median(one.linerate_s for one in seen)
        bare = statistics.median(one.bare_s for one in seen)
        rows.append(
            _row(
                f"reported time over that of a bare loop: all_reduce of {format_bytes(size)}, gloo",
                ratios,
                TIME_TARGET,
                is_low_enough=True,
                detail=f"{_seconds(typical)} over {_seconds(bare)}; {NUM_RANKS} ranks"
                f"{' pinned' if is_pinned else ''}, {num_starts} starts of {seen[0].num_samples} calls each",
            )
        )
        rows.append(
            _row(
                f"the same, the bare loop over itself, {format_bytes(size)}",
                control,
                None,
                detail="how finely this method can tell",
            )
        )
    return rows


def _run_pair(settings: dict[str, Any]) -> dict[str, Any]:
    """Start two ranks that measure both ways in turns, and return what rank 0 found."""
    from bench.launch.local import free_port

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        report = Path(folder) / "report.json"
        environment = os.environ | {
            "WORLD_SIZE": str(NUM_RANKS),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            **_ONE_THREAD_ON_LOOPBACK,
        }
        command = [sys.executable, "-P", __file__, "rank-compare", str(report), json.dumps(settings)]
        logs = [stack.enter_context((Path(folder) / f"{rank}.log").open("w+")) for rank in range(NUM_RANKS)]
        ranks = [
            subprocess.Popen(command, env=environment | {"RANK": str(rank)}, stdout=log, stderr=log)
            for rank, log in enumerate(logs)
        ]
        deadline_s = time.monotonic() + DEADLINE_S
        try:
            while any(rank.poll() is None for rank in ranks) and not any(rank.poll() for rank in ranks):
                if time.monotonic() > deadline_s:
                    break
                time.sleep(0.05)
        finally:
            for rank in ranks:
                if rank.poll() is None:
                    rank.kill()  # the other one has failed, or both hang
                rank.wait()
        if not report.exists() or any(rank.returncode for rank in ranks):
            for log in logs:
                log.seek(0)
            said = "\n".join(log.read() for log in logs)
            raise RuntimeError(f"a rank failed, or hung for {DEADLINE_S:g} s:\n{said}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found


def _compare_as_rank(arguments: Sequence[str]) -> None:
    """One rank of the pair: one process group, every size in ABBA blocks."""
    report, settings = Path(arguments[0]), json.loads(arguments[1])
    rank = int(os.environ["RANK"])
    if settings["is_pinned"]:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank]})  # before torch and gloo start their threads, which inherit it

    from bench.measure.ranks import joined

    with joined(
        rank=rank,
        size=NUM_RANKS,
        local_rank=rank,
        backend="gloo",
        master_address=os.environ["MASTER_ADDR"],
        master_port=int(os.environ["MASTER_PORT"]),
        timeout_s=DEADLINE_S,
    ) as ranks:
        found = {
            str(size): _compare(ranks, size, settings["quads"], settings["calls"])
            for size in settings["sizes"]
        }
    if rank == 0:
        report.write_text(json.dumps(found), encoding="utf-8")


def _compare(ranks: "Ranks", message_bytes: int, num_quads: int, num_calls: int) -> dict[str, Any]:
    """Both ways at one size, as the fields of `Paired`."""
    import torch

    from bench.measure.data import pattern
    from bench.measure.engine import measure
    from bench.measure.stopwatch import HostStopwatch
    from bench.measure.workload import WORKLOADS, WorkloadSpec
    from bench.model.statistics import summarise
    from bench.model.timing import TimingPlan

    data = pattern("float32", ranks.size, 0)
    count = message_bytes // ITEM_BYTES
    workload = WORKLOADS["all_reduce", "native"](
        WorkloadSpec(count=count, reduce_op="sum", pattern=data), ranks
    )
    plan = TimingPlan(num_warmups=NUM_WARMUPS, num_iterations=num_calls, budget_s=DEADLINE_S)
    stopwatch = HostStopwatch()
    buffer = torch.zeros(count, dtype=torch.float32)  # so that sums of sums stay finite

    def by_linerate() -> list[float]:
        measured = measure(
            workload, ranks, plan, stopwatch, origin_s=stopwatch.now_s(), is_stop_wanted=lambda: False
        )
        assert measured.num_wrong_elements == 0, "wrong data"
        return measured.slowest_s

    def by_hand() -> list[float]:
        everyones = ranks.gathered(_bare_block(buffer, num_calls))
        return [max(column) for column in zip(*everyones, strict=True)]

    ways = {LINERATE: by_linerate, BARE: by_hand}
    for way in ways.values():
        way()  # connections, memory, caches: what comes first must not pay for them
    taken: dict[str, list[float]] = {LINERATE: [], BARE: []}
    halves: tuple[list[float], list[float]] = ([], [])
    num_bare = 0
    for _ in range(num_quads):
        for name in QUAD:
            block = ways[name]()
            taken[name] += block
            if name == BARE:
                halves[(0, 1, 1, 0)[num_bare % 4]].extend(block)
                num_bare += 1
    return {
        "linerate_s": summarise(taken[LINERATE]).median_s,
        "bare_s": summarise(taken[BARE]).median_s,
        "half_s": [summarise(half).median_s for half in halves],
        "num_samples": len(taken[BARE]),
    }


def _bare_block(buffer: Any, num_calls: int) -> list[float]:
    """The loop that one writes by hand: barrier, clock, call, clock. Shape: (num_calls,), seconds."""
    import torch.distributed as dist

    for _ in range(NUM_WARMUPS):
        dist.all_reduce(buffer)
    durations_s = []
    for _ in range(num_calls):
        dist.barrier()
        begun_s = time.perf_counter()
        dist.all_reduce(buffer)
        durations_s.append(time.perf_counter() - begun_s)
    return durations_s


# Verbs that only print


def verb_rows(num_repetitions: int) -> list[Row]:
    """Wall time of verbs that do not measure, in fresh processes, and whether they import torch."""
    verbs = ("--help", "catalog")
    taken: dict[str, list[float]] = {verb: [] for verb in verbs}
    for verb in verbs:
        _run_verb(verb)  # the first start reads files that the others find in memory
    for _ in range(num_repetitions):
        for verb in verbs:
            begun_s = time.perf_counter()
            _run_verb(verb)
            taken[verb].append(time.perf_counter() - begun_s)
    rows = []
    for verb in verbs:
        with_torch = _imports_torch(verb)
        row = _row(
            f"wall time of `linerate {verb}`",
            taken[verb],
            VERB_TARGET_S,
            shown=_seconds,
            detail=f"{num_repetitions} fresh processes; torch is {'' if with_torch else 'not '}imported",
        )
        if with_torch:
            row = replace(row, target=f"{row.target}, no torch", is_met=False)
        rows.append(row)
    return rows


def _run_verb(verb: str, *flags: str) -> str:
    """Run a verb; returns what it wrote to standard error."""
    command = [sys.executable, "-P", *flags, "-m", "bench", verb]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True, timeout=DEADLINE_S
    )
    return done.stderr


def _imports_torch(verb: str) -> bool:
    lines = _run_verb(verb, "-X", "importtime").splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "bench.cli" in imported, "no list of imports"
    return "torch" in imported


# From the start to the first sample


def start_rows(num_launches: int) -> list[Row]:
    """From starting torchrun to the beginning of the first sample: linerate over a bare program."""
    taken: dict[str, list[float]] = {LINERATE: [], BARE: []}
    for name in (LINERATE, BARE):
        _launch(name)
    for number in range(num_launches):
        _progress(f"start to first sample, launch {number + 1} of {num_launches}")
        for name in (LINERATE, BARE) if number % 2 else (BARE, LINERATE):
            taken[name].append(_launch(name))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    paired = [ours / bare for ours, bare in zip(taken[LINERATE], taken[BARE], strict=True)]
    ratio = medians[LINERATE] / medians[BARE]
    return [
        Row(
            question="torchrun to the first sample, linerate over a bare program",
            measured=f"{ratio:.3f}",
            interval=_interval(paired, _ratio),
            target=f"<= {START_TARGET:g}",
            is_met=ratio <= START_TARGET if num_launches >= MIN_LAUNCHES else None,
            detail=f"{_seconds(medians[LINERATE])} over {_seconds(medians[BARE])}, medians of {num_launches} "
            "launches each; the interval is that of paired launches",
        )
    ]


def _launch(name: str) -> float:
    """Seconds from starting torchrun to the beginning of rank 0's first sample."""
    role, overrides = _START_ROLES[name]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "first_sample"
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={NUM_RANKS}",
        ]
        command += [__file__, role, str(report), *overrides]
        begun_s = time.perf_counter()
        done = subprocess.run(
            command,
            env=os.environ | _ONE_THREAD_ON_LOOPBACK,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if done.returncode or not report.exists():
            raise RuntimeError(f"{role}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        # perf_counter is CLOCK_MONOTONIC on Linux, one clock for all processes of the machine.
        return float(report.read_text(encoding="utf-8")) - begun_s


def _start_bare_as_rank(arguments: Sequence[str]) -> None:
    """What is least: import torch, join, one call that opens the connections, and the first sample."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    buffer = torch.zeros(START_BYTES // ITEM_BYTES, dtype=torch.float32)
    dist.all_reduce(buffer)
    dist.barrier()
    first_s = time.perf_counter()
    dist.all_reduce(buffer)
    if dist.get_rank() == 0:
        Path(arguments[0]).write_text(repr(first_s), encoding="utf-8")
    dist.destroy_process_group()


def _start_linerate_as_rank(arguments: Sequence[str]) -> None:
    """`python -m bench`, noting when rank 0's first sample began.

    Starts of samples count from an origin that only the process knows: it is read where the engine is called.
    """
    import runpy

    from bench.measure import engine

    report, overrides = Path(arguments[0]), arguments[1:]
    original = engine.measure

    def noting(*positional: Any, **named: Any) -> "Measurement":
        measured = original(*positional, **named)
        if int(os.environ["RANK"]) == 0 and not report.exists():
            report.write_text(repr(named["origin_s"] + measured.start_s[0][0]), encoding="utf-8")
        return measured

    engine.measure = noting
    sys.argv = ["bench", *overrides]
    runpy.run_module("bench", run_name="__main__", alter_sys=True)


_START_ROLES: Final[dict[str, tuple[str, list[str]]]] = {
    BARE: ("rank-bare", []),
    LINERATE: (
        "rank-linerate",
        [
            "backend=gloo",
            "collectives=[all_reduce]",
            f"sizes.min_bytes={START_BYTES}",
            f"sizes.max_bytes={START_BYTES}",
            "timing.num_iterations=10",
        ],
    ),
}

_ROLES: Final[dict[str, Callable[[Sequence[str]], None]]] = {
    "rank-compare": _compare_as_rank,
    "rank-bare": _start_bare_as_rank,
    "rank-linerate": _start_linerate_as_rank,
}
"""First argument of this program in the processes that it starts itself."""

_ONE_THREAD_ON_LOOPBACK: Final = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


# The table


def markdown(rows: Sequence[Row], load_before: float) -> str:
    """The table, the machine it was measured on, and the command."""
    return "\n".join(_lines(rows, load_before)) + "\n"


def _lines(rows: Sequence[Row], load_before: float) -> Iterator[str]:
    from bench import provenance

    host, versions = provenance.host(), provenance.versions()
    yield "# What linerate itself costs"
    yield ""
    yield "Medians, each with a distribution-free interval of at least 95 %; ratios are paired per start."
    yield ""
    yield "| what | measured | 95 % interval | target | met | how |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        met = {True: "yes", False: "no", None: ""}[row.is_met]
        cells = (row.question, row.measured, row.interval, row.target, met, row.detail)
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield f"Measured {datetime.datetime.now(datetime.UTC):%Y-%m-%d} (UTC) with"
    yield ""
    yield f"    {shlex.join(['python', 'benchmarks/overhead.py', *sys.argv[1:]])}"
    yield ""
    usable = f"{host['num_usable_processors']} of {host['num_processors']} processors usable"
    memory = f"{host['memory_bytes'] / 2**30:.0f} GiB of memory"
    yield f"on {host['processor']}, {usable}, {memory}, load {load_before:.2f} before (average of a minute);"
    yield ", ".join(f"{name} {version}" for name, version in versions.items()) + "."


def _row(
    question: str,
    values: Sequence[float],
    target: float | None,
    *,
    shown: Callable[[float], str] | None = None,
    is_low_enough: bool = False,
    detail: str = "",
) -> Row:
    """Median and interval against a target from above.

    ``is_low_enough``: met if the interval reaches down to the target, so what cannot be told from it counts
    as met; else the median must not exceed it.
    """
    from bench.model.statistics import summarise

    shown = shown or _ratio
    summary = summarise(values)
    decisive = summary.low_s if is_low_enough else summary.median_s
    return Row(
        question=question,
        measured=shown(summary.median_s),
        interval=_interval(values, shown),
        target="" if target is None else f"<= {format(target, 'g') if shown is _ratio else shown(target)}",
        is_met=None if target is None or decisive is None else decisive <= target,
        detail=detail,
    )


def _interval(values: Sequence[float], shown: Callable[[float], str]) -> str:
    from bench.model.statistics import summarise

    summary = summarise(values)
    if summary.low_s is None or summary.high_s is None:
        return f"none from {len(values)}"
    return f"{shown(summary.low_s)} to {shown(summary.high_s)}"


def _ratio(value: float) -> str:
    return f"{value:.3f}"


def _seconds(value_s: float) -> str:
    from bench.model.units import format_seconds

    return format_seconds(value_s)


def _progress(text: str) -> None:
    print(f"overhead: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
