"""What people signed about a deployment, and whether the register still says the same.

The register is a file that the account of this machine can write. So what a run may do is read from signatures, in the
chain, by sessions that people's own keys certified: the register is held against that, and is not believed by itself.

An act is judged at its place in the chain, by the roster that was in force there: who leaves later, or gets another key
or role, has done it all the same. Only a revocation reaches back, to the time that it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from msgspec import Struct, structs

from lfr_kernel.governance.audit.chain import is_signed, iso_of, ns_of
from lfr_kernel.governance.deployment.register import document_of
from lfr_kernel.governance.deployment.statements import AUTHORITY, EXTENSION, Authorisation, Extension
from lfr_kernel.governance.errors import RefusedError, SignatureError
from lfr_kernel.governance.keys.signing import Envelope, key_id, verify
from lfr_kernel.governance.people.roles import require, require_good
from lfr_kernel.governance.people.statements import (
    SESSION,
    Member,
    Moment,
    Roster,
    SessionCertificate,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfr_kernel.governance.deployment.register import Deployment
    from lfr_kernel.governance.vault import Vault

__all__ = ["SignedAct", "signed_acts", "verify_signed"]

T = TypeVar("T")
ENTRIES = """SELECT number, at, body, digest, signature FROM entries
    WHERE act = ? AND json_extract(body, '$.facts.deployment') = ? ORDER BY number"""
STARTS = """SELECT body FROM entries
    WHERE act = 'session_started' AND json_extract(body, '$.key') = ? AND number < ? ORDER BY number LIMIT 1"""


class SignedAct(Struct, Generic[T], frozen=True, kw_only=True):
    """What somebody signed about a deployment, as it stands in the chain; verified."""

    number: int
    """Of the entry."""
    digest: str
    """Likewise."""
    at_ns: int
    """When, as the entry says; nanoseconds since 1970, UTC."""
    act: str
    member: Member
    """Who, as the roster that was in force there had them."""
    statement: T


class _Facts(Struct, frozen=True, kw_only=True):
    deployment: int
    signed: Envelope


class _Certified(Struct, frozen=True, kw_only=True):
    certificate: Envelope


class _Start(Struct, frozen=True, kw_only=True):
    """What is read of the start of a session."""

    facts: _Certified


class _Entry(Struct, frozen=True, kw_only=True):
    """What is read of the body of an entry."""

    n: int
    at: Moment
    act: str
    by: str
    key: str
    facts: _Facts

    @property
    def name(self) -> str:
        """How a message refers to it."""
        return f"entry {self.n} of the audit ({self.act} by {self.by})"


def verify_signed(vault: Vault, deployment: Deployment) -> None:
    """See that a deployment is what an authoriser signed, with the extensions that one signed.

    Args:
        vault: the installation's.
        deployment: as the register has it.

    Raises:
        RefusedError: the register says something else than was signed, or who signed it might not.
        SignatureError: a signature does not hold.
    """
    signed = deployment.authorisation
    authorised = signed_acts(vault, deployment, "authorised", AUTHORITY, Authorisation)
    if [one.statement for one in authorised] != [signed]:
        raise _tampered(deployment, "its authorisation is not the one in the chain")
    document = document_of(vault, deployment)
    ends_ns = _extended(vault, deployment, document.ends_ns)
    expected = (signed.serial, signed.authority, signed.list, signed.root, document.starts_ns, ends_ns)
    term = deployment.term
    found = (
        deployment.serial, deployment.authority, deployment.list, deployment.root, term.starts_ns, term.ends_ns
    )  # fmt: skip
    if found != expected or signed.installation != vault.installation.installation:
        raise _tampered(deployment, f"expected an end at {iso_of(ends_ns)} and list {signed.list}")


def _extended(vault: Vault, deployment: Deployment, ends_ns: int) -> int:
    """Return the end that the extensions in the chain lead to: each continues the one before."""
    serial, authority = deployment.serial, deployment.authorisation.authority
    for act in signed_acts(vault, deployment, "authority_extended", EXTENSION, Extension):
        extension = act.statement
        expected = (serial, vault.installation.installation, authority, iso_of(ends_ns))
        found = (extension.serial, extension.installation, extension.authority, extension.was)
        if found != expected:
            raise RefusedError(
                f"an extension of deployment {serial} in the audit does not continue it: expected one of "
                f"{_said(expected)}, got one of {_said(found)}; it was copied there: verify the audit "
                "(lfr-kernel audit verify)"
            )
        ends_ns = ns_of(extension.ends)
    return ends_ns


def _said(extended: tuple[int, str, str, str]) -> str:
    serial, installation, authority, was = extended
    return f"deployment {serial} at {installation} (authority {authority}) that ended at {was}"


def signed_acts(vault: Vault, deployment: Deployment, act: str, kind: str, into: type[T]) -> list[SignedAct[T]]:
    """Return what was signed in each entry of an act that is about a deployment, oldest first.

    Args:
        vault: the installation's.
        deployment: as the register has it.
        act: its code: an act of people.
        kind: of the envelope in the entry.
        into: the type of the statement in that.

    Raises:
        RefusedError: who signed one might not.
        SignatureError: a signature does not hold, or an entry was changed or moved.
    """
    found = []
    for number, at, body, digest, signature in vault.database.query(ENTRIES, (act, deployment.serial)):
        try:
            entry = msgspec.json.decode(body, type=_Entry)
            member, session = _signer_of(vault, number, entry)
            key = bytes.fromhex(session.key)
        except msgspec.DecodeError as error:
            raise SignatureError(
                f"entry {number} of the audit, {act}, or the start of its session cannot be read ({error}): verify the "
                "audit (lfr-kernel audit verify)"
            ) from None
        statement = verify(entry.facts.signed, kind, into, [key])
        if entry.n != number or not is_signed(body, digest, signature, key):
            raise SignatureError(
                f"{entry.name} is not as its session signed it: it was changed or "
                "moved; verify the audit (lfr-kernel audit verify)"
            )
        found.append(
            SignedAct(number=number, digest=digest, at_ns=ns_of(at), act=act, member=member, statement=statement)
        )
    return found


def _signer_of(vault: Vault, number: int, entry: _Entry) -> tuple[Member, SessionCertificate]:
    """Return who signed an entry and by which session, if they might do the act there and had certified it."""
    rows = vault.database.query(STARTS, (entry.key, number))
    if not rows:
        raise _refused(entry, "was signed by nobody who is on the roster: no session with its key was started before")
    member, session = _certified(vault, number, entry, msgspec.json.decode(rows[0][0], type=_Start).facts.certificate)
    problems = list(_misuses(session, entry, vault.installation.installation))
    if vault.has_ended(session, before=number):
        problems.append(f"the session of {session.person} was ended before")
    if problems:
        raise _refused(entry, f"does not count: {', and '.join(problems)}")
    return member, session


def _certified(vault: Vault, number: int, entry: _Entry, envelope: Envelope) -> tuple[Member, SessionCertificate]:
    """Return somebody who might do the act, by the roster in force at the entry, and the session they certified."""
    person = msgspec.json.decode(envelope.body, type=SessionCertificate).person
    rosters = vault.rosters()
    roster = next((one for place, one in reversed(rosters) if place < number), rosters[0][1])
    member = roster.member(person)
    if member is None:
        where = f"{person} is not on roster {roster.number}, which was in force then"
        raise _refused(entry, f"was signed by nobody who is on the roster: {where}")
    # It stands behind this roster, whatever the clock said that dated it.
    at = max(entry.at, roster.issued)
    try:
        require(entry.act, member)
        require_good(member, at)
        require_good(_as_revoked_since(member, [one for _, one in rosters]), at)
        return member, verify(envelope, SESSION, SessionCertificate, [bytes.fromhex(member.signing)])
    except (RefusedError, SignatureError) as error:
        raise type(error)(str(_refused(entry, f"does not count, by roster {roster.number}: {error}"))) from None


def _as_revoked_since(member: Member, rosters: list[Roster]) -> Member:
    """Return somebody, revoked if the last roster that has their key says so."""
    same = [one for roster in rosters for one in roster.people if one.signing == member.signing]
    return structs.replace(member, revoked=same[-1].revoked)


def _misuses(session: SessionCertificate, entry: _Entry, installation: str) -> Iterator[str]:
    """Yield what a session was not certified for."""
    name = session.person
    if (entry.by, entry.key) != (f"person {name}", key_id(bytes.fromhex(session.key))):
        yield f"its key is not that of the session of {name} that was started with it"
    if session.installation != installation:
        yield f"the session of {name} was for installation {session.installation}, not for {installation}"
    if session.deployment not in {None, entry.facts.deployment}:
        yield f"the session of {name} was good for deployment {session.deployment}, not for {entry.facts.deployment}"
    if not session.starts <= entry.at <= session.ends:
        yield (
            f"the session of {name} was from {written(session.starts)} to {written(session.ends)}, not on "
            f"{written(entry.at)}"
        )


def _refused(entry: _Entry, why: str) -> RefusedError:
    serial = entry.facts.deployment
    return RefusedError(
        f"{entry.name} {why}; verify the audit (lfr-kernel audit verify), "
        f"close deployment {serial} (lfr-kernel authority close {serial}) and have another authorised"
    )


def _tampered(deployment: Deployment, why: str) -> RefusedError:
    return RefusedError(
        f"the register's entry of deployment {deployment.serial} is not what was signed ({why}): it was changed behind "
        "the audit's back; keep the vault as it is and verify the audit (lfr-kernel audit verify)"
    )
