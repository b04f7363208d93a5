"""From the line rate of the glass to the busbw: where the time of one call goes, in steps that add up."""

from dataclasses import dataclass
from typing import Final

from bench.model.fabric import Network
from bench.model.framing import Transport
from bench.model.predict import LATENCY, Prediction, busbw_of

GLASS: Final = "line rate of the glass"
CODING: Final = "coding and FEC"
FRAMING: Final = "framing"
FAULTS: Final = "faults that are injected"
SENT_AGAIN: Final = "sent again"
NVLINK: Final = "nominal rate of NVLink"
CONTENTION: Final = "contention and software"
COLLISIONS: Final = "hash collisions"
BELOW_NOMINAL: Final = "NVLink below its nominal rate"
DELAY: Final = "delay of the links"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step down.

    Attributes:
        duration_s: what it adds to the time of the call; the first step is the whole time at that rate.
        busbw_bytes_per_s: what is left of the busbw after it.
        note: what it rests on.
    """

    label: str
    duration_s: float
    busbw_bytes_per_s: float
    note: str


def waterfall(prediction: Prediction, network: Network) -> tuple[Step, ...]:
    """Steps whose durations add up to that of ``prediction``, and whose last busbw is the predicted one.

    Bytes at the line rate of the glass; then what coding and FEC, framing, a narrower resource, contention and software, and
    the steps of the schedule add. Where nothing leaves a host the first step is NVLink's. Empty without a duration.
    """
    duration_s = prediction.duration_s
    if duration_s is None or not prediction.loads or prediction.load_s is None:
        return ()
    found: list[Step] = []
    elapsed_s = 0.0

    def add(label: str, until_s: float, note: str) -> None:
        nonlocal elapsed_s
        busbw = busbw_of(prediction.spec, until_s)
        if until_s > elapsed_s and busbw is not None:
            found.append(
                Step(label=label, duration_s=until_s - elapsed_s, busbw_bytes_per_s=busbw, note=note)
            )
            elapsed_s = until_s

    by_name = {load.resource: load for load in prediction.loads if load.is_outside}
    optics = by_name.get("optics")
    if optics is not None:
        rates = ((GLASS, network.glass_bytes_per_s), (CODING, network.mac_bytes_per_s))
        notes = ("lanes x symbol rate x bits per symbol", "64b/66b, Reed-Solomon, inner code")
        for (label, rate), note in zip(rates, notes, strict=True):
            if rate is not None:
                add(label, optics.payload_bytes / rate, note)
        is_known = network.transport is not Transport.unknown
        packets = (
            network.transport.value if is_known else "InfiniBand, the least there are; transport not known"
        )
        add(FRAMING, optics.payload_bytes / network.port_bytes_per_s["optics"], f"headers of {packets}")
        is_lossy = network.goodput_high < 1
        add(
            SENT_AGAIN if is_lossy else FAULTS,
            optics.duration_s,
            "loss on the link" if is_lossy else "emulation.faults",
        )
    slowest = prediction.loads[0]
    if optics is None:
        add(NVLINK, slowest.duration_s, "data sheet")
    else:
        add(f"narrower: {slowest.resource}", slowest.duration_s, "capacity of the resource that binds")
    add(COLLISIONS, elapsed_s + prediction.collision_s, "hashed flows on one uplink, on average")
    label = BELOW_NOMINAL if prediction.resource == "nvlink" else CONTENTION
    add(label, prediction.load_s, "share that published runs reached")
    is_steps = prediction.is_experienced
    note = "steps of the schedule, by the protocol's hop" if is_steps else "propagation"
    add(LATENCY if is_steps else DELAY, duration_s, note)
    return tuple(found)
