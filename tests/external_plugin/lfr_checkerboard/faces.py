"""A detector that finds a face in the middle of everything, and an embedder that looks at eight by eight squares."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from lfr_kernel.api import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_kernel.api import NoConfig, Picture

__all__ = ["Middle", "Thumbnail"]

CROP = 112
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""Where the landmarks lie in a crop: the five points of ArcFace (Deng et al., 2019)."""
CELLS = 8


class Middle:
    """See `lfr_kernel.api.Detector`. The face is a square of half the picture's height, in the middle."""

    def __init__(self, config: NoConfig) -> None:
        del config
        self.max_concurrency = 4
        self.digest = hashlib.sha256(b"middle").hexdigest()
        self.device = "cpu"

    def detect(self, picture: Picture) -> Detections:
        """Find the middle."""
        width, height = picture.size
        side = height / 2
        left, top = (width - side) / 2, (height - side) / 2
        return Detections(
            boxes=np.array([[left, top, left + side, top + side]], np.float32),
            landmarks=(TEMPLATE * side / CROP + (left, top)).astype(np.float32)[None],
            confidences=np.array([0.99], np.float32),
        )

    def smallest_face_px(self, width: int, height: int) -> float:
        """Return the width of the only face there is."""
        del width
        return height / 2

    def close(self) -> None:
        """Nothing is open."""


class Thumbnail:
    """See `lfr_kernel.api.Embedder`."""

    def __init__(self, config: NoConfig) -> None:
        del config
        self.max_concurrency = 4
        self.batch_size = 1
        self.digest = hashlib.sha256(b"thumbnail").hexdigest()
        self.device = "cpu"
        self.dimension = CELLS * CELLS
        self.crop_size = (CROP, CROP)
        self.landmark_template = TEMPLATE

    def embed(self, crops: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Write how light each of 8 x 8 squares is, compared with the whole."""
        side = CROP // CELLS
        cells = crops.reshape(len(crops), CELLS, side, CELLS, side, 3).mean(axis=(2, 4, 5)).reshape(len(crops), -1)
        cells -= cells.mean(axis=1, keepdims=True)
        cells[:, 0] += 1e-6  # an even grey has a template, too
        np.divide(cells, np.linalg.norm(cells, axis=1, keepdims=True), out=out)
        cells.fill(0)

    def close(self) -> None:
        """Nothing is open."""
