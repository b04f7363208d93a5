"""`launcher=emulated`: ranks in network namespaces, without root, and nothing left behind however it ends.

The process forks. The child leaves for new user, network, mount and PID namespaces, builds the fabric and supervises the
ranks there; it is process 1 of its PID namespace, so that the kernel ends everything with it, and it is killed
when its parent ends.
"""

import contextlib
import dataclasses
import json
import os
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench import exits
from bench.config import BenchConfig
from bench.emulation_config import EmulationConfig
from bench.launch import kernel
from bench.launch.emulated_mpi import network_path, prepare
from bench.launch.layout import Layout, layout_of
from bench.launch.remote import MpiHost
from bench.launch.shaping import LinkShape, link_shape, prime_bytes
from bench.launch.supervise import Outcome, Placement, rank_environment, supervise
from bench.model.degraded import rail_of
from bench.model.fault import Fault
from bench.run_folder import RunFolder

PORT: Final = 29500
"""Rendezvous on the first host; its namespace is fresh, so the port is free."""

_BEFORE_RANKS: Final = "interrupted before any rank had started"

_SWITCHES: Final = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    ("/proc/sys/user/max_net_namespaces", "0", "sysctl -w user.max_net_namespaces=15000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
"""What switches user namespaces off: setting, the value that does, and the command with which root switches them on."""


def missing(shape: LinkShape) -> str | None:
    """What this machine lacks for the emulated fabric, in one line with the remedy; None where it can be built.

    It is found out by building a fabric of two hosts and leaving it.
    """
    reason = _failure(shape, {})
    return None if reason is None else describe_failure(reason)


def missing_for_faults(shape: LinkShape, faults: Sequence[Fault]) -> str | None:
    """What this machine lacks for ``faults`` alone, where it can build the fabric; None where it lacks nothing."""
    if not any(fault.loss_ratio is not None for fault in faults):
        return None
    reason = _failure(shape, {0: 0.001})
    return None if reason is None else f"emulation.faults: packets cannot be lost here ({reason})"


def _failure(shape: LinkShape, losses: Mapping[int, float]) -> str | None:
    def build() -> Outcome:
        from bench.launch.netfabric import NetFabric

        NetFabric(Layout(num_hosts=2, loss_ratios=losses), shape)
        return Outcome(exit_status=0, reason=None)

    outcome = _in_namespaces(build)
    return None if outcome.exit_status == 0 else outcome.reason or "no reason given"


def describe_failure(reason: str) -> str:
    """Name the setting that switches user namespaces off, if one does; else what the kernel said."""
    for path, off, remedy in _SWITCHES:
        with contextlib.suppress(OSError):
            if Path(path).read_text().strip() == off:
                name = path.removeprefix("/proc/sys/").replace("/", ".")
                return f"user namespaces are off here ({name} is {off}); an administrator turns them on with `{remedy}`"
    return (
        f"the emulated fabric cannot be built here ({reason}); it needs user namespaces, veth, a bridge and the "
        "token bucket of the Linux kernel (modules veth, bridge, sch_tbf)"
    )


def run_emulated(config: BenchConfig, extra: dict[str, str], log_folder: Path) -> Outcome:
    """Build the fabric, run the ranks on it, write what its links carried, and take everything down."""
    shape = link_shape(config.transceiver, config.emulation)
    mpi = prepare(config) if config.backend == "mpi" else None

    def run() -> Outcome:
        from bench.launch.carried import CARRIED, carried
        from bench.launch.netfabric import NetFabric

        emulation = config.emulation
        fabric = NetFabric(layout_of(emulation), shape)
        links = described_links(shape, fabric.has_delay, fabric.applied_delay_s)
        links["faults"] = [dataclasses.asdict(fault) for fault in emulation.faults]
        placements = [
            Placement(
                local_rank=local_rank,
                enter=_entrance(host.descriptor, host.name),
                interface=host.ports[
                    rail_of(local_rank, emulation.ranks_per_host, emulation.ports_per_host)
                ].interface,
            )
            for host in fabric.hosts
            for local_rank in range(emulation.ranks_per_host)
        ]
        environments = [
            rank_environment(
                config,
                rank=rank,
                num_ranks=len(placements),
                placement=placement,
                master=(fabric.hosts[0].address, PORT),
                extra={**extra, "LINKS": json.dumps(links)},
            )
            for rank, placement in enumerate(placements)
        ]
        if mpi is None:
            outcome = supervise(environments, placements, log_folder)
        else:
            hosts = [
                MpiHost(name=h.name, address=h.address, network=network_path(h.descriptor))
                for h in fabric.hosts
            ]
            interfaces = [placement.interface for placement in placements]
            outcome = mpi.run(hosts, environments, interfaces, log_folder)
        folder = RunFolder(Path(config.run_dir) / extra["RUN_ID"])
        if folder.path.is_dir():  # rank 0 got that far
            # The counters are an addition; the measurement is complete without them.
            with contextlib.suppress(OSError):
                folder.write(CARRIED, json.dumps(carried(fabric), indent=2) + "\n")
        return outcome

    return _in_namespaces(run)


def described_links(shape: LinkShape, has_delay: bool, delay_s: float) -> dict[str, Any]:
    """What the manifest says of the emulated links."""
    return {
        "rate_bytes_per_s": shape.rate_bytes_per_s,
        "bucket_bytes": shape.bucket_bytes,
        "queue_bytes": shape.queue_bytes,
        "mtu_bytes": shape.mtu_bytes,
        "delay_s": delay_s,
        "delay_note": None
        if has_delay or shape.delay_s == 0
        else "this kernel has no netem, so nothing is delayed",
        "prime_bytes": prime_bytes(shape),
    }


def num_ranks(emulation: EmulationConfig) -> int:
    return emulation.num_hosts * emulation.ranks_per_host


def _entrance(descriptor: int, name: str) -> Callable[[], None]:
    def enter() -> None:
        kernel.enter_network_namespace(descriptor)
        kernel.set_host_name(name)

    return enter


def _in_namespaces(work: Callable[[], Outcome]) -> Outcome:
    """Do ``work`` as process 1 of fresh namespaces; its outcome comes back through a pipe."""
    read_end, write_end = os.pipe()
    starter = os.getpid()
    middle = os.fork()
    if middle == 0:
        os.close(read_end)
        _enter_and_work(starter, write_end, work)
    os.close(write_end)
    forwarded = {
        number: signal.signal(number, _forward_to(middle)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with os.fdopen(read_end, "rb") as stream:
            said = stream.read()
        _, status = os.waitpid(middle, 0)
    finally:
        for number, handler in forwarded.items():
            signal.signal(number, handler)
    if said:
        content = json.loads(said)
        if content["exit_status"] == exits.INTERRUPTED and content["reason"] == _BEFORE_RANKS:
            raise KeyboardInterrupt
        return Outcome(exit_status=content["exit_status"], reason=content["reason"])
    code = os.waitstatus_to_exitcode(status)
    return Outcome(
        exit_status=exits.RANK_DIED, reason=f"the process that held the emulated fabric ended with {code}"
    )


def _forward_to(pid: int) -> Callable[[int, Any], None]:
    def forward(number: int, _frame: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    return forward


def _enter_and_work(starter: int, write_end: int, work: Callable[[], Outcome]) -> None:
    """Runs in the child and never returns. The middle process waits, so that the one below can be process 1."""
    status = exits.RANK_DIED
    try:
        kernel.die_with_parent(starter)
        os.setpgid(0, 0)  # the terminal's Ctrl-C reaches the starter alone, which forwards it
        kernel.become_own_root()
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWPID)
        init = os.fork()
        if init:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _forward_to(init))
            _, waited = os.waitpid(init, 0)
            status = 0 if os.waitstatus_to_exitcode(waited) == 0 else exits.RANK_DIED
            return
        kernel.die_with_parent(0)
        for number in (signal.SIGINT, signal.SIGTERM):  # process 1 ignores signals that it has no handler for
            signal.signal(number, signal.default_int_handler)
        with contextlib.suppress(OSError):
            kernel.mount_own_proc()
        _say(write_end, work())
        status = 0
    except KeyboardInterrupt:
        _say(write_end, Outcome(exit_status=exits.INTERRUPTED, reason=_BEFORE_RANKS))
    except (OSError, ValueError) as error:
        _say(write_end, Outcome(exit_status=exits.RANK_DIED, reason=str(error)))
    except BaseException:  # noqa: BLE001 - the last frame of this process
        traceback.print_exc()  # a mistake of ours: this process has no caller that would show it
    finally:
        os._exit(status)


def _say(write_end: int, outcome: Outcome) -> None:
    with contextlib.suppress(OSError):
        os.write(
            write_end, json.dumps({"exit_status": outcome.exit_status, "reason": outcome.reason}).encode()
        )
