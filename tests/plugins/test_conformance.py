"""Every plugin that is installed keeps its contract, and so do the fakes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from lfr_kernel.plugins import Registry
from lfr_kernel.testing.conformance import (
    check_camera,
    check_detector,
    check_embedder,
    check_index,
    check_picture,
    check_retention,
    check_sink,
    check_tracker,
)
from lfr_kernel.testing.fakes import (
    FakeCamera,
    FakeDetector,
    FakeEmbedder,
    FakeFace,
    FakePicture,
    FakeRetention,
    FakeTracker,
    ListSink,
    NumpyIndex,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfr_kernel.api import Picture

REGISTRY = Registry.discover()
PORTRAITS = Path(__file__).resolve().parents[2] / "plugins" / "lfr_plugins" / "lab" / "portraits"
FACES = (FakeFace(40, 30, 60, (200, 40, 40)), FakeFace(180, 60, 48, (40, 40, 200), confidence=0.7))
WITH_FACES, EMPTY = FakePicture.of(FACES), FakePicture.of(())


def created(stage: str, name: str, options: dict[str, Any] | None = None) -> Callable[..., Any]:
    plugin = REGISTRY.get(stage, name)
    return partial(plugin.create, plugin.config(**(options or {})))


def photograph() -> Picture:
    camera = created("camera", "images", {"path": str(next(iter(sorted(PORTRAITS.glob("*.jpg")))))})()
    camera.open()
    picture: Picture = camera.read().picture
    camera.close()
    return picture


def names(stage: str) -> list[str]:
    return REGISTRY.names(stage)


def test_images_camera() -> None:
    check_camera(created("camera", "images", {"path": str(PORTRAITS)}))


@pytest.mark.parametrize("options", [{}, {"realtime": True}, {"loop": True}], ids=str)
def test_av_camera(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120))
    for number in range(5):
        writer.write(np.full((120, 160, 3), 40 * number, np.uint8))
    writer.release()
    check_camera(created("camera", "av", {"url": str(path), **options}))


def test_every_camera_has_a_test() -> None:
    assert names("camera") == ["av", "images"]


@pytest.mark.parametrize("name", names("detector"))
def test_detectors(name: str) -> None:
    check_detector(created("detector", name), photograph(), EMPTY)


@pytest.mark.parametrize("name", names("tracker"))
def test_trackers(name: str) -> None:
    check_tracker(created("tracker", name))


@pytest.mark.parametrize("name", names("embedder"))
def test_embedders(name: str) -> None:
    check_embedder(created("embedder", name))


@pytest.mark.parametrize("name", names("index"))
def test_indexes(name: str) -> None:
    check_index(created("index", name))


@pytest.mark.parametrize("name", names("retention"))
def test_retentions(name: str) -> None:
    check_retention(created("retention", name))


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.anyio
@pytest.mark.parametrize("details", [True, False])
async def test_jsonl_sink(tmp_path: Path, *, details: bool) -> None:
    path = tmp_path / "alerts.jsonl"
    await check_sink(created("sink", "jsonl", {"path": str(path)}), delivered=partial(lines_of, path), details=details)


@pytest.mark.anyio
async def test_pictures_sink(tmp_path: Path) -> None:
    create = created("sink", "pictures", {"folder": str(tmp_path)})
    await check_sink(create, delivered=lambda: len(list(tmp_path.glob("*.png"))))


@pytest.mark.anyio
async def test_pictures_sink_that_seals(tmp_path: Path) -> None:
    recipient = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    create = created("sink", "pictures", {"folder": str(tmp_path), "recipient": recipient})
    await check_sink(create, delivered=lambda: len(list(tmp_path.glob("*.png.sealed"))))


@pytest.mark.anyio
@pytest.mark.parametrize("details", [True, False])
async def test_console_sink(capsys: pytest.CaptureFixture[str], *, details: bool) -> None:
    await check_sink(created("sink", "console"), details=details)
    assert capsys.readouterr().err.count("ALERT") == 3


def test_every_sink_has_a_test() -> None:
    assert names("sink") == ["console", "jsonl", "pictures", "webhook"]  # the last has its own file


def test_the_fakes_keep_the_contracts_too() -> None:
    check_camera(lambda: FakeCamera([WITH_FACES, None, EMPTY]))
    check_camera(lambda: FakeCamera([EMPTY] * 20, pace="live"))
    check_picture(WITH_FACES)
    check_detector(partial(FakeDetector, max_concurrency=3), WITH_FACES, EMPTY)
    check_tracker(FakeTracker)
    check_embedder(FakeEmbedder)
    check_embedder(partial(FakeEmbedder, batch_size=4, max_concurrency=2))
    check_index(NumpyIndex)
    check_retention(FakeRetention)


@pytest.mark.anyio
async def test_the_fake_sink_keeps_the_contract_too() -> None:
    sink = ListSink()
    await check_sink(lambda _: sink, delivered=lambda: len(sink.delivered))
