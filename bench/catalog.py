"""The catalog: YAML files of conf/ as `Transceiver` and `Fabric`, read without Hydra.

A name is a file of conf/transceiver or conf/fabric; a path is the user's own file in the same form.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import dacite
import yaml

from bench.model.fabric import Fabric
from bench.model.transceiver import Transceiver

_HERE = Path(__file__).resolve().parent
CONF_DIR: Final = next(d for d in (_HERE / "conf", _HERE.parent / "conf") if d.is_dir())
"""In the wheel configuration lives inside the package, in a checkout beside it."""

PLACEHOLDERS: Final = ("auto", "unknown")
EMULATED_DEFAULT: Final = "400g-osfp-dr4"

_Entry = TypeVar("_Entry", Transceiver, Fabric)
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def transceiver(name_or_path: str) -> Transceiver:
    """One entry of the catalog, or the user's own file.

    Raises:
        ValueError: no such entry (near matches are named), or a file that does not hold one.
    """
    return _load("transceiver", name_or_path, Transceiver)


def fabric(name_or_path: str) -> Fabric:
    """One fabric of conf/fabric, or the user's own file. Raises as `transceiver`."""
    return _load("fabric", name_or_path, Fabric)


def transceivers() -> Iterator[Transceiver]:
    """All entries of the catalog, slowest first, placeholders left out."""
    entries = [transceiver(name) for name in names("transceiver") if name not in PLACEHOLDERS]
    return iter(sorted(entries, key=lambda entry: (entry.nominal_rate_gbps or 0, entry.name)))


def names(group: str) -> list[str]:
    """Names of the files of one folder of conf/, sorted."""
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


def is_path(name_or_path: str) -> bool:
    """Whether a value names a file of the user instead of an entry of the catalog."""
    return "/" in name_or_path or name_or_path.endswith((".yaml", ".yml"))


def near_matches(word: str, known: list[str], most: int = 3) -> list[str]:
    """Names that a misspelled ``word`` may have meant: containing it first, then similar ones."""
    inside = [name for name in known if word and word.lower() in name.lower()]
    similar = difflib.get_close_matches(word, known, n=most, cutoff=0.5)
    return list(dict.fromkeys(inside[:most] + similar))[:most]


def unknown_name(kind: str, word: str, known: list[str], hint: str = "") -> str:
    """The sentence for a name that does not exist: what was found, near matches, what to do next."""
    near = near_matches(word, known)
    text = f"{kind} {word!r} does not exist"
    if near:
        text += f"; did you mean {' or '.join(near)}?"
    else:
        text += f"; there are: {', '.join(known)}" if len(known) <= 12 else f"; there are {len(known)} others"
    return f"{text} {hint}".rstrip()


def read_entry(group: str, name_or_path: str) -> dict[str, Any]:
    """The plain content of one entry, without the ``defaults`` line that Hydra needs.

    Raises:
        ValueError: the file does not exist or is not a YAML mapping.
    """
    if is_path(name_or_path):
        path = Path(name_or_path).expanduser()
        if not path.is_file():
            raise ValueError(
                f"{group}={name_or_path}: there is no such file; a name without '/' is looked up in the catalog"
            )
    else:
        path = CONF_DIR / group / f"{name_or_path}.yaml"
        if not path.is_file():
            hint = "(`linerate catalog` lists them all)" if group == "transceiver" else ""
            known = [name for name in names(group) if name not in PLACEHOLDERS]
            raise ValueError(unknown_name(group, name_or_path, known, hint))
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no mapping; a {group} file looks like those in conf/{group}")
    content.pop("defaults", None)
    return content


def _load(group: str, name_or_path: str, kind: type[_Entry]) -> _Entry:
    name = Path(name_or_path).stem if is_path(name_or_path) else name_or_path
    content = {"name": name} | read_entry(group, name_or_path)
    return from_mapping(kind, content, f"{group} {name_or_path}")


_T = TypeVar("_T")


def from_mapping(kind: type[_T], content: Mapping[str, Any], where: str) -> _T:
    """Build a dataclass from plain data: unknown keys, missing keys and wrong types are errors that name the key.

    Raises:
        ValueError: what is wrong, with ``where`` in front.
    """
    config = dacite.Config(strict=True, type_hooks={float: _number})
    try:
        return dacite.from_dict(kind, content, config)
    except (dacite.DaciteError, OverflowError) as error:
        raise ValueError(f"{where}: {error}") from error


def _number(value: Any) -> Any:
    """YAML writes 400 where a rate is a float; anything else is left for dacite to refuse."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
