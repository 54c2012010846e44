"""Alignment: the closed form against Umeyama's, and what a similarity must obey."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lfr_kernel.stages.alignment import mean_template, mirror, similarity_transform, similarity_transforms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
coordinates = st.floats(-500, 500, allow_subnormal=False)
points = arrays(np.float64, (5, 2), elements=coordinates)
angles = st.floats(-math.pi, math.pi)
scales = st.floats(0.05, 20)
shifts = arrays(np.float64, (2,), elements=st.floats(-2000, 2000))


def umeyama(source: Points, target: Points) -> Points:
    """Umeyama (1991), eq. 34-43, as printed: by singular value decomposition."""
    x, y = source - source.mean(axis=0), target - target.mean(axis=0)
    u, d, vt = np.linalg.svd(y.T @ x / len(x))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = float(d @ sign) / (x**2).sum(axis=1).mean()
    matrix = np.empty((2, 3))
    matrix[:, :2] = scale * rotation
    matrix[:, 2] = target.mean(axis=0) - matrix[:, :2] @ source.mean(axis=0)
    return matrix


def similarity(scale: float, angle: float, shift: Points) -> Points:
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[a, -b, shift[0]], [b, a, shift[1]]])


def apply(matrix: Points, to: Points) -> Points:
    return np.asarray(to @ matrix[:, :2].T + matrix[:, 2])


def error(matrix: Points, source: Points, target: Points) -> float:
    return float(np.square(apply(matrix, source) - target).sum())


def spread(of: Points) -> float:
    return float(np.square(of - of.mean(axis=0)).sum())


@given(source=points, scale=scales, angle=angles, shift=shifts)
def test_any_similarity_is_recovered_exactly(source: Points, scale: float, angle: float, shift: Points) -> None:
    assume(spread(source) > 1)
    truth = similarity(scale, angle, shift)
    found = similarity_transform(source, apply(truth, source))
    np.testing.assert_allclose(found, truth, rtol=1e-9, atol=1e-6)


@given(source=points, target=points)
def test_the_closed_form_equals_umeyama_by_svd(source: Points, target: Points) -> None:
    assume(spread(source) > 1)
    x, y = source - source.mean(axis=0), target - target.mean(axis=0)
    singular = np.linalg.svd(y.T @ x, compute_uv=False)
    # Where the two singular values are equal and the best map is a reflection, or the rank is below one, the optimum
    # under "no reflection" is not unique: both answers are right and may differ.
    assume(abs(singular[0] - singular[1]) > 1e-3 * max(1.0, singular[0]))
    assume(singular[1] > 1e-6 * singular[0])
    found, expected = similarity_transform(source, target), umeyama(source, target)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert np.linalg.det(found[:, :2]) >= 0


@given(
    noise=arrays(np.float64, (5, 2), elements=st.floats(-5, 5)),
    nudge=arrays(np.float64, (4,), elements=st.floats(-0.2, 0.2)),
)
def test_no_similarity_near_by_or_without_noise_beats_the_optimum(noise: Points, nudge: Points) -> None:
    truth = similarity(0.4, 0.3, np.array([30.0, -12.0]))
    source = apply(similarity(2.5, -0.3, np.array([400.0, 90.0])), TEMPLATE)
    target = apply(truth, source) + noise
    best = similarity_transform(source, target)
    other = best + np.array([[nudge[0], -nudge[1], nudge[2]], [nudge[1], nudge[0], nudge[3]]])
    least = error(best, source, target)
    assert least <= error(truth, source, target) + 1e-9
    assert least <= error(other, source, target) + 1e-9


@given(landmarks=points, scale=scales, angle=angles, shift=shifts)
def test_moving_the_picture_does_not_move_the_crop(
    landmarks: Points, scale: float, angle: float, shift: Points
) -> None:
    assume(spread(landmarks) > 1)
    moved = apply(similarity(scale, angle, shift), landmarks)
    before = apply(similarity_transform(landmarks, TEMPLATE), landmarks)
    after = apply(similarity_transform(moved, TEMPLATE), moved)
    np.testing.assert_allclose(after, before, atol=1e-6)


@given(batch=arrays(np.float64, (4, 5, 2), elements=coordinates))
def test_many_faces_at_once_equal_one_after_the_other(batch: NDArray[np.float64]) -> None:
    assume(all(spread(one) > 1 for one in batch))
    together = similarity_transforms(batch, TEMPLATE)
    assert together.shape == (4, 2, 3)
    for one, matrix in zip(batch, together, strict=True):
        np.testing.assert_allclose(matrix, similarity_transform(one, TEMPLATE), rtol=1e-9, atol=1e-9)


def test_a_mirrored_face_is_not_reflected() -> None:
    mirrored = TEMPLATE * [-1.0, 1.0]
    assert np.linalg.det(similarity_transform(mirrored, TEMPLATE)[:, :2]) > 0


def test_no_faces_give_no_matrices() -> None:
    found = similarity_transforms(np.empty((0, 5, 2), np.float32), TEMPLATE)
    assert found.shape == (0, 2, 3)
    assert found.dtype == np.float64


@pytest.mark.parametrize("place", [0.0, 0.1, 1234.567, -1e6])
def test_landmarks_in_one_place_are_refused_and_the_face_is_named(place: float) -> None:
    faces = np.stack([TEMPLATE, np.full((5, 2), place)]).astype(np.float32)
    with pytest.raises(ValueError, match="landmarks of face 1 are all in one place"):
        similarity_transforms(faces, TEMPLATE)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_landmarks_that_are_no_numbers_are_refused(bad: float) -> None:
    landmarks = TEMPLATE.copy()
    landmarks[2, 1] = bad
    with pytest.raises(ValueError, match="must be finite"):
        similarity_transform(landmarks, TEMPLATE)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \[1, 4, 2\] and \[5, 2\]"):
        similarity_transform(TEMPLATE[:4], TEMPLATE)


@given(crops=arrays(np.uint8, (2, 4, 6, 3)))
def test_mirroring_exchanges_left_and_right_and_twice_is_nothing(crops: NDArray[np.uint8]) -> None:
    once = mirror(crops)
    np.testing.assert_array_equal(once[:, :, 0], crops[:, :, -1])
    np.testing.assert_array_equal(mirror(once), crops)
    assert once.flags.c_contiguous
    assert not np.shares_memory(once, crops)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_average_has_length_one_and_lies_in_the_middle(seed: int) -> None:
    a, b = np.random.default_rng(seed).standard_normal((2, 3, 192)).astype(np.float32)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    out = np.empty_like(a)
    mean_template(a, b, out)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((out * a).sum(axis=1), (out * b).sum(axis=1), atol=1e-5)
    mean_template(a, b, a)
    np.testing.assert_array_equal(a, out)


def test_templates_that_cancel_out_have_no_average() -> None:
    a = np.zeros(192, np.float32)
    a[0] = 1
    out = np.ones(192, np.float32)
    with pytest.raises(ValueError, match="cancel out"):
        mean_template(a, -a, out)
    assert not out.any()
