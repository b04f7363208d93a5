r"""The algorithm, verified: which one NCCL chose for a call, from its own log.

NCCL writes its choice with NCCL_DEBUG=INFO and the subsystem TUNING: one line per call, from rank 0 of the communicator.
The forms below are the format strings of the released libraries (Linux wheels 2.18.3, 2.19.3, 2.20.5, 2.21.5, 2.22.3, 2.23.4,
2.24.3, 2.27.7, 2.28.9, 2.29.7, 2.30.7, 2.31.2 and 2.32.3 of nvidia-nccl-cu12), with the file of NVIDIA/nccl they are in:

2.18, 2.19      nothing; the line exists only in TRACE builds                                     src/enqueue.cc
2.20 to 2.22    `N Bytes -> Algo 1 proto 2 time 12.5`; 2.20 and 2.21 only if no tuner plugin chose    src/enqueue.cc
2.23            `AllGather: N Bytes -> Algo 1 proto 2 time 12.5`                                  src/enqueue.cc
2.24 to 2.30    `AllGather: N Bytes -> Algo RING proto SIMPLE channel{Lo..Hi}={0..23}`            src/enqueue.cc
2.31, 2.32      the same, and ` cgaClusterSize 4`                                                 src/enqueue/enqueue.cc
2.27            `AllGather [Symmetric]: N Bytes -> Kernel AllGather_LL nchannels 8 nthreads 512`, for buffers in symmetric
                memory; from every rank                                                           src/enqueue.cc
from 2.28       the same, and ` nWorks 1`                                       src/scheduler/symmetric_sched.cc
from 2.29       `AllGather [Copy Engine]: N Bytes -> cudaMemcpy`, from 2.30 also [Hierarchical CE]    src/ce_coll.cc

N is the larger of the two buffers in the forms with `time` (so the whole of all_gather and reduce_scatter: ncclInfoSetDerived
in src/include/info.h, ncclFuncMaxSendRecvCount later), and count x element size of the call in all others (so the share of one
rank). A group of several collectives is one line with their sum up to 2.23. The numbers are those of src/include/nccl_common.h:
Tree, Ring, CollNetDirect, CollNetChain, NVLS, NVLSTree, PAT (from 2.23), and LL, LL128, Simple. `time` is in us.

The subsystem COLL adds, on every rank, `AllGather: opCount 3 sendbuff 0x.. recvbuff 0x.. count 1024 datatype 7 op 0 root 0
comm 0x.. [nranks=8] stream 0x..`, which tells the function and the communicator that the choice does not name. INIT tells
version, communicators and transports. Sends and receives (all_to_all, send_recv, gather, scatter) have no choice and no line.

A line is one write(2) of the calling thread, per call: a logged pass verifies the algorithm, and another one measures latency.
"""

import os
import re
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

MAX_LOG_BYTES: Final = 2**28
"""What is read of a log: some 800 000 calls, which leave about 300 bytes each on rank 0. What lies beyond is counted."""

MAX_LINE_CHARS: Final = 4096
"""Prefix and format of a line fit 1024 bytes (src/debug.cc), and no form above comes near 4096 with its values."""

MAX_PREFIX_CHARS: Final = 128
"""Where host, process and thread are sought: a host name has at most 64 bytes (HOST_NAME_MAX), three numbers 10 each."""

MAX_WARNINGS: Final = 100
"""Different warnings that are kept: more of them than a reader takes in."""

_RECENT_CALLS: Final = 64
"""Calls of a process among which the one of a choice is sought: it is the last, or one of a group of a few."""

_NO_TIME_US: Final = 3.6e9
"""What NCCL starts its search with (src/enqueue.cc, `minTime`); 2.20 and 2.21 print it where a fallback was taken."""

_ALGORITHMS: Final = {
    "tree": "Tree",
    "ring": "Ring",
    "collnet_direct": "CollNetDirect",
    "collnet_chain": "CollNetChain",
    "nvls": "NVLS",
    "nvls_tree": "NVLSTree",
    "pat": "PAT",
}
_PROTOCOLS: Final = {"ll": "LL", "ll128": "LL128", "simple": "Simple"}
_OWN_NAMES: Final = {name.lower(): own for own, name in _ALGORITHMS.items()}

_FUNCTIONS: Final = {
    "all_reduce": "AllReduce",
    "all_gather": "AllGather",
    "reduce_scatter": "ReduceScatter",
    "broadcast": "Broadcast",
    "reduce": "Reduce",
}
CHOSEN_COLLECTIVES: Final = tuple(_FUNCTIONS)
"""Where NCCL chooses an algorithm; the others are groups of messages."""

_PER_RANK: Final = ("AllGather", "ReduceScatter")

_AVAILABLE: Final = {
    "all_reduce": ("tree", "ring", "collnet_direct", "collnet_chain", "nvls", "nvls_tree"),
    "all_gather": ("ring", "collnet_direct", "nvls", "pat"),
    "reduce_scatter": ("ring", "collnet_direct", "nvls", "pat"),
    "broadcast": ("ring",),
    "reduce": ("ring",),
}
"""Source: NVIDIA/nccl 2.24, src/graph/tuning.cc, ncclTopoTuneModel."""

_ELEMENT_BYTES: Final = dict(enumerate((1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1)))
"""By number of ncclDataType_t: int8, uint8, int32, uint32, int64, uint64, half, float, double, bfloat16, fp8 e4m3, fp8 e5m2.

Source: NVIDIA/nccl, src/nccl.h.in.
"""

_PROCESS: Final = re.compile(r"([\w.-]+:\d+):\d+ \[-?\d+\] $")  # host:pid:tid [device], before NCCL INFO
_VERSION: Final = re.compile(r"NCCL version (\d+\.\d+\.\d+\w*)\+\S+$")
_INIT: Final = re.compile(
    r"(?:\[Rank \d+\] )?(?:\w+ )?comm (0x[0-9a-f]+) rank (\d{1,9}) nranks (\d{1,9}) (.*)- Init (?:START|COMPLETE)"
)
_COMM_ID: Final = re.compile(r"\bcommId (0x[0-9a-f]+)")
_CALL: Final = re.compile(
    r"(\w+): opCount [0-9a-f]+ sendbuff \S+ recvbuff \S+ count (\d{1,18}) datatype (\d{1,3}) op -?\d+ root -?\d+ "
    r"comm \S+ \[nranks=(\d{1,9})\] stream \S+"
)
_TIMED: Final = re.compile(r"(?:(\w+): )?(\d{1,18}) Bytes -> Algo (\d) proto (\d) time (\d{1,18}\.\d+)")
_NAMED: Final = re.compile(
    r"(\w+): (\d{1,18}) Bytes -> Algo (\w+) proto (\w+) channel\{Lo\.\.Hi\}=\{(\d{1,4})\.\.(\d{1,4})\}"
    r"(?: cgaClusterSize -?\d+)?"
)
_SYMMETRIC: Final = re.compile(
    r"(\w+) \[Symmetric\]: (\d{1,18}) Bytes -> Kernel (\w+) nchannels (\d{1,4}) nthreads \d+(?: nWorks \d+)?"
    r"(?: cgaClusterSize -?\d+)?"
)
_COPY: Final = re.compile(r"(\w+) \[(Copy Engine|Hierarchical CE)\]: (\d{1,18}) Bytes -> (?:cudaMemcpy|R).*")
_TRANSPORT: Final = re.compile(r"(?:Channel|CollNet) .* via ((?:P2P|SHM|NET|COLLNET)/.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One choice, as often as it was made.

    Attributes:
        function: NCCL's name, "AllReduce"; None where neither the line nor a call before it tells.
        num_bytes: as the line says.
        message_bytes: as nccl-tests counts a message: the whole buffer of all_gather and reduce_scatter. None where the
            ranks of the communicator are not known.
        algorithm: "ring", ..., or "symmetric", "copy_engine", "hierarchical_ce".
        protocol: "ll", "ll128" or "simple"; the kernel of symmetric memory; None for copy engines.
        predicted_time_s: NCCL's own model (2.20 to 2.23).
        num_ranks: of the communicator; None where it is not known.
    """

    function: str | None
    num_bytes: int
    message_bytes: int | None
    algorithm: str
    protocol: str | None
    num_channels: int | None = None
    predicted_time_s: float | None = None
    num_ranks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NcclLog:
    """What a log says.

    Attributes:
        communicators: number of ranks by commId; by host, process and pointer where a split communicator has none (2.23 to
            2.30).
        choices: each once, in order of appearance.
        transports: sorted, without channels and devices: "NET/IB/GDRDMA", "P2P/CUMEM", "SHM", "NVLS".
        warnings: each once.
        num_garbled: lines about a call or a choice that fit no known form, and lines that ran into each other.
        num_unread: bytes, or characters of a text, beyond MAX_LOG_BYTES.
    """

    version: str | None
    communicators: Mapping[str, int]
    choices: tuple[Choice, ...]
    transports: tuple[str, ...]
    warnings: tuple[str, ...]
    num_garbled: int
    num_unread: int


def environment_for_logging(folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables to set in every rank before its first communicator, so that NCCL logs its choices to ``folder``.

    The folder must exist on every host; NCCL writes to stdout where it cannot open the file. What the user has set stays:

    NCCL_DEBUG set          nothing is returned, because the user reads that log where it now goes; without INFO it holds no
                            choice, and every algorithm stays unverified
    NCCL_DEBUG_SUBSYS set   stays; without TUNING there is no choice in the log
    NCCL_DEBUG_FILE set     stays, and ``folder`` stays empty

    What only a nccl.conf sets is overruled: NCCL takes the environment first (src/misc/param.cc).
    """
    environ = os.environ if environ is None else environ
    if "NCCL_DEBUG" in environ:
        return {}
    path = str(folder.absolute()).replace("%", "%%")  # NCCL expands %h and %p
    wanted = {
        "NCCL_DEBUG": "INFO",
        "NCCL_DEBUG_SUBSYS": "INIT,ENV,COLL,TUNING",  # INIT and ENV are what INFO means by itself
        "NCCL_DEBUG_FILE": f"{path}/nccl.%h.%p.log",
    }
    return {name: value for name, value in wanted.items() if name not in environ}


def environment_for_forcing(
    algorithm: str | None, protocol: str | None, *, collective: str | None = None
) -> dict[str, str]:
    """NCCL_ALGO and NCCL_PROTO that leave NCCL one choice, written as `chosen` writes it.

    With a collective the others stay free: NCCL_ALGO="allreduce:Tree", understood from 2.24 on; earlier versions pass over
    the word, which leaves no algorithm allowed. Without one all collectives are restricted, and from 2.24 on a
    collective that the algorithm does not exist for ends with ncclInvalidUsage (src/graph/tuning.cc, src/enqueue.cc). LL128
    on a machine that NCCL would not use it on can corrupt data.

    Raises:
        ValueError: NCCL has no such algorithm or protocol, or not for this collective.
    """
    if collective is not None and collective not in _FUNCTIONS:
        raise ValueError(
            f"collective is {collective!r}; NCCL chooses an algorithm only for {', '.join(_FUNCTIONS)}"
        )
    available = tuple(_ALGORITHMS) if collective is None else _AVAILABLE[collective]
    if algorithm is not None and algorithm not in available:
        where = "" if collective is None else f" for {collective}"
        raise ValueError(f"algorithm is {algorithm!r}; NCCL has{where}: {', '.join(available)}")
    if protocol is not None and protocol not in _PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}; NCCL has: {', '.join(_PROTOCOLS)}")
    if algorithm not in (None, "tree", "ring") and protocol not in (None, "simple"):
        raise ValueError(
            f"protocol is {protocol!r}; {algorithm} has only simple, so name that or ring or tree"
        )
    prefix = "" if collective is None else f"{_FUNCTIONS[collective].lower()}:"
    forced = {}
    if algorithm is not None:
        forced["NCCL_ALGO"] = prefix + _ALGORITHMS[algorithm]
    if protocol is not None:
        forced["NCCL_PROTO"] = prefix + _PROTOCOLS[protocol]
    return forced


def chosen(log: NcclLog, collective: str, num_bytes: int, num_ranks: int | None = None) -> str | None:
    """What NCCL chose for a message, 'ring/simple'; different choices are joined by ' or '. None: the log does not tell.

    ``num_bytes`` is linerate's message_bytes, nccl-tests' size. With ``num_ranks`` only communicators of that size count, and
    those whose size is not known.
    """
    function = _FUNCTIONS.get(collective)
    found = dict.fromkeys(
        f"{choice.algorithm}/{choice.protocol}" if choice.protocol else choice.algorithm
        for choice in log.choices
        if choice.function == function
        and choice.message_bytes == num_bytes
        and (num_ranks is None or choice.num_ranks in (None, num_ranks))
    )
    return " or ".join(found) if function and found else None


def read_folder(folder: Path) -> NcclLog:
    """The logs of all processes in a folder as one, at most MAX_LOG_BYTES of them, in order of their names."""
    texts: list[str] = []
    num_left, num_unread = MAX_LOG_BYTES, 0
    for path in sorted(folder.glob("nccl.*.log")):
        with path.open("rb") as stream:
            raw = stream.read(num_left)
        num_left -= len(raw)
        num_unread += max(0, path.stat().st_size - len(raw))
        texts.append(raw.decode(errors="replace"))
    return _Reader().read("\n".join(texts), num_unread)


def read_log(text: str) -> NcclLog:
    """Read the log of one process, or of several with their lines in any order. What is not NCCL's is passed over."""
    return _Reader().read(text[:MAX_LOG_BYTES], max(0, len(text) - MAX_LOG_BYTES))


class _Call(NamedTuple):
    """One line of the subsystem COLL: what was called; bytes of one rank, and of the larger of the two buffers."""

    function: str
    rank_bytes: int
    whole_bytes: int
    num_ranks: int


class _Reader:
    """State of one reading. Calls, and the sizes of communicators that it is rank 0 of, are kept by process ("host:pid")."""

    def __init__(self) -> None:
        self._version: str | None = None
        self._communicators: dict[str, int] = {}
        self._sizes_as_first: defaultdict[str, set[int]] = defaultdict(set)
        self._calls: defaultdict[str, deque[_Call]] = defaultdict(lambda: deque(maxlen=_RECENT_CALLS))
        self._choices: dict[Choice, None] = {}
        self._transports: set[str] = set()
        self._warnings: dict[str, None] = {}
        self._num_garbled = 0

    def read(self, text: str, num_unread: int) -> NcclLog:
        for line in re.finditer(r"[^\r\n]+", text):
            self._take_line(line[0])
        return NcclLog(
            version=self._version,
            communicators=self._communicators,
            choices=tuple(self._choices),
            transports=tuple(sorted(self._transports)),
            warnings=tuple(self._warnings)[:MAX_WARNINGS],
            num_garbled=self._num_garbled,
            num_unread=num_unread,
        )

    def _take_line(self, line: str) -> None:
        before, marker, message = line.partition("NCCL INFO ")
        process = _PROCESS.search(before[-MAX_PREFIX_CHARS:])
        is_torn = line.count("NCCL INFO ") + line.count("NCCL WARN ") > 1 or len(line) > MAX_LINE_CHARS
        if process and not is_torn:
            self._take_message(process[1], message)
        elif "NCCL WARN " in line and not is_torn:
            self._warnings[line.partition("NCCL WARN ")[2]] = None
        elif " Bytes -> " in line or ": opCount " in line or (is_torn and marker):
            self._num_garbled += 1
        if self._version is None and not is_torn and (found := _VERSION.search(line)):
            self._version = found[1]

    def _take_message(self, process: str, message: str) -> None:
        if " Bytes -> " in message:
            if choice := _choice(message):
                self._choices[self._completed(process, choice)] = None
            else:
                self._num_garbled += 1
        elif ": opCount " in message:
            if found := _CALL.match(message):
                num_ranks = int(found[4])
                rank_bytes = int(found[2]) * _ELEMENT_BYTES.get(int(found[3]), 0)
                whole_bytes = rank_bytes * (num_ranks if found[1] in _PER_RANK else 1)
                self._calls[process].append(_Call(found[1], rank_bytes, whole_bytes, num_ranks))
            else:
                self._num_garbled += 1
        elif found := _INIT.fullmatch(message):
            identity = _COMM_ID.search(found[4])
            self._communicators[identity[1] if identity else f"{process}:{found[1]}"] = int(found[3])
            if int(found[2]) == 0:
                self._sizes_as_first[process].add(int(found[3]))
        elif found := _TRANSPORT.fullmatch(message):
            self._transports.add(_transport(found[1]))
        elif message.startswith("NVLS comm 0x"):
            self._transports.add("NVLS")

    def _completed(self, process: str, choice: Choice) -> Choice:
        """With what the call before it tells; without one, what the communicators tell if they are all of one size."""
        function, num_ranks = choice.function, None
        sizes = self._sizes_as_first[process]
        if len(sizes) == 1:
            num_ranks = next(iter(sizes))
        for call in reversed(self._calls[process]):
            called_bytes = call.rank_bytes if choice.message_bytes is None else call.whole_bytes
            if called_bytes == choice.num_bytes and function in (None, call.function):
                function, num_ranks = call.function, call.num_ranks
                break
        message_bytes = choice.message_bytes
        if message_bytes is None and num_ranks is not None:
            message_bytes = choice.num_bytes * num_ranks
        return replace(choice, function=function, num_ranks=num_ranks, message_bytes=message_bytes)


def _choice(message: str) -> Choice | None:
    """What the line alone tells; ``message_bytes`` is None where it gives the bytes of one rank. None: no known form."""
    if found := _TIMED.fullmatch(message):
        algorithm, protocol, time_us = int(found[3]), int(found[4]), float(found[5])
        if algorithm >= len(_ALGORITHMS) or protocol >= len(_PROTOCOLS):
            return None
        return Choice(
            function=found[1],
            num_bytes=int(found[2]),
            message_bytes=int(found[2]),
            algorithm=tuple(_ALGORITHMS)[algorithm],
            protocol=tuple(_PROTOCOLS)[protocol],
            predicted_time_s=time_us * 1e-6 if time_us < _NO_TIME_US else None,
        )
    name: str
    kernel: str | None = None
    num_channels: int | None = None
    if found := _NAMED.fullmatch(message):
        digits, name, kernel = found[2], found[3].lower().replace("_", ""), found[4].lower()
        num_channels = int(found[6]) - int(found[5]) + 1
    elif found := _SYMMETRIC.fullmatch(message):
        digits, name, kernel, num_channels = found[2], "symmetric", found[3], int(found[4])
    elif found := _COPY.fullmatch(message):
        digits, name = found[3], found[2].lower().replace(" ", "_")
    else:
        return None
    return Choice(
        function=found[1],
        num_bytes=int(digits),
        message_bytes=None if found[1] in _PER_RANK else int(digits),
        algorithm=_OWN_NAMES.get(name, name),
        protocol=kernel,
        num_channels=num_channels,
    )


def _transport(path: str) -> str:
    """'NET/IB/0(3)/GDRDMA/Shared' to 'NET/IB/GDRDMA', 'P2P/CUMEM/read' to 'P2P/CUMEM', 'SHM/direct/direct' to 'SHM'."""
    kind, name, *rest = path.split("/")
    if kind == "SHM":
        return kind
    return f"{kind}/{name}/GDRDMA" if any(part.startswith("GDRDMA") for part in rest) else f"{kind}/{name}"
