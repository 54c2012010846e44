"""A folder of photographs becomes a watchlist, and nobody is left off it silently."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from anyio.lowlevel import checkpoint
from msgspec import Struct

from lfr_kernel.enrolment import EnrolmentError, Photo, enrol, find_photos
from lfr_kernel.messages import Biometric
from lfr_kernel.plugins import API_VERSION, CameraPlugin
from lfr_kernel.runtime import PermanentError, SystemClock, ThreadLane
from lfr_kernel.stages.quality import EnrolmentGates, Gates
from lfr_kernel.testing.fakes import FakeCamera, FakeDetector, FakeEmbedder, FakeFace, FakePicture, Faults, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lfr_kernel.api import Camera
    from lfr_kernel.governance.watchlist import Watchlist

pytestmark = pytest.mark.anyio

OPEN = Gates(min_confidence=0.0, min_face_px=8.0, min_frontality=0.0, min_sharpness=0.0)
"""Painted faces are smooth."""

RED, BLUE = (200, 40, 40), (40, 40, 200)


class ReaderConfig(Struct, frozen=True, forbid_unknown_fields=True):
    path: str


def face(colour: tuple[int, int, int], x: float = 40) -> FakeFace:
    return FakeFace(x, 30, 64, colour)


ONE_RED, ONE_BLUE = FakePicture.of([face(RED)]), FakePicture.of([face(BLUE)])
NOBODY, TWO = FakePicture.of([]), FakePicture.of([face(RED), face(BLUE, x=200)])


def reader(pictures: dict[str, Any]) -> CameraPlugin:
    """Read the photograph called x as pictures["x"]."""

    def create(config: ReaderConfig) -> Camera:
        step = pictures[Path(config.path).name]
        return FakeCamera([] if step is None else [step])

    return CameraPlugin(name="stills", api=API_VERSION, config=ReaderConfig, create=create)


@pytest.fixture
def lane() -> Iterator[ThreadLane]:
    lane = ThreadLane("compute", clock=SystemClock(), workers=2)
    yield lane
    lane.close()


@pytest.fixture
def handed_out(monkeypatch: pytest.MonkeyPatch) -> list[Biometric]:
    """Every Biometric that enrolment makes."""
    made: list[Biometric] = []

    def note(array: Any, **more: Any) -> Biometric:
        made.append(Biometric(array, **more))
        return made[-1]

    monkeypatch.setattr("lfr_kernel.enrolment.Biometric", note)
    return made


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a thread that nobody waits for any more."""
    with anyio.fail_after(5):
        while not condition():
            await checkpoint()


async def enrolled(
    lane: ThreadLane,
    pictures: dict[str, Any],
    *,
    detector: FakeDetector | None = None,
    embedder: FakeEmbedder | None = None,
    gates: Gates = OPEN,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Watchlist:
    photos = [Photo(person=Path(name).stem, path=Path(name)) for name in pictures]
    return await enrol(
        photos,
        reader=reader(pictures),
        detector=detector or FakeDetector(max_concurrency=2),
        embedder=embedder or FakeEmbedder(max_concurrency=2),
        lane=lane,
        gates=gates,
        progress=progress,
    )


async def test_a_face_becomes_a_template_and_a_portrait_at_twice_the_size(lane: ThreadLane) -> None:
    watchlist = await enrolled(lane, {"red.png": ONE_RED, "blue.png": ONE_BLUE})
    templates = watchlist.templates.array
    assert watchlist.persons == ("red", "blue")
    assert templates.shape == (2, 128)
    assert np.linalg.norm(templates, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert abs(float(templates[0] @ templates[1])) < 0.3
    assert watchlist.digest == FakeEmbedder().digest
    assert watchlist.portrait(0).shape == (64, 64, 3)
    assert (watchlist.portrait(1)[32, 32] == BLUE).all()


async def test_the_order_is_that_of_the_photographs_whichever_is_ready_first(lane: ThreadLane) -> None:
    gate = Gate()
    told: list[tuple[int, int]] = []

    def progress(done: int, of: int) -> None:
        told.append((done, of))
        gate.open()

    faults = Faults({1: gate})
    watchlist = await enrolled(
        lane,
        {"red.png": ONE_RED, "blue.png": ONE_BLUE},
        detector=FakeDetector(faults, max_concurrency=2),
        progress=progress,
    )
    assert watchlist.persons == ("red", "blue")
    assert told == [(1, 2), (2, 2)]


async def test_no_face_or_several_are_rejected_with_the_reason(lane: ThreadLane) -> None:
    watchlist = await enrolled(lane, {"nobody.png": NOBODY, "red.png": ONE_RED, "two.png": TWO})
    assert watchlist.persons == ("red",)
    assert watchlist.unlisted == ("nobody", "two"), "people, not only photographs"
    assert {one.photo: one.reason for one in watchlist.rejected} == {
        "nobody.png": "expected exactly one face, found no face",
        "two.png": "expected exactly one face, found 2 faces",
    }


async def test_a_rejected_photograph_of_several_is_named_with_its_person(lane: ThreadLane) -> None:
    photos = [Photo(person="ada", path=Path("ada/front.png")), Photo(person="ada", path=Path("ada/side.png"))]
    watchlist = await enrol(
        photos,
        reader=reader({"front.png": ONE_RED, "side.png": NOBODY}),
        detector=FakeDetector(),
        embedder=FakeEmbedder(),
        lane=lane,
        gates=OPEN,
    )
    assert [one.photo for one in watchlist.rejected] == ["ada/side.png"]


@pytest.mark.parametrize(
    ("gates", "text"),
    [
        (EnrolmentGates(min_face_px=80), r"too_small: the face is 64 px wide, expected 80 or more \(min_face_px\)"),
        (EnrolmentGates(), r"blurred: its sharpness is 0.00, expected 0.2 or more \(min_sharpness\)"),
    ],
)
async def test_a_face_that_is_not_good_enough_is_rejected_with_what_was_measured(
    lane: ThreadLane, handed_out: list[Biometric], gates: Gates, text: str
) -> None:
    with pytest.raises(EnrolmentError, match=f"red.png: {text}"):
        await enrolled(lane, {"red.png": ONE_RED}, gates=gates)
    assert all(one.is_erased for one in handed_out)


async def test_what_is_asked_of_photographs_is_stricter_unless_told_otherwise(lane: ThreadLane) -> None:
    with pytest.raises(EnrolmentError, match="nobody could be enrolled"):
        await enrol(
            [Photo(person="red", path=Path("red.png"))],
            reader=reader({"red.png": ONE_RED}),
            detector=FakeDetector(),
            embedder=FakeEmbedder(),
            lane=lane,
        )


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (PermanentError("the file is truncated"), "bad.png: the file is truncated"),
        (OSError("input/output error"), "bad.png: OSError: input/output error"),
        (None, "bad.png: the reader 'stills' returned nothing"),
    ],
)
async def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    lane: ThreadLane, handed_out: list[Biometric], step: Any, text: str
) -> None:
    with pytest.raises(EnrolmentError, match=f"watchlist photograph {text}"):
        await enrolled(lane, {"red.png": ONE_RED, "bad.png": step, "blue.png": ONE_BLUE})
    await until(lambda: all(one.is_erased for one in handed_out))


async def test_a_photograph_that_breaks_a_plugin_is_named_too(lane: ThreadLane, handed_out: list[Biometric]) -> None:
    embedder = FakeEmbedder(Faults({1: RuntimeError("out of memory")}))
    with pytest.raises(EnrolmentError, match=r"photograph red.png: RuntimeError: out of memory"):
        await enrolled(lane, {"red.png": ONE_RED}, embedder=embedder)
    await until(lambda: all(one.is_erased for one in handed_out))


async def test_when_nobody_is_left_the_reasons_are_told(lane: ThreadLane) -> None:
    with pytest.raises(EnrolmentError, match=r"all 2 photographs were rejected: nobody.png: expected .*; two.png: "):
        await enrolled(lane, {"nobody.png": NOBODY, "two.png": TWO})


async def test_stopping_in_the_middle_leaves_nothing_behind(lane: ThreadLane, handed_out: list[Biometric]) -> None:
    gate = Gate()
    detector = FakeDetector(Faults({1: gate}), max_concurrency=2)

    def stop(_done: int, _all: int) -> None:
        assert gate.entered.wait(5)
        scope.cancel()

    with anyio.CancelScope() as scope:
        await enrolled(lane, {"red.png": ONE_RED, "blue.png": ONE_BLUE}, detector=detector, progress=stop)
    assert scope.cancelled_caught
    gate.open()
    await until(lambda: len(handed_out) == 4 and all(one.is_erased for one in handed_out))


async def test_erasing_the_watchlist_overwrites_templates_and_portraits(lane: ThreadLane) -> None:
    watchlist = await enrolled(lane, {"red.png": ONE_RED})
    memory = [watchlist.templates.array, watchlist._portraits[0].array]
    watchlist.erase()
    assert not any(array.any() for array in memory)


def test_a_file_is_a_person_and_a_folder_is_a_person_with_several(tmp_path: Path) -> None:
    for name in ("grace.jpg", "ada/1.PNG", "ada/2.webp", "ada/notes.txt", "readme.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"a picture")
    found = [(photo.person, photo.path.name) for photo in find_photos(str(tmp_path))]
    assert found == [("ada", "1.PNG"), ("ada", "2.webp"), ("grace", "grace.jpg")]


def test_several_folders_are_one_list(tmp_path: Path) -> None:
    for name in ("a/grace.jpg", "b/ada.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"a picture")
    found = find_photos([str(tmp_path / "b"), str(tmp_path / "a")])
    assert [photo.person for photo in found] == ["ada", "grace"]


def test_one_name_in_two_folders_is_refused_since_it_may_be_two_people(tmp_path: Path) -> None:
    for name in ("police/001.jpg", "council/001.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"a picture")
    with pytest.raises(EnrolmentError, match=r"'001' stands in .*police and in .*council: expected each person in one"):
        find_photos([str(tmp_path / "police"), str(tmp_path / "council")])


def test_folders_that_cannot_be_used_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.jpg").write_bytes(b"a picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "ada.jpg").write_bytes(b"a picture")
    with pytest.raises(EnrolmentError, match="missing does not exist"):
        find_photos(str(tmp_path / "missing"))
    with pytest.raises(EnrolmentError, match=r"file.jpg is a file, expected a folder"):
        find_photos(str(tmp_path / "file.jpg"))
    with pytest.raises(EnrolmentError, match=r"empty holds no photograph \(.bmp, "):
        find_photos([str(tmp_path / "full"), str(tmp_path / "empty")])

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(EnrolmentError, match="full cannot be read: Permission denied"):
        find_photos(str(tmp_path / "full"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("carol.heic", r"carol.heic: expected one of .*\.jpg.*, got .heic; convert it"),
        ("alice/notes.txt", r"alice holds no photograph of its person"),
        ("bob/empty.png", r"empty.png is empty \(0 bytes\)"),
    ],
)
def test_nobody_is_left_off_the_list_silently(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "grace.jpg").write_bytes(b"a picture")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"" if "empty" in name else b"something")
    with pytest.raises(EnrolmentError, match=text):
        find_photos(str(tmp_path))
