"""A camera that shows a checkerboard, and the pictures it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lfr_kernel.api import EndOfInput, Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfr_checkerboard.config import CheckerboardConfig
    from lfr_kernel.api import Pace

__all__ = ["Board", "Checkerboard"]

SIZE = (320, 240)
DARK, LIGHT = 60, 190
FRAME_NS = 40_000_000


class Board:
    """A picture in an array of its own. See `lfr_kernel.api.Picture`; every method may be called from any thread."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """Show `pixels`, uint8 [H, W, 3] RGB, which nobody may change from now on."""
        self._pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self._pixels.shape[1], self._pixels.shape[0]

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the whole picture at another size, taking the nearest pixels."""
        own_width, own_height = self.size
        rows, columns = np.arange(height) * own_height // height, np.arange(width) * own_width // width
        return self._pixels[rows[:, None], columns]

    def patch(self, affine: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return what `affine` maps to a patch of `size`, taking the nearest pixels; black outside the picture."""
        width, height = size
        ys, xs = np.mgrid[:height, :width]
        points = np.linalg.inv(np.vstack((affine, (0, 0, 1)))) @ np.vstack((xs.ravel(), ys.ravel(), np.ones(xs.size)))
        columns, rows = np.rint(points[:2]).astype(np.int64)
        own_width, own_height = self.size
        is_inside = (columns >= 0) & (columns < own_width) & (rows >= 0) & (rows < own_height)
        patch = np.zeros((height * width, 3), np.uint8)
        patch[is_inside] = self._pixels[rows[is_inside], columns[is_inside]]
        return patch.reshape(height, width, 3)


class Checkerboard:
    """See `lfr_kernel.api.Camera`: every call runs on a thread of this camera's own, one at a time."""

    def __init__(self, config: CheckerboardConfig) -> None:
        self.pace: Pace = "realtime" if config.realtime else "unpaced"
        self._frames = config.frames
        columns, rows = (_squares(length, config.square_px) for length in SIZE)
        grey = np.where(np.add.outer(rows, columns) % 2, LIGHT, DARK).astype(np.uint8)
        self._board = Board(np.repeat(grey[..., None], 3, axis=2))
        self._next = 0

    def open(self) -> None:
        """Begin with the first picture."""
        self._next = 0

    def read(self) -> Reading | None:
        """Return the next picture. Raises EndOfInput after the last one."""
        if self._frames and self._next >= self._frames:
            raise EndOfInput
        position_ns = self._next * FRAME_NS
        self._next += 1
        return Reading(picture=self._board, position_ns=position_ns)

    def close(self) -> None:
        """Nothing is open."""


def _squares(length: int, side: int) -> NDArray[np.int64]:
    """Return the number of the square that each px lies in, counted from the middle, where a square has its centre.

    So the board is its own mirror image, and averaging in the mirror image of a listed photograph changes nothing.
    """
    from_middle = np.abs(np.arange(length) - (length - 1) / 2)
    squares: NDArray[np.int64] = ((from_middle + side / 2) // side).astype(np.int64)
    return squares
