"""The tables of the vault's database: all of them, in one version.

Who adds a table gives it an INTEGER PRIMARY KEY or WITHOUT ROWID, since VACUUM may number other rows anew.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "TABLES", "VERSION"]

APPLICATION_ID = 0x4C465256
"""`LFRV`, in the header of the file: what `file` and SQLite tell it by."""
VERSION = 2

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
ALERTS = (
    # In clear: ids, times, states. The rest is the text of entry `entry`, under a key that dies at `expires_s`.
    """CREATE TABLE alerts (
        id TEXT PRIMARY KEY,
        deployment INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        camera TEXT NOT NULL,
        raised_ns INTEGER NOT NULL,
        act_by_ns INTEGER NOT NULL,
        delivered_ns INTEGER,
        state TEXT NOT NULL,
        expires_s INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX alerts_by_deployment ON alerts (deployment, raised_ns)",
    "CREATE INDEX alerts_by_expiry ON alerts (expires_s, deployment)",
    """CREATE TABLE pictures (
        alert TEXT PRIMARY KEY REFERENCES alerts (id) ON DELETE CASCADE,
        deployment INTEGER NOT NULL,
        expires_s INTEGER NOT NULL,
        sealed BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX pictures_by_expiry ON pictures (expires_s, deployment)",
    """CREATE TABLE steps (
        entry INTEGER PRIMARY KEY REFERENCES entries (number),
        alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX steps_by_alert ON steps (alert)",
    """CREATE TABLE deliveries (
        alert TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
        sink TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
        tries INTEGER NOT NULL DEFAULT 0,
        at_ns INTEGER,
        why TEXT,
        PRIMARY KEY (alert, sink)
    ) WITHOUT ROWID""",
    "CREATE INDEX deliveries_by_state ON deliveries (sink, state)",
    # A purge that has begun: its entry is in the chain, and keys and rows go until there is a receipt.
    """CREATE TABLE purges (
        kind TEXT NOT NULL,
        deployment INTEGER NOT NULL,
        expires_s INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (kind, deployment, expires_s)
    ) WITHOUT ROWID""",
    "CREATE TABLE records (deployment INTEGER PRIMARY KEY, body TEXT NOT NULL)",
)
TABLES = AUDIT + OUTBOX + DEPLOYMENTS + ALERTS
