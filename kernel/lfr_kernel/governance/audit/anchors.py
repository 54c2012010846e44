"""Anchors: number, head and time of the chain, on paper or on another machine, where nobody here can change them."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import Struct

from lfr_kernel.governance.audit.checkpoints import checkpoint
from lfr_kernel.governance.errors import AuditError
from lfr_kernel.runtime import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_kernel.governance.audit.database import Database, Transaction
    from lfr_kernel.governance.keys.keyring import Keyring

__all__ = ["Anchor", "AnchorSink", "anchor", "anchor_of", "deliver_anchors", "qr_of"]

KIND = "anchor"
LINE = re.compile(r"lfr-anchor 1 (?P<installation>\S+) (?P<number>[1-9]\d*) (?P<head>[0-9a-f]{64}) (?P<at>\S+)\Z")


class AnchorSink(Protocol):
    """Takes anchors off this machine, or onto paper.

    `deliver` blocks; it is called on a lane of its own, one call at a time. What it raises means that the anchor was
    not taken: it stays in the outbox and is tried again, so delivering one line twice has to do no harm.
    """

    def deliver(self, line: str) -> None:
        """Take one anchor, without a line feed; return once it is kept for good."""


class Anchor(Struct, frozen=True, kw_only=True):
    """One anchor."""

    installation: str
    """Its id, without blanks."""
    number: int
    """Of the last entry."""
    head: str
    """That entry's digest: 64 hexadecimal digits."""
    at: str
    """That entry's time, ISO 8601 UTC."""

    @property
    def line(self) -> str:
        """As it is printed."""
        return f"lfr-anchor 1 {self.installation} {self.number} {self.head} {self.at}"

    @classmethod
    def parse(cls, line: str) -> Anchor:
        """Read a printed line.

        Raises:
            ValueError: it is no anchor.
        """
        found = LINE.match(line.strip())
        if found is None:
            raise ValueError(f"expected `lfr-anchor 1 INSTALLATION NUMBER HEAD TIME`, got {line.strip()[:120]!r}")
        return cls(installation=found["installation"], number=int(found["number"]), head=found["head"], at=found["at"])


def anchor(transaction: Transaction, keyring: Keyring, installation: str) -> Anchor:
    """Append a checkpoint, and put the anchor of it into the outbox in the same transaction.

    Raises:
        AuditError, KeyFileError: see `checkpoint`.
    """
    entry = checkpoint(transaction, keyring)
    made = Anchor(installation=installation, number=entry.number, head=entry.digest, at=entry.at)
    transaction.enqueue(KIND, {"line": made.line})
    return made


def anchor_of(database: Database, installation: str | None = None) -> Anchor:
    """Return the anchor of the head as it is; nothing is written.

    Args:
        database: of the vault.
        installation: its id; by default the one that the first entry names.

    Raises:
        AuditError: there is no entry yet, or the first names no installation.
    """
    last = database.query("SELECT number, digest, at FROM entries ORDER BY number DESC LIMIT 1")
    if not last:
        raise AuditError(f"{database.path}: the audit has no entry yet, so there is nothing to anchor")
    number, head, at = last[0]
    return Anchor(installation=installation or _installation_of(database), number=number, head=head, at=at)


def deliver_anchors(database: Database, sinks: Mapping[str, AnchorSink]) -> list[str]:
    """Give each sink, oldest first, the anchors that it has not taken; what fails stays and is tried the next time.

    A sink that fails gets no later anchors in this call. An anchor that every sink has taken leaves the outbox. Blocks.

    Returns:
        What went wrong, a text for each sink that failed.

    Raises:
        AuditError: what was taken cannot be written down.
    """
    problems: dict[str, str] = {}
    for number, payload in database.pending(KIND) if sinks else ():
        taken = {name for (name,) in database.query("SELECT sink FROM taken WHERE number = ?", (number,))}
        new = [name for name in sinks if name not in taken and name not in problems]
        failed = {name: why for name in new if (why := _failure(sinks[name], payload["line"])) is not None}
        problems |= failed
        taken |= set(new) - set(failed)
        with database.transaction() as transaction:
            if taken >= set(sinks):
                transaction.delivered(number)
            else:
                for name in set(new) - set(failed):
                    transaction.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (number, name))
    return [f"anchor sink {name}: {why}" for name, why in problems.items()]


def qr_of(line: str) -> str:
    """Return a line as a QR code for a terminal, in block characters."""
    import segno  # noqa: PLC0415  (whoever makes or verifies an anchor draws none)

    out = io.StringIO()
    segno.make(line, error="m", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue()


def _failure(sink: AnchorSink, line: str) -> str | None:
    try:
        sink.deliver(line)
    except Exception as error:  # noqa: BLE001  (a sink's failure is tried again, not spread)
        return describe(error)
    return None


def _installation_of(database: Database) -> str:
    body = database.query("SELECT body FROM entries WHERE number = 1")[0][0]
    try:
        payload = msgspec.json.decode(body)["facts"]["certificate"]["payload"]
        statement: dict[str, Any] = msgspec.json.decode(base64.b64decode(payload))
        return str(statement["installation"])
    except (KeyError, TypeError, ValueError) as error:
        raise AuditError(f"{database.path}: entry 1 names no installation ({describe(error)})") from error
