"""The verbs that do not measure: what they print, what they refuse, and that they stay light."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from bench.forecast import COLUMNS


def test_predict_gives_the_ceiling_of_a_known_fabric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """16 DGX H100 with 400G and RoCEv2: ring busbw is 8 ports x 50 GB/s x 4096/4178, all_to_all that x (N-1)/(N-8)/8."""
    out = tmp_path / "p.csv"
    overrides = ["transceiver=400g-osfp-dr4", "fabric=dgx_h100", "fabric.num_hosts=16", "transport=roce_v2"]
    assert main(["predict", *overrides, "sizes.list_bytes=[1GiB]", "--out", str(out)]) == 0
    rows = {row["collective"]: row for row in csv.DictReader(out.open())}
    line = 50 * 4096 / 4178
    assert float(rows["all_reduce"]["ceiling_busbw_gbytes_per_s"]) == pytest.approx(8 * line)
    assert float(rows["all_to_all"]["ceiling_busbw_gbytes_per_s"]) == pytest.approx(line * 127 / 120)
    assert float(rows["send_recv"]["ceiling_busbw_gbytes_per_s"]) == pytest.approx(line)
    for row in rows.values():
        low, expected, high, most = (
            float(row[f"{name}busbw_gbytes_per_s"])
            for name in ("predicted_low_", "predicted_", "predicted_high_", "ceiling_")
        )
        assert low < expected < high <= most * (1 + 1e-9)
    assert rows["all_reduce"]["bound_by"] == "optics" and rows["all_reduce"]["also_bound_by"] == "nic"
    assert list(rows["all_reduce"]) == list(COLUMNS)
    assert "16 hosts" in capsys.readouterr().out


def test_predict_without_a_word_is_about_the_emulated_fabric(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict"]) == 0
    shown = capsys.readouterr().out
    assert "400g-osfp-dr4" in shown and "1/1000" in shown


def test_other_optics_buy_nothing_where_the_adapter_binds(tmp_path: Path) -> None:
    ceilings = []
    for name in ("400g-osfp-dr4", "800g-osfp-dr8", "1600g-osfp-2xdr4"):
        out = tmp_path / f"{name}.csv"
        overrides = [f"transceiver={name}", "fabric=dgx_h100", "fabric.num_hosts=4", "collectives=all_reduce"]
        overrides += ["fabric.lane_gbps=200"]  # a cage that takes all of them
        assert main(["predict", *overrides, "sizes.list_bytes=[1GiB]", "--out", str(out)]) == 0
        row = next(csv.DictReader(out.open()))
        ceilings.append((float(row["ceiling_busbw_gbytes_per_s"]), row["bound_by"]))
    assert ceilings[0] == ceilings[1], "a twin-port 800G module is two ports of 400G"
    assert ceilings[2] == (ceilings[0][0], "nic")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "fabric=dgx_h100"], "transceiver="),
        (["predict", "fabric=dgx_h100", "transceiver=400g-osfp-dr4"], "fabric.num_hosts"),
        (["predict", "--out", "/nowhere/p.csv"], "/nowhere/p.csv"),
        (["predict", "transceiver=400g"], "400g-osfp"),
        (["catalog", "900g"], "900g"),
        (["catalog", "--rate", "900"], "--rate 900"),
        (["predict", "transceiver=400g-osfp-dr4", "link.length_m=600"], "reaches 500 m"),
        (["run", "transceiver=400g-osfp-dr4", "link.length_m=600"], "reaches 500 m"),
        (["run", "transceiver=400g-osfp-dr4", "link.far=400g-qsfpdd-fr4"], "each fibre pair"),
        (["doctor"], "doctor"),
        (["report", "no/such/run"], "no/such/run"),
        (["compare", "no/such/run", "nor/this"], "no/such/run"),
        (["gate", "no/such/run", "--ceiling", "0.9"], "no/such/run"),
        (["import", "no/such.log"], "no/such.log"),
        (["ab", "--a", "", "--b", "sizes=nope", "sizes=quick"], "nope"),
        (["ab", "--a", "", "--b", "", "--starts", "0"], "--starts"),
        (["run", "--multirun", "seed=1"], "--multirun"),
    ],
)
def test_bad_input_is_exit_2_and_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err and shown.err.count("\n") <= 2 and not shown.out


def test_catalog_lists_and_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog"]) == 0
    assert "62 entries" in capsys.readouterr().out
    assert main(["catalog", "800g", "LPO", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in entries] == ["800g-osfp-dr8-lpo"]
    assert entries[0]["sources"]


def test_the_configuration_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--cfg", "job", "seed=7"]) == 0
    assert "seed: 7" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["catalog"], ["predict"], ["run", "--cfg", "job"]])
def test_verbs_that_do_not_measure_never_import_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "sys.exit(10 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
