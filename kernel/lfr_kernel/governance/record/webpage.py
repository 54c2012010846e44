"""A document as one HTML file: no script, nothing remote, light and dark, and fit for print and for screen readers."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from lfr_kernel.governance.record.page import legible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_kernel.governance.record.page import Document

__all__ = ["filled", "render"]

TEMPLATE = "record.html.j2"


def render(document: Document) -> str:
    """Return a document as HTML."""
    return filled(TEMPLATE, {"doc": msgspec.to_builtins(legible(document))})


def filled(template: str, values: Mapping[str, object]) -> str:
    """Return a template of this package, filled in. Every text in `values` is escaped.

    Args:
        template: name of its file.
        values: what it names.
    """
    import jinja2  # noqa: PLC0415  (only who asks for HTML waits for it to load)

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    source = files("lfr_kernel.governance.record").joinpath(template).read_text("utf-8")
    return environment.from_string(source).render(values)
