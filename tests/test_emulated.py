"""The emulated fabric: traffic really crosses shaped links, the ceiling holds, and nothing outlives a run."""

import json
import os
import signal
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from bench.catalog import transceiver
from bench.emulation_config import EmulationConfig
from bench.launch.carried import CARRIED
from bench.launch.emulated import missing
from bench.launch.shaping import link_shape
from bench.model.collective import Collective
from tests.processes import LINERATE, finish, only_run, run, start
from tests.test_run import ranks_of, wait_for_points

pytestmark = pytest.mark.emulated

EMULATED = [*LINERATE, "launcher=emulated"]


@pytest.fixture(autouse=True, scope="module")
def _namespaces() -> None:
    reason = missing(link_shape(transceiver("400g-osfp-dr4"), EmulationConfig()))
    if reason is not None:
        assert os.environ.get("CI") != "true", f"CI must build the emulated fabric: {reason}"
        pytest.skip(reason)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One run of all collectives on a fast fabric of three hosts: small, at the bucket, and long against it."""
    folder = tmp_path_factory.mktemp("sweep")
    sizes = "sizes.list_bytes=[4KiB,128KiB,512KiB,6MiB]"
    status, said = run(
        [*EMULATED, "emulation.num_hosts=3", sizes, "timing.num_iterations=7"], folder, LINERATE_FIGURE="1"
    )
    assert status == 0, said
    return folder, said


def test_the_manifest_says_what_was_emulated(sweep: tuple[Path, str]) -> None:
    manifest, summary = only_run(sweep[0])
    assert (manifest.launcher, manifest.num_hosts, manifest.num_ranks) == ("emulated", 3, 3)
    assert (manifest.transceiver, manifest.time_scale) == ("400g-osfp-dr4", 1000)
    assert manifest.links is not None and manifest.links["rate_bytes_per_s"] == 50e6
    assert (manifest.links["delay_s"] > 0) != bool(manifest.links["delay_note"])
    assert {row["host"] for row in manifest.ranks} == {"host0", "host1", "host2"}
    assert len(summary) == 20 and set(summary["num_wrong_elements"]) == {0}


def test_every_collective_is_right_on_the_fabric_and_its_bytes_are_counted(tmp_path: Path) -> None:
    everything = "collectives=[" + ",".join(collective.value for collective in Collective) + "]"
    sizes = ["sizes.list_bytes=[1MiB]", "timing.num_iterations=3", "emulation.time_scale=100"]
    status, said = run([*EMULATED, "emulation.num_hosts=3", everything, *sizes], tmp_path)
    assert status == 0, said
    _, summary = only_run(tmp_path)
    assert set(summary["collective"]) == {collective.value for collective in Collective}
    assert set(summary[summary["collective"] != "barrier"]["num_wrong_elements"]) == {0}
    # Large messages: headers, acknowledgements and a little more, but no other schedule than the one derived.
    known = summary[(summary["message_bytes"] > 2**19) & summary["fabric_bytes_per_rank"].notna()]
    assert {"all_reduce", "all_gather", "all_to_all", "send_recv"} <= set(known["collective"])
    rings = known[known["collective"].isin(["all_reduce", "all_gather", "all_to_all", "send_recv"])]
    excess = rings["counted_fabric_bytes_per_rank"] / rings["fabric_bytes_per_rank"]
    assert ((excess > 0.99) & (excess < 1.15)).all(), rings[["point_id", "counted_fabric_bytes_per_rank"]]


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("{kind: late_rank, rank: 1, delay_s: 0.2}", "late rank 1"),
        ("{kind: stall, rank: 2, iteration: 9, duration_s: 1}", "single stall"),
    ],
)
def test_an_injected_fault_is_named(fault: str, finding: str, tmp_path: Path) -> None:
    """Far above what a busy machine does by itself; how small they may be is for benchmarks/stragglers.py."""
    command = [*EMULATED, "emulation.num_hosts=3", "collectives=all_reduce", f"emulation.faults=[{fault}]"]
    status, said = run([*command, "sizes.list_bytes=[64KiB]", "timing.num_iterations=21"], tmp_path)
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert str(summary["finding"].iloc[0]).startswith(finding)
    assert manifest.links is not None and manifest.links["faults"][0]["kind"] == finding.replace(
        "late rank 1", "late_rank"
    ).replace("single stall", "stall")
    assert "Ranks stood out" in said


def test_small_messages_never_show_an_efficiency(sweep: tuple[Path, str]) -> None:
    _, summary = only_run(sweep[0])
    small = summary[summary["message_bytes"] <= 512 * 1024]
    assert small["efficiency"].isna().all() and small["predicted_time_s"].isna().all()
    assert small["warnings"].str.contains("emulation_bucket").all()


def test_long_messages_cross_the_shaped_link_and_stay_below_its_ceiling(sweep: tuple[Path, str]) -> None:
    """Far above the link would mean another path; far below, another limit. The exact error is no test's business."""
    _, summary = only_run(sweep[0])
    long = summary[summary["message_bytes"] > 2**22]
    assert (long["efficiency"] < 1.005).all() and (long["efficiency"] > 0.2).all()
    ring = long[long["collective"] == "all_reduce"].iloc[0]
    assert ring["ceiling_busbw_gbytes_per_s"] == pytest.approx(0.0500, rel=0.05)
    assert set(long["bound_by"]) <= {"optics", "backend", "unknown"}
    assert long["fabric_bytes_per_rank"].notna().all()


def test_the_user_sees_table_sentences_and_both_scales(sweep: tuple[Path, str]) -> None:
    said = sweep[1]
    for words in (
        "all_reduce",
        "at full",
        "bound by",
        "400 Gb/s slowed 1000 times",
        "Large messages are limited",
    ):
        assert words in said, words
    assert (sweep[0] / "runs" / "latest" / "busbw.png").is_file()


def test_several_ranks_of_a_host_share_its_link(tmp_path: Path) -> None:
    overrides = ["emulation.num_hosts=2", "emulation.ranks_per_host=2", "collectives=all_reduce"]
    status, said = run(
        [*EMULATED, *overrides, "sizes.list_bytes=[6MiB]", "timing.num_iterations=6"], tmp_path
    )
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert [row["host"] for row in manifest.ranks] == ["host0", "host0", "host1", "host1"]
    # A ring in rank order leaves each host once: 2 (N - 1) / N x S over two ranks.
    assert summary["fabric_bytes_per_rank"].iloc[0] == pytest.approx(1.5 * 6 * 2**20 / 2)
    assert 0.2 < summary["efficiency"].iloc[0] < 1.005


def carried(folder: Path) -> dict[str, list[dict[str, int]]]:
    """What the links of the one run below ``folder`` have carried."""
    content: dict[str, list[dict[str, int]]] = json.loads(
        (folder / "runs" / "latest" / CARRIED).read_text(encoding="utf-8")
    )
    return content


def test_traffic_takes_the_rails_that_the_model_says(tmp_path: Path) -> None:
    """Per call S on each rail for its own group. gloo's ring hands on to the rank before: over all 4 ranks 1.5 S leave host 0
    from rank 0 by rail 0, and host 1 from rank 2 by rail 1, that of rank 1 on the lower host."""
    fabric = ["emulation.num_hosts=2", "emulation.ranks_per_host=2", "emulation.ports_per_host=2"]
    buckets = ["emulation.bucket_bytes=131072", "emulation.time_scale=400"]
    fault = "emulation.faults=[{kind: slow_rail, rail: 1, host: 0, rate_fraction: 0.5}]"
    points = ["groups=[world,rail]", "collectives=all_reduce", "sizes.list_bytes=[4MiB]"]
    status, said = run([*EMULATED, *fabric, *buckets, *points, fault, "timing.num_iterations=4"], tmp_path)
    assert status == 0, said
    manifest, summary = only_run(tmp_path)
    assert set(summary["group"]) == {"world", "rail/0", "rail/1"}
    assert set(summary["num_wrong_elements"]) == {0}
    assert manifest.links is not None and manifest.links["faults"][0]["rail"] == 1
    sent = {(port["host"], port["rail"]): port["sent_bytes"] for port in carried(tmp_path)["ports"]}
    for busy, other in (((0, 0), (0, 1)), ((1, 1), (1, 0))):
        # S + 1.5 S over S and 2 x 2 buckets of S / 32: what empties the buckets goes round the other way.
        assert 2.0 < sent[busy] / sent[other] < 2.5, sent


def test_a_ring_crosses_the_spine_once_for_each_leaf(tmp_path: Path) -> None:
    """Two leaves of two hosts: half of what hosts send in a ring in rank order."""
    fabric = ["emulation.num_hosts=4", "emulation.hosts_per_leaf=2", "emulation.oversubscription=2"]
    points = ["collectives=all_reduce", "sizes.list_bytes=[2MiB]", "timing.num_iterations=3"]
    status, said = run([*EMULATED, *fabric, *points, "emulation.time_scale=400"], tmp_path)
    assert status == 0, said
    _, summary = only_run(tmp_path)
    assert set(summary["num_wrong_elements"]) == {0}
    found = carried(tmp_path)
    sent_bytes = sum(port["sent_bytes"] for port in found["ports"])
    assert len(found["uplinks"]) == 2
    assert sum(uplink["up_bytes"] for uplink in found["uplinks"]) == pytest.approx(sent_bytes / 2, rel=0.1)
    for up, down in (("up_bytes", "down_bytes"), ("down_bytes", "up_bytes")):
        assert found["uplinks"][0][up] == pytest.approx(found["uplinks"][1][down], rel=0.01)


def test_lost_packets_are_counted_and_nothing_is_wrong(tmp_path: Path) -> None:
    fault = "emulation.faults=[{kind: loss, host: 1, loss_ratio: 0.01}]"
    points = ["collectives=all_reduce", "sizes.list_bytes=[1MiB]", "timing.num_iterations=6"]
    status, said = run(
        [*EMULATED, "emulation.num_hosts=2", "emulation.mtu_bytes=1500", fault, *points], tmp_path
    )
    assert status == 0, said
    _, summary = only_run(tmp_path)
    assert set(summary["num_wrong_elements"]) == {0}
    whole, lossy = carried(tmp_path)["ports"]
    assert "lost_packets" not in whole
    arrived, lost = lossy["arrived_packets"], lossy["lost_packets"]
    assert abs(lost - 0.01 * arrived) < 6 * (0.01 * arrived) ** 0.5 and lost > 0
    assert lossy["arrived_bytes"] / arrived <= 1500, (
        "segments are cut before they leave, so that one is lost at a time"
    )


def namespaces_in_use() -> set[str]:
    """Network namespaces of all processes that we may look at."""
    found = set()
    for process in psutil.pids():
        try:
            found.add(str(Path(f"/proc/{process}/ns/net").readlink()))
        except OSError:
            continue
    return found


LONG = [*EMULATED, "collectives=all_reduce", "emulation.num_hosts=2", "sizes.list_bytes=[4KiB,8MiB]"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_parent(number: signal.Signals, tmp_path: Path) -> None:
    before = namespaces_in_use()
    process = start([*LONG, "timing.num_iterations=500"], tmp_path)
    ranks = ranks_of(process.pid, 2)
    wait_for_points(tmp_path, 1)
    assert namespaces_in_use() - before
    process.send_signal(number)
    status, said = finish(process, timeout_s=30)
    assert status == (-signal.SIGKILL if number is signal.SIGKILL else 130), said
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (
        any(r.is_running() for r in ranks) or namespaces_in_use() - before
    ):
        time.sleep(0.05)
    assert not any(rank.is_running() for rank in ranks)
    assert not namespaces_in_use() - before
    manifest, summary = only_run(tmp_path)
    assert len(summary) >= 1, "what was finished is readable"
    assert manifest.status == ("running" if number is signal.SIGKILL else "interrupted")


def test_a_rank_killed_on_a_host_ends_the_run(tmp_path: Path) -> None:
    process = start([*LONG, "timing.num_iterations=500"], tmp_path)
    ranks = ranks_of(process.pid, 2)
    wait_for_points(tmp_path, 1)
    ranks[1].kill()
    status, said = finish(process, timeout_s=30)
    assert status == 3, said
    manifest, _ = only_run(tmp_path)
    assert (manifest.status, manifest.status_reason) == ("failed", "rank 1 was killed by SIGKILL")


def without_user_namespaces(command: list[str], folder: Path) -> tuple[int, str]:
    """Run inside a user namespace that may not make further ones, as some distributions set up every user."""
    off = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    return run(["unshare", "--user", "--map-root-user", "sh", "-c", off, "sh", *command], folder)


def test_where_namespaces_are_off_auto_falls_back_and_names_the_setting(tmp_path: Path) -> None:
    status, said = without_user_namespaces(
        [*LINERATE, "collectives=all_reduce", "sizes.list_bytes=[4KiB]", "timing.num_iterations=6"], tmp_path
    )
    assert status == 0, said
    notes = [line for line in said.splitlines() if line.startswith("linerate: ")]
    assert len(notes) == 1 and "user.max_user_namespaces" in notes[0] and "sysctl -w" in notes[0]
    manifest, summary = only_run(tmp_path)
    assert manifest.launcher == "local" and summary["ceiling_busbw_gbytes_per_s"].isna().all()


def test_where_namespaces_are_off_explicit_emulation_is_exit_2(tmp_path: Path) -> None:
    status, said = without_user_namespaces(EMULATED, tmp_path)
    assert status == 2 and "user.max_user_namespaces" in said and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_an_ordinary_user_needs_no_root(tmp_path: Path) -> None:
    """In a user namespace that maps us to user 1000 we hold no capability, as an ordinary user does."""
    ordinary = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    _, capabilities = run([*ordinary, "grep", "CapEff", "/proc/self/status"], tmp_path)
    assert int(capabilities.split()[1], 16) == 0, capabilities
    sizes = ["collectives=all_reduce", "sizes.list_bytes=[4KiB]", "timing.num_iterations=6"]
    status, said = run([*ordinary, *EMULATED, *sizes], tmp_path)
    assert status == 0, said
    manifest, _ = only_run(tmp_path)
    assert (manifest.status, manifest.launcher) == ("complete", "emulated")


def test_records_hold_the_configuration_they_were_made_with(sweep: tuple[Path, str]) -> None:
    manifest = json.loads((sweep[0] / "runs" / "latest" / "manifest.json").read_text())
    assert manifest["config"]["emulation"]["num_hosts"] == 3
    samples = pd.read_parquet(sweep[0] / "runs" / "latest" / "samples.parquet")
    assert len(samples) == 20 * 3 * 7 and (samples["duration_s"] > 0).all()
