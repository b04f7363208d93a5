"""`launcher=external`: how ranks that torchrun, mpirun or srun has started find one another."""

import ipaddress
import os
import socket

import psutil

from bench.launch.identity import RankIdentity, is_mpi, slurm_master
from bench.launch.local import free_port


def master(identity: RankIdentity) -> tuple[str, int]:
    """Address and port of the rendezvous on rank 0.

    MASTER_ADDR and MASTER_PORT win where they are set. SLURM's come from the step. Under mpirun rank 0 picks a free port
    and tells the others through MPI. Where gloo would listen on loopback although the master is on another host,
    GLOO_SOCKET_IFNAME is set to the interface that leads there.

    Raises:
        ValueError: nobody says where the master is; names what to set or install.
    """
    address, port = _master(identity)
    if "GLOO_SOCKET_IFNAME" not in os.environ and _is_own_name_loopback():
        interface = interface_towards(address)
        if interface is not None:
            os.environ["GLOO_SOCKET_IFNAME"] = interface
    return address, port


def _master(identity: RankIdentity) -> tuple[str, int]:
    if identity.master_address is not None and identity.master_port is not None:
        return identity.master_address, identity.master_port
    if identity.source == "slurm":
        address, port = slurm_master(os.environ)
        return identity.master_address or address, identity.master_port or port
    if is_mpi(identity):
        return _master_by_broadcast(identity)
    lacking = "MASTER_ADDR" if identity.master_address is None else "MASTER_PORT"
    raise ValueError(f"RANK and WORLD_SIZE are set, but {lacking} is not; set it, or start with torchrun")


def _master_by_broadcast(identity: RankIdentity) -> tuple[str, int]:
    try:
        from mpi4py import MPI  # importing it initialises MPI, so only ranks of mpirun do
    except (ImportError, RuntimeError) as error:  # mpi4py raises the latter where it finds no MPI library
        raise ValueError(
            f"{identity.source} has started this rank, and mpi4py, by which ranks agree on a master, cannot be imported "
            f"({error}); install linerate[mpi], or set MASTER_ADDR and MASTER_PORT"
        ) from error
    world = MPI.COMM_WORLD
    if (world.Get_rank(), world.Get_size()) != (identity.rank, identity.size):
        raise ValueError(
            f"{identity.source} says rank {identity.rank} of {identity.size}, mpi4py says {world.Get_rank()} of "
            f"{world.Get_size()}: mpi4py runs on another MPI library than this mpirun; use the mpirun of the library "
            "it loads, or set MASTER_ADDR and MASTER_PORT"
        )
    hosts = world.allgather(socket.gethostname())
    if identity.master_address is not None:
        address = identity.master_address
    else:
        address = "127.0.0.1" if len(set(hosts)) == 1 else own_address()
    chosen: tuple[str, int] = world.bcast(
        (address, identity.master_port or free_port("0.0.0.0")) if identity.rank == 0 else None, root=0
    )
    return chosen


def own_address() -> str:
    """An IPv4 address of this host that others can reach.

    That of GLOO_SOCKET_IFNAME if it is set, else what the host name resolves to unless that is loopback, else the
    first address of an interface that is up.
    """
    wanted = os.environ.get("GLOO_SOCKET_IFNAME", "").split(",")[0]
    addresses = {
        name: entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == socket.AF_INET
    }
    if wanted in addresses:
        return addresses[wanted]
    try:
        resolved = socket.gethostbyname(socket.gethostname())
        if not resolved.startswith("127."):
            return resolved
    except OSError:
        pass
    states = psutil.net_if_stats()
    for name, address in addresses.items():
        if not address.startswith("127.") and name in states and states[name].isup:
            return address
    return "127.0.0.1"


def interface_towards(address: str) -> str | None:
    """The interface by which ``address`` is reached from here; None where that is loopback or there is no way."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)  # a datagram socket sends nothing here; it only asks for the route
            mine = str(probe.getsockname()[0])
    except OSError:
        return None
    if ipaddress.ip_address(mine.split("%")[0]).is_loopback:
        return None
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address == mine for entry in entries):
            return name
    return None


def _is_own_name_loopback() -> bool:
    """Whether gloo would listen on loopback: it takes the first address of this host's name (many systems say
    127.0.1.1), and loopback where the name has none."""
    try:
        first = str(socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return True
    return ipaddress.ip_address(first.split("%")[0]).is_loopback
