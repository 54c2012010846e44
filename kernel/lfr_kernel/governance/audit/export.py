"""Exports: the chain as lines of JSON, each the exact body with its signature, for a verifier anywhere."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

from lfr_kernel.governance.audit.opening import explained
from lfr_kernel.governance.errors import AuditError
from lfr_kernel.governance.keys.files import writing_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfr_kernel.governance.audit.database import Database

__all__ = ["export", "is_database", "lines_of"]

HEADER = b"SQLite format 3\0"


def export(database: Database, file: Path) -> int:
    """Write all entries beside `file`, then rename; return how many.

    Raises:
        AuditError: it cannot be written or read.
    """
    count = 0
    try:
        with writing_whole(file) as out:
            for entry, signature in database.signed_entries():
                out.write(_line(entry.body, signature).encode())
                count += 1
    except AuditError:
        raise
    except OSError as error:
        raise AuditError(
            f"{file}: the export cannot be written: {error.strerror}; there is none, or the one before"
        ) from error
    return count


def is_database(file: Path) -> bool:
    """Return whether a file is a database rather than an export. Raises OSError if it cannot be read."""
    with file.open("rb") as opened:
        return opened.read(len(HEADER)) == HEADER


def lines_of(file: Path) -> Iterator[str]:
    """Yield the lines that an export of a vault's database would have, whatever state it is in; nothing is written.

    Raises:
        AuditError: it cannot be read.
    """
    with explained(file):
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(connection):
            for body, signature in connection.execute(
                "SELECT CAST(body AS TEXT), CAST(signature AS TEXT) FROM entries ORDER BY number"
            ):
                yield _line(body, signature)


def _line(body: str, signature: str) -> str:
    return json.dumps({"body": body, "sig": signature}) + "\n"
