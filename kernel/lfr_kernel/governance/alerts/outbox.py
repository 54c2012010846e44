"""The outbox: what each sink has yet to be given of the alerts in the vault. It lies in the database, with the alerts.

A delivery is written down once the sink has acknowledged it. Who is killed in between delivers again: a sink knows an
alert by its id. What cannot be delivered waits, or lies dead, until the alert expires, and goes with it.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lfr_kernel.governance.alerts.store import Kept, deliverable, find, proposal_of
from lfr_kernel.governance.errors import AuditError, RefusedError, SealError

if TYPE_CHECKING:
    from collections.abc import Collection

    from lfr_kernel.governance.alerts.statements import Proposal
    from lfr_kernel.governance.vault import Vault
    from lfr_kernel.messages import Alert

__all__ = ["Outbox", "Unreadable", "Waiting"]

SECOND_NS = 10**9
NEXT = """SELECT alerts.id FROM deliveries JOIN alerts ON alerts.id = deliveries.alert
    WHERE deliveries.sink = ? AND deliveries.state = 'waiting' AND alerts.deployment = ? AND alerts.expires_s > ?
        AND alerts.id NOT IN (SELECT value FROM json_each(?))
    ORDER BY deliveries.tries, alerts.raised_ns, alerts.id LIMIT 1"""
COUNT = """SELECT count(*) FROM deliveries JOIN alerts ON alerts.id = deliveries.alert
    WHERE deliveries.sink = ? AND deliveries.state = 'waiting' AND alerts.deployment = ?"""

SETTLE = """UPDATE deliveries SET state = ?, at_ns = ?, why = ?
    WHERE alert = ? AND sink = ? AND state = 'waiting'"""


class Waiting(Struct, frozen=True, kw_only=True):
    """An alert that a sink has yet to be given, as it is now."""

    alert: Alert
    kept: Kept
    is_actionable: bool
    """Whether it comes to this sink in time for anybody to act on it, whoever else had it before."""


class Unreadable(Struct, frozen=True, kw_only=True):
    """An alert that a sink has yet to be given, and of which nothing can be read."""

    alert: str
    """Its id."""
    why: str
    """`key_gone`, `changed` or `key_unreadable`."""
    is_final: bool
    """Whether it is a dead letter now. If not, the key is there: somebody may make it readable again."""


class Outbox:
    """What one sink has yet to be given of one deployment. Every method blocks."""

    def __init__(self, vault: Vault, serial: int, sink: str) -> None:
        self._vault = vault
        self._serial = serial
        self._sink = sink

    def next(self, but: Collection[str] = ()) -> Waiting | Unreadable | None:
        """Return what was tried least often, the oldest first; None if nothing waits.

        What cannot be read is written down as a dead letter, or as one more try that failed: it holds up no other.

        Args:
            but: ids of alerts that are to be passed over.

        Raises:
            AuditError: the database cannot be read or written.
        """
        now_ns = self._vault.clocks().utc_ns
        passed = msgspec.json.encode(sorted(but)).decode()
        rows = self._vault.database.query(NEXT, (self._sink, self._serial, now_ns // SECOND_NS, passed))
        if not rows:
            return None
        kept = find(self._vault.database, rows[0][0])
        read = self._read(kept)
        if not isinstance(read, Unreadable):
            return Waiting(alert=read.alert, kept=kept, is_actionable=now_ns <= kept.act_by_ns)
        (self.given_up if read.is_final else self.failed)(kept.id, read.why)
        return read

    def _read(self, kept: Kept) -> Proposal | Unreadable:
        if not self._has_key(kept):
            return Unreadable(alert=kept.id, why="key_gone", is_final=True)
        try:
            return proposal_of(self._vault, kept)
        except RefusedError:  # the key is there, or was a moment ago
            return Unreadable(alert=kept.id, why="key_unreadable", is_final=False)
        except AuditError as error:
            if isinstance(error.__cause__, sqlite3.Error):
                raise  # nothing is wrong with the alert: the whole database cannot be read
        except (SealError, msgspec.DecodeError, UnicodeDecodeError):
            pass
        return Unreadable(alert=kept.id, why="changed", is_final=True)

    def _has_key(self, kept: Kept) -> bool:
        try:
            return deliverable(self._vault, kept)
        except OSError:
            return True  # it may not be read

    def waiting(self) -> int:
        """Return how many wait."""
        ((number,),) = self._vault.database.query(COUNT, (self._sink, self._serial))
        return int(number)

    def delivered(self, alert: str) -> None:
        """Write down that the sink has an alert for good. One that was purged meanwhile is left alone."""
        self._settle(alert, "delivered", "alert_delivered", None)

    def given_up(self, alert: str, why: str) -> None:
        """Write down that an alert is never delivered to the sink: a dead letter, which expires with the alert.

        Args:
            alert: its id.
            why: a word, in clear: no text of anybody's, which may quote whom the alert names.
        """
        self._settle(alert, "dead", "alert_undeliverable", why)

    def failed(self, alert: str, why: str) -> None:
        """Write down that a delivery failed, and is to be tried again; see `given_up`."""
        with self._vault.database.transaction() as transaction:
            transaction.execute(
                "UPDATE deliveries SET tries = tries + 1, why = ? WHERE alert = ? AND sink = ?",
                (why, alert, self._sink),
            )

    def _settle(self, alert: str, state: str, act: str, why: str | None) -> None:
        vault = self._vault
        with vault.database.transaction() as transaction:
            now_ns = vault.clocks().utc_ns
            done = transaction.execute(
                SETTLE,
                (state, now_ns, why, alert, self._sink),
            )
            if done.rowcount != 1:
                return
            kept = find(vault.database, alert)
            facts = {"deployment": kept.deployment, "alert": alert, "sink": self._sink}
            if state == "delivered":
                facts |= {"actionable": now_ns <= kept.act_by_ns}
                transaction.execute(
                    "UPDATE alerts SET delivered_ns = coalesce(delivered_ns, ?) WHERE id = ?", (now_ns, alert)
                )
            vault.act(transaction, act, by=vault.signer, facts=facts)
