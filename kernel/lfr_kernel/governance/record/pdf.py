"""A document as a PDF: PDF/A-2a for archives and PDF/UA-1 for screen readers, the same bytes for the same document."""

from __future__ import annotations

import datetime as dt
import json
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from lfr_kernel.governance.record.page import Note, Section, each_text, legible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfr_kernel.governance.record.page import Document

__all__ = ["STANDARDS", "compiled", "printed", "render"]

STANDARDS = ("a-2a", "ua-1")
TEMPLATE = "record.typ"
WITHOUT_GLYPH = (
    "Some characters cannot be shown with the fonts of this file. They stand as their numbers, as [U+4E2D]; the other "
    "formats have them."
)


def render(document: Document) -> bytes:
    """Return a document as a PDF on A4. Blocks for a fraction of a second. Nothing is read but the package's own files.

    Only fonts that come with the typesetter are used. They have Latin, Greek, Cyrillic, Arabic and Hebrew; characters
    that they lack stand as their numbers, and the document says so.
    """
    shown = printed(document)
    return compiled(TEMPLATE, {"document": msgspec.json.encode(shown).decode(), "date": _date(document.made)})


def printed(document: Document) -> Document:
    """Return a document that can be printed with the fonts there are."""
    document = legible(document)
    characters: set[str] = set()
    each_text(document, lambda text: characters.update(text) or text)
    strange = sorted(one for one in characters if not one.isascii())
    missing = set(without_glyph(strange))
    if not missing:
        return document
    table = {ord(one): f"[U+{ord(one):04X}]" for one in missing}
    replaced: Document = each_text(document, lambda text: text.translate(table))
    first = replaced.sections[0] if replaced.sections else Section(title="", blocks=())
    told = structs.replace(first, blocks=(*first.blocks, Note(text=WITHOUT_GLYPH)))
    return structs.replace(replaced, sections=(told, *replaced.sections[1:]))


def without_glyph(characters: list[str]) -> Iterable[str]:
    """Return those of `characters` that no font has: an archive's PDF may not hold them, so the typesetter refuses."""
    if not characters or _can_print(characters):
        return
    if len(characters) == 1:
        yield characters[0]
        return
    half = len(characters) // 2
    yield from without_glyph(characters[:half])
    yield from without_glyph(characters[half:])


def _can_print(characters: list[str]) -> bool:
    import typst  # noqa: PLC0415  (see `compiled`)

    # Apart, so that they do not combine.
    source = b'#set document(title: "x")\n#set text(font: "Libertinus Serif", lang: "en")\n#sys.inputs.text'
    try:
        typst.compile(
            source, sys_inputs={"text": " ".join(characters)}, pdf_standards=["a-2b"], ignore_system_fonts=True
        )
    except typst.TypstError:
        return False
    return True


def compiled(template: str, inputs: Mapping[str, str], *, format: str = "pdf") -> bytes:  # noqa: A002  (typst's word)
    """Return a template of this package, typeset.

    Args:
        template: name of its file.
        inputs: what it reads from `sys.inputs`.
        format: `pdf`.
    """
    import typst  # noqa: PLC0415  (only who asks for a PDF waits for the typesetter to load)

    source = files("lfr_kernel.governance.record").joinpath(template).read_bytes()
    made = typst.compile(
        source,
        format="pdf",
        sys_inputs=dict(inputs),
        pdf_standards=list(STANDARDS),
        timestamp=0,
        ignore_system_fonts=True,
    )
    if not isinstance(made, bytes):
        raise TypeError(f"expected one file from the typesetter, got {type(made).__name__}")
    return made


def _date(made: str) -> str:
    try:
        at = dt.datetime.fromisoformat(made)
    except ValueError:
        return "null"
    return json.dumps([at.year, at.month, at.day])
