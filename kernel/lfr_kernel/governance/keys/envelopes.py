"""Envelopes in files: what people carry from one machine to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lfr_kernel.governance.errors import SignatureError
from lfr_kernel.governance.keys.files import write_whole
from lfr_kernel.governance.keys.signing import Envelope

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_envelope", "write_envelope"]

LARGEST = 16 << 20


def read_envelope(path: Path) -> Envelope:
    """Read a signed statement, whose signatures are yet to be verified.

    Raises:
        SignatureError: there is none, or it is something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise SignatureError(f"{path}: expected a signed statement, got a file of more than {LARGEST} bytes")
        return msgspec.json.decode(data, type=Envelope)
    except OSError as error:
        raise SignatureError(f"{path}: expected a signed statement, got: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise SignatureError(f"{path}: expected a signed statement (JSON), got something else: {error}") from None


def write_envelope(path: Path, envelope: Envelope) -> None:
    """Write a signed statement for everybody to read."""
    write_whole(path, msgspec.json.encode(envelope) + b"\n", mode=0o644)
