"""A sign as a file: a poster on paper, a page on a screen, or text."""

from __future__ import annotations

import io
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
import segno
from msgspec import structs

from lfr_kernel.governance.record.page import each_text, legible_text
from lfr_kernel.governance.record.pdf import compiled, printable_only
from lfr_kernel.governance.record.webpage import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lfr_kernel.governance.record.notice import Sign

__all__ = ["SIGN_FORMATS", "sign_html", "sign_pdf", "sign_text"]

BORDER = 2
"""Modules of white around a QR code, on ground that is white already."""


def sign_text(sign: Sign) -> str:
    """Return a sign as plain text."""
    one = _legible(sign)
    lines = [one.mark, one.heading.upper(), one.organisation, ""]
    lines += [f"Where  {one.place}", f"When   {one.when}", f"Why    {one.why}", ""]
    lines += [f"- {point}" for point in one.points]
    lines += ["", f"Questions and complaints: {one.contact}", f"Authority {one.authority}"]
    return "\n".join(lines).lstrip("\n") + "\n"


def sign_html(sign: Sign) -> str:
    """Return a sign as one HTML file without script, landscape when it is printed."""
    one = _legible(sign)
    return filled("sign.html.j2", {"sign": structs.asdict(one), "code": _code(one.address)})


def sign_pdf(sign: Sign) -> bytes:
    """Return a sign as a PDF on A3, landscape; it can be printed on A4. See `pdf.render`."""
    one, _ = printable_only(_legible(sign))
    # The code is of the address as it is, and not as the fonts can show it.
    inputs = {"sign": msgspec.json.encode(one).decode(), "code": _code(sign.address)}
    return compiled("sign.typ", inputs, made=sign.made)


def _legible(sign: Sign) -> Sign:
    cleaned: Sign = each_text(sign, legible_text)
    return cleaned


def _code(address: str) -> str:
    """Return an address as a QR code, SVG; empty for none."""
    if not address:
        return ""
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        out, kind="svg", border=BORDER, xmldecl=False, svgns=True, nl=False, dark="#000", light="#fff", omitsize=True
    )
    return out.getvalue().decode()


SIGN_FORMATS: Mapping[str, Callable[[Sign], bytes]] = MappingProxyType(
    {
        "text": lambda sign: sign_text(sign).encode(),
        "html": lambda sign: sign_html(sign).encode(),
        "pdf": sign_pdf,
    }
)
"""What makes a file of each; UTF-8 where it is text."""
