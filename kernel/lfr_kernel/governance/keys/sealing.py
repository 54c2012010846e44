"""Sealed secrets: under a passphrase (scrypt and AES-256-GCM), to a public key (HPKE), or under another key."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

from lfr_kernel.governance.errors import SealError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

__all__ = ["KEY_BYTES", "SealedKey", "open_sealed", "seal_to", "seal_under_passphrase", "unwrap", "wrap"]

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**17, 8, 1
"""128 MiB and a third of a second: OWASP's first choice for scrypt."""
MOST_N = 2**20
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealedKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret under a passphrase, as its file holds it. All but `sealed` is authenticated with it."""

    format: str = "lfr-key-1"
    about: dict[str, Any]
    """Whose key it is and its public parts: readable without the passphrase, and not to be changed."""
    n: int
    r: int
    p: int
    salt: str
    nonce: str
    sealed: str

    @property
    def header(self) -> bytes:
        """The associated data."""
        return msgspec.json.encode(msgspec.structs.replace(self, sealed=""), order="deterministic")

    def open(self, passphrase: str) -> bytes:
        """Return the secret.

        Raises:
            SealError: the passphrase is wrong, or the file was changed.
        """
        if not SCRYPT_N <= self.n <= MOST_N or self.r != SCRYPT_R or self.p != SCRYPT_P:
            raise SealError(f"expected scrypt with N from {SCRYPT_N} to {MOST_N}, r = 8 and p = 1, got N = {self.n}")
        try:
            key = _derived(passphrase, base64.b64decode(self.salt, validate=True), self.n)
            nonce, sealed = (base64.b64decode(one, validate=True) for one in (self.nonce, self.sealed))
            return AESGCM(key).decrypt(nonce, sealed, self.header)
        except (InvalidTag, ValueError):
            raise SealError("wrong passphrase, or the key file was changed or damaged") from None


def seal_under_passphrase(secret: bytes, passphrase: str, about: Mapping[str, Any]) -> SealedKey:
    """Seal a secret so that only who knows the passphrase can read it.

    Args:
        secret: what to keep.
        passphrase: not empty.
        about: what the file says of it in clear.

    Raises:
        SealError: the passphrase is empty.
    """
    if not passphrase:
        raise SealError("expected a passphrase, got an empty one: the key would be anybody's who finds the file")
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    bare = SealedKey(
        about=dict(about),
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        salt=base64.b64encode(salt).decode(),
        nonce=base64.b64encode(nonce).decode(),
        sealed="",
    )
    sealed = AESGCM(_derived(passphrase, salt, SCRYPT_N)).encrypt(nonce, secret, bare.header)
    return msgspec.structs.replace(bare, sealed=base64.b64encode(sealed).decode())


def _derived(passphrase: str, salt: bytes, n: int) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=n, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.encode())


def seal_to(public: X25519PublicKey, secret: bytes, purpose: bytes) -> bytes:
    """Seal a secret to a public key: HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM.

    Args:
        public: the receiver's.
        secret: what to seal.
        purpose: bound to it; whoever opens must name the same.
    """
    return SUITE.encrypt(secret, public, info=purpose)


def open_sealed(private: X25519PrivateKey, sealed: bytes, purpose: bytes) -> bytes:
    """Open what was sealed to a public key.

    Raises:
        SealError: it was sealed to somebody else, for something else, or was changed.
    """
    try:
        return SUITE.decrypt(sealed, private, info=purpose)
    except (InvalidTag, ValueError):
        raise SealError("this was sealed to another key or for another purpose, or was changed or damaged") from None


def wrap(key: bytes | bytearray, secret: bytes | bytearray, purpose: bytes) -> bytes:
    """Return a secret under another key (AES-256-GCM, a random nonce in front), bound to its purpose."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret, purpose)


def unwrap(key: bytes | bytearray, wrapped: bytes, purpose: bytes) -> bytes:
    """Return what `wrap` was given.

    Raises:
        SealError: another key or purpose, or it was changed.
    """
    try:
        return AESGCM(key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], purpose)
    except (InvalidTag, ValueError):
        raise SealError("this was sealed under another key or for another purpose, or was changed or damaged") from None
