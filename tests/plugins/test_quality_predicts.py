"""Quality tells which faces will be recognised: photographs that were made worse, against another one of the person."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr

from lfr_kernel.api import Registry, embed_crops, face_qualities, similarity_transforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lfr_kernel.api import Detector, Embedder

pytestmark = pytest.mark.slow

PEOPLE = 130
SIMILAR = 0.5


class Still:
    """A picture in memory; see `lfr_kernel.api.Picture`."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.size = (pixels.shape[1], pixels.shape[0])
        self._pixels = pixels

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        return np.asarray(cv2.resize(self._pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        return np.asarray(cv2.warpAffine(self._pixels, affine, size, flags=cv2.INTER_LINEAR), np.uint8)


def smaller(pixels: NDArray[np.uint8], random: np.random.Generator) -> Any:
    share = random.uniform(0.1, 0.5)
    return cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def blurred(pixels: NDArray[np.uint8], random: np.random.Generator) -> Any:
    return cv2.GaussianBlur(pixels, (0, 0), random.uniform(1, 8))


def moved(pixels: NDArray[np.uint8], random: np.random.Generator) -> Any:
    length = int(random.integers(5, 25))
    trail = np.zeros((length, length), np.float32)
    trail[length // 2] = 1 / length
    return cv2.filter2D(pixels, -1, trail)


def darkened(pixels: NDArray[np.uint8], random: np.random.Generator) -> Any:
    return (pixels * random.uniform(0.03, 0.5) + random.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8)


def covered(pixels: NDArray[np.uint8], random: np.random.Generator) -> Any:
    masked = pixels.copy()
    masked[int(len(pixels) * random.uniform(0.5, 0.62)) :] = (200, 210, 215)
    return masked


WORSE = (smaller, blurred, moved, darkened, covered, lambda pixels, _: pixels)


@pytest.fixture(scope="module")
def models() -> Iterator[tuple[Detector, Embedder]]:
    registry = Registry.discover()
    detector, embedder = (registry.get(stage, "onnx") for stage in ("detector", "embedder"))
    made = detector.create(detector.config()), embedder.create(embedder.config())
    yield made
    for model in made:
        model.close()


def seen(pixels: NDArray[np.uint8], models: tuple[Detector, Embedder]) -> tuple[NDArray[np.float32], float] | None:
    """Return template and quality of the face in the middle; None without one."""
    detector, embedder = models
    picture = Still(pixels)
    found = detector.detect(picture)
    if not len(found):
        return None
    away = np.abs((found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - np.array(picture.size) / 2).sum(axis=1)
    one = slice(int(away.argmin()), int(away.argmin()) + 1)
    (affine,) = similarity_transforms(found.landmarks[one], embedder.landmark_template)
    crops = picture.patch(affine, embedder.crop_size)[None]
    quality = face_qualities(found.boxes[one], found.landmarks[one], found.confidences[one], crops).overall[0]
    return embed_crops(embedder, crops, mirrored=True)[0], float(quality)


def test_quality_tells_which_faces_will_be_recognised(
    models: tuple[Detector, Embedder], shared: Callable[[str], Path]
) -> None:
    with shared("faces/lfw-protocol.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    root, random = shared("faces/lfw"), np.random.default_rng(0)
    listed = {row["identity"]: row["path"] for row in rows if row["role"] == "watchlist"}
    passing = {row["identity"]: row["path"] for row in reversed(rows) if row["role"] == "mated"}
    pairs: list[tuple[float, float]] = []
    for number, person in enumerate(sorted(passing)[:PEOPLE]):
        pictures = [cv2.imread(str(root / path))[:, :, ::-1] for path in (listed[person], passing[person])]
        reference = seen(np.ascontiguousarray(pictures[0]), models)
        for worse in (WORSE[number % len(WORSE)], WORSE[(number + 3) % len(WORSE)]):
            made_worse = seen(np.ascontiguousarray(worse(np.ascontiguousarray(pictures[1]), random)), models)
            if reference is not None and made_worse is not None:
                pairs.append((float(reference[0] @ made_worse[0]), made_worse[1]))
    similarities, qualities = np.array(pairs).T
    assert len(pairs) > PEOPLE
    assert spearmanr(similarities, qualities).statistic > 0.5
    kept = qualities >= np.quantile(qualities, 0.3)
    assert (similarities[kept] < SIMILAR).mean() < 0.6 * (similarities < SIMILAR).mean()
