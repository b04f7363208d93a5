"""`supervise`: start the ranks of one machine, watch them, and end all of them when one is gone.

A rank that dies takes the others with it within seconds; what they had measured is on disk by then.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from bench import exits
from bench.config import BenchConfig
from bench.launch import kernel
from bench.launch.identity import OWN_PREFIX

_KNOWN_EXITS: Final = (0, 1, 2, 3, exits.INTERRUPTED)

GRACE_S: Final = 3.0
"""After the first rank is gone the others get so long to write what they have, then so long again after SIGTERM."""

POLL_S: Final = 0.02

RANK_COMMAND: Final = (sys.executable, "-P", "-m", "bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one rank runs. ``enter`` is called in its process before it becomes Python again (namespaces)."""

    local_rank: int
    enter: Callable[[], None] | None
    interface: str


class RankProcess(Protocol):
    """A rank as its supervisor uses it: the part of `subprocess.Popen` that is needed, for ranks of other parents too."""

    @property
    def returncode(self) -> Any: ...

    def poll(self) -> int | None: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the ranks ended: the exit status of the run, and why, if it is not rank 0's own affair."""

    exit_status: int
    reason: str | None


def rank_environment(
    config: BenchConfig,
    *,
    rank: int,
    num_ranks: int,
    placement: Placement,
    master: tuple[str, int],
    extra: dict[str, str],
) -> dict[str, str]:
    """Variables of one rank: who it is, what to run, and settings that keep ranks out of each other's way."""
    environment = dict(os.environ)
    own = {
        "RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "LOCAL_RANK": str(placement.local_rank),
        "MASTER_ADDR": master[0],
        "MASTER_PORT": str(master[1]),
        "CONFIG": json.dumps(config.to_json()),
        **extra,
    }
    environment |= {OWN_PREFIX + key: value for key, value in own.items()}
    environment["GLOO_SOCKET_IFNAME"] = placement.interface
    environment.setdefault("OMP_NUM_THREADS", "1")
    environment.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # c10d warns when an address has no name
    return environment


def supervise(
    environments: Sequence[dict[str, str]], placements: Sequence[Placement], log_folder: Path
) -> Outcome:
    """Start every rank and run it to its end; rank 0 keeps the terminal, what the others say goes to ``log_folder``."""
    ranks: list[subprocess.Popen[bytes]] = []
    with noted_signals() as signals:
        try:
            for rank, (environment, placement) in enumerate(zip(environments, placements, strict=True)):
                ranks.append(_start(rank, environment, placement, log_folder))
            return watch(ranks, signals, log_folder)
        finally:
            end(ranks, signal.SIGKILL)


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM do nothing inside the block but add their number to the list."""
    signals: list[int] = []
    previous = {
        number: signal.signal(number, lambda received, _frame: signals.append(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _start(
    rank: int, environment: dict[str, str], placement: Placement, log_folder: Path
) -> "subprocess.Popen[bytes]":
    parent = os.getpid()

    def prepare() -> None:
        kernel.die_with_parent(parent)
        if placement.enter is not None:
            placement.enter()

    with (log_folder / f"rank{rank}.log").open("wb") as log:
        return subprocess.Popen(
            RANK_COMMAND,
            env=environment,
            preexec_fn=prepare,  # noqa: PLW1509 - the supervisor has a single thread
            stdin=subprocess.DEVNULL,
            stdout=None if rank == 0 else log,
            stderr=None if rank == 0 else log,
            process_group=0,  # Ctrl-C reaches the supervisor alone, which tells rank 0
        )


def watch(ranks: Sequence[RankProcess], signals: list[int], log_folder: Path) -> Outcome:
    """Wait for the end of all ranks, or end them when one has failed.

    The first of ``signals`` asks rank 0 to finish its point; a second one stops at once.
    """
    told = 0
    while True:
        if len(signals) > told:
            told = len(signals)
            if told > 1:
                end(ranks, signal.SIGKILL)
                return Outcome(exit_status=exits.INTERRUPTED, reason=f"{_name(signals[-1])}, twice")
            with contextlib.suppress(ProcessLookupError):
                ranks[0].send_signal(signal.SIGINT)
        states = [rank.poll() for rank in ranks]
        if all(state == 0 for state in states):
            return Outcome(exit_status=0, reason=None)
        first = next((number for number, state in enumerate(states) if state), None)
        if first is not None:
            return _after_failure(ranks, first, signals, log_folder)
        time.sleep(POLL_S)


def _after_failure(ranks: Sequence[RankProcess], first: int, signals: list[int], log_folder: Path) -> Outcome:
    """One rank is gone with a status other than 0: let the others write, end them, and say which rank began it."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(rank.poll() is None for rank in ranks):
        time.sleep(POLL_S)
    end(ranks, signal.SIGTERM)
    states = [rank.returncode for rank in ranks]
    # A signal nobody here sent is the cause; ranks that only lost their peer ended by themselves, with a status.
    killed = next(
        (number for number, state in enumerate(states) if state < 0 and _was_early(number, first, states)),
        None,
    )
    culprit = first if killed is None else killed
    if signals:
        return Outcome(exit_status=exits.INTERRUPTED, reason=f"{_name(signals[0])}")
    state = states[culprit]
    if state < 0:
        return Outcome(exit_status=exits.RANK_DIED, reason=f"rank {culprit} was killed by {_name(-state)}")
    own_status = states[0]
    if own_status in _KNOWN_EXITS and own_status not in (0, exits.RANK_DIED):
        return Outcome(exit_status=own_status, reason=None)
    said = _last_words(log_folder / f"rank{culprit}.log")
    return Outcome(
        exit_status=exits.RANK_DIED,
        reason=f"rank {culprit} ended with status {state}{': ' + said if said else ''}",
    )


def _was_early(number: int, first: int, states: list[int]) -> bool:
    """Whether a rank's signal came before ours: SIGTERM and SIGKILL at the end are our own unless it was the first."""
    return number == first or -states[number] not in (signal.SIGTERM, signal.SIGKILL)


def end(ranks: Sequence[RankProcess], number: signal.Signals) -> None:
    """Send ``number`` to the ranks that still run, and SIGKILL to those that outlast it by `GRACE_S`."""
    for rank in ranks:
        if rank.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                rank.send_signal(number)
    deadline = time.monotonic() + GRACE_S
    for rank in ranks:
        try:
            rank.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            rank.kill()
            rank.wait()


def _last_words(log: Path) -> str:
    """The last line that a rank wrote, at most 300 characters."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


def _name(number: int) -> str:
    return signal.Signals(number).name
