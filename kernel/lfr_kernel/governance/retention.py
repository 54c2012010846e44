"""How long what is: one clock for each class of record, with its ceiling from the rule pack.

`alert`: what was decided, from when it was raised. `evidence`: its pictures, likewise. `text`: free texts and the
authority of a deployment, from its end; by then its record is signed. A watchlist goes with its deployment (see
`deployment.wiping`), and faces that were not matched are never kept at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lfr_kernel.governance.alerts.purging import Purged, certain_ns, is_log_emptied, latest_ns, purge
from lfr_kernel.governance.alerts.store import listed
from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.deployment.clockwork import is_held, known_time
from lfr_kernel.governance.deployment.register import Deployment, deployments
from lfr_kernel.governance.errors import AuditError, BusyError
from lfr_kernel.governance.record.making import finalise
from lfr_kernel.governance.standing import Stage
from lfr_kernel.runtime import LfrError

if TYPE_CHECKING:
    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.vault import Vault

__all__ = ["ClassStatus", "DeploymentStatus", "Status", "retain", "status"]

SECOND_NS = 10**9
TEXTS = "text-"
DOCUMENTS = "SELECT serial FROM deployments WHERE document IS NOT NULL"
BEGUN = "SELECT deployment FROM purges WHERE kind = 'text'"
TEXTS_OF = """DELETE FROM texts WHERE
    (SELECT json_extract(body, '$.facts.deployment') FROM entries WHERE number = texts.entry) = ?"""
ALERTS = "SELECT count(*), min(expires_s), max(expires_s) FROM alerts WHERE deployment = ?"
PICTURES = "SELECT count(*), min(expires_s), max(expires_s) FROM pictures WHERE deployment = ?"
RECEIPTS = """SELECT body FROM entries WHERE act IN ('alerts_purged', 'pictures_purged', 'texts_purged')
    ORDER BY number DESC LIMIT 1"""


class ClassStatus(Struct, frozen=True, kw_only=True):
    """What there is of one class of record."""

    ceiling_s: float
    """How long one is kept at most, in seconds."""
    count: int
    next_purge: str | None
    """When the first of it goes, UTC; None: there is nothing, or its clock has not begun."""
    last_purge: str | None
    """When the last of it goes."""


class DeploymentStatus(Struct, frozen=True, kw_only=True):
    """What is kept of one deployment."""

    deployment: int
    authority: str
    stage: str
    alert: ClassStatus
    evidence: ClassStatus
    text: ClassStatus
    """One or none."""


class Status(Struct, frozen=True, kw_only=True):
    """What is kept on an installation, and until when."""

    deployments: tuple[DeploymentStatus, ...]
    """Those of which anything is kept."""
    is_held: bool
    """Whether nothing is deleted by the clock, which was set forward, until somebody confirms it."""
    unfinished: int
    """Purges that were begun and have no receipt yet."""
    last_receipt: dict[str, object] | None
    """The newest receipt, as the chain has it."""


def retain(vault: Vault, *, last: Instant | None = None) -> list[Purged]:
    """Destroy what is too old, with a receipt for each, and finish what was begun. Blocks; see `purge`.

    Whatever stands in the way of one thing keeps nothing else from being destroyed.
    """
    failures: list[LfrError] = []
    purged: list[Purged] = []
    try:
        purged += purge(vault, last=last)
    except LfrError as error:
        failures.append(error)
    kept = _with_texts(vault)
    last = last or (known_time(vault.database) if kept else None)
    begun = {serial for (serial,) in vault.database.query(BEGUN)}
    # Also by a clock that was set forward: then that is found out, and holds them.
    may_be_ns = latest_ns(vault, last)
    for deployment in kept:
        try:
            if deployment.serial in begun:
                purged.append(_finish(vault, deployment))
            elif _text_end_ns(deployment) <= may_be_ns and _is_due(vault, deployment, last):
                _begin(vault, deployment.serial)
                purged.append(_finish(vault, deployment))
        except LfrError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return purged


def status(vault: Vault) -> Status:
    """Return what is kept, and until when."""
    ((unfinished,),) = vault.database.query("SELECT count(*) FROM purges")
    receipts = vault.database.query(RECEIPTS)
    found = [_status(vault, one) for one in deployments(vault.database)]
    return Status(
        deployments=tuple(one for one in found if one.alert.count or one.evidence.count or one.text.count),
        is_held=is_held(vault.database),
        unfinished=unfinished,
        last_receipt=msgspec.json.decode(receipts[0][0]) if receipts else None,
    )


def _status(vault: Vault, deployment: Deployment) -> DeploymentStatus:
    handling = deployment.authorisation.handling
    has_text = vault.keyring.has(f"{TEXTS}{deployment.serial}")
    ends_s = None if deployment.ended_ns is None else int(deployment.ended_ns / SECOND_NS + handling.text_s)
    text = (int(has_text), ends_s, ends_s) if has_text else (0, None, None)
    return DeploymentStatus(
        deployment=deployment.serial,
        authority=deployment.authority,
        stage=deployment.stage.value,
        alert=_class(handling.alert_s, vault.database.query(ALERTS, (deployment.serial,))[0]),
        evidence=_class(handling.evidence_s, vault.database.query(PICTURES, (deployment.serial,))[0]),
        text=_class(handling.text_s, text),
    )


def _class(ceiling_s: float, row: tuple[int, int | None, int | None]) -> ClassStatus:
    first, last = (None if one is None else iso_of(one * SECOND_NS) for one in row[1:])
    return ClassStatus(ceiling_s=ceiling_s, count=row[0], next_purge=first, last_purge=last)


def _with_texts(vault: Vault) -> list[Deployment]:
    """Return the deployments that are closed and of whose texts anything is left: a key, or rows."""
    serials = {int(name) for one in vault.keyring.names() if (name := one.removeprefix(TEXTS)).isdecimal()}
    serials |= {serial for (serial,) in vault.database.query(f"{DOCUMENTS} UNION {BEGUN}")}
    if not serials:
        return []
    return [one for one in deployments(vault.database) if one.serial in serials and one.stage is Stage.CLOSED]


def _text_end_ns(deployment: Deployment) -> float:
    return (deployment.ended_ns or 0) + deployment.authorisation.handling.text_s * SECOND_NS


def _is_due(vault: Vault, deployment: Deployment, last: Instant | None) -> bool:
    now_ns = certain_ns(vault, last)
    if now_ns is None or _text_end_ns(deployment) > now_ns:
        return False
    # Alerts are gone by then, unless a clock was set back or their purge was hindered: the record counts them first.
    return not listed(vault.database, deployment=deployment.serial, limit=1)


def _begin(vault: Vault, serial: int) -> None:
    """Sign the record. The key goes even if that cannot be done, nor anything be written."""
    try:
        _sign_record(vault, serial)
        with vault.database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO purges (kind, deployment, expires_s, body) VALUES ('text', ?, 0, '1')", (serial,)
            )
    except BusyError:
        raise  # the record is signed at the next try: nobody who holds up the database gets rid of it
    except AuditError:
        vault.keyring.destroy(f"{TEXTS}{serial}")
        raise


def _sign_record(vault: Vault, serial: int) -> None:
    """Sign the record, if it can be made: one that cannot must not keep the texts alive, whatever is wrong with it."""
    try:
        finalise(vault, serial)
    except BusyError:
        raise
    except (LfrError, msgspec.DecodeError, LookupError, ValueError):
        return


def _finish(vault: Vault, deployment: Deployment) -> Purged:
    serial = deployment.serial
    vault.keyring.destroy(f"{TEXTS}{serial}")
    with vault.database.transaction() as transaction:
        transaction.execute(TEXTS_OF, (serial,))
        transaction.execute("UPDATE deployments SET document = NULL WHERE serial = ?", (serial,))
    facts = {"deployment": serial, "log_emptied": is_log_emptied(vault)}
    with vault.database.transaction() as transaction:
        transaction.execute("DELETE FROM purges WHERE kind = 'text' AND deployment = ?", (serial,))
        vault.act(transaction, "texts_purged", by=vault.signer, facts=facts)
    ends_s = int(_text_end_ns(deployment) / SECOND_NS)
    return Purged(kind="text", deployment=serial, expires_s=ends_s, count=1)
