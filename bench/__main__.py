"""`python -m bench [overrides]`: `linerate run`, as torchrun, mpirun and srun start it; a verb may come first."""

import sys

from bench.cli import main

VERBS = ("run", "predict", "catalog")

if __name__ == "__main__":
    arguments = sys.argv[1:]
    is_run = not arguments or (
        arguments[0] not in VERBS and arguments[0] not in ("--help", "-h", "--version")
    )
    sys.exit(main(["run", *arguments] if is_run else arguments))
