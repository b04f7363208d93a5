"""`run_on_nodes`: several nodes on this machine, each with its own network, host name and shaped link; no root needed.

Run as a program, this file stands in for ssh: ``python -P namespaces.py NODES.json [-option ...] ADDRESS COMMAND ...``
runs the command on the node with that address.
"""

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from bench import catalog
from bench.emulation_config import EmulationConfig
from bench.launch import kernel
from bench.launch.layout import Layout
from bench.launch.shaping import LinkShape, link_shape

SHAPE: Final[LinkShape] = link_shape(catalog.transceiver(catalog.EMULATED_DEFAULT), EmulationConfig())

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node. ``network`` is a path that stands for its network namespace as long as the nodes exist."""

    name: str
    address: str
    interface: str
    network: str

    def enter(self) -> None:
        """Move this process there."""
        descriptor = os.open(self.network, os.O_RDONLY | os.O_CLOEXEC)
        kernel.enter_network_namespace(descriptor)
        os.close(descriptor)
        kernel.set_host_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended: its exit status, None where its time was up, and what it said on both streams."""

    status: int | None
    output: str


def run_on_nodes(num_nodes: int, work: Callable[[Sequence[Node]], _T]) -> _T:
    """What ``work`` returns (it is pickled), given nodes that exist as long as it runs.

    It runs in a process of its own, which is process 1 of a PID namespace: the kernel ends everything with it.

    Raises:
        RuntimeError: nodes cannot be made, or ``work`` raised; holds the traceback.
    """
    read_end, write_end = os.pipe()
    starter = os.getpid()
    middle = os.fork()
    if middle == 0:
        os.close(read_end)
        _enter_and_work(starter, write_end, num_nodes, work)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        said = stream.read()
    os.waitpid(middle, 0)
    if not said:
        raise RuntimeError("the process that held the nodes was killed")
    problem, result = pickle.loads(said)
    if problem is not None:
        raise RuntimeError(problem)
    answer: _T = result
    return answer


def run_together(
    commands: Sequence[tuple[Node, Sequence[str], Mapping[str, str]]], *, folder: Path, timeout_s: float
) -> list[Finished]:
    """Start commands on their nodes at the same time and wait for all; what is left after ``timeout_s`` is killed."""
    deadline = time.monotonic() + timeout_s
    with contextlib.ExitStack() as stack:
        started = []
        for node, command, environment in commands:
            output = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                preexec_fn=node.enter,  # noqa: PLW1509 - a single thread
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            stack.callback(_kill_group, process)
            started.append((process, output))
        finished = []
        for process, output in started:
            try:
                status: int | None = process.wait(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                status = None
                _kill_group(process)
            output.seek(0)
            finished.append(Finished(status=status, output=output.read().decode(errors="replace")))
        return finished


def write_agent(path: Path, nodes: Sequence[Node]) -> None:
    """An executable that takes ssh's arguments and reaches ``nodes`` by address."""
    known = path.with_suffix(".json")
    known.write_text(json.dumps({node.address: [node.name, node.interface, node.network] for node in nodes}))
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{Path(__file__).resolve()}" "{known}" "$@"\n')
    path.chmod(0o755)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _enter_and_work(
    starter: int, write_end: int, num_nodes: int, work: Callable[[Sequence[Node]], object]
) -> None:
    """Runs in the child and never returns. The middle process waits, so that the one below can be process 1."""
    try:
        kernel.die_with_parent(starter)
        kernel.become_own_root()
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWPID)
        init = os.fork()
        if init:
            os.waitpid(init, 0)
            return
        kernel.die_with_parent(0)
        with contextlib.suppress(OSError):
            kernel.mount_own_proc()
        _say(write_end, (None, work(_build(num_nodes))))
    except BaseException:  # noqa: BLE001 - the last frame of this process
        _say(write_end, (traceback.format_exc(), None))
    finally:
        os._exit(0)


def _build(num_nodes: int) -> list[Node]:
    from bench.launch.netfabric import NetFabric

    # /proc may be that of an outer PID namespace, in which this process has another number.
    me = Path("/proc/self").readlink()
    return [
        Node(
            name=host.name,
            address=host.address,
            interface=host.ports[0].interface,
            network=f"/proc/{me}/fd/{host.descriptor}",
        )
        for host in NetFabric(Layout(num_hosts=num_nodes), SHAPE).hosts
    ]


def _say(write_end: int, what: tuple[str | None, object]) -> None:
    content = pickle.dumps(what)
    with os.fdopen(write_end, "wb") as stream:
        stream.write(content)


def _as_agent(known: str, words: Sequence[str]) -> None:
    while words[0].startswith("-"):
        words = words[1:]
    name, interface, network = json.loads(Path(known).read_text())[words[0]]
    Node(name=name, address=words[0], interface=interface, network=network).enter()
    os.execl("/bin/sh", "sh", "-c", " ".join(words[1:]))  # ssh hands its words to a shell in the same way


if __name__ == "__main__":
    _as_agent(sys.argv[1], sys.argv[2:])
