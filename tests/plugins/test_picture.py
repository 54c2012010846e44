"""What pictures promise: right colours, right places, black outside, and several threads at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lfr_plugins.cameras.picture import RgbPicture, YuvPicture, rgb_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_kernel.api import Picture

BT709, BT601 = 1, 6
LIMITED, FULL = 1, 2
ROUNDING = 5
"""One level of luma and one of chroma, times their gains."""
ACCURATE_BILINEAR = 2 | 0x2000 | 0x40000
"""SWS_BILINEAR, SWS_FULL_CHR_H_INT, SWS_ACCURATE_RND."""
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def yuv_frame(
    planes: list[NDArray[np.uint8]], *, colorspace: int = BT601, levels: int = LIMITED, name: str = "yuv420p"
) -> av.VideoFrame:
    """Write planes into a frame as they are, whatever its line size."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, name)
    for plane, pixels in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        flat = pixels.reshape(pixels.shape[0], -1)
        rows[:, : flat.shape[1]] = flat
        plane.update(rows.tobytes())
    frame.colorspace = colorspace
    frame.color_range = levels
    return frame


def converted(frame: av.VideoFrame, **how: Any) -> av.VideoFrame:
    """By swscale, which is the reference."""
    return frame.reformat(**how)


def flat_planes(width: int, height: int, yuv: tuple[int, int, int]) -> list[NDArray[np.uint8]]:
    half = ((height + 1) // 2, (width + 1) // 2)
    return [np.full(shape, level, np.uint8) for shape, level in zip([(height, width), half, half], yuv, strict=True)]


def smooth(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Waves: no edges, so that a 32nd of a pixel cannot matter much."""
    rows, columns = np.mgrid[0:height, 0:width]
    phase = seed * 1.3
    waves = np.sin(columns / 9 + phase) + np.cos(rows / 7 + 2 * phase) + np.sin((columns + rows) / 13)
    return np.asarray(128 + 30 * waves, np.uint8)


def smooth_planes(width: int = 96, height: int = 64) -> list[NDArray[np.uint8]]:
    half = ((height + 1) // 2, (width + 1) // 2)
    return [smooth(height, width, 0), smooth(*half, 1), smooth(*half, 2)]


def sampled(plane: NDArray[np.uint8], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear, edge repeated, in plain numpy."""
    height, width = plane.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    right_share, low_share = x - left, y - top
    upper = plane[top, left] * (1 - right_share) + plane[top, left + 1] * right_share
    lower = plane[top + 1, left] * (1 - right_share) + plane[top + 1, left + 1] * right_share
    return np.asarray(upper * (1 - low_share) + lower * low_share)


def positions(affine: NDArray[np.float64], size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each pixel of a patch comes from."""
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    back = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))
    x, y = (back[i, 0] * columns + back[i, 1] * rows + back[i, 2] for i in (0, 1))
    return x, y


def slow_patch(
    planes: list[NDArray[np.uint8]], affine: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the patch, and which of its pixels lie so near to the picture's edge that rounding decides."""
    x, y = positions(affine, size)
    yuv = [sampled(planes[0], x, y)] + [sampled(plane, (x - 0.5) / 2, (y - 0.5) / 2) for plane in planes[1:]]
    rgb = np.stack([*yuv, np.ones_like(x)], axis=-1) @ rgb_matrix(BT601, is_full_range=False).T
    height, width = planes[0].shape
    rgb[(x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)] = 0
    near = [np.abs(at - edge) < 1e-6 for at, end in ((x, width), (y, height)) for edge in (-0.5, end - 0.5)]
    return np.clip(rgb, 0, 255), np.logical_or.reduce(near)


def similarity(scale: float, degrees: float, x: float, y: float) -> NDArray[np.float64]:
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


@pytest.mark.parametrize(
    ("colorspace", "levels", "yuv", "rgb"),
    [
        (BT601, LIMITED, (81, 90, 240), (255, 0, 0)),
        (BT601, LIMITED, (145, 54, 34), (0, 255, 0)),
        (BT601, LIMITED, (41, 240, 110), (0, 0, 255)),
        (BT709, LIMITED, (63, 102, 240), (255, 0, 0)),
        (BT709, LIMITED, (173, 42, 26), (0, 255, 0)),
        (BT709, LIMITED, (32, 240, 118), (0, 0, 255)),
        (BT601, FULL, (76, 85, 255), (255, 0, 0)),
        (BT601, FULL, (150, 44, 21), (0, 255, 0)),
        (BT601, FULL, (29, 255, 107), (0, 0, 255)),
        (BT601, LIMITED, (16, 128, 128), (0, 0, 0)),
        (BT601, LIMITED, (235, 128, 128), (255, 255, 255)),
        (BT601, LIMITED, (255, 128, 128), (255, 255, 255)),
        (BT601, FULL, (16, 128, 128), (16, 16, 16)),
    ],
)
def test_known_colours(colorspace: int, levels: int, yuv: tuple[int, int, int], rgb: tuple[int, int, int]) -> None:
    picture = YuvPicture(yuv_frame(flat_planes(32, 16, yuv), colorspace=colorspace, levels=levels))
    for pixels in (picture.rgb(32, 16), picture.rgb(11, 5), picture.patch(IDENTITY, (32, 16))):
        assert np.abs(pixels.astype(int) - rgb).max() <= 2


@pytest.mark.parametrize(
    ("size", "yuv"), [((720, 576), (81, 90, 240)), ((1280, 720), (63, 102, 240)), ((720, 960), (63, 102, 240))]
)
def test_an_unspecified_matrix_goes_by_size(size: tuple[int, int], yuv: tuple[int, int, int]) -> None:
    picture = YuvPicture(yuv_frame(flat_planes(*size, yuv), colorspace=2, levels=0))
    assert np.abs(picture.rgb(8, 8).astype(int) - (255, 0, 0)).max() <= 2


def test_yuvj_is_full_range_whatever_the_frame_says() -> None:
    frame = yuv_frame(flat_planes(32, 16, (76, 85, 255)), levels=0, name="yuvj420p")
    assert np.abs(YuvPicture(frame).rgb(32, 16).astype(int) - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("colorspace", [BT601, BT709])
@pytest.mark.parametrize("levels", [LIMITED, FULL])
def test_the_whole_picture_is_what_swscale_makes_of_it(colorspace: int, levels: int) -> None:
    frame = yuv_frame(smooth_planes(), colorspace=colorspace, levels=levels)
    expected = converted(
        frame,
        format="rgb24",
        interpolation=ACCURATE_BILINEAR,
        src_color_range=levels,
        dst_color_range=FULL,
    ).to_ndarray()
    got = YuvPicture(frame).rgb(96, 64)
    assert np.abs(got.astype(int) - expected).mean() < 1
    assert np.abs(got.astype(int) - expected).max() <= ROUNDING


def test_every_call_returns_an_array_of_its_own() -> None:
    for picture in (YuvPicture(yuv_frame(smooth_planes())), RgbPicture(np.full((64, 96, 3), 7, np.uint8))):
        for call in (partial(picture.rgb, 96, 64), partial(picture.patch, IDENTITY, (96, 64))):
            first = call()
            before = first.copy()
            first[:] = 0
            np.testing.assert_array_equal(call(), before)


def test_an_identity_patch_is_the_picture() -> None:
    picture = YuvPicture(yuv_frame(smooth_planes()))
    difference = np.abs(picture.patch(IDENTITY, (96, 64)).astype(int) - picture.rgb(96, 64))
    assert difference.max() <= ROUNDING
    assert difference.mean() < 0.5


def test_an_identity_patch_of_a_still_is_the_still() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    picture = RgbPicture(pixels)
    np.testing.assert_array_equal(picture.patch(IDENTITY, (30, 20)), pixels)
    np.testing.assert_array_equal(picture.rgb(30, 20), pixels)
    np.testing.assert_array_equal(picture.patch(np.array([[1.0, 0, -4], [0, 1, -3]]), (10, 8)), pixels[3:11, 4:14])


def test_outside_is_black_and_starts_at_the_edge_of_the_last_pixel() -> None:
    white = YuvPicture(yuv_frame(flat_planes(32, 16, (235, 90, 240))))
    shown = white.patch(np.array([[1.0, 0, 5], [0, 1, 3]]), (48, 32)).max(axis=2) > 0
    expected = np.zeros((32, 48), bool)
    expected[3:19, 5:37] = True
    np.testing.assert_array_equal(shown, expected)
    assert not white.patch(np.array([[1.0, 0, 500], [0, 1, 0]]), (20, 20)).any()
    assert not white.patch(np.array([[0.1, 0, -500], [0, 0.1, 0]]), (20, 20)).any()


def test_an_affine_that_squeezes_everything_into_a_line_shows_nothing() -> None:
    picture = YuvPicture(yuv_frame(flat_planes(32, 16, (235, 128, 128))))
    assert not picture.patch(np.array([[1.0, 1, 0], [1, 1, 0]]), (8, 8)).any()
    assert not picture.patch(np.zeros((2, 3)), (8, 8)).any()


def test_what_makes_no_sense_is_refused() -> None:
    picture = YuvPicture(yuv_frame(flat_planes(32, 16, (235, 128, 128))))
    with pytest.raises(ValueError, match="finite affine"):
        picture.patch(np.full((2, 3), np.nan), (8, 8))
    with pytest.raises(ValueError, match="finite affine"):
        picture.patch(np.eye(3), (8, 8))
    with pytest.raises(ValueError, match="at least 1 x 1 px, got 0 x 8"):
        picture.patch(IDENTITY, (0, 8))
    with pytest.raises(ValueError, match="at least 1 x 1 px, got 8 x 0"):
        picture.rgb(8, 0)
    for pixels in (np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match="expected RGB pixels"):
            RgbPicture(pixels)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    scale=st.floats(0.5, 4),
    degrees=st.floats(-180, 180),
    x=st.floats(-60, 100),
    y=st.floats(-60, 100),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
)
def test_a_patch_is_what_sampling_each_plane_by_hand_gives(  # noqa: PLR0917  (hypothesis passes by name)
    scale: float, degrees: float, x: float, y: float, width: int, height: int
) -> None:
    planes = smooth_planes()
    affine = similarity(scale, degrees, x, y)
    got = YuvPicture(yuv_frame(planes)).patch(affine, (width, height))
    expected, is_undecided = slow_patch(planes, affine, (width, height))
    difference = np.abs(got - expected).max(axis=2)
    assert difference[~is_undecided].max(initial=0) <= ROUNDING


@settings(max_examples=60, deadline=None)
@given(scale=st.floats(0.02, 0.499), degrees=st.floats(-180, 180), x=st.floats(-40, 60), y=st.floats(-40, 60))
def test_a_strongly_shrunk_patch_has_everything_in_its_place(scale: float, degrees: float, x: float, y: float) -> None:
    width, height = 513, 386
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([columns * 255 / width, rows * 255 / height, np.full((height, width), 100)], axis=-1)
    affine = similarity(scale, degrees, x, y)
    got = RgbPicture(pixels.astype(np.uint8)).patch(affine, (24, 18))
    from_x, from_y = positions(affine, (24, 18))
    border = 3 / scale
    is_inner = (from_x > border) & (from_x < width - border) & (from_y > border) & (from_y < height - border)
    assert np.abs(got[..., 0] - from_x * 255 / width)[is_inner].max(initial=0) <= 3
    assert np.abs(got[..., 1] - from_y * 255 / height)[is_inner].max(initial=0) <= 3
    assert np.abs(got[..., 2][is_inner].astype(int) - 100).max(initial=0) <= 1


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=6, max_size=6))
def test_any_finite_affine_gives_a_patch(numbers: list[float]) -> None:
    affine = np.array(numbers).reshape(2, 3)
    for picture in (YuvPicture(yuv_frame(smooth_planes())), RgbPicture(np.full((7, 5, 3), 9, np.uint8))):
        patch = picture.patch(affine, (9, 8))
        assert patch.shape == (8, 9, 3)
        assert patch.dtype == np.uint8


def test_a_strong_shrink_does_not_alias() -> None:
    planes = flat_planes(640, 480, (0, 128, 128))
    planes[0][:, ::2], planes[0][:, 1::2] = 235, 16
    picture = YuvPicture(yuv_frame(planes))
    for pixels in (picture.patch(similarity(0.23, 10, -20, -40), (60, 60)), picture.rgb(100, 75)):
        assert np.abs(pixels.astype(int) - 127).max() <= 3


def test_colour_stays_on_its_shape_when_shrunk_and_when_not() -> None:
    planes = flat_planes(400, 300, (126, 128, 128))
    planes[2][60:80, 100:140] = 200
    picture = YuvPicture(yuv_frame(planes))
    for scale in (1.0, 0.5, 0.25):
        patch = picture.patch(similarity(scale, 0, 0, 0), (round(400 * scale), round(300 * scale))).astype(float)
        redness = patch[..., 0] - patch[..., 1]
        rows, columns = np.mgrid[0 : redness.shape[0], 0 : redness.shape[1]]
        centre = (columns * redness).sum() / redness.sum(), (rows * redness).sum() / redness.sum()
        assert centre == pytest.approx((239.5 * scale, 139.5 * scale), abs=0.1)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (33, 17), (640, 361)])
def test_odd_and_tiny_pictures_keep_their_size_and_colour(size: tuple[int, int]) -> None:
    picture = YuvPicture(yuv_frame(flat_planes(*size, (81, 90, 240))))
    assert picture.size == size
    for pixels in (picture.rgb(*size), picture.rgb(7, 9), picture.patch(IDENTITY, size)):
        assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 2
    assert picture.patch(similarity(0.3, 0, 0, 0), (1, 1))[0, 0, 0] >= 253


def test_nv12_is_read_like_its_planar_twin() -> None:
    luma, blue, red = smooth_planes()
    planar = YuvPicture(yuv_frame([luma, blue, red]))
    interleaved = YuvPicture(yuv_frame([luma, np.dstack([blue, red])], name="nv12"))
    for affine, size in ((IDENTITY, (96, 64)), (similarity(0.3, 20, 3, 1), (20, 15))):
        difference = np.abs(interleaved.patch(affine, size).astype(int) - planar.patch(affine, size))
        assert difference.max() <= ROUNDING
    assert np.abs(interleaved.rgb(31, 22).astype(int) - planar.rgb(31, 22)).max() <= ROUNDING


@pytest.mark.parametrize(
    "name", ["rgb24", "bgr24", "bgra", "gbrp", "gray", "yuv444p", "yuvj422p", "yuv420p10le", "p010le"]
)
@pytest.mark.parametrize("size", [(64, 48), (1280, 720)])
def test_other_formats_keep_their_colours(name: str, size: tuple[int, int]) -> None:
    colour = (120, 120, 120) if name == "gray" else (200, 60, 90)
    pixels = np.full((size[1], size[0], 3), colour, np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
    if name != "rgb24":
        levels = FULL if "j" in name or name in {"gray", "bgr24", "bgra", "gbrp"} else LIMITED
        frame = converted(frame, format=name, dst_colorspace="ITU601", dst_color_range=levels)
    picture = YuvPicture(frame)
    assert np.abs(picture.rgb(16, 12).astype(int) - colour).max() <= 4


def test_a_picture_outlives_its_frame() -> None:
    picture = YuvPicture(yuv_frame(smooth_planes()))
    before = picture.rgb(96, 64)
    for _ in range(50):
        yuv_frame(flat_planes(96, 64, (0, 0, 0)))
    np.testing.assert_array_equal(picture.rgb(96, 64), before)


def test_several_threads_may_use_one_picture() -> None:
    picture: Picture = YuvPicture(yuv_frame(smooth_planes(640, 360)))
    affine = similarity(0.7, 10, -30, -20)
    scaled, patch = picture.rgb(320, 180), picture.patch(affine, (112, 112))

    def use(number: int) -> bool:
        if number % 2:
            return np.array_equal(picture.rgb(320, 180), scaled)
        return np.array_equal(picture.patch(affine, (112, 112)), patch)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))


def test_opencv_keeps_to_the_thread_it_is_called_on() -> None:
    code = "import lfr_plugins.cameras.picture, cv2; print(cv2.getNumThreads())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  (our own code)
    assert done.stdout.strip() == "1"
