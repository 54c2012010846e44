"""One clip from its first picture to its last: who was followed in it, and the templates of their faces.

The stages are those of a run, and what their hosts do between them is done here, one frame after the other in one
thread: crops are cut as the detector's host cuts them, templates are pooled as the index pools them, and a track whose
templates stop agreeing is split before the next frame. There are no queues, no deadlines and no drops, so the same clip
gives the same tracks, byte for byte. A live run may lose frames and faces on the way that are all here; its loss funnel
counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003  (msgspec resolves the annotations when it decodes)
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from lfr_kernel.api import (
    Added,
    Biometric,
    EndOfInput,
    Faces,
    PassingError,
    Pool,
    Timeline,
    describe,
    embed_crops,
    mean_template,
    mirror,
    recognition_settings,
    seen_conditions,
    similarity_transforms,
)
from lfr_plugins.cameras.av_camera import AvCamera
from lfr_plugins.cameras.config import AvConfig
from lfr_plugins.lab.evaluation.observation import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from threading import Event

    from numpy.typing import NDArray

    from lfr_kernel.api import (
        Camera,
        Detections,
        Detector,
        Embedder,
        Picture,
        Profile,
        Reading,
        Registry,
        Seen,
        Tracker,
        TrackUpdate,
        Wanted,
    )

__all__ = ["Stages", "Track", "Watched", "follow", "stages_of"]


class Stages(Struct, frozen=True, kw_only=True, eq=False):
    """What clips are watched with."""

    camera: Callable[[Path], Camera]
    """Makes one that reads a file to its end, unpaced."""
    detector: Detector
    tracker: Callable[[], Tracker]
    """Makes one; each clip has its own."""
    embedder: Embedder
    mirror_live: bool
    """Whether a face is pooled with its mirror image: of the profile, for the pools that say when to split."""
    settings: str
    """Whatever else of a profile changes which faces are found, followed and asked for, spelled out."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What a result depends on besides the clip, for keys of the store."""
        pooled = "mirrored" if self.mirror_live else "plain"
        return (self.detector.digest, self.embedder.digest, pooled, self.settings)


class Track(Struct, frozen=True, kw_only=True, eq=False):
    """One person followed, as far as the tracker could tell: what a run counts as a passage."""

    places: bytes
    """float64 [F, 3]: second of the clip and the centre of the face, px, of each frame in which it was seen."""
    plain: bytes
    """float32 [K, D]: templates of the faces that were pooled, L2-normalised."""
    mirrored: bytes
    """float32 [K, D]: those of their mirror images."""
    weights: tuple[float, ...]
    """[K], of the faces in the pool: their qualities."""
    outliers: int
    """Faces that were asked for and disagreed with the pool."""
    gates: Mapping[str, int]
    """Why faces were not asked for."""
    conditions: bytes
    """float64 [A, 3]: in which conditions the faces that were asked for were seen, as `seen_conditions` says."""

    def seen(self) -> NDArray[np.float64]:
        """Return `places` as an array."""
        return np.frombuffer(self.places, np.float64).reshape(-1, 3)

    def seen_in(self) -> NDArray[np.float64]:
        """Return `conditions` as an array."""
        return np.frombuffer(self.conditions, np.float64).reshape(-1, 3)

    def templates(self, dimension: int, *, mirrored: bool) -> NDArray[np.float32]:
        """Return the templates, float32 [K, D]; averaged with those of the mirror images if so asked."""
        plain = np.frombuffer(self.plain, np.float32).reshape(-1, dimension)
        others = np.frombuffer(self.mirrored, np.float32).reshape(-1, dimension)
        return _averaged(plain, others) if mirrored else plain


class Watched(Struct, frozen=True, kw_only=True, eq=False):
    """Everybody who was followed in one clip, in the order in which they came into view."""

    digest: str
    """SHA-256 of the file."""
    frames: int
    seconds: float
    """From its first picture to its last."""
    tracks: tuple[Track, ...]


def stages_of(profile: Profile, registry: Registry, detector: Detector, embedder: Embedder) -> Stages:
    """Return what a profile watches clips with.

    Args:
        profile: as `load_profile` returned it.
        registry: the plugins that are installed.
        detector: made by the profile's plugin.
        embedder: likewise.
    """
    tracker = registry.get("tracker", profile.tracker.plugin)
    options = profile.tracker.options
    spelled = [
        (section.plugin, msgspec.to_builtins(section.options, enc_hook=str))
        for section in (profile.detector, profile.tracker, profile.embedder)
    ]
    spelled.append(("recognition", recognition_settings(profile)))
    return Stages(
        camera=lambda path: AvCamera(AvConfig(url=str(path.absolute()))),
        detector=detector,
        tracker=lambda: tracker.create(options),
        embedder=embedder,
        mirror_live=profile.embedder.mirror_live,
        settings=msgspec.json.encode(spelled, order="sorted").decode(),
    )


def follow(path: Path, digest: str, stages: Stages, told: Callable[[float], None], stop: Event) -> Watched:
    """Watch one clip to its end. Blocks; clips may be watched in several threads at once.

    Args:
        path: of the clip.
        digest: SHA-256 of it.
        stages: what watches.
        told: the second of the clip that was reached, frame by frame.
        stop: when it is set, the clip is left.

    Raises:
        UnreadableError: the clip cannot be opened, or not be read to its end.
        CancelledError: it was left.
    """
    following = _Following(stages)
    camera = stages.camera(path)
    frames = stream_ns = 0
    timeline = Timeline()
    try:
        _reading(path, camera.open)
        while True:
            if stop.is_set():
                raise CancelledError
            try:
                reading = _reading(path, camera.read)
            except EndOfInput:
                break
            if reading is not None:
                stream_ns = timeline.rise(reading.position_ns)
                following.look(reading.picture, frames, stream_ns)
                frames += 1
                told(stream_ns / 1e9)
    finally:
        camera.close()
        following.erase()
    tracks = following.finish()
    return Watched(digest=digest, frames=frames, seconds=stream_ns / 1e9, tracks=tracks)


def _reading(path: Path, call: Callable[[], Reading | None]) -> Reading | None:
    try:
        return call()
    except EndOfInput:
        raise
    except Exception as error:  # noqa: BLE001  (whatever the reader says, the clip is named)
        raise UnreadableError(f"{path}: {describe(error)}") from None


class _Followed:
    """One track, open or over: as a passage in the books of the tracker's host and of the index."""

    __slots__ = ("conditions", "gates", "mirrored", "outliers", "places", "plain", "pool", "weights")

    def __init__(self, dimension: int) -> None:
        self.pool = Pool(dimension)
        self.places: list[tuple[float, float, float]] = []
        self.plain: list[bytes] = []
        self.mirrored: list[bytes] = []
        self.weights: list[float] = []
        self.outliers = 0
        self.gates: Counter[str] = Counter()
        self.conditions: list[bytes] = []

    def track(self) -> Track:
        return Track(
            places=np.array(self.places, np.float64).tobytes(),
            plain=b"".join(self.plain),
            mirrored=b"".join(self.mirrored),
            weights=tuple(self.weights),
            outliers=self.outliers,
            gates=dict(self.gates.most_common()),
            conditions=b"".join(self.conditions),
        )


class _Following:
    """What the hosts of detector, tracker, embedder and index do with one frame, in one call."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._tracker = stages.tracker()
        self._open: dict[int, _Followed] = {}
        self._all: list[_Followed] = []

    def look(self, picture: Picture, sequence: int, stream_ns: int) -> None:
        """Take in one frame."""
        found = self._stages.detector.detect(picture)
        faces = Faces(
            camera="clip",
            sequence=sequence,
            missed=0,
            picture=picture,
            captured_at_ns=stream_ns,
            captured_monotonic_ns=stream_ns,
            stream_ns=stream_ns,
            boxes=found.boxes,
            landmarks=found.landmarks,
            confidences=found.confidences,
            crops=Biometric(self._cut(picture, found)),
        )
        try:
            update = self._tracker.update(faces)
            for opened in update.opened:
                followed = self._open[opened.track] = _Followed(self._stages.embedder.dimension)
                self._all.append(followed)
            self._place(update, faces)
            if update.wanted:
                self._pool(update.wanted, faces)
        finally:
            faces.erase()
        self._close(update)

    def _cut(self, picture: Picture, found: Detections) -> NDArray[np.uint8]:
        width, height = size = self._stages.embedder.crop_size
        crops = np.zeros((len(found), height, width, 3), np.uint8)
        affines = similarity_transforms(found.landmarks, self._stages.embedder.landmark_template)
        for crop, affine in zip(crops, affines, strict=True):
            crop[:] = picture.patch(affine, size)
        return crops

    def _place(self, update: TrackUpdate, faces: Faces) -> None:
        shown: dict[int, Seen | Wanted] = {one.face: one for one in update.wanted}
        shown |= {one.face: one for one in update.seen}
        for one in shown.values():
            left, top, right, bottom = (float(edge) for edge in faces.boxes[one.face])
            centre = ((left + right) / 2, (top + bottom) / 2)
            self._of(one.track).places.append((faces.stream_ns / 1e9, *centre))
        for seen in update.seen:
            if seen.gate is not None:
                self._of(seen.track).gates[seen.gate] += 1

    def _pool(self, wanted: Sequence[Wanted], faces: Faces) -> None:
        numbers = [one.face for one in wanted]
        embedder, asked = self._stages.embedder, faces.crops.array[numbers]
        measured = seen_conditions(faces.boxes[numbers], asked)
        both = embed_crops(embedder, np.concatenate((asked, mirror(asked))), mirrored=False)
        plain, mirrored = both[: len(wanted)], both[len(wanted) :]
        pooled = _averaged(plain, mirrored) if self._stages.mirror_live else plain
        for number, one in enumerate(wanted):
            followed = self._of(one.track)
            followed.conditions.append(measured[number].tobytes())
            added = followed.pool.add(pooled[number], one.quality)
            if added is Added.POOLED:
                followed.plain.append(plain[number].tobytes())
                followed.mirrored.append(mirrored[number].tobytes())
                followed.weights.append(one.quality)
            else:
                followed.outliers += 1
            if added is Added.SPLIT:
                self._tracker.split(one.track)

    def _of(self, track: int) -> _Followed:
        followed = self._open.get(track)
        if followed is None:
            raise PassingError(f"the tracker spoke of track {track}, which is not open: expected `opened` before")
        return followed

    def _close(self, update: TrackUpdate) -> None:
        for ended in update.ended:
            self._of(ended.track).pool.erase()
            del self._open[ended.track]

    def finish(self) -> tuple[Track, ...]:
        """End every track; return all of them, in the order in which they were opened."""
        self._close(self._tracker.finish())
        return tuple(followed.track() for followed in self._all)

    def erase(self) -> None:
        """Overwrite the pools that are open."""
        for followed in self._open.values():
            followed.pool.erase()


def _averaged(plain: NDArray[np.float32], mirrored: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = np.empty_like(plain)
    mean_template(plain, mirrored, out=mean)
    return mean
