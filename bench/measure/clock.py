"""One time axis for the ranks of several machines: how far each one's clock is ahead of rank 0's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from bench.measure.job import Message
from bench.measure.ranks import Ranks

ROUNDS: Final = 20
"""Questions per machine; the fastest answer counts, since its round trip bounds the error."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """``offset_s``: this rank's clock less rank 0's; ``uncertainty_s``: half of the fastest round trip, of any rank."""

    offset_s: float
    uncertainty_s: float


def clock_offset(ranks: Ranks, now_s: Callable[[], float], clock_name: str | None = None) -> ClockOffset:
    """Ask rank 0's partner on every other machine what its clock says. Every rank calls it.

    Ranks whose kernel booted at the same time share a monotonic clock, so they need not be asked. offset = its reading
    less the middle between question and answer, wrong by at most half of the round trip.

    ``clock_name`` tells clocks apart; the kernel's boot id unless given.
    Source:
        F. Cristian, Probabilistic clock synchronization, Distributed Computing 3, 1989.
    """
    names = ranks.gathered_text(clock_name if clock_name is not None else _boot_id())
    leaders = {name: rank for rank, name in reversed(list(enumerate(names)))}
    found = {names[0]: (0.0, 0.0)}
    mine = (0.0, 0.0)
    for name, leader in sorted(leaders.items(), key=lambda item: item[1]):
        if name == names[0]:
            continue
        if ranks.rank == 0:
            found[name] = _ask(ranks, leader, now_s)
        elif ranks.rank == leader:
            _answer(ranks, now_s)
    ordered = sorted(leaders.items(), key=lambda item: item[1])
    said = ranks.gathered([value for name, _ in ordered for value in found.get(name, (0.0, 0.0))])[0]
    by_name = {name: (said[2 * place], said[2 * place + 1]) for place, (name, _) in enumerate(ordered)}
    mine = by_name[names[ranks.rank]]
    return ClockOffset(offset_s=mine[0], uncertainty_s=max(value[1] for value in by_name.values()))


def _ask(ranks: Ranks, peer: int, now_s: Callable[[], float]) -> tuple[float, float]:
    question, answer = torch.zeros((2, 1), dtype=torch.float64, device=_device(ranks))
    send = ranks.prepare_exchange([Message(tensor=question, peer=peer)], [])
    receive = ranks.prepare_exchange([], [Message(tensor=answer, peer=peer)])
    best = (0.0, float("inf"))
    for _ in range(ROUNDS):
        before_s = now_s()
        send()()
        receive()()
        theirs_s = float(answer.item())
        after_s = now_s()
        if after_s - before_s < best[1]:
            best = (theirs_s - (before_s + after_s) / 2, after_s - before_s)
    return best[0], best[1] / 2


def _answer(ranks: Ranks, now_s: Callable[[], float]) -> None:
    question, answer = torch.zeros((2, 1), dtype=torch.float64, device=_device(ranks))
    receive = ranks.prepare_exchange([], [Message(tensor=question, peer=0)])
    send = ranks.prepare_exchange([Message(tensor=answer, peer=0)], [])
    for _ in range(ROUNDS):
        receive()()
        question.item()  # on a GPU: wait until it is there
        answer[0] = now_s()
        send()()


def _device(ranks: Ranks) -> torch.device:
    """gloo puts messages between two ranks on its sockets straight from memory, which must be the host's."""
    return ranks.device if ranks.backend == "nccl" else torch.device("cpu")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
