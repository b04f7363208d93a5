"""`read_log`: one file of any benchmark that is known, whatever wrote it and whatever stands around it."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.importers import nccl_json, osu, rccl_tables
from bench.importers.foreign import ForeignLog
from bench.importers.nccl_patterns import begins_nccl, is_nccl
from bench.importers.nccl_text import read_nccl_text
from bench.importers.osu_titles import read_title
from bench.importers.prefix import Line, decoded, stripped_lines
from bench.importers.redaction import redacted

MAX_LOG_BYTES: Final = 2**30
"""Unpacked. Text and its lines take about four times that in memory, and the longest logs known have 100 MB."""

NOT_RECOGNISED: Final = "not recognised"

_GZIP: Final = b"\x1f\x8b"
_OWN: Final = re.compile(r"\s*(?:#|\d|Out of bounds|Avg bus)")


def read_log(path: Path) -> ForeignLog:
    """What ``path`` holds; a file may be packed with gzip, also one that was cut off while it was written.

    Whatever the file holds, this returns: a log without tables where nothing is known in it.

    Raises:
        ValueError: the path is a folder, or the file is too large to be read at once.
        OSError: the file cannot be opened.
    """
    return read_content(content_of(path), path)


def content_of(path: Path) -> bytes:
    """The bytes of a log. A pipe is read as far as it goes, once.

    Raises:
        ValueError: the path is a folder, or the file is too large to be read at once.
        OSError: the file cannot be opened.
    """
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder; name the logs in it, for example {path}/*.log: every file becomes a run of its own"
        )
    if path.stat().st_size > MAX_LOG_BYTES:
        raise ValueError(_too_large(path))
    return path.read_bytes()


def read_content(raw: bytes, path: Path) -> ForeignLog:
    """What bytes hold, as `read_log` says; ``path`` is where they are from."""
    if raw.startswith(_GZIP):
        raw = _unpacked(raw, path)
    return read_text(decoded(raw))


def read_text(text: str) -> ForeignLog:
    """What the text of one file holds; what is shown of it is without secrets."""
    return redacted(_read_text(text))


def _read_text(text: str) -> ForeignLog:
    if nccl_json.is_json(text):
        return nccl_json.read_json(text)
    lines = stripped_lines(text)
    texts = [line.text for line in lines]
    if rccl_tables.is_rccl_csv(texts):
        return rccl_tables.read_rccl_csv(texts)
    has_osu, has_nccl = osu.is_osu(texts), is_nccl(texts)
    if has_osu and has_nccl:
        return _joined(
            [_shifted(_part(lines[begin:end], is_osu), begin) for begin, end, is_osu in _parts(texts)]
        )
    if has_osu:
        return osu.read_osu(texts)
    log = read_nccl_text(lines)
    return log if has_nccl else replace(log, format=NOT_RECOGNISED)


def _unpacked(raw: bytes, path: Path) -> bytes:
    """Every member of a gzip file, and of a damaged or cut one what can be unpacked."""
    parts: list[bytes] = []
    room = MAX_LOG_BYTES
    while raw:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(raw, room)
        except zlib.error:
            break
        parts.append(part)
        room -= len(part)
        if member.unconsumed_tail or room <= 0:
            raise ValueError(_too_large(path))
        raw = member.unused_data
    return b"".join(parts)


def _too_large(path: Path) -> str:
    return (
        f"{path} holds more than {MAX_LOG_BYTES >> 20} MiB of text; keep the lines of the benchmark, for example with\n"
        f"  grep -v 'NCCL INFO' {path} > short.log"
    )


def _parts(texts: Sequence[str]) -> list[tuple[int, int, bool]]:
    """Where a file that holds both changes between nccl-tests and OSU: (begin, end, is OSU), in order and without gaps.

    The lines between the last own line of one and the first of the other are the latter's, since they may hold its command.
    """
    parts: list[tuple[int, int, bool]] = []
    begin, is_osu = 0, False
    for index, text in enumerate(texts):
        if begins_nccl(text) if is_osu else "OSU" in text and read_title(text) is not None:
            end = index
            while end > begin and not _OWN.match(texts[end - 1]):
                end -= 1
            parts.append((begin, end, is_osu))
            begin, is_osu = end, not is_osu
    parts.append((begin, len(texts), is_osu))
    return [part for part in parts if part[0] < part[1]]


def _part(lines: Sequence[Line], is_osu: bool) -> ForeignLog:
    return osu.read_osu([line.text for line in lines]) if is_osu else read_nccl_text(lines)


def _shifted(log: ForeignLog, by: int) -> ForeignLog:
    """``log`` with the line numbers of the whole file."""
    return replace(
        log,
        tables=tuple(
            replace(
                table,
                points=tuple(
                    replace(point, line=None if point.line is None else point.line + by)
                    for point in table.points
                ),
            )
            for table in log.tables
        ),
        unread=tuple(
            replace(left, first_line=left.first_line + by, last_line=left.last_line + by)
            for left in log.unread
        ),
        warnings=tuple(replace(warned, line=warned.line + by) for warned in log.warnings),
    )


def _joined(logs: Sequence[ForeignLog]) -> ForeignLog:
    counts: Counter[str] = Counter()
    for log in logs:
        counts.update(log.lines)
    return ForeignLog(
        format=" and ".join(dict.fromkeys(log.format for log in logs)),
        tables=tuple(table for log in logs for table in log.tables),
        lines=dict(counts.most_common()),
        unread=tuple(left for log in logs for left in log.unread),
        warnings=tuple(warned for log in logs for warned in log.warnings),
    )
