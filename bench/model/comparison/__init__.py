"""Two runs compared point by point: ratios with intervals, tests corrected for their number, floors that a run must keep.

    arm.py          `Arm`: one side of one point, the samples of every process start
    point.py        `compare_point(base, new, is_paired=) -> PointComparison`: ratio, interval, p-value, and by what method
    starts.py       ... from the spread between process starts
    iterations.py   ... from the iterations of one start of each side
    judgement.py    `judge(comparisons) -> tuple[Judgement, ...]`: verdict and smallest difference found, all points at once
    correction.py   `corrected(p_values)`: Holm
    power.py        `num_starts_for(target_ratio, spread=, num_points=)`: how many process starts a difference takes
    floor.py        `Floor`: the longest time a point may take, and where that comes from
    gate.py         `gate(floors, runs_s, least_misses=) -> Gate`: which points miss their floor in k of m runs

A ratio is the time of the new run over that of the base: above 1 is slower. Nothing is ever averaged over sizes.
"""
