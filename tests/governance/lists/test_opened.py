"""A list in memory: entries leave one by one, and what is left of a person is pooled anew."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.lists.support import DIMENSION, INSTALLATION, MODEL, NOW, a_list, a_row, a_template
from lfr_kernel.governance.errors import RefusedError, SealError
from lfr_kernel.governance.lists.framing import ListFileError
from lfr_kernel.governance.lists.opened import OpenedList, open_rows
from lfr_kernel.messages import BiometricErasedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from lfr_kernel.governance.lists.entries import Row

HOUR = dt.timedelta(hours=1)


class Letters:
    """A codec for which a portrait is text."""

    def encode(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
        return pixels.tobytes()

    def decode(self, data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.frombuffer(data, np.uint8).reshape(1, -1, 1).repeat(3, axis=2)


def shown(opened: OpenedList, row: int) -> str:
    return opened.portrait(row)[0, :, 0].tobytes().decode()


def opened_of(path: Path, rows: Sequence[Row], *, now: dt.datetime = NOW, recalled: Collection[str] = ()) -> OpenedList:
    made = a_list(path, rows)
    return open_rows(made, made.open_key(INSTALLATION), model=MODEL, now=now, recalled=recalled, stills=Letters())


def mean(*seeds: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    total = sum((a_template(seed) for seed in seeds), np.zeros(DIMENSION, np.float32))
    return (total / np.linalg.norm(total)).astype(np.float32)


def test_photographs_of_one_person_are_one_row(tmp_path: Path) -> None:
    opened = opened_of(tmp_path / "x", [a_row("ada", 1), a_row("bob", 2), a_row("ada", 3)])
    assert opened.persons == ("ada", "bob")
    assert (len(opened), opened.photographs, opened.digest) == (2, 3, MODEL)
    assert opened.templates.array == pytest.approx(np.stack([mean(1, 3), mean(2)]), abs=1e-6)
    assert (opened.rejected, opened.unlisted, opened.findings) == ((), (), ())


def test_a_withdrawn_entry_is_pooled_out_in_place(tmp_path: Path) -> None:
    rows = [a_row("ada", 1), a_row("bob", 2), a_row("ada", 3)]
    opened = opened_of(tmp_path / "x", rows)
    array = opened.templates.array
    done = opened.withdraw(rows[0].about.entry)
    assert (done.person, done.row, done.is_listed) == ("ada", 0, True)
    assert opened.templates.array is array
    assert array[0] == pytest.approx(mean(3), abs=1e-6)
    assert opened.photographs == 2


def test_the_last_entry_takes_its_person_with_it(tmp_path: Path) -> None:
    rows = [a_row("ada", 1), a_row("bob", 2)]
    opened = opened_of(tmp_path / "x", rows)
    assert opened.withdraw(rows[0].about.entry).is_listed is False
    assert not opened.templates.array[0].any()
    assert (len(opened), opened.persons) == (1, ("ada", "bob"))
    with pytest.raises(KeyError):
        opened.portrait(0)
    with pytest.raises(RefusedError, match="is not in force: it is none of this list's, or was recalled"):
        opened.withdraw(rows[0].about.entry)


def test_what_was_recalled_or_has_expired_is_left_out_and_named_by_its_id(tmp_path: Path) -> None:
    rows = [a_row("ada", 1, expires=NOW), a_row("ada", 2), a_row("bob", 3), a_row("cy", 4, expires=NOW - HOUR)]
    opened = opened_of(tmp_path / "x", rows, recalled={rows[2].about.entry})
    assert opened.persons == ("ada",)
    assert opened.unlisted == ("bob", "cy")
    assert opened.templates.array[0] == pytest.approx(mean(2), abs=1e-6)
    assert {one.photo: one.reason for one in opened.rejected} == {
        rows[0].about.entry: "expired on 2030-06-01T12:00:00Z",
        rows[2].about.entry: "was recalled",
        rows[3].about.entry: "expired on 2030-06-01T11:00:00Z",
    }


def test_it_says_what_expires_next_and_what_has_expired(tmp_path: Path) -> None:
    rows = [a_row("ada", 1, expires=NOW + 2 * HOUR), a_row("bob", 2, expires=NOW + HOUR)]
    opened = opened_of(tmp_path / "x", rows)
    assert opened.next_expiry == NOW + HOUR
    assert opened.expired(NOW) == []
    assert opened.expired(NOW + HOUR) == [rows[1].about.entry]
    opened.withdraw(rows[1].about.entry)
    assert opened.next_expiry == NOW + 2 * HOUR
    opened.withdraw(rows[0].about.entry)
    assert opened.next_expiry is None


def test_the_portrait_is_the_best_one_that_is_left(tmp_path: Path) -> None:
    rows = [a_row("ada", 1, quality=0.4), a_row("ada", 2, quality=0.9)]
    opened = opened_of(tmp_path / "x", rows)
    assert shown(opened, 0) == "portrait 2"
    opened.withdraw(rows[1].about.entry)
    assert shown(opened, 0) == "portrait 1"


def test_nothing_is_left_after_erasing(tmp_path: Path) -> None:
    opened = opened_of(tmp_path / "x", [a_row("ada", 1)])
    array, photos = opened.templates.array, opened._matrix.array
    opened.erase()
    opened.erase()
    assert not array.any()
    assert not photos.any()
    assert not any(opened._key)
    with pytest.raises(BiometricErasedError):
        _ = opened.templates.array
    with pytest.raises(KeyError):
        opened.portrait(0)
    assert len(opened) == 0


def test_portraits_are_read_from_the_file_and_not_kept(tmp_path: Path) -> None:
    opened = opened_of(tmp_path / "x", [a_row("ada", 1)])
    (tmp_path / "x").unlink()
    with pytest.raises(ListFileError, match="cannot be read: No such file or directory"):
        opened.portrait(0)


def test_another_model_is_refused(tmp_path: Path) -> None:
    made = a_list(tmp_path / "x", [a_row("ada", 1)])
    with pytest.raises(RefusedError, match="templates of two models cannot be compared"):
        open_rows(made, made.open_key(INSTALLATION), model="0" * 64, now=NOW, recalled=(), stills=Letters())


@given(order=st.permutations(range(6)), gone=st.integers(0, 6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_withdrawing_equals_opening_without(tmp_path: Path, order: list[int], gone: int) -> None:
    people = ("ada", "bob", "ada", "cy", "bob", "ada")
    rows = [a_row(person, seed) for seed, person in enumerate(people, 1)]
    opened = opened_of(tmp_path / "x", rows)
    for number in order[:gone]:
        opened.withdraw(rows[number].about.entry)
    left = [rows[number].about.entry for number in order[:gone]]
    anew = opened_of(tmp_path / "y", rows, recalled=left)
    assert (len(opened), opened.photographs) == (len(anew), anew.photographs)
    for row, person in enumerate(anew.persons):
        was = opened.persons.index(person)
        assert opened.templates.array[was] == pytest.approx(anew.templates.array[row], abs=1e-6)


class SeenLock:
    """A lock that says when somebody has to wait for it."""

    def __init__(self, waits: threading.Event) -> None:
        self._lock, self._waits = threading.Lock(), waits

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._waits.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_who_is_still_listed_is_shown_to_another_thread_while_an_entry_is_withdrawn(tmp_path: Path) -> None:
    rows = [a_row("ada", 1), a_row("ada", 3)]
    opened = opened_of(tmp_path / "x", rows)
    waits_or_ended, found = threading.Event(), list[str]()

    def look() -> None:
        try:
            found.append(opened.shown(0).about.entry)
        finally:
            waits_or_ended.set()

    other = threading.Thread(target=look)

    class Photos(dict[str, Any]):
        def pop(self, entry: str) -> Any:  # type: ignore[override]
            taken = super().pop(entry)
            other.start()
            assert waits_or_ended.wait(10)
            return taken

    opened._photos = Photos(opened._photos)
    opened._lock = SeenLock(waits_or_ended)  # type: ignore[assignment]
    opened.withdraw(rows[0].about.entry)
    other.join(10)
    assert found == [rows[1].about.entry]


def test_a_file_that_hangs_keeps_nobody_from_withdrawing_or_erasing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [a_row("ada", 1), a_row("bob", 2)]
    opened = opened_of(tmp_path / "x", rows)
    read, is_read, go_on = opened._source.row, threading.Event(), threading.Event()
    failed: list[type[Exception]] = []

    def hang(key: bytearray, index: int) -> Row:
        is_read.set()
        assert go_on.wait(10)
        return read(key, index)

    def look() -> None:
        try:
            opened.shown(0)
        except SealError as error:
            failed.append(type(error))

    monkeypatch.setattr(opened._source, "row", hang)
    other, ending = threading.Thread(target=look), threading.Thread(target=opened.erase)
    other.start()
    assert is_read.wait(10)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
    go_on.set()
    other.join(10)
    assert failed == [SealError]
