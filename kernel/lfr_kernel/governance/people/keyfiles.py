"""Key files of people: `NAME.key`, sealed under a passphrase, and `NAME.pub`, which the roster takes.

The first belongs on something that goes home with its owner: a key that stays in the van is the van's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Meta, Struct

from lfr_kernel.governance.errors import KeyFileError, RefusedError
from lfr_kernel.governance.keys.files import read_secret, write_whole
from lfr_kernel.governance.keys.sealing import KEY_BYTES, SealedKey, open_sealed, seal_to, seal_under_passphrase
from lfr_kernel.governance.keys.signing import KeySigner
from lfr_kernel.governance.people.statements import Hex32, Name, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_kernel.governance.people.statements import Roster

__all__ = [
    "KeyAbout",
    "Person",
    "PublicKeys",
    "about_key",
    "change_passphrase",
    "lies_in_the_machine",
    "new_person",
    "open_as",
    "open_key",
    "read_public",
    "refuse_to_overwrite",
    "seal_to_operators",
    "suffixed",
    "unlock_person",
    "write_key",
]


class PublicKeys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `NAME.pub` holds."""

    name: Name
    signing: Hex32
    sealing: Hex32


class KeyAbout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key file says of itself in clear."""

    holder: Literal["organisation", "person", "recipient"]
    name: Annotated[str, Meta(min_length=1)]
    signing: Hex32 | None = None
    sealing: Hex32 | None = None


class Person:
    """Somebody's private keys, unlocked: held for as short as it takes."""

    def __init__(self, name: str, secret: bytes) -> None:
        """Take both keys, 32 bytes each: Ed25519 and X25519."""
        self.name = name
        self.signer = KeySigner(f"person {name}", secret[:KEY_BYTES])
        self._sealing = X25519PrivateKey.from_private_bytes(secret[KEY_BYTES:])

    @property
    def public(self) -> PublicKeys:
        """The public halves."""
        sealing = self._sealing.public_key().public_bytes_raw()
        return PublicKeys(name=self.name, signing=self.signer.public.hex(), sealing=sealing.hex())

    def open(self, sealed: bytes, purpose: bytes) -> bytes:
        """Return what was sealed to this person. Raises SealError: see `open_sealed`."""
        return open_sealed(self._sealing, sealed, purpose)


def new_person(name: str, path: Path, passphrase: str) -> PublicKeys:
    """Make somebody's keys: `path` with `.key`, sealed, and `path` with `.pub`.

    Args:
        name: as the roster will have it.
        path: without a suffix, in a folder that exists.
        passphrase: that only this person knows.

    Raises:
        KeyFileError: one of the files is there, or cannot be written.
        RefusedError: the name cannot be one.
        SealError: the passphrase is empty.
    """
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise RefusedError(
            f"expected a name of up to 64 letters, digits, -, _ and ., without spaces, got {name!r}"
        ) from None
    signing, sealing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    secret = signing.private_bytes_raw() + sealing.private_bytes_raw()
    public = Person(name, secret).public
    key, pub = suffixed(path, ".key"), suffixed(path, ".pub")
    refuse_to_overwrite(key, pub)
    write_key(key, secret, passphrase, {"holder": "person", **msgspec.to_builtins(public)})
    write_whole(pub, msgspec.json.encode(public) + b"\n", mode=0o644)
    return public


def unlock_person(path: Path, passphrase: str) -> Person:
    """Return somebody's private keys.

    Raises:
        KeyFileError: the file is missing, others can read it, or it is no person's.
        SealError: the passphrase is wrong, or the file was changed.
    """
    name, secret = open_key(path, passphrase, "person", 2 * KEY_BYTES)
    return Person(name, secret)


def change_passphrase(path: Path, old: str, new: str) -> None:
    """Seal a key file, a person's or the organisation's, under another passphrase.

    Copies that were made of it before stay under the old one.

    Raises:
        KeyFileError: it is missing, others can read it, or it is no key file.
        SealError: the old passphrase is wrong, or the new one is empty.
    """
    sealed = _read_key(path)
    write_key(path, sealed.open(old), new, sealed.about)


def read_public(path: Path) -> PublicKeys:
    """Read `NAME.pub`.

    Raises:
        KeyFileError: it is missing, or something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=PublicKeys)
    except OSError as error:
        raise KeyFileError(
            f"public keys {path}: expected a file that `person new` made, got: {error.strerror}"
        ) from None
    except msgspec.DecodeError as error:
        raise KeyFileError(f"public keys {path}: expected a file that `person new` made: {error}") from None


def lies_in_the_machine(path: Path) -> bool:
    """Return whether a key would lie on the file system of root or home, and not on something its owner takes along.

    Args:
        path: of a file whose folder exists.
    """
    device = path.absolute().parent.stat().st_dev
    return any(one.exists() and one.stat().st_dev == device for one in (Path("/"), Path.home()))


def seal_to_operators(roster: Roster, secret: bytes, purpose: bytes) -> dict[str, bytes]:
    """Seal a secret to each operator, so that a restart needs one of them, and any of them will do.

    Args:
        roster: whose operators that are not revoked it is sealed to.
        secret: what to seal.
        purpose: bound to it; whoever opens it must name the same.

    Returns:
        What each of them can open, by name.

    Raises:
        RefusedError: there is no operator.
    """
    operators = [one for one in roster.people if Role.OPERATOR in one.roles and one.revoked is None]
    if not operators:
        raise RefusedError("expected an operator on the roster to seal this to, found none: nobody could open it again")
    return {
        one.name: seal_to(X25519PublicKey.from_public_bytes(bytes.fromhex(one.sealing)), secret, purpose)
        for one in operators
    }


def open_as(path: Path, passphrase: str, sealed: Mapping[str, bytes], purpose: bytes) -> bytes:
    """Open with somebody's key file what `seal_to_operators` has sealed.

    Raises:
        RefusedError: it was not sealed to this person.
        KeyFileError: see `unlock_person`. So SealError, or it was sealed for something else, or changed.
    """
    person = unlock_person(path, passphrase)
    if person.name not in sealed:
        raise RefusedError(
            f"this was sealed to {', '.join(sorted(sealed)) or 'nobody'}, and the key file {path} is {person.name}'s"
        )
    return person.open(sealed[person.name], purpose)


def refuse_to_overwrite(*paths: Path) -> None:
    """Return if none of the files is there.

    Raises:
        KeyFileError: one is.
    """
    for path in paths:
        if path.exists():
            raise KeyFileError(f"{path} is there already: a key is never overwritten; choose another place")


def write_key(path: Path, secret: bytes, passphrase: str, about: Mapping[str, Any]) -> None:
    """Write a key file in place of the one before.

    Raises:
        KeyFileError: it cannot be written.
        SealError: the passphrase is empty.
    """
    sealed = seal_under_passphrase(secret, passphrase, about)
    try:
        write_whole(path, msgspec.json.encode(sealed) + b"\n")
    except OSError as error:
        raise KeyFileError(
            f"key file {path}: expected a folder that can be written to, got: {error.strerror}"
        ) from None


def open_key(path: Path, passphrase: str, holder: str, size: int) -> tuple[str, bytes]:
    """Return the holder's name and the secret of a key file.

    Args:
        path: of the file.
        passphrase: that it is sealed under.
        holder: `person`, `organisation` or `recipient`.
        size: of the secret, in bytes.

    Raises:
        KeyFileError: the file is missing, others can read it, or it is somebody else's.
        SealError: the passphrase is wrong, or the file was changed.
    """
    sealed = _read_key(path)
    about = msgspec.convert(sealed.about, KeyAbout)
    if about.holder != holder:
        raise KeyFileError(
            f"key file {path}: expected one of kind {holder}, got one of kind {about.holder} ({about.name})"
        )
    secret = sealed.open(passphrase)
    if len(secret) != size:
        raise KeyFileError(
            f"key file {path}: expected {size} bytes of key, got {len(secret)}; was it made by another version?"
        )
    return about.name, secret


def about_key(path: Path) -> KeyAbout:
    """Return what a key file says of itself in clear: whether that is true is known only once it is opened.

    Raises:
        KeyFileError: it is missing, others can read it, or it is no key file.
    """
    return msgspec.convert(_read_key(path).about, KeyAbout)


def _read_key(path: Path) -> SealedKey:
    try:
        sealed = msgspec.json.decode(read_secret(path), type=SealedKey)
        msgspec.convert(sealed.about, KeyAbout)
    except msgspec.DecodeError as error:
        raise KeyFileError(f"key file {path}: expected a sealed key, got something else: {error}") from None
    return sealed


def suffixed(path: Path, suffix: str) -> Path:
    """Return a path with a suffix more: a name may have dots of its own."""
    return path.with_name(path.name + suffix)
