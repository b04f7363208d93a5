"""`run_ab`: two configurations measured in turns over several starts of the processes. Comparing them is for `analysis.compare`.

A start of the processes fixes what iterations cannot average away: placement, memory, ports, the order in which connections were
made. So each arm is started anew several times. The arms take turns, A B, B A, A B and so on: whatever drifts while the
experiment runs, such as the load of a shared fabric or its temperature, then falls on both arms alike.
"""

import contextlib
import datetime
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import exits
from bench.launch.identity import OWN_PREFIX, discover
from bench.run_folder import MANIFEST, new_run_id

AB: Final = "ab.json"
AB_VERSION: Final = 1
"""1: first form."""

ARMS: Final = ("a", "b")

FEW_STARTS: Final = 3
"""Two pairs have one degree of freedom: Student's t is then 12.7 at 95 %, six times that of many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of one arm: which, how its run ended, and where it lies (None: it got no folder)."""

    arm: str
    number: int
    exit_status: int
    run: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What `linerate ab` has measured. ``exit_status``: the worst of all starts."""

    path: Path
    starts: tuple[Start, ...]

    @property
    def exit_status(self) -> int:
        return max((start.exit_status for start in self.starts), default=exits.OK)

    def arm(self, name: str) -> Path:
        return self.path / name


def order_of(num_starts: int) -> list[tuple[str, int]]:
    """A B, B A, A B ...: each arm is first in every other pair, so that what drifts falls on both.

    Raises:
        ValueError: fewer than one start.
    """
    if num_starts < 1:
        raise ValueError(
            f"--starts is {num_starts}; each arm is started at least once, and 3 times for an interval"
        )
    found = []
    for number in range(num_starts):
        pair = ARMS if number % 2 == 0 else ARMS[::-1]
        found += [(arm, number) for arm in pair]
    return found


def split_words(option: str, text: str) -> list[str]:
    """The words of an option, as a shell splits them. Raises ValueError, naming it, for a quote that does not end."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{option} {text!r}: {str(error).lower()}") from None


def check_no_rank(environ: Mapping[str, str]) -> None:
    """Raises ValueError inside ranks that somebody else has started: an experiment starts its own."""
    identity = discover(environ)
    if identity is not None:
        raise ValueError(
            f"`linerate ab` starts ranks again and again, and here {identity.source} has started some already; run it outside, "
            "with --launch 'torchrun --nproc-per-node 8 -m bench' or whatever starts your ranks"
        )


def run_ab(
    arms: Mapping[str, Sequence[str]],
    *,
    run_dir: Path,
    num_starts: int,
    launch: str | None,
    report: Callable[[str], None],
) -> Experiment:
    """Measure both arms; ``arms`` holds the overrides of each, which have been checked.

    ``launch``: the command that starts ranks, to which overrides are added; None: our own launcher. An arm whose start ends with
    bad input, a dead rank or an interrupt ends the experiment; what was measured stays.

    Raises:
        ValueError: the folder cannot be written.
    """
    path = run_dir / f"ab-{new_run_id()}"
    command = split_words("--launch", launch) if launch else [sys.executable, "-P", "-m", "bench", "run"]
    if not command or shutil.which(command[0]) is None:
        raise ValueError(f"--launch: there is no command {command[0] if command else ''!r} here")
    order = order_of(num_starts)
    starts: list[Start] = []
    try:
        for arm in ARMS:
            (path / arm).mkdir(parents=True)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written to ({error.strerror}); give another folder with --run-dir"
        ) from error
    _write_plan(path, arms, launch, order, starts)
    for place, (arm, number) in enumerate(order, start=1):
        own = [word for word in arms[arm] if any(word not in other for other in arms.values())]
        told = f": {' '.join(own)}" if own else ""
        report(f"{place} of {len(order)}: start {number + 1} of arm {arm.upper()}{told}")
        with _terminated_as_interrupted():
            start = _start(path, arm, number, [*command, *arms[arm]])
        starts.append(start)
        _write_plan(path, arms, launch, order, starts)
        if start.exit_status not in (exits.OK, exits.WRONG):
            break
    return Experiment(path=path, starts=tuple(starts))


def _start(path: Path, arm: str, number: int, command: Sequence[str]) -> Start:
    """Run one start to its end; its words go to a file, since those of many runs would bury the result."""
    folder = path / arm
    before = set(_runs(folder))
    log = path / f"{arm}-{number}.log"
    environ = {**os.environ, f"{OWN_PREFIX}FIGURE": "0"}
    with log.open("wb") as stream:
        try:
            # A process group of its own: an interrupt reaches it once, from here, so that it can finish its run folder.
            process = subprocess.Popen(
                [*command, f"run_dir={folder}"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environ,
                process_group=0,
            )
        except OSError as error:
            raise ValueError(f"--launch: {command[0]} cannot be started ({error.strerror})") from error
        status = _wait(process)
    made = sorted(set(_runs(folder)) - before)
    # A signal, or a launcher's own status, is a start that did not end as it should.
    known = (exits.OK, exits.WRONG, exits.BAD_INPUT, exits.RANK_DIED, exits.INTERRUPTED)
    if status not in known:
        status = exits.RANK_DIED
    if status in (exits.OK, exits.WRONG) and not made:
        status = exits.RANK_DIED
    return Start(arm=arm, number=number, exit_status=status, run=made[-1] if made else None)


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Its exit status; an interrupt is passed on and it may end as it does by itself, a second one ends it at once."""
    num_interrupts = 0
    while True:
        try:
            status = process.wait()
            return exits.INTERRUPTED if num_interrupts else status
        except KeyboardInterrupt:
            num_interrupts += 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT if num_interrupts == 1 else signal.SIGKILL)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends an experiment as Ctrl-C does: through the start that is running."""

    def handle(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _runs(folder: Path) -> list[str]:
    return [path.parent.name for path in folder.glob(f"*/{MANIFEST}") if not path.parent.is_symlink()]


def _write_plan(
    path: Path,
    arms: Mapping[str, Sequence[str]],
    launch: str | None,
    order: Sequence[tuple[str, int]],
    starts: Sequence[Start],
) -> None:
    plan: dict[str, Any] = {
        "ab_version": AB_VERSION,
        "written_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "arms": {name: list(overrides) for name, overrides in arms.items()},
        "launch": launch,
        "order": [f"{arm}{number}" for arm, number in order],
        "starts": [
            {"arm": s.arm, "number": s.number, "exit_status": s.exit_status, "run": s.run} for s in starts
        ],
    }
    (path / AB).write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
