"""Signed statements: JSON in an envelope as DSSE describes it, signed with Ed25519.

DSSE (Dead Simple Signing Envelope, the envelope of in-toto and Sigstore): what is signed is the type and the bytes as
they stand, so that nobody has to agree on how to write JSON; the type keeps a signature for one purpose from serving
another.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from lfr_kernel.governance.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Envelope", "KeySigner", "Signature", "Signer", "countersign", "holds", "key_id", "pae", "sign", "verify"]

T = TypeVar("T")
PREFIX = "application/vnd.lfr-kernel."
KEY_ID_DIGITS = 32


class Signature(Struct, frozen=True, kw_only=True):
    """One signature of an envelope."""

    keyid: str
    """See `key_id`."""
    sig: str
    """Base64 of 64 bytes."""


class Envelope(Struct, frozen=True, kw_only=True, rename={"payload_type": "payloadType"}):
    """A statement with its signatures, as it lies in files and in the audit chain."""

    payload_type: str
    payload: str
    """Base64 of JSON."""
    signatures: tuple[Signature, ...]

    @property
    def body(self) -> bytes:
        """The bytes that are signed. Raises SignatureError if they are no base64."""
        return _decoded(self.payload)


class Signer(Protocol):
    """Whoever signs acts: a person's session, or the installation."""

    name: str
    """`person NAME` or `installation`."""
    public: bytes
    """Ed25519, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 64 bytes."""


class KeySigner:
    """Signs with an Ed25519 private key in memory."""

    def __init__(self, name: str, private: bytes) -> None:
        """Take the 32 bytes of an Ed25519 private key."""
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """See `Signer`."""
        return self._key.sign(message)


def key_id(public: bytes) -> str:
    """Return how a public key is referred to: the first 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:KEY_ID_DIGITS]


def pae(payload_type: str, body: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: the bytes that a signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def sign(kind: str, statement: Any, *signers: Signer) -> Envelope:
    """Return a signed statement.

    Args:
        kind: what it is, such as `roster`.
        statement: a Struct, or anything that msgspec encodes as JSON.
        signers: one or more.
    """
    payload_type, body = f"{PREFIX}{kind}+json", msgspec.json.encode(statement, order="deterministic")
    bare = Envelope(payload_type=payload_type, payload=base64.b64encode(body).decode(), signatures=())
    return countersign(bare, *signers)


def countersign(envelope: Envelope, *signers: Signer) -> Envelope:
    """Return the envelope with further signatures of the same statement."""
    message = pae(envelope.payload_type, envelope.body)
    added = [Signature(keyid=key_id(one.public), sig=base64.b64encode(one.sign(message)).decode()) for one in signers]
    return msgspec.structs.replace(envelope, signatures=(*envelope.signatures, *added))


def verify(envelope: Envelope, kind: str, into: type[T], publics: Iterable[bytes]) -> T:
    """Return what an envelope states, if each of `publics` has signed it.

    Args:
        envelope: the statement.
        kind: what it must be.
        into: the type of the statement.
        publics: Ed25519 public keys, all of which must have signed; at least one.

    Raises:
        SignatureError: it is something else, or one of them has not signed it, or it was changed since.
    """
    expected = f"{PREFIX}{kind}+json"
    if envelope.payload_type != expected:
        raise SignatureError(f"expected a signed {kind} ({expected}), got {envelope.payload_type!r}")
    needed = list(publics)
    if not needed:
        raise SignatureError(f"nobody is known whose signature on this {kind} would count")
    message = pae(envelope.payload_type, envelope.body)
    for public in needed:
        if not any(one.keyid == key_id(public) and holds(public, message, one.sig) for one in envelope.signatures):
            raise SignatureError(
                f"this {kind} is not signed by key {key_id(public)}: it was changed since, or signed by somebody else "
                f"({', '.join(one.keyid for one in envelope.signatures) or 'nobody'})"
            )
    try:
        return msgspec.json.decode(envelope.body, type=into)
    except msgspec.DecodeError as error:
        raise SignatureError(f"the signed {kind} cannot be read: {error}; was it made by another version?") from None


def holds(public: bytes, message: bytes, signature: str) -> bool:
    """Return whether a signature, in base64, is of a message and by an Ed25519 public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(_decoded(signature), message)
    except (InvalidSignature, SignatureError, ValueError):
        return False
    return True


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise SignatureError("a signed statement is not written in base64; the file was damaged") from None
