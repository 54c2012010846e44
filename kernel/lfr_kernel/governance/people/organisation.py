"""The organisation: its root key, kept offline, and what it signs with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta, Struct

from lfr_kernel.governance.errors import KeyFileError, RefusedError, SignatureError
from lfr_kernel.governance.keys.envelopes import read_envelope
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.keys.sealing import KEY_BYTES
from lfr_kernel.governance.keys.signing import KeySigner, sign, verify
from lfr_kernel.governance.people.keyfiles import open_key, refuse_to_overwrite, write_key
from lfr_kernel.governance.people.statements import (
    CERTIFICATE,
    PACKS,
    REQUEST,
    ROSTER,
    Certificate,
    Hex32,
    PackDigest,
    Packs,
    Request,
    Roster,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from pathlib import Path

    from lfr_kernel.governance.keys.signing import Envelope

__all__ = ["KEY_FILE", "PUBLIC_FILE", "Organisation", "Root", "new_organisation", "read_organisation", "unlock_root"]

KEY_FILE, PUBLIC_FILE = "organisation.key", "organisation.pub"


class Organisation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What everybody may know of the organisation: everything else is verified with it."""

    name: Annotated[str, Meta(min_length=1)]
    key: Hex32
    """Ed25519 public key of the root, hexadecimal."""

    @property
    def public(self) -> bytes:
        """The key's 32 bytes."""
        return bytes.fromhex(self.key)

    def roster(self, envelope: Envelope) -> Roster:
        """Return a roster that this organisation signed. Raises SignatureError: it did not."""
        return verify(envelope, ROSTER, Roster, [self.public])

    def packs(self, envelope: Envelope) -> Packs:
        """Return the digests of packs that this organisation signed. Raises SignatureError: it did not."""
        return verify(envelope, PACKS, Packs, [self.public])

    def certificate(self, envelope: Envelope) -> Certificate:
        """Return a certificate that this organisation signed. Raises SignatureError: it did not."""
        return verify(envelope, CERTIFICATE, Certificate, [self.public])


class Root:
    """The organisation's private key, unlocked: held for as short as it takes."""

    def __init__(self, name: str, private: bytes) -> None:
        """Take the 32 bytes of an Ed25519 private key."""
        self._signer = KeySigner(f"organisation {name}", private)
        self.organisation = Organisation(name=name, key=self._signer.public.hex())

    def sign_roster(self, roster: Roster, before: Path) -> Envelope:
        """Sign a roster.

        Args:
            roster: the new one.
            before: the file that it is going to replace, if that is there.

        Raises:
            RefusedError: its number is not above that of the one before.
            SignatureError: what it would replace is no roster of this organisation.
        """
        if before.exists():
            last = self.organisation.roster(read_envelope(before))
            if roster.number <= last.number:
                raise RefusedError(
                    f"expected a roster number above {last.number}, which {before} has, got {roster.number}: "
                    "installations refuse a roster that is no newer than theirs"
                )
        return sign(ROSTER, roster, self._signer)

    def sign_packs(self, packs: Iterable[PackDigest], issued: dt.datetime) -> Envelope:
        """Sign the digests of rule packs.

        Raises:
            RefusedError: there is none, or two have one name.
        """
        found = tuple(packs)
        names = [one.name for one in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not found:
            raise RefusedError(f"expected rule packs, each of them once, got {', '.join(twice) or 'none'}")
        return sign(PACKS, Packs(issued=issued, packs=found), self._signer)

    def certify(self, envelope: Envelope, issued: dt.datetime) -> Envelope:
        """Sign the certificate that an installation requests.

        Raises:
            SignatureError: the request is not signed by the key that it names.
        """
        try:
            claimed = msgspec.json.decode(envelope.body, type=Request)
        except msgspec.DecodeError as error:
            raise SignatureError(f"expected the request of an installation, got something else: {error}") from None
        request = verify(envelope, REQUEST, Request, [bytes.fromhex(claimed.signing)])
        certificate = Certificate(
            installation=request.installation,
            name=request.name,
            signing=request.signing,
            sealing=request.sealing,
            issued=issued,
        )
        return sign(CERTIFICATE, certificate, self._signer)


def new_organisation(name: str, folder: Path, passphrase: str) -> Organisation:
    """Make the root key of an organisation, in a folder that is made when it is not there.

    Raises:
        KeyFileError: there is one already, or it cannot be written.
        RefusedError: the name is empty.
        SealError: the passphrase is empty.
    """
    if not name.strip():
        raise RefusedError("expected the name of the organisation, got an empty one")
    refuse_to_overwrite(folder / KEY_FILE, folder / PUBLIC_FILE)
    private = Ed25519PrivateKey.generate().private_bytes_raw()
    organisation = Root(name, private).organisation
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"{folder}: expected a folder that can be made, got: {error.strerror}") from None
    write_key(
        folder / KEY_FILE, private, passphrase, {"holder": "organisation", "name": name, "signing": organisation.key}
    )
    write_whole(folder / PUBLIC_FILE, msgspec.json.encode(organisation) + b"\n", mode=0o644)
    return organisation


def unlock_root(path: Path, passphrase: str) -> Root:
    """Return the organisation's private key.

    Raises:
        KeyFileError: the file is missing, others can read it, or it is somebody else's.
        SealError: the passphrase is wrong, or the file was changed.
    """
    name, secret = open_key(path, passphrase, "organisation", KEY_BYTES)
    return Root(name, secret)


def read_organisation(path: Path) -> Organisation:
    """Read `organisation.pub`.

    Raises:
        KeyFileError: it is missing, or something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Organisation)
    except OSError as error:
        raise KeyFileError(f"{path}: expected the {PUBLIC_FILE} that `org init` made, got: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise KeyFileError(f"{path}: expected the {PUBLIC_FILE} that `org init` made: {error}") from None
