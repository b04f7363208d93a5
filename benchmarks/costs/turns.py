"""`Turns`: two ways of the same thing as blocks in turns, in the same processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

Block = Callable[[], Sequence[float]]
"""Measures a block of calls; seconds of the slowest rank for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Medians of the blocks of one start of the processes, in seconds and in the order of measurement.

    Blocks come in the order ours, bare, bare, ours (ABBA): both means lie at the same moment, so a steady drift of the
    machine cancels. Shapes: (2 num_quads,) each.
    """

    ours_s: list[float]
    bare_s: list[float]

    @property
    def ratio(self) -> float:
        """Median over neighbouring blocks of ours / bare."""
        return median(ours / bare for ours, bare in zip(self.ours_s, self.bare_s, strict=True))

    @property
    def difference_s(self) -> float:
        """Median over neighbouring blocks of ours - bare."""
        return median(ours - bare for ours, bare in zip(self.ours_s, self.bare_s, strict=True))

    @property
    def control_ratio(self) -> float:
        """The bare way over itself: median over the two bare blocks of each group of four, either one on top in turn. The
        truth is 1; how far it lies from that is what the method cannot tell apart. It rests on half as many blocks."""
        pairs = zip(self.bare_s[::2], self.bare_s[1::2], strict=True)
        return median(
            first / second if number % 2 else second / first for number, (first, second) in enumerate(pairs)
        )


def in_turns(ours: Block, bare: Block, num_quads: int) -> Turns:
    """Run ``num_quads`` groups of four blocks, after one block of each for connections, memory and caches."""
    for block in (ours, bare):
        block()
    ours_s, bare_s = [], []
    for _ in range(num_quads):
        ours_s.append(median(ours()))
        bare_s += [median(bare()), median(bare())]
        ours_s.append(median(ours()))
    return Turns(ours_s=ours_s, bare_s=bare_s)
