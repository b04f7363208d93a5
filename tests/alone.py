"""A rank without others, which copies where a backend would communicate, and a clock that follows a script."""

from collections.abc import Callable, Sequence

import torch

from bench.measure.job import Job, Message
from bench.measure.loop import Sample
from bench.measure.ranks import Call, Post, Ranks


class Alone(Ranks):
    """A group of one. ``after_call`` is told the job and how many calls there have been, once each call is done."""

    def __init__(self, after_call: Callable[[Job, int], None] | None = None) -> None:
        torch.set_num_threads(1)  # as every rank does
        super().__init__(rank=0, size=1, backend="gloo", device=torch.device("cpu"))
        self.after_call = after_call
        self.num_calls = 0
        self.events: list[str] = []

    def prepare(self, job: Job) -> Call:
        def call() -> None:
            self.events.append("call")
            if not job.is_in_place:
                job.recv.copy_(job.send)
            if self.after_call is not None:
                self.after_call(job, self.num_calls)
            self.num_calls += 1

        return call

    def prepare_overlapped(self, job: Job) -> Post:
        call = self.prepare(job)
        return lambda: call

    def prepare_exchange(self, sends: Sequence[Message], receives: Sequence[Message]) -> Post:
        def post() -> Call:
            for outgoing, incoming in zip(sends, receives, strict=True):
                incoming.tensor.copy_(outgoing.tensor)
            return lambda: None

        return post

    def barrier(self) -> None:
        self.events.append("barrier")

    def share(self, mine: torch.Tensor) -> torch.Tensor:
        return mine.clone().unsqueeze(0)

    def split(self, groups: Sequence[Sequence[int]]) -> "Alone":
        return self

    def leave(self) -> None:
        pass


class ScriptedStopwatch:
    """A clock whose every operation takes the next of the given durations; the last one again and again."""

    resolution_s = 1e-9

    def __init__(self, durations_s: Sequence[float]) -> None:
        self._durations_s = list(durations_s)
        self._now_s = 100.0

    def time(self, operation: Callable[[], object], align: Callable[[], object]) -> Sample:
        align()
        operation()
        start_s = self._now_s
        duration_s = self._durations_s.pop(0) if len(self._durations_s) > 1 else self._durations_s[0]
        self._now_s += duration_s
        return Sample(start_s=start_s, duration_s=duration_s)

    def now_s(self) -> float:
        return self._now_s
