"""Counters of interfaces and ports: on a made-up sysfs, on made-up totals, and once on the real loopback."""

import dataclasses
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bench.counters import Counters, Link, difference, snapshot

Totals = Callable[..., None]


@pytest.fixture
def totals(monkeypatch: pytest.MonkeyPatch) -> Totals:
    """Sets what /proc/net/dev says: bytes sent and received, by interface."""

    def say(**pairs: tuple[int, int]) -> None:
        rows = {
            name: SimpleNamespace(
                bytes_sent=sent, bytes_recv=received, errin=1, errout=2, dropin=3, dropout=4
            )
            for name, (sent, received) in pairs.items()
        }
        monkeypatch.setattr(psutil, "net_io_counters", lambda pernic, nowrap: rows)

    return say


def add_interface(
    sysfs: Path, name: str, *, is_physical: bool = False, lower: str = "", type_: int = 1
) -> Path:
    entry = sysfs / "class/net" / name
    entry.mkdir(parents=True)
    for file, content in {"type": f"{type_}\n", "operstate": "up\n", "carrier_changes": "2\n"}.items():
        (entry / file).write_text(content)
    if is_physical:
        (entry / "device").mkdir()
    if lower:
        (entry / f"lower_{lower}").mkdir()
    return entry


def add_port(sysfs: Path, device: str = "mlx5_0", **contents: str | int) -> Path:
    port = sysfs / f"class/infiniband/{device}/ports/1"
    (port / "counters").mkdir(parents=True)
    defaults: dict[str, str | int] = {
        "counters/port_xmit_data": 1000,
        "counters/port_rcv_data": 2000,
        "counters/symbol_error": 0,
        "counters/link_downed": 1,
        "counters/port_rcv_errors": 0,
        "state": "4: ACTIVE",
        "rate": "400 Gb/sec (4X NDR)",
    }
    for file, content in (defaults | {f"counters/{name}": value for name, value in contents.items()}).items():
        (port / file).write_text(f"{content}\n")
    return port


def test_a_bond_counts_its_members_once(tmp_path: Path, totals: Totals) -> None:
    for name in ("eth0", "eth1"):
        add_interface(tmp_path, name, is_physical=True)
    add_interface(tmp_path, "bond0", lower="eth0")
    add_interface(tmp_path, "br0", lower="bond0")
    add_interface(tmp_path, "veth12")
    totals(lo=(9, 9), eth0=(10, 1), eth1=(20, 2), bond0=(30, 3), br0=(30, 3), veth12=(5, 5))
    seen = snapshot(sysfs=tmp_path)
    assert set(seen.links) == {"eth0", "eth1"}
    assert (seen.sent_bytes, seen.received_bytes) == (30, 3)


def test_without_a_device_the_lowest_interfaces_count(tmp_path: Path, totals: Totals) -> None:
    """A container's own end of a veth pair, with a VLAN on top."""
    add_interface(tmp_path, "eth0")
    add_interface(tmp_path, "eth0.7", lower="eth0")
    totals(lo=(9, 9), **{"eth0": (10, 1), "eth0.7": (8, 1)})
    assert set(snapshot(sysfs=tmp_path).links) == {"eth0"}


def test_an_interface_that_sysfs_does_not_know_counts(tmp_path: Path, totals: Totals) -> None:
    """sysfs of the machine, /proc/net/dev of an emulated host."""
    add_interface(tmp_path, "eth0", is_physical=True)
    totals(lo=(9, 9), fab0=(7, 6))
    seen = snapshot(sysfs=tmp_path)
    assert set(seen.links) == {"fab0"}
    assert seen.links["fab0"].state is None and "carrier_changes" not in seen.links["fab0"].errors


def test_what_the_caller_names_is_counted_and_nothing_else(tmp_path: Path, totals: Totals) -> None:
    add_interface(tmp_path, "eth0", is_physical=True)
    add_interface(tmp_path, "bond0", lower="eth0")
    add_port(tmp_path)
    totals(lo=(9, 8), eth0=(10, 1), bond0=(10, 1))
    assert set(snapshot(["bond0", "mlx5_0/1"], tmp_path).links) == {"bond0", "mlx5_0/1"}
    assert snapshot(["lo"], tmp_path).sent_bytes == 9
    assert snapshot([], tmp_path).links == {}
    with pytest.raises(ValueError, match=r"eth7.*bond0, eth0, lo, mlx5_0/1"):
        snapshot(["eth7"], tmp_path)


def test_a_port_counts_in_units_of_four_bytes(tmp_path: Path, totals: Totals) -> None:
    add_port(tmp_path)
    totals(lo=(9, 9))
    assert snapshot(sysfs=tmp_path).links == {
        "mlx5_0/1": Link(
            sent_bytes=4000,
            received_bytes=8000,
            errors={"symbol_error": 0, "link_downed": 1, "port_rcv_errors": 0},
            state="ACTIVE",
            rate_bytes_per_s=50e9,
        )
    }


def test_ipoib_is_not_counted_beside_its_port_but_ethernet_is(tmp_path: Path, totals: Totals) -> None:
    add_port(tmp_path)
    add_interface(tmp_path, "ib0", is_physical=True, type_=32)
    add_interface(tmp_path, "eth0", is_physical=True)
    totals(lo=(9, 9), ib0=(4000, 8000), eth0=(10, 1))
    assert set(snapshot(sysfs=tmp_path).links) == {"eth0", "mlx5_0/1"}


def test_ethernet_of_a_container_counts_beside_a_port(tmp_path: Path, totals: Totals) -> None:
    add_port(tmp_path)
    add_interface(tmp_path, "eth0")
    totals(lo=(9, 9), eth0=(10, 1))
    assert set(snapshot(sysfs=tmp_path).links) == {"eth0", "mlx5_0/1"}


@pytest.mark.parametrize("value", [2**32 - 1, 2**64 - 1])
def test_a_counter_that_is_full_is_not_counted(value: int, tmp_path: Path, totals: Totals) -> None:
    add_port(tmp_path, port_rcv_data=value)
    totals()
    seen = snapshot(sysfs=tmp_path)
    assert not seen.links and len(seen.notes) == 1 and "mlx5_0/1" in seen.notes[0]


@pytest.mark.parametrize("value", ["N/A (no PMA)", "", "-3"])
def test_a_port_without_byte_counters_is_named(value: str, tmp_path: Path, totals: Totals) -> None:
    add_port(tmp_path, port_xmit_data=value)
    add_port(tmp_path, "mlx5_1")
    totals()
    seen = snapshot(sysfs=tmp_path)
    assert set(seen.links) == {"mlx5_1/1"} and "mlx5_0/1" in seen.notes[0]


def test_missing_error_counters_and_rate_are_left_out(tmp_path: Path, totals: Totals) -> None:
    port = add_port(tmp_path)
    for file in ("counters/symbol_error", "rate", "state"):
        (port / file).unlink()
    totals()
    link = snapshot(sysfs=tmp_path).links["mlx5_0/1"]
    assert set(link.errors) == {"link_downed", "port_rcv_errors"}
    assert link.rate_bytes_per_s is None and link.state is None


def test_errors_and_flaps_of_ethernet_are_in_the_same_snapshot(tmp_path: Path, totals: Totals) -> None:
    entry = add_interface(tmp_path, "eth0", is_physical=True)
    totals(eth0=(10, 1))
    before = snapshot(sysfs=tmp_path)
    assert before.links["eth0"].errors == {
        "rx_errors": 1,
        "tx_errors": 2,
        "rx_dropped": 3,
        "tx_dropped": 4,
        "carrier_changes": 2,
    }
    (entry / "carrier_changes").write_text("4\n")
    added = difference(before, snapshot(sysfs=tmp_path)).links["eth0"].errors
    assert added["carrier_changes"] == 2 and added["rx_errors"] == 0


def counted(sent: int, received: int, **errors: int) -> Link:
    return Link(
        sent_bytes=sent, received_bytes=received, errors=errors, state="ACTIVE", rate_bytes_per_s=50e9
    )


def test_a_difference_is_what_was_added() -> None:
    before = Counters(links={"a": counted(10, 20, link_downed=1), "b": counted(1, 2)})
    after = Counters(links={"a": counted(15, 27, link_downed=3), "b": counted(1, 2)})
    added = difference(before, after)
    assert added.links == {"a": counted(5, 7, link_downed=2), "b": counted(0, 0)}
    assert (added.sent_bytes, added.received_bytes, added.notes) == (5, 7, ())


def test_differences_add_up() -> None:
    first, second, third = (Counters(links={"a": counted(3 * n * n, 5 * n, e=n)}) for n in (1, 2, 7))
    whole, parts = difference(first, third), (difference(first, second), difference(second, third))
    assert whole.sent_bytes == sum(part.sent_bytes for part in parts)
    assert whole.received_bytes == sum(part.received_bytes for part in parts)
    assert whole.links["a"].errors["e"] == sum(part.links["a"].errors["e"] for part in parts)


@pytest.mark.parametrize("now", [counted(9, 21), counted(11, 19)])
def test_a_counter_that_fell_is_dropped_and_named(now: Link) -> None:
    added = difference(Counters(links={"a": counted(10, 20)}), Counters(links={"a": now}))
    assert not added.links and len(added.notes) == 1 and added.notes[0].startswith("a: ")


def test_links_that_come_and_go_are_dropped_and_named() -> None:
    before = Counters(links={"a": counted(1, 1), "b": counted(1, 1)}, notes=("c: not counted",))
    after = Counters(links={"b": counted(2, 2), "d": counted(5, 5)}, notes=("c: not counted",))
    added = difference(before, after)
    assert set(added.links) == {"b"}
    assert added.notes[0] == "c: not counted" and len(added.notes) == 3
    assert "a: vanished" in added.notes[1] and "d: appeared" in added.notes[2]


def test_a_link_that_trained_anew_at_another_rate_is_named() -> None:
    before = Counters(links={"a": counted(1, 1)})
    slower = dataclasses.replace(counted(2, 2), rate_bytes_per_s=25e9)
    added = difference(before, Counters(links={"a": slower}))
    assert added.links["a"].sent_bytes == 1
    assert added.notes == ("a: went from ACTIVE at 400 Gb/s to ACTIVE at 200 Gb/s",)


def test_an_error_counter_that_was_cleared_counts_what_it_holds() -> None:
    added = difference(
        Counters(links={"a": counted(1, 1, symbol_error=40)}),
        Counters(links={"a": counted(2, 2, symbol_error=3)}),
    )
    assert added.links["a"].errors == {"symbol_error": 3}


def test_bytes_over_the_real_loopback_are_counted() -> None:
    """Both directions of `lo` are the same, and it counts at least what was sent."""
    num_bytes = 2**20
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = snapshot(["lo"])

        def send() -> None:
            with socket.create_connection(server.getsockname()) as client:
                client.sendall(bytes(num_bytes))

        sender = threading.Thread(target=send)
        sender.start()
        connection, _ = server.accept()
        with connection:
            left = num_bytes
            while left:
                left -= len(connection.recv(2**16))
        sender.join()
    added = difference(before, snapshot(["lo"]))
    assert added.sent_bytes >= num_bytes and added.received_bytes >= num_bytes


def test_loopback_is_not_a_carrier() -> None:
    assert "lo" not in snapshot().links
