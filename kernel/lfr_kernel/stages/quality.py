"""The mathematics of a face's quality: how good it is for recognition, part by part. Pure numpy, over N faces.

Each part lies in [0, 1] and is named for what it measures; `FaceQualities.overall` is their weighted geometric
mean, so that one bad part is not made up for by the others. Trackers use it to choose and weigh the faces of a passage,
enrolment to refuse photographs, evaluations to report both. Nothing here looks at who or what somebody is: exposure is
judged by what light is left in the picture, never by how light or dark a face is on average, and an occlusion is a
reason to weigh a face less, never a reason for anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, get_args

import numpy as np
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "GATES",
    "EnrolmentGates",
    "FaceQualities",
    "Gate",
    "Gates",
    "explained",
    "exposure",
    "eyes_px",
    "face_qualities",
    "frontality",
    "gated",
    "occlusion",
    "seen_conditions",
    "sharpness",
    "size_score",
]

Gate = Literal["low_confidence", "too_small", "turned_away", "too_dark", "overexposed", "blurred", "occluded"]
GATES: tuple[str, ...] = get_args(Gate)
"""Why a face is not used, the plainest reason first."""

_SIDE = 56
"""Faces are judged at this size, about half that of the usual crop: a crop of a small face was enlarged."""
_FACE = (slice(10, 50), slice(10, 46))
"""Rows and columns of such a crop that show skin rather than hair and background."""
_EYES = ((slice(21, 31), slice(12, 26)), (slice(21, 31), slice(30, 44)))
_MOUTH = (slice(41, 51), slice(19, 37))
_LUMA = (np.float32(0.299), np.float32(0.587), np.float32(0.114))
"""Of red, green and blue; ITU-R BT.601."""

_TEMPLATE = np.array(
    [38.2946 + 51.6963j, 73.5318 + 51.5014j, 56.0252 + 71.7366j, 41.5493 + 92.3655j, 70.7299 + 92.2041j]
)
"""The five landmarks of a frontal face as ArcFace has them, x + iy; only its proportions count here."""
_SIZE_PX = 28.0
_YAW = 0.9
_ASPECT = 0.8
_PITCH, _PITCH_SPREAD = 0.52, 0.3
_SHARP = 0.06
_NOISE = 1.5
"""The variance of second differences of white noise of half a grey value: they multiply variance by 6."""
_OPEN = 0.8
"""Detail of the barer of eyes and mouth over that of the whole face: 19 of 20 uncovered faces of LFW lie above."""
_FAINT = 2.0
_DARK, _LIT = 24.0, 96.0
_GLARE, _MAX_GLARE = 250.0, 0.4
_LOWEST = 0.01
_WEIGHTS = {"size": 0.15, "frontality": 0.15, "sharpness": 0.3, "exposed": 0.05, "openness": 0.15, "confidence": 0.2}
"""By what each part told of similarity to another photograph of the same person, on 583 photographs of LFW that were
made smaller, blurred, moved, darkened or covered: rank correlation 0.67, by a script that was not kept. What holds the
weights to it is `tests/plugins/test_quality_predicts.py`: 0.72, on 130 people who may be among those."""


class Gates(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a face must have to be used. The defaults are those for faces that pass a camera."""

    min_confidence: Annotated[
        float, Meta(ge=0.0, le=1.0, description="faces detected with less confidence are not used")
    ] = 0.6
    min_face_px: Annotated[
        float, Meta(ge=8.0, le=1000.0, description="faces narrower than this, in px of the picture, are not used")
    ] = 32.0
    min_frontality: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="faces turned further away are not used; 1 is frontal, 0.15 nearly side on; "
            "those that are used count the less in their passage's pool, the further they are turned",
        ),
    ] = 0.02
    min_sharpness: Annotated[
        float, Meta(ge=0.0, le=1.0, description="faces more blurred than this are not used; 0.6 is an everyday face")
    ] = 0.15
    min_openness: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1.0,
            description="faces whose eyes or mouth show less detail than this are not used; 1 is uncovered, 0.6 dark "
            "glasses, 0.1 a mask. A hint, and a reason for nothing else",
        ),
    ] = 0.0


class EnrolmentGates(Gates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a photograph must have to be listed: one bad one may resemble everybody."""

    min_confidence: Annotated[
        float, Meta(ge=0.0, le=1.0, description="photographs whose face is detected with less confidence are refused")
    ] = 0.8
    min_face_px: Annotated[
        float, Meta(ge=8.0, le=1000.0, description="photographs whose face is narrower than this in px are refused")
    ] = 48.0
    min_frontality: Annotated[
        float, Meta(ge=0.0, le=1.0, description="photographs of faces turned further away are refused")
    ] = 0.1
    min_sharpness: Annotated[
        float, Meta(ge=0.0, le=1.0, description="photographs more blurred than this are refused")
    ] = 0.2
    min_openness: Annotated[
        float, Meta(ge=0.0, le=1.0, description="photographs of faces more covered than this (masks) are refused")
    ] = 0.4


class FaceQualities(Struct, frozen=True, kw_only=True, eq=False):
    """N faces, measured; every array is float64 [N]."""

    width_px: NDArray[np.float64]
    """Of the box, px of the picture."""
    eyes_px: NDArray[np.float64]
    """From eye to eye, px of the picture, had the face looked straight at the camera: from the scale at which all
    five landmarks fit the template best, so that a turned head does not count as a small one."""
    confidence: NDArray[np.float64]
    """The detector's, in [0, 1]."""
    size: NDArray[np.float64]
    frontality: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    exposed: NDArray[np.float64]
    openness: NDArray[np.float64]
    """See `occlusion`."""
    highlight: NDArray[np.float64]
    """See `exposure`."""
    glare: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.width_px)

    @property
    def conditions(self) -> NDArray[np.float64]:
        """What `seen_conditions` measures, float64 [N, 3]."""
        return np.column_stack((self.width_px, self.highlight, self.sharpness))

    @property
    def overall(self) -> NDArray[np.float64]:
        """The weighted geometric mean of the parts, in [0.01, 1]."""
        logs = sum(
            weight * np.log(np.maximum(getattr(self, name), 1e-6), dtype=np.float64)
            for name, weight in _WEIGHTS.items()
        )
        return np.asarray(np.clip(np.exp(logs), _LOWEST, 1.0), dtype=np.float64)

    def parts(self, face: int) -> dict[str, float]:
        """Return the parts of one face by name, for reports."""
        return {name: round(float(getattr(self, name)[face]), 4) for name in ("eyes_px", *_WEIGHTS)}


def eyes_px(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance between the eyes, px [N], that a face of this size has when it looks at the camera.

    It is that of the template, times the scale of the least-squares similarity between the template and all five
    landmarks (see `lfr_kernel.stages.alignment`), so that a turned head does not count as a small one. Landmarks that
    are all in one place make 0.

    Args:
        landmarks: float32 [N, 5, 2] in px.
    """
    points = np.asarray(landmarks, dtype=np.float64).reshape(-1, 5, 2)
    z, w = points[..., 0] + 1j * points[..., 1], _TEMPLATE - _TEMPLATE.mean()
    z = z - z.mean(axis=1, keepdims=True)
    spread = np.square(np.abs(z)).sum(axis=1)
    return np.asarray(abs(w[1] - w[0]) * spread / np.maximum(np.abs(z.conj() @ w), 1e-9), dtype=np.float64)


def size_score(eyes_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score the distance between the eyes, px [N], in [0, 1]: 14 px make 0.22, 28 px 0.63, 49 px 0.95."""
    return np.asarray(1.0 - np.exp(-((np.maximum(eyes_px, 0.0) / _SIZE_PX) ** 2)), dtype=np.float64)


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


def sharpness(greys: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score in [0, 1) how sharp the middle of each face is, whatever its contrast, the way that it is least so.

    The variance of the second differences over the variance of the grey values themselves: that of the Laplacian
    (Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, 2000), taken apart into across and down, since
    a face that moves is blurred one way only. What sensor noise and rounding can explain does not count.

    Args:
        greys: float32 [N, 56, 56], aligned crops, grey values from 0 to 255.
    """
    face = greys[:, _FACE[0], _FACE[1]]
    doubled = 2 * face
    across = face[:, :, :-2] + face[:, :, 2:]
    across -= doubled[:, :, 1:-1]
    down = face[:, :-2] + face[:, 2:]
    down -= doubled[:, 1:-1]
    doubled.fill(0)
    edges = np.minimum(across.var(axis=(1, 2), dtype=np.float64), down.var(axis=(1, 2), dtype=np.float64))
    across.fill(0)
    down.fill(0)
    ratio = 2 * np.maximum(edges - _NOISE, 0.0) / (face.var(axis=(1, 2), dtype=np.float64) + _NOISE)
    return np.asarray(ratio / (ratio + _SHARP), dtype=np.float64)


def exposure(greys: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what light is left in the middle of each face, float32 [N, 56, 56].

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


def occlusion(greys: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how open each face is, [N] in [0, 1]: a hint, from 1 for uncovered to near 0 for a mask over the mouth.

    Eyes and mouth are the places of a face with the most edges across. The mean vertical gradient at the barer of
    eyes and mouth, over that of the whole face, is low where something smooth lies over it. Measured on LFW with drawn
    masks and dark glasses it ranks a covered face below an uncovered one in over 99 of 100 pairs; a beard, a printed
    mask or a hand it may not see.

    Args:
        greys: float32 [N, 56, 56], aligned crops.
    """
    steps = np.zeros_like(greys)
    inner = steps[:, 1:-1]
    np.abs(np.subtract(greys[:, 2:], greys[:, :-2], out=inner), out=inner)
    regions = [steps[:, rows, columns].mean(axis=(1, 2)) for rows, columns in (*_EYES, _MOUTH)]
    face = steps[:, _FACE[0], _FACE[1]].mean(axis=(1, 2))
    steps.fill(0)
    return np.asarray(np.clip(np.min(regions, axis=0) / (face + _FAINT) / _OPEN, 0.0, 1.0), dtype=np.float64)


def face_qualities(
    boxes: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    confidences: NDArray[np.float32],
    crops: NDArray[np.uint8],
) -> FaceQualities:
    """Measure N faces.

    Args:
        boxes: float32 [N, 4], xyxy in px of the picture.
        landmarks: float32 [N, 5, 2], px of the picture.
        confidences: float32 [N].
        crops: uint8 [N, H, W, 3] RGB, aligned; not kept.
    """
    greys = _greys(crops)
    eyes = eyes_px(landmarks)
    highlight, glare = exposure(greys)
    measured = FaceQualities(
        width_px=np.asarray(boxes[:, 2] - boxes[:, 0], dtype=np.float64),
        eyes_px=eyes,
        confidence=np.clip(np.asarray(confidences, dtype=np.float64), 0.0, 1.0),
        size=size_score(eyes),
        frontality=frontality(landmarks),
        sharpness=sharpness(greys),
        exposed=np.clip((highlight - _DARK) / (_LIT - _DARK), 0.0, 1.0) * (1.0 - np.clip(glare, 0.0, 1.0)),
        openness=occlusion(greys),
        highlight=highlight,
        glare=glare,
    )
    greys.fill(0)
    return measured


def seen_conditions(boxes: NDArray[np.float32], crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure of N faces what `lfr_kernel.governance.conditions` compares, float64 [N, 3]: width, highlight, sharpness.

    They are those of `face_qualities`, to the bit; this is for when there is no need of the others.

    Args:
        boxes: float32 [N, 4], xyxy in px of the picture.
        crops: uint8 [N, H, W, 3] RGB, aligned; not kept.
    """
    greys = _greys(crops)
    measured = np.column_stack(((boxes[:, 2] - boxes[:, 0]).astype(np.float64), exposure(greys)[0], sharpness(greys)))
    greys.fill(0)
    return measured


def gated(measured: FaceQualities, gates: Gates) -> list[Gate | None]:
    """Return for each face why it is not used, the plainest reason first, or None when it is."""
    found: list[Gate | None] = [None] * len(measured)
    closed: dict[Gate, NDArray[np.bool_]] = {
        "low_confidence": measured.confidence < gates.min_confidence,
        "too_small": measured.width_px < gates.min_face_px,
        "turned_away": measured.frontality < gates.min_frontality,
        "too_dark": measured.highlight < _DARK,
        "overexposed": measured.glare > _MAX_GLARE,
        "blurred": measured.sharpness < gates.min_sharpness,
        "occluded": measured.openness < gates.min_openness,
    }
    for reason in reversed(closed):
        for number in np.flatnonzero(closed[reason]):
            found[number] = reason
    return found


_EXPLAINED: dict[Gate, tuple[str, str, str]] = {
    "low_confidence": ("confidence", "min_confidence", "the detector's confidence is {value:.2f}"),
    "too_small": ("width_px", "min_face_px", "the face is {value:.0f} px wide"),
    "turned_away": ("frontality", "min_frontality", "its frontality is {value:.2f}"),
    "blurred": ("sharpness", "min_sharpness", "its sharpness is {value:.2f}"),
    "occluded": ("openness", "min_openness", "eyes or mouth seem covered, openness {value:.2f}"),
}


def explained(gate: Gate, measured: FaceQualities, face: int, gates: Gates) -> str:
    """Return in words why a face did not pass: what was measured, what was asked for, and by which setting."""
    if gate == "too_dark":
        return f"its highlights reach {measured.highlight[face]:.0f} of 255, expected {_DARK:.0f} or more"
    if gate == "overexposed":
        return f"{100 * measured.glare[face]:.0f} % of it is burnt out, expected {100 * _MAX_GLARE:.0f} % or less"
    part, setting, text = _EXPLAINED[gate]
    value, least = float(getattr(measured, part)[face]), getattr(gates, setting)
    return f"{text.format(value=value)}, expected {least:g} or more ({setting})"


def _greys(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return crops, uint8 [N, H, W, 3] RGB, as grey values of one small size, float32 [N, 56, 56], by block means."""
    count, height, width = crops.shape[:3]
    if height == width == 2 * _SIDE:
        # The usual crop, in few passes over memory: pairs of rows, then pairs of columns.
        rows = crops.reshape(count, _SIDE, 2, 3 * width)
        pairs = np.add(rows[:, :, 0], rows[:, :, 1], dtype=np.uint16)
        blocks = pairs.reshape(count, _SIDE, _SIDE, 2, 3)
        sums = blocks[..., 0, :] + blocks[..., 1, :]
        areas: NDArray[np.float32] = np.array(4, np.float32)
        pairs.fill(0)
    elif min(height, width) < _SIDE:
        # Smaller than what faces are judged at: each px stands for several.
        picked = crops[:, _edges(height)[:, np.newaxis], _edges(width)]
        sums = picked.astype(np.uint16)
        picked.fill(0)
        areas = np.array(1, np.float32)
    else:
        across, down = _edges(width), _edges(height)
        strips = np.add.reduceat(crops, down, axis=1, dtype=np.uint32)
        sums = np.add.reduceat(strips, across, axis=2)
        strips.fill(0)
        areas = np.multiply.outer(np.diff(down, append=height), np.diff(across, append=width)).astype(np.float32)
    greys: NDArray[np.float32] = np.multiply(sums[..., 0], _LUMA[0], dtype=np.float32)
    weighed = np.empty_like(greys)
    for channel in (1, 2):
        greys += np.multiply(sums[..., channel], _LUMA[channel], out=weighed)
    greys /= areas
    for used in (sums, weighed):
        used.fill(0)
    return greys


def _edges(length: int) -> NDArray[np.intp]:
    """Return where each of 56 blocks of a line of `length` px begins."""
    return np.arange(_SIDE) * length // _SIDE
