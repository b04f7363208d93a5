"""Synthetic logs of nccl-tests and its relatives, one for each layout since 2017, written from the description of the formats.

Times follow alpha + size / bandwidth, and bandwidths follow from times before anything is rounded, as in the programs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SIZES: Final = tuple(2**power for power in range(3, 31, 3))
_PROGRAMS: Final = {
    "all_reduce": "all_reduce_perf", "all_gather": "all_gather_perf", "reduce_scatter": "reduce_scatter_perf",
    "all_to_all": "alltoall_perf", "all_to_allv": "alltoallv_perf", "broadcast": "broadcast_perf", "reduce": "reduce_perf",
    "gather": "gather_perf", "scatter": "scatter_perf", "send_recv": "sendrecv_perf", "hypercube": "hypercube_perf",
}  # fmt: skip
COLLECTIVES: Final = tuple(_PROGRAMS)
COLLECTIVES_2019: Final = (
    "all_reduce", "all_gather", "reduce_scatter", "broadcast", "reduce", "all_to_all", "send_recv",
)  # fmt: skip
_OPERATORS: Final = {
    "all_reduce": "sum",
    "reduce_scatter": "sum",
    "reduce": "sum",
    "send_recv": "sum",
    "hypercube": "",
}
_ROOTED: Final = ("broadcast", "reduce", "gather", "scatter")
_UNCHECKED_IN_PLACE: Final = ("all_to_all", "send_recv")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One start of one test. ``times_s``: of the sizes, out of place; in place takes 1.01 of it."""

    collective: str = "all_reduce"
    num_ranks: int = 8
    num_hosts: int = 2
    num_groups: int = 1
    sizes: Sequence[int] = SIZES
    alpha_s: float = 12e-6
    bytes_per_s: float = 87.3e9
    is_checked: bool = True
    num_wrong: int = 0

    @property
    def program(self) -> str:
        return _PROGRAMS[self.collective]

    @property
    def factor(self) -> float:
        if self.collective in ("broadcast", "reduce", "send_recv", "hypercube"):
            return 1.0
        group_ranks = self.num_ranks // self.num_groups
        share = (group_ranks - 1) / group_ranks
        return 2 * share if self.collective == "all_reduce" else share

    def time_s(self, size: int, placement: int) -> float:
        return (self.alpha_s + size / self.bytes_per_s) * (1.0, 1.01)[placement]

    def bandwidths(self, size: int, placement: int) -> tuple[float, float]:
        moved = size * (self.num_ranks - 1) / self.num_ranks if self.collective == "hypercube" else size
        algbw = moved / self.time_s(size, placement) / 1e9
        return algbw, algbw * self.factor

    def wrong(self, placement: int) -> str:
        is_checked = self.is_checked and not (placement == 1 and self.collective in _UNCHECKED_IN_PLACE)
        return f"{self.num_wrong:g}" if is_checked else "N/A"


def shortened(value: float, width: int) -> str:
    """Since 2025-10: digits of the whole part decide: two decimals, one, none, then scientific."""
    digits = len(str(int(value))) if value >= 1 else 0
    if digits < width - 2:
        return f"{value:{width}.2f}"
    if digits < width - 1:
        return f"{value:{width}.1f}"
    if digits < width + 1:
        return f"{value:{width}.0f}"
    return f"{value:{width}.1e}" if width >= 7 else f"{value:{width}.0e}"


def stepped(time_us: float) -> str:
    """2019 to 2025."""
    return f"{time_us:7.0f}" if time_us >= 1e4 else f"{time_us:7.1f}" if time_us >= 100 else f"{time_us:7.2f}"


def devices(
    test: Job, *, has_group: bool = True, bus: str = "0000:{:02x}:00", has_pid: bool = True
) -> list[str]:
    per_host = max(1, test.num_ranks // test.num_hosts)
    lines = ["# Using devices"]
    for rank in range(test.num_ranks):
        group = f"Group {rank % test.num_groups:2d} " if has_group else ""
        pid = f"Pid {4000 + rank:6d} " if has_pid else ""
        host = f"node{rank // per_host}"
        identity = f"#  Rank {rank:2d} {group}{pid}on {host:>10} device {rank % per_host:2d} "
        lines.append(f"{identity}[{bus.format(rank % per_host + 1)}] NVIDIA H100 80GB HBM3")
    return lines


def configuration(test: Job, *, agg: bool = True, unalign: bool = True, iters: int = 20) -> str:
    text = (
        f"# nThread 1 nGpus 1 minBytes {min(test.sizes)} maxBytes {max(test.sizes)} step: 8(factor) warmup iters: 1 "
        f"iters: {iters} "
    )
    text += "agg iters: 1 " if agg else ""
    text += f"validation: {int(test.is_checked)} "
    text += "graph: 0 " if agg else ""
    return text + ("unalign: 0" if unalign else "")


def _common(test: Job, size: int, columns: Sequence[str]) -> str:
    operator = _OPERATORS.get(test.collective, "none")
    values = {
        "redop": f"{operator:>6}",
        "root": f"{0 if test.collective in _ROOTED else -1:6d}",
    }
    return f"{size:12d}  {size // 4:12d}  {'float':>8}" + "".join(f"  {values[name]}" for name in columns)


def current(
    test: Job = Job(),
    *,
    is_cpu_time: bool = False,
    has_stamps: bool = False,
    per_iteration: bool = False,
    has_memory: bool = False,
    json_file: str | None = None,
    blocking: str | None = None,
    has_footer: bool = True,
) -> str:
    """2.19.6: version line, names, -C, -S, -I, -M, -J, -z; 13, 15, 21 or 23 tokens."""
    lines = [f"# Writing JSON output to {json_file}"] if json_file else []
    lines += [
        "# nccl-tests version 2.19.6 nccl-headers=23102 nccl-library=22907",
        f"# Collective test starting: {test.program}",
        configuration(test),
    ]
    lines += [f"# Blocking Enabled: {blocking} "] if blocking else []
    if per_iteration:
        lines.append("# Per-Iteration Report: event timing; summary skips first 2 iterations")
    lines += ["#", *devices(test), "#"]
    time = "cputime" if is_cpu_time else "time"
    more = "    i_min    i_max    i_p99    i_cv%" if per_iteration else ""
    title = " (+ per-iteration)" if per_iteration else ""
    half = f"  {time:>7}   algbw   busbw  #wrong{more}"
    lines += [
        f"# {'':60}out-of-place{title}                       in-place{title}          ",
        f"#       size         count      type   redop    root{half}{half}"
        + ("  timestamp" if has_stamps else ""),
        "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)",
    ]
    for index, size in enumerate(test.sizes):
        line = _common(test, size, ("redop", "root"))
        for placement in (0, 1):
            time_us = test.time_s(size, placement) * 1e6
            algbw, busbw = test.bandwidths(size, placement)
            printed_us = time_us * (0.3 if is_cpu_time else 1)
            line += f"  {shortened(printed_us, 7)}  {shortened(algbw, 6)}  {shortened(busbw, 6)}  {test.wrong(placement):>6}"
            if per_iteration:
                for value in (time_us * 0.9, time_us * 1.2, time_us * 1.1, 7.25):
                    line += f"  {shortened(value, 7)}"
        lines.append(line + (f"  2026-07-09 10:00:{index:02d}" if has_stamps else ""))
    if has_footer:
        lines += footer(test, name=test.program, has_memory=has_memory)
    return "\n".join(lines) + "\n"


def footer(test: Job, *, name: str | None = None, has_memory: bool = False) -> list[str]:
    values = [test.bandwidths(size, placement)[1] for size in test.sizes for placement in (0, 1)]
    num_bad = 2 * len(test.sizes) if test.num_wrong else 0
    average = f"{sum(values) / len(values):g}" if values else "-nan"
    lines = [
        f"# Out of bounds values : {num_bad} {'FAILED' if num_bad else 'OK'}",
        f"# Avg bus bandwidth    : {average} ",
        "#",
    ]
    if name:
        lines.append(f"# Collective test concluded: {name}")
    if has_memory:
        lines.append("# GPU memory usage     : Init 1.20 GB | Run 512 MB | Total  1.70 GB")
    return [*lines, ""]


def since_2022(test: Job = Job(), *, has_group: bool = True, has_name: bool = False) -> str:
    """2022-08 to 2025-10: one header for all tests; times from 10,000 us without decimals; Group since 2022-09."""
    lines = [f"# Collective test starting: {test.program}"] if has_name else []
    lines += [
        configuration(test, unalign=False),
        "#",
        *devices(test, has_group=has_group, bus="0x{:02x}"),
        "#",
    ]
    lines += [
        "#                                                              out-of-place                       in-place          ",
        "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong",
        "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)       ",
    ]
    lines += _stepped_rows(test, ("redop", "root"), lambda placement: f"{test.wrong(placement):>5}")
    return "\n".join([*lines, *footer(test)]) + "\n"


def _stepped_rows(test: Job, columns: Sequence[str], last: Callable[[int], str]) -> list[str]:
    lines = []
    for size in test.sizes:
        line = _common(test, size, columns)
        for placement in (0, 1):
            algbw, busbw = test.bandwidths(size, placement)
            line += f"  {stepped(test.time_s(size, placement) * 1e6)}  {algbw:6.2f}  {busbw:6.2f}  {last(placement)}"
        lines.append(line)
    return lines


def since_2019(test: Job = Job()) -> str:
    """2019-03 to 2022-08: a header per test, ``error`` in place of #wrong, no Group; microseconds."""
    columns = [name for name in ("redop", "root") if name in _columns_2019(test.collective)]
    lines = [
        configuration(test, agg=False, unalign=False),
        "#",
        *devices(test, has_group=False, bus="0x{:02x}"),
        "#",
    ]
    names = "".join(f"  {name:>6}" for name in columns)
    half = "     time   algbw   busbw  error"
    lines += [
        f"# {'':40}out-of-place                       in-place          ",
        f"#       size         count      type{names}{half}{half}",
        f"#        (B)    (elements)          {' ' * 8 * len(columns)}     (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)",
    ]
    lines += _stepped_rows(
        test, columns, lambda placement: "  N/A" if test.wrong(placement) == "N/A" else "2e-07"
    )
    return "\n".join([*lines, *footer(test)]) + "\n"


def _columns_2019(collective: str) -> tuple[str, ...]:
    return {
        "all_reduce": ("redop",),
        "reduce_scatter": ("redop",),
        "reduce": ("redop", "root"),
        "broadcast": ("root",),
    }.get(collective, ())


def since_2017(test: Job = Job()) -> str:
    """2017 to 2019-03: bytes and N, milliseconds with three decimals, ``res``, a footer without #."""
    sizes = f"minBytes {min(test.sizes)} maxBytes {max(test.sizes)} step: 8(factor)"
    lines = [
        f"nThread 1 nGpus 8 {sizes} warmup iters: 5 iters: 20 validation: {int(test.is_checked)} ",
        "# NCCL Tests compiled with NCCL 2.1",
        *devices(test, has_group=False, bus="0x{:02x}", has_pid=False),
        "",
        "#                                                 out-of-place                    in-place",
        "#      bytes             N    type      op     time  algbw  busbw      res     time  algbw  busbw      res",
    ]
    for size in test.sizes:
        line = f"{size:12d}  {size // 4:12d}  {'float':>6}  {'sum':>6}"
        for placement in (0, 1):
            algbw, busbw = test.bandwidths(size, placement)
            residual = "N/A" if test.wrong(placement) == "N/A" else "1e-06"
            line += f"  {test.time_s(size, placement) * 1e3:7.3f}  {algbw:5.2f}  {busbw:5.2f}  {residual:>7}"
        lines.append(line)
    lines += [" Out of bounds values : 0 OK", " Avg bus bandwidth    : 12.3456", ""]
    return "\n".join(lines) + "\n"


def with_copybw(test: Job = Job(), *, per_half: bool = True) -> str:
    """2024-07 to 2025-09, a side branch: ``copybw`` and "# Base Copy BW"."""
    half = "     time   algbw   busbw" + ("  copybw" if per_half else "") + "  #wrong"
    lines = [configuration(test, unalign=False), "#", *devices(test), "# Base Copy BW: 2345.67 GB/s", "#"]
    lines += [
        f"# {'':50}out-of-place                       in-place          ",
        f"#       size         count      type   redop    root{half}{half}"
        + ("" if per_half else "  copybw"),
    ]
    for size in test.sizes:
        line = _common(test, size, ("redop", "root"))
        for placement in (0, 1):
            algbw, busbw = test.bandwidths(size, placement)
            copybw = f"  {2 * algbw:6.2f}" if per_half else ""
            line += f"  {stepped(test.time_s(size, placement) * 1e6)}  {algbw:6.2f}  {busbw:6.2f}{copybw}  {test.wrong(placement):>6}"
        lines.append(line + ("" if per_half else f"  {2 * algbw:6.2f}"))
    return "\n".join([*lines, *footer(test)]) + "\n"


def rccl(
    test: Job = Job(), *, only_in_place: bool = False, num_cycles: int = 1, has_name: bool = True
) -> str:
    """rccl-tests: a line without #, -O 0 with nine tokens, stress cycles, the note on asterisks."""
    lines = [f"# Collective test starting: {test.program}"] if has_name else []
    lines += [configuration(test, unalign=False), "#", "rccl-tests: Version develop:ae3e635"]
    lines += [line.replace("NVIDIA H100 80GB HBM3", "AMD Instinct MI300X") for line in devices(test)]
    lines += ["RCCL version : 2.26.6-HEAD:0123abc", "HIP version  : 7.0.5", "ROCm version : 7.0.1.0", "#"]
    half = "     time   algbw   busbw #wrong"
    both = "in-place" if only_in_place else "out-of-place                       in-place"
    lines += [
        f"# {'':60}{both}          ",
        f"#       size         count      type   redop    root{half}{'' if only_in_place else half}",
        "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)       ",
    ]
    for cycle in range(num_cycles):
        lines += [f"# Testing {cycle + 1} cycle."] if num_cycles > 1 else []
        for size in test.sizes:
            line = _common(test, size, ("redop", "root"))
            for placement in (1,) if only_in_place else (0, 1):
                algbw, busbw = test.bandwidths(size, placement)
                time = stepped(test.time_s(size, placement) * 1e6)
                line += f"  {time}  {algbw:6.2f}  {busbw:6.2f}  {test.wrong(placement):>5}"
            lines.append(line)
    asterisks = "# Errors with asterisks indicate errors that have exceeded the maximum threshold."
    lines += [asterisks] if test.is_checked else []
    return "\n".join([*lines, *footer(test, name=test.program if has_name else None)]) + "\n"


def nccom(test: Job = Job(), *, percentiles: Sequence[str] = (), is_binary: bool = False) -> str:
    """AWS nccom-test: no #, one half, whole microseconds and 2**30 byte/s at first, statistics by name later."""
    time = "time(us)" if is_binary else "time:avg(us)"
    more = "".join(f"    time:{name}(us)" for name in percentiles)
    lines = [
        f"nccom-test -r {test.num_ranks} -b 8 -e 1GB -f 8 -d fp32 allr",
        f"       size(B)    count(elems)    type    {time}{more}    algbw(GB/s)    busbw(GB/s)",
    ]
    for size in test.sizes:
        time_us = test.time_s(size, 0) * 1e6
        scale = 1e9 / 2**30 if is_binary else 1.0
        algbw, busbw = (scale * value for value in test.bandwidths(size, 0))
        text = f"{time_us:11.0f}" if is_binary else f"{time_us:11.2f}"
        text += "".join(f"  {time_us * 1.1:9.0f}" for _ in percentiles)
        lines.append(f"{size:14d}  {size // 4:12d}    fp32  {text}  {algbw:10.2f}  {busbw:10.2f}")
    lines.append("Avg bus bandwidth:\t12.3456GB/s")
    return "\n".join(lines) + "\n"
