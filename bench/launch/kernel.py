"""The few system calls that Python 3.11 lacks: namespaces and the signal at a parent's death. Linux only.

Source: unshare(2), setns(2), mount(2), sethostname(2), prctl(2), user_namespaces(7).
"""

import ctypes
import os
import signal
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

_PR_SET_PDEATHSIG: Final = 1
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x40000
_MS_NOSUID_NODEV_NOEXEC: Final = 0x2 | 0x4 | 0x8

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` for new ones. The process must have a single thread for CLONE_NEWUSER."""
    _checked(_libc.unshare(flags), "unshare")


def enter_network_namespace(descriptor: int) -> None:
    """Move this thread into the network namespace of an open descriptor."""
    _checked(_libc.setns(descriptor, CLONE_NEWNET), "setns")


def become_own_root() -> None:
    """In a new user namespace, be root inside and stay oneself outside."""
    user, group = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def set_host_name(name: str) -> None:
    """Give this process (and its children) a host name of its own: MPI decides by name who shares memory."""
    unshare(CLONE_NEWUTS)
    raw = name.encode()
    _checked(_libc.sethostname(raw, len(raw)), "sethostname")


def mount_own_proc() -> None:
    """Show this PID namespace's processes under /proc, privately. Containers may forbid it; nothing here needs it."""
    _checked(_libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "mount")
    _checked(_libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID_NODEV_NOEXEC, None), "mount /proc")


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the parent ends, however it ends; also if it has ended already."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if parent_pid and os.getppid() != parent_pid:
        os._exit(1)
