"""`to_svg`: a figure as text for the inside of an HTML page.

It follows the page: text is text in the page's own font, ink is the colour of the page's text, nothing is painted behind
it, and it is as wide as what it stands in. Nothing in it refers to anything outside, runs, or reaches the rest of the page.
"""

import base64
import io
import re
from typing import Any, Final, cast
from xml.etree import ElementTree

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import style, words
from analysis.figures.drawn import Drawn

SVG: Final = "http://www.w3.org/2000/svg"
XLINK: Final = "http://www.w3.org/1999/xlink"

RASTER_DPI: Final = 144
"""Of the parts that are pictures: two pixels per point, which is sharp on a page and in print at this size."""

MOST_PALETTE: Final = 256
"""Colours that a PNG with a palette holds."""

SMALL: Final = 10.0
"""Points; marks are smaller, and the figure is 612 wide."""

_PICTURE: Final = "data:image/png;base64,"

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow in a document (section 2.2)."""

_NUMBER: Final = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_FONT: Final = re.compile(
    r"font: (?:[\w-]+ )*?(\d[\d.]*)px [^;]*"
)  # in one property, as matplotlib 3.9 writes it
_FAMILY: Final = re.compile(r"font-family: [^;]*;? ?")
_NO_ROTATION: Final = re.compile(r"rotate\(-?0(?:\.0*)? [^)]*\)")
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")


def to_svg(figure: Drawn | Figure, *, prefix: str) -> str:
    """One ``<svg>`` element. The same figure gives the same text; two figures need two prefixes.

    Args:
        figure: a `Drawn` gives it a name and a description for screen readers.
        prefix: what all ids in it begin with.

    Raises:
        ValueError: ``prefix`` cannot begin an id.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", prefix):
        raise ValueError(f"prefix is {prefix!r}; take a letter, and letters, digits, - and _ after it")
    root = ElementTree.fromstring(_rendered(figure.figure if isinstance(figure, Drawn) else figure))
    _drop(root, "metadata")
    _drop(root, "style")  # it would hold for the whole page
    for element in root.iter():
        _restyle(element)
    for element in root.iter():
        _share_style(element)
    _rename_ids(root, prefix)
    _flatten(root)
    _open(root, figure if isinstance(figure, Drawn) else None, prefix)
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _rendered(figure: Figure) -> str:
    """What matplotlib writes, from its first element on. Unlike savefig this draws once and not twice."""
    content = io.BytesIO()
    canvas, dpi, paper = figure.canvas, figure.dpi, figure.get_facecolor()
    with style.context():
        try:
            figure.dpi = RASTER_DPI
            figure.set_facecolor("none")
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            cast(Any, FigureCanvasSVG(figure)).print_svg(content, metadata=nothing)
        finally:
            figure.set_canvas(canvas)
            figure.dpi = dpi
            figure.set_facecolor(paper)
    text = content.getvalue().decode("utf-8", "replace")
    return _FORBIDDEN.sub(words.REPLACEMENT, text[text.index("<svg") :])


def _open(root: ElementTree.Element, drawn: Drawn | None, prefix: str) -> None:
    """What the element as a whole is: an image with a name, as wide as its place, in ink."""
    width_pt = float(root.attrib["viewBox"].split()[2])
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {
        "role": "img",
        "width": "100%",
        "fill": "currentColor",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
        "style": f"max-width: {width_pt / 72 * 96:.0f}px; height: auto",
    }
    if drawn is None:
        return
    root.attrib["aria-labelledby"] = f"{prefix}-title {prefix}-desc"
    for place, (tag, text) in enumerate((("title", drawn.title), ("desc", drawn.alt))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{prefix}-{tag}"})
        element.text = text
        root.insert(place, element)


def _drop(root: ElementTree.Element, tag: str) -> None:
    for parent in list(root.iter()):
        for child in parent.findall(f"{{{SVG}}}{tag}"):
            parent.remove(child)


def _restyle(element: ElementTree.Element) -> None:
    """Ink and font are the page's, coordinates as exact as can be seen, and pictures have a palette."""
    attributes = element.attrib
    if element.tag != f"{{{SVG}}}text":
        element.text = None
    element.tail = None
    if "style" in attributes:
        ink = attributes["style"].replace(f"stroke: {style.INK}", "stroke: currentColor")
        ink = ink.replace(f"fill: {style.INK}", "fill: currentColor")
        attributes["style"] = _FAMILY.sub("", _FONT.sub(r"font-size: \1px", ink))
    if _NO_ROTATION.fullmatch(attributes.get("transform", "")):
        del attributes["transform"]
    for name in ("x", "y", "width", "height"):
        if name in attributes:
            attributes[name] = _NUMBER.sub(_rounded, attributes[name])
    if "d" in attributes:
        attributes["d"] = _short_path(attributes["d"])
    if f"{{{XLINK}}}href" in attributes:
        target = attributes.pop(f"{{{XLINK}}}href")
        picture = target.removeprefix(_PICTURE)
        attributes["href"] = target if picture == target else _PICTURE + _with_palette(picture)


def _share_style(group: ElementTree.Element) -> None:
    """What all marks of a line have in common is said once."""
    marks = list(group)
    styles = {mark.attrib.get("style") for mark in marks}
    common = styles.pop() if len(styles) == 1 else None
    if (
        len(marks) > 1
        and common
        and all(mark.tag == f"{{{SVG}}}use" for mark in marks)
        and "style" not in group.attrib
    ):
        group.attrib["style"] = common
        for mark in marks:
            del mark.attrib["style"]


def _flatten(parent: ElementTree.Element) -> None:
    """Groups that say nothing go, and what is in them stays."""
    children: list[ElementTree.Element] = []
    for child in parent:
        _flatten(child)
        is_empty = child.tag == f"{{{SVG}}}g" and not child.attrib
        children.extend(child if is_empty else [child])
    parent[:] = children


def _short_path(path: str) -> str:
    """The same path; a line may follow a line without saying so (SVG 1.1, section 8.3.4)."""
    short = " ".join(_NUMBER.sub(_rounded, path).split())
    return short if re.search("[^MLz0-9. -]", short) else re.sub(r"(?<=\d) L ", " ", short)


def _rounded(match: re.Match[str]) -> str:
    """To a tenth of a point, small shapes to a hundredth."""
    value = float(match[0])
    text = f"{value:.{2 if abs(value) < SMALL else 1}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _with_palette(encoded: str) -> str:
    """The same picture with a colour table, where it has few colours: about a quarter of the bytes."""
    raw = base64.b64decode(encoded)
    pixels = np.ascontiguousarray(Image.open(io.BytesIO(raw)).convert("RGBA"))
    # One number per pixel: finding the different ones is then ten times as fast as with four.
    packed, places = np.unique(pixels.view(np.uint32).ravel(), return_inverse=True)
    colours = packed.view(np.uint8).reshape(-1, 4)
    if len(colours) > MOST_PALETTE:
        return "".join(encoded.split())
    picture = Image.fromarray(places.reshape(pixels.shape[:2]).astype(np.uint8)).convert("P")
    picture.putpalette(colours[:, :3].tobytes())
    content = io.BytesIO()
    picture.save(content, format="png", optimize=True, transparency=bytes(colours[:, 3]))
    return base64.b64encode(content.getvalue()).decode("ascii")


def _rename_ids(root: ElementTree.Element, prefix: str) -> None:
    """Ids that something refers to become ``prefix`` and a number, in order; the others go."""
    new: dict[str, str] = {}

    def renamed(old: str) -> str:
        return new.setdefault(old, f"{prefix}-{len(new)}")

    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "href" and value.startswith("#"):
                element.attrib[name] = f"#{renamed(value[1:])}"
            else:
                element.attrib[name] = _REFERENCE.sub(lambda match: f"url(#{renamed(match[1])})", value)
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in new:
            element.attrib["id"] = new[own]
