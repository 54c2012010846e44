"""The built-in detector: RetinaFace with a MobileNet 0.25 backbone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lfr_kernel.api import Detections
from lfr_plugins.detectors.anchors import SMALLEST_PRIOR_PX, decode, nms, priors
from lfr_plugins.detectors.canvas import canvases, place
from lfr_plugins.models import load_card, load_session, overlapping_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lfr_kernel.api import Picture
    from lfr_plugins.detectors.canvas import Placement
    from lfr_plugins.detectors.config import RetinaFaceConfig

__all__ = ["RetinaFace", "fill_input"]

MODEL = "retinaface_mnet025"
NMS_OVERLAP = 0.4


class _Buffers(threading.local):
    """The input buffers of one thread, one a canvas."""

    def __init__(self) -> None:
        self._by_canvas: dict[tuple[int, int], NDArray[np.float32]] = {}

    def of(self, canvas: tuple[int, int]) -> NDArray[np.float32]:
        """Return the buffer for a canvas (width, height), float32 [1, 3, height, width]."""
        if canvas not in self._by_canvas:
            self._by_canvas[canvas] = np.zeros((1, 3, canvas[1], canvas[0]), np.float32)
        return self._by_canvas[canvas]


class RetinaFace:
    """Finds faces and five landmarks; the contract is `lfr_kernel.api.Detector`.

    Calls may overlap: they share one session, usually with one thread a run, and the priors, which are read only. Input
    buffers belong to the thread that runs the call and are overwritten by its next picture.

    Args:
        config: see `RetinaFaceConfig`.
        threads: within one run of the session; see `load_session`.
    """

    max_concurrency: int
    digest: str

    def __init__(self, config: RetinaFaceConfig, *, threads: int = 1) -> None:
        card = load_card(MODEL)
        self._session = load_session(MODEL, threads=threads)
        self._config = config
        self._mean = card.pixels.mean
        self._canvases = canvases(config.longest_side)
        self._priors = {(width, height): priors(height, width) for width, height in self._canvases}
        self._buffers = _Buffers()
        self.max_concurrency = overlapping_runs(self._session)
        self.digest = card.sha256

    def detect(self, picture: Picture) -> Detections:
        """Find the faces of one picture, strongest first, possibly none."""
        placement = place(picture.size, self._canvases)
        tensor = self._buffers.of(placement.canvas)
        fill_input(tensor, picture.rgb(*placement.size), self._mean)
        outputs = self._session.run(("loc", "conf", "landmarks"), {"input": tensor})
        return self._faces(outputs, placement, picture.size)

    def smallest_face_px(self, width: int, height: int) -> float:
        """Return the width in px of the smallest face it can find in a picture of `width` x `height` px."""
        return SMALLEST_PRIOR_PX / place((width, height), self._canvases).scale

    def close(self) -> None:
        """Let go of the input buffers; the session goes with the instance."""
        self._buffers = _Buffers()

    def _faces(
        self, outputs: Sequence[NDArray[np.float32]], placement: Placement, source: tuple[int, int]
    ) -> Detections:
        offsets, confidences, landmarks = outputs[0][0], outputs[1][0, :, 1], outputs[2][0]
        anchors = self._priors[placement.canvas]
        likely = np.flatnonzero(confidences >= self._config.confidence)
        scores = confidences[likely]
        boxes, points = decode(offsets[likely], landmarks[likely], anchors[likely])
        kept = nms(boxes, scores, NMS_OVERLAP, self._config.max_faces)
        # Width and height were rounded to whole px each on its own.
        ratio = np.array([source[0] / placement.size[0], source[1] / placement.size[1]], np.float32)
        corners = np.clip(boxes[kept].reshape(-1, 2, 2) * ratio, 0, np.array(source, np.float32))
        inside = (corners[:, 1] > corners[:, 0]).all(axis=1)
        return Detections(
            boxes=corners[inside].reshape(-1, 4),
            # Scaling keeps the edges of a picture in place, so the centres of its pixels, which have whole numbers
            # as coordinates, move by half a pixel.
            landmarks=(points[kept][inside] + np.float32(0.5)) * ratio - np.float32(0.5),
            confidences=scores[kept][inside],
        )


def fill_input(tensor: NDArray[np.float32], rgb: NDArray[np.uint8], mean: tuple[float, float, float]) -> None:
    """Write a picture into the upper left corner of a canvas; the rest becomes zero, which stands for the mean colour.

    Args:
        tensor: float32 [1, 3, H, W], overwritten: BGR minus `mean`.
        rgb: uint8 [h, w, 3] with h <= H and w <= W.
        mean: of blue, green and red, for values from 0 to 255.
    """
    height, width = rgb.shape[:2]
    tensor[0, :, height:, :] = 0
    tensor[0, :, :height, width:] = 0
    for plane, value, channel in zip(tensor[0], mean, reversed(cv2.split(rgb)), strict=True):
        # OpenCV's annotations leave out that a number may be subtracted. Numpy would take half as long again.
        cv2.subtract(channel, value, dst=plane[:height, :width], dtype=cv2.CV_32F)  # type: ignore[call-overload]
