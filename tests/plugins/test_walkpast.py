"""The demo's clip: who walks through it when, and that detector and embedder see it as a camera's."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from lfr_kernel.api import PassingError, PermanentError, similarity_transforms
from lfr_plugins.cameras.images import read_picture
from lfr_plugins.cameras.picture import RgbPicture
from lfr_plugins.detectors.config import OnnxDetectorConfig
from lfr_plugins.detectors.onnx_detector import OnnxDetector
from lfr_plugins.embedders.config import OnnxEmbedderConfig
from lfr_plugins.embedders.onnx_embedder import OnnxEmbedder
from lfr_plugins.lab import walkpast
from lfr_plugins.lab.choreography import FRAMES, FRAMES_PER_S, PASSAGES, VIEW, ground_truth, pose_at
from lfr_plugins.lab.compositing import Compositor
from lfr_plugins.lab.figures import PORTRAITS, load_cutouts, make_figure

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LISTED = "obama.jpg"


@pytest.fixture(scope="module")
def compositor() -> Compositor:
    return Compositor.build(VIEW, PASSAGES)


@pytest.fixture(scope="module")
def detector() -> OnnxDetector:
    return OnnxDetector(OnnxDetectorConfig())


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(OnnxEmbedderConfig())


def template(embedder: OnnxEmbedder, picture: RgbPicture, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    (affine,) = similarity_transforms(landmarks[np.newaxis], embedder.landmark_template)
    out = np.empty((1, embedder.dimension), np.float32)
    embedder.embed(picture.patch(affine, embedder.crop_size)[np.newaxis], out)
    return np.asarray(out[0], np.float32)


def rgb(compositor: Compositor, number: int) -> RgbPicture:
    return RgbPicture(np.ascontiguousarray(compositor.frame(number)[..., ::-1]))


def test_four_passages_of_three_people_in_order() -> None:
    truth = ground_truth()
    people = [one.person for one in truth]
    assert people == ["Eileen Collins", "Barack Obama", "Joe Biden", "Barack Obama"]
    for earlier, later in pairwise(truth):
        assert earlier.first_frame < later.first_frame


def test_each_passage_lasts_three_to_five_seconds_and_ends_before_the_clip() -> None:
    for one in ground_truth():
        assert 3.0 <= (one.last_frame - one.first_frame + 1) / FRAMES_PER_S <= 5.0
        assert one.last_frame < FRAMES - FRAMES_PER_S


def test_at_times_there_are_two_and_at_times_one_and_nobody() -> None:
    counts = {sum(one.first_frame <= number <= one.last_frame for one in ground_truth()) for number in range(FRAMES)}
    assert counts == {0, 1, 2}


def test_everybody_has_left_by_the_end() -> None:
    assert all(pose_at(walk, FRAMES / FRAMES_PER_S) is None for walk in PASSAGES)


def test_walkers_only_come_nearer() -> None:
    for walk in PASSAGES:
        poses = [pose_at(walk, walk.starts_s + tenth / 10) for tenth in range(60)]
        depths = [pose.depth_m for pose in poses if pose is not None]
        assert all(later < earlier for earlier, later in pairwise(depths))


def test_the_listed_photograph_never_walks() -> None:
    cutouts = load_cutouts()
    assert LISTED not in {cutouts[walk.figure].file for walk in PASSAGES}
    assert (PORTRAITS / LISTED).is_file()


def test_portraits_are_small_enough_to_ship() -> None:
    portraits = sorted(PORTRAITS.glob("*.jpg"))
    assert [path.name for path in portraits] == ["biden.jpg", "collins.jpg", LISTED, "obama2.jpg", "obama3.jpg"]
    assert all(path.stat().st_size < 150_000 for path in portraits)


def test_a_frame_is_a_function_of_its_number(compositor: Compositor) -> None:
    first = compositor.frame(120)
    assert np.array_equal(first, compositor.frame(120))
    assert np.array_equal(first, Compositor.build(VIEW, PASSAGES).frame(120))
    assert not np.array_equal(first, compositor.frame(121))


def test_the_light_changes(compositor: Compositor) -> None:
    brightness = [float(compositor.frame(number).mean()) for number in range(0, FRAMES, 40)]
    assert max(brightness) > 1.15 * min(brightness)


def test_faces_are_found_where_they_were_put_and_grow(compositor: Compositor, detector: OnnxDetector) -> None:
    heights = {name: cutout.nose_height_m for name, cutout in load_cutouts().items()}
    for walk, truth in zip(PASSAGES, ground_truth(), strict=True):
        widths = []
        for number in np.linspace(truth.first_frame + 20, truth.last_frame - 3, 5).astype(int):
            pose = pose_at(walk, number / FRAMES_PER_S)
            assert pose is not None
            nose = VIEW.project(pose.x_m, heights[walk.figure], pose.depth_m)
            found = detector.detect(rgb(compositor, int(number)))
            distances = np.hypot(*(found.landmarks[:, 2] - nose).T)
            nearest = int(distances.argmin())
            assert distances[nearest] < 0.1 * VIEW.scale(pose.depth_m), (walk.figure, number)
            widths.append(float(found.boxes[nearest, 2] - found.boxes[nearest, 0]))
        assert all(later > earlier for earlier, later in pairwise(widths)), (walk.figure, widths)
        assert widths[0] < 40, (walk.figure, widths)
        assert widths[-1] > 100, (walk.figure, widths)


def test_two_faces_are_found_where_two_people_walk(compositor: Compositor, detector: OnnxDetector) -> None:
    (_, _, biden, obama) = ground_truth()
    for number in range(obama.first_frame + 30, biden.last_frame - 2, 10):
        assert len(detector.detect(rgb(compositor, number))) == 2, number


def test_an_empty_arcade_has_no_face(compositor: Compositor, detector: OnnxDetector) -> None:
    assert len(detector.detect(rgb(compositor, 0))) == 0
    assert len(detector.detect(rgb(compositor, FRAMES - 1))) == 0


def test_the_listed_man_is_similar_and_the_others_are_not(
    compositor: Compositor, detector: OnnxDetector, embedder: OnnxEmbedder
) -> None:
    picture = read_picture(PORTRAITS / LISTED)
    listed = template(embedder, picture, detector.detect(picture).landmarks[0])
    similarity = {}
    for walk, truth in zip(PASSAGES, ground_truth(), strict=True):
        pool = np.zeros(embedder.dimension, np.float32)
        for number in np.linspace(truth.first_frame + 45, truth.last_frame - 3, 6).astype(int):
            pose = pose_at(walk, number / FRAMES_PER_S)
            assert pose is not None
            x = VIEW.project(pose.x_m, 0, pose.depth_m)[0]
            frame = rgb(compositor, int(number))
            found = detector.detect(frame)
            mine = int(np.abs(found.landmarks[:, 2, 0] - x).argmin())
            pool += template(embedder, frame, found.landmarks[mine])
        similarity[walk.figure] = float(pool @ listed / np.linalg.norm(pool))
    assert min(similarity["obama2"], similarity["obama3"]) > 0.70, similarity
    assert max(similarity["biden"], similarity["collins"]) < 0.35, similarity


@pytest.mark.slow
def test_the_clip_is_h264_and_complete(tmp_path: Path) -> None:
    shares: list[float] = []
    clip = walkpast.render(tmp_path / "walk.mp4", progress=shares.append)
    assert (clip.path, clip.frames, clip.fps, clip.size) == (tmp_path / "walk.mp4", 400, 25, (1280, 720))
    assert clip.passages == ground_truth()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mp4"]
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == Fraction(25)
        assert stream.frames == 400
        assert (stream.width, stream.height) == (1280, 720)
        assert sum(1 for _ in container.decode(stream)) == 400
    assert clip.path.stat().st_size < 6_000_000


def test_colours_survive_encoding(tmp_path: Path, compositor: Compositor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walkpast, "FRAMES", 2)
    clip = walkpast.render(tmp_path / "two.mp4")
    with av.open(str(clip.path)) as container:
        decoded = next(container.decode(video=0)).to_ndarray(format="bgr24")
    blurred = [cv2.blur(one, (40, 40)).astype(int) for one in (decoded, compositor.frame(0))]
    assert np.abs(blurred[0] - blurred[1]).max() < 10


def test_a_failed_rendering_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walkpast, "FRAMES", 6)

    def full(_share: float) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(PassingError, match="No space left on device"):
        walkpast.render(tmp_path / "walk.mp4", progress=full)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="expected a folder"):
        walkpast.render(tmp_path / "nowhere" / "walk.mp4")


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walkpast, "_CODEC", "libnonsense")
    with pytest.raises(PermanentError, match="needs libx264"):
        walkpast.render(tmp_path / "walk.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_portrait_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"biden\.jpg: expected a portrait"):
        make_figure(load_cutouts()["biden"], tmp_path)


def test_damaged_figures_are_named(tmp_path: Path) -> None:
    (tmp_path / "figures.toml").write_text("[somebody]\nfile = 3\n")
    with pytest.raises(PermanentError, match=r"figures\.toml: cannot be read"):
        load_cutouts(tmp_path)
