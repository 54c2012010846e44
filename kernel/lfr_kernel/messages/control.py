"""Requests on the control lane: never behind data, never dropped, each answered."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Expire", "Recall", "Receipt", "Wipe"]


class Recall(Struct, frozen=True, kw_only=True, tag=True):
    """Take a person off the live gallery at once and for good. Receiver: the index. Answer: Receipt."""

    person: str


class Wipe(Struct, frozen=True, kw_only=True, tag=True):
    """Overwrite the whole gallery and all pools. Receiver: the index. Answer: Receipt."""


class Expire(Struct, frozen=True, kw_only=True, tag=True):
    """Delete what you keep from before `before_ns` (UTC). Sender: retention. Answer: Receipt."""

    before_ns: int


class Receipt(Struct, frozen=True, kw_only=True, tag=True):
    """How many records were destroyed; never which."""

    destroyed: int
