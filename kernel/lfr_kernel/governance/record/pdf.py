"""A document as a PDF: PDF/A-2a for archives and PDF/UA-1 for screen readers, the same bytes for the same document."""

from __future__ import annotations

import datetime as dt
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.record.page import Note, Section, each_text, legible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typst import PDFStandard

    from lfr_kernel.governance.record.page import Document

__all__ = ["STANDARDS", "compiled", "printable_only", "printed", "render"]

T = TypeVar("T", bound=Struct)

STANDARDS: tuple[PDFStandard, ...] = ("a-2a", "ua-1")
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
    return compiled(TEMPLATE, {"document": msgspec.json.encode(shown).decode()}, made=document.made)


def printed(document: Document) -> Document:
    """Return a document that can be printed with the fonts there are."""
    shown, is_whole = printable_only(legible(document))
    if is_whole:
        return shown
    first = shown.sections[0] if shown.sections else Section(title="", blocks=())
    told = structs.replace(first, blocks=(*first.blocks, Note(text=WITHOUT_GLYPH)))
    return structs.replace(shown, sections=(told, *shown.sections[1:]))


def printable_only(value: T) -> tuple[T, bool]:
    """Return a document, or the like, with numbers for characters that no font has; and whether it had none of them."""
    characters: set[str] = set()

    def note(text: str) -> str:
        characters.update(text)
        return text

    each_text(value, note)
    missing = list(without_glyph(sorted(one for one in characters if not one.isascii())))
    table = {ord(one): f"[U+{ord(one):04X}]" for one in missing}
    shown: T = each_text(value, lambda text: text.translate(table)) if missing else value
    return shown, not missing


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


def compiled(template: str, inputs: Mapping[str, str], *, made: str) -> bytes:
    """Return a template of this package as a PDF.

    Args:
        template: name of its file.
        inputs: what it reads from `sys.inputs`.
        made: ISO 8601: the date that the file gives itself; 1970 where it is none.
    """
    import typst  # noqa: PLC0415  (only who asks for a PDF waits for the typesetter to load)

    source = files("lfr_kernel.governance.record").joinpath(template).read_bytes()
    return typst.compile(
        source,
        sys_inputs=dict(inputs),
        pdf_standards=list(STANDARDS),
        timestamp=_seconds(made),
        ignore_system_fonts=True,
    )


def _seconds(made: str) -> int:
    try:
        at = dt.datetime.fromisoformat(made)
    except ValueError:
        return 0
    return max(0, int((at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp()))
