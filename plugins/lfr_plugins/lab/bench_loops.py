"""The same plugins without the kernel: on bare threads, which is the ceiling, and one call after another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from lfr_kernel.api import EndOfInput, NoConfig, similarity_transforms
from lfr_plugins.cameras.av_camera import AvCamera
from lfr_plugins.cameras.config import AvConfig
from lfr_plugins.detectors.config import OnnxDetectorConfig
from lfr_plugins.detectors.onnx_detector import OnnxDetector
from lfr_plugins.embedders.config import OnnxEmbedderConfig
from lfr_plugins.embedders.onnx_embedder import OnnxEmbedder
from lfr_plugins.indexes.usearch_index import UsearchIndex
from lfr_plugins.lab.bench_report import SEQUENTIAL_THREADS, Run
from lfr_plugins.lab.bench_taps import Taps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_kernel.api import Detections, Picture
    from lfr_plugins.lab.bench_report import Job, Kind
    from lfr_plugins.lab.bench_taps import TimedEmbedder

__all__ = ["Quota", "run_bound", "run_sequential"]

CANDIDATES = 8


class Quota:
    """How many faces of each frame to embed, so that the average comes out. Thread-safe."""

    def __init__(self, per_frame: float | None) -> None:
        """Embed `per_frame` faces on average; None: all."""
        self._per_frame = per_frame
        self._frames = self._taken = 0
        self._lock = threading.Lock()

    def take(self, faces: int) -> int:
        """Return how many of the `faces` of the next frame to embed."""
        if self._per_frame is None:
            return faces
        with self._lock:
            self._frames += 1
            taken = min(faces, max(0, round(self._per_frame * self._frames) - self._taken))
            self._taken += taken
            return taken


class _Loop:
    """Read, detect, align, embed, search: all of a frame in the thread that read it."""

    def __init__(self, job: Job, *, session_threads: int) -> None:
        self.taps = Taps(seconds=job.seconds)
        self._camera = self.taps.camera(AvCamera(AvConfig(url=job.video, loop=job.loop)))
        self._detector = self.taps.detector(OnnxDetector(OnnxDetectorConfig(), threads=session_threads))
        self._embedder = self.taps.embedder(OnnxEmbedder(OnnxEmbedderConfig(), threads=session_threads))
        self._index = self.taps.index(UsearchIndex(NoConfig()))
        nobody = np.empty((0, self._embedder.dimension), np.float32)
        self._index.replace(nobody, np.empty(0, np.int64), self._embedder.digest)
        self._quota = Quota(job.per_frame)
        self._reading, self._searching = threading.Lock(), threading.Lock()

    def run(self, kind: Kind, threads: int) -> Run:
        """Go through the clip with so many threads."""
        self._camera.open()
        try:
            with ThreadPoolExecutor(threads) as pool:
                for work in [pool.submit(self._work) for _ in range(threads)]:
                    work.result()
        finally:
            self._camera.close()
        watch = self.taps.watch
        return Run(
            kind=kind,
            frames=watch.calls("detect"),
            faces=watch.items("detect"),
            embedded=watch.items("embed"),
            seconds=watch.seconds(),
            stages_ms=watch.stages_ms(),
        )

    def _work(self) -> None:
        while (picture := self._next()) is not None:
            found = self._detector.detect(picture)
            crops = _cut(picture, found, self._embedder)
            templates = np.empty((self._quota.take(len(crops)), self._embedder.dimension), np.float32)
            for face in range(len(templates)):
                self._embedder.embed(crops[face : face + 1], templates[face : face + 1])
            if len(templates):
                with self._searching:
                    self._index.search(templates, CANDIDATES)

    def _next(self) -> Picture | None:
        with self._reading:
            try:
                reading = self._camera.read()
            except EndOfInput:
                return None
        return None if reading is None else reading.picture


def _cut(picture: Picture, found: Detections, embedder: TimedEmbedder) -> NDArray[np.uint8]:
    width, height = embedder.crop_size
    crops = np.empty((len(found), height, width, 3), np.uint8)
    for crop, affine in zip(crops, similarity_transforms(found.landmarks, embedder.landmark_template), strict=True):
        crop[:] = picture.patch(affine, embedder.crop_size)
    return crops


def run_bound(job: Job) -> Run:
    """Run as many threads as the kernel's compute lane has, each with sessions of one thread, and nothing else."""
    return _Loop(job, session_threads=1).run("bound", job.threads)


def run_sequential(job: Job) -> Run:
    """Run one call at a time, each inference in two threads."""
    return _Loop(job, session_threads=SEQUENTIAL_THREADS).run("sequential", 1)
