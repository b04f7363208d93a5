"""What nccl-tests prints around its rows: versions, configuration, devices, footer; and the command that started it.

Sources: NVIDIA/nccl-tests a0b82b2, src/util.cu and src/common.cu with their history; ROCm/rccl-tests ae3e635, src/common.cu;
RCCL, ``showVersion`` (src/init.cc).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.importers.foreign import Device
from bench.importers.nccl_names import NCCOM_COLLECTIVES, PROGRAMS, UNKNOWN
from bench.importers.program_names import library_version
from bench.importers.redaction import without_secrets
from bench.importers.rounding import is_number

_SETTING: Final = re.compile(r"([A-Za-z_][A-Za-z_ ]*?):?\s+(-?\d{1,20})(?:\((\w+)\))?(?=\s|$)")
_SETTINGS: Final = {
    "nThread": "threads", "nGpus": "gpus_per_thread", "minBytes": "min_bytes", "maxBytes": "max_bytes",
    "warmup iters": "warmup_iterations", "iters": "iterations", "agg iters": "aggregated_iterations",
}  # fmt: skip
_SENTENCE: Final = re.compile(
    r"(Blocking Enabled|Per-Iteration Report|Parallel Init Enabled)\s*:\s*(.*)", re.IGNORECASE
)
_SENTENCES: Final = {
    "blocking enabled": "blocking",
    "per-iteration report": "per_iteration",
    "parallel init enabled": "parallel_init",
}
_SKIPPED: Final = re.compile(r"skips first (\d{1,9}) iterations")

MAX_NAME_CHARS: Final = 80
"""Of a GPU, and of a sentence on a setting: more than any has."""

_VERSION: Final = re.compile(r"(nccl-tests|rccl-tests) version (\S+)|nccl-(headers|library)=(\d{4,9})")
_NCCL_VERSION: Final = re.compile(r"\bNCCL version (\d+\.\d+\.\d+\w*)(?:\+(?:cuda|hip)([\d.]+))?")
_ROCM_VERSION: Final = re.compile(r"\s*(RCCL|HIP|ROCm) version\s*: (\S+)")
_RCCL_TESTS: Final = re.compile(r"rccl-tests:\s*Version\s+(\S+)")

_DEVICE: Final = re.compile(
    r"#?\s*Rank\s+(\d{1,9})(?:\s+Group\s+(\d{1,9}))?(?:\s+Pid\s+(\d{1,10}))?\s+on\s+(\S+)\s+device\s+(\d{1,9})"
    r"\s*\[([^\]]{0,64})\]\s*(.*)"
)
_NCCL1_DEVICE: Final = re.compile(r"#\s+Device\s+(\d{1,9}) ->\s+(\d{1,9})\s*\[([^\]]{0,64})\]\s*(.*)")
_CUT_DEVICE: Final = re.compile(r"#\s+R(?:a(?:n(?:k.*)?)?)?\.\.\.\s*$|#\s+Rank\s.*\.\.\.\s*$|#?\s*\.\.\.\s*$")

_BOUNDS: Final = re.compile(r"#?\s*Out of bounds values\s*:\s*(\d{1,18})\b")
_AVERAGE: Final = re.compile(r"#?\s*Avg bus bandwidth\s*:\s*([-+\w.]+?)(?:GB/s)?(?:\s|$)")

_MENTION: Final = re.compile(rf"\b({'|'.join(PROGRAMS)})_(?:perf|test)(?!\w*\.(?:c|h))(\w*)")
_BUILDS: Final = re.compile(r"\b(?:Compiling|Linking|nvcc|g\+\+|hipcc)\b")
_OPTION: Final = re.compile(r"""^["']?\s+(?:\\\s*)?-{1,2}[A-Za-z]""")
_AVERAGE_OPTION: Final = re.compile(r"\s(?:-a\s*|--average[ =])([0-3])(?=\s|$|[\"'])")
_END_OF_COMMAND: Final = re.compile(r"[;&|>]|\s:\s")
_NCCOM: Final = re.compile(r"\bnccom-test\s(.*)")
_NCCOM_RANKS: Final = re.compile(r"(?:^|\s)(?:-r|--nworkers)[ =](\d{1,7})(?=\s|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A line that names a test.

    Attributes:
        program, collective: ``all_reduce_perf``, ``all_reduce``.
        is_command: options follow the name, so that it can be what was started.
        average: -a: 0 rank 0, 1 mean, 2 minimum, 3 maximum of the ranks; None where not given.
        num_ranks: -r of nccom-test.
    """

    line: int
    program: str
    collective: str
    is_command: bool
    average: int | None = None
    num_ranks: int | None = None


@dataclass(slots=True, kw_only=True)
class Footer:
    """What the end of a table says; None: not there."""

    out_of_bounds: int | None = None
    average_gbytes_per_s: float | None = None
    has_average: bool = False


def settings_of(text: str) -> dict[str, int | float | str]:
    """Of ``# nThread 1 nGpus 8 minBytes 8 ... step: 2(factor) warmup iters: 5 ...``, numbers as numbers."""
    settings: dict[str, int | float | str] = {}
    for name, number, unit in _SETTING.findall(text.lstrip("# \t")):
        key = f"step_{unit}" if name == "step" and unit else _SETTINGS.get(name, name.replace(" ", "_"))
        settings[key] = int(number)
    return settings


def sentence_of(text: str) -> dict[str, int | float | str]:
    """Of the lines that follow the configuration with -z, -I and -p."""
    found = _SENTENCE.search(text)
    if found is None:
        return {}
    name, sentence = _SENTENCES[found[1].lower()], without_secrets(found[2].strip()[:MAX_NAME_CHARS])
    settings: dict[str, int | float | str] = {name: 1}
    if name == "blocking":  # -z 1, 2; the sentence itself for others
        settings[name] = 2 if "no barrier" in sentence else 1 if "barrier" in sentence else sentence
    if skipped := _SKIPPED.search(sentence):
        settings["skipped_iterations"] = int(skipped[1])
    return settings


def versions_of(text: str) -> dict[str, str]:
    """Of any line that tells one: nccl-tests, rccl-tests, nccl, nccl_headers, rccl, hip, rocm, cuda."""
    versions: dict[str, str] = {}
    if "ersion" not in text:
        return versions
    for name, version, which, code in _VERSION.findall(text):
        if name:
            versions[name] = version
        else:
            versions["nccl" if which == "library" else "nccl_headers"] = library_version(int(code))
    if found := _RCCL_TESTS.search(text):
        versions["rccl-tests"] = found[1]
    if found := _ROCM_VERSION.match(text):
        versions[found[1].lower()] = found[2]
    if found := _NCCL_VERSION.search(text):
        versions["nccl"] = found[1]
        if found[2]:
            versions["cuda"] = found[2]
    return versions


def device_of(text: str) -> Device | None:
    if found := _DEVICE.match(text):
        rank, group, pid, host, device, bus_id, name = found.groups()
        return Device(
            rank=int(rank),
            group=None if group is None else int(group),
            pid=None if pid is None else int(pid),
            host=host,
            device=int(device),
            bus_id=bus_id,
            name=_name(name),
        )
    if found := _NCCL1_DEVICE.match(text):
        rank, device, bus_id, name = found.groups()
        return Device(
            rank=int(rank),
            group=None,
            pid=None,
            host=None,
            device=int(device),
            bus_id=bus_id,
            name=_name(name),
        )
    return None


def _name(text: str) -> str | None:
    """Of a GPU; another process may have printed behind it."""
    return without_secrets(text.strip()[:MAX_NAME_CHARS]) or None


def is_cut_device(text: str) -> bool:
    """The lines of one process are cut at 2048 characters and then end in ``...``."""
    return text.rstrip().endswith("...") and _CUT_DEVICE.match(text.strip()) is not None


def read_footer(text: str, footer: Footer) -> bool:
    """Whether ``text`` is of the footer; what it says goes into ``footer``."""
    if found := _BOUNDS.match(text):
        footer.out_of_bounds = int(found[1])
        return True
    if found := _AVERAGE.match(text):
        average = float(found[1]) if is_number(found[1]) else math.nan
        footer.has_average = True
        footer.average_gbytes_per_s = average if math.isfinite(average) else None
        return True
    return False


def mention_of(line: int, text: str) -> Mention | None:
    """The last test that a line names; lines of a build name tests as well and do not count."""
    if found := _NCCOM.search(text):
        names = [word for word in found[1].split() if word in NCCOM_COLLECTIVES]
        ranks = _NCCOM_RANKS.search(found[1])
        return Mention(
            line=line,
            program="nccom-test",
            collective=NCCOM_COLLECTIVES[names[-1]] if names else UNKNOWN,
            is_command=True,
            num_ranks=int(ranks[1]) if ranks else None,
        )
    if ("_perf" not in text and "_test" not in text) or _BUILDS.search(text):
        return None
    mentions = list(_MENTION.finditer(text))
    if not mentions:
        return None
    found = mentions[-1]
    rest = text[found.end() :]
    command = _END_OF_COMMAND.split(rest, maxsplit=1)[0]
    average = _AVERAGE_OPTION.search(command)
    return Mention(
        line=line,
        program=found[0],
        collective=PROGRAMS[found[1]],
        is_command=_OPTION.match(rest) is not None,
        average=int(average[1]) if average else None,
    )


@dataclass(slots=True)
class Devices:
    """The devices of a table as far as they are listed, and what they say of the number of ranks."""

    listed: list[Device] = field(default_factory=list)
    is_cut: bool = False

    def num_ranks(self) -> int | None:
        """Distinct ranks, if the list is whole: not cut, and 0, 1, 2 ... without a gap."""
        ranks = {device.rank for device in self.listed}
        is_whole = not self.is_cut and bool(ranks) and max(ranks) == len(ranks) - 1
        return len(ranks) if is_whole else None

    def num_ranks_by_process(self, settings: Mapping[str, object]) -> int | None:
        """Of a cut list: processes times the GPUs of each, if the first rank of every process is where it must be."""
        threads, gpus = settings.get("threads"), settings.get("gpus_per_thread")
        if not isinstance(threads, int) or not isinstance(gpus, int) or threads * gpus < 1:
            return None
        first: dict[tuple[str | None, int | None], int] = {}
        for device in self.listed:
            key = (device.host, device.pid)
            first[key] = min(device.rank, first.get(key, device.rank))
        expected = [index * threads * gpus for index in range(len(first))]
        return len(first) * threads * gpus if first and sorted(first.values()) == expected else None

    def group_ranks(self) -> tuple[bool, int | None]:
        """Whether the run was split into groups, and the ranks of each, where all are of one size."""
        groups: dict[int, set[int]] = {}
        for device in self.listed:
            if device.group is not None:
                groups.setdefault(device.group, set()).add(device.rank)
        sizes = {len(ranks) for ranks in groups.values()}
        is_split = len(groups) > 1
        return is_split, sizes.pop() if is_split and len(sizes) == 1 and not self.is_cut else None

    def are_amd(self) -> bool:
        return any((device.name or "").startswith("AMD") for device in self.listed)

    def is_listed_twice(self) -> bool:
        """One rank in several processes: each took itself for a whole job, as tests built without MPI do."""
        return len({(d.rank, d.host, d.pid) for d in self.listed}) > len({d.rank for d in self.listed})
