"""Exit statuses of `linerate run`, as scripts and schedulers rely on them."""

from typing import Final

OK: Final = 0
"""Measured, and every checked result was right."""

WRONG: Final = 1
"""Measured, but wrong data, a failed point or a gate missed."""

BAD_INPUT: Final = 2
RANK_DIED: Final = 3
"""A rank died or hung."""

INTERRUPTED: Final = 130
"""SIGINT or SIGTERM, as shells count signals."""
