"""Sealed rows: each in one chunk that cannot be dropped, swapped, or carried into another list."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from msgspec import Struct

from lfr_kernel.governance.errors import SealError
from lfr_kernel.governance.keys.sealing import unwrap, wrap
from lfr_kernel.governance.lists.entries import Row

__all__ = ["BLOCK", "Place", "commitment", "open_row", "seal_row"]

LENGTH_BYTES = 4
BLOCK = 4096
"""Rows are padded to a multiple of so many bytes: the length of a portrait is almost a fingerprint of it."""


class Place(Struct, frozen=True):
    """Where a chunk belongs: it opens nowhere else."""

    list_id: str
    index: int
    total: int
    model: str

    @property
    def associated(self) -> bytes:
        """The bytes that are authenticated with the chunk."""
        return f"lfr-list-1 row\n{self.list_id}\n{self.index}\n{self.total}\n{self.model}\n".encode("ascii")


def commitment(key: bytes | bytearray, list_id: str) -> str:
    """Return what commits a list to its data key: HMAC-SHA256, hexadecimal.

    AES-GCM alone does not: a chunk can be made that opens under two keys, to two different people.
    """
    return hmac.new(bytes(key), f"lfr-list-1 key\n{list_id}\n".encode("ascii"), hashlib.sha256).hexdigest()


def seal_row(key: bytes | bytearray, row: Row, place: Place) -> bytes:
    """Return the chunk of a row: `wrap` over its length, its msgpack and zeros up to a whole block."""
    body = msgspec.msgpack.encode(row)
    plain = bytearray(-(-(LENGTH_BYTES + len(body)) // BLOCK) * BLOCK)
    plain[:LENGTH_BYTES] = len(body).to_bytes(LENGTH_BYTES, "big")
    plain[LENGTH_BYTES : LENGTH_BYTES + len(body)] = body
    chunk = wrap(key, plain, place.associated)
    plain[:] = bytes(len(plain))
    return chunk


def open_row(key: bytes | bytearray, chunk: bytes, place: Place) -> Row:
    """Return the row of a chunk.

    Raises:
        SealError: another key, another place, or it was changed.
    """
    try:
        plain = unwrap(key, chunk, place.associated)
        length = int.from_bytes(plain[:LENGTH_BYTES], "big")
        return msgspec.msgpack.decode(memoryview(plain)[LENGTH_BYTES : LENGTH_BYTES + length], type=Row)
    except (SealError, ValueError, msgspec.DecodeError):
        raise SealError(
            f"row {place.index} of {place.total} does not open: it was changed, comes from another place or another "
            "list, or the data key is not this list's"
        ) from None
