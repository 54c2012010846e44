"""The purge: what is too old is counted, then made unreadable, then removed; a signed receipt for each.

counted in the chain ─▶ key destroyed ─▶ rows removed, of one after the other ─▶ log emptied ─▶ receipts in the chain

Each step is harmless when it is done again, so a purge that was cut short is simply done again. Where the database
cannot be written the key is destroyed all the same: what was decided on those alerts is then not counted, and the
record says of how many.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from lfr_kernel.governance.alerts.custody import Bucket, Kind, buckets
from lfr_kernel.governance.alerts.states import case_of
from lfr_kernel.governance.alerts.store import expiring, proposal_of, steps_of
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.deployment.clockwork import STAMPED_TOLERANCE_S, hold_purges, is_held, known_time
from lfr_kernel.governance.deployment.register import find as find_deployment
from lfr_kernel.governance.errors import AuditError, BusyError, KeyFileError, RefusedError, SealError
from lfr_kernel.governance.instant import has_jumped, remember
from lfr_kernel.governance.record.counting import Settled, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lfr_kernel.governance.alerts.store import Kept
    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.vault import Vault

__all__ = ["Purged", "certain_ns", "is_log_emptied", "latest_ns", "purge", "settled"]

SECOND_NS = 10**9
FAR_S = 2**62
DONE: dict[str, str] = {"alert": "alerts_purged", "evidence": "pictures_purged"}
TABLES: dict[Kind, str] = {"alert": "alerts", "evidence": "pictures"}
ROWS_OF: dict[Kind, str] = {
    "alert": "DELETE FROM alerts WHERE deployment = :deployment AND expires_s = :expires_s",
    "evidence": "DELETE FROM pictures WHERE deployment = :deployment AND expires_s = :expires_s",
}
PICTURES = "SELECT count(*) FROM pictures WHERE deployment = ? AND expires_s = ?"
BEGUN = "SELECT body FROM purges WHERE kind = ? AND deployment = ? AND expires_s = ?"
BEGIN = "INSERT INTO purges (kind, deployment, expires_s, body) VALUES (?, ?, ?, ?)"
FINISH = "DELETE FROM purges WHERE kind = ? AND deployment = ? AND expires_s = ?"
TEXTS_OF = """DELETE FROM texts WHERE entry IN (
    SELECT entry FROM alerts WHERE deployment = :deployment AND expires_s = :expires_s
    UNION SELECT steps.entry FROM steps JOIN alerts ON alerts.id = steps.alert
    WHERE alerts.deployment = :deployment AND alerts.expires_s = :expires_s)"""


class Purged(Struct, frozen=True, kw_only=True):
    """What a purge removed."""

    kind: Kind | Literal["text"]
    deployment: int
    expires_s: int
    """When its time had come: UTC, in seconds since 1970."""
    count: int
    """Alerts, or pairs of pictures; 1 for the texts of a deployment."""


def certain_ns(vault: Vault, last: Instant | None = None) -> int | None:
    """Return the latest time that is certain to have come, UTC; None while nothing may be deleted by the clock.

    A clock that was set forward holds all purges, until somebody confirms it; one that was set back keeps nothing
    alive.

    Args:
        vault: the installation's.
        last: what is known of the time; looked for in the whole chain if not given.

    Raises:
        AuditError: the database cannot be written.
    """
    if is_held(vault.database):
        return None
    now, last = vault.clocks(), last or known_time(vault.database)
    if has_jumped(last, now, tolerance_s=STAMPED_TOLERANCE_S):
        with vault.database.transaction() as transaction:
            if hold_purges(transaction):
                vault.act(transaction, "clock_jumped", by=vault.signer, facts={"purges": "held"})
        return None
    return remember(last, now, tolerance_s=STAMPED_TOLERANCE_S).utc_ns


def latest_ns(vault: Vault, last: Instant | None) -> int:
    """Return the latest time that may have come, UTC: by the clock as it is, or by what is known of the time."""
    now = vault.clocks()
    return max(now.utc_ns, remember(last, now, tolerance_s=STAMPED_TOLERANCE_S).utc_ns)


def purge(vault: Vault, *, last: Instant | None = None) -> list[Purged]:
    """Remove the alerts and pictures whose time has come, and finish every purge that was begun. Blocks.

    Args:
        vault: the installation's; no other process purges there.
        last: see `certain_ns`.

    Returns:
        What was removed; empty while the clock holds purges.

    Raises:
        AuditError: the database cannot be written; keys were destroyed all the same.
        BusyError: somebody else is writing there; it is tried again by whoever is next.
        KeyFileError: a key could not be overwritten, or not removed; everything else was purged all the same.
    """
    if not _due(vault, None):
        return []
    last = last or known_time(vault.database)
    # Also by a clock that was set forward: then that is found out, and holds them.
    if not _due(vault, latest_ns(vault, last)):
        return []
    now_ns = certain_ns(vault, last)
    found = _begun(vault) if now_ns is None else _due(vault, now_ns)
    # Pictures before the alerts that they belong to, whose rows take theirs along.
    due = sorted(found, key=lambda one: (one.kind != "evidence", one.expires_s, one.deployment))
    removed: list[Purged] = []
    failure: KeyFileError | None = None
    try:
        for bucket in due:
            try:
                removed.append(_remove(vault, bucket))
            except KeyFileError as error:
                failure = failure or error
        purged = [one for one in removed if one.count]
        _sign_receipts(vault, purged)
    except BusyError:
        raise  # what is due is counted at the next try: nobody who holds up the database gets rid of the count
    except AuditError:
        # Nothing can be written: what is due becomes unreadable all the same.
        for bucket in due:
            with contextlib.suppress(KeyFileError):
                vault.keyring.destroy(bucket.keyname)
        raise
    if failure is not None:
        raise failure
    return purged


def _remove(vault: Vault, bucket: Bucket) -> Purged:
    """Do everything of a purge but the receipt."""
    number = _begin(vault, bucket)
    vault.keyring.destroy(bucket.keyname)
    if number:
        where = {"deployment": bucket.deployment, "expires_s": bucket.expires_s}
        with vault.database.transaction() as transaction:
            if bucket.kind == "alert":
                transaction.execute(TEXTS_OF, where)
            transaction.execute(ROWS_OF[bucket.kind], where)
    return Purged(kind=bucket.kind, deployment=bucket.deployment, expires_s=bucket.expires_s, count=number)


def _sign_receipts(vault: Vault, purged: Sequence[Purged]) -> None:
    if not purged:
        return
    # Once for all: it waits for whoever reads.
    is_emptied = is_log_emptied(vault)
    with vault.database.transaction() as transaction:
        for one in purged:
            facts = {
                "deployment": one.deployment,
                "expired": iso_of(one.expires_s * SECOND_NS),
                "count": one.count,
                "log_emptied": is_emptied,
            }
            transaction.execute(FINISH, (one.kind, one.deployment, one.expires_s))
            vault.act(transaction, DONE[one.kind], by=vault.signer, facts=facts)


def _begin(vault: Vault, bucket: Bucket) -> int:
    """Count in the chain what is about to go, unless that was done; return how many there are."""
    place = (bucket.kind, bucket.deployment, bucket.expires_s)
    with vault.database.transaction() as transaction:
        begun = vault.database.query(BEGUN, place)
        if begun:
            return int(begun[0][0])
        alerts = expiring(vault.database, bucket) if bucket.kind == "alert" else []
        number = len(alerts) if bucket.kind == "alert" else int(vault.database.query(PICTURES, place[1:])[0][0])
        if not number:
            return 0
        if bucket.kind == "alert":
            counted = count(settled(vault, alerts), are_expired=True)
            facts = {
                "deployment": bucket.deployment,
                "expired": iso_of(bucket.expires_s * SECOND_NS),
                "counted": msgspec.to_builtins(counted),
            }
            vault.act(transaction, "alerts_expired", by=vault.signer, facts=facts)
        transaction.execute(BEGIN, (*place, str(number)))
    return number


def settled(vault: Vault, alerts: Iterable[Kept]) -> Iterator[Settled]:
    """Yield alerts with what became of them; of one that cannot be read, that it was there."""
    for kept in alerts:
        try:
            handling = find_deployment(vault.database, kept.deployment).authorisation.handling
            yield Settled(kept=kept, proposal=proposal_of(vault, kept), case=case_of(steps_of(vault, kept), handling))
        except (RefusedError, AuditError, SealError, msgspec.DecodeError):
            yield Settled(kept=kept, proposal=None, case=None)


def _due(vault: Vault, now_ns: int | None) -> set[Bucket]:
    """Return what has expired: by the names of keys, by rows whose keys may be gone, and what was begun.

    Without a time: all there is.
    """
    now_s = FAR_S if now_ns is None else now_ns // SECOND_NS
    found = {one for one in buckets(vault.keyring) if one.expires_s <= now_s}
    for kind, table in TABLES.items():
        rows = vault.database.query(
            f"SELECT DISTINCT deployment, expires_s FROM {table} WHERE expires_s <= ?",  # noqa: S608
            (now_s,),
        )
        found |= {Bucket(kind=kind, deployment=serial, expires_s=expires_s) for serial, expires_s in rows}
    return found | set(_begun(vault))


def _begun(vault: Vault) -> list[Bucket]:
    rows = vault.database.query("SELECT kind, deployment, expires_s FROM purges WHERE kind != 'text'")
    return [Bucket(kind=kind, deployment=serial, expires_s=expires_s) for kind, serial, expires_s in rows]


def is_log_emptied(vault: Vault) -> bool:
    """Empty the log; return whether it could be, which another process may hold up that reads.

    What is left in it then is of no use without the key, and goes with the next purge.
    """
    try:
        vault.database.empty_log()
    except AuditError:
        return False
    return True
