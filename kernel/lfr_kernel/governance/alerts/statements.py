"""What is written of an alert, sealed under its key: what the machine proposed, and each step that a person took.

Each is the text of an entry of the chain, which holds its keyed digest: it was signed with the entry, cannot be changed
under it, and is gone with the key.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from lfr_kernel.governance.alerts.vocabulary import (
    Cause,
    Force,
    Grounds,
    Known,
    Outcome,
    Proof,
    Truth,
    Verdict,
)
from lfr_kernel.governance.lists.entries import Entry  # noqa: TC001
from lfr_kernel.messages import Alert  # noqa: TC001

__all__ = ["Assessed", "Closed", "Described", "Engaged", "Looked", "Pictures", "Proposal", "Step", "StepBody"]

FreeText: TypeAlias = Annotated[str, Meta(max_length=4_000)]


class Proposal(Struct, frozen=True, kw_only=True):
    """What the machine proposed, with what whoever decides has to know of the entry."""

    alert: Alert
    about: Entry | None
    """The entry of the list whose photograph is shown; None if it was withdrawn meanwhile."""


class Pictures(Struct, frozen=True, kw_only=True):
    """Both pictures, as the reader's `StillCodec` packs them."""

    reader: str
    """Name of the camera plugin that unpacks them."""
    probe: bytes
    """The aligned crop that was compared, with the faces of others in it made unrecognisable."""
    listed: bytes | None
    """The listed photograph; None if its entry was withdrawn meanwhile."""

    def __repr__(self) -> str:
        return "<Pictures>"


class Described(Struct, frozen=True, kw_only=True):
    """Something about somebody that a person recorded, with how it is known and by whom."""

    value: str
    """A code."""
    known: Known
    by: str
    """Who saw or was told it; empty where nothing is recorded."""


class Looked(Struct, frozen=True, kw_only=True, tag="looked"):
    """Somebody looked at an alert. Why stands in the entry."""

    pictures: bool
    """Whether both pictures were shown: nobody decides to engage on anything else."""


class Assessed(Struct, frozen=True, kw_only=True, tag="assessed"):
    """Somebody compared the pictures and made up their mind."""

    alert: str
    verdict: Verdict
    text: FreeText = ""
    salt: str
    """Random, hexadecimal: so that nobody can tell the verdict from its digest by trying both."""
    corrects: int | None = None
    """Number of the entry that was a mistake."""


class Engaged(Struct, frozen=True, kw_only=True, tag="engaged"):
    """Somebody was stopped and spoken to, or otherwise engaged."""

    power: str
    """A code of the pack."""
    searched: bool
    force: Force
    minutes: Annotated[float, Meta(ge=0, le=2_880)]
    """How long the person was held up."""
    explained: bool
    """Whether they were told why they were engaged."""
    complaint_route: bool
    """Whether they were told where to complain."""
    text: FreeText = ""
    corrects: int | None = None


class Closed(Struct, frozen=True, kw_only=True, tag="closed"):
    """What came of it, and whether it was the right person."""

    outcome: Outcome | None
    """None: nobody was engaged, and only the truth was established."""
    truth: Truth
    proof: Proof
    grounds: Grounds = Grounds.NOT_RECORDED
    case: Annotated[str, Meta(max_length=200)] = ""
    """Reference of the case elsewhere."""
    arrests: Annotated[int, Meta(ge=0, le=100)] = 0
    """Arrests from the alert."""
    cause: Cause | None = None
    """Of a false alert; None: nobody knows."""
    sex: Described | None = None
    age: Described | None = None
    ethnicity: Described | None = None
    """The three of whoever was falsely alerted on; None otherwise. `value`: `Sex`, `AgeBand`, a code of the pack."""
    text: FreeText = ""
    corrects: int | None = None


StepBody: TypeAlias = Looked | Assessed | Engaged | Closed


class Step(Struct, frozen=True, kw_only=True):
    """A step as the chain has it."""

    entry: int
    """Its number."""
    at_ns: int
    by: str
    """Such as `person ada`."""
    reason: str | None
    """A code."""
    body: StepBody
