"""`read_command`: how many ranks a command starts a program of OSU micro-benchmarks with."""

import re
from dataclasses import dataclass
from typing import Final

_LAUNCHER: Final = re.compile(
    r"(?:^|[\s;&|$+'\"/`])(mpirun(?:_rsh|\.\w+)?|mpiexec(?:\.\w+)?|orterun|prun|srun|aprun|jsrun|ibrun)(?=\s)"
)
_PROGRAM: Final = re.compile(r"(?:^|[\s/'\"])(osu_[a-z0-9_]+)(?=\s|$|['\"`;&|>)])")
_RANKS: Final = re.compile(r"(?:^|\s)(?:-np|--np|-n|--n|--ntasks)(?:[ =]\s*|(?=\d))(\d{1,8})(?=\s|$)")
_JSRUN_RANKS: Final = re.compile(r"(?:^|\s)(?:-p|--np)(?:[ =]\s*|(?=\d))(\d{1,8})(?=\s|$)")
_NODES: Final = re.compile(r"(?:^|\s)(?:-N|--nodes)(?:[ =]\s*|(?=\d))(\d{1,8})(?=\s|$)")
_PER_NODE: Final = re.compile(r"(?:^|\s)--ntasks-per-node[ =]\s*(\d{1,8})(?=\s|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A line that starts a program. ``num_ranks``: None where it does not say, or says it more than once."""

    line: int
    program: str
    num_ranks: int | None


def read_command(line: int, text: str) -> Command | None:
    """The command of a line; None where no launcher starts a program ``osu_...``.

    Ranks are -n and its like; for srun also nodes times tasks per node. jsrun's -n counts sets of resources, so only its -p does.
    """
    launcher = _LAUNCHER.search(text) if "osu_" in text else None
    program = None if launcher is None else _PROGRAM.search(text, launcher.end())
    if launcher is None or program is None:
        return None
    options = text[launcher.end() : program.start()]
    name = launcher[1]
    found = (_JSRUN_RANKS if name == "jsrun" else _RANKS).findall(options)
    if not found and name == "srun":
        nodes, per_node = _NODES.findall(options), _PER_NODE.findall(options)
        if len(nodes) == len(per_node) == 1:
            found = [str(int(nodes[0]) * int(per_node[0]))]
    return Command(line=line, program=program[1], num_ranks=int(found[0]) if len(found) == 1 else None)
