"""Portraits on their way into a list: on disk, since ten thousand need not fit into memory, and never in clear."""

from __future__ import annotations

import os
import tempfile
import threading
from typing import TYPE_CHECKING, NamedTuple

from lfr_kernel.governance.keys.sealing import KEY_BYTES, unwrap, wrap

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Span", "Spool"]

PURPOSE = b"lfr-list-1 spool"


class Span(NamedTuple):
    """Where something lies in a spool."""

    offset: int
    length: int


class Spool:
    """A temporary file without a name, under a random key that is nowhere else (AES-256-GCM). Any thread may use it."""

    def __init__(self, folder: Path) -> None:
        """Make it in `folder`, which has room for it: where the list is going to lie."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `close`)
        self._key = os.urandom(KEY_BYTES)
        self._lock = threading.Lock()
        self._end = 0

    def put(self, data: bytes) -> Span:
        """Keep `data`; return how to get it back."""
        sealed = wrap(self._key, data, PURPOSE)
        with self._lock:
            span = Span(self._end, len(sealed))
            self._file.seek(self._end)
            self._file.write(sealed)
            self._end += len(sealed)
        return span

    def get(self, span: Span) -> bytes:
        """Return what was kept."""
        with self._lock:
            self._file.seek(span.offset)
            sealed = self._file.read(span.length)
        return unwrap(self._key, sealed, PURPOSE)

    def close(self) -> None:
        """Let go of file and key: what lies on the disk can be read by nobody any more."""
        self._file.close()
        self._key = b""
