"""`linerate catalog` with filters: what passes, what is left out because nobody says, and what to do when nothing is left."""

import itertools
import json

import pytest

from bench import catalog
from bench.cli import main
from bench.model.optics.selection import criteria, select, why_nothing

ENTRIES = list(catalog.transceivers())


def names(**asked: str) -> set[str]:
    return {entry.name for entry in select(ENTRIES, criteria(**asked)).entries}


@pytest.mark.parametrize(
    ("asked", "among", "not_among"),
    [
        ({"rate": "800"}, "800g-osfp-dr8", "400g-osfp-dr4"),
        ({"rate": "1.6T"}, "1600g-osfp-2xdr4", "800g-osfp-dr8"),
        ({"rate": "400 Gb/s"}, "400g-osfp-dr4", "800g-osfp-dr8"),
        ({"min_reach": "2km"}, "400g-qsfpdd-fr4", "400g-qsfpdd-dr4"),
        ({"min_reach": "500"}, "400g-qsfpdd-dr4", "400g-osfp-sr4"),
        ({"min_reach": "70", "fibre": "om3"}, "100g-qsfp28-sr4", "800g-osfp-sr8"),
        ({"min_reach": "100", "fibre": "om4"}, "800g-osfp-sr8", "800g-osfp-vr8"),
        ({"min_reach": "120", "fibre": "om5"}, "400g-qsfpdd-sr4.2", "800g-osfp-sr8"),
        ({"fibre": "OS2"}, "400g-osfp-dr4", "400g-osfp-sr4"),
        ({"fibre": "copper"}, "800g-osfp-dac", "800g-osfp-aoc"),
        ({"form_factor": "qsfpdd"}, "400g-qsfpdd-dr4", "800g-qsfpdd-2xlr4"),
        ({"form_factor": "OSFP"}, "400g-osfp-dr4", "800g-osfp-dr4"),
        ({"form_factor": "OSFP224"}, "800g-osfp-dr4", "800g-osfp-dr8"),
        ({"fec": "kr4"}, "100g-qsfp28-sr4", "100g-qsfp28-er4"),
        ({"fec": "hamming"}, "800g-osfp-fr4", "800g-osfp-fr4-500"),
        ({"max_power": "9"}, "400g-osfp-dr4", "800g-osfp-dr8"),
        ({"max_power": "17W"}, "800g-osfp-dr8", "1600g-osfp-2xdr4"),
        ({"cooling": "liquid"}, "1600g-cpo-quantumx", "400g-qsfpdd-dr4"),
        ({"kind": "LPO"}, "800g-osfp-dr8-lpo", "800g-osfp-dr8"),
    ],
)
def test_a_filter_keeps_and_leaves_out(asked: dict[str, str], among: str, not_among: str) -> None:
    found = names(**asked)
    assert among in found and not_among not in found


ONES = [
    {"rate": "800"}, {"min_reach": "500"}, {"fibre": "smf"}, {"form_factor": "osfp"}, {"fec": "kp4"}, {"max_power": "15"},
    {"cooling": "air"}, {"kind": "retimed"},
]  # fmt: skip


@pytest.mark.parametrize("one", ONES, ids=str)
@pytest.mark.parametrize("other", ONES, ids=str)
def test_filters_together_keep_what_each_alone_keeps(one: dict[str, str], other: dict[str, str]) -> None:
    """Except reach, which is taken on the fibre where one is named: that is no more than on any fibre."""
    both = names(**one, **other) if one.keys() != other.keys() else names(**one)
    assert both <= names(**one) & names(**other)
    if {"fibre", "min_reach"} != one.keys() | other.keys():
        assert both == names(**one) & names(**other)


@pytest.mark.parametrize("asked", ONES, ids=str)
def test_every_entry_passes_fails_or_does_not_say(asked: dict[str, str]) -> None:
    (criterion,) = criteria(**asked)
    answers = [criterion.holds(entry) for entry in ENTRIES]
    found = select(ENTRIES, [criterion])
    assert (answers.count(True), answers.count(None)) == (len(found.entries), found.num_unknown)
    assert answers.count(True) and answers.count(False)


def test_a_wider_filter_keeps_more() -> None:
    for key, values in (("max_power", ("5", "9", "15", "30")), ("min_reach", ("2000", "500", "100", "3"))):
        kept = [names(**{key: value}) for value in values]
        assert all(a < b for a, b in itertools.pairwise(kept)), key


def test_what_nobody_says_is_left_out_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    silent = sum(
        entry.nominal_rate_gbps == 800 and (entry.power is None or entry.power.power_w_max is None)
        for entry in ENTRIES
    )
    assert silent
    assert main(["catalog", "--rate", "800", "--max-power", "15"]) == 0
    shown = capsys.readouterr().out
    assert (
        f"{silent} entries left out because their sources do not say: {silent} for --max-power 15." in shown
    )
    assert "800g-osfp-dr8-lpo" in shown and "800g-osfp-dr8-lro" not in shown


def test_words_filters_and_json_go_together_in_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "dr8", "--rate", "800", "lpo", "--json", "smf"]) == 0
    shown = capsys.readouterr()
    assert [entry["name"] for entry in json.loads(shown.out)] == ["800g-osfp-dr8-lpo"]
    assert main(["catalog", "--max-power", "1", "--json"]) == 0
    shown = capsys.readouterr()
    assert {entry["power"]["power_w_max"] for entry in json.loads(shown.out)} == {0.1}
    assert "left out" in shown.err, "the number goes where it does not disturb a reader of JSON"


def test_nothing_found_says_what_each_filter_alone_would_leave(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "coherent", "--fibre", "om4", "--rate", "800"]) == 2
    shown = capsys.readouterr()
    assert not shown.out and shown.err.count("\n") == 1
    coherent = sum("coherent" in (entry.kind or "") for entry in ENTRIES)
    assert f"the word 'coherent' leaves {coherent}" in shown.err
    assert f"--rate 800 leaves {len(names(rate='800'))}" in shown.err
    assert f"--fibre OM4 leaves {len(names(fibre='om4'))}" in shown.err


def test_a_filter_that_nothing_passes_says_what_there_is() -> None:
    assert "(there are: 100, 200, 400, 800, 1600)" in why_nothing(ENTRIES, criteria(rate="900"))
    assert "OSFP-XD, OSFP1600" in why_nothing(ENTRIES, criteria(form_factor="sfp"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "fast"], ["--rate 'fast'", "for example 800"]),
        (["--rate", "nan"], ["--rate", "above 0"]),
        (["--rate", "0"], ["--rate", "above 0"]),
        (["--min-reach", "-5"], ["--min-reach", "500"]),
        (["--min-reach", "2mi"], ["--min-reach", "km"]),
        (["--max-power", "10kW"], ["--max-power", "15"]),
        (["--fibre", "OM2"], ["--fibre", "OM2", "no module", "OM3"]),
        (["--fibre", "string"], ["--fibre", "copper"]),
        (["--kind", ""], ["--kind is empty"]),
        (["--fec", "kp5"], ["--fec kp5 leaves 0", "RS(544,514) KP4"]),
        (["--colour", "aqua"], ["--colour", "--help"]),
    ],
)
def test_what_cannot_be_read_is_exit_2_and_one_line(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalog", *arguments]) == 2
    shown = capsys.readouterr()
    assert not shown.out and shown.err.count("\n") == 1
    assert all(word in shown.err for word in words), shown.err
