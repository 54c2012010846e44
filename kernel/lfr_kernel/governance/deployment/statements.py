"""What is signed about a deployment: authorisation, extensions, changes of threshold, and the receipt of its wipe."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from lfr_kernel.governance.alerts.handling import Handling  # noqa: TC001  (msgspec resolves the annotations)
from lfr_kernel.governance.tested import FiguresAt  # noqa: TC001

__all__ = [
    "AUTHORITY",
    "EXTENSION",
    "RECEIPT",
    "THRESHOLD",
    "Authorisation",
    "Extension",
    "Head",
    "ThresholdChange",
    "WipeReceipt",
]

AUTHORITY, EXTENSION, RECEIPT = "authority", "authority-extension", "wipe-receipt"
THRESHOLD = "threshold-change"
"""The kinds of envelope that the statements below come in."""

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", title="a SHA-256, hexadecimal")]
Time = Annotated[str, Meta(title="ISO 8601, UTC")]


class Head(Struct, frozen=True, kw_only=True):
    """An entry of the audit chain."""

    number: int
    digest: Digest


class Authorisation(Struct, frozen=True, kw_only=True):
    """What an authoriser signs: the authority as it was written, and exactly what may run under it."""

    serial: int
    """Of the deployment. Contiguous on an installation, whatever becomes of it."""
    installation: str
    authority: str
    """Its id."""
    document: Digest
    """SHA-256 of authority.toml. Its text stands elsewhere, encrypted: a chain is never erased."""
    pack: str
    pack_digest: Digest
    profile: str
    profile_digest: Digest
    list: str
    """Id of the watchlist."""
    root: Digest
    """Of its Merkle tree."""
    entries: int
    handling: Handling
    """Of its alerts."""
    after: Head
    """The entry that closed the deployment before; for the first one, the entry that founded the vault."""
    by: str
    at: Time


class Extension(Struct, frozen=True, kw_only=True):
    """What an authoriser signs to let a deployment go on."""

    serial: int
    installation: str
    authority: str
    was: Time
    ends: Time
    by: str
    at: Time


class ThresholdChange(Struct, frozen=True, kw_only=True):
    """What two people sign to change the threshold of a deployment: first who proposes it, then who confirms it."""

    serial: int
    installation: str
    authority: str
    was: float
    threshold: float
    report: Digest | None
    """SHA-256 of the evaluation report that the figures are from; None: the profile cites none."""
    before: FiguresAt
    """At the threshold that it was."""
    after: FiguresAt
    """At the new one."""
    reason: str
    """A code. In words it stands elsewhere, encrypted."""
    confirms: Head | None
    """The entry that proposed it; None: this is the proposal."""
    by: str
    at: Time


class WipeReceipt(Struct, frozen=True, kw_only=True):
    """What the installation signs when a list is gone: counts and commitments, and nothing of what was in it.

    A commitment is HMAC-SHA256 of the sealed row under a salt that was made from the deployment's key and died with it.
    They show how many rows there were, each another one; whoever holds a photograph can test nothing with them.
    """

    installation: str
    serial: int
    authority: str
    list: str
    root: Digest
    entries: int
    """Rows that the list had, withdrawn ones included."""
    withdrawn: int
    """How many entries were recalled or expired before the end, by the acts in the chain."""
    opened: Time | None
    """None: it never was."""
    ended: Time
    why: str
    ending: str
    passages_seen: int
    alerts: int
    steps: tuple[tuple[str, Time], ...]
    """When each step of the wipe was done, in order."""
    commitments: tuple[Digest, ...]
    """In ascending order. Empty for a list that was never opened."""
