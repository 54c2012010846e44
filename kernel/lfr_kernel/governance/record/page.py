"""A document before it has a format: sections of text, rows and tables. Every format shows all of it.

What stands in it is data: names, places and reasons that other people wrote. `legible` takes out what could steer a
reader or a screen; each format escapes for itself what its own language would take for an instruction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, structs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Block",
    "Cell",
    "Column",
    "Document",
    "Drawn",
    "Figure",
    "Note",
    "Paragraph",
    "Rows",
    "Section",
    "Table",
    "Tile",
    "Tiles",
    "each_text",
    "legible",
    "legible_text",
    "text_of",
]


class Figure(Struct, frozen=True, kw_only=True, tag=True):
    """A number: `text` for people, the rest for programs."""

    text: str
    value: float | None
    """None: there is none, since nothing was counted to make it of."""
    low: float | None = None
    high: float | None = None
    """Of its 95 % interval, where it has one."""
    n: int | None = None
    """Of how many."""


Cell: TypeAlias = str | Figure


class Paragraph(Struct, frozen=True, kw_only=True, tag=True):
    """A paragraph."""

    text: str


class Note(Struct, frozen=True, kw_only=True, tag=True):
    """A paragraph that stands out."""

    text: str
    is_warning: bool = False
    """Whether something is missing, or went wrong."""


class Rows(Struct, frozen=True, kw_only=True, tag=True):
    """A list of what is called how."""

    rows: tuple[tuple[str, Cell], ...]


class Tile(Struct, frozen=True, kw_only=True):
    """One of the few numbers that a page begins with."""

    label: str
    cell: Cell
    note: str = ""


class Tiles(Struct, frozen=True, kw_only=True, tag=True):
    """The few numbers that a page begins with, large."""

    tiles: tuple[Tile, ...]


class Column(Struct, frozen=True, kw_only=True):
    """One column of a table."""

    heading: str
    is_number: bool = False
    """Whether it is set flush right."""


class Drawn(Struct, frozen=True, kw_only=True):
    """An interval as a bar on a scale from 0 to 1. It draws what the row says in words, and nothing else."""

    value: float
    low: float
    high: float


class Table(Struct, frozen=True, kw_only=True, tag=True):
    """A table. The first cell of each row says what the row is of."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """Each as long as `columns`."""
    drawn: tuple[Drawn | None, ...] = ()
    """For each row, or empty: for formats that can draw, as a last column from 0 to 100 %."""


Block: TypeAlias = Paragraph | Note | Rows | Tiles | Table


class Section(Struct, frozen=True, kw_only=True):
    """A part of a document under a heading."""

    title: str
    blocks: tuple[Block, ...]


class Document(Struct, frozen=True, kw_only=True):
    """A document."""

    title: str
    subtitle: str
    mark: str
    """Text that the pack has printed on every page; empty for most."""
    sections: tuple[Section, ...]
    warning: str = ""
    """Said loudly before anything else, as that it is a draft; empty for most."""
    running: str = ""
    """What each page says it belongs to."""
    made: str = ""
    """ISO 8601, UTC: the date of a file, so that the same content makes the same bytes."""


def text_of(cell: Cell) -> str:
    """Return a cell as people read it."""
    return cell if isinstance(cell, str) else cell.text


def legible(document: Document) -> Document:
    """Return a document whose every text is one line without control characters, or marks that turn text around.

    Each of those becomes U+FFFD, so that it is seen that something was there. To do so twice changes nothing.
    """
    cleaned: Document = each_text(document, legible_text)
    return cleaned


def legible_text(text: str) -> str:
    """Return one text so; see `legible`."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join(text.split()))


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a document, or a part of one, with each text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(each_text(one, change) for one in value)
    if isinstance(value, Struct):
        return structs.replace(
            value, **{name: each_text(getattr(value, name), change) for name in value.__struct_fields__}
        )
    return value
