"""What NCCL would take where nobody has said, read or forced it, and what else it might have taken."""

from bench.model.collective import Collective
from bench.model.schedule import SCHEDULES, Schedule


def candidates(
    collective: Collective,
    num_hosts: int,
    ranks_per_host: int,
    *,
    has_nvls: bool,
    has_in_network_reduction: bool = False,
    has_pxn: bool = False,
) -> tuple[Schedule, ...]:
    """Schedules among which NCCL decides for a large message; it takes the one that it expects to be fastest.

    all_reduce: a ring, on one host NVLS, on several NVLSTree where switches reduce (at two hosts its value for the network is
    doubled, so that it wins there), and CollNet where the network reduces. A tree is left out: its algorithm bandwidth is half
    of its bus bandwidth where that of a ring is N / (2 (N - 1)) of it, more than half, so with equal channels a ring wins
    for large messages; an exchange goes by the rail of its destination where GPUs are joined by switches (``has_pxn``), which
    NCCL does as much as it can (NCCL_P2P_PXN_LEVEL 2). Some versions and machines have run trees at two hosts all the same, so that is an alternative.

    Source:
        The structure of NCCL's tuner, src/graph/tuning.cc of NCCL 2.30 (its constants are not used here); P2P_PXN_LEVEL in
        src/graph/search.cc.
    """
    if collective is not Collective.all_reduce:
        if collective in (Collective.all_to_all, Collective.all_to_allv) and has_pxn and num_hosts > 1:
            return (Schedule.p2p_pxn,)
        return SCHEDULES.get(collective, ())[:1]
    found = [Schedule.ring]
    if has_nvls and ranks_per_host > 1:
        found.append(Schedule.nvls if num_hosts == 1 else Schedule.nvlstree)
    if has_in_network_reduction and num_hosts > 1:
        found.append(Schedule.sharp)
    return tuple(found)


def alternatives(
    collective: Collective, num_hosts: int, ranks_per_host: int, *, has_nvls: bool
) -> tuple[Schedule, ...]:
    """Every schedule that NCCL has for this, whether or not it would take it for a large message."""
    if collective is Collective.all_reduce:
        found = [Schedule.ring]
        if num_hosts > 1:
            found += [Schedule.tree, Schedule.sharp]
        if has_nvls and ranks_per_host > 1:
            found.append(Schedule.nvls if num_hosts == 1 else Schedule.nvlstree)
        return tuple(found)
    if collective in (Collective.all_gather, Collective.reduce_scatter):
        return (Schedule.ring, Schedule.nvls) if has_nvls and num_hosts == 1 else (Schedule.ring,)
    if collective in (Collective.all_to_all, Collective.all_to_allv):
        return (Schedule.p2p, Schedule.p2p_pxn)
    return SCHEDULES.get(collective, ())
