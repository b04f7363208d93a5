"""How many process starts a difference takes, and what a number of starts can find."""


def num_starts_for(
    target_ratio: float, *, spread: float, num_points: int, is_paired: bool = False, power: float = 0.9
) -> int:
    """Starts on each side with which a true ratio of target_ratio at one of num_points points is found."""
    raise NotImplementedError


def start_spread(*arms: object) -> float | None:
    """Standard deviation of ln(time) between process starts, pooled; None with one start each."""
    raise NotImplementedError
