"""Lines of a log that are nobody's result: messages of NCCL, failures, what launchers say when a job ends.

Only lines with a mark of this table are repeated as warnings; anything else may be an environment, and is not copied.
"""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

_LEVEL: Final = re.compile(r"NCCL (INFO|WARN|TRACE|CALL|ERROR)\b")
_MESSAGE: Final = re.compile(
    r"(?P<before>(?:\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?\] |\[\d{1,7}\] )*)"
    r"(?P<host>[\w.-]{1,128}):\d{1,10}:\d{1,10} \[-?\d{1,4}\] "
)
"""host:pid:tid [device], perhaps after a time stamp or a launcher's rank; a file and a line may stand before NCCL WARN."""

_FAILURE: Final = re.compile(r"Test (?:NCCL|CUDA|MPI) failure |Test timeout \(")
_FAILED: Final = re.compile(r"(?P<before>)(?P<host>[\w.-]{1,128}): $")
_REACH_CHARS: Final = 512
"""Before its mark, in which a message begins: a host name has at most 64 characters, and a source file's name does not nearly
fill the rest."""

_TROUBLE: Final = re.compile(
    r"\bNCCL (?:WARN|ERROR)\b|Test (?:NCCL |CUDA |MPI )?failure\b|Test timeout \(|^NCCL failure |\b(?:CUDA|Cuda|HIP) failure\b"
    r"|^# ?error:|^# skipping json output"
    r"|^(?:srun|slurmstepd|sbatch|salloc|prun|prterun|mpirun|mpiexec|orterun|hydra|jsrun|flux(?:-job)?)"
    r"(?:: | noticed | detected | has | was | lost ).*"
    r"(?:error|fail|abort|terminat|cancel|kill|exited|unable|lost|timed out)"
    r"|\bCANCELLED AT\b|DUE TO TIME LIMIT|\boom[-_ ]kill|\bSegmentation fault\b|\bCaught signal\b|\bBus error\b"
    r"|\bexited (?:on signal|with exit code [1-9])|MPI_ABORT was invoked|^Fatal error in |BAD TERMINATION"
    r"|^Primary job\s+terminated|\b[Ww]atchdog\b.*(?:time|caught|expired)|\btimed out\b|\b[Cc]onnection (?:closed|reset) by\b"
    r"|Failure running neuron-bench|errors found - test failed|Reducing maxBytes to |\bNVRM: Xid\b"
)
_WORDS: Final = (
    "fail", "error", "warn", "abort", "terminat", "cancel", "kill", "exit", "unable", "lost", "timed out", "time limit",
    "timeout", "fault", "signal", "watchdog", "xid", "closed by", "reset by", "reducing maxbytes", "skipping json",
)  # fmt: skip
"""One of these is in every line that _TROUBLE finds; looking for them first is ten times as fast."""

_SLINGSHOT: Final = re.compile(r"MPICH Slingshot Network Summary:\s*(\d+) network timeouts?")
_SHELL: Final = re.compile(
    r"\s*(?:\++ |(?:export|declare|setenv|alias) |#(?:SBATCH|PBS|BSUB|!)|[A-Za-z_]\w*(?:\(\)|%%)?=|#\s*\S*=)"
)


class Message(NamedTuple):
    """A message within a line: where it begins, where the name of its host begins, and whether it warns."""

    start: int
    host_start: int
    host: str
    is_warning: bool


def message_in(text: str) -> Message | None:
    """NCCL's own line, or a failed test's. It may begin in the middle of a row: both go through one buffer."""
    if "NCCL " in text and (mark := _LEVEL.search(text)):
        header, is_warning = _MESSAGE, mark[1] in ("WARN", "ERROR")
    elif "Test " in text and (mark := _FAILURE.search(text)):
        header, is_warning = _FAILED, True
    else:
        return None
    found = header.search(text, max(0, mark.start() - _REACH_CHARS), mark.start())
    if found is not None:
        return Message(found.start(), found.start("host"), found["host"], is_warning)
    return Message(mark.start(), mark.start(), "", True) if header is _FAILED else None


def before_message(text: str, message: Message, hosts: Collection[str]) -> str:
    """The piece of a row that a message follows on the same line.

    The host's name then touches the last number ("-1node7:12:34 [0] NCCL INFO"). ``hosts``, the names that stand alone
    elsewhere in the log, tell where it begins; without them the -1, 0 and N/A that end most pieces do.
    """
    head = text[: message.start]
    if message.host_start > message.start or not head.strip():
        return head
    return head + _touching(message.host, hosts)


def _touching(name: str, hosts: Collection[str]) -> str:
    if name in hosts:
        return ""
    for host in hosts:
        if name.endswith(host) and (name[: -len(host)].lstrip("-").isdecimal() or name[: -len(host)] == "A"):
            return name[: -len(host)]
    return next((end for end in ("-1", "A", "0") if name.startswith(end)), "")


def trouble_in(text: str) -> str | None:
    """The line as a warning; None where it is none."""
    if found := _SLINGSHOT.search(text):
        return text if int(found[1]) > 0 else None
    lowered = text.lower()
    if not any(word in lowered for word in _WORDS):
        return None
    return text if _TROUBLE.search(text.strip()) else None


def is_network_summary(text: str) -> bool:
    return _SLINGSHOT.search(text) is not None


def is_shell(text: str) -> bool:
    """A shell's trace, an assignment, a line of a job script: never copied."""
    return _SHELL.match(text) is not None
