"""The built-in plugins with a stopwatch on each, so that all kinds of runs are measured alike.

They behave as the plugins behind them do, with two exceptions: the camera ends after so many seconds of the clip, and
the index holds random templates beside those that it is given.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from lfr_kernel.api import EndOfInput, Registry
from lfr_plugins.lab.bench_report import LISTED
from lfr_plugins.lab.bench_stopwatch import Delays, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lfr_kernel.api import (
        Camera,
        Candidates,
        Detections,
        Detector,
        Embedder,
        Faces,
        Index,
        Pace,
        Picture,
        Reading,
        Tracker,
        TrackUpdate,
    )

__all__ = ["Taps", "TimedCamera", "TimedDetector", "TimedEmbedder", "TimedIndex", "TimedTracker"]

_SEAM_NS = 1_000_000_000
_USUAL_STEP_NS = 40_000_000


class TimedCamera:
    """Ends after so many seconds of the clip, counted across loops."""

    pace: Pace

    def __init__(self, inner: Camera, watch: Stopwatch, seconds: float) -> None:
        self.pace = inner.pace
        self._inner = inner
        self._watch = watch
        self._limit_ns = int(seconds * 1e9)
        self._elapsed_ns = 0
        self._step_ns = _USUAL_STEP_NS
        self._last_ns: int | None = None

    def open(self) -> None:
        """See `Camera`; what comes from now on is measured."""
        self._inner.open()
        self._watch.restart()

    def read(self) -> Reading | None:
        """See `Camera`."""
        began_ns = time.monotonic_ns()
        reading = self._inner.read()
        if reading is not None:
            self._elapse(reading.position_ns)
            if self._elapsed_ns >= self._limit_ns:
                raise EndOfInput
            self._watch.note("decode", began_ns)
        return reading

    def _elapse(self, position_ns: int) -> None:
        last_ns, self._last_ns = self._last_ns, position_ns
        if last_ns is None:
            return
        step_ns = position_ns - last_ns
        if 0 < step_ns <= _SEAM_NS:
            self._step_ns = step_ns
        self._elapsed_ns += self._step_ns

    def close(self) -> None:
        """See `Camera`."""
        self._inner.close()


class TimedDetector:
    """See `Detector`."""

    def __init__(self, inner: Detector, watch: Stopwatch) -> None:
        self.max_concurrency = inner.max_concurrency
        self.digest = inner.digest
        self.device = inner.device
        self.smallest_face_px = inner.smallest_face_px
        self.close = inner.close
        self._inner = inner
        self._watch = watch

    def detect(self, picture: Picture) -> Detections:
        """See `Detector`."""
        began_ns = time.monotonic_ns()
        found = self._inner.detect(picture)
        self._watch.note("detect", began_ns, len(found))
        return found


class TimedTracker:
    """See `Tracker`; tells when each of the faces that it wants was captured."""

    def __init__(self, inner: Tracker, watch: Stopwatch, delays: Delays | None) -> None:
        self.split = inner.split
        self.finish = inner.finish
        self._inner = inner
        self._watch = watch
        self._delays = delays
        self._first_seen_ns: dict[int, int] = {}

    def update(self, faces: Faces) -> TrackUpdate:
        """See `Tracker`."""
        began_ns = time.monotonic_ns()
        update = self._inner.update(faces)
        self._watch.note("track", began_ns)
        if self._delays is not None:
            self._first_seen_ns |= {opened.track: opened.stream_ns for opened in update.opened}
            for wanted in update.wanted:
                first_ns = self._first_seen_ns.pop(wanted.track, None)
                since_ns = None if first_ns is None else faces.stream_ns - first_ns
                self._delays.ask(faces.crops.array[wanted.face], faces.captured_monotonic_ns, since_ns)
        return update


class TimedEmbedder:
    """See `Embedder`."""

    def __init__(self, inner: Embedder, watch: Stopwatch, delays: Delays | None) -> None:
        self.max_concurrency = inner.max_concurrency
        self.batch_size = inner.batch_size
        self.digest = inner.digest
        self.device = inner.device
        self.dimension = inner.dimension
        self.crop_size = inner.crop_size
        self.landmark_template = inner.landmark_template
        self.close = inner.close
        self._inner = inner
        self._watch = watch
        self._delays = delays

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """See `Embedder`."""
        began_ns = time.monotonic_ns()
        self._inner.embed(crops, out)
        now_ns = self._watch.note("embed", began_ns, len(crops))
        if self._delays is not None:
            for crop in crops:
                self._delays.embed(crop, now_ns)


class TimedIndex:
    """See `Index`; fills the gallery up to `LISTED` entries with random templates, which resemble nobody."""

    def __init__(self, inner: Index, watch: Stopwatch) -> None:
        self.add = inner.add
        self.remove = inner.remove
        self.erase = inner.erase
        self._inner = inner
        self._watch = watch

    def __len__(self) -> int:
        return len(self._inner)

    def replace(self, templates: NDArray[np.float32], entries: NDArray[np.int64], digest: str) -> None:
        """See `Index`."""
        missing = max(0, LISTED - len(templates))
        rows = np.random.default_rng(0).standard_normal((missing, templates.shape[1]), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        first = int(entries.max(initial=-1)) + 1
        numbers = np.arange(first, first + missing, dtype=np.int64)
        whole = np.concatenate((templates, rows))
        self._inner.replace(whole, np.concatenate((entries, numbers)), digest)
        whole.fill(0)

    def search(self, probes: NDArray[np.float32], k: int) -> Candidates:
        """See `Index`."""
        began_ns = time.monotonic_ns()
        found = self._inner.search(probes, k)
        self._watch.note("search", began_ns, len(probes))
        return found


class Taps:
    """Puts a stopwatch on plugins.

    Args:
        seconds: of the clip, after which the camera ends.
        with_delays: whether to follow faces from capture to embedding.
    """

    def __init__(self, *, seconds: float, with_delays: bool = False) -> None:
        self.watch = Stopwatch()
        self.delays = Delays() if with_delays else None
        self._seconds = seconds

    def camera(self, inner: Camera) -> TimedCamera:
        """Wrap a camera."""
        return TimedCamera(inner, self.watch, self._seconds)

    def detector(self, inner: Detector) -> TimedDetector:
        """Wrap a detector."""
        return TimedDetector(inner, self.watch)

    def tracker(self, inner: Tracker) -> TimedTracker:
        """Wrap a tracker."""
        return TimedTracker(inner, self.watch, self.delays)

    def embedder(self, inner: Embedder) -> TimedEmbedder:
        """Wrap an embedder."""
        return TimedEmbedder(inner, self.watch, self.delays)

    def index(self, inner: Index) -> TimedIndex:
        """Wrap an index."""
        return TimedIndex(inner, self.watch)

    def registry(self, installed: Registry) -> Registry:
        """Return the same plugins, with the built-in ones that a benchmark runs wrapped."""
        wrappers: dict[tuple[str, str], Callable[[Any], Any]] = {
            ("camera", "av"): self.camera,
            ("detector", "onnx"): self.detector,
            ("tracker", "passage"): self.tracker,
            ("embedder", "onnx"): self.embedder,
            ("index", "usearch"): self.index,
        }
        return Registry([_wrapped(one, wrappers) for one in installed])


def _wrapped(one: Any, wrappers: dict[tuple[str, str], Callable[[Any], Any]]) -> Any:
    plugin = one.plugin
    wrap = wrappers.get((plugin.stage, plugin.name))
    if wrap is None:
        return one

    def create(config: Any) -> Any:
        return wrap(plugin.create(config))

    return msgspec.structs.replace(one, plugin=msgspec.structs.replace(plugin, create=create))
