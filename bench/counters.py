"""`Counters`: bytes that crossed this host's network interfaces, and the errors of its links, read from the kernel.

Ethernet counters come from /proc/net/dev (through psutil), which shows the network namespace of this process. /sys/class/net
shows the namespace of whoever mounted sysfs, so it only tells what an interface is, and what it does not know is counted.

Which interfaces are counted, so that no byte is counted twice, unless the caller names them:

physical          those with a device of their own: a bond, bridge, VLAN or tunnel above them sends the same bytes again, and a
                  veth pair of a container sends through them
leaves            where there is none of these (inside a container): those with no other interface below
unknown to sysfs  all (an emulated host, whose link is the end of a veth pair)
IPoIB             not beside an InfiniBand port, which counts its bytes itself

What the numbers are:

ethernet  frames without preamble and check sum, ACKs and repeated segments included, headers as the driver counts them. A veth
          pair counts a TSO segment of up to 64 KiB as one frame: on the emulated fabric a gloo all_reduce of 8 or 64 MiB sends
          0.14 % more than 2 (N - 1) / N x S, of 1 MiB 0.3 to 0.4 %, with an MTU of 1500 as with 9000. mlx5 adds the headers of
          every frame (drivers/net/ethernet/mellanox/mlx5/core/en_tx.c, num_bytes): 66 in 1448 bytes, 4.6 %.
rdma      /sys/class/infiniband/*/ports/*/counters: octets of packets, headers included, divided by 4
          (Linux, Documentation/ABI/stable/sysfs-class-infiniband).

Bytes are counted as they leave the queue, and a call may return before its last ones do (2 % of 12 MiB were missing once):
read before a call, and after the barrier that follows it.

RoCE passes the network stack by and is not in the ethernet counters: those of mlx5 are sums over its software rings, and its
port_xmit_data counts the RDMA packets of the function alone (Linux, Documentation/networking/device_drivers/ethernet/mellanox/
mlx5/counters.rst, groups Netdev and vPort; drivers/infiniband/hw/mlx5/mad.c, pma_cnt_ext_assign). So both add up.
"""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.model.units import bytes_per_s_from_gbps, format_rate

BYTES_PER_COUNT: Final = 4
"""Of port_xmit_data and port_rcv_data."""

_CLAMPED: Final = (2**32 - 1, 2**64 - 1)
"""InfiniBand's counters stop at all ones instead of starting again; in 32 bits where the kernel or the device has no more.

Source: InfiniBand Architecture Specification, vol. 1, PortCounters; "N/A (no PMA)" and widths: Linux,
drivers/infiniband/core/sysfs.c, show_pma_counter.
"""

_RDMA_ERRORS: Final = ("symbol_error", "link_downed", "port_rcv_errors")
_IPOIB_TYPE: Final = "32"
"""ARPHRD_INFINIBAND of Linux's if_arp.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One interface ("eth0"), or one RDMA port ("mlx5_0/1").

    Attributes:
        errors: by the kernel's name for each; ``carrier_changes`` and ``link_downed`` rise when a link flaps. Those of
            InfiniBand have 8 or 16 bits and stand still when full.
        state: "up", "ACTIVE"; None where sysfs does not know the interface.
        rate_bytes_per_s: of an RDMA port; None for ethernet, whose driver may take milliseconds to say.
    """

    sent_bytes: int
    received_bytes: int
    errors: Mapping[str, int]
    state: str | None = None
    rate_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Totals since boot (`snapshot`), or what was added between two of them (`difference`).

    Attributes:
        links: by name.
        notes: what could not be counted, and why; sentences for the user.
    """

    links: Mapping[str, Link]
    notes: tuple[str, ...] = ()

    @property
    def sent_bytes(self) -> int:
        return sum(link.sent_bytes for link in self.links.values())

    @property
    def received_bytes(self) -> int:
        return sum(link.received_bytes for link in self.links.values())


def snapshot(interfaces: Collection[str] | None = None, sysfs: Path = Path("/sys")) -> Counters:
    """Read all counters once: 0.15 to 0.25 ms without RDMA ports, and 0.1 ms per port if its device answers at once.

    Args:
        interfaces: names to count, RDMA ports as "mlx5_0/1"; None: those of the table above and all RDMA ports.

    Raises:
        ValueError: an interface that is named does not exist.
    """
    # nowrap=False: psutil would hide a reset behind the sum of what it saw before.
    totals = psutil.net_io_counters(pernic=True, nowrap=False)
    ports = _rdma_ports(sysfs)
    if interfaces is None:
        names = _carriers([name for name in totals if name != "lo"], sysfs, has_rdma=bool(ports))
        chosen = {*names, *ports}
    else:
        chosen = set(interfaces)
        unknown = sorted(chosen - set(totals) - set(ports))
        if unknown:
            raise ValueError(
                f"there is no interface {', '.join(unknown)} here; there are {', '.join(sorted({*totals, *ports}))}"
            )
    links = {}
    notes = []
    for name in sorted(chosen & set(totals)):
        total = totals[name]
        entry = f"{sysfs}/class/net/{name}"
        errors = {
            "rx_errors": total.errin,
            "tx_errors": total.errout,
            "rx_dropped": total.dropin,
            "tx_dropped": total.dropout,
        }
        changes = _number(f"{entry}/carrier_changes")
        if changes is not None:
            errors["carrier_changes"] = changes
        links[name] = Link(
            sent_bytes=total.bytes_sent,
            received_bytes=total.bytes_recv,
            errors=errors,
            state=_text(f"{entry}/operstate"),
        )
    for name in sorted(chosen & set(ports)):
        link = _rdma_link(ports[name])
        if isinstance(link, Link):
            links[name] = link
        else:
            notes.append(f"{name}: {link}")
    return Counters(links=links, notes=tuple(notes))


def difference(before: Counters, after: Counters) -> Counters:
    """What was added from one snapshot to the next; state and rate are those of the later one.

    A link that came, went, or counts less than before (its driver was loaded anew, or a counter wrapped) is left out and noted.
    """
    links = {}
    notes = list(dict.fromkeys([*before.notes, *after.notes]))
    for name in sorted({*before.links, *after.links}):
        old, new = before.links.get(name), after.links.get(name)
        if old is None or new is None:
            notes.append(f"{name}: {'appeared' if old is None else 'vanished'} meanwhile, not counted")
            continue
        if new.sent_bytes < old.sent_bytes or new.received_bytes < old.received_bytes:
            notes.append(f"{name}: counts less than before, so it was reset or wrapped; not counted")
            continue
        if new.state != old.state or new.rate_bytes_per_s != old.rate_bytes_per_s:
            notes.append(f"{name}: went from {_described(old)} to {_described(new)}")
        links[name] = Link(
            sent_bytes=new.sent_bytes - old.sent_bytes,
            received_bytes=new.received_bytes - old.received_bytes,
            # An error counter that fell was cleared by somebody: what it holds was added since.
            errors={
                error: count - old.errors[error] if count >= old.errors[error] else count
                for error, count in new.errors.items()
                if error in old.errors
            },
            state=new.state,
            rate_bytes_per_s=new.rate_bytes_per_s,
        )
    return Counters(links=links, notes=tuple(notes))


def _carriers(names: list[str], sysfs: Path, *, has_rdma: bool) -> list[str]:
    """The interfaces that no byte crosses twice; see the table above."""
    entries = {name: sysfs / "class/net" / name for name in names}
    known = [name for name in names if entries[name].is_dir()]
    carriers = [name for name in known if (entries[name] / "device").exists()]
    if not carriers:
        carriers = [name for name in known if not any(entries[name].glob("lower_*"))]
    if has_rdma:
        carriers = [name for name in carriers if _text(f"{entries[name]}/type") != _IPOIB_TYPE]
    return carriers + [name for name in names if name not in known]


def _rdma_ports(sysfs: Path) -> dict[str, str]:
    """Folder of every RDMA port by "device/port"."""
    folder = f"{sysfs}/class/infiniband"
    return {
        f"{device}/{port}": f"{folder}/{device}/ports/{port}"
        for device in _entries(folder)
        for port in _entries(f"{folder}/{device}/ports")
    }


def _rdma_link(folder: str) -> Link | str:
    """One port, or why it cannot be counted."""
    sent = _number(f"{folder}/counters/port_xmit_data")
    received = _number(f"{folder}/counters/port_rcv_data")
    if sent is None or received is None:
        return "its driver gives no port_xmit_data and port_rcv_data, not counted"
    if sent in _CLAMPED or received in _CLAMPED:
        return "its byte counters are full and stand still, not counted; clear them with `perfquery -R`"
    errors = {error: _number(f"{folder}/counters/{error}") for error in _RDMA_ERRORS}
    rate = re.match(r"[\d.]+(?= Gb/sec)", _text(f"{folder}/rate") or "")
    state = _text(f"{folder}/state")
    return Link(
        sent_bytes=BYTES_PER_COUNT * sent,
        received_bytes=BYTES_PER_COUNT * received,
        errors={error: count for error, count in errors.items() if count is not None},
        state=None if state is None else state.rpartition(" ")[2],  # "4: ACTIVE"
        rate_bytes_per_s=bytes_per_s_from_gbps(float(rate[0])) if rate else None,  # "400 Gb/sec (4X NDR)"
    )


def _described(link: Link) -> str:
    rate = link.rate_bytes_per_s
    return f"{link.state}" if rate is None else f"{link.state} at {format_rate(rate)}"


def _entries(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry in found)
    except OSError:
        return []


def _text(path: str) -> str | None:
    """Content of a small file of sysfs; None where there is none, or where the kernel refuses to read it."""
    try:  # os.open, because Path.read_text takes twice as long
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, 4096).decode(errors="replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _number(path: str) -> int | None:
    """A counter; None where it is missing or says "N/A (no PMA)"."""
    text = _text(path)
    return int(text) if text is not None and text.isdecimal() else None
