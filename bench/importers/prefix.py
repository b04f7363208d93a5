"""`stripped_lines`: the lines of a log without what launchers, schedulers and terminals put around them.

Several processes may print into one file. Where a launcher names the process in front of each line, that name is the line's
stream, so that tables that were printed side by side can be told apart; it is "" where nothing is named.

What is taken off, alone or one after the other (a time stamp, then a rank):

    0: text, 12: text                        srun -l, flux run --label-io
    [1,0]<stdout>:text                       mpirun --tag-output, Open MPI 4
    [prterun-host-123@1,0]<stdout>: text     mpirun --output tag, Open MPI 5 (PRRTE); tag-detailed adds [host:pid]
    [0] text                                 mpiexec -prepend-rank (MPICH's Hydra), -l of Intel MPI
    [pod/name/container] text                kubectl logs --prefix
    node01: text, worker-0 | text            pdsh, clush, docker compose; only before what can be a benchmark's line
    2026-01-02T03:04:05.6Z text and alike    kubectl logs --timestamps, CI systems, ts, mpirun --timestamp-output
    2026-01-02T03:04:05.6Z stdout F text     log files of Kubernetes nodes (CRI)

Sources: the manual pages of these programs; PRRTE, src/mca/iof; Kubernetes, "CRI log format".
"""

import re
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
    rf"|(?P<host>[A-Za-z][\w.-]{{0,127}}(?: \d{{1,7}})?)(?::| *\|) +{_ITS_OWN}"
    r")"
)
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
    if "\x1b" in line:
        line = _ESCAPE.sub("", line)
    if "\r" in line:
        states = [state for state in line.split("\r") if state.strip()]
        line = states[-1] if states else ""
    names = []
    for _ in range(_MAX_PREFIXES):
        found = _PREFIX.match(line)
        if found is None or not found[0]:
            break
        if found.lastgroup is not None:
            names.append(found[found.lastgroup])
        line = line[found.end() :]
    return Line("/".join(names), line)


def stripped_lines(text: str) -> list[Line]:
    """Every line of a file, in order: the first one is line 1."""
    return [stripped(line) for line in physical_lines(text)]
