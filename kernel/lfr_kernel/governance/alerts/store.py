"""Alerts in the vault's database: kept in one transaction with their entry and their deliveries, and read again.

In clear lie ids, times and states. Everything else is under a key that dies with the alert, or with its pictures.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.alerts.custody import Bucket, Kind
from lfr_kernel.governance.alerts.statements import Pictures, Proposal, Step, StepBody
from lfr_kernel.governance.alerts.states import State
from lfr_kernel.governance.audit.chain import ns_of, text_digest
from lfr_kernel.governance.deployment.register import find as find_deployment
from lfr_kernel.governance.errors import AuditError, KeyFileError, RefusedError
from lfr_kernel.governance.keys.sealing import unwrap, wrap
from lfr_kernel.governance.standing import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lfr_kernel.governance.audit.database import Database
    from lfr_kernel.governance.vault import Vault

__all__ = [
    "Kept",
    "deliverable",
    "expiring",
    "find",
    "is_purging",
    "is_suspended",
    "keep",
    "listed",
    "pictures_of",
    "proposal_of",
    "steps_of",
]

T = TypeVar("T")
COLUMNS = "id, deployment, entry, camera, raised_ns, act_by_ns, delivered_ns, state, expires_s"
STEPS = """SELECT steps.entry, entries.body FROM steps JOIN entries ON entries.number = steps.entry
    WHERE steps.alert = ? ORDER BY steps.entry"""

SUSPENSIONS = """SELECT act FROM entries WHERE act IN ('alerts_suspended', 'alerts_resumed')
    AND json_extract(body, '$.facts.deployment') = ? ORDER BY number DESC LIMIT 1"""
PURGING = "SELECT 1 FROM purges WHERE kind = ? AND deployment = ? AND expires_s = ?"
ROWS: dict[Kind, str] = {
    "alert": "SELECT 1 FROM alerts WHERE deployment = ? AND expires_s = ? LIMIT 1",
    "evidence": "SELECT 1 FROM pictures WHERE deployment = ? AND expires_s = ? LIMIT 1",
}


class Kept(Struct, frozen=True, kw_only=True):
    """What can be read of an alert without its key."""

    id: str
    deployment: int
    """Its serial number."""
    entry: int
    """Of the chain: the one that raised it."""
    camera: str
    raised_ns: int
    """UTC, as all times here."""
    act_by_ns: int
    delivered_ns: int | None
    """When somebody or something first had it; None: nobody yet."""
    state: State
    """To everybody alike: while two people assess, it tells nobody that one of them has."""
    expires_s: int

    @property
    def bucket(self) -> Bucket:
        """Whose key it is under."""
        return Bucket(kind="alert", deployment=self.deployment, expires_s=self.expires_s)

    def is_actionable(self, now_ns: int) -> bool:
        """Whether it came in time for somebody to act on it."""
        return (now_ns if self.delivered_ns is None else self.delivered_ns) <= self.act_by_ns


def keep(
    vault: Vault,
    serial: int,
    proposal: Proposal,
    pictures: Pictures,
    *,
    expires: tuple[int, int],
    sinks: Sequence[str],
) -> bool:
    """Keep an alert for good: with its entry in the chain, its pictures, and a delivery for every sink. Blocks.

    Args:
        vault: the installation's.
        serial: of the deployment.
        proposal: what is proposed.
        pictures: to decide by.
        expires: of the alert, and of the pictures; see `expiry_s`.
        sinks: their names.

    Returns:
        Whether it was kept. False: the deployment is not open any more, or its alerts are suspended, and nothing was.
        An alert that is there already is left as it is.

    Raises:
        AuditError: the database cannot be written; nothing was.
        KeyFileError: there is no key to keep it under.
    """
    alert = proposal.alert
    bucket = _bucket(vault, Bucket(kind="alert", deployment=serial, expires_s=expires[0]))
    # Each was rounded by itself, and no picture outlives its alert.
    evidence = _bucket(vault, Bucket(kind="evidence", deployment=serial, expires_s=min(expires[1], bucket.expires_s)))
    key, picture_key = bucket.key(vault.keyring), evidence.key(vault.keyring)
    sealed = wrap(picture_key, msgspec.msgpack.encode(pictures), _purpose(alert.id))
    with vault.database.transaction() as transaction:
        if find_deployment(vault.database, serial).stage is not Stage.OPEN or is_suspended(vault.database, serial):
            return False
        if vault.database.query("SELECT 1 FROM alerts WHERE id = ?", (alert.id,)):
            return True
        entry = vault.act(
            transaction,
            "alert_raised",
            by=vault.signer,
            facts={"deployment": serial, "alert": alert.id, "camera": alert.camera},
            text=msgspec.json.encode(proposal).decode(),
            text_key=key,
        )
        transaction.execute(
            f"INSERT INTO alerts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                alert.id, serial, entry.number, alert.camera, alert.alerted_at_ns,
                alert.act_by_ns or alert.alerted_at_ns, None, State.OPEN, bucket.expires_s,
            ),
        )  # fmt: skip
        transaction.execute(
            "INSERT INTO pictures (alert, deployment, expires_s, sealed) VALUES (?, ?, ?, ?)",
            (alert.id, serial, evidence.expires_s, sealed),
        )
        for sink in sinks:
            transaction.execute(
                "INSERT INTO deliveries (alert, sink, state) VALUES (?, ?, 'waiting')", (alert.id, sink)
            )
    return True


def is_suspended(database: Database, serial: int) -> bool:
    """Return whether the stop rule lets no alert of a deployment out, by what is signed in the chain."""
    rows = database.query(SUSPENSIONS, (serial,))
    return bool(rows) and rows[0][0] == "alerts_suspended"


def is_purging(database: Database, bucket: Bucket) -> bool:
    """Return whether what expires together was counted, and is being removed: nothing more may become of it."""
    return bool(database.query(PURGING, (bucket.kind, bucket.deployment, bucket.expires_s)))


def _bucket(vault: Vault, bucket: Bucket) -> Bucket:
    """Return where something is to be kept: a little earlier where rows lie whose key is lost. None is made anew."""
    while not vault.keyring.has(bucket.keyname) and vault.database.query(
        ROWS[bucket.kind], (bucket.deployment, bucket.expires_s)
    ):
        bucket = structs.replace(bucket, expires_s=bucket.expires_s - 1)
    return bucket


def find(database: Database, alert: str) -> Kept:
    """Return an alert by its id, or by the beginning of it if that is the only one.

    Raises:
        RefusedError: there is none, or there are several.
    """
    rows = database.query(
        f"SELECT {COLUMNS} FROM alerts WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",  # noqa: S608
        (alert, alert + "\N{DELETE}"),
    )
    if not alert or not rows:
        raise RefusedError(
            f"there is no alert {alert!r}: it never was here, or has expired and is gone; lfr-kernel alerts list shows "
            "those there are"
        )
    if len(rows) > 1:
        raise RefusedError(f"several alerts begin with {alert!r}: give more of its id")
    return _kept(rows[0])


def listed(
    database: Database,
    *,
    deployment: int | None = None,
    states: Collection[State] = (),
    limit: int | None = None,
) -> list[Kept]:
    """Return alerts, the newest first. Needs no key.

    Args:
        database: of the vault.
        deployment: of which alone; None: of all.
        states: only those; empty: all.
        limit: how many at most.
    """
    where, params = ["1"], list[object]()
    if deployment is not None:
        where.append("deployment = ?")
        params.append(deployment)
    if states:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        params += sorted(states)
    rows = database.query(
        f"SELECT {COLUMNS} FROM alerts WHERE {' AND '.join(where)} ORDER BY raised_ns DESC, id LIMIT ?",  # noqa: S608
        (*params, -1 if limit is None else limit),
    )
    return [_kept(row) for row in rows]


def expiring(database: Database, bucket: Bucket) -> list[Kept]:
    """Return the alerts that share a time of expiry, the oldest first."""
    rows = database.query(
        f"SELECT {COLUMNS} FROM alerts WHERE deployment = ? AND expires_s = ? ORDER BY entry",  # noqa: S608
        (bucket.deployment, bucket.expires_s),
    )
    return [_kept(row) for row in rows]


def proposal_of(vault: Vault, kept: Kept) -> Proposal:
    """Return what was proposed. Raises as `steps_of` does."""
    ((body,),) = vault.database.query("SELECT body FROM entries WHERE number = ?", (kept.entry,))
    return _text(vault, kept, kept.entry, body, Proposal)


def steps_of(vault: Vault, kept: Kept) -> list[Step]:
    """Return the steps that people took, in order.

    Raises:
        RefusedError: the alert has expired: its key is gone.
        AuditError: what lies there is not what was signed.
    """
    found = []
    for number, body in vault.database.query(STEPS, (kept.id,)):
        entry = msgspec.json.decode(body)
        taken: StepBody = _text(vault, kept, number, body, StepBody)  # type: ignore[arg-type]  # (a union)
        found.append(
            Step(entry=number, at_ns=ns_of(entry["at"]), by=entry["by"], reason=entry.get("reason"), body=taken)
        )
    return found


def pictures_of(vault: Vault, kept: Kept) -> Pictures | None:
    """Return both pictures; None once they have expired.

    Raises:
        SealError: what lies there was changed.
    """
    rows = vault.database.query("SELECT expires_s, sealed FROM pictures WHERE alert = ?", (kept.id,))
    if not rows:
        return None
    bucket = Bucket(kind="evidence", deployment=kept.deployment, expires_s=rows[0][0])
    if not vault.keyring.has(bucket.keyname):
        return None
    return msgspec.msgpack.decode(unwrap(bucket.key(vault.keyring), rows[0][1], _purpose(kept.id)), type=Pictures)


def deliverable(vault: Vault, kept: Kept) -> bool:
    """Return whether the key is there under which an alert lies: without it nothing of it can be delivered."""
    return vault.keyring.has(kept.bucket.keyname)


def _text(vault: Vault, kept: Kept, number: int, body: str, into: type[T]) -> T:
    try:
        key = vault.keyring.get(kept.bucket.keyname)
    except KeyFileError:
        raise RefusedError(
            f"alert {kept.id} has expired: its key is destroyed, and nothing of it can be read"
        ) from None
    text = vault.database.text(number, key)
    signed = msgspec.json.decode(body).get("text")
    if text is None or signed is None or not hmac.compare_digest(text_digest(text, key), signed):
        raise AuditError(
            f"entry {number} of the audit: what is kept of alert {kept.id} is not what was signed there; keep the "
            "vault as it is and verify the audit (lfr-kernel audit verify)"
        )
    return msgspec.json.decode(text, type=into)


def _kept(row: tuple[object, ...]) -> Kept:
    names = COLUMNS.split(", ")
    return msgspec.convert(dict(zip(names, row, strict=True)), Kept)


def _purpose(alert: str) -> bytes:
    return f"lfr-alert-pictures-1 {alert}".encode()
