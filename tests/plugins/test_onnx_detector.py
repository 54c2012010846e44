"""The detector: its geometry piece by piece, then faces in stills and clips."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import av
import cv2
import msgspec
import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.api import PermanentError
from lfr_kernel.testing.conformance import check_detector
from lfr_plugins.cameras.picture import RgbPicture, YuvPicture
from lfr_plugins.detectors.canvas import canvases, place
from lfr_plugins.detectors.config import OnnxDetectorConfig
from lfr_plugins.detectors.onnx_detector import OnnxDetector
from lfr_plugins.detectors.suppression import nms
from lfr_plugins.models import load_card
from lfr_plugins.models.cards import Pixels
from lfr_plugins.models.pixels import fill_picture
from plugins import zoo
from plugins.test_heads import overlap, scrfd_one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lfr_kernel.api import Detections, Picture


@pytest.fixture(scope="module")
def detector() -> OnnxDetector:
    return OnnxDetector(OnnxDetectorConfig())


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


def test_a_model_of_one_size_has_one_canvas() -> None:
    assert place((1920, 1080), ((320, 320),)) == ((320, 320), (320, 180), 1 / 6)
    assert place((100, 900), ((640, 64),)).size == (7, 64)


# --- pixels


@pytest.mark.parametrize(
    "pixels",
    [
        Pixels(order="BGR", mean=(104.0, 117.0, 127.0), scale=1.0),
        Pixels(order="RGB", mean=(127.5, 127.5, 127.5), scale=128.0),
        Pixels(order="BGR", mean=(0.0, 10.0, 200.0), scale=57.5),
    ],
    ids=str,
)
def test_the_input_is_what_the_card_says_and_nothing_of_the_last_picture_stays(pixels: Pixels) -> None:
    tensor = np.full((1, 3, 32, 64), 99, np.float32)
    rgb = np.random.default_rng(0).integers(0, 256, (20, 50, 3), np.uint8)
    fill_picture(tensor, rgb, pixels)
    for channel, mean in enumerate(pixels.mean):
        values = rgb[:, :, channel if pixels.order == "RGB" else 2 - channel].astype(np.float64)
        np.testing.assert_allclose(tensor[0, channel, :20, :50], (values - mean) / pixels.scale, rtol=1e-6, atol=1e-5)
    assert not tensor[..., 20:, :].any()
    assert not tensor[..., 50:].any()


# --- the detector


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (1, 1), (5, 3000), (97, 33)])
def test_a_picture_without_faces_gives_empty_arrays(detector: OnnxDetector, size: tuple[int, int]) -> None:
    picture = blank(*size)
    faces = detector.detect(picture)
    assert len(faces) == 0
    assert_well_formed(faces, picture)


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden", "collins"])
def test_a_portrait_has_one_face_with_its_features_in_their_places(detector: OnnxDetector, name: str) -> None:
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


def test_coordinates_are_those_of_the_source_whatever_its_size(detector: OnnxDetector) -> None:
    small = portrait("collins")
    factor = 3
    large = cv2.resize(small, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    before = detector.detect(RgbPicture(small))
    after = detector.detect(RgbPicture(np.asarray(large, np.uint8)))
    assert overlap(before.boxes[0] * factor, after.boxes[0]) > 0.9
    np.testing.assert_allclose(before.landmarks[0] * factor, after.landmarks[0], atol=8)


def test_a_face_cut_by_the_edge_keeps_its_box_inside(detector: OnnxDetector) -> None:
    whole = portrait("obama")
    box = detector.detect(RgbPicture(whole)).boxes[0]
    picture = RgbPicture(np.ascontiguousarray(whole[:, int(box[0] + 0.25 * (box[2] - box[0])) :]))
    faces = detector.detect(picture)
    assert len(faces) == 1
    assert_well_formed(faces, picture)
    assert faces.boxes[0, 0] < 2


def test_every_face_of_a_group_is_found_and_the_strongest_are_kept(detector: OnnxDetector) -> None:
    picture = RgbPicture(tiled(2, 4))
    every = detector.detect(picture)
    assert len(every) == 8
    assert_well_formed(every, picture)
    few = OnnxDetector(OnnxDetectorConfig(max_faces=3)).detect(picture)
    np.testing.assert_array_equal(few.confidences, every.confidences[:3])
    np.testing.assert_array_equal(few.boxes, every.boxes[:3])


def test_a_higher_confidence_only_leaves_faces_out(shared: Callable[[str], Path]) -> None:
    lax, strict = (OnnxDetector(OnnxDetectorConfig(confidence=least)) for least in (0.4, 0.95))
    for picture in frames(shared("media/london-crowd-1080p.mp4"), every=40):
        most, least = lax.detect(picture), strict.detect(picture)
        assert len(least) == (most.confidences >= 0.95).sum() < len(most)


def test_calls_that_overlap_do_not_mix_and_a_smaller_picture_hides_the_last_one(detector: OnnxDetector) -> None:
    pictures = [RgbPicture(portrait("obama")), RgbPicture(portrait("biden")), blank(40, 40), RgbPicture(tiled(2, 4))]
    expected = [detector.detect(one).boxes for one in pictures]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: detector.detect(pictures[number % 4]).boxes, range(24)))
    for number, boxes in enumerate(answers):
        np.testing.assert_array_equal(boxes, expected[number % 4])


def test_the_smallest_face_follows_from_the_scale(detector: OnnxDetector) -> None:
    assert detector.smallest_face_px(1920, 1080) == pytest.approx(16 * 1080 / 352)
    assert detector.smallest_face_px(320, 240) == 16
    finer = OnnxDetector(OnnxDetectorConfig(longest_side=1280))
    assert finer.smallest_face_px(1920, 1080) == pytest.approx(16 * 1080 / 704)


def test_it_declares_the_digest_of_its_card_and_that_calls_may_overlap(detector: OnnxDetector) -> None:
    assert detector.digest == load_card("retinaface_mnet025").sha256
    assert detector.max_concurrency >= 1


@pytest.mark.parametrize(
    "setting", [{"longest_side": 319}, {"longest_side": 1921}, {"confidence": 0.2}, {"max_faces": 0}, {"age": True}]
)
def test_settings_out_of_bounds_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(setting))):
        msgspec.convert(setting, OnnxDetectorConfig)


def test_closing_does_not_raise() -> None:
    detector = OnnxDetector(OnnxDetectorConfig())
    detector.detect(blank(64, 64))
    detector.close()
    detector.close()


def test_a_crowd_in_a_shopping_arcade(detector: OnnxDetector, shared: Callable[[str], Path]) -> None:
    counts, widths = [], []
    for picture in frames(shared("media/london-crowd-1080p.mp4"), every=5):
        faces = detector.detect(picture)
        assert_well_formed(faces, picture)
        counts.append(len(faces))
        widths += (faces.boxes[:, 2] - faces.boxes[:, 0]).tolist()
    assert 4.5 <= np.mean(counts) <= 5.5
    assert 30 <= min(widths) <= 50


def test_a_stage_at_the_white_house(detector: OnnxDetector, shared: Callable[[str], Path]) -> None:
    counts = [len(detector.detect(one)) for one in frames(shared("media/white-house-stage-360p.mp4"), every=10)]
    assert min(counts) >= 1
    assert 2 <= np.mean(counts) <= 3


# --- other heads


def session_of(weights: bytes) -> ort.InferenceSession:
    return ort.InferenceSession(weights, providers=["CPUExecutionProvider"])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("LFR_MODELS", str(folder))
    return folder


@pytest.mark.parametrize("rank", [2, 3])
def test_scrfd_finds_what_its_definition_finds(store: Path, rank: int) -> None:
    weights = zoo.scrfd(rank=rank)
    rgb = zoo.noise(5, (320, 180))
    detector = OnnxDetector(
        OnnxDetectorConfig(model=zoo.put(store, rank_of_card(weights, rank), weights), longest_side=320, max_faces=1000)
    )
    found = detector.detect(RgbPicture(rgb))

    tensor = np.zeros((1, 3, 192, 320), np.float32)
    tensor[0, :, :180] = ((rgb.astype(np.float64) - 127.5) / 128).transpose(2, 0, 1)
    session, faces = session_of(weights), []
    for stride in zoo.STRIDES:
        outputs = session.run([f"{role}_{stride}" for role in ("boxes", "scores", "landmarks")], {"input": tensor})
        faces += scrfd_one_by_one([one.reshape(-1, one.shape[-1]) for one in outputs], (320, 192), stride, 0.6)
    rows = np.array(faces, np.float32)
    rows = rows[nms(rows[:, 1:5], rows[:, 0], 0.4)]
    boxes = np.clip(rows[:, 1:5], 0, [320, 180, 320, 180])
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    assert inside.sum() > 10
    np.testing.assert_allclose(found.confidences, rows[inside, 0], atol=1e-5)
    np.testing.assert_allclose(found.boxes, boxes[inside], atol=1e-3)
    np.testing.assert_allclose(found.landmarks, rows[inside, 5:].reshape(-1, 5, 2), atol=1e-3)


def rank_of_card(weights: bytes, rank: int) -> dict[str, Any]:
    card = zoo.scrfd_card(weights)
    for one in card["outputs"] if rank == 3 else ():
        one["shape"] = [1, *one["shape"]]
    return card


def test_a_red_face_is_found_where_it_is_whatever_the_size_of_the_picture(store: Path) -> None:
    """The model's score is how red a cell is: this pins the order of channels, cells and levels."""
    weights = zoo.scrfd()
    name = zoo.put(store, zoo.scrfd_card(weights), weights)
    detector = OnnxDetector(OnnxDetectorConfig(model=name, longest_side=640, confidence=0.9))
    rgb = np.zeros((1080, 1920, 3), np.uint8)
    rgb[..., 2] = 255
    rgb[540:640, 1200:1300, 0] = 255
    found = detector.detect(RgbPicture(rgb))
    assert len(found)
    middles = found.boxes.reshape(-1, 2, 2).mean(axis=1)
    # A box of this model lies within a stride or two of its cell, and a stride is 25 px of such a picture.
    assert (np.abs(middles - (1250, 590)) < 50 + 50).all()


def test_landmarks_come_in_the_order_of_the_contract_whatever_that_of_the_model(store: Path) -> None:
    weights = zoo.scrfd()
    picture = RgbPicture(zoo.noise(5, (320, 180)))
    order = ["right_mouth", "nose", "left_eye", "right_eye", "left_mouth"]
    found = []
    for name, facts in (("usual", {}), ("unusual", {"keypoints": order})):
        zoo.put(store, zoo.scrfd_card(weights, name=name, **facts), weights)
        found.append(OnnxDetector(OnnxDetectorConfig(model=name, longest_side=320)).detect(picture).landmarks)
    np.testing.assert_array_equal(found[1], found[0][:, [2, 3, 1, 4, 0]])


def test_a_model_of_one_size_is_given_that_size(store: Path) -> None:
    weights = zoo.scrfd(size=(320, 320))
    name = zoo.put(store, zoo.scrfd_card(weights, size=(320, 320)), weights)
    detector = OnnxDetector(OnnxDetectorConfig(model=name, longest_side=320))
    assert_well_formed(detector.detect(blank(500, 100)), blank(500, 100))
    assert detector.smallest_face_px(1920, 1080) == pytest.approx(60)
    with pytest.raises(
        PermanentError, match="takes pictures of 320x320 only, got longest_side = 640; set longest_side = 320"
    ):
        OnnxDetector(OnnxDetectorConfig(model=name))


def test_outputs_that_do_not_fit_the_levels_are_named(store: Path) -> None:
    weights = zoo.scrfd(anchors=1)
    name = zoo.put(store, zoo.scrfd_card(weights, anchors=2), weights)
    detector = OnnxDetector(OnnxDetectorConfig(model=name, longest_side=320))
    with pytest.raises(ValueError, match="output 'boxes_8' has 960 anchors, and the levels of the card make 1920"):
        detector.detect(blank(320, 180))


def test_an_embedders_model_is_refused() -> None:
    with pytest.raises(PermanentError, match="model 'mobilefacenet' is for embedding, and a detector needs one with"):
        OnnxDetector(OnnxDetectorConfig(model="mobilefacenet"))


def test_pictures_of_any_size_use_only_the_few_canvases(store: Path) -> None:
    """The runtime keeps a plan and blocks for every shape that it meets: memory would grow with every new one."""
    weights = zoo.scrfd()
    detector = OnnxDetector(
        OnnxDetectorConfig(model=zoo.put(store, zoo.scrfd_card(weights), weights), longest_side=320)
    )
    shapes: set[tuple[int, ...]] = set()

    class Watched:
        def run(self, names: list[str], feeds: dict[str, NDArray[np.float32]]) -> Any:
            shapes.update(tensor.shape for tensor in feeds.values())
            return session.run(names, feeds)

    session, detector._session = detector._session, Watched()
    rng = np.random.default_rng(0)
    for width, height in rng.integers(1, 900, (120, 2)).tolist():
        detector.detect(blank(width, height))
    assert shapes == {(1, 3, height, width) for width, height in canvases(320)}
    assert set(detector._buffers.by_canvas) == set(canvases(320))


@pytest.fixture
def yunet(store: Path, shared: Callable[[str], Path]) -> OnnxDetector:
    weights = shared("models/yunet_n_dynamic.onnx").read_bytes()
    return OnnxDetector(OnnxDetectorConfig(model=zoo.put(store, zoo.yunet_card(weights), weights)))


def test_yunet_keeps_the_contract(yunet: OnnxDetector) -> None:
    config = OnnxDetectorConfig(model="yunet_n")
    check_detector(lambda: OnnxDetector(config), RgbPicture(portrait("obama")), blank(320, 180))
    assert yunet.digest == "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12"


def test_yunet_and_retinaface_see_the_same_crowd(
    yunet: OnnxDetector, detector: OnnxDetector, shared: Callable[[str], Path]
) -> None:
    apart, missed = [], 0
    for picture in frames(shared("media/london-crowd-1080p.mp4"), every=20):
        found, expected = yunet.detect(picture), detector.detect(picture)
        assert_well_formed(found, picture)
        for box, points in zip(expected.boxes, expected.landmarks, strict=True):
            near = max(range(len(found)), key=lambda row: overlap(found.boxes[row], box), default=None)
            if near is None or overlap(found.boxes[near], box) < 0.4:
                missed += 1
                continue
            apart.append(float(np.abs(found.landmarks[near] - points).mean() / (box[2] - box[0])))
    assert len(apart) > 20
    assert missed < len(apart) / 10
    # With two of them swapped it would be three times as much.
    assert np.median(apart) < 0.06
