"""What can be set on the built-in anchor sinks."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["FileAnchorConfig", "PrintAnchorConfig"]


class FileAnchorConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the anchor sink `file`."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="the file that gets one line an anchor, in a folder that exists: on a medium that leaves the "
            "machine, for whoever can rewrite the audit can rewrite a file beside it",
        ),
    ]


class PrintAnchorConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the anchor sink `print`."""

    qr: Annotated[bool, Meta(description="also as a QR code, for an auditor's telephone")] = True
