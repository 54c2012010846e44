"""A document as one tidy table for programs and spreadsheets: a line for each thing it says, numbers as numbers."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from lfr_kernel.governance.record.page import Note, Paragraph, Rows, Table, Tiles, legible, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.record.page import Block, Cell, Document

__all__ = ["COLUMNS", "render"]

COLUMNS = ("section", "item", "value", "low", "high", "n")
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""
DOCUMENT = "document"


def render(document: Document) -> str:
    """Return a document as CSV, UTF-8, with `section, item, value, low, high, n`.

    A number is written whole, not as people read it; where there is none the value is empty. A text that a spreadsheet
    would take for a formula has ' in front.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for section, item, cell in _lines(legible(document)):
        writer.writerow([_safe(section), _safe(item), *_values(cell)])
    return file.getvalue()


def _lines(document: Document) -> Iterator[tuple[str, str, Cell]]:
    for name in ("title", "subtitle", "mark", "warning", "made"):
        if text := getattr(document, name):
            yield DOCUMENT, name, text
    for section in document.sections:
        for block in section.blocks:
            for item, cell in _of(block):
                yield section.title, item, cell


def _of(block: Block) -> Iterator[tuple[str, Cell]]:
    if isinstance(block, Paragraph | Note):
        yield "note", block.text
    elif isinstance(block, Rows):
        yield from block.rows
    elif isinstance(block, Tiles):
        for tile in block.tiles:
            yield tile.label, tile.cell
            if tile.note:
                yield f"{tile.label}: note", tile.note
    else:
        yield from _cells(block)


def _cells(table: Table) -> Iterator[tuple[str, Cell]]:
    numbered = len({text_of(row[0]) for row in table.rows}) < len(table.rows)
    for number, row in enumerate(table.rows, start=1):
        label = f"{number}. {text_of(row[0])}" if numbered else text_of(row[0])
        if numbered or not isinstance(row[0], str):
            yield f"{table.caption}: {label}: {table.columns[0].heading}", row[0]
        for column, cell in zip(table.columns[1:], row[1:], strict=True):
            yield f"{table.caption}: {label}: {column.heading}", cell


def _values(cell: Cell) -> tuple[object, object, object, object]:
    if isinstance(cell, str):
        return _safe(cell), None, None, None
    return cell.value, cell.low, cell.high, cell.n


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
