"""The wheel: built from the checkout, installed elsewhere, run in a folder that knows nothing of the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.processes import ROOT, only_run, run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("linerate-*.whl"))


def test_configuration_lies_inside_the_package_and_tests_stay_out(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"analysis/report/templates/page.html.j2", "analysis/notebooks/first_look.ipynb"} <= set(names)
    assert "bench/conf/config.yaml" in names and "bench/conf/transceiver/800g-osfp-dr8.yaml" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bench", "analysis"}


def test_it_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    with zipfile.ZipFile(wheel) as archive:  # a pure wheel is installed by unpacking it
        archive.extractall(target)
    # A foreign bench/ and conf/ in the working directory must not be picked up.
    (work / "bench").mkdir()
    (work / "bench" / "__init__.py").write_text("raise SystemExit('the wrong bench was imported')")
    (work / "conf.py").write_text("raise SystemExit('the wrong conf was imported')")
    where = [sys.executable, "-P", "-c", "import bench; print(bench.__file__)"]
    status, said = run(where, work, PYTHONPATH=str(target))
    assert status == 0 and said.startswith(str(target)), said
    entry = [sys.executable, "-P", "-c", "import sys; from bench.cli import main; sys.exit(main())"]
    sizes = ["collectives=all_reduce", "sizes.list_bytes=[4KiB]", "timing.num_iterations=6"]
    status, said = run([*entry, "run", "launcher=local", *sizes], work, PYTHONPATH=str(target))
    assert status == 0, said
    manifest, summary = only_run(work)
    assert manifest.status == "complete" and len(summary) == 1
    status, said = run([*entry, "report", "runs/latest"], work, PYTHONPATH=str(target))
    assert status == 0 and "<svg" in (work / "runs" / "latest" / "report.html").read_text(encoding="utf-8"), (
        said
    )
    status, said = run([*entry, "catalog", "800g", "dr8"], work, PYTHONPATH=str(target))
    assert status == 0 and "800g-osfp-dr8" in said
