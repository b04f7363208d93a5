"""`ForeignLog`: what a log of another benchmark holds, before it becomes records. Nothing in it is computed or guessed.

SI units throughout: readers convert what a program prints, and keep how far it was rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A number as it was printed, and the interval of numbers that print alike.

    A number that was stored in full precision (JSON) has ``low == value == high``.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measurement of one row: nccl-tests has two (out of place, in place), OSU one.

    Attributes:
        placement: ``out_of_place`` or ``in_place``.
        time_s: of one call. None where the program printed none, or one that is no positive, finite number.
        statistic: what ``time_s`` is, in words; one of the constants of `bench.reported` where it is one of those.
        algbw_bytes_per_s, busbw_bytes_per_s: as printed; None where not printed, or for one rank (undefined there).
        num_wrong_elements: None where nothing was checked.
        iterations_s: time of each iteration, the maximum over processes, without skipped ones; () where not told.
        per_process_s: the same, one row per process; () where not told.
        statistics: further numbers by name (``min_s``, ``max_s``, ``p50_s``, ``p95_s``, ``p99_s``, ``mean_s``, ``stdev_s``,
            ``cv``), and for OSU ``rank_min_s``, ``rank_max_s``, ``overall_s``, ``compute_s``, ``pure_comm_s``, ``overlap``.
        statistics_of: what ``min_s`` to ``cv`` were taken over: ``iterations of the maximum over processes`` (nccl-tests -I),
            ``iterations of the mean over ranks`` (OSU); None without any.
        num_iterations: that the time rests on; None where not told.
        notes: what is odd: size over time that contradicts algbw, a time of zero, a number that is none.
    """

    placement: str
    time_s: Printed | None
    statistic: str
    algbw_bytes_per_s: Printed | None = None
    busbw_bytes_per_s: Printed | None = None
    num_wrong_elements: int | None = None
    iterations_s: tuple[float, ...] = ()
    per_process_s: tuple[tuple[float, ...], ...] = ()
    statistics: Mapping[str, float] = field(default_factory=dict)
    statistics_of: str | None = None
    num_iterations: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPoint:
    """One row.

    Attributes:
        line: in the file, counted from 1; None in JSON.
        collective: linerate's spelling (``all_reduce``), or the program's own where linerate has none (``hypercube``).
        message_bytes: nccl-tests' size: OSU's size per peer times the ranks where OSU counts per peer. None where that needs
            a number of ranks that is not known; ``printed_bytes`` is what the program printed.
        dtype: torch's name (``float32``), or the program's where torch has none. None where not told.
        reduce_op: ``sum``, ``prod``, ``min``, ``max``, ``avg`` ...; None where nothing is reduced.
        root: -1 and all as printed; None where not told.
        measure_pass: ``latency`` for OSU (a barrier after every call), ``bandwidth`` for nccl-tests (calls back to back),
            ``overlap`` for OSU's non-blocking collectives.
    """

    line: int | None
    collective: str
    printed_bytes: int
    message_bytes: int | None
    count: int | None
    dtype: str | None
    reduce_op: str | None
    root: int | None
    measure_pass: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One line below "Using devices". None: not told."""

    rank: int
    group: int | None
    pid: int | None
    host: str | None
    device: int | None
    bus_id: str | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTable:
    """One start of one program: a header, its rows, its footer. A file may hold several.

    Attributes:
        program: ``all_reduce_perf``, ``OSU MPI Allreduce Latency Test``; None where not told.
        family: ``nccl-tests``, ``rccl-tests``, ``osu``, ``nccom-test``.
        layout: which layout it was, for the report: ``nccl-tests text, 13 tokens``.
        library: ``nccl``, ``rccl``, ``mpi``, or what the program runs on.
        devices: as far as they are listed; text cuts the lines of a process at 2048 characters, JSON lists one per process.
        num_ranks: None where it cannot be known.
        num_ranks_source: ``devices``, ``inferred`` (from busbw over algbw), ``given`` (a command in the log, or the user),
            ``columns`` (of rccl's tables), ``program`` (OSU's tests of two ranks); None with num_ranks.
        group_ranks: ranks of one group where the run was split (NCCL_TESTS_SPLIT): what num_ranks of a point is then.
        settings: what the program was told (``iterations``, ``warmup_iterations``, ``aggregated_iterations``, ``validation``,
            ``graph``, ``blocking``, ``average``, ``step_factor``, ``min_bytes``, ...), numbers as numbers.
        versions: ``nccl-tests``, ``nccl``, ``nccl_headers``, ``osu`` ...
        environment: of JSON's env[] only what `bench.environment.allowed` lets through.
        out_of_bounds: of the footer; None where not told. average_busbw_gbytes_per_s: carried along, never used.
        is_complete: header and footer are there. why_partial: what is missing.
        started, ended: as printed; None where not told.
    """

    program: str | None
    family: str
    layout: str
    library: str
    points: tuple[ForeignPoint, ...]
    devices: tuple[Device, ...] = ()
    num_ranks: int | None = None
    num_ranks_source: str | None = None
    group_ranks: int | None = None
    settings: Mapping[str, int | float | str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    out_of_bounds: int | None = None
    average_busbw_gbytes_per_s: float | None = None
    is_complete: bool = True
    why_partial: str | None = None
    started: str | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Lines that were not understood: ``first_line`` to ``last_line``, counted from 1 (JSON: 0), and why.

    ``excerpt``: the beginning of a line that looks like one of the benchmark's own, so that a reader sees what the importer
    lacks. None for anything else: a log may hold an environment, and that is nobody's to copy.
    """

    first_line: int
    last_line: int
    reason: str
    excerpt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A warning or an error that the log holds: NCCL WARN, a failed test, a time-out of the network."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLog:
    """One file.

    Attributes:
        lines: how many lines were taken for what (``row``, ``header``, ``footer``, ``device``, ``settings``, ``comment``,
            ``blank``, ``warning``, ``json``, ``other program``, ``not understood``); they add up to the lines of the file.
        unread: every line of ``not understood`` and ``other program``, in ranges.
    """

    format: str
    tables: tuple[ForeignTable, ...]
    lines: Mapping[str, int]
    unread: tuple[Unread, ...]
    warnings: tuple[Warned, ...]
