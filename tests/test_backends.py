"""Every collective on every backend that runs without a GPU: three data types, data checked, in both placements."""

from pathlib import Path

import pandas as pd
import pytest

from bench.model.collective import Collective
from tests.processes import LINERATE, only_run, run

ALL = "collectives=[" + ",".join(collective.value for collective in Collective) + "]"
QUICK = ["timing.num_iterations=3", "timing.num_warmups=1", "placement=both"]
SIZES = "sizes.list_bytes=[48KiB]"


def check(folder: Path, dtype: str, *, is_reduced: bool = True) -> pd.DataFrame:
    """Everything was measured, checked, and right; nothing is missing without a reason."""
    manifest, summary = only_run(folder)
    assert (manifest.status, manifest.exit_status) == ("complete", 0)
    reductions = {"all_reduce", "reduce_scatter", "reduce"}
    wanted = {collective.value for collective in Collective} - (set() if is_reduced else reductions)
    assert set(summary["collective"]) == wanted
    assert set(summary["dtype"]) == {dtype}
    with_data = summary[summary["collective"] != "barrier"]
    assert set(with_data["num_wrong_elements"]) == {0}
    assert summary[summary["collective"] == "barrier"]["num_wrong_elements"].isna().all()
    assert set(summary["status"]) == {"complete"}
    if not is_reduced:
        assert sum("float8" in reason or "bfloat16" in reason for reason in manifest.skipped) == 3
    return summary


@pytest.mark.parametrize(("dtype", "num_ranks"), [("float32", 3), ("bfloat16", 2), ("int64", 2)])
def test_gloo_on_loopback(dtype: str, num_ranks: int, tmp_path: Path) -> None:
    ranks = f"launcher.num_ranks={num_ranks}"
    command = [*LINERATE, "launcher=local", ranks, ALL, SIZES, *QUICK, f"dtype={dtype}"]
    status, said = run(command, tmp_path)
    assert status == 0, said
    summary = check(tmp_path, dtype)
    placements = summary.groupby("collective")["placement"].agg(set)
    assert placements["all_gather"] == {"in_place", "out_of_place"}
    assert placements["all_reduce"] == {"in_place"} and placements["all_to_all"] == {"out_of_place"}


@pytest.mark.parametrize(
    ("dtype", "num_ranks", "is_reduced"), [("float32", 3, True), ("bfloat16", 2, False), ("int8", 2, True)]
)
def test_mpi_on_loopback(dtype: str, num_ranks: int, is_reduced: bool, tmp_path: Path) -> None:
    algorithms = ["algorithms.all_reduce=[native,persistent]", "algorithms.all_to_allv=[persistent]"]
    ranks = f"launcher.num_ranks={num_ranks}"
    command = [*LINERATE, "launcher=local", "backend=mpi", ranks, ALL, SIZES, *QUICK]
    status, said = run([*command, *algorithms, f"dtype={dtype}"], tmp_path)
    assert status == 0, said
    summary = check(tmp_path, dtype, is_reduced=is_reduced)
    placements = summary.groupby("collective")["placement"].agg(set)
    assert placements["all_to_all"] == {"in_place", "out_of_place"}
    assert placements["broadcast"] == {"in_place"}
    if is_reduced:
        assert set(summary[summary["collective"] == "all_reduce"]["algorithm"]) == {"native", "persistent"}


def test_fp8_travels_as_bytes_on_gloo_and_is_not_reduced(tmp_path: Path) -> None:
    command = [*LINERATE, "launcher=local", ALL, SIZES, *QUICK, "dtype=float8_e4m3fn"]
    status, said = run(command, tmp_path)
    assert status == 0, said
    check(tmp_path, "float8_e4m3fn", is_reduced=False)


def test_every_pass_is_a_record_of_its_own(tmp_path: Path) -> None:
    passes = "passes=[latency,bandwidth,cold,overlap,graph]"
    command = [*LINERATE, "launcher=local", "collectives=[all_gather,ping_pong]", SIZES, passes, *QUICK]
    status, said = run(command, tmp_path)
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    found = summary.groupby("collective")["pass"].agg(set)
    assert found["all_gather"] == {"latency", "bandwidth", "cold", "overlap"}
    assert found["ping_pong"] == {"latency", "bandwidth", "cold"}
    assert any("CUDA graphs" in reason for reason in manifest.skipped)
    overlap = summary[summary["pass"] == "overlap"]
    assert overlap["overlap_fraction"].notna().all() and overlap["busbw_gbytes_per_s"].isna().all()
    assert (summary[summary["pass"] == "bandwidth"]["calls_per_sample"] > 1).all()
    assert manifest.initialisation_s is not None and manifest.initialisation_s > 0
    assert (summary["first_call_s"] > 0).all()


@pytest.mark.parametrize("backend", ["gloo", "mpi"])
def test_groups_measure_side_by_side_and_have_records_of_their_own(backend: str, tmp_path: Path) -> None:
    command = [*LINERATE, "launcher=local", "launcher.num_ranks=4", f"backend={backend}"]
    groups = ["collectives=[all_reduce,all_to_all]", "groups=[world,size:2,stride:2]"]
    status, said = run([*command, *groups, SIZES, *QUICK], tmp_path)
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert set(summary["group"]) == {"world", "size:2/0", "size:2/1", "stride:2/0", "stride:2/1"}
    assert manifest.groups == {
        "size:2/0": [0, 1],
        "size:2/1": [2, 3],
        "stride:2/0": [0, 2],
        "stride:2/1": [1, 3],
    }
    assert set(summary[summary["group"] != "world"]["num_ranks"]) == {2}
    assert summary["point_id"].is_unique
    samples = pd.read_parquet(tmp_path / "runs" / "latest" / "samples.parquet")
    ranks = samples.groupby("point_id")["rank"].agg(lambda column: str(sorted(set(column))))
    assert {ranks[name] for name in ranks.index if name.endswith("stride:2/1")} == {"[1, 3]"}


def test_a_traffic_matrix_from_a_file_with_zeros(tmp_path: Path) -> None:
    (tmp_path / "traffic.csv").write_text("# hot rank 1\n0,3,1\n0,0,0\n1,1,0\n")
    command = [*LINERATE, "launcher=local", "launcher.num_ranks=3", "collectives=all_to_allv", SIZES, *QUICK]
    status, said = run([*command, "all_to_allv.matrix=traffic.csv"], tmp_path)
    assert status == 0, said
    _, summary = only_run(tmp_path)
    assert set(summary["num_wrong_elements"]) == {0}
    assert (summary["load_imbalance"] == 2.0).all(), (
        "rank 0 sends 4 and rank 1 receives 4 of 6 in all, over 3 ranks"
    )


def test_the_draft_s_report_is_written(tmp_path: Path) -> None:
    command = [
        *LINERATE,
        "launcher=local",
        "collectives=all_reduce",
        "timing=bmwg",
        "sizes.list_bytes=[4KiB]",
    ]
    status, said = run(command, tmp_path)
    assert status == 0, said
    _, summary = only_run(tmp_path)
    assert list(summary["num_samples"]) == [100] and summary["time_p99_s"].notna().all()
    header = (tmp_path / "runs" / "latest" / "bmwg.csv").read_text().splitlines()[0]
    assert "time_s_p50" in header and (tmp_path / "runs" / "latest" / "bmwg.json").exists()


def test_the_layout_of_nccl_tests_is_all_that_standard_output_holds(tmp_path: Path) -> None:
    command = [*LINERATE, "launcher=local", "collectives=[all_reduce,send_recv]", SIZES, *QUICK]
    status, said = run([*command[:4], "run", "--format", "nccl-tests", *command[4:]], tmp_path)
    assert status == 0, said
    rows = [line.split() for line in said.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert [len(row) for row in rows] == [13] * 2
    assert all(float(row[5]) > 0 and float(row[9]) > 0 for row in rows)
