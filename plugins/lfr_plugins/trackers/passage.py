"""The tracker `passage`: follows faces by motion, counts each pass through the view once, and picks what to embed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from lfr_kernel.api import Seen, TrackEnded, TrackOpened, TrackUpdate, Wanted, face_qualities, gated
from lfr_plugins.trackers.cuts import THUMBNAIL, CutDetector
from lfr_plugins.trackers.motion import assign, begin, correct, measure, predict, shadows
from lfr_plugins.trackers.sampling import ProbePlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lfr_kernel.api import Faces, Gate
    from lfr_plugins.trackers.config import PassageConfig

__all__ = ["PassageTracker"]

_SURE = 0.9
"""The confidence at which a face over the gate is believed at first sight."""
_CONFIRM_S = 0.5
"""How soon any other face must be seen a second time to be believed."""
_JUMP_S = 3.0

_T = TypeVar("_T")
_Why = Literal["age", "cut", "split", "end"]


class _Sighting:
    """One face of the frame at hand."""

    __slots__ = ("at_ns", "confidence", "face", "gate", "quality")

    def __init__(self, face: int, at_ns: int, confidence: float, quality: float, gate: Gate | None) -> None:
        self.face = face
        self.at_ns = at_ns
        self.confidence = confidence
        self.quality = quality
        self.gate = gate


class _Track:
    """One person followed, or what may turn out to be one; it holds numbers only, no pixels."""

    __slots__ = ("first_ns", "frames", "is_split", "last_ns", "number", "plan", "refused")

    def __init__(self, at_ns: int, max_probes: int) -> None:
        self.number: int | None = None
        self.first_ns = self.last_ns = at_ns
        self.frames = 0
        self.is_split = False
        self.plan = ProbePlan(max_probes)
        self.refused: Counter[str] = Counter()

    def see(self, sighting: _Sighting) -> None:
        self.last_ns = sighting.at_ns
        self.frames += 1
        if sighting.gate is not None:
            self.refused[sighting.gate] += 1

    def ended(self, why: _Why) -> TrackEnded | None:
        """Return the message about its end; None when it was never believed and so never opened."""
        if self.number is None:
            return None
        gated = None
        if not self.plan.asked and self.refused:
            gated = self.refused.most_common(1)[0][0]
        return TrackEnded(self.number, self.last_ns, self.frames, why, gated)


class PassageTracker:
    """Follows the faces of one camera. See `lfr_kernel.api.Tracker` for the contract.

    It keeps numbers between calls, and one thumbnail of 48 by 27 grey values; nothing of `Faces` is held.
    """

    def __init__(self, config: PassageConfig) -> None:
        self._config = config
        self._lost_after_ns = int(config.lost_after_s * 1e9)
        self._jump_ns = max(int(_JUMP_S * 1e9), self._lost_after_ns)
        self._cuts = CutDetector()
        self._tracks: list[_Track] = []
        self._states: NDArray[np.float64] = np.zeros((0, 3, 5))
        self._now_ns: int | None = None
        self._next = 0

    def update(self, faces: Faces) -> TrackUpdate:
        """Take in the faces of one frame: end what is over, say who is who, open what is new, pick what to embed."""
        now_ns = faces.stream_ns
        ended = self._end_scene("cut") if self._is_new_scene(faces, now_ns) else self._end_aged(now_ns)
        self._now_ns = now_ns
        sightings, measured = self._sightings(faces)

        elapsed_s = np.array([(now_ns - track.last_ns) * 1e-9 for track in self._tracks])
        predicted = predict(self._states, elapsed_s)
        pairs = assign(predicted, elapsed_s, measured)
        rows, columns = [row for row, _ in pairs], [column for _, column in pairs]
        self._states[rows] = correct(predicted[rows], measured[columns])

        seen: list[tuple[_Track, _Sighting]] = []
        opened: list[TrackOpened] = []
        for row, column in pairs:
            track, sighting = self._tracks[row], sightings[column]
            if track.is_split:
                ended.append(track.ended("split"))
                track = self._tracks[row] = self._begin(sighting)
                self._states[row] = begin(measured[[column]])[0]
                opened.append(self._open(track))
            track.see(sighting)
            seen.append((track, sighting))
        ended += self._end_where([track.is_split for track in self._tracks], "split")

        strangers = self._strangers(sightings, measured, columns)
        for column in strangers:
            track = self._begin(sightings[column])
            track.see(sightings[column])
            self._tracks.append(track)
            seen.append((track, sightings[column]))
        self._states = np.concatenate((self._states, begin(measured[strangers])))

        opened += [self._open(track) for track, sighting in seen if self._is_believed(track, sighting)]
        wanted = (self._want(track, sighting) for track, sighting in seen)
        return TrackUpdate(
            opened=tuple(opened),
            wanted=_present(wanted),
            ended=_present(ended),
            seen=tuple(
                Seen(track.number, sighting.face, sighting.quality, sighting.gate)
                for track, sighting in seen
                if track.number is not None
            ),
        )

    def split(self, track: int) -> None:
        """End the track at the next update; the face seen there then begins another. Unknown numbers are ignored."""
        for one in self._tracks:
            if one.number == track:
                one.is_split = True

    def finish(self) -> TrackUpdate:
        """End every open track."""
        return TrackUpdate(ended=_present(self._end_scene("end")))

    def _is_new_scene(self, faces: Faces, now_ns: int) -> bool:
        is_cut = self._cuts.see(faces.picture.rgb(*THUMBNAIL), now_ns * 1e-9)
        before_ns = now_ns if self._now_ns is None else self._now_ns
        return is_cut or not 0 <= now_ns - before_ns <= self._jump_ns

    def _sightings(self, faces: Faces) -> tuple[list[_Sighting], NDArray[np.float64]]:
        """Measure the faces; those whose numbers are no numbers are passed over."""
        whole = np.isfinite(faces.boxes).all(axis=1) & np.isfinite(faces.landmarks).all(axis=(1, 2))
        kept = np.flatnonzero(whole & np.isfinite(faces.confidences))
        found = face_qualities(faces.boxes, faces.landmarks, faces.confidences, faces.crops.array)
        closed = gated(found, self._config)
        overall = found.overall
        sightings = [
            _Sighting(
                face=int(face),
                at_ns=faces.stream_ns,
                confidence=float(found.confidence[face]),
                quality=float(overall[face]),
                gate=None if self._config.every_face else closed[face],
            )
            for face in kept
        ]
        return sightings, measure(faces.boxes[kept])

    def _strangers(self, sightings: list[_Sighting], measured: NDArray[np.float64], known: list[int]) -> list[int]:
        """Return which sightings are of nobody followed so far."""
        passed = set(known)
        if not self._config.every_face:
            confidences = np.array([sighting.confidence for sighting in sightings])
            passed.update(np.flatnonzero(shadows(measured, confidences)).tolist())
        return [column for column in range(len(sightings)) if column not in passed]

    def _begin(self, sighting: _Sighting) -> _Track:
        return _Track(sighting.at_ns, self._config.max_probes)

    def _open(self, track: _Track) -> TrackOpened:
        track.number = self._next
        self._next += 1
        return TrackOpened(track.number, track.first_ns)

    def _is_believed(self, track: _Track, sighting: _Sighting) -> bool:
        """Whether this sighting makes a passage of what was not one yet."""
        if track.number is not None:
            return False
        if self._config.every_face:
            return True
        if sighting.confidence < self._config.min_confidence:
            return False
        return track.frames > 1 or (sighting.gate is None and sighting.confidence >= _SURE)

    def _want(self, track: _Track, sighting: _Sighting) -> Wanted | None:
        if track.number is None or sighting.gate is not None:
            return None
        at_s = sighting.at_ns * 1e-9
        if self._config.every_face:
            track.plan.ask(sighting.quality, at_s)
        elif not track.plan.wants(sighting.quality, at_s):
            return None
        return Wanted(track.number, sighting.face, sighting.quality)

    def _end_scene(self, why: _Why) -> list[TrackEnded | None]:
        return self._end_where([True] * len(self._tracks), why)

    def _end_aged(self, now_ns: int) -> list[TrackEnded | None]:
        confirm_ns = min(int(_CONFIRM_S * 1e9), self._lost_after_ns)
        limits = [confirm_ns if track.number is None else self._lost_after_ns for track in self._tracks]
        over = [now_ns - track.last_ns > limit for track, limit in zip(self._tracks, limits, strict=True)]
        return self._end_where(over, "age")

    def _end_where(self, over: list[bool], why: _Why) -> list[TrackEnded | None]:
        """Take the marked tracks out and return what there is to say about them."""
        ended = [track.ended(why) for track, is_over in zip(self._tracks, over, strict=True) if is_over]
        self._tracks = [track for track, is_over in zip(self._tracks, over, strict=True) if not is_over]
        self._states = self._states[~np.array(over, dtype=np.bool_)]
        return ended


def _present(some: Iterable[_T | None]) -> tuple[_T, ...]:
    return tuple(one for one in some if one is not None)
