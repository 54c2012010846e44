"""What the sink `jsonl` promises: each alert once, on the disk, whole, for as long as it may be kept."""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

from lfr_kernel.api import Alert, Evidence, Notice, PassingError, PermanentError, SinkContext
from lfr_kernel.stages.sink import notice_of
from lfr_plugins.sinks.config import JsonlConfig
from lfr_plugins.sinks.jsonl import JsonlSink, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

SECOND = 1_000_000_000
NOON = 1_772_366_400 * SECOND


async def inline(call: Callable[[], None]) -> None:
    call()


def no_evidence(_reference: str) -> Evidence:
    raise AssertionError("a line of JSON needs no picture")


CONTEXT = SinkContext(evidence=no_evidence, run_blocking=inline)


def alert(number: int = 0, **fields: Any) -> Alert:
    usual: dict[str, Any] = {
        "id": f"a{number}",
        "passage": f"p{number}",
        "camera": "gate",
        "person": "Ada Lovelace",
        "similarity": 0.74,
        "threshold": 0.6,
        "faces": 7,
        "quality": 0.8,
        "box": (1.0, 2.0, 3.0, 4.0),
        "captured_at_ns": NOON,
        "captured_monotonic_ns": 1,
        "alerted_at_ns": NOON + number * SECOND + 250_000_000,
        "alerted_monotonic_ns": 2,
        "model": "abc",
        "evidence": "e1",
        "permit": "demo",
        "basis": "NO REPORT, the threshold rests on no evidence",
    }
    return Alert(**usual | fields)


def notice(number: int = 0, **fields: Any) -> Notice:
    return notice_of(alert(number, **fields), details=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sink(path: Path) -> JsonlSink:
    return JsonlSink(JsonlConfig(path=str(path)), CONTEXT)


def ids(path: Path) -> list[str]:
    assert not path.read_bytes() or path.read_bytes().endswith(b"\n")
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


async def test_one_line_an_alert_with_times_in_words(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "alerts.jsonl"
    writer = sink(path)
    await writer.deliver(notice(1))
    await writer.deliver(notice(2))
    await writer.close()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first["id"] == "a1"
    assert second["id"] == "a2"
    assert first["captured_at"] == "2026-03-01T12:00:00.000000Z"
    assert first["alerted_at"] == "2026-03-01T12:00:01.250000Z"
    assert first["alert"]["similarity"] == 0.74
    assert first["alert"]["basis"] == "NO REPORT, the threshold rests on no evidence"
    assert msgspec.json.decode(encode(notice(1)), type=Notice) == notice(1)


async def test_without_details_a_line_says_no_more_than_that_there_is_an_alert(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    late = notice_of(alert(1, act_by_ns=NOON + SECOND), details=False, state="viewed", is_actionable=False)
    await sink(path).deliver(late)
    assert json.loads(path.read_text()) == {
        "type": "Notice",
        "id": "a1",
        "camera": "gate",
        "captured_at_ns": NOON,
        "captured_at": "2026-03-01T12:00:00.000000Z",
        "alerted_at_ns": NOON + 1_250_000_000,
        "alerted_at": "2026-03-01T12:00:01.250000Z",
        "state": "viewed",
        "act_by_ns": NOON + SECOND,
        "act_by": "2026-03-01T12:00:01.000000Z",
        "is_actionable": False,
        "permit": "demo",
    }
    assert msgspec.json.decode(path.read_bytes(), type=Notice) == late


async def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "alerts.jsonl"
    await sink(path).deliver(notice())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    sink(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_delivering_twice_writes_once(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)
    for _ in range(2):
        await writer.deliver(notice(1))
    await sink(path).deliver(notice(1))
    assert ids(path) == ["a1"]


async def test_a_line_reaches_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alerts.jsonl"
    writer, synced = sink(path), []
    monkeypatch.setattr(os, "fsync", lambda _handle: synced.append(path.stat().st_size))
    await writer.deliver(notice(1))
    assert synced == [len(encode(notice(1)))]


@pytest.mark.parametrize("cut", [1, 20, len(b'{"type":"Notice",'), 100])
async def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(encode(notice(1)) + encode(notice(2))[:cut])
    with capture_logs() as logs:
        writer = sink(path)
    assert [(log["event"], log["log_level"], log["bytes"]) for log in logs] == [("torn_line_cut", "warning", cut)]
    assert ids(path) == ["a1"]
    await writer.deliver(notice(2))
    assert ids(path) == ["a1", "a2"]


async def test_zeros_that_a_power_cut_left_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(encode(notice(1)) + bytes(300))
    with capture_logs() as logs:
        sink(path)
    assert logs[0]["event"] == "torn_line_cut"
    assert ids(path) == ["a1"]


async def test_a_line_that_only_lacks_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(encode(notice(1)) + encode(notice(2))[:-1])
    with capture_logs() as logs:
        writer = sink(path)
    assert [log["event"] for log in logs] == ["unfinished_line_completed"]
    await writer.deliver(notice(2))
    await writer.deliver(notice(3))
    assert ids(path) == ["a1", "a2", "a3"]


@pytest.mark.parametrize(
    "content", [b"name = 'mine'\n", b"name = 'mine'", b'{"id": 3}\n', b'{"type":"Other"}\n', b"\n"]
)
async def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "profile.toml"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match="line 1: expected an alert as a JSON object"):
        sink(path)
    assert path.read_bytes() == content


async def test_a_full_disk_leaves_whole_lines_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)
    await writer.deliver(notice(1))
    write, left = os.write, [25]

    def nearly_full(handle: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = write(handle, bytes(data)[: left[0]])
        left[0] -= count
        return count

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(PassingError, match="no space left"):
            await writer.deliver(notice(2))
    assert ids(path) == ["a1"]
    await writer.deliver(notice(2))
    assert ids(path) == ["a1", "a2"]


async def test_a_sync_that_fails_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)

    def broken(_handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(PassingError, match="could not be written"):
            await writer.deliver(notice(1))
    await writer.deliver(notice(1))
    assert ids(path) == ["a1"]


async def test_a_path_that_cannot_be_a_file_is_permanent(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="expected a regular file"):
        sink(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match="may not be written"):
        sink(tmp_path / "file" / "alerts.jsonl")


async def test_a_path_without_rights_is_permanent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)

    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermanentError, match="give this user the right to, or name another path"):
        sink(path)
    with pytest.raises(PermanentError, match="give this user the right to, or name another path"):
        await writer.deliver(notice(1))


async def test_a_file_moved_away_by_log_rotation_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)
    await writer.deliver(notice(1))
    path.rename(tmp_path / "alerts.jsonl.1")
    await writer.deliver(notice(2))
    assert ids(path) == ["a2"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_expiry_removes_older_alerts_and_only_those(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)
    for number in range(4):
        await writer.deliver(notice(number))
    kept = path.read_bytes().splitlines(keepends=True)[2:]
    assert await writer.expire(alert(2).alerted_at_ns) == 2
    assert path.read_bytes() == b"".join(kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await writer.expire(alert(2).alerted_at_ns) == 0
    assert names(tmp_path) == ["alerts.jsonl"]
    await writer.deliver(notice(4))
    assert ids(path) == ["a2", "a3", "a4"]


async def test_expiry_without_anything_older_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)
    await writer.deliver(notice(1))
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert await writer.expire(NOON) == 0
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    path.unlink()
    assert await writer.expire(NOON * 2) == 0


async def test_an_expiry_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alerts.jsonl"
    writer = sink(path)
    for number in range(3):
        await writer.deliver(notice(number))
    before = path.read_bytes()

    def full(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(PassingError, match="no space left"):
            await writer.expire(alert(2).alerted_at_ns)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["alerts.jsonl"]
    await writer.deliver(notice(0))
    assert path.read_bytes() == before


async def test_a_draft_that_a_crash_left_is_removed(tmp_path: Path) -> None:
    draft = tmp_path / ".alerts.jsonl.part"
    draft.write_bytes(encode(notice(1)))
    sink(tmp_path / "alerts.jsonl")
    assert not draft.exists()
