"""Many predictions at once: `predict` on arrays, for planners that compare thousands of fabrics and sizes."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.model.attained import NETWORKS, RACK_RANKS, inside_resources
from bench.model.collective import TRAITS, Collective
from bench.model.framing import Transport
from bench.model.gpu import Gpu
from bench.model.held_out import Experience, Family
from bench.model.latency import envelope
from bench.model.schedule import Number, Schedule, demand
from bench.model.units import bytes_per_s_from_gbytes_per_s

Array = npt.NDArray[np.float64]

BOUND_BY: Final = ("network", "spine", "nvlink", "latency")
"""What `Batch.bound_by` counts."""

BLOCK: Final = 16384
"""Elements computed together: their intermediate arrays (128 KiB each) stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Predictions of one shape. Seconds, bytes per second; ``bound_by`` is an index into `BOUND_BY`.

    low_s and high_s are NaN without experience, duration_s where nothing is expected (see `envelope`).
    """

    ceiling_s: Array
    duration_s: Array
    low_s: Array
    high_s: Array
    bus_bytes: Array
    bound_by: npt.NDArray[np.int8]

    @property
    def busbw_bytes_per_s(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.bus_bytes / self.duration_s

    @property
    def ceiling_busbw_bytes_per_s(self) -> Array:
        with np.errstate(divide="ignore"):
            return self.bus_bytes / self.ceiling_s


def predict_many(
    collective: Collective,
    schedule: Schedule,
    *,
    message_bytes: Number,
    num_hosts: Number,
    ranks_per_host: Number,
    host_bytes_per_s: Number,
    nvlink_bytes_per_s: Number = np.inf,
    hosts_per_leaf: Number = np.inf,
    oversubscription: Number = 1.0,
    imbalance: Number = 1.0,
    is_rail_optimised: bool = False,
    transport: Transport = Transport.unknown,
    gpu: Gpu | None = None,
    may_share_ports: bool = False,
    known: Experience | None = None,
) -> Batch:
    """`predict` for arrays that broadcast; the same formulas.

    ``host_bytes_per_s``: payload of all ports of a host together, per direction (for send_recv of one rank's ports).
    ``nvlink_bytes_per_s``: nominal, per rank and direction; infinite where it is not known. ``imbalance``: of all_to_allv, the
    largest buffer over the mean (`bench.model.transfer.load_imbalance`); ``message_bytes`` is then the mean one, and time and
    size grow with it.

    Shape: all number arguments broadcast to the shape of the result.
    Raises:
        ValueError: the collective has no such schedule.
    """
    arrays = np.broadcast_arrays(
        *(
            np.asarray(value, dtype=float)
            for value in (
                message_bytes,
                num_hosts,
                ranks_per_host,
                host_bytes_per_s,
                nvlink_bytes_per_s,
                hosts_per_leaf,
                oversubscription,
                imbalance,
            )
        )
    )
    how = _How(
        collective=collective,
        schedule=schedule,
        is_rail_optimised=is_rail_optimised,
        transport=transport,
        gpu=gpu,
        may_share_ports=may_share_ports,
        known=known,
    )
    shape = arrays[0].shape
    flat = [array.reshape(-1) for array in arrays]
    starts = range(0, max(1, flat[0].size), BLOCK)
    blocks = [_predict_block(how, *(array[start : start + BLOCK] for array in flat)) for start in starts]
    return Batch(
        **{
            field.name: np.concatenate([getattr(block, field.name) for block in blocks]).reshape(shape)
            for field in fields(Batch)
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What all elements of a batch have in common."""

    collective: Collective
    schedule: Schedule
    is_rail_optimised: bool
    transport: Transport
    gpu: Gpu | None
    may_share_ports: bool
    known: Experience | None


def _predict_block(
    how: _How,
    size: Array,
    hosts: Array,
    ranks: Array,
    host_rate: Array,
    nvlink_rate: Array,
    leaf_hosts: Array,
    over: Array,
    skew: Array,
) -> Batch:
    collective, schedule, known = how.collective, how.schedule, how.known
    needs = demand(collective, schedule, hosts, ranks, leaf_hosts, how.is_rail_optimised)
    num_ranks = hosts * ranks
    leaf_hosts = np.minimum(leaf_hosts, hosts)
    moved = size * skew
    is_unknown = np.isinf(nvlink_rate) & (np.asarray(needs.inside_bytes) + needs.nvls_bytes > 0)
    if how.gpu is not None and how.gpu.link_gbytes_per_s is not None:
        peers = 1.0 if collective is Collective.send_recv else np.maximum(ranks - 1, 1)
        mesh_rate = peers * bytes_per_s_from_gbytes_per_s(how.gpu.link_gbytes_per_s)
        nvlink_rate = np.where(np.isinf(nvlink_rate), nvlink_rate, np.minimum(nvlink_rate, mesh_rate))
    network_s = moved * needs.host_bytes / host_rate
    spine_s = moved * needs.leaf_bytes * over / (leaf_hosts * host_rate)
    inside_s = moved * needs.inside_bytes / nvlink_rate
    nvls_s = moved * needs.nvls_bytes / nvlink_rate
    ceiling_s = np.maximum(np.maximum(network_s, spine_s), np.maximum(inside_s, nvls_s))
    factor = TRAITS[collective].factor
    bus_bytes = moved * (1.0 if factor is None else factor * (num_ranks - 1) / num_ranks)
    if known is None:
        slowest = np.argmax(np.stack([network_s, spine_s, np.maximum(inside_s, nvls_s)]), axis=0)
        nothing = np.full_like(ceiling_s, np.nan)
        return Batch(
            ceiling_s=ceiling_s,
            duration_s=np.where(ceiling_s > 0, ceiling_s, np.nan),
            low_s=nothing,
            high_s=nothing,
            bus_bytes=bus_bytes,
            bound_by=slowest.astype(np.int8),
        )
    shares = known.shares
    outside = shares.of(NETWORKS[how.transport])
    link, in_machine = (shares.of(name) for name in inside_resources(schedule, 1, how.gpu))
    in_rack = shares.of(inside_resources(schedule, RACK_RANKS + 1, how.gpu)[1])
    nvls = np.where(ranks > RACK_RANKS, in_rack, in_machine)
    reached = np.stack([network_s / outside, spine_s / outside, np.maximum(inside_s / link, nvls_s / nvls)])
    load_s = reached.max(axis=0)
    several = Family.may_share_ports if how.may_share_ports else Family.own_port
    is_one = hosts == 1
    low_share = np.where(is_one, known.low.get(Family.one_host, 1.0), known.low.get(several, 1.0))
    high_share = np.where(is_one, known.high.get(Family.one_host, 1.0), known.high.get(several, 1.0))
    time = envelope(
        load_s,
        load_s / high_share,
        load_s / low_share,
        needs.host_steps,
        needs.inside_steps,
        needs.num_messages,
        num_ranks,
    )
    # Where nothing that is modelled carries a byte, steps alone are no expectation.
    # So it is where ranks of a host exchange bytes over links that nobody has described.
    is_expected = (ceiling_s > 0) & ~is_unknown
    duration_s = np.where(is_expected, np.maximum(time.expected_s, ceiling_s), np.nan)
    low_s = np.maximum(time.low_s, ceiling_s)
    many = (np.asarray(needs.num_messages) > 0) & ~is_unknown
    is_latency = np.where(np.isnan(duration_s), many | (low_s > load_s), duration_s > 2 * load_s)
    return Batch(
        ceiling_s=ceiling_s,
        duration_s=duration_s,
        low_s=low_s,
        high_s=np.where(is_unknown, np.nan, np.fmax(np.maximum(time.high_s, low_s), duration_s)),
        bus_bytes=bus_bytes,
        bound_by=np.where(is_latency, BOUND_BY.index("latency"), reached.argmax(axis=0)).astype(np.int8),
    )
