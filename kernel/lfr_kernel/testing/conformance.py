"""Does a plugin keep its contract? One function a stage; each raises AssertionError: what was expected, what came.

    def test_my_detector() -> None:
        check_detector(lambda: MyDetector(MyConfig()), picture_with_faces, empty_picture)

They say nothing about how good a plugin is, only whether the hosts can rely on it. `create` makes a fresh instance each
time; what it makes is closed.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from lfr_kernel.stages.camera import EndOfInput, Pace, Reading
from lfr_kernel.stages.detector import Detections
from lfr_kernel.stages.retention import RecordClass
from lfr_kernel.testing._check_anchors import check_anchors
from lfr_kernel.testing._check_index import check_index
from lfr_kernel.testing._check_sink import check_sink
from lfr_kernel.testing._check_tracker import check_tracker
from lfr_kernel.testing._expect import (
    expect,
    expect_array,
    expect_close_twice,
    expect_concurrency,
    expect_device,
    expect_digest,
    overlap,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lfr_kernel.messages import Picture
    from lfr_kernel.stages.camera import Camera
    from lfr_kernel.stages.detector import Detector
    from lfr_kernel.stages.embedder import Embedder
    from lfr_kernel.stages.retention import Retention

__all__ = [
    "check_anchors",
    "check_camera",
    "check_detector",
    "check_embedder",
    "check_index",
    "check_picture",
    "check_retention",
    "check_sink",
    "check_tracker",
]

LENGTH_TOLERANCE = 1e-3
SAME_FACE = 0.999
THREADS = 4


def check_camera(create: Callable[[], Camera], *, readings: int = 8) -> None:
    """Check a camera that works: open it, read, close it, and do that again.

    Args:
        create: makes the camera; a file should have at least one picture.
        readings: how many pictures to read at most.
    """
    expect_close_twice(create())
    for time in ("the first", "a second"):
        camera = create()
        expect(camera.pace in get_args(Pace), f"pace must be one of {get_args(Pace)}, got {camera.pace!r}")
        camera.open()
        pictures = _read(camera, readings)
        expect(pictures, f"{time} instance was opened and read, and gave no picture")
        check_picture(pictures[0])
        check_picture(pictures[-1])
        expect_close_twice(camera)


def _read(camera: Camera, most: int) -> list[Picture]:
    pictures: list[Picture] = []
    for _ in range(100 * most):
        try:
            reading = camera.read()
        except EndOfInput:
            expect(camera.pace != "live", "a live camera has no end: EndOfInput is for files")
            break
        if reading is None:
            continue
        expect(isinstance(reading, Reading), f"read must return a Reading or None, got {type(reading).__name__}")
        expect(
            isinstance(reading.position_ns, int),
            f"position_ns must be a whole number of ns, got {reading.position_ns!r}",
        )
        pictures.append(reading.picture)
        if len(pictures) == most:
            break
    return pictures


def check_picture(picture: Picture) -> None:
    """Check what a camera made of a frame: sizes, patches, and that threads may use it at the same time."""
    width, height = picture.size
    expect(
        isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0,
        f"size must be (width, height) in whole px, got {picture.size!r}",
    )
    small = (max(1, width // 2), max(1, height // 3))
    scaled = picture.rgb(*small)
    expect_array("rgb(width, height)", scaled, np.uint8, (small[1], small[0], 3))
    before = scaled.copy()
    scaled.fill(0)
    expect(np.array_equal(picture.rgb(*small), before), "rgb must return an array of its own each time")
    identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    side = min(16, width, height)
    patch = picture.patch(identity, (side, 2 * side))
    expect_array("patch(affine, (width, height))", patch, np.uint8, (2 * side, side, 3))
    before = patch.copy()
    expect(patch.flags.writeable, "a patch must be writeable: whoever asked for it overwrites it later")
    patch.fill(0)
    expect(np.array_equal(picture.patch(identity, (side, 2 * side)), before), "every patch must be an array of its own")
    whole, corner = picture.rgb(width, height), before[:side].astype(int)
    expect(
        np.abs(whole[:side, :side].astype(int) - corner).mean() <= 2,  # noqa: PLR2004  (grey values of rounding)
        "a patch with the identity must show the picture's left upper corner, as rgb does",
    )
    outside = picture.patch(identity + np.array([[0, 0, 3.0 * width], [0, 0, 0]]), (side, side))
    expect(not outside.any(), "what lies outside of the picture must be black in a patch")
    for one in overlap([lambda: picture.rgb(*small)] * THREADS):
        expect(np.array_equal(one, picture.rgb(*small)), "a picture must be thread-safe: overlapping calls disagree")


def check_detector(create: Callable[[], Detector], picture_with_faces: Picture, empty_picture: Picture) -> None:
    """Check a detector.

    Args:
        create: makes the detector.
        picture_with_faces: at least one upright face.
        empty_picture: nobody.
    """
    detector = create()
    expect_digest(detector.digest)
    expect_device(getattr(detector, "device", None))
    most = expect_concurrency(detector)
    found = detector.detect(picture_with_faces)
    _check_detections(found, picture_with_faces.size)
    expect(len(found), "found nobody in the picture with faces")
    eyes = found.landmarks[0, :2, 0]
    expect(eyes[0] < eyes[1], f"landmarks must begin with the eye at the image's left, got eyes at x = {eyes.tolist()}")
    kept = [array.copy() for array in (found.boxes, found.landmarks, found.confidences)]
    nobody = detector.detect(empty_picture)
    _check_detections(nobody, empty_picture.size)
    expect(not len(nobody), f"found {len(nobody)} faces in the picture without any")
    for before, now in zip(kept, (found.boxes, found.landmarks, found.confidences), strict=True):
        expect(np.array_equal(before, now), "a later call changed the result of an earlier one: return fresh arrays")
    calls = [lambda: detector.detect(picture_with_faces), lambda: detector.detect(empty_picture)] * most
    for number, one in enumerate(overlap(calls[:most])):
        expected = len(nobody) if number % 2 else len(found)
        expect(
            len(one) == expected, f"of {most} overlapping calls one found {len(one)} faces; alone it found {expected}"
        )
        if not number % 2:
            near = np.allclose(one.boxes, kept[0], atol=0.5) and np.allclose(one.landmarks, kept[1], atol=0.5)
            expect(near, f"of {most} overlapping calls one put faces elsewhere than alone")
    _check_smallest_face(detector)
    expect_close_twice(detector)


def _check_detections(found: Detections, size: tuple[int, int]) -> None:
    expect(isinstance(found, Detections), f"detect must return Detections, got {type(found).__name__}")
    count = len(found.boxes)
    expect_array("boxes", found.boxes, np.float32, (count, 4))
    expect_array("landmarks", found.landmarks, np.float32, (count, 5, 2))
    expect_array("confidences", found.confidences, np.float32, (count,))
    for name in ("boxes", "landmarks", "confidences"):
        expect(np.isfinite(getattr(found, name)).all(), f"{name} must be finite")
    corners = found.boxes.reshape(-1, 2, 2)
    expect((corners[:, 1] > corners[:, 0]).all(), "boxes must be xyxy: right beyond left, bottom below top")
    middles = corners.mean(axis=1)
    inside = (middles >= 0).all() and (middles <= np.array(size)).all()
    expect(inside, f"boxes must be in px of the source picture, {size[0]} x {size[1]}; one has its middle outside")
    away = np.abs(found.landmarks.mean(axis=1) - middles) > (corners[:, 1] - corners[:, 0])
    expect(not away.any(), "landmarks must be (x, y) in px of the source picture; some are far from their box")
    expect(
        ((found.confidences >= 0) & (found.confidences <= 1)).all(),
        f"confidences must be in [0, 1], got {found.confidences.min(initial=1)} to {found.confidences.max(initial=0)}",
    )
    expect((np.diff(found.confidences) <= 0).all(), "the strongest detection must come first, and so on down")


def _check_smallest_face(detector: Detector) -> None:
    small, large = detector.smallest_face_px(640, 360), detector.smallest_face_px(3840, 2160)
    for size in (small, large):
        expect(math.isfinite(size) and size > 0, f"smallest_face_px must be a positive number of px, got {size!r}")
    expect(large >= small, f"smallest_face_px must not fall with the picture's size, got {small} then {large}")


def check_embedder(create: Callable[[], Embedder]) -> None:
    """Check an embedder, on noise: it is not asked to recognise anybody."""
    embedder = create()
    expect_digest(embedder.digest)
    expect_device(getattr(embedder, "device", None))
    most = expect_concurrency(embedder)
    _check_geometry(embedder)
    size, dimension = embedder.batch_size, embedder.dimension
    first, second = (_noise(embedder, seed) for seed in (1, 2))
    out = np.full((size + 2, dimension), np.nan, np.float32)
    before = first.copy()
    returned: Any = embedder.embed(first, out[1:-1])  # type: ignore[func-returns-value]
    expect(returned is None, f"embed must write into out and return None, got {type(returned).__name__}")
    expect(np.isnan(out[[0, -1]]).all(), "embed wrote outside of out")
    expect(np.isfinite(out[1:-1]).all(), "embed must write every number of out, in place, and finite ones")
    expect(np.array_equal(first, before), "embed must leave the crops as they are")
    lengths = np.linalg.norm(out[1:-1], axis=1)
    expect(
        (np.abs(lengths - 1) <= LENGTH_TOLERANCE).all(),
        f"templates must be L2-normalised, got length {lengths.max():.4g}",
    )
    alone = out[1:-1].copy()
    expect(_agree(_embed(embedder, first), alone), "the same crops must give the same templates")
    other = _embed(embedder, second)
    expect(not _agree(other, alone), "different crops gave the same templates")
    if size > 1:
        shifted = _embed(embedder, np.roll(first, 1, axis=0))
        expect(_agree(np.roll(shifted, -1, axis=0), alone), "a template must not depend on its place in the batch")
    calls = [partial(_embed, embedder, crops) for crops in [first, second] * most]
    for number, templates in enumerate(overlap(calls[:most])):
        is_same = _agree(templates, other if number % 2 else alone)
        expect(is_same, f"{most} overlapping calls, as declared, give other templates than one alone")
    expect_close_twice(embedder)


def _check_geometry(embedder: Embedder) -> None:
    for name in ("batch_size", "dimension"):
        number = getattr(embedder, name)
        expect(isinstance(number, int) and number >= 1, f"{name} must be a whole number from 1, got {number!r}")
    width, height = embedder.crop_size
    expect(
        isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0,
        f"crop_size must be (width, height) in whole px, got {embedder.crop_size!r}",
    )
    expect_array("landmark_template", embedder.landmark_template, np.float64, (5, 2))
    template = embedder.landmark_template
    inside = (template >= 0).all() and (template <= (width, height)).all()
    expect(inside, f"landmark_template must be in px of a crop of {width} x {height}, got {template.tolist()}")
    expect(template[0, 0] < template[1, 0], "landmark_template must begin with the eye at the image's left")


def _noise(embedder: Embedder, seed: int) -> NDArray[np.uint8]:
    width, height = embedder.crop_size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (embedder.batch_size, -(-height // 8), -(-width // 8), 3), np.uint8)
    crops = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    # Noise has one mean colour; crops should differ in that, too.
    tint = rng.uniform(0.2, 1.0, (embedder.batch_size, 1, 1, 3))
    return np.ascontiguousarray((crops * tint).astype(np.uint8))


def _embed(embedder: Embedder, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    out = np.zeros((embedder.batch_size, embedder.dimension), np.float32)
    embedder.embed(crops, out)
    return out


def _agree(some: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    return bool((np.einsum("nd,nd->n", some, others) >= SAME_FACE).all())


def check_retention(create: Callable[[], Retention]) -> None:
    """Check a retention: numbers for every class, and always the same ones."""
    retention, another = create(), create()
    for record_class in get_args(RecordClass):
        seconds = retention.seconds(record_class)
        is_good = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds >= 0
        expect(is_good, f"seconds({record_class!r}) must be a finite number from 0, got {seconds!r}")
        for one in (retention, another):
            again = one.seconds(record_class)
            expect(again == seconds, f"seconds({record_class!r}) must be a pure function, got {seconds}, then {again}")
