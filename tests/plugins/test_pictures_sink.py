"""What the sink `pictures` promises: one whole picture an alert, for whom the profile allows, while it may be kept."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from lfr_kernel.api import (
    Alert,
    Evidence,
    LfrError,
    Notice,
    PassingError,
    PermanentError,
    SinkContext,
    fingerprint_of,
    header_of,
    seal_for,
)
from lfr_kernel.governance.keys.recipient import open_with
from lfr_kernel.stages.sink import notice_of
from lfr_plugins.sinks import comparison, pictures
from lfr_plugins.sinks.comparison import draw
from lfr_plugins.sinks.config import PicturesConfig
from lfr_plugins.sinks.lettering import Lettering
from lfr_plugins.sinks.pictures import PicturesSink, Stamp, file_name, read_stamp, sealed_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.anyio

SECOND = 1_000_000_000
NOON = 1_772_366_400 * SECOND
RED, BLUE = (200, 30, 40), (20, 60, 210)


async def inline(call: Callable[[], None]) -> None:
    call()


def plain(colour: tuple[int, int, int], height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


EVIDENCE = Evidence(probe=plain(RED, 112, 112), listed=plain(BLUE, 224, 224))


def alert(number: int = 0, **fields: Any) -> Alert:
    usual: dict[str, Any] = {
        "id": f"{number:016x}",
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
        "alerted_at_ns": NOON + number * SECOND,
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


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def context(evidence: Callable[[str], Evidence] = lambda _reference: EVIDENCE, *, pictures: bool = True) -> SinkContext:
    return SinkContext(evidence=evidence, run_blocking=inline, details=True, pictures=pictures)


def sink(folder: Path, evidence: Callable[[str], Evidence] = lambda _reference: EVIDENCE) -> PicturesSink:
    return PicturesSink(PicturesConfig(folder=str(folder)), context(evidence))


KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw().hex()


def sealing_sink(folder: Path) -> PicturesSink:
    return PicturesSink(PicturesConfig(folder=str(folder), recipient=PUBLIC), context())


async def test_one_png_an_alert(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "alerts"
    asked: list[str] = []

    def evidence(reference: str) -> Evidence:
        asked.append(reference)
        return EVIDENCE

    writer = sink(folder, evidence)
    await writer.deliver(notice(3))
    await writer.close()
    path = only(folder)
    assert path.name == "gate-Ada-Lovelace-0000000000000003.png"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert asked == ["e1"]
    decoded = cv2.imread(str(path))
    assert decoded is not None
    assert np.array_equal(decoded[..., ::-1], draw(alert(3), EVIDENCE))


async def test_delivering_twice_draws_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def counted(one: Alert, evidence: Evidence) -> NDArray[np.uint8]:
        drawn.append(one.id)
        return draw(one, evidence)

    monkeypatch.setattr(pictures, "draw", counted)
    writer = sink(tmp_path)
    await writer.deliver(notice(1))
    await writer.deliver(notice(1))
    await sink(tmp_path).deliver(notice(1))
    assert drawn == [alert(1).id]


async def test_a_sink_that_may_not_see_pictures_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="set details = true and evidence = true for this sink in the profile"):
        PicturesSink(PicturesConfig(folder=str(tmp_path / "alerts")), context(pictures=False))
    assert names(tmp_path) == []


async def test_with_a_recipient_only_the_key_makes_a_picture_again(tmp_path: Path) -> None:
    await sealing_sink(tmp_path).deliver(notice(3))
    path = only(tmp_path)
    assert path.name == "0000000000000003.png.sealed"
    content = path.read_bytes()
    assert b"Ada" not in content
    assert b"PNG" not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header = header_of(content)
    assert (header.purpose, header.recipient) == ("alert-picture", fingerprint_of(KEY.public_key()))
    assert header.about == {"alert": alert(3).id, "alerted_at_ns": alert(3).alerted_at_ns}
    decoded = cv2.imdecode(np.frombuffer(open_with(KEY, content, purpose="alert-picture"), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.array_equal(decoded[..., ::-1], draw(alert(3), EVIDENCE))
    with pytest.raises(LfrError, match="sealed to key"):
        open_with(X25519PrivateKey.generate(), content)


async def test_a_sealed_picture_is_written_once_and_expires_like_any(tmp_path: Path) -> None:
    await sink(tmp_path).deliver(notice(0))  # of a run before the profile named a recipient
    writer = sealing_sink(tmp_path)
    for number in (1, 2, 2, 3):
        await writer.deliver(notice(number))
    foreign = seal_for(KEY.public_key(), "export", b"an archive", {"alerted_at_ns": 0})
    (tmp_path / "mine.png.sealed").write_bytes(foreign)
    (tmp_path / "empty.png.sealed").write_bytes(b"")
    assert read_stamp(tmp_path / sealed_name(alert(2))) == Stamp(alert(2).id, alert(2).alerted_at_ns)
    assert await writer.expire(alert(2).alerted_at_ns) == 2
    kept = [sealed_name(alert(2)), sealed_name(alert(3)), "empty.png.sealed", "mine.png.sealed"]
    assert names(tmp_path) == sorted(kept)


async def test_drafts_of_sealed_pictures_that_a_crash_left_are_removed(tmp_path: Path) -> None:
    (tmp_path / f".{sealed_name(alert())}.part").write_bytes(b"half")
    sealing_sink(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "recipient", ["", "ab" * 31, "zz" * 32, "00" * 32], ids=["empty", "short", "no hex", "nobody's"]
)
def test_a_recipient_that_is_no_key_is_refused(recipient: str) -> None:
    with pytest.raises(LfrError, match=r"expected an X25519 public key|is no key that somebody holds"):
        PicturesConfig(folder="alerts", recipient=recipient)


def test_only_a_recipient_protects_pictures_on_their_way() -> None:
    assert PicturesConfig(folder="alerts").protection is None
    assert PicturesConfig(folder="alerts", recipient=PUBLIC).protection == (
        f"sealed to key {fingerprint_of(KEY.public_key())}"
    )


async def test_erased_pictures_are_given_up(tmp_path: Path) -> None:
    def erased(reference: str) -> Evidence:
        raise KeyError(reference)

    with pytest.raises(PermanentError, match="have been erased already"):
        await sink(tmp_path, erased).deliver(notice())


async def test_a_full_disk_leaves_no_part_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, write = sink(tmp_path), os.write

    def nearly_full(handle: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, bytes(data)[: len(data) - 50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(PassingError, match="no space left"):
            await writer.deliver(notice())
    assert names(tmp_path) == []
    await writer.deliver(notice())
    assert names(tmp_path) == [file_name(alert())]


async def test_a_folder_that_cannot_be_one_is_permanent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match="may not be written"):
        sink(tmp_path / "file" / "alerts")


async def test_drafts_that_a_crash_left_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".gate-Ada-1.png.part").write_bytes(b"half a face")
    (tmp_path / "mine.part").write_bytes(b"mine")
    sink(tmp_path)
    assert names(tmp_path) == ["mine.part"]


async def test_expiry_deletes_older_pictures_and_nothing_else(tmp_path: Path) -> None:
    writer = sink(tmp_path)
    for number in range(4):
        await writer.deliver(notice(number))
    (tmp_path / "holiday.png").write_bytes(cv2.imencode(".png", plain(RED, 8, 8))[1].tobytes())
    (tmp_path / "empty.png").write_bytes(b"")
    assert await writer.expire(alert(2).alerted_at_ns) == 2
    left = names(tmp_path)
    assert left == ["empty.png", file_name(alert(2)), file_name(alert(3)), "holiday.png"]
    assert await writer.expire(alert(2).alerted_at_ns) == 0


async def test_copying_and_renaming_do_not_make_a_picture_younger(tmp_path: Path) -> None:
    writer = sink(tmp_path)
    await writer.deliver(notice(1))
    path = only(tmp_path)
    shutil.copyfile(path, tmp_path / "copy.png")
    path.rename(tmp_path / "other-name.png")
    assert await writer.expire(alert(2).alerted_at_ns) == 2
    assert names(tmp_path) == []


async def test_the_stamp_says_which_alert_it_was(tmp_path: Path) -> None:
    await sink(tmp_path).deliver(notice(5))
    path = only(tmp_path)
    assert read_stamp(path) == Stamp(alert=alert(5).id, alerted_at_ns=alert(5).alerted_at_ns)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"person": "../../etc/passwd"}, "gate-etc-passwd-0000000000000000.png"),
        ({"person": "Zoë Łuk/as\\x\0:*?"}, "gate-Zoe-uk-as-x-0000000000000000.png"),
        ({"person": "王小明"}, "gate-person-0000000000000000.png"),
        ({"camera": "...", "person": "A" * 300}, f"camera-{'A' * 48}-0000000000000000.png"),
    ],
)
def test_file_names_are_safe(fields: dict[str, Any], name: str) -> None:
    assert file_name(alert(**fields)) == name


def test_ids_that_are_made_safe_stay_apart() -> None:
    assert file_name(alert(id="a/b")) != file_name(alert(id="a:b"))
    assert "/" not in file_name(alert(id="a/b"))


def marker(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    axis = picture[comparison._AXIS]
    return np.asarray((np.abs(axis.astype(int) - colour) < 3).all(axis=-1))


def test_similarity_and_threshold_lie_on_the_axis_where_they_belong() -> None:
    picture = draw(alert(similarity=0.74, threshold=0.6), EVIDENCE)
    span = comparison._RIGHT - comparison._LEFT
    reached = np.flatnonzero(marker(picture, comparison._ACCENT)).max()
    assert reached == pytest.approx(comparison._LEFT + 0.74 * span + 9, abs=2)
    assert marker(picture, comparison._INK)[round(comparison._LEFT + 0.6 * span)]


@pytest.mark.parametrize("similarity", [-1.0, -0.2, 0.0, 0.6, 1.0, 1.0001])
@pytest.mark.parametrize("threshold", [-0.1, 0.0, 0.6, 1.0])
def test_every_cosine_can_be_drawn(similarity: float, threshold: float) -> None:
    picture = draw(alert(similarity=similarity, threshold=threshold), EVIDENCE)
    assert picture.dtype == np.uint8
    assert (picture[:, : comparison._MARGIN - 14] == comparison._GROUND).all()
    assert (picture[:, -comparison._MARGIN + 14 :] == comparison._GROUND).all()


def test_both_photographs_are_shown_side_by_side_at_one_size() -> None:
    picture = draw(alert(), EVIDENCE)
    areas = [int((picture == colour).all(axis=-1).sum()) for colour in (RED, BLUE)]
    assert areas[0] == areas[1] > 320 * 320


def test_a_photograph_that_is_not_square_is_shown_whole() -> None:
    tall = plain(BLUE, 300, 150)
    tall[:20], tall[-20:] = RED, RED
    picture = draw(alert(), Evidence(probe=plain((9, 9, 9), 112, 112), listed=tall))
    rows = np.flatnonzero(np.asarray((np.abs(picture.astype(int) - RED) < 3).all(axis=-1)).any(axis=1))
    assert rows.max() - rows.min() == comparison._SIDE - 1


def test_drawing_is_a_pure_function() -> None:
    assert np.array_equal(draw(alert(), EVIDENCE), draw(alert(), EVIDENCE))


@pytest.mark.parametrize("name", ["", "x" * 400, "王小明", "Zoë\nŁukasz\x1b[2J", "👩🏽‍🚀"])
def test_any_name_stays_within_the_margins(name: str) -> None:
    picture = draw(alert(person=name, camera=name, permit=name, basis=name), EVIDENCE)
    assert (picture[:, -comparison._MARGIN + 6 :] == comparison._GROUND).all()


def test_no_percent_sign_and_no_confidence_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = Lettering.write

    def recorded(letters: Lettering, text: str, *args: Any, **options: Any) -> float:
        written.append(text)
        return write(letters, text, *args, **options)

    monkeypatch.setattr(Lettering, "write", recorded)
    draw(alert(), EVIDENCE)
    everything = " ".join(written)
    assert "A proposal. A person decides." in written
    for words in (
        "0.74",
        "threshold 0.60",
        "7 faces pooled",
        "Ada Lovelace",
        "gate",
        alert().id,
        alert().basis,
        "12:00:00 UTC",
    ):
        assert words in everything
    assert "%" not in everything
    assert "confidence" not in everything.lower()


def test_letters_without_the_typeface_of_opencv_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    canvas = np.zeros((60, 400, 3), np.uint8)
    letters = Lettering(canvas)
    end = letters.write("Zoë Łukasz…", (10, 40), 30, (255, 255, 255), weight=600)
    columns = np.flatnonzero(canvas.any(axis=(0, 2)))
    assert 8 <= columns.min() < 16
    assert columns.max() <= end + 2
    assert letters.fitted("x" * 100, 16, 400, 100).endswith("…")
