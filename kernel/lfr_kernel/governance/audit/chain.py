"""Entries of the audit: their bodies, digests and signatures, as pure functions.

An entry is a JSON text that is stored, hashed and exported as it stands and never written anew. Its digest is
SHA-256("lfr-audit-1" 00 body), its signature covers "lfr-audit-1" 00 digest, and it names the digest of the one before.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from lfr_kernel.governance.instant import Instant
from lfr_kernel.governance.keys.signing import holds, key_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfr_kernel.governance.keys.signing import Signer

__all__ = [
    "NOTHING", "Draft", "Entry", "digest_of", "draft", "is_signed", "iso_of", "ns_of", "stamp_of",
    "text_digest",
]  # fmt: skip

PREFIX = b"lfr-audit-1\0"
TEXT_PURPOSE = b"lfr-audit-text-1"
NOTHING = "0" * 64
"""What the first entry names as the digest before it."""
CODE = re.compile(r"[a-z0-9_-]+\Z")
SECOND_NS = 1_000_000_000


class Entry(Struct, frozen=True, kw_only=True):
    """One entry of the chain."""

    number: int
    """From 1, without gaps."""
    digest: str
    """64 hexadecimal digits."""
    at: str
    """ISO 8601, UTC, with nanoseconds."""
    act: str
    body: str
    """The exact text that was hashed."""


class Draft(Struct, frozen=True, kw_only=True):
    """An entry with its signature, about to be written."""

    entry: Entry
    signature: str
    """Base64 of 64 bytes."""


def iso_of(utc_ns: int) -> str:
    """Return UTC ns since 1970 as `2026-03-01T12:00:00.250000000Z`."""
    seconds, rest = divmod(utc_ns, SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:09d}Z"


def ns_of(iso: str) -> int:
    """Return what `iso_of` was given. Raises ValueError for what it did not write."""
    whole, _, rest = iso.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * SECOND_NS + int(rest.ljust(9, "0"))


def digest_of(body: str) -> str:
    """Return the digest of a body, in hexadecimal digits."""
    return hashlib.sha256(PREFIX + body.encode()).hexdigest()


def is_signed(body: str, digest: str, signature: str, public: bytes) -> bool:
    """Return whether an entry is what a key signed.

    Args:
        body: its exact text.
        digest: that is kept with it.
        signature: base64.
        public: Ed25519, 32 bytes.
    """
    return digest == digest_of(body) and holds(public, PREFIX + bytes.fromhex(digest), signature)


def text_digest(text: str, key: bytes) -> str:
    """Return what the chain says of a free text: nobody without its key can tell what it was, or try guesses."""
    derived = hmac.digest(key, TEXT_PURPOSE, "sha256")
    return hmac.digest(derived, text.encode(), "sha256").hex()


def draft(
    head: tuple[int, str],
    now: Instant,
    act: str,
    *,
    signer: Signer,
    facts: Mapping[str, Any] | None = None,
    reason: str | None = None,
    text: str | None = None,
) -> Draft:
    """Return the entry that follows `head`, signed.

    Args:
        head: number and digest of the last entry; (0, NOTHING) before the first.
        now: what the clocks say.
        act: what was done, a code.
        signer: who did it.
        facts: anything that can be JSON.
        reason: a code.
        text: see `text_digest`.

    Raises:
        ValueError: act or reason is no code of small letters, digits, `-` and `_`: a free text in the chain could never
            be erased.
    """
    for name, code in (("act", act), ("reason", reason)):
        if code is not None and not CODE.match(code):
            raise ValueError(
                f"expected {name} to be a code of a-z, 0-9, - and _, got {code!r}; free text goes to `text`"
            )
    number, previous = head[0] + 1, head[1]
    at = iso_of(now.utc_ns)
    content: dict[str, Any] = {
        "n": number,
        "prev": previous,
        "at": at,
        "boot_ns": now.boot_ns,
        "boot_id": now.boot_id,
        "synchronised": now.is_synchronised,
        "act": act,
        "by": signer.name,
        "key": key_id(signer.public),
    }
    given = {"reason": reason, "text": text, "facts": facts}
    content |= {name: value for name, value in given.items() if value is not None}
    body = msgspec.json.encode(content).decode()
    digest = digest_of(body)
    signature = base64.b64encode(signer.sign(PREFIX + bytes.fromhex(digest))).decode()
    return Draft(entry=Entry(number=number, digest=digest, at=at, act=act, body=body), signature=signature)


class _Stamp(Struct):
    """What of a body says when it was made; to decode no more of it is twice as fast."""

    at: str
    boot_ns: int
    boot_id: str
    synchronised: bool | None


_STAMPS = msgspec.json.Decoder(_Stamp)


def stamp_of(body: str) -> Instant:
    """Return when an entry was made. Raises ValueError if the body is none that `draft` wrote."""
    try:
        stamp = _STAMPS.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"expected the body of an entry: {error}") from None
    return Instant(
        utc_ns=ns_of(stamp.at),
        boot_ns=stamp.boot_ns,
        boot_id=stamp.boot_id,
        is_synchronised=stamp.synchronised,
    )
