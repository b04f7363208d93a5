"""Two runs compared point by point: intervals, tests corrected for their number, floors that a run must keep.

    arm.py          `Arm`: one side of one point, the samples of every process start
    point.py        `compare_point(base, new, is_paired=) -> PointComparison`: ratio, interval, p-value, method
    starts.py       ... from the spread between process starts
    iterations.py   ... from the iterations of one start of each side
    judgement.py    `judge(comparisons) -> tuple[Judgement, ...]`: verdicts, smallest differences found
    correction.py   `corrected(p_values)`: Holm
    power.py        `num_starts_for(target_ratio, spread=, num_points=)`: process starts a difference takes
    floor.py        `Floor`: the longest time a point may take, and where that comes from
    gate.py         `gate(floors, runs_s, least_misses=) -> Gate`: who misses a floor in k of m runs

A ratio is the time of the new run over that of the base: above 1 is slower. Nothing is averaged over sizes.
"""
