"""What a collective is: its buffers, its bus factor, and the bytes each algorithm sends across a host's border."""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction


class Collective(Enum):
    """The collectives that this version measures. Members are named as users write them."""

    all_reduce = "all_reduce"
    all_to_all = "all_to_all"
    send_recv = "send_recv"


class Algorithm(Enum):
    """How the bytes travel. ``native`` is the backend's own choice; the model names the schedule behind it."""

    ring = "ring"
    pairwise = "pairwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveSpec:
    """One point of a sweep, as the model needs it.

    Attributes:
        message_bytes: nccl-tests' size: the buffer of one rank (all_reduce, send_recv), its whole send
            buffer (all_to_all).
    """

    collective: Collective
    num_ranks: int
    message_bytes: int

    def __post_init__(self) -> None:
        if self.num_ranks < 1:
            raise ValueError(f"num_ranks is {self.num_ranks}; a collective needs at least one rank")
        if self.message_bytes < 0:
            raise ValueError(f"message_bytes is {self.message_bytes}; it cannot be negative")


def bus_factor(collective: Collective, num_ranks: int) -> float:
    """Bus bandwidth over algorithm bandwidth: busbw = bus_factor x message_bytes / time.

    all_reduce: 2 (N - 1) / N      all_to_all: (N - 1) / N      send_recv: 1

    Raises:
        ValueError: ``num_ranks`` is below 1.
    Source:
        NVIDIA/nccl-tests, doc/PERFORMANCE.md, "Bus Bandwidth"; src/sendrecv.cu for send_recv.
    """
    if num_ranks < 1:
        raise ValueError(f"num_ranks is {num_ranks}; a collective needs at least one rank")
    once = Fraction(num_ranks - 1, num_ranks)
    match collective:
        case Collective.all_reduce:
            return float(2 * once)
        case Collective.all_to_all:
            return float(once)
        case Collective.send_recv:
            return 1.0


def schedule(collective: Collective) -> Algorithm:
    """The schedule that the model assumes for a collective: a ring, or a direct exchange between all pairs."""
    return Algorithm.pairwise if collective is Collective.all_to_all else Algorithm.ring


def num_crossings(spec: CollectiveSpec, ranks_per_host: int) -> int:
    """Links between hosts that follow one another on the longest chain, for n hosts.

    A ring all_reduce hands every block on 2 (N - 1) times, two steps short of two laps of n borders each; the longest chain
    spares its two missing steps inside a host if g ranks share one: 2 n - 2 borders for g = 1, 2 n - 1 for 2, else 2 n.
    A ring send_recv and a direct all_to_all have chains of one message.

    Source:
        Enumeration of the chains of a ring.
    """
    num_hosts = spec.num_ranks // ranks_per_host
    if num_hosts == 1:
        return 0
    if spec.collective is not Collective.all_reduce:
        return 1
    return 2 * num_hosts - max(0, 3 - ranks_per_host)


def host_egress_bytes(spec: CollectiveSpec, ranks_per_host: int) -> float:
    """Payload that leaves one host (and, by symmetry, enters it) in one call.

    With S = message_bytes, N ranks, g per host:

    ring all_reduce  2 (N - 1) / N x S   a ring in rank order leaves each host once
    all_to_all       g (N - g) / N x S   each of g ranks owes S / N to each rank elsewhere
    ring send_recv   S                   one of the g hops leaves the host

    Units: bytes of payload, per direction.
    Raises:
        ValueError: the ranks do not fill the hosts evenly.
    Source:
        Enumeration of the schedule; the same terms as nccl-tests' bus bandwidth, per host instead of per rank.
    """
    n, g = spec.num_ranks, ranks_per_host
    if g < 1 or n % g:
        raise ValueError(f"{n} ranks do not fill hosts of {g} ranks each")
    if n == g:
        return 0.0
    match spec.collective:
        case Collective.all_reduce:
            return 2 * (n - 1) / n * spec.message_bytes
        case Collective.all_to_all:
            return g * (n - g) / n * spec.message_bytes
        case Collective.send_recv:
            return float(spec.message_bytes)


def rank_link_bytes(spec: CollectiveSpec, ranks_per_host: int) -> float:
    """Payload that the busiest rank sends to ranks of its own host in one call (over NVLink, where there is one).

    One host: the whole bus traffic, bus_factor x S. Several hosts, g > 1:

    ring all_reduce  2 (N - 1) / N x S x (g - 1) / g   g rings, each leaving by its own port
    all_to_all       (g - 1) / N x S                   peers of the same host
    ring send_recv   S                                 the neighbour on the same host

    Units: bytes of payload, per direction.
    Source:
        Enumeration of the schedule.
    """
    n, g = spec.num_ranks, ranks_per_host
    if g == 1:
        return 0.0
    if n == g:
        return bus_factor(spec.collective, n) * spec.message_bytes
    match spec.collective:
        case Collective.all_reduce:
            return 2 * (n - 1) / n * spec.message_bytes * (g - 1) / g
        case Collective.all_to_all:
            return (g - 1) / n * spec.message_bytes
        case Collective.send_recv:
            return float(spec.message_bytes)
