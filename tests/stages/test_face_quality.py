"""Quality falls with whatever makes a face worse, and each gate names its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lfr_kernel.stages.quality import (
    EnrolmentGates,
    FaceQualities,
    Gates,
    exposure,
    eyes_px,
    face_qualities,
    frontality,
    gated,
    occlusion,
    sharpness,
    size_score,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
HEAD = np.array([[-30, -25, 20], [30, -25, 20], [0, 8, 50], [-24, 42, 20], [24, 42, 20]], dtype=np.float64)
"""Eyes, nose tip and mouth corners of a head, in mm to the right, down, and towards the camera."""


def turned(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> NDArray[np.float32]:
    """The landmarks of a head turned by so many degrees, as a camera far away sees them."""
    a, b, c = np.radians([yaw, pitch, roll])
    around_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    around_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    seen: NDArray[np.float32] = ((HEAD @ (around_z @ around_y @ around_x).T)[None, :, :2] + 100).astype(np.float32)
    return seen


def pattern(seed: int = 0) -> NDArray[np.uint8]:
    """A crop with detail of every size, uint8 [112, 112, 3]."""
    random = np.random.default_rng(seed)
    image = np.zeros((112, 112), dtype=np.float32)
    for side in (4, 8, 16, 56):
        noise = random.normal(0, 28, (side, side)).astype(np.float32)
        image += cv2.resize(noise, (112, 112), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(image + 120, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def grey(crop: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(crop[:, :, 0], (56, 56), interpolation=cv2.INTER_AREA), dtype=np.float32)[None]


def masked(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same face with something smooth over nose and mouth."""
    covered = crop.copy()
    covered[66:] = 150
    return covered


def measured(**changed: Any) -> FaceQualities:
    """A good face, but for what is changed."""
    box = np.array([[0, 0, changed.get("width", 80.0), 100]], dtype=np.float32)
    crop = changed.get("crop", pattern())
    return face_qualities(
        box,
        changed.get("landmarks", TEMPLATE[None].astype(np.float32)),
        np.array([changed.get("confidence", 0.99)], dtype=np.float32),
        crop[None],
    )


def test_the_template_of_arcface_is_frontal() -> None:
    assert frontality(TEMPLATE[None].astype(np.float32))[0] > 0.95


def test_frontality_falls_as_the_head_turns_to_either_side() -> None:
    scores = [float(frontality(turned(yaw=angle))[0]) for angle in (0, 15, 30, 45, 60, 80)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.85
    assert scores[-1] < 0.01
    for angle in (15, 45):
        assert frontality(turned(yaw=angle))[0] == pytest.approx(frontality(turned(yaw=-angle))[0], rel=1e-4)


def test_frontality_falls_as_the_head_nods() -> None:
    assert frontality(turned(pitch=0))[0] > 1.5 * frontality(turned(pitch=35))[0]
    assert frontality(turned(pitch=0))[0] > 1.5 * frontality(turned(pitch=-35))[0]


@settings(deadline=None)
@given(yaw=st.floats(-70, 70), roll=st.floats(-180, 180), scale=st.floats(0.5, 20))
def test_frontality_does_not_mind_roll_and_scale(yaw: float, roll: float, scale: float) -> None:
    upright = frontality(turned(yaw=yaw))[0]
    assert frontality(turned(yaw=yaw, roll=roll) * np.float32(scale))[0] == pytest.approx(upright, abs=1e-3)


@settings(deadline=None)
@given(npst.arrays(np.float32, (3, 5, 2), elements=st.floats(-4000, 4000, width=32)))
def test_frontality_of_any_landmarks_is_a_score(landmarks: NDArray[np.float32]) -> None:
    scores = frontality(landmarks)
    assert scores.shape == (3,)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_landmarks_in_one_place_are_not_over_the_gate() -> None:
    assert frontality(np.full((1, 5, 2), 7, dtype=np.float32))[0] < 0.15


def test_sharpness_falls_with_blur() -> None:
    scores = [float(sharpness(grey(cv2.GaussianBlur(pattern(), (0, 0), blur)))[0]) for blur in (0.5, 2, 4, 8)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.6
    assert scores[-1] < 0.2


def test_sharpness_does_not_mind_contrast() -> None:
    full = pattern()
    pale = (120 + 0.4 * (full.astype(np.float32) - 120)).astype(np.uint8)
    assert sharpness(grey(pale))[0] == pytest.approx(sharpness(grey(full))[0], rel=0.05)


def test_sensor_noise_in_the_dark_is_not_sharpness() -> None:
    noise = np.random.default_rng(1).normal(6, 0.35, (1, 56, 56)).clip(0, 255).round().astype(np.float32)
    assert sharpness(noise)[0] < 0.2


def test_exposure_looks_at_the_light_that_is_left() -> None:
    greys = np.zeros((2, 56, 56), dtype=np.float32)
    greys[0, 10:30] = 90
    greys[1] = 255
    highlight, glare = exposure(greys)
    assert highlight.tolist() == [90, 255]
    assert glare.tolist() == [0, 1]


@settings(deadline=None)
@given(st.lists(st.floats(0, 5000), min_size=2, max_size=8))
def test_size_score_rises_with_width(widths: list[float]) -> None:
    scores = size_score(np.array(sorted(widths)))
    assert (np.diff(scores) >= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_each_part_lowers_the_quality() -> None:
    best = measured().overall[0]
    assert 0.5 < best <= 1.0
    for worse in (
        {"landmarks": TEMPLATE[None].astype(np.float32) * 0.4},
        {"landmarks": turned(yaw=40)},
        {"confidence": 0.5},
        {"crop": cv2.GaussianBlur(pattern(), (0, 0), 3)},
        {"crop": masked(pattern())},
        {"crop": (pattern() * 0.2).astype(np.uint8)},
    ):
        assert measured(**worse).overall[0] < 0.95 * best


@settings(deadline=None)
@given(width=st.floats(0, 4000), confidence=st.floats(0, 1), yaw=st.floats(-90, 90))
def test_quality_lies_above_zero_and_not_above_one(width: float, confidence: float, yaw: float) -> None:
    overall = measured(width=width, confidence=confidence, landmarks=turned(yaw=yaw)).overall[0]
    assert 0.0 < overall <= 1.0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"confidence": 0.5}, "low_confidence"),
        ({"width": 20.0}, "too_small"),
        ({"landmarks": turned(yaw=70)}, "turned_away"),
        ({"crop": (pattern() * 0.05).astype(np.uint8)}, "too_dark"),
        ({"crop": np.full((112, 112, 3), 255, dtype=np.uint8)}, "overexposed"),
        ({"crop": cv2.GaussianBlur(pattern(), (0, 0), 9)}, "blurred"),
        ({"confidence": 0.5, "width": 20.0}, "low_confidence"),
        ({"crop": masked(pattern())}, "occluded"),
    ],
)
def test_each_gate_names_its_reason(changed: dict[str, Any], reason: str | None) -> None:
    assert gated(measured(**changed), Gates(min_frontality=0.15, min_openness=0.4)) == [reason]


def test_the_gates_can_be_opened() -> None:
    wide = Gates(min_confidence=0.0, min_face_px=8.0, min_frontality=0.0, min_sharpness=0.0)
    worst = measured(confidence=0.1, width=9.0, landmarks=turned(yaw=80), crop=cv2.GaussianBlur(pattern(), (0, 0), 9))
    assert gated(worst, wide) == [None]


def test_no_faces_no_measures() -> None:
    nothing = face_qualities(
        np.zeros((0, 4), np.float32),
        np.zeros((0, 5, 2), np.float32),
        np.zeros(0, np.float32),
        np.zeros((0, 112, 112, 3), np.uint8),
    )
    assert nothing.overall.shape == (0,)
    assert gated(nothing, Gates()) == []


def test_faces_are_measured_one_by_one() -> None:
    one, other = measured(), measured(width=40.0, landmarks=turned(yaw=30))
    together = face_qualities(
        np.array([[0, 0, 80, 100], [0, 0, 40, 100]], dtype=np.float32),
        np.concatenate((TEMPLATE[None].astype(np.float32), turned(yaw=30))),
        np.full(2, 0.99, dtype=np.float32),
        np.stack((pattern(), pattern())),
    )
    assert together.overall == pytest.approx(np.concatenate((one.overall, other.overall)))


@settings(deadline=None)
@given(yaw=st.floats(-50, 50), roll=st.floats(-180, 180), scale=st.floats(0.5, 20))
def test_the_eye_distance_is_that_of_a_face_that_looks_here(yaw: float, roll: float, scale: float) -> None:
    straight = eyes_px(turned())[0]
    found = eyes_px(turned(yaw=yaw, roll=roll) * np.float32(scale))[0] / scale
    assert found == pytest.approx(straight, rel=0.25)
    assert straight == pytest.approx(60, rel=0.1)


def test_landmarks_in_one_place_make_a_face_of_no_size() -> None:
    assert eyes_px(np.full((1, 5, 2), 7, np.float32))[0] == 0


def test_what_is_smooth_over_eyes_or_mouth_is_seen() -> None:
    glasses = pattern()
    glasses[38:64] = 20
    uncovered, covered, shaded = (occlusion(grey(crop))[0] for crop in (pattern(), masked(pattern()), glasses))
    assert covered < 0.3
    assert shaded < 0.3
    assert uncovered > 0.7


@pytest.mark.parametrize("side", [56, 100, 112, 128, 224])
def test_crops_of_any_size_are_judged_alike(side: int) -> None:
    crop = np.asarray(cv2.resize(pattern(), (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    usual = measured()
    other = measured(crop=crop)
    assert other.openness[0] == pytest.approx(usual.openness[0], abs=0.15)
    assert other.highlight[0] == pytest.approx(usual.highlight[0], abs=6)


def test_a_crop_smaller_than_faces_are_judged_at_is_judged_all_the_same() -> None:
    small = np.asarray(cv2.resize(pattern(), (32, 32), interpolation=cv2.INTER_AREA), np.uint8)
    judged = measured(crop=small)
    assert judged.highlight[0] == pytest.approx(measured().highlight[0], abs=12)
    assert 0.0 < judged.overall[0] <= 1.0


def test_enrolment_asks_for_no_less_than_the_street_does() -> None:
    live, listed = Gates(), EnrolmentGates()
    assert all(getattr(listed, name) >= getattr(live, name) for name in Gates.__struct_fields__)


def test_the_parts_of_a_face_are_told_by_name() -> None:
    parts = measured().parts(0)
    assert set(parts) == {"eyes_px", "size", "frontality", "sharpness", "exposed", "openness", "confidence"}
    assert parts["confidence"] == pytest.approx(0.99)
