"""Each conformance suite catches plugins that break the contract, and says what is wrong with them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lfr_kernel.api import Candidates, Reading, TrackEnded, TrackUpdate
from lfr_kernel.stages.detector import Detections
from lfr_kernel.testing.conformance import (
    check_camera,
    check_detector,
    check_embedder,
    check_index,
    check_picture,
    check_retention,
    check_sink,
    check_tracker,
)
from lfr_kernel.testing.fakes import (
    FakeCamera,
    FakeDetector,
    FakeEmbedder,
    FakeFace,
    FakePicture,
    FakeRetention,
    FakeTracker,
    ListSink,
    NumpyIndex,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from lfr_kernel.api import Notice
    from lfr_kernel.messages import Faces

FACES = (FakeFace(40, 30, 60, (200, 40, 40)), FakeFace(180, 60, 48, (40, 40, 200), confidence=0.7))
WITH_FACES, EMPTY = FakePicture.of(FACES), FakePicture.of(())


class SharedPicture(FakePicture):
    """Hands out its own pixels."""

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        view: NDArray[np.uint8] = self._pixels[:height, :width]
        return view


class ReadOnlyPatches(FakePicture):
    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        patch = super().patch(affine, size)
        patch.flags.writeable = False
        return patch


class SwappedPatches(FakePicture):
    """Takes (width, height) for (height, width)."""

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        return super().patch(affine, size[::-1])


class GreyOutside(FakePicture):
    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        return np.maximum(super().patch(affine, size), 1)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (SharedPicture, "rgb must return an array of its own"),
        (ReadOnlyPatches, "a patch must be writeable"),
        (SwappedPatches, r"patch.* must have the shape \[32, 16, 3\], got \[16, 32, 3\]"),
        (GreyOutside, "outside of the picture must be black"),
    ],
)
def test_broken_pictures(kind: type[FakePicture], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_picture(kind(np.full((180, 320, 3), 90, np.uint8)))


class RaisingClose(FakeCamera):
    def close(self) -> None:
        super().close()
        if self.closed > 1:
            raise OSError("closed already")


class SecondsCamera(FakeCamera):
    def read(self) -> Reading | None:
        reading = super().read()
        return reading and Reading(picture=reading.picture, position_ns=0.04)  # type: ignore[arg-type]


def fast_camera() -> FakeCamera:
    return FakeCamera([EMPTY], pace="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("create", "text"),
    [
        (lambda: RaisingClose([EMPTY]), "close must not raise; called a second time"),
        (lambda: SecondsCamera([EMPTY]), "position_ns must be a whole number of ns, got 0.04"),
        (fast_camera, "pace must be one of .* got 'fast'"),
        (lambda: FakeCamera([]), "gave no picture"),
        (lambda: FakeCamera([EMPTY], pace="live"), "a live camera has no end"),
    ],
)
def test_broken_cameras(create: Callable[[], FakeCamera], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_camera(create)


class Detector(FakeDetector):
    """Alters what it found."""

    def __init__(self, alter: Callable[[Detections], Detections], **wrong: object) -> None:
        super().__init__(max_concurrency=2)
        self._alter = alter
        for name, value in wrong.items():
            setattr(self, name, value)

    def detect(self, picture: object) -> Detections:
        return self._alter(super().detect(picture))


def as_it_is(array: NDArray[np.float32]) -> NDArray[np.float32]:
    return array


def altered(**arrays: Callable[[NDArray[np.float32]], NDArray[Any]]) -> Callable[[Detections], Detections]:
    def alter(found: Detections) -> Detections:
        fields = {name: getattr(found, name) for name in ("boxes", "landmarks", "confidences")}
        return Detections(**{name: arrays.get(name, as_it_is)(value) for name, value in fields.items()})

    return alter


class Recycled:
    """Writes every result into the same arrays."""

    def __init__(self) -> None:
        self._boxes = np.zeros((9, 4), np.float32)

    def __call__(self, found: Detections) -> Detections:
        self._boxes[:] = 0
        self._boxes[: len(found)] = found.boxes
        boxes = self._boxes[: len(found)]
        return Detections(boxes=boxes, landmarks=found.landmarks, confidences=found.confidences)


def same(found: Detections) -> Detections:
    return found


@pytest.mark.parametrize(
    ("create", "text"),
    [
        (partial(Detector, same, digest="v1.2"), "64 hexadecimal digits .* got 'v1.2'"),
        (partial(Detector, same, device=""), "device must be what it runs on in one word, such as 'cpu', got ''"),
        (partial(Detector, same, device=None), "device must be what it runs on .* got None"),
        (partial(Detector, same, max_concurrency=0), "max_concurrency must be a whole number from 1, got 0"),
        (partial(Detector, altered(boxes=lambda a: a.astype(np.float64))), "boxes must be float32, got float64"),
        (partial(Detector, altered(landmarks=lambda a: a.reshape(-1, 10))), r"landmarks must have the shape"),
        (partial(Detector, altered(boxes=lambda a: a / np.float32(320))), "landmarks must be .* in px"),
        (partial(Detector, altered(boxes=lambda a: a[:, [0, 2, 1, 3]])), "boxes must be xyxy"),
        (partial(Detector, altered(boxes=lambda a: a * np.float32(20))), "boxes must be in px of the source"),
        (partial(Detector, altered(landmarks=lambda a: a[:, [1, 0, 2, 4, 3]])), "the eye at the image's left"),
        (partial(Detector, altered(confidences=lambda a: a * np.float32(100))), r"confidences must be in \[0, 1\]"),
        (partial(Detector, altered(confidences=lambda a: a[::-1])), "the strongest detection must come first"),
        (partial(Detector, altered(boxes=lambda a: a * np.float32("nan"))), "boxes must be finite"),
        (partial(Detector, Recycled()), "changed the result of an earlier one"),
    ],
)
def test_broken_detectors(create: Callable[[], FakeDetector], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_detector(create, WITH_FACES, EMPTY)


def test_a_detector_that_is_blind_or_sees_ghosts() -> None:
    with pytest.raises(AssertionError, match="found nobody in the picture with faces"):
        check_detector(FakeDetector, EMPTY, EMPTY)
    with pytest.raises(AssertionError, match="found 2 faces in the picture without any"):
        check_detector(FakeDetector, WITH_FACES, WITH_FACES)


class NotThreadSafe(FakeDetector):
    """Keeps the picture in the instance while it works."""

    def __init__(self) -> None:
        super().__init__(max_concurrency=2)
        import threading  # noqa: PLC0415

        self._both = threading.Barrier(2)
        self._calls = 0
        self._picture: object = None

    def detect(self, picture: object) -> Detections:
        self._calls += 1
        self._picture = picture
        if self._calls > 2:
            self._both.wait(5)
        return super().detect(self._picture)


def test_a_detector_that_promises_too_much_concurrency() -> None:
    with pytest.raises(AssertionError, match="of 2 overlapping calls one found"):
        check_detector(NotThreadSafe, WITH_FACES, EMPTY)


class Embedder(FakeEmbedder):
    """Alters what it writes."""

    def __init__(self, alter: Callable[[NDArray[np.uint8], NDArray[np.float32]], object], **wrong: object) -> None:
        super().__init__(batch_size=2)
        self._alter = alter
        for name, value in wrong.items():
            setattr(self, name, value)

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        super().embed(crops, out)
        return self._alter(crops, out)  # type: ignore[return-value]


def doubled(_: Any, out: NDArray[np.float32]) -> None:
    out *= 2


def constant(_: Any, out: NDArray[np.float32]) -> None:
    out[:] = 0
    out[:, 0] = 1


def greedy(_: Any, out: NDArray[np.float32]) -> None:
    assert out.base is not None
    out.base[-1] = 0


def eager(crops: NDArray[np.uint8], _: Any) -> None:
    crops[:] = 0


def lazy(_: Any, out: NDArray[np.float32]) -> None:
    out[1:] = np.nan


def chatty(_: Any, out: NDArray[np.float32]) -> object:
    return out.copy()


def moody(_: Any, out: NDArray[np.float32]) -> None:
    out[0] = out[0][::-1]


class Erratic:
    def __init__(self) -> None:
        self._rng = np.random.default_rng()

    def __call__(self, _: Any, out: NDArray[np.float32]) -> None:
        self._rng.shuffle(out, axis=1)


@pytest.mark.parametrize(
    ("create", "text"),
    [
        (partial(Embedder, doubled), "L2-normalised, got length 2"),
        (partial(Embedder, constant), "different crops gave the same templates"),
        (partial(Embedder, greedy), "embed wrote outside of out"),
        (partial(Embedder, eager), "embed must leave the crops as they are"),
        (partial(Embedder, lazy), "must write every number of out"),
        (partial(Embedder, chatty), "must write into out and return None"),
        (partial(Embedder, moody), "must not depend on its place in the batch"),
        (partial(Embedder, Erratic()), "the same crops must give the same templates"),
        (partial(Embedder, chatty, device="GPU 0"), "device must be what it runs on in one word, .* got 'GPU 0'"),
        (partial(Embedder, chatty, batch_size=0), "batch_size must be a whole number from 1"),
        (
            partial(Embedder, chatty, landmark_template=np.zeros((5, 2), np.float32)),
            "landmark_template must be float64",
        ),
        (partial(Embedder, chatty, landmark_template=np.full((5, 2), 90.0)), "in px of a crop of 32 x 32"),
    ],
)
def test_broken_embedders(create: Callable[[], FakeEmbedder], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_embedder(create)


class BorrowingIndex(NumpyIndex):
    def replace(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        super().replace(templates, entries, digest)
        self._templates = templates


class ForgetfulOfDigests(NumpyIndex):
    def add(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:  # noqa: ARG002
        super().add(templates, entries, self._digest or "")


class NeverErases(NumpyIndex):
    def erase(self) -> None:
        self._templates, self._entries, self._digest = np.zeros((0, 0), np.float32), np.zeros(0, np.int64), None


class LeavesRemovedRows(NumpyIndex):
    """Marks rows instead of overwriting them."""

    def remove(self, entries: NDArray[np.int64]) -> None:
        if not np.isin(entries, self._entries).all():
            raise KeyError(entries)
        kept = ~np.isin(self._entries, entries)
        self._old, self._templates = self._templates, self._templates[kept]
        self._entries = self._entries[kept]


class Distances(NumpyIndex):
    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        found = super().search(probes, k)
        return Candidates(entries=found.entries, similarities=1 - found.similarities)


class FarthestFirst(NumpyIndex):
    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        found = super().search(probes, k)
        near = min(k, len(self))
        for array in (found.entries, found.similarities):
            array[:, :near] = array[:, :near][:, ::-1].copy()
        return found


class Rows(NumpyIndex):
    """Says which row, not which entry."""

    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        found = super().search(probes, k)
        rows = {int(entry): row for row, entry in enumerate(self._entries)}
        named = [[rows.get(int(entry), -1) for entry in line] for line in found.entries]
        return Candidates(entries=np.array(named, np.int64), similarities=found.similarities)


class Short(NumpyIndex):
    """Returns as many as there are."""

    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        return super().search(probes, min(k, len(self)))


class SilentRemove(NumpyIndex):
    def remove(self, entries: NDArray[np.int64]) -> None:
        super().remove(entries[np.isin(entries, self._entries)])


@pytest.mark.parametrize(
    ("create", "text"),
    [
        (BorrowingIndex, "similarities must be the 1 highest cosines"),
        (ForgetfulOfDigests, "add with another model's digest must raise ValueError, and was accepted"),
        (NeverErases, "replace must overwrite the templates; 4.* can still be read"),
        (LeavesRemovedRows, "remove must overwrite the templates; 3 of 3 can still be read"),
        (Distances, "the rest of similarities must be -inf"),
        (FarthestFirst, "exactly and nearest first"),
        (Rows, "entries must be the numbers given with the templates"),
        (Short, "entries must have the shape"),
        (SilentRemove, "remove of an entry that is not there must raise KeyError, and was accepted"),
    ],
)
def test_broken_indexes(create: Callable[[], NumpyIndex], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_index(create)


class Hoarder(FakeTracker):
    """Keeps the faces of each frame."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[object] = []

    def update(self, faces: Faces) -> TrackUpdate:
        self._kept.append(faces.crops.array)
        return super().update(faces)


class Deaf(FakeTracker):
    def split(self, track: int) -> None:
        """Do nothing."""


class Endless(FakeTracker):
    def finish(self) -> TrackUpdate:
        return TrackUpdate()


class Tracker(FakeTracker):
    """Alters what it says."""

    def __init__(self, alter: Callable[[TrackUpdate], TrackUpdate]) -> None:
        super().__init__()
        self._alter = alter

    def update(self, faces: Faces) -> TrackUpdate:
        return self._alter(super().update(faces))


def told(update: TrackUpdate, **changed: Iterable[Any]) -> TrackUpdate:
    fields = {name: tuple(changed.get(name, getattr(update, name))) for name in ("opened", "wanted", "ended")}
    return TrackUpdate(**fields)


def renumbered(update: TrackUpdate) -> TrackUpdate:
    return told(update, opened=[type(one)(0, one.stream_ns) for one in update.opened])


def weighed(update: TrackUpdate) -> TrackUpdate:
    return told(update, wanted=[type(one)(one.track, one.face, 100.0) for one in update.wanted])


def counted_from_one(update: TrackUpdate) -> TrackUpdate:
    return told(update, wanted=[type(one)(one.track, one.face + 1, one.quality) for one in update.wanted])


def ended_twice(update: TrackUpdate) -> TrackUpdate:
    return told(update, ended=update.ended * 2)


def bored(update: TrackUpdate) -> TrackUpdate:
    return told(update, ended=[TrackEnded(one.track, one.stream_ns, one.frames, "bored") for one in update.ended])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("create", "text"),
    [
        (Hoarder, "must not hold on to crops after update"),
        (Deaf, "the next update must end it as split, got"),
        (Endless, "finish must end every open track"),
        (partial(Tracker, renumbered), "track 0 was opened before: numbers are used once"),
        (partial(Tracker, weighed), r"quality must be in \(0, 1\]: it is a weight; got 100"),
        (partial(Tracker, counted_from_one), "face 2 is wanted of a frame with 2"),
        (partial(Tracker, ended_twice), "was ended, which is not open"),
        (partial(Tracker, bored), "a track ends by one of age, cut, split, end, got 'bored'"),
        (partial(Tracker, lambda _: TrackUpdate()), "no track was opened"),
        (partial(FakeTracker, max_probes=0), "none was wanted"),
        (partial(FakeTracker, lost_after_s=9999), "nobody was seen for 40 s, and tracks are open|stood still"),
    ],
)
def test_broken_trackers(create: Callable[[], FakeTracker], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_tracker(create)


class Doubling(ListSink):
    async def deliver(self, notice: Notice) -> None:
        self.delivered.append(notice)


class Immortal(ListSink):
    async def expire(self, before_ns: int) -> int:
        return sum(notice.alerted_at_ns < before_ns for notice in self.delivered)


class Impatient(ListSink):
    async def expire(self, before_ns: int) -> int:  # noqa: ARG002
        count = len(self.delivered)
        self.delivered.clear()
        return count


class Fragile(ListSink):
    async def close(self) -> None:
        await super().close()
        if self.closed > 1:
            raise OSError("closed already")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Doubling, "deliver must be idempotent, got 5"),
        (Immortal, "all that is older|must be gone"),
        (Impatient, r"expire\(0\) must destroy nothing"),
        (Fragile, "close must not raise; called a second time"),
    ],
)
async def test_broken_sinks(kind: type[ListSink], text: str) -> None:
    sink = kind()
    with pytest.raises(AssertionError, match=text):
        await check_sink(lambda _: sink, delivered=lambda: len(sink.delivered))


class Growing(FakeRetention):
    """Says something else each time."""

    calls = 0

    def seconds(self, record_class: Any) -> float:
        self.calls += 1
        return super().seconds(record_class) + self.calls


@pytest.mark.parametrize(
    ("create", "text"),
    [
        (Growing, "must be a pure function"),
        (partial(FakeRetention, float("inf")), "must be a finite number from 0, got inf"),
        (partial(FakeRetention, -1.0), "must be a finite number from 0, got -1"),
    ],
)
def test_broken_retentions(create: Callable[[], FakeRetention], text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_retention(create)
