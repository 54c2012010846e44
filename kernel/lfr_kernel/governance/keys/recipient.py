"""Recipients: whose X25519 key something that leaves is sealed to, and the files that are sealed so.

A sealed file is one line that says what it is, one line of JSON in clear that says for what and to whom it was sealed,
and what HPKE (RFC 9180, base mode) makes of the rest, bound to both lines. Whoever has the recipient's public key can
seal to it: opening one says that it was not changed on its way, not who sent it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003  (msgspec resolves the annotations)

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Struct

from lfr_kernel.governance.errors import SealError
from lfr_kernel.governance.keys.sealing import open_sealed, seal_to
from lfr_kernel.governance.keys.signing import key_id

__all__ = [
    "LONGEST_HEADER",
    "SealedHeader",
    "fingerprint_of",
    "header_of",
    "is_sealed",
    "open_with",
    "recipient_of",
    "seal_for",
]

FIRST_LINE = b"lfr-sealed-1\n"
LONGEST_HEADER = 1 << 16
"""Bytes that both lines take at most."""
_HEX = re.compile(r"[0-9a-fA-F]{64}")


class SealedHeader(Struct, frozen=True, kw_only=True):
    """What a sealed file says in clear. It cannot be changed without breaking the seal."""

    purpose: str
    """What it was sealed for, such as `alert-picture`."""
    recipient: str
    """See `fingerprint_of`."""
    about: Mapping[str, str | int] = {}
    """What anybody may know of it."""


def recipient_of(text: str) -> X25519PublicKey:
    """Return the public key that is written as 64 hexadecimal digits.

    Raises:
        SealError: it is no such key, or one of the few that keep nothing secret.
    """
    if not _HEX.fullmatch(text):
        raise SealError(
            f"expected an X25519 public key, 64 hexadecimal digits, as `lfr-kernel recipient show` prints it, got "
            f"{len(text)} characters of something else"
        )
    public = X25519PublicKey.from_public_bytes(bytes.fromhex(text))
    try:
        X25519PrivateKey.generate().exchange(public)
    except ValueError:
        raise SealError(
            f"{text} is no key that somebody holds: what is sealed to it could be opened by anybody (RFC 7748, 6.1)"
        ) from None
    return public


def fingerprint_of(public: X25519PublicKey) -> str:
    """Return how a public key is referred to: the first 32 hexadecimal digits of its SHA-256."""
    return key_id(public.public_bytes_raw())


def seal_for(
    recipient: X25519PublicKey, purpose: str, data: bytes, about: Mapping[str, str | int] | None = None
) -> bytes:
    """Return the content of a sealed file.

    Args:
        recipient: whose key opens it.
        purpose: what it is for; stands in it in clear.
        data: what is sealed. All of it is held in memory.
        about: what stands in it in clear beside the purpose: nothing that identifies anybody.
    """
    header = SealedHeader(purpose=purpose, recipient=fingerprint_of(recipient), about=about or {})
    lines = FIRST_LINE + msgspec.json.encode(header, order="deterministic") + b"\n"
    if len(lines) > LONGEST_HEADER:
        raise ValueError(f"expected what stands in clear to take {LONGEST_HEADER} bytes at most, got {len(lines)}")
    return lines + seal_to(recipient, data, lines)


def is_sealed(beginning: bytes) -> bool:
    """Return whether this is how a sealed file begins."""
    return beginning.startswith(FIRST_LINE)


def header_of(sealed: bytes) -> SealedHeader:
    """Return what a sealed file says in clear: whether that is true is known only once it is opened.

    Args:
        sealed: its content, or the first 64 KiB of it.

    Raises:
        SealError: it is something else.
    """
    return _parted(sealed)[0]


def open_with(private: X25519PrivateKey, sealed: bytes, *, purpose: str | None = None) -> bytes:
    """Return what was sealed.

    Args:
        private: the recipient's key.
        sealed: the content of a sealed file.
        purpose: what it must have been sealed for; None: anything.

    Raises:
        SealError: it is no sealed file, was sealed to somebody else or for something else, or was changed.
    """
    header, lines = _parted(sealed)
    own = fingerprint_of(private.public_key())
    if header.recipient != own:
        raise SealError(f"this was sealed to key {header.recipient}, and the key given is {own}")
    if purpose is not None and header.purpose != purpose:
        raise SealError(f"expected something that was sealed as {purpose}, got {header.purpose!r}")
    return open_sealed(private, sealed[len(lines) :], lines)


def _parted(sealed: bytes) -> tuple[SealedHeader, bytes]:
    """Return the header, and both lines that it stands in."""
    if not is_sealed(sealed):
        raise SealError(f"expected a sealed file, which begins with {FIRST_LINE.decode().strip()}, got something else")
    end = sealed.find(b"\n", len(FIRST_LINE), LONGEST_HEADER) + 1
    try:
        return msgspec.json.decode(sealed[len(FIRST_LINE) : end], type=SealedHeader), sealed[:end]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SealError(f"this sealed file is cut short or damaged: {error}") from None
