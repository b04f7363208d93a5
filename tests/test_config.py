"""Configuration: every option composes, survives JSON, and every mistake is one readable line."""

import dataclasses
import itertools
from pathlib import Path

import pytest

from bench import catalog
from bench.compose import as_yaml, compose
from bench.config import BenchConfig
from bench.link import link_findings
from bench.link_config import LinkConfig

OPTIONS = [
    f"{group}={name}" for group in ("launcher", "fabric", "sizes", "timing") for name in catalog.names(group)
] + [
    "transceiver=400g-osfp-dr4",
    "transceiver=400g-qsfpdd-sr4.2",
    "transceiver=unknown",
    "link.far=800g-osfp-dr8",
    "link.medium=om4",
    "link.pre_fec_ber=2e-9",
]


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
    ("link.far=400g-osfp-dr5", ["link.far", "400g-osfp-dr4", "does not exist"]),
    ("link.far=nowhere/mine.yaml", ["link.far", "no such file"]),
    ("link.far=auto", ["link.far", "null"]),
    ("link.far=7", ["link.far", "linerate catalog"]),
    ("link.far={nominal_rate_gpbs: 400}", ["link.far", "nominal_rate_gpbs"]),
    ("link.medium=OM2", ["link.medium", "OM2", "OM3, OM4, OM5"]),
    ("link.medium=3", ["link.medium", "SMF"]),
    ("link.length_m=0", ["link.length_m", "above 0"]),
    ("link.length_m=nan", ["link.length_m", "null"]),
    ("link.length_m=500m", ["link.length_m", "500m"]),
    ("link.lenght_m=500", ["link.length_m"]),
    ("link.fec=' '", ["link.fec", "null"]),
    ("link.pre_fec_ber=0", ["link.pre_fec_ber", "3/N"]),
    ("link.pre_fec_ber=1.5e-254", ["link.pre_fec_ber", "1.5e-254", "3/N"]),
    ("link.pre_fec_ber=0.6", ["link.pre_fec_ber", "0.5"]),
    ("link.pre_fec_ber=-1e-9", ["link.pre_fec_ber", "0.5"]),
    ("link.error_floor_ber=1", ["link.error_floor_ber"]),
    ("link.margin_db=30", ["link.margin_db", "-25 to 25"]),
    ("link.margin_db=nan", ["link.margin_db"]),
    ("link.loss_ratio=1", ["link.loss_ratio", "below 1"]),
    ("link.loss_ratio=-0.1", ["link.loss_ratio", "below 1"]),
    ("link.rtt_us=0", ["link.rtt_us", "above 0"]),
    ("link.congestion_control=''", ["link.congestion_control", "null"]),
    ("link=null", ["link"]),
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
    groups = ("launcher", "transceiver", "fabric", "sizes", "timing", "link", "emulation")
    assert all(f"{key}:" in text for key in groups)


DR4 = "transceiver=400g-osfp-dr4"
LINK = [
    "link.far=800g-osfp-dr8",
    "link.medium=OS2",
    "link.length_m=90",
    "link.fec='RS(544,514)'",
    "link.pre_fec_ber=2e-9",
    "link.margin_db=1.5",
    "link.error_floor_ber=5e-10",
    "link.loss_ratio=1e-6",
    "link.rtt_us=12",
    "link.congestion_control=dcqcn",
]


def test_a_link_that_is_described_in_full_survives_json() -> None:
    config = compose([DR4, *LINK])
    assert config.link.far == catalog.transceiver("800g-osfp-dr8")
    assert (config.link.medium, config.link.length_m, config.link.fec) == ("SMF", 90.0, "RS(544,514)")
    again = BenchConfig.from_json(config.to_json())
    assert again == config and again.sha256() == config.sha256()
    assert link_findings(again) == link_findings(config) == []


def test_a_link_that_nobody_describes_changes_nothing() -> None:
    """And a configuration of before there was one is still read."""
    config = compose([DR4])
    assert config.link == LinkConfig()
    assert set(dataclasses.asdict(config.link).values()) == {None}
    assert link_findings(config) == []
    older = config.to_json()
    del older["link"]
    assert BenchConfig.from_json(older) == config


def test_no_entry_of_the_catalog_is_refused_while_nothing_is_said_about_the_link() -> None:
    configs = [compose([]), compose(["fabric=dgx_h100", "fabric.lane_gbps=null"])]
    for config, name in itertools.product(configs, catalog.names("transceiver")):
        config.transceiver = catalog.transceiver(name)
        link_findings(config)


IMPOSSIBLE = [
    ([DR4, "link.length_m=600"], ["600", "reaches 500 m", "linerate catalog --rate 400"]),
    ([DR4, "link.far=400g-qsfpdd-fr4"], ["400GBASE-DR4", "400GBASE-FR4", "each fibre pair"]),
    ([DR4, "link.medium=OM4"], ["link.medium is OM4", "single-mode"]),
    ([DR4, "link.fec=Off"], ["link.fec", "PAM4"]),
    (["link.far=400g-osfp-dr4", "link.length_m=600"], ["reaches 500 m"]),
    (["transceiver=800g-osfp-dr4", "fabric=dgx_h100", "fabric.lane_gbps=100"], ["200 Gb/s", "fabric.lane_gbps"]),
    ([DR4, "link.length_m=1000", "link.rtt_us=5"], ["link.rtt_us is 5", "6.671 us"]),
    (["link.pre_fec_ber=1e-12", "link.error_floor_ber=1e-9"], ["better than its floor"]),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "words"), IMPOSSIBLE, ids=str)
def test_a_link_that_cannot_be_is_refused_before_anything_starts(
    overrides: list[str], words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:
        compose(overrides)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.count("\n") <= 1


def test_findings_that_refuse_nothing_are_handed_out() -> None:
    slot = ["fabric=dgx_h100", "fabric.nic_gbps=800", "transceiver=800g-osfp-dr4", "fabric.lane_gbps=200"]
    texts = [finding.text for finding in link_findings(compose(slot))]
    assert len(texts) == 1 and "460.8 Gb/s" in texts[0]
    assert any(
        "NVIDIA: 100 m" in finding.text for finding in link_findings(compose([DR4, "link.length_m=300"]))
    )


def test_ports_of_unequal_rates_are_checked_each() -> None:
    rails = [DR4, "fabric=dgx_h100", "fabric.rail_gbps=[400,400,400,400,400,400,400,200]"]
    (finding,) = link_findings(compose(rails))
    assert "200 Gb/s" in finding.text


def test_optics_that_are_settled_later_are_checked_then() -> None:
    """transceiver=auto names none, so nothing is refused until it stands for some."""
    config = compose(["link.length_m=600"])
    config.transceiver = catalog.transceiver(catalog.EMULATED_DEFAULT)
    with pytest.raises(ValueError, match="reaches 500 m"):
        link_findings(config)


def test_the_far_end_may_be_a_file_of_the_users_own(tmp_path: Path) -> None:
    """The configuration holds the module, so that a run can be repeated without the file."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("nominal_rate_gbps: 400\nsources: {note: {document: my data sheet, grade: B}}\n")
    config = compose([DR4, f"link.far={mine}"])
    mine.unlink()
    far = BenchConfig.from_json(config.to_json()).link.far
    assert (far.name, far.nominal_rate_gbps) == ("mine", 400.0)
