"""The detector: its geometry piece by piece, then faces in stills and clips."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING

import av
import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lfr_plugins.cameras.picture import RgbPicture, YuvPicture
from lfr_plugins.detectors.anchors import decode, nms, priors
from lfr_plugins.detectors.canvas import canvases, place
from lfr_plugins.detectors.config import RetinaFaceConfig
from lfr_plugins.detectors.retinaface import RetinaFace, fill_input
from lfr_plugins.models import load_card

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lfr_kernel.api import Detections, Picture

MEAN = (104.0, 117.0, 127.0)


@pytest.fixture(scope="module")
def detector() -> RetinaFace:
    return RetinaFace(RetinaFaceConfig())


def portrait(name: str) -> NDArray[np.uint8]:
    encoded = (files("lfr_plugins") / "lab" / "portraits" / f"{name}.jpg").read_bytes()
    bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def blank(width: int, height: int) -> RgbPicture:
    return RgbPicture(np.zeros((height, width, 3), np.uint8))


def tiled(rows: int, columns: int) -> NDArray[np.uint8]:
    head = cv2.resize(portrait("obama"), (160, 200), interpolation=cv2.INTER_AREA)
    return np.tile(np.asarray(head, np.uint8), (rows, columns, 1))


def frames(path: Path, every: int) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                yield YuvPicture(frame)


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes xyxy."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, float(width)) * max(0.0, float(height))
    return shared / (float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared)


def assert_well_formed(faces: Detections, picture: Picture) -> None:
    width, height = picture.size
    assert faces.boxes.shape == (len(faces), 4)
    assert faces.landmarks.shape == (len(faces), 5, 2)
    assert faces.confidences.shape == (len(faces),)
    assert faces.boxes.dtype == faces.landmarks.dtype == faces.confidences.dtype == np.float32
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [width, height, width, height]).all()
    assert (faces.boxes[:, 2:] > faces.boxes[:, :2]).all()
    assert (np.diff(faces.confidences) <= 0).all()


# --- priors, decoding, suppression


def test_priors_go_by_level_row_column_and_side() -> None:
    found = priors(64, 96)
    assert found.shape == (2 * (8 * 12 + 4 * 6 + 2 * 3), 3)
    assert found[:3].tolist() == [[4, 4, 16], [4, 4, 32], [12, 4, 16]]
    assert found[2 * 12].tolist() == [4, 12, 16]
    assert found[2 * 8 * 12].tolist() == [8, 8, 64]
    assert found[-1].tolist() == [80, 48, 512]


def test_zero_offsets_are_the_priors_themselves() -> None:
    anchors = priors(32, 32)
    boxes, landmarks = decode(
        np.zeros((len(anchors), 4), np.float32), np.zeros((len(anchors), 10), np.float32), anchors
    )
    np.testing.assert_array_equal((boxes[:, :2] + boxes[:, 2:]) / 2, anchors[:, :2])
    np.testing.assert_array_equal(boxes[:, 2:] - boxes[:, :2], anchors[:, [2, 2]])
    np.testing.assert_array_equal(landmarks, np.repeat(anchors[:, np.newaxis, :2], 5, axis=1))


@given(
    centre=arrays(np.float64, 2, elements=st.floats(0, 600)),
    size=arrays(np.float64, 2, elements=st.floats(4, 600)),
    landmarks=arrays(np.float64, (5, 2), elements=st.floats(0, 600)),
    row=st.integers(0, 9239),
)
def test_decoding_undoes_encoding(
    centre: NDArray[np.float64], size: NDArray[np.float64], landmarks: NDArray[np.float64], row: int
) -> None:
    anchor = priors(352, 640)[row : row + 1]
    at, side = anchor[0, :2], anchor[0, 2]
    offsets = np.concatenate([(centre - at) / (0.1 * side), np.log(size / side) / 0.2])
    boxes, points = decode(
        offsets[np.newaxis].astype(np.float32),
        ((landmarks - at) / (0.1 * side)).reshape(1, 10).astype(np.float32),
        anchor,
    )
    np.testing.assert_allclose(boxes[0], np.concatenate([centre - size / 2, centre + size / 2]), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(points[0], landmarks, rtol=1e-4, atol=1e-2)


corner = st.integers(0, 40)
boxes_and_scores = st.lists(
    st.tuples(corner, corner, st.integers(1, 30), st.integers(1, 30), st.integers(0, 20)), max_size=25
)


def suppressed_one_by_one(boxes: NDArray[np.float32], scores: NDArray[np.float32], limit: float) -> list[int]:
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


# --- canvases


def test_canvases_are_few_and_of_the_usual_shapes() -> None:
    assert canvases(640) == ((352, 640), (640, 352), (480, 640), (640, 480), (640, 640))
    assert canvases(650) == canvases(640)
    assert (960, 544) in canvases(960)
    assert (320, 192) in canvases(320)


@pytest.mark.parametrize(
    ("size", "canvas", "scaled"),
    [
        ((1920, 1080), (640, 352), (626, 352)),
        ((640, 360), (640, 352), (626, 352)),
        ((1080, 1920), (352, 640), (352, 626)),
        ((1024, 768), (640, 480), (640, 480)),
        ((1000, 1000), (640, 640), (640, 640)),
        ((320, 240), (352, 640), (320, 240)),
        ((1, 1), (352, 640), (1, 1)),
        ((5000, 1), (640, 352), (640, 1)),
    ],
)
def test_a_picture_goes_on_the_smallest_canvas_that_fits(
    size: tuple[int, int], canvas: tuple[int, int], scaled: tuple[int, int]
) -> None:
    placement = place(size, canvases(640))
    assert (placement.canvas, placement.size) == (canvas, scaled)


@given(width=st.integers(1, 8000), height=st.integers(1, 8000), longest=st.integers(320, 1920))
def test_a_placement_fits_and_costs_little_scale(width: int, height: int, longest: int) -> None:
    among = canvases(longest)
    assert all(side % 32 == 0 for one in among for side in one)
    placement = place((width, height), among)
    assert placement.size[0] <= placement.canvas[0]
    assert placement.size[1] <= placement.canvas[1]
    assert min(placement.size) >= 1
    assert placement.scale <= 1
    assert placement.scale >= 0.97 * min(1, max(map(max, among)) / max(width, height))


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one px each way, got 0x10"):
        place((0, 10), canvases(640))


def test_the_input_is_bgr_minus_the_mean_and_nothing_of_the_last_picture_stays() -> None:
    tensor = np.full((1, 3, 32, 64), 99, np.float32)
    rgb = np.random.default_rng(0).integers(0, 256, (20, 50, 3), np.uint8)
    fill_input(tensor, rgb, MEAN)
    for channel, mean in enumerate(MEAN):
        np.testing.assert_array_equal(tensor[0, channel, :20, :50], rgb[:, :, 2 - channel] - np.float32(mean))
    assert not tensor[..., 20:, :].any()
    assert not tensor[..., 50:].any()


# --- the detector


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (1, 1), (5, 3000), (97, 33)])
def test_a_picture_without_faces_gives_empty_arrays(detector: RetinaFace, size: tuple[int, int]) -> None:
    picture = blank(*size)
    faces = detector.detect(picture)
    assert len(faces) == 0
    assert_well_formed(faces, picture)


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden", "collins"])
def test_a_portrait_has_one_face_with_its_features_in_their_places(detector: RetinaFace, name: str) -> None:
    picture = RgbPicture(portrait(name))
    faces = detector.detect(picture)
    assert len(faces) == 1
    assert_well_formed(faces, picture)
    assert faces.confidences[0] > 0.99
    (left, top, right, bottom), points = faces.boxes[0], faces.landmarks[0]
    assert ((points > [left, top]) & (points < [right, bottom])).all()
    eye, other_eye, nose, mouth, other_mouth = points
    assert eye[0] < other_eye[0]
    assert mouth[0] < other_mouth[0]
    assert max(eye[1], other_eye[1]) < nose[1] < min(mouth[1], other_mouth[1])


def test_coordinates_are_those_of_the_source_whatever_its_size(detector: RetinaFace) -> None:
    small = portrait("collins")
    factor = 3
    large = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    before = detector.detect(RgbPicture(small))
    after = detector.detect(RgbPicture(np.asarray(large, np.uint8)))
    assert overlap(before.boxes[0] * factor, after.boxes[0]) > 0.9
    np.testing.assert_allclose(before.landmarks[0] * factor, after.landmarks[0], atol=8)


def test_a_face_cut_by_the_edge_keeps_its_box_inside(detector: RetinaFace) -> None:
    whole = portrait("obama")
    box = detector.detect(RgbPicture(whole)).boxes[0]
    picture = RgbPicture(np.ascontiguousarray(whole[:, int(box[0] + 0.25 * (box[2] - box[0])) :]))
    faces = detector.detect(picture)
    assert len(faces) == 1
    assert_well_formed(faces, picture)
    assert faces.boxes[0, 0] < 2


def test_every_face_of_a_group_is_found_and_the_strongest_are_kept(detector: RetinaFace) -> None:
    picture = RgbPicture(tiled(2, 4))
    every = detector.detect(picture)
    assert len(every) == 8
    assert_well_formed(every, picture)
    few = RetinaFace(RetinaFaceConfig(max_faces=3)).detect(picture)
    np.testing.assert_array_equal(few.confidences, every.confidences[:3])
    np.testing.assert_array_equal(few.boxes, every.boxes[:3])


def test_a_higher_confidence_only_leaves_faces_out(shared: Callable[[str], Path]) -> None:
    lax, strict = (RetinaFace(RetinaFaceConfig(confidence=least)) for least in (0.4, 0.95))
    for picture in frames(shared("media/london-crowd-1080p.mp4"), every=40):
        most, least = lax.detect(picture), strict.detect(picture)
        assert len(least) == (most.confidences >= 0.95).sum() < len(most)


def test_calls_that_overlap_do_not_mix_and_a_smaller_picture_hides_the_last_one(detector: RetinaFace) -> None:
    pictures = [RgbPicture(portrait("obama")), RgbPicture(portrait("biden")), blank(40, 40), RgbPicture(tiled(2, 4))]
    expected = [detector.detect(one).boxes for one in pictures]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: detector.detect(pictures[number % 4]).boxes, range(24)))
    for number, boxes in enumerate(answers):
        np.testing.assert_array_equal(boxes, expected[number % 4])


def test_the_smallest_face_follows_from_the_scale(detector: RetinaFace) -> None:
    assert detector.smallest_face_px(1920, 1080) == pytest.approx(16 * 1080 / 352)
    assert detector.smallest_face_px(320, 240) == 16
    finer = RetinaFace(RetinaFaceConfig(longest_side=1280))
    assert finer.smallest_face_px(1920, 1080) == pytest.approx(16 * 1080 / 704)


def test_it_declares_the_digest_of_its_card_and_that_calls_may_overlap(detector: RetinaFace) -> None:
    assert detector.digest == load_card("retinaface_mnet025").sha256
    assert detector.max_concurrency >= 1


@pytest.mark.parametrize(
    "setting", [{"longest_side": 319}, {"longest_side": 1921}, {"confidence": 0.2}, {"max_faces": 0}, {"age": True}]
)
def test_settings_out_of_bounds_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(setting))):
        msgspec.convert(setting, RetinaFaceConfig)


def test_closing_does_not_raise() -> None:
    detector = RetinaFace(RetinaFaceConfig())
    detector.detect(blank(64, 64))
    detector.close()
    detector.close()


def test_a_crowd_in_a_shopping_arcade(detector: RetinaFace, shared: Callable[[str], Path]) -> None:
    counts, widths = [], []
    for picture in frames(shared("media/london-crowd-1080p.mp4"), every=5):
        faces = detector.detect(picture)
        assert_well_formed(faces, picture)
        counts.append(len(faces))
        widths += (faces.boxes[:, 2] - faces.boxes[:, 0]).tolist()
    assert 4.5 <= np.mean(counts) <= 5.5
    assert 30 <= min(widths) <= 50


def test_a_stage_at_the_white_house(detector: RetinaFace, shared: Callable[[str], Path]) -> None:
    counts = [len(detector.detect(one)) for one in frames(shared("media/white-house-stage-360p.mp4"), every=10)]
    assert min(counts) >= 1
    assert 2 <= np.mean(counts) <= 3
