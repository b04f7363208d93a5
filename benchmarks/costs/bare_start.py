"""The least that a program under torchrun does before its first sample: import torch, join, open the connections.

    python -m torch.distributed.run ... -m benchmarks.costs.bare_start REPORT BYTES

Rank 0 writes when its first sample began, on the clock of `time.perf_counter`.
"""

import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from benchmarks.costs import ITEM_BYTES


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    buffer = torch.zeros(int(sys.argv[2]) // ITEM_BYTES, dtype=torch.float32)
    dist.all_reduce(buffer)
    dist.barrier()
    first_s = time.perf_counter()
    dist.all_reduce(buffer)
    if dist.get_rank() == 0:
        Path(sys.argv[1]).write_text(repr(first_s), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
