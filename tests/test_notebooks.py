"""Notebooks: they run on runs of every kind, show what the run holds, and are kept without results."""

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from analysis.figures import Drawn, busbw
from analysis.load import load_run
from analysis.notebook_data import base_and_new, log_path, run_path
from analysis.notebook_view import Sentence, figure, table
from bench.importing import import_log
from bench.record import Record
from tests.fake_runs import SIZES, fake_record, noisy_points, write_run
from tests.processes import LINERATE, ROOT, SMALL, run

FOLDER: Final = ROOT / "analysis" / "notebooks"
OF_RUNS: Final = ("first_look", "healthy_fabric", "model_and_measurement")
ALL: Final = (*OF_RUNS, "compare_transceivers", "nccl_logs")
NBFORMAT: Final[Any] = nbformat
"""It has no types."""

MOST_LINES: Final = 10
"""Of one cell; a longer one is code that belongs into analysis."""

LOG: Final = """\
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)
     1048576        262144     float    none      -1   100.00   10.49    9.18       0   125.00    8.39    7.34     N/A
    16777216       4194304     float    none      -1  1.8e+07    0.00    0.00       0  1.8e+07    0.00    0.00     N/A
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 4.13
#
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work") / "runs"


@pytest.fixture(scope="module")
def log(runs: Path) -> Path:
    path = runs.parent / "alltoall.log"
    title = "# Collective test starting: alltoall_perf\n"
    devices = "".join(
        f"#  Rank {n:2d} Group  0 Pid  77{n} on node0 device {n} [0x0{n}] H100\n" for n in range(8)
    )
    path.write_text(f"{title}# Using devices\n{devices}{LOG}")
    return path


@pytest.fixture(scope="module")
def sick(runs: Path) -> Path:
    """Four hosts, of which the last is slow with all its partners; pairs were measured."""
    groups = {f"size:2/{n}": pair for n, pair in enumerate(([0, 1], [2, 3]))}
    groups |= {f"stride:2/{n}": pair for n, pair in enumerate(([0, 2], [1, 3]))}
    records: list[Record] = []
    for size, durations in noisy_points(3).items():
        finding = "slow rank 3" if size == max(SIZES) else None
        more: dict[str, Any] = {"finding": finding, "counted_bytes_per_rank": 1.51 * size}
        records.append(fake_record(durations, message_bytes=size, **more))
    for name, pair in groups.items():
        durations = [(0.7 if 3 in pair else 0.35) * (1 + 0.01 * (n % 3)) for n in range(21)]
        point = f"all_reduce.native.float32.sum.in_place.latency.{max(SIZES)}.{name}"
        records.append(fake_record(durations, point_id=point, group=name, num_ranks=2, num_hosts=2))
    return write_run(runs, "sick", records, groups=groups)


def _odd_runs(runs: Path, log: Path) -> Iterator[tuple[str, Path]]:
    """Runs that lack what most have."""
    yield "imported", import_log(log, run_dir=runs).path
    yield "without points", write_run(runs, "empty", [], status="running")
    wrong = fake_record([0.3] * 21, num_wrong_elements=5, status="wrong_data")
    hung = fake_record([], message_bytes=2048, status="timeout", stop_reason="timeout", first_call_s=None)
    yield "nothing right", write_run(runs, "wrong", [wrong, hung], status="failed")
    barrier = fake_record(
        [1e-3] * 21, collective="barrier", message_bytes=0, reduce_op=None, predicted_time_s=None
    )
    yield "barrier", write_run(runs, "barrier", [barrier])
    again = [fake_record([0.3] * 21, attempt=attempt) for attempt in (0, 1)]
    yield "two attempts", write_run(runs, "again", again)
    one_rank: dict[str, Any] = {
        "predicted_time_s": None,
        "ceiling_time_s": None,
        "predicted_bound": None,
        "num_hosts": 1,
    }
    alone = fake_record([0.1] * 21, num_ranks=1, algorithm="ring/simple", **one_rank)
    yield (
        "one rank",
        write_run(runs, "alone", [alone], num_ranks=1, num_hosts=1, launcher="local", links=None),
    )


def read(name: str) -> Any:
    return NBFORMAT.read(FOLDER / f"{name}.ipynb", as_version=4)


def execute(name: str, folder: Path, probe: str, **environment: str | Path) -> Any:
    """Run a notebook in a kernel of its own, then the expression ``probe``, whose value comes back."""
    notebook = read(name)
    asked = f"import json; print(json.dumps({probe}, default=lambda value: value.item()))"
    notebook.cells.append(NBFORMAT.v4.new_code_cell(asked))
    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    # Only these name what a notebook reads, whatever the shell has that runs the tests.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LINERATE_")}
    client.execute(env=kept | {key: str(value) for key, value in environment.items()})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert all(cell.outputs for cell in _shown(notebook)), "a cell that shows something shows nothing"
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    return {"pictures": pictures, **json.loads(outputs[-1]["text"])}


def _shown(notebook: Any) -> list[Any]:
    """Cells that end in an expression."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in code if isinstance(ast.parse(cell.source).body[-1], ast.Expr)]


def walk(name: str) -> None:
    """Every cell of a notebook in this process, which is faster than a kernel; tables are rendered as Jupyter would.

    Pictures take most of the time. They are drawn in a kernel by the tests below, and by those of figures.
    """
    namespace: dict[str, Any] = {}
    for cell in read(name).cells:
        if cell.cell_type != "code":
            continue
        body = ast.parse(cell.source).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), cell.id, "exec"), namespace)  # noqa: S102 - our own notebooks
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), cell.id, "eval"), namespace)
            assert isinstance(value, Drawn) or getattr(value, "_repr_html_", value.__repr__)(), cell.id


# One kernel each: what a user does.


def test_first_look_shows_every_point_of_a_real_run(tmp_path: Path) -> None:
    command = [*LINERATE, "launcher=local", "collectives=[all_reduce,ping_pong]", *SMALL]
    status, said = run(command, tmp_path)
    assert status == 0, said
    below = tmp_path / "analysis" / "notebooks"
    below.mkdir(parents=True)
    found = execute(
        "first_look", below, "{'points': len(run.summary), 'wrong': len(not_right), 'hosts': len(hosts)}"
    )
    summary = load_run(tmp_path / "runs" / "latest").summary
    assert (found["points"], found["wrong"], found["hosts"]) == (len(summary), 0, 2)
    assert found["pictures"] == 4


def test_healthy_fabric_finds_the_slow_host(sick: Path, tmp_path: Path) -> None:
    probe = (
        "{'worst': pairs.loc[pairs['busbw_gbytes_per_s'].idxmin(), ['host_a', 'host_b']].tolist(), 'point': point, 'pairs': len(pairs),"
        " 'over': counted['times_as_many'].tolist(), 'caption': heat_host.draw(pairs, title='').caption}"
    )
    found = execute("healthy_fabric", tmp_path, probe, LINERATE_RUN=sick)
    assert "host3" in found["worst"] and "host3 is slow with all its partners" in found["caption"]
    assert found["pairs"] == 4
    assert found["point"].endswith(str(max(SIZES)))
    assert found["over"] == pytest.approx([1.51 / 1.5])
    assert found["pictures"] == 4


def test_compare_transceivers_finds_what_was_made_slower(runs: Path, tmp_path: Path) -> None:
    for arm, slower in (("a", 1.0), ("b", 1.3)):
        for start in range(5):
            points = noisy_points(10 * start + ord(arm), slower=slower)
            write_run(runs / "ab-20260101" / arm, f"{arm}{start}", points, transceiver=f"module {arm}")
    probe = (
        "{'verdicts': compared.frame['verdict'].tolist(), 'starts': compared.frame['num_new_starts'].tolist(),"
        " 'ratios': compared.frame['ratio'].tolist(), 'changed': [d.key for d in compared.changed],"
        " 'visible': visible['smallest_visible_change_s'].tolist(), 'expected': expected['predicted_ratio'].tolist()}"
    )
    found = execute("compare_transceivers", runs.parent, probe)
    assert found["verdicts"] == ["slower"] * len(SIZES)
    assert found["ratios"] == pytest.approx([1.3] * len(SIZES), rel=0.05)
    assert found["starts"] == [5] * len(SIZES) and found["changed"] == ["transceiver"]
    assert found["expected"] == [1] * len(SIZES), "the model knows of no difference between these modules"
    assert all(0 < value < np.inf for value in found["visible"])
    assert found["pictures"] == 4


def test_nccl_logs_keeps_every_reading_and_its_rounding(log: Path, tmp_path: Path) -> None:
    probe = (
        "{'readings': len(rows), 'unchecked': int((~checked['was_checked']).sum()), 'lines': lines_frame(path)['num_lines'].sum(),"
        " 'coarsest': coarse['printed_within_percent'].max(), 'ratio': both['in_over_out'].tolist(), 'ranks': rows['num_ranks'].tolist()}"
    )
    found = execute("nccl_logs", tmp_path, probe, LINERATE_LOG=log)
    assert found["readings"] == 4 and found["unchecked"] == 2
    assert found["lines"] == len(log.read_text().splitlines())
    assert found["coarsest"] == pytest.approx(100 * 1e6 / 1.8e7), "1.8e+07 us: from 17.5 to 18.5 s"
    assert found["ratio"] == pytest.approx([1.25, 1.0]) and found["ranks"] == [8] * 4
    assert found["pictures"] == 2


def test_model_and_measurement_knows_the_size_of_the_error(runs: Path, tmp_path: Path) -> None:
    path = write_run(runs, "rate", noisy_points(5, noise=0.001))
    probe = (
        "{'known': len(known), 'sizes': known['message_bytes'].tolist(), 'missing': missing_s.tolist(),"
        " 'bandwidth': fits['bandwidth_gbytes_per_s'].dropna().tolist()}"
    )
    found = execute("model_and_measurement", tmp_path, probe, LINERATE_RUN=path)
    assert found["known"] == len(SIZES)
    # Measured with 48 MB/s where 49.5 MB/s were predicted; the latency of 1 ms was.
    exact_s = [1.5 * size * (1 / 48e6 - 1 / 49.5e6) for size in found["sizes"]]
    assert found["missing"][-1] == pytest.approx(exact_s[-1], rel=0.05)
    assert found["bandwidth"][-1] == pytest.approx(0.048, rel=0.01)
    assert found["pictures"] == 2


# The rest in this process.


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_notebook_runs_to_its_end_on_odd_runs(
    name: str, runs: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what, path in _odd_runs(runs / name, log):
        monkeypatch.setenv("LINERATE_RUN", str(path))
        try:
            walk(name)
        except Exception as error:
            raise AssertionError(f"{name} on a run with {what}: {error!r}") from error


@pytest.mark.parametrize("name", ALL)
def test_a_notebook_is_kept_without_results(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook = NBFORMAT.reads(text, as_version=4)
    NBFORMAT.validate(notebook)
    assert (
        set(notebook.metadata) == {"kernelspec", "language_info"}
        and notebook.metadata.kernelspec.name == "python3"
    )
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z0-9-]+", one) for one in ids)
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        assert not cell.metadata
        assert not re.search(r"/(home|work|root|tmp|Users|mnt)/", cell.source), cell.id
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, cell.id
            assert len(cell.source.splitlines()) <= MOST_LINES, cell.id


@pytest.mark.parametrize("name", ALL)
def test_a_notebook_takes_its_code_from_analysis(name: str) -> None:
    for cell in read(name).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While), cell.id
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert all(module.split(".")[0] in ("analysis", "pandas", "numpy") for module in named), cell.id


def test_all_notebooks_are_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(ALL)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without runs, and no variable that names one."""
    for name in ("RUN", "BASE", "NEW", "LOG"):
        monkeypatch.delenv(f"LINERATE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_notebook_reads_is_found_from_folders_below(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_run(nowhere / "runs", "one", noisy_points(1))
    below = nowhere / "some" / "notebooks"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert run_path() == path
    monkeypatch.setenv("LINERATE_RUN", "runs/one")
    assert run_path().samefile(path)
    monkeypatch.setenv("LINERATE_BASE", "runs/one")
    assert [side.resolve() for side in base_and_new()] == [path, path]


def test_the_newest_experiment_is_compared(nowhere: Path) -> None:
    for name in ("ab-20260101T000000-ff", "ab-20260102T000000-00"):
        for arm in "ab":
            (nowhere / "runs" / name / arm).mkdir(parents=True)
    (nowhere / "runs" / "ab-20260103T000000-00" / "a").mkdir(parents=True)  # stopped before its first B
    newest = nowhere / "runs" / "ab-20260102T000000-00"
    assert base_and_new() == (newest / "a", newest / "b")


def test_what_is_missing_is_said_with_what_to_do(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no runs/latest in or above .*linerate run.*LINERATE_RUN"):
        run_path()
    with pytest.raises(ValueError, match=r"LINERATE_BASE and LINERATE_NEW are empty.*linerate ab"):
        base_and_new()
    with pytest.raises(ValueError, match="LINERATE_LOG is empty"):
        log_path()
    monkeypatch.setenv("LINERATE_NEW", str(nowhere))
    with pytest.raises(ValueError, match="LINERATE_BASE is empty"):
        base_and_new()
    monkeypatch.setenv("LINERATE_RUN", "runs/gone")
    with pytest.raises(ValueError, match="LINERATE_RUN is runs/gone, which is neither in"):
        run_path()
    monkeypatch.setenv("LINERATE_LOG", str(nowhere))
    with pytest.raises(ValueError, match="which is no file"):
        log_path()


def html_of(shown: Any) -> str:
    return str(shown.to_html())


def test_a_table_names_units_and_escapes_text() -> None:
    frame = pd.DataFrame(
        {
            "host": ["<script>alert(1)</script>"] * 2,
            "message_bytes": [8388608, 0],
            "time_s": [0.2545, np.nan],
            "busbw_gbytes_per_s": [0.0496, 49.6],
            "efficiency": [0.969, np.nan],
            "num_wrong": [2.0, np.nan],
            "ratio": [1e300, 1.23456],
        }
    )
    shown = html_of(table(frame))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", shown)
    script = "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert cells[:7] == [script, "8 MiB", "254 ms", "49.6 MB/s", "96.9%", "2", "1e+300"]
    assert cells[7:] == [script, "0 B", "", "49.6 GB/s", "", "", "1.235"]
    assert repr(table(frame.iloc[:0])) == "None."
    assert "The first 200 of 400 rows" in html_of(table(pd.concat([frame] * 200)))


def test_a_figure_of_nothing_is_a_sentence(runs: Path) -> None:
    path = write_run(runs, "nothing", [])
    shown = figure(busbw.draw, load_run(path).summary, title="")
    assert isinstance(shown, Sentence) and repr(shown).startswith("No figure: no point has a bandwidth")
