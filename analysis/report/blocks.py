"""What a page is made of: facts, tables and pictures. Plain text throughout; `analysis.report.html` escapes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A name, what is known of it, and what that rests on."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """``is_number``: aligned to the right and never broken."""

    name: str
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows below a heading of their own. Shape of ``rows``: one text per column."""

    rows: tuple[tuple[str, ...], ...]
    heading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``summary``: what a folded table says of itself; empty: it is not folded. ``note``: stands below."""

    caption: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    note: str = ""
    summary: str = ""

    @property
    def num_rows(self) -> int:
        return sum(len(group.rows) for group in self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure, or the reason why there is none (``why_not``)."""

    title: str
    svg: Markup | None = None
    caption: str = ""
    why_not: str = ""


def table(
    caption: str, columns: Sequence[str | Column], rows: Sequence[Sequence[str]], note: str = ""
) -> Table:
    """A table of one group; a column given by its name holds text."""
    return Table(
        caption=caption,
        columns=tuple(Column(name=one) if isinstance(one, str) else one for one in columns),
        groups=(Group(rows=tuple(tuple(row) for row in rows)),),
        note=note,
    )


def number(name: str) -> Column:
    return Column(name=name, is_number=True)
