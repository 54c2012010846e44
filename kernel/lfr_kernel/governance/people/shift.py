"""A session as it lies on the disk of the installation, and whether its key still signs.

Two files for each: `NAME.session` holds the certificate and the private key and is never written again; `NAME.used`
says when the key was last used. So a use that comes too late cannot bring back a key that somebody destroyed meanwhile.
"""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

import msgspec
from msgspec import Struct

from lfr_kernel.governance.errors import KeyFileError, RefusedError
from lfr_kernel.governance.instant import Instant, nanoseconds
from lfr_kernel.governance.keys.files import destroy_file, is_destroyed, read_secret, write_whole
from lfr_kernel.governance.keys.signing import Envelope  # noqa: TC001  (msgspec resolves the annotations when it decodes)
from lfr_kernel.governance.people.statements import SessionCertificate, moment, written

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from lfr_kernel.governance.keys.keyring import Sealer

__all__ = ["Lock", "Shift", "ShiftFolder", "state_of"]

SECOND_NS = 1_000_000_000
SESSION, USED = ".session", ".used"


class Lock(StrEnum):
    """Why a session's key signs no more."""

    IDLE = "idle"
    OVER = "over"
    REBOOTED = "rebooted"
    BEHIND = "behind"
    """The wall clock claims a time before its start: what it signed now would not be within its term."""


class Shift(Struct, frozen=True, kw_only=True):
    """One session on the disk. Holds the private key: shown to nobody."""

    envelope: Envelope
    """The certificate, as the person signed it."""
    sealed: str
    """Base64 of the session's private key, as the machine sealed it."""
    started: Instant

    def __repr__(self) -> str:
        return f"Shift(person={self.certificate.person!r})"

    @property
    def certificate(self) -> SessionCertificate:
        """What the envelope states. Whoever wrote this file has verified it."""
        return msgspec.json.decode(self.envelope.body, type=SessionCertificate)


def state_of(certificate: SessionCertificate, started: Instant, used: Instant | None, now: Instant) -> Lock | None:
    """Return why a session's key signs no more; None: it does.

    It is over when either the wall clock or the boot clock says so: setting the one back gains nothing. `BEHIND` comes
    last, since it alone passes.

    Args:
        certificate: of the session.
        started: what the clocks said when it was made.
        used: what they said when it was last used; None if that is not known.
        now: what they say.
    """
    if used is None or now.boot_id != started.boot_id or used.boot_id != now.boot_id or now.boot_ns < used.boot_ns:
        return Lock.REBOOTED
    starts_ns, ends_ns = nanoseconds(certificate.starts), nanoseconds(certificate.ends)
    if now.utc_ns >= ends_ns or now.boot_ns - started.boot_ns >= ends_ns - starts_ns:
        return Lock.OVER
    if now.boot_ns - used.boot_ns > certificate.idle_s * SECOND_NS:
        return Lock.IDLE
    return Lock.BEHIND if now.utc_ns < starts_ns else None


def _locked_text(certificate: SessionCertificate, lock: Lock, used: Instant | None, now: Instant) -> str:
    """Return in words why a session is locked, and what to do."""
    name = certificate.person
    if lock is Lock.BEHIND:
        return (
            f"the clock says {written(moment(now.utc_ns))}, and the session of {name} started on "
            f"{written(certificate.starts)}: the clock was set back; put it right, or start a "
            "session by the clock as it is"
        )
    if lock is Lock.OVER and moment(now.utc_ns) < certificate.ends:
        hours = (certificate.ends - certificate.starts).total_seconds() / 3600
        why = f"has lasted the {hours:g} h it was given, by the boot clock"
    elif lock is Lock.OVER:
        why = f"ended on {written(certificate.ends)}"
    elif lock is Lock.REBOOTED or used is None:
        why = "is locked, for the machine was started since it was used"
    else:
        idle = (now.boot_ns - used.boot_ns) / SECOND_NS / 60
        why = f"is locked: idle {idle:.0f} min, limit {certificate.idle_s / 60:.0f}"
    return f"the session of {name} {why}; its key is destroyed: lfr-kernel session start --as {name} --key FILE"


class ShiftFolder:
    """The sessions of one installation, by name of the person."""

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        """Use the folder, which need not be there yet; the private keys are sealed by the machine."""
        self._folder = folder
        self._sealer = sealer

    def names(self) -> list[str]:
        """Return who has a session here, locked or not."""
        return sorted(path.name.removesuffix(SESSION) for path in self._folder.glob(f"*{SESSION}"))

    def keep(self, envelope: Envelope, private: bytes, now: Instant) -> None:
        """Keep a session that starts now, in place of the one before of the same person.

        Args:
            envelope: its certificate.
            private: its key, 32 bytes.
            now: what the clocks say.
        """
        name = msgspec.json.decode(envelope.body, type=SessionCertificate).person
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.touch(name, now)
        sealed = base64.b64encode(self._sealer.seal(f"session-{name}", private)).decode()
        shift = Shift(envelope=envelope, sealed=sealed, started=now)
        write_whole(self._folder / f"{name}{SESSION}", msgspec.json.encode(shift) + b"\n")

    def find(self, name: str) -> Shift | None:
        """Return the session of a person, locked or not; None if there is none.

        Raises:
            KeyFileError: it can be read by others, or not at all.
        """
        path = self._folder / f"{name}{SESSION}"
        if name not in self.names():
            return None
        if is_destroyed(path.read_bytes()):
            self.destroy(name)
            return None
        try:
            return msgspec.json.decode(read_secret(path), type=Shift)
        except msgspec.DecodeError as error:
            raise KeyFileError(f"session {path}: expected a session, got something else: {error}; remove it") from None

    def used(self, name: str) -> Instant | None:
        """Return what the clocks said when a session was last used; None if that is not known."""
        try:
            return msgspec.json.decode((self._folder / f"{name}{USED}").read_bytes(), type=Instant)
        except (OSError, msgspec.DecodeError):
            return None

    def touch(self, name: str, now: Instant) -> None:
        """Note that a session is used now."""
        write_whole(self._folder / f"{name}{USED}", msgspec.json.encode(now))

    def private(self, shift: Shift) -> bytes:
        """Return the private key of a session. Raises SealError: another machine sealed it."""
        return self._sealer.open(f"session-{shift.certificate.person}", base64.b64decode(shift.sealed))

    def refuse(self, certificate: SessionCertificate, lock: Lock, now: Instant) -> NoReturn:
        """Destroy the key of a session that is locked, and say so.

        Raises:
            RefusedError: always. After `BEHIND` the key is still there: it signs again when the clock was put right.
        """
        used = self.used(certificate.person)
        if lock is not Lock.BEHIND:
            self.destroy(certificate.person)
        raise RefusedError(_locked_text(certificate, lock, used, now))

    def destroy(self, name: str) -> bool:
        """Overwrite and remove the key of a session; return whether it was there. Doing it twice is harmless."""
        was_there = destroy_file(self._folder / f"{name}{SESSION}")
        (self._folder / f"{name}{USED}").unlink(missing_ok=True)
        return was_there


def ends_at(starts: dt.datetime, longest: dt.timedelta, expires: dt.datetime) -> dt.datetime:
    """Return when a session that starts now ends: no later than its person's entry on the roster."""
    return min(starts + longest, expires)
