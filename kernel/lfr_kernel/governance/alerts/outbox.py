"""The outbox: what each sink has yet to be given of the alerts in the vault. It lies in the database, with the alerts.

A delivery is written down once the sink has acknowledged it. Who is killed in between delivers again: a sink knows an
alert by its id. What cannot be delivered waits, or lies dead, until the alert expires, and goes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from lfr_kernel.governance.alerts.store import Kept, find, proposal_of
from lfr_kernel.governance.errors import RefusedError

if TYPE_CHECKING:
    from lfr_kernel.governance.vault import Vault
    from lfr_kernel.messages import Alert

__all__ = ["Outbox", "Waiting"]

SECOND_NS = 10**9
WHY_CHARS = 200
NEXT = """SELECT alerts.id FROM deliveries JOIN alerts ON alerts.id = deliveries.alert
    WHERE deliveries.sink = ? AND deliveries.state = 'waiting' AND alerts.deployment = ? AND alerts.expires_s > ?
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


class Outbox:
    """What one sink has yet to be given of one deployment. Every method blocks."""

    def __init__(self, vault: Vault, serial: int, sink: str) -> None:
        self._vault = vault
        self._serial = serial
        self._sink = sink

    def next(self) -> Waiting | None:
        """Return what was tried least often, the oldest first; None if nothing waits, or nothing can be read."""
        now_ns = self._vault.clocks().utc_ns
        rows = self._vault.database.query(NEXT, (self._sink, self._serial, now_ns // SECOND_NS))
        if not rows:
            return None
        try:
            kept = find(self._vault.database, rows[0][0])
            proposal = proposal_of(self._vault, kept)
        except RefusedError:
            return None  # its key is destroyed: the purge that did it removes the rest
        return Waiting(alert=proposal.alert, kept=kept, is_actionable=now_ns <= kept.act_by_ns)

    def waiting(self) -> int:
        """Return how many wait."""
        ((number,),) = self._vault.database.query(COUNT, (self._sink, self._serial))
        return int(number)

    def delivered(self, alert: str) -> None:
        """Write down that the sink has an alert for good. One that was purged meanwhile is left alone."""
        self._settle(alert, "delivered", "alert_delivered", None)

    def given_up(self, alert: str, why: str) -> None:
        """Write down that the sink refused an alert for good: a dead letter, which expires with the alert."""
        self._settle(alert, "dead", "alert_undeliverable", why)

    def failed(self, alert: str, why: str) -> None:
        """Write down that a delivery failed, and is to be tried again."""
        with self._vault.database.transaction() as transaction:
            transaction.execute(
                "UPDATE deliveries SET tries = tries + 1, why = ? WHERE alert = ? AND sink = ?",
                (why[:WHY_CHARS], alert, self._sink),
            )

    def _settle(self, alert: str, state: str, act: str, why: str | None) -> None:
        vault = self._vault
        with vault.database.transaction() as transaction:
            now_ns = vault.clocks().utc_ns
            done = transaction.execute(
                SETTLE,
                (state, now_ns, why and why[:WHY_CHARS], alert, self._sink),
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
