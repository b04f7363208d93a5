"""`render`: a template and its values to HTML. The only place that makes HTML; every text is escaped, whatever it holds."""

import re
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.figures.words import REPLACEMENT

TEMPLATES: Final = Path(__file__).resolve().parent / "templates"

_UNSHOWABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]"
)
"""Controls, halves of characters, and what turns the direction of writing; HTML forbids the first, UTF-8 the second."""


def render(template: str, **values: Any) -> str:
    """The text of ``template`` below `TEMPLATES`, with ``css`` beside ``values``.

    Raises:
        jinja2.UndefinedError: a name that the template needs is missing.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(css=css, **values)


def _shown(value: Any) -> Any:
    """What stands in the page for a value: nothing for None, and no character that a page cannot hold."""
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    return _UNSHOWABLE.sub(REPLACEMENT, str(value))
