"""Configuration: every option composes, survives JSON, and every mistake is one readable line."""

import itertools
from pathlib import Path

import pytest

from bench import catalog
from bench.compose import as_yaml, compose
from bench.config import BenchConfig

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
    ("passes=[latencies]", ["passes", "latency", "bandwidth"]),
    ("collectives=[]", ["collectives", "all_gather", "barrier"]),
    ("algorithms={all_reduce: [pairwise]}", ["algorithms.all_reduce", "native"]),
    ("reduce_op=mean", ["reduce_op", "avg"]),
    ("device=gpu", ["device", "cuda"]),
    ("placement=inplace", ["placement", "in_place"]),
    ("groups=[]", ["groups", "world"]),
    ("groups=[rails]", ["groups", "'rails'", "rail", "size:K"]),
    ("groups=['size:0']", ["groups", "size:0", "size:K"]),
    ("all_to_allv.skew=-1", ["all_to_allv.skew", "0 (even)"]),
    ("all_to_allv.matrix=nowhere.csv", ["all_to_allv.matrix", "nowhere.csv", "cannot be read"]),
    ("all_to_allv.matrix=[[1,2],[3]]", ["all_to_allv.matrix", "square"]),
    ("all_to_allv.matrix=[[1,2],[3,much]]", ["all_to_allv.matrix, row 2", "much", "a number"]),
    ("all_to_allv.matrix=[1,2]", ["all_to_allv.matrix", "rows"]),
    ("nccl.algorithm=rings", ["nccl: algorithm", "ring"]),
    ("nccl.protocol=ll64", ["nccl: protocol", "ll128"]),
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


def test_traffic_of_an_all_to_allv_from_rows_from_a_file_and_from_a_skew(tmp_path: Path) -> None:
    """The configuration holds the numbers, so that a run can be repeated without the file."""
    mine = tmp_path / "mine.csv"
    mine.write_text("# to\n1,3\n0 2\n")
    with pytest.raises(ValueError) as caught:
        compose(["all_to_allv.matrix=[[1,3],[0,2]]"]).all_to_allv.traffic(3)
    assert "all_to_allv.matrix has 2 rows, and 3 ranks take part" in str(caught.value)
    rows, file = (compose([f"all_to_allv.matrix={text}"]) for text in ("[[1,3],[0,2]]", str(mine)))
    assert rows.all_to_allv.traffic(2) == file.all_to_allv.traffic(2)
    assert BenchConfig.from_json(file.to_json()).all_to_allv.matrix == [[1.0, 3.0], [0.0, 2.0]]
    assert compose(["all_to_allv.skew=0"]).all_to_allv.traffic(4).weights == ((0.25,) * 4,) * 4
    mine.write_text("1,3\n0,two\n")
    with pytest.raises(ValueError, match=r"mine\.csv, line 2: '0,two' is not a list of numbers"):
        compose([f"all_to_allv.matrix={mine}"])


def test_printed_configuration_names_every_group() -> None:
    text = as_yaml(compose([]))
    assert all(
        f"{key}:" in text for key in ("launcher", "transceiver", "fabric", "sizes", "timing", "emulation")
    )
