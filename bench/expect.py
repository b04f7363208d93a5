"""Which schedule a library is taken to run, and what is expected of it: the one place that joins the model with what is known."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from bench.model.choice import alternatives
from bench.model.collective import Collective, CollectiveSpec
from bench.model.fabric import Network
from bench.model.held_out import Experience, experience
from bench.model.predict import Prediction, choose, predict
from bench.model.schedule import SCHEDULES, Schedule, schedule_named
from bench.published import own_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A prediction, how its schedule was found (``given``, ``chosen``, ``assumed``), and those of other schedules."""

    prediction: Prediction
    source: str
    others: tuple[Prediction, ...] = ()


def expect(spec: CollectiveSpec, network: Network, backend: str, algorithm: str | None = None) -> Expected:
    """Predict one call.

    NCCL: by the algorithm that was read or forced (``ring``, ``tree/ll128``), else by the one it is expected to choose, with
    what published runs reached. MPI: by the algorithm that was forced. Else the library's own schedule, as far as it is
    known; nothing was published that would say what gloo or MPI reach.
    """
    given = given_schedule(algorithm, spec.collective)
    if backend != "nccl":
        source = "assumed" if given is None else "given"
        prediction = predict(spec, network, given)
        if backend == "mpi" and given is None and Schedule.hierarchical in SCHEDULES.get(spec.collective, ()):
            # Which of its algorithms MPI takes is not known: nothing is expected, and the ceiling is that of the best there is.
            best = predict(spec, network, Schedule.hierarchical)
            ceiling_s = min(prediction.ceiling_s, best.ceiling_s)
            prediction = dataclasses.replace(prediction, ceiling_s=ceiling_s, duration_s=None, latency_s=None)
        return Expected(prediction=prediction, source=source)
    known = published_experience()
    schedule = choose(spec, network, known) if given is None else given
    prediction = predict(spec, network, schedule, known)
    possible = alternatives(
        spec.collective, network.num_hosts, network.ranks_per_host, has_nvls=network.has_nvls
    )
    others = tuple(predict(spec, network, other, known) for other in possible if other is not schedule)
    if given is None and schedule is not None:
        # Nobody said which it will be, so only what none of them can exceed is a ceiling. Reduction in the network is set up
        # on purpose, and described then.
        ceilings_s = [prediction.ceiling_s] + [
            other.ceiling_s
            for other in others
            if other.schedule is not Schedule.sharp or network.has_in_network_reduction
        ]
        prediction = dataclasses.replace(prediction, ceiling_s=min(ceilings_s))
        likely = [other for other in others if other.schedule is not Schedule.sharp]
        prediction = widened(prediction, likely)
    return Expected(
        prediction=prediction,
        # What was named but has no closed form (PAT) is predicted as what NCCL would otherwise take.
        source="given" if given else "chosen" if schedule and algorithm is None else "assumed",
        others=others,
    )


def check_forced(algorithm: str | None, network: Network) -> None:
    """Refuse an algorithm that the machine cannot run.

    Raises:
        ValueError: NVLS without switches that reduce, reduction in a network that is not described as able to.
    """
    schedule = None if algorithm is None else schedule_named(algorithm)
    if schedule in (Schedule.nvls, Schedule.nvlstree) and not network.has_nvls:
        raise ValueError(
            f"nccl.algorithm={algorithm}: the NVLink switches of this fabric do not reduce (fabric.has_nvls); take ring or tree"
        )
    reduces = schedule is Schedule.sharp or (schedule is Schedule.nvls and network.num_hosts > 1)
    if reduces and not network.has_in_network_reduction:
        raise ValueError(
            f"nccl.algorithm={algorithm} on {network.num_hosts} hosts: NCCL then reduces in the network; give "
            "fabric.has_in_network_reduction=true if your switches do, or take ring, tree or nvlstree"
        )


def widened(prediction: Prediction, others: Sequence[Prediction]) -> Prediction:
    """The interval of a schedule that was chosen holds those of the others, since nobody said that it will run."""
    ends = [(one.low_s, one.high_s) for one in (prediction, *others)]
    if any(low_s is None or high_s is None for low_s, high_s in ends):
        return prediction
    low_s = max(prediction.ceiling_s, min(low_s for low_s, _ in ends if low_s is not None))
    return dataclasses.replace(
        prediction, low_s=low_s, high_s=max(high_s for _, high_s in ends if high_s is not None)
    )


def given_schedule(algorithm: str | None, collective: Collective) -> Schedule | None:
    """The schedule behind the name that a log or a user gave (``tree/ll128``); None where it has no closed form."""
    found = None if algorithm is None else schedule_named(algorithm.split("/")[0])
    # all_to_allv has loads of its own, whatever the order of its messages.
    return found if found in SCHEDULES.get(collective, ()) else None


@cache
def published_experience() -> Experience:
    """What the published runs that come with linerate reached, all of them together."""
    return experience(own_rows())


def schedule_label(schedule: Schedule | None, fallback: str) -> str:
    """How a schedule is shown; ``fallback`` where it is the library's own."""
    return fallback if schedule is None else schedule.value
