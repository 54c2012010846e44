"""The vault's database: state, audit and outbox in one SQLite file, so that an act and its entry commit together."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Self

import msgspec

from lfr_kernel.governance.audit.chain import NOTHING, Entry, digest_of, draft, text_digest
from lfr_kernel.governance.audit.journal import Tail, tail_of, wal_of
from lfr_kernel.governance.audit.opening import (
    DAMAGED,
    connected,
    explained,
    refuse_foreign,
    refuse_other_version,
    set_pragmas,
)
from lfr_kernel.governance.audit.schema import APPLICATION_ID, TABLES, VERSION
from lfr_kernel.governance.errors import AuditError
from lfr_kernel.governance.keys.files import sync_folder
from lfr_kernel.governance.keys.sealing import unwrap, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lfr_kernel.governance.instant import Instant
    from lfr_kernel.governance.keys.signing import Signer

__all__ = ["Database", "Transaction", "note_recovery"]

BATCH = 500


class Database:
    """One vault's database, which several processes may have open: a command beside a running kernel.

    Methods block and may be called on any thread. A transaction holds the whole object: who needs to read meanwhile
    reads on the same thread, or opens it once more.
    """

    def __init__(self, path: Path, *, clocks: Callable[[], Instant]) -> None:
        """Open an existing database.

        Args:
            path: of the file; its write-ahead log lies beside it.
            clocks: returns the time by every clock, for entries.

        Raises:
            AuditError: it is missing, cannot be read, can be read by others, is damaged or another version's, or a
                setting that durability or erasure rests on is not in force.
        """
        self.path = path
        self._clocks = clocks
        self._lock = threading.RLock()
        self._seen = (0, NOTHING)
        refuse_foreign(path)
        # Before SQLite opens it: what is incomplete there SQLite drops without a word.
        tail = _tail(path)
        if tail is Tail.DAMAGED and _tail(path) is Tail.DAMAGED:  # once may be because somebody was just writing
            raise AuditError(
                f"{wal_of(path)}: more than the last transaction is broken, which no crash does: the log was damaged "
                "or tampered with; keep both files as they are and verify the last export against the anchors"
            )
        self._connection = connected(path)
        try:
            with explained(path):
                refuse_other_version(self._connection, path)
                set_pragmas(self._connection, path)
                self._refuse_damaged()
            if tail is not Tail.COMPLETE:
                self._keep_finding()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: Path, *, clocks: Callable[[], Instant]) -> Database:
        """Make an empty database and open it.

        Raises:
            AuditError: there is a file already, or none can be made there.
        """
        if path.exists():
            raise AuditError(f"{path}: expected no file there, found one; a vault's database is never overwritten")
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with explained(path):
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            with contextlib.closing(connected(beside)) as connection:
                set_pragmas(connection, path)
                connection.execute("BEGIN IMMEDIATE")
                for statement in TABLES:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute("COMMIT")
            beside.replace(path)
            sync_folder(path.parent)
        return cls(path, clocks=clocks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the last who does has SQLite fold the write-ahead log into it. Twice is harmless."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing: what is done inside is committed and synced when the block ends, and undone if it raises.

        Raises:
            AuditError: it cannot be written; nothing of it was.
        """
        with self._lock:
            if self._connection.in_transaction:
                raise RuntimeError("a transaction of this database is open on this thread already")
            try:
                with explained(self.path):
                    self._connection.execute("BEGIN IMMEDIATE")
                    # Only now can nobody else write: two processes cannot both continue the same entry.
                    transaction = Transaction(self, self._head_since_last())
                    yield transaction
                    self._connection.execute("COMMIT")
            finally:
                self._undo()
            self._seen = transaction.head
        for act in transaction.afterwards:
            act()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that is read inside is of one moment, whatever others write meanwhile; nothing waits for it.

        Raises:
            AuditError: it cannot be read.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            try:
                with explained(self.path):
                    self._connection.execute("BEGIN")
                    yield
            finally:
                self._undo()

    def query(self, sql: str, params: tuple[Any, ...] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows. Raises AuditError if they cannot be read."""
        with self._lock, explained(self.path):
            return self._connection.execute(sql, params).fetchall()

    def head(self) -> tuple[int, str]:
        """Return number and digest of the last entry; (0, 64 zeros) where there is none."""
        rows = self.query("SELECT number, digest FROM entries ORDER BY number DESC LIMIT 1")
        return rows[0] if rows else (0, NOTHING)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield the entries behind number `after`, in order."""
        for entry, _ in self.signed_entries(after):
            yield entry

    def signed_entries(self, after: int = 0) -> Iterator[tuple[Entry, str]]:
        """Yield entries with their signatures in base64, in order; see `entries`."""
        while True:
            rows = self.query(
                "SELECT number, digest, at, act, body, signature FROM entries WHERE number > ? ORDER BY number LIMIT ?",
                (after, BATCH),
            )
            for number, digest, at, act, body, signature in rows:
                yield Entry(number=number, digest=digest, at=at, act=act, body=body), signature
            if len(rows) < BATCH:
                return
            after = rows[-1][0]

    def text(self, number: int, text_key: bytes) -> str | None:
        """Return the free text of an entry; None if it has none any more. Raises SealError for another key."""
        rows = self.query("SELECT sealed FROM texts WHERE entry = ?", (number,))
        return unwrap(text_key, rows[0][0], _purpose(number)).decode() if rows else None

    def pending(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """Return (number, payload) of what of a kind lies in the outbox, oldest first."""
        rows = self.query("SELECT number, payload FROM outbox WHERE kind = ? ORDER BY number", (kind,))
        return [(number, msgspec.json.decode(payload)) for number, payload in rows]

    def data_version(self) -> int:
        """Return a number that changes when somebody else has committed something."""
        return int(self.query("PRAGMA data_version")[0][0])

    def scrub(self) -> None:
        """Write the database anew without what was deleted, and empty the write-ahead log. Twice is harmless.

        Raises:
            AuditError: somebody else is reading, so that the log cannot be emptied; or it cannot be written.
        """
        with self._lock, explained(self.path):
            self._connection.execute("VACUUM")
            self.empty_log()

    def empty_log(self) -> None:
        """Fold the write-ahead log into the database and leave it empty: SQLite overwrites there what was deleted.

        Raises:
            AuditError: see `scrub`.
        """
        with self._lock, explained(self.path):
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            wal = wal_of(self.path)
            left = wal.stat().st_size if wal.exists() else 0
            if busy or left:
                raise AuditError(
                    f"{wal}: expected an empty file after the scrub, got {left} bytes: another process is reading the "
                    "database; end it and do this again"
                )

    def _head_since_last(self) -> tuple[int, str]:
        number, digest = self._seen
        if number and self.query("SELECT digest FROM entries WHERE number = ?", (number,)) != [(digest,)]:
            raise AuditError(
                f"{self.path}: entry {number} was there a while ago and is gone or another now: the audit was "
                "exchanged under a running system; keep the file and run lfr-kernel audit verify on it"
            )
        return self.head()

    def _undo(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # the first error is the one that tells
                self._connection.execute("ROLLBACK")

    def _refuse_damaged(self) -> None:
        """Look at every table but the pictures, and at the last entry. The whole chain is the verifier's.

        Pictures are most of the file and sealed each by itself: what is wrong with one shows when it is opened.
        """
        tables = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'pictures'")
        for (table,) in tables.fetchall():
            found = self._connection.execute(f"PRAGMA quick_check('{table}')").fetchone()[0]
            if found != "ok":
                raise AuditError(f"{self.path}: {DAMAGED} (SQLite says: {found})")
        # In one statement, which sees one state of the file: another process may be appending.
        last = self._connection.execute(
            "SELECT number, digest, body, (SELECT count(*) FROM entries) FROM entries ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if last is None:
            return
        number, digest, body, count = last
        if digest_of(body) != digest or count != number:
            raise AuditError(
                f"{self.path}: entry {number}, the last of {count}, is not the one that was written there, or others "
                "are missing: the audit was tampered with; keep the file as it is and run lfr-kernel audit verify on it"
            )
        self._seen = (number, digest)

    def _keep_finding(self) -> None:
        """Keep in a row of its own that the last transaction was incomplete: the log that shows it will be gone."""
        with self.transaction() as transaction:
            # Only now is it certain that nobody else is just writing there.
            if _tail(self.path) is not Tail.COMPLETE:
                transaction.execute("INSERT OR IGNORE INTO recovery VALUES (?)", (transaction.head[0],))


class Transaction:
    """What `Database.transaction` gives; of no use once it has ended."""

    def __init__(self, database: Database, head: tuple[int, str]) -> None:
        """Begin at `head`. Only `Database.transaction` makes one."""
        self.head = head
        """Number and digest of the last entry."""
        self.afterwards: list[Callable[[], object]] = []
        """Called in order once all is committed."""
        self._database = database
        self._connection = database._connection  # noqa: SLF001  (two halves of one thing)

    def execute(self, sql: str, params: tuple[Any, ...] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """Run one statement. An error of SQLite becomes an AuditError at the end of the block, and undoes it all."""
        if not self._connection.in_transaction:
            raise RuntimeError("this transaction has ended, or an error in it has undone it")
        return self._connection.execute(sql, params)

    def append(
        self,
        act: str,
        *,
        signer: Signer,
        facts: Mapping[str, Any] | None = None,
        reason: str | None = None,
        text: str | None = None,
        text_key: bytes | None = None,
    ) -> Entry:
        """Append an entry to the chain and return it.

        Args:
            act: what was done, a code.
            signer: who did it.
            facts: anything that can be JSON, with no name of anybody who is looked for in it: it can never be erased.
            reason: a code.
            text: free text. It is kept under `text_key`, and the chain holds its keyed digest only.
            text_key: 32 bytes; needed with `text`.

        Raises:
            ValueError: act or reason is no code, or there is text without a key.
        """
        if text is not None and text_key is None:
            raise ValueError("free text never goes into the chain as it is: give the key that it is kept under")
        digest = text_digest(text, text_key) if text is not None and text_key is not None else None
        made = draft(
            self.head,
            self._database._clocks(),  # noqa: SLF001
            act,
            signer=signer,
            facts=facts,
            reason=reason,
            text=digest,
        )
        entry = made.entry
        self.execute(
            "INSERT INTO entries (number, body, digest, signature) VALUES (?, ?, ?, ?)",
            (entry.number, entry.body, entry.digest, made.signature),
        )
        if text is not None and text_key is not None:
            sealed = wrap(text_key, text.encode(), _purpose(entry.number))
            self.execute("INSERT INTO texts VALUES (?, ?)", (entry.number, sealed))
        self.head = (entry.number, entry.digest)
        return entry

    def enqueue(self, kind: str, payload: Mapping[str, Any]) -> int:
        """Put something into the outbox, to be done once this is committed; return its number."""
        encoded = msgspec.json.encode(payload).decode()
        number = self.execute("INSERT INTO outbox (kind, payload) VALUES (?, ?)", (kind, encoded)).lastrowid
        return int(number or 0)

    def pending(self, kind: str) -> list[tuple[int, dict[str, Any]]]:
        """See `Database.pending`."""
        return self._database.pending(kind)

    def delivered(self, number: int) -> None:
        """Take something out of the outbox: it was done."""
        self.execute("DELETE FROM outbox WHERE number = ?", (number,))


def note_recovery(database: Database, signer: Signer) -> Entry | None:
    """Say in the chain that the last transaction before an unclean end was incomplete, if it was. At start.

    Returns:
        The entry; None where there was nothing to say.
    """
    with database.transaction() as transaction:
        rows = transaction.execute("SELECT max(after) FROM recovery").fetchone()
        if rows[0] is None:
            return None
        transaction.execute("DELETE FROM recovery")
        facts = {"incomplete_transaction": True, "after": rows[0]}
        return transaction.append("recovered", signer=signer, facts=facts)


def _purpose(number: int) -> bytes:
    return b"lfr-audit-text-1 %d" % number


def _tail(path: Path) -> Tail:
    try:
        return tail_of(path)
    except OSError as error:
        raise AuditError(f"{wal_of(path)}: cannot be read: {error.strerror}; see who owns the file") from error
