"""The signer of a session: signs in somebody's place as long as their session is unlocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfr_kernel.governance.errors import RefusedError
from lfr_kernel.governance.keys.signing import KeySigner
from lfr_kernel.governance.people.shift import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.people.shift import Shift, ShiftFolder
    from lfr_kernel.governance.people.statements import Member, SessionCertificate

__all__ = ["SessionSigner"]


class SessionSigner:
    """Signs as `person NAME` with the key of a session.

    The key stays on the disk and is read for each signature, so that a session that is ended or locked meanwhile, by
    whichever process, signs nothing more.
    """

    def __init__(
        self, member: Member, certificate: SessionCertificate, folder: ShiftFolder, clocks: Callable[[], Instant]
    ) -> None:
        """Sign for `member`, by a certificate that was verified."""
        self.member = member
        """As the roster had them when the session was opened."""
        self.certificate = certificate
        self.name = f"person {member.name}"
        self.public = bytes.fromhex(certificate.key)
        self._folder = folder
        self._clocks = clocks

    def use(self) -> Shift:
        """Count this moment as a use of the session, as when its person answers a question; return the session.

        Raises:
            RefusedError: the session was ended, or is locked; a locked one is destroyed.
            KeyFileError: its file cannot be read.
        """
        name, now = self.member.name, self._clocks()
        shift = self._folder.find(name)
        if shift is None or shift.certificate != self.certificate:
            raise RefusedError(f"the session of {name} was ended meanwhile: nothing more is signed with it")
        lock = state_of(self.certificate, shift.started, self._folder.used(name), now)
        if lock is not None:
            self._folder.refuse(self.certificate, lock, now)
        self._folder.touch(name, now)
        return shift

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, and count it as a use of the session. Raises as `use` does."""
        return KeySigner(self.name, self._folder.private(self.use())).sign(message)
