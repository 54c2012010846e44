"""A document on a terminal, and as plain text of 80 columns."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct, structs
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table as Grid
from rich.text import Text

from lfr_kernel.governance.record.page import Note, Paragraph, Rows, Table, Tiles, legible, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from lfr_kernel.governance.record.page import Block, Document, Drawn

__all__ = ["render", "renderable"]

COLUMNS = 80
BAR = 20
"""Columns of a drawn interval."""
LABEL = 30
LONGEST = 16
"""Of a word in a table: what is longer may be broken."""
GAP = 2
"""Between columns."""


def render(document: Document) -> str:
    """Return a document as plain text, 80 columns wide."""
    file = io.StringIO()
    console = Console(file=file, width=COLUMNS, color_system=None, highlight=False, legacy_windows=False)
    console.print(renderable(document))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def renderable(document: Document) -> RenderableType:
    """Return a document for a rich console."""
    return Group(*_parts(legible(document)))


def _parts(document: Document) -> Iterator[RenderableType]:
    for text, style in ((document.mark, "bold reverse"), (document.warning, "bold yellow")):
        if text:
            yield Text(text, style)
            yield Text()
    yield Text(document.title, "bold")
    yield Text(document.subtitle, "dim")
    for section in document.sections:
        yield Text()
        yield Text(section.title.upper(), "bold cyan")
        for block in section.blocks:
            yield Text()
            yield _block(block)
    if document.mark:
        yield Text()
        yield Text(document.mark, "bold reverse")


def _block(block: Block) -> RenderableType:
    if isinstance(block, Paragraph):
        return Text(block.text, "dim")
    if isinstance(block, Note):
        return Text(f"! {block.text}" if block.is_warning else block.text, "yellow" * block.is_warning)
    if isinstance(block, Rows):
        return _rows([(label, text_of(cell)) for label, cell in block.rows])
    if isinstance(block, Tiles):
        return _tiles(block)
    return _Wide(block)


def _rows(rows: list[tuple[str, str]]) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", max_width=LABEL, overflow="fold")
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label), Text(text))
    return grid


def _tiles(tiles: Tiles) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(style="dim", overflow="fold")
    for tile in tiles.tiles:
        grid.add_row(Text(text_of(tile.cell)), Text(tile.label), Text(tile.note))
    return grid


class _Wide(Struct, frozen=True):
    """A table that knows how wide it is when it is shown: where it does not fit, parts of it, each with the labels."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.table.caption, "italic")
        numbers, parts = len(self.table.columns) - 1, [self.table]
        for many in range(2, numbers + 1):
            if all(_widths(one, options.max_width) for one in parts):
                break
            ends = [1 + numbers * part // many for part in range(many + 1)]
            parts = [_part(self.table, first, end) for first, end in pairwise(ends)]
        for number, part in enumerate(parts):
            if number:
                yield Text()
            yield _grid(part, _widths(part, options.max_width))


def _part(table: Table, first: int, end: int) -> Table:
    """Return the first column of a table with those from `first` to before `end`."""
    return structs.replace(
        table,
        columns=(table.columns[0], *table.columns[first:end]),
        rows=tuple((row[0], *row[first:end]) for row in table.rows),
        drawn=table.drawn if end == len(table.columns) else (),
    )


def _widths(table: Table, room: int) -> list[int]:
    """Return how wide each column is to be, so that no word of it is broken; nothing where there is no room for that.

    The widest give way first, and figures last.
    """
    columns = [
        [column.heading, *(text_of(row[number]) for row in table.rows)] for number, column in enumerate(table.columns)
    ]
    words = [min(LONGEST, max(map(cell_len, " ".join(texts).split()), default=0)) for texts in columns]
    figures = [
        max([least, *map(cell_len, texts[1:])]) if column.is_number else least
        for column, texts, least in zip(table.columns, columns, words, strict=True)
    ]
    widths = [max(map(cell_len, texts)) for texts in columns]
    room -= GAP * (len(columns) - 1) + (GAP + BAR) * bool(table.drawn)
    for least in (figures, words):
        while sum(widths) > room:
            above = [number for number, width in enumerate(widths) if width > least[number]]
            if not above:
                break
            widths[max(above, key=lambda number: widths[number])] -= 1
    return widths if sum(widths) <= room else []


def _grid(table: Table, widths: list[int]) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    for number, column in enumerate(table.columns):
        grid.add_column(
            Text(column.heading),
            justify="right" if column.is_number else "left",
            overflow="fold",
            width=widths[number] if widths else None,
        )
    if table.drawn:
        grid.add_column(Text("0 to 100 %"), no_wrap=True, min_width=BAR)
    for number, row in enumerate(table.rows):
        cells = [Text(text_of(cell)) for cell in row]
        grid.add_row(*cells, *([_bar(table.drawn[number])] if table.drawn else []))
    return grid


def _bar(drawn: Drawn | None) -> Text:
    if drawn is None:
        return Text()
    low, value, high = (min(BAR - 1, int(share * BAR)) for share in (drawn.low, drawn.value, drawn.high))
    signs = ["·"] * BAR
    signs[low : high + 1] = ["─"] * (high + 1 - low)
    signs[value] = "●"
    return Text("".join(signs))
