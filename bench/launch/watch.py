"""A second pair of eyes on rank 0, where nobody of ours is its parent (torchrun, mpirun, srun).

If rank 0 is killed, it cannot write how the run ended. This small process, in a session of its own so that it is not
killed along, holds the other end of a pipe; when that closes, it finishes what rank 0 left at ``running``.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench import exits

if TYPE_CHECKING:
    from bench.run_folder import RunFolder

_PACKAGE_PARENT = str(Path(bench.__file__).resolve().parent.parent)


@contextmanager
def watched(folder: "RunFolder") -> Iterator[None]:
    """Have ``folder`` finished by somebody else if this process should end inside the block."""
    watcher = subprocess.Popen(
        [sys.executable, "-P", "-m", "bench.launch.watch", str(folder.path.absolute())],
        # The package may have been found through the working directory alone, which -P leaves out.
        env=os.environ | {"PYTHONPATH": os.pathsep.join([_PACKAGE_PARENT, os.environ.get("PYTHONPATH", "")])},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            watcher.wait(timeout=10)


def finish_if_abandoned(folder: "RunFolder") -> None:
    """Write ``failed`` where the manifest still says ``running``."""
    if folder.manifest().status == "running":
        folder.finish(
            status="failed", reason="rank 0 ended without a word: killed?", exit_status=exits.RANK_DIED
        )


if __name__ == "__main__":
    sys.stdin.buffer.read()  # returns when rank 0 is gone, however it went
    from bench.run_folder import RunFolder  # late, so that the watcher takes no time from ranks that measure

    finish_if_abandoned(RunFolder(Path(sys.argv[1])))
