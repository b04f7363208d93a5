"""Synthetic files in every JSON and CSV layout of nccl-tests and rccl-tests, written from the description of the formats."""

import json
from typing import Any, Final

NUM_PROCESSES: Final = 2
GPUS_PER_PROCESS: Final = 4
NUM_RANKS: Final = NUM_PROCESSES * GPUS_PER_PROCESS
SIZES: Final = (1024, 1 << 20, 1 << 30)
SECRET: Final = "hunter2-in-the-environment"


def time_us(size: int, placement: str) -> float:
    """20 us and 100 GB/s, a little more in place."""
    return round((20.0 + size / 100e3) * (1.0 if placement == "out_of_place" else 1.25), 6)


def factor(collective: str, num_ranks: int) -> float:
    share = (num_ranks - 1) / num_ranks
    return {"all_reduce": 2 * share, "broadcast": 1.0, "reduce": 1.0, "sendrecv": 1.0}.get(collective, share)


def half(
    size: int, placement: str, *, program: str, num_ranks: int, is_checked: bool = True
) -> dict[str, Any]:
    time = time_us(size, placement)
    algbw = size / time / 1e3
    return {
        "time": time,
        "alg_bw": round(algbw, 6),
        "bus_bw": round(algbw * factor(program, num_ranks), 6),
        "nwrong": 0.0 if is_checked else None,
    }


def per_iteration(size: int, placement: str, *, version: int, skipped: int = 1) -> dict[str, Any]:
    """Two processes, four iterations, the first one slow and skipped."""
    base = time_us(size, placement)
    rows = [
        [base * share for share in (5.0, 0.9, 1.0, 1.2)],
        [base * share for share in (4.0, 1.0, 0.8, 1.1)],
    ]
    largest = [max(pair) for pair in zip(*rows, strict=True)]
    kept = sorted(largest[skipped:])
    entry = {"skipped_iterations": skipped} if version >= 3 else {}
    return entry | {
        "min_us": kept[0],
        "max_us": kept[-1],
        "avg_us": sum(kept) / len(kept),
        "p50_us": kept[len(kept) // 2],
        "p95_us": kept[-1],
        "p99_us": kept[-1],
        "stdev_us": 1.5,
        "cv_pct": 7.5,
        "times_us": largest,
        "per_process_max_times_us": rows,
    }


def device(rank: int, host: str, group: int = 0) -> dict[str, Any]:
    return {
        "rank": rank,
        "group": group,
        "pid": 4000 + rank,
        "hostname": host,
        "device": rank % 8,
        "device_hex": "0000:1b:00",
        "device_info": "NVIDIA H100 80GB HBM3",
    }


def document(
    version: int,
    *,
    program: str = "all_reduce",
    arguments: tuple[str, ...] = ("-b", "1K", "-e", "1G", "-f", "1024"),
    groups: tuple[int, ...] = (0, 0),
    with_iterations: bool = False,
) -> dict[str, Any]:
    """One run of two processes with four GPUs each, as that version writes it."""
    num_ranks = GPUS_PER_PROCESS * groups.count(groups[0])
    is_reduction = program in ("all_reduce", "reduce_scatter", "reduce")
    config: dict[str, Any] = {
        "nthreads": 1,
        "ngpus": GPUS_PER_PROCESS,
        "minimum_bytes": SIZES[0],
        "maximum_bytes": SIZES[-1],
        "step_factor": 1024,
        "warmup_iters": 5,
        "iterations": 20,
        "aggregated_iterations": 1,
        "validation": 1,
        "graph": 0,
        "blocking_collectives": "false",
        "parallel_init": "false",
    }
    if version >= 2:
        config["per_iter_timing"] = "true" if with_iterations else "false"
    if version >= 3:
        config["per_iter_skip"] = 1 if with_iterations else 0
    config["devices"] = [
        device(process * GPUS_PER_PROCESS, f"node{process}", group) for process, group in enumerate(groups)
    ]
    results = []
    for size in SIZES:
        result: dict[str, Any] = {
            "size": size,
            "count": size // 4,
            "type": "float",
            "redop": "sum" if is_reduction else "none",
            "root": "    -1",
        }
        for placement in ("out_of_place", "in_place"):
            is_checked = not (program == "alltoall" and placement == "in_place")
            result[placement] = half(
                size, placement, program=program, num_ranks=num_ranks, is_checked=is_checked
            )
            if with_iterations:
                result[f"{placement}_per_iter"] = per_iteration(size, placement, version=version)
        results.append(result | {"actual_iterations": 20, "experiment_name": ""})
    average, bandwidth = (
        ("average_bus_bandwidith", "bandwidith") if version == 1 else ("average_bus_bandwidth", "bandwidth")
    )
    return {
        "version": version,
        "start_time": "2026-07-01 10:00:00",
        "args": [f"/opt/nccl-tests/build/{program}_perf", *arguments],
        "env": ["NCCL_ALGO=Ring", f"API_TOKEN={SECRET}", f"NCCL_SECRET={SECRET}", f"HOME={SECRET}", "EMPTY"],
        "nccl_version": 22809,
        "config": config,
        "results": results,
        "out_of_bounds": {"count": 0, "okay": "true"},
        average: {bandwidth: 123.456, "okay": "unchecked"},
        "errors": [""],
        "end_time": "2026-07-01 10:01:00",
    }


def as_text(content: dict[str, Any]) -> str:
    """As nccl-tests writes it: one line, no spaces."""
    return json.dumps(content, separators=(",", ":"))


_RCCL_NAMES: Final = {
    "all_reduce": "AllReduce",
    "reduce_scatter": "ReduceScatter",
    "all_gather": "AllGather",
    "alltoall": "AlltoAll",
}


def rccl_rows(program: str, *, cycles: int = 1, is_receive_size: bool = False) -> list[dict[str, Any]]:
    """Both placements of each size, as class Reporter of rccl-tests keeps them."""
    rows = []
    for cycle in range(cycles):
        for size in SIZES:
            for in_place, placement in enumerate(("out_of_place", "in_place")):
                found = half(size, placement, program=program, num_ranks=NUM_RANKS)
                rows.append(
                    {
                        "numCycle": cycle,
                        "name": _RCCL_NAMES[program],
                        "nodes": 1,
                        "ranks": NUM_PROCESSES,
                        "ranksPerNode": NUM_PROCESSES,
                        "gpusPerRank": GPUS_PER_PROCESS,
                        "size": size // NUM_RANKS if is_receive_size else size,
                        "type": "float",
                        "redop": "sum",
                        "inPlace": in_place,
                        "time": f"{found['time']:.6f}",
                        "algBw": f"{found['alg_bw']:.6f}",
                        "busBw": f"{found['bus_bw']:.6f}",
                        "wrong": "0" if in_place == 0 else "N/A",
                    }
                )
    return rows


_STRINGS: Final = ("name", "type", "redop", "wrong")


def rccl_csv(rows: list[dict[str, Any]], *, is_first: bool, with_mpi: bool = True) -> str:
    """``is_first``: of 2024-06, padded, without cycles. With MPI, rows have ``nodes`` and the header does not."""
    comma = ", " if is_first else ","
    names = ["collective", *(["ranks", "rankspernode", "gpusperrank"] if with_mpi else ["gpus"])]
    names += ["size", "type", "redop", "inplace", "time", "algbw", "busbw", "#wrong"]
    lines = [comma.join(names if is_first else ["numCycle", *names])]
    for row in rows:
        kept = dict(row)
        if is_first:
            del kept["numCycle"]
        if not with_mpi:
            for name in ("nodes", "ranks", "ranksPerNode"):
                del kept[name]
            kept["gpusPerRank"] = NUM_RANKS
        lines.append(comma.join(f'"{kept[name]}"' if name in _STRINGS else str(kept[name]) for name in kept))
    return "\n".join(lines) + "\n"


def rccl_json(rows: list[dict[str, Any]], *, is_first: bool) -> str:
    """``is_first``: one record below the other, without a list, names without quotes."""
    records = []
    for row in rows:
        quote = "" if is_first else '"'
        pairs = (
            f'"{name}":{quote}{value}{quote}' if name in _STRINGS else f'"{name}":{value}'
            for name, value in row.items()
        )
        records.append("{" + ", ".join(pairs) + "}")
    return "\n".join(records) + "\n" if is_first else "[\n" + ",\n".join(records) + "\n]\n"
