"""What was computed of a photograph or a clip, kept by digests, so that an evaluation goes on where it stopped.

A key is the digest of the file, of both models, and of whatever else the result depends on; nothing is ever updated.
The store holds templates of the data set: it is made readable for its owner only, and is one file to delete.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Self

from lfr_kernel.api import PassingError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Store", "StoreError", "digest_of", "key_of"]

_TABLE = "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, result BLOB NOT NULL) WITHOUT ROWID"
_CHUNK = 1 << 20


class StoreError(PassingError, OSError):
    """The store cannot be used; the text says why and what to do."""


class Store:
    """Results by key, in a SQLite file; in memory without one. Used by one thread; close it."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the store.

        Raises:
            StoreError: it cannot be made, or the file is no store.
        """
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                path.chmod(0o600)
            self._database = sqlite3.connect(path or ":memory:")
        except (OSError, sqlite3.Error) as error:
            raise self.error(error) from None
        try:
            self._database.execute(_TABLE)
        except sqlite3.Error as error:
            self._database.close()
            raise self.error(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def get(self, key: str) -> bytes | None:
        """Return the result of a key; None if there is none."""
        try:
            with closing(self._database.execute("SELECT result FROM results WHERE key = ?", (key,))) as found:
                row = found.fetchone()
        except sqlite3.Error as error:
            raise self.error(error) from None
        return None if row is None else bytes(row[0])

    def put(self, results: dict[str, bytes]) -> None:
        """Keep results, all or none. Raises StoreError, such as when the disk is full."""
        try:
            with self._database:
                self._database.executemany("INSERT OR IGNORE INTO results VALUES (?, ?)", results.items())
        except sqlite3.Error as error:
            raise self.error(error) from None

    def error(self, error: Exception) -> StoreError:
        """Return what to raise where the store cannot be used, such as for a result that cannot be understood."""
        return StoreError(
            f"the store {self._path} cannot be used: {error}; free some space, delete the file, or name another "
            "with --cache (--no-cache does without)"
        )


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def key_of(*parts: str) -> str:
    """Return one key for several parts, which may be of any length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()
