"""What only a GPU can show: CUDA events, graphs, fp8, gloo on GPU memory. Run where torch sees one."""

from pathlib import Path

import pytest
import torch

from bench.measure.stopwatch import CudaStopwatch
from tests.processes import LINERATE, only_run, run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")

ONE_RANK = [
    "collectives=[all_reduce,all_gather,reduce_scatter,all_to_all,all_to_allv,broadcast,reduce,gather,scatter,barrier]"
]
QUICK = ["sizes.list_bytes=[64KiB,8MiB]", "timing.num_iterations=6"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn"])
def test_nccl_with_one_rank_in_every_pass_is_right(dtype: str, tmp_path: Path) -> None:
    passes = ["passes=[latency,bandwidth,graph,cold,overlap]", "placement=both", f"dtype={dtype}"]
    command = [
        *LINERATE,
        "launcher=local",
        "launcher.num_ranks=1",
        "backend=nccl",
        *ONE_RANK,
        *QUICK,
        *passes,
    ]
    status, said = run(command, tmp_path)
    assert status == 0, said
    _, summary = only_run(tmp_path)
    assert {"latency", "bandwidth", "graph", "cold", "overlap"} <= set(summary["pass"])
    assert set(summary["num_wrong_elements"].dropna()) == {0}


def test_gloo_with_gpu_memory_and_several_ranks_on_one_gpu(tmp_path: Path) -> None:
    command = [*LINERATE, "launcher=local", "launcher.num_ranks=3", "backend=gloo", "device=cuda", *QUICK]
    status, said = run([*command, "collectives=[all_reduce,broadcast,all_gather,send_recv]"], tmp_path)
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert len(summary) and set(summary["num_wrong_elements"]) == {0}, manifest.skipped


def test_the_stopwatch_times_a_copy_as_events_set_by_hand_do() -> None:
    """Order of magnitude only: exact agreement is for the benchmark, where nothing else runs."""
    device = torch.device("cuda", 0)
    source = torch.ones(2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    by_hand_s = []
    for _ in range(20):
        torch.cuda.synchronize()
        begin.record()
        target.copy_(source)
        end.record()
        end.synchronize()
        by_hand_s.append(begin.elapsed_time(end) / 1e3)
    watch = CudaStopwatch(device, lambda: None)
    samples = [watch.time(lambda: target.copy_(source), lambda: None) for _ in range(20)]
    found_s = sorted(sample.duration_s for sample in samples)[10]
    assert 0.5 < found_s / sorted(by_hand_s)[10] < 2
    assert not all(sample.was_late_host for sample in samples)
