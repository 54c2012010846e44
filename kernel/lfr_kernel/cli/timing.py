"""How long a call of a model takes, on a picture made up for the purpose."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder

__all__ = ["Pattern", "detector_ms", "embedder_ms"]

WARM_UP, MEASURED = 2, 5
TILE = 64


class Pattern:
    """A picture of noise, of any size. See `lfr_kernel.messages.Picture`.

    It keeps each size that it was asked for, so that what is measured is the model and not the scaling.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """Make a picture of `size` (width, height) in px."""
        self.size = size
        self._tile = np.random.default_rng(0).integers(0, 256, (TILE, TILE, 3), np.uint8)
        self._scaled: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return it at `width` x `height` px; uint8 [height, width, 3]."""
        if (width, height) not in self._scaled:
            tiles = (-(-height // TILE), -(-width // TILE), 1)
            self._scaled[width, height] = np.tile(self._tile, tiles)[:height, :width]
        return self._scaled[width, height].copy()

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return a patch of it, wherever `affine` points; uint8 [size[1], size[0], 3]."""
        del affine
        return self.rgb(*size)


def detector_ms(detector: Detector, size: tuple[int, int]) -> float:
    """Return how long looking at a picture of `size` (width, height) takes: the median of a few calls, in ms."""
    picture = Pattern(size)
    return _median_ms(lambda: detector.detect(picture))


def embedder_ms(embedder: Embedder) -> float:
    """Return how long a call with one batch of crops takes: the median of a few, in ms."""
    crop = Pattern(embedder.crop_size).rgb(*embedder.crop_size)
    crops = np.repeat(crop[np.newaxis], embedder.batch_size, axis=0)
    out = np.zeros((embedder.batch_size, embedder.dimension), np.float32)
    return _median_ms(lambda: embedder.embed(crops, out))


def _median_ms(call: Callable[[], object]) -> float:
    for _ in range(WARM_UP):
        call()
    taken = []
    for _ in range(MEASURED):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return median(taken) * 1e3
