"""Sessions: a person unlocks their key once, and a session key signs for them until they go."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from lfr_kernel.governance.errors import RefusedError, SignatureError
from lfr_kernel.governance.keys.signing import KeySigner, sign, verify
from lfr_kernel.governance.people.roles import combined
from lfr_kernel.governance.people.shift import ends_at, state_of
from lfr_kernel.governance.people.signer import SessionSigner
from lfr_kernel.governance.people.statements import SESSION, SessionCertificate, moment, written

if TYPE_CHECKING:
    from lfr_kernel.governance.audit.database import Transaction
    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.keys.signing import Envelope
    from lfr_kernel.governance.people.keyfiles import Person
    from lfr_kernel.governance.people.shift import Shift
    from lfr_kernel.governance.people.statements import Member
    from lfr_kernel.governance.vault import Vault

__all__ = ["Shown", "end_session", "hand_over", "open_session", "show_sessions", "start_session"]


class Shown(Struct, frozen=True, kw_only=True):
    """What may be shown of a session."""

    person: str
    deployment: int | None
    starts: str
    ends: str
    idle_s: float
    """Since it was last used; infinite would be no JSON, so 0 where the machine was started since."""
    idle_limit_s: float
    locked: str | None
    """Why it is locked, in words; None: it signs."""


class _Fresh(Struct, frozen=True, kw_only=True):
    """A session that is about to start."""

    envelope: Envelope
    certificate: SessionCertificate
    private: bytes
    member: Member
    now: Instant


def start_session(vault: Vault, person: Person, *, deployment: int | None = None) -> SessionCertificate:
    """Start somebody's session: their key certifies a new one, which signs from now on.

    Args:
        vault: of the installation where they work.
        person: their private keys, which are needed for nothing else until they start the next one.
        deployment: the only one that it is to be good for; None: any.

    Raises:
        RefusedError: they are not on the roster, or with another key, or not any more; they combine roles that are kept
            apart; or they have a session that is unlocked.
    """
    fresh = _fresh(vault, person, deployment)
    with vault.database.transaction() as transaction:
        _append_start(transaction, fresh, reason=None)
    # Not before: a key whose certificate is not in the chain must never exist, while the reverse is harmless.
    vault.shifts.keep(fresh.envelope, fresh.private, fresh.now)
    return fresh.certificate


def end_session(vault: Vault, name: str | None) -> str:
    """End a session: say so in the chain, and destroy its key, whatever becomes of the first.

    Args:
        vault: of the installation.
        name: whose; None: the only one.

    Returns:
        Whose it was.

    Raises:
        RefusedError: there is none, or there are several; or it was locked, and its key is destroyed all the same.
    """
    signer = open_session(vault, name)
    try:
        with vault.database.transaction() as transaction:
            vault.act(transaction, "session_ended", by=signer)
    finally:
        vault.shifts.destroy(signer.member.name)
    return signer.member.name


def hand_over(vault: Vault, name: str | None, person: Person, *, deployment: int | None = None) -> SessionCertificate:
    """End somebody's session and start another person's: both or neither.

    Args:
        vault: of the installation.
        name: who goes; None: the only one with a session.
        person: who comes: their private keys.
        deployment: see `start_session`.

    Raises:
        RefusedError: see `end_session` and `start_session`; or somebody would hand over to themselves.
    """
    leaving = open_session(vault, name)
    if leaving.member.name == person.name:
        raise RefusedError(f"expected somebody else to hand over to, got {person.name}, whose session it is")
    fresh = _fresh(vault, person, deployment)
    with vault.database.transaction() as transaction:
        vault.act(transaction, "session_ended", by=leaving, reason="handover")
        _append_start(transaction, fresh, reason="handover")
    vault.shifts.destroy(leaving.member.name)
    vault.shifts.keep(fresh.envelope, fresh.private, fresh.now)
    return fresh.certificate


def open_session(vault: Vault, name: str | None) -> SessionSigner:
    """Return the signer of a session. Opening it is no use of it: signing is, and so is `SessionSigner.use`.

    Args:
        vault: of the installation.
        name: whose; None: the only one that is unlocked.

    Raises:
        RefusedError: there is none; there are several and `name` does not say which; it is locked, and its key is
            destroyed now; or its person was revoked, or has expired, and it is destroyed likewise.
        SignatureError: its certificate is not signed by the key that the person has on the roster; likewise.
    """
    if name is None:
        name = _only(vault)
    shift = vault.shifts.find(name)
    if shift is None:
        raise RefusedError(f"{name} has no session here: lfr-kernel session start --as {name} --key FILE")
    return SessionSigner(*_verified(vault, name, shift), vault.shifts, vault.clocks)


def show_sessions(vault: Vault) -> list[Shown]:
    """Return the sessions of an installation; the keys of those that are locked are destroyed now."""
    found = []
    for name in vault.shifts.names():
        shift, used, now = vault.shifts.find(name), vault.shifts.used(name), vault.clocks()
        if shift is None:
            continue
        certificate, locked = shift.certificate, None
        try:
            _verified(vault, name, shift)
        except (RefusedError, SignatureError) as error:
            locked = str(error)
        is_this_boot = used is not None and used.boot_id == now.boot_id
        found.append(
            Shown(
                person=name,
                deployment=certificate.deployment,
                starts=written(certificate.starts),
                ends=written(certificate.ends),
                idle_s=(now.boot_ns - used.boot_ns) / 1e9 if used is not None and is_this_boot else 0.0,
                idle_limit_s=certificate.idle_s,
                locked=locked,
            )
        )
    return found


def _only(vault: Vault) -> str:
    """Return whose session the only unlocked one is."""
    names = vault.shifts.names()
    if not names:
        raise RefusedError("nobody is on shift here: lfr-kernel session start --as NAME --key FILE")
    if len(names) == 1:
        return names[0]
    unlocked = [one.person for one in show_sessions(vault) if one.locked is None]
    if len(unlocked) == 1:
        return unlocked[0]
    if unlocked:
        raise RefusedError(f"{' and '.join(unlocked)} are on shift: say who you are (--as NAME, or LFR_AS)")
    raise RefusedError(
        f"the sessions of {' and '.join(names)} were locked: lfr-kernel session start --as NAME --key FILE"
    )


def _verified(vault: Vault, name: str, shift: Shift) -> tuple[Member, SessionCertificate]:
    """Return whose session this is and its certificate; what is good no more is destroyed and refused."""
    claimed, now = shift.certificate, vault.clocks()
    lock = state_of(claimed, shift.started, vault.shifts.used(name), now)
    if lock is not None:
        vault.shifts.refuse(claimed, lock, now)
    try:
        member = vault.member(name)
        certificate = verify(shift.envelope, SESSION, SessionCertificate, [bytes.fromhex(member.signing)])
    except (RefusedError, SignatureError):
        vault.shifts.destroy(name)
        raise
    if vault.has_ended(certificate):
        vault.shifts.destroy(name)
        raise RefusedError(
            f"the session of {name} was ended, and its key put back: lfr-kernel session start --as {name} --key FILE"
        )
    if (certificate.person, certificate.installation) != (name, vault.installation.installation):
        raise RefusedError(
            f"the session of {name} is certified for {certificate.person} at installation {certificate.installation}, "
            f"not for this one: lfr-kernel session start --as {name} --key FILE"
        )
    return member, certificate


def _fresh(vault: Vault, person: Person, deployment: int | None) -> _Fresh:
    member, now = vault.member(person.name), vault.clocks()
    if person.public.signing != member.signing:
        raise RefusedError(
            f"this key file is not the one of {person.name} that is on roster {vault.roster.number}: take that one, or "
            "have the new key put on the roster"
        )
    if pairings := combined(member, vault.packs.separate_roles):
        raise RefusedError(
            f"{person.name} combines {', and '.join(pairings)}, which the installed rule packs keep apart: have a "
            "roster signed that gives them one of these"
        )
    before = vault.shifts.find(person.name)
    if before is not None:
        if state_of(before.certificate, before.started, vault.shifts.used(person.name), now) is None:
            raise RefusedError(
                f"{person.name} has a session here, since {written(before.certificate.starts)}: use it, or end it "
                f"first (lfr-kernel session end --as {person.name})"
            )
        vault.shifts.destroy(person.name)
    private = Ed25519PrivateKey.generate()
    packs, starts = vault.packs, moment(now.utc_ns)
    certificate = SessionCertificate(
        person=person.name,
        key=private.public_key().public_bytes_raw().hex(),
        installation=vault.installation.installation,
        deployment=deployment,
        starts=starts,
        ends=ends_at(starts, dt.timedelta(seconds=packs.session_max_s), member.expires),
        idle_s=packs.session_idle_s,
    )
    envelope = sign(SESSION, certificate, person.signer)
    return _Fresh(
        envelope=envelope, certificate=certificate, private=private.private_bytes_raw(), member=member, now=now
    )


def _append_start(transaction: Transaction, fresh: _Fresh, reason: str | None) -> None:
    """Append the first act of a session, signed by its own key: whoever has it began with saying so."""
    signer = KeySigner(f"person {fresh.member.name}", fresh.private)
    transaction.append("session_started", signer=signer, reason=reason, facts={"certificate": fresh.envelope})
