"""The tables of the vault's database: all of them, in one version.

Who adds a table gives it an INTEGER PRIMARY KEY or WITHOUT ROWID, since VACUUM may number other rows anew.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "TABLES", "VERSION"]

APPLICATION_ID = 0x4C465256
"""`LFRV`, in the header of the file: what `file` and SQLite tell it by."""
VERSION = 1

AUDIT = (
    # What is derived from the body cannot disagree with it.
    """CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        body TEXT NOT NULL,
        digest TEXT NOT NULL,
        signature TEXT NOT NULL,
        at TEXT AS (json_extract(body, '$.at')) VIRTUAL,
        act TEXT AS (json_extract(body, '$.act')) VIRTUAL
    )""",
    "CREATE INDEX entries_by_act ON entries (act)",
    # Against mistakes in our own code, not against anybody who can write the file.
    """CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'entries of the audit are never changed'); END""",
    """CREATE TRIGGER entries_are_not_removed BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'entries of the audit are never removed'); END""",
    "CREATE TABLE texts (entry INTEGER PRIMARY KEY REFERENCES entries (number), sealed BLOB NOT NULL)",
    # At most one row: after which entry an incomplete transaction was found, until the chain says so.
    "CREATE TABLE recovery (after INTEGER PRIMARY KEY)",
)
OUTBOX = (
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, payload TEXT NOT NULL)",
    "CREATE INDEX outbox_by_kind ON outbox (kind)",
    """CREATE TABLE taken (
        number INTEGER NOT NULL REFERENCES outbox (number) ON DELETE CASCADE,
        sink TEXT NOT NULL,
        PRIMARY KEY (number, sink)
    ) WITHOUT ROWID""",
)
DEPLOYMENTS = (
    # `key`: the list's data key under the deployment's own, which is never in here.
    """CREATE TABLE deployments (
        serial INTEGER PRIMARY KEY,
        body TEXT NOT NULL,
        key BLOB,
        commitments BLOB,
        document BLOB,
        receipt TEXT,
        authority TEXT AS (json_extract(body, '$.authority')) VIRTUAL
    )""",
    "CREATE UNIQUE INDEX deployments_by_authority ON deployments (authority)",
    """CREATE TABLE withdrawals (
        list TEXT NOT NULL,
        entry TEXT NOT NULL,
        PRIMARY KEY (list, entry)
    ) WITHOUT ROWID""",
    "CREATE TABLE known_time (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL)",
    "CREATE TABLE holds (kind TEXT PRIMARY KEY) WITHOUT ROWID",
)
TABLES = AUDIT + OUTBOX + DEPLOYMENTS
