"""Nobody can be recognised in a picture that `why` writes: not in its pixels, and not by undoing anything."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.testing.fakes import FakePicture
from lfr_plugins.lab.why_moments import Fate, Moments
from lfr_plugins.lab.why_pixelate import BLOCKS, DETAIL_PX, SIDE_PX, pixelate, pixelated, widened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = (320, 180)
FRAME_PX = 6
"""How far the coloured frame around a face reaches into and out of its box."""


def noise(width: int, height: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def runs(lines: NDArray[np.uint8]) -> int:
    """Into how many stretches of equal neighbours an array falls, along its first axis."""
    return 1 + int((lines[1:] != lines[:-1]).any(axis=tuple(range(1, lines.ndim))).sum())


boxes = st.tuples(
    st.integers(-40, SIZE[0] + 20), st.integers(-40, SIZE[1] + 20), st.integers(1, 200), st.integers(1, 200)
).map(lambda one: (float(one[0]), float(one[1]), float(one[0] + one[2]), float(one[1] + one[3])))


@given(box=boxes, seed=st.integers(0, 99))
def test_a_hidden_face_has_no_more_than_eight_by_eight_numbers(
    box: tuple[float, float, float, float], seed: int
) -> None:
    canvas = noise(*SIZE, seed)
    (found,) = widened(np.array([box], np.float32), 1.0, SIZE) or [None]
    if found is None:
        return
    pixelate(canvas, [found])
    left, top, right, bottom = found
    inside = canvas[top:bottom, left:right]
    assert runs(inside) <= BLOCKS
    assert runs(inside.swapaxes(0, 1)) <= BLOCKS


@given(box=boxes, seed=st.integers(0, 99))
def test_pictures_that_differ_only_within_the_blocks_cannot_be_told_apart(
    box: tuple[float, float, float, float], seed: int
) -> None:
    """What is left of a face is its block means: shuffling the pixels within each block changes nothing."""
    canvas, other = noise(*SIZE, seed), noise(*SIZE, seed)
    found = widened(np.array([box], np.float32), 1.0, SIZE)
    if not found:
        return
    ((left, top, right, bottom),) = found
    rng = np.random.default_rng(seed)
    columns = np.linspace(left, right, min(BLOCKS, right - left) + 1).round().astype(int)
    rows = np.linspace(top, bottom, min(BLOCKS, bottom - top) + 1).round().astype(int)
    for above, below in pairwise(rows):
        for before, after in pairwise(columns):
            block = other[above:below, before:after]
            block[:] = rng.permutation(block.reshape(-1, 3)).reshape(block.shape)
    pixelate(canvas, found)
    pixelate(other, found)
    assert np.array_equal(canvas, other)


def test_a_box_grows_to_the_whole_head_and_stays_within_the_picture() -> None:
    found = widened(np.array([[100, 50, 140, 100], [300, 160, 330, 190]], np.float32), 1.0, SIZE)
    assert found == [(88, 35, 152, 115), (291, 151, 320, 180)]


def test_boxes_outside_of_the_picture_are_nothing_and_those_that_are_no_boxes_are_everything() -> None:
    found = widened(np.array([[900, 900, 950, 950], [np.nan, 0, 10, 10]], np.float32), 1.0, SIZE)
    assert found == [(0, 0, *SIZE)]


def test_faces_that_overlap_are_all_hidden() -> None:
    canvas = noise(*SIZE)
    found = [(40, 40, 120, 120), (90, 60, 170, 140)]
    pixelate(canvas, found)
    left, top, right, bottom = found[1]
    assert runs(canvas[top:bottom, left:right]) <= BLOCKS
    alone = canvas[40:120, 40:90]
    assert runs(alone) <= BLOCKS
    assert runs(alone.swapaxes(0, 1)) <= BLOCKS


def test_where_no_face_was_found_nothing_finer_than_a_320th_is_left() -> None:
    picture = FakePicture(noise(1920, 1080))
    canvas, scale = pixelated(picture, np.zeros((0, 4), np.float32))
    assert (canvas.shape, scale) == ((540, 960, 3), SIDE_PX / 1920)
    again = cv2.resize(picture.rgb(DETAIL_PX, 180), (960, 540), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(canvas, again), "it can be made from 320 columns, so there is no more in it"


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (1080, 1920), (200, 120)])
def test_what_is_written_shows_no_face_of_the_frame(size: tuple[int, int], tmp_path: Path) -> None:
    """The files themselves: the draft, and the finished picture with its frame and text."""
    width, height = size
    faces = np.array([[0.1, 0.1, 0.2, 0.3], [0.5, 0.4, 0.62, 0.7], [0.8, 0.2, 0.86, 0.32]], np.float32)
    faces *= np.array([width, height, width, height], np.float32)
    moments = Moments(tmp_path)
    moments.offer(FakePicture(noise(width, height)), faces, [("00001", 1, 0.5)])
    (draft,) = tmp_path.iterdir()
    finished = moments.finish("00001", Fate(tone="lost", title="1. too dark", text="In the dark."))
    assert finished is not None
    scale = SIDE_PX / max(size)
    shown = round(width * scale), round(height * scale)
    for data in (draft.read_bytes(), finished):
        written = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        for number, (left, top, right, bottom) in enumerate(widened(faces, scale, shown)):
            inside = np.asarray(written[top:bottom, left:right])
            if number == 1 and data is finished:
                within = [round(float(edge) * scale) for edge in faces[number]]
                inside = np.asarray(
                    written[within[1] + FRAME_PX : within[3] - FRAME_PX, within[0] + FRAME_PX : within[2] - FRAME_PX]
                )
            assert inside.size
            assert runs(inside) <= BLOCKS
            assert runs(inside.swapaxes(0, 1)) <= BLOCKS


def test_a_moment_is_replaced_only_by_a_clearly_better_one(tmp_path: Path) -> None:
    moments = Moments(tmp_path)
    face = np.array([[100, 50, 140, 100]], np.float32)

    def offered(quality: float, seed: int) -> bytes:
        moments.offer(FakePicture(noise(*SIZE, seed)), face, [("00001", 0, quality)])
        return (tmp_path / "00001.png").read_bytes()

    first = offered(0.5, 1)
    assert offered(0.54, 2) == first
    assert offered(0.56, 3) != first
    assert moments.finish("00002", Fate(tone="lost", title="", text="")) is None
