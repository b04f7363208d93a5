"""`RunFolder`: runs/<run_id>/ on disk. One writer; every file is complete or absent, and records are synced as they come."""

import contextlib
import datetime
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.record import NewerVersionError, Record, RunManifest
from bench.summary import summary_csv

MANIFEST: Final = "manifest.json"
RECORDS: Final = "records.jsonl"
SAMPLES: Final = "samples.parquet"
SUMMARY: Final = "summary.csv"
_PARTS: Final = "samples.parts"


def new_run_id() -> str:
    """Time of the start in UTC and a few random digits, so that two runs of one second differ."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"


def check_writable(run_dir: Path) -> None:
    """Make the folder that run folders go into, and prove that it can be written to.

    Raises:
        ValueError: it cannot; says which folder and why.
    """
    probe = run_dir / f".linerate-{os.getpid()}"
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        probe.mkdir()
        (probe / "probe").write_bytes(b"\0" * 4096)
    except OSError as error:
        raise ValueError(
            f"run_dir {run_dir} cannot be written to ({error.strerror}); give another with run_dir=/a/folder"
        ) from error
    finally:
        shutil.rmtree(probe, ignore_errors=True)


class RunFolder:
    """One run on disk, for the one process that writes it, or for those that read it afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls, run_dir: Path, run_id: str, manifest: RunManifest, *, is_newest: bool = True
    ) -> "RunFolder":
        """Make runs/<run_id> and its manifest, and point runs/latest at it where it ``is_newest``.

        Raises:
            FileExistsError: another run has taken that id.
        """
        folder = cls(run_dir / run_id)
        folder.path.mkdir(parents=True)
        folder.write_manifest(manifest)
        _sync_file(folder.path / RECORDS, b"")
        if not is_newest:
            return folder
        latest = run_dir / "latest"
        with contextlib.suppress(OSError):  # a file system without links: the run itself is not concerned
            fresh = run_dir / f".latest-{run_id}"
            fresh.symlink_to(run_id)
            fresh.replace(latest)
        return folder

    def write_manifest(self, manifest: RunManifest) -> None:
        _replace_file(self.path / MANIFEST, manifest.to_json().encode())

    def manifest(self) -> RunManifest:
        """Raises ValueError where it cannot be read; names the file."""
        path = self.path / MANIFEST
        try:
            return RunManifest.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"{path}: {' '.join(str(error).split())[:300]}") from error

    def append(
        self,
        record: Record,
        start_s: Sequence[Sequence[float | None]],
        duration_s: Sequence[Sequence[float]],
        ranks: Sequence[int] | None = None,
        iterations: Sequence[int] | None = None,
    ) -> None:
        """Add one finished point: its samples first, then the record that makes it count; both are synced.

        Shape: (num_ranks, num_samples) for both matrices, in seconds. ``ranks``: which ranks of the run the rows are;
        the first ones unless given. ``iterations``: the number of each sample, where some are left out. A start
        that nobody recorded is None.
        """
        if duration_s and duration_s[0]:
            self._append_samples(record, start_s, duration_s, ranks, iterations)
        with (self.path / RECORDS).open("ab") as stream:
            stream.write(record.to_line().encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _append_samples(
        self,
        record: Record,
        start_s: Sequence[Sequence[float | None]],
        duration_s: Sequence[Sequence[float]],
        ranks: Sequence[int] | None,
        iterations: Sequence[int] | None,
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = self.path / _PARTS
        parts.mkdir(exist_ok=True)
        num_ranks, num_samples = len(duration_s), len(duration_s[0])
        numbers = list(range(num_samples)) if iterations is None else list(iterations)
        names = list(range(num_ranks)) if ranks is None else list(ranks)
        table = pa.table(
            {
                "point_id": pa.array([record.point_id] * (num_ranks * num_samples), pa.string()),
                "rank": pa.array([rank for rank in names for _ in range(num_samples)], pa.int32()),
                "iteration": pa.array(numbers * num_ranks, pa.int32()),
                "start_s": pa.array([value for row in start_s for value in row], pa.float64()),
                "duration_s": pa.array([value for row in duration_s for value in row], pa.float64()),
            }
        )
        number = sum(1 for _ in parts.glob("*.parquet"))
        part = parts / f"{number:06d}.parquet"
        pq.write_table(table, part.with_suffix(".tmp"), compression="zstd")
        with part.with_suffix(".tmp").open("rb") as stream:
            os.fsync(stream.fileno())
        part.with_suffix(".tmp").replace(part)

    def write(self, name: str, text: str) -> None:
        """A file of the run, complete or absent."""
        _replace_file(self.path / name, text.encode())

    def add_skipped(self, reason: str) -> None:
        """Note in the manifest what turned out not to be measurable."""
        manifest = self.manifest()
        if reason not in manifest.skipped:
            manifest.skipped.append(reason)
            self.write_manifest(manifest)

    def records(self) -> list[Record]:
        """All finished points. A torn last line, as a full disk leaves it, is ignored.

        Raises:
            ValueError: a line before the last is damaged; says which.
        """
        found, damaged = self._read_records()
        num_lines = damaged[-1][2] if damaged else 0
        for number, text, _ in damaged:
            if number < num_lines:
                raise ValueError(text)
        return found

    def readable_records(self) -> tuple[list[Record], list[str]]:
        """All points that can be read, and a sentence for each line that cannot.

        Raises:
            ValueError: there is no file, or it was written by a newer version.
        """
        found, damaged = self._read_records()
        return found, [text for _, text, _ in damaged]

    def _read_records(self) -> tuple[list[Record], list[tuple[int, str, int]]]:
        """Records, and of each damaged line its number, a sentence, and how many lines there are."""
        path = self.path / RECORDS
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
        found, damaged = [], []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                found.append(Record.from_line(line.decode()))
            except NewerVersionError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            except ValueError as error:
                text = f"{path}, line {number}: {' '.join(str(error).split())[:300]}"
                damaged.append((number, text, len(lines)))
        return found, damaged

    def finish(self, *, status: str, reason: str | None, exit_status: int) -> None:
        """Join the sample parts, export summary.csv, and write how the run ended. May be called again."""
        self._join_parts()
        _replace_file(self.path / SUMMARY, summary_csv(self.records()).encode())
        manifest = self.manifest()
        manifest.status, manifest.status_reason, manifest.exit_status = status, reason, exit_status
        manifest.finished_utc = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.write_manifest(manifest)

    def _join_parts(self) -> None:
        parts = sorted((self.path / _PARTS).glob("*.parquet"))
        if not parts:
            return
        import pyarrow.parquet as pq

        target = self.path / SAMPLES
        temporary = target.with_suffix(".tmp")
        with contextlib.ExitStack() as stack:
            writer: Any = None
            for part in parts:
                table = pq.read_table(part)
                if writer is None:
                    writer = stack.enter_context(
                        pq.ParquetWriter(temporary, table.schema, compression="zstd")
                    )
                writer.write_table(table)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(target)
        shutil.rmtree(self.path / _PARTS, ignore_errors=True)


def _replace_file(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    _sync_file(temporary, content)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _sync_file(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
