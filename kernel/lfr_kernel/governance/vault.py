"""The vault of an installation: its keys, its database, and who may sign what in it.

What the organisation said (which installation this is, who is on the roster, which packs count) lies in the chain and
nowhere else: it is read from there, and verified, whenever the vault is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from lfr_kernel.governance.audit.checkpoints import tidy_checkpoints
from lfr_kernel.governance.audit.database import Database, note_recovery
from lfr_kernel.governance.errors import RefusedError, SignatureError
from lfr_kernel.governance.keys.files import clear_left_over
from lfr_kernel.governance.keys.keyring import Keyring
from lfr_kernel.governance.keys.signing import Envelope, KeySigner, key_id
from lfr_kernel.governance.people.organisation import Organisation
from lfr_kernel.governance.people.roles import MACHINE_ACTS, require, require_good
from lfr_kernel.governance.people.shift import ShiftFolder
from lfr_kernel.governance.people.signer import SessionSigner
from lfr_kernel.governance.people.statements import moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lfr_kernel.governance.audit.chain import Entry
    from lfr_kernel.governance.audit.database import Transaction
    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.keys.keyring import Sealer
    from lfr_kernel.governance.keys.signing import Signer
    from lfr_kernel.governance.people.statements import Certificate, Member, Packs, Roster, SessionCertificate

__all__ = ["DATABASE", "KEYS", "SEALING", "SESSIONS", "SIGNING", "Vault"]

T = TypeVar("T")
SESSION_ACTS = {"session_started", "session_ended"}
"""What a session that is good for one deployment may sign beside its acts."""
TEXTS_ARE_GONE = """SELECT 1 FROM deployments WHERE serial = :deployment AND document IS NOT NULL
    UNION SELECT 1 FROM entries WHERE act = 'texts_purged' AND json_extract(body, '$.facts.deployment') = :deployment"""
"""Where the authority lies under a key that is not there, that was destroyed, and its rows are yet to go."""
DATABASE, KEYS, SESSIONS = "vault.db", "keys", "sessions"
SIGNING, SEALING = "installation-signing", "installation-sealing"
"""Names of the installation's own keys."""


class Vault:
    """An installation that was founded. One process may have it open while others do."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        keyring: Keyring,
        clocks: Callable[[], Instant],
    ) -> None:
        """Verify everything in the chain that the organisation signed. See `open`."""
        self.folder = folder
        self.database = database
        self.keyring = keyring
        self.clocks = clocks
        self.shifts = ShiftFolder(folder / SESSIONS, keyring.sealer)
        """The sessions that are kept here."""
        self.signer: Signer = KeySigner("installation", keyring.get(SIGNING))
        """The installation's own key: machine acts only."""
        founded = self._facts("founded")
        if not founded:
            raise RefusedError(f"{folder} was not founded yet: lfr-kernel installation found {folder}")
        _, facts = founded[0]
        known = {"name": facts.get("organisation_name"), "key": facts.get("organisation")}
        self.organisation = _converted(known, Organisation)
        """Whose installation this is."""
        self.certificate: Envelope = _converted(facts.get("certificate"), Envelope)
        """Whoever has the organisation's public key can verify by it what this installation signs."""
        self.installation: Certificate = self.organisation.certificate(self.certificate)
        """What the organisation certified."""
        self._require_own_keys()
        self._roster: tuple[int, Roster] | None = None
        self._packs: tuple[int, Packs] | None = None
        self.roster  # noqa: B018  (verified now, and not when somebody first asks)
        self.packs  # noqa: B018

    @classmethod
    def open(cls, folder: Path, *, clocks: Callable[[], Instant], sealer: Sealer | None = None) -> Self:
        """Open a vault and verify it, and put in order what a crash may have left. Blocks on the disk.

        Args:
            folder: of the installation.
            clocks: tells the time.
            sealer: what the machine offers to keep keys to itself.

        Raises:
            RefusedError: it was not founded, or is another installation's, or an older roster was put in.
            SignatureError: something in it is not signed by its organisation.
            KeyFileError: a key of the installation is missing, or others can read it.
            AuditError: the database cannot be used, or it or the keys were put back to an older state.
        """
        path = folder / DATABASE
        if not path.exists():
            raise RefusedError(
                f"expected a vault that was founded, found no {path}: see lfr-kernel installation new and "
                "lfr-kernel installation found"
            )
        database = Database(path, clocks=clocks)
        try:
            vault = cls(folder, database, Keyring(folder / KEYS, sealer), clocks)
            note_recovery(database, vault.signer)
            tidy_checkpoints(database, vault.keyring)
            for left in (folder, folder / KEYS, folder / SESSIONS):
                clear_left_over(left)
        except BaseException:
            database.close()
            raise
        return vault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    @property
    def roster(self) -> Roster:
        """The roster in force, also if another process installed it a moment ago.

        Raises:
            SignatureError: one in the chain is not the organisation's.
            RefusedError: one in the chain is no newer than the one before.
        """
        self._roster = self._in_force(self._roster, "roster", self.organisation.roster, lambda one: one.number)
        return self._roster[1]

    def rosters(self) -> list[tuple[int, Roster]]:
        """Return every roster that was ever in force, with the number of the entry that put it in, oldest first.

        Raises:
            SignatureError: one is not the organisation's.
        """
        found = self._facts("founded", "roster_installed")
        return [
            (number, self.organisation.roster(_converted(facts.get("roster"), Envelope))) for number, facts in found
        ]

    @property
    def packs(self) -> Packs:
        """The rule packs in force. Raises like `roster`."""
        self._packs = self._in_force(self._packs, "packs", self.organisation.packs, lambda one: one.issued)
        return self._packs[1]

    def member(self, name: str) -> Member:
        """Return somebody whose keys the organisation stands by.

        Raises:
            RefusedError: they are not on the roster, were revoked, or have expired.
        """
        roster = self.roster
        member = roster.member(name)
        if member is None:
            known = ", ".join(one.name for one in roster.people)
            raise RefusedError(f"{name} is not on roster {roster.number}, which has: {known}")
        require_good(member, self.wall_time())
        return member

    def has_ended(self, certificate: SessionCertificate, *, before: int | None = None) -> bool:
        """Return whether the chain has the end of a session: its key may have been copied before it was destroyed.

        Args:
            certificate: of the session.
            before: number of an entry, behind which nothing is looked at; None: the whole chain is.
        """
        key = key_id(bytes.fromhex(certificate.key))
        rows = self.database.query(
            "SELECT min(number) FROM entries WHERE act = 'session_ended' AND json_extract(body, '$.key') = ?", (key,)
        )
        ended = rows[0][0]
        return ended is not None and (before is None or ended < before)

    def wall_time(self) -> dt.datetime:
        """Return the time for judging what expires, in whole seconds: rounded up, so that nothing lives too long."""
        return moment(self.clocks().utc_ns + 999_999_999)

    def text_key(self, deployment: int | None) -> bytes:
        """Return the key under which free texts are kept, made when there is none: with it the texts are erased.

        Args:
            deployment: serial number; None: of the installation.

        Raises:
            RefusedError: they were erased, as their time had come: there are none any more.
        """
        name = "text-installation" if deployment is None else f"text-{deployment}"
        if self.keyring.has(name):
            return self.keyring.get(name)
        if deployment is not None and self.database.query(TEXTS_ARE_GONE, {"deployment": deployment}):
            raise RefusedError(
                f"the authority and all free texts of deployment {deployment} are gone: their key was destroyed when "
                "their time had come: its signed record is what is left (lfr-kernel record)"
            )
        return self.keyring.make(name)

    def open_sealed_key(self) -> X25519PrivateKey:
        """Return the private key to which watchlists are sealed."""
        return X25519PrivateKey.from_private_bytes(self.keyring.get(SEALING))

    def may(self, act: str, by: Signer, *, deployment: int | None = None) -> None:
        """Return if `by` may sign an act.

        Args:
            act: its code.
            by: a session, or the installation.
            deployment: that it belongs to, if it does.

        Raises:
            RefusedError: it is none of their acts, or they may not act any more, or not for this deployment.
        """
        if isinstance(by, SessionSigner):
            member = self.member(by.member.name)
            if member.signing != by.member.signing:
                raise RefusedError(
                    f"{member.name} has another key on roster {self.roster.number} than the one that certified this "
                    f"session: lfr-kernel session end --as {member.name}, and start another with the new key"
                )
            require(act, member)
            if self.has_ended(by.certificate):
                raise RefusedError(f"the session of {member.name} was ended meanwhile: nothing more is signed with it")
            bound = by.certificate.deployment
            if bound is not None and deployment != bound and act not in SESSION_ACTS:
                belongs = "no deployment" if deployment is None else f"deployment {deployment}"
                raise RefusedError(
                    f"the session of {by.member.name} is good for deployment {bound}, and {act} belongs to {belongs}: "
                    "start another session for it"
                )
        elif by.public != self.signer.public:
            raise RefusedError(f"{act} was to be signed by {by.name}, which is neither a session nor this installation")
        elif act not in MACHINE_ACTS:
            raise RefusedError(f"{act} is no act of a machine: a person has to sign it (lfr-kernel session start)")

    def act(
        self,
        transaction: Transaction,
        act: str,
        *,
        by: Signer,
        facts: Mapping[str, Any] | None = None,
        reason: str | None = None,
        text: str | None = None,
        text_key: bytes | None = None,
        deployment: int | None = None,
    ) -> Entry:
        """Append an act to the chain if `by` may sign it. The one way by which acts get there.

        Args:
            transaction: that its consequences commit with.
            act: its code.
            by: a session, or the installation.
            facts: anything that can be JSON; never a free text.
            reason: a code.
            text: a free text; kept encrypted, apart from the chain.
            text_key: under which; the deployment's if not given.
            deployment: that it belongs to, if it does.

        Raises:
            RefusedError: see `may`; or the session is locked, or the text is none.
        """
        self.may(act, by, deployment=deployment)
        if text is not None and not text.isprintable() and any("\ud800" <= one <= "\udfff" for one in text):
            raise RefusedError(f"{act}: expected a text in UTF-8, got bytes that are none; type it again")
        if text is not None and text_key is None:
            text_key = self.text_key(deployment)
        return transaction.append(act, signer=by, facts=facts, reason=reason, text=text, text_key=text_key)

    def _require_own_keys(self) -> None:
        certified = self.installation
        sealing = self.open_sealed_key().public_key().public_bytes_raw()
        if (certified.signing, certified.sealing) != (self.signer.public.hex(), sealing.hex()):
            raise RefusedError(
                f"{self.folder}: its database is that of installation {certified.installation} ({certified.name}), "
                "whose keys are not the ones here: a database is not moved from one machine to another"
            )

    def _facts(self, *acts: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        marks = ", ".join("?" for _ in acts)
        rows = self.database.query(
            f"SELECT number, body FROM entries WHERE act IN ({marks}) AND number > ? ORDER BY number",  # noqa: S608
            (*acts, after),
        )
        return [(number, msgspec.json.decode(body).get("facts", {})) for number, body in rows]

    def _in_force(
        self, known: tuple[int, T] | None, what: str, read: Callable[[Envelope], T], order: Callable[[T], Any]
    ) -> tuple[int, T]:
        for number, facts in self._facts("founded", f"{what}_installed", after=known[0] if known else 0):
            found = read(_converted(facts.get(what), Envelope))
            if known is not None and order(found) <= order(known[1]):
                raise RefusedError(
                    f"{self.folder}: entry {number} of its chain puts in an older {what} than entry {known[0]} did, "
                    "which lfr-kernel would have refused: verify the chain (lfr-kernel audit verify)"
                )
            known = number, found
        if known is None:
            raise RefusedError(f"{self.folder} has no {what}: was it founded?")
        return known


def _converted(data: Any, into: type[T]) -> T:
    try:
        return msgspec.convert(data, into)
    except msgspec.ValidationError as error:
        raise SignatureError(
            f"what the organisation signed cannot be read from the chain: {error}; was an entry changed?"
        ) from None
