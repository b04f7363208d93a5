"""Synthetic output of OSU micro-benchmarks in every layout, written from the description of the format."""

from collections.abc import Sequence
from typing import Final

SIZES: Final = (1, 1024, 1 << 20)
WIDTH: Final = 20
NARROW: Final = 12
"""Columns of version 7 are 20 wide (iterations 12), those of version 5 about 18."""


def time_us(size: int) -> float:
    return round(1.25 + size / 100, 2)


def _cell(value: object, width: int) -> str:
    return f"{value:>{width}.2f}" if isinstance(value, float) else f"{value:>{width}}"


def row(size: int | None, cells: Sequence[object], *, width: int = WIDTH) -> str:
    """``size`` None: a barrier, whose first number is 17 wide."""
    first, rest = ("", cells) if size is None else (f"{size:<10}", cells)
    text = first
    for index, value in enumerate(rest):
        text += _cell(
            value, 17 if size is None and index == 0 else NARROW if isinstance(value, int) else width
        )
    return text


def header(titles: Sequence[str], *, has_size: bool = True) -> str:
    if not has_size:
        return "# " + "".join(f"{title:>{WIDTH}}" if index else title for index, title in enumerate(titles))
    return f"{'# Size':<10}" + "".join(
        f"{title:>{NARROW if title == 'Iterations' else WIDTH}}" for title in titles
    )


def collective(
    name: str = "Allreduce",
    *,
    library: str = "MPI",
    version: str = "7.4",
    dtypes: Sequence[str] = ("MPI_FLOAT",),
    is_full: bool = False,
    is_checked: bool = False,
    percentiles: Sequence[int] = (),
    is_derived: bool = False,
    failing: int | None = None,
) -> list[str]:
    """``failing``: the size at which the check fails, where the sweep ends with a message."""
    titles = ["Avg Latency(us)"]
    titles += ["Min Latency(us)", "Max Latency(us)", "Iterations"] if is_full else []
    titles += ["Validation"] if is_checked else []
    titles += [f"P{which} Tail Lat(us)" for which in percentiles]
    titles += ["Transmit Size"] if is_derived else []
    has_size = name != "Barrier"
    lines = ["", f"# OSU {library} {name} Latency Test v{version}"]
    for dtype in dtypes or ("",):
        lines += [f"# Datatype: {dtype}."] if dtype else []
        lines.append(header(titles, has_size=has_size))
        for size in SIZES if has_size else (None,):
            time = time_us(size or 0)
            cells: list[object] = [time]
            cells += [round(time * 0.8, 2), round(time * 1.6, 2), 1000] if is_full else []
            cells += [f"{'Fail' if size == failing else 'Pass':>{WIDTH}}"] if is_checked else []
            cells += [round(time * (1 + which / 100), 2) for which in percentiles]
            cells += [f"{(size or 0) // 2:>{WIDTH}}"] if is_derived else []
            lines.append(row(size, cells))
            if failing is not None and size == failing:
                lines.append(
                    f"DATA VALIDATION ERROR: ./osu_allreduce exited with status 1 on message size {size}."
                )
                return lines
    return lines


def non_blocking(name: str = "Allreduce", *, is_full: bool = False, is_old: bool = False) -> list[str]:
    """Overall 10 us more than the call alone; half of the call is hidden. ``is_old``: 5.x has no extreme ranks."""
    has_size = name != "Barrier"
    titles = ["Overall(us)", "Compute(us)"]
    titles += ["Coll. Init(us)", "MPI_Test(us)", "MPI_Wait(us)"] if is_full else []
    titles += ["Pure Comm.(us)"]
    titles += ["Min Comm.(us)", "Max Comm.(us)"] if is_full and not is_old else []
    titles += ["Overlap(%)"]
    lines = ["", f"# OSU MPI Non-blocking {name} Latency Test v{'5.6.3' if is_old else '7.4'}"]
    lines += ["# Overall = Coll. Init + Compute + MPI_Test + MPI_Wait", ""]
    lines += [] if is_old else ["# Datatype: MPI_CHAR."]
    lines.append(header(titles, has_size=has_size))
    for size in SIZES if has_size else (None,):
        pure = time_us(size or 0)
        cells: list[object] = [round(pure + 10.0, 2), round(pure * 1.1, 2)]
        cells += [0.5, 0.25, 2.0] if is_full else []
        cells += [pure]
        cells += [round(pure * 0.9, 2), round(pure * 1.2, 2)] if is_full and not is_old else []
        cells += [50.0]
        lines.append(row(size, cells))
    return lines


def latency(title: str = "MPI Latency", *, version: str = "7.4", settings: Sequence[str] = ()) -> list[str]:
    """Point-to-point and one-sided latencies begin at size 0 or 1 and have one column."""
    is_new = version.startswith("7")
    lines = [f"# OSU {title} Test v{version}", *settings]
    lines += ["# Datatype: MPI_CHAR."] if is_new else []
    lines.append(header(["Avg Latency(us)" if is_new else "Latency (us)"]))
    return lines + [row(size, [time_us(size)], width=18) for size in (0, *SIZES)]


def bandwidth(
    title: str = "MPI Bandwidth", *, version: str = "7.4", settings: Sequence[str] = ()
) -> list[str]:
    lines = [f"# OSU {title} Test v{version}", *settings, header(["Bandwidth (MB/s)"])]
    return lines + [row(size, [round(size / time_us(size), 2)]) for size in SIZES]


def message_rate(*, pairs: int = 4) -> list[str]:
    lines = [
        "# OSU MPI Multiple Bandwidth / Message Rate Test v7.4",
        f"# [ pairs: {pairs} ] [ window size: 64 ]",
    ]
    lines.append(header(["MB/s", "Messages/s"]))
    return lines + [row(size, [8.0 * size, 8.0e6]) for size in SIZES]


def varied_windows() -> list[str]:
    return [
        "# OSU MPI Multiple Bandwidth / Message Rate Test v5.6.3",
        "# [ pairs: 1 ] [ window size: varied ]",
        "",
        "# Uni-directional Bandwidth (MB/sec)",
        "#               8          16          32",
        "1            8.35        9.10        9.80",
        "2           16.70       18.20       19.60",
    ]


LAYOUTS: Final = {
    "collective": collective(),
    "collective 5.x": collective(version="5.6.2", dtypes=()),
    "several data types": collective(dtypes=("MPI_CHAR", "MPI_INT", "MPI_FLOAT")),
    "-f": collective(is_full=True),
    "-c": collective(is_checked=True),
    "percentiles": collective(percentiles=(50, 90, 99)),
    "derived type": collective(is_derived=True),
    "everything": collective(is_full=True, is_checked=True, percentiles=(50, 99), is_derived=True),
    "barrier": collective("Barrier", dtypes=()),
    "barrier -f": collective("Barrier", dtypes=(), is_full=True),
    "xccl": collective(library="NCCL-CUDA", dtypes=()),
    "non-blocking": non_blocking(),
    "non-blocking -f": non_blocking(is_full=True),
    "non-blocking 5.x -f": non_blocking(is_full=True, is_old=True),
    "non-blocking barrier": non_blocking("Barrier"),
    "persistent": collective("Allreduce Persistent"),
    "neighbourhood": collective("Neighborhood Allgather"),
    "latency": latency(),
    "latency 5.x": latency(version="5.6.2"),
    "bandwidth": bandwidth(),
    "both directions": bandwidth("MPI Bi-Directional Bandwidth"),
    "message rate": message_rate(),
    "put latency": latency(
        "MPI_Put Latency",
        version="5.8",
        settings=["# Window creation: MPI_Win_allocate", "# Synchronization: MPI_Win_flush"],
    ),
    "GPU latency": latency(
        "MPI-CUDA Latency", settings=["# Rank 0 Memory on DEVICE (D) and Rank 1 Memory on DEVICE (D)"]
    ),
}
"""Every layout that is read whole."""
