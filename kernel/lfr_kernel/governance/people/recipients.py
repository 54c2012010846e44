"""Key files of recipients: `NAME.key`, sealed under a passphrase, and `NAME.pub`, which profiles and exports take.

A recipient reads what leaves sealed and does nothing else, so there is one key only. Somebody on the roster needs no
such file: their own key opens what was sealed to their `NAME.pub`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import Struct

from lfr_kernel.governance.errors import KeyFileError, RefusedError, SealError
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.keys.recipient import recipient_of
from lfr_kernel.governance.keys.sealing import KEY_BYTES
from lfr_kernel.governance.people.keyfiles import about_key, open_key, refuse_to_overwrite, suffixed, write_key
from lfr_kernel.governance.people.statements import Hex32, Name  # noqa: TC001  (msgspec resolves the annotations)

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

__all__ = ["Recipient", "new_recipient", "read_recipient", "unlock_recipient"]


class Recipient(Struct, frozen=True, kw_only=True):
    """Whose key something is sealed to: what `NAME.pub` holds, of a recipient or of a person."""

    name: Name
    sealing: Hex32
    """X25519 public key, hexadecimal."""

    @property
    def public(self) -> X25519PublicKey:
        """The key. Raises SealError: see `recipient_of`."""
        return recipient_of(self.sealing)


def new_recipient(name: str, path: Path, passphrase: str) -> Recipient:
    """Make a recipient's key: `path` with `.key`, sealed, and `path` with `.pub`.

    Args:
        name: what it is called.
        path: without a suffix, in a folder that exists.
        passphrase: that only the recipient knows.

    Raises:
        KeyFileError: one of the files is there, or cannot be written.
        RefusedError: the name cannot be one.
        SealError: the passphrase is empty.
    """
    private = X25519PrivateKey.generate()
    made = {"name": name, "sealing": private.public_key().public_bytes_raw().hex()}
    try:
        recipient = msgspec.convert(made, Recipient)
    except msgspec.ValidationError:
        raise RefusedError(
            f"expected a name of up to 64 letters, digits, -, _ and ., without spaces, got {name!r}"
        ) from None
    key, pub = suffixed(path, ".key"), suffixed(path, ".pub")
    refuse_to_overwrite(key, pub)
    write_key(key, private.private_bytes_raw(), passphrase, {"holder": "recipient", **made})
    write_whole(pub, msgspec.json.encode(recipient) + b"\n", mode=0o644)
    return recipient


def read_recipient(path: Path) -> Recipient:
    """Read the public half: `NAME.pub` of a recipient or of a person.

    Raises:
        KeyFileError: it is missing, or something else.
        SealError: its key keeps nothing secret.
    """
    expected = "expected a file that `recipient new` or `person new` made"
    try:
        recipient = msgspec.json.decode(path.read_bytes(), type=Recipient)
    except OSError as error:
        raise KeyFileError(f"public key {path}: {expected}, got: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeyFileError(f"public key {path}: {expected}: {error}") from None
    try:
        recipient_of(recipient.sealing)
    except SealError as error:
        raise SealError(f"public key {path}: {error}") from None
    return recipient


def unlock_recipient(path: Path, passphrase: str) -> X25519PrivateKey:
    """Return the private key of a recipient, or the one of a person that opens what was sealed to them.

    Raises:
        KeyFileError: the file is missing, others can read it, or it is the organisation's.
        SealError: the passphrase is wrong, or the file was changed.
    """
    if about_key(path).holder == "person":
        _, secret = open_key(path, passphrase, "person", 2 * KEY_BYTES)
    else:
        _, secret = open_key(path, passphrase, "recipient", KEY_BYTES)
    return X25519PrivateKey.from_private_bytes(secret[-KEY_BYTES:])
