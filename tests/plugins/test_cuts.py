"""Cuts are seen at once; pans, crowds, lights and dropped frames are no cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from lfr_plugins.trackers.cuts import THUMBNAIL, CutDetector, change, equalised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    Thumbnail = NDArray[np.uint8]

FRAME_S = 0.04
STAGE_CUTS = [20, 82, 211]


def scenery(seed: int, width: int = THUMBNAIL[0]) -> Thumbnail:
    """Blobs of light and shade, as a room has them."""
    noise = np.random.default_rng(seed).uniform(0, 255, (THUMBNAIL[1] // 3, width // 3, 3)).astype(np.float32)
    smooth = cv2.resize(noise, (width, THUMBNAIL[1]), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)


def cuts(thumbnails: Iterable[Thumbnail], frame_s: float = FRAME_S) -> list[int]:
    detector = CutDetector()
    return [number for number, one in enumerate(thumbnails) if detector.see(one, number * frame_s)]


def decode(path: Path) -> list[Thumbnail]:
    with av.open(str(path)) as container:
        pictures = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return [cv2.resize(one, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.uint8) for one in pictures]


@pytest.fixture(scope="module")
def stage(shared: Callable[[str], Path]) -> list[Thumbnail]:
    return decode(shared("media/white-house-stage-360p.mp4"))


@pytest.fixture(scope="module")
def crowd(shared: Callable[[str], Path]) -> list[Thumbnail]:
    return decode(shared("media/london-crowd-1080p.mp4"))


def test_a_still_scene_has_no_cut() -> None:
    assert cuts([scenery(1)] * 30) == []


def test_another_scene_is_a_cut_in_its_first_frame() -> None:
    assert cuts([scenery(1)] * 10 + [scenery(2)] * 10 + [scenery(3)] * 10) == [10, 20]


def test_the_second_frame_can_be_a_cut() -> None:
    assert cuts([scenery(1), scenery(2)]) == [1]


def test_a_pan_is_no_cut() -> None:
    panorama = scenery(4, width=3 * THUMBNAIL[0])
    assert cuts(panorama[:, 2 * step : 2 * step + THUMBNAIL[0]] for step in range(40)) == []


def test_lights_that_flicker_are_no_cut() -> None:
    room = scenery(5).astype(np.float32)
    gains = [1.0, 0.4, 1.0, 0.7, 0.3, 0.9, 0.5, 1.0] * 4
    assert cuts((room * gain).astype(np.uint8) for gain in gains) == []


def test_darkness_in_between_is_no_cut_when_the_same_scene_comes_back() -> None:
    dark = np.full((THUMBNAIL[1], THUMBNAIL[0], 3), 2, dtype=np.uint8)
    assert cuts([scenery(6)] * 5 + [dark] * 5 + [scenery(6)] * 5) == []
    assert cuts([scenery(6)] * 5 + [dark] * 5 + [scenery(7)] * 5) == [10]


def test_somebody_who_walks_through_the_picture_is_no_cut() -> None:
    frames = []
    for step in range(40):
        frame = scenery(8)
        frame[6:, step : step + 10] = 30
        frames.append(frame)
    assert cuts(frames) == []


def test_after_a_long_silence_there_is_nothing_to_compare_with() -> None:
    detector = CutDetector()
    assert not detector.see(scenery(1), 0.0)
    assert not detector.see(scenery(2), 60.0)


def test_time_that_runs_backwards_starts_afresh() -> None:
    detector = CutDetector()
    assert not detector.see(scenery(1), 10.0)
    assert not detector.see(scenery(2), 0.0)
    assert detector.see(scenery(3), 0.04)


def test_change_is_nothing_for_the_same_picture_and_much_for_another() -> None:
    same, other = equalised(scenery(1)), equalised(scenery(2))
    assert same is not None
    assert other is not None
    assert change(same, same) == pytest.approx(0.0, abs=1e-5)
    assert change(same, other) > 0.4


def test_a_flat_picture_says_nothing() -> None:
    assert equalised(np.zeros((27, 48, 3), dtype=np.uint8)) is None


def test_the_cuts_of_the_stage_clip_and_its_seam(stage: list[Thumbnail]) -> None:
    assert cuts(stage + stage, 1 / 30) == [*STAGE_CUTS, 275, *(275 + cut for cut in STAGE_CUTS)]


@pytest.mark.parametrize("step", [2, 3, 5])
def test_the_cuts_of_the_stage_clip_when_frames_are_dropped(stage: list[Thumbnail], step: int) -> None:
    found = [number * step for number in cuts(stage[::step], step / 30)]
    assert found == [-(-cut // step) * step for cut in STAGE_CUTS]


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_the_crowd_has_no_cut(crowd: list[Thumbnail], step: int) -> None:
    assert cuts(crowd[::step], step * FRAME_S) == []


@pytest.mark.parametrize("step", [1, 2])
def test_the_seam_of_the_looped_crowd_is_a_cut(crowd: list[Thumbnail], step: int) -> None:
    looped = crowd[::step] + crowd[::step]
    assert cuts(looped, step * FRAME_S) == [len(crowd[::step])]
