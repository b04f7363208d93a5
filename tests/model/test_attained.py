"""Shares that resources reach: the median of values and bounds, and what it recovers from clusters made up for it."""

import dataclasses
import random
from collections.abc import Sequence

import pytest

from bench.model.attained import (
    Published,
    Shares,
    censored_median,
    estimate_shares,
)
from bench.model.collective import Collective
from bench.model.framing import Transport
from bench.model.schedule import Schedule
from bench.published import own_rows
from tests.model.clusters import clusters, network_row, nvlink_row, nvls_row

NVLINK, NVLS, NVLSTREE = "nvlink ampere", "nvls hopper", "nvlstree hopper"
"""What rows of `tests.model.clusters` have inside; their network is ``network``, or what the transport says."""

# The median of values of which some are only known to be at least something


@pytest.mark.parametrize(
    ("values", "bounds", "median"),
    [
        ([0.7], [], 0.7),
        ([0.7, 0.9], [], 0.8),
        ([0.9, 0.7, 0.8], [], 0.8),
        ([0.6, 0.9, 0.7, 0.8], [], 0.75),
        ([0.7, 0.8, 0.9], [0.1], 0.8),  # a bound below everything says nothing
        # Survival after each value 3/4, 1/2, 1/4; its middles 7/8, 5/8, 3/8: half lies between the second and the third.
        ([0.7, 0.8, 0.9], [0.99], 0.85),
        # 3/4, then one of two left: 3/8, 0; middles 7/8, 9/16, 3/16: a sixth of the way from the second to the third.
        ([0.7, 0.8, 0.9], [0.75], 0.8 + 0.1 / 6),
        # A bound at a value counts as above it: 3/4, 1/2, 0; middles 7/8, 5/8, 1/4: a third of the way.
        ([0.7, 0.8, 0.9], [0.8], 0.8 + 0.1 / 3),
        ([0.5], [0.9, 0.9, 0.9], 0.5),  # it never falls that far: the largest value there is
        ([0.5, 0.6], [0.9] * 6, 0.6),
    ],
)
def test_medians_by_hand(values: list[float], bounds: list[float], median: float) -> None:
    assert censored_median(values, bounds) == pytest.approx(median, rel=1e-12)


def test_bounds_alone_are_no_median() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        censored_median([], [0.9])


def _random_values(seed: int) -> tuple[list[float], list[float]]:
    numbers = random.Random(seed)
    values = [numbers.uniform(0.5, 1) for _ in range(numbers.randrange(1, 9))]
    return values, [numbers.uniform(0.5, 1) for _ in range(numbers.randrange(9))]


@pytest.mark.parametrize("seed", range(20))
def test_laws_of_the_median(seed: int) -> None:
    """It lies among the values, moves with their unit, does not see their order, and no bound lowers it."""
    values, bounds = _random_values(seed)
    found = censored_median(values, bounds)
    assert min(values) <= found <= max(values)
    assert censored_median([3 * v for v in values], [3 * b for b in bounds]) == pytest.approx(3 * found)
    assert censored_median(values[::-1], bounds[::-1]) == found
    for bound in (0.0, 0.4, found, 0.9, 2.0):
        assert censored_median(values, [*bounds, bound]) >= found - 1e-12


# Shares


def test_the_shares_of_many_clusters_are_found_again() -> None:
    spread = [-0.05, -0.02, -0.01, 0.0, 0.003, 0.02, 0.04]
    found = estimate_shares(clusters([0.9 + x for x in spread], [0.75 + x for x in spread]))
    assert found.of("network") == pytest.approx(0.9)
    assert found.of(NVLINK) == pytest.approx(0.75)
    assert found.num_clusters["network"] == found.num_clusters[NVLINK] == 7


def test_a_cluster_of_ten_rows_is_one_opinion() -> None:
    many = [network_row("chatty", 0.5, name=f"row {number}") for number in range(10)]
    found = estimate_shares([*many, *clusters([0.9, 0.92])])
    assert found.of("network") == pytest.approx(0.9)
    assert found.num_clusters["network"] == 3


def _changed(rows: Sequence[Published], cluster: str, factor: float) -> list[Published]:
    return [
        dataclasses.replace(row, busbw_bytes_per_s=row.busbw_bytes_per_s * factor)
        if row.cluster == cluster
        else row
        for row in rows
    ]


def test_a_cluster_that_is_left_out_takes_no_part() -> None:
    rows = clusters([0.8, 0.85, 0.9, 0.95], [0.7, 0.8])
    for cluster in ("network-1", "nvlink-0"):
        without = estimate_shares([row for row in rows if row.cluster != cluster])
        for factor in (1.0, 0.5, 1.1):
            found = estimate_shares(_changed(rows, cluster, factor), {cluster})
            assert found.shares == without.shares and found.num_clusters == without.num_clusters
            assert found.left_out == {cluster}
        assert estimate_shares(_changed(rows, cluster, 0.5)).shares != without.shares


def test_the_order_of_rows_does_not_matter() -> None:
    rows = list(own_rows())
    found = estimate_shares(rows)
    random.Random(1).shuffle(rows)
    assert estimate_shares(rows) == found


def test_rows_whose_ranks_may_share_ports_say_nothing_about_the_network() -> None:
    """12.5 GB/s for each rank may be half a port of 200 Gb/s; 25 is a whole one."""
    sharing = [network_row(f"shared-{number}", 0.6, nic_gbytes_per_s=12.5) for number in range(5)]
    assert all(row.may_share_ports for row in sharing)
    assert "network" not in estimate_shares(sharing).shares
    own = clusters([0.9, 0.92, 0.94])
    assert not any(row.may_share_ports for row in own)
    assert estimate_shares([*own, *sharing]).shares == estimate_shares(own).shares
    assert not network_row("200G", 0.9, nic_gbytes_per_s=25).may_share_ports


@pytest.mark.parametrize("classification", ["pathological", "size_limited", "hardware_partly_assumed", ""])
def test_only_healthy_rows_take_part(classification: str) -> None:
    rows = clusters([0.9, 0.92, 0.94], [0.75])
    ill = network_row("ill", 0.2, classification=classification)
    assert estimate_shares([*rows, ill]) == estimate_shares(rows)


def test_rows_whose_schedule_nobody_knows_take_no_part() -> None:
    rows = clusters([0.9, 0.92, 0.94])
    unknown = dataclasses.replace(network_row("unknown", 0.2), schedule=None)
    assert estimate_shares([*rows, unknown]) == estimate_shares(rows)


def test_what_bound_is_found_with_the_shares_and_not_with_nominal_rates() -> None:
    """NVLSTree on two hosts: 745 GB/s of nominal network, 750 of NVLink, whose switches reach 0.6 of it."""
    rows = clusters([0.94] * 5)
    rows += tuple(nvls_row(f"switch-{number}", 0.6) for number in range(3))
    rows += tuple(nvls_row(f"tree-{number}", 0.62, num_hosts=2) for number in range(3))
    found = estimate_shares(rows)
    assert found.of("network") == pytest.approx(0.94)
    assert found.of(NVLS) == pytest.approx(0.6)
    assert found.of(NVLSTREE) == pytest.approx(0.62)


def test_a_resource_that_did_not_bind_was_able_to_do_what_was_measured() -> None:
    """An A100 ring over four hosts at 0.95 of the network would need 0.9 of NVLink: a bound above two of three values."""
    values = [0.7, 0.8, 0.9]
    host = nvlink_row("fast", 1.0)
    ring = dataclasses.replace(
        host, num_hosts=4, nic_bytes_per_s=30e9, busbw_bytes_per_s=0.9 * 300e9 * 8 / 7, name="ring"
    )
    assert min(ring.limits, key=lambda resource: ring.limits[resource]) == "network"
    found = estimate_shares([*clusters((), values), ring])
    assert found.of(NVLINK) == pytest.approx(censored_median(values, [0.9]))
    assert found.of(NVLINK) > 0.8


def test_a_cluster_is_one_bound_and_none_where_it_has_a_value() -> None:
    """The highest of what its rows did not exceed; where one of them was bound itself, that one says it all."""
    values = [0.7, 0.8, 0.9]

    def ring(cluster: str, share: float) -> Published:
        return dataclasses.replace(
            nvlink_row(cluster, 1.0),
            num_hosts=4,
            nic_bytes_per_s=30e9,
            busbw_bytes_per_s=share * 300e9 * 8 / 7,
            name=f"ring {share}",
        )

    twice = [ring("fast", 0.71), ring("fast", 0.95), ring("fast", 0.72)]
    found = estimate_shares([*clusters((), values), *twice])
    assert found.of(NVLINK) == pytest.approx(censored_median(values, [0.95]))
    own = estimate_shares([*clusters((), values), ring("nvlink-0", 0.95)])
    assert own.of(NVLINK) == pytest.approx(0.8)


def test_infiniband_and_ethernet_have_a_share_each_and_one_together() -> None:
    infiniband = [
        network_row(f"ib-{i}", s, transport=Transport.infiniband) for i, s in enumerate((0.94, 0.95, 0.96))
    ]
    ethernet = [network_row(f"roce-{i}", s, transport=Transport.roce_v2) for i, s in enumerate((0.8, 0.9))]
    found = estimate_shares([*infiniband, *ethernet])
    assert found.of("infiniband") == pytest.approx(0.95)
    assert found.of("ethernet") == pytest.approx(0.85)
    assert found.of("network") == pytest.approx(0.94)


def test_another_resource_stands_in_where_nothing_was_published() -> None:
    found = estimate_shares(clusters([0.9], [0.75]))
    assert found.of("ethernet") == found.of("infiniband") == found.of("network")
    assert found.of(NVLINK) == pytest.approx(0.75)
    for other in ("nvlink hopper", "nvlink", "xgmi cdna3", NVLS, "nvls rack", "nvlstree rack"):
        assert found.of(other) == found.of(NVLINK)


def test_the_nearest_relative_stands_in_first() -> None:
    """Trees between domains reduce by the same switches; another generation of those is nearer than links without."""
    shares = {"nvlink": 0.8, "nvls": 0.6, "nvls hopper": 0.65, "network": 0.9, "infiniband": 0.95}
    found = Shares(shares=shares, num_clusters={}, left_out=frozenset())
    for resource, share in {
        "nvlstree hopper": 0.65,
        "nvls blackwell": 0.6,
        "nvlstree rack": 0.6,
        "nvlink volta": 0.8,
        "xgmi cdna4": 0.8,
        "ethernet": 0.9,
        "infiniband": 0.95,
    }.items():
        assert found.of(resource) == share, resource


def test_where_nothing_was_published_at_all_the_nominal_rate_is_taken() -> None:
    for resource in ("network", "infiniband", NVLINK, NVLS, NVLSTREE):
        assert estimate_shares([]).of(resource) == 1


def test_a_supplement_fills_what_is_open_and_changes_nothing_else() -> None:
    """One cluster is not enough to say what a resource reaches; two are."""
    two, one = clusters([0.9, 0.92]), clusters((), [0.85])
    more = [
        dataclasses.replace(row, is_supplement=True)
        for row in (network_row("more-0", 0.5), nvlink_row("more-1", 0.8), nvlink_row("more-2", 0.9))
    ]
    found = estimate_shares([*two, *one, *more])
    assert found.of("network") == estimate_shares(two).of("network") == pytest.approx(0.91)
    assert found.of(NVLINK) == pytest.approx(0.85)
    assert (found.num_clusters["network"], found.num_clusters[NVLINK]) == (2, 3)


def test_shares_of_own_rows_lie_among_what_rows_reached() -> None:
    """Of those that each resource bound, with the shares that they gave."""
    rows = own_rows()
    for left_out in ((), {"polaris"}, {"h100-ib-309"}, {"vultr-b200"}, {"oci-gb300"}):
        found = estimate_shares(rows, left_out)
        assert all(0 < share <= 1 for share in found.shares.values())
        reached: dict[str, list[float]] = {}
        for row in rows:
            if row.is_healthy and row.limits and row.cluster not in left_out and row.num_hosts == 1:
                expected = found.expected(row.limits)
                assert expected is not None
                reached.setdefault(expected[1], []).append(row.busbw_bytes_per_s / row.limits[expected[1]])
        for resource, values in reached.items():
            assert min(values) <= found.of(resource) <= max(values)


# Limits


def test_limits_of_a_row() -> None:
    """Ring over 4 hosts of 8 H100: 8 ports of 50 GB/s less InfiniBand's framing, and 450 x 8 / 7 of NVLink."""
    row = network_row("any", 0.9)
    assert row.limits["network"] == pytest.approx(400e9 * 4096 / 4122)
    assert row.limits["nvlink hopper"] == pytest.approx(450e9 * 8 / 7)
    roce = network_row("any", 0.9, transport=Transport.roce_v2)
    assert roce.limits["ethernet"] == pytest.approx(400e9 * 4096 / 4178)
    assert dataclasses.replace(row, gpu="RTX6000D").limits.keys() == {"network"}
    single = dataclasses.replace(row, collective=Collective.send_recv, schedule=Schedule.p2p)
    assert single.limits["network"] == pytest.approx(50e9 * 4096 / 4122)
    assert dataclasses.replace(row, gpu="MI300X").limits.keys() == {"network", "xgmi cdna3"}
    rack = dataclasses.replace(row, gpu="GB200", ranks_per_host=72, schedule=Schedule.nvlstree)
    assert rack.limits.keys() == {"network", "nvlstree rack"}
