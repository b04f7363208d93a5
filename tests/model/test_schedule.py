"""Schedules: known answers of the literature's closed forms, laws of what they ask for, and what they are called."""

import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from bench.model.batch import predict_many
from bench.model.collective import Collective, CollectiveSpec, bus_factor
from bench.model.fabric import Network
from bench.model.predict import predict
from bench.model.schedule import SCHEDULES, Demand, Schedule, demand, schedule_named
from bench.model.transfer import host_egress_bytes, leaf_egress_bytes, rank_link_bytes
from tests.model.schedules import LAYOUTS, even_split, spec_of

VECTORS = Path(__file__).with_name("ceilings_vectors.csv")
FIELDS = (
    *("host_bytes", "inside_bytes", "nvls_bytes", "leaf_bytes"),
    *("host_steps", "inside_steps", "num_messages"),
)
PAIRS = [(collective, schedule) for collective, known in SCHEDULES.items() for schedule in known]
every_pair = pytest.mark.parametrize(("collective", "schedule"), PAIRS, ids=lambda value: value.value)
every_reduction_by_ranks = pytest.mark.parametrize(
    "schedule",
    [
        s for s in SCHEDULES[Collective.all_reduce] if s not in (Schedule.sharp, Schedule.nvls)
    ],  # the network adds up
    ids=lambda schedule: schedule.value,
)


def ceiling_gbytes_per_s(
    collective: Collective,
    schedule: Schedule,
    num_hosts: int,
    ranks_per_host: int,
    port_gbytes_per_s: float,
    nvlink_gbytes_per_s: float | None = None,
    *,
    hosts_per_leaf: int | None = None,
    oversubscription: float = 1,
    is_rail_optimised: bool = False,
) -> float:
    """Of `predict`, with one port per rank."""
    network = Network(
        num_hosts=num_hosts,
        ranks_per_host=ranks_per_host,
        ports_per_host=ranks_per_host,
        port_bytes_per_s={"optics": port_gbytes_per_s * 1e9},
        spine_bytes_per_s=port_gbytes_per_s * 1e9 / oversubscription if oversubscription > 1 else None,
        hosts_per_leaf=hosts_per_leaf,
        nvlink_bytes_per_s=None if nvlink_gbytes_per_s is None else nvlink_gbytes_per_s * 1e9,
        is_rail_optimised=is_rail_optimised,
    )
    spec = CollectiveSpec(collective=collective, num_ranks=network.num_ranks, message_bytes=2**30)
    ceiling = predict(spec, network, schedule).ceiling_busbw_bytes_per_s
    assert ceiling is not None
    return ceiling / 1e9


# Known answers


def _vectors() -> list[dict[str, str]]:
    with VECTORS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_vectors_are_all_there() -> None:
    """Every schedule but two, for which nobody has published a ceiling; an enumeration stands for those."""
    rows = _vectors()
    assert len(rows) == 247
    named = {Schedule(row["algorithm"]) for row in rows}
    assert set(Schedule) - named == {Schedule.pairwise, Schedule.bruck}


@pytest.mark.parametrize("row", _vectors(), ids=lambda row: "-".join(filter(None, row.values())))
def test_ceiling_vectors(row: dict[str, str]) -> None:
    """On one host there is no rate of the network; one byte per second stands for it, and would show if it were used."""
    nic, nvlink = row["nic_gbytes_per_s"], row["nvlink_gbytes_per_s"]
    found = ceiling_gbytes_per_s(
        Collective(row["collective"]),
        Schedule(row["algorithm"]),
        int(row["nodes"]),
        int(row["gpus_per_node"]),
        float(nic) if nic else 1e-9,
        float(nvlink) if nvlink else None,
    )
    assert found == pytest.approx(float(row["busbw_ceiling_gbytes_per_s"]), rel=1e-6)


def test_ceiling_vectors_in_one_call_for_each_schedule() -> None:
    rows = _vectors()
    kinds = {(row["collective"], row["algorithm"]) for row in rows}
    for collective, algorithm in kinds:
        mine = [row for row in rows if (row["collective"], row["algorithm"]) == (collective, algorithm)]
        hosts = np.array([int(row["nodes"]) for row in mine])
        ranks = np.array([int(row["gpus_per_node"]) for row in mine])
        nic = np.array([float(row["nic_gbytes_per_s"] or 1e-9) for row in mine])
        found = predict_many(
            Collective(collective),
            Schedule(algorithm),
            message_bytes=1e9,
            num_hosts=hosts,
            ranks_per_host=ranks,
            host_bytes_per_s=1e9 * nic * (1 if collective == "send_recv" else ranks),
            nvlink_bytes_per_s=[1e9 * float(row["nvlink_gbytes_per_s"] or math.inf) for row in mine],
        )
        expected = [float(row["busbw_ceiling_gbytes_per_s"]) for row in mine]
        assert found.ceiling_busbw_bytes_per_s / 1e9 == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("num_hosts", "tree", "hierarchical", "nvlstree", "sharp", "all_to_all"),
    [
        (2, 750, 750, 510, 750, 93.75),
        (3, 511.1, 575, 511.1, 766.7, 71.88),
        (4, 387.5, 516.7, 387.5, 775, 64.58),
        (8, 393.8, 450, 393.8, 787.5, 56.25),
        (16, 396.9, 423.3, 396.9, 793.8, 52.92),
        (32, 398.4, 411.3, 398.4, 796.9, 51.41),
        (64, 399.2, 405.6, 399.2, 798.4, 50.69),
        (128, 399.6, 402.8, 399.6, 799.2, 50.34),
        (256, 399.8, 401.4, 399.8, 799.6, 50.17),
        (512, 399.9, 400.7, 399.9, 799.8, 50.09),
    ],
)
def test_eight_gpus_with_400g_each(
    num_hosts: int, tree: float, hierarchical: float, nvlstree: float, sharp: float, all_to_all: float
) -> None:
    """A ring reaches 400 GB/s on any number of hosts; NVLink does not bind but for NVLSTree, at 306 GB/s of wire rate."""
    expected = {
        Schedule.ring: 400.0,
        Schedule.tree: tree,
        Schedule.hierarchical: hierarchical,
        Schedule.nvlstree: nvlstree,
        Schedule.sharp: sharp,
    }
    for schedule, ceiling in expected.items():
        nvlink = 306.0 if schedule is Schedule.nvlstree else None
        found = ceiling_gbytes_per_s(Collective.all_reduce, schedule, num_hosts, 8, 50, nvlink)
        assert found == pytest.approx(ceiling, abs=0.0501), schedule
    found = ceiling_gbytes_per_s(Collective.all_to_all, Schedule.p2p, num_hosts, 8, 50)
    assert found == pytest.approx(all_to_all, abs=0.00501)


@pytest.mark.parametrize(
    ("schedule", "num_hosts", "ceilings"),
    [
        (Schedule.p2p, 8, (56.25, 32.14, 16.07)),
        (Schedule.p2p, 32, (51.41, 29.38, 14.69)),
        (Schedule.p2p, 64, (50.69, 27.01, 13.50)),
        (Schedule.p2p, 128, (50.34, 25.96, 12.98)),
        (Schedule.p2p_pxn, 8, (56.25, 56.25, 56.25)),
        (Schedule.p2p_pxn, 32, (51.41, 51.41, 51.41)),
        (Schedule.p2p_pxn, 64, (50.69, 49.90, 24.95)),
        (Schedule.p2p_pxn, 128, (50.34, 33.30, 16.65)),
    ],
)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_all_to_all_on_rails_below_a_blocking_spine(
    schedule: Schedule, num_hosts: int, ceilings: tuple[float, ...], which: int
) -> None:
    """Eight GPUs and eight ports of 50 GB/s, NVLink 370 GB/s, units of 32 hosts, or of all there are."""
    found = ceiling_gbytes_per_s(
        Collective.all_to_all,
        schedule,
        num_hosts,
        8,
        50,
        370,
        hosts_per_leaf=min(32, num_hosts),
        oversubscription=(1, 2, 4)[which],
        is_rail_optimised=True,
    )
    assert found == pytest.approx(ceilings[which], abs=0.00501)


@pytest.mark.parametrize(("num_gpus", "two_racks", "three_racks"), [(64, 99.2, 74.6), (72, 99.3, 74.7)])
def test_all_to_all_between_racks(num_gpus: int, two_racks: float, three_racks: float) -> None:
    for num_hosts, ceiling in ((2, two_racks), (3, three_racks)):
        found = ceiling_gbytes_per_s(Collective.all_to_all, Schedule.p2p, num_hosts, num_gpus, 50)
        assert found == pytest.approx(ceiling, abs=0.0501)


def test_a_ring_in_rank_order_does_not_notice_a_spine_up_to_the_hosts_below_a_leaf() -> None:
    def busbw(oversubscription: float) -> float:
        options = {"hosts_per_leaf": 4, "oversubscription": oversubscription}
        return ceiling_gbytes_per_s(Collective.all_reduce, Schedule.ring, 16, 8, 50, **options)  # type: ignore[arg-type]

    assert [busbw(o) for o in (1, 2, 4, 8)] == pytest.approx([400, 400, 400, 200])


@pytest.mark.parametrize(
    ("collective", "schedule", "num_hosts", "ranks_per_host", "steps"),
    [
        (Collective.all_reduce, Schedule.ring, 4, 8, (6, 56)),  # 2 (N - 1) = 62 in all
        (Collective.all_gather, Schedule.ring, 4, 8, (3, 28)),
        (Collective.all_reduce, Schedule.tree, 8, 8, (6, 14)),  # 2 log2 n, 2 (g - 1)
        (Collective.all_reduce, Schedule.tree, 6, 8, (6, 14)),
        (Collective.all_reduce, Schedule.recursive_doubling, 8, 8, (3, 3)),  # log2 N
        (Collective.all_reduce, Schedule.rabenseifner, 8, 8, (6, 6)),  # 2 log2 N
        (Collective.all_to_all, Schedule.pairwise, 4, 8, (24, 7)),  # N - 1
        (Collective.all_to_all, Schedule.bruck, 4, 8, (5, 0)),  # log2 N, each crosses some border
        (Collective.all_to_all, Schedule.bruck, 1, 8, (0, 3)),
        (Collective.send_recv, Schedule.p2p, 2, 8, (1, 0)),
        (Collective.send_recv, Schedule.p2p, 1, 8, (0, 1)),
    ],
)
def test_steps(
    collective: Collective, schedule: Schedule, num_hosts: int, ranks_per_host: int, steps: tuple[int, int]
) -> None:
    found = demand(collective, schedule, num_hosts, ranks_per_host)
    assert (found.host_steps, found.inside_steps) == steps


# Laws


@every_reduction_by_ranks
def test_no_all_reduce_by_ranks_sends_less_than_the_information_bound(schedule: Schedule) -> None:
    """Without a network that reduces, n hosts send 2 (n - 1) S at least, so one of them 2 (n - 1) / n S."""
    n, g = np.arange(1, 2000)[:, None], np.array([1, 2, 3, 8, 72])
    found = demand(Collective.all_reduce, schedule, n, g)
    assert (found.host_bytes >= 2 * (n - 1) / n * (1 - 1e-12)).all()


@every_pair
def test_no_bytes_leave_one_host(collective: Collective, schedule: Schedule) -> None:
    found = demand(collective, schedule, 1, 8)
    assert found.host_bytes == found.leaf_bytes == found.host_steps == 0
    assert found.inside_bytes + found.nvls_bytes > 0


@every_pair
def test_one_rank_per_host_moves_nothing_inside(collective: Collective, schedule: Schedule) -> None:
    found = demand(collective, schedule, 8, 1)
    assert found.inside_bytes == 0 and found.host_bytes > 0
    if schedule is not Schedule.nvls:  # switches of a domain of one rank; nobody runs it there
        assert found.nvls_bytes == 0


@every_pair
def test_one_leaf_has_nothing_to_send_to_others(collective: Collective, schedule: Schedule) -> None:
    for hosts_per_leaf in (4, 64, np.inf):
        assert demand(collective, schedule, 4, 8, hosts_per_leaf).leaf_bytes == 0


@every_pair
def test_smaller_leaves_send_no_less_for_each_host(collective: Collective, schedule: Schedule) -> None:
    per_host = [float(demand(collective, schedule, 64, 8, p).leaf_bytes) / p for p in (32, 16, 8, 4, 2, 1)]
    assert all(b >= a * (1 - 1e-12) for a, b in itertools.pairwise(per_host))


@every_pair
@pytest.mark.parametrize("is_rail_optimised", [False, True])
def test_arrays_broadcast(collective: Collective, schedule: Schedule, is_rail_optimised: bool) -> None:
    hosts, ranks, leaf = np.array([[1], [2], [3], [16], [100]]), np.array([2, 3, 8, 72]), 4.0
    found = demand(collective, schedule, hosts, ranks, leaf, is_rail_optimised)
    for (i, j), n in np.ndenumerate(np.broadcast_to(hosts, (5, 4))):
        one = demand(collective, schedule, n, ranks[j], leaf, is_rail_optimised)
        for field in FIELDS:
            whole = np.broadcast_to(getattr(found, field), (5, 4))
            assert whole[i, j] == pytest.approx(float(getattr(one, field)), rel=1e-12), (field, n, ranks[j])


def test_the_fields_are_all_compared() -> None:
    assert set(FIELDS) == set(Demand.__slots__)


@pytest.mark.parametrize("collective", list(SCHEDULES), ids=lambda collective: collective.value)
def test_the_default_is_what_is_assumed_of_a_library_that_does_not_say(collective: Collective) -> None:
    for (num_hosts, ranks_per_host), hosts_per_leaf in itertools.product(LAYOUTS, (1, 2, 4, 8)):
        n = num_hosts * ranks_per_host
        split = even_split(n) if collective is Collective.all_to_allv else None
        spec = spec_of(collective, n, split=split)
        found = demand(collective, SCHEDULES[collective][0], num_hosts, ranks_per_host, hosts_per_leaf)
        size, per_leaf = spec.message_bytes, hosts_per_leaf * ranks_per_host
        assert found.host_bytes * size == pytest.approx(host_egress_bytes(spec, ranks_per_host))
        assert found.leaf_bytes * size == pytest.approx(leaf_egress_bytes(spec, per_leaf))
        assert found.inside_bytes * size == pytest.approx(rank_link_bytes(spec, ranks_per_host))


def test_nvls_on_several_hosts_joins_reduction_in_the_network() -> None:
    """NCCL's NVLS is NVLink SHARP inside and CollNet between: 2 (N - 1) / N x min(g B, L_w g / (g + 1))."""
    for n in (2, 4, 64):
        factor = 2 * (8 * n - 1) / (8 * n)
        network = ceiling_gbytes_per_s(Collective.all_reduce, Schedule.nvls, n, 8, 50)
        assert network == pytest.approx(factor * 400)
        switches = ceiling_gbytes_per_s(Collective.all_reduce, Schedule.nvls, n, 8, 50, 306)
        assert switches == pytest.approx(factor * 306 * 8 / 9)


def test_131072_ranks() -> None:
    """A ring's egress is its bus factor, whatever the number; recursive doubling sends the vector log2 N times."""
    n, g = 16384, 8
    factor = bus_factor(Collective.all_reduce, n * g)
    assert demand(Collective.all_reduce, Schedule.ring, n, g).host_bytes == pytest.approx(factor)
    doubling = demand(Collective.all_reduce, Schedule.recursive_doubling, n, g)
    assert (doubling.host_bytes, doubling.inside_bytes) == (8 * 14, 3)
    exchange = demand(Collective.all_to_all, Schedule.p2p, n, g)
    assert exchange.host_bytes == pytest.approx(8 * (1 - 1 / n)) and exchange.num_messages == n * g - 1


# Names


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        *((schedule.value, schedule) for schedule in Schedule),
        ("Ring", Schedule.ring),
        ("RING", Schedule.ring),
        ("Tree", Schedule.tree),
        ("NVLS", Schedule.nvls),
        ("NVLSTree", Schedule.nvlstree),
        ("CollNetChain", Schedule.sharp),
        ("CollnetDirect", Schedule.sharp),
        (" recursive doubling ", Schedule.recursive_doubling),
        ("recursive-doubling", Schedule.recursive_doubling),
        ("segmented_ring", Schedule.ring),
        ("modified_bruck", Schedule.bruck),
        ("P2P-PXN", Schedule.p2p_pxn),
    ],
)
def test_names_of_logs_libraries_and_tables(text: str, schedule: Schedule) -> None:
    assert schedule_named(text) is schedule


@pytest.mark.parametrize("text", ["", "PAT", "ring/simple", "Ring,Tree", "^tree", "native", "basic_linear"])
def test_names_without_a_closed_form(text: str) -> None:
    """The protocol behind a slash is cut elsewhere; a list of what is allowed does not say what runs."""
    assert schedule_named(text) is None


@pytest.mark.parametrize(
    ("collective", "schedule", "words"),
    [
        (Collective.all_to_all, Schedule.ring, ["all_to_all", "'ring'", "p2p, p2p_pxn, pairwise, bruck"]),
        (Collective.broadcast, Schedule.tree, ["broadcast", "'tree'", "there is ring"]),
        (Collective.gather, Schedule.ring, ["gather", "none with a closed form"]),
        (Collective.barrier, Schedule.tree, ["barrier", "none with a closed form"]),
    ],
)
def test_a_schedule_that_a_collective_does_not_have(
    collective: Collective, schedule: Schedule, words: list[str]
) -> None:
    with pytest.raises(ValueError) as error:
        demand(collective, schedule, 2, 8)
    assert all(word in str(error.value) for word in words), error.value
