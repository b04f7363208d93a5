"""The architecture is a test: every import below bench/ and analysis/ is read, and the layer table is enforced.

The table is that of the docstring in bench/__init__.py. A module may import its own layer and the layers it lists;
what it may not take from outside is listed beside it. Imports inside functions count as well, because a layer that
needs another only sometimes still needs it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Layer:
    """Modules that stand on the same level.

    Attributes:
        members: modules, and packages with everything below them.
        below: names of the layers that may be imported.
        forbidden: packages from outside that may not.
    """

    name: str
    members: tuple[str, ...]
    below: tuple[str, ...]
    forbidden: frozenset[str]


CONFIGURATION: Final = frozenset({"hydra", "omegaconf"})
TABLES: Final = frozenset({"pandas", "pyarrow"})
FIGURES: Final = frozenset({"matplotlib"})
TORCH: Final = frozenset({"torch"})
NAMESPACES: Final = frozenset({"pyroute2"})
LAUNCHER_ONLY: Final = frozenset({"mpi4py"}) | NAMESPACES

LAYERS: Final = (
    Layer("package", ("bench",), (), TORCH | CONFIGURATION | TABLES | FIGURES | LAUNCHER_ONLY),
    Layer("exits", ("bench.exits",), (), TORCH | CONFIGURATION | TABLES | FIGURES | LAUNCHER_ONLY),
    Layer("model", ("bench.model",), (), TORCH | CONFIGURATION | TABLES | FIGURES | LAUNCHER_ONLY),
    Layer(
        "record",
        (
            "bench.record",
            "bench.summary",
            "bench.run_folder",
            "bench.catalog",
            "bench.nccl_log",
            "bench.published",
            "bench.fit_file",
            "bench.reported",
            "bench.point_warnings",
            "bench.environment",
            "bench.importers",
            "bench.point_key",
            "bench.floor_file",
            "bench.bmwg",
        ),
        ("model",),
        TORCH | CONFIGURATION | FIGURES | LAUNCHER_ONLY,
    ),
    Layer("measure", ("bench.measure",), ("model", "exits"), CONFIGURATION | TABLES | FIGURES | NAMESPACES),
    Layer(
        "config",
        (
            "bench.config",
            "bench.compose",
            "bench.mpi_algorithms",
            "bench.emulation_config",
            "bench.library_config",
            "bench.link_config",
        ),
        ("model", "record"),
        TORCH | FIGURES | LAUNCHER_ONLY,
    ),
    Layer(
        "run",
        (
            "bench.launch",
            "bench.points",
            "bench.runner",
            "bench.describe",
            "bench.manifest",
            "bench.provenance",
            "bench.console",
            "bench.findings",
            "bench.forecast",
            "bench.forecast_view",
            "bench.listing",
            "bench.sweep",
            "bench.capable",
            "bench.joining",
            "bench.counters",
            "bench.nccl_table",
            "bench.calibrating",
            "bench.expect",
            "bench.fit_view",
            "bench.glass",
            "bench.glass_view",
            "bench.fitting",
            "bench.link",
            "bench.validation",
            "bench.importing",
            "bench.foreign_records",
            "bench.import_view",
            "bench.ab",
            "bench.gating",
            "bench.gate_view",
        ),
        ("model", "exits", "record", "measure", "config"),
        CONFIGURATION | FIGURES,
    ),
    Layer("analysis", ("analysis",), ("model", "record"), TORCH | CONFIGURATION | LAUNCHER_ONLY),
    Layer(
        "verbs",
        ("bench.cli", "bench.options", "bench.result_verbs", "bench.session", "bench.__main__"),
        ("model", "exits", "record", "measure", "config", "run", "analysis"),
        CONFIGURATION | FIGURES,
    ),
)
BY_NAME: Final = {layer.name: layer for layer in LAYERS}


@dataclass(frozen=True)
class Import:
    """One imported module, and whether importing the module that says so already imports it."""

    name: str
    line: int
    is_at_module_level: bool


def _modules() -> dict[str, Path]:
    """Every module of the project by its dotted name; a package is its ``__init__``."""
    found = {}
    for package in ("bench", "analysis"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES: Final = _modules()


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _layer_of(module: str) -> Layer | None:
    for layer in LAYERS:
        for member in layer.members:
            if module == member or (member != "bench" and _is_below(module, member)):
                return layer
    return None


def _is_for_type_checkers(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    test = node.test
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _names(node: ast.AST, module: str, path: Path) -> list[str]:
    """Modules that one statement imports. ``from package import thing`` is the module ``package.thing`` if there is one."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=base, names=names, level=level):
            if level:
                package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                start = package[: len(package) - level + 1]
                base = ".".join([*start, *([base] if base else [])])
            assert base is not None
            return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base for alias in names]
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [name]
    return []


def _walk(node: ast.AST, is_at_module_level: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        is_deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_run = is_at_module_level and not is_deferred and not _is_for_type_checkers(child)
        yield child, is_run
        yield from _walk(child, is_run)


def _imports(module: str) -> list[Import]:
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return [
        Import(name, getattr(node, "lineno", 0), is_run)
        for node, is_run in _walk(tree, is_at_module_level=True)
        for name in _names(node, module, path)
    ]


def _at_import(module: str) -> set[str]:
    """Everything that ``import module`` imports, the packages it lies in included, as far as the project's own go."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if "." in name:
            todo.append(name.rpartition(".")[0])
        if name in MODULES:
            todo.extend(found.name for found in _imports(name) if found.is_at_module_level)
    return seen


every_module = pytest.mark.parametrize("module", MODULES)


@every_module
def test_every_module_belongs_to_a_layer(module: str) -> None:
    assert _layer_of(module) is not None, (
        f"{MODULES[module].relative_to(ROOT)} belongs to no layer: enter it in the table of bench/__init__.py's "
        "docstring and in LAYERS of tests/test_architecture.py"
    )


@every_module
def test_modules_import_only_their_own_layer_and_those_below(module: str) -> None:
    layer = _layer_of(module)
    assert layer is not None, f"{module} belongs to no layer"
    for found in _imports(module):
        if found.name.split(".")[0] not in ("bench", "analysis"):
            continue
        other = _layer_of(found.name)
        where = f"{MODULES[module].relative_to(ROOT)}:{found.line}"
        assert other is not None, f"{where} imports {found.name}, which belongs to no layer"
        assert other.name in (layer.name, "package", *layer.below), (
            f"{where}: the layer {layer.name!r} imports {found.name} of the layer {other.name!r}; "
            f"it may import {', '.join(layer.below) or 'no other layer'}"
        )


@every_module
def test_modules_leave_packages_of_other_layers_alone(module: str) -> None:
    layer = _layer_of(module)
    assert layer is not None, f"{module} belongs to no layer"
    for found in _imports(module):
        assert found.name.split(".")[0] not in layer.forbidden, (
            f"{MODULES[module].relative_to(ROOT)}:{found.line}: the layer {layer.name!r} imports {found.name}"
        )


@every_module
def test_mpi_is_imported_by_the_launcher_only_and_only_when_it_is_used(module: str) -> None:
    """Importing mpi4py.MPI initialises MPI, so it happens in ranks that MPI started and nowhere else."""
    for found in _imports(module):
        if _is_below(found.name, "mpi4py"):
            where = f"{MODULES[module].relative_to(ROOT)}:{found.line}"
            is_allowed = _is_below(module, "bench.launch") or module == "bench.measure.mpi_ranks"
            assert is_allowed, f"{where} imports mpi4py, which only launchers and the MPI ranks do"
            assert not found.is_at_module_level, f"{where} imports mpi4py outside a function"


@every_module
def test_analysis_is_imported_by_the_verbs_only_and_only_when_they_are_used(module: str) -> None:
    for found in _imports(module):
        if _is_below(found.name, "analysis") and not _is_below(module, "analysis"):
            where = f"{MODULES[module].relative_to(ROOT)}:{found.line}"
            assert module in ("bench.session", "bench.result_verbs"), f"{where} imports {found.name}"
            assert not found.is_at_module_level, f"{where} imports {found.name} outside a function"


def test_no_import_cycles() -> None:
    graph = {
        module: {
            found.name
            for found in _imports(module)
            if found.is_at_module_level and found.name in MODULES and found.name != module
        }
        for module in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")


def test_layers_have_no_cycle() -> None:
    """The table itself: what a layer may import must not be able to import it back."""
    TopologicalSorter({layer.name: set(layer.below) for layer in LAYERS}).prepare()
    assert all(below in BY_NAME for layer in LAYERS for below in layer.below)


def test_the_measuring_loop_knows_no_torch() -> None:
    """So that it runs with a fake clock; neither itself nor anything that it imports."""
    assert not any(_is_below(found.name, "torch") for found in _imports("bench.measure.loop"))
    brought = sorted(name for name in _at_import("bench.measure.loop") if _is_below(name, "torch"))
    assert not brought, f"importing bench/measure/loop.py imports {brought}"


def test_the_command_line_starts_without_torch() -> None:
    """`--help` and the verbs that do not measure must not wait for seconds until torch is there."""
    program = (
        "import sys; import bench.cli; assert callable(bench.cli.main); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "torch" not in done.stdout.split(), "importing bench.cli imports torch"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.distributed as dist", [("torch.distributed", True)]),
        ("from bench.model import units", [("bench.model.units", True)]),
        ("from bench.model.units import GIGA", [("bench.model.units", True)]),
        ("from bench import __version__", [("bench", True)]),
        ("from . import units", [("bench.model.units", True)]),
        ("from .units import GIGA", [("bench.model.units", True)]),
        ("from ..catalog import names", [("bench.catalog", True)]),
        ("def f():\n    import torch", [("torch", False)]),
        ("class A:\n    import torch", [("torch", True)]),
        ("try:\n    import torch\nexcept ImportError:\n    pass", [("torch", True)]),
        ("if TYPE_CHECKING:\n    import torch", [("torch", False)]),
        ("import importlib\nimportlib.import_module('torch')", [("importlib", True), ("torch", True)]),
    ],
)
def test_imports_are_found(source: str, expected: list[tuple[str, bool]]) -> None:
    """The walk itself, as if from a module of bench/model."""
    module, path = "bench.model.fabric", MODULES["bench.model.fabric"]
    found = [
        (name, is_run)
        for node, is_run in _walk(ast.parse(source), True)
        for name in _names(node, module, path)
    ]
    assert found == expected
