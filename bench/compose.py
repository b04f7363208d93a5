"""Overrides of the command line to a `BenchConfig`: the only door to Hydra and OmegaConf.

Hydra writes nothing here and its own error page is never shown: every mistake ends as a ValueError of a line or two.
"""

import re
from collections.abc import Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench import catalog
from bench.config import BenchConfig, LauncherConfig, SizesConfig
from bench.model.fabric import Fabric
from bench.model.optics.finding import without_refusals
from bench.model.timing import TimingPlan
from bench.model.transceiver import Transceiver

GROUPS = {
    "launcher": LauncherConfig,
    "transceiver": Transceiver,
    "fabric": Fabric,
    "sizes": SizesConfig,
    "timing": TimingPlan,
}


def _register_schemas() -> None:
    store = ConfigStore.instance()
    store.store(name="schema", node=BenchConfig)
    for group, schema in GROUPS.items():
        store.store(group=group, name="schema", node=schema)


def compose(overrides: Sequence[str]) -> BenchConfig:
    """The configuration that ``overrides`` ask for, every value checked, and the link that they describe.

    Raises:
        ValueError: what is wrong with which key, what is allowed, near matches.
    """
    _register_schemas()
    parsed = _parse(overrides)
    with initialize_config_dir(version_base="1.3", config_dir=str(catalog.CONF_DIR)):
        names: dict[str, str] = {}
        prepared = [_prepared(override, text, names) for override, text in parsed]
        try:
            composed = _composed(prepared)
        except ValueError:
            _check_keys(parsed)  # a key that does not exist deserves a better sentence than Hydra's
            raise
    for group in ("transceiver", "fabric"):
        composed[group].name = names.get(group) or composed[group].name or "auto"
    try:
        config = OmegaConf.to_object(composed)
    except (OmegaConfBaseException, TypeError) as error:
        raise ValueError(_short(error)) from error
    if not isinstance(config, BenchConfig):
        raise TypeError(f"composition gave a {type(config).__name__}")
    without_refusals(config.link.problems(config.transceiver, config.fabric))  # before any rank starts
    return config


def as_yaml(config: BenchConfig) -> str:
    """The configuration as YAML, every value in place."""
    return OmegaConf.to_yaml(OmegaConf.create(config.to_json()))


def _parse(overrides: Sequence[str]) -> list[tuple[Override, str]]:
    parsed = []
    for text in overrides:
        if text.startswith(("+", "~")):
            raise ValueError(
                f"{text!r}: keys are neither added nor removed here; write {text.lstrip('+~')!r}"
            )
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException as error:
            if "=" not in text:
                raise ValueError(
                    f"{text!r} is no override; write key=value, for example sizes=quick"
                ) from error
            raise ValueError(f"{text!r} cannot be read: {_short(error)}") from error
        if override.key_or_group.split(".")[0] == "hydra":
            raise ValueError(
                f"{text!r}: Hydra itself is not configured here; it writes nothing; leave it out"
            )
        if override.is_sweep_override():
            raise ValueError(f"{text!r} asks for several runs; start one run for each value")
        parsed.append((override, text))
    return parsed


def _composed(overrides: list[str]) -> DictConfig:
    try:
        return hydra_compose(config_name="config", overrides=overrides)
    except MissingConfigException as error:
        raise ValueError(_short(error)) from error
    except (HydraException, OmegaConfBaseException, ValueError, AssertionError) as error:
        raise ValueError(_short(error)) from error


def _known_keys(config: DictConfig) -> list[str]:
    keys: list[str] = []

    def walk(prefix: str, node: Any) -> None:
        for key in node:
            name = f"{prefix}{key}"
            keys.append(name)
            child = node._get_node(key)
            if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
                walk(f"{name}.", child)

    walk("", config)
    return keys


def _check_keys(parsed: list[tuple[Override, str]]) -> None:
    """Raise ValueError, with near matches, for the first key that the configuration does not have."""
    known = _known_keys(_composed([]))
    for override, text in parsed:
        key = override.key_or_group
        if key in known or key in GROUPS or any(key.startswith(f"{free}.") for free in _FREE_KEYS):
            continue
        near = catalog.near_matches(key, known)
        hint = (
            f"; did you mean {' or '.join(near)}?" if near else "; `linerate run --cfg job` prints all keys"
        )
        raise ValueError(f"there is no key {key!r} (in {text!r}){hint}")


def _prepared(override: Override, text: str, names: dict[str, str]) -> str:
    """Check the choice of a group against what exists; hand the user's own files to Hydra under a name of theirs."""
    key = override.key_or_group
    if key in GROUPS:
        value = override.value()
        if isinstance(value, dict):
            return text
        choice = str(value if value is not None else "unknown")
        if key in ("transceiver", "fabric"):
            names[key] = choice
            if catalog.is_path(choice):
                return _stored(key, choice, names)
        available = [name for name in catalog.names(key)]
        if choice not in available:
            hint = "(`linerate catalog` lists them all)" if key == "transceiver" else ""
            listed = [name for name in available if name not in catalog.PLACEHOLDERS]
            raise ValueError(
                catalog.unknown_name(key, choice, listed if key == "transceiver" else available, hint)
            )
        return f"{key}={choice}"
    if key in ("collectives", "passes", "groups") and isinstance(override.value(), str):
        return f"{key}=[{override.value()}]"
    return text


_FREE_KEYS = ("algorithms", "transceiver", "fabric")
"""Below these, keys that the default does not have may still be right; the schema decides."""


def _stored(group: str, path: str, names: dict[str, str]) -> str:
    """Register a user's file as a group option; returns the override that selects it."""
    node = catalog.read_entry(group, path)
    (catalog.transceiver if group == "transceiver" else catalog.fabric)(path)  # its own, better, errors first
    names[group] = str(node.get("name") or re.sub(r"\.ya?ml$", "", path.rsplit("/", 1)[-1]))
    ConfigStore.instance().store(
        group=group, name="users_own", node={"defaults": ["schema", "_self_"], **node}
    )
    return f"{group}=users_own"


def _short(error: BaseException) -> str:
    """The sentence of an error of Hydra or OmegaConf that a user needs: the innermost cause, without their key dump."""
    while error.__cause__ is not None and not isinstance(error, OmegaConfBaseException):
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    full_key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key:")), "")
    kept = [
        line
        for line in lines
        if not line.startswith(("full_key:", "object_type", "reference_type", "See https"))
    ]
    text = kept[0] if kept else type(error).__name__
    return f"{full_key}: {text}" if full_key and full_key not in text else text
