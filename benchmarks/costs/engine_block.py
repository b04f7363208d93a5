"""`EngineBlock`: a block of calls measured by linerate's own engine, as a run measures them."""

from bench.measure.data import pattern
from bench.measure.engine import Surroundings, measure, setting_of
from bench.measure.passes import PASSES
from bench.measure.ranks import Ranks
from bench.measure.stopwatch import HostStopwatch
from bench.measure.workload import Slot, Workload, WorkloadSpec
from bench.model.collective import Collective
from bench.model.timing import TimingPlan
from benchmarks.costs import DEADLINE_S, ITEM_BYTES


class EngineBlock:
    """All_reduce of one size in the latency pass: input put back before each call, every result checked.

    Each block is a whole measurement, with a first call, warm-ups and the exchange of what each rank saw.
    """

    def __init__(
        self,
        ranks: Ranks,
        *,
        algorithm: str,
        placement: str,
        message_bytes: int,
        num_calls: int,
        num_warmups: int,
    ) -> None:
        spec = WorkloadSpec(
            collective=Collective.all_reduce,
            algorithm=algorithm,
            placement=placement,
            count=message_bytes // ITEM_BYTES,
            pattern=pattern("float32", ranks.size, 0, "sum"),
            reduce_op="sum",
        )
        stopwatch = HostStopwatch()
        self._around = Surroundings(
            world=ranks,
            groups=[range(ranks.size)],
            plan=TimingPlan(num_warmups=num_warmups, num_iterations=num_calls, budget_s=DEADLINE_S),
            stopwatch=stopwatch,
            origin_s=stopwatch.now_s(),
            is_stop_wanted=lambda: False,
        )
        self._arm = PASSES["latency"](Workload(spec, ranks), setting_of(self._around), ranks.device)

    @property
    def slot(self) -> Slot:
        """The buffers of the timed calls, for whoever wants to compare on the same memory."""
        return self._arm.slots[0]

    def __call__(self) -> list[float]:
        """Shape: (num_calls,), seconds of the slowest rank; the same on every rank.

        Raises:
            RuntimeError: a result was wrong, or a sample was left out.
        """
        (found,) = measure([self._arm], self._around)
        num_left_out = found.num_rejected + found.num_bad
        if any(found.num_wrong) or num_left_out:
            raise RuntimeError(
                f"wrong elements on each rank: {found.num_wrong}; samples left out: {num_left_out}"
            )
        return [max(column) for column in zip(*found.duration_s, strict=True)]
