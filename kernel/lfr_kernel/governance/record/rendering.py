"""The formats of a document, by the name that commands give them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from lfr_kernel.governance.record import markdown, pdf, spreadsheet, terminal, webpage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfr_kernel.governance.record.page import Document

__all__ = ["BINARY", "FORMATS"]


def _encoded(render: Callable[[Document], str]) -> Callable[[Document], bytes]:
    return lambda document: render(document).encode()


FORMATS: Mapping[str, Callable[[Document], bytes]] = MappingProxyType(
    {
        "text": _encoded(terminal.render),
        "md": _encoded(markdown.render),
        "html": _encoded(webpage.render),
        "pdf": pdf.render,
        "csv": _encoded(spreadsheet.render),
    }
)
"""What makes a file of each; UTF-8 where it is text. `terminal.renderable` is for a console that knows its width."""
BINARY = frozenset({"pdf"})
"""Those that are no text, and have no business on a terminal."""
