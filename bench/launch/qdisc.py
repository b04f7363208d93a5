"""`shape_link`: one direction of one emulated link, as queueing disciplines of the kernel."""

from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from bench.launch.shaping import LinkShape

_ROOT_HANDLE: Final = 0x10000
_CHILD_HANDLE: Final = 0x20000


def shape_link(netlink: Any, index: int, shape: LinkShape) -> bool:
    """Delay where the kernel has netem, then the token bucket: `tc qdisc add ... netem`, `... parent tbf`.

    Returns whether it delays.
    """
    bucket = {
        "rate": int(shape.rate_bytes_per_s),
        "burst": shape.bucket_bytes,
        "limit": shape.queue_bytes,
        "mtu": 0,
    }
    has_delay = shape.delay_s > 0 and _add_delay(netlink, index, shape)
    if has_delay:
        netlink.tc("add", "tbf", index, handle=_CHILD_HANDLE, parent=_ROOT_HANDLE + 1, **bucket)
    else:
        netlink.tc("add", "tbf", index, handle=_ROOT_HANDLE, **bucket)
    return has_delay


def queue_drops(netlink: Any) -> dict[int, int]:
    """Index of an interface to the packets that found the queue of its token bucket full and were dropped."""
    return {
        int(queue["index"]): int(queue.get_attr("TCA_STATS2").get_attr("TCA_STATS_QUEUE")["drops"])
        for queue in netlink.get_qdiscs()
        if queue.get_attr("TCA_KIND") == "tbf"
    }


def _add_delay(netlink: Any, index: int, shape: LinkShape) -> bool:
    try:
        netlink.tc(
            "add",
            "netem",
            index,
            handle=_ROOT_HANDLE,
            delay=int(shape.delay_s * 1e6),
            limit=max(1000, shape.queue_bytes // 1000),
        )
    except NetlinkError:
        return False  # this kernel has no netem; the manifest says that nothing is delayed
    return True
