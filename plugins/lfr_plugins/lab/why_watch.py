"""Runs the real pipeline over a clip, and watches from the tracker's side what is seen of each passage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import numpy as np
from msgspec import Struct

from lfr_kernel.api import Alert, Listener, Outcome, Registry, Session, face_qualities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from lfr_kernel.api import Detector, Faces, Profile, Seen, Summary, Tracker, TrackUpdate, Wanted
    from lfr_plugins.lab.why_moments import Moments

__all__ = ["Sighted", "Watched", "WatchedTracker", "Watcher", "watch"]

_GONE_NS = 1_000_000_000
"""How long a face is hidden where it was last seen when a frame shows it no more: it may have been overlooked."""


class Sighted(Struct, kw_only=True):
    """What was seen of one track. Numbers only."""

    key: str
    widest_px: float = 0.0
    quality: float = 0.0
    """Of its best face, in [0, 1]."""
    parts: dict[str, float] = {}
    """Of that quality, by name."""
    last_ns: int = 0
    last_box: NDArray[np.float32] | None = None


class Watched(Struct, frozen=True, kw_only=True, eq=False):
    """One run over a clip."""

    summary: Summary
    outcomes: list[Outcome]
    alerts: list[Alert]
    watcher: Watcher


class Watcher:
    """What the taps have seen; the tracker's lane writes, and nobody reads before the run is over."""

    def __init__(self, moments: Moments, progress: Callable[[float, int], None] = lambda _s, _n: None) -> None:
        """Begin.

        Args:
            moments: keeps the pictures.
            progress: told, frame by frame and on the tracker's lane, the seconds of the clip and the passages so far.
        """
        self.size = (0, 0)
        """(width, height) of the clip, px."""
        self.smallest_face_px: float | None = None
        """The narrowest face that the detector can find in the clip."""
        self.began_ns = self.last_ns = 0
        self.passages = 0
        self._moments = moments
        self._progress = progress
        self._detector: Detector | None = None
        self._sighted: dict[tuple[int, int], Sighted] = {}

    def sighted(self, outcome: Outcome) -> Sighted | None:
        """Return what was seen of a passage; None when its end, and so its track, is not known."""
        if outcome.track is None or outcome.began_stream_ns is None:
            return None
        return self._sighted.get((outcome.track, outcome.began_stream_ns))

    def registry(self, installed: Registry) -> Registry:
        """Return the same plugins, with every tracker watched and every detector remembered."""
        return Registry([self._tapped(one) for one in installed])

    def _tapped(self, one: Any) -> Any:
        taps: dict[str, Callable[[Any], Any]] = {"tracker": self._track, "detector": self._remember}
        plugin = one.plugin
        tap = taps.get(plugin.stage)
        if tap is None:
            return one

        def create(config: Any) -> Any:
            return tap(plugin.create(config))

        return msgspec.structs.replace(one, plugin=msgspec.structs.replace(plugin, create=create))

    def _track(self, inner: Tracker) -> WatchedTracker:
        return WatchedTracker(inner, self)

    def _remember(self, detector: Detector) -> Detector:
        self._detector = detector
        return detector

    def begin(self, track: int, began_ns: int) -> Sighted:
        """Take note of a new track."""
        self.passages += 1
        seen = Sighted(key=f"{self.passages:05d}")
        self._sighted[track, began_ns] = seen
        return seen

    def frame(self, faces: Faces, shown: Iterable[tuple[Sighted, Seen | Wanted]], followed: Iterable[Sighted]) -> None:
        """Look at one frame after the tracker has: `shown` says which face is whose, `followed` who is still there."""
        if not self.size[0]:
            self.size = faces.picture.size
            self.began_ns = faces.stream_ns
            if self._detector is not None:
                self.smallest_face_px = self._detector.smallest_face_px(*self.size)
        self.last_ns = faces.stream_ns
        candidates = []
        measured = face_qualities(faces.boxes, faces.landmarks, faces.confidences, faces.crops.array)
        for seen, one in shown:
            box, quality = faces.boxes[one.face], float(measured.overall[one.face])
            if quality > seen.quality:
                seen.quality, seen.parts = quality, measured.parts(one.face)
            seen.widest_px = max(seen.widest_px, float(box[2] - box[0]))
            seen.last_ns, seen.last_box = faces.stream_ns, box.copy()
            candidates.append((seen.key, one.face, max(one.quality, 1e-6)))
        hidden = [faces.boxes, *(box[None] for box in _overlooked(followed, faces.stream_ns))]
        self._moments.offer(faces.picture, np.concatenate(hidden), candidates)
        self._progress((self.last_ns - self.began_ns) / 1e9, self.passages)


def _overlooked(followed: Iterable[Sighted], now_ns: int) -> list[NDArray[np.float32]]:
    """Return where those were last seen who are followed, and whom this frame does not show."""
    return [one.last_box for one in followed if one.last_box is not None and 0 < now_ns - one.last_ns <= _GONE_NS]


class WatchedTracker:
    """See `Tracker`; behaves as the tracker behind it does."""

    def __init__(self, inner: Tracker, watcher: Watcher) -> None:
        self.split = inner.split
        self.finish = inner.finish
        self._inner = inner
        self._watcher = watcher
        self._mine: dict[int, Sighted] = {}

    def update(self, faces: Faces) -> TrackUpdate:
        """See `Tracker`."""
        update = self._inner.update(faces)
        for opened in update.opened:
            self._mine[opened.track] = self._watcher.begin(opened.track, opened.stream_ns)
        shown: dict[int, Seen | Wanted] = {one.face: one for one in update.wanted}
        shown |= {one.face: one for one in update.seen}
        theirs = [(self._mine[one.track], one) for one in shown.values()]
        for ended in update.ended:
            self._mine.pop(ended.track, None)
        self._watcher.frame(faces, theirs, self._mine.values())
        return update


def watch(profile: Profile, installed: Registry, watcher: Watcher, enrolled: Callable[[int, int], None]) -> Watched:
    """Run a profile with one camera to the end of its clip.

    Args:
        profile: what to run; its options were decoded with `installed`.
        installed: the plugins.
        watcher: sees what the tracker does.
        enrolled: told (done, all) while the watchlist is made.

    Raises:
        LfrError: it could not run; the text says why.
    """
    outcomes: list[Outcome] = []
    alerts: list[Alert] = []

    def fact(what: Alert | Outcome) -> None:
        if isinstance(what, Outcome):
            outcomes.append(what)
        else:
            alerts.append(what)

    session = Session(profile, watcher.registry(installed), listener=Listener(fact=fact, enrolled=enrolled))
    summary = anyio.run(session.run)
    return Watched(summary=summary, outcomes=outcomes, alerts=alerts, watcher=watcher)
