"""`carried`: what every link of the emulated fabric has carried and lost, by the counters of the kernel."""

from typing import Any, Final

from bench.launch.loss import loss_counts
from bench.launch.netfabric import NetFabric
from bench.launch.qdisc import queue_drops

CARRIED: Final = "links.json"
"""Name of the file in the run folder."""


def carried(fabric: NetFabric) -> dict[str, list[dict[str, Any]]]:
    """Everything since the fabric was built: rendezvous, warm-ups and checks included.

    ports     one for each host and rail: ``sent_bytes`` and ``received_bytes`` of the host, ``queue_drops``,
              packets that found a queue of the link full. Where the host loses packets: ``arrived_packets``,
              ``arrived_bytes`` and ``lost_packets``; the lost ones are among the former two.
    uplinks   one for each rail and leaf: ``up_bytes`` from the leaf to the spine, ``down_bytes``,
              ``queue_drops``.

    Bytes are those of frames with their Ethernet header. A segment of up to 64 KiB that is cut after the
    interface, if at all, counts as one frame (see `bench.counters`).
    """
    from pyroute2 import IPRoute

    with IPRoute() as netlink:
        sent, drops = _bytes(netlink), _drops(netlink)
    ports = []
    for number, host in enumerate(fabric.hosts):
        with fabric.inside(host) as own:
            own_drops = _drops(own)
            losses = loss_counts() if number in fabric.layout.loss_ratios else []
        for rail, port in enumerate(host.ports):
            at_leaf = sent[port.leaf_end]
            entry = {
                "host": number,
                "rail": rail,
                "sent_bytes": at_leaf[1],
                "received_bytes": at_leaf[0],
                "queue_drops": drops[port.leaf_end] + own_drops[port.interface],
            }
            for loss in losses:
                if loss.interface == port.interface:
                    entry |= {
                        "arrived_packets": loss.arrived_packets,
                        "arrived_bytes": loss.arrived_bytes,
                        "lost_packets": loss.lost_packets,
                    }
            ports.append(entry)
    uplinks = [
        {
            "rail": rail,
            "leaf": leaf,
            "up_bytes": sent[uplink.leaf_end][0],
            "down_bytes": sent[uplink.leaf_end][1],
            "queue_drops": drops[uplink.leaf_end] + drops[uplink.spine_end],
        }
        for (rail, leaf), uplink in fabric.uplinks.items()
    ]
    return {"ports": ports, "uplinks": uplinks}


def _bytes(netlink: Any) -> dict[str, tuple[int, int]]:
    """Interface to the bytes that it has sent and received."""
    found = {}
    for link in netlink.get_links():
        counts = link.get_attr("IFLA_STATS64")
        found[link.get_attr("IFLA_IFNAME")] = (int(counts["tx_bytes"]), int(counts["rx_bytes"]))
    return found


def _drops(netlink: Any) -> dict[str, int]:
    names = {int(link["index"]): link.get_attr("IFLA_IFNAME") for link in netlink.get_links()}
    return {names[index]: count for index, count in queue_drops(netlink).items()}
