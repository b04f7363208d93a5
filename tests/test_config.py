"""Configuration: every option composes, survives JSON, and every mistake is one readable line."""

import itertools
from pathlib import Path

import pytest

from bench import catalog
from bench.compose import as_yaml, compose
from bench.config import BenchConfig
from bench.points import points, skipped

OPTIONS = [
    f"{group}={name}" for group in ("launcher", "fabric", "sizes", "timing") for name in catalog.names(group)
] + ["transceiver=400g-osfp-dr4", "transceiver=400g-qsfpdd-sr4.2", "transceiver=unknown"]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_survives_json(option: str) -> None:
    config = compose([option])
    again = BenchConfig.from_json(config.to_json())
    assert again == config
    assert again.sha256() == config.sha256()


def test_every_transceiver_composes_to_what_the_catalog_reads() -> None:
    for name in ("100g-qsfp28-sr4", "800g-osfp-dr8", "1600g-osfp-2xdr4", "400g-qsfpdd-zr"):
        assert compose([f"transceiver={name}"]).transceiver == catalog.transceiver(name)


MISTAKES = [
    ("transceiver=400g-osfp-dr5", ["400g-osfp-dr4", "does not exist"]),
    ("transceiver=nowhere/mine.yaml", ["no such file"]),
    ("fabric=dgx_h1oo", ["dgx_h100"]),
    ("launcher=emulatd", ["emulated"]),
    ("backend=ncll", ["nccl"]),
    ("backend=mpi", ["not available"]),
    ("collectives=[all_redcue]", ["all_reduce"]),
    ("algorithms={all_to_all: [pairwize]}", ["pairwise"]),
    ("dtype=float23", ["float32"]),
    ("timing.num_iteration=3", ["timing.num_iterations"]),
    ("timing.num_iterations=0", ["timing.num_iterations", "at least 1"]),
    ("timing.num_iterations=many", ["timing.num_iterations", "many"]),
    ("sizes.min_bytes=0", ["sizes.min_bytes", "at least 1 byte"]),
    ("sizes.min_bytes=-8", ["sizes.min_bytes"]),
    ("sizes.max_bytes=8MiX", ["sizes.max_bytes", "8MiX"]),
    ("sizes.factor=1", ["sizes.factor"]),
    ("emulation.time_scale=0", ["emulation.time_scale"]),
    ("emulation.num_hosts=1", ["emulation.num_hosts", "2 to 250"]),
    ("emulation.faults=[loss]", ["emulation.faults"]),
    ("fabric.oversubscription=2", ["hosts_per_leaf"]),
    ("foo=1", ["foo"]),
    ("+foo=1", ["+foo=1"]),
    ("~seed", ["~seed"]),
    ("seed=1,2", ["several runs"]),
    ("quick", ["key=value"]),
    ("timing.timeout_s=inf", ["timing.timeout_s"]),
    ("emulation.fibre_m=nan", ["emulation.fibre_m"]),
    ("emulation.bucket_bytes=8589934592", ["emulation.bucket_bytes"]),
    ("seed=99999999999999999999", ["seed"]),
    ("launcher.kind=banana", ["launcher", "emulated"]),
    ("hydra.run.dir=x", ["Hydra"]),
    ("passes=[]", ["passes"]),
]


@pytest.mark.parametrize(("override", "words"), MISTAKES)
def test_a_mistake_names_the_key_and_what_is_allowed(override: str, words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        compose([override])
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert len(message) < 600 and message.count("\n") <= 2


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("nominal_rate_gbps: 25\nsources: {note: {document: my data sheet, grade: B}}\n")
    config = compose([f"transceiver={mine}"])
    assert (config.transceiver.name, config.transceiver.nominal_rate_gbps) == ("mine", 25.0)
    mine.write_text("nominal_rate_gpbs: 25\n")
    with pytest.raises(ValueError, match="nominal_rate_gpbs"):
        compose([f"transceiver={mine}"])


def test_sizes_grow_by_the_factor_and_end_where_asked() -> None:
    config = compose(["sizes.min_bytes=1KiB", "sizes.max_bytes=1MiB", "sizes.factor=2"])
    sizes = config.sizes.message_bytes(0)
    assert (sizes[0], sizes[-1]) == (1024, 2**20)
    assert all(b == 2 * a for a, b in itertools.pairwise(sizes))


def test_points_are_rounded_as_nccl_tests_does_and_never_empty() -> None:
    config = compose(["sizes.list_bytes=[8, 100, 1000]"])
    found = points(config, 3, 0)
    assert {p.message_bytes for p in found if p.collective.value == "all_to_all"} == {96, 996}
    assert {p.message_bytes for p in found if p.collective.value == "send_recv"} == {8, 100, 1000}
    assert len({p.point_id for p in found}) == len(found)


def test_what_torch_has_not_is_skipped_with_a_reason() -> None:
    config = compose(["placement=in_place"])
    assert {p.collective.value for p in points(config, 2, 2**20)} == {"all_reduce"}
    assert any("all_to_all in_place" in reason for reason in skipped(config, 2))
    assert any("send_recv" in reason for reason in skipped(compose([]), 1))


def test_printed_configuration_names_every_group() -> None:
    text = as_yaml(compose([]))
    assert all(
        f"{key}:" in text for key in ("launcher", "transceiver", "fabric", "sizes", "timing", "emulation")
    )
