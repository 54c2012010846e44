"""Portraits on their way into a list: on disk, since ten thousand need not fit into memory, and never in clear."""

from __future__ import annotations

import tempfile
import threading
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = ["Span", "Spool"]

NONCE_BYTES = 12


class Span(NamedTuple):
    """Where something lies in a spool."""

    offset: int
    length: int


class Spool:
    """A temporary file without a name, under a random key that is nowhere else (AES-256-GCM). Any thread may use it."""

    def __init__(self, folder: Path) -> None:
        """Make it in `folder`, which has room for it: where the list is going to lie."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `close`)
        self._sealer = AESGCM(AESGCM.generate_key(256))
        self._lock = threading.Lock()
        self._end = self._count = 0

    def put(self, data: bytes) -> Span:
        """Keep `data`; return how to get it back."""
        with self._lock:
            # Under this key nothing else is ever sealed: a count makes every nonce another one.
            nonce = self._count.to_bytes(NONCE_BYTES, "big")
            sealed = nonce + self._sealer.encrypt(nonce, data, None)
            span = Span(self._end, len(sealed))
            self._file.seek(self._end)
            self._file.write(sealed)
            self._end += len(sealed)
            self._count += 1
        return span

    def get(self, span: Span) -> bytes:
        """Return what was kept."""
        with self._lock:
            self._file.seek(span.offset)
            sealed = self._file.read(span.length)
        return self._sealer.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)

    def close(self) -> None:
        """Let go of file and key: what lies on the disk can be read by nobody any more."""
        self._file.close()
        del self._sealer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
