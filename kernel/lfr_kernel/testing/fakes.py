"""Plugins for tests: small, scripted, deterministic, in plain numpy. What goes wrong, and when, is up to the test.

    people = [FakeFace(x=40, y=20, size=32, colour=(200, 40, 40))]
    camera = FakeCamera([FakePicture.of(people), PassingError("unplugged"), FakePicture.of(people)])
    detector = FakeDetector(Faults({2: RuntimeError("the second call fails")}))

The fakes keep the contracts that `lfr_kernel.testing.conformance` checks. A person is a colour: the same colour gives
the same template, another colour one that is nearly orthogonal to it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from lfr_kernel.messages import Alert, Notice
from lfr_kernel.stages.detector import Detections
from lfr_kernel.stages.index import Candidates
from lfr_kernel.stages.sink import notice_of
from lfr_kernel.stages.tracker import Seen, TrackEnded, TrackOpened, TrackUpdate, Wanted
from lfr_kernel.testing._faults import Faults, Gate
from lfr_kernel.testing._scenes import FakeCamera, FakeFace, FakePicture

if TYPE_CHECKING:
    from typing import Literal

    from numpy.typing import NDArray

    from lfr_kernel.messages import Faces
    from lfr_kernel.stages.retention import RecordClass

__all__ = [
    "CROP_SIZE",
    "RAISED_AT_NS",
    "FakeCamera",
    "FakeDetector",
    "FakeEmbedder",
    "FakeFace",
    "FakePicture",
    "FakeRetention",
    "FakeTracker",
    "Faults",
    "Gate",
    "ListSink",
    "NumpyIndex",
    "a_notice",
    "an_alert",
    "digest_of",
]

CROP_SIZE = (32, 32)
"""(width, height) of a crop in px, as `FakeEmbedder` wants it."""


RAISED_AT_NS = 1_700_000_000_000_000_000
"""When `an_alert` was raised, UTC."""
LANDMARKS = np.array([[0.34, 0.46], [0.66, 0.46], [0.5, 0.64], [0.37, 0.82], [0.63, 0.82]])
"""Where the five landmarks lie in a face, in parts of its box."""


def digest_of(name: str) -> str:
    """Return a SHA-256 to stand for the weights called `name`, hexadecimal."""
    return hashlib.sha256(name.encode()).hexdigest()


def an_alert(number: int = 1) -> Alert:
    """Return an alert to try things with; each number gives one id, person and time (a second apart)."""
    return Alert(
        id=f"{number:016x}",
        passage=f"test-{number:06d}",
        camera="gate",
        person=f"person-{number}",
        similarity=0.71,
        threshold=0.6,
        faces=3,
        quality=0.8,
        box=(10.0, 20.0, 110.0, 140.0),
        captured_at_ns=RAISED_AT_NS + number * 1_000_000_000,
        captured_monotonic_ns=number * 1_000_000_000,
        alerted_at_ns=RAISED_AT_NS + number * 1_000_000_000 + 50_000_000,
        alerted_monotonic_ns=number * 1_000_000_000 + 50_000_000,
        model=digest_of("fake embedder"),
        evidence=f"{number:016x}",
        permit="test (no capture)",
        basis="NO REPORT, this is a test",
    )


def a_notice(number: int = 1, *, details: bool = True) -> Notice:
    """Return what a sink is given of `an_alert`."""
    return notice_of(an_alert(number), details=details)


class FakeDetector:
    """Finds the faces that a `FakePicture` was painted with. See `lfr_kernel.stages.detector.Detector`."""

    def __init__(self, faults: Faults | None = None, *, max_concurrency: int = 1) -> None:
        self.max_concurrency = max_concurrency
        self.digest = digest_of("fake detector")
        self.device = "cpu"
        self.closed = 0
        self._faults = faults or Faults()

    def detect(self, picture: object) -> Detections:
        """Return the painted faces, strongest first; none for a picture of another kind."""
        self._faults.strike()
        faces = sorted(getattr(picture, "faces", ()), key=lambda face: -float(face.confidence))
        boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
        landmarks = boxes[:, None, :2] + LANDMARKS * (boxes[:, None, 2:] - boxes[:, None, :2])
        return Detections(
            boxes=boxes,
            landmarks=landmarks.astype(np.float32),
            confidences=np.array([face.confidence for face in faces], np.float32),
        )

    def smallest_face_px(self, width: int, height: int) -> float:  # noqa: ARG002  (it finds whatever was painted)
        """Return 1: it finds every face."""
        return 1.0

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class _Track:
    def __init__(self, number: int, centre: NDArray[np.float64]) -> None:
        self.number = number
        self.centre = centre
        self.frames = self.last_ns = 0
        self.is_split = False

    def ended(self, why: Literal["age", "cut", "split", "end"]) -> TrackEnded:
        return TrackEnded(self.number, self.last_ns, self.frames, why)


class FakeTracker:
    """Follows the nearest face within one face's width; wants every n-th. See `lfr_kernel.stages.tracker.Tracker`.

    Faces of less confidence than `min_confidence` are gated.
    """

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        every: int = 3,
        max_probes: int = 5,
        lost_after_s: float = 1.0,
        min_confidence: float = 0.0,
    ) -> None:
        self._faults = faults or Faults()
        self._min_confidence = min_confidence
        self._every = every
        self._max_frames = every * max_probes
        self._lost_after_ns = round(lost_after_s * 1e9)
        self._tracks: list[_Track] = []
        self._next = 0

    def update(self, faces: Faces) -> TrackUpdate:
        """Take in the faces of one frame."""
        self._faults.strike()
        now_ns = faces.stream_ns
        over = [track for track in self._tracks if now_ns - track.last_ns > self._lost_after_ns]
        ended = [track.ended("split" if track.is_split else "age") for track in over]
        split = [track for track in self._tracks if track.is_split and track not in over]
        ended += [track.ended("split") for track in split]
        self._tracks = [track for track in self._tracks if track not in over and track not in split]
        opened: list[TrackOpened] = []
        wanted: list[Wanted] = []
        seen: list[Seen] = []
        free = list(self._tracks)
        for number, box in enumerate(faces.boxes.astype(np.float64)):
            centre = (box[:2] + box[2:]) / 2
            near = [one for one in free if np.abs(one.centre - centre).max() <= box[2] - box[0]]
            if near:
                track = min(near, key=lambda one: float(np.abs(one.centre - centre).max()))
                free.remove(track)
            else:
                track = _Track(self._next, centre)
                self._next += 1
                self._tracks.append(track)
                opened.append(TrackOpened(track.number, now_ns))
            quality = max(0.01, float(faces.confidences[number]))
            gate = "low_confidence" if quality < self._min_confidence else None
            seen.append(Seen(track.number, number, quality, gate))
            if gate is None and track.frames % self._every == 0 and track.frames < self._max_frames:
                wanted.append(Wanted(track.number, number, quality))
            track.centre, track.last_ns = centre, now_ns
            track.frames += 1
        return TrackUpdate(opened=tuple(opened), wanted=tuple(wanted), ended=tuple(ended), seen=tuple(seen))

    def split(self, track: int) -> None:
        """End that track at the next update."""
        for one in self._tracks:
            one.is_split |= one.number == track

    def finish(self) -> TrackUpdate:
        """End every open track."""
        ended, self._tracks = self._tracks, []
        return TrackUpdate(ended=tuple(track.ended("end") for track in ended))


class FakeEmbedder:
    """Makes templates of a crop's mean colour. See `lfr_kernel.stages.embedder.Embedder`.

    Random Fourier features (Rahimi and Recht, 2007): the cosine of two templates is about
    exp(-(distance of the colours)² / (2 · 40²)).
    """

    crop_size = CROP_SIZE

    def __init__(
        self, faults: Faults | None = None, *, batch_size: int = 1, max_concurrency: int = 1, dimension: int = 128
    ) -> None:
        self.max_concurrency = max_concurrency
        self.batch_size = batch_size
        self.digest = digest_of("fake embedder")
        self.device = "cpu"
        self.dimension = dimension
        self.landmark_template = LANDMARKS * np.array(CROP_SIZE)
        self.closed = 0
        self.batches: list[int] = []
        """How many crops each call was given."""
        self._faults = faults or Faults()
        rng = np.random.default_rng(7)
        self._frequencies = rng.standard_normal((3, dimension)) / 40
        self._phases = rng.uniform(0, 2 * np.pi, dimension)

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Write the templates of `crops` (uint8 [N, H, W, 3]) into `out` (float32 [N, D])."""
        self.batches.append(len(crops))
        self._faults.strike()
        features = np.cos(crops.mean(axis=(1, 2)) @ self._frequencies + self._phases)
        out[:] = features / np.linalg.norm(features, axis=1, keepdims=True)

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class NumpyIndex:
    """A matrix and a product. See `lfr_kernel.stages.index.Index`."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults or Faults()
        self._templates = np.zeros((0, 0), np.float32)
        self._entries = np.zeros(0, np.int64)
        self._digest: str | None = None

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def replace(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        """Take the templates as the whole gallery."""
        self.erase()
        self._templates, self._entries, self._digest = templates.copy(), entries.copy(), digest

    def add(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        """Add rows. Raises ValueError for another digest, or an entry that is there already."""
        if self._digest not in {None, digest}:
            raise ValueError(f"the gallery is pinned to model {self._digest}, got templates of {digest}")
        if np.isin(entries, self._entries).any():
            raise ValueError(f"one of the entries {entries.tolist()} is there already")
        known = self._entries
        before, self._templates = self._templates, np.concatenate((self._templates.reshape(len(known), -1), templates))
        before.fill(0)
        self._entries, self._digest = np.concatenate((known, entries)), digest

    def remove(self, entries: NDArray[np.int64]) -> None:
        """Remove rows and overwrite them. Raises KeyError if one is not there."""
        missing = np.setdiff1d(entries, self._entries)
        if len(missing):
            raise KeyError(f"there is no entry {missing[0]}")
        kept = ~np.isin(self._entries, entries)
        before, self._templates = self._templates, self._templates[kept]
        before.fill(0)
        self._entries = self._entries[kept]

    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        """Return the `k` nearest entries of each probe, nearest first."""
        self._faults.strike()
        found = min(k, len(self))
        entries = np.full((len(probes), k), -1, np.int64)
        similarities = np.full((len(probes), k), -np.inf, np.float32)
        if found:
            cosines = probes @ self._templates.T
            order = np.argsort(-cosines, axis=1, kind="stable")[:, :found]
            entries[:, :found] = self._entries[order]
            similarities[:, :found] = np.clip(np.take_along_axis(cosines, order, axis=1), -1, 1)
        return Candidates(entries=entries, similarities=similarities)

    def erase(self) -> None:
        """Overwrite and forget every template."""
        self._templates.fill(0)
        self._templates, self._entries, self._digest = np.zeros((0, 0), np.float32), np.zeros(0, np.int64), None


class ListSink:
    """Keeps notices in `delivered`, each once. See `lfr_kernel.stages.sink.AlertSink`."""

    def __init__(self, faults: Faults | None = None) -> None:
        """Make a sink; `faults` happen before the notice is taken, and must not block."""
        self.delivered: list[Notice] = []
        self.closed = 0
        self._faults = faults or Faults()

    async def deliver(self, notice: Notice) -> None:
        """Keep it, unless it is kept already."""
        self._faults.strike()
        if notice.id not in {kept.id for kept in self.delivered}:
            self.delivered.append(notice)

    async def expire(self, before_ns: int) -> int:
        """Forget the notices of alerts raised before `before_ns`; return how many."""
        kept = [notice for notice in self.delivered if notice.alerted_at_ns >= before_ns]
        count = len(self.delivered) - len(kept)
        self.delivered[:] = kept
        return count

    async def close(self) -> None:
        """Count it."""
        self.closed += 1


class FakeRetention:
    """Gives every class the same life. See `lfr_kernel.stages.retention.Retention`."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds

    def seconds(self, record_class: RecordClass) -> float:  # noqa: ARG002  (the same for all)
        """Return how many seconds a record lives."""
        return self._seconds
