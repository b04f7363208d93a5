"""`nccl_table`: a run in the text layout of nccl-tests, for the parsers and baselines that people already have.

Which time is printed. linerate's headline is the median over iterations of the slowest rank; nccl-tests' default (-a 1) is
the mean over ranks of each rank's mean over its loop. The column holds the latter (``time_mean_rank_mean_s``), because
whoever reads this layout compares it with a stored log of nccl-tests: another statistic in the same column would be a
change that nobody sees. It hides a slow rank, so a comment names it and says how far the headline lies from it. What no
statistic can repair is said as well: linerate brings the ranks together before each call, nccl-tests calls back to back.

What failed. Wrong data keep the time that was measured and get a bandwidth of 0.00, since nothing of use was carried;
``#wrong`` holds their count and the footer says FAILED. A point without a result has no row, as it would have none there,
and counts in the footer too, which must not say OK of a run that lacks points.

Source:
    Layout, widths and shortening: NVIDIA/nccl-tests a0b82b2 (2.19.6), src/util.cu. Counts, operators and roots: the
    ``GetCollByteCount`` and ``RunTest`` functions of its src/*.cu. Footer: src/common.cu, ``errors`` and ``bw``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from bench.model import units
from bench.model.collective import TRAITS, Collective
from bench.model.datatype import DATA_TYPES
from bench.record import RunManifest
from bench.summary import SummaryRow

LAYOUT_VERSION: Final = "2.19.6"

MEAN: Final = "time_mean_rank_mean_s"
HEADLINE: Final = "time_s"
_STATISTICS: Final = {
    MEAN: "mean over ranks of each rank's mean over iterations, as nccl-tests -a 1 prints",
    HEADLINE: "median over iterations of the slowest rank, which nccl-tests does not print; no means were recorded",
}
_MICROSECONDS: Final = 1e6

PROGRAMS: Final = {
    Collective.all_reduce: "all_reduce_perf", Collective.all_gather: "all_gather_perf",
    Collective.reduce_scatter: "reduce_scatter_perf", Collective.all_to_all: "alltoall_perf",
    Collective.all_to_allv: "alltoallv_perf", Collective.broadcast: "broadcast_perf", Collective.reduce: "reduce_perf",
    Collective.gather: "gather_perf", Collective.scatter: "scatter_perf", Collective.send_recv: "sendrecv_perf",
}  # fmt: skip
"""Programs of nccl-tests; it has none for the others, which print under their own name."""

TYPE_NAMES: Final = {
    "float64": "double", "float32": "float", "float16": "half", "float8_e4m3fn": "f8e4m3", "float8_e5m2": "f8e5m2",
}  # fmt: skip
"""Types that nccl-tests calls otherwise than torch does."""

_series: Final = attrgetter(
    "measure_pass", "collective", "algorithm", "dtype", "reduce_op", "group", "num_ranks"
)


def nccl_table(manifest: RunManifest, rows: Sequence[SummaryRow]) -> str:
    """One table for each collective, algorithm, type, operator, pass and group, like several programs run in turn.

    Tables of the latency pass come first; each names its pass. Of several attempts at a point the last one is printed.
    Points of the overlap pass have no place in this layout; a comment counts them.
    """
    last: dict[str, SummaryRow] = {}
    for row in rows:
        if row.point_id not in last or row.attempt >= last[row.point_id].attempt:
            last[row.point_id] = row
    tables: dict[tuple[Any, ...], list[SummaryRow]] = {}
    overlapped = [row for row in last.values() if row.measure_pass == "overlap"]
    for row in last.values():
        if row.measure_pass != "overlap":
            tables.setdefault(_series(row), []).append(row)
    ordered = sorted(tables.values(), key=lambda table: table[0].measure_pass != "latency")
    text = "".join(_table(manifest, table, len(rows) - len(last)) for table in ordered)
    if not tables:
        text = f"{_version(manifest)}\n# linerate: no point to print has been measured\n"
    if overlapped:
        num_failed = sum(row.status != "complete" for row in overlapped)
        text += (
            f"# linerate: {len(overlapped)} points of pass overlap are left out, since their durations hold a computation "
            f"({num_failed} failed; see summary.csv)\n"
        )
    return text


def shortened(value: float, width: int) -> str:
    """A number in ``width`` characters as nccl-tests shortens it: two decimals, one, none, then scientific."""
    for decimals in (2, 1, 0):
        text = f"{value:{width}.{decimals}f}"
        if len(text) <= width:
            return text
    return f"{value:{width}.1e}" if width >= 7 else f"{value:{width}.0e}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """One placement of one row, as printed. Bandwidths are in 10**9 byte/s."""

    time_s: float
    algbw_gbytes_per_s: float
    busbw_gbytes_per_s: float
    num_wrong: int | None

    def text(self, *, is_measured: bool) -> str:
        numbers = (
            f"  {shortened(self.time_s * _MICROSECONDS, 7)}  {shortened(self.algbw_gbytes_per_s, 6)}"
            f"  {shortened(self.busbw_gbytes_per_s, 6)}"
        )
        is_checked = is_measured and self.num_wrong is not None
        return f"{numbers}  {self.num_wrong:6g}" if is_checked else f"{numbers}    N/A"


def _half(row: SummaryRow, statistic: str) -> _Half | None:
    """None where the point has no result. busbw = bus_factor x size / time, with the time that is printed."""
    time_s: float | None = getattr(row, statistic)
    has_rate = row.algbw_gbytes_per_s is not None or row.message_bytes == 0
    is_valid = has_rate and not row.num_wrong_elements and row.status == "complete"
    if time_s is None or not (is_valid or row.num_wrong_elements):
        return None
    algbw = units.gbytes_per_s(row.message_bytes / time_s) if is_valid else 0.0
    return _Half(
        time_s=time_s,
        algbw_gbytes_per_s=algbw,
        busbw_gbytes_per_s=(row.bus_factor or 0.0) * algbw,
        num_wrong=row.num_wrong_elements,
    )


def _table(manifest: RunManifest, rows: list[SummaryRow], num_left_out: int) -> str:
    first, collective = rows[0], Collective(rows[0].collective)
    program = PROGRAMS.get(collective, collective.value)
    statistic = MEAN if all(row.time_mean_rank_mean_s or row.time_s is None for row in rows) else HEADLINE
    by_size: dict[int, dict[str, _Half]] = {}
    lost = []
    for row in sorted(rows, key=lambda row: row.message_bytes):
        half = _half(row, statistic)
        if half is None:
            lost.append(f"{row.point_id} has no result ({row.status}): no row, counted as failed below")
        else:
            by_size.setdefault(row.message_bytes, {})[row.placement] = half
    body, busbw = [], []
    for size, halves in by_size.items():
        text = _preamble(first, collective, size)
        for placement, other in (("out_of_place", "in_place"), ("in_place", "out_of_place")):
            half = halves.get(placement) or halves[other]
            text += half.text(is_measured=placement in halves)
            busbw.append(half.busbw_gbytes_per_s)
        body.append(text)
    num_wrong = sum(bool(half.num_wrong) for halves in by_size.values() for half in halves.values())
    num_failed = num_wrong + len(lost)
    notes = _notes(manifest, rows, statistic) + _placement_notes(by_size) + lost
    if num_left_out:
        notes.append(
            f"{num_left_out} earlier attempts at points of this run are left out (see records.jsonl)"
        )
    lines = [
        _version(manifest),
        f"# Collective test starting: {program}",
        _configuration(manifest, rows),
        *(f"# linerate: {note}" for note in notes),
        "#",
        "# Using devices",
        *_devices(manifest, first.group),
        "#",
        *_header(),
        *body,
        f"# {'Out of bounds values':<20} : {num_failed} {'FAILED' if num_failed else 'OK'}",
        # Theirs is a mean over rows and placements alike; the blank at the end is theirs, too.
        f"# {'Avg bus bandwidth':<20} : {sum(busbw) / len(busbw) if busbw else float('nan'):g} ",
        "#",
        f"# Collective test concluded: {program}",
        "#",
        "",
    ]
    return "\n".join(lines) + "\n"


def _version(manifest: RunManifest) -> str:
    version, nccl = manifest.versions.get("linerate", "unknown"), manifest.versions.get("nccl")
    text = f"# linerate {version} in the text layout of nccl-tests {LAYOUT_VERSION}"
    return text if nccl is None else f"{text}, NCCL {nccl}"


def _configuration(manifest: RunManifest, rows: list[SummaryRow]) -> str:
    """-1: the run does not say. A list of sizes has no step, which prints as 0 bytes; graph is 1 in the graph pass."""
    sizes, timing = manifest.config.get("sizes", {}), manifest.config.get("timing", {})
    is_list = sizes.get("factor") is None or sizes.get("list_bytes") is not None
    step = "0(bytes)" if is_list else f"{sizes['factor']}(factor)"
    messages = [row.message_bytes for row in rows]
    return (
        f"# nThread 1 nGpus 1 minBytes {min(messages)} maxBytes {max(messages)} step: {step} "
        f"warmup iters: {timing.get('num_warmups', -1)} iters: {min(row.num_samples for row in rows)} agg iters: 1 "
        f"validation: {int(any(row.num_wrong_elements is not None for row in rows))} "
        f"graph: {int(rows[0].measure_pass == 'graph')} unalign: 0"
    )


def _notes(manifest: RunManifest, rows: list[SummaryRow], statistic: str) -> list[str]:
    """What else is to be known. Notes avoid the words of header and footer, by which parsers find their place."""
    first = rows[0]
    schedule = f"{first.collective}, algorithm {first.algorithm} ({first.algorithm_source})"
    group = f"group {first.group} of {first.num_ranks} ranks"
    notes = [
        f"{schedule}, pass {first.measure_pass}, {group}, backend {first.backend}",
        f"durations: {_STATISTICS[statistic]}",
    ]
    ratios = [
        row.time_s / row.time_mean_rank_mean_s for row in rows if row.time_s and row.time_mean_rank_mean_s
    ]
    if statistic == MEAN and ratios:
        notes.append(
            "the headline of linerate, the median over iterations of the slowest rank, lies at "
            f"{min(ratios):.2f} to {max(ratios):.2f} times that"
        )
    if first.measure_pass in ("latency", "cold"):
        notes.append(
            "ranks are brought together before each call; nccl-tests calls back to back, as pass bandwidth"
        )
    samples = [row.num_samples for row in rows]
    if min(samples) != max(samples):
        notes.append(f"{min(samples)} to {max(samples)} iterations per row")
    if manifest.time_scale:
        notes.append(
            f"{manifest.transceiver} links emulated at 1/{manifest.time_scale:g}, nothing scaled back; digits that are cut "
            "off here are in summary.csv"
        )
    if Collective(first.collective) not in PROGRAMS:
        notes.append(f"nccl-tests has no program for {first.collective}")
    notes.append("process and bus numbers of the devices are not recorded and print as 0")
    return notes


def _placement_notes(by_size: dict[int, dict[str, _Half]]) -> list[str]:
    alone = Counter(next(iter(halves)) for halves in by_size.values() if len(halves) == 1)
    return [
        f"{num} of {len(by_size)} rows have the placement {name} only: both halves hold it, and what was wrong is N/A "
        "in the half that was not measured"
        for name, num in alone.items()
    ]


def _devices(manifest: RunManifest, group: str) -> list[str]:
    """One line per rank of the group; rail/3 prints as group 3. Devices count the ranks of a host, from 0."""
    members = set(manifest.groups.get(group, [rank["rank"] for rank in manifest.ranks]))
    number = group.rpartition("/")[2]
    has_gpus = manifest.backend == "nccl" or manifest.config.get("device") == "cuda"
    on_host: Counter[str] = Counter()
    lines = []
    for rank in manifest.ranks:
        host = str(rank["host"])
        if rank["rank"] in members:
            lines.append(
                f"#  Rank {rank['rank']:2d} Group {int(number) if number.isdigit() else 0:2d} Pid {0:6d} on {host:>10} "
                f"device {on_host[host]:2d} [0000:00:00] {rank.get('device_name') or ('GPU' if has_gpus else 'CPU')}"
            )
        on_host[host] += 1
    return lines


def _header() -> list[str]:
    def line(shared: tuple[str, ...], half: tuple[str, ...]) -> str:
        left = "  ".join(f"{text:>{width}}" for text, width in zip(shared, (10, 12, 8, 6, 6), strict=True))
        right = "".join(f"  {text:>{width}}" for text, width in zip(half, (7, 6, 6, 6), strict=True))
        return f"# {left}{right}{right} "

    return [
        f"# {'':50}           out-of-place                       in-place          ",
        line(("size", "count", "type", "redop", "root"), ("time", "algbw", "busbw", "#wrong")),
        line(("(B)", "(elements)", "", "", ""), ("(us)", "(GB/s)", "(GB/s)", "")),
    ]


def _preamble(row: SummaryRow, collective: Collective, message_bytes: int) -> str:
    """count is what a rank exchanges with each other one where each has a block of its own; sendrecv prints an operator
    that it does not use, by default sum."""
    item_bytes, traits = DATA_TYPES[row.dtype].num_bytes, TRAITS[collective]
    is_per_rank = traits.is_per_rank or collective is Collective.all_to_allv
    count = message_bytes // item_bytes // (row.num_ranks or 1 if is_per_rank else 1)
    operator = row.reduce_op or ("sum" if collective is Collective.send_recv else "none")
    root = 0 if traits.has_root else -1
    return f"{message_bytes:12d}  {count:12d}  {TYPE_NAMES.get(row.dtype, row.dtype):>8}  {operator:>6}  {root:6d}"
