"""Frames to figures. Each file draws one kind of figure and says in its first lines what to see in it.

Every ``draw`` takes plain frames, reads no file, shows nothing, and returns a `Drawn`: the figure, and in words what these
data show. Where the data hold nothing for it, it raises `NothingToDrawError`.

    busbw         how close to its ceilings a run comes, over message size
    latency       what a small message takes, with its tail
    distribution  iterations of single points, and how often the bad ones come
    heat_rank     rank by iteration: who was late, who was slow
    heat_host     host by host: which pair, which host is slow
    timeline      the whole run over its time, with stalls and counters
    waterfall     from the line rate of the glass to the busbw, step by step
    comparison    two runs, point by point
    accuracy      measured against predicted

`svg.to_svg` makes text for a page of one, `style.save` a file.
"""

from analysis.figures.drawn import Drawn, NothingToDrawError

__all__ = ["Drawn", "NothingToDrawError"]
