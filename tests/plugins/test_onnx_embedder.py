"""The embedder: who resembles whom, and what is left in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lfr_kernel.api import Embedder, PassingError, PermanentError
from lfr_kernel.stages.alignment import mean_template, mirror, similarity_transforms
from lfr_kernel.testing.conformance import check_embedder
from lfr_plugins.cameras.picture import RgbPicture
from lfr_plugins.detectors.config import OnnxDetectorConfig
from lfr_plugins.detectors.onnx_detector import OnnxDetector
from lfr_plugins.embedders.config import OnnxEmbedderConfig
from lfr_plugins.embedders.onnx_embedder import OnnxEmbedder, normalise
from lfr_plugins.models import load_card
from lfr_plugins.models.cards import Pixels
from lfr_plugins.models.pixels import fill_crops
from plugins import zoo

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PORTRAITS = ["obama", "obama2", "obama3", "biden", "collins"]


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(OnnxEmbedderConfig())


@pytest.fixture(scope="module")
def crops(embedder: OnnxEmbedder) -> dict[str, NDArray[np.uint8]]:
    """The aligned crop, uint8 [1, 112, 112, 3], of each portrait of the demo."""
    detector = OnnxDetector(OnnxDetectorConfig())
    found = {}
    for name in PORTRAITS:
        encoded = (files("lfr_plugins") / "lab" / "portraits" / f"{name}.jpg").read_bytes()
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        picture = RgbPicture(np.ascontiguousarray(bgr[..., ::-1], np.uint8))
        faces = detector.detect(picture)
        (affine,) = similarity_transforms(faces.landmarks[:1], embedder.landmark_template)
        found[name] = picture.patch(affine, embedder.crop_size)[np.newaxis]
    return found


def template(embedder: Embedder, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    out = np.empty((1, embedder.dimension), np.float32)
    embedder.embed(crop, out)
    return out


def test_one_person_resembles_himself_and_nobody_else(
    embedder: OnnxEmbedder, crops: dict[str, NDArray[np.uint8]]
) -> None:
    rows = np.concatenate([template(embedder, crops[name]) for name in PORTRAITS])
    similarities = rows @ rows.T
    same, others = similarities[:3, :3], similarities[~np.eye(5, dtype=bool)].reshape(5, 4)
    assert same.min() >= 0.75
    assert others[3:].max() <= 0.3


def test_the_average_with_the_mirror_image_keeps_them_apart_too(
    embedder: OnnxEmbedder, crops: dict[str, NDArray[np.uint8]]
) -> None:
    rows = np.concatenate([template(embedder, crops[name]) for name in PORTRAITS])
    for row, name in zip(rows, PORTRAITS, strict=True):
        mean_template(row, template(embedder, mirror(crops[name]))[0], row)
    similarities = rows @ rows.T
    assert similarities[:3, :3].min() >= 0.75
    assert similarities[3:, :3].max() <= 0.3


def test_a_template_has_length_one(embedder: OnnxEmbedder, crops: dict[str, NDArray[np.uint8]]) -> None:
    for crop in crops.values():
        assert abs(float(np.linalg.norm(template(embedder, crop))) - 1) < 1e-5


def test_a_crop_of_zeros_such_as_fills_up_a_batch_is_harmless(embedder: OnnxEmbedder) -> None:
    assert np.isfinite(template(embedder, np.zeros((1, 112, 112, 3), np.uint8))).all()


def test_calls_that_overlap_do_not_mix(embedder: OnnxEmbedder, crops: dict[str, NDArray[np.uint8]]) -> None:
    expected = {name: template(embedder, crops[name]) for name in PORTRAITS}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: (name, template(embedder, crops[name])), PORTRAITS * 4))
    for name, answer in answers:
        np.testing.assert_array_equal(answer, expected[name])


def test_nothing_of_the_crop_stays_in_the_input_buffer(
    embedder: OnnxEmbedder, crops: dict[str, NDArray[np.uint8]]
) -> None:
    template(embedder, crops["obama"])
    assert not embedder._buffer().any()


def test_nothing_of_the_crop_stays_after_a_failure_either(
    embedder: OnnxEmbedder, crops: dict[str, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def io_binding(self) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(embedder, "_session", Broken())
    with pytest.raises(RuntimeError, match="out of memory"):
        template(embedder, crops["obama"])
    assert not embedder._buffer().any()


def test_it_declares_what_its_card_says(embedder: OnnxEmbedder) -> None:
    card = load_card("mobilefacenet")
    assert embedder.digest == card.sha256
    assert (embedder.dimension, embedder.crop_size, embedder.batch_size) == (192, (112, 112), 1)
    np.testing.assert_array_equal(embedder.landmark_template, np.array(card.landmark_template))
    with pytest.raises(ValueError, match="read-only"):
        embedder.landmark_template[0, 0] = 0


def test_a_detectors_model_is_refused() -> None:
    with pytest.raises(PermanentError, match="model 'retinaface_mnet025' is for detection, and an embedder needs one"):
        OnnxEmbedder(OnnxEmbedderConfig(model="retinaface_mnet025"))


CROPS = np.zeros((1, 112, 112, 3), np.uint8)
OUT = np.zeros((1, 192), np.float32)
READ_ONLY = OUT.copy()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("given", "out", "why"),
    [
        (CROPS[0], OUT, r"crops must be uint8 \[1, 112, 112, 3\], got uint8 \[112, 112, 3\]"),
        (CROPS.astype(np.float32), OUT, "crops must be uint8"),
        (np.repeat(CROPS, 2, axis=0), OUT, "crops must be uint8"),
        (CROPS, OUT[0], r"out must be float32 \[1, 192\]"),
        (CROPS, OUT.astype(np.float64), "out must be float32"),
        (CROPS, np.zeros((1, 384), np.float32)[:, ::2], "C-contiguous"),
        (CROPS, READ_ONLY, "writeable"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    embedder: OnnxEmbedder, given: NDArray[np.uint8], out: NDArray[np.float32], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        embedder.embed(given, out)


def test_it_writes_into_the_row_of_a_larger_array_and_nowhere_else(
    embedder: OnnxEmbedder, crops: dict[str, NDArray[np.uint8]]
) -> None:
    rows = np.full((3, 192), 7, np.float32)
    embedder.embed(crops["obama"], rows[1:2])
    np.testing.assert_array_equal(rows[1:2], template(embedder, crops["obama"]))
    assert (rows[[0, 2]] == 7).all()


@pytest.mark.parametrize(
    "pixels",
    [
        Pixels(order="RGB", mean=(127.5, 127.5, 127.5), scale=128.0),
        Pixels(order="BGR", mean=(10.0, 20.0, 30.0), scale=57.5),
    ],
    ids=str,
)
def test_pixels_are_centred_scaled_and_laid_out_by_channel(pixels: Pixels) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3), np.uint8)
    tensor = np.empty((2, 3, 112, 112), np.float32)
    fill_crops(tensor, crops, pixels)
    for channel, mean in enumerate(pixels.mean):
        values = crops[..., channel if pixels.order == "RGB" else 2 - channel].astype(np.float64)
        np.testing.assert_allclose(tensor[:, channel], (values - mean) / pixels.scale, rtol=1e-6, atol=1e-6)


def test_closing_does_not_raise() -> None:
    embedder = OnnxEmbedder(OnnxEmbedderConfig())
    template(embedder, CROPS)
    embedder.close()
    embedder.close()


# --- models of one's own


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("LFR_MODELS", str(folder))
    return folder


def by_hand(crops: NDArray[np.uint8], dimension: int = 16) -> NDArray[np.float64]:
    """What `zoo.arcface` computes, L2-normalised."""
    matrix = np.random.default_rng(3).normal(0, 2, (48, dimension))
    values = (crops.astype(np.float64) - 127.5) / 128
    patches = values.reshape(-1, 4, 28, 4, 28, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(len(crops), -1)
    raw = patches @ matrix + 0.5
    assert (np.abs(np.linalg.norm(raw, axis=1) - 1) > 0.5).all()
    found: NDArray[np.float64] = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return found


def test_what_a_model_leaves_unnormalised_is_normalised(store: Path) -> None:
    weights = zoo.arcface()
    embedder = OnnxEmbedder(OnnxEmbedderConfig(model=zoo.put(store, zoo.arcface_card(weights), weights)))
    assert (embedder.dimension, embedder.batch_size, embedder.device) == (16, 1, "cpu")
    for seed in range(3):
        crop = zoo.noise(seed, (112, 112))[np.newaxis]
        np.testing.assert_allclose(template(embedder, crop), by_hand(crop), atol=1e-5)
    check_embedder(lambda: OnnxEmbedder(OnnxEmbedderConfig(model="small")))


def test_a_model_of_one_batch_size_is_called_with_it(store: Path) -> None:
    weights = zoo.arcface(batch=4)
    embedder = OnnxEmbedder(OnnxEmbedderConfig(model=zoo.put(store, zoo.arcface_card(weights, batch=4), weights)))
    assert embedder.batch_size == 4
    crops = np.stack([zoo.noise(seed, (112, 112)) for seed in range(4)])
    out = np.empty((4, 16), np.float32)
    embedder.embed(crops, out)
    np.testing.assert_allclose(out, by_hand(crops), atol=1e-5)
    check_embedder(lambda: OnnxEmbedder(OnnxEmbedderConfig(model="small")))


def test_a_model_that_normalises_is_left_to_it(store: Path) -> None:
    weights = zoo.arcface(is_normalised=True)
    card = zoo.arcface_card(weights, is_normalised=True)
    embedder = OnnxEmbedder(OnnxEmbedderConfig(model=zoo.put(store, card, weights)))
    crop = zoo.noise(1, (112, 112))[np.newaxis]
    np.testing.assert_allclose(template(embedder, crop), by_hand(crop), atol=1e-5)


def test_a_template_without_a_direction_is_an_error_and_is_overwritten() -> None:
    good = np.array([3, 4], np.float32)
    for bad in ([0, 0], [np.nan, 1], [np.inf, 0], [3e38, 3e38]):
        rows = np.array([good, bad], np.float32)
        with pytest.raises(PassingError, match="which has no direction"):
            normalise(rows)
        assert not rows.any()
    rows = good[np.newaxis].copy()
    normalise(rows)
    np.testing.assert_allclose(rows, [[0.6, 0.8]], rtol=1e-6)


def test_crops_of_a_model_of_ones_own_are_overwritten_too(store: Path) -> None:
    weights = zoo.arcface()
    embedder = OnnxEmbedder(OnnxEmbedderConfig(model=zoo.put(store, zoo.arcface_card(weights), weights)))
    template(embedder, zoo.noise(1, (112, 112))[np.newaxis])
    assert not embedder._buffer().any()
