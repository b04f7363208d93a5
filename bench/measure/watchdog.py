"""`Watchdog`: a deadline for whatever the main thread does next; when it passes, this process says where it stands and ends.

The main thread is then stuck in C++ or MPI code, which no Python exception reaches, but which has released the GIL.
"""

import contextlib
import faulthandler
import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import exits

LAST_WORDS_S: Final = 30.0
"""Once a deadline has passed, the process ends after so long even if the disk or a callback hangs as well. torchrun, too,
kills a rank 30 s after it has told it to end (``timeout`` of ``close`` in torch/distributed/elastic/multiprocessing/api.py)."""

STACKS: Final = "stacks"
"""Folder below the run folder. It takes ``rank<r>.txt`` and, from torch's flight recorder, ``flight_rank<r>.json``."""

_RECORDERS: Final = ("_dump_nccl_trace_json", "_dump_fr_trace_json")
"""Functions of torch._C._distributed_c10d. Two recorders, not two names of one: the first is that of NCCL and exists in
builds for CUDA only, the second (torch 2.8) holds the calls of the other backends. As JSON, because torch's other form is
a pickle, and torchfrtrace, which reads that, does not manage the records of gloo (torch 2.13: KeyError)."""


class _Armed(NamedTuple):
    what: str
    limit_s: float
    deadline_s: float


class Watchdog:
    """Ends this process with `exits.RANK_DIED` when a deadline passes. Used by one thread, the one that may hang.

    When a deadline passes, a thread of its own does this, and goes on with the next where one fails:

    1. The Python stacks of all threads go to ``folder``/stacks/rank<r>.txt, or to standard error where there is no
       folder, or it cannot be written to.
    2. ``on_timeout`` is called, once, with a sentence that says what hung.
    3. The last collective calls, where torch's flight recorder has any, go beside the stacks. This comes after the
       callback because with NCCL it asks the GPU driver, which may be what hangs.
    4. ``end`` is called (MPI ranks need Comm.Abort), and the process ends if it still lives.

    A thread that comes to `arm` or `disarm` once a deadline has passed stays there, so that nothing is both measured and
    given up.

    Attributes:
        folder, on_timeout, end: may be set at any time. The folder must exist already: a rank on another host may not
            see it, and must not make one of its own.
    """

    def __init__(
        self,
        rank: int,
        *,
        folder: Path | None = None,
        on_timeout: Callable[[str], None] | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        self.folder = folder
        self.on_timeout = on_timeout
        self.end = end
        self._rank = rank
        self._condition = threading.Condition()  # its lock may be taken again, so a callback may disarm
        self._armed: _Armed | None = None
        self._wakes_s = 0.0
        self._thread: threading.Thread | None = None

    def arm(self, what: str, limit_s: float) -> None:
        """From now on ``what`` may take ``limit_s`` seconds; replaces what was armed before.

        Cheap, because the thread is woken only where it would otherwise sleep past the new deadline. Deadlines that move
        on, as those of blocks do, leave it asleep until the first of them, when it looks for the newest.

        Raises:
            ValueError: ``limit_s`` is not above 0.
        """
        if not limit_s > 0:
            raise ValueError(f"{what} was given {limit_s} s; a deadline lies in the future")
        self._set(_Armed(what, limit_s, time.monotonic() + limit_s))

    def disarm(self) -> None:
        """Nothing is awaited any more."""
        self._set(None)

    @contextmanager
    def armed(self, what: str, limit_s: float) -> Iterator[None]:
        """The block may take ``limit_s`` seconds. After it, what was armed before is so again, with its own deadline."""
        before = self._armed
        self.arm(what, limit_s)
        try:
            yield
        finally:
            self._set(before)

    def _set(self, armed: _Armed | None) -> None:
        with self._condition:
            self._armed = armed
            if armed is None:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            elif armed.deadline_s < self._wakes_s:
                self._condition.notify()

    def _watch(self) -> None:
        with self._condition:  # held while it ends the process: see the class
            while True:
                armed, now_s = self._armed, time.monotonic()
                if armed is None:
                    self._wakes_s = math.inf
                    self._condition.wait()
                elif now_s < armed.deadline_s:
                    self._wakes_s = armed.deadline_s
                    self._condition.wait(min(armed.deadline_s - now_s, threading.TIMEOUT_MAX))
                else:
                    self._give_up(f"{armed.what} did not end within {armed.limit_s:g} s")

    def _give_up(self, sentence: str) -> None:
        try:
            stacks = _stacks()
            last = threading.Timer(LAST_WORDS_S, os._exit, [exits.RANK_DIED])
            last.daemon = True
            with contextlib.suppress(RuntimeError):  # no further thread can be had
                last.start()
            _guarded(lambda: self._leave_stacks(sentence, stacks))
            _guarded(lambda: self.on_timeout and self.on_timeout(sentence))
            _guarded(self._leave_flight_records)
            _guarded(lambda: self.end and self.end())
        finally:
            os._exit(exits.RANK_DIED)

    def _leave_stacks(self, sentence: str, stacks: bytes) -> None:
        text = f"rank {self._rank}: {sentence}\nThe current thread is the watchdog.\n\n".encode() + stacks
        try:
            where = f"in {self._write(f'rank{self._rank}.txt', text)}"
        except OSError:
            _say(text)
            where = "above"
        _say(f"linerate: rank {self._rank}: {sentence}; the stacks of its threads are {where}\n".encode())

    def _leave_flight_records(self) -> None:
        # Where torch is not loaded, it has no records.
        module = sys.modules.get("torch._C._distributed_c10d")
        for name in _RECORDERS:
            dump: bytes = getattr(module, name)() if hasattr(module, name) else b"{}"
            if json.loads(dump).get("entries"):
                with contextlib.suppress(OSError):  # standard error has no use for it
                    self._write(f"flight_rank{self._rank}.json", dump)
                return

    def _write(self, name: str, content: bytes) -> Path:
        if self.folder is None:
            raise FileNotFoundError("there is no folder")
        folder = self.folder / STACKS
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name


def _stacks() -> bytes:
    """The Python stacks of all threads. faulthandler wants a file, so it is given one in memory: no disk can be full."""
    try:
        descriptor = os.memfd_create("stacks")
    except OSError:
        faulthandler.dump_traceback(file=2, all_threads=True)
        return b"(on standard error)\n"
    with os.fdopen(descriptor, "w+b", buffering=0) as stream:
        faulthandler.dump_traceback(file=stream, all_threads=True)
        stream.seek(0)
        return stream.read()


def _guarded(step: Callable[[], object]) -> None:
    try:
        step()
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it is; shown, and not in the way of the rest
        with contextlib.suppress(OSError):
            _say(traceback.format_exc().encode())


def _say(text: bytes) -> None:
    """To standard error without Python's buffer, whose lock the main thread may hold."""
    with contextlib.suppress(OSError):
        while text:
            text = text[os.write(2, text) :]
