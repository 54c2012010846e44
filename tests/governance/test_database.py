"""The vault's database: all or nothing, one chain however many write, nothing kept that was deleted."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from governance.logbook import Clock, Logbook
from lfr_kernel.governance.audit.chain import NOTHING
from lfr_kernel.governance.audit.checkpoints import tidy_checkpoints
from lfr_kernel.governance.audit.database import Database, note_recovery
from lfr_kernel.governance.audit.export import export, lines_of
from lfr_kernel.governance.audit.journal import Tail, tail_of, wal_of
from lfr_kernel.governance.audit.verifier import verify
from lfr_kernel.governance.errors import AuditError, SealError
from lfr_kernel.governance.keys.signing import KeySigner

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = bytes(range(32))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Logbook]:
    made = Logbook(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    with Database.create(tmp_path / "empty.db", clocks=Clock()) as made:
        yield made


@pytest.fixture
def machine() -> KeySigner:
    return KeySigner("installation", bytes(32))


def test_a_new_database_is_empty_and_its_owners_alone(empty: Database) -> None:
    assert empty.head() == (0, NOTHING)
    assert list(empty.entries()) == []
    with empty.transaction() as transaction:
        transaction.enqueue("note", {})
    files = sorted(empty.path.parent.iterdir())
    assert [path.name for path in files] == ["empty.db", "empty.db-shm", "empty.db-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_an_existing_file_is_not_overwritten(empty: Database) -> None:
    with pytest.raises(AuditError, match=r"expected no file there, found one"):
        Database.create(empty.path, clocks=Clock())


def test_what_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"expected a vault's database: No such file"):
        Database(tmp_path / "none.db", clocks=Clock())
    with pytest.raises(AuditError, match=r"got something that is no file"):
        Database(tmp_path, clocks=Clock())
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough that SQLite looks at it" * 20)
    text.chmod(0o600)
    with pytest.raises(AuditError, match=r"damaged, or no database"):
        Database(text, clocks=Clock())
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE a (b)")
    connection.close()
    other.chmod(0o600)
    with pytest.raises(AuditError, match=r"application 0x0, version 0: another file, or one of another version"):
        Database(other, clocks=Clock())


def test_a_file_that_others_can_read_is_refused(log: Logbook) -> None:
    log.database.path.chmod(0o640)
    with pytest.raises(AuditError, match=r"others can read or write it \(mode 0640, expected 0600\): run chmod 600"):
        Database(log.database.path, clocks=log.clock)


def test_what_durability_and_erasure_rest_on_is_in_force(empty: Database) -> None:
    names = ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "temp_store")
    found = {name: empty.query(f"PRAGMA {name}")[0][0] for name in names}
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1, "temp_store": 2}


def test_a_setting_that_is_not_in_force_is_refused(log: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_kernel.governance.audit.opening.PRAGMAS", {"secure_delete": "3"})
    with pytest.raises(AuditError, match=r"expected SQLite to keep secure_delete = 3, got 1"):
        Database(log.database.path, clocks=log.clock)


def test_a_transaction_is_all_or_nothing(log: Logbook) -> None:
    before = log.database.head()

    def fail() -> None:
        with log.database.transaction() as transaction:
            transaction.append("capture_started", signer=log.machine, text="why", text_key=KEY)
            transaction.enqueue("note", {"a": 1})
            raise KeyError("a step that fails")

    with pytest.raises(KeyError):
        fail()
    assert log.database.head() == before
    assert log.database.pending("note") == []
    assert log.database.query("SELECT count(*) FROM texts") == [(0,)]


def test_an_error_of_sqlite_undoes_all_and_says_what_to_do(log: Logbook) -> None:
    before = log.database.head()

    def fail() -> None:
        with log.database.transaction() as transaction:
            transaction.append("capture_started", signer=log.machine)
            transaction.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(AuditError, match=r"vault\.db: nothing of it was kept \(SQLite says: no such table: nowhere\)"):
        fail()
    assert log.database.head() == before
    log.act()
    assert log.database.head()[0] == before[0] + 1


def test_a_full_disk_leaves_nothing_half_written(log: Logbook) -> None:
    pages = log.database.query("PRAGMA page_count")[0][0]
    log.database.query(f"PRAGMA max_page_count = {pages + 4}")

    def fill() -> None:
        for number in range(100):
            with log.database.transaction() as transaction:
                transaction.append("capture_started", signer=log.machine, facts={"long": "x" * 900})
                transaction.enqueue("note", {"number": number})

    with pytest.raises(AuditError, match=r"the disk is full: free some space, then start again"):
        fill()
    written = log.database.head()[0] - 1
    assert 0 < written < 99
    assert len(log.database.pending("note")) == written
    assert verify(log.lines(), [], log.root).findings == []


def test_a_transaction_inside_another_or_after_its_end_is_a_mistake(log: Logbook) -> None:
    with log.database.transaction() as transaction:
        with pytest.raises(RuntimeError, match="is open on this thread already"), log.database.transaction():
            pass
        transaction.append("capture_started", signer=log.machine)
    with pytest.raises(RuntimeError, match="this transaction has ended"):
        transaction.execute("SELECT 1")


def test_free_text_is_not_in_the_chain_and_needs_a_key(log: Logbook) -> None:
    entry = log.act(reason="planned", text="Because of Zebedee", text_key=KEY)
    assert "Zebedee" not in entry.body
    assert log.database.text(entry.number, KEY) == "Because of Zebedee"
    assert log.database.text(1, KEY) is None
    with pytest.raises(SealError):
        log.database.text(entry.number, bytes(32))
    with pytest.raises(ValueError, match=r"free text never goes into the chain as it is"):
        log.act(text="Because of Zebedee")
    log.database.close()
    assert not [path for path in log.folder.glob("vault.db*") if b"Zebedee" in path.read_bytes()]


def test_entries_are_neither_changed_nor_removed_by_our_own_code(log: Logbook) -> None:
    for statement in ("DELETE FROM entries", "UPDATE entries SET signature = ''"):
        with (
            pytest.raises(AuditError, match=r"entries of the audit are never (changed|removed)"),
            log.database.transaction() as transaction,
        ):
            transaction.execute(statement)


def test_the_outbox_gives_back_what_was_put_in_until_it_is_done(log: Logbook) -> None:
    with log.database.transaction() as transaction:
        first, second = (transaction.enqueue("note", {"n": number}) for number in (1, 2))
        transaction.enqueue("other", {})
        assert transaction.pending("note") == [(first, {"n": 1}), (second, {"n": 2})]
    with log.database.transaction() as transaction:
        transaction.delivered(first)
    assert log.database.pending("note") == [(second, {"n": 2})]


def test_many_entries_come_in_order(log: Logbook) -> None:
    with log.database.transaction() as transaction:
        for _ in range(1_200):
            transaction.append("capture_started", signer=log.machine)
    assert [one.number for one in log.database.entries()] == list(range(1, 1_202))
    assert [one.number for one in log.database.entries(after=1_199)] == [1_200, 1_201]


def test_it_tells_when_somebody_else_has_written(log: Logbook) -> None:
    before = log.database.data_version()
    log.act()
    assert log.database.data_version() == before
    with Database(log.database.path, clocks=log.clock) as other, other.transaction() as transaction:
        transaction.append("capture_started", signer=log.machine)
    assert log.database.data_version() != before
    assert log.database.head()[0] == 3


APPEND = """
import sys, time
from pathlib import Path
from governance.logbook import Clock
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.keys.signing import KeySigner
with Database(Path(sys.argv[1]), clocks=Clock()) as database:
    sys.stdin.readline()
    for _ in range(40):
        with database.transaction() as transaction:
            transaction.append("capture_started", signer=KeySigner("installation", bytes.fromhex(sys.argv[2])))
            transaction.enqueue("note", {})
"""


def test_two_processes_cannot_fork_the_chain(log: Logbook) -> None:
    tests = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    secret = log.machine._key.private_bytes_raw().hex()
    command = [sys.executable, "-c", APPEND, str(log.database.path), secret]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, text=True)  # noqa: S603  (our own)
        for _ in range(2)
    ]
    for one in both:
        one.communicate("go\n", timeout=60)
    assert [one.returncode for one in both] == [0, 0]
    assert log.database.head()[0] == 81
    assert len(log.database.pending("note")) == 80
    assert verify(log.lines(), [], log.root).findings == []


def test_it_can_be_opened_while_somebody_appends(log: Logbook) -> None:
    appending = threading.Thread(target=lambda: [log.act() for _ in range(200)])
    appending.start()
    opened = 0
    while appending.is_alive():
        with Database(log.database.path, clocks=log.clock):
            opened += 1
    appending.join()
    assert opened > 1
    assert log.database.head()[0] == 201


def test_threads_of_one_process_take_turns(log: Logbook) -> None:
    threads = [threading.Thread(target=lambda: [log.act() for _ in range(20)]) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert log.database.head()[0] == 81
    assert verify(log.lines(), [], log.root).findings == []


def test_what_was_deleted_is_in_no_file_after_a_scrub(log: Logbook) -> None:
    canary = b"Zebedee Quillfeather" * 50
    with log.database.transaction() as transaction:
        transaction.enqueue("note", {"name": canary.decode()})
    with log.database.transaction() as transaction:
        transaction.delivered(1)
    files = (log.database.path, wal_of(log.database.path))
    assert any(canary in path.read_bytes() for path in files)  # the test can fail
    log.database.scrub()
    log.database.scrub()
    assert wal_of(log.database.path).stat().st_size == 0
    assert log.database.query("PRAGMA freelist_count") == [(0,)]
    assert not [path for path in log.folder.rglob("*") if path.is_file() and canary[:20] in path.read_bytes()]


def test_a_scrub_that_cannot_empty_the_log_says_so(log: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_kernel.governance.audit.opening.BUSY_S", 0.0)
    with Database(log.database.path, clocks=log.clock) as impatient:
        reader = sqlite3.connect(log.database.path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        with pytest.raises(AuditError, match=r"another process is reading the database; end it and do this again"):
            impatient.scrub()
        reader.close()
        impatient.scrub()


def test_a_database_that_somebody_holds_too_long(log: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lfr_kernel.governance.audit.opening.BUSY_S", 0.0)
    with (
        Database(log.database.path, clocks=log.clock) as impatient,
        log.database.transaction(),
        pytest.raises(AuditError, match=r"another process held it for more than"),
        impatient.transaction(),
    ):
        pass


def tampered(log: Logbook, *statements: str) -> None:
    connection = sqlite3.connect(log.database.path)
    for name in ("entries_are_not_changed", "entries_are_not_removed"):
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = replace(body, 'capture_started', 'capture_stopped') WHERE number = 3",
        "DELETE FROM entries WHERE number = 2",
        "UPDATE entries SET digest = upper(digest) WHERE number = 3",
    ],
)
def test_a_chain_that_visibly_broke_is_refused_at_open(log: Logbook, statement: str) -> None:
    log.act()
    log.act()
    log.database.close()
    tampered(log, statement)
    with pytest.raises(AuditError, match=r"the audit was tampered with; keep the file as it is"):
        Database(log.database.path, clocks=log.clock)


def test_a_chain_exchanged_under_a_running_system_is_found_at_the_next_act(log: Logbook) -> None:
    log.act()
    tampered(log, "DELETE FROM entries WHERE number = 2")
    with pytest.raises(AuditError, match=r"entry 2 was there a while ago and is gone or another now"):
        log.act()


def test_a_damaged_page_is_refused_and_never_repaired(log: Logbook) -> None:
    for _ in range(60):
        log.act()
    log.database.close()
    data = bytearray(log.database.path.read_bytes())
    data[4096 * 9 : 4096 * 11] = os.urandom(8192)
    log.database.path.write_bytes(data)
    with pytest.raises(AuditError, match=r"it is damaged"):
        Database(log.database.path, clocks=log.clock)
    assert log.database.path.read_bytes() == bytes(data)


# --- an unclean end -------------------------------------------------------------------------------------------------


def killed(log: Logbook, folder: Path, *, big: bool) -> Path:
    """Copy the files as a kill would leave them: after two acts, and in the middle of a third that was large."""
    log.database.query("PRAGMA cache_size = 5")
    log.act()
    log.act()
    folder.mkdir()

    def copy() -> None:
        for path in log.folder.glob("vault.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)

    if not big:
        copy()
        return folder / "vault.db"
    with log.database.transaction() as transaction:
        transaction.append("capture_started", signer=log.machine)
        for _ in range(100):
            transaction.enqueue("note", {"long": "x" * 2_000})
        copy()
    return folder / "vault.db"


def test_after_a_kill_between_acts_nothing_is_lost_and_nothing_is_said(log: Logbook, tmp_path: Path) -> None:
    path = killed(log, tmp_path / "copy", big=False)
    assert wal_of(path).stat().st_size > 0
    assert tail_of(path) is Tail.COMPLETE
    with Database(path, clocks=log.clock) as database:
        assert database.head()[0] == 3
        assert note_recovery(database, log.machine) is None


def test_after_a_kill_within_an_act_the_chain_says_that_it_was_dropped(log: Logbook, tmp_path: Path) -> None:
    path = killed(log, tmp_path / "copy", big=True)
    assert tail_of(path) is Tail.INCOMPLETE
    # A command that only reads comes first, and folds the log in when it closes: the finding is kept.
    Database(path, clocks=log.clock).close()
    assert tail_of(path) is Tail.COMPLETE
    with Database(path, clocks=log.clock) as database:
        assert database.pending("note") == []
        entry = note_recovery(database, log.machine)
        assert entry is not None
        assert (entry.number, entry.act) == (4, "recovered")
        assert '"facts":{"incomplete_transaction":true,"after":3}' in entry.body
        assert note_recovery(database, log.machine) is None
    assert verify(list(lines_of(path)), [], log.root).findings == []


def test_every_way_of_cutting_the_last_act_short_is_seen(log: Logbook, tmp_path: Path) -> None:
    path = killed(log, tmp_path / "copy", big=False)
    whole, database = wal_of(path).read_bytes(), path.read_bytes()
    frame = 24 + 4096
    commits = [at for at in range(32, len(whole), frame) if int.from_bytes(whole[at + 4 : at + 8]) and whole[at + 8 :]]
    last = commits[-2] + frame  # where the frames of the last act begin
    for length in (last + 10, last + 24, last + 2_000, len(whole) - 1):
        path.write_bytes(database)
        wal_of(path).write_bytes(whole[:length])
        assert tail_of(path) is Tail.INCOMPLETE, length
        with Database(path, clocks=log.clock) as opened:
            assert opened.head()[0] == 2
            assert note_recovery(opened, log.machine) is not None
    wal_of(path).write_bytes(whole[:last])
    assert tail_of(path) is Tail.COMPLETE


def test_a_log_broken_further_back_is_refused(log: Logbook, tmp_path: Path) -> None:
    path = killed(log, tmp_path / "copy", big=False)
    data = bytearray(wal_of(path).read_bytes())
    data[32 + 24 + 100] ^= 1  # in the very first frame: SQLite would drop every act since
    wal_of(path).write_bytes(data)
    assert tail_of(path) is Tail.DAMAGED
    with pytest.raises(AuditError, match=r"more than the last transaction is broken, which no crash does"):
        Database(path, clocks=log.clock)
    assert list(lines_of(path)) == []  # whoever only reads changes nothing either
    assert wal_of(path).read_bytes() == bytes(data)


def test_a_log_of_an_earlier_round_is_no_unclean_end(log: Logbook) -> None:
    log.act(facts={"long": "x" * 50_000})
    log.database.query("PRAGMA wal_checkpoint(RESTART)")
    log.act()  # overwrites the beginning of the log; longer leftovers of the earlier round lie behind it
    assert tail_of(log.database.path) is Tail.COMPLETE
    assert not log.database.query("SELECT * FROM recovery")


ENDLESS = """
import itertools, sys
from pathlib import Path
from governance.logbook import Clock
from lfr_kernel.governance.audit.checkpoints import checkpoint
from lfr_kernel.governance.audit.database import Database
from lfr_kernel.governance.keys.keyring import Keyring
from lfr_kernel.governance.keys.signing import KeySigner
machine = KeySigner("installation", bytes.fromhex(sys.argv[2]))
keyring = Keyring(Path(sys.argv[1]).parent / "keys")
with Database(Path(sys.argv[1]), clocks=Clock()) as database:
    for number in itertools.count():
        with database.transaction() as transaction:
            entry = transaction.append("capture_started", signer=machine, facts={"long": "x" * 3000})
            if number % 5 == 4:
                entry = checkpoint(transaction, keyring)
        print(entry.number, flush=True)
"""


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_point_it_keeps_every_act_that_was_acknowledged(log: Logbook, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  (a test's, repeatable)
    tests = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    command = [sys.executable, "-c", ENDLESS, str(log.database.path), log.machine._key.private_bytes_raw().hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as writer:  # noqa: S603
        assert writer.stdout is not None
        for _ in range(chance.randrange(1, 40)):
            line = writer.stdout.readline()
        for _ in range(chance.randrange(20_000)):  # a little way into whatever it is doing now
            pass
        writer.kill()
        acknowledged = int([line, *writer.stdout.read().split()][-1])
    log.database.close()
    log.database = Database(log.database.path, clocks=log.clock)
    note_recovery(log.database, log.machine)
    tidy_checkpoints(log.database, log.keyring)
    log.checkpoint()
    assert log.database.head()[0] > acknowledged
    assert verify(log.lines(), [], log.root).findings == []


# --- exports --------------------------------------------------------------------------------------------------------


def test_an_export_is_the_exact_bodies_and_verifies(log: Logbook, tmp_path: Path) -> None:
    log.act(facts={"quotes": '"\\ \n\u2028 é 人', "number": 0.1})
    out = tmp_path / "log.jsonl"
    assert export(log.database, out) == 2
    text = out.read_text(encoding="utf-8")
    assert text.splitlines(keepends=True) == log.lines() == list(lines_of(log.database.path))
    assert verify(text.splitlines(keepends=True), [], log.root).findings == []
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*"))


def test_an_export_that_cannot_be_written_leaves_the_one_before(log: Logbook, tmp_path: Path) -> None:
    folder = tmp_path / "log.jsonl"
    (folder / "there").mkdir(parents=True)
    with pytest.raises(AuditError, match=r"the export cannot be written: Is a directory; there is none, or the one"):
        export(log.database, folder)
    assert not list(tmp_path.glob(".log*"))
