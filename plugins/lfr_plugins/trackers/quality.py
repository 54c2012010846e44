"""How good a face is for recognition, and whether it is worth embedding at all. Pure functions over N faces.

Each part lies in [0, 1] and is named for what it measures; `Qualities.overall` is their weighted geometric
mean, so that one bad part is not made up for by the others. Nothing here looks at who or what somebody is: exposure
is judged by what light is left in the picture, never by how light or dark a face is on average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_plugins.trackers.config import PassageConfig

__all__ = ["Gate", "Qualities", "exposure", "frontality", "gates", "qualities", "sharpness", "size_score"]

Gate = Literal["low_confidence", "too_small", "turned_away", "too_dark", "overexposed", "blurred"]

_SIZE_PX = 64.0
_YAW = 0.9
_ASPECT = 0.8
_PITCH, _PITCH_SPREAD = 0.52, 0.3
_SHARP = 0.1
_NOISE = 5.0
"""The variance of the Laplacian of white noise of half a grey value: its kernel multiplies variance by 20."""
_WEIGHTS = {"size": 0.35, "frontality": 0.35, "sharpness": 0.15, "confidence": 0.15}
_LOWEST = 0.01

_FACE = (slice(10, 50), slice(10, 46))
"""Rows and columns of a 56 x 56 crop that show skin rather than hair and background."""
_DARK, _GLARE, _MAX_GLARE = 24.0, 250, 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Qualities:
    """The N faces of one frame, measured; every array is float64 [N]."""

    width_px: NDArray[np.float64]
    """Of the box, px of the picture."""
    confidence: NDArray[np.float64]
    """The detector's, in [0, 1]."""
    size: NDArray[np.float64]
    frontality: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    highlight: NDArray[np.float64]
    """See `exposure`."""
    glare: NDArray[np.float64]

    @property
    def overall(self) -> NDArray[np.float64]:
        """The weighted geometric mean of size, frontality, sharpness and confidence, in [0.01, 1]."""
        parts = (getattr(self, name) for name in _WEIGHTS)
        logs = (weight * np.log(np.maximum(part, 1e-6)) for weight, part in zip(_WEIGHTS.values(), parts, strict=True))
        return np.asarray(np.clip(np.exp(sum(logs)), _LOWEST, 1.0), dtype=np.float64)


def size_score(width_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score a face's width in px [N] in [0, 1]: 32 px make 0.2, 64 px 0.6, 112 px, the usual crop, 0.95."""
    return np.asarray(1.0 - np.exp(-((np.maximum(width_px, 0.0) / _SIZE_PX) ** 2)), dtype=np.float64)


def frontality(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score in [0, 1] how far a face looks at the camera, from its five landmarks; in-plane rotation does not count.

    The product of three scores. Yaw: how far the nose tip lies from the middle between the eyes, along the line of
    the eyes, in half eye distances (0 frontal, 1 above an eye, more in profile). Foreshortening: the eye
    distance over the distance from eyes to mouth (0.87 in the template of ArcFace). Pitch: how far down from eyes
    to mouth the nose tip lies (0.5 in that template).

    Args:
        landmarks: float32 [N, 5, 2] in px: the eye at the image's left, the other, nose tip, mouth corners.
    """
    points = np.asarray(landmarks, dtype=np.float64).reshape(-1, 5, 2)
    across = points[:, 1] - points[:, 0]
    eyes = np.maximum(np.hypot(across[:, 0], across[:, 1]), 1e-3)
    across = across / eyes[:, None]
    down = np.column_stack((-across[:, 1], across[:, 0]))
    middle = (points[:, 0] + points[:, 1]) / 2
    nose = points[:, 2] - middle
    mouth = (points[:, 3] + points[:, 4]) / 2 - middle
    length = np.maximum(np.hypot(mouth[:, 0], mouth[:, 1]), 1e-3)
    drop = (mouth * down).sum(axis=1)
    drop = np.where(np.abs(drop) < 1e-3, 1e-3, drop)  # noqa: PLR2004  (a thousandth of a px: no mouth below the eyes)
    yaw = np.exp(-((2 * np.abs((nose * across).sum(axis=1)) / eyes / _YAW) ** 2))
    foreshortening = np.clip(eyes / length / _ASPECT, 0.0, 1.0)
    pitch = np.exp(-((((nose * down).sum(axis=1) / drop - _PITCH) / _PITCH_SPREAD) ** 2))
    return np.asarray(yaw * foreshortening * pitch, dtype=np.float64)


def sharpness(greys: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Score in [0, 1) how sharp the middle of each face is, whatever its contrast.

    The variance of the Laplacian (Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, 2000) over
    the variance of the grey values themselves; what sensor noise and rounding can explain does not count.

    Args:
        greys: uint8 [N, 56, 56], aligned crops.
    """
    scores = np.zeros(len(greys))
    for number, grey in enumerate(greys):
        face = grey[_FACE]
        laplacian = cv2.Laplacian(face, cv2.CV_16S, ksize=1)
        edges = float(cv2.meanStdDev(laplacian)[1][0, 0]) ** 2
        laplacian.fill(0)
        contrast = float(cv2.meanStdDev(face)[1][0, 0]) ** 2
        ratio = max(edges - _NOISE, 0.0) / (contrast + _NOISE)
        scores[number] = ratio / (ratio + _SHARP)
    return scores


def exposure(greys: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what light is left in the middle of each face, uint8 [N, 56, 56].

    Returns:
        The grey value that 5 % of the pixels exceed, in [0, 255], [N]: a face of any skin has highlights there unless
        it is in the dark. And the share of pixels that are burnt out, in [0, 1], [N].
    """
    if not len(greys):
        return np.zeros(0), np.zeros(0)
    pixels = greys[:, _FACE[0], _FACE[1]].copy().reshape(len(greys), -1)
    rank = int(0.95 * pixels.shape[1])
    pixels.partition(rank, axis=1)
    highlight, glare = pixels[:, rank].astype(np.float64), (pixels >= _GLARE).mean(axis=1)
    pixels.fill(0)
    return highlight, glare


def qualities(
    boxes: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    confidences: NDArray[np.float32],
    crops: NDArray[np.uint8],
) -> Qualities:
    """Measure N faces.

    Args:
        boxes: float32 [N, 4], xyxy in px of the picture.
        landmarks: float32 [N, 5, 2], px of the picture.
        confidences: float32 [N].
        crops: uint8 [N, H, W, 3] RGB, aligned; not kept.
    """
    greys = _greys(crops)
    width = np.asarray(boxes[:, 2] - boxes[:, 0], dtype=np.float64)
    highlight, glare = exposure(greys)
    sharp = sharpness(greys)
    greys.fill(0)
    return Qualities(
        width_px=width,
        confidence=np.clip(np.asarray(confidences, dtype=np.float64), 0.0, 1.0),
        size=size_score(width),
        frontality=frontality(landmarks),
        sharpness=sharp,
        highlight=highlight,
        glare=glare,
    )


def gates(measured: Qualities, config: PassageConfig) -> list[Gate | None]:
    """Return for each face why it is not worth embedding, the plainest reason first, or None when it is."""
    found: list[Gate | None] = [None] * len(measured.width_px)
    closed: tuple[tuple[Gate, NDArray[np.bool_]], ...] = (
        ("blurred", measured.sharpness < config.min_sharpness),
        ("overexposed", measured.glare > _MAX_GLARE),
        ("too_dark", measured.highlight < _DARK),
        ("turned_away", measured.frontality < config.min_frontality),
        ("too_small", measured.width_px < config.min_face_px),
        ("low_confidence", measured.confidence < config.min_confidence),
    )
    for reason, which in closed:
        for number in np.flatnonzero(which):
            found[number] = reason
    return found


def _greys(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return crops, uint8 [N, H, W, 3] RGB, as grey values of one small size, uint8 [N, 56, 56].

    A crop of a small face was enlarged; at half the usual size it is judged at about its own resolution.
    """
    greys = np.zeros((len(crops), 56, 56), dtype=np.uint8)
    for number, crop in enumerate(crops):
        small = cv2.resize(crop, (56, 56), interpolation=cv2.INTER_AREA)
        cv2.cvtColor(small, cv2.COLOR_RGB2GRAY, dst=greys[number])
        small.fill(0)
    return greys
