"""Tables of published measurements: what is read, and every mistake is one line that names it."""

import csv
from pathlib import Path

import pytest

from bench.model.collective import Collective
from bench.model.framing import Transport
from bench.model.schedule import Schedule
from bench.published import (
    COLUMNS,
    OWN_TABLE,
    SUPPLEMENT,
    TableRow,
    clusters_of,
    own_rows,
    read_table,
    transport_named,
)

HEADER = ",".join(COLUMNS)
RING = "a,H100,4,8,50,all_reduce,ring,370.5,healthy"
ONE_HOST = "b,A100,1,8,,all_reduce,ring,235,healthy"


def _table(folder: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
    return path


def _read(folder: Path, *lines: str, header: str = HEADER) -> list[TableRow]:
    return read_table(_table(folder, *lines, header=header))


# What is read


def test_a_row_in_si_units(tmp_path: Path) -> None:
    (row,) = _read(tmp_path, RING)
    found = row.measured
    assert (found.name, found.cluster, found.gpu, row.algorithm) == ("a", "a", "H100", "ring")
    assert (found.num_hosts, found.ranks_per_host, found.nic_bytes_per_s) == (4, 8, 50e9)
    assert (found.collective, found.schedule) == (Collective.all_reduce, Schedule.ring)
    assert found.busbw_bytes_per_s == 370.5e9
    assert found.is_healthy and found.transport is Transport.unknown


def test_one_host_needs_no_rate_of_the_network(tmp_path: Path) -> None:
    assert _read(tmp_path, ONE_HOST)[0].measured.nic_bytes_per_s is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_tables_of_spreadsheets(tmp_path: Path, encoding: str, newline: str) -> None:
    """With a byte order mark, their ends of line, empty lines, quoted cells and blanks around them."""
    path = tmp_path / "table.csv"
    lines = [HEADER, '"a, b", H100 ,4,8,50,all_reduce, ring ,370.5,healthy', "", ONE_HOST, ""]
    path.write_bytes(newline.join(lines).encode(encoding))
    first, second = read_table(path)
    assert (first.measured.name, first.measured.gpu, first.algorithm) == ("a, b", "H100", "ring")
    assert second.measured.name == "b"


def test_columns_in_any_order_and_more_of_them(tmp_path: Path) -> None:
    """Further columns are not needed; cells without a column are not looked at."""
    header = "remark,cluster," + ",".join(reversed(COLUMNS)) + ",transport"
    line = "none,site," + ",".join(reversed(RING.split(","))) + ",RoCE v2,and more"
    (row,) = _read(tmp_path, line, header=header)
    assert (row.measured.name, row.measured.cluster) == ("a", "site")
    assert row.measured.transport is Transport.roce_v2


@pytest.mark.parametrize(
    ("algorithm", "schedule"),
    [
        ("", None),
        ("NVLSTree", Schedule.nvlstree),
        ("CollNetChain", Schedule.sharp),
        ("a way of our own", None),
        ("p2p", None),  # not of an all_reduce
    ],
)
def test_algorithms(tmp_path: Path, algorithm: str, schedule: Schedule | None) -> None:
    """Empty ones are chosen; what has no closed form is kept as it was written."""
    (row,) = _read(tmp_path, RING.replace("ring", algorithm))
    assert (row.measured.schedule, row.algorithm) == (schedule, algorithm)


@pytest.mark.parametrize(
    ("text", "transport"),
    [
        ("H100 8xNDR IB", Transport.infiniband),
        ("A100 8xHDR", Transport.infiniband),
        ("infiniband", Transport.infiniband),
        ("2x100G RoCE", Transport.roce_v2),
        ("roce_v2", Transport.roce_v2),
        ("RoCEv2", Transport.roce_v2),
        ("MI355X pollara", Transport.roce_v2),
        ("p5 EFA", Transport.unknown),
        ("Slingshot 11", Transport.unknown),
        ("", Transport.unknown),
        ("IB here, RoCE there", Transport.unknown),
        ("distribution of tribes", Transport.unknown),  # words, not letters
    ],
)
def test_transports_of_free_descriptions(text: str, transport: Transport) -> None:
    assert transport_named(text) is transport


def test_a_description_is_read_where_there_is_no_column_for_it(tmp_path: Path) -> None:
    (row,) = _read(tmp_path, RING + ",8xNDR", header=HEADER + ",hardware")
    assert row.measured.transport is Transport.infiniband
    (row,) = _read(tmp_path, RING + ",8xNDR,RoCE", header=HEADER + ",hardware,transport")
    assert row.measured.transport is Transport.roce_v2
    (row,) = _read(tmp_path, RING.replace("a,", "h100-roce-4x8,", 1))
    assert row.measured.transport is Transport.roce_v2


# Mistakes


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    kept = [name for name in COLUMNS if name != column]
    with pytest.raises(ValueError) as error:
        _read(tmp_path, ",".join("1" for _ in kept), header=",".join(kept))
    assert f"has no column {column};" in str(error.value) and "table.csv" in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (RING.replace("370.5", "fast"), ["line 3", "busbw_gbytes_per_s", "'fast'", "10**9 byte/s"]),
        (RING.replace("370.5", ""), ["line 3", "busbw_gbytes_per_s", "''"]),
        (RING.replace("370.5", "nan"), ["line 3", "busbw_gbytes_per_s"]),
        (RING.replace("370.5", "inf"), ["line 3", "busbw_gbytes_per_s"]),
        (RING.replace("370.5", "-1"), ["line 3", "above 0"]),
        (RING.replace(",50,", ",0,"), ["line 3", "nic_gbytes_per_s_per_gpu", "'0'"]),
        (RING.replace(",50,", ",400G,"), ["line 3", "nic_gbytes_per_s_per_gpu", "'400G'"]),
        (RING.replace("H100,4,", "H100,four,"), ["line 3", "nodes", "'four'"]),
        (RING.replace("H100,4,", "H100,0,"), ["line 3", "nodes", "from 1"]),
        (RING.replace("H100,4,", "H100,2.5,"), ["line 3", "nodes", "whole number"]),
        (RING.replace("H100,4,8,", "H100,4,,"), ["line 3", "gpus_per_node", "''"]),
        (RING.replace("H100,4,8,", "H100,1,1,"), ["line 3", "2 or more"]),
        (RING.replace("all_reduce", "allreduce"), ["line 3", "'allreduce'", "all_reduce", "all_to_all"]),
        ("only a name", ["line 3", "collective is ''"]),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(tmp_path: Path, line: str, words: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        _read(tmp_path, ONE_HOST, line)
    assert all(word in str(error.value) for word in ["table.csv", *words]), error.value
    assert "\n" not in str(error.value)


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no rows"):
        _read(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("")
    with pytest.raises(ValueError, match="has no column name, gpu"):
        read_table(tmp_path / "table.csv")


def test_no_file_a_folder_and_no_text(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(ValueError, match=r"--table .* cannot be read"):
            read_table(path)
    (tmp_path / "binary.csv").write_bytes(HEADER.encode() + b"\n\xff\xfe\x00\n")
    with pytest.raises(ValueError, match=r"--table .*binary.csv cannot be read"):
        read_table(tmp_path / "binary.csv")


# linerate's own table


def test_every_own_row_is_known_and_has_a_source() -> None:
    for table in (OWN_TABLE, SUPPLEMENT):
        with table.open(encoding="utf-8-sig", newline="") as file:
            assert all(cells["source"] and cells["cluster"] for cells in csv.DictReader(file))
        assert {row.measured.classification for row in read_table(table)} <= {
            *("healthy", "pathological", "size_limited", "hardware_partly_assumed")
        }
    assert all(row.measured.schedule is not None for row in read_table(OWN_TABLE))
    names = [row.name for row in own_rows()]
    assert len(names) == len(set(names)) and sum(not row.is_supplement for row in own_rows()) == 80


def test_no_measurement_is_in_the_tables_under_two_clusters() -> None:
    """Or it would take part in its own prediction. Whole numbers may be equal by chance; they were rounded."""
    clusters: dict[object, set[str]] = {}
    for row in own_rows():
        figures = (row.num_hosts, row.ranks_per_host, row.collective, round(row.busbw_bytes_per_s))
        if round(row.busbw_bytes_per_s) % 10**9:
            clusters.setdefault(figures, set()).add(row.cluster)
    assert [names for names in clusters.values() if len(names) > 1] == []


def test_what_is_left_out_to_judge_a_row(tmp_path: Path) -> None:
    """The whole cluster of a row with the same name, or with the same figures under another."""
    known = own_rows()
    row = next(row for row in known if row.name == "h100-ib-8x8-allreduce-tuned")
    assert clusters_of(row, known) == {row.cluster}
    (renamed,) = _read(tmp_path, "mine,H100,8,8,50,all_reduce,,391.37,healthy")
    assert clusters_of(renamed.measured, known) == {row.cluster}
    (named,) = _read(tmp_path, "h100-ib-8x8-allreduce-tuned,H100,8,8,50,all_reduce,,1,healthy")
    assert clusters_of(named.measured, known) == {row.cluster}
    (other,) = _read(tmp_path, RING)
    assert clusters_of(other.measured, known) == frozenset()
