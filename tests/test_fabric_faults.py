"""A slow link of the emulated fabric is slow in both directions, as the kernel itself says, and it alone is."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from bench.launch import kernel
from bench.launch.emulated import missing
from bench.model.fault import Fault, rate_fractions
from tests.namespaces import SHAPE, Node, run_on_nodes

pytestmark = pytest.mark.emulated


@pytest.fixture(autouse=True, scope="module")
def _namespaces() -> None:
    reason = missing(SHAPE)
    if reason is not None:
        assert os.environ.get("CI") != "true", f"CI must build the emulated fabric: {reason}"
        pytest.skip(reason)


Bucket = tuple[int, int]
"""Bytes per second and bytes of queue."""


def _buckets(netlink: Any) -> list[Bucket]:
    """Of every token bucket that the kernel has in this network namespace, in the order of the interfaces."""
    found = [
        queue.get_attr("TCA_OPTIONS").get_attr("TCA_TBF_PARMS")
        for queue in sorted(netlink.get_qdiscs(), key=lambda queue: int(queue["index"]))
        if queue.get_attr("TCA_KIND") == "tbf"
    ]
    return [(int(bucket["rate"]), int(bucket["limit"])) for bucket in found]


def _built(
    num_hosts: int, fractions: Mapping[int, float]
) -> Callable[[Sequence[Node]], tuple[list[Bucket], list[list[Bucket]]]]:
    """Work for `run_on_nodes`: what the kernel says towards each host, and from within each host."""

    def work(_nodes: Sequence[Node]) -> tuple[list[Bucket], list[list[Bucket]]]:
        from pyroute2 import IPRoute

        from bench.launch.netfabric import NetFabric

        kernel.unshare(
            kernel.CLONE_NEWNET
        )  # a namespace of its own, since the names of its links are taken here
        fabric = NetFabric(num_hosts, SHAPE, fractions)
        with IPRoute() as netlink:
            towards = _buckets(netlink)
        within = []
        for host in fabric.hosts:
            kernel.enter_network_namespace(host.descriptor)
            with IPRoute() as netlink:
                within.append(_buckets(netlink))
        return towards, within

    return work


@pytest.mark.parametrize("fractions", [{}, {1: 0.5}, {0: 0.25, 2: 0.9}])
def test_the_kernel_holds_the_fraction_in_both_directions(fractions: dict[int, float]) -> None:
    towards, within = run_on_nodes(1, _built(3, fractions))
    expected = [
        (int(SHAPE.rate_bytes_per_s * fractions.get(host, 1.0)), SHAPE.queue_bytes) for host in range(3)
    ]
    assert towards == expected
    assert within == [[bucket] for bucket in expected]


def test_a_fault_reaches_the_kernel() -> None:
    faults = [
        Fault(kind="slow_link", host=1, rate_fraction=0.5),
        Fault(kind="late_rank", rank=0, delay_s=0.05),
    ]
    towards, _ = run_on_nodes(1, _built(2, rate_fractions(faults)))
    assert [rate for rate, _ in towards] == [50_000_000, 25_000_000]


@pytest.mark.parametrize(
    ("fractions", "said"),
    [
        ({3: 0.5}, "host 3; there are hosts 0 to 2"),
        ({-1: 0.5}, "host -1; there are hosts 0 to 2"),
        ({0: 0.0}, "rate_fraction 0.0 of host 0"),
        ({0: 1.5}, "rate_fraction 1.5 of host 0"),
        ({0: 1e-4}, "one of 0.04 Mb/s"),
        ({0: float("nan")}, "rate_fraction nan"),
    ],
)
def test_what_is_no_rate_is_refused(fractions: dict[int, float], said: str) -> None:
    with pytest.raises(RuntimeError, match="ValueError") as raised:
        run_on_nodes(1, _built(3, fractions))
    assert said in str(raised.value)
