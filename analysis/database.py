"""`Database`: duckdb over files of samples that stay where they are, and nothing else of the machine."""

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from analysis.sample_files import TYPES, SampleFile, sentence

_SQL_TYPES: Final = {
    "point_id": "VARCHAR",
    "rank": "INTEGER",
    "iteration": "INTEGER",
    "start_s": "DOUBLE",
    "duration_s": "DOUBLE",
}
"""`TYPES` as duckdb calls them."""


class Database:
    """A view ``samples`` over files, tables beside it, and queries that can reach no other file and change no setting.

    Files come in by links in a temporary folder, which also takes what does not fit into memory. So no path of the user
    stands in SQL, and quotes and wild cards in one do not matter.
    """

    def __init__(self, files: Mapping[str, Sequence[SampleFile]], memory_bytes: int) -> None:
        """``files``: of each run, by its run_id."""
        import duckdb

        self._folder = tempfile.TemporaryDirectory(prefix="linerate-")
        folder = Path(self._folder.name)
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_bytes // 1000}KB",
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
            "python_enable_replacements": False,  # variables of the caller are no tables
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._connection = duckdb.connect(":memory:", config=settings)
        links: dict[SampleFile, Path] = {}
        for file in (file for of_run in files.values() for file in of_run):
            links[file] = folder / f"{len(links)}.parquet"
            links[file].symlink_to(file.path)
        self._connection.execute(f"SET allowed_paths = {_texts(links.values())}")
        extra = _extra_columns(list(links))
        try:
            self._make_view(files, links, extra)
        except duckdb.Error:  # some file is damaged where pyarrow did not look
            usable = {run_id: self._usable(of_run, links, extra) for run_id, of_run in files.items()}
            self._make_view(usable, links, extra)
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _make_view(
        self,
        files: Mapping[str, Sequence[SampleFile]],
        links: Mapping[SampleFile, Path],
        extra: Mapping[str, bool],
    ) -> None:
        selects = [
            _select(run_id, alike[0].columns, [links[file] for file in alike], extra)
            for run_id, of_run in files.items()
            for alike in _alike(of_run)
        ]
        self._connection.execute(
            f"CREATE VIEW samples AS {' UNION ALL BY NAME '.join(selects) or _nothing()}"
        )

    def _usable(
        self, files: Sequence[SampleFile], links: Mapping[SampleFile, Path], extra: Mapping[str, bool]
    ) -> list[SampleFile]:
        """Those that duckdb can open; a warning for each of the others, whose samples are in no query."""
        import duckdb

        found = []
        for file in files:
            try:
                self._connection.execute(f"DESCRIBE {_select('', file.columns, [links[file]], extra)}")
                found.append(file)
            except duckdb.Error as error:
                told = sentence(error).partition(" LINE ")[0]
                warnings.warn(f"{file.path} is damaged ({told}); queries go without it", stacklevel=2)
        return found

    def close(self) -> None:
        self._connection.close()
        self._folder.cleanup()

    def add(self, name: str, frame: pd.DataFrame) -> None:
        """A copy of a frame as a table."""
        # Through Arrow, since not every duckdb knows every kind of text that pandas has.
        self._connection.register("_frame", pa.Table.from_pandas(frame, preserve_index=False))
        self._connection.execute(f"CREATE TABLE {quoted(name)} AS SELECT * FROM _frame")
        self._connection.unregister("_frame")

    def ask(self, query: str) -> pd.DataFrame:
        """Raises ValueError with what duckdb says against a query."""
        import duckdb

        try:
            result = self._connection.sql(query)
            found: pd.DataFrame = pd.DataFrame() if result is None else result.df()
        except duckdb.Error as error:
            raise ValueError(f"the query fails: {error}") from error
        return found


def text(value: str) -> str:
    """A text in SQL; a zero, which none can hold, becomes a space."""
    return "'" + value.replace("\0", " ").replace("'", "''") + "'"


def quoted(name: str) -> str:
    """The name of a column or table in SQL, whatever characters are in it."""
    return '"' + name.replace("\0", " ").replace('"', '""') + '"'


def _texts(paths: Iterable[Path]) -> str:
    return f"[{', '.join(text(str(path)) for path in paths)}]"


def _alike(files: Sequence[SampleFile]) -> list[list[SampleFile]]:
    """Files with the same columns together: a run that was cut off has one for each point."""
    found: dict[Any, list[SampleFile]] = {}
    for file in files:
        key = tuple((field.name, str(field.type)) for field in file.schema)
        found.setdefault(key, []).append(file)
    return list(found.values())


def _extra_columns(files: Sequence[SampleFile]) -> dict[str, bool]:
    """Columns that files have beside `TYPES`, and whether they are of one type everywhere. Nested ones are left out."""
    own = {"run_id", *TYPES}
    kinds: dict[str, set[str]] = {}
    for file in files:
        for field in file.schema:
            if field.name.casefold() not in own and not pa.types.is_nested(field.type):
                kinds.setdefault(field.name, set()).add(str(field.type))
    return {name: len(types) == 1 for name, types in kinds.items()}


def _select(run_id: str, columns: Sequence[str], links: Sequence[Path], extra: Mapping[str, bool]) -> str:
    """Rows of some files in the columns of the view: what they lack is NULL, what they have beside them comes behind."""
    expressions = [f"{text(run_id)} AS run_id"]
    for name, kind in _SQL_TYPES.items():
        value = f"TRY_CAST({name} AS {kind})"
        if name not in columns:
            value = "0" if name == "rank" else f"CAST(NULL AS {kind})"
        elif name == "duration_s":
            value = f"CASE WHEN {value} > 0 AND {value} < 'Infinity'::DOUBLE THEN {value} END"
        expressions.append(f"{value} AS {name}")
    for name, is_one_type in extra.items():
        if name in columns:
            value = quoted(name) if is_one_type else f"CAST({quoted(name)} AS VARCHAR)"
            expressions.append(f"{value} AS {quoted(name)}")
    return f"SELECT {', '.join(expressions)} FROM read_parquet({_texts(links)}, hive_partitioning = false)"


def _nothing() -> str:
    cells = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in _SQL_TYPES.items())
    return f"SELECT '' AS run_id, {cells} LIMIT 0"
