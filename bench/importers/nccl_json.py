"""`read_json`: the JSON of nccl-tests (-J), versions 1 to 4, and of rccl-tests (-Z json).

What each version has (source: NVIDIA/nccl-tests, src/util.cu and its history):

1   2025-10   keys average_bus_bandwidith and bandwidith, repaired in 2026-02 with the version still 1
2   2026-06   times of the iterations (-I): out_of_place_per_iter, in_place_per_iter
3             skipped_iterations and per_iter_skip
4             bitwise, of a comparison of repeated calls

Every boolean is a string, NaN is the string "nan", a root is a padded string, numbers have 6 decimals. ``env`` is the whole
environment: of it only what `bench.environment.allowed` lets through is taken. Keys that are not read are named.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from bench.environment import allowed
from bench.importers.foreign import Device, ForeignLog, ForeignTable, Warned
from bench.importers.json_lines import begins_json, count_lines
from bench.importers.json_results import ResultReader
from bench.importers.json_scan import KEYS, Document, scan
from bench.importers.json_values import Unknown, as_number, as_text, as_whole
from bench.importers.program_names import collective_of, library_version
from bench.importers.rccl_tables import is_rccl_json, read_rccl_json
from bench.importers.stored import ranks_of_points
from bench.importers.tally import Tally
from bench.reported import LOOP_MEAN_RANK_0, LOOP_MEAN_RANK_MAX, LOOP_MEAN_RANK_MEAN, LOOP_MEAN_RANK_MIN

_SETTINGS: Final = {
    "nthreads": "threads",
    "ngpus": "gpus_per_thread",
    "minimum_bytes": "min_bytes",
    "maximum_bytes": "max_bytes",
    "step_factor": "step_factor",
    "step_bytes": "step_bytes",
    "warmup_iters": "warmup_iterations",
    "iterations": "iterations",
    "aggregated_iterations": "aggregated_iterations",
    "validation": "validation",
    "bitwise_repeats": "bitwise_repeats",
    "graph": "graph",
    "unalign": "unalign",
    "blocking_collectives": "blocking",
    "per_iter_timing": "per_iteration",
    "per_iter_skip": "skipped_iterations",
    "parallel_init": "parallel_init",
}
_DEVICE_KEYS: Final = ("rank", "group", "pid", "hostname", "device", "device_hex", "device_info")

STATISTICS: Final = {
    0: LOOP_MEAN_RANK_0,
    1: LOOP_MEAN_RANK_MEAN,
    2: LOOP_MEAN_RANK_MIN,
    3: LOOP_MEAN_RANK_MAX,
}
"""By -a. Source: NVIDIA/nccl-tests, src/common.cu, Allreduce; 1 is the default."""

_OPTIONS: Final = {
    "-a": "average",
    "--average": "average",
    "-R": "registration",
    "--local_register": "registration",
}
"""Options that the configuration does not hold."""

MAX_RANKS: Final = 10**7
"""More GPUs than any machine has: a larger number is damage."""

_NCCL: Final = re.compile(r'(?<!\\)"(?:results|config|nccl_version)"\s*:')


def is_json(text: str) -> bool:
    """Whether ``text`` is JSON of nccl-tests or rccl-tests, whole, damaged or cut off; a log that mentions JSON is not."""
    return begins_json(text) and (is_rccl_json(text) or _NCCL.search(text) is not None)


def read_json(text: str) -> ForeignLog:
    """Read every document of a file. Never raises: what cannot be read is named in ``unread``."""
    if is_rccl_json(text):
        return read_rccl_json(text)
    documents = scan(text)
    tally = Tally()
    warnings: list[Warned] = []
    count_lines(
        text, [(d.start, d.end) for d in documents], [at for d in documents for at, _ in d.results], tally
    )
    unknown = Unknown()
    tables = tuple(_table(document, unknown, warnings) for document in documents)
    for document in documents:
        for hole in document.holes:
            tally.remark(hole)
    for reason in unknown.reasons():
        tally.remark(reason)
    return ForeignLog(
        format="nccl-tests JSON",
        tables=tables,
        lines=tally.lines(),
        unread=tuple(tally.unread),
        warnings=tuple(warnings),
    )


def _table(document: Document, unknown: Unknown, warnings: list[Warned]) -> ForeignTable:
    values = document.values
    unknown.keys(values, KEYS)
    version = as_whole(values.get("version"))
    config = _mapping(values.get("config"))
    arguments = [text for text in _list(values.get("args")) if isinstance(text, str)]
    settings = _settings(config, arguments, unknown)
    average = settings.get("average", 1)
    devices = tuple(
        _device(entry, unknown) for entry in _list(config.get("devices")) if isinstance(entry, dict)
    )
    per_process = (_number_of(settings, "threads") or 0) * (_number_of(settings, "gpus_per_thread") or 0)
    listed: int | None = len(devices) * per_process
    if not listed or not 0 < listed <= MAX_RANKS:
        listed = None
    group_ranks = _group_ranks(devices, per_process)
    reader = ResultReader(
        collective=collective_of(arguments[0] if arguments else ""),
        statistic=STATISTICS.get(average if isinstance(average, int) else 1, LOOP_MEAN_RANK_MEAN),
        iterations=_number_of(settings, "iterations"),
        calls_per_iteration=max(1, _number_of(settings, "aggregated_iterations") or 1)
        * max(1, _number_of(settings, "graph") or 1),
        skipped=_number_of(settings, "skipped_iterations") or 0,
        num_ranks=group_ranks or listed,
        unknown=unknown,
    )
    points = tuple(point for _, result in document.results if (point := reader.point(result)) is not None)
    inferred = ranks_of_points(points)
    if inferred and reader.num_ranks and inferred != reader.num_ranks:
        text = f"busbw over algbw is that of {inferred} ranks, and devices and configuration tell {reader.num_ranks}"
        warnings.append(Warned(line=0, text=text))
    for text in _list(values.get("errors")):
        if isinstance(text, str) and text.strip():
            warnings.append(Warned(line=0, text=" ".join(text.split())[:240]))
    average_busbw = _mapping(values.get("average_bus_bandwidth", values.get("average_bus_bandwidith")))
    bounds = _mapping(values.get("out_of_bounds"))
    unknown.keys(bounds, ("count", "okay"), "out_of_bounds")
    unknown.keys(average_busbw, ("bandwidth", "bandwidith", "okay"), "average_bus_bandwidth")
    partial = _why_partial(document, points)
    return ForeignTable(
        program=arguments[0].rsplit("/", 1)[-1][:80] if arguments else None,
        family="nccl-tests",
        layout=f"nccl-tests JSON, version {'unknown' if version is None else version}",
        library="rccl" if any((device.name or "").startswith("AMD") for device in devices) else "nccl",
        points=points,
        devices=devices,
        num_ranks=listed or inferred,
        num_ranks_source="devices" if listed else "inferred" if inferred else None,
        group_ranks=group_ranks,
        settings=settings,
        versions=_versions(values),
        environment=allowed(_environment(values.get("env"))),
        out_of_bounds=as_whole(bounds.get("count")),
        average_busbw_gbytes_per_s=as_number(average_busbw.get("bandwidth", average_busbw.get("bandwidith"))),
        is_complete=partial is None,
        why_partial=partial,
        started=as_text(values.get("start_time")),
        ended=as_text(values.get("end_time")),
    )


def _why_partial(document: Document, points: tuple[Any, ...]) -> str | None:
    if document.holes:
        return document.holes[0]
    if not document.is_closed:
        return "the file ends before its closing brackets"
    if "out_of_bounds" not in document.values:
        return "no footer (out_of_bounds)"
    return None if points else "no result"


def _settings(
    config: Mapping[str, Any], arguments: list[str], unknown: Unknown
) -> dict[str, int | float | str]:
    unknown.keys(config, (*_SETTINGS, "devices"), "config")
    settings: dict[str, int | float | str] = {}
    for key, name in _SETTINGS.items():
        value = config.get(key)
        whole = int(value == "true") if value in ("true", "false") else as_whole(value)
        if whole is not None:
            settings[name] = whole
        elif isinstance(value, str):
            settings[name] = value[:80]
    for option, value in zip(arguments, [*arguments[1:], ""], strict=False):
        name, _, attached = option.partition("=")
        if name in _OPTIONS and (number := as_whole(attached or value)) is not None:
            settings[_OPTIONS[name]] = number
        elif re.fullmatch(r"-[aR]\d", option):
            settings[_OPTIONS[option[:2]]] = int(option[2])
    return settings


def _device(entry: Mapping[str, Any], unknown: Unknown) -> Device:
    unknown.keys(entry, _DEVICE_KEYS, "config.devices[]")
    rank = as_whole(entry.get("rank"))
    return Device(
        rank=-1 if rank is None else rank,
        group=as_whole(entry.get("group")),
        pid=as_whole(entry.get("pid")),
        host=as_text(entry.get("hostname")),
        device=as_whole(entry.get("device")),
        bus_id=as_text(entry.get("device_hex")),
        name=as_text(entry.get("device_info")),
    )


def _group_ranks(devices: tuple[Device, ...], per_process: int) -> int | None:
    """Ranks of the group of rank 0, which prints; None where the run was not split, or not all is told."""
    groups = Counter(device.group for device in devices)
    if len(groups) < 2 or None in groups or not per_process:
        return None
    return groups[min(devices, key=lambda device: device.rank).group] * per_process


def _versions(values: Mapping[str, Any]) -> dict[str, str]:
    versions = {}
    if (number := as_whole(values.get("nccl_version"))) is not None and number > 0:
        versions["nccl"] = library_version(number)
    if (number := as_whole(values.get("version"))) is not None:
        versions["nccl-tests JSON"] = str(number)
    return versions


def _environment(env: object) -> dict[str, str]:
    pairs = (text.partition("=") for text in _list(env) if isinstance(text, str))
    return {name: value for name, sign, value in pairs if sign}


def _number_of(settings: Mapping[str, int | float | str], name: str) -> int | None:
    value = settings.get(name)
    return value if isinstance(value, int) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
