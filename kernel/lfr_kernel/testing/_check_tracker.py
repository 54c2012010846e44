"""Does a tracker keep its contract?"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, get_args, get_type_hints

import numpy as np

from lfr_kernel.messages import Biometric, Faces
from lfr_kernel.stages.tracker import TrackEnded, TrackUpdate
from lfr_kernel.testing._expect import expect
from lfr_kernel.testing.fakes import FakePicture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from lfr_kernel.messages import Picture
    from lfr_kernel.stages.tracker import Tracker

__all__ = ["check_tracker"]

SIZE = (1280, 720)
FACE_PX = 120.0
FRAME_S = 0.04
LANDMARKS = np.array([[0.31, 0.41], [0.69, 0.41], [0.5, 0.62], [0.35, 0.8], [0.65, 0.8]])
WHYS = get_args(get_type_hints(TrackEnded)["why"])


class _Books:
    """Follows what a tracker says, and complains."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.open: set[int] = set()
        self.used: set[int] = set()
        self.ended: list[TrackEnded] = []
        self.wanted = 0
        self._crops: list[weakref.ref[NDArray[np.uint8]]] = []

    def update(self, at_s: float, places: Sequence[tuple[float, float]]) -> TrackUpdate:
        faces = _faces(at_s, places)
        before = faces.crops.array.copy()
        update = self.tracker.update(faces)
        expect(np.array_equal(faces.crops.array, before), "update must leave the crops as they are")
        self._take(update, faces.stream_ns, len(places))
        self._crops.append(weakref.ref(faces.crops.array))
        faces.erase()
        return update

    def finish(self) -> None:
        update = self.tracker.finish()
        expect(not update.opened, f"finish must only end tracks, got opened {update.opened}")
        self._take(update, None, 0)
        expect(not self.open, f"finish must end every open track; left open: {sorted(self.open)}")

    def _take(self, update: TrackUpdate, now_ns: int | None, faces: int) -> None:
        expect(isinstance(update, TrackUpdate), f"expected a TrackUpdate, got {type(update).__name__}")
        for opened in update.opened:
            expect(opened.track not in self.used, f"track {opened.track} was opened before: numbers are used once")
            expect(
                now_ns is None or opened.stream_ns <= now_ns,
                f"track {opened.track} was opened at {opened.stream_ns} ns, which is after the frame at {now_ns} ns",
            )
            self.used.add(opened.track)
            self.open.add(opened.track)
        for wanted in update.wanted:
            expect(wanted.track in self.open, f"a face of track {wanted.track} is wanted, which is not open")
            expect(
                0 <= wanted.face < faces, f"face {wanted.face} is wanted of a frame with {faces} (numbers count from 0)"
            )
            expect(0 < wanted.quality <= 1, f"quality must be in (0, 1]: it is a weight; got {wanted.quality!r}")
            self.wanted += 1
        for seen in update.seen:
            expect(seen.track in self.open, f"a face of track {seen.track} was seen, which is not open")
            expect(0 <= seen.face < faces, f"face {seen.face} was seen in a frame with {faces} (numbers count from 0)")
        shown = [seen.face for seen in update.seen]
        expect(len(set(shown)) == len(shown), f"one face was seen twice in one update: {shown}")
        refused = {seen.face for seen in update.seen if seen.gate is not None}
        both = sorted(refused & {wanted.face for wanted in update.wanted})
        expect(not both, f"faces {both} are wanted, and are said to be no good (a gate) in the same update")
        numbers = [wanted.face for wanted in update.wanted]
        expect(len(set(numbers)) == len(numbers), f"one face was wanted twice in one update: {numbers}")
        for ended in update.ended:
            expect(ended.track in self.open, f"track {ended.track} was ended, which is not open (or no longer)")
            expect(ended.why in WHYS, f"a track ends by one of {', '.join(WHYS)}, got {ended.why!r}")
            expect(ended.frames >= 1, f"track {ended.track} ended after {ended.frames} frames; expected 1 or more")
            expect(
                now_ns is None or ended.stream_ns <= now_ns,
                f"track {ended.track} was last seen at {ended.stream_ns} ns, which is after the frame at {now_ns} ns",
            )
            self.open.discard(ended.track)
            self.ended.append(ended)

    def crops_kept(self) -> int:
        gc.collect()
        return sum(crop() is not None for crop in self._crops)


def check_tracker(create: Callable[[], Tracker]) -> None:
    """Check a tracker on two people who walk: sharp, frontal, large faces, so that some should be wanted."""
    books = _Books(create())
    now_s = 0.0
    for frame in range(50):
        now_s = frame * FRAME_S
        books.update(now_s, [(100 + 6.0 * frame, 200), (900 - 4.0 * frame, 240)])
    expect(books.open, "two faces were shown for two seconds, and no track was opened")
    expect(books.wanted, "two sharp, frontal, large faces were shown for two seconds, and none was wanted")
    books.tracker.split(max(books.used) + 1_000)
    _check_split(books, now_s)
    _check_age(books)
    kept = books.crops_kept()
    expect(not kept, f"a tracker must not hold on to crops after update; it holds those of {kept} frames")
    for step in range(5):
        books.update(2_000 + step * FRAME_S, [(400.0, 200.0)])
    expect(books.open, "somebody came after a long pause, and no track was opened")
    books.finish()
    books.finish()
    empty = _Books(create())
    empty.update(0.0, [])
    empty.finish()
    expect(not empty.used, "no face was ever shown, and a track was opened")


def _check_split(books: _Books, now_s: float) -> None:
    place = (900 - 4.0 * 49, 240.0)
    for _ in range(15):  # now one of them is alone
        now_s += FRAME_S
        books.update(now_s, [place])
    while len(books.open) > 1 and now_s < 60:  # noqa: PLR2004  (seconds)
        now_s += FRAME_S
        books.update(now_s, [place])
    expect(len(books.open) == 1, "one face stood still for a minute alone, and there are several open tracks")
    (track,) = books.open
    books.tracker.split(track)
    books.tracker.split(track)
    update = books.update(now_s + FRAME_S, [place])
    ends = [(ended.track, ended.why) for ended in update.ended]
    expect(ends == [(track, "split")], f"after split({track}) the next update must end it as split, got {ends}")
    books.tracker.split(track)
    for step in range(2, 30):
        books.update(now_s + step * FRAME_S, [place])
    expect(books.open, "after a split, who is still there must get a new track")
    (second,) = books.open
    now_s += 30 * FRAME_S
    for step in range(3):
        books.update(now_s + step * FRAME_S, [place])
    expect(books.open == {second}, "split of an ended track must be ignored")


def _check_age(books: _Books) -> None:
    for step in range(40):
        books.update(1_000 + step, [])
    expect(not books.open, f"nobody was seen for 40 s, and tracks are open: {sorted(books.open)}")


def _faces(at_s: float, places: Sequence[tuple[float, float]]) -> Faces:
    corners = np.array(places, np.float32).reshape(-1, 2)
    boxes = np.concatenate((corners, corners + np.float32(FACE_PX)), axis=1)
    landmarks = (corners[:, None] + LANDMARKS * FACE_PX).astype(np.float32)
    crops = np.repeat(_CROP[None], len(corners), axis=0)
    stream_ns = round(at_s * 1e9)
    return Faces(
        camera="gate",
        sequence=round(at_s / FRAME_S),
        missed=0,
        picture=_PICTURE,
        captured_at_ns=stream_ns,
        captured_monotonic_ns=stream_ns,
        stream_ns=stream_ns,
        boxes=boxes,
        landmarks=landmarks,
        confidences=np.full(len(corners), 0.97, np.float32),
        crops=Biometric(crops),
    )


def _sharp_crop() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(3).integers(40, 216, (28, 28, 3), np.uint8)
    return coarse.repeat(4, axis=0).repeat(4, axis=1)


_CROP = _sharp_crop()
_PICTURE: Picture = FakePicture.of((), SIZE)
