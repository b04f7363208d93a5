"""`python -P -m bench.launch.remote HOSTS.json [-option ...] ADDRESS COMMAND ...`: ssh's place on the emulated fabric.

mpirun hands the words of ssh to it, and gets its command executed on the host with that address: in its network namespace, and
with its name, since MPI decides by name who shares memory.
"""

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.launch import kernel

QUEUE_LIMIT: Final = Path("/proc/sys/net/ipv4/tcp_limit_output_bytes")
QUEUE_BYTES: Final = 131072
"""How much of one connection may wait in its host before the link: the two offloaded segments that TCP keeps waiting at least.

By default Linux lets 1 ms of the rate that TCP believes in wait, up to 4 MiB. On a slowed link these were 0.4 MB, or 8 ms at
400 Mb/s, behind which the few bytes queued with which a receiver asks for its next message: a ring of Sendrecv of 2 MiB among 4
hosts took 49 ms a step, and 43 so (42.3 is the link's own time).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MpiHost:
    """A host that mpirun can use. ``network``: a path that stands for its network namespace."""

    name: str
    address: str
    network: str


def enter(host: MpiHost) -> None:
    """Move this process to ``host``, and keep that host's queue short."""
    descriptor = os.open(host.network, os.O_RDONLY | os.O_CLOEXEC)
    kernel.enter_network_namespace(descriptor)
    os.close(descriptor)
    kernel.set_host_name(host.name)
    with contextlib.suppress(OSError):  # a kernel that has one for all namespaces does not let us
        QUEUE_LIMIT.write_text(str(QUEUE_BYTES))


def known_hosts(hosts: Sequence[MpiHost]) -> str:
    """The content of HOSTS.json."""
    return json.dumps([dataclasses.asdict(host) for host in hosts])


def act(known: str, words: Sequence[str]) -> None:
    """Does not return. As ssh does, the words of the command are joined by blanks and given to a shell."""
    hosts = {entry["address"]: MpiHost(**entry) for entry in json.loads(known)}
    first = next((place for place, word in enumerate(words) if not word.startswith("-")), len(words))
    address, command = "".join(words[first : first + 1]), words[first + 1 :]
    if address not in hosts or not command:
        raise ValueError(f"{' '.join(words)!r} is no command for one of {', '.join(hosts)}")
    enter(hosts[address])
    os.execl("/bin/sh", "sh", "-c", " ".join(command))


if __name__ == "__main__":
    try:
        act(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2:])
    except (OSError, ValueError) as error:
        sys.exit(f"bench.launch.remote: {error}")
