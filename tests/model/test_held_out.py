"""Experience: intervals from errors on clusters left out hold further clusters as often as they say."""

import dataclasses

import numpy as np
import pytest

from bench.model.attained import Published
from bench.model.held_out import COVERAGE, Family, experience, family_of, held_out_errors, rests_on
from bench.published import own_rows
from tests.model.clusters import clusters, network_row, nvlink_row


def test_families() -> None:
    assert family_of(nvlink_row("a", 0.8)) is Family.one_host
    assert family_of(network_row("a", 0.8)) is Family.own_port
    assert family_of(network_row("a", 0.8, nic_gbytes_per_s=12.5)) is Family.may_share_ports


def test_every_error_is_that_of_an_expectation_from_the_others() -> None:
    """0.8, 0.9 and 1.0 against the middles of the other two: 0.95, 0.9 and 0.85."""
    errors = held_out_errors(clusters([0.8, 0.9, 1.0]))[Family.own_port]
    assert errors == pytest.approx([0.8 / 0.95, 1.0, 1.0 / 0.85])


def test_rows_of_one_cluster_are_left_out_together() -> None:
    """A second row of the same cluster does not help to expect the first."""
    pair = [network_row("pair", 0.6, name="one"), network_row("pair", 0.62, name="two")]
    errors = held_out_errors([*clusters([0.9, 0.9, 0.9]), *pair])[Family.own_port]
    assert sorted(errors)[:2] == pytest.approx([0.6 / 0.9, 0.62 / 0.9])


def test_the_ends_are_order_statistics() -> None:
    """39 errors: the second smallest of 39 is the quantile 2 / 40, the second largest 38 / 40."""
    rng = np.random.default_rng(3)
    rows = clusters(rng.normal(0.9, 0.03, 39))
    errors = sorted(held_out_errors(rows)[Family.own_port])
    found = experience(rows)
    assert found.num_errors[Family.own_port] == 39
    assert found.low[Family.own_port] == pytest.approx(errors[1])
    assert found.high[Family.own_port] == pytest.approx(errors[-2])


def test_a_cluster_that_is_left_out_takes_no_part() -> None:
    rows = list(clusters([0.8, 0.85, 0.9, 0.95], [0.7, 0.8]))
    without = experience([row for row in rows if row.cluster != "network-1"])
    for factor in (1.0, 0.3):
        changed = [
            dataclasses.replace(row, busbw_bytes_per_s=row.busbw_bytes_per_s * factor)
            if row.cluster == "network-1"
            else row
            for row in rows
        ]
        found = experience(changed, {"network-1"})
        assert (found.low, found.high, found.num_errors) == (without.low, without.high, without.num_errors)
        assert found.shares.shares == without.shares.shares


def test_only_healthy_rows_widen_an_interval() -> None:
    rows = clusters([0.85, 0.9, 0.95])
    ill = network_row("ill", 0.1, classification="pathological")
    assert experience([*rows, ill]) == experience(rows)


def test_where_ranks_may_share_ports_both_kinds_of_rows_count() -> None:
    """It is not known which kind a further machine is: its interval reaches from one to the other, and the others' stays."""
    own = clusters([0.88, 0.9, 0.92])
    sharing = [network_row(f"shared-{i}", s, nic_gbytes_per_s=12.5) for i, s in enumerate((0.5, 0.55, 0.6))]
    before, after = experience(own), experience([*own, *sharing])
    assert after.low[Family.own_port] == before.low[Family.own_port]
    assert after.low[Family.may_share_ports] < 0.6 < after.low[Family.own_port]
    assert after.high[Family.may_share_ports] == pytest.approx(after.high[Family.own_port])


def test_how_many_clusters_a_share_rests_on() -> None:
    found = experience(clusters([0.9, 0.9], [0.7]))
    assert rests_on(found, "network") == 2
    assert rests_on(found, "nvlink ampere") == 1
    assert rests_on(found, "xgmi cdna3") == 0  # NVLink stands in for it


def _coverage(seed: int) -> list[bool]:
    """Whether each of 60 further clusters lies in the interval that 30 of both kinds give; one spread for all."""
    rng = np.random.default_rng(seed)

    def share(middle: float) -> float:
        return float(middle * np.exp(rng.normal(0, 0.06)))

    seen = clusters([share(0.9) for _ in range(30)], [share(0.7) for _ in range(30)])
    known = experience(seen)
    further: list[Published] = [network_row("new", share(0.9)) for _ in range(30)]
    further += [nvlink_row("new", share(0.7)) for _ in range(30)]
    inside = []
    for row in further:
        expected = known.shares.expected(row.limits)
        assert expected is not None
        error = row.busbw_bytes_per_s / expected[0]
        inside.append(known.low[family_of(row)] <= error <= known.high[family_of(row)])
    return inside


def test_nine_of_ten_further_clusters_lie_inside() -> None:
    """480 of them, in eight draws of the clusters that the interval is made from."""
    inside = [is_inside for seed in range(8) for is_inside in _coverage(seed)]
    assert len(inside) == 480
    assert COVERAGE - 0.05 <= np.mean(inside) <= COVERAGE + 0.05


def test_own_rows_give_an_interval_to_every_family() -> None:
    found = experience(own_rows())
    for family in Family:
        assert 0 < found.low[family] < 1 < found.high[family] < 2
    assert found.low[Family.may_share_ports] < found.low[Family.own_port]
