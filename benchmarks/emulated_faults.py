"""Four things that go wrong on the emulated fabric: predicted, then injected and measured, beside a healthy run.

    python benchmarks/emulated_faults.py --out docs/measured/emulated-faults.md

All predictions are printed before the first run starts. Nothing is fitted: they are the line rate over the time scale times the
payload share of a segment, less what the fault takes (`bench.model.degraded`).
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from analysis.load import Run, load_run
from bench.compose import compose
from bench.describe import group_network
from bench.launch.carried import CARRIED
from bench.launch.resolve import prediction_target
from bench.model import units
from bench.model.collective import Collective, CollectiveSpec, bus_factor, message_bytes
from bench.model.datatype import DATA_TYPES
from bench.model.degraded import degraded
from bench.model.fabric import Network
from bench.model.predict import predict
from bench.provenance import host, versions

MEGA: Final = 1e6
FOUR_HOSTS: Final = ("emulation.num_hosts=4",)
RAILS: Final = (
    "emulation.num_hosts=2",
    "emulation.ranks_per_host=4",
    "emulation.ports_per_host=4",
    "emulation.time_scale=2000",  # eight links at once: two processors carry 200 Mb/s on each
)
LEAVES: Final = ("emulation.num_hosts=4", "emulation.hosts_per_leaf=2")
ACROSS_LEAVES: Final = "stride:2"
"""With four hosts on two leaves: pairs of hosts on different leaves, both pairs at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: a collective, and the group of it that is shown."""

    collective: Collective
    algorithm: str = "native"
    kind: str = "world"
    group: int = 0

    @property
    def group_name(self) -> str:
        return self.kind if self.kind == "world" else f"{self.kind}/{self.group}"

    def __str__(self) -> str:
        extras = [self.algorithm] if self.algorithm != "native" else []
        extras += [self.group_name] if self.kind != "world" else []
        return self.collective.value + (f" ({', '.join(extras)})" if extras else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault: the fabric, what is added to it, and what is looked at."""

    name: str
    fabric: tuple[str, ...]
    fault: tuple[str, ...]
    size_bytes: int
    rows: tuple[Row, ...]

    @property
    def points(self) -> tuple[str, ...]:
        names = dict.fromkeys(row.collective.value for row in self.rows)
        kinds = dict.fromkeys(row.kind for row in self.rows)
        algorithms = dict.fromkeys(
            row.algorithm for row in self.rows if row.collective is Collective.all_to_all
        )
        return (
            f"collectives=[{','.join(names)}]",
            f"groups=[{','.join(kinds)}]",
            f"sizes.list_bytes=[{self.size_bytes}]",
            f"algorithms.all_to_all=[{','.join(algorithms)}]",
        )


PAIRWISE: Final = "pairwise"
CHUNKED: Final = "chunked"
"""All pairs at once: in each round of the pairwise exchange only some of the rails carry anything."""

PLAIN: Final = (
    Row(collective=Collective.all_reduce),
    Row(collective=Collective.all_to_all, algorithm=PAIRWISE),
    Row(collective=Collective.send_recv),
)
CASES: Final = (
    Case(
        name="link at half rate",
        fabric=FOUR_HOSTS,
        fault=("emulation.faults=[{kind: slow_link, host: 1, rate_fraction: 0.5}]",),
        size_bytes=8 * 2**20,
        rows=PLAIN,
    ),
    Case(
        name="packet loss 1e-3",
        fabric=FOUR_HOSTS,
        fault=("emulation.faults=[{kind: loss, loss_ratio: 0.001}]",),
        size_bytes=8 * 2**20,
        rows=PLAIN,
    ),
    Case(
        name="rail 2 of 4 at half rate",
        fabric=RAILS,
        fault=("emulation.faults=[{kind: slow_rail, rail: 2, rate_fraction: 0.5}]",),
        size_bytes=8 * 2**20,
        rows=(
            *(Row(collective=Collective.all_reduce, kind="rail", group=rail) for rail in range(4)),
            Row(collective=Collective.all_reduce),
            Row(collective=Collective.all_to_all, algorithm=CHUNKED),
        ),
    ),
    Case(
        name="spine 2:1 oversubscribed",
        fabric=LEAVES,
        fault=("emulation.oversubscription=2",),
        size_bytes=8 * 2**20,
        rows=(
            *PLAIN,
            Row(collective=Collective.all_reduce, kind=ACROSS_LEAVES),
            Row(collective=Collective.all_to_all, algorithm=PAIRWISE, kind=ACROSS_LEAVES),
            Row(collective=Collective.send_recv, kind=ACROSS_LEAVES),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Duration of a row without the fault, and with it at best and at worst; ``bus_bytes`` over a duration is its busbw.

    ``ceiling_s``: the best one, less what a token bucket lets through unshaped.
    """

    bus_bytes: float
    healthy_s: float
    best_s: float
    worst_s: float
    ceiling_s: float

    @property
    def is_exact(self) -> bool:
        return self.best_s == self.worst_s

    def rate(self, duration_s: float) -> str:
        """busbw in MB/s."""
        return f"{self.bus_bytes / duration_s / MEGA:.2f}"

    @property
    def rate_with_fault(self) -> str:
        best = self.rate(self.best_s)
        return best if self.is_exact else f"{self.rate(self.worst_s)} to {best}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run and what was seen beside it: how busy the machine was, and what TCP said of its connections."""

    run: Run
    load_average: float
    links: dict[str, list[dict[str, Any]]]
    tcp: list[dict[str, str]]

    def time_s(self, row: Row) -> float:
        """Median of the slowest rank."""
        return float(self._of(row)["time_s"])

    def _of(self, row: Row) -> Any:
        table = self.run.summary
        found = table[
            (table["collective"] == row.collective.value)
            & (table["algorithm"] == row.algorithm)
            & (table["group"] == row.group_name)
        ]
        if len(found) != 1 or found.iloc[0]["num_wrong_elements"]:
            raise SystemExit(f"{self.run.path}: {row} is not there, or was wrong")
        return found.iloc[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the table there, as Markdown")
    parser.add_argument("--iterations", type=int, default=7)
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(CASES)), help="numbers, from 0")
    options = parser.parse_args()
    cases = [CASES[number] for number in options.cases]
    predicted = {case.name: [prediction(case, row) for row in case.rows] for case in cases}
    for case in cases:
        for row, found in zip(case.rows, predicted[case.name], strict=True):
            rates = f"{found.rate(found.healthy_s)} MB/s without, {found.rate_with_fault} MB/s with"
            print(f"predicted  {case.name}: {row} {rates}", flush=True)
    begun_s = time.monotonic()
    healthy: dict[tuple[str, ...], Measured] = {}
    lines, notes, loads = [], [], []
    for case in cases:
        key = case.fabric + case.points
        if key not in healthy:
            healthy[key] = _run((*case.fabric, *case.points), options.iterations)
        without, broken = healthy[key], _run((*case.fabric, *case.points, *case.fault), options.iterations)
        loads += [without.load_average, broken.load_average]
        for row, found in zip(case.rows, predicted[case.name], strict=True):
            lines.append(_line(case, row, found, without, broken))
            print(lines[-1], flush=True)
        notes.append(_seen(case, broken))
        print(notes[-1], flush=True)
    elapsed_s = time.monotonic() - begun_s
    text = _report(lines, notes, options.iterations, elapsed_s, max(loads))
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def prediction(case: Case, row: Row) -> Predicted:
    """What the links allow: of the same call without the fault, and with it."""
    whole, _, _ = prediction_target(compose([*case.fabric, *case.points]))
    faulty, _, config = prediction_target(compose([*case.fabric, *case.points, *case.fault]))
    num_ranks = _of_group(whole, row).num_ranks
    item_bytes = DATA_TYPES[config.dtype].num_bytes
    spec = CollectiveSpec(
        collective=row.collective,
        num_ranks=num_ranks,
        message_bytes=message_bytes(row.collective, case.size_bytes, item_bytes, num_ranks),
    )
    healthy_s = predict(spec, _of_group(whole, row)).duration_s
    if config.emulation.faults:
        found = degraded(
            faulty,
            config.emulation.faults,
            row.collective,
            mtu_bytes=config.emulation.mtu_bytes,
            kind=row.kind,
            group=row.group,
        )
        best, worst = found.best, found.worst
    else:
        best = worst = faulty
    at_best = predict(spec, _of_group(best, row))
    worst_s = predict(spec, _of_group(worst, row)).duration_s
    if healthy_s is None or at_best.duration_s is None or worst_s is None:
        raise SystemExit(f"{case.name}: {row} of {case.size_bytes} bytes cannot be predicted")
    bus_bytes = bus_factor(row.collective, num_ranks) * spec.message_bytes
    return Predicted(
        bus_bytes=bus_bytes,
        healthy_s=healthy_s,
        best_s=at_best.duration_s,
        worst_s=worst_s,
        ceiling_s=at_best.ceiling_s,
    )


def _of_group(net: Network, row: Row) -> Network:
    """What connects the ranks of one group while the others do the same."""
    if row.kind == ACROSS_LEAVES:
        # One host of every leaf; as many groups as a leaf has hosts share its uplink.
        assert net.hosts_per_leaf is not None
        return dataclasses.replace(net, num_hosts=net.num_hosts // net.hosts_per_leaf, hosts_per_leaf=1)
    found = group_network(net, row.kind, row.collective)
    assert found is not None
    return found


def _run(overrides: Sequence[str], iterations: int) -> Measured:
    load_average = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "bench", f"run_dir={folder}", "launcher=emulated", *overrides]
        command += [f"timing.num_iterations={iterations}"]
        environment = os.environ | {"LINERATE_FIGURE": "0"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process:
            tcp: list[dict[str, str]] = []
            watcher = threading.Thread(target=_watch_tcp, args=(process, tcp))
            watcher.start()
            said, _ = process.communicate()
            watcher.join()
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}\n{said}")
        run = load_run((Path(folder) / "latest").resolve())
        links = json.loads((run.path / CARRIED).read_text(encoding="utf-8"))
    return Measured(run=run, load_average=load_average, links=links, tcp=tcp)


def _watch_tcp(process: "subprocess.Popen[str]", seen: list[dict[str, str]]) -> None:
    """Once a second: TCP_INFO of connections that have carried a megabyte or more, as `ss` prints it; nothing without it."""
    own = str(Path("/proc/self/ns/net").readlink())
    while process.poll() is None:
        time.sleep(1)
        found: dict[str, int] = {}
        try:
            for child in psutil.Process(process.pid).children(recursive=True):
                found[str(Path(f"/proc/{child.pid}/ns/net").readlink())] = child.pid
        except (OSError, psutil.Error):
            continue
        for pid in (pid for namespace, pid in found.items() if namespace != own):
            enter = ["nsenter", "--preserve-credentials", "--user", "--net", "--target", str(pid)]
            try:
                listed = subprocess.run(
                    [*enter, "ss", "--tcp", "--info", "--oneline", "--numeric"],
                    capture_output=True,
                    text=True,
                    check=False,
                )
            except OSError:
                return
            for line in listed.stdout.splitlines():
                values = dict(re.findall(r"(\w+):([\d.]+)", line))
                if int(float(values.get("bytes_acked", 0))) >= 1e6:
                    control = re.search(r"\b(reno|cubic|bbr)\b", line)
                    seen.append(values | {"congestion_control": control[0] if control else "unknown"})


def _line(case: Case, row: Row, found: Predicted, without: Measured, broken: Measured) -> str:
    healthy_s, broken_s = without.time_s(row), broken.time_s(row)
    verdict, cost = f"{found.best_s / broken_s:.3f}", f"{found.best_s / found.healthy_s:.3f}"
    if not found.is_exact:
        side = "inside" if found.ceiling_s <= broken_s <= found.worst_s else "outside"
        verdict = f"{found.worst_s / broken_s:.3f} to {verdict}: {side}"
        cost += f" to {found.worst_s / found.healthy_s:.3f}"
    cells = (
        case.name,
        str(row),
        found.rate(found.healthy_s),
        found.rate(healthy_s),
        f"{found.healthy_s / healthy_s:.3f}",
        found.rate_with_fault,
        found.rate(broken_s),
        verdict,
        cost,
        f"{broken_s / healthy_s:.3f}",
    )
    return "| " + " | ".join(cells) + " |"


def _seen(case: Case, broken: Measured) -> str:
    """What the counters of the links say: that the traffic went where the model has it, and what was lost."""
    ports, uplinks = broken.links["ports"], broken.links["uplinks"]
    rails = sorted({port["rail"] for port in ports})
    said = []
    if len(rails) > 1:
        sent = [sum(port["sent_bytes"] for port in ports if port["rail"] == rail) / MEGA for rail in rails]
        said.append(
            "bytes sent by rail: " + ", ".join(f"{rail}: {count:.0f} MB" for rail, count in enumerate(sent))
        )
    if uplinks:
        up, sent_bytes = sum(link["up_bytes"] for link in uplinks), sum(port["sent_bytes"] for port in ports)
        said.append(f"the spine carried {up / MEGA:.0f} of {sent_bytes / MEGA:.0f} MB that hosts sent")
    if any("lost_packets" in port for port in ports):
        arrived, lost = (sum(port[key] for port in ports) for key in ("arrived_packets", "lost_packets"))
        mean_bytes = sum(port["arrived_bytes"] for port in ports) / arrived
        said.append(
            f"{lost} of {arrived} packets lost ({lost / arrived:.2e}), {mean_bytes:.0f} bytes in the mean; segmentation "
            "offload is off at the hosts"
        )
    said.append(f"{sum(entry['queue_drops'] for entry in ports + uplinks)} dropped by full queues")
    if broken.tcp:
        controls = sorted({entry["congestion_control"] for entry in broken.tcp})
        round_trips_s = [float(entry["rtt"]) / 1e3 for entry in broken.tcp]
        least_s = min(float(entry["minrtt"]) for entry in broken.tcp if "minrtt" in entry) / 1e3
        windows = [float(entry["cwnd"]) for entry in broken.tcp]
        said.append(
            f"TCP {', '.join(controls)}: round trip at least {units.format_seconds(least_s)}, smoothed and with its queues "
            f"{units.format_seconds(statistics.median(round_trips_s))} in the median of {len(broken.tcp)} readings, window "
            f"{statistics.median(windows):.0f} packets"
        )
    return f"- **{case.name}**: " + "; ".join(said) + "."


def _report(
    lines: Sequence[str], notes: Sequence[str], iterations: int, elapsed_s: float, load_average: float
) -> str:
    machine, found = host(), versions()
    where = (
        f"{datetime.date.today():%Y-%m-%d}, {machine['processor']}, {machine['num_processors']} cores shared with other "
        f"machines, {psutil.virtual_memory().total / 2**30:.0f} GiB, Linux {platform.release()}, Python {found['python']}, "
        f"torch {found.get('torch')}, linerate {found['linerate']}. {elapsed_s / 60:.1f} minutes, load average up to "
        f"{load_average:.1f} before a run."
    )
    what = (
        "400g-osfp-dr4 at 1/1000 (400 Mb/s), the rails at 1/2000, MTU 9000, 8 MiB, busbw in MB/s. Each "
        f"measured value is the median of the slowest rank over {iterations} calls; every element of every "
        "result was checked. All predictions were printed before the first run; no factor is fitted. Four "
        "hosts of one rank each; for the rails two hosts of four ranks and four ports; for the spine two "
        "leaves of two hosts. stride:2 are the two pairs of hosts on different leaves, at once."
    )
    head = (
        "fault",
        "collective",
        "healthy: predicted",
        "measured",
        "measured / predicted",
        "with the fault: predicted",
        "measured",
        "measured / predicted",
        "time it should cost",
        "time it cost",
    )
    after = (
        "The last two columns are times with the fault over times without. Where packets are lost the prediction is an "
        "interval, and the ratio is given to both of its ends; inside allows for what the token bucket had saved."
    )
    counters = "What the counters of the links said in the runs with faults, everything from the rendezvous to the last check:"
    lines = [
        "# Four faults on the emulated fabric: predicted, then measured",
        where,
        f"    python benchmarks/emulated_faults.py --iterations {iterations}",
        what,
        "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines]),
        after,
        counters,
        "\n".join(notes),
    ]
    return "\n\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
