"""How fast the model predicts: a million points at once beside one after another, and 131,072 GPUs at every size.

    python benchmarks/model_speed.py [--points 1000000] [--out docs/measured/model-speed.md]

Random sizes (1 KiB to 16 GiB) and numbers of hosts (1 to 16384), one set for each schedule. A loop of `predict` over some of the
same points, before and after the whole array, gives its time per point in the same process; what both say must be equal.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the linerate of this checkout is measured

from bench.expect import published_experience
from bench.model.batch import Batch, predict_many
from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Network
from bench.model.gpu import GPUS
from bench.model.held_out import Experience
from bench.model.predict import predict
from bench.model.schedule import SCHEDULES, Schedule
from benchmarks.costs.report import interval, markdown, origin

TARGET_S: Final = 2.0
"""For a million points of any schedule, so that a planner may compare a thousand fabrics at a thousand sizes while one looks on."""

RANKS_PER_HOST: Final = 8
PORT_BYTES_PER_S: Final = 49.02e9
"""400 Gb/s in RoCEv2 packets of 4096 bytes, as a DGX H100 has eight; its NVLink is nominally 450 GB/s."""
NVLINK_BYTES_PER_S: Final = 450e9
HOSTS_PER_LEAF: Final = 32
OVERSUBSCRIPTION: Final = 2.0
MOST_HOSTS: Final = 16384
"""131,072 GPUs."""

HEADER: Final = (
    "collective",
    "schedule",
    "{points} at once",
    "of them, a loop",
    "ratio",
    "95 % interval",
    "met",
)

Array = npt.NDArray[np.float64]
Pair = tuple[Collective, Schedule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One schedule. ``batch_s``: of all points, per repetition; ``loop_s``: of one point, in the loops around it."""

    pair: Pair
    num_points: int
    batch_s: tuple[float, ...]
    loop_s: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Loop over array, per point, in each repetition."""
        return [one / (many / self.num_points) for one, many in zip(self.loop_s, self.batch_s, strict=True)]

    @property
    def is_met(self) -> bool:
        return median(self.batch_s) * 1e6 / self.num_points <= TARGET_S

    @property
    def cells(self) -> tuple[str, ...]:
        ends = interval(self.ratios)
        return (
            self.pair[0].value,
            self.pair[1].value,
            f"{median(self.batch_s):.2f} s",
            f"{median(self.loop_s) * 1e6:.0f} us each",
            f"{median(self.ratios):.0f}",
            "" if ends is None else f"{ends[0]:.0f} to {ends[1]:.0f}",
            "yes" if self.is_met else "no",
        )


def main() -> int:
    """Measure; exit status 1 where a target is missed."""
    options = _options()
    below = origin("model_speed.py")
    known = published_experience()
    speeds = []
    for number, pair in enumerate(pairs()):
        speed = measure(pair, known, options.points, options.sample, options.repetitions, seed=number)
        speeds.append(speed)
        print(f"{pair[0].value} {pair[1].value}: {median(speed.batch_s):.2f} s", file=sys.stderr)
    rows = [speed.cells for speed in speeds]
    header = [cell.format(points=f"{options.points:,}") for cell in HEADER]
    text = markdown("How fast the model predicts", _method(options), header, rows, below())
    text += "\n" + _largest(known, options.repetitions)
    print(text, end="")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 0 if all(speed.is_met for speed in speeds) else 1


def pairs() -> Iterator[Pair]:
    """Every collective with each of its schedules; shares of an all_to_allv are a matrix when predicted one by one."""
    for collective, known in SCHEDULES.items():
        if collective is not Collective.all_to_allv:
            yield from ((collective, schedule) for schedule in known)


def measure(
    pair: Pair, known: Experience, num_points: int, num_sampled: int, num_repetitions: int, seed: int
) -> Speed:
    """Loop, array, loop in each repetition; the loop's time is the mean of both, so that slow drifts cancel."""
    sizes, hosts = draw(num_points, seed)
    sampled = [(int(sizes[i]), int(hosts[i])) for i in range(num_sampled)]
    networks = {num_hosts: network_of(num_hosts) for _, num_hosts in sampled}
    batch_s, loop_s = [], []

    def loop() -> list[float | None]:
        found = []
        for size, num_hosts in sampled:
            spec = CollectiveSpec(
                collective=pair[0], num_ranks=num_hosts * RANKS_PER_HOST, message_bytes=size
            )
            found.append(predict(spec, networks[num_hosts], pair[1], known).duration_s)
        return found

    def batch() -> Batch:
        return predict_many(*pair, message_bytes=sizes, num_hosts=hosts, known=known, **common(pair[0]))

    check(loop(), batch())
    for _ in range(num_repetitions):
        before_s, whole_s, after_s = (timed(work) for work in (loop, batch, loop))
        batch_s.append(whole_s)
        loop_s.append((before_s + after_s) / 2 / num_sampled)
    return Speed(pair=pair, num_points=num_points, batch_s=tuple(batch_s), loop_s=tuple(loop_s))


def draw(num_points: int, seed: int) -> tuple[Array, Array]:
    """Sizes and hosts, both as often in each octave. Whole bytes, so that both ways get the same."""
    generator = np.random.default_rng(seed)
    sizes = np.floor(2 ** generator.uniform(10, 34, num_points))
    hosts = np.floor(2 ** generator.uniform(0, np.log2(MOST_HOSTS + 1), num_points))
    return sizes, hosts


def network_of(num_hosts: int) -> Network:
    return Network(
        num_hosts=num_hosts,
        ranks_per_host=RANKS_PER_HOST,
        ports_per_host=RANKS_PER_HOST,
        port_bytes_per_s={"optics": PORT_BYTES_PER_S, "nic": PORT_BYTES_PER_S},
        spine_bytes_per_s=PORT_BYTES_PER_S / OVERSUBSCRIPTION,
        hosts_per_leaf=HOSTS_PER_LEAF,
        nvlink_bytes_per_s=NVLINK_BYTES_PER_S,
        gpu=GPUS["H100"],
        has_nvls=True,
    )


def common(collective: Collective) -> dict[str, Any]:
    """The same network for `predict_many`."""
    ports = 1 if collective is Collective.send_recv else RANKS_PER_HOST
    return {
        "ranks_per_host": RANKS_PER_HOST,
        "host_bytes_per_s": PORT_BYTES_PER_S * ports,
        "nvlink_bytes_per_s": NVLINK_BYTES_PER_S,
        "hosts_per_leaf": HOSTS_PER_LEAF,
        "oversubscription": OVERSUBSCRIPTION,
        "gpu": GPUS["H100"],
    }


def check(alone: list[float | None], together: Batch) -> None:
    """Two ways that differ would not be worth comparing."""
    expected = np.array([np.nan if duration_s is None else duration_s for duration_s in alone])
    np.testing.assert_allclose(together.duration_s[: len(alone)], expected, rtol=1e-9)


def timed(work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def _largest(known: Experience, num_repetitions: int) -> str:
    """131,072 GPUs, sizes 1 KiB to 16 GiB by 2, all schedules: at once, and one after another."""
    sizes = 2.0 ** np.arange(10, 35)
    network = network_of(MOST_HOSTS)

    def batches() -> None:
        for pair in pairs():
            predict_many(*pair, message_bytes=sizes, num_hosts=MOST_HOSTS, known=known, **common(pair[0]))

    def loops() -> None:
        for collective, schedule in pairs():
            for size in sizes:
                spec = CollectiveSpec(
                    collective=collective, num_ranks=network.num_ranks, message_bytes=int(size)
                )
                predict(spec, network, schedule, known)

    seconds = [(timed(loops), timed(batches)) for _ in range(num_repetitions)]
    loop_s, batch_s = (median(values) for values in zip(*seconds, strict=True))
    num_points = len(sizes) * sum(1 for _ in pairs())
    return (
        f"131,072 GPUs, {len(sizes)} sizes from 1 KiB to 16 GiB, every collective with each schedule, {num_points} points: "
        f"{batch_s * 1e3:.0f} ms in one call for each schedule, {loop_s * 1e3:.0f} ms one after another.\n"
    )


def _method(options: argparse.Namespace) -> str:
    return (
        f"Medians of {options.repetitions} repetitions: {options.points:,} points in one call of `predict_many`, between two "
        f"loops of `predict` over {options.sample} of them. Ratio: time of one point in the loop over that of one point in "
        f"the call. Met: at most {TARGET_S:g} s for a million. One thread."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--points", type=int, default=1_000_000, metavar="N", help="of each schedule")
    add("--sample", type=int, default=500, metavar="N", help="points of each loop")
    add("--repetitions", type=int, default=7, metavar="N", help="an interval needs 6")
    add("--out", type=Path, metavar="FILE.md", help="also write the table there")
    options = parser.parse_args()
    if not 0 < options.sample <= options.points or options.repetitions < 1:
        parser.error("--sample must be above 0 and at most --points, --repetitions 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
