"""The register of deployments: what stage each is in, and the acts by which it gets there.

Every change is one transaction with its entry in the audit chain. Serial numbers are contiguous: a deployment that is
abandoned, fails or sees nobody keeps its number and gets its record.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field, structs

from lfr_kernel.governance.audit.chain import iso_of
from lfr_kernel.governance.authority import AuthorityError, parse_authority
from lfr_kernel.governance.deployment.statements import AUTHORITY, EXTENSION, Authorisation, Extension, Head
from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.sealing import unwrap, wrap
from lfr_kernel.governance.keys.signing import Envelope, sign
from lfr_kernel.governance.standing import Ending, Event, Stage, Term, advance, remaining_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_kernel.governance.audit.database import Database, Transaction
    from lfr_kernel.governance.authority import Authority
    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.vault import Vault

__all__ = [
    "Deployment",
    "authorised",
    "closing_head",
    "counted",
    "deployments",
    "document_of",
    "end",
    "expect_new",
    "extended",
    "find",
    "recall",
    "save",
    "unclosed",
    "withdraw",
    "withdrawn",
]


ENTRY = re.compile(r"e-[a-z2-7]{26}\Z")


class Deployment(Struct, frozen=True, kw_only=True):
    """One deployment, as the register has it."""

    serial: int
    authority: str
    list: str
    root: str
    stage: Stage
    envelope: Envelope
    """The signed `Authorisation`."""
    term: Term
    opened_ns: int | None = None
    ended_ns: int | None = None
    why: str = ""
    """Why it ended: a code."""
    ending: Ending | None = None
    has_failed: bool = False
    """Whether the last run under it failed, and none has gone well since."""
    is_capturing: bool = False
    """Whether a run said that it captures, and none has said that it stopped."""
    seen: int = 0
    """Passages seen by all runs under it."""
    alerts: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    """Passages of which nothing could be searched, by reason."""
    false: int = 0
    """Alerts of which somebody established that they were false."""
    source: str = ""
    """Where the sealed list lay from which the working copy was made."""
    steps: tuple[tuple[str, str], ...] = ()
    """When each step of the wipe was done."""
    withdrawn_count: int = 0
    """Entries that were taken off the list, once their ids are gone."""
    warned: tuple[int, ...] = ()
    """Minutes before the end at which a warning was given."""

    @property
    def authorisation(self) -> Authorisation:
        """What was signed. It was verified before it was written here."""
        return msgspec.json.decode(self.envelope.body, type=Authorisation)

    @property
    def keyname(self) -> str:
        """What the keyring calls the deployment's key."""
        return f"deployment-{self.serial:06d}"


def deployments(database: Database) -> list[Deployment]:
    """Return all deployments, by serial number."""
    rows = database.query("SELECT body FROM deployments ORDER BY serial")
    return [msgspec.json.decode(body, type=Deployment) for (body,) in rows]


def unclosed(database: Database) -> list[Deployment]:
    """Return the deployments that are not closed, by serial number."""
    rows = database.query(
        "SELECT body FROM deployments WHERE json_extract(body, '$.stage') != ? ORDER BY serial", (Stage.CLOSED.value,)
    )
    return [msgspec.json.decode(body, type=Deployment) for (body,) in rows]


def find(database: Database, serial: int) -> Deployment:
    """Return one deployment.

    Raises:
        RefusedError: there is none with this number.
    """
    rows = database.query("SELECT body FROM deployments WHERE serial = ?", (serial,))
    if not rows:
        known = database.query("SELECT max(serial) FROM deployments")[0][0]
        expected = "nothing was authorised yet" if known is None else f"expected a number from 1 to {known}"
        raise RefusedError(f"there is no deployment {serial}: {expected}")
    return msgspec.json.decode(rows[0][0], type=Deployment)


def document_of(vault: Vault, deployment: Deployment) -> Authority:
    """Return the authority that was signed.

    Raises:
        RefusedError: what lies in the vault is not the document that was signed.
        SealError, KeyFileError: it does not open.
    """
    ((sealed,),) = vault.database.query("SELECT document FROM deployments WHERE serial = ?", (deployment.serial,))
    text = unwrap(vault.text_key(deployment.serial), sealed or b"", _purpose(deployment.serial))
    found = hashlib.sha256(text).hexdigest()
    if found != deployment.authorisation.document:
        raise RefusedError(
            f"authority {deployment.authority}: expected the document that was signed, with SHA-256 "
            f"{deployment.authorisation.document}, got {found}: it was exchanged"
        )
    return parse_authority(text.decode("utf-8-sig"))


def _purpose(serial: int) -> bytes:
    return f"lfr-authority-1 {serial}".encode()


def save(transaction: Transaction, deployment: Deployment) -> None:
    """Write a deployment, in place of what the register has of it."""
    body = msgspec.json.encode(deployment).decode()
    transaction.execute(
        "INSERT INTO deployments (serial, body) VALUES (?, ?) ON CONFLICT (serial) DO UPDATE SET body = excluded.body",
        (deployment.serial, body),
    )


def closing_head(database: Database) -> Head:
    """Return the entry that closed the last deployment that was closed, or founded the vault."""
    rows = database.query(
        "SELECT number, digest FROM entries WHERE act IN ('founded', 'wiped') ORDER BY number DESC LIMIT 1"
    )
    return Head(number=rows[0][0], digest=rows[0][1])


def expect_new(database: Database, authority: str) -> None:
    """Return if no authority of this id is, or was, on the register.

    Raises:
        AuthorityError: one is: an id is used once.
    """
    for other in deployments(database):
        if other.authority == authority:
            advance(other.stage, Event.AUTHORISE, authority=authority)


def authorised(vault: Vault, signer: Signer, draft: Authorisation, document: Authority, text: str) -> Deployment:
    """Enter a new deployment, signed.

    Args:
        vault: the installation's.
        signer: the authoriser's session.
        draft: what is signed; serial, installation, after, by and at are filled in here.
        document: the authority.
        text: of its file; kept encrypted.

    Raises:
        AuthorityError: an authority of this id is, or was, on the register: it never opens again.
        RefusedError: the list is, or was, another deployment's.
    """
    now = vault.clocks()
    with vault.database.transaction() as transaction:
        known = deployments(vault.database)
        expect_new(vault.database, draft.authority)
        for other in known:
            if other.list == draft.list and other.ending is not Ending.ABANDONED:
                raise RefusedError(
                    f"watchlist {draft.list} belongs to deployment {other.serial} (authority {other.authority}), which "
                    f"is {other.stage.value}: a list is made for one deployment; build another"
                )
        statement = structs.replace(
            draft,
            serial=len(known) + 1,
            installation=vault.installation.installation,
            after=closing_head(vault.database),
            by=signer.name,
            at=iso_of(now.utc_ns),
        )
        deployment = Deployment(
            serial=statement.serial,
            authority=statement.authority,
            list=statement.list,
            root=statement.root,
            stage=advance(None, Event.AUTHORISE, authority=statement.authority),
            envelope=sign(AUTHORITY, statement, signer),
            term=Term(starts_ns=document.starts_ns, ends_ns=document.ends_ns, anchored=now),
        )
        save(transaction, deployment)
        sealed = wrap(vault.text_key(deployment.serial), text.encode(), _purpose(deployment.serial))
        transaction.execute("UPDATE deployments SET document = ? WHERE serial = ?", (sealed, deployment.serial))
        facts = {"deployment": deployment.serial, "authority": deployment.authority, "signed": deployment.envelope}
        vault.act(transaction, "authorised", by=signer, facts=facts)
    return deployment


def extended(vault: Vault, signer: Signer, serial: int, *, ends_ns: int, reason: str, text: str) -> Deployment:
    """Give a deployment a later end: a new act, with a reason.

    The end by the boot clock moves by as much as the end by the wall clock, whatever was done to the latter since.

    Raises:
        AuthorityError: it is not open, has ended by a clock, or would end earlier.
    """
    now = vault.clocks()
    with vault.database.transaction() as transaction:
        before = find(vault.database, serial)
        stage = advance(before.stage, Event.EXTEND, authority=before.authority)
        if not remaining_s(before.term, now):
            raise AuthorityError(
                f"authority {before.authority}",
                ["cannot extend it: it has ended, and what has ended never begins again; authorise a new one"],
            )
        if ends_ns <= before.term.ends_ns:
            raise AuthorityError(
                f"authority {before.authority}",
                [f"expected an end after {iso_of(before.term.ends_ns)}, got {iso_of(ends_ns)}; to end it, close it"],
            )
        statement = Extension(
            serial=serial,
            installation=vault.installation.installation,
            authority=before.authority,
            was=iso_of(before.term.ends_ns),
            ends=iso_of(ends_ns),
            by=signer.name,
            at=iso_of(now.utc_ns),
        )
        after = structs.replace(before, stage=stage, term=structs.replace(before.term, ends_ns=ends_ns), warned=())
        save(transaction, after)
        facts = {"deployment": serial, "signed": sign(EXTENSION, statement, signer)}
        vault.act(
            transaction, "authority_extended", by=signer, facts=facts, reason=reason, text=text, deployment=serial
        )
    return after


def end(
    vault: Vault, serial: int, *, signer: Signer | None, why: str, text: str | None = None, failed: bool = False
) -> Deployment:
    """Begin to end a deployment: from here on nothing captures under it, and its list is wiped whatever happens.

    Args:
        vault: the installation's.
        serial: of the deployment.
        signer: the session of who ends it; None when a clock does.
        why: a code, such as `clock`.
        text: free text.
        failed: whether the run under it failed.
    """
    now = vault.clocks()
    with vault.database.transaction() as transaction:
        before = find(vault.database, serial)
        if before.stage is Stage.ENDING:
            return before
        is_unopened = before.stage is Stage.AUTHORISED
        stage = advance(before.stage, Event.ABANDON if is_unopened else Event.END, authority=before.authority)
        after = structs.replace(
            before,
            stage=stage,
            ended_ns=now.utc_ns,
            why=why,
            has_failed=before.has_failed or failed,
            ending=_ending(before, why, failed=failed),
        )
        save(transaction, after)
        # Whether it saw anybody, the run that is under way has yet to say: see `counted`.
        is_known = after.ending is not None and not (before.is_capturing and after.ending is Ending.EMPTY)
        facts = {"deployment": serial, "ending": after.ending.value if after.ending and is_known else None}
        if signer is None:
            vault.act(transaction, "deployment_ended", by=vault.signer, facts=facts, reason=why)
        else:
            vault.act(transaction, "authority_closed", by=signer, facts=facts, reason=why, text=text, deployment=serial)
    return after


def counted(deployment: Deployment, *, seen: int, alerts: int, lost: Mapping[str, int]) -> Deployment:
    """Return a deployment with what all runs under it have counted, which may tell how it ended, too.

    Args:
        deployment: as the register has it.
        seen: passages.
        alerts: raised.
        lost: passages of which nothing could be searched, by reason.
    """
    ending = Ending.COMPLETED if deployment.ending is Ending.EMPTY and seen else deployment.ending
    return structs.replace(deployment, seen=seen, alerts=alerts, lost=dict(sorted(lost.items())), ending=ending)


def _ending(deployment: Deployment, why: str, *, failed: bool) -> Ending:
    if deployment.stage is Stage.AUTHORISED:
        return Ending.ABANDONED
    if why == "revoked":
        return Ending.REVOKED
    if failed or deployment.has_failed:
        return Ending.FAILED
    return Ending.COMPLETED if deployment.seen else Ending.EMPTY


def recall(vault: Vault, signer: Signer, serial: int, entry: str, *, reason: str, text: str | None) -> None:
    """Take an entry off the list of a deployment, for good. A kernel that runs under it sees so within a second.

    Whether the list has such an entry only its key can tell: one that it has not is recalled all the same.

    Raises:
        RefusedError: the id cannot be one, it was recalled or has expired before, or the deployment has ended.
    """
    if not ENTRY.match(entry):
        raise RefusedError(f"expected the id of an entry, as e-azxmf3qanb44syrhlka5cpy65a, got {entry!r}")
    with vault.database.transaction() as transaction:
        deployment = find(vault.database, serial)
        if deployment.stage not in {Stage.AUTHORISED, Stage.OPEN}:
            raise RefusedError(f"deployment {serial} is {deployment.stage.value}: its list is gone, or going")
        if not withdraw(transaction, deployment.list, entry):
            raise RefusedError(f"entry {entry} was recalled, or has expired, before")
        facts = {"deployment": serial, "entry": entry}
        vault.act(transaction, "entry_recalled", by=signer, facts=facts, reason=reason, text=text, deployment=serial)


def withdraw(transaction: Transaction, list_id: str, entry: str) -> bool:
    """Note that an entry was taken off a list for good; return whether it was still on it."""
    done = transaction.execute(
        "INSERT INTO withdrawals (list, entry) VALUES (?, ?) ON CONFLICT DO NOTHING", (list_id, entry)
    )
    return done.rowcount == 1


def withdrawn(database: Database, list_id: str) -> list[str]:
    """Return the ids of the entries that were taken off a list: recalled, or expired. Why, the chain says."""
    return [entry for (entry,) in database.query("SELECT entry FROM withdrawals WHERE list = ?", (list_id,))]
