"""What is wrong with a page, without a browser: markup that does not close, things that run or fetch, what readers of a screen need."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

VOID: Final = ("meta", "link", "br", "hr", "img", "input", "base", "col", "embed", "source", "wbr")
FORBIDDEN: Final = (
    "script",
    "iframe",
    "object",
    "embed",
    "link",
    "img",
    "base",
    "form",
    "input",
    "video",
    "audio",
    "animate",
)
"""What runs, fetches or asks. Pictures of a page are SVG elements, or data inside them."""

FETCHING: Final = (
    "src",
    "srcset",
    "data",
    "action",
    "formaction",
    "poster",
    "background",
    "ping",
    "manifest",
)


class Page(HTMLParser):
    """A page read once. ``errors``: see the module."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.errors: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.text: list[str] = []
        self.tags: dict[str, int] = {}
        self._open: list[str] = []
        self._ids: set[str] = set()
        self._refers: set[str] = set()
        self.feed(text)
        self.close()
        self.errors += [f"<{tag}> is never closed" for tag in self._open]
        self.errors += [f"#{name} does not exist" for name in sorted(self._refers - self._ids)]
        if "@import" in text or re.search(r"url\((?!#|&quot;#|[\"']#)", text):
            self.errors.append("a style that fetches")
        for before, after in zip(self.headings, self.headings[1:], strict=False):
            if after[0] > before[0] + 1:
                self.errors.append(
                    f"heading {after[1]!r} of level {after[0]} follows one of level {before[0]}"
                )
        if [level for level, _ in self.headings].count(1) != 1:
            self.errors.append("not one heading of level 1")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        given = {name: value or "" for name, value in attrs}
        if tag in FORBIDDEN:
            self.errors.append(f"<{tag}> at line {self.getpos()[0]}")
        for name, value in given.items():
            if name.startswith("on") or name in FETCHING:
                self.errors.append(f"{name}={value[:40]!r} in <{tag}>")
            if name in ("href", "xlink:href"):
                if value.startswith("#"):
                    self._refers.add(value[1:])
                elif not value.startswith("data:image/png;base64,"):
                    self.errors.append(f"{name}={value[:60]!r} in <{tag}>")
            if name in ("aria-labelledby", "aria-describedby"):
                self._refers.update(value.split())
            self._refers.update(re.findall(r"url\(#([^)]+)\)", value))
        if "id" in given:
            if given["id"] in self._ids:
                self.errors.append(f"id {given['id']} is there twice")
            self._ids.add(given["id"])
        if tag == "th" and "scope" not in given:
            self.errors.append("<th> without scope")
        if tag == "svg" and (given.get("role") != "img" or "aria-labelledby" not in given):
            self.errors.append("<svg> without a name")
        if tag == "html" and given.get("lang") != "en":
            self.errors.append("no language")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.errors.append(f"</{tag}> at line {self.getpos()[0]} closes {self._open[-1:]}")
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text.append(data)
        if self._open and re.fullmatch(r"h[1-6]", self._open[-1]):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data.strip())

    @property
    def words(self) -> str:
        """What a reader sees, with single blanks."""
        return " ".join(" ".join(self.text).split())


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))
