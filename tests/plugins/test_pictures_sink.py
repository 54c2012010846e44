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

from lfr_kernel.api import Alert, Evidence, PassingError, PermanentError, SinkContext
from lfr_plugins.sinks import comparison, pictures
from lfr_plugins.sinks.comparison import draw
from lfr_plugins.sinks.config import PicturesConfig
from lfr_plugins.sinks.lettering import Lettering
from lfr_plugins.sinks.pictures import PicturesSink, Stamp, file_name, read_stamp

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


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def sink(folder: Path, evidence: Callable[[str], Evidence] = lambda _reference: EVIDENCE) -> PicturesSink:
    return PicturesSink(PicturesConfig(folder=str(folder)), SinkContext(evidence=evidence, run_blocking=inline))


async def test_one_png_an_alert(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "alerts"
    asked: list[str] = []

    def evidence(reference: str) -> Evidence:
        asked.append(reference)
        return EVIDENCE

    writer = sink(folder, evidence)
    await writer.deliver(alert(3))
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
    await writer.deliver(alert(1))
    await writer.deliver(alert(1))
    await sink(tmp_path).deliver(alert(1))
    assert drawn == [alert(1).id]


async def test_a_sink_that_may_not_see_pictures_says_what_to_set(tmp_path: Path) -> None:
    def withheld(_reference: str) -> Evidence:
        raise PermissionError("withheld")

    with pytest.raises(PermanentError, match="set evidence = true for this sink in the profile"):
        await sink(tmp_path, withheld).deliver(alert())
    assert names(tmp_path) == []


async def test_erased_pictures_are_given_up(tmp_path: Path) -> None:
    def erased(reference: str) -> Evidence:
        raise KeyError(reference)

    with pytest.raises(PermanentError, match="have been erased already"):
        await sink(tmp_path, erased).deliver(alert())


async def test_a_full_disk_leaves_no_part_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, write = sink(tmp_path), os.write

    def nearly_full(handle: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, bytes(data)[: len(data) - 50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(PassingError, match="no space left"):
            await writer.deliver(alert())
    assert names(tmp_path) == []
    await writer.deliver(alert())
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
        await writer.deliver(alert(number))
    (tmp_path / "holiday.png").write_bytes(cv2.imencode(".png", plain(RED, 8, 8))[1].tobytes())
    (tmp_path / "empty.png").write_bytes(b"")
    assert await writer.expire(alert(2).alerted_at_ns) == 2
    left = names(tmp_path)
    assert left == ["empty.png", file_name(alert(2)), file_name(alert(3)), "holiday.png"]
    assert await writer.expire(alert(2).alerted_at_ns) == 0


async def test_copying_and_renaming_do_not_make_a_picture_younger(tmp_path: Path) -> None:
    writer = sink(tmp_path)
    await writer.deliver(alert(1))
    path = only(tmp_path)
    shutil.copyfile(path, tmp_path / "copy.png")
    path.rename(tmp_path / "other-name.png")
    assert await writer.expire(alert(2).alerted_at_ns) == 2
    assert names(tmp_path) == []


async def test_the_stamp_says_which_alert_it_was(tmp_path: Path) -> None:
    await sink(tmp_path).deliver(alert(5))
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
