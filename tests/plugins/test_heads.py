"""Decoding and suppression, each beside a slow reference that follows the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lfr_plugins.detectors.anchors import anchors
from lfr_plugins.detectors.heads import HEADS, retinaface, scrfd, yunet
from lfr_plugins.detectors.suppression import nms
from lfr_plugins.models.rules import ROLES

Array = NDArray[np.float32]
LEVELS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))


def priors(canvas: tuple[int, int]) -> Array:
    return np.concatenate([anchors(canvas, stride, sides, at=0.5) for stride, sides in LEVELS])


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes xyxy."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, float(width)) * max(0.0, float(height))
    return shared / (float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared)


# --- anchors


def test_anchors_go_by_row_column_and_side() -> None:
    found = priors((96, 64))
    assert found.shape == (2 * (8 * 12 + 4 * 6 + 2 * 3), 3)
    assert found[:3].tolist() == [[4, 4, 16], [4, 4, 32], [12, 4, 16]]
    assert found[2 * 12].tolist() == [4, 12, 16]
    assert found[2 * 8 * 12].tolist() == [8, 8, 64]
    assert found[-1].tolist() == [80, 48, 512]


def test_anchors_may_lie_at_the_corners_of_their_cells() -> None:
    assert anchors((32, 16), 16, [16, 16], at=0.0).tolist() == [[0, 0, 16]] * 2 + [[16, 0, 16]] * 2


# --- RetinaFace


def test_zero_offsets_are_the_priors_themselves() -> None:
    grid = priors((32, 32))
    zeros = np.zeros((len(grid), 4), np.float32), np.ones((len(grid), 2), np.float32)
    found = retinaface.decode((*zeros, np.zeros((len(grid), 10), np.float32)), grid, 0.5)
    np.testing.assert_array_equal((found.boxes[:, :2] + found.boxes[:, 2:]) / 2, grid[:, :2])
    np.testing.assert_array_equal(found.boxes[:, 2:] - found.boxes[:, :2], grid[:, [2, 2]])
    np.testing.assert_array_equal(found.landmarks, np.repeat(grid[:, np.newaxis, :2], 5, axis=1))


@given(
    centre=arrays(np.float64, 2, elements=st.floats(0, 600)),
    size=arrays(np.float64, 2, elements=st.floats(4, 600)),
    landmarks=arrays(np.float64, (5, 2), elements=st.floats(0, 600)),
    row=st.integers(0, 9239),
)
def test_decoding_undoes_encoding(
    centre: NDArray[np.float64], size: NDArray[np.float64], landmarks: NDArray[np.float64], row: int
) -> None:
    anchor = priors((640, 352))[row : row + 1]
    at, side = anchor[0, :2], anchor[0, 2]
    offsets = np.concatenate([(centre - at) / (0.1 * side), np.log(size / side) / 0.2])
    points = ((landmarks - at) / (0.1 * side)).reshape(1, 10)
    outputs = [one.astype(np.float32) for one in (offsets[np.newaxis], np.array([[0.1, 0.9]]), points)]
    found = retinaface.decode(outputs, anchor, 0.5)
    expected = np.concatenate([centre - size / 2, centre + size / 2])
    np.testing.assert_allclose(found.boxes[0], expected, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found.landmarks[0], landmarks, rtol=1e-4, atol=1e-2)
    assert found.scores.tolist() == pytest.approx([0.9])


# --- SCRFD and YuNet, cell by cell


def scrfd_one_by_one(outputs: list[Array], canvas: tuple[int, int], stride: int, least: float) -> list[list[float]]:
    """Return score, box and landmarks of each face, as InsightFace computes them (`distance2bbox`, `distance2kps`)."""
    boxes, scores, points = outputs
    faces, row = [], 0
    for y in range(canvas[1] // stride):
        for x in range(canvas[0] // stride):
            for _ in range(2):
                if scores[row, 0] >= least:
                    left, top, right, bottom = (float(edge) * stride for edge in boxes[row])
                    box = [x * stride - left, y * stride - top, x * stride + right, y * stride + bottom]
                    marks = [
                        (y if number % 2 else x) * stride + float(one) * stride
                        for number, one in enumerate(points[row])
                    ]
                    faces.append([float(scores[row, 0]), *box, *marks])
                row += 1
    return faces


def yunet_one_by_one(outputs: list[Array], canvas: tuple[int, int], stride: int, least: float) -> list[list[float]]:
    boxes, classes, objects, points = outputs
    faces, row = [], 0
    for y in range(canvas[1] // stride):
        for x in range(canvas[0] // stride):
            score = math.sqrt(min(1, max(0, classes[row, 0])) * min(1, max(0, objects[row, 0])))
            if score >= least:
                dx, dy, log_width, log_height = (float(one) for one in boxes[row])
                middle_x, middle_y = (x + dx) * stride, (y + dy) * stride
                half_width, half_height = math.exp(log_width) * stride / 2, math.exp(log_height) * stride / 2
                box = [middle_x - half_width, middle_y - half_height, middle_x + half_width, middle_y + half_height]
                marks = [(float(one) + (y if number % 2 else x)) * stride for number, one in enumerate(points[row])]
                faces.append([score, *box, *marks])
            row += 1
    return faces


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize(("name", "each"), [("scrfd", 2), ("yunet", 1)])
def test_a_head_equals_its_definition(name: str, each: int, stride: int) -> None:
    canvas, head = (96, 64), HEADS[name]
    grid = anchors(canvas, stride, [stride] * each, at=head.anchors_at)
    rng = np.random.default_rng(stride)
    widths = {"boxes": 4, "landmarks": 10}
    outputs = [rng.uniform(-0.2, 1.2, (len(grid), widths.get(role, 1))).astype(np.float32) for role in ROLES[name]]
    reference = scrfd_one_by_one if name == "scrfd" else yunet_one_by_one
    expected = np.array(reference(outputs, canvas, stride, 0.6)).reshape(-1, 15)
    found = head.decode(outputs, grid, 0.6)
    assert 0 < len(found.scores) < len(grid)
    rows = np.concatenate([found.scores[:, np.newaxis], found.boxes, found.landmarks.reshape(-1, 10)], axis=1)
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("head", [retinaface, scrfd, yunet])
def test_nothing_that_is_sure_enough_is_nothing(head: object) -> None:
    name = getattr(head, "__name__", "").rpartition(".")[2]
    outputs = [np.zeros((4, {"boxes": 4, "landmarks": 10}.get(role, 1)), np.float32) for role in ROLES[name]]
    found = HEADS[name].decode(outputs, anchors((16, 16), 8, [8], at=0), 0.5)
    assert (found.boxes.shape, found.landmarks.shape, found.scores.shape) == ((0, 4), (0, 5, 2), (0,))


# --- suppression

corner = st.integers(0, 40)
boxes_and_scores = st.lists(
    st.tuples(corner, corner, st.integers(1, 30), st.integers(1, 30), st.integers(0, 20)), max_size=25
)


def suppressed_one_by_one(boxes: Array, scores: Array, limit: float) -> list[int]:
    kept: list[int] = []
    for one in sorted(range(len(boxes)), key=lambda row: (-scores[row], row)):
        if all(overlap(boxes[one], boxes[other]) <= limit for other in kept):
            kept.append(one)
    return kept


@given(drawn=boxes_and_scores, limit=st.sampled_from([0.31, 0.4, 0.57]))
def test_suppression_equals_the_definition(drawn: list[tuple[int, int, int, int, int]], limit: float) -> None:
    rows = np.array(drawn, np.float32).reshape(-1, 5)
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    scores = rows[:, 4] / np.float32(20)
    ratios = [overlap(a, b) for a in boxes for b in boxes]
    if any(abs(ratio - limit) < 1e-6 for ratio in ratios):
        return
    kept = nms(boxes, scores, limit)
    assert kept.tolist() == suppressed_one_by_one(boxes, scores, limit)
    assert nms(boxes, scores, limit, most=2).tolist() == kept[:2].tolist()


def test_suppression_of_nothing_is_nothing() -> None:
    assert nms(np.empty((0, 4), np.float32), np.empty(0, np.float32)).tolist() == []
