"""A document as Markdown: CommonMark with GitHub's tables. Nothing in the data is markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lfr_kernel.governance.record.page import Note, Paragraph, Rows, Tiles, legible, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lfr_kernel.governance.record.page import Block, Document

__all__ = ["render"]

_MARKS = re.compile(r"([\\`*_{}\[\]<>|~&#$!@])")
_LINK = re.compile(r"(?i)(?=://)|(?<=\bwww)(?=\.)|(?<=\bmailto)(?=:)|(?<=\bxmpp)(?=:)")
"""Where GitHub would make a link of what is none."""
_LINE = re.compile(r"^([-+=]|\d+(?=[.)]))")
"""What makes a list, or underlines a heading, at the beginning of a line."""


def render(document: Document) -> str:
    """Return a document as Markdown."""
    return "\n\n".join(_parts(legible(document))) + "\n"


def _parts(document: Document) -> Iterator[str]:
    for text in (document.mark, document.warning):
        if text:
            yield f"> **{_escaped(text)}**"
    yield f"# {_escaped(document.title)}"
    yield _line(document.subtitle)
    for section in document.sections:
        yield f"## {_escaped(section.title)}"
        for block in section.blocks:
            yield from _block(block)
    if document.mark:
        yield f"> **{_escaped(document.mark)}**"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield _line(block.text)
    elif isinstance(block, Note):
        yield f"> **{'Warning' if block.is_warning else 'Note'}.** {_escaped(block.text)}"
    elif isinstance(block, Rows):
        yield _table(("", ""), (False, False), [(label, text_of(cell)) for label, cell in block.rows])
    elif isinstance(block, Tiles):
        rows = [(tile.label, text_of(tile.cell), tile.note) for tile in block.tiles]
        yield _table(("", "", ""), (False, True, False), rows)
    else:
        yield f"**{_escaped(block.caption)}**"
        headings = [column.heading for column in block.columns]
        is_number = [column.is_number for column in block.columns]
        yield _table(headings, is_number, [[text_of(cell) for cell in row] for row in block.rows])


def _table(headings: Sequence[str], is_number: Sequence[bool], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---:" if one else "---" for one in is_number]
    lines = [[_escaped(one) for one in headings], rule, *([_escaped(one) for one in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _line(text: str) -> str:
    return _LINE.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", _escaped(text))


def _escaped(text: str) -> str:
    return _LINK.sub(r"\\", _MARKS.sub(r"\\\1", text))
