"""What a governed list says of each photograph: its entry, the sealed row of it, and the verdict of the review."""

from __future__ import annotations

import base64
import datetime as dt  # noqa: TC003  (msgspec resolves the annotations)
import secrets
from typing import Literal

from msgspec import Struct

from lfr_kernel.governance.people.statements import Moment  # noqa: TC001  (likewise)

__all__ = [
    "ENTRY_BYTES",
    "ConvictionStatus",
    "Entry",
    "Row",
    "Verdict",
    "new_entry_id",
]

ENTRY_BYTES = 16
ConvictionStatus = Literal["convicted", "not-convicted", "unknown", "not-applicable"]


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One photograph of one person, and why it may be listed: a row of the manifest that keeps the pack's rules."""

    entry: str
    """Random; see `new_entry_id`. Acts name an entry by it, and it says nothing of who it is."""
    photo: str
    """Path within the manifest's folder."""
    person: str
    """The reference by which the operator's own records know the person."""
    category: str
    legal_basis: str
    source: str
    """The three are codes of the rule pack."""
    lawfully_held: str
    """By what right the photograph is held."""
    conviction_status: ConvictionStatus
    taken: dt.date
    added_by: str
    reason: str
    expires: Moment
    under_18: bool
    vulnerable: bool
    higher_authority: str
    """Who gave it; empty where none is needed."""
    response: str
    """What to do on an alert."""


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry with what the search needs of it: one sealed chunk of a list's file."""

    about: Entry
    template: bytes
    """float32 little-endian [D], L2-normalised."""
    portrait: bytes
    """As the reader's `StillCodec` packs it."""
    quality: float
    """In [0, 1]; see `FaceQualities.overall`."""
    question: str = ""
    """What a person must look at before the list is used: whom else the photograph resembles. Empty for most."""

    def __repr__(self) -> str:
        return f"<Row {self.about.entry}>"


class Verdict(Struct, frozen=True, kw_only=True):
    """What became of one row of a manifest."""

    line: int
    """Of the manifest, where the row begins."""
    entry: str
    photo: str
    person: str
    state: Literal["accepted", "questioned", "rejected"]
    """`questioned` rows are listed, and a person must look at them."""
    code: str
    """Of a rejection, why in one word; otherwise the state."""
    text: str
    """The sentence that goes with it."""


def new_entry_id() -> str:
    """Return a random id of 128 bits: `e-` and 26 lower-case letters and digits of base 32."""
    return "e-" + base64.b32encode(secrets.token_bytes(ENTRY_BYTES)).decode().rstrip("=").lower()
