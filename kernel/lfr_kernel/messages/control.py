"""Requests on the control lane: never behind data, never dropped, each answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from lfr_kernel.messages.biometric import Biometric

__all__ = ["Expire", "Recall", "Receipt", "Relist", "SetThreshold", "Wipe"]


class Recall(Struct, frozen=True, kw_only=True, tag=True):
    """Take a person off the live gallery at once and for good. Receiver: the index. Answer: Receipt."""

    person: str


class Relist(Struct, frozen=True, kw_only=True, eq=False, tag=True):
    """One of a person's photographs was withdrawn: from now on this is the template of the others.

    Receiver: the index, which copies it. Answer: Receipt of the rows that it took the place of.
    """

    person: str
    template: Biometric
    """float32 [D], L2-normalised; the sender's to erase."""

    def erase(self) -> None:
        """Overwrite the template."""
        self.template.erase()

    def __repr__(self) -> str:
        return "Relist"


class SetThreshold(Struct, frozen=True, kw_only=True, tag=True):
    """From now on only who reaches this similarity matches. Receiver: the index.

    Answer: Receipt of the matches that waited for the end of their passage and do not reach it.
    """

    threshold: float
    """Pooled cosine."""


class Wipe(Struct, frozen=True, kw_only=True, tag=True):
    """Overwrite the whole gallery and all pools. Receiver: the index. Answer: Receipt."""


class Expire(Struct, frozen=True, kw_only=True, tag=True):
    """Delete what you keep from before `before_ns` (UTC). Sender: retention. Answer: Receipt."""

    before_ns: int


class Receipt(Struct, frozen=True, kw_only=True, tag=True):
    """How many records were destroyed; never which."""

    destroyed: int
