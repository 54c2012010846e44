"""The embedder: who resembles whom, and what is left in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from lfr_kernel.api import Embedder, NoConfig, PermanentError
from lfr_kernel.stages.alignment import mean_template, mirror, similarity_transforms
from lfr_plugins.cameras.picture import RgbPicture
from lfr_plugins.detectors.config import RetinaFaceConfig
from lfr_plugins.detectors.retinaface import RetinaFace
from lfr_plugins.embedders import mobilefacenet
from lfr_plugins.embedders.mobilefacenet import MobileFaceNet, fill_input
from lfr_plugins.models import load_card

if TYPE_CHECKING:
    from numpy.typing import NDArray

PORTRAITS = ["obama", "obama2", "obama3", "biden", "collins"]


@pytest.fixture(scope="module")
def embedder() -> MobileFaceNet:
    return MobileFaceNet(NoConfig())


@pytest.fixture(scope="module")
def crops(embedder: MobileFaceNet) -> dict[str, NDArray[np.uint8]]:
    """The aligned crop, uint8 [1, 112, 112, 3], of each portrait of the demo."""
    detector = RetinaFace(RetinaFaceConfig())
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
    embedder: MobileFaceNet, crops: dict[str, NDArray[np.uint8]]
) -> None:
    rows = np.concatenate([template(embedder, crops[name]) for name in PORTRAITS])
    similarities = rows @ rows.T
    same, others = similarities[:3, :3], similarities[~np.eye(5, dtype=bool)].reshape(5, 4)
    assert same.min() >= 0.75
    assert others[3:].max() <= 0.3


def test_the_average_with_the_mirror_image_keeps_them_apart_too(
    embedder: MobileFaceNet, crops: dict[str, NDArray[np.uint8]]
) -> None:
    rows = np.concatenate([template(embedder, crops[name]) for name in PORTRAITS])
    for row, name in zip(rows, PORTRAITS, strict=True):
        mean_template(row, template(embedder, mirror(crops[name]))[0], row)
    similarities = rows @ rows.T
    assert similarities[:3, :3].min() >= 0.75
    assert similarities[3:, :3].max() <= 0.3


def test_a_template_has_length_one(embedder: MobileFaceNet, crops: dict[str, NDArray[np.uint8]]) -> None:
    for crop in crops.values():
        assert abs(float(np.linalg.norm(template(embedder, crop))) - 1) < 1e-5


def test_a_crop_of_zeros_such_as_fills_up_a_batch_is_harmless(embedder: MobileFaceNet) -> None:
    assert np.isfinite(template(embedder, np.zeros((1, 112, 112, 3), np.uint8))).all()


def test_calls_that_overlap_do_not_mix(embedder: MobileFaceNet, crops: dict[str, NDArray[np.uint8]]) -> None:
    expected = {name: template(embedder, crops[name]) for name in PORTRAITS}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: (name, template(embedder, crops[name])), PORTRAITS * 4))
    for name, answer in answers:
        np.testing.assert_array_equal(answer, expected[name])


def test_nothing_of_the_crop_stays_in_the_input_buffer(
    embedder: MobileFaceNet, crops: dict[str, NDArray[np.uint8]]
) -> None:
    template(embedder, crops["obama"])
    assert not embedder._buffer().any()


def test_nothing_of_the_crop_stays_after_a_failure_either(
    embedder: MobileFaceNet, crops: dict[str, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def io_binding(self) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(embedder, "_session", Broken())
    with pytest.raises(RuntimeError, match="out of memory"):
        template(embedder, crops["obama"])
    assert not embedder._buffer().any()


def test_it_declares_what_its_card_says(embedder: MobileFaceNet) -> None:
    card = load_card("mobilefacenet")
    assert embedder.digest == card.sha256
    assert (embedder.dimension, embedder.crop_size, embedder.batch_size) == (192, (112, 112), 1)
    np.testing.assert_array_equal(embedder.landmark_template, np.array(card.landmark_template))
    with pytest.raises(ValueError, match="read-only"):
        embedder.landmark_template[0, 0] = 0


def test_a_card_of_another_task_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mobilefacenet, "MODEL", "retinaface_mnet025")
    with pytest.raises(PermanentError, match="must state dimension, crop_size and landmark_template"):
        MobileFaceNet(NoConfig())


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
    embedder: MobileFaceNet, given: NDArray[np.uint8], out: NDArray[np.float32], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        embedder.embed(given, out)


def test_it_writes_into_the_row_of_a_larger_array_and_nowhere_else(
    embedder: MobileFaceNet, crops: dict[str, NDArray[np.uint8]]
) -> None:
    rows = np.full((3, 192), 7, np.float32)
    embedder.embed(crops["obama"], rows[1:2])
    np.testing.assert_array_equal(rows[1:2], template(embedder, crops["obama"]))
    assert (rows[[0, 2]] == 7).all()


def test_pixels_are_centred_scaled_and_laid_out_by_channel() -> None:
    crop = np.random.default_rng(1).integers(0, 256, (1, 112, 112, 3), np.uint8)
    tensor = np.empty((1, 3, 112, 112), np.float32)
    fill_input(tensor, crop, 127.5, 128.0)
    np.testing.assert_array_equal(tensor[0, 2], (crop[0, :, :, 2] - np.float32(127.5)) / 128)


def test_closing_does_not_raise() -> None:
    embedder = MobileFaceNet(NoConfig())
    template(embedder, CROPS)
    embedder.close()
    embedder.close()
