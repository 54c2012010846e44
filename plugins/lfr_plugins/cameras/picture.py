"""Pictures: decoded video frames and stills, converted to RGB only where and when somebody looks.

A video frame stays in the decoder's planes: luma, and chroma at half the width and height. OpenCV scales or warps
those planes as they are, and only the small result becomes RGB. (swscale would convert the whole frame, and two
threads converting one `av.VideoFrame` crash the process.) Centres of pixels have integer coordinates; a chroma
sample lies in the middle of its four luma pixels, as swscale has it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import ceil, floor, log2
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from lfr_plugins.cameras._geometry import (
    box_of,
    corners_of,
    expanded,
    inverse_of,
    is_inside,
    on_grid,
    outside_of,
    scale_of,
)

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

    from lfr_plugins.cameras._geometry import Box, Size

__all__ = ["RgbPicture", "YuvPicture", "rgb_matrix"]

# Pictures are used by several threads at once already; OpenCV's own pool would fight with them.
cv2.setNumThreads(1)

_BT601: Final = 5
_BT709: Final = 1
_UNSPECIFIED: Final = 2
_FULL_RANGE: Final = 2
_LUMA_WEIGHTS: Final = {
    _BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    _BT601: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Weights of red and blue in luma by matrix coefficients, ITU-T H.273 table 4 (FFmpeg's AVColorSpace)."""

_PLANAR: Final = frozenset({"yuv420p", "yuvj420p", "nv12"})
_STRONG_SHRINK: Final = 0.5
"""Below this scale, bilinear sampling skips pixels of the source."""
_SAMPLES: Final = 8
_HALVING: Final = 2
_ALIASING: Final = 2.5
"""How many pixels may become one: in both directions before they are halved, and in one of them before it is."""


class _Picture(ABC):
    """What both kinds share: checks, reduction before a strong shrink, and the black outside."""

    _size: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self._size

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the whole picture scaled to `width` x `height` px as RGB, uint8 [height, width, 3].

        Raises:
            ValueError: the wanted size is not positive.
        """
        _check_size((width, height))
        return self._scaled((0, 0, *self._size), width, height)

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return a patch cut from full resolution as RGB, uint8 [size[1], size[0], 3].

        A pixel whose centre falls outside the picture is black. An affine that squeezes the picture into a line
        or a point leaves every pixel black.

        Args:
            affine: float64 [2, 3], maps px of the picture (x, y, 1) to px of the patch.
            size: (width, height) of the patch in px.

        Raises:
            ValueError: the wanted size is not positive, or the affine is not a finite [2, 3] matrix.
        """
        _check_size(size)
        affine = np.asarray(affine, np.float64)
        if affine.shape != (2, 3) or not np.isfinite(affine).all():
            raise ValueError(f"expected a finite affine [2, 3] from picture to patch, got {affine.tolist()}")
        to_picture = inverse_of(affine)
        if to_picture is None:
            return np.zeros((size[1], size[0], 3), np.uint8)
        corners = corners_of(size, to_picture)
        box = box_of(corners, self._size)
        if box is None:
            return np.zeros((size[1], size[0], 3), np.uint8)
        scale = scale_of(affine)
        patch = self._reduced(affine, size, box, scale) if scale < _STRONG_SHRINK else self._warped(affine, size)
        if not is_inside(corners, self._size):
            patch[outside_of(size, to_picture, self._size)] = 0
        return patch

    def _reduced(self, affine: NDArray[np.float64], size: Size, box: Box, scale: float) -> NDArray[np.uint8]:
        """Average the part that is needed down to at most twice the patch's resolution; warp what is left."""
        left, top, right, bottom = expanded(box, ceil(2 / scale), self._size)
        factor = 2 ** floor(log2(1 / scale))
        width, height = max(1, (right - left) // factor), max(1, (bottom - top) // factor)
        small = self._scaled((left, top, right, bottom), width, height)
        step = (right - left) / width, (bottom - top) / height
        origin = left + step[0] / 2 - 0.5, top + step[1] / 2 - 0.5
        patch = _warp(small, on_grid(affine, step, origin), size)
        small.fill(0)
        return patch

    @abstractmethod
    def _scaled(self, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        """Scale one part of the picture, whose left and top are even, to `width` x `height`."""

    @abstractmethod
    def _warped(self, affine: NDArray[np.float64], size: Size) -> NDArray[np.uint8]:
        """Warp at full resolution, repeating the edge outside."""


class RgbPicture(_Picture):
    """A picture that is RGB already: a still.

    Args:
        pixels: uint8 [H, W, 3] RGB. Not copied; nobody may write to it any more.

    Raises:
        ValueError: it is anything else, or empty.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:  # noqa: PLR2004
            raise ValueError(f"expected RGB pixels, uint8 [H, W, 3], got {pixels.dtype}{list(pixels.shape)}")
        self._pixels = pixels
        self._size = (pixels.shape[1], pixels.shape[0])

    def _scaled(self, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        left, top, right, bottom = box
        return _scale(self._pixels[top:bottom, left:right], width, height)

    def _warped(self, affine: NDArray[np.float64], size: Size) -> NDArray[np.uint8]:
        return _warp(self._pixels, affine, size)


class YuvPicture(_Picture):
    """A decoded video frame in its own planes, turned upright if the container says that it lies.

    Planar 8-bit 4:2:0 (yuv420p, yuvj420p, nv12) is used as it is; any other format is converted to it once, here,
    on the thread that made the frame. The picture keeps the frame's buffers alive.

    Args:
        frame: what the decoder returned.
    """

    def __init__(self, frame: av.VideoFrame) -> None:
        is_full = _is_full_range(frame)
        colorspace = _colorspace(frame)
        quarter_turns = round(frame.rotation / 90) % 4
        if frame.format.name not in _PLANAR or any(plane.line_size < 0 for plane in frame.planes):
            levels = "JPEG" if is_full else "MPEG"
            frame = frame.reformat(
                format="yuv420p",
                dst_colorspace="ITU601" if _has_colours_of_rgb(frame) else None,
                src_color_range=levels,
                dst_color_range=levels,
                threads=1,
            )
        self._matrix = rgb_matrix(colorspace, is_full_range=is_full)
        planes = [_turned(plane, quarter_turns) for plane in _planes(frame)]
        self._luma, self._chroma = planes[0], planes[1:]
        self._size = (self._luma.shape[1], self._luma.shape[0])

    def _scaled(self, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        left, top, right, bottom = box
        halves = slice(top // 2, (bottom + 1) // 2), slice(left // 2, (right + 1) // 2)
        luma = _scale(self._luma[top:bottom, left:right], width, height)
        return self._to_rgb(luma, [_scale(plane[halves], width, height) for plane in self._chroma])

    def _warped(self, affine: NDArray[np.float64], size: Size) -> NDArray[np.uint8]:
        on_chroma = on_grid(affine, (2.0, 2.0), (0.5, 0.5))
        luma = _warp(self._luma, affine, size)
        return self._to_rgb(luma, [_warp(plane, on_chroma, size) for plane in self._chroma])

    def _to_rgb(self, luma: NDArray[Any], chroma: list[NDArray[Any]]) -> NDArray[np.uint8]:
        """Turn planes of one size into RGB, and overwrite them."""
        planes = [luma, *chroma]
        pixels = cv2.merge(planes)
        for plane in planes:
            plane.fill(0)
        return _uint8(cv2.transform(pixels, self._matrix, dst=pixels))


def rgb_matrix(colorspace: int, *, is_full_range: bool) -> NDArray[np.float64]:
    """Return the matrix from 8-bit (Y, Cb, Cr, 1) to RGB of 0 to 255, float64 [3, 4].

    ITU-T H.273 equations 25 to 30 (limited range: Y 16 to 235, Cb and Cr 16 to 240), inverted.

    Args:
        colorspace: H.273 matrix coefficients; unknown ones count as BT.601.
        is_full_range: whether all of Y, Cb and Cr use 0 to 255.
    """
    red, blue = _LUMA_WEIGHTS.get(colorspace, _LUMA_WEIGHTS[_BT601])
    green = 1 - red - blue
    gain, foot = (1.0, 0.0) if is_full_range else (255 / 219, 16.0)
    chroma_gain = 1.0 if is_full_range else 255 / 224
    from_blue, from_red = 2 * (1 - blue) * chroma_gain, 2 * (1 - red) * chroma_gain
    linear = np.array(
        [
            [gain, 0.0, from_red],
            [gain, -from_blue * blue / green, -from_red * red / green],
            [gain, from_blue, 0.0],
        ]
    )
    return np.column_stack([linear, -linear @ [foot, 128.0, 128.0]])


def _has_colours_of_rgb(frame: av.VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette or len(frame.format.components) == 1


def _is_full_range(frame: av.VideoFrame) -> bool:
    if _has_colours_of_rgb(frame) or frame.format.name.startswith("yuvj"):
        return True
    return int(frame.color_range) == _FULL_RANGE


def _colorspace(frame: av.VideoFrame) -> int:
    """Return the frame's matrix coefficients; unspecified ones go by size, as players have it."""
    if _has_colours_of_rgb(frame):
        return _BT601
    colorspace = int(frame.colorspace)
    if colorspace != _UNSPECIFIED:
        return colorspace
    return _BT709 if frame.width >= 1280 or frame.height > 576 else _BT601  # noqa: PLR2004  (HD: wider, or taller than PAL)


def _planes(frame: av.VideoFrame) -> list[NDArray[Any]]:
    """Return views of the planes: uint8 [h, w], or [h, w, 2] for the interleaved chroma of nv12."""
    views: list[NDArray[Any]] = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height].reshape(
            plane.height, plane.line_size
        )
        is_interleaved = bool(views) and frame.format.name == "nv12"
        shape = (plane.height, plane.width, 2) if is_interleaved else (plane.height, plane.width)
        views.append(rows[:, : plane.width * (2 if is_interleaved else 1)].reshape(shape))
    return views


def _turned(plane: NDArray[Any], quarter_turns: int) -> NDArray[Any]:
    """Turn anticlockwise."""
    if not quarter_turns:
        return plane
    turns = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
    return cv2.rotate(plane, turns[quarter_turns - 1])


def _scale(plane: NDArray[Any], width: int, height: int) -> NDArray[np.uint8]:
    """Scale by halving (means of 2 x 2, which OpenCV does fast), then bilinearly by what is left.

    1080p to 640x360: 0.16 ms against 0.6 ms for INTER_AREA in one step (1.6 ms to 640x352), and 48.7 dB from it;
    bilinear alone takes 0.13 ms and is 41.9 dB from it, with visible aliasing. At a ratio of two, bilinear is as
    good as the mean. For a thumbnail, whose every pixel stands for hundreds, a grid of samples is as good as all.
    """
    stride = int(min(plane.shape[0] / height, plane.shape[1] / width) // _SAMPLES)
    if stride > 1:
        plane = np.ascontiguousarray(plane[::stride, ::stride])
    while True:
        rows, columns = plane.shape[:2]
        down, across = rows / height, columns / width
        is_halved = min(down, across) >= _HALVING
        if is_halved or max(down, across) > _ALIASING:
            rows = (rows + 1) // 2 if is_halved or down > _ALIASING else rows
            columns = (columns + 1) // 2 if is_halved or across > _ALIASING else columns
            plane = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
        else:
            return _uint8(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))


def _warp(plane: NDArray[Any], affine: NDArray[np.float64], size: Size) -> NDArray[np.uint8]:
    return _uint8(cv2.warpAffine(plane, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Tell the type checker what OpenCV's annotations do not."""
    return pixels


def _check_size(size: Size) -> None:
    if min(size) < 1:
        raise ValueError(f"expected a size of at least 1 x 1 px, got {size[0]} x {size[1]}")
