"""What was computed is remembered whole or not at all, for its owner only, and never under another's key."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_plugins.lab.evaluation.store import Store, StoreError, digest_of, key_of

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_put_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "seen.sqlite"
    with Store(path) as store:
        assert store.get("a") is None
        store.put({"a": b"\0one", "b": b""})
    with Store(path) as store:
        assert (store.get("a"), store.get("b"), store.get("c")) == (b"\0one", b"", None)


def test_nothing_is_ever_updated(tmp_path: Path) -> None:
    with Store(tmp_path / "seen.sqlite") as store:
        store.put({"a": b"first"})
        store.put({"a": b"second", "b": b"new"})
        assert (store.get("a"), store.get("b")) == (b"first", b"new")


def test_without_a_file_it_remembers_until_it_is_closed() -> None:
    with Store(None) as store:
        store.put({"a": b"one"})
        assert store.get("a") == b"one"
    with Store(None) as store:
        assert store.get("a") is None


@pytest.mark.skipif(sys.platform == "win32", reason="has no modes")
def test_nobody_but_its_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Store(tmp_path / "seen.sqlite") as store:
            store.put({"a": b"a template"})
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]


@pytest.mark.skipif(sys.platform == "win32", reason="has no modes")
def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "seen.sqlite"
    path.touch(mode=0o644)
    with Store(path) as store:
        store.put({"a": b"a template"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear all, " * 500)
    with pytest.raises(StoreError, match=r"letter\.txt cannot be used: file is not a database; .* --cache"):
        Store(path)
    assert path.read_bytes() == b"Dear all, " * 500
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(path / "below a file.sqlite")


def test_a_store_that_was_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "seen.sqlite"
    with Store(path) as store:
        store.put({key_of(str(number)): bytes(500) for number in range(200)})
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with Store(path) as store:
        with pytest.raises(StoreError, match="malformed"):
            store.get(key_of("7"))
        with pytest.raises(StoreError, match="malformed"):
            store.put({"new": b""})


def test_a_full_disk_keeps_none_of_a_batch_and_all_of_those_before(tmp_path: Path) -> None:
    path = tmp_path / "seen.sqlite"
    with Store(path) as store:
        store.put({"before": b"kept"})
        store._database.execute("PRAGMA max_page_count = 8")
        with pytest.raises(StoreError, match="full; free some space"):
            store.put({f"{number:03}": bytes(1000) for number in range(100)})
        assert store.get("before") == b"kept"
        assert store.get("000") is None
        store.put({"small": b"fits"})
    with Store(path) as store:
        assert [store.get(key) for key in ("before", "000", "099", "small")] == [b"kept", None, None, b"fits"]


def test_two_may_use_it_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "seen.sqlite"
    with Store(path) as one, Store(path) as other:
        one.put({"a": b"of one"})
        other.put({"a": b"of the other", "b": b"too"})
        assert (one.get("b"), other.get("a")) == (b"too", b"of one")


def test_a_closed_store_is_an_error_and_no_loss() -> None:
    with Store(None) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        store.get("a")
    with pytest.raises(StoreError, match="closed"):
        store.put({"a": b""})


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_two_keys_are_one_only_for_the_same_parts(some: list[str], others: list[str]) -> None:
    assert (key_of(*some) == key_of(*others)) == (some == others)


def test_a_digest_is_that_of_all_bytes(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = os.urandom(1000) * 2500
    path.write_bytes(content)
    assert digest_of(path) == hashlib.sha256(content).hexdigest()


def test_the_file_is_plain_sqlite_that_anybody_can_look_into(tmp_path: Path) -> None:
    path = tmp_path / "seen.sqlite"
    with Store(path) as store:
        store.put({"a": b"one"})
    database = sqlite3.connect(path)
    try:
        assert database.execute("SELECT key, result FROM results").fetchall() == [("a", b"one")]
    finally:
        database.close()
