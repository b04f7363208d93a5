"""How much of a collective's time a computation beside it hides."""


def overlap_fraction(*, communication_s: float, compute_s: float, both_s: float) -> float:
    """Share of the call that took no time of its own: 1 - (both - compute) / communication.

    0: one after the other; 1: hidden whole; below 0: the two disturb each other. ``communication_s`` and ``compute_s`` are
    what each takes alone.

    Source:
        The form is that of draft-calabria-bmwg-ai-fabric-training-bench (working text towards -06), section 10.1, figure
        5, and of OSU's non-blocking collectives; both name the compute time in the same place.
    Raises:
        ValueError: ``communication_s`` is not above 0.
    """
    if not communication_s > 0:
        raise ValueError(f"communication_s is {communication_s}; a call takes time")
    return 1 - (both_s - compute_s) / communication_s


def overlap_fraction_bmwg(*, roofline_s: float, compute_s: float, both_s: float) -> float:
    """The draft's own: as `overlap_fraction`, with the time that the line rate allows in the place of the measured call.

    roofline = 8 S factor / B_acc. A call below line rate that is not hidden at all is negative here.

    Source:
        draft-calabria-bmwg-ai-fabric-training-bench, section 10.1, figure 5.
    """
    return overlap_fraction(communication_s=roofline_s, compute_s=compute_s, both_s=both_s)


def job_completion_ratio(*, roofline_s: float, compute_s: float, both_s: float) -> float:
    """Measured over the time of computing and then communicating at line rate: both / (compute + roofline).

    Source:
        draft-calabria-bmwg-ai-fabric-training-bench, section 10.1, figure 4.
    """
    return both_s / (compute_s + roofline_s)
