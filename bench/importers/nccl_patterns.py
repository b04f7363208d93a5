"""By what a line of nccl-tests, rccl-tests or nccom-test is known. Lines are stripped.

Sources: NVIDIA/nccl-tests a0b82b2, src/util.cu and src/common.cu with their history; ROCm/rccl-tests ae3e635, src/common.cu;
RCCL, ``showVersion`` (src/init.cc).
"""

import re
from collections.abc import Sequence
from typing import Final

from bench.importers.nccl_names import TYPE_NAMES
from bench.importers.nccl_rows import columns_of

START: Final = re.compile(
    r"(?:#\s*(?:(?:nccl|rccl)-tests version\b|Collective test starting\b|Using devices\b|linerate \d)|#?\s*nThread \d)"
)
PROGRAM: Final = re.compile(r"#\s*Collective test starting:\s*(\S+)")
CONCLUDED: Final = re.compile(r"#\s*Collective test concluded\b")
CYCLE: Final = re.compile(r"#\s*Testing \d+ cycle")
TITLE: Final = re.compile(r"#?[\s()+]*(?:out-of-place|in-place)\b")
UNITS: Final = re.compile(r"#?\s*(?:\(B\)\s+\(elements\)|\(bytes\)\s|\(elements\)\s+\(us\))")
COMMENT: Final = re.compile(
    r"#\s*$|#\s*(?:Writing JSON output|NCCL Tests compiled|NCCL_TESTS_|Base Copy BW|linerate:|<)"
)
FOOTER: Final = re.compile(
    r"#?\s*(?:Out of bounds values|Avg bus bandwidth)\s*:|#\s*(?:GPU memory usage|Errors with asterisks|Collective test concluded)"
)
WITHOUT_HASH: Final = frozenset({
    "nThread", "size(B)", "size", "bytes", "Out", "Avg", "Rank", "NCCL", "RCCL", "HIP", "ROCm", "Librccl", "Hostname",
    "rccl-tests:", "out-of-place", "in-place", "(B)",
})  # fmt: skip
"""First words of the benchmark's lines that begin without #: some always, some where a page took it for a heading."""

LIBRARY: Final = re.compile(
    r"NCCL version \d|(?:RCCL|HIP|ROCm) version\s*:|Librccl path\s*:|Hostname\s*:|rccl-tests:\s*Version\b"
)
OWN_DURATIONS: Final = re.compile(r"# linerate: durations: (median over iterations of the slowest rank)")
OWN_PASS: Final = re.compile(r"# linerate: .*\bpass (\w+), group ")

EMBEDDED_ROW: Final = re.compile(
    rf"(?<![\w.])[0-9]{{1,20}} +[0-9]{{1,20}} +(?:{'|'.join(sorted(TYPE_NAMES))}) "
)
"""A row behind a line of another process that lost its end. The row's own width keeps a blank before it."""


def is_nccl(lines: Sequence[str]) -> bool:
    """Whether a line announces one of these tests or its columns."""
    return any(begins_nccl(line) for line in lines)


def begins_nccl(line: str) -> bool:
    return START.match(line.lstrip()) is not None or ("algbw" in line and columns_of(line, ()) is not None)
