"""What an MPI call costs from Python beside the same call in C, for several ways of making it.

The ways are compared inside one pair of processes, on the same torch tensors and the same communicator, as short blocks
in turns: a loop in C (`mpi_loop.c`, as a library), mpi4py with arguments of several kinds, and ctypes on the library that
mpi4py has loaded. Each start of the processes gives one median per way; the table shows medians over starts.

    python benchmarks/mpi_calls.py [--starts 6] [--out docs/measured/mpi-calls.md]

It needs mpi4py, mpirun and mpicc of the same MPI, and two processors.
"""

import argparse
import ctypes
import functools
import gc
import json
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # modules of this checkout

from benchmarks.costs import ITEM_BYTES, note
from benchmarks.costs.c_loop import NUM_RANKS, PROGRAM, CLoop, build, library_version, run_ranks
from benchmarks.costs.report import interval_text, markdown, origin

HEADER: Final = (
    "operation",
    "bytes",
    "way",
    "threads of MPI",
    "median, us",
    "over C, us",
    "95 % interval",
    "ratio",
)
METHOD: Final = (
    "Median over calls of the slower of 2 ranks, as medians over starts of the processes; ways in turns in the same "
    "processes, but for `single`, a C program of its own. Intervals are distribution-free, of at least 95 %."
)
SMALL_BYTES: Final = 8
NUM_WARMUPS: Final = 20
RANK_ROLE: Final = "as-rank"
C_LOOP: Final = "C loop"
MPI4PY: Final = "mpi4py, arguments prepared"
OPERATIONS: Final = (
    "barrier",
    "all_reduce",
    "all_reduce_in_place",
    "all_reduce_persistent",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
    "all_to_all_v",
    "broadcast",
    "reduce",
    "gather",
    "scatter",
    "send_recv",
)
"""As `mpi_loop.c` names them."""

Call = Callable[[], object]
Block = Callable[[int], "array[int]"]
"""So many calls after `NUM_WARMUPS`; nanoseconds of each."""
Medians = dict[str, float]
"""(operation, bytes, way), joined by `SEPARATOR`, to the median over calls of the slowest rank, in microseconds."""
SEPARATOR: Final = "|"


def main() -> int:
    if sys.argv[1:2] == [RANK_ROLE]:
        _as_rank(json.loads(sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--starts", type=int, default=6, metavar="N", help="pairs of processes; an interval needs 6"
    )
    parser.add_argument("--rounds", type=int, default=6, metavar="N", help="blocks to and fro in each start")
    parser.add_argument("--calls", type=int, default=200, metavar="N", help="calls of 8 B in each block")
    parser.add_argument("--sizes", type=int, nargs="*", default=[64 * 1024, 1024 * 1024], metavar="BYTES")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="also write the table there")
    options = parser.parse_args()
    below = origin("mpi_calls.py", library_version())
    seen: dict[str, list[Medians]] = {"single": [], "funneled": [], "multiple": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder)
        for number in range(options.starts):
            note(f"start {number + 1} of {options.starts}")
            settings = {"rounds": options.rounds, "calls": options.calls, "folder": name}
            seen["single"].append(_program(folder, 2 * options.rounds * options.calls))
            seen["multiple"].append(_pair(settings | {"level": "multiple", "sizes": [], "is_short": True}))
            seen["funneled"].append(
                _pair(settings | {"level": "funneled", "sizes": options.sizes, "is_short": False})
            )
    text = markdown("What an MPI call costs from Python", METHOD, HEADER, list(_rows(seen)), below())
    print(text, end="")
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return 0


# Starting the processes


def _program(folder: Path, num_calls: int) -> Medians:
    """The C program by itself, MPI started by MPI_Init."""
    run_ranks(str(folder / PROGRAM), str(folder), str(num_calls), "500", "all_reduce", str(SMALL_BYTES))
    rows = []
    for rank in range(NUM_RANKS):
        row = array("q")
        row.frombytes((folder / f"all_reduce.{SMALL_BYTES}.{rank}").read_bytes())
        rows.append(row)
    return {_key("all_reduce", SMALL_BYTES, C_LOOP): _slowest_us(rows)}


def _pair(settings: dict[str, Any]) -> Medians:
    found: Medians = json.loads(
        run_ranks(sys.executable, "-P", __file__, RANK_ROLE, json.dumps(settings)).splitlines()[-1]
    )
    return found


# In the ranks


def _as_rank(settings: dict[str, Any]) -> None:
    import mpi4py

    mpi4py.rc.thread_level = settings["level"]  # before MPI is imported: that starts it
    import torch
    from mpi4py import MPI

    torch.set_num_threads(1)
    comm = MPI.COMM_WORLD
    folder = Path(settings["folder"])

    def in_c(operation: str) -> CLoop:
        return CLoop(folder, comm, operation, send, recv)

    found: Medians = {}
    for message_bytes in (SMALL_BYTES, *settings["sizes"]):
        send, recv = (torch.zeros(message_bytes // ITEM_BYTES, dtype=torch.float32) for _ in range(2))
        if settings["is_short"]:
            operations: Sequence[str] = ("all_reduce",)
        elif message_bytes == SMALL_BYTES:
            operations = OPERATIONS
        else:
            operations = ("all_reduce", "all_reduce_in_place", "all_to_all")
        blocks: dict[str, Block] = {}
        for operation in operations:
            ways = _ways(MPI, comm, send, recv, operation)
            if message_bytes == SMALL_BYTES and operation == "all_reduce" and not settings["is_short"]:
                ways |= _other_ways(MPI, comm, send, recv)
            _require_same_results(in_c(operation), comm, send, recv, ways)
            blocks[_key(operation, message_bytes, C_LOOP)] = _warmed(in_c(operation))
            for way, call in ways.items():
                blocks[_key(operation, message_bytes, way)] = _in_python(call, comm.Barrier)
            if operation in ("all_reduce_in_place", "all_to_all") and not settings["is_short"]:
                for way, before in _befores(ways[MPI4PY], send, recv).items():
                    key = _key(operation, message_bytes, f"{MPI4PY}, {way}")
                    blocks[key] = _in_python(ways[MPI4PY], comm.Barrier, before)
        if message_bytes == SMALL_BYTES and not settings["is_short"]:
            blocks[_key("nothing", message_bytes, C_LOOP)] = _warmed(in_c("nothing"))
            blocks[_key("nothing", message_bytes, "Python function")] = _in_python(lambda: None, comm.Barrier)
        # Blocks of about equal duration: 1 MiB takes some hundred times as long as 8 B.
        num_calls = max(4, settings["calls"] // (1 + message_bytes // 8192))
        found |= _in_turns(comm, blocks, settings["rounds"], num_calls)
    if comm.rank == 0:
        print(json.dumps(found))


def _ways(MPI: Any, comm: Any, send: Any, recv: Any, operation: str) -> dict[str, Call]:
    """The two ways that are compared for every operation."""
    ways = {MPI4PY: _mpi4py_call(MPI, comm, send, recv, operation)}
    if operation != "all_reduce_persistent":
        ways["ctypes, arguments prepared"] = _ctypes_call(MPI, comm, send, recv, operation)
    return ways


def _befores(call: Call, send: Any, recv: Any) -> dict[str, Call]:
    """What a measurement may do before it aligns the ranks and times the call."""
    restore = functools.partial(recv.copy_, send)

    def restore_and_call() -> None:
        restore()
        call()

    return {
        "output overwritten before": restore,
        "output overwritten and one call not timed before": restore_and_call,
    }


def _other_ways(MPI: Any, comm: Any, send: Any, recv: Any) -> dict[str, Call]:
    """What else one might write for an all_reduce."""
    count, op = send.numel(), MPI.SUM
    mine, result = send.numpy(), recv.numpy()

    def built_anew() -> None:
        comm.Allreduce([mine, count, MPI.FLOAT], [result, count, MPI.FLOAT], MPI.SUM)

    return {
        "mpi4py, torch tensors": functools.partial(comm.Allreduce, send, recv, op),
        "mpi4py, numpy arrays": functools.partial(comm.Allreduce, mine, result, op),
        "mpi4py, [numpy array, count, type]": functools.partial(
            comm.Allreduce, [mine, count, MPI.FLOAT], [result, count, MPI.FLOAT], op
        ),
        "mpi4py, the same, lists made in each call": built_anew,
        "ctypes, c_void_p objects": functools.partial(
            ctypes.CDLL(MPI.__file__).MPI_Allreduce,
            *(ctypes.c_void_p(tensor.data_ptr()) for tensor in (send, recv)),
            ctypes.c_int(count),
            *(_handle_type(handle)(MPI._handleof(handle)) for handle in (MPI.FLOAT, op, comm)),
        ),
        "ctypes, the GIL kept": _ctypes_call(MPI, comm, send, recv, "all_reduce", loader=ctypes.PyDLL),
    }


def _mpi4py_call(MPI: Any, comm: Any, send: Any, recv: Any, operation: str) -> Call:
    """Bound method and prepared arguments: no Python frame, and no look-up of buffer, count or type by mpi4py.

    A buffer from the address serves every data type of torch, those that numpy does not have included.
    """
    count, share = send.numel(), send.numel() // comm.size
    after, before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size

    def spec(tensor: Any, num_elements: int) -> list[Any]:
        whole = MPI.buffer.fromaddress(tensor.data_ptr(), tensor.numel() * ITEM_BYTES)
        return [whole, num_elements, MPI.FLOAT]

    whole, result = spec(send, count), spec(recv, count)
    part, part_result = spec(send, share), spec(recv, share)
    if operation == "all_reduce_persistent":
        request = comm.Allreduce_init(whole, result, MPI.SUM)
        start, wait = request.Start, request.Wait

        def start_and_wait() -> None:
            start()
            wait()

        return start_and_wait
    counts, displs = array("i", [share] * comm.size), array("i", [i * share for i in range(comm.size)])
    arguments: dict[str, tuple[Callable[..., object], tuple[Any, ...]]] = {
        "barrier": (comm.Barrier, ()),
        "all_reduce": (comm.Allreduce, (whole, result, MPI.SUM)),
        "all_reduce_in_place": (comm.Allreduce, (MPI.IN_PLACE, result, MPI.SUM)),
        "all_gather": (comm.Allgather, (part, part_result)),
        "reduce_scatter": (comm.Reduce_scatter_block, (part, part_result, MPI.SUM)),
        "all_to_all": (comm.Alltoall, (part, part_result)),
        "all_to_all_v": (
            comm.Alltoallv,
            ([whole[0], (counts, displs), MPI.FLOAT], [result[0], (counts, displs), MPI.FLOAT]),
        ),
        "broadcast": (comm.Bcast, (whole, 0)),
        "reduce": (comm.Reduce, (whole, result, MPI.SUM, 0)),
        "gather": (comm.Gather, (part, part_result, 0)),
        "scatter": (comm.Scatter, (part, part_result, 0)),
        "send_recv": (comm.Sendrecv, (whole, after, 0, result, before, 0)),
    }
    method, prepared = arguments[operation]
    return functools.partial(method, *prepared)


def _ctypes_call(
    MPI: Any, comm: Any, send: Any, recv: Any, operation: str, loader: Callable[[str], Any] = ctypes.CDLL
) -> Call:
    """The C function itself. Symbols are looked up through mpi4py's extension, so in the libmpi that it runs on.

    `from_param` makes the converted argument once; a c_void_p would be converted in every call. Error codes are not
    looked at. Counts are C ints: no more than 2**31 - 1 elements.
    """
    pointer, integer = ctypes.c_void_p.from_param, ctypes.c_int.from_param
    out, into = pointer(send.data_ptr()), pointer(recv.data_ptr())
    count, share, zero = (integer(number) for number in (send.numel(), send.numel() // comm.size, 0))
    after, before = integer((comm.rank + 1) % comm.size), integer((comm.rank - 1) % comm.size)
    float32, total, group = (_handle_type(h).from_param(MPI._handleof(h)) for h in (MPI.FLOAT, MPI.SUM, comm))
    rows = [
        [send.numel() // comm.size] * comm.size,
        [i * (send.numel() // comm.size) for i in range(comm.size)],
    ]
    counts, displs = ((ctypes.c_int * comm.size)(*row) for row in rows)
    in_place = pointer(int(MPI.IN_PLACE))
    # MPI_STATUS_IGNORE is a null pointer in Open MPI and 1 in MPICH; a status of our own suits both.
    status = ctypes.create_string_buffer(MPI._sizeof(MPI.Status))
    arguments: dict[str, tuple[str, tuple[Any, ...]]] = {
        "barrier": ("MPI_Barrier", (group,)),
        "all_reduce": ("MPI_Allreduce", (out, into, count, float32, total, group)),
        "all_reduce_in_place": ("MPI_Allreduce", (in_place, into, count, float32, total, group)),
        "all_gather": ("MPI_Allgather", (out, share, float32, into, share, float32, group)),
        "reduce_scatter": ("MPI_Reduce_scatter_block", (out, into, share, float32, total, group)),
        "all_to_all": ("MPI_Alltoall", (out, share, float32, into, share, float32, group)),
        "all_to_all_v": (
            "MPI_Alltoallv",
            (out, counts, displs, float32, into, counts, displs, float32, group),
        ),
        "broadcast": ("MPI_Bcast", (out, count, float32, zero, group)),
        "reduce": ("MPI_Reduce", (out, into, count, float32, total, zero, group)),
        "gather": ("MPI_Gather", (out, share, float32, into, share, float32, zero, group)),
        "scatter": ("MPI_Scatter", (out, share, float32, into, share, float32, zero, group)),
        "send_recv": (
            "MPI_Sendrecv",
            (out, count, float32, after, zero, into, count, float32, before, zero, group, status),
        ),
    }
    name, prepared = arguments[operation]
    return functools.partial(getattr(loader(MPI.__file__), name), *prepared)


def _handle_type(handle: Any) -> Any:
    """Handles are ints in MPICH and its kin, pointers in Open MPI and in the ABI of MPI 5."""
    from mpi4py import MPI

    return ctypes.c_int if MPI._sizeof(handle) == ctypes.sizeof(ctypes.c_int) else ctypes.c_void_p


def _warmed(loop: CLoop) -> Block:
    return lambda num_calls: loop(num_calls, NUM_WARMUPS)


def _in_python(call: Call, barrier: Call, before: Call | None = None) -> Block:
    def block(num_calls: int) -> "array[int]":
        clock = time.perf_counter_ns
        taken_ns = array("q")
        gc.disable()
        for _ in range(NUM_WARMUPS + num_calls):
            if before is not None:
                before()
            barrier()
            begun_ns = clock()
            call()
            taken_ns.append(clock() - begun_ns)
        gc.enable()
        return taken_ns[NUM_WARMUPS:]

    return block


def _require_same_results(loop: CLoop, comm: Any, send: Any, recv: Any, ways: dict[str, Call]) -> None:
    """Every way must give what the C loop gives; both buffers are zero afterwards."""
    import torch

    def result(call: Call) -> Any:
        for tensor, shift in ((send, 1), (recv, 101)):
            tensor.copy_(
                torch.arange(tensor.numel(), dtype=torch.float32).remainder_(97) + (shift + 7 * comm.rank)
            )
        comm.Barrier()
        call()
        comm.Barrier()
        return torch.cat([send, recv])

    expected = result(functools.partial(loop, 1, 0))
    for way, call in ways.items():
        if not torch.equal(result(call), expected):
            raise RuntimeError(f"{way}: another result than in C on rank {comm.rank}")
    send.zero_()
    recv.zero_()


def _in_turns(comm: Any, blocks: dict[str, Block], num_rounds: int, num_calls: int) -> Medians:
    """All blocks to and fro, so that a steady drift of the machine falls on all alike."""
    taken: dict[str, array[int]] = {key: array("q") for key in blocks}
    for _ in range(num_rounds):
        for key in [*blocks, *reversed(blocks)]:
            taken[key] += blocks[key](num_calls)
    return {key: _slowest_us(comm.allgather(mine)) for key, mine in taken.items()}


def _slowest_us(rows: Sequence["array[int]"]) -> float:
    """Median over calls of the slowest rank. Shape: (num_ranks, num_calls), nanoseconds."""
    return float(median(max(column) for column in zip(*rows, strict=True))) / 1e3


# The table


def _key(operation: str, message_bytes: int, way: str) -> str:
    return SEPARATOR.join((operation, str(message_bytes), way))


def _rows(seen: dict[str, list[Medians]]) -> Iterator[list[str]]:
    for level, starts in seen.items():
        for key in starts[0]:
            operation, message_bytes, way = key.split(SEPARATOR)
            in_c = _key(operation, int(message_bytes), C_LOOP)
            typical = median(start[key] for start in starts)
            cells = [operation, message_bytes, way, level, f"{typical:.2f}", "", "", ""]
            if way != C_LOOP:
                added = [start[key] - start[in_c] for start in starts]
                ratio = median(start[key] / start[in_c] for start in starts)
                cells[5:] = [f"{median(added):+.2f}", interval_text(added, "{:+.2f}".format), f"{ratio:.3f}"]
            yield cells


if __name__ == "__main__":
    sys.exit(main())
