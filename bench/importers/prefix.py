"""`stripped_lines`: the lines of a log without what launchers, schedulers and terminals put around them.

Several processes may print into one file. Where a launcher names the process in front of each line, that name is the line's
stream, so that tables that were printed side by side can be told apart; it is "" where nothing is named.

What is taken off, alone or one after the other (a time stamp, then a rank):

    0: text, 12: text                        srun -l, flux run --label-io
    [1,0]<stdout>:text                       mpirun --tag-output, Open MPI 4
    [prterun-host-123@1,0]<stdout>: text     mpirun --output tag, Open MPI 5 (PRRTE); tag-detailed adds [host:pid]
    [0] text                                 mpiexec -prepend-rank (MPICH's Hydra), -l of Intel MPI
    [pod/name/container] text                kubectl logs --prefix
    (head, rank=0, pid=12) text              SkyPilot, Ray
    [default0]:text                          torchrun --tee
    node01: text, worker-0 | text            pdsh, clush, docker compose: names that stand before a benchmark's own line
    anything text                            loggers of any form, before the lines that only a benchmark prints
    2026-01-02T03:04:05.6Z text and alike    kubectl logs --timestamps, CI systems, ts, mpirun --timestamp-output
    2026-01-02T03:04:05.6Z stdout F text     log files of Kubernetes nodes (CRI)

Sources: the manual pages of these programs; PRRTE, src/mca/iof; Kubernetes, "CRI log format".
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

_ESCAPE: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()][0-9A-B]|[=>78cDEHM])"
)
"""ECMA-48 control sequences (colour, cursor), titles of terminal windows, character sets."""

_DAY: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK: Final = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_ITS_OWN: Final = r"(?=#|nThread \d|Out of bounds|Avg bus|\d+ +\d+ +\w)"
"""What a line of the benchmark begins with, where the prefix alone could be anything."""

_PREFIX: Final = re.compile(
    r" *(?:"
    r"(?P<label>\d{1,7}):(?: |$)"
    rf"|\[?\d{{4}}-\d\d-\d\d[T ]{_CLOCK}(?:Z|[+-]\d\d:?\d\d)?\]?:?(?:[ \t]|$|(?=[\[<]))(?:std(?:out|err) [FP] )?"
    r"|\[(?P<tag>[\w.@:,~-]*\d)\](?:\[[\w.:-]+\])?<std(?:out|err|diag)>: ?"
    r"|\[(?P<rank>\d{1,7})\](?:[ \t]|$)"
    r"|\[pod/(?P<pod>[\w.-]+)/[\w.-]+\] "
    rf"|\[?{_CLOCK}\]?[ \t]"
    rf"|\[?(?:{_DAY} )?{_MONTH} {{1,2}}\d{{1,2}} {_CLOCK}(?: \d{{4}})?\]?:?(?:[ \t]|$|(?=[\[<]))"
    r"|\[ *\d{1,9}\.\d{1,9}\] "
    r"|<std(?:out|err)>: ?"
    r"|\((?P<job>[\w.:-]{1,64},?(?: \w{1,16}=[\w.:-]{1,64},?){1,6})\)[ \t]"
    r"|\[(?P<local>default\d{1,7})\]:[ \t]?"
    rf"|(?P<host>[A-Za-z][\w.-]{{0,127}}(?: \d{{1,7}})?)(?::| *\|) +{_ITS_OWN}"
    r")"
)
_HOST: Final = re.compile(r" *(?P<host>[A-Za-z][\w.-]{0,127}(?: \d{1,7})?)(?::| *\|)(?: |$)")
_ONLY_ITS_OWN: Final = re.compile(
    r"#[ \t]*(?:(?:nccl|rccl)-tests version \d|Collective test (?:starting|concluded): \w|nThread \d+ nGpus|Using devices\s*$"
    r"|Rank +\d+ +(?:Group|Pid) +\d|(?:size +count|bytes +N) +type\b|out-of-place +in-place\b"
    r"|Out of bounds values +: \d|Avg bus bandwidth +: [-\d])"
)
"""What nobody else prints, wherever it stands in a line."""

_QUOTES: Final = frozenset("\"'`/\\")
"""Before it where somebody looks for such a line (grep, awk, sed), instead of printing one."""

_LIKE_OWN: Final = re.compile(r"(?:^|\s)#\s|(?<![\w.])\d{1,20} +\d{1,20} +[a-z]\w*\s")
"""What a line that a progress bar shares with a benchmark is recognised by."""

_LEAST_REPEATED: Final = 3
"""Lines of a benchmark behind the same words, from which on these are taken for a prefix: a preamble has more."""

_MAX_PREFIXES: Final = 4
"""A node's log stamps, the pod's name, the launcher's tag, and one to spare."""


class Line(NamedTuple):
    """One line of a file: which process printed it ("" where that is not told), and what it printed."""

    stream: str
    text: str


def decoded(raw: bytes) -> str:
    """Text of a log, whatever its encoding: UTF-16 with its mark (PowerShell writes it), else UTF-8; NUL bytes are dropped."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    return raw.decode("utf-8-sig", errors="replace").replace("\0", "")


def physical_lines(text: str) -> list[str]:
    """Lines as ``wc -l`` counts them, and a last one without an end. Files of old Macs, with CR alone, have lines as well."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def stripped(line: str) -> Line:
    """``line`` without prefixes, colour and carriage returns. Of a line that was overwritten the last state counts."""
    names, text = _without_prefixes(line, ())
    return Line(names, text[_own_at(text) :])


def stripped_lines(text: str) -> list[Line]:
    """Every line of a file, in order: the first one is line 1.

    Names of hosts and words of loggers that stand before a benchmark's own lines are taken off the other lines as well, since
    they may hold pieces of rows.
    """
    raw = physical_lines(text)
    found = [_without_prefixes(line, ()) for line in raw]
    if hosts := _hosts(names for names, _ in found):
        found = [_without_prefixes(line, hosts) for line in raw]
    starts = [_own_at(line) for _, line in found]
    words = Counter(line[:start] for (_, line), start in zip(found, starts, strict=True) if start)
    known = tuple(word for word, count in words.items() if count >= _LEAST_REPEATED)
    lines = []
    for (names, line), start in zip(found, starts, strict=True):
        if known and not start:
            start = next((len(word) for word in known if line.startswith(word)), 0)
        lines.append(Line(names, line[start:]))
    return lines


def _without_prefixes(line: str, hosts: Collection[str]) -> tuple[str, str]:
    """The process that printed a line, and the line. ``hosts``: names that are known to stand before lines."""
    if "\x1b" in line:
        line = _ESCAPE.sub("", line)
    if "\r" in line:
        line = _visible([state for state in line.split("\r") if state.strip()])
    names = []
    for _ in range(_MAX_PREFIXES):
        found = _PREFIX.match(line)
        if (found is None or not found[0]) and hosts:
            found = _HOST.match(line)
            found = found if found is not None and found["host"] in hosts else None
        if found is None or not found[0]:
            break
        if found.lastgroup is not None:
            names.append(found[found.lastgroup])
        line = line[found.end() :]
    return "/".join(names), line


def _own_at(line: str) -> int:
    """Where the benchmark's own words begin; 0 unless others stand before them."""
    own = _ONLY_ITS_OWN.search(line) if "#" in line else None
    return own.start() if own is not None and own.start() and _can_precede(line[: own.start()]) else 0


def _visible(states: Sequence[str]) -> str:
    """Of the states of a line that was overwritten, the last, unless an earlier one is the benchmark's.

    Several that are stay together, so that none of them is lost without a word.
    """
    own = dict.fromkeys(state for state in states if _LIKE_OWN.search(state))
    return " ".join(own) if own else states[-1] if states else ""


def _hosts(streams: Iterable[str]) -> frozenset[str]:
    """Names of hosts among those of the processes."""
    names = {stream.rpartition("/")[2] for stream in set(streams)}
    return frozenset(name for name in names if _HOST.fullmatch(f"{name}:"))


def _can_precede(before: str) -> bool:
    """Whether a line of a benchmark can follow, which is neither quoted nor behind a row that lost its end."""
    return before[-1] not in _QUOTES and re.match(r"\s*(?:\++ |\d+ +\d+ +\w)", before) is None
