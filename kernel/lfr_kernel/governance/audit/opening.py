"""How the vault's database is opened: with the settings that durability and erasure rest on, or not at all."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from typing import TYPE_CHECKING

from lfr_kernel.governance.audit.schema import APPLICATION_ID, VERSION
from lfr_kernel.governance.errors import AuditError, BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DAMAGED", "connected", "explained", "refuse_foreign", "refuse_other_version", "set_pragmas"]

BUSY_S = 10.0
PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1, "temp_store": 2}
"""FULL is 2; temporary tables, which VACUUM makes, in memory (2): a file of them would hold what was deleted."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
DAMAGED = "it is damaged: keep it as it is and verify the last export against the anchors"
REASONS = {
    "SQLITE_FULL": "the disk is full: free some space, then start again",
    "SQLITE_BUSY": f"another process held it for more than {BUSY_S:.0f} s: see which one has it open",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_NOTADB": "it is damaged, or no database: keep it as it is and verify the last export against the anchors",
    "SQLITE_CANTOPEN": "it cannot be opened: copy it, with its -wal file, to a folder that you can write",
    "SQLITE_READONLY": "it may not be written: see who owns the file and its folder",
}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite, and of the files it lies in, into one that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        reason = next((text for start, text in REASONS.items() if name.startswith(start)), "nothing of it was kept")
        kind = BusyError if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) else AuditError
        raise kind(f"{path}: {reason} (SQLite says: {error})") from error


def connected(path: Path) -> sqlite3.Connection:
    """Return a connection that writes on its own word only. Raises AuditError if there is no file to open."""
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
    except sqlite3.Error as error:
        raise AuditError(f"{path}: cannot be opened: {error}; see who owns the file and its folder") from error


def refuse_foreign(path: Path) -> None:
    """Raise AuditError unless there is a file that its owner alone can read."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise AuditError(f"{path}: expected a vault's database: {error.strerror}; check the folder's name") from None
    if not stat.S_ISREG(mode):
        raise AuditError(f"{path}: expected a vault's database, got something that is no file")
    if os.name == "posix" and mode & OTHERS:
        raise AuditError(
            f"{path}: others can read or write it (mode {stat.S_IMODE(mode):04o}, expected 0600): run chmod 600 on it, "
            "and verify it before you trust it"
        )


def refuse_other_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise AuditError unless this is a vault's database, and of this version."""
    found = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if found != (APPLICATION_ID, VERSION):
        raise AuditError(
            f"{path}: expected a vault's database (application {APPLICATION_ID:#x}, version {VERSION}), got "
            f"application {found[0]:#x}, version {found[1]}: another file, or one of another version of lfr-kernel"
        )


def set_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    """Set what is set anew at each open, and read it back. Raises AuditError for what is not in force."""
    for name, wanted in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {wanted}")
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise AuditError(
                f"{path}: expected SQLite to keep {name} = {wanted}, got {found!r}: on this file system or with this "
                "SQLite neither durability nor erasure can be promised; move the vault to a local disk"
            )
