"""`corrected`: p-values of many points, adjusted so that one false alarm in all of them stays unlikely."""

from collections.abc import Sequence


def corrected(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given."""
    raise NotImplementedError
